#include "objects/str.h"

/* The state word: interned 2 bits, kind 3, compact 1, ascii 1, ready 1 (to 3.11). */
enum {
    STATE_INTERNED_MASK = 3,
    STATE_INTERNED_MORTAL = 1,
    STATE_KIND_SHIFT = 2,
    STATE_KIND_MASK = 7,
    STATE_COMPACT = 1 << 5,
    STATE_ASCII = 1 << 6,
    STATE_READY = 1 << 7,
};
#define MAX_LENGTH (1ull << 40)

/* A str taken apart. */
struct shape {
    uint64_t length; /* characters */
    uint32_t kind;   /* bytes a character; 0 for a legacy str that is not ready */
    bool compact, ascii, ready;
    bool bytes;   /* a str of 2.7 */
    ph_addr data; /* 0 where there is none */
};

/* `at`: its first bytes, layout.ascii.size of them. */
static bool decode_shape(const struct ph_python *python, ph_addr address, const uint8_t *at,
                         struct shape *out)
{
    const struct ph_layout *L = &python->layout;
    uint32_t state = ph_load_u32(python, at + L->ascii.state);
    int64_t length = ph_load_ssize(python, at + L->ascii.length);
    uint32_t kind = state >> STATE_KIND_SHIFT & STATE_KIND_MASK;
    if (length < 0 || (uint64_t)length > MAX_LENGTH || kind > 4 || kind == 3)
        return false;
    *out = (struct shape){
        .length = (uint64_t)length,
        .kind = kind,
        .compact = state & STATE_COMPACT,
        .ascii = state & STATE_ASCII,
        .ready = L->traits.str == PH_STR_NO_WSTR || (state & STATE_READY),
    };
    if (out->compact)
        out->data = address + (uint64_t)(out->ascii ? L->ascii.size : L->compact_str.size);
    else
        out->data = ph_python_word(python, address, L->legacy_str.data);
    return true;
}

static bool read_shape(const struct ph_python *python, ph_addr address, struct shape *out)
{
    const uint8_t *at = ph_target_view(python->target, address, (size_t)python->layout.ascii.size);
    return at && decode_shape(python, address, at, out);
}

/* A str or unicode of 2.7 (Include/stringobject.h, unicodeobject.h). */
static bool read_py2_shape(const struct ph_python *python, ph_addr address, bool bytes,
                           struct shape *out)
{
    const struct ph_layout *L = &python->layout;
    int32_t place = bytes ? L->var.ob_size : L->py2_unicode.length;
    uint64_t length = ph_python_word(python, address, place);
    *out = (struct shape){.length = length, .bytes = bytes, .ready = true};
    out->kind = bytes ? 1 : L->traits.py_unicode == PH_PY_UNICODE_UCS2 ? 2 : 4;
    out->data = bytes ? address + (uint64_t)L->bytes.ob_sval
                      : ph_python_word(python, address, L->py2_unicode.str);
    return length <= MAX_LENGTH;
}

/* Take the str at this address apart, where its type's flags say that it is one; asked without the
 * type table, which needs names itself. In 2.7 both types of text count. */
static bool open_str(const struct ph_python *python, ph_addr address, struct shape *out)
{
    const struct ph_layout *L = &python->layout;
    ph_addr type = address ? ph_python_word(python, address, L->object.ob_type) : 0;
    uint64_t flags = type ? ph_python_word(python, type, L->type.tp_flags) : 0;
    if (L->traits.str != PH_STR_BYTES)
        return (flags & PH_TPFLAGS_UNICODE_SUBCLASS) && read_shape(python, address, out);
    return (flags & (PH_TPFLAGS_UNICODE_SUBCLASS | PH_TPFLAGS_BYTES_SUBCLASS)) &&
           read_py2_shape(python, address, flags & PH_TPFLAGS_BYTES_SUBCLASS, out);
}

static uint32_t char_at(const struct ph_python *python, const uint8_t *data, uint32_t kind,
                        uint64_t i)
{
    if (kind == 1)
        return data[i];
    return kind == 2 ? ph_load_u16(python, data + 2 * i) : ph_load_u32(python, data + 4 * i);
}

/* View the first characters, at most *count of them; *count becomes how many are there. */
static const uint8_t *view_chars(const struct ph_python *python, const struct shape *shape,
                                 uint64_t *count)
{
    if (*count > shape->length)
        *count = shape->length;
    if (shape->kind == 0)
        *count = 0;
    return *count ? ph_target_view(python->target, shape->data, (size_t)(*count * shape->kind))
                  : NULL;
}

bool ph_str_object_text(struct ph_objects *objects, ph_addr str, uint64_t max_chars,
                        struct ph_str *out)
{
    const struct ph_python *python = objects->python;
    struct shape shape;
    if (!open_str(python, str, &shape))
        return false;
    uint64_t count = max_chars;
    const uint8_t *data = view_chars(python, &shape, &count);
    if (shape.bytes && data) {
        ph_str_append_visible(out, (const char *)data, count);
        return true;
    }
    for (uint64_t i = 0; data && i < count; i++)
        ph_str_append_codepoint(out, char_at(python, data, shape.kind, i));
    return true;
}

bool ph_str_object_equals(struct ph_objects *objects, ph_addr str, const char *text)
{
    const struct ph_python *python = objects->python;
    struct shape shape;
    size_t len = strlen(text);
    if (!open_str(python, str, &shape) || shape.length != len || shape.kind != 1)
        return false;
    const uint8_t *data = ph_target_view(python->target, shape.data, len);
    return data && memcmp(data, text, len) == 0;
}

bool ph_str_object_is_interned_mortal(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    if (L->traits.str == PH_STR_BYTES)
        return (o->type->flags & PH_TPFLAGS_BYTES_SUBCLASS) &&
               ph_object_int(objects, o, L->py2_str.ob_sstate) == STATE_INTERNED_MORTAL;
    if (!(o->type->flags & PH_TPFLAGS_UNICODE_SUBCLASS))
        return false;
    uint32_t state = ph_load_u32(objects->python, o->at + L->ascii.state);
    return (state & STATE_INTERNED_MASK) == STATE_INTERNED_MORTAL;
}

bool ph_str_object_hash(struct ph_objects *objects, const struct ph_object *o, uint64_t *hash)
{
    const struct ph_layout *L = &objects->python->layout;
    bool py2 = L->traits.str == PH_STR_BYTES;
    if (o->type->is_heap)
        return false;
    if (o->type->flags & PH_TPFLAGS_UNICODE_SUBCLASS)
        *hash = ph_object_ptr(objects, o, py2 ? L->py2_unicode.hash : L->ascii.hash);
    else if (py2 && (o->type->flags & PH_TPFLAGS_BYTES_SUBCLASS))
        *hash = ph_object_ptr(objects, o, L->bytes.ob_shash);
    else
        return false;
    return true;
}

uint64_t ph_str_object_data(struct ph_objects *objects, const struct ph_object *o, ph_addr *start)
{
    struct shape shape;
    if (!open_str(objects->python, o->address, &shape) || !shape.data)
        return 0;
    *start = shape.data;
    return shape.length * shape.kind;
}

/* The quote that repr() takes: the single one, unless the text has such and no double ones. */
static char quote_for(bool has_single, bool has_double)
{
    return has_single && !has_double ? '"' : '\'';
}

/* Without a prefix, as 2.7 shows a str. */
static void append_bytes_literal(const uint8_t *bytes, uint64_t len, bool cut, struct ph_str *out)
{
    char quote = quote_for(len && memchr(bytes, '\'', len), len && memchr(bytes, '"', len));
    ph_str_appendf(out, "%c", quote);
    for (uint64_t i = 0; i < len; i++) {
        char c = (char)bytes[i];
        if (c == quote || c == '\\')
            ph_str_appendf(out, "\\%c", c);
        else if (c == '\t' || c == '\n' || c == '\r')
            ph_str_append(out, c == '\t' ? "\\t" : c == '\n' ? "\\n" : "\\r");
        else if (c >= ' ' && c < 127)
            ph_str_append_len(out, &c, 1);
        else
            ph_str_appendf(out, "\\x%02x", bytes[i]);
    }
    ph_str_appendf(out, cut ? "%c..." : "%c", quote);
}

static bool has_char(const struct ph_python *python, const uint8_t *data, unsigned kind,
                     uint64_t count, uint32_t wanted)
{
    uint64_t i = 0;
    while (i < count && char_at(python, data, kind, i) != wanted)
        i++;
    return i < count;
}

void ph_str_object_literal(struct ph_objects *objects, ph_addr str, uint64_t max_chars,
                           struct ph_str *out)
{
    const struct ph_python *python = objects->python;
    struct shape shape;
    if (!open_str(python, str, &shape)) {
        ph_str_append(out, "<unreadable str>");
        return;
    }
    uint64_t count = max_chars;
    const uint8_t *data = view_chars(python, &shape, &count);
    if (shape.bytes) {
        append_bytes_literal(data, data ? count : 0, count < shape.length, out);
        return;
    }
    uint64_t seen = data ? count : 0;
    char quote = quote_for(has_char(python, data, shape.kind, seen, '\''),
                           has_char(python, data, shape.kind, seen, '"'));
    ph_str_appendf(out, python->layout.traits.str == PH_STR_BYTES ? "u%c" : "%c", quote);
    for (uint64_t i = 0; i < seen; i++) {
        uint32_t c = char_at(python, data, shape.kind, i);
        if (c == (uint32_t)quote || c == '\\')
            ph_str_append(out, "\\");
        ph_str_append_codepoint(out, c);
    }
    ph_str_appendf(out, count < shape.length ? "%c..." : "%c", quote);
}

void ph_bytes_literal(const uint8_t *bytes, uint64_t len, bool cut, struct ph_str *out)
{
    ph_str_append(out, "b");
    append_bytes_literal(bytes, len, cut, out);
}

/* ---- the family ---- */

/* Bytes of the cached UTF-8 where it is memory of its own, with its NUL. */
static uint64_t utf8_bytes(const struct ph_objects *objects, const struct ph_object *o,
                           const struct shape *shape)
{
    const struct ph_layout *L = &objects->python->layout;
    if (shape->compact && shape->ascii)
        return 0;
    ph_addr utf8 = ph_python_word(objects->python, o->address, L->compact_str.utf8);
    uint64_t len = ph_python_word(objects->python, o->address, L->compact_str.utf8_length);
    return utf8 && utf8 != shape->data && len < MAX_LENGTH ? len + 1 : 0;
}

/* Bytes of the wchar_t form where it is memory of its own (to 3.11; wchar_t has 4 bytes on Linux).
 */
static uint64_t wstr_bytes(const struct ph_objects *objects, const struct ph_object *o,
                           const struct shape *shape)
{
    const struct ph_layout *L = &objects->python->layout;
    if (L->traits.str == PH_STR_NO_WSTR)
        return 0;
    ph_addr wstr = ph_object_ptr(objects, o, L->ascii.wstr);
    if (!wstr || (shape->ready && wstr == shape->data))
        return 0;
    uint64_t len = shape->compact && shape->ascii
                       ? shape->length
                       : ph_python_word(objects->python, o->address, L->compact_str.wstr_length);
    return len < MAX_LENGTH ? (len + 1) * 4 : 0;
}

/* unicode_sizeof() in Objects/unicodeobject.c: the basicsize of a subclass is ignored. */
static uint64_t str_size(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    struct shape shape;
    if (!decode_shape(objects->python, o->address, o->at, &shape))
        return o->type->basicsize;
    uint64_t chars = (shape.length + 1) * shape.kind;
    uint64_t bytes;
    if (shape.compact)
        bytes = (uint64_t)(shape.ascii ? L->ascii.size : L->compact_str.size) + chars;
    else
        bytes = (uint64_t)L->legacy_str.size + (shape.data ? chars : 0);
    return bytes + wstr_bytes(objects, o, &shape) + utf8_bytes(objects, o, &shape);
}

/* Whether all of it lies in the object, as nearly always. */
static bool is_in_one_piece(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    const uint32_t plain = STATE_COMPACT | STATE_ASCII;
    return (ph_load_u32(objects->python, o->at + L->ascii.state) & plain) == plain &&
           (L->traits.str == PH_STR_NO_WSTR || !ph_object_ptr(objects, o, L->ascii.wstr));
}

/* Of one that is so; its last item is a NUL. */
static void str_sizing(const struct ph_layout *L, const struct ph_type *type, struct ph_sizing *out)
{
    (void)type;
    out->bytes = (uint32_t)L->ascii.size + 1;
    out->item_bytes = 1;
    out->count_at = (uint32_t)L->ascii.length;
    out->state_at = (uint32_t)L->ascii.state;
    out->state = STATE_COMPACT | STATE_ASCII | 1 << STATE_KIND_SHIFT;
    out->state_mask = STATE_COMPACT | STATE_ASCII | STATE_KIND_MASK << STATE_KIND_SHIFT;
    if (L->traits.str != PH_STR_NO_WSTR) {
        out->null_at = (uint32_t)L->ascii.wstr;
        out->null_mask = UINT64_MAX;
    }
}

static void str_buffers(struct ph_objects *objects, const struct ph_object *o,
                        const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    struct shape shape;
    if (is_in_one_piece(objects, o) || !decode_shape(objects->python, o->address, o->at, &shape))
        return;
    if (!shape.compact && shape.kind)
        ph_visit_buffer(v, shape.data, (shape.length + 1) * shape.kind, "characters");
    uint64_t bytes = utf8_bytes(objects, o, &shape);
    if (bytes)
        ph_visit_buffer(v, ph_python_word(objects->python, o->address, L->compact_str.utf8), bytes,
                        "UTF-8");
    bytes = wstr_bytes(objects, o, &shape);
    if (bytes)
        ph_visit_buffer(v, ph_object_ptr(objects, o, L->ascii.wstr), bytes, "wchar_t");
}

static bool content_of(const struct ph_objects *objects, const struct shape *shape,
                       struct ph_content *out)
{
    *out = (struct ph_content){
        .kind = shape->bytes ? PH_CONTENT_BYTES : PH_CONTENT_CHARS,
        .unit_bytes = shape->kind,
        .count = shape->length,
    };
    return shape->kind && ph_content_at(objects, shape->data, out);
}

static bool str_content(struct ph_objects *objects, const struct ph_object *o,
                        struct ph_content *out)
{
    struct shape shape;
    return read_shape(objects->python, o->address, &shape) && content_of(objects, &shape, out);
}

static void str_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                        struct ph_str *out)
{
    ph_str_object_literal(objects, o->address, max_chars, out);
}

/* ---- 2.7 ---- */

/* string_sizeof() in Objects/stringobject.c: the basicsize of a subclass is ignored. */
static uint64_t py2_str_size(struct ph_objects *objects, const struct ph_object *o)
{
    uint64_t start = (uint64_t)objects->python->layout.py2_str.ob_sval + 1;
    return start + ph_sane_count(ph_object_var_size(objects, o));
}

static bool py2_str_content(struct ph_objects *objects, const struct ph_object *o,
                            struct ph_content *out)
{
    struct shape shape;
    return read_py2_shape(objects->python, o->address, true, &shape) &&
           content_of(objects, &shape, out);
}

static bool py2_str_array(struct ph_objects *objects, const struct ph_object *o,
                          struct ph_array *out)
{
    ph_array_fill(out, o->address + (uint64_t)objects->python->layout.py2_str.ob_sval,
                  ph_sane_count(ph_object_var_size(objects, o)), 1);
    return true;
}

const struct ph_family ph_family_py2_str = {
    .type_names = PH_TYPE_NAMES("str"),
    .struct_size = PH_FIELD_OF(py2_str, ob_sstate),
    .size = py2_str_size,
    .array = py2_str_array,
    .dtype = ph_dtype_bytes,
    .own_bytes = ph_size_default,
    .content = py2_str_content,
    .summary = str_summary,
};

/* The code units lie apart from the object; defenc caches it encoded, as a str
 * (Objects/unicodeobject.c). */
static void py2_unicode_buffers(struct ph_objects *objects, const struct ph_object *o,
                                const struct ph_buffer_visitor *v)
{
    struct shape shape;
    if (read_py2_shape(objects->python, o->address, false, &shape))
        ph_visit_buffer(v, shape.data, (shape.length + 1) * shape.kind, "characters");
}

static uint64_t py2_unicode_size(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    struct shape shape;
    if (!read_py2_shape(objects->python, o->address, false, &shape))
        return o->type->basicsize;
    return (uint64_t)L->py2_unicode.size + (shape.length + 1) * shape.kind;
}

static bool py2_unicode_content(struct ph_objects *objects, const struct ph_object *o,
                                struct ph_content *out)
{
    struct shape shape;
    return read_py2_shape(objects->python, o->address, false, &shape) &&
           content_of(objects, &shape, out);
}

const struct ph_family ph_family_py2_unicode = {
    .type_names = PH_TYPE_NAMES("unicode"),
    .struct_size = PH_FIELD_OF(py2_unicode, defenc),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("encoded", py2_unicode, defenc)),
    .size = py2_unicode_size,
    .buffers = py2_unicode_buffers,
    .content = py2_unicode_content,
    .summary = str_summary,
};

/* ---- from 3.0 on ---- */

const struct ph_family ph_family_str = {
    .type_names = PH_TYPE_NAMES("str"),
    .struct_size = PH_STRUCT_OF(ascii),
    .short_form = PH_STRUCT_OF(ascii),
    .size = str_size,
    .sizing = str_sizing,
    .buffers = str_buffers,
    .content = str_content,
    .summary = str_summary,
};
