#include "target/internal.h"

#include <gelf.h>

/*
 * Modules as they lie in memory. What is needed of one there: its ELF header and program headers,
 * and what the dynamic linker needs too: the dynamic section, which leads to the symbols, their
 * names and their hash table, and in the executable to the list of all modules.
 */

enum {
    MOST_MODULES = 1 << 14,
    MOST_SEGMENTS = 1 << 8,
    MOST_DYNAMIC_ENTRIES = 1 << 12,
    MOST_CHAINED = 1 << 16, /* symbols of one hash value */
    MOST_NAME_BYTES = 1 << 12,
    MOST_PAGES_BACK = 1 << 14, /* from an address in a module to its header */
};

/* A module's headers: elf reads the first page, as far as that holds them. */
struct image {
    Elf *elf;
    size_t segment_count;
    ph_addr header, bias;
};

/* ---- Headers ---- */

/* A look that may fail, as at a guard page, and does not count as something missing. */
static bool is_header(struct ph_target *t, ph_addr addr)
{
    size_t len;
    const void *magic = ph_target_view_some(t, addr, SELFMAG, &len);
    return len == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

ph_addr ph_loaded_header(struct ph_target *t, ph_addr addr)
{
    ph_addr at = ph_page_floor(addr);
    for (int i = 0; at && i < MOST_PAGES_BACK; i++) {
        size_t len;
        if (is_header(t, at))
            return at;
        if (!ph_target_view_some(t, at, 1, &len))
            break;
        at -= PH_PAGE_BYTES;
    }
    return 0;
}

static void close_image(struct image *image)
{
    elf_end(image->elf);
}

static bool open_image(struct ph_target *t, ph_addr header, struct image *image)
{
    const void *page = is_header(t, header) ? ph_target_view(t, header, PH_PAGE_BYTES) : NULL;
    GElf_Phdr segment;
    elf_version(EV_CURRENT);
    *image = (struct image){.header = header};
    image->elf = page ? elf_memory((char *)(uintptr_t)page, PH_PAGE_BYTES) : NULL;
    if (!image->elf)
        return false;
    if (elf_getphdrnum(image->elf, &image->segment_count) == 0 &&
        image->segment_count <= MOST_SEGMENTS) {
        for (size_t i = 0; i < image->segment_count; i++) {
            if (gelf_getphdr(image->elf, (int)i, &segment) && segment.p_type == PT_LOAD) {
                image->bias = header - ph_page_floor(segment.p_vaddr);
                return true;
            }
        }
    }
    close_image(image);
    return false;
}

/* The i-th segment that is in memory; false where it is another kind or out of range. */
static bool loaded_segment(const struct image *image, size_t i, GElf_Phdr *segment, ph_addr *start,
                           ph_addr *end)
{
    if (!gelf_getphdr(image->elf, (int)i, segment) || segment->p_type != PT_LOAD ||
        segment->p_memsz > PH_ADDR_LIMIT)
        return false;
    *start = ph_page_floor(image->bias + segment->p_vaddr);
    *end = ph_page_ceil(image->bias + segment->p_vaddr + segment->p_memsz);
    return *start < *end && *end <= PH_ADDR_LIMIT;
}

/* Where regions are known, a file that was mapped as data has no code where its headers say. */
static bool is_executable(struct ph_target *t, ph_addr addr)
{
    const struct ph_region *region = ph_target_region_at(t, addr);
    return !t->info.lists_regions || (region && (region->flags & PH_REGION_EXEC));
}

static bool describe_module(struct ph_target *t, const struct image *image,
                            struct ph_module *module)
{
    GElf_Phdr segment;
    ph_addr start, end;
    module->start = module->end = image->header;
    module->bias = image->bias;
    for (size_t i = 0; i < image->segment_count; i++) {
        if (!loaded_segment(image, i, &segment, &start, &end))
            continue;
        if ((segment.p_flags & PF_X) && !is_executable(t, start))
            return false;
        module->end = ph_max(module->end, end);
    }
    return module->end > module->start;
}

/* False: out of memory. What is no module is passed over. */
static bool add_module(struct ph_target *t, ph_addr header, const char *path)
{
    struct image image;
    struct ph_module module = {.path = path};
    if (t->modules.count >= MOST_MODULES || !open_image(t, header, &image))
        return true;
    bool is_module = describe_module(t, &image, &module);
    close_image(&image);
    return !is_module || ph_array_push(&t->modules, module);
}

/* ---- The dynamic section ---- */

struct dynamic {
    ph_addr symbols, strings, hash, gnu_hash, debug;
};

/* The linker writes run-time addresses into most dynamic sections, but not into all. */
static ph_addr relocated(const struct ph_module *module, ph_addr value)
{
    return value && value < module->start ? value + module->bias : value;
}

static ph_addr find_dynamic(struct ph_target *t, const struct ph_module *module)
{
    struct image image;
    GElf_Phdr segment;
    ph_addr found = 0;
    if (!open_image(t, module->start, &image))
        return 0;
    for (size_t i = 0; !found && i < image.segment_count; i++) {
        if (gelf_getphdr(image.elf, (int)i, &segment) && segment.p_type == PT_DYNAMIC)
            found = image.bias + segment.p_vaddr;
    }
    close_image(&image);
    return found;
}

static bool read_dynamic(struct ph_target *t, const struct ph_module *module, struct dynamic *out)
{
    ph_addr at = find_dynamic(t, module), word = t->info.word_bytes;
    uint64_t tag, value;
    *out = (struct dynamic){0};
    for (int i = 0; at && i < MOST_DYNAMIC_ENTRIES; i++, at += 2 * word) {
        if (!ph_target_word(t, at, &tag) || !ph_target_word(t, at + word, &value))
            return false;
        switch (tag) {
        case DT_NULL:
            return out->symbols && out->strings;
        case DT_SYMTAB:
            out->symbols = relocated(module, value);
            break;
        case DT_STRTAB:
            out->strings = relocated(module, value);
            break;
        case DT_HASH:
            out->hash = relocated(module, value);
            break;
        case DT_GNU_HASH:
            out->gnu_hash = relocated(module, value);
            break;
        case DT_DEBUG:
            out->debug = value;
            break;
        }
    }
    return false;
}

/* ---- Symbols ---- */

struct search {
    struct ph_target *t;
    const struct dynamic *dynamic;
    const char *name;
    struct ph_found_symbol *found;
};

/* Elf32_Sym and Elf64_Sym have their fields in different orders. */
static bool is_wanted(const struct search *s, uint64_t index)
{
    bool wide = s->t->info.word_bytes == 8;
    ph_addr at = s->dynamic->symbols + index * (wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym));
    uint32_t name;
    uint16_t section;
    uint8_t info;
    size_t len;
    if (!ph_target_u32(s->t, at, &name) ||
        !ph_target_u8(s->t,
                      at + (wide ? offsetof(Elf64_Sym, st_info) : offsetof(Elf32_Sym, st_info)),
                      &info) ||
        !ph_target_u16(s->t,
                       at + (wide ? offsetof(Elf64_Sym, st_shndx) : offsetof(Elf32_Sym, st_shndx)),
                       &section) ||
        section == SHN_UNDEF || GELF_ST_TYPE(info) == STT_TLS)
        return false;
    const char *its_name =
        ph_target_cstring(s->t, s->dynamic->strings + name, MOST_NAME_BYTES, &len);
    return its_name && strcmp(its_name, s->name) == 0 &&
           ph_target_word(
               s->t, at + (wide ? offsetof(Elf64_Sym, st_value) : offsetof(Elf32_Sym, st_value)),
               &s->found->value) &&
           ph_target_word(s->t,
                          at + (wide ? offsetof(Elf64_Sym, st_size) : offsetof(Elf32_Sym, st_size)),
                          &s->found->size);
}

static uint32_t gnu_hash(const char *name)
{
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

/* Four numbers (buckets, first symbol, words of the filter, a shift), the filter, the buckets, and
 * a chain of hashes for each, whose last has its lowest bit set. */
static bool find_by_gnu_hash(const struct search *s)
{
    ph_addr at = s->dynamic->gnu_hash;
    uint32_t bucket_count, first, filter_words, index, its_hash, hash = gnu_hash(s->name);
    if (!ph_target_u32(s->t, at, &bucket_count) || !bucket_count ||
        !ph_target_u32(s->t, at + 4, &first) || !ph_target_u32(s->t, at + 8, &filter_words))
        return false;
    ph_addr buckets = at + 16 + (ph_addr)filter_words * s->t->info.word_bytes;
    ph_addr chains = buckets + 4 * (ph_addr)bucket_count;
    if (!ph_target_u32(s->t, buckets + 4 * (ph_addr)(hash % bucket_count), &index) || index < first)
        return false;
    for (int i = 0; i < MOST_CHAINED; i++, index++) {
        if (!ph_target_u32(s->t, chains + 4 * (ph_addr)(index - first), &its_hash))
            return false;
        if ((its_hash | 1) == (hash | 1) && is_wanted(s, index))
            return true;
        if (its_hash & 1)
            return false;
    }
    return false;
}

static uint32_t sysv_hash(const char *name)
{
    uint32_t hash = 0;
    for (; *name; name++) {
        hash = (hash << 4) + (unsigned char)*name;
        hash = (hash ^ (hash & 0xf0000000) >> 24) & 0x0fffffff;
    }
    return hash;
}

/* Two numbers (buckets, symbols), the buckets, and for each symbol the next of its chain. */
static bool find_by_hash(const struct search *s)
{
    ph_addr at = s->dynamic->hash;
    uint32_t bucket_count, index;
    if (!ph_target_u32(s->t, at, &bucket_count) || !bucket_count ||
        !ph_target_u32(s->t, at + 8 + 4 * (ph_addr)(sysv_hash(s->name) % bucket_count), &index))
        return false;
    for (int i = 0; index && i < MOST_CHAINED; i++) {
        if (is_wanted(s, index))
            return true;
        if (!ph_target_u32(s->t, at + 8 + 4 * ((ph_addr)bucket_count + index), &index))
            return false;
    }
    return false;
}

bool ph_loaded_symbol(struct ph_target *t, const struct ph_module *module, const char *name,
                      struct ph_found_symbol *found)
{
    struct dynamic dynamic;
    struct search search = {.t = t, .dynamic = &dynamic, .name = name, .found = found};
    if (!read_dynamic(t, module, &dynamic))
        return false;
    if (dynamic.gnu_hash)
        return find_by_gnu_hash(&search);
    return dynamic.hash && find_by_hash(&search);
}

/* ---- All modules ---- */

static bool has_module(const struct ph_target *t, ph_addr start)
{
    for (uint32_t i = 0; i < t->modules.count; i++) {
        if (t->modules.items[i].start == start)
            return true;
    }
    return false;
}

/* <link.h>: struct r_debug is a version and the head of the list; struct link_map is the bias, the
 * name, the dynamic section, and the next. */
static bool add_linked(struct ph_target *t, ph_addr debug)
{
    ph_addr word = t->info.word_bytes;
    uint64_t at, bias, name, section;
    if (!debug || !ph_target_word(t, debug + word, &at))
        return true;
    for (int i = 0; at && i < MOST_MODULES; i++) {
        if (!ph_target_word(t, at, &bias) || !ph_target_word(t, at + word, &name) ||
            !ph_target_word(t, at + 2 * word, &section) || !ph_target_word(t, at + 3 * word, &at))
            return true;
        ph_addr header = is_header(t, bias) ? bias : ph_loaded_header(t, section);
        size_t len;
        const char *text = ph_target_cstring(t, name, MOST_NAME_BYTES, &len);
        const char *path = ph_arena_strndup(&t->arena, text ? text : "", text ? len : 0);
        if (!path || (header && !has_module(t, header) && !add_module(t, header, path)))
            return false;
    }
    return true;
}

static bool add_segments(struct ph_target *t, const struct ph_module *module)
{
    struct image image;
    GElf_Phdr segment;
    bool ok = true;
    if (!open_image(t, module->start, &image))
        return true;
    for (size_t i = 0; ok && i < image.segment_count; i++) {
        ph_addr start, end,
            reached = t->regions.count ? t->regions.items[t->regions.count - 1].end : 0;
        if (!loaded_segment(&image, i, &segment, &start, &end) || end <= reached)
            continue;
        ok = ph_region_add(t, ph_max(start, reached), end,
                           (segment.p_flags & PF_R ? PH_REGION_READ : 0) |
                               (segment.p_flags & PF_W ? PH_REGION_WRITE : 0) |
                               (segment.p_flags & PF_X ? PH_REGION_EXEC : 0),
                           module->path);
    }
    close_image(&image);
    return ok;
}

static bool add_from_regions(struct ph_target *t)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < t->regions.count; i++) {
        const struct ph_region *region = &t->regions.items[i];
        bool may_be_file = region->name[0] != '['; /* [vdso] has no file */
        if (may_be_file && (region->flags & PH_REGION_READ) && is_header(t, region->start))
            ok = add_module(t, region->start, region->name);
    }
    return ok;
}

static bool add_from_program(struct ph_target *t, ph_addr program)
{
    ph_addr header = program ? ph_loaded_header(t, program) : 0;
    struct dynamic dynamic;
    if (!header)
        return true;
    if (!add_module(t, header, ""))
        return false;
    bool has_dynamic = t->modules.count && read_dynamic(t, &t->modules.items[0], &dynamic);
    return !has_dynamic || add_linked(t, dynamic.debug);
}

bool ph_loaded_find(struct ph_target *t, ph_addr program)
{
    t->modules_known = true;
    bool ok = t->info.lists_regions ? add_from_regions(t) : add_from_program(t, program);
    ph_modules_sort(t);
    for (uint32_t i = 0; ok && !t->info.lists_regions && i < t->modules.count; i++)
        ok = add_segments(t, &t->modules.items[i]);
    return ok;
}
