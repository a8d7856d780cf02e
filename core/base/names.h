/*
 * Texts that are kept once and go by a number: names of types, of files, of holders.
 *
 *     struct ph_names names = {0};
 *     uint32_t id;
 *     if (!ph_names_id(&names, "dict", &id))
 *         return PH_NO_MEMORY;
 *     puts(names.items[id]);
 *     ph_names_free(&names);
 *
 * Numbers ascend from 0 in the order of first use. Zero-initialised is empty.
 */
#ifndef PH_BASE_NAMES_H
#define PH_BASE_NAMES_H

#include "base/arena.h"
#include "base/array.h"
#include "base/map.h"

struct ph_names {
    const char **items; /* in arena */
    uint32_t count, capacity;
    struct ph_map places; /* hash of the text, or the next free number -> id */
    struct ph_arena arena;
};

/* The number of a text, which is copied at its first use; false when out of memory. */
bool ph_names_id(struct ph_names *names, const char *text, uint32_t *id);
void ph_names_free(struct ph_names *names);

#endif
