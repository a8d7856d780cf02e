/* What the kinds of waste share. Private to waste*.c. */
#ifndef PH_ANALYSIS_WASTE_INTERNAL_H
#define PH_ANALYSIS_WASTE_INTERNAL_H

#include "analysis/waste.h"

struct ph_waste_search {
    struct ph_heap *heap;
    const struct ph_host *host;
    const struct ph_filter *filter;
    uint8_t *types;   /* those that pass */
    uint8_t *counted; /* by id: already under some kind */
    struct ph_waste *waste;
};

/* Add one; false when out of memory. */
bool ph_waste_add(struct ph_waste_search *s, enum ph_waste_kind kind, struct ph_wasteful item);
bool ph_waste_interrupted(const struct ph_waste_search *s, uint32_t id);

/* One kind, or several that one pass finds. */
enum ph_status ph_waste_values(struct ph_waste_search *s, struct ph_error *err) PH_MUST_USE;
enum ph_status ph_waste_instances(struct ph_waste_search *s) PH_MUST_USE;
enum ph_status ph_waste_containers(struct ph_waste_search *s) PH_MUST_USE;
enum ph_status ph_waste_pools(struct ph_waste_search *s) PH_MUST_USE;

#endif
