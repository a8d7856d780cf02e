#include "graph/graph.h"

#include "base/ahead.h"
#include "base/checked.h"
#include "base/parallel.h"
#include "graph/components.h"
#include "objects/str.h"

enum { OBJECTS_A_LOOK = 1 << 14, OBJECTS_A_PIECE = 1 << 14 };
enum { NEIGHBOURS = 2 };        /* of a word, on each side, that tell an array from a variable */
enum { STATE_BYTES = 1 << 20 }; /* of _PyRuntime, where no section tells: more than it has */

/* A place in the edges whose edge was taken back. */
#define NOT_AN_EDGE PH_NO_NODE

/* A leftover: an edge only where its target's count is not explained without it. */
struct doubt {
    uint32_t place; /* of the edge in the targets, or of the reference in the roots */
    bool is_root;
};

/* What the dict of interned strings looks like: all its entries have their own key as value. */
struct interned {
    uint32_t id;   /* of the object that looks most like it */
    uint32_t keys; /* its entries that do; 0: none does */
};

/* The edges of some objects that follow one another. */
struct piece {
    PH_ARRAY(uint32_t) targets;
    PH_ARRAY(uint8_t) counts;      /* by target: it is part of that object's reference count */
    PH_ARRAY(struct doubt) doubts; /* their places are those in `targets` */
    struct interned interned;
    uint32_t base; /* edges of the pieces before it */
    bool failed;
};

/* What lasts only while the graph is built. */
struct builder {
    struct ph_graph *graph;
    struct ph_heap *heap;
    const struct ph_host *host;
    uint32_t *found; /* by object: references found that are part of its reference count */
    uint8_t *alive;  /* enum ph_alive, by object */
    struct piece *pieces;
    struct ph_pieces joining;   /* of them */
    PH_ARRAY(uint32_t) targets; /* as in graph->out, NOT_AN_EDGE among them */
    PH_ARRAY(struct doubt) doubts;
    struct interned interned;
    ph_addr state, state_end; /* the interpreter's state where it is a variable; else empty */
    const struct ph_module *interpreter; /* where its static types are */
    bool failed;
};

static bool holds(unsigned flags)
{
    return (flags & PH_REF_STRONG) && !(flags & PH_REF_BORROWED);
}

/* References that the object's count shows and that were not found so far; 0 where it is immortal.
 */
static uint64_t count_native(const struct builder *b, uint32_t id)
{
    int64_t count;
    bool counts = ph_heap_refcount(b->heap, id, &count) && count > 0;
    return counts && (uint64_t)count > b->found[id] ? (uint64_t)count - b->found[id] : 0;
}

/* ---- edges ---- */

/* References that were seen and wait until they are many: to find the targets of all at once takes
 * far less time. */
struct finding {
    const struct builder *b;
    struct piece *piece;
    uint32_t id;       /* of the object in hand */
    uint32_t owner;    /* that of the target found last */
    uint32_t own_keys; /* its entries that have their own key as value */
    uint32_t count;    /* of the references that wait */
    ph_addr addresses[PH_FOUND_AT_ONCE];
    uint32_t owners[PH_FOUND_AT_ONCE];
    uint8_t flags[PH_FOUND_AT_ONCE];
    bool are_own_keys[PH_FOUND_AT_ONCE];
};

/* All targets of an object are found. */
static void finish_owner(struct finding *f)
{
    struct interned *interned = &f->piece->interned;
    /* All entries, a key and a value each. */
    if (f->own_keys > interned->keys && f->b->graph->out.first[f->owner] <= 2 * f->own_keys + 1)
        *interned = (struct interned){f->owner, f->own_keys};
    f->own_keys = 0;
}

static void add_target(struct finding *f, uint32_t i, uint32_t target)
{
    struct piece *p = f->piece;
    bool is_stale = f->flags[i] & PH_REF_STALE;
    if (f->owners[i] != f->owner)
        finish_owner(f);
    f->owner = f->owners[i];
    f->own_keys += f->are_own_keys[i];
    f->b->graph->out.first[f->owner]++;
    if ((is_stale && !ph_array_push(&p->doubts, ((struct doubt){p->targets.count, false}))) ||
        !ph_array_push(&p->targets, target) ||
        !ph_array_push(&p->counts, !(f->flags[i] & (PH_REF_STALE | PH_REF_SHARED))))
        p->failed = true;
}

static void find_targets(struct finding *f)
{
    uint32_t targets[PH_FOUND_AT_ONCE];
    ph_heap_find_all(f->b->heap, f->addresses, f->count, targets);
    for (uint32_t i = 0; i < f->count; i++) {
        if (targets[i] != PH_NO_OBJECT)
            add_target(f, i, targets[i]);
    }
    f->count = 0;
}

static void see_reference(void *ctx, ph_addr address, struct ph_label label, unsigned flags)
{
    struct finding *f = ctx;
    if (!holds(flags))
        return;
    if (f->count == PH_FOUND_AT_ONCE)
        find_targets(f);
    f->addresses[f->count] = address;
    f->owners[f->count] = f->id;
    f->flags[f->count] = (uint8_t)flags;
    f->are_own_keys[f->count++] = label.kind == PH_LABEL_VALUE && label.arg == address;
}

/* The rows of graph->out are how many edges each object has, for now. */
static void find_piece(void *ctx, uint32_t first, uint32_t end)
{
    struct builder *b = ctx;
    struct piece *p = &b->pieces[first / OBJECTS_A_PIECE];
    struct finding f = {.b = b, .piece = p, .owner = first};
    const struct ph_visitor v = {see_reference, &f};
    struct ph_object o;
    p->targets.count = p->counts.count = p->doubts.count = 0;
    for (f.id = first; f.id < end && !p->failed; f.id++) {
        b->graph->out.first[f.id] = 0;
        if (ph_heap_type(b->heap, f.id)->has_refs && ph_heap_open(b->heap, f.id, &o))
            ph_object_refs(&b->heap->objects, &o, &v);
    }
    find_targets(&f);
    finish_owner(&f);
}

static void count_piece(void *ctx, uint32_t first, uint32_t end)
{
    struct builder *b = ctx;
    struct piece *p = &b->pieces[first / OBJECTS_A_PIECE];
    (void)end;
    for (uint32_t i = 0; i < p->counts.count; i++) {
        if (i + PH_AHEAD < p->counts.count)
            ph_fetch(&b->found[p->targets.items[i + PH_AHEAD]]);
        if (p->counts.items[i])
            __atomic_fetch_add(&b->found[p->targets.items[i]], 1, __ATOMIC_RELAXED);
    }
    ph_array_free(&p->counts);
}

/* Put the pieces' edges where they belong, behind those of the pieces before them. */
static void join_pieces(void *ctx, unsigned worker)
{
    struct builder *b = ctx;
    uint64_t n, end;
    while (ph_pieces_next(&b->joining, &n, &end)) {
        struct piece *p = &b->pieces[n];
        uint32_t id = (uint32_t)n * OBJECTS_A_PIECE;
        uint32_t last =
            b->heap->count - id < OBJECTS_A_PIECE ? b->heap->count : id + OBJECTS_A_PIECE;
        for (uint32_t at = p->base; id < last; id++) {
            uint32_t edges = b->graph->out.first[id];
            b->graph->out.first[id] = at;
            at += edges;
        }
        if (p->targets.count)
            memcpy(b->targets.items + p->base, p->targets.items,
                   p->targets.count * sizeof *p->targets.items);
        ph_array_free(&p->targets);
        ph_pieces_look(&b->joining, worker, b->host);
    }
}

/* Take over what else a piece has found. */
static void take_piece(struct builder *b, const struct piece *p)
{
    for (uint32_t i = 0; i < p->doubts.count; i++) {
        if (!ph_array_push(&b->doubts, ((struct doubt){p->base + p->doubts.items[i].place, false})))
            b->failed = true;
    }
    if (p->interned.keys > b->interned.keys)
        b->interned = p->interned;
}

static void free_pieces(struct builder *b, uint32_t count)
{
    for (uint32_t n = 0; b->pieces && n < count; n++) {
        ph_array_free(&b->pieces[n].targets);
        ph_array_free(&b->pieces[n].counts);
        ph_array_free(&b->pieces[n].doubts);
    }
    free(b->pieces);
    ph_give_back();
}

static enum ph_status find_edges(struct builder *b)
{
    const struct ph_sharing sharing = {
        .piece_ids = OBJECTS_A_PIECE,
        .phase = "following references",
        .work = find_piece,
        .finish = count_piece,
        .ctx = b,
    };
    uint32_t pieces = b->heap->count / OBJECTS_A_PIECE + 1;
    uint64_t edges = 0;
    b->pieces = ph_calloc(pieces, sizeof *b->pieces);
    enum ph_status status = b->pieces ? ph_heap_share(b->heap, &sharing, b->host) : PH_NO_MEMORY;
    for (uint32_t n = 0; !status && n < pieces; n++) {
        b->failed |= b->pieces[n].failed;
        b->pieces[n].base = (uint32_t)edges;
        edges += b->pieces[n].targets.count;
        take_piece(b, &b->pieces[n]);
    }
    b->failed |= !status && !ph_array_reserve(&b->targets, edges);
    if (!status && !b->failed) {
        b->joining = (struct ph_pieces){.count = pieces, .piece = 1};
        b->targets.count = (uint32_t)edges;
        ph_parallel(ph_workers_for(b->heap->count), join_pieces, b);
        status = b->joining.stopped ? PH_INTERRUPTED : PH_OK;
    }
    free_pieces(b, pieces);
    b->graph->out.first[b->heap->count] = b->targets.count;
    return status ? status : b->failed ? PH_NO_MEMORY : PH_OK;
}

static void see_root(void *ctx, const struct ph_root *root, ph_addr address, struct ph_label label,
                     unsigned flags)
{
    struct builder *b = ctx;
    uint32_t target = holds(flags) ? ph_heap_find(b->heap, address) : PH_NO_OBJECT;
    if (target == PH_NO_OBJECT)
        return;
    struct ph_root_reference reference = {
        .target = target, .flags = flags, .label = label, .root = *root};
    bool is_stale = flags & PH_REF_STALE;
    if (!(flags & (PH_REF_STALE | PH_REF_SHARED)))
        b->found[target]++;
    if ((is_stale && !ph_array_push(&b->doubts, ((struct doubt){b->graph->roots.count, true}))) ||
        !ph_array_push(&b->graph->roots, reference))
        b->failed = true;
}

/* ---- edges taken back ---- */

/* The dict of interned strings holds each as key and value without counting either
 * (Objects/unicodeobject.c: PyUnicode_InternInPlace). It is the one in which every value is its own
 * key and interned. */
static void drop_interned(struct builder *b)
{
    uint32_t *first = b->graph->out.first;
    struct ph_object o;
    for (uint32_t i = first[b->interned.id]; b->interned.keys && i < first[b->interned.id + 1];
         i++) {
        uint32_t target = b->targets.items[i];
        if (!ph_heap_open(b->heap, target, &o) ||
            !ph_str_object_is_interned_mortal(&b->heap->objects, &o))
            continue;
        b->found[target]--;
        b->targets.items[i] = NOT_AN_EDGE;
    }
}

static void settle_doubts(struct builder *b)
{
    struct ph_graph *graph = b->graph;
    for (uint32_t i = 0; i < b->doubts.count; i++) {
        struct doubt d = b->doubts.items[i];
        uint32_t *target =
            d.is_root ? &graph->roots.items[d.place].target : &b->targets.items[d.place];
        if (count_native(b, *target))
            b->found[*target]++;
        else
            *target = NOT_AN_EDGE;
    }
}

/* ---- variables of programs and libraries ---- */

static void add_data_root(struct builder *b, const char *label, const char *module, ph_addr place,
                          uint32_t target)
{
    struct ph_root_reference reference = {
        .target = target,
        .flags = PH_REF_STRONG,
        .label = {PH_LABEL_NOTE, (uint64_t)(uintptr_t)label},
        .root = {.kind = PH_ROOT_DATA, .address = place, .name = module},
    };
    b->found[target]++;
    if (!ph_array_push(&b->graph->roots, reference))
        b->failed = true;
}

/* The object at an address, if its count is not explained yet. */
static uint32_t unexplained(const struct builder *b, ph_addr address)
{
    uint32_t id = address ? ph_heap_find(b->heap, address) : PH_NO_OBJECT;
    return id != PH_NO_OBJECT && count_native(b, id) ? id : PH_NO_OBJECT;
}

/* Whether what lies at `other` is of an object's kind: of its type, or a free block of its size. */
static bool is_alike(const struct builder *b, uint32_t id, ph_addr other)
{
    uint32_t neighbour = ph_heap_find(b->heap, other);
    if (neighbour != PH_NO_OBJECT)
        return b->heap->type_ids[neighbour] == b->heap->type_ids[id];
    const struct ph_run *own = ph_blocks_find(&b->heap->blocks, ph_heap_address(b->heap, id));
    const struct ph_run *run = ph_blocks_find(&b->heap->blocks, other);
    return own && run && own->block_bytes == run->block_bytes;
}

/* Whether a variable is part of the interpreter's state, which is one from 3.11 on. */
static bool is_state(const struct builder *b, ph_addr place)
{
    return place >= b->state && place < b->state_end;
}

static void find_state(struct builder *b)
{
    const struct ph_python *python = b->heap->objects.python;
    uint64_t bytes = 0;
    if (ph_target_section(python->target, ".PyRuntime", &b->state, &bytes) ||
        python->anchor < b->state || python->anchor >= b->state + bytes) {
        b->state = python->anchor;
        bytes = STATE_BYTES;
    }
    b->state_end = b->state + bytes;
    b->interpreter = ph_target_module_at(python->target, python->type_type);
    if (!is_state(b, python->interpreters.items[0].address))
        b->state_end = b->state;
}

/* Types whose freed objects the interpreter keeps for the next, in arrays of its state (before: of
 * its data) that are not cleared: what stands there, between others of its kind, may be what is
 * left of a free list. Of other modules' data it is not: there Cython, for one, has the constants
 * of its code in a row. */
static bool may_be_free_list(const struct builder *b, const struct ph_module *module, ph_addr place,
                             const uint8_t *words, size_t len, size_t i, uint32_t target)
{
    static const struct ph_family *const kept[] = {
        &ph_family_list,  &ph_family_dict,   &ph_family_tuple,     &ph_family_float,
        &ph_family_frame, &ph_family_method, &ph_family_cfunction, &ph_family_slice,
    };
    const struct ph_python *python = b->heap->objects.python;
    size_t word = ph_word_bytes(python);
    bool is_kept = false;
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
        is_kept |= ph_heap_type(b->heap, target)->family == kept[k];
    if (!is_kept || is_state(b, place))
        return is_kept;
    if (module != b->interpreter)
        return false;
    int alike = 0;
    for (int n = -NEIGHBOURS; n <= NEIGHBOURS; n++) {
        size_t at = i + (size_t)n * word; /* wraps below the first */
        alike += n && at + word <= len && at < len &&
                 is_alike(b, target, ph_load_ptr(python, words + at));
    }
    return alike >= NEIGHBOURS;
}

/* Words of a module's data that are references to objects whose counts are not explained otherwise.
 * Others may be borrowed, or what is left of references that are gone. */
static void search_data(struct builder *b, const char *label, const struct ph_module *module,
                        ph_addr start, ph_addr end)
{
    const struct ph_python *python = b->heap->objects.python;
    size_t len, word = ph_word_bytes(python);
    const uint8_t *words = ph_target_view_some(python->target, start, end - start, &len);
    for (size_t i = 0; words && i + word <= len && !b->failed; i += word) {
        uint32_t target = unexplained(b, ph_load_ptr(python, words + i));
        if (target != PH_NO_OBJECT &&
            !may_be_free_list(b, module, start + i, words, len, i, target))
            add_data_root(b, label, module->path, start + i, target);
    }
}

/* Memory that may have been allocated, at whose beginning no object is. */
static bool is_plain_memory(const struct builder *b, ph_addr address)
{
    const struct ph_region *region = ph_target_region_at(b->heap->objects.python->target, address);
    return region && (region->flags & PH_REGION_WRITE) &&
           ph_heap_find(b->heap, address) == PH_NO_OBJECT;
}

/* A list of strs, numbers and the like. */
static bool is_list_of_atoms(const struct builder *b, uint32_t id)
{
    const uint32_t *first = b->graph->out.first;
    if (ph_heap_type(b->heap, id)->family != &ph_family_list)
        return false;
    for (uint32_t i = first[id]; i < first[id + 1]; i++) {
        uint32_t item = b->targets.items[i];
        if (item != NOT_AN_EDGE && ph_heap_type(b->heap, item)->has_refs)
            return false;
    }
    return true;
}

/* While a script runs that was compiled from source, the compiler's arena keeps a list of its
 * constants: {a_head, a_cur, a_objects}, which only the C stack refers to (Python/pyarena.c). */
static void search_stack(struct builder *b, const struct ph_region *stack)
{
    const struct ph_python *python = b->heap->objects.python;
    size_t len, word = ph_word_bytes(python);
    const uint8_t *words =
        ph_target_view_some(python->target, stack->start, stack->end - stack->start, &len);
    for (size_t i = 0; words && i + word <= len && !b->failed; i += word) {
        ph_addr arena = ph_load_ptr(python, words + i);
        if (arena % word || !is_plain_memory(b, arena))
            continue;
        size_t had;
        const uint8_t *fields = ph_target_view_some(python->target, arena, 3 * word, &had);
        uint32_t list = PH_NO_OBJECT;
        if (fields && had == 3 * word)
            list = unexplained(b, ph_load_ptr(python, fields + 2 * word));
        if (list != PH_NO_OBJECT && is_list_of_atoms(b, list) &&
            is_plain_memory(b, ph_load_ptr(python, fields)) &&
            is_plain_memory(b, ph_load_ptr(python, fields + word)))
            add_data_root(b, "arena of the compiler", "the C stack", arena + 2 * word, list);
    }
}

/* To 3.10, and of sub-interpreters, the state is memory of malloc's, with caches in it that nothing
 * else tells of: free lists too, so that what has one is not believed. */
static void search_states(struct builder *b)
{
    const struct ph_python *python = b->heap->objects.python;
    static const struct ph_module state = {.path = "the interpreter"};
    for (uint32_t i = 0; i < python->interpreters.count; i++) {
        ph_addr start = python->interpreters.items[i].address;
        uint64_t bytes = ph_chunk_bytes(python, start);
        if (ph_target_module_at(python->target, start) || bytes > STATE_BYTES)
            continue;
        b->state = start;
        b->state_end = start + bytes;
        search_data(b, "inner state", &state, start, start + bytes);
    }
}

/* Static variables of extension modules, caches of the interpreter that nothing else tells of. */
static void search_modules(struct builder *b)
{
    struct ph_target *target = b->heap->objects.python->target;
    size_t module_count, region_count;
    const struct ph_module *modules = ph_target_modules(target, &module_count);
    const struct ph_region *regions = ph_target_regions(target, &region_count);
    if (b->interned.keys && count_native(b, b->interned.id))
        add_data_root(b, "interned strings", "the interpreter", 0, b->interned.id);
    find_state(b);
    for (size_t m = 0; m < module_count; m++) {
        for (size_t r = 0; r < region_count; r++) {
            const struct ph_region *region = &regions[r];
            ph_addr start = region->start > modules[m].start ? region->start : modules[m].start;
            ph_addr end = region->end < modules[m].end ? region->end : modules[m].end;
            if (start < end && (region->flags & PH_REGION_WRITE))
                search_data(b, "static data", &modules[m], start, end);
        }
    }
    search_states(b);
    for (size_t r = 0; r < region_count; r++) {
        if (regions[r].flags & PH_REGION_STACK)
            search_stack(b, &regions[r]);
    }
}

static void close_gaps(struct builder *b)
{
    struct ph_graph *graph = b->graph;
    uint32_t kept = 0;
    for (uint32_t id = 0, at = 0; id < b->heap->count; id++) {
        uint32_t end = graph->out.first[id + 1];
        graph->out.first[id] = kept;
        for (; at < end; at++) {
            if (b->targets.items[at] != NOT_AN_EDGE)
                b->targets.items[kept++] = b->targets.items[at];
        }
    }
    b->targets.count = kept;
    graph->out.first[b->heap->count] = kept;
    kept = 0;
    for (uint32_t i = 0; i < graph->roots.count; i++) {
        if (graph->roots.items[i].target != NOT_AN_EDGE)
            graph->roots.items[kept++] = graph->roots.items[i];
    }
    graph->roots.count = kept;
}

/* ---- roots ---- */

static int by_target(const void *a, const void *b)
{
    const struct ph_root_reference *x = a, *y = b;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    if (x->root.address != y->root.address)
        return x->root.address < y->root.address ? -1 : 1;
    if (x->label.kind != y->label.kind)
        return x->label.kind < y->label.kind ? -1 : 1;
    return x->label.arg < y->label.arg ? -1 : x->label.arg > y->label.arg;
}

static bool is_static(const struct ph_heap *heap, uint32_t id)
{
    if (heap->flags[id] & PH_OBJECT_IN_BLOCK)
        return false;
    const struct ph_region *region =
        ph_target_region_at(heap->objects.python->target, ph_heap_address(heap, id));
    return region && !(region->flags & PH_REGION_ANON);
}

static void find_rooted_piece(void *ctx, uint32_t first, uint32_t end)
{
    const struct builder *b = ctx;
    struct ph_graph *graph = b->graph;
    for (uint32_t id = first; id < end; id++) {
        int64_t count;
        struct ph_object o;
        if (is_static(b->heap, id))
            graph->states[id] |= PH_ROOTED_STATIC;
        if (!ph_heap_open(b->heap, id, &o))
            continue;
        if (!ph_object_refcount(&b->heap->objects, &o, &count))
            graph->states[id] |= PH_ROOTED_IMMORTAL;
        else if (count > 0 && (uint64_t)count > b->found[id])
            graph->states[id] |= PH_ROOTED_NATIVE;
    }
}

/* What is rooted, and below what. Row `root` of the edges is the last. */
static enum ph_status find_rooted(struct builder *b)
{
    const struct ph_sharing sharing = {
        .piece_ids = OBJECTS_A_PIECE, .work = find_rooted_piece, .ctx = b};
    struct ph_graph *graph = b->graph;
    if (graph->roots.count)
        qsort(graph->roots.items, graph->roots.count, sizeof *graph->roots.items, by_target);
    for (uint32_t i = 0; i < graph->roots.count; i++)
        graph->states[graph->roots.items[i].target] |= PH_ROOTED_NAMED;
    return ph_heap_share(b->heap, &sharing, b->host);
}

static void add_root_edge(struct builder *b, uint32_t id)
{
    if (!ph_array_push(&b->targets, id))
        b->failed = true;
}

/* Mark what is reached from the objects below the root so far: those that are rooted in one of
 * these ways, if nothing did before. */
static enum ph_status mark_reached(struct builder *b, unsigned rooted, enum ph_alive mark)
{
    struct ph_graph *graph = b->graph;
    const struct ph_edges edges = {b->heap->count, graph->out.first, b->targets.items};
    struct ph_nodes pending = {0};
    enum ph_status status = PH_OK;
    for (uint32_t i = graph->out.first[graph->root]; !status && i < b->targets.count; i++) {
        uint32_t id = b->targets.items[i];
        if (!(graph->states[id] & rooted) || b->alive[id])
            continue;
        b->alive[id] = (uint8_t)mark;
        status = ph_array_push(&pending, id) ? PH_OK : PH_NO_MEMORY;
    }
    if (!status)
        status = ph_edges_reach(&edges, &pending, b->alive, PH_ALIVE_NOT, (uint8_t)mark, b->host);
    ph_array_free(&pending);
    return status;
}

static enum ph_status mark_alive(struct builder *b)
{
    const unsigned seen = PH_ROOTED_NAMED | PH_ROOTED_STATIC | PH_ROOTED_IMMORTAL;
    enum ph_status status = mark_reached(b, seen, PH_ALIVE_SEEN);
    return status ? status : mark_reached(b, PH_ROOTED_NATIVE, PH_ALIVE_NATIVE);
}

/* Garbage hangs below the root by the members of those of its components that no other garbage
 * refers to. */
static enum ph_status root_garbage(struct builder *b)
{
    struct ph_graph *graph = b->graph;
    const struct ph_edges edges = {b->heap->count, graph->out.first, b->targets.items};
    struct ph_components parts;
    uint8_t *dead = ph_malloc((size_t)b->heap->count + 1);
    bool any = false;
    for (uint32_t id = 0; dead && id < b->heap->count; id++)
        any |= dead[id] = b->alive[id] == PH_ALIVE_NOT;
    enum ph_status status = dead ? PH_OK : PH_NO_MEMORY;
    if (!status && any)
        status = ph_components_find(&edges, dead, b->host, &parts);
    if (!status && any) {
        uint8_t *below = ph_calloc((size_t)parts.count + 1, 1); /* another component */
        for (uint32_t id = 0; below && id < b->heap->count; id++) {
            for (uint32_t i = edges.first[id]; dead[id] && i < edges.first[id + 1]; i++) {
                uint32_t target = b->targets.items[i];
                if (dead[target] && parts.of[target] != parts.of[id])
                    below[parts.of[target]] = 1;
            }
        }
        for (uint32_t id = 0; below && id < b->heap->count; id++) {
            if (dead[id] && !below[parts.of[id]]) {
                graph->states[id] |= PH_ROOTED_GARBAGE;
                add_root_edge(b, id);
            }
        }
        status = below ? PH_OK : PH_NO_MEMORY;
        free(below);
        ph_components_free(&parts);
    }
    free(dead);
    return b->failed ? PH_NO_MEMORY : status;
}

static enum ph_status add_root_row(struct builder *b)
{
    struct ph_graph *graph = b->graph;
    enum ph_status status = find_rooted(b);
    if (status)
        return status;
    for (uint32_t id = 0; id < b->heap->count; id++) {
        if (graph->states[id])
            add_root_edge(b, id);
        if ((graph->states[id] & PH_ROOTED_NATIVE) &&
            !ph_array_push(&graph->natives, ((struct ph_native){id, count_native(b, id)})))
            b->failed = true;
    }
    free(b->found);
    b->found = NULL;
    status = b->failed ? PH_NO_MEMORY : mark_alive(b);
    if (!status)
        status = root_garbage(b);
    if (status)
        return status;
    for (uint32_t id = 0; id < b->heap->count; id++)
        graph->states[id] |= (uint8_t)(b->alive[id] << PH_ALIVE_SHIFT);
    free(b->alive);
    b->alive = NULL;
    graph->out.first[graph->root + 1] = b->targets.count;
    return PH_OK;
}

/* ---- all of it ---- */

static bool allocate(struct builder *b)
{
    struct ph_graph *graph = b->graph;
    size_t count = graph->heap->count;
    graph->out.node_count = graph->root + 1;
    graph->out.first = ph_calloc(count + 2, sizeof *graph->out.first);
    graph->states = ph_calloc(count + 1, 1);
    b->alive = ph_calloc(count + 1, 1);
    b->found = ph_calloc(count + 1, sizeof *b->found);
    return graph->out.first && graph->states && b->alive && b->found;
}

static enum ph_status build(struct builder *b)
{
    struct ph_graph *graph = b->graph;
    if (!allocate(b))
        return PH_NO_MEMORY;
    enum ph_status status = find_edges(b);
    if (status)
        return status;
    ph_heap_roots(&b->heap->objects, see_root, b);
    drop_interned(b);
    settle_doubts(b);
    search_modules(b);
    close_gaps(b);
    status = b->failed ? PH_NO_MEMORY : add_root_row(b);
    if (status)
        return status;
    graph->out.targets = b->targets.items;
    b->targets.items = NULL;
    return PH_OK;
}

static enum ph_status fail(struct ph_error *err, enum ph_status status)
{
    return ph_fail(err, status,
                   status == PH_INTERRUPTED ? "interrupted" : "out of memory for the graph");
}

enum ph_status ph_graph_build(struct ph_heap *heap, const struct ph_host *host,
                              struct ph_graph **out, struct ph_error *err)
{
    struct builder b = {.heap = heap, .host = host, .graph = ph_calloc(1, sizeof *b.graph)};
    if (!b.graph)
        return fail(err, PH_NO_MEMORY);
    b.graph->heap = heap;
    b.graph->root = heap->count;
    enum ph_status status = build(&b);
    ph_host_progress(host, NULL, 0);
    free(b.targets.items);
    free(b.found);
    free(b.alive);
    ph_array_free(&b.doubts);
    if (status) {
        ph_graph_destroy(b.graph);
        return fail(err, status);
    }
    *out = b.graph;
    return PH_OK;
}

static void free_retained(struct ph_graph *graph)
{
    free(graph->retained);
    graph->retained = NULL;
    ph_map_free(&graph->vast);
    ph_array_free(&graph->vast_retained);
}

void ph_graph_destroy(struct ph_graph *graph)
{
    if (!graph)
        return;
    ph_edges_free(&graph->out);
    ph_edges_free(&graph->in);
    ph_array_free(&graph->roots);
    ph_dominators_free(&graph->dominators);
    free(graph->states);
    ph_array_free(&graph->natives);
    free_retained(graph);
    free(graph);
}

/* ---- retained sizes ---- */

static uint64_t *vast_at(const struct ph_graph *graph, uint32_t place)
{
    uint32_t at = 0;
    ph_map_find(&graph->vast, (uint64_t)place + 1, &at);
    return &graph->vast_retained.items[at];
}

uint64_t ph_graph_vast(const struct ph_graph *graph, uint32_t place)
{
    return *vast_at(graph, place);
}

static bool add_retained(struct ph_graph *graph, uint32_t place, uint64_t bytes)
{
    uint32_t *retained = &graph->retained[place];
    if (*retained != PH_VAST && bytes < PH_VAST - *retained) {
        *retained += (uint32_t)bytes;
        return true;
    }
    if (*retained != PH_VAST) {
        bytes = ph_add_saturated(bytes, *retained);
        *retained = PH_VAST;
        return ph_array_push(&graph->vast_retained, bytes) &&
               ph_map_insert(&graph->vast, (uint64_t)place + 1, graph->vast_retained.count - 1);
    }
    uint64_t *vast = vast_at(graph, place);
    *vast = ph_add_saturated(*vast, bytes);
    return true;
}

/* Whoever is above has a lower place: so from the last one on each is complete when its turn comes,
 * but for its own size. */
static enum ph_status add_up(struct ph_graph *graph, const struct ph_host *host)
{
    struct ph_heap *heap = graph->heap;
    const struct ph_dominators *tree = &graph->dominators;
    graph->retained = ph_calloc(tree->reached, sizeof *graph->retained);
    if (!graph->retained)
        return PH_NO_MEMORY;
    for (uint32_t place = tree->reached; place-- > PH_ROOT_PLACE + 1;) {
        if (place % OBJECTS_A_LOOK == 0 && ph_host_interrupted(host))
            return PH_INTERRUPTED;
        if (place > PH_AHEAD)
            ph_fetch(&heap->sizes[tree->order[place - PH_AHEAD]]);
        if (!add_retained(graph, place, ph_heap_sizeof(heap, tree->order[place])) ||
            !add_retained(graph, tree->above[place], ph_graph_retained(graph, place)))
            return PH_NO_MEMORY;
    }
    return PH_OK;
}

static enum ph_status reverse(struct ph_graph *graph, const struct ph_host *host)
{
    const struct ph_edges edges = {graph->root, graph->out.first, graph->out.targets};
    return graph->in.first ? PH_OK : ph_edges_reverse(&edges, host, &graph->in);
}

enum ph_status ph_graph_reverse(struct ph_graph *graph, const struct ph_host *host,
                                struct ph_error *err)
{
    ph_host_progress(host, "following references", 100);
    enum ph_status status = reverse(graph, host);
    ph_host_progress(host, NULL, 0);
    return status ? fail(err, status) : PH_OK;
}

/* What two workers do at the same time: the sums, and what `why` will need. */
struct finishing {
    struct ph_graph *graph;
    const struct ph_host *host; /* of the first worker */
    enum ph_status reversed, added;
    bool stop; /* the first was interrupted */
};

static bool is_stopped(void *ctx)
{
    return __atomic_load_n((bool *)ctx, __ATOMIC_RELAXED);
}

static void finish(void *ctx, unsigned worker)
{
    struct finishing *f = ctx;
    const struct ph_host stopping = {.ctx = &f->stop, .interrupted = is_stopped};
    if (worker == 0) {
        f->reversed = reverse(f->graph, f->host);
        if (f->reversed)
            __atomic_store_n(&f->stop, true, __ATOMIC_RELAXED);
    } else {
        f->added = add_up(f->graph, &stopping);
    }
}

enum ph_status ph_graph_measure(struct ph_graph *graph, const struct ph_host *host,
                                struct ph_error *err)
{
    struct finishing f = {.graph = graph, .host = host};
    if (graph->retained)
        return PH_OK;
    ph_host_progress(host, "finding dominators", 0);
    enum ph_status status = ph_dominators_find(&graph->out, graph->root, host, &graph->dominators);
    if (!status)
        status = ph_heap_measure(graph->heap, false, host, NULL);
    if (!status) {
        ph_parallel(2, finish, &f);
        status = f.reversed ? f.reversed : f.added;
    }
    ph_host_progress(host, NULL, 0);
    if (!status)
        return PH_OK;
    free_retained(graph);
    ph_dominators_free(&graph->dominators);
    return fail(err, status);
}

/* ---- questions ---- */

uint32_t ph_graph_first_root(const struct ph_graph *graph, uint32_t id)
{
    return ph_array_lower_bound(&graph->roots, id);
}

struct label_search {
    uint32_t target;
    struct ph_label label;
    bool found;
};

static void see_edge(void *ctx, uint32_t target, struct ph_label label, unsigned flags)
{
    struct label_search *s = ctx;
    if (s->found || target != s->target || !holds(flags))
        return;
    s->label = label;
    s->found = true;
}

bool ph_graph_label(const struct ph_graph *graph, uint32_t source, uint32_t target,
                    struct ph_label *label)
{
    struct label_search s = {.target = target};
    ph_heap_edges(graph->heap, source, see_edge, &s);
    *label = s.label;
    return s.found;
}
