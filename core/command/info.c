#include "command/session.h"
#include "objects/frame.h"

#include <inttypes.h>

static uint64_t count_frames(struct ph_heap *heap, const struct ph_python_thread *thread)
{
    uint64_t count = 0;
    struct ph_frame frame;
    struct ph_stack stack = ph_stack_of(ph_thread_top_frame(&heap->objects, thread));
    while (ph_stack_next(&heap->objects, &stack, &frame))
        count++;
    return count;
}

static void append_innermost(struct ph_heap *heap, const struct ph_python_thread *thread,
                             struct ph_str *out)
{
    struct ph_frame frame;
    struct ph_stack stack = ph_stack_of(ph_thread_top_frame(&heap->objects, thread));
    if (ph_stack_next(&heap->objects, &stack, &frame))
        ph_frame_describe(&heap->objects, &frame, out);
}

static void write_thread(struct ph_doc *doc, struct ph_heap *heap,
                         const struct ph_python_thread *thread)
{
    struct ph_str frame = {0}, name = {0};
    uint64_t frames = count_frames(heap, thread);
    append_innermost(heap, thread, &frame);
    ph_str_append_visible(&name, ph_python_thread_name(thread),
                          strlen(ph_python_thread_name(thread)));
    ph_doc_object_begin(doc, NULL);
    ph_doc_count(doc, "id", NULL, (int64_t)thread->ident);
    if (thread->native_id)
        ph_doc_count(doc, "native_id", NULL, (int64_t)thread->native_id);
    else
        ph_doc_null(doc, "native_id", NULL);
    ph_doc_text(doc, "name", NULL, ph_str_text(&name));
    ph_doc_count(doc, "frames", NULL, (int64_t)frames);
    ph_doc_object_end(doc);
    /* pthread_self() where nothing tells the kernel's number. */
    char number[32];
    snprintf(number, sizeof number, thread->native_id ? "%" PRIu64 : "0x%" PRIx64,
             thread->native_id ? thread->native_id : thread->ident);
    ph_doc_line(doc, "  thread %s%s%s: %" PRIu64 " frame%s%s%s", number, name.len ? " " : "",
                ph_str_text(&name), frames, frames == 1 ? "" : "s", frame.len ? ", in " : "",
                ph_str_text(&frame));
    ph_str_free(&frame);
    ph_str_free(&name);
}

static void write_gc(struct ph_doc *doc, const struct ph_gc *gc, const struct ph_gc_counts *counts)
{
    struct ph_str text = {0};
    char number[32];
    ph_doc_object_begin(doc, "gc");
    ph_doc_bool(doc, "collecting", NULL, gc->collecting);
    ph_doc_array_begin(doc, "generations");
    for (int g = 0; g < PH_GENERATIONS; g++) {
        ph_doc_object_begin(doc, NULL);
        ph_doc_count(doc, "count", NULL, gc->lists[g].count);
        ph_doc_count(doc, "threshold", NULL, gc->lists[g].threshold);
        ph_doc_count(doc, "objects", NULL, (int64_t)counts->generations[g]);
        ph_doc_object_end(doc);
        ph_str_appendf(&text, "%s%s", g ? " / " : "",
                       ph_format_count(number, (int64_t)counts->generations[g]));
    }
    ph_doc_array_end(doc);
    ph_doc_count(doc, "permanent", NULL, (int64_t)counts->generations[PH_GEN_PERMANENT]);
    ph_doc_count(doc, "collected", NULL, (int64_t)counts->collected);
    ph_doc_object_end(doc);
    ph_doc_line(doc, "  GC: %s objects in generations 0 / 1 / 2%s", ph_str_text(&text),
                gc->collecting ? ", COLLECTING NOW" : "");
    if (counts->generations[PH_GEN_PERMANENT])
        ph_doc_line(doc, "      %s in the permanent generation",
                    ph_format_count(number, (int64_t)counts->generations[PH_GEN_PERMANENT]));
    if (counts->collected)
        ph_doc_line(doc, "      %s being collected",
                    ph_format_count(number, (int64_t)counts->collected));
    ph_str_free(&text);
}

static void write_interpreter(struct ph_doc *doc, struct ph_heap *heap, uint32_t i)
{
    const struct ph_python *python = heap->objects.python;
    const struct ph_interpreter *interp = &python->interpreters.items[i];
    ph_doc_line(doc, "%s", "");
    ph_doc_line(doc, "Interpreter %" PRId64, interp->id);
    ph_doc_object_begin(doc, NULL);
    ph_doc_count(doc, "id", NULL, interp->id);
    ph_doc_array_begin(doc, "threads");
    for (uint32_t t = 0; t < python->threads.count; t++) {
        if (python->threads.items[t].interpreter == i)
            write_thread(doc, heap, &python->threads.items[t]);
    }
    ph_doc_array_end(doc);
    if (interp->gc.address)
        write_gc(doc, &interp->gc, &heap->gc_counts[i]);
    ph_doc_object_end(doc);
}

static void write_target(struct ph_doc *doc, const struct ph_target_info *info)
{
    static const char *const kinds[] = {
        [PH_TARGET_LIVE] = "live", [PH_TARGET_CORE] = "core", [PH_TARGET_REMOTE] = "remote"};
    struct ph_str path = {0}, text = {0};
    ph_str_append_visible(&path, info->path, strlen(info->path));
    ph_doc_object_begin(doc, "target");
    ph_doc_text(doc, "kind", NULL, kinds[info->kind]);
    if (info->pid)
        ph_doc_count(doc, "pid", NULL, info->pid);
    else
        ph_doc_null(doc, "pid", NULL);
    ph_doc_text(doc, "path", NULL, ph_str_text(&path));
    ph_doc_object_end(doc);
    ph_str_append(&text, info->kind == PH_TARGET_LIVE   ? "process"
                         : info->kind == PH_TARGET_CORE ? "core file"
                                                        : "remote process");
    if (info->pid)
        ph_str_appendf(&text, " %d", (int)info->pid);
    if (path.len)
        ph_str_appendf(&text, ", %s", ph_str_text(&path));
    ph_doc_text(doc, NULL, "Target", ph_str_text(&text));
    ph_str_free(&path);
    ph_str_free(&text);
}

/* The interpreters of other libraries in the process, which are not looked at. */
static void write_others(struct ph_doc *doc, const struct ph_python *python)
{
    if (!python->others.count)
        return;
    ph_doc_line(doc, "%s", "");
    ph_doc_array_begin(doc, "others");
    for (uint32_t i = 0; i < python->others.count; i++) {
        const struct ph_other_python *other = &python->others.items[i];
        ph_doc_object_begin(doc, NULL);
        ph_doc_text(doc, "version", NULL, other->version);
        ph_doc_addr(doc, "runtime", NULL, other->anchor);
        ph_doc_bool(doc, "runs", NULL, other->runs);
        ph_doc_object_end(doc);
        ph_doc_line(doc, "Not looked at: Python %s at 0x%" PRIx64 ", which %s", other->version,
                    other->anchor, other->runs ? "runs too" : "does not run");
    }
    ph_doc_array_end(doc);
}

static void write_build(struct ph_doc *doc, const struct ph_python *python)
{
    const bool debug = python->build & PH_BUILD_DEBUG, traced = python->build & PH_BUILD_TRACE_REFS;
    static const struct {
        const char *word, *text;
    } states[] = {
        [PH_PYTHON_RUNS] = {"running", ""},
        [PH_PYTHON_STARTS] = {"starting", ", STARTING: parts of it may be missing"},
        [PH_PYTHON_ENDS] = {"ending", ", ENDING: parts of it are gone"},
    };
    char text[160];
    snprintf(text, sizeof text, "%s%s%s%s%s%s", python->version, debug || traced ? ", built" : "",
             debug ? " for debugging" : "", traced ? " with trace-refs" : "",
             python->untested ? ", untested" : "", states[python->state].text);
    ph_doc_text(doc, NULL, "Python", text);
    ph_doc_text(doc, "state", NULL, states[python->state].word);
}

static void write_allocator(struct ph_doc *doc, const struct ph_allocator *allocator)
{
    ph_doc_text(doc, "allocator", NULL, ph_allocator_name(allocator));
    ph_doc_text(doc, NULL, "Memory", ph_allocator_text(allocator));
}

static enum ph_status run_info(struct ph_session *s, const struct ph_invocation *inv,
                               struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    (void)inv;
    enum ph_status status = ph_session_heap(s, &heap, err);
    if (status)
        return status;
    const struct ph_python *python = heap->objects.python;
    uint64_t bytes = 0;
    for (uint32_t id = 0; id < heap->count; id++)
        bytes += ph_heap_sizeof(heap, id);
    char text[96], number[32];
    ph_doc_python(doc, python);
    write_build(doc, python);
    write_allocator(doc, &heap->allocator);
    write_target(doc, ph_target_info(python->target));
    ph_doc_count(doc, "objects", "Objects", heap->count);
    snprintf(text, sizeof text, "%s in %s types", ph_format_bytes(number, bytes),
             ph_format_count((char[32]){0}, heap->objects.types.count));
    ph_doc_text(doc, NULL, "Size", text);
    ph_doc_array_begin(doc, "interpreters");
    for (uint32_t i = 0; i < python->interpreters.count; i++)
        write_interpreter(doc, heap, i);
    ph_doc_array_end(doc);
    write_others(doc, python);
    ph_doc_skipped(doc, heap);
    return PH_OK;
}

const struct ph_command ph_command_info = {
    .name = "info",
    .operands_text = "",
    .brief = "what runs here: version, interpreters, threads, GC state",
    .help = "Say what Python runs in the process or ran in the core: its version and build, its "
            "interpreters and threads, the garbage collector's state and generations, the number "
            "of objects, and what could not be read.",
    .operands = PH_OPERANDS_NONE,
    .options = 0,
    .run = run_info,
};
