/*
 * A table of objects, page by page, as `list` and `find` write it: their common options are sorting
 * (ph_object_sort_keys), --limit, --offset, --addresses and --length.
 */
#ifndef PH_COMMAND_OBJECTS_H
#define PH_COMMAND_OBJECTS_H

#include "analysis/matches.h"
#include "command/session.h"

extern const char *const ph_object_sort_keys[];

/* "matched" and "objects": the page of the matches that the line asks for. Takes the matches over,
 * whatever becomes of it; `none` is the line for no matches at all. */
enum ph_status ph_doc_objects(struct ph_doc *doc, struct ph_heap *heap, struct ph_matches *matches,
                              const struct ph_invocation *inv, const char *none,
                              struct ph_error *err) PH_MUST_USE;

#endif
