#include "target/usage.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "target/internal.h"

/* Of a word of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst). */
#define PRESENT   (1ull << 63)
#define OF_FILE   (1ull << 61)
#define EXCLUSIVE (1ull << 56)

enum { PAGES_A_READ = 8192, BITS = 64 };

/* ---- a live process ---- */

static struct ph_region_usage *region_usage(struct ph_usage *usage, ph_addr start)
{
    const struct ph_region *region = ph_target_region_at(usage->target, start);
    return region && region->start == start
               ? &usage->regions.items[region - usage->target->regions.items]
               : NULL;
}

static uint64_t kilobytes(const char *line, const char *key)
{
    size_t len = strlen(key);
    return strncmp(line, key, len) == 0 ? strtoull(line + len, NULL, 10) * 1024 : 0;
}

/* Lines of "key: number kB" below a line of each region. */
static void read_line(struct ph_usage *usage, const char *line, struct ph_region_usage **region)
{
    unsigned long long start;
    if (!isupper((unsigned char)*line)) {
        *region = sscanf(line, "%llx-", &start) == 1 ? region_usage(usage, start) : NULL;
    } else if (*region) {
        (*region)->resident += kilobytes(line, "Rss:");
        (*region)->pss += kilobytes(line, "Pss:");
        (*region)->swap += kilobytes(line, "Swap:");
    }
}

static bool read_smaps(struct ph_usage *usage, pid_t pid)
{
    struct ph_str text = {0};
    bool ok = ph_proc_read(&text, "/proc/%d/smaps", (int)pid) && text.len;
    struct ph_region_usage *region = NULL;
    char *rest = NULL;
    for (char *line = ok ? strtok_r(text.data, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        read_line(usage, line, &region);
    ph_str_free(&text);
    return ok;
}

/* Whether all of a page is zero. */
static bool is_zero(struct ph_target *t, ph_addr page)
{
    static const unsigned char zeros[PH_PAGE_BYTES];
    const void *bytes = ph_target_view(t, page, PH_PAGE_BYTES);
    return bytes && memcmp(bytes, zeros, PH_PAGE_BYTES) == 0;
}

/* Memory that was looked at and never written is the kernel's page of zeros, which smaps does not
 * count: no page of a file, nor the process's alone. */
static bool counts(struct ph_target *t, ph_addr page, uint64_t word)
{
    if (!(word & PRESENT))
        return false;
    return word & (OF_FILE | EXCLUSIVE) || !is_zero(t, page);
}

static bool read_pages(struct ph_usage *usage, int fd, const struct ph_region *r, uint64_t *pages)
{
    uint64_t words[PAGES_A_READ];
    uint64_t count = (r->end - r->start) / PH_PAGE_BYTES, first = r->start / PH_PAGE_BYTES;
    for (uint64_t at = 0; at < count; at += PAGES_A_READ) {
        uint64_t n = ph_min(PAGES_A_READ, count - at);
        if (pread(fd, words, n * sizeof *words, (off_t)((first + at) * sizeof *words)) !=
            (ssize_t)(n * sizeof *words))
            return false;
        for (uint64_t i = 0; i < n; i++) {
            if (counts(usage->target, r->start + (at + i) * PH_PAGE_BYTES, words[i]))
                pages[(at + i) / BITS] |= 1ull << (at + i) % BITS;
        }
    }
    return true;
}

/* Which pages of the regions are resident, where some are and others are not. False: out of memory.
 */
static bool read_pagemap(struct ph_usage *usage, pid_t pid)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/pagemap", (int)pid);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    bool ok = true;
    for (uint32_t i = 0; ok && fd >= 0 && i < usage->regions.count; i++) {
        const struct ph_region *r = &usage->target->regions.items[i];
        struct ph_region_usage *u = &usage->regions.items[i];
        if (!u->resident || u->resident == r->end - r->start)
            continue;
        u->pages = ph_calloc((r->end - r->start) / PH_PAGE_BYTES / BITS + 1, sizeof *u->pages);
        ok = u->pages != NULL;
        if (ok && !read_pages(usage, fd, r, u->pages)) {
            free(u->pages);
            u->pages = NULL;
        }
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

/* ---- children ---- */

static int by_pid(const void *a, const void *b)
{
    const struct ph_child *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static bool add_process(struct ph_usage *all, pid_t pid)
{
    struct ph_str status = {0};
    bool ok = true;
    bool there = ph_proc_read(&status, "/proc/%d/status", (int)pid);
    const char *text = there ? ph_str_text(&status) : "";
    const char *resident =
        ph_proc_status(text, "VmRSS"); /* zombies have no memory and no such line */
    if (resident) {
        const char *parent = ph_proc_status(text, "PPid");
        const char *name = ph_proc_status(text, "Name");
        struct ph_child child = {.pid = pid, .resident = strtoull(resident, NULL, 10) * 1024};
        child.parent = parent ? (pid_t)strtol(parent, NULL, 10) : 0;
        if (name)
            memcpy(child.name, name, ph_min(strcspn(name, "\n"), sizeof child.name - 1));
        ok = ph_array_push(&all->children, child);
    }
    ph_str_free(&status);
    return ok;
}

/* Of all processes keep those that descend from this one; a parent may have the higher pid. */
static void keep_descendants(struct ph_usage *all, pid_t pid)
{
    uint32_t kept = 0;
    for (uint32_t before = UINT32_MAX; kept != before;) {
        before = kept;
        for (uint32_t i = kept; i < all->children.count; i++) {
            struct ph_child child = all->children.items[i];
            bool descends = child.parent == pid;
            for (uint32_t k = 0; k < kept && !descends; k++)
                descends = child.parent == all->children.items[k].pid;
            if (!descends)
                continue;
            all->children.items[i] = all->children.items[kept];
            all->children.items[kept++] = child;
        }
    }
    all->children.count = kept;
    if (kept)
        qsort(all->children.items, kept, sizeof *all->children.items, by_pid);
}

static bool read_children(struct ph_usage *usage, pid_t pid)
{
    DIR *dir = opendir("/proc");
    bool ok = true;
    if (!dir)
        return true;
    for (struct dirent *entry; ok && (entry = readdir(dir));) {
        if (isdigit((unsigned char)entry->d_name[0]))
            ok = add_process(usage, (pid_t)strtol(entry->d_name, NULL, 10));
    }
    closedir(dir);
    keep_descendants(usage, pid);
    return ok;
}

/* ---- all targets ---- */

static bool read_live(struct ph_usage *usage)
{
    pid_t pid = usage->target->info.pid;
    if (!read_smaps(usage, pid))
        return true;
    usage->kind = PH_USAGE_RESIDENT;
    return read_pagemap(usage, pid) && read_children(usage, pid);
}

static void read_core(struct ph_usage *usage)
{
    struct ph_target *t = usage->target;
    usage->kind = PH_USAGE_IN_CORE;
    for (uint32_t i = 0; i < usage->regions.count; i++)
        usage->regions.items[i].resident =
            t->backend->held_bytes(t, t->regions.items[i].start, t->regions.items[i].end);
}

bool ph_usage_read(struct ph_usage *usage, struct ph_target *t)
{
    *usage = (struct ph_usage){.target = t};
    bool ok = true;
    for (uint32_t i = 0; ok && i < t->regions.count; i++)
        ok = ph_array_push(&usage->regions, (struct ph_region_usage){0});
    if (ok && t->backend->held_bytes)
        read_core(usage);
    else if (ok && t->info.kind == PH_TARGET_LIVE && t->info.pid)
        ok = read_live(usage);
    for (uint32_t i = 0; ok && i < usage->regions.count; i++) {
        usage->resident += usage->regions.items[i].resident;
        usage->pss += usage->regions.items[i].pss;
        usage->swap += usage->regions.items[i].swap;
    }
    if (!ok)
        ph_usage_free(usage);
    return ok;
}

void ph_usage_free(struct ph_usage *usage)
{
    for (uint32_t i = 0; i < usage->regions.count; i++)
        free(usage->regions.items[i].pages);
    ph_array_free(&usage->regions);
    ph_array_free(&usage->children);
}

uint64_t ph_usage_bytes(const struct ph_usage *usage, size_t region, ph_addr start, ph_addr end)
{
    struct ph_target *t = usage->target;
    const struct ph_region *r = &t->regions.items[region];
    const struct ph_region_usage *u = &usage->regions.items[region];
    if (u->resident == r->end - r->start)
        return end - start;
    if (usage->kind == PH_USAGE_IN_CORE && u->resident)
        return t->backend->held_bytes(t, start, end);
    uint64_t bytes = 0;
    for (ph_addr at = start, next; u->pages && at < end; at = next) {
        uint64_t page = (at - r->start) / PH_PAGE_BYTES;
        next = ph_min(ph_page_floor(at) + PH_PAGE_BYTES, end);
        if (u->pages[page / BITS] >> page % BITS & 1)
            bytes += next - at;
    }
    return bytes;
}
