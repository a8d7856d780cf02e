#include "objects/extension.h"

#include "base/checked.h"
#include "layout/described.h"
#include "objects/str.h"

#include <inttypes.h>

enum { LONGEST_NAME = 200, LONGEST_TEXT = 200 };

static const struct ph_described *described_of(const struct ph_object *o)
{
    return o->type->extension;
}

/* ---- fields ---- */

/* Where a field is: the number, or, of an array, its first item. */
struct place {
    ph_addr address;
    const struct ph_field *field;
    const struct ph_abi *abi;
};

static bool read_scalar(const struct ph_objects *objects, ph_addr address,
                        const struct ph_scalar *scalar, const struct ph_abi *abi, int64_t *value)
{
    const struct ph_python *python = objects->python;
    unsigned bytes = ph_scalar_bytes(scalar, abi);
    bool is_signed = ph_scalar_kind(scalar) == PH_SCALAR_SIGNED;
    const uint8_t *at = ph_target_view(python->target, address, bytes);
    if (!at || ph_scalar_kind(scalar) == PH_SCALAR_REAL)
        return false;
    switch (bytes) {
    case 1:
        *value = is_signed ? (int8_t)*at : *at;
        return true;
    case 2:
        *value = is_signed ? (int16_t)ph_load_u16(python, at) : ph_load_u16(python, at);
        return true;
    case 4:
        *value = is_signed ? (int32_t)ph_load_u32(python, at) : (int64_t)ph_load_u32(python, at);
        return true;
    default:
        *value = (int64_t)ph_load_u64(python, at);
        return true;
    }
}

static bool find_in_object(struct ph_objects *objects, ph_addr address, const char *path,
                           struct place *out)
{
    struct ph_object o;
    int32_t offset;
    if (!address || !ph_object_at(objects, address, &o) || !described_of(&o))
        return false;
    const struct ph_field *field = ph_described_field(described_of(&o), path, &offset);
    *out = (struct place){address + (uint64_t)offset, field, &described_of(&o)->decls->abi};
    return field;
}

static bool find_place(struct ph_objects *objects, const struct ph_object *o,
                       const struct ph_path *path, struct place *out)
{
    ph_addr at = o->address;
    for (; path->kind == PH_PATH_STRUCT; path = path->next) {
        at = ph_python_word(objects->python, at, path->offset);
        if (!at)
            return false;
    }
    if (path->kind == PH_PATH_OBJECT)
        return find_in_object(objects, ph_python_word(objects->python, at, path->offset),
                              path->rest, out);
    *out = (struct place){at + (uint64_t)path->offset, path->field, &described_of(o)->decls->abi};
    return true;
}

static bool read_number(struct ph_objects *objects, const struct ph_object *o,
                        const struct ph_path *path, int64_t *value)
{
    struct place place;
    return find_place(objects, o, path, &place) && place.field->scalar &&
           read_scalar(objects, place.address, place.field->scalar, place.abi, value);
}

static ph_addr read_pointer(struct ph_objects *objects, const struct ph_object *o,
                            const struct ph_path *path)
{
    int64_t value;
    return path && read_number(objects, o, path, &value) ? (ph_addr)value : 0;
}

bool ph_extension_number(const struct ph_objects *objects, const struct ph_object *o,
                         const char *path, int64_t *value)
{
    int32_t offset;
    const struct ph_described *d = described_of(o);
    const struct ph_field *field = d ? ph_described_field(d, path, &offset) : NULL;
    return field && field->scalar &&
           read_scalar(objects, o->address + (uint64_t)offset, field->scalar, &d->decls->abi,
                       value);
}

static bool holds(struct ph_objects *objects, const struct ph_object *o,
                  const struct ph_condition *condition)
{
    int64_t value;
    switch (condition->kind) {
    case PH_CONDITION_NEVER:
        return false;
    case PH_CONDITION_ALWAYS:
        return true;
    case PH_CONDITION_NO_BASE:
        return !read_pointer(objects, o, described_of(o)->base);
    case PH_CONDITION_TRUE:
    case PH_CONDITION_MASK:
    case PH_CONDITION_EQUALS:
        break;
    }
    if (!read_number(objects, o, condition->path, &value))
        return false;
    return condition->kind == PH_CONDITION_TRUE   ? value != 0
           : condition->kind == PH_CONDITION_MASK ? (value & condition->number) != 0
                                                  : value == condition->number;
}

/* ---- sizes ---- */

/* The items of an array, which stands in the struct or where a pointer in it leads; their number
 * is at most PH_MOST_DIMENSIONS. */
static bool read_items(struct ph_objects *objects, const struct ph_object *o,
                       const struct ph_factor *array, int64_t *items, uint32_t *count)
{
    struct place place;
    int64_t length;
    if (!read_number(objects, o, array->length, &length) || length < 0 ||
        length > PH_MOST_DIMENSIONS || !find_place(objects, o, array->path, &place))
        return false;
    const struct ph_scalar *item = place.field->scalar;
    if (place.field->points_to) {
        item = ph_scalar_find(place.field->points_to);
        place.address = ph_python_word(objects->python, place.address, 0);
    }
    for (int64_t i = 0; item && i < length; i++) {
        if (!read_scalar(objects, place.address + (uint64_t)i * ph_scalar_bytes(item, place.abi),
                         item, place.abi, &items[i]))
            return false;
    }
    *count = (uint32_t)length;
    return item;
}

/* False where a number is negative, the product is too large, or something cannot be read. */
static bool multiply(uint64_t *product, int64_t number)
{
    return number >= 0 && ph_mul(*product, (uint64_t)number, product) && *product <= INT64_MAX;
}

static bool factor_multiply(struct ph_objects *objects, const struct ph_object *o,
                            const struct ph_factor *factor, uint64_t *product)
{
    int64_t items[PH_MOST_DIMENSIONS], value;
    uint32_t count;
    if (factor->size_of)
        return multiply(product, ph_scalar_bytes(factor->size_of, &described_of(o)->decls->abi));
    if (!factor->path)
        return multiply(product, factor->number);
    if (!factor->length)
        return read_number(objects, o, factor->path, &value) && multiply(product, value);
    if (!read_items(objects, o, factor, items, &count))
        return false;
    bool ok = true;
    for (uint32_t i = 0; i < count && ok; i++)
        ok = multiply(product, items[i]);
    return ok;
}

/* 0 where it cannot be told. */
static uint64_t read_product(struct ph_objects *objects, const struct ph_object *o,
                             const struct ph_factor *factor)
{
    uint64_t product = 1;
    for (; factor; factor = factor->next) {
        if (!factor_multiply(objects, o, factor, &product))
            return 0;
    }
    return product;
}

/* The lengths of an array, by fields or arrays of them. */
static bool read_shape(struct ph_objects *objects, const struct ph_object *o, int64_t *shape,
                       uint32_t *dimensions)
{
    const struct ph_factor *factor = described_of(o)->shape;
    int64_t items[PH_MOST_DIMENSIONS];
    bool ok = factor;
    *dimensions = 0;
    for (; factor && ok; factor = factor->next) {
        uint32_t count = 1;
        items[0] = factor->number;
        if (factor->length)
            ok = read_items(objects, o, factor, items, &count);
        else if (factor->path)
            ok = read_number(objects, o, factor->path, &items[0]);
        ok = ok && *dimensions + count <= PH_MOST_DIMENSIONS;
        for (uint32_t i = 0; i < count && ok; i++)
            shape[(*dimensions)++] = items[i];
    }
    return ok;
}

/* Where a buffer begins: in the struct, or where a pointer leads. */
static ph_addr buffer_start(struct ph_objects *objects, const struct ph_object *o,
                            const struct ph_described_buffer *b)
{
    struct place place;
    if (!find_place(objects, o, b->pointer, &place))
        return 0;
    return place.field->count == 1 ? ph_python_word(objects->python, place.address, 0)
                                   : place.address;
}

uint64_t ph_extension_counted(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_factor *counted = described_of(o)->counted;
    return counted ? read_product(objects, o, counted) : 0;
}

static uint64_t extension_size(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_described *d = described_of(o);
    uint64_t bytes = ph_size_default(objects, o);
    for (const struct ph_described_buffer *b = d->buffers; b; b = b->next) {
        if (b->counted && holds(objects, o, &b->own))
            bytes = ph_add_saturated(bytes, read_product(objects, o, b->bytes));
    }
    return bytes;
}

static void extension_buffers(struct ph_objects *objects, const struct ph_object *o,
                              const struct ph_buffer_visitor *v)
{
    for (const struct ph_described_buffer *b = described_of(o)->buffers; b; b = b->next) {
        uint64_t bytes = holds(objects, o, &b->own) ? read_product(objects, o, b->bytes) : 0;
        ph_addr start = bytes ? buffer_start(objects, o, b) : 0;
        bool inside = start - o->address < o->type->basicsize;
        if (start && !inside)
            ph_visit_buffer(v, start, bytes, b->pointer->text);
    }
}

/* ---- references ---- */

static void visit_items(struct ph_objects *objects, const struct ph_object *o,
                        const struct ph_described_buffer *b, const struct ph_visitor *v)
{
    bool strong = holds(objects, o, &b->references);
    if (!(strong || holds(objects, o, &b->guesses)) || !holds(objects, o, &b->own))
        return;
    uint64_t bytes = read_product(objects, o, b->bytes);
    ph_addr start = buffer_start(objects, o, b);
    unsigned word = ph_word_bytes(objects->python);
    const uint8_t *at = bytes ? ph_target_view(objects->python->target, start, bytes) : NULL;
    for (uint64_t i = 0; at && i < bytes / word; i++)
        ph_visit(v, ph_load_ptr(objects->python, at + i * word),
                 strong ? PH_LABEL_ITEM : PH_LABEL_WORD, strong ? i : i * word,
                 strong ? PH_REF_STRONG : PH_REF_STRONG | PH_REF_GUESS);
}

static void extension_refs(struct ph_objects *objects, const struct ph_object *o,
                           const struct ph_visitor *v)
{
    const struct ph_described *d = described_of(o);
    unsigned word = ph_word_bytes(objects->python);
    for (const struct ph_described_reference *r = d->references; r; r = r->next)
        ph_visit(v, read_pointer(objects, o, r->path),
                 r->attribute ? PH_LABEL_FIELD : PH_LABEL_NOTE,
                 (uint64_t)(uintptr_t)(r->attribute ? r->attribute : r->path->text),
                 r->weak ? PH_REF_WEAK : PH_REF_STRONG);
    for (const struct ph_described_buffer *b = d->buffers; b; b = b->next)
        visit_items(objects, o, b, v);
    /* What the type has behind the struct; the weak references of an instance are none of its. */
    uint64_t from = ((uint64_t)d->in->size + word - 1) / word * word;
    for (uint64_t at = from; at + word <= o->type->described->basicsize; at += word) {
        if ((int64_t)at != o->type->described->weaklistoffset)
            ph_refs_scan(objects, o->at + at, word, at, v);
    }
}

/* ---- arrays ---- */

static bool extension_array(struct ph_objects *objects, const struct ph_object *o,
                            struct ph_array *out)
{
    const struct ph_described *d = described_of(o);
    if (!d->buffers)
        return false;
    out->start = buffer_start(objects, o, d->buffers);
    out->nbytes = read_product(objects, o, d->buffers->bytes);
    out->owns = holds(objects, o, &d->buffers->own);
    out->base = read_pointer(objects, o, d->base);
    out->shaped = read_shape(objects, o, out->shape, &out->dimensions);
    return true;
}

/* An object within another's summary: none whose own summary shows objects in its turn. */
static void append_held(struct ph_objects *objects, ph_addr address, uint64_t max_chars,
                        struct ph_str *out)
{
    struct ph_object held;
    bool known = address && ph_object_at(objects, address, &held);
    if (known && held.type->family != &ph_family_extension)
        ph_object_summary(objects, &held, max_chars, out);
    else if (known && described_of(&held)->summary_kind == PH_SUMMARY_NUMPY_DTYPE)
        ph_numpy_dtype_append(objects, &held, out);
    else
        ph_str_appendf(out, "0x%" PRIx64, address);
}

/* The number, the C string or the object that a field holds. */
static void append_field(struct ph_objects *objects, const struct place *place, uint64_t max_chars,
                         struct ph_str *out)
{
    int64_t value;
    const struct ph_field *field = place->field;
    if (!field->scalar || !read_scalar(objects, place->address, field->scalar, place->abi, &value))
        ph_str_append(out, "?");
    else if (ph_scalar_kind(field->scalar) != PH_SCALAR_POINTER)
        ph_str_appendf(out, "%" PRId64, value);
    else if (field->points_to && strcmp(field->points_to, "char") == 0)
        ph_append_c_string(objects, (ph_addr)value, out);
    else
        append_held(objects, (ph_addr)value, max_chars, out);
}

static void extension_dtype(struct ph_objects *objects, const struct ph_object *o,
                            struct ph_str *out)
{
    const struct ph_described *d = described_of(o);
    struct place place;
    int64_t value;
    if (d->dtype_text) {
        ph_str_append_visible(out, d->dtype_text, strlen(d->dtype_text));
        return;
    }
    if (!d->dtype || !find_place(objects, o, d->dtype, &place))
        return;
    if (place.field->scalar && ph_scalar_kind(place.field->scalar) != PH_SCALAR_POINTER) {
        if (read_number(objects, o, d->dtype, &value) && value > ' ' && value < 127)
            ph_str_appendf(out, "%c", (char)value);
        return;
    }
    append_field(objects, &place, LONGEST_TEXT, out);
}

/* ---- text ---- */

static void append_shape(struct ph_objects *objects, const struct ph_object *o, struct ph_str *out)
{
    int64_t items[PH_MOST_DIMENSIONS];
    uint32_t count = 0;
    if (read_shape(objects, o, items, &count))
        ph_shape_append(items, count, out);
}

/* One name in braces. */
static void append_named(struct ph_objects *objects, const struct ph_object *o, const char *name,
                         uint64_t max_chars, struct ph_str *out)
{
    struct place place;
    if (strcmp(name, "shape") == 0 && described_of(o)->shape)
        append_shape(objects, o, out);
    else if (strcmp(name, "dtype") == 0)
        extension_dtype(objects, o, out);
    else if (find_in_object(objects, o->address, name, &place))
        append_field(objects, &place, max_chars, out);
    else
        ph_str_append(out, "?");
}

static void append_template(struct ph_objects *objects, const struct ph_object *o, const char *text,
                            uint64_t max_chars, struct ph_str *out)
{
    char name[LONGEST_NAME];
    while (*text) {
        size_t plain = strcspn(text, "{");
        ph_str_append_visible(out, text, plain);
        text += plain;
        size_t len = *text ? strcspn(text + 1, "}") : 0;
        if (!*text || !text[1 + len] || len >= sizeof name) {
            ph_str_append_visible(out, text, strlen(text));
            return;
        }
        memcpy(name, text + 1, len);
        name[len] = '\0';
        append_named(objects, o, name, max_chars, out);
        text += len + 2;
    }
}

static void extension_summary(struct ph_objects *objects, const struct ph_object *o,
                              uint64_t max_chars, struct ph_str *out)
{
    const struct ph_described *d = described_of(o);
    if (d->summary_kind == PH_SUMMARY_NUMPY_DTYPE)
        ph_numpy_dtype_append(objects, o, out);
    else if (d->summary)
        append_template(objects, o, d->summary, max_chars, out);
    else
        ph_str_appendf(out, "<%s at 0x%" PRIx64 ">", o->type->described->name, o->address);
}

const struct ph_family ph_family_extension = {
    .size = extension_size,
    .own_bytes = ph_size_default,
    .refs = extension_refs,
    .buffers = extension_buffers,
    .array = extension_array,
    .dtype = extension_dtype,
    .summary = extension_summary,
};
