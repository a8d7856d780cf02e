#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>

struct worker {
    pthread_t thread;
    bool runs;
    unsigned number;
    void (*work)(void *ctx, unsigned worker);
    void *ctx;
};

unsigned ph_worker_count(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    return count < 1 ? 1 : count > PH_MOST_WORKERS ? PH_MOST_WORKERS : (unsigned)count;
}

unsigned ph_workers_for(uint64_t count)
{
    enum { WORTH_SHARING = 1 << 14 };
    return count < WORTH_SHARING ? 1 : ph_worker_count();
}

static void *run(void *arg)
{
    const struct worker *w = arg;
    w->work(w->ctx, w->number);
    return NULL;
}

void ph_parallel(unsigned workers, void (*work)(void *ctx, unsigned worker), void *ctx)
{
    struct worker all[PH_MOST_WORKERS];
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    for (unsigned i = 1; i < workers; i++) {
        all[i] = (struct worker){.number = i, .work = work, .ctx = ctx};
        all[i].runs = pthread_create(&all[i].thread, NULL, run, &all[i]) == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    work(ctx, 0);
    for (unsigned i = 1; i < workers; i++) {
        if (all[i].runs)
            pthread_join(all[i].thread, NULL);
        else
            work(ctx, i);
    }
}
