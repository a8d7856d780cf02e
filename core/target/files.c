#include "target/internal.h"

#include <fcntl.h>
#include <gelf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"

/* ---- Mappings ---- */

/* FNV-1a. */
static uint64_t hash_path(const char *path)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *path; path++)
        hash = (hash ^ (unsigned char)*path) * 0x100000001b3u;
    return hash ? hash : 1;
}

/* The file's index plus 1; 0 when out of memory. Two paths of one hash make two files, whichever
 * came last. */
static uint32_t intern_file(struct ph_target *t, const char *path)
{
    uint32_t *number = ph_map_at(&t->file_of_path, hash_path(path), NULL);
    if (!number)
        return 0;
    if (*number && strcmp(t->files.items[*number - 1].path, path) == 0)
        return *number;
    struct ph_file file = {
        .path = ph_arena_strdup(&t->arena, path),
        .first_mapping = PH_NO_MAPPING,
    };
    if (!file.path || !ph_array_push(&t->files, file))
        return 0;
    return *number = t->files.count;
}

bool ph_mapping_add(struct ph_target *t, ph_addr start, ph_addr end, uint64_t offset,
                    const char *path)
{
    uint32_t number = intern_file(t, path), at = t->mappings.count;
    struct ph_mapping mapping = {
        .start = start, .end = end, .offset = offset, .file = number - 1, .next = PH_NO_MAPPING};
    if (!number || !ph_array_push(&t->mappings, mapping))
        return false;
    struct ph_file *file = &t->files.items[mapping.file];
    if (file->first_mapping == PH_NO_MAPPING)
        file->first_mapping = at;
    else
        t->mappings.items[file->last_mapping].next = at;
    file->last_mapping = at;
    return true;
}

uint32_t ph_file_find(const struct ph_target *t, const char *path)
{
    uint32_t number = 0;
    ph_map_find(&t->file_of_path, hash_path(path), &number);
    return number - 1;
}

uint32_t ph_mapping_after(const struct ph_target *t, ph_addr addr)
{
    uint32_t low = 0, high = t->mappings.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (addr >= t->mappings.items[middle].end)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct ph_mapping *ph_mapping_at(const struct ph_target *t, ph_addr addr)
{
    uint32_t i = ph_mapping_after(t, addr);
    bool found = i < t->mappings.count && addr >= t->mappings.items[i].start;
    return found ? &t->mappings.items[i] : NULL;
}

/* ---- Is it the same file? ---- */

enum agreement { NOT_HELD, SAME, DIFFERENT };

/* The target's memory against bytes [offset, offset + len) of the file, as far as the target itself
 * holds them. */
static enum agreement compare_range(struct ph_target *t, uint32_t index, uint64_t offset,
                                    uint64_t len)
{
    const struct ph_file *file = &t->files.items[index];
    if (offset > file->size || len > file->size - offset)
        return DIFFERENT;
    const struct ph_mapping *m;
    for (uint32_t i = file->first_mapping; i != PH_NO_MAPPING; i = m->next) {
        m = &t->mappings.items[i];
        if (offset < m->offset || offset - m->offset >= m->end - m->start ||
            len > m->end - m->start - (offset - m->offset))
            continue;
        ph_addr addr = m->start + (offset - m->offset);
        if (!ph_target_holds(t, addr, len))
            continue;
        const void *theirs = ph_target_view(t, addr, len);
        if (theirs)
            return memcmp(theirs, file->bytes + offset, len) == 0 ? SAME : DIFFERENT;
    }
    return NOT_HELD;
}

/* Where a file's code begins and ends, as offsets in it, in whole pages. */
struct extent {
    uint64_t start, end; /* both 0: there is none */
};

static void extend(struct extent *extent, uint64_t start, uint64_t end)
{
    extent->start = extent->end ? ph_min(extent->start, start) : start;
    extent->end = ph_max(extent->end, end);
}

/* Whether the code that is mapped of a file is as long as the file's, and lies where it does. */
static bool code_fits(struct ph_target *t, uint32_t index, size_t segment_count)
{
    const struct ph_file *file = &t->files.items[index];
    struct extent mapped = {0}, held = {0};
    const struct ph_mapping *m;
    for (uint32_t i = file->first_mapping; i != PH_NO_MAPPING; i = m->next) {
        m = &t->mappings.items[i];
        const struct ph_region *region = ph_target_region_at(t, m->start);
        if (region && (region->flags & PH_REGION_EXEC))
            extend(&mapped, m->offset, ph_add_saturated(m->offset, m->end - m->start));
    }
    for (size_t i = 0; i < segment_count; i++) {
        GElf_Phdr segment;
        if (gelf_getphdr(file->elf, (int)i, &segment) && segment.p_type == PT_LOAD &&
            (segment.p_flags & PF_X))
            extend(&held, ph_page_floor(segment.p_offset),
                   ph_page_ceil(
                       ph_min(ph_add_saturated(segment.p_offset, segment.p_filesz), file->size)));
    }
    return !mapped.end || (mapped.start == held.start && mapped.end == held.end);
}

/* A file is the one that was mapped if its program headers and its notes, build id included, are
 * those in the target's memory. Neither changes when a file is stripped. A core may hold none of
 * them (see coredump_filter in core(5)): then the places of its code have to do. */
static bool agrees(struct ph_target *t, uint32_t index)
{
    const struct ph_file *file = &t->files.items[index];
    GElf_Ehdr header;
    size_t count;
    if (!file->elf || !gelf_getehdr(file->elf, &header) || elf_getphdrnum(file->elf, &count))
        return true;
    enum agreement all = compare_range(t, index, header.e_phoff, count * header.e_phentsize);
    for (size_t i = 0; all != DIFFERENT && i < count; i++) {
        GElf_Phdr segment;
        if (!gelf_getphdr(file->elf, (int)i, &segment) || segment.p_type != PT_NOTE)
            continue;
        enum agreement note = compare_range(t, index, segment.p_offset, segment.p_filesz);
        all = note == NOT_HELD ? all : note;
    }
    return all == SAME || (all == NOT_HELD && code_fits(t, index, count));
}

/* ---- Opening ---- */

void ph_file_close(struct ph_file *file)
{
    if (file->elf)
        elf_end(file->elf);
    if (file->bytes)
        munmap((void *)(uintptr_t)file->bytes, file->size);
    file->elf = NULL;
    file->bytes = NULL;
}

/* Map a regular file. O_NONBLOCK, for a hostile core may name a pipe. */
static bool map_file(struct ph_file *file, const char *name)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    struct stat info;
    void *bytes = MAP_FAILED;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
        bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return false;
    file->bytes = bytes;
    file->size = (size_t)info.st_size;
    elf_version(EV_CURRENT);
    file->elf = elf_memory(bytes, file->size);
    if (file->elf && elf_kind(file->elf) != ELF_K_ELF) {
        elf_end(file->elf);
        file->elf = NULL;
    }
    return true;
}

/* other: the name of a file that was found in its place; NULL where none was. */
static void complain(struct ph_target *t, const char *path, const struct ph_str *other)
{
    struct ph_str visible = {0}, instead = {0};
    ph_str_append_visible(&visible, path, strlen(path));
    if (other && strcmp(ph_str_text(other), path) != 0) {
        ph_str_append_visible(&instead, other->data, other->len);
        ph_str_append(&instead, " is ");
    }
    ph_target_complain(t, "%.200s: %.200s%s", ph_str_text(&visible), ph_str_text(&instead),
                       other ? "not the file that was mapped" : "not found");
    ph_str_free(&visible);
    ph_str_free(&instead);
}

struct ph_file *ph_file_open(struct ph_target *t, uint32_t index)
{
    struct ph_file *file = &t->files.items[index];
    if (file->tried)
        return file;
    file->tried = true;
    struct ph_str name = {0}, other = {0};
    for (unsigned i = 0; !file->bytes && t->backend->file_name(t, index, i, &name); i++) {
        if (!name.failed && map_file(file, ph_str_text(&name)) && !agrees(t, index)) {
            ph_str_clear(&other);
            ph_str_append_len(&other, name.data, name.len);
            ph_file_close(file);
        }
        ph_str_clear(&name);
    }
    if (!file->bytes)
        complain(t, file->path, other.len ? &other : NULL);
    ph_str_free(&name);
    ph_str_free(&other);
    return file;
}
