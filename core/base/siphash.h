/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a hash of bytes under a secret key. Who does not know
 * the key cannot choose bytes whose hashes collide, so that a target cannot make a table of its
 * values slow.
 */
#ifndef PH_BASE_SIPHASH_H
#define PH_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct ph_siphash_key {
    uint64_t words[2];
};

/* A key that nobody can foresee. */
struct ph_siphash_key ph_siphash_key_make(void);
uint64_t ph_siphash(const struct ph_siphash_key *key, const void *bytes, size_t len);

#endif
