/*
 * Targets against the truth: a forked child has our own addresses, so what it wrote, where its
 * symbols are, and what runs in it are known here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "target/target.h"

/* ---- A child with known memory ---- */

enum { PAGE = 4096, PATTERN_PAGES = 700, THREADS = 3 };

static const char constant_text[] = "in a read-only page of the test's own file";
static char long_text[3 * PAGE];

/* Mapped before the fork, and filled by the child: pages of numbers; a hole; a file's pages, the
 * last one past the file's end. */
static uint64_t *pattern;
static unsigned char *holed;
static unsigned char *past_end;
static volatile uint64_t *counter; /* shared, so that the parent sees it move */
static char directory[] = "/tmp/test_target.XXXXXX";

static uint64_t expected(size_t i, pid_t pid)
{
    return (i + 1) * 0x9e3779b97f4a7c15u ^ (uint64_t)pid;
}

static void *map_pages(size_t pages, int flags)
{
    void *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    return memory;
}

static int prepare(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    pattern = map_pages(PATTERN_PAGES, MAP_PRIVATE);
    counter = map_pages(1, MAP_SHARED);
    holed = map_pages(3, MAP_PRIVATE);
    memset(holed, 'h', 3 * PAGE);
    munmap(holed + PAGE, PAGE);
    memset(long_text, 't', sizeof long_text - 1);

    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/short", directory);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0 && write(fd, "short", 5) == 5);
    past_end = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(past_end != MAP_FAILED);
    close(fd);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    char command[PATH_MAX];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static void count_signal(int signal)
{
    (void)signal;
    counter[1]++;
}

static void *wait_forever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

enum child_work { CHILD_WAITS, CHILD_COUNTS, CHILD_ABORTS, CHILD_FORKS };

static void child_main(int ready, enum child_work work)
{
    for (size_t i = 0; i < PATTERN_PAGES * PAGE / sizeof *pattern; i++)
        pattern[i] = expected(i, getpid());
    mprotect(pattern + PATTERN_PAGES / 2 * PAGE / sizeof *pattern, PAGE,
             PROT_READ); /* three regions */
    signal(SIGUSR1, count_signal);
    pthread_t thread;
    for (int i = 0; i < THREADS && work < CHILD_ABORTS; i++)
        pthread_create(&thread, NULL, wait_forever, NULL);
    if (work == CHILD_FORKS) {
        pid_t twin = fork();
        if (twin == 0)
            wait_forever(NULL);
        counter[2] = (uint64_t)twin;
    }
    (void)!write(ready, "r", 1);
    if (work == CHILD_ABORTS) {
        struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
        setrlimit(RLIMIT_CORE, &limit);
        (void)!chdir(directory);
        signal(SIGABRT, SIG_DFL);
        abort();
    }
    while (work == CHILD_COUNTS)
        counter[0]++;
    wait_forever(NULL);
}

static void sleep_ms(long ms)
{
    struct timespec pause = {.tv_nsec = ms * 1000000};
    nanosleep(&pause, NULL);
}

/* The state letter of a thread. */
static char thread_state(pid_t pid, pid_t tid)
{
    char name[64], text[512] = "";
    snprintf(name, sizeof name, "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    FILE *file = fopen(name, "r");
    if (file) {
        (void)!fread(text, 1, sizeof text - 1, file);
        fclose(file);
    }
    const char *end = strrchr(text, ')');
    return end ? end[2] : 0;
}

static char process_state(pid_t pid)
{
    return thread_state(pid, pid);
}

/* Whether every thread waits, so that nothing in the process changes any more. */
static bool all_threads_sleep(pid_t pid)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(name);
    bool asleep = tasks;
    for (struct dirent *task; asleep && (task = readdir(tasks));) {
        if (task->d_name[0] != '.')
            asleep = thread_state(pid, (pid_t)atoi(task->d_name)) == 'S';
    }
    if (tasks)
        closedir(tasks);
    return asleep;
}

static pid_t start_child(enum child_work work)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* it must not outlive a test that fails */
        child_main(ends[1], work);
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    while (work == CHILD_WAITS && !all_threads_sleep(pid))
        sleep_ms(1);
    return pid;
}

static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static struct ph_target *open_live(pid_t pid, bool stop)
{
    struct ph_target *t = NULL;
    struct ph_error err = {0};
    enum ph_status status = ph_target_open_live(pid, stop, NULL, &t, &err);
    if (status)
        print_error("%s\n", err.message);
    assert_int_equal(status, PH_OK);
    return t;
}

static ph_addr address_of(const volatile void *pointer)
{
    return (ph_addr)(uintptr_t)pointer;
}

static void check_pattern(struct ph_target *t, pid_t pid)
{
    size_t count = PATTERN_PAGES * PAGE / sizeof *pattern;
    const uint64_t *all = ph_target_view(t, address_of(pattern), PATTERN_PAGES * PAGE);
    assert_non_null(all);
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        assert_true(ph_target_word(t, address_of(pattern + i), &value));
        assert_int_equal(value, expected(i, pid));
        assert_int_equal(all[i], value);
    }
}

/* ---- Live ---- */

static void live_reads_what_the_child_wrote(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    for (int stop = 0; stop <= 1; stop++) {
        struct ph_target *t = open_live(pid, stop);
        check_pattern(t, pid);
        const struct ph_target_info *info = ph_target_info(t);
        assert_int_equal(info->kind, PH_TARGET_LIVE);
        assert_int_equal(info->pid, pid);
        assert_int_equal(info->word_bytes, sizeof(void *));
        assert_non_null(strstr(info->path, "test_target"));
        ph_target_close(t);
    }
    end_child(pid);
}

static void frozen_serves_what_was_read_and_says_what_it_misses(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    struct ph_target *t = open_live(pid, false);
    const size_t last = (PATTERN_PAGES - 1) * PAGE / sizeof *pattern;
    uint64_t value;
    ph_target_freeze(t);
    assert_true(ph_target_is_frozen(t));
    assert_false(ph_target_word(t, address_of(pattern + last), &value));
    assert_true(ph_target_missed());
    assert_false(ph_target_missed()); /* told once */
    assert_false(ph_target_word(t, 16, &value));
    assert_false(ph_target_missed()); /* nothing is mapped there */
    ph_target_thaw(t);
    check_pattern(t, pid);
    ph_target_freeze(t);
    check_pattern(t, pid);
    assert_false(ph_target_missed());
    assert_int_equal(ph_target_missing_bytes(t), 0);
    ph_target_close(t);
    end_child(pid);
}

static void reading_ahead_changes_nothing_of_what_is_read(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    struct ph_target *t = open_live(pid, false);
    const struct ph_region *region = ph_target_region_at(t, address_of(pattern));
    assert_true(ph_target_read_ahead(t, region->start, region->end, 0, 100));
    assert_true(ph_target_read_ahead(t, 0, UINT64_MAX, 0, 100)); /* nobody has that */
    check_pattern(t, pid);
    ph_target_close(t);
    end_child(pid);
}

static void integers_have_the_width_that_was_asked_for(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    struct ph_target *t = open_live(pid, false);
    uint64_t whole = expected(0, pid), u64 = 0;
    uint32_t u32 = 0;
    uint16_t u16 = 0;
    uint8_t u8 = 0;
    assert_true(ph_target_u64(t, address_of(pattern), &u64));
    assert_true(ph_target_u32(t, address_of(pattern), &u32));
    assert_true(ph_target_u16(t, address_of(pattern), &u16));
    assert_true(ph_target_u8(t, address_of(pattern) + 7, &u8));
    assert_int_equal(u64, whole);
    assert_int_equal(u32, (uint32_t)whole);
    assert_int_equal(u16, (uint16_t)whole);
    assert_int_equal(u8, whole >> 56);
    u64 = 5;
    assert_false(ph_target_u64(t, 0, &u64));
    assert_false(ph_target_u64(t, UINT64_MAX - 3, &u64));
    assert_false(ph_target_word(t, address_of(holed) + PAGE - 4, &u64));
    assert_int_equal(u64, 5);
    ph_target_close(t);
    end_child(pid);
}

static void views_end_where_memory_ends(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    struct ph_target *t = open_live(pid, false);
    ph_addr at = address_of(holed);
    size_t len;
    assert_non_null(ph_target_view(t, at, PAGE));
    assert_null(ph_target_view(t, at, PAGE + 1));
    assert_null(ph_target_view(t, at + PAGE, 1));
    assert_null(ph_target_view(t, at, 0));
    assert_null(ph_target_view(t, at, SIZE_MAX));
    assert_non_null(ph_target_view(t, at + 2 * PAGE, PAGE));
    assert_non_null(ph_target_view_some(t, at + 100, SIZE_MAX, &len));
    assert_int_equal(len, PAGE - 100);
    assert_null(ph_target_view_some(t, at + PAGE, 10, &len));
    assert_int_equal(len, 0);
    assert_null(ph_target_view_some(t, at, 0, &len));
    assert_non_null(ph_target_region_at(t, at));
    assert_null(ph_target_region_at(t, at + PAGE));
    ph_target_close(t);
    end_child(pid);
}

static void mapped_bytes_that_cannot_be_read_are_counted_once(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    struct ph_target *t = open_live(pid, false);
    assert_null(
        ph_target_view(t, address_of(holed) + PAGE, 8)); /* not mapped: nothing is missing */
    assert_int_equal(ph_target_missing_bytes(t), 0);
    assert_memory_equal(ph_target_view(t, address_of(past_end), 6), "short", 6);
    for (int i = 0; i < 3; i++)
        assert_null(ph_target_view(t, address_of(past_end) + PAGE + (ph_addr)i, 8));
    assert_null(ph_target_view(t, address_of(past_end), 2 * PAGE));
    assert_int_equal(ph_target_missing_bytes(t), PAGE);
    ph_target_close(t);
    end_child(pid);
}

static void strings_are_bounded(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    struct ph_target *t = open_live(pid, false);
    size_t len = 0, whole = sizeof long_text - 1;
    assert_string_equal(ph_target_cstring(t, address_of(constant_text), 100, &len), constant_text);
    assert_int_equal(len, sizeof constant_text - 1);
    assert_string_equal(ph_target_cstring(t, address_of(long_text), whole, &len), long_text);
    assert_int_equal(len, whole);
    assert_null(ph_target_cstring(t, address_of(long_text), whole - 1, &len));
    assert_non_null(ph_target_cstring(t, address_of(long_text), SIZE_MAX, &len));
    assert_null(ph_target_cstring(t, address_of(holed), SIZE_MAX, &len)); /* runs into the hole */
    assert_null(ph_target_cstring(t, 0, 10, &len));
    ph_target_close(t);
    end_child(pid);
}

static void regions_are_sorted_and_say_what_they_are(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    struct ph_target *t = open_live(pid, false);
    size_t count;
    const struct ph_region *regions = ph_target_regions(t, &count);
    assert_true(count > 5);
    for (size_t i = 0; i < count; i++) {
        assert_true(regions[i].start < regions[i].end);
        assert_true(i == 0 || regions[i - 1].end <= regions[i].start);
        assert_ptr_equal(ph_target_region_at(t, regions[i].end - 1), &regions[i]);
    }
    const struct ph_region *text = ph_target_region_at(t, (ph_addr)(uintptr_t)child_main);
    assert_int_equal(text->flags, PH_REGION_READ | PH_REGION_EXEC);
    assert_string_equal(text->name, ph_target_info(t)->path);
    const struct ph_region *heap = ph_target_region_at(t, address_of(pattern));
    assert_int_equal(heap->flags, PH_REGION_READ | PH_REGION_WRITE | PH_REGION_ANON);
    const struct ph_region *stack = ph_target_region_at(t, address_of(&count));
    assert_true(stack->flags & PH_REGION_STACK);
    ph_target_close(t);
    end_child(pid);
}

static void a_stopped_process_stands_still_and_goes_on(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_COUNTS);
    struct ph_target *t = open_live(pid, true);
    uint64_t before = counter[0], signals = counter[1];
    kill(pid, SIGUSR1);
    sleep_ms(30);
    assert_int_equal(counter[0], before);
    assert_int_equal(counter[1], signals);
    assert_int_equal(process_state(pid), 't');

    size_t count;
    const struct ph_thread *threads = ph_target_threads(t, &count);
    assert_int_equal(count, THREADS + 1);
    assert_int_equal(threads[0].tid, pid);
    for (size_t i = 0; i < count; i++) {
        const struct ph_region *stack = ph_target_region_at(t, threads[i].sp);
        assert_non_null(stack);
        assert_true(stack->flags & PH_REGION_STACK);
#ifdef __x86_64__
        uint64_t self; /* struct pthread starts with its own address */
        assert_true(ph_target_word(t, threads[i].fs_base, &self));
        assert_int_equal(self, threads[i].fs_base);
#endif
    }
    assert_false(ph_target_has_run(t));
    ph_target_close(t);
    for (int i = 0; i < 200 && (counter[0] == before || counter[1] == signals); i++)
        sleep_ms(5);
    assert_true(counter[0] > before);
    assert_true(counter[1] > signals);
    end_child(pid);
}

static void a_process_that_somebody_stopped_stays_so(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_COUNTS);
    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
    struct ph_target *t = open_live(pid, true);
    assert_int_equal(process_state(pid), 'T');
    check_pattern(t, pid);
    ph_target_close(t);
    assert_int_equal(process_state(pid), 'T');
    end_child(pid);
}

static void it_shows_whether_the_target_has_run(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    struct ph_target *t = open_live(pid, false);
    assert_false(ph_target_has_run(t));
    assert_non_null(ph_target_view(t, address_of(pattern), PATTERN_PAGES * PAGE));
    assert_false(ph_target_has_run(t));
    uint64_t signals = counter[1];
    kill(pid, SIGUSR1);
    while (counter[1] == signals)
        sleep_ms(1);
    sleep_ms(20);
    assert_true(ph_target_has_run(t));
    assert_false(ph_target_has_run(t));
    end_child(pid);
    assert_true(ph_target_has_run(t));
    ph_target_close(t);
}

static void what_cannot_be_opened_says_so(void **state)
{
    (void)state;
    struct ph_target *t = NULL;
    struct ph_error err;
    pid_t pid = start_child(CHILD_WAITS);
    end_child(pid);
    assert_int_equal(ph_target_open_live(pid, false, NULL, &t, &err), PH_NOT_FOUND);
    assert_int_equal(ph_target_open_live(pid, true, NULL, &t, &err), PH_NOT_FOUND);
    assert_int_equal(ph_target_open_live(-1, false, NULL, &t, &err), PH_USAGE);
    assert_int_equal(ph_target_open_core("/nonexistent", NULL, NULL, NULL, &t, &err), PH_NOT_FOUND);
    assert_int_equal(ph_target_open_core("/proc/self/exe", NULL, NULL, NULL, &t, &err), PH_FAILED);
    assert_int_equal(ph_target_open_core("/", NULL, NULL, NULL, &t, &err), PH_FAILED);
    assert_int_equal(ph_target_open_core("/dev/null", NULL, NULL, NULL, &t, &err), PH_FAILED);
    assert_null(t);
}

/* ---- Modules and symbols ---- */

/* Not those that a sanitizer defines a second time. */
static const char *const symbol_names[] = {"stdout", "environ", "getppid", "gnu_get_libc_version",
                                           "memcpy"};

static void check_symbols(struct ph_target *t)
{
    for (size_t i = 0; i < sizeof symbol_names / sizeof *symbol_names; i++) {
        ph_addr found = 0;
        void *ours = dlsym(RTLD_DEFAULT, symbol_names[i]);
        assert_non_null(ours);
        assert_int_equal(ph_target_symbol(t, symbol_names[i], &found, NULL), PH_OK);
        if (strcmp(symbol_names[i], "memcpy") != 0) /* that one is chosen by the machine (IFUNC) */
            assert_int_equal(found, address_of(ours));
    }
    ph_addr found = 1;
    uint64_t size = 2, value = 0;
    assert_int_equal(ph_target_symbol(t, "ph_no_such_symbol", &found, &size), PH_NOT_FOUND);
    assert_int_equal(found, 1);
    assert_int_equal(ph_target_symbol(t, "stdout", &found, &size), PH_OK);
    assert_int_equal(size, sizeof stdout);
    assert_true(ph_target_word(t, found, &value));
    assert_int_equal(value, address_of(stdout));
}

static void check_sections(struct ph_target *t)
{
    ph_addr found;
    uint64_t size;
    assert_int_equal(ph_target_section(t, ".rodata", &found, &size), PH_OK);
    assert_true(found <= address_of(constant_text) && address_of(constant_text) < found + size);
    assert_int_equal(ph_target_section(t, ".no_such_section", &found, &size), PH_NOT_FOUND);
}

struct bias_check {
    struct ph_target *t;
    size_t seen;
};

/* A module has the bias that the dynamic linker says. */
static int check_bias(struct dl_phdr_info *info, size_t info_bytes, void *context)
{
    (void)info_bytes;
    struct bias_check *check = context;
    size_t count;
    const struct ph_module *modules = ph_target_modules(check->t, &count);
    char real[PATH_MAX];
    if (!realpath(*info->dlpi_name ? info->dlpi_name : "/proc/self/exe", real))
        return 0; /* the vdso */
    size_t i = 0;
    while (i < count && strcmp(modules[i].path, real) != 0)
        i++;
    assert_true(i < count);
    assert_int_equal(modules[i].bias, info->dlpi_addr);
    for (int k = 0; k < info->dlpi_phnum; k++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[k];
        ph_addr start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD)
            continue;
        assert_true(modules[i].start <= start && start + segment->p_memsz <= modules[i].end);
    }
    check->seen++;
    return 0;
}

static void check_modules(struct ph_target *t)
{
    struct bias_check check = {.t = t};
    dl_iterate_phdr(check_bias, &check);
    size_t count;
    const struct ph_module *modules = ph_target_modules(t, &count);
    assert_true(check.seen >= 2);
    assert_int_equal(count, check.seen);
    for (size_t i = 1; i < count; i++)
        assert_true(modules[i - 1].start < modules[i].start);
}

static void modules_and_symbols_are_those_of_the_dynamic_linker(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    struct ph_target *t = open_live(pid, false);
    check_modules(t);
    check_symbols(t);
    check_sections(t);
    ph_target_close(t);
    end_child(pid);
}

/* ---- Cores ---- */

static char core_path[PATH_MAX];
static pid_t core_pid;

/* The newest thing to do for a core: let a child abort; should the machine keep cores elsewhere,
 * ask gcore. */
static bool make_core(void)
{
    if (*core_path)
        return true;
    core_pid = start_child(CHILD_ABORTS);
    waitpid(core_pid, NULL, 0);
    DIR *dir = opendir(directory);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (strncmp(entry->d_name, "core", 4) == 0)
            snprintf(core_path, sizeof core_path, "%s/%s", directory, entry->d_name);
    }
    closedir(dir);
    if (*core_path)
        return true;

    core_pid = start_child(CHILD_WAITS);
    char command[PATH_MAX];
    snprintf(command, sizeof command, "gcore -o %s/core %d >/dev/null 2>&1", directory,
             (int)core_pid);
    if (system(command) == 0)
        snprintf(core_path, sizeof core_path, "%s/core.%d", directory, (int)core_pid);
    end_child(core_pid);
    if (!*core_path)
        print_message("neither the kernel nor gcore wrote a core\n");
    return *core_path;
}

static struct ph_target *open_core(const char *path, const char *exe, const char *sysroot)
{
    struct ph_target *t = NULL;
    struct ph_error err = {0};
    enum ph_status status = ph_target_open_core(path, exe, sysroot, NULL, &t, &err);
    if (status)
        print_error("%s\n", err.message);
    assert_int_equal(status, PH_OK);
    return t;
}

static void a_core_holds_what_the_child_wrote(void **state)
{
    (void)state;
    if (!make_core())
        skip();
    struct ph_target *t = open_core(core_path, NULL, NULL);
    check_pattern(t, core_pid);
    assert_int_equal(ph_target_info(t)->kind, PH_TARGET_CORE);
    assert_int_equal(ph_target_info(t)->pid, core_pid);
    assert_string_equal(ph_target_info(t)->path, core_path);
    assert_false(ph_target_has_run(t));
    assert_int_equal(ph_target_missing_bytes(t), 0);

    size_t len, count;
    const char *text = ph_target_cstring(t, address_of(constant_text), 100, &len);
    assert_string_equal(text, constant_text); /* read-only, hence from the file */
    assert_memory_equal(ph_target_view(t, (ph_addr)(uintptr_t)child_main, 64),
                        (const void *)(uintptr_t)child_main, 64);
    const struct ph_thread *threads = ph_target_threads(t, &count);
    assert_true(count >= 1);
    assert_int_equal(threads[0].tid, core_pid);
    assert_true(ph_target_region_at(t, threads[0].sp)->flags & PH_REGION_STACK);
    check_modules(t);
    check_symbols(t);
    check_sections(t);
    assert_null(ph_target_missing_file(t, 0));
    ph_target_close(t);
}

/* Copy the first `bytes` of the core, or all where it is shorter. */
static void copy_core(const char *to, size_t bytes)
{
    int in = open(core_path, O_RDONLY), out = open(to, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(in >= 0 && out >= 0);
    static char chunk[1 << 16];
    for (ssize_t n; bytes && (n = read(in, chunk, bytes < sizeof chunk ? bytes : sizeof chunk)) > 0;
         bytes -= (size_t)n)
        assert_int_equal(write(out, chunk, (size_t)n), n);
    close(in);
    close(out);
}

/* Look at the first bytes of every page of every region, as a fool would. */
static size_t view_everything(struct ph_target *t)
{
    size_t count, viewed = 0;
    const struct ph_region *regions = ph_target_regions(t, &count);
    for (size_t i = 0; i < count; i++) {
        uint64_t pages = (regions[i].end - regions[i].start) / PAGE;
        for (uint64_t page = 0; page < pages && page < 2000; page++) {
            const char *bytes = ph_target_view(t, regions[i].start + page * PAGE, 8);
            viewed += bytes != NULL && bytes[0] + bytes[7] >= -256;
        }
    }
    return viewed;
}

static void a_core_cut_short_is_read_as_far_as_it_goes(void **state)
{
    (void)state;
    if (!make_core())
        skip();
    char path[PATH_MAX];
    struct stat info;
    assert_int_equal(stat(core_path, &info), 0);
    snprintf(path, sizeof path, "%s/cut", directory);
    struct ph_target *whole = open_core(core_path, NULL, NULL);
    size_t all = view_everything(whole);
    ph_target_close(whole);
    for (int part = 1; part <= 8; part++) {
        size_t kept = (size_t)info.st_size / 9 * (size_t)part + 123;
        copy_core(path, kept);
        struct ph_target *t = NULL;
        struct ph_error err;
        enum ph_status status = ph_target_open_core(path, NULL, NULL, NULL, &t, &err);
        if (status) {
            assert_int_equal(status, PH_BAD_DATA);
            continue;
        }
        uint64_t missing = ph_target_missing_bytes(t);
        assert_true(missing > 0 && missing <= (uint64_t)info.st_size - kept);
        assert_non_null(strstr(ph_target_missing_file(t, 0), "cut short"));
        assert_true(view_everything(t) < all);
        ph_target_close(t);
    }
    unlink(path);
}

static void files_of_a_core_are_looked_up_and_checked(void **state)
{
    (void)state;
    if (!make_core())
        skip();
    ph_addr found;
    struct ph_target *t = open_core(core_path, NULL, "/nonexistent");
    assert_int_equal(ph_target_section(t, ".rodata", &found, NULL), PH_NOT_FOUND);
    assert_non_null(strstr(ph_target_missing_file(t, 0), "not found"));
    ph_target_close(t);

    t = open_core(core_path, "/proc/self/exe", "/nonexistent");
    size_t len;
    assert_string_equal(ph_target_cstring(t, address_of(constant_text), 100, &len), constant_text);
    ph_target_close(t);

    t = open_core(core_path, "/bin/sh", "/nonexistent"); /* another program */
    assert_int_equal(ph_target_section(t, ".rodata", &found, NULL), PH_NOT_FOUND);
    bool said = false;
    for (size_t i = 0; ph_target_missing_file(t, i); i++)
        said = said || strstr(ph_target_missing_file(t, i), "not the file that was mapped");
    assert_true(said);
    ph_target_close(t);
}

static void put(unsigned char *at, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> 8 * (bytes - 1 - i));
}

/* A 32-bit big-endian core whose segments mind no page, as none of our machines would write it. */
static void another_machine_s_core_is_read_in_its_own_way(void **state)
{
    (void)state;
    static const struct {
        uint32_t address, file_bytes, memory_bytes;
    } segments[] = {
        {0x10900, 0x6fe, 0x6fe}, /* ends where the third starts, two bytes before a page does */
        {0x10000, 0x800, 0x800}, /* a gap follows within the page */
        {0x10ffe, 0x1802, 0x3002},
        {0xfffff000, 0x1000, 0x1000},
    };
    enum { SEGMENTS = sizeof segments / sizeof *segments, HEAD = 0x123 };
    static unsigned char file[HEAD + 4 * 0x2000];
    memcpy(file, "\177ELF\1\2\1", 7); /* ELFCLASS32, ELFDATA2MSB, EV_CURRENT */
    put(file + 16, 2, ET_CORE);
    put(file + 18, 2, EM_PPC);
    put(file + 20, 4, EV_CURRENT);
    put(file + 28, 4, 52); /* e_phoff */
    put(file + 40, 2, 52); /* e_ehsize */
    put(file + 42, 2, 32); /* e_phentsize */
    put(file + 44, 2, SEGMENTS);
    size_t at = HEAD;
    for (size_t i = 0; i < SEGMENTS; i++) {
        unsigned char *header = file + 52 + 32 * i;
        const uint32_t fields[] = {PT_LOAD,
                                   (uint32_t)at,
                                   segments[i].address,
                                   0,
                                   segments[i].file_bytes,
                                   segments[i].memory_bytes,
                                   PF_R | PF_W,
                                   0};
        for (size_t k = 0; k < 8; k++)
            put(header + 4 * k, 4, fields[k]);
        for (uint32_t k = 0; k < segments[i].file_bytes; k++)
            file[at + k] = (unsigned char)((segments[i].address + k) * 7 >> 1);
        at += segments[i].file_bytes;
    }
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/foreign", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, file, at), at);
    close(fd);

    struct ph_target *t = open_core(path, NULL, NULL);
    assert_int_equal(ph_target_info(t)->word_bytes, 4);
    assert_true(ph_target_info(t)->big_endian);
    for (size_t i = 0; i < SEGMENTS; i++) {
        for (uint32_t k = 0; k < segments[i].file_bytes; k++) {
            uint8_t value;
            assert_true(ph_target_u8(t, (ph_addr)segments[i].address + k, &value));
            assert_int_equal(value, (unsigned char)((segments[i].address + k) * 7 >> 1));
        }
    }
    const unsigned char *bytes =
        ph_target_view(t, 0x10ffc, 8); /* over two segments, over two pages */
    uint64_t word = 0, wide = 0;
    assert_non_null(bytes);
    assert_true(ph_target_word(t, 0x10ffc, &word));
    assert_int_equal(word, (uint32_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]);
    assert_true(ph_target_u64(t, 0x10ffc, &wide));
    assert_int_equal(wide >> 32, word);
    assert_null(ph_target_view(t, 0x107fd, 4));
    assert_null(ph_target_view(t, 0x10800, 1));
    assert_non_null(ph_target_view(t, 0x127ff, 1));
    assert_null(ph_target_view(t, 0x12800, 1)); /* in memory only */
    assert_non_null(ph_target_view(t, 0xfffffffc, 4));
    assert_null(ph_target_view(t, 0xfffffffd, 4));
    ph_target_close(t);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Nothing that the headers of a core say may hurt us. */
static void hostile_cores_do_no_harm(void **state)
{
    (void)state;
    if (!make_core())
        skip();
    static const uint64_t evil[] = {
        0,
        1,
        0xfff,
        0x1000,
        INT64_MAX,
        UINT64_MAX,
        UINT64_MAX - 0xfff,
        (uint64_t)1 << 40,
        (uint64_t)1 << 47,
        0x7fffffffffff,
        0x8000000000000000,
        0xffff,
        0xffffffff,
    };
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/evil", directory);
    copy_core(path, SIZE_MAX);
    int fd = open(path, O_RDWR);
    unsigned char head[2 * PAGE], changed[sizeof head];
    assert_int_equal(pread(fd, head, sizeof head, 0), sizeof head);
    for (int round = 0; round < 300; round++) {
        memcpy(changed, head, sizeof head);
        for (uint64_t i = next_random() % 6 + 1; i > 0; i--) {
            /* the ELF header's tail, program headers, and whatever notes follow */
            size_t at = 16 + next_random() % (sizeof head - 32) / 8 * 8;
            uint64_t value = evil[next_random() % (sizeof evil / sizeof *evil)];
            memcpy(changed + at, &value, next_random() % 3 ? 8 : 2);
        }
        assert_int_equal(pwrite(fd, changed, sizeof head, 0), sizeof head);
        struct ph_target *t = NULL;
        struct ph_error err;
        if (ph_target_open_core(path, NULL, NULL, NULL, &t, &err))
            continue;
        size_t count;
        ph_addr found;
        view_everything(t);
        ph_target_modules(t, &count);
        (void)!ph_target_symbol(t, "stdout", &found, NULL);
        ph_target_close(t);
    }
    close(fd);
    unlink(path);
}

/* ---- Debuggers ---- */

struct debugger {
    pid_t pid;
    bool lies;
    unsigned reads, fail_at; /* the read of that number fails; 0: none does */
    struct ph_host host;
};

static size_t debugger_read(void *ctx, ph_addr addr, void *buf, size_t len)
{
    struct debugger *debugger = ctx;
    struct iovec ours = {buf, len}, theirs = {(void *)(uintptr_t)addr, len};
    if (++debugger->reads == debugger->fail_at)
        return 0;
    ssize_t n = process_vm_readv(debugger->pid, &ours, 1, &theirs, 1, 0);
    if (n > 0 && debugger->lies)
        memset(buf, 0x55, (size_t)n);
    return n > 0 ? (size_t)n : 0;
}

static struct ph_target *open_debugged(struct debugger *debugger, const char *core)
{
    struct ph_target *t = NULL;
    struct ph_error err = {0};
    debugger->host = (struct ph_host){.ctx = debugger, .read = debugger_read};
    assert_int_equal(ph_target_open_debugged(0, core, &debugger->host, &t, &err), PH_OK);
    return t;
}

static void trace(pid_t pid)
{
    assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
    assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, NULL, __WALL), pid);
}

static pid_t start_traced(void)
{
    pid_t pid = start_child(CHILD_WAITS);
    trace(pid);
    return pid;
}

static void the_process_that_we_trace_is_found(void **state)
{
    (void)state;
    pid_t other = start_traced(), pid = start_traced();
    struct debugger debugger = {.pid = pid};
    struct ph_target *t = open_debugged(&debugger, NULL);
    assert_int_equal(ph_target_info(t)->kind, PH_TARGET_LIVE);
    assert_int_equal(ph_target_info(t)->pid, pid);
    check_pattern(t, pid);
    assert_false(ph_target_has_run(t));
    ph_target_close(t);
    end_child(pid);
    end_child(other);
}

static void a_process_and_its_fork_are_told_apart(void **state)
{
    (void)state;
    pid_t pids[2];
    pids[0] = start_child(CHILD_FORKS);
    pids[1] = (pid_t)counter[2];
    trace(pids[0]);
    trace(pids[1]);
    for (int i = 0; i < 2; i++) {
        struct debugger debugger = {.pid = pids[i]};
        struct ph_target *t = open_debugged(&debugger, NULL);
        assert_int_equal(ph_target_info(t)->kind, PH_TARGET_LIVE);
        assert_int_equal(ph_target_info(t)->pid, pids[i]);
        ph_target_close(t);
    }
    kill(pids[1], SIGKILL);
    end_child(pids[0]);
}

static void an_open_core_of_something_else_is_not_taken(void **state)
{
    (void)state;
    if (!make_core())
        skip();
    pid_t pid = start_child(CHILD_WAITS);
    int fd = open(core_path, O_RDONLY);
    struct debugger debugger = {.pid = pid};
    struct ph_target *t = open_debugged(&debugger, NULL);
    assert_int_equal(ph_target_info(t)->kind, PH_TARGET_REMOTE);
    ph_target_close(t);
    close(fd);
    end_child(pid);
}

static size_t target_read(void *ctx, ph_addr addr, void *buf, size_t len)
{
    size_t had;
    const void *bytes = ph_target_view_some(ctx, addr, len, &had);
    if (bytes)
        memcpy(buf, bytes, had);
    return had;
}

static void a_debugger_of_a_core_gets_the_core(void **state)
{
    (void)state;
    if (!make_core())
        skip();
    struct ph_target *core = open_core(core_path, NULL, NULL), *t = NULL;
    struct ph_host host = {.ctx = core, .read = target_read};
    struct ph_error err;
    for (int hinted = 0; hinted <= 1; hinted++) {
        int fd = hinted ? -1 : open(core_path, O_RDONLY);
        const char *hint = hinted ? core_path : NULL;
        assert_int_equal(ph_target_open_debugged(0, hint, &host, &t, &err), PH_OK);
        assert_int_equal(ph_target_info(t)->kind, PH_TARGET_CORE);
        assert_string_equal(ph_target_info(t)->path, core_path);
        check_pattern(t, core_pid);
        ph_target_close(t);
        if (fd >= 0)
            close(fd);
    }
    ph_target_close(core);
}

static void without_a_match_all_goes_through_the_debugger(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS); /* nobody traces it */
    struct debugger debugger = {.pid = pid};
    struct ph_target *t = open_debugged(&debugger, NULL);
    assert_int_equal(ph_target_info(t)->kind, PH_TARGET_REMOTE);
    check_pattern(t, pid);
    unsigned reads = debugger.reads;
    assert_true(reads < 100); /* in blocks */
    check_pattern(t, pid);
    assert_int_equal(debugger.reads, reads); /* and each once */

    assert_null(ph_target_view(t, address_of(holed), 2 * PAGE));
    assert_non_null(ph_target_view(t, address_of(holed), PAGE));
    assert_non_null(ph_target_view(t, address_of(holed) + 2 * PAGE, PAGE));
    assert_null(ph_target_view(t, 0, 1));
    assert_null(ph_target_view(t, 0xdead000, 1));
    assert_null(ph_target_view(t, UINT64_MAX, 1));
    reads = debugger.reads;
    assert_null(ph_target_view(t, 0xdead000, 8)); /* failures are remembered, too */
    assert_null(ph_target_view(t, address_of(holed), 2 * PAGE));
    assert_int_equal(debugger.reads, reads);
    assert_true(ph_target_has_run(t));
    ph_addr found;
    assert_int_equal(ph_target_symbol(t, "stdout", &found, NULL), PH_NOT_FOUND);
    ph_target_close(t);
    end_child(pid);
}

/* The regions as somebody else lists them, and `program`; t is described by them. */
static void describe(struct ph_target *t, struct ph_target *listed, ph_addr program)
{
    struct ph_description description = {.pid = 77, .program = program};
    struct ph_error err;
    if (listed)
        description.regions = ph_target_regions(listed, &description.region_count);
    assert_true(ph_target_wants_description(t));
    assert_int_equal(ph_target_describe(t, &description, &err), PH_OK);
    assert_false(ph_target_wants_description(t));
    assert_int_equal(ph_target_info(t)->pid, 77);
    assert_int_equal(ph_target_info(t)->word_bytes, sizeof(void *));
}

static void modules_are_found_where_the_debugger_lists_regions(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    struct debugger debugger = {.pid = pid};
    struct ph_target *listed = open_live(pid, false), *t = open_debugged(&debugger, NULL);
    describe(t, listed, 0);
    assert_true(ph_target_info(t)->lists_regions);
    check_symbols(t);
    check_modules(t);
    check_pattern(t, pid);
    char real[PATH_MAX];
    assert_non_null(realpath("/proc/self/exe", real));
    assert_string_equal(ph_target_info(t)->path, real);
    assert_null(ph_target_view(t, 0xdead000, 1));
    assert_false(ph_target_is_mapped(t, 0xdead000));
    ph_target_close(t);
    ph_target_close(listed);
    end_child(pid);
}

/* Each module of the dynamic linker's is there, by the name that it gives, with its bias. */
static int check_linked(struct dl_phdr_info *info, size_t info_bytes, void *context)
{
    (void)info_bytes;
    size_t count, i = 0;
    const struct ph_module *modules = ph_target_modules(context, &count);
    while (i < count &&
           (modules[i].bias != info->dlpi_addr || strcmp(modules[i].path, info->dlpi_name) != 0))
        i++;
    assert_true(i < count);
    return 0;
}

static void modules_are_found_from_the_program_alone(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    struct debugger debugger = {.pid = pid};
    struct ph_target *t = open_debugged(&debugger, NULL);
    size_t count;
    describe(t, NULL, getauxval(AT_PHDR));
    assert_false(ph_target_info(t)->lists_regions);
    check_symbols(t);
    dl_iterate_phdr(check_linked, t);
    const struct ph_region *regions = ph_target_regions(t, &count);
    assert_true(count > 4);
    for (size_t i = 1; i < count; i++)
        assert_true(regions[i - 1].end <= regions[i].start);
    assert_true(ph_target_region_at(t, address_of(&counter))->flags & PH_REGION_WRITE);
    assert_null(ph_target_region_at(t, address_of(pattern)));
    assert_true(ph_target_is_mapped(t, address_of(pattern)));
    assert_false(ph_target_is_mapped(t, 0xdead000));
    check_pattern(t, pid);
    ph_target_close(t);
    end_child(pid);
}

/* Whatever a read fails on or yields, a description ends, and what is found is true. */
static void descriptions_of_what_cannot_be_read_do_no_harm(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    for (unsigned n = 1; n <= 60; n++) {
        struct debugger debugger = {.pid = pid, .fail_at = n, .lies = n == 60};
        struct ph_target *t = open_debugged(&debugger, NULL);
        ph_addr found;
        struct ph_error err;
        struct ph_region wrong[] = {
            {.start = 0x5000, .end = 0x4000, .flags = 7, .name = ""},
            {.start = UINT64_MAX - 5, .end = UINT64_MAX, .flags = 7, .name = ""},
        };
        struct ph_description description = {
            .program = n % 5 ? getauxval(AT_PHDR) : UINT64_MAX - n,
            .regions = wrong,
            .region_count = n % 2 ? 0 : 2,
        };
        assert_int_equal(ph_target_describe(t, &description, &err), PH_OK);
        if (ph_target_symbol(t, "getppid", &found, NULL) == PH_OK)
            assert_int_equal(found, address_of(dlsym(RTLD_DEFAULT, "getppid")));
        ph_target_close(t);
    }
    end_child(pid);
}

static void a_debugger_that_disagrees_is_believed(void **state)
{
    (void)state;
    pid_t pid = start_traced();
    struct debugger debugger = {.pid = pid, .lies = true};
    struct ph_target *t = open_debugged(&debugger, NULL);
    uint64_t value;
    assert_int_equal(ph_target_info(t)->kind, PH_TARGET_REMOTE);
    assert_true(ph_target_word(t, address_of(pattern), &value));
    assert_int_equal(value, 0x5555555555555555);
    ph_target_close(t);
    end_child(pid);
}

static void failing_reads_cost_only_what_they_read(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    for (unsigned n = 1; n <= 30; n++) {
        struct debugger debugger = {.pid = pid, .fail_at = n};
        struct ph_target *t = open_debugged(&debugger, NULL);
        size_t count = PATTERN_PAGES * PAGE / sizeof *pattern, unread = 0;
        for (size_t i = 0; i < count; i += 64) {
            uint64_t value = 0;
            if (ph_target_word(t, address_of(pattern + i), &value))
                assert_int_equal(value, expected(i, pid));
            else
                unread += 64 * sizeof value;
        }
        assert_true(unread <= PAGE);
        ph_target_close(t);
    }
    end_child(pid);
}

/* ---- Lack of memory ---- */

static void lack_of_memory_is_an_error_or_harmless(void **state)
{
    (void)state;
    pid_t pid = start_child(CHILD_WAITS);
    bool have_core = make_core();
    unsigned failures = 0, failed;
    unsigned long n = 0;
    do {
        struct ph_target *t = NULL, *core = NULL;
        struct ph_error err;
        size_t count;
        failed = 0;
        ph_alloc_fail_after(++n);
        failed += ph_target_open_live(pid, false, NULL, &t, &err) != PH_OK;
        failed +=
            have_core && ph_target_open_core(core_path, NULL, NULL, NULL, &core, &err) != PH_OK;
        failures += failed;
        if (t)
            ph_target_modules(t, &count);
        if (core)
            ph_target_modules(core, &count);
        ph_alloc_fail_after(0);
        ph_target_close(t);
        ph_target_close(core);
    } while (n < 400);
    assert_true(failures > 10);
    assert_int_equal(failed, 0);
    end_child(pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_reads_what_the_child_wrote),
        cmocka_unit_test(frozen_serves_what_was_read_and_says_what_it_misses),
        cmocka_unit_test(reading_ahead_changes_nothing_of_what_is_read),
        cmocka_unit_test(integers_have_the_width_that_was_asked_for),
        cmocka_unit_test(views_end_where_memory_ends),
        cmocka_unit_test(mapped_bytes_that_cannot_be_read_are_counted_once),
        cmocka_unit_test(strings_are_bounded),
        cmocka_unit_test(regions_are_sorted_and_say_what_they_are),
        cmocka_unit_test(a_stopped_process_stands_still_and_goes_on),
        cmocka_unit_test(a_process_that_somebody_stopped_stays_so),
        cmocka_unit_test(it_shows_whether_the_target_has_run),
        cmocka_unit_test(what_cannot_be_opened_says_so),
        cmocka_unit_test(modules_and_symbols_are_those_of_the_dynamic_linker),
        cmocka_unit_test(a_core_holds_what_the_child_wrote),
        cmocka_unit_test(a_core_cut_short_is_read_as_far_as_it_goes),
        cmocka_unit_test(files_of_a_core_are_looked_up_and_checked),
        cmocka_unit_test(another_machine_s_core_is_read_in_its_own_way),
        cmocka_unit_test(hostile_cores_do_no_harm),
        cmocka_unit_test(the_process_that_we_trace_is_found),
        cmocka_unit_test(a_process_and_its_fork_are_told_apart),
        cmocka_unit_test(an_open_core_of_something_else_is_not_taken),
        cmocka_unit_test(a_debugger_of_a_core_gets_the_core),
        cmocka_unit_test(without_a_match_all_goes_through_the_debugger),
        cmocka_unit_test(modules_are_found_where_the_debugger_lists_regions),
        cmocka_unit_test(modules_are_found_from_the_program_alone),
        cmocka_unit_test(descriptions_of_what_cannot_be_read_do_no_harm),
        cmocka_unit_test(a_debugger_that_disagrees_is_believed),
        cmocka_unit_test(failing_reads_cost_only_what_they_read),
        cmocka_unit_test(lack_of_memory_is_an_error_or_harmless),
    };
    return cmocka_run_group_tests(tests, prepare, clean_up);
}
