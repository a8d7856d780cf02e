/* When memory runs out in the middle of a command, or Ctrl-C is pressed, the command fails with one
 * line, nothing leaks, and the next one works. Run on a real interpreter, which is started here;
 * skipped by itself where there is none. */
#include "base/array.h"
#include "command/command.h"

#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    pid_t python;
    int say; /* closing it lets the interpreter end */
};

/* Until it waits in its last read, and its heap changes no more. */
static void wait_until_asleep(pid_t pid)
{
    char name[64], line[256];
    snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
    for (int i = 0; i < 5000; i++) {
        FILE *file = fopen(name, "r");
        const char *end = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
        if (file)
            fclose(file);
        if (end && end[2] == 'S')
            return;
        usleep(1000);
    }
}

static int start_python(void **state, const char *program)
{
    static struct fixture f;
    int in[2], out[2];
    char ready = 0;
    if (access("/usr/bin/python3", X_OK) || pipe(in) || pipe(out))
        return 0;
    f.python = fork();
    if (f.python == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        execl("/usr/bin/python3", "python3", "-c", program, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    f.say = in[1];
    if (read(out[0], &ready, 1) == 1)
        *state = &f;
    wait_until_asleep(f.python);
    close(out[0]);
    return 0;
}

static int start_small(void **state)
{
    return start_python(state,
                        "import os, tracemalloc\ntracemalloc.start(3)\nkept = [{'n': i} for i in "
                        "range(1000)]\nos.write(1, b'r')\nos.read(0, 1)");
}

/* Large enough for several workers, and with garbage. */
static int start_large(void **state)
{
    return start_python(state,
                        "import gc, os\ngc.disable()\nkept = [{'n': [i]} for i in range(30000)]\n"
                        "for i in range(1000):\n  a = []; a.append([a])\n"
                        "os.write(1, b'r')\nos.read(0, 1)");
}

static int stop_python(void **state)
{
    struct fixture *f = *state;
    if (!f)
        return 0;
    close(f->say);
    kill(f->python, SIGKILL); /* a test that failed may have left it stopped */
    waitpid(f->python, NULL, 0);
    return 0;
}

/* Run a line. *answer is the caller's to free; NULL where the line failed. */
static enum ph_status run_in(struct ph_session *s, size_t argc, const char *const *argv,
                             char **answer, struct ph_error *err)
{
    struct ph_invocation inv;
    size_t len;
    *answer = NULL;
    enum ph_status status = ph_invocation_parse(&inv, argc, argv, err);
    if (status)
        return status;
    FILE *out = open_memstream(answer, &len);
    assert_non_null(out);
    status = ph_invocation_run(s, &inv, "py-heap", out, err);
    fclose(out);
    ph_invocation_free(&inv);
    if (status) {
        free(*answer);
        *answer = NULL;
    }
    return status;
}

/* The same from a new session. */
static enum ph_status run_line(pid_t pid, size_t argc, const char *const *argv, char **answer,
                               struct ph_error *err)
{
    static const struct ph_host host = {0};
    struct ph_session *s = ph_session_create(&host);
    *answer = NULL;
    if (!s)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    ph_session_use_pid(s, pid);
    enum ph_status status = run_in(s, argc, argv, answer, err);
    ph_session_destroy(s);
    return status;
}

/* Let the first, second, ... allocation fail, in growing steps, until the command needs no more of
 * them. A few may fail without harm, such as one for a check that is then not made; the answer is
 * the same then. */
static void fail_each(pid_t pid, size_t argc, const char *const *argv)
{
    enum { MOST = 10000000 };
    struct ph_error err = {0};
    unsigned failed = 0;
    char *right, *answer;
    assert_int_equal(run_line(pid, argc, argv, &right, &err), PH_OK);
    for (unsigned long n = 1; n < MOST; n += 1 + n / 8) {
        ph_alloc_fail_after(n);
        enum ph_status status = run_line(pid, argc, argv, &answer, &err);
        bool all_made = ph_alloc_fail_pending() > 0;
        ph_alloc_fail_after(0);
        if (all_made)
            break;
        /* What of the process is resident may change at any time. */
        bool stays = strcmp(argv[0], "memory") != 0;
        if (status == PH_OK && stays)
            assert_string_equal(answer, right);
        else if (status)
            assert_true(err.message[0]);
        failed += status != PH_OK;
        free(answer);
    }
    assert_true(failed > 10);
    free(answer);
    free(right);
}

static void test_out_of_memory(void **state)
{
    static const char *const lines[][4] = {{"top", "--json"},
                                           {"list", "dict", "--limit", "5"},
                                           {"verify"},
                                           {"dominators", "--json"},
                                           {"suspects"},
                                           {"memory", "--json"},
                                           {"cycles", "--json"},
                                           {"why", "--type", "dict"},
                                           {"top", "--sort", "retained"},
                                           {"trace", "--group-by", "traceback"},
                                           {"trace", "--json"},
                                           {"frames", "--locals"},
                                           {"save", "/dev/null"},
                                           {"diff", NULL, "--group-by", "holder"},
                                           {"diff", NULL, "--new"},
                                           {"layout"}};
    static const size_t counts[] = {2, 4, 1, 2, 1, 2, 2, 3, 3, 3, 2, 2, 2, 4, 3, 1};
    char snapshot[] = "/tmp/py-heap-faults-XXXXXX", *said;
    struct ph_error err;
    struct fixture *f = *state;
    if (!f)
        skip();
    int fd = mkstemp(snapshot);
    assert_true(fd >= 0 && close(fd) == 0);
    assert_int_equal(run_line(f->python, 2, (const char *const[]){"save", snapshot}, &said, &err),
                     PH_OK);
    free(said);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const char *line[4];
        for (size_t word = 0; word < counts[i]; word++)
            line[word] = lines[i][word] ? lines[i][word] : snapshot;
        fail_each(f->python, counts[i], line);
    }
    unlink(snapshot);
}

/* ---- Ctrl-C ---- */

/* Pressed before so many looks for it. */
struct key {
    unsigned long looks, pressed_at;
};

static bool is_pressed(void *ctx)
{
    struct key *key = ctx;
    return ++key->looks >= key->pressed_at;
}

/* Press it before the first, second, ... look, in growing steps, until the command needs no more of
 * them: it fails each time, and then, asked again of the same session, gives the same answer. */
static void interrupt_each(pid_t pid, size_t argc, const char *const *argv)
{
    struct ph_error err = {0};
    unsigned interrupted = 0;
    char *right, *answer;
    assert_int_equal(run_line(pid, argc, argv, &right, &err), PH_OK);
    for (unsigned long n = 1;; n += 1 + n / 4) {
        struct key key = {.pressed_at = n};
        const struct ph_host host = {.ctx = &key, .interrupted = is_pressed};
        struct ph_session *s = ph_session_create(&host);
        assert_non_null(s);
        ph_session_use_pid(s, pid);
        enum ph_status status = run_in(s, argc, argv, &answer, &err);
        if (key.looks >= n) {
            assert_int_equal(status, PH_INTERRUPTED);
            assert_string_equal(err.message, "interrupted");
            interrupted++;
            key.pressed_at = ULONG_MAX;
            status = run_in(s, argc, argv, &answer, &err);
        }
        ph_session_destroy(s);
        assert_int_equal(status, PH_OK);
        assert_string_equal(answer, right);
        free(answer);
        if (key.pressed_at == n)
            break;
    }
    assert_true(interrupted > 10);
    free(right);
}

static void test_interrupted(void **state)
{
    static const char *const lines[][4] = {{"top", "--json"},
                                           {"list", "dict", "--limit", "5"},
                                           {"verify"},
                                           {"dominators", "--json"},
                                           {"suspects"},
                                           {"cycles", "--json"},
                                           {"why", "--type", "dict"},
                                           {"top", "--sort", "retained"}};
    static const size_t counts[] = {2, 4, 1, 2, 1, 2, 3, 3};
    const struct fixture *f = *state;
    if (!f)
        skip();
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        interrupt_each(f->python, counts[i], lines[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_out_of_memory, start_small, stop_python),
        cmocka_unit_test_setup_teardown(test_interrupted, start_large, stop_python),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
