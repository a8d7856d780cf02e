/*
 * Memory that the program could do without: copies of values, tables and lists with more room than
 * they need, containers without items, dicts of instances that share no keys, half-empty pools.
 *
 * All sizes are sys.getsizeof's, but for pools, whose free blocks are counted whole. An object is
 * counted under one kind only.
 */
#ifndef PH_ANALYSIS_WASTE_H
#define PH_ANALYSIS_WASTE_H

#include "analysis/filter.h"

enum ph_waste_kind {
#define PH_WASTE(id, name, what) PH_WASTE_##id,
#include "analysis/waste.def"
#undef PH_WASTE
    PH_WASTE_KINDS
};

const char *ph_waste_name(enum ph_waste_kind kind);
const char *ph_waste_what(enum ph_waste_kind kind); /* a clause that says what is counted */
bool ph_waste_parse(const char *name, enum ph_waste_kind *kind);

/* One object that wastes memory, a value that several objects have, or one pool. */
struct ph_wasteful {
    uint32_t id;    /* of a value: its first object; of a pool: index into blocks.runs */
    uint32_t count; /* of a value: all its objects; of a pool: blocks in use; else 1 */
    uint64_t bytes; /* that could be saved */
};

struct ph_waste_sum {
    uint64_t count; /* objects that waste, of values those to be spared, or pools */
    uint64_t bytes;
    PH_ARRAY(struct ph_wasteful) items; /* most bytes first, then by address */
};

struct ph_waste {
    struct ph_waste_sum kinds[PH_WASTE_KINDS];
    uint64_t object_bytes; /* of all objects that were looked at */
    uint64_t damaged;      /* containers whose lengths make no sense, and which are left out */
};

/* Pools are looked at only where the filter lets all objects pass. Release with ph_waste_free(), on
 * success. O(n log n) and the bytes of all values. */
enum ph_status ph_waste_find(struct ph_heap *heap, const struct ph_filter *filter,
                             const struct ph_host *host, struct ph_waste *out,
                             struct ph_error *err) PH_MUST_USE;
void ph_waste_free(struct ph_waste *waste);

#endif
