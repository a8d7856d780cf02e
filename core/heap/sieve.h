/*
 * What of a live process is worth reading to find pymalloc's pools: all of its memory but the
 * inside of large blocks that malloc mapped by themselves, such as the data of an array. A service
 * may have gigabytes of these, and nothing in them is an object or refers to one.
 *
 * The headers of all pools are looked at before anything is left out, so that none is missed; what
 * was left out is still read when something leads there.
 */
#ifndef PH_HEAP_SIEVE_H
#define PH_HEAP_SIEVE_H

#include "runtime/python.h"

struct ph_range {
    ph_addr start, end;
};
struct ph_ranges PH_ARRAY_BODY(struct ph_range);

struct ph_sieve {
    const struct ph_python *python;
    const struct ph_host *host;
    uint64_t pool_bytes; /* pools lie at multiples of it */
    size_t header_bytes;
    /* Whether these header_bytes are the header of a pool at this address. */
    bool (*is_pool)(void *ctx, const uint8_t *header, ph_addr address);
    void *ctx;
};

/* Append to *out the ranges of a region that are to be read, ascending. All of it where to look
 * would cost as much as to read (every target but a live process). */
enum ph_status ph_sieve_region(const struct ph_sieve *sieve, const struct ph_region *region,
                               struct ph_ranges *out) PH_MUST_USE;

#endif
