/* What is read of a live process: memory of a child, with blocks like malloc's and pools in it. */
#include "heap/sieve.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)
enum { PAGE = 4096, POOL = 16384, HEADER = 48, REGION_MIB = 96, IS_MMAPPED = 2, KEPT = 1 << 16 };
static const uint64_t POOL_MARK = 0x706f6f6c21;

static bool is_pool(void *ctx, const uint8_t *header, ph_addr address)
{
    uint64_t words[2];
    (void)ctx;
    memcpy(words, header, sizeof words);
    return words[0] == POOL_MARK && words[1] == address;
}

/* A region of its own, at a multiple of a pool. */
static unsigned char *map_region(void)
{
    size_t bytes = REGION_MIB * MIB;
    unsigned char *all = mmap(NULL, bytes + 2 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(all != MAP_FAILED);
    unsigned char *region = all + MIB - (uintptr_t)all % MIB;
    assert_int_equal(mprotect(region, bytes, PROT_READ | PROT_WRITE), 0);
    return region;
}

static void put_pool(unsigned char *at)
{
    uint64_t words[2] = {POOL_MARK, (uintptr_t)at};
    memcpy(at, words, sizeof words);
}

static void put_block(unsigned char *at, size_t bytes, unsigned flags)
{
    uint64_t words[2] = {0, bytes | flags};
    memcpy(at, words, sizeof words);
}

static struct ph_target *open_child(pid_t *child)
{
    struct ph_error err = {0};
    struct ph_target *target;
    *child = fork();
    while (*child == 0)
        pause();
    assert_int_equal(ph_target_open_live(*child, true, NULL, &target, &err), PH_OK);
    return target;
}

static void close_child(pid_t child, struct ph_target *target)
{
    ph_target_close(target);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* The ranges of the region, seen from outside. */
static struct ph_ranges sieve(const unsigned char *region)
{
    pid_t child;
    struct ph_target *target = open_child(&child);
    struct ph_ranges ranges = {0};
    struct ph_python python = {.target = target, .wide = true};
    struct ph_sieve s = {
        .python = &python, .pool_bytes = POOL, .header_bytes = HEADER, .is_pool = is_pool};
    const struct ph_region *found = ph_target_region_at(target, (uintptr_t)region);
    assert_non_null(found);
    assert_int_equal(found->end - found->start, REGION_MIB * MIB);
    assert_int_equal(ph_sieve_region(&s, found, &ranges), PH_OK);
    close_child(child, target);
    return ranges;
}

/* Whether the ranges are these: pairs of places in the region, up to a pair of zeros. */
static void check(const unsigned char *region, const size_t (*expected)[2])
{
    struct ph_ranges ranges = sieve(region);
    uint32_t i = 0;
    for (; expected[i][1]; i++) {
        assert_true(i < ranges.count);
        assert_int_equal(ranges.items[i].start - (uintptr_t)region, expected[i][0]);
        assert_int_equal(ranges.items[i].end - (uintptr_t)region, expected[i][1]);
    }
    assert_int_equal(ranges.count, i);
    ph_array_free(&ranges);
    munmap((void *)region, REGION_MIB * MIB);
}

static const size_t whole[][2] = {{0, REGION_MIB *MIB}, {0, 0}};

static void test_nothing_there(void **state)
{
    (void)state;
    check(map_region(), whole);
}

static void test_blocks_are_left_out(void **state)
{
    (void)state;
    unsigned char *region = map_region();
    put_block(region + 3 * PAGE, 40 * MIB, IS_MMAPPED);
    put_block(region + 3 * PAGE + 40 * MIB, 20 * MIB, IS_MMAPPED);
    size_t first = 3 * PAGE, second = first + 40 * MIB;
    check(region, (const size_t[][2]){{0, first + KEPT},
                                      {second, second + KEPT},
                                      {second + 20 * MIB, REGION_MIB * MIB},
                                      {0, 0}});
}

/* The stretches of a MiB that have pools are read; and behind a pool the block is not believed in.
 */
static void test_no_pool_is_left_out(void **state)
{
    (void)state;
    unsigned char *region = map_region();
    put_block(region, 90 * MIB, IS_MMAPPED);
    put_pool(region + 30 * MIB + 5 * POOL);
    put_pool(region + 45 * MIB + 63 * POOL);
    check(region, (const size_t[][2]){{0, KEPT}, {30 * MIB, REGION_MIB * MIB}, {0, 0}});
}

/* A list's items, and a tuple; of bytes, which are an object too, only the type is a reference. */
static void test_what_refers_is_read(void **state)
{
    (void)state;
    unsigned char *region = map_region();
    const uint64_t list[] = {0, (20 * MIB) | IS_MMAPPED, 0, 0, (uintptr_t)region, 0};
    const uint64_t bytes[] = {0, (20 * MIB) | IS_MMAPPED, 1, (uintptr_t)region, 1000, 0x1234567};
    const uint64_t tuple[] = {0, (20 * MIB) | IS_MMAPPED, 1, (uintptr_t)region,
                              2, (uintptr_t)region};
    memcpy(region, list, sizeof list);
    memcpy(region + 20 * MIB, bytes, sizeof bytes);
    memcpy(region + 40 * MIB, tuple, sizeof tuple);
    check(region, (const size_t[][2]){{0, 20 * MIB + KEPT}, {40 * MIB, REGION_MIB * MIB}, {0, 0}});
}

static void test_what_is_no_block(void **state)
{
    (void)state;
    unsigned char *region = map_region();
    put_block(region, 40 * MIB, 0);                             /* of an arena */
    put_block(region + 1 * PAGE, 40 * MIB, IS_MMAPPED | 4);     /* no such flags together */
    put_block(region + 2 * PAGE, 40 * MIB + 8, IS_MMAPPED);     /* no whole pages */
    put_block(region + 3 * PAGE, MIB / 2, IS_MMAPPED);          /* not worth it */
    put_block(region + 4 * PAGE, REGION_MIB * MIB, IS_MMAPPED); /* more than there is */
    put_block(region + 5 * PAGE + 16, 40 * MIB, IS_MMAPPED);    /* not where a page begins */
    put_block(region + 6 * PAGE, (size_t)0 - PAGE, IS_MMAPPED); /* wraps around */
    put_block(region + 7 * PAGE, 40 * MIB, IS_MMAPPED);
    memset(region + 7 * PAGE, 1, sizeof(uint64_t)); /* what is before counts as used */
    check(region, whole);
}

/* More places than one call takes, some of which cannot be read. */
static void test_samples(void **state)
{
    enum { PLACES = 600, BYTES = 24 };
    static uint8_t out[PLACES * BYTES];
    unsigned char *region = map_region();
    pid_t child;
    (void)state;
    for (size_t i = 0; i < PLACES; i++)
        memset(region + i * PAGE, (int)(i % 250 + 1), BYTES);
    for (size_t i = 0; i < PLACES; i += 97)
        assert_int_equal(mprotect(region + i * PAGE, PAGE, PROT_NONE), 0);
    struct ph_target *target = open_child(&child);
    memset(out, 0xff, sizeof out);
    assert_true(ph_target_sample(target, (uintptr_t)region, PAGE, BYTES, PLACES, out));
    for (size_t i = 0; i < PLACES; i++) {
        uint8_t expected[BYTES];
        memset(expected, i % 97 ? (int)(i % 250 + 1) : 0, BYTES);
        assert_memory_equal(out + i * BYTES, expected, BYTES);
    }
    close_child(child, target);
    munmap(region, REGION_MIB * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_there),       cmocka_unit_test(test_blocks_are_left_out),
        cmocka_unit_test(test_no_pool_is_left_out), cmocka_unit_test(test_what_is_no_block),
        cmocka_unit_test(test_what_refers_is_read), cmocka_unit_test(test_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
