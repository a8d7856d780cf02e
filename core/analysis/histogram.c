#include "analysis/histogram.h"

enum { OBJECTS_A_LOOK = 1 << 16 }; /* between two looks at Ctrl-C */

static bool interrupted(const struct ph_host *host, uint32_t id)
{
    return id % OBJECTS_A_LOOK == 0 && ph_host_interrupted(host);
}

static void add(struct ph_type_sum *sum, uint64_t bytes, uint64_t allocated)
{
    sum->count++;
    sum->bytes += bytes;
    sum->allocated += allocated;
}

/* Keep the sums of types that have objects. */
static bool keep(struct ph_histogram *out, const struct ph_heap *heap, struct ph_type_sum *sums)
{
    for (uint32_t i = 0; i < heap->objects.types.count; i++) {
        sums[i].type = heap->objects.types.items[i];
        if (sums[i].count && !ph_array_push(&out->types, sums[i]))
            return false;
    }
    return true;
}

enum ph_status ph_histogram_make(struct ph_heap *heap, const struct ph_filter *filter,
                                 bool with_allocated, const struct ph_host *host,
                                 struct ph_histogram *out, struct ph_error *err)
{
    memset(out, 0, sizeof *out);
    enum ph_status status = ph_heap_measure(heap, with_allocated, host, err);
    if (status)
        return status;
    uint8_t *types = ph_filter_types(heap, filter);
    struct ph_type_sum *sums = ph_calloc(heap->objects.types.count + 1u, sizeof *sums);
    status = types && sums ? PH_OK : PH_NO_MEMORY;
    for (uint32_t id = 0; id < heap->count && !status; id++) {
        uint64_t bytes;
        if (interrupted(host, id))
            status = PH_INTERRUPTED;
        if (!ph_filter_accepts(heap, filter, types, id, &bytes))
            continue;
        uint64_t allocated = with_allocated ? ph_heap_allocated(heap, id) : 0;
        add(&sums[heap->type_ids[id]], bytes, allocated);
        add(&out->total, bytes, allocated);
    }
    if (!status && !keep(out, heap, sums))
        status = PH_NO_MEMORY;
    free(types);
    free(sums);
    if (!status)
        return PH_OK;
    ph_histogram_free(out);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

void ph_histogram_free(struct ph_histogram *histogram)
{
    ph_array_free(&histogram->types);
}
