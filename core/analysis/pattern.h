/*
 * What the user looks for in texts: some text, the whole text, or a regular expression (PCRE2's,
 * which are nearest to those of Python's re).
 *
 *     struct ph_matcher *m = ph_matcher_create(pattern);
 *     if (ph_matcher_try(m, python, &content) == PH_MATCHED)
 *         ...
 *
 * A str is searched by its characters, bytes by the bytes that the text has in UTF-8. An expression
 * has so many steps for each text, in proportion to its length, and then gives up, so that neither
 * it nor what it is tried on can make it run for ever.
 */
#ifndef PH_ANALYSIS_PATTERN_H
#define PH_ANALYSIS_PATTERN_H

#include "objects/object.h"

struct ph_pattern;
struct ph_matcher; /* of a pattern; each thread has its own */

enum ph_pattern_kind { PH_PATTERN_CONTAINED, PH_PATTERN_WHOLE, PH_PATTERN_REGEX };
enum ph_verdict { PH_NOT_MATCHED, PH_MATCHED, PH_GAVE_UP };

/* *out is the caller's. PH_USAGE where the text is no regular expression. */
enum ph_status ph_pattern_create(const char *text, enum ph_pattern_kind kind, bool ignore_case,
                                 struct ph_pattern **out, struct ph_error *err) PH_MUST_USE;
void ph_pattern_destroy(struct ph_pattern *pattern); /* NULL is fine */

/* Borrows the pattern. `stop` is asked now and then, and ends a match; NULL: nobody stops it. NULL
 * when out of memory. */
struct ph_matcher *ph_matcher_create(const struct ph_pattern *pattern, bool (*stop)(void *ctx),
                                     void *ctx);
void ph_matcher_destroy(struct ph_matcher *matcher); /* NULL is fine */

/* Whether characters or bytes match; numbers never do. */
enum ph_verdict ph_matcher_try(struct ph_matcher *matcher, const struct ph_python *python,
                               const struct ph_content *content);

#endif
