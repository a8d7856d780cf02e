#include "analysis/values.h"

#include "base/siphash.h"

enum {
    IDS_A_PIECE = 1 << 12,
    BUCKET_BITS = 8,
    BUCKETS = 1 << BUCKET_BITS,
};

/* An object with a value, once those have been counted. */
struct entry {
    uint64_t hash;
    uint32_t id;
};

struct grouping {
    struct ph_heap *heap;
    const struct ph_host *host;
    const struct ph_filter *filter;
    unsigned choices; /* enum ph_value_choice */
    struct ph_siphash_key key;
    uint8_t *types;       /* those that pass */
    uint32_t type_count;  /* of those */
    uint64_t *hashes;     /* by id; 0: has no part in it */
    struct entry *sorted; /* by hash, then id */
    uint32_t counts[BUCKETS + 1];
    struct ph_value_groups *groups;
};

/* ---- hashing ---- */

static uint64_t hash_value(const struct grouping *g, uint32_t type_id, const struct ph_content *c)
{
    const uint64_t parts[] = {
        ph_siphash(&g->key, c->at, c->count * c->unit_bytes),
        c->count,
        (uint64_t)type_id << 32 | c->unit_bytes << 1 | c->negative,
    };
    uint64_t hash = ph_siphash(&g->key, parts, sizeof parts);
    return hash ? hash : 1;
}

static bool is_chosen(const struct grouping *g, uint32_t id)
{
    const struct ph_heap *heap = g->heap;
    return !(g->choices & PH_VALUES_NO_STATIC) || (heap->flags[id] & PH_OBJECT_IN_BLOCK) ||
           !ph_heap_is_static(heap, ph_heap_address(heap, id));
}

static void hash_piece(void *ctx, uint32_t first, uint32_t end)
{
    const struct grouping *g = ctx;
    struct ph_heap *heap = g->heap;
    for (uint32_t id = first; id < end; id++) {
        struct ph_object o;
        struct ph_content content;
        uint64_t bytes;
        uint32_t type = heap->type_ids[id];
        bool wanted = type < g->type_count &&
                      ph_filter_accepts(heap, g->filter, g->types, id, &bytes) &&
                      is_chosen(g, id) && ph_heap_open(heap, id, &o) &&
                      ph_object_content(&heap->objects, &o, &content);
        g->hashes[id] = wanted ? hash_value(g, type, &content) : 0;
    }
}

/* ---- sorting ---- */

static unsigned bucket_of(uint64_t hash)
{
    return (unsigned)(hash >> (64 - BUCKET_BITS));
}

static int by_hash(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Into buckets by the first bits, so that each is small and Ctrl-C need not wait for all. */
static bool fill_buckets(struct grouping *g)
{
    uint32_t next[BUCKETS];
    for (uint32_t id = 0; id < g->heap->count; id++) {
        if (g->hashes[id])
            g->counts[bucket_of(g->hashes[id]) + 1]++;
    }
    for (unsigned b = 0; b < BUCKETS; b++) {
        g->counts[b + 1] += g->counts[b];
        next[b] = g->counts[b];
    }
    g->sorted = ph_malloc(((size_t)g->counts[BUCKETS] + 1) * sizeof *g->sorted);
    for (uint32_t id = 0; g->sorted && id < g->heap->count; id++) {
        if (g->hashes[id])
            g->sorted[next[bucket_of(g->hashes[id])]++] = (struct entry){g->hashes[id], id};
    }
    return g->sorted;
}

/* ---- groups ---- */

static bool open_value(struct grouping *g, uint32_t id, struct ph_content *out)
{
    struct ph_object o;
    return ph_heap_open(g->heap, id, &o) && ph_object_content(&g->heap->objects, &o, out);
}

static bool same_value(struct grouping *g, uint32_t a, uint32_t b)
{
    struct ph_content x, y;
    if (g->heap->type_ids[a] != g->heap->type_ids[b] || !open_value(g, a, &x) ||
        !open_value(g, b, &y))
        return false;
    return x.count == y.count && x.unit_bytes == y.unit_bytes && x.negative == y.negative &&
           memcmp(x.at, y.at, x.count * x.unit_bytes) == 0;
}

static void add_to_group(struct grouping *g, struct ph_value_group *group, uint32_t id)
{
    uint64_t bytes = ph_heap_sizeof(g->heap, id);
    group->count++;
    group->bytes += bytes;
    if (bytes > group->largest)
        group->largest = bytes;
    if (g->choices & PH_VALUES_ALLOCATED)
        group->allocated += ph_heap_allocated(g->heap, id);
}

/* The entries have one hash, and but for a chance of 2^-64 one value. What differs is moved behind
 * the group that it does not belong to. */
static bool group_run(struct grouping *g, struct entry *entries, uint32_t count)
{
    while (count > 0) {
        struct ph_value_group group = {.id = entries[0].id};
        uint32_t others = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (i == 0 || same_value(g, group.id, entries[i].id))
                add_to_group(g, &group, entries[i].id);
            else
                entries[others++] = entries[i];
        }
        count = others;
        if (group.count == 1 && (g->choices & PH_VALUES_REPEATED))
            continue;
        if (!ph_array_push(g->groups, group))
            return false;
    }
    return true;
}

static bool group_bucket(struct grouping *g, struct entry *entries, uint32_t count)
{
    if (count)
        qsort(entries, count, sizeof *entries, by_hash);
    for (uint32_t i = 0, end; i < count; i = end) {
        end = i + 1;
        while (end < count && entries[end].hash == entries[i].hash)
            end++;
        if (!group_run(g, entries + i, end - i))
            return false;
    }
    return true;
}

static enum ph_status group_all(struct grouping *g)
{
    if (!fill_buckets(g))
        return PH_NO_MEMORY;
    for (unsigned b = 0; b < BUCKETS; b++) {
        ph_host_progress(g->host, "comparing values", b * 100 / BUCKETS);
        if (ph_host_interrupted(g->host))
            return PH_INTERRUPTED;
        if (!group_bucket(g, g->sorted + g->counts[b], g->counts[b + 1] - g->counts[b]))
            return PH_NO_MEMORY;
    }
    return PH_OK;
}

/* ---- which objects ---- */

static bool has_value(const struct grouping *g, const struct ph_type *type)
{
    if (!type->family->content || type->family == &ph_family_bytearray)
        return false;
    return !(g->choices & PH_VALUES_EXACT) || type == type->described;
}

static enum ph_status group(struct grouping *g)
{
    g->type_count = g->heap->objects.types.count;
    g->types = ph_filter_types(g->heap, g->filter);
    g->hashes = ph_malloc(((size_t)g->heap->count + 1) * sizeof *g->hashes);
    if (!g->types || !g->hashes)
        return PH_NO_MEMORY;
    for (uint32_t t = 0; t < g->type_count; t++)
        g->types[t] = g->types[t] && has_value(g, g->heap->objects.types.items[t]);
    enum ph_status status = ph_heap_share(g->heap,
                                          &(struct ph_sharing){
                                              .piece_ids = IDS_A_PIECE,
                                              .phase = "reading values",
                                              .work = hash_piece,
                                              .ctx = g,
                                          },
                                          g->host);
    if (!status)
        status = group_all(g);
    ph_host_progress(g->host, NULL, 0);
    return status;
}

enum ph_status ph_values_group(struct ph_heap *heap, const struct ph_filter *filter,
                               unsigned choices, const struct ph_host *host,
                               struct ph_value_groups *out, struct ph_error *err)
{
    struct grouping g = {
        .heap = heap,
        .host = host,
        .filter = filter,
        .choices = choices,
        .key = ph_siphash_key_make(),
        .groups = out,
    };
    *out = (struct ph_value_groups){0};
    enum ph_status status = ph_heap_measure(heap, choices & PH_VALUES_ALLOCATED, host, err);
    if (status)
        return status;
    status = group(&g);
    free(g.types);
    free(g.hashes);
    free(g.sorted);
    if (!status)
        return PH_OK;
    ph_array_free(out);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}
