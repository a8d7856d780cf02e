/*
 * A snapshot kept in a file, so that two stops, processes or cores can be compared. The format is
 * described, byte by byte, in docs/SNAPSHOT.md.
 *
 * Writing streams: beside the heap it takes one chunk of objects, and what traces (trace.h) and
 * holders (owners.h) take. Reading streams too: the tables of types, sites and holders are kept,
 * and the objects come one by one, by ascending address. Nothing of a file is believed: each
 * section has a checksum, each number is bounded, and no text gets out that was not made visible.
 */
#ifndef PH_ANALYSIS_SNAPSHOT_H
#define PH_ANALYSIS_SNAPSHOT_H

#include "analysis/owners.h"
#include "analysis/trace.h"

#include <stdio.h>

#define PH_NO_PLACE UINT32_MAX /* no site, no holder */

/* Of which process, and when. */
struct ph_saved_process {
    enum ph_target_kind kind;
    pid_t pid;           /* 0 where unknown */
    const char *path;    /* of the executable, or of the core; "" where unknown */
    const char *version; /* of Python: "3.11.7" */
    unsigned build;      /* enum ph_build */
    bool untested;       /* as in struct ph_python */
    int64_t saved_at;    /* seconds since 1970, UTC */
    uint64_t start_time; /* of the process, in clock ticks since boot; 0: a core's is unknown */
    ph_addr anchor;      /* of the interpreter */
    ph_addr interpreter; /* of the state of the first one */
    bool has_sites;      /* tracemalloc was on */
    bool has_holders;    /* they were kept */
    uint64_t object_count;
};

struct ph_saved_type {
    ph_addr address;
    const char *name;
};

/* What lies in the traced blocks of a site: as struct ph_trace_sum. */
struct ph_saved_sum {
    uint32_t site;
    enum ph_trace_content content;
    uint32_t type; /* of what is not raw memory */
    uint64_t count, bytes;
};

struct ph_saved_site {
    const char *file;
    uint32_t line;
};

struct ph_saved_object {
    ph_addr address;
    uint32_t type;  /* index into types */
    uint64_t bytes; /* sys.getsizeof */
    uint64_t allocated;
    uint32_t identity;     /* of its value, where that cannot change; 0: it tells nothing */
    uint32_t site, holder; /* index, or PH_NO_PLACE */
};

/* ---- writing ---- */

/* Write the heap to out, which is at its beginning; a failed write is the caller's to find
 * (ferror(), fclose()). graph: NULL where no holders are to be kept; else it is measured, and of
 * this heap. */
enum ph_status ph_snapshot_write(struct ph_heap *heap, struct ph_graph *graph, int64_t now,
                                 const struct ph_host *host, FILE *out,
                                 struct ph_error *err) PH_MUST_USE;

/* ---- reading ---- */

struct ph_saved_names PH_ARRAY_BODY(const char *);

struct ph_saved {
    struct ph_saved_process process;
    PH_ARRAY(struct ph_saved_type) types;
    PH_ARRAY(struct ph_saved_site) sites;
    PH_ARRAY(struct ph_saved_sum) sums; /* those of each site together */
    struct ph_saved_names holders;

    /* Private. */
    struct ph_saved_names files;
    FILE *file;
    const char *name; /* for error lines */
    uint64_t bytes_left;
    struct ph_arena arena;
    uint8_t *chunk;
    const uint8_t *at, *end;
    uint64_t chunk_left, objects_seen;
    ph_addr chunk_base, last;
    unsigned tables; /* one past the last that was read */
    bool finished;
};

/* Read all but the objects. file is borrowed, and stands at its beginning; name is for error lines
 * and copied. PH_BAD_DATA with one line where it is no snapshot, cut short, damaged or newer than
 * what is known here. Freed by the caller, also after a failure. */
enum ph_status ph_saved_open(FILE *file, const char *name, struct ph_saved *out,
                             struct ph_error *err) PH_MUST_USE;
/* The next object by address; *more is false at the end. */
enum ph_status ph_saved_next(struct ph_saved *saved, struct ph_saved_object *out, bool *more,
                             struct ph_error *err) PH_MUST_USE;
void ph_saved_free(struct ph_saved *saved);

/* Whether both are of one process, so that an address stands for the same memory in both: the same
 * id, start and places of the interpreter, as far as both know them. */
bool ph_saved_same_process(const struct ph_saved_process *a, const struct ph_saved_process *b);

#endif
