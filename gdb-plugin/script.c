#include "script.h"

#include "channel.h"
#include "command/command.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* GDB reads and parses a command line as a whole; this many bytes a printf is where it is quickest.
 */
enum { BYTES_PER_PRINTF = 16384 };

/* Commands that are not the user's own expressions must mean the same in any language. */
#define IN_C "with language c -- "

#define PREFIX "py-heap"

/* ---- text ---- */

/* GDB's printf knows \n, \t, \" and \\ but no escapes by number, and % as C does. */
static void put_escaped(FILE *script, char c)
{
    if (c == '\n')
        fputs("\\n", script);
    else if (c == '\t')
        fputs("\\t", script);
    else if (c == '%')
        fputs("%%", script);
    else if (c == '"' || c == '\\')
        fprintf(script, "\\%c", c);
    else
        putc(iscntrl((unsigned char)c) ? '?' : c, script);
}

static ssize_t write_text(void *cookie, const char *bytes, size_t len)
{
    FILE *script = cookie;

    fputs("printf \"", script);
    for (size_t i = 0; i < len; i++)
        put_escaped(script, bytes[i]);
    fputs("\"\n", script);
    return ferror(script) ? 0 : (ssize_t)len;
}

FILE *ph_script_text(FILE *script)
{
    FILE *text = fopencookie(script, "w", (cookie_io_functions_t){.write = write_text});

    if (text)
        setvbuf(text, NULL, _IOFBF, BYTES_PER_PRINTF);
    return text;
}

void ph_script_set(FILE *script, const char *variable, int value)
{
    fprintf(script, IN_C "set $%s = %d\n", variable, value);
}

/* The generated command does the rest, and not this script: then GDB's own error is all that is
 * printed. */
void ph_script_evaluate(FILE *script, const char *expression)
{
    fputs(IN_C "set $_pyheap_expression = \"", script);
    for (; *expression; expression++) {
        char c = iscntrl((unsigned char)*expression) ? ' ' : *expression;
        fprintf(script, c == '"' || c == '\\' ? "\\%c" : "%c", c);
    }
    fputs("\"\n", script);
    ph_script_set(script, "_pyheap_evaluate", 1);
    ph_script_set(script, "_pyheap_more", 1);
}

/* `frame apply -s` is how a script goes on after an error. */
static void put_description(FILE *script, const char *command)
{
    fprintf(script, "frame apply level 0 -q -s pipe %s | cat >>/proc/$PPID/fd/%d\n", command,
            PH_REQUEST_FD);
}

void ph_script_describe(FILE *script)
{
    fprintf(script, IN_C "dump binary value /proc/self/fd/%d \"description\"\n", PH_REQUEST_FD);
    put_description(script, "info proc mappings");
    put_description(script, "info auxv");
    ph_script_set(script, "_pyheap_more", 1);
}

/* ---- commands ----
 *
 * GDB has no command that sees its line as it was typed, and a word put between the quotes of a C
 * string would be read as C. But a setting takes any text as it is, and a function gives a
 * setting's text: compile-gcc, which only the `compile` command looks at, carries each word and
 * gets its own value back.
 *
 * The plugin runs when GDB looks for somebody who can unwind a frame, so each call makes up a frame
 * that GDB has not seen yet. `frame apply` puts the user's selected frame back. */

/* `name` is NULL where the user's words begin with the command. */
static void put_request(FILE *script, const char *name)
{
    fprintf(script,
            "    " IN_C "dump binary value /proc/self/fd/%d \"line\"\n"
            "    " IN_C "set $_pyheap_nonstop = $_gdb_setting(\"non-stop\")\n"
            "    eval \"" IN_C "append binary value /proc/self/fd/%d \\\"%%d %%d\\\"\", "
            "$_inferior, $_pyheap_nonstop\n"
            "    " IN_C "set $_pyheap_rooted = $_gdb_setting_str(\"sysroot\")[0]\n"
            "    if $_pyheap_rooted\n"
            "      " IN_C "append binary value /proc/self/fd/%d $_gdb_setting_str(\"sysroot\")\n"
            "    end\n"
            "    " IN_C "append binary value /proc/self/fd/%d \"\"\n",
            PH_REQUEST_FD, PH_REQUEST_FD, PH_REQUEST_FD, PH_REQUEST_FD);
    if (name)
        fprintf(script, "    " IN_C "append binary value /proc/self/fd/%d \"%s\"\n", PH_REQUEST_FD,
                name);
    fprintf(script,
            "    " IN_C "set $_pyheap_kept = $_gdb_setting_str(\"compile-gcc\")\n"
            "    " IN_C "set $_pyheap_arg = 0\n"
            "    while $_pyheap_arg < $argc\n"
            "      eval \"set compile-gcc $arg%%d\", $_pyheap_arg\n"
            "      " IN_C
            "append binary value /proc/self/fd/%d $_gdb_setting_str(\"compile-gcc\")\n"
            "      " IN_C "append binary value /proc/self/fd/%d \"\"\n"
            "      " IN_C "set $_pyheap_arg = $_pyheap_arg + 1\n"
            "    end\n"
            "    eval \"set compile-gcc %%s\", $_pyheap_kept\n",
            PH_REQUEST_FD, PH_REQUEST_FD);
}

static void put_call(FILE *script)
{
    fprintf(script,
            "    " IN_C "set $_pyheap_more = 1\n"
            "    while $_pyheap_more\n"
            "      " IN_C "set $_pyheap_more = 0\n"
            "      " IN_C "set $_pyheap_evaluate = 0\n"
            "      " IN_C "set $_pyheap_unanswered = 1\n"
            "      " IN_C "set $_pyheap_calls = $_pyheap_calls + 1\n"
            "      " IN_C "dump binary value /proc/self/fd/%d \"\"\n"
            "      " IN_C "append binary value /proc/self/fd/%d \"\\001end\"\n"
            "      eval \"frame apply level 0 -q -s select-frame view %%d 0\", $_pyheap_calls\n"
            "      source /proc/self/fd/%d\n"
            "      if $_pyheap_evaluate\n"
            "        " IN_C "dump binary value /proc/self/fd/%d \"value\"\n"
            "        eval \"append binary value /proc/self/fd/%d %%s\", $_pyheap_expression\n"
            "      end\n"
            "    end\n"
            "    if $_pyheap_unanswered\n"
            "      printf \"py-heap: GDB did not call the plugin; is it still loaded?\\n\"\n"
            "    end\n",
            PH_RESPONSE_FD, PH_REQUEST_FD, PH_RESPONSE_FD, PH_REQUEST_FD, PH_REQUEST_FD);
}

/* Without a process nobody is asked to unwind, but a plugin is asked for its functions when it is
 * loaded: then it answers the request that waits. */
static void put_call_without_process(FILE *script)
{
    Dl_info self;

    if (!dladdr(__extension__(void *) put_call_without_process, &self))
        return;
    fprintf(script,
            "    " IN_C "set $_pyheap_unanswered = 1\n"
            "    " IN_C "dump binary value /proc/self/fd/%d \"\"\n"
            "    " IN_C "append binary value /proc/self/fd/%d \"\\001end\"\n"
            "    jit-reader-unload\n"
            "    jit-reader-load %s\n"
            "    source /proc/self/fd/%d\n",
            PH_RESPONSE_FD, PH_REQUEST_FD, self.dli_fname, PH_RESPONSE_FD);
}

/* GDB's own help is there even without a process, and so is what looks at files alone. command:
 * NULL for the prefix. */
static void put_body_without_process(FILE *script, const struct ph_command *command)
{
    if (!command) {
        fputs("    help " PREFIX "\n", script);
    } else if (ph_command_spares_target(command)) {
        put_request(script, command->name);
        put_call_without_process(script);
    } else if (strcmp(command->name, "help") == 0) {
        fputs("    if $argc\n"
              "      help " PREFIX " $arg0\n"
              "    else\n"
              "      help " PREFIX "\n"
              "    end\n",
              script);
    } else {
        fputs("    printf \"py-heap: " PH_NO_PROCESS "\\n\"\n", script);
    }
}

/* Ask the plugin, in the way that there is with a process or without. */
static void put_body(FILE *script, const struct ph_command *command)
{
    ph_script_set(script, "_pyheap_status", 1);
    /* Without a frame, GDB says why before a request is left behind that nobody takes. */
    fputs("  if $_thread\n"
          "    frame apply level 0 -q echo\n",
          script);
    put_request(script, command ? command->name : NULL);
    put_call(script);
    fputs("  else\n", script);
    put_body_without_process(script, command);
    fputs("  end\n", script);
}

static void put_document(FILE *script, const struct ph_command *command)
{
    fprintf(script, "document " PREFIX " %s\n%c%s.\n", command->name,
            toupper((unsigned char)command->brief[0]), command->brief + 1);
    ph_command_write_help(command, PREFIX, script);
    fputs("end\n", script);
}

static void put_command(FILE *script, const struct ph_command *command)
{
    fprintf(script, "define " PREFIX " %s\n", command->name);
    put_body(script, command);
    fputs("end\n", script);
    put_document(script, command);
}

/* The prefix alone shows help; with words that GDB knows no command for, the plugin suggests one.
 */
static void put_prefix(FILE *script)
{
    fputs("define " PREFIX "\n  if $argc\n", script);
    put_body(script, NULL);
    fputs("  else\n"
          "    help " PREFIX "\n"
          "  end\n"
          "end\n"
          "document " PREFIX "\n"
          "Look into the heap of a CPython process: what fills it, and who holds it.\n"
          "end\n"
          "define-prefix " PREFIX "\n"
          "alias pymem = " PREFIX "\n",
          script);
}

void ph_script_define_commands(FILE *script)
{
    const struct ph_command *command;

    put_prefix(script);
    for (size_t i = 0; (command = ph_command_at(i)); i++)
        put_command(script, command);
    ph_script_set(script, "_pyheap_calls", 4096);
    ph_script_set(script, "_pyheap_status", 0);
}
