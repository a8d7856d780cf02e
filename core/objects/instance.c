/*
 * What an instance of a Python class holds beside the part of its base: __dict__, or attribute
 * values without a dict, and its class. The rules changed with nearly every version; each is one
 * case here.
 */
#include "objects/dict.h"

#include "objects/str.h"

enum { VALUES_TAG = 1 }; /* 3.12: the low bit of the managed word says "values, not a dict" */

uint32_t ph_managed_header_bytes(const struct ph_python *python, uint64_t tp_flags)
{
    uint64_t managed = 0;
    if (python->layout.traits.instance_dict != PH_INSTANCE_DICT_OFFSET)
        managed |= PH_TPFLAGS_MANAGED_DICT;
    if (python->layout.traits.managed_weakref == PH_MANAGED_WEAKREF_YES)
        managed |= PH_TPFLAGS_MANAGED_WEAKREF;
    return tp_flags & managed ? 2 * ph_word_bytes(python) : 0;
}

static bool has_managed_dict(const struct ph_python *python, const struct ph_type *type)
{
    return python->layout.traits.instance_dict != PH_INSTANCE_DICT_OFFSET &&
           (type->flags & PH_TPFLAGS_MANAGED_DICT);
}

/* The word `words` before the GC header: 1 is the dict (3.11+), 2 the values (3.11). */
static ph_addr managed_word(const struct ph_python *python, const struct ph_object *o,
                            unsigned words)
{
    uint32_t before = ph_python_gc_header_bytes(python) + words * ph_word_bytes(python);
    return ph_python_word(python, o->address, -(int64_t)before);
}

/* tp_dictoffset; negative counts from the end of a variable-sized object (_PyObject_GetDictPtr,
 * to 3.11). */
static ph_addr dict_at_offset(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_python *python = objects->python;
    unsigned word = ph_word_bytes(python);
    int64_t offset = o->type->dictoffset;
    if (offset == 0)
        return 0;
    if (offset < 0) {
        uint64_t bytes = ph_size_default(objects, o);
        bytes = (bytes + word - 1) / word * word;
        offset += (int64_t)bytes;
    }
    return offset >= python->layout.object.size ? ph_python_word(python, o->address, offset) : 0;
}

ph_addr ph_instance_dict(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_python *python = objects->python;
    if (!has_managed_dict(python, o->type))
        return dict_at_offset(objects, o);
    ph_addr word = managed_word(python, o, 1);
    bool tagged = python->layout.traits.instance_dict == PH_INSTANCE_DICT_TAGGED;
    return tagged && (word & VALUES_TAG) ? 0 : word;
}

bool ph_type_is_dict(const struct ph_type *type)
{
    return (type->flags & PH_TPFLAGS_DICT_SUBCLASS) || type->family == &ph_family_dict;
}

bool ph_type_has_dict(const struct ph_python *python, const struct ph_type *type)
{
    return type->dictoffset || has_managed_dict(python, type) ||
           type->family == &ph_family_old_instance || type->family == &ph_family_old_class;
}

ph_addr ph_object_dict(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    if (o->type->flags & PH_TPFLAGS_TYPE_SUBCLASS)
        return ph_type_dict(objects, o->address);
    if (o->type->family == &ph_family_old_instance)
        return ph_object_ptr(objects, o, L->old_instance.in_dict);
    if (o->type->family == &ph_family_old_class)
        return ph_object_ptr(objects, o, L->old_class.cl_dict);
    return ph_instance_dict(objects, o);
}

/* Where the instance's values are now, and how many words they may have; 0 where it has none. */
static ph_addr find_values(struct ph_objects *objects, const struct ph_object *o,
                           uint64_t *capacity)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    *capacity = UINT64_MAX;
    if (!has_managed_dict(python, o->type))
        return 0;
    if (L->traits.instance_dict == PH_INSTANCE_DICT_PAIR)
        return managed_word(python, o, 2);
    if (L->traits.instance_dict == PH_INSTANCE_DICT_TAGGED) {
        ph_addr word = managed_word(python, o, 1);
        return word & VALUES_TAG ? word + VALUES_TAG : 0;
    }
    if (!(o->type->flags & PH_TPFLAGS_INLINE_VALUES))
        return 0;
    ph_addr values = o->address + o->type->basicsize;
    const uint8_t *header = ph_target_view(python->target, values, (size_t)L->dict_values.values);
    if (!header || !header[L->dict_values.valid])
        return 0;
    *capacity = header[L->dict_values.capacity];
    return values + (uint64_t)L->dict_values.values;
}

/* Open the instance's values; and where they are, or 0 where it has none. */
static ph_addr open_values(struct ph_objects *objects, const struct ph_object *o,
                           struct ph_dict *out)
{
    const struct ph_layout *L = &objects->python->layout;
    uint64_t capacity;
    ph_addr values = find_values(objects, o, &capacity);
    ph_addr keys =
        values ? ph_python_word(objects->python, o->type->address, L->heap_type.ht_cached_keys) : 0;
    bool open = keys && ph_dict_keys_open(objects->python, keys, out) &&
                ph_dict_use_values(out, values, capacity);
    return open ? values : 0;
}

bool ph_instance_values(struct ph_objects *objects, const struct ph_object *o, struct ph_dict *out)
{
    return open_values(objects, o, out);
}

ph_addr ph_instance_attribute(struct ph_objects *objects, const struct ph_object *o,
                              const char *name)
{
    struct ph_dict d;
    if (ph_instance_values(objects, o, &d)) {
        for (uint64_t i = 0; i < d.entry_count; i++) {
            ph_addr value = ph_dict_value(&d, i);
            if (value && ph_str_object_equals(objects, ph_dict_key(&d, i), name))
                return value;
        }
        return 0;
    }
    ph_addr dict = ph_instance_dict(objects, o);
    return dict ? ph_dict_get_string(objects, dict, name) : 0;
}

ph_addr ph_instance_slot(const struct ph_objects *objects, const struct ph_object *o,
                         const struct ph_member *slot)
{
    if (!slot->after_items)
        return ph_object_ptr(objects, o, slot->offset);
    uint64_t items = ph_sane_count(ph_object_var_size(objects, o)) * o->type->itemsize;
    return ph_python_word(objects->python, o->address, slot->offset + (int64_t)items);
}

void ph_instance_refs(struct ph_objects *objects, const struct ph_object *o,
                      const struct ph_visitor *v)
{
    const struct ph_type *type = o->type;
    bool own_dict =
        type->dictoffset != type->body->dictoffset || has_managed_dict(objects->python, type);
    for (uint32_t i = 0; i < type->slot_count; i++)
        ph_visit(v, ph_instance_slot(objects, o, &type->slots[i]), PH_LABEL_MEMBER,
                 type->slots[i].name, PH_REF_STRONG);
    struct ph_dict d;
    bool shown_by_dict = objects->python->layout.traits.inline_values == PH_INLINE_VALUES_DICT &&
                         has_managed_dict(objects->python, type) && ph_instance_dict(objects, o);
    if (!shown_by_dict && ph_instance_values(objects, o, &d)) {
        for (uint64_t i = 0; i < d.entry_count; i++)
            ph_visit(v, ph_dict_value(&d, i), PH_LABEL_ATTR, ph_dict_key(&d, i), PH_REF_STRONG);
    }
    if (own_dict)
        ph_visit_field(v, ph_instance_dict(objects, o), "__dict__");
    /* Instances of heap types own a count of their type (3.8+; Objects/object.c: PyObject_Init). */
    if (type->is_heap)
        ph_visit_field(v, type->address, "__class__");
}

/* 3.11 and 3.12 allocate values with a prefix whose length is the byte before the pointers, for the
 * order of insertion (Objects/dictobject.c: new_values). */
void ph_visit_values_buffer(const struct ph_python *python, const struct ph_dict *d, ph_addr values,
                            const struct ph_buffer_visitor *v)
{
    uint64_t room = (d->entry_count + d->usable) * ph_word_bytes(python);
    uint8_t prefix = 0;
    if (python->layout.traits.dict_values == PH_DICT_VALUES_PREFIXED)
        ph_target_u8(python->target, values - 1, &prefix);
    else if (python->layout.traits.dict_values == PH_DICT_VALUES_HEADED)
        room += (uint64_t)python->layout.dict_values.values + d->entry_count + d->usable;
    else
        room = d->capacity * ph_word_bytes(python);
    ph_visit_buffer(v, values - prefix, room + prefix, "values");
}

void ph_instance_buffers(struct ph_objects *objects, const struct ph_object *o,
                         const struct ph_buffer_visitor *v)
{
    struct ph_dict d;
    ph_addr values = objects->python->layout.traits.dict_values == PH_DICT_VALUES_PREFIXED
                         ? open_values(objects, o, &d)
                         : 0;
    if (values)
        ph_visit_values_buffer(objects->python, &d, values, v);
}
