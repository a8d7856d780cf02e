/* Modules (Objects/moduleobject.c): the dict, and the state that extension modules keep in memory
 * of their own. */
#include "objects/object.h"

#include "objects/dict.h"
#include "objects/str.h"

#define MAX_STATE (1 << 20)

/* The module's state; 0 where it has none. *bytes is its size by the definition, or by the module
 * itself (3.15). */
static ph_addr module_state(const struct ph_objects *objects, const struct ph_object *o,
                            uint64_t *bytes)
{
    const struct ph_layout *L = &objects->python->layout;
    if (ph_has(L->module.md_state_size)) {
        *bytes = ph_object_count(objects, o, L->module.md_state_size);
    } else {
        ph_addr definition = ph_object_optional_ptr(objects, o, L->module.md_def);
        *bytes = definition ? ph_python_word(objects->python, definition, L->module_def.m_size) : 0;
    }
    return *bytes > 0 && *bytes <= MAX_STATE ? ph_object_ptr(objects, o, L->module.md_state) : 0;
}

static void module_refs(struct ph_objects *objects, const struct ph_object *o,
                        const struct ph_visitor *v)
{
    uint64_t bytes;
    ph_addr state = module_state(objects, o, &bytes);
    const uint8_t *at =
        state ? ph_target_view(objects->python->target, state, (size_t)bytes) : NULL;
    if (at)
        ph_refs_scan(objects, at, bytes, 0, v);
}

static void module_buffers(struct ph_objects *objects, const struct ph_object *o,
                           const struct ph_buffer_visitor *v)
{
    uint64_t bytes;
    ph_addr state = module_state(objects, o, &bytes);
    ph_visit_buffer(v, state, bytes, "module state");
}

static void module_summary(struct ph_objects *objects, const struct ph_object *o,
                           uint64_t max_chars, struct ph_str *out)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr name =
        ph_has(L->module.md_name)
            ? ph_object_ptr(objects, o, L->module.md_name)
            : ph_dict_get_string(objects, ph_object_ptr(objects, o, L->module.md_dict), "__name__");
    ph_str_append(out, "<module ");
    ph_str_object_literal(objects, name, max_chars, out);
    ph_str_append(out, ">");
}

const struct ph_family ph_family_module = {
    .type_names = PH_TYPE_NAMES("module"),
    .fields = (const struct ph_ref_field[]){PH_REF_FIELD("__dict__", module, md_dict),
                                            PH_REF_FIELD("__name__", module, md_name),
                                            {0}},
    .refs = module_refs,
    .buffers = module_buffers,
    .summary = module_summary,
};
