/*
 * The type table: each type object of the target is read once, checked, named, and given its
 * family.
 */
#include "objects/object.h"

#include "layout/described.h"
#include "objects/dict.h"
#include "objects/str.h"

enum {
    MAX_NAME_BYTES = 512,
    MAX_BASES = 200, /* length of a tp_base chain that we follow */
    MAX_MRO = 4096,
    MAX_MEMBERS = 10000, /* members that one type may declare */
    MEMBER_OBJECT = 6,   /* T_OBJECT and T_OBJECT_EX (Include/structmember.h) */
    MEMBER_OBJECT_EX = 16,
    MEMBER_AFTER_ITEMS = 1 << 4, /* of the flags: 3.15, in tuples and types (descrobject.h) */
};
#define MAX_BASICSIZE (1ull << 30)

static const struct ph_family *const families[] = {
#define PH_FAMILY(name) &ph_family_##name,
#include "objects/families.def"
#undef PH_FAMILY
};

bool ph_objects_init(struct ph_objects *objects, struct ph_python *python)
{
    memset(objects, 0, sizeof *objects);
    objects->python = python;
    return ph_map_reserve(&objects->type_ids, 1024);
}

void ph_objects_deinit(struct ph_objects *objects)
{
    ph_map_free(&objects->type_ids);
    ph_array_free(&objects->types);
    ph_arena_free(&objects->arena);
}

/* ---- names ---- */

/* The last part of a dotted name, as _PyType_Name() in Objects/typeobject.c. */
static size_t tail_start(const char *name, size_t len)
{
    while (len > 0 && name[len - 1] != '.')
        len--;
    return len;
}

static const char *builtins_name(const struct ph_layout *L)
{
    return L->version < 0x03000000 ? "__builtin__" : "builtins";
}

/* A static type's name: "itertools.chain" is both module and name, "dict" is a built-in. */
static size_t name_static_type(const struct ph_layout *L, const char *tp_name, size_t len,
                               struct ph_str *out)
{
    size_t tail = tail_start(tp_name, len);
    const char *builtins = builtins_name(L);
    bool builtin = tail == strlen(builtins) + 1 && memcmp(tp_name, builtins, strlen(builtins)) == 0;
    ph_str_append_visible(out, tp_name, builtin ? 0 : tail);
    size_t module_len = out->len ? out->len - 1 : 0;
    ph_str_append_visible(out, tp_name + tail, len - tail);
    return module_len;
}

/* type.__module__ + "." + type.__qualname__ of a heap type (Objects/typeobject.c: type_module,
 * type_qualname); 2.7 knows but __name__. */
static size_t name_heap_type(struct ph_objects *objects, const uint8_t *at, const char *tp_name,
                             size_t len, struct ph_str *out)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr dict = ph_load_ptr(objects->python, at + L->type.tp_dict);
    ph_addr module = ph_dict_get_string(objects, dict, "__module__");
    struct ph_str text = {0};
    if (module && ph_str_object_text(objects, module, MAX_NAME_BYTES, &text)) {
        if (strcmp(ph_str_text(&text), builtins_name(L)) != 0)
            ph_str_appendf(out, "%s.", ph_str_text(&text));
    } else {
        size_t tail = tail_start(tp_name, len);
        ph_str_append_visible(out, tp_name, tail);
    }
    size_t module_len = out->len ? out->len - 1 : 0;
    out->failed |= text.failed;
    ph_str_clear(&text);
    ph_addr qualname = ph_load_ptr(
        objects->python,
        at + (ph_has(L->heap_type.ht_qualname) ? L->heap_type.ht_qualname : L->heap_type.ht_name));
    if (ph_str_object_text(objects, qualname, MAX_NAME_BYTES, &text)) {
        ph_str_append(out, ph_str_text(&text));
    } else {
        size_t tail = tail_start(tp_name, len);
        ph_str_append_visible(out, tp_name + tail, len - tail);
    }
    out->failed |= text.failed;
    ph_str_free(&text);
    return module_len;
}

static void name_type(struct ph_objects *objects, struct ph_type *type, const uint8_t *at,
                      const char *tp_name, size_t len)
{
    struct ph_str name = {0};
    size_t module_len = type->is_heap
                            ? name_heap_type(objects, at, tp_name, len, &name)
                            : name_static_type(&objects->python->layout, tp_name, len, &name);
    const char *copy = ph_arena_strdup(&objects->arena, ph_str_text(&name));
    if (!copy || name.failed) {
        objects->out_of_memory = true;
    } else {
        type->name = copy;
        type->module_len = (uint32_t)module_len;
    }
    ph_str_free(&name);
}

/* ---- members ---- */

struct member_list PH_ARRAY_BODY(struct ph_member);

/* Append the object members of a PyMemberDef table that ends with a NULL name, or after `limit`
 * entries. */
static void read_members(struct ph_objects *objects, ph_addr table, uint64_t limit,
                         const struct ph_type *type, struct member_list *out)
{
    const struct ph_layout *L = &objects->python->layout;
    for (uint64_t i = 0; table && i < limit; i++) {
        const uint8_t *def =
            ph_target_view(objects->python->target, table + i * (uint64_t)L->member_def.size,
                           (size_t)L->member_def.size);
        ph_addr name = def ? ph_load_ptr(objects->python, def + L->member_def.name) : 0;
        if (!name)
            return;
        uint32_t kind = ph_load_u32(objects->python, def + L->member_def.type);
        int64_t offset = ph_load_ssize(objects->python, def + L->member_def.offset);
        bool inside = offset >= L->object.size &&
                      (uint64_t)offset + ph_word_bytes(objects->python) <= type->basicsize;
        if ((kind == MEMBER_OBJECT || kind == MEMBER_OBJECT_EX) && inside &&
            !ph_array_push(
                out, ((struct ph_member){
                         .offset = offset,
                         .name = name,
                         .after_items = ph_load_u32(objects->python, def + L->member_def.flags) &
                                        MEMBER_AFTER_ITEMS,
                     }))) {
            objects->out_of_memory = true;
            return;
        }
    }
}

static const struct ph_member *keep_members(struct ph_objects *objects, struct member_list *list,
                                            uint32_t *count)
{
    struct ph_member *kept =
        list->count ? ph_arena_alloc(&objects->arena, list->count * sizeof *kept) : NULL;
    if (kept)
        memcpy(kept, list->items, list->count * sizeof *kept);
    else
        objects->out_of_memory |= list->count > 0;
    *count = kept ? list->count : 0;
    ph_array_free(list);
    return kept;
}

/* Own members first, then the inherited ones. */
static void inherit_members(struct ph_objects *objects, struct member_list *list,
                            const struct ph_member *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        objects->out_of_memory |= !ph_array_push(list, items[i]);
}

static void read_type_members(struct ph_objects *objects, const uint8_t *at, struct ph_type *type)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    struct member_list slots = {0}, members = {0};
    ph_addr table = ph_load_ptr(python, at + L->type.tp_members);
    if (type->is_python_class) {
        /* The members of __slots__ follow the heap type struct, ob_size of them
         * (PyHeapType_GET_MEMBERS). */
        int64_t n = ph_load_ssize(python, at + L->var.ob_size);
        read_members(objects, table, n > 0 && n < MAX_MEMBERS ? (uint64_t)n : 0, type, &slots);
    } else {
        read_members(objects, table, MAX_MEMBERS, type, &members);
    }
    if (type->base) {
        inherit_members(objects, &slots, type->base->slots, type->base->slot_count);
        inherit_members(objects, &members, type->base->members, type->base->member_count);
    }
    type->slots = keep_members(objects, &slots, &type->slot_count);
    type->members = keep_members(objects, &members, &type->member_count);
}

/* ---- families ---- */

static bool holds_struct(const struct ph_layout *L, const struct ph_family *family,
                         uint64_t basicsize)
{
    int32_t bytes;
    memcpy(&bytes, (const char *)L + family->struct_size, sizeof bytes);
    return !family->struct_size || (ph_has(bytes) && basicsize >= (uint64_t)bytes);
}

/* The first that serves the name and has its struct: versions give one name to different things. */
static const struct ph_family *family_by_name(const struct ph_layout *L, const char *tp_name,
                                              uint64_t basicsize)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        for (const char *const *name = families[i]->type_names; name && *name; name++) {
            if (strcmp(*name, tp_name) == 0 && holds_struct(L, families[i], basicsize))
                return families[i];
        }
    }
    return NULL;
}

/* A class statement makes tp_name point into the str in ht_name (Objects/typeobject.c: type_new,
 * type_set_name); PyType_FromSpec makes it point to the spec's own text or a copy of it. */
static bool is_python_class(struct ph_objects *objects, const uint8_t *at, ph_addr tp_name)
{
    const struct ph_layout *L = &objects->python->layout;
    ph_addr name = ph_load_ptr(objects->python, at + L->heap_type.ht_name);
    if (L->traits.str == PH_STR_BYTES)
        return tp_name == name + (uint64_t)L->bytes.ob_sval;
    if (tp_name == name + (uint64_t)L->ascii.size)
        return true;
    return ph_python_word(objects->python, name, L->compact_str.utf8) == tp_name;
}

static void choose_family(const struct ph_layout *L, struct ph_type *type, const char *tp_name)
{
    const struct ph_type *base = type->base;
    if (base)
        type->extension = base->extension;
    if (type->is_python_class && base) {
        type->body = base->body;
        type->described = base->described;
        type->family = base->family;
        return;
    }
    type->body = type;
    type->family = family_by_name(L, tp_name, type->basicsize);
    type->described = type->family ? type : NULL;
    if (!type->family && base && base->family != &ph_family_object) {
        type->family = base->family;
        type->described = base->described;
    }
    if (!type->family)
        type->family = &ph_family_undescribed;
}

/* A type that no family serves by its own name may be described by a file, which knows it by the
 * name that users do. */
static void choose_extension(const struct ph_objects *objects, struct ph_type *type)
{
    const struct ph_describing *describing = objects->python->describing;
    if (!describing || type->is_python_class || type->described == type)
        return;
    const struct ph_described *found = ph_described_find(describing, type->name, type->basicsize);
    if (!found)
        return;
    type->extension = found;
    bool has_family = type->described != NULL && type->family != &ph_family_extension;
    if (has_family && !found->buffers && !found->references)
        return;
    type->family = &ph_family_extension;
    type->described = type;
}

/* ---- reading one type ---- */

/* What lies before an instance in its memory block (Include/internal/pycore_object.h, pycore_gc.h).
 */
static uint32_t header_bytes(const struct ph_python *python, uint64_t flags)
{
    uint32_t bytes = flags & PH_TPFLAGS_HAVE_GC ? ph_python_gc_header_bytes(python) : 0;
    return bytes + ph_managed_header_bytes(python, flags);
}

/* Whether instances may own values beside what their family says. */
static bool may_have_outer_values(const struct ph_python *python, const struct ph_type *type)
{
    return type->is_heap && python->layout.traits.dict_values == PH_DICT_VALUES_PREFIXED &&
           ph_managed_header_bytes(python, type->flags);
}

/* ph_size_default() */
static void default_sizing(const struct ph_layout *L, const struct ph_type *type,
                           struct ph_sizing *out)
{
    out->bytes = (uint32_t)type->basicsize;
    out->item_bytes = (uint32_t)type->itemsize;
    out->sign = -1;
    if (type->itemsize)
        out->count_at = (uint32_t)L->var.ob_size;
    else
        out->count_shift = 63; /* whatever stands there is no count */
}

static struct ph_sizing find_sizing(const struct ph_python *python, const struct ph_type *type)
{
    const struct ph_layout *L = &python->layout;
    const struct ph_family *family = type->family;
    struct ph_sizing sizing = {0};
    bool has_words = type->min_bytes >= (uint64_t)L->var.size || (!family->size && !type->itemsize);
    if (type->extension || (type->flags & PH_TPFLAGS_TYPE_SUBCLASS) || !has_words ||
        may_have_outer_values(python, type))
        return PH_SIZING_NEVER;
    if (family->sizing)
        family->sizing(L, type, &sizing);
    else if (family->size || family->buffers)
        return PH_SIZING_NEVER;
    else
        default_sizing(L, type, &sizing);
    sizing.bytes += type->presize;
    return sizing;
}

/* What is asked of each instance, in one place for all. */
static void note_what_instances_have(const struct ph_python *python, struct ph_type *type)
{
    const struct ph_layout *L = &python->layout;
    uint32_t managed = ph_managed_header_bytes(python, type->flags);
    type->has_refs = type->is_heap || type->family->fields || type->family->refs ||
                     type->described != type->body;
    type->has_buffers = type->family->buffers || may_have_outer_values(python, type);
    /* Python/sysmodule.c: _PySys_GetSizeOf */
    type->presize = (type->is_gc ? ph_python_gc_header_bytes(python) : 0) +
                    (L->traits.presize == PH_PRESIZE_GC_OBJECT ? 0 : managed);
    bool is_fixed = !type->family->size && !type->itemsize && !type->extension &&
                    !(type->flags & PH_TPFLAGS_TYPE_SUBCLASS);
    type->fixed_size = is_fixed ? type->basicsize + type->presize : 0;
    type->sizing = find_sizing(python, type);
}

/* Only the static type itself makes short forms, never a subclass. */
static uint64_t shortest_form(const struct ph_layout *L, const struct ph_type *type)
{
    /* Static types have no more than a PyTypeObject, whatever their metatype's basicsize. */
    if (type->flags & PH_TPFLAGS_TYPE_SUBCLASS)
        return (uint64_t)L->type.size;
    int32_t bytes;
    if (!type->family->short_form || type->is_heap || type->described != type)
        return type->basicsize;
    memcpy(&bytes, (const char *)L + type->family->short_form, sizeof bytes);
    return (uint64_t)bytes;
}

static const uint8_t *view_type(const struct ph_objects *objects, ph_addr address)
{
    const struct ph_layout *L = &objects->python->layout;
    if (!ph_python_is_type(objects->python, address))
        return NULL;
    const uint8_t *at = ph_target_view(objects->python->target, address, (size_t)L->type.size);
    if (!at || !(ph_load_ptr(objects->python, at + L->type.tp_flags) & PH_TPFLAGS_HEAPTYPE))
        return at;
    return ph_target_view(objects->python->target, address, (size_t)L->heap_type.size);
}

/* Read one type whose base, if any, stands in the table already. */
static struct ph_type *read_type(struct ph_objects *objects, ph_addr address,
                                 const struct ph_type *base)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    const uint8_t *at = view_type(objects, address);
    if (!at)
        return NULL;
    size_t len = 0;
    ph_addr name = ph_load_ptr(python, at + L->type.tp_name);
    const char *tp_name = ph_target_cstring(python->target, name, MAX_NAME_BYTES, &len);
    int64_t basicsize = ph_load_ssize(python, at + L->type.tp_basicsize);
    int64_t itemsize = ph_load_ssize(python, at + L->type.tp_itemsize);
    if (basicsize < L->object.size || (uint64_t)basicsize > MAX_BASICSIZE || itemsize < 0 ||
        (uint64_t)itemsize > MAX_BASICSIZE)
        return NULL;
    struct ph_type *type = ph_arena_alloc(&objects->arena, sizeof *type);
    if (!type) {
        objects->out_of_memory = true;
        return NULL;
    }
    type->address = address;
    type->base = base;
    type->flags = ph_load_ptr(python, at + L->type.tp_flags);
    type->basicsize = (uint64_t)basicsize;
    type->itemsize = (uint64_t)itemsize;
    type->dictoffset = ph_load_ssize(python, at + L->type.tp_dictoffset);
    type->weaklistoffset = ph_load_ssize(python, at + L->type.tp_weaklistoffset);
    type->header_bytes = header_bytes(python, type->flags);
    type->is_gc = type->flags & PH_TPFLAGS_HAVE_GC;
    type->is_heap = type->flags & PH_TPFLAGS_HEAPTYPE;
    type->name = "?";
    type->id = objects->types.count;
    /* It stands in the table before its name is read, for the name's own type may need it. */
    if (!ph_array_push(&objects->types, type) ||
        !ph_map_insert(&objects->type_ids, address, type->id + 1)) {
        objects->out_of_memory = true;
        return NULL;
    }
    type->family = &ph_family_undescribed;
    type->body = type;
    type->is_python_class = type->is_heap && is_python_class(objects, at, name);
    choose_family(L, type, tp_name ? tp_name : "");
    type->min_bytes = shortest_form(L, type);
    read_type_members(objects, at, type);
    name_type(objects, type, at, tp_name ? tp_name : "?", tp_name ? len : 1);
    choose_extension(objects, type);
    note_what_instances_have(python, type);
    return type;
}

const struct ph_type *ph_type_at(struct ph_objects *objects, ph_addr address)
{
    uint32_t known;
    if (ph_map_find(&objects->type_ids, address, &known))
        return known ? objects->types.items[known - 1] : NULL;
    if (!address)
        return NULL;
    if (ph_target_is_frozen(objects->python->target)) {
        if (ph_python_is_type(objects->python, address))
            ph_target_miss();
        return NULL;
    }
    /* Bases first. The chain is followed without recursion; it ends at object, or at a type known
     * already. */
    ph_addr chain[MAX_BASES];
    uint32_t depth = 0;
    const struct ph_type *base = NULL;
    for (ph_addr at = address; at;
         at = ph_python_word(objects->python, at, objects->python->layout.type.tp_base)) {
        if (ph_map_find(&objects->type_ids, at, &known)) {
            base = known ? objects->types.items[known - 1] : NULL;
            if (!base)
                depth = 0;
            break;
        }
        if (depth == MAX_BASES || !ph_python_is_type(objects->python, at)) {
            depth = 0;
            break;
        }
        chain[depth++] = at;
    }
    if (depth == 0) {
        ph_map_insert(&objects->type_ids, address, 0);
        return NULL;
    }
    while (depth > 0) {
        base = read_type(objects, chain[--depth], base);
        if (!base) {
            ph_map_insert(&objects->type_ids, address, 0);
            return NULL;
        }
    }
    return base;
}

bool ph_type_inherits(const struct ph_type *type, const char *name)
{
    while (type && strcmp(type->name, name) != 0)
        type = type->base;
    return type != NULL;
}

ph_addr ph_type_lookup(struct ph_objects *objects, const struct ph_type *type, const char *name,
                       const struct ph_type **definer)
{
    const struct ph_python *python = objects->python;
    const struct ph_layout *L = &python->layout;
    ph_addr mro = ph_python_word(python, type->address, L->type.tp_mro);
    int64_t count = mro ? (int64_t)ph_python_word(python, mro, L->var.ob_size) : 0;
    for (int64_t i = 0; i < count && i < MAX_MRO; i++) {
        ph_addr base =
            ph_python_word(python, mro, L->tuple.ob_item + i * (int64_t)ph_word_bytes(python));
        ph_addr dict = base ? ph_type_dict(objects, base) : 0;
        ph_addr value = dict ? ph_dict_get_string(objects, dict, name) : 0;
        if (value) {
            *definer = ph_type_at(objects, base);
            return *definer ? value : 0;
        }
    }
    return 0;
}
