/*
 * The graph of a snapshot: the strong references between objects, the roots above them, and who is
 * held by something that is no object.
 *
 * Nodes are the ids of the heap's objects; one more, ph_graph.root, stands above all roots. A
 * reference is an edge if it keeps its target alive: weak and borrowed ones are none, nor are those
 * of the dict of interned strings. Leftovers on a running frame's stack, and words in the data of
 * programs and libraries, are references only where a reference count is not explained without
 * them.
 *
 * In: a struct ph_heap. Not here: names, words, what a command asks.
 */
#ifndef PH_GRAPH_GRAPH_H
#define PH_GRAPH_GRAPH_H

#include "graph/dominators.h"
#include "heap/heap.h"

/* Why an object is alive though no object may hold it. */
enum ph_rooted {
    PH_ROOTED_NAMED = 1,    /* by a frame, a field of a state, or a variable */
    PH_ROOTED_STATIC = 2,   /* it lies in a program's or a library's data, where nothing dies */
    PH_ROOTED_IMMORTAL = 4, /* nobody counts its references */
    PH_ROOTED_NATIVE = 8,   /* its reference count shows more references than were found */
    PH_ROOTED_GARBAGE = 16, /* nothing alive reaches it: it is part of a cycle that waits for the
                               collector, and hangs below the root so that it has a place */
};

/* What reaches an object from the roots. */
enum ph_alive {
    PH_ALIVE_NOT,   /* nothing: only garbage, if anything, leads to it */
    PH_ALIVE_SEEN,  /* a root that is known: named, static or immortal */
    PH_ALIVE_NATIVE /* only what native code holds, for all that was found */
};

/* A reference of a frame, a state or a variable to an object. */
struct ph_root_reference {
    uint32_t target;
    unsigned flags; /* enum ph_ref_flags */
    struct ph_label label;
    struct ph_root root;
};

/* References that an object's count shows and that were not found. */
struct ph_native {
    uint32_t id;
    uint64_t references;
};

struct ph_graph {
    struct ph_heap *heap; /* borrowed */
    uint32_t root;        /* the node above all roots; equals heap->count */
    struct ph_edges out;  /* edges, each object's in its own order; the root's row is the last */
    struct ph_edges in;   /* after ph_graph_reverse(): those of objects, the other way round */
    PH_ARRAY(struct ph_root_reference) roots; /* by target, ascending */
    uint8_t *states;                    /* by object: see ph_graph_rooted() and ph_graph_alive() */
    PH_ARRAY(struct ph_native) natives; /* by id, ascending */

    /* After ph_graph_measure(). */
    struct ph_dominators dominators; /* of all nodes; its sizes: how many objects would go */
    uint32_t *retained;              /* by place in the dominators: see ph_graph_retained() */
    struct ph_map vast;              /* place + 1 -> index in vast_retained */
    PH_ARRAY(uint64_t) vast_retained;
};

enum {
    PH_ROOTED_BITS = 31,
    PH_ALIVE_SHIFT = 5,
};

/* enum ph_rooted of object id; 0: it is held by objects alone. */
static inline unsigned ph_graph_rooted(const struct ph_graph *graph, uint32_t id)
{
    return graph->states[id] & PH_ROOTED_BITS;
}

static inline enum ph_alive ph_graph_alive(const struct ph_graph *graph, uint32_t id)
{
    return (enum ph_alive)(graph->states[id] >> PH_ALIVE_SHIFT);
}

/* Private: kept where the bytes do not fit into 32 bits. */
#define PH_VAST UINT32_MAX
uint64_t ph_graph_vast(const struct ph_graph *graph, uint32_t place);
/* After ph_graph_measure(): the bytes of sys.getsizeof of what would go with the node in a place of
 * the dominators, its own included. */
static inline uint64_t ph_graph_retained(const struct ph_graph *graph, uint32_t place)
{
    return graph->retained[place] == PH_VAST ? ph_graph_vast(graph, place) : graph->retained[place];
}

/* Edges, roots and what counts leave unexplained. *out is owned by the caller; heap is borrowed.
 * host may be NULL. Linear in the references. */
enum ph_status ph_graph_build(struct ph_heap *heap, const struct ph_host *host,
                              struct ph_graph **out, struct ph_error *err) PH_MUST_USE;
void ph_graph_destroy(struct ph_graph *graph); /* NULL is fine */

/* The edges between objects the other way round, if they are not there yet. */
enum ph_status ph_graph_reverse(struct ph_graph *graph, const struct ph_host *host,
                                struct ph_error *err) PH_MUST_USE;
/* Dominators and retained sizes, if they are not there yet; and the edges the other way round. */
enum ph_status ph_graph_measure(struct ph_graph *graph, const struct ph_host *host,
                                struct ph_error *err) PH_MUST_USE;

/* The place in graph->roots where those of object id begin, if it has any. */
uint32_t ph_graph_first_root(const struct ph_graph *graph, uint32_t id);
/* The name of the first strong reference of `source` to `target`; false where there is none. */
bool ph_graph_label(const struct ph_graph *graph, uint32_t source, uint32_t target,
                    struct ph_label *label);

#endif
