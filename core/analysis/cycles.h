/*
 * What the garbage collector would find unreachable if it ran now, by its own rule: of the objects
 * that it tracks, those whose counts are all explained by each other, and that nothing else leads
 * to (Modules/gcmodule.c: deduce_unreachable; from 3.13 on Python/gc.c).
 */
#ifndef PH_ANALYSIS_CYCLES_H
#define PH_ANALYSIS_CYCLES_H

#include "graph/graph.h"

/* Unreachable objects that all lead to each other. */
struct ph_cycle {
    uint32_t first, count; /* its members: ph_cycles.members[first] ... */
    uint64_t bytes;        /* of sys.getsizeof of them */
    uint32_t finalizers;   /* members with a __del__ */
    uint32_t weak;         /* members that weak references refer to */
};

struct ph_cycles {
    PH_ARRAY(struct ph_cycle) cycles; /* the largest first */
    uint32_t *members;                /* ids of all objects, those of a cycle side by side */
    uint32_t objects;          /* all that the collector would find, of cycles or held by them */
    uint64_t bytes;            /* of sys.getsizeof of those */
    uint32_t finalizers, weak; /* as in a cycle, of all of them */
    uint64_t uncollectable;    /* objects in gc.garbage */
    uint32_t native_objects;   /* tracked objects that only references of native code keep alive */
    uint64_t native_bytes;
};

enum ph_status ph_cycles_find(struct ph_graph *graph, const struct ph_host *host,
                              struct ph_cycles *out, struct ph_error *err) PH_MUST_USE;
void ph_cycles_free(struct ph_cycles *cycles);

#endif
