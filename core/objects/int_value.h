/* Reading small int objects. */
#ifndef PH_OBJECTS_INT_VALUE_H
#define PH_OBJECTS_INT_VALUE_H

#include "objects/object.h"

/* The value of the int at this address; false if it is no int, negative, or above 2^60. */
bool ph_int_value(struct ph_objects *objects, ph_addr address, uint64_t *value);

#endif
