#include "target/target.h"

#include <stdio.h>

#include "base/checked.h"
#include "base/parallel.h"
#include "target/internal.h"

/* How much is read at once where nothing near was read before, and where the page before was: those
 * who go on get large blocks, and a look at one object in a far corner does not cost a MiB. */
enum { FIRST_BLOCK_PAGES = 16, NEXT_BLOCK_PAGES = 256 };
/* What a worker reads ahead at once: several page tables' worth, for the kernel lets one worker at
 * a time into a table. */
enum { PIECE_PAGES = 2048 };
#define VAST_SPAN_BYTES ((ph_addr)256 << 30)

/* ---- Life ---- */

struct ph_target *ph_target_create(const struct ph_backend *backend, enum ph_target_kind kind,
                                   const struct ph_host *host)
{
    struct ph_target *t = ph_calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->backend = backend;
    t->host = host;
    t->info.kind = kind;
    t->info.path = "";
    t->info.lists_regions = true;
    ph_target_set_format(t, 8, false);
    return t;
}

void ph_target_set_format(struct ph_target *t, unsigned word_bytes, bool big_endian)
{
    t->info.word_bytes = t->hot.word_bytes = word_bytes;
    t->info.big_endian = big_endian;
    t->hot.swap = big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

void ph_target_close(struct ph_target *t)
{
    if (!t)
        return;
    if (t->backend->destroy)
        t->backend->destroy(t);
    for (uint32_t i = 0; i < t->spans.count; i++)
        ph_span_release(&t->spans.items[i]);
    for (uint32_t i = 0; i < t->files.count; i++)
        ph_file_close(&t->files.items[i]);
    ph_array_free(&t->spans);
    ph_array_free(&t->regions);
    ph_array_free(&t->mappings);
    ph_array_free(&t->files);
    ph_array_free(&t->modules);
    ph_array_free(&t->threads);
    ph_array_free(&t->complaints);
    ph_map_free(&t->file_of_path);
    ph_map_free(&t->missing_pages);
    ph_arena_free(&t->arena);
    free(t);
}

void ph_target_cleanup(struct ph_target **t)
{
    ph_target_close(*t);
}

const struct ph_target_info *ph_target_info(const struct ph_target *t)
{
    return &t->info;
}

bool ph_target_has_run(struct ph_target *t)
{
    return t->backend->has_run(t) || (t->ask_host && !ph_debugged_still_agrees(t));
}

enum ph_status ph_target_check_still(struct ph_target *t, struct ph_error *err)
{
    return t->backend->check_still ? t->backend->check_still(t, err) : PH_OK;
}

/* ---- Regions and threads ---- */

bool ph_region_add(struct ph_target *t, ph_addr start, ph_addr end, unsigned flags,
                   const char *name)
{
    struct ph_region *last = t->regions.count ? &t->regions.items[t->regions.count - 1] : NULL;
    const char *kept = "";
    if (last && strcmp(last->name, name) == 0)
        kept = last->name;
    else if (*name)
        kept = ph_arena_strdup(&t->arena, name);
    struct ph_region region = {.start = start, .end = end, .flags = flags, .name = kept};
    return kept && ph_array_push(&t->regions, region);
}

/* Reading a device can change it, and the kernel's own pages hold nothing of the program's: neither
 * counts as readable. */
static bool is_memory(const char *name)
{
    if (strncmp(name, "/dev/", 5) == 0)
        return strncmp(name, "/dev/shm/", 9) == 0 || strncmp(name, "/dev/zero", 9) == 0;
    return strncmp(name, "[vvar", 5) != 0 && strcmp(name, "[vsyscall]") != 0;
}

unsigned ph_region_flags(unsigned permissions, const char *name)
{
    unsigned flags = permissions & (PH_REGION_READ | PH_REGION_WRITE | PH_REGION_EXEC);
    if (!is_memory(name))
        flags &= ~(unsigned)PH_REGION_READ;
    flags |= *name == '\0' || *name == '[' ? PH_REGION_ANON : 0;
    flags |= strcmp(name, "[stack]") == 0 ? PH_REGION_STACK : 0;
    return flags;
}

const struct ph_region *ph_target_regions(struct ph_target *t, size_t *count)
{
    *count = t->regions.count;
    return t->regions.items;
}

const struct ph_region *ph_target_region_at(struct ph_target *t, ph_addr addr)
{
    uint32_t low = 0, high = t->regions.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (addr >= t->regions.items[middle].end)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < t->regions.count && addr >= t->regions.items[low].start;
    return found ? &t->regions.items[low] : NULL;
}

bool ph_target_is_mapped(struct ph_target *t, ph_addr addr)
{
    return ph_target_region_at(t, addr) ||
           (!t->info.lists_regions && ph_target_view(t, addr, 1) != NULL);
}

void ph_region_mark_stacks(struct ph_target *t)
{
    for (uint32_t i = 0; i < t->threads.count; i++) {
        const struct ph_region *region = ph_target_region_at(t, t->threads.items[i].sp);
        if (region && (region->flags & PH_REGION_WRITE))
            t->regions.items[region - t->regions.items].flags |= PH_REGION_STACK;
    }
}

const struct ph_thread *ph_target_threads(struct ph_target *t, size_t *count)
{
    *count = t->threads.count;
    return t->threads.items;
}

/* ---- What is missing ---- */

void ph_target_complain(struct ph_target *t, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    const char *kept = ph_arena_strdup(&t->arena, line);
    if (kept)
        (void)ph_array_push(&t->complaints, kept);
}

uint64_t ph_target_missing_bytes(const struct ph_target *t)
{
    return t->missing_bytes;
}

const char *ph_target_missing_file(const struct ph_target *t, size_t i)
{
    return i < t->complaints.count ? t->complaints.items[i] : NULL;
}

/* A page without a file that a live process has by right and cannot read: a guard inside a mapping
 * (MADV_GUARD_INSTALL), as the stacks of threads have since glibc 2.42. Nothing is missing there.
 */
static bool is_guard(const struct ph_target *t, const struct ph_region *region)
{
    return t->info.kind == PH_TARGET_LIVE && (region->flags & PH_REGION_ANON);
}

/* Count the page of addr as missing, if it is mapped, readable by right, and was not counted
 * before. */
static void count_missing(struct ph_target *t, ph_addr addr)
{
    const struct ph_region *region = ph_target_region_at(t, addr);
    if (!region || !(region->flags & PH_REGION_READ) || is_guard(t, region) ||
        t->missing_pages.count >= PH_MOST_MISSING_PAGES)
        return;
    if ((region->flags & PH_REGION_ANON) && t->backend->is_guard && t->backend->is_guard(t, addr))
        return;
    bool added = false;
    ph_addr page = ph_page_floor(addr);
    if (ph_map_at(&t->missing_pages, page / PH_PAGE_BYTES, &added) && added)
        t->missing_bytes += ph_min(page + PH_PAGE_BYTES, region->end) - ph_max(page, region->start);
}

/* ---- Views ---- */

/* Pages [first, last] were unknown, and some are not to be had from the backend: ask the host for
 * those from `page` on, and leave others unknown until somebody wants them. */
static void fill_from_host(struct ph_target *t, struct ph_span *span, size_t page, size_t first,
                           size_t last)
{
    for (size_t i = first; i <= last; i++) {
        if (span->states[i] == PH_PAGE_ABSENT)
            span->states[i] = PH_PAGE_UNKNOWN;
    }
    size_t end = page;
    while (end <= last && span->states[end] == PH_PAGE_UNKNOWN)
        end++;
    if (end > page)
        ph_host_fill(t, span, page, end - page);
}

/* Settle the state of an unknown page, with as many behind it as are wanted or likely to be. */
static void fill_block(struct ph_target *t, struct ph_span *span, size_t page, size_t wanted)
{
    const unsigned char *states = span->states;
    size_t first = page, end = ph_span_page_count(span);
    bool sequential = page > 0 && states[page - 1] == PH_PAGE_HERE;
    if (!sequential) {
        size_t behind = ph_span_page_address(span, page) / PH_PAGE_BYTES % FIRST_BLOCK_PAGES;
        while (behind-- > 0 && first > 0 && states[first - 1] == PH_PAGE_UNKNOWN)
            first--;
    }
    size_t most = sequential || wanted > FIRST_BLOCK_PAGES ? NEXT_BLOCK_PAGES : FIRST_BLOCK_PAGES;
    end = ph_min(end, first + most);
    size_t last = page;
    while (last + 1 < end && states[last + 1] == PH_PAGE_UNKNOWN)
        last++;

    t->backend->fill(t, span, first, last + 1 - first);
    if (states[page] == PH_PAGE_UNKNOWN)
        t->backend->fill(t, span, page, 1);
    if (t->ask_host)
        fill_from_host(t, span, page, first, last);
}

/* Read what is not here yet of [addr, end), which the span holds. Yields the first address that
 * cannot be had, or end. */
static ph_addr settle(struct ph_target *t, struct ph_span *span, ph_addr addr, ph_addr end)
{
    if (!ph_span_reserve(t, span))
        return addr;
    size_t last = ph_span_page(span, end - 1);
    for (size_t page = ph_span_page(span, addr); page <= last; page++) {
        if (span->states[page] == PH_PAGE_UNKNOWN)
            fill_block(t, span, page, last + 1 - page);
        if (span->states[page] != PH_PAGE_HERE)
            return ph_max(addr, ph_span_page_address(span, page));
    }
    return end;
}

/* Let the fast path find what is here around addr, within the same MiB. */
static void remember(struct ph_target *t, const struct ph_span *span, ph_addr addr)
{
    const ph_addr window_bytes = (ph_addr)1 << PH_TARGET_WINDOW_SHIFT;
    ph_addr low = addr & ~(window_bytes - 1), high = low + window_bytes - 1;
    size_t first = ph_span_page(span, addr), last = first;
    size_t first_limit = ph_span_page(span, ph_max(low, span->start));
    size_t last_limit = ph_span_page(span, ph_min(high, span->end - 1));
    while (first > first_limit && span->states[first - 1] == PH_PAGE_HERE)
        first--;
    while (last < last_limit && span->states[last + 1] == PH_PAGE_HERE)
        last++;

    ph_addr start = ph_max(ph_span_page_address(span, first), span->start);
    ph_addr end = ph_min(ph_span_page_address(span, last + 1), span->end);
    t->hot.windows[(addr >> PH_TARGET_WINDOW_SHIFT) % PH_TARGET_WINDOW_COUNT] =
        (struct ph_target_window){
            .start = start, .len = end - start, .bytes = ph_span_bytes(span, start)};
}

static struct ph_span *find_span(struct ph_target *t, ph_addr addr)
{
    struct ph_span *span = ph_span_at(t, addr);
    return span || !t->backend->find_span ? span : t->backend->find_span(t, addr);
}

bool ph_target_sample(struct ph_target *t, ph_addr start, uint64_t step, size_t len, size_t count,
                      uint8_t *out)
{
    return t->backend->sample && t->backend->sample(t, start, step, len, count, out);
}

/* ---- Reading ahead ---- */

struct reading {
    struct ph_target *t;
    struct ph_span *span;
    size_t first;            /* page */
    struct ph_pieces pieces; /* of the pages from there */
    unsigned percent, end_percent;
};

static void look_around(struct reading *r, uint64_t done)
{
    const struct ph_host *host = r->t->host;
    if (ph_host_interrupted(host))
        ph_pieces_stop(&r->pieces);
    ph_host_progress(host, "reading memory",
                     r->percent +
                         (unsigned)(done * (r->end_percent - r->percent) / r->pieces.count));
}

static void read_pieces(void *ctx, unsigned worker)
{
    struct reading *r = ctx;
    uint64_t at, end;
    while (ph_pieces_next(&r->pieces, &at, &end)) {
        if (worker == 0)
            look_around(r, at);
        size_t page = r->first + at, last = r->first + end;
        while (page < last) {
            size_t count = 0;
            while (page + count < last && r->span->states[page + count] == PH_PAGE_UNKNOWN)
                count++;
            if (count) {
                r->t->backend->fill(r->t, r->span, page, count);
                ph_span_populate(r->span, page, count);
            }
            page += count ? count : 1;
        }
    }
}

bool ph_target_read_ahead(struct ph_target *t, ph_addr start, ph_addr end, unsigned percent,
                          unsigned end_percent)
{
    unsigned workers = ph_worker_count();
    struct ph_span *span = ph_span_at(t, start);
    if (!span || end > span->end || end - start < NEXT_BLOCK_PAGES * PH_PAGE_BYTES ||
        workers == 1 || !t->backend->can_share || !t->backend->can_share(t, start, end) ||
        !ph_span_reserve(t, span))
        return true;
    /* Whole pages, for the others may belong to something else in part. */
    size_t first = ph_span_page(span, start + PH_PAGE_BYTES - 1);
    size_t last = ph_span_page(span, end);
    struct reading r = {
        .t = t,
        .span = span,
        .first = first,
        .pieces = {.count = last - first, .piece = PIECE_PAGES},
        .percent = percent,
        .end_percent = end_percent,
    };
    /* The first is read by one: it settles what is settled once for all. */
    if (span->states[first] == PH_PAGE_UNKNOWN)
        t->backend->fill(t, span, first, 1);
    ph_parallel(workers, read_pieces, &r);
    if (t->ask_host) {
        for (size_t page = first; page < last; page++) {
            if (span->states[page] == PH_PAGE_ABSENT)
                span->states[page] = PH_PAGE_UNKNOWN;
        }
    }
    return !r.pieces.stopped;
}

/* ---- Frozen ---- */

static _Thread_local bool missed;

/* Nothing can be remembered any more from here on. Vast spans are mostly address space in which
 * nothing is; there, what was remembered before has to do. */
void ph_target_freeze(struct ph_target *t)
{
    const ph_addr window_bytes = (ph_addr)1 << PH_TARGET_WINDOW_SHIFT;
    for (uint32_t i = 0; i < t->spans.count; i++) {
        const struct ph_span *span = &t->spans.items[i];
        bool is_vast = span->end - span->start > VAST_SPAN_BYTES;
        size_t end = span->bytes && !is_vast ? ph_span_page_count(span) : 0;
        for (size_t page = 0; page < end;) {
            ph_addr addr = ph_max(ph_span_page_address(span, page), span->start);
            if (span->states[page] == PH_PAGE_HERE) {
                remember(t, span, addr);
                page = ph_span_page(span, addr | (window_bytes - 1)) + 1;
            } else {
                page++;
            }
        }
    }
    t->hot.frozen = true;
}

void ph_target_thaw(struct ph_target *t)
{
    t->hot.frozen = false;
}

void ph_target_miss(void)
{
    missed = true;
}

bool ph_target_missed(void)
{
    bool any = missed;
    missed = false;
    return any;
}

/* As ph_target_view_some(), from what is here. To find less than `max` is a miss, but where nothing
 * is mapped. */
static const void *view_frozen(struct ph_target *t, ph_addr addr, size_t max, size_t *len)
{
    const struct ph_span *span = max ? ph_span_at(t, addr) : NULL;
    if (span && span->bytes) {
        ph_addr end = addr + ph_min(max, span->end - addr), at = addr;
        for (size_t page = ph_span_page(span, addr); at < end && span->states[page] == PH_PAGE_HERE;
             page++)
            at = ph_min(end, ph_span_page_address(span, page + 1));
        *len = at - addr;
    }
    if (*len < max && (!t->info.lists_regions || ph_target_region_at(t, addr + *len)))
        ph_target_miss();
    return *len ? ph_span_bytes(span, addr) : NULL;
}

const void *ph_target_view_some(struct ph_target *t, ph_addr addr, size_t max, size_t *len)
{
    *len = 0;
    if (t->hot.frozen)
        return view_frozen(t, addr, max, len);
    struct ph_span *span = max ? find_span(t, addr) : NULL;
    if (!span)
        return NULL;
    ph_addr end = settle(t, span, addr, addr + ph_min(max, span->end - addr));
    if (end == addr)
        return NULL;
    remember(t, span, addr);
    *len = end - addr;
    return ph_span_bytes(span, addr);
}

const void *ph_target_view_slow(struct ph_target *t, ph_addr addr, size_t len)
{
    if (!len)
        return NULL;
    size_t had = 0;
    if (t->hot.frozen) {
        const void *frozen = view_frozen(t, addr, len, &had);
        return had == len ? frozen : NULL;
    }
    const struct ph_span *span = find_span(t, addr);
    bool may_fit = span && len <= span->end - addr;
    const void *bytes = may_fit ? ph_target_view_some(t, addr, len, &had) : NULL;
    if (bytes && had == len)
        return bytes;
    count_missing(t, !span || may_fit ? addr + had : span->end);
    return NULL;
}

const char *ph_target_cstring(struct ph_target *t, ph_addr addr, size_t max, size_t *len)
{
    uint64_t most = ph_add_saturated(max, 1);
    size_t want = ph_page_floor(addr) + PH_PAGE_BYTES - addr;
    for (size_t seen = 0, had;; want = 2 * had) {
        const char *text = ph_target_view_some(t, addr, ph_min(want, most), &had);
        const char *end = had > seen ? memchr(text + seen, '\0', had - seen) : NULL;
        if (end) {
            *len = (size_t)(end - text);
            return text;
        }
        if (had == seen || had >= most)
            return NULL;
        seen = had;
    }
}
