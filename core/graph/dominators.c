#include "graph/dominators.h"

#include "base/ahead.h"
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
    struct ph_nodes way; /* that is being shortened */
    bool failed;         /* out of memory */
    bool interrupted;
};

static bool has_but_one_edge_in(const struct search *s, uint32_t node)
{
    return ph_edges_count(s->out, node) == 0 && ph_edges_count(s->in, node) == 1;
}

static bool interrupted(struct search *s, uint32_t handled)
{
    if (handled % NODES_A_LOOK == 0 && ph_host_interrupted(s->host))
        s->interrupted = true;
    return s->interrupted;
}

/* Set apart the nodes that hang; and how many are left. */
static uint32_t set_apart(struct search *s)
{
    uint32_t left = 0;
    for (uint32_t node = 0; node < s->out->node_count && !interrupted(s, node); node++) {
        bool hangs = node != s->root && has_but_one_edge_in(s, node);
        s->number[node] = hangs ? HANGS : PH_NO_NODE;
        left += !hangs;
    }
    return left;
}

static bool allocate(struct search *s)
{
    uint32_t **const arrays[] = {&s->order, &s->parent, &s->ancestor, &s->semi, &s->label};
    s->number = ph_malloc(((size_t)s->out->node_count + 1) * sizeof *s->number);
    if (!s->number)
        return false;
    size_t searched = (size_t)set_apart(s) + 1;
    bool ok = !s->interrupted;
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
    ph_array_free(&s->way);
    s->parent = s->semi = s->label = NULL;
}

static void visit(struct search *s, uint32_t node, uint32_t parent)
{
    uint32_t n = s->reached++;
    s->number[node] = n;
    s->order[n] = node;
    s->parent[n] = parent;
    s->semi[n] = s->out->first[node];
    /* Those that are visited later will be there. */
    for (uint32_t i = s->semi[n]; i < s->out->first[node + 1] && i - s->semi[n] < PH_AHEAD; i++) {
        ph_fetch(&s->number[s->out->targets[i]]);
        ph_fetch(&s->out->first[s->out->targets[i]]);
    }
}

/* Number what the root reaches, depth first. How far each one's edges were followed is kept in
 * semi, which nobody needs yet. */
static bool number_nodes(struct search *s)
{
    uint32_t n = 0;
    visit(s, s->root, 0);
    for (;;) {
        if (s->semi[n] == s->out->first[s->order[n] + 1]) {
            if (n == 0)
                return true;
            n = s->parent[n];
            continue;
        }
        uint32_t target = s->out->targets[s->semi[n]++];
        if (s->number[target] != PH_NO_NODE)
            continue;
        if (interrupted(s, s->reached))
            return false;
        visit(s, target, n);
        n = s->reached - 1;
    }
}

/* Of the way from `at` up to where the nodes are not handled yet (below `limit`), the node with the
 * least semidominator. The way is shortened for the next one who asks. */
static uint32_t least_on_way(struct search *s, uint32_t at, uint32_t limit)
{
    if (s->ancestor[at] < limit)
        return s->label[at];
    s->way.count = 0;
    for (uint32_t n = at; s->ancestor[n] >= limit; n = s->ancestor[n]) {
        if (!ph_array_push(&s->way, n)) {
            s->failed = true;
            return at;
        }
    }
    uint32_t above = s->ancestor[s->way.items[s->way.count - 1]];
    while (s->way.count) {
        uint32_t n = s->way.items[--s->way.count];
        if (s->semi[s->label[above]] < s->semi[s->label[n]])
            s->label[n] = s->label[above];
        s->ancestor[n] = s->ancestor[above];
        above = n;
    }
    return s->label[at];
}

/* Bring in what leads to the nodes before this one. */
static void fetch_sources(const struct search *s, uint32_t n)
{
    if (n <= 3 * PH_AHEAD)
        return;
    ph_fetch(&s->in->first[s->order[n - 3 * PH_AHEAD]]);
    ph_fetch(&s->in->targets[s->in->first[s->order[n - 2 * PH_AHEAD]]]);
    uint32_t node = s->order[n - PH_AHEAD], first = s->in->first[node];
    for (uint32_t i = first; i < s->in->first[node + 1] && i - first < PH_AHEAD; i++)
        ph_fetch(&s->number[s->in->targets[i]]);
}

static bool find_semidominators(struct search *s)
{
    for (uint32_t n = 0; n < s->reached; n++) {
        s->semi[n] = s->label[n] = n;
        s->ancestor[n] = s->parent[n];
    }
    for (uint32_t n = s->reached; n-- > 1;) {
        uint32_t node = s->order[n], least = s->parent[n];
        fetch_sources(s, n);
        for (uint32_t i = s->in->first[node]; i < s->in->first[node + 1]; i++) {
            uint32_t source = s->number[s->in->targets[i]];
            if (source == PH_NO_NODE)
                continue;
            uint32_t semi = source > n ? s->semi[least_on_way(s, source, n + 1)] : source;
            if (semi < least)
                least = semi;
        }
        s->semi[n] = least;
        if (s->failed || interrupted(s, n))
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

/* Of a node that hangs, the number of the one it hangs below. */
static uint32_t number_above(const struct search *s, uint32_t node)
{
    return s->number[s->in->targets[s->in->first[node]]];
}

/* Bring in what the nodes behind this one hang below, if they do, and what is kept by its number.
 */
static void fetch_above(const struct search *s, uint32_t node, const uint32_t *by_number)
{
    const struct ph_edges *in = s->in;
    if (node + 3 * PH_AHEAD >= in->node_count)
        return;
    ph_fetch(&s->number[in->targets[in->first[node + 3 * PH_AHEAD]]]);
    if (s->number[node + 2 * PH_AHEAD] == HANGS)
        ph_fetch(&by_number[number_above(s, node + 2 * PH_AHEAD)]);
}

/* How many nodes each one dominates, itself included, by number. What hangs below nodes that are
 * not reached is not, either. */
static void count_dominated(struct search *s, uint32_t *size, struct ph_dominators *d)
{
    d->reached = s->reached;
    for (uint32_t n = 0; n < s->reached; n++)
        size[n] = 1;
    for (uint32_t node = 0; node < s->out->node_count && !interrupted(s, node); node++) {
        fetch_above(s, node, size);
        if (s->number[node] != HANGS)
            continue;
        uint32_t above = number_above(s, node);
        if (above == PH_NO_NODE) {
            s->number[node] = PH_NO_NODE;
        } else {
            size[above]++;
            d->reached++;
        }
    }
    for (uint32_t n = s->reached; n-- > 1 && !interrupted(s, n);)
        size[s->immediate[n]] += size[n];
}

/* Give each node the next place that is free behind the one above it. */
static void place_nodes(struct search *s, const uint32_t *size, uint32_t *free_place,
                        struct ph_dominators *d)
{
    d->order[0] = s->root;
    free_place[0] = 1;
    for (uint32_t n = 1; n < s->reached && !interrupted(s, n); n++) {
        uint32_t *next = &free_place[s->immediate[n]];
        d->order[*next] = s->order[n];
        free_place[n] = *next + 1;
        *next += size[n];
    }
    for (uint32_t node = 0; node < s->out->node_count && !interrupted(s, node); node++) {
        fetch_above(s, node, free_place);
        if (node + PH_AHEAD < s->out->node_count && s->number[node + PH_AHEAD] == HANGS)
            ph_fetch(&d->order[free_place[number_above(s, node + PH_AHEAD)]]);
        if (s->number[node] == HANGS)
            d->order[free_place[number_above(s, node)]++] = node;
    }
}

/* Bring in what is known of the nodes behind this one by their numbers. */
static void fetch_known(const struct search *s, uint32_t node, const uint32_t *size)
{
    if (node + 2 * PH_AHEAD >= s->out->node_count)
        return;
    uint32_t n = s->number[node + 2 * PH_AHEAD];
    if (n < s->reached) {
        ph_fetch(&size[n]);
        ph_fetch(&s->immediate[n]);
    }
    n = s->number[node + PH_AHEAD];
    if (n < s->reached)
        ph_fetch(&s->order[s->immediate[n]]);
}

/* What is known by number, by node; the node above each one takes the place of its number. */
static void take_numbers(struct search *s, const uint32_t *size, struct ph_dominators *d)
{
    for (uint32_t node = 0; node < s->out->node_count && !interrupted(s, node); node++) {
        uint32_t n = s->number[node];
        fetch_known(s, node, size);
        if (n == PH_NO_NODE) {
            d->size[node] = 0;
        } else if (n == HANGS) {
            d->size[node] = 1;
            s->number[node] = s->in->targets[s->in->first[node]];
        } else {
            d->size[node] = size[n];
            s->number[node] = node == s->root ? PH_NO_NODE : s->order[s->immediate[n]];
        }
    }
    d->immediate = s->number;
    s->number = NULL;
}

static bool make_tree(struct search *s, struct ph_dominators *out)
{
    const size_t numbers = (size_t)s->reached + 1, nodes = (size_t)s->out->node_count + 1;
    uint32_t *size = ph_malloc(numbers * sizeof *size), *free_place = NULL;
    bool ok = size;
    if (ok)
        count_dominated(s, size, out);
    if (ok && !s->interrupted) { /* else what was counted may be too little to place all nodes */
        free_place = ph_malloc(numbers * sizeof *free_place);
        out->order = ph_malloc(((size_t)out->reached + 1) * sizeof *out->order);
        ok = free_place && out->order;
        if (ok)
            place_nodes(s, size, free_place, out);
    }
    free(free_place);
    if (ok && !s->interrupted) {
        out->size = ph_malloc(nodes * sizeof *out->size);
        ok = out->size;
        if (ok)
            take_numbers(s, size, out);
    }
    free(size);
    return ok && !s->interrupted;
}

enum ph_status ph_dominators_find(const struct ph_edges *out_edges, const struct ph_edges *in_edges,
                                  uint32_t root, const struct ph_host *host,
                                  struct ph_dominators *out)
{
    struct search s = {.out = out_edges, .in = in_edges, .host = host, .root = root};
    *out = (struct ph_dominators){0};
    bool ok = allocate(&s) && number_nodes(&s) && find_semidominators(&s) && find_immediate(&s);
    release_ways(&s);
    ok = ok && make_tree(&s, out);
    enum ph_status status = ok ? PH_OK : s.interrupted ? PH_INTERRUPTED : PH_NO_MEMORY;
    free(s.order);
    free(s.number);
    free(s.ancestor);
    if (status)
        ph_dominators_free(out);
    return status;
}

uint32_t ph_dominators_place(const struct ph_dominators *dominators, uint32_t node)
{
    uint32_t place = 0;
    while (dominators->order[place] != node)
        place++;
    return place;
}

void ph_dominators_free(struct ph_dominators *dominators)
{
    free(dominators->order);
    free(dominators->immediate);
    free(dominators->size);
    *dominators = (struct ph_dominators){0};
}
