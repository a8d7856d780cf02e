/*
 * pymalloc's arenas (Objects/obmalloc.c), as its own table of them says: where pools are to be
 * looked for in a target whose regions nobody lists.
 *
 * The table's address is in a static variable without a symbol (to 3.11) or in the interpreter's
 * state. Either is believed only if the table tells the arena of pools that hold objects of the
 * collector's: each pool knows the number of its arena.
 */
#ifndef PH_HEAP_ARENAS_H
#define PH_HEAP_ARENAS_H

#include "runtime/python.h"

struct ph_arenas {
    PH_ARRAY(ph_addr) starts; /* ascending, each once */
    uint32_t bytes;           /* of each */
};

/* Whether a pool's header is at an address; *arena_index is then the number of its arena. */
typedef bool (*ph_pool_test)(void *ctx, ph_addr address, uint32_t *arena_index);

/* Find the arenas of all interpreters, of a target that does not list its regions. False: out of
 * memory. */
bool ph_arenas_find(struct ph_arenas *arenas, const struct ph_python *python, uint32_t pool_bytes,
                    ph_pool_test is_pool, void *ctx);
void ph_arenas_free(struct ph_arenas *arenas);

#endif
