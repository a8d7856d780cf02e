#include "analysis/dominated.h"
#include "command/session.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SUMMARY_CHARS = 60, MOST_DEPTH = 64 };

/* Rows of objects with their retained sizes; of a tree, in the order in which it is shown. */
struct rows {
    const struct ph_graph *graph;
    struct ph_places places;
    PH_ARRAY(uint8_t) depths; /* as many as places, or none: all 0 */
    struct ph_str summary;
};

static void free_rows(void *ctx)
{
    struct rows *r = ctx;
    ph_array_free(&r->places);
    ph_array_free(&r->depths);
    ph_str_free(&r->summary);
    free(r);
}

static unsigned object_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct rows *r = ctx;
    const struct ph_graph *graph = r->graph;
    struct ph_heap *heap = graph->heap;
    const struct ph_dominators *tree = &graph->dominators;
    uint32_t place = r->places.items[i], id = tree->order[place];
    uint32_t above = tree->order[tree->above[place]];
    ph_str_clear(&r->summary);
    ph_heap_summary(heap, id, SUMMARY_CHARS, &r->summary);
    values[0] = ph_value_bytes(ph_graph_retained(graph, place));
    values[1] = ph_value_count(tree->size[place]);
    values[2] = ph_value_bytes(ph_heap_sizeof(heap, id));
    values[3] = ph_value_addr(ph_heap_address(heap, id));
    values[4] = ph_value_text(ph_heap_type(heap, id)->name);
    values[5] = ph_value_text(ph_str_text(&r->summary));
    values[6] = above < graph->root ? ph_value_addr(ph_heap_address(heap, above)) : ph_value_null();
    return r->depths.count ? r->depths.items[i] : 0;
}

static const struct ph_column columns[] = {
    {"retained", "RETAINED", 0},
    {"objects", "OBJECTS", 0},
    {"bytes", "OWN", 0},
    {"address", "ADDRESS", PH_COLUMN_TREE},
    {"type", "TYPE", 0},
    {"summary", "SUMMARY", PH_COLUMN_LAST},
    {"dominator", "", PH_COLUMN_JSON_ONLY},
};

static void write_rows(struct ph_doc *doc, struct rows *r, uint64_t shown)
{
    ph_doc_table(doc, &(struct ph_table){
                          .key = "dominators",
                          .columns = columns,
                          .column_count = sizeof columns / sizeof *columns,
                          .row_count = shown,
                          .row = object_row,
                          .ctx = r,
                          .free_ctx = free_rows,
                          .children_key = "dominators",
                          .flags = shown ? 0 : PH_TABLE_NO_HEADER,
                      });
}

/* ---- the largest of all ---- */

static enum ph_status write_largest(struct ph_doc *doc, struct rows *r,
                                    const struct ph_invocation *inv)
{
    const struct ph_graph *graph = r->graph;
    uint64_t shown = ph_rows_shown(inv, graph->root);
    if (!ph_largest_retained(graph, shown, &r->places))
        return PH_NO_MEMORY;
    write_rows(doc, r, r->places.count);
    ph_doc_line(doc, "%s", "");
    ph_doc_rows_footer(doc, shown, graph->root, "objects");
    return PH_OK;
}

/* ---- below one ---- */

static void write_head(struct ph_doc *doc, const struct ph_graph *graph, uint32_t place)
{
    char bytes[32], count[32];
    struct ph_heap *heap = graph->heap;
    const struct ph_dominators *tree = &graph->dominators;
    struct ph_str summary = {0};
    uint32_t id = tree->order[place], above = tree->order[tree->above[place]];
    ph_heap_summary(heap, id, SUMMARY_CHARS, &summary);
    ph_doc_addr(doc, "address", NULL, ph_heap_address(heap, id));
    ph_doc_text(doc, "type", NULL, ph_heap_type(heap, id)->name);
    ph_doc_bytes(doc, "retained", NULL, ph_graph_retained(graph, place));
    ph_doc_count(doc, "objects", NULL, tree->size[place]);
    ph_doc_line(doc, "0x%" PRIx64 "  %s  %s", ph_heap_address(heap, id),
                ph_heap_type(heap, id)->name, ph_str_text(&summary));
    ph_doc_line(doc, "keeps alive %s in %s object%s, itself included",
                ph_format_bytes(bytes, ph_graph_retained(graph, place)),
                ph_format_count(count, tree->size[place]), ph_plural(tree->size[place]));
    if (above < graph->root) {
        ph_doc_addr(doc, "dominator", NULL, ph_heap_address(heap, above));
        ph_doc_line(doc, "and is itself kept alive by 0x%" PRIx64 " (%s) alone",
                    ph_heap_address(heap, above), ph_heap_type(heap, above)->name);
    } else {
        ph_doc_null(doc, "dominator", NULL);
    }
    ph_doc_line(doc, "%s", "");
    ph_str_free(&summary);
}

struct waiting {
    uint32_t place; /* in the dominator tree */
    uint8_t depth;
};
struct waiting_list PH_ARRAY_BODY(struct waiting);

/* Add the nodes below the one in a place to those that wait, the largest last and so the next, at
 * most `limit` of them. */
static bool wait_below(const struct ph_graph *graph, uint32_t place, uint8_t depth, uint64_t limit,
                       struct waiting_list *waiting)
{
    struct ph_places below;
    bool ok = ph_dominated_below(graph, place, &below);
    for (uint32_t i = below.count; ok && i-- > 0;) {
        if (!limit || i < limit)
            ok = ph_array_push(waiting, ((struct waiting){below.items[i], depth}));
    }
    ph_array_free(&below);
    return ok;
}

/* The tree in preorder, without recursion: those that wait are on a stack. */
static bool grow_tree(struct rows *r, uint32_t place, uint64_t depth, uint64_t limit)
{
    struct waiting_list waiting = {0};
    bool ok = wait_below(r->graph, place, 0, limit, &waiting);
    while (ok && waiting.count) {
        struct waiting w = waiting.items[--waiting.count];
        ok = ph_array_push(&r->places, w.place) && ph_array_push(&r->depths, w.depth) &&
             (w.depth + 1u >= depth ||
              wait_below(r->graph, w.place, (uint8_t)(w.depth + 1), limit, &waiting));
    }
    ph_array_free(&waiting);
    return ok;
}

static enum ph_status write_below(struct ph_doc *doc, struct rows *r,
                                  const struct ph_invocation *inv, uint32_t place)
{
    const struct ph_dominators *tree = &r->graph->dominators;
    const uint32_t end = ph_dominators_behind(tree, place);
    uint64_t count = 0;
    for (uint32_t at = place + 1; at < end; at = ph_dominators_behind(tree, at))
        count++;
    uint64_t depth = inv->options.given & PH_TAKES(depth) ? inv->options.depth : 1;
    uint64_t limit = ph_rows_shown(inv, UINT64_MAX);
    if (!grow_tree(r, place, depth < MOST_DEPTH ? depth : MOST_DEPTH,
                   limit == UINT64_MAX ? 0 : limit))
        return PH_NO_MEMORY;
    write_head(doc, r->graph, place);
    write_rows(doc, r, r->places.count);
    if (!count)
        ph_doc_line(doc, "Nothing else would go with it.");
    ph_doc_line(doc, "%s", "");
    ph_doc_rows_footer(doc, limit < count ? limit : count, count, "objects right below it");
    return PH_OK;
}

static enum ph_status write_set(struct ph_doc *doc, struct rows *r, const struct ph_invocation *inv,
                                uint32_t place)
{
    if (!ph_dominated_set(r->graph, place, &r->places))
        return PH_NO_MEMORY;
    uint64_t count = r->places.count, shown = ph_rows_shown(inv, count);
    write_head(doc, r->graph, place);
    write_rows(doc, r, shown);
    ph_doc_line(doc, "%s", "");
    ph_doc_rows_footer(doc, shown, count, "objects");
    return PH_OK;
}

/* ---- who holds a type's instances ---- */

struct holder_rows {
    const struct ph_graph *graph;
    struct ph_holders holders;
    struct ph_str summary;
};

static void free_holder_rows(void *ctx)
{
    struct holder_rows *r = ctx;
    ph_array_free(&r->holders);
    ph_str_free(&r->summary);
    free(r);
}

static unsigned holder_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct holder_rows *r = ctx;
    const struct ph_graph *graph = r->graph;
    const struct ph_holder *h = &r->holders.items[i];
    bool is_object = h->place != PH_ROOT_PLACE;
    uint32_t node = graph->dominators.order[h->place];
    ph_str_clear(&r->summary);
    if (is_object)
        ph_heap_summary(graph->heap, node, SUMMARY_CHARS, &r->summary);
    else
        ph_str_append(&r->summary, "held by several, or by no object");
    values[0] = ph_value_count(h->count);
    values[1] = ph_value_bytes(h->bytes);
    values[2] = is_object ? ph_value_bytes(ph_graph_retained(graph, h->place)) : ph_value_null();
    values[3] = is_object ? ph_value_count(graph->dominators.size[h->place]) : ph_value_null();
    values[4] = is_object ? ph_value_addr(ph_heap_address(graph->heap, node)) : ph_value_null();
    values[5] = is_object ? ph_value_text(ph_heap_type(graph->heap, node)->name) : ph_value_null();
    values[6] = ph_value_text(ph_str_text(&r->summary));
    return 0;
}

static const struct ph_column holder_columns[] = {
    {"count", "COUNT", 0},
    {"bytes", "BYTES", 0},
    {"retained", "RETAINED", 0},
    {"objects", "OBJECTS", PH_COLUMN_JSON_ONLY},
    {"address", "DOMINATOR", 0},
    {"type", "TYPE", 0},
    {"summary", "SUMMARY", PH_COLUMN_LAST},
};

static enum ph_status write_holders(struct ph_doc *doc, const struct ph_graph *graph,
                                    const struct ph_invocation *inv)
{
    struct ph_filter filter = PH_FILTER_ALL;
    struct holder_rows *r = ph_calloc(1, sizeof *r);
    filter.type_glob = inv->options.of;
    if (!r || ph_holders_of(graph, &filter, &r->holders)) {
        free(r);
        return PH_NO_MEMORY;
    }
    r->graph = graph;
    uint64_t count = r->holders.count, shown = ph_rows_shown(inv, count);
    if (!count)
        ph_doc_line(doc, "No objects match '%s'; `top --limit 0` lists the types.",
                    filter.type_glob);
    ph_doc_table(doc, &(struct ph_table){
                          .key = "dominators",
                          .columns = holder_columns,
                          .column_count = sizeof holder_columns / sizeof *holder_columns,
                          .row_count = shown,
                          .row = holder_row,
                          .ctx = r,
                          .free_ctx = free_holder_rows,
                          .flags = count ? 0 : PH_TABLE_NO_HEADER,
                      });
    ph_doc_line(doc, "%s", "");
    ph_doc_rows_footer(doc, shown, count, "dominators");
    return PH_OK;
}

/* ---- the command ---- */

static enum ph_status write_objects(struct ph_doc *doc, const struct ph_graph *graph,
                                    const struct ph_invocation *inv, uint32_t id)
{
    struct rows *r = ph_calloc(1, sizeof *r);
    if (!r)
        return PH_NO_MEMORY;
    r->graph = graph;
    uint32_t place =
        inv->operand_count ? ph_dominators_place(&graph->dominators, id) : PH_ROOT_PLACE;
    enum ph_status status = !inv->operand_count ? write_largest(doc, r, inv)
                            : inv->options.set  ? write_set(doc, r, inv, place)
                                                : write_below(doc, r, inv, place);
    if (status)
        free_rows(r);
    return status;
}

static enum ph_status run_dominators(struct ph_session *s, const struct ph_invocation *inv,
                                     struct ph_doc *doc, struct ph_error *err)
{
    struct ph_graph *graph;
    uint32_t id = PH_NO_OBJECT;
    if (inv->options.of && inv->operand_count)
        return ph_fail(err, PH_USAGE, "give ADDR or --of TYPE, not both");
    if (inv->options.set && !inv->operand_count)
        return ph_fail(err, PH_USAGE, "--set needs an address");
    enum ph_status status = ph_session_graph(s, true, &graph, err);
    if (!status && inv->operand_count)
        status = ph_operand_object(graph->heap, inv, 0, &id, err);
    if (status)
        return status;
    ph_doc_python(doc, graph->heap->objects.python);
    status = inv->options.of ? write_holders(doc, graph, inv) : write_objects(doc, graph, inv, id);
    if (status)
        return ph_fail(err, status, "out of memory");
    ph_doc_skipped(doc, graph->heap);
    return PH_OK;
}

const struct ph_command ph_command_dominators = {
    .name = "dominators",
    .operands_text = "[ADDR]",
    .brief = "largest retained sizes, what one keeps alive",
    .help = "List the objects with the largest retained sizes. An object's retained size is what "
            "would be freed with it: its own size and that of all that nothing alive reaches "
            "without it. Those are the objects that it dominates.\n\n"
            "With ADDR, list what that object dominates immediately, the largest first; --depth N "
            "goes N levels down the tree. --set lists all that the object alone keeps alive.\n\n"
            "With --of TYPE, list who dominates the instances of a type immediately: who has to "
            "let go of what.",
    .operands = PH_OPERANDS_ADDR_OPTIONAL,
    .options = PH_TAKES(depth) | PH_TAKES(set) | PH_TAKES(of),
    .run = run_dominators,
};
