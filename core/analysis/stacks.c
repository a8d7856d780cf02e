#include "analysis/stacks.h"

#include "objects/dict.h"
#include "objects/int_value.h"
#include "objects/str.h"
#include "runtime/attached.h"

enum { NAME_CHARS = 200 };

/* The collector of the thread's interpreter; before 3.9 all share that of the first. */
static const struct ph_gc *gc_of(const struct ph_python *python,
                                 const struct ph_python_thread *thread)
{
    const struct ph_interpreter *interpreter = &python->interpreters.items[thread->interpreter];
    return interpreter->owns_gc ? &interpreter->gc : &python->interpreters.items[0].gc;
}

/* The GIL that the thread would take; 0 where none is known. (_PyRuntime.ceval.gil; from 3.12 on
 * PyInterpreterState.ceval.gil) */
static ph_addr gil_of(const struct ph_python *python, const struct ph_python_thread *thread)
{
    const struct ph_layout *L = &python->layout;
    if (ph_has(L->runtime.gil))
        return python->anchor + (ph_addr)L->runtime.gil;
    return ph_has(L->interp.gil)
               ? ph_python_word(python, python->interpreters.items[thread->interpreter].address,
                                L->interp.gil)
               : 0;
}

/* Whether the thread waits for the GIL. *known is false where its state does not say so, and what
 * the kernel keeps it at may be the GIL or another. */
static bool waits_for_gil(const struct ph_python *python, const struct ph_python_thread *thread,
                          bool *known)
{
    const struct ph_layout *L = &python->layout;
    const struct ph_thread *kernel = thread->kernel;
    ph_addr gil = gil_of(python, thread), futex = kernel ? kernel->futex : 0;
    *known = true;
    if (ph_has(L->tstate.gil_requested))
        return ph_python_u32(python, thread->address, L->tstate.gil_requested);
    *known = kernel && kernel->call_known && (gil || !futex);
    return gil && futex >= gil && futex - gil < (ph_addr)L->gil.size;
}

enum ph_thread_state ph_thread_state(const struct ph_python *python,
                                     const struct ph_python_thread *thread)
{
    const struct ph_thread *kernel = thread->kernel;
    bool known, attached = ph_python_is_attached(python, thread->address, &known);
    if (!known)
        return PH_THREAD_UNKNOWN;
    if (attached)
        return gc_of(python, thread)->collecting ? PH_THREAD_COLLECTING : PH_THREAD_ATTACHED;
    if (waits_for_gil(python, thread, &known))
        return PH_THREAD_WAITING;
    if (!known && ph_python_attached_count(python))
        return PH_THREAD_DETACHED;
    return kernel && kernel->call_known && !kernel->in_call ? PH_THREAD_OUTSIDE : PH_THREAD_BLOCKED;
}

/* An attribute of a module that was imported; 0 where there is none. */
static ph_addr module_attribute(struct ph_objects *objects, const struct ph_interpreter *interp,
                                const char *module, const char *name)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr modules = ph_python_word(objects->python, interp->address, L->interp.modules);
    ph_addr found = modules ? ph_dict_get_string(objects, modules, module) : 0;
    struct ph_object o;
    if (!found || !ph_object_at(objects, found, &o) || o.type->family != &ph_family_module)
        return 0;
    return ph_dict_get_string(objects, ph_object_ptr(objects, &o, L->module.md_dict), name);
}

bool ph_thread_name(struct ph_objects *objects, const struct ph_python_thread *thread,
                    struct ph_str *out)
{
    const struct ph_python *python = objects->python;
    bool mangled = python->layout.version < 0x03000000;
    ph_addr active = module_attribute(objects, &python->interpreters.items[thread->interpreter],
                                      "threading", "_active");
    struct ph_object o, t;
    struct ph_dict d;
    if (!active || !ph_object_at(objects, active, &o) || !ph_dict_open(objects, &o, &d))
        return false;
    for (uint64_t i = 0; i < d.entry_count; i++) {
        ph_addr value = ph_dict_value(&d, i);
        uint64_t ident;
        if (!value || !ph_int_value(objects, ph_dict_key(&d, i), &ident) ||
            ident != thread->ident || !ph_object_at(objects, value, &t))
            continue;
        ph_addr name = ph_instance_attribute(objects, &t, mangled ? "_Thread__name" : "_name");
        return name && ph_str_object_text(objects, name, NAME_CHARS, out);
    }
    return false;
}

/* ---- locals ---- */

struct collector {
    struct ph_objects *objects;
    struct ph_locals *out;
    bool failed;
};

static void add_local(struct collector *c, ph_addr name, ph_addr value)
{
    if (value && !ph_array_push(c->out, ((struct ph_local){name, value})))
        c->failed = true;
}

/* A slot for a cell holds the value itself until the frame has begun. */
static ph_addr opened(struct ph_objects *objects, ph_addr value)
{
    struct ph_object o;
    bool is_cell = ph_object_at(objects, value, &o) && strcmp(o.type->name, "cell") == 0;
    return is_cell ? ph_object_ptr(objects, &o, objects->python->layout.cell.ob_ref) : value;
}

static void collect_slot(void *ctx, ph_addr target, struct ph_label label, unsigned flags)
{
    struct collector *c = ctx;
    (void)flags;
    if (label.kind == PH_LABEL_LOCAL)
        add_local(c, label.arg, target);
    else if (label.kind == PH_LABEL_CELL)
        add_local(c, label.arg, opened(c->objects, target));
}

static void collect_dict(struct collector *c, ph_addr dict)
{
    struct ph_object o;
    struct ph_dict d;
    if (!ph_object_at(c->objects, dict, &o) || !ph_dict_open(c->objects, &o, &d))
        return;
    for (uint64_t i = 0; i < d.entry_count; i++)
        add_local(c, ph_dict_key(&d, i), ph_dict_value(&d, i));
}

bool ph_frame_locals(struct ph_objects *objects, const struct ph_frame *frame,
                     struct ph_locals *out)
{
    struct collector c = {.objects = objects, .out = out};
    ph_addr dict = ph_frame_locals_dict(objects, frame);
    if (dict)
        collect_dict(&c, dict);
    else
        ph_frame_refs(objects, frame, &(struct ph_visitor){collect_slot, &c});
    return !c.failed;
}
