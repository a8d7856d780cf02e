#include "analysis/tasks.h"

#include "objects/dict.h"
#include "objects/frame.h"
#include "objects/int_value.h"
#include "objects/str.h"

#include <inttypes.h>

enum { NAME_CHARS = 200, LONGEST_CHAIN = 1 << 16 };

/* ---- which there are ---- */

static bool is_task_type(const struct ph_type *type)
{
    return ph_type_inherits(type, "_asyncio.Task") || ph_type_inherits(type, "asyncio.tasks.Task");
}

static bool is_generator_type(const struct ph_type *type)
{
    return type->family == &ph_family_generator;
}

static bool is_suspended(struct ph_heap *heap, uint32_t id)
{
    struct ph_object o;
    if (!ph_heap_open(heap, id, &o))
        return false;
    enum ph_generator_state state = ph_generator_state(&heap->objects, &o);
    return state == PH_GENERATOR_CREATED || state == PH_GENERATOR_SUSPENDED;
}

/* Tracked objects of the types that pass; all of these are tracked from their making on. */
static bool find(struct ph_heap *heap, bool (*has_type)(const struct ph_type *),
                 bool (*accept)(struct ph_heap *, uint32_t), struct ph_ids *out)
{
    uint32_t types = heap->objects.types.count;
    bool *wanted = ph_calloc(types + 1u, sizeof *wanted), ok = wanted;
    for (uint32_t i = 0; ok && i < types; i++)
        wanted[i] = has_type(heap->objects.types.items[i]);
    for (uint32_t id = 0; ok && id < heap->count; id++) {
        if (wanted[heap->type_ids[id]] && (heap->flags[id] & PH_OBJECT_TRACKED) &&
            (!accept || accept(heap, id)))
            ok = ph_array_push(out, id);
    }
    free(wanted);
    return ok;
}

bool ph_suspended_find(struct ph_heap *heap, struct ph_ids *out)
{
    return find(heap, is_generator_type, is_suspended, out);
}

bool ph_is_task(const struct ph_heap *heap, uint32_t id)
{
    return is_task_type(ph_heap_type(heap, id));
}

bool ph_tasks_find(struct ph_heap *heap, struct ph_ids *out)
{
    return find(heap, is_task_type, NULL, out);
}

/* ---- one task ---- */

/* The object at an attribute, 0 for None. */
static ph_addr not_none(struct ph_objects *objects, ph_addr value)
{
    struct ph_object o;
    return value && ph_object_at(objects, value, &o) && strcmp(o.type->name, "NoneType") != 0
               ? value
               : 0;
}

/* From 3.12 on the name of a task that nobody asked for is only its number. */
static void append_name(struct ph_objects *objects, ph_addr value, struct ph_str *name)
{
    uint64_t number;
    if (value && ph_int_value(objects, value, &number))
        ph_str_appendf(name, "Task-%" PRIu64, number);
    else if (value)
        ph_str_object_text(objects, value, NAME_CHARS, name);
}

/* What a future in C begins with, and so a task: state and loop. */
static void read_c_future(struct ph_objects *objects, const struct ph_object *o,
                          struct ph_task *out)
{
    static const char *const states[] = {"pending", "cancelled", "finished"};
    const struct ph_layout *L = &objects->python->layout;
    uint32_t state = (uint32_t)ph_object_int(objects, o, L->task.task_state);
    if (state < sizeof states / sizeof *states)
        out->state = states[state];
    out->loop = ph_object_ptr(objects, o, L->task.task_loop);
}

static void read_c_task(struct ph_objects *objects, const struct ph_object *o, struct ph_task *out,
                        struct ph_str *name)
{
    const struct ph_layout *L = &objects->python->layout;
    read_c_future(objects, o, out);
    out->coroutine = not_none(objects, ph_object_ptr(objects, o, L->task.task_coro));
    out->waits_for = not_none(objects, ph_object_ptr(objects, o, L->task.task_fut_waiter));
    append_name(objects, ph_object_optional_ptr(objects, o, L->task.task_name), name);
}

/* An attribute of a task in Python, or of its class until it is set. */
static ph_addr attribute(struct ph_objects *objects, const struct ph_object *o, const char *name)
{
    const struct ph_type *definer;
    ph_addr value = ph_instance_attribute(objects, o, name);
    return value ? value : ph_type_lookup(objects, o->type, name, &definer);
}

static void read_python_future(struct ph_objects *objects, const struct ph_object *o,
                               struct ph_task *out)
{
    static const struct {
        const char *constant, *state; /* Lib/asyncio/base_futures.py */
    } states[] = {{"PENDING", "pending"}, {"CANCELLED", "cancelled"}, {"FINISHED", "finished"}};
    ph_addr state = attribute(objects, o, "_state");
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        if (state && ph_str_object_equals(objects, state, states[i].constant))
            out->state = states[i].state;
    }
    out->loop = attribute(objects, o, "_loop");
}

/* In 3.6 the task in Python is a future in C. */
static void read_python_task(struct ph_objects *objects, const struct ph_object *o,
                             struct ph_task *out, struct ph_str *name)
{
    if (ph_type_inherits(o->type, "_asyncio.Future") &&
        ph_has(objects->python->layout.task.task_state))
        read_c_future(objects, o, out);
    else
        read_python_future(objects, o, out);
    out->coroutine = not_none(objects, attribute(objects, o, "_coro"));
    out->waits_for = not_none(objects, attribute(objects, o, "_fut_waiter"));
    append_name(objects, attribute(objects, o, "_name"), name);
}

void ph_task_read(struct ph_heap *heap, uint32_t id, struct ph_task *out, struct ph_str *name)
{
    const struct ph_layout *L = &heap->objects.python->layout;
    struct ph_object o;
    *out = (struct ph_task){0};
    if (!ph_heap_open(heap, id, &o))
        return;
    bool in_c = ph_has(L->task.task_coro) && ph_type_inherits(o.type, "_asyncio.Task") &&
                o.type->min_bytes >= (uint64_t)L->task.size;
    if (in_c)
        read_c_task(&heap->objects, &o, out, name);
    else
        read_python_task(&heap->objects, &o, out, name);
}

/* ---- whom it waits for ---- */

bool ph_await_chain(struct ph_heap *heap, ph_addr start, struct ph_addresses *out)
{
    struct ph_object o;
    for (uint32_t n = 0; start && n < LONGEST_CHAIN; n++) {
        if (!ph_object_at(&heap->objects, start, &o) || o.type->family != &ph_family_generator)
            break;
        if (!ph_array_push(out, start))
            return false;
        start = ph_generator_awaits(&heap->objects, &o);
    }
    return true;
}
