/*
 * The target's memory: one bounded, read-only view of a live process, a core file, or whatever a
 * debugger can read; its regions, modules, symbols and threads. Knows nothing of Python.
 *
 * How it works: the regions that touch each other form a span; each span has a reservation of its
 * own in our address space, into which a core's pages are mapped and a live target's or a
 * debugger's bytes are copied in large blocks when first touched. So ph_target_view() yields a
 * plain pointer to target bytes and costs a look-up, and every byte is read at most once a stop.
 * Bytes that cannot be read are counted.
 *
 * Not here: writing (there is none), running anything, knowing what the bytes mean.
 */
#ifndef PH_TARGET_TARGET_H
#define PH_TARGET_TARGET_H

#include "base/ahead.h"
#include "base/host.h"

#include <string.h>
#include <sys/types.h>

struct ph_target; /* opaque; created by the open functions, freed by ph_target_close() */

enum ph_region_flags {
    PH_REGION_READ = 1,
    PH_REGION_WRITE = 2,
    PH_REGION_EXEC = 4,
    PH_REGION_ANON = 8,   /* no file behind it (heap, [anon:...], bss tail) */
    PH_REGION_STACK = 16, /* a thread's stack, where that is known */
};

/* The flags that the letters of /proc/PID/maps stand for: at least three, such as "rw-p". */
static inline unsigned ph_region_permissions(const char *letters)
{
    return (letters[0] == 'r' ? PH_REGION_READ : 0) | (letters[1] == 'w' ? PH_REGION_WRITE : 0) |
           (letters[2] == 'x' ? PH_REGION_EXEC : 0);
}

struct ph_region {
    ph_addr start, end; /* end is exclusive */
    unsigned flags;     /* enum ph_region_flags */
    const char *name;   /* path, "[heap]", "[stack]", or ""; owned by the target */
};

struct ph_module {
    const char *path;   /* as the target knows it; owned by the target */
    ph_addr start, end; /* lowest and one past the highest mapped address */
    ph_addr bias;       /* run-time address minus ELF address */
};

struct ph_thread {
    uint64_t tid;     /* kernel thread id, as seen from here */
    uint64_t own_tid; /* as the thread itself knows it, in its PID namespace; 0 where unknown */
    ph_addr fs_base;  /* thread pointer (x86-64 fs_base); 0 where unknown (live without ptrace) */
    ph_addr sp;       /* stack pointer; 0 where unknown */
    const char *name; /* comm; "" where unknown; owned by the target */
    bool call_known;  /* whether the next two are */
    bool in_call;     /* the kernel stopped it in a system call */
    ph_addr futex;    /* the word in memory at which it waits in such a call; 0: at none */
};

/* How a target is reached; for `info` and for error lines. */
enum ph_target_kind { PH_TARGET_LIVE, PH_TARGET_CORE, PH_TARGET_REMOTE };

struct ph_target_info {
    enum ph_target_kind kind;
    bool lists_regions;  /* else only those of modules are known; others are mapped too */
    pid_t pid;           /* 0 where unknown */
    const char *path;    /* the executable, or the core file for a core; "" where unknown */
    uint64_t start_time; /* of the process, in clock ticks since boot; 0: only a live one tells */
    unsigned word_bytes; /* 4 or 8 */
    bool big_endian;
};

/*
 * Open. On success *out is owned by the caller. host lends interruption and progress; it is
 * borrowed and must outlive the target.
 *
 * live: reads with process_vm_readv, else /proc/PID/mem. With `stop`, a process that nobody has
 * stopped yet is stopped with ptrace (SEIZE and INTERRUPT of every thread) until close, so that the
 * heap holds still; one already stopped or traced is left as it is. core: an ELF core mapped;
 * file-backed bytes that it leaves out come from the files that NT_FILE names, looked up below
 * sysroot (may be NULL), checked by build id where both have one. exe (may be NULL) overrides the
 * main program's path. A core shorter than its headers say is read as far as it goes, and said so
 * by ph_target_missing_bytes(). debugged: called from a debugger's plugin, whose host->read reaches
 * the target: finds the live process (TracerPid is us) or the core file that the debugger has open,
 * and uses the fast path only if sampled bytes agree with host->read; else reads through the host
 * alone. pid and core_path are hints (0, NULL).
 */
enum ph_status ph_target_open_live(pid_t pid, bool stop, const struct ph_host *host,
                                   struct ph_target **out, struct ph_error *err) PH_MUST_USE;
enum ph_status ph_target_open_core(const char *core, const char *exe, const char *sysroot,
                                   const struct ph_host *host, struct ph_target **out,
                                   struct ph_error *err) PH_MUST_USE;
enum ph_status ph_target_open_debugged(pid_t pid, const char *core_path, const struct ph_host *host,
                                       struct ph_target **out, struct ph_error *err) PH_MUST_USE;
void ph_target_close(struct ph_target *t); /* NULL is fine */

const struct ph_target_info *ph_target_info(const struct ph_target *t);

/* Whether the target may have run since it was opened or last asked: true means that everything
 * read is stale and the target must be closed and opened again. Live: compares start time and the
 * context-switch counts of all threads. Core: never. Remote: what the host says. */
bool ph_target_has_run(struct ph_target *t);
/* Whether all that was read so far is of one process at one moment: fails with one line where a
 * live process has ended meanwhile, or ran because whoever had stopped it before us let it go on.
 * Cores and remote processes: always. */
enum ph_status ph_target_check_still(struct ph_target *t, struct ph_error *err) PH_MUST_USE;

/*
 * What a debugger says of a process that only it can reach, such as one on another machine. All of
 * it may be missing: modules are then found from `program` on through the dynamic linker's list,
 * and memory that belongs to none is read where an address leads to it.
 */
struct ph_description {
    pid_t pid;       /* 0 where unknown */
    ph_addr program; /* somewhere in the executable, such as its program headers; 0 where unknown */
    /* By ascending address; of the flags, those for reading, writing and executing. */
    const struct ph_region *regions;
    size_t region_count;
    const struct ph_thread *threads;
    size_t thread_count;
};

/* Whether the target is remote and was not described yet. */
bool ph_target_wants_description(const struct ph_target *t);
/* Describe it, once and before anything is read. The description is copied, and nothing in it is
 * believed that could do harm. */
enum ph_status ph_target_describe(struct ph_target *t, const struct ph_description *description,
                                  struct ph_error *err) PH_MUST_USE;

/* ---- Private: what the reads below need inline. ---- */

enum { PH_TARGET_WINDOW_SHIFT = 20, PH_TARGET_WINDOW_COUNT = 4096 };

/* len bytes from start that lie at `bytes` in our memory; all of them could be read. */
struct ph_target_window {
    ph_addr start;
    uint64_t len;
    const unsigned char *bytes;
    uint64_t unused; /* pads to a power of two */
};

/* Every struct ph_target starts with this: where the last reads in each MiB of the target found
 * their bytes. */
struct ph_target_hot {
    unsigned word_bytes;
    bool swap;   /* the target's byte order is not ours */
    bool frozen; /* see ph_target_freeze() */
    struct ph_target_window windows[PH_TARGET_WINDOW_COUNT];
};

const void *ph_target_view_slow(struct ph_target *t, ph_addr addr, size_t len);

static inline const struct ph_target_hot *ph_target_hot(const struct ph_target *t)
{
    return (const struct ph_target_hot *)t;
}

/* ---- Reading ---- */

/* len bytes at addr as a plain pointer, valid until close; NULL if any of them cannot be read (or
 * len is 0). The bytes are the target's, in the target's byte order. A few nanoseconds where the
 * neighbourhood was read before. A file that somebody cuts while it is mapped is a SIGBUS here, as
 * for any reader of mapped files. */
static inline const void *ph_target_view(struct ph_target *t, ph_addr addr, size_t len)
{
    const struct ph_target_window *w =
        &ph_target_hot(t)->windows[(addr >> PH_TARGET_WINDOW_SHIFT) % PH_TARGET_WINDOW_COUNT];
    uint64_t offset = addr - w->start;
    if (offset < w->len && len - 1 < w->len - offset) /* len 0 wraps around and fails */
        return w->bytes + offset;
    return ph_target_view_slow(t, addr, len);
}

/* Let the processor fetch what lies at addr before it is read. Does nothing where the neighbourhood
 * was not read before. */
static inline void ph_target_prefetch(const struct ph_target *t, ph_addr addr)
{
    const struct ph_target_window *w =
        &ph_target_hot(t)->windows[(addr >> PH_TARGET_WINDOW_SHIFT) % PH_TARGET_WINDOW_COUNT];
    if (addr - w->start < w->len)
        ph_fetch(w->bytes + (addr - w->start));
}

/*
 * Several threads may read a frozen target at once. It serves what was read before and changes
 * nothing of itself: what is not here yet fails, and so does whatever else would have to be learnt
 * first (ph_type_at()). ph_target_missed() tells a thread whether it met such a thing, so that what
 * it worked on can be done again by one thread when the target is thawed.
 */
void ph_target_freeze(struct ph_target *t);
void ph_target_thaw(struct ph_target *t);
static inline bool ph_target_is_frozen(const struct ph_target *t)
{
    return ph_target_hot(t)->frozen;
}
/* Note for this thread that something was not to be had from a frozen target. */
void ph_target_miss(void);
/* Whether this thread missed anything since it last asked. */
bool ph_target_missed(void);

/* Read what is not here yet of [start, end) with several workers, where that can be done, so that
 * the reads that follow need not wait; what cannot be read is left for them to find. It is told as
 * progress from one percentage to another. False: the user wants no more. */
bool ph_target_read_ahead(struct ph_target *t, ph_addr start, ph_addr end, unsigned percent,
                          unsigned end_percent);

/* Copy len bytes from each of start, start + step, ..., `count` places, one behind the other to
 * `out`, and keep nothing of what lies there; zeros where a place cannot be read. False where to
 * look would be no less work than to read: only a live process is asked so. */
bool ph_target_sample(struct ph_target *t, ph_addr start, uint64_t step, size_t len, size_t count,
                      uint8_t *out);

/* As many leading bytes from addr as can be viewed contiguously, at most max. *len may be 0 (NULL
 * returned). */
const void *ph_target_view_some(struct ph_target *t, ph_addr addr, size_t max, size_t *len);

/* Unsigned integers in the target's byte order; false where unreadable, and *out is then untouched.
 */
static inline bool ph_target_u64(struct ph_target *t, ph_addr addr, uint64_t *out)
{
    uint64_t value;
    const void *bytes = ph_target_view(t, addr, sizeof value);
    if (!bytes)
        return false;
    memcpy(&value, bytes, sizeof value);
    *out = ph_target_hot(t)->swap ? __builtin_bswap64(value) : value;
    return true;
}

static inline bool ph_target_u32(struct ph_target *t, ph_addr addr, uint32_t *out)
{
    uint32_t value;
    const void *bytes = ph_target_view(t, addr, sizeof value);
    if (!bytes)
        return false;
    memcpy(&value, bytes, sizeof value);
    *out = ph_target_hot(t)->swap ? __builtin_bswap32(value) : value;
    return true;
}

static inline bool ph_target_u16(struct ph_target *t, ph_addr addr, uint16_t *out)
{
    uint16_t value;
    const void *bytes = ph_target_view(t, addr, sizeof value);
    if (!bytes)
        return false;
    memcpy(&value, bytes, sizeof value);
    *out = ph_target_hot(t)->swap ? __builtin_bswap16(value) : value;
    return true;
}

static inline bool ph_target_u8(struct ph_target *t, ph_addr addr, uint8_t *out)
{
    const void *bytes = ph_target_view(t, addr, sizeof *out);
    if (!bytes)
        return false;
    memcpy(out, bytes, sizeof *out);
    return true;
}

/* An integer as wide as the target's pointers. */
static inline bool ph_target_word(struct ph_target *t, ph_addr addr, uint64_t *out)
{
    if (ph_target_hot(t)->word_bytes == sizeof *out)
        return ph_target_u64(t, addr, out);
    uint32_t narrow;
    if (!ph_target_u32(t, addr, &narrow))
        return false;
    *out = narrow;
    return true;
}

/* A NUL-terminated string of at most max bytes (without NUL); NULL if unreadable or longer. *len is
 * its length. */
const char *ph_target_cstring(struct ph_target *t, ph_addr addr, size_t max, size_t *len);

/* Regions by ascending address, never overlapping; all of them where the info's lists_regions says
 * so. */
const struct ph_region *ph_target_regions(struct ph_target *t, size_t *count);
const struct ph_region *ph_target_region_at(struct ph_target *t, ph_addr addr); /* NULL: unmapped */
/* Whether there is memory at addr: a region, or where they are not all known, bytes to read. */
bool ph_target_is_mapped(struct ph_target *t, ph_addr addr);
const struct ph_module *ph_target_modules(struct ph_target *t, size_t *count);
const struct ph_thread *ph_target_threads(struct ph_target *t, size_t *count);

/* A dynamic symbol (.dynsym) of any module, executable first then in address order; the address is
 * the run-time one; size_bytes may be NULL. PH_NOT_FOUND where no module has it. */
enum ph_status ph_target_symbol(struct ph_target *t, const char *name, ph_addr *address,
                                uint64_t *size_bytes) PH_MUST_USE;
/* A named section of any module, by the same order (".PyRuntime"). */
enum ph_status ph_target_section(struct ph_target *t, const char *name, ph_addr *address,
                                 uint64_t *size_bytes) PH_MUST_USE;
/* The module in which an address lies, its bss included; NULL where it lies in none. */
const struct ph_module *ph_target_module_at(struct ph_target *t, ph_addr addr);
/* A symbol or a section of one module: of the one in which the address `within` lies. */
enum ph_status ph_target_symbol_in(struct ph_target *t, ph_addr within, const char *name,
                                   ph_addr *address) PH_MUST_USE;
enum ph_status ph_target_section_in(struct ph_target *t, ph_addr within, const char *name,
                                    ph_addr *address) PH_MUST_USE;

/* What could not be read so far: bytes of mapped regions asked for and not had, and files that a
 * core needs and that were not found or did not match (path with the reason; i from 0; NULL at the
 * end). */
uint64_t ph_target_missing_bytes(const struct ph_target *t);
const char *ph_target_missing_file(const struct ph_target *t, size_t i);

#endif
