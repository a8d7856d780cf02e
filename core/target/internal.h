/*
 * What the files of target/ share. Nobody else includes this.
 *
 *     target.c     views and their fast path, regions, what is missing
 *     span.c       address space reserved for the target's memory, and the states of its pages
 *     files.c      files that are mapped into the target, opened and checked
 *     modules.c    modules, symbols, sections
 *     loaded.c     modules as they lie in memory, where their files are out of reach
 *     live.c       a process through /proc and process_vm_readv; stop.c stops it, proc.c reads
 *                  /proc, refused.c says why it cannot be
 *     core.c       an ELF core; notes.c reads its notes
 *     usage.c      what of the memory is resident, or in a core
 *     host.c       a debugger's read callback
 *     debugged.c   which of these three a debugger has before it
 *
 * A backend lists the target's memory once, when it opens (regions, mappings, spans, threads), and
 * later fills pages on demand. With -fexceptions a host's read may throw through us: nothing is
 * held across it.
 */
#ifndef PH_TARGET_INTERNAL_H
#define PH_TARGET_INTERNAL_H

#include "target/target.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/map.h"
#include "base/str.h"

#include <libelf.h>

/* The granule of what we know to be readable; the target's own pages may be larger. */
enum { PH_PAGE_BYTES = 4096 };

/* Distinct unreadable pages that are told apart. */
enum { PH_MOST_MISSING_PAGES = 1 << 20 };

/* User space ends below this on every machine that CPython runs on. */
#define PH_ADDR_LIMIT ((ph_addr)1 << 57)

static inline ph_addr ph_page_floor(ph_addr addr)
{
    return addr & ~(ph_addr)(PH_PAGE_BYTES - 1);
}

/* addr is below PH_ADDR_LIMIT, or any size that cannot wrap. */
static inline ph_addr ph_page_ceil(ph_addr addr)
{
    return ph_page_floor(addr + PH_PAGE_BYTES - 1);
}

static inline uint64_t ph_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t ph_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- Spans (span.c): memory without gaps, and its place in our own address space ---- */

enum ph_page_state { PH_PAGE_UNKNOWN, PH_PAGE_HERE, PH_PAGE_ABSENT };

struct ph_span {
    ph_addr start, end; /* no page alignment needed */
    /* How far into a page of ours its pages begin, so that a file's pages can be mapped over them.
     */
    size_t shift;
    /* Set when first touched: the page that holds start lies at bytes, and so on; states has one
     * enum ph_page_state a page. One private reservation holds both. */
    unsigned char *bytes;
    unsigned char *states;
    size_t reserved_bytes;
};

static inline size_t ph_span_page(const struct ph_span *span, ph_addr addr)
{
    return (addr - ph_page_floor(span->start)) / PH_PAGE_BYTES;
}

static inline ph_addr ph_span_page_address(const struct ph_span *span, size_t page)
{
    return ph_page_floor(span->start) + (ph_addr)page * PH_PAGE_BYTES;
}

static inline size_t ph_span_page_count(const struct ph_span *span)
{
    return ph_span_page(span, span->end - 1) + 1;
}

static inline unsigned char *ph_span_bytes(const struct ph_span *span, ph_addr addr)
{
    return span->bytes + (addr - ph_page_floor(span->start));
}

/* Add memory; ranges come by ascending address and those that touch become one span. False: out of
 * memory. */
bool ph_span_add(struct ph_target *t, ph_addr start, ph_addr end);
struct ph_span *ph_span_at(struct ph_target *t, ph_addr addr); /* NULL: none holds addr */
/* Reserve address space, if that has not been done. False where there is no more to be had. */
bool ph_span_reserve(struct ph_target *t, struct ph_span *span);
/* Make the pages of [start, end) of a reserved span ours to write, and, for the sake of huge pages,
 * what is around them but within [low, high). */
bool ph_span_commit(struct ph_span *span, ph_addr start, ph_addr end, ph_addr low, ph_addr high);
/* Have the kernel bring pages in at once, which would otherwise come one by one. */
void ph_span_populate(const struct ph_span *span, size_t page, size_t count);
void ph_span_set(struct ph_span *span, size_t page, size_t count, enum ph_page_state state);
void ph_span_release(struct ph_span *span);

/* ---- Files that are mapped into the target (files.c) ---- */

struct ph_file {
    const char *path;                     /* as the target knows it */
    uint32_t first_mapping, last_mapping; /* a chain through ph_mapping.next */
    bool tried;                           /* to open it */
    const unsigned char *bytes;           /* NULL: no file, or not the one that the target has */
    size_t size;
    Elf *elf; /* NULL where it is none */
};

#define PH_NO_MAPPING UINT32_MAX

/* A file's bytes from offset, mapped at start. Sorted by start, not overlapping. */
struct ph_mapping {
    ph_addr start, end;
    uint64_t offset;
    uint32_t file; /* index into files */
    uint32_t next; /* the next one of the same file, or PH_NO_MAPPING */
};

/* Note a mapping; they come by ascending address. path is copied. */
bool ph_mapping_add(struct ph_target *t, ph_addr start, ph_addr end, uint64_t offset,
                    const char *path);
/* The index of the first mapping that ends behind addr. */
uint32_t ph_mapping_after(const struct ph_target *t, ph_addr addr);
const struct ph_mapping *ph_mapping_at(const struct ph_target *t, ph_addr addr); /* NULL: none */
/* The file of a path that has mappings. */
uint32_t ph_file_find(const struct ph_target *t, const char *path);
/* Open and check a file when first asked for; what is wrong with it is noted for
 * ph_target_missing_file(). */
struct ph_file *ph_file_open(struct ph_target *t, uint32_t index);
void ph_file_close(struct ph_file *file);

/* ---- Backends ---- */

struct ph_backend {
    /* Settle the state of pages [page, page + count) of a reserved span, at least the first's. */
    void (*fill)(struct ph_target *t, struct ph_span *span, size_t page, size_t count);
    /* Whether several threads may fill different pages of [start, end) at once; NULL: never. */
    bool (*can_share)(struct ph_target *t, ph_addr start, ph_addr end);
    /* See ph_target_sample(); NULL: never. */
    bool (*sample)(struct ph_target *t, ph_addr start, uint64_t step, size_t len, size_t count,
                   uint8_t *out);
    /* Make a span for an address that none holds; NULL where it cannot be read. May be NULL. */
    struct ph_span *(*find_span)(struct ph_target *t, ph_addr addr);
    /* See ph_target_has_run(). */
    bool (*has_run)(struct ph_target *t);
    /* See ph_target_check_still(); NULL where it always is. */
    enum ph_status (*check_still)(struct ph_target *t, struct ph_error *err);
    /* See ph_target_holds(); NULL where it always does. */
    bool (*holds)(struct ph_target *t, ph_addr addr, size_t len);
    /* How many bytes of [start, end) are in the core; NULL where the target is none. */
    uint64_t (*held_bytes)(struct ph_target *t, ph_addr start, ph_addr end);
    /* Whether what is mapped at addr, anonymous and unreadable, is no memory; NULL where it always
     * is. */
    bool (*is_guard)(struct ph_target *t, ph_addr addr);
    /* The i-th name under which we may reach a mapped file; false past the last. */
    bool (*file_name)(struct ph_target *t, uint32_t file, unsigned i, struct ph_str *name);
    /* Free t->live or t->core. */
    void (*destroy)(struct ph_target *t);
};

struct ph_target {
    struct ph_target_hot hot; /* first, see target.h */
    const struct ph_backend *backend;
    const struct ph_host *host; /* may be NULL */
    bool ask_host;              /* for bytes that the backend does not have */
    struct ph_target_info info;
    struct ph_arena arena; /* strings */
    PH_ARRAY(struct ph_span) spans;
    PH_ARRAY(struct ph_region) regions;
    PH_ARRAY(struct ph_mapping) mappings;
    PH_ARRAY(struct ph_file) files;
    PH_ARRAY(struct ph_module) modules;
    bool modules_known, described;
    PH_ARRAY(struct ph_thread) threads;
    unsigned machine; /* ELF's e_machine of a live process; 0 where unknown */
    ph_addr entry;    /* AT_ENTRY, which lies in the executable; 0 where unknown */
    PH_ARRAY(const char *) complaints;
    struct ph_map file_of_path; /* hash of a path -> index into files, plus 1 */
    uint64_t missing_bytes;
    struct ph_map missing_pages; /* page numbers, so that each counts (or is asked for) once */
    size_t reserved_bytes;
    uint32_t reserved_count;
    union {
        struct ph_live *live;
        struct ph_core *core;
    };
};

/* An empty target with the given backend. NULL: out of memory. */
struct ph_target *ph_target_create(const struct ph_backend *backend, enum ph_target_kind kind,
                                   const struct ph_host *host);
/* Whether the bytes come from the target itself and not from a file that we still have to trust. */
static inline bool ph_target_holds(struct ph_target *t, ph_addr addr, size_t len)
{
    return !t->backend->holds || t->backend->holds(t, addr, len);
}
void ph_target_set_format(struct ph_target *t, unsigned word_bytes, bool big_endian);
/* Add a region; they come by ascending address. name is copied. */
bool ph_region_add(struct ph_target *t, ph_addr start, ph_addr end, unsigned flags,
                   const char *name);
/* What a region's name adds to its permissions (PH_REGION_READ, WRITE and EXEC). */
unsigned ph_region_flags(unsigned permissions, const char *name);
/* Flag the regions that threads' stack pointers point into. */
void ph_region_mark_stacks(struct ph_target *t);
/* For ph_target_missing_file(). */
void ph_target_complain(struct ph_target *t, const char *format, ...) PH_PRINTF(2, 3);
/* Frees *t; for __attribute__((cleanup)), which runs when a host throws, too. */
void ph_target_cleanup(struct ph_target **t);

/* ---- modules.c ---- */

/* Put the modules in ascending order of address. */
void ph_modules_sort(struct ph_target *t);

/* ---- loaded.c ---- */

/* The ELF header of the module around addr; 0 where none is found. */
ph_addr ph_loaded_header(struct ph_target *t, ph_addr addr);

/* A symbol's value in the ELF file, and its size. */
struct ph_found_symbol {
    ph_addr value;
    uint64_t size;
};

/* The modules whose ELF headers lie at the start of a region, or, where no regions are known, those
 * that the dynamic linker of the program at or behind `program` lists; then their segments become
 * the regions. */
bool ph_loaded_find(struct ph_target *t, ph_addr program);
/* A dynamic symbol, from the hash table that the dynamic linker uses. */
bool ph_loaded_symbol(struct ph_target *t, const struct ph_module *module, const char *name,
                      struct ph_found_symbol *found);

/* ---- host.c ---- */

/* A target that knows nothing but host->read. */
struct ph_target *ph_host_open(const struct ph_host *host);
/* Ask t->host for pages. */
void ph_host_fill(struct ph_target *t, struct ph_span *span, size_t page, size_t count);

/* ---- stop.c ---- */

struct ph_stopped_thread {
    pid_t tid;
    int signal; /* to be delivered when it goes on; 0: none */
};

struct ph_stop {
    PH_ARRAY(struct ph_stopped_thread) threads;
};

/* Stop all threads of a process, unless somebody has. On failure none is held. */
enum ph_status ph_stop_process(struct ph_stop *stop, pid_t pid, const struct ph_host *host,
                               struct ph_error *err) PH_MUST_USE;
void ph_stop_end(struct ph_stop *stop);
/* Registers of a thread that is held by us; where it is not, they are left alone. */
void ph_stop_registers(const struct ph_stop *stop, pid_t tid, ph_addr *sp, ph_addr *fs_base);

/* ---- refused.c ---- */

/* Fails with why the kernel does not let us look into a process, and what to do: it is not there,
 * has ended, is part of the kernel, belongs to somebody else, or may not be traced. Reads /proc. */
enum ph_status ph_refused(pid_t pid, struct ph_error *err) PH_MUST_USE;

/* ---- notes.c ---- */

/* Read threads, mappings, process id and entry point from a core's notes. */
bool ph_notes_read(struct ph_target *t, Elf *elf, uint64_t offset, uint64_t size);

/* Read the entry point from an auxiliary vector. */
void ph_auxv_read(struct ph_target *t, const void *bytes, size_t len);
/* Note the system call in which the kernel stopped a thread of a program for that machine
 * (e_machine): its number, negative where it is in none, and the first two arguments. */
void ph_thread_set_call(struct ph_thread *thread, unsigned machine, int64_t call,
                        const uint64_t arguments[2]);

/* ---- proc.c ---- */

/* The whole of a small file whose name is made from format. False where it cannot be read (errno
 * says why). */
bool ph_proc_read(struct ph_str *out, const char *format, ...) PH_PRINTF(2, 3);
/* What stands behind "key:" in the text of /proc/PID/status; NULL if there is no such line. */
const char *ph_proc_status(const char *text, const char *key);
/* What a link points to, without " (deleted)"; false where it cannot be read. */
bool ph_proc_link(struct ph_str *out, const char *format, ...) PH_PRINTF(2, 3);
/* The thread ids of a process, ascending, added to *tids. */
struct ph_tids {
    PH_ARRAY(pid_t) list;
};
bool ph_proc_tids(pid_t pid, struct ph_tids *tids);

bool ph_debugged_still_agrees(struct ph_target *t);

#endif
