/*
 * Reading dict tables: combined and split, of every version, with one loop for all.
 *
 *     struct ph_dict d;
 *     if (ph_dict_open(objects, &object, &d))
 *         for (uint64_t i = 0; i < d.entry_count; i++)
 *             if ((value = ph_dict_value(&d, i)))
 *                 use(ph_dict_key(&d, i), value);
 *
 * (Objects/dictobject.c, Include/internal/pycore_dict.h.) All lengths are bounded by the memory
 * that is there.
 */
#ifndef PH_OBJECTS_DICT_H
#define PH_OBJECTS_DICT_H

#include "objects/object.h"

struct ph_dict {
    const struct ph_python *python;
    const uint8_t *entries; /* entry_count of them; borrowed from the target */
    uint64_t
        entry_count; /* dk_nentries: live and deleted ones, in insertion order; 2.7: all slots */
    uint32_t entry_bytes, key_offset, value_offset;
    const uint8_t *values; /* of a split table; NULL for a combined one */
    uint64_t value_count;
    ph_addr keys_address;
    uint64_t keys_bytes; /* of the whole keys object, as _PyDict_KeysSize() counts */
    int64_t keys_refcount;
    uint64_t capacity; /* entries that the keys object has room for */
    uint64_t usable;   /* dk_usable */
    uint64_t slots;    /* of the index before the entries; 2.7, which has none: 0 */
    bool unicode_only; /* no key but exact str: the collector does not visit the keys */
};

/* Open the tables of a dict, or of an instance of a subclass. False where they make no sense. */
bool ph_dict_open(struct ph_objects *objects, const struct ph_object *o, struct ph_dict *out);
/* Open a keys object alone, such as a type's ht_cached_keys. */
bool ph_dict_keys_open(const struct ph_python *python, ph_addr keys, struct ph_dict *out);
/* Give keys that were opened the values of one instance: count words at `values`. */
bool ph_dict_use_values(struct ph_dict *d, ph_addr values, uint64_t count);

static inline ph_addr ph_dict_key(const struct ph_dict *d, uint64_t i)
{
    return ph_load_ptr(d->python, d->entries + i * d->entry_bytes + d->key_offset);
}

/* 0 for a deleted entry, and for a split one that this dict lacks. */
static inline ph_addr ph_dict_value(const struct ph_dict *d, uint64_t i)
{
    if (!d->values)
        return ph_load_ptr(d->python, d->entries + i * d->entry_bytes + d->value_offset);
    return i < d->value_count ? ph_load_ptr(d->python, d->values + i * ph_word_bytes(d->python))
                              : 0;
}

/* The index of a keys object, d->slots of them, and the bytes of each, which are a signed number.
 * NULL where it cannot be read, and in 2.7. */
const uint8_t *ph_dict_indices(const struct ph_dict *d, unsigned *bytes);
/* me_hash of entry i as the dict keeps it; false for tables of nothing but str, which do not. */
bool ph_dict_entry_hash(const struct ph_dict *d, uint64_t i, uint64_t *hash);

/* The value of a str key in the dict at this address, by search; 0 where there is none. Never calls
 * ph_type_at(). */
ph_addr ph_dict_get_string(struct ph_objects *objects, ph_addr dict, const char *key);

/* ma_used: how many items a dict says it has; 0 where that makes no sense. */
uint64_t ph_dict_used(const struct ph_objects *objects, const struct ph_object *o);
/* For how many values the dicts and instances have room that share these keys, as sys.getsizeof
 * counts it. */
uint64_t ph_dict_values_room(const struct ph_dict *d);
/* Whether all keys are exact str. */
bool ph_dict_has_str_keys(struct ph_objects *objects, const struct ph_dict *d);
/* Bytes of the smallest table that would hold so many items of the dict; 2.7: of the table that a
 * copy of the dict gets, 0 where it lies in the dict. */
uint64_t ph_dict_smallest_table(struct ph_objects *objects, const struct ph_dict *d,
                                uint64_t items);

/* The parts of the dict family, for the families of C types that begin with a dict. */
uint64_t ph_dict_size(struct ph_objects *objects, const struct ph_object *o);
void ph_dict_refs(struct ph_objects *objects, const struct ph_object *o,
                  const struct ph_visitor *v);
void ph_dict_buffers(struct ph_objects *objects, const struct ph_object *o,
                     const struct ph_buffer_visitor *v);
void ph_dict_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                     struct ph_str *out);

/* ---- values that an instance holds without a dict (3.11+) ---- */

/* An instance's inline or managed values: keys are the type's. False where it has none now. */
bool ph_instance_values(struct ph_objects *objects, const struct ph_object *o, struct ph_dict *out);
/* The instance's __dict__ where it has been made; 0 where not. */
ph_addr ph_instance_dict(struct ph_objects *objects, const struct ph_object *o);
/* The attribute of that name in the instance's values or __dict__; 0 where it has none. */
ph_addr ph_instance_attribute(struct ph_objects *objects, const struct ph_object *o,
                              const char *name);
/* Whether instances of a type are dicts, frozen ones included. */
bool ph_type_is_dict(const struct ph_type *type);
/* Whether instances of a type may have a __dict__. */
bool ph_type_has_dict(const struct ph_python *python, const struct ph_type *type);
/* What vars(o) is, of an instance, a module, a function or a type; 0 where it has none, or where
 * its values stand for it. */
ph_addr ph_object_dict(struct ph_objects *objects, const struct ph_object *o);
/* What a __slots__ member of the object refers to; 0 where it is not set. */
ph_addr ph_instance_slot(const struct ph_objects *objects, const struct ph_object *o,
                         const struct ph_member *slot);
/* Bytes before the GC header for managed dicts and weak references, by tp_flags. */
uint32_t ph_managed_header_bytes(const struct ph_python *python, uint64_t tp_flags);
/* Visit what an instance holds beside its base's part: attributes or __dict__, and its class. */
void ph_instance_refs(struct ph_objects *objects, const struct ph_object *o,
                      const struct ph_visitor *v);
/* The buffer of its values, where it lies outside the object (3.11, 3.12). */
void ph_instance_buffers(struct ph_objects *objects, const struct ph_object *o,
                         const struct ph_buffer_visitor *v);
/* Visit the buffer of split values that begin at `values`, as ma_values or the managed word says.
 */
void ph_visit_values_buffer(const struct ph_python *python, const struct ph_dict *d, ph_addr values,
                            const struct ph_buffer_visitor *v);

#endif
