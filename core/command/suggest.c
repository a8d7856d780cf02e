#include "command/suggest.h"

#include <string.h>

enum { LONGEST_WORD = 31 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters must be added, dropped, changed or swapped with their neighbour to make b of a
 * (optimal string alignment). */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][LONGEST_WORD + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        above[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = smaller(change, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        size_t *reused = before;
        before = above;
        above = row;
        row = reused;
    }
    return above[b_len];
}

void ph_suggest(struct ph_suggestion *s, const char *candidate)
{
    size_t word_len = strlen(s->word), len = strlen(candidate), distance;

    if (word_len == 0 || word_len > LONGEST_WORD || len > LONGEST_WORD)
        return;
    if (word_len > 1 && !strncmp(candidate, s->word, word_len))
        distance = 1; /* cut short, which is nearer than it counts */
    else
        distance = edit_distance(s->word, word_len, candidate, len);
    if (distance > smaller(2, (word_len + 1) / 3) || (s->best && distance >= s->best_distance))
        return;
    s->best = candidate;
    s->best_distance = distance;
}
