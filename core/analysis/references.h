/* Who refers to an object, and to whom it refers, by name. */
#ifndef PH_ANALYSIS_REFERENCES_H
#define PH_ANALYSIS_REFERENCES_H

#include "heap/heap.h"

/* One reference, of an object or of a root. */
struct ph_reference {
    uint32_t source; /* id of the object that holds it; PH_NO_OBJECT for a root */
    uint32_t target; /* id of the object referred to */
    struct ph_label label;
    unsigned flags;      /* enum ph_ref_flags */
    struct ph_root root; /* where source is PH_NO_OBJECT */
};

struct ph_references PH_ARRAY_BODY(struct ph_reference);

/* All references to the objects in `targets`, objects' first (ascending address), then roots'. One
 * pass over the heap. The leftovers that a running frame's stack may hold are given only where an
 * object's reference count shows references that nothing else explains. References of the dict of
 * interned strings to its mortal strings come as weak, for they own no count. */
enum ph_status ph_referrers_find(struct ph_heap *heap, const uint32_t *targets,
                                 uint32_t target_count, const struct ph_host *host,
                                 struct ph_references *out, struct ph_error *err) PH_MUST_USE;
/* All references that object id holds, in the object's own order. */
enum ph_status ph_referents_find(struct ph_heap *heap, uint32_t id, struct ph_references *out,
                                 struct ph_error *err) PH_MUST_USE;
/* How many of these are strong references to this target: counts of its reference count. */
uint64_t ph_references_strong(const struct ph_references *references, uint32_t target);

/* Append "local rows in handler (app.py:12)", "['cache']", "sys.modules": the label with what it
 * belongs to. */
void ph_reference_label(struct ph_heap *heap, const struct ph_reference *reference,
                        struct ph_str *out);
/* "object", "frame" or "root": a local or stack slot of a running or suspended frame is the
 * frame's. */
const char *ph_reference_kind(const struct ph_reference *reference);
/* Address of the holder: object, frame or state. */
ph_addr ph_reference_address(const struct ph_heap *heap, const struct ph_reference *reference);

#endif
