/*
 * The plugin as GDB sees it: a JIT reader that reads no JIT code. When GDB asks it to unwind a
 * frame and a request waits, it answers the request; it never unwinds anything.
 */
#include "channel.h"
#include "command/command.h"
#include "command/progress.h"
#include "description.h"
#include "script.h"
#include "words.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(default)
#include <gdb/jit-reader.h>
GDB_DECLARE_GPL_COMPATIBLE_READER
#pragma GCC visibility pop

/* GDB has one reader at a time, and asks it on one thread. */
static struct {
    struct ph_session *session;   /* NULL until it is needed */
    long inferior;                /* GDB's number of the one that the session is about */
    bool unwound;                 /* see has_run() */
    char *sysroot;                /* GDB's setting */
    gdb_target_read *target_read; /* during a request */
    struct ph_progress progress;  /* during a request */
    /* The line that is being answered; it waits here while GDB evaluates an operand. */
    struct ph_invocation line;
} reader;

static volatile sig_atomic_t interrupted;

/* ---- what the core may ask of GDB ---- */

static bool read_whole(ph_addr addr, void *buf, size_t len)
{
    return len <= INT_MAX && reader.target_read(addr, buf, (int)len) == GDB_SUCCESS;
}

/* GDB reads all or nothing, so what is readable is found page by page. */
static size_t read_memory(void *ctx, ph_addr addr, void *buf, size_t len)
{
    enum { PAGE_BYTES = 4096 };
    size_t done = 0;

    (void)ctx;
    if (read_whole(addr, buf, len))
        return len;
    while (done < len) {
        size_t part = PAGE_BYTES - (addr + done) % PAGE_BYTES;
        part = part < len - done ? part : len - done;
        if (!read_whole(addr + done, (char *)buf + done, part))
            break;
        done += part;
    }
    return done;
}

static bool is_interrupted(void *ctx)
{
    (void)ctx;
    return interrupted;
}

/* GDB forgets all frames when the process runs, and asks who unwinds the innermost at the latest
 * when a command begins. It asks for outer frames, too, when somebody looks at them first: then we
 * only read once too often. */
static bool has_run(void *ctx)
{
    bool unwound = reader.unwound;

    (void)ctx;
    reader.unwound = false;
    return unwound;
}

/* GDB looks for the target's files below its sysroot; "target:" means where the target itself has
 * them. */
static bool local_path(void *ctx, const char *path, ph_addr start, char *local, size_t size)
{
    static const char on_target[] = "target:";
    const char *root = reader.sysroot ? reader.sysroot : "";

    (void)ctx;
    (void)start;
    if (strncmp(root, on_target, sizeof on_target - 1) == 0)
        root += sizeof on_target - 1;
    return *root && snprintf(local, size, "%s%s", root, path) < (int)size;
}

static void show_progress(void *ctx, const char *phase, unsigned percent)
{
    (void)ctx;
    ph_progress_show(&reader.progress, phase, percent);
}

static const struct ph_host host = {
    .read = read_memory,
    .interrupted = is_interrupted,
    .has_run = has_run,
    .local_path = local_path,
    .progress = show_progress,
};

static bool change_sysroot(const char *sysroot)
{
    if (reader.sysroot && strcmp(reader.sysroot, sysroot) == 0)
        return false;
    free(reader.sysroot);
    reader.sysroot = strdup(sysroot);
    return true;
}

/* In non-stop mode other threads run while GDB looks at one. */
static void prepare_session(const char *inferior_and_mode, const char *sysroot)
{
    char *mode;
    long inferior = strtol(inferior_and_mode, &mode, 10);
    bool moved = change_sysroot(sysroot);

    reader.unwound = reader.unwound || strtol(mode, NULL, 10);
    if (!reader.session && (reader.session = ph_session_create(&host)))
        ph_session_use_debugged(reader.session, 0, NULL);
    else if (reader.session && (moved || reader.inferior != inferior))
        ph_session_drop(reader.session);
    reader.inferior = inferior;
}

/* ---- answers ---- */

static void say_failure(FILE *script, enum ph_status status, const struct ph_error *err)
{
    FILE *text = ph_script_text(script);

    if (text) {
        fprintf(text, "py-heap: %s\n", err->message);
        fclose(text);
    }
    ph_script_set(script, "_pyheap_status", status == PH_USAGE ? 2 : 1);
}

static enum ph_status run_line(FILE *script, struct ph_error *err)
{
    FILE *text = ph_script_text(script);

    if (!text || !reader.session) {
        if (text)
            fclose(text);
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    }
    enum ph_status status = ph_invocation_run(reader.session, &reader.line, "py-heap", text, err);
    fclose(text);
    return status;
}

static void finish_line(FILE *script, enum ph_status status, struct ph_error *err)
{
    if (!status)
        status = run_line(script, err);
    if (status)
        say_failure(script, status, err);
    else
        ph_script_set(script, "_pyheap_status", 0);
    ph_invocation_free(&reader.line);
}

/* Answer the line, or have its next expression evaluated or the process described first. */
static void answer_line(FILE *script)
{
    const struct ph_operand *operand = ph_invocation_unresolved(&reader.line);
    struct ph_error err;

    if (!reader.target_read && ph_invocation_wants_target(&reader.line))
        finish_line(script, ph_fail(&err, PH_FAILED, PH_NO_PROCESS), &err);
    else if (operand)
        ph_script_evaluate(script, operand->text);
    else if (reader.session && ph_session_wants_description(reader.session, &reader.line))
        ph_script_describe(script);
    else
        finish_line(script, PH_OK, &err);
}

/* "line", the number of the inferior with whether GDB is in non-stop mode, GDB's sysroot, and the
 * words behind `py-heap`. */
static void answer_request(FILE *script, char *request, size_t len)
{
    struct ph_words words = ph_words_split(request, len);
    struct ph_error err;

    ph_invocation_free(&reader.line);
    if (words.count >= 4) {
        prepare_session(words.items[1], words.items[2]);
        enum ph_status status = ph_invocation_parse(&reader.line, words.count - 3,
                                                    (const char *const *)words.items + 3, &err);
        if (status)
            say_failure(script, status, &err);
        else
            answer_line(script);
    }
    free(words.items);
}

/* The bytes of an expression's value, as GDB has them in the target's byte order. */
static bool parse_value(const unsigned char *bytes, size_t len, ph_addr *address)
{
    if (len != 1 && len != 2 && len != 4 && len != 8)
        return false;
    *address = 0;
    memcpy(address, bytes, len);
    return true;
}

static void answer_value(FILE *script, const unsigned char *bytes, size_t len)
{
    struct ph_operand *operand =
        reader.line.command ? ph_invocation_unresolved(&reader.line) : NULL;
    struct ph_error err;

    if (!operand)
        return;
    operand->resolved = parse_value(bytes, len, &operand->address);
    if (operand->resolved) {
        answer_line(script);
        return;
    }
    ph_fail(&err, PH_USAGE, "'%.60s' has %zu bytes; a pointer or an integer is wanted",
            operand->text, len);
    say_failure(script, PH_USAGE, &err);
    ph_invocation_free(&reader.line);
}

/* The text of a description, which ends in NUL. */
static void answer_description(FILE *script, char *text)
{
    struct description read __attribute__((cleanup(description_free)));
    struct ph_error err;

    if (!reader.line.command)
        return;
    reader.unwound = false; /* for having it described */
    enum ph_status status =
        description_read(&read, text) ? PH_OK : ph_fail(&err, PH_NO_MEMORY, "out of memory");
    if (!status)
        status = ph_session_describe(reader.session,
                                     &(struct ph_description){
                                         .pid = read.pid,
                                         .program = read.program,
                                         .regions = read.regions.items,
                                         .region_count = read.regions.count,
                                     },
                                     &err);
    finish_line(script, status, &err);
}

/* ---- one call ---- */

/* What has to be put back however the call ends: GDB may throw a C++ exception through
 * target_read(). */
struct call {
    struct sigaction sigint;
    bool finished;
};

static void on_sigint(int signal)
{
    (void)signal;
    interrupted = 1;
}

static void begin_call(struct call *call, gdb_target_read *target_read)
{
    struct sigaction action = {.sa_handler = on_sigint, .sa_flags = SA_RESTART};

    interrupted = 0;
    reader.target_read = target_read;
    ph_progress_begin(&reader.progress, stderr);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &call->sigint);
}

static void end_call(struct call *call)
{
    sigaction(SIGINT, &call->sigint, NULL);
    ph_progress_show(&reader.progress, NULL, 0);
    reader.target_read = NULL;
    /* In the middle of anything, the session cannot even be destroyed. */
    if (!call->finished)
        reader.session = NULL;
}

static void answer(char *request, size_t len, gdb_target_read *target_read)
{
    static const char value_mark[] = "value", description_mark[] = "description";
    __attribute__((cleanup(end_call))) struct call call = {0};
    FILE *script;

    begin_call(&call, target_read);
    script = ph_channel_begin_response();
    if (script) {
        ph_script_set(script, "_pyheap_unanswered", 0);
        if (!strcmp(request, value_mark) && len >= sizeof value_mark)
            answer_value(script, (unsigned char *)request + sizeof value_mark,
                         len - sizeof value_mark);
        else if (!strcmp(request, description_mark) && len >= sizeof description_mark)
            answer_description(script, request + sizeof description_mark);
        else
            answer_request(script, request, len);
        fclose(script);
    }
    call.finished = true;
}

/* ---- what GDB calls ---- */

static void serve_waiting_request(gdb_target_read *target_read)
{
    size_t len;
    char *request = ph_channel_take_request(&len);

    if (request)
        answer(request, len, target_read);
    else
        reader.unwound = true;
    free(request);
}

static enum gdb_status on_unwind(struct gdb_reader_funcs *self, struct gdb_unwind_callbacks *cb)
{
    (void)self;
    serve_waiting_request(cb->target_read);
    return GDB_FAIL; /* somebody else unwinds the frame */
}

static enum gdb_status on_read(struct gdb_reader_funcs *self, struct gdb_symbol_callbacks *cb,
                               void *memory, long len)
{
    (void)self, (void)cb, (void)memory, (void)len;
    return GDB_FAIL;
}

static struct gdb_frame_id on_frame_id(struct gdb_reader_funcs *self,
                                       struct gdb_unwind_callbacks *cb)
{
    (void)self, (void)cb;
    return (struct gdb_frame_id){0};
}

static void on_destroy(struct gdb_reader_funcs *self)
{
    (void)self;
    ph_invocation_free(&reader.line);
    ph_session_destroy(reader.session);
    reader.session = NULL;
    if (!ph_channel_has_request()) /* else it is loaded anew at once, to answer it */
        ph_channel_close();
}

static void write_definitions(void)
{
    FILE *script = ph_channel_open() ? ph_channel_begin_response() : NULL;

    if (!script) {
        fprintf(stderr, "py-heap: cannot open file descriptors %d and %d: %s; see 'ulimit -n'\n",
                PH_REQUEST_FD, PH_RESPONSE_FD, strerror(errno));
        return;
    }
    ph_script_define_commands(script);
    fclose(script);
}

__attribute__((visibility("default"))) struct gdb_reader_funcs *gdb_init_reader(void)
{
    static struct gdb_reader_funcs funcs = {
        .reader_version = GDB_READER_INTERFACE_VERSION,
        .read = on_read,
        .unwind = on_unwind,
        .get_frame_id = on_frame_id,
        .destroy = on_destroy,
    };

    if (ph_channel_resume())
        serve_waiting_request(NULL); /* there is no process */
    else
        write_definitions();
    return &funcs; /* GDB 13 crashes on NULL */
}
