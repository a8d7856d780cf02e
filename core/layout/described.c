#include "layout/described.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "layout/embed.h"
#include "layout/parser.h"

enum { MAX_HOPS = 8 };

/* ---- parsing: what statements are made of ---- */

static void *keep(struct ph_parser *p, size_t bytes, enum ph_status *status)
{
    void *memory = ph_arena_alloc(&p->decls->arena, bytes);
    *status = memory ? PH_OK : ph_parser_fail_memory(p);
    return memory;
}

static enum ph_status take_path(struct ph_parser *p, const char *what, const struct ph_path **out)
{
    enum ph_status status;
    if (!ph_parser_sees_path(p))
        return ph_parser_fail(p, what);
    struct ph_path *path = keep(p, sizeof *path, &status);
    if (status)
        return status;
    path->line = p->token.line;
    *out = path;
    return ph_parser_word(p, &path->text);
}

/* A number, or a character in quotes. */
static enum ph_status take_constant(struct ph_parser *p, uint32_t *out)
{
    const struct ph_token *t = &p->token;
    if (t->kind == PH_TOKEN_STRING && t->len == 3) {
        *out = (unsigned char)t->start[1];
        ph_parser_advance(p);
        return PH_OK;
    }
    return ph_parser_number(p, "a number or a character in quotes", out);
}

/* "[nd]" behind an array's name. */
static enum ph_status take_length(struct ph_parser *p, struct ph_factor *factor)
{
    ph_parser_advance(p);
    enum ph_status status = take_path(p, "the field with the array's length", &factor->length);
    return status ? status : ph_parser_expect(p, "]", "']' after the array's length");
}

static enum ph_status take_factor(struct ph_parser *p, struct ph_factor **out)
{
    enum ph_status status;
    struct ph_factor *factor = keep(p, sizeof *factor, &status);
    if (status)
        return status;
    *out = factor;
    if (ph_parser_sees_digit(p))
        return ph_parser_number(p, "a number", &factor->number);
    status = take_path(p, "a number, a field or a C type", &factor->path);
    if (status)
        return status;
    if (ph_parser_sees(p, "["))
        return take_length(p, factor);
    factor->size_of = ph_scalar_find(factor->path->text);
    return PH_OK;
}

/* Factors with marks between them. */
static enum ph_status take_factors(struct ph_parser *p, const char *mark, struct ph_factor **out)
{
    enum ph_status status = take_factor(p, out);
    while (!status && ph_parser_sees(p, mark)) {
        out = &(*out)->next;
        ph_parser_advance(p);
        status = take_factor(p, out);
    }
    return status;
}

static enum ph_status take_product(struct ph_parser *p, struct ph_factor **out)
{
    return take_factors(p, "*", out);
}

static enum ph_status take_condition(struct ph_parser *p, struct ph_condition *out)
{
    enum ph_status status = take_path(p, "a field", &out->path);
    bool mask = ph_parser_sees(p, "&");
    out->kind = PH_CONDITION_TRUE;
    if (status || !(mask || ph_parser_sees(p, "==")))
        return status;
    out->kind = mask ? PH_CONDITION_MASK : PH_CONDITION_EQUALS;
    ph_parser_advance(p);
    return take_constant(p, &out->number);
}

/* "if CONDITION", or nothing: always. */
static enum ph_status take_if(struct ph_parser *p, struct ph_condition *out)
{
    out->kind = PH_CONDITION_ALWAYS;
    if (!ph_parser_sees(p, "if"))
        return PH_OK;
    ph_parser_advance(p);
    return take_condition(p, out);
}

/* ---- parsing: buffers ---- */

static enum ph_status parse_buffer_statement(struct ph_parser *p, struct ph_described_buffer *b)
{
    static const char *const words[] = {"bytes",   "own",        "borrowed",
                                        "counted", "references", "guesses"};
    size_t word = 0, count = sizeof words / sizeof *words;
    while (word < count && !ph_parser_sees(p, words[word]))
        word++;
    if (word == count)
        return ph_parser_fail(p, "bytes, own, borrowed, counted, references, guesses or '}'");
    ph_parser_advance(p);
    switch (word) {
    case 0:
        return take_product(p, &b->bytes);
    case 1:
        b->own_given = true;
        return take_condition(p, &b->own);
    case 2:
        b->own_given = true;
        b->own.kind = PH_CONDITION_NEVER;
        return PH_OK;
    case 3:
        b->counted = true;
        return PH_OK;
    case 4:
        return take_if(p, &b->references);
    default:
        return take_if(p, &b->guesses);
    }
}

static enum ph_status parse_buffer(struct ph_parser *p, struct ph_described *d)
{
    enum ph_status status;
    struct ph_described_buffer *b = keep(p, sizeof *b, &status), **last = &d->buffers;
    if (status)
        return status;
    while (*last)
        last = &(*last)->next;
    *last = b;
    status = take_path(p, "the field that points to the buffer", &b->pointer);
    if (!status)
        status = ph_parser_expect(p, "{", "'{' after the buffer's field");
    while (!status && !ph_parser_sees(p, "}")) {
        status = parse_buffer_statement(p, b);
        if (!status)
            status = ph_parser_expect(p, ";", "';' after the statement");
    }
    if (!status && !b->bytes)
        status = ph_parser_fail(p, "how many bytes the buffer has, as \"bytes length * 8;\"");
    if (!status)
        ph_parser_advance(p);
    return status;
}

/* ---- parsing: types ---- */

static enum ph_status parse_reference(struct ph_parser *p, struct ph_described *d, bool weak)
{
    enum ph_status status;
    struct ph_described_reference *r = keep(p, sizeof *r, &status), **last = &d->references;
    if (status)
        return status;
    while (*last)
        last = &(*last)->next;
    *last = r;
    r->weak = weak;
    status = take_path(p, "the field that refers to an object", &r->path);
    if (status || !ph_parser_sees(p, "as"))
        return status;
    ph_parser_advance(p);
    return ph_parser_name(p, "the attribute that shows it", &r->attribute);
}

static enum ph_status parse_summary(struct ph_parser *p, struct ph_described *d)
{
    if (ph_parser_sees(p, "numpy_dtype")) {
        d->summary_kind = PH_SUMMARY_NUMPY_DTYPE;
        ph_parser_advance(p);
        return PH_OK;
    }
    d->summary_line = p->token.line;
    return ph_parser_string(p, "the summary in quotes", &d->summary);
}

static enum ph_status parse_dtype(struct ph_parser *p, struct ph_described *d)
{
    if (p->token.kind == PH_TOKEN_STRING)
        return ph_parser_string(p, "the items' type in quotes", &d->dtype_text);
    return take_path(p, "the field that tells the items' type, or that in quotes", &d->dtype);
}

static enum ph_status parse_statement(struct ph_parser *p, struct ph_described *d)
{
    static const char *const words[] = {"reference", "weak",    "base",   "shape",
                                        "dtype",     "counted", "summary"};
    size_t word = 0, count = sizeof words / sizeof *words;
    while (word < count && !ph_parser_sees(p, words[word]))
        word++;
    if (word == count)
        return ph_parser_fail(
            p, "buffer, reference, weak, base, shape, dtype, counted, summary or '}'");
    ph_parser_advance(p);
    switch (word) {
    case 0:
    case 1:
        return parse_reference(p, d, word == 1);
    case 2:
        return take_path(p, "the field that refers to the base", &d->base);
    case 3:
        return take_factors(p, ",", &d->shape);
    case 4:
        return parse_dtype(p, d);
    case 5:
        return take_product(p, &d->counted);
    default:
        return parse_summary(p, d);
    }
}

static enum ph_status parse_body(struct ph_parser *p, struct ph_described *d)
{
    enum ph_status status = PH_OK;
    while (!status && !ph_parser_sees(p, "}")) {
        if (ph_parser_sees(p, "buffer")) {
            ph_parser_advance(p);
            status = parse_buffer(p, d);
            continue;
        }
        status = parse_statement(p, d);
        if (!status)
            status = ph_parser_expect(p, ";", "';' after the statement");
    }
    if (!status)
        ph_parser_advance(p);
    return status;
}

enum ph_status ph_described_parse(struct ph_parser *p)
{
    static const char what[] = "the type's name, or a glob in quotes";
    enum ph_status status;
    struct ph_described *d = keep(p, sizeof *d, &status);
    if (status)
        return status;
    ph_parser_advance(p);
    d->decls = p->decls;
    d->file = p->file;
    d->line = p->token.line;
    status = p->token.kind == PH_TOKEN_STRING ? ph_parser_string(p, what, &d->glob)
             : ph_parser_sees_path(p)         ? ph_parser_word(p, &d->glob)
                                              : ph_parser_fail(p, what);
    if (!status)
        status =
            ph_parser_name(p, "the name of the struct that its instances are", &d->struct_name);
    if (!status)
        status = ph_parser_expect(p, "{", "'{' after the struct's name");
    if (!status)
        status = parse_body(p, d);
    if (!status && ph_parser_sees(p, ";"))
        ph_parser_advance(p);
    if (status)
        return status;
    return ph_array_push(&p->decls->types, d) ? PH_OK : ph_parser_fail_memory(p);
}

/* ---- where paths lead ---- */

struct resolver {
    struct ph_decls *decls;
    const struct ph_described *type;
    struct ph_error *err;
};

static const struct ph_struct *struct_of(const struct ph_decls *decls, const struct ph_field *field)
{
    return &decls->structs.items[field->struct_id];
}

/* The field that a path of structs by value leads to, or the first pointer on its way; *rest is
 * what is left behind that. NULL: *rest is what is not there. */
static const struct ph_field *find_field(const struct ph_decls *decls, const struct ph_struct *in,
                                         const char *path, int32_t *offset, const char **rest)
{
    char name[80];
    *offset = 0;
    for (const char *at = path;;) {
        size_t len = strcspn(at, ".");
        *rest = at;
        if (len >= sizeof name)
            return NULL;
        memcpy(name, at, len);
        name[len] = '\0';
        const struct ph_field *field = ph_decls_field(decls, in, name);
        if (!field)
            return NULL;
        *offset += field->offset;
        at += len + (at[len] == '.');
        *rest = at;
        if (!*at || field->scalar)
            return field;
        in = struct_of(decls, field);
    }
}

static enum ph_status fail_path(const struct resolver *r, const struct ph_path *path,
                                const char *what)
{
    return ph_fail(r->err, PH_FAILED, "%.150s:%u: %.60s %s", r->type->file, path->line, path->text,
                   what);
}

/* Whether objects lie where such a pointer leads, whose own type says what they are: it is to an
 * object of no further kind, or to a struct that some type is described to be. */
static bool points_to_objects(const struct ph_decls *decls, const char *type)
{
    if (strcmp(type, "PyObject") == 0 || strcmp(type, "PyTypeObject") == 0)
        return true;
    for (uint32_t i = 0; i < decls->types.count; i++) {
        if (strcmp(decls->types.items[i]->struct_name, type) == 0)
            return true;
    }
    return false;
}

static enum ph_status resolve_in(const struct resolver *r, const struct ph_struct *in,
                                 struct ph_path *path)
{
    const struct ph_path *whole = path;
    const char *at = path->text, *rest;
    for (int hops = 0;; hops++) {
        const struct ph_field *field = find_field(r->decls, in, at, &path->offset, &rest);
        if (!field)
            return fail_path(r, whole, "is no field of the struct");
        path->field = field;
        if (!*rest)
            return PH_OK;
        if (!field->points_to || hops == MAX_HOPS)
            return fail_path(r, whole, "leads through what is no pointer to a struct");
        if (points_to_objects(r->decls, field->points_to)) {
            path->kind = PH_PATH_OBJECT;
            path->rest = rest;
            return PH_OK;
        }
        in = ph_decls_struct(r->decls, field->points_to);
        struct ph_path *next = in ? ph_arena_alloc(&r->decls->arena, sizeof *next) : NULL;
        if (!in)
            return fail_path(r, whole, "leads through a pointer to a struct that is not declared");
        if (!next)
            return ph_fail(r->err, PH_NO_MEMORY, "out of memory");
        path->kind = PH_PATH_STRUCT;
        path->next = next;
        path = next;
        at = rest;
    }
}

/* The field that the path ends at; NULL where only the target's object knows. */
static const struct ph_field *last_field(const struct ph_path *path)
{
    while (path->kind == PH_PATH_STRUCT)
        path = path->next;
    return path->kind == PH_PATH_FIELD ? path->field : NULL;
}

enum wanted {
    WANTED_NUMBER,
    WANTED_POINTER,
    WANTED_BUFFER,
    WANTED_TRUTH,
    WANTED_NUMBERS,
    WANTED_TEXT
};

static bool is_number(const struct ph_scalar *scalar)
{
    enum ph_scalar_kind kind = scalar ? ph_scalar_kind(scalar) : PH_SCALAR_REAL;
    return kind == PH_SCALAR_SIGNED || kind == PH_SCALAR_UNSIGNED;
}

static bool is_as_wanted(const struct ph_field *field, enum wanted wanted)
{
    const struct ph_scalar *items = field->points_to ? ph_scalar_find(field->points_to) : NULL;
    bool number = is_number(field->scalar);
    bool pointer = field->scalar && ph_scalar_kind(field->scalar) == PH_SCALAR_POINTER;
    switch (wanted) {
    case WANTED_NUMBER:
        return number && field->count == 1;
    case WANTED_POINTER:
        return pointer && field->count == 1;
    case WANTED_BUFFER:
        return field->count != 1 || pointer;
    case WANTED_TRUTH:
    case WANTED_TEXT:
        return (number || pointer) && field->count == 1;
    case WANTED_NUMBERS:
        return number || (pointer && is_number(items));
    }
    return false;
}

/* Paths are const to those who read the description. */
static enum ph_status resolve(const struct resolver *r, const struct ph_path *path,
                              enum wanted wanted)
{
    static const char *const complaints[] = {
        [WANTED_NUMBER] = "is no integer",
        [WANTED_POINTER] = "is no pointer",
        [WANTED_BUFFER] = "is neither a pointer nor an array",
        [WANTED_TRUTH] = "is neither an integer nor a pointer",
        [WANTED_NUMBERS] = "is no array of integers nor a pointer to one",
        [WANTED_TEXT] = "is neither a pointer nor a character",
    };
    if (!path)
        return PH_OK;
    enum ph_status status = resolve_in(r, r->type->in, (struct ph_path *)path);
    const struct ph_field *field = status ? NULL : last_field(path);
    if (field && !is_as_wanted(field, wanted))
        return fail_path(r, path, complaints[wanted]);
    return status;
}

static enum ph_status resolve_product(const struct resolver *r, const struct ph_factor *factor)
{
    enum ph_status status = PH_OK;
    for (; factor && !status; factor = factor->next) {
        if (factor->size_of)
            continue;
        status = resolve(r, factor->path, factor->length ? WANTED_NUMBERS : WANTED_NUMBER);
        if (!status)
            status = resolve(r, factor->length, WANTED_NUMBER);
    }
    return status;
}

static enum ph_status resolve_buffer(const struct resolver *r, struct ph_described_buffer *b)
{
    bool is_first = b == r->type->buffers;
    if (!b->own_given)
        b->own.kind = is_first && r->type->base ? PH_CONDITION_NO_BASE : PH_CONDITION_ALWAYS;
    enum ph_status status = resolve(r, b->pointer, WANTED_BUFFER);
    if (!status)
        status = resolve_product(r, b->bytes);
    if (!status)
        status = resolve(r, b->own.path, WANTED_TRUTH);
    if (!status)
        status = resolve(r, b->references.path, WANTED_TRUTH);
    return status ? status : resolve(r, b->guesses.path, WANTED_TRUTH);
}

/* Whether each name in braces is a field, without pointers on its way, or shape or dtype. */
static enum ph_status check_template(const struct resolver *r, const char *text)
{
    char name[80];
    int32_t offset;
    const char *rest;
    for (text += strcspn(text, "{"); *text; text += strcspn(text, "{")) {
        size_t len = strcspn(++text, "}");
        bool closed = text[len] && len < sizeof name;
        snprintf(name, sizeof name, "%.*s", (int)len, text);
        bool known = (strcmp(name, "shape") == 0 && r->type->shape) ||
                     (strcmp(name, "dtype") == 0 && (r->type->dtype || r->type->dtype_text));
        if (!known && closed) {
            const struct ph_field *field = find_field(r->decls, r->type->in, name, &offset, &rest);
            known = field && field->scalar && !*rest;
        }
        if (!known)
            return ph_fail(r->err, PH_FAILED, "%.150s:%u: the summary's {%.60s} is no field",
                           r->type->file, r->type->summary_line, name);
        text += len;
    }
    return PH_OK;
}

static enum ph_status resolve_type(const struct resolver *r, struct ph_described *d)
{
    d->in = ph_decls_struct(r->decls, d->struct_name);
    if (!d->in)
        return ph_fail(r->err, PH_FAILED, "%.150s:%u: there is no struct %.60s", d->file, d->line,
                       d->struct_name);
    enum ph_status status = resolve(r, d->base, WANTED_POINTER);
    for (struct ph_described_buffer *b = d->buffers; b && !status; b = b->next)
        status = resolve_buffer(r, b);
    for (struct ph_described_reference *f = d->references; f && !status; f = f->next)
        status = resolve(r, f->path, WANTED_POINTER);
    if (!status)
        status = resolve_product(r, d->shape);
    if (!status)
        status = resolve_product(r, d->counted);
    if (!status)
        status = resolve(r, d->dtype, WANTED_TEXT);
    return status || !d->summary ? status : check_template(r, d->summary);
}

enum ph_status ph_described_resolve(struct ph_decls *decls, struct ph_error *err)
{
    enum ph_status status = PH_OK;
    for (uint32_t i = 0; i < decls->types.count && !status; i++) {
        const struct resolver r = {decls, decls->types.items[i], err};
        status = resolve_type(&r, decls->types.items[i]);
    }
    return status;
}

const struct ph_field *ph_described_field(const struct ph_described *described, const char *path,
                                          int32_t *offset)
{
    const char *rest;
    const struct ph_field *field = find_field(described->decls, described->in, path, offset, &rest);
    return field && !*rest ? field : NULL;
}

/* ---- all files ---- */

static enum ph_status load_file(struct ph_describing *out, const struct ph_layout_text *text,
                                const struct ph_layout_machine *machine, struct ph_error *err)
{
    struct ph_decls *decls = ph_calloc(1, sizeof *decls);
    if (!decls || !ph_array_push(&out->files, decls)) {
        free(decls);
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    }
    enum ph_status status = ph_layout_describe(decls, text, machine, err);
    return status ? status : ph_described_resolve(decls, err);
}

enum ph_status ph_describing_load(struct ph_describing *out, const struct ph_layout_text *texts,
                                  size_t count, const struct ph_layout_machine *machine,
                                  struct ph_error *err)
{
    struct ph_describing loaded = {0};
    enum ph_status status = PH_OK;
    for (size_t i = 0; i < count && !status; i++)
        status = load_file(&loaded, &texts[i], machine, err);
    for (const struct ph_layout_text *text = ph_layout_extensions; text->name && !status; text++)
        status = load_file(&loaded, text, machine, err);
    if (status)
        ph_describing_free(&loaded);
    else
        *out = loaded;
    return status;
}

void ph_describing_free(struct ph_describing *describing)
{
    for (uint32_t i = 0; i < describing->files.count; i++) {
        ph_decls_free(describing->files.items[i]);
        free(describing->files.items[i]);
    }
    ph_array_free(&describing->files);
    *describing = (struct ph_describing){0};
}

const struct ph_described *ph_described_find(const struct ph_describing *describing,
                                             const char *type_name, uint64_t basicsize)
{
    for (uint32_t i = 0; i < describing->files.count; i++) {
        const struct ph_decls *decls = describing->files.items[i];
        for (uint32_t t = 0; t < decls->types.count; t++) {
            const struct ph_described *d = decls->types.items[t];
            bool matches = strcmp(d->glob, type_name) == 0 || fnmatch(d->glob, type_name, 0) == 0;
            if (matches && basicsize >= (uint64_t)d->in->size)
                return d;
        }
    }
    return NULL;
}
