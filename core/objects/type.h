/* The parts of the family of type objects, for metatypes in C that add to it. */
#ifndef PH_OBJECTS_TYPE_H
#define PH_OBJECTS_TYPE_H

#include "objects/object.h"

uint64_t ph_type_size(struct ph_objects *objects, const struct ph_object *o);
void ph_type_refs(struct ph_objects *objects, const struct ph_object *o,
                  const struct ph_visitor *v);
void ph_type_buffers(struct ph_objects *objects, const struct ph_object *o,
                     const struct ph_buffer_visitor *v);
void ph_type_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                     struct ph_str *out);

#endif
