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
    /* Show how far long work has come; percent 0 to 100; phase NULL clears the line. */
    void (*progress)(void *ctx, const char *phase, unsigned percent);
};

/* Whether to stop; a host that is NULL or cannot tell never asks for it. */
static inline bool ph_host_interrupted(const struct ph_host *host)
{
    return host && host->interrupted && host->interrupted(host->ctx);
}

#endif
