/*
 * Where the fields of CPython's structs lie.
 *
 * A version is one text file of C declarations (core/layout/cpython/3.11.layout), embedded in the
 * library. It names the version it starts from and declares only what differs; libffi places the
 * fields, with pointer and Py_ssize_t as wide as the target's. schema.def lists the fields that
 * py-heap uses; each becomes a member here:
 *
 *     L->list.ob_item      offset of PyListObject.ob_item in the target's version
 *     L->list.size         sizeof(PyListObject)
 *     ph_has(L->dict.ma_version_tag)
 *
 * A field that a version lacks is PH_ABSENT, never 0. A field that schema.def does not call
 * OPTIONAL and that the version's file does not declare makes ph_layout_load() fail, so that a
 * wrong table is an error at start and never a wrong read later. What differs in representation
 * rather than in place is a trait:
 *
 *     L->traits.int_digits == PH_INT_DIGITS_TAG
 *
 * What a kind of build has otherwise is an overlay: a file of the same form whose declarations go
 * before the version's own.
 *
 * To add a version: write cpython/X.Y.layout (decl.h says how) and its line in versions.def.
 */
#ifndef PH_LAYOUT_LAYOUT_H
#define PH_LAYOUT_LAYOUT_H

#include "base/error.h"

#include <stddef.h>

#define PH_ABSENT      INT32_MIN
#define ph_has(offset) ((offset) != PH_ABSENT)

/* How an interpreter was built, as far as it moves fields; the words of "build" in the documents.
 */
enum ph_build {
    PH_BUILD_DEBUG = 1,
    PH_BUILD_TRACE_REFS = 2,
    PH_BUILD_FREE_THREADED = 4,
    PH_BUILD_32_BIT = 8,         /* 4-byte words; ph_layout_load() adds it */
    PH_BUILD_SHORT_GC_HEAD = 16, /* to 3.7: GC headers of three words; found by self-checks */
    PH_BUILD_MIMALLOC = 32,      /* PYTHONMALLOC=mimalloc: known once the heap is; moves nothing */
    PH_BUILD_MALLOC = 64,        /* no pymalloc: known once the heap is; moves nothing */
    PH_BUILD_WIDE_UNICODE = 128, /* 2.7: unicode in units of four bytes */
    PH_BUILD_INCREMENTAL_GC = 1 << 16, /* of 3.14.0 to 3.14.4 */
};

/* How a version represents things; the values are named in traits.def and in the .layout files. */
#define PH_TRAIT(name, ...) enum ph_trait_##name{__VA_ARGS__};
#include "layout/traits.def"
#undef PH_TRAIT

/* What schema.def names: each struct's size, then its fields. */
enum {
#define PH_STRUCT_BEGIN(s, ctype)  PH_ENTRY_##s##_size,
#define PH_FIELD(s, f)             PH_ENTRY_##s##_##f,
#define PH_FIELD_AS(s, f, path)    PH_ENTRY_##s##_##f,
#define PH_OPTIONAL(s, f)          PH_ENTRY_##s##_##f,
#define PH_OPTIONAL_AS(s, f, path) PH_ENTRY_##s##_##f,
#define PH_STRUCT_END(s)
#include "layout/schema.def"
#undef PH_STRUCT_BEGIN
#undef PH_FIELD
#undef PH_FIELD_AS
#undef PH_OPTIONAL
#undef PH_OPTIONAL_AS
#undef PH_STRUCT_END
    PH_LAYOUT_ENTRIES,
};

/* Where a field's place came from: the version's file, the interpreter's own debug offsets, or the
 * file and then moved as far as what the debug offsets give before it. */
enum ph_layout_source { PH_SOURCE_TABLE, PH_SOURCE_DEBUG_OFFSETS, PH_SOURCE_MOVED };

struct ph_layout {
    uint32_t version; /* PY_VERSION_HEX of the table, such as 0x030b0000 */
    unsigned word_bytes;
    bool big_endian;
    struct {
#define PH_TRAIT(name, ...) enum ph_trait_##name name;
#include "layout/traits.def"
#undef PH_TRAIT
    } traits;
#define PH_STRUCT_BEGIN(s, ctype)                                                                  \
    struct {                                                                                       \
        int32_t size;
#define PH_FIELD(s, f)             int32_t f;
#define PH_FIELD_AS(s, f, path)    int32_t f;
#define PH_OPTIONAL(s, f)          int32_t f;
#define PH_OPTIONAL_AS(s, f, path) int32_t f;
#define PH_STRUCT_END(s)                                                                           \
    }                                                                                              \
    s;
#include "layout/schema.def"
#undef PH_STRUCT_BEGIN
#undef PH_FIELD
#undef PH_FIELD_AS
#undef PH_OPTIONAL
#undef PH_OPTIONAL_AS
#undef PH_STRUCT_END
    uint8_t sources[PH_LAYOUT_ENTRIES]; /* enum ph_layout_source of each */
};

/* Fill *out for the CPython of this version and build (enum ph_build). Major and minor decide the
 * file; micro releases are for the self-checks. Of 32-bit targets, a little-endian one is taken for
 * i386, which aligns 8-byte numbers to 4. PH_UNSUPPORTED for a version without a file; PH_FAILED
 * for a broken table, naming it. *out is untouched then. */
enum ph_status ph_layout_load(struct ph_layout *out, uint32_t version_hex, unsigned build,
                              unsigned word_bytes, bool big_endian,
                              struct ph_error *err) PH_MUST_USE;

/* What declarations are placed for. */
struct ph_layout_machine {
    uint32_t version_hex;
    unsigned build; /* enum ph_build */
    unsigned word_bytes;
    bool big_endian;
};

/* A file's text. */
struct ph_layout_text {
    const char *name; /* for messages; NULL ends a list */
    const char *text, *end;
};

/* Parse and place a file of users (decl.h), whose structs may contain CPython's own. A version
 * without a table is taken for the newest. *out is released with ph_decls_free(), on failure too.
 */
struct ph_decls;
enum ph_status ph_layout_describe(struct ph_decls *out, const struct ph_layout_text *text,
                                  const struct ph_layout_machine *machine,
                                  struct ph_error *err) PH_MUST_USE;

/* The versions that have a table, oldest first: "3.8", "3.9", ... NULL at the end. */
const char *ph_layout_version_name(size_t i);
/* All of them in words: "2.7, 3.6 to 3.13". Returns buf. */
const char *ph_layout_versions_text(char buf[100]);

/*
 * Debug offsets: what an interpreter from 3.13 on says of itself at the start of _PyRuntime, for
 * the fields in debug_offsets.def. They are believed over the table; what they do not give is moved
 * with what they give.
 */

/* How many 64-bit words the block has in this version; 0 where it has none. A version without a
 * table is taken to have the newest form. */
size_t ph_debug_offsets_words(uint32_t version_hex);
/* Apply so many words. PH_BAD_DATA where they cannot be places; *layout is untouched then. */
enum ph_status ph_layout_use_debug_offsets(struct ph_layout *layout, uint32_t version_hex,
                                           const uint64_t *words, struct ph_error *err) PH_MUST_USE;

/* Walk over all that schema.def names, for `layout` and for tests. */
struct ph_layout_entry {
    const char *ctype; /* "PyListObject"; alternatives as in schema.def: "new|old" */
    const char *field; /* "ob_item", "view.buf", "next|old"; NULL for the struct's size */
    int32_t value;     /* offset or size; PH_ABSENT where the version lacks it */
    enum ph_layout_source source;
    size_t size_member; /* the offsetof(struct ph_layout, ...) of its struct's size */
};
size_t ph_layout_entry_count(void);
struct ph_layout_entry ph_layout_entry(const struct ph_layout *layout, size_t i);

/* The members stand in struct ph_layout in the order of the entries, without gaps. */
static inline size_t ph_layout_member(size_t entry)
{
    return offsetof(struct ph_layout, object.size) + entry * sizeof(int32_t);
}
static inline size_t ph_layout_index(size_t layout_member)
{
    return (layout_member - offsetof(struct ph_layout, object.size)) / sizeof(int32_t);
}

#endif
