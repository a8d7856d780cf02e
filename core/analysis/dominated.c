#include "analysis/dominated.h"

#include "base/ahead.h"
#include "base/checked.h"
#include "base/parallel.h"

/* ---- orders ---- */

static int by_retained(const void *a, const void *b, void *ctx)
{
    const struct ph_graph *graph = ctx;
    const struct ph_dominators *tree = &graph->dominators;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (ph_graph_retained(graph, x) != ph_graph_retained(graph, y))
        return ph_graph_retained(graph, x) > ph_graph_retained(graph, y) ? -1 : 1;
    /* Of a chain in which each holds only the next, the holder comes first. */
    if (tree->size[x] != tree->size[y])
        return tree->size[x] > tree->size[y] ? -1 : 1;
    return tree->order[x] < tree->order[y] ? -1 : tree->order[x] > tree->order[y];
}

static void sort(const struct ph_graph *graph, struct ph_places *places)
{
    if (places->count)
        qsort_r(places->items, places->count, sizeof *places->items, by_retained, (void *)graph);
}

static bool failed(struct ph_places *places)
{
    ph_array_free(places);
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
    for (uint32_t at = PH_ROOT_PLACE + 1; at < graph->dominators.reached; at++)
        counts[magnitude(ph_graph_retained(graph, at))]++;
    for (unsigned m = 64; m > 0; m--) {
        sum += counts[m];
        if (sum >= most)
            return m;
    }
    return 0;
}

bool ph_largest_retained(const struct ph_graph *graph, uint64_t most, struct ph_places *out)
{
    unsigned least = most ? least_magnitude(graph, most) : 0;
    memset(out, 0, sizeof *out);
    for (uint32_t at = PH_ROOT_PLACE + 1; at < graph->dominators.reached; at++) {
        if (magnitude(ph_graph_retained(graph, at)) >= least && !ph_array_push(out, at))
            return failed(out);
    }
    sort(graph, out);
    if (most && out->count > most)
        out->count = (uint32_t)most;
    return true;
}

/* ---- below one ---- */

bool ph_dominated_below(const struct ph_graph *graph, uint32_t place, struct ph_places *out)
{
    const struct ph_dominators *tree = &graph->dominators;
    uint32_t end = ph_dominators_behind(tree, place);
    memset(out, 0, sizeof *out);
    for (uint32_t at = place + 1; at < end; at = ph_dominators_behind(tree, at)) {
        if (!ph_array_push(out, at))
            return failed(out);
    }
    sort(graph, out);
    return true;
}

bool ph_dominated_set(const struct ph_graph *graph, uint32_t place, struct ph_places *out)
{
    uint32_t end = ph_dominators_behind(&graph->dominators, place);
    memset(out, 0, sizeof *out);
    if (!ph_array_reserve(out, end - place))
        return false;
    for (uint32_t at = place; at < end; at++)
        out->items[out->count++] = at;
    sort(graph, out);
    return true;
}

/* ---- holders of a type ---- */

static int by_bytes(const void *a, const void *b, void *ctx)
{
    const struct ph_holder *x = a, *y = b;
    const uint32_t *order = ctx;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return order[x->place] < order[y->place] ? -1 : order[x->place] > order[y->place];
}

enum ph_status ph_holders_of(const struct ph_graph *graph, const struct ph_filter *filter,
                             struct ph_holders *out)
{
    struct ph_heap *heap = graph->heap;
    const struct ph_dominators *tree = &graph->dominators;
    struct ph_map indices = {0}; /* place + 1 -> index in out */
    uint8_t *types = ph_filter_types(heap, filter);
    bool ok = types;
    memset(out, 0, sizeof *out);
    for (uint32_t place = PH_ROOT_PLACE + 1; ok && place < tree->reached; place++) {
        uint64_t bytes;
        uint32_t index, above = tree->above[place];
        if (!ph_filter_accepts(heap, filter, types, tree->order[place], &bytes))
            continue;
        if (!ph_map_find(&indices, (uint64_t)above + 1, &index)) {
            index = out->count;
            ok = ph_array_push(out, ((struct ph_holder){.place = above})) &&
                 ph_map_insert(&indices, (uint64_t)above + 1, index);
        }
        if (ok) {
            out->items[index].count++;
            out->items[index].bytes += bytes;
        }
    }
    ph_map_free(&indices);
    free(types);
    if (!ok) {
        ph_array_free(out);
        return PH_NO_MEMORY;
    }
    if (out->count)
        qsort_r(out->items, out->count, sizeof *out->items, by_bytes, tree->order);
    return PH_OK;
}

/* ---- by type ---- */

/* A walk through a part of the dominator tree, a row of places. */
struct walk {
    uint32_t *until; /* by group: behind all that the last counted instance dominates */
    uint64_t *sums;
    bool ok;
};

/* Walks through all of it. */
struct walks {
    const struct ph_graph *graph;
    const uint8_t *accepted; /* by object; NULL: all are */
    const uint32_t *groups;  /* by type, or NULL */
    size_t group_count;
    unsigned workers;
    struct walk by_worker[PH_MOST_WORKERS]; /* parts alike in length */
};

static bool is_accepted(const struct walks *all, uint32_t id)
{
    return !all->accepted || all->accepted[id];
}

static uint32_t group_of(const struct walks *all, uint32_t id)
{
    uint32_t type = all->graph->heap->type_ids[id];
    return all->groups ? all->groups[type] : type;
}

/* Count the retained size of the object in a place for its group, unless one of the group is above
 * it: then its place is among those that the last one counted dominates. Without a branch, for
 * nobody can tell which it will be. */
static void count(const struct walks *all, const struct walk *w, uint32_t place)
{
    const struct ph_dominators *tree = &all->graph->dominators;
    uint32_t group = group_of(all, tree->order[place]);
    bool is_outer = place >= w->until[group];
    w->sums[group] =
        ph_add_saturated(w->sums[group], is_outer ? ph_graph_retained(all->graph, place) : 0);
    w->until[group] = is_outer ? ph_dominators_behind(tree, place) : w->until[group];
}

/* Those above the place that a part begins with were counted with the part before. */
static void pass_over(const struct walks *all, const struct walk *w, uint32_t place)
{
    const struct ph_dominators *tree = &all->graph->dominators;
    for (uint32_t at = tree->above[place]; at != PH_ROOT_PLACE; at = tree->above[at]) {
        uint32_t id = tree->order[at];
        if (is_accepted(all, id))
            w->until[group_of(all, id)] = ph_dominators_behind(tree, at);
    }
}

static void walk(const struct walks *all, const struct walk *w, uint32_t place, uint32_t end)
{
    const struct ph_dominators *tree = &all->graph->dominators;
    if (place < end)
        pass_over(all, w, place);
    for (; place < end; place++) {
        if (place + PH_AHEAD < end)
            ph_fetch(&all->graph->heap->type_ids[tree->order[place + PH_AHEAD]]);
        if (is_accepted(all, tree->order[place]))
            count(all, w, place);
    }
}

/* Where the part of a worker begins. */
static uint32_t first_place(const struct walks *all, unsigned worker)
{
    const uint64_t places = all->graph->dominators.reached - (PH_ROOT_PLACE + 1);
    return (uint32_t)(PH_ROOT_PLACE + 1 + places * worker / all->workers);
}

static void walk_part(void *ctx, unsigned worker)
{
    struct walks *all = ctx;
    struct walk *w = &all->by_worker[worker];
    w->until = ph_calloc(all->group_count, sizeof *w->until);
    w->sums = ph_calloc(all->group_count, sizeof *w->sums);
    w->ok = w->until && w->sums;
    if (w->ok)
        walk(all, w, first_place(all, worker), first_place(all, worker + 1));
    free(w->until);
}

/* All parts' sums together; NULL if one has none. */
static uint64_t *join_walks(struct walks *all)
{
    uint64_t *sums = ph_calloc(all->group_count, sizeof *sums);
    bool ok = sums;
    for (unsigned worker = 0; worker < all->workers; worker++) {
        struct walk *w = &all->by_worker[worker];
        ok = ok && w->ok;
        for (size_t group = 0; ok && group < all->group_count; group++)
            sums[group] = ph_add_saturated(sums[group], w->sums[group]);
        free(w->sums);
    }
    if (ok)
        return sums;
    free(sums);
    return NULL;
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
    bool takes_all = ph_filter_takes_all(filter);
    uint8_t *accepted = takes_all ? NULL : find_accepted(graph->heap, filter);
    struct walks all = {
        .graph = graph,
        .accepted = accepted,
        .groups = groups,
        .group_count = graph->heap->objects.types.count + 1u,
        .workers = ph_workers_for(graph->dominators.reached),
    };
    if (!takes_all && !accepted)
        return NULL;
    ph_parallel(all.workers, walk_part, &all);
    free(accepted);
    return join_walks(&all);
}
