#include "heap/pools.h"

#include "heap/arenas.h"

enum {
    SMALL_POOL = 4096,  /* to 3.9 */
    LARGE_POOL = 16384, /* from 3.10 on */
    SIZE_CLASSES = 64,  /* 32 of 16 bytes, or 64 of 8 where alignment is 8 */
    MAX_BLOCK = 512,    /* SMALL_REQUEST_THRESHOLD */
    MAX_ARENA_INDEX = 1 << 20,
    BYTES_A_VISIT = 1 << 20, /* scanned between two looks at Ctrl-C */
};
#define WINDOW_GAP   (64ull << 20) /* pools farther apart get windows of their own */
#define WINDOW_LIMIT (1ull << 40)  /* no window is wider */

/* A pool header, decoded. */
struct header {
    uint32_t used, arena_index, size_class, next_offset, max_next_offset;
    ph_addr free_block;
};

static struct header read_header(const struct ph_python *python, const uint8_t *at)
{
    const struct ph_layout *L = &python->layout;
    return (struct header){
        .used = ph_load_u32(python, at + L->pool_header.ref_count),
        .free_block = ph_load_ptr(python, at + L->pool_header.freeblock),
        .arena_index = ph_load_u32(python, at + L->pool_header.arenaindex),
        .size_class = ph_load_u32(python, at + L->pool_header.szidx),
        .next_offset = ph_load_u32(python, at + L->pool_header.nextoffset),
        .max_next_offset = ph_load_u32(python, at + L->pool_header.maxnextoffset),
    };
}

/* Whether this is the header of a pool with blocks in use. Eight conditions on six numbers: memory
 * that is no pool does not pass by chance. */
static bool is_pool(const struct ph_pools *pools, const struct header *h, ph_addr address)
{
    uint32_t first = pools->header_bytes, end = pools->pool_bytes;
    if (h->size_class >= SIZE_CLASSES || h->max_next_offset >= end ||
        h->arena_index > MAX_ARENA_INDEX)
        return false;
    uint32_t block = end - h->max_next_offset;
    if (block == 0 || block > MAX_BLOCK || block % 8 != 0)
        return false;
    if (block != (h->size_class + 1) * 16 && block != (h->size_class + 1) * 8)
        return false;
    if (h->next_offset < first + block || h->next_offset > end ||
        (h->next_offset - first) % block != 0)
        return false;
    if (h->used == 0 || h->used > (end - first) / block)
        return false;
    return h->free_block == 0 ||
           (h->free_block >= address + first && h->free_block < address + end &&
            (h->free_block - address - first) % block == 0);
}

/* Mark the blocks of one pool: all below next_offset are in use but those on the free list. */
static void mark_blocks(struct ph_pools *pools, const struct ph_python *python,
                        const struct ph_pool *pool, const uint8_t *at, const struct header *h)
{
    uint8_t *slots = pools->slots + pool->first_slot;
    uint32_t carved = (h->next_offset - pools->header_bytes) / pool->block_bytes, used = carved;
    memset(slots, PH_SLOT_USED, carved);
    ph_addr block = h->free_block;
    while (block) {
        uint64_t offset = block - pool->address - pools->header_bytes;
        uint64_t index = offset / pool->block_bytes;
        bool sane = block > pool->address && index < carved && offset % pool->block_bytes == 0;
        if (!sane || slots[index] == PH_SLOT_FREE)
            break;
        slots[index] = PH_SLOT_FREE;
        used--;
        block = ph_load_ptr(python, at + pools->header_bytes + offset);
    }
    if (block || used != h->used)
        pools->damaged_count++;
    pools->used_count += used;
}

static bool add_pool(struct ph_pools *pools, ph_addr address, const struct header *h)
{
    uint32_t block = pools->pool_bytes - h->max_next_offset;
    struct ph_pool pool = {
        .address = address,
        .first_slot = pools->slot_count,
        .block_bytes = (uint16_t)block,
        .block_count = (uint16_t)((pools->pool_bytes - pools->header_bytes) / block),
    };
    if (pools->slot_count > UINT32_MAX - pool.block_count || !ph_array_push(&pools->pools, pool))
        return false;
    pools->slot_count += pool.block_count;
    return true;
}

/* Look at each pool-aligned address from start to end; a page that cannot be read is passed over.
 */
static enum ph_status scan_range(struct ph_pools *pools, struct ph_python *python, ph_addr start,
                                 ph_addr end, const struct ph_host *host)
{
    uint64_t step = pools->pool_bytes;
    ph_addr at = (start + step - 1) / step * step;
    for (; at + step <= end && at >= start; at += step) {
        if (at % BYTES_A_VISIT == 0 && ph_host_interrupted(host))
            return PH_INTERRUPTED;
        const uint8_t *bytes = ph_target_view(python->target, at, pools->header_bytes);
        if (!bytes)
            continue;
        struct header h = read_header(python, bytes);
        if (is_pool(pools, &h, at) && ph_target_view(python->target, at, step) &&
            !add_pool(pools, at, &h))
            return PH_NO_MEMORY;
    }
    return PH_OK;
}

static bool mark_all(struct ph_pools *pools, struct ph_python *python)
{
    pools->slots = ph_calloc(pools->slot_count ? pools->slot_count : 1, 1);
    if (!pools->slots)
        return false;
    for (uint32_t i = 0; i < pools->pools.count; i++) {
        const struct ph_pool *pool = &pools->pools.items[i];
        const uint8_t *at = ph_target_view(python->target, pool->address, pools->pool_bytes);
        struct header h = read_header(python, at);
        mark_blocks(pools, python, pool, at, &h);
    }
    return true;
}

static bool add_window(struct ph_pools *pools, uint32_t first, uint32_t last)
{
    const struct ph_pool *items = pools->pools.items;
    struct ph_pool_window w = {
        .start = items[first].address,
        .end = items[last].address + pools->pool_bytes,
    };
    w.pool_at = ph_calloc((w.end - w.start) / pools->pool_bytes, sizeof *w.pool_at);
    if (!w.pool_at || !ph_array_push(&pools->windows, w)) {
        free(w.pool_at);
        return false;
    }
    for (uint32_t i = first; i <= last; i++)
        w.pool_at[(items[i].address - w.start) / pools->pool_bytes] = i + 1;
    return true;
}

static bool add_windows(struct ph_pools *pools)
{
    const struct ph_pool *items = pools->pools.items;
    uint32_t first = 0;
    for (uint32_t i = 1; i <= pools->pools.count; i++) {
        bool ends = i == pools->pools.count ||
                    items[i].address - items[i - 1].address > WINDOW_GAP ||
                    items[i].address - items[first].address > WINDOW_LIMIT;
        if (!ends)
            continue;
        if (!add_window(pools, first, i - 1))
            return false;
        first = i;
    }
    return true;
}

static enum ph_status scan_regions(struct ph_pools *pools, struct ph_python *python,
                                   const struct ph_host *host)
{
    size_t count;
    const struct ph_region *regions = ph_target_regions(python->target, &count);
    const unsigned wanted = PH_REGION_READ | PH_REGION_WRITE | PH_REGION_ANON;
    enum ph_status status = PH_OK;
    for (size_t i = 0; i < count && !status; i++) {
        if ((regions[i].flags & wanted) != wanted)
            continue;
        if (ph_region_is_vast(&regions[i]))
            pools->unsearched_bytes += regions[i].end - regions[i].start;
        else
            status = scan_range(pools, python, regions[i].start, regions[i].end, host);
    }
    return status;
}

struct pool_test {
    const struct ph_pools *pools;
    const struct ph_python *python;
};

static bool test_pool(void *ctx, ph_addr address, uint32_t *arena_index)
{
    const struct pool_test *test = ctx;
    const uint8_t *bytes = ph_target_view(test->python->target, address, test->pools->header_bytes);
    if (!bytes)
        return false;
    struct header h = read_header(test->python, bytes);
    *arena_index = h.arena_index;
    return is_pool(test->pools, &h, address);
}

static enum ph_status scan_arenas(struct ph_pools *pools, struct ph_python *python,
                                  const struct ph_host *host)
{
    struct ph_arenas arenas;
    struct pool_test test = {pools, python};
    enum ph_status status = PH_OK;
    if (!ph_arenas_find(&arenas, python, pools->pool_bytes, test_pool, &test))
        status = PH_NO_MEMORY;
    for (uint32_t i = 0; i < arenas.starts.count && !status; i++)
        status = scan_range(pools, python, arenas.starts.items[i],
                            arenas.starts.items[i] + arenas.bytes, host);
    ph_arenas_free(&arenas);
    return status;
}

enum ph_status ph_pools_scan(struct ph_pools *pools, struct ph_python *python,
                             const struct ph_host *host, struct ph_error *err)
{
    memset(pools, 0, sizeof *pools);
    pools->pool_bytes = python->layout.traits.pools == PH_POOLS_LARGE ? LARGE_POOL : SMALL_POOL;
    pools->header_bytes = ((uint32_t)python->layout.pool_header.size + 15) & ~15u;
    enum ph_status status = ph_target_info(python->target)->lists_regions
                                ? scan_regions(pools, python, host)
                                : scan_arenas(pools, python, host);
    if (!status && (!mark_all(pools, python) || !add_windows(pools)))
        status = PH_NO_MEMORY;
    if (!status)
        return PH_OK;
    ph_pools_free(pools);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

void ph_pools_free(struct ph_pools *pools)
{
    for (uint32_t i = 0; i < pools->windows.count; i++)
        free(pools->windows.items[i].pool_at);
    ph_array_free(&pools->windows);
    ph_array_free(&pools->pools);
    free(pools->slots);
    memset(pools, 0, sizeof *pools);
}
