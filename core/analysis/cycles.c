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
    uint32_t piece_count;
    int64_t *outer;     /* by object: references that do not come from objects of the collection, if
                           more than 0 */
    uint8_t *candidate; /* 1: takes part in the collection, and is not known to be reachable */
    struct ph_nodes garbage; /* the candidates that are left, ascending */
    struct ph_nodes pending;
};

/* Some objects of the heap. Few of them take part, if any, so that what comes after the choice goes
 * by lists. */
struct piece {
    const struct search *search;
    struct ph_nodes chosen; /* ids of those that take part, ascending */
    uint32_t source;
    struct ph_nodes targets; /* of their references that their types' traverse functions visit */
    uint32_t native_objects; /* as in struct ph_cycles */
    uint64_t native_bytes;
    bool failed;
};

/* ---- what the collector would find ---- */

/* All generations but the permanent one. Immortal objects are never garbage; nor is what a root
 * leads to, for somewhere on the way a reference comes from outside the collection. */
static bool takes_part(struct ph_heap *heap, uint32_t id, int64_t *count)
{
    uint8_t flags = heap->flags[id];
    return (flags & PH_OBJECT_TRACKED) && ph_flags_generation(flags) != PH_GEN_PERMANENT &&
           ph_heap_refcount(heap, id, count) && *count > 0;
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

static void see_edge(void *ctx, uint32_t target, struct ph_label label, unsigned flags)
{
    struct piece *p = ctx;
    bool counts =
        (flags & PH_REF_STRONG) && !(flags & (PH_REF_BORROWED | PH_REF_SHARED | PH_REF_STALE));
    if (counts && p->search->candidate[target] &&
        is_traversed(p->search, p->source, target, label) && !ph_array_push(&p->targets, target))
        p->failed = true;
}

static void choose(void *ctx, uint32_t first, uint32_t end)
{
    struct search *s = ctx;
    struct ph_heap *heap = s->heap;
    struct piece *p = &s->pieces[first / OBJECTS_A_PIECE];
    p->search = s;
    for (uint32_t i = 0; i < p->chosen.count; i++)
        s->candidate[p->chosen.items[i]] = 0;
    p->chosen.count = p->native_objects = 0;
    p->native_bytes = 0;
    for (uint32_t id = first; id < end; id++) {
        int64_t count;
        enum ph_alive alive = ph_graph_alive(s->graph, id);
        if (alive == PH_ALIVE_NOT && takes_part(heap, id, &count)) {
            s->candidate[id] = 1;
            s->outer[id] = count;
            p->failed |= !ph_array_push(&p->chosen, id);
        } else if (alive == PH_ALIVE_NATIVE && heap->flags[id] & PH_OBJECT_TRACKED) {
            p->native_objects++;
            p->native_bytes = ph_add_saturated(p->native_bytes, ph_heap_sizeof(heap, id));
        }
    }
}

static void visit(void *ctx, uint32_t first, uint32_t end)
{
    struct search *s = ctx;
    struct piece *p = &s->pieces[first / OBJECTS_A_PIECE];
    (void)end;
    p->targets.count = 0;
    for (uint32_t i = 0; i < p->chosen.count; i++) {
        p->source = p->chosen.items[i];
        ph_heap_edges(s->heap, p->source, see_edge, p);
    }
}

static void subtract(void *ctx, uint32_t first, uint32_t end)
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
    const struct ph_sharing choice = {.piece_ids = OBJECTS_A_PIECE, .work = choose, .ctx = s};
    const struct ph_sharing visits = {
        .piece_ids = OBJECTS_A_PIECE,
        .phase = "looking for cycles",
        .work = visit,
        .finish = subtract,
        .ctx = s,
    };
    enum ph_status status = ph_heap_share(s->heap, &choice, s->host);
    if (!status)
        status = ph_heap_share(s->heap, &visits, s->host);
    bool failed = false;
    for (uint32_t i = 0; i < s->piece_count; i++)
        failed |= s->pieces[i].failed;
    return status ? status : failed ? PH_NO_MEMORY : PH_OK;
}

/* What is referred to from outside is reachable, and all that it leads to. */
static enum ph_status drop_reachable(struct search *s)
{
    for (uint32_t i = 0; i < s->piece_count; i++) {
        const struct ph_nodes *chosen = &s->pieces[i].chosen;
        for (uint32_t k = 0; k < chosen->count; k++) {
            uint32_t id = chosen->items[k];
            if (s->outer[id] <= 0)
                continue;
            s->candidate[id] = 0;
            if (!ph_array_push(&s->pending, id))
                return PH_NO_MEMORY;
        }
    }
    return ph_edges_reach(&s->graph->out, &s->pending, s->candidate, 1, 0, s->host);
}

static enum ph_status list_garbage(struct search *s)
{
    for (uint32_t i = 0; i < s->piece_count; i++) {
        const struct ph_nodes *chosen = &s->pieces[i].chosen;
        for (uint32_t k = 0; k < chosen->count; k++) {
            if (s->candidate[chosen->items[k]] && !ph_array_push(&s->garbage, chosen->items[k]))
                return PH_NO_MEMORY;
        }
    }
    return PH_OK;
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
    for (uint32_t i = 0; known && i < s->garbage.count; i++) {
        const struct ph_type *type = ph_heap_type(s->heap, s->garbage.items[i]);
        const struct ph_type *definer;
        if (!known[type->id])
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
    const struct ph_nodes *garbage = &s->garbage;
    uint32_t *next = ph_calloc((size_t)parts->count + 2, sizeof *next);
    struct ph_cycle *all = ph_calloc((size_t)parts->count + 1, sizeof *all);
    out->members = ph_malloc(((size_t)garbage->count + 1) * sizeof *out->members);
    bool ok = next && all && out->members;
    for (uint32_t i = 0; ok && i < garbage->count; i++)
        next[parts->of[garbage->items[i]] + 1]++;
    for (uint32_t c = 0; ok && c < parts->count; c++) {
        next[c + 1] += next[c];
        all[c].first = next[c];
    }
    for (uint32_t i = 0; ok && i < garbage->count; i++) {
        uint32_t id = garbage->items[i];
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

static void count_native(const struct search *s, struct ph_cycles *out)
{
    for (uint32_t i = 0; i < s->piece_count; i++) {
        out->native_objects += s->pieces[i].native_objects;
        out->native_bytes = ph_add_saturated(out->native_bytes, s->pieces[i].native_bytes);
    }
}

/* ---- all of it ---- */

static enum ph_status find(struct search *s, struct ph_cycles *out)
{
    struct ph_components parts = {0};
    uint8_t *finalizers = NULL;
    size_t count = (size_t)s->heap->count + 2;
    s->piece_count = s->heap->count / OBJECTS_A_PIECE + 1;
    s->pieces = ph_calloc(s->piece_count, sizeof *s->pieces);
    s->outer = ph_calloc(count, sizeof *s->outer);
    s->candidate = ph_calloc(count, 1);
    if (!s->pieces || !s->outer || !s->candidate)
        return PH_NO_MEMORY;
    enum ph_status status = subtract_inner(s);
    if (!status)
        status = drop_reachable(s);
    if (!status)
        status = list_garbage(s);
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

static void release(struct search *s)
{
    for (uint32_t i = 0; s->pieces && i < s->piece_count; i++) {
        ph_array_free(&s->pieces[i].chosen);
        ph_array_free(&s->pieces[i].targets);
    }
    free(s->pieces);
    free(s->outer);
    free(s->candidate);
    ph_array_free(&s->garbage);
    ph_array_free(&s->pending);
}

enum ph_status ph_cycles_find(struct ph_graph *graph, const struct ph_host *host,
                              struct ph_cycles *out, struct ph_error *err)
{
    struct search s = {.graph = graph, .heap = graph->heap, .host = host};
    memset(out, 0, sizeof *out);
    enum ph_status status = find(&s, out);
    release(&s);
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
