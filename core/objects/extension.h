/*
 * Instances of types that a .layout file describes (layout/described.h), and what other families
 * ask of them.
 */
#ifndef PH_OBJECTS_EXTENSION_H
#define PH_OBJECTS_EXTENSION_H

#include "objects/object.h"

/* A number, or an address, that a field of the instance holds; by its path without pointers. False
 * where there is no such field or it cannot be read. */
bool ph_extension_number(const struct ph_objects *objects, const struct ph_object *o,
                         const char *path, int64_t *value);

/* What sys.getsizeof() counts beside the object and its buffers, of a type with a description. */
uint64_t ph_extension_counted(struct ph_objects *objects, const struct ph_object *o);

/* str() of a numpy.dtype: "float64", "<U5", "datetime64[ns]", "[('a', '<i4'), ('b', '<f8')]". */
void ph_numpy_dtype_append(struct ph_objects *objects, const struct ph_object *o,
                           struct ph_str *out);

#endif
