#include "analysis/growth.h"

#include <fnmatch.h>

enum { OBJECTS_A_LOOK = 1 << 16 };

/* One of the two snapshots. */
struct side {
    struct ph_saved *saved;
    uint32_t *types;               /* by type: the number of its name */
    uint8_t *accepted;             /* by type */
    uint32_t *rows;                /* by type or by holder, as the objects are grouped: the row */
    uint32_t *sites;               /* by site: the number of its place */
    struct ph_saved_object object; /* the next one, if `more` */
    bool more;
};

struct comparison {
    const struct ph_growth_question *question;
    struct ph_growth *out;
    struct side before, after;
    struct ph_map places;  /* name and line -> row */
    struct ph_map sites;   /* file and line -> number of the place */
    struct ph_names texts; /* of types and files, to tell objects apart */
    uint32_t site_count;
};

/* ---- rows ---- */

/* The row of a name and line, made where it is not there yet. */
static bool row_of(struct comparison *c, const char *name, uint32_t line, uint32_t *row)
{
    struct ph_growth *out = c->out;
    uint32_t id;
    bool added;
    if (!ph_names_id(&out->names, name, &id))
        return false;
    uint32_t *place = ph_map_at(&c->places, ((uint64_t)id + 1) << 32 | line, &added);
    if (!place)
        return false;
    if (added) {
        *place = out->rows.count;
        struct ph_growth_row new_row = {.name = out->names.items[id], .line = line};
        if (!ph_array_push(&out->rows, new_row))
            return false;
    }
    *row = *place;
    return true;
}

static void add(struct ph_growth_sum *sum, uint64_t count, uint64_t bytes)
{
    sum->count += count;
    sum->bytes += bytes;
}

/* ---- what a side's numbers mean ---- */

static bool matches(const char *name, const char *glob)
{
    return !glob || strcmp(name, glob) == 0 || fnmatch(glob, name, 0) == 0;
}

static bool number_types(struct comparison *c, struct side *s)
{
    uint32_t count = s->saved->types.count;
    s->types = ph_malloc((count + 1u) * sizeof *s->types);
    s->accepted = ph_malloc(count + 1u);
    bool ok = s->types && s->accepted;
    for (uint32_t i = 0; ok && i < count; i++) {
        const char *name = s->saved->types.items[i].name;
        s->accepted[i] = matches(name, c->question->type_glob);
        ok = ph_names_id(&c->texts, name, &s->types[i]);
    }
    return ok;
}

static bool number_sites(struct comparison *c, struct side *s)
{
    uint32_t count = s->saved->sites.count, file;
    s->sites = ph_malloc((count + 1u) * sizeof *s->sites);
    bool ok = s->sites;
    for (uint32_t i = 0; ok && i < count; i++) {
        const struct ph_saved_site *site = &s->saved->sites.items[i];
        bool added = false;
        ok = ph_names_id(&c->texts, site->file, &file);
        uint32_t *place =
            ok ? ph_map_at(&c->sites, ((uint64_t)file + 1) << 32 | site->line, &added) : NULL;
        ok = place;
        if (added)
            *place = c->site_count++;
        if (ok)
            s->sites[i] = *place;
    }
    return ok;
}

/* The rows of the objects' types or holders. The last is of objects without a holder. */
static bool number_rows(struct comparison *c, struct side *s)
{
    bool by_holder = c->question->group == PH_GROWTH_BY_HOLDER;
    uint32_t count = by_holder ? s->saved->holders.count : s->saved->types.count;
    s->rows = ph_malloc((count + 1u) * sizeof *s->rows);
    bool ok = s->rows;
    for (uint32_t i = 0; ok && i < count; i++)
        ok = row_of(c, by_holder ? s->saved->holders.items[i] : s->saved->types.items[i].name, 0,
                    &s->rows[i]);
    return ok && (!by_holder || row_of(c, "(unknown)", 0, &s->rows[count]));
}

static bool by_site(const struct comparison *c)
{
    return c->question->group == PH_GROWTH_BY_LINE || c->question->group == PH_GROWTH_BY_FILE;
}

static bool prepare(struct comparison *c, struct side *s)
{
    return number_types(c, s) && number_sites(c, s) && (by_site(c) || number_rows(c, s));
}

static void release(struct side *s)
{
    free(s->types);
    free(s->accepted);
    free(s->rows);
    free(s->sites);
}

/* ---- by site ---- */

static bool add_sites(struct comparison *c, const struct side *s, bool later)
{
    bool lines = c->question->group == PH_GROWTH_BY_LINE, ok = true;
    for (uint32_t i = 0; ok && i < s->saved->sums.count; i++) {
        const struct ph_saved_sum *sum = &s->saved->sums.items[i];
        const struct ph_saved_site *site = &s->saved->sites.items[sum->site];
        uint32_t row;
        if (c->question->type_glob && (sum->content == PH_TRACE_RAW || !s->accepted[sum->type]))
            continue;
        ok = row_of(c, site->file, lines ? site->line : 0, &row);
        if (ok)
            add(later ? &c->out->rows.items[row].after : &c->out->rows.items[row].before,
                sum->count, sum->bytes);
    }
    return ok;
}

/* ---- by object ---- */

static struct ph_growth_row *row_at(const struct comparison *c, const struct side *s)
{
    bool by_holder = c->question->group == PH_GROWTH_BY_HOLDER;
    uint32_t index = !by_holder                        ? s->object.type
                     : s->object.holder == PH_NO_PLACE ? s->saved->holders.count
                                                       : s->object.holder;
    return &c->out->rows.items[s->rows[index]];
}

static enum ph_status step(struct side *s, struct ph_error *err)
{
    return ph_saved_next(s->saved, &s->object, &s->more, err);
}

/* Whether the objects at one address are the same, as far as can be told. */
static bool is_same(const struct comparison *c)
{
    const struct ph_saved_object *a = &c->before.object, *b = &c->after.object;
    const struct ph_saved_type *x = &c->before.saved->types.items[a->type];
    const struct ph_saved_type *y = &c->after.saved->types.items[b->type];
    if (x->address != y->address || c->before.types[a->type] != c->after.types[b->type])
        return false;
    if (a->identity && b->identity && a->identity != b->identity)
        return false;
    if (a->site == PH_NO_PLACE || b->site == PH_NO_PLACE)
        return true;
    return c->before.sites[a->site] == c->after.sites[b->site];
}

static bool note_new(struct comparison *c)
{
    const struct ph_saved_object *o = &c->after.object;
    struct ph_growth_new new_object = {o->address, o->type, o->site, o->bytes};
    return !c->question->list_new || ph_array_push(&c->out->objects, new_object);
}

/* Handle the first object of either side, or of both where they are at one address. */
static enum ph_status take(struct comparison *c, struct ph_error *err)
{
    struct side *a = &c->before, *b = &c->after;
    bool take_a = a->more && (!b->more || a->object.address <= b->object.address);
    bool take_b = b->more && (!a->more || b->object.address <= a->object.address);
    bool same = take_a && take_b && c->out->has_objects && is_same(c);
    enum ph_status status = PH_OK;
    if (take_a && a->accepted[a->object.type]) {
        struct ph_growth_row *row = row_at(c, a);
        add(&row->before, 1, a->object.bytes);
        row->gone += !same;
    }
    if (take_b && b->accepted[b->object.type]) {
        struct ph_growth_row *row = row_at(c, b);
        add(&row->after, 1, b->object.bytes);
        row->created += !same;
        if (!same && !note_new(c))
            status = ph_fail(err, PH_NO_MEMORY, "out of memory");
    }
    if (!status && take_a)
        status = step(a, err);
    if (!status && take_b)
        status = step(b, err);
    return status;
}

static enum ph_status compare_objects(struct comparison *c, const struct ph_host *host,
                                      struct ph_error *err)
{
    enum ph_status status = step(&c->before, err);
    if (!status)
        status = step(&c->after, err);
    for (uint64_t i = 1; !status && (c->before.more || c->after.more); i++) {
        status = take(c, err);
        if (!status && i % OBJECTS_A_LOOK == 0 && ph_host_interrupted(host))
            status = ph_fail(err, PH_INTERRUPTED, "interrupted");
    }
    return status;
}

/* Read to the end, where damage shows. */
static enum ph_status read_out(struct side *s, const struct ph_host *host, struct ph_error *err)
{
    enum ph_status status = step(s, err);
    for (uint64_t i = 1; !status && s->more; i++) {
        status = step(s, err);
        if (!status && i % OBJECTS_A_LOOK == 0 && ph_host_interrupted(host))
            status = ph_fail(err, PH_INTERRUPTED, "interrupted");
    }
    return status;
}

static enum ph_status compare_sites(struct comparison *c, const struct ph_host *host,
                                    struct ph_error *err)
{
    if (!add_sites(c, &c->before, false) || !add_sites(c, &c->after, true))
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    enum ph_status status = read_out(&c->before, host, err);
    return status ? status : read_out(&c->after, host, err);
}

/* ---- order ---- */

static int64_t grown(uint64_t before, uint64_t after)
{
    return (int64_t)(after - before);
}

bool ph_growth_has_changed(const struct ph_growth_row *row)
{
    return row->before.count != row->after.count || row->before.bytes != row->after.bytes ||
           row->created || row->gone;
}

static int compare_grown(const struct ph_growth_sum *a, const struct ph_growth_sum *b,
                         const struct ph_growth_sum *c, const struct ph_growth_sum *d, bool counts)
{
    int64_t x = counts ? grown(a->count, b->count) : grown(a->bytes, b->bytes);
    int64_t y = counts ? grown(c->count, d->count) : grown(c->bytes, d->bytes);
    return (x < y) - (x > y);
}

static int compare_after(const struct ph_growth_sum *a, const struct ph_growth_sum *b, bool counts)
{
    uint64_t x = counts ? a->count : a->bytes, y = counts ? b->count : b->bytes;
    return (x < y) - (x > y);
}

static int by_order(const void *a, const void *b, void *ctx)
{
    const struct ph_growth_row *x = a, *y = b;
    enum ph_growth_order key = *(const enum ph_growth_order *)ctx;
    bool counts = key == PH_GROWTH_ORDER_D_COUNT || key == PH_GROWTH_ORDER_COUNT;
    bool changes = key == PH_GROWTH_ORDER_D_BYTES || key == PH_GROWTH_ORDER_D_COUNT;
    int order = 0;
    if (changes)
        order = compare_grown(&x->before, &x->after, &y->before, &y->after, counts);
    if (!order && changes)
        order = compare_grown(&x->before, &x->after, &y->before, &y->after, !counts);
    if (!order)
        order = compare_after(&x->after, &y->after, counts);
    if (!order)
        order = strcmp(x->name, y->name);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static int by_bytes(const void *a, const void *b)
{
    const struct ph_growth_new *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->address < y->address ? -1 : x->address > y->address;
}

/* Drop rows that neither has, add up, and put them in order. */
static void finish(struct comparison *c)
{
    struct ph_growth *out = c->out;
    enum ph_growth_order order = c->question->order;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < out->rows.count; i++) {
        const struct ph_growth_row *r = &out->rows.items[i];
        if (!r->before.count && !r->after.count)
            continue;
        add(&out->total.before, r->before.count, r->before.bytes);
        add(&out->total.after, r->after.count, r->after.bytes);
        out->total.created += r->created;
        out->total.gone += r->gone;
        out->rows.items[kept++] = *r;
    }
    out->rows.count = kept;
    if (kept)
        qsort_r(out->rows.items, kept, sizeof *out->rows.items, by_order, &order);
    if (out->objects.count)
        qsort(out->objects.items, out->objects.count, sizeof *out->objects.items, by_bytes);
}

enum ph_status ph_growth_measure(struct ph_saved *before, struct ph_saved *after,
                                 const struct ph_growth_question *question,
                                 const struct ph_host *host, struct ph_growth *out,
                                 struct ph_error *err)
{
    struct comparison c = {.question = question, .out = out};
    c.before.saved = before;
    c.after.saved = after;
    *out = (struct ph_growth){.same_process =
                                  ph_saved_same_process(&before->process, &after->process)};
    out->has_objects = out->same_process && !by_site(&c);
    enum ph_status status = prepare(&c, &c.before) && prepare(&c, &c.after)
                                ? PH_OK
                                : ph_fail(err, PH_NO_MEMORY, "out of memory");
    if (!status)
        status = by_site(&c) ? compare_sites(&c, host, err) : compare_objects(&c, host, err);
    if (!status)
        finish(&c);
    release(&c.before);
    release(&c.after);
    ph_map_free(&c.places);
    ph_map_free(&c.sites);
    ph_names_free(&c.texts);
    if (status)
        ph_growth_free(out);
    return status;
}

void ph_growth_free(struct ph_growth *growth)
{
    ph_array_free(&growth->rows);
    ph_array_free(&growth->objects);
    ph_names_free(&growth->names);
}
