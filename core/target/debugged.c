#include "target/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Which process or core does the debugger around us look at? A debugger's plugin is told neither,
 * so we look for a live process that we or a child of ours traces, and for core files that we have
 * open, and believe in one only if bytes that no other process is likely to have are the same there
 * and through the debugger.
 */

enum { SAMPLE_BYTES = 256, MOST_SAMPLES = 24, MOST_CANDIDATES = 256 };

/* ---- Does it agree? ---- */

struct comparison {
    struct ph_target *t;
    const struct ph_host *host;
    unsigned asked, agreed;
};

/* Compare a few bytes from addr to the end of its region. */
static void compare_at(struct comparison *c, ph_addr addr)
{
    unsigned char theirs[SAMPLE_BYTES];
    size_t len = 0;
    const void *ours = ph_target_view_some(c->t, addr, SAMPLE_BYTES, &len);
    if (!ours || c->asked >= MOST_SAMPLES)
        return;
    c->asked++;
    if (c->host->read(c->host->ctx, addr, theirs, len) == len && memcmp(ours, theirs, len) == 0)
        c->agreed++;
}

/* Threads' stacks and thread-local data hold addresses and ids that differ from process to process;
 * where no registers are known, the ends of the main stack and the start of the executable's data
 * have to do. */
static bool agrees(struct ph_target *t, const struct ph_host *host)
{
    struct comparison c = {.t = t, .host = host};
    for (uint32_t i = 0; i < t->threads.count && i < MOST_SAMPLES / 3; i++) {
        compare_at(&c, t->threads.items[i].sp);
        compare_at(&c, t->threads.items[i].fs_base);
    }
    for (uint32_t i = 0; i < t->regions.count; i++) {
        const struct ph_region *region = &t->regions.items[i];
        if (!(region->flags & PH_REGION_WRITE) || region->end - region->start < SAMPLE_BYTES)
            continue;
        if (region->flags & PH_REGION_STACK)
            compare_at(&c, region->end - SAMPLE_BYTES);
        compare_at(&c, region->start);
    }
    return c.agreed > 0 && c.agreed == c.asked;
}

/* ---- Candidates ---- */

/* What an attempt to use a candidate came to. */
static bool accept(struct ph_target **candidate, const struct ph_host *host, struct ph_target **out)
{
    if (!agrees(*candidate, host)) {
        ph_target_close(*candidate);
        *candidate = NULL;
        return false;
    }
    (*candidate)->ask_host = true;
    *out = *candidate;
    *candidate = NULL;
    return true;
}

static bool try_pid(pid_t pid, const struct ph_host *host, struct ph_target **out)
{
    struct ph_target *t __attribute__((cleanup(ph_target_cleanup))) = NULL;
    return ph_target_open_live(pid, false, host, &t, NULL) == PH_OK && accept(&t, host, out);
}

static bool try_core(const char *path, const struct ph_host *host, struct ph_target **out)
{
    struct ph_target *t __attribute__((cleanup(ph_target_cleanup))) = NULL;
    return ph_target_open_core(path, NULL, NULL, host, &t, NULL) == PH_OK && accept(&t, host, out);
}

static pid_t status_pid(pid_t pid, const char *key)
{
    struct ph_str status = {0};
    const char *value = NULL;
    if (ph_proc_read(&status, "/proc/%d/status", (int)pid))
        value = ph_proc_status(ph_str_text(&status), key);
    pid_t found = value ? (pid_t)strtol(value, NULL, 10) : 0;
    ph_str_free(&status);
    return found;
}

/* Whether we trace a process, or a child of ours does, as lldb-server for LLDB. */
static bool is_ours(pid_t pid)
{
    enum { MOST_GENERATIONS = 3 };
    pid_t tracer = status_pid(pid, "TracerPid");
    for (int i = 0; i < MOST_GENERATIONS && tracer > 1; i++) {
        if (tracer == getpid())
            return true;
        tracer = status_pid(tracer, "PPid");
    }
    return false;
}

/* The numbers that name entries of a directory and that are wanted (NULL: all are), at most `most`.
 * The directory is closed again before anybody calls the host. */
static size_t list_numbers(const char *directory, bool (*wanted)(int), int *numbers, size_t most)
{
    DIR *dir = opendir(directory);
    size_t count = 0;
    for (struct dirent *entry; dir && count < most && (entry = readdir(dir));) {
        char *end;
        long number = strtol(entry->d_name, &end, 10);
        if (!*end && number >= 0 && number <= INT32_MAX && (!wanted || wanted((int)number)))
            numbers[count++] = (int)number;
    }
    if (dir)
        closedir(dir);
    return count;
}

static bool try_processes(pid_t hint, const struct ph_host *host, struct ph_target **out)
{
    pid_t pids[MOST_CANDIDATES];
    if (hint > 0 && try_pid(hint, host, out))
        return true;
    size_t count = list_numbers("/proc", is_ours, pids, MOST_CANDIDATES);
    for (size_t i = 0; i < count; i++) {
        if (pids[i] != hint && try_pid(pids[i], host, out))
            return true;
    }
    return false;
}

static void name_after_link(struct ph_target *t, const char *link)
{
    struct ph_str path = {0};
    const char *kept = NULL;
    if (ph_proc_link(&path, "%s", link))
        kept = ph_arena_strdup(&t->arena, ph_str_text(&path));
    if (kept)
        t->info.path = kept;
    ph_str_free(&path);
}

/* A core that the debugger holds open; through its descriptor, for the file may have another name
 * by now. */
static bool try_open_files(const struct ph_host *host, struct ph_target **out)
{
    int fds[MOST_CANDIDATES];
    size_t count = list_numbers("/proc/self/fd", NULL, fds, MOST_CANDIDATES);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "/proc/self/fd/%d", fds[i]);
        struct stat info;
        if (stat(name, &info) == 0 && S_ISREG(info.st_mode) && try_core(name, host, out)) {
            name_after_link(*out, name);
            return true;
        }
    }
    return false;
}

/* A core that the debugger has mapped and closed. */
static bool try_mapped_files(const struct ph_host *host, struct ph_target **out)
{
    struct ph_str maps __attribute__((cleanup(ph_str_free))) = {0};
    if (!ph_proc_read(&maps, "/proc/self/maps") || !maps.data)
        return false;
    char *rest = NULL;
    const char *before = "";
    for (char *line = strtok_r(maps.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *path = strchr(line, '/');
        if (!path || strcmp(path, before) == 0)
            continue;
        before = path;
        if (try_core(path, host, out))
            return true;
    }
    return false;
}

enum ph_status ph_target_open_debugged(pid_t pid, const char *core_path, const struct ph_host *host,
                                       struct ph_target **out, struct ph_error *err)
{
    if (!host || !host->read)
        return ph_fail(err, PH_USAGE, "the debugger lends no way to read memory");
    if ((core_path && try_core(core_path, host, out)) || try_processes(pid, host, out) ||
        try_open_files(host, out) || try_mapped_files(host, out))
        return PH_OK;
    *out = ph_host_open(host);
    return *out ? PH_OK : ph_fail(err, PH_NO_MEMORY, "out of memory");
}
