/* Which objects a command is asked about: by scope, type, generation and size. */
#ifndef PH_ANALYSIS_FILTER_H
#define PH_ANALYSIS_FILTER_H

#include "heap/heap.h"

enum ph_scope {
    PH_SCOPE_ALL,
    PH_SCOPE_TRACKED, /* what gc.get_objects() lists: the three generations, not the permanent one
                       */
    PH_SCOPE_REACHABLE,
    PH_SCOPE_UNREACHABLE,
};

struct ph_filter {
    enum ph_scope scope;
    const char *type_glob;         /* NULL: all types; a name that equals it matches too */
    int generation;                /* -1: any */
    uint64_t min_bytes, max_bytes; /* of sys.getsizeof */
};

#define PH_FILTER_ALL ((struct ph_filter){.generation = -1, .max_bytes = UINT64_MAX})

/* Whether every object passes. */
bool ph_filter_takes_all(const struct ph_filter *filter);

/* "tracked", "reachable", "unreachable", "all"; false for any other word. */
bool ph_scope_parse(const char *word, enum ph_scope *scope);
const char *ph_scope_name(enum ph_scope scope);

/* Whether a type's name matches a glob, or equals it letter by letter. */
bool ph_type_matches(const struct ph_type *type, const char *glob);

/* The types that match, one byte a type id; NULL when out of memory. Freed by the caller. */
uint8_t *ph_filter_types(const struct ph_heap *heap, const struct ph_filter *filter);
/* Whether object id passes, given what ph_filter_types() made. *bytes is its size if it does. */
bool ph_filter_accepts(struct ph_heap *heap, const struct ph_filter *filter, const uint8_t *types,
                       uint32_t id, uint64_t *bytes);

#endif
