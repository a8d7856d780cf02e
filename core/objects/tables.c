/* Types of the standard library that keep one table in memory of their own: csv, poll, SimpleQueue,
 * templates of re.sub(), capsules. */
#include "objects/object.h"

/* ---- csv (Modules/_csv.c) ---- */

enum { UCS4 = 4 };

static void csv_reader_buffers(struct ph_objects *objects, const struct ph_object *o,
                               const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->csv_reader.field),
                    ph_object_count(objects, o, L->csv_reader.field_size) * UCS4, "field");
}

const struct ph_family ph_family_csv_reader = {
    .type_names = PH_TYPE_NAMES("_csv.reader"),
    .struct_size = PH_STRUCT_OF(csv_reader),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("lines", csv_reader, input_iter),
                            PH_REF_FIELD("dialect", csv_reader, dialect),
                            PH_REF_NOTE("fields", csv_reader, fields)),
    .buffers = csv_reader_buffers,
};

static void csv_writer_buffers(struct ph_objects *objects, const struct ph_object *o,
                               const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->csv_writer.rec),
                    ph_object_count(objects, o, L->csv_writer.rec_size) * UCS4, "record");
}

const struct ph_family ph_family_csv_writer = {
    .type_names = PH_TYPE_NAMES("_csv.writer"),
    .struct_size = PH_STRUCT_OF(csv_writer),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("write", csv_writer, write),
                            PH_REF_FIELD("dialect", csv_writer, dialect),
                            PH_REF_NOTE("error", csv_writer, error_obj)),
    .buffers = csv_writer_buffers,
};

/* ---- select.poll (Modules/selectmodule.c) ---- */

static void poll_buffers(struct ph_objects *objects, const struct ph_object *o,
                         const struct ph_buffer_visitor *v)
{
    enum { POLLFD = 8 }; /* an int and two shorts */
    const struct ph_layout *L = &objects->python->layout;
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->poll.ufds),
                    ph_sane_count(ph_object_int(objects, o, L->poll.ufd_len)) * POLLFD, "pollfds");
}

const struct ph_family ph_family_poll = {
    .type_names = PH_TYPE_NAMES("select.poll"),
    .struct_size = PH_STRUCT_OF(poll),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("files", poll, dict)),
    .buffers = poll_buffers,
};

/* ---- queue.SimpleQueue (Modules/_queuemodule.c): a list (to 3.12), or a ring of its own ---- */

static void simple_queue_refs(struct ph_objects *objects, const struct ph_object *o,
                              const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    if (!ph_has(L->simple_queue.items))
        return;
    uint64_t room = ph_object_count(objects, o, L->simple_queue.items_cap);
    uint64_t n = ph_object_count(objects, o, L->simple_queue.num_items);
    uint64_t first = ph_object_count(objects, o, L->simple_queue.get_idx);
    ph_addr items = ph_object_ptr(objects, o, L->simple_queue.items);
    const uint8_t *at =
        room ? ph_target_view(objects->python->target, items, (size_t)(room * L->word_bytes))
             : NULL;
    for (uint64_t i = 0; at && i < n && i < room; i++)
        ph_visit(v, ph_load_ptr(objects->python, at + (first + i) % room * L->word_bytes),
                 PH_LABEL_ITEM, i, PH_REF_STRONG);
}

static void simple_queue_buffers(struct ph_objects *objects, const struct ph_object *o,
                                 const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    if (ph_has(L->simple_queue.items))
        ph_visit_buffer(v, ph_object_ptr(objects, o, L->simple_queue.items),
                        ph_object_count(objects, o, L->simple_queue.items_cap) * L->word_bytes,
                        "items");
}

/* From 3.15 on simplequeue___sizeof___impl() counts the ring. */
static uint64_t simple_queue_size(struct ph_objects *objects, const struct ph_object *o)
{
    return objects->python->layout.version >= 0x030f0000 ? ph_size_with_buffers(objects, o)
                                                         : ph_size_default(objects, o);
}

const struct ph_family ph_family_simple_queue = {
    .type_names = PH_TYPE_NAMES("_queue.SimpleQueue"),
    .struct_size = PH_STRUCT_OF(simple_queue),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("items", simple_queue, lst)),
    .size = simple_queue_size,
    .own_bytes = ph_size_default,
    .refs = simple_queue_refs,
    .buffers = simple_queue_buffers,
};

/* ---- templates of re.sub() (3.12+; Modules/_sre/sre.h): pairs of a group's number and the text
 * behind it ---- */

static void sre_template_refs(struct ph_objects *objects, const struct ph_object *o,
                              const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    uint64_t n = ph_object_count(objects, o, L->var.ob_size), stride = 2 * L->word_bytes;
    ph_addr start = o->address + (uint64_t)L->sre_template.items;
    const uint8_t *items =
        n ? ph_target_view(objects->python->target, start, (size_t)(n * stride)) : NULL;
    for (uint64_t i = 0; items && i < n; i++)
        ph_visit(v, ph_load_ptr(objects->python, items + i * stride + L->word_bytes), PH_LABEL_ITEM,
                 i, PH_REF_STRONG);
}

const struct ph_family ph_family_sre_template = {
    .type_names = PH_TYPE_NAMES("_sre.SRE_Template"),
    .struct_size = PH_STRUCT_OF(sre_template),
    .fields = PH_REF_FIELDS(PH_REF_NOTE("text before", sre_template, literal)),
    .refs = sre_template_refs,
};

/* ---- capsules (Objects/capsule.c) ---- */

/* Where a capsule points is its maker's business. From 3.12 on it may have a traverse function; in
 * the standard library one holds types: socket's, which begins with three references
 * (Modules/socketmodule.h: PySocketModule_APIObject). */
static void capsule_refs(struct ph_objects *objects, const struct ph_object *o,
                         const struct ph_visitor *v)
{
    enum { SOCKET_TYPES = 3 };
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    size_t len;
    const char *name =
        ph_target_cstring(python->target, ph_object_ptr(objects, o, L->capsule.name), 100, &len);
    if (!name || strcmp(name, "_socket.CAPI") != 0)
        return;
    uint64_t bytes = SOCKET_TYPES * L->word_bytes;
    const uint8_t *api = ph_target_view(
        python->target, ph_object_ptr(objects, o, L->capsule.pointer), (size_t)bytes);
    if (api)
        ph_refs_scan(objects, api, bytes, 0, v);
}

const struct ph_family ph_family_capsule = {
    .type_names = PH_TYPE_NAMES("PyCapsule"),
    .struct_size = PH_STRUCT_OF(capsule),
    .refs = capsule_refs,
};
