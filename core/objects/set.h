/*
 * Reading the table of a set or frozenset (Objects/setobject.c), of every version.
 *
 *     struct ph_set set;
 *     if (ph_set_open(objects, &object, &set))
 *         for (uint64_t i = 0; i < set.slots; i++)
 *             if ((key = ph_set_key(&set, i)) && !ph_set_is_deleted(objects, &set, i))
 *                 use(key);
 */
#ifndef PH_OBJECTS_SET_H
#define PH_OBJECTS_SET_H

#include "objects/object.h"

struct ph_set {
    const struct ph_python *python;
    const uint8_t *table; /* borrowed from the target */
    uint64_t slots, stride;
};

/* Open the table of a set, or of an instance of a subclass. False where it makes no sense. */
bool ph_set_open(const struct ph_objects *objects, const struct ph_object *o, struct ph_set *out);

static inline const uint8_t *ph_set_entry(const struct ph_set *set, uint64_t i)
{
    return set->table + i * set->stride;
}
/* What slot i holds: 0 where it was never used; a dummy where it was deleted. */
static inline ph_addr ph_set_key(const struct ph_set *set, uint64_t i)
{
    return ph_load_ptr(set->python, ph_set_entry(set, i) + set->python->layout.set_entry.key);
}
static inline uint64_t ph_set_hash(const struct ph_set *set, uint64_t i)
{
    return ph_load_ptr(set->python, ph_set_entry(set, i) + set->python->layout.set_entry.hash);
}
/* Bytes of the table where it lies outside the set, as sys.getsizeof counts it; else 0. */
uint64_t ph_set_table_bytes(const struct ph_objects *objects, const struct ph_object *o);
/* The same of a copy of a set of so many items. */
uint64_t ph_set_copied_table_bytes(const struct ph_objects *objects, uint64_t items);
/* Whether slot i holds what a deletion left: in 2.7 one str, of which each deleted slot has a
 * reference. An equal str that was put in is no such, for its slot has its own hash. */
bool ph_set_is_deleted(struct ph_objects *objects, const struct ph_set *set, uint64_t i);

#endif
