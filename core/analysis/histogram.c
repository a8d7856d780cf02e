#include "analysis/histogram.h"

#include "base/parallel.h"

enum { OBJECTS_A_PIECE = 1 << 16 }; /* between two looks at Ctrl-C */

struct counting {
    struct ph_heap *heap;
    const struct ph_filter *filter;
    bool with_allocated;
    const struct ph_host *host;
    uint8_t *types; /* that pass */
    struct ph_pieces pieces;
    struct ph_type_sum *sums[PH_MOST_WORKERS]; /* each worker's, by type */
    bool interrupted, missed;
};

static void add(struct ph_type_sum *sum, uint64_t count, uint64_t bytes, uint64_t allocated)
{
    sum->count += count;
    sum->bytes += bytes;
    sum->allocated += allocated;
}

static void count_object(const struct counting *c, struct ph_type_sum *sums, uint32_t id)
{
    uint64_t bytes;
    if (ph_filter_accepts(c->heap, c->filter, c->types, id, &bytes))
        add(&sums[c->heap->type_ids[id]], 1, bytes,
            c->with_allocated ? ph_heap_allocated(c->heap, id) : 0);
}

static void count_pieces(void *ctx, unsigned worker)
{
    struct counting *c = ctx;
    uint64_t at, end;
    ph_target_missed();
    while (ph_pieces_next(&c->pieces, &at, &end)) {
        for (; at < end; at++)
            count_object(c, c->sums[worker], (uint32_t)at);
        if (worker == 0 && ph_host_interrupted(c->host))
            __atomic_store_n(&c->interrupted, true, __ATOMIC_RELAXED);
        if (__atomic_load_n(&c->interrupted, __ATOMIC_RELAXED))
            break;
    }
    if (ph_target_missed())
        __atomic_store_n(&c->missed, true, __ATOMIC_RELAXED);
}

static void free_sums(struct counting *c)
{
    for (unsigned i = 0; i < PH_MOST_WORKERS; i++)
        free(c->sums[i]);
    memset(c->sums, 0, sizeof c->sums);
}

/* Each worker counts for itself. False where memory runs out. */
static bool count(struct counting *c, unsigned workers)
{
    struct ph_target *target = c->heap->objects.python->target;
    for (unsigned i = 0; i < workers; i++) {
        c->sums[i] = ph_calloc(c->heap->objects.types.count + 1u, sizeof *c->sums[i]);
        if (!c->sums[i])
            return false;
    }
    c->missed = false;
    c->pieces = (struct ph_pieces){.count = c->heap->count, .piece = OBJECTS_A_PIECE};
    if (workers > 1)
        ph_target_freeze(target);
    ph_parallel(workers, count_pieces, c);
    if (workers > 1)
        ph_target_thaw(target);
    return true;
}

/* The sums of types that have objects. */
static bool keep(struct ph_histogram *out, const struct counting *c, unsigned workers)
{
    const struct ph_objects *objects = &c->heap->objects;
    for (uint32_t type = 0; type < objects->types.count; type++) {
        struct ph_type_sum sum = {.type = objects->types.items[type]};
        for (unsigned i = 0; i < workers; i++)
            add(&sum, c->sums[i][type].count, c->sums[i][type].bytes, c->sums[i][type].allocated);
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
    struct counting c = {
        .heap = heap, .filter = filter, .with_allocated = with_allocated, .host = host};
    unsigned workers = ph_workers_for(heap->count);
    c.types = ph_filter_types(heap, filter);
    bool ok = c.types && count(&c, workers);
    if (ok && c.missed) { /* something is to be read that no worker could */
        free_sums(&c);
        workers = 1;
        ok = count(&c, workers);
    }
    if (c.interrupted)
        status = PH_INTERRUPTED;
    else if (!ok || !keep(out, &c, workers))
        status = PH_NO_MEMORY;
    free_sums(&c);
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
