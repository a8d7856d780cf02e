#include "runtime/refcount.h"

enum {
    SHARED_SHIFT = 2, /* the low bits of ob_ref_shared are flags (Include/object.h) */
    GC_BIT_DEFERRED = 64,
};

/* What an object whose count is deferred has more than its references: the stack refers to it
 * without counting, so that it never falls to 0 (Python/gc_free_threading.c, Objects/object.c:
 * _PyObject_SetDeferredRefcount). */
static int64_t deferred_bias(const struct ph_python *python)
{
    if (python->layout.traits.refcount == PH_REFCOUNT_SPLIT)
        return 1;
    return (python->wide ? INT64_MAX : INT32_MAX) / 8;
}

struct ph_refcount ph_refcount_read_split(const struct ph_python *python, const uint8_t *head)
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
