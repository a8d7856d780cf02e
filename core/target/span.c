#include "target/internal.h"

#include <sys/mman.h>
#include <unistd.h>

/* Bounds on what a hostile target can make us reserve: of the 128 TiB that a process has, and of
 * the 65530 mappings that Linux grants it, of which the debugger around us needs some. */
#define MOST_RESERVED_BYTES ((size_t)1 << 46)
enum { MOST_RESERVATIONS = 8 * 1024 };

#define HUGE_PAGE_BYTES ((uintptr_t)2 << 20)

bool ph_span_add(struct ph_target *t, ph_addr start, ph_addr end)
{
    struct ph_span *last = t->spans.count ? &t->spans.items[t->spans.count - 1] : NULL;
    if (last && last->end == start) {
        last->end = end;
        return true;
    }
    return ph_array_push(&t->spans, ((struct ph_span){.start = start, .end = end}));
}

struct ph_span *ph_span_at(struct ph_target *t, ph_addr addr)
{
    uint32_t low = 0, high = t->spans.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (addr >= t->spans.items[middle].end)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < t->spans.count && addr >= t->spans.items[low].start;
    return found ? &t->spans.items[low] : NULL;
}

static size_t host_page_ceil(size_t bytes)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page_bytes - 1) & ~(page_bytes - 1);
}

bool ph_span_reserve(struct ph_target *t, struct ph_span *span)
{
    if (span->bytes)
        return true;
    size_t page_count = ph_span_page_count(span);
    size_t data_bytes = host_page_ceil(span->shift + page_count * PH_PAGE_BYTES);
    size_t state_bytes = host_page_ceil(page_count);
    size_t bytes = data_bytes + state_bytes;
    if (t->reserved_count >= MOST_RESERVATIONS || bytes > MOST_RESERVED_BYTES - t->reserved_bytes)
        return false;
    unsigned char *memory =
        mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    if (mprotect(memory + data_bytes, state_bytes, PROT_READ | PROT_WRITE)) {
        munmap(memory, bytes);
        return false;
    }
    /* Huge pages halve the time of filling them. Where there are none, nothing is lost. */
    madvise(memory, data_bytes, MADV_HUGEPAGE);
    span->bytes = memory + span->shift;
    span->states = memory + data_bytes;
    span->reserved_bytes = bytes;
    t->reserved_bytes += bytes;
    t->reserved_count++;
    return true;
}

/* Errors are of no account: what is not there yet comes when it is looked at. */
void ph_span_populate(const struct ph_span *span, size_t page, size_t count)
{
#ifdef MADV_POPULATE_READ /* Linux 5.14 */
    uintptr_t page_mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
    uintptr_t start = (uintptr_t)span->bytes + page * PH_PAGE_BYTES;
    uintptr_t end = start + count * PH_PAGE_BYTES;
    start &= ~page_mask;
    madvise((void *)start, end - start, MADV_POPULATE_READ);
#else
    (void)span, (void)page, (void)count;
#endif
}

bool ph_span_commit(struct ph_span *span, ph_addr start, ph_addr end, ph_addr low, ph_addr high)
{
    uintptr_t base = (uintptr_t)span->bytes - ph_page_floor(span->start);
    uintptr_t page_mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
    uintptr_t first = ph_max((base + start) & ~(HUGE_PAGE_BYTES - 1), base + low);
    uintptr_t last = ph_min((base + end - 1) | (HUGE_PAGE_BYTES - 1), base + high - 1);
    first &= ~page_mask;
    last |= page_mask;
    return mprotect((void *)first, last + 1 - first, PROT_READ | PROT_WRITE) == 0;
}

void ph_span_set(struct ph_span *span, size_t page, size_t count, enum ph_page_state state)
{
    memset(span->states + page, (int)state, count);
}

void ph_span_release(struct ph_span *span)
{
    if (span->bytes)
        munmap(span->bytes - span->shift, span->reserved_bytes);
    span->bytes = span->states = NULL;
}
