/* Numbers packed in memory: array.array, struct.Struct and decimal.Decimal (Modules/arraymodule.c,
 * _struct.c, _decimal/_decimal.c). */
#include "objects/object.h"

#include <inttypes.h>

enum { MAX_CODES = 1 << 20 };

/* ---- array.array ---- */

static uint64_t array_room(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr descr = ph_object_ptr(objects, o, L->array.ob_descr);
    uint32_t item = ph_python_u32(objects->python, descr, L->array_descr.itemsize);
    return item <= 16 ? ph_object_count(objects, o, L->array.allocated) * item : 0;
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
    .summary = array_summary,
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
