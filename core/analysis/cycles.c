#include "analysis/cycles.h"

#include "base/checked.h"
#include "graph/components.h"

enum { OBJECTS_A_PIECE = 1 << 14 };
#define VERSION_3_9 0x03090000

struct search {
    struct ph_graph *graph;
    struct ph_heap *heap;
    const struct ph_host *host;
    struct piece *pieces;
    int64_t *outer;     /* by object: references that do not come from objects of the collection, if
                           more than 0 */
    uint8_t *candidate; /* 1: taken part in the collection, and not known to be reachable */
    struct ph_nodes pending;
};

/* ---- what the collector would find ---- */

/* All generations but the permanent one. Immortal objects are never garbage; nor is what a root
 * leads to, for somewhere on the way a reference comes from outside the collection. */
static bool takes_part(const struct ph_graph *graph, uint32_t id, int64_t *count)
{
    struct ph_heap *heap = graph->heap;
    uint8_t flags = heap->flags[id];
    return ph_graph_alive(graph, id) == PH_ALIVE_NOT && (flags & PH_OBJECT_TRACKED) &&
           ph_flags_generation(flags) != PH_GEN_PERMANENT && ph_heap_refcount(heap, id, count) &&
           *count > 0;
}

/* Whether the traverse function of the source's type visits what it refers to. A type's does not
 * visit the dict of its subclasses, which holds weak references, nor its slots' names; to 3.8
 * instances do not visit their type (Objects/typeobject.c: type_traverse, subtype_traverse). */
static bool is_traversed(const struct search *s, uint32_t source, uint32_t target,
                         struct ph_label label)
{
    const struct ph_type *type = ph_heap_type(s->heap, source);
    bool named = label.kind == PH_LABEL_FIELD || label.kind == PH_LABEL_NOTE;
    const char *name = named ? (const char *)(uintptr_t)label.arg : "";
    if (type->flags & PH_TPFLAGS_TYPE_SUBCLASS &&
        (strcmp(name, "subclasses") == 0 || strcmp(name, "__slots__") == 0))
        return false;
    return s->heap->objects.python->layout.version >= VERSION_3_9 ||
           type->address != ph_heap_address(s->heap, target) || strcmp(name, "__class__") != 0;
}

/* The references of some objects of the collection that their types' traverse functions visit. */
struct piece {
    const struct search *search;
    uint32_t source;
    struct ph_nodes targets;
    bool failed;
};

static void see_edge(void *ctx, uint32_t target, struct ph_label label, unsigned flags)
{
    struct piece *p = ctx;
    bool counts =
        (flags & PH_REF_STRONG) && !(flags & (PH_REF_BORROWED | PH_REF_SHARED | PH_REF_STALE));
    if (counts && p->search->candidate[target] &&
        is_traversed(p->search, p->source, target, label) && !ph_array_push(&p->targets, target))
        p->failed = true;
}

static void choose_candidates(void *ctx, uint32_t first, uint32_t end)
{
    struct search *s = ctx;
    for (uint32_t id = first; id < end; id++) {
        int64_t count;
        s->candidate[id] = takes_part(s->graph, id, &count);
        if (s->candidate[id])
            s->outer[id] = count;
    }
}

static void visit_piece(void *ctx, uint32_t first, uint32_t end)
{
    struct search *s = ctx;
    struct piece *p = &s->pieces[first / OBJECTS_A_PIECE];
    p->search = s;
    p->targets.count = 0;
    for (uint32_t id = first; id < end; id++) {
        p->source = id;
        if (s->candidate[id])
            ph_heap_edges(s->heap, id, see_edge, p);
    }
}

static void subtract_piece(void *ctx, uint32_t first, uint32_t end)
{
    struct search *s = ctx;
    struct piece *p = &s->pieces[first / OBJECTS_A_PIECE];
    (void)end;
    for (uint32_t i = 0; i < p->targets.count; i++)
        __atomic_fetch_sub(&s->outer[p->targets.items[i]], 1, __ATOMIC_RELAXED);
    ph_array_free(&p->targets);
}

static enum ph_status subtract_inner(struct search *s)
{
    const struct ph_sharing choice = {
        .piece_ids = OBJECTS_A_PIECE, .work = choose_candidates, .ctx = s};
    const struct ph_sharing visits = {
        .piece_ids = OBJECTS_A_PIECE,
        .phase = "looking for cycles",
        .work = visit_piece,
        .finish = subtract_piece,
        .ctx = s,
    };
    uint32_t pieces = s->heap->count / OBJECTS_A_PIECE + 1;
    s->pieces = ph_calloc(pieces, sizeof *s->pieces);
    enum ph_status status = s->pieces ? ph_heap_share(s->heap, &choice, s->host) : PH_NO_MEMORY;
    if (!status)
        status = ph_heap_share(s->heap, &visits, s->host);
    bool failed = false;
    for (uint32_t i = 0; s->pieces && i < pieces; i++) {
        failed |= s->pieces[i].failed;
        ph_array_free(&s->pieces[i].targets);
    }
    free(s->pieces);
    return status ? status : failed ? PH_NO_MEMORY : PH_OK;
}

/* What is referred to from outside is reachable, and all that it leads to. */
static enum ph_status drop_reachable(struct search *s)
{
    for (uint32_t id = 0; id < s->heap->count; id++) {
        if (!s->candidate[id] || s->outer[id] <= 0)
            continue;
        s->candidate[id] = 0;
        if (!ph_array_push(&s->pending, id))
            return PH_NO_MEMORY;
    }
    return ph_edges_reach(&s->graph->out, &s->pending, s->candidate, 1, 0, s->host);
}

/* ---- cycles ---- */

static bool refers_to_itself(const struct ph_edges *out, uint32_t id)
{
    for (uint32_t i = out->first[id]; i < out->first[id + 1]; i++) {
        if (out->targets[i] == id)
            return true;
    }
    return false;
}

/* By type id, of the types of unreachable objects: 2 where instances have a finalizer, 1 where not.
 */
static uint8_t *find_finalizers(struct search *s)
{
    uint8_t *known = ph_calloc(s->heap->objects.types.count + 1u, 1);
    for (uint32_t id = 0; known && id < s->heap->count; id++) {
        const struct ph_type *type = ph_heap_type(s->heap, id);
        const struct ph_type *definer;
        if (s->candidate[id] && !known[type->id])
            known[type->id] = ph_type_lookup(&s->heap->objects, type, "__del__", &definer) ? 2 : 1;
    }
    return known;
}

static bool has_weak_references(const struct search *s, uint32_t id)
{
    const struct ph_type *type = ph_heap_type(s->heap, id);
    return type->weaklistoffset &&
           ph_python_word(s->heap->objects.python, ph_heap_address(s->heap, id),
                          type->weaklistoffset);
}

static int by_size(const void *a, const void *b)
{
    const struct ph_cycle *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Members side by side, by component; components of one object that does not refer to itself are no
 * cycles, but held by some. */
static bool make_cycles(struct search *s, const struct ph_components *parts,
                        const uint8_t *finalizers, struct ph_cycles *out)
{
    uint32_t count = s->heap->count;
    uint32_t *next = ph_calloc((size_t)parts->count + 2, sizeof *next);
    struct ph_cycle *all = ph_calloc((size_t)parts->count + 1, sizeof *all);
    out->members = ph_malloc(((size_t)count + 1) * sizeof *out->members);
    bool ok = next && all && out->members;
    for (uint32_t id = 0; ok && id < count; id++) {
        if (s->candidate[id])
            next[parts->of[id] + 1]++;
    }
    for (uint32_t c = 0; ok && c < parts->count; c++) {
        next[c + 1] += next[c];
        all[c].first = next[c];
    }
    for (uint32_t id = 0; ok && id < count; id++) {
        if (!s->candidate[id])
            continue;
        struct ph_cycle *cycle = &all[parts->of[id]];
        uint64_t bytes = ph_heap_sizeof(s->heap, id);
        bool finalizer = finalizers[s->heap->type_ids[id]] == 2, weak = has_weak_references(s, id);
        out->members[next[parts->of[id]]++] = id;
        cycle->count++;
        cycle->bytes = ph_add_saturated(cycle->bytes, bytes);
        cycle->finalizers += finalizer;
        cycle->weak += weak;
        out->objects++;
        out->bytes = ph_add_saturated(out->bytes, bytes);
        out->finalizers += finalizer;
        out->weak += weak;
    }
    for (uint32_t c = 0; ok && c < parts->count; c++) {
        if (all[c].count > 1 || refers_to_itself(&s->graph->out, out->members[all[c].first]))
            ok = ph_array_push(&out->cycles, all[c]);
    }
    if (out->cycles.count)
        qsort(out->cycles.items, out->cycles.count, sizeof *out->cycles.items, by_size);
    free(next);
    free(all);
    return ok;
}

/* ---- what is kept for no good reason ---- */

static void count_uncollectable(struct search *s, struct ph_cycles *out)
{
    const struct ph_python *python = s->heap->objects.python;
    for (uint32_t i = 0; i < python->interpreters.count; i++) {
        ph_addr list = python->interpreters.items[i].gc.garbage;
        if (list)
            out->uncollectable +=
                ph_sane_count((int64_t)ph_python_word(python, list, python->layout.var.ob_size));
    }
}

/* Of tracked objects, those that nothing reaches but what native code holds. */
static void count_native(struct search *s, struct ph_cycles *out)
{
    for (uint32_t id = 0; id < s->heap->count; id++) {
        if (ph_graph_alive(s->graph, id) != PH_ALIVE_NATIVE ||
            !(s->heap->flags[id] & PH_OBJECT_TRACKED))
            continue;
        out->native_objects++;
        out->native_bytes = ph_add_saturated(out->native_bytes, ph_heap_sizeof(s->heap, id));
    }
}

/* ---- all of it ---- */

static enum ph_status find(struct search *s, struct ph_cycles *out)
{
    struct ph_components parts = {0};
    uint8_t *finalizers = NULL;
    size_t count = (size_t)s->heap->count + 2;
    s->outer = ph_calloc(count, sizeof *s->outer);
    s->candidate = ph_calloc(count, 1);
    enum ph_status status = s->outer && s->candidate ? subtract_inner(s) : PH_NO_MEMORY;
    if (!status)
        status = drop_reachable(s);
    if (!status)
        status = (finalizers = find_finalizers(s)) ? PH_OK : PH_NO_MEMORY;
    if (!status)
        status = ph_components_find(&s->graph->out, s->candidate, s->host, &parts);
    if (!status)
        status = make_cycles(s, &parts, finalizers, out) ? PH_OK : PH_NO_MEMORY;
    count_native(s, out);
    count_uncollectable(s, out);
    free(finalizers);
    ph_components_free(&parts);
    return status;
}

enum ph_status ph_cycles_find(struct ph_graph *graph, const struct ph_host *host,
                              struct ph_cycles *out, struct ph_error *err)
{
    struct search s = {.graph = graph, .heap = graph->heap, .host = host};
    memset(out, 0, sizeof *out);
    enum ph_status status = find(&s, out);
    free(s.outer);
    free(s.candidate);
    ph_array_free(&s.pending);
    if (!status)
        return PH_OK;
    ph_cycles_free(out);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

void ph_cycles_free(struct ph_cycles *cycles)
{
    ph_array_free(&cycles->cycles);
    free(cycles->members);
    cycles->members = NULL;
}
