/* pickle in C (Modules/_pickle.c): what a pickler remembers of what it wrote, an unpickler of what
 * it read, and the stack of the latter. */
#include "objects/object.h"

enum { MAX_TEXT = 1 << 30 };

/* ---- Pickler ---- */

/* The memo's header, which says where and how large its table is. */
static const uint8_t *memo_table(const struct ph_objects *objects, const struct ph_object *o,
                                 ph_addr *memo, uint64_t *slots)
{
    const struct ph_layout *L = &objects->python->layout;
    *memo = ph_object_ptr(objects, o, L->pickler.memo);
    const uint8_t *at =
        *memo ? ph_target_view(objects->python->target, *memo, (size_t)L->memo_table.size) : NULL;
    *slots =
        at ? ph_sane_count(ph_load_ssize(objects->python, at + L->memo_table.mt_allocated)) : 0;
    return at;
}

/* Pickler___sizeof__(): the pickle under construction is counted too, though it is an object. */
static uint64_t pickler_size(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    uint64_t bytes = o->type->basicsize, slots;
    ph_addr memo;
    struct ph_object output;
    if (memo_table(objects, o, &memo, &slots))
        bytes += (uint64_t)L->memo_table.size + slots * (uint64_t)L->memo_entry.size;
    ph_addr buffer = ph_object_ptr(objects, o, L->pickler.output_buffer);
    if (buffer && ph_object_at(objects, buffer, &output) && output.type->family == &ph_family_bytes)
        bytes += ph_object_sizeof(objects, &output);
    return bytes;
}

static void pickler_refs(struct ph_objects *objects, const struct ph_object *o,
                         const struct ph_visitor *v)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    ph_addr memo;
    uint64_t slots, stride = (uint64_t)L->memo_entry.size;
    const uint8_t *at = memo_table(objects, o, &memo, &slots);
    ph_addr table = at ? ph_load_ptr(python, at + L->memo_table.mt_table) : 0;
    const uint8_t *entries =
        table && slots ? ph_target_view(python->target, table, (size_t)(slots * stride)) : NULL;
    for (uint64_t i = 0; entries && i < slots; i++)
        ph_visit(v, ph_load_ptr(python, entries + i * stride + L->memo_entry.me_key), PH_LABEL_NOTE,
                 (uint64_t)(uintptr_t) "memo", PH_REF_STRONG);
}

static void pickler_buffers(struct ph_objects *objects, const struct ph_object *o,
                            const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr memo;
    uint64_t slots;
    const uint8_t *at = memo_table(objects, o, &memo, &slots);
    if (!at)
        return;
    ph_visit_buffer(v, memo, (uint64_t)L->memo_table.size, "memo");
    ph_visit_buffer(v, ph_load_ptr(objects->python, at + L->memo_table.mt_table),
                    slots * (uint64_t)L->memo_entry.size, "memo table");
}

/* pers_func_self (to 3.12) is borrowed and left out. */
const struct ph_family ph_family_pickler = {
    .type_names = PH_TYPE_NAMES("_pickle.Pickler"),
    .struct_size = PH_STRUCT_OF(pickler),
    .fields = PH_REF_FIELDS(PH_REF_FIELD("persistent_id", pickler, persistent_id),
                            PH_REF_NOTE("own persistent_id", pickler, persistent_id_attr),
                            PH_REF_FIELD("dispatch_table", pickler, dispatch_table),
                            PH_REF_FIELD("reducer_override", pickler, reducer_override),
                            PH_REF_NOTE("write", pickler, write),
                            PH_REF_NOTE("output", pickler, output_buffer),
                            PH_REF_NOTE("memo of fast mode", pickler, fast_memo),
                            PH_REF_NOTE("buffer callback", pickler, buffer_callback)),
    .size = pickler_size,
    .own_bytes = ph_size_default,
    .refs = pickler_refs,
    .buffers = pickler_buffers,
};

/* ---- Unpickler ---- */

static uint64_t c_string_bytes(const struct ph_objects *objects, ph_addr text)
{
    size_t len;
    return text && ph_target_cstring(objects->python->target, text, MAX_TEXT, &len) ? len + 1 : 0;
}

static void unpickler_buffers(struct ph_objects *objects, const struct ph_object *o,
                              const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    const struct {
        const char *what;
        int32_t offset;
    } texts[] = {
        {"line", L->unpickler.input_line},
        {"encoding", L->unpickler.encoding},
        {"errors", L->unpickler.errors},
    };
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->unpickler.memo),
                    ph_object_count(objects, o, L->unpickler.memo_size) * L->word_bytes, "memo");
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->unpickler.marks),
                    ph_object_count(objects, o, L->unpickler.marks_size) * L->word_bytes, "marks");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ph_addr text = ph_object_ptr(objects, o, texts[i].offset);
        ph_visit_buffer(v, text, c_string_bytes(objects, text), texts[i].what);
    }
}

static void unpickler_refs(struct ph_objects *objects, const struct ph_object *o,
                           const struct ph_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr memo = ph_object_ptr(objects, o, L->unpickler.memo);
    if (memo)
        ph_visit_words(objects, memo, ph_object_ssize(objects, o, L->unpickler.memo_size),
                       PH_LABEL_ITEM, v);
}

const struct ph_family ph_family_unpickler = {
    .type_names = PH_TYPE_NAMES("_pickle.Unpickler"),
    .struct_size = PH_STRUCT_OF(unpickler),
    .fields = PH_REF_FIELDS(
        PH_REF_NOTE("stack", unpickler, stack),
        PH_REF_FIELD("persistent_load", unpickler, persistent_load),
        PH_REF_NOTE("own persistent_load", unpickler, persistent_load_attr),
        PH_REF_NOTE("sparse memo", unpickler, memo_dict),
        PH_REF_NOTE("input", unpickler, buffer_obj), PH_REF_NOTE("read", unpickler, read),
        PH_REF_NOTE("readinto", unpickler, readinto), PH_REF_NOTE("readline", unpickler, readline),
        PH_REF_NOTE("peek", unpickler, peek), PH_REF_NOTE("buffers", unpickler, buffers)),
    .size = ph_size_with_buffers,
    .refs = unpickler_refs,
    .buffers = unpickler_buffers,
};

/* ---- the unpickler's stack ---- */

static uint64_t basicsize(struct ph_objects *objects, const struct ph_object *o)
{
    (void)objects;
    return o->type->basicsize;
}

static void pickle_data_refs(struct ph_objects *objects, const struct ph_object *o,
                             const struct ph_visitor *v)
{
    ph_visit_words(objects, ph_object_ptr(objects, o, objects->python->layout.pickle_data.data),
                   ph_object_var_size(objects, o), PH_LABEL_ITEM, v);
}

static void pickle_data_buffers(struct ph_objects *objects, const struct ph_object *o,
                                const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_visit_buffer(v, ph_object_ptr(objects, o, L->pickle_data.data),
                    ph_object_count(objects, o, L->pickle_data.allocated) * L->word_bytes, "items");
}

/* Its itemsize says a word, although the items lie elsewhere. */
const struct ph_family ph_family_pickle_data = {
    .type_names = PH_TYPE_NAMES("_pickle.Pdata"),
    .struct_size = PH_STRUCT_OF(pickle_data),
    .own_bytes = basicsize,
    .refs = pickle_data_refs,
    .buffers = pickle_data_buffers,
};
