/*
 * mimalloc (Include/internal/mimalloc/mimalloc/types.h): the allocator of free-threaded builds, and
 * of others from 3.13 on where PYTHONMALLOC says so.
 *
 * Its segments lie at addresses of a certain alignment, and each begins with a cookie that is its
 * address with one number of the process mixed in: those that agree on the number are segments. A
 * segment is cut into slices; a run of slices is a page, whose blocks are equal. Segments of all
 * threads are found, those of dead ones too.
 */
#include "heap/blocks.h"

#include "base/map.h"

enum {
    MAX_INFO_SLICES = 16,
    TAG_BITS_SHIFT = 3, /* of the byte before debug_offset, in 2.1 */
    TAG_BITS_MASK = 15,
    THREAD_FREE_MASK = 3, /* low bits of xthread_free are flags */
    ALIGNED_TWICE = 64,   /* 2.1: up to this size blocks begin three blocks into a page, */
    ALIGNED_ONCE = 512,   /* and up to this one block (segment.c) */
};
#define HUGE_BLOCK (2ull << 30)   /* 2.1: the page's slices tell the size of larger ones */
#define VAST_BLOCK (256ull << 30) /* no object is as large */

struct segment {
    ph_addr address;
    uint64_t key; /* that it says the process has */
};

struct scan {
    struct ph_blocks *blocks;
    struct ph_python *python;
    const struct ph_host *host;
    uint64_t slice_bytes, segment_bytes, slices_a_segment;
    PH_ARRAY(struct segment) segments;
    PH_ARRAY(ph_addr) heaps; /* that pages belong to */
    struct ph_map heap_set;
    uint64_t vast_bytes; /* of mappings that are too large to be searched */
};

/* ---- segments ---- */

/* Whether a segment begins here, but for its key: its first slices hold its own head. */
static bool is_segment(const struct scan *s, const uint8_t *at)
{
    const struct ph_python *python = s->python;
    const struct ph_layout *L = &python->layout;
    uint64_t info = ph_load_ptr(python, at + L->mi_segment.segment_info_slices);
    uint64_t slices = ph_load_ptr(python, at + L->mi_segment.segment_slices);
    uint64_t entries = ph_load_ptr(python, at + L->mi_segment.slice_entries);
    const uint8_t *first = at + L->mi_segment.slices;
    return info > 0 && info <= MAX_INFO_SLICES && info <= entries &&
           entries <= s->slices_a_segment && entries <= slices &&
           ph_load_u32(python, first + L->mi_page.slice_count) == info &&
           ph_load_u32(python, first + L->mi_page.slice_offset) == 0;
}

static enum ph_status find_segments(struct scan *s)
{
    const struct ph_python *python = s->python;
    const struct ph_layout *L = &python->layout;
    size_t head_bytes = (size_t)L->mi_segment.slices + (size_t)L->mi_page.size;
    const struct ph_region *region;
    for (size_t i = 0; (region = ph_blocks_region(python, &i)) != NULL;) {
        if (ph_host_interrupted(s->host))
            return PH_INTERRUPTED;
        if (ph_region_is_vast(region)) {
            s->vast_bytes += region->end - region->start;
            continue;
        }
        ph_addr at = (region->start + s->segment_bytes - 1) / s->segment_bytes * s->segment_bytes;
        for (; at < region->end && at >= region->start; at += s->segment_bytes) {
            bool fits = region->end - at >= head_bytes;
            const uint8_t *head = fits ? ph_target_view(python->target, at, head_bytes) : NULL;
            if (!head || !is_segment(s, head))
                continue;
            struct segment segment = {at, at ^ ph_load_ptr(python, head + L->mi_segment.cookie)};
            if (!ph_array_push(&s->segments, segment))
                return PH_NO_MEMORY;
        }
    }
    return PH_OK;
}

/* The key that most of the segments have (Boyer and Moore's vote). */
static uint64_t process_key(const struct scan *s)
{
    uint64_t key = 0;
    uint32_t votes = 0;
    for (uint32_t i = 0; i < s->segments.count; i++) {
        if (votes == 0)
            key = s->segments.items[i].key;
        votes = key == s->segments.items[i].key ? votes + 1 : votes - 1;
    }
    return key;
}

/* ---- pages ---- */

struct page {
    uint64_t slices;
    uint32_t capacity, used;
    uint64_t block_bytes;
    ph_addr start; /* 0: computed */
    ph_addr free, local_free, thread_free, heap;
    unsigned tag;
};

static struct page read_page(const struct ph_python *python, const uint8_t *at)
{
    const struct ph_layout *L = &python->layout;
    struct page page = {
        .slices = ph_load_u32(python, at + L->mi_page.slice_count),
        .capacity = ph_load_u16(python, at + L->mi_page.capacity),
        .free = ph_load_ptr(python, at + L->mi_page.free),
        .local_free = ph_load_ptr(python, at + L->mi_page.local_free),
        .thread_free =
            ph_load_ptr(python, at + L->mi_page.xthread_free) & ~(ph_addr)THREAD_FREE_MASK,
        .heap = ph_load_ptr(python, at + L->mi_page.xheap),
    };
    if (L->traits.mimalloc == PH_MIMALLOC_V2_1) {
        page.used = ph_load_u32(python, at + L->mi_page.used);
        page.block_bytes = ph_load_u32(python, at + L->mi_page.block_bytes);
        page.tag = at[L->mi_page.debug_offset - 1] >> TAG_BITS_SHIFT & TAG_BITS_MASK;
    } else {
        page.used = ph_load_u16(python, at + L->mi_page.used);
        page.block_bytes = ph_load_ptr(python, at + L->mi_page.block_bytes);
        page.start = ph_load_ptr(python, at + L->mi_page.page_start);
        page.tag = at[L->mi_page.heap_tag];
    }
    return page;
}

/* Where in the memory of its slices a page of 2.1 begins
 * (segment.c: _mi_segment_page_start_from_slice). */
static uint64_t start_offset(const struct ph_python *python, uint64_t block_bytes)
{
    if (block_bytes < ph_word_bytes(python) || block_bytes > ALIGNED_ONCE)
        return 0;
    return block_bytes <= ALIGNED_TWICE ? 3 * block_bytes : block_bytes;
}

/* What a free-threaded build's heap of this tag is for (Include/internal/pycore_mimalloc.h). */
static enum ph_run_use use_of(const struct ph_python *python, unsigned tag)
{
    static const enum ph_run_use uses[] = {PH_RUN_BUFFERS, PH_RUN_PLAIN, PH_RUN_GC,
                                           PH_RUN_GC_MANAGED};
    bool sorted = python->build & PH_BUILD_FREE_THREADED && tag < sizeof uses / sizeof *uses;
    return sorted ? uses[tag] : PH_RUN_ANY;
}

/* The run of a page whose slices begin at `memory`; false where its numbers cannot be. */
static bool run_of_page(const struct scan *s, struct page *page, ph_addr memory, struct ph_run *run)
{
    const struct ph_region *region = ph_target_region_at(s->python->target, memory);
    uint64_t bytes = page->slices * s->slice_bytes;
    if (!region || bytes > region->end - memory)
        return false;
    if (s->python->layout.traits.mimalloc == PH_MIMALLOC_V2_1) {
        page->start = memory + start_offset(s->python, page->block_bytes);
        if (page->block_bytes == HUGE_BLOCK)
            page->block_bytes = bytes;
    }
    uint64_t before = page->start - memory;
    if (page->block_bytes > VAST_BLOCK || page->block_bytes % ph_word_bytes(s->python) != 0 ||
        before >= bytes || page->capacity * page->block_bytes > bytes - before ||
        page->used > page->capacity)
        return false;
    *run = (struct ph_run){
        .start = page->start,
        .block_bytes = page->block_bytes,
        .block_count = page->capacity,
        .use = use_of(s->python, page->tag),
    };
    return true;
}

/* ---- free lists ---- */

/* Debug builds rotate and mix the links of free blocks with two keys of the list's owner, a page or
 * a heap, and NULL is the owner's address (internal.h: mi_ptr_decode). */
struct free_list {
    const struct ph_python *python;
    ph_addr owner;
    int32_t keys; /* where the owner has them; PH_ABSENT where links are plain */
};

static ph_addr next_free(void *ctx, ph_addr block)
{
    const struct free_list *list = ctx;
    const struct ph_python *python = list->python;
    uint64_t link = ph_python_word(python, block, 0);
    if (!ph_has(list->keys))
        return link;
    unsigned bits = 8 * ph_word_bytes(python);
    uint64_t turn = ph_python_word(python, list->owner, list->keys);
    uint64_t mix = ph_python_word(python, list->owner, list->keys + (int32_t)ph_word_bytes(python));
    uint64_t mask = bits == 64 ? UINT64_MAX : UINT32_MAX;
    unsigned shift = (unsigned)(turn % bits);
    uint64_t x = (link - turn) & mask;
    x = shift ? (x >> shift | x << (bits - shift)) & mask : x;
    x ^= mix;
    return x == list->owner ? 0 : x;
}

/* Blocks of a page are in use but those on its three lists: ready, freed by the owning thread,
 * freed by others. `used` still counts those of the last. */
static void take_free_blocks(struct scan *s, struct ph_run *run, uint8_t *slots,
                             const struct page *page, ph_addr page_address)
{
    struct free_list list = {s->python, page_address, s->python->layout.mi_page.keys};
    uint32_t ready, own, others;
    bool sane = ph_run_take_free(run, slots, page->free, next_free, &list, &ready);
    sane &= ph_run_take_free(run, slots, page->local_free, next_free, &list, &own);
    sane &= ph_run_take_free(run, slots, page->thread_free, next_free, &list, &others);
    run->damaged = !sane || page->used + ready + own != page->capacity;
    s->blocks->damaged_count += run->damaged;
    s->blocks->used_count -= ready + own + others;
}

static bool note_heap(struct scan *s, ph_addr heap)
{
    uint32_t known;
    if (!heap || ph_map_find(&s->heap_set, heap, &known))
        return true;
    return ph_map_insert(&s->heap_set, heap, 0) && ph_array_push(&s->heaps, heap);
}

static bool add_page(struct scan *s, const uint8_t *at, ph_addr page_address, ph_addr memory)
{
    struct page page = read_page(s->python, at);
    struct ph_run run;
    bool damaged = !run_of_page(s, &page, memory, &run);
    if (!damaged && run.block_count == 0)
        return true;
    uint8_t *slots = damaged ? NULL : ph_blocks_add(s->blocks, run, &damaged);
    s->blocks->damaged_count += damaged;
    if (!slots)
        return damaged;
    take_free_blocks(s, &s->blocks->runs.items[s->blocks->runs.count - 1], slots, &page,
                     page_address);
    return note_heap(s, page.heap);
}

static enum ph_status add_segment(struct scan *s, ph_addr segment)
{
    const struct ph_python *python = s->python;
    const struct ph_layout *L = &python->layout;
    const uint8_t *head = ph_target_view(python->target, segment, (size_t)L->mi_segment.slices);
    uint64_t entries = ph_load_ptr(python, head + L->mi_segment.slice_entries);
    uint64_t i = ph_load_ptr(python, head + L->mi_segment.segment_info_slices);
    uint64_t all = ph_load_ptr(python, head + L->mi_segment.segment_slices);
    struct ph_segment kept = {segment, segment + i * s->slice_bytes,
                              segment + all * s->slice_bytes};
    if (!ph_array_push(&s->blocks->segments, kept))
        return PH_NO_MEMORY;
    ph_addr slices = segment + (uint64_t)L->mi_segment.slices;
    const uint8_t *at =
        ph_target_view(python->target, slices, (size_t)(entries * (uint64_t)L->mi_page.size));
    while (at && i < entries) {
        uint64_t offset = i * (uint64_t)L->mi_page.size;
        struct page page = read_page(python, at + offset);
        if (page.slices == 0)
            break;
        /* Slices that no page has have no block size. */
        if (page.block_bytes &&
            !add_page(s, at + offset, slices + offset, segment + i * s->slice_bytes))
            return PH_NO_MEMORY;
        i += page.slices;
    }
    s->blocks->damaged_count += at && i < entries;
    return ph_host_interrupted(s->host) ? PH_INTERRUPTED : PH_OK;
}

/* What all segments have; of one for a block that is larger still, it is the beginning. */
static bool read_segments(struct scan *s, uint64_t key)
{
    struct ph_ranges ranges = {0};
    bool ok = true;
    for (uint32_t i = 0; i < s->segments.count && ok; i++) {
        ph_addr start = s->segments.items[i].address;
        if (s->segments.items[i].key == key)
            ok = ph_array_push(&ranges, ((struct ph_range){start, start + s->segment_bytes}));
    }
    /* Without memory for the list they are read when they are looked at. */
    ok = !ok || ph_blocks_read_ahead(s->python, &ranges);
    ph_array_free(&ranges);
    return ok;
}

static enum ph_status add_segments(struct scan *s)
{
    uint64_t key = process_key(s);
    enum ph_status status = read_segments(s, key) ? PH_OK : PH_INTERRUPTED;
    for (uint32_t i = 0; i < s->segments.count && !status; i++) {
        if (s->segments.items[i].key == key)
            status = add_segment(s, s->segments.items[i].address);
    }
    return status;
}

/* ---- blocks freed, but on no list of their page ---- */

static bool take_block(struct scan *s, ph_addr address)
{
    struct ph_blocks *blocks = s->blocks;
    const struct ph_run *run = ph_blocks_find(blocks, address);
    uint32_t slot;
    uint64_t offset;
    if (!run || !ph_run_block(run, address, &slot, &offset) || offset != 0 ||
        blocks->slots.items[slot] == PH_SLOT_FREE)
        return false;
    blocks->slots.items[slot] = PH_SLOT_FREE;
    blocks->used_count--;
    return true;
}

/* Blocks of full pages that other threads freed wait on a list of the heap (heap.c:
 * _mi_heap_delayed_free_partial). */
static void take_delayed(struct scan *s, ph_addr heap)
{
    const struct ph_layout *L = &s->python->layout;
    struct free_list list = {s->python, heap,
                             ph_has(L->mi_page.keys) ? L->mi_heap.keys : PH_ABSENT};
    ph_addr block = ph_python_word(s->python, heap, L->mi_heap.thread_delayed_free);
    while (block && take_block(s, block))
        block = next_free(&list, block);
    s->blocks->damaged_count += block != 0;
}

enum ph_status ph_mimalloc_scan(struct ph_blocks *blocks, struct ph_python *python,
                                const struct ph_host *host)
{
    if (python->layout.traits.mimalloc == PH_MIMALLOC_NONE)
        return PH_OK;
    struct scan s = {
        .blocks = blocks,
        .python = python,
        .host = host,
        .slice_bytes = python->wide ? 64 << 10 : 32 << 10,
        .slices_a_segment = python->wide ? 512 : 128,
    };
    s.segment_bytes = s.slice_bytes * s.slices_a_segment;
    blocks->step_bytes = (uint32_t)s.slice_bytes;
    blocks->segment_bytes = s.segment_bytes;
    enum ph_status status = find_segments(&s);
    if (!status)
        status = add_segments(&s);
    if (!status && !ph_blocks_index(blocks))
        status = PH_NO_MEMORY;
    for (uint32_t i = 0; i < s.heaps.count && !status; i++)
        take_delayed(&s, s.heaps.items[i]);
    if (blocks->runs.count) /* else others search, and say so */
        blocks->unsearched_bytes += s.vast_bytes;
    ph_array_free(&s.segments);
    ph_array_free(&s.heaps);
    ph_map_free(&s.heap_set);
    return status;
}
