/*
 * The commands: one registry, from which GDB, LLDB, the command line, the help and the reference
 * page are made, and the way in for all hosts:
 *
 *     parse the words -> (let the host evaluate what is still an expression) -> run -> text or JSON
 * in a FILE
 *
 * To add a command: write core/command/NAME.c with one `const struct ph_command ph_command_NAME`
 * and add its line to commands.def. To add an option: one line in options.def, and name it in the
 * commands that take it.
 */
#ifndef PH_COMMAND_COMMAND_H
#define PH_COMMAND_COMMAND_H

#include "target/target.h"

#include <stdio.h>
#include <sys/types.h>

struct ph_doc;
struct ph_session; /* one target, its interpreter and its snapshot; lives as long as the host wants
                    */

/* ---- sessions (session.c) ---- */

/* host is borrowed and must outlive the session. NULL when out of memory. Nothing is opened yet. */
struct ph_session *ph_session_create(const struct ph_host *host);
void ph_session_destroy(struct ph_session *s); /* NULL is fine */
/* Say what to look at; it is opened when the first command needs it. The strings are copied. */
void ph_session_use_pid(struct ph_session *s, pid_t pid);
void ph_session_use_core(struct ph_session *s, const char *core, const char *exe,
                         const char *sysroot);
/* Inside a debugger: whatever it debugs now; pid 0 and core NULL where unknown. */
void ph_session_use_debugged(struct ph_session *s, pid_t pid, const char *core);
/* Inside a debugger: open what the line is about, anew if it has run or the line says --refresh,
 * which that does away with. True where only the debugger reaches it, and has to describe it before
 * the line is run. */
struct ph_invocation;
bool ph_session_wants_description(struct ph_session *s, struct ph_invocation *inv);
enum ph_status ph_session_describe(struct ph_session *s, const struct ph_description *description,
                                   struct ph_error *err) PH_MUST_USE;
/* Forget the snapshot and the target; the next command opens them anew. */
void ph_session_drop(struct ph_session *s);

/* ---- options ---- */

enum ph_option_id {
#define PH_OPTION(id, name, type, value_name, help) PH_OPTION_##id,
#include "command/options.def"
#undef PH_OPTION
    PH_OPTION_COUNT
};
#define PH_TAKES(id) (1ull << PH_OPTION_##id)

typedef bool ph_option_flag;
typedef uint64_t ph_option_number; /* decimal, 0x..., or with a suffix k, M, G (powers of 1024) */
typedef const char *ph_option_string; /* borrowed from the invocation; NULL where not given */

struct ph_options {
#define PH_OPTION(id, name, type, value_name, help) ph_option_##type id;
#include "command/options.def"
#undef PH_OPTION
    uint64_t given; /* PH_TAKES() bits of those on the line */
};

/* ---- commands ---- */

enum ph_operands {
    PH_OPERANDS_NONE,
    PH_OPERANDS_ADDR,          /* exactly one address */
    PH_OPERANDS_ADDR_OPTIONAL, /* none or one */
    PH_OPERANDS_ADDRS,         /* one or more */
    PH_OPERANDS_TEXT,          /* one word or a quoted text: a type name, a glob */
    PH_OPERANDS_TEXT_OPTIONAL,
    PH_OPERANDS_FILE,  /* the name of one file */
    PH_OPERANDS_FILES, /* of one or two */
};

struct ph_invocation;

struct ph_command {
    const char *name;
    const char *operands_text; /* "ADDR...", shown in usage */
    const char *brief;         /* one line for the list of commands */
    const char *help;          /* paragraphs for the command's own help; wrapped at 80 columns */
    enum ph_operands operands;
    uint64_t options; /* PH_TAKES() bits beside the common ones (json, output, limit, sort, refresh,
                         layout, help) */
    const char *const *sort_keys; /* what --sort takes, NULL-ended; NULL: it is not taken */
    /* Whether it answers a line without a process or a core; NULL: it answers none. */
    bool (*spares_target)(const struct ph_invocation *inv);
    /* Answer from the session into doc. What was skipped goes into the document too. */
    enum ph_status (*run)(struct ph_session *s, const struct ph_invocation *inv, struct ph_doc *doc,
                          struct ph_error *err);
};

/* The registry, in the order of commands.def; NULL past the end. */
const struct ph_command *ph_command_at(size_t i);
const struct ph_command *ph_command_named(const char *name); /* exact, or NULL */

/* Help as text, for all hosts: the list of commands (command NULL) or one command's. `prefix` is
 * what the user types before a command ("py-heap", "pymem"). */
void ph_command_write_help(const struct ph_command *command, const char *prefix, FILE *out);

/* ---- running one line ---- */

struct ph_operand {
    const char *text; /* as typed; words that belong to one expression joined by a space */
    bool resolved;    /* address is valid (PH_OPERANDS_ADDR*) */
    ph_addr address;
};

struct ph_invocation {
    const struct ph_command *command; /* NULL: `help` without a command */
    bool help;                        /* write help instead of running */
    struct ph_options options;
    struct ph_operand *operands;
    size_t operand_count;
    void *memory; /* private */
};

/* Parse the words after the prefix, the command's name first. Addresses that are literals (0x...,
 * decimal) are resolved. If all operand words are literals they are separate operands; otherwise
 * they are joined into one expression, for hosts split lines at spaces. Options may stand anywhere;
 * `--` ends them. PH_USAGE with one line that names the mistake and the nearest right word ("no
 * command 'tpo'; did you mean 'top'?"). On success release with ph_invocation_free(). */
enum ph_status ph_invocation_parse(struct ph_invocation *inv, size_t argc, const char *const *argv,
                                   struct ph_error *err) PH_MUST_USE;
void ph_invocation_free(struct ph_invocation *inv);
/* The first operand that is still an expression where an address is wanted: the host evaluates its
 * text, stores the address and sets `resolved`. NULL when nothing is left to do. */
struct ph_operand *ph_invocation_unresolved(const struct ph_invocation *inv);

/* Whether it looks at a process or a core: help does not, nor what is about files alone. */
bool ph_invocation_wants_target(const struct ph_invocation *inv);
/* Whether some lines of this command do not. */
bool ph_command_spares_target(const struct ph_command *command);

/* Run it, and write the answer to out (text, or JSON with --json; into FILE with -o, and then one
 * line about the file to out). Operands that are still unresolved are an error here. On failure
 * nothing was written to out. */
enum ph_status ph_invocation_run(struct ph_session *s, const struct ph_invocation *inv,
                                 const char *prefix, FILE *out, struct ph_error *err) PH_MUST_USE;

/* Candidates that complete the last word (argv[argc - 1], maybe "") of a line: commands, options,
 * option values. Calls add() for each, in order. */
void ph_complete(size_t argc, const char *const *argv, void (*add)(void *ctx, const char *word),
                 void *ctx);

#endif
