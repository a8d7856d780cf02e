/* Questions to the dominator tree: what is largest, what an object alone keeps alive, who keeps the
 * instances of a type alive. */
#ifndef PH_ANALYSIS_DOMINATED_H
#define PH_ANALYSIS_DOMINATED_H

#include "analysis/filter.h"
#include "graph/graph.h"

/* Of the dominator tree. */
struct ph_places PH_ARRAY_BODY(uint32_t);

/* Those of the objects with the largest retained sizes, largest first, at most `most` of them (0:
 * all). */
bool ph_largest_retained(const struct ph_graph *graph, uint64_t most,
                         struct ph_places *out) PH_MUST_USE;
/* Those of what the node in a place dominates immediately, the largest retained size first. */
bool ph_dominated_below(const struct ph_graph *graph, uint32_t place,
                        struct ph_places *out) PH_MUST_USE;
/* Those of the object in a place and all that it dominates, the largest retained size first. */
bool ph_dominated_set(const struct ph_graph *graph, uint32_t place,
                      struct ph_places *out) PH_MUST_USE;

/* Who dominates some objects immediately. */
struct ph_holder {
    uint32_t place; /* in the dominator tree; PH_ROOT_PLACE where they are held by several */
    uint32_t count; /* of the objects */
    uint64_t bytes; /* of sys.getsizeof of them */
};
struct ph_holders PH_ARRAY_BODY(struct ph_holder);

/* The holders of the objects that pass the filter, the one with most bytes first. */
enum ph_status ph_holders_of(const struct ph_graph *graph, const struct ph_filter *filter,
                             struct ph_holders *out) PH_MUST_USE;

/* Per group of types: what would be freed at least with all instances of its types that pass the
 * filter: the retained sizes of those that no other of them dominates. groups tells the group of
 * each type id, smaller than the number of types; NULL: each type is its own. Freed by the caller;
 * NULL when out of memory. */
uint64_t *ph_retained_by_type(const struct ph_graph *graph, const struct ph_filter *filter,
                              const uint32_t *groups);

#endif
