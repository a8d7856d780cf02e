/* Files and streams (Modules/_io/): those that buffer in memory of their own. */
#include "objects/object.h"

/* ---- BufferedReader, BufferedWriter, BufferedRandom (bufferedio.c) ---- */

static uint64_t buffer_bytes(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    return ph_object_ptr(objects, o, L->buffered.buffer)
               ? ph_object_count(objects, o, L->buffered.buffer_size)
               : 0;
}

static void buffered_buffers(struct ph_objects *objects, const struct ph_object *o,
                             const struct ph_buffer_visitor *v)
{
    ph_visit_buffer(v, ph_object_ptr(objects, o, objects->python->layout.buffered.buffer),
                    buffer_bytes(objects, o), "buffer");
}

const struct ph_family ph_family_buffered = {
    .type_names = PH_TYPE_NAMES("_io.BufferedReader", "_io.BufferedWriter", "_io.BufferedRandom"),
    .struct_size = PH_STRUCT_OF(buffered),
    .fields =
        PH_REF_FIELDS(PH_REF_FIELD("raw", buffered, raw), PH_REF_FIELD("__dict__", buffered, dict)),
    .size = ph_size_with_buffers,
    .buffers = buffered_buffers,
};

/* ---- BytesIO (bytesio.c) ---- */

/* The buffer is a bytes object, counted here while nobody else holds it (SHARED_BUF). */
static uint64_t bytes_io_size(struct ph_objects *objects, const struct ph_object *o)
{
    struct ph_object bytes;
    int64_t count;
    ph_addr buf = ph_object_ptr(objects, o, objects->python->layout.bytes_io.buf);
    if (!buf || !ph_object_at(objects, buf, &bytes) || bytes.type->family != &ph_family_bytes ||
        !ph_object_refcount(objects, &bytes, &count) || count > 1)
        return o->type->basicsize;
    return o->type->basicsize + ph_object_sizeof(objects, &bytes);
}

const struct ph_family ph_family_bytes_io = {
    .type_names = PH_TYPE_NAMES("_io.BytesIO"),
    .struct_size = PH_FIELD_OF(bytes_io, exports),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("buffer", bytes_io, buf),
                            PH_REF_FIELD("__dict__", bytes_io, dict)),
    .size = bytes_io_size,
    .own_bytes = ph_size_default,
};

/* In 2.7 the buffer is memory of its own. */
static void py2_bytes_io_buffers(struct ph_objects *objects, const struct ph_object *o,
                                 const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->bytes_io.buf),
                    ph_object_count(objects, o, L->bytes_io.buf_size), "buffer");
}

const struct ph_family ph_family_py2_bytes_io = {
    .type_names = PH_TYPE_NAMES("_io.BytesIO"),
    .struct_size = PH_FIELD_OF(bytes_io, buf_size),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("__dict__", bytes_io, dict)),
    .size = ph_size_with_buffers,
    .buffers = py2_bytes_io_buffers,
};

/* ---- StringIO (stringio.c) ---- */

/* What was only appended so far is kept in lists (to 3.11), or in one str that grows; the writer
 * that makes it grow is memory of its own from 3.14 on. */
static ph_addr separate_writer(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    return ph_has(L->string_io.writer) && !ph_has(L->string_io.writer_buffer)
               ? ph_object_ptr(objects, o, L->string_io.writer)
               : 0;
}

static void string_io_buffers(struct ph_objects *objects, const struct ph_object *o,
                              const struct ph_buffer_visitor *v)
{
    enum { UCS2 = 2, UCS4 = 4 };
    const struct ph_layout *L = &objects->python->layout;
    unsigned unit = L->traits.py_unicode == PH_PY_UNICODE_UCS2 ? UCS2 : UCS4;
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->string_io.buf),
                    ph_object_count(objects, o, L->string_io.buf_size) * unit, "characters");
    ph_visit_buffer(v, separate_writer(objects, o), (uint64_t)L->unicode_writer.size, "writer");
}

static void string_io_refs(struct ph_objects *objects, const struct ph_object *o,
                           const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr writer = separate_writer(objects, o);
    if (writer)
        ph_visit(v, ph_python_word(objects->python, writer, L->unicode_writer.buffer),
                 PH_LABEL_NOTE, (uint64_t)(uintptr_t) "appended text", PH_REF_STRONG);
}

const struct ph_family ph_family_string_io = {
    .type_names = PH_TYPE_NAMES("_io.StringIO"),
    .struct_size = PH_STRUCT_OF(string_io),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("appended pieces", string_io, accu_large),
                            PH_REF_NOTE("appended small pieces", string_io, accu_small),
                            PH_REF_NOTE("appended text", string_io, writer_buffer),
                            PH_REF_NOTE("decoder", string_io, decoder),
                            PH_REF_NOTE("newline", string_io, readnl),
                            PH_REF_NOTE("newline to write", string_io, writenl),
                            PH_REF_FIELD("__dict__", string_io, dict)),
    .refs = string_io_refs,
    .buffers = string_io_buffers,
};
