/* What the files of verify share. */
#ifndef PH_ANALYSIS_VERIFY_INTERNAL_H
#define PH_ANALYSIS_VERIFY_INTERNAL_H

#include "analysis/verify.h"
#include "graph/edges.h"

/* A list or tuple with an item that is NULL: a problem unless it is being filled. */
struct ph_unfilled {
    uint32_t id;
    enum ph_problem_kind kind;
    uint64_t first; /* the item */
    bool is_tail;   /* all items from there on are NULL */
};

struct ph_unfilled_items PH_ARRAY_BODY(struct ph_unfilled);

/* What was reported. */
struct ph_reports {
    struct ph_verification *out;
    struct ph_map keys;     /* address and kind, see ph_report() */
    uint64_t passing_count; /* of out->problems */
    bool failed;            /* out of memory */
};

/* What several workers share, and what each of them has of its own: a copy of all of it, in which
 * what is found and scratch are its own. */
struct ph_verifier {
    struct ph_heap *heap;
    const struct ph_python *python;
    const struct ph_host *host; /* NULL for workers */
    struct ph_reports *reports;
    struct ph_map busy;    /* objects that the innermost functions of running threads work on */
    uint32_t *found;       /* by object: references that own a count */
    struct ph_nodes owned; /* objects that such references were seen to, not counted yet */
    struct ph_unfilled_items unfilled;
    PH_ARRAY(uint8_t) marks; /* scratch: bits */
    struct ph_str text;      /* scratch */
    bool at_rest;            /* no thread is attached */
    bool failed;             /* out of memory */
    bool interrupted;
    /* The object whose references are visited. */
    uint32_t source;
    bool source_counts; /* its references own counts, as far as they themselves say so */
    ph_addr uncounted;  /* what it refers to without owning a count */
    ph_addr interned;   /* a key whose dict does not count it, though the value before it was it */
};

/* A change in progress may leave it so. */
enum { PH_LASTING = false, PH_PASSING = true };

/* Note a problem; the first of its kind at an address counts. A worker notes none but misses it
 * (ph_target_miss()): what it worked on is then done again by one. */
void ph_report(struct ph_verifier *v, ph_addr address, enum ph_problem_kind kind, bool passing,
               const char *format, ...) PH_PRINTF(5, 6);

/* An object is said to be at this address, and the snapshot has none there. Where it is plainly the
 * object's own fault (its type, its count), that is reported, and true returned; `surely`: it is
 * known by more than one reference. */
bool ph_verify_missing(struct ph_verifier *v, ph_addr address, bool surely);

/* Check each object, by several workers where there are many. NULL: it is short, and not shown. */
void ph_verify_objects(struct ph_verifier *v, const char *phase,
                       void (*check)(struct ph_verifier *v, uint32_t id));

/* verify_lists.c, verify_pools.c: all of them. */
void ph_verify_gc_lists(struct ph_verifier *v);
void ph_verify_pools(struct ph_verifier *v);
/* verify_tables.c, verify_items.c: one object of the family. False where its references cannot be
 * followed. */
bool ph_verify_dict(struct ph_verifier *v, const struct ph_object *o);
bool ph_verify_set(struct ph_verifier *v, const struct ph_object *o);
bool ph_verify_list(struct ph_verifier *v, uint32_t id, const struct ph_object *o);
bool ph_verify_tuple(struct ph_verifier *v, uint32_t id, const struct ph_object *o);
/* The table of attribute names that the instances of a type share. */
void ph_verify_shared_keys(struct ph_verifier *v, const struct ph_object *type);
/* Once all references are counted: the lists and tuples with NULL in them. */
void ph_verify_unfilled(struct ph_verifier *v);
/* verify_references.c: the references of an object, and those of all roots. */
void ph_verify_references(struct ph_verifier *v, uint32_t id, const struct ph_object *o);
void ph_verify_roots(struct ph_verifier *v);
/* Once all references are found. */
void ph_verify_counts(struct ph_verifier *v);

/* Ask the host. Once it said yes, all that is found is of no use. */
static inline bool ph_verify_interrupted(struct ph_verifier *v)
{
    v->interrupted = v->interrupted || ph_host_interrupted(v->host);
    return v->interrupted;
}

/* Whether a mark was there; it is then. Bits from 0 on, below what ph_verify_clear() was told. */
bool ph_verify_clear(struct ph_verifier *v, uint64_t count);
static inline bool ph_verify_mark(struct ph_verifier *v, uint64_t i)
{
    uint8_t bit = (uint8_t)(1 << (i & 7)), *byte = &v->marks.items[i >> 3];
    bool was = *byte & bit;
    *byte |= bit;
    return was;
}

#endif
