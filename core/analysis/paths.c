#include "analysis/paths.h"

#include "analysis/references.h"

enum { NODES_A_LOOK = 1 << 16, MOST_HITS = 1 << 12 };

/* How telling a root is, the least first. */
enum rank {
    RANK_NAMED,    /* a local, the modules, another part of the state that users know */
    RANK_INTERNAL, /* an evaluation stack, the state's inner parts */
    RANK_STATIC,
    RANK_NATIVE,
    RANK_GARBAGE,
    RANK_NONE,
};

struct hit {
    uint32_t id;
    uint32_t distance;
    enum rank rank;
    uint32_t preference; /* among equals */
};

struct search {
    struct ph_graph *graph;
    const struct ph_host *host;
    uint32_t *next; /* by node: 1 + the next one on the way to the object asked about; 0: not seen.
                       Most searches see few of them, so most of it is never touched. */
    PH_ARRAY(uint32_t) queue;
    PH_ARRAY(struct hit) hits;
    bool to_roots;   /* note them, and do not look behind those that tell enough */
    bool plain_only; /* leave out ways that are true but tell little */
};

/* ---- roots ---- */

/* The parts of the state that only the interpreter itself uses, beside what users know it by. */
static bool is_internal_state(const char *name)
{
    static const char *const names[] = {
        "copy of sys.__dict__",
        "copy of builtins.__dict__",
        "modules by index",
        "interpreter dict",
        "interned strings",
        "cached objects",
        "importlib",
        "__import__",
        "ast module state",
        "atexit module",
        "small ints",
        "thread dict",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static bool is_local(struct ph_label label)
{
    return label.kind == PH_LABEL_LOCAL || label.kind == PH_LABEL_CELL;
}

/* Smaller is better: locals, then the modules, then other known state, then the inner parts. */
enum { LEAST_TELLING = 3 };
static uint32_t root_preference(const struct ph_root_reference *r)
{
    if (r->root.kind == PH_ROOT_DATA)
        return 7;
    if (r->root.kind == PH_ROOT_FRAME)
        return is_local(r->label) ? 0 : r->label.kind == PH_LABEL_STACK ? 4 : 6;
    if (strcmp(r->root.name, "sys.modules") == 0)
        return 1;
    if (strcmp(r->root.name, "sys.__dict__") == 0 || strcmp(r->root.name, "builtins.__dict__") == 0)
        return 2;
    return is_internal_state(r->root.name) ? 5 : 3;
}

const struct ph_root_reference *ph_path_root(const struct ph_graph *graph, uint32_t id)
{
    const struct ph_root_reference *best = NULL;
    for (uint32_t i = ph_graph_first_root(graph, id);
         i < graph->roots.count && graph->roots.items[i].target == id; i++) {
        const struct ph_root_reference *r = &graph->roots.items[i];
        if (!best || root_preference(r) < root_preference(best))
            best = r;
    }
    return best;
}

bool ph_path_tells_root(const struct ph_graph *graph, uint32_t id)
{
    return (ph_graph_rooted(graph, id) & PH_ROOTED_NAMED) &&
           root_preference(ph_path_root(graph, id)) <= LEAST_TELLING;
}

static enum rank rank_of(const struct ph_graph *graph, uint32_t id, uint32_t *preference)
{
    unsigned rooted = ph_graph_rooted(graph, id);
    *preference = UINT32_MAX;
    if (rooted & PH_ROOTED_NAMED) {
        *preference = root_preference(ph_path_root(graph, id));
        return *preference <= LEAST_TELLING ? RANK_NAMED : RANK_INTERNAL;
    }
    if (rooted & (PH_ROOTED_STATIC | PH_ROOTED_IMMORTAL))
        return RANK_STATIC;
    return rooted & PH_ROOTED_NATIVE    ? RANK_NATIVE
           : rooted & PH_ROOTED_GARBAGE ? RANK_GARBAGE
                                        : RANK_NONE;
}

/* ---- search ---- */

bool ph_path_tells_little(const struct ph_graph *graph, uint32_t source, uint32_t target)
{
    const struct ph_heap *heap = graph->heap;
    const struct ph_type *type = ph_heap_type(heap, source);
    if (type->address == ph_heap_address(heap, target))
        return true;
    if ((type->family != &ph_family_function && type->family != &ph_family_frame) ||
        ph_heap_type(heap, target)->family != &ph_family_dict)
        return false;
    struct ph_label label;
    if (!ph_graph_label(graph, source, target, &label) || label.kind != PH_LABEL_FIELD)
        return false;
    const char *name = (const char *)(uintptr_t)label.arg;
    return strcmp(name, "__globals__") == 0 || strcmp(name, "__builtins__") == 0 ||
           strncmp(name, "f_", 2) == 0;
}

static bool note_hit(struct search *s, uint32_t id, uint32_t distance, enum rank *rank)
{
    struct hit hit = {.id = id, .distance = distance};
    *rank = hit.rank = rank_of(s->graph, id, &hit.preference);
    return hit.rank == RANK_NONE || s->hits.count >= MOST_HITS || ph_array_push(&s->hits, hit);
}

static bool visit(struct search *s, uint32_t id, uint32_t next)
{
    s->next[id] = next + 1;
    return ph_array_push(&s->queue, id);
}

/* What an earlier search saw. */
static void forget(struct search *s)
{
    for (uint32_t i = 0; i < s->queue.count; i++)
        s->next[s->queue.items[i]] = 0;
    s->queue.count = s->hits.count = 0;
}

/* Breadth first, from the object asked about against the references, until `most` telling roots are
 * found. What a telling root holds is not looked behind. */
static enum ph_status search_back(struct search *s, uint32_t id, uint32_t most)
{
    const struct ph_edges *in = &s->graph->in;
    uint32_t telling = 0, distance = 0, level_end = 1;
    forget(s);
    if (!visit(s, id, id))
        return PH_NO_MEMORY;
    for (uint32_t at = 0; at < s->queue.count; at++) {
        enum rank rank = RANK_NONE;
        if (at == level_end) {
            if (telling >= most)
                break;
            distance++;
            level_end = s->queue.count;
        }
        if (at % NODES_A_LOOK == 0 && ph_host_interrupted(s->host))
            return PH_INTERRUPTED;
        uint32_t node = s->queue.items[at];
        if (s->to_roots && !note_hit(s, node, distance, &rank))
            return PH_NO_MEMORY;
        telling += rank == RANK_NAMED;
        for (uint32_t i = in->first[node]; rank != RANK_NAMED && i < in->first[node + 1]; i++) {
            uint32_t source = in->targets[i];
            if (s->next[source] || (s->plain_only && ph_path_tells_little(s->graph, source, node)))
                continue;
            if (!visit(s, source, node))
                return PH_NO_MEMORY;
        }
    }
    return PH_OK;
}

static int by_worth(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    if (x->preference != y->preference)
        return x->preference < y->preference ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool add_path(const struct search *s, const struct hit *hit, struct ph_paths *out)
{
    struct ph_path path = {.length = hit->distance + 1};
    path.ids = ph_malloc(path.length * sizeof *path.ids);
    if (!path.ids || !ph_array_push(out, path)) {
        free(path.ids);
        return false;
    }
    uint32_t id = hit->id;
    for (uint32_t i = 0; i < path.length; i++, id = s->next[id] - 1)
        path.ids[i] = id;
    struct ph_path *kept = &out->items[out->count - 1];
    if (hit->rank <= RANK_INTERNAL)
        kept->root = ph_path_root(s->graph, hit->id);
    kept->rooted = ph_graph_rooted(s->graph, hit->id);
    return true;
}

static enum ph_status finish(struct search *s, enum ph_status status, struct ph_paths *out,
                             struct ph_error *err)
{
    free(s->next);
    ph_array_free(&s->queue);
    ph_array_free(&s->hits);
    if (!status)
        return PH_OK;
    ph_paths_free(out);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

static enum ph_status prepare(struct search *s)
{
    s->next = ph_calloc((size_t)s->graph->root + 1, sizeof *s->next);
    return s->next ? ph_graph_reverse(s->graph, s->host, NULL) : PH_NO_MEMORY;
}

static bool found_named(const struct search *s)
{
    for (uint32_t i = 0; i < s->hits.count; i++) {
        if (s->hits.items[i].rank <= RANK_INTERNAL)
            return true;
    }
    return false;
}

/* Whether a path that was chosen already goes through the object. */
static bool lies_on(const struct ph_paths *paths, uint32_t id)
{
    for (uint32_t i = 0; i < paths->count; i++) {
        for (uint32_t n = 0; n < paths->items[i].length; n++) {
            if (paths->items[i].ids[n] == id)
                return true;
        }
    }
    return false;
}

enum ph_status ph_paths_to_roots(struct ph_graph *graph, uint32_t id, uint32_t most,
                                 const struct ph_host *host, struct ph_paths *out,
                                 struct ph_error *err)
{
    struct search s = {.graph = graph, .host = host, .to_roots = true, .plain_only = true};
    enum ph_status status = prepare(&s);
    memset(out, 0, sizeof *out);
    if (!status)
        status = search_back(&s, id, most);
    if (!status && !found_named(&s)) {
        s.plain_only = false;
        status = search_back(&s, id, most);
    }
    if (!status && s.hits.count)
        qsort(s.hits.items, s.hits.count, sizeof *s.hits.items, by_worth);
    for (uint32_t i = 0; !status && i < s.hits.count && out->count < most; i++) {
        if (!lies_on(out, s.hits.items[i].id) && !add_path(&s, &s.hits.items[i], out))
            status = PH_NO_MEMORY;
    }
    return finish(&s, status, out, err);
}

enum ph_status ph_path_between(struct ph_graph *graph, uint32_t from, uint32_t to,
                               const struct ph_host *host, struct ph_paths *out,
                               struct ph_error *err)
{
    struct search s = {.graph = graph, .host = host};
    enum ph_status status = prepare(&s);
    memset(out, 0, sizeof *out);
    if (!status)
        status = search_back(&s, to, UINT32_MAX);
    if (!status && s.next[from]) {
        struct hit hit = {.id = from, .rank = RANK_NONE};
        for (uint32_t at = from; at != to; at = s.next[at] - 1)
            hit.distance++;
        if (!add_path(&s, &hit, out))
            status = PH_NO_MEMORY;
        else
            out->items[0].rooted = 0;
    }
    return finish(&s, status, out, err);
}

void ph_paths_free(struct ph_paths *paths)
{
    for (uint32_t i = 0; i < paths->count; i++)
        free(paths->items[i].ids);
    ph_array_free(paths);
}

/* ---- words ---- */

/* What speaks first for an object that is rooted in several ways. */
static const struct {
    unsigned bit;
    const char *kind, *label;
} rooted_words[] = {
    {PH_ROOTED_STATIC, "static", "static data of a program or a library"},
    {PH_ROOTED_IMMORTAL, "immortal", "immortal"},
    {PH_ROOTED_NATIVE, "native", "native code"},
    {PH_ROOTED_GARBAGE, "garbage", "nothing: it waits for the garbage collector"},
};

const char *ph_path_root_kind(const struct ph_path *path)
{
    if (path->root)
        return path->root->root.kind == PH_ROOT_FRAME  ? "frame"
               : path->root->root.kind == PH_ROOT_DATA ? "static"
                                                       : "state";
    for (size_t i = 0; i < sizeof rooted_words / sizeof *rooted_words; i++) {
        if (path->rooted & rooted_words[i].bit)
            return rooted_words[i].kind;
    }
    return "object";
}

void ph_path_root_label(struct ph_graph *graph, const struct ph_path *path, struct ph_str *out)
{
    if (path->root) {
        struct ph_reference r = {.source = PH_NO_OBJECT,
                                 .target = path->ids[0],
                                 .label = path->root->label,
                                 .flags = path->root->flags,
                                 .root = path->root->root};
        ph_reference_label(graph->heap, &r, out);
        return;
    }
    for (size_t i = 0; i < sizeof rooted_words / sizeof *rooted_words; i++) {
        if (path->rooted & rooted_words[i].bit) {
            ph_str_append(out, rooted_words[i].label);
            return;
        }
    }
}

void ph_path_label(struct ph_graph *graph, const struct ph_path *path, uint32_t i,
                   struct ph_str *out)
{
    struct ph_reference r = {.source = path->ids[i - 1], .target = path->ids[i]};
    if (ph_graph_label(graph, r.source, r.target, &r.label))
        ph_reference_label(graph->heap, &r, out);
}
