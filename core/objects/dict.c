#include "objects/dict.h"

#include "objects/str.h"

enum {
    KIND_GENERAL = 0, /* dk_kind, 3.11+ */
    KIND_UNICODE = 1,
    KIND_SPLIT = 2,
    MAX_LOG2 = 40,
};

/* Bytes of one index of a table of `size` slots (Objects/dictobject.c: DK_IXSIZE); from 3.11 on the
 * keys say it themselves. */
static uint64_t index_bytes_for(uint64_t size)
{
    return size <= 0xff ? 1 : size <= 0xffff ? 2 : size <= 0xffffffff ? 4 : 8;
}

static uint64_t usable_fraction(uint64_t size)
{
    return size * 2 / 3;
}

/* Sizes and places of a keys object from its header, before the entries are looked at. */
struct keys_shape {
    uint64_t size;        /* slots of the hash table */
    uint64_t index_bytes; /* of the whole index */
    uint32_t entry_bytes;
    bool unicode_entries;
};

static bool read_shape(const struct ph_python *python, const uint8_t *header,
                       struct keys_shape *shape)
{
    const struct ph_layout *L = &python->layout;
    if (L->traits.dict_keys == PH_DICT_KEYS_LOG2) {
        uint8_t log2_size = header[L->dict_keys.dk_log2_size];
        uint8_t log2_index = header[L->dict_keys.dk_log2_index_bytes];
        if (log2_size > MAX_LOG2 || log2_index > MAX_LOG2 + 3)
            return false;
        shape->size = 1ull << log2_size;
        shape->index_bytes = 1ull << log2_index;
        shape->unicode_entries = header[L->dict_keys.dk_kind] != KIND_GENERAL;
    } else {
        int64_t size = ph_load_ssize(python, header + L->dict_keys.dk_size);
        if (size < 1 || size > 1ll << MAX_LOG2)
            return false;
        shape->size = (uint64_t)size;
        shape->index_bytes = shape->size * index_bytes_for(shape->size);
        shape->unicode_entries = false;
    }
    shape->entry_bytes =
        (uint32_t)(shape->unicode_entries ? L->dict_unicode_entry.size : L->dict_entry.size);
    return true;
}

bool ph_dict_keys_open(const struct ph_python *python, ph_addr keys, struct ph_dict *out)
{
    const struct ph_layout *L = &python->layout;
    const uint8_t *header = ph_target_view(python->target, keys, (size_t)L->dict_keys.dk_indices);
    struct keys_shape shape;
    if (!header || !read_shape(python, header, &shape))
        return false;
    uint64_t capacity = usable_fraction(shape.size);
    int64_t entries = ph_load_ssize(python, header + L->dict_keys.dk_nentries);
    int64_t usable = ph_load_ssize(python, header + L->dict_keys.dk_usable);
    if (entries < 0 || (uint64_t)entries > capacity || usable < 0 || (uint64_t)usable > capacity)
        return false;
    *out = (struct ph_dict){
        .python = python,
        .entry_count = (uint64_t)entries,
        .entry_bytes = shape.entry_bytes,
        .keys_address = keys,
        .keys_refcount = ph_load_ssize(python, header + L->dict_keys.dk_refcnt),
        .capacity = capacity,
        .usable = (uint64_t)usable,
        .slots = shape.size,
        .unicode_only = shape.unicode_entries,
    };
    uint64_t entries_at = (uint64_t)L->dict_keys.dk_indices + shape.index_bytes;
    out->keys_bytes = entries_at + capacity * shape.entry_bytes;
    if (shape.unicode_entries) {
        out->key_offset = (uint32_t)L->dict_unicode_entry.me_key;
        out->value_offset = (uint32_t)L->dict_unicode_entry.me_value;
    } else {
        out->key_offset = (uint32_t)L->dict_entry.me_key;
        out->value_offset = (uint32_t)L->dict_entry.me_value;
    }
    if (out->entry_count == 0)
        return true;
    out->entries = ph_target_view(python->target, keys + entries_at,
                                  (size_t)(out->entry_count * shape.entry_bytes));
    return out->entries != NULL;
}

const uint8_t *ph_dict_indices(const struct ph_dict *d, unsigned *bytes)
{
    /* Each must be able to number two thirds of the slots, and -1 and -2. */
    *bytes = d->slots <= 1u << 7 ? 1 : d->slots <= 1u << 15 ? 2 : d->slots <= 1ull << 31 ? 4 : 8;
    if (!d->slots)
        return NULL;
    return ph_target_view(d->python->target,
                          d->keys_address + (uint64_t)d->python->layout.dict_keys.dk_indices,
                          (size_t)(d->slots * *bytes));
}

bool ph_dict_entry_hash(const struct ph_dict *d, uint64_t i, uint64_t *hash)
{
    if (d->unicode_only)
        return false;
    *hash = ph_load_ptr(d->python,
                        d->entries + i * d->entry_bytes + d->python->layout.dict_entry.me_hash);
    return true;
}

bool ph_dict_use_values(struct ph_dict *d, ph_addr values, uint64_t count)
{
    static const uint8_t none[1] = {0};
    d->value_count = count < d->entry_count ? count : d->entry_count;
    d->values = d->value_count ? ph_target_view(d->python->target, values,
                                                (size_t)(d->value_count * ph_word_bytes(d->python)))
                               : none;
    return d->values != NULL;
}

/* Where the pointers of a dict's ma_values begin: 3.13 puts a header before them. */
static ph_addr first_value(const struct ph_layout *L, ph_addr values)
{
    return L->traits.dict_values == PH_DICT_VALUES_HEADED ? values + (uint64_t)L->dict_values.values
                                                          : values;
}

/* The hash table of 2.7: slots in no order, in the dict itself while it is small. */
static bool open_table(const struct ph_python *python, ph_addr dict, const uint8_t *at,
                       struct ph_dict *out)
{
    const struct ph_layout *L = &python->layout;
    uint64_t slots = ph_sane_count(ph_load_ssize(python, at + L->dict.ma_mask)) + 1;
    ph_addr table = ph_load_ptr(python, at + L->dict.ma_table);
    bool inside = table == dict + (uint64_t)L->dict.ma_smalltable;
    *out = (struct ph_dict){
        .python = python,
        .entry_count = slots,
        .entry_bytes = (uint32_t)L->dict_entry.size,
        .key_offset = (uint32_t)L->dict_entry.me_key,
        .value_offset = (uint32_t)L->dict_entry.me_value,
        .keys_address = inside ? 0 : table,
        .keys_bytes = inside ? 0 : slots * (uint64_t)L->dict_entry.size,
        .keys_refcount = 1,
        .capacity = slots,
    };
    out->entries = ph_target_view(python->target, table, (size_t)(slots * out->entry_bytes));
    return out->entries != NULL;
}

static bool open_dict(const struct ph_python *python, ph_addr dict, const uint8_t *at,
                      struct ph_dict *out)
{
    const struct ph_layout *L = &python->layout;
    if (L->traits.dict_keys == PH_DICT_KEYS_TABLE)
        return open_table(python, dict, at, out);
    ph_addr values = ph_load_ptr(python, at + L->dict.ma_values);
    return ph_dict_keys_open(python, ph_load_ptr(python, at + L->dict.ma_keys), out) &&
           (!values ||
            ph_dict_use_values(out, first_value(&python->layout, values), out->entry_count));
}

bool ph_dict_open(struct ph_objects *objects, const struct ph_object *o, struct ph_dict *out)
{
    return open_dict(objects->python, o->address, o->at, out);
}

ph_addr ph_dict_get_string(struct ph_objects *objects, ph_addr dict, const char *key)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    ph_addr type = ph_python_word(python, dict, L->object.ob_type);
    struct ph_dict d;
    if (!dict || !(ph_python_word(python, type, L->type.tp_flags) & PH_TPFLAGS_DICT_SUBCLASS))
        return 0;
    const uint8_t *at = ph_target_view(python->target, dict, (size_t)L->dict.size);
    if (!at || !open_dict(python, dict, at, &d))
        return 0;
    for (uint64_t i = 0; i < d.entry_count; i++) {
        ph_addr value = ph_dict_value(&d, i);
        if (value && ph_str_object_equals(objects, ph_dict_key(&d, i), key))
            return value;
    }
    return 0;
}

uint64_t ph_dict_used(const struct ph_objects *objects, const struct ph_object *o)
{
    return ph_object_count(objects, o, objects->python->layout.dict.ma_used);
}

uint64_t ph_dict_values_room(const struct ph_dict *d)
{
    bool log2 = d->python->layout.traits.dict_keys == PH_DICT_KEYS_LOG2;
    return log2 ? d->entry_count + d->usable : d->capacity;
}

bool ph_dict_has_str_keys(struct ph_objects *objects, const struct ph_dict *d)
{
    if (d->unicode_only)
        return true;
    for (uint64_t i = 0; i < d->entry_count; i++) {
        struct ph_object key;
        if (!ph_dict_value(d, i))
            continue;
        if (!ph_object_at(objects, ph_dict_key(d, i), &key) || key.type != key.type->described ||
            key.type->family != &ph_family_str)
            return false;
    }
    return true;
}

/* PyDict_Merge() of 2.7 makes room for twice the items where a small table would be two thirds
 * full; dictresize() takes a power of two above that. */
static uint64_t copied_table_slots(uint64_t items)
{
    uint64_t slots = 8;
    while (items * 3 >= 8 * 2 && slots <= items * 2)
        slots *= 2;
    return slots;
}

uint64_t ph_dict_smallest_table(struct ph_objects *objects, const struct ph_dict *d, uint64_t items)
{
    const struct ph_layout *L = &objects->python->layout;
    uint64_t slots = 8; /* PyDict_MINSIZE */
    if (L->traits.dict_keys == PH_DICT_KEYS_TABLE) {
        slots = copied_table_slots(items);
        return slots > 8 ? slots * (uint64_t)L->dict_entry.size : 0;
    }
    while (usable_fraction(slots) < items)
        slots *= 2;
    bool unicode = L->traits.dict_keys == PH_DICT_KEYS_LOG2 && ph_dict_has_str_keys(objects, d);
    uint64_t entry = (uint64_t)(unicode ? L->dict_unicode_entry.size : L->dict_entry.size);
    return (uint64_t)L->dict_keys.dk_indices + slots * index_bytes_for(slots) +
           usable_fraction(slots) * entry;
}

/* ---- the family ---- */

uint64_t ph_dict_size(struct ph_objects *objects, const struct ph_object *o)
{
    struct ph_dict d;
    uint64_t bytes = o->type->basicsize;
    if (!ph_dict_open(objects, o, &d))
        return bytes;
    if (d.values) {
        /* _PyDict_SizeOf(): all that the values have room for; from 3.11 on what the shared keys
         * can still use. */
        bytes += ph_dict_values_room(&d) * ph_word_bytes(objects->python);
    }
    return d.keys_refcount == 1 ? bytes + d.keys_bytes : bytes;
}

static bool values_are_embedded(const struct ph_objects *objects, ph_addr values)
{
    const struct ph_layout *L = &objects->python->layout;
    uint8_t embedded = 0;
    return L->traits.dict_values == PH_DICT_VALUES_HEADED &&
           ph_target_u8(objects->python->target, values + (uint64_t)L->dict_values.embedded,
                        &embedded) &&
           embedded;
}

void ph_dict_refs(struct ph_objects *objects, const struct ph_object *o, const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    struct ph_dict d;
    if (!ph_dict_open(objects, o, &d))
        return;
    /* Values that lie in an instance may be the instance's references (dict_traverse); the keys of
     * a table that is shared are counted by the keys object, and so once for the type that made it.
     */
    bool embedded = L->traits.inline_values == PH_INLINE_VALUES_INSTANCE && d.values &&
                    values_are_embedded(objects, ph_object_ptr(objects, o, L->dict.ma_values));
    unsigned key_flags = d.values ? PH_REF_STRONG | PH_REF_SHARED : PH_REF_STRONG;
    for (uint64_t i = 0; i < d.entry_count; i++) {
        ph_addr value = ph_dict_value(&d, i), key = ph_dict_key(&d, i);
        if (!value || !key)
            continue;
        if (!embedded)
            ph_visit(v, value, PH_LABEL_VALUE, key, PH_REF_STRONG);
        ph_visit(v, key, PH_LABEL_KEY, i, key_flags);
    }
}

void ph_dict_buffers(struct ph_objects *objects, const struct ph_object *o,
                     const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    struct ph_dict d;
    if (!ph_dict_open(objects, o, &d))
        return;
    ph_addr values = ph_object_optional_ptr(objects, o, L->dict.ma_values);
    /* To 3.10 an empty dict has values without room that all of them share. */
    if (d.values && d.capacity && !values_are_embedded(objects, values))
        ph_visit_values_buffer(objects->python, &d, values, v);
    if (d.keys_refcount == 1)
        ph_visit_buffer(v, d.keys_address, d.keys_bytes, "keys");
}

void ph_dict_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                     struct ph_str *out)
{
    (void)max_chars;
    int64_t used = ph_object_ssize(objects, o, objects->python->layout.dict.ma_used);
    ph_str_appendf(out, "{%lld item%s}", (long long)used, used == 1 ? "" : "s");
}

const struct ph_family ph_family_dict = {
    .type_names = PH_TYPE_NAMES("dict", "frozendict"),
    .struct_size = PH_STRUCT_OF(dict),
    .size = ph_dict_size,
    .own_bytes = ph_size_default,
    .refs = ph_dict_refs,
    .buffers = ph_dict_buffers,
    .summary = ph_dict_summary,
};

const struct ph_family ph_family_dict_view = {
    .type_names = PH_TYPE_NAMES("dict_keys", "dict_values", "dict_items"),
    .fields = (const struct ph_ref_field[]){PH_REF_FIELD("mapping", dict_view, dv_dict), {0}},
};
