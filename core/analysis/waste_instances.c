/* Dicts of instances: those that share no keys, and those that nobody needs. */
#include "analysis/waste_internal.h"

#include "objects/dict.h"

/* An instance whose dict has a table of its own. */
struct loner {
    uint32_t id, dict;
    uint64_t items, table_bytes;
};

struct dicts {
    struct ph_waste_search *search;
    uint8_t *of_instances; /* by type: whether its instances may share keys */
    uint64_t *rooms; /* by type: for how many values instances that share have room; 0: none do */
    PH_ARRAY(struct loner) loners;
};

/* Only an exact dict can share keys. */
static uint32_t open_exact_dict(struct ph_heap *heap, ph_addr address, struct ph_object *o,
                                struct ph_dict *d)
{
    uint32_t id = address ? ph_heap_find(heap, address) : PH_NO_OBJECT;
    bool usable = id != PH_NO_OBJECT && ph_heap_open(heap, id, o) &&
                  o->type == o->type->described && o->type->family == &ph_family_dict &&
                  ph_dict_open(&heap->objects, o, d);
    return usable ? id : PH_NO_OBJECT;
}

static void note_sharer(struct dicts *c, uint32_t type, uint64_t room)
{
    if (room > c->rooms[type])
        c->rooms[type] = room;
}

/* A dict that shows an instance's values, which from 3.11 on need none. */
static bool add_needless(struct dicts *c, uint32_t id, uint32_t dict, uint64_t room)
{
    struct ph_waste_search *s = c->search;
    const struct ph_python *python = s->heap->objects.python;
    int64_t refcount;
    uint64_t bytes = ph_heap_sizeof(s->heap, dict), values = room * ph_word_bytes(python);
    bool is_managed = python->layout.traits.instance_dict != PH_INSTANCE_DICT_OFFSET &&
                      (ph_heap_type(s->heap, id)->flags & PH_TPFLAGS_MANAGED_DICT);
    if (!is_managed || bytes <= values || !ph_heap_refcount(s->heap, dict, &refcount) ||
        refcount != 1)
        return true;
    s->counted[dict] = 1;
    return ph_waste_add(s, PH_WASTE_NEEDLESS, (struct ph_wasteful){id, 1, bytes - values});
}

static bool look_at(struct dicts *c, uint32_t id, bool accepted)
{
    struct ph_heap *heap = c->search->heap;
    struct ph_object o, dict;
    struct ph_dict d;
    uint32_t type = heap->type_ids[id];
    if (!ph_heap_open(heap, id, &o))
        return true;
    ph_addr address = ph_instance_dict(&heap->objects, &o);
    if (!address) {
        if (ph_instance_values(&heap->objects, &o, &d))
            note_sharer(c, type, ph_dict_values_room(&d));
        return true;
    }
    uint32_t dict_id = open_exact_dict(heap, address, &dict, &d);
    if (dict_id == PH_NO_OBJECT)
        return true;
    if (d.values) {
        note_sharer(c, type, ph_dict_values_room(&d));
        return !accepted || add_needless(c, id, dict_id, ph_dict_values_room(&d));
    }
    struct loner loner = {id, dict_id, ph_dict_used(&heap->objects, &dict), d.keys_bytes};
    if (!accepted || d.keys_refcount != 1 || loner.items == 0)
        return true;
    return ph_array_push(&c->loners, loner);
}

static enum ph_status look_at_all(struct dicts *c)
{
    struct ph_waste_search *s = c->search;
    for (uint32_t id = 0; id < s->heap->count; id++) {
        uint64_t bytes;
        if (ph_waste_interrupted(s, id))
            return PH_INTERRUPTED;
        if (!c->of_instances[s->heap->type_ids[id]])
            continue;
        bool accepted = ph_filter_accepts(s->heap, s->filter, s->types, id, &bytes);
        if (!look_at(c, id, accepted))
            return PH_NO_MEMORY;
    }
    return PH_OK;
}

/* What an instance would save by sharing; 0 where it would not, or could not, as the values that
 * others have room for would not hold all its items. */
static uint64_t bytes_to_save(struct dicts *c, const struct loner *loner)
{
    struct ph_heap *heap = c->search->heap;
    const struct ph_type *type = ph_heap_type(heap, loner->id);
    uint64_t room = c->rooms[type->id];
    uint64_t values = room * ph_word_bytes(heap->objects.python);
    struct ph_object o;
    struct ph_dict d;
    if (loner->items > room || !ph_heap_open(heap, loner->dict, &o) ||
        !ph_dict_open(&heap->objects, &o, &d) || !ph_dict_has_str_keys(&heap->objects, &d))
        return 0;
    /* Where values lie in the instance, it has room for them all the same, and needs no dict. */
    if (type->flags & PH_TPFLAGS_INLINE_VALUES &&
        heap->objects.python->layout.traits.instance_dict == PH_INSTANCE_DICT_INLINE)
        return ph_heap_sizeof(heap, loner->dict);
    return loner->table_bytes > values ? loner->table_bytes - values : 0;
}

static enum ph_status judge_loners(struct dicts *c)
{
    struct ph_waste_search *s = c->search;
    for (uint32_t i = 0; i < c->loners.count; i++) {
        const struct loner *loner = &c->loners.items[i];
        uint64_t bytes = bytes_to_save(c, loner);
        if (!bytes)
            continue;
        s->counted[loner->dict] = 1;
        if (!ph_waste_add(s, PH_WASTE_UNSHARED, (struct ph_wasteful){loner->id, 1, bytes}))
            return PH_NO_MEMORY;
    }
    return PH_OK;
}

static bool choose_types(struct dicts *c)
{
    const struct ph_objects *objects = &c->search->heap->objects;
    c->of_instances = ph_calloc(objects->types.count + 1u, sizeof *c->of_instances);
    c->rooms = ph_calloc(objects->types.count + 1u, sizeof *c->rooms);
    for (uint32_t t = 0; c->of_instances && t < objects->types.count; t++) {
        const struct ph_type *type = objects->types.items[t];
        c->of_instances[t] = type->is_python_class && !(type->flags & PH_TPFLAGS_TYPE_SUBCLASS) &&
                             objects->python->layout.traits.dict_keys != PH_DICT_KEYS_TABLE &&
                             ph_type_has_dict(objects->python, type);
    }
    return c->of_instances && c->rooms;
}

enum ph_status ph_waste_instances(struct ph_waste_search *s)
{
    struct dicts c = {.search = s};
    enum ph_status status = choose_types(&c) ? look_at_all(&c) : PH_NO_MEMORY;
    if (!status)
        status = judge_loners(&c);
    free(c.of_instances);
    free(c.rooms);
    ph_array_free(&c.loners);
    return status;
}
