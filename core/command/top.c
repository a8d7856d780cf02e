#include "analysis/histogram.h"
#include "command/session.h"

#include <stdlib.h>

/* One row: a type, or all types of a module. */
struct row {
    char *name; /* owned; NULL: the type's */
    struct ph_type_sum sum;
};

struct rows {
    struct row *items;
    size_t count;
};

enum key { KEY_BYTES, KEY_COUNT, KEY_ALLOCATED, KEY_TYPE };
static const char *const sort_keys[] = {"bytes", "count", "allocated", "type", NULL};

static const char *row_name(const struct row *r)
{
    return r->name ? r->name : r->sum.type->name;
}

static int by_name(const struct row *x, const struct row *y)
{
    int order = strcmp(row_name(x), row_name(y));
    if (order != 0)
        return order;
    return x->sum.type->address < y->sum.type->address
               ? -1
               : x->sum.type->address > y->sum.type->address;
}

static int compare(const void *a, const void *b, void *ctx)
{
    const struct row *x = a, *y = b;
    uint64_t p = x->sum.bytes, q = y->sum.bytes;
    enum key key = *(const enum key *)ctx;
    if (key == KEY_TYPE)
        return by_name(x, y);
    if (key == KEY_COUNT) {
        p = x->sum.count;
        q = y->sum.count;
    } else if (key == KEY_ALLOCATED) {
        p = x->sum.allocated;
        q = y->sum.allocated;
    }
    return p > q ? -1 : p < q ? 1 : by_name(x, y);
}

static void free_rows(void *ctx)
{
    struct rows *rows = ctx;
    for (size_t i = 0; i < rows->count; i++)
        free(rows->items[i].name);
    free(rows->items);
    free(rows);
}

static unsigned type_row(void *ctx, uint64_t i, struct ph_value *values)
{
    const struct row *r = &((const struct rows *)ctx)->items[i];
    values[0] = ph_value_count((int64_t)r->sum.count);
    values[1] = ph_value_bytes(r->sum.bytes);
    values[2] = ph_value_bytes(r->sum.allocated);
    values[3] = r->name ? (struct ph_value){0} : ph_value_addr(r->sum.type->address);
    values[4] = ph_value_text(row_name(r));
    return 0;
}

static const struct ph_column type_columns[] = {
    {"count", "COUNT", 0},
    {"bytes", "BYTES", 0},
    {"allocated", "ALLOCATED", 0},
    {"type_address", "", PH_COLUMN_JSON_ONLY},
    {"type", "TYPE", PH_COLUMN_LAST},
};

static bool same_module(const struct ph_type *a, const struct ph_type *b)
{
    return a->module_len == b->module_len && memcmp(a->name, b->name, a->module_len) == 0;
}

/* Add the types of one module up in its first row. Quadratic in modules, of which there are few. */
static void merge_modules(struct rows *rows)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++) {
        const struct row r = rows->items[i];
        size_t at = 0;
        while (at < kept && !same_module(rows->items[at].sum.type, r.sum.type))
            at++;
        if (at == kept) {
            rows->items[kept] = r;
            rows->items[kept].name = r.sum.type->module_len
                                         ? strndup(r.sum.type->name, r.sum.type->module_len)
                                         : strdup("builtins");
            kept++;
            continue;
        }
        rows->items[at].sum.count += r.sum.count;
        rows->items[at].sum.bytes += r.sum.bytes;
        rows->items[at].sum.allocated += r.sum.allocated;
    }
    rows->count = kept;
}

static struct rows *make_rows(const struct ph_histogram *histogram)
{
    struct rows *rows = ph_calloc(1, sizeof *rows);
    if (!rows)
        return NULL;
    rows->items = ph_calloc(histogram->types.count + 1u, sizeof *rows->items);
    for (uint32_t i = 0; rows->items && i < histogram->types.count; i++)
        rows->items[rows->count++].sum = histogram->types.items[i];
    if (rows->items)
        return rows;
    free(rows);
    return NULL;
}

static enum key sort_key(const struct ph_options *options)
{
    for (size_t i = 0; options->sort && sort_keys[i]; i++) {
        if (strcmp(options->sort, sort_keys[i]) == 0)
            return (enum key)i;
    }
    return KEY_BYTES;
}

static void write_total(struct ph_doc *doc, const struct ph_type_sum *total, uint64_t types)
{
    char count[32], bytes[32], kinds[32];
    ph_doc_object_begin(doc, "total");
    ph_doc_count(doc, "types", NULL, (int64_t)types);
    ph_doc_count(doc, "count", NULL, (int64_t)total->count);
    ph_doc_bytes(doc, "bytes", NULL, total->bytes);
    ph_doc_bytes(doc, "allocated", NULL, total->allocated);
    ph_doc_object_end(doc);
    ph_doc_line(doc, "%s objects of %s types, %s", ph_format_count(count, (int64_t)total->count),
                ph_format_count(kinds, (int64_t)types), ph_format_bytes(bytes, total->bytes));
}

static enum ph_status run_top(struct ph_session *s, const struct ph_invocation *inv,
                              struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    struct ph_filter filter;
    struct ph_histogram histogram;
    enum ph_status status = ph_filter_from_options(&inv->options, &filter, err);
    if (!status)
        status = ph_session_heap(s, &heap, err);
    if (!status)
        status = ph_histogram_make(heap, &filter, true, ph_session_host(s), &histogram, err);
    if (status)
        return status;
    uint64_t type_count = histogram.types.count;
    struct rows *rows = make_rows(&histogram);
    ph_histogram_free(&histogram);
    if (!rows)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    bool by_module = inv->options.group_by && strcmp(inv->options.group_by, "module") == 0;
    if (by_module)
        merge_modules(rows);
    enum key key = sort_key(&inv->options);
    qsort_r(rows->items, rows->count, sizeof *rows->items, compare, &key);
    uint64_t shown = ph_rows_shown(inv, rows->count), count = rows->count;
    ph_doc_python(doc, heap->objects.python);
    ph_doc_text(doc, "scope", NULL, ph_scope_name(filter.scope));
    ph_doc_table(doc, &(struct ph_table){
                          .key = "types",
                          .columns = type_columns,
                          .column_count = sizeof type_columns / sizeof *type_columns,
                          .row_count = shown,
                          .row = type_row,
                          .ctx = rows,
                          .free_ctx = free_rows,
                      });
    ph_doc_line(doc, "%s", "");
    write_total(doc, &histogram.total, type_count);
    ph_doc_rows_footer(doc, shown, count, by_module ? "modules" : "types");
    ph_doc_skipped(doc, heap);
    return PH_OK;
}

const struct ph_command ph_command_top = {
    .name = "top",
    .operands_text = "",
    .brief = "live objects by type, counts and bytes",
    .help = "Count the live objects of each type and add up their sizes, largest first.\n\n"
            "BYTES is what sys.getsizeof says of each object; ALLOCATED is what the memory "
            "allocators hold for it, with separate buffers and rounding.\n\n"
            "Scopes: tracked is what gc.get_objects() lists; reachable is what strong references "
            "reach from there, from roots and from static types; unreachable is what is allocated "
            "and plainly an object though nothing found refers to it; all is everything.",
    .operands = PH_OPERANDS_NONE,
    .options = PH_TAKES(scope) | PH_TAKES(type) | PH_TAKES(gen) | PH_TAKES(min_bytes) |
               PH_TAKES(max_bytes) | PH_TAKES(group_by),
    .sort_keys = sort_keys,
    .run = run_top,
};
