/* The iterators that keep tables of indices, and what tee() shares (Modules/itertoolsmodule.c). */
#include "objects/object.h"

/* __sizeof__ counts the tables; 2.7 has none. */
static uint64_t indices_size(struct ph_objects *objects, const struct ph_object *o)
{
    return objects->python->layout.version < 0x03000000 ? ph_size_default(objects, o)
                                                        : ph_size_with_buffers(objects, o);
}

/* ---- product ---- */

static uint64_t tuple_words(const struct ph_objects *objects, ph_addr tuple)
{
    const struct ph_layout *L = &objects->python->layout;
    int64_t n = tuple ? (int64_t)ph_python_word(objects->python, tuple, L->var.ob_size) : 0;
    return ph_sane_count(n) * L->word_bytes;
}

static uint64_t product_indices(const struct ph_objects *objects, const struct ph_object *o)
{
    return tuple_words(objects, ph_object_ptr(objects, o, objects->python->layout.product.pools));
}

static void product_buffers(struct ph_objects *objects, const struct ph_object *o,
                            const struct ph_buffer_visitor *v)
{
    ph_visit_buffer(v, ph_object_ptr(objects, o, objects->python->layout.product.indices),
                    product_indices(objects, o), "indices");
}

const struct ph_family ph_family_product = {
    .type_names = PH_TYPE_NAMES("itertools.product"),
    .struct_size = PH_STRUCT_OF(product),
    .fields =
        PH_REF_FIELDS(PH_REF_NOTE("pools", product, pools), PH_REF_NOTE("result", product, result)),
    .size = indices_size,
    .own_bytes = ph_size_default,
    .buffers = product_buffers,
};

/* ---- combinations, with replacement or not ---- */

static uint64_t combination_indices(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    return ph_object_count(objects, o, L->combinations.r) * L->word_bytes;
}

static void combinations_buffers(struct ph_objects *objects, const struct ph_object *o,
                                 const struct ph_buffer_visitor *v)
{
    ph_visit_buffer(v, ph_object_ptr(objects, o, objects->python->layout.combinations.indices),
                    combination_indices(objects, o), "indices");
}

const struct ph_family ph_family_combinations = {
    .type_names =
        PH_TYPE_NAMES("itertools.combinations", "itertools.combinations_with_replacement"),
    .struct_size = PH_STRUCT_OF(combinations),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("pool", combinations, pool),
                            PH_REF_NOTE("result", combinations, result)),
    .size = indices_size,
    .own_bytes = ph_size_default,
    .buffers = combinations_buffers,
};

/* ---- permutations ---- */

static uint64_t permutation_cycles(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    return ph_object_count(objects, o, L->permutations.r) * L->word_bytes;
}

static uint64_t permutation_indices(const struct ph_objects *objects, const struct ph_object *o)
{
    return tuple_words(objects,
                       ph_object_ptr(objects, o, objects->python->layout.permutations.pool));
}

static void permutations_buffers(struct ph_objects *objects, const struct ph_object *o,
                                 const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->permutations.indices),
                    permutation_indices(objects, o), "indices");
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->permutations.cycles),
                    permutation_cycles(objects, o), "cycles");
}

const struct ph_family ph_family_permutations = {
    .type_names = PH_TYPE_NAMES("itertools.permutations"),
    .struct_size = PH_STRUCT_OF(permutations),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("pool", permutations, pool),
                            PH_REF_NOTE("result", permutations, result)),
    .size = indices_size,
    .own_bytes = ph_size_default,
    .buffers = permutations_buffers,
};

/* ---- tee ---- */

/* Only the first numread values are there; the others were never written. */
static void tee_refs(struct ph_objects *objects, const struct ph_object *o,
                     const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    int32_t room = (L->tee_data.size - L->tee_data.values) / (int32_t)L->word_bytes;
    int32_t read = ph_object_int(objects, o, L->tee_data.numread);
    ph_visit_words(objects, o->address + (uint64_t)L->tee_data.values, read < room ? read : room,
                   PH_LABEL_ITEM, v);
}

const struct ph_family ph_family_tee_data = {
    .type_names = PH_TYPE_NAMES("itertools._tee_dataobject", "itertools.tee_dataobject"),
    .struct_size = PH_STRUCT_OF(tee_data),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("iterator", tee_data, it),
                            PH_REF_NOTE("next", tee_data, nextlink)),
    .refs = tee_refs,
};
