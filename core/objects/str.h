/*
 * Reading str objects (Include/cpython/unicodeobject.h): compact ASCII, compact, and legacy ones
 * with a separate buffer, of one, two or four bytes a character.
 */
#ifndef PH_OBJECTS_STR_H
#define PH_OBJECTS_STR_H

#include "objects/object.h"

/* Append the text of the str at this address, made visible, at most max_chars of it; false if it is
 * no str. Does not consult the type table, so that the table itself can use it. */
bool ph_str_object_text(struct ph_objects *objects, ph_addr str, uint64_t max_chars,
                        struct ph_str *out);
/* Whether the str at this address is exactly this ASCII text. */
bool ph_str_object_equals(struct ph_objects *objects, ph_addr str, const char *text);
/* Whether the str is interned, which means that a dict of the interpreter refers to it without
 * owning it. */
bool ph_str_object_is_interned_mortal(struct ph_objects *objects, const struct ph_object *o);
/* The hash that a str (of 2.7: or unicode) keeps, all ones where it was never hashed. False if it
 * is neither, or an instance of a subclass, which may hash otherwise. */
bool ph_str_object_hash(struct ph_objects *objects, const struct ph_object *o, uint64_t *hash);
/* Where the characters of a str lie, and in how many bytes; 0 where it has none that never change.
 */
uint64_t ph_str_object_data(struct ph_objects *objects, const struct ph_object *o, ph_addr *start);
/* Append a literal as Python writes it: quoted, with quotes and backslashes escaped, "..." where it
 * was cut. */
void ph_str_object_literal(struct ph_objects *objects, ph_addr str, uint64_t max_chars,
                           struct ph_str *out);
/* Append len bytes as the inside of a bytes literal. */
void ph_bytes_literal(const uint8_t *bytes, uint64_t len, bool cut, struct ph_str *out);

#endif
