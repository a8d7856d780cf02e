#include "analysis/dominated.h"

#include "base/checked.h"

/* ---- orders ---- */

static int by_retained(const void *a, const void *b, void *ctx)
{
    const struct ph_graph *graph = ctx;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (graph->retained[x] != graph->retained[y])
        return graph->retained[x] > graph->retained[y] ? -1 : 1;
    /* Of a chain in which each holds only the next, the holder comes first. */
    if (graph->retained_objects[x] != graph->retained_objects[y])
        return graph->retained_objects[x] > graph->retained_objects[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void sort_ids(const struct ph_graph *graph, struct ph_ids *ids)
{
    if (ids->count)
        qsort_r(ids->items, ids->count, sizeof *ids->items, by_retained, (void *)graph);
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
        counts[magnitude(graph->retained[id])]++;
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
        if (magnitude(graph->retained[id]) >= least && !ph_array_push(out, id))
            return failed(out);
    }
    sort_ids(graph, out);
    if (most && out->count > most)
        out->count = (uint32_t)most;
    return true;
}

/* ---- below one ---- */

bool ph_dominated_below(const struct ph_graph *graph, uint32_t node, struct ph_ids *out)
{
    const struct ph_edges *below = &graph->dominators.below;
    memset(out, 0, sizeof *out);
    for (uint32_t i = below->first[node]; i < below->first[node + 1]; i++) {
        if (!ph_array_push(out, below->targets[i]))
            return failed(out);
    }
    sort_ids(graph, out);
    return true;
}

bool ph_dominated_set(const struct ph_graph *graph, uint32_t id, struct ph_ids *out)
{
    const struct ph_edges *below = &graph->dominators.below;
    memset(out, 0, sizeof *out);
    if (!ph_array_push(out, id))
        return false;
    for (uint32_t at = 0; at < out->count; at++) {
        uint32_t node = out->items[at];
        for (uint32_t i = below->first[node]; i < below->first[node + 1]; i++) {
            if (!ph_array_push(out, below->targets[i]))
                return failed(out);
        }
    }
    sort_ids(graph, out);
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

/* A node on the way, and the place of the one below it to visit next. */
struct step {
    uint32_t node, next;
};

/* A walk down the dominator tree: `open` counts, by type, the instances on the way from the root to
 * the node in hand. */
struct descent {
    const struct ph_graph *graph;
    const uint8_t *accepted; /* by object; NULL: all are */
    const uint32_t *groups;  /* by type, or NULL */
    uint32_t *open;
    uint64_t *sums;
    PH_ARRAY(struct step) way;
};

static uint32_t group_of(const struct descent *d, uint32_t node)
{
    uint32_t type = d->graph->heap->type_ids[node];
    return d->groups ? d->groups[type] : type;
}

static bool counts(const struct descent *d, uint32_t node)
{
    return node != d->graph->root && (!d->accepted || d->accepted[node]);
}

/* Count a node's retained size for its group, if none of the group is above it. */
static void count(struct descent *d, uint32_t node, uint32_t group)
{
    if (d->open[group] == 0)
        d->sums[group] = ph_add_saturated(d->sums[group], d->graph->retained[node]);
}

/* Go on with those below a node. Most have none below themselves and are done at once. */
static bool enter(struct descent *d, uint32_t node)
{
    const struct ph_graph *graph = d->graph;
    bool has_group = counts(d, node);
    uint32_t group = has_group ? group_of(d, node) : 0;
    if (has_group)
        count(d, node, group);
    if (ph_edges_count(&graph->dominators.below, node) == 0)
        return true;
    if (has_group)
        d->open[group]++;
    return ph_array_push(&d->way, ((struct step){node, graph->dominators.below.first[node]}));
}

static void leave(struct descent *d, uint32_t node)
{
    d->way.count--;
    if (counts(d, node))
        d->open[group_of(d, node)]--;
}

static bool descend(struct descent *d)
{
    const struct ph_edges *below = &d->graph->dominators.below;
    bool ok = enter(d, d->graph->root);
    while (ok && d->way.count) {
        struct step *step = &d->way.items[d->way.count - 1];
        if (step->next < below->first[step->node + 1])
            ok = enter(d, below->targets[step->next++]);
        else
            leave(d, step->node);
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
    struct descent d = {
        .graph = graph,
        .accepted = accepted,
        .groups = groups,
        .open = ph_calloc(types, sizeof *d.open),
        .sums = ph_calloc(types, sizeof *d.sums),
    };
    bool ok = (all || accepted) && d.open && d.sums && descend(&d);
    free(accepted);
    free(d.open);
    ph_array_free(&d.way);
    if (ok)
        return d.sums;
    free(d.sums);
    return NULL;
}
