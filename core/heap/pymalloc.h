/*
 * A pool of pymalloc's and the table of arenas once more, for who holds one against the other. The
 * snapshot itself needs but the runs (blocks.h).
 */
#ifndef PH_HEAP_PYMALLOC_H
#define PH_HEAP_PYMALLOC_H

#include "heap/arenas.h"
#include "heap/blocks.h"

/* What a pool's header says (Objects/obmalloc.c: struct pool_header). */
struct ph_pool {
    ph_addr address;
    uint32_t used_count;   /* ref.count */
    uint32_t arena_index;  /* arenaindex */
    uint32_t carved_count; /* blocks that were ever handed out: those below nextoffset */
    ph_addr free_block;    /* freeblock, first of the list of free blocks; 0: none */
};

/* The pool whose blocks are this run; `pool_bytes` is blocks->step_bytes. False: unreadable. */
bool ph_pool_read(const struct ph_python *python, const struct ph_run *run, uint32_t pool_bytes,
                  struct ph_pool *out);

/* The arenas; release with ph_arenas_free(). None where `blocks` are not pymalloc's, or no table
 * can be believed. False: out of memory. */
bool ph_pymalloc_arenas(struct ph_arenas *arenas, const struct ph_blocks *blocks,
                        struct ph_python *python);

#endif
