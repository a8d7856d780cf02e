/*
 * How GDB's command language and the plugin pass bytes: two files in memory at fixed descriptors,
 * which GDB reaches as /proc/self/fd/N. GDB's `dump` and `append` write the request, the plugin
 * writes the response, which GDB sources as a script.
 */
#ifndef PH_GDB_PLUGIN_CHANNEL_H
#define PH_GDB_PLUGIN_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* High, so that they are still free when GDB has many files open; below 1024, the usual limit.
 * py-heap.gdb names the second. */
enum { PH_REQUEST_FD = 900, PH_RESPONSE_FD = 901 };

/* Create both. False, with errno set, when a descriptor is taken or the limit of open files is
 * lower. */
bool ph_channel_open(void);
void ph_channel_close(void);
/* Go on with the two that an earlier load of the plugin made and left for a request that waits.
 * False where there are none. */
bool ph_channel_resume(void);

/* A request ends with this as a string of its own; until then GDB is still writing it. */
#define PH_REQUEST_END "\001end"

/* Take the request: its bytes without the end mark, to be freed by the caller, and *len. NULL when
 * there is none, or only a part of one. A byte that is not counted in *len ends it with NUL. */
char *ph_channel_take_request(size_t *len);
/* Whether there is one. */
bool ph_channel_has_request(void);
/* A fresh response to write into; NULL when out of memory. fclose() makes it ready. */
FILE *ph_channel_begin_response(void);

#endif
