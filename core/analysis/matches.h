/* The objects that a command lists: those that pass a filter and, if there is more to ask, have a
 * mark. */
#ifndef PH_ANALYSIS_MATCHES_H
#define PH_ANALYSIS_MATCHES_H

#include "analysis/filter.h"

struct ph_match {
    uint32_t id;
    uint64_t bytes; /* sys.getsizeof */
};

struct ph_matches PH_ARRAY_BODY(struct ph_match);

/* By ascending id. `marks` has one byte an id, 0 for those that are left out; NULL: all are in.
 * Freed by the caller with ph_array_free(), on success. */
enum ph_status ph_matches_collect(struct ph_heap *heap, const struct ph_filter *filter,
                                  const uint8_t *marks, const struct ph_host *host,
                                  struct ph_matches *out, struct ph_error *err) PH_MUST_USE;

#endif
