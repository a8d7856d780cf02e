/* malloc's blocks as seen from outside: those of this very process, looked at in a child. */
#include "heap/malloc.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BLOCKS = 3000, LARGE = 1 << 20, THREADS = 3 };

/* What one thread has: blocks that it keeps, and some that it gave back. */
struct blocks {
    void *kept[BLOCKS];
    void *freed[BLOCKS];
    void *large;
};

/* Sizes of all bins, large ones between. The freed ones go to the thread's cache, to the fast bins,
 * and joined with neighbours to the others. */
static void *fill(void *arg)
{
    struct blocks *b = arg;
    for (int i = 0; i < BLOCKS; i++) {
        b->kept[i] = malloc((size_t)i % 700 + (i % 50 == 0 ? 5000 : 1));
        b->freed[i] = malloc((size_t)i % 300 + 1);
    }
    for (int i = 0; i < BLOCKS; i++)
        free(b->freed[i]);
    b->large = malloc(LARGE);
    return NULL;
}

struct fixture {
    struct blocks main, threads[THREADS];
    pid_t child;
    struct ph_target *target;
    struct ph_python python;
    struct ph_chunks chunks;
};

/* A thread of its own arena ends before the next starts; glibc keeps the arenas. */
static int look(void **state)
{
    static struct fixture f;
    struct ph_error err;
    pthread_t threads[THREADS];
    mallopt(M_ARENA_TEST, 8);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fill, &f.threads[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    fill(&f.main);
    f.child = fork();
    if (f.child == 0) {
        for (;;)
            pause();
    }
    if (ph_target_open_live(f.child, true, NULL, &f.target, &err) != PH_OK)
        return -1;
    f.python = (struct ph_python){.target = f.target, .wide = true};
    *state = &f;
    return ph_chunks_scan(&f.chunks, &f.python, NULL, &err) == PH_OK ? 0 : -1;
}

static int look_away(void **state)
{
    struct fixture *f = *state;
    ph_chunks_free(&f->chunks);
    ph_target_close(f->target);
    kill(f->child, SIGKILL);
    waitpid(f->child, NULL, 0);
    return 0;
}

static bool is_start(const struct ph_chunks *chunks, const void *block)
{
    for (uint32_t i = 0; i < chunks->starts.count; i++) {
        if (chunks->starts.items[i] == (uintptr_t)block)
            return true;
    }
    return false;
}

static void check_kept(struct fixture *f, const struct blocks *b)
{
    for (int i = 0; i < BLOCKS; i++) {
        assert_true(is_start(&f->chunks, b->kept[i]));
        assert_int_equal(ph_chunk_bytes(&f->python, (uintptr_t)b->kept[i]),
                         malloc_usable_size(b->kept[i]));
    }
    assert_true(is_start(&f->chunks, b->large));
    assert_int_equal(ph_chunk_bytes(&f->python, (uintptr_t)b->large), malloc_usable_size(b->large));
}

static void blocks_in_use_are_found(void **state)
{
    struct fixture *f = *state;
    check_kept(f, &f->main);
    for (int i = 0; i < THREADS; i++)
        check_kept(f, &f->threads[i]);
    /* glibc gave the threads arenas of their own. */
    assert_true((uintptr_t)f->threads[0].kept[0] - (uintptr_t)f->main.kept[0] > 64 << 20);
    assert_int_equal(f->chunks.damaged_count, 0);
    for (uint32_t i = 1; i < f->chunks.starts.count; i++)
        assert_true(f->chunks.starts.items[i - 1] < f->chunks.starts.items[i]);
}

/* The first word of a freed block that still looks as if in use is a link. */
static void check_freed(struct fixture *f, const struct blocks *b, uint32_t *looked)
{
    for (int i = 0; i < BLOCKS; i++) {
        if (!is_start(&f->chunks, b->freed[i]))
            continue;
        ph_addr at = (uintptr_t)b->freed[i];
        assert_true(ph_chunks_is_link(&f->chunks, at, ph_python_word(&f->python, at, 0)));
        ++*looked;
    }
}

static void freed_blocks_are_links(void **state)
{
    struct fixture *f = *state;
    uint32_t looked = 0;
    check_freed(f, &f->main, &looked);
    assert_true(looked > 100); /* the cache of the running thread is full of them */
    assert_true(looked < BLOCKS / 2);
    for (ph_addr count = 1; count < 1000; count++)
        assert_false(ph_chunks_is_link(&f->chunks, (uintptr_t)f->main.kept[0], count));
}

static void claims_cover_blocks(void **state)
{
    struct fixture *f = *state;
    ph_addr block = (uintptr_t)f->main.kept[1];
    for (uint32_t i = 0; i < f->chunks.starts.count; i++)
        assert_int_equal(f->chunks.claimed[i], 0);
    ph_chunks_claim(&f->chunks, &f->python, block + malloc_usable_size(f->main.kept[1]) - 1);
    ph_chunks_claim(&f->chunks, &f->python, 16);
    ph_chunks_claim(&f->chunks, &f->python, UINT64_MAX);
    uint32_t claimed = 0;
    for (uint32_t i = 0; i < f->chunks.starts.count; i++) {
        claimed += f->chunks.claimed[i];
        assert_true(!f->chunks.claimed[i] || f->chunks.starts.items[i] == block);
    }
    assert_int_equal(claimed, 1);
}

int main(void)
{
    void *least = malloc(1);
    bool is_glibc = malloc_usable_size(least) == 3 * sizeof(void *);
    free(least);
    if (!is_glibc) {
        puts("a sanitizer's malloc is in place of glibc's: nothing to look at");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_in_use_are_found),
        cmocka_unit_test(freed_blocks_are_links),
        cmocka_unit_test(claims_cover_blocks),
    };
    return cmocka_run_group_tests(tests, look, look_away);
}
