#include "analysis/deep.h"
#include "analysis/stacks.h"
#include "analysis/tasks.h"
#include "command/session.h"
#include "objects/str.h"

#include <inttypes.h>

enum { SUMMARY_CHARS = 60, NAME_CHARS = 200 };

struct writer {
    struct ph_session *session;
    const struct ph_invocation *inv;
    struct ph_heap *heap;
    struct ph_objects *objects;
    struct ph_doc *doc;
};

/* How many rows of a list are shown: all in JSON, unless --limit says otherwise. */
static uint64_t shown_of(const struct writer *w, uint64_t count)
{
    bool all = w->inv->options.json && !(w->inv->options.given & PH_TAKES(limit));
    return all ? count : ph_rows_shown(w->inv, count);
}

static void note_rest(const struct writer *w, const char *indent, uint64_t shown, uint64_t count,
                      const char *things)
{
    char some[32], all[32];
    if (shown < count)
        ph_doc_line(w->doc, "%s%s of %s %s; --limit 0 for all", indent,
                    ph_format_count(some, (int64_t)shown), ph_format_count(all, (int64_t)count),
                    things);
}

/* An address and a type, or null, under a key. */
static void write_object(const struct writer *w, const char *key, ph_addr address)
{
    struct ph_object o;
    if (!address) {
        ph_doc_null(w->doc, key, NULL);
        return;
    }
    ph_doc_object_begin(w->doc, key);
    ph_doc_addr(w->doc, "address", NULL, address);
    if (ph_object_at(w->objects, address, &o))
        ph_doc_text(w->doc, "type", NULL, o.type->name);
    else
        ph_doc_null(w->doc, "type", NULL);
    ph_doc_object_end(w->doc);
}

/* ---- frames ---- */

static enum ph_status write_local(const struct writer *w, const char *indent,
                                  const struct ph_local *local, struct ph_error *err)
{
    struct ph_histogram deep = {0};
    struct ph_str name = {0}, summary = {0};
    char bytes[32];
    enum ph_status status = PH_OK;
    uint32_t id = ph_heap_find(w->heap, local->value);
    bool known = id != PH_NO_OBJECT;
    if (known)
        status = ph_deep_measure(w->heap, id, ph_session_host(w->session), &deep, err);
    if (!status) {
        const char *type = known ? ph_heap_type(w->heap, id)->name : "?";
        if (!ph_str_object_text(w->objects, local->name, NAME_CHARS, &name))
            ph_str_append(&name, "?");
        if (known)
            ph_heap_summary(w->heap, id, SUMMARY_CHARS, &summary);
        ph_doc_object_begin(w->doc, NULL);
        ph_doc_text(w->doc, "name", NULL, ph_str_text(&name));
        ph_doc_addr(w->doc, "address", NULL, local->value);
        if (known) {
            ph_doc_text(w->doc, "type", NULL, type);
            ph_doc_bytes(w->doc, "deep", NULL, deep.total.bytes);
        } else {
            ph_doc_null(w->doc, "type", NULL);
            ph_doc_null(w->doc, "deep", NULL);
        }
        ph_doc_object_end(w->doc);
        ph_doc_line(w->doc, "%s    %s = 0x%" PRIx64 "  %s  %s  %s", indent, ph_str_text(&name),
                    local->value, type, ph_format_bytes(bytes, deep.total.bytes),
                    ph_str_text(&summary));
    }
    ph_histogram_free(&deep);
    ph_str_free(&name);
    ph_str_free(&summary);
    return status;
}

static enum ph_status write_locals(const struct writer *w, const char *indent,
                                   const struct ph_frame *frame, struct ph_error *err)
{
    struct ph_locals locals = {0};
    enum ph_status status = PH_OK;
    if (!ph_frame_locals(w->objects, frame, &locals))
        status = ph_fail(err, PH_NO_MEMORY, "out of memory");
    uint64_t shown = shown_of(w, locals.count);
    ph_doc_array_begin(w->doc, "locals");
    for (uint32_t i = 0; i < shown && !status; i++)
        status = write_local(w, indent, &locals.items[i], err);
    ph_doc_array_end(w->doc);
    note_rest(w, "        ", shown, locals.count, "locals");
    ph_array_free(&locals);
    return status;
}

/* The keys that a frame has, within an object, and its line as a traceback writes it. */
static enum ph_status write_place(const struct writer *w, const char *indent,
                                  const struct ph_frame *frame, struct ph_error *err)
{
    struct ph_str function = {0}, file = {0};
    int64_t line = ph_frame_line(w->objects, frame);
    char number[32] = "?";
    ph_frame_function(w->objects, frame, &function);
    ph_frame_file(w->objects, frame, &file);
    ph_doc_text(w->doc, "function", NULL, ph_str_text(&function));
    ph_doc_text(w->doc, "file", NULL, ph_str_text(&file));
    if (line > 0) {
        ph_doc_count(w->doc, "line", NULL, line);
        snprintf(number, sizeof number, "%" PRId64, line);
    } else {
        ph_doc_null(w->doc, "line", NULL);
    }
    ph_doc_line(w->doc, "%sFile \"%s\", line %s, in %s", indent, ph_str_text(&file), number,
                ph_str_text(&function));
    ph_str_free(&function);
    ph_str_free(&file);
    return w->inv->options.locals ? write_locals(w, indent, frame, err) : PH_OK;
}

static enum ph_status write_frame(const struct writer *w, const struct ph_frame *frame,
                                  struct ph_error *err)
{
    ph_doc_object_begin(w->doc, NULL);
    ph_doc_addr(w->doc, "address", NULL, frame->address);
    enum ph_status status = write_place(w, "    ", frame, err);
    ph_doc_object_end(w->doc);
    return status;
}

/* ---- threads ---- */

static enum ph_status write_stack(const struct writer *w, const struct ph_python_thread *thread,
                                  struct ph_error *err)
{
    struct ph_stack stack = ph_stack_of(ph_thread_top_frame(w->objects, thread));
    struct ph_frame frame;
    enum ph_status status = PH_OK;
    uint64_t limit = shown_of(w, UINT64_MAX), count = 0;
    ph_doc_array_begin(w->doc, "frames");
    while (ph_stack_next(w->objects, &stack, &frame) && !status) {
        if (count++ < limit)
            status = write_frame(w, &frame, err);
    }
    ph_doc_array_end(w->doc);
    ph_doc_bool(w->doc, "cut", NULL, stack.at != 0);
    note_rest(w, "    ", count < limit ? count : limit, count, "frames");
    if (!count)
        ph_doc_line(w->doc, "    no Python frames");
    if (stack.at)
        ph_doc_line(w->doc, "    the rest of the stack, from 0x%" PRIx64 " on, is unreadable",
                    stack.at);
    return status;
}

static const char *const state_words[] = {
    [PH_THREAD_UNKNOWN] = NULL,
    [PH_THREAD_ATTACHED] = "attached",
    [PH_THREAD_COLLECTING] = "collecting",
    [PH_THREAD_WAITING] = "waiting",
    [PH_THREAD_BLOCKED] = "blocked",
    [PH_THREAD_OUTSIDE] = "outside",
    [PH_THREAD_DETACHED] = "detached",
};

static const char *state_text(const struct ph_python *python, enum ph_thread_state state)
{
    bool has_gil = !(python->build & PH_BUILD_FREE_THREADED);
    switch (state) {
    case PH_THREAD_UNKNOWN:
        return "whether it holds the GIL is unknown";
    case PH_THREAD_ATTACHED:
        return has_gil ? "holds the GIL" : "runs Python";
    case PH_THREAD_COLLECTING:
        return has_gil ? "holds the GIL during a garbage collection"
                       : "runs Python during a garbage collection";
    case PH_THREAD_WAITING:
        return "waits for the GIL";
    case PH_THREAD_BLOCKED:
        return "blocked outside Python";
    case PH_THREAD_OUTSIDE:
        return "runs outside Python";
    case PH_THREAD_DETACHED:
        return has_gil ? "without the GIL: waits for it, or is outside Python" : "outside Python";
    }
    return "";
}

static enum ph_status write_thread(const struct writer *w, const struct ph_python_thread *thread,
                                   struct ph_error *err)
{
    const struct ph_python *python = w->objects->python;
    struct ph_str name = {0}, kernel_name = {0};
    enum ph_thread_state state = ph_thread_state(python, thread);
    char number[32];
    ph_str_append_visible(&kernel_name, ph_python_thread_name(thread),
                          strlen(ph_python_thread_name(thread)));
    if (!ph_thread_name(w->objects, thread, &name))
        ph_str_append(&name, ph_str_text(&kernel_name));
    ph_doc_object_begin(w->doc, NULL);
    ph_doc_count(w->doc, "id", NULL, (int64_t)thread->ident);
    if (thread->native_id)
        ph_doc_count(w->doc, "native_id", NULL, (int64_t)thread->native_id);
    else
        ph_doc_null(w->doc, "native_id", NULL);
    ph_doc_text(w->doc, "name", NULL, ph_str_text(&name));
    ph_doc_text(w->doc, "kernel_name", NULL, ph_str_text(&kernel_name));
    ph_doc_count(w->doc, "interpreter", NULL, python->interpreters.items[thread->interpreter].id);
    if (state_words[state])
        ph_doc_text(w->doc, "state", NULL, state_words[state]);
    else
        ph_doc_null(w->doc, "state", NULL);
    snprintf(number, sizeof number, thread->native_id ? "%" PRIu64 : "0x%" PRIx64,
             thread->native_id ? thread->native_id : thread->ident);
    ph_doc_line(w->doc, "Thread %s \"%s\", %s (most recent call first):", number,
                ph_str_text(&name), state_text(python, state));
    ph_str_free(&name);
    ph_str_free(&kernel_name);
    enum ph_status status = write_stack(w, thread, err);
    ph_doc_object_end(w->doc);
    ph_doc_line(w->doc, "%s", "");
    return status;
}

static void write_collecting(const struct writer *w)
{
    const struct ph_python *python = w->objects->python;
    bool collecting = false;
    for (uint32_t i = 0; i < python->interpreters.count; i++)
        collecting |= python->interpreters.items[i].gc.collecting;
    ph_doc_bool(w->doc, "collecting", NULL, collecting);
    if (collecting)
        ph_doc_line(w->doc, "A garbage collection is in progress.\n");
}

static enum ph_status write_threads(const struct writer *w, struct ph_error *err)
{
    const struct ph_python *python = w->objects->python;
    enum ph_status status = PH_OK;
    ph_doc_array_begin(w->doc, "threads");
    for (uint32_t i = 0; i < python->threads.count && !status; i++)
        status = write_thread(w, &python->threads.items[i], err);
    ph_doc_array_end(w->doc);
    return status;
}

/* ---- asyncio's tasks ---- */

/* The coroutines that a task is in, the innermost first, as a thread's stack is written. */
static enum ph_status write_task_stack(const struct writer *w, ph_addr coroutine,
                                       struct ph_error *err)
{
    struct ph_addresses chain = {0};
    struct ph_object o;
    struct ph_frame frame;
    enum ph_status status = PH_OK;
    if (!ph_await_chain(w->heap, coroutine, &chain))
        status = ph_fail(err, PH_NO_MEMORY, "out of memory");
    uint64_t shown = shown_of(w, chain.count);
    ph_doc_array_begin(w->doc, "frames");
    for (uint32_t i = 0; i < shown && !status; i++) {
        ph_addr at = chain.items[chain.count - 1 - i];
        if (ph_object_at(w->objects, at, &o) && ph_object_frame(w->objects, &o, &frame) &&
            frame.has_code)
            status = write_frame(w, &frame, err);
    }
    ph_doc_array_end(w->doc);
    note_rest(w, "    ", shown, chain.count, "frames");
    ph_array_free(&chain);
    return status;
}

/* Whether a thread runs the task's coroutine just now: the thread's stack shows where. */
static bool is_running(const struct writer *w, const struct ph_task *task)
{
    struct ph_object o;
    return task->coroutine && ph_object_at(w->objects, task->coroutine, &o) &&
           o.type->family == &ph_family_generator &&
           ph_generator_state(w->objects, &o) == PH_GENERATOR_RUNNING;
}

static void write_task_line(const struct writer *w, uint32_t id, const struct ph_task *task,
                            const char *name)
{
    struct ph_object o;
    struct ph_task other;
    struct ph_str awaits = {0}, other_name = {0};
    if (task->waits_for && ph_object_at(w->objects, task->waits_for, &o)) {
        ph_str_appendf(&awaits, ", awaits %s 0x%" PRIx64, o.type->name, task->waits_for);
        uint32_t other_id = ph_heap_find(w->heap, task->waits_for);
        if (other_id != PH_NO_OBJECT && ph_is_task(w->heap, other_id)) {
            ph_task_read(w->heap, other_id, &other, &other_name);
            ph_str_appendf(&awaits, " \"%s\"", ph_str_text(&other_name));
        }
    }
    ph_doc_line(w->doc, "Task 0x%" PRIx64 " \"%s\", %s%s%s", ph_heap_address(w->heap, id), name,
                is_running(w, task) ? "running"
                : task->state       ? task->state
                                    : "state unknown",
                ph_str_text(&awaits), task->coroutine ? " (most recent call first):" : "");
    ph_str_free(&awaits);
    ph_str_free(&other_name);
}

static enum ph_status write_task(const struct writer *w, uint32_t id, struct ph_error *err)
{
    struct ph_str name = {0};
    struct ph_task task;
    ph_task_read(w->heap, id, &task, &name);
    ph_doc_object_begin(w->doc, NULL);
    ph_doc_addr(w->doc, "address", NULL, ph_heap_address(w->heap, id));
    ph_doc_text(w->doc, "type", NULL, ph_heap_type(w->heap, id)->name);
    ph_doc_text(w->doc, "name", NULL, ph_str_text(&name));
    if (task.state)
        ph_doc_text(w->doc, "state", NULL, task.state);
    else
        ph_doc_null(w->doc, "state", NULL);
    ph_doc_bool(w->doc, "running", NULL, is_running(w, &task));
    write_object(w, "coroutine", task.coroutine);
    write_object(w, "awaits", task.waits_for);
    write_object(w, "loop", task.loop);
    write_task_line(w, id, &task, ph_str_text(&name));
    ph_str_free(&name);
    enum ph_status status = write_task_stack(w, task.coroutine, err);
    ph_doc_object_end(w->doc);
    ph_doc_line(w->doc, "%s", "");
    return status;
}

/* ---- generators and coroutines ---- */

static enum ph_status write_suspended(const struct writer *w, uint32_t id, struct ph_error *err)
{
    struct ph_object o, awaited;
    struct ph_frame frame;
    char text[64] = "";
    if (!ph_heap_open(w->heap, id, &o) || !ph_object_frame(w->objects, &o, &frame) ||
        !frame.has_code)
        return PH_OK;
    ph_addr awaits = ph_generator_awaits(w->objects, &o);
    bool is_created = ph_generator_state(w->objects, &o) == PH_GENERATOR_CREATED;
    if (awaits && ph_object_at(w->objects, awaits, &awaited))
        snprintf(text, sizeof text, ", awaits %.30s 0x%" PRIx64, awaited.type->name, awaits);
    ph_doc_object_begin(w->doc, NULL);
    ph_doc_text(w->doc, "kind", NULL, o.type->name);
    ph_doc_addr(w->doc, "address", NULL, o.address);
    ph_doc_text(w->doc, "state", NULL, is_created ? "created" : "suspended");
    ph_doc_line(w->doc, "%s 0x%" PRIx64 "%s%s", o.type->name, o.address,
                is_created ? ", not begun" : "", text);
    enum ph_status status = write_place(w, "    ", &frame, err);
    write_object(w, "awaits", awaits);
    ph_doc_object_end(w->doc);
    return status;
}

/* A list of objects under a key, one by one. */
static enum ph_status write_ids(const struct writer *w, const char *key, const struct ph_ids *ids,
                                enum ph_status (*write)(const struct writer *, uint32_t,
                                                        struct ph_error *),
                                const char *things, struct ph_error *err)
{
    enum ph_status status = PH_OK;
    uint64_t shown = shown_of(w, ids->count);
    ph_doc_array_begin(w->doc, key);
    for (uint32_t i = 0; i < shown && !status; i++)
        status = write(w, ids->items[i], err);
    ph_doc_array_end(w->doc);
    note_rest(w, "", shown, ids->count, things);
    if (ids->count)
        ph_doc_line(w->doc, "%s", "");
    return status;
}

static enum ph_status run_frames(struct ph_session *s, const struct ph_invocation *inv,
                                 struct ph_doc *doc, struct ph_error *err)
{
    struct ph_ids tasks = {0}, suspended = {0};
    struct writer w = {.session = s, .inv = inv, .doc = doc};
    enum ph_status status = ph_session_heap(s, &w.heap, err);
    if (status)
        return status;
    w.objects = &w.heap->objects;
    ph_doc_python(doc, w.objects->python);
    if (!ph_tasks_find(w.heap, &tasks) || !ph_suspended_find(w.heap, &suspended))
        status = ph_fail(err, PH_NO_MEMORY, "out of memory");
    if (!status) {
        write_collecting(&w);
        status = write_threads(&w, err);
    }
    if (!status)
        status = write_ids(&w, "tasks", &tasks, write_task, "tasks", err);
    if (!status)
        status = write_ids(&w, "suspended", &suspended, write_suspended,
                           "suspended generators and coroutines", err);
    ph_array_free(&tasks);
    ph_array_free(&suspended);
    if (!status)
        ph_doc_skipped(doc, w.heap);
    return status;
}

const struct ph_command ph_command_frames = {
    .name = "frames",
    .operands_text = "",
    .brief = "Python stacks of all threads, and what else waits in one",
    .help = "Show where the program is: the Python stack of each thread, with what the thread is "
            "about (it holds the GIL or waits for it, collects garbage, is outside Python); "
            "asyncio's tasks with the coroutines that they are in and what they await; and "
            "generators, coroutines and async generators that exist and do not run. The innermost "
            "call comes first. With --locals also the locals of each frame, with their deep "
            "sizes. --limit is for each stack and each list.",
    .operands = PH_OPERANDS_NONE,
    .options = PH_TAKES(locals),
    .run = run_frames,
};
