#include "command/session.h"

#include "analysis/filter.h"
#include "layout/described.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { DEFAULT_LIMIT = 20, MOST_LAYOUT_BYTES = 1 << 20 };

/* A user's .layout file. */
struct layout_file {
    char *path, *text;
    size_t len;
};

enum reach { REACH_NOTHING, REACH_PID, REACH_CORE, REACH_DEBUGGED };

struct ph_session {
    const struct ph_host *host;
    enum reach reach;
    pid_t pid;
    char *core, *exe, *sysroot;
    struct ph_target *target;
    struct ph_python *python;
    struct ph_heap *heap;
    struct ph_graph *graph;
    PH_ARRAY(struct layout_file) layouts; /* the last one goes first */
    struct ph_describing describing;      /* what they and the shipped ones say, for python */
};

struct ph_session *ph_session_create(const struct ph_host *host)
{
    struct ph_session *s = ph_calloc(1, sizeof *s);
    if (s)
        s->host = host;
    return s;
}

static void drop_heap(struct ph_session *s)
{
    ph_graph_destroy(s->graph);
    ph_heap_destroy(s->heap);
    s->graph = NULL;
    s->heap = NULL;
}

void ph_session_drop(struct ph_session *s)
{
    drop_heap(s);
    ph_python_close(s->python);
    ph_target_close(s->target);
    ph_describing_free(&s->describing);
    s->python = NULL;
    s->target = NULL;
}

static void free_layout(struct layout_file *file)
{
    free(file->path);
    free(file->text);
}

void ph_session_destroy(struct ph_session *s)
{
    if (!s)
        return;
    ph_session_drop(s);
    for (uint32_t i = 0; i < s->layouts.count; i++)
        free_layout(&s->layouts.items[i]);
    ph_array_free(&s->layouts);
    free(s->core);
    free(s->exe);
    free(s->sysroot);
    free(s);
}

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void use(struct ph_session *s, enum reach reach, pid_t pid, const char *core,
                const char *exe, const char *sysroot)
{
    if (s->reach == reach && s->pid == pid && same(s->core, core) && same(s->exe, exe) &&
        same(s->sysroot, sysroot))
        return;
    ph_session_drop(s);
    free(s->core);
    free(s->exe);
    free(s->sysroot);
    s->reach = reach;
    s->pid = pid;
    s->core = copy(core);
    s->exe = copy(exe);
    s->sysroot = copy(sysroot);
}

void ph_session_use_pid(struct ph_session *s, pid_t pid)
{
    use(s, REACH_PID, pid, NULL, NULL, NULL);
}

void ph_session_use_core(struct ph_session *s, const char *core, const char *exe,
                         const char *sysroot)
{
    /* Absolute, so that `info` names the file as a debugger's plugin does. */
    char *absolute = realpath(core, NULL);
    use(s, REACH_CORE, 0, absolute ? absolute : core, exe, sysroot);
    free(absolute);
}

void ph_session_use_debugged(struct ph_session *s, pid_t pid, const char *core)
{
    use(s, REACH_DEBUGGED, pid, core, NULL, NULL);
}

static enum ph_status open_target(struct ph_session *s, struct ph_error *err)
{
    switch (s->reach) {
    case REACH_PID:
        return ph_target_open_live(s->pid, true, s->host, &s->target, err);
    case REACH_CORE:
        return ph_target_open_core(s->core, s->exe, s->sysroot, s->host, &s->target, err);
    case REACH_DEBUGGED:
        return ph_target_open_debugged(s->pid, s->core, s->host, &s->target, err);
    case REACH_NOTHING:
        break;
    }
    return ph_fail(err, PH_USAGE,
                   "what to look at? Give --pid PID or --core CORE before the command");
}

enum ph_status ph_session_check_still(struct ph_session *s, enum ph_status status,
                                      struct ph_error *err)
{
    bool own_fault = status == PH_INTERRUPTED || status == PH_NO_MEMORY || status == PH_USAGE;
    if (!s->target || own_fault)
        return status;
    enum ph_status still = ph_target_check_still(s->target, err);
    return still ? still : status;
}

/* ---- types of extension modules ---- */

/* Read files for the interpreter, or while there is none for the newest of this machine. */
static enum ph_status read_layouts(const struct ph_session *s, const struct layout_file *files,
                                   uint32_t count, struct ph_describing *out, struct ph_error *err)
{
    struct ph_layout_machine machine = {.word_bytes = sizeof(void *)};
    struct ph_layout_text *texts = ph_calloc(count + 1u, sizeof *texts);
    if (!texts)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    if (s->python)
        machine =
            (struct ph_layout_machine){s->python->version_hex, s->python->build,
                                       s->python->layout.word_bytes, s->python->layout.big_endian};
    for (uint32_t i = 0; i < count; i++) {
        const struct layout_file *file = &files[count - 1 - i];
        texts[i] = (struct ph_layout_text){file->path, file->text, file->text + file->len};
    }
    enum ph_status status = ph_describing_load(out, texts, count, &machine, err);
    free(texts);
    return status;
}

/* Let the interpreter know the types that all files describe. */
static enum ph_status describe_types(struct ph_session *s, struct ph_error *err)
{
    struct ph_describing describing;
    enum ph_status status = read_layouts(s, s->layouts.items, s->layouts.count, &describing, err);
    if (status)
        return status;
    ph_describing_free(&s->describing);
    s->describing = describing;
    if (s->python)
        s->python->describing = &s->describing;
    return PH_OK;
}

static enum ph_status read_file(FILE *file, struct layout_file *out, struct ph_error *err)
{
    out->text = ph_malloc(MOST_LAYOUT_BYTES + 1);
    if (!out->path || !out->text)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    out->len = fread(out->text, 1, MOST_LAYOUT_BYTES + 1, file);
    if (ferror(file))
        return ph_fail(err, PH_FAILED, "cannot read %.150s: %s", out->path, strerror(errno));
    if (out->len > MOST_LAYOUT_BYTES)
        return ph_fail(err, PH_FAILED, "%.150s is larger than %d bytes", out->path,
                       MOST_LAYOUT_BYTES);
    return PH_OK;
}

static enum ph_status open_layout(const char *typed, struct layout_file *out, struct ph_error *err)
{
    struct ph_str path = {0};
    ph_str_append_path(&path, typed);
    *out = (struct layout_file){.path = strdup(typed)};
    FILE *file = fopen(ph_str_text(&path), "re");
    ph_str_free(&path);
    if (!file)
        return ph_fail(err, PH_NOT_FOUND, "cannot open %.150s: %s", typed, strerror(errno));
    enum ph_status status = read_file(file, out, err);
    fclose(file);
    return status;
}

/* The file takes the place of an earlier one of its name. */
static enum ph_status keep_layout(struct ph_session *s, struct layout_file *file,
                                  struct ph_error *err)
{
    for (uint32_t i = 0; i < s->layouts.count; i++) {
        struct layout_file *at = &s->layouts.items[i];
        if (strcmp(at->path, file->path) == 0) {
            free_layout(at);
            memmove(at, at + 1, (--s->layouts.count - i) * sizeof *at);
        }
    }
    if (!ph_array_push(&s->layouts, *file))
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    *file = (struct layout_file){0};
    drop_heap(s);
    return PH_OK;
}

static bool is_loaded(const struct ph_session *s, const struct layout_file *file)
{
    const struct layout_file *last =
        s->layouts.count ? &s->layouts.items[s->layouts.count - 1] : NULL;
    return last && strcmp(last->path, file->path) == 0 && last->len == file->len &&
           memcmp(last->text, file->text, file->len) == 0;
}

enum ph_status ph_session_load_layout(struct ph_session *s, const char *path,
                                      const struct ph_decls **decls, struct ph_error *err)
{
    struct layout_file file;
    struct ph_describing alone = {0};
    enum ph_status status = open_layout(path, &file, err);
    if (!status)
        status = read_layouts(s, &file, 1, &alone, err);
    ph_describing_free(&alone);
    bool known = !status && is_loaded(s, &file);
    if (!status && !known)
        status = keep_layout(s, &file, err);
    free_layout(&file);
    /* A snapshot refers to what was read; there is none where it has to be read. */
    if (!status && !(known && s->describing.files.count))
        status = describe_types(s, err);
    if (!status)
        *decls = s->describing.files.items[0];
    return status;
}

const struct ph_python *ph_session_known_python(const struct ph_session *s)
{
    return s->python;
}

/* ---- what commands ask for ---- */

enum ph_status ph_session_python(struct ph_session *s, struct ph_python **python,
                                 struct ph_error *err)
{
    if (s->target && ph_target_has_run(s->target))
        ph_session_drop(s);
    enum ph_status status = s->target ? PH_OK : open_target(s, err);
    if (!status && !s->python) {
        status = ph_session_check_still(s, ph_python_open(s->target, &s->python, err), err);
        if (!status)
            status = describe_types(s, err);
    }
    if (status)
        ph_session_drop(s);
    else
        *python = s->python;
    return status;
}

static enum ph_status build_heap(struct ph_session *s, ph_addr watched, bool measures,
                                 struct ph_heap **heap, struct ph_error *err)
{
    struct ph_python *python;
    enum ph_status status = ph_session_python(s, &python, err);
    if (!status && !s->heap)
        status = ph_heap_build(python, watched, measures, s->host, &s->heap, err);
    if (!status)
        *heap = s->heap;
    return status;
}

enum ph_status ph_session_heap_watching(struct ph_session *s, ph_addr address,
                                        struct ph_heap **heap, struct ph_error *err)
{
    return build_heap(s, address, false, heap, err);
}

enum ph_status ph_session_heap(struct ph_session *s, struct ph_heap **heap, struct ph_error *err)
{
    return build_heap(s, 0, false, heap, err);
}

enum ph_status ph_session_heap_measured(struct ph_session *s, struct ph_heap **heap,
                                        struct ph_error *err)
{
    enum ph_status status = build_heap(s, 0, true, heap, err);
    return status ? status : ph_heap_measure(*heap, true, s->host, err);
}

enum ph_status ph_session_graph(struct ph_session *s, bool measured, struct ph_graph **graph,
                                struct ph_error *err)
{
    struct ph_heap *heap;
    enum ph_status status = build_heap(s, 0, measured, &heap, err);
    if (!status && !s->graph)
        status = ph_graph_build(heap, s->host, &s->graph, err);
    if (!status && measured)
        status = ph_graph_measure(s->graph, s->host, err);
    if (!status)
        *graph = s->graph;
    return status;
}

bool ph_session_wants_description(struct ph_session *s, struct ph_invocation *inv)
{
    if (!ph_invocation_wants_target(inv))
        return false;
    if (inv->options.refresh || (s->target && ph_target_has_run(s->target)))
        ph_session_drop(s);
    inv->options.refresh = false;
    return (s->target || open_target(s, NULL) == PH_OK) && ph_target_wants_description(s->target);
}

enum ph_status ph_session_describe(struct ph_session *s, const struct ph_description *description,
                                   struct ph_error *err)
{
    bool wanted = s->target && ph_target_wants_description(s->target);
    return wanted ? ph_target_describe(s->target, description, err) : PH_OK;
}

const struct ph_host *ph_session_host(const struct ph_session *s)
{
    return s->host;
}

/* ---- what every document has ---- */

void ph_doc_python_words(struct ph_doc *doc, const char *version, unsigned build, bool untested)
{
    static const struct {
        unsigned bit;
        const char *word;
    } words[] = {
        {PH_BUILD_DEBUG, "debug"},
        {PH_BUILD_TRACE_REFS, "trace-refs"},
        {PH_BUILD_FREE_THREADED, "free-threaded"},
        {PH_BUILD_MALLOC, "malloc"},
        {PH_BUILD_MIMALLOC, "mimalloc"},
    };
    ph_doc_object_begin(doc, "python");
    ph_doc_text(doc, "version", NULL, version);
    ph_doc_array_begin(doc, "build");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (build & words[i].bit)
            ph_doc_text(doc, NULL, NULL, words[i].word);
    }
    ph_doc_array_end(doc);
    if (untested)
        ph_doc_bool(doc, "untested", NULL, true);
    ph_doc_object_end(doc);
}

void ph_doc_python(struct ph_doc *doc, const struct ph_python *python)
{
    ph_doc_python_words(doc, python->version, python->build, python->untested);
}

static void skipped(struct ph_doc *doc, bool *any, const char *what, uint64_t count)
{
    char number[32];
    if (!count)
        return;
    if (!*any)
        ph_doc_array_begin(doc, "skipped");
    *any = true;
    ph_doc_object_begin(doc, NULL);
    ph_doc_text(doc, "what", NULL, what);
    ph_doc_count(doc, "count", NULL, (int64_t)count);
    ph_doc_object_end(doc);
    ph_doc_line(doc, "Skipped: %s %s", ph_format_count(number, (int64_t)count), what);
}

static void say_untested(struct ph_doc *doc, const struct ph_python *python)
{
    unsigned table = python->layout.version >> 16;
    if (python->version_hex >> 16 > table)
        ph_doc_line(doc, "Python %s is untested: read as %u.%u by its own debug offsets",
                    python->version, table >> 8, table & 0xff);
    else
        ph_doc_line(doc, "Python %s is untested: no free-threaded %u.%u was ever read",
                    python->version, table >> 8, table & 0xff);
}

void ph_doc_skipped(struct ph_doc *doc, const struct ph_heap *heap)
{
    ph_doc_skipped_with(doc, heap, NULL, 0);
}

void ph_doc_skipped_with(struct ph_doc *doc, const struct ph_heap *heap, const char *what,
                         uint64_t count)
{
    const struct ph_target *target = heap->objects.python->target;
    const struct ph_python *python = heap->objects.python;
    bool any = false;
    uint64_t files = 0;
    if (python->untested)
        say_untested(doc, python);
    while (ph_target_missing_file(target, files))
        files++;
    skipped(doc, &any, "bytes of memory that could not be read", ph_target_missing_bytes(target));
    skipped(doc, &any, "files of the process that are missing or changed", files);
    skipped(doc, &any, "garbage collector lists that break off", heap->broken_lists);
    skipped(doc, &any, "objects that could not be read", heap->unreadable_objects);
    skipped(doc, &any, "references to what is no object", heap->bad_references);
    skipped(doc, &any, "bytes of vast mappings not searched for objects",
            heap->blocks.unsearched_bytes);
    skipped(doc, &any, "memory pools whose free list is damaged", heap->blocks.damaged_count);
    skipped(doc, &any, "heaps of malloc whose chunks do not lead to their end",
            heap->chunks.damaged_count);
    skipped(doc, &any, what, count);
    if (any)
        ph_doc_array_end(doc);
}

void ph_row_text_free(struct ph_row_text *text)
{
    ph_str_free(&text->a);
    ph_str_free(&text->b);
}

/* ---- operands and options ---- */

enum ph_status ph_operand_object(struct ph_heap *heap, const struct ph_invocation *inv, size_t i,
                                 uint32_t *id, struct ph_error *err)
{
    ph_addr address = inv->operands[i].address;
    *id = ph_heap_find(heap, address);
    if (*id != PH_NO_OBJECT)
        return PH_OK;
    if (!ph_target_is_mapped(heap->objects.python->target, address))
        return ph_fail_at(err, PH_NOT_FOUND, address, "0x%" PRIx64 " is not mapped in the process",
                          address);
    return ph_fail_at(err, PH_NOT_FOUND, address,
                      "no Python object begins at 0x%" PRIx64 "; try: whatis 0x%" PRIx64, address,
                      address);
}

uint64_t ph_rows_shown(const struct ph_invocation *inv, uint64_t count)
{
    bool given = inv->options.given & PH_TAKES(limit);
    uint64_t limit = given ? inv->options.limit : DEFAULT_LIMIT;
    return limit == 0 || limit > count ? count : limit;
}

void ph_doc_rows_footer(struct ph_doc *doc, uint64_t shown, uint64_t count, const char *things)
{
    char a[32], b[32];
    if (shown < count)
        ph_doc_line(doc, "%s of %s %s; --limit 0 for all", ph_format_count(a, (int64_t)shown),
                    ph_format_count(b, (int64_t)count), things);
}

void ph_doc_page_footer(struct ph_doc *doc, uint64_t offset, uint64_t shown, uint64_t count,
                        const char *things)
{
    char a[32], b[32], c[32];
    uint64_t next = offset + shown;
    if (shown == count)
        return;
    ph_doc_line(doc, "%s", "");
    if (next < count)
        ph_doc_line(doc, "%s of %s %s; --offset %s for the next, --limit 0 for all",
                    ph_format_count(a, (int64_t)shown), ph_format_count(b, (int64_t)count), things,
                    ph_format_count(c, (int64_t)next));
    else
        ph_doc_line(doc, "the last %s of %s %s", ph_format_count(a, (int64_t)shown),
                    ph_format_count(b, (int64_t)count), things);
}

enum ph_status ph_filter_from_options(const struct ph_options *options, struct ph_filter *filter,
                                      struct ph_error *err)
{
    *filter = PH_FILTER_ALL;
    filter->type_glob = options->type;
    if (options->scope && !ph_scope_parse(options->scope, &filter->scope))
        return ph_fail(err, PH_USAGE,
                       "unknown scope '%.40s'; it is tracked, reachable, unreachable or all",
                       options->scope);
    if (options->given & PH_TAKES(gen)) {
        if (options->gen > PH_GEN_PERMANENT)
            return ph_fail(err, PH_USAGE, "--gen is 0, 1 or 2, or 3 for the permanent generation");
        filter->generation = (int)options->gen;
    }
    if (options->given & PH_TAKES(min_bytes))
        filter->min_bytes = options->min_bytes;
    if (options->given & PH_TAKES(max_bytes))
        filter->max_bytes = options->max_bytes;
    return PH_OK;
}

enum ph_status ph_session_heap_filtered(struct ph_session *s, const struct ph_options *options,
                                        struct ph_filter *filter, struct ph_heap **heap,
                                        struct ph_error *err)
{
    enum ph_status status = ph_filter_from_options(options, filter, err);
    return status ? status : ph_session_heap(s, heap, err);
}
