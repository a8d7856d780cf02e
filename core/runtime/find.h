/*
 * Where in the target an interpreter's state may be: every anchor that there is, which is
 * _PyRuntime, or to 3.6 _PyGC_generation0. Several libraries may hold one, of which some were never
 * started.
 */
#ifndef PH_RUNTIME_FIND_H
#define PH_RUNTIME_FIND_H

#include "base/array.h"
#include "target/target.h"

struct ph_anchors PH_ARRAY_BODY(ph_addr);

/* Add the address of each anchor, the executable's first, then in the order of addresses: by
 * its symbol, else by the section .PyRuntime (3.10+), which `strip` leaves. Where no module has
 * either, for all symbols are hidden: in the modules' data, by the word that it begins with
 * (3.13+), then by what it leads to. False: out of memory. */
bool ph_anchors_find(struct ph_target *target, struct ph_anchors *out);

/* Whether the debug offsets of 3.13 and later begin here; *version_hex is what they say. */
bool ph_runtime_has_cookie(struct ph_target *target, ph_addr address, uint32_t *version_hex);

#endif
