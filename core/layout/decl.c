#include "layout/described.h"
#include "layout/parser.h"

enum {
    MAX_TEXT_BYTES = 1 << 20,
    MAX_STRUCTS = 2000,
    MAX_FIELDS = 1000, /* of one struct */
    MAX_TYPE_WORDS = 8,
    MAX_TYPE_CHARS = 100,
};

/* ---- fields ---- */

/* The words before a field's name or stars, as "unsigned int". */
struct type_words {
    struct ph_token words[MAX_TYPE_WORDS];
    uint32_t count;
};

static bool is_qualifier(const struct ph_parser *p)
{
    return ph_parser_sees(p, "const") || ph_parser_sees(p, "volatile") ||
           ph_parser_sees(p, "struct") || ph_parser_sees(p, "union");
}

static enum ph_status take_type_words(struct ph_parser *p, struct type_words *type)
{
    type->count = 0;
    for (; ph_parser_sees_name(p); ph_parser_advance(p)) {
        if (is_qualifier(p))
            continue;
        if (type->count == MAX_TYPE_WORDS)
            return ph_parser_fail(p, "a type of fewer words");
        type->words[type->count++] = p->token;
    }
    return type->count ? PH_OK : ph_parser_fail(p, "a field's type");
}

/* The type without its last `dropped` words. */
static enum ph_status join_type(struct ph_parser *p, const struct type_words *type,
                                uint32_t dropped, const char **out)
{
    char text[MAX_TYPE_CHARS] = "";
    size_t used = 0;
    for (uint32_t i = 0; i + dropped < type->count; i++) {
        const struct ph_token *t = &type->words[i];
        if (used + t->len + 2 > sizeof text)
            return ph_fail(p->err, PH_FAILED, "%s:%u: the type's name is too long", p->file,
                           t->line);
        if (i)
            text[used++] = ' ';
        memcpy(text + used, t->start, t->len);
        used += t->len;
    }
    *out = ph_arena_strndup(&p->decls->arena, text, used);
    return *out ? PH_OK : ph_parser_fail_memory(p);
}

/* "int32_t count" or "PyObject **items": the type and the name. */
static enum ph_status take_type_and_name(struct ph_parser *p, struct ph_field *field)
{
    struct type_words type;
    enum ph_status status = take_type_words(p, &type);
    if (status)
        return status;
    if (ph_parser_sees(p, "*")) {
        uint32_t stars = 0;
        for (; ph_parser_sees(p, "*"); stars++)
            ph_parser_advance(p);
        field->type = "*";
        status = stars == 1 ? join_type(p, &type, 0, &field->points_to) : PH_OK;
        return status ? status : ph_parser_name(p, "the pointer's name", &field->name);
    }
    if (type.count < 2)
        return ph_parser_fail(p, "the field's name after its type");
    const struct ph_token *name = &type.words[type.count - 1];
    field->name = ph_arena_strndup(&p->decls->arena, name->start, name->len);
    return field->name ? join_type(p, &type, 1, &field->type) : ph_parser_fail_memory(p);
}

static enum ph_status take_array_length(struct ph_parser *p, struct ph_field *field)
{
    field->count = 1;
    if (!ph_parser_sees(p, "["))
        return PH_OK;
    ph_parser_advance(p);
    field->count = 0;
    enum ph_status status = PH_OK;
    if (!ph_parser_sees(p, "]"))
        status = ph_parser_number(p, "the array's length", &field->count);
    return status ? status : ph_parser_expect(p, "]", "']' after the array's length");
}

static const struct ph_field *find_field(const struct ph_decls *decls, const struct ph_struct *in,
                                         const char *name, size_t len)
{
    for (uint32_t i = 0; i < in->field_count; i++) {
        const struct ph_field *field = &decls->fields.items[in->first_field + i];
        if (strlen(field->name) == len && memcmp(field->name, name, len) == 0)
            return field;
    }
    return NULL;
}

/* The rules that hold between a field and the rest of its struct. */
static enum ph_status check_field(struct ph_parser *p, const struct ph_struct *in,
                                  const struct ph_field *field)
{
    const struct ph_decls *decls = p->decls;
    const struct ph_field *last =
        in->field_count ? &decls->fields.items[in->first_field + in->field_count - 1] : NULL;
    if (find_field(decls, in, field->name, strlen(field->name)))
        return ph_fail(p->err, PH_FAILED, "%s:%u: %.60s has a field %.60s already", p->file,
                       field->line, in->name, field->name);
    if (in->field_count == MAX_FIELDS)
        return ph_fail(p->err, PH_FAILED, "%s:%u: %.60s has more than %d fields", p->file,
                       field->line, in->name, MAX_FIELDS);
    if (last && !last->count && !in->sparse)
        return ph_fail(p->err, PH_FAILED, "%s:%u: expected no field after %.60s[]", p->file,
                       field->line, last->name);
    return PH_OK;
}

static enum ph_status parse_place(struct ph_parser *p, const struct ph_struct *in, int32_t *offset)
{
    uint32_t place = 0;
    if (in->sparse != ph_parser_sees(p, "@"))
        return ph_parser_fail(p, in->sparse ? "'@' and the field's place, as the struct has a size"
                                            : "a field without '@', as the struct has no size");
    if (!in->sparse)
        return PH_OK;
    ph_parser_advance(p);
    enum ph_status status = ph_parser_number(p, "the field's place", &place);
    *offset = (int32_t)place;
    return status;
}

static enum ph_status parse_field(struct ph_parser *p, struct ph_struct *in)
{
    struct ph_field field = {.line = p->token.line};
    enum ph_status status = parse_place(p, in, &field.offset);
    if (!status)
        status = take_type_and_name(p, &field);
    if (!status)
        status = take_array_length(p, &field);
    if (!status)
        status = ph_parser_expect(p, ";", "';' after the field");
    if (!status)
        status = check_field(p, in, &field);
    if (status)
        return status;
    field.scalar = ph_scalar_find(field.type);
    if (!ph_array_push(&p->decls->fields, field))
        return ph_parser_fail_memory(p);
    in->field_count++;
    return PH_OK;
}

/* ---- structs and directives ---- */

static struct ph_struct *find_struct(const struct ph_decls *decls, const char *name, size_t len)
{
    for (uint32_t i = 0; i < decls->structs.count; i++) {
        struct ph_struct *s = &decls->structs.items[i];
        if (strlen(s->name) == len && memcmp(s->name, name, len) == 0)
            return s;
    }
    return NULL;
}

/* Keep a struct that this file declares, unless a newer file has declared it. */
static enum ph_status add_struct(struct ph_parser *p, const struct ph_struct *s)
{
    const struct ph_struct *old = find_struct(p->decls, s->name, strlen(s->name));
    if (old && old >= p->decls->structs.items + p->first_struct)
        return ph_fail(p->err, PH_FAILED, "%s:%u: %.60s is declared in line %u already", p->file,
                       s->line, s->name, old->line);
    if (old)
        return PH_OK;
    if (p->decls->structs.count == MAX_STRUCTS)
        return ph_fail(p->err, PH_FAILED, "%s:%u: more than %d structs", p->file, s->line,
                       MAX_STRUCTS);
    return ph_array_push(&p->decls->structs, *s) ? PH_OK : ph_parser_fail_memory(p);
}

static enum ph_status parse_struct_size(struct ph_parser *p, struct ph_struct *s)
{
    uint32_t size = 0;
    if (!ph_parser_sees(p, "@"))
        return PH_OK;
    ph_parser_advance(p);
    s->sparse = true;
    enum ph_status status = ph_parser_number(p, "the struct's size", &size);
    s->size = (int32_t)size;
    return status;
}

static enum ph_status parse_struct(struct ph_parser *p)
{
    struct ph_struct s = {.file = p->file,
                          .first_field = p->decls->fields.count,
                          .is_union = ph_parser_sees(p, "union")};
    ph_parser_advance(p);
    s.line = p->token.line;
    enum ph_status status = ph_parser_name(p, "the struct's name", &s.name);
    if (!status)
        status = parse_struct_size(p, &s);
    if (!status)
        status = ph_parser_expect(p, "{", "'{' after the struct's name");
    while (!status && !ph_parser_sees(p, "}"))
        status = parse_field(p, &s);
    if (!status && !s.field_count && !s.sparse)
        status = ph_parser_fail(p, "a field");
    if (!status)
        status = ph_parser_expect(p, "}", "'}' after the fields");
    if (!status)
        status = ph_parser_expect(p, ";", "';' after the struct");
    return status ? status : add_struct(p, &s);
}

static enum ph_status parse_without(struct ph_parser *p)
{
    ph_parser_advance(p);
    struct ph_struct s = {.file = p->file, .line = p->token.line, .dropped = true};
    enum ph_status status = ph_parser_name(p, "the name of a struct to leave out", &s.name);
    return status ? status : add_struct(p, &s);
}

static enum ph_status parse_trait(struct ph_parser *p)
{
    ph_parser_advance(p);
    struct ph_named_trait trait = {.file = p->file, .line = p->token.line};
    enum ph_status status = ph_parser_name(p, "the trait's name", &trait.name);
    if (!status)
        status = ph_parser_name(p, "the trait's value", &trait.value);
    if (status || ph_decls_trait(p->decls, trait.name))
        return status;
    return ph_array_push(&p->decls->traits, trait) ? PH_OK : ph_parser_fail_memory(p);
}

static enum ph_status parse_shift(struct ph_parser *p)
{
    ph_parser_advance(p);
    struct ph_shift shift = {.file = p->file, .line = p->token.line};
    enum ph_status status = ph_parser_name(p, "the name of a struct to shift", &shift.struct_name);
    if (!status)
        status = ph_parser_name(p, "the first field to shift", &shift.field);
    if (!status)
        status = ph_parser_number(p, "the bytes to shift by", &shift.bytes);
    if (status)
        return status;
    return ph_array_push(&p->decls->shifts, shift) ? PH_OK : ph_parser_fail_memory(p);
}

static enum ph_status parse_version(struct ph_parser *p, const char **out)
{
    ph_parser_advance(p);
    return ph_parser_sees_digit(p) ? ph_parser_word(p, out)
                                   : ph_parser_fail(p, "a version such as 3.11");
}

static enum ph_status parse_overlay(struct ph_parser *p)
{
    ph_parser_advance(p);
    return ph_parser_name(p, "the overlay's name", &p->decls->version);
}

static enum ph_status parse_declaration(struct ph_parser *p)
{
    if (ph_parser_sees(p, "struct") || ph_parser_sees(p, "union"))
        return parse_struct(p);
    if (p->users)
        return ph_parser_sees(p, "type") ? ph_described_parse(p)
                                         : ph_parser_fail(p, "struct, union or type");
    if (ph_parser_sees(p, "trait"))
        return parse_trait(p);
    if (ph_parser_sees(p, "without"))
        return parse_without(p);
    if (ph_parser_sees(p, "shift"))
        return parse_shift(p);
    if (ph_parser_sees(p, "version"))
        return parse_version(p, &p->decls->version);
    if (ph_parser_sees(p, "base"))
        return parse_version(p, &p->decls->base);
    if (ph_parser_sees(p, "overlay"))
        return parse_overlay(p);
    return ph_parser_fail(p, "struct, union, trait, without, shift, version, base or overlay");
}

static enum ph_status parse_text(struct ph_decls *decls, const char *file, const char *text,
                                 size_t len, bool users, struct ph_error *err)
{
    if (len > MAX_TEXT_BYTES)
        return ph_fail(err, PH_FAILED, "%.150s is larger than %d bytes", file, MAX_TEXT_BYTES);
    decls->version = decls->base = "";
    struct ph_parser p = {
        .decls = decls,
        .at = text,
        .end = text + len,
        .line = 1,
        .first_struct = decls->structs.count,
        .users = users,
        .err = err,
        .file = ph_arena_strdup(&decls->arena, file),
    };
    if (!p.file)
        return ph_fail(err, PH_NO_MEMORY, "out of memory while reading %.150s", file);
    ph_parser_advance(&p);
    enum ph_status status = PH_OK;
    while (!status && p.token.kind != PH_TOKEN_END)
        status = parse_declaration(&p);
    return status;
}

enum ph_status ph_decls_parse(struct ph_decls *decls, const char *file, const char *text,
                              size_t len, struct ph_error *err)
{
    return parse_text(decls, file, text, len, false, err);
}

enum ph_status ph_decls_parse_types(struct ph_decls *decls, const char *file, const char *text,
                                    size_t len, struct ph_error *err)
{
    return parse_text(decls, file, text, len, true, err);
}

/* ---- asking ---- */

/* The next of "a|b|c" from *at, which moves behind it; false at the end. */
static bool next_alternative(const char **at, const char **start, size_t *len)
{
    if (!**at)
        return false;
    *start = *at;
    *len = strcspn(*at, "|");
    *at += *len + ((*at)[*len] == '|');
    return true;
}

const struct ph_struct *ph_decls_struct(const struct ph_decls *decls, const char *names)
{
    const char *name;
    size_t len;
    while (next_alternative(&names, &name, &len)) {
        const struct ph_struct *s = find_struct(decls, name, len);
        if (s && !s->dropped)
            return s;
    }
    return NULL;
}

/* The place of "a.b.c", a path of len bytes. */
static bool find_path(const struct ph_decls *decls, const struct ph_struct *in, const char *path,
                      size_t len, int32_t *offset)
{
    int64_t sum = 0;
    for (;;) {
        const char *dot = memchr(path, '.', len);
        size_t name_len = dot ? (size_t)(dot - path) : len;
        const struct ph_field *field = find_field(decls, in, path, name_len);
        if (!field)
            return false;
        sum += field->offset;
        if (sum > INT32_MAX)
            return false;
        if (!dot) {
            *offset = (int32_t)sum;
            return true;
        }
        if (field->scalar)
            return false;
        in = &decls->structs.items[field->struct_id];
        path += name_len + 1;
        len -= name_len + 1;
    }
}

bool ph_decls_offset(const struct ph_decls *decls, const struct ph_struct *in, const char *paths,
                     int32_t *offset)
{
    const char *path;
    size_t len;
    while (next_alternative(&paths, &path, &len)) {
        if (find_path(decls, in, path, len, offset))
            return true;
    }
    return false;
}

const struct ph_field *ph_decls_field(const struct ph_decls *decls, const struct ph_struct *in,
                                      const char *name)
{
    return find_field(decls, in, name, strlen(name));
}

const struct ph_named_trait *ph_decls_trait(const struct ph_decls *decls, const char *name)
{
    for (uint32_t i = 0; i < decls->traits.count; i++) {
        if (strcmp(decls->traits.items[i].name, name) == 0)
            return &decls->traits.items[i];
    }
    return NULL;
}

void ph_decls_free(struct ph_decls *decls)
{
    ph_arena_free(&decls->arena);
    ph_array_free(&decls->structs);
    ph_array_free(&decls->fields);
    ph_array_free(&decls->traits);
    ph_array_free(&decls->shifts);
    ph_array_free(&decls->types);
}
