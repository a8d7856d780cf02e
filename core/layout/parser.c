#include "layout/parser.h"

/* Enough for any struct, small enough that sums of two do not wrap. */
#define MAX_NUMBER (1u << 30)

/* ---- tokens ---- */

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

static void skip_line(struct ph_parser *p)
{
    while (p->at < p->end && *p->at != '\n')
        p->at++;
}

/* To the end of a block comment; an open one ends with the text. */
static void skip_block(struct ph_parser *p)
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

static void skip_blank(struct ph_parser *p)
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

/* Of a quoted string that ends in its line, the quotes included; 0 where there is none. */
static size_t string_len(const struct ph_parser *p)
{
    if (*p->at != '"' && *p->at != '\'')
        return 0;
    const char *at = p->at + 1;
    while (at < p->end && *at != *p->at && *at != '\n')
        at++;
    return at < p->end && *at == *p->at ? (size_t)(at - p->at) + 1 : 0;
}

void ph_parser_advance(struct ph_parser *p)
{
    skip_blank(p);
    struct ph_token *t = &p->token;
    *t = (struct ph_token){PH_TOKEN_END, p->at, 0, p->line};
    if (p->at == p->end)
        return;
    if (is_word_char(*p->at)) {
        t->kind = PH_TOKEN_WORD;
        while (p->at < p->end && is_word_char(*p->at))
            p->at++;
    } else if (string_len(p)) {
        t->kind = PH_TOKEN_STRING;
        p->at += string_len(p);
    } else if (*p->at == '=' && p->end - p->at > 1 && p->at[1] == '=') {
        t->kind = PH_TOKEN_PUNCT;
        p->at += 2;
    } else {
        t->kind = *p->at && strchr("{}[];,@*&", *p->at) ? PH_TOKEN_PUNCT : PH_TOKEN_STRAY;
        p->at++;
    }
    t->len = (size_t)(p->at - t->start);
}

bool ph_parser_sees(const struct ph_parser *p, const char *text)
{
    const struct ph_token *t = &p->token;
    return (t->kind == PH_TOKEN_WORD || t->kind == PH_TOKEN_PUNCT) && t->len == strlen(text) &&
           memcmp(t->start, text, t->len) == 0;
}

bool ph_parser_sees_digit(const struct ph_parser *p)
{
    return p->token.kind == PH_TOKEN_WORD && *p->token.start >= '0' && *p->token.start <= '9';
}

bool ph_parser_sees_path(const struct ph_parser *p)
{
    return p->token.kind == PH_TOKEN_WORD && !ph_parser_sees_digit(p);
}

bool ph_parser_sees_name(const struct ph_parser *p)
{
    return ph_parser_sees_path(p) && !memchr(p->token.start, '.', p->token.len);
}

/* ---- errors ---- */

enum ph_status ph_parser_fail(struct ph_parser *p, const char *what)
{
    const struct ph_token *t = &p->token;
    unsigned byte = t->kind == PH_TOKEN_STRAY ? (unsigned char)*t->start : 0;
    if (t->kind == PH_TOKEN_END)
        return ph_fail(p->err, PH_FAILED, "%s:%u: expected %s, found the end", p->file, t->line,
                       what);
    if (t->kind == PH_TOKEN_STRAY && (byte < ' ' || byte > '~'))
        return ph_fail(p->err, PH_FAILED, "%s:%u: expected %s, found the byte 0x%02x", p->file,
                       t->line, what, byte);
    return ph_fail(p->err, PH_FAILED, "%s:%u: expected %s, found \"%.*s\"", p->file, t->line, what,
                   t->len > 40 ? 40 : (int)t->len, t->start);
}

enum ph_status ph_parser_fail_memory(struct ph_parser *p)
{
    return ph_fail(p->err, PH_NO_MEMORY, "out of memory while reading %s", p->file);
}

/* ---- what rules are made of; each leaves the parser behind what it read ---- */

enum ph_status ph_parser_expect(struct ph_parser *p, const char *text, const char *what)
{
    if (!ph_parser_sees(p, text))
        return ph_parser_fail(p, what);
    ph_parser_advance(p);
    return PH_OK;
}

enum ph_status ph_parser_word(struct ph_parser *p, const char **out)
{
    *out = ph_arena_strndup(&p->decls->arena, p->token.start, p->token.len);
    if (!*out)
        return ph_parser_fail_memory(p);
    ph_parser_advance(p);
    return PH_OK;
}

enum ph_status ph_parser_name(struct ph_parser *p, const char *what, const char **out)
{
    return ph_parser_sees_name(p) ? ph_parser_word(p, out) : ph_parser_fail(p, what);
}

enum ph_status ph_parser_string(struct ph_parser *p, const char *what, const char **out)
{
    if (p->token.kind != PH_TOKEN_STRING)
        return ph_parser_fail(p, what);
    p->token.start++;
    p->token.len -= 2;
    return ph_parser_word(p, out);
}

static int digit_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

enum ph_status ph_parser_number(struct ph_parser *p, const char *what, uint32_t *out)
{
    const struct ph_token *t = &p->token;
    uint64_t value = 0;
    if (!ph_parser_sees_digit(p))
        return ph_parser_fail(p, what);
    bool hex = t->len > 2 && t->start[0] == '0' && t->start[1] == 'x';
    for (size_t i = hex ? 2 : 0; i < t->len; i++) {
        int digit = digit_value(t->start[i]);
        if (digit >= (hex ? 16 : 10))
            return ph_parser_fail(p, what);
        value = value * (hex ? 16 : 10) + (uint64_t)digit;
        if (value > MAX_NUMBER)
            return ph_fail(p->err, PH_FAILED, "%s:%u: %.*s is too large", p->file, t->line,
                           t->len > 40 ? 40 : (int)t->len, t->start);
    }
    *out = (uint32_t)value;
    ph_parser_advance(p);
    return PH_OK;
}
