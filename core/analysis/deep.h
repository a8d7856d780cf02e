/*
 * Deep size: an object and all that it reaches by strong references, each object once. Modules,
 * types, functions and code are neither counted nor walked into, unless one is the object asked
 * for: what a program is made of is no part of its data.
 */
#ifndef PH_ANALYSIS_DEEP_H
#define PH_ANALYSIS_DEEP_H

#include "analysis/histogram.h"

/* What object id reaches, itself included, by type; total.bytes is the deep size. Linear in what is
 * reached. */
enum ph_status ph_deep_measure(struct ph_heap *heap, uint32_t id, const struct ph_host *host,
                               struct ph_histogram *out, struct ph_error *err) PH_MUST_USE;

#endif
