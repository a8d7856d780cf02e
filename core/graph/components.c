#include "graph/components.h"

#include "base/host.h"

enum { NODES_A_LOOK = 1 << 16 };

struct search {
    const struct ph_edges *edges;
    const uint8_t *marks;
    const struct ph_host *host;
    uint32_t *number; /* order in which nodes were seen, from 1; 0: not seen */
    uint32_t *low;    /* the least number known to be reached and open */
    uint32_t *next;   /* place of the edge to follow next */
    uint32_t *way;    /* the nodes from where the search began to where it is */
    uint32_t *open;   /* nodes seen whose component is not known yet */
    uint32_t seen, way_length, open_count;
    struct ph_components *out;
};

/* Most nodes may not be in the part: what is theirs is not touched, and so no memory. */
static bool allocate(struct search *s)
{
    size_t nodes = (size_t)s->edges->node_count + 1;
    uint32_t **const arrays[] = {&s->low, &s->next, &s->way, &s->open, &s->out->of};
    s->number = ph_calloc(nodes, sizeof *s->number);
    bool ok = s->number;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = ph_malloc(nodes * sizeof(uint32_t));
        ok = ok && *arrays[i];
    }
    return ok;
}

static void enter(struct search *s, uint32_t node)
{
    s->number[node] = s->low[node] = ++s->seen;
    s->out->of[node] = PH_NO_NODE;
    s->next[node] = s->edges->first[node];
    s->way[s->way_length++] = node;
    s->open[s->open_count++] = node;
}

/* All edges of the node at the end of the way were followed. */
static void leave(struct search *s)
{
    uint32_t node = s->way[--s->way_length];
    if (s->low[node] == s->number[node]) {
        uint32_t member;
        do {
            member = s->open[--s->open_count];
            s->out->of[member] = s->out->count;
        } while (member != node);
        s->out->count++;
    }
    if (s->way_length) {
        uint32_t above = s->way[s->way_length - 1];
        if (s->low[node] < s->low[above])
            s->low[above] = s->low[node];
    }
}

/* False: interrupted. */
static bool follow_from(struct search *s, uint32_t start)
{
    enter(s, start);
    while (s->way_length) {
        uint32_t node = s->way[s->way_length - 1];
        if (s->next[node] == s->edges->first[node + 1]) {
            leave(s);
            continue;
        }
        uint32_t target = s->edges->targets[s->next[node]++];
        if (!s->marks[target])
            continue;
        if (!s->number[target]) {
            enter(s, target);
            if (s->seen % NODES_A_LOOK == 0 && ph_host_interrupted(s->host))
                return false;
        } else if (s->out->of[target] == PH_NO_NODE && s->number[target] < s->low[node]) {
            s->low[node] = s->number[target];
        }
    }
    return true;
}

enum ph_status ph_components_find(const struct ph_edges *edges, const uint8_t *marks,
                                  const struct ph_host *host, struct ph_components *out)
{
    struct search s = {.edges = edges, .marks = marks, .host = host, .out = out};
    *out = (struct ph_components){0};
    enum ph_status status = allocate(&s) ? PH_OK : PH_NO_MEMORY;
    if (!status) {
        for (uint32_t n = 0; n < edges->node_count && !status; n++) {
            if (marks[n] && !s.number[n] && !follow_from(&s, n))
                status = PH_INTERRUPTED;
        }
    }
    free(s.number);
    free(s.low);
    free(s.next);
    free(s.way);
    free(s.open);
    if (status)
        ph_components_free(out);
    return status;
}

void ph_components_free(struct ph_components *components)
{
    free(components->of);
    *components = (struct ph_components){0};
}
