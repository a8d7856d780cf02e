/* Dominators, components and reversed edges of thousands of random small graphs, against brute
 * force: a node dominates what the root does not reach without it. */
#include "graph/components.h"
#include "graph/dominators.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"

enum { MOST_NODES = 24, MOST_EDGES = 80, GRAPHS = 6000 };

struct graph {
    uint32_t first[MOST_NODES + 1], targets[MOST_EDGES];
    struct ph_edges edges;
};

static uint32_t seed = 1;

static uint32_t below(uint32_t limit)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)seed * limit) >> 32);
}

/* Sparse ones and dense ones, with loops and double edges. */
static void make_random(struct graph *g)
{
    uint32_t nodes = 1 + below(MOST_NODES), count = 0;
    uint32_t most = 1 + below(4);
    for (uint32_t n = 0; n < nodes; n++) {
        g->first[n] = count;
        for (uint32_t i = below(most + 1); i > 0 && count < MOST_EDGES; i--)
            g->targets[count++] = below(nodes);
    }
    g->first[nodes] = count;
    g->edges = (struct ph_edges){nodes, g->first, g->targets};
}

/* What `from` reaches by nodes other than `without`, which may be PH_NO_NODE. */
static void reach(const struct ph_edges *edges, uint32_t from, uint32_t without, uint8_t *seen)
{
    uint32_t pending[MOST_NODES], count = 0;
    memset(seen, 0, MOST_NODES);
    if (from == without)
        return;
    seen[from] = 1;
    pending[count++] = from;
    while (count) {
        uint32_t node = pending[--count];
        for (uint32_t i = edges->first[node]; i < edges->first[node + 1]; i++) {
            uint32_t target = edges->targets[i];
            if (target != without && !seen[target]) {
                seen[target] = 1;
                pending[count++] = target;
            }
        }
    }
}

static bool dominates(const struct ph_dominators *d, uint32_t above, uint32_t node)
{
    uint32_t place = ph_dominators_place(d, node);
    while (place != PH_NO_NODE && d->order[place] != above)
        place = d->above[place];
    return place != PH_NO_NODE;
}

static void check_dominators(const struct graph *g, uint32_t root)
{
    const struct ph_edges *edges = &g->edges;
    struct ph_dominators d;
    uint8_t all[MOST_NODES], rest[MOST_NODES];
    uint32_t reached = 0;
    assert_int_equal(ph_dominators_find(edges, root, NULL, &d), PH_OK);
    reach(edges, root, PH_NO_NODE, all);
    for (uint32_t n = 0; n < edges->node_count; n++)
        reached += all[n];
    assert_int_equal(d.reached, reached);
    assert_int_equal(d.order[PH_ROOT_PLACE], root);
    assert_int_equal(d.above[PH_ROOT_PLACE], PH_NO_NODE);
    for (uint32_t without = 0; without < edges->node_count; without++) {
        reach(edges, root, without, rest);
        for (uint32_t n = 0; all[without] && n < edges->node_count; n++) {
            if (all[n])
                assert_int_equal(dominates(&d, without, n), !rest[n]);
        }
    }
    /* The order is of all that is reached, and behind each is what it dominates, and only that. */
    uint8_t seen[MOST_NODES] = {0};
    for (uint32_t place = 0; place < d.reached; place++) {
        uint32_t node = d.order[place], end = ph_dominators_behind(&d, place);
        assert_true(all[node] && !seen[node]);
        seen[node] = 1;
        assert_int_equal(ph_dominators_place(&d, node), place);
        for (uint32_t other = 0; other < d.reached; other++)
            assert_int_equal(dominates(&d, node, d.order[other]), other >= place && other < end);
        for (uint32_t at = place + 1; at < end; at = ph_dominators_behind(&d, at))
            assert_int_equal(d.above[at], place);
    }
    ph_dominators_free(&d);
}

static void test_dominators(void **state)
{
    (void)state;
    for (int i = 0; i < GRAPHS; i++) {
        struct graph g;
        make_random(&g);
        check_dominators(&g, below(g.edges.node_count));
    }
}

static uint32_t count_edges(const struct ph_edges *edges, uint32_t from, uint32_t to)
{
    uint32_t count = 0;
    for (uint32_t i = edges->first[from]; i < edges->first[from + 1]; i++)
        count += edges->targets[i] == to;
    return count;
}

static void test_reversed(void **state)
{
    (void)state;
    for (int i = 0; i < GRAPHS; i++) {
        struct graph g;
        struct ph_edges in;
        make_random(&g);
        assert_int_equal(ph_edges_reverse(&g.edges, NULL, &in), PH_OK);
        assert_int_equal(in.first[in.node_count], g.edges.first[g.edges.node_count]);
        for (uint32_t a = 0; a < g.edges.node_count; a++) {
            for (uint32_t b = 0; b < g.edges.node_count; b++)
                assert_int_equal(count_edges(&g.edges, a, b), count_edges(&in, b, a));
        }
        ph_edges_free(&in);
    }
}

/* The graph with only the edges between marked nodes. */
static void keep_marked(const struct graph *g, const uint8_t *marks, struct graph *out)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < g->edges.node_count; n++) {
        out->first[n] = count;
        for (uint32_t i = g->first[n]; i < g->first[n + 1]; i++) {
            if (marks[n] && marks[g->targets[i]])
                out->targets[count++] = g->targets[i];
        }
    }
    out->first[g->edges.node_count] = count;
    out->edges = (struct ph_edges){g->edges.node_count, out->first, out->targets};
}

static void test_components(void **state)
{
    (void)state;
    for (int i = 0; i < GRAPHS; i++) {
        struct graph g, part;
        struct ph_components c;
        uint8_t marks[MOST_NODES], reached[MOST_NODES][MOST_NODES];
        make_random(&g);
        for (uint32_t n = 0; n < MOST_NODES; n++)
            marks[n] = below(8) != 0;
        keep_marked(&g, marks, &part);
        assert_int_equal(ph_components_find(&g.edges, marks, NULL, &c), PH_OK);
        for (uint32_t n = 0; n < g.edges.node_count; n++) {
            reach(&part.edges, n, PH_NO_NODE, reached[n]);
            if (marks[n])
                assert_true(c.of[n] < c.count);
        }
        for (uint32_t a = 0; a < g.edges.node_count; a++) {
            for (uint32_t b = 0; marks[a] && b < g.edges.node_count; b++) {
                if (marks[b])
                    assert_int_equal(c.of[a] == c.of[b], reached[a][b] && reached[b][a]);
                if (marks[b] && reached[a][b])
                    assert_true(c.of[a] >= c.of[b]);
            }
        }
        ph_components_free(&c);
    }
}

/* A chain of a million nodes: no recursion, and no time that grows with the square. */
static void test_long_chain(void **state)
{
    (void)state;
    enum { NODES = 1000000 };
    uint32_t *first = malloc((NODES + 1) * sizeof *first);
    uint32_t *targets = malloc(2 * NODES * sizeof *targets);
    uint8_t *marks = malloc(NODES);
    uint32_t count = 0;
    memset(marks, 1, NODES);
    for (uint32_t n = 0; n < NODES; n++) {
        first[n] = count;
        if (n + 1 < NODES)
            targets[count++] = n + 1;
        if (n > 0)
            targets[count++] = n - 1; /* as in a doubly linked list */
    }
    first[NODES] = count;
    struct ph_edges edges = {NODES, first, targets};
    struct ph_dominators d;
    struct ph_components c;
    assert_int_equal(ph_dominators_find(&edges, 0, NULL, &d), PH_OK);
    for (uint32_t n = 1; n < NODES; n++) {
        assert_int_equal(d.order[n], n);
        assert_int_equal(d.above[n], n - 1);
    }
    assert_int_equal(ph_components_find(&edges, marks, NULL, &c), PH_OK);
    assert_int_equal(c.count, 1);
    ph_components_free(&c);
    ph_dominators_free(&d);
    free(first);
    free(targets);
    free(marks);
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    struct graph g;
    make_random(&g);
    for (unsigned long n = 1;; n++) {
        struct ph_dominators d;
        ph_alloc_fail_after(n);
        enum ph_status status = ph_dominators_find(&g.edges, 0, NULL, &d);
        bool all_made = ph_alloc_fail_pending() > 0;
        ph_alloc_fail_after(0);
        assert_int_equal(status, all_made ? PH_OK : PH_NO_MEMORY);
        ph_dominators_free(&d);
        if (all_made)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reversed),        cmocka_unit_test(test_dominators),
        cmocka_unit_test(test_components),      cmocka_unit_test(test_long_chain),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
