/* Lists, dicts, sets, bytearrays and deques: with more room than they need, or without items. */
#include "analysis/waste_internal.h"

#include "objects/dict.h"
#include "objects/set.h"

enum container { NONE, LIST, DICT, FROZEN_DICT, SET, FROZEN_SET, BYTEARRAY, DEQUE };

static enum container container_of(const struct ph_type *type)
{
    const struct ph_family *family = type->family;
    bool frozen = type->described && strncmp(type->described->name, "frozen", 6) == 0;
    if (ph_type_is_dict(type))
        return frozen ? FROZEN_DICT : DICT;
    return family == &ph_family_set         ? (frozen ? FROZEN_SET : SET)
           : family == &ph_family_list      ? LIST
           : family == &ph_family_bytearray ? BYTEARRAY
           : family == &ph_family_deque     ? DEQUE
                                            : NONE;
}

/* What is in it and what there is room for, and what the room costs. */
struct room {
    int64_t items; /* as the object says */
    uint64_t capacity;
    uint64_t spare_bytes; /* of room for nothing */
};

static struct room list_room(const struct ph_objects *objects, const struct ph_object *o)
{
    struct room r = {
        .items = ph_object_var_size(objects, o),
        .capacity = ph_object_count(objects, o, objects->python->layout.list.allocated),
    };
    if (r.items >= 0 && (uint64_t)r.items <= r.capacity)
        r.spare_bytes = (r.capacity - (uint64_t)r.items) * ph_word_bytes(objects->python);
    return r;
}

/* To 3.14 ob_alloc counts the NUL behind the bytes; an empty one may have none. */
static struct room bytearray_room(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    struct room r = {
        .items = ph_object_var_size(objects, o),
        .capacity = ph_object_count(objects, o, L->bytearray.ob_alloc),
    };
    uint64_t nul = ph_has(L->bytearray.ob_bytes_object) ? 0 : 1;
    if (r.items > 0 && (uint64_t)r.items + nul <= r.capacity)
        r.spare_bytes = r.capacity - (uint64_t)r.items - nul;
    return r;
}

static struct room dict_room(struct ph_objects *objects, const struct ph_object *o)
{
    struct ph_dict d;
    struct room r = {.items = (int64_t)ph_dict_used(objects, o)};
    if (!ph_dict_open(objects, o, &d)) {
        r.items = -1;
        return r;
    }
    r.capacity = d.capacity;
    /* What is shared is not this dict's to shrink. */
    if (d.values || d.keys_refcount != 1 || r.items == 0 || (uint64_t)r.items > d.entry_count)
        return r;
    uint64_t smallest = ph_dict_smallest_table(objects, &d, (uint64_t)r.items);
    r.spare_bytes = d.keys_bytes > smallest ? d.keys_bytes - smallest : 0;
    return r;
}

static struct room set_room(const struct ph_objects *objects, const struct ph_object *o)
{
    struct room r = {.items = ph_object_ssize(objects, o, objects->python->layout.set.used)};
    struct ph_set set;
    if (!ph_set_open(objects, o, &set)) {
        r.items = -1;
        return r;
    }
    r.capacity = set.slots;
    if (r.items <= 0 || (uint64_t)r.items > set.slots)
        return r;
    uint64_t now = ph_set_table_bytes(objects, o);
    uint64_t copy = ph_set_copied_table_bytes(objects, (uint64_t)r.items);
    r.spare_bytes = now > copy ? now - copy : 0;
    return r;
}

static struct room deque_room(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    struct room r = {.capacity = UINT64_MAX};
    r.items = ph_object_ssize(objects, o, ph_has(L->deque.len) ? L->deque.len : L->var.ob_size);
    return r;
}

static struct room room_of(struct ph_objects *objects, const struct ph_object *o,
                           enum container container, enum ph_waste_kind *kind)
{
    switch (container) {
    case LIST:
        *kind = PH_WASTE_LISTS;
        return list_room(objects, o);
    case DICT:
    case FROZEN_DICT:
        *kind = PH_WASTE_DICTS;
        return dict_room(objects, o);
    case SET:
    case FROZEN_SET:
        *kind = PH_WASTE_SETS;
        return set_room(objects, o);
    case BYTEARRAY:
        *kind = PH_WASTE_BYTEARRAYS;
        return bytearray_room(objects, o);
    case DEQUE:
    case NONE:
        break;
    }
    *kind = PH_WASTE_EMPTY; /* deques have no more room than they need */
    return deque_room(objects, o);
}

static bool look_at(struct ph_waste_search *s, uint32_t id, enum container container,
                    uint64_t bytes)
{
    struct ph_object o;
    enum ph_waste_kind kind;
    if (!ph_heap_open(s->heap, id, &o))
        return true;
    struct room r = room_of(&s->heap->objects, &o, container, &kind);
    if (r.items < 0 || (uint64_t)r.items > r.capacity) {
        s->waste->damaged++;
        return true;
    }
    if (r.items == 0) {
        kind = PH_WASTE_EMPTY;
        r.spare_bytes = container == FROZEN_DICT || container == FROZEN_SET ? 0 : bytes;
    }
    return !r.spare_bytes || ph_waste_add(s, kind, (struct ph_wasteful){id, 1, r.spare_bytes});
}

enum ph_status ph_waste_containers(struct ph_waste_search *s)
{
    uint32_t type_count = s->heap->objects.types.count;
    uint8_t *containers = ph_malloc(type_count + 1u);
    enum ph_status status = containers ? PH_OK : PH_NO_MEMORY;
    for (uint32_t t = 0; t < type_count && !status; t++)
        containers[t] = (uint8_t)container_of(s->heap->objects.types.items[t]);
    for (uint32_t id = 0; id < s->heap->count && !status; id++) {
        uint64_t bytes;
        enum container container = containers[s->heap->type_ids[id]];
        if (ph_waste_interrupted(s, id))
            status = PH_INTERRUPTED;
        else if (container && !s->counted[id] &&
                 ph_filter_accepts(s->heap, s->filter, s->types, id, &bytes) &&
                 !look_at(s, id, container, bytes))
            status = PH_NO_MEMORY;
    }
    free(containers);
    return status;
}
