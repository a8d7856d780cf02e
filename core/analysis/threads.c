#include "analysis/threads.h"

enum { NODES_A_LOOK = 1 << 16 };

/* An object's keeper is a thread's number, or what is said here. */
#define NOBODY  UINT32_MAX
#define SEVERAL (UINT32_MAX - 1)

struct spread {
    const struct ph_graph *graph;
    const struct ph_host *host;
    uint32_t *keeper; /* by object */
    PH_ARRAY(uint32_t) pending;
    bool failed;
};

/* An object is kept by one more. Each changes hands twice at most: to the first, and to several. */
static void keep(struct spread *s, uint32_t id, uint32_t keeper)
{
    if (s->keeper[id] == keeper || s->keeper[id] == SEVERAL)
        return;
    s->keeper[id] = s->keeper[id] == NOBODY ? keeper : SEVERAL;
    if (!ph_array_push(&s->pending, id))
        s->failed = true;
}

/* What is kept by the roots below the node above all, and by whom. */
static void keep_roots(struct spread *s)
{
    const struct ph_graph *graph = s->graph;
    for (uint32_t i = 0; i < graph->roots.count; i++) {
        const struct ph_root_reference *r = &graph->roots.items[i];
        bool is_thread = r->root.kind == PH_ROOT_FRAME || r->root.kind == PH_ROOT_THREAD;
        keep(s, r->target, is_thread ? r->root.thread : SEVERAL);
    }
    for (uint32_t id = 0; id < graph->root; id++) {
        if (ph_graph_rooted(graph, id) & ~(unsigned)PH_ROOTED_NAMED)
            keep(s, id, SEVERAL);
    }
}

static enum ph_status spread(struct spread *s)
{
    const struct ph_edges *out = &s->graph->out;
    uint32_t handled = 0;
    while (s->pending.count && !s->failed) {
        uint32_t id = s->pending.items[--s->pending.count];
        if (++handled % NODES_A_LOOK == 0 && ph_host_interrupted(s->host))
            return PH_INTERRUPTED;
        for (uint32_t i = out->first[id]; i < out->first[id + 1]; i++)
            keep(s, out->targets[i], s->keeper[id]);
    }
    return s->failed ? PH_NO_MEMORY : PH_OK;
}

static bool add_up(const struct spread *s, const struct ph_filter *filter,
                   struct ph_thread_sum *sums, uint32_t threads)
{
    struct ph_heap *heap = s->graph->heap;
    uint8_t *types = ph_filter_types(heap, filter);
    for (uint32_t id = 0; types && id < heap->count; id++) {
        uint64_t bytes;
        if (!ph_filter_accepts(heap, filter, types, id, &bytes))
            continue;
        struct ph_thread_sum *sum = &sums[s->keeper[id] < threads ? s->keeper[id] : threads];
        sum->count++;
        sum->bytes += bytes;
        sum->allocated += ph_heap_allocated(heap, id);
    }
    free(types);
    return types;
}

enum ph_status ph_thread_sums(struct ph_graph *graph, const struct ph_filter *filter,
                              const struct ph_host *host, struct ph_thread_sum **out,
                              struct ph_error *err)
{
    enum ph_status status = ph_heap_measure(graph->heap, true, host, err);
    if (status)
        return status;
    uint32_t threads = graph->heap->objects.python->threads.count;
    struct spread s = {.graph = graph, .host = host};
    struct ph_thread_sum *sums = ph_calloc(threads + 1u, sizeof *sums);
    status = PH_NO_MEMORY;
    s.keeper = ph_malloc(((size_t)graph->root + 1) * sizeof *s.keeper);
    if (sums && s.keeper) {
        memset(s.keeper, 0xff, (size_t)graph->root * sizeof *s.keeper);
        keep_roots(&s);
        status = spread(&s);
    }
    if (!status && !add_up(&s, filter, sums, threads))
        status = PH_NO_MEMORY;
    free(s.keeper);
    ph_array_free(&s.pending);
    if (!status) {
        *out = sums;
        return PH_OK;
    }
    free(sums);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}
