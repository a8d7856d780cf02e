#include "analysis/memory_internal.h"

#include "analysis/trace.h"
#include "base/checked.h"

enum { OBJECTS_A_LOOK = 1 << 14, MOST_STACK_CHUNKS = 1 << 16 };

struct owner_walk {
    struct ph_explain *e;
    uint32_t type;
};

static void note(struct ph_owned *owned, enum ph_owner_kind kind, uint32_t type, uint64_t used)
{
    /* An object's own part comes before what else its block holds. */
    if (owned->kind == PH_OWNER_OBJECT && kind != PH_OWNER_OBJECT)
        return;
    used = used > UINT32_MAX ? UINT32_MAX : used;
    if (owned->kind == (uint8_t)kind && owned->used_bytes > used)
        return;
    *owned = (struct ph_owned){(uint32_t)used, type, (uint8_t)kind};
}

/* Say what the memory from start on is for. */
static void own(struct ph_explain *e, enum ph_owner_kind kind, uint32_t type, ph_addr start,
                uint64_t bytes)
{
    const struct ph_run *run = ph_blocks_find(&e->heap->blocks, start);
    const struct ph_python *python = e->heap->objects.python;
    uint32_t number;
    uint64_t offset;
    if (run) {
        if (ph_run_block(run, start, &number, &offset))
            note(&e->blocks[number], kind, type, ph_add_saturated(offset, bytes));
    } else if (ph_chunks_number(e->chunks, python, start, &number)) {
        offset = start - e->chunks->starts.items[number];
        note(&e->natives[number], kind, type, ph_add_saturated(offset, bytes));
    } else if (kind == PH_OWNER_BUFFER && !ph_target_module_at(python->target, start)) {
        ph_area_add(e, ph_area_of_mapped_buffer(e, start, ph_add_saturated(start, bytes)));
    }
}

static void own_buffer(void *ctx, ph_addr start, uint64_t bytes, const char *what)
{
    const struct owner_walk *w = ctx;
    (void)what;
    own(w->e, PH_OWNER_BUFFER, w->type, start, bytes);
}

static enum ph_status own_objects(struct ph_explain *e)
{
    struct ph_heap *heap = e->heap;
    struct owner_walk walk = {e, 0};
    const struct ph_buffer_visitor buffers = {own_buffer, &walk};
    for (uint32_t id = 0; id < heap->count; id++) {
        struct ph_object o;
        if (id % OBJECTS_A_LOOK == 0 && ph_host_interrupted(e->host))
            return PH_INTERRUPTED;
        if (!ph_heap_open(heap, id, &o))
            continue;
        walk.type = o.type->id;
        ph_object_buffers(&heap->objects, &o, &buffers);
        if (!ph_heap_is_static(heap, o.address))
            own(e, PH_OWNER_OBJECT, o.type->id, o.address - o.type->header_bytes,
                ph_object_own_bytes(&heap->objects, &o) + o.type->header_bytes);
    }
    return PH_OK;
}

/* The stacks that frames lie on (3.11 on), in mappings of their own
 * (Python/pystate.c: allocate_chunk). */
static void own_frame_stacks(struct ph_explain *e, ph_addr thread)
{
    const struct ph_python *python = e->heap->objects.python;
    const struct ph_layout *L = &python->layout;
    if (!ph_has(L->tstate.datastack_chunk))
        return;
    ph_addr chunk = ph_python_word(python, thread, L->tstate.datastack_chunk);
    for (int i = 0; chunk && i < MOST_STACK_CHUNKS; i++) {
        uint64_t bytes = ph_python_word(python, chunk, L->stack_chunk.chunk_size);
        ph_area_add(e, (struct ph_area){chunk, ph_add_saturated(chunk, bytes), PH_AREA_FLAT,
                                        PH_MEMORY_INTERPRETER_FRAMES, 0});
        chunk = ph_python_word(python, chunk, L->stack_chunk.previous);
    }
}

/* The interpreter's own: the states of interpreters and threads, the table of arenas. */
static void own_interpreter(struct ph_explain *e)
{
    const struct ph_python *python = e->heap->objects.python;
    for (uint32_t i = 0; i < python->interpreters.count; i++)
        own(e, PH_OWNER_INTERPRETER, 0, python->interpreters.items[i].address, UINT32_MAX);
    for (uint32_t i = 0; i < python->threads.count; i++) {
        own(e, PH_OWNER_INTERPRETER, 0, python->threads.items[i].address, UINT32_MAX);
        own_frame_stacks(e, python->threads.items[i].address);
    }
    for (uint32_t i = 0; i < e->arenas.items.count; i++)
        own(e, PH_OWNER_INTERPRETER, 0, e->arenas.items.items[i].entry, UINT32_MAX);
}

static void own_trace(void *ctx, ph_addr start, uint64_t bytes)
{
    own(ctx, PH_OWNER_TRACEMALLOC, 0, start, bytes);
}

static enum ph_status own_tracemalloc(struct ph_explain *e)
{
    const struct ph_python *python = e->heap->objects.python;
    struct ph_tracemalloc tracemalloc;
    uint64_t reported;
    ph_tracemalloc_find(python, &tracemalloc);
    return ph_trace_cost_visit(python, &tracemalloc, e->host, own_trace, e, &reported);
}

enum ph_status ph_memory_find_owners(struct ph_explain *e)
{
    own_interpreter(e);
    enum ph_status status = own_tracemalloc(e);
    return status ? status : own_objects(e);
}
