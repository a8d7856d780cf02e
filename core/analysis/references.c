#include "analysis/references.h"

#include <inttypes.h>

#include "objects/frame.h"
#include "objects/str.h"

struct search {
    struct ph_heap *heap;
    struct ph_map targets; /* address -> id */
    ph_addr only;          /* the address where there is a single target, else 0 */
    uint32_t only_id;
    struct ph_references *pieces; /* by piece of the sources, what was found there */
    struct ph_leads *leads;       /* by piece, to be noted; NULL: they are known */
    bool failed;
};

/* One source's references, or all roots', and where those that are looked for go to. */
struct sight {
    const struct search *search;
    uint32_t source;
    struct ph_leads *leads; /* NULL: not to be noted */
    struct ph_references *out;
    bool failed;
};

/* The target's id, or PH_NO_OBJECT; called for every reference of the heap. */
static inline uint32_t wanted(const struct search *s, ph_addr target)
{
    if (s->only)
        return target == s->only ? s->only_id : PH_NO_OBJECT;
    uint32_t id;
    return ph_map_find(&s->targets, target, &id) ? id : PH_NO_OBJECT;
}

static void note(struct sight *s, uint32_t target, const struct ph_root *root,
                 struct ph_label label, unsigned flags)
{
    struct ph_reference r = {.source = s->source, .target = target, .label = label, .flags = flags};
    if (root)
        r.root = *root;
    if (!ph_array_push(s->out, r))
        s->failed = true;
}

static void see_ref(void *ctx, ph_addr target, struct ph_label label, unsigned flags)
{
    struct sight *s = ctx;
    if (s->leads)
        ph_leads_note(s->leads, target);
    uint32_t id = wanted(s->search, target);
    if (id != PH_NO_OBJECT && !(flags & PH_REF_SHARED))
        note(s, id, NULL, label, flags);
}

static void see_root(void *ctx, const struct ph_root *root, ph_addr target, struct ph_label label,
                     unsigned flags)
{
    struct sight *s = ctx;
    uint32_t id = wanted(s->search, target);
    if (id != PH_NO_OBJECT)
        note(s, id, root, label, flags);
}

/* Hand a source's references to see_ref(). */
static void look_at(struct sight *s, uint32_t source)
{
    struct ph_heap *heap = s->search->heap;
    struct ph_object o;
    s->source = source;
    if (ph_heap_type(heap, source)->has_refs && ph_heap_open(heap, source, &o))
        ph_object_refs(&heap->objects, &o, &(struct ph_visitor){see_ref, s});
}

/* Whether what is looked for may be among what the objects of a piece refer to. */
static bool may_lead(const struct search *s, const struct ph_leads *leads)
{
    size_t at = 0;
    uint64_t target;
    if (s->only)
        return ph_leads_may(leads, s->only);
    while (ph_map_next(&s->targets, &at, &target, NULL)) {
        if (ph_leads_may(leads, target))
            return true;
    }
    return false;
}

static void search_piece(void *ctx, uint32_t first, uint32_t end)
{
    struct search *search = ctx;
    struct ph_heap *heap = search->heap;
    uint32_t piece = first / PH_LEADS_IDS;
    struct sight s = {.search = search, .out = &search->pieces[piece]};
    s.out->count = 0;
    if (search->leads)
        s.leads = &search->leads[piece];
    else if (!may_lead(search, &heap->leads[piece]))
        return;
    for (uint32_t id = first; id < end; id++)
        look_at(&s, id);
    if (s.failed)
        __atomic_store_n(&search->failed, true, __ATOMIC_RELAXED);
}

/* The references of objects, by ascending source. */
static enum ph_status search_objects(struct search *s, const struct ph_host *host,
                                     struct ph_references *out)
{
    const struct ph_sharing sharing = {.piece_ids = PH_LEADS_IDS, .work = search_piece, .ctx = s};
    uint32_t count = s->heap->count / PH_LEADS_IDS + 1;
    s->pieces = ph_calloc(count, sizeof *s->pieces);
    s->leads = s->heap->leads ? NULL : ph_calloc(count, sizeof *s->leads);
    enum ph_status status = PH_NO_MEMORY;
    if (s->pieces && (s->leads || s->heap->leads))
        status = ph_heap_share(s->heap, &sharing, host);
    if (!status && s->leads)
        s->heap->leads = s->leads;
    else
        free(s->leads);
    for (uint32_t i = 0; s->pieces && i < count; i++) {
        for (uint32_t k = 0; k < s->pieces[i].count && !s->failed; k++)
            s->failed = !ph_array_push(out, s->pieces[i].items[k]);
        ph_array_free(&s->pieces[i]);
    }
    free(s->pieces);
    return status ? status : s->failed ? PH_NO_MEMORY : PH_OK;
}

/* The same, where they were noted while the snapshot was built. */
static enum ph_status search_holders(const struct search *s, struct ph_references *out)
{
    const struct ph_watch *watch = &s->heap->watch;
    struct sight sight = {.search = s, .out = out};
    for (uint32_t i = 0; i < watch->holders.count && !sight.failed; i++)
        look_at(&sight, watch->holders.items[i]);
    return sight.failed ? PH_NO_MEMORY : PH_OK;
}

static enum ph_status search_roots(const struct search *s, struct ph_references *out)
{
    struct sight sight = {.search = s, .source = PH_NO_OBJECT, .out = out};
    ph_heap_roots(&s->heap->objects, see_root, &sight);
    return sight.failed ? PH_NO_MEMORY : PH_OK;
}

uint64_t ph_references_strong(const struct ph_references *references, uint32_t target)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < references->count; i++) {
        const struct ph_reference *r = &references->items[i];
        n += r->target == target && (r->flags & PH_REF_STRONG) &&
             !(r->flags & (PH_REF_STALE | PH_REF_BORROWED));
    }
    return n;
}

/* The dict of interned strings holds each as key and value without counting either
 * (Objects/unicodeobject.c: PyUnicode_InternInPlace). Its entries are those whose value is its own
 * key. */
static void weaken_interned(struct ph_heap *heap, struct ph_references *refs)
{
    for (uint32_t i = 0; i < refs->count; i++) {
        struct ph_reference *r = &refs->items[i];
        struct ph_object o;
        if (r->label.kind != PH_LABEL_VALUE || r->label.arg != ph_heap_address(heap, r->target) ||
            !ph_heap_open(heap, r->target, &o) ||
            !ph_str_object_is_interned_mortal(&heap->objects, &o))
            continue;
        /* The key's reference follows the value's. */
        r->flags = PH_REF_WEAK;
        if (i + 1 < refs->count && refs->items[i + 1].label.kind == PH_LABEL_KEY &&
            refs->items[i + 1].source == r->source)
            refs->items[i + 1].flags = PH_REF_WEAK;
    }
}

static bool has_unexplained(struct ph_heap *heap, const struct ph_references *refs, uint32_t target)
{
    int64_t count;
    return ph_heap_refcount(heap, target, &count) && count > 0 &&
           (uint64_t)count > ph_references_strong(refs, target);
}

/* Drop what may be leftovers where the reference count is explained without them. */
static void drop_stale(struct ph_heap *heap, struct ph_references *refs)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < refs->count; i++) {
        struct ph_reference r = refs->items[i];
        if ((r.flags & PH_REF_STALE) && !has_unexplained(heap, refs, r.target))
            continue;
        refs->items[kept++] = r;
    }
    refs->count = kept;
}

enum ph_status ph_referrers_find(struct ph_heap *heap, const uint32_t *targets,
                                 uint32_t target_count, const struct ph_host *host,
                                 struct ph_references *out, struct ph_error *err)
{
    struct search s = {.heap = heap};
    memset(out, 0, sizeof *out);
    if (target_count == 1) {
        s.only = ph_heap_address(heap, targets[0]);
        s.only_id = targets[0];
    }
    for (uint32_t i = 0; i < target_count && !s.only; i++)
        s.failed |= !ph_map_insert(&s.targets, ph_heap_address(heap, targets[i]), targets[i]);
    bool is_watched = s.only && s.only == heap->watch.target;
    enum ph_status status = s.failed     ? PH_NO_MEMORY
                            : is_watched ? search_holders(&s, out)
                                         : search_objects(&s, host, out);
    if (!status)
        status = search_roots(&s, out);
    ph_map_free(&s.targets);
    if (status) {
        ph_array_free(out);
        return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
    }
    weaken_interned(heap, out);
    drop_stale(heap, out);
    return PH_OK;
}

static void see_edge(void *ctx, uint32_t target, struct ph_label label, unsigned flags)
{
    if (!(flags & PH_REF_STALE))
        note(ctx, target, NULL, label, flags);
}

enum ph_status ph_referents_find(struct ph_heap *heap, uint32_t id, struct ph_references *out,
                                 struct ph_error *err)
{
    struct sight s = {.source = id, .out = out};
    memset(out, 0, sizeof *out);
    ph_heap_edges(heap, id, see_edge, &s);
    if (!s.failed)
        return PH_OK;
    ph_array_free(out);
    return ph_fail(err, PH_NO_MEMORY, "out of memory");
}

/* ---- words ---- */

static bool is_slot(struct ph_label label)
{
    return label.kind == PH_LABEL_LOCAL || label.kind == PH_LABEL_CELL ||
           label.kind == PH_LABEL_STACK;
}

const char *ph_reference_kind(const struct ph_reference *r)
{
    if (is_slot(r->label))
        return "frame";
    if (r->source != PH_NO_OBJECT)
        return "object";
    return r->root.kind == PH_ROOT_FRAME ? "frame" : "root";
}

ph_addr ph_reference_address(const struct ph_heap *heap, const struct ph_reference *r)
{
    return r->source == PH_NO_OBJECT ? r->root.address : ph_heap_address(heap, r->source);
}

static bool holding_frame(struct ph_heap *heap, const struct ph_reference *r,
                          struct ph_frame *frame)
{
    struct ph_object o;
    if (r->source == PH_NO_OBJECT)
        return r->root.kind == PH_ROOT_FRAME &&
               ph_frame_open(&heap->objects, r->root.address, frame);
    return is_slot(r->label) && ph_heap_open(heap, r->source, &o) &&
           ph_object_frame(&heap->objects, &o, frame);
}

/* The module of a variable; where there are several, the interpreter whose state a root is part of.
 */
static void append_place(const struct ph_python *python, const struct ph_root *root,
                         struct ph_str *out)
{
    if (root->kind == PH_ROOT_DATA) {
        ph_str_append(out, " of ");
        ph_str_append_visible(out, root->name, strlen(root->name));
    } else if (python->interpreters.count > 1)
        ph_str_appendf(out, " of interpreter %" PRId64,
                       python->interpreters.items[root->interpreter].id);
}

void ph_reference_label(struct ph_heap *heap, const struct ph_reference *r, struct ph_str *out)
{
    struct ph_frame frame;
    ph_label_format(&heap->objects, r->label, out);
    if (holding_frame(heap, r, &frame)) {
        ph_str_append(out, " in ");
        ph_frame_describe(&heap->objects, &frame, out);
    } else if (r->source == PH_NO_OBJECT) {
        append_place(heap->objects.python, &r->root, out);
    }
}
