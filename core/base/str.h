/*
 * A growable string, and the one place where bytes of the target become text.
 *
 * Zero-initialised is empty; text is always NUL-terminated once anything was appended (use
 * ph_str_text()). When memory runs out the string stays as it was and `failed` is set; callers may
 * check once at the end.
 */
#ifndef PH_BASE_STR_H
#define PH_BASE_STR_H

#include "base/error.h"

struct ph_str {
    char *data;
    size_t len, capacity;
    bool failed;
};

void ph_str_append(struct ph_str *s, const char *text);
void ph_str_append_len(struct ph_str *s, const char *bytes, size_t len);
void ph_str_appendf(struct ph_str *s, const char *format, ...) PH_PRINTF(2, 3);
/* Append len bytes that came from the target, made safe for any terminal, script or document: valid
 * printable UTF-8 stays, control bytes, broken UTF-8, bidirectional controls and line separators
 * become visible escapes (\n, \x1b, \u202e, ...) as Python's repr writes them. The result is valid
 * UTF-8. */
void ph_str_append_visible(struct ph_str *s, const void *bytes, size_t len);
/* Append one code point by the same rule. */
void ph_str_append_codepoint(struct ph_str *s, uint32_t codepoint);
/* Append one code point as it is. One above U+10FFFF becomes what is no UTF-8. */
void ph_str_append_utf8(struct ph_str *s, uint32_t codepoint);
/* Decode one code point of at most len bytes (len > 0). Yields its length, 0 where the bytes are
 * not UTF-8. Encoded surrogates are let through. */
size_t ph_utf8_decode(const unsigned char *bytes, size_t len, uint32_t *codepoint);
/* Append a path as a user typed it: debuggers pass on "~/" as it is. */
void ph_str_append_path(struct ph_str *s, const char *typed);
void ph_str_truncate(struct ph_str *s,
                     size_t len);    /* keep the first len bytes; no more than there are */
void ph_str_clear(struct ph_str *s); /* empty it, keep the memory */
void ph_str_free(struct ph_str *s);
/* Never NULL. Valid until the next append. */
const char *ph_str_text(const struct ph_str *s);

#endif
