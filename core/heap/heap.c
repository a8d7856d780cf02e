#include "heap/heap.h"

#include "base/parallel.h"

enum {
    MEASURED_AT_ONCE = 1 << 12,
    CHUNK_SLACK = 8192, /* a chunk is not more than this, or a quarter, larger than asked for */
};
#define NOT_MEASURED UINT32_MAX

void ph_heap_destroy(struct ph_heap *heap)
{
    if (!heap)
        return;
    ph_objects_deinit(&heap->objects);
    ph_blocks_free(&heap->blocks);
    ph_chunks_free(&heap->chunks);
    ph_map_free(&heap->outside);
    free(heap->addresses);
    free(heap->type_ids);
    free(heap->flags);
    free(heap->slot_ids);
    free(heap->sizes);
    free(heap->allocations);
    free(heap->leads);
    free(heap->gc_counts);
    free(heap);
}

/* ---- questions ---- */

uint32_t ph_heap_find(const struct ph_heap *heap, ph_addr address)
{
    const struct ph_run *run = ph_blocks_find(&heap->blocks, address);
    uint32_t slot, id = PH_NO_OBJECT;
    uint64_t offset;
    if (run) {
        if (ph_run_block(run, address, &slot, &offset))
            id = heap->slot_ids[slot];
        return id != PH_NO_OBJECT && heap->addresses[id] == address ? id : PH_NO_OBJECT;
    }
    return ph_map_find(&heap->outside, address, &id) ? id : PH_NO_OBJECT;
}

bool ph_heap_open(struct ph_heap *heap, uint32_t id, struct ph_object *out)
{
    return ph_object_open(&heap->objects, heap->addresses[id], ph_heap_type(heap, id), out);
}

bool ph_heap_refcount(struct ph_heap *heap, uint32_t id, int64_t *count)
{
    struct ph_object o;
    *count = 0;
    return ph_heap_open(heap, id, &o) && ph_object_refcount(&heap->objects, &o, count);
}

void ph_heap_summary(struct ph_heap *heap, uint32_t id, uint64_t max_chars, struct ph_str *out)
{
    struct ph_object o;
    if (ph_heap_open(heap, id, &o))
        ph_object_summary(&heap->objects, &o, max_chars, out);
}

/* ---- sizes ---- */

static uint64_t find_size(struct ph_heap *heap, uint32_t id)
{
    struct ph_object o;
    return ph_heap_open(heap, id, &o) ? ph_object_sizeof(&heap->objects, &o) : 0;
}

uint64_t ph_heap_sizeof(struct ph_heap *heap, uint32_t id)
{
    bool known = heap->sizes && heap->sizes[id] != NOT_MEASURED;
    return known ? heap->sizes[id] : find_size(heap, id);
}

uint64_t ph_heap_block_bytes(const struct ph_heap *heap, ph_addr start, uint64_t bytes)
{
    const struct ph_run *run = ph_blocks_find(&heap->blocks, start);
    if (run)
        return run->block_bytes;
    start -= ph_allocator_prefix(&heap->allocator, heap->objects.python, start);
    /* glibc keeps the size of a chunk in the word before it; its low three bits are flags
     * (malloc/malloc.c). */
    uint64_t word = ph_word_bytes(heap->objects.python), chunk = 0;
    if (!ph_target_word(heap->objects.python->target, start - word, &chunk))
        return bytes;
    chunk &= ~(uint64_t)7;
    bool plausible = chunk >= bytes + word && chunk - bytes < CHUNK_SLACK + bytes / 4;
    return plausible ? chunk : bytes;
}

struct allocated_sum {
    const struct ph_heap *heap;
    uint64_t bytes;
};

static void add_buffer(void *ctx, ph_addr start, uint64_t bytes, const char *what)
{
    struct allocated_sum *sum = ctx;
    (void)what;
    sum->bytes += ph_heap_block_bytes(sum->heap, start, bytes);
}

bool ph_heap_is_static(const struct ph_heap *heap, ph_addr address)
{
    const struct ph_region *region = ph_target_region_at(heap->objects.python->target, address);
    return region && !(region->flags & PH_REGION_ANON);
}

/* 2.7 carves its ints and floats out of blocks of a thousand bytes (Objects/intobject.c). */
static bool lies_in_block_of_many(const struct ph_heap *heap, const struct ph_object *o)
{
    const struct ph_family *family = o->type->family;
    return heap->objects.python->layout.version < 0x03000000 && o->type == o->type->described &&
           !ph_heap_is_static(heap, o->address) &&
           (family == &ph_family_py2_int || family == &ph_family_float);
}

static uint64_t find_allocated(struct ph_heap *heap, uint32_t id)
{
    struct ph_object o;
    if (!ph_heap_open(heap, id, &o))
        return 0;
    struct allocated_sum sum = {.heap = heap};
    ph_object_buffers(&heap->objects, &o, &(struct ph_buffer_visitor){add_buffer, &sum});
    ph_addr block = o.address - o.type->header_bytes;
    if (heap->flags[id] & PH_OBJECT_IN_BLOCK)
        sum.bytes += ph_blocks_find(&heap->blocks, block)->block_bytes;
    else if (lies_in_block_of_many(heap, &o))
        sum.bytes += o.type->basicsize;
    else if (!ph_heap_is_static(heap, o.address))
        sum.bytes += ph_heap_block_bytes(
            heap, block, ph_object_own_bytes(&heap->objects, &o) + o.type->header_bytes);
    return sum.bytes;
}

uint64_t ph_heap_allocated(struct ph_heap *heap, uint32_t id)
{
    bool known = heap->allocations && heap->allocations[id] != NOT_MEASURED;
    return known ? heap->allocations[id] : find_allocated(heap, id);
}

/* ---- all objects, by several workers ---- */

struct shared_work {
    const struct ph_sharing *sharing;
    const struct ph_host *host;
    struct ph_pieces pieces;
    uint8_t *missed; /* by piece */
    bool interrupted;
};

static void look_around(struct shared_work *shared, uint64_t done)
{
    const struct ph_host *host = shared->host;
    if (ph_host_interrupted(host))
        __atomic_store_n(&shared->interrupted, true, __ATOMIC_RELAXED);
    if (shared->sharing->phase)
        ph_host_progress(host, shared->sharing->phase,
                         (unsigned)(done * 100 / shared->pieces.count));
}

static void take_pieces(void *ctx, unsigned worker)
{
    struct shared_work *shared = ctx;
    const struct ph_sharing *sharing = shared->sharing;
    uint64_t first, end;
    ph_target_missed();
    while (!__atomic_load_n(&shared->interrupted, __ATOMIC_RELAXED) &&
           ph_pieces_next(&shared->pieces, &first, &end)) {
        sharing->work(sharing->ctx, (uint32_t)first, (uint32_t)end);
        if (ph_target_missed())
            shared->missed[first / sharing->piece_ids] = 1;
        else if (sharing->finish)
            sharing->finish(sharing->ctx, (uint32_t)first, (uint32_t)end);
        if (worker == 0)
            look_around(shared, end);
    }
}

static void take_missed(struct shared_work *shared, uint32_t piece)
{
    const struct ph_sharing *sharing = shared->sharing;
    uint64_t first = (uint64_t)piece * sharing->piece_ids, end = first + sharing->piece_ids;
    if (end > shared->pieces.count)
        end = shared->pieces.count;
    sharing->work(sharing->ctx, (uint32_t)first, (uint32_t)end);
    if (sharing->finish)
        sharing->finish(sharing->ctx, (uint32_t)first, (uint32_t)end);
    look_around(shared, end);
}

enum ph_status ph_heap_share(struct ph_heap *heap, const struct ph_sharing *sharing,
                             const struct ph_host *host)
{
    struct ph_target *target = heap->objects.python->target;
    unsigned workers = ph_workers_for(heap->count);
    struct shared_work shared = {
        .sharing = sharing,
        .host = host,
        .pieces = {.count = heap->count, .piece = sharing->piece_ids},
    };
    uint32_t pieces = heap->count / sharing->piece_ids + 1;
    shared.missed = ph_calloc(pieces, 1);
    if (!shared.missed)
        return PH_NO_MEMORY;
    if (workers > 1)
        ph_target_freeze(target);
    ph_parallel(workers, take_pieces, &shared);
    if (workers > 1)
        ph_target_thaw(target);
    for (uint32_t i = 0; i < pieces && !shared.interrupted; i++) {
        if (shared.missed[i])
            take_missed(&shared, i);
    }
    free(shared.missed);
    if (sharing->phase)
        ph_host_progress(host, NULL, 0);
    return shared.interrupted ? PH_INTERRUPTED : PH_OK;
}

static void measure(struct ph_heap *heap, uint32_t *numbers,
                    uint64_t (*find)(struct ph_heap *heap, uint32_t id), uint32_t first,
                    uint32_t end)
{
    for (uint32_t id = first; id < end; id++) {
        uint64_t number = find(heap, id);
        numbers[id] = number < NOT_MEASURED ? (uint32_t)number : NOT_MEASURED;
    }
}

static void measure_sizes(void *ctx, uint32_t first, uint32_t end)
{
    struct ph_heap *heap = ctx;
    measure(heap, heap->sizes, find_size, first, end);
}

static void measure_allocations(void *ctx, uint32_t first, uint32_t end)
{
    struct ph_heap *heap = ctx;
    measure(heap, heap->allocations, find_allocated, first, end);
}

static enum ph_status fill(struct ph_heap *heap, uint32_t **numbers,
                           void (*work)(void *ctx, uint32_t first, uint32_t end),
                           const struct ph_host *host)
{
    const struct ph_sharing sharing = {.piece_ids = MEASURED_AT_ONCE, .work = work, .ctx = heap};
    if (*numbers)
        return PH_OK;
    *numbers = ph_malloc((size_t)heap->count * sizeof **numbers);
    enum ph_status status = *numbers ? ph_heap_share(heap, &sharing, host) : PH_NO_MEMORY;
    if (status) {
        free(*numbers);
        *numbers = NULL;
    }
    return status;
}

enum ph_status ph_heap_measure(struct ph_heap *heap, bool with_allocated,
                               const struct ph_host *host, struct ph_error *err)
{
    enum ph_status status = fill(heap, &heap->sizes, measure_sizes, host);
    if (!status && with_allocated)
        status = fill(heap, &heap->allocations, measure_allocations, host);
    if (!status)
        return PH_OK;
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

/* ---- references ---- */

struct edge_walk {
    struct ph_heap *heap;
    ph_edge_fn edge;
    void *ctx;
};

static void emit_edge(void *ctx, ph_addr target, struct ph_label label, unsigned flags)
{
    struct edge_walk *w = ctx;
    uint32_t id = ph_heap_find(w->heap, target);
    if (id != PH_NO_OBJECT)
        w->edge(w->ctx, id, label, flags);
}

void ph_heap_edges(struct ph_heap *heap, uint32_t id, ph_edge_fn edge, void *ctx)
{
    struct edge_walk w = {heap, edge, ctx};
    struct ph_object o;
    if (ph_heap_open(heap, id, &o))
        ph_object_refs(&heap->objects, &o, &(struct ph_visitor){emit_edge, &w});
}
