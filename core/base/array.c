#include "base/array.h"

#include <malloc.h>
#include <sys/mman.h>

#include "base/checked.h"

enum { FIRST_CAPACITY = 8 };
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

static unsigned long allocations_to_failure, failures;

/* Counts one allocation, of whichever thread; whether a test wants it to fail. */
static bool must_fail(void)
{
    unsigned long left = __atomic_load_n(&allocations_to_failure, __ATOMIC_RELAXED);
    while (left && !__atomic_compare_exchange_n(&allocations_to_failure, &left, left - 1, false,
                                                __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
    return left == 1;
}

void ph_alloc_fail_after(unsigned long n)
{
    allocations_to_failure = n;
}

unsigned long ph_alloc_fail_pending(void)
{
    return allocations_to_failure;
}

/* Large memory on huge pages, which are fewer to fault in and to look up. Where there are none,
 * nothing is lost. */
static void *on_huge_pages(void *memory, size_t bytes)
{
    uintptr_t start = ((uintptr_t)memory + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1);
    if (memory && bytes > HUGE_PAGE_BYTES)
        madvise((void *)start, bytes - HUGE_PAGE_BYTES, MADV_HUGEPAGE);
    return memory;
}

/* Counts what failed. */
static void *allocated(void *memory, size_t bytes)
{
    if (!memory)
        __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
    return on_huge_pages(memory, bytes);
}

unsigned long ph_alloc_failures(void)
{
    return __atomic_load_n(&failures, __ATOMIC_RELAXED);
}

void *ph_malloc(size_t bytes)
{
    return allocated(must_fail() ? NULL : malloc(bytes ? bytes : 1), bytes);
}

/* Large memory comes zeroed from the kernel and is not touched here. */
void *ph_calloc(size_t count, size_t bytes)
{
    void *memory = must_fail() ? NULL : calloc(count ? count : 1, bytes ? bytes : 1);
    return allocated(memory, count * bytes);
}

void *ph_realloc(void *old, size_t bytes)
{
    return allocated(must_fail() ? NULL : realloc(old, bytes ? bytes : 1), bytes);
}

void ph_give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
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

uint32_t ph_lower_bound(const void *items, uint32_t count, size_t item_bytes, uint32_t key)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, first;
        memcpy(&first, (const char *)items + middle * item_bytes, sizeof first);
        if (first < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
