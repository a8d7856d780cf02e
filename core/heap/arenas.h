/*
 * pymalloc's arenas (Objects/obmalloc.c), as its own table of them says: where pools are to be
 * looked for in a target whose regions nobody lists, and what the pools are held against.
 *
 * The table's address is in a static variable without a symbol (to 3.11) or in the interpreter's
 * state. Either is believed only if the table tells the arena of pools that hold objects of the
 * collector's: each pool knows the number of its arena.
 */
#ifndef PH_HEAP_ARENAS_H
#define PH_HEAP_ARENAS_H

#include "runtime/python.h"

/* One arena, as its entry in the table has it. */
struct ph_pymalloc_arena {
    ph_addr entry;      /* of the arena_object */
    uint32_t index;     /* in the table, as its pools know it */
    ph_addr start;      /* of the arena's memory */
    ph_addr next_pool;  /* from here on no pool was ever handed out */
    ph_addr free_pools; /* the first of a list of pools that are free again; 0: none */
    uint32_t free_count, total_count; /* of pools */
};

struct ph_arenas {
    PH_ARRAY(struct ph_pymalloc_arena) items; /* by ascending start, each once */
    uint32_t bytes;                           /* of each arena */
};

/* Whether a pool's header is at an address; *arena_index is then the number of its arena. */
typedef bool (*ph_pool_test)(void *ctx, ph_addr address, uint32_t *arena_index);

/* Find the arenas of all interpreters; none where no table can be believed. False: out of memory.
 */
bool ph_arenas_find(struct ph_arenas *arenas, const struct ph_python *python, uint32_t pool_bytes,
                    ph_pool_test is_pool, void *ctx);
void ph_arenas_free(struct ph_arenas *arenas);

#endif
