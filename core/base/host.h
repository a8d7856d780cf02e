/*
 * What a host (GDB, LLDB, the command line) lends to the core: a way to read memory, a way to be
 * told to stop, a place to show progress. Every member may be NULL. ctx is the host's own.
 */
#ifndef PH_BASE_HOST_H
#define PH_BASE_HOST_H

#include "base/error.h"

struct ph_host {
    void *ctx;
    /* Read len bytes at addr into buf; returns how many leading bytes were read. */
    size_t (*read)(void *ctx, ph_addr addr, void *buf, size_t len);
    /* Whether the user asked to stop (Ctrl-C). Called often; must be cheap. */
    bool (*interrupted)(void *ctx);
    /* Whether the process may have run since this was last asked, where the host's read is all that
     * reaches it. NULL: nothing tells. */
    bool (*has_run)(void *ctx);
    /* Where the host has found a file that is mapped into the target, by the target's path of it or
     * by where it is mapped: the name of a file here. False where it does not know, or size is
     * small. */
    bool (*local_path)(void *ctx, const char *path, ph_addr start, char *local, size_t size);
    /* Open a core file in a way of the host's own, such as unpacking a compressed one. *fd is the
     * caller's. NULL: as it lies. */
    enum ph_status (*open_core)(void *ctx, const char *path, int *fd, struct ph_error *err);
    /* Show how far long work has come; percent 0 to 100; phase NULL clears the line. */
    void (*progress)(void *ctx, const char *phase, unsigned percent);
};

/* Whether to stop; a host that is NULL or cannot tell never asks for it. */
static inline bool ph_host_interrupted(const struct ph_host *host)
{
    return host && host->interrupted && host->interrupted(host->ctx);
}

/* Show how far long work has come, where the host can; phase NULL clears the line. */
static inline void ph_host_progress(const struct ph_host *host, const char *phase, unsigned percent)
{
    if (host && host->progress)
        host->progress(host->ctx, phase, percent);
}

#endif
