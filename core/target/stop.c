#include "target/internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

/*
 * Stopping a process: every thread is seized and interrupted, in rounds, until no new thread shows
 * up. A thread that does not stop in time sits in an uninterruptible call in the kernel, where it
 * changes no heap, and is left there.
 */

enum { ROUND_WAIT_MS = 2000, POLL_US = 100 };

/* The state of a thread: the letter of /proc/PID/task/TID/status; 0 where it is gone. *traced: by
 * anybody. */
static char thread_state(pid_t pid, pid_t tid, bool *traced)
{
    struct ph_str status = {0};
    char letter = 0;
    *traced = false;
    if (ph_proc_read(&status, "/proc/%d/task/%d/status", (int)pid, (int)tid)) {
        const char *state = ph_proc_status(ph_str_text(&status), "State");
        const char *tracer = ph_proc_status(ph_str_text(&status), "TracerPid");
        letter = state ? *state : 0;
        *traced = tracer && strtol(tracer, NULL, 10) != 0;
    }
    ph_str_free(&status);
    return letter;
}

/* Whether somebody else keeps the process still: a tracer, or a stop signal. */
static bool is_held(pid_t pid, const struct ph_tids *tids)
{
    bool any_runs = false, traced;
    for (uint32_t i = 0; i < tids->list.count; i++) {
        char state = thread_state(pid, tids->list.items[i], &traced);
        if (traced)
            return true;
        any_runs = any_runs || !strchr("TtZX", state);
    }
    return !any_runs;
}

static const struct ph_stopped_thread *find_thread(const struct ph_stop *stop, pid_t tid)
{
    for (uint32_t i = 0; i < stop->threads.count; i++) {
        if (stop->threads.items[i].tid == tid)
            return &stop->threads.items[i];
    }
    return NULL;
}

/* Seize the threads that are not ours yet. Yields how many were new, -1 with errno where that is
 * forbidden. */
static int seize_new(struct ph_stop *stop, const struct ph_tids *tids)
{
    int seized = 0;
    for (uint32_t i = 0; i < tids->list.count; i++) {
        struct ph_stopped_thread thread = {.tid = tids->list.items[i]};
        if (find_thread(stop, thread.tid))
            continue;
        if (!ph_array_reserve_one(&stop->threads)) {
            errno = ENOMEM;
            return -1;
        }
        if (ptrace(PTRACE_SEIZE, thread.tid, NULL, NULL)) {
            /* ESRCH: ended meanwhile. EPERM for a zombie, such as a main thread that left before
             * the others. */
            if (errno == ESRCH || (errno == EPERM && stop->threads.count))
                continue;
            return -1;
        }
        stop->threads.items[stop->threads.count++] = thread;
        ptrace(PTRACE_INTERRUPT, thread.tid, NULL, NULL);
        seized++;
    }
    return seized;
}

static bool is_interrupted(const struct ph_host *host)
{
    return ph_host_interrupted(host);
}

/* Wait until a thread that was interrupted has stopped. Another stop may come first: if that is for
 * a signal, the signal is kept and given back at the end. */
static void await_stop(struct ph_stopped_thread *thread, const struct timespec *deadline)
{
    for (;;) {
        int status;
        pid_t got = waitpid(thread->tid, &status, __WALL | WNOHANG);
        if (got == thread->tid) {
            bool by_signal = WIFSTOPPED(status) && status >> 16 == 0;
            thread->signal = by_signal ? WSTOPSIG(status) : 0;
            return;
        }
        struct timespec now, pause = {.tv_nsec = POLL_US * 1000};
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (got < 0 || now.tv_sec > deadline->tv_sec ||
            (now.tv_sec == deadline->tv_sec && now.tv_nsec > deadline->tv_nsec))
            return;
        nanosleep(&pause, NULL);
    }
}

static enum ph_status stop_all(struct ph_stop *stop, pid_t pid, const struct ph_host *host,
                               struct ph_error *err)
{
    for (;;) {
        if (is_interrupted(host))
            return ph_fail(err, PH_INTERRUPTED, "interrupted");
        uint32_t before = stop->threads.count;
        struct ph_tids tids = {0};
        if (!ph_proc_tids(pid, &tids)) {
            ph_array_free(&tids.list);
            return ph_refused(pid, err);
        }
        if (!before && is_held(pid, &tids)) {
            ph_array_free(&tids.list);
            return PH_OK;
        }
        int seized = seize_new(stop, &tids);
        int error = errno;
        ph_array_free(&tids.list);
        if (seized < 0 && error == ENOMEM)
            return ph_fail(err, PH_NO_MEMORY, "out of memory");
        if (seized < 0)
            return ph_refused(pid, err);
        if (seized == 0)
            return PH_OK;
        struct timespec deadline;
        clock_gettime(CLOCK_MONOTONIC, &deadline);
        deadline.tv_sec += ROUND_WAIT_MS / 1000;
        for (uint32_t i = before; i < stop->threads.count; i++)
            await_stop(&stop->threads.items[i], &deadline);
    }
}

enum ph_status ph_stop_process(struct ph_stop *stop, pid_t pid, const struct ph_host *host,
                               struct ph_error *err)
{
    enum ph_status status = stop_all(stop, pid, host, err);
    if (status)
        ph_stop_end(stop);
    return status;
}

void ph_stop_end(struct ph_stop *stop)
{
    for (uint32_t i = 0; i < stop->threads.count; i++) {
        const struct ph_stopped_thread *thread = &stop->threads.items[i];
        ptrace(PTRACE_DETACH, thread->tid, NULL, (void *)(intptr_t)thread->signal);
    }
    ph_array_free(&stop->threads);
}

void ph_stop_registers(const struct ph_stop *stop, pid_t tid, ph_addr *sp, ph_addr *fs_base)
{
#ifdef __x86_64__
    struct user_regs_struct registers;
    if (find_thread(stop, tid) && ptrace(PTRACE_GETREGS, tid, NULL, &registers) == 0) {
        *sp = registers.rsp;
        *fs_base = registers.fs_base;
    }
#else
    (void)stop, (void)tid, (void)sp, (void)fs_base;
#endif
}
