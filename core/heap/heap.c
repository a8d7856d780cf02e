#include "heap/heap.h"

#include "base/ahead.h"
#include "base/parallel.h"

enum {
    MEASURED_AT_ONCE = 1 << 12,
    CHUNK_SLACK = 8192, /* a chunk is not more than this, or a quarter, larger than asked for */
};

void ph_heap_destroy(struct ph_heap *heap)
{
    if (!heap)
        return;
    ph_objects_deinit(&heap->objects);
    ph_blocks_free(&heap->blocks);
    ph_chunks_free(&heap->chunks);
    ph_map_free(&heap->outside);
    ph_array_free(&heap->watch.holders);
    ph_array_free(&heap->bases);
    free(heap->distances);
    free(heap->type_ids);
    free(heap->flags);
    free(heap->groups);
    free(heap->sizes);
    free(heap->allocations);
    free(heap->leads);
    free(heap->gc_counts);
    free(heap);
}

/* ---- questions ---- */

/* Few processors that programs are built for are sure to have an instruction for it. */
static uint32_t count_bits(uint64_t bits)
{
    bits -= bits >> 1 & 0x5555555555555555;
    bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (uint32_t)(bits * 0x0101010101010101 >> 56);
}

static const struct ph_group *group_of(const struct ph_heap *heap, const struct ph_run *run,
                                       uint32_t slot)
{
    return &heap->groups[run->first_group + (slot - run->first_slot) / PH_GROUP_BLOCKS];
}

static uint32_t find_in_run(const struct ph_heap *heap, const struct ph_run *run, ph_addr address)
{
    uint32_t slot;
    uint64_t offset;
    if (!ph_run_block(run, address, &slot, &offset))
        return PH_NO_OBJECT;
    uint32_t bit = (slot - run->first_slot) % PH_GROUP_BLOCKS;
    const struct ph_group *group = group_of(heap, run, slot);
    uint64_t form = (group->forms[0] >> bit & 1) | (group->forms[1] >> bit & 1) << 1;
    if (!(group->objects >> bit & 1) || offset != heap->offsets[form])
        return PH_NO_OBJECT;
    return group->first_id + count_bits(group->objects & (((uint64_t)1 << bit) - 1));
}

static uint32_t find(const struct ph_heap *heap, const struct ph_run *run, ph_addr address)
{
    if (run)
        return find_in_run(heap, run, address);
    uint32_t id;
    return ph_map_find(&heap->outside, address, &id) ? id : PH_NO_OBJECT;
}

uint32_t ph_heap_find(const struct ph_heap *heap, ph_addr address)
{
    return find(heap, ph_blocks_find(&heap->blocks, address), address);
}

void ph_heap_find_all(const struct ph_heap *heap, const ph_addr *addresses, uint32_t count,
                      uint32_t *ids)
{
    const struct ph_run *runs[PH_FOUND_AT_ONCE];
    uint32_t slot;
    uint64_t offset;
    for (uint32_t i = 0; i < count; i++) {
        runs[i] = ph_blocks_find(&heap->blocks, addresses[i]);
        ph_fetch(runs[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (runs[i] && ph_run_block(runs[i], addresses[i], &slot, &offset))
            ph_fetch(group_of(heap, runs[i], slot));
    }
    for (uint32_t i = 0; i < count; i++)
        ids[i] = find(heap, runs[i], addresses[i]);
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

uint64_t ph_heap_find_sizeof(struct ph_heap *heap, uint32_t id)
{
    struct ph_object o;
    return ph_heap_open(heap, id, &o) ? ph_object_sizeof(&heap->objects, &o) : 0;
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

/* *run is the run of an object before it, where there is one, and becomes its own. */
static uint64_t find_allocated(struct ph_heap *heap, uint32_t id, const struct ph_object *o,
                               const struct ph_run **run)
{
    struct allocated_sum sum = {.heap = heap};
    if (o->type->has_buffers)
        ph_object_buffers(&heap->objects, o, &(struct ph_buffer_visitor){add_buffer, &sum});
    ph_addr block = o->address - o->type->header_bytes;
    if (heap->flags[id] & PH_OBJECT_IN_BLOCK) {
        if (!*run || block >= ph_run_end(*run))
            *run = ph_blocks_find(&heap->blocks, block);
        sum.bytes += (*run)->block_bytes;
    } else if (lies_in_block_of_many(heap, o)) {
        sum.bytes += o->type->basicsize;
    } else if (!ph_heap_is_static(heap, o->address)) {
        sum.bytes += ph_heap_block_bytes(
            heap, block, ph_object_own_bytes(&heap->objects, o) + o->type->header_bytes);
    }
    return sum.bytes;
}

uint64_t ph_heap_find_allocated(struct ph_heap *heap, uint32_t id)
{
    const struct ph_run *run = NULL;
    struct ph_object o;
    return ph_heap_open(heap, id, &o) ? find_allocated(heap, id, &o, &run) : 0;
}

/* ---- all objects, by several workers ---- */

struct shared_work {
    const struct ph_sharing *sharing;
    const struct ph_host *host;
    struct ph_pieces pieces;
    uint8_t *missed; /* by piece */
};

static void look_around(struct shared_work *shared, uint64_t done)
{
    const struct ph_host *host = shared->host;
    if (ph_host_interrupted(host))
        ph_pieces_stop(&shared->pieces);
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
    while (ph_pieces_next(&shared->pieces, &first, &end)) {
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
    for (uint32_t i = 0; i < pieces && !shared.pieces.stopped; i++) {
        if (shared.missed[i])
            take_missed(&shared, i);
    }
    free(shared.missed);
    if (sharing->phase)
        ph_host_progress(host, NULL, 0);
    return shared.pieces.stopped ? PH_INTERRUPTED : PH_OK;
}

/* What is to be found in one pass, for each object is fetched once; NULL: it is not. The few that
 * are larger than what can be kept are looked at again whenever somebody asks. */
struct measuring {
    struct ph_heap *heap;
    uint16_t *sizes, *allocations;
};

/* False where something was missed, and nothing is kept. */
static bool measure_object(const struct measuring *m, uint32_t id, const struct ph_run **run)
{
    struct ph_heap *heap = m->heap;
    const struct ph_type *type = ph_heap_type(heap, id);
    struct ph_object o = {.address = ph_heap_address(heap, id), .type = type};
    /* Of many objects nothing needs to be read. */
    bool is_plain = (heap->flags[id] & PH_OBJECT_IN_BLOCK) && !type->has_buffers;
    bool here =
        (type->fixed_size && is_plain) || ph_object_open(&heap->objects, o.address, type, &o);
    uint64_t size = here && m->sizes ? ph_object_sizeof(&heap->objects, &o) : 0;
    uint64_t allocated = here && m->allocations ? find_allocated(heap, id, &o, run) : 0;
    if (ph_target_missed()) {
        ph_target_miss();
        return false;
    }
    if (m->sizes)
        m->sizes[id] = ph_heap_measured(size);
    if (m->allocations)
        m->allocations[id] = ph_heap_measured(allocated);
    return true;
}

/* What was noted before is kept. */
static void measure(void *ctx, uint32_t first, uint32_t end)
{
    const struct measuring *m = ctx;
    const struct ph_run *run = NULL;
    for (uint32_t id = first; id < end; id++) {
        bool is_measured = (!m->sizes || m->sizes[id] != PH_NOT_MEASURED) &&
                           (!m->allocations || m->allocations[id] != PH_NOT_MEASURED);
        if (!is_measured && !measure_object(m, id, &run))
            return;
    }
}

/* Room for what is measured, if there is none yet. */
static bool make_room(const struct ph_heap *heap, uint16_t **measured)
{
    const size_t bytes = (size_t)heap->count * sizeof **measured;
    if (*measured)
        return true;
    *measured = ph_malloc(bytes);
    if (*measured)
        memset(*measured, 0xff, bytes);
    return *measured;
}

enum ph_status ph_heap_measure(struct ph_heap *heap, bool with_allocated,
                               const struct ph_host *host, struct ph_error *err)
{
    struct measuring m = {.heap = heap};
    const struct ph_sharing sharing = {.piece_ids = MEASURED_AT_ONCE, .work = measure, .ctx = &m};
    bool sizes = !heap->has_sizes, allocations = with_allocated && !heap->has_allocations;
    if (!sizes && !allocations)
        return PH_OK;
    enum ph_status status = PH_NO_MEMORY;
    if ((!sizes || make_room(heap, &heap->sizes)) &&
        (!allocations || make_room(heap, &heap->allocations))) {
        m.sizes = sizes ? heap->sizes : NULL;
        m.allocations = allocations ? heap->allocations : NULL;
        status = ph_heap_share(heap, &sharing, host);
    }
    if (status)
        return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
    heap->has_sizes |= sizes;
    heap->has_allocations |= allocations;
    return PH_OK;
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
