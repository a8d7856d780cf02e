/* Type objects themselves (Objects/typeobject.c): type_traverse, type_sizeof, and the tables in
 * which interpreters of 3.12 and later keep what static types cannot share. */
#include "objects/type.h"

#include "objects/dict.h"

#include <inttypes.h>

enum { MAX_STATIC_TYPES = 203 }; /* _Py_MAX_MANAGED_STATIC_BUILTIN_TYPES; 200 to 3.14 */

/* The state of a static type in one interpreter; NULL where it has none (3.12+:
 * managed_static_type_state_get). The type's own tp_subclasses holds its index, counted from one.
 */
static const uint8_t *static_state(const struct ph_python *python, ph_addr interp, ph_addr type)
{
    const struct ph_layout *L = &python->layout;
    uint64_t index = ph_python_word(python, type, L->type.tp_subclasses) - 1;
    const int32_t tables[] = {L->interp.static_builtins, L->interp.static_extensions};
    for (size_t i = 0; i < sizeof tables / sizeof *tables && index < MAX_STATIC_TYPES; i++) {
        if (!ph_has(tables[i]))
            continue;
        uint64_t stride = (uint64_t)L->static_type_state.size;
        const uint8_t *state = ph_target_view(
            python->target, interp + (uint64_t)tables[i] + index * stride, (size_t)stride);
        if (state && ph_load_ptr(python, state + L->static_type_state.type) == type)
            return state;
    }
    return NULL;
}

static bool is_managed_static(const struct ph_python *python, ph_addr type)
{
    const struct ph_layout *L = &python->layout;
    return L->traits.static_types == PH_STATIC_TYPES_IN_INTERP &&
           (ph_python_word(python, type, L->type.tp_flags) & PH_TPFLAGS_STATIC_BUILTIN);
}

ph_addr ph_type_dict(const struct ph_objects *objects, ph_addr type)
{
    const struct ph_python *python = objects->python;
    if (!is_managed_static(python, type))
        return ph_python_word(python, type, python->layout.type.tp_dict);
    const uint8_t *state = static_state(python, python->interpreters.items[0].address, type);
    return state ? ph_load_ptr(python, state + python->layout.static_type_state.tp_dict) : 0;
}

static void static_type_refs(const struct ph_python *python, ph_addr type,
                             const struct ph_visitor *v)
{
    const struct ph_layout *L = &python->layout;
    for (uint32_t i = 0; i < python->interpreters.count; i++) {
        const uint8_t *state = static_state(python, python->interpreters.items[i].address, type);
        if (!state)
            continue;
        ph_visit_field(v, ph_load_ptr(python, state + L->static_type_state.tp_dict), "__dict__");
        ph_visit(v, ph_load_ptr(python, state + L->static_type_state.tp_subclasses), PH_LABEL_NOTE,
                 (uint64_t)(uintptr_t) "subclasses", PH_REF_STRONG);
    }
}

/* The keys that a heap type's instances share. False where it has none. */
static bool open_cached_keys(const struct ph_python *python, const uint8_t *at, struct ph_dict *out)
{
    int32_t offset = python->layout.heap_type.ht_cached_keys;
    ph_addr keys = ph_has(offset) ? ph_load_ptr(python, at + offset) : 0;
    return keys && ph_dict_keys_open(python, keys, out);
}

static void heap_type_refs(struct ph_objects *objects, const uint8_t *at,
                           const struct ph_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    ph_visit_field(v, ph_load_ptr(python, at + L->heap_type.ht_name), "__name__");
    if (ph_has(L->heap_type.ht_qualname))
        ph_visit_field(v, ph_load_ptr(python, at + L->heap_type.ht_qualname), "__qualname__");
    ph_visit_field(v, ph_load_ptr(python, at + L->heap_type.ht_slots), "__slots__");
    if (ph_has(L->heap_type.ht_module))
        ph_visit(v, ph_load_ptr(python, at + L->heap_type.ht_module), PH_LABEL_NOTE,
                 (uint64_t)(uintptr_t) "defining module", PH_REF_STRONG);
    /* The keys that instances share are counted here once, for their table belongs to the type
     * first. */
    struct ph_dict keys;
    if (!open_cached_keys(python, at, &keys))
        return;
    for (uint64_t i = 0; i < keys.entry_count; i++)
        ph_visit(v, ph_dict_key(&keys, i), PH_LABEL_NOTE, (uint64_t)(uintptr_t) "attribute name",
                 PH_REF_STRONG);
}

static bool is_heap_type(const struct ph_objects *objects, const struct ph_object *o)
{
    return ph_object_ptr(objects, o, objects->python->layout.type.tp_flags) & PH_TPFLAGS_HEAPTYPE;
}

static const uint8_t *view_heap_type(const struct ph_objects *objects, const struct ph_object *o)
{
    if (!is_heap_type(objects, o))
        return NULL;
    return ph_target_view(objects->python->target, o->address,
                          (size_t)objects->python->layout.heap_type.size);
}

void ph_type_refs(struct ph_objects *objects, const struct ph_object *o, const struct ph_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    if (is_managed_static(python, o->address)) {
        static_type_refs(python, o->address, v);
    } else {
        ph_visit_field(v, ph_object_ptr(objects, o, L->type.tp_dict), "__dict__");
        ph_visit(v, ph_object_ptr(objects, o, L->type.tp_subclasses), PH_LABEL_NOTE,
                 (uint64_t)(uintptr_t) "subclasses", PH_REF_STRONG);
    }
    ph_visit_field(v, ph_object_ptr(objects, o, L->type.tp_base), "__base__");
    ph_visit_field(v, ph_object_ptr(objects, o, L->type.tp_bases), "__bases__");
    ph_visit_field(v, ph_object_ptr(objects, o, L->type.tp_mro), "__mro__");
    ph_visit(v, ph_object_ptr(objects, o, L->type.tp_cache), PH_LABEL_NOTE,
             (uint64_t)(uintptr_t) "cache", PH_REF_STRONG);
    const uint8_t *heap = view_heap_type(objects, o);
    if (heap)
        heap_type_refs(objects, heap, v);
}

/* type___sizeof___impl: the sizes of the structs, whatever the metaclass adds. 2.7 has none, so
 * that the metaclass and the slots count, and static types as heap types. */
uint64_t ph_type_size(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    if (L->version < 0x03000000)
        return ph_size_default(objects, o);
    const uint8_t *heap = view_heap_type(objects, o);
    if (!heap)
        return (uint64_t)L->type.size;
    struct ph_dict keys;
    uint64_t bytes = (uint64_t)L->heap_type.size;
    return open_cached_keys(objects->python, heap, &keys) ? bytes + keys.keys_bytes : bytes;
}

void ph_type_buffers(struct ph_objects *objects, const struct ph_object *o,
                     const struct ph_buffer_visitor *v)
{
    const uint8_t *heap = view_heap_type(objects, o);
    struct ph_dict keys;
    if (heap && open_cached_keys(objects->python, heap, &keys))
        ph_visit_buffer(v, keys.keys_address, keys.keys_bytes, "shared keys");
}

void ph_type_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                     struct ph_str *out)
{
    const struct ph_type *type = ph_type_at(objects, o->address);
    (void)max_chars;
    ph_str_appendf(out, "<class '%s'>", type ? type->name : "?");
}

const struct ph_family ph_family_type = {
    .type_names = PH_TYPE_NAMES("type"),
    .short_form = PH_STRUCT_OF(type), /* static types */
    .size = ph_type_size,
    .refs = ph_type_refs,
    .buffers = ph_type_buffers,
    .summary = ph_type_summary,
};
