/*
 * What GDB says of a process, read from the text that `info proc mappings` and `info auxv` print.
 */
#ifndef PH_GDB_PLUGIN_DESCRIPTION_H
#define PH_GDB_PLUGIN_DESCRIPTION_H

#include "base/array.h"
#include "target/target.h"

struct description {
    pid_t pid;                          /* 0 where it is not said */
    ph_addr program;                    /* AT_PHDR; 0 where it is not said */
    PH_ARRAY(struct ph_region) regions; /* their names point into the text */
};

/* Read the text, which is cut up; lines of other kinds are passed over. False: out of memory. */
bool description_read(struct description *d, char *text);
void description_free(struct description *d);

#endif
