/* set and frozenset (Objects/setobject.c): a table of {key, hash}, in the object while it is small.
 */
#include "objects/set.h"

#include "objects/str.h"

#include <inttypes.h>

enum { SMALL_SLOTS = 8 }; /* PySet_MINSIZE */
#define MAX_SLOTS (1ull << 40)

/* The hash of a deleted entry, whose key is the dummy object; a real hash is never -1. */
#define DELETED_HASH UINT64_MAX

static uint64_t table_slots(const struct ph_objects *objects, const struct ph_object *o)
{
    uint64_t mask = ph_object_ptr(objects, o, objects->python->layout.set.mask);
    return mask < MAX_SLOTS ? mask + 1 : 0;
}

/* The table where it is memory of its own, else 0. */
static ph_addr outer_table(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr table = ph_object_ptr(objects, o, L->set.table);
    return table == o->address + (uint64_t)L->set.smalltable ? 0 : table;
}

uint64_t ph_set_table_bytes(const struct ph_objects *objects, const struct ph_object *o)
{
    uint64_t entry = (uint64_t)objects->python->layout.set_entry.size;
    return outer_table(objects, o) ? table_slots(objects, o) * entry : 0;
}

/* set_merge() makes room for twice the items where the small table would be too full, which is from
 * three fifths on (3.6) or from two thirds on; set_table_resize() takes a power of two above that.
 */
uint64_t ph_set_copied_table_bytes(const struct ph_objects *objects, uint64_t items)
{
    const struct ph_layout *L = &objects->python->layout;
    bool too_full = L->version >= 0x03060000 ? items * 5 >= 7 * 3 : items * 3 >= 8 * 2;
    uint64_t slots = SMALL_SLOTS;
    while (too_full && slots <= items * 2)
        slots *= 2;
    return slots > SMALL_SLOTS ? slots * (uint64_t)L->set_entry.size : 0;
}

static uint64_t set_size(struct ph_objects *objects, const struct ph_object *o)
{
    return o->type->basicsize + ph_set_table_bytes(objects, o);
}

bool ph_set_open(const struct ph_objects *objects, const struct ph_object *o, struct ph_set *out)
{
    const struct ph_layout *L = &objects->python->layout;
    uint64_t slots = table_slots(objects, o), stride = (uint64_t)L->set_entry.size;
    *out = (struct ph_set){
        .python = objects->python,
        .table = ph_target_view(objects->python->target, ph_object_ptr(objects, o, L->set.table),
                                (size_t)(slots * stride)),
        .slots = slots,
        .stride = stride,
    };
    return out->table != NULL;
}

bool ph_set_is_deleted(struct ph_objects *objects, const struct ph_set *set, uint64_t i)
{
    const struct ph_python *python = objects->python;
    uint64_t hash = ph_set_hash(set, i);
    if (python->layout.traits.set_deleted == PH_SET_DELETED_HASH)
        return hash == (python->wide ? DELETED_HASH : UINT32_MAX);
    ph_addr key = ph_set_key(set, i);
    return ph_str_object_equals(objects, key, "<dummy key>") &&
           ph_python_word(python, key, python->layout.bytes.ob_shash) != hash;
}

static void set_refs(struct ph_objects *objects, const struct ph_object *o,
                     const struct ph_visitor *v)
{
    struct ph_set set;
    if (!ph_set_open(objects, o, &set))
        return;
    for (uint64_t i = 0; i < set.slots; i++) {
        if (!ph_set_is_deleted(objects, &set, i))
            ph_visit(v, ph_set_key(&set, i), PH_LABEL_ELEMENT, i, PH_REF_STRONG);
    }
}

static void set_buffers(struct ph_objects *objects, const struct ph_object *o,
                        const struct ph_buffer_visitor *v)
{
    ph_visit_buffer(v, outer_table(objects, o), ph_set_table_bytes(objects, o), "table");
}

static void set_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                        struct ph_str *out)
{
    (void)max_chars;
    int64_t used = ph_object_ssize(objects, o, objects->python->layout.set.used);
    ph_str_appendf(out, "{%" PRId64 " element%s}", used, used == 1 ? "" : "s");
}

const struct ph_family ph_family_set = {
    .type_names = PH_TYPE_NAMES("set", "frozenset"),
    .size = set_size,
    .refs = set_refs,
    .buffers = set_buffers,
    .summary = set_summary,
};
