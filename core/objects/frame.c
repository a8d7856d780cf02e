#include "objects/frame.h"

#include "objects/str.h"

#include <inttypes.h>

enum {
    GEN_COMPLETED =
        1,    /* gi_frame_state from 1 on: completed, cleared (3.11 to 3.14; pycore_frame.h) */
    UNIT = 2, /* bytes of a code unit */
};

static bool frames_are_objects(const struct ph_objects *objects)
{
    return objects->python->layout.traits.frames == PH_FRAMES_OBJECTS;
}

bool ph_frame_open(struct ph_objects *objects, ph_addr address, struct ph_frame *out)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    *out = (struct ph_frame){.address = address, .owner = PH_FRAME_OWNED_BY_OBJECT};
    ph_addr code;
    if (frames_are_objects(objects)) {
        struct ph_object o;
        if (!ph_object_at(objects, address, &o) || o.type->family != &ph_family_frame)
            return false;
        out->previous = ph_object_ptr(objects, &o, L->frame.f_back);
        code = ph_object_ptr(objects, &o, L->frame.f_code);
    } else {
        const uint8_t *at = ph_target_view(python->target, address, (size_t)L->iframe.localsplus);
        if (!at)
            return false;
        out->previous = ph_load_ptr(python, at + L->iframe.previous);
        out->owner = at[L->iframe.owner];
        code = ph_load_ptr(python, at + L->iframe.code);
    }
    out->has_code = ph_code_open(objects, code, &out->code);
    return true;
}

ph_addr ph_thread_top_frame(const struct ph_objects *objects, const struct ph_python_thread *thread)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    ph_addr cframe;
    switch (L->traits.frames) {
    case PH_FRAMES_OBJECTS:
        return ph_python_word(python, thread->address, L->tstate.frame);
    case PH_FRAMES_CFRAME:
        cframe = ph_python_word(python, thread->address, L->tstate.cframe);
        return cframe ? ph_python_word(python, cframe, L->cframe.current_frame) : 0;
    case PH_FRAMES_CURRENT:
        return ph_python_word(python, thread->address, L->tstate.current_frame);
    }
    return 0;
}

/* How many evaluation stack slots are in use; *known is false while the frame runs and nothing
 * tells: then all of them may be. */
static uint64_t stack_depth(struct ph_objects *objects, const struct ph_frame *frame, bool *known)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    int64_t depth = -1;
    if (!frames_are_objects(objects)) {
        int32_t top = (int32_t)ph_python_u32(python, frame->address, L->iframe.stacktop);
        depth = top >= 0 ? top - (int64_t)frame->code.locals : -1;
    } else if (ph_has(L->frame.f_stackdepth)) {
        depth = (int32_t)ph_python_u32(python, frame->address, L->frame.f_stackdepth);
    } else {
        ph_addr top = ph_python_word(python, frame->address, L->frame.f_stacktop);
        ph_addr base = ph_python_word(python, frame->address, L->frame.f_valuestack);
        if (top && top >= base)
            depth = (int64_t)((top - base) / ph_word_bytes(python));
    }
    *known = depth >= 0 && (uint64_t)depth <= frame->code.stack;
    return *known ? (uint64_t)depth : frame->code.stack;
}

static void slot_refs(struct ph_objects *objects, const struct ph_frame *frame,
                      const struct ph_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    unsigned word = ph_word_bytes(python);
    bool known;
    uint64_t depth = stack_depth(objects, frame, &known), locals = frame->code.locals;
    int32_t offset = frames_are_objects(objects) ? L->frame.f_localsplus : L->iframe.localsplus;
    size_t len;
    const uint8_t *slots = ph_target_view_some(python->target, frame->address + (uint64_t)offset,
                                               (size_t)((locals + depth) * word), &len);
    for (uint64_t i = 0; slots && (i + 1) * word <= len; i++) {
        ph_addr value = ph_load_ptr(python, slots + i * word);
        if (i >= locals) {
            ph_visit(v, value, PH_LABEL_STACK, i - locals,
                     known ? PH_REF_STRONG : PH_REF_STRONG | PH_REF_GUESS | PH_REF_STALE);
            continue;
        }
        bool is_cell = false;
        ph_addr name = value ? ph_code_slot_name(objects, &frame->code, i, &is_cell) : 0;
        ph_visit(v, value, is_cell ? PH_LABEL_CELL : PH_LABEL_LOCAL, name, PH_REF_STRONG);
    }
}

/* The fields of an interpreter frame; globals and builtins are borrowed from the function
 * (pycore_frame.h). */
static void iframe_field_refs(struct ph_objects *objects, ph_addr frame, const struct ph_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    ph_visit_field(v, ph_python_word(python, frame, L->iframe.code), "f_code");
    ph_visit_field(v, ph_python_word(python, frame, L->iframe.func), "f_func");
    ph_visit_field(v, ph_python_word(python, frame, L->iframe.locals), "f_locals");
    ph_visit_field(v, ph_python_word(python, frame, L->iframe.frame_obj), "frame");
    ph_visit(v, ph_python_word(python, frame, L->iframe.globals), PH_LABEL_FIELD,
             (uint64_t)(uintptr_t) "f_globals", PH_REF_WEAK);
    ph_visit(v, ph_python_word(python, frame, L->iframe.builtins), PH_LABEL_FIELD,
             (uint64_t)(uintptr_t) "f_builtins", PH_REF_WEAK);
}

void ph_frame_refs(struct ph_objects *objects, const struct ph_frame *frame,
                   const struct ph_visitor *v)
{
    if (!frames_are_objects(objects))
        iframe_field_refs(objects, frame->address, v);
    if (frame->has_code)
        slot_refs(objects, frame, v);
}

int64_t ph_frame_line(struct ph_objects *objects, const struct ph_frame *frame)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    if (!frame->has_code)
        return 0;
    int64_t offset;
    if (frames_are_objects(objects)) {
        offset = (int32_t)ph_python_u32(python, frame->address, L->frame.f_lasti);
        /* f_lasti counts instructions in 3.10, bytes before. */
        if (L->version >= 0x030a0000)
            offset *= UNIT;
    } else {
        ph_addr instruction = ph_python_word(python, frame->address, L->iframe.instr);
        offset = (int64_t)(instruction - ph_code_first_instruction(objects, frame->code.address));
    }
    return ph_code_line(objects, frame->code.address, offset);
}

void ph_frame_describe(struct ph_objects *objects, const struct ph_frame *frame, struct ph_str *out)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    if (!frame->has_code) {
        ph_str_append(out, "C code");
        return;
    }
    int32_t name = ph_has(L->code.co_qualname) ? L->code.co_qualname : L->code.co_name;
    if (!ph_str_object_text(objects, ph_python_word(python, frame->code.address, name), 200, out))
        ph_str_append(out, "?");
    ph_str_append(out, " (");
    if (!ph_str_object_text(
            objects, ph_python_word(python, frame->code.address, L->code.co_filename), 400, out))
        ph_str_append(out, "?");
    ph_str_appendf(out, ":%" PRId64 ")", ph_frame_line(objects, frame));
}

/* ---- objects that have a frame ---- */

/* The interpreter frame of a generator, coroutine or async generator that has not finished (3.11+).
 */
static ph_addr generator_iframe(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    int8_t state = (int8_t)o->at[L->gen.gi_frame_state];
    return state >= GEN_COMPLETED ? 0 : o->address + (uint64_t)L->gen.gi_iframe;
}

/* The interpreter frame that a frame object shows (3.11+). */
static ph_addr shown_iframe(const struct ph_objects *objects, const struct ph_object *o)
{
    return ph_object_ptr(objects, o, objects->python->layout.frame.f_frame);
}

bool ph_object_frame(struct ph_objects *objects, const struct ph_object *o, struct ph_frame *out)
{
    ph_addr address = 0;
    if (o->type->family == &ph_family_frame)
        address = frames_are_objects(objects) ? o->address : shown_iframe(objects, o);
    else if (o->type->family == &ph_family_generator)
        address = frames_are_objects(objects)
                      ? ph_object_ptr(objects, o, objects->python->layout.gen.gi_frame)
                      : generator_iframe(objects, o);
    return address && ph_frame_open(objects, address, out);
}

/* ---- the families ---- */

/* Slots of the frame that lies in an object of 3.11 and later: at `start`, which need not be live
 * any more. */
static uint64_t embedded_size(struct ph_objects *objects, int32_t start, ph_addr iframe)
{
    const struct ph_layout *L = &objects->python->layout;
    struct ph_code code;
    uint64_t slots = 0;
    if (ph_code_open(objects, ph_python_word(objects->python, iframe, L->iframe.code), &code))
        slots = code.locals + code.stack;
    return (uint64_t)start + (uint64_t)L->iframe.localsplus +
           slots * ph_word_bytes(objects->python);
}

/* frame_sizeof() in Objects/frameobject.c; to 3.10 the struct has room for one slot already. */
static uint64_t frame_size(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    struct ph_frame frame;
    if (!frames_are_objects(objects))
        return embedded_size(objects, L->frame._f_frame_data, shown_iframe(objects, o));
    if (!ph_frame_open(objects, o->address, &frame) || !frame.has_code)
        return o->type->basicsize;
    return (uint64_t)L->frame.size +
           (frame.code.locals + frame.code.stack - 1) * ph_word_bytes(objects->python);
}

static void frame_refs(struct ph_objects *objects, const struct ph_object *o,
                       const struct ph_visitor *v)
{
    struct ph_frame frame;
    if (ph_object_frame(objects, o, &frame) && frame.owner == PH_FRAME_OWNED_BY_OBJECT)
        ph_frame_refs(objects, &frame, v);
}

static void frame_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                          struct ph_str *out)
{
    struct ph_frame frame;
    (void)max_chars;
    ph_str_append(out, "<frame ");
    if (ph_object_frame(objects, o, &frame))
        ph_frame_describe(objects, &frame, out);
    ph_str_append(out, ">");
}

const struct ph_family ph_family_frame = {
    .type_names = PH_TYPE_NAMES("frame"),
    .fields = (const struct ph_ref_field[]){PH_REF_FIELD("f_back", frame, f_back),
                                            PH_REF_FIELD("f_trace", frame, f_trace),
                                            PH_REF_FIELD("f_code", frame, f_code),
                                            PH_REF_FIELD("f_builtins", frame, f_builtins),
                                            PH_REF_FIELD("f_globals", frame, f_globals),
                                            PH_REF_FIELD("f_locals", frame, f_locals),
                                            PH_REF_FIELD("f_exc_type", frame, f_exc_type),
                                            PH_REF_FIELD("f_exc_value", frame, f_exc_value),
                                            PH_REF_FIELD("f_exc_traceback", frame, f_exc_traceback),
                                            PH_REF_FIELD("extra locals", frame, f_extra_locals),
                                            PH_REF_FIELD("locals cache", frame, f_locals_cache),
                                            {0}},
    .size = frame_size,
    .refs = frame_refs,
    .summary = frame_summary,
};

static uint64_t generator_size(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    if (frames_are_objects(objects))
        return o->type->basicsize;
    return embedded_size(objects, L->gen.gi_iframe, o->address + (uint64_t)L->gen.gi_iframe);
}

static void generator_refs(struct ph_objects *objects, const struct ph_object *o,
                           const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    /* The exception that it handles while suspended: value alone from 3.11 on, type and traceback
     * before; to 3.6 it is the frame's. */
    int64_t exc = L->gen.gi_exc_state;
    if (ph_has(L->err_stackitem.exc_type))
        ph_visit_field(v, ph_object_ptr(objects, o, exc + L->err_stackitem.exc_type), "exc_type");
    if (ph_has(L->err_stackitem.exc_value))
        ph_visit_field(v, ph_object_ptr(objects, o, exc + L->err_stackitem.exc_value), "exc_value");
    if (ph_has(L->err_stackitem.exc_traceback))
        ph_visit_field(v, ph_object_ptr(objects, o, exc + L->err_stackitem.exc_traceback),
                       "exc_traceback");
    /* Where a coroutine was made, or what finalizes an async generator: one word, which plain
     * generators leave unset. */
    if (strcmp(o->type->body->name, "generator") != 0)
        ph_visit(v, ph_object_optional_ptr(objects, o, L->coro.cr_origin), PH_LABEL_NOTE,
                 (uint64_t)(uintptr_t) "origin or finalizer", PH_REF_STRONG);
    struct ph_frame frame;
    if (!frames_are_objects(objects) && ph_object_frame(objects, o, &frame))
        ph_frame_refs(objects, &frame, v);
}

static void generator_summary(struct ph_objects *objects, const struct ph_object *o,
                              uint64_t max_chars, struct ph_str *out)
{
    const struct ph_layout *L = &objects->python->layout;
    struct ph_frame frame;
    ph_str_appendf(out, "<%s ", o->type->name);
    if (ph_object_frame(objects, o, &frame)) {
        ph_frame_describe(objects, &frame, out);
    } else {
        ph_str_object_text(objects, ph_object_optional_ptr(objects, o, L->gen.gi_qualname),
                           max_chars, out);
        ph_str_append(out, ", finished");
    }
    ph_str_append(out, ">");
}

const struct ph_family ph_family_generator = {
    .type_names = PH_TYPE_NAMES("generator", "coroutine", "async_generator"),
    .fields = (const struct ph_ref_field[]){PH_REF_FIELD("gi_frame", gen, gi_frame),
                                            PH_REF_FIELD("gi_code", gen, gi_code),
                                            PH_REF_FIELD("__name__", gen, gi_name),
                                            PH_REF_FIELD("__qualname__", gen, gi_qualname),
                                            {0}},
    .size = generator_size,
    .refs = generator_refs,
    .summary = generator_summary,
};
