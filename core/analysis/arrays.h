/*
 * Arrays: the native memory behind objects, such as a bytearray's bytes or an ndarray's items,
 * whose it is, and which objects are but views of it.
 */
#ifndef PH_ANALYSIS_ARRAYS_H
#define PH_ANALYSIS_ARRAYS_H

#include "analysis/filter.h"

enum ph_array_order { PH_ARRAYS_BY_BYTES, PH_ARRAYS_BY_ADDRESS, PH_ARRAYS_BY_TYPE };

struct ph_array_row {
    uint32_t id;
    bool owns;
    uint64_t nbytes; /* as the type says: of a view, what it shows */
    ph_addr base;    /* of a view: the object whose memory it shows; 0: nothing tells */
};

struct ph_arrays {
    PH_ARRAY(struct ph_array_row) rows;
    uint64_t bytes; /* of those that own their memory */
    uint64_t owners, views;
};

/* The arrays that a filter accepts; its min_bytes and max_bytes are of nbytes. Release with
 * ph_arrays_free(), on success. O(objects + n log n).
 *
 * The base of a view is what the chain of its bases ends at: each array may name the object that it
 * was made from. Where the chain ends before it comes to an owner, it is the object in whose memory
 * the view's begins. */
enum ph_status ph_arrays_find(struct ph_heap *heap, const struct ph_filter *filter,
                              enum ph_array_order order, const struct ph_host *host,
                              struct ph_arrays *out, struct ph_error *err) PH_MUST_USE;
void ph_arrays_free(struct ph_arrays *arrays);

#endif
