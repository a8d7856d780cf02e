/*
 * Equal values: the objects of one type that have the same text, bytes or number, as groups.
 *
 * Each value is hashed under a key that the target cannot know, the hashes are sorted, and what has
 * one hash is compared byte by byte. It takes 24 bytes of our memory for each such object, however
 * long the values are.
 */
#ifndef PH_ANALYSIS_VALUES_H
#define PH_ANALYSIS_VALUES_H

#include "analysis/filter.h"

struct ph_value_group {
    uint32_t id; /* the object of the group at the lowest address */
    uint32_t count;
    uint64_t bytes;     /* sys.getsizeof of all of them together */
    uint64_t largest;   /* of the largest: equal texts may keep different caches */
    uint64_t allocated; /* 0 where it was not asked for */
};

struct ph_value_groups PH_ARRAY_BODY(struct ph_value_group);

enum ph_value_choice {
    PH_VALUES_ALL = 0,
    PH_VALUES_REPEATED = 1,  /* no groups of one object */
    PH_VALUES_EXACT = 2,     /* no instances of subclasses, which may be told apart */
    PH_VALUES_ALLOCATED = 4, /* with what is allocated */
    PH_VALUES_NO_STATIC = 8, /* nothing that lies in a program's data, where it costs no memory */
};

/* Of str, bytes, int, float and complex objects and their like; a bytearray, which can change, has
 * no value of its own. Numbers are equal where their bits are: 0.0 is not -0.0. The groups are in
 * no order; released with ph_array_free(), on success. O(bytes of the values + n log n). */
enum ph_status ph_values_group(struct ph_heap *heap, const struct ph_filter *filter,
                               unsigned choices, const struct ph_host *host,
                               struct ph_value_groups *out, struct ph_error *err) PH_MUST_USE;

#endif
