/* The containers, and the rule by which bytes of a target become text. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/checked.h"
#include "base/map.h"
#include "base/names.h"
#include "base/parallel.h"
#include "base/str.h"

/* ---- Arrays ---- */

static void array_grows_and_keeps_its_items(void **state)
{
    (void)state;
    PH_ARRAY(uint64_t) numbers = {0};
    for (uint64_t i = 0; i < 10000; i++)
        assert_true(ph_array_push(&numbers, i * i));
    assert_int_equal(numbers.count, 10000);
    for (uint64_t i = 0; i < 10000; i++)
        assert_int_equal(numbers.items[i], i * i);
    ph_array_free(&numbers);
    assert_null(numbers.items);
    assert_int_equal(numbers.count, 0);
}

static void array_reserve_makes_room_once(void **state)
{
    (void)state;
    PH_ARRAY(char) bytes = {0};
    assert_true(ph_array_reserve(&bytes, 1000));
    assert_true(bytes.capacity >= 1000);
    const char *before = bytes.items;
    for (int i = 0; i < 1000; i++)
        assert_true(ph_array_push(&bytes, 'x'));
    assert_ptr_equal(bytes.items, before);
    ph_array_free(&bytes);
}

static void array_refuses_what_cannot_be_counted(void **state)
{
    (void)state;
    void *items = NULL;
    uint32_t capacity = 0;
    assert_false(ph_array_grow(&items, &capacity, (uint64_t)UINT32_MAX + 1, 1));
    assert_false(ph_array_grow(&items, &capacity, UINT32_MAX, SIZE_MAX / 2));
    assert_null(items);
    assert_int_equal(capacity, 0);
}

static void failed_growth_leaves_the_array_as_it_was(void **state)
{
    (void)state;
    PH_ARRAY(int) numbers = {0};
    int pushed = 0;
    while (ph_array_push(&numbers, pushed)) {
        pushed++;
        if (pushed == 100)
            ph_alloc_fail_after(1);
    }
    assert_true(pushed >= 100);
    assert_int_equal(numbers.count, pushed);
    for (int i = 0; i < pushed; i++)
        assert_int_equal(numbers.items[i], i);
    assert_true(ph_array_push(&numbers, pushed)); /* only one allocation fails */
    ph_array_free(&numbers);
}

static void the_nth_allocation_fails(void **state)
{
    (void)state;
    for (unsigned long n = 1; n <= 4; n++) {
        ph_alloc_fail_after(n);
        for (unsigned long i = 1; i <= 6; i++) {
            void *memory = i % 2 ? ph_malloc(8) : ph_calloc(2, 4);
            assert_int_equal(memory == NULL, i == n);
            free(memory);
        }
    }
    ph_alloc_fail_after(2);
    ph_alloc_fail_after(0);
    void *memory = ph_realloc(ph_malloc(1), 100);
    assert_non_null(memory);
    free(memory);
}

/* ---- Errors and checked arithmetic ---- */

static void error_carries_status_address_and_a_bounded_message(void **state)
{
    (void)state;
    struct ph_error err;
    assert_int_equal(ph_fail_at(&err, PH_UNREADABLE, 0x1234, "cannot read %d", 7), PH_UNREADABLE);
    assert_int_equal(err.status, PH_UNREADABLE);
    assert_int_equal(err.address, 0x1234);
    assert_string_equal(err.message, "cannot read 7");
    char text[1000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(ph_fail(&err, PH_FAILED, "%s", text), PH_FAILED);
    assert_int_equal(err.address, 0);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(ph_fail(NULL, PH_USAGE, "nobody listens"), PH_USAGE);
}

static void sums_and_products_are_checked(void **state)
{
    (void)state;
    uint64_t out;
    assert_true(ph_add(UINT64_MAX - 1, 1, &out));
    assert_int_equal(out, UINT64_MAX);
    assert_false(ph_add(UINT64_MAX, 1, &out));
    assert_true(ph_mul(UINT32_MAX, UINT32_MAX, &out));
    assert_false(ph_mul((uint64_t)1 << 33, (uint64_t)1 << 31, &out));
    assert_int_equal(ph_add_saturated(UINT64_MAX, 5), UINT64_MAX);
    assert_int_equal(ph_add_saturated(2, 5), 7);
}

/* ---- Strings ---- */

static void string_appends_formats_and_clears(void **state)
{
    (void)state;
    struct ph_str s = {0};
    assert_string_equal(ph_str_text(&s), "");
    ph_str_append(&s, "ab");
    ph_str_append_len(&s, "cde", 2);
    ph_str_appendf(&s, "%d-%s", 42, "x");
    assert_string_equal(ph_str_text(&s), "abcd42-x");
    assert_int_equal(s.len, 8);
    ph_str_clear(&s);
    assert_string_equal(ph_str_text(&s), "");
    for (int i = 0; i < 1000; i++)
        ph_str_appendf(&s, "%03d", i % 1000);
    assert_int_equal(s.len, 3000);
    assert_memory_equal(s.data + 2997, "999", 4);
    ph_str_free(&s);
}

static void string_survives_lack_of_memory(void **state)
{
    (void)state;
    struct ph_str s = {0};
    ph_str_append(&s, "kept");
    char large[500];
    memset(large, 'x', sizeof large);
    ph_alloc_fail_after(1);
    ph_str_append_len(&s, large, sizeof large);
    assert_true(s.failed);
    assert_string_equal(ph_str_text(&s), "kept");
    ph_alloc_fail_after(1);
    ph_str_appendf(&s, "%0500d", 1);
    assert_string_equal(ph_str_text(&s), "kept");
    ph_alloc_fail_after(0);
    ph_str_free(&s);
}

struct visible_case {
    const char *bytes;
    const char *text;
};

/* What Python's repr() would write between the quotes, except that quotes and backslashes stay. */
static const struct visible_case visible_cases[] = {
    {"plain ASCII, 'quotes' \\ ~", "plain ASCII, 'quotes' \\ ~"},
    {"\t\n\r", "\\t\\n\\r"},
    {"\x01\x1b[31m\x7f", "\\x01\\x1b[31m\\x7f"},
    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
    {"\xe2\x82\xac \xf0\x9f\x90\x8d", "\xe2\x82\xac \xf0\x9f\x90\x8d"},
    {"\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\\x80\\x9b\\x9f\\xa0"}, /* C1 controls, NBSP */
    {"\xe2\x80\xae\xe2\x80\xaa\xe2\x81\xa6\xe2\x81\xa9", "\\u202e\\u202a\\u2066\\u2069"},
    {"\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c", "\\u200e\\u200f\\u061c"},
    {"\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf", "\\u2028\\u2029\\ufeff"},
    {"\xe2\x80\xa7\xe2\x80\xb0", "\xe2\x80\xa7\xe2\x80\xb0"}, /* the neighbours of those */
    {"\xed\xa0\x80\xed\xbf\xbf", "\\ud800\\udfff"},
    {"\xee\x80\x80\xf3\xa0\x80\x81", "\\ue000\\U000e0001"},
    {"a\xff\xfe z", "a\\xff\\xfe z"},
    {"\xc3(", "\\xc3("},
    {"\xc0\xaf\xe0\x80\xaf", "\\xc0\\xaf\\xe0\\x80\\xaf"}, /* overlong */
    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},          /* past U+10FFFF */
    {"\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"},
    {"cut \xe2\x82", "cut \\xe2\\x82"},
    {"cut \xf0\x9f\x90", "cut \\xf0\\x9f\\x90"},
    {"\x80\xbf", "\\x80\\xbf"},
};

static void target_bytes_become_visible(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof visible_cases / sizeof *visible_cases; i++) {
        struct ph_str s = {0};
        ph_str_append_visible(&s, visible_cases[i].bytes, strlen(visible_cases[i].bytes));
        assert_string_equal(ph_str_text(&s), visible_cases[i].text);
        ph_str_free(&s);
    }
    struct ph_str s = {0};
    ph_str_append_visible(&s, "a\0b", 3);
    assert_string_equal(ph_str_text(&s), "a\\x00b");
    ph_str_free(&s);
}

static void whatever_comes_the_result_is_printable_utf8(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (int round = 0; round < 20000; round++) {
        unsigned char bytes[24];
        for (size_t i = 0; i < sizeof bytes; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            bytes[i] = (unsigned char)(random >> 40);
        }
        struct ph_str once = {0}, twice = {0};
        ph_str_append_visible(&once, bytes, sizeof bytes);
        ph_str_append_visible(&twice, once.data, once.len);
        assert_string_equal(ph_str_text(&once), ph_str_text(&twice));
        ph_str_free(&once);
        ph_str_free(&twice);
    }
}

static void code_points_follow_the_same_rule(void **state)
{
    (void)state;
    struct ph_str s = {0};
    const uint32_t points[] = {'a', 0xe9, 0x20ac, 0x1f40d, 0xd800, 0x202e, 0x110000, 0x9b, 0xffff};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        ph_str_append_codepoint(&s, points[i]);
    assert_string_equal(ph_str_text(&s), "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8d\\ud800\\u202e"
                                         "\\U00110000\\x9b\\uffff");
    ph_str_free(&s);
}

/* ---- Arenas ---- */

static void arena_memory_is_aligned_zeroed_and_apart(void **state)
{
    (void)state;
    struct ph_arena arena = {0};
    unsigned char *all[500];
    size_t sizes[500];
    for (size_t i = 0; i < 500; i++) {
        sizes[i] = i % 50 == 49 ? 300000 : (i * 37) % 700;
        all[i] = ph_arena_alloc(&arena, sizes[i]);
        assert_non_null(all[i]);
        assert_int_equal((uintptr_t)all[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(all[i][k], 0);
        memset(all[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < 500; i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(all[i][k], (unsigned char)i);
    }
    assert_true(arena.used_bytes >= 3000000);
    ph_arena_free(&arena);
    assert_int_equal(arena.used_bytes, 0);
}

static void arena_copies_strings(void **state)
{
    (void)state;
    struct ph_arena arena = {0};
    assert_string_equal(ph_arena_strdup(&arena, "hello"), "hello");
    assert_string_equal(ph_arena_strndup(&arena, "hello", 3), "hel");
    assert_string_equal(ph_arena_strndup(&arena, "", 0), "");
    assert_null(ph_arena_alloc(&arena, SIZE_MAX));
    assert_null(ph_arena_strndup(&arena, "x", SIZE_MAX));
    ph_alloc_fail_after(1);
    assert_null(ph_arena_alloc(&arena, 1 << 20));
    assert_non_null(ph_arena_alloc(&arena, 1 << 20));
    ph_arena_free(&arena);
}

/* ---- Maps ---- */

static void map_finds_what_was_inserted(void **state)
{
    (void)state;
    struct ph_map map = {0};
    uint32_t value = 77;
    assert_false(ph_map_find(&map, 16, &value));
    for (uint32_t i = 1; i <= 100000; i++)
        assert_true(ph_map_insert(&map, (uint64_t)i * 16 + 0x7f0000000000, i));
    assert_int_equal(map.count, 100000);
    for (uint32_t i = 1; i <= 100000; i++) {
        assert_true(ph_map_find(&map, (uint64_t)i * 16 + 0x7f0000000000, &value));
        assert_int_equal(value, i);
        assert_false(ph_map_find(&map, (uint64_t)i * 16 + 0x7f0000000008, NULL));
    }
    assert_true(ph_map_insert(&map, 0x7f0000000010, 5)); /* replaces */
    assert_int_equal(map.count, 100000);
    assert_true(ph_map_find(&map, 0x7f0000000010, &value));
    assert_int_equal(value, 5);
    assert_false(ph_map_insert(&map, 0, 1));
    assert_false(ph_map_find(&map, 0, NULL));
    ph_map_free(&map);
}

static void map_adds_zero_at_first_sight(void **state)
{
    (void)state;
    struct ph_map map = {0};
    bool added = false;
    uint32_t *value = ph_map_at(&map, UINT64_MAX, &added);
    assert_true(added);
    assert_int_equal(*value, 0);
    *value = 9;
    assert_int_equal(*ph_map_at(&map, UINT64_MAX, &added), 9);
    assert_false(added);
    assert_int_equal(map.count, 1);
    ph_map_free(&map);
}

static void map_iterates_over_all(void **state)
{
    (void)state;
    struct ph_map map = {0};
    uint64_t key, sum = 0, at_sum = 0;
    uint32_t value, seen = 0;
    size_t at = 0;
    assert_false(ph_map_next(&map, &at, &key, &value));
    for (uint32_t i = 1; i <= 777; i++)
        assert_true(ph_map_insert(&map, i, i * 2));
    while (ph_map_next(&map, &at, &key, &value)) {
        assert_int_equal(value, key * 2);
        at_sum += key;
        seen++;
    }
    for (uint32_t i = 1; i <= 777; i++)
        sum += i;
    assert_int_equal(seen, 777);
    assert_int_equal(at_sum, sum);
    ph_map_free(&map);
}

static void map_survives_lack_of_memory(void **state)
{
    (void)state;
    struct ph_map map = {0};
    ph_alloc_fail_after(1);
    assert_false(ph_map_insert(&map, 1, 1));
    assert_int_equal(map.count, 0);
    uint32_t inserted = 0;
    while (ph_map_insert(&map, inserted + 1, inserted)) {
        if (++inserted == 20)
            ph_alloc_fail_after(1); /* the next time that it grows */
    }
    assert_int_equal(map.count, inserted);
    for (uint32_t i = 0; i < inserted; i++)
        assert_true(ph_map_find(&map, i + 1, NULL));
    ph_map_free(&map);
}

static void map_reserves(void **state)
{
    (void)state;
    struct ph_map map = {0};
    assert_true(ph_map_reserve(&map, 1000));
    ph_alloc_fail_after(1);
    for (uint32_t i = 1; i <= 1000; i++)
        assert_true(ph_map_insert(&map, i, i));
    ph_alloc_fail_after(0);
    ph_map_free(&map);
}

/* ---- Workers ---- */

enum { NUMBERS = 100003, PIECE = 97 };

struct job {
    struct ph_pieces pieces;
    unsigned char taken[NUMBERS];
    unsigned workers; /* a bit for each that was called */
    unsigned signals; /* that a worker of a thread of its own would get */
};

static void take_numbers(void *ctx, unsigned worker)
{
    struct job *job = ctx;
    sigset_t blocked;
    uint64_t start, end;
    __atomic_fetch_or(&job->workers, 1u << worker, __ATOMIC_RELAXED);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (worker && !sigismember(&blocked, SIGINT))
        __atomic_fetch_add(&job->signals, 1, __ATOMIC_RELAXED);
    while (ph_pieces_next(&job->pieces, &start, &end)) {
        assert_true(start < end && end - start <= PIECE);
        for (; start < end; start++)
            job->taken[start]++;
    }
}

static void workers_take_each_number_once(void **state)
{
    (void)state;
    assert_in_range(ph_worker_count(), 1, PH_MOST_WORKERS);
    for (unsigned workers = 1; workers <= PH_MOST_WORKERS; workers++) {
        static struct job job;
        memset(&job, 0, sizeof job);
        job.pieces = (struct ph_pieces){.count = NUMBERS, .piece = PIECE};
        ph_parallel(workers, take_numbers, &job);
        for (size_t i = 0; i < NUMBERS; i++)
            assert_int_equal(job.taken[i], 1);
        assert_int_equal(job.workers, (1u << workers) - 1);
        assert_int_equal(job.signals, 0);
    }
}

static void what_is_stopped_hands_out_no_more(void **state)
{
    struct ph_pieces pieces = {.count = NUMBERS, .piece = PIECE};
    uint64_t start, end;
    (void)state;
    assert_true(ph_pieces_next(&pieces, &start, &end));
    ph_pieces_stop(&pieces);
    assert_false(ph_pieces_next(&pieces, &start, &end));
}

static void names_are_kept_once(void **state)
{
    struct ph_names names = {0};
    char text[32];
    uint32_t id;
    (void)state;
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 5000; i++) {
            snprintf(text, sizeof text, "name %u", i);
            assert_true(ph_names_id(&names, text, &id));
            assert_int_equal(id, i);
        }
    }
    assert_int_equal(names.count, 5000);
    assert_string_equal(names.items[4711], "name 4711");
    ph_alloc_fail_after(1);
    assert_true(ph_names_id(&names, "name 3", &id));
    ph_alloc_fail_after(0);
    ph_names_free(&names);
    ph_alloc_fail_after(1);
    assert_false(ph_names_id(&names, "", &id));
    ph_alloc_fail_after(0);
    assert_true(ph_names_id(&names, "", &id));
    assert_int_equal(id, 0);
    ph_names_free(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(array_grows_and_keeps_its_items),
        cmocka_unit_test(array_reserve_makes_room_once),
        cmocka_unit_test(array_refuses_what_cannot_be_counted),
        cmocka_unit_test(failed_growth_leaves_the_array_as_it_was),
        cmocka_unit_test(the_nth_allocation_fails),
        cmocka_unit_test(error_carries_status_address_and_a_bounded_message),
        cmocka_unit_test(sums_and_products_are_checked),
        cmocka_unit_test(string_appends_formats_and_clears),
        cmocka_unit_test(string_survives_lack_of_memory),
        cmocka_unit_test(target_bytes_become_visible),
        cmocka_unit_test(whatever_comes_the_result_is_printable_utf8),
        cmocka_unit_test(code_points_follow_the_same_rule),
        cmocka_unit_test(arena_memory_is_aligned_zeroed_and_apart),
        cmocka_unit_test(arena_copies_strings),
        cmocka_unit_test(map_finds_what_was_inserted),
        cmocka_unit_test(map_adds_zero_at_first_sight),
        cmocka_unit_test(map_iterates_over_all),
        cmocka_unit_test(map_survives_lack_of_memory),
        cmocka_unit_test(map_reserves),
        cmocka_unit_test(workers_take_each_number_once),
        cmocka_unit_test(what_is_stopped_hands_out_no_more),
        cmocka_unit_test(names_are_kept_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
