#include "analysis/waste_internal.h"

#include "analysis/values.h"
#include "base/checked.h"

enum { OBJECTS_A_LOOK = 1 << 15 }; /* between two looks at Ctrl-C */

static const struct {
    const char *name, *what;
} kinds[PH_WASTE_KINDS] = {
#define PH_WASTE(id, name, what) [PH_WASTE_##id] = {name, what},
#include "analysis/waste.def"
#undef PH_WASTE
};

const char *ph_waste_name(enum ph_waste_kind kind)
{
    return kinds[kind].name;
}

const char *ph_waste_what(enum ph_waste_kind kind)
{
    return kinds[kind].what;
}

bool ph_waste_parse(const char *name, enum ph_waste_kind *kind)
{
    for (unsigned k = 0; k < PH_WASTE_KINDS; k++) {
        if (strcmp(name, kinds[k].name) == 0) {
            *kind = k;
            return true;
        }
    }
    return false;
}

/* ---- for all kinds ---- */

bool ph_waste_add(struct ph_waste_search *s, enum ph_waste_kind kind, struct ph_wasteful item)
{
    struct ph_waste_sum *sum = &s->waste->kinds[kind];
    sum->count++;
    sum->bytes = ph_add_saturated(sum->bytes, item.bytes);
    return ph_array_push(&sum->items, item);
}

bool ph_waste_interrupted(const struct ph_waste_search *s, uint32_t id)
{
    return id % OBJECTS_A_LOOK == 0 && ph_host_interrupted(s->host);
}

/* Ids of one kind ascend with the address. */
static int by_bytes(const void *a, const void *b)
{
    const struct ph_wasteful *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* ---- equal values ---- */

static enum ph_waste_kind kind_of_value(const struct ph_heap *heap, uint32_t id)
{
    const struct ph_family *family = ph_heap_type(heap, id)->family;
    if (family == &ph_family_str || family == &ph_family_py2_str ||
        family == &ph_family_py2_unicode)
        return PH_WASTE_STRINGS;
    return family == &ph_family_bytes ? PH_WASTE_BYTES : PH_WASTE_NUMBERS;
}

enum ph_status ph_waste_values(struct ph_waste_search *s, struct ph_error *err)
{
    struct ph_value_groups groups;
    unsigned choices = PH_VALUES_REPEATED | PH_VALUES_EXACT | PH_VALUES_NO_STATIC;
    enum ph_status status = ph_values_group(s->heap, s->filter, choices, s->host, &groups, err);
    if (status)
        return status;
    for (uint32_t i = 0; i < groups.count && !status; i++) {
        const struct ph_value_group *g = &groups.items[i];
        enum ph_waste_kind kind = kind_of_value(s->heap, g->id);
        if (!ph_waste_add(s, kind, (struct ph_wasteful){g->id, g->count, g->bytes - g->largest}))
            status = PH_NO_MEMORY;
        s->waste->kinds[kind].count +=
            g->count - 2; /* all copies but one, where the group was one */
    }
    ph_array_free(&groups);
    return status;
}

/* ---- pools ---- */

enum ph_status ph_waste_pools(struct ph_waste_search *s)
{
    const struct ph_blocks *blocks = &s->heap->blocks;
    for (uint32_t r = 0; r < blocks->runs.count; r++) {
        const struct ph_run *run = &blocks->runs.items[r];
        uint32_t used = 0;
        for (uint32_t i = 0; i < run->block_count; i++)
            used += blocks->slots.items[run->first_slot + i] != PH_SLOT_FREE;
        uint32_t left = run->block_count - used;
        if (used < left &&
            !ph_waste_add(s, PH_WASTE_POOLS,
                          (struct ph_wasteful){r, used, (uint64_t)left * run->block_bytes}))
            return PH_NO_MEMORY;
    }
    return PH_OK;
}

/* ---- all of it ---- */

static enum ph_status add_up(struct ph_waste_search *s)
{
    for (uint32_t id = 0; id < s->heap->count; id++) {
        uint64_t bytes;
        if (ph_waste_interrupted(s, id))
            return PH_INTERRUPTED;
        if (ph_filter_accepts(s->heap, s->filter, s->types, id, &bytes))
            s->waste->object_bytes += bytes;
    }
    return PH_OK;
}

static enum ph_status find(struct ph_waste_search *s, struct ph_error *err)
{
    s->types = ph_filter_types(s->heap, s->filter);
    s->counted = ph_calloc((size_t)s->heap->count + 1, sizeof *s->counted);
    if (!s->types || !s->counted)
        return PH_NO_MEMORY;
    enum ph_status status = ph_waste_values(s, err); /* measures all objects first */
    if (!status)
        status = add_up(s);
    if (!status)
        status = ph_waste_instances(s);
    if (!status)
        status = ph_waste_containers(s);
    if (!status && ph_filter_takes_all(s->filter))
        status = ph_waste_pools(s);
    return status;
}

enum ph_status ph_waste_find(struct ph_heap *heap, const struct ph_filter *filter,
                             const struct ph_host *host, struct ph_waste *out, struct ph_error *err)
{
    struct ph_waste_search s = {.heap = heap, .host = host, .filter = filter, .waste = out};
    memset(out, 0, sizeof *out);
    enum ph_status status = find(&s, err);
    for (unsigned k = 0; k < PH_WASTE_KINDS && !status; k++) {
        struct ph_waste_sum *sum = &out->kinds[k];
        if (sum->items.count)
            qsort(sum->items.items, sum->items.count, sizeof *sum->items.items, by_bytes);
        if (ph_host_interrupted(host))
            status = PH_INTERRUPTED;
    }
    free(s.types);
    free(s.counted);
    if (!status)
        return PH_OK;
    ph_waste_free(out);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

void ph_waste_free(struct ph_waste *waste)
{
    for (unsigned k = 0; k < PH_WASTE_KINDS; k++)
        ph_array_free(&waste->kinds[k].items);
}
