/*
 * The collector's lists: rings that are linked both ways, of objects with GC headers that say
 * "tracked" and nothing that only a collection says (Modules/gcmodule.c, Python/gc.c).
 */
#include "analysis/verify_internal.h"

#include <inttypes.h>

#include "heap/collection.h"

enum {
    REFS_REACHABLE = -3,       /* gc_refs of a tracked object (Include/objimpl.h, to 3.7) */
    NEXT_MASK_UNREACHABLE = 1, /* of _gc_next, from 3.8 on */
    PREV_MASK_COLLECTING = 2,  /* of _gc_prev, from 3.8 on */
    NODES_A_LOOK = 1 << 16,
    OBJECTS_A_PIECE = 1 << 14,
};

struct list {
    struct ph_verifier *v;
    ph_addr head;
    bool collecting;
    bool links_back; /* hold: while a collection runs, from 3.8 on, they are counts */
};

static ph_addr object_behind(const struct list *list, ph_addr node)
{
    return node + (uint64_t)list->v->python->layout.gc_head.size;
}

/* What to call a node by: its object, or the head itself. */
static ph_addr name_of(const struct list *list, ph_addr node)
{
    return node == list->head ? node : object_behind(list, node);
}

static ph_addr link(const struct list *list, ph_addr node, int32_t offset)
{
    return ph_python_gc_link(list->v->python, node, offset);
}

/* A link forward that leads to a node whose link back does not lead here. One of the two is wrong:
 * the one forward, where the other names a node that leads there as well. */
static void report_mismatch(const struct list *list, ph_addr node, ph_addr next, ph_addr prev)
{
    const struct ph_layout *L = &list->v->python->layout;
    bool other = prev && prev != node && link(list, prev, L->gc_head.next) == next;
    if (other)
        ph_report(list->v, name_of(list, node), PH_PROBLEM_GC_LINK, PH_PASSING,
                  "its next in the collector's list, 0x%" PRIx64 ", comes after 0x%" PRIx64,
                  name_of(list, next), name_of(list, prev));
    else
        ph_report(list->v, name_of(list, next), PH_PROBLEM_GC_LINK, PH_PASSING,
                  "it comes after 0x%" PRIx64 " in the collector's list, and its link back is "
                  "0x%" PRIx64,
                  name_of(list, node), prev);
}

/* To 3.7: "reachable" in gc_refs, from 3.6 on above a flag. */
static bool refs_are_sane(const struct list *list, ph_addr node)
{
    const struct ph_python *python = list->v->python;
    const struct ph_layout *L = &python->layout;
    int64_t refs = (int64_t)ph_python_word(python, node, L->gc_head.refs);
    if (!python->wide)
        refs = (int32_t)refs;
    return (L->traits.gc_header == PH_GC_HEADER_REFS ? refs : refs >> 1) == REFS_REACHABLE;
}

static bool flags_are_sane(const struct list *list, ph_addr node)
{
    const struct ph_python *python = list->v->python;
    const struct ph_layout *L = &python->layout;
    if (L->traits.gc_header != PH_GC_HEADER_LINKS)
        return refs_are_sane(list, node);
    /* The incremental collector keeps in the low bit which space the object is in. */
    uint64_t next_flags = python->build & PH_BUILD_INCREMENTAL_GC ? 0 : NEXT_MASK_UNREACHABLE;
    return !(ph_python_word(python, node, L->gc_head.next) & next_flags) &&
           !(ph_python_word(python, node, L->gc_head.prev) & PREV_MASK_COLLECTING);
}

static void check_node(const struct list *list, ph_addr node)
{
    struct ph_verifier *v = list->v;
    ph_addr object = object_behind(list, node);
    if (ph_heap_find(v->heap, object) == PH_NO_OBJECT)
        ph_verify_missing(v, object, true);
    if (!list->collecting && !flags_are_sane(list, node))
        ph_report(v, object, PH_PROBLEM_GC_FLAGS, PH_PASSING,
                  "its GC header says that it is being collected, and no collection runs");
}

/* Whether the walk can go on from `node` to *next. */
static bool step(const struct list *list, ph_addr node, ph_addr *next)
{
    struct ph_verifier *v = list->v;
    const struct ph_layout *L = &v->python->layout;
    uint64_t word;
    if (!ph_target_word(v->python->target, node + (uint64_t)L->gc_head.next, &word))
        return false;
    *next = word & ~PH_GC_LINK_FLAGS;
    if (*next && *next % ph_word_bytes(v->python) == 0 &&
        ph_target_view(v->python->target, *next, (size_t)L->gc_head.size))
        return true;
    if (*next && ph_target_is_mapped(v->python->target, *next))
        return false; /* not in the core */
    ph_report(v, name_of(list, node), PH_PROBLEM_GC_LINK, PH_PASSING,
              "its link to the next object in the collector's list is 0x%" PRIx64, *next);
    return false;
}

static void check_list(const struct list *list)
{
    struct ph_verifier *v = list->v;
    const struct ph_layout *L = &v->python->layout;
    ph_addr node = list->head, next;
    /* A ring that does not close has more nodes than there are objects. */
    for (uint64_t n = 0; n <= (uint64_t)v->heap->count + 1 && step(list, node, &next); n++) {
        if (n % NODES_A_LOOK == NODES_A_LOOK - 1 && ph_verify_interrupted(v))
            return;
        ph_addr prev = link(list, next, L->gc_head.prev);
        if (list->links_back && prev != node)
            report_mismatch(list, node, next, prev);
        if (next == list->head)
            return;
        check_node(list, next);
        node = next;
    }
}

/* ---- all at once ---- */

/* Whether every node leads to one that leads back, which each object on a list can tell by itself,
 * so that many are looked at at the same time. To walk along a list is to wait for each node. */
struct links {
    struct ph_verifier *v;
    const struct ph_list_heads *heads;
    bool broken;
};

static bool is_head(const struct ph_list_heads *heads, ph_addr node)
{
    for (uint32_t i = 0; i < heads->count; i++) {
        if (heads->items[i] == node)
            return true;
    }
    return false;
}

/* What check_list() finds nothing wrong with. */
static bool is_linked(const struct links *links, ph_addr node)
{
    const struct ph_layout *L = &links->v->python->layout;
    const struct list list = {.v = links->v, .links_back = true};
    ph_addr next = link(&list, node, L->gc_head.next);
    return next && next % ph_word_bytes(links->v->python) == 0 &&
           link(&list, next, L->gc_head.prev) == node &&
           (ph_heap_find(links->v->heap, object_behind(&list, next)) != PH_NO_OBJECT ||
            is_head(links->heads, next));
}

static void check_links(void *ctx, uint32_t first, uint32_t end)
{
    struct links *links = ctx;
    const struct ph_heap *heap = links->v->heap;
    const struct list list = {.v = links->v};
    for (uint32_t id = first; id < end && !__atomic_load_n(&links->broken, __ATOMIC_RELAXED);
         id++) {
        ph_addr node = ph_heap_address(heap, id) - (uint64_t)links->v->python->layout.gc_head.size;
        if ((heap->flags[id] & PH_OBJECT_TRACKED) &&
            (!is_linked(links, node) || !flags_are_sane(&list, node)))
            __atomic_store_n(&links->broken, true, __ATOMIC_RELAXED);
    }
}

/* Whether all lists are sound: the snapshot came to their ends, over no node twice. */
static bool are_linked(struct ph_verifier *v, const struct ph_list_heads *heads)
{
    struct links links = {.v = v, .heads = heads, .broken = v->heap->broken_lists != 0};
    const struct ph_sharing sharing = {
        .piece_ids = OBJECTS_A_PIECE, .work = check_links, .ctx = &links};
    for (uint32_t i = 0; i < heads->count; i++)
        links.broken |= !is_linked(&links, heads->items[i]);
    if (!links.broken && ph_heap_share(v->heap, &sharing, v->host))
        links.broken = true;
    return !links.broken;
}

void ph_verify_gc_lists(struct ph_verifier *v)
{
    const struct ph_python *python = v->python;
    struct ph_list_heads heads = {0};
    /* To 3.6 nothing says whether a collection runs, unless it has taken objects off the lists. */
    bool collecting = python->layout.traits.gc_state == PH_GC_STATE_STATICS && !v->at_rest;
    /* Before 3.9 one collector serves all, and which interpreter says so is chance. */
    for (uint32_t i = 0; i < python->interpreters.count; i++)
        collecting |= python->interpreters.items[i].gc.collecting;
    bool links_back = !collecting || python->layout.traits.gc_header != PH_GC_HEADER_LINKS;
    for (uint32_t i = 0; i < python->interpreters.count; i++) {
        const struct ph_gc *gc = &python->interpreters.items[i].gc;
        for (unsigned g = 0; g <= PH_GEN_PERMANENT; g++) {
            if (gc->lists[g].head && !ph_array_push(&heads, gc->lists[g].head))
                v->failed = true;
        }
    }
    bool sound = heads.count && !collecting && !v->failed && are_linked(v, &heads);
    for (uint32_t i = 0; i < heads.count && !sound; i++)
        check_list(&(struct list){v, heads.items[i], collecting, links_back});
    v->reports->out->list_count += heads.count;
    ph_array_free(&heads);
}
