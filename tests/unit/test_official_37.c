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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_headers_of_24_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
