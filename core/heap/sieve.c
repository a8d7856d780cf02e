#include "heap/sieve.h"

enum {
    STRETCH_BYTES = 1 << 20, /* looked at for pools at once, and for malloc's blocks */
    LEAST_POOL = 4096,
    MOST_HEADER = 64,
    LEAST_LEFT_OUT = 1 << 20,
    KEPT_BYTES = 1 << 16, /* of a block, for an object that begins it */
    HEAD_WORDS = 2,       /* of a chunk, before the block; and of an object */
    SEEN_WORDS = 20,      /* of a chunk, to tell references from data */
    PAGE = 4096,
    IS_MMAPPED = 2, /* of a chunk's size, whose low three bits are flags (malloc/malloc.c) */
    FLAGS = 7,
};

/* What is done with one region. */
struct pass {
    const struct ph_sieve *sieve;
    struct ph_target *target;
    ph_addr start, end; /* of the region */
    ph_addr kept_from;  /* the range that is open begins here */
    struct ph_ranges *out;
    bool can_sample;
    bool failed;
};

static void keep(struct pass *p, ph_addr end)
{
    if (end > p->kept_from && !ph_array_push(p->out, ((struct ph_range){p->kept_from, end})))
        p->failed = true;
}

static void leave_out(struct pass *p, ph_addr start, ph_addr end)
{
    if (start >= end || end - start < LEAST_LEFT_OUT)
        return;
    keep(p, start);
    p->kept_from = end;
}

static bool has_pool(struct pass *p, ph_addr at, ph_addr end)
{
    const struct ph_sieve *s = p->sieve;
    uint8_t headers[STRETCH_BYTES / LEAST_POOL * MOST_HEADER];
    size_t count = (size_t)((end - at) / s->pool_bytes);
    if (!count)
        return false;
    p->can_sample = ph_target_sample(p->target, at, s->pool_bytes, s->header_bytes, count, headers);
    for (size_t i = 0; p->can_sample && i < count; i++) {
        if (s->is_pool(s->ctx, headers + i * s->header_bytes, at + i * s->pool_bytes))
            return true;
    }
    return false;
}

/* Bytes of a block that malloc mapped alone, at the beginning of a page; 0 where there is none. */
static uint64_t mapped_block(const struct pass *p, const uint8_t *chunk, ph_addr at)
{
    unsigned word = ph_word_bytes(p->sieve->python);
    uint64_t size = ph_load_ptr(p->sieve->python, chunk + word), bytes = size & ~(uint64_t)FLAGS;
    bool is_block = ph_load_ptr(p->sieve->python, chunk) == 0 && (size & FLAGS) == IS_MMAPPED &&
                    bytes % PAGE == 0 && bytes >= LEAST_LEFT_OUT && bytes <= p->end - at;
    return is_block ? bytes : 0;
}

/* Whether what a block begins with are references, as of a list's items or a tuple: those will be
 * followed. An object's own type is none. */
static bool holds_references(const struct pass *p, ph_addr chunk)
{
    const struct ph_python *python = p->sieve->python;
    uint8_t words[SEEN_WORDS * sizeof(uint64_t)];
    unsigned word = ph_word_bytes(python);
    if (!ph_target_sample(p->target, chunk, PAGE, (size_t)SEEN_WORDS * word, 1, words))
        return true;
    for (unsigned i = 2 * HEAD_WORDS; i < SEEN_WORDS; i++) {
        ph_addr target = ph_load_ptr(python, words + (size_t)i * word);
        if (target && target % word == 0 && ph_target_region_at(p->target, target))
            return true;
    }
    return false;
}

/* No pool is in [start, end). A block there may begin in the stretch before. */
static void leave_out_blocks(struct pass *p, ph_addr start, ph_addr end)
{
    uint8_t chunks[STRETCH_BYTES / PAGE * 2 * sizeof(uint64_t)];
    const size_t chunk_bytes = 2 * ph_word_bytes(p->sieve->python);
    ph_addr at = start - p->start > STRETCH_BYTES ? start - STRETCH_BYTES : p->start;
    if (end - start < LEAST_LEFT_OUT)
        return;
    while (at < end && !ph_host_interrupted(p->sieve->host)) {
        size_t count = (size_t)((end - at < STRETCH_BYTES ? end - at : STRETCH_BYTES) / PAGE);
        if (!count || !ph_target_sample(p->target, at, PAGE, chunk_bytes, count, chunks))
            return;
        uint64_t block = 0;
        for (size_t i = 0; i < count && !block; i++) {
            block = mapped_block(p, chunks + i * chunk_bytes, at);
            if (!block)
                at += PAGE;
        }
        if (!block)
            continue;
        ph_addr from = at + KEPT_BYTES, to = at + block;
        if (!holds_references(p, at))
            leave_out(p, from < start ? start : from, to < end ? to : end);
        at = to;
    }
}

enum ph_status ph_sieve_region(const struct ph_sieve *sieve, const struct ph_region *region,
                               struct ph_ranges *out)
{
    const uint64_t pool = sieve->pool_bytes;
    struct pass p = {
        .sieve = sieve,
        .target = sieve->python->target,
        .start = region->start,
        .end = region->end,
        .kept_from = region->start,
        .out = out,
        .can_sample = sieve->header_bytes <= MOST_HEADER && region->end % PAGE == 0,
    };
    /* What malloc has from brk() has no such blocks. */
    bool worth =
        region->end - region->start >= LEAST_LEFT_OUT && strcmp(region->name, "[heap]") != 0;
    ph_addr at = (region->start + pool - 1) / pool * pool, free_from = region->start;
    while (worth && p.can_sample && at < region->end) {
        if (ph_host_interrupted(sieve->host))
            return PH_INTERRUPTED;
        ph_addr end = region->end - at < STRETCH_BYTES ? region->end : at + STRETCH_BYTES;
        if (has_pool(&p, at, end)) {
            leave_out_blocks(&p, free_from, at);
            free_from = end;
        }
        at = end;
    }
    if (worth && p.can_sample)
        leave_out_blocks(&p, free_from, region->end);
    keep(&p, region->end);
    return p.failed ? PH_NO_MEMORY : PH_OK;
}
