/* bytes, bytearray, memoryview, the buffer that memoryviews share and PickleBuffer
 * (Objects/bytesobject.c, bytearrayobject.c, memoryobject.c). */
#include "objects/object.h"

#include "objects/str.h"

#include <inttypes.h>

#define MAX_LENGTH (1ll << 42)

static void append_bytes(struct ph_objects *objects, ph_addr start, int64_t len, uint64_t max_chars,
                         struct ph_str *out)
{
    uint64_t shown = len < 0 ? 0 : (uint64_t)len < max_chars ? (uint64_t)len : max_chars;
    const uint8_t *bytes = ph_target_view(objects->python->target, start, (size_t)shown);
    ph_bytes_literal(bytes, bytes ? shown : 0, len > 0 && (uint64_t)len > shown, out);
}

static void bytes_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                          struct ph_str *out)
{
    append_bytes(objects, o->address + (uint64_t)objects->python->layout.bytes.ob_sval,
                 ph_object_var_size(objects, o), max_chars, out);
}

static bool view_bytes(const struct ph_objects *objects, ph_addr start, int64_t len,
                       struct ph_content *out)
{
    *out = (struct ph_content){
        .kind = PH_CONTENT_BYTES,
        .unit_bytes = 1,
        .count = (uint64_t)len,
    };
    return len >= 0 && len < MAX_LENGTH && ph_content_at(objects, start, out);
}

static bool bytes_content(struct ph_objects *objects, const struct ph_object *o,
                          struct ph_content *out)
{
    return view_bytes(objects, o->address + (uint64_t)objects->python->layout.bytes.ob_sval,
                      ph_object_var_size(objects, o), out);
}

static bool bytes_array(struct ph_objects *objects, const struct ph_object *o, struct ph_array *out)
{
    ph_array_fill(out, o->address + (uint64_t)objects->python->layout.bytes.ob_sval,
                  ph_sane_count(ph_object_var_size(objects, o)), 1);
    return true;
}

const struct ph_family ph_family_bytes = {
    .type_names = PH_TYPE_NAMES("bytes"),
    .content = bytes_content,
    .array = bytes_array,
    .dtype = ph_dtype_bytes,
    .summary = bytes_summary,
};

static uint64_t allocated(const struct ph_objects *objects, const struct ph_object *o)
{
    int64_t bytes = ph_object_ssize(objects, o, objects->python->layout.bytearray.ob_alloc);
    return bytes > 0 && bytes < MAX_LENGTH ? (uint64_t)bytes : 0;
}

/* From 3.15 on the bytes lie in a bytes object that nobody else has; the empty one is shared. */
static void bytearray_buffers(struct ph_objects *objects, const struct ph_object *o,
                              const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    uint64_t bytes = allocated(objects, o);
    if (!ph_has(L->bytearray.ob_bytes_object))
        ph_visit_buffer(v, ph_object_ptr(objects, o, L->bytearray.ob_bytes), bytes, "bytes");
    else if (bytes)
        ph_visit_buffer(v, ph_object_ptr(objects, o, L->bytearray.ob_bytes_object),
                        (uint64_t)L->bytes.ob_sval + bytes + 1, "bytes");
}

/* Where the bytes begin: not at the buffer's start where some were taken off the front. */
static ph_addr bytearray_start(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    return ph_object_ptr(
        objects, o, ph_has(L->bytearray.ob_start) ? L->bytearray.ob_start : L->bytearray.ob_bytes);
}

static bool bytearray_array(struct ph_objects *objects, const struct ph_object *o,
                            struct ph_array *out)
{
    ph_array_fill(out, bytearray_start(objects, o), ph_sane_count(ph_object_var_size(objects, o)),
                  1);
    return true;
}

static bool bytearray_content(struct ph_objects *objects, const struct ph_object *o,
                              struct ph_content *out)
{
    return view_bytes(objects, bytearray_start(objects, o), ph_object_var_size(objects, o), out);
}

static void bytearray_summary(struct ph_objects *objects, const struct ph_object *o,
                              uint64_t max_chars, struct ph_str *out)
{
    ph_str_append(out, "bytearray(");
    append_bytes(objects, bytearray_start(objects, o), ph_object_var_size(objects, o), max_chars,
                 out);
    ph_str_append(out, ")");
}

const struct ph_family ph_family_bytearray = {
    .type_names = PH_TYPE_NAMES("bytearray"),
    .size = ph_size_with_buffers,
    .buffers = bytearray_buffers,
    .content = bytearray_content,
    .array = bytearray_array,
    .dtype = ph_dtype_bytes,
    .summary = bytearray_summary,
};

/* memory_traverse visits the managed buffer; the exporter in the view is borrowed from that. */
static void memoryview_summary(struct ph_objects *objects, const struct ph_object *o,
                               uint64_t max_chars, struct ph_str *out)
{
    const struct ph_layout *L = &objects->python->layout;
    (void)max_chars;
    ph_str_appendf(out, "<memory of %" PRId64 " bytes at 0x%" PRIx64 ">",
                   ph_object_ssize(objects, o, L->memoryview.view + L->buffer.len),
                   ph_object_ptr(objects, o, L->memoryview.view + L->buffer.buf));
}

void ph_view_array(const struct ph_objects *objects, const struct ph_object *o, int64_t view,
                   struct ph_array *out)
{
    const struct ph_layout *L = &objects->python->layout;
    out->start = ph_object_ptr(objects, o, view + L->buffer.buf);
    out->nbytes = ph_object_count(objects, o, view + L->buffer.len);
    out->base = ph_object_ptr(objects, o, view + L->buffer.obj);
    ph_array_read_shape(objects, out, ph_object_ptr(objects, o, view + L->buffer.shape),
                        ph_object_int(objects, o, view + L->buffer.ndim));
}

static void append_format(const struct ph_objects *objects, const struct ph_object *o, int64_t view,
                          struct ph_str *out)
{
    int32_t format = objects->python->layout.buffer.format;
    ph_append_c_string(objects, ph_object_ptr(objects, o, view + format), out);
}

void ph_memoryview_dtype(struct ph_objects *objects, const struct ph_object *o, struct ph_str *out)
{
    append_format(objects, o, objects->python->layout.memoryview.view, out);
}

/* A flag, of the view or of the buffer that it shares, says that it was released: 1 in both
 * (Include/memoryobject.h: _Py_MEMORYVIEW_RELEASED, _Py_MANAGED_BUFFER_RELEASED). */
static bool memoryview_array(struct ph_objects *objects, const struct ph_object *o,
                             struct ph_array *out)
{
    enum { RELEASED = 1 };
    const struct ph_layout *L = &objects->python->layout;
    ph_addr shared = ph_object_ptr(objects, o, L->memoryview.mbuf);
    if ((ph_object_int(objects, o, L->memoryview.flags) |
         (int32_t)ph_python_u32(objects->python, shared, L->managed_buffer.flags)) &
        RELEASED)
        return false;
    ph_view_array(objects, o, L->memoryview.view, out);
    return true;
}

const struct ph_family ph_family_memoryview = {
    .type_names = PH_TYPE_NAMES("memoryview"),
    .struct_size = PH_FIELD_OF(memoryview, mbuf),
    .fields = (const struct ph_ref_field[]){PH_REF_FIELD("buffer", memoryview, mbuf),
                                            PH_REF_FIELD_WEAK("obj", memoryview, view_obj),
                                            {0}},
    .array = memoryview_array,
    .dtype = ph_memoryview_dtype,
    .summary = memoryview_summary,
};

const struct ph_family ph_family_managed_buffer = {
    .type_names = PH_TYPE_NAMES("managedbuffer"),
    .fields = (const struct ph_ref_field[]){PH_REF_FIELD("obj", managed_buffer, master_obj), {0}},
};

/* One that was released has no buffer (Objects/picklebufobject.c). */
static bool pickle_buffer_array(struct ph_objects *objects, const struct ph_object *o,
                                struct ph_array *out)
{
    ph_view_array(objects, o, objects->python->layout.pickle_buffer.view, out);
    return out->base;
}

static void pickle_buffer_dtype(struct ph_objects *objects, const struct ph_object *o,
                                struct ph_str *out)
{
    append_format(objects, o, objects->python->layout.pickle_buffer.view, out);
}

const struct ph_family ph_family_pickle_buffer = {
    .type_names = PH_TYPE_NAMES("pickle.PickleBuffer"),
    .struct_size = PH_STRUCT_OF(pickle_buffer),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("buffer of", pickle_buffer, view_obj)),
    .array = pickle_buffer_array,
    .dtype = pickle_buffer_dtype,
};
