#include "target/internal.h"

/*
 * A debugger's read callback, cached. Where the debugger lists no regions, spans are windows of
 * address space made around the first readable address that somebody asks for: as large as we get
 * (a TiB costs nothing but numbers), so that no object of a real heap crosses the end of one.
 */

#define LARGEST_WINDOW_BYTES  ((ph_addr)1 << 40)
#define SMALLEST_WINDOW_BYTES ((ph_addr)1 << 26)

/* 64 KiB a call: far above what a call costs, far below what a user waits for. */
enum { MOST_WINDOWS = 64, MOST_PAGES_A_CALL = 16 };

/* One call of the host's; true if all bytes came. */
static bool ask(struct ph_target *t, ph_addr addr, void *buf, size_t len)
{
    return t->host->read(t->host->ctx, addr, buf, len) == len;
}

void ph_host_fill(struct ph_target *t, struct ph_span *span, size_t page, size_t count)
{
    count = ph_min(count, MOST_PAGES_A_CALL);
    ph_addr start = ph_max(ph_span_page_address(span, page), span->start);
    ph_addr end = ph_min(ph_span_page_address(span, page + count), span->end);
    if (!ph_span_commit(span, start, end, start, end)) {
        ph_span_set(span, page, 1, PH_PAGE_ABSENT);
        return;
    }
    if (ask(t, start, ph_span_bytes(span, start), end - start)) {
        ph_span_set(span, page, count, PH_PAGE_HERE);
        return;
    }
    /* Something in there cannot be read: settle the first page now, and the others when asked for.
     */
    ph_addr page_end = ph_min(end, ph_span_page_address(span, page + 1));
    bool here = count > 1 && ask(t, start, ph_span_bytes(span, start), page_end - start);
    ph_span_set(span, page, 1, here ? PH_PAGE_HERE : PH_PAGE_ABSENT);
}

/* Make a window of at most `bytes` around addr, between the windows before and after it. */
static bool add_window(struct ph_target *t, ph_addr addr, ph_addr bytes)
{
    uint32_t at = 0;
    while (at < t->spans.count && t->spans.items[at].end <= addr)
        at++;
    ph_addr low = at ? t->spans.items[at - 1].end : PH_PAGE_BYTES;
    ph_addr high = at < t->spans.count ? t->spans.items[at].start : PH_ADDR_LIMIT;
    ph_addr middle = addr & ~(SMALLEST_WINDOW_BYTES - 1);
    struct ph_span span = {
        .start = middle > low + bytes / 2 ? middle - bytes / 2 : low,
        .end = ph_min(high, middle + ph_max(bytes / 2, SMALLEST_WINDOW_BYTES)),
    };
    if (!ph_span_reserve(t, &span))
        return false;
    if (!ph_array_push(&t->spans, span)) {
        ph_span_release(&span);
        return false;
    }
    memmove(&t->spans.items[at + 1], &t->spans.items[at], (t->spans.count - 1 - at) * sizeof span);
    t->spans.items[at] = span;
    return true;
}

static struct ph_span *find_span(struct ph_target *t, ph_addr addr)
{
    ph_addr page = addr / PH_PAGE_BYTES;
    unsigned char byte;
    if (t->info.lists_regions || !page || addr >= PH_ADDR_LIMIT || t->spans.count >= MOST_WINDOWS ||
        ph_map_find(&t->missing_pages, page, NULL))
        return NULL;
    if (!ask(t, addr, &byte, 1)) {
        if (t->missing_pages.count < PH_MOST_MISSING_PAGES)
            ph_map_insert(&t->missing_pages, page, 0);
        return NULL;
    }
    for (ph_addr bytes = LARGEST_WINDOW_BYTES; bytes >= SMALLEST_WINDOW_BYTES; bytes /= 4) {
        if (add_window(t, addr, bytes))
            return ph_span_at(t, addr);
    }
    return NULL;
}

static bool has_run(struct ph_target *t)
{
    return !t->host->has_run || t->host->has_run(t->host->ctx);
}

static const struct ph_backend host_backend = {
    .fill = ph_host_fill,
    .find_span = find_span,
    .has_run = has_run,
};

struct ph_target *ph_host_open(const struct ph_host *host)
{
    struct ph_target *t = ph_target_create(&host_backend, PH_TARGET_REMOTE, host);
    if (t)
        t->info.lists_regions = false;
    return t;
}

/* ---- What the debugger says of it ---- */

bool ph_target_wants_description(const struct ph_target *t)
{
    return t->backend == &host_backend && !t->described;
}

static bool add_regions(struct ph_target *t, const struct ph_description *d)
{
    ph_addr reached = PH_PAGE_BYTES;
    for (size_t i = 0; i < d->region_count; i++) {
        const struct ph_region *region = &d->regions[i];
        unsigned flags = ph_region_flags(region->flags, region->name);
        if (region->start < reached || region->end <= region->start || region->end > PH_ADDR_LIMIT)
            continue;
        reached = region->end;
        if (!ph_region_add(t, region->start, region->end, flags, region->name) ||
            ((flags & PH_REGION_READ) && !ph_span_add(t, region->start, region->end)))
            return false;
    }
    t->info.lists_regions = t->spans.count > 0;
    return true;
}

static bool add_threads(struct ph_target *t, const struct ph_description *d)
{
    for (size_t i = 0; i < d->thread_count; i++) {
        struct ph_thread thread = d->threads[i];
        thread.name = ph_arena_strdup(&t->arena, thread.name);
        if (!thread.name || !ph_array_push(&t->threads, thread))
            return false;
    }
    ph_region_mark_stacks(t);
    return true;
}

/* The header of any module tells how wide the target's words are and in which order their bytes. */
static void read_format(struct ph_target *t, ph_addr program)
{
    ph_addr header = program ? ph_loaded_header(t, program) : 0;
    for (uint32_t i = 0; !header && i < t->regions.count; i++) {
        if (t->regions.items[i].flags & PH_REGION_EXEC)
            header = ph_loaded_header(t, t->regions.items[i].start);
    }
    const unsigned char *ident = header ? ph_target_view(t, header, EI_NIDENT) : NULL;
    if (ident)
        ph_target_set_format(t, ident[EI_CLASS] == ELFCLASS32 ? 4 : 8,
                             ident[EI_DATA] == ELFDATA2MSB);
}

static void name_after_program(struct ph_target *t)
{
    const struct ph_region *region = ph_target_region_at(t, t->entry);
    if (region)
        t->info.path = region->name;
}

enum ph_status ph_target_describe(struct ph_target *t, const struct ph_description *description,
                                  struct ph_error *err)
{
    t->described = true;
    t->info.pid = description->pid;
    t->entry = description->program;
    bool ok = add_regions(t, description) && add_threads(t, description);
    if (ok) {
        read_format(t, description->program);
        ok = ph_loaded_find(t, description->program);
        if (!t->entry && t->modules.count) /* executables are mapped lowest */
            t->entry = t->modules.items[0].start;
        name_after_program(t);
    }
    return ok ? PH_OK : ph_fail(err, PH_NO_MEMORY, "out of memory");
}
