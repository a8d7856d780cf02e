#include "analysis/deep.h"
#include "command/session.h"

#include <inttypes.h>
#include <stdlib.h>

enum { TYPE_ROWS = 10, SUMMARY_CHARS = 60 };

static int by_bytes(const void *a, const void *b)
{
    const struct ph_type_sum *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    int order = strcmp(x->type->name, y->type->name);
    return order ? order : x->type->id < y->type->id ? -1 : x->type->id > y->type->id;
}

static void free_histogram(void *ctx)
{
    ph_histogram_free(ctx);
    free(ctx);
}

static unsigned type_row(void *ctx, uint64_t i, struct ph_value *values)
{
    const struct ph_type_sum *sum = &((const struct ph_histogram *)ctx)->types.items[i];
    values[0] = ph_value_count((int64_t)sum->count);
    values[1] = ph_value_bytes(sum->bytes);
    values[2] = ph_value_text(sum->type->name);
    return 0;
}

static const struct ph_column type_columns[] = {
    {"count", "COUNT", 0},
    {"bytes", "BYTES", 0},
    {"type", "TYPE", PH_COLUMN_LAST},
};

static void write_size(struct ph_doc *doc, const struct ph_graph *graph, uint32_t id,
                       struct ph_histogram *deep, const struct ph_invocation *inv)
{
    struct ph_heap *heap = graph->heap;
    const uint32_t place = ph_dominators_place(&graph->dominators, id);
    struct ph_str summary = {0};
    ph_heap_summary(heap, id, SUMMARY_CHARS, &summary);
    ph_doc_line(doc, "0x%" PRIx64 "  %s  %s", ph_heap_address(heap, id),
                ph_heap_type(heap, id)->name, ph_str_text(&summary));
    ph_str_free(&summary);
    ph_doc_addr(doc, "address", NULL, ph_heap_address(heap, id));
    ph_doc_text(doc, "type", NULL, ph_heap_type(heap, id)->name);
    ph_doc_bytes(doc, "shallow", "Shallow", ph_heap_sizeof(heap, id));
    ph_doc_bytes(doc, "allocated", "Allocated", ph_heap_allocated(heap, id));
    ph_doc_bytes(doc, "deep", "Deep", deep->total.bytes);
    ph_doc_count(doc, "deep_objects", "Objects", (int64_t)deep->total.count);
    ph_doc_bytes(doc, "retained", "Retained", ph_graph_retained(graph, place));
    ph_doc_count(doc, "retained_objects", NULL, graph->dominators.size[place]);
    ph_doc_line(doc, "%s", "");
    if (deep->types.count)
        qsort(deep->types.items, deep->types.count, sizeof *deep->types.items, by_bytes);
    uint64_t count = deep->types.count;
    uint64_t shown = inv->options.given & PH_TAKES(limit) ? ph_rows_shown(inv, count)
                     : inv->options.json                  ? count
                     : count < TYPE_ROWS                  ? count
                                                          : TYPE_ROWS;
    ph_doc_table(doc, &(struct ph_table){
                          .key = "by_type",
                          .columns = type_columns,
                          .column_count = sizeof type_columns / sizeof *type_columns,
                          .row_count = shown,
                          .row = type_row,
                          .ctx = deep,
                          .free_ctx = free_histogram,
                      });
    ph_doc_rows_footer(doc, shown, count, "types");
}

static enum ph_status run_sizeof(struct ph_session *s, const struct ph_invocation *inv,
                                 struct ph_doc *doc, struct ph_error *err)
{
    struct ph_graph *graph;
    enum ph_status status = ph_session_graph(s, true, &graph, err);
    if (status)
        return status;
    struct ph_heap *heap = graph->heap;
    ph_doc_python(doc, heap->objects.python);
    ph_doc_array_begin(doc, "objects");
    for (size_t i = 0; i < inv->operand_count; i++) {
        uint32_t id;
        status = ph_operand_object(heap, inv, i, &id, err);
        if (status)
            return status;
        struct ph_histogram *deep = ph_calloc(1, sizeof *deep);
        if (!deep)
            return ph_fail(err, PH_NO_MEMORY, "out of memory");
        status = ph_deep_measure(heap, id, ph_session_host(s), deep, err);
        if (status) {
            free(deep);
            return status;
        }
        if (i > 0)
            ph_doc_line(doc, "%s", "");
        ph_doc_object_begin(doc, NULL);
        write_size(doc, graph, id, deep, inv);
        ph_doc_object_end(doc);
    }
    ph_doc_array_end(doc);
    ph_doc_skipped(doc, heap);
    return PH_OK;
}

const struct ph_command ph_command_sizeof = {
    .name = "sizeof",
    .operands_text = "ADDR...",
    .brief = "shallow, allocated, deep and retained size of objects",
    .help = "Measure the objects at each ADDR. Shallow is what sys.getsizeof says; allocated is "
            "what the memory allocators hold for the object and its buffers; deep adds up all "
            "that it reaches by strong references, each object once. Deep leaves out modules, "
            "types, functions and code, which are what a program is made of, unless ADDR is one. "
            "Retained is what would be freed with the object: all that "
            "nothing alive reaches without it.",
    .operands = PH_OPERANDS_ADDRS,
    .options = 0,
    .run = run_sizeof,
};
