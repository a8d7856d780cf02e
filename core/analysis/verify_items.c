/* list and tuple: lengths within the memory, no item NULL (Objects/listobject.c, tupleobject.c). */
#include "analysis/verify_internal.h"

#include <inttypes.h>

/* Note the first item that is NULL. */
static void look_for_null(struct ph_verifier *v, uint32_t id, enum ph_problem_kind kind,
                          const uint8_t *items, uint64_t count)
{
    unsigned word = ph_word_bytes(v->python);
    uint64_t first = 0;
    while (first < count && ph_load_ptr(v->python, items + first * word))
        first++;
    if (first == count)
        return;
    uint64_t end = first;
    while (end < count && !ph_load_ptr(v->python, items + end * word))
        end++;
    struct ph_unfilled unfilled = {id, kind, first, end == count};
    if (!ph_array_push(&v->unfilled, unfilled))
        v->failed = true;
}

/* What C code still fills is linked into the collector's lists already, but nobody refers to it;
 * its items come in order (map, zip, PySequence_Tuple, ...). */
void ph_verify_unfilled(struct ph_verifier *v)
{
    for (uint32_t i = 0; i < v->unfilled.count; i++) {
        const struct ph_unfilled *u = &v->unfilled.items[i];
        if (!u->is_tail || v->found[u->id])
            ph_report(v, ph_heap_address(v->heap, u->id), u->kind, PH_PASSING,
                      "its item %" PRIu64 " is NULL", u->first);
    }
}

bool ph_verify_list(struct ph_verifier *v, uint32_t id, const struct ph_object *o)
{
    const struct ph_objects *objects = &v->heap->objects;
    const struct ph_layout *L = &v->python->layout;
    int64_t size = ph_object_var_size(objects, o);
    int64_t allocated = ph_object_ssize(objects, o, L->list.allocated);
    ph_addr start = ph_object_ptr(objects, o, L->list.ob_item);
    /* A list that is being sorted is empty and says that it has room for -1 items. */
    if (size == 0 && allocated == -1)
        return true;
    if (size < 0 || size > allocated) {
        ph_report(v, o->address, PH_PROBLEM_LIST, PH_PASSING,
                  "its ob_size is %" PRId64 ", and it has room for %" PRId64 " items", size,
                  allocated);
        return false;
    }
    if (size == 0)
        return true;
    const uint8_t *items =
        size < 1ll << 40
            ? ph_target_view(v->python->target, start, (size_t)size * ph_word_bytes(v->python))
            : NULL;
    if (items)
        look_for_null(v, id, PH_PROBLEM_LIST, items, (uint64_t)size);
    else if (!ph_target_is_mapped(v->python->target, start))
        ph_report(v, o->address, PH_PROBLEM_LIST, PH_PASSING,
                  "its %" PRId64 " items at 0x%" PRIx64 " are not mapped", size, start);
    return items != NULL;
}

/* Bytes from the object to the end of its block; UINT64_MAX where it is in none. */
static uint64_t room(const struct ph_verifier *v, const struct ph_object *o)
{
    const struct ph_run *run = ph_blocks_find(&v->heap->blocks, o->address);
    uint32_t slot;
    uint64_t offset;
    if (!run || !ph_run_block(run, o->address, &slot, &offset))
        return UINT64_MAX;
    return run->block_bytes - offset;
}

bool ph_verify_tuple(struct ph_verifier *v, uint32_t id, const struct ph_object *o)
{
    uint64_t first = (uint64_t)v->python->layout.tuple.ob_item, left = room(v, o);
    int64_t size = ph_object_var_size(&v->heap->objects, o);
    uint64_t word = ph_word_bytes(v->python);
    if (size < 0 || size > 1ll << 40 || first + (uint64_t)size * word > left) {
        ph_report(v, o->address, PH_PROBLEM_TUPLE, PH_LASTING,
                  "its ob_size is %" PRId64 ", for which its memory has no room", size);
        return false;
    }
    if (size == 0)
        return true;
    const uint8_t *items =
        ph_target_view(v->python->target, o->address + first, (size_t)((uint64_t)size * word));
    if (items)
        look_for_null(v, id, PH_PROBLEM_TUPLE, items, (uint64_t)size);
    return items != NULL;
}
