#include "graph/edges.h"

#include "base/ahead.h"
#include "base/host.h"

enum { NODES_A_LOOK = 1 << 17 };

enum ph_status ph_edges_reverse(const struct ph_edges *edges, const struct ph_host *host,
                                struct ph_edges *out)
{
    uint32_t nodes = edges->node_count, count = edges->first[nodes];
    enum ph_status status = PH_NO_MEMORY;
    *out = (struct ph_edges){.node_count = nodes};
    out->first = ph_calloc((size_t)nodes + 2, sizeof *out->first);
    out->targets = ph_malloc(((size_t)count + 1) * sizeof *out->targets);
    if (!out->first || !out->targets)
        goto failed;
    out->targets[count] = 0; /* read ahead, and never used */
    /* Counting sort. Row n begins at next[n], which moves on to the beginning of row n + 1. */
    uint32_t *next = out->first + 1;
    for (uint32_t i = 0; i < count; i++) {
        if (i + PH_AHEAD < count)
            ph_fetch(&next[edges->targets[i + PH_AHEAD] + 1]);
        next[edges->targets[i] + 1]++;
    }
    for (uint32_t n = 0; n < nodes; n++)
        next[n + 1] += next[n];
    status = PH_INTERRUPTED;
    for (uint32_t n = 0; n < nodes; n++) {
        if (n % NODES_A_LOOK == 0 && ph_host_interrupted(host))
            goto failed;
        for (uint32_t i = edges->first[n]; i < edges->first[n + 1]; i++) {
            if (i + 2 * PH_AHEAD < count) {
                ph_fetch(&next[edges->targets[i + 2 * PH_AHEAD]]);
                ph_fetch(&out->targets[next[edges->targets[i + PH_AHEAD]]]);
            }
            out->targets[next[edges->targets[i]]++] = n;
        }
    }
    return PH_OK;
failed:
    ph_edges_free(out);
    return status;
}

enum ph_status ph_edges_reach(const struct ph_edges *edges, struct ph_nodes *pending,
                              uint8_t *marks, uint8_t from, uint8_t to, const struct ph_host *host)
{
    uint32_t handled = 0;
    while (pending->count) {
        uint32_t node = pending->items[--pending->count];
        if (pending->count >= 2)
            ph_fetch(&edges->targets[edges->first[pending->items[pending->count - 2]]]);
        if (++handled % NODES_A_LOOK == 0 && ph_host_interrupted(host))
            return PH_INTERRUPTED;
        for (uint32_t i = edges->first[node]; i < edges->first[node + 1]; i++) {
            uint32_t target = edges->targets[i];
            if (marks[target] != from)
                continue;
            marks[target] = to;
            ph_fetch(&edges->first[target]);
            if (!ph_array_push(pending, target))
                return PH_NO_MEMORY;
        }
    }
    return PH_OK;
}

void ph_edges_free(struct ph_edges *edges)
{
    free(edges->first);
    free(edges->targets);
    *edges = (struct ph_edges){0};
}
