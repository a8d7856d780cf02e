#include "analysis/identity.h"

#include "objects/str.h"

enum { MOST_BYTES = 256 };

/* From where on an object of a family is its value, and nothing that comes later, such as a hash
 * that is kept when it is first asked for. */
static const struct {
    const struct ph_family *family;
    size_t layout_member;
} values[] = {
    {&ph_family_int, offsetof(struct ph_layout, int_.ob_digit)},
    {&ph_family_float, offsetof(struct ph_layout, float_.ob_fval)},
    {&ph_family_complex, offsetof(struct ph_layout, complex_.real)},
    {&ph_family_bytes, offsetof(struct ph_layout, bytes.ob_sval)},
    {&ph_family_tuple, offsetof(struct ph_layout, tuple.ob_item)},
};

static uint32_t hash_of(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    uint64_t hash = len;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    return (uint32_t)((hash * 0x9e3779b97f4a7c15u) >> 32);
}

/* Where the value of an object lies and how long it is; 0: it has none that lasts. */
static uint64_t find_value(struct ph_objects *objects, const struct ph_object *o, ph_addr *start)
{
    if (o->type->is_python_class)
        return 0;
    if (o->type->family == &ph_family_str)
        return ph_str_object_data(objects, o, start);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (o->type->family != values[i].family)
            continue;
        int32_t offset;
        memcpy(&offset, (const char *)&objects->python->layout + values[i].layout_member,
               sizeof offset);
        uint64_t bytes = ph_object_own_bytes(objects, o);
        *start = o->address + (uint64_t)offset;
        return ph_has(offset) && bytes > (uint64_t)offset ? bytes - (uint64_t)offset : 0;
    }
    return 0;
}

uint32_t ph_object_identity(struct ph_heap *heap, uint32_t id, unsigned bits)
{
    struct ph_objects *objects = &heap->objects;
    struct ph_object o;
    ph_addr start = 0;
    if (!ph_heap_open(heap, id, &o))
        return 0;
    uint64_t bytes = find_value(objects, &o, &start);
    if (bytes > MOST_BYTES)
        bytes = MOST_BYTES;
    const void *value = bytes ? ph_target_view(objects->python->target, start, bytes) : NULL;
    uint32_t hash = value ? hash_of(value, bytes) >> (32 - bits) : 0;
    return value && !hash ? 1 : hash;
}
