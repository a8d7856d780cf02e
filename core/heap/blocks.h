/*
 * The memory blocks of the allocators that CPython brings along: which are in use, and which one an
 * address lies in.
 *
 * pymalloc's pools and mimalloc's pages are the same to all that stands above: runs of equal
 * blocks. Each block is a slot, numbered in ascending order of address over all runs; what is known
 * of a slot is one byte. An address leads to its run by a table and to its slot by one division.
 *
 * Each allocator is one file (pymalloc.c, mimalloc.c) that finds its runs by what lies in memory,
 * so no symbol is needed, and a stripped interpreter is as good as any.
 */
#ifndef PH_HEAP_BLOCKS_H
#define PH_HEAP_BLOCKS_H

#include "heap/sieve.h"
#include "runtime/python.h"

enum ph_slot_state {
    PH_SLOT_FREE = 0,
    PH_SLOT_USED,   /* allocated; for what is not known yet */
    PH_SLOT_OBJECT, /* holds a known object */
    PH_SLOT_BUFFER, /* belongs to a known object */
};

/* What is allocated in a run: free-threaded builds sort that (Include/internal/pycore_mimalloc.h).
 */
enum ph_run_use {
    PH_RUN_ANY,
    PH_RUN_BUFFERS,    /* no objects */
    PH_RUN_PLAIN,      /* objects without GC support */
    PH_RUN_GC,         /* GC objects, each at the start of its block */
    PH_RUN_GC_MANAGED, /* GC objects behind two words for __dict__ and weak references */
};

enum { PH_GROUP_BLOCKS = 64 };

struct ph_run {
    ph_addr start; /* of its first block */
    uint64_t block_bytes;
    uint32_t inverse;     /* 2^32 / block_bytes, rounded up, where that divides exactly; else 0 */
    uint32_t first_slot;  /* number of its first block */
    uint32_t first_group; /* number of its first PH_GROUP_BLOCKS blocks */
    uint32_t block_count : 28;
    enum ph_run_use use : 3;
    bool damaged : 1; /* mimalloc: its free lists contradict its count of used blocks */
};

/* Runs that lie close together share a window: a table from steps to the run that begins or goes on
 * there. */
struct ph_window {
    ph_addr start, end;
    uint32_t *run_at; /* index + 1 of the run at each step; 0: no run there */
};

/* mimalloc: memory that pages are cut from, with what mimalloc keeps of it at its start. */
struct ph_segment {
    ph_addr start, pages, end;
};

struct ph_blocks {
    PH_ARRAY(struct ph_run) runs; /* by ascending address */
    PH_ARRAY(struct ph_window) windows;
    PH_ARRAY(uint8_t) slots;              /* enum ph_slot_state of each slot */
    PH_ARRAY(struct ph_segment) segments; /* mimalloc's, by ascending address */
    uint64_t segment_bytes;               /* they begin at multiples of it */
    bool are_mimalloc;                    /* else pymalloc's */
    uint32_t used_count;                  /* blocks in use */
    uint32_t group_count;                 /* of up to PH_GROUP_BLOCKS blocks, over all runs */
    uint32_t step_bytes;       /* no two runs begin or end within one step: a power of two */
    uint32_t step_shift;       /* its logarithm, set with the index */
    uint64_t unsearched_bytes; /* of mappings too vast to be a heap, such as a sanitizer's shadow */
    uint64_t damaged_count;    /* runs whose free list contradicts their count of used blocks */
    uint64_t delayed_count;    /* blocks freed that other threads may still read: not in use */
};

/* Find all runs. What could not be read is skipped, and counted by the target. python->build
 * is told where mimalloc serves a build with a GIL. */
enum ph_status ph_blocks_scan(struct ph_blocks *blocks, struct ph_python *python,
                              const struct ph_host *host, struct ph_error *err) PH_MUST_USE;
void ph_blocks_free(struct ph_blocks *blocks);

/* The run at an address: its header and unused rest count too. NULL where there is none. */
static inline const struct ph_run *ph_blocks_find(const struct ph_blocks *blocks, ph_addr address)
{
    for (uint32_t i = 0; i < blocks->windows.count; i++) {
        const struct ph_window *w = &blocks->windows.items[i];
        if (address < w->start || address >= w->end)
            continue;
        uint32_t index = w->run_at[(address - w->start) >> blocks->step_shift];
        return index ? &blocks->runs.items[index - 1] : NULL;
    }
    return NULL;
}

/* To multiply with the inverse is exact below this, if blocks are not larger than its square root:
 * the inverse is too large by less than 1, and the product by less than one block_bytes'th. */
#define PH_RUN_INVERTIBLE (1u << 20)

/* The block of a run that covers an address: its slot and the address's offset in it. False before
 * the first block and behind the last. */
static inline bool ph_run_block(const struct ph_run *run, ph_addr address, uint32_t *slot,
                                uint64_t *offset)
{
    if (address < run->start)
        return false;
    uint64_t at = address - run->start;
    uint64_t index =
        run->inverse && at < PH_RUN_INVERTIBLE ? at * run->inverse >> 32 : at / run->block_bytes;
    if (index >= run->block_count)
        return false;
    *slot = run->first_slot + (uint32_t)index;
    *offset = at - index * run->block_bytes;
    return true;
}

static inline ph_addr ph_run_block_address(const struct ph_run *run, uint32_t slot)
{
    return run->start + (uint64_t)(slot - run->first_slot) * run->block_bytes;
}

static inline ph_addr ph_run_end(const struct ph_run *run)
{
    return run->start + run->block_count * run->block_bytes;
}

/* ---- for the allocators' files ---- */

/* Add a run behind all others, its blocks in use; first_slot is set. The slots are good until the
 * next call. NULL without memory, or (then *damaged) where it lies before the end of another. */
uint8_t *ph_blocks_add(struct ph_blocks *blocks, struct ph_run run, bool *damaged);
/* Take the blocks of a free list from those in use: `head` and each next one, as `next` reads it
 * from the one before; false where the list does not end as it should. *count: how many. */
typedef ph_addr (*ph_next_block_fn)(void *ctx, ph_addr block);
bool ph_run_take_free(const struct ph_run *run, uint8_t *slots, ph_addr head, ph_next_block_fn next,
                      void *ctx, uint32_t *count);
/* Once all runs are there: let ph_blocks_find() find them. */
bool ph_blocks_index(struct ph_blocks *blocks);
/* Whether a mapping is reserved address space rather than memory. */
#define PH_VAST_REGION (256ull << 30)
static inline bool ph_region_is_vast(const struct ph_region *region)
{
    return region->end - region->start > PH_VAST_REGION;
}
/* The next region that may hold blocks: writable and not a file's; *i counts from 0. */
const struct ph_region *ph_blocks_region(const struct ph_python *python, size_t *i);
/* Read what will be looked at, with several workers, where that can be done. False: interrupted. */
enum { PH_READING_PERCENT = 30 }; /* of what a snapshot takes */
bool ph_blocks_read_ahead(const struct ph_python *python, const struct ph_ranges *ranges);

enum ph_status ph_pymalloc_scan(struct ph_blocks *blocks, struct ph_python *python,
                                const struct ph_host *host) PH_MUST_USE;
enum ph_status ph_mimalloc_scan(struct ph_blocks *blocks, struct ph_python *python,
                                const struct ph_host *host) PH_MUST_USE;

#endif
