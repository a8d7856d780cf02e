/*
 * Python frames: of running threads, of frame objects, and of suspended generators and coroutines.
 *
 * Up to 3.10 a frame is an object. From 3.11 on a frame is a struct on the thread's data stack, in
 * a generator, or in a frame object that has taken it over (Include/internal/pycore_frame.h).
 */
#ifndef PH_OBJECTS_FRAME_H
#define PH_OBJECTS_FRAME_H

#include "objects/code.h"

enum ph_frame_owner { /* 3.11+: _frameowner; all of to 3.10 count as OBJECT */
                      PH_FRAME_OWNED_BY_THREAD = 0,
                      PH_FRAME_OWNED_BY_GENERATOR = 1,
                      PH_FRAME_OWNED_BY_OBJECT = 2,
                      PH_FRAME_OWNED_BY_C_STACK = 3, /* and 4 in 3.14 */
};

struct ph_frame {
    ph_addr address; /* of the frame object (to 3.10) or of the interpreter frame */
    enum ph_frame_owner owner;
    ph_addr previous; /* the caller's frame; 0 at the end */
    struct ph_code code;
    bool has_code; /* false for the shims between C and Python */
};

/* Read one frame. False where it is unreadable. */
bool ph_frame_open(struct ph_objects *objects, ph_addr address, struct ph_frame *out);
/* The innermost frame of a thread; 0 where it runs no Python. */
ph_addr ph_thread_top_frame(const struct ph_objects *objects,
                            const struct ph_python_thread *thread);
/* A walk over the frames that Python shows of a stack (traceback.extract_stack), innermost first:
 *
 *     struct ph_stack stack = ph_stack_of(top);
 *     while (ph_stack_next(objects, &stack, &frame))
 *         use(&frame);
 *
 * Shims between C and Python, and frames that have not begun yet, are passed over
 * (_PyFrame_IsIncomplete() in Include/internal/pycore_frame.h). */
struct ph_stack {
    ph_addr at;    /* the next frame; once the walk is over, not 0 where the rest is unreadable */
    uint32_t left; /* how many more are believed, for a damaged chain may be a ring */
};
struct ph_stack ph_stack_of(ph_addr top);
bool ph_stack_next(struct ph_objects *objects, struct ph_stack *stack, struct ph_frame *out);

/* What the frame holds: locals, stack, function, code. */
void ph_frame_refs(struct ph_objects *objects, const struct ph_frame *frame,
                   const struct ph_visitor *v);
/* The frame in a frame object, generator, coroutine or async generator; false for any other object
 * and for one that has finished. */
bool ph_object_frame(struct ph_objects *objects, const struct ph_object *o, struct ph_frame *out);
/* How far a generator, coroutine or async generator has come. */
enum ph_generator_state {
    PH_GENERATOR_CREATED, /* not begun */
    PH_GENERATOR_SUSPENDED,
    PH_GENERATOR_RUNNING,
    PH_GENERATOR_FINISHED,
};
enum ph_generator_state ph_generator_state(struct ph_objects *objects, const struct ph_object *o);
/* What a suspended one waits for by `await` or `yield from`: its cr_await, ag_await or gi_yieldfrom
 * (_PyGen_yf() in Objects/genobject.c). 0 where it waits for nobody. */
ph_addr ph_generator_awaits(struct ph_objects *objects, const struct ph_object *o);
/* Append the name of the frame's function, qualified where the version keeps that (3.11+), and its
 * file. */
void ph_frame_function(struct ph_objects *objects, const struct ph_frame *frame,
                       struct ph_str *out);
void ph_frame_file(struct ph_objects *objects, const struct ph_frame *frame, struct ph_str *out);
/* Append "handler (app.py:12)". */
void ph_frame_describe(struct ph_objects *objects, const struct ph_frame *frame,
                       struct ph_str *out);
/* Whether the code is that of a generator, coroutine or async generator, which owns its frame. */
bool ph_frame_is_generators(const struct ph_objects *objects, const struct ph_frame *frame);
/* The dict that stands for the locals of a module's or a class's body (f_locals); 0 for a frame of
 * a function, whose locals are slots. */
ph_addr ph_frame_locals_dict(struct ph_objects *objects, const struct ph_frame *frame);
/* The line that the frame is at; 0 where unknown. */
int64_t ph_frame_line(struct ph_objects *objects, const struct ph_frame *frame);

#endif
