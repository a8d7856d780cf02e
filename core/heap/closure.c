#include "base/parallel.h"
#include "heap/builder.h"

enum {
    PIECE = 1 << 10, /* what a worker takes at once */
    SLOTS_A_PIECE = 1 << 16,
    SAMPLED = 1024, /* one of so many is looked at before several workers begin */
};

/* ---- one object's references ---- */

/* Whether a word that is perhaps a reference leads to where none of malloc's blocks has an object:
 * it would begin as far into its block as its type demands. Outside of pools nothing else speaks
 * against what looks like an object. */
static bool leads_astray(struct ph_builder *b, ph_addr target)
{
    ph_addr start;
    if (!ph_chunks_block_at(&b->heap->chunks, b->python, target, &start))
        return false;
    const struct ph_type *type = ph_builder_type(b, target);
    return type && target - start != b->heap->allocator.prefix_bytes + type->header_bytes;
}

static inline void follow(struct ph_builder *b, ph_addr target, unsigned flags)
{
    if (!(flags & PH_REF_STRONG) || ((flags & PH_REF_GUESS) && leads_astray(b, target)))
        return;
    /* What nobody refers to may be the remains of an object. */
    if (!ph_builder_add(b, target, 0) && !(flags & PH_REF_GUESS) && b->reached)
        b->bad_references++;
}

static void follow_ref(void *ctx, ph_addr target, struct ph_label label, unsigned flags)
{
    struct ph_builder *b = ctx;
    (void)label;
    if (target == b->heap->watch.target && target && !ph_array_push(&b->holders, b->followed))
        b->failed = true;
    follow(b, target, flags);
}

void ph_builder_follow_root(void *ctx, const struct ph_root *root, ph_addr target,
                            struct ph_label label, unsigned flags)
{
    (void)root;
    (void)label;
    follow(ctx, target, flags);
}

/* Blocks that are buffers of objects are no objects, whatever their bytes look like. */
static void claim_buffer(void *ctx, ph_addr start, uint64_t bytes, const char *what)
{
    struct ph_builder *b = ctx;
    const struct ph_run *run = ph_blocks_find(&b->heap->blocks, start);
    uint32_t slot;
    uint64_t offset;
    (void)what;
    if (b->measured)
        b->buffer_bytes += run ? run->block_bytes : ph_heap_block_bytes(b->heap, start, bytes);
    if (!run)
        ph_chunks_claim(&b->heap->chunks, b->python, start);
    else if (ph_run_block(run, start, &slot, &offset))
        ph_builder_claim(b, slot);
}

/* Types are objects too; those in the image are found here, for their instances do not count
 * references to them. */
static void add_new_types(struct ph_builder *b)
{
    while (b->types_added < b->heap->objects.types.count)
        ph_builder_add(b, b->heap->objects.types.items[b->types_added++]->address, 0);
}

/* Note what an object takes that owns buffers, while its memory and theirs is at hand. */
static void note_measured(struct ph_builder *b, const struct ph_object *o)
{
    const struct ph_run *run = ph_blocks_find(&b->heap->blocks, o->address);
    uint32_t slot;
    uint64_t offset;
    if (!run || !ph_run_block(run, o->address, &slot, &offset))
        return;
    b->measured[slot] = (struct ph_measured){
        .size = ph_heap_measured(ph_object_sizeof(&b->heap->objects, o)),
        .allocated = ph_heap_measured(run->block_bytes + b->buffer_bytes),
    };
}

/* Follow the references of one object, which is known. */
static void follow_object(struct ph_builder *b, ph_addr address)
{
    const struct ph_visitor v = {follow_ref, b};
    const struct ph_buffer_visitor claim = {claim_buffer, b};
    struct ph_object o;
    b->followed = address;
    if (ph_object_at(&b->heap->objects, address, &o)) {
        ph_object_refs(&b->heap->objects, &o, &v);
        b->buffer_bytes = 0;
        ph_object_buffers(&b->heap->objects, &o, &claim);
        if (b->measured && o.type->has_buffers)
            note_measured(b, &o);
    } else {
        b->unreadable_objects++;
    }
    ph_builder_step(b);
}

/* ---- several workers ---- */

struct share {
    struct ph_builder *from;
    const struct ph_addresses *given;
    ph_take_fn take;
    unsigned flags;
    struct ph_pieces pieces;
    struct ph_builder workers[PH_MOST_WORKERS];
    bool again; /* something waited to be followed */
    bool swept; /* once, which takes nearly all of the time */
    bool stop;  /* one worker was interrupted, or ran out of memory */
};

/* Follow one object's references, or note that to do so something must be learnt first. */
static void follow_frozen(struct ph_builder *b, ph_addr address)
{
    uint64_t bad_references = b->bad_references, unreadable_objects = b->unreadable_objects;
    follow_object(b, address);
    if (!ph_target_missed())
        return;
    b->bad_references = bad_references;
    b->unreadable_objects = unreadable_objects;
    if (!ph_array_push(&b->missed, address))
        b->failed = true;
}

static void take_frozen(struct ph_builder *b, const struct share *share, ph_addr address)
{
    uint64_t bad_references = b->bad_references, unreadable_objects = b->unreadable_objects;
    share->take(b, address, share->flags);
    if (!ph_target_missed())
        return;
    b->bad_references = bad_references;
    b->unreadable_objects = unreadable_objects;
    if (!ph_array_push(&b->untaken, address))
        b->failed = true;
}

/* Follow what is pending, until nothing is. */
static void drain_frozen(struct ph_builder *b)
{
    while (b->pending.count > 0 && !b->failed && !b->interrupted)
        follow_frozen(b, b->pending.items[--b->pending.count]);
}

/* Whether to go on, once a piece is done. */
static bool goes_on(struct share *share, const struct ph_builder *b)
{
    if (b->failed || b->interrupted)
        __atomic_store_n(&share->stop, true, __ATOMIC_RELAXED);
    return !__atomic_load_n(&share->stop, __ATOMIC_RELAXED);
}

static void take_given(void *ctx, unsigned worker)
{
    struct share *share = ctx;
    struct ph_builder *b = &share->workers[worker];
    uint64_t at, end;
    ph_target_missed();
    while (ph_pieces_next(&share->pieces, &at, &end)) {
        for (; at < end; at++) {
            if (share->given->items[at])
                take_frozen(b, share, share->given->items[at]);
        }
        drain_frozen(b);
        if (!goes_on(share, b))
            return;
    }
}

/* The run that holds a slot. */
static const struct ph_run *run_of_slot(const struct ph_blocks *blocks, uint32_t slot)
{
    uint32_t low = 0, high = blocks->runs.count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (blocks->runs.items[middle].first_slot <= slot)
            low = middle;
        else
            high = middle;
    }
    return &blocks->runs.items[low];
}

/* Follow the objects of eight slots that wait for it, and what they lead to behind them. */
static bool sweep_slots(struct ph_builder *b, uint32_t first, const struct ph_run **run)
{
    uint64_t waiting;
    memcpy(&waiting, b->todo + first, sizeof waiting);
    if (!waiting) /* what comes in between is found by the next sweep */
        return false;
    for (uint32_t slot = first; slot < first + sizeof waiting; slot++) {
        if (!__atomic_load_n(&b->todo[slot], __ATOMIC_ACQUIRE))
            continue;
        b->todo[slot] = 0;
        while (slot >= (*run)->first_slot + (*run)->block_count)
            (*run)++;
        unsigned form = (ph_builder_cell(b, slot) & PH_CELL_FORM) >> PH_CELL_FORM_SHIFT;
        b->todo_from = slot;
        follow_frozen(b, ph_run_block_address(*run, slot) + b->heap->offsets[form - 1]);
        drain_frozen(b);
    }
    return true;
}

/* Follow what waits, by ascending address: far faster than in the order in which it was found. */
static void sweep(void *ctx, unsigned worker)
{
    struct share *share = ctx;
    struct ph_builder *b = &share->workers[worker];
    uint64_t at, end;
    bool any = false;
    ph_target_missed();
    b->takes_listed = false;
    while (ph_pieces_next(&share->pieces, &at, &end)) {
        const struct ph_run *run = run_of_slot(&b->heap->blocks, (uint32_t)at);
        for (; at < end; at += 8)
            any |= sweep_slots(b, (uint32_t)at, &run);
        if (!share->swept)
            ph_builder_progress(b, 40 + (unsigned)(end * 40 / share->pieces.count));
        if (!goes_on(share, b))
            return;
    }
    if (any)
        __atomic_store_n(&share->again, true, __ATOMIC_RELAXED);
}

void ph_builder_append(struct ph_builder *b, struct ph_addresses *to,
                       const struct ph_addresses *from)
{
    if (!ph_array_reserve(to, (uint64_t)to->count + from->count)) {
        b->failed = true;
        return;
    }
    if (from->count)
        memcpy(to->items + to->count, from->items, from->count * sizeof *to->items);
    to->count += from->count;
}

static struct ph_builder make_worker(const struct ph_builder *b, const struct ph_host *host,
                                     uint8_t *todo)
{
    struct ph_builder worker = *b;
    worker.host = host;
    worker.is_worker = true;
    worker.todo = todo;
    worker.pending = worker.missed = worker.untaken = worker.holders = (struct ph_addresses){0};
    worker.bad_references = worker.unreadable_objects = worker.listed = 0;
    return worker;
}

/* Take over what a worker found, and what it has left to do. */
static void join_worker(struct ph_builder *b, struct ph_builder *worker)
{
    b->bad_references += worker->bad_references;
    b->unreadable_objects += worker->unreadable_objects;
    b->listed += worker->listed;
    b->repeated |= worker->repeated;
    b->interrupted |= worker->interrupted;
    b->failed |= worker->failed;
    ph_builder_append(b, &b->pending, &worker->pending);
    ph_builder_append(b, &b->pending, &worker->missed);
    ph_builder_append(b, &b->untaken, &worker->untaken);
    ph_builder_append(b, &b->holders, &worker->holders);
    ph_array_free(&worker->pending);
    ph_array_free(&worker->missed);
    ph_array_free(&worker->untaken);
    ph_array_free(&worker->holders);
}

/* Workers learn nothing new: neither types nor objects outside the blocks, of which they would meet
 * the same few again and again. Some of what is given, and of what that leads to, brings nearly all
 * of them beforehand. What was taken is 0 afterwards. */
static void take_sample(struct ph_builder *b, struct ph_addresses *given, ph_take_fn take,
                        unsigned flags)
{
    uint32_t begin = b->pending.count, at = begin;
    uint64_t random = 1, limit = begin + 2 * (uint64_t)(given->count / SAMPLED);
    for (uint64_t i = 0; i < given->count && !b->failed && !b->interrupted;) {
        take(b, given->items[i], flags);
        given->items[i] = 0;
        /* No fixed step, for what a program makes in a loop comes at one. */
        i += 1 + ph_builder_random(&random) % (2 * SAMPLED);
    }
    while (at < b->pending.count && at < limit && !b->failed && !b->interrupted)
        follow_object(b, b->pending.items[at++]);
    memmove(b->pending.items + begin, b->pending.items + at,
            (b->pending.count - at) * sizeof *b->pending.items);
    b->pending.count -= at - begin;
    add_new_types(b);
}

/* Take what is given, and follow what waits after that, until nothing does. */
static void work(struct share *share, unsigned workers)
{
    share->pieces = (struct ph_pieces){.count = share->given->count, .piece = PIECE};
    ph_parallel(workers, take_given, share);
    do {
        share->again = false;
        share->pieces = (struct ph_pieces){.count = share->from->heap->blocks.slots.count,
                                           .piece = SLOTS_A_PIECE};
        ph_parallel(workers, sweep, share);
        share->swept = true;
    } while (share->again && !share->stop);
}

static void take_all(struct ph_builder *b, const struct ph_addresses *given, ph_take_fn take,
                     unsigned flags)
{
    for (uint32_t i = 0; i < given->count && !b->failed && !b->interrupted; i++)
        take(b, given->items[i], flags);
}

void ph_builder_share(struct ph_builder *b, struct ph_addresses *given, ph_take_fn take,
                      unsigned flags)
{
    unsigned workers = ph_workers_for(given->count);
    /* malloc's chunks are claimed without care for others. */
    if (workers == 1 || b->heap->chunks.starts.count) {
        take_all(b, given, take, flags);
        return;
    }
    struct share share = {.from = b, .given = given, .take = take, .flags = flags};
    uint8_t *todo = ph_calloc((size_t)b->heap->blocks.slots.count + 8, 1);
    b->failed |= !todo;
    take_sample(b, given, take, flags);
    if (b->failed || b->interrupted) {
        free(todo);
        return;
    }
    if (!b->guessed)
        ph_builder_guess(b, workers);
    for (unsigned i = 0; i < workers; i++)
        share.workers[i] = make_worker(b, i ? NULL : b->host, todo);
    ph_target_freeze(b->python->target);
    work(&share, workers);
    ph_target_thaw(b->python->target);
    for (unsigned i = 0; i < workers; i++)
        join_worker(b, &share.workers[i]);
    free(todo);
    take_all(b, &b->untaken, take, flags);
    ph_array_free(&b->untaken);
}

/* ---- until nothing is left ---- */

static void take_pending(struct ph_builder *b, ph_addr address, unsigned flags)
{
    (void)flags;
    follow_object(b, address);
}

static void follow_pending(struct ph_builder *b)
{
    while (b->pending.count > 0 && !b->failed && !b->interrupted) {
        ph_addr address = b->pending.items[--b->pending.count];
        follow_object(b, address);
    }
}

void ph_builder_close(struct ph_builder *b)
{
    if (ph_workers_for(b->pending.count) > 1) {
        struct ph_addresses given = b->pending;
        b->pending = (struct ph_addresses){0};
        ph_builder_share(b, &given, take_pending, 0);
        ph_array_free(&given);
    }
    do {
        follow_pending(b);
        add_new_types(b);
    } while (b->pending.count > 0 && !b->failed && !b->interrupted);
}
