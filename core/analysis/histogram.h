/* Live objects by type. */
#ifndef PH_ANALYSIS_HISTOGRAM_H
#define PH_ANALYSIS_HISTOGRAM_H

#include "analysis/filter.h"

struct ph_type_sum {
    const struct ph_type *type;
    uint64_t count;
    uint64_t bytes;     /* sum of sys.getsizeof */
    uint64_t allocated; /* what the allocators hold for them */
};

struct ph_histogram {
    PH_ARRAY(struct ph_type_sum) types; /* those with objects; unordered */
    struct ph_type_sum total;           /* type NULL */
};

/* Linear in the objects. with_allocated costs a look at each object's buffers. */
enum ph_status ph_histogram_make(struct ph_heap *heap, const struct ph_filter *filter,
                                 bool with_allocated, const struct ph_host *host,
                                 struct ph_histogram *out, struct ph_error *err) PH_MUST_USE;
void ph_histogram_free(struct ph_histogram *histogram);

#endif
