#include "analysis/find.h"

#include "analysis/number.h"
#include "objects/dict.h"

#include <pthread.h>

enum { IDS_A_PIECE = 1 << 11 };

/* What is known of a type before its instances are looked at. */
enum interest {
    NO_INTEREST,
    HAS_VALUE = 1,
    HAS_ITEMS = 2, /* a dict */
    HAS_SLOT = 4,  /* of that name */
    HAS_DICT = 8,  /* a __dict__, or values in its place */
};

struct search {
    struct ph_heap *heap;
    const struct ph_question *question;
    const struct ph_host *host;
    struct ph_pattern *pattern; /* NULL: any value */
    struct ph_number number;
    bool is_number;
    uint8_t *types;      /* those that the filter lets pass */
    uint8_t *interests;  /* by type */
    uint32_t *slots;     /* by type: of HAS_SLOT, its index */
    uint32_t type_count; /* of those above; later ones were met on the way and have no objects */
    struct ph_map names; /* strings that are the attribute's name */
    bool looks_for_names;
    uint8_t *marks;         /* by object: 1 where it matches, GIVEN_UP */
    pthread_t first_worker; /* none but that asks the host */
    bool stopped, no_memory;
};
enum { MATCHES = 1, GIVEN_UP = 2 };

/* ---- of one value ---- */

static enum ph_verdict judge(struct search *s, struct ph_matcher *m, const struct ph_object *o)
{
    struct ph_content content;
    const struct ph_python *python = s->heap->objects.python;
    if (!s->pattern)
        return PH_MATCHED;
    if (!ph_object_content(&s->heap->objects, o, &content))
        return PH_NOT_MATCHED;
    bool may_be_number = s->is_number && strcmp(o->type->name, "bool") != 0;
    if (may_be_number && ph_number_equals(&s->number, python, &content))
        return PH_MATCHED;
    return ph_matcher_try(m, python, &content);
}

/* ---- attributes ---- */

static ph_addr find_item(const struct search *s, const struct ph_dict *d)
{
    for (uint64_t i = 0; i < d->entry_count; i++) {
        ph_addr value = ph_dict_value(d, i);
        if (value && ph_map_find(&s->names, ph_dict_key(d, i), NULL))
            return value;
    }
    return 0;
}

static ph_addr find_in_dict(const struct search *s, ph_addr address)
{
    struct ph_object o;
    struct ph_dict d;
    if (!address || !ph_object_at(&s->heap->objects, address, &o) || !ph_type_is_dict(o.type))
        return 0;
    return ph_dict_open(&s->heap->objects, &o, &d) ? find_item(s, &d) : 0;
}

/* What the object has under the name; 0 where it has nothing. */
static ph_addr find_attribute(const struct search *s, const struct ph_object *o, uint8_t interest)
{
    struct ph_objects *objects = &s->heap->objects;
    ph_addr value = 0;
    struct ph_dict d;
    if (interest & HAS_SLOT)
        value = ph_instance_slot(objects, o, &o->type->slots[s->slots[o->type->id]]);
    if (!value && (interest & HAS_ITEMS) && ph_dict_open(objects, o, &d))
        value = find_item(s, &d);
    if (value || !(interest & HAS_DICT))
        return value;
    if (ph_instance_values(objects, o, &d))
        return find_item(s, &d);
    return find_in_dict(s, ph_object_dict(objects, o));
}

static enum ph_verdict judge_attribute(struct search *s, struct ph_matcher *m,
                                       const struct ph_object *o, uint8_t interest)
{
    struct ph_object value;
    ph_addr address = find_attribute(s, o, interest);
    if (!address)
        return PH_NOT_MATCHED;
    if (!s->pattern)
        return PH_MATCHED;
    return ph_object_at(&s->heap->objects, address, &value) ? judge(s, m, &value) : PH_NOT_MATCHED;
}

/* ---- all objects ---- */

static bool should_stop(void *ctx)
{
    struct search *s = ctx;
    if (pthread_equal(pthread_self(), s->first_worker) && ph_host_interrupted(s->host))
        __atomic_store_n(&s->stopped, true, __ATOMIC_RELAXED);
    return __atomic_load_n(&s->stopped, __ATOMIC_RELAXED);
}

static void judge_piece(void *ctx, uint32_t first, uint32_t end)
{
    struct search *s = ctx;
    struct ph_matcher *m = s->pattern ? ph_matcher_create(s->pattern, should_stop, s) : NULL;
    if (s->pattern && !m) {
        __atomic_store_n(&s->no_memory, true, __ATOMIC_RELAXED);
        return;
    }
    for (uint32_t id = first; id < end && !__atomic_load_n(&s->stopped, __ATOMIC_RELAXED); id++) {
        struct ph_object o;
        uint32_t type = s->heap->type_ids[id];
        uint8_t interest = type < s->type_count ? s->interests[type] : NO_INTEREST;
        s->marks[id] = 0;
        if (!interest || !ph_heap_open(s->heap, id, &o))
            continue;
        bool by_attribute = s->question->attribute && !s->looks_for_names;
        enum ph_verdict verdict =
            by_attribute ? judge_attribute(s, m, &o, interest) : judge(s, m, &o);
        s->marks[id] = verdict == PH_MATCHED ? MATCHES : verdict == PH_GAVE_UP ? GIVEN_UP : 0;
    }
    ph_matcher_destroy(m);
}

static enum ph_status judge_all(struct search *s)
{
    s->first_worker = pthread_self();
    enum ph_status status = ph_heap_share(s->heap,
                                          &(struct ph_sharing){
                                              .piece_ids = IDS_A_PIECE,
                                              .phase = "searching",
                                              .work = judge_piece,
                                              .ctx = s,
                                          },
                                          s->host);
    if (!status)
        status = s->stopped ? PH_INTERRUPTED : s->no_memory ? PH_NO_MEMORY : PH_OK;
    return status;
}

/* ---- which types ---- */

static bool name_is(const struct search *s, ph_addr c_string)
{
    size_t len, wanted = strlen(s->question->attribute);
    const char *name =
        ph_target_cstring(s->heap->objects.python->target, c_string, wanted + 1, &len);
    return name && len == wanted && memcmp(name, s->question->attribute, len) == 0;
}

static uint8_t interest_in(const struct search *s, const struct ph_type *type, uint32_t *slot)
{
    uint8_t interest = ph_type_is_dict(type) ? HAS_ITEMS : NO_INTEREST;
    if (ph_type_has_dict(s->heap->objects.python, type))
        interest |= HAS_DICT;
    for (uint32_t i = 0; i < type->slot_count && !(interest & HAS_SLOT); i++) {
        if (name_is(s, type->slots[i].name)) {
            interest |= HAS_SLOT;
            *slot = i;
        }
    }
    return interest;
}

/* Whether its instances may be names: of 2.7, str or unicode. */
static bool may_be_name(const struct search *s, const struct ph_type *type)
{
    uint64_t text = PH_TPFLAGS_UNICODE_SUBCLASS;
    if (s->heap->objects.python->layout.traits.str == PH_STR_BYTES)
        text |= PH_TPFLAGS_BYTES_SUBCLASS;
    return (type->flags & text) && type->family->content;
}

static void choose_types(struct search *s)
{
    for (uint32_t t = 0; t < s->type_count; t++) {
        const struct ph_type *type = s->heap->objects.types.items[t];
        if (s->looks_for_names)
            s->interests[t] = may_be_name(s, type) ? HAS_VALUE : NO_INTEREST;
        else if (!s->types[t])
            s->interests[t] = NO_INTEREST;
        else if (s->question->attribute)
            s->interests[t] = interest_in(s, type, &s->slots[t]);
        else
            s->interests[t] = type->family->content ? HAS_VALUE : NO_INTEREST;
    }
}

/* All strings that are the attribute's name: keys are then told by their addresses. */
static enum ph_status find_names(struct search *s, struct ph_error *err)
{
    struct ph_pattern *asked = s->pattern;
    bool is_number = s->is_number;
    s->pattern = NULL;
    s->is_number = false;
    enum ph_status status =
        ph_pattern_create(s->question->attribute, PH_PATTERN_WHOLE, false, &s->pattern, err);
    s->looks_for_names = true;
    choose_types(s);
    if (!status)
        status = judge_all(s);
    for (uint32_t id = 0; id < s->heap->count && !status; id++) {
        if (s->marks[id] == MATCHES && !ph_map_insert(&s->names, ph_heap_address(s->heap, id), id))
            status = PH_NO_MEMORY;
    }
    ph_pattern_destroy(s->pattern);
    s->pattern = asked;
    s->is_number = is_number;
    s->looks_for_names = false;
    return status;
}

static enum ph_status prepare(struct search *s, const struct ph_filter *filter,
                              struct ph_error *err)
{
    const struct ph_question *q = s->question;
    s->type_count = s->heap->objects.types.count;
    s->types = ph_filter_types(s->heap, filter);
    s->interests = ph_calloc(s->type_count + 1u, sizeof *s->interests);
    s->slots = ph_calloc(s->type_count + 1u, sizeof *s->slots);
    s->marks = ph_calloc((size_t)s->heap->count + 1, sizeof *s->marks);
    if (!s->types || !s->interests || !s->slots || !s->marks)
        return PH_NO_MEMORY;
    if (!q->text)
        return PH_OK;
    s->is_number = q->kind != PH_PATTERN_REGEX && ph_number_parse(q->text, &s->number);
    return ph_pattern_create(q->text, q->kind, q->ignore_case, &s->pattern, err);
}

static enum ph_status search(struct search *s, const struct ph_filter *filter, struct ph_error *err)
{
    enum ph_status status = prepare(s, filter, err);
    if (!status && s->question->attribute)
        status = find_names(s, err);
    if (status)
        return status;
    choose_types(s);
    return judge_all(s);
}

static void release(struct search *s)
{
    ph_pattern_destroy(s->pattern);
    ph_map_free(&s->names);
    free(s->types);
    free(s->interests);
    free(s->slots);
    free(s->marks);
}

static uint64_t take_given_up(struct search *s)
{
    uint64_t count = 0;
    for (uint32_t id = 0; id < s->heap->count; id++) {
        count += s->marks[id] == GIVEN_UP;
        s->marks[id] = s->marks[id] == MATCHES;
    }
    return count;
}

enum ph_status ph_find(struct ph_heap *heap, const struct ph_filter *filter,
                       const struct ph_question *question, const struct ph_host *host,
                       struct ph_found *out, struct ph_error *err)
{
    struct search s = {.heap = heap, .question = question, .host = host};
    *out = (struct ph_found){0};
    enum ph_status status = search(&s, filter, err);
    if (!status) {
        out->given_up = take_given_up(&s);
        status = ph_matches_collect(heap, filter, s.marks, host, &out->matches, err);
    } else if (status != PH_USAGE) {
        ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
    }
    release(&s);
    return status;
}
