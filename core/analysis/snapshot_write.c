#include "analysis/snapshot.h"

#include "analysis/identity.h"
#include "analysis/snapshot_format.h"

struct writer {
    struct ph_heap *heap;
    const struct ph_host *host;
    FILE *out;
    struct ph_str section; /* the one that is being made */
    const struct ph_traces *traces;
    const struct ph_trace_sites *sites;
    uint32_t *site_of; /* by traceback; NULL where nothing is traced */
    const struct ph_owners *owners;
};

/* ---- bytes ---- */

static void put_number(struct writer *w, uint64_t value)
{
    char bytes[10];
    size_t len = 0;
    while (value >= 0x80) {
        bytes[len++] = (char)(value | 0x80);
        value >>= 7;
    }
    bytes[len++] = (char)value;
    ph_str_append_len(&w->section, bytes, len);
}

static void put_text(struct writer *w, const char *text)
{
    size_t len = strlen(text);
    put_number(w, len);
    ph_str_append_len(&w->section, text, len);
}

/* Write the section that was made, and begin another one. A failed write is found by ferror(). */
static enum ph_status end_section(struct writer *w, const char *tag)
{
    uint8_t head[PH_SNAPSHOT_SECTION_BYTES];
    if (w->section.failed)
        return PH_NO_MEMORY;
    memcpy(head, tag, PH_SNAPSHOT_TAG_BYTES);
    ph_snapshot_put(head + 8, w->section.len, 8);
    uint32_t sum = ph_snapshot_checksum(PH_SNAPSHOT_CHECKSUM, head, PH_SNAPSHOT_TAG_BYTES);
    sum = ph_snapshot_checksum(sum, head + 8, 8);
    sum = ph_snapshot_checksum(sum, ph_str_text(&w->section), w->section.len);
    ph_snapshot_put(head + PH_SNAPSHOT_TAG_BYTES, sum, 4);
    fwrite(head, 1, sizeof head, w->out);
    fwrite(ph_str_text(&w->section), 1, w->section.len, w->out);
    ph_str_clear(&w->section);
    return PH_OK;
}

/* ---- tables ---- */

static void write_head(struct writer *w)
{
    uint8_t version[4];
    ph_snapshot_put(version, PH_SNAPSHOT_VERSION, sizeof version);
    fwrite(PH_SNAPSHOT_MARK, 1, PH_SNAPSHOT_MARK_BYTES, w->out);
    fwrite(version, 1, sizeof version, w->out);
}

static enum ph_status write_process(struct writer *w, int64_t now)
{
    const struct ph_python *python = w->heap->objects.python;
    const struct ph_target_info *info = ph_target_info(python->target);
    unsigned flags = (w->site_of ? PH_SNAPSHOT_HAS_SITES : 0) |
                     (w->owners ? PH_SNAPSHOT_HAS_HOLDERS : 0) |
                     (python->untested ? PH_SNAPSHOT_UNTESTED : 0);
    put_number(w, flags);
    put_number(w, w->heap->count);
    put_number(w, ph_snapshot_fold(now));
    put_number(w, info->kind);
    put_number(w, (uint64_t)(info->pid > 0 ? info->pid : 0));
    put_number(w, info->start_time);
    put_number(w, python->anchor);
    put_number(w, python->interpreters.count ? python->interpreters.items[0].address : 0);
    put_number(w, python->build);
    put_text(w, python->version);
    put_text(w, info->path);
    return end_section(w, PH_SNAPSHOT_PROCESS);
}

static enum ph_status write_types(struct writer *w)
{
    const struct ph_objects *objects = &w->heap->objects;
    put_number(w, objects->types.count);
    for (uint32_t i = 0; i < objects->types.count; i++) {
        put_number(w, objects->types.items[i]->address);
        put_text(w, objects->types.items[i]->name);
    }
    return end_section(w, PH_SNAPSHOT_TYPES);
}

static enum ph_status write_names(struct writer *w, const char *const *names, uint32_t count,
                                  const char *tag)
{
    put_number(w, count);
    for (uint32_t i = 0; i < count; i++)
        put_text(w, names[i]);
    return end_section(w, tag);
}

static enum ph_status write_sites(struct writer *w)
{
    const struct ph_trace_sites *sites = w->sites;
    put_number(w, sites->items.count);
    put_number(w, sites->sums.count);
    for (uint32_t i = 0; i < sites->items.count; i++) {
        const struct ph_trace_site *site = &sites->items.items[i];
        const struct ph_trace_frame *frame = ph_trace_innermost(w->traces, site->traceback);
        put_number(w, frame->file);
        put_number(w, frame->line);
        put_number(w, site->sum_count);
        for (uint32_t j = 0; j < site->sum_count; j++) {
            const struct ph_trace_sum *sum = &sites->sums.items[site->first_sum + j];
            put_number(w, sum->content);
            put_number(w, sum->content == PH_TRACE_RAW ? 0 : sum->type);
            put_number(w, sum->count);
            put_number(w, sum->bytes);
        }
    }
    return end_section(w, PH_SNAPSHOT_SITES);
}

/* ---- sites ---- */

/* A place as one number: files of equal names are one. 0 is no key of a map. */
static uint64_t place_key(const struct writer *w, const uint32_t *names, uint32_t traceback)
{
    const struct ph_trace_frame *frame = ph_trace_innermost(w->traces, traceback);
    return ((uint64_t)names[frame->file] + 1) << 32 | frame->line;
}

/* The number of each file's name. NULL: out of memory. */
static uint32_t *number_files(const struct ph_traces *traces)
{
    struct ph_names names = {0};
    uint32_t *numbers = ph_malloc((traces->files.count + 1u) * sizeof *numbers);
    bool ok = numbers;
    for (uint32_t i = 0; ok && i < traces->files.count; i++)
        ok = ph_names_id(&names, traces->files.items[i], &numbers[i]);
    ph_names_free(&names);
    if (ok)
        return numbers;
    free(numbers);
    return NULL;
}

/* Which site each traceback belongs to. */
static bool find_sites(struct writer *w)
{
    struct ph_map places = {0}; /* -> site */
    uint32_t *names = number_files(w->traces);
    w->site_of = ph_malloc((w->traces->tracebacks.count + 1u) * sizeof *w->site_of);
    bool ok = names && w->site_of;
    for (uint32_t i = 0; ok && i < w->sites->items.count; i++)
        ok = ph_map_insert(&places, place_key(w, names, w->sites->items.items[i].traceback), i);
    for (uint32_t i = 0; ok && i < w->traces->tracebacks.count; i++) {
        w->site_of[i] = PH_NO_PLACE;
        ph_map_find(&places, place_key(w, names, i), &w->site_of[i]);
    }
    ph_map_free(&places);
    free(names);
    return ok;
}

static uint32_t site_of_object(const struct writer *w, uint32_t id)
{
    ph_addr start = ph_heap_address(w->heap, id) - ph_heap_type(w->heap, id)->header_bytes;
    const struct ph_trace_block *block = ph_traces_find(w->traces, start);
    bool its_own = block && block->address == start && block->domain == 0;
    return its_own ? w->site_of[block->traceback] : PH_NO_PLACE;
}

/* ---- objects ---- */

static void put_object(struct writer *w, uint32_t id, ph_addr last)
{
    uint64_t bytes = ph_heap_sizeof(w->heap, id), allocated = ph_heap_allocated(w->heap, id);
    put_number(w, ph_heap_address(w->heap, id) - last);
    put_number(w, w->heap->type_ids[id]);
    put_number(w, bytes);
    put_number(w, ph_snapshot_fold((int64_t)(allocated - bytes)));
    put_number(w, ph_object_identity(w->heap, id, PH_SNAPSHOT_IDENTITY_BITS));
    /* One more than the number: 0 is none. */
    if (w->site_of)
        put_number(w, site_of_object(w, id) + 1u);
    if (w->owners)
        put_number(w, w->owners->of[id] + 1u);
}

static enum ph_status write_objects(struct writer *w)
{
    enum ph_status status = PH_OK;
    for (uint32_t id = 0; id < w->heap->count && !status;) {
        uint32_t end = w->heap->count - id < PH_SNAPSHOT_CHUNK_OBJECTS
                           ? w->heap->count
                           : id + PH_SNAPSHOT_CHUNK_OBJECTS;
        ph_addr last = 0;
        put_number(w, end - id);
        for (; id < end; id++) {
            put_object(w, id, last);
            last = ph_heap_address(w->heap, id);
        }
        status = end_section(w, PH_SNAPSHOT_OBJECTS);
        if (!status && ph_host_interrupted(w->host))
            status = PH_INTERRUPTED;
        if (!status && ferror(w->out))
            break; /* the caller finds it */
        ph_host_progress(w->host, "saving", (unsigned)(100ull * id / w->heap->count));
    }
    ph_host_progress(w->host, NULL, 0);
    put_number(w, w->heap->count);
    return status ? status : end_section(w, PH_SNAPSHOT_END);
}

/* ---- all ---- */

static enum ph_status write_all(struct writer *w, int64_t now)
{
    write_head(w);
    enum ph_status status = write_process(w, now);
    if (!status)
        status = write_types(w);
    if (!status && w->site_of)
        status = write_names(w, w->traces->files.items, w->traces->files.count, PH_SNAPSHOT_FILES);
    if (!status && w->site_of)
        status = write_sites(w);
    if (!status && w->owners)
        status =
            write_names(w, w->owners->names.items, w->owners->names.count, PH_SNAPSHOT_HOLDERS);
    return status ? status : write_objects(w);
}

enum ph_status ph_snapshot_write(struct ph_heap *heap, struct ph_graph *graph, int64_t now,
                                 const struct ph_host *host, FILE *out, struct ph_error *err)
{
    struct ph_traces traces = {0};
    struct ph_trace_sites sites = {0};
    struct ph_owners owners = {0};
    struct writer w = {.heap = heap, .host = host, .out = out, .traces = &traces, .sites = &sites};
    enum ph_status status = ph_heap_measure(heap, true, host, err);
    if (!status && graph)
        status = ph_owners_find(graph, host, &owners, err);
    if (!status)
        status = ph_traces_read(heap, host, &traces, err);
    if (!status && traces.source.tracing) {
        const struct ph_trace_filter all = {0};
        status =
            ph_trace_sites_make(&traces, PH_TRACE_BY_LINE, PH_TRACE_ORDER_SITE, &all, &sites, err);
        if (!status && !find_sites(&w))
            status = ph_fail(err, PH_NO_MEMORY, "out of memory");
    }
    if (!status) {
        w.owners = graph ? &owners : NULL;
        status = write_all(&w, now);
        if (status)
            ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
    }
    ph_trace_sites_free(&sites);
    ph_traces_free(&traces);
    ph_owners_free(&owners);
    free(w.site_of);
    ph_str_free(&w.section);
    return status;
}
