/*
 * Which CPython is this: the exact version, from what the target itself says.
 */
#ifndef PH_RUNTIME_VERSION_H
#define PH_RUNTIME_VERSION_H

#include "target/target.h"

/* PY_VERSION_HEX of the interpreter whose _PyRuntime is at `anchor`, or up to 3.6 any variable of
 * its; 0 where the target does not tell. Asks in order: the debug
 * offsets at the head of _PyRuntime (3.13+, Include/internal/pycore_debug_offsets.h), the constant
 * Py_Version (3.11+, Include/cpython/pylifecycle.h), and the buffer of Py_GetVersion(), which is
 * filled when sys.version is made (Python/getversion.c). */
uint32_t ph_version_read(struct ph_target *target, ph_addr anchor);

/* The other way round: parse "3.9.18" or "3.13.0rc1" at the start of text; 0 where it is no
 * version. */
uint32_t ph_version_parse(const char *text, size_t len);

/* "3.11.7", "3.13.0rc1". Returns buf. */
const char *ph_version_format(char buf[32], uint32_t version_hex);

#endif
