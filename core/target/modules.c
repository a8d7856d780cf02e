#include "target/internal.h"

#include <gelf.h>

/* ---- Modules ---- */

/* The first mapping of a file's bytes at offset among mapping i and those behind it; NULL if there
 * is none. */
static const struct ph_mapping *find_mapping(struct ph_target *t, uint32_t i, uint64_t offset)
{
    for (; i != PH_NO_MAPPING; i = t->mappings.items[i].next) {
        if (t->mappings.items[i].offset == offset)
            return &t->mappings.items[i];
    }
    return NULL;
}

/* Whether with this bias all code of the file lies in mappings of the file. */
static bool code_is_mapped(struct ph_target *t, uint32_t file, Elf *elf, size_t count, ph_addr bias)
{
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr segment;
        if (!gelf_getphdr(elf, (int)i, &segment) || segment.p_type != PT_LOAD ||
            !(segment.p_flags & PF_X))
            continue;
        const struct ph_mapping *there = ph_mapping_at(t, bias + segment.p_vaddr);
        if (!there || there->file != file)
            return false;
    }
    return true;
}

/* Where the first segment is mapped, NULL if nowhere. A program may have mapped a library's file a
 * second time, as data; there the code does not follow. */
static const struct ph_mapping *find_head(struct ph_target *t, uint32_t file, Elf *elf,
                                          size_t count, ph_addr *bias)
{
    GElf_Phdr first = {0};
    for (size_t i = 0; i < count && first.p_type != PT_LOAD; i++) {
        if (!gelf_getphdr(elf, (int)i, &first))
            return NULL;
    }
    if (first.p_type != PT_LOAD)
        return NULL;
    uint64_t offset = ph_page_floor(first.p_offset);
    const struct ph_mapping *at = find_mapping(t, t->files.items[file].first_mapping, offset);
    while (at) {
        *bias = at->start - ph_page_floor(first.p_vaddr);
        if (code_is_mapped(t, file, elf, count, *bias))
            return at;
        at = find_mapping(t, at->next, offset);
    }
    return NULL;
}

/* One past the segments' highest address, which (.bss) may lie behind the mappings of the file. */
static ph_addr find_end(Elf *elf, size_t count, ph_addr bias)
{
    ph_addr end = 0;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr segment;
        if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_LOAD)
            end = ph_max(end, ph_page_ceil(bias + segment.p_vaddr + segment.p_memsz));
    }
    return end;
}

static bool describe_module(struct ph_target *t, uint32_t file, Elf *elf, struct ph_module *module)
{
    size_t count;
    if (elf_getphdrnum(elf, &count))
        return false;
    const struct ph_mapping *head = find_head(t, file, elf, count, &module->bias);
    if (!head)
        return false;
    module->path = t->files.items[file].path;
    module->start = head->start;
    module->end = ph_max(head->end, find_end(elf, count, module->bias));
    return true;
}

/* The module that a file is, if it is one. Where the file is not to be had, the headers in memory
 * will do. */
static bool find_module(struct ph_target *t, uint32_t index, struct ph_module *module)
{
    const struct ph_file *file = ph_file_open(t, index);
    if (file->bytes)
        return file->elf && describe_module(t, index, file->elf, module);
    const struct ph_mapping *head = find_mapping(t, file->first_mapping, 0);
    const void *page = head ? ph_target_view(t, head->start, PH_PAGE_BYTES) : NULL;
    if (!page)
        return false;
    Elf *elf = elf_memory((char *)(uintptr_t)page, PH_PAGE_BYTES);
    bool found = elf && describe_module(t, index, elf, module);
    if (elf)
        elf_end(elf);
    return found;
}

/* Whether a file may be a module: some of it can be executed; or, in a core, for GDB does not list
 * code in those that it writes, the file's ELF header is held. */
static bool may_be_module(struct ph_target *t, uint32_t file)
{
    bool is_core = t->info.kind == PH_TARGET_CORE;
    const struct ph_mapping *m;
    for (uint32_t i = t->files.items[file].first_mapping; i != PH_NO_MAPPING; i = m->next) {
        m = &t->mappings.items[i];
        const struct ph_region *region = ph_target_region_at(t, m->start);
        if (region && (region->flags & PH_REGION_EXEC))
            return true;
        bool held = is_core && m->offset == 0 && ph_target_holds(t, m->start, SELFMAG);
        const void *magic = held ? ph_target_view(t, m->start, SELFMAG) : NULL;
        if (magic && memcmp(magic, ELFMAG, SELFMAG) == 0)
            return true;
    }
    return false;
}

static int compare_modules(const void *a, const void *b)
{
    const struct ph_module *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

void ph_modules_sort(struct ph_target *t)
{
    if (t->modules.count)
        qsort(t->modules.items, t->modules.count, sizeof *t->modules.items, compare_modules);
}

const struct ph_module *ph_target_modules(struct ph_target *t, size_t *count)
{
    if (!t->modules_known) {
        t->modules_known = true;
        for (uint32_t i = 0; i < t->files.count; i++) {
            struct ph_module module = {0};
            if (may_be_module(t, i) && find_module(t, i, &module))
                (void)ph_array_push(&t->modules, module);
        }
        ph_modules_sort(t);
    }
    *count = t->modules.count;
    return t->modules.items;
}

/* ---- Symbols and sections ---- */

/* Looks for a name in one module's file. */
typedef bool (*finder)(Elf *elf, const char *name, struct ph_found_symbol *found);

/* Whether entry i of the symbol versions (NULL: there are none) is hidden: an old version of its
 * name, which dlsym() would not find. */
static bool is_hidden(Elf_Data *versions, int i)
{
    GElf_Versym version;
    return versions && gelf_getversym(versions, i, &version) && (version & 0x8000);
}

/* The data of the first section of a type; *header is the section's. */
static Elf_Data *section_data(Elf *elf, GElf_Word type, GElf_Shdr *header)
{
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
        if (gelf_getshdr(section, header) && header->sh_type == type)
            return elf_getdata(section, NULL);
    }
    return NULL;
}

static bool find_symbol(Elf *elf, const char *name, struct ph_found_symbol *found)
{
    GElf_Shdr header, unused;
    Elf_Data *symbols = section_data(elf, SHT_DYNSYM, &header);
    if (!symbols || !header.sh_entsize)
        return false;
    Elf_Data *versions = section_data(elf, SHT_GNU_versym, &unused);
    size_t count = ph_min(symbols->d_size / header.sh_entsize, INT32_MAX);
    for (int i = 1; i < (int)count; i++) {
        GElf_Sym symbol;
        if (!gelf_getsym(symbols, i, &symbol) || symbol.st_shndx == SHN_UNDEF ||
            GELF_ST_TYPE(symbol.st_info) == STT_TLS || is_hidden(versions, i))
            continue;
        const char *its_name = elf_strptr(elf, header.sh_link, symbol.st_name);
        if (its_name && strcmp(its_name, name) == 0) {
            *found = (struct ph_found_symbol){.value = symbol.st_value, .size = symbol.st_size};
            return true;
        }
    }
    return false;
}

static bool find_section(Elf *elf, const char *name, struct ph_found_symbol *found)
{
    size_t names;
    if (elf_getshdrstrndx(elf, &names))
        return false;
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
        GElf_Shdr header;
        if (!gelf_getshdr(section, &header) || !(header.sh_flags & SHF_ALLOC))
            continue;
        const char *its_name = elf_strptr(elf, names, header.sh_name);
        if (its_name && strcmp(its_name, name) == 0) {
            *found = (struct ph_found_symbol){.value = header.sh_addr, .size = header.sh_size};
            return true;
        }
    }
    return false;
}

/* In the file; where that is not to be had, in memory, which has no sections. */
static bool find_in(struct ph_target *t, const struct ph_module *module, finder find,
                    const char *name, struct ph_found_symbol *found)
{
    uint32_t index = ph_file_find(t, module->path);
    Elf *elf = index < t->files.count ? t->files.items[index].elf : NULL;
    bool ok = elf                   ? find(elf, name, found)
              : find == find_symbol ? ph_loaded_symbol(t, module, name, found)
                                    : false;
    if (!ok)
        return false;
    found->value += module->bias;
    return true;
}

/* Ask the executable first, then the others in the order of their addresses. */
static enum ph_status look_up(struct ph_target *t, finder find, const char *name, ph_addr *address,
                              uint64_t *size_bytes)
{
    size_t count;
    const struct ph_module *modules = ph_target_modules(t, &count), *executable = NULL;
    for (size_t i = 0; i < count && !executable; i++) {
        if (t->entry >= modules[i].start && t->entry < modules[i].end)
            executable = &modules[i];
    }
    struct ph_found_symbol found;
    bool ok = executable && find_in(t, executable, find, name, &found);
    for (size_t i = 0; i < count && !ok; i++)
        ok = &modules[i] != executable && find_in(t, &modules[i], find, name, &found);
    if (!ok)
        return PH_NOT_FOUND;
    *address = found.value;
    if (size_bytes)
        *size_bytes = found.size;
    return PH_OK;
}

enum ph_status ph_target_symbol(struct ph_target *t, const char *name, ph_addr *address,
                                uint64_t *size_bytes)
{
    return look_up(t, find_symbol, name, address, size_bytes);
}

enum ph_status ph_target_section(struct ph_target *t, const char *name, ph_addr *address,
                                 uint64_t *size_bytes)
{
    return look_up(t, find_section, name, address, size_bytes);
}

const struct ph_module *ph_target_module_at(struct ph_target *t, ph_addr addr)
{
    size_t count;
    const struct ph_module *modules = ph_target_modules(t, &count);
    for (size_t i = 0; i < count; i++) {
        if (addr >= modules[i].start && addr < modules[i].end)
            return &modules[i];
    }
    return NULL;
}

static enum ph_status look_up_in(struct ph_target *t, ph_addr within, finder find, const char *name,
                                 ph_addr *address)
{
    const struct ph_module *module = ph_target_module_at(t, within);
    struct ph_found_symbol found;
    if (!module || !find_in(t, module, find, name, &found))
        return PH_NOT_FOUND;
    *address = found.value;
    return PH_OK;
}

enum ph_status ph_target_symbol_in(struct ph_target *t, ph_addr within, const char *name,
                                   ph_addr *address)
{
    return look_up_in(t, within, find_symbol, name, address);
}

enum ph_status ph_target_section_in(struct ph_target *t, ph_addr within, const char *name,
                                    ph_addr *address)
{
    return look_up_in(t, within, find_section, name, address);
}
