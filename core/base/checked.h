/*
 * Sums and products of numbers that come from the target: false where they do not fit 64 bits, and
 * *out must then not be used.
 *
 *     uint64_t bytes;
 *     if (!ph_mul(count, item_bytes, &bytes) || !ph_add(header_bytes, bytes, &bytes))
 *         return ph_fail(err, PH_BAD_DATA, ...);
 */
#ifndef PH_BASE_CHECKED_H
#define PH_BASE_CHECKED_H

#include "base/error.h"

static inline PH_MUST_USE bool ph_add(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline PH_MUST_USE bool ph_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* The nearest that fits, for totals that are only shown. */
static inline uint64_t ph_add_saturated(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return ph_add(a, b, &sum) ? sum : UINT64_MAX;
}

#endif
