/* What tells an object from another one that came to lie at its address. */
#ifndef PH_ANALYSIS_IDENTITY_H
#define PH_ANALYSIS_IDENTITY_H

#include "heap/heap.h"

/* A hash of the value of an object that cannot change: an int, float, complex, str, bytes or tuple
 * (of a tuple, which objects it holds), not of a subclass, and at most its first bytes; never 0 for
 * those. 0 for all others, for whatever can change tells nothing. */
uint32_t ph_object_identity(struct ph_heap *heap, uint32_t id, unsigned bits);

#endif
