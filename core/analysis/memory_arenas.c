#include "analysis/memory_internal.h"

#include <stdlib.h>

/* An arena's or segment's memory. */
struct extent {
    ph_addr start, end;
};

static uint32_t extent_count(const struct ph_explain *e)
{
    const struct ph_blocks *blocks = &e->heap->blocks;
    return blocks->are_mimalloc ? blocks->segments.count : e->arenas.items.count;
}

static struct extent extent_at(const struct ph_explain *e, uint32_t i)
{
    const struct ph_blocks *blocks = &e->heap->blocks;
    if (blocks->are_mimalloc)
        return (struct extent){blocks->segments.items[i].start, blocks->segments.items[i].end};
    ph_addr start = e->arenas.items.items[i].start;
    return (struct extent){start, start + e->arenas.bytes};
}

/* ---- by size ---- */

static uint64_t used_blocks(const struct ph_blocks *blocks, const struct ph_run *run)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < run->block_count; i++)
        used += blocks->slots.items[run->first_slot + i] != PH_SLOT_FREE;
    return used;
}

/* There are few sizes. */
static bool add_to_class(struct ph_memory *memory, uint64_t block_bytes, uint64_t used,
                         uint64_t all)
{
    uint32_t i = 0;
    while (i < memory->classes.count && memory->classes.items[i].block_bytes != block_bytes)
        i++;
    if (i == memory->classes.count &&
        !ph_array_push(&memory->classes, ((struct ph_size_class){.block_bytes = block_bytes})))
        return false;
    struct ph_size_class *c = &memory->classes.items[i];
    c->pools++;
    c->used += used;
    c->free += all - used;
    return true;
}

static int by_size(const void *a, const void *b)
{
    const struct ph_size_class *x = a, *y = b;
    return (x->block_bytes > y->block_bytes) - (x->block_bytes < y->block_bytes);
}

/* ---- what pins the emptiest ---- */

/* Add the blocks of the runs to their owners' types: of the blocks in use, what each type has. */
static void count_types(const struct ph_explain *e, uint32_t first, uint32_t end, uint64_t *counts)
{
    const struct ph_blocks *blocks = &e->heap->blocks;
    for (uint32_t r = first; r < end; r++) {
        const struct ph_run *run = &blocks->runs.items[r];
        for (uint32_t i = 0; i < run->block_count; i++) {
            uint32_t slot = run->first_slot + i;
            const struct ph_owned *owned = &e->blocks[slot];
            bool known = owned->kind == PH_OWNER_OBJECT || owned->kind == PH_OWNER_BUFFER;
            if (blocks->slots.items[slot] != PH_SLOT_FREE)
                counts[known ? owned->type : e->heap->objects.types.count]++;
        }
    }
}

static void add_pins(struct ph_pin *pins, uint64_t *counts, uint32_t count, uint64_t blocks,
                     uint64_t free_bytes)
{
    for (uint32_t t = 0; t < count; t++) {
        if (!counts[t])
            continue;
        pins[t].arenas++;
        pins[t].blocks += counts[t];
        pins[t].bytes += (uint64_t)((double)free_bytes * (double)counts[t] / (double)blocks);
        counts[t] = 0;
    }
}

static int by_bytes(const void *a, const void *b)
{
    const struct ph_pin *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    ph_addr p = x->type ? x->type->address : 0, q = y->type ? y->type->address : 0;
    return (p > q) - (p < q);
}

static bool keep_pins(struct ph_explain *e, struct ph_pin *pins, uint32_t count)
{
    struct ph_memory *memory = e->memory;
    for (uint32_t t = 0; t < count; t++) {
        pins[t].type = t + 1 < count ? e->heap->objects.types.items[t] : NULL;
        if (pins[t].blocks && !ph_array_push(&memory->pins, pins[t]))
            return false;
    }
    if (memory->pins.count)
        qsort(memory->pins.items, memory->pins.count, sizeof *memory->pins.items, by_bytes);
    return true;
}

/* ---- all arenas ---- */

struct run_sum {
    uint64_t blocks, bytes; /* in use */
};

/* The runs that begin in the extent, from *first on; they come by ascending address. */
static bool sum_runs(struct ph_explain *e, struct extent extent, uint32_t *first, uint32_t *end,
                     struct run_sum *sum)
{
    const struct ph_blocks *blocks = &e->heap->blocks;
    uint32_t r = *end;
    while (r < blocks->runs.count && blocks->runs.items[r].start < extent.start)
        r++;
    *first = r;
    *sum = (struct run_sum){0};
    for (; r < blocks->runs.count && blocks->runs.items[r].start < extent.end; r++) {
        const struct ph_run *run = &blocks->runs.items[r];
        uint64_t used = used_blocks(blocks, run);
        sum->blocks += used;
        sum->bytes += used * run->block_bytes;
        if (!add_to_class(e->memory, run->block_bytes, used, run->block_count))
            return false;
    }
    *end = r;
    return true;
}

static bool measure(struct ph_explain *e, struct ph_pin *pins, uint64_t *counts,
                    uint32_t type_count)
{
    struct ph_arena_use *use = &e->memory->arenas;
    uint32_t first, end = 0;
    for (uint32_t i = 0; i < extent_count(e); i++) {
        struct extent extent = extent_at(e, i);
        struct run_sum sum;
        if (!sum_runs(e, extent, &first, &end, &sum))
            return false;
        uint64_t bytes = extent.end - extent.start;
        use->count++;
        use->bytes += bytes;
        use->used_bytes += sum.bytes;
        if (sum.bytes >= bytes / 2)
            continue;
        use->sparse++;
        use->sparse_free_bytes += bytes - sum.bytes;
        count_types(e, first, end, counts);
        add_pins(pins, counts, type_count, sum.blocks, bytes - sum.bytes);
    }
    return true;
}

bool ph_memory_measure_arenas(struct ph_explain *e)
{
    uint32_t count = e->heap->objects.types.count + 1;
    struct ph_pin *pins = ph_calloc(count, sizeof *pins);
    uint64_t *counts = ph_calloc(count, sizeof *counts);
    bool ok = pins && counts && measure(e, pins, counts, count) && keep_pins(e, pins, count);
    if (ok && e->memory->classes.count)
        qsort(e->memory->classes.items, e->memory->classes.count, sizeof *e->memory->classes.items,
              by_size);
    free(pins);
    free(counts);
    return ok;
}
