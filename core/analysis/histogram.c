#include "analysis/histogram.h"

enum { OBJECTS_A_PIECE = 1 << 20 }; /* large, for each piece has sums for all types */

struct counting {
    struct ph_heap *heap;
    const struct ph_filter *filter;
    bool takes_all;
    bool with_allocated;
    uint8_t *types; /* that pass */
    uint32_t type_count;
    struct ph_type_sum *sums; /* by piece, and in it by type */
};

static void add(struct ph_type_sum *sum, uint64_t count, uint64_t bytes, uint64_t allocated)
{
    sum->count += count;
    sum->bytes += bytes;
    sum->allocated += allocated;
}

static struct ph_type_sum *sums_of_piece(const struct counting *c, uint32_t piece)
{
    return c->sums + (size_t)piece * c->type_count;
}

static void count_piece(void *ctx, uint32_t first, uint32_t end)
{
    const struct counting *c = ctx;
    struct ph_type_sum *sums = sums_of_piece(c, first / OBJECTS_A_PIECE);
    memset(sums, 0, c->type_count * sizeof *sums);
    for (uint32_t id = first; id < end; id++) {
        uint64_t bytes = c->takes_all ? ph_heap_sizeof(c->heap, id) : 0;
        if (c->takes_all || ph_filter_accepts(c->heap, c->filter, c->types, id, &bytes))
            add(&sums[c->heap->type_ids[id]], 1, bytes,
                c->with_allocated ? ph_heap_allocated(c->heap, id) : 0);
    }
}

/* The sums of types that have objects. */
static bool keep(struct ph_histogram *out, const struct counting *c, uint32_t pieces)
{
    for (uint32_t type = 0; type < c->type_count; type++) {
        struct ph_type_sum sum = {.type = c->heap->objects.types.items[type]};
        for (uint32_t piece = 0; piece < pieces; piece++) {
            const struct ph_type_sum *part = &sums_of_piece(c, piece)[type];
            add(&sum, part->count, part->bytes, part->allocated);
        }
        add(&out->total, sum.count, sum.bytes, sum.allocated);
        if (sum.count && !ph_array_push(&out->types, sum))
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
    uint32_t pieces = heap->count / OBJECTS_A_PIECE + 1;
    struct counting c = {
        .heap = heap,
        .filter = filter,
        .takes_all = ph_filter_takes_all(filter),
        .with_allocated = with_allocated,
        .types = ph_filter_types(heap, filter),
        .type_count = heap->objects.types.count,
    };
    const struct ph_sharing sharing = {
        .piece_ids = OBJECTS_A_PIECE, .work = count_piece, .ctx = &c};
    c.sums = ph_calloc((size_t)pieces * c.type_count, sizeof *c.sums);
    status = c.types && c.sums ? ph_heap_share(heap, &sharing, host) : PH_NO_MEMORY;
    if (!status && !keep(out, &c, pieces))
        status = PH_NO_MEMORY;
    free(c.sums);
    free(c.types);
    if (!status)
        return PH_OK;
    ph_histogram_free(out);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

void ph_histogram_free(struct ph_histogram *histogram)
{
    ph_array_free(&histogram->types);
}
