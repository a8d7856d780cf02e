/*
 * pymalloc's pools (Objects/obmalloc.c): which memory blocks are in use, and which block an address
 * lies in.
 *
 * Pools are found by their headers at pool-aligned addresses of anonymous writable memory, so no
 * symbol is needed, and a stripped interpreter is as good as any; where nobody lists the target's
 * memory, in the arenas that pymalloc itself lists (arenas.h). Each block is a slot, numbered in
 * ascending order of address over all pools; what is known of a slot is one byte.
 */
#ifndef PH_HEAP_POOLS_H
#define PH_HEAP_POOLS_H

#include "runtime/python.h"

enum ph_slot_state {
    PH_SLOT_FREE = 0,
    PH_SLOT_USED,   /* allocated; for what is not known yet */
    PH_SLOT_OBJECT, /* holds a known object */
    PH_SLOT_BUFFER, /* belongs to a known object */
};

struct ph_pool {
    ph_addr address;     /* of the pool header */
    uint32_t first_slot; /* number of its first block */
    uint16_t block_bytes;
    uint16_t block_count;
};

/* Pools that lie close together share a window: a table from pool-sized steps to pools. */
struct ph_pool_window {
    ph_addr start, end;
    uint32_t *pool_at; /* index + 1 of the pool at each step; 0: no pool there */
};

struct ph_pools {
    PH_ARRAY(struct ph_pool) pools; /* by ascending address */
    PH_ARRAY(struct ph_pool_window) windows;
    uint8_t *slots; /* enum ph_slot_state of each slot */
    uint32_t slot_count;
    uint32_t used_count;       /* blocks in use */
    uint64_t unsearched_bytes; /* of mappings too vast to be a heap, such as a sanitizer's shadow */
    uint64_t damaged_count;    /* pools whose free list contradicts their count of used blocks */
    uint32_t pool_bytes;       /* 4 or 16 KiB */
    uint32_t header_bytes;
};

#define PH_VAST_REGION (256ull << 30)
/* Whether a mapping is reserved address space rather than memory. */
static inline bool ph_region_is_vast(const struct ph_region *region)
{
    return region->end - region->start > PH_VAST_REGION;
}

/* Find all pools. What could not be read is skipped, and counted by the target. */
enum ph_status ph_pools_scan(struct ph_pools *pools, struct ph_python *python,
                             const struct ph_host *host, struct ph_error *err) PH_MUST_USE;
void ph_pools_free(struct ph_pools *pools);

/* The pool that covers an address, or NULL. */
static inline const struct ph_pool *ph_pools_find(const struct ph_pools *pools, ph_addr address)
{
    for (uint32_t i = 0; i < pools->windows.count; i++) {
        const struct ph_pool_window *w = &pools->windows.items[i];
        if (address < w->start || address >= w->end)
            continue;
        uint32_t index = w->pool_at[(address - w->start) / pools->pool_bytes];
        return index ? &pools->pools.items[index - 1] : NULL;
    }
    return NULL;
}

/* The block of a pool that covers an address: its slot and the address's offset in it. False within
 * the header or the unused tail. */
static inline bool ph_pool_block(const struct ph_pools *pools, const struct ph_pool *pool,
                                 ph_addr address, uint32_t *slot, uint32_t *offset)
{
    uint64_t from = address - pool->address;
    if (from < pools->header_bytes)
        return false;
    uint32_t at = (uint32_t)from - pools->header_bytes;
    uint32_t index = at / pool->block_bytes;
    if (index >= pool->block_count)
        return false;
    *slot = pool->first_slot + index;
    *offset = at - index * pool->block_bytes;
    return true;
}

static inline ph_addr ph_pool_block_address(const struct ph_pools *pools,
                                            const struct ph_pool *pool, uint32_t slot)
{
    return pool->address + pools->header_bytes +
           (uint64_t)(slot - pool->first_slot) * pool->block_bytes;
}

#endif
