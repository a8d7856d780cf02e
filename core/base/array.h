/*
 * Typed growable arrays with 32-bit counts.
 *
 *     PH_ARRAY(ph_addr) found = {0};
 *     if (!ph_array_push(&found, address))
 *         return PH_NO_MEMORY;
 *     for (uint32_t i = 0; i < found.count; i++)
 *         use(found.items[i]);
 *     ph_array_free(&found);
 *
 * Zero-initialised is empty. A failed growth leaves the array as it was and yields false. Memory
 * comes from ph_realloc(), which tests can make fail.
 */
#ifndef PH_BASE_ARRAY_H
#define PH_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PH_ARRAY(type)                                                                             \
    struct {                                                                                       \
        type *items;                                                                               \
        uint32_t count, capacity;                                                                  \
    }

/* The same as the body of a named struct: struct names PH_ARRAY_BODY(const char *); */
#define PH_ARRAY_BODY(type)                                                                        \
    {                                                                                              \
        type *items;                                                                               \
        uint32_t count, capacity;                                                                  \
    }

/* Make room for one more; amortised doubling. */
#define ph_array_reserve_one(a)                                                                    \
    ((a)->count < (a)->capacity ||                                                                 \
     ph_array_grow((void **)&(a)->items, &(a)->capacity, (a)->count + 1u, sizeof *(a)->items))

#define ph_array_push(a, value)                                                                    \
    (ph_array_reserve_one(a) ? ((a)->items[(a)->count++] = (value), true) : false)

#define ph_array_reserve(a, n)                                                                     \
    ((n) <= (a)->capacity ||                                                                       \
     ph_array_grow((void **)&(a)->items, &(a)->capacity, (n), sizeof *(a)->items))

/* Where items ascend by their first member, a uint32_t: the place of the first one that is not
 * below the key; their count if all are. */
#define ph_array_lower_bound(a, key)                                                               \
    ph_lower_bound((a)->items, (a)->count, sizeof *(a)->items, (key))
uint32_t ph_lower_bound(const void *items, uint32_t count, size_t item_bytes, uint32_t key);

#define ph_array_free(a) (free((a)->items), memset((a), 0, sizeof *(a)))

/* Grow to at least `need` items (at least doubling). False when out of memory or past 2^32 - 1
 * items. */
bool ph_array_grow(void **items, uint32_t *capacity, uint64_t need, size_t item_bytes);

/* malloc, realloc and calloc through one door, so that tests can fail the Nth allocation. */
void *ph_malloc(size_t bytes);
void *ph_calloc(size_t count, size_t bytes);
void *ph_realloc(void *old, size_t bytes);
/* Give freed memory back to the kernel, after much of it was freed in many parts. */
void ph_give_back(void);
/* How many allocations have failed so far, by whomever: an answer during which one did is not
 * whole. */
unsigned long ph_alloc_failures(void);
/* Test hook: the Nth allocation from now fails (1: the next one); 0 turns it off. */
void ph_alloc_fail_after(unsigned long n);
/* How many allocations are still to come before one fails; 0 once it has, or where the hook is off.
 */
unsigned long ph_alloc_fail_pending(void);

#endif
