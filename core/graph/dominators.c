#include "graph/dominators.h"

#include "base/array.h"
#include "base/host.h"

enum { NODES_A_LOOK = 1 << 16 };

/* A node with no edges and one that leads to it: it hangs below that one's source, and is not
 * searched for. In a heap most objects are such: text, numbers. */
#define HANGS (PH_NO_NODE - 1)

/* Nodes are known here by their numbers in preorder; the root's is 0. A graph may have many
 * millions of nodes, so what is no longer needed gives its memory to what comes. */
struct search {
    const struct ph_edges *out, *in;
    const struct ph_host *host;
    uint32_t root;
    uint32_t reached;
    uint32_t *order;     /* number -> node */
    uint32_t *number;    /* node -> number, HANGS, or PH_NO_NODE */
    uint32_t *parent;    /* in the tree of the search */
    uint32_t *ancestor;  /* the same, with ways shortened */
    uint32_t *semi;      /* semidominator */
    uint32_t *label;     /* of the way up to the ancestor, the node with the least semidominator */
    uint32_t *immediate; /* immediate dominator; in the place of the ancestors */
    uint32_t *stack;
};

/* Set apart the nodes that hang; and how many are left. */
static uint32_t set_apart(struct search *s)
{
    uint32_t left = 0;
    for (uint32_t node = 0; node < s->out->node_count; node++) {
        bool hangs = node != s->root && ph_edges_count(s->out, node) == 0 &&
                     ph_edges_count(s->in, node) == 1;
        s->number[node] = hangs ? HANGS : PH_NO_NODE;
        left += !hangs;
    }
    return left;
}

static bool allocate(struct search *s)
{
    size_t nodes = (size_t)s->out->node_count + 1;
    uint32_t **const arrays[] = {&s->parent, &s->ancestor, &s->semi, &s->label, &s->stack};
    s->order = ph_malloc(nodes * sizeof *s->order);
    s->number = ph_malloc(nodes * sizeof *s->number);
    if (!s->order || !s->number)
        return false;
    size_t searched = (size_t)set_apart(s) + 1;
    bool ok = true;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = ph_malloc(searched * sizeof(uint32_t));
        ok = ok && *arrays[i];
    }
    s->immediate = s->ancestor;
    return ok;
}

/* What finding the immediate dominators needed. */
static void release_ways(struct search *s)
{
    free(s->parent);
    free(s->semi);
    free(s->label);
    free(s->stack);
    s->parent = s->semi = s->label = s->stack = NULL;
}

static bool interrupted(const struct search *s, uint32_t handled)
{
    return handled % NODES_A_LOOK == 0 && ph_host_interrupted(s->host);
}

static void visit(struct search *s, uint32_t node, uint32_t parent)
{
    uint32_t n = s->reached++;
    s->number[node] = n;
    s->order[n] = node;
    s->parent[n] = parent;
    s->semi[n] = s->out->first[node];
}

/* Number what the root reaches, depth first. The stack holds numbers; how far each one's edges were
 * followed is kept in semi, which nobody needs yet. */
static bool number_nodes(struct search *s)
{
    uint32_t depth = 0;
    visit(s, s->root, 0);
    s->stack[depth++] = 0;
    while (depth) {
        uint32_t n = s->stack[depth - 1];
        if (s->semi[n] == s->out->first[s->order[n] + 1]) {
            depth--;
            continue;
        }
        uint32_t target = s->out->targets[s->semi[n]++];
        if (s->number[target] != PH_NO_NODE)
            continue;
        if (interrupted(s, s->reached))
            return false;
        s->stack[depth++] = s->reached;
        visit(s, target, n);
    }
    return true;
}

/* Of the way from `at` up to where the nodes are not handled yet (below `limit`), the node with the
 * least semidominator. The way is shortened for the next one who asks. */
static uint32_t least_on_way(struct search *s, uint32_t at, uint32_t limit)
{
    uint32_t depth = 0;
    if (s->ancestor[at] < limit)
        return s->label[at];
    for (uint32_t n = at; s->ancestor[n] >= limit; n = s->ancestor[n])
        s->stack[depth++] = n;
    uint32_t above = s->ancestor[s->stack[depth - 1]];
    while (depth--) {
        uint32_t n = s->stack[depth];
        if (s->semi[s->label[above]] < s->semi[s->label[n]])
            s->label[n] = s->label[above];
        s->ancestor[n] = s->ancestor[above];
        above = n;
    }
    return s->label[at];
}

static bool find_semidominators(struct search *s)
{
    for (uint32_t n = 0; n < s->reached; n++) {
        s->semi[n] = s->label[n] = n;
        s->ancestor[n] = s->parent[n];
    }
    for (uint32_t n = s->reached; n-- > 1;) {
        uint32_t node = s->order[n], least = s->parent[n];
        for (uint32_t i = s->in->first[node]; i < s->in->first[node + 1]; i++) {
            uint32_t source = s->number[s->in->targets[i]];
            if (source == PH_NO_NODE)
                continue;
            uint32_t semi = source > n ? s->semi[least_on_way(s, source, n + 1)] : source;
            if (semi < least)
                least = semi;
        }
        s->semi[n] = least;
        if (interrupted(s, n))
            return false;
        if (n % NODES_A_LOOK == 0)
            ph_host_progress(s->host, "finding dominators",
                             (unsigned)((uint64_t)(s->reached - n) * 100 / s->reached));
    }
    return true;
}

/* The nearest common ancestor of a node's parent and its semidominator, in the tree that grows
 * here. */
static bool find_immediate(struct search *s)
{
    s->immediate[0] = 0;
    for (uint32_t n = 1; n < s->reached; n++) {
        if (interrupted(s, n))
            return false;
        uint32_t at = s->parent[n];
        while (at > s->semi[n])
            at = s->immediate[at];
        s->immediate[n] = at;
    }
    return true;
}

/* The node above this one. Those that hang come last in the order. */
static uint32_t find_above(struct search *s, uint32_t node)
{
    uint32_t number = s->number[node];
    if (number == HANGS) {
        uint32_t source = s->in->targets[s->in->first[node]];
        if (s->number[source] == PH_NO_NODE)
            return PH_NO_NODE;
        s->order[s->reached++] = node;
        return source;
    }
    return number == PH_NO_NODE || number == 0 ? PH_NO_NODE : s->order[s->immediate[number]];
}

static bool make_tree(struct search *s, struct ph_dominators *out)
{
    uint32_t nodes = s->out->node_count;
    out->immediate = ph_malloc(((size_t)nodes + 1) * sizeof *out->immediate);
    out->below.node_count = nodes;
    out->below.first = ph_calloc((size_t)nodes + 2, sizeof *out->below.first);
    out->below.targets = ph_malloc(((size_t)nodes + 1) * sizeof *out->below.targets);
    if (!out->immediate || !out->below.first || !out->below.targets)
        return false;
    uint32_t *next = out->below.first + 1;
    for (uint32_t n = 0; n < nodes; n++) {
        uint32_t above = find_above(s, n);
        out->immediate[n] = above;
        if (above != PH_NO_NODE)
            next[above + 1]++;
    }
    for (uint32_t n = 0; n < nodes; n++)
        next[n + 1] += next[n];
    for (uint32_t n = 0; n < nodes; n++) {
        if (out->immediate[n] != PH_NO_NODE)
            out->below.targets[next[out->immediate[n]]++] = n;
    }
    out->reached = s->reached;
    return true;
}

enum ph_status ph_dominators_find(const struct ph_edges *out_edges, const struct ph_edges *in_edges,
                                  uint32_t root, const struct ph_host *host,
                                  struct ph_dominators *out)
{
    struct search s = {.out = out_edges, .in = in_edges, .host = host, .root = root};
    enum ph_status status = PH_NO_MEMORY;
    *out = (struct ph_dominators){0};
    if (allocate(&s)) {
        status = PH_INTERRUPTED;
        if (number_nodes(&s) && find_semidominators(&s) && find_immediate(&s)) {
            release_ways(&s);
            status = make_tree(&s, out) ? PH_OK : PH_NO_MEMORY;
        }
    }
    release_ways(&s);
    out->order = s.order;
    free(s.number);
    free(s.ancestor);
    if (status)
        ph_dominators_free(out);
    return status;
}

void ph_dominators_free(struct ph_dominators *dominators)
{
    free(dominators->order);
    free(dominators->immediate);
    ph_edges_free(&dominators->below);
    *dominators = (struct ph_dominators){0};
}
