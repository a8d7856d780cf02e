/*
 * What the two grammars of .layout files share: tokens, errors that name the file and the line, and
 * the smallest rules. Private to layout/: decl.c reads structs, described.c types.
 */
#ifndef PH_LAYOUT_PARSER_H
#define PH_LAYOUT_PARSER_H

#include "layout/decl.h"

enum ph_token_kind {
    PH_TOKEN_END,
    PH_TOKEN_WORD,   /* letters, digits, '_' and '.': names, paths, numbers and versions */
    PH_TOKEN_PUNCT,  /* one of { } [ ] ; , @ * & or == */
    PH_TOKEN_STRING, /* "..." or '...' within one line, the quotes included */
    PH_TOKEN_STRAY,  /* any other byte */
};

struct ph_token {
    enum ph_token_kind kind;
    const char *start;
    size_t len;
    uint32_t line;
};

struct ph_parser {
    struct ph_decls *decls;
    const char *file;
    const char *at, *end;
    uint32_t line;
    uint32_t first_struct; /* of this file: those before are newer files' */
    bool users;            /* the file is a user's: structs and types, no versions */
    struct ph_token token; /* the one to look at next */
    struct ph_error *err;
};

void ph_parser_advance(struct ph_parser *p);
/* Whether the token in view is this word or mark; begins with a digit; is a name, without dots; is
 * a name or several with dots between them. */
bool ph_parser_sees(const struct ph_parser *p, const char *text);
bool ph_parser_sees_digit(const struct ph_parser *p);
bool ph_parser_sees_name(const struct ph_parser *p);
bool ph_parser_sees_path(const struct ph_parser *p);

/* "FILE:LINE: expected WHAT, found ..." */
enum ph_status ph_parser_fail(struct ph_parser *p, const char *what);
enum ph_status ph_parser_fail_memory(struct ph_parser *p);

/* Each takes a token and leaves the parser behind it; words are kept in the declarations' arena. */
enum ph_status ph_parser_expect(struct ph_parser *p, const char *text,
                                const char *what) PH_MUST_USE;
enum ph_status ph_parser_word(struct ph_parser *p, const char **out) PH_MUST_USE;
enum ph_status ph_parser_name(struct ph_parser *p, const char *what, const char **out) PH_MUST_USE;
/* Without its quotes; there are no escapes. */
enum ph_status ph_parser_string(struct ph_parser *p, const char *what,
                                const char **out) PH_MUST_USE;
/* Decimal or 0x..., at most 2^30. */
enum ph_status ph_parser_number(struct ph_parser *p, const char *what, uint32_t *out) PH_MUST_USE;

#endif
