#include "analysis/snapshot.h"

#include "analysis/snapshot_format.h"

#include <errno.h>
#include <sys/stat.h>

/* ---- failures ---- */

static enum ph_status fail_file(const struct ph_saved *s, struct ph_error *err, const char *what)
{
    return ph_fail(err, PH_BAD_DATA, "%.120s %s", s->name, what);
}

static enum ph_status fail_damaged(const struct ph_saved *s, struct ph_error *err)
{
    return fail_file(s, err, "is a damaged snapshot; save it anew");
}

static enum ph_status fail_memory(struct ph_error *err)
{
    return ph_fail(err, PH_NO_MEMORY, "out of memory");
}

/* ---- bytes ---- */

static enum ph_status read_bytes(struct ph_saved *s, void *bytes, uint64_t len,
                                 struct ph_error *err)
{
    if (len > s->bytes_left)
        return fail_file(s, err, "is a snapshot that was cut short; save it anew");
    s->bytes_left -= len;
    if (fread(bytes, 1, (size_t)len, s->file) == len)
        return PH_OK;
    return ph_fail(err, PH_FAILED, "cannot read %.120s: %s", s->name,
                   ferror(s->file) ? strerror(errno) : "it became shorter");
}

/* A payload in memory, whose numbers are taken one after the other; once one is missing, `bad` is
 * set and all that follow are 0. */
struct cursor {
    const uint8_t *at, *end;
    bool bad;
};

static uint64_t take_number(struct cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; c->at < c->end && shift < 64; shift += 7) {
        uint8_t byte = *c->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            c->bad = c->bad || (shift == 63 && byte > 1);
            return c->bad ? 0 : value;
        }
    }
    c->bad = true;
    return 0;
}

/* A number below `limit`. */
static uint32_t take_index(struct cursor *c, uint64_t limit)
{
    uint64_t value = take_number(c);
    if (value >= limit || value >= UINT32_MAX)
        c->bad = true;
    return c->bad ? 0 : (uint32_t)value;
}

/* How many entries follow, of at least so many bytes each. */
static uint32_t take_count(struct cursor *c, unsigned least_bytes)
{
    return take_index(c, (uint64_t)(c->end - c->at) / least_bytes + 1);
}

/* A text, made visible, in the file's arena; NULL where there is none, and c->bad, or no memory. */
static const char *take_text(struct ph_saved *s, struct cursor *c)
{
    uint64_t len = take_number(c);
    struct ph_str text = {0};
    if (c->bad || len > (uint64_t)(c->end - c->at)) {
        c->bad = true;
        return NULL;
    }
    ph_str_append_visible(&text, c->at, (size_t)len);
    c->at += len;
    const char *copy = text.failed ? NULL : ph_arena_strdup(&s->arena, ph_str_text(&text));
    ph_str_free(&text);
    return copy;
}

/* ---- tables ---- */

static bool read_process(struct ph_saved *s, struct cursor *c)
{
    struct ph_saved_process *p = &s->process;
    uint64_t flags = take_number(c);
    p->has_sites = flags & PH_SNAPSHOT_HAS_SITES;
    p->has_holders = flags & PH_SNAPSHOT_HAS_HOLDERS;
    p->untested = flags & PH_SNAPSHOT_UNTESTED;
    p->object_count = take_index(c, UINT32_MAX);
    p->saved_at = ph_snapshot_unfold(take_number(c));
    p->kind = (enum ph_target_kind)take_index(c, PH_TARGET_REMOTE + 1);
    p->pid = (pid_t)take_index(c, INT32_MAX);
    p->start_time = take_number(c);
    p->anchor = take_number(c);
    p->interpreter = take_number(c);
    p->build = take_index(c, UINT32_MAX);
    p->version = take_text(s, c);
    p->path = take_text(s, c);
    return c->bad || (p->version && p->path);
}

static bool read_types(struct ph_saved *s, struct cursor *c)
{
    uint32_t count = take_count(c, 2);
    bool ok = ph_array_reserve(&s->types, count);
    for (uint32_t i = 0; ok && !c->bad && i < count; i++) {
        struct ph_saved_type type = {.address = take_number(c)};
        type.name = take_text(s, c);
        ok = c->bad || (type.name && ph_array_push(&s->types, type));
    }
    return ok;
}

static bool read_names(struct ph_saved *s, struct cursor *c, struct ph_saved_names *out)
{
    uint32_t count = take_count(c, 1);
    bool ok = ph_array_reserve(out, count);
    for (uint32_t i = 0; ok && !c->bad && i < count; i++) {
        const char *name = take_text(s, c);
        ok = c->bad || (name && ph_array_push(out, name));
    }
    return ok;
}

static bool read_sums(struct ph_saved *s, struct cursor *c)
{
    uint32_t count = take_count(c, 4);
    bool ok = true;
    for (uint32_t i = 0; ok && !c->bad && i < count; i++) {
        struct ph_saved_sum sum = {.site = s->sites.count - 1};
        sum.content = (enum ph_trace_content)take_index(c, PH_TRACE_BUFFER + 1);
        sum.type = take_index(c, sum.content == PH_TRACE_RAW ? 1 : s->types.count);
        sum.count = take_number(c);
        sum.bytes = take_number(c);
        ok = c->bad || ph_array_push(&s->sums, sum);
    }
    return ok;
}

static bool read_sites(struct ph_saved *s, struct cursor *c)
{
    uint32_t count = take_count(c, 3);
    bool ok = true;
    take_number(c); /* of all sums */
    for (uint32_t i = 0; ok && !c->bad && i < count; i++) {
        uint32_t file = take_index(c, s->files.count);
        uint32_t line = take_index(c, UINT32_MAX);
        if (c->bad)
            break;
        ok = ph_array_push(&s->sites, ((struct ph_saved_site){s->files.items[file], line})) &&
             read_sums(s, c);
    }
    return ok;
}

/* ---- sections ---- */

struct section {
    char tag[PH_SNAPSHOT_TAG_BYTES];
    uint32_t checksum, sum; /* as it says, and as far as it was computed */
    uint64_t length;
};

static bool has_tag(const struct section *section, const char *tag)
{
    return memcmp(section->tag, tag, PH_SNAPSHOT_TAG_BYTES) == 0;
}

static enum ph_status begin_section(struct ph_saved *s, struct section *out, struct ph_error *err)
{
    uint8_t head[PH_SNAPSHOT_SECTION_BYTES];
    enum ph_status status = read_bytes(s, head, sizeof head, err);
    if (status)
        return status;
    memcpy(out->tag, head, sizeof out->tag);
    out->checksum = (uint32_t)ph_snapshot_get(head + 4, 4);
    out->length = ph_snapshot_get(head + 8, 8);
    out->sum = ph_snapshot_checksum(PH_SNAPSHOT_CHECKSUM, head, PH_SNAPSHOT_TAG_BYTES);
    out->sum = ph_snapshot_checksum(out->sum, head + 8, 8);
    return out->length <= s->bytes_left
               ? PH_OK
               : fail_file(s, err, "is a snapshot that was cut short; save it anew");
}

static enum ph_status read_payload(struct ph_saved *s, struct section *section, void *bytes,
                                   struct ph_error *err)
{
    enum ph_status status = read_bytes(s, bytes, section->length, err);
    if (status)
        return status;
    section->sum = ph_snapshot_checksum(section->sum, bytes, (size_t)section->length);
    return section->sum == section->checksum ? PH_OK : fail_damaged(s, err);
}

static enum ph_status skip_section(struct ph_saved *s, struct section *section,
                                   struct ph_error *err)
{
    uint8_t piece[4096];
    enum ph_status status = PH_OK;
    for (uint64_t left = section->length; left && !status;) {
        uint64_t len = left < sizeof piece ? left : sizeof piece;
        status = read_bytes(s, piece, len, err);
        section->sum = ph_snapshot_checksum(section->sum, piece, (size_t)len);
        left -= len;
    }
    if (status)
        return status;
    return section->sum == section->checksum ? PH_OK : fail_damaged(s, err);
}

/* The tables, in their order. */
enum table { TABLE_PROCESS, TABLE_TYPES, TABLE_FILES, TABLE_SITES, TABLE_HOLDERS, TABLE_COUNT };
static const char *const table_tags[TABLE_COUNT] = {
    PH_SNAPSHOT_PROCESS, PH_SNAPSHOT_TYPES,   PH_SNAPSHOT_FILES,
    PH_SNAPSHOT_SITES,   PH_SNAPSHOT_HOLDERS,
};

static bool decode_table(struct ph_saved *s, enum table table, struct cursor *c)
{
    switch (table) {
    case TABLE_PROCESS:
        return read_process(s, c);
    case TABLE_TYPES:
        return read_types(s, c);
    case TABLE_FILES:
        return read_names(s, c, &s->files);
    case TABLE_SITES:
        return read_sites(s, c);
    case TABLE_HOLDERS:
        return read_names(s, c, &s->holders);
    case TABLE_COUNT:
        break;
    }
    return true;
}

static enum ph_status read_table(struct ph_saved *s, struct section *section, enum table table,
                                 struct ph_error *err)
{
    uint8_t *bytes = ph_malloc((size_t)section->length + 1);
    if (!bytes)
        return fail_memory(err);
    enum ph_status status = read_payload(s, section, bytes, err);
    struct cursor c = {bytes, bytes + section->length, false};
    if (!status && !decode_table(s, table, &c))
        status = fail_memory(err);
    if (!status && c.bad)
        status = fail_damaged(s, err);
    free(bytes);
    return status;
}

/* ---- objects ---- */

static enum ph_status open_chunk(struct ph_saved *s, struct section *section, struct ph_error *err)
{
    if (section->length > PH_SNAPSHOT_CHUNK_BYTES)
        return fail_damaged(s, err);
    if (!s->chunk && !(s->chunk = ph_malloc(PH_SNAPSHOT_CHUNK_BYTES)))
        return fail_memory(err);
    enum ph_status status = read_payload(s, section, s->chunk, err);
    if (status)
        return status;
    struct cursor c = {s->chunk, s->chunk + section->length, false};
    s->chunk_left = take_count(&c, 5);
    s->at = c.at;
    s->end = c.end;
    s->chunk_base = 0;
    return c.bad ? fail_damaged(s, err) : PH_OK;
}

static enum ph_status end_file(struct ph_saved *s, struct section *section, struct ph_error *err)
{
    uint8_t bytes[10];
    if (section->length > sizeof bytes)
        return fail_damaged(s, err);
    enum ph_status status = read_payload(s, section, bytes, err);
    struct cursor c = {bytes, bytes + section->length, false};
    uint64_t count = take_number(&c);
    if (!status && (c.bad || count != s->objects_seen || count != s->process.object_count))
        status = fail_damaged(s, err);
    s->finished = true;
    return status;
}

/* Read sections up to the next chunk of objects, or to the end. */
static enum ph_status advance(struct ph_saved *s, struct ph_error *err)
{
    struct section section;
    while (!s->finished && !s->chunk_left) {
        enum ph_status status = begin_section(s, &section, err);
        unsigned table = 0;
        while (table < TABLE_COUNT && !has_tag(&section, table_tags[table]))
            table++;
        if (status)
            return status;
        if (table < TABLE_COUNT) {
            /* Each once, the process first, and before the objects. */
            if (table < s->tables || (table && !s->tables) || s->chunk)
                return fail_damaged(s, err);
            s->tables = table + 1;
            status = read_table(s, &section, (enum table)table, err);
        } else if (has_tag(&section, PH_SNAPSHOT_OBJECTS)) {
            status = open_chunk(s, &section, err);
        } else if (has_tag(&section, PH_SNAPSHOT_END)) {
            status = end_file(s, &section, err);
        } else {
            status = skip_section(s, &section, err);
        }
        if (status)
            return status;
    }
    return PH_OK;
}

static uint32_t take_place(struct cursor *c, uint32_t count)
{
    uint32_t place = take_index(c, (uint64_t)count + 1);
    return place ? place - 1 : PH_NO_PLACE;
}

enum ph_status ph_saved_next(struct ph_saved *s, struct ph_saved_object *out, bool *more,
                             struct ph_error *err)
{
    enum ph_status status = advance(s, err);
    *more = !status && !s->finished;
    if (!*more)
        return status;
    struct cursor c = {s->at, s->end, false};
    uint64_t step = take_number(&c);
    *out = (struct ph_saved_object){.site = PH_NO_PLACE, .holder = PH_NO_PLACE};
    out->address = s->chunk_base + step;
    out->type = take_index(&c, s->types.count);
    out->bytes = take_number(&c);
    out->allocated = out->bytes + (uint64_t)ph_snapshot_unfold(take_number(&c));
    out->identity = take_index(&c, 1ull << PH_SNAPSHOT_IDENTITY_BITS);
    if (s->process.has_sites)
        out->site = take_place(&c, s->sites.count);
    if (s->process.has_holders)
        out->holder = take_place(&c, s->holders.count);
    if (c.bad || out->address < s->chunk_base || (s->objects_seen && out->address <= s->last))
        return fail_damaged(s, err);
    s->chunk_base = s->last = out->address;
    s->objects_seen++;
    s->chunk_left--;
    s->at = c.at;
    return PH_OK;
}

/* ---- all ---- */

static enum ph_status read_head(struct ph_saved *s, struct ph_error *err)
{
    uint8_t head[PH_SNAPSHOT_HEAD_BYTES];
    struct stat st;
    if (fstat(fileno(s->file), &st))
        return ph_fail(err, PH_FAILED, "cannot read %.120s: %s", s->name, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fail_file(s, err, "is no file, and so no snapshot");
    s->bytes_left = (uint64_t)st.st_size;
    if (s->bytes_left < sizeof head)
        return fail_file(s, err, "is no snapshot; `save FILE` makes one");
    enum ph_status status = read_bytes(s, head, sizeof head, err);
    if (status)
        return status;
    if (memcmp(head, PH_SNAPSHOT_MARK, PH_SNAPSHOT_MARK_BYTES) != 0)
        return fail_file(s, err, "is no snapshot; `save FILE` makes one");
    uint64_t version = ph_snapshot_get(head + PH_SNAPSHOT_MARK_BYTES, 4);
    if (version > PH_SNAPSHOT_VERSION)
        return ph_fail(err, PH_UNSUPPORTED,
                       "%.120s is a snapshot of format %u, and this py-heap knows %u; take a newer "
                       "one",
                       s->name, (unsigned)version, (unsigned)PH_SNAPSHOT_VERSION);
    return version ? PH_OK : fail_damaged(s, err);
}

enum ph_status ph_saved_open(FILE *file, const char *name, struct ph_saved *out,
                             struct ph_error *err)
{
    *out = (struct ph_saved){.file = file};
    out->name = ph_arena_strdup(&out->arena, name);
    if (!out->name)
        return fail_memory(err);
    enum ph_status status = read_head(out, err);
    if (!status)
        status = advance(out, err);
    if (!status && !out->tables)
        status = fail_damaged(out, err);
    return status;
}

void ph_saved_free(struct ph_saved *saved)
{
    ph_array_free(&saved->types);
    ph_array_free(&saved->files);
    ph_array_free(&saved->sites);
    ph_array_free(&saved->sums);
    ph_array_free(&saved->holders);
    ph_arena_free(&saved->arena);
    free(saved->chunk);
}

static bool differ(uint64_t a, uint64_t b)
{
    return a && b && a != b;
}

bool ph_saved_same_process(const struct ph_saved_process *a, const struct ph_saved_process *b)
{
    return !differ((uint64_t)a->pid, (uint64_t)b->pid) && !differ(a->start_time, b->start_time) &&
           a->anchor == b->anchor && a->interpreter == b->interpreter &&
           strcmp(a->version, b->version) == 0;
}
