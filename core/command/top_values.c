#include "command/top_values.h"

#include "analysis/values.h"

#include <stdlib.h>

enum { VALUE_CHARS = 60 };

/* What the table shows; lives as long as the document. */
struct answer {
    struct ph_heap *heap;
    struct ph_value_groups groups;
    const char *sort;
    struct ph_str text;
};

static void free_answer(void *ctx)
{
    struct answer *a = ctx;
    ph_array_free(&a->groups);
    ph_str_free(&a->text);
    free(a);
}

static int compare(const void *a, const void *b, void *ctx)
{
    const struct answer *answer = ctx;
    const struct ph_value_group *x = a, *y = b;
    uint64_t p = x->bytes, q = y->bytes;
    if (strcmp(answer->sort, "count") == 0) {
        p = x->count;
        q = y->count;
    } else if (strcmp(answer->sort, "allocated") == 0) {
        p = x->allocated;
        q = y->allocated;
    } else if (strcmp(answer->sort, "type") == 0) {
        int order = strcmp(ph_heap_type(answer->heap, x->id)->name,
                           ph_heap_type(answer->heap, y->id)->name);
        if (order)
            return order;
    }
    if (p != q)
        return p > q ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static const struct ph_column columns[] = {
    {"count", "COUNT", 0},
    {"bytes", "BYTES", 0},
    {"allocated", "ALLOCATED", 0},
    {"type_address", "", PH_COLUMN_JSON_ONLY},
    {"address", "ADDRESS", 0},
    {"type", "TYPE", 0},
    {"value", "VALUE", PH_COLUMN_LAST},
};

static unsigned value_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct answer *a = ctx;
    const struct ph_value_group *g = &a->groups.items[i];
    const struct ph_type *type = ph_heap_type(a->heap, g->id);
    ph_str_clear(&a->text);
    ph_heap_summary(a->heap, g->id, VALUE_CHARS, &a->text);
    values[0] = ph_value_count(g->count);
    values[1] = ph_value_bytes(g->bytes);
    values[2] = ph_value_bytes(g->allocated);
    values[3] = ph_value_addr(type->address);
    values[4] = ph_value_addr(ph_heap_address(a->heap, g->id));
    values[5] = ph_value_text(type->name);
    values[6] = ph_value_text(ph_str_text(&a->text));
    return 0;
}

static void write_total(struct ph_doc *doc, const struct answer *a)
{
    char count[32], bytes[32], distinct[32];
    uint64_t objects = 0, size = 0, allocated = 0;
    for (uint32_t i = 0; i < a->groups.count; i++) {
        objects += a->groups.items[i].count;
        size += a->groups.items[i].bytes;
        allocated += a->groups.items[i].allocated;
    }
    ph_doc_object_begin(doc, "total");
    ph_doc_count(doc, "types", NULL, a->groups.count);
    ph_doc_count(doc, "count", NULL, (int64_t)objects);
    ph_doc_bytes(doc, "bytes", NULL, size);
    ph_doc_bytes(doc, "allocated", NULL, allocated);
    ph_doc_object_end(doc);
    ph_doc_line(doc, "%s object%s of %s value%s, %s", ph_format_count(count, (int64_t)objects),
                ph_plural(objects), ph_format_count(distinct, a->groups.count),
                ph_plural(a->groups.count), ph_format_bytes(bytes, size));
}

static void write_answer(struct ph_doc *doc, const struct ph_invocation *inv, struct answer *a,
                         enum ph_scope scope)
{
    uint64_t shown = ph_rows_shown(inv, a->groups.count);
    ph_doc_python(doc, a->heap->objects.python);
    ph_doc_text(doc, "scope", NULL, ph_scope_name(scope));
    ph_doc_table(doc, &(struct ph_table){
                          .key = "types",
                          .columns = columns,
                          .column_count = sizeof columns / sizeof *columns,
                          .row_count = shown,
                          .row = value_row,
                          .ctx = a,
                          .free_ctx = free_answer,
                      });
    ph_doc_line(doc, "%s", "");
    write_total(doc, a);
    ph_doc_rows_footer(doc, shown, a->groups.count, "values");
    ph_doc_skipped(doc, a->heap);
}

enum ph_status ph_top_values(struct ph_session *s, const struct ph_invocation *inv,
                             struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    struct ph_filter filter;
    const char *sort = inv->options.sort ? inv->options.sort : "bytes";
    if (strcmp(sort, "retained") == 0)
        return ph_fail(err, PH_USAGE, "--group-by value has no retained sizes");
    enum ph_status status = ph_filter_from_options(&inv->options, &filter, err);
    if (!status)
        status = ph_session_heap_measured(s, &heap, err);
    if (status)
        return status;
    struct answer *a = ph_calloc(1, sizeof *a);
    if (!a)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    a->heap = heap;
    a->sort = sort;
    status =
        ph_values_group(heap, &filter, PH_VALUES_ALLOCATED, ph_session_host(s), &a->groups, err);
    if (status) {
        free_answer(a);
        return status;
    }
    if (a->groups.count)
        qsort_r(a->groups.items, a->groups.count, sizeof *a->groups.items, compare, a);
    write_answer(doc, inv, a, filter.scope);
    return PH_OK;
}
