/*
 * How far long work has come, as one line of a terminal that is overwritten and in the end cleared.
 * Nothing is shown where the stream is no terminal, nor for work that is soon done.
 */
#ifndef PH_COMMAND_PROGRESS_H
#define PH_COMMAND_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct ph_progress {
    FILE *out;       /* borrowed; NULL: show nothing */
    uint64_t due_ms; /* when the line may be written next, by the monotonic clock */
    bool shown;
};

/* Before work begins. */
void ph_progress_begin(struct ph_progress *p, FILE *out);
/* What struct ph_host's progress does. phase NULL clears the line. */
void ph_progress_show(struct ph_progress *p, const char *phase, unsigned percent);

#endif
