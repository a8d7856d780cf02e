/*
 * Where the references of the objects lead, roughly: for each piece of the ids, a set of places in
 * which all that its objects refer to lies. A search for who refers to an object notes it the first
 * time, and passes over most pieces from then on. A few bytes for each hundred objects.
 */
#ifndef PH_HEAP_LEADS_H
#define PH_HEAP_LEADS_H

#include "base/error.h"

enum {
    PH_LEADS_IDS = 1 << 14,    /* a piece */
    PH_LEADS_PLACE_SHIFT = 16, /* a place is so many bytes, by their logarithm */
    PH_LEADS_LOG2_BITS = 12,
};

/* Places share bits, so that a set may hold more than it should, never less. */
struct ph_leads {
    uint64_t bits[(1 << PH_LEADS_LOG2_BITS) / 64];
};

static inline uint32_t ph_leads_bit(ph_addr target)
{
    return (uint32_t)((target >> PH_LEADS_PLACE_SHIFT) * 0x9e3779b97f4a7c15u >>
                      (64 - PH_LEADS_LOG2_BITS));
}

static inline void ph_leads_note(struct ph_leads *leads, ph_addr target)
{
    uint32_t bit = ph_leads_bit(target);
    leads->bits[bit / 64] |= (uint64_t)1 << bit % 64;
}

/* Whether a reference to the target may be among those noted. */
static inline bool ph_leads_may(const struct ph_leads *leads, ph_addr target)
{
    uint32_t bit = ph_leads_bit(target);
    return leads->bits[bit / 64] >> bit % 64 & 1;
}

#endif
