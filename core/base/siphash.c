#include "base/siphash.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void mix(struct state *s, unsigned rounds)
{
    while (rounds-- > 0) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 = rotate(s->v2, 32);
    }
}

static inline void take_word(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    mix(s, 2);
    s->v0 ^= word;
}

/* Up to 8 bytes as a little-endian word. */
static inline uint64_t load(const uint8_t *bytes, size_t len)
{
    uint64_t word = 0;
    memcpy(&word, bytes, len);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

struct ph_siphash_key ph_siphash_key_make(void)
{
    struct ph_siphash_key key;
    struct timespec now;
    if (getrandom(&key, sizeof key, GRND_NONBLOCK) == (ssize_t)sizeof key)
        return key;
    clock_gettime(CLOCK_MONOTONIC, &now); /* early at boot: better than nothing */
    key.words[0] = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec;
    key.words[1] = (uint64_t)(uintptr_t)&key;
    return key;
}

uint64_t ph_siphash(const struct ph_siphash_key *key, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    struct state s = {
        key->words[0] ^ 0x736f6d6570736575,
        key->words[1] ^ 0x646f72616e646f6d,
        key->words[0] ^ 0x6c7967656e657261,
        key->words[1] ^ 0x7465646279746573,
    };
    size_t rest = len % 8;
    for (const uint8_t *end = at + (len - rest); at < end; at += 8)
        take_word(&s, load(at, 8));
    take_word(&s, (uint64_t)len << 56 | load(at, rest));
    s.v2 ^= 0xff;
    mix(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
