#include "base/names.h"

/* FNV-1a; 0 is no key of a map. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash ? hash : 1;
}

bool ph_names_id(struct ph_names *names, const char *text, uint32_t *id)
{
    uint64_t hash = hash_of(text);
    while (ph_map_find(&names->places, hash, id)) {
        if (strcmp(names->items[*id], text) == 0)
            return true;
        hash = hash + 1 ? hash + 1 : 1;
    }
    const char *copy = ph_arena_strdup(&names->arena, text);
    if (!copy || !ph_array_push(names, copy))
        return false;
    *id = names->count - 1;
    if (ph_map_insert(&names->places, hash, *id))
        return true;
    names->count--;
    return false;
}

void ph_names_free(struct ph_names *names)
{
    free(names->items);
    ph_map_free(&names->places);
    ph_arena_free(&names->arena);
    memset(names, 0, sizeof *names);
}
