#include "target/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

/* What tells whether a thread has run. */
struct switches {
    pid_t tid;
    uint64_t voluntary, involuntary;
};

struct ph_live {
    pid_t pid;
    int memory_fd;       /* /proc/PID/mem, or -1 */
    bool no_process_vm;  /* process_vm_readv is not allowed here (seccomp, old kernel) */
    struct ph_stop stop; /* what we stopped ourselves */
    bool held_by_others; /* was to be stopped, and somebody had done so */
    PH_ARRAY(struct switches) switches;
};

/* ---- Memory ---- */

/* How many leading bytes could be read. */
static size_t read_memory(struct ph_live *live, ph_addr addr, void *buf, size_t len)
{
    if (!__atomic_load_n(&live->no_process_vm, __ATOMIC_RELAXED)) {
        struct iovec ours = {.iov_base = buf, .iov_len = len};
        struct iovec theirs = {.iov_base = (void *)(uintptr_t)addr, .iov_len = len};
        ssize_t n = process_vm_readv(live->pid, &ours, 1, &theirs, 1, 0);
        if (n > 0)
            return (size_t)n;
        if (errno == EPERM || errno == ENOSYS)
            __atomic_store_n(&live->no_process_vm, true, __ATOMIC_RELAXED);
    }
    if (live->memory_fd < 0)
        return 0;
    ssize_t n = pread(live->memory_fd, buf, len, (off_t)addr);
    return n > 0 ? (size_t)n : 0;
}

/* Make a block ours to write. Heaps get huge pages, which are filled in half the time; files are
 * only looked at here and there. */
static bool commit(struct ph_target *t, struct ph_span *span, ph_addr start, ph_addr end)
{
    bool is_file = ph_mapping_at(t, start);
    return ph_span_commit(span, start, end, is_file ? start : span->start,
                          is_file ? end : span->end);
}

static void live_fill(struct ph_target *t, struct ph_span *span, size_t page, size_t count)
{
    size_t end = page + count;
    if (!commit(t, span, ph_span_page_address(span, page), ph_span_page_address(span, end))) {
        ph_span_set(span, page, count, PH_PAGE_ABSENT);
        return;
    }
    while (page < end) {
        ph_addr addr = ph_span_page_address(span, page);
        size_t wanted = (end - page) * PH_PAGE_BYTES;
        size_t here = read_memory(t->live, addr, ph_span_bytes(span, addr), wanted) / PH_PAGE_BYTES;
        ph_span_set(span, page, here, PH_PAGE_HERE);
        page += here;
        if (page < end) /* such as a guard page that glibc made inside a mapping */
            ph_span_set(span, page++, 1, PH_PAGE_ABSENT);
    }
}

static bool live_can_share(struct ph_target *t, ph_addr start, ph_addr end)
{
    (void)t;
    (void)start;
    (void)end;
    return true;
}

/* Many places with one call; it ends at the first that cannot be read, which is passed over. */
static bool live_sample(struct ph_target *t, ph_addr start, uint64_t step, size_t len, size_t count,
                        uint8_t *out)
{
    enum { PLACES_A_CALL = 256 };
    struct iovec theirs[PLACES_A_CALL];
    size_t done = 0;
    memset(out, 0, count * len);
    while (done < count) {
        size_t places = ph_min(count - done, PLACES_A_CALL);
        for (size_t i = 0; i < places; i++)
            theirs[i] = (struct iovec){(void *)(uintptr_t)(start + (done + i) * step), len};
        struct iovec ours = {.iov_base = out + done * len, .iov_len = places * len};
        ssize_t n = process_vm_readv(t->live->pid, &ours, 1, theirs, places, 0);
        if (n < 0 && errno != EFAULT)
            return false;
        size_t read = n < 0 ? 0 : (size_t)n / len;
        done += read < places ? read + 1 : read;
    }
    return true;
}

/* Nothing but a guard page, which glibc of 2.42 makes inside the mapping of a thread's stack, is at
 * fault in anonymous memory of a process that lives. */
static bool live_is_guard(struct ph_target *t, ph_addr addr)
{
    unsigned char byte;
    struct iovec ours = {.iov_base = &byte, .iov_len = 1};
    struct iovec theirs = {.iov_base = (void *)(uintptr_t)addr, .iov_len = 1};
    return process_vm_readv(t->live->pid, &ours, 1, &theirs, 1, 0) < 0 && errno == EFAULT;
}

/* ---- The list of regions ---- */

/* One line of /proc/PID/maps; what we cannot parse is left out. False: out of memory. */
static bool add_line(struct ph_target *t, char *line)
{
    unsigned long long start, end, offset;
    char permissions[5];
    int name_at = 0;
    if (sscanf(line, "%llx-%llx %4s %llx %*s %*s %n", &start, &end, permissions, &offset,
               &name_at) < 4 ||
        !name_at || start >= end)
        return true;
    char *name = line + name_at;
    char *deleted = strstr(name, " (deleted)");
    if (deleted && !deleted[10])
        *deleted = '\0';
    unsigned flags = ph_region_flags(ph_region_permissions(permissions), name);
    if (!ph_region_add(t, start, end, flags, name))
        return false;
    if (*name == '/' && !ph_mapping_add(t, start, end, offset, name))
        return false;
    return !(flags & PH_REGION_READ) || ph_span_add(t, start, end);
}

static enum ph_status read_maps(struct ph_target *t, struct ph_error *err)
{
    pid_t pid = t->live->pid;
    struct ph_str maps = {0};
    if (!ph_proc_read(&maps, "/proc/%d/maps", (int)pid)) {
        ph_str_free(&maps);
        return ph_refused(pid, err);
    }
    bool ok = true;
    char *rest = NULL;
    for (char *line = maps.data ? strtok_r(maps.data, "\n", &rest) : NULL; ok && line;
         line = strtok_r(NULL, "\n", &rest))
        ok = add_line(t, line);
    ph_str_free(&maps);
    if (!ok)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    return t->spans.count ? PH_OK : ph_refused(pid, err);
}

/* Path, word size and byte order of the executable, from its ELF header in memory or on disk;
 * AT_ENTRY from auxv. False when out of memory. */
static bool read_format(struct ph_target *t)
{
    struct ph_str text = {0};
    bool linked = ph_proc_link(&text, "/proc/%d/exe", (int)t->live->pid);
    const char *path = linked ? ph_arena_strndup(&t->arena, text.data, text.len) : "";
    if (!path || text.failed) {
        ph_str_free(&text);
        return false;
    }
    t->info.path = path;
    union {
        unsigned char ident[EI_NIDENT];
        Elf32_Ehdr header; /* up to e_machine the same for 64 bits */
    } begin = {0};
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/exe", (int)t->live->pid);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, &begin, sizeof begin) == sizeof begin &&
            memcmp(begin.ident, ELFMAG, SELFMAG) == 0) {
            ph_target_set_format(t, begin.ident[EI_CLASS] == ELFCLASS32 ? 4 : 8,
                                 begin.ident[EI_DATA] == ELFDATA2MSB);
            t->machine = begin.header.e_machine;
        }
        close(fd);
    }
    if (ph_proc_read(&text, "/proc/%d/auxv", (int)t->live->pid))
        ph_auxv_read(t, text.data, text.len);
    ph_str_free(&text);
    return true;
}

/* ---- Threads, and whether they have run ---- */

/* What /proc/PID/task/TID/syscall says of a thread that does not run: the number of the call that
 * it is in (-1: none) and the arguments, then the stack pointer and where its code goes on. Of one
 * that runs it says "running" and nothing else. */
static void read_call(struct ph_target *t, struct ph_thread *thread)
{
    enum { NUMBERS = 9 };
    struct ph_str text = {0};
    uint64_t numbers[NUMBERS] = {0};
    unsigned count = 0;
    if (ph_proc_read(&text, "/proc/%d/task/%d/syscall", (int)t->live->pid, (int)thread->tid)) {
        const char *at = ph_str_text(&text);
        for (char *end; count < NUMBERS; count++, at = end) {
            numbers[count] = strtoull(at, &end, 0);
            if (end == at)
                break;
        }
    }
    ph_str_free(&text);
    if (count < 3)
        return;
    thread->sp = numbers[count - 2];
    ph_thread_set_call(thread, t->machine, (int64_t)numbers[0], &numbers[1]);
}

/* The last number of NSpid in the text of a thread's status: the first is the id that we see, and
 * one follows for each PID namespace inside ours. 0 where the kernel does not say (before 4.1). */
static uint64_t innermost_id(const char *status)
{
    const char *at = ph_proc_status(status, "NSpid");
    uint64_t id = 0;
    for (char *end; at && *at >= '0' && *at <= '9'; at = end + strspn(end, " \t"))
        id = strtoull(at, &end, 10);
    return id;
}

static bool add_thread(struct ph_target *t, pid_t tid)
{
    struct ph_live *live = t->live;
    struct ph_thread thread = {.tid = (uint64_t)tid, .name = ""};
    struct ph_str status = {0};
    if (ph_proc_read(&status, "/proc/%d/task/%d/status", (int)live->pid, (int)tid))
        thread.own_tid = innermost_id(ph_str_text(&status));
    ph_str_free(&status);
    struct ph_str name = {0};
    if (ph_proc_read(&name, "/proc/%d/task/%d/comm", (int)live->pid, (int)tid) && name.len)
        thread.name = ph_arena_strndup(&t->arena, name.data, name.len - 1); /* without newline */
    ph_str_free(&name);
    read_call(t, &thread);
    ph_stop_registers(&live->stop, tid, &thread.sp, &thread.fs_base);
    return thread.name && ph_array_push(&t->threads, thread);
}

static bool add_threads(struct ph_target *t)
{
    struct ph_tids tids = {0};
    bool ok = ph_proc_tids(t->live->pid, &tids);
    for (uint32_t i = 0; ok && i < tids.list.count; i++)
        ok = add_thread(t, tids.list.items[i]);
    ph_array_free(&tids.list);
    if (ok)
        ph_region_mark_stacks(t);
    return ok;
}

/* Field 22 of /proc/PID/stat, counted behind the name, which may hold blanks and parentheses. */
static uint64_t start_time(pid_t pid)
{
    struct ph_str text = {0};
    uint64_t ticks = 0;
    if (ph_proc_read(&text, "/proc/%d/stat", (int)pid) && text.len) {
        const char *at = strrchr(text.data, ')');
        for (int field = 2; at && field < 22; field++) {
            at = strchr(at, ' ');
            at += at != NULL;
        }
        ticks = at ? strtoull(at, NULL, 10) : 0;
    }
    ph_str_free(&text);
    return ticks;
}

static uint64_t status_number(const char *status, const char *key)
{
    const char *value = ph_proc_status(status, key);
    return value ? strtoull(value, NULL, 10) : 0;
}

/* Bring live->switches up to date; whether they were. */
static bool update_switches(struct ph_live *live)
{
    struct ph_tids tids = {0};
    struct ph_str status = {0};
    bool same = ph_proc_tids(live->pid, &tids) && tids.list.count == live->switches.count;
    if (!ph_array_reserve(&live->switches, tids.list.count))
        tids.list.count = 0; /* then never the same: the careful answer */
    live->switches.count = tids.list.count;
    for (uint32_t i = 0; i < tids.list.count; i++) {
        struct switches now = {.tid = tids.list.items[i]}, *before = &live->switches.items[i];
        if (ph_proc_read(&status, "/proc/%d/task/%d/status", (int)live->pid, (int)now.tid)) {
            now.voluntary = status_number(ph_str_text(&status), "voluntary_ctxt_switches");
            now.involuntary = status_number(ph_str_text(&status), "nonvoluntary_ctxt_switches");
        }
        same = same && now.tid == before->tid && now.voluntary == before->voluntary &&
               now.involuntary == before->involuntary;
        *before = now;
    }
    ph_array_free(&tids.list);
    ph_str_free(&status);
    return same;
}

static bool live_has_run(struct ph_target *t)
{
    bool same = update_switches(t->live);
    return !same || t->info.start_time != start_time(t->live->pid);
}

/* A byte that could be read when the target was opened; of a process without memory none can. */
static bool has_memory(struct ph_target *t)
{
    unsigned char byte;
    return read_memory(t->live, t->spans.items[0].start, &byte, 1) == 1;
}

static enum ph_status live_check_still(struct ph_target *t, struct ph_error *err)
{
    if (!has_memory(t))
        return ph_fail(err, PH_NOT_FOUND, "process %d ended while it was read", (int)t->live->pid);
    if (t->live->held_by_others && live_has_run(t))
        return ph_fail(err, PH_FAILED,
                       "process %d ran on while it was read, for who had stopped it let it go; "
                       "try again",
                       (int)t->live->pid);
    return PH_OK;
}

/* ---- Life ---- */

/* The executable's link; the path in the process's own root; the very file that is mapped, should
 * the path name another by now (which needs a privilege); the path in our root. */
static bool live_file_name(struct ph_target *t, uint32_t file, unsigned i, struct ph_str *name)
{
    const char *path = t->files.items[file].path;
    const struct ph_mapping *mapping = &t->mappings.items[t->files.items[file].first_mapping];
    bool is_executable = strcmp(path, t->info.path) == 0;
    switch (is_executable ? i : i + 1) {
    case 0:
        ph_str_appendf(name, "/proc/%d/exe", (int)t->live->pid);
        return true;
    case 1:
        ph_str_appendf(name, "/proc/%d/root%s", (int)t->live->pid, path);
        return true;
    case 2:
        ph_str_appendf(name, "/proc/%d/map_files/%llx-%llx", (int)t->live->pid,
                       (unsigned long long)mapping->start, (unsigned long long)mapping->end);
        return true;
    case 3:
        ph_str_append(name, path);
        return true;
    default:
        return false;
    }
}

static void live_destroy(struct ph_target *t)
{
    struct ph_live *live = t->live;
    if (!live)
        return;
    ph_stop_end(&live->stop);
    if (live->memory_fd >= 0)
        close(live->memory_fd);
    ph_array_free(&live->switches);
    free(live);
    t->live = NULL;
}

static const struct ph_backend live_backend = {
    .fill = live_fill,
    .can_share = live_can_share,
    .sample = live_sample,
    .has_run = live_has_run,
    .check_still = live_check_still,
    .is_guard = live_is_guard,
    .file_name = live_file_name,
    .destroy = live_destroy,
};

static enum ph_status open_live(struct ph_target *t, pid_t pid, bool stop, struct ph_error *err)
{
    struct ph_live *live = ph_calloc(1, sizeof *live);
    if (!live)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    t->live = live;
    live->pid = t->info.pid = pid;
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/mem", (int)pid);
    live->memory_fd = open(name, O_RDONLY | O_CLOEXEC);
    t->info.start_time = start_time(pid);
    if (stop) {
        enum ph_status status = ph_stop_process(&live->stop, pid, t->host, err);
        if (status)
            return status;
        live->held_by_others = live->stop.threads.count == 0;
    }
    update_switches(live); /* before the memory is read, so that no change goes unseen */
    enum ph_status status = read_maps(t, err);
    if (status)
        return status;
    if (!read_format(t) || !add_threads(t))
        return ph_fail(err, PH_FAILED, "process %d ended, or memory ran out", (int)pid);
    /* That maps can be read does not mean that memory can. */
    return has_memory(t) ? PH_OK : ph_refused(pid, err);
}

enum ph_status ph_target_open_live(pid_t pid, bool stop, const struct ph_host *host,
                                   struct ph_target **out, struct ph_error *err)
{
    if (pid <= 0)
        return ph_fail(err, PH_USAGE, "%d is no process id", (int)pid);
    struct ph_target *t = ph_target_create(&live_backend, PH_TARGET_LIVE, host);
    if (!t)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    enum ph_status status = open_live(t, pid, stop, err);
    if (status) {
        ph_target_close(t);
        return status;
    }
    *out = t;
    return PH_OK;
}
