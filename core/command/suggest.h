/*
 * "did you mean": the word of a list that is nearest to a misspelt one. Private to command/.
 */
#ifndef PH_COMMAND_SUGGEST_H
#define PH_COMMAND_SUGGEST_H

#include <stddef.h>

/* Zero-initialised but for word. Candidates are borrowed. */
struct ph_suggestion {
    const char *word;     /* what the user typed */
    const char *best;     /* NULL: nothing is near */
    size_t best_distance; /* meaningless without best */
};

/* Weigh one candidate. O(length of both); words of 32 letters and more are never near. */
void ph_suggest(struct ph_suggestion *s, const char *candidate);

#endif
