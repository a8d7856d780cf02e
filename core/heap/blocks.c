#include "heap/blocks.h"

#define WINDOW_GAP (64ull << 20) /* runs farther apart get windows of their own */
enum { LARGEST_INVERTED = 1 << 10 };
#define WINDOW_LIMIT (1ull << 40) /* no window is wider */

uint8_t *ph_blocks_add(struct ph_blocks *blocks, struct ph_run run, bool *damaged)
{
    uint32_t runs = blocks->runs.count, slots = blocks->slots.count;
    *damaged = runs && run.start < ph_run_end(&blocks->runs.items[runs - 1]);
    if (*damaged || !ph_array_reserve(&blocks->slots, (uint64_t)slots + run.block_count))
        return NULL;
    run.first_slot = slots;
    run.first_group = blocks->group_count;
    run.inverse = run.block_bytes > 1 && run.block_bytes <= LARGEST_INVERTED
                      ? (uint32_t)(((1ull << 32) + run.block_bytes - 1) / run.block_bytes)
                      : 0;
    if (!ph_array_push(&blocks->runs, run))
        return NULL;
    memset(blocks->slots.items + slots, PH_SLOT_USED, run.block_count);
    blocks->slots.count += run.block_count;
    blocks->used_count += run.block_count;
    blocks->group_count += (run.block_count + PH_GROUP_BLOCKS - 1) / PH_GROUP_BLOCKS;
    return blocks->slots.items + slots;
}

bool ph_run_take_free(const struct ph_run *run, uint8_t *slots, ph_addr head, ph_next_block_fn next,
                      void *ctx, uint32_t *count)
{
    *count = 0;
    for (ph_addr block = head; block; block = next(ctx, block)) {
        uint32_t slot;
        uint64_t offset;
        if (!ph_run_block(run, block, &slot, &offset) || offset != 0 ||
            slots[slot - run->first_slot] == PH_SLOT_FREE)
            return false;
        slots[slot - run->first_slot] = PH_SLOT_FREE;
        (*count)++;
    }
    return true;
}

/* ---- the index ---- */

static ph_addr first_step(const struct ph_blocks *blocks, uint32_t run)
{
    return blocks->runs.items[run].start / blocks->step_bytes * blocks->step_bytes;
}

static ph_addr end_step(const struct ph_blocks *blocks, uint32_t run)
{
    ph_addr end = ph_run_end(&blocks->runs.items[run]);
    return (end + blocks->step_bytes - 1) / blocks->step_bytes * blocks->step_bytes;
}

static bool add_window(struct ph_blocks *blocks, uint32_t first, uint32_t last)
{
    struct ph_window w = {.start = first_step(blocks, first), .end = end_step(blocks, last)};
    uint32_t step = blocks->step_bytes;
    w.run_at = ph_calloc((w.end - w.start) / step, sizeof *w.run_at);
    if (!w.run_at || !ph_array_push(&blocks->windows, w)) {
        free(w.run_at);
        return false;
    }
    for (uint32_t i = first; i <= last; i++) {
        for (ph_addr at = first_step(blocks, i); at < end_step(blocks, i); at += step)
            w.run_at[(at - w.start) / step] = i + 1;
    }
    return true;
}

bool ph_blocks_index(struct ph_blocks *blocks)
{
    blocks->step_shift = (uint32_t)__builtin_ctz(blocks->step_bytes);
    const struct ph_run *runs = blocks->runs.items;
    uint32_t first = 0;
    for (uint32_t i = 1; i <= blocks->runs.count; i++) {
        bool ends = i == blocks->runs.count ||
                    runs[i].start - ph_run_end(&runs[i - 1]) > WINDOW_GAP ||
                    runs[i].start - runs[first].start > WINDOW_LIMIT;
        if (!ends)
            continue;
        if (!add_window(blocks, first, i - 1))
            return false;
        first = i;
    }
    return true;
}

/* ---- all allocators ---- */

const struct ph_region *ph_blocks_region(const struct ph_python *python, size_t *i)
{
    const unsigned wanted = PH_REGION_READ | PH_REGION_WRITE | PH_REGION_ANON;
    size_t count;
    const struct ph_region *regions = ph_target_regions(python->target, &count);
    while (*i < count) {
        const struct ph_region *region = &regions[(*i)++];
        if ((region->flags & wanted) == wanted)
            return region;
    }
    return NULL;
}

bool ph_blocks_read_ahead(const struct ph_python *python, const struct ph_ranges *ranges)
{
    uint64_t total = 1, done = 0; /* never nothing, to divide by */
    for (uint32_t i = 0; i < ranges->count; i++)
        total += ranges->items[i].end - ranges->items[i].start;
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct ph_range *range = &ranges->items[i];
        uint64_t bytes = range->end - range->start;
        if (!ph_target_read_ahead(python->target, range->start, range->end,
                                  (unsigned)(done * PH_READING_PERCENT / total),
                                  (unsigned)((done + bytes) * PH_READING_PERCENT / total)))
            return false;
        done += bytes;
    }
    return true;
}

enum ph_status ph_blocks_scan(struct ph_blocks *blocks, struct ph_python *python,
                              const struct ph_host *host, struct ph_error *err)
{
    memset(blocks, 0, sizeof *blocks);
    enum ph_status status = ph_mimalloc_scan(blocks, python, host);
    blocks->are_mimalloc = blocks->runs.count != 0;
    if (!status && !blocks->are_mimalloc)
        status = ph_pymalloc_scan(blocks, python, host);
    else if (!status && !(python->build & PH_BUILD_FREE_THREADED))
        python->build |= PH_BUILD_MIMALLOC;
    if (!status)
        return PH_OK;
    ph_blocks_free(blocks);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

void ph_blocks_free(struct ph_blocks *blocks)
{
    for (uint32_t i = 0; i < blocks->windows.count; i++)
        free(blocks->windows.items[i].run_at);
    ph_array_free(&blocks->windows);
    ph_array_free(&blocks->runs);
    ph_array_free(&blocks->slots);
    ph_array_free(&blocks->segments);
    memset(blocks, 0, sizeof *blocks);
}
