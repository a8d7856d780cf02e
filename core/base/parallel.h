/*
 * Work on several processors at once.
 *
 *     static void count(void *ctx, unsigned worker) { ... take pieces until none is left ... }
 *     ph_parallel(ph_worker_count(), count, &job);
 *
 * Pieces are best handed out one by one (ph_pieces_next()), so that no worker waits for another. A
 * piece must be worked on alike whoever takes it, for there may be but one worker.
 */
#ifndef PH_BASE_PARALLEL_H
#define PH_BASE_PARALLEL_H

#include "base/host.h"

#include <stdbool.h>
#include <stdint.h>

enum { PH_MOST_WORKERS = 8 };

/* How many workers are of use here: the processors that this process may run on, but never more
 * than PH_MOST_WORKERS. */
unsigned ph_worker_count(void);
/* How many for so many objects: of few, one is as fast. */
unsigned ph_workers_for(uint64_t count);

/* Call work(ctx, 0) here and work(ctx, 1) to work(ctx, workers - 1) in threads, and come back when
 * all have. Where a thread cannot be had, its call is made here, after the others. Signals go to
 * the threads that were there before. */
void ph_parallel(unsigned workers, void (*work)(void *ctx, unsigned worker), void *ctx);

/* Numbers from 0 to `count`, handed out in pieces. */
struct ph_pieces {
    uint64_t next, count, piece;
    bool stopped; /* see ph_pieces_stop() */
};

/* Hand out no more, to whichever worker. */
static inline void ph_pieces_stop(struct ph_pieces *pieces)
{
    __atomic_store_n(&pieces->stopped, true, __ATOMIC_RELAXED);
}

/* A worker has done a piece: stop where the host asks for it. The first alone runs in the host's
 * own thread, and asks. */
static inline void ph_pieces_look(struct ph_pieces *pieces, unsigned worker,
                                  const struct ph_host *host)
{
    if (worker == 0 && ph_host_interrupted(host))
        ph_pieces_stop(pieces);
}

/* The next piece [*start, *end) that no worker has had; false where all is handed out, or none is
 * to be any more. */
static inline bool ph_pieces_next(struct ph_pieces *pieces, uint64_t *start, uint64_t *end)
{
    if (__atomic_load_n(&pieces->stopped, __ATOMIC_RELAXED))
        return false;
    *start = __atomic_fetch_add(&pieces->next, pieces->piece, __ATOMIC_RELAXED);
    *end = *start + pieces->piece < pieces->count ? *start + pieces->piece : pieces->count;
    return *start < pieces->count;
}

#endif
