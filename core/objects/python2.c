/* Types that only 2.7 has: classes of the old kind and their instances (Objects/classobject.c),
 * memoryview as it was then. Its int, long, str and unicode stand with those of later versions. */
#include "objects/object.h"

#include "objects/str.h"

#include <inttypes.h>

static void append_class(struct ph_objects *objects, ph_addr class, uint64_t max_chars,
                         struct ph_str *out)
{
    const struct ph_layout *L = &objects->python->layout;
    struct ph_object o;
    if (!class || !ph_object_at(objects, class, &o) || o.type->family != &ph_family_old_class ||
        !ph_str_object_text(objects, ph_object_ptr(objects, &o, L->old_class.cl_name), max_chars,
                            out))
        ph_str_append(out, "?");
}

static void old_class_summary(struct ph_objects *objects, const struct ph_object *o,
                              uint64_t max_chars, struct ph_str *out)
{
    ph_str_append(out, "<class ");
    append_class(objects, o->address, max_chars, out);
    ph_str_appendf(out, " at 0x%" PRIx64 ">", o->address);
}

const struct ph_family ph_family_old_class = {
    .type_names = PH_TYPE_NAMES("classobj"),
    .struct_size = PH_STRUCT_OF(old_class),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("__bases__", old_class, cl_bases),
                            PH_REF_FIELD("__dict__", old_class, cl_dict),
                            PH_REF_FIELD("__name__", old_class, cl_name),
                            PH_REF_FIELD("__getattr__", old_class, cl_getattr),
                            PH_REF_FIELD("__setattr__", old_class, cl_setattr),
                            PH_REF_FIELD("__delattr__", old_class, cl_delattr)),
    .summary = old_class_summary,
};

static void old_instance_summary(struct ph_objects *objects, const struct ph_object *o,
                                 uint64_t max_chars, struct ph_str *out)
{
    ph_str_append(out, "<instance of ");
    append_class(objects, ph_object_ptr(objects, o, objects->python->layout.old_instance.in_class),
                 max_chars, out);
    ph_str_appendf(out, " at 0x%" PRIx64 ">", o->address);
}

const struct ph_family ph_family_old_instance = {
    .type_names = PH_TYPE_NAMES("instance"),
    .struct_size = PH_STRUCT_OF(old_instance),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("__class__", old_instance, in_class),
                            PH_REF_FIELD("__dict__", old_instance, in_dict)),
    .summary = old_instance_summary,
};

static bool memoryview_array(struct ph_objects *objects, const struct ph_object *o,
                             struct ph_array *out)
{
    ph_view_array(objects, o, objects->python->layout.memoryview.view, out);
    return true;
}

const struct ph_family ph_family_py2_memoryview = {
    .type_names = PH_TYPE_NAMES("memoryview"),
    .struct_size = PH_FIELD_OF(memoryview, base),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("base", memoryview, base),
                            PH_REF_NOTE("buffer of", memoryview, view_obj)),
    .array = memoryview_array,
    .dtype = ph_memoryview_dtype,
};
