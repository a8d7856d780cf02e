/* pymalloc's pools and arenas (Objects/obmalloc.c), and mimalloc's pages as far as their scan found
 * them damaged. */
#include "analysis/verify_internal.h"

#include <inttypes.h>

#include "heap/pymalloc.h"

enum { POOLS_A_LOOK = 1 << 10 };

static bool off_by_one(uint64_t a, uint64_t b)
{
    return a == b || a + 1 == b || a == b + 1;
}

/* ---- pools ---- */

/* Follow the list of free blocks. How many there are; -1 where a problem was reported. */
static int64_t count_free(struct ph_verifier *v, const struct ph_run *run,
                          const struct ph_pool *pool)
{
    int64_t count = 0;
    if (!ph_verify_clear(v, run->block_count))
        return -1;
    ph_addr from = pool->address;
    for (ph_addr block = pool->free_block; block; count++) {
        uint32_t slot;
        uint64_t offset;
        const char *wrong = NULL;
        if (!ph_run_block(run, block, &slot, &offset))
            wrong = "which is not in the pool";
        else if (offset || slot - run->first_slot >= pool->carved_count)
            wrong = "where no block begins";
        else if (ph_verify_mark(v, slot - run->first_slot))
            wrong = "as another block does";
        if (wrong) {
            ph_report(v, from, PH_PROBLEM_POOL, PH_PASSING,
                      "the list of free blocks leads from there to 0x%" PRIx64 ", %s", block,
                      wrong);
            return -1;
        }
        from = block;
        block = ph_python_word(v->python, block, 0);
    }
    return count;
}

static void check_pool(struct ph_verifier *v, const struct ph_run *run)
{
    struct ph_pool pool;
    if (!ph_pool_read(v->python, run, v->heap->blocks.step_bytes, &pool))
        return;
    int64_t free_count = count_free(v, run, &pool);
    if (free_count < 0)
        return;
    uint64_t used = pool.carved_count - (uint64_t)free_count;
    if (used != pool.used_count)
        ph_report(v, pool.address, PH_PROBLEM_POOL, off_by_one(used, pool.used_count),
                  "its header counts %" PRIu32 " blocks in use, and %" PRIu64 " of %" PRIu32
                  " are not free",
                  pool.used_count, used, pool.carved_count);
}

/* ---- arenas ---- */

/* The run whose blocks lie in the pool at this address. */
static bool is_known_pool(const struct ph_verifier *v, ph_addr pool)
{
    const struct ph_run *run = ph_blocks_find(&v->heap->blocks, pool);
    return run && run->start - pool < v->heap->blocks.step_bytes;
}

/* Whether pools of ours say that they are the arena's: else what looks like its entry is none. */
static bool is_confirmed(const struct ph_verifier *v, const struct ph_pymalloc_arena *arena,
                         ph_addr first)
{
    uint32_t step = v->heap->blocks.step_bytes;
    struct ph_pool pool;
    for (ph_addr at = first; at + step <= arena->next_pool; at += step) {
        const struct ph_run *run = ph_blocks_find(&v->heap->blocks, at);
        if (run && ph_pool_read(v->python, run, step, &pool) && pool.arena_index == arena->index)
            return true;
    }
    return false;
}

/* Mark the pools on the arena's list of free ones. How many; -1 where a problem was reported. */
static int64_t count_free_pools(struct ph_verifier *v, const struct ph_pymalloc_arena *arena,
                                ph_addr first)
{
    uint32_t step = v->heap->blocks.step_bytes;
    int64_t count = 0;
    if (!ph_verify_clear(v, arena->total_count))
        return -1;
    for (ph_addr pool = arena->free_pools; pool; count++) {
        bool inside = pool >= first && pool < arena->next_pool && pool % step == 0;
        if (!inside || ph_verify_mark(v, (pool - first) / step)) {
            ph_report(v, arena->entry, PH_PROBLEM_ARENA, PH_PASSING,
                      "its list of free pools leads to 0x%" PRIx64 ", %s", pool,
                      inside ? "where it has been" : "which is none of them");
            return -1;
        }
        pool = ph_python_word(v->python, pool, v->python->layout.pool_header.nextpool);
    }
    return count;
}

/* Each pool that was ever handed out is in use, and then known, or on the list. How many are
 * neither. */
static uint32_t check_known(struct ph_verifier *v, const struct ph_pymalloc_arena *arena,
                            ph_addr first)
{
    uint32_t step = v->heap->blocks.step_bytes;
    uint32_t unknown = 0;
    for (ph_addr pool = first; pool + step <= arena->next_pool; pool += step) {
        bool listed = ph_verify_mark(v, (pool - first) / step);
        if (listed || is_known_pool(v, pool) || !ph_target_view(v->python->target, pool, step))
            continue;
        unknown++;
        ph_report(v, pool, PH_PROBLEM_POOL, PH_PASSING,
                  "it is in use, and its header makes no sense");
    }
    return unknown;
}

static void check_arena(struct ph_verifier *v, const struct ph_pymalloc_arena *arena)
{
    uint32_t step = v->heap->blocks.step_bytes;
    ph_addr first = (arena->start + step - 1) / step * step;
    if (arena->next_pool < first || (arena->next_pool - first) % step != 0 ||
        (arena->next_pool - first) / step > arena->total_count || !is_confirmed(v, arena, first))
        return;
    int64_t listed = count_free_pools(v, arena, first);
    if (listed < 0)
        return;
    uint32_t unknown = check_known(v, arena, first);
    uint64_t carved = (arena->next_pool - first) / step;
    uint64_t free_count = arena->total_count - carved + (uint64_t)listed;
    /* A pool is taken, from the list or behind the last, before that is counted and before its
     * header is written (Objects/obmalloc.c: allocate_from_new_pool): that is one moment, and was
     * reported. */
    bool is_taking = unknown == 1 && arena->free_count == free_count + 1;
    if (arena->free_count != free_count && !is_taking)
        ph_report(v, arena->entry, PH_PROBLEM_ARENA, off_by_one(arena->free_count, free_count),
                  "it counts %" PRIu32 " free pools, and has %" PRIu64, arena->free_count,
                  free_count);
}

static void check_arenas(struct ph_verifier *v)
{
    struct ph_arenas arenas;
    if (!ph_pymalloc_arenas(&arenas, &v->heap->blocks, v->heap->objects.python))
        v->failed = true;
    for (uint32_t i = 0; i < arenas.items.count && !v->failed; i++)
        check_arena(v, &arenas.items.items[i]);
    ph_arenas_free(&arenas);
}

void ph_verify_pools(struct ph_verifier *v)
{
    const struct ph_blocks *blocks = &v->heap->blocks;
    for (uint32_t i = 0; i < blocks->runs.count; i++) {
        if (i % POOLS_A_LOOK == 0 && ph_verify_interrupted(v))
            return;
        if (!blocks->are_mimalloc)
            check_pool(v, &blocks->runs.items[i]);
        else if (blocks->runs.items[i].damaged)
            ph_report(v, blocks->runs.items[i].start, PH_PROBLEM_POOL, PH_PASSING,
                      "the free lists of the page contradict its count of used blocks");
    }
    check_arenas(v);
}
