/*
 * What the writer and the reader of snapshots agree on; docs/SNAPSHOT.md tells it in words. Private
 * to these two.
 */
#ifndef PH_ANALYSIS_SNAPSHOT_FORMAT_H
#define PH_ANALYSIS_SNAPSHOT_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* The file begins with the mark and the version; sections follow. */
#define PH_SNAPSHOT_MARK "\x89PYHEAP\n"
enum {
    PH_SNAPSHOT_MARK_BYTES = 8,
    PH_SNAPSHOT_VERSION = 1,
    PH_SNAPSHOT_HEAD_BYTES = PH_SNAPSHOT_MARK_BYTES + 4,
    PH_SNAPSHOT_TAG_BYTES = 4,
    PH_SNAPSHOT_SECTION_BYTES = 16, /* tag, checksum, length */
    PH_SNAPSHOT_CHUNK_OBJECTS = 1 << 16,
    PH_SNAPSHOT_CHUNK_BYTES = 1 << 23, /* more than so many objects can take */
    PH_SNAPSHOT_IDENTITY_BITS = 28,
};

#define PH_SNAPSHOT_PROCESS "PROC"
#define PH_SNAPSHOT_TYPES   "TYPE"
#define PH_SNAPSHOT_FILES   "FILE"
#define PH_SNAPSHOT_SITES   "SITE"
#define PH_SNAPSHOT_HOLDERS "HOLD"
#define PH_SNAPSHOT_OBJECTS "OBJS"
#define PH_SNAPSHOT_END     "END\n"

enum ph_snapshot_flags {
    PH_SNAPSHOT_HAS_SITES = 1,
    PH_SNAPSHOT_HAS_HOLDERS = 2,
    PH_SNAPSHOT_UNTESTED = 4,
};

/* FNV-1a of 32 bits; each step is a bijection, so that no single changed byte goes unnoticed. */
#define PH_SNAPSHOT_CHECKSUM 0x811c9dc5u
static inline uint32_t ph_snapshot_checksum(uint32_t sum, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ at[i]) * 0x01000193u;
    return sum;
}

/* Little-endian numbers of fixed width. */
static inline void ph_snapshot_put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}
static inline uint64_t ph_snapshot_get(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* Signed numbers as unsigned ones, small ones small: 0, -1, 1, -2, ... */
static inline uint64_t ph_snapshot_fold(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}
static inline int64_t ph_snapshot_unfold(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

#endif
