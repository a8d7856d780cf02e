/*
 * Is the heap sound? What CPython keeps in two places is held against each other: links of the
 * collector's lists in both directions, reference counts and the references found, types, free
 * lists of pools, the counts and indices of dicts and sets, the lengths of lists and tuples.
 *
 * A sound heap has no problem, whatever moment it was stopped at. While a collection runs, links
 * back and flags of GC headers are in use for something else and not looked at. While threads are
 * attached (attached.h), each may be in the middle of one change: what such a change leaves
 * unsound for a few instructions is `passing` and no problem, unless there is more of it than
 * threads. Reference counts are held only against references that are sure to own one:
 * no guesses, no borrowed stack slots, no fields of the interpreter's own state.
 *
 * In: a snapshot. Out: problems with a sentence each. Not here: text for users.
 */
#ifndef PH_ANALYSIS_VERIFY_H
#define PH_ANALYSIS_VERIFY_H

#include "base/arena.h"
#include "heap/heap.h"

enum ph_problem_kind {
    PH_PROBLEM_GC_LINK,   /* a collector's list that is not linked both ways */
    PH_PROBLEM_GC_FLAGS,  /* a GC header that says what only a collection in progress may say */
    PH_PROBLEM_TYPE,      /* an object whose type is none, or a type whose sizes cannot be */
    PH_PROBLEM_REFCOUNT,  /* a count below the references found */
    PH_PROBLEM_REFERENCE, /* a reference to a freed block, unmapped memory or no object */
    PH_PROBLEM_POOL,      /* a pool whose free list contradicts its header */
    PH_PROBLEM_ARENA,     /* an arena whose counts contradict its pools */
    PH_PROBLEM_DICT,
    PH_PROBLEM_SET,
    PH_PROBLEM_LIST,
    PH_PROBLEM_TUPLE,
};

struct ph_problem {
    ph_addr address; /* of the object, pool, block or arena_object that is wrong; of the holder, for
                        a reference */
    enum ph_problem_kind kind;
    const char *detail; /* a sentence without full stop; visible text, owned by the verification */
    bool passing;       /* such as a change in progress may leave it */
};
struct ph_problems PH_ARRAY_BODY(struct ph_problem);

struct ph_verification {
    struct ph_problems problems; /* by address and kind, one of each; the first MOST_PROBLEMS */
    uint64_t problem_count;      /* of all */
    struct ph_problems passing;  /* no problems: what threads that run may be changing just now */
    uint32_t attached_count;     /* threads that run */
    /* What was checked. */
    uint64_t object_count, list_count, pool_count;
    struct ph_arena text; /* private */
};

/* The kind's word in documents: "gc-link", "refcount". */
const char *ph_problem_kind_name(enum ph_problem_kind kind);

/* Check all. Release *out with ph_verification_free(). Two passes over the objects, one over the
 * blocks of pools; 4 bytes an object. */
enum ph_status ph_verify(struct ph_heap *heap, const struct ph_host *host,
                         struct ph_verification *out, struct ph_error *err) PH_MUST_USE;
void ph_verification_free(struct ph_verification *verification);

#endif
