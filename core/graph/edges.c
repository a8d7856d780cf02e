#include "graph/edges.h"

#include "base/array.h"

bool ph_edges_reverse(const struct ph_edges *edges, struct ph_edges *out)
{
    uint32_t nodes = edges->node_count, count = edges->first[nodes];
    *out = (struct ph_edges){.node_count = nodes};
    out->first = ph_calloc((size_t)nodes + 2, sizeof *out->first);
    out->targets = ph_malloc(((size_t)count + 1) * sizeof *out->targets);
    if (!out->first || !out->targets) {
        ph_edges_free(out);
        return false;
    }
    /* Counting sort. Row n begins at next[n], which moves on to the beginning of row n + 1. */
    uint32_t *next = out->first + 1;
    for (uint32_t i = 0; i < count; i++)
        next[edges->targets[i] + 1]++;
    for (uint32_t n = 0; n < nodes; n++)
        next[n + 1] += next[n];
    for (uint32_t n = 0; n < nodes; n++) {
        for (uint32_t i = edges->first[n]; i < edges->first[n + 1]; i++)
            out->targets[next[edges->targets[i]]++] = n;
    }
    return true;
}

void ph_edges_free(struct ph_edges *edges)
{
    free(edges->first);
    free(edges->targets);
    *edges = (struct ph_edges){0};
}
