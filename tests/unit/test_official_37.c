/* CPython 3.7.0 to 3.7.3: GC headers of 24 bytes, and so other places in _PyRuntime. */
#include "fake_python.h"

/* Include/internal/pystate.h, Include/internal/mem.h of 3.7.0, written out. */
struct fake_runtime {
    int initialized, core_initialized;
    void *finalizing;
    void *mutex, *head, *main;
    int64_t next_id;
    void *exit_functions[32];
    int exit_function_count;
    void *trash_delete_later;
    int trash_delete_nesting, enabled, debug;
    struct fake_generation generations[3], *generation0, permanent;
    int64_t stats[3][3];
    int collecting;
    void *garbage, *callbacks;
    int64_t rest[120];
};

/* Not static: this symbol is how the interpreter is found. */
extern struct fake_runtime _PyRuntime __attribute__((visibility("default")));
struct fake_runtime _PyRuntime = {.head = fake_interp, .main = fake_interp};

static void test_headers_of_24_bytes(void **state)
{
    (void)state;
    make_heap(0x030703f0, "3.7.3 (default, Mar 25 2019, 00:00:00) \n[GCC 8.2.0]",
              _PyRuntime.generations);
    _PyRuntime.generation0 = _PyRuntime.generations;
    link_list(&_PyRuntime.permanent.head, NULL);
    check_child("3.7.3");
}

/* Enough for several workers, each a pool of its own memory. */
enum { POOLS = 300, BLOCKS = (POOL - POOL_HEADER) / BLOCK, DISGUISED = BLOCKS - 1 };

/* A pool of tuples on the old generation's list, behind `last`, whose last block is on none; and
 * the last one listed. What lies before the tuple in that block looks like an object itself. */
static struct fake_links *make_full_pool(unsigned char *pool, struct fake_links *last)
{
    const uint32_t carved = POOL_HEADER + BLOCKS * BLOCK;
    memcpy(pool, fake_pool, POOL_HEADER);
    memcpy(pool, &(uint32_t){BLOCKS}, sizeof(uint32_t));
    memcpy(pool + 40, &carved, sizeof carved); /* next_offset */
    fake_pool = pool;
    for (int i = 0; i < DISGUISED; i++) {
        make_tuple(i, REACHABLE, block_at(DISGUISED) + GC_HEADER);
        last->next = links_of(i);
        links_of(i)->prev = last;
        last = links_of(i);
    }
    make_tuple(DISGUISED, UNTRACKED, NULL);
    put(block_at(DISGUISED), fake_layout.object.ob_refcnt, 1);
    put_pointer(block_at(DISGUISED), fake_layout.object.ob_type, object_type);
    return last;
}

static void check_sizes(struct ph_heap *heap, unsigned char *pools)
{
    for (int i = 0; i < POOLS; i++) {
        fake_pool = pools + (size_t)i * POOL;
        for (int block = 0; block < BLOCKS; block++) {
            uint32_t id = ph_heap_find(heap, address_of(block));
            assert_int_not_equal(id, PH_NO_OBJECT);
            assert_int_equal(ph_heap_sizeof(heap, id), GC_HEADER + 24 + 8);
            assert_int_equal(ph_heap_allocated(heap, id), BLOCK);
        }
    }
}

/* Sizes are noted while it is only guessed what blocks hold. */
static void test_sizes_where_a_guess_was_wrong(void **state)
{
    struct fake_links *head = &_PyRuntime.generations[2].head, *last = head;
    struct ph_heap *heap;
    struct ph_error err;
    (void)state;
    make_heap(0x030703f0, "3.7.3 (default, Mar 25 2019, 00:00:00) \n[GCC 8.2.0]",
              _PyRuntime.generations);
    unsigned char *pools = mmap(NULL, (size_t)POOLS * POOL, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pools != MAP_FAILED);
    for (int i = 0; i < POOLS; i++)
        last = make_full_pool(pools + (size_t)i * POOL, last);
    last->next = head;
    head->prev = last;
    /* The interpreter's own objects tell the allocator. */
    put_pointer(fake_interp, fake_layout.interp.importlib, block_at(0) + GC_HEADER);
    struct fake_view view = open_child();
    assert_int_equal(ph_heap_build(view.python, 0, true, NULL, &heap, &err), PH_OK);
    check_sizes(heap, pools);
    assert_int_equal(ph_heap_measure(heap, true, NULL, &err), PH_OK);
    check_sizes(heap, pools);
    assert_int_equal(heap->broken_lists + heap->bad_references, 0);
    ph_heap_destroy(heap);
    close_child(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_headers_of_24_bytes),
                                       cmocka_unit_test(test_sizes_where_a_guess_was_wrong)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
