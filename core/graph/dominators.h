/*
 * Dominators: node d dominates node n where every way from the root to n goes through d. The
 * nearest one is n's immediate dominator, and what d dominates is what would be freed with it.
 */
#ifndef PH_GRAPH_DOMINATORS_H
#define PH_GRAPH_DOMINATORS_H

#include "graph/edges.h"

struct ph_host;

/* The dominator tree. A node's place is where it stands in `order`: all that it dominates comes
 * right behind it, so that a row of places is a part of the tree, and who looks at all of it goes
 * from one end to the other. */
struct ph_dominators {
    uint32_t reached; /* nodes that the root reaches, itself included: so many places */
    uint32_t *order;  /* by place: the node */
    uint32_t *size;   /* by place: how many the node there dominates, itself included */
    uint32_t *above;  /* by place: that of its immediate dominator; PH_NO_NODE for the root */
};

enum { PH_ROOT_PLACE = 0 };

/* The place behind all that the node in a place dominates. What it dominates immediately is in
 * place + 1, and then each time behind that one, up to there. */
static inline uint32_t ph_dominators_behind(const struct ph_dominators *d, uint32_t place)
{
    return place + d->size[place];
}
/* The place of a node that is reached. Linear. */
uint32_t ph_dominators_place(const struct ph_dominators *dominators, uint32_t node);

/* The dominators of what a node, the root, reaches: Semi-NCA (Georgiadis, 2005), without recursion;
 * in practice linear. PH_INTERRUPTED where the host asks to stop, PH_NO_MEMORY; *out is then empty.
 */
enum ph_status ph_dominators_find(const struct ph_edges *edges, uint32_t root,
                                  const struct ph_host *host,
                                  struct ph_dominators *out) PH_MUST_USE;
void ph_dominators_free(struct ph_dominators *dominators); /* zeroed is fine */

#endif
