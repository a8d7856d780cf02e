/* bytes, bytearray, memoryview and the buffer that memoryviews share (Objects/bytesobject.c,
 * bytearrayobject.c, memoryobject.c). */
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

const struct ph_family ph_family_bytes = {
    .type_names = PH_TYPE_NAMES("bytes"),
    .content = bytes_content,
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

static ph_addr bytearray_start(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    int32_t start = ph_has(L->bytearray.ob_start) ? L->bytearray.ob_start : L->bytearray.ob_bytes;
    return ph_object_ptr(objects, o, start);
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
    .summary = bytearray_summary,
};

/* memory_traverse visits the managed buffer; the exporter in the view is borrowed from that. */
static void memoryview_summary(struct ph_objects *objects, const struct ph_object *o,
                               uint64_t max_chars, struct ph_str *out)
{
    (void)max_chars;
    ph_str_appendf(out, "<memory of %" PRId64 " bytes at 0x%" PRIx64 ">",
                   ph_object_ssize(objects, o, objects->python->layout.memoryview.view_len),
                   ph_object_ptr(objects, o, objects->python->layout.memoryview.view_buf));
}

const struct ph_family ph_family_memoryview = {
    .type_names = PH_TYPE_NAMES("memoryview"),
    .struct_size = PH_FIELD_OF(memoryview, mbuf),
    .fields = (const struct ph_ref_field[]){PH_REF_FIELD("buffer", memoryview, mbuf),
                                            PH_REF_FIELD_WEAK("obj", memoryview, view_obj),
                                            {0}},
    .summary = memoryview_summary,
};

const struct ph_family ph_family_managed_buffer = {
    .type_names = PH_TYPE_NAMES("managedbuffer"),
    .fields = (const struct ph_ref_field[]){PH_REF_FIELD("obj", managed_buffer, master_obj), {0}},
};
