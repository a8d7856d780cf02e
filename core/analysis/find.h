/*
 * Objects by their value: texts (str, bytes, bytearray) that match a pattern, numbers that equal
 * the one that the text may be, and objects that have an attribute, or a dict's key, of a name.
 */
#ifndef PH_ANALYSIS_FIND_H
#define PH_ANALYSIS_FIND_H

#include "analysis/matches.h"
#include "analysis/pattern.h"

struct ph_question {
    const char *text; /* NULL: whatever the value */
    enum ph_pattern_kind kind;
    bool ignore_case;
    const char *attribute; /* NULL: the object's own value; else that of its attribute is asked */
};

struct ph_found {
    struct ph_matches matches;
    uint64_t given_up; /* texts that the expression takes too long for, or too much memory */
};

/* Release matches with ph_array_free(), on success. One pass over the objects by several workers;
 * for an attribute one more before, over the strings. */
enum ph_status ph_find(struct ph_heap *heap, const struct ph_filter *filter,
                       const struct ph_question *question, const struct ph_host *host,
                       struct ph_found *out, struct ph_error *err) PH_MUST_USE;

#endif
