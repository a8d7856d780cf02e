/*
 * The interpreter in the target: where it is, which CPython it is and how it was built, its
 * sub-interpreters, threads and garbage collector lists.
 *
 * In: a target. Out: a struct ph_python with every place confirmed by self-checks (list heads
 * linked both ways, pointers back, types that are types), so that what stands above can believe it.
 * Not here: what objects look like.
 *
 * Loads below decode plain pointers that ph_target_view() gave; they know the target's word width
 * and byte order.
 */
#ifndef PH_RUNTIME_PYTHON_H
#define PH_RUNTIME_PYTHON_H

#include "base/array.h"
#include "layout/layout.h"
#include "target/target.h"

enum {
    PH_GENERATIONS = 3,
    PH_GEN_PERMANENT = 3, /* gc.freeze(): a list of its own, which gc.get_objects() leaves out; or
                             free-threaded, where there are no lists, a mark */
};

struct ph_gc_list {
    ph_addr head;   /* the list head, a GC header without an object; 0 where there is none */
    uint32_t count; /* allocations less deallocations since the last collection, as the collector
                       counts */
    uint32_t threshold;
};

/* One collector's state: the interpreter's own from 3.9 on, the process's before. */
struct ph_gc {
    ph_addr address; /* to 3.6, where it is no struct, of the youngest generation */
    struct ph_gc_list lists[PH_GENERATIONS + 1]; /* the last is the permanent generation */
    bool collecting; /* to 3.6 known only once the heap is: see heap.c */
    ph_addr garbage; /* the list gc.garbage */
};

struct ph_interpreter {
    ph_addr address;
    int64_t id;
    struct ph_gc gc; /* before 3.9 all interpreters share that of the first in the array */
    bool owns_gc;
};

struct ph_python_thread {
    ph_addr address;      /* PyThreadState */
    uint32_t interpreter; /* index into interpreters */
    uint64_t ident;       /* pthread_self(), as threading.get_ident() says */
    uint64_t native_id;   /* kernel thread id as seen from here, or else as the thread itself knows
                             it; 0 where unknown */
    const struct ph_thread *kernel; /* NULL where unknown; owned by the target */
};

/* The kernel's name of a thread; "" where unknown. Owned by the target. */
static inline const char *ph_python_thread_name(const struct ph_python_thread *thread)
{
    return thread->kernel ? thread->kernel->name : "";
}

/* How far the interpreter's life has come. While it starts or ends, parts of its state may be
 * missing. */
enum ph_python_state { PH_PYTHON_RUNS, PH_PYTHON_STARTS, PH_PYTHON_ENDS };

/* Another interpreter in the same process, from another library, with objects of its own. */
struct ph_other_python {
    ph_addr anchor;   /* its _PyRuntime */
    char version[32]; /* "" where unknown */
    bool runs;        /* else it is loaded and was not started, or has ended */
};
struct ph_describing; /* layout/described.h */
struct ph_other_pythons PH_ARRAY_BODY(struct ph_other_python);

struct ph_python {
    struct ph_target *target; /* borrowed */
    struct ph_layout layout;
    uint32_t version_hex;    /* PY_VERSION_HEX: 0x030b07f0 is 3.11.7 final */
    unsigned build;          /* enum ph_build */
    char version[32];        /* "3.11.7", "3.13.0rc1" */
    bool version_is_a_guess; /* only major and minor are known, by the table that fits */
    ph_addr anchor;          /* _PyRuntime; to 3.6 _PyGC_generation0 */
    ph_addr type_type;       /* PyType_Type */
    enum ph_python_state state;
    PH_ARRAY(struct ph_interpreter) interpreters; /* main interpreter first */
    PH_ARRAY(struct ph_python_thread) threads;
    struct ph_other_pythons others; /* not looked at */
    /* Newer than all tables, and read by the newest one and its own debug offsets; or of a kind of
     * build that no interpreter was read of (free-threaded 3.14 and 3.15). */
    bool untested;
    /* What describes types of extension modules; borrowed, NULL: nothing. */
    const struct ph_describing *describing;
    bool swap; /* the target's byte order is not ours */
    bool wide; /* 8-byte words */
};

/* Find the interpreter; of several libraries that hold one, the first that runs (find.h has the
 * order). *out is owned by the caller. PH_NOT_FOUND where there is no CPython or none that runs;
 * PH_UNSUPPORTED with the version's name where we have no table for it; PH_BAD_DATA where no table
 * passes the self-checks. */
enum ph_status ph_python_open(struct ph_target *target, struct ph_python **out,
                              struct ph_error *err) PH_MUST_USE;
void ph_python_close(struct ph_python *python); /* NULL is fine */

/* Whether `type` is a type object: its metatypes end at PyType_Type, its flags say ready. */
bool ph_python_is_type(const struct ph_python *python, ph_addr type);

/* Whether the object's type has this tp_name. For checks before there is a type table. */
bool ph_python_has_type_name(const struct ph_python *python, ph_addr object, const char *name);

/* Decode at a plain pointer. ph_load_ssize() sign-extends. */
static inline uint32_t ph_load_u32(const struct ph_python *python, const void *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_expect(python->swap, 0) ? __builtin_bswap32(value) : value;
}

static inline uint16_t ph_load_u16(const struct ph_python *python, const void *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_expect(python->swap, 0) ? __builtin_bswap16(value) : value;
}

static inline uint64_t ph_load_u64(const struct ph_python *python, const void *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return __builtin_expect(python->swap, 0) ? __builtin_bswap64(value) : value;
}

static inline ph_addr ph_load_ptr(const struct ph_python *python, const void *at)
{
    return __builtin_expect(python->wide, 1) ? ph_load_u64(python, at) : ph_load_u32(python, at);
}

static inline int64_t ph_load_ssize(const struct ph_python *python, const void *at)
{
    return __builtin_expect(python->wide, 1) ? (int64_t)ph_load_u64(python, at)
                                             : (int32_t)ph_load_u32(python, at);
}

static inline unsigned ph_word_bytes(const struct ph_python *python)
{
    return python->wide ? 8 : 4;
}

/* What lies before a GC object for the collector; free-threaded builds have nothing there. */
static inline uint32_t ph_python_gc_header_bytes(const struct ph_python *python)
{
    bool none = python->layout.traits.gc_header == PH_GC_HEADER_NONE;
    return none ? 0 : (uint32_t)python->layout.gc_head.size;
}

/* The word at base + offset in the target; 0 where it cannot be read. For one-off reads; loops take
 * a view. */
static inline ph_addr ph_python_word(const struct ph_python *python, ph_addr base, int64_t offset)
{
    const void *at = ph_target_view(python->target, base + (uint64_t)offset, ph_word_bytes(python));
    return at ? ph_load_ptr(python, at) : 0;
}
/* A link of a GC header, layout.gc_head.next or prev, without its flags: these are the low bits
 * (Include/internal/pycore_gc.h). 0 where it cannot be read. */
#define PH_GC_LINK_FLAGS ((ph_addr)3)
static inline ph_addr ph_python_gc_link(const struct ph_python *python, ph_addr header,
                                        int32_t offset)
{
    return ph_python_word(python, header, offset) & ~PH_GC_LINK_FLAGS;
}
/* The 32-bit word there; 0 where it cannot be read. */
uint32_t ph_python_u32(const struct ph_python *python, ph_addr base, int64_t offset);

#endif
