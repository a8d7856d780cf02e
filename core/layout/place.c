/*
 * Where fields lie: libffi knows how a machine lays out a struct, given the sizes and alignments
 * of what is in it. Those of the target are ours to say, so one libffi serves every target,
 * whatever machine we run on.
 */
#include "layout/decl.h"

#include <ffi.h>

enum { LONG_DOUBLE = 16 }; /* but 12, aligned to 4, where a word has 4 bytes (i386) */

struct ph_scalar {
    const char *name;
    unsigned bytes; /* 0: as wide as the target's word */
    enum ph_scalar_kind kind;
};

/* CPython's typedefs beside C's own types. A long is a word on every system that we read. */
static const struct ph_scalar scalars[] = {
    {"*", 0, PH_SCALAR_POINTER},
    {"Py_ssize_t", 0, PH_SCALAR_SIGNED},
    {"Py_hash_t", 0, PH_SCALAR_SIGNED},
    {"Py_uhash_t", 0, PH_SCALAR_UNSIGNED},
    {"size_t", 0, PH_SCALAR_UNSIGNED},
    {"ssize_t", 0, PH_SCALAR_SIGNED},
    {"intptr_t", 0, PH_SCALAR_SIGNED},
    {"uintptr_t", 0, PH_SCALAR_UNSIGNED},
    {"long", 0, PH_SCALAR_SIGNED},
    {"unsigned long", 0, PH_SCALAR_UNSIGNED},
    {"char", 1, PH_SCALAR_SIGNED},
    {"signed char", 1, PH_SCALAR_SIGNED},
    {"unsigned char", 1, PH_SCALAR_UNSIGNED},
    {"bool", 1, PH_SCALAR_UNSIGNED},
    {"_Bool", 1, PH_SCALAR_UNSIGNED},
    {"int8_t", 1, PH_SCALAR_SIGNED},
    {"uint8_t", 1, PH_SCALAR_UNSIGNED},
    {"short", 2, PH_SCALAR_SIGNED},
    {"unsigned short", 2, PH_SCALAR_UNSIGNED},
    {"int16_t", 2, PH_SCALAR_SIGNED},
    {"uint16_t", 2, PH_SCALAR_UNSIGNED},
    {"int", 4, PH_SCALAR_SIGNED},
    {"unsigned", 4, PH_SCALAR_UNSIGNED},
    {"unsigned int", 4, PH_SCALAR_UNSIGNED},
    {"int32_t", 4, PH_SCALAR_SIGNED},
    {"uint32_t", 4, PH_SCALAR_UNSIGNED},
    {"float", 4, PH_SCALAR_REAL},
    {"int64_t", 8, PH_SCALAR_SIGNED},
    {"uint64_t", 8, PH_SCALAR_UNSIGNED},
    {"long long", 8, PH_SCALAR_SIGNED},
    {"unsigned long long", 8, PH_SCALAR_UNSIGNED},
    {"double", 8, PH_SCALAR_REAL},
    {"long double", LONG_DOUBLE, PH_SCALAR_REAL},
};

const struct ph_scalar *ph_scalar_find(const char *type)
{
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) {
        if (strcmp(scalars[i].name, type) == 0)
            return &scalars[i];
    }
    return NULL;
}

enum ph_scalar_kind ph_scalar_kind(const struct ph_scalar *scalar)
{
    return scalar->kind;
}

unsigned ph_scalar_bytes(const struct ph_scalar *scalar, const struct ph_abi *abi)
{
    if (scalar->bytes == LONG_DOUBLE && abi->word_bytes == 4)
        return 12;
    return scalar->bytes ? scalar->bytes : abi->word_bytes;
}

static unsigned scalar_align(const struct ph_scalar *scalar, const struct ph_abi *abi)
{
    if (scalar->bytes == LONG_DOUBLE)
        return abi->word_bytes == 4 ? 4 : LONG_DOUBLE;
    return scalar->bytes == 8 ? abi->int64_align : ph_scalar_bytes(scalar, abi);
}

/* What structs are placed with: a libffi type a field, as many as the longest struct has. */
struct placer {
    struct ph_decls *decls;
    const struct ph_abi *abi;
    ffi_type *types;
    ffi_type **elements;
    size_t *offsets;
    struct ph_error *err;
};

static bool placer_init(struct placer *p)
{
    size_t longest = 0;
    for (uint32_t i = 0; i < p->decls->structs.count; i++) {
        if (p->decls->structs.items[i].field_count > longest)
            longest = p->decls->structs.items[i].field_count;
    }
    p->types = ph_calloc(longest + 1, sizeof *p->types);
    p->elements = ph_calloc(longest + 1, sizeof *p->elements);
    p->offsets = ph_calloc(longest + 1, sizeof *p->offsets);
    return p->types && p->elements && p->offsets;
}

static void placer_deinit(struct placer *p)
{
    free(p->types);
    free(p->elements);
    free(p->offsets);
}

static struct ph_field *fields_of(const struct placer *p, const struct ph_struct *s)
{
    return &p->decls->fields.items[s->first_field];
}

static enum ph_status fail_size(struct placer *p, const struct ph_struct *s,
                                const struct ph_field *field)
{
    return ph_fail(p->err, PH_FAILED, "%s:%u: %.60s.%.60s does not fit", s->file, field->line,
                   s->name, field->name);
}

/* Find the struct that each field by value names. */
static enum ph_status resolve_fields(struct placer *p, const struct ph_struct *s)
{
    for (uint32_t i = 0; i < s->field_count; i++) {
        struct ph_field *field = &fields_of(p, s)[i];
        if (field->scalar)
            continue;
        const struct ph_struct *type = ph_decls_struct(p->decls, field->type);
        if (!type)
            return ph_fail(p->err, PH_FAILED, "%s:%u: the type %.60s of %.60s is not declared",
                           s->file, field->line, field->type, field->name);
        field->struct_id = (uint32_t)(type - p->decls->structs.items);
    }
    return PH_OK;
}

/* Whether the sizes of all structs by value are known. */
static bool is_ready(const struct placer *p, const struct ph_struct *s)
{
    for (uint32_t i = 0; i < s->field_count; i++) {
        const struct ph_field *field = &fields_of(p, s)[i];
        if (!field->scalar && !p->decls->structs.items[field->struct_id].placed)
            return false;
    }
    return true;
}

/* A field as libffi sees it; an array is one element with the alignment of its own. */
static enum ph_status describe_field(struct placer *p, const struct ph_struct *s,
                                     const struct ph_field *field, ffi_type *out)
{
    uint64_t bytes, align;
    if (field->scalar) {
        bytes = ph_scalar_bytes(field->scalar, p->abi);
        align = scalar_align(field->scalar, p->abi);
    } else {
        const struct ph_struct *type = &p->decls->structs.items[field->struct_id];
        bytes = (uint64_t)type->size;
        align = (uint64_t)type->align;
    }
    /* Both are below 2^31, so the product cannot wrap. */
    bytes *= field->count;
    if (bytes > INT32_MAX / 2)
        return fail_size(p, s, field);
    *out = (ffi_type){.size = bytes, .alignment = (unsigned short)align, .type = FFI_TYPE_STRUCT};
    return PH_OK;
}

static size_t round_up(size_t value, size_t align)
{
    return (value + align - 1) / align * align;
}

/* Copy what libffi found. An array without a length, which libffi does not know, begins where the
 * struct's bytes end, before its padding. */
static enum ph_status store_places(struct placer *p, struct ph_struct *s, const ffi_type *whole,
                                   uint32_t placed_count)
{
    struct ph_field *fields = fields_of(p, s);
    size_t end = 0;
    s->align = whole->alignment;
    for (uint32_t i = 0; i < s->field_count; i++) {
        size_t offset = i < placed_count ? p->offsets[i] : round_up(end, p->types[i].alignment);
        end = offset + p->types[i].size;
        if (end > INT32_MAX / 2)
            return fail_size(p, s, &fields[i]);
        fields[i].offset = (int32_t)offset;
        if (p->types[i].alignment > s->align)
            s->align = p->types[i].alignment;
    }
    s->size = (int32_t)round_up(whole->size, (size_t)s->align);
    return PH_OK;
}

static enum ph_status place_dense(struct placer *p, struct ph_struct *s)
{
    uint32_t count = s->field_count;
    for (uint32_t i = 0; i < s->field_count; i++) {
        enum ph_status status = describe_field(p, s, &fields_of(p, s)[i], &p->types[i]);
        if (status)
            return status;
        p->elements[i] = &p->types[i];
    }
    if (!fields_of(p, s)[count - 1].count)
        count--;
    p->elements[count] = NULL;
    ffi_type whole = {.alignment = 1, .type = FFI_TYPE_STRUCT, .elements = p->elements};
    if (count && ffi_get_struct_offsets(FFI_DEFAULT_ABI, &whole, p->offsets) != FFI_OK)
        return ph_fail(p->err, PH_FAILED, "%s:%u: libffi cannot place %.60s", s->file, s->line,
                       s->name);
    return store_places(p, s, &whole, count);
}

/* All fields begin at 0; the longest gives the size, the strictest the alignment. */
static enum ph_status place_union(struct placer *p, struct ph_struct *s)
{
    size_t size = 0;
    s->align = 1;
    for (uint32_t i = 0; i < s->field_count; i++) {
        ffi_type type;
        enum ph_status status = describe_field(p, s, &fields_of(p, s)[i], &type);
        if (status)
            return status;
        if (type.size > size)
            size = type.size;
        if (type.alignment > s->align)
            s->align = type.alignment;
    }
    s->size = (int32_t)round_up(size, (size_t)s->align);
    return PH_OK;
}

/* The places were given; they are those of 64-bit builds, so only there can the size be checked. */
static enum ph_status place_sparse(struct placer *p, struct ph_struct *s)
{
    s->align = (int32_t)p->abi->word_bytes;
    for (uint32_t i = 0; i < s->field_count; i++) {
        const struct ph_field *field = &fields_of(p, s)[i];
        ffi_type type;
        enum ph_status status = describe_field(p, s, field, &type);
        if (status)
            return status;
        if (p->abi->word_bytes == 8 && (uint64_t)field->offset + type.size > (uint64_t)s->size)
            return fail_size(p, s, field);
    }
    return PH_OK;
}

/* Place what can be placed now; *blocked is a struct that must wait for another, or NULL. */
static enum ph_status place_round(struct placer *p, const struct ph_struct **blocked,
                                  bool *progress)
{
    *blocked = NULL;
    *progress = false;
    for (uint32_t i = 0; i < p->decls->structs.count; i++) {
        struct ph_struct *s = &p->decls->structs.items[i];
        if (s->dropped || s->placed)
            continue;
        if (!is_ready(p, s)) {
            *blocked = s;
            continue;
        }
        enum ph_status status = s->sparse     ? place_sparse(p, s)
                                : s->is_union ? place_union(p, s)
                                              : place_dense(p, s);
        if (status)
            return status;
        s->placed = *progress = true;
    }
    return PH_OK;
}

/* Make room in a sparse struct for what a kind of build has more in it. */
static enum ph_status apply_shift(struct placer *p, const struct ph_shift *shift)
{
    struct ph_struct *s = NULL;
    for (uint32_t i = 0; i < p->decls->structs.count && !s; i++) {
        struct ph_struct *at = &p->decls->structs.items[i];
        if (at->sparse && strcmp(at->name, shift->struct_name) == 0)
            s = at;
    }
    const struct ph_field *first = s ? ph_decls_field(p->decls, s, shift->field) : NULL;
    if (!first)
        return ph_fail(p->err, PH_FAILED, "%s:%u: there is no sparse %.60s with a field %.60s",
                       shift->file, shift->line, shift->struct_name, shift->field);
    /* No place is beyond the struct's size. */
    if ((uint64_t)s->size + shift->bytes > INT32_MAX / 2)
        return fail_size(p, s, first);
    int32_t from = first->offset, by = (int32_t)shift->bytes;
    for (uint32_t i = 0; i < s->field_count; i++) {
        struct ph_field *field = &fields_of(p, s)[i];
        if (field->offset >= from)
            field->offset += by;
    }
    s->size += by;
    return PH_OK;
}

static enum ph_status place_all(struct placer *p)
{
    for (uint32_t i = 0; i < p->decls->shifts.count; i++) {
        enum ph_status status = apply_shift(p, &p->decls->shifts.items[i]);
        if (status)
            return status;
    }
    for (uint32_t i = 0; i < p->decls->structs.count; i++) {
        enum ph_status status = resolve_fields(p, &p->decls->structs.items[i]);
        if (status)
            return status;
    }
    const struct ph_struct *blocked;
    bool progress;
    do {
        enum ph_status status = place_round(p, &blocked, &progress);
        if (status)
            return status;
    } while (blocked && progress);
    if (blocked)
        return ph_fail(p->err, PH_FAILED, "%s:%u: %.60s contains itself", blocked->file,
                       blocked->line, blocked->name);
    return PH_OK;
}

enum ph_status ph_decls_place(struct ph_decls *decls, const struct ph_abi *abi,
                              struct ph_error *err)
{
    struct placer p = {.decls = decls, .abi = abi, .err = err};
    enum ph_status status;
    decls->abi = *abi;
    if (placer_init(&p))
        status = place_all(&p);
    else
        status = ph_fail(err, PH_NO_MEMORY, "out of memory while placing fields");
    placer_deinit(&p);
    return status;
}
