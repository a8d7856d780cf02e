#include "analysis/dominated.h"
#include "analysis/histogram.h"
#include "analysis/threads.h"
#include "command/session.h"
#include "command/top_values.h"

#include <inttypes.h>
#include <stdlib.h>

/* One row: a type, all types of a module, or what one thread alone keeps alive. */
struct row {
    char *name; /* owned; NULL: the type's */
    struct ph_type_sum sum;
    uint64_t retained;
};

struct rows {
    struct row *items;
    size_t count;
    bool retained; /* was asked for */
};

enum key { KEY_BYTES, KEY_COUNT, KEY_ALLOCATED, KEY_TYPE, KEY_RETAINED };
static const char *const sort_keys[] = {"bytes", "count", "allocated", "type", "retained", NULL};

static const char *row_name(const struct row *r)
{
    return r->name ? r->name : r->sum.type->name;
}

static int by_name(const struct row *x, const struct row *y)
{
    int order = strcmp(row_name(x), row_name(y));
    if (order != 0 || !x->sum.type || !y->sum.type)
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
    } else if (key == KEY_RETAINED) {
        p = x->retained;
        q = y->retained;
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
    const struct rows *rows = ctx;
    const struct row *r = &rows->items[i];
    unsigned n = 0;
    values[n++] = ph_value_count((int64_t)r->sum.count);
    values[n++] = ph_value_bytes(r->sum.bytes);
    values[n++] = ph_value_bytes(r->sum.allocated);
    if (rows->retained)
        values[n++] = ph_value_bytes(r->retained);
    values[n++] = r->name ? (struct ph_value){0} : ph_value_addr(r->sum.type->address);
    values[n] = ph_value_text(row_name(r));
    return 0;
}

static const struct ph_column type_columns[] = {
    {"count", "COUNT", 0},
    {"bytes", "BYTES", 0},
    {"allocated", "ALLOCATED", 0},
    {"type_address", "", PH_COLUMN_JSON_ONLY},
    {"type", "TYPE", PH_COLUMN_LAST},
};

static const struct ph_column retained_columns[] = {
    {"count", "COUNT", 0},
    {"bytes", "BYTES", 0},
    {"allocated", "ALLOCATED", 0},
    {"retained", "RETAINED", 0},
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

static struct rows *allocate_rows(size_t most)
{
    struct rows *rows = ph_calloc(1, sizeof *rows);
    if (rows)
        rows->items = ph_calloc(most + 1, sizeof *rows->items);
    if (rows && rows->items)
        return rows;
    free(rows);
    return NULL;
}

/* The retained sizes of the rows, which are of types or, merged, of modules. */
static bool add_retained(struct rows *rows, const struct ph_graph *graph,
                         const struct ph_filter *filter)
{
    const struct ph_objects *objects = &graph->heap->objects;
    uint32_t *groups = ph_malloc((objects->types.count + 1u) * sizeof *groups);
    for (uint32_t t = 0; groups && t < objects->types.count; t++) {
        groups[t] = t;
        for (size_t i = 0; i < rows->count && rows->items[i].name; i++) {
            if (same_module(rows->items[i].sum.type, objects->types.items[t]))
                groups[t] = rows->items[i].sum.type->id;
        }
    }
    uint64_t *retained = groups ? ph_retained_by_type(graph, filter, groups) : NULL;
    for (size_t i = 0; retained && i < rows->count; i++)
        rows->items[i].retained = retained[rows->items[i].sum.type->id];
    rows->retained = true;
    free(groups);
    free(retained);
    return retained;
}

/* graph: NULL where retained sizes were not asked for. */
static enum ph_status make_type_rows(struct ph_session *s, struct ph_heap *heap,
                                     const struct ph_graph *graph, const struct ph_filter *filter,
                                     bool by_module, struct rows **out, struct ph_error *err)
{
    struct ph_histogram histogram;
    enum ph_status status =
        ph_histogram_make(heap, filter, true, ph_session_host(s), &histogram, err);
    if (status)
        return status;
    struct rows *rows = allocate_rows(histogram.types.count);
    for (uint32_t i = 0; rows && i < histogram.types.count; i++)
        rows->items[rows->count++].sum = histogram.types.items[i];
    ph_histogram_free(&histogram);
    if (rows && by_module)
        merge_modules(rows);
    if (rows && (!graph || add_retained(rows, graph, filter))) {
        *out = rows;
        return PH_OK;
    }
    if (rows)
        free_rows(rows);
    return ph_fail(err, PH_NO_MEMORY, "out of memory");
}

static char *thread_name(const struct ph_python *python, uint32_t i)
{
    struct ph_str name = {0};
    if (i == python->threads.count) {
        ph_str_append(&name, "held by several threads or by none");
    } else {
        const struct ph_python_thread *t = &python->threads.items[i];
        ph_str_appendf(&name, t->native_id ? "thread %" PRIu64 : "thread 0x%" PRIx64,
                       t->native_id ? t->native_id : t->ident);
        ph_str_append(&name, *ph_python_thread_name(t) ? " " : "");
        ph_str_append_visible(&name, ph_python_thread_name(t), strlen(ph_python_thread_name(t)));
    }
    char *copy = strdup(ph_str_text(&name));
    ph_str_free(&name);
    return copy;
}

/* What a thread alone keeps alive would go with it. */
static enum ph_status make_thread_rows(struct ph_session *s, struct ph_graph *graph,
                                       const struct ph_filter *filter, bool retained,
                                       struct rows **out, struct ph_error *err)
{
    struct ph_thread_sum *sums;
    enum ph_status status = ph_thread_sums(graph, filter, ph_session_host(s), &sums, err);
    if (status)
        return status;
    const struct ph_python *python = graph->heap->objects.python;
    struct rows *rows = allocate_rows(python->threads.count + 1u);
    bool ok = rows;
    for (uint32_t i = 0; ok && i <= python->threads.count; i++) {
        struct row *r = &rows->items[rows->count++];
        r->name = thread_name(python, i);
        r->sum.count = sums[i].count;
        r->sum.bytes = sums[i].bytes;
        r->sum.allocated = sums[i].allocated;
        r->retained = i < python->threads.count ? sums[i].bytes : 0;
        rows->retained = retained;
        ok = r->name;
    }
    free(sums);
    if (!ok && rows)
        free_rows(rows);
    if (!ok)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    *out = rows;
    return PH_OK;
}

static enum key sort_key(const struct ph_options *options)
{
    for (size_t i = 0; options->sort && sort_keys[i]; i++) {
        if (strcmp(options->sort, sort_keys[i]) == 0)
            return (enum key)i;
    }
    return KEY_BYTES;
}

/* thing: what a row is of. */
static void write_total(struct ph_doc *doc, const struct rows *rows, const char *thing)
{
    char count[32], bytes[32], kinds[32];
    struct ph_type_sum total = {0};
    for (size_t i = 0; i < rows->count; i++) {
        total.count += rows->items[i].sum.count;
        total.bytes += rows->items[i].sum.bytes;
        total.allocated += rows->items[i].sum.allocated;
    }
    ph_doc_object_begin(doc, "total");
    ph_doc_count(doc, "types", NULL, (int64_t)rows->count);
    ph_doc_count(doc, "count", NULL, (int64_t)total.count);
    ph_doc_bytes(doc, "bytes", NULL, total.bytes);
    ph_doc_bytes(doc, "allocated", NULL, total.allocated);
    ph_doc_object_end(doc);
    ph_doc_line(doc, "%s object%s of %s %s%s, %s", ph_format_count(count, (int64_t)total.count),
                ph_plural(total.count), ph_format_count(kinds, (int64_t)rows->count), thing,
                ph_plural(rows->count), ph_format_bytes(bytes, total.bytes));
}

enum group { GROUP_TYPE, GROUP_MODULE, GROUP_THREAD, GROUP_VALUE };
static const char *const group_thing[] = {"type", "module", "thread", "value"};
static const char *const group_things[] = {"types", "modules", "threads", "values"};

static enum group group_by(const struct ph_options *options)
{
    const char *word = options->group_by ? options->group_by : "type";
    return strcmp(word, "module") == 0   ? GROUP_MODULE
           : strcmp(word, "thread") == 0 ? GROUP_THREAD
           : strcmp(word, "value") == 0  ? GROUP_VALUE
                                         : GROUP_TYPE;
}

static enum ph_status run_top(struct ph_session *s, const struct ph_invocation *inv,
                              struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    struct ph_graph *graph = NULL;
    struct ph_filter filter;
    struct rows *rows = NULL;
    enum key key = sort_key(&inv->options);
    enum group group = group_by(&inv->options);
    bool retained = key == KEY_RETAINED;
    if (group == GROUP_VALUE)
        return ph_top_values(s, inv, doc, err);
    enum ph_status status = ph_filter_from_options(&inv->options, &filter, err);
    if (!status)
        status = ph_session_heap_measured(s, &heap, err);
    if (!status && (retained || group == GROUP_THREAD))
        status = ph_session_graph(s, retained, &graph, err);
    if (status)
        return status;
    if (graph) /* built anew where memory had run out in between */
        heap = graph->heap;
    status = group == GROUP_THREAD
                 ? make_thread_rows(s, graph, &filter, retained, &rows, err)
                 : make_type_rows(s, heap, graph, &filter, group == GROUP_MODULE, &rows, err);
    if (status)
        return status;
    qsort_r(rows->items, rows->count, sizeof *rows->items, compare, &key);
    uint64_t shown = ph_rows_shown(inv, rows->count), count = rows->count;
    ph_doc_python(doc, heap->objects.python);
    ph_doc_text(doc, "scope", NULL, ph_scope_name(filter.scope));
    const struct ph_column *columns = retained ? retained_columns : type_columns;
    ph_doc_table(doc, &(struct ph_table){
                          .key = "types",
                          .columns = columns,
                          .column_count = sizeof type_columns / sizeof *type_columns + retained,
                          .row_count = shown,
                          .row = type_row,
                          .ctx = rows,
                          .free_ctx = free_rows,
                      });
    ph_doc_line(doc, "%s", "");
    write_total(doc, rows, group_thing[group]);
    ph_doc_rows_footer(doc, shown, count, group_things[group]);
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
            "and plainly an object though nothing found refers to it; all is everything.\n\n"
            "--sort retained adds what would be freed at least if all objects of a type went, with "
            "what nothing else keeps alive. --group-by thread tells what the frames and the state "
            "of each thread alone keep alive. --group-by value counts equal values of one type: of "
            "str, bytes, int, float and complex objects and instances of their subclasses.",
    .operands = PH_OPERANDS_NONE,
    .options = PH_TAKES(scope) | PH_TAKES(type) | PH_TAKES(gen) | PH_TAKES(min_bytes) |
               PH_TAKES(max_bytes) | PH_TAKES(group_by),
    .sort_keys = sort_keys,
    .run = run_top,
};
