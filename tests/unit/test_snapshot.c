/*
 * Snapshot files as docs/SNAPSHOT.md describes them, made here byte by byte: read, compared, cut,
 * damaged, and lying.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/growth.h"

/* ---- a file made by hand ---- */

struct bytes {
    uint8_t at[8192];
    size_t len;
};

struct section {
    char tag[5];
    struct bytes payload;
};

struct image {
    struct section sections[16];
    size_t count;
};

static void put(struct bytes *b, const void *bytes, size_t len)
{
    assert_true(b->len + len <= sizeof b->at);
    memcpy(b->at + b->len, bytes, len);
    b->len += len;
}

/* LEB128, as DWARF and WebAssembly have it. */
static void put_number(struct bytes *b, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        put(b, &byte, 1);
        value >>= 7;
    } while (value);
}

static void put_numbers(struct bytes *b, size_t count, const uint64_t *values)
{
    for (size_t i = 0; i < count; i++)
        put_number(b, values[i]);
}
#define PUT(b, ...)                                                                                \
    put_numbers(b, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), (uint64_t[]){__VA_ARGS__})

static void put_text(struct bytes *b, const char *text)
{
    put_number(b, strlen(text));
    put(b, text, strlen(text));
}

static void put_fixed(struct bytes *b, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++, value >>= 8)
        put(b, &(uint8_t){(uint8_t)value}, 1);
}

static struct bytes *add(struct image *image, const char *tag)
{
    struct section *s = &image->sections[image->count++];
    memcpy(s->tag, tag, 5);
    s->payload.len = 0;
    return &s->payload;
}

static uint32_t fnv(uint32_t hash, const uint8_t *at, size_t len)
{
    while (len--)
        hash = (hash ^ *at++) * 16777619u;
    return hash;
}

static void assemble(const struct image *image, struct bytes *out)
{
    out->len = 0;
    put(out, "\x89PYHEAP\n", 8);
    put_fixed(out, 1, 4);
    for (size_t i = 0; i < image->count; i++) {
        const struct section *s = &image->sections[i];
        struct bytes summed = {.len = 0};
        put(&summed, s->tag, 4);
        put_fixed(&summed, s->payload.len, 8);
        put(&summed, s->payload.at, s->payload.len);
        put(out, s->tag, 4);
        put_fixed(out, fnv(2166136261u, summed.at, summed.len), 4);
        put_fixed(out, s->payload.len, 8);
        put(out, s->payload.at, s->payload.len);
    }
}

enum { DICT, STR, NODE };

/* A process of six objects, with sites and holders; `later` as it is at a second stop. */
static void make_image(struct image *image, bool later)
{
    struct bytes *b;
    image->count = 0;
    b = add(image, "PROC");
    /* flags, objects, time 7 s, live, pid, start, anchor, interpreter, build */
    PUT(b, 3, 6, 14, 0, 4711, 99, 0x500000, 0x600000, 0);
    put_text(b, "3.11.7");
    put_text(b, "/usr/bin/python3");
    b = add(image, "TYPE");
    put_number(b, 3);
    put_number(b, 0x1000);
    put_text(b, "dict");
    put_number(b, 0x2000);
    put_text(b, "str");
    put_number(b, 0x3000);
    put_text(b, "__main__.Node\x1b");
    b = add(image, "NEWS"); /* of a later minor change */
    put_text(b, "what nobody knows yet");
    b = add(image, "FILE");
    put_number(b, 2);
    put_text(b, "app.py");
    put_text(b, "lib.py");
    b = add(image, "SITE");
    PUT(b, 2, 3);
    PUT(b, 0, 12, 2, 1, NODE, later ? 4 : 2, 100, 0, 0, 1, 8); /* app.py:12: Nodes, raw memory */
    PUT(b, 1, 40, 1, 2, DICT, 1, later ? 300 : 200);           /* lib.py:40: a buffer of a dict */
    b = add(image, "HOLD");
    put_number(b, 2);
    put_text(b, "app.CACHE");
    put_text(b, "local rows in main (app.py)");
    b = add(image, "OBJS");
    /* address, type, bytes, allocated less bytes, identity, site, holder */
    put_number(b, 4);
    PUT(b, 0x10000, DICT, 64, 32, 0, 0, 1);
    PUT(b, 0x40, STR, 50, 1, later ? 4242 : 1717, 0, 1); /* another value at its place */
    PUT(b, 0x40, NODE, 48, 0, 0, 1, 1);
    PUT(b, 0x40, NODE, 48, 0, 0, later ? 2 : 1, 2); /* another site */
    b = add(image, "OBJS");
    put_number(b, 2);
    PUT(b, later ? 0x20040 : 0x20000, NODE, 48, 0, 0, 1, 2); /* another place */
    PUT(b, 0x1000, later ? STR : NODE, 48, 0, 0, 0, 0);      /* another type, or place */
    b = add(image, "END\n");
    put_number(b, 6);
}

/* ---- reading ---- */

static FILE *file_of(const struct bytes *bytes)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(bytes->at, 1, bytes->len, file), bytes->len);
    rewind(file);
    return file;
}

static void check_message(const struct ph_error *err)
{
    assert_true(err->message[0]);
    assert_null(strchr(err->message, '\n'));
}

/* Read all of it; what the first failure is. */
static enum ph_status read_through(const struct bytes *bytes, struct ph_error *err)
{
    FILE *file = file_of(bytes);
    struct ph_saved saved;
    struct ph_saved_object object;
    bool more = true;
    enum ph_status status = ph_saved_open(file, "a.snapshot", &saved, err);
    while (!status && more)
        status = ph_saved_next(&saved, &object, &more, err);
    ph_saved_free(&saved);
    fclose(file);
    if (status)
        check_message(err);
    return status;
}

static void test_reading(void **state)
{
    struct image image;
    struct bytes bytes;
    struct ph_saved s;
    struct ph_saved_object o;
    struct ph_error err;
    bool more;
    (void)state;
    make_image(&image, false);
    assemble(&image, &bytes);
    FILE *file = file_of(&bytes);
    assert_int_equal(ph_saved_open(file, "a.snapshot", &s, &err), PH_OK);
    assert_int_equal(s.process.pid, 4711);
    assert_int_equal(s.process.saved_at, 7);
    assert_int_equal(s.process.start_time, 99);
    assert_string_equal(s.process.version, "3.11.7");
    assert_string_equal(s.process.path, "/usr/bin/python3");
    assert_int_equal(s.types.count, 3);
    assert_string_equal(s.types.items[NODE].name, "__main__.Node\\x1b");
    assert_int_equal(s.sites.count, 2);
    assert_string_equal(s.sites.items[1].file, "lib.py");
    assert_int_equal(s.sites.items[1].line, 40);
    assert_int_equal(s.sums.count, 3);
    assert_int_equal(s.sums.items[2].site, 1);
    assert_int_equal(s.sums.items[2].bytes, 200);
    assert_string_equal(s.holders.items[0], "app.CACHE");
    assert_int_equal(ph_saved_next(&s, &o, &more, &err), PH_OK);
    assert_int_equal(o.address, 0x10000);
    assert_int_equal(o.allocated, 64 + 16);
    assert_int_equal(o.site, PH_NO_PLACE);
    assert_int_equal(o.holder, 0);
    assert_int_equal(ph_saved_next(&s, &o, &more, &err), PH_OK);
    assert_int_equal(o.address, 0x10040);
    assert_int_equal(o.allocated, 50 - 1);
    assert_int_equal(o.identity, 1717);
    ph_saved_free(&s);
    fclose(file);
    assert_int_equal(read_through(&bytes, &err), PH_OK);
}

/* ---- damage ---- */

static void test_cut_everywhere(void **state)
{
    struct image image;
    struct bytes bytes;
    struct ph_error err;
    (void)state;
    make_image(&image, false);
    assemble(&image, &bytes);
    size_t whole = bytes.len;
    for (bytes.len = 0; bytes.len < whole; bytes.len++)
        assert_int_equal(read_through(&bytes, &err), PH_BAD_DATA);
    assert_int_equal(read_through(&bytes, &err), PH_OK);
}

static void test_each_bit_flipped(void **state)
{
    struct image image;
    struct bytes bytes;
    struct ph_error err;
    (void)state;
    make_image(&image, false);
    assemble(&image, &bytes);
    for (size_t i = 0; i < bytes.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes.at[i] ^= (uint8_t)(1 << bit);
            enum ph_status status = read_through(&bytes, &err);
            bytes.at[i] ^= (uint8_t)(1 << bit);
            assert_true(status == PH_BAD_DATA || status == PH_UNSUPPORTED);
        }
    }
}

static void test_other_versions(void **state)
{
    struct image image;
    struct bytes bytes;
    struct ph_error err;
    (void)state;
    make_image(&image, false);
    assemble(&image, &bytes);
    bytes.at[8] = 2;
    assert_int_equal(read_through(&bytes, &err), PH_UNSUPPORTED);
    assert_non_null(strstr(err.message, "format 2"));
    bytes.at[0] = 'P';
    assert_int_equal(read_through(&bytes, &err), PH_BAD_DATA);
    assert_non_null(strstr(err.message, "no snapshot"));
}

/* ---- lies: the checksums are right, and the numbers are not ---- */

static void compare_with(const struct bytes *a, const struct bytes *b,
                         const struct ph_growth_question *question)
{
    struct ph_saved before, after;
    struct ph_growth growth;
    struct ph_error err;
    FILE *files[] = {file_of(a), file_of(b)};
    enum ph_status status = ph_saved_open(files[0], "a", &before, &err);
    enum ph_status other = ph_saved_open(files[1], "b", &after, &err);
    if (!status && !other) {
        status = ph_growth_measure(&before, &after, question, NULL, &growth, &err);
        if (!status)
            ph_growth_free(&growth);
    }
    if (status || other)
        check_message(&err);
    ph_saved_free(&before);
    ph_saved_free(&after);
    fclose(files[0]);
    fclose(files[1]);
}

static void test_lies(void **state)
{
    static const uint8_t values[] = {0, 1, 2, 5, 0x7f, 0x80, 0xff};
    static struct image image;
    struct bytes whole, bytes;
    (void)state;
    make_image(&image, false);
    assemble(&image, &whole);
    for (size_t s = 0; s < image.count; s++) {
        struct bytes *payload = &image.sections[s].payload;
        for (size_t i = 0; i < payload->len; i++) {
            uint8_t right = payload->at[i];
            for (size_t v = 0; v < sizeof values; v++) {
                payload->at[i] = values[v];
                assemble(&image, &bytes);
                struct ph_growth_question question = {
                    .group = (enum ph_growth_group)((i + v) % 4),
                    .type_glob = i % 3 ? NULL : "*t*",
                    .list_new = true,
                };
                compare_with(&bytes, &whole, &question);
                compare_with(&whole, &bytes, &question);
            }
            payload->at[i] = right;
        }
    }
}

/* Counts and lengths that no file of this size can have, where the next of the file says so. */
static void test_absurd_counts(void **state)
{
    static const uint64_t counts[] = {7, 1 << 20, UINT32_MAX, 1ull << 40, UINT64_MAX};
    static const char *const tags[] = {"TYPE", "FILE", "SITE", "HOLD", "OBJS", "END\n"};
    struct image image;
    struct bytes bytes;
    struct ph_error err;
    (void)state;
    for (size_t t = 0; t < sizeof tags / sizeof *tags; t++) {
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            make_image(&image, false);
            for (size_t s = 0; s < image.count; s++) {
                if (strcmp(image.sections[s].tag, tags[t]) != 0)
                    continue;
                struct bytes rest = image.sections[s].payload;
                image.sections[s].payload.len = 0;
                put_number(&image.sections[s].payload, counts[c]);
                put(&image.sections[s].payload, rest.at + 1, rest.len - 1);
            }
            assemble(&image, &bytes);
            assert_int_equal(read_through(&bytes, &err), PH_BAD_DATA);
        }
    }
}

static void test_order_of_sections(void **state)
{
    struct image image;
    struct bytes bytes;
    struct ph_error err;
    (void)state;
    for (size_t i = 0; i + 1 < 9; i++) {
        make_image(&image, false);
        struct section swapped = image.sections[i];
        bool unknown =
            strcmp(swapped.tag, "NEWS") == 0 || strcmp(image.sections[i + 1].tag, "NEWS") == 0;
        image.sections[i] = image.sections[i + 1];
        image.sections[i + 1] = swapped;
        assemble(&image, &bytes);
        assert_int_equal(read_through(&bytes, &err), unknown ? PH_OK : PH_BAD_DATA);
    }
    make_image(&image, false);
    image.sections[image.count++] = image.sections[1]; /* behind the end nobody looks */
    assemble(&image, &bytes);
    assert_int_equal(read_through(&bytes, &err), PH_OK);
    for (size_t i = 0; i < 9; i++) { /* one section too few */
        make_image(&image, false);
        if (strcmp(image.sections[i].tag, "NEWS") == 0)
            continue;
        memmove(&image.sections[i], &image.sections[i + 1],
                (image.count - i - 1) * sizeof *image.sections);
        image.count--;
        assemble(&image, &bytes);
        assert_int_equal(read_through(&bytes, &err), PH_BAD_DATA);
    }
}

/* ---- growth ---- */

struct pair {
    FILE *files[2];
    struct ph_saved before, after;
    struct ph_growth growth;
};

static void measure(struct pair *p, uint64_t pid, const struct ph_growth_question *question)
{
    struct image image;
    struct bytes bytes;
    struct ph_error err;
    struct ph_saved *sides[] = {&p->before, &p->after};
    for (int i = 0; i < 2; i++) {
        make_image(&image, i);
        if (i) {
            struct bytes *b = &image.sections[0].payload;
            b->len = 0;
            PUT(b, 3, 6, 14, 0, pid, 99, 0x500000, 0x600000, 0);
            put_text(b, "3.11.7");
            put_text(b, "/usr/bin/python3");
        }
        assemble(&image, &bytes);
        p->files[i] = file_of(&bytes);
        assert_int_equal(ph_saved_open(p->files[i], "a", sides[i], &err), PH_OK);
    }
    assert_int_equal(ph_growth_measure(&p->before, &p->after, question, NULL, &p->growth, &err),
                     PH_OK);
}

static void release(struct pair *p)
{
    ph_growth_free(&p->growth);
    ph_saved_free(&p->before);
    ph_saved_free(&p->after);
    fclose(p->files[0]);
    fclose(p->files[1]);
}

static const struct ph_growth_row *row_of(const struct ph_growth *growth, const char *name)
{
    for (uint32_t i = 0; i < growth->rows.count; i++) {
        if (strcmp(growth->rows.items[i].name, name) == 0)
            return &growth->rows.items[i];
    }
    fail_msg("no row %s", name);
    return NULL;
}

static void check_row(const struct ph_growth *growth, const char *name, uint64_t before,
                      uint64_t after, uint64_t created, uint64_t gone)
{
    const struct ph_growth_row *row = row_of(growth, name);
    assert_int_equal(row->before.count, before);
    assert_int_equal(row->after.count, after);
    assert_int_equal(row->created, created);
    assert_int_equal(row->gone, gone);
}

static void test_growth_by_type(void **state)
{
    struct pair p;
    (void)state;
    measure(&p, 4711, &(struct ph_growth_question){.list_new = true});
    assert_true(p.growth.same_process && p.growth.has_objects);
    assert_int_equal(p.growth.rows.count, 3);
    check_row(&p.growth, "dict", 1, 1, 0, 0);
    check_row(&p.growth, "str", 1, 2, 2, 1);
    check_row(&p.growth, "__main__.Node\\x1b", 4, 3, 2, 3);
    assert_int_equal(p.growth.objects.count, 4);
    assert_int_equal(p.growth.objects.items[0].address, 0x10040); /* the largest first */
    assert_int_equal(p.growth.objects.items[1].address, 0x100c0);
    release(&p);
    measure(&p, 4711, &(struct ph_growth_question){.type_glob = "s*"});
    assert_int_equal(p.growth.rows.count, 1);
    check_row(&p.growth, "str", 1, 2, 2, 1);
    release(&p);
}

static void test_growth_of_two_processes(void **state)
{
    struct pair p;
    (void)state;
    measure(&p, 4712, &(struct ph_growth_question){0});
    assert_false(p.growth.same_process || p.growth.has_objects);
    assert_int_equal(row_of(&p.growth, "str")->after.count, 2);
    release(&p);
}

static void test_growth_by_site_and_holder(void **state)
{
    struct pair p;
    (void)state;
    measure(&p, 4711, &(struct ph_growth_question){.group = PH_GROWTH_BY_LINE});
    check_row(&p.growth, "app.py", 3, 5, 0, 0);
    assert_int_equal(p.growth.rows.items[0].line, 40); /* the most bytes */
    release(&p);
    measure(&p, 4711,
            &(struct ph_growth_question){.group = PH_GROWTH_BY_FILE, .type_glob = "*Node*"});
    assert_int_equal(p.growth.rows.count, 1);
    check_row(&p.growth, "app.py", 2, 4, 0, 0);
    release(&p);
    measure(&p, 4711, &(struct ph_growth_question){.group = PH_GROWTH_BY_HOLDER});
    check_row(&p.growth, "app.CACHE", 3, 3, 1, 1);
    check_row(&p.growth, "local rows in main (app.py)", 2, 2, 2, 2);
    check_row(&p.growth, "(unknown)", 1, 1, 1, 1);
    release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_each_bit_flipped),
        cmocka_unit_test(test_other_versions),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_absurd_counts),
        cmocka_unit_test(test_order_of_sections),
        cmocka_unit_test(test_growth_by_type),
        cmocka_unit_test(test_growth_of_two_processes),
        cmocka_unit_test(test_growth_by_site_and_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
