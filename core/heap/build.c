#include "heap/builder.h"

#include <inttypes.h>

#include "base/parallel.h"
#include "heap/collection.h"
#include "objects/dict.h"
#include "objects/int_value.h"
#include "runtime/version.h"

enum {
    OBJECTS_A_LOOK = 1 << 16, /* handled between two looks at Ctrl-C */
    OUTSIDE_FIRST = 1 << 12,
    RUNS_A_PIECE = 64,
    UNTRACKED_REFS = -2, /* gc_refs of an object on no list (Include/objimpl.h, to 3.7) */
};

void ph_builder_step(struct ph_builder *b)
{
    if (++b->handled % OBJECTS_A_LOOK == 0 && ph_host_interrupted(b->host))
        b->interrupted = true;
}

void ph_builder_progress(const struct ph_builder *b, unsigned percent)
{
    ph_host_progress(b->host, "finding objects", percent);
}

/* ---- adding one object ---- */

/* The count of what may be an object here; none where it cannot be read. */
static struct ph_refcount read_refcount(const struct ph_builder *b, ph_addr address)
{
    const uint8_t *head =
        ph_target_view(b->python->target, address, (size_t)b->python->layout.object.size);
    return head ? ph_refcount_read(b->python, head) : (struct ph_refcount){0};
}

static bool plausible_refcount(const struct ph_builder *b, ph_addr address)
{
    return ph_builder_plausible_count(read_refcount(b, address));
}

/* Whether what looks like a count is a link of malloc's free blocks. */
static bool is_free_link(const struct ph_builder *b, ph_addr address)
{
    const struct ph_layout *L = &b->python->layout;
    return b->heap->chunks.starts.count &&
           ph_chunks_is_link(&b->heap->chunks, address + (uint64_t)L->object.ob_refcnt,
                             ph_python_word(b->python, address, L->object.ob_refcnt));
}

/* Whether what looks like a count is a pointer to the interpreter's data or to the heap, which in
 * an executable with a fixed place are low enough: two pointers to types in a row look like an
 * object, as in PyDateTime_CAPI. So many references to what nothing refers to there cannot be. */
static bool is_pointer(const struct ph_builder *b, const struct ph_refcount *refs)
{
    return !refs->immortal && (uint64_t)refs->count % ph_word_bytes(b->python) == 0 &&
           ph_target_region_at(b->python->target, (ph_addr)refs->count);
}

/* For memory that nothing refers to. */
static bool certain_refcount(const struct ph_builder *b, ph_addr address)
{
    struct ph_refcount refs = read_refcount(b, address);
    return refs.clean && ph_builder_plausible_count(refs) && !is_free_link(b, address) &&
           !is_pointer(b, &refs);
}

const struct ph_type *ph_builder_type(struct ph_builder *b, ph_addr address)
{
    uint64_t type = 0;
    if (address % ph_word_bytes(b->python) != 0 ||
        !ph_target_word(b->python->target, address + (uint64_t)b->python->layout.object.ob_type,
                        &type))
        return NULL;
    return ph_type_at(&b->heap->objects, type);
}

bool ph_builder_is_leaf(const struct ph_type *type)
{
    bool owns = type->family->buffers && type->family != &ph_family_str &&
                type->family != &ph_family_py2_unicode;
    return !owns && !type->has_refs;
}

static void push(struct ph_builder *b, ph_addr address)
{
    if (!ph_array_push(&b->pending, address))
        b->failed = true;
}

static void follow_later(struct ph_builder *b, ph_addr address, uint32_t slot)
{
    if (b->todo && slot >= b->todo_from)
        __atomic_store_n(&b->todo[slot], 1, __ATOMIC_RELEASE);
    else
        push(b, address);
}

static void set_cell(struct ph_builder *b, uint32_t slot, unsigned to)
{
    __atomic_store_n(&b->heap->blocks.slots.items[slot], (uint8_t)to, __ATOMIC_RELAXED);
}

/* Change a cell from what it was seen to be. False where another worker was faster; *cell is then
 * what it is now. */
static bool change_cell(struct ph_builder *b, uint32_t slot, uint8_t *cell, unsigned to)
{
    if (b->is_worker && !b->takes_listed)
        return __atomic_compare_exchange_n(&b->heap->blocks.slots.items[slot], cell, (uint8_t)to,
                                           false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    set_cell(b, slot, to);
    return true;
}

void ph_builder_claim(struct ph_builder *b, uint32_t slot)
{
    uint8_t cell = ph_builder_cell(b, slot);
    while (ph_cell_state(cell) == PH_SLOT_USED && !change_cell(b, slot, &cell, PH_SLOT_BUFFER))
        continue;
}

unsigned ph_builder_form(const struct ph_builder *b, const struct ph_type *type)
{
    for (unsigned form = 0; form < b->header_count; form++) {
        if (b->headers[form] == type->header_bytes)
            return (form + 1) << PH_CELL_FORM_SHIFT | (ph_builder_is_leaf(type) ? PH_CELL_LEAF : 0);
    }
    return 0;
}

/* What a block in use holds: the form of the object that begins so far into it; 0 if none does. */
static unsigned form_in_block(struct ph_builder *b, const struct ph_run *run, ph_addr address,
                              uint64_t offset, uint8_t cell)
{
    const uint64_t prefix = b->heap->allocator.prefix_bytes;
    unsigned guess = (cell & PH_CELL_FORM) >> PH_CELL_FORM_SHIFT;
    if (guess && offset == prefix + b->headers[guess - 1])
        return cell & (PH_CELL_FORM | PH_CELL_LEAF);
    const struct ph_type *type = ph_builder_type(b, address);
    if (!type || offset != prefix + type->header_bytes ||
        offset + type->min_bytes > run->block_bytes || !plausible_refcount(b, address))
        return 0;
    return ph_builder_form(b, type);
}

/* The bits of an object's cell for its flags. */
static unsigned flag_bits(unsigned flags)
{
    unsigned listed = 0;
    if (flags & PH_OBJECT_COLLECTED)
        listed = PH_LISTED_COLLECTED;
    else if (flags & PH_OBJECT_TRACKED)
        listed = 1 + (flags & PH_OBJECT_GEN_MASK);
    return listed << PH_CELL_LISTED_SHIFT | (flags & PH_OBJECT_REACHABLE ? PH_CELL_REACHABLE : 0);
}

static uint8_t cell_flags(unsigned cell)
{
    unsigned listed = cell >> PH_CELL_LISTED_SHIFT;
    unsigned flags = PH_OBJECT_IN_BLOCK | (cell & PH_CELL_REACHABLE ? PH_OBJECT_REACHABLE : 0);
    if (listed == PH_LISTED_COLLECTED)
        flags |= PH_OBJECT_TRACKED | PH_OBJECT_COLLECTED;
    else if (listed)
        flags |= PH_OBJECT_TRACKED | (listed - 1);
    return (uint8_t)flags;
}

/* Objects get this flag from now on: PH_OBJECT_REACHABLE, or none. */
static void reach(struct ph_builder *b, unsigned flag)
{
    b->reached = (uint8_t)flag;
    b->known = (uint8_t)(PH_SLOT_OBJECT | flag_bits(flag));
    b->known_bits = PH_CELL_STATE | b->known;
}

/* Nothing is to be followed from what a block holds, and no list of the collector can have it:
 * whoever else adds it at the same time writes the same, and needs not wait. */
static bool is_plain(const struct ph_builder *b, unsigned form)
{
    return form == (PH_CELL_LEAF | 1 << PH_CELL_FORM_SHIFT) && b->header_count == PH_HEADER_FORMS;
}

enum ph_added ph_builder_add_in_block(struct ph_builder *b, const struct ph_run *run, uint32_t slot,
                                      uint64_t offset, uint8_t cell, unsigned flags)
{
    const ph_addr address = ph_run_block_address(run, slot) + offset;
    const unsigned bits = flag_bits(flags | b->reached);
    while (ph_cell_state(cell) == PH_SLOT_USED) {
        unsigned form = form_in_block(b, run, address, offset, cell);
        if (!form)
            return PH_NOT_ADDED;
        if (is_plain(b, form)) {
            set_cell(b, slot, PH_SLOT_OBJECT | (form & PH_CELL_FORM) | bits);
            return PH_ADDED;
        }
        if (change_cell(b, slot, &cell, PH_SLOT_OBJECT | (form & PH_CELL_FORM) | bits)) {
            if (!(form & PH_CELL_LEAF))
                follow_later(b, address, slot);
            return PH_ADDED;
        }
    }
    while (ph_cell_state(cell) == PH_SLOT_OBJECT) {
        bool listed = cell >> PH_CELL_LISTED_SHIFT;
        if (listed && (flags & PH_OBJECT_TRACKED))
            return PH_REPEATED;
        unsigned with = cell | bits;
        if (with == cell || change_cell(b, slot, &cell, with))
            return PH_ADDED;
    }
    return PH_NOT_ADDED;
}

enum ph_added ph_builder_add_outside(struct ph_builder *b, ph_addr address, unsigned flags)
{
    uint32_t index;
    if (ph_map_find(&b->heap->outside, address, &index)) {
        uint8_t *has = &b->outside.items[index].flags;
        if (flags & *has & PH_OBJECT_TRACKED)
            return PH_REPEATED;
        if ((*has | flags | b->reached) != *has)
            __atomic_fetch_or(has, (uint8_t)(flags | b->reached), __ATOMIC_RELAXED);
        return PH_ADDED;
    }
    const struct ph_type *type = ph_builder_type(b, address);
    struct ph_object o;
    if (!type || !plausible_refcount(b, address) ||
        !ph_object_open(&b->heap->objects, address, type, &o))
        return PH_NOT_ADDED;
    if (b->is_worker) {
        ph_target_miss();
        return PH_NOT_ADDED;
    }
    struct ph_outside_object found = {address, type->id, (uint8_t)(flags | b->reached)};
    /* In this order: what the map leads to is there, even where memory runs out in between. */
    if (!ph_array_push(&b->outside, found) ||
        !ph_map_insert(&b->heap->outside, address, b->outside.count - 1)) {
        b->failed = true;
        return PH_NOT_ADDED;
    }
    if (!ph_builder_is_leaf(type))
        push(b, address);
    return PH_ADDED;
}

/* ---- blocks in use that nothing found refers to ---- */

/* Whether the block at this address is plainly an object of a type with `header` bytes before it: a
 * known type that demands exactly that header, a count that is one, a size that fits. */
static bool plainly_object(struct ph_builder *b, ph_addr address, uint32_t header, uint64_t room)
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

/* Add the object in a block in use that nothing found refers to, if it plainly is one. */
static void scan_block(struct ph_builder *b, ph_addr block, uint64_t bytes)
{
    const uint32_t prefix = b->heap->allocator.prefix_bytes;
    if (prefix != ph_allocator_prefix(&b->heap->allocator, b->python, block + prefix))
        return;
    for (uint32_t h = 0; h < b->header_count; h++) {
        uint32_t offset = prefix + b->headers[h];
        if (offset < bytes && plainly_object(b, block + offset, b->headers[h], bytes - offset) &&
            ph_builder_add(b, block + offset, 0))
            return;
    }
}

/* Of eight cells those in a state: the lowest bit of each one's byte. */
static uint64_t cells_in_state(const uint8_t *cells, enum ph_slot_state state)
{
    const uint64_t lowest = 0x0101010101010101;
    uint64_t eight;
    memcpy(&eight, cells, sizeof eight);
    eight ^= lowest * state;
    return ~(eight | eight >> 1) & lowest;
}

/* Blocks in use that nothing found refers to. */
static void scan_unclaimed(struct ph_builder *b)
{
    const struct ph_blocks *blocks = &b->heap->blocks;
    for (uint32_t i = 0; i < blocks->runs.count && !b->failed && !b->interrupted; i++) {
        const struct ph_run *run = &blocks->runs.items[i];
        const uint8_t *cells = blocks->slots.items + run->first_slot;
        uint32_t count = run->use == PH_RUN_BUFFERS ? 0 : run->block_count;
        for (uint32_t n = 0; n < count; n++) {
            while (n + 8 < count && !cells_in_state(cells + n, PH_SLOT_USED))
                n += 8;
            if (ph_cell_state(cells[n]) != PH_SLOT_USED)
                continue;
            scan_block(b, ph_run_block_address(run, run->first_slot + n), run->block_bytes);
            ph_builder_step(b);
        }
        ph_builder_step(b);
    }
}

/* Whether a known object lies in this block of malloc's. */
static bool holds_object(const struct ph_builder *b, ph_addr block, uint64_t bytes)
{
    for (uint32_t h = 0; h < b->header_count; h++) {
        uint64_t offset = b->heap->offsets[h];
        if (offset < bytes && ph_map_find(&b->heap->outside, block + offset, NULL))
            return true;
    }
    return false;
}

/* malloc's blocks in use that nothing found refers to. */
static void scan_unclaimed_chunks(struct ph_builder *b)
{
    const struct ph_chunks *chunks = &b->heap->chunks;
    for (uint32_t i = 0; i < chunks->starts.count && !b->failed && !b->interrupted; i++) {
        ph_addr block = chunks->starts.items[i];
        uint64_t bytes = ph_chunk_bytes(b->python, block);
        if (!chunks->claimed[i] && !ph_blocks_find(&b->heap->blocks, block) &&
            !holds_object(b, block, bytes))
            scan_block(b, block, bytes);
        ph_builder_step(b);
    }
}

/* ---- the arrays ---- */

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

static int by_address(const void *a, const void *b)
{
    const struct ph_outside_object *x = a, *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

static bool allocate_arrays(struct ph_heap *heap, uint64_t count, bool measured)
{
    if (count >= PH_NO_OBJECT)
        return false;
    size_t n = count ? (size_t)count : 1;
    heap->count = (uint32_t)count;
    heap->distances = ph_malloc(n * sizeof *heap->distances);
    heap->type_ids = ph_malloc(n * sizeof *heap->type_ids);
    heap->flags = ph_malloc(n);
    if (measured) {
        heap->sizes = ph_malloc(n * sizeof *heap->sizes);
        heap->allocations = ph_malloc(n * sizeof *heap->allocations);
    }
    return heap->distances && heap->type_ids && heap->flags &&
           (!measured || (heap->sizes && heap->allocations));
}

/* An object under collection whose list was not found, where nothing tells a stack pointer: its
 * header still says that it is tracked. */
static bool is_collected(const struct ph_builder *b, const struct ph_type *type, ph_addr address,
                         uint8_t flags)
{
    return type->is_gc && !(flags & PH_OBJECT_TRACKED) && header_says_tracked(b->python, address);
}

/* How the objects of the runs get their ids: several workers count, then number them. */
struct numbering {
    struct ph_builder *b;
    uint32_t *first;              /* by run: how many objects it has, then the id of the first */
    uint8_t flags[UINT8_MAX + 1]; /* of an object, by its cell */
    uint32_t collecting;          /* the interpreter in which a collection runs, or UINT32_MAX */
    struct ph_pieces pieces;
};

static void count_objects(void *ctx, unsigned worker)
{
    struct numbering *n = ctx;
    const struct ph_heap *heap = n->b->heap;
    uint64_t at, end;
    (void)worker;
    while (ph_pieces_next(&n->pieces, &at, &end)) {
        for (; at < end; at++) {
            const struct ph_run *run = &heap->blocks.runs.items[at];
            const uint8_t *cells = heap->blocks.slots.items + run->first_slot;
            uint32_t count = 0, i = 0;
            for (; i + 8 <= run->block_count; i += 8)
                count +=
                    (uint32_t)(cells_in_state(cells + i, PH_SLOT_OBJECT) * 0x0101010101010101 >>
                               56);
            for (; i < run->block_count; i++)
                count += ph_cell_state(cells[i]) == PH_SLOT_OBJECT;
            n->first[at] = count;
        }
    }
}

/* The type of an object that was added. It was read then, and so it is known and at hand. */
static uint32_t type_id_at(const struct ph_python *python, const struct ph_map *type_ids,
                           ph_addr address)
{
    uint32_t known = 0;
    ph_map_find(type_ids, ph_python_word(python, address, python->layout.object.ob_type), &known);
    return known ? known - 1 : 0;
}

static void keep_measured(struct ph_heap *heap, uint32_t id, struct ph_measured measured)
{
    heap->sizes[id] = measured.size ? measured.size : PH_NOT_MEASURED;
    heap->allocations[id] = measured.size ? measured.allocated : PH_NOT_MEASURED;
}

/* Give the objects of some blocks their ids, the first of which is `id`; and the next id. Where the
 * guess was right, none of them needs to be looked at. */
static uint32_t number_group(const struct numbering *n, const struct ph_run *run, uint32_t first,
                             uint32_t end, uint32_t id)
{
    /* Copies, for to write a byte might change what lies behind a pointer. */
    struct ph_heap *const heap = n->b->heap;
    const struct ph_python *const python = n->b->python;
    const struct ph_map type_ids = heap->objects.type_ids;
    uint8_t *const cells = heap->blocks.slots.items + run->first_slot;
    const uint16_t *const guesses = n->b->guesses ? n->b->guesses + run->first_slot : NULL;
    const struct ph_measured *const measured =
        n->b->measured ? n->b->measured + run->first_slot : NULL;
    const ph_addr start = run->start, block_bytes = run->block_bytes;
    const ph_addr base = heap->bases.items[ph_heap_base(heap, id)].address;
    struct ph_group group = {.first_id = id};
    for (uint32_t block = first; block < end; block++) {
        const unsigned cell = cells[block];
        cells[block] = (uint8_t)ph_cell_state(cell);
        if (ph_cell_state(cell) != PH_SLOT_OBJECT)
            continue;
        uint8_t flags = n->flags[cell];
        uint64_t form = ((cell & PH_CELL_FORM) >> PH_CELL_FORM_SHIFT) - 1;
        ph_addr address = start + block * block_bytes + heap->offsets[form];
        uint32_t type_id = guesses && guesses[block] ? guesses[block] - 1u : UINT32_MAX;
        bool is_right = type_id != UINT32_MAX &&
                        heap->objects.types.items[type_id]->header_bytes == n->b->headers[form];
        if (!is_right)
            type_id = type_id_at(python, &type_ids, address);
        if (measured)
            keep_measured(heap, id, is_right ? measured[block] : (struct ph_measured){0});
        if (n->collecting != UINT32_MAX &&
            is_collected(n->b, heap->objects.types.items[type_id], address, flags)) {
            flags |= PH_OBJECT_TRACKED | PH_OBJECT_COLLECTED;
            ph_builder_count_collected(n->b, n->collecting, 1);
        }
        group.objects |= (uint64_t)1 << (block - first);
        group.forms[0] |= (form & 1) << (block - first);
        group.forms[1] |= form >> 1 << (block - first);
        heap->distances[id] = (uint32_t)((address - base) / PH_DISTANCE_BYTES);
        heap->type_ids[id] = type_id;
        heap->flags[id] = flags;
        id++;
    }
    heap->groups[run->first_group + first / PH_GROUP_BLOCKS] = group;
    return id;
}

static void number_run(const struct numbering *n, const struct ph_run *run, uint32_t id)
{
    for (uint32_t first = 0, end; first < run->block_count; first = end) {
        end = first + PH_GROUP_BLOCKS;
        if (end > run->block_count)
            end = run->block_count;
        id = number_group(n, run, first, end, id);
    }
}

static void number_objects(void *ctx, unsigned worker)
{
    struct numbering *n = ctx;
    const struct ph_run *runs = n->b->heap->blocks.runs.items;
    uint64_t at, end;
    while (ph_pieces_next(&n->pieces, &at, &end)) {
        for (; at < end; at++)
            number_run(n, &runs[at], n->first[at]);
        ph_pieces_look(&n->pieces, worker, n->b->host);
    }
}

static ph_addr last_base(const struct ph_heap *heap)
{
    return heap->bases.items[heap->bases.count - 1].address;
}

/* Objects from `id` on lie in [first, last]: let them have a base. */
static bool ensure_base(struct ph_heap *heap, uint32_t id, ph_addr first, ph_addr last)
{
    if (heap->bases.count && last - last_base(heap) <= (ph_addr)UINT32_MAX * PH_DISTANCE_BYTES)
        return true;
    return ph_array_push(&heap->bases, ((struct ph_base){id, first}));
}

static bool number_outside(struct ph_heap *heap, const struct ph_outside_object *o, uint32_t id)
{
    if (!ensure_base(heap, id, o->address, o->address))
        return false;
    ph_map_insert(&heap->outside, o->address, id);
    heap->distances[id] = (uint32_t)((o->address - last_base(heap)) / PH_DISTANCE_BYTES);
    heap->type_ids[id] = o->type_id;
    heap->flags[id] = o->flags;
    if (heap->sizes)
        keep_measured(heap, id, (struct ph_measured){0});
    return true;
}

/* The ids at which the runs begin, given how many objects they have, and those of the objects
 * between them. Twice: first with no arrays to fill, for how many there are. */
static uint64_t number_runs(struct ph_builder *b, uint32_t *first)
{
    struct ph_heap *heap = b->heap;
    const bool fill = heap->distances;
    uint64_t id = 0;
    uint32_t outside = 0;
    for (uint32_t i = 0; i <= heap->blocks.runs.count && !b->failed; i++) {
        const struct ph_run *run = i < heap->blocks.runs.count ? &heap->blocks.runs.items[i] : NULL;
        for (; outside < b->outside.count; outside++) {
            const struct ph_outside_object *o = &b->outside.items[outside];
            if (run && o->address >= run->start)
                break;
            b->failed |= fill && !number_outside(heap, o, (uint32_t)id);
            id++;
        }
        uint32_t count = run ? first[i] : 0;
        if (fill && run) {
            b->failed |=
                !ensure_base(heap, (uint32_t)id, run->start, ph_run_end(run) - run->block_bytes);
            first[i] = (uint32_t)id;
        }
        id += count;
    }
    return id;
}

static bool make_arrays(struct ph_builder *b)
{
    struct ph_heap *heap = b->heap;
    uint32_t runs = heap->blocks.runs.count;
    struct numbering n = {
        .b = b,
        .first = ph_malloc((runs + 1) * sizeof *n.first),
        .collecting = ph_collection_interpreter(b->python),
        .pieces = {.count = runs, .piece = RUNS_A_PIECE},
    };
    for (unsigned cell = 0; cell <= UINT8_MAX; cell++)
        n.flags[cell] = cell_flags(cell);
    /* What is under collection is counted by one. */
    unsigned workers = n.collecting == UINT32_MAX && runs > RUNS_A_PIECE ? ph_worker_count() : 1;
    bool ok = n.first;
    if (ok) {
        ph_parallel(workers, count_objects, &n);
        if (b->outside.count)
            qsort(b->outside.items, b->outside.count, sizeof *b->outside.items, by_address);
        ok = allocate_arrays(heap, number_runs(b, n.first), b->measured);
    }
    if (ok) {
        number_runs(b, n.first);
        ok = !b->failed;
    }
    if (ok) {
        n.pieces.next = 0;
        ph_target_freeze(b->python->target);
        ph_parallel(workers, number_objects, &n);
        ph_target_thaw(b->python->target);
        b->interrupted = n.pieces.stopped;
    }
    free(n.first);
    return ok;
}

static int ascending(const void *a, const void *b)
{
    const ph_addr *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Keep the ids of those that refer to what is watched, each once. */
static bool make_watch(struct ph_builder *b)
{
    struct ph_watch *watch = &b->heap->watch;
    const struct ph_addresses *holders = &b->holders;
    if (holders->count)
        qsort(holders->items, holders->count, sizeof *holders->items, ascending);
    for (uint32_t i = 0; i < holders->count; i++) {
        bool again = i && holders->items[i] == holders->items[i - 1];
        uint32_t id = again ? PH_NO_OBJECT : ph_heap_find(b->heap, holders->items[i]);
        if (id != PH_NO_OBJECT && !ph_array_push(&watch->holders, id))
            return false;
    }
    return true;
}

static void find_header_forms(struct ph_builder *b)
{
    const uint32_t gc = ph_python_gc_header_bytes(b->python);
    b->headers[b->header_count++] = 0;
    if (gc)
        b->headers[b->header_count++] = gc;
    b->headers[b->header_count++] = gc + 2 * ph_word_bytes(b->python);
    for (uint32_t form = 0; form < b->header_count; form++)
        b->heap->offsets[form] = b->heap->allocator.prefix_bytes + b->headers[form];
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

static enum ph_status build(struct ph_builder *b, struct ph_error *err)
{
    struct ph_heap *heap = b->heap;
    if (!ph_objects_init(&heap->objects, b->python))
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    if (b->python->version_is_a_guess)
        ask_sys_for_version(&heap->objects);
    ph_host_progress(b->host, "reading memory", 0);
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
    heap->groups = ph_malloc(heap->blocks.group_count * sizeof *heap->groups);
    heap->gc_counts = ph_calloc(b->python->interpreters.count, sizeof *heap->gc_counts);
    b->failed = !heap->groups || !heap->gc_counts || !ph_map_reserve(&heap->outside, OUTSIDE_FIRST);
    find_header_forms(b);
    ph_builder_progress(b, 30);
    reach(b, PH_OBJECT_REACHABLE);
    if (!b->failed) {
        ph_builder_add_tracked(b);
        ph_heap_roots(&heap->objects, ph_builder_follow_root, b);
        ph_builder_close(b);
        ph_builder_progress(b, 80);
        reach(b, 0);
        scan_unclaimed(b);
        scan_unclaimed_chunks(b);
        ph_builder_close(b);
    }
    heap->bad_references = b->bad_references;
    heap->unreadable_objects = b->unreadable_objects;
    bool made = !b->interrupted && !b->failed && make_arrays(b) && make_watch(b);
    if (b->interrupted)
        return ph_fail(err, PH_INTERRUPTED, "interrupted");
    if (!made || heap->objects.out_of_memory)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    return PH_OK;
}

enum ph_status ph_heap_build(struct ph_python *python, ph_addr watched, bool measures,
                             const struct ph_host *host, struct ph_heap **out, struct ph_error *err)
{
    struct ph_builder b = {
        .python = python, .host = host, .measures = measures, .heap = ph_calloc(1, sizeof *b.heap)};
    if (!b.heap)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    b.heap->watch.target = watched;
    enum ph_status status = build(&b, err);
    ph_host_progress(host, NULL, 0);
    ph_array_free(&b.pending);
    ph_array_free(&b.outside);
    ph_array_free(&b.holders);
    free(b.guesses);
    free(b.measured);
    ph_give_back();
    if (status)
        ph_heap_destroy(b.heap);
    else
        *out = b.heap;
    return status;
}
