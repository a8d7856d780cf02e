/*
 * What holds objects without being one: the interpreters' and threads' states and the frames that
 * run.
 */
#include "heap/heap.h"

#include "objects/dict.h"
#include "objects/frame.h"

enum { MAX_FRAMES = 1 << 24, MAX_EXC_DEPTH = 1 << 20, MAX_ATEXIT = 1 << 16 };

struct root_field {
    const char *name;
    size_t layout_member;
};
#define RUNTIME(name, f)                                                                           \
    {                                                                                              \
        name, offsetof(struct ph_layout, runtime.f)                                                \
    }
#define INTERP(name, f)                                                                            \
    {                                                                                              \
        name, offsetof(struct ph_layout, interp.f)                                                 \
    }
#define THREAD(name, f)                                                                            \
    {                                                                                              \
        name, offsetof(struct ph_layout, tstate.f)                                                 \
    }
#define THREAD_IMPL(name, f)                                                                       \
    {                                                                                              \
        name, offsetof(struct ph_layout, tstate_impl.f)                                            \
    }

/* PyInterpreterState (Include/internal/pycore_interp.h). */
static const struct root_field interp_fields[] = {
    INTERP("sys.modules", modules),
    INTERP("modules being reloaded", modules_reloading),
    INTERP("modules by index", modules_by_index),
    INTERP("sys.__dict__", sysdict),
    INTERP("copy of sys.__dict__", sysdict_copy),
    INTERP("builtins.__dict__", builtins),
    INTERP("copy of builtins.__dict__", builtins_copy),
    INTERP("importlib", importlib),
    INTERP("__import__", import_func),
    INTERP("interpreter dict", dict),
    INTERP("codec search path", codec_search_path),
    INTERP("codec search cache", codec_search_cache),
    INTERP("codec error handlers", codec_error_registry),
    INTERP("os.register_at_fork before", before_forkers),
    INTERP("os.register_at_fork after in parent", after_forkers_parent),
    INTERP("os.register_at_fork after in child", after_forkers_child),
    INTERP("atexit module", pyexitmodule),
    INTERP("warnings filters", warnings_filters),
    INTERP("warnings once registry", warnings_once_registry),
    INTERP("warnings default action", warnings_default_action),
    INTERP("warnings context", warnings_context),
    INTERP("audit hooks", audit_hooks),
    INTERP("__lazy_import__", lazy_import_func),
    INTERP("filter of lazy imports", lazy_imports_filter),
    INTERP("lazy modules", lazy_modules),
    INTERP("lazy submodules", lazy_pending),
    INTERP("errno map", errnomap),
    INTERP("ExceptionGroup", exception_group),
    INTERP("isinstance", callable_isinstance),
    INTERP("len", callable_len),
    INTERP("list.append", callable_list_append),
    INTERP("object.__getattribute__", callable_getattribute),
    INTERP("interpreter trampoline", interpreter_trampoline),
    INTERP("interned strings", interned),
    INTERP("empty bytes", empty_bytes),
    INTERP("empty str", empty_str),
};

/* _PyRuntimeState, in 3.7 (Include/internal/pystate.h). */
static const struct root_field runtime_fields[] = {
    RUNTIME("warnings filters", warnings_filters),
    RUNTIME("warnings once registry", warnings_once_registry),
    RUNTIME("warnings default action", warnings_default_action),
};

/* PyThreadState (Include/cpython/pystate.h). */
static const struct root_field thread_fields[] = {
    THREAD("current exception type", curexc_type),
    THREAD("current exception", curexc_value),
    THREAD("current traceback", curexc_traceback),
    THREAD("current exception", current_exception),
    THREAD("handled exception type", exc_type),
    THREAD("handled exception", exc_value),
    THREAD("handled traceback", exc_traceback),
    THREAD("thread dict", dict),
    THREAD("asynchronous exception", async_exc),
    THREAD("context", context),
    THREAD("coroutine wrapper", coroutine_wrapper),
    THREAD("async generator first iteration hook", async_gen_firstiter),
    THREAD("async generator finalizer hook", async_gen_finalizer),
    THREAD("profile function", c_profileobj),
    THREAD("trace function", c_traceobj),
    THREAD("thread-local key", threading_local_key),
    THREAD("thread-local sentinel", threading_local_sentinel),
    THREAD_IMPL("running event loop", asyncio_running_loop),
    THREAD_IMPL("running task", asyncio_running_task),
    THREAD_IMPL("lazy imports", lazy_imports),
};

/* Runs of references: cached small ints, one-character strings (3.9 and 3.10). */
static const struct {
    struct root_field field;
    uint32_t count;
} interp_arrays[] = {
    {INTERP("small ints", small_ints), 262},
    {INTERP("one-byte bytes", single_bytes), 256},
    {INTERP("Latin-1 characters", latin1_strs), 256},
    {INTERP("constants of the compiler", common_consts), 5},
};

struct root_walk {
    struct ph_objects *objects;
    const struct ph_python *python;
    ph_root_fn visit;
    void *ctx;
    struct ph_root root;
};

static int32_t field_offset(const struct root_walk *w, const struct root_field *field)
{
    int32_t offset;
    memcpy(&offset, (const char *)&w->python->layout + field->layout_member, sizeof offset);
    return offset;
}

static void emit(struct root_walk *w, const char *name, ph_addr target, unsigned flags)
{
    if (!target)
        return;
    w->root.name = name;
    w->visit(w->ctx, &w->root, target, (struct ph_label){PH_LABEL_NOTE, (uint64_t)(uintptr_t)name},
             flags);
}

static void visit_fields(struct root_walk *w, const struct root_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int32_t offset = field_offset(w, &fields[i]);
        if (ph_has(offset))
            emit(w, fields[i].name, ph_python_word(w->python, w->root.address, offset),
                 PH_REF_STRONG);
    }
}

/* atexit's callbacks: a list (3.14 on), or pointers to {func, args, kwargs} (3.10 on; in the
 * module's state before). */
static void visit_atexit(struct root_walk *w)
{
    const struct ph_layout *L = &w->python->layout;
    if (!ph_has(L->interp.atexit_callbacks))
        return;
    unsigned word = ph_word_bytes(w->python);
    ph_addr callbacks = ph_python_word(w->python, w->root.address, L->interp.atexit_callbacks);
    if (!ph_has(L->interp.atexit_ncallbacks)) {
        emit(w, "atexit functions", callbacks, PH_REF_STRONG);
        return;
    }
    uint32_t count = ph_python_u32(w->python, w->root.address, L->interp.atexit_ncallbacks);
    for (uint32_t i = 0; callbacks && i < count && i < MAX_ATEXIT; i++) {
        ph_addr callback = ph_python_word(w->python, callbacks, (int64_t)i * word);
        if (!callback)
            continue;
        emit(w, "atexit function", ph_python_word(w->python, callback, L->atexit_callback.func),
             PH_REF_STRONG);
        emit(w, "atexit arguments", ph_python_word(w->python, callback, L->atexit_callback.args),
             PH_REF_STRONG);
        emit(w, "atexit keywords", ph_python_word(w->python, callback, L->atexit_callback.kwargs),
             PH_REF_STRONG);
    }
}

/* A struct of the state whose words are all references or NULL, with small numbers among them. */
static void visit_words(struct root_walk *w, const char *name, int32_t offset, int32_t bytes)
{
    unsigned word = ph_word_bytes(w->python);
    for (int32_t at = 0; ph_has(offset) && bytes > 0 && at + (int32_t)word <= bytes;
         at += (int32_t)word)
        emit(w, name, ph_python_word(w->python, w->root.address, offset + at),
             PH_REF_STRONG | PH_REF_GUESS);
}

/* To 3.6 the list gc.garbage is a static variable; what the module shows is that list unless
 * somebody assigned another, so the reference is believed only where a count is unexplained. */
static void visit_static_garbage(struct root_walk *w)
{
    const struct ph_layout *L = &w->python->layout;
    ph_addr modules = ph_python_word(w->python, w->root.address, L->interp.modules);
    ph_addr module = ph_dict_get_string(w->objects, modules, "gc");
    struct ph_object o;
    if (module && ph_object_at(w->objects, module, &o) && o.type->family == &ph_family_module)
        emit(w, "gc.garbage",
             ph_dict_get_string(w->objects, ph_object_ptr(w->objects, &o, L->module.md_dict),
                                "garbage"),
             PH_REF_STRONG | PH_REF_GUESS | PH_REF_STALE);
}

static void visit_interpreter(struct root_walk *w, const struct ph_interpreter *interp)
{
    const struct ph_layout *L = &w->python->layout;
    unsigned word = ph_word_bytes(w->python);
    w->root = (struct ph_root){
        .kind = PH_ROOT_STATE,
        .address = interp->address,
        .interpreter = (uint32_t)(interp - w->python->interpreters.items),
    };
    visit_fields(w, interp_fields, sizeof interp_fields / sizeof *interp_fields);
    for (size_t i = 0; i < sizeof interp_arrays / sizeof *interp_arrays; i++) {
        int32_t offset = field_offset(w, &interp_arrays[i].field);
        if (ph_has(offset))
            visit_words(w, interp_arrays[i].field.name, offset,
                        (int32_t)(interp_arrays[i].count * word));
    }
    visit_words(w, "cached objects", L->interp.cached_objects, L->interp_cached_objects.size);
    visit_words(w, "ast module state", L->interp.ast, L->ast_state.size);
    visit_atexit(w);
    emit(w, "gc.garbage", interp->gc.garbage, PH_REF_STRONG);
    if (L->traits.gc_state == PH_GC_STATE_STATICS)
        visit_static_garbage(w);
    if (interp->gc.address && ph_has(L->gc_state.callbacks))
        emit(w, "gc.callbacks",
             ph_python_word(w->python, interp->gc.address, L->gc_state.callbacks), PH_REF_STRONG);
}

/* The exceptions being handled: a chain that begins in the thread state and goes through
 * generators, which own theirs. */
static void visit_exceptions(struct root_walk *w, ph_addr tstate)
{
    const struct ph_layout *L = &w->python->layout;
    if (!ph_has(L->tstate.exc_state))
        return;
    ph_addr item = tstate + (uint64_t)L->tstate.exc_state;
    if (ph_has(L->err_stackitem.exc_type))
        emit(w, "handled exception type",
             ph_python_word(w->python, item, L->err_stackitem.exc_type), PH_REF_STRONG);
    emit(w, "handled exception", ph_python_word(w->python, item, L->err_stackitem.exc_value),
         PH_REF_STRONG);
    if (ph_has(L->err_stackitem.exc_traceback))
        emit(w, "handled traceback",
             ph_python_word(w->python, item, L->err_stackitem.exc_traceback), PH_REF_STRONG);
}

static void visit_frame_ref(void *ctx, ph_addr target, struct ph_label label, unsigned flags)
{
    struct root_walk *w = ctx;
    w->visit(w->ctx, &w->root, target, label, flags);
}

static struct ph_root thread_root(const struct root_walk *w, enum ph_root_kind kind,
                                  ph_addr address, uint32_t thread)
{
    return (struct ph_root){
        .kind = kind,
        .address = address,
        .thread = thread,
        .interpreter = w->python->threads.items[thread].interpreter,
    };
}

/* To 3.10 frames are objects, and each is held by the call that runs it (Python/ceval.c:
 * _PyEval_EvalCode), or by its generator; and the innermost by the thread, whoever else holds it.
 */
static void visit_frame_objects(struct root_walk *w, ph_addr top)
{
    struct ph_frame frame;
    ph_addr at = top;
    for (uint32_t n = 0; at && n < MAX_FRAMES && ph_frame_open(w->objects, at, &frame); n++) {
        if (at == top || !ph_frame_is_generators(w->objects, &frame))
            emit(w, "running frame", at, PH_REF_STRONG);
        at = frame.previous;
    }
}

/* Frames that no object owns are roots; those of generators and frame objects are visited with
 * their owners. */
static void visit_frames(struct root_walk *w, uint32_t thread)
{
    const struct ph_visitor v = {visit_frame_ref, w};
    const struct ph_python_thread *t = &w->python->threads.items[thread];
    ph_addr at = ph_thread_top_frame(w->objects, t);
    if (w->python->layout.traits.frames == PH_FRAMES_OBJECTS) {
        w->root = thread_root(w, PH_ROOT_THREAD, t->address, thread);
        visit_frame_objects(w, at);
        return;
    }
    struct ph_frame frame;
    for (uint32_t n = 0; at && n < MAX_FRAMES && ph_frame_open(w->objects, at, &frame); n++) {
        w->root = thread_root(w, PH_ROOT_FRAME, at, thread);
        if (frame.owner == PH_FRAME_OWNED_BY_THREAD)
            ph_frame_refs(w->objects, &frame, &v);
        at = frame.previous;
    }
}

void ph_heap_roots(struct ph_objects *objects, ph_root_fn visit, void *ctx)
{
    const struct ph_python *python = objects->python;
    struct root_walk w = {.objects = objects, .python = python, .visit = visit, .ctx = ctx};
    w.root = (struct ph_root){.kind = PH_ROOT_STATE, .address = python->anchor};
    visit_fields(&w, runtime_fields, sizeof runtime_fields / sizeof *runtime_fields);
    for (uint32_t i = 0; i < python->interpreters.count; i++)
        visit_interpreter(&w, &python->interpreters.items[i]);
    for (uint32_t i = 0; i < python->threads.count; i++) {
        ph_addr tstate = python->threads.items[i].address;
        w.root = thread_root(&w, PH_ROOT_THREAD, tstate, i);
        visit_fields(&w, thread_fields, sizeof thread_fields / sizeof *thread_fields);
        visit_exceptions(&w, tstate);
        visit_frames(&w, i);
    }
}
