/*
 * The memory that glibc's malloc handed out (malloc/malloc.c, malloc/arena.c): where each block
 * begins, for objects that lie in no pool. Not here: pools, and what a block holds.
 *
 * A heap is believed as a whole or not at all: from its first chunk on, each chunk must lead to the
 * next, exactly to the heap's end, and what is said to be free must be said so at both ends. Blocks
 * that were freed and wait in a thread's cache look as if in use; ph_chunks_is_link() tells.
 */
#ifndef PH_HEAP_MALLOC_H
#define PH_HEAP_MALLOC_H

#include "heap/blocks.h"

/* Memory that one walk covered. */
struct ph_chunk_span {
    ph_addr start, end;
    ph_addr head;         /* where what malloc keeps for itself begins, which ends at start */
    ph_addr reserved_end; /* of the address space that is kept for the heap to grow; else end */
    bool is_mapped;       /* one block with a mapping of its own */
};

/* A piece of a span. */
struct ph_chunk {
    ph_addr start;  /* of its head */
    uint64_t bytes; /* with its head */
    bool is_used;   /* was handed out, as far as its neighbour tells */
    bool is_top;    /* the end of the span, which was never handed out or was given back */
};

struct ph_chunks {
    PH_ARRAY(ph_addr) starts; /* of the memory handed out, ascending */
    PH_ARRAY(struct ph_chunk_span) spans;
    uint8_t *claimed;       /* of each, whether it belongs to a known object */
    uint64_t damaged_count; /* heaps whose chunks do not lead to their end */
};

/* Find all blocks in use. What could not be read is skipped, and counted by the target. */
enum ph_status ph_chunks_scan(struct ph_chunks *chunks, struct ph_python *python,
                              const struct ph_host *host, struct ph_error *err) PH_MUST_USE;
void ph_chunks_free(struct ph_chunks *chunks);

/* The chunk of a span that begins at `at`, and that the scan found sound; the next one begins where
 * it ends. False at the span's end. */
bool ph_chunk_next(const struct ph_python *python, const struct ph_chunk_span *span, ph_addr at,
                   struct ph_chunk *out);

/* The number of the block that covers an address, as in `starts`; false where none does. O(log n).
 */
bool ph_chunks_number(const struct ph_chunks *chunks, const struct ph_python *python,
                      ph_addr address, uint32_t *number);

/* The block that begins at `start` has so many bytes; 0 where they cannot be read. */
uint64_t ph_chunk_bytes(const struct ph_python *python, ph_addr start);

/* Note that the block that covers this address belongs to a known object. O(log n). */
void ph_chunks_claim(struct ph_chunks *chunks, const struct ph_python *python, ph_addr address);

/* The start of the block that covers an address; false where none does. O(log n). */
bool ph_chunks_block_at(const struct ph_chunks *chunks, const struct ph_python *python,
                        ph_addr address, ph_addr *start);

/* Whether a word at this place is a link of a list of free blocks, plain or mangled with its place
 * (PROTECT_PTR, from glibc 2.32 on). */
bool ph_chunks_is_link(const struct ph_chunks *chunks, ph_addr place, uint64_t word);

#endif
