/* What str() says of a numpy.dtype (numpy/core/_dtype.py), from the fields that
 * layout/extensions/numpy.layout declares. */
#include "layout/described.h"
#include "objects/dict.h"
#include "objects/extension.h"
#include "objects/int_value.h"
#include "objects/str.h"

#include <inttypes.h>

enum {
    MOST_FIELDS = 1000, /* of one struct */
    FIRST_USER_TYPE = 256,
    ALIGNED_STRUCT = 0x80, /* NPY_ALIGNED_STRUCT */
    CHARACTER_BYTES = 4,   /* of a str_ */
    LONGEST_TEXT = 1000,
};

struct dtype {
    struct ph_objects *objects;
    struct ph_object o;
    char kind, byteorder; /* '<' or '>', or '|' where there is none */
    bool native;
    int64_t bytes, type_num, flags;
};

static int64_t number_of(const struct dtype *d, const char *field)
{
    int64_t value;
    return ph_extension_number(d->objects, &d->o, field, &value) ? value : 0;
}

static bool open_dtype(struct ph_objects *objects, ph_addr address, struct dtype *d)
{
    bool big_endian = objects->python->layout.big_endian;
    d->objects = objects;
    if (!ph_object_at(objects, address, &d->o) || d->o.type->family != &ph_family_extension)
        return false;
    char order = (char)number_of(d, "byteorder");
    d->kind = (char)number_of(d, "kind");
    d->bytes = number_of(d, "elsize");
    d->type_num = number_of(d, "type_num");
    d->flags = number_of(d, "flags");
    d->native = order != (big_endian ? '<' : '>');
    d->byteorder = order == '|' ? '|' : d->native == big_endian ? '>' : '<';
    return d->kind > ' ' && d->kind < 127;
}

/* ---- simple ones ---- */

/* The last part of the scalar type's name. */
static void append_type_name(const struct dtype *d, struct ph_str *out)
{
    const struct ph_type *type = ph_type_at(d->objects, (ph_addr)number_of(d, "typeobj"));
    const char *name = type ? type->name : "?", *dot = strrchr(name, '.');
    ph_str_append(out, dot ? dot + 1 : name);
}

/* Where a field of a struct lies to which a field of the dtype points; 0 where it points nowhere.
 */
static ph_addr behind(const struct dtype *d, const char *pointer, const char *struct_name,
                      const char *field)
{
    const struct ph_decls *decls = d->o.type->extension->decls;
    const struct ph_struct *in = ph_decls_struct(decls, struct_name);
    ph_addr address = (ph_addr)number_of(d, pointer);
    int32_t offset;
    bool found = address && in && ph_decls_offset(decls, in, field, &offset);
    return found ? address + (uint64_t)offset : 0;
}

/* "[ns]", "[25s]"; nothing where there is no unit. */
static void append_unit(const struct dtype *d, struct ph_str *out)
{
    static const char *const units[] = {"Y", "M",  "W",  "B",  "D",  "h",  "m",
                                        "s", "ms", "us", "ns", "ps", "fs", "as"};
    static const char metadata[] = "PyArray_DatetimeDTypeMetaData";
    const struct ph_python *python = d->objects->python;
    ph_addr unit_at = behind(d, "c_metadata", metadata, "unit");
    uint32_t unit = ph_python_u32(python, unit_at, 0);
    uint32_t count = ph_python_u32(python, behind(d, "c_metadata", metadata, "num"), 0);
    if (!unit_at || unit >= sizeof units / sizeof *units)
        return;
    ph_str_append(out, "[");
    if (count != 1)
        ph_str_appendf(out, "%" PRIu32, count);
    ph_str_appendf(out, "%s]", units[unit]);
}

/* dtype.str: "<f8", "|S5"; short: as in a struct, without the '|'. */
static void append_code(const struct dtype *d, bool is_short, struct ph_str *out)
{
    bool is_bytes = d->kind == 'S' || d->kind == 'V' || d->kind == 'O';
    if (d->byteorder != '|' && !is_bytes)
        ph_str_appendf(out, "%c", d->byteorder);
    else if (!is_short)
        ph_str_append(out, "|");
    if (is_short && (d->kind == 'b' || d->kind == 'O')) {
        ph_str_append(out, d->kind == 'b' ? "?" : "O");
        return;
    }
    ph_str_appendf(out, "%c%" PRId64, d->kind,
                   d->kind == 'U' ? d->bytes / CHARACTER_BYTES : d->bytes);
    if (d->kind == 'M' || d->kind == 'm')
        append_unit(d, out);
}

static const char *name_of_kind(char kind)
{
    switch (kind) {
    case 'i':
        return "int";
    case 'u':
        return "uint";
    case 'f':
        return "float";
    case 'c':
        return "complex";
    case 'M':
        return "datetime";
    case 'm':
        return "timedelta";
    default:
        return NULL;
    }
}

/* dtype.name of one in the machine's byte order. */
static void append_name(const struct dtype *d, struct ph_str *out)
{
    const char *name = d->type_num < FIRST_USER_TYPE ? name_of_kind(d->kind) : NULL;
    if (name)
        ph_str_appendf(out, "%s%" PRId64, name, d->bytes * 8);
    else if (d->kind == 'b' || d->kind == 'O')
        ph_str_append(out, d->kind == 'b' ? "bool" : "object");
    else if (d->kind == 'T')
        ph_str_append(out, "StringDType()");
    else
        append_type_name(d, out);
    if (d->kind == 'M' || d->kind == 'm')
        append_unit(d, out);
}

/* ---- structs and subarrays ---- */

struct field {
    ph_addr name, dtype;
    uint64_t offset;
};

static uint32_t name_count(const struct dtype *d, ph_addr *names)
{
    const struct ph_python *python = d->objects->python;
    struct ph_object tuple;
    *names = (ph_addr)number_of(d, "names");
    if (!*names || !ph_object_at(d->objects, *names, &tuple) ||
        tuple.type->family != &ph_family_tuple)
        return 0;
    uint64_t count = ph_sane_count(ph_object_ssize(d->objects, &tuple, python->layout.var.ob_size));
    return count < MOST_FIELDS ? (uint32_t)count : 0;
}

static ph_addr tuple_item(const struct ph_python *python, ph_addr tuple, uint32_t i)
{
    return ph_python_word(python, tuple,
                          python->layout.tuple.ob_item + (int64_t)i * ph_word_bytes(python));
}

static bool find_field(const struct dtype *d, ph_addr names, uint32_t i, struct field *out)
{
    const struct ph_python *python = d->objects->python;
    struct ph_str text = {0};
    struct ph_object entry;
    out->name = tuple_item(python, names, i);
    bool ok = ph_str_object_text(d->objects, out->name, LONGEST_TEXT, &text);
    ph_addr found =
        ok ? ph_dict_get_string(d->objects, (ph_addr)number_of(d, "fields"), ph_str_text(&text))
           : 0;
    ph_str_free(&text);
    if (!found || !ph_object_at(d->objects, found, &entry) ||
        entry.type->family != &ph_family_tuple)
        return false;
    out->dtype = tuple_item(python, found, 0);
    return ph_int_value(d->objects, tuple_item(python, found, 1), &out->offset);
}

/* Whether the fields follow each other without gaps, in a struct that is not aligned. */
static bool is_packed(const struct dtype *d, ph_addr names, uint32_t count)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct field field;
        struct dtype inner;
        if (!find_field(d, names, i, &field) || field.offset != end ||
            !open_dtype(d->objects, field.dtype, &inner))
            return false;
        end += (uint64_t)inner.bytes;
    }
    return end == (uint64_t)d->bytes && !(d->flags & ALIGNED_STRUCT);
}

static void append_object(const struct dtype *d, ph_addr address, struct ph_str *out)
{
    struct ph_object o;
    if (ph_object_at(d->objects, address, &o))
        ph_object_summary(d->objects, &o, LONGEST_TEXT, out);
    else
        ph_str_append(out, "?");
}

/* "(2, 3)", "(2,)" */
static void append_shape(const struct dtype *d, ph_addr tuple, struct ph_str *out)
{
    const struct ph_python *python = d->objects->python;
    uint64_t count = ph_python_word(python, tuple, python->layout.var.ob_size), length;
    ph_str_append(out, "(");
    for (uint32_t i = 0; i < count && i < PH_MOST_DIMENSIONS &&
                         ph_int_value(d->objects, tuple_item(python, tuple, i), &length);
         i++)
        ph_str_appendf(out, "%s%" PRIu64, i ? ", " : "", length);
    ph_str_append(out, count == 1 ? ",)" : ")");
}

/* A subarray's: "'<f4', (2,)". False where it is none. */
static bool append_subarray(const struct dtype *d, struct ph_str *out)
{
    static const char subarray[] = "PyArray_ArrayDescr";
    const struct ph_python *python = d->objects->python;
    ph_addr base = behind(d, "subarray", subarray, "base");
    ph_addr shape = behind(d, "subarray", subarray, "shape");
    struct dtype items;
    if (!base || !open_dtype(d->objects, ph_python_word(python, base, 0), &items))
        return false;
    ph_str_append(out, "'");
    append_code(&items, true, out);
    ph_str_append(out, "', ");
    append_shape(d, ph_python_word(python, shape, 0), out);
    return true;
}

/* The dtype of a field. Structs in structs are not written out, for nothing says how deep they go.
 */
static void append_inner(const struct dtype *d, ph_addr address, struct ph_str *out)
{
    struct dtype inner;
    ph_addr names;
    if (!open_dtype(d->objects, address, &inner)) {
        ph_str_append(out, "?");
    } else if (name_count(&inner, &names)) {
        ph_str_append(out, "[...]");
    } else if (!append_subarray(&inner, out)) {
        ph_str_append(out, "'");
        append_code(&inner, true, out);
        ph_str_append(out, "'");
    }
}

static void append_field_list(const struct dtype *d, ph_addr names, uint32_t count,
                              struct ph_str *out)
{
    struct field field;
    ph_str_append(out, "[");
    for (uint32_t i = 0; i < count && find_field(d, names, i, &field); i++) {
        ph_str_append(out, i ? ", (" : "(");
        append_object(d, field.name, out);
        ph_str_append(out, ", ");
        append_inner(d, field.dtype, out);
        ph_str_append(out, ")");
    }
    ph_str_append(out, "]");
}

static void append_field_dict(const struct dtype *d, ph_addr names, uint32_t count,
                              struct ph_str *out)
{
    static const char *const parts[] = {"{'names': [", "], 'formats': [", "], 'offsets': ["};
    struct field field;
    for (unsigned part = 0; part < sizeof parts / sizeof *parts; part++) {
        ph_str_append(out, parts[part]);
        for (uint32_t i = 0; i < count && find_field(d, names, i, &field); i++) {
            ph_str_append(out, i ? ", " : "");
            if (part == 0)
                append_object(d, field.name, out);
            else if (part == 1)
                append_inner(d, field.dtype, out);
            else
                ph_str_appendf(out, "%" PRIu64, field.offset);
        }
    }
    ph_str_appendf(out, "], 'itemsize': %" PRId64 "%s}", d->bytes,
                   d->flags & ALIGNED_STRUCT ? ", 'aligned': True" : "");
}

static void append_struct(const struct dtype *d, ph_addr names, uint32_t count, struct ph_str *out)
{
    const struct ph_type *type = ph_type_at(d->objects, (ph_addr)number_of(d, "typeobj"));
    bool other = type && strcmp(type->name, "numpy.void") != 0;
    if (other)
        ph_str_appendf(out, "(%s, ", type->name);
    if (is_packed(d, names, count))
        append_field_list(d, names, count, out);
    else
        append_field_dict(d, names, count, out);
    ph_str_append(out, other ? ")" : "");
}

void ph_numpy_dtype_append(struct ph_objects *objects, const struct ph_object *o,
                           struct ph_str *out)
{
    struct dtype d;
    ph_addr names;
    if (!open_dtype(objects, o->address, &d)) {
        ph_str_append(out, "?");
        return;
    }
    uint32_t count = name_count(&d, &names);
    size_t before = out->len;
    if (count) {
        append_struct(&d, names, count, out);
    } else if (number_of(&d, "subarray")) {
        ph_str_append(out, "(");
        if (append_subarray(&d, out))
            ph_str_append(out, ")");
        else
            ph_str_truncate(out, before);
    } else if (d.kind == 'U' || d.kind == 'S' || d.kind == 'V' || !d.native) {
        append_code(&d, false, out);
    } else {
        append_name(&d, out);
    }
}
