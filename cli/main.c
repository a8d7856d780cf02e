/*
 * py-heap without a debugger: reads a live process or a core file by itself.
 */
#include "command/command.h"
#include "command/progress.h"
#include "compressed.h"

#include <errno.h>
#include <limits.h>
#include <popt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static volatile sig_atomic_t interrupted;

/* ---- what the core may ask of us ---- */

/* The first Ctrl-C asks, the second kills. */
static void on_sigint(int signal)
{
    (void)signal;
    interrupted = 1;
}

static bool is_interrupted(void *ctx)
{
    (void)ctx;
    return interrupted;
}

static void show_progress(void *ctx, const char *phase, unsigned percent)
{
    ph_progress_show(ctx, phase, percent);
}

static enum ph_status open_core(void *ctx, const char *path, int *fd, struct ph_error *err)
{
    const struct ph_host host = {
        .ctx = ctx, .interrupted = is_interrupted, .progress = show_progress};

    return ph_compressed_open(path, &host, fd, err);
}

/* ---- the options before the command ---- */

struct own_options {
    char *pid, *core, *exe, *sysroot;
    char *commands;
    int help, version, complete;
};

static int fail_usage(const char *message)
{
    fprintf(stderr, "py-heap: %s\n", message);
    return EXIT_USAGE;
}

static void write_usage(void)
{
    ph_command_write_help(NULL, "py-heap", stdout);
    fputs("\n"
          "What to look at stands before the command:\n"
          "  --pid PID             this process, which is stopped meanwhile\n"
          "  --core CORE           this core file; one that zstd, lz4, xz or gzip packed, too\n"
          "  --exe EXE             the program that dumped it, where it is not found\n"
          "  --sysroot DIR         where the files of the machine are that it comes from\n"
          "\n"
          "  -x, --commands FILE   answer the commands in this file, one a line, from one look at "
          "it;\n"
          "                        '-' is the standard input\n"
          "  --help, --version     show this, or the version\n",
          stdout);
}

static bool parse_pid(const char *text, pid_t *pid)
{
    char *end;

    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value <= 0 || value > INT_MAX)
        return false;
    *pid = (pid_t)value;
    return true;
}

/* Tell the session what to look at; where the options make no sense the exit status is in *status.
 */
static bool choose_target(struct ph_session *session, const struct own_options *options,
                          int *status)
{
    pid_t pid;

    *status = EXIT_USAGE;
    if (options->pid && options->core) {
        fail_usage("--pid and --core exclude each other");
        return false;
    }
    if (options->core) {
        ph_session_use_core(session, options->core, options->exe, options->sysroot);
        return true;
    }
    if (!options->pid)
        return true; /* not all commands look at something */
    if (!parse_pid(options->pid, &pid)) {
        fprintf(stderr, "py-heap: --pid takes a process id, not '%s'\n", options->pid);
        return false;
    }
    ph_session_use_pid(session, pid);
    return true;
}

/* ---- commands ---- */

/* What answers them. `file` and `line` say where a command stands; `file` is NULL for one that was
 * typed. */
struct speaker {
    const struct own_options *options;
    struct ph_progress progress;
    struct ph_host host;
    struct ph_session *session;
    const char *file;
    unsigned line;
};

static int report(const struct speaker *speaker, enum ph_status status, const struct ph_error *err)
{
    if (!status)
        return EXIT_SUCCESS;
    fputs("py-heap: ", stderr);
    if (speaker->file)
        fprintf(stderr, "%s:%u: ", speaker->file, speaker->line);
    fprintf(stderr, "%s\n", err->message);
    return status == PH_USAGE ? EXIT_USAGE : EXIT_FAILURE;
}

static enum ph_status answer(struct ph_session *session, const struct ph_invocation *inv,
                             struct ph_error *err)
{
    enum ph_status status = ph_invocation_run(session, inv, "py-heap", stdout, err);

    if (!status && fflush(stdout))
        return ph_fail(err, PH_FAILED, "cannot write the answer: %s", strerror(errno));
    return status;
}

/* Yields the exit status for this command. */
static int run_command(struct speaker *speaker, const char *const *argv)
{
    struct ph_invocation inv;
    struct ph_error err;
    size_t argc = 0;
    int exit_status;

    while (argv[argc])
        argc++;
    enum ph_status status = ph_invocation_parse(&inv, argc, argv, &err);
    if (status)
        return report(speaker, status, &err);
    if (!ph_invocation_wants_target(&inv) ||
        choose_target(speaker->session, speaker->options, &exit_status)) {
        ph_progress_begin(&speaker->progress, stderr);
        status = answer(speaker->session, &inv, &err);
        ph_progress_show(&speaker->progress, NULL, 0);
        exit_status = report(speaker, status, &err);
    }
    ph_invocation_free(&inv);
    return exit_status;
}

static int run_line(struct speaker *speaker, const char *line)
{
    const char **argv = NULL;
    int argc, exit_status = EXIT_SUCCESS, got = poptParseArgvString(line, &argc, &argv);
    struct ph_error err;

    if (got == POPT_ERROR_NOARG || (!got && argv[0][0] == '#'))
        ; /* nothing in it */
    else if (got)
        exit_status = report(speaker, ph_fail(&err, PH_USAGE, "%s", poptStrerror(got)), &err);
    else
        exit_status = run_command(speaker, argv);
    free(argv);
    return exit_status;
}

/* All lines, whatever becomes of one; the exit status is that of the worst. */
static int run_lines(struct speaker *speaker, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    int worst = EXIT_SUCCESS;

    while (!interrupted && getline(&line, &room, file) >= 0) {
        speaker->line++;
        line[strcspn(line, "\n")] = '\0';
        int exit_status = run_line(speaker, line);
        if (exit_status > worst)
            worst = exit_status;
    }
    if (ferror(file)) {
        fprintf(stderr, "py-heap: cannot read %s: %s\n", speaker->file, strerror(errno));
        worst = EXIT_FAILURE;
    }
    free(line);
    return worst;
}

static int run_file(struct speaker *speaker, const char *path)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");

    if (!file) {
        fprintf(stderr, "py-heap: cannot open %s: %s\n", path, strerror(errno));
        return EXIT_FAILURE;
    }
    speaker->file = is_stdin ? "<stdin>" : path;
    int exit_status = run_lines(speaker, file);
    if (!is_stdin)
        fclose(file);
    return exit_status;
}

static int run_commands(const struct own_options *options, const char *const *argv)
{
    struct speaker speaker = {.options = options};
    struct ph_error err;

    speaker.host = (struct ph_host){.ctx = &speaker.progress,
                                    .interrupted = is_interrupted,
                                    .open_core = open_core,
                                    .progress = show_progress};
    speaker.session = ph_session_create(&speaker.host);
    if (!speaker.session)
        return report(&speaker, ph_fail(&err, PH_NO_MEMORY, "out of memory"), &err);
    int exit_status =
        options->commands ? run_file(&speaker, options->commands) : run_command(&speaker, argv);
    ph_session_destroy(speaker.session);
    return exit_status;
}

/* ---- completion, for py-heap.bash ---- */

static void print_word(void *ctx, const char *word)
{
    (void)ctx;
    puts(word);
}

static int complete(const char *const *argv)
{
    size_t argc = 0;

    while (argv[argc])
        argc++;
    ph_complete(argc, argv, print_word, NULL);
    return EXIT_SUCCESS;
}

/* ---- main ---- */

static int run(const struct own_options *options, poptContext popt)
{
    static const char *const nothing[] = {NULL};
    const char **rest = poptGetArgs(popt);
    const char *const *argv = rest ? (const char *const *)rest : nothing;

    if (options->complete)
        return complete(argv);
    if (options->version) {
        puts("py-heap " PH_VERSION);
        return EXIT_SUCCESS;
    }
    if (options->help) {
        write_usage();
        return EXIT_SUCCESS;
    }
    if (!argv[0] && !options->commands)
        return fail_usage("no command given; 'py-heap --help' lists them");
    if (argv[0] && options->commands)
        return fail_usage("a command and --commands exclude each other");
    return run_commands(options, argv);
}

static void catch_sigint(void)
{
    struct sigaction action = {.sa_handler = on_sigint, .sa_flags = SA_RESETHAND | SA_RESTART};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

int main(int argc, char **argv)
{
    struct own_options options = {0};
    struct poptOption table[] = {
        {"pid", 0, POPT_ARG_STRING, &options.pid, 0, NULL, NULL},
        {"core", 0, POPT_ARG_STRING, &options.core, 0, NULL, NULL},
        {"exe", 0, POPT_ARG_STRING, &options.exe, 0, NULL, NULL},
        {"sysroot", 0, POPT_ARG_STRING, &options.sysroot, 0, NULL, NULL},
        {"commands", 'x', POPT_ARG_STRING, &options.commands, 0, NULL, NULL},
        {"help", 'h', POPT_ARG_NONE, &options.help, 0, NULL, NULL},
        {"version", 0, POPT_ARG_NONE, &options.version, 0, NULL, NULL},
        {"complete", 0, POPT_ARG_NONE, &options.complete, 0, NULL, NULL},
        POPT_TABLEEND,
    };
    int status;

    catch_sigint();
    /* The command's own options stand behind it. */
    poptContext popt =
        poptGetContext("py-heap", argc, (const char **)argv, table, POPT_CONTEXT_POSIXMEHARDER);
    int got = poptGetNextOpt(popt);
    if (got < -1) {
        fprintf(stderr, "py-heap: %s: %s\n", poptBadOption(popt, POPT_BADOPTION_NOALIAS),
                poptStrerror(got));
        status = EXIT_USAGE;
    } else {
        status = run(&options, popt);
    }
    poptFreeContext(popt);
    free(options.pid);
    free(options.core);
    free(options.exe);
    free(options.sysroot);
    free(options.commands);
    return status;
}
