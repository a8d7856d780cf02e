/* The declaration parser, the placing of fields, and the tables of all versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "layout/decl.h"
#include "layout/layout.h"

static const struct ph_abi x86_64 = {.word_bytes = 8, .int64_align = 8};
static const struct ph_abi i386 = {.word_bytes = 4, .int64_align = 4};
static const struct ph_abi arm = {.word_bytes = 4, .int64_align = 8};

static enum ph_status parse(struct ph_decls *decls, const char *text, struct ph_error *err)
{
    return ph_decls_parse(decls, "test.layout", text, strlen(text), err);
}

/* Parse and place one text, which must be right. */
static struct ph_decls place(const char *text, const struct ph_abi *abi)
{
    struct ph_decls decls = {0};
    struct ph_error err = {0};
    if (parse(&decls, text, &err) || ph_decls_place(&decls, abi, &err))
        fail_msg("%s", err.message);
    return decls;
}

static int32_t offset_of(const struct ph_decls *decls, const char *name, const char *path)
{
    const struct ph_struct *s = ph_decls_struct(decls, name);
    int32_t offset = -1;
    assert_non_null(s);
    return ph_decls_offset(decls, s, path, &offset) ? offset : -1;
}

static int32_t size_of(const struct ph_decls *decls, const char *name)
{
    const struct ph_struct *s = ph_decls_struct(decls, name);
    assert_non_null(s);
    return s->size;
}

/* ---- errors ---- */

struct error_case {
    const char *text;
    const char *message;
};

static const struct error_case parse_errors[] = {
    {"strict", "test.layout:1: expected struct, union, trait, without, shift, version, base or "
               "overlay, found "
               "\"strict\""},
    {"\n\nstruct {", "test.layout:3: expected the struct's name, found \"{\""},
    {"struct 3.8 {", "test.layout:1: expected the struct's name, found \"3.8\""},
    {"struct a.b {", "test.layout:1: expected the struct's name, found \"a.b\""},
    {"struct A", "test.layout:1: expected '{' after the struct's name, found the end"},
    {"struct A {};", "test.layout:1: expected a field, found \"}\""},
    {"struct A { int x; }", "test.layout:1: expected ';' after the struct, found the end"},
    {"struct A { int x; /* never closed", "test.layout:1: expected a field's type, found the end"},
    {"struct A {\n  int;\n};",
     "test.layout:2: expected the field's name after its type, found \";\""},
    {"struct A { *x; };", "test.layout:1: expected a field's type, found \"*\""},
    {"struct A { const *x; };", "test.layout:1: expected a field's type, found \"*\""},
    {"struct A { int *; };", "test.layout:1: expected the pointer's name, found \";\""},
    {"struct A { int x }", "test.layout:1: expected ';' after the field, found \"}\""},
    {"struct A { int x[; };", "test.layout:1: expected the array's length, found \";\""},
    {"struct A { int x[2; };", "test.layout:1: expected ']' after the array's length, found \";\""},
    {"struct A { int x[2x]; };", "test.layout:1: expected the array's length, found \"2x\""},
    {"struct A { int x[99999999999]; };", "test.layout:1: 99999999999 is too large"},
    {"struct A { int x(); };", "test.layout:1: expected ';' after the field, found \"(\""},
    {"struct A { int x; int x; };", "test.layout:1: A has a field x already"},
    {"struct A { char x[];\n char y; };", "test.layout:2: expected no field after x[]"},
    {"struct A { @8 int x; };",
     "test.layout:1: expected a field without '@', as the struct has no size, found \"@\""},
    {"struct A @16 { int x; };",
     "test.layout:1: expected '@' and the field's place, as the struct has a size, found \"int\""},
    {"struct A @ {", "test.layout:1: expected the struct's size, found \"{\""},
    {"struct A @16 { @ int x; };", "test.layout:1: expected the field's place, found \"int\""},
    {"struct A { int x; };\nstruct A { int y; };",
     "test.layout:2: A is declared in line 1 already"},
    {"struct A { a b c d e f g h i j; };",
     "test.layout:1: expected a type of fewer words, found \"i\""},
    {"trait", "test.layout:1: expected the trait's name, found the end"},
    {"trait int_digits ;", "test.layout:1: expected the trait's value, found \";\""},
    {"without 3", "test.layout:1: expected the name of a struct to leave out, found \"3\""},
    {"base first", "test.layout:1: expected a version such as 3.11, found \"first\""},
    {"version", "test.layout:1: expected a version such as 3.11, found the end"},
    {"\x1b[31m",
     "test.layout:1: expected struct, union, trait, without, shift, version, base or overlay, "
     "found the byte "
     "0x1b"},
    {"shift A", "test.layout:1: expected the first field to shift, found the end"},
    {"shift A x", "test.layout:1: expected the bytes to shift by, found the end"},
};

static void test_parse_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parse_errors / sizeof *parse_errors; i++) {
        struct ph_decls decls = {0};
        struct ph_error err = {0};
        assert_int_equal(parse(&decls, parse_errors[i].text, &err), PH_FAILED);
        assert_string_equal(err.message, parse_errors[i].message);
        ph_decls_free(&decls);
    }
}

static const struct error_case place_errors[] = {
    {"shift A x 8", "test.layout:1: there is no sparse A with a field x"},
    {"shift A x 8\nstruct A { int x; };", "test.layout:1: there is no sparse A with a field x"},
    {"shift A y 8\nstruct A @8 { @0 int x; };",
     "test.layout:1: there is no sparse A with a field y"},
    {"shift A x 1000000000\nshift A x 1000000000\nstruct A @8 { @0 int x; };",
     "test.layout:3: A.x does not fit"},
    {"struct A {\n unknown_t x;\n};", "test.layout:2: the type unknown_t of x is not declared"},
    {"without B struct A { B x; };", "test.layout:1: the type B of x is not declared"},
    {"struct A { A x; };", "test.layout:1: A contains itself"},
    {"struct A { B x; }; struct B { C x; }; struct C { A x; };",
     "test.layout:1: C contains itself"},
    {"struct A { int x[1000000000]; };", "test.layout:1: A.x does not fit"},
    {"struct A { char x[1000000000]; char y[1000000000]; };", "test.layout:1: A.y does not fit"},
    {"struct A { char x[1000000000]; }; struct B { A y[1000000000]; };",
     "test.layout:1: B.y does not fit"},
    {"struct A @16 { @12 int64_t x; };", "test.layout:1: A.x does not fit"},
    {"struct A @0 {}; struct B { A x; };", "test.layout:1: libffi cannot place B"},
};

static void test_place_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof place_errors / sizeof *place_errors; i++) {
        struct ph_decls decls = {0};
        struct ph_error err = {0};
        assert_int_equal(parse(&decls, place_errors[i].text, &err), PH_OK);
        assert_int_equal(ph_decls_place(&decls, &x86_64, &err), PH_FAILED);
        assert_string_equal(err.message, place_errors[i].message);
        ph_decls_free(&decls);
    }
}

static void test_text_is_bounded(void **state)
{
    (void)state;
    static char text[(1 << 20) + 2];
    struct ph_decls decls = {0};
    struct ph_error err = {0};
    memset(text, ' ', sizeof text - 1);
    assert_int_equal(parse(&decls, text, &err), PH_FAILED);
    assert_string_equal(err.message, "test.layout is larger than 1048576 bytes");
    ph_decls_free(&decls);
}

static void test_fields_are_bounded(void **state)
{
    (void)state;
    static char text[64 * 1024] = "struct A {\n";
    struct ph_decls decls = {0};
    struct ph_error err = {0};
    size_t len = strlen(text);
    for (int i = 0; i < 1001; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "int x%d;\n", i);
    assert_int_equal(parse(&decls, text, &err), PH_FAILED);
    assert_string_equal(err.message, "test.layout:1002: A has more than 1000 fields");
    ph_decls_free(&decls);
}

/* No prefix of a right text may be read past its end; sanitizers watch the exact copy. */
static void test_every_prefix_ends_well(void **state)
{
    (void)state;
    static const char text[] = "/* c */ version 3.11 base 3.10 // c\n"
                               "trait a b without C\n"
                               "struct A @99 { @8 const struct B *x[12]; };\n"
                               "struct B { unsigned long long y; char z[]; };\n";
    for (size_t len = 0; len < sizeof text; len++) {
        char *copy = malloc(len);
        memcpy(copy, text, len);
        struct ph_decls decls = {0};
        struct ph_error err = {0};
        enum ph_status status = ph_decls_parse(&decls, "test.layout", copy, len, &err);
        assert_true(status == PH_OK || status == PH_FAILED);
        ph_decls_free(&decls);
        free(copy);
    }
}

/* ---- what is declared ---- */

static void test_words_and_comments(void **state)
{
    (void)state;
    struct ph_decls decls = place("version 3.11 /* a\n comment */ base 3.10 // another\n"
                                  "trait frames cframe\n"
                                  "struct A { const struct _ts *const_pointer; unsigned long n; };",
                                  &x86_64);
    assert_string_equal(decls.version, "3.11");
    assert_string_equal(decls.base, "3.10");
    assert_string_equal(ph_decls_trait(&decls, "frames")->value, "cframe");
    assert_null(ph_decls_trait(&decls, "frame"));
    assert_int_equal(offset_of(&decls, "A", "n"), 8);
    ph_decls_free(&decls);
}

static void test_newer_file_counts(void **state)
{
    (void)state;
    struct ph_decls decls = {0};
    struct ph_error err = {0};
    const char *newer = "trait t new without Gone struct A { int64_t pad; int x; };";
    const char *older = "trait t old struct Gone { int x; }; struct A { int x; };"
                        "struct B { A a; int y; };";
    assert_int_equal(parse(&decls, newer, &err), PH_OK);
    assert_int_equal(parse(&decls, older, &err), PH_OK);
    assert_string_equal(decls.version, "");
    assert_int_equal(ph_decls_place(&decls, &x86_64, &err), PH_OK);
    assert_string_equal(ph_decls_trait(&decls, "t")->value, "new");
    assert_null(ph_decls_struct(&decls, "Gone"));
    assert_int_equal(offset_of(&decls, "A", "x"), 8);
    assert_int_equal(offset_of(&decls, "B", "y"), 16);
    ph_decls_free(&decls);
}

static void test_alternatives_and_paths(void **state)
{
    (void)state;
    struct ph_decls decls = place("struct Outer { int pad; Inner in; };"
                                  "struct Inner { char c; short s; };",
                                  &x86_64);
    assert_non_null(ph_decls_struct(&decls, "New|Outer"));
    assert_null(ph_decls_struct(&decls, "New|Newer"));
    assert_null(ph_decls_struct(&decls, "Oute"));
    assert_int_equal(offset_of(&decls, "Outer", "in.s"), 6);
    assert_int_equal(offset_of(&decls, "Outer", "none|in.none|in.c"), 4);
    assert_int_equal(offset_of(&decls, "Outer", "pad.s"), -1);
    assert_int_equal(offset_of(&decls, "Outer", "in."), -1);
    assert_int_equal(offset_of(&decls, "Outer", ""), -1);
    ph_decls_free(&decls);
}

static void test_places(void **state)
{
    (void)state;
    static const char text[] = "struct A { char c; int64_t q; short s; void *p; double d; };"
                               "struct Array { char c; A items[3]; char tail[]; };"
                               "struct Tail { char c; int numbers[]; };"
                               "struct Only { long words[]; };"
                               "struct Sparse @100 { @60 A a; @12 int x; };";
    static const struct {
        const struct ph_abi *abi;
        int32_t q, s, p, d, size, items, tail, array_size;
    } cases[] = {
        {&x86_64, 8, 16, 24, 32, 40, 8, 128, 128},
        {&i386, 4, 12, 16, 20, 28, 4, 88, 88},
        {&arm, 8, 16, 20, 24, 32, 8, 104, 104},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ph_decls decls = place(text, cases[i].abi);
        assert_int_equal(offset_of(&decls, "A", "q"), cases[i].q);
        assert_int_equal(offset_of(&decls, "A", "s"), cases[i].s);
        assert_int_equal(offset_of(&decls, "A", "p"), cases[i].p);
        assert_int_equal(offset_of(&decls, "A", "d"), cases[i].d);
        assert_int_equal(size_of(&decls, "A"), cases[i].size);
        assert_int_equal(offset_of(&decls, "Array", "items"), cases[i].items);
        assert_int_equal(offset_of(&decls, "Array", "tail"), cases[i].tail);
        assert_int_equal(size_of(&decls, "Array"), cases[i].array_size);
        assert_int_equal(offset_of(&decls, "Tail", "numbers"), 4);
        assert_int_equal(size_of(&decls, "Tail"), 4);
        assert_int_equal(size_of(&decls, "Only"), 0);
        assert_int_equal(offset_of(&decls, "Sparse", "a.s"), 60 + cases[i].s);
        assert_int_equal(offset_of(&decls, "Sparse", "x"), 12);
        assert_int_equal(size_of(&decls, "Sparse"), 100);
        ph_decls_free(&decls);
    }
}

static void test_unions(void **state)
{
    (void)state;
    static const char text[] = "union U { struct A a; long double d; char c; };"
                               "struct A { void *p; void *q; long n; };"
                               "struct In { int x; U u; int y; };";
    static const struct {
        const struct ph_abi *abi;
        int32_t size, u, y, in_size;
    } cases[] = {{&x86_64, 32, 16, 48, 64}, {&i386, 12, 4, 16, 20}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ph_decls decls = place(text, cases[i].abi);
        assert_int_equal(size_of(&decls, "U"), cases[i].size);
        assert_int_equal(offset_of(&decls, "U", "a.p"), 0);
        assert_int_equal(offset_of(&decls, "U", "d"), 0);
        assert_int_equal(offset_of(&decls, "In", "u"), cases[i].u);
        assert_int_equal(offset_of(&decls, "In", "y"), cases[i].y);
        assert_int_equal(size_of(&decls, "In"), cases[i].in_size);
        ph_decls_free(&decls);
    }
}

/* ---- the tables ---- */

static struct ph_layout load(uint32_t version, unsigned word_bytes, bool big_endian)
{
    struct ph_layout layout;
    struct ph_error err = {0};
    if (ph_layout_load(&layout, version, 0, word_bytes, big_endian, &err))
        fail_msg("%s", err.message);
    return layout;
}

static void test_builds_of_old(void **state)
{
    (void)state;
    struct ph_layout wide, narrow;
    struct ph_error err;
    assert_int_equal(ph_layout_load(&wide, 0x02070000, PH_BUILD_WIDE_UNICODE, 8, false, &err),
                     PH_OK);
    assert_int_equal(wide.traits.py_unicode, PH_PY_UNICODE_UCS4);
    assert_int_equal(load(0x02070000, 8, false).traits.py_unicode, PH_PY_UNICODE_UCS2);
    assert_int_equal(load(0x03070000, 8, false).gc_head.size, 32);
    assert_int_equal(load(0x03070000, 8, false).gc_generation.size, 48);
    assert_int_equal(load(0x02070000, 8, false).gc_generation.size, 40);
    for (uint32_t version = 0x03060000; version <= 0x03070000; version += 0x10000) {
        assert_int_equal(ph_layout_load(&narrow, version, PH_BUILD_SHORT_GC_HEAD, 8, false, &err),
                         PH_OK);
        assert_int_equal(narrow.gc_head.size, 24);
        assert_int_equal(narrow.gc_generation.size, 32);
    }
}

static void test_every_version_loads(void **state)
{
    (void)state;
    const char *name;
    size_t count = 0;
    for (; (name = ph_layout_version_name(count)) != NULL; count++) {
        unsigned major, minor;
        assert_int_equal(sscanf(name, "%u.%u", &major, &minor), 2);
        uint32_t version = major << 24 | minor << 16;
        struct ph_layout wide = load(version | 0x07f0, 8, false);
        assert_int_equal(wide.version, version);
        assert_int_equal(wide.word_bytes, 8);
        assert_int_equal(wide.object.size, 16);
        assert_int_equal(load(version, 4, false).object.size, 8);
        assert_int_equal(load(version, 4, true).object.size, 8);
        assert_true(load(version, 4, true).big_endian);
    }
    assert_true(count >= 6);
    assert_string_equal(ph_layout_version_name(0), "2.7");
    char text[100], end[20];
    snprintf(end, sizeof end, " to %s", ph_layout_version_name(count - 1));
    ph_layout_versions_text(text);
    assert_int_equal(strncmp(text, "2.7, 3.6 to ", strlen("2.7, 3.6 to ")), 0);
    assert_string_equal(text + strlen("2.7, 3.6"), end);
}

static void test_overlays(void **state)
{
    (void)state;
    struct ph_layout layout;
    struct ph_error err = {0};
    const unsigned build = PH_BUILD_TRACE_REFS | PH_BUILD_DEBUG;
    assert_int_equal(ph_layout_load(&layout, 0x03090000, build, 8, false, &err), PH_OK);
    assert_int_equal(layout.object.ob_refcnt, 16);
    assert_int_equal(layout.object.ob_type, 24);
    assert_int_equal(layout.list.ob_item, 40);
    assert_int_equal(ph_layout_load(&layout, 0x030d0000, build, 8, false, &err), PH_OK);
    assert_int_equal(layout.object.ob_type, 8);
}

/* Overlays for ranges of micro releases: the unpickler of 3.13.0, .1, .14, .15; 3.14.6, .7. */
static void test_micro_releases(void **state)
{
    (void)state;
    static const struct {
        uint32_t version;
        int32_t read;
        enum ph_trait_inline_values values;
    } cases[] = {
        {0x030d00f0, 176, PH_INLINE_VALUES_INSTANCE}, {0x030d01f0, 184, PH_INLINE_VALUES_INSTANCE},
        {0x030d0cf0, 184, PH_INLINE_VALUES_INSTANCE}, {0x030d0ef0, 184, PH_INLINE_VALUES_DICT},
        {0x030d0ff0, 200, PH_INLINE_VALUES_DICT},     {0x030e03f0, 184, PH_INLINE_VALUES_INSTANCE},
        {0x030e06f0, 184, PH_INLINE_VALUES_DICT},     {0x030e07f0, 200, PH_INLINE_VALUES_DICT},
        {0x030f00f0, 208, PH_INLINE_VALUES_DICT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ph_layout layout = load(cases[i].version, 8, false);
        assert_int_equal(layout.unpickler.read, cases[i].read);
        assert_int_equal(layout.traits.inline_values, cases[i].values);
    }
}

/* ---- debug offsets ---- */

/* Where the block of 3.14 has some of its numbers, in words. */
enum {
    INTERP_SIZE = 48 / 8,
    INTERP_GC = 88 / 8,
    INTERP_MODULES = 96 / 8,
    INTERP_SYSDICT = 104 / 8,
    INTERP_BUILTINS = 112 / 8,
    TUPLE_ITEM = 456 / 8,
    GC_SIZE = 648 / 8,
    WORDS_3_14 = 760 / 8,
};

/* The block of a 3.14 that is as the table says. */
static void fill_block(const struct ph_layout *layout, uint64_t words[WORDS_3_14])
{
    memset(words, 0, WORDS_3_14 * sizeof *words);
#define NOWHERE -1
#define PH_DEBUG_OFFSET(s, f, at13, at14, at15)                                                    \
    if ((at14) >= 0)                                                                               \
        words[(at14) / 8] = (uint64_t)layout->s.f;
#include "layout/debug_offsets.def"
#undef PH_DEBUG_OFFSET
}

static void test_debug_offsets_that_agree(void **state)
{
    (void)state;
    struct ph_layout layout = load(0x030e0af0, 8, false), table = layout;
    uint64_t words[WORDS_3_14];
    assert_int_equal(ph_debug_offsets_words(0x030e0af0), WORDS_3_14);
    assert_int_equal(ph_debug_offsets_words(0x030c00f0), 0);
    assert_int_equal(ph_debug_offsets_words(0x031100f0), ph_debug_offsets_words(0x030f00f0));
    fill_block(&table, words);
    assert_int_equal(ph_layout_use_debug_offsets(&layout, 0x030e0af0, words, NULL), PH_OK);
    for (size_t i = 0; i < ph_layout_entry_count(); i++) {
        assert_int_equal(ph_layout_entry(&layout, i).value, ph_layout_entry(&table, i).value);
        assert_int_not_equal(ph_layout_entry(&layout, i).source, PH_SOURCE_MOVED);
    }
    assert_int_equal(layout.sources[ph_layout_index(offsetof(struct ph_layout, interp.sysdict))],
                     PH_SOURCE_DEBUG_OFFSETS);
    assert_int_equal(layout.sources[ph_layout_index(offsetof(struct ph_layout, interp.dict))],
                     PH_SOURCE_TABLE);
}

/* What 3.14.0 says: what follows the collector's state is 24 bytes earlier, given or not. */
static void test_debug_offsets_that_move(void **state)
{
    (void)state;
    struct ph_layout table = load(0x030e0af0, 8, false), layout;
    struct ph_error err = {0};
    uint64_t words[WORDS_3_14];
    fill_block(&table, words);
    words[GC_SIZE] -= 24;
    words[INTERP_MODULES] -= 24;
    words[INTERP_SYSDICT] -= 24;
    words[INTERP_BUILTINS] -= 24;
    words[TUPLE_ITEM] -= 8;
    assert_int_equal(ph_layout_load(&layout, 0x030e00f0, PH_BUILD_INCREMENTAL_GC, 8, false, &err),
                     PH_OK);
    assert_int_equal(layout.gc_state.generation0, PH_ABSENT);
    assert_int_equal(layout.gc_state.size, words[GC_SIZE]);
    assert_int_equal(ph_layout_use_debug_offsets(&layout, 0x030e00f0, words, NULL), PH_OK);
    assert_int_equal(layout.interp.sysdict, table.interp.sysdict - 24);
    assert_int_equal(layout.interp.dict, table.interp.dict - 24);
    assert_int_equal(layout.interp.interned, table.interp.interned - 24);
    assert_int_equal(layout.interp.gc, table.interp.gc);
    assert_int_equal(layout.interp.threads_head, table.interp.threads_head);
    assert_int_equal(layout.sources[ph_layout_index(offsetof(struct ph_layout, interp.dict))],
                     PH_SOURCE_MOVED);
    assert_int_equal(layout.tuple.ob_item, table.tuple.ob_item - 8);
}

static void test_debug_offsets_that_are_garbage(void **state)
{
    (void)state;
    struct ph_layout table = load(0x030e0af0, 8, false), layout = table;
    struct ph_error err = {0};
    uint64_t words[WORDS_3_14];
    static const struct {
        int at;
        uint64_t value;
    } cases[] = {{INTERP_SIZE, 0},
                 {INTERP_SIZE, 1ull << 40},
                 {INTERP_GC, UINT64_MAX},
                 {INTERP_GC, 1 << 20},
                 {TUPLE_ITEM, 1 << 20}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fill_block(&table, words);
        words[cases[i].at] = cases[i].value;
        assert_int_equal(ph_layout_use_debug_offsets(&layout, 0x030e0af0, words, &err),
                         PH_BAD_DATA);
        assert_string_equal(err.message, "the debug offsets are damaged");
        assert_memory_equal(&layout, &table, sizeof layout);
    }
}

static void test_shifts(void **state)
{
    (void)state;
    struct ph_layout plain = load(0x030d0000, 8, false), layout;
    struct ph_error err = {0};
    const unsigned build = PH_BUILD_TRACE_REFS | PH_BUILD_DEBUG;
    assert_int_equal(ph_layout_load(&layout, 0x030d0000, build, 8, false, &err), PH_OK);
    assert_int_equal(layout.interp.builtins, plain.interp.builtins);
    assert_int_equal(layout.interp.dict, plain.interp.dict + 8);
    assert_int_equal(layout.interp.static_builtins, plain.interp.static_builtins + 8 + 8 + 8);
    assert_int_equal(layout.interp.size, plain.interp.size + 8 + 8 + 8);
}

static void test_unknown_version(void **state)
{
    (void)state;
    struct ph_layout layout = {.version = 42};
    struct ph_error err = {0};
    assert_int_equal(ph_layout_load(&layout, 0x09630000, 0, 8, false, &err), PH_UNSUPPORTED);
    assert_string_equal(err.message, "there is no table for CPython 9.99");
    assert_int_equal(layout.version, 42);
}

static void test_absent_is_not_zero(void **state)
{
    (void)state;
    struct ph_layout old = load(0x03080000, 8, false);
    struct ph_layout new = load(0x030d0000, 8, false);
    assert_int_equal(old.iframe.size, PH_ABSENT);
    assert_int_equal(old.iframe.code, PH_ABSENT);
    assert_int_equal(old.interp.gc, PH_ABSENT);
    assert_false(ph_has(old.tstate.native_thread_id));
    assert_int_equal(new.iframe.code, 0);
    assert_true(ph_has(new.iframe.code));
    assert_int_equal(new.cframe.size, PH_ABSENT);
    assert_int_equal(new.tstate.cframe, PH_ABSENT);
    assert_int_equal(new.ascii.wstr, PH_ABSENT);
    assert_int_equal(new.runtime.gc, PH_ABSENT);
}

static void test_traits(void **state)
{
    (void)state;
    assert_int_equal(load(0x03080000, 8, false).traits.gc_state, PH_GC_STATE_RUNTIME);
    assert_int_equal(load(0x03090000, 8, false).traits.gc_state, PH_GC_STATE_INTERPRETER);
    assert_int_equal(load(0x03090000, 8, false).traits.pools, PH_POOLS_PAGE);
    assert_int_equal(load(0x030a0000, 8, false).traits.pools, PH_POOLS_LARGE);
    assert_int_equal(load(0x030a0000, 8, false).traits.dict_keys, PH_DICT_KEYS_SIZE);
    assert_int_equal(load(0x030b0000, 8, false).traits.dict_keys, PH_DICT_KEYS_LOG2);
    assert_int_equal(load(0x030b0000, 8, false).traits.instance_dict, PH_INSTANCE_DICT_PAIR);
    assert_int_equal(load(0x030c0000, 8, false).traits.dict_values, PH_DICT_VALUES_PREFIXED);
    assert_int_equal(load(0x030c0000, 8, false).traits.immortal, PH_IMMORTAL_LOW32_SIGN);
    assert_int_equal(load(0x030c0000, 8, false).traits.obmalloc, PH_OBMALLOC_INLINE);
    assert_int_equal(load(0x030d0000, 8, false).traits.presize, PH_PRESIZE_TYPE_FLAG_BUT_STATIC);
    assert_int_equal(load(0x030d0000, 8, false).traits.int_digits, PH_INT_DIGITS_TAG);
}

/* By hand from CPython's headers: 4-byte words, and 8-byte numbers aligned to 4 or to 8. */
static void test_32_bit_places(void **state)
{
    (void)state;
    struct ph_layout x86 = load(0x030b0000, 4, false);
    struct ph_layout other = load(0x030b0000, 4, true);
    assert_int_equal(x86.list.ob_item, 12);
    assert_int_equal(x86.list.size, 20);
    assert_int_equal(x86.type.tp_flags, 84);
    assert_int_equal(x86.legacy_str.data, 36);
    assert_int_equal(x86.legacy_str.size, 40);
    assert_int_equal(x86.dict_keys.dk_indices, 20);
    assert_int_equal(x86.pool_header.freeblock, 4);
    assert_int_equal(x86.pool_header.size, 32);
    assert_int_equal(x86.memoryview.view + x86.buffer.len, 36);
    assert_int_equal(x86.dict.ma_version_tag, 12);
    assert_int_equal(x86.dict.ma_keys, 20);
    assert_int_equal(x86.dict.size, 28);
    assert_int_equal(x86.odict.od_first, 28);
    assert_int_equal(x86.float_.ob_fval, 8);
    assert_int_equal(other.list.size, 20);
    assert_int_equal(other.dict.ma_version_tag, 16);
    assert_int_equal(other.dict.ma_keys, 24);
    assert_int_equal(other.dict.size, 32);
    assert_int_equal(other.odict.od_first, 32);
    assert_int_equal(other.set.smalltable, 32);
    assert_int_equal(other.set.size, 100);
}

static void test_walk_names_every_member(void **state)
{
    (void)state;
    struct ph_layout layout = load(0x030b0000, 8, false);
    bool size_found = false, path_found = false;
    for (size_t i = 0; i < ph_layout_entry_count(); i++) {
        struct ph_layout_entry entry = ph_layout_entry(&layout, i);
        assert_true(entry.ctype[0] != '\0');
        if (strcmp(entry.ctype, "PyListObject") == 0 && !entry.field) {
            size_found = true;
            assert_int_equal(entry.value, layout.list.size);
        }
        if (entry.field && strcmp(entry.field, "threads.head|tstate_head") == 0) {
            path_found = true;
            assert_int_equal(entry.value, layout.interp.threads_head);
        }
    }
    assert_true(size_found && path_found);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    enum ph_status status = PH_NO_MEMORY;
    for (unsigned long n = 1; status; n++) {
        struct ph_layout layout = {.version = 42};
        struct ph_error err = {0};
        ph_alloc_fail_after(n);
        status = ph_layout_load(&layout, 0x030d0000, 0, 8, false, &err);
        ph_alloc_fail_after(0);
        if (status) {
            assert_int_equal(status, PH_NO_MEMORY);
            assert_int_equal(layout.version, 42);
            assert_non_null(strstr(err.message, "out of memory"));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_errors),
        cmocka_unit_test(test_place_errors),
        cmocka_unit_test(test_text_is_bounded),
        cmocka_unit_test(test_fields_are_bounded),
        cmocka_unit_test(test_every_prefix_ends_well),
        cmocka_unit_test(test_words_and_comments),
        cmocka_unit_test(test_newer_file_counts),
        cmocka_unit_test(test_alternatives_and_paths),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_unions),
        cmocka_unit_test(test_builds_of_old),
        cmocka_unit_test(test_every_version_loads),
        cmocka_unit_test(test_overlays),
        cmocka_unit_test(test_micro_releases),
        cmocka_unit_test(test_debug_offsets_that_agree),
        cmocka_unit_test(test_debug_offsets_that_move),
        cmocka_unit_test(test_debug_offsets_that_are_garbage),
        cmocka_unit_test(test_shifts),
        cmocka_unit_test(test_unknown_version),
        cmocka_unit_test(test_absent_is_not_zero),
        cmocka_unit_test(test_traits),
        cmocka_unit_test(test_32_bit_places),
        cmocka_unit_test(test_walk_names_every_member),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
