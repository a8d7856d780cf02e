/* xml.etree.ElementTree in C (Modules/_elementtree.c), and expat's parser (Modules/pyexpat.c). */
#include "objects/object.h"

/* ---- Element ---- */

/* What an element has beside tag and text: attributes and children; most have none. */
static const uint8_t *extra_of(const struct ph_objects *objects, const struct ph_object *o,
                               ph_addr *address)
{
    const struct ph_layout *L = &objects->python->layout;
    *address = ph_object_ptr(objects, o, L->element.extra);
    return *address
               ? ph_target_view(objects->python->target, *address, (size_t)L->element_extra.size)
               : NULL;
}

/* Up to four children lie in the extra part itself; more of them have memory of their own. */
static uint64_t children_bytes(const struct ph_objects *objects, const uint8_t *extra,
                               ph_addr address)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr children = ph_load_ptr(objects->python, extra + L->element_extra.children);
    if (children == address + (uint64_t)L->element_extra.own_children)
        return 0;
    return ph_sane_count(ph_load_ssize(objects->python, extra + L->element_extra.allocated)) *
           L->word_bytes;
}

static void element_refs(struct ph_objects *objects, const struct ph_object *o,
                         const struct ph_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    /* The low bit says that the pieces of a list are still to be joined (JOIN_GET). */
    ph_visit_field(v, ph_object_ptr(objects, o, L->element.text) & ~(ph_addr)1, "text");
    ph_visit_field(v, ph_object_ptr(objects, o, L->element.tail) & ~(ph_addr)1, "tail");
    ph_addr address;
    const uint8_t *extra = extra_of(objects, o, &address);
    if (!extra)
        return;
    ph_visit_field(v, ph_load_ptr(python, extra + L->element_extra.attrib), "attrib");
    ph_visit_words(objects, ph_load_ptr(python, extra + L->element_extra.children),
                   ph_load_ssize(python, extra + L->element_extra.length), PH_LABEL_ITEM, v);
}

static void element_buffers(struct ph_objects *objects, const struct ph_object *o,
                            const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr address;
    const uint8_t *extra = extra_of(objects, o, &address);
    if (!extra)
        return;
    ph_visit_buffer(v, address, (uint64_t)L->element_extra.size, "attributes and children");
    uint64_t bytes = children_bytes(objects, extra, address);
    if (bytes)
        ph_visit_buffer(v, ph_load_ptr(objects->python, extra + L->element_extra.children), bytes,
                        "children");
}

const struct ph_family ph_family_element = {
    .type_names = PH_TYPE_NAMES("xml.etree.ElementTree.Element"),
    .struct_size = PH_STRUCT_OF(element),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("tag", element, tag)),
    .size = ph_size_with_buffers,
    .refs = element_refs,
    .buffers = element_buffers,
};

/* ---- the iterator over elements ---- */

static void element_iter_refs(struct ph_objects *objects, const struct ph_object *o,
                              const struct ph_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    uint64_t n = ph_object_count(objects, o, L->element_iter.parent_stack_used);
    uint64_t stride = (uint64_t)L->parent_locator.size;
    ph_addr stack = ph_object_ptr(objects, o, L->element_iter.parent_stack);
    const uint8_t *parents =
        stack && n ? ph_target_view(python->target, stack, (size_t)(n * stride)) : NULL;
    for (uint64_t i = 0; parents && i < n; i++)
        ph_visit(v, ph_load_ptr(python, parents + i * stride + L->parent_locator.parent),
                 PH_LABEL_NOTE, (uint64_t)(uintptr_t) "parent", PH_REF_STRONG);
}

static void element_iter_buffers(struct ph_objects *objects, const struct ph_object *o,
                                 const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->element_iter.parent_stack),
                    ph_object_count(objects, o, L->element_iter.parent_stack_size) *
                        (uint64_t)L->parent_locator.size,
                    "parents");
}

const struct ph_family ph_family_element_iter = {
    .type_names = PH_TYPE_NAMES("_elementtree._element_iterator"),
    .struct_size = PH_STRUCT_OF(element_iter),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("root", element_iter, root_element),
                            PH_REF_NOTE("tag", element_iter, sought_tag)),
    .refs = element_iter_refs,
    .buffers = element_iter_buffers,
};

/* ---- expat's parser ---- */

enum { HANDLERS = 22 }; /* pyexpat.c: enum HandlerTypes, the same from 3.8 to 3.15 */

static void xml_parser_refs(struct ph_objects *objects, const struct ph_object *o,
                            const struct ph_visitor *v)
{
    ph_addr handlers = ph_object_ptr(objects, o, objects->python->layout.xml_parser.handlers);
    if (handlers)
        ph_visit_words(objects, handlers, HANDLERS, PH_LABEL_ITEM, v);
}

static void xml_parser_buffers(struct ph_objects *objects, const struct ph_object *o,
                               const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->xml_parser.handlers), HANDLERS * L->word_bytes,
                    "handlers");
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->xml_parser.buffer),
                    ph_sane_count(ph_object_int(objects, o, L->xml_parser.buffer_size)), "text");
}

const struct ph_family ph_family_xml_parser = {
    .type_names = PH_TYPE_NAMES("pyexpat.xmlparser"),
    .struct_size = PH_STRUCT_OF(xml_parser),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("parent", xml_parser, parent),
                            PH_REF_FIELD("intern", xml_parser, intern)),
    .refs = xml_parser_refs,
    .buffers = xml_parser_buffers,
};
