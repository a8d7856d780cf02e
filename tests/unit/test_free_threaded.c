/*
 * Free-threaded CPython 3.14 and 3.15, of which no interpreter is at hand: one made by hand, in
 * memory of mimalloc 2.5. What mimalloc and an object's head have where is written out here.
 */
#include "fake_process.h"

enum {
    SEGMENT_BYTES = 32 << 20,
    SLICE_BYTES = 64 << 10,
    SLICES = 512,
    TUPLE_BYTES = 64, /* of a block: a head of 32, the size, the hash, an item */
    FLOAT_BYTES = 48,
    KEEPER_BYTES = 64, /* two words before the object */
    TAG_PLAIN = 1,
    TAG_GC = 2,
    TAG_GC_MANAGED = 3,
    GC_TRACKED = 1, /* bits of ob_gc_bits */
    GC_FROZEN = 8,
    GC_ALIVE = 32,
    GC_DEFERRED = 64,
    SHARED_SHIFT = 2, /* flags of ob_ref_shared lie below, */
    SHARED_MERGED = 3,
    NEVER_DELAYED_FREE = 3, /* and such of xthread_free too */
};
#define DEFERRED_COUNT (INT64_MAX / 8)
#define IMMORTAL       UINT32_MAX
#define KEY            0x5eed5eed12345678ull /* that cookies are mixed with */

/* Include/object.h. */
struct fake_object {
    uint64_t tid;
    uint16_t flags;
    uint8_t mutex, gc_bits;
    uint32_t local;
    int64_t shared;
    const void *type;
    uint64_t fields[3];
};

/* Include/internal/mimalloc/mimalloc/types.h of mimalloc 2.5.2, free-threaded. */
struct fake_page {
    uint32_t slice_count, slice_offset;
    uint8_t bits;
    uint16_t capacity, reserved;
    uint8_t flags, retire_expire;
    void *free, *local_free;
    uint16_t used;
    uint8_t block_size_shift, heap_tag, use_qsbr, debug_offset;
    size_t block_size;
    unsigned char *page_start;
    uintptr_t xthread_free;
    void *xheap, *next, *previous, *qsbr_node[2];
    uint64_t qsbr_goal;
};

struct fake_segment {
    uint64_t memid[3];
    uint8_t allow_decommit, allow_purge;
    size_t segment_size;
    void *subproc;
    int64_t purge_expire;
    uint64_t purge_mask[8], commit_mask[8];
    void *next;
    uint8_t was_reclaimed, dont_free, free_is_zero;
    size_t abandoned, abandoned_visits, used;
    uintptr_t cookie;
    void *abandoned_os_next, *abandoned_os_previous;
    size_t segment_slices, segment_info_slices;
    int kind;
    size_t slice_entries, thread_id;
    struct fake_page slices[SLICES + 1];
};

_Static_assert(sizeof(struct fake_page) == 112, "as compiled from CPython's headers");
_Static_assert(sizeof(struct fake_segment) == 57744, "as compiled from CPython's headers");

struct fake_heap {
    void *tld, *thread_delayed_free;
    size_t thread_id;
};

/* The blocks of the first page. */
enum {
    HOLDER,   /* of FLOAT's number 0, with counts of its thread and of others */
    DEFERRED, /* its count is deferred */
    FOREVER,  /* immortal */
    MERGED,   /* all in the shared count */
    FROZEN,
    LEAKED,  /* not tracked, and nobody refers to it */
    READY,   /* freed: on the page's list of those to allocate, */
    OWN,     /* that of those that its thread freed, */
    OTHERS,  /* that of those that others freed, */
    DELAYED, /* and the heap's */
    BLOCKS
};

/* Not static: these symbols are how the interpreter, its version and its build are found. */
extern uint64_t _PyRuntime[2000] __attribute__((visibility("default")));
extern unsigned long Py_Version __attribute__((visibility("default")));
extern char _Py_MergeZeroLocalRefcount __attribute__((visibility("default")));
uint64_t _PyRuntime[2000];
unsigned long Py_Version;
char _Py_MergeZeroLocalRefcount;

static unsigned char dict_type[1024], tuple_type[1024], float_type[1024], keeper_type[1024];
static uint64_t fake_interp[40000], fake_tstate[4000];
static struct fake_object fake_dict;
static uint64_t fake_keys[64];
static struct fake_heap fake_heap;
static struct fake_segment *living, *abandoned;

static unsigned char *slice_at(struct fake_segment *segment, int i)
{
    return (unsigned char *)segment + i * SLICE_BYTES;
}

static struct fake_segment *make_segment(void *at, uint64_t thread_id)
{
    struct fake_segment *segment = at;
    segment->segment_size = SEGMENT_BYTES;
    segment->cookie = (uintptr_t)at ^ KEY;
    segment->segment_slices = segment->slice_entries = SLICES;
    segment->segment_info_slices = segment->slices[0].slice_count = 1;
    segment->thread_id = thread_id;
    return segment;
}

/* One slice; blocks in use but for those that are taken off later. */
static struct fake_page *make_page(struct fake_segment *segment, int slice, uint8_t tag,
                                   size_t block_size, uint16_t blocks)
{
    struct fake_page *page = &segment->slices[slice];
    *page = (struct fake_page){
        .slice_count = 1,
        .capacity = blocks,
        .reserved = (uint16_t)(SLICE_BYTES / block_size),
        .used = blocks,
        .heap_tag = tag,
        .block_size = block_size,
        .page_start = slice_at(segment, slice),
        .xheap = &fake_heap,
    };
    return page;
}

/* The rest of a segment has no page. */
static void end_segment(struct fake_segment *segment, int slice)
{
    segment->slices[slice].slice_count = (uint32_t)(SLICES - slice);
}

static struct fake_object *tuple_at(int block)
{
    return (struct fake_object *)(void *)(slice_at(living, 1) + block * TUPLE_BYTES);
}

static struct fake_object *float_at(int block)
{
    return (struct fake_object *)(void *)(slice_at(living, 2) + block * FLOAT_BYTES);
}

static struct fake_object *keeper(void)
{
    return (struct fake_object *)(void *)(slice_at(living, 3) + 2 * sizeof(void *));
}

static struct fake_object *orphan(void)
{
    return (struct fake_object *)(void *)slice_at(abandoned, 1);
}

static void make_object(struct fake_object *object, const void *type, uint8_t gc_bits,
                        uint32_t local, int64_t shared)
{
    *object = (struct fake_object){
        .tid = local && local != IMMORTAL ? 12345 : 0,
        .gc_bits = gc_bits,
        .local = local,
        .shared = shared,
        .type = type,
    };
}

static void make_tuple(struct fake_object *tuple, uint8_t gc_bits, uint32_t local, int64_t shared,
                       const void *item)
{
    make_object(tuple, tuple_type, gc_bits | GC_ALIVE, local, shared);
    tuple->fields[0] = 1;
    tuple->fields[1] = UINT64_MAX; /* the hash is not known yet */
    tuple->fields[2] = (uintptr_t)item;
}

static void make_tuples(void)
{
    struct fake_page *page = make_page(living, 1, TAG_GC, TUPLE_BYTES, BLOCKS);
    for (int i = 0; i < BLOCKS; i++)
        make_tuple(tuple_at(i), i == LEAKED ? 0 : GC_TRACKED, 1, 0, NULL);
    make_tuple(tuple_at(HOLDER), GC_TRACKED, 3, 2 << SHARED_SHIFT | 1, float_at(0));
    make_tuple(tuple_at(DEFERRED), GC_TRACKED | GC_DEFERRED, 4,
               (DEFERRED_COUNT + 3) << SHARED_SHIFT, NULL);
    make_tuple(tuple_at(FOREVER), GC_TRACKED, IMMORTAL, 0, NULL);
    make_tuple(tuple_at(MERGED), GC_TRACKED, 0, 5 << SHARED_SHIFT | SHARED_MERGED, NULL);
    make_tuple(tuple_at(FROZEN), GC_TRACKED | GC_FROZEN, 1, 0, NULL);
    for (int i = READY; i < BLOCKS; i++)
        tuple_at(i)->tid = 0; /* the next free block */
    page->used -= 2;          /* those that others freed are counted as used yet */
    page->free = tuple_at(READY);
    page->local_free = tuple_at(OWN);
    page->xthread_free = (uintptr_t)tuple_at(OTHERS) | NEVER_DELAYED_FREE;
    fake_heap.thread_delayed_free = tuple_at(DELAYED);
}

static void make_memory(void)
{
    unsigned char *memory = mmap(NULL, 3ul * SEGMENT_BYTES, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(memory != MAP_FAILED);
    memory += SEGMENT_BYTES - (uintptr_t)memory % SEGMENT_BYTES;
    living = make_segment(memory, 12345);
    abandoned = make_segment(memory + SEGMENT_BYTES, 0);
    make_tuples();
    make_page(living, 2, TAG_PLAIN, FLOAT_BYTES, 1);
    make_object(float_at(0), float_type, 0, 1, 0);
    make_page(living, 3, TAG_GC_MANAGED, KEEPER_BYTES, 1);
    make_object(keeper(), keeper_type, GC_TRACKED, 1, 0);
    end_segment(living, 4);
    make_page(abandoned, 1, TAG_GC, TUPLE_BYTES, 1)->xheap = NULL;
    make_tuple(orphan(), GC_TRACKED, 0, 1 << SHARED_SHIFT | SHARED_MERGED, NULL);
    end_segment(abandoned, 2);
}

static void make_immortal_type(void *type, const char *name, uint64_t basicsize, uint64_t itemsize,
                               uint64_t flags)
{
    make_type(type, name, basicsize, itemsize, flags);
    ((struct fake_object *)type)->local = IMMORTAL;
}

static void make_types(void)
{
    make_immortal_type(object_type, "object", 32, 0, 0);
    make_immortal_type(type_type, "type", (uint64_t)fake_layout.heap_type.size, 40,
                       PH_TPFLAGS_HAVE_GC | PH_TPFLAGS_TYPE_SUBCLASS);
    make_immortal_type(dict_type, "dict", (uint64_t)fake_layout.dict.size, 0,
                       PH_TPFLAGS_HAVE_GC | PH_TPFLAGS_DICT_SUBCLASS);
    make_immortal_type(tuple_type, "tuple", 48, 8, PH_TPFLAGS_HAVE_GC | PH_TPFLAGS_TUPLE_SUBCLASS);
    make_immortal_type(float_type, "float", 40, 0, 0);
    make_immortal_type(keeper_type, "Keeper", 32, 0,
                       PH_TPFLAGS_HAVE_GC | PH_TPFLAGS_MANAGED_WEAKREF);
}

/* An empty dict, for all that an interpreter must have. */
static void make_dict(void)
{
    const struct ph_layout *L = &fake_layout;
    make_object(&fake_dict, dict_type, 0, 3, 0);
    put_pointer(&fake_dict, L->dict.ma_keys, fake_keys);
    put(fake_keys, L->dict_keys.dk_refcnt, 1);
    put(fake_keys, L->dict_keys.dk_log2_size, 3 | 3 << 8); /* and that of its indices */
    put(fake_keys, L->dict_keys.dk_usable, 5);
}

static void make_interpreter(void)
{
    const struct ph_layout *L = &fake_layout;
    put(_PyRuntime, L->runtime.initialized, 1);
    put_pointer(_PyRuntime, L->runtime.interpreters_head, fake_interp);
    put_pointer(_PyRuntime, L->runtime.interpreters_main, fake_interp);
    put_pointer(fake_interp, L->interp.threads_head, fake_tstate);
    put_pointer(fake_interp, L->interp.modules, &fake_dict);
    put_pointer(fake_interp, L->interp.sysdict, &fake_dict);
    put_pointer(fake_interp, L->interp.builtins, &fake_dict);
    put(fake_interp, L->interp.static_builtins_count, 1);
    put_pointer(fake_interp, L->interp.static_builtins + L->static_type_state.type, type_type);
    put_pointer(fake_tstate, L->tstate.interp, fake_interp);
    put(fake_tstate, L->tstate.thread_id, 12345);
}

static uint32_t find(const struct ph_heap *heap, const void *object)
{
    return ph_heap_find(heap, (ph_addr)(uintptr_t)object);
}

static void check_tracked(const struct ph_heap *heap, const void *object, const char *type,
                          int generation)
{
    uint32_t id = find(heap, object);
    assert_int_not_equal(id, PH_NO_OBJECT);
    assert_string_equal(ph_heap_type(heap, id)->name, type);
    assert_true(heap->flags[id] & PH_OBJECT_TRACKED);
    assert_int_equal(heap->flags[id] & PH_OBJECT_GEN_MASK, generation);
}

static void check_count(struct ph_heap *heap, const void *object, int64_t expected)
{
    int64_t count;
    assert_true(ph_heap_refcount(heap, find(heap, object), &count));
    assert_int_equal(count, expected);
}

static void check_counts(struct ph_heap *heap)
{
    int64_t count;
    check_count(heap, tuple_at(HOLDER), 3 + 2);
    check_count(heap, tuple_at(DEFERRED), 4 + 3);
    check_count(heap, tuple_at(MERGED), 5);
    check_count(heap, orphan(), 1);
    assert_false(ph_heap_refcount(heap, find(heap, tuple_at(FOREVER)), &count));
}

static void check_heap(struct ph_python *python)
{
    struct ph_heap *heap;
    struct ph_error err;
    assert_int_equal(ph_heap_build(python, 0, false, NULL, &heap, &err), PH_OK);
    for (int i = HOLDER; i <= MERGED; i++)
        check_tracked(heap, tuple_at(i), "tuple", 0);
    check_tracked(heap, tuple_at(FROZEN), "tuple", PH_GEN_PERMANENT);
    check_tracked(heap, keeper(), "Keeper", 0);
    check_tracked(heap, orphan(), "tuple", 0);
    assert_int_equal(heap->flags[find(heap, float_at(0))] & PH_OBJECT_REACHABLE,
                     PH_OBJECT_REACHABLE);
    assert_int_equal(
        heap->flags[find(heap, tuple_at(LEAKED))] & (PH_OBJECT_TRACKED | PH_OBJECT_REACHABLE), 0);
    for (int i = READY; i < BLOCKS; i++)
        assert_int_equal(find(heap, tuple_at(i)), PH_NO_OBJECT);
    check_counts(heap);
    assert_int_equal(ph_heap_sizeof(heap, find(heap, tuple_at(HOLDER))), 56);
    assert_int_equal(ph_heap_allocated(heap, find(heap, tuple_at(HOLDER))), TUPLE_BYTES);
    assert_int_equal(heap->broken_lists + heap->bad_references + heap->blocks.damaged_count, 0);
    assert_int_equal(heap->blocks.used_count, READY + 3);
    ph_heap_destroy(heap);
}

static void check_version(uint32_t hex, const char *version)
{
    struct ph_error err;
    memset(_PyRuntime, 0, sizeof _PyRuntime);
    memset(fake_interp, 0, sizeof fake_interp);
    memset(fake_tstate, 0, sizeof fake_tstate);
    Py_Version = hex;
    assert_int_equal(ph_layout_load(&fake_layout, hex, PH_BUILD_FREE_THREADED, 8, false, &err),
                     PH_OK);
    make_types();
    make_dict();
    make_memory();
    make_interpreter();
    struct fake_view view = open_child();
    assert_string_equal(view.python->version, version);
    assert_true(view.python->build & PH_BUILD_FREE_THREADED);
    assert_true(view.python->untested);
    assert_int_equal(view.python->threads.count, 1);
    check_heap(view.python);
    close_child(&view);
    living->cookie = abandoned->cookie = 0; /* for the next version's memory */
    living->slices[0].slice_count = abandoned->slices[0].slice_count = 0;
}

static void test_3_14(void **state)
{
    (void)state;
    check_version(0x030e0af0, "3.14.10");
}

static void test_3_15(void **state)
{
    (void)state;
    check_version(0x030f02f0, "3.15.2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_3_14), cmocka_unit_test(test_3_15)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
