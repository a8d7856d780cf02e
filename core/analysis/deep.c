#include "analysis/deep.h"

enum { OBJECTS_A_LOOK = 1 << 14 };

struct walk {
    struct ph_heap *heap;
    PH_ARRAY(uint32_t) pending;
    uint8_t *seen; /* one bit an object */
    bool failed;
};

/* What programs are made of. Subclasses count too: a metaclass's instance is a class. */
static bool is_boundary(const struct ph_type *type)
{
    const struct ph_family *f = type->family;
    return (type->flags & PH_TPFLAGS_TYPE_SUBCLASS) || f == &ph_family_module ||
           f == &ph_family_function || f == &ph_family_code || f == &ph_family_old_class;
}

static bool mark(struct walk *w, uint32_t id)
{
    uint8_t bit = (uint8_t)(1 << (id & 7));
    bool is_new = !(w->seen[id >> 3] & bit);
    w->seen[id >> 3] |= bit;
    return is_new;
}

static void reach(void *ctx, uint32_t target, struct ph_label label, unsigned flags)
{
    struct walk *w = ctx;
    (void)label;
    if (!(flags & PH_REF_STRONG) || (flags & PH_REF_STALE) ||
        is_boundary(ph_heap_type(w->heap, target)))
        return;
    if (mark(w, target) && !ph_array_push(&w->pending, target))
        w->failed = true;
}

static void count(struct walk *w, uint32_t id, struct ph_type_sum *sums, struct ph_type_sum *total)
{
    uint64_t bytes = ph_heap_sizeof(w->heap, id);
    struct ph_type_sum *sum = &sums[w->heap->type_ids[id]];
    sum->count++;
    sum->bytes += bytes;
    total->count++;
    total->bytes += bytes;
}

static enum ph_status follow(struct walk *w, const struct ph_host *host, struct ph_type_sum *sums,
                             struct ph_type_sum *total)
{
    while (w->pending.count > 0 && !w->failed) {
        if (total->count % OBJECTS_A_LOOK == 0 && ph_host_interrupted(host))
            return PH_INTERRUPTED;
        uint32_t id = w->pending.items[--w->pending.count];
        count(w, id, sums, total);
        if (ph_heap_type(w->heap, id)->has_refs)
            ph_heap_edges(w->heap, id, reach, w);
    }
    return w->failed ? PH_NO_MEMORY : PH_OK;
}

enum ph_status ph_deep_measure(struct ph_heap *heap, uint32_t id, const struct ph_host *host,
                               struct ph_histogram *out, struct ph_error *err)
{
    memset(out, 0, sizeof *out);
    uint32_t types = heap->objects.types.count;
    struct walk w = {.heap = heap, .seen = ph_calloc(heap->count / 8 + 1, 1)};
    struct ph_type_sum *sums = ph_calloc(types + 1u, sizeof *sums);
    enum ph_status status = PH_NO_MEMORY;
    if (w.seen && sums && ph_array_push(&w.pending, id)) {
        mark(&w, id);
        status = follow(&w, host, sums, &out->total);
    }
    for (uint32_t i = 0; i < types && !status; i++) {
        sums[i].type = heap->objects.types.items[i];
        if (sums[i].count && !ph_array_push(&out->types, sums[i]))
            status = PH_NO_MEMORY;
    }
    ph_array_free(&w.pending);
    free(w.seen);
    free(sums);
    if (!status)
        return PH_OK;
    ph_histogram_free(out);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}
