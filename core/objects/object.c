#include "objects/object.h"

#include "base/checked.h"
#include "objects/dict.h"
#include "objects/extension.h"
#include "objects/str.h"
#include "runtime/refcount.h"

#include <inttypes.h>

bool ph_object_at(struct ph_objects *objects, ph_addr address, struct ph_object *out)
{
    uint64_t type_address;
    if (address % ph_word_bytes(objects->python) != 0 ||
        !ph_target_word(objects->python->target,
                        address + (uint64_t)objects->python->layout.object.ob_type, &type_address))
        return false;
    const struct ph_type *type = ph_type_at(objects, type_address);
    return type && ph_object_open(objects, address, type, out);
}

bool ph_object_refcount(const struct ph_objects *objects, const struct ph_object *o, int64_t *count)
{
    struct ph_refcount refs = ph_refcount_read(objects->python, o->at);
    *count = refs.count;
    return !refs.immortal;
}

/* ---- sizes ---- */

uint64_t ph_size_default(struct ph_objects *objects, const struct ph_object *o)
{
    if (o->type->itemsize == 0)
        return o->type->basicsize;
    int64_t n = ph_object_var_size(objects, o);
    uint64_t items, bytes;
    /* The sign belongs to int (to 3.11); a count that cannot be is not believed. */
    uint64_t count = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    if (!ph_mul(count, o->type->itemsize, &items) || !ph_add(items, o->type->basicsize, &bytes) ||
        bytes > INT64_MAX)
        return o->type->basicsize;
    return bytes;
}

static void add_buffer(void *ctx, ph_addr start, uint64_t bytes, const char *what)
{
    uint64_t *sum = ctx;
    (void)start;
    (void)what;
    *sum += bytes;
}

uint64_t ph_size_with_buffers(struct ph_objects *objects, const struct ph_object *o)
{
    uint64_t bytes = ph_size_default(objects, o);
    o->type->family->buffers(objects, o, &(struct ph_buffer_visitor){add_buffer, &bytes});
    return bytes;
}

static void subtract_buffer(void *ctx, ph_addr start, uint64_t bytes, const char *what)
{
    uint64_t *left = ctx;
    (void)start;
    (void)what;
    *left -= bytes < *left ? bytes : *left;
}

uint64_t ph_object_own_bytes(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_family *family = o->type->family;
    if (family->own_bytes)
        return family->own_bytes(objects, o);
    if (!family->size)
        return ph_size_default(objects, o);
    /* __sizeof__ counts the buffers that belong to the object. */
    uint64_t bytes = family->size(objects, o);
    if (family->buffers)
        family->buffers(objects, o, &(struct ph_buffer_visitor){subtract_buffer, &bytes});
    return bytes < o->type->min_bytes ? o->type->min_bytes : bytes;
}

/* Whether a type is static: it has no GC header then, though its own type says HAVE_GC
 * (Objects/typeobject.c: type_is_gc()). */
static bool is_static_type(const struct ph_objects *objects, const struct ph_object *o)
{
    return !(ph_object_ptr(objects, o, objects->python->layout.type.tp_flags) &
             PH_TPFLAGS_HEAPTYPE);
}

/* What sys.getsizeof adds to a type's __sizeof__() (Python/sysmodule.c: _PySys_GetSizeOf). */
static uint64_t presize_of_type(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_python *python = objects->python;
    bool left_out = is_static_type(objects, o);
    if (python->layout.traits.presize == PH_PRESIZE_TYPE_FLAG)
        left_out = false;
    else if (python->layout.traits.presize == PH_PRESIZE_TYPE_FLAG_BUT_STATIC)
        left_out &= o->type->address == python->type_type;
    return left_out ? 0 : o->type->presize;
}

uint64_t ph_object_sizeof(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_family *family = o->type->family;
    if (o->type->fixed_size)
        return o->type->fixed_size;
    uint64_t bytes = family->size ? family->size(objects, o) : ph_size_default(objects, o);
    if (o->type->extension)
        bytes = ph_add_saturated(bytes, ph_extension_counted(objects, o));
    bool is_type = o->type->flags & PH_TPFLAGS_TYPE_SUBCLASS;
    return bytes + (is_type ? presize_of_type(objects, o) : o->type->presize);
}

/* ---- references ---- */

void ph_visit_words(const struct ph_objects *objects, ph_addr start, int64_t count,
                    enum ph_label_kind kind, const struct ph_visitor *v)
{
    unsigned word = ph_word_bytes(objects->python);
    uint64_t n = ph_sane_count(count);
    const uint8_t *words =
        n ? ph_target_view(objects->python->target, start, (size_t)(n * word)) : NULL;
    for (uint64_t i = 0; words && i < n; i++)
        ph_visit(v, ph_load_ptr(objects->python, words + i * word), kind, i, PH_REF_STRONG);
}

void ph_refs_scan(const struct ph_objects *objects, const uint8_t *at, uint64_t len, uint64_t base,
                  const struct ph_visitor *v)
{
    unsigned word = ph_word_bytes(objects->python);
    for (uint64_t i = 0; i + word <= len; i += word)
        ph_visit(v, ph_load_ptr(objects->python, at + i), PH_LABEL_WORD, base + i,
                 PH_REF_STRONG | PH_REF_GUESS);
}

static void visit_fields(struct ph_objects *objects, const struct ph_object *o,
                         const struct ph_visitor *v)
{
    for (const struct ph_ref_field *f = o->type->family->fields; f && f->label; f++) {
        int32_t offset;
        memcpy(&offset, (const char *)&objects->python->layout + f->layout_member, sizeof offset);
        /* A field that the type's own struct is too short for belongs to a relative that shares the
         * family. */
        if (ph_has(offset) &&
            (uint64_t)offset + ph_word_bytes(objects->python) <= o->type->basicsize)
            ph_visit(v, ph_object_ptr(objects, o, offset), f->kind, (uint64_t)(uintptr_t)f->label,
                     f->flags);
    }
}

/* The label of a scanned word: the member that its C type declares there, else its offset. */
static struct ph_label word_label(const struct ph_type *type, uint64_t offset)
{
    for (uint32_t i = 0; i < type->member_count; i++) {
        if ((uint64_t)type->members[i].offset == offset)
            return (struct ph_label){PH_LABEL_MEMBER, type->members[i].name};
    }
    return (struct ph_label){PH_LABEL_WORD, offset};
}

/* Functions that Cython compiled begin as a builtin function does, and where that has m_self they
 * lead back to themselves, without a count (Cython/Utility/CythonFunction.c, 0.29 and 3). */
static bool is_borrowed_self(const struct ph_objects *objects, const struct ph_object *o,
                             uint64_t at, ph_addr target)
{
    return target == o->address && (int64_t)at == objects->python->layout.cfunction.m_self;
}

/* What nobody described: from the end of the described base (or of the header) to the end of the C
 * type, and the items of a type whose items are words. The list of weak references is no reference;
 * the instance's __dict__ is named. */
static void scan_undescribed(struct ph_objects *objects, const struct ph_object *o,
                             const struct ph_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_type *type = o->type, *body = type->body;
    unsigned word = ph_word_bytes(python);
    /* What a struct sequence has beyond a tuple's part is its items, which the tuple's family
     * knows. */
    if (type->family == &ph_family_tuple)
        return;
    uint64_t from =
        type->described ? type->described->basicsize : (uint64_t)python->layout.object.size;
    from = (from + word - 1) / word * word;
    for (uint64_t at = from; at + word <= body->basicsize; at += word) {
        if ((int64_t)at == body->weaklistoffset)
            continue;
        struct ph_label label = word_label(body, at);
        if ((int64_t)at == body->dictoffset)
            label = (struct ph_label){PH_LABEL_FIELD, (uint64_t)(uintptr_t) "__dict__"};
        ph_addr target = ph_object_ptr(objects, o, (int64_t)at);
        unsigned strength = is_borrowed_self(objects, o, at, target) ? PH_REF_WEAK : PH_REF_STRONG;
        ph_visit(v, target, label.kind, label.arg, strength | PH_REF_GUESS);
    }
    if (type->described || type->itemsize != word)
        return;
    uint64_t end = ph_size_default(objects, o);
    const uint8_t *items = ph_target_view(python->target, o->address + type->basicsize,
                                          (size_t)(end - type->basicsize));
    if (items)
        ph_refs_scan(objects, items, end - type->basicsize, type->basicsize, v);
}

void ph_object_refs(struct ph_objects *objects, const struct ph_object *o,
                    const struct ph_visitor *v)
{
    const struct ph_family *family = o->type->family;
    visit_fields(objects, o, v);
    if (family->refs)
        family->refs(objects, o, v);
    if (o->type->described != o->type->body)
        scan_undescribed(objects, o, v);
    if (o->type->is_heap)
        ph_instance_refs(objects, o, v);
}

void ph_object_buffers(struct ph_objects *objects, const struct ph_object *o,
                       const struct ph_buffer_visitor *v)
{
    if (!o->type->has_buffers)
        return;
    if (o->type->family->buffers)
        o->type->family->buffers(objects, o, v);
    if (o->type->is_heap)
        ph_instance_buffers(objects, o, v);
}

/* ---- values ---- */

bool ph_object_content(struct ph_objects *objects, const struct ph_object *o,
                       struct ph_content *out)
{
    return o->type->family->content && o->type->family->content(objects, o, out);
}

bool ph_content_at(const struct ph_objects *objects, ph_addr start, struct ph_content *out)
{
    static const uint8_t nothing[1];
    uint64_t bytes;
    if (!ph_mul(out->count, out->unit_bytes, &bytes))
        return false;
    out->at = bytes ? ph_target_view(objects->python->target, start, (size_t)bytes) : nothing;
    return out->at != NULL;
}

/* ---- arrays ---- */

bool ph_type_has_arrays(const struct ph_type *type)
{
    return type->family->array;
}

bool ph_object_array(struct ph_objects *objects, const struct ph_object *o, struct ph_array *out)
{
    /* The shape is long, and is filled as far as it goes. */
    memset(out, 0, offsetof(struct ph_array, shape));
    return o->type->family->array && o->type->family->array(objects, o, out);
}

void ph_object_dtype(struct ph_objects *objects, const struct ph_object *o, struct ph_str *out)
{
    if (o->type->family->dtype)
        o->type->family->dtype(objects, o, out);
}

void ph_shape_append(const int64_t *shape, uint32_t dimensions, struct ph_str *out)
{
    if (dimensions == 0)
        ph_str_append(out, "scalar");
    for (uint32_t i = 0; i < dimensions; i++)
        ph_str_appendf(out, "%s%" PRId64, i ? "x" : "", shape[i]);
}

void ph_array_fill(struct ph_array *out, ph_addr start, uint64_t count, uint64_t item_bytes)
{
    out->start = start;
    if (!ph_mul(count, item_bytes, &out->nbytes))
        out->nbytes = 0;
    out->owns = true;
    out->shaped = true;
    out->dimensions = 1;
    out->shape[0] = (int64_t)count;
}

void ph_array_read_shape(const struct ph_objects *objects, struct ph_array *out, ph_addr shape,
                         int64_t dimensions)
{
    unsigned word = ph_word_bytes(objects->python);
    if (dimensions < 0 || dimensions > PH_MOST_DIMENSIONS)
        return;
    const uint8_t *words =
        dimensions ? ph_target_view(objects->python->target, shape, (size_t)dimensions * word)
                   : (const uint8_t *)"";
    for (int64_t i = 0; words && i < dimensions; i++)
        out->shape[i] = ph_load_ssize(objects->python, words + i * word);
    out->dimensions = (uint32_t)dimensions;
    out->shaped = words;
}

void ph_append_c_string(const struct ph_objects *objects, ph_addr text, struct ph_str *out)
{
    enum { LONGEST = 200 };
    size_t len;
    const char *s = text ? ph_target_cstring(objects->python->target, text, LONGEST, &len) : NULL;
    if (s)
        ph_str_append_visible(out, s, len);
}

void ph_dtype_bytes(struct ph_objects *objects, const struct ph_object *o, struct ph_str *out)
{
    (void)objects;
    (void)o;
    ph_str_append(out, "B");
}

/* ---- text ---- */

void ph_object_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                       struct ph_str *out)
{
    /* An instance of a subclass shows its class; its value follows where the base has one. */
    bool subclass = o->type != o->type->described;
    if (!o->type->family->summary) {
        ph_str_appendf(out, "<%s at 0x%" PRIx64 ">", o->type->name, o->address);
        return;
    }
    if (subclass)
        ph_str_appendf(out, "%s ", o->type->name);
    o->type->family->summary(objects, o, max_chars, out);
}

static void append_c_string(struct ph_objects *objects, ph_addr text, struct ph_str *out)
{
    size_t len;
    const char *s = ph_target_cstring(objects->python->target, text, 200, &len);
    if (s)
        ph_str_append_visible(out, s, len);
    else
        ph_str_append(out, "?");
}

static void append_name(struct ph_objects *objects, const char *before, ph_addr str,
                        struct ph_str *out)
{
    ph_str_append(out, before);
    if (!ph_str_object_text(objects, str, 200, out))
        ph_str_append(out, "?");
}

static void append_key(struct ph_objects *objects, ph_addr key, struct ph_str *out)
{
    struct ph_object o;
    ph_str_append(out, "[");
    if (ph_object_at(objects, key, &o))
        ph_object_summary(objects, &o, 80, out);
    else
        ph_str_append(out, "?");
    ph_str_append(out, "]");
}

void ph_label_format(struct ph_objects *objects, struct ph_label label, struct ph_str *out)
{
    const char *ours = (const char *)(uintptr_t)label.arg;
    switch (label.kind) {
    case PH_LABEL_FIELD:
        ph_str_appendf(out, "%s%s", strncmp(ours, "__", 2) == 0 ? "" : ".", ours);
        break;
    case PH_LABEL_NOTE:
        ph_str_append(out, ours);
        break;
    case PH_LABEL_ATTR:
        append_name(objects, ".", label.arg, out);
        break;
    case PH_LABEL_MEMBER:
        ph_str_append(out, ".");
        append_c_string(objects, label.arg, out);
        break;
    case PH_LABEL_ITEM:
        ph_str_appendf(out, "[%" PRIu64 "]", label.arg);
        break;
    case PH_LABEL_VALUE:
        append_key(objects, label.arg, out);
        break;
    case PH_LABEL_KEY:
        ph_str_appendf(out, "key %" PRIu64, label.arg);
        break;
    case PH_LABEL_ELEMENT:
        ph_str_append(out, "element");
        break;
    case PH_LABEL_LOCAL:
        append_name(objects, "local ", label.arg, out);
        break;
    case PH_LABEL_CELL:
        append_name(objects, "cell ", label.arg, out);
        break;
    case PH_LABEL_STACK:
        ph_str_appendf(out, "stack %" PRIu64, label.arg);
        break;
    case PH_LABEL_WORD:
        ph_str_appendf(out, "+0x%" PRIx64, label.arg);
        break;
    }
}
