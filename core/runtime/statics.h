/*
 * Up to 3.6 there is no _PyRuntime: the list of interpreters and the collector's generations are
 * static variables (Python/pystate.c, Modules/gcmodule.c), of which only _PyGC_generation0 has a
 * symbol that survives `strip`.
 */
#ifndef PH_RUNTIME_STATICS_H
#define PH_RUNTIME_STATICS_H

#include "runtime/python.h"

/* The newest interpreter, head of the list of all; 0 where none is found. Looks for a word in the
 * interpreter's data that points to what is an interpreter by all that this version's table says:
 * its threads point back, its modules, sys.__dict__ and builtins.__dict__ are dicts. */
ph_addr ph_statics_interpreters(const struct ph_python *python);

#endif
