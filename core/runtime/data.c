#include "runtime/data.h"

#define REACH (8ull << 20)

bool ph_data_next(struct ph_target *target, ph_addr anchor, size_t *i, ph_addr *start,
                  uint64_t *len)
{
    size_t count;
    const struct ph_region *regions = ph_target_regions(target, &count);
    while (*i < count) {
        const struct ph_region *r = &regions[(*i)++];
        if (!(r->flags & PH_REGION_WRITE) || r->start >= anchor + REACH || anchor >= r->end + REACH)
            continue;
        *start = r->start;
        *len = r->end - r->start < REACH ? r->end - r->start : REACH;
        return true;
    }
    return false;
}
