#include "analysis/cycles.h"
#include "command/session.h"

#include <stdlib.h>

enum { TYPES_SHOWN = 4 };

struct type_count {
    const struct ph_type *type;
    uint32_t count;
};
struct type_counts PH_ARRAY_BODY(struct type_count);

struct rows {
    struct ph_heap *heap;
    struct ph_cycles cycles;
    struct ph_str types;
};

static void free_rows(void *ctx)
{
    struct rows *r = ctx;
    ph_cycles_free(&r->cycles);
    ph_str_free(&r->types);
    free(r);
}

static int by_count(const void *a, const void *b)
{
    const struct type_count *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->type->name, y->type->name);
}

/* A cycle's members by type, most first. */
static bool count_types(const struct rows *r, const struct ph_cycle *cycle, struct type_counts *out)
{
    memset(out, 0, sizeof *out);
    struct ph_map places = {0};
    bool ok = true;
    for (uint32_t i = 0; ok && i < cycle->count; i++) {
        uint32_t id = r->cycles.members[cycle->first + i], place;
        const struct ph_type *type = ph_heap_type(r->heap, id);
        if (!ph_map_find(&places, type->address, &place)) {
            place = out->count;
            ok = ph_array_push(out, ((struct type_count){type, 0})) &&
                 ph_map_insert(&places, type->address, place);
        }
        if (ok)
            out->items[place].count++;
    }
    ph_map_free(&places);
    if (ok && out->count)
        qsort(out->items, out->count, sizeof *out->items, by_count);
    if (!ok)
        ph_array_free(out);
    return ok;
}

static unsigned cycle_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct rows *r = ctx;
    const struct ph_cycle *cycle = &r->cycles.cycles.items[i];
    struct type_counts types;
    char number[32];
    ph_str_clear(&r->types);
    if (count_types(r, cycle, &types)) {
        for (uint32_t t = 0; t < types.count && t < TYPES_SHOWN; t++)
            ph_str_appendf(&r->types, "%s%s %s", t ? ", " : "",
                           ph_format_count(number, types.items[t].count),
                           types.items[t].type->name);
        if (types.count > TYPES_SHOWN)
            ph_str_appendf(&r->types, ", and %s more types",
                           ph_format_count(number, types.count - TYPES_SHOWN));
        ph_array_free(&types);
    }
    if (cycle->finalizers)
        ph_str_appendf(&r->types, "; %s with __del__", ph_format_count(number, cycle->finalizers));
    if (cycle->weak)
        ph_str_appendf(&r->types, "; %s with weak references",
                       ph_format_count(number, cycle->weak));
    values[0] = ph_value_count(cycle->count);
    values[1] = ph_value_bytes(cycle->bytes);
    values[2] = ph_value_addr(ph_heap_address(r->heap, r->cycles.members[cycle->first]));
    values[3] = ph_value_text(ph_str_text(&r->types));
    return 0;
}

static const struct ph_column columns[] = {
    {"objects", "OBJECTS", 0},
    {"bytes", "BYTES", 0},
    {"example", "EXAMPLE", 0},
    {"types", "TYPES", PH_COLUMN_LAST},
};

/* For programs, with types as an array; the text has a table. */
static bool write_json(struct ph_doc *doc, const struct rows *r, uint64_t shown)
{
    ph_doc_array_begin(doc, "cycles");
    for (uint64_t i = 0; i < shown; i++) {
        const struct ph_cycle *cycle = &r->cycles.cycles.items[i];
        struct type_counts types;
        if (!count_types(r, cycle, &types))
            return false;
        ph_doc_object_begin(doc, NULL);
        ph_doc_count(doc, "objects", NULL, cycle->count);
        ph_doc_bytes(doc, "bytes", NULL, cycle->bytes);
        ph_doc_count(doc, "finalizers", NULL, cycle->finalizers);
        ph_doc_count(doc, "weakly_referenced", NULL, cycle->weak);
        ph_doc_addr(doc, "example", NULL,
                    ph_heap_address(r->heap, r->cycles.members[cycle->first]));
        ph_doc_array_begin(doc, "types");
        for (uint32_t t = 0; t < types.count; t++) {
            ph_doc_object_begin(doc, NULL);
            ph_doc_text(doc, "type", NULL, types.items[t].type->name);
            ph_doc_count(doc, "count", NULL, types.items[t].count);
            ph_doc_object_end(doc);
        }
        ph_doc_array_end(doc);
        ph_doc_object_end(doc);
        ph_array_free(&types);
    }
    ph_doc_array_end(doc);
    return true;
}

static void write_total(struct ph_doc *doc, const struct ph_cycles *c)
{
    char a[32], b[32], d[32];
    ph_doc_object_begin(doc, "total");
    ph_doc_count(doc, "cycles", NULL, c->cycles.count);
    ph_doc_count(doc, "objects", NULL, c->objects);
    ph_doc_bytes(doc, "bytes", NULL, c->bytes);
    ph_doc_count(doc, "finalizers", NULL, c->finalizers);
    ph_doc_count(doc, "weakly_referenced", NULL, c->weak);
    ph_doc_object_end(doc);
    ph_doc_count(doc, "garbage", NULL, (int64_t)c->uncollectable);
    ph_doc_object_begin(doc, "native");
    ph_doc_count(doc, "objects", NULL, c->native_objects);
    ph_doc_bytes(doc, "bytes", NULL, c->native_bytes);
    ph_doc_object_end(doc);
    if (c->objects)
        ph_doc_line(doc, "%s unreachable cycle%s; the collector would find %s object%s, %s",
                    ph_format_count(a, c->cycles.count), ph_plural(c->cycles.count),
                    ph_format_count(b, c->objects), ph_plural(c->objects),
                    ph_format_bytes(d, c->bytes));
    else
        ph_doc_line(doc, "No unreachable cycles: the collector would find nothing.");
    if (c->finalizers)
        ph_doc_line(doc, "%s of them have a __del__, which may bring them back to life",
                    ph_format_count(a, c->finalizers));
    if (c->uncollectable)
        ph_doc_line(doc, "gc.garbage holds %s object%s",
                    ph_format_count(a, (int64_t)c->uncollectable), ph_plural(c->uncollectable));
    if (c->native_objects)
        ph_doc_line(doc,
                    "Kept alive by references of native code alone: %s object%s that the "
                    "collector tracks, %s",
                    ph_format_count(a, c->native_objects), ph_plural(c->native_objects),
                    ph_format_bytes(b, c->native_bytes));
}

/* --addresses: of all that the collector would find, for piping. */
static unsigned address_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct rows *r = ctx;
    values[0] = ph_value_addr(ph_heap_address(r->heap, r->cycles.members[i]));
    return 0;
}

static void write_addresses(struct ph_doc *doc, struct rows *r, const struct ph_invocation *inv)
{
    static const struct ph_column address_columns[] = {{"address", "ADDRESS", 0}};
    ph_doc_table(doc, &(struct ph_table){
                          .key = "objects",
                          .columns = address_columns,
                          .column_count = 1,
                          .row_count = ph_rows_shown(inv, r->cycles.objects),
                          .row = address_row,
                          .ctx = r,
                          .free_ctx = free_rows,
                          .flags = PH_TABLE_BARE,
                      });
}

static enum ph_status run_cycles(struct ph_session *s, const struct ph_invocation *inv,
                                 struct ph_doc *doc, struct ph_error *err)
{
    struct ph_graph *graph;
    enum ph_status status = ph_session_graph(s, false, &graph, err);
    if (status)
        return status;
    struct rows *r = ph_calloc(1, sizeof *r);
    if (!r)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    status = ph_cycles_find(graph, ph_session_host(s), &r->cycles, err);
    if (status) {
        free(r);
        return status;
    }
    r->heap = graph->heap;
    uint64_t count = r->cycles.cycles.count, shown = ph_rows_shown(inv, count);
    ph_doc_python(doc, r->heap->objects.python);
    if (inv->options.addresses) {
        write_addresses(doc, r, inv);
        return PH_OK;
    }
    if (!write_json(doc, r, shown)) {
        free_rows(r);
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    }
    ph_doc_table(doc, &(struct ph_table){
                          .columns = columns,
                          .column_count = sizeof columns / sizeof *columns,
                          .row_count = shown,
                          .row = cycle_row,
                          .ctx = r,
                          .free_ctx = free_rows,
                          .flags = count ? 0 : PH_TABLE_NO_HEADER,
                      });
    if (count)
        ph_doc_line(doc, "%s", "");
    write_total(doc, &r->cycles);
    ph_doc_rows_footer(doc, shown, count, "cycles");
    ph_doc_skipped(doc, r->heap);
    return PH_OK;
}

const struct ph_command ph_command_cycles = {
    .name = "cycles",
    .operands_text = "",
    .brief = "unreachable cycles that wait for the garbage collector",
    .help = "List what the garbage collector would find unreachable if it ran now, by its own "
            "rule, as cycles of objects that lead to each other, the largest first. Objects that "
            "no cycle contains but only unreachable ones hold are counted in the total.\n\n"
            "Told beside: members with a __del__, members that weak references refer to, what lies "
            "in gc.garbage, and tracked objects that only native code keeps alive.",
    .operands = PH_OPERANDS_NONE,
    .options = PH_TAKES(addresses),
    .run = run_cycles,
};
