/* CPython 3.6 as officially built: GC headers of 24 bytes, found by self-checks. */
#include "fake_python.h"

static struct fake_generation generations[3];
/* Not static: this symbol is how the interpreter is found. */
extern struct fake_generation *_PyGC_generation0 __attribute__((visibility("default")));
struct fake_generation *_PyGC_generation0 = generations;
static void *volatile interp_head = fake_interp;

static void test_headers_of_24_bytes(void **state)
{
    (void)state;
    assert_non_null(interp_head);
    make_heap(0x030608f0, "3.6.8 (default, Jan  1 2019, 00:00:00) \n[GCC 8.2.0]", generations);
    check_child("3.6.8");
}

/* Nothing with a symbol says that 3.6 collects; objects that are on no list, though their headers
 * say so, do. */
static void test_collection_shows_in_headers(void **state)
{
    (void)state;
    struct ph_heap *heap;
    struct ph_error err;
    links_of(LEAKED_TUPLE)->refs = 3 * 2;
    struct fake_view view = open_child();
    assert_false(view.python->interpreters.items[0].gc.collecting);
    assert_int_equal(ph_heap_build(view.python, 0, false, NULL, &heap, &err), PH_OK);
    assert_int_equal(scope_of(heap, LEAKED_TUPLE), PH_OBJECT_TRACKED);
    assert_int_equal(scope_of(heap, HELD_TUPLE), PH_OBJECT_REACHABLE);
    assert_true(view.python->interpreters.items[0].gc.collecting);
    ph_heap_destroy(heap);
    close_child(&view);
}

/* Where the text of Py_GetVersion() is not there. */
static void test_version_from_sys(void **state)
{
    (void)state;
    enum { READY_COMPACT_ASCII = 1 << 7 | 1 << 6 | 1 << 5 | 1 << 2 };
    static unsigned char str_type[1024], int_type[1024], key[100], number[40];
    const struct ph_layout *L = &fake_layout;
    make_type(str_type, "str", 80, 0, PH_TPFLAGS_UNICODE_SUBCLASS);
    make_type(int_type, "int", 24, 4, PH_TPFLAGS_LONG_SUBCLASS);
    put_pointer(key, L->object.ob_type, str_type);
    put(key, L->ascii.length, strlen("hexversion"));
    put(key, L->ascii.state, READY_COMPACT_ASCII);
    strcpy((char *)key + L->ascii.size, "hexversion");
    put_pointer(number, L->object.ob_type, int_type);
    put(number, L->var.ob_size, 1);
    put(number, L->int_.ob_digit, 0x030605f0);
    uint64_t *entry = fake_keys + (L->dict_keys.dk_indices + 8) / 8;
    put(fake_keys, L->dict_keys.dk_nentries, 1);
    put_pointer(entry, L->dict_entry.me_key, key);
    put_pointer(entry, L->dict_entry.me_value, number);
    memset(fake_version, 0, sizeof fake_version);
    struct ph_heap *heap;
    struct ph_error err;
    struct fake_view view = open_child();
    assert_string_equal(view.python->version, "3.6");
    assert_int_equal(ph_heap_build(view.python, 0, false, NULL, &heap, &err), PH_OK);
    assert_string_equal(view.python->version, "3.6.5");
    ph_heap_destroy(heap);
    close_child(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_of_24_bytes),
        cmocka_unit_test(test_collection_shows_in_headers),
        cmocka_unit_test(test_version_from_sys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
