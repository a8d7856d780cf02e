#include "runtime/refcount.h"

enum {
    SHARED_SHIFT = 2, /* the low bits of ob_ref_shared are flags (Include/object.h) */
    GC_BIT_DEFERRED = 64,
};
#define COUNT_OVERFLOW    (0xffffull << 32)  /* of a count of 32 bits; its flags lie above */
#define MAX_FLAGGED_COUNT ((1ull << 52) - 1) /* four flags are more than there are */

/* From 3.14 on the low half counts, and flags lie above it; an object on a free list has the next
 * one's address in place of both (Include/refcount.h, Include/internal/pycore_freelist.h). */
static struct ph_refcount read_flagged(uint64_t word)
{
    bool freed = (word & COUNT_OVERFLOW) != 0;
    return (struct ph_refcount){
        .count = freed ? 0 : (uint32_t)word,
        .immortal = !freed && (int32_t)word < 0,
        .clean = !freed && word <= MAX_FLAGGED_COUNT,
    };
}

static struct ph_refcount read_word(const struct ph_python *python, const uint8_t *head)
{
    const struct ph_layout *L = &python->layout;
    int64_t word = ph_load_ssize(python, head + L->object.ob_refcnt);
    if (L->traits.immortal == PH_IMMORTAL_FLAGS)
        return read_flagged((uint64_t)word);
    return (struct ph_refcount){
        .count = word,
        .immortal = L->traits.immortal != PH_IMMORTAL_NONE && (int32_t)word < 0,
        .clean = word >> 32 == 0,
    };
}

/* What an object whose count is deferred has more than its references: the stack refers to it
 * without counting, so that it never falls to 0 (Python/gc_free_threading.c, Objects/object.c:
 * _PyObject_SetDeferredRefcount). */
static int64_t deferred_bias(const struct ph_python *python)
{
    if (python->layout.traits.refcount == PH_REFCOUNT_SPLIT)
        return 1;
    return (python->wide ? INT64_MAX : INT32_MAX) / 8;
}

static struct ph_refcount read_split(const struct ph_python *python, const uint8_t *head)
{
    const struct ph_layout *L = &python->layout;
    uint32_t local = ph_load_u32(python, head + L->object.ob_ref_local);
    int64_t shared = ph_load_ssize(python, head + L->object.ob_ref_shared) >> SHARED_SHIFT;
    bool deferred = head[L->object.ob_gc_bits] & GC_BIT_DEFERRED;
    struct ph_refcount result = {.immortal = local == UINT32_MAX};
    result.count = local + shared - (deferred ? deferred_bias(python) : 0);
    result.clean = result.immortal ? shared == 0 : result.count >> 32 == 0;
    return result;
}

struct ph_refcount ph_refcount_read(const struct ph_python *python, const uint8_t *head)
{
    return python->layout.traits.refcount == PH_REFCOUNT_WORD ? read_word(python, head)
                                                              : read_split(python, head);
}
