/*
 * A directed graph in compressed rows: node n's edges lead to targets[first[n]] ...
 * targets[first[n + 1] - 1]. Nodes and edges are 32-bit numbers. Pure arrays: nothing here knows
 * what a node stands for.
 */
#ifndef PH_GRAPH_EDGES_H
#define PH_GRAPH_EDGES_H

#include "base/array.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct ph_host;

struct ph_edges {
    uint32_t node_count;
    uint32_t *first;   /* node_count + 1 places in targets */
    uint32_t *targets; /* first[node_count] of them */
};

/* No node, no place: ids and numbers are smaller. */
#define PH_NO_NODE UINT32_MAX

/* The same edges the other way round, each row in ascending order. Linear. */
enum ph_status ph_edges_reverse(const struct ph_edges *edges, const struct ph_host *host,
                                struct ph_edges *out) PH_MUST_USE;

struct ph_nodes PH_ARRAY_BODY(uint32_t);

/* All nodes with the mark `from` that the nodes of *pending lead to, over such nodes alone, get the
 * mark `to`; those of *pending have it already. *pending is empty afterwards. */
enum ph_status ph_edges_reach(const struct ph_edges *edges, struct ph_nodes *pending,
                              uint8_t *marks, uint8_t from, uint8_t to,
                              const struct ph_host *host) PH_MUST_USE;
void ph_edges_free(struct ph_edges *edges); /* zeroed is fine */

static inline uint32_t ph_edges_count(const struct ph_edges *edges, uint32_t node)
{
    return edges->first[node + 1] - edges->first[node];
}

#endif
