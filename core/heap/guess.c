#include "base/parallel.h"
#include "heap/builder.h"
#include "runtime/refcount.h"

enum { RUNS_A_PIECE = 64 };

/* What an instance of a type looks like in its block. */
struct shape {
    uint64_t least_bytes; /* from the block's start on */
    uint32_t form;        /* of what lies before it */
    uint8_t cell;         /* of the block that holds it */
    struct ph_sizing sizing;
};

struct guesses {
    const struct ph_python *python;
    uint64_t head_bytes, ob_type; /* of any object */
    uint32_t form_count, offsets[PH_HEADER_FORMS];
    struct ph_map type_ids;
    struct shape *shapes; /* by type */
};

struct guessing {
    struct guesses guesses;
    const struct ph_host *host;
    struct ph_blocks *blocks;
    uint16_t *types;              /* as in the builder */
    struct ph_measured *measured; /* as there */
    struct ph_pieces pieces;      /* of the runs */
};

/* Of a type without a known form the shape fits no block. */
static struct shape shape_of(const struct ph_builder *b, const struct ph_type *type)
{
    const unsigned bits = ph_builder_form(b, type);
    if (!bits)
        return (struct shape){.form = UINT32_MAX};
    const uint32_t form = ((bits & PH_CELL_FORM) >> PH_CELL_FORM_SHIFT) - 1;
    return (struct shape){
        .least_bytes = b->heap->offsets[form] + type->min_bytes,
        .form = form,
        .sizing = type->sizing,
        .cell = (uint8_t)(PH_SLOT_USED | bits),
    };
}

/* What a block in use seems to hold. */
struct guess {
    uint8_t cell;          /* as it is, or with the object's form */
    uint32_t type;         /* its id + 1; 0: unknown */
    const uint8_t *object; /* its bytes */
};

static struct guess guess_block(const struct guesses *g, const uint8_t *block, uint64_t size)
{
    for (uint32_t form = 0; form < g->form_count; form++) {
        const uint8_t *object = block + g->offsets[form];
        uint32_t type = 0;
        if (g->offsets[form] + g->head_bytes > size ||
            !ph_map_find(&g->type_ids, ph_load_ptr(g->python, object + g->ob_type), &type) || !type)
            continue;
        const struct shape *shape = &g->shapes[type - 1];
        if (shape->form == form && shape->least_bytes <= size &&
            ph_builder_plausible_count(ph_refcount_read(g->python, object)))
            return (struct guess){shape->cell, type, object};
    }
    return (struct guess){.cell = PH_SLOT_USED};
}

/* What lies in a block as a whole takes all of it. */
static struct ph_measured measure(const struct guesses *g, const struct guess *guess,
                                  uint64_t block_bytes)
{
    uint64_t bytes = ph_sizing_find(&g->shapes[guess->type - 1].sizing, g->python, guess->object);
    if (bytes >= PH_NOT_MEASURED)
        return (struct ph_measured){0};
    return (struct ph_measured){(uint16_t)bytes, ph_heap_measured(block_bytes)};
}

static void guess_run(const struct guessing *guessing, const struct ph_run *run)
{
    /* A copy, for to write a byte might change what lies behind a pointer. */
    const struct guesses g = guessing->guesses;
    const uint64_t size = run->block_bytes;
    const uint32_t count = run->block_count;
    const uint8_t *bytes = ph_target_view(g.python->target, run->start, count * size);
    uint8_t *cells = guessing->blocks->slots.items + run->first_slot;
    uint16_t *types = guessing->types + run->first_slot;
    struct ph_measured *measured = guessing->measured ? guessing->measured + run->first_slot : NULL;
    for (uint32_t n = 0; bytes && n < count; n++) {
        struct guess guess = {.cell = cells[n]};
        if (guess.cell == PH_SLOT_USED)
            guess = guess_block(&g, bytes + n * size, size);
        cells[n] = guess.cell;
        types[n] = guess.type <= UINT16_MAX ? (uint16_t)guess.type : 0;
        if (measured && guess.type)
            measured[n] = measure(&g, &guess, size);
    }
}

static void work(void *ctx, unsigned worker)
{
    struct guessing *g = ctx;
    uint64_t at, end;
    while (ph_pieces_next(&g->pieces, &at, &end)) {
        for (; at < end; at++) {
            const struct ph_run *run = &g->blocks->runs.items[at];
            if (run->use != PH_RUN_BUFFERS)
                guess_run(g, run);
        }
        ph_pieces_look(&g->pieces, worker, g->host);
    }
    ph_target_missed(); /* a guess less */
}

void ph_builder_guess(struct ph_builder *b, unsigned workers)
{
    const struct ph_objects *objects = &b->heap->objects;
    const struct ph_layout *L = &b->python->layout;
    struct guessing g = {
        .guesses = {.python = b->python,
                    .head_bytes = (uint64_t)L->object.size,
                    .ob_type = (uint64_t)L->object.ob_type,
                    .form_count = b->header_count,
                    .type_ids = objects->type_ids,
                    .shapes = ph_malloc(objects->types.count * sizeof *g.guesses.shapes)},
        .host = b->host,
        .blocks = &b->heap->blocks,
        .pieces = {.count = b->heap->blocks.runs.count, .piece = RUNS_A_PIECE},
    };
    b->guessed = true;
    b->guesses = g.types = ph_calloc(b->heap->blocks.slots.count, sizeof *g.types);
    if (b->measures)
        b->measured = g.measured = ph_calloc(b->heap->blocks.slots.count, sizeof *g.measured);
    if (!g.guesses.shapes || !g.types) { /* without guesses all is found, too */
        free(g.guesses.shapes);
        return;
    }
    memcpy(g.guesses.offsets, b->heap->offsets, sizeof g.guesses.offsets);
    for (uint32_t i = 0; i < objects->types.count; i++)
        g.guesses.shapes[i] = shape_of(b, objects->types.items[i]);
    ph_target_freeze(b->python->target);
    ph_parallel(workers, work, &g);
    ph_target_thaw(b->python->target);
    b->interrupted |= g.pieces.stopped;
    free(g.guesses.shapes);
}
