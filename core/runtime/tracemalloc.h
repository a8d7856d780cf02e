/*
 * tracemalloc's state (Modules/_tracemalloc.c; from 3.13 on Python/tracemalloc.c): its tables of
 * traced blocks and of the places that allocated them.
 *
 * From 3.12 on it lies in _PyRuntime. To 3.11 it is static variables, of which only
 * _Py_tracemalloc_config (3.8 to 3.11) has a symbol that survives `strip`. The tables are found by
 * what they hold: a word of the interpreter's data that leads to a hash table whose every sampled
 * entry is what that table has.
 */
#ifndef PH_RUNTIME_TRACEMALLOC_H
#define PH_RUNTIME_TRACEMALLOC_H

#include "runtime/hashtable.h"

struct ph_tracemalloc {
    bool exists;         /* false: this version has no tracemalloc */
    bool tracing;        /* false: it is off, and has no traces */
    bool certain;        /* false: nothing but the absence of its tables says that it is off */
    bool incomplete;     /* it traces, and a table of traces is damaged or, to 3.11, not found */
    uint32_t max_frames; /* kept of each traceback; 0: unknown */
    bool has_totals;     /* whether the next two are known: from 3.12 on */
    uint64_t traced_bytes, peak_bytes; /* tracemalloc.get_traced_memory() */
    /* Absent tables have the address 0. */
    struct ph_hashtable traces;     /* of domain 0; to 3.8 of all domains */
    struct ph_hashtable domains;    /* from 3.9 on: domain -> table of traces */
    struct ph_hashtable tracebacks; /* each traceback once */
    struct ph_hashtable filenames;  /* each file name once */
};

/* Where the block of a traced size was allocated. */
struct ph_trace_place {
    ph_addr frames;        /* the innermost first, each of layout.trace_frame.size */
    uint32_t frame_count;  /* kept, at least 1 */
    uint32_t total_frames; /* that there were; 0: unknown, to 3.8 */
};

void ph_tracemalloc_find(const struct ph_python *python, struct ph_tracemalloc *out);

/* The size and the traceback of a trace_t; false where it cannot be one. */
bool ph_tracemalloc_trace(const struct ph_python *python, ph_addr trace, uint64_t *bytes,
                          ph_addr *traceback);
/* A traceback_t taken apart; false where it cannot be one. All its frames can be read. */
bool ph_tracemalloc_place(const struct ph_python *python, ph_addr traceback,
                          struct ph_trace_place *out);
/* The file name, as the version keeps them (trait trace_filename), and line of a place's frame i.
 */
ph_addr ph_tracemalloc_frame(const struct ph_python *python, const struct ph_trace_place *place,
                             uint32_t i, uint32_t *line);

#endif
