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
    PH_BUILD_INCREMENTAL_GC = 1 << 16, /* of 3.14.0 to 3.14.4 */
};

/* How a version represents things; the values are named in traits.def and in the .layout files. */
#define PH_TRAIT(name, ...) enum ph_trait_##name{__VA_ARGS__};
#include "layout/traits.def"
#undef PH_TRAIT

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
};

/* Fill *out for the CPython of this version and build (enum ph_build). Major and minor decide the
 * file; micro releases are for the self-checks. Of 32-bit targets, a little-endian one is taken for
 * i386, which aligns 8-byte numbers to 4. PH_UNSUPPORTED for a version without a file; PH_FAILED
 * for a broken table, naming it. *out is untouched then. */
enum ph_status ph_layout_load(struct ph_layout *out, uint32_t version_hex, unsigned build,
                              unsigned word_bytes, bool big_endian,
                              struct ph_error *err) PH_MUST_USE;

/* The versions that have a table, oldest first: "3.8", "3.9", ... NULL at the end. */
const char *ph_layout_version_name(size_t i);
/* All of them in words: "2.7, 3.6 to 3.13". Returns buf. */
const char *ph_layout_versions_text(char buf[100]);

/* Walk over all that schema.def names, for `layout` and for tests. */
struct ph_layout_entry {
    const char *ctype; /* "PyListObject"; alternatives as in schema.def: "new|old" */
    const char *field; /* "ob_item", "view.buf", "next|old"; NULL for the struct's size */
    int32_t value;     /* offset or size; PH_ABSENT where the version lacks it */
};
size_t ph_layout_entry_count(void);
struct ph_layout_entry ph_layout_entry(const struct ph_layout *layout, size_t i);

#endif
