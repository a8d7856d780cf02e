/* datetime.datetime and datetime.time (Modules/_datetimemodule.c), and zoneinfo.ZoneInfo
 * (Modules/_zoneinfo.c). */
#include "objects/object.h"

/* Without a time zone the static types allocate a struct that ends where tzinfo would begin. */
static uint64_t aware_bytes(const struct ph_object *o, int32_t hastzinfo)
{
    return o->at[hastzinfo] ? o->type->basicsize : o->type->min_bytes;
}

static void visit_zone(struct ph_objects *objects, const struct ph_object *o, int32_t hastzinfo,
                       int32_t tzinfo, const struct ph_visitor *v)
{
    if (o->at[hastzinfo])
        ph_visit_field(v, ph_python_word(objects->python, o->address, tzinfo), "tzinfo");
}

static uint64_t datetime_own_bytes(struct ph_objects *objects, const struct ph_object *o)
{
    return aware_bytes(o, objects->python->layout.datetime.hastzinfo);
}

static void datetime_refs(struct ph_objects *objects, const struct ph_object *o,
                          const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    visit_zone(objects, o, L->datetime.hastzinfo, L->datetime.tzinfo, v);
}

const struct ph_family ph_family_datetime = {
    .type_names = PH_TYPE_NAMES("datetime.datetime"),
    .struct_size = PH_STRUCT_OF(datetime),
    .short_form = offsetof(struct ph_layout, datetime.tzinfo),
    .own_bytes = datetime_own_bytes,
    .refs = datetime_refs,
};

static uint64_t time_own_bytes(struct ph_objects *objects, const struct ph_object *o)
{
    return aware_bytes(o, objects->python->layout.time.hastzinfo);
}

static void time_refs(struct ph_objects *objects, const struct ph_object *o,
                      const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    visit_zone(objects, o, L->time.hastzinfo, L->time.tzinfo, v);
}

const struct ph_family ph_family_time = {
    .type_names = PH_TYPE_NAMES("datetime.time"),
    .struct_size = PH_STRUCT_OF(time),
    .short_form = offsetof(struct ph_layout, time.tzinfo),
    .own_bytes = time_own_bytes,
    .refs = time_refs,
};

/* ---- zoneinfo.ZoneInfo ---- */

static void visit_ttinfo(const struct ph_objects *objects, const uint8_t *at,
                         const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    const int32_t fields[] = {L->zone_ttinfo.utcoff, L->zone_ttinfo.dstoff, L->zone_ttinfo.tzname};
    static const char *const labels[] = {"utc offset", "dst offset", "zone name"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        ph_visit(v, ph_load_ptr(objects->python, at + fields[i]), PH_LABEL_NOTE,
                 (uint64_t)(uintptr_t)labels[i], PH_REF_STRONG);
}

static void zone_info_refs(struct ph_objects *objects, const struct ph_object *o,
                           const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    uint64_t n = ph_object_count(objects, o, L->zone_info.num_ttinfos);
    uint64_t stride = (uint64_t)L->zone_ttinfo.size;
    ph_addr start = ph_object_ptr(objects, o, L->zone_info.ttinfos);
    const uint8_t *infos =
        start && n ? ph_target_view(objects->python->target, start, (size_t)(n * stride)) : NULL;
    for (uint64_t i = 0; infos && i < n; i++)
        visit_ttinfo(objects, infos + i * stride, v);
    visit_ttinfo(objects, o->at + L->zone_info.std, v);
    visit_ttinfo(objects, o->at + L->zone_info.dst, v);
}

static void zone_info_buffers(struct ph_objects *objects, const struct ph_object *o,
                              const struct ph_buffer_visitor *v)
{
    enum { INT64 = 8 };
    const struct ph_layout *L = &objects->python->layout;
    uint64_t n = ph_object_count(objects, o, L->zone_info.num_transitions);
    int64_t wall = L->zone_info.trans_list_wall;
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->zone_info.trans_list_utc), n * INT64,
                    "transitions");
    ph_visit_buffer(v, ph_object_ptr(objects, o, wall), n * INT64, "wall times");
    ph_visit_buffer(v, ph_object_ptr(objects, o, wall + L->word_bytes), n * INT64,
                    "wall times, fold");
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->zone_info.trans_ttinfos), n * L->word_bytes,
                    "offsets by transition");
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->zone_info.ttinfos),
                    ph_object_count(objects, o, L->zone_info.num_ttinfos) *
                        (uint64_t)L->zone_ttinfo.size,
                    "offsets");
}

const struct ph_family ph_family_zone_info = {
    .type_names = PH_TYPE_NAMES("zoneinfo.ZoneInfo"),
    .struct_size = PH_STRUCT_OF(zone_info),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("key", zone_info, key),
                            PH_REF_NOTE("file", zone_info, file_repr)),
    .refs = zone_info_refs,
    .buffers = zone_info_buffers,
};
