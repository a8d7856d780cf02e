#include "layout/decl.h"

enum {
    MAX_TEXT_BYTES = 1 << 20,
    MAX_STRUCTS = 2000,
    MAX_FIELDS = 1000, /* of one struct */
    MAX_TYPE_WORDS = 8,
    MAX_TYPE_CHARS = 100,
};

/* Enough for any struct, small enough that sums of two do not wrap. */
#define MAX_NUMBER (1u << 30)

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,  /* letters, digits, '_' and '.': names, numbers and versions */
    TOKEN_PUNCT, /* one of { } [ ] ; @ * */
    TOKEN_STRAY, /* any other byte */
};

struct token {
    enum token_kind kind;
    const char *start;
    size_t len;
    uint32_t line;
};

struct parser {
    struct ph_decls *decls;
    const char *file;
    const char *at, *end;
    uint32_t line;
    uint32_t first_struct; /* of this file: those before are newer files' */
    struct token token;    /* the one to look at next */
    struct ph_error *err;
};

/* ---- tokens ---- */

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

static void skip_line(struct parser *p)
{
    while (p->at < p->end && *p->at != '\n')
        p->at++;
}

/* To the end of a block comment; an open one ends with the text. */
static void skip_block(struct parser *p)
{
    for (p->at += 2; p->at < p->end; p->at++) {
        if (*p->at == '\n')
            p->line++;
        if (*p->at == '*' && p->end - p->at > 1 && p->at[1] == '/') {
            p->at += 2;
            return;
        }
    }
}

static void skip_blank(struct parser *p)
{
    while (p->at < p->end) {
        char c = *p->at;
        char next = p->end - p->at > 1 ? p->at[1] : '\0';
        if (c == '/' && next == '/') {
            skip_line(p);
        } else if (c == '/' && next == '*') {
            skip_block(p);
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            p->line += c == '\n';
            p->at++;
        } else {
            return;
        }
    }
}

static void advance(struct parser *p)
{
    skip_blank(p);
    struct token *t = &p->token;
    *t = (struct token){TOKEN_END, p->at, 0, p->line};
    if (p->at == p->end)
        return;
    if (is_word_char(*p->at)) {
        t->kind = TOKEN_WORD;
        while (p->at < p->end && is_word_char(*p->at))
            p->at++;
    } else {
        t->kind = *p->at && strchr("{}[];@*", *p->at) ? TOKEN_PUNCT : TOKEN_STRAY;
        p->at++;
    }
    t->len = (size_t)(p->at - t->start);
}

static bool token_is(const struct parser *p, const char *text)
{
    const struct token *t = &p->token;
    return (t->kind == TOKEN_WORD || t->kind == TOKEN_PUNCT) && t->len == strlen(text) &&
           memcmp(t->start, text, t->len) == 0;
}

static bool starts_with_digit(const struct parser *p)
{
    return p->token.kind == TOKEN_WORD && *p->token.start >= '0' && *p->token.start <= '9';
}

static bool is_name(const struct parser *p)
{
    return p->token.kind == TOKEN_WORD && !starts_with_digit(p) &&
           !memchr(p->token.start, '.', p->token.len);
}

/* ---- errors ---- */

static enum ph_status fail_expected(struct parser *p, const char *what)
{
    const struct token *t = &p->token;
    unsigned byte = t->kind == TOKEN_STRAY ? (unsigned char)*t->start : 0;
    if (t->kind == TOKEN_END)
        return ph_fail(p->err, PH_FAILED, "%s:%u: expected %s, found the end", p->file, t->line,
                       what);
    if (t->kind == TOKEN_STRAY && (byte < ' ' || byte > '~'))
        return ph_fail(p->err, PH_FAILED, "%s:%u: expected %s, found the byte 0x%02x", p->file,
                       t->line, what, byte);
    return ph_fail(p->err, PH_FAILED, "%s:%u: expected %s, found \"%.*s\"", p->file, t->line, what,
                   t->len > 40 ? 40 : (int)t->len, t->start);
}

static enum ph_status fail_memory(struct parser *p)
{
    return ph_fail(p->err, PH_NO_MEMORY, "out of memory while reading %s", p->file);
}

/* ---- what rules are made of; each leaves the parser behind what it read ---- */

static enum ph_status expect(struct parser *p, const char *text, const char *what)
{
    if (!token_is(p, text))
        return fail_expected(p, what);
    advance(p);
    return PH_OK;
}

/* The word in view, kept. */
static enum ph_status take_word(struct parser *p, const char **out)
{
    *out = ph_arena_strndup(&p->decls->arena, p->token.start, p->token.len);
    if (!*out)
        return fail_memory(p);
    advance(p);
    return PH_OK;
}

static enum ph_status take_name(struct parser *p, const char *what, const char **out)
{
    return is_name(p) ? take_word(p, out) : fail_expected(p, what);
}

static enum ph_status take_number(struct parser *p, const char *what, uint32_t *out)
{
    uint64_t value = 0;
    if (!starts_with_digit(p))
        return fail_expected(p, what);
    for (size_t i = 0; i < p->token.len; i++) {
        char c = p->token.start[i];
        if (c < '0' || c > '9')
            return fail_expected(p, what);
        value = value * 10 + (uint64_t)(c - '0');
        if (value > MAX_NUMBER)
            return ph_fail(p->err, PH_FAILED, "%s:%u: %.*s is too large", p->file, p->token.line,
                           p->token.len > 40 ? 40 : (int)p->token.len, p->token.start);
    }
    *out = (uint32_t)value;
    advance(p);
    return PH_OK;
}

/* ---- fields ---- */

/* The words before a field's name or stars, as "unsigned int". */
struct type_words {
    struct token words[MAX_TYPE_WORDS];
    uint32_t count;
};

static bool is_qualifier(const struct parser *p)
{
    return token_is(p, "const") || token_is(p, "volatile") || token_is(p, "struct") ||
           token_is(p, "union");
}

static enum ph_status take_type_words(struct parser *p, struct type_words *type)
{
    type->count = 0;
    for (; is_name(p); advance(p)) {
        if (is_qualifier(p))
            continue;
        if (type->count == MAX_TYPE_WORDS)
            return fail_expected(p, "a type of fewer words");
        type->words[type->count++] = p->token;
    }
    return type->count ? PH_OK : fail_expected(p, "a field's type");
}

/* The type without its last `dropped` words. */
static enum ph_status join_type(struct parser *p, const struct type_words *type, uint32_t dropped,
                                const char **out)
{
    char text[MAX_TYPE_CHARS] = "";
    size_t used = 0;
    for (uint32_t i = 0; i + dropped < type->count; i++) {
        const struct token *t = &type->words[i];
        if (used + t->len + 2 > sizeof text)
            return ph_fail(p->err, PH_FAILED, "%s:%u: the type's name is too long", p->file,
                           t->line);
        if (i)
            text[used++] = ' ';
        memcpy(text + used, t->start, t->len);
        used += t->len;
    }
    *out = ph_arena_strndup(&p->decls->arena, text, used);
    return *out ? PH_OK : fail_memory(p);
}

/* "int32_t count" or "PyObject **items": the type and the name. */
static enum ph_status take_type_and_name(struct parser *p, struct ph_field *field)
{
    struct type_words type;
    enum ph_status status = take_type_words(p, &type);
    if (status)
        return status;
    if (token_is(p, "*")) {
        while (token_is(p, "*"))
            advance(p);
        field->type = "*";
        return take_name(p, "the pointer's name", &field->name);
    }
    if (type.count < 2)
        return fail_expected(p, "the field's name after its type");
    const struct token *name = &type.words[type.count - 1];
    field->name = ph_arena_strndup(&p->decls->arena, name->start, name->len);
    return field->name ? join_type(p, &type, 1, &field->type) : fail_memory(p);
}

static enum ph_status take_array_length(struct parser *p, struct ph_field *field)
{
    field->count = 1;
    if (!token_is(p, "["))
        return PH_OK;
    advance(p);
    field->count = 0;
    enum ph_status status = PH_OK;
    if (!token_is(p, "]"))
        status = take_number(p, "the array's length", &field->count);
    return status ? status : expect(p, "]", "']' after the array's length");
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
static enum ph_status check_field(struct parser *p, const struct ph_struct *in,
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

static enum ph_status parse_place(struct parser *p, const struct ph_struct *in, int32_t *offset)
{
    uint32_t place = 0;
    if (in->sparse != token_is(p, "@"))
        return fail_expected(p, in->sparse ? "'@' and the field's place, as the struct has a size"
                                           : "a field without '@', as the struct has no size");
    if (!in->sparse)
        return PH_OK;
    advance(p);
    enum ph_status status = take_number(p, "the field's place", &place);
    *offset = (int32_t)place;
    return status;
}

static enum ph_status parse_field(struct parser *p, struct ph_struct *in)
{
    struct ph_field field = {.line = p->token.line};
    enum ph_status status = parse_place(p, in, &field.offset);
    if (!status)
        status = take_type_and_name(p, &field);
    if (!status)
        status = take_array_length(p, &field);
    if (!status)
        status = expect(p, ";", "';' after the field");
    if (!status)
        status = check_field(p, in, &field);
    if (status)
        return status;
    field.scalar = ph_scalar_find(field.type);
    if (!ph_array_push(&p->decls->fields, field))
        return fail_memory(p);
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
static enum ph_status add_struct(struct parser *p, const struct ph_struct *s)
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
    return ph_array_push(&p->decls->structs, *s) ? PH_OK : fail_memory(p);
}

static enum ph_status parse_struct_size(struct parser *p, struct ph_struct *s)
{
    uint32_t size = 0;
    if (!token_is(p, "@"))
        return PH_OK;
    advance(p);
    s->sparse = true;
    enum ph_status status = take_number(p, "the struct's size", &size);
    s->size = (int32_t)size;
    return status;
}

static enum ph_status parse_struct(struct parser *p)
{
    struct ph_struct s = {
        .file = p->file, .first_field = p->decls->fields.count, .is_union = token_is(p, "union")};
    advance(p);
    s.line = p->token.line;
    enum ph_status status = take_name(p, "the struct's name", &s.name);
    if (!status)
        status = parse_struct_size(p, &s);
    if (!status)
        status = expect(p, "{", "'{' after the struct's name");
    while (!status && !token_is(p, "}"))
        status = parse_field(p, &s);
    if (!status && !s.field_count && !s.sparse)
        status = fail_expected(p, "a field");
    if (!status)
        status = expect(p, "}", "'}' after the fields");
    if (!status)
        status = expect(p, ";", "';' after the struct");
    return status ? status : add_struct(p, &s);
}

static enum ph_status parse_without(struct parser *p)
{
    advance(p);
    struct ph_struct s = {.file = p->file, .line = p->token.line, .dropped = true};
    enum ph_status status = take_name(p, "the name of a struct to leave out", &s.name);
    return status ? status : add_struct(p, &s);
}

static enum ph_status parse_trait(struct parser *p)
{
    advance(p);
    struct ph_named_trait trait = {.file = p->file, .line = p->token.line};
    enum ph_status status = take_name(p, "the trait's name", &trait.name);
    if (!status)
        status = take_name(p, "the trait's value", &trait.value);
    if (status || ph_decls_trait(p->decls, trait.name))
        return status;
    return ph_array_push(&p->decls->traits, trait) ? PH_OK : fail_memory(p);
}

static enum ph_status parse_shift(struct parser *p)
{
    advance(p);
    struct ph_shift shift = {.file = p->file, .line = p->token.line};
    enum ph_status status = take_name(p, "the name of a struct to shift", &shift.struct_name);
    if (!status)
        status = take_name(p, "the first field to shift", &shift.field);
    if (!status)
        status = take_number(p, "the bytes to shift by", &shift.bytes);
    if (status)
        return status;
    return ph_array_push(&p->decls->shifts, shift) ? PH_OK : fail_memory(p);
}

static enum ph_status parse_version(struct parser *p, const char **out)
{
    advance(p);
    return starts_with_digit(p) ? take_word(p, out) : fail_expected(p, "a version such as 3.11");
}

static enum ph_status parse_overlay(struct parser *p)
{
    advance(p);
    return take_name(p, "the overlay's name", &p->decls->version);
}

static enum ph_status parse_declaration(struct parser *p)
{
    if (token_is(p, "struct") || token_is(p, "union"))
        return parse_struct(p);
    if (token_is(p, "trait"))
        return parse_trait(p);
    if (token_is(p, "without"))
        return parse_without(p);
    if (token_is(p, "shift"))
        return parse_shift(p);
    if (token_is(p, "version"))
        return parse_version(p, &p->decls->version);
    if (token_is(p, "base"))
        return parse_version(p, &p->decls->base);
    if (token_is(p, "overlay"))
        return parse_overlay(p);
    return fail_expected(p, "struct, union, trait, without, shift, version, base or overlay");
}

enum ph_status ph_decls_parse(struct ph_decls *decls, const char *file, const char *text,
                              size_t len, struct ph_error *err)
{
    if (len > MAX_TEXT_BYTES)
        return ph_fail(err, PH_FAILED, "%s is larger than %d bytes", file, MAX_TEXT_BYTES);
    decls->version = decls->base = "";
    struct parser p = {
        .decls = decls,
        .at = text,
        .end = text + len,
        .line = 1,
        .first_struct = decls->structs.count,
        .err = err,
        .file = ph_arena_strdup(&decls->arena, file),
    };
    if (!p.file)
        return ph_fail(err, PH_NO_MEMORY, "out of memory while reading %s", file);
    advance(&p);
    enum ph_status status = PH_OK;
    while (!status && p.token.kind != TOKEN_END)
        status = parse_declaration(&p);
    return status;
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
}
