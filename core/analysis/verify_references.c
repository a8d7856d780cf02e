/* References: each leads to an object, and no object has a count below those that own one. */
#include "analysis/verify_internal.h"

#include <inttypes.h>

#include "objects/str.h"

static const char *where(const struct ph_verifier *v, ph_addr target)
{
    const struct ph_blocks *blocks = &v->heap->blocks;
    const struct ph_run *run = ph_blocks_find(blocks, target);
    uint32_t slot;
    uint64_t offset;
    if (run && ph_run_block(run, target, &slot, &offset) &&
        blocks->slots.items[slot] == PH_SLOT_FREE)
        return "a freed block";
    return ph_target_is_mapped(v->python->target, target) ? "no object" : "unmapped memory";
}

/* Memory that is there in the target and not in ours says nothing. */
static bool is_readable(const struct ph_verifier *v, ph_addr target)
{
    return !ph_target_is_mapped(v->python->target, target) ||
           ph_target_view(v->python->target, target, (size_t)v->python->layout.object.size);
}

static void report_dangling(struct ph_verifier *v, ph_addr holder, ph_addr target,
                            struct ph_label label, bool passing)
{
    if (!is_readable(v, target) || ph_verify_missing(v, target, false))
        return;
    ph_str_clear(&v->text);
    ph_label_format(&v->heap->objects, label, &v->text);
    ph_report(v, holder, PH_PROBLEM_REFERENCE, passing, "%s refers to %s at 0x%" PRIx64,
              ph_str_text(&v->text), where(v, target), target);
}

static bool is_frame_slot(struct ph_label label)
{
    return label.kind == PH_LABEL_LOCAL || label.kind == PH_LABEL_CELL ||
           label.kind == PH_LABEL_STACK;
}

/* Whether the reference is sure to be one. The slots of frames are not while their thread runs. */
static bool is_certain(const struct ph_verifier *v, struct ph_label label, unsigned flags)
{
    return (flags & PH_REF_STRONG) && !(flags & (PH_REF_GUESS | PH_REF_STALE)) &&
           (v->at_rest || !is_frame_slot(label));
}

/* The dict of interned strings counts neither the key nor the value of its mortal strings, which
 * are each the same string (Objects/unicodeobject.c). The key's reference follows the value's. */
static bool is_interned(struct ph_verifier *v, ph_addr target, uint32_t id, struct ph_label label)
{
    struct ph_object o;
    if (label.kind == PH_LABEL_KEY)
        return v->interned == target;
    v->interned = 0;
    if (label.kind == PH_LABEL_VALUE && label.arg == target && ph_heap_open(v->heap, id, &o) &&
        ph_str_object_is_interned_mortal(&v->heap->objects, &o))
        v->interned = target;
    return v->interned != 0;
}

/* What an object refers to without owning a count, though it should; 0: nothing. To 3.11 a type
 * that C code makes of a spec need not own its base (Objects/structseq.c:
 * PyStructSequence_NewType), and to 3.7 its instances need not own their type (Objects/object.c:
 * PyObject_Init). */
static ph_addr uncounted_target(struct ph_verifier *v, const struct ph_object *o)
{
    const struct ph_layout *L = &v->python->layout;
    if (o->type->flags & PH_TPFLAGS_TYPE_SUBCLASS) {
        const struct ph_type *made = ph_type_at(&v->heap->objects, o->address);
        bool of_spec = made && !made->is_python_class && L->version < 0x030c0000;
        return of_spec ? ph_object_ptr(&v->heap->objects, o, L->type.tp_base) : 0;
    }
    return o->type->is_python_class || L->version >= 0x03080000 ? 0 : o->type->address;
}

/* Whether it is the last item of a list to which a thread may append at this instant: the list is
 * longer before the item is there (Objects/listobject.c: app1()), and what was there before is not
 * taken away. */
static bool is_appended(struct ph_verifier *v, struct ph_label label)
{
    struct ph_object o;
    return !v->at_rest && label.kind == PH_LABEL_ITEM && ph_heap_open(v->heap, v->source, &o) &&
           (o.type->flags & PH_TPFLAGS_LIST_SUBCLASS) &&
           (int64_t)label.arg + 1 == ph_object_var_size(&v->heap->objects, &o);
}

static void see_ref(void *ctx, ph_addr target, struct ph_label label, unsigned flags)
{
    struct ph_verifier *v = ctx;
    if (!is_certain(v, label, flags))
        return;
    uint32_t id = ph_heap_find(v->heap, target);
    if (id == PH_NO_OBJECT) {
        report_dangling(v, ph_heap_address(v->heap, v->source), target, label,
                        is_appended(v, label));
        return;
    }
    bool owns =
        !(flags & (PH_REF_SHARED | PH_REF_BORROWED)) && v->source_counts && target != v->uncounted;
    if (owns && !is_interned(v, target, id, label) && !ph_array_push(&v->owned, id))
        v->failed = true;
}

/* Objects in a module's data may have been given references that nobody counted: bases of static
 * types, items of frozen tuples (3.11 on). */
static bool counts(const struct ph_verifier *v, uint32_t id, ph_addr address)
{
    bool is_static =
        !(v->heap->flags[id] & PH_OBJECT_IN_BLOCK) && ph_heap_is_static(v->heap, address);
    return !is_static && !(v->busy.count && ph_map_find(&v->busy, address, NULL));
}

void ph_verify_references(struct ph_verifier *v, uint32_t id, const struct ph_object *o)
{
    v->source = id;
    v->source_counts = counts(v, id, o->address);
    v->uncounted = uncounted_target(v, o);
    v->interned = 0;
    ph_object_refs(&v->heap->objects, o, &(struct ph_visitor){see_ref, v});
}

/* The interpreter's state is not counted: some of its fields borrow. While it starts or ends, parts
 * of it are not there. */
static void see_root(void *ctx, const struct ph_root *root, ph_addr target, struct ph_label label,
                     unsigned flags)
{
    struct ph_verifier *v = ctx;
    bool is_frame = root->kind == PH_ROOT_FRAME;
    bool settled = is_frame ? v->at_rest : v->python->state == PH_PYTHON_RUNS;
    if (!settled || !is_certain(v, label, flags))
        return;
    uint32_t id = ph_heap_find(v->heap, target);
    if (id == PH_NO_OBJECT)
        report_dangling(v, root->address, target, label, PH_LASTING);
    else if (is_frame && !(flags & (PH_REF_SHARED | PH_REF_BORROWED)))
        v->found[id]++;
}

void ph_verify_roots(struct ph_verifier *v)
{
    ph_heap_roots(&v->heap->objects, see_root, v);
}

static void check_count(struct ph_verifier *v, uint32_t id)
{
    int64_t count;
    if (v->found[id] && ph_heap_refcount(v->heap, id, &count) && count < (int64_t)v->found[id])
        ph_report(v, ph_heap_address(v->heap, id), PH_PROBLEM_REFCOUNT, count + 1 == v->found[id],
                  "its reference count is %" PRId64 ", and %" PRIu32 " references were found",
                  count, v->found[id]);
}

void ph_verify_counts(struct ph_verifier *v)
{
    /* Two counts that other threads change are no sum. */
    if (v->python->layout.traits.refcount == PH_REFCOUNT_WORD || v->at_rest)
        ph_verify_objects(v, NULL, check_count);
}
