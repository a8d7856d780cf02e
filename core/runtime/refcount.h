/*
 * What the head of an object says of the references to it, however the version counts them.
 */
#ifndef PH_RUNTIME_REFCOUNT_H
#define PH_RUNTIME_REFCOUNT_H

#include "runtime/python.h"

struct ph_refcount {
    int64_t count; /* of references, as the object's owners took them */
    bool immortal; /* nobody counts, and `count` is of no use */
    bool clean;    /* the words hold that and nothing else: garbage hardly ever does */
};

/* Private: of a count of 32 bits; flags lie above it. */
#define PH_COUNT_OVERFLOW    (0xffffull << 32)
#define PH_MAX_FLAGGED_COUNT ((1ull << 52) - 1) /* four flags are more than there are */

/* Private: from 3.14 on the low half counts, and flags lie above it; an object on a free list has
 * the next one's address in place of both (Include/refcount.h, Include/internal/pycore_freelist.h).
 */
static inline struct ph_refcount ph_refcount_flagged(uint64_t word)
{
    bool freed = (word & PH_COUNT_OVERFLOW) != 0;
    return (struct ph_refcount){
        .count = freed ? 0 : (uint32_t)word,
        .immortal = !freed && (int32_t)word < 0,
        .clean = !freed && word <= PH_MAX_FLAGGED_COUNT,
    };
}

/* Private. */
static inline struct ph_refcount ph_refcount_word(const struct ph_python *python,
                                                  const uint8_t *head)
{
    const struct ph_layout *L = &python->layout;
    int64_t word = ph_load_ssize(python, head + L->object.ob_refcnt);
    if (L->traits.immortal == PH_IMMORTAL_FLAGS)
        return ph_refcount_flagged((uint64_t)word);
    return (struct ph_refcount){
        .count = word,
        .immortal = L->traits.immortal != PH_IMMORTAL_NONE && (int32_t)word < 0,
        .clean = word >> 32 == 0,
    };
}

/* Private: of free-threaded builds. */
struct ph_refcount ph_refcount_read_split(const struct ph_python *python, const uint8_t *head);

/* `head` is plain memory: layout.object.size bytes of it. */
static inline struct ph_refcount ph_refcount_read(const struct ph_python *python,
                                                  const uint8_t *head)
{
    return python->layout.traits.refcount == PH_REFCOUNT_WORD
               ? ph_refcount_word(python, head)
               : ph_refcount_read_split(python, head);
}

#endif
