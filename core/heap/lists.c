/* The collector's lists of objects, or what stands for them in builds without. */
#include "base/parallel.h"
#include "heap/builder.h"
#include "heap/collection.h"

enum {
    LONG_LIST = 1 << 14, /* shorter ones are read by one worker */
    CUT_TRIES = 1 << 11, /* blocks in which a node of a list is looked for */
    STRETCHES_BY_TURNS = 8,
    LOG2_CUT_BITS = 14,
    CUT_BITS = 1 << LOG2_CUT_BITS,
    GC_BIT_TRACKED = 1, /* of ob_gc_bits (Include/internal/pycore_gc.h) */
    GC_BIT_FROZEN = 8,
};

/* ---- lists ---- */

/* A stretch of a list as it is read on: from a node to its end, or to where another begins. */
struct stretch {
    ph_addr node;   /* reached so far */
    ph_addr behind; /* a node that lies ever farther behind */
    uint64_t steps, farther;
    struct ph_addresses objects;
    bool whole, broken; /* it has come to its end, or breaks off */
};

static struct stretch begin_stretch(ph_addr node)
{
    return (struct stretch){.node = node, .farther = 1};
}

/* One step on. Only links to the next are believed, for a collection uses the others. A list that
 * does not come back to its head may go on for ever, so meeting the node behind breaks it off
 * (Brent, 1980). */
static inline void step(struct ph_builder *b, struct stretch *s,
                        bool (*ends)(const void *, ph_addr), const void *ctx)
{
    const struct ph_layout *L = &b->python->layout;
    ph_addr node = ph_python_gc_link(b->python, s->node, L->gc_head.next);
    if (!node || node == s->behind) {
        s->broken = true;
        return;
    }
    s->node = node;
    s->whole = ends(ctx, node);
    if (s->whole)
        return;
    if (!ph_array_push(&s->objects, node + (uint64_t)L->gc_head.size))
        b->failed = true;
    if (++s->steps == s->farther) {
        s->behind = node;
        s->farther *= 2;
    }
    ph_builder_step(b);
}

static bool is_done(const struct ph_builder *b, const struct stretch *s)
{
    return s->whole || s->broken || b->failed || b->interrupted;
}

static bool is_head(const void *ctx, ph_addr node)
{
    return node == *(const ph_addr *)ctx;
}

/* ---- long lists ---- */

/* Each step along a list waits for memory. So a long one is cut into stretches, at nodes that were
 * found at random, which are read at the same time, and put together in their order. */
struct stretches {
    struct ph_builder *b;
    struct ph_map index;                /* node -> its place in items */
    uint64_t may_be_cut[CUT_BITS / 64]; /* by a hash: clear where no cut is for certain */
    PH_ARRAY(struct stretch) items;
    struct ph_pieces pieces;
    bool missed; /* something was not to be had while several read */
};

/* Whether a node is on a list for certain: its neighbours lead back to it. */
static bool is_linked(const struct ph_builder *b, ph_addr node)
{
    const struct ph_layout *L = &b->python->layout;
    ph_addr next = ph_python_gc_link(b->python, node, L->gc_head.next);
    ph_addr prev = ph_python_gc_link(b->python, node, L->gc_head.prev);
    return next && prev && next % ph_word_bytes(b->python) == 0 &&
           prev % ph_word_bytes(b->python) == 0 &&
           ph_python_gc_link(b->python, next, L->gc_head.prev) == node &&
           ph_python_gc_link(b->python, prev, L->gc_head.next) == node;
}

static uint32_t cut_bit(ph_addr node)
{
    return (uint32_t)(node >> 4) * 0x9e3779b1u >> (32 - LOG2_CUT_BITS);
}

static void add_cut(struct stretches *all, ph_addr node)
{
    struct stretch stretch = begin_stretch(node);
    if (ph_map_find(&all->index, node, NULL))
        return;
    if (!ph_array_push(&all->items, stretch) ||
        !ph_map_insert(&all->index, node, all->items.count - 1))
        all->b->failed = true;
    all->may_be_cut[cut_bit(node) / 64] |= (uint64_t)1 << cut_bit(node) % 64;
}

static void find_cuts(struct stretches *all)
{
    struct ph_builder *b = all->b;
    const struct ph_blocks *blocks = &b->heap->blocks;
    uint64_t random = 1, gc_bytes = (uint64_t)b->python->layout.gc_head.size;
    for (uint32_t n = 0; n < CUT_TRIES && blocks->runs.count && !b->failed; n++) {
        const struct ph_run *run =
            &blocks->runs.items[ph_builder_random(&random) % blocks->runs.count];
        ph_addr block =
            run->start + ph_builder_random(&random) % run->block_count * run->block_bytes;
        for (uint32_t h = 0; h < b->header_count; h++) {
            ph_addr node = block + b->heap->offsets[h] - gc_bytes;
            if (b->headers[h] >= gc_bytes && is_linked(b, node))
                add_cut(all, node);
        }
    }
}

static bool is_cut(const void *ctx, ph_addr node)
{
    const struct stretches *all = ctx;
    uint32_t bit = cut_bit(node);
    return (all->may_be_cut[bit / 64] >> bit % 64 & 1) && ph_map_find(&all->index, node, NULL);
}

/* Several stretches by turns, so that one step is waited for while others are made. */
static void read_stretches(void *ctx, unsigned worker)
{
    struct stretches *all = ctx;
    struct ph_builder b = *all->b; /* its failed and interrupted are this worker's */
    struct stretch *turns[STRETCHES_BY_TURNS];
    uint32_t count = 0;
    uint64_t next, end;
    b.host = worker ? NULL : b.host;
    ph_target_missed();
    do {
        while (count < STRETCHES_BY_TURNS && ph_pieces_next(&all->pieces, &next, &end))
            turns[count++] = &all->items.items[next];
        for (uint32_t i = 0; i < count; i++) {
            step(&b, turns[i], is_cut, all);
            ph_target_prefetch(b.python->target, turns[i]->node);
            if (is_done(&b, turns[i]))
                turns[i--] = turns[--count];
        }
    } while (count);
    if (ph_target_missed() || b.failed || b.interrupted)
        __atomic_store_n(&all->missed, true, __ATOMIC_RELAXED);
}

/* Put the stretches together that lead from a head back to it. */
static void join_stretches(struct stretches *all, ph_addr head, struct stretch *out)
{
    ph_addr node = head;
    uint32_t at;
    uint64_t most = all->items.count; /* to begin with, of those that begin at an object */
    for (uint32_t i = 0; i < all->items.count; i++)
        most += all->items.items[i].objects.count;
    if (!ph_array_reserve(&out->objects, most))
        all->b->failed = true;
    for (uint32_t n = 0; !all->b->failed && ph_map_find(&all->index, node, &at); n++) {
        struct stretch *s = &all->items.items[at];
        /* The first object of a stretch that begins at an object is that object. */
        ph_addr object = node + (uint64_t)all->b->python->layout.gc_head.size;
        if (node != head && !ph_array_push(&out->objects, object))
            all->b->failed = true;
        ph_builder_append(all->b, &out->objects, &s->objects);
        node = s->node;
        out->whole = s->whole && node == head;
        if (out->whole || s->broken || n == all->items.count)
            break;
    }
    out->broken = !out->whole;
}

/* Read a whole list from its head on with several workers. False: it must be read by one. */
static bool read_long_list(struct ph_builder *b, ph_addr head, struct stretch *out)
{
    struct stretches all = {.b = b};
    unsigned workers = ph_worker_count();
    add_cut(&all, head);
    find_cuts(&all);
    all.pieces = (struct ph_pieces){.count = all.items.count, .piece = 1};
    bool ok = !b->failed && workers > 1;
    if (ok) {
        ph_target_freeze(b->python->target);
        ph_parallel(workers, read_stretches, &all);
        ph_target_thaw(b->python->target);
        ok = !all.missed;
    }
    if (ok)
        join_stretches(&all, head, out);
    for (uint32_t i = 0; i < all.items.count; i++)
        ph_array_free(&all.items.items[i].objects);
    ph_array_free(&all.items);
    ph_map_free(&all.index);
    return ok;
}

static bool read_list(struct ph_builder *b, ph_addr head, struct ph_addresses *out)
{
    struct stretch list = begin_stretch(head);
    while (!is_done(b, &list) && list.steps < LONG_LIST)
        step(b, &list, is_head, &head);
    if (!is_done(b, &list)) {
        struct stretch whole = {0};
        if (read_long_list(b, head, &whole)) {
            ph_array_free(&list.objects);
            list = whole;
        }
    }
    while (!is_done(b, &list))
        step(b, &list, is_head, &head);
    *out = list.objects;
    return list.whole;
}

/* An object may be on one list only. */
static void take_listed(struct ph_builder *b, ph_addr address, unsigned flags)
{
    enum ph_added added = ph_builder_add(b, address, PH_OBJECT_TRACKED | flags);
    b->listed += added == PH_ADDED;
    b->repeated |= added == PH_REPEATED;
    b->bad_references += added == PH_NOT_ADDED;
    ph_builder_step(b);
}

static void add_list(struct ph_builder *b, ph_addr head, unsigned flags, uint64_t *count)
{
    struct ph_addresses objects = {0};
    b->listed = 0;
    b->repeated = false;
    bool whole = read_list(b, head, &objects);
    b->takes_listed = whole; /* what leads back to its head has each object once */
    ph_builder_share(b, &objects, take_listed, flags);
    b->takes_listed = false;
    ph_array_free(&objects);
    *count += b->listed;
    if (!b->interrupted && (!whole || b->repeated))
        b->heap->broken_lists++;
}

/* ---- marks ---- */

/* Without lists, the collector looks through the heaps of GC objects for those that are marked. */
static void walk_gc_run(struct ph_builder *b, const struct ph_run *run)
{
    const struct ph_layout *L = &b->python->layout;
    uint64_t before = b->heap->allocator.prefix_bytes;
    if (run->use == PH_RUN_GC_MANAGED)
        before += 2 * ph_word_bytes(b->python);
    for (uint32_t n = 0; n < run->block_count && !b->failed && !b->interrupted; n++) {
        uint8_t bits = 0;
        ph_addr address = run->start + n * run->block_bytes + before;
        ph_builder_step(b);
        if (b->heap->blocks.slots.items[run->first_slot + n] == PH_SLOT_FREE ||
            !ph_target_u8(b->python->target, address + (uint64_t)L->object.ob_gc_bits, &bits) ||
            !(bits & GC_BIT_TRACKED))
            continue;
        unsigned generation = bits & GC_BIT_FROZEN ? PH_GEN_PERMANENT : 0;
        if (!ph_builder_add(b, address, PH_OBJECT_TRACKED | generation))
            b->bad_references++;
    }
}

static void walk_gc_runs(struct ph_builder *b)
{
    const struct ph_blocks *blocks = &b->heap->blocks;
    for (uint32_t i = 0; i < blocks->runs.count; i++) {
        const struct ph_run *run = &blocks->runs.items[i];
        if (run->use == PH_RUN_GC || run->use == PH_RUN_GC_MANAGED)
            walk_gc_run(b, run);
    }
}

/* ---- all of them ---- */

static void add_lists(struct ph_builder *b)
{
    if (b->python->layout.traits.gc_header == PH_GC_HEADER_NONE)
        walk_gc_runs(b);
    for (uint32_t i = 0; i < b->python->interpreters.count; i++) {
        const struct ph_gc *gc = &b->python->interpreters.items[i].gc;
        for (unsigned g = 0; g <= PH_GEN_PERMANENT; g++) {
            if (gc->lists[g].head)
                add_list(b, gc->lists[g].head, g, &b->heap->gc_counts[i].generations[g]);
        }
    }
}

void ph_builder_count_collected(struct ph_builder *b, uint32_t interp, uint64_t count)
{
    b->heap->gc_counts[interp].collected += count;
    /* To 3.6 nothing but such objects tells that a collection runs. */
    b->python->interpreters.items[interp].gc.collecting |= count > 0;
}

static void add_collection_lists(struct ph_builder *b)
{
    struct ph_list_heads heads = {0};
    uint32_t interp = ph_collection_interpreter(b->python);
    b->failed = !ph_collection_lists(b->python, &heads) || b->failed;
    for (uint32_t i = 0; i < heads.count; i++) {
        uint64_t count = 0;
        add_list(b, heads.items[i], PH_OBJECT_COLLECTED, &count);
        ph_builder_count_collected(b, interp, count);
    }
    ph_array_free(&heads);
}
void ph_builder_add_tracked(struct ph_builder *b)
{
    add_lists(b);
    add_collection_lists(b);
}
