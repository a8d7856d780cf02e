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

/* Closes a target at the end of its scope, and when a host throws. */
#define CLOSED __attribute__((cleanup(ph_target_cleanup)))

enum {
    SAMPLE_BYTES = 256,
    MOST_SAMPLES = 24,
    MOST_CANDIDATES = 256,
    MOST_COMPARED_BYTES = 1 << 20
};

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

bool ph_debugged_still_agrees(struct ph_target *t)
{
    return agrees(t, t->host);
}

/* ---- Candidates ---- */

/* A candidate that agrees with the host; NULL where it does not. */
static struct ph_target *open_pid(pid_t pid, const struct ph_host *host)
{
    struct ph_target *t CLOSED = NULL, *accepted = NULL;
    if (ph_target_open_live(pid, false, host, &t, NULL) == PH_OK && agrees(t, host)) {
        accepted = t;
        t = NULL;
    }
    return accepted;
}

static struct ph_target *open_core(const char *path, const struct ph_host *host)
{
    struct ph_target *t CLOSED = NULL, *accepted = NULL;
    if (ph_target_open_core(path, NULL, NULL, host, &t, NULL) == PH_OK && agrees(t, host)) {
        accepted = t;
        t = NULL;
    }
    return accepted;
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

/* Whether the host shows the second's memory where it differs from the first's. A parent and the
 * child that it has just forked agree in all samples, but not, say, in what the C library knows of
 * threads. Such differences lie at the start of small regions; of a large one the rest is left
 * alone. */
static bool is_second(struct ph_target *first, struct ph_target *second, const struct ph_host *host)
{
    for (uint32_t i = 0; i < first->regions.count; i++) {
        const struct ph_region *region = &first->regions.items[i];
        if (!(region->flags & PH_REGION_WRITE))
            continue;
        ph_addr end = ph_min(region->end, region->start + MOST_COMPARED_BYTES);
        for (ph_addr page = region->start; page < end; page += PH_PAGE_BYTES) {
            unsigned char shown[PH_PAGE_BYTES];
            const void *a = ph_target_view(first, page, PH_PAGE_BYTES);
            const void *b = ph_target_view(second, page, PH_PAGE_BYTES);
            if (!a || !b || memcmp(a, b, PH_PAGE_BYTES) == 0)
                continue;
            return host->read(host->ctx, page, shown, PH_PAGE_BYTES) == PH_PAGE_BYTES &&
                   memcmp(shown, b, PH_PAGE_BYTES) == 0;
        }
    }
    return false;
}

static struct ph_target *find_process(pid_t hint, const struct ph_host *host)
{
    pid_t pids[MOST_CANDIDATES];
    struct ph_target *best CLOSED = hint > 0 ? open_pid(hint, host) : NULL, *found;
    size_t count = best ? 0 : list_numbers("/proc", is_ours, pids, MOST_CANDIDATES);
    for (size_t i = 0; i < count; i++) {
        struct ph_target *next CLOSED = open_pid(pids[i], host);
        if (next && (!best || is_second(best, next, host))) {
            found = best;
            best = next;
            next = found;
        }
    }
    found = best;
    best = NULL;
    return found;
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
static struct ph_target *find_open_core(const struct ph_host *host)
{
    int fds[MOST_CANDIDATES];
    size_t count = list_numbers("/proc/self/fd", NULL, fds, MOST_CANDIDATES);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "/proc/self/fd/%d", fds[i]);
        struct stat info;
        bool is_file = stat(name, &info) == 0 && S_ISREG(info.st_mode);
        struct ph_target *t = is_file ? open_core(name, host) : NULL;
        if (t) {
            name_after_link(t, name);
            return t;
        }
    }
    return NULL;
}

/* A core that the debugger has mapped and closed. */
static struct ph_target *find_mapped_core(const struct ph_host *host)
{
    struct ph_str maps __attribute__((cleanup(ph_str_free))) = {0};
    if (!ph_proc_read(&maps, "/proc/self/maps") || !maps.data)
        return NULL;
    char *rest = NULL;
    const char *before = "";
    for (char *line = strtok_r(maps.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *path = strchr(line, '/');
        if (!path || strcmp(path, before) == 0)
            continue;
        before = path;
        struct ph_target *t = open_core(path, host);
        if (t)
            return t;
    }
    return NULL;
}

enum ph_status ph_target_open_debugged(pid_t pid, const char *core_path, const struct ph_host *host,
                                       struct ph_target **out, struct ph_error *err)
{
    if (!host || !host->read)
        return ph_fail(err, PH_USAGE, "the debugger lends no way to read memory");
    struct ph_target *t = core_path ? open_core(core_path, host) : NULL;
    if (!t)
        t = find_process(pid, host);
    if (!t)
        t = find_open_core(host);
    if (!t)
        t = find_mapped_core(host);
    if (t)
        t->ask_host = true;
    else
        t = ph_host_open(host);
    if (!t)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    *out = t;
    return PH_OK;
}
