/* list and tuple (Objects/listobject.c, tupleobject.c), with the tuples that are structs
 * (Objects/structseq.c). */
#include "objects/object.h"

#include "objects/dict.h"
#include "objects/int_value.h"

#include <inttypes.h>

#define MAX_STRUCT_FIELDS 1000

static void append_count(int64_t n, char open, char close, struct ph_str *out)
{
    ph_str_appendf(out, "%c%" PRId64 " item%s%c", open, n, n == 1 ? "" : "s", close);
}

/* ---- list ---- */

static uint64_t list_room(const struct ph_objects *objects, const struct ph_object *o)
{
    return ph_object_count(objects, o, objects->python->layout.list.allocated) *
           ph_word_bytes(objects->python);
}

/* While a list is sorted, it shows as an empty one with room for -1 items, which count as such
 * (list_sort_impl(), list___sizeof___impl()). */
static uint64_t list_size(struct ph_objects *objects, const struct ph_object *o)
{
    int64_t allocated = ph_object_ssize(objects, o, objects->python->layout.list.allocated);
    return allocated == -1 ? o->type->basicsize - ph_word_bytes(objects->python)
                           : o->type->basicsize + list_room(objects, o);
}

static void list_refs(struct ph_objects *objects, const struct ph_object *o,
                      const struct ph_visitor *v)
{
    ph_visit_words(objects, ph_object_ptr(objects, o, objects->python->layout.list.ob_item),
                   ph_object_var_size(objects, o), PH_LABEL_ITEM, v);
}

static void list_buffers(struct ph_objects *objects, const struct ph_object *o,
                         const struct ph_buffer_visitor *v)
{
    ph_visit_buffer(v, ph_object_ptr(objects, o, objects->python->layout.list.ob_item),
                    list_room(objects, o), "items");
}

static void list_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                         struct ph_str *out)
{
    (void)max_chars;
    append_count(ph_object_var_size(objects, o), '[', ']', out);
}

const struct ph_family ph_family_list = {
    .type_names = PH_TYPE_NAMES("list"),
    .size = list_size,
    .refs = list_refs,
    .buffers = list_buffers,
    .summary = list_summary,
};

/* ---- tuple ---- */

/* A struct sequence shows n_sequence_fields in ob_size and has n_fields; both stand in its type's
 * dict. */
static int64_t tuple_count(struct ph_objects *objects, const struct ph_object *o)
{
    int64_t count = ph_object_var_size(objects, o);
    if (o->type->described == o->type || o->type->is_python_class)
        return count;
    uint64_t fields = 0;
    ph_addr n = ph_dict_get_string(objects, ph_type_dict(objects, o->type->address), "n_fields");
    bool known = n && ph_int_value(objects, n, &fields) && fields < MAX_STRUCT_FIELDS;
    return known && (int64_t)fields > count ? (int64_t)fields : count;
}

static void tuple_refs(struct ph_objects *objects, const struct ph_object *o,
                       const struct ph_visitor *v)
{
    ph_visit_words(objects, o->address + (uint64_t)objects->python->layout.tuple.ob_item,
                   tuple_count(objects, o), PH_LABEL_ITEM, v);
}

static void tuple_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                          struct ph_str *out)
{
    (void)max_chars;
    append_count(ph_object_var_size(objects, o), '(', ')', out);
}

const struct ph_family ph_family_tuple = {
    .type_names = PH_TYPE_NAMES("tuple"),
    .refs = tuple_refs,
    .summary = tuple_summary,
};
