/*
 * The interpreter's static data: the writable memory around one of its variables. What has no
 * symbol that survives `strip` is found there by what it holds.
 */
#ifndef PH_RUNTIME_DATA_H
#define PH_RUNTIME_DATA_H

#include "target/target.h"

/* The next part of the data and bss of the module that has `anchor` in its data, and, for nothing
 * says where it ends, of what is writable close to it. *i counts from 0; false at the end. */
bool ph_data_next(struct ph_target *target, ph_addr anchor, size_t *i, ph_addr *start,
                  uint64_t *len);

#endif
