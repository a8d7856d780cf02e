#include "base/parallel.h"
#include "heap/builder.h"

enum { RUNS_A_PIECE = 64, TYPES_CACHED = 1 << 10 };

/* Types seen last, by the low bits of their addresses; misses too. */
struct type_cache {
    struct {
        ph_addr address;
        uint32_t id; /* plus 1; 0: no type is known there */
    } items[TYPES_CACHED];
};

struct guesses {
    struct ph_builder *b;
    struct ph_pieces pieces; /* of the runs */
};

static const struct ph_type *known_type(const struct ph_builder *b, struct type_cache *cache,
                                        ph_addr address)
{
    size_t i = address >> 4 & (TYPES_CACHED - 1);
    if (cache->items[i].address != address) {
        uint32_t known = 0;
        ph_map_find(&b->heap->objects.type_ids, address, &known);
        cache->items[i].address = address;
        cache->items[i].id = known;
    }
    uint32_t id = cache->items[i].id;
    return id ? b->heap->objects.types.items[id - 1] : NULL;
}

/* The cell of a block in use: as it is, or with the form of the object that the block seems to
 * hold. */
static uint8_t guess_block(struct ph_builder *b, struct type_cache *cache, const uint8_t *block,
                           uint64_t size)
{
    const struct ph_layout *L = &b->python->layout;
    for (uint32_t h = 0; h < b->header_count; h++) {
        uint64_t offset = b->heap->offsets[h];
        if (offset + (uint64_t)L->object.size > size)
            continue;
        const uint8_t *object = block + offset;
        const struct ph_type *type =
            known_type(b, cache, ph_load_ptr(b->python, object + L->object.ob_type));
        if (type && type->header_bytes == b->headers[h] && offset + type->min_bytes <= size &&
            ph_builder_plausible_count(b, object))
            return (uint8_t)(PH_SLOT_USED | (h + 1) << PH_CELL_FORM_SHIFT |
                             (ph_builder_is_leaf(type) ? PH_CELL_LEAF : 0));
    }
    return PH_SLOT_USED;
}

static void guess_run(struct ph_builder *b, struct type_cache *cache, const struct ph_run *run)
{
    uint64_t size = run->block_bytes;
    const uint8_t *bytes = ph_target_view(b->python->target, run->start, run->block_count * size);
    uint8_t *cells = b->heap->blocks.slots.items + run->first_slot;
    for (uint32_t n = 0; bytes && n < run->block_count; n++) {
        if (cells[n] == PH_SLOT_USED)
            cells[n] = guess_block(b, cache, bytes + n * size, size);
    }
}

static void work(void *ctx, unsigned worker)
{
    struct guesses *g = ctx;
    struct ph_builder *b = g->b;
    struct type_cache cache = {0};
    uint64_t at, end;
    (void)worker;
    while (ph_pieces_next(&g->pieces, &at, &end)) {
        for (; at < end; at++) {
            const struct ph_run *run = &b->heap->blocks.runs.items[at];
            if (run->use != PH_RUN_BUFFERS)
                guess_run(b, &cache, run);
        }
    }
    ph_target_missed(); /* a guess less */
}

void ph_builder_guess(struct ph_builder *b, unsigned workers)
{
    struct guesses g = {.b = b,
                        .pieces = {.count = b->heap->blocks.runs.count, .piece = RUNS_A_PIECE}};
    b->guessed = true;
    ph_target_freeze(b->python->target);
    ph_parallel(workers, work, &g);
    ph_target_thaw(b->python->target);
}
