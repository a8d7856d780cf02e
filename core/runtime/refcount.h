/*
 * What the head of an object says of the references to it, however the version counts them.
 */
#ifndef PH_RUNTIME_REFCOUNT_H
#define PH_RUNTIME_REFCOUNT_H

#include "runtime/python.h"

struct ph_refcount {
    int64_t count; /* of references, as the object's owners took them */
    bool immortal; /* nobody counts, and `count` is of no use */
    bool clean;    /* the words hold that and nothing else: garbage hardly ever does */
};

/* `head` is plain memory: layout.object.size bytes of it. */
struct ph_refcount ph_refcount_read(const struct ph_python *python, const uint8_t *head);

#endif
