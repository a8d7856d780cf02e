/*
 * A heap of CPython 3.6 or 3.7 as official builds of 3.6 and of 3.7.0 to 3.7.3 have it, made by
 * hand: GC headers of 24 bytes, blocks aligned to 8. The generations' and the pool's numbers are
 * written out here as those builds have them; other structs are filled at the places that the
 * layout tables give, which are tested against real interpreters elsewhere.
 *
 * A child that has the heap at the same addresses waits to be looked at.
 */
#ifndef TESTS_UNIT_FAKE_PYTHON_H
#define TESTS_UNIT_FAKE_PYTHON_H

#include "fake_process.h"

enum {
    POOL = 4096,
    POOL_HEADER = 48,
    GC_HEADER = 24,
    BLOCK = GC_HEADER + 24 + 8, /* a tuple of one item: no multiple of 16 */
    SIZE_CLASS = BLOCK / 8 - 1,
    REACHABLE = -3 * 2, /* gc_refs, shifted: on a list */
    UNTRACKED = -2 * 2,
};

struct fake_links {
    void *next, *prev;
    intptr_t refs;
};

struct fake_generation {
    struct fake_links head;
    int threshold, count;
};

/* The blocks of the pool, each a tuple of one item. */
enum { OLD_TUPLE, YOUNG_TUPLE, HELD_TUPLE, LEAKED_TUPLE, DICT_KEYS, BLOCKS_USED };

static unsigned char dict_type[1024], tuple_type[1024];
static unsigned char fake_interp[4096], fake_tstate[4096];
static uint64_t fake_keys[64];
static struct {
    struct fake_links links;
    unsigned char object[64];
} fake_dict;
static unsigned char *fake_pool;

/* As Py_GetVersion() leaves it in the interpreter's data. */
static char fake_version[100];

static void make_types(void)
{
    make_type(object_type, "object", 16, 0, 0);
    make_type(type_type, "type", (uint64_t)fake_layout.heap_type.size, 40,
              PH_TPFLAGS_HAVE_GC | PH_TPFLAGS_TYPE_SUBCLASS);
    make_type(dict_type, "dict", 48, 0, PH_TPFLAGS_HAVE_GC | PH_TPFLAGS_DICT_SUBCLASS);
    make_type(tuple_type, "tuple", 24, 8, PH_TPFLAGS_HAVE_GC | PH_TPFLAGS_TUPLE_SUBCLASS);
}

/* An empty dict, for all that an interpreter must have. */
static void make_dict(void)
{
    const struct ph_layout *L = &fake_layout;
    fake_dict.links.refs = UNTRACKED;
    put(fake_dict.object, L->object.ob_refcnt, 3);
    put_pointer(fake_dict.object, L->object.ob_type, dict_type);
    put_pointer(fake_dict.object, L->dict.ma_keys, fake_keys);
    put(fake_keys, L->dict_keys.dk_refcnt, 1);
    put(fake_keys, L->dict_keys.dk_size, 8);
    put(fake_keys, L->dict_keys.dk_usable, 5);
}

static unsigned char *block_at(int i)
{
    return fake_pool + POOL_HEADER + i * BLOCK;
}

static struct fake_links *links_of(int i)
{
    return (struct fake_links *)(void *)block_at(i);
}

static ph_addr address_of(int i)
{
    return (ph_addr)(uintptr_t)block_at(i) + GC_HEADER;
}

static void make_tuple(int i, intptr_t refs, const void *item)
{
    const struct ph_layout *L = &fake_layout;
    unsigned char *tuple = block_at(i) + GC_HEADER;
    links_of(i)->refs = refs;
    put(tuple, L->object.ob_refcnt, 1);
    put_pointer(tuple, L->object.ob_type, tuple_type);
    put(tuple, L->var.ob_size, 1);
    put_pointer(tuple, L->tuple.ob_item, item);
}

/* A pool of 4 KiB (Objects/obmalloc.c), in the first page of an arena. */
static void make_pool(void)
{
    struct {
        uint64_t used;
        void *free_block, *next, *previous;
        uint32_t arena_index, size_class, next_offset, max_next_offset;
    } header = {
        .used = BLOCKS_USED,
        .size_class = SIZE_CLASS,
        .next_offset = POOL_HEADER + BLOCKS_USED * BLOCK,
        .max_next_offset = POOL - BLOCK,
    };
    fake_pool = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(fake_pool != MAP_FAILED);
    memcpy(fake_pool, &header, sizeof header);
    make_tuple(OLD_TUPLE, REACHABLE, block_at(HELD_TUPLE) + GC_HEADER);
    make_tuple(YOUNG_TUPLE, REACHABLE, NULL);
    make_tuple(HELD_TUPLE, UNTRACKED, NULL);
    make_tuple(LEAKED_TUPLE, UNTRACKED, NULL);
}

static void link_list(struct fake_links *head, struct fake_links *node)
{
    head->next = head->prev = node ? node : head;
    if (node)
        node->next = node->prev = head;
}

static void make_generations(struct fake_generation *generations)
{
    link_list(&generations[0].head, links_of(YOUNG_TUPLE));
    link_list(&generations[1].head, NULL);
    link_list(&generations[2].head, links_of(OLD_TUPLE));
    generations[0].threshold = 700;
    generations[2].count = 5;
}

static void make_interpreter(void)
{
    const struct ph_layout *L = &fake_layout;
    put_pointer(fake_interp, L->interp.threads_head, fake_tstate);
    put_pointer(fake_interp, L->interp.modules, fake_dict.object);
    put_pointer(fake_interp, L->interp.sysdict, fake_dict.object);
    put_pointer(fake_interp, L->interp.builtins, fake_dict.object);
    put_pointer(fake_tstate, L->tstate.interp, fake_interp);
    put(fake_tstate, L->tstate.thread_id, 12345);
}

/* All but what the version keeps in a place of its own. */
static void make_heap(uint32_t version_hex, const char *version,
                      struct fake_generation *generations)
{
    struct ph_error err;
    assert_int_equal(
        ph_layout_load(&fake_layout, version_hex, PH_BUILD_SHORT_GC_HEAD, 8, false, &err), PH_OK);
    strcpy(fake_version + 1, version);
    make_types();
    make_dict();
    make_pool();
    make_generations(generations);
    make_interpreter();
}

static uint8_t scope_of(const struct ph_heap *heap, int block)
{
    uint32_t id = ph_heap_find(heap, address_of(block));
    assert_int_not_equal(id, PH_NO_OBJECT);
    return heap->flags[id] & (PH_OBJECT_TRACKED | PH_OBJECT_REACHABLE);
}

static void check_heap(struct ph_python *python)
{
    struct ph_heap *heap;
    struct ph_error err;
    assert_int_equal(ph_heap_build(python, 0, false, NULL, &heap, &err), PH_OK);
    assert_int_equal(scope_of(heap, OLD_TUPLE), PH_OBJECT_TRACKED | PH_OBJECT_REACHABLE);
    assert_int_equal(scope_of(heap, YOUNG_TUPLE), PH_OBJECT_TRACKED | PH_OBJECT_REACHABLE);
    assert_int_equal(scope_of(heap, HELD_TUPLE), PH_OBJECT_REACHABLE);
    assert_int_equal(scope_of(heap, LEAKED_TUPLE), 0);
    assert_int_equal(ph_heap_find(heap, address_of(DICT_KEYS)), PH_NO_OBJECT);
    assert_int_equal(heap->flags[ph_heap_find(heap, address_of(OLD_TUPLE))] & PH_OBJECT_GEN_MASK,
                     2);
    uint32_t id = ph_heap_find(heap, address_of(OLD_TUPLE));
    assert_int_equal(ph_heap_sizeof(heap, id), GC_HEADER + 24 + 8);
    assert_int_equal(ph_heap_allocated(heap, id), BLOCK);
    assert_int_equal(heap->broken_lists + heap->bad_references + heap->blocks.damaged_count, 0);
    assert_false(python->interpreters.items[0].gc.collecting);
    ph_heap_destroy(heap);
}

static void check_child(const char *version)
{
    struct fake_view view = open_child();
    const struct ph_python *python = view.python;
    assert_string_equal(python->version, version);
    assert_int_equal(python->layout.gc_head.size, GC_HEADER);
    assert_int_equal(python->interpreters.count, 1);
    assert_int_equal(python->threads.count, 1);
    assert_int_equal(python->threads.items[0].ident, 12345);
    assert_int_equal(python->interpreters.items[0].gc.lists[0].threshold, 700);
    assert_int_equal(python->interpreters.items[0].gc.lists[2].count, 5);
    check_heap(view.python);
    close_child(&view);
}

#endif
