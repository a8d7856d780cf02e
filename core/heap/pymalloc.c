/*
 * pymalloc's pools (Objects/obmalloc.c), found by their headers at pool-aligned addresses of
 * anonymous writable memory; where nobody lists the target's memory, in the arenas that pymalloc
 * itself lists (arenas.h).
 */
#include "heap/pymalloc.h"

enum {
    SMALL_POOL = 4096,  /* to 3.9 */
    LARGE_POOL = 16384, /* from 3.10 on */
    SIZE_CLASSES = 64,  /* 32 of 16 bytes, or 64 of 8 where alignment is 8 */
    MAX_BLOCK = 512,    /* SMALL_REQUEST_THRESHOLD */
    MAX_ARENA_INDEX = 1 << 20,
    BYTES_A_VISIT = 1 << 20, /* scanned between two looks at Ctrl-C */
};

/* What a scan needs beside what it fills. */
struct scan {
    struct ph_blocks *blocks;
    struct ph_python *python;
    const struct ph_host *host;
    uint32_t header_bytes;
};

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
static bool is_pool(const struct scan *s, const struct header *h, ph_addr address)
{
    uint32_t first = s->header_bytes, end = s->blocks->step_bytes;
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

static ph_addr next_free(void *ctx, ph_addr block)
{
    const struct ph_python *python = ctx;
    return ph_python_word(python, block, 0);
}

/* All blocks below next_offset are in use but those on the free list. */
static bool add_pool(struct scan *s, ph_addr address, const struct header *h)
{
    uint32_t block = s->blocks->step_bytes - h->max_next_offset, freed;
    struct ph_run run = {
        .start = address + s->header_bytes,
        .block_bytes = block,
        .block_count = (s->blocks->step_bytes - s->header_bytes) / block,
    };
    uint32_t carved = (h->next_offset - s->header_bytes) / block;
    bool damaged;
    uint8_t *slots = ph_blocks_add(s->blocks, run, &damaged);
    if (!slots)
        return damaged;
    memset(slots + carved, PH_SLOT_FREE, run.block_count - carved);
    bool sane = ph_run_take_free(&run, slots, h->free_block, next_free, s->python, &freed);
    if (!sane || carved - freed != h->used)
        s->blocks->damaged_count++;
    s->blocks->used_count -= run.block_count - carved + freed;
    return true;
}

/* Look at each pool-aligned address from start to end; a page that cannot be read is passed over.
 */
static enum ph_status scan_range(struct scan *s, ph_addr start, ph_addr end)
{
    uint64_t step = s->blocks->step_bytes;
    ph_addr at = (start + step - 1) / step * step;
    for (; at + step <= end && at >= start; at += step) {
        if (at % BYTES_A_VISIT == 0 && ph_host_interrupted(s->host))
            return PH_INTERRUPTED;
        const uint8_t *bytes = ph_target_view(s->python->target, at, s->header_bytes);
        if (!bytes)
            continue;
        struct header h = read_header(s->python, bytes);
        if (is_pool(s, &h, at) && ph_target_view(s->python->target, at, step) &&
            !add_pool(s, at, &h))
            return PH_NO_MEMORY;
    }
    return PH_OK;
}

static bool is_pool_header(void *ctx, const uint8_t *header, ph_addr address)
{
    const struct scan *s = ctx;
    struct header h = read_header(s->python, header);
    return is_pool(s, &h, address);
}

static enum ph_status scan_regions(struct scan *s)
{
    const struct ph_sieve sieve = {
        .python = s->python,
        .host = s->host,
        .pool_bytes = s->blocks->step_bytes,
        .header_bytes = s->header_bytes,
        .is_pool = is_pool_header,
        .ctx = s,
    };
    const struct ph_region *region;
    struct ph_ranges ranges = {0};
    enum ph_status status = PH_OK;
    for (size_t i = 0; !status && (region = ph_blocks_region(s->python, &i)) != NULL;) {
        if (ph_region_is_vast(region))
            s->blocks->unsearched_bytes += region->end - region->start;
        else
            status = ph_sieve_region(&sieve, region, &ranges);
    }
    if (!status && !ph_blocks_read_ahead(s->python, &ranges))
        status = PH_INTERRUPTED;
    for (uint32_t i = 0; i < ranges.count && !status; i++)
        status = scan_range(s, ranges.items[i].start, ranges.items[i].end);
    ph_array_free(&ranges);
    return status;
}

static bool test_pool(void *ctx, ph_addr address, uint32_t *arena_index)
{
    const struct scan *s = ctx;
    const uint8_t *bytes = ph_target_view(s->python->target, address, s->header_bytes);
    if (!bytes)
        return false;
    struct header h = read_header(s->python, bytes);
    *arena_index = h.arena_index;
    return is_pool(s, &h, address);
}

static enum ph_status scan_arenas(struct scan *s)
{
    struct ph_arenas arenas;
    enum ph_status status = PH_OK;
    if (!ph_arenas_find(&arenas, s->python, s->blocks->step_bytes, test_pool, s))
        status = PH_NO_MEMORY;
    for (uint32_t i = 0; i < arenas.items.count && !status; i++)
        status =
            scan_range(s, arenas.items.items[i].start, arenas.items.items[i].start + arenas.bytes);
    ph_arenas_free(&arenas);
    return status;
}

static uint32_t header_bytes(const struct ph_python *python)
{
    return ((uint32_t)python->layout.pool_header.size + 15) & ~15u;
}

bool ph_pool_read(const struct ph_python *python, const struct ph_run *run, uint32_t pool_bytes,
                  struct ph_pool *out)
{
    uint32_t first = header_bytes(python);
    ph_addr address = run->start - first;
    const uint8_t *bytes = ph_target_view(python->target, address, pool_bytes);
    if (!bytes)
        return false;
    struct header h = read_header(python, bytes);
    *out = (struct ph_pool){
        .address = address,
        .used_count = h.used,
        .arena_index = h.arena_index,
        .carved_count = (uint32_t)((h.next_offset - first) / run->block_bytes),
        .free_block = h.free_block,
    };
    return true;
}

bool ph_pymalloc_arenas(struct ph_arenas *arenas, const struct ph_blocks *blocks,
                        struct ph_python *python)
{
    struct scan s = {.blocks = (struct ph_blocks *)blocks,
                     .python = python,
                     .header_bytes = header_bytes(python)};
    *arenas = (struct ph_arenas){0};
    if (blocks->are_mimalloc || !blocks->runs.count)
        return true;
    return ph_arenas_find(arenas, python, blocks->step_bytes, test_pool, &s);
}

enum ph_status ph_pymalloc_scan(struct ph_blocks *blocks, struct ph_python *python,
                                const struct ph_host *host)
{
    const struct ph_layout *L = &python->layout;
    struct scan s = {
        .blocks = blocks,
        .python = python,
        .host = host,
        .header_bytes = header_bytes(python),
    };
    blocks->step_bytes = L->traits.pools == PH_POOLS_LARGE ? LARGE_POOL : SMALL_POOL;
    enum ph_status status =
        ph_target_info(python->target)->lists_regions ? scan_regions(&s) : scan_arenas(&s);
    return status || ph_blocks_index(blocks) ? status : PH_NO_MEMORY;
}
