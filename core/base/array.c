#include "base/array.h"

#include "base/checked.h"

enum { FIRST_CAPACITY = 8 };

static unsigned long allocations_to_failure;

/* Counts one allocation; whether a test wants it to fail. */
static bool must_fail(void)
{
    return allocations_to_failure && --allocations_to_failure == 0;
}

void ph_alloc_fail_after(unsigned long n)
{
    allocations_to_failure = n;
}

unsigned long ph_alloc_fail_pending(void)
{
    return allocations_to_failure;
}

void *ph_malloc(size_t bytes)
{
    return must_fail() ? NULL : malloc(bytes ? bytes : 1);
}

void *ph_calloc(size_t count, size_t bytes)
{
    return must_fail() ? NULL : calloc(count ? count : 1, bytes ? bytes : 1);
}

void *ph_realloc(void *old, size_t bytes)
{
    return must_fail() ? NULL : realloc(old, bytes ? bytes : 1);
}

bool ph_array_grow(void **items, uint32_t *capacity, uint64_t need, size_t item_bytes)
{
    if (need > UINT32_MAX)
        return false;
    uint64_t wanted = 2 * (uint64_t)*capacity;
    if (wanted < FIRST_CAPACITY)
        wanted = FIRST_CAPACITY;
    if (wanted > UINT32_MAX)
        wanted = UINT32_MAX;
    if (wanted < need)
        wanted = need;

    uint64_t bytes;
    if (!ph_mul(wanted, item_bytes, &bytes))
        return false;
    void *grown = ph_realloc(*items, bytes);
    if (!grown)
        return false;
    *items = grown;
    *capacity = (uint32_t)wanted;
    return true;
}
