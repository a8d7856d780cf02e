/* What the files of the analysis share. Nobody else includes this.
 *
 *     memory.c         areas, and the division of each region among them
 *     memory_owners.c  what each block and chunk is for
 *     memory_arenas.c  how full the arenas are
 */
#ifndef PH_ANALYSIS_MEMORY_INTERNAL_H
#define PH_ANALYSIS_MEMORY_INTERNAL_H

#include "analysis/memory.h"
#include "heap/pymalloc.h"

enum ph_owner_kind {
    PH_OWNER_NONE,
    PH_OWNER_OBJECT,
    PH_OWNER_BUFFER,
    PH_OWNER_INTERPRETER,
    PH_OWNER_TRACEMALLOC,
};

/* What a block in use is for. */
struct ph_owned {
    uint32_t used_bytes; /* from the block's start on */
    uint32_t type;       /* of the object */
    uint8_t kind;        /* enum ph_owner_kind */
};

/* A part of a mapping that belongs to something. */
enum ph_area_kind { PH_AREA_ARENA, PH_AREA_SEGMENT, PH_AREA_RUN, PH_AREA_CHUNKS, PH_AREA_FLAT };

struct ph_area {
    ph_addr start, end; /* within one region */
    enum ph_area_kind kind;
    enum ph_memory_kind memory; /* of a flat one; of others, what they have between their parts */
    uint32_t index;             /* of the arena, segment, run or span */
};

struct ph_explain {
    struct ph_heap *heap;
    const struct ph_host *host;
    struct ph_memory *memory;
    struct ph_arenas arenas;  /* pymalloc's */
    struct ph_chunks own;     /* malloc's, where the snapshot did not need them */
    struct ph_chunks *chunks; /* the snapshot's, or own */
    struct ph_owned *blocks;  /* by slot */
    struct ph_owned *natives; /* by number of chunk */
    PH_ARRAY(struct ph_area) areas;
    bool failed; /* out of memory */
};

/* Add an area, cut at the ends of regions. */
void ph_area_add(struct ph_explain *e, struct ph_area area);
/* A buffer that lies in no allocator's block; a map of whole pages has what is left of its last. */
struct ph_area ph_area_of_mapped_buffer(const struct ph_explain *e, ph_addr start, ph_addr end);
/* Find out what each block and chunk in use is for; blocks and natives must be there, all zeros. */
enum ph_status ph_memory_find_owners(struct ph_explain *e);
/* Fill in memory->arenas, classes and pins. False: out of memory. */
bool ph_memory_measure_arenas(struct ph_explain *e);

#endif
