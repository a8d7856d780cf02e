#include "objects/code.h"

#include "objects/str.h"

enum {
    MAX_SLOTS = 1 << 20,
    MAX_TABLE = 1 << 26,
    KIND_CELL = 0x40, /* CO_FAST_CELL and CO_FAST_FREE (Include/internal/pycore_code.h) */
    KIND_FREE = 0x80,
};

static uint64_t tuple_length(const struct ph_objects *objects, ph_addr tuple)
{
    int64_t n =
        tuple ? (int64_t)ph_python_word(objects->python, tuple, objects->python->layout.var.ob_size)
              : 0;
    return n > 0 && n < MAX_SLOTS ? (uint64_t)n : 0;
}

static ph_addr tuple_item(const struct ph_objects *objects, ph_addr tuple, uint64_t i)
{
    int64_t at =
        objects->python->layout.tuple.ob_item + (int64_t)(i * ph_word_bytes(objects->python));
    return i < tuple_length(objects, tuple) ? ph_python_word(objects->python, tuple, at) : 0;
}

static bool is_code(struct ph_objects *objects, ph_addr code, struct ph_object *o)
{
    return code && ph_object_at(objects, code, o) && o->type->family == &ph_family_code;
}

bool ph_code_open(struct ph_objects *objects, ph_addr code, struct ph_code *out)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    struct ph_object o;
    if (!is_code(objects, code, &o))
        return false;
    *out = (struct ph_code){.address = code};
    out->stack = ph_load_u32(python, o.at + L->code.co_stacksize);
    out->nlocals = ph_load_u32(python, o.at + L->code.co_nlocals);
    if (L->traits.code_object == PH_CODE_OBJECT_INLINE) {
        out->locals = ph_load_u32(python, o.at + L->code.co_nlocalsplus);
        out->names[0] = ph_object_ptr(objects, &o, L->code.co_localsplusnames);
        out->kinds = ph_object_ptr(objects, &o, L->code.co_localspluskinds);
    } else {
        out->names[0] = ph_object_ptr(objects, &o, L->code.co_varnames);
        out->names[1] = ph_object_ptr(objects, &o, L->code.co_cellvars);
        out->names[2] = ph_object_ptr(objects, &o, L->code.co_freevars);
        out->ncells = tuple_length(objects, out->names[1]);
        out->nfrees = tuple_length(objects, out->names[2]);
        out->locals = out->nlocals + out->ncells + out->nfrees;
    }
    return out->locals < MAX_SLOTS && out->stack < MAX_SLOTS;
}

ph_addr ph_code_slot_name(struct ph_objects *objects, const struct ph_code *code, uint64_t i,
                          bool *is_cell)
{
    const struct ph_layout *L = &objects->python->layout;
    if (L->traits.code_object == PH_CODE_OBJECT_INLINE) {
        uint8_t kind = 0;
        ph_target_u8(objects->python->target, code->kinds + (uint64_t)L->bytes.ob_sval + i, &kind);
        *is_cell = kind & (KIND_CELL | KIND_FREE);
        return tuple_item(objects, code->names[0], i);
    }
    *is_cell = i >= code->nlocals;
    if (i < code->nlocals)
        return tuple_item(objects, code->names[0], i);
    i -= code->nlocals;
    if (i < code->ncells)
        return tuple_item(objects, code->names[1], i);
    return tuple_item(objects, code->names[2], i - code->ncells);
}

ph_addr ph_code_first_instruction(const struct ph_objects *objects, ph_addr code)
{
    return code + (uint64_t)objects->python->layout.code.co_code_adaptive;
}

/* ---- lines ---- */

/* co_lnotab, to 3.9: pairs of (bytes, lines) to add, lines with a sign from 3.6 on
 * (Objects/lnotab_notes.txt). */
static int64_t line_by_lnotab(const uint8_t *table, uint64_t len, int64_t line, int64_t target,
                              bool has_sign)
{
    int64_t at = 0;
    for (uint64_t i = 0; i + 1 < len; i += 2) {
        at += table[i];
        if (at > target)
            break;
        line += has_sign ? (int8_t)table[i + 1] : table[i + 1];
    }
    return line;
}

/* co_linetable of 3.10: pairs of (bytes, line delta), -128 for "no line" (PEP 626). */
static int64_t line_by_linetable(const uint8_t *table, uint64_t len, int64_t line, int64_t target)
{
    int64_t at = 0;
    for (uint64_t i = 0; i + 1 < len; i += 2) {
        int8_t delta = (int8_t)table[i + 1];
        if (delta != -128)
            line += delta;
        at += table[i];
        if (at > target)
            return delta == -128 ? 0 : line;
    }
    return 0;
}

static uint64_t read_varint(const uint8_t *table, uint64_t len, uint64_t *i)
{
    uint64_t value = 0;
    for (unsigned shift = 0; *i < len && shift < 60; shift += 6) {
        uint8_t byte = table[(*i)++];
        value |= (uint64_t)(byte & 63) << shift;
        if (!(byte & 64))
            break;
    }
    return value;
}

static int64_t read_signed_varint(const uint8_t *table, uint64_t len, uint64_t *i)
{
    uint64_t value = read_varint(table, len, i);
    return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

/* The location table of 3.11 and later: each entry's first byte has its form in bits 3 to 6 and its
 * length in code units less one below (Objects/locations.md). */
static int64_t line_by_locations(const uint8_t *table, uint64_t len, int64_t line, int64_t target)
{
    enum { FORM_NONE = 15, FORM_LONG = 14, FORM_NO_COLUMNS = 13, FORM_ONE_LINE = 10, UNIT = 2 };
    int64_t at = 0;
    for (uint64_t i = 0; i < len;) {
        uint8_t first = table[i++];
        unsigned form = first >> 3 & 15;
        if (form == FORM_LONG || form == FORM_NO_COLUMNS)
            line += read_signed_varint(table, len, &i);
        else if (form >= FORM_ONE_LINE && form < FORM_NO_COLUMNS)
            line += form - FORM_ONE_LINE;
        at += ((first & 7) + 1) * UNIT;
        if (at > target)
            return form == FORM_NONE ? 0 : line;
        while (i < len && !(table[i] & 0x80))
            i++;
    }
    return 0;
}

int64_t ph_code_line(struct ph_objects *objects, ph_addr code, int64_t byte_offset)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    struct ph_object o;
    if (!is_code(objects, code, &o))
        return 0;
    int64_t first = ph_load_u32(python, o.at + L->code.co_firstlineno);
    if (byte_offset < 0)
        return first;
    ph_addr bytes = ph_object_ptr(objects, &o, L->code.co_linetable);
    uint64_t len = ph_python_word(python, bytes, L->var.ob_size);
    const uint8_t *table =
        len && len < MAX_TABLE
            ? ph_target_view(python->target, bytes + (uint64_t)L->bytes.ob_sval, (size_t)len)
            : NULL;
    if (!table)
        return first;
    if (L->traits.code_object == PH_CODE_OBJECT_INLINE)
        return line_by_locations(table, len, first, byte_offset);
    return L->version >= 0x030a0000
               ? line_by_linetable(table, len, first, byte_offset)
               : line_by_lnotab(table, len, first, byte_offset, L->version >= 0x03060000);
}

/* ---- the family ---- */

/* In 3.6 the values that _PyCode_SetExtra() keeps are memory apart from their count, which alone is
 * not part of the size. */
static bool has_distant_extras(const struct ph_layout *L)
{
    return L->version < 0x03070000;
}

static uint64_t extra_bytes(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr extra = ph_object_optional_ptr(objects, o, L->code.co_extra);
    int64_t n = extra ? (int64_t)ph_python_word(objects->python, extra, L->code_extra.ce_size) : 0;
    uint64_t start = has_distant_extras(L) ? 0 : (uint64_t)L->code_extra.ce_extras;
    return n > 0 && n < MAX_SLOTS ? start + (uint64_t)n * ph_word_bytes(objects->python) : 0;
}

static void visit_extra(const struct ph_objects *objects, const struct ph_object *o,
                        const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr extra = ph_object_optional_ptr(objects, o, L->code.co_extra);
    uint64_t bytes = extra_bytes(objects, o);
    if (extra && has_distant_extras(L)) {
        ph_visit_buffer(v, extra, (uint64_t)L->code_extra.size, "extra");
        extra = ph_python_word(objects->python, extra, L->code_extra.ce_extras);
    }
    ph_visit_buffer(v, extra, bytes, "extra");
}

/* The cache of global look-ups that hot code had from 3.8 to 3.10: a map of one byte an
 * instruction, and entries of 32 bytes (Objects/codeobject.c: code_sizeof,
 * Include/internal/pycore_code.h: _PyOpcache). */
static uint64_t opcache_bytes(const struct ph_objects *objects, const struct ph_object *o,
                              uint64_t *map)
{
    enum { OPCACHE_ENTRY = 32, UNIT = 2 };
    const struct ph_layout *L = &objects->python->layout;
    *map = 0;
    if (!ph_has(L->code.co_opcache) || !ph_object_ptr(objects, o, L->code.co_opcache))
        return 0;
    ph_addr bytecode = ph_object_ptr(objects, o, L->code.co_code);
    *map = ph_python_word(objects->python, bytecode, L->var.ob_size) / UNIT;
    return (uint64_t)o->at[L->code.co_opcache_size] * OPCACHE_ENTRY;
}

static uint64_t cell2arg_bytes(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    if (!ph_has(L->code.co_cell2arg) || !ph_object_ptr(objects, o, L->code.co_cell2arg))
        return 0;
    return tuple_length(objects, ph_object_ptr(objects, o, L->code.co_cellvars)) *
           ph_word_bytes(objects->python);
}

static uint64_t code_size(struct ph_objects *objects, const struct ph_object *o)
{
    uint64_t word = ph_word_bytes(objects->python);
    uint64_t map, opcache = opcache_bytes(objects, o, &map);
    if (objects->python->layout.traits.code_object == PH_CODE_OBJECT_INLINE)
        return ((ph_size_default(objects, o) + word - 1) & ~(word - 1)) + extra_bytes(objects, o);
    return o->type->basicsize + extra_bytes(objects, o) + cell2arg_bytes(objects, o) + opcache +
           map;
}

/* To 3.10 a function's code keeps the frame of the last call for the next one
 * (Objects/frameobject.c: frame_dealloc). */
static void visit_zombie_frame(const struct ph_objects *objects, const struct ph_object *o,
                               const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr frame =
        ph_has(L->code.co_zombieframe) ? ph_object_ptr(objects, o, L->code.co_zombieframe) : 0;
    if (!frame)
        return;
    uint64_t header = ph_python_gc_header_bytes(objects->python);
    int64_t slots = (int64_t)ph_python_word(objects->python, frame, L->var.ob_size);
    ph_visit_buffer(v, frame - header,
                    header + (uint64_t)L->frame.size + ph_sane_count(slots) * L->word_bytes,
                    "spare frame");
}

static void code_buffers(struct ph_objects *objects, const struct ph_object *o,
                         const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    uint64_t map, opcache = opcache_bytes(objects, o, &map);
    visit_extra(objects, o, v);
    if (ph_has(L->code.co_cell2arg))
        ph_visit_buffer(v, ph_object_ptr(objects, o, L->code.co_cell2arg),
                        cell2arg_bytes(objects, o), "cell2arg");
    visit_zombie_frame(objects, o, v);
    if (opcache) {
        ph_visit_buffer(v, ph_object_ptr(objects, o, L->code.co_opcache), opcache, "opcache");
        ph_visit_buffer(v, ph_object_ptr(objects, o, L->code.co_opcache_map), map, "opcache map");
    }
    if (ph_has(L->code._co_cached) && L->code_cached.size > 0)
        ph_visit_buffer(v, ph_object_ptr(objects, o, L->code._co_cached),
                        (uint64_t)L->code_cached.size, "cached tuples");
}

/* 3.12+: the tuples that co_varnames and its like made when asked. */
static void code_refs(struct ph_objects *objects, const struct ph_object *o,
                      const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    if (!ph_has(L->code._co_cached) || L->code_cached.size <= 0)
        return;
    ph_addr cached = ph_object_ptr(objects, o, L->code._co_cached);
    const uint8_t *at =
        cached ? ph_target_view(objects->python->target, cached, (size_t)L->code_cached.size)
               : NULL;
    if (!at)
        return;
    ph_visit_field(v, ph_load_ptr(objects->python, at + L->code_cached._co_code), "co_code");
    ph_visit_field(v, ph_load_ptr(objects->python, at + L->code_cached._co_varnames),
                   "co_varnames");
    ph_visit_field(v, ph_load_ptr(objects->python, at + L->code_cached._co_cellvars),
                   "co_cellvars");
    ph_visit_field(v, ph_load_ptr(objects->python, at + L->code_cached._co_freevars),
                   "co_freevars");
}

static void code_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                         struct ph_str *out)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_str_append(out, "<code ");
    ph_str_object_text(objects, ph_object_ptr(objects, o, L->code.co_name), max_chars, out);
    ph_str_append(out, ", ");
    ph_str_object_text(objects, ph_object_ptr(objects, o, L->code.co_filename), max_chars, out);
    ph_str_appendf(out, ":%u>", ph_load_u32(objects->python, o->at + L->code.co_firstlineno));
}

const struct ph_family ph_family_code = {
    .type_names = PH_TYPE_NAMES("code"),
    .fields =
        (const struct ph_ref_field[]){PH_REF_FIELD("co_consts", code, co_consts),
                                      PH_REF_FIELD("co_names", code, co_names),
                                      PH_REF_FIELD("co_filename", code, co_filename),
                                      PH_REF_FIELD("co_name", code, co_name),
                                      PH_REF_FIELD("co_qualname", code, co_qualname),
                                      PH_REF_FIELD("co_linetable", code, co_linetable),
                                      PH_REF_FIELD("co_exceptiontable", code, co_exceptiontable),
                                      PH_REF_FIELD("co_code", code, co_code),
                                      PH_REF_FIELD("co_code", code, _co_code),
                                      PH_REF_FIELD("co_varnames", code, co_varnames),
                                      PH_REF_FIELD("co_freevars", code, co_freevars),
                                      PH_REF_FIELD("co_cellvars", code, co_cellvars),
                                      PH_REF_FIELD("names of locals", code, co_localsplusnames),
                                      PH_REF_FIELD("kinds of locals", code, co_localspluskinds),
                                      {0}},
    .size = code_size,
    .refs = code_refs,
    .buffers = code_buffers,
    .summary = code_summary,
};
