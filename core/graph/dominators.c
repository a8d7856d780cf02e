#include "graph/dominators.h"

#include "base/array.h"
#include "base/host.h"

enum { NODES_A_LOOK = 1 << 16 };

/* Nodes are known here by their numbers in preorder; the root's is 0. */
struct search {
    const struct ph_edges *out, *in;
    const struct ph_host *host;
    uint32_t reached;
    uint32_t *order;     /* number -> node */
    uint32_t *number;    /* node -> number, or PH_NO_NODE */
    uint32_t *parent;    /* in the tree of the search */
    uint32_t *ancestor;  /* the same, with ways shortened */
    uint32_t *semi;      /* semidominator */
    uint32_t *label;     /* of the way up to the ancestor, the node with the least semidominator */
    uint32_t *immediate; /* immediate dominator */
    uint32_t *stack;
};

static bool allocate(struct search *s)
{
    size_t nodes = (size_t)s->out->node_count + 1;
    uint32_t **const arrays[] = {&s->order, &s->number, &s->parent,    &s->ancestor,
                                 &s->semi,  &s->label,  &s->immediate, &s->stack};
    bool ok = true;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = ph_malloc(nodes * sizeof(uint32_t));
        ok = ok && *arrays[i];
    }
    return ok;
}

/* All but the order, which the caller keeps. */
static void release(struct search *s)
{
    free(s->number);
    free(s->parent);
    free(s->ancestor);
    free(s->semi);
    free(s->label);
    free(s->immediate);
    free(s->stack);
}

static bool interrupted(const struct search *s, uint32_t handled)
{
    return handled % NODES_A_LOOK == 0 && ph_host_interrupted(s->host);
}

static void visit(struct search *s, uint32_t node, uint32_t parent)
{
    s->number[node] = s->reached;
    s->parent[s->reached] = parent;
    s->order[s->reached++] = node;
}

/* Number what the root reaches, depth first. The stack holds nodes; how far each one's edges were
 * followed is kept in semi, which nobody needs yet. */
static bool number_nodes(struct search *s, uint32_t root)
{
    uint32_t depth = 0;
    memset(s->number, 0xff, s->out->node_count * sizeof *s->number);
    visit(s, root, 0);
    s->semi[root] = s->out->first[root];
    s->stack[depth++] = root;
    while (depth) {
        uint32_t node = s->stack[depth - 1];
        if (s->semi[node] == s->out->first[node + 1]) {
            depth--;
            continue;
        }
        uint32_t target = s->out->targets[s->semi[node]++];
        if (s->number[target] != PH_NO_NODE)
            continue;
        if (interrupted(s, s->reached))
            return false;
        visit(s, target, s->number[node]);
        s->semi[target] = s->out->first[target];
        s->stack[depth++] = target;
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

/* From numbers to nodes. */
static bool make_tree(struct search *s, struct ph_dominators *out)
{
    uint32_t nodes = s->out->node_count;
    out->reached = s->reached;
    out->immediate = ph_malloc(((size_t)nodes + 1) * sizeof *out->immediate);
    out->below.node_count = nodes;
    out->below.first = ph_calloc((size_t)nodes + 2, sizeof *out->below.first);
    out->below.targets = ph_malloc(((size_t)nodes + 1) * sizeof *out->below.targets);
    if (!out->immediate || !out->below.first || !out->below.targets)
        return false;
    memset(out->immediate, 0xff, nodes * sizeof *out->immediate);
    uint32_t *next = out->below.first + 1;
    for (uint32_t n = 1; n < s->reached; n++) {
        uint32_t above = s->order[s->immediate[n]];
        out->immediate[s->order[n]] = above;
        next[above + 1]++;
    }
    for (uint32_t n = 0; n < nodes; n++)
        next[n + 1] += next[n];
    for (uint32_t n = 0; n < nodes; n++) {
        if (out->immediate[n] != PH_NO_NODE)
            out->below.targets[next[out->immediate[n]]++] = n;
    }
    return true;
}

enum ph_status ph_dominators_find(const struct ph_edges *out_edges, const struct ph_edges *in_edges,
                                  uint32_t root, const struct ph_host *host,
                                  struct ph_dominators *out)
{
    struct search s = {.out = out_edges, .in = in_edges, .host = host};
    enum ph_status status = PH_NO_MEMORY;
    *out = (struct ph_dominators){0};
    if (allocate(&s)) {
        status = PH_INTERRUPTED;
        if (number_nodes(&s, root) && find_semidominators(&s) && find_immediate(&s))
            status = make_tree(&s, out) ? PH_OK : PH_NO_MEMORY;
    }
    out->order = s.order;
    release(&s);
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
