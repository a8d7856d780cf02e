/*
 * The words of a request: GDB passes them as they were typed, quotes and all, split at spaces
 * outside quotes.
 */
#ifndef PH_GDB_PLUGIN_WORDS_H
#define PH_GDB_PLUGIN_WORDS_H

#include <stddef.h>

struct ph_words {
    char **items; /* count strings and a NULL; each in memory of the request's own */
    size_t count;
};

/* Split a request into its words, in place: strings that end in NUL, one or more. bytes[len] must
 * be NUL. The words point into bytes; only items is to be freed. items is NULL when out of memory.
 *
 * Quotes around a word, or around the value of --option=, go away; any others belong to an
 * expression and stay. A quote that nothing closes made GDB take the rest of the line for one word;
 * that is split here. */
struct ph_words ph_words_split(char *bytes, size_t len);

#endif
