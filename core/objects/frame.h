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
/* What the frame holds: locals, stack, function, code. */
void ph_frame_refs(struct ph_objects *objects, const struct ph_frame *frame,
                   const struct ph_visitor *v);
/* The frame in a frame object, generator, coroutine or async generator; false for any other object
 * and for one that has finished. */
bool ph_object_frame(struct ph_objects *objects, const struct ph_object *o, struct ph_frame *out);
/* Append "handler (app.py:12)". */
void ph_frame_describe(struct ph_objects *objects, const struct ph_frame *frame,
                       struct ph_str *out);
/* The line that the frame is at; 0 where unknown. */
int64_t ph_frame_line(struct ph_objects *objects, const struct ph_frame *frame);

#endif
