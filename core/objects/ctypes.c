/* ctypes (Modules/_ctypes/): data, and what describes a C type, which is the type's dict (to 3.12)
 * or lies behind the type object (from 3.13). */
#include "objects/dict.h"
#include "objects/type.h"

#include <ffi.h>

enum { MAX_FORMAT = 1 << 20, MAX_DIMENSIONS = 1 << 10, TYPE_DATA_ALIGN = 16 };

/* ---- descriptions of C types ---- */

/* A description, and the memory that it owns. */
struct description {
    int32_t dimensions;
    ph_addr format, shape, elements;
    uint64_t format_bytes, shape_bytes, element_bytes;
};

static struct description describe(const struct ph_python *python, ph_addr format,
                                   int32_t dimensions, ph_addr shape, ph_addr elements,
                                   int64_t length)
{
    uint64_t word = ph_word_bytes(python);
    struct description d = {
        .dimensions = dimensions, .format = format, .shape = shape, .elements = elements};
    size_t len;
    if (format && ph_target_cstring(python->target, format, MAX_FORMAT, &len))
        d.format_bytes = len + 1;
    if (dimensions > 0 && dimensions < MAX_DIMENSIONS)
        d.shape_bytes = (uint64_t)dimensions * word;
    if (elements)
        d.element_bytes = (ph_sane_count(length) + 1) * word;
    return d;
}

static uint64_t description_bytes(const struct description *d)
{
    return d->format_bytes + d->shape_bytes + d->element_bytes;
}

static void visit_description(const struct description *d, const struct ph_buffer_visitor *v)
{
    ph_visit_buffer(v, d->format, d->format_bytes, "format");
    ph_visit_buffer(v, d->shape, d->shape_bytes, "shape");
    ph_visit_buffer(v, d->elements, d->element_bytes, "element types");
}

/* ---- as a dict (stgdict.c) ---- */

static struct description describe_dict(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    return describe(objects->python, ph_object_ptr(objects, o, L->stg_dict.format),
                    ph_object_int(objects, o, L->stg_dict.ndim),
                    ph_object_ptr(objects, o, L->stg_dict.shape),
                    ph_object_ptr(objects, o, L->stg_dict.elements),
                    ph_object_ssize(objects, o, L->stg_dict.length));
}

/* PyCStgDict_sizeof() counts its own fields once more than the dict did; before 3.7 there was none.
 */
static uint64_t stg_dict_size(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    if (L->version < 0x03070000)
        return ph_dict_size(objects, o);
    struct description d = describe_dict(objects, o);
    return ph_dict_size(objects, o) + (uint64_t)(L->stg_dict.size - L->dict.size) +
           description_bytes(&d);
}

static void stg_dict_buffers(struct ph_objects *objects, const struct ph_object *o,
                             const struct ph_buffer_visitor *v)
{
    struct description d = describe_dict(objects, o);
    ph_dict_buffers(objects, o, v);
    visit_description(&d, v);
}

/* The type shows its description's element type as its own, as CDataType_traverse() does. */
static void old_ctypes_type_refs(struct ph_objects *objects, const struct ph_object *o,
                                 const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    struct ph_object dict;
    ph_type_refs(objects, o, v);
    ph_addr address = ph_object_ptr(objects, o, L->type.tp_dict);
    if (address && ph_object_at(objects, address, &dict) &&
        dict.type->family == &ph_family_stg_dict)
        ph_visit(v, ph_object_ptr(objects, &dict, L->stg_dict.proto), PH_LABEL_NOTE,
                 (uint64_t)(uintptr_t) "element type", PH_REF_STRONG);
}

const struct ph_family ph_family_stg_dict = {
    .type_names = PH_TYPE_NAMES("StgDict"),
    .struct_size = PH_STRUCT_OF(stg_dict),
    .fields = PH_REF_FIELDS(PH_REF_NOTE_SHARED("element type", stg_dict, proto),
                            PH_REF_NOTE("argument types", stg_dict, argtypes),
                            PH_REF_NOTE("converters", stg_dict, converters),
                            PH_REF_NOTE("result type", stg_dict, restype),
                            PH_REF_NOTE("checker", stg_dict, checker)),
    .size = stg_dict_size,
    .own_bytes = ph_size_default,
    .refs = ph_dict_refs,
    .buffers = stg_dict_buffers,
    .summary = ph_dict_summary,
};

const struct ph_family ph_family_old_ctypes_type = {
    .type_names =
        PH_TYPE_NAMES("_ctypes.PyCSimpleType", "_ctypes.PyCStructType", "_ctypes.UnionType",
                      "_ctypes.PyCPointerType", "_ctypes.PyCArrayType", "_ctypes.PyCFuncPtrType"),
    .struct_size = PH_STRUCT_OF(stg_dict),
    .short_form = PH_STRUCT_OF(type),
    .size = ph_type_size,
    .refs = old_ctypes_type_refs,
    .buffers = ph_type_buffers,
    .summary = ph_type_summary,
};

/* ---- behind the type object (3.13+; _ctypes.c: CType_Type) ---- */

/* PyObject_GetTypeData(): behind what the metatype's base has. */
static const uint8_t *type_data(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    const struct ph_type *metatype = o->type->described;
    uint64_t start = metatype && metatype->base ? metatype->base->basicsize : 0;
    start = (start + TYPE_DATA_ALIGN - 1) / TYPE_DATA_ALIGN * TYPE_DATA_ALIGN;
    if (start + (uint64_t)L->stg_info.size > o->type->basicsize)
        return NULL;
    return ph_target_view(objects->python->target, o->address + start, (size_t)L->stg_info.size);
}

static struct description describe_type(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    const uint8_t *info = type_data(objects, o);
    if (!info)
        return (struct description){0};
    return describe(python, ph_load_ptr(python, info + L->stg_info.format),
                    (int32_t)ph_load_u32(python, info + L->stg_info.ndim),
                    ph_load_ptr(python, info + L->stg_info.shape),
                    ph_load_ptr(python, info + L->stg_info.elements),
                    ph_load_ssize(python, info + L->stg_info.length));
}

static uint64_t ctypes_type_size(struct ph_objects *objects, const struct ph_object *o)
{
    struct description d = describe_type(objects, o);
    return ph_size_default(objects, o) + description_bytes(&d);
}

static void ctypes_type_refs(struct ph_objects *objects, const struct ph_object *o,
                             const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    const struct {
        const char *label;
        int32_t offset;
    } fields[] = {
        {"element type", L->stg_info.proto},        {"argument types", L->stg_info.argtypes},
        {"converters", L->stg_info.converters},     {"result type", L->stg_info.restype},
        {"checker", L->stg_info.checker},           {"module", L->stg_info.module},
        {"pointer type", L->stg_info.pointer_type},
    };
    ph_type_refs(objects, o, v);
    const uint8_t *info = type_data(objects, o);
    for (size_t i = 0; info && i < sizeof fields / sizeof *fields; i++) {
        if (ph_has(fields[i].offset))
            ph_visit(v, ph_load_ptr(objects->python, info + fields[i].offset), PH_LABEL_NOTE,
                     (uint64_t)(uintptr_t)fields[i].label, PH_REF_STRONG);
    }
}

static void ctypes_type_buffers(struct ph_objects *objects, const struct ph_object *o,
                                const struct ph_buffer_visitor *v)
{
    struct description d = describe_type(objects, o);
    ph_type_buffers(objects, o, v);
    visit_description(&d, v);
}

const struct ph_family ph_family_ctypes_type = {
    .type_names = PH_TYPE_NAMES("_ctypes.CType_Type"),
    .struct_size = PH_STRUCT_OF(stg_info),
    .size = ctypes_type_size,
    .refs = ctypes_type_refs,
    .buffers = ctypes_type_buffers,
    .summary = ph_type_summary,
};

/* ---- data ---- */

/* b_needsfree says that the data is the object's own, even where it lies in it (_ctypes.c:
 * PyCData_MallocBuffer). */
static bool owns_data(const struct ph_objects *objects, const struct ph_object *o)
{
    return ph_object_int(objects, o, objects->python->layout.cdata.b_needsfree);
}

static void cdata_buffers(struct ph_objects *objects, const struct ph_object *o,
                          const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr data = ph_object_ptr(objects, o, L->cdata.b_ptr);
    bool inside = data == o->address + (uint64_t)L->cdata.b_value;
    if (!inside && owns_data(objects, o))
        ph_visit_buffer(v, data, ph_object_count(objects, o, L->cdata.b_size), "data");
}

/* What the object's type says of it. */
static struct description describe_data(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    struct ph_object type, dict;
    if (!ph_object_at(objects, o->type->address, &type))
        return (struct description){0};
    if (type.type->family == &ph_family_ctypes_type)
        return describe_type(objects, &type);
    ph_addr address = ph_python_word(objects->python, type.address, L->type.tp_dict);
    if (!address || !ph_object_at(objects, address, &dict) ||
        dict.type->family != &ph_family_stg_dict)
        return (struct description){0};
    return describe_dict(objects, &dict);
}

/* As PyCData_NewGetBuffer() shows it. */
static bool cdata_array(struct ph_objects *objects, const struct ph_object *o, struct ph_array *out)
{
    const struct ph_layout *L = &objects->python->layout;
    struct description d = describe_data(objects, o);
    out->start = ph_object_ptr(objects, o, L->cdata.b_ptr);
    out->nbytes = ph_object_count(objects, o, L->cdata.b_size);
    out->owns = owns_data(objects, o);
    out->base = ph_object_ptr(objects, o, L->cdata.b_base);
    ph_array_read_shape(objects, out, d.shape, d.dimensions);
    return true;
}

static void cdata_dtype(struct ph_objects *objects, const struct ph_object *o, struct ph_str *out)
{
    struct description d = describe_data(objects, o);
    if (d.format)
        ph_append_c_string(objects, d.format, out);
    else
        ph_str_append(out, "B");
}

/* Addresses in the data hold nothing: what must live stands in b_objects. */
const struct ph_family ph_family_cdata = {
    .type_names = PH_TYPE_NAMES("_ctypes._CData"),
    .struct_size = PH_STRUCT_OF(cdata),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("_b_base_", cdata, b_base),
                            PH_REF_FIELD("_objects", cdata, b_objects)),
    .own_bytes = ph_size_default,
    .buffers = cdata_buffers,
    .array = cdata_array,
    .dtype = cdata_dtype,
};

/* ---- closures ---- */

/* libffi's ffi_closure, with which C calls a Python function (_ctypes/callbacks.c). As large as
 * this machine's, where the target's words are as wide; else it is not known. */
static bool thunk_array(struct ph_objects *objects, const struct ph_object *o, struct ph_array *out)
{
    if (ph_word_bytes(objects->python) != sizeof(void *))
        return false;
    ph_array_fill(out, ph_object_ptr(objects, o, objects->python->layout.thunk.pcl_write),
                  sizeof(ffi_closure), 1);
    return out->start;
}

static void thunk_buffers(struct ph_objects *objects, const struct ph_object *o,
                          const struct ph_buffer_visitor *v)
{
    struct ph_array closure = {0};
    if (thunk_array(objects, o, &closure))
        ph_visit_buffer(v, closure.start, closure.nbytes, "closure");
}

/* What follows depends on the machine, and holds nothing but references and libffi's addresses. */
static void thunk_refs(struct ph_objects *objects, const struct ph_object *o,
                       const struct ph_visitor *v)
{
    uint64_t from = (uint64_t)objects->python->layout.thunk.size;
    if (from < o->type->min_bytes)
        ph_refs_scan(objects, o->at + from, o->type->min_bytes - from, from, v);
}

const struct ph_family ph_family_thunk = {
    .type_names = PH_TYPE_NAMES("_ctypes.CThunkObject"),
    .struct_size = PH_STRUCT_OF(thunk),
    .own_bytes = ph_size_default,
    .refs = thunk_refs,
    .buffers = thunk_buffers,
    .array = thunk_array,
};
