/*
 * How much of the target's memory there really is: what of a live process's mappings lies in
 * memory, what is swapped out, what of it is shared, as the kernel says; of a core, what it holds.
 * And the process's children.
 *
 * Read it before anything else is read: to look at a page that was never touched makes the kernel
 * map one, if only the page of zeros.
 */
#ifndef PH_TARGET_USAGE_H
#define PH_TARGET_USAGE_H

#include "base/array.h"
#include "target/target.h"

enum ph_usage_kind {
    PH_USAGE_UNKNOWN,  /* a remote target, or /proc refuses */
    PH_USAGE_RESIDENT, /* of a live process: /proc/PID/smaps, /proc/PID/pagemap */
    PH_USAGE_IN_CORE,
};

struct ph_region_usage {
    /* In bytes: Rss, Pss and Swap of smaps; of a core, `resident` is what it holds. */
    uint64_t resident, pss, swap;
    uint64_t *pages; /* a bit for each page that is resident; NULL where that is not known */
};

struct ph_child {
    pid_t pid, parent;
    char name[16];     /* as the kernel has it; bytes of the target */
    uint64_t resident; /* VmRSS, in bytes */
};

struct ph_usage {
    enum ph_usage_kind kind;
    struct ph_target *target;                 /* borrowed */
    PH_ARRAY(struct ph_region_usage) regions; /* as the target's; none where unknown */
    uint64_t resident, pss, swap;             /* of all */
    PH_ARRAY(struct ph_child) children;       /* and theirs, by ascending pid */
};

/* False: out of memory. What the kernel does not tell is unknown, and no error. */
bool ph_usage_read(struct ph_usage *usage, struct ph_target *target);
void ph_usage_free(struct ph_usage *usage);

/* How many bytes of [start, end), which lies in the region with this index, are resident or in the
 * core. O(pages). */
uint64_t ph_usage_bytes(const struct ph_usage *usage, size_t region, ph_addr start, ph_addr end);

#endif
