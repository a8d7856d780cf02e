#include "analysis/suspects.h"

#include "analysis/paths.h"
#include "base/ahead.h"
#include "base/checked.h"
#include "objects/str.h"

/* What is worth a sentence: shares of all that the root retains, in percent. */
enum { LEAST_PILE = 5, LEAST_GROUP = 10, LEAST_NATIVE = 2 };
#define MOST_REFERENCES UINT32_MAX /* of one object: what shows more is no object any more */
enum { LEAST_MEMBERS = 1000 };     /* of a group: modules' dicts are some hundreds */
/* And numbers of references: modules that Cython compiled keep some hundreds of code objects in
 * tables of malloc's. Of atoms, the interpreter itself keeps some thousands that nothing tells of:
 * names in the cache of attribute look-ups (Objects/typeobject.c, 4096 entries), and to 3.8 small
 * ints and single characters. */
enum { LEAST_NATIVE_REFERENCES = 1000, LEAST_NATIVE_ATOMS = 5000 };

struct type_sum {
    uint64_t count, bytes, native;
    uint32_t example;
};

struct search {
    struct ph_graph *graph;
    uint64_t least;        /* bytes that make a pile */
    struct type_sum *sums; /* by type id */
    struct ph_suspects *out;
    bool failed;
};

static uint64_t percent_of(const struct search *s, unsigned percent)
{
    return ph_graph_retained(s->graph, PH_ROOT_PLACE) / 100 * percent;
}

static void add(struct search *s, struct ph_suspect suspect)
{
    if (!ph_array_push(s->out, suspect))
        s->failed = true;
}

/* ---- piles ---- */

/* The parts right below the node in a place that are no piles themselves, by type. Yields what they
 * retain. */
static uint64_t sum_parts(struct search *s, uint32_t place)
{
    const struct ph_graph *graph = s->graph;
    const struct ph_dominators *tree = &graph->dominators;
    uint32_t end = ph_dominators_behind(tree, place);
    uint64_t bytes = 0;
    memset(s->sums, 0, (graph->heap->objects.types.count + 1u) * sizeof *s->sums);
    for (uint32_t at = place + 1; at < end; at = ph_dominators_behind(tree, at)) {
        uint32_t id = tree->order[at];
        if (ph_graph_retained(graph, at) >= s->least)
            continue;
        struct type_sum *sum = &s->sums[graph->heap->type_ids[id]];
        if (!sum->count++ || id < sum->example)
            sum->example = id;
        sum->bytes = ph_add_saturated(sum->bytes, ph_graph_retained(graph, at));
        bytes = ph_add_saturated(bytes, ph_graph_retained(graph, at));
    }
    return bytes;
}

static uint32_t largest_sum(const struct search *s)
{
    uint32_t best = 0;
    for (uint32_t t = 1; t < s->graph->heap->objects.types.count; t++) {
        if (s->sums[t].bytes > s->sums[best].bytes)
            best = t;
    }
    return best;
}

static void set_parts(const struct search *s, struct ph_suspect *suspect, uint32_t type)
{
    suspect->type = s->graph->heap->objects.types.items[type];
    suspect->count = s->sums[type].count;
    suspect->bytes = s->sums[type].bytes;
    suspect->example = s->sums[type].example;
}

static void judge(struct search *s, uint32_t place)
{
    const struct ph_graph *graph = s->graph;
    uint32_t id = graph->dominators.order[place];
    uint64_t own = ph_heap_sizeof(graph->heap, id), parts = sum_parts(s, place);
    struct ph_suspect suspect = {
        .kind = PH_SUSPECT_PILE,
        .holder = id,
        .retained = ph_graph_retained(graph, place),
        .piled = ph_add_saturated(own, parts),
    };
    if (suspect.piled < s->least)
        return;
    if (own > parts) {
        suspect.kind = PH_SUSPECT_OBJECT;
        suspect.type = ph_heap_type(graph->heap, id);
        suspect.count = 1;
        suspect.bytes = own;
        suspect.example = id;
    } else {
        set_parts(s, &suspect, largest_sum(s));
    }
    add(s, suspect);
}

/* What programs are made of, and what nearly every object holds: many of them are no surprise. */
static bool is_common(const struct ph_type *type)
{
    const struct ph_family *f = type->family;
    return (type->flags & PH_TPFLAGS_TYPE_SUBCLASS) || f == &ph_family_module ||
           f == &ph_family_function || f == &ph_family_code || f == &ph_family_str ||
           f == &ph_family_py2_str || f == &ph_family_py2_unicode || f == &ph_family_cfunction ||
           f == &ph_family_descriptor;
}

/* Of what the root holds itself, types with many. */
static void judge_groups(struct search *s)
{
    const struct ph_objects *objects = &s->graph->heap->objects;
    sum_parts(s, PH_ROOT_PLACE);
    for (uint32_t t = 0; t < objects->types.count; t++) {
        if (s->sums[t].bytes < percent_of(s, LEAST_GROUP) || s->sums[t].count < LEAST_MEMBERS ||
            is_common(objects->types.items[t]))
            continue;
        struct ph_suspect suspect = {.kind = PH_SUSPECT_GROUP,
                                     .holder = PH_NO_OBJECT,
                                     .retained = s->sums[t].bytes,
                                     .piled = s->sums[t].bytes};
        set_parts(s, &suspect, t);
        add(s, suspect);
    }
}

/* ---- native references ---- */

/* Identifiers that native code keeps for itself are interned, and every program has them. */
static bool is_interned(struct ph_heap *heap, uint32_t id)
{
    struct ph_object o;
    return ph_heap_type(heap, id)->family == &ph_family_str && ph_heap_open(heap, id, &o) &&
           ph_str_object_is_interned_mortal(&heap->objects, &o);
}

/* Native code has to hold modules and types that it made; what frames hold may be half way from a
 * stack to a function. */
static bool is_leak(const struct ph_graph *graph, const struct ph_native *native)
{
    const struct ph_type *type = ph_heap_type(graph->heap, native->id);
    const unsigned others = PH_ROOTED_STATIC | PH_ROOTED_IMMORTAL | PH_ROOTED_GARBAGE;
    return !(ph_graph_rooted(graph, native->id) & others) &&
           native->references <= MOST_REFERENCES && !(type->flags & PH_TPFLAGS_TYPE_SUBCLASS) &&
           type->family != &ph_family_module && !is_interned(graph->heap, native->id);
}

/* Add what the leaks retain to the sums of their types. */
static void sum_leaked(struct search *s, const uint8_t *leaked)
{
    const struct ph_graph *graph = s->graph;
    const struct ph_dominators *tree = &graph->dominators;
    for (uint32_t place = PH_ROOT_PLACE + 1; place < tree->reached; place++) {
        uint32_t id = tree->order[place];
        if (place + PH_AHEAD < tree->reached)
            ph_fetch(&leaked[tree->order[place + PH_AHEAD] / 8]);
        if (!(leaked[id / 8] >> id % 8 & 1))
            continue;
        struct type_sum *sum = &s->sums[graph->heap->type_ids[id]];
        sum->bytes = ph_add_saturated(sum->bytes, ph_graph_retained(graph, place));
    }
}

static void judge_native(struct search *s)
{
    const struct ph_graph *graph = s->graph;
    const struct ph_objects *objects = &graph->heap->objects;
    uint8_t *leaked = ph_calloc(graph->root / 8 + 1u, 1); /* a bit an object */
    memset(s->sums, 0, (objects->types.count + 1u) * sizeof *s->sums);
    s->failed |= !leaked;
    for (uint32_t i = 0; leaked && i < graph->natives.count; i++) {
        const struct ph_native *native = &graph->natives.items[i];
        if (!is_leak(graph, native))
            continue;
        struct type_sum *sum = &s->sums[graph->heap->type_ids[native->id]];
        if (!sum->count++)
            sum->example = native->id;
        sum->native += native->references;
        leaked[native->id / 8] |= (uint8_t)(1 << native->id % 8);
    }
    if (leaked)
        sum_leaked(s, leaked);
    free(leaked);
    for (uint32_t t = 0; t < objects->types.count; t++) {
        uint64_t least =
            objects->types.items[t]->has_refs ? LEAST_NATIVE_REFERENCES : LEAST_NATIVE_ATOMS;
        if (!s->sums[t].count ||
            (s->sums[t].native < least && s->sums[t].bytes < percent_of(s, LEAST_NATIVE)))
            continue;
        struct ph_suspect suspect = {.kind = PH_SUSPECT_NATIVE,
                                     .holder = PH_NO_OBJECT,
                                     .retained = s->sums[t].bytes,
                                     .piled = s->sums[t].bytes,
                                     .native = s->sums[t].native};
        set_parts(s, &suspect, t);
        add(s, suspect);
    }
}

/* ---- all of it ---- */

static int by_piled(const void *a, const void *b)
{
    const struct ph_suspect *x = a, *y = b;
    if (x->piled != y->piled)
        return x->piled > y->piled ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->example < y->example ? -1 : x->example > y->example;
}

enum ph_status ph_suspects_find(struct ph_graph *graph, const struct ph_host *host,
                                struct ph_suspects *out, struct ph_error *err)
{
    struct search s = {.graph = graph, .out = out};
    enum { OBJECTS_A_LOOK = 1 << 16 };
    enum ph_status status = PH_OK;
    memset(out, 0, sizeof *out);
    s.least = percent_of(&s, LEAST_PILE);
    s.sums = ph_calloc(graph->heap->objects.types.count + 1u, sizeof *s.sums);
    s.failed = !s.sums;
    /* What an object dominates retains no more than it does. */
    uint32_t handled = 0, place = PH_ROOT_PLACE + 1;
    while (!s.failed && !status && place < graph->dominators.reached) {
        if (++handled % OBJECTS_A_LOOK == 0 && ph_host_interrupted(host))
            status = PH_INTERRUPTED;
        if (ph_graph_retained(graph, place) >= s.least)
            judge(&s, place++);
        else
            place = ph_dominators_behind(&graph->dominators, place);
    }
    if (!s.failed && !status) {
        judge_groups(&s);
        judge_native(&s);
    }
    free(s.sums);
    if (s.failed)
        status = PH_NO_MEMORY;
    if (status) {
        ph_array_free(out);
        return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
    }
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, by_piled);
    return PH_OK;
}

/* ---- words ---- */

static void append_names(struct ph_graph *graph, const struct ph_path *path, struct ph_str *out)
{
    ph_path_root_label(graph, path, out);
    for (uint32_t i = 1; i < path->length; i++) {
        struct ph_str name = {0};
        ph_path_label(graph, path, i, &name);
        const char *text = ph_str_text(&name);
        ph_str_append(out, *text == '.' || *text == '[' ? "" : " ");
        ph_str_append(out, text);
        ph_str_free(&name);
    }
}

/* Where the expression begins with a local: " in main (app.py:12)", as the name of the local has
 * it. */
static void append_function(struct ph_graph *graph, const struct ph_path *path, struct ph_str *out)
{
    bool done = false;
    for (uint32_t i = 0; i < path->length && !done; i++) {
        struct ph_str name = {0};
        if (i)
            ph_path_label(graph, path, i, &name);
        else
            ph_path_root_label(graph, path, &name);
        const char *text = ph_str_text(&name), *function = strstr(text, " in ");
        done = strncmp(text, "local ", 6) == 0 || strncmp(text, "cell ", 5) == 0;
        if (done && function)
            ph_str_append(out, function);
        ph_str_free(&name);
    }
}

enum ph_status ph_suspect_path(struct ph_graph *graph, uint32_t id, const struct ph_host *host,
                               struct ph_str *out, struct ph_error *err)
{
    struct ph_paths paths;
    struct ph_str expression = {0};
    enum ph_status status = ph_paths_to_roots(graph, id, 1, host, &paths, err);
    if (status)
        return status;
    if (paths.count && ph_path_expression(graph, &paths.items[0], &expression)) {
        ph_str_append(out, ph_str_text(&expression));
        append_function(graph, &paths.items[0], out);
    } else if (paths.count) {
        append_names(graph, &paths.items[0], out);
    }
    ph_str_free(&expression);
    ph_paths_free(&paths);
    return PH_OK;
}
