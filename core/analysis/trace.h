/*
 * What tracemalloc knows of the heap: each traced block with its size and the place that allocated
 * it, what Python object lies in it, and all of that added up by place.
 *
 * In: a snapshot, and tracemalloc's tables (runtime/tracemalloc.h). The sums by place are those of
 * tracemalloc.take_snapshot().statistics(), to the byte and the count.
 */
#ifndef PH_ANALYSIS_TRACE_H
#define PH_ANALYSIS_TRACE_H

#include "heap/heap.h"
#include "runtime/tracemalloc.h"

/* What lies in a block: an object, a buffer that belongs to one, or nothing that is known. */
enum ph_trace_content { PH_TRACE_RAW, PH_TRACE_OBJECT, PH_TRACE_BUFFER };

struct ph_trace_block {
    ph_addr address;    /* of the block as the allocator gave it: before an object's GC header */
    uint64_t bytes;     /* that were asked for */
    uint32_t domain;    /* 0 is Python's own; extension modules number theirs */
    uint32_t traceback; /* index into tracebacks */
    uint32_t type; /* id of the object's type, or of the buffer's owner's; none for raw memory */
    enum ph_trace_content content;
};

struct ph_trace_frame {
    uint32_t file; /* index into files */
    uint32_t line;
};

struct ph_trace_traceback {
    uint32_t first_frame, frame_count; /* in frames; the innermost first */
    uint32_t total_frames;             /* that there were; 0: unknown, to 3.8 */
};

struct ph_traces {
    struct ph_heap *heap; /* borrowed */
    struct ph_tracemalloc source;
    PH_ARRAY(struct ph_trace_block) blocks; /* by ascending address */
    PH_ARRAY(struct ph_trace_traceback) tracebacks;
    PH_ARRAY(struct ph_trace_frame) frames;
    PH_ARRAY(const char *) files; /* visible text, in arena */
    struct ph_arena arena;
    struct ph_map traceback_ids, file_ids; /* by address, of what was read */
    uint64_t damaged;                      /* traces that could not be read */
};

/* Read all traces, and find out what lies in each block. Where tracemalloc is off, source.tracing
 * is false and there is nothing else. Linear in the traces and the objects, but for sorting.
 * Freed by the caller. */
enum ph_status ph_traces_read(struct ph_heap *heap, const struct ph_host *host,
                              struct ph_traces *out, struct ph_error *err) PH_MUST_USE;
void ph_traces_free(struct ph_traces *traces);

/* The block of Python's own domain that covers an address, or of any other; NULL where none does.
 */
const struct ph_trace_block *ph_traces_find(const struct ph_traces *traces, ph_addr address);

/* ---- by place ---- */

enum ph_trace_group { PH_TRACE_BY_LINE, PH_TRACE_BY_FILE, PH_TRACE_BY_TRACEBACK };

/* The order of sites: the most bytes or blocks first, or by file and line. */
enum ph_trace_order { PH_TRACE_ORDER_BYTES, PH_TRACE_ORDER_COUNT, PH_TRACE_ORDER_SITE };

/* What lies in blocks of one site. */
struct ph_trace_sum {
    uint32_t site;
    enum ph_trace_content content;
    uint32_t type; /* as in the block */
    uint64_t count, bytes;
};

struct ph_trace_site {
    uint32_t traceback; /* one of those that the site stands for, or the only one */
    uint64_t count, bytes;
    uint32_t first_sum, sum_count; /* in sums, the largest first */
};

struct ph_trace_domain {
    uint32_t domain;
    uint64_t count, bytes;
};

struct ph_trace_sites {
    PH_ARRAY(struct ph_trace_site) items; /* in the order asked for; equals by file and line */
    PH_ARRAY(struct ph_trace_sum) sums;
    PH_ARRAY(struct ph_trace_domain) domains; /* of all traces, ascending */
    uint64_t count, bytes;                    /* of the sites */
};

struct ph_trace_filter {
    bool one_domain;
    uint32_t domain;
    const char *type_glob; /* NULL: all; else objects of these types and their buffers */
};

enum ph_status ph_trace_sites_make(const struct ph_traces *traces, enum ph_trace_group group,
                                   enum ph_trace_order order, const struct ph_trace_filter *filter,
                                   struct ph_trace_sites *out, struct ph_error *err) PH_MUST_USE;
void ph_trace_sites_free(struct ph_trace_sites *sites);

/* The innermost frame of a traceback. */
static inline const struct ph_trace_frame *ph_trace_innermost(const struct ph_traces *traces,
                                                              uint32_t traceback)
{
    return &traces->frames.items[traces->tracebacks.items[traceback].first_frame];
}

/* ---- its own cost ---- */

struct ph_trace_cost {
    uint64_t reported;  /* tracemalloc.get_tracemalloc_memory(): the tables, without what they
                           point to */
    uint64_t allocated; /* what malloc holds for the tables, traces and tracebacks, with its
                           rounding; in none of the traces */
    uint64_t blocks;    /* how many blocks of malloc these are */
};

/* Call own() for each block of memory that tracemalloc has for its tables, traces and tracebacks;
 * *reported as above. */
typedef void (*ph_trace_own_fn)(void *ctx, ph_addr start, uint64_t bytes);
enum ph_status ph_trace_cost_visit(const struct ph_python *python,
                                   const struct ph_tracemalloc *tracemalloc,
                                   const struct ph_host *host, ph_trace_own_fn own, void *ctx,
                                   uint64_t *reported) PH_MUST_USE;
/* What tracemalloc's own tables take; all 0 where it is off. */
enum ph_status ph_trace_cost_measure(const struct ph_heap *heap,
                                     const struct ph_tracemalloc *tracemalloc,
                                     const struct ph_host *host, struct ph_trace_cost *out,
                                     struct ph_error *err) PH_MUST_USE;

#endif
