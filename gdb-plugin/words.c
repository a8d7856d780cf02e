#include "words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The quote that opens at `open`: where it closes, or NULL. Within, a backslash takes the next
 * character's meaning away, as GDB has it. */
static char *closing_quote(char *open)
{
    for (char *p = open + 1; *p; p++) {
        if (*p == '\\' && p[1])
            p++;
        else if (*p == *open)
            return p;
    }
    return NULL;
}

static bool is_quote(char c)
{
    return c == '"' || c == '\'';
}

static bool has_open_quote(char *word)
{
    for (char *p = word; *p; p++) {
        if (*p == '\\' && p[1])
            p++;
        else if (is_quote(*p) && !(p = closing_quote(p)))
            return true;
    }
    return false;
}

/* Drop the backslash before each character of `escaped`. */
static void drop_backslashes(char *text, const char *escaped)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (*from == '\\' && from[1] && strchr(escaped, from[1]))
            from++;
        *to++ = *from;
    }
    *to = '\0';
}

/* Where a value begins that may be quoted as a whole: at the word, or after "--option=". */
static char *value_start(char *word)
{
    char *equals = strncmp(word, "--", 2) ? NULL : strchr(word, '=');

    return equals ? equals + 1 : word;
}

static void unquote(char *word)
{
    char *value = value_start(word);
    char *close = is_quote(*value) ? closing_quote(value) : NULL;

    if (!close || close[1]) {
        drop_backslashes(word, " ");
        return;
    }
    *close = '\0';
    memmove(value, value + 1, (size_t)(close - value));
    drop_backslashes(value, "\"'\\");
}

static void add_pieces(struct ph_words *words, char *word)
{
    char *rest = NULL;

    for (char *piece = strtok_r(word, " \t", &rest); piece; piece = strtok_r(NULL, " \t", &rest))
        words->items[words->count++] = piece;
}

struct ph_words ph_words_split(char *bytes, size_t len)
{
    /* A word has at least one byte and one behind it, even when it is split further. */
    struct ph_words words = {.items = calloc(len / 2 + 2, sizeof *words.items)};

    for (char *word = bytes; words.items && word < bytes + len;) {
        char *next = word + strlen(word) + 1;
        if (has_open_quote(word)) {
            add_pieces(&words, word);
        } else if (*word) {
            unquote(word);
            words.items[words.count++] = word;
        }
        word = next;
    }
    return words;
}
