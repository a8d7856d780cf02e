/* Strongly connected components: sets of nodes that all reach each other. */
#ifndef PH_GRAPH_COMPONENTS_H
#define PH_GRAPH_COMPONENTS_H

#include "graph/edges.h"

#include <stddef.h>

/* The components of the part of a graph whose nodes are marked. Components are numbered so that an
 * edge between two of them leads from the higher number to the lower. */
struct ph_components {
    uint32_t count;
    uint32_t *of; /* by node; only of nodes in the part */
};

/* marks has a byte a node, not 0 where the node is in the part. Tarjan's algorithm, without
 * recursion; linear. Where it fails, *out is empty. */
enum ph_status ph_components_find(const struct ph_edges *edges, const uint8_t *marks,
                                  const struct ph_host *host,
                                  struct ph_components *out) PH_MUST_USE;
void ph_components_free(struct ph_components *components); /* zeroed is fine */

#endif
