#include "analysis/memory_internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    PAGE = 4096,
    REGIONS_A_LOOK = 64,
    /* From the thread pointer on: glibc's struct pthread, which has some 2300 bytes. */
    THREAD_BYTES = 2304,
    THREAD_REACH = 16 << 10, /* that and its local data end a stack */
    THREAD_ALIGNMENT = 64,
    KERNEL_BYTES = 64 << 10, /* vdso and vvar have no more */
};

static const struct {
    const char *name;
    bool is_private;
} kinds[] = {
#define PH_MEMORY(id, name, is_private) {name, is_private},
#include "analysis/memory.def"
#undef PH_MEMORY
};

const char *ph_memory_name(enum ph_memory_kind kind)
{
    return kinds[kind].name;
}

bool ph_memory_is_private(enum ph_memory_kind kind)
{
    return kinds[kind].is_private;
}

/* ---- areas ---- */

void ph_area_add(struct ph_explain *e, struct ph_area area)
{
    struct ph_target *target = e->heap->objects.python->target;
    ph_addr end = area.end;
    while (area.start < end && !e->failed) {
        const struct ph_region *r = ph_target_region_at(target, area.start);
        if (!r)
            break;
        area.end = end < r->end ? end : r->end;
        e->failed = !ph_array_push(&e->areas, area);
        area.start = area.end;
    }
}

static int by_start(const void *a, const void *b)
{
    const struct ph_area *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->kind != y->kind)
        return (x->kind > y->kind) - (x->kind < y->kind);
    return (x->end < y->end) - (x->end > y->end);
}

static void add_allocators(struct ph_explain *e)
{
    const struct ph_blocks *blocks = &e->heap->blocks;
    for (uint32_t i = 0; i < e->arenas.items.count; i++) {
        ph_addr start = e->arenas.items.items[i].start;
        ph_area_add(e, (struct ph_area){start, start + e->arenas.bytes, PH_AREA_ARENA,
                                        PH_MEMORY_PYMALLOC_ALIGNMENT, i});
    }
    for (uint32_t i = 0; i < blocks->segments.count; i++) {
        const struct ph_segment *s = &blocks->segments.items[i];
        ph_area_add(
            e, (struct ph_area){s->start, s->end, PH_AREA_SEGMENT, PH_MEMORY_MIMALLOC_PAGES, i});
    }
    for (uint32_t i = 0; i < blocks->runs.count && !blocks->are_mimalloc; i++) {
        ph_addr pool = blocks->runs.items[i].start & ~(ph_addr)(blocks->step_bytes - 1);
        ph_area_add(e, (struct ph_area){pool, pool + blocks->step_bytes, PH_AREA_RUN,
                                        PH_MEMORY_PYMALLOC_ENDS, i});
    }
    for (uint32_t i = 0; i < e->chunks->spans.count; i++) {
        const struct ph_chunk_span *s = &e->chunks->spans.items[i];
        ph_area_add(e,
                    (struct ph_area){s->head, s->start, PH_AREA_FLAT, PH_MEMORY_MALLOC_ARENAS, 0});
        ph_area_add(e,
                    (struct ph_area){s->start, s->end, PH_AREA_CHUNKS, PH_MEMORY_MALLOC_FREE, i});
        ph_area_add(e, (struct ph_area){s->end, s->reserved_end, PH_AREA_FLAT,
                                        PH_MEMORY_MALLOC_RESERVED, 0});
    }
}

static enum ph_memory_kind data_of(const struct ph_explain *e, const struct ph_module *module)
{
    const struct ph_python *python = e->heap->objects.python;
    return module == ph_target_module_at(python->target, python->anchor)
               ? PH_MEMORY_INTERPRETER_DATA
               : PH_MEMORY_LIBRARY_DATA;
}

/* The part of the modules' data that no file is mapped for: their bss. */
static void add_modules(struct ph_explain *e)
{
    struct ph_target *target = e->heap->objects.python->target;
    size_t module_count, region_count;
    const struct ph_module *modules = ph_target_modules(target, &module_count);
    const struct ph_region *regions = ph_target_regions(target, &region_count);
    for (size_t i = 0; i < region_count; i++) {
        const struct ph_region *r = &regions[i];
        for (size_t m = 0; m < module_count && r->flags & PH_REGION_ANON; m++) {
            ph_addr end = (modules[m].end + PAGE - 1) & ~(ph_addr)(PAGE - 1);
            ph_addr start = modules[m].start > r->start ? modules[m].start : r->start;
            end = end < r->end ? end : r->end;
            if (start < end && r->flags & PH_REGION_WRITE)
                ph_area_add(e,
                            (struct ph_area){start, end, PH_AREA_FLAT, data_of(e, &modules[m]), 0});
        }
    }
}

/* ---- threads ---- */

/* The end of the stack whose pointer is sp: glibc keeps its own data of a thread at the top, where
 * Python knows it as the thread's ident. Without it, stacks that share a mapping end at the next
 * one's pointer. */
static ph_addr stack_end(const struct ph_explain *e, const struct ph_region *r, ph_addr sp)
{
    const struct ph_python *python = e->heap->objects.python;
    size_t count;
    const struct ph_thread *threads = ph_target_threads(python->target, &count);
    ph_addr end = r->end;
    for (size_t i = 0; i < count; i++) {
        if (threads[i].sp > sp && threads[i].sp < end)
            end = threads[i].sp;
    }
    for (uint32_t i = 0; i < python->threads.count; i++) {
        ph_addr top = python->threads.items[i].ident + THREAD_BYTES;
        top = (top + PAGE - 1) & ~(ph_addr)(PAGE - 1);
        if (python->threads.items[i].ident > sp && top < end)
            end = top;
    }
    return end;
}

/* The part of each stack that is in use, and where the main thread's local data lie. */
static void add_threads(struct ph_explain *e)
{
    const struct ph_python *python = e->heap->objects.python;
    size_t count;
    const struct ph_thread *threads = ph_target_threads(python->target, &count);
    for (size_t i = 0; i < count; i++) {
        const struct ph_region *r = ph_target_region_at(python->target, threads[i].sp);
        if (r && r->flags & PH_REGION_STACK)
            ph_area_add(e, (struct ph_area){threads[i].sp, stack_end(e, r, threads[i].sp),
                                            PH_AREA_FLAT, PH_MEMORY_STACK_USED, 0});
    }
    for (uint32_t i = 0; i < python->threads.count; i++) {
        ph_addr ident = python->threads.items[i].ident;
        const struct ph_region *r = ph_target_region_at(python->target, ident);
        ph_addr page = ident & ~(ph_addr)(PAGE - 1);
        if (r && !(r->flags & PH_REGION_STACK))
            ph_area_add(
                e, (struct ph_area){page, (ident + THREAD_BYTES + PAGE - 1) & ~(ph_addr)(PAGE - 1),
                                    PH_AREA_FLAT, PH_MEMORY_THREAD_DATA, 0});
    }
}

/* ---- division ---- */

/* The division of one region. All below `cursor` is done; each part reaches from there to its end,
 * so no byte is counted twice and none is left out. */
struct painter {
    struct ph_explain *e;
    const struct ph_usage *usage;
    size_t region;
    ph_addr cursor, limit; /* nothing is painted past the limit */
    uint64_t resident;     /* of the region, and not given to a part yet */
};

static void paint_to(struct painter *p, ph_addr end, enum ph_memory_kind kind)
{
    end = end < p->limit ? end : p->limit;
    if (end <= p->cursor)
        return;
    struct ph_memory *memory = p->e->memory;
    memory->bytes[kind] += end - p->cursor;
    if (p->resident) {
        uint64_t resident = ph_usage_bytes(p->usage, p->region, p->cursor, end);
        resident = resident < p->resident ? resident : p->resident;
        memory->resident[kind] += resident;
        p->resident -= resident;
    }
    p->cursor = end;
}

/* The kinds that the parts of an allocator's block in use are of. */
static enum ph_memory_kind kind_of(const struct ph_owned *owned, enum ph_memory_kind objects)
{
    switch ((enum ph_owner_kind)owned->kind) {
    case PH_OWNER_OBJECT:
        return objects;
    case PH_OWNER_BUFFER:
        return objects + 1;
    case PH_OWNER_INTERPRETER:
        return PH_MEMORY_INTERPRETER_STATE;
    case PH_OWNER_TRACEMALLOC:
        return PH_MEMORY_TRACEMALLOC;
    case PH_OWNER_NONE:
        break;
    }
    return objects + 2;
}

/* A block in use from its start, which is the cursor, to its end; objects is the allocator's first
 * kind. */
static void paint_owned(struct painter *p, const struct ph_owned *owned, ph_addr start, ph_addr end,
                        enum ph_memory_kind objects)
{
    ph_addr used_end = start + owned->used_bytes;
    if (owned->kind == PH_OWNER_NONE || used_end > end)
        used_end = end;
    paint_to(p, used_end, kind_of(owned, objects));
    paint_to(p, end, objects + 3);
}

static void paint_blocks(struct painter *p, const struct ph_run *run)
{
    const struct ph_blocks *blocks = &p->e->heap->blocks;
    enum ph_memory_kind objects =
        blocks->are_mimalloc ? PH_MEMORY_MIMALLOC_OBJECTS : PH_MEMORY_PYMALLOC_OBJECTS;
    ph_addr start = run->start;
    for (uint32_t i = 0; i < run->block_count; i++, start += run->block_bytes) {
        uint32_t slot = run->first_slot + i;
        if (blocks->slots.items[slot] == PH_SLOT_FREE)
            paint_to(p, start + run->block_bytes, objects + 4);
        else
            paint_owned(p, &p->e->blocks[slot], start, start + run->block_bytes, objects);
    }
}

static void paint_pool(struct painter *p, const struct ph_run *run, ph_addr end)
{
    paint_to(p, run->start, PH_MEMORY_PYMALLOC_HEADERS);
    paint_blocks(p, run);
    paint_to(p, end, PH_MEMORY_PYMALLOC_ENDS);
}

/* An arena's first pool begins at a multiple of their size, and the last ends at one. */
static void paint_arena(struct painter *p, const struct ph_pymalloc_arena *arena, ph_addr end)
{
    const struct ph_blocks *blocks = &p->e->heap->blocks;
    ph_addr step = blocks->step_bytes;
    ph_addr pool = (arena->start + step - 1) / step * step;
    paint_to(p, pool, PH_MEMORY_PYMALLOC_ALIGNMENT);
    for (; pool + step <= end; pool += step) {
        const struct ph_run *run = ph_blocks_find(blocks, pool);
        if (run)
            paint_pool(p, run, pool + step);
        else
            paint_to(p, pool + step, PH_MEMORY_PYMALLOC_POOLS);
    }
}

/* The index of the first run that ends behind an address. */
static uint32_t run_after(const struct ph_blocks *blocks, ph_addr address)
{
    uint32_t low = 0, high = blocks->runs.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ph_run_end(&blocks->runs.items[middle]) <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void paint_segment(struct painter *p, const struct ph_segment *segment)
{
    const struct ph_blocks *blocks = &p->e->heap->blocks;
    paint_to(p, segment->pages, PH_MEMORY_MIMALLOC_HEADS);
    for (uint32_t r = run_after(blocks, p->cursor); r < blocks->runs.count; r++) {
        const struct ph_run *run = &blocks->runs.items[r];
        if (run->start >= segment->end)
            break;
        paint_to(p, run->start, PH_MEMORY_MIMALLOC_PAGES);
        paint_blocks(p, run);
    }
}

static void count_chunk(struct ph_native_use *use, const struct ph_chunk *chunk, bool is_mapped)
{
    if (is_mapped) {
        use->mapped++;
        use->mapped_bytes += chunk->bytes;
        return;
    }
    use->heap_bytes += chunk->bytes;
    *(chunk->is_used ? &use->used_bytes : &use->free_bytes) += chunk->bytes;
}

/* A block begins two or four words into its chunk. */
static void paint_chunks(struct painter *p, const struct ph_chunk_span *span)
{
    const struct ph_chunks *chunks = p->e->chunks;
    const struct ph_python *python = p->e->heap->objects.python;
    struct ph_chunk chunk;
    for (ph_addr at = span->start; ph_chunk_next(python, span, at, &chunk); at += chunk.bytes) {
        uint32_t number;
        count_chunk(&p->e->memory->native, &chunk, span->is_mapped);
        if (!chunk.is_used) {
            paint_to(p, at + chunk.bytes,
                     chunk.is_top ? PH_MEMORY_MALLOC_TOP : PH_MEMORY_MALLOC_FREE);
        } else if (ph_chunks_number(chunks, python, at + 4 * ph_word_bytes(python), &number)) {
            ph_addr data = chunks->starts.items[number];
            paint_to(p, data, PH_MEMORY_MALLOC_ROUNDING);
            paint_owned(p, &p->e->natives[number], data, at + chunk.bytes,
                        PH_MEMORY_MALLOC_OBJECTS);
        }
    }
}

static void paint_area(struct painter *p, const struct ph_area *area)
{
    const struct ph_explain *e = p->e;
    p->limit = area->end;
    switch (area->kind) {
    case PH_AREA_ARENA:
        paint_arena(p, &e->arenas.items.items[area->index], area->end);
        break;
    case PH_AREA_SEGMENT:
        paint_segment(p, &e->heap->blocks.segments.items[area->index]);
        break;
    case PH_AREA_RUN:
        paint_pool(p, &e->heap->blocks.runs.items[area->index], area->end);
        break;
    case PH_AREA_CHUNKS:
        paint_chunks(p, &e->chunks->spans.items[area->index]);
        break;
    case PH_AREA_FLAT:
        break;
    }
    paint_to(p, area->end, area->memory);
}

/* ---- what nothing claims ---- */

static bool is_shared(const char *name)
{
    static const char *const prefixes[] = {"/dev/shm/", "/dev/zero", "/memfd:", "/SYSV"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

struct ph_area ph_area_of_mapped_buffer(const struct ph_explain *e, ph_addr start, ph_addr end)
{
    const struct ph_region *r = ph_target_region_at(e->heap->objects.python->target, start);
    enum ph_memory_kind kind = !r || r->flags & PH_REGION_ANON ? PH_MEMORY_MAPPED_BUFFERS
                               : is_shared(r->name)            ? PH_MEMORY_SHARED_BUFFERS
                                                               : PH_MEMORY_FILE_BUFFERS;
    if (start % PAGE == 0 && end < UINT64_MAX - PAGE)
        end = (end + PAGE - 1) & ~(ph_addr)(PAGE - 1);
    return (struct ph_area){start, end, PH_AREA_FLAT, kind, 0};
}

/* Whether a stack of glibc's is there that no thread has (nptl keeps some for the next): what it
 * has at the top of each begins with its own address and has that again two words on
 * (sysdeps/x86_64/nptl/tls.h: tcbhead_t). */
static bool is_idle_stack(const struct ph_python *python, const struct ph_region *r)
{
    ph_addr start = r->end - r->start > THREAD_REACH ? r->end - THREAD_REACH : r->start;
    for (ph_addr at = start; at < r->end; at += THREAD_ALIGNMENT) {
        if (ph_python_word(python, at, 0) == at &&
            ph_python_word(python, at, 2 * ph_word_bytes(python)) == at)
            return true;
    }
    return false;
}

static enum ph_memory_kind kind_of_anonymous(const struct ph_explain *e, const struct ph_region *r)
{
    const struct ph_target *target = e->heap->objects.python->target;
    /* A core does not say which mappings are the kernel's. */
    bool unnamed = ph_target_info(target)->kind == PH_TARGET_CORE;
    if (strncmp(r->name, "[v", 2) == 0 ||
        (unnamed && r->flags && !(r->flags & PH_REGION_WRITE) && r->end - r->start <= KERNEL_BYTES))
        return PH_MEMORY_KERNEL;
    if (!(r->flags & (PH_REGION_READ | PH_REGION_WRITE | PH_REGION_EXEC)))
        return PH_MEMORY_NO_ACCESS;
    bool is_stack = r->flags & PH_REGION_STACK || (r->flags & PH_REGION_WRITE && !*r->name &&
                                                   is_idle_stack(e->heap->objects.python, r));
    return is_stack ? PH_MEMORY_STACK_UNUSED : PH_MEMORY_UNEXPLAINED;
}

static enum ph_memory_kind kind_of_file(const struct ph_explain *e, const struct ph_region *r)
{
    struct ph_target *target = e->heap->objects.python->target;
    const struct ph_module *module = ph_target_module_at(target, r->start);
    if (is_shared(r->name))
        return PH_MEMORY_SHARED;
    if (r->flags & PH_REGION_EXEC)
        return PH_MEMORY_FILE_CODE;
    if (!module)
        return PH_MEMORY_FILE_OTHER;
    return r->flags & PH_REGION_WRITE ? data_of(e, module) : PH_MEMORY_FILE_DATA;
}

static bool has_segment(const struct ph_blocks *blocks, const struct ph_region *r)
{
    for (uint32_t i = 0; i < blocks->segments.count; i++) {
        if (blocks->segments.items[i].start >= r->start && blocks->segments.items[i].start < r->end)
            return true;
    }
    return false;
}

/* What no area has, up to an address. mimalloc gets memory for many segments at once: where one is,
 * the room for others is its own as well. */
static void paint_rest(struct painter *p, ph_addr end, enum ph_memory_kind rest, bool for_segments)
{
    uint64_t step = p->e->heap->blocks.segment_bytes;
    if (for_segments && end > p->cursor) {
        ph_addr first = (p->cursor + step - 1) / step * step;
        paint_to(p, first < end ? first : end, rest);
        paint_to(p, end / step * step, PH_MEMORY_MIMALLOC_RESERVED);
    }
    paint_to(p, end, rest);
}

static void paint_region(struct painter *p, const struct ph_region *r, uint32_t *next_area)
{
    const struct ph_explain *e = p->e;
    enum ph_memory_kind rest =
        r->flags & PH_REGION_ANON ? kind_of_anonymous(e, r) : kind_of_file(e, r);
    bool for_segments = has_segment(&e->heap->blocks, r);
    p->cursor = r->start;
    p->resident = p->usage->regions.count ? p->usage->regions.items[p->region].resident : 0;
    for (; *next_area < e->areas.count && e->areas.items[*next_area].start < r->end; ++*next_area) {
        const struct ph_area *area = &e->areas.items[*next_area];
        p->limit = r->end;
        paint_rest(p, area->start, rest, for_segments);
        paint_area(p, area);
    }
    p->limit = r->end;
    paint_rest(p, r->end, rest, for_segments);
    e->memory->resident[rest] += p->resident; /* where the kernel does not tell the pages */
}

static enum ph_status paint_all(struct ph_explain *e, const struct ph_usage *usage)
{
    size_t count;
    const struct ph_region *regions = ph_target_regions(e->heap->objects.python->target, &count);
    uint32_t next_area = 0;
    if (e->areas.count)
        qsort(e->areas.items, e->areas.count, sizeof *e->areas.items, by_start);
    for (size_t i = 0; i < count; i++) {
        struct painter painter = {.e = e, .usage = usage, .region = i};
        if (i % REGIONS_A_LOOK == 0 && ph_host_interrupted(e->host))
            return PH_INTERRUPTED;
        paint_region(&painter, &regions[i], &next_area);
        e->memory->total += regions[i].end - regions[i].start;
    }
    return PH_OK;
}

static enum ph_status check_sum(struct ph_memory *memory, struct ph_error *err)
{
    uint64_t sum = 0;
    for (int i = 0; i < PH_MEMORY_KINDS; i++) {
        sum += memory->bytes[i];
        memory->private_bytes += kinds[i].is_private ? memory->bytes[i] : 0;
    }
    if (sum == memory->total)
        return PH_OK;
    return ph_fail(err, PH_FAILED,
                   "the parts of the memory are %" PRIu64 " bytes and the whole is %" PRIu64
                   ": an error of py-heap's, please report it",
                   sum, memory->total);
}

/* ---- all of it ---- */

static enum ph_status prepare(struct ph_explain *e, struct ph_error *err)
{
    struct ph_heap *heap = e->heap;
    e->chunks = heap->chunks.spans.count ? &heap->chunks : &e->own;
    if (e->chunks == &e->own) {
        enum ph_status status = ph_chunks_scan(&e->own, heap->objects.python, e->host, err);
        if (status)
            return status;
    }
    bool ok = ph_pymalloc_arenas(&e->arenas, &heap->blocks, heap->objects.python);
    e->blocks = ph_calloc(heap->blocks.slots.count + 1u, sizeof *e->blocks);
    e->natives = ph_calloc(e->chunks->starts.count + 1u, sizeof *e->natives);
    return ok && e->blocks && e->natives ? PH_OK : ph_fail(err, PH_NO_MEMORY, "out of memory");
}

static enum ph_status explain(struct ph_explain *e, const struct ph_usage *usage,
                              struct ph_error *err)
{
    enum ph_status status = prepare(e, err);
    if (status)
        return status;
    add_allocators(e);
    add_modules(e);
    add_threads(e);
    status = ph_memory_find_owners(e);
    if (!status && !e->failed)
        status = paint_all(e, usage);
    if (!status && (e->failed || !ph_memory_measure_arenas(e)))
        status = PH_NO_MEMORY;
    if (status)
        return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
    e->memory->damaged_heaps = e->chunks->damaged_count;
    return check_sum(e->memory, err);
}

enum ph_status ph_memory_explain(struct ph_heap *heap, const struct ph_usage *usage,
                                 const struct ph_host *host, struct ph_memory *out,
                                 struct ph_error *err)
{
    memset(out, 0, sizeof *out);
    struct ph_explain e = {.heap = heap, .host = host, .memory = out};
    enum ph_status status = explain(&e, usage, err);
    ph_arenas_free(&e.arenas);
    ph_chunks_free(&e.own);
    ph_array_free(&e.areas);
    free(e.blocks);
    free(e.natives);
    if (status)
        ph_memory_free(out);
    return status;
}

void ph_memory_free(struct ph_memory *memory)
{
    ph_array_free(&memory->classes);
    ph_array_free(&memory->pins);
}
