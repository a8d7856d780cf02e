/* Numbers packed in memory: array.array, mmap.mmap, struct.Struct and decimal.Decimal
 * (Modules/arraymodule.c, mmapmodule.c, _struct.c, _decimal/_decimal.c). */
#include "objects/object.h"

#include <inttypes.h>

enum { MAX_CODES = 1 << 20 };

/* ---- array.array ---- */

static ph_addr array_descr(const struct ph_objects *objects, const struct ph_object *o)
{
    return ph_object_ptr(objects, o, objects->python->layout.array.ob_descr);
}

static uint32_t array_item_bytes(const struct ph_objects *objects, const struct ph_object *o)
{
    uint32_t item = ph_python_u32(objects->python, array_descr(objects, o),
                                  objects->python->layout.array_descr.itemsize);
    return item <= 16 ? item : 0;
}

static uint64_t array_room(const struct ph_objects *objects, const struct ph_object *o)
{
    return ph_object_count(objects, o, objects->python->layout.array.allocated) *
           array_item_bytes(objects, o);
}

static bool array_array(struct ph_objects *objects, const struct ph_object *o, struct ph_array *out)
{
    ph_array_fill(out, ph_object_ptr(objects, o, objects->python->layout.array.ob_item),
                  ph_sane_count(ph_object_var_size(objects, o)), array_item_bytes(objects, o));
    return true;
}

static void array_dtype(struct ph_objects *objects, const struct ph_object *o, struct ph_str *out)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_append_c_string(objects, array_descr(objects, o) + (uint64_t)L->array_descr.typecode, out);
}

static void array_buffers(struct ph_objects *objects, const struct ph_object *o,
                          const struct ph_buffer_visitor *v)
{
    ph_visit_buffer(v, ph_object_ptr(objects, o, objects->python->layout.array.ob_item),
                    array_room(objects, o), "items");
}

static void array_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                          struct ph_str *out)
{
    (void)max_chars;
    int64_t n = ph_object_var_size(objects, o);
    ph_str_appendf(out, "array[%" PRId64 " item%s]", n, n == 1 ? "" : "s");
}

const struct ph_family ph_family_array = {
    .type_names = PH_TYPE_NAMES("array.array"),
    .struct_size = PH_STRUCT_OF(array),
    .size = ph_size_with_buffers,
    .buffers = array_buffers,
    .array = array_array,
    .dtype = array_dtype,
    .summary = array_summary,
};

/* ---- mmap.mmap ---- */

/* A closed one has no map. */
static bool mmap_array(struct ph_objects *objects, const struct ph_object *o, struct ph_array *out)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_array_fill(out, ph_object_ptr(objects, o, L->mmap.data),
                  ph_object_count(objects, o, L->mmap.length), 1);
    return out->start;
}

static void mmap_buffers(struct ph_objects *objects, const struct ph_object *o,
                         const struct ph_buffer_visitor *v)
{
    struct ph_array map = {0};
    if (mmap_array(objects, o, &map))
        ph_visit_buffer(v, map.start, map.nbytes, "map");
}

static void mmap_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                         struct ph_str *out)
{
    struct ph_array map = {0};
    (void)max_chars;
    if (mmap_array(objects, o, &map))
        ph_str_appendf(out, "<map of %" PRIu64 " bytes at 0x%" PRIx64 ">", map.nbytes, map.start);
    else
        ph_str_append(out, "<closed map>");
}

const struct ph_family ph_family_mmap = {
    .type_names = PH_TYPE_NAMES("mmap.mmap"),
    .struct_size = PH_STRUCT_OF(mmap),
    .own_bytes = ph_size_default,
    .buffers = mmap_buffers,
    .array = mmap_array,
    .dtype = ph_dtype_bytes,
    .summary = mmap_summary,
};

/* ---- struct.Struct ---- */

/* All codes of the format, and one that ends them. */
static uint64_t code_bytes(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr code = ph_object_ptr(objects, o, L->struct_.s_codes);
    uint64_t stride = (uint64_t)L->format_code.size, n = 0;
    while (n < MAX_CODES &&
           ph_python_word(objects->python, code + n * stride, L->format_code.fmtdef))
        n++;
    return code ? (n + 1) * stride : 0;
}

static void struct_buffers(struct ph_objects *objects, const struct ph_object *o,
                           const struct ph_buffer_visitor *v)
{
    ph_visit_buffer(v, ph_object_ptr(objects, o, objects->python->layout.struct_.s_codes),
                    code_bytes(objects, o), "codes");
}

const struct ph_family ph_family_struct = {
    .type_names = PH_TYPE_NAMES("_struct.Struct", "Struct"),
    .struct_size = PH_STRUCT_OF(struct_),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("format", struct_, s_format)),
    .size = ph_size_with_buffers,
    .buffers = struct_buffers,
};

/* ---- decimal.Decimal ---- */

/* The digits of small numbers lie in the object (libmpdec/mpdecimal.h: MPD_STATIC_DATA,
 * MPD_SHARED_DATA, MPD_CONST_DATA). */
static uint64_t digit_bytes(const struct ph_objects *objects, const struct ph_object *o)
{
    enum { NOT_OWNED = 32 | 64 | 128 };
    const struct ph_layout *L = &objects->python->layout;
    if (o->at[L->decimal.flags] & NOT_OWNED)
        return 0;
    return ph_object_count(objects, o, L->decimal.alloc) * L->word_bytes;
}

static void decimal_buffers(struct ph_objects *objects, const struct ph_object *o,
                            const struct ph_buffer_visitor *v)
{
    uint64_t bytes = digit_bytes(objects, o);
    if (bytes)
        ph_visit_buffer(v, ph_object_ptr(objects, o, objects->python->layout.decimal.digits), bytes,
                        "digits");
}

const struct ph_family ph_family_decimal = {
    .type_names = PH_TYPE_NAMES("decimal.Decimal"),
    .struct_size = PH_STRUCT_OF(decimal),
    .size = ph_size_with_buffers,
    .buffers = decimal_buffers,
};
