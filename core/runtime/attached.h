/*
 * Which threads may be changing Python's objects at this stop: those attached to their interpreter,
 * which with a GIL is the one that holds it. While none is, all that Python keeps is as it means to
 * leave it.
 */
#ifndef PH_RUNTIME_ATTACHED_H
#define PH_RUNTIME_ATTACHED_H

#include "runtime/python.h"

/* How many threads are attached. Where nothing tells (to 3.6, in a module without symbols), all of
 * them may be. */
uint32_t ph_python_attached_count(const struct ph_python *python);

/* Whether this thread is attached. *known is false where nothing tells. */
bool ph_python_is_attached(const struct ph_python *python, ph_addr tstate, bool *known);

#endif
