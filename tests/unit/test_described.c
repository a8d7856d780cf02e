/* Files that describe types of extension modules: the shipped ones, and others that are cut or
 * damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "layout/described.h"
#include "layout/embed.h"

static const struct ph_layout_machine newest = {.version_hex = 0x030f0000, .word_bytes = 8};

static const char grid[] = "struct Grid {\n"
                           "    PyObject ob_base;\n"
                           "    short rows;\n"
                           "    Py_ssize_t lengths[4];\n"
                           "    struct header *header;\n"
                           "    Grid *owner;\n"
                           "};\n"
                           "struct header { int count; double *cells; char kind; };\n"
                           "type \"a.*\" Grid {\n"
                           "    buffer header.cells {\n"
                           "        bytes lengths[rows] * header.count * double * 0x2;\n"
                           "        own header.kind == 'o';\n"
                           "        counted;\n"
                           "        references if header.kind & 0x10;\n"
                           "    }\n"
                           "    base owner;\n"
                           "    shape rows, lengths[rows], 3;\n"
                           "    dtype header.kind;\n"
                           "    reference owner as owner;\n"
                           "    summary \"{rows} of {shape} {dtype}\";\n"
                           "}\n";

static enum ph_status load(struct ph_describing *out, const char *text, size_t len,
                           struct ph_error *err)
{
    const struct ph_layout_text texts[] = {{"test.layout", text, text + len}};
    *err = (struct ph_error){0};
    return ph_describing_load(out, texts, 1, &newest, err);
}

static void test_shipped_files_suit_every_version(void **state)
{
    (void)state;
    for (const struct ph_layout_file *file = ph_layout_files; file->version; file++) {
        for (unsigned word = 4; word <= 8; word += 4) {
            const struct ph_layout_machine machine = {.version_hex = file->first << 8,
                                                      .word_bytes = word};
            struct ph_describing describing;
            struct ph_error err;
            if (ph_describing_load(&describing, NULL, 0, &machine, &err))
                fail_msg("%s, %u bytes: %s", file->version, word, err.message);
            assert_non_null(ph_described_find(&describing, "numpy.ndarray", 1000));
            ph_describing_free(&describing);
        }
    }
}

/* What NumPy's versions have is told by the size of instances. */
static void test_the_first_that_fits(void **state)
{
    static const struct {
        const char *type;
        uint64_t basicsize;
        const char *struct_name; /* NULL: none */
        int32_t elsize;
    } dtypes[] = {
        {"numpy.dtype", 96, "PyArray_DescrProto", 32},
        {"numpy.dtype", 88, "PyArray_Descr", 40},
        {"numpy.dtypes.Float64DType", 120, "PyArray_LegacyDescr", 40},
        {"numpy.dtypes.Float64DType", 96, NULL, 0},
        {"numpy.dtypes.StringDType", 144, "PyArray_Descr", 40},
        {"numpy.dtype", 80, NULL, 0},
        {"numpy_dtype", 96, NULL, 0},
    };
    struct ph_describing describing;
    struct ph_error err;
    (void)state;
    assert_int_equal(ph_describing_load(&describing, NULL, 0, &newest, &err), PH_OK);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        const struct ph_described *d =
            ph_described_find(&describing, dtypes[i].type, dtypes[i].basicsize);
        int32_t offset;
        assert_int_equal(d != NULL, dtypes[i].struct_name != NULL);
        if (!d)
            continue;
        assert_string_equal(d->struct_name, dtypes[i].struct_name);
        assert_non_null(ph_described_field(d, "elsize", &offset));
        assert_int_equal(offset, dtypes[i].elsize);
        assert_null(ph_described_field(d, "subarray.base", &offset));
    }
    ph_describing_free(&describing);
}

static void test_what_is_loaded_goes_first(void **state)
{
    static const char text[] = "type numpy.ndarray PyObject { summary \"mine\"; }";
    struct ph_describing describing;
    struct ph_error err;
    (void)state;
    assert_int_equal(load(&describing, text, strlen(text), &err), PH_OK);
    assert_string_equal(ph_described_find(&describing, "numpy.ndarray", 96)->summary, "mine");
    ph_describing_free(&describing);
}

static void test_paths(void **state)
{
    struct ph_describing describing;
    struct ph_error err;
    (void)state;
    if (load(&describing, grid, strlen(grid), &err))
        fail_msg("%s", err.message);
    const struct ph_described *d = ph_described_find(&describing, "a.Grid", 72);
    assert_non_null(d);
    assert_int_equal(d->in->size, 72);
    assert_int_equal(d->buffers->pointer->kind, PH_PATH_STRUCT);
    assert_int_equal(d->buffers->pointer->offset, 56);
    assert_int_equal(d->buffers->pointer->next->offset, 8);
    assert_int_equal(d->buffers->own.kind, PH_CONDITION_EQUALS);
    assert_int_equal(d->buffers->own.number, 'o');
    assert_int_equal(d->base->offset, 64);
    assert_null(ph_described_find(&describing, "a.Grid", 71));
    assert_null(ph_described_find(&describing, "b.Grid", 72));
    ph_describing_free(&describing);
}

/* Whatever is wrong, it is told in a line with the file's name. */
static void check(const char *text, size_t len)
{
    struct ph_describing describing;
    struct ph_error err;
    if (load(&describing, text, len, &err) == PH_OK)
        ph_describing_free(&describing);
    else if (strncmp(err.message, "test.layout:", strlen("test.layout:")) != 0)
        fail_msg("%s", err.message);
}

static void test_every_prefix_ends_well(void **state)
{
    (void)state;
    for (size_t len = 0; len < strlen(grid); len++)
        check(grid, len);
}

static void test_damage_ends_well(void **state)
{
    enum { TIMES = 1500 };
    static const char bytes[] = "{}[];,@*&=\"'.ax0 \n\377";
    char text[sizeof grid];
    uint32_t random = 1;
    (void)state;
    for (int i = 0; i < TIMES; i++) {
        memcpy(text, grid, sizeof text);
        for (int n = 0; n <= i % 4; n++) {
            random = random * 1664525 + 1013904223;
            text[(random >> 8) % strlen(grid)] = bytes[(random >> 24) % strlen(bytes)];
        }
        check(text, strlen(grid));
    }
}

static void test_every_allocation_may_fail(void **state)
{
    enum ph_status status = PH_NO_MEMORY;
    (void)state;
    for (unsigned long n = 1; status; n++) {
        struct ph_describing describing;
        struct ph_error err;
        ph_alloc_fail_after(n);
        status = load(&describing, grid, strlen(grid), &err);
        ph_alloc_fail_after(0);
        if (status)
            assert_int_equal(status, PH_NO_MEMORY);
        else
            ph_describing_free(&describing);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped_files_suit_every_version),
        cmocka_unit_test(test_the_first_that_fits),
        cmocka_unit_test(test_what_is_loaded_goes_first),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_every_prefix_ends_well),
        cmocka_unit_test(test_damage_ends_well),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("described", tests, NULL, NULL);
}
