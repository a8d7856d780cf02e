#include "analysis/arrays.h"

#include "base/checked.h"

#include <stdlib.h>

enum { OBJECTS_A_LOOK = 1 << 14, LONGEST_CHAIN = 1000 };

/* Memory that an object owns. */
struct owned {
    ph_addr start, end;
    uint32_t id;
};

struct search {
    struct ph_heap *heap;
    const struct ph_host *host;
    PH_ARRAY(struct owned) owned; /* by start, once it is needed */
    bool indexed;
};

static bool array_of(struct ph_heap *heap, uint32_t id, struct ph_array *out)
{
    struct ph_object o;
    return ph_type_has_arrays(ph_heap_type(heap, id)) && ph_heap_open(heap, id, &o) &&
           ph_object_array(&heap->objects, &o, out);
}

/* ---- whose memory ---- */

static int by_start(const void *a, const void *b)
{
    const struct owned *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static enum ph_status index_owners(struct search *s)
{
    struct ph_array array;
    for (uint32_t id = 0; id < s->heap->count; id++) {
        if (id % OBJECTS_A_LOOK == 0 && ph_host_interrupted(s->host))
            return PH_INTERRUPTED;
        if (!array_of(s->heap, id, &array) || !array.owns || !array.nbytes)
            continue;
        const struct owned owned = {array.start, ph_add_saturated(array.start, array.nbytes), id};
        if (!ph_array_push(&s->owned, owned))
            return PH_NO_MEMORY;
    }
    if (s->owned.count)
        qsort(s->owned.items, s->owned.count, sizeof *s->owned.items, by_start);
    s->indexed = true;
    return PH_OK;
}

/* The object in whose memory an address lies, or PH_NO_OBJECT. */
static uint32_t owner_of_memory(const struct search *s, ph_addr address)
{
    uint32_t low = 0, high = s->owned.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->owned.items[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    bool inside = low > 0 && address < s->owned.items[low - 1].end;
    return inside ? s->owned.items[low - 1].id : PH_NO_OBJECT;
}

/* Follow a view's bases. True: *base owns the memory; false: it is as far as they lead, 0 if
 * nowhere. A chain that runs in a ring ends as well. */
static bool follow_bases(struct ph_heap *heap, ph_addr at, ph_addr *base)
{
    struct ph_array array;
    *base = 0;
    for (int i = 0; at && i < LONGEST_CHAIN; i++) {
        uint32_t id = ph_heap_find(heap, at);
        if (id == PH_NO_OBJECT)
            return false;
        *base = at;
        if (!array_of(heap, id, &array))
            return false;
        if (array.owns)
            return true;
        at = array.base;
    }
    return false;
}

static enum ph_status find_base(struct search *s, const struct ph_array *view, uint32_t id,
                                ph_addr *base)
{
    if (follow_bases(s->heap, view->base, base))
        return PH_OK;
    enum ph_status status = s->indexed ? PH_OK : index_owners(s);
    uint32_t owner = status ? PH_NO_OBJECT : owner_of_memory(s, view->start);
    if (owner != PH_NO_OBJECT && owner != id)
        *base = ph_heap_address(s->heap, owner);
    return status;
}

/* ---- all of them ---- */

static enum ph_status take(struct search *s, const struct ph_filter *filter, uint32_t id,
                           struct ph_arrays *out)
{
    struct ph_array array;
    if (!array_of(s->heap, id, &array) || array.nbytes < filter->min_bytes ||
        array.nbytes > filter->max_bytes)
        return PH_OK;
    struct ph_array_row row = {.id = id, .owns = array.owns, .nbytes = array.nbytes};
    enum ph_status status = array.owns ? PH_OK : find_base(s, &array, id, &row.base);
    if (!status && !ph_array_push(&out->rows, row))
        status = PH_NO_MEMORY;
    out->bytes += array.owns ? array.nbytes : 0;
    out->owners += array.owns;
    out->views += !array.owns;
    return status;
}

static enum ph_status take_all(struct search *s, const struct ph_filter *filter,
                               struct ph_arrays *out)
{
    /* Of the objects' own sizes nothing is asked. */
    struct ph_filter any_size = *filter;
    any_size.min_bytes = 0;
    any_size.max_bytes = UINT64_MAX;
    uint8_t *types = ph_filter_types(s->heap, &any_size);
    enum ph_status status = types ? PH_OK : PH_NO_MEMORY;
    for (uint32_t i = 0; types && i < s->heap->objects.types.count; i++)
        types[i] &= ph_type_has_arrays(s->heap->objects.types.items[i]);
    for (uint32_t id = 0; id < s->heap->count && !status; id++) {
        uint64_t size;
        if (id % OBJECTS_A_LOOK == 0 && ph_host_interrupted(s->host))
            status = PH_INTERRUPTED;
        else if (ph_filter_accepts(s->heap, &any_size, types, id, &size))
            status = take(s, filter, id, out);
    }
    free(types);
    return status;
}

/* ---- order ---- */

static int by_bytes(const void *a, const void *b, void *ctx)
{
    const struct ph_array_row *x = a, *y = b;
    (void)ctx;
    if (x->nbytes != y->nbytes)
        return x->nbytes > y->nbytes ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_type(const void *a, const void *b, void *ctx)
{
    const struct ph_array_row *x = a, *y = b;
    int order = strcmp(ph_heap_type(ctx, x->id)->name, ph_heap_type(ctx, y->id)->name);
    return order ? order : by_bytes(a, b, ctx);
}

enum ph_status ph_arrays_find(struct ph_heap *heap, const struct ph_filter *filter,
                              enum ph_array_order order, const struct ph_host *host,
                              struct ph_arrays *out, struct ph_error *err)
{
    struct search s = {.heap = heap, .host = host};
    memset(out, 0, sizeof *out);
    enum ph_status status = take_all(&s, filter, out);
    ph_array_free(&s.owned);
    if (status) {
        ph_arrays_free(out);
        return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
    }
    /* They were found by ascending address. */
    if (order != PH_ARRAYS_BY_ADDRESS && out->rows.count)
        qsort_r(out->rows.items, out->rows.count, sizeof *out->rows.items,
                order == PH_ARRAYS_BY_TYPE ? by_type : by_bytes, heap);
    return PH_OK;
}

void ph_arrays_free(struct ph_arrays *arrays)
{
    ph_array_free(&arrays->rows);
}
