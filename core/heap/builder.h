/*
 * How a snapshot is built, shared by the files that do it. Nobody else includes this.
 *
 *     build.c      adding objects, blocks that nothing refers to, the arrays of the snapshot
 *     lists.c      the collector's lists
 *     closure.c    following references, by several workers where there is much to follow
 *     guess.c      what the blocks in use seem to hold
 *
 * An object is added when something leads to it, and then waits (pending) until its own references
 * are followed.
 */
#ifndef PH_HEAP_BUILDER_H
#define PH_HEAP_BUILDER_H

#include "heap/heap.h"
#include "runtime/refcount.h"

struct ph_addresses PH_ARRAY_BODY(ph_addr);

/* An object found outside the blocks: large, in the executable's data, or from a debug allocator.
 */
struct ph_outside_object {
    ph_addr address;
    uint32_t type_id;
    uint8_t flags;
};

/* What an object takes, as the heap keeps it; zeros where it was not found out. */
struct ph_measured {
    uint16_t size, allocated;
};

/*
 * While the snapshot is built, a slot's byte says more than its state (enum ph_slot_state), which
 * has the low two bits: in the next two, the form of what lies before the object in the block; of
 * an object, in the last four, its flags. One byte a block, for these are looked up in no order.
 *
 * A block in use may have a form beforehand: that of the object which it holds, if it holds one;
 * and PH_CELL_LEAF, if there is nothing to follow from that object.
 */
enum {
    PH_CELL_STATE = 3,
    PH_CELL_FORM_SHIFT = 2, /* 0: not known; else 1 + an index into the builder's headers */
    PH_CELL_FORM = 3 << PH_CELL_FORM_SHIFT,
    PH_CELL_LEAF = 16,      /* of blocks in use */
    PH_CELL_REACHABLE = 16, /* of objects, and in the next three bits where the collector has it */
    PH_CELL_LISTED_SHIFT = 5, /* 0: nowhere; 1 + its generation; or PH_LISTED_COLLECTED */
    PH_LISTED_COLLECTED = 7,
};
static inline enum ph_slot_state ph_cell_state(unsigned cell)
{
    return (enum ph_slot_state)(cell & PH_CELL_STATE);
}

/* What lasts only while the snapshot is built. While several workers are busy each has a copy: the
 * arrays that they share do not grow meanwhile, and the target is frozen. */
struct ph_builder {
    struct ph_heap *heap;
    struct ph_python *python;
    const struct ph_host *host;        /* of workers, only the first one's */
    uint32_t headers[PH_HEADER_FORMS]; /* bytes of each form */
    uint32_t header_count;
    struct ph_addresses pending; /* added, references not yet followed */
    PH_ARRAY(struct ph_outside_object) outside;
    uint32_t types_added; /* types of the table whose type objects were added */
    uint8_t reached;      /* flag that new objects get: reachable, or nothing in the last phase */
    uint8_t known, known_bits; /* the cell of an object that has that flag, in these bits */
    uint64_t handled;
    uint64_t bad_references, unreadable_objects; /* as in struct ph_heap */
    bool guessed;                                /* the blocks in use have forms */
    uint16_t *guesses; /* by slot: id + 1 of the type that gave the block its form; 0: unknown */
    bool measures;     /* sizes are noted on the way */
    struct ph_measured *measured; /* by slot: of what was guessed or followed; NULL: nothing is */
    uint64_t buffer_bytes;        /* allocated for the buffers of the object that is followed */
    bool failed, interrupted;

    ph_addr followed;            /* the object whose references are being followed */
    struct ph_addresses holders; /* those that refer to heap->watch.target, some twice */

    bool is_worker;
    /* What a worker could not do, for something would have had to be learnt first: objects whose
     * references it could not follow, and addresses that it was given. */
    struct ph_addresses missed, untaken;
    /* Workers: a byte a slot, set where an object was added whose references are to be followed;
     * but what lies before this slot is pending. */
    uint8_t *todo;
    uint32_t todo_from;
    bool takes_listed; /* nobody else adds what this worker does: an object is listed once */
    uint64_t listed;   /* objects that were added from the list in hand */
    bool repeated;     /* it leads to what had been on a list before */
};

/* A slot's byte, while others may change it. */
static inline uint8_t ph_builder_cell(const struct ph_builder *b, uint32_t slot)
{
    return __atomic_load_n(&b->heap->blocks.slots.items[slot], __ATOMIC_RELAXED);
}

enum ph_added {
    PH_NOT_ADDED, /* there is no object; or a worker missed something (ph_target_missed()) */
    PH_ADDED,     /* or known before, and the flags noted */
    PH_REPEATED,  /* it should become tracked, and was; nothing is noted */
};

/* Private: add what lies so far into the block of a slot, whose byte was read; or what lies outside
 * the blocks. */
enum ph_added ph_builder_add_in_block(struct ph_builder *b, const struct ph_run *run, uint32_t slot,
                                      uint64_t offset, uint8_t cell, unsigned flags);
enum ph_added ph_builder_add_outside(struct ph_builder *b, ph_addr address, unsigned flags);

/* Add the object at this address, or note the flags of one that is known: most of what references
 * lead to has been added before, and nothing about it is new. */
static inline enum ph_added ph_builder_add(struct ph_builder *b, ph_addr address, unsigned flags)
{
    const struct ph_run *run = ph_blocks_find(&b->heap->blocks, address);
    uint32_t slot;
    uint64_t offset;
    if (!run)
        return ph_builder_add_outside(b, address, flags);
    if (!ph_run_block(run, address, &slot, &offset))
        return PH_NOT_ADDED;
    uint8_t cell = ph_builder_cell(b, slot);
    if (!flags && (cell & b->known_bits) == b->known)
        return PH_ADDED;
    return ph_builder_add_in_block(b, run, slot, offset, cell, flags);
}
/* The block in this slot belongs to an object as its buffer, unless it holds one. */
void ph_builder_claim(struct ph_builder *b, uint32_t slot);
/* The type of what may be an object here; NULL where it is none. */
const struct ph_type *ph_builder_type(struct ph_builder *b, ph_addr address);
/* Whether what stands in the place of an object's count may be one: higher counts are no counts. */
#define PH_MAX_REFCOUNT (1ll << 40)
static inline bool ph_builder_plausible_count(struct ph_refcount refs)
{
    return refs.immortal || (refs.count > 0 && refs.count < PH_MAX_REFCOUNT);
}
/* Whether instances refer to nothing that must be followed and own no buffers that must be claimed:
 * most objects, such as int, float, bytes. A str may own a buffer, but its bytes never look like an
 * object. */
bool ph_builder_is_leaf(const struct ph_type *type);
/* What the cell of a block says that holds an instance: the form, and perhaps PH_CELL_LEAF; 0 where
 * no block has what lies before it. */
unsigned ph_builder_form(const struct ph_builder *b, const struct ph_type *type);
/* The next of a row of numbers that look random, the same at each run (Knuth's MMIX). */
static inline uint32_t ph_builder_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}
/* Show how far the search for objects has come. */
void ph_builder_progress(const struct ph_builder *b, unsigned percent);
/* Count one step of long work; b->interrupted tells whether the user wants no more. */
void ph_builder_step(struct ph_builder *b);

/* Note the form of what each block in use seems to hold, with several workers: nearly all blocks
 * are looked at anyhow, and one after the other is far faster than as references lead to them. */
void ph_builder_guess(struct ph_builder *b, unsigned workers);

/* Add what is on the collector's lists, or marked so where it has none. */
void ph_builder_add_tracked(struct ph_builder *b);
/* So many more objects of an interpreter are under collection. */
void ph_builder_count_collected(struct ph_builder *b, uint32_t interp, uint64_t count);

/* Follow references until nothing new is found. */
void ph_builder_close(struct ph_builder *b);
void ph_builder_follow_root(void *ctx, const struct ph_root *root, ph_addr target,
                            struct ph_label label, unsigned flags);
/* Call take() for each address, and follow what that adds to what it leads to; by several workers
 * where there are many addresses, and then perhaps not to the end, so that ph_builder_close() must
 * come behind. *given is used up. */
typedef void (*ph_take_fn)(struct ph_builder *b, ph_addr address, unsigned flags);
void ph_builder_share(struct ph_builder *b, struct ph_addresses *given, ph_take_fn take,
                      unsigned flags);

/* Append addresses; b->failed where memory runs out. */
void ph_builder_append(struct ph_builder *b, struct ph_addresses *to,
                       const struct ph_addresses *from);

#endif
