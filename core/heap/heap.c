#include "heap/heap.h"

#include <inttypes.h>

#include "heap/collection.h"
#include "objects/dict.h"
#include "objects/int_value.h"
#include "runtime/refcount.h"
#include "runtime/version.h"

enum {
    OBJECTS_A_LOOK = 1 << 16, /* handled between two looks at Ctrl-C */
    PENDING_FIRST = 1 << 12,
    PENDING_AHEAD = 8,   /* objects whose turn comes soon are fetched into the cache meanwhile */
    UNTRACKED_REFS = -2, /* gc_refs of an object on no list (Include/objimpl.h, to 3.7) */
    GC_BIT_TRACKED = 1,  /* of ob_gc_bits (Include/internal/pycore_gc.h) */
    GC_BIT_FROZEN = 8,
    CHUNK_SLACK = 8192, /* a chunk is not more than this, or a quarter, larger than asked for */
};
#define MAX_REFCOUNT                                                                               \
    (1ll << 40) /* higher counts are no counts; immortal ones are told apart before */

/* An object found outside the blocks: large, in the executable's data, or from a debug allocator.
 */
struct outside_object {
    ph_addr address;
    uint32_t type_id;
    uint8_t flags;
};

/* What lasts only while the snapshot is built. */
struct builder {
    struct ph_heap *heap;
    struct ph_python *python;
    const struct ph_host *host;
    PH_ARRAY(ph_addr) pending; /* found, references not yet followed */
    PH_ARRAY(struct outside_object) outside;
    uint8_t *slot_flags;  /* enum ph_object_flags of the object in each slot */
    uint32_t types_added; /* types of the table whose type objects were added */
    uint8_t reached;      /* flag that new objects get: reachable, or nothing in the last phase */
    uint64_t handled;
    bool failed, interrupted;
};

static void check_interrupt(struct builder *b)
{
    if (++b->handled % OBJECTS_A_LOOK == 0 && ph_host_interrupted(b->host))
        b->interrupted = true;
}

/* ---- adding one object ---- */

static bool plausible_count(const struct ph_refcount *refs)
{
    return refs->immortal || (refs->count > 0 && refs->count < MAX_REFCOUNT);
}

/* The count of what may be an object here; none where it cannot be read. */
static struct ph_refcount read_refcount(const struct builder *b, ph_addr address)
{
    const uint8_t *head =
        ph_target_view(b->python->target, address, (size_t)b->python->layout.object.size);
    return head ? ph_refcount_read(b->python, head) : (struct ph_refcount){0};
}

static bool plausible_refcount(const struct builder *b, ph_addr address)
{
    struct ph_refcount refs = read_refcount(b, address);
    return plausible_count(&refs);
}

/* Whether what looks like a count is a link of malloc's free blocks. */
static bool is_free_link(const struct builder *b, ph_addr address)
{
    const struct ph_layout *L = &b->python->layout;
    return b->heap->chunks.starts.count &&
           ph_chunks_is_link(&b->heap->chunks, address + (uint64_t)L->object.ob_refcnt,
                             ph_python_word(b->python, address, L->object.ob_refcnt));
}

/* For memory that nothing refers to. */
static bool certain_refcount(const struct builder *b, ph_addr address)
{
    struct ph_refcount refs = read_refcount(b, address);
    return refs.clean && plausible_count(&refs) && !is_free_link(b, address);
}

static const struct ph_type *type_of(struct builder *b, ph_addr address)
{
    uint64_t type = 0;
    if (address % ph_word_bytes(b->python) != 0 ||
        !ph_target_word(b->python->target, address + (uint64_t)b->python->layout.object.ob_type,
                        &type))
        return NULL;
    return ph_type_at(&b->heap->objects, type);
}

/* Most objects hold nothing and own nothing: int, float, bytes. A str may own a buffer, but its
 * bytes never look like an object. */
static void push(struct builder *b, ph_addr address, const struct ph_type *type)
{
    bool owns = type->family->buffers && type->family != &ph_family_str &&
                type->family != &ph_family_py2_unicode;
    if ((owns || ph_type_has_refs(type)) && !ph_array_push(&b->pending, address))
        b->failed = true;
}

static bool add_in_block(struct builder *b, const struct ph_run *run, ph_addr address,
                         unsigned flags)
{
    uint8_t *slots = b->heap->blocks.slots.items;
    uint32_t slot;
    uint64_t offset;
    if (!ph_run_block(run, address, &slot, &offset) || slots[slot] == PH_SLOT_FREE)
        return false;
    if (slots[slot] == PH_SLOT_OBJECT) {
        b->slot_flags[slot] |= (uint8_t)(flags | b->reached);
        return true;
    }
    const struct ph_type *type = type_of(b, address);
    if (!type || slots[slot] == PH_SLOT_BUFFER ||
        offset != b->heap->allocator.prefix_bytes + type->header_bytes ||
        offset + type->min_bytes > run->block_bytes || !plausible_refcount(b, address))
        return false;
    slots[slot] = PH_SLOT_OBJECT;
    b->heap->slot_ids[slot] = type->id; /* the object's own id takes its place in append_run() */
    b->slot_flags[slot] = (uint8_t)(flags | b->reached | PH_OBJECT_IN_BLOCK);
    push(b, address, type);
    return true;
}

static bool add_outside(struct builder *b, ph_addr address, unsigned flags)
{
    uint32_t index;
    if (ph_map_find(&b->heap->outside, address, &index)) {
        b->outside.items[index].flags |= (uint8_t)(flags | b->reached);
        return true;
    }
    const struct ph_type *type = type_of(b, address);
    struct ph_object o;
    if (!type || !plausible_refcount(b, address) ||
        !ph_object_open(&b->heap->objects, address, type, &o))
        return false;
    struct outside_object found = {address, type->id, (uint8_t)(flags | b->reached)};
    /* In this order: what the map leads to is there, even where memory runs out in between. */
    if (!ph_array_push(&b->outside, found) ||
        !ph_map_insert(&b->heap->outside, address, b->outside.count - 1)) {
        b->failed = true;
        return false;
    }
    push(b, address, type);
    return true;
}

/* Add the object at this address, or note the flags of one that is known. False if there is no
 * object. */
static bool add(struct builder *b, ph_addr address, unsigned flags)
{
    const struct ph_run *run = ph_blocks_find(&b->heap->blocks, address);
    return run ? add_in_block(b, run, address, flags) : add_outside(b, address, flags);
}

/* ---- closure ---- */

/* Whether a word that is perhaps a reference leads to where none of malloc's blocks has an object:
 * it would begin as far into its block as its type demands. Outside of pools nothing else speaks
 * against what looks like an object. */
static bool leads_astray(struct builder *b, ph_addr target)
{
    ph_addr start;
    if (!ph_chunks_block_at(&b->heap->chunks, b->python, target, &start))
        return false;
    const struct ph_type *type = type_of(b, target);
    return type && target - start != b->heap->allocator.prefix_bytes + type->header_bytes;
}

static void follow(struct builder *b, ph_addr target, unsigned flags)
{
    if (!(flags & PH_REF_STRONG) || ((flags & PH_REF_GUESS) && leads_astray(b, target)))
        return;
    /* What nobody refers to may be the remains of an object. */
    if (!add(b, target, 0) && !(flags & PH_REF_GUESS) && b->reached)
        b->heap->bad_references++;
}

static void follow_ref(void *ctx, ph_addr target, struct ph_label label, unsigned flags)
{
    (void)label;
    follow(ctx, target, flags);
}

static void follow_root(void *ctx, const struct ph_root *root, ph_addr target,
                        struct ph_label label, unsigned flags)
{
    (void)root;
    (void)label;
    follow(ctx, target, flags);
}

/* Blocks that are buffers of objects are no objects, whatever their bytes look like. */
static void claim_buffer(void *ctx, ph_addr start, uint64_t bytes, const char *what)
{
    struct builder *b = ctx;
    uint8_t *slots = b->heap->blocks.slots.items;
    const struct ph_run *run = ph_blocks_find(&b->heap->blocks, start);
    uint32_t slot;
    uint64_t offset;
    (void)bytes;
    (void)what;
    if (!run)
        ph_chunks_claim(&b->heap->chunks, b->python, start);
    else if (ph_run_block(run, start, &slot, &offset) && slots[slot] == PH_SLOT_USED)
        slots[slot] = PH_SLOT_BUFFER;
}

/* Types are objects too; those in the image are found here, for their instances do not count
 * references to them. */
static void add_new_types(struct builder *b)
{
    while (b->types_added < b->heap->objects.types.count)
        add(b, b->heap->objects.types.items[b->types_added++]->address, 0);
}

/* Follow references until nothing new is found. */
static void close_over(struct builder *b)
{
    const struct ph_visitor v = {follow_ref, b};
    const struct ph_buffer_visitor claim = {claim_buffer, b};
    do {
        while (b->pending.count > 0 && !b->failed && !b->interrupted) {
            ph_addr address = b->pending.items[--b->pending.count];
            struct ph_object o;
            if (b->pending.count > PENDING_AHEAD)
                ph_target_prefetch(b->python->target,
                                   b->pending.items[b->pending.count - PENDING_AHEAD]);
            if (ph_object_at(&b->heap->objects, address, &o)) {
                ph_object_refs(&b->heap->objects, &o, &v);
                ph_object_buffers(&b->heap->objects, &o, &claim);
            } else {
                b->heap->unreadable_objects++;
            }
            check_interrupt(b);
        }
        add_new_types(b);
    } while (b->pending.count > 0 && !b->failed && !b->interrupted);
}

/* ---- the three sources ---- */

/* The flags of a known object, or NULL. */
static const uint8_t *known_flags(const struct builder *b, ph_addr address)
{
    const struct ph_run *run = ph_blocks_find(&b->heap->blocks, address);
    uint32_t slot;
    uint64_t offset;
    if (run)
        return ph_run_block(run, address, &slot, &offset) &&
                       b->heap->blocks.slots.items[slot] == PH_SLOT_OBJECT
                   ? &b->slot_flags[slot]
                   : NULL;
    return ph_map_find(&b->heap->outside, address, &slot) ? &b->outside.items[slot].flags : NULL;
}

/* A GC list is a ring through its head; only next links are believed, for a collection uses the
 * others. One that does not come back to its head would go on for ever: meeting an object of a list
 * again ends it. */
static void walk_gc_list(struct builder *b, ph_addr head, unsigned flags, uint64_t *count)
{
    const struct ph_layout *L = &b->python->layout;
    uint64_t node = head;
    while (!b->failed && !b->interrupted) {
        uint64_t next;
        if (!ph_target_word(b->python->target, node + (uint64_t)L->gc_head.next, &next))
            break;
        node = next & ~PH_GC_LINK_FLAGS;
        if (node == head)
            return;
        ph_addr address = node + (uint64_t)L->gc_head.size;
        const uint8_t *known = node ? known_flags(b, address) : NULL;
        if (!node || (known && (*known & PH_OBJECT_TRACKED)))
            break;
        if (add(b, address, PH_OBJECT_TRACKED | flags))
            (*count)++;
        else
            b->heap->bad_references++;
        check_interrupt(b);
    }
    if (!b->interrupted)
        b->heap->broken_lists++;
}

/* Without lists, the collector looks through the heaps of GC objects for those that are marked. */
static void walk_gc_run(struct builder *b, const struct ph_run *run)
{
    const struct ph_layout *L = &b->python->layout;
    uint64_t before = b->heap->allocator.prefix_bytes;
    if (run->use == PH_RUN_GC_MANAGED)
        before += 2 * ph_word_bytes(b->python);
    for (uint32_t n = 0; n < run->block_count && !b->failed && !b->interrupted; n++) {
        uint8_t bits = 0;
        ph_addr address = run->start + n * run->block_bytes + before;
        check_interrupt(b);
        if (b->heap->blocks.slots.items[run->first_slot + n] == PH_SLOT_FREE ||
            !ph_target_u8(b->python->target, address + (uint64_t)L->object.ob_gc_bits, &bits) ||
            !(bits & GC_BIT_TRACKED))
            continue;
        unsigned generation = bits & GC_BIT_FROZEN ? PH_GEN_PERMANENT : 0;
        if (!add(b, address, PH_OBJECT_TRACKED | generation))
            b->heap->bad_references++;
    }
}

static void walk_gc_runs(struct builder *b)
{
    const struct ph_blocks *blocks = &b->heap->blocks;
    for (uint32_t i = 0; i < blocks->runs.count; i++) {
        const struct ph_run *run = &blocks->runs.items[i];
        if (run->use == PH_RUN_GC || run->use == PH_RUN_GC_MANAGED)
            walk_gc_run(b, run);
    }
}

static void walk_gc_lists(struct builder *b)
{
    if (b->python->layout.traits.gc_header == PH_GC_HEADER_NONE)
        walk_gc_runs(b);
    for (uint32_t i = 0; i < b->python->interpreters.count; i++) {
        const struct ph_gc *gc = &b->python->interpreters.items[i].gc;
        for (unsigned g = 0; g <= PH_GEN_PERMANENT; g++) {
            if (gc->lists[g].head)
                walk_gc_list(b, gc->lists[g].head, g, &b->heap->gc_counts[i].generations[g]);
        }
    }
}

static void count_collected(struct builder *b, uint32_t interp, uint64_t count)
{
    b->heap->gc_counts[interp].collected += count;
    /* To 3.6 nothing but such objects tells that a collection runs. */
    b->python->interpreters.items[interp].gc.collecting |= count > 0;
}

static void walk_collection_lists(struct builder *b)
{
    struct ph_list_heads heads = {0};
    uint32_t interp = ph_collection_interpreter(b->python);
    b->failed = !ph_collection_lists(b->python, &heads) || b->failed;
    for (uint32_t i = 0; i < heads.count; i++) {
        uint64_t count = 0;
        walk_gc_list(b, heads.items[i], PH_OBJECT_COLLECTED, &count);
        count_collected(b, interp, count);
    }
    ph_array_free(&heads);
}

/* Whether the block at this address is plainly an object of a type with `header` bytes before it: a
 * known type that demands exactly that header, a count that is one, a size that fits. */
static bool plainly_object(struct builder *b, ph_addr address, uint32_t header, uint64_t room)
{
    const struct ph_layout *L = &b->python->layout;
    uint64_t type_address = ph_python_word(b->python, address, L->object.ob_type);
    uint32_t known;
    struct ph_object o;
    if (!ph_map_find(&b->heap->objects.type_ids, type_address, &known) || !known)
        return false;
    const struct ph_type *type = b->heap->objects.types.items[known - 1];
    return type->header_bytes == header && type->min_bytes <= room &&
           certain_refcount(b, address) && ph_object_open(&b->heap->objects, address, type, &o) &&
           ph_object_own_bytes(&b->heap->objects, &o) <= room;
}

/* What may lie in a block before an object: nothing, a GC header, and the managed words too; how
 * many these are. */
enum { HEADER_FORMS = 3 };
static int header_forms(const struct builder *b, uint32_t forms[HEADER_FORMS])
{
    const uint32_t gc = ph_python_gc_header_bytes(b->python);
    int count = 0;
    forms[count++] = 0;
    if (gc)
        forms[count++] = gc;
    forms[count++] = gc + 2 * ph_word_bytes(b->python);
    return count;
}

/* Add the object in a block in use that nothing found refers to, if it plainly is one. */
static void scan_block(struct builder *b, ph_addr block, uint64_t bytes)
{
    uint32_t headers[HEADER_FORMS];
    int count = header_forms(b, headers);
    const uint32_t prefix = b->heap->allocator.prefix_bytes;
    if (prefix != ph_allocator_prefix(&b->heap->allocator, b->python, block + prefix))
        return;
    for (int h = 0; h < count; h++) {
        uint32_t offset = prefix + headers[h];
        if (offset < bytes && plainly_object(b, block + offset, headers[h], bytes - offset) &&
            add(b, block + offset, 0))
            return;
    }
}

/* Blocks in use that nothing found refers to. */
static void scan_unclaimed(struct builder *b)
{
    const struct ph_blocks *blocks = &b->heap->blocks;
    for (uint32_t i = 0; i < blocks->runs.count && !b->failed && !b->interrupted; i++) {
        const struct ph_run *run = &blocks->runs.items[i];
        for (uint32_t n = 0; n < run->block_count && run->use != PH_RUN_BUFFERS; n++) {
            uint32_t slot = run->first_slot + n;
            if (blocks->slots.items[slot] == PH_SLOT_USED)
                scan_block(b, ph_run_block_address(run, slot), run->block_bytes);
            check_interrupt(b);
        }
    }
}

/* Whether a known object lies in this block of malloc's. */
static bool holds_object(const struct builder *b, ph_addr block, uint64_t bytes)
{
    uint32_t headers[HEADER_FORMS];
    int count = header_forms(b, headers);
    for (int h = 0; h < count; h++) {
        uint64_t offset = b->heap->allocator.prefix_bytes + headers[h];
        if (offset < bytes && ph_map_find(&b->heap->outside, block + offset, NULL))
            return true;
    }
    return false;
}

/* malloc's blocks in use that nothing found refers to. */
static void scan_unclaimed_chunks(struct builder *b)
{
    const struct ph_chunks *chunks = &b->heap->chunks;
    for (uint32_t i = 0; i < chunks->starts.count && !b->failed && !b->interrupted; i++) {
        ph_addr block = chunks->starts.items[i];
        uint64_t bytes = ph_chunk_bytes(b->python, block);
        if (!chunks->claimed[i] && !ph_blocks_find(&b->heap->blocks, block) &&
            !holds_object(b, block, bytes))
            scan_block(b, block, bytes);
        check_interrupt(b);
    }
}

static bool header_says_tracked(const struct ph_python *python, ph_addr address)
{
    const struct ph_layout *L = &python->layout;
    ph_addr header = address - (uint64_t)L->gc_head.size;
    if (L->traits.gc_header == PH_GC_HEADER_LINKS)
        return ph_python_word(python, header, L->gc_head.next) != 0;
    const uint8_t *refs =
        ph_target_view(python->target, header + (uint64_t)L->gc_head.refs, ph_word_bytes(python));
    if (!refs)
        return false;
    int64_t value = ph_load_ssize(python, refs);
    return (L->traits.gc_header == PH_GC_HEADER_REFS ? value : value >> 1) != UNTRACKED_REFS;
}

/* ---- the arrays ---- */

static int by_address(const void *a, const void *b)
{
    const struct outside_object *x = a, *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

static bool allocate_arrays(struct ph_heap *heap, uint64_t count)
{
    if (count >= PH_NO_OBJECT)
        return false;
    size_t n = count ? (size_t)count : 1;
    heap->addresses = ph_malloc(n * sizeof *heap->addresses);
    heap->type_ids = ph_malloc(n * sizeof *heap->type_ids);
    heap->flags = ph_malloc(n);
    return heap->addresses && heap->type_ids && heap->flags;
}

static void append(struct ph_heap *heap, ph_addr address, uint32_t type_id, uint8_t flags)
{
    heap->addresses[heap->count] = address;
    heap->type_ids[heap->count] = type_id;
    heap->flags[heap->count] = flags;
    heap->count++;
}

static void append_outside_below(struct builder *b, uint32_t *next, ph_addr limit)
{
    for (; *next < b->outside.count && b->outside.items[*next].address < limit; (*next)++) {
        const struct outside_object *o = &b->outside.items[*next];
        ph_map_insert(&b->heap->outside, o->address, b->heap->count);
        append(b->heap, o->address, o->type_id, o->flags);
    }
}

/* An object under collection whose list was not found, where nothing tells a stack pointer: its
 * header still says that it is tracked. */
static bool is_collected(const struct builder *b, const struct ph_type *type, ph_addr address,
                         uint8_t flags)
{
    return type->is_gc && !(flags & PH_OBJECT_TRACKED) && header_says_tracked(b->python, address);
}

static void append_run(struct builder *b, const struct ph_run *run, uint32_t collecting)
{
    struct ph_heap *heap = b->heap;
    for (uint32_t n = 0; n < run->block_count; n++) {
        uint32_t slot = run->first_slot + n;
        if (heap->blocks.slots.items[slot] != PH_SLOT_OBJECT) {
            heap->slot_ids[slot] = PH_NO_OBJECT;
            continue;
        }
        uint8_t flags = b->slot_flags[slot];
        uint32_t type_id = heap->slot_ids[slot];
        const struct ph_type *type = heap->objects.types.items[type_id];
        ph_addr address =
            ph_run_block_address(run, slot) + heap->allocator.prefix_bytes + type->header_bytes;
        if (collecting != UINT32_MAX && is_collected(b, type, address, flags)) {
            flags |= PH_OBJECT_TRACKED | PH_OBJECT_COLLECTED;
            count_collected(b, collecting, 1);
        }
        heap->slot_ids[slot] = heap->count;
        append(heap, address, type_id, flags);
    }
}

static bool make_arrays(struct builder *b)
{
    struct ph_heap *heap = b->heap;
    uint64_t count = b->outside.count;
    for (uint32_t i = 0; i < heap->blocks.slots.count; i++)
        count += heap->blocks.slots.items[i] == PH_SLOT_OBJECT;
    if (!allocate_arrays(heap, count))
        return false;
    uint32_t collecting = ph_collection_interpreter(b->python);
    if (b->outside.count)
        qsort(b->outside.items, b->outside.count, sizeof *b->outside.items, by_address);
    uint32_t next = 0;
    for (uint32_t i = 0; i < heap->blocks.runs.count; i++) {
        const struct ph_run *run = &heap->blocks.runs.items[i];
        append_outside_below(b, &next, run->start);
        append_run(b, run, collecting);
    }
    append_outside_below(b, &next, UINT64_MAX);
    return true;
}

static void progress(const struct builder *b, const char *phase, unsigned percent)
{
    if (b->host && b->host->progress)
        b->host->progress(b->host->ctx, phase, percent);
}

/* Where nothing told the exact version before objects could be read, sys.hexversion does. */
static void ask_sys_for_version(struct ph_objects *objects)
{
    struct ph_python *python = objects->python;
    ph_addr sysdict = ph_python_word(python, python->interpreters.items[0].address,
                                     python->layout.interp.sysdict);
    ph_addr number = ph_dict_get_string(objects, sysdict, "hexversion");
    uint64_t hex;
    if (!number || !ph_int_value(objects, number, &hex) || hex >> 16 != python->version_hex >> 16)
        return;
    python->version_hex = (uint32_t)hex;
    ph_version_format(python->version, python->version_hex);
    python->version_is_a_guess = false;
}

static enum ph_status build(struct builder *b, struct ph_error *err)
{
    struct ph_heap *heap = b->heap;
    if (!ph_objects_init(&heap->objects, b->python))
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    if (b->python->version_is_a_guess)
        ask_sys_for_version(&heap->objects);
    progress(b, "reading memory", 0);
    enum ph_status status = ph_blocks_scan(&heap->blocks, b->python, b->host, err);
    if (status)
        return status;
    if (!ph_type_at(&heap->objects, b->python->type_type))
        return heap->objects.out_of_memory
                   ? ph_fail(err, PH_NO_MEMORY, "out of memory")
                   : ph_fail_at(err, PH_BAD_DATA, b->python->type_type,
                                "the type object `type`, at 0x%" PRIx64 ", is damaged",
                                b->python->type_type);
    ph_allocator_detect(&heap->allocator, &heap->objects, &heap->blocks);
    if (heap->allocator.kind == PH_ALLOCATOR_MALLOC)
        status = ph_chunks_scan(&heap->chunks, b->python, b->host, err);
    if (status)
        return status;
    b->slot_flags = ph_calloc(heap->blocks.slots.count, 1);
    heap->slot_ids = ph_calloc(heap->blocks.slots.count, sizeof *heap->slot_ids);
    heap->gc_counts = ph_calloc(b->python->interpreters.count, sizeof *heap->gc_counts);
    b->failed = !b->slot_flags || !heap->slot_ids || !heap->gc_counts ||
                !ph_map_reserve(&heap->outside, PENDING_FIRST);
    progress(b, "finding objects", 30);
    b->reached = PH_OBJECT_REACHABLE;
    if (!b->failed) {
        walk_gc_lists(b);
        walk_collection_lists(b);
        ph_heap_roots(&heap->objects, follow_root, b);
        close_over(b);
        progress(b, "finding objects", 80);
        b->reached = 0;
        scan_unclaimed(b);
        scan_unclaimed_chunks(b);
        close_over(b);
    }
    if (b->interrupted)
        return ph_fail(err, PH_INTERRUPTED, "interrupted");
    if (b->failed || !make_arrays(b) || heap->objects.out_of_memory)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    return PH_OK;
}

enum ph_status ph_heap_build(struct ph_python *python, const struct ph_host *host,
                             struct ph_heap **out, struct ph_error *err)
{
    struct builder b = {.python = python, .host = host, .heap = ph_calloc(1, sizeof *b.heap)};
    if (!b.heap)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    enum ph_status status = build(&b, err);
    progress(&b, NULL, 0);
    ph_array_free(&b.pending);
    ph_array_free(&b.outside);
    free(b.slot_flags);
    if (status)
        ph_heap_destroy(b.heap);
    else
        *out = b.heap;
    return status;
}

void ph_heap_destroy(struct ph_heap *heap)
{
    if (!heap)
        return;
    ph_objects_deinit(&heap->objects);
    ph_blocks_free(&heap->blocks);
    ph_chunks_free(&heap->chunks);
    ph_map_free(&heap->outside);
    free(heap->addresses);
    free(heap->type_ids);
    free(heap->flags);
    free(heap->slot_ids);
    free(heap->gc_counts);
    free(heap);
}

/* ---- questions ---- */

uint32_t ph_heap_find(const struct ph_heap *heap, ph_addr address)
{
    const struct ph_run *run = ph_blocks_find(&heap->blocks, address);
    uint32_t slot, id = PH_NO_OBJECT;
    uint64_t offset;
    if (run) {
        if (ph_run_block(run, address, &slot, &offset))
            id = heap->slot_ids[slot];
        return id != PH_NO_OBJECT && heap->addresses[id] == address ? id : PH_NO_OBJECT;
    }
    return ph_map_find(&heap->outside, address, &id) ? id : PH_NO_OBJECT;
}

bool ph_heap_open(struct ph_heap *heap, uint32_t id, struct ph_object *out)
{
    return ph_object_open(&heap->objects, heap->addresses[id], ph_heap_type(heap, id), out);
}

bool ph_heap_refcount(struct ph_heap *heap, uint32_t id, int64_t *count)
{
    struct ph_object o;
    *count = 0;
    return ph_heap_open(heap, id, &o) && ph_object_refcount(&heap->objects, &o, count);
}

void ph_heap_summary(struct ph_heap *heap, uint32_t id, uint64_t max_chars, struct ph_str *out)
{
    struct ph_object o;
    if (ph_heap_open(heap, id, &o))
        ph_object_summary(&heap->objects, &o, max_chars, out);
}

uint64_t ph_heap_sizeof(struct ph_heap *heap, uint32_t id)
{
    struct ph_object o;
    return ph_heap_open(heap, id, &o) ? ph_object_sizeof(&heap->objects, &o) : 0;
}

uint64_t ph_heap_block_bytes(const struct ph_heap *heap, ph_addr start, uint64_t bytes)
{
    const struct ph_run *run = ph_blocks_find(&heap->blocks, start);
    if (run)
        return run->block_bytes;
    start -= ph_allocator_prefix(&heap->allocator, heap->objects.python, start);
    /* glibc keeps the size of a chunk in the word before it; its low three bits are flags
     * (malloc/malloc.c). */
    uint64_t word = ph_word_bytes(heap->objects.python), chunk = 0;
    if (!ph_target_word(heap->objects.python->target, start - word, &chunk))
        return bytes;
    chunk &= ~(uint64_t)7;
    bool plausible = chunk >= bytes + word && chunk - bytes < CHUNK_SLACK + bytes / 4;
    return plausible ? chunk : bytes;
}

struct allocated_sum {
    const struct ph_heap *heap;
    uint64_t bytes;
};

static void add_buffer(void *ctx, ph_addr start, uint64_t bytes, const char *what)
{
    struct allocated_sum *sum = ctx;
    (void)what;
    sum->bytes += ph_heap_block_bytes(sum->heap, start, bytes);
}

bool ph_heap_is_static(const struct ph_heap *heap, ph_addr address)
{
    const struct ph_region *region = ph_target_region_at(heap->objects.python->target, address);
    return region && !(region->flags & PH_REGION_ANON);
}

/* 2.7 carves its ints and floats out of blocks of a thousand bytes (Objects/intobject.c). */
static bool lies_in_block_of_many(const struct ph_heap *heap, const struct ph_object *o)
{
    const struct ph_family *family = o->type->family;
    return heap->objects.python->layout.version < 0x03000000 && o->type == o->type->described &&
           !ph_heap_is_static(heap, o->address) &&
           (family == &ph_family_py2_int || family == &ph_family_float);
}

uint64_t ph_heap_allocated(struct ph_heap *heap, uint32_t id)
{
    struct ph_object o;
    if (!ph_heap_open(heap, id, &o))
        return 0;
    struct allocated_sum sum = {.heap = heap};
    ph_object_buffers(&heap->objects, &o, &(struct ph_buffer_visitor){add_buffer, &sum});
    ph_addr block = o.address - o.type->header_bytes;
    if (heap->flags[id] & PH_OBJECT_IN_BLOCK)
        sum.bytes += ph_blocks_find(&heap->blocks, block)->block_bytes;
    else if (lies_in_block_of_many(heap, &o))
        sum.bytes += o.type->basicsize;
    else if (!ph_heap_is_static(heap, o.address))
        sum.bytes += ph_heap_block_bytes(
            heap, block, ph_object_own_bytes(&heap->objects, &o) + o.type->header_bytes);
    return sum.bytes;
}

struct edge_walk {
    struct ph_heap *heap;
    ph_edge_fn edge;
    void *ctx;
};

static void emit_edge(void *ctx, ph_addr target, struct ph_label label, unsigned flags)
{
    struct edge_walk *w = ctx;
    uint32_t id = ph_heap_find(w->heap, target);
    if (id != PH_NO_OBJECT)
        w->edge(w->ctx, id, label, flags);
}

void ph_heap_edges(struct ph_heap *heap, uint32_t id, ph_edge_fn edge, void *ctx)
{
    struct edge_walk w = {heap, edge, ctx};
    struct ph_object o;
    if (ph_heap_open(heap, id, &o))
        ph_object_refs(&heap->objects, &o, &(struct ph_visitor){emit_edge, &w});
}
