#include "objects/frame.h"

#include "objects/str.h"

#include <inttypes.h>

enum {
    MAX_FRAMES = 1 << 20,
    CO_OPTIMIZED = 1,                    /* co_flags: locals are slots (Include/cpython/code.h) */
    CO_GENERATORS = 0x20 | 0x80 | 0x200, /* generators, coroutines, async generators */
    UNIT = 2,                            /* bytes of a code unit */
    MAX_NAME = 200,                      /* characters of a function's name */
    MAX_PATH = 4096,                     /* and of a file's, as PATH_MAX */
    /* What the low bits of a slot say (from 3.14; pycore_stackref.h). */
    TAG_MASK = 3,
    TAG_BORROWED = 1, /* a reference that something else is sure to hold for as long, or NULL */
};

static bool frames_are_objects(const struct ph_objects *objects)
{
    return objects->python->layout.traits.frames == PH_FRAMES_OBJECTS;
}

/* What a word of an interpreter frame refers to; 0 where it is no reference, for higher tags are
 * ints, and errors in 3.15. Of a borrowed one the count is another's. */
static ph_addr slot_target(const struct ph_python *python, ph_addr word, unsigned *flags)
{
    if (python->layout.traits.stackrefs == PH_STACKREFS_PLAIN)
        return word;
    unsigned tag = word & TAG_MASK;
    if (tag == TAG_BORROWED)
        *flags |= PH_REF_BORROWED;
    return tag <= TAG_BORROWED ? word & ~(ph_addr)TAG_MASK : 0;
}

/* The code object of an interpreter frame. */
static ph_addr iframe_code(const struct ph_python *python, ph_addr frame)
{
    unsigned flags = 0;
    return slot_target(python, ph_python_word(python, frame, python->layout.iframe.code), &flags);
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
        code = iframe_code(python, address);
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

/* How many words lie from `base` to `top`; -1 where that makes no sense. */
static int64_t words_between(const struct ph_python *python, ph_addr base, ph_addr top)
{
    return top && top >= base ? (int64_t)((top - base) / ph_word_bytes(python)) : -1;
}

/* How many evaluation stack slots are in use; *known is false while the frame runs and nothing
 * tells: then all of them may be. */
static uint64_t stack_depth(struct ph_objects *objects, const struct ph_frame *frame, bool *known)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    int64_t depth = -1;
    if (ph_has(L->iframe.stackpointer)) {
        ph_addr base = frame->address + (uint64_t)L->iframe.localsplus +
                       frame->code.locals * ph_word_bytes(python);
        depth = words_between(python, base,
                              ph_python_word(python, frame->address, L->iframe.stackpointer));
    } else if (!frames_are_objects(objects)) {
        int32_t top = (int32_t)ph_python_u32(python, frame->address, L->iframe.stacktop);
        depth = top >= 0 ? top - (int64_t)frame->code.locals : -1;
    } else if (ph_has(L->frame.f_stackdepth)) {
        depth = (int32_t)ph_python_u32(python, frame->address, L->frame.f_stackdepth);
    } else {
        ph_addr top = ph_python_word(python, frame->address, L->frame.f_stacktop);
        ph_addr base = ph_python_word(python, frame->address, L->frame.f_valuestack);
        depth = words_between(python, base, top);
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
        unsigned flags = PH_REF_STRONG;
        ph_addr value = slot_target(python, ph_load_ptr(python, slots + i * word), &flags);
        if (i >= locals) {
            ph_visit(v, value, PH_LABEL_STACK, i - locals,
                     known ? flags : flags | PH_REF_GUESS | PH_REF_STALE);
            continue;
        }
        bool is_cell = false;
        ph_addr name = value ? ph_code_slot_name(objects, &frame->code, i, &is_cell) : 0;
        ph_visit(v, value, is_cell ? PH_LABEL_CELL : PH_LABEL_LOCAL, name, flags);
    }
}

static void slot_field_ref(const struct ph_python *python, ph_addr frame, int32_t offset,
                           const char *label, const struct ph_visitor *v)
{
    unsigned flags = PH_REF_STRONG;
    ph_addr value = slot_target(python, ph_python_word(python, frame, offset), &flags);
    ph_visit(v, value, PH_LABEL_FIELD, (uint64_t)(uintptr_t)label, flags);
}

/* The fields of an interpreter frame; globals and builtins are borrowed from the function
 * (pycore_frame.h). */
static void iframe_field_refs(struct ph_objects *objects, ph_addr frame, const struct ph_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    slot_field_ref(python, frame, L->iframe.code, "f_code", v);
    slot_field_ref(python, frame, L->iframe.func, "f_func", v);
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

/* ---- where a frame is ---- */

/* Where in its bytecode the frame is, in bytes; negative before it has begun. From 3.13 on it is
 * at this instruction or about to begin it, before that it has begun it. */
static int64_t instruction_offset(struct ph_objects *objects, const struct ph_frame *frame)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    if (!frames_are_objects(objects)) {
        ph_addr instruction = ph_python_word(python, frame->address, L->iframe.instr);
        return (int64_t)(instruction - ph_code_first_instruction(objects, frame->code.address));
    }
    int64_t offset = (int32_t)ph_python_u32(python, frame->address, L->frame.f_lasti);
    /* f_lasti counts instructions in 3.10, bytes before. */
    return L->version >= 0x030a0000 ? offset * UNIT : offset;
}

int64_t ph_frame_line(struct ph_objects *objects, const struct ph_frame *frame)
{
    return frame->has_code
               ? ph_code_line(objects, frame->code.address, instruction_offset(objects, frame))
               : 0;
}

/* Whether the frame still makes its cells and takes over its free variables, so that Python does
 * not show it. */
static bool has_not_begun(struct ph_objects *objects, const struct ph_frame *frame)
{
    const struct ph_python *python = objects->python;
    int32_t field = python->layout.code._co_firsttraceable;
    if (!ph_has(field) || frame->owner == PH_FRAME_OWNED_BY_GENERATOR)
        return false;
    int64_t first = (int32_t)ph_python_u32(python, frame->code.address, field) * (int64_t)UNIT;
    int64_t offset = instruction_offset(objects, frame);
    return offset >= -UNIT && offset < first;
}

struct ph_stack ph_stack_of(ph_addr top)
{
    return (struct ph_stack){top, MAX_FRAMES};
}

bool ph_stack_next(struct ph_objects *objects, struct ph_stack *stack, struct ph_frame *out)
{
    while (stack->at && stack->left && ph_frame_open(objects, stack->at, out)) {
        stack->left--;
        stack->at = out->previous;
        if (out->has_code && out->owner < PH_FRAME_OWNED_BY_C_STACK && !has_not_begun(objects, out))
            return true;
    }
    return false;
}

bool ph_frame_is_generators(const struct ph_objects *objects, const struct ph_frame *frame)
{
    const struct ph_python *python = objects->python;
    return frame->has_code &&
           ph_python_u32(python, frame->code.address, python->layout.code.co_flags) & CO_GENERATORS;
}

ph_addr ph_frame_locals_dict(struct ph_objects *objects, const struct ph_frame *frame)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    if (!frame->has_code ||
        (ph_python_u32(python, frame->code.address, L->code.co_flags) & CO_OPTIMIZED))
        return 0;
    int32_t field = frames_are_objects(objects) ? L->frame.f_locals : L->iframe.locals;
    return ph_python_word(python, frame->address, field);
}

void ph_frame_function(struct ph_objects *objects, const struct ph_frame *frame, struct ph_str *out)
{
    const struct ph_layout *L = &objects->python->layout;
    int32_t name = ph_has(L->code.co_qualname) ? L->code.co_qualname : L->code.co_name;
    if (!ph_str_object_text(objects, ph_python_word(objects->python, frame->code.address, name),
                            MAX_NAME, out))
        ph_str_append(out, "?");
}

void ph_frame_file(struct ph_objects *objects, const struct ph_frame *frame, struct ph_str *out)
{
    const struct ph_python *python = objects->python;
    ph_addr file = ph_python_word(python, frame->code.address, python->layout.code.co_filename);
    if (!ph_str_object_text(objects, file, MAX_PATH, out))
        ph_str_append(out, "?");
}

void ph_frame_describe(struct ph_objects *objects, const struct ph_frame *frame, struct ph_str *out)
{
    if (!frame->has_code) {
        ph_str_append(out, "C code");
        return;
    }
    ph_frame_function(objects, frame, out);
    ph_str_append(out, " (");
    ph_frame_file(objects, frame, out);
    ph_str_appendf(out, ":%" PRId64 ")", ph_frame_line(objects, frame));
}

/* ---- objects that have a frame ---- */

/* gi_frame_state in each version from 3.11 on (Include/internal/pycore_frame.h): created is the
 * least, then come the suspended ones, executing, and what has finished. */
struct generator_states {
    uint32_t version; /* from which on */
    int8_t created;
    int8_t delegating; /* suspended in `await` or `yield from`, up to executing */
    int8_t executing;
    uint8_t above; /* stack slots above what it waits for: in 3.15 the index of an iteration */
};
static const struct generator_states generator_states[] = {
    {0x030f0000, 0, 2, 4, 1},
    {0x030d0000, -3, -1, 0, 0},
    {0x030b0000, -2, 0, 0, 0}, /* the instruction tells who delegates */
};

static const struct generator_states *states_of(const struct ph_objects *objects)
{
    const struct generator_states *states = generator_states;
    while (objects->python->layout.version < states->version)
        states++;
    return states;
}

/* Of a generator to 3.10, which has a frame object while it has not finished. */
static enum ph_generator_state old_generator_state(struct ph_objects *objects,
                                                   const struct ph_object *o)
{
    enum { CREATED = -2, SUSPENDED = -1, EXECUTING = 0 }; /* f_state (3.10) */
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    ph_addr frame = ph_object_ptr(objects, o, L->gen.gi_frame);
    if (!frame)
        return PH_GENERATOR_FINISHED;
    if (ph_has(L->frame.f_state)) {
        uint8_t byte = 0;
        ph_target_u8(python->target, frame + (uint64_t)L->frame.f_state, &byte);
        int8_t state = (int8_t)byte;
        return state == CREATED     ? PH_GENERATOR_CREATED
               : state == SUSPENDED ? PH_GENERATOR_SUSPENDED
               : state == EXECUTING ? PH_GENERATOR_RUNNING
                                    : PH_GENERATOR_FINISHED;
    }
    if (o->at[L->gen.gi_running])
        return PH_GENERATOR_RUNNING;
    bool has_begun = (int32_t)ph_python_u32(python, frame, L->frame.f_lasti) >= 0;
    return has_begun ? PH_GENERATOR_SUSPENDED : PH_GENERATOR_CREATED;
}

enum ph_generator_state ph_generator_state(struct ph_objects *objects, const struct ph_object *o)
{
    if (frames_are_objects(objects))
        return old_generator_state(objects, o);
    const struct generator_states *states = states_of(objects);
    int8_t state = (int8_t)o->at[objects->python->layout.gen.gi_frame_state];
    return state > states->executing    ? PH_GENERATOR_FINISHED
           : state == states->executing ? PH_GENERATOR_RUNNING
           : state > states->created    ? PH_GENERATOR_SUSPENDED
                                        : PH_GENERATOR_CREATED;
}

/* The interpreter frame of a generator, coroutine or async generator that has not finished (3.11+).
 */
static ph_addr generator_iframe(struct ph_objects *objects, const struct ph_object *o)
{
    return ph_generator_state(objects, o) == PH_GENERATOR_FINISHED
               ? 0
               : o->address + (uint64_t)objects->python->layout.gen.gi_iframe;
}

/* Where the bytecode is, in an object of its own to 3.10. */
static ph_addr bytecode(const struct ph_objects *objects, ph_addr code)
{
    const struct ph_layout *L = &objects->python->layout;
    if (L->traits.code_object == PH_CODE_OBJECT_INLINE)
        return ph_code_first_instruction(objects, code);
    return ph_python_word(objects->python, code, L->code.co_code) + (uint64_t)L->bytes.ob_sval;
}

/* Whether the instruction that a suspended frame goes on with is that of `await` or `yield from`:
 * to 3.12, from when on the state tells (Include/opcode.h). */
static bool goes_on_awaiting(struct ph_objects *objects, const struct ph_frame *frame)
{
    enum {
        YIELD_FROM = 72,      /* 3.6 to 3.10 */
        RESUME = 151,         /* 3.11 and 3.12: with an argument that says after what */
        RESUME_QUICK = 150,   /* 3.11, of hot code */
        AFTER_YIELD_FROM = 2, /* the argument; 3 after `await` */
    };
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    ph_addr at = bytecode(objects, frame->code.address) +
                 (uint64_t)(instruction_offset(objects, frame) + UNIT);
    const uint8_t *next = ph_target_view(python->target, at, UNIT);
    if (!next || L->version < 0x03060000)
        return false;
    if (L->version < 0x030b0000)
        return next[0] == YIELD_FROM;
    bool resumes = next[0] == RESUME || (next[0] == RESUME_QUICK && L->version < 0x030c0000);
    return resumes && next[1] >= AFTER_YIELD_FROM;
}

ph_addr ph_generator_awaits(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    struct ph_frame frame;
    bool known;
    if (ph_generator_state(objects, o) != PH_GENERATOR_SUSPENDED ||
        !ph_object_frame(objects, o, &frame) || !frame.has_code)
        return 0;
    const struct generator_states *states = L->version >= 0x030d0000 ? states_of(objects) : NULL;
    bool awaits = states ? (int8_t)o->at[L->gen.gi_frame_state] >= states->delegating
                         : goes_on_awaiting(objects, &frame);
    uint64_t above = states ? states->above : 0;
    uint64_t depth = awaits ? stack_depth(objects, &frame, &known) : 0;
    if (depth <= above || !known)
        return 0;
    int32_t slots = frames_are_objects(objects) ? L->frame.f_localsplus : L->iframe.localsplus;
    uint64_t slot = (frame.code.locals + depth - above - 1) * ph_word_bytes(python);
    unsigned flags = 0;
    return slot_target(python, ph_python_word(python, frame.address, slots + (int64_t)slot),
                       &flags);
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
    if (ph_code_open(objects, iframe_code(objects->python, iframe), &code))
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
                                            PH_REF_NOTE("overwritten locals", frame,
                                                        f_overwritten_fast_locals),
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
    if (frames_are_objects(objects))
        return;
    if (ph_object_frame(objects, o, &frame))
        ph_frame_refs(objects, &frame, v);
    else if (!ph_has(L->gen.gi_code)) /* from 3.12 on a finished one keeps its code in the frame */
        slot_field_ref(objects->python, o->address + (uint64_t)L->gen.gi_iframe, L->iframe.code,
                       "f_code", v);
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
        ph_addr name =
            ph_has(L->gen.gi_qualname)
                ? ph_object_ptr(objects, o, L->gen.gi_qualname)
                : ph_python_word(objects->python, ph_object_ptr(objects, o, L->gen.gi_code),
                                 L->code.co_name);
        ph_str_object_text(objects, name, max_chars, out);
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
