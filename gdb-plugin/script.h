/*
 * GDB scripts: the definitions of the commands, and text for GDB to print.
 */
#ifndef PH_GDB_PLUGIN_SCRIPT_H
#define PH_GDB_PLUGIN_SCRIPT_H

#include <stdio.h>

/* What is said where a command needs a process. */
#define PH_NO_PROCESS "no process; run or attach to one, or open a core file"

/* Define all commands of the registry below `py-heap`, and `pymem` as its alias. */
void ph_script_define_commands(FILE *script);

/* A stream; what is written to it becomes commands in `script` that print it. Text of the target
 * must have been made visible before (ph_str_append_visible); whatever it holds, GDB prints it and
 * never executes it. To be closed before script; NULL when out of memory. */
FILE *ph_script_text(FILE *script);

/* Give a convenience variable an integer value, whatever the user's language. */
void ph_script_set(FILE *script, const char *variable, int value);

/* Let GDB evaluate an expression in the user's language and frame. Its bytes come back in a request
 * that begins with the string "value". */
void ph_script_evaluate(FILE *script, const char *expression);

/* Let GDB say what it knows of the process. Its text comes back in a request that begins with the
 * string "description"; what GDB cannot tell is missing there. */
void ph_script_describe(FILE *script);

#endif
