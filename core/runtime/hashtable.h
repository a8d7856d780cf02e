/*
 * CPython's own hash tables in C, _Py_hashtable_t: chained entries behind a power of two of
 * buckets.
 *
 * To 3.8 (Modules/hashtable.h) an entry carries its key and its data with it; from 3.9 on
 * (Include/internal/pycore_hashtable.h) it has two words, key and value.
 *
 *     struct ph_hashtable table;
 *     struct ph_hashtable_walk walk = {0};
 *     struct ph_hashtable_entry entry;
 *     if (ph_hashtable_open(python, address, &table))
 *         while (ph_hashtable_next(python, &table, &walk, &entry))
 *             use(entry.key);
 */
#ifndef PH_RUNTIME_HASHTABLE_H
#define PH_RUNTIME_HASHTABLE_H

#include "runtime/python.h"

struct ph_hashtable {
    ph_addr address; /* 0: there is no table */
    ph_addr buckets;
    uint64_t entry_count, bucket_count;
    uint64_t key_bytes, data_bytes; /* of an entry's key and data; from 3.9 on 0 */
};

struct ph_hashtable_entry {
    ph_addr address;
    ph_addr key;   /* the key's first word */
    uint32_t more; /* to 3.8: the 32 bits behind that word, where the key has them */
    ph_addr data;  /* where the value's data lie: in the entry, or where its value points to */
};

/* How far a walk has come; zeroed at first. */
struct ph_hashtable_walk {
    uint64_t next_bucket, seen;
    ph_addr entry; /* the next in its chain; 0: none */
    uint64_t lost; /* once at the end: entries that the table counts and that were not reached */
};

/* Whether there is a table: its numbers are sane, its functions are code, its buckets can be read.
 */
bool ph_hashtable_open(const struct ph_python *python, ph_addr address, struct ph_hashtable *out);
/* The next entry; false at the end. A chain ends where an entry's hash belongs to another bucket,
 * and the walk once there are more entries than the table has. */
bool ph_hashtable_next(const struct ph_python *python, const struct ph_hashtable *table,
                       struct ph_hashtable_walk *walk, struct ph_hashtable_entry *out);
/* Bytes of one entry. */
uint64_t ph_hashtable_entry_bytes(const struct ph_python *python, const struct ph_hashtable *table);
/* Bytes of its header, its buckets and its entries: what _Py_hashtable_size() says. */
uint64_t ph_hashtable_bytes(const struct ph_python *python, const struct ph_hashtable *table);

/* Whether a function may lie there: memory that is executed. */
bool ph_python_is_code(const struct ph_python *python, ph_addr address);

#endif
