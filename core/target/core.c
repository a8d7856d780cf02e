#include "target/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"

/* File number of what lies in the core itself. */
#define IN_CORE UINT32_MAX
#define ZEROS   (UINT32_MAX - 1) /* memory that was never written */

/* Linux grants a process 65530 mappings; past this many we copy instead. */
enum { MOST_MAPPED_SOURCES = 8 * 1024 };

enum { MOST_PATH_BYTES = 4096 };

/* Where the bytes of [start, end) come from: a file's bytes from offset. */
struct source {
    ph_addr start, end;
    uint64_t offset;
    uint32_t file; /* index into files, or IN_CORE, or ZEROS */
    /* The part, in whole pages, that is mapped into the span; nothing as long as both are 0. */
    bool tried_to_map;
    ph_addr mapped_start, mapped_end;
};

struct ph_core {
    int fd;
    uint64_t size;
    const char *exe, *sysroot;       /* NULL where not given */
    PH_ARRAY(struct source) sources; /* by ascending address, not overlapping */
    uint32_t mapped_sources;
};

/* A stretch of the target's memory, as a program header or else NT_FILE has it. */
struct segment {
    ph_addr start, end;
    uint64_t offset, promised_bytes; /* in the core, if it is whole */
    unsigned flags;                  /* enum ph_region_flags */
};

struct segments {
    PH_ARRAY(struct segment) list;
    uint64_t dropped_count;
};

/* ---- Filling pages ---- */

/* The index of the first source that ends behind addr. */
static uint32_t source_after(const struct ph_core *core, ph_addr addr)
{
    uint32_t low = 0, high = core->sources.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (addr >= core->sources.items[middle].end)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct source *source_at(struct ph_core *core, ph_addr addr)
{
    uint32_t low = source_after(core, addr);
    bool found = low < core->sources.count && addr >= core->sources.items[low].start;
    return found ? &core->sources.items[low] : NULL;
}

/* Map the whole pages of a source over its place in the span, where page offsets agree. */
static void map_source(struct ph_core *core, struct ph_span *span, struct source *source)
{
    source->tried_to_map = true;
    uint64_t mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1, head = -source->offset & mask;
    if (source->end - source->start <= head || core->mapped_sources >= MOST_MAPPED_SOURCES)
        return;
    ph_addr start = source->start + head, end = start + ((source->end - start) & ~mask);
    uint64_t offset = source->offset + head;
    unsigned char *place = ph_span_bytes(span, start);
    if (start == end || ((uintptr_t)place & mask))
        return;
    if (mmap(place, end - start, PROT_READ, MAP_PRIVATE | MAP_FIXED, core->fd, (off_t)offset) ==
        MAP_FAILED)
        return;
    source->mapped_start = start;
    source->mapped_end = end;
    core->mapped_sources++;
}

/* Copy [start, end), of which [low, high) is to be copied sooner or later, out of the core. Yields
 * the first address that was not had, or end. */
static ph_addr copy_from_core(struct ph_core *core, struct ph_span *span,
                              const struct source *source, ph_addr start, ph_addr end, ph_addr low,
                              ph_addr high)
{
    if (start >= end)
        return end;
    if (!ph_span_commit(span, start, end, low, high))
        return start;
    while (start < end) {
        ssize_t n = pread(core->fd, ph_span_bytes(span, start), end - start,
                          (off_t)(source->offset + (start - source->start)));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        start += (ph_addr)n;
    }
    return start;
}

/* Most often all is mapped, or nothing is; else a few bytes before and behind the whole pages are
 * copied. */
static ph_addr fill_from_core(struct ph_core *core, struct ph_span *span, struct source *source,
                              ph_addr start, ph_addr end)
{
    if (!source->tried_to_map)
        map_source(core, span, source);
    ph_addr low = source->start, high = source->end;
    if (source->mapped_start == source->mapped_end)
        return copy_from_core(core, span, source, start, end, low, high);
    ph_addr head_end = ph_min(end, source->mapped_start);
    ph_addr reached =
        copy_from_core(core, span, source, start, head_end, low, source->mapped_start);
    if (reached < head_end)
        return reached;
    ph_addr tail_start = ph_max(start, source->mapped_end);
    return copy_from_core(core, span, source, tail_start, end, source->mapped_end, high);
}

/* Copy [start, end) out of a file that was mapped. Behind its end, its last page holds zeros. */
static ph_addr fill_from_file(struct ph_target *t, struct ph_span *span,
                              const struct source *source, ph_addr start, ph_addr end)
{
    const struct ph_file *file = ph_file_open(t, source->file);
    uint64_t offset = source->offset + (start - source->start);
    uint64_t mapped_bytes = ph_page_ceil(file->size);
    if (!file->bytes || offset >= mapped_bytes || !ph_span_commit(span, start, end, start, end))
        return start;
    if (offset < file->size)
        memcpy(ph_span_bytes(span, start), file->bytes + offset,
               ph_min(end - start, file->size - offset));
    return start + ph_min(end - start, mapped_bytes - offset);
}

/* Fill [start, end) of the span from a source; returns how far it went. */
static ph_addr fill(struct ph_target *t, struct ph_span *span, struct source *source, ph_addr start,
                    ph_addr end)
{
    if (source->file == IN_CORE)
        return fill_from_core(t->core, span, source, start, end);
    if (source->file == ZEROS)
        return ph_span_commit(span, start, end, start, end) ? end : start;
    return fill_from_file(t, span, source, start, end);
}

static void core_fill(struct ph_target *t, struct ph_span *span, size_t page, size_t count)
{
    struct ph_core *core = t->core;
    ph_addr start = ph_max(ph_span_page_address(span, page), span->start);
    ph_addr end = ph_min(ph_span_page_address(span, page + count), span->end);
    for (struct source *source = source_at(core, start); start < end; source++) {
        ph_addr part_end = ph_min(end, source->end);
        ph_addr reached = fill(t, span, source, start, part_end);
        if (reached < part_end) {
            size_t first = ph_span_page(span, reached);
            ph_span_set(span, first, ph_span_page(span, part_end - 1) + 1 - first, PH_PAGE_ABSENT);
        }
        start = part_end;
    }
    /* Only now, for to check a file is to view other pages, perhaps of this very block. */
    for (size_t i = page; i < page + count; i++) {
        if (span->states[i] != PH_PAGE_ABSENT)
            span->states[i] = PH_PAGE_HERE;
    }
}

/* What lies in one piece in the core, for files are opened and checked by one thread. */
static bool core_can_share(struct ph_target *t, ph_addr start, ph_addr end)
{
    const struct source *source = source_at(t->core, start);
    return source && source->file == IN_CORE && end <= source->end;
}

/* ---- Segments ---- */

static unsigned region_flags(GElf_Word flags)
{
    return (flags & PF_R ? PH_REGION_READ : 0) | (flags & PF_W ? PH_REGION_WRITE : 0) |
           (flags & PF_X ? PH_REGION_EXEC : 0);
}

/* Note a program header's memory. What lies above user space (such as [vsyscall]) or makes no sense
 * is left out. */
static bool add_segment(struct segments *segments, const GElf_Phdr *header)
{
    ph_addr end;
    if (!header->p_memsz || header->p_vaddr >= PH_ADDR_LIMIT)
        return true;
    if (!ph_add(header->p_vaddr, header->p_memsz, &end) || end > PH_ADDR_LIMIT) {
        segments->dropped_count++;
        return true;
    }
    return ph_array_push(&segments->list,
                         ((struct segment){
                             .start = header->p_vaddr,
                             .end = end,
                             .offset = header->p_offset,
                             .promised_bytes = ph_min(header->p_filesz, header->p_memsz),
                             .flags = region_flags(header->p_flags),
                         }));
}

static int compare_segments(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static void sort_segments(struct segments *segments)
{
    if (segments->list.count)
        qsort(segments->list.items, segments->list.count, sizeof *segments->list.items,
              compare_segments);
}

/* Of two segments that overlap, the lower one wins and the other keeps what is left of it. */
static void cut_overlaps(struct segments *segments)
{
    ph_addr reached = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < segments->list.count; i++) {
        struct segment segment = segments->list.items[i];
        if (segment.start < reached) {
            segments->dropped_count++;
            if (segment.end <= reached)
                continue;
            uint64_t cut = reached - segment.start;
            segment.start = reached;
            segment.offset = ph_add_saturated(segment.offset, cut);
            segment.promised_bytes -= ph_min(cut, segment.promised_bytes);
        }
        reached = segment.end;
        segments->list.items[kept++] = segment;
    }
    segments->list.count = kept;
}

/* Add the parts of NT_FILE's mappings for which there is no program header, as some dumpers leave
 * them out. */
static bool add_unlisted_mappings(struct ph_target *t, struct segments *segments)
{
    uint32_t listed_count = segments->list.count, at = 0;
    for (uint32_t i = 0; i < t->mappings.count; i++) {
        struct segment gap = {.start = t->mappings.items[i].start, .flags = PH_REGION_READ};
        ph_addr end = t->mappings.items[i].end;
        while (at < listed_count && segments->list.items[at].end <= gap.start)
            at++;
        for (uint32_t next = at; gap.start < end; next++) {
            bool last = next >= listed_count || segments->list.items[next].start >= end;
            gap.end = last ? end : segments->list.items[next].start;
            if (gap.end > gap.start && !ph_array_push(&segments->list, gap))
                return false;
            gap.start = last ? end : segments->list.items[next].end;
        }
    }
    sort_segments(segments);
    return true;
}

/* ---- Sources ---- */

static bool add_source(struct ph_target *t, ph_addr start, ph_addr end, uint64_t offset,
                       uint32_t file)
{
    struct ph_core *core = t->core;
    struct source *last =
        core->sources.count ? &core->sources.items[core->sources.count - 1] : NULL;
    if (!ph_span_add(t, start, end))
        return false;
    if (last && last->file == file && last->end == start &&
        last->offset + (start - last->start) == offset) {
        last->end = end;
        return true;
    }
    return ph_array_push(
        &core->sources,
        ((struct source){.start = start, .end = end, .offset = offset, .file = file}));
}

/* What a core leaves out of [start, end) by design comes from the files that were mapped there. */
static bool add_file_sources(struct ph_target *t, ph_addr start, ph_addr end)
{
    bool ok = true;
    for (uint32_t i = ph_mapping_after(t, start); ok && i < t->mappings.count; i++) {
        const struct ph_mapping *m = &t->mappings.items[i];
        if (m->start >= end)
            break;
        ph_addr from = ph_max(start, m->start);
        ok = add_source(t, from, ph_min(end, m->end), m->offset + (from - m->start), m->file);
    }
    return ok;
}

/* How many of the promised bytes of a segment are in the core. */
static uint64_t held_bytes(const struct ph_core *core, const struct segment *segment)
{
    if (segment->offset >= core->size)
        return 0;
    return ph_min(segment->promised_bytes, core->size - segment->offset);
}

/* The bss of a module that was never written has no pages, and the kernel dumps none of it
 * (fs/coredump.c: vma_dump_size): it reads as zeros. It lies right behind a mapping of the module's
 * file. */
static bool is_untouched_bss(struct ph_target *t, const struct segment *segment)
{
    return segment->promised_bytes == 0 && (segment->flags & PH_REGION_WRITE) &&
           ph_mapping_at(t, segment->start - 1);
}

static bool describe_segment(struct ph_target *t, const struct segment *segment)
{
    const struct ph_mapping *mapping = ph_mapping_at(t, segment->start);
    const char *name = mapping ? t->files.items[mapping->file].path : "";
    unsigned flags = segment->flags | (mapping ? 0 : PH_REGION_ANON);
    if (!ph_region_add(t, segment->start, segment->end, flags, name))
        return false;

    uint64_t held = held_bytes(t->core, segment);
    t->missing_bytes = ph_add_saturated(t->missing_bytes, segment->promised_bytes - held);
    if (held && !add_source(t, segment->start, segment->start + held, segment->offset, IN_CORE))
        return false;
    if (!mapping && is_untouched_bss(t, segment))
        return add_source(t, segment->start, segment->end, 0, ZEROS);
    return !(flags & PH_REGION_READ) ||
           add_file_sources(t, segment->start + segment->promised_bytes, segment->end);
}

/* Segments need not begin at a page of the core (GDB's do not). Each span is laid so that the pages
 * of its longest part in the core are pages of ours. */
static void align_spans(struct ph_target *t)
{
    const struct ph_core *core = t->core;
    const uint64_t mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
    uint32_t at = 0;
    for (uint32_t i = 0; i < t->spans.count; i++) {
        struct ph_span *span = &t->spans.items[i];
        uint64_t longest = 0;
        for (; at < core->sources.count && core->sources.items[at].start < span->end; at++) {
            const struct source *source = &core->sources.items[at];
            if (source->file != IN_CORE || source->end - source->start <= longest)
                continue;
            longest = source->end - source->start;
            span->shift = (source->offset - (source->start - ph_page_floor(span->start))) & mask;
        }
    }
}

/* ---- Reading the headers ---- */

/* Notes first, for the names of the mappings; one pass over the program headers for each. */
static bool read_notes(struct ph_target *t, Elf *elf, size_t count)
{
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        GElf_Phdr header;
        if (gelf_getphdr(elf, (int)i, &header) && header.p_type == PT_NOTE &&
            header.p_offset < t->core->size)
            ok = ph_notes_read(t, elf, header.p_offset,
                               ph_min(header.p_filesz, t->core->size - header.p_offset));
    }
    if (!t->entry && t->mappings.count) /* no NT_AUXV; executables are mapped lowest */
        t->entry = t->mappings.items[0].start;
    return ok;
}

static bool read_segments(struct ph_target *t, Elf *elf, size_t count, struct segments *segments)
{
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr header;
        if (gelf_getphdr(elf, (int)i, &header) && header.p_type == PT_LOAD &&
            !add_segment(segments, &header))
            return false;
    }
    sort_segments(segments);
    cut_overlaps(segments);
    if (!add_unlisted_mappings(t, segments))
        return false;
    bool ok = true;
    for (uint32_t i = 0; ok && i < segments->list.count; i++)
        ok = describe_segment(t, &segments->list.items[i]);
    return ok;
}

static void complain(struct ph_target *t, const struct segments *segments)
{
    if (t->missing_bytes)
        ph_target_complain(t, "the core is cut short: %llu bytes of memory are not in it",
                           (unsigned long long)t->missing_bytes);
    if (segments->dropped_count)
        ph_target_complain(t, "%llu segments of the core overlap others or are out of range",
                           (unsigned long long)segments->dropped_count);
}

/* LLDB saves minidumps on Linux, which begin with these letters. */
static enum ph_status fail_at_format(Elf *elf, const char *path, struct ph_error *err)
{
    size_t bytes = 0;
    const char *file = elf ? elf_rawfile(elf, &bytes) : NULL;
    if (file && bytes > 4 && memcmp(file, "MDMP", 4) == 0)
        return ph_fail(err, PH_UNSUPPORTED,
                       "%.120s is a minidump: open it in LLDB, or give an ELF core, such as "
                       "gcore of GDB writes",
                       path);
    return ph_fail(err, PH_FAILED, "%.150s is no ELF file", path);
}

static enum ph_status read_headers(struct ph_target *t, Elf *elf, struct ph_error *err)
{
    const char *path = t->info.path;
    GElf_Ehdr header;
    size_t count;
    if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
        return fail_at_format(elf, path, err);
    if (header.e_type != ET_CORE)
        return ph_fail(err, PH_FAILED, "%.150s is no core file", path);
    if (elf_getphdrnum(elf, &count) || !count)
        return ph_fail(err, PH_BAD_DATA, "%.150s is cut short: it has no program headers", path);
    ph_target_set_format(t, header.e_ident[EI_CLASS] == ELFCLASS32 ? 4 : 8,
                         header.e_ident[EI_DATA] == ELFDATA2MSB);

    struct segments segments = {0};
    bool ok = read_notes(t, elf, count) && read_segments(t, elf, count, &segments);
    if (ok) {
        complain(t, &segments);
        align_spans(t);
        ph_region_mark_stacks(t);
    }
    ph_array_free(&segments.list);
    if (!ok)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    if (!t->spans.count)
        return ph_fail(err, PH_BAD_DATA, "%.150s holds no memory", path);
    return PH_OK;
}

/* ---- Life ---- */

static bool core_has_run(struct ph_target *t)
{
    (void)t;
    return false;
}

static bool core_holds(struct ph_target *t, ph_addr addr, size_t len)
{
    const struct source *source = source_at(t->core, addr);
    return source && source->file == IN_CORE && len <= source->end - addr;
}

static uint64_t core_held_bytes(struct ph_target *t, ph_addr start, ph_addr end)
{
    const struct ph_core *core = t->core;
    uint64_t bytes = 0;
    for (uint32_t i = source_after(core, start);
         i < core->sources.count && core->sources.items[i].start < end; i++) {
        const struct source *source = &core->sources.items[i];
        if (source->file == IN_CORE)
            bytes += ph_min(source->end, end) - ph_max(source->start, start);
    }
    return bytes;
}

/* What the debugger has found for a file. */
static bool host_file_name(struct ph_target *t, uint32_t file, char local[MOST_PATH_BYTES])
{
    const struct ph_file *mapped = &t->files.items[file];
    return t->host && t->host->local_path &&
           t->host->local_path(t->host->ctx, mapped->path,
                               t->mappings.items[mapped->first_mapping].start, local,
                               MOST_PATH_BYTES);
}

/* Append the folder below which the debugger has found the program: its sysroot, where it has one.
 * LLDB does not list the dynamic linker's file for a core. */
static bool append_host_sysroot(struct ph_target *t, struct ph_str *name)
{
    const struct ph_mapping *executable = ph_mapping_at(t, t->entry);
    char local[MOST_PATH_BYTES];
    if (!executable || !host_file_name(t, executable->file, local))
        return false;
    const char *path = t->files.items[executable->file].path;
    size_t len = strlen(local), path_len = strlen(path);
    if (len <= path_len || strcmp(local + len - path_len, path) != 0)
        return false;
    ph_str_append_len(name, local, len - path_len);
    return true;
}

/* The file that the user named, for the executable; else the one that the debugger has found; else
 * the path below the debugger's sysroot; else below the user's, or as it is. */
static bool core_file_name(struct ph_target *t, uint32_t file, unsigned i, struct ph_str *name)
{
    const struct ph_core *core = t->core;
    const struct ph_mapping *executable = ph_mapping_at(t, t->entry);
    char local[MOST_PATH_BYTES];
    if (core->exe && executable && executable->file == file && i-- == 0) {
        ph_str_append(name, core->exe);
        return true;
    }
    if (host_file_name(t, file, local) && i-- == 0) {
        ph_str_append(name, local);
        return true;
    }
    bool below_host_sysroot = append_host_sysroot(t, name) && i-- == 0;
    if (!below_host_sysroot) {
        ph_str_clear(name);
        ph_str_append(name, core->sysroot ? core->sysroot : "");
    }
    ph_str_append(name, t->files.items[file].path);
    return below_host_sysroot || i == 0;
}

static void core_destroy(struct ph_target *t)
{
    if (!t->core)
        return;
    if (t->core->fd >= 0)
        close(t->core->fd);
    ph_array_free(&t->core->sources);
    free(t->core);
    t->core = NULL;
}

static const struct ph_backend core_backend = {
    .fill = core_fill,
    .can_share = core_can_share,
    .has_run = core_has_run,
    .holds = core_holds,
    .held_bytes = core_held_bytes,
    .file_name = core_file_name,
    .destroy = core_destroy,
};

static enum ph_status open_file(struct ph_target *t, const char *path, struct ph_error *err)
{
    struct stat info;
    if (t->host && t->host->open_core) {
        enum ph_status status = t->host->open_core(t->host->ctx, path, &t->core->fd, err);
        if (status)
            return status;
    } else {
        t->core->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    }
    if (t->core->fd < 0 || fstat(t->core->fd, &info))
        return ph_fail(err, errno == ENOENT ? PH_NOT_FOUND : PH_FAILED, "cannot open %.150s: %s",
                       path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return ph_fail(err, PH_FAILED, "%.150s is no regular file", path);
    t->core->size = (uint64_t)info.st_size;
    return PH_OK;
}

/* A copy of text, or NULL for NULL; false when out of memory. */
static bool keep(struct ph_target *t, const char *text, const char **kept)
{
    *kept = text ? ph_arena_strdup(&t->arena, text) : NULL;
    return *kept || !text;
}

static enum ph_status open_core(struct ph_target *t, const char *path, const char *exe,
                                const char *sysroot, struct ph_error *err)
{
    t->core = ph_calloc(1, sizeof *t->core);
    if (!t->core)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    t->core->fd = -1;
    if (!keep(t, path, &t->info.path) || !keep(t, exe, &t->core->exe) ||
        !keep(t, sysroot, &t->core->sysroot))
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    enum ph_status status = open_file(t, path, err);
    if (status)
        return status;
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(t->core->fd, ELF_C_READ, NULL);
    status = read_headers(t, elf, err);
    elf_end(elf);
    return status;
}

enum ph_status ph_target_open_core(const char *core, const char *exe, const char *sysroot,
                                   const struct ph_host *host, struct ph_target **out,
                                   struct ph_error *err)
{
    struct ph_target *t = ph_target_create(&core_backend, PH_TARGET_CORE, host);
    if (!t)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    enum ph_status status = open_core(t, core, exe, sysroot, err);
    if (status) {
        ph_target_close(t);
        return status;
    }
    *out = t;
    return PH_OK;
}
