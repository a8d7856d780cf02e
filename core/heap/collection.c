#include "heap/collection.h"

#define MOST_STACK_BYTES (64ull << 20) /* of one thread that are looked at */

uint32_t ph_collection_interpreter(const struct ph_python *python)
{
    if (python->layout.traits.gc_header == PH_GC_HEADER_NONE)
        return UINT32_MAX; /* there are no lists: the mark stays where it was */
    if (python->layout.traits.gc_state == PH_GC_STATE_STATICS)
        return 0;
    for (uint32_t i = 0; i < python->interpreters.count; i++) {
        if (python->interpreters.items[i].gc.collecting)
            return i;
    }
    return UINT32_MAX;
}

/* Whether a GC header here has an object behind it. */
static bool is_object(const struct ph_python *python, ph_addr header)
{
    const struct ph_layout *L = &python->layout;
    ph_addr object = header + (uint64_t)L->gc_head.size;
    return ph_python_is_type(python, ph_python_word(python, object, L->object.ob_type));
}

/* Whether the two words seen at this address are the links of a list's head. Others than the
 * collector have such lists too, as glibc of its threads. */
static bool is_head(const struct ph_python *python, ph_addr address, ph_addr next, ph_addr prev)
{
    const struct ph_layout *L = &python->layout;
    unsigned word = ph_word_bytes(python);
    next &= ~PH_GC_LINK_FLAGS;
    prev &= ~PH_GC_LINK_FLAGS;
    return next && prev && next != address && next % word == 0 && prev % word == 0 &&
           ph_python_gc_link(python, next, L->gc_head.prev) == address &&
           ph_python_gc_link(python, prev, L->gc_head.next) == address && is_object(python, next) &&
           is_object(python, prev);
}

static bool search_stack(const struct ph_python *python, ph_addr start, ph_addr end,
                         struct ph_list_heads *out)
{
    const struct ph_layout *L = &python->layout;
    unsigned word = ph_word_bytes(python);
    for (ph_addr at = (start + word - 1) / word * word; at < end; at += word) {
        const uint8_t *bytes = ph_target_view(python->target, at, (size_t)L->gc_head.size);
        if (bytes &&
            is_head(python, at, ph_load_ptr(python, bytes + L->gc_head.next),
                    ph_load_ptr(python, bytes + L->gc_head.prev)) &&
            !ph_array_push(out, at))
            return false;
    }
    return true;
}

bool ph_collection_lists(const struct ph_python *python, struct ph_list_heads *out)
{
    size_t count;
    const struct ph_thread *threads = ph_target_threads(python->target, &count);
    if (ph_collection_interpreter(python) == UINT32_MAX)
        return true;
    for (size_t i = 0; i < count; i++) {
        const struct ph_region *stack =
            threads[i].sp ? ph_target_region_at(python->target, threads[i].sp) : NULL;
        if (!stack)
            continue;
        ph_addr end = stack->end - threads[i].sp > MOST_STACK_BYTES
                          ? threads[i].sp + MOST_STACK_BYTES
                          : stack->end;
        if (!search_stack(python, threads[i].sp, end, out))
            return false;
    }
    return true;
}
