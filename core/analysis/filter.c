#include "analysis/filter.h"

#include <fnmatch.h>

static const char *const scope_names[] = {
    [PH_SCOPE_ALL] = "all",
    [PH_SCOPE_TRACKED] = "tracked",
    [PH_SCOPE_REACHABLE] = "reachable",
    [PH_SCOPE_UNREACHABLE] = "unreachable",
};

bool ph_scope_parse(const char *word, enum ph_scope *scope)
{
    for (size_t i = 0; i < sizeof scope_names / sizeof *scope_names; i++) {
        if (strcmp(word, scope_names[i]) == 0) {
            *scope = (enum ph_scope)i;
            return true;
        }
    }
    return false;
}

const char *ph_scope_name(enum ph_scope scope)
{
    return scope_names[scope];
}

bool ph_type_matches(const struct ph_type *type, const char *glob)
{
    return strcmp(type->name, glob) == 0 || fnmatch(glob, type->name, 0) == 0;
}

bool ph_filter_takes_all(const struct ph_filter *filter)
{
    return filter->scope == PH_SCOPE_ALL && !filter->type_glob && filter->generation < 0 &&
           filter->min_bytes == 0 && filter->max_bytes == UINT64_MAX;
}

uint8_t *ph_filter_types(const struct ph_heap *heap, const struct ph_filter *filter)
{
    uint32_t count = heap->objects.types.count;
    uint8_t *types = ph_malloc(count ? count : 1);
    for (uint32_t i = 0; types && i < count; i++)
        types[i] =
            !filter->type_glob || ph_type_matches(heap->objects.types.items[i], filter->type_glob);
    return types;
}

static bool in_scope(enum ph_scope scope, uint8_t flags)
{
    switch (scope) {
    case PH_SCOPE_TRACKED:
        return (flags & PH_OBJECT_TRACKED) && ph_flags_generation(flags) != PH_GEN_PERMANENT;
    case PH_SCOPE_REACHABLE:
        return flags & PH_OBJECT_REACHABLE;
    case PH_SCOPE_UNREACHABLE:
        return !(flags & PH_OBJECT_REACHABLE);
    case PH_SCOPE_ALL:
        break;
    }
    return true;
}

bool ph_filter_accepts(struct ph_heap *heap, const struct ph_filter *filter, const uint8_t *types,
                       uint32_t id, uint64_t *bytes)
{
    uint8_t flags = heap->flags[id];
    if (!types[heap->type_ids[id]] || !in_scope(filter->scope, flags))
        return false;
    if (filter->generation >= 0 && ph_flags_generation(flags) != filter->generation)
        return false;
    *bytes = ph_heap_sizeof(heap, id);
    return *bytes >= filter->min_bytes && *bytes <= filter->max_bytes;
}
