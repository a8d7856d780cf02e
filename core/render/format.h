/*
 * How single values look in text. Private to render/, but for what doc.h shows.
 */
#ifndef PH_RENDER_FORMAT_H
#define PH_RENDER_FORMAT_H

#include "render/doc.h"

/* Columns that UTF-8 text takes on a terminal, taking each code point for one, whatever the locale.
 */
size_t ph_text_width(const char *text);
/* Bytes of the longest leading part of text that is at most `width` columns wide. */
size_t ph_text_prefix(const char *text, size_t width);

/* A value as a table shows it, in buf or borrowed from the value. */
const char *ph_format_value(char buf[32], const struct ph_value *value, bool exact);

#endif
