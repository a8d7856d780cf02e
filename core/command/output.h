/* Files that commands write: whole, or not at all. */
#ifndef PH_COMMAND_OUTPUT_H
#define PH_COMMAND_OUTPUT_H

#include "base/str.h"

#include <stdio.h>
#include <sys/types.h>

/* A file that takes the place of `path` when it is whole, or, where that is no regular file (a
 * terminal, a pipe, /dev/null), path itself. Zero-initialised before it is opened. */
struct ph_output {
    struct ph_str path, temporary; /* temporary is empty where path is written itself */
    mode_t mode;
    FILE *file;
};

enum ph_status ph_output_open(struct ph_output *o, const char *typed,
                              struct ph_error *err) PH_MUST_USE;
/* Fail with the line for a file that cannot be written, by errno. */
enum ph_status ph_output_fail(const struct ph_output *o, struct ph_error *err);
/* Close, and put the file in its place if everything went well until now; else leave nothing
 * behind. Also after a failed ph_output_open(). */
enum ph_status ph_output_finish(struct ph_output *o, enum ph_status status,
                                struct ph_error *err) PH_MUST_USE;

#endif
