#include "analysis/merged.h"

#include "analysis/paths.h"

enum { NODES_A_LOOK = 1 << 16, MOST_DEPTH = 100 };

struct search {
    struct ph_graph *graph;
    const struct ph_host *host;
    uint32_t *above; /* by node: who holds it on the shortest way; itself below a root */
    uint32_t *order; /* nodes in the order in which they were reached */
    uint32_t *counts;
    uint64_t *bytes;
    uint32_t reached;
};

static void reach(struct search *s, uint32_t id, uint32_t above)
{
    if (s->above[id] != PH_NO_NODE)
        return;
    s->above[id] = above;
    s->order[s->reached++] = id;
}

/* Follow the references of what was reached, all of them or those that tell something. */
static enum ph_status follow(struct search *s, bool plain_only)
{
    const struct ph_edges *out = &s->graph->out;
    for (uint32_t at = 0; at < s->reached; at++) {
        if (at % NODES_A_LOOK == 0 && ph_host_interrupted(s->host))
            return PH_INTERRUPTED;
        uint32_t id = s->order[at];
        for (uint32_t i = out->first[id]; i < out->first[id + 1]; i++) {
            uint32_t target = out->targets[i];
            if (s->above[target] == PH_NO_NODE &&
                !(plain_only && ph_path_tells_little(s->graph, id, target)))
                reach(s, target, id);
        }
    }
    return PH_OK;
}

/* In the same order of worth as single paths: roots that tell most first, and ways that tell little
 * only where there is no other. */
static enum ph_status reach_all(struct search *s)
{
    const struct ph_graph *graph = s->graph;
    enum ph_status status;
    for (uint32_t id = 0; id < graph->root; id++) {
        if (ph_path_tells_root(graph, id))
            reach(s, id, id);
    }
    status = follow(s, true);
    if (!status)
        status = follow(s, false);
    static const unsigned stages[] = {PH_ROOTED_NAMED, UINT32_MAX};
    for (size_t stage = 0; !status && stage < sizeof stages / sizeof *stages; stage++) {
        for (uint32_t id = 0; id < graph->root; id++) {
            if (ph_graph_rooted(graph, id) & stages[stage])
                reach(s, id, id);
        }
        status = follow(s, false);
    }
    return status;
}

static bool count_instances(struct search *s, const struct ph_filter *filter, struct ph_merged *out)
{
    struct ph_heap *heap = s->graph->heap;
    uint8_t *types = ph_filter_types(heap, filter);
    for (uint32_t id = 0; types && id < heap->count; id++) {
        uint64_t bytes;
        if (!ph_filter_accepts(heap, filter, types, id, &bytes))
            continue;
        s->counts[id] = 1;
        s->bytes[id] = bytes;
        out->count++;
        out->bytes += bytes;
    }
    for (uint32_t i = s->reached; i-- > 0;) {
        uint32_t id = s->order[i], above = s->above[id];
        if (above != id) {
            s->counts[above] += s->counts[id];
            s->bytes[above] += s->bytes[id];
        }
    }
    free(types);
    return types;
}

/* ---- the tree ---- */

/* The nodes on ways to instances, those below one node side by side. */
struct rows {
    uint32_t *first; /* by node, and for those below roots at graph->root; as in struct ph_edges */
    uint32_t *nodes;
};

static bool make_rows(const struct search *s, struct rows *rows)
{
    uint32_t root = s->graph->root;
    rows->first = ph_calloc((size_t)root + 3, sizeof *rows->first);
    rows->nodes = ph_malloc(((size_t)s->reached + 1) * sizeof *rows->nodes);
    if (!rows->first || !rows->nodes)
        return false;
    uint32_t *next = rows->first + 1;
    for (uint32_t i = 0; i < s->reached; i++) {
        uint32_t id = s->order[i], above = s->above[id] == id ? root : s->above[id];
        next[above + 1] += s->counts[id] != 0;
    }
    for (uint32_t n = 0; n <= root; n++)
        next[n + 1] += next[n];
    for (uint32_t i = 0; i < s->reached; i++) {
        uint32_t id = s->order[i], above = s->above[id] == id ? root : s->above[id];
        if (s->counts[id])
            rows->nodes[next[above]++] = id;
    }
    return true;
}

static int by_type(const void *a, const void *b, void *ctx)
{
    const struct search *s = ctx;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    uint32_t p = s->graph->heap->type_ids[x], q = s->graph->heap->type_ids[y];
    if (p != q)
        return p < q ? -1 : 1;
    if (s->counts[x] != s->counts[y])
        return s->counts[x] > s->counts[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

static int by_count(const void *a, const void *b)
{
    const struct ph_branch *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

struct branches PH_ARRAY_BODY(struct ph_branch);

/* Objects of one type that hold few instances each are alike: they make one branch. Those that hold
 * many stand by themselves. */
static bool same_branch(const struct search *s, const struct ph_branch *branch, uint32_t id)
{
    const struct ph_heap *heap = s->graph->heap;
    return branch && heap->type_ids[branch->id] == heap->type_ids[id] &&
           s->counts[branch->id] <= 1 && s->counts[id] <= 1;
}

/* Add the branches below a node, each with its place below the branch that stands for the node. */
static bool find_branches(struct search *s, const struct rows *rows, uint32_t node, uint32_t depth,
                          struct branches *out)
{
    uint32_t *nodes = rows->nodes + rows->first[node];
    uint32_t count = rows->first[node + 1] - rows->first[node], begin = out->count;
    if (count)
        qsort_r(nodes, count, sizeof *nodes, by_type, s);
    for (uint32_t i = 0; i < count; i++) {
        struct ph_branch *last = out->count > begin ? &out->items[out->count - 1] : NULL;
        if (!same_branch(s, last, nodes[i])) {
            struct ph_branch branch = {
                .id = nodes[i],
                .above = node == s->graph->root ? PH_NO_OBJECT : node,
                .depth = depth,
            };
            if (!ph_array_push(out, branch))
                return false;
            last = &out->items[out->count - 1];
        }
        last->alike++;
        last->count += s->counts[nodes[i]];
        last->bytes += s->bytes[nodes[i]];
    }
    if (out->count > begin)
        qsort(out->items + begin, out->count - begin, sizeof *out->items, by_count);
    return true;
}

/* The least count of instances that a branch may have for at most `limit` branches to be shown: no
 * branch has more than the one above it. */
static bool least_count(struct search *s, const struct rows *rows, uint64_t limit, uint32_t *least)
{
    struct branches frontier = {0};
    bool ok = find_branches(s, rows, s->graph->root, 0, &frontier);
    *least = 1;
    for (uint64_t shown = 0; ok && frontier.count; shown++) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < frontier.count; i++)
            best = frontier.items[i].count > frontier.items[best].count ? i : best;
        struct ph_branch branch = frontier.items[best];
        frontier.items[best] = frontier.items[--frontier.count];
        if (shown == limit) {
            *least = branch.count + 1;
            break;
        }
        if (branch.alike == 1 && branch.depth < MOST_DEPTH)
            ok = find_branches(s, rows, branch.id, branch.depth + 1, &frontier);
    }
    ph_array_free(&frontier);
    return ok;
}

/* The tree in preorder. Those below one wait in the order of their counts, the largest on top. */
static bool grow_tree(struct search *s, const struct rows *rows, uint32_t least,
                      struct ph_merged *out)
{
    struct branches waiting = {0}, found = {0};
    bool ok = find_branches(s, rows, s->graph->root, 0, &found);
    for (;;) {
        for (uint32_t i = found.count; ok && i-- > 0;) {
            if (found.items[i].count >= least)
                ok = ph_array_push(&waiting, found.items[i]);
            else
                out->hidden++;
        }
        if (!ok || !waiting.count)
            break;
        struct ph_branch branch = waiting.items[--waiting.count];
        found.count = 0;
        ok = ph_array_push(&out->branches, branch) &&
             (branch.depth >= MOST_DEPTH || branch.alike > 1 ||
              find_branches(s, rows, branch.id, branch.depth + 1, &found));
    }
    ph_array_free(&waiting);
    ph_array_free(&found);
    return ok;
}

enum ph_status ph_merged_paths(struct ph_graph *graph, const struct ph_filter *filter,
                               uint64_t limit, const struct ph_host *host, struct ph_merged *out,
                               struct ph_error *err)
{
    size_t nodes = (size_t)graph->root + 1;
    struct rows rows = {0};
    struct search s = {
        .graph = graph,
        .host = host,
        .above = ph_malloc(nodes * sizeof *s.above),
        .order = ph_malloc(nodes * sizeof *s.order),
        .counts = ph_calloc(nodes, sizeof *s.counts),
        .bytes = ph_calloc(nodes, sizeof *s.bytes),
    };
    enum ph_status status = PH_NO_MEMORY;
    memset(out, 0, sizeof *out);
    if (s.above && s.order && s.counts && s.bytes) {
        memset(s.above, 0xff, nodes * sizeof *s.above);
        status = reach_all(&s);
    }
    uint32_t least = 1;
    if (!status &&
        !(count_instances(&s, filter, out) && make_rows(&s, &rows) &&
          (!limit || least_count(&s, &rows, limit, &least)) && grow_tree(&s, &rows, least, out)))
        status = PH_NO_MEMORY;
    free(s.above);
    free(s.order);
    free(s.counts);
    free(s.bytes);
    free(rows.first);
    free(rows.nodes);
    if (!status)
        return PH_OK;
    ph_merged_free(out);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

void ph_merged_free(struct ph_merged *merged)
{
    ph_array_free(&merged->branches);
}
