#include "analysis/dominated.h"

#include "base/ahead.h"
#include "base/checked.h"

/* ---- orders ---- */

static int compare(const struct ph_graph *graph, uint32_t x, uint32_t y)
{
    if (ph_graph_retained(graph, x) != ph_graph_retained(graph, y))
        return ph_graph_retained(graph, x) > ph_graph_retained(graph, y) ? -1 : 1;
    /* Of a chain in which each holds only the next, the holder comes first. */
    if (graph->dominators.size[x] != graph->dominators.size[y])
        return graph->dominators.size[x] > graph->dominators.size[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

static int by_retained(const void *a, const void *b, void *ctx)
{
    return compare(ctx, *(const uint32_t *)a, *(const uint32_t *)b);
}

/* Of places in the tree. */
static int by_retained_there(const void *a, const void *b, void *ctx)
{
    const struct ph_graph *graph = ctx;
    const uint32_t *order = graph->dominators.order;
    return compare(graph, order[*(const uint32_t *)a], order[*(const uint32_t *)b]);
}

static void sort(const struct ph_graph *graph, struct ph_ids *ids,
                 int (*by)(const void *, const void *, void *))
{
    if (ids->count)
        qsort_r(ids->items, ids->count, sizeof *ids->items, by, (void *)graph);
}

static bool failed(struct ph_ids *ids)
{
    ph_array_free(ids);
    return false;
}

/* ---- the largest ---- */

static unsigned magnitude(uint64_t bytes)
{
    return bytes ? 64 - (unsigned)__builtin_clzll(bytes) : 0;
}

/* The least retained size, a power of two, that at least `most` objects have. */
static unsigned least_magnitude(const struct ph_graph *graph, uint64_t most)
{
    uint64_t counts[65] = {0}, sum = 0;
    for (uint32_t id = 0; id < graph->root; id++)
        counts[magnitude(ph_graph_retained(graph, id))]++;
    for (unsigned m = 64; m > 0; m--) {
        sum += counts[m];
        if (sum >= most)
            return m;
    }
    return 0;
}

bool ph_largest_retained(const struct ph_graph *graph, uint64_t most, struct ph_ids *out)
{
    unsigned least = most ? least_magnitude(graph, most) : 0;
    memset(out, 0, sizeof *out);
    for (uint32_t id = 0; id < graph->root; id++) {
        if (magnitude(ph_graph_retained(graph, id)) >= least && !ph_array_push(out, id))
            return failed(out);
    }
    sort(graph, out, by_retained);
    if (most && out->count > most)
        out->count = (uint32_t)most;
    return true;
}

/* ---- below one ---- */

bool ph_dominated_below(const struct ph_graph *graph, uint32_t place, struct ph_ids *out)
{
    const struct ph_dominators *tree = &graph->dominators;
    uint32_t end = ph_dominators_behind(tree, place);
    memset(out, 0, sizeof *out);
    for (uint32_t at = place + 1; at < end; at = ph_dominators_behind(tree, at)) {
        if (!ph_array_push(out, at))
            return failed(out);
    }
    sort(graph, out, by_retained_there);
    return true;
}

bool ph_dominated_set(const struct ph_graph *graph, uint32_t id, struct ph_ids *out)
{
    const struct ph_dominators *tree = &graph->dominators;
    memset(out, 0, sizeof *out);
    if (!ph_array_reserve(out, tree->size[id]))
        return false;
    out->count = tree->size[id];
    memcpy(out->items, tree->order + ph_dominators_place(tree, id),
           out->count * sizeof *out->items);
    sort(graph, out, by_retained);
    return true;
}

/* ---- holders of a type ---- */

static int by_bytes(const void *a, const void *b)
{
    const struct ph_holder *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

enum ph_status ph_holders_of(const struct ph_graph *graph, const struct ph_filter *filter,
                             struct ph_holders *out)
{
    struct ph_heap *heap = graph->heap;
    struct ph_map places = {0}; /* node + 1 -> place in out */
    uint8_t *types = ph_filter_types(heap, filter);
    bool ok = types;
    memset(out, 0, sizeof *out);
    for (uint32_t id = 0; ok && id < heap->count; id++) {
        uint64_t bytes;
        uint32_t place, above = graph->dominators.immediate[id];
        if (!ph_filter_accepts(heap, filter, types, id, &bytes) || above == PH_NO_NODE)
            continue;
        if (!ph_map_find(&places, (uint64_t)above + 1, &place)) {
            place = out->count;
            ok = ph_array_push(out, ((struct ph_holder){.node = above})) &&
                 ph_map_insert(&places, (uint64_t)above + 1, place);
        }
        if (ok) {
            out->items[place].count++;
            out->items[place].bytes += bytes;
        }
    }
    ph_map_free(&places);
    free(types);
    if (!ok) {
        ph_array_free(out);
        return PH_NO_MEMORY;
    }
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, by_bytes);
    return PH_OK;
}

/* ---- by type ---- */

/* An instance on the way from the root to the node in hand. */
struct step {
    uint32_t group;
    uint32_t end; /* the place behind all that it dominates */
};

/* A walk through the dominator tree. */
struct walk {
    const struct ph_graph *graph;
    const uint8_t *accepted; /* by object; NULL: all are */
    const uint32_t *groups;  /* by type, or NULL */
    uint32_t *open;          /* by group: how many of its instances are on the way */
    uint64_t *sums;
    PH_ARRAY(struct step) way;
};

static uint32_t group_of(const struct walk *w, uint32_t id)
{
    uint32_t type = w->graph->heap->type_ids[id];
    return w->groups ? w->groups[type] : type;
}

/* Count an object's retained size for its group, if none of the group is above it. Most have
 * nothing below themselves, and are on nobody's way. */
static bool count(struct walk *w, uint32_t id, uint32_t place)
{
    const struct ph_dominators *tree = &w->graph->dominators;
    uint32_t group = group_of(w, id);
    if (w->open[group] == 0)
        w->sums[group] = ph_add_saturated(w->sums[group], ph_graph_retained(w->graph, id));
    if (tree->size[id] == 1)
        return true;
    w->open[group]++;
    return ph_array_push(&w->way, ((struct step){group, place + tree->size[id]}));
}

static void leave(struct walk *w, uint32_t place)
{
    while (w->way.count && w->way.items[w->way.count - 1].end == place)
        w->open[w->way.items[--w->way.count].group]--;
}

/* Bring in what count() asks of an object that comes later. */
static void fetch_counted(const struct walk *w, uint32_t place)
{
    const struct ph_dominators *tree = &w->graph->dominators;
    if (place >= tree->reached)
        return;
    uint32_t id = tree->order[place];
    ph_fetch(&w->graph->heap->type_ids[id]);
    ph_fetch(&w->graph->retained[id]);
    ph_fetch(&tree->size[id]);
}

static bool walk(struct walk *w)
{
    const struct ph_dominators *tree = &w->graph->dominators;
    bool ok = true;
    for (uint32_t place = 1; ok && place < tree->reached; place++) {
        uint32_t id = tree->order[place];
        fetch_counted(w, place + PH_AHEAD);
        leave(w, place);
        ok = (w->accepted && !w->accepted[id]) || count(w, id, place);
    }
    return ok;
}

/* By object: whether the filter accepts it; NULL without memory. */
static uint8_t *find_accepted(struct ph_heap *heap, const struct ph_filter *filter)
{
    uint8_t *types = ph_filter_types(heap, filter), *accepted = ph_malloc((size_t)heap->count + 1);
    for (uint32_t id = 0; types && accepted && id < heap->count; id++) {
        uint64_t bytes;
        accepted[id] = ph_filter_accepts(heap, filter, types, id, &bytes);
    }
    if (!types) {
        free(accepted);
        accepted = NULL;
    }
    free(types);
    return accepted;
}

uint64_t *ph_retained_by_type(const struct ph_graph *graph, const struct ph_filter *filter,
                              const uint32_t *groups)
{
    size_t types = graph->heap->objects.types.count + 1u;
    bool all = ph_filter_takes_all(filter);
    uint8_t *accepted = all ? NULL : find_accepted(graph->heap, filter);
    struct walk w = {
        .graph = graph,
        .accepted = accepted,
        .groups = groups,
        .open = ph_calloc(types, sizeof *w.open),
        .sums = ph_calloc(types, sizeof *w.sums),
    };
    bool ok = (all || accepted) && w.open && w.sums && walk(&w);
    free(accepted);
    free(w.open);
    ph_array_free(&w.way);
    if (ok)
        return w.sums;
    free(w.sums);
    return NULL;
}
