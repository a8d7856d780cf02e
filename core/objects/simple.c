/* Families that are pure data: fields of the layout, each a reference. A type that needs more gets
 * a file of its own. */
#include "objects/object.h"

#include "objects/str.h"

#include <inttypes.h>

const struct ph_family ph_family_slice = {
    .type_names = PH_TYPE_NAMES("slice"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("start", slice, start), PH_REF_FIELD("stop", slice, stop),
                            PH_REF_FIELD("step", slice, step)),
};

const struct ph_family ph_family_range = {
    .type_names = PH_TYPE_NAMES("range"),
    .fields =
        PH_REF_FIELDS(PH_REF_FIELD("start", range, start), PH_REF_FIELD("stop", range, stop),
                      PH_REF_FIELD("step", range, step), PH_REF_FIELD("length", range, length)),
};

static void function_summary(struct ph_objects *objects, const struct ph_object *o,
                             uint64_t max_chars, struct ph_str *out)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr name = ph_object_ptr(objects, o,
                                 ph_has(L->function.func_qualname) ? L->function.func_qualname
                                                                   : L->function.func_name);
    ph_str_append(out, "<function ");
    if (!ph_str_object_text(objects, name, max_chars, out))
        ph_str_append(out, "?");
    ph_str_appendf(out, " at 0x%" PRIx64 ">", o->address);
}

const struct ph_family ph_family_function = {
    .type_names = PH_TYPE_NAMES("function"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("__code__", function, func_code),
                            PH_REF_FIELD("__globals__", function, func_globals),
                            PH_REF_FIELD("__builtins__", function, func_builtins),
                            PH_REF_FIELD("__name__", function, func_name),
                            PH_REF_FIELD("__qualname__", function, func_qualname),
                            PH_REF_FIELD("__defaults__", function, func_defaults),
                            PH_REF_FIELD("__kwdefaults__", function, func_kwdefaults),
                            PH_REF_NOTE("closure", function, func_closure),
                            PH_REF_FIELD("__doc__", function, func_doc),
                            PH_REF_FIELD("__dict__", function, func_dict),
                            PH_REF_FIELD("__module__", function, func_module),
                            PH_REF_FIELD("__annotations__", function, func_annotations),
                            PH_REF_FIELD("__annotate__", function, func_annotate),
                            PH_REF_FIELD("__type_params__", function, func_typeparams)),
    .summary = function_summary,
};

const struct ph_family ph_family_method = {
    .type_names = PH_TYPE_NAMES("method", "instancemethod"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("__func__", method, im_func),
                            PH_REF_FIELD("__self__", method, im_self),
                            PH_REF_FIELD("im_class", method, im_class)),
};

const struct ph_family ph_family_cfunction = {
    .type_names = PH_TYPE_NAMES("builtin_function_or_method"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("__self__", cfunction, m_self),
                            PH_REF_FIELD("__module__", cfunction, m_module)),
};

/* A C method that wants its defining class (METH_METHOD, 3.9+; Include/cpython/methodobject.h). */
const struct ph_family ph_family_cmethod = {
    .type_names = PH_TYPE_NAMES("builtin_method"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("__self__", cfunction, m_self),
                            PH_REF_FIELD("__module__", cfunction, m_module),
                            PH_REF_FIELD("__objclass__", cmethod, mm_class)),
};

const struct ph_family ph_family_cell = {
    .type_names = PH_TYPE_NAMES("cell"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("cell_contents", cell, ob_ref)),
};

const struct ph_family ph_family_property = {
    .type_names = PH_TYPE_NAMES("property"),
    .fields = PH_REF_FIELDS(
        PH_REF_FIELD("fget", property, prop_get), PH_REF_FIELD("fset", property, prop_set),
        PH_REF_FIELD("fdel", property, prop_del), PH_REF_FIELD("__doc__", property, prop_doc),
        PH_REF_FIELD("__name__", property, prop_name)),
};

const struct ph_family ph_family_staticmethod = {
    .type_names = PH_TYPE_NAMES("staticmethod"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("__func__", staticmethod, sm_callable),
                            PH_REF_FIELD("__dict__", staticmethod, sm_dict)),
};

const struct ph_family ph_family_classmethod = {
    .type_names = PH_TYPE_NAMES("classmethod"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("__func__", classmethod, cm_callable),
                            PH_REF_FIELD("__dict__", classmethod, cm_dict)),
};

/* The name and qualified name are owned, although descr_traverse leaves them out. */
const struct ph_family ph_family_descriptor = {
    .type_names = PH_TYPE_NAMES("member_descriptor", "getset_descriptor", "method_descriptor",
                                "classmethod_descriptor", "wrapper_descriptor"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("__objclass__", descr, d_type),
                            PH_REF_FIELD("__name__", descr, d_name),
                            PH_REF_FIELD("__qualname__", descr, d_qualname)),
};

const struct ph_family ph_family_mappingproxy = {
    .type_names = PH_TYPE_NAMES("mappingproxy"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("mapping", mappingproxy, mapping)),
};

/* The referent is what a weak reference does not hold; the links to its neighbours are borrowed and
 * left out. */
const struct ph_family ph_family_weakref = {
    .type_names =
        PH_TYPE_NAMES("weakref", "weakproxy", "weakcallableproxy", "weakref.ReferenceType",
                      "weakref.ProxyType", "weakref.CallableProxyType"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD_WEAK("referent", weakref, wr_object),
                            PH_REF_FIELD("__callback__", weakref, wr_callback)),
};

/* What subclasses in C append (OSError.filename, ...) is found by the scan of what is not
 * described. */
const struct ph_family ph_family_exception = {
    .type_names = PH_TYPE_NAMES("BaseException", "exceptions.BaseException"),
    .fields = PH_REF_FIELDS(
        PH_REF_FIELD("__dict__", exception, dict), PH_REF_FIELD("args", exception, args),
        PH_REF_FIELD("message", exception, message), PH_REF_FIELD("__notes__", exception, notes),
        PH_REF_FIELD("__traceback__", exception, traceback),
        PH_REF_FIELD("__context__", exception, context),
        PH_REF_FIELD("__cause__", exception, cause)),
};

const struct ph_family ph_family_traceback = {
    .type_names = PH_TYPE_NAMES("traceback"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("tb_next", traceback, tb_next),
                            PH_REF_FIELD("tb_frame", traceback, tb_frame)),
};

/* The cached value is borrowed from the context that holds it (Python/context.c). */
const struct ph_family ph_family_contextvar = {
    .type_names = PH_TYPE_NAMES("ContextVar", "_contextvars.ContextVar"),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("name", contextvar, var_name),
                            PH_REF_FIELD("default", contextvar, var_default),
                            PH_REF_FIELD_WEAK("cached", contextvar, var_cached)),
};
