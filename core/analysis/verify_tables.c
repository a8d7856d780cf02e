/* dict and set: counts, indices and hashes agree (Objects/dictobject.c, setobject.c). */
#include "analysis/verify_internal.h"

#include <inttypes.h>

#include "objects/dict.h"
#include "objects/set.h"
#include "objects/str.h"

enum {
    INDEX_EMPTY = -1, /* DKIX_EMPTY */
    INDEX_DUMMY = -2, /* DKIX_DUMMY: deleted */
    PERTURB_SHIFT = 5,
    PROBES_A_SLOT = 8, /* on average, for a whole table: then its hashes collide by design */
    ENTRIES_A_LOOK = 1 << 16,
};

static bool off_by_one(int64_t a, int64_t b)
{
    return a - b <= 1 && b - a <= 1;
}

static bool is_power_of_two(uint64_t n)
{
    return n && !(n & (n - 1));
}

/* ---- hashes ---- */

/* The hash that the str at this address keeps; false where it is none, or no object at all, which
 * is then told of the reference. */
static bool str_hash(struct ph_verifier *v, ph_addr key, uint64_t *hash)
{
    struct ph_object o;
    uint32_t id = ph_heap_find(v->heap, key);
    return id != PH_NO_OBJECT && ph_heap_open(v->heap, id, &o) &&
           ph_str_object_hash(&v->heap->objects, &o, hash);
}

/* A str that is a key was hashed, and the table has the same hash. */
static bool check_hash(struct ph_verifier *v, ph_addr owner, enum ph_problem_kind kind, ph_addr key,
                       uint64_t table_hash)
{
    uint64_t hash;
    if (!str_hash(v, key, &hash) || hash == table_hash)
        return true;
    ph_report(v, owner, kind, PH_LASTING,
              "its key at 0x%" PRIx64 " has the hash 0x%" PRIx64 " there and 0x%" PRIx64
              " in the table",
              key, hash, table_hash);
    return false;
}

/* ---- dict ---- */

/* An index of so many bytes, all of a keys object's. */
struct index {
    const struct ph_python *python;
    const uint8_t *at;
    unsigned bytes;
    uint64_t slots;
    uint64_t probes_left; /* until searches are given up */
};

static int64_t index_at(const struct index *index, uint64_t slot)
{
    const uint8_t *at = index->at + slot * index->bytes;
    switch (index->bytes) {
    case 1:
        return (int8_t)*at;
    case 2:
        return (int16_t)ph_load_u16(index->python, at);
    case 4:
        return (int32_t)ph_load_u32(index->python, at);
    default:
        return (int64_t)ph_load_u64(index->python, at);
    }
}

/* Whether a search for this hash meets the entry before an empty slot (Objects/dictobject.c:
 * lookdict, from 3.7 on). */
static bool is_met(struct index *index, uint64_t hash, int64_t entry)
{
    uint64_t mask = index->slots - 1, perturb = hash, slot = hash & mask;
    for (; index->probes_left > 0; index->probes_left--) {
        int64_t found = index_at(index, slot);
        if (found == entry)
            return true;
        if (found == INDEX_EMPTY)
            return false;
        perturb >>= PERTURB_SHIFT;
        slot = (slot * 5 + perturb + 1) & mask;
    }
    return true; /* who can tell */
}

/* Each slot is empty, deleted, or leads to an entry that no other leads to. How many lead to one;
 * -1 where a problem was reported. */
static int64_t check_indices(struct ph_verifier *v, ph_addr owner, const struct ph_dict *d,
                             const struct index *index)
{
    int64_t leading = 0, entries = (int64_t)d->entry_count;
    const char *wrong = NULL;
    if (!ph_verify_clear(v, d->entry_count))
        return -1;
    for (uint64_t slot = 0; slot < index->slots; slot++) {
        int64_t entry = index_at(index, slot);
        if (entry == INDEX_EMPTY || entry == INDEX_DUMMY)
            continue;
        if (entry < 0 || entry >= entries)
            wrong = "which it does not have";
        else if (ph_verify_mark(v, (uint64_t)entry))
            wrong = "as another slot does";
        else if (!ph_dict_key(d, (uint64_t)entry))
            wrong = "which was deleted";
        leading++;
        if (!wrong)
            continue;
        ph_report(v, owner, PH_PROBLEM_DICT, entry == entries || entries == 0,
                  "slot %" PRIu64 " of its index leads to entry %" PRId64 " of %" PRId64 ", %s",
                  slot, entry, entries, wrong);
        return -1;
    }
    return leading;
}

static void check_key(struct ph_verifier *v, ph_addr owner, const struct ph_dict *d,
                      struct index *index, uint64_t i)
{
    uint64_t hash;
    ph_addr key = ph_dict_key(d, i);
    bool kept = ph_dict_entry_hash(d, i, &hash);
    if (kept ? !check_hash(v, owner, PH_PROBLEM_DICT, key, hash) : !str_hash(v, key, &hash))
        return;
    if (v->python->layout.version >= 0x03070000 && !is_met(index, hash, (int64_t)i))
        ph_report(v, owner, PH_PROBLEM_DICT, i + 1 == d->entry_count,
                  "entry %" PRIu64 " is not where the hash of its key, 0x%" PRIx64 ", leads to", i,
                  hash);
}

/* The index and the entries of a keys object of 3.6 and later. */
static void check_keys(struct ph_verifier *v, ph_addr owner, const struct ph_dict *d)
{
    struct index index = {
        .python = v->python,
        .slots = d->slots,
        .probes_left = PROBES_A_SLOT * (d->slots + 1),
    };
    index.at = ph_dict_indices(d, &index.bytes);
    if (!index.at)
        return;
    if (!is_power_of_two(d->slots)) {
        ph_report(v, owner, PH_PROBLEM_DICT, PH_LASTING,
                  "its table has %" PRIu64 " slots, which is no power of two", d->slots);
        return;
    }
    if (d->entry_count + d->usable > d->capacity)
        ph_report(v, owner, PH_PROBLEM_DICT, d->entry_count + d->usable == d->capacity + 1,
                  "it has %" PRIu64 " entries and room for %" PRIu64 " more, and capacity for "
                  "%" PRIu64,
                  d->entry_count, d->usable, d->capacity);
    int64_t leading = check_indices(v, owner, d, &index), keyed = 0;
    for (uint64_t i = 0; i < d->entry_count && leading >= 0; i++) {
        if (!ph_dict_key(d, i))
            continue;
        if (++keyed % ENTRIES_A_LOOK == 0 && ph_verify_interrupted(v))
            return;
        check_key(v, owner, d, &index, i);
    }
    if (leading >= 0 && leading != keyed)
        ph_report(v, owner, PH_PROBLEM_DICT, off_by_one(leading, keyed),
                  "%" PRId64 " slots of its index lead to its %" PRId64 " entries", leading, keyed);
}

/* 2.7: the entries are the slots. */
static void check_old_table(struct ph_verifier *v, const struct ph_object *o,
                            const struct ph_dict *d)
{
    if (!is_power_of_two(d->slots ? d->slots : d->entry_count))
        ph_report(v, o->address, PH_PROBLEM_DICT, PH_LASTING,
                  "its table has %" PRIu64 " slots, which is no power of two", d->entry_count);
    for (uint64_t i = 0; i < d->entry_count; i++) {
        uint64_t hash;
        if (ph_dict_value(d, i) && ph_dict_entry_hash(d, i, &hash) &&
            !check_hash(v, o->address, PH_PROBLEM_DICT, ph_dict_key(d, i), hash))
            return;
    }
}

static int64_t live_entries(const struct ph_dict *d)
{
    int64_t live = 0;
    for (uint64_t i = 0; i < d->entry_count; i++)
        live += ph_dict_value(d, i) != 0;
    return live;
}

bool ph_verify_dict(struct ph_verifier *v, const struct ph_object *o)
{
    struct ph_objects *objects = &v->heap->objects;
    const struct ph_layout *L = &v->python->layout;
    struct ph_dict d;
    int64_t used = ph_object_ssize(objects, o, L->dict.ma_used);
    if (!ph_dict_open(objects, o, &d)) {
        ph_report(v, o->address, PH_PROBLEM_DICT, PH_PASSING, "its table makes no sense");
        return false;
    }
    int64_t live = live_entries(&d);
    if (used != live)
        ph_report(v, o->address, PH_PROBLEM_DICT, off_by_one(used, live) || live == 0,
                  "its ma_used is %" PRId64 ", and it has %" PRId64 " entries", used, live);
    if (L->traits.dict_keys == PH_DICT_KEYS_TABLE)
        check_old_table(v, o, &d);
    else if (!d.values)
        check_keys(v, o->address, &d);
    return true;
}

void ph_verify_shared_keys(struct ph_verifier *v, const struct ph_object *type)
{
    const struct ph_layout *L = &v->python->layout;
    struct ph_dict d;
    if (!ph_has(L->heap_type.ht_cached_keys) ||
        !(ph_object_ptr(&v->heap->objects, type, L->type.tp_flags) & PH_TPFLAGS_HEAPTYPE))
        return;
    ph_addr keys = ph_python_word(v->python, type->address, L->heap_type.ht_cached_keys);
    if (keys && ph_dict_keys_open(v->python, keys, &d))
        check_keys(v, type->address, &d);
}

/* ---- set ---- */

bool ph_verify_set(struct ph_verifier *v, const struct ph_object *o)
{
    struct ph_objects *objects = &v->heap->objects;
    const struct ph_layout *L = &v->python->layout;
    int64_t fill = ph_object_ssize(objects, o, L->set.fill), filled = 0;
    int64_t used = ph_object_ssize(objects, o, L->set.used), live = 0;
    struct ph_set set;
    if (!ph_set_open(objects, o, &set) || !is_power_of_two(set.slots)) {
        ph_report(v, o->address, PH_PROBLEM_SET, PH_PASSING, "its table makes no sense");
        return false;
    }
    for (uint64_t i = 0; i < set.slots; i++) {
        ph_addr key = ph_set_key(&set, i);
        if (!key)
            continue;
        filled++;
        if (ph_set_is_deleted(objects, &set, i))
            continue;
        live++;
        check_hash(v, o->address, PH_PROBLEM_SET, key, ph_set_hash(&set, i));
    }
    if (used != live || fill != filled)
        ph_report(v, o->address, PH_PROBLEM_SET,
                  live <= used && (off_by_one(used, live) || live == filled),
                  "its used is %" PRId64 " and fill %" PRId64 ", and %" PRId64 " of %" PRId64
                  " filled slots hold elements",
                  used, fill, live, filled);
    return true;
}
