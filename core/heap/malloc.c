#include "heap/malloc.h"

enum {
    /* The low bits of a chunk's size. */
    PREV_INUSE = 1,
    IS_MMAPPED = 2,
    FLAGS = 7,
    PAGE = 4096,
    PAGE_SHIFT = 12,
    SEARCHED = 8192, /* of an arena, for its first chunk: its own state has some 2200 bytes */
    BELIEVED = 16,   /* chunks in a row; who has so many and then none is damaged */
    CHUNKS_A_LOOK = 1 << 16,
    PAGES_A_LOOK = 1 << 10,
};

/* HEAP_MAX_SIZE: arenas other than the first have so much address space, and are aligned so. */
static uint64_t arena_bytes(unsigned word)
{
    return word == 8 ? 64ull << 20 : 1ull << 20;
}

/* What a scan works with. */
struct scan {
    struct ph_chunks *chunks;
    struct ph_python *python;
    const struct ph_host *host;
    unsigned word;
    enum ph_status status; /* not PH_OK: the scan ends */
};

struct chunk {
    uint64_t prev_bytes, bytes; /* bytes: 0 where it could not be read */
    unsigned flags;
};

static struct chunk read_chunk(const struct ph_python *python, ph_addr at)
{
    unsigned word = ph_word_bytes(python);
    const uint8_t *bytes = ph_target_view(python->target, at, 2 * word);
    if (!bytes)
        return (struct chunk){0};
    uint64_t size = ph_load_ptr(python, bytes + word);
    return (struct chunk){ph_load_ptr(python, bytes), size & ~(uint64_t)FLAGS, size & FLAGS};
}

static void add_block(struct scan *s, ph_addr start)
{
    if (!s->status && !ph_array_push(&s->chunks->starts, start))
        s->status = PH_NO_MEMORY;
}

static void add_span(struct scan *s, struct ph_chunk_span span)
{
    if (!s->status && !ph_array_push(&s->chunks->spans, span))
        s->status = PH_NO_MEMORY;
}

/* A heap that is full ends with an empty chunk and one without size (sysmalloc: fenceposts). */
static bool is_end(const struct scan *s, ph_addr at, const struct chunk *chunk, ph_addr end)
{
    if (chunk->flags & IS_MMAPPED)
        return false;
    unsigned least = 2 * s->word;
    return (chunk->bytes == 0 && at + least == end) ||
           (chunk->bytes == least && at + 2 * least == end);
}

/* Add the blocks of the heap from its first chunk to its end, the last being what was never handed
 * out. False, and nothing added, where the chunks do not lead there; *count is how many did. */
static bool walk(struct scan *s, ph_addr first, ph_addr end, uint32_t *count)
{
    struct ph_chunks *chunks = s->chunks;
    uint32_t before = chunks->starts.count;
    ph_addr at = first;
    struct chunk chunk = read_chunk(s->python, at);
    *count = 0;
    /* What is before the first chunk counts as in use, always; the interpreter's stacks of frames
     * would look like heaps of one chunk else. */
    while (!s->status && (*count || chunk.flags & PREV_INUSE)) {
        bool sane = chunk.bytes >= 4 * s->word && chunk.bytes % (2 * s->word) == 0 &&
                    !(chunk.flags & IS_MMAPPED) && chunk.bytes <= end - at;
        if (is_end(s, at, &chunk, end) || (sane && at + chunk.bytes == end)) {
            add_span(s, (struct ph_chunk_span){first, end, first, end, false});
            return true;
        }
        if (!sane)
            break;
        struct chunk next = read_chunk(s->python, at + chunk.bytes);
        if (next.flags & PREV_INUSE)
            add_block(s, at + 2 * s->word);
        else if (next.prev_bytes != chunk.bytes)
            break;
        at += chunk.bytes;
        chunk = next;
        if (++*count % CHUNKS_A_LOOK == 0 && ph_host_interrupted(s->host))
            s->status = PH_INTERRUPTED;
    }
    chunks->starts.count = before;
    return false;
}

/* The heap that was walked last is of an arena with a state of its own before its chunks. */
static void note_arena(struct scan *s, ph_addr head, ph_addr reserved_end)
{
    if (s->status)
        return;
    struct ph_chunk_span *span = &s->chunks->spans.items[s->chunks->spans.count - 1];
    span->head = head;
    span->reserved_end = reserved_end;
}

/* A further arena, or a part of one: a header with its size, in first parts the arena's state, then
 * chunks (malloc/arena.c: heap_info). */
static bool walk_arena(struct scan *s, const struct ph_region *region)
{
    uint64_t most = arena_bytes(s->word);
    uint64_t arena = ph_python_word(s->python, region->start, 0);
    uint64_t bytes = ph_python_word(s->python, region->start, 2 * s->word);
    if (region->start % most || bytes < PAGE || bytes % PAGE ||
        bytes > region->end - region->start || arena / most == 0)
        return false;
    uint32_t count, longest = 0;
    for (unsigned offset = 4 * s->word; offset < SEARCHED && offset < bytes;
         offset += 2 * s->word) {
        if (walk(s, region->start + offset, region->start + bytes, &count)) {
            note_arena(s, region->start, region->start + most);
            return true;
        }
        longest = count > longest ? count : longest;
    }
    s->chunks->damaged_count += longest >= BELIEVED;
    return false;
}

/* The first arena is the memory from brk() and has no header; but on i386 what is handed out is
 * aligned to four words, and a chunk's head has two. */
static bool walk_first_arena(struct scan *s, const struct ph_region *region)
{
    uint32_t count;
    if (walk(s, region->start, region->end, &count))
        return true;
    if (s->word == 4 && walk(s, region->start + 2 * s->word, region->end, &count)) {
        note_arena(s, region->start, region->end);
        return true;
    }
    s->chunks->damaged_count += count >= BELIEVED;
    return false;
}

/* The bytes of a block's own mapping, of which those before its head are prev_bytes; 0 where it is
 * none, and for a single page: blocks get mappings from 128 KiB on unless that is tuned, and a page
 * may begin with two such words by chance. From glibc 2.42 on the size leaves the head out. */
static uint64_t mapped_bytes(const struct chunk *chunk, unsigned word)
{
    uint64_t bytes = chunk->prev_bytes + chunk->bytes;
    if (chunk->flags != IS_MMAPPED || chunk->prev_bytes >= PAGE || chunk->bytes == 0)
        return 0;
    if (bytes % PAGE)
        bytes += 2 * word;
    return bytes % PAGE || bytes == PAGE ? 0 : bytes;
}

/* Large blocks have mappings of their own, which the kernel joins with their neighbours. */
static void find_mapped(struct scan *s, const struct ph_region *region)
{
    uint64_t step;
    uint32_t looked = 0;
    unsigned padding = s->word == 4 ? 2 * s->word : 0; /* see walk_first_arena() */
    for (ph_addr at = region->start; !s->status && at < region->end; at += step) {
        struct chunk chunk = read_chunk(s->python, at + padding);
        uint64_t bytes = chunk.prev_bytes == padding ? mapped_bytes(&chunk, s->word) : 0;
        bool is_chunk = bytes && bytes <= region->end - at;
        if (is_chunk) {
            add_block(s, at + padding + 2 * s->word);
            add_span(s, (struct ph_chunk_span){at, at + bytes, at, at + bytes, true});
        }
        step = is_chunk ? bytes : PAGE;
        if (++looked % PAGES_A_LOOK == 0 && ph_host_interrupted(s->host))
            s->status = PH_INTERRUPTED;
    }
}

/* All of it is looked at. */
static enum ph_status read_regions(const struct ph_python *python)
{
    const struct ph_region *region;
    struct ph_ranges ranges = {0};
    enum ph_status status = PH_OK;
    for (size_t i = 0; !status && (region = ph_blocks_region(python, &i)) != NULL;) {
        if (!ph_region_is_vast(region) &&
            !ph_array_push(&ranges, ((struct ph_range){region->start, region->end})))
            status = PH_NO_MEMORY;
    }
    if (!status && !ph_blocks_read_ahead(python, &ranges))
        status = PH_INTERRUPTED;
    ph_array_free(&ranges);
    return status;
}

enum ph_status ph_chunks_scan(struct ph_chunks *chunks, struct ph_python *python,
                              const struct ph_host *host, struct ph_error *err)
{
    struct scan s = {chunks, python, host, ph_word_bytes(python), read_regions(python)};
    const struct ph_region *region;
    for (size_t i = 0; !s.status && (region = ph_blocks_region(python, &i)) != NULL;) {
        if (!(region->flags & PH_REGION_STACK) && !ph_region_is_vast(region) &&
            !walk_arena(&s, region) && !walk_first_arena(&s, region))
            find_mapped(&s, region);
    }
    chunks->claimed = s.status ? NULL : ph_calloc(chunks->starts.count + 1u, 1);
    if (!s.status && !chunks->claimed)
        s.status = PH_NO_MEMORY;
    if (!s.status)
        return PH_OK;
    ph_chunks_free(chunks);
    return ph_fail(err, s.status, s.status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

void ph_chunks_free(struct ph_chunks *chunks)
{
    ph_array_free(&chunks->starts);
    ph_array_free(&chunks->spans);
    free(chunks->claimed);
    memset(chunks, 0, sizeof *chunks);
}

uint64_t ph_chunk_bytes(const struct ph_python *python, ph_addr start)
{
    unsigned word = ph_word_bytes(python);
    struct chunk chunk = read_chunk(python, start - 2 * word);
    if (chunk.flags & IS_MMAPPED) {
        uint64_t bytes = mapped_bytes(&chunk, word), head = chunk.prev_bytes + 2 * word;
        return bytes > head ? bytes - head : 0;
    }
    /* The next chunk's first word belongs to this one while it is in use. */
    return chunk.bytes > word ? chunk.bytes - word : 0;
}

bool ph_chunk_next(const struct ph_python *python, const struct ph_chunk_span *span, ph_addr at,
                   struct ph_chunk *out)
{
    if (at >= span->end)
        return false;
    struct chunk chunk = read_chunk(python, at);
    uint64_t rest = span->end - at;
    bool is_last = span->is_mapped || chunk.bytes == 0 || chunk.bytes >= rest;
    *out = (struct ph_chunk){at, is_last ? rest : chunk.bytes, span->is_mapped,
                             is_last && !span->is_mapped};
    if (!is_last)
        out->is_used = read_chunk(python, at + chunk.bytes).flags & PREV_INUSE;
    return true;
}

bool ph_chunks_number(const struct ph_chunks *chunks, const struct ph_python *python,
                      ph_addr address, uint32_t *number)
{
    uint32_t low = 0, high = chunks->starts.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (chunks->starts.items[middle] <= address)
            low = middle + 1;
        else
            high = middle;
    }
    *number = low - 1;
    return low && address - chunks->starts.items[low - 1] <
                      ph_chunk_bytes(python, chunks->starts.items[low - 1]);
}

void ph_chunks_claim(struct ph_chunks *chunks, const struct ph_python *python, ph_addr address)
{
    uint32_t number;
    if (ph_chunks_number(chunks, python, address, &number))
        chunks->claimed[number] = 1;
}

bool ph_chunks_block_at(const struct ph_chunks *chunks, const struct ph_python *python,
                        ph_addr address, ph_addr *start)
{
    uint32_t number;
    if (!ph_chunks_number(chunks, python, address, &number))
        return false;
    *start = chunks->starts.items[number];
    return true;
}

static bool leads_to_block(const struct ph_chunks *chunks, uint64_t address)
{
    for (uint32_t i = 0; i < chunks->spans.count; i++) {
        if (address >= chunks->spans.items[i].start && address < chunks->spans.items[i].end)
            return true;
    }
    return false;
}

bool ph_chunks_is_link(const struct ph_chunks *chunks, ph_addr place, uint64_t word)
{
    uint64_t plain = word ^ place >> PAGE_SHIFT;
    return plain == 0 || leads_to_block(chunks, word) || leads_to_block(chunks, plain);
}
