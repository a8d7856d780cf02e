/* What each thread keeps alive by itself. */
#ifndef PH_ANALYSIS_THREADS_H
#define PH_ANALYSIS_THREADS_H

#include "analysis/filter.h"
#include "graph/graph.h"

struct ph_thread_sum {
    uint64_t count, bytes, allocated;
};

/* By python->threads: the objects that pass the filter and that nothing alive reaches but the
 * thread's own frames and state; in one more, the last, all others. Linear in the references. Freed
 * by the caller. */
enum ph_status ph_thread_sums(struct ph_graph *graph, const struct ph_filter *filter,
                              const struct ph_host *host, struct ph_thread_sum **out,
                              struct ph_error *err) PH_MUST_USE;

#endif
