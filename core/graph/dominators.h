/*
 * Dominators: node d dominates node n where every way from the root to n goes through d. The
 * nearest one is n's immediate dominator, and what d dominates is what would be freed with it.
 */
#ifndef PH_GRAPH_DOMINATORS_H
#define PH_GRAPH_DOMINATORS_H

#include "graph/edges.h"

struct ph_host;

/* The dominator tree. */
struct ph_dominators {
    uint32_t reached;      /* nodes that the root reaches, itself included */
    uint32_t *order;       /* those nodes in preorder of a search: a node follows its dominators */
    uint32_t *immediate;   /* by node; PH_NO_NODE for the root and for what it does not reach */
    struct ph_edges below; /* the nodes that each dominates immediately, ascending */
};

/* `in` is `out` reversed. Semi-NCA (Georgiadis, 2005), without recursion; in practice linear.
 * PH_INTERRUPTED where the host asks to stop, PH_NO_MEMORY; *out is then empty. */
enum ph_status ph_dominators_find(const struct ph_edges *out_edges, const struct ph_edges *in_edges,
                                  uint32_t root, const struct ph_host *host,
                                  struct ph_dominators *out) PH_MUST_USE;
void ph_dominators_free(struct ph_dominators *dominators); /* zeroed is fine */

#endif
