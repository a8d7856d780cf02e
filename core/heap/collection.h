/*
 * The lists of a collection in progress. The collector takes the objects that it works on off the
 * generations' lists and keeps them on lists of its own, whose heads lie on the C stack of the
 * thread that collects (Modules/gcmodule.c, Python/gc.c).
 */
#ifndef PH_HEAP_COLLECTION_H
#define PH_HEAP_COLLECTION_H

#include "runtime/python.h"

struct ph_list_heads PH_ARRAY_BODY(ph_addr);

/* Add the heads of such lists, but for empty ones: places on the stacks in use that a GC header
 * behind them and one before them point back to. Costs a look at each word of these stacks; none
 * where no collector is at work. False: out of memory. */
bool ph_collection_lists(const struct ph_python *python, struct ph_list_heads *out);

/* The first interpreter whose collector is at work, or to 3.6 may be, for its state does not tell;
 * UINT32_MAX where none is. */
uint32_t ph_collection_interpreter(const struct ph_python *python);

#endif
