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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_headers_of_24_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
