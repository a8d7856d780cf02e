#include "analysis/matches.h"

enum { OBJECTS_A_LOOK = 1 << 16 }; /* between two looks at Ctrl-C */

enum ph_status ph_matches_collect(struct ph_heap *heap, const struct ph_filter *filter,
                                  const uint8_t *marks, const struct ph_host *host,
                                  struct ph_matches *out, struct ph_error *err)
{
    *out = (struct ph_matches){0};
    uint8_t *types = ph_filter_types(heap, filter);
    enum ph_status status = types ? PH_OK : PH_NO_MEMORY;
    for (uint32_t id = 0; id < heap->count && !status; id++) {
        struct ph_match found = {.id = id};
        if (id % OBJECTS_A_LOOK == 0 && ph_host_interrupted(host))
            status = PH_INTERRUPTED;
        else if ((!marks || marks[id]) &&
                 ph_filter_accepts(heap, filter, types, id, &found.bytes) &&
                 !ph_array_push(out, found))
            status = PH_NO_MEMORY;
    }
    free(types);
    if (!status)
        return PH_OK;
    ph_array_free(out);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}
