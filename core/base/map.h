/*
 * A hash map from addresses (any 64-bit key but 0) to 32-bit numbers, such as the ids of objects.
 *
 *     struct ph_map ids = {0};
 *     if (!ph_map_insert(&ids, address, id))
 *         return PH_NO_MEMORY;
 *     uint32_t id;
 *     if (ph_map_find(&ids, address, &id)) ...
 *     for (size_t at = 0; ph_map_next(&ids, &at, &key, &value);) ...
 *     ph_map_free(&ids);
 *
 * Open addressing, a power of two of slots, at most 60% full; 16 bytes a slot, one cache line a
 * look-up. Nothing is ever removed. Zero-initialised is empty. Insertion is amortised O(1); a
 * failed one leaves the map as it was. The order of iteration is that of the hash: sort where order
 * shows.
 */
#ifndef PH_BASE_MAP_H
#define PH_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ph_map_slot {
    uint64_t key; /* 0: free */
    uint32_t value;
};

struct ph_map {
    struct ph_map_slot *slots;
    uint32_t count;
    unsigned log2_slots;
};

/* Private: where the search for a key starts. */
static inline size_t ph_map_start(const struct ph_map *map, uint64_t key)
{
    return (key * 0x9e3779b97f4a7c15u) >> (64 - map->log2_slots);
}

/* Private: the slot that holds the key, or the free one where it belongs. The map is not empty. */
static inline struct ph_map_slot *ph_map_probe(const struct ph_map *map, uint64_t key)
{
    size_t mask = ((size_t)1 << map->log2_slots) - 1;
    size_t at = ph_map_start(map, key);
    while (map->slots[at].key != key && map->slots[at].key)
        at = (at + 1) & mask;
    return &map->slots[at];
}

/* Whether key is there; *value (if not NULL) is untouched where it is not. */
static inline bool ph_map_find(const struct ph_map *map, uint64_t key, uint32_t *value)
{
    if (!map->count || !key)
        return false;
    const struct ph_map_slot *slot = ph_map_probe(map, key);
    if (!slot->key)
        return false;
    if (value)
        *value = slot->value;
    return true;
}

/* The value that belongs to key, added as 0 where it was not there yet (*added, if not NULL, says
 * so). Valid until the next insertion. NULL when out of memory or key is 0. */
uint32_t *ph_map_at(struct ph_map *map, uint64_t key, bool *added);
/* Set key's value, replacing an earlier one. False when out of memory or key is 0. */
bool ph_map_insert(struct ph_map *map, uint64_t key, uint32_t value);
/* Make room for `count` keys in all. */
bool ph_map_reserve(struct ph_map *map, uint32_t count);
/* Step through all pairs: *at starts as 0; false at the end. Each out may be NULL. */
bool ph_map_next(const struct ph_map *map, size_t *at, uint64_t *key, uint32_t *value);
void ph_map_free(struct ph_map *map);

#endif
