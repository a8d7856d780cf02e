/* The shortest ways from the roots to all instances of a type, as one tree: where they run
 * together. */
#ifndef PH_ANALYSIS_MERGED_H
#define PH_ANALYSIS_MERGED_H

#include "analysis/filter.h"
#include "graph/graph.h"

/* Several objects of one type below the same branch, or one. */
struct ph_branch {
    uint32_t id;    /* the object, or the first of them */
    uint32_t above; /* id of the object that holds it; PH_NO_OBJECT below a root */
    uint32_t alike; /* how many objects this branch stands for */
    uint32_t count; /* instances at it and further on */
    uint64_t bytes; /* of sys.getsizeof of those */
    uint32_t depth;
};

struct ph_merged {
    PH_ARRAY(struct ph_branch) branches; /* in the order of a tree, the most instances first */
    uint32_t count;                      /* instances */
    uint64_t bytes;
    uint32_t hidden; /* branches that were left out */
};

/* At most `limit` branches, those with most instances (0: all). Linear in the references. */
enum ph_status ph_merged_paths(struct ph_graph *graph, const struct ph_filter *filter,
                               uint64_t limit, const struct ph_host *host, struct ph_merged *out,
                               struct ph_error *err) PH_MUST_USE;
void ph_merged_free(struct ph_merged *merged);

#endif
