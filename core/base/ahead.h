/*
 * Bringing memory into the processor's caches before it is needed, in loops over what lies in no
 * order but is known beforehand: then many wait for memory at the same time, not one after the
 * other. In a heap whose objects come and go that is most of what following references costs.
 */
#ifndef PH_BASE_AHEAD_H
#define PH_BASE_AHEAD_H

/* How many steps ahead; where one place in memory tells the next one, twice and three times as
 * many. */
enum { PH_AHEAD = 12 };

/* A hint: nothing is read that is not there. GCC leaves out calls of functions that do nothing but
 * hint, unless they also have a statement that it does not look into. */
static inline void ph_fetch(const void *place)
{
    __builtin_prefetch(place);
    __asm__ volatile("");
}

#endif
