#include "graph/dominators.h"

#include "base/ahead.h"
#include "base/array.h"
#include "base/host.h"

enum { NODES_A_LOOK = 1 << 16 };

/* A node with no edges and one that leads to it: it hangs below that one's source, and is not
 * searched for. In a heap most objects are such: text, numbers. */
#define HANGS (PH_NO_NODE - 1)

/* An edge between two nodes that are searched for, but not one of the tree of the search: by its
 * source, in a row of all that lead to the same node. */
struct cross {
    uint32_t source;
    uint32_t next; /* index + 1 in the crosses; 0: it is the last of its row */
};

/* Nodes are known here by their numbers in preorder; the root's is 0. Neighbours in the graph have
 * numbers that are near to each other, wherever they lie, so that only the numbering itself touches
 * memory in no order. A graph may have many millions of nodes: what is no longer needed gives its
 * memory to what comes. */
struct search {
    const struct ph_edges *out;
    const struct ph_host *host;
    uint32_t root;
    uint32_t reached, hung_count, cross_count;
    uint32_t *number;     /* node -> number, HANGS, or PH_NO_NODE */
    uint32_t *order;      /* number -> node */
    uint32_t *hung;       /* the nodes that hang, in the order of those they hang below */
    uint32_t *hung_from;  /* where those below a number begin in it; one more than numbers */
    uint32_t *parent;     /* in the tree of the search */
    uint32_t *ancestor;   /* the same, with ways shortened */
    uint32_t *semi;       /* semidominator */
    uint32_t *label;      /* of the way up to the ancestor, the node with the least semidominator */
    uint32_t *immediate;  /* immediate dominator; in the place of the ancestors */
    uint32_t *last_cross; /* index + 1 of the first in the row of a number */
    struct cross *crosses;
    struct ph_nodes way; /* that is being shortened */
    bool failed;         /* out of memory */
    bool interrupted;
};

static bool interrupted(struct search *s, uint32_t handled)
{
    if (handled % NODES_A_LOOK == 0 && ph_host_interrupted(s->host))
        s->interrupted = true;
    return s->interrupted;
}

static void release(uint32_t **array)
{
    free(*array);
    *array = NULL;
}

/* By node: how many edges lead to it; 2: two or more. */
static uint8_t *count_edges_in(struct search *s)
{
    const uint32_t *targets = s->out->targets, count = s->out->first[s->out->node_count];
    uint8_t *edges_in = ph_calloc((size_t)s->out->node_count + 1, 1);
    for (uint32_t i = 0; edges_in && i < count && !interrupted(s, i); i++) {
        if (i + PH_AHEAD < count)
            ph_fetch(&edges_in[targets[i + PH_AHEAD]]);
        edges_in[targets[i]] += edges_in[targets[i]] < 2;
    }
    return edges_in;
}

/* Set apart the nodes that hang; and how many are left. */
static uint32_t set_apart(struct search *s, const uint8_t *edges_in)
{
    uint32_t left = 0;
    for (uint32_t node = 0; node < s->out->node_count && !interrupted(s, node); node++) {
        bool hangs = node != s->root && edges_in[node] == 1 && ph_edges_count(s->out, node) == 0;
        s->number[node] = hangs ? HANGS : PH_NO_NODE;
        left += !hangs;
    }
    return left;
}

static bool allocate(struct search *s)
{
    uint32_t **const arrays[] = {&s->order, &s->hung_from, &s->parent,    &s->ancestor,
                                 &s->semi,  &s->label,     &s->last_cross};
    const size_t nodes = s->out->node_count, edges = s->out->first[nodes];
    uint8_t *edges_in = count_edges_in(s);
    s->number = edges_in ? ph_malloc((nodes + 1) * sizeof *s->number) : NULL;
    const size_t searched = s->number ? set_apart(s, edges_in) : 0;
    free(edges_in);
    if (!s->number || s->interrupted)
        return false;
    s->hung = ph_malloc((nodes - searched + 1) * sizeof *s->hung);
    /* Each of those that hang has an edge that is none of these; only so much is touched as
     * there are. */
    s->crosses = ph_malloc((edges - (nodes - searched) + 1) * sizeof *s->crosses);
    bool ok = s->hung && s->crosses;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = ph_malloc((searched + 1) * sizeof(uint32_t));
        ok = ok && *arrays[i];
    }
    s->immediate = s->ancestor;
    return ok;
}

/* What only finding the immediate dominators needed. */
static void release_ways(struct search *s)
{
    release(&s->parent);
    release(&s->last_cross);
    free(s->crosses);
    s->crosses = NULL;
    ph_array_free(&s->way);
}

/* ---- numbers ---- */

/* Number a node, and note what hangs below it. */
static void visit(struct search *s, uint32_t node, uint32_t parent)
{
    const uint32_t first = s->out->first[node], end = s->out->first[node + 1];
    uint32_t n = s->reached++;
    s->number[node] = n;
    s->order[n] = node;
    s->parent[n] = parent;
    s->semi[n] = first;
    s->last_cross[n] = 0;
    s->hung_from[n] = s->hung_count;
    for (uint32_t i = first; i < end; i++) {
        uint32_t target = s->out->targets[i];
        if (i + PH_AHEAD < end)
            ph_fetch(&s->number[s->out->targets[i + PH_AHEAD]]);
        if (s->number[target] == HANGS)
            s->hung[s->hung_count++] = target;
        else if (i - first < PH_AHEAD)
            ph_fetch(&s->out->first[target]);
    }
}

static void add_cross(struct search *s, uint32_t source, uint32_t target)
{
    s->crosses[s->cross_count++] = (struct cross){source, s->last_cross[target]};
    s->last_cross[target] = s->cross_count;
}

/* Number what the root reaches, depth first. How far each one's edges were followed is kept in
 * semi, which nobody needs yet. */
static bool number_nodes(struct search *s)
{
    uint32_t n = 0;
    visit(s, s->root, 0);
    for (;;) {
        const uint32_t end = s->out->first[s->order[n] + 1];
        if (s->semi[n] == end) {
            if (n == 0)
                break;
            n = s->parent[n];
            continue;
        }
        uint32_t target = s->out->targets[s->semi[n]++], number = s->number[target];
        if (number == HANGS)
            continue;
        if (number != PH_NO_NODE) {
            add_cross(s, n, number);
            continue;
        }
        if (interrupted(s, s->reached))
            return false;
        if (s->semi[n] < end) /* it will be the next, once all below this one are visited */
            ph_fetch(&s->out->targets[s->out->first[s->out->targets[s->semi[n]]]]);
        visit(s, target, n);
        n = s->reached - 1;
    }
    s->hung_from[s->reached] = s->hung_count;
    return true;
}

/* ---- dominators ---- */

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

static bool find_semidominators(struct search *s)
{
    for (uint32_t n = 0; n < s->reached; n++) {
        s->semi[n] = s->label[n] = n;
        s->ancestor[n] = s->parent[n];
    }
    for (uint32_t n = s->reached; n-- > 1;) {
        uint32_t least = s->parent[n];
        if (n > PH_AHEAD && s->last_cross[n - PH_AHEAD])
            ph_fetch(&s->crosses[s->last_cross[n - PH_AHEAD] - 1]);
        for (uint32_t i = s->last_cross[n]; i && least; i = s->crosses[i - 1].next) {
            uint32_t source = s->crosses[i - 1].source;
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

/* ---- their tree ---- */

/* How many nodes each one dominates, itself included, by number. */
static void count_dominated(struct search *s, uint32_t *size)
{
    for (uint32_t n = 0; n < s->reached; n++)
        size[n] = 1 + s->hung_from[n + 1] - s->hung_from[n];
    for (uint32_t n = s->reached; n-- > 1 && !interrupted(s, n);)
        size[s->immediate[n]] += size[n];
}

/* The places of the nodes by number: behind each one what hangs below it, and then, from the back
 * to the front, what else it dominates immediately. rest[n] is how many places below n are not
 * given away, and n's own; to begin with, how many it dominates. */
static void find_places(struct search *s, uint32_t *rest, uint32_t *place, struct ph_dominators *d)
{
    place[0] = PH_ROOT_PLACE;
    for (uint32_t n = 0; n < s->reached && !interrupted(s, n); n++) {
        if (n > 0) {
            uint32_t above = s->immediate[n];
            rest[above] -= rest[n];
            place[n] = place[above] + rest[above];
        }
        d->size[place[n]] = rest[n];
        for (uint32_t i = 1; i <= s->hung_from[n + 1] - s->hung_from[n]; i++)
            d->size[place[n] + i] = 1;
    }
}

static void put_in_order(struct search *s, const uint32_t *place, struct ph_dominators *d)
{
    for (uint32_t n = 0; n < s->reached && !interrupted(s, n); n++) {
        uint32_t *to = &d->order[place[n]];
        *to++ = s->order[n];
        for (uint32_t i = s->hung_from[n]; i < s->hung_from[n + 1]; i++)
            *to++ = s->hung[i];
    }
}

static void link_places(struct search *s, const uint32_t *place, struct ph_dominators *d)
{
    for (uint32_t n = 0; n < s->reached && !interrupted(s, n); n++) {
        d->above[place[n]] = n ? place[s->immediate[n]] : PH_NO_NODE;
        for (uint32_t i = 1; i <= s->hung_from[n + 1] - s->hung_from[n]; i++)
            d->above[place[n] + i] = place[n];
    }
}

static bool make_tree(struct search *s, struct ph_dominators *d)
{
    /* What is no longer needed is memory at hand. */
    uint32_t *rest = s->semi, *place = s->label;
    d->size = s->number;
    s->number = NULL;
    d->reached = s->reached + s->hung_count;
    const size_t bytes = ((size_t)d->reached + 1) * sizeof(uint32_t);
    count_dominated(s, rest);
    if (!s->interrupted) /* else there may be too few places */
        find_places(s, rest, place, d);
    release(&s->semi);
    if (!s->interrupted && (d->order = ph_malloc(bytes)))
        put_in_order(s, place, d);
    release(&s->order);
    release(&s->hung);
    if (d->order && !s->interrupted && (d->above = ph_malloc(bytes)))
        link_places(s, place, d);
    return d->above && !s->interrupted;
}

enum ph_status ph_dominators_find(const struct ph_edges *edges, uint32_t root,
                                  const struct ph_host *host, struct ph_dominators *out)
{
    struct search s = {.out = edges, .host = host, .root = root};
    *out = (struct ph_dominators){0};
    bool ok = allocate(&s) && number_nodes(&s) && find_semidominators(&s) && find_immediate(&s);
    release_ways(&s);
    ok = ok && make_tree(&s, out);
    enum ph_status status = ok ? PH_OK : s.interrupted ? PH_INTERRUPTED : PH_NO_MEMORY;
    free(s.number);
    free(s.order);
    free(s.hung);
    free(s.hung_from);
    free(s.ancestor);
    free(s.semi);
    free(s.label);
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
    free(dominators->size);
    free(dominators->above);
    *dominators = (struct ph_dominators){0};
}
