#include "target/internal.h"

/*
 * A debugger's read callback, cached. Nothing lists the regions here, so spans are windows of
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
    if (!page || addr >= PH_ADDR_LIMIT || t->spans.count >= MOST_WINDOWS ||
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
    (void)t;
    return true;
}

static const struct ph_backend host_backend = {
    .fill = ph_host_fill,
    .find_span = find_span,
    .has_run = has_run,
};

struct ph_target *ph_host_open(const struct ph_host *host)
{
    return ph_target_create(&host_backend, PH_TARGET_REMOTE, host);
}
