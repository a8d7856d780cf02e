/*
 * What an object is: its type, its size as sys.getsizeof says, the references it holds with labels
 * that compose into Python, the buffers that belong to it, and a one-line summary.
 *
 * Each family of types (str, dict, frames, deque, ...) is one file with one `const struct
 * ph_family`; families.def lists them by the type names they serve. A type that no family serves is
 * handled by generic.c: tp_basicsize, tp_itemsize and a careful scan of its words.
 *
 * In: a struct ph_python. Not here: which objects there are (heap/), and adding anything up
 * (analysis/).
 *
 * To add a type: write its file, add its line to families.def, and add instances to
 * tests/targets/zoo.py.
 */
#ifndef PH_OBJECTS_OBJECT_H
#define PH_OBJECTS_OBJECT_H

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "runtime/python.h"

/* tp_flags (Include/object.h; stable where a version is not named). */
enum {
    PH_TPFLAGS_STATIC_BUILTIN = 1 << 1,  /* 3.12+ */
    PH_TPFLAGS_INLINE_VALUES = 1 << 2,   /* 3.13+ */
    PH_TPFLAGS_MANAGED_WEAKREF = 1 << 3, /* 3.12+ */
    PH_TPFLAGS_MANAGED_DICT = 1 << 4,    /* 3.11+ */
    PH_TPFLAGS_HEAPTYPE = 1 << 9,
    PH_TPFLAGS_HAVE_GC = 1 << 14,
    PH_TPFLAGS_INT_SUBCLASS = 1 << 23, /* 2.7 */
    PH_TPFLAGS_LONG_SUBCLASS = 1 << 24,
    PH_TPFLAGS_LIST_SUBCLASS = 1 << 25,
    PH_TPFLAGS_TUPLE_SUBCLASS = 1 << 26,
    PH_TPFLAGS_BYTES_SUBCLASS = 1 << 27, /* 2.7: of str */
    PH_TPFLAGS_UNICODE_SUBCLASS = 1 << 28,
    PH_TPFLAGS_DICT_SUBCLASS = 1 << 29,
    PH_TPFLAGS_BASE_EXC_SUBCLASS = 1 << 30,
};
#define PH_TPFLAGS_TYPE_SUBCLASS (1ull << 31)

struct ph_family;

/* A named word of an instance: a __slots__ member of a Python class, or a member that a C type
 * declares. */
struct ph_member {
    int64_t offset;
    ph_addr name;     /* C string in the target */
    bool after_items; /* the offset leaves the items out, which come first (3.15) */
};

/* How sys.getsizeof of an instance follows from its first bytes, where these tell it and nothing of
 * the instance lies elsewhere: so many bytes, and more for each item. Plain numbers, since a choice
 * for each object would take longer than all of it. All places lie within the type's min_bytes. */
struct ph_sizing {
    uint32_t bytes, item_bytes;
    uint32_t count_at, count_shift; /* of the items: what the word says, less its low bits */
    uint32_t least_count;
    int64_t sign; /* -1: the word's sign says something else; 0: it has none */
    uint32_t state_at, state_mask, state; /* true only where these bits are so; 1 of none: never */
    uint32_t null_at;                     /* and where this word has none of these bits */
    uint64_t null_mask;
};
#define PH_SIZING_NEVER ((struct ph_sizing){.state = 1})

/* A type object of the target, read once. */
struct ph_type {
    ph_addr address;
    uint32_t id;         /* index into ph_objects.types */
    const char *name;    /* "dict", "collections.deque", "__main__.Node": visible text */
    uint32_t module_len; /* how much of the name is the module: 11 of "collections.deque"; 0 for
                            built-ins */
    const struct ph_type *base; /* tp_base; NULL for object */
    const struct ph_family *family;
    const struct ph_type *body; /* the nearest type in the base chain that is not a Python class */
    const struct ph_type
        *described; /* the type in the chain that the family serves by name; NULL: none does */
    const struct ph_described *extension; /* what describes it, in the extension family */
    uint64_t flags;
    uint64_t basicsize, itemsize;
    uint64_t min_bytes; /* what every instance has: basicsize, but less where a static type has
                           shorter forms */
    int64_t dictoffset, weaklistoffset;
    uint32_t
        header_bytes; /* what lies before an instance in its block: GC header, managed pre-header */
    bool is_gc;       /* PH_TPFLAGS_HAVE_GC */
    bool is_heap;
    bool is_python_class;          /* made by a class statement or type(), not by C */
    const struct ph_member *slots; /* of Python classes, inherited ones included */
    uint32_t slot_count;
    const struct ph_member *members; /* object members of the C types in the chain, for labels */
    uint32_t member_count;
    bool has_refs;       /* instances may hold references: str, int and their like cannot */
    bool has_buffers;    /* they may own memory outside of themselves */
    uint32_t presize;    /* what sys.getsizeof adds to __sizeof__(), but see there for types */
    uint64_t fixed_size; /* sys.getsizeof of each instance; 0: it depends on the instance */
    struct ph_sizing sizing;
};

/* The type table of one target. */
struct ph_objects {
    struct ph_python *python; /* borrowed */
    struct ph_arena arena;
    struct ph_map type_ids; /* address -> id + 1, or 0 for an address that is known to be no type */
    PH_ARRAY(struct ph_type *) types;
    bool out_of_memory; /* a type could not be kept: what was found since is incomplete */
};

bool ph_objects_init(struct ph_objects *objects, struct ph_python *python);
void ph_objects_deinit(struct ph_objects *objects);

/* The type at this address, read and checked at the first call; NULL if there is no valid type
 * there. Of a frozen target (ph_target_freeze()) no new type is read. */
const struct ph_type *ph_type_at(struct ph_objects *objects, ph_addr address);
/* A type object's tp_dict, wherever the version keeps it: static types of 3.12+ have theirs in the
 * (main) interpreter's table (Include/internal/pycore_typeobject.h). 0 where it has none. */
ph_addr ph_type_dict(const struct ph_objects *objects, ph_addr type);
/* Whether `type` is or inherits from the type whose name this is. */
bool ph_type_inherits(const struct ph_type *type, const char *name);
/* What a class look-up finds: the value that the first class of the MRO has under a name, and in
 * *definer that class; 0 where none has it. A search in each class's dict. */
ph_addr ph_type_lookup(struct ph_objects *objects, const struct ph_type *type, const char *name,
                       const struct ph_type **definer);

/* ---- one object ---- */

/* An object in view. `at` is plain memory: type->min_bytes of it. */
struct ph_object {
    ph_addr address;
    const struct ph_type *type;
    const uint8_t *at;
};

/* Look at an object whose type is known. False where its bytes cannot be read. */
static inline bool ph_object_open(struct ph_objects *objects, ph_addr address,
                                  const struct ph_type *type, struct ph_object *out)
{
    const uint8_t *at = ph_target_view(objects->python->target, address, (size_t)type->min_bytes);
    if (!at)
        return false;
    *out = (struct ph_object){.address = address, .type = type, .at = at};
    return true;
}
/* Look at an object at an address that is said to be one: reads ob_type. False where that is no
 * valid type. */
bool ph_object_at(struct ph_objects *objects, ph_addr address, struct ph_object *out);

/* Fields of the object in view. Offsets come from the layout and lie within min_bytes. */
static inline ph_addr ph_object_ptr(const struct ph_objects *objects, const struct ph_object *o,
                                    int64_t offset)
{
    return ph_load_ptr(objects->python, o->at + offset);
}
/* The same for a field that the version may lack, which is then 0. */
static inline ph_addr ph_object_optional_ptr(const struct ph_objects *objects,
                                             const struct ph_object *o, int32_t offset)
{
    return ph_has(offset) ? ph_object_ptr(objects, o, offset) : 0;
}
static inline int64_t ph_object_ssize(const struct ph_objects *objects, const struct ph_object *o,
                                      int64_t offset)
{
    return ph_load_ssize(objects->python, o->at + offset);
}
/* A count of things that the target says it has: 0 where it is negative or more than memory could
 * hold. */
static inline uint64_t ph_sane_count(int64_t n)
{
    return n > 0 && n < 1ll << 40 ? (uint64_t)n : 0;
}
static inline uint64_t ph_object_count(const struct ph_objects *objects, const struct ph_object *o,
                                       int64_t offset)
{
    return ph_sane_count(ph_object_ssize(objects, o, offset));
}
static inline int32_t ph_object_int(const struct ph_objects *objects, const struct ph_object *o,
                                    int64_t offset)
{
    return (int32_t)ph_load_u32(objects->python, o->at + offset);
}
/* ob_size, for types that have one. */
static inline int64_t ph_object_var_size(const struct ph_objects *objects,
                                         const struct ph_object *o)
{
    return ph_object_ssize(objects, o, objects->python->layout.var.ob_size);
}

/* The reference count as users know it; false where the object is immortal. */
bool ph_object_refcount(const struct ph_objects *objects, const struct ph_object *o,
                        int64_t *count);

/* sys.getsizeof(o) as the default implementation and the types' own C __sizeof__ give it, in bytes.
 * Never more than what the target could hold: nonsense lengths are clamped to the base size. */
uint64_t ph_object_sizeof(struct ph_objects *objects, const struct ph_object *o);

/* The same by its type's sizing, given its bytes; UINT64_MAX where they do not tell it. */
static inline uint64_t ph_sizing_find(const struct ph_sizing *s, const struct ph_python *python,
                                      const uint8_t *at)
{
    const int64_t n = ph_load_ssize(python, at + s->count_at), sign = n >> 63 & s->sign;
    uint64_t count = (uint64_t)((n ^ sign) - sign) >> s->count_shift;
    count = count < s->least_count ? s->least_count : count;
    const bool is_state = (ph_load_u32(python, at + s->state_at) & s->state_mask) == s->state;
    const bool is_null = !(ph_load_ptr(python, at + s->null_at) & s->null_mask);
    const bool is_told = is_state & is_null & (count <= UINT32_MAX);
    return is_told ? s->bytes + count * s->item_bytes : UINT64_MAX;
}

/* Bytes of the object itself from its address on, without buffers elsewhere: what its memory block
 * must hold. */
uint64_t ph_object_own_bytes(struct ph_objects *objects, const struct ph_object *o);

/* ---- references ---- */

/* How a reference is named. `arg` belongs to the kind. */
enum ph_label_kind {
    PH_LABEL_FIELD,   /* .name, or __name__ bare; arg: const char * of ours, such as "args" */
    PH_LABEL_ATTR,    /* .name; arg: address of the str */
    PH_LABEL_MEMBER,  /* .name; arg: address of a C string in the target */
    PH_LABEL_ITEM,    /* [n]; arg: n */
    PH_LABEL_VALUE,   /* ['key']; arg: address of the key object */
    PH_LABEL_KEY,     /* key n of a dict; arg: its position */
    PH_LABEL_ELEMENT, /* an element of a set */
    PH_LABEL_LOCAL,   /* local name; arg: address of the str, or 0 */
    PH_LABEL_CELL,    /* cell name: a local that inner functions share; arg as above */
    PH_LABEL_STACK,   /* evaluation stack n; arg: n */
    PH_LABEL_WORD,    /* a word that nobody described; arg: its offset */
    PH_LABEL_NOTE,    /* free words of ours, such as "callback"; arg: const char * */
};

struct ph_label {
    enum ph_label_kind kind;
    uint64_t arg;
};

enum ph_ref_flags {
    PH_REF_STRONG = 1, /* owns a count of the target object */
    PH_REF_WEAK = 2,   /* holds nothing: weak references, borrowed back pointers */
    PH_REF_GUESS =
        4, /* a word that may be a reference: believed only if it is the start of a known object */
    PH_REF_SHARED = 16, /* beside STRONG: reached through memory that several share, so the count is
                           another's */
    PH_REF_BORROWED = 32, /* beside STRONG: counts for nothing, for something else is sure to hold
                             the object as long (slots of frames from 3.14 on) */
    PH_REF_STALE =
        8, /* a guess from memory that may hold leftovers (the stack of a running frame) */
};

/* Called once a reference; target is never 0. */
typedef void (*ph_ref_fn)(void *ctx, ph_addr target, struct ph_label label, unsigned flags);

struct ph_visitor {
    ph_ref_fn ref;
    void *ctx;
};

static inline void ph_visit(const struct ph_visitor *v, ph_addr target, enum ph_label_kind kind,
                            uint64_t arg, unsigned flags)
{
    if (target)
        v->ref(v->ctx, target, (struct ph_label){kind, arg}, flags);
}
/* A strong field with a name of ours. */
static inline void ph_visit_field(const struct ph_visitor *v, ph_addr target, const char *name)
{
    ph_visit(v, target, PH_LABEL_FIELD, (uint64_t)(uintptr_t)name, PH_REF_STRONG);
}

/* Every reference that the object holds: its family's, then what instances of Python classes add
 * (__slots__,
 * __dict__ or inline values, __class__). */
void ph_object_refs(struct ph_objects *objects, const struct ph_object *o,
                    const struct ph_visitor *v);

/* ---- buffers ---- */

/* Memory that belongs to the object but lies outside it: a list's items, a dict's keys. bytes is
 * what the object uses of it. Not called for memory that is shared (split keys) or static. */
typedef void (*ph_buffer_fn)(void *ctx, ph_addr start, uint64_t bytes, const char *what);

struct ph_buffer_visitor {
    ph_buffer_fn buffer;
    void *ctx;
};

static inline void ph_visit_buffer(const struct ph_buffer_visitor *v, ph_addr start, uint64_t bytes,
                                   const char *what)
{
    if (start)
        v->buffer(v->ctx, start, bytes, what);
}

void ph_object_buffers(struct ph_objects *objects, const struct ph_object *o,
                       const struct ph_buffer_visitor *v);

/* ---- arrays ---- */

enum {
    PH_MOST_DIMENSIONS = 64
}; /* as NumPy 2; the buffer protocol's are 64 too (PyBUF_MAX_NDIM) */

/* The memory that an object shows to others, by the buffer protocol or in a way of its own. */
struct ph_array {
    ph_addr start; /* of the memory */
    uint64_t nbytes;
    bool owns; /* it is the object's own; else the object is a view of another's */
    ph_addr
        base; /* of a view: the object that it was made from, perhaps a view too; 0: none known */
    bool shaped; /* shape is known */
    uint32_t dimensions;
    int64_t shape[PH_MOST_DIMENSIONS];
};

/* Whether the object is such, and where its memory is; false for a view that was released too. */
bool ph_object_array(struct ph_objects *objects, const struct ph_object *o, struct ph_array *out);
/* Append what the items are, in the words of memoryview.format or of the type itself ("d", "<i",
 * "float64"); nothing where that is unknown. */
void ph_object_dtype(struct ph_objects *objects, const struct ph_object *o, struct ph_str *out);
/* Append a shape as text: "3x4"; "scalar" where there is no dimension. */
void ph_shape_append(const int64_t *shape, uint32_t dimensions, struct ph_str *out);
/* Whether the instances of a type may be such. */
bool ph_type_has_arrays(const struct ph_type *type);

/* ---- text ---- */

/* A one-line summary, as repr would begin: 'text', 42, [3 items], <Node at 0x...>. At most
 * max_chars characters of any string. */
void ph_object_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                       struct ph_str *out);
/* The label as Python: ".name", "['key']", "[3]", "local rows". */
void ph_label_format(struct ph_objects *objects, struct ph_label label, struct ph_str *out);

/* ---- values ---- */

enum ph_content_kind {
    PH_CONTENT_CHARS,  /* code points, of 1, 2 or 4 bytes each */
    PH_CONTENT_BYTES,  /* 2.7: of a str, too */
    PH_CONTENT_DIGITS, /* an int's, 30 bits in 4 bytes each, the least significant first */
    PH_CONTENT_WORD,   /* 2.7: an int's, signed */
    PH_CONTENT_REALS,  /* one double, or a complex's two */
};

/* The value of an object that is nothing but a value. Equal values of one type have equal parts. */
struct ph_content {
    enum ph_content_kind kind;
    uint32_t unit_bytes;
    uint64_t count;    /* of units */
    bool negative;     /* of digits */
    const uint8_t *at; /* count * unit_bytes, borrowed from the target and in its byte order */
};

/* False where the object is more than a value, or where its value cannot be read. */
bool ph_object_content(struct ph_objects *objects, const struct ph_object *o,
                       struct ph_content *out);
/* For families: set out's `at` to the units at `start`; false where they cannot be read. */
bool ph_content_at(const struct ph_objects *objects, ph_addr start, struct ph_content *out);

/* ---- families ---- */

/* One reference field of a simple type, whose references are pure data. */
struct ph_ref_field {
    const char *label;       /* NULL ends the list */
    enum ph_label_kind kind; /* PH_LABEL_FIELD, or PH_LABEL_NOTE for words that are no attribute */
    size_t layout_member;    /* offsetof(struct ph_layout, STRUCT.FIELD): where the layout keeps the
                                offset */
    unsigned flags;          /* enum ph_ref_flags */
};
#define PH_REF_FIELD(label, s, f)                                                                  \
    {                                                                                              \
        label, PH_LABEL_FIELD, offsetof(struct ph_layout, s.f), PH_REF_STRONG                      \
    }
#define PH_REF_FIELD_WEAK(label, s, f)                                                             \
    {                                                                                              \
        label, PH_LABEL_FIELD, offsetof(struct ph_layout, s.f), PH_REF_WEAK                        \
    }
#define PH_REF_NOTE(label, s, f)                                                                   \
    {                                                                                              \
        label, PH_LABEL_NOTE, offsetof(struct ph_layout, s.f), PH_REF_STRONG                       \
    }
/* For a struct whose references another object shows as its own. */
#define PH_REF_NOTE_SHARED(label, s, f)                                                            \
    {                                                                                              \
        label, PH_LABEL_NOTE, offsetof(struct ph_layout, s.f), PH_REF_STRONG | PH_REF_SHARED       \
    }
#define PH_REF_FIELDS(...) ((const struct ph_ref_field[]){__VA_ARGS__, {0}})
#define PH_STRUCT_OF(s)    offsetof(struct ph_layout, s.size)
/* In place of the whole struct, for one that other versions declare otherwise under its name: a
 * field that only those versions have that the family is for. */
#define PH_FIELD_OF(s, f) offsetof(struct ph_layout, s.f)

struct ph_family {
    const char *const *type_names; /* the tp_names that it serves, NULL-ended; NULL: none by name */
    /* PH_STRUCT_OF(s) or PH_FIELD_OF(s, f): the struct that instances begin with. A type that is
     * smaller, or of a version that has no such struct, only shares the name and is not served. 0:
     * not checked. */
    size_t struct_size;
    const struct ph_ref_field *fields; /* visited first; NULL: none */
    /* __sizeof__() without what sys.getsizeof adds for the collector; NULL: basicsize + |ob_size| *
     * itemsize. */
    uint64_t (*size)(struct ph_objects *objects, const struct ph_object *o);
    /* Fill in how size() follows from the first bytes of an object that owns no buffers; what
     * sys.getsizeof adds comes on top. NULL: it does not, unless there is neither. */
    void (*sizing)(const struct ph_layout *layout, const struct ph_type *type,
                   struct ph_sizing *out);
    /* Further references within the part that the family describes; NULL: none. */
    void (*refs)(struct ph_objects *objects, const struct ph_object *o, const struct ph_visitor *v);
    /* What the object's own block must hold; NULL: size() less the buffers. */
    uint64_t (*own_bytes)(struct ph_objects *objects, const struct ph_object *o);
    /* offsetof(struct ph_layout, ...) where the bytes of the shortest form stand, if a static type
     * of the family allocates objects shorter than tp_basicsize; 0: it does not. */
    size_t short_form;
    /* Buffers outside the object; NULL: none. */
    void (*buffers)(struct ph_objects *objects, const struct ph_object *o,
                    const struct ph_buffer_visitor *v);
    /* See ph_object_content(); NULL: instances are more than a value. */
    bool (*content)(struct ph_objects *objects, const struct ph_object *o, struct ph_content *out);
    /* See ph_object_array() and ph_object_dtype(); NULL: it has none. *out is all zeros before. */
    bool (*array)(struct ph_objects *objects, const struct ph_object *o, struct ph_array *out);
    void (*dtype)(struct ph_objects *objects, const struct ph_object *o, struct ph_str *out);
    /* NULL: "<name at 0x...>". */
    void (*summary)(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                    struct ph_str *out);
};

/* The default size: tp_basicsize + |ob_size| * tp_itemsize. */
uint64_t ph_size_default(struct ph_objects *objects, const struct ph_object *o);
/* The default size and all buffers, for families whose __sizeof__ counts just that. */
uint64_t ph_size_with_buffers(struct ph_objects *objects, const struct ph_object *o);
/* Visit `count` words at `start` in the target as strong references; labels count from 0. Lengths
 * that cannot be are taken for 0. */
void ph_visit_words(const struct ph_objects *objects, ph_addr start, int64_t count,
                    enum ph_label_kind kind, const struct ph_visitor *v);
/* Visit each word of `len` bytes at `at` as a guess; labels count offsets from `base`. For memory
 * that a type owns and nobody described, such as a module's state. */
void ph_refs_scan(const struct ph_objects *objects, const uint8_t *at, uint64_t len, uint64_t base,
                  const struct ph_visitor *v);
/* Fill in an array of one dimension that the object owns, of `count` items. */
void ph_array_fill(struct ph_array *out, ph_addr start, uint64_t count, uint64_t item_bytes);
/* Read the shape: so many words of the target. */
void ph_array_read_shape(const struct ph_objects *objects, struct ph_array *out, ph_addr shape,
                         int64_t dimensions);
/* Append a C string of the target, such as a format, made visible; nothing where there is none. */
void ph_append_c_string(const struct ph_objects *objects, ph_addr text, struct ph_str *out);
/* What the Py_buffer that an object has at `view` shows, of an object whose memory is in use. */
void ph_view_array(const struct ph_objects *objects, const struct ph_object *o, int64_t view,
                   struct ph_array *out);
void ph_memoryview_dtype(struct ph_objects *objects, const struct ph_object *o, struct ph_str *out);
/* "B", for objects whose items are mere bytes. */
void ph_dtype_bytes(struct ph_objects *objects, const struct ph_object *o, struct ph_str *out);
/* The families, so that code which treats one specially can compare addresses. */
#define PH_FAMILY(name) extern const struct ph_family ph_family_##name;
#include "objects/families.def"
#undef PH_FAMILY
#define PH_TYPE_NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
