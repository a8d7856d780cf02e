/*
 * Every byte of the process explained: each mapped byte belongs to exactly one kind of memory, and
 * what nothing explains is a kind of its own. The allocators' arenas: how full they are, and what
 * keeps the emptiest of them from being given back.
 *
 * In: a snapshot, and what of the memory is resident (target/usage.h).
 */
#ifndef PH_ANALYSIS_MEMORY_H
#define PH_ANALYSIS_MEMORY_H

#include "heap/heap.h"
#include "target/usage.h"

enum ph_memory_kind {
#define PH_MEMORY(id, name, is_private) PH_MEMORY_##id,
#include "analysis/memory.def"
#undef PH_MEMORY
    PH_MEMORY_KINDS
};

/* "pymalloc: objects". */
const char *ph_memory_name(enum ph_memory_kind kind);
/* Whether such memory belongs to the process alone: no file's, shared, or mere address space. */
bool ph_memory_is_private(enum ph_memory_kind kind);

/* What `bytes` of them have in use: the blocks of one size. */
struct ph_size_class {
    uint64_t block_bytes;
    uint64_t pools;      /* or mimalloc's pages */
    uint64_t used, free; /* blocks; not those of pools that are free as a whole */
};

/* Objects of one type in arenas that are not half full, buffers that belong to them included. */
struct ph_pin {
    const struct ph_type *type; /* NULL: blocks that belong to no known object */
    uint64_t blocks, arenas;
    uint64_t bytes; /* of what is free there, their share by number of blocks */
};

/* pymalloc's arenas or mimalloc's segments. */
struct ph_arena_use {
    uint64_t count, bytes;
    uint64_t used_bytes;        /* of blocks in use, with their rounding */
    uint64_t sparse;            /* how many arenas are not half full, */
    uint64_t sparse_free_bytes; /* and what is free in them */
};

/* glibc's malloc, as mallinfo2() sees it. */
struct ph_native_use {
    uint64_t heap_bytes; /* arena: of all arenas' heaps */
    uint64_t used_bytes; /* uordblks and fsmblks: with what waits in caches of freed chunks */
    uint64_t free_bytes; /* fordblks less fsmblks: top included */
    uint64_t mapped, mapped_bytes; /* hblks, hblkhd */
};

struct ph_memory {
    uint64_t bytes[PH_MEMORY_KINDS];
    uint64_t resident[PH_MEMORY_KINDS]; /* or in the core; 0 where usage is unknown */
    uint64_t total, private_bytes;
    struct ph_arena_use arenas;
    struct ph_native_use native;
    uint64_t damaged_heaps; /* of malloc, whose chunks do not lead to their end: unexplained */
    PH_ARRAY(struct ph_size_class) classes; /* by ascending size */
    PH_ARRAY(struct ph_pin) pins;           /* most bytes first */
};

/* Release with ph_memory_free(), on success. The kinds add up to the mapped bytes, or it fails.
 * O(pages + blocks + objects). */
enum ph_status ph_memory_explain(struct ph_heap *heap, const struct ph_usage *usage,
                                 const struct ph_host *host, struct ph_memory *out,
                                 struct ph_error *err) PH_MUST_USE;
void ph_memory_free(struct ph_memory *memory);

#endif
