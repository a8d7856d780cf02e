/*
 * The heap snapshot: every object that the target holds at this stop, found once and kept in
 * arrays.
 *
 * Objects come from the garbage collector's lists, from what these and the interpreter's own state
 * refer to (closure), and last from memory blocks in use that are plainly objects though nothing
 * found refers to them. Ids are 32-bit, in ascending order of address.
 *
 * In: a struct ph_python. Not here: labels, sizes (objects/), anything added up (analysis/).
 */
#ifndef PH_HEAP_HEAP_H
#define PH_HEAP_HEAP_H

#include "heap/allocator.h"
#include "heap/leads.h"
#include "heap/malloc.h"
#include "objects/object.h"

enum ph_object_flags {
    PH_OBJECT_GEN_MASK = 3,  /* GC generation, or PH_GEN_PERMANENT; of tracked objects only */
    PH_OBJECT_TRACKED = 4,   /* on a list of the collector, or marked so (free-threaded) */
    PH_OBJECT_REACHABLE = 8, /* by strong references from tracked objects, roots and static types */
    PH_OBJECT_IN_BLOCK = 16, /* in a block of an allocator of Python's */
    /* On a list of a collection in progress: tracked, yet of no generation for the time being. */
    PH_OBJECT_COLLECTED = 32,
};

#define PH_NO_OBJECT UINT32_MAX

/* How many objects are on the lists of an interpreter's collector. */
struct ph_gc_counts {
    uint64_t generations[PH_GENERATIONS + 1];
    uint64_t collected; /* on lists of a collection in progress */
};

/* The objects in some blocks of a run that follow one another. What leads from an address to an
 * object's id is kept in few bits a block, so that it fits into the processor's caches: ids ascend
 * with addresses, so the objects before one in its group tell its id. */
struct ph_group {
    uint64_t objects;  /* a bit a block: it holds an object */
    uint64_t forms[2]; /* of these: low and high bit of an index into ph_heap.offsets */
    uint32_t first_id;
};

/* What may lie in a block before an object: nothing, a GC header, and the managed words too. */
enum { PH_HEADER_FORMS = 3 };

/* Which objects refer to an address that somebody will ask about. To note it while all references
 * are followed anyhow spares a search. */
struct ph_watch {
    ph_addr target;             /* 0: none */
    PH_ARRAY(uint32_t) holders; /* ids, ascending; each refers to it, perhaps weakly */
};

/* What the addresses of the objects from an id on are counted from: what is not farther apart than
 * 16 GiB shares one, so that an address takes four bytes. */
struct ph_base {
    uint32_t first_id;
    ph_addr address;
};
enum { PH_DISTANCE_BYTES = 4 }; /* objects lie at multiples of it */

struct ph_heap {
    struct ph_objects objects;
    struct ph_blocks blocks;
    struct ph_allocator allocator;
    struct ph_chunks chunks; /* where objects lie in malloc's memory; else empty */
    uint32_t count;
    PH_ARRAY(struct ph_base) bases;    /* ascending */
    uint32_t *distances;               /* from an object's base, in PH_DISTANCE_BYTES */
    uint32_t *type_ids;                /* index into objects.types */
    uint8_t *flags;                    /* enum ph_object_flags */
    struct ph_group *groups;           /* by the blocks' numbers of groups */
    uint32_t offsets[PH_HEADER_FORMS]; /* of an object in its block, by form */
    uint16_t *sizes, *allocations;     /* by id; NULL before the first is measured */
    bool has_sizes, has_allocations;   /* see ph_heap_measure() */
    struct ph_leads *leads;            /* by piece of the ids; NULL before they were noted */
    struct ph_watch watch;             /* as the snapshot was built for */
    struct ph_map outside;             /* address -> id of objects outside the blocks */
    struct ph_gc_counts *gc_counts;    /* by python->interpreters */

    /* What was passed over, for the reports. */
    uint64_t bad_references; /* references to what is no live object */
    uint64_t broken_lists;   /* GC lists that could not be followed to their end */
    uint64_t unreadable_objects;
};

/* Build the snapshot. `watched`: an address whose holders are to be noted, or 0. `measures`: sizes
 * will be asked for, so that ph_heap_measure() is to find most of them noted. *out is owned by the
 * caller; python is borrowed. host may be NULL. */
enum ph_status ph_heap_build(struct ph_python *python, ph_addr watched, bool measures,
                             const struct ph_host *host, struct ph_heap **out,
                             struct ph_error *err) PH_MUST_USE;
void ph_heap_destroy(struct ph_heap *heap); /* NULL is fine */

/* The object at exactly this address, or PH_NO_OBJECT. */
uint32_t ph_heap_find(const struct ph_heap *heap, ph_addr address);
/* The same for up to PH_FOUND_AT_ONCE addresses, whose waits for memory then are one. */
enum { PH_FOUND_AT_ONCE = 128 };
void ph_heap_find_all(const struct ph_heap *heap, const ph_addr *addresses, uint32_t count,
                      uint32_t *ids);

/* The GC generation of an object with these flags; -1 for one that is on no generation's list. */
static inline int ph_flags_generation(uint8_t flags)
{
    bool listed = (flags & PH_OBJECT_TRACKED) && !(flags & PH_OBJECT_COLLECTED);
    return listed ? flags & PH_OBJECT_GEN_MASK : -1;
}

/* The place in bases of an object's. */
static inline uint32_t ph_heap_base(const struct ph_heap *heap, uint32_t id)
{
    uint32_t last = heap->bases.count - 1;
    if (heap->bases.items[last].first_id <= id) /* nearly always */
        return last;
    return ph_array_lower_bound(&heap->bases, id + 1) - 1;
}

/* The address of object id. Addresses ascend with ids. */
static inline ph_addr ph_heap_address(const struct ph_heap *heap, uint32_t id)
{
    return heap->bases.items[ph_heap_base(heap, id)].address +
           (ph_addr)heap->distances[id] * PH_DISTANCE_BYTES;
}

static inline const struct ph_type *ph_heap_type(const struct ph_heap *heap, uint32_t id)
{
    return heap->objects.types.items[heap->type_ids[id]];
}
/* View object id. False where it became unreadable, which does not happen to objects that were
 * found. */
static inline bool ph_heap_open(struct ph_heap *heap, uint32_t id, struct ph_object *out)
{
    return ph_object_open(&heap->objects, ph_heap_address(heap, id), ph_heap_type(heap, id), out);
}
/* Its reference count; false where it is immortal or unreadable, and *count is then of no use. */
bool ph_heap_refcount(struct ph_heap *heap, uint32_t id, int64_t *count);
/* Append its summary, with at most max_chars of any text. */
void ph_heap_summary(struct ph_heap *heap, uint32_t id, uint64_t max_chars, struct ph_str *out);
/* Find the sizes of all objects at once, with several workers, and keep them for the questions
 * below; with_allocated: also what is allocated for each. Only the first call takes time. */
enum ph_status ph_heap_measure(struct ph_heap *heap, bool with_allocated,
                               const struct ph_host *host, struct ph_error *err) PH_MUST_USE;
/* Private: what is not kept, or does not fit into what is kept; and what is kept of so many bytes.
 */
#define PH_NOT_MEASURED UINT16_MAX
static inline uint16_t ph_heap_measured(uint64_t bytes)
{
    return bytes < PH_NOT_MEASURED ? (uint16_t)bytes : PH_NOT_MEASURED;
}
uint64_t ph_heap_find_sizeof(struct ph_heap *heap, uint32_t id);
uint64_t ph_heap_find_allocated(struct ph_heap *heap, uint32_t id);
/* sys.getsizeof of object id; 0 where unreadable. */
static inline uint64_t ph_heap_sizeof(struct ph_heap *heap, uint32_t id)
{
    bool kept = heap->sizes && heap->sizes[id] != PH_NOT_MEASURED;
    return kept ? heap->sizes[id] : ph_heap_find_sizeof(heap, id);
}
/* What the allocators hold for the object: its block and its buffers, with their rounding; 0 for a
 * static object. */
static inline uint64_t ph_heap_allocated(struct ph_heap *heap, uint32_t id)
{
    bool kept = heap->allocations && heap->allocations[id] != PH_NOT_MEASURED;
    return kept ? heap->allocations[id] : ph_heap_find_allocated(heap, id);
}
/* What the allocators hold for a memory block that begins at `start`, of which `bytes` are used:
 * the block's size, malloc's chunk, or the bytes themselves where neither can be told. */
uint64_t ph_heap_block_bytes(const struct ph_heap *heap, ph_addr start, uint64_t bytes);

/* Whether an object lies in a module's data, so that nobody allocated it. */
bool ph_heap_is_static(const struct ph_heap *heap, ph_addr address);

/* Work on all objects, in pieces of so many ids. */
struct ph_sharing {
    uint32_t piece_ids;
    const char *phase; /* for the host's progress; NULL: it is short */
    /* Handles the ids [first, end), perhaps beside other workers and with the target frozen. A
     * piece in which something was missed (ph_target_missed()) is handled again afterwards, as if
     * it never had been. */
    void (*work)(void *ctx, uint32_t first, uint32_t end);
    /* What is to be done once for each piece, when it was handled to the end; may be NULL. */
    void (*finish)(void *ctx, uint32_t first, uint32_t end);
    void *ctx;
};
/* By several workers where there are many objects. False: interrupted, or out of memory; host may
 * be NULL. */
enum ph_status ph_heap_share(struct ph_heap *heap, const struct ph_sharing *sharing,
                             const struct ph_host *host) PH_MUST_USE;

/* Every reference of object id to a known object, guesses confirmed: `target` is its id. */
typedef void (*ph_edge_fn)(void *ctx, uint32_t target, struct ph_label label, unsigned flags);
void ph_heap_edges(struct ph_heap *heap, uint32_t id, ph_edge_fn edge, void *ctx);

/* ---- roots ---- */

enum ph_root_kind { PH_ROOT_FRAME, PH_ROOT_THREAD, PH_ROOT_STATE, PH_ROOT_DATA };

/* A holder that is no object: a frame on a thread's stack (3.11+), a field of a thread's or an
 * interpreter's state, or a variable of a program or a library (which only graph/ looks for). */
struct ph_root {
    enum ph_root_kind kind;
    ph_addr address;  /* of the frame, the state or the variable */
    const char *name; /* of the field, as users know it: "sys.modules"; of the variable, the path
                         of its module; NULL for frames */
    uint32_t thread;  /* index into python->threads; of frames and threads' states */
    uint32_t interpreter; /* index into python->interpreters */
};

/* Called for every reference of every root; flags may say guess or stale. */
typedef void (*ph_root_fn)(void *ctx, const struct ph_root *root, ph_addr target,
                           struct ph_label label, unsigned flags);
void ph_heap_roots(struct ph_objects *objects, ph_root_fn visit, void *ctx);

#endif
