#include "heap/arenas.h"

#include <stdlib.h>

#include "runtime/data.h"

enum {
    SMALL_ARENA = 256 << 10, /* of pools of 4 KiB */
    LARGE_ARENA = 1 << 20,   /* of pools of 16 KiB */
    SMALL_POOL = 4096,
    MOST_WALKED = 4096, /* objects of a generation looked at for their pools */
    MOST_SAMPLES = 4,   /* pools that a table must know */
    MOST_ARENAS = 1 << 20,
};

/* A pool, and the number of its arena. */
struct sample {
    ph_addr pool;
    uint32_t arena_index;
};

struct search {
    struct ph_arenas *arenas;
    const struct ph_python *python;
    uint32_t pool_bytes;
    ph_pool_test is_pool;
    void *ctx;
    struct sample samples[MOST_SAMPLES];
    int sample_count;
    bool failed; /* out of memory */
};

/* ---- Pools to try tables with ---- */

static void add_sample(struct search *s, ph_addr object)
{
    ph_addr pool = object & ~(ph_addr)(s->pool_bytes - 1);
    uint32_t arena_index;
    for (int i = 0; i < s->sample_count; i++) {
        if (s->samples[i].pool == pool)
            return;
    }
    if (s->is_pool(s->ctx, pool, &arena_index))
        s->samples[s->sample_count++] = (struct sample){pool, arena_index};
}

/* Of a collector's objects, some that lie in different pools. */
static void take_samples(struct search *s, const struct ph_gc *gc)
{
    s->sample_count = 0;
    for (int g = PH_GENERATIONS - 1; g >= 0; g--) {
        ph_addr head = gc->lists[g].head, at = head;
        for (int i = 0; head && i < MOST_WALKED && s->sample_count < MOST_SAMPLES; i++) {
            at = ph_python_gc_link(s->python, at, s->python->layout.gc_head.next);
            if (!at || at == head)
                break;
            add_sample(s, at);
        }
    }
}

/* ---- Tables ---- */

/* The arena that an entry of a table describes, its start 0 where the entry is free; false where it
 * is no entry. */
static bool read_entry(const struct search *s, ph_addr table, uint32_t index,
                       struct ph_pymalloc_arena *arena)
{
    const struct ph_python *python = s->python;
    const struct ph_layout *L = &python->layout;
    ph_addr entry = table + (uint64_t)index * (uint64_t)L->arena_object.size;
    const uint8_t *at = ph_target_view(python->target, entry, (size_t)L->arena_object.size);
    if (!at)
        return false;
    *arena = (struct ph_pymalloc_arena){
        .entry = entry,
        .index = index,
        .start = ph_load_ptr(python, at + L->arena_object.address),
        .next_pool = ph_load_ptr(python, at + L->arena_object.pool_address),
        .free_pools = ph_load_ptr(python, at + L->arena_object.freepools),
        .free_count = ph_load_u32(python, at + L->arena_object.nfreepools),
        .total_count = ph_load_u32(python, at + L->arena_object.ntotalpools),
    };
    return arena->start == 0 ||
           (arena->start % 4096 == 0 && arena->next_pool - arena->start <= s->arenas->bytes &&
            arena->free_count <= arena->total_count &&
            arena->total_count <= s->arenas->bytes / s->pool_bytes);
}

static bool knows_samples(const struct search *s, ph_addr table)
{
    for (int i = 0; i < s->sample_count; i++) {
        const struct sample *sample = &s->samples[i];
        struct ph_pymalloc_arena arena;
        if (!read_entry(s, table, sample->arena_index, &arena) || !arena.start ||
            sample->pool - arena.start >= s->arenas->bytes)
            return false;
    }
    return s->sample_count > 0;
}

/* Try a table; its arenas are added if it is one. */
static bool try_table(struct search *s, ph_addr table)
{
    struct ph_pymalloc_arena arena;
    if (!table || table % ph_word_bytes(s->python) || !knows_samples(s, table))
        return false;
    for (uint32_t i = 0; i < MOST_ARENAS && read_entry(s, table, i, &arena); i++) {
        if (arena.start && !ph_array_push(&s->arenas->items, arena))
            s->failed = true;
    }
    return true;
}

/* Tables are malloc's. Where nobody lists the regions, they are those of modules, and what points
 * into one is no table. */
static bool may_be_table(struct ph_target *target, ph_addr address)
{
    return ph_target_info(target)->lists_regions || !ph_target_region_at(target, address);
}

/* The variable is somewhere in the interpreter's data. */
static void search_statics(struct search *s)
{
    struct ph_target *target = s->python->target;
    unsigned word = ph_word_bytes(s->python);
    ph_addr start;
    uint64_t len, value;
    for (size_t i = 0; ph_data_next(target, s->python->anchor, &i, &start, &len);) {
        for (ph_addr at = start; at + word <= start + len; at += word) {
            if (ph_target_word(target, at, &value) && may_be_table(target, value) &&
                try_table(s, value))
                return;
        }
    }
}

static void search_interpreter(struct search *s, const struct ph_interpreter *interp)
{
    const struct ph_layout *L = &s->python->layout;
    ph_addr state = interp->address + (uint64_t)L->interp.obmalloc;
    if (L->traits.obmalloc == PH_OBMALLOC_POINTER)
        state = ph_python_word(s->python, interp->address, L->interp.obmalloc);
    if (state)
        try_table(s, ph_python_word(s->python, state, L->obmalloc.arenas));
}

/* ---- All arenas ---- */

static int by_start(const void *a, const void *b)
{
    const struct ph_pymalloc_arena *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* Interpreters may share a table. */
static void sort_once(struct ph_arenas *arenas)
{
    uint32_t kept = 0;
    if (arenas->items.count)
        qsort(arenas->items.items, arenas->items.count, sizeof *arenas->items.items, by_start);
    for (uint32_t i = 0; i < arenas->items.count; i++) {
        struct ph_pymalloc_arena arena = arenas->items.items[i];
        if (!kept || arena.start - arenas->items.items[kept - 1].start >= arenas->bytes)
            arenas->items.items[kept++] = arena;
    }
    arenas->items.count = kept;
}

bool ph_arenas_find(struct ph_arenas *arenas, const struct ph_python *python, uint32_t pool_bytes,
                    ph_pool_test is_pool, void *ctx)
{
    *arenas = (struct ph_arenas){.bytes = pool_bytes == SMALL_POOL ? SMALL_ARENA : LARGE_ARENA};
    struct search s = {
        .arenas = arenas,
        .python = python,
        .pool_bytes = pool_bytes,
        .is_pool = is_pool,
        .ctx = ctx,
    };
    bool is_static = python->layout.traits.obmalloc == PH_OBMALLOC_STATIC;
    for (uint32_t i = 0; i < python->interpreters.count && !(is_static && i); i++) {
        take_samples(&s, &python->interpreters.items[i].gc);
        if (is_static)
            search_statics(&s);
        else
            search_interpreter(&s, &python->interpreters.items[i]);
    }
    sort_once(arenas);
    return !s.failed;
}

void ph_arenas_free(struct ph_arenas *arenas)
{
    ph_array_free(&arenas->items);
}
