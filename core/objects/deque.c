/* collections.deque (Modules/_collectionsmodule.c): a chain of blocks of 64 items each (2.7: 62);
 * freed blocks are kept for use again, from 3.11 on in the deque itself. */
#include "objects/object.h"

#include <inttypes.h>

static int64_t items_per_block(const struct ph_layout *L)
{
    return (L->deque_block.rightlink - L->deque_block.data) / (int64_t)L->word_bytes;
}

static int64_t deque_length(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    return ph_object_ssize(objects, o, ph_has(L->deque.len) ? L->deque.len : L->var.ob_size);
}

/* deque_sizeof(): the first block may be used from leftindex on only. */
static uint64_t block_count(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    uint64_t length = (uint64_t)items_per_block(L);
    uint64_t left = ph_object_count(objects, o, L->deque.leftindex);
    return (left + ph_sane_count(deque_length(objects, o)) + length - 1) / length;
}

static uint64_t deque_size(struct ph_objects *objects, const struct ph_object *o)
{
    return o->type->basicsize +
           block_count(objects, o) * (uint64_t)objects->python->layout.deque_block.size;
}

static void deque_refs(struct ph_objects *objects, const struct ph_object *o,
                       const struct ph_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    uint64_t left = ph_sane_count(deque_length(objects, o)), item = 0;
    uint64_t index = ph_object_count(objects, o, L->deque.leftindex);
    uint64_t length = (uint64_t)items_per_block(L);
    ph_addr block = ph_object_ptr(objects, o, L->deque.leftblock);
    while (left > 0) {
        const uint8_t *at = ph_target_view(python->target, block, (size_t)L->deque_block.size);
        if (!at)
            return;
        for (; index < length && left > 0; index++, left--) {
            const uint8_t *slot = at + L->deque_block.data + index * L->word_bytes;
            ph_visit(v, ph_load_ptr(python, slot), PH_LABEL_ITEM, item++, PH_REF_STRONG);
        }
        block = ph_load_ptr(python, at + L->deque_block.rightlink);
        index = 0;
    }
}

static void deque_buffers(struct ph_objects *objects, const struct ph_object *o,
                          const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    uint64_t bytes = (uint64_t)L->deque_block.size;
    ph_addr block = ph_object_ptr(objects, o, L->deque.leftblock);
    for (uint64_t n = block_count(objects, o); n > 0 && block; n--) {
        ph_visit_buffer(v, block, bytes, "block");
        block = ph_python_word(objects->python, block, L->deque_block.rightlink);
    }
    if (!ph_has(L->deque.freeblocks))
        return;
    uint64_t room = (uint64_t)(L->deque.weakreflist - L->deque.freeblocks) / L->word_bytes;
    uint64_t spare = ph_object_count(objects, o, L->deque.numfreeblocks);
    for (uint64_t i = 0; i < spare && i < room; i++)
        ph_visit_buffer(
            v, ph_object_ptr(objects, o, L->deque.freeblocks + (int64_t)(i * L->word_bytes)), bytes,
            "spare block");
}

static void deque_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                          struct ph_str *out)
{
    (void)max_chars;
    int64_t n = deque_length(objects, o);
    ph_str_appendf(out, "deque[%" PRId64 " item%s]", n, n == 1 ? "" : "s");
}

const struct ph_family ph_family_deque = {
    .type_names = PH_TYPE_NAMES("collections.deque"),
    .struct_size = PH_STRUCT_OF(deque),
    .size = deque_size,
    .refs = deque_refs,
    .buffers = deque_buffers,
    .summary = deque_summary,
};
