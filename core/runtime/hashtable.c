#include "runtime/hashtable.h"

#include "base/checked.h"

enum { MOST_DATA = 64 }; /* bytes of a key or of data; tracemalloc's are up to 16 */

bool ph_python_is_code(const struct ph_python *python, ph_addr address)
{
    const struct ph_region *region = address ? ph_target_region_at(python->target, address) : NULL;
    if (region)
        return region->flags & PH_REGION_EXEC;
    return address && !ph_target_info(python->target)->lists_regions;
}

static bool has_inline_data(const struct ph_layout *L)
{
    return ph_has(L->hashtable.key_size);
}

static bool functions_are_code(const struct ph_python *python, const uint8_t *at)
{
    const struct ph_layout *L = &python->layout;
    return ph_python_is_code(python, ph_load_ptr(python, at + L->hashtable.hash_func)) &&
           ph_python_is_code(python, ph_load_ptr(python, at + L->hashtable.compare_func)) &&
           ph_python_is_code(python, ph_load_ptr(python, at + L->hashtable.malloc));
}

bool ph_hashtable_open(const struct ph_python *python, ph_addr address, struct ph_hashtable *out)
{
    const struct ph_layout *L = &python->layout;
    const unsigned word = ph_word_bytes(python);
    if (!ph_has(L->hashtable.buckets) || !address || address % word)
        return false;
    const uint8_t *at = ph_target_view(python->target, address, (size_t)L->hashtable.size);
    if (!at)
        return false;
    struct ph_hashtable table = {
        .address = address,
        .buckets = ph_load_ptr(python, at + L->hashtable.buckets),
        .entry_count = ph_load_ptr(python, at + L->hashtable.nentries),
        .bucket_count = ph_load_ptr(python, at + L->hashtable.nbuckets),
    };
    if (has_inline_data(L)) {
        table.key_bytes = ph_load_ptr(python, at + L->hashtable.key_size);
        table.data_bytes = ph_load_ptr(python, at + L->hashtable.data_size);
    }
    uint64_t buckets_bytes;
    if (!table.bucket_count || table.bucket_count & (table.bucket_count - 1) ||
        !ph_mul(table.bucket_count, word, &buckets_bytes) || table.key_bytes > MOST_DATA ||
        table.data_bytes > MOST_DATA || (has_inline_data(L) && table.key_bytes < word) ||
        table.buckets % word || !functions_are_code(python, at) ||
        !ph_target_view(python->target, table.buckets, buckets_bytes))
        return false;
    *out = table;
    return true;
}

uint64_t ph_hashtable_entry_bytes(const struct ph_python *python, const struct ph_hashtable *table)
{
    return (uint64_t)python->layout.hashtable_entry.size + table->key_bytes + table->data_bytes;
}

uint64_t ph_hashtable_bytes(const struct ph_python *python, const struct ph_hashtable *table)
{
    if (!table->address)
        return 0;
    uint64_t entries = UINT64_MAX;
    if (!ph_mul(table->entry_count, ph_hashtable_entry_bytes(python, table), &entries))
        return UINT64_MAX;
    return ph_add_saturated((uint64_t)python->layout.hashtable.size +
                                table->bucket_count * ph_word_bytes(python),
                            entries);
}

/* Read the entry at walk->entry, of the bucket before walk->next_bucket. */
static bool read_entry(const struct ph_python *python, const struct ph_hashtable *table,
                       struct ph_hashtable_walk *walk, struct ph_hashtable_entry *out)
{
    const struct ph_layout *L = &python->layout;
    const unsigned word = ph_word_bytes(python);
    const uint8_t *at = ph_target_view(python->target, walk->entry,
                                       (size_t)ph_hashtable_entry_bytes(python, table));
    if (!at || (ph_load_ptr(python, at + L->hashtable_entry.key_hash) &
                (table->bucket_count - 1)) != walk->next_bucket - 1)
        return false;
    *out = (struct ph_hashtable_entry){.address = walk->entry};
    if (has_inline_data(L)) {
        const uint8_t *key = at + L->hashtable_entry.size;
        out->key = ph_load_ptr(python, key);
        if (table->key_bytes >= word + sizeof out->more)
            out->more = ph_load_u32(python, key + word);
        out->data = walk->entry + (uint64_t)L->hashtable_entry.size + table->key_bytes;
    } else {
        out->key = ph_load_ptr(python, at + L->hashtable_entry.key);
        out->data = ph_load_ptr(python, at + L->hashtable_entry.value);
    }
    walk->entry = ph_load_ptr(python, at + L->hashtable_entry.next);
    return true;
}

bool ph_hashtable_next(const struct ph_python *python, const struct ph_hashtable *table,
                       struct ph_hashtable_walk *walk, struct ph_hashtable_entry *out)
{
    while (walk->seen < table->entry_count) {
        if (walk->entry && read_entry(python, table, walk, out)) {
            walk->seen++;
            return true;
        }
        if (walk->next_bucket == table->bucket_count)
            break;
        ph_addr bucket = table->buckets + walk->next_bucket++ * ph_word_bytes(python);
        walk->entry = ph_python_word(python, bucket, 0);
    }
    walk->lost = table->entry_count - walk->seen;
    return false;
}
