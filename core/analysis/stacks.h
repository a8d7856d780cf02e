/* Threads and frames as Python knows them: names in `threading`, what each thread is about, and the
 * locals of a frame as f_locals shows them. */
#ifndef PH_ANALYSIS_STACKS_H
#define PH_ANALYSIS_STACKS_H

#include "heap/heap.h"
#include "objects/frame.h"

enum ph_thread_state {
    PH_THREAD_UNKNOWN,    /* to 3.6, in a module without symbols */
    PH_THREAD_ATTACHED,   /* holds the GIL; free-threaded: runs Python or may */
    PH_THREAD_COLLECTING, /* the same, while its interpreter's collector works */
    PH_THREAD_WAITING,    /* for the GIL */
    PH_THREAD_BLOCKED,    /* has let the GIL go, and waits in a system call */
    PH_THREAD_OUTSIDE,    /* has let the GIL go, and runs C code */
    PH_THREAD_DETACHED,   /* does not hold the GIL, and nothing tells more */
};

/* To 3.14 a thread that waits for the GIL is told by the futex at which the kernel keeps it, which
 * is then in the GIL's struct (Python/ceval_gil.c: take_gil(), drop_gil(); glibc's condition
 * variables and mutexes have their futexes in themselves). */

enum ph_thread_state ph_thread_state(const struct ph_python *python,
                                     const struct ph_python_thread *thread);

/* Append the thread's name in `threading`; false where it is not known there: threading was never
 * imported, or C code made the thread. (threading._active; Lib/threading.py) */
bool ph_thread_name(struct ph_objects *objects, const struct ph_python_thread *thread,
                    struct ph_str *out);

struct ph_local {
    ph_addr name; /* a str; 0 where it has none */
    ph_addr value;
};
struct ph_locals PH_ARRAY_BODY(struct ph_local);

/* Append the locals that are set, cells opened: of a function's frame in the order of its slots, of
 * a module's or class's body in that of its dict. False when out of memory. */
bool ph_frame_locals(struct ph_objects *objects, const struct ph_frame *frame,
                     struct ph_locals *out) PH_MUST_USE;

#endif
