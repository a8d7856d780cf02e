#include "layout/layout.h"

#include <stdio.h>
#include <strings.h>

#include "layout/decl.h"
#include "layout/embed.h"

enum { MAX_BASES = 32 };

/* ---- schema.def and traits.def as tables ---- */

#define PH_STRUCT_BEGIN(s, ctype) STRUCT_##s,
#define PH_FIELD(s, f)
#define PH_FIELD_AS(s, f, path)
#define PH_OPTIONAL(s, f)
#define PH_OPTIONAL_AS(s, f, path)
#define PH_STRUCT_END(s)
enum struct_id {
#include "layout/schema.def"
};

#undef PH_STRUCT_BEGIN
#define PH_STRUCT_BEGIN(s, ctype) [STRUCT_##s] = ctype,
static const char *const struct_names[] = {
#include "layout/schema.def"
};

#undef PH_STRUCT_BEGIN
#define PH_STRUCT_BEGIN(s, ctype) [STRUCT_##s] = offsetof(struct ph_layout, s.size),
static const size_t size_members[] = {
#include "layout/schema.def"
};

/* One member of struct ph_layout: a field's place, or where path is NULL a struct's size. */
struct schema_entry {
    enum struct_id in;
    const char *path;
    size_t member; /* its offset in struct ph_layout */
    bool optional;
};

#define ENTRY(s, f, path, optional) {STRUCT_##s, path, offsetof(struct ph_layout, s.f), optional},
#undef PH_STRUCT_BEGIN
#undef PH_FIELD
#undef PH_FIELD_AS
#undef PH_OPTIONAL
#undef PH_OPTIONAL_AS
#define PH_STRUCT_BEGIN(s, ctype)  ENTRY(s, size, NULL, true)
#define PH_FIELD(s, f)             ENTRY(s, f, #f, false)
#define PH_FIELD_AS(s, f, path)    ENTRY(s, f, path, false)
#define PH_OPTIONAL(s, f)          ENTRY(s, f, #f, true)
#define PH_OPTIONAL_AS(s, f, path) ENTRY(s, f, path, true)
static const struct schema_entry schema[] = {
#include "layout/schema.def"
};
enum { SCHEMA_COUNT = sizeof schema / sizeof *schema };
_Static_assert((int)SCHEMA_COUNT == (int)PH_LAYOUT_ENTRIES, "each member has one entry");

struct trait_entry {
    const char *name;
    const char *constants; /* "PH_INT_DIGITS_SIZE, PH_INT_DIGITS_TAG" */
    size_t member;
};

#define PH_TRAIT(name, ...) {#name, #__VA_ARGS__, offsetof(struct ph_layout, traits.name)},
static const struct trait_entry trait_entries[] = {
#include "layout/traits.def"
};
#undef PH_TRAIT
enum { TRAIT_COUNT = sizeof trait_entries / sizeof *trait_entries };

static int32_t *member_of(struct ph_layout *layout, size_t member)
{
    return (int32_t *)(void *)((char *)layout + member);
}

/* ---- from declarations to members ---- */

/* The position of "tag" in "PH_INT_DIGITS_SIZE, PH_INT_DIGITS_TAG", or -1. */
static int32_t trait_value(const struct trait_entry *trait, const char *word)
{
    size_t prefix_len = strlen("PH_") + strlen(trait->name) + strlen("_");
    size_t word_len = strlen(word);
    int32_t value = 0;
    for (const char *at = trait->constants; *at; value++) {
        size_t len = strcspn(at, ",");
        if (len == prefix_len + word_len && strncasecmp(at + prefix_len, word, word_len) == 0)
            return value;
        at += len;
        at += strspn(at, ", ");
    }
    return -1;
}

static enum ph_status fill_traits(struct ph_layout *out, const struct ph_decls *decls,
                                  const struct ph_layout_file *file, struct ph_error *err)
{
    for (size_t i = 0; i < TRAIT_COUNT; i++) {
        const struct trait_entry *entry = &trait_entries[i];
        const struct ph_named_trait *trait = ph_decls_trait(decls, entry->name);
        if (!trait)
            return ph_fail(err, PH_FAILED, "%s: expected the trait %s", file->name, entry->name);
        int32_t value = trait_value(entry, trait->value);
        if (value < 0)
            return ph_fail(err, PH_FAILED, "%s:%u: the trait %s cannot be %.60s", trait->file,
                           trait->line, trait->name, trait->value);
        *member_of(out, entry->member) = value;
    }
    return PH_OK;
}

static enum ph_status fill_members(struct ph_layout *out, const struct ph_decls *decls,
                                   const struct ph_layout_file *file, struct ph_error *err)
{
    for (size_t i = 0; i < SCHEMA_COUNT; i++) {
        const struct schema_entry *entry = &schema[i];
        const struct ph_struct *in = ph_decls_struct(decls, struct_names[entry->in]);
        int32_t value = PH_ABSENT;
        if (in && !entry->path)
            value = in->size;
        else if (in && !ph_decls_offset(decls, in, entry->path, &value))
            value = PH_ABSENT;
        if (!ph_has(value) && !entry->optional)
            return ph_fail(err, PH_FAILED, "%s: expected the field %s of %s", file->name,
                           entry->path, struct_names[entry->in]);
        *member_of(out, entry->member) = value;
    }
    return PH_OK;
}

/* ---- versions ---- */

static const struct ph_layout_file *find_file(const char *version)
{
    for (const struct ph_layout_file *file = ph_layout_files; file->version; file++) {
        if (strcmp(file->version, version) == 0)
            return file;
    }
    return NULL;
}

static enum ph_status parse_file(struct ph_decls *decls, const struct ph_layout_file *file,
                                 struct ph_error *err)
{
    enum ph_status status =
        ph_decls_parse(decls, file->name, file->text, (size_t)(file->end - file->text), err);
    if (!status && strcmp(decls->version, file->version) != 0)
        status = ph_fail(err, PH_FAILED, "%s: expected the line \"%s %s\"", file->name,
                         file->overlay ? "overlay" : "version", file->version);
    return status;
}

/* The overlays that a build of this version has: 0x030b07 is 3.11.7. */
static enum ph_status parse_overlays(struct ph_decls *decls, uint32_t version, unsigned build,
                                     struct ph_error *err)
{
    for (const struct ph_layout_file *file = ph_layout_overlays; file->version; file++) {
        bool wanted = version >= file->first && version <= file->last &&
                      (!file->build || (build & file->build));
        if (!wanted)
            continue;
        enum ph_status status = parse_file(decls, file, err);
        if (status)
            return status;
    }
    return PH_OK;
}

/* The version's own file, then the one that it is based on, and so on. */
static enum ph_status parse_chain(struct ph_decls *decls, const struct ph_layout_file *file,
                                  struct ph_error *err)
{
    for (int depth = 0; depth < MAX_BASES; depth++) {
        enum ph_status status = parse_file(decls, file, err);
        if (status || !*decls->base)
            return status;
        const struct ph_layout_file *base = find_file(decls->base);
        if (!base)
            return ph_fail(err, PH_FAILED, "%s: there is no table for its base %.20s", file->name,
                           decls->base);
        file = base;
    }
    return ph_fail(err, PH_FAILED, "%s: more than %d bases", file->name, MAX_BASES);
}

/* What CPython's own files declare, behind what was parsed before, and all of it placed. */
static enum ph_status parse_version(struct ph_decls *decls, const struct ph_layout_file *file,
                                    const struct ph_layout_machine *machine, struct ph_error *err)
{
    const struct ph_abi abi = {
        .word_bytes = machine->word_bytes,
        .int64_align = machine->word_bytes == 4 && !machine->big_endian ? 4 : 8,
    };
    unsigned build = machine->build | (machine->word_bytes == 4 ? PH_BUILD_32_BIT : 0);
    enum ph_status status = parse_overlays(decls, machine->version_hex >> 8, build, err);
    if (!status)
        status = parse_chain(decls, file, err);
    return status ? status : ph_decls_place(decls, &abi, err);
}

static enum ph_status fill(struct ph_layout *out, struct ph_decls *decls,
                           const struct ph_layout_machine *machine,
                           const struct ph_layout_file *file, struct ph_error *err)
{
    enum ph_status status = parse_version(decls, file, machine, err);
    if (!status)
        status = fill_traits(out, decls, file, err);
    if (!status)
        status = fill_members(out, decls, file, err);
    return status;
}

static const struct ph_layout_file *file_of(uint32_t version_hex, char name[24])
{
    unsigned major = version_hex >> 24, minor = version_hex >> 16 & 0xff;
    snprintf(name, 24, "%u.%u", major, minor);
    return find_file(name);
}

enum ph_status ph_layout_load(struct ph_layout *out, uint32_t version_hex, unsigned build,
                              unsigned word_bytes, bool big_endian, struct ph_error *err)
{
    char version[24];
    const struct ph_layout_machine machine = {version_hex, build, word_bytes, big_endian};
    const struct ph_layout_file *file = file_of(version_hex, version);
    if (!file)
        return ph_fail(err, PH_UNSUPPORTED, "there is no table for CPython %s", version);

    struct ph_layout layout = {
        .version = file->first << 8, .word_bytes = word_bytes, .big_endian = big_endian};
    struct ph_decls decls = {0};
    enum ph_status status = fill(&layout, &decls, &machine, file, err);
    ph_decls_free(&decls);
    if (!status)
        *out = layout;
    return status;
}

enum ph_status ph_layout_describe(struct ph_decls *out, const struct ph_layout_text *text,
                                  const struct ph_layout_machine *machine, struct ph_error *err)
{
    char version[24];
    const struct ph_layout_file *file = file_of(machine->version_hex, version);
    for (const struct ph_layout_file *at = ph_layout_files; !file && at->version; at++) {
        if (!at[1].version)
            file = at;
    }
    enum ph_status status =
        ph_decls_parse_types(out, text->name, text->text, (size_t)(text->end - text->text), err);
    return status ? status : parse_version(out, file, machine, err);
}

const char *ph_layout_version_name(size_t i)
{
    for (const struct ph_layout_file *file = ph_layout_files; file->version; file++) {
        if (i-- == 0)
            return file->version;
    }
    return NULL;
}

const char *ph_layout_versions_text(char buf[100])
{
    size_t used = 0;
    for (const struct ph_layout_file *first = ph_layout_files, *last; first->version;
         first = last + 1) {
        for (last = first; last[1].version && last[1].first == last->last + 1;)
            last++;
        int n = snprintf(buf + used, 100 - used, "%s%s%s%s", used ? ", " : "", first->version,
                         last == first ? "" : " to ", last == first ? "" : last->version);
        used += n > 0 && (size_t)n < 100 - used ? (size_t)n : 0;
    }
    return buf;
}

/* ---- the walk ---- */

size_t ph_layout_entry_count(void)
{
    return SCHEMA_COUNT;
}

struct ph_layout_entry ph_layout_entry(const struct ph_layout *layout, size_t i)
{
    const struct schema_entry *entry = &schema[i];
    const int32_t *value = (const int32_t *)(const void *)((const char *)layout + entry->member);
    return (struct ph_layout_entry){
        .ctype = struct_names[entry->in],
        .field = entry->path,
        .value = *value,
        .source = layout->sources[i],
        .size_member = size_members[entry->in],
    };
}
