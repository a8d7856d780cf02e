#include "base/map.h"

#include "base/array.h"

enum { FIRST_LOG2_SLOTS = 6, LAST_LOG2_SLOTS = 33 };

/* At most 60% full. */
static bool has_room(unsigned log2_slots, uint64_t count)
{
    return count * 5 <= ((uint64_t)1 << log2_slots) * 3;
}

static bool resize(struct ph_map *map, unsigned log2_slots)
{
    struct ph_map larger = {.count = map->count, .log2_slots = log2_slots};
    larger.slots = ph_calloc((size_t)1 << log2_slots, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    size_t at = 0;
    uint64_t key;
    uint32_t value;
    while (ph_map_next(map, &at, &key, &value))
        *ph_map_probe(&larger, key) = (struct ph_map_slot){.key = key, .value = value};
    free(map->slots);
    *map = larger;
    return true;
}

bool ph_map_reserve(struct ph_map *map, uint32_t count)
{
    if (map->slots && has_room(map->log2_slots, count))
        return true;
    unsigned log2_slots = map->slots ? map->log2_slots : FIRST_LOG2_SLOTS;
    while (log2_slots < LAST_LOG2_SLOTS && !has_room(log2_slots, count))
        log2_slots++;
    return resize(map, log2_slots);
}

uint32_t *ph_map_at(struct ph_map *map, uint64_t key, bool *added)
{
    if (!key)
        return NULL;
    struct ph_map_slot *slot = map->slots ? ph_map_probe(map, key) : NULL;
    bool is_new = !slot || !slot->key;
    if (is_new) {
        if (map->count == UINT32_MAX || !ph_map_reserve(map, map->count + 1))
            return NULL;
        slot = ph_map_probe(map, key);
        *slot = (struct ph_map_slot){.key = key};
        map->count++;
    }
    if (added)
        *added = is_new;
    return &slot->value;
}

bool ph_map_insert(struct ph_map *map, uint64_t key, uint32_t value)
{
    uint32_t *at = ph_map_at(map, key, NULL);
    if (at)
        *at = value;
    return at;
}

bool ph_map_next(const struct ph_map *map, size_t *at, uint64_t *key, uint32_t *value)
{
    size_t slot_count = map->slots ? (size_t)1 << map->log2_slots : 0;
    while (*at < slot_count) {
        const struct ph_map_slot *slot = &map->slots[(*at)++];
        if (!slot->key)
            continue;
        if (key)
            *key = slot->key;
        if (value)
            *value = slot->value;
        return true;
    }
    return false;
}

void ph_map_free(struct ph_map *map)
{
    free(map->slots);
    *map = (struct ph_map){0};
}
