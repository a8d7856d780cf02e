/*
 * Dominators of a real heap against a search: what nothing reaches from the roots once an object is
 * taken away must be what the object is said to retain.
 *
 * usage: graph-check PID COUNT    "ok N" for N objects, or a line for each that is wrong
 */
#include "command/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct search {
    const struct ph_graph *graph;
    uint8_t *seen;
    uint32_t *pending;
};

/* What the root does not reach without `without`, itself included: objects and bytes. */
static void measure(struct search *s, uint32_t without, uint64_t *objects, uint64_t *bytes)
{
    const struct ph_edges *out = &s->graph->out;
    uint32_t count = 0;
    memset(s->seen, 0, out->node_count);
    s->seen[s->graph->root] = 1;
    s->pending[count++] = s->graph->root;
    while (count) {
        uint32_t node = s->pending[--count];
        for (uint32_t i = out->first[node]; i < out->first[node + 1]; i++) {
            uint32_t target = out->targets[i];
            if (target != without && !s->seen[target]) {
                s->seen[target] = 1;
                s->pending[count++] = target;
            }
        }
    }
    *objects = *bytes = 0;
    for (uint32_t id = 0; id < s->graph->root; id++) {
        if (!s->seen[id]) {
            (*objects)++;
            *bytes += ph_heap_sizeof(s->graph->heap, id);
        }
    }
}

/* The places of some objects: half of those that retain much, half from anywhere. */
static uint32_t choose(const struct ph_graph *graph, uint32_t i)
{
    uint32_t from = (uint32_t)(((uint64_t)i * 2654435761u) % graph->root);
    for (uint32_t n = 0; i % 2 && n < graph->root; n++) {
        uint32_t place = 1 + (from + n) % graph->root;
        if (graph->dominators.size[place] > 10)
            return place;
    }
    return 1 + from;
}

static int check(struct ph_graph *graph, uint32_t count)
{
    struct search s = {graph, malloc(graph->out.node_count + 1u),
                       malloc((graph->out.node_count + 1u) * sizeof(uint32_t))};
    const struct ph_dominators *tree = &graph->dominators;
    uint32_t wrong = tree->reached != graph->out.node_count;
    if (wrong)
        printf("%" PRIu32 " of %" PRIu32 " nodes are reached\n", tree->reached,
               graph->out.node_count);
    for (uint32_t i = 0; i < count && !wrong; i++) {
        uint64_t objects, bytes;
        uint32_t place = choose(graph, i), id = tree->order[place];
        measure(&s, id, &objects, &bytes);
        if (objects == tree->size[place] && bytes == ph_graph_retained(graph, place))
            continue;
        printf("0x%" PRIx64 " %s: retained %" PRIu64 " in %" PRIu32 ", by search %" PRIu64
               " in %" PRIu64 "\n",
               ph_heap_address(graph->heap, id), ph_heap_type(graph->heap, id)->name,
               ph_graph_retained(graph, place), tree->size[place], bytes, objects);
        wrong++;
    }
    if (!wrong)
        printf("ok %" PRIu32 "\n", count);
    free(s.seen);
    free(s.pending);
    return wrong != 0;
}

int main(int argc, char **argv)
{
    const struct ph_host host = {0};
    struct ph_error err = {0};
    struct ph_graph *graph;
    struct ph_session *session = ph_session_create(&host);
    if (argc != 3 || !session)
        return 2;
    ph_session_use_pid(session, (pid_t)atoi(argv[1]));
    int status = 1;
    if (ph_session_graph(session, true, &graph, &err))
        printf("%s\n", err.message);
    else
        status = check(graph, (uint32_t)atoi(argv[2]));
    ph_session_destroy(session);
    return status;
}
