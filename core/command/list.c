#include "analysis/filter.h"
#include "command/session.h"

#include <stdlib.h>

enum { SUMMARY_CHARS = 60, OBJECTS_A_LOOK = 1 << 16 };

struct match {
    uint32_t id;
    uint64_t bytes;
};

struct matches {
    struct ph_heap *heap;
    struct match *items;
    uint32_t count, capacity;
    uint64_t offset;
    uint64_t summary_chars;
    struct ph_str summary;
};

enum key { KEY_BYTES, KEY_ADDRESS, KEY_REFCOUNT };
static const char *const sort_keys[] = {"bytes", "address", "refcount", NULL};

/* Ids ascend with the address, so that they break ties. */
static int by_bytes(const void *a, const void *b)
{
    const struct match *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_refcount(const void *a, const void *b, void *ctx)
{
    const struct match *x = a, *y = b;
    int64_t m, n;
    bool p = ph_heap_refcount(ctx, x->id, &m), q = ph_heap_refcount(ctx, y->id, &n);
    if (p != q)
        return p ? 1 : -1; /* immortal ones first */
    return m != n && p ? (m > n ? -1 : 1) : by_bytes(a, b);
}

static void sort_matches(struct matches *m, const char *sort)
{
    if (sort && strcmp(sort, sort_keys[KEY_ADDRESS]) == 0)
        return; /* found in that order */
    if (sort && strcmp(sort, sort_keys[KEY_REFCOUNT]) == 0)
        qsort_r(m->items, m->count, sizeof *m->items, by_refcount, m->heap);
    else if (m->count)
        qsort(m->items, m->count, sizeof *m->items, by_bytes);
}

static void free_matches(void *ctx)
{
    struct matches *m = ctx;
    free(m->items);
    ph_str_free(&m->summary);
    free(m);
}

static enum ph_status find(struct matches *m, const struct ph_filter *filter,
                           const struct ph_host *host, struct ph_error *err)
{
    uint8_t *types = ph_filter_types(m->heap, filter);
    enum ph_status status = types ? PH_OK : PH_NO_MEMORY;
    for (uint32_t id = 0; id < m->heap->count && !status; id++) {
        struct match found = {.id = id};
        if (id % OBJECTS_A_LOOK == 0 && ph_host_interrupted(host))
            status = PH_INTERRUPTED;
        else if (ph_filter_accepts(m->heap, filter, types, id, &found.bytes) &&
                 !ph_array_push(m, found))
            status = PH_NO_MEMORY;
    }
    free(types);
    if (status)
        return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
    return PH_OK;
}

static unsigned object_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct matches *m = ctx;
    const struct match *match = &m->items[m->offset + i];
    int64_t refcount;
    bool mortal = ph_heap_refcount(m->heap, match->id, &refcount);
    ph_str_clear(&m->summary);
    ph_heap_summary(m->heap, match->id, m->summary_chars, &m->summary);
    values[0] = ph_value_addr(m->heap->addresses[match->id]);
    values[1] = ph_value_bytes(match->bytes);
    values[2] = mortal ? ph_value_count(refcount) : ph_value_null();
    values[3] = ph_value_text(ph_heap_type(m->heap, match->id)->name);
    values[4] = ph_value_text(ph_str_text(&m->summary));
    return 0;
}

static const struct ph_column object_columns[] = {
    {"address", "ADDRESS", 0}, {"bytes", "BYTES", PH_COLUMN_EXACT},    {"refcount", "REFS", 0},
    {"type", "TYPE", 0},       {"summary", "SUMMARY", PH_COLUMN_LAST},
};

static void write_matches(struct ph_doc *doc, struct matches *m, const struct ph_invocation *inv)
{
    uint64_t count = m->count, left = count > m->offset ? count - m->offset : 0;
    uint64_t shown = ph_rows_shown(inv, left);
    bool bare = inv->options.addresses;
    if (count == 0 && !bare)
        ph_doc_line(doc, "No objects match '%s'; `top --limit 0` lists the types.",
                    inv->operands[0].text);
    ph_doc_count(doc, "matched", NULL, (int64_t)count);
    ph_doc_table(doc, &(struct ph_table){
                          .key = "objects",
                          .columns = object_columns,
                          .column_count = sizeof object_columns / sizeof *object_columns,
                          .row_count = shown,
                          .row = object_row,
                          .ctx = m,
                          .free_ctx = free_matches,
                          .flags = bare         ? PH_TABLE_BARE
                                   : count == 0 ? PH_TABLE_NO_HEADER
                                                : 0,
                      });
    if (!bare)
        ph_doc_page_footer(doc, m->offset, shown, count, "objects");
}

static enum ph_status run_list(struct ph_session *s, const struct ph_invocation *inv,
                               struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    struct ph_filter filter;
    enum ph_status status = ph_filter_from_options(&inv->options, &filter, err);
    filter.type_glob = inv->operands[0].text;
    if (!status)
        status = ph_session_heap(s, &heap, err);
    if (status)
        return status;
    struct matches *m = ph_calloc(1, sizeof *m);
    if (!m)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    m->heap = heap;
    m->offset = inv->options.offset;
    m->summary_chars = inv->options.given & PH_TAKES(length) ? inv->options.length : SUMMARY_CHARS;
    status = find(m, &filter, ph_session_host(s), err);
    if (status) {
        free_matches(m);
        return status;
    }
    sort_matches(m, inv->options.sort);
    ph_doc_python(doc, heap->objects.python);
    write_matches(doc, m, inv);
    if (!inv->options.addresses)
        ph_doc_skipped(doc, heap);
    return PH_OK;
}

const struct ph_command ph_command_list = {
    .name = "list",
    .operands_text = "TYPE",
    .brief = "the instances of a type, largest first",
    .help = "List the objects whose type's name is TYPE or matches it as a glob: dict, "
            "collections.deque, 'app.models.*', '*'. Built-in types go by their bare name, all "
            "others by module and qualified name.\n\n"
            "REFS is the reference count; immortal objects have none.",
    .operands = PH_OPERANDS_TEXT,
    .options = PH_TAKES(scope) | PH_TAKES(gen) | PH_TAKES(min_bytes) | PH_TAKES(max_bytes) |
               PH_TAKES(addresses) | PH_TAKES(offset) | PH_TAKES(length),
    .sort_keys = sort_keys,
    .run = run_list,
};
