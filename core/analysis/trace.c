#include "analysis/trace.h"

#include "analysis/filter.h"
#include "base/checked.h"
#include "objects/str.h"

enum {
    LOOK = 1 << 14, /* entries or objects handled between two looks at Ctrl-C */
    MAX_FILE_CHARS = 64 << 10,
};

/* ---- reading ---- */

struct reader {
    struct ph_traces *traces;
    const struct ph_python *python;
    const struct ph_host *host;
    uint64_t handled;
};

static bool interrupted(struct reader *r)
{
    return ++r->handled % LOOK == 0 && ph_host_interrupted(r->host);
}

static void append_file(struct ph_objects *objects, ph_addr name, struct ph_str *out)
{
    size_t len;
    const char *text = NULL;
    if (objects->python->layout.traits.trace_filename == PH_TRACE_FILENAME_STR) {
        if (!ph_str_object_text(objects, name, MAX_FILE_CHARS, out))
            ph_str_append(out, "<unreadable>");
        return;
    }
    text = ph_target_cstring(objects->python->target, name, MAX_FILE_CHARS, &len);
    if (text)
        ph_str_append_visible(out, text, len);
    else
        ph_str_append(out, "<unreadable>");
}

/* The index of the file name at an address; false: out of memory. tracemalloc keeps each name once.
 */
static bool file_at(struct ph_traces *t, ph_addr name, uint32_t *file)
{
    ph_addr key = name ? name : UINT64_MAX; /* 0 is no key of a map */
    if (ph_map_find(&t->file_ids, key, file))
        return true;
    struct ph_str text = {0};
    append_file(&t->heap->objects, name, &text);
    const char *copy = text.failed ? NULL : ph_arena_strdup(&t->arena, ph_str_text(&text));
    ph_str_free(&text);
    *file = t->files.count;
    return copy && ph_array_push(&t->files, copy) && ph_map_insert(&t->file_ids, key, *file);
}

static enum ph_status add_frames(struct ph_traces *t, const struct ph_python *python,
                                 const struct ph_trace_place *place)
{
    for (uint32_t i = 0; i < place->frame_count; i++) {
        struct ph_trace_frame frame;
        ph_addr name = ph_tracemalloc_frame(python, place, i, &frame.line);
        if (!file_at(t, name, &frame.file) || !ph_array_push(&t->frames, frame))
            return PH_NO_MEMORY;
    }
    return PH_OK;
}

/* The index of the traceback at an address, read at the first call. */
static enum ph_status traceback_at(struct reader *r, ph_addr address, uint32_t *index)
{
    struct ph_traces *t = r->traces;
    struct ph_trace_place place;
    if (ph_map_find(&t->traceback_ids, address, index))
        return PH_OK;
    if (!ph_tracemalloc_place(r->python, address, &place))
        return PH_BAD_DATA;
    struct ph_trace_traceback traceback = {
        .first_frame = t->frames.count,
        .frame_count = place.frame_count,
        .total_frames = place.total_frames,
    };
    *index = t->tracebacks.count;
    enum ph_status status = add_frames(t, r->python, &place);
    if (!status && (!ph_array_push(&t->tracebacks, traceback) ||
                    !ph_map_insert(&t->traceback_ids, address, *index)))
        status = PH_NO_MEMORY;
    return status;
}

static enum ph_status add_trace(struct reader *r, const struct ph_hashtable_entry *entry,
                                uint32_t domain)
{
    struct ph_trace_block block = {.address = entry->key, .domain = domain};
    ph_addr traceback;
    enum ph_status status = PH_BAD_DATA;
    if (ph_tracemalloc_trace(r->python, entry->data, &block.bytes, &traceback))
        status = traceback_at(r, traceback, &block.traceback);
    if (status == PH_BAD_DATA) {
        r->traces->damaged++;
        return PH_OK;
    }
    return status || ph_array_push(&r->traces->blocks, block) ? status : PH_NO_MEMORY;
}

/* All of one table; to 3.8, where domains share it, each key tells its own. */
static enum ph_status read_table(struct reader *r, const struct ph_hashtable *table,
                                 uint32_t domain)
{
    struct ph_hashtable_walk walk = {0};
    struct ph_hashtable_entry entry;
    enum ph_status status = PH_OK;
    while (!status && ph_hashtable_next(r->python, table, &walk, &entry)) {
        status = add_trace(r, &entry, domain ? domain : entry.more);
        if (!status && interrupted(r))
            status = PH_INTERRUPTED;
    }
    r->traces->damaged += walk.lost;
    return status;
}

static enum ph_status read_tables(struct reader *r)
{
    const struct ph_tracemalloc *source = &r->traces->source;
    struct ph_hashtable_walk walk = {0};
    struct ph_hashtable_entry entry;
    struct ph_hashtable table;
    enum ph_status status = read_table(r, &source->traces, 0);
    while (!status && ph_hashtable_next(r->python, &source->domains, &walk, &entry)) {
        if (ph_hashtable_open(r->python, entry.data, &table))
            status = read_table(r, &table, (uint32_t)entry.key);
        else
            r->traces->damaged++;
    }
    r->traces->damaged += walk.lost;
    return status;
}

static int by_address(const void *a, const void *b)
{
    const struct ph_trace_block *x = a, *y = b;
    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    return (x->domain > y->domain) - (x->domain < y->domain);
}

/* Put the blocks in order, each once: only a damaged table, whose chains run in circles, leads to
 * one again. */
static void sort_once(struct ph_traces *t)
{
    uint32_t kept = 0;
    if (t->blocks.count)
        qsort(t->blocks.items, t->blocks.count, sizeof *t->blocks.items, by_address);
    for (uint32_t i = 0; i < t->blocks.count; i++) {
        if (!kept || by_address(&t->blocks.items[kept - 1], &t->blocks.items[i]) != 0)
            t->blocks.items[kept++] = t->blocks.items[i];
    }
    t->damaged += t->blocks.count - kept;
    t->blocks.count = kept;
}

/* ---- what lies in the blocks ---- */

/* The last block that begins at an address or before it; NULL where none does. */
static struct ph_trace_block *last_up_to(const struct ph_traces *t, ph_addr address)
{
    uint32_t low = 0, high = t->blocks.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->blocks.items[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &t->blocks.items[low - 1] : NULL;
}

static bool covers(const struct ph_trace_block *block, ph_addr address)
{
    return address == block->address || address - block->address < block->bytes;
}

static struct ph_trace_block *block_over(const struct ph_traces *t, ph_addr address)
{
    struct ph_trace_block *block = last_up_to(t, address);
    if (!block || !covers(block, address))
        return NULL;
    /* Of several domains that trace the same memory, Python's own comes first. */
    while (block > t->blocks.items && block[-1].address == block->address &&
           covers(&block[-1], address))
        block--;
    return block;
}

const struct ph_trace_block *ph_traces_find(const struct ph_traces *traces, ph_addr address)
{
    return block_over(traces, address);
}

/* An object lies behind what its type puts before it: a GC header, and two words for __dict__ and
 * weak references. */
static void place_object(const struct ph_heap *heap, struct ph_trace_block *block)
{
    const uint32_t word = ph_word_bytes(heap->objects.python);
    const uint32_t most = ph_python_gc_header_bytes(heap->objects.python) + 2 * word;
    for (uint32_t header = 0; header <= most && block->domain == 0; header += word) {
        uint32_t id = ph_heap_find(heap, block->address + header);
        if (id == PH_NO_OBJECT || ph_heap_type(heap, id)->header_bytes != header)
            continue;
        block->content = PH_TRACE_OBJECT;
        block->type = heap->type_ids[id];
        return;
    }
}

struct buffers {
    struct ph_traces *traces;
    uint32_t owner; /* type id */
};

static void place_buffer(void *ctx, ph_addr start, uint64_t bytes, const char *what)
{
    const struct buffers *b = ctx;
    struct ph_trace_block *block = block_over(b->traces, start);
    (void)bytes;
    (void)what;
    if (block && block->content == PH_TRACE_RAW) {
        block->content = PH_TRACE_BUFFER;
        block->type = b->owner;
    }
}

static enum ph_status place_all(struct reader *r)
{
    struct ph_traces *t = r->traces;
    struct ph_heap *heap = t->heap;
    struct ph_object o;
    for (uint32_t i = 0; i < t->blocks.count; i++) {
        place_object(heap, &t->blocks.items[i]);
        if (interrupted(r))
            return PH_INTERRUPTED;
    }
    for (uint32_t id = 0; id < heap->count && t->blocks.count; id++) {
        struct buffers b = {t, heap->type_ids[id]};
        if (ph_heap_open(heap, id, &o))
            ph_object_buffers(&heap->objects, &o, &(struct ph_buffer_visitor){place_buffer, &b});
        if (interrupted(r))
            return PH_INTERRUPTED;
    }
    return PH_OK;
}

static enum ph_status fail(enum ph_status status, struct ph_error *err)
{
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

enum ph_status ph_traces_read(struct ph_heap *heap, const struct ph_host *host,
                              struct ph_traces *out, struct ph_error *err)
{
    *out = (struct ph_traces){.heap = heap};
    struct reader r = {.traces = out, .python = heap->objects.python, .host = host};
    ph_tracemalloc_find(r.python, &out->source);
    if (!out->source.tracing)
        return PH_OK;
    enum ph_status status = read_tables(&r);
    if (!status) {
        sort_once(out);
        status = place_all(&r);
    }
    if (!status)
        return PH_OK;
    ph_traces_free(out);
    return fail(status, err);
}

void ph_traces_free(struct ph_traces *traces)
{
    ph_array_free(&traces->blocks);
    ph_array_free(&traces->tracebacks);
    ph_array_free(&traces->frames);
    ph_array_free(&traces->files);
    ph_arena_free(&traces->arena);
    ph_map_free(&traces->traceback_ids);
    ph_map_free(&traces->file_ids);
}

/* ---- by place ---- */

struct grouping {
    const struct ph_traces *traces;
    enum ph_trace_group group;
};

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_frames(const struct ph_traces *t, const struct ph_trace_frame *a,
                          const struct ph_trace_frame *b, bool lines)
{
    int order = a->file == b->file ? 0 : strcmp(t->files.items[a->file], t->files.items[b->file]);
    return order || !lines ? order : compare_numbers(a->line, b->line);
}

/* Tracebacks as the groups see them: 0 where they belong to one. */
static int compare_tracebacks(const struct grouping *g, uint32_t a, uint32_t b)
{
    const struct ph_traces *t = g->traces;
    const struct ph_trace_traceback *x = &t->tracebacks.items[a], *y = &t->tracebacks.items[b];
    uint32_t frames = x->frame_count < y->frame_count ? x->frame_count : y->frame_count;
    int order = 0;
    if (g->group != PH_TRACE_BY_TRACEBACK)
        frames = 1;
    for (uint32_t i = 0; i < frames && !order; i++)
        order = compare_frames(t, &t->frames.items[x->first_frame + i],
                               &t->frames.items[y->first_frame + i], g->group != PH_TRACE_BY_FILE);
    return order || g->group != PH_TRACE_BY_TRACEBACK
               ? order
               : compare_numbers(x->frame_count, y->frame_count);
}

static int by_group(const void *a, const void *b, void *ctx)
{
    return compare_tracebacks(ctx, *(const uint32_t *)a, *(const uint32_t *)b);
}

/* The site of each traceback, sites in the order of their places. NULL: out of memory. */
static uint32_t *make_sites(const struct ph_traces *t, enum ph_trace_group group,
                            struct ph_trace_sites *out)
{
    struct grouping g = {t, group};
    uint32_t count = t->tracebacks.count;
    uint32_t *order = ph_malloc((count + 1u) * sizeof *order);
    uint32_t *site_of = ph_malloc((count + 1u) * sizeof *site_of);
    bool ok = order && site_of;
    for (uint32_t i = 0; ok && i < count; i++)
        order[i] = i;
    if (ok)
        qsort_r(order, count, sizeof *order, by_group, &g);
    for (uint32_t i = 0; ok && i < count; i++) {
        if (i == 0 || compare_tracebacks(&g, order[i - 1], order[i]) != 0)
            ok = ph_array_push(&out->items, ((struct ph_trace_site){.traceback = order[i]}));
        site_of[order[i]] = out->items.count - 1;
    }
    free(order);
    if (ok)
        return site_of;
    free(site_of);
    return NULL;
}

static bool add_to_domain(struct ph_trace_sites *out, const struct ph_trace_block *block)
{
    uint32_t i = 0;
    while (i < out->domains.count && out->domains.items[i].domain != block->domain)
        i++;
    if (i == out->domains.count &&
        !ph_array_push(&out->domains, ((struct ph_trace_domain){.domain = block->domain})))
        return false;
    out->domains.items[i].count++;
    out->domains.items[i].bytes += block->bytes;
    return true;
}

/* Add a block to its site, and to the sum of what lies there. `sums` maps site and content to the
 * sum. */
static bool add_block(struct ph_trace_sites *out, struct ph_map *sums, uint32_t site,
                      const struct ph_trace_block *block)
{
    uint64_t content = block->content == PH_TRACE_RAW
                           ? 0
                           : 2 * (uint64_t)block->type + (block->content == PH_TRACE_BUFFER) + 1;
    bool added;
    uint32_t *index = ph_map_at(sums, ((uint64_t)site + 1) << 32 | content, &added);
    if (!index)
        return false;
    if (added) {
        *index = out->sums.count;
        struct ph_trace_sum sum = {.site = site, .content = block->content, .type = block->type};
        if (!ph_array_push(&out->sums, sum))
            return false;
    }
    struct ph_trace_sum *sum = &out->sums.items[*index];
    struct ph_trace_site *s = &out->items.items[site];
    sum->count++;
    sum->bytes += block->bytes;
    s->count++;
    s->bytes += block->bytes;
    out->count++;
    out->bytes += block->bytes;
    return true;
}

static bool accepts(const struct ph_trace_filter *filter, const uint8_t *types,
                    const struct ph_trace_block *block)
{
    if (filter->one_domain && block->domain != filter->domain)
        return false;
    return !filter->type_glob || (block->content != PH_TRACE_RAW && types[block->type]);
}

static int by_site_and_bytes(const void *a, const void *b)
{
    const struct ph_trace_sum *x = a, *y = b;
    if (x->site != y->site)
        return compare_numbers(x->site, y->site);
    if (x->bytes != y->bytes)
        return compare_numbers(y->bytes, x->bytes);
    int order = compare_numbers(x->content, y->content);
    return order ? order : compare_numbers(x->type, y->type);
}

/* Sums stand in the order of the sites' places. */
static int by_bytes(const void *a, const void *b)
{
    const struct ph_trace_site *x = a, *y = b;
    if (x->bytes != y->bytes)
        return compare_numbers(y->bytes, x->bytes);
    return x->count != y->count ? compare_numbers(y->count, x->count)
                                : compare_numbers(x->first_sum, y->first_sum);
}

static int by_count(const void *a, const void *b)
{
    const struct ph_trace_site *x = a, *y = b;
    return x->count != y->count ? compare_numbers(y->count, x->count) : by_bytes(a, b);
}

/* Give each site its sums, drop those without, and put the others in order. */
static void order_sites(struct ph_trace_sites *out, enum ph_trace_order order)
{
    uint32_t kept = 0;
    if (out->sums.count)
        qsort(out->sums.items, out->sums.count, sizeof *out->sums.items, by_site_and_bytes);
    for (uint32_t i = 0; i < out->sums.count; i++) {
        struct ph_trace_site *site = &out->items.items[out->sums.items[i].site];
        if (site->sum_count++ == 0)
            site->first_sum = i;
    }
    for (uint32_t i = 0; i < out->items.count; i++) {
        if (out->items.items[i].sum_count)
            out->items.items[kept++] = out->items.items[i];
    }
    out->items.count = kept;
    if (kept && order != PH_TRACE_ORDER_SITE)
        qsort(out->items.items, kept, sizeof *out->items.items,
              order == PH_TRACE_ORDER_COUNT ? by_count : by_bytes);
}

static int by_domain(const void *a, const void *b)
{
    const struct ph_trace_domain *x = a, *y = b;
    return compare_numbers(x->domain, y->domain);
}

enum ph_status ph_trace_sites_make(const struct ph_traces *traces, enum ph_trace_group group,
                                   enum ph_trace_order order, const struct ph_trace_filter *filter,
                                   struct ph_trace_sites *out, struct ph_error *err)
{
    *out = (struct ph_trace_sites){0};
    struct ph_filter by_type = PH_FILTER_ALL;
    struct ph_map sums = {0};
    by_type.type_glob = filter->type_glob;
    uint8_t *types = ph_filter_types(traces->heap, &by_type);
    uint32_t *site_of = make_sites(traces, group, out);
    bool ok = types && site_of;
    for (uint32_t i = 0; ok && i < traces->blocks.count; i++) {
        const struct ph_trace_block *block = &traces->blocks.items[i];
        ok = add_to_domain(out, block) && (!accepts(filter, types, block) ||
                                           add_block(out, &sums, site_of[block->traceback], block));
    }
    if (ok) {
        order_sites(out, order);
        if (out->domains.count)
            qsort(out->domains.items, out->domains.count, sizeof *out->domains.items, by_domain);
    }
    free(types);
    free(site_of);
    ph_map_free(&sums);
    if (ok)
        return PH_OK;
    ph_trace_sites_free(out);
    return fail(PH_NO_MEMORY, err);
}

void ph_trace_sites_free(struct ph_trace_sites *sites)
{
    ph_array_free(&sites->items);
    ph_array_free(&sites->sums);
    ph_array_free(&sites->domains);
}

/* ---- its own cost ---- */

struct cost {
    const struct ph_python *python;
    ph_trace_own_fn own;
    void *ctx;
    uint64_t *reported;
};

static void add_allocation(const struct cost *c, ph_addr start, uint64_t bytes)
{
    c->own(c->ctx, start, bytes);
}

/* What an entry of a table holds besides itself; NULL for the table of domains. */
typedef void (*held_fn)(const struct cost *c, const struct ph_hashtable_entry *entry);

static void add_trace_data(const struct cost *c, const struct ph_hashtable_entry *entry)
{
    if (!ph_has(c->python->layout.hashtable.key_size)) /* else it is in the entry */
        add_allocation(c, entry->data, (uint64_t)c->python->layout.trace.size);
}

static void add_traceback(const struct cost *c, const struct ph_hashtable_entry *entry)
{
    struct ph_trace_place place;
    uint64_t frame = (uint64_t)c->python->layout.trace_frame.size;
    if (ph_tracemalloc_place(c->python, entry->key, &place))
        add_allocation(c, entry->key, place.frames - entry->key + place.frame_count * frame);
}

static void add_filename(const struct cost *c, const struct ph_hashtable_entry *entry)
{
    size_t len;
    if (c->python->layout.traits.trace_filename == PH_TRACE_FILENAME_UTF8 &&
        ph_target_cstring(c->python->target, entry->key, MAX_FILE_CHARS, &len))
        add_allocation(c, entry->key, len + 1);
}

static enum ph_status add_table(const struct cost *c, const struct ph_hashtable *table,
                                held_fn held, const struct ph_host *host)
{
    struct ph_hashtable_walk walk = {0};
    struct ph_hashtable_entry entry;
    if (!table->address)
        return PH_OK;
    if (held) /* CPython forgets the table of domains */
        *c->reported += ph_hashtable_bytes(c->python, table);
    add_allocation(c, table->address, (uint64_t)c->python->layout.hashtable.size);
    add_allocation(c, table->buckets, table->bucket_count * ph_word_bytes(c->python));
    while (ph_hashtable_next(c->python, table, &walk, &entry)) {
        add_allocation(c, entry.address, ph_hashtable_entry_bytes(c->python, table));
        if (held)
            held(c, &entry);
        if (walk.seen % LOOK == 0 && ph_host_interrupted(host))
            return PH_INTERRUPTED;
    }
    return PH_OK;
}

static enum ph_status add_domains(const struct cost *c, const struct ph_hashtable *domains,
                                  const struct ph_host *host)
{
    struct ph_hashtable_walk walk = {0};
    struct ph_hashtable_entry entry;
    struct ph_hashtable table;
    enum ph_status status = PH_OK;
    while (!status && ph_hashtable_next(c->python, domains, &walk, &entry)) {
        if (ph_hashtable_open(c->python, entry.data, &table))
            status = add_table(c, &table, add_trace_data, host);
    }
    return status;
}

enum ph_status ph_trace_cost_visit(const struct ph_python *python,
                                   const struct ph_tracemalloc *tracemalloc,
                                   const struct ph_host *host, ph_trace_own_fn own, void *ctx,
                                   uint64_t *reported)
{
    struct cost c = {python, own, ctx, reported};
    *reported = 0;
    enum ph_status status = add_table(&c, &tracemalloc->traces, add_trace_data, host);
    if (!status)
        status = add_table(&c, &tracemalloc->tracebacks, add_traceback, host);
    if (!status)
        status = add_table(&c, &tracemalloc->filenames, add_filename, host);
    if (!status)
        status = add_table(&c, &tracemalloc->domains, NULL, host);
    if (!status)
        status = add_domains(&c, &tracemalloc->domains, host);
    return status;
}

struct allocated_sum {
    const struct ph_heap *heap;
    struct ph_trace_cost *sum;
};

static void add_allocated(void *ctx, ph_addr start, uint64_t bytes)
{
    const struct allocated_sum *s = ctx;
    s->sum->allocated += ph_heap_block_bytes(s->heap, start, bytes);
    s->sum->blocks++;
}

enum ph_status ph_trace_cost_measure(const struct ph_heap *heap,
                                     const struct ph_tracemalloc *tracemalloc,
                                     const struct ph_host *host, struct ph_trace_cost *out,
                                     struct ph_error *err)
{
    struct allocated_sum s = {heap, out};
    *out = (struct ph_trace_cost){0};
    enum ph_status status = ph_trace_cost_visit(heap->objects.python, tracemalloc, host,
                                                add_allocated, &s, &out->reported);
    return status ? fail(status, err) : PH_OK;
}
