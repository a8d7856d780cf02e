#include "command/session.h"
#include "heap/pymalloc.h"

#include <inttypes.h>

enum { OBJECTS_A_LOOK = 1 << 14 };

/* What an address was found to be in. */
struct finding {
    const char *kind;   /* the JSON word */
    uint32_t object;    /* id, or PH_NO_OBJECT */
    const char *buffer; /* what the buffer is to the object; NULL: the object itself */
    ph_addr start;      /* of the block or object */
    uint64_t bytes;     /* 0 where unknown */
};

/* The object whose own memory covers the address: the last that begins at or below it. */
static bool inside_object(struct ph_heap *heap, ph_addr address, struct finding *f)
{
    uint32_t low = 0, high = heap->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ph_heap_address(heap, middle) <= address)
            low = middle + 1;
        else
            high = middle;
    }
    struct ph_object o;
    /* A GC header lies before its object: look one further as well. */
    for (uint32_t id = low < heap->count ? low : heap->count; id + 2 > low && id + 1 > 0; id--) {
        if (id == heap->count || !ph_heap_open(heap, id, &o))
            continue;
        ph_addr start =
            o.address - (heap->flags[id] & PH_OBJECT_IN_BLOCK ? o.type->header_bytes : 0);
        uint64_t bytes = ph_object_own_bytes(&heap->objects, &o);
        if (address >= start && address < o.address + bytes) {
            *f = (struct finding){"object", id, NULL, o.address, bytes};
            return true;
        }
        if (id == 0)
            break;
    }
    return false;
}

struct buffer_search {
    ph_addr address;
    uint32_t id;
    bool found;
    struct finding *finding;
};

static void look_at_buffer(void *ctx, ph_addr start, uint64_t bytes, const char *what)
{
    struct buffer_search *s = ctx;
    if (s->found || s->address < start || s->address - start >= bytes)
        return;
    *s->finding = (struct finding){"buffer", s->id, what, start, bytes};
    s->found = true;
}

static enum ph_status inside_buffer(struct ph_heap *heap, ph_addr address,
                                    const struct ph_host *host, struct finding *f, bool *found,
                                    struct ph_error *err)
{
    struct buffer_search s = {.address = address, .finding = f};
    const struct ph_buffer_visitor v = {look_at_buffer, &s};
    for (; s.id < heap->count && !s.found; s.id++) {
        struct ph_object o;
        if (s.id % OBJECTS_A_LOOK == 0 && ph_host_interrupted(host))
            return ph_fail(err, PH_INTERRUPTED, "interrupted");
        if (ph_heap_open(heap, s.id, &o))
            ph_object_buffers(&heap->objects, &o, &v);
    }
    *found = s.found;
    return PH_OK;
}

/* Where an arena of pymalloc's has no pool. */
static bool inside_arena(struct ph_heap *heap, ph_addr address, struct finding *f)
{
    struct ph_arenas arenas;
    bool found = false;
    if (!ph_pymalloc_arenas(&arenas, &heap->blocks, heap->objects.python))
        return false;
    for (uint32_t i = 0; i < arenas.items.count && !found; i++) {
        const struct ph_pymalloc_arena *arena = &arenas.items.items[i];
        found = address >= arena->start && address - arena->start < arenas.bytes;
        f->start = arena->start;
        f->buffer = address >= arena->next_pool ? "no pool yet" : "no pool in use";
    }
    f->kind = "arena";
    f->bytes = arenas.bytes;
    ph_arenas_free(&arenas);
    return found;
}

/* Nothing that Python knows: a pool's free or raw block, or the kind of mapping. */
static void classify_memory(struct ph_heap *heap, ph_addr address, struct finding *f)
{
    const struct ph_run *run = ph_blocks_find(&heap->blocks, address);
    const struct ph_region *region = ph_target_region_at(heap->objects.python->target, address);
    uint32_t slot;
    uint64_t offset;
    *f = (struct finding){.object = PH_NO_OBJECT};
    if (run && ph_run_block(run, address, &slot, &offset)) {
        bool free = heap->blocks.slots.items[slot] == PH_SLOT_FREE;
        f->kind = "pool";
        f->start = address - offset;
        f->bytes = run->block_bytes;
        f->buffer = free ? "free block" : "block in use, no object";
    } else if (run) {
        ph_addr step = address / heap->blocks.step_bytes * heap->blocks.step_bytes;
        bool before = address < run->start;
        f->kind = "pool";
        f->start = before || step > ph_run_end(run) ? step : ph_run_end(run);
        f->bytes = (before ? run->start : step + heap->blocks.step_bytes) - f->start;
        f->buffer = before ? "pool header" : "rest of a pool";
    } else if (inside_arena(heap, address, f)) {
        return;
    } else if (!region) {
        bool mapped = ph_target_is_mapped(heap->objects.python->target, address);
        f->kind = mapped ? "memory" : "unmapped";
        f->start = address;
    } else {
        f->start = region->start;
        f->bytes = region->end - region->start;
        f->buffer = region->name;
        f->kind = region->flags & PH_REGION_STACK     ? "stack"
                  : !(region->flags & PH_REGION_ANON) ? "static data"
                                                      : "memory";
    }
}

static void write_object(struct ph_doc *doc, struct ph_heap *heap, const struct finding *f,
                         ph_addr address)
{
    if (f->object == PH_NO_OBJECT)
        return;
    struct ph_object o;
    struct ph_str text = {0};
    ph_addr owner = ph_heap_address(heap, f->object);
    ph_doc_object_begin(doc, "object");
    ph_doc_addr(doc, "address", NULL, owner);
    ph_doc_text(doc, "type", NULL, ph_heap_type(heap, f->object)->name);
    ph_doc_count(doc, "offset", NULL, (int64_t)(address - f->start));
    ph_doc_object_end(doc);
    if (ph_heap_open(heap, f->object, &o))
        ph_object_summary(&heap->objects, &o, 60, &text);
    ph_doc_line(doc, "Of object  0x%" PRIx64 "  %s  %s", owner, ph_heap_type(heap, f->object)->name,
                ph_str_text(&text));
    ph_str_free(&text);
}

static void describe(const struct finding *f, ph_addr address, struct ph_str *out)
{
    char bytes[32];
    if (strcmp(f->kind, "unmapped") == 0) {
        ph_str_append(out, "unmapped");
        return;
    }
    ph_str_append(out, f->kind);
    if (f->buffer && *f->buffer) {
        ph_str_append(out, ": ");
        ph_str_append_visible(out, f->buffer, strlen(f->buffer));
    }
    int64_t offset = (int64_t)(address - f->start);
    if (offset < 0)
        ph_str_appendf(out, ", %" PRId64 " bytes before its start (GC header)", -offset);
    else if (offset > 0)
        ph_str_appendf(out, ", offset %" PRId64, offset);
    if (f->bytes)
        ph_str_appendf(out, ", %s from 0x%" PRIx64, ph_format_bytes(bytes, f->bytes), f->start);
}

static enum ph_status run_whatis(struct ph_session *s, const struct ph_invocation *inv,
                                 struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    struct finding f;
    ph_addr address = inv->operands[0].address;
    enum ph_status status = ph_session_heap(s, &heap, err);
    if (status)
        return status;
    bool found = inside_object(heap, address, &f);
    if (!found)
        status = inside_buffer(heap, address, ph_session_host(s), &f, &found, err);
    if (status)
        return status;
    if (!found)
        classify_memory(heap, address, &f);
    struct ph_str text = {0};
    describe(&f, address, &text);
    ph_doc_python(doc, heap->objects.python);
    ph_doc_addr(doc, "address", "Address", address);
    ph_doc_text(doc, "kind", NULL, f.kind);
    ph_doc_text(doc, NULL, "Is inside", ph_str_text(&text));
    ph_str_free(&text);
    write_object(doc, heap, &f, address);
    return PH_OK;
}

const struct ph_command ph_command_whatis = {
    .name = "whatis",
    .operands_text = "ADDR",
    .brief = "what any address lies inside of",
    .help = "Say what the address ADDR is inside of: an object, a buffer that belongs to one, a "
            "memory pool's block, an arena, static data, a stack, or nothing.",
    .operands = PH_OPERANDS_ADDR,
    .options = 0,
    .run = run_whatis,
};
