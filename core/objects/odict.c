/* collections.OrderedDict in C (Objects/odictobject.c): a dict, and a chain of nodes that keeps the
 * order. A table finds each key's node. */
#include "objects/dict.h"

static uint64_t table_bytes(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    return ph_object_count(objects, o, L->odict.od_fast_nodes_size) * L->word_bytes;
}

static uint64_t node_count(const struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    return ph_object_ptr(objects, o, L->odict.od_first)
               ? ph_object_count(objects, o, L->dict.ma_used)
               : 0;
}

static uint64_t odict_size(struct ph_objects *objects, const struct ph_object *o)
{
    return ph_dict_size(objects, o) + table_bytes(objects, o) +
           node_count(objects, o) * (uint64_t)objects->python->layout.odict_node.size;
}

/* Each node holds its key, as the dict does. */
static void odict_refs(struct ph_objects *objects, const struct ph_object *o,
                       const struct ph_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    ph_dict_refs(objects, o, v);
    ph_addr node = ph_object_ptr(objects, o, L->odict.od_first);
    for (uint64_t i = 0, n = node_count(objects, o); i < n && node; i++) {
        ph_visit(v, ph_python_word(python, node, L->odict_node.key), PH_LABEL_KEY, i,
                 PH_REF_STRONG);
        node = ph_python_word(python, node, L->odict_node.next);
    }
}

static void odict_buffers(struct ph_objects *objects, const struct ph_object *o,
                          const struct ph_buffer_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    ph_dict_buffers(objects, o, v);
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->odict.od_fast_nodes), table_bytes(objects, o),
                    "nodes by hash");
    ph_addr node = ph_object_ptr(objects, o, L->odict.od_first);
    for (uint64_t n = node_count(objects, o); n > 0 && node; n--) {
        ph_visit_buffer(v, node, (uint64_t)L->odict_node.size, "node");
        node = ph_python_word(python, node, L->odict_node.next);
    }
}

const struct ph_family ph_family_odict = {
    .type_names = PH_TYPE_NAMES("collections.OrderedDict"),
    .struct_size = PH_STRUCT_OF(odict),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("__dict__", odict, od_inst_dict)),
    .size = odict_size,
    .own_bytes = ph_size_default,
    .refs = odict_refs,
    .buffers = odict_buffers,
    .summary = ph_dict_summary,
};
