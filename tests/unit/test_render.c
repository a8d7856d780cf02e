/* Documents as text and as JSON, against what they must look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
#include "render/doc.h"

typedef bool (*writer)(const struct ph_doc *doc, FILE *out);

static void assert_written(const struct ph_doc *doc, writer write, const char *expected)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    assert_true(write(doc, out));
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void assert_text(const struct ph_doc *doc, const char *expected)
{
    assert_written(doc, ph_doc_write_text, expected);
}

static void assert_json(const struct ph_doc *doc, const char *expected)
{
    assert_written(doc, ph_doc_write_json, expected);
}

/* ---- Numbers ---- */

static void counts_have_thousands_separators(void **state)
{
    char buf[32];

    (void)state;
    assert_string_equal(ph_format_count(buf, 0), "0");
    assert_string_equal(ph_format_count(buf, 999), "999");
    assert_string_equal(ph_format_count(buf, 1000), "1,000");
    assert_string_equal(ph_format_count(buf, -1234567), "-1,234,567");
    assert_string_equal(ph_format_count(buf, INT64_MAX), "9,223,372,036,854,775,807");
    assert_string_equal(ph_format_count(buf, INT64_MIN), "-9,223,372,036,854,775,808");
}

static void bytes_change_unit_before_four_digits(void **state)
{
    char buf[32];

    (void)state;
    assert_string_equal(ph_format_bytes(buf, 0), "0 B");
    assert_string_equal(ph_format_bytes(buf, 1023), "1023 B");
    assert_string_equal(ph_format_bytes(buf, 1024), "1.0 KiB");
    assert_string_equal(ph_format_bytes(buf, 1536), "1.5 KiB");
    assert_string_equal(ph_format_bytes(buf, 1048524), "1023.9 KiB");
    assert_string_equal(ph_format_bytes(buf, 1048575), "1.0 MiB");
    assert_string_equal(ph_format_bytes(buf, UINT64_MAX), "16.0 EiB");
}

/* ---- Scalars and nesting ---- */

static void scalars_align_and_nest(void **state)
{
    struct ph_doc *doc = ph_doc_create();

    (void)state;
    ph_doc_text(doc, "command", NULL, "show");
    ph_doc_addr(doc, "address", "Address", 0x7f00);
    ph_doc_object_begin(doc, "gc");
    ph_doc_bool(doc, "tracked", "GC tracked", true);
    ph_doc_null(doc, "generation", "Generation");
    ph_doc_object_end(doc);
    ph_doc_array_begin(doc, "build");
    ph_doc_text(doc, NULL, NULL, "debug");
    ph_doc_text(doc, NULL, NULL, "malloc");
    ph_doc_text(doc, NULL, "Build", "debug malloc");
    ph_doc_array_end(doc);
    ph_doc_array_begin(doc, "none");
    ph_doc_array_end(doc);
    ph_doc_bytes(doc, "bytes", "Size", 72);
    ph_doc_line(doc, "%d rows", 3);
    ph_doc_bytes(doc, "deep", "Deep", 1234567);
    ph_doc_count(doc, "count", "N", -1234);
    assert_false(ph_doc_failed(doc));
    assert_text(doc, "Address     0x7f00\n"
                     "GC tracked  yes\n"
                     "Generation  unknown\n"
                     "Build       debug malloc\n"
                     "Size        72 bytes\n"
                     "3 rows\n"
                     "Deep  1.2 MiB (1,234,567 bytes)\n"
                     "N     -1,234\n");
    assert_json(doc,
                "{\"command\":\"show\",\"address\":\"0x7f00\","
                "\"gc\":{\"tracked\":true,\"generation\":null},\"build\":[\"debug\",\"malloc\"],"
                "\"none\":[],\"bytes\":72,\"deep\":1234567,\"count\":-1234}\n");
    ph_doc_destroy(doc);
}

static void an_empty_document_is_an_object(void **state)
{
    struct ph_doc *doc = ph_doc_create();

    (void)state;
    assert_text(doc, "");
    assert_json(doc, "{}\n");
    ph_doc_destroy(doc);
}

static void strings_are_escaped_in_json_only(void **state)
{
    struct ph_doc *doc = ph_doc_create();

    (void)state;
    ph_doc_text(doc, "text", "Text", "\"a\\b/c\" \xc3\xa9 \xf0\x9f\x90\x8d \x01 </script>");
    assert_text(doc, "Text  \"a\\b/c\" \xc3\xa9 \xf0\x9f\x90\x8d \x01 </script>\n");
    assert_json(doc,
                "{\"text\":\"\\\"a\\\\b/c\\\" \xc3\xa9 \xf0\x9f\x90\x8d \\u0001 </script>\"}\n");
    ph_doc_destroy(doc);
}

static void containers_close_in_order(void **state)
{
    struct ph_doc *doc = ph_doc_create();

    (void)state;
    ph_doc_array_begin(doc, "interpreters");
    for (int i = 0; i < 2; i++) {
        ph_doc_object_begin(doc, NULL);
        ph_doc_count(doc, "id", NULL, i);
        ph_doc_array_begin(doc, "threads");
        ph_doc_object_begin(doc, NULL);
        ph_doc_object_end(doc);
        ph_doc_array_end(doc);
        ph_doc_object_end(doc);
    }
    ph_doc_array_end(doc);
    assert_json(doc,
                "{\"interpreters\":[{\"id\":0,\"threads\":[{}]},{\"id\":1,\"threads\":[{}]}]}\n");
    ph_doc_destroy(doc);
}

/* ---- Tables ---- */

/* A table of up to four columns from literals. */
struct rows {
    const struct ph_value (*values)[4];
    const unsigned *depths;
    size_t columns;
    int freed;
};

static unsigned literal_row(void *ctx, uint64_t i, struct ph_value *values)
{
    const struct rows *rows = ctx;

    memcpy(values, rows->values[i], rows->columns * sizeof *values);
    return rows->depths ? rows->depths[i] : 0;
}

static void count_free(void *ctx)
{
    ((struct rows *)ctx)->freed++;
}

static void tables_align_numbers_right_and_text_left(void **state)
{
    static const struct ph_column columns[] = {
        {"count", "COUNT", 0},
        {"bytes", "BYTES", 0},
        {"exact", "EXACT", PH_COLUMN_EXACT},
        {"type", "TYPE", PH_COLUMN_LAST},
    };
    const struct ph_value values[][4] = {
        {ph_value_count(1234567), ph_value_bytes(2048), ph_value_bytes(2048),
         ph_value_text("d\xc3\xa9t")},
        {ph_value_count(1), ph_value_null(), {PH_VALUE_NONE, {0}}, ph_value_text("x")},
    };
    struct rows rows = {.values = values, .columns = 4};
    struct ph_table table = {
        .key = "types",
        .columns = columns,
        .column_count = 4,
        .row_count = 2,
        .row = literal_row,
        .ctx = &rows,
        .free_ctx = count_free,
    };
    struct ph_doc *doc = ph_doc_create();

    (void)state;
    ph_doc_table(doc, &table);
    assert_text(doc, "    COUNT    BYTES  EXACT  TYPE\n"
                     "1,234,567  2.0 KiB  2,048  d\xc3\xa9t\n"
                     "        1        -         x\n");
    assert_json(
        doc,
        "{\"types\":[{\"count\":1234567,\"bytes\":2048,\"exact\":2048,\"type\":\"d\xc3\xa9t\"},"
        "{\"count\":1,\"bytes\":null,\"type\":\"x\"}]}\n");
    ph_doc_destroy(doc);
    assert_int_equal(rows.freed, 1);
}

static void columns_may_be_for_one_reader_only(void **state)
{
    static const struct ph_column columns[] = {
        {"address", "ADDRESS", 0},
        {"strong", "STRONG", PH_COLUMN_JSON_ONLY},
        {"note", "NOTE", PH_COLUMN_TEXT_ONLY},
    };
    const struct ph_value values[][4] = {
        {ph_value_addr(0x10), ph_value_bool(false), ph_value_text("weak")},
        {ph_value_addr(0x1000), ph_value_bool(true), ph_value_text("")},
    };
    struct rows rows = {.values = values, .columns = 3};
    struct ph_table table = {
        .key = "rows",
        .columns = columns,
        .column_count = 3,
        .row_count = 2,
        .row = literal_row,
        .ctx = &rows,
    };
    struct ph_doc *doc = ph_doc_create();

    (void)state;
    ph_doc_table(doc, &table);
    table.key = NULL;
    table.flags = PH_TABLE_NO_HEADER;
    ph_doc_table(doc, &table);
    table.flags = PH_TABLE_BARE;
    ph_doc_table(doc, &table);
    table.row_count = 0;
    table.flags = 0;
    ph_doc_table(doc, &table);
    assert_text(doc, "ADDRESS  NOTE\n0x10     weak\n0x1000\n"
                     "0x10    weak\n0x1000\n"
                     "0x10\n0x1000\n");
    assert_json(doc, "{\"rows\":[{\"address\":\"0x10\",\"strong\":false},"
                     "{\"address\":\"0x1000\",\"strong\":true}]}\n");
    ph_doc_destroy(doc);
}

static void rows_nest_by_depth(void **state)
{
    static const struct ph_column columns[] = {
        {"label", "LABEL", PH_COLUMN_TREE},
        {"count", "COUNT", 0},
    };
    const struct ph_value values[][4] = {
        {ph_value_text("a"), ph_value_count(1)},   {ph_value_text("aa"), ph_value_count(2)},
        {ph_value_text("aaa"), ph_value_count(3)}, {ph_value_text("b"), ph_value_count(4)},
        {ph_value_text("ba"), ph_value_count(5)},  {ph_value_text("bb"), ph_value_count(6)},
    };
    static const unsigned depths[] = {0, 1, 2, 0, 1, 1};
    struct rows rows = {.values = values, .depths = depths, .columns = 2};
    struct ph_table table = {
        .key = "tree",
        .columns = columns,
        .column_count = 2,
        .row_count = 6,
        .row = literal_row,
        .ctx = &rows,
        .children_key = "kids",
    };
    struct ph_doc *doc = ph_doc_create();

    (void)state;
    ph_doc_table(doc, &table);
    ph_doc_count(doc, "end", NULL, 1);
    assert_text(doc, "LABEL    COUNT\n"
                     "a            1\n"
                     "  aa         2\n"
                     "    aaa      3\n"
                     "b            4\n"
                     "  ba         5\n"
                     "  bb         6\n");
    assert_json(doc,
                "{\"tree\":[{\"label\":\"a\",\"count\":1,\"kids\":[{\"label\":\"aa\",\"count\":2,"
                "\"kids\":[{\"label\":\"aaa\",\"count\":3}]}]},{\"label\":\"b\",\"count\":4,"
                "\"kids\":[{\"label\":\"ba\",\"count\":5},{\"label\":\"bb\",\"count\":6}]}],"
                "\"end\":1}\n");
    ph_doc_destroy(doc);
}

static void long_cells_do_not_widen_the_table(void **state)
{
    static const struct ph_column columns[] = {
        {"type", "TYPE", 0},
        {"count", "COUNT", 0},
        {"summary", "SUMMARY", PH_COLUMN_LAST},
    };
    char name[101], summary[301], expected[1024];
    struct ph_doc *doc = ph_doc_create();

    (void)state;
    memset(name, 'n', 100);
    memset(summary, 's', 300);
    name[100] = summary[300] = '\0';
    const struct ph_value values[][4] = {
        {ph_value_text(name), ph_value_count(1), ph_value_text(summary)},
        {ph_value_text("x"), ph_value_count(22), ph_value_text("y")},
    };
    struct rows rows = {.values = values, .columns = 3};
    ph_doc_table(doc, &(struct ph_table){.key = "t",
                                         .columns = columns,
                                         .column_count = 3,
                                         .row_count = 2,
                                         .row = literal_row,
                                         .ctx = &rows});
    snprintf(expected, sizeof expected,
             "%-60s  COUNT  SUMMARY\n%s      1  %.197s...\n%-60s     22  y\n", "TYPE", name,
             summary, "x");
    assert_text(doc, expected);
    ph_doc_destroy(doc);
}

/* ---- Out of memory ---- */

static void running_out_of_memory_is_noticed(void **state)
{
    (void)state;
    for (unsigned long n = 1; n < 20; n++) {
        ph_alloc_fail_after(n);
        struct ph_doc *doc = ph_doc_create();
        for (int i = 0; doc && i < 3000; i++) {
            ph_doc_object_begin(doc, "object");
            ph_doc_text(doc, "key", "Label", "a text that takes some room in the arena");
            ph_doc_line(doc, "line %d", i);
            ph_doc_object_end(doc);
        }
        ph_alloc_fail_after(0);
        if (doc && ph_doc_failed(doc)) {
            FILE *out = fopen("/dev/null", "w");
            assert_false(ph_doc_write_json(doc, out));
            assert_false(ph_doc_write_text(doc, out));
            fclose(out);
        }
        ph_doc_destroy(doc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_have_thousands_separators),
        cmocka_unit_test(bytes_change_unit_before_four_digits),
        cmocka_unit_test(scalars_align_and_nest),
        cmocka_unit_test(an_empty_document_is_an_object),
        cmocka_unit_test(strings_are_escaped_in_json_only),
        cmocka_unit_test(containers_close_in_order),
        cmocka_unit_test(tables_align_numbers_right_and_text_left),
        cmocka_unit_test(columns_may_be_for_one_reader_only),
        cmocka_unit_test(rows_nest_by_depth),
        cmocka_unit_test(long_cells_do_not_widen_the_table),
        cmocka_unit_test(running_out_of_memory_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
