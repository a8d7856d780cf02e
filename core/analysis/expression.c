/*
 * A path as a Python expression. Each step either is certain to evaluate to the object that the
 * path names, or there is no expression: nothing here guesses.
 */
#include "analysis/paths.h"

#include <ctype.h>
#include <inttypes.h>

enum { LONGEST_KEY = 4096, LONGEST_NAME = 256 };

/* What is still to be written of the object in hand: some have no expression of their own, but what
 * they hold does. */
enum pending {
    PENDING_NOTHING,
    PENDING_FRAME,         /* a running frame object: its locals are written by their bare names */
    PENDING_CELL,          /* the cell of a local, whose name is written: it stands for what is in
                              the cell */
    PENDING_MODULE_DICT,   /* .__dict__ of what is written, whose entries are attributes: of a */
    PENDING_TYPE_DICT,     /* module, of a class, */
    PENDING_INSTANCE_DICT, /* of an instance */
};

struct writer {
    struct ph_graph *graph;
    struct ph_objects *objects;
    struct ph_str *out;
    enum pending pending;
    const struct ph_type *owner; /* of a pending dict: the type of what has it */
};

static bool is_python2(const struct writer *w)
{
    return w->objects->python->layout.version < 0x03000000;
}

/* ---- names and attributes ---- */

/* The text of a str; false where it is no identifier in ASCII. */
static bool read_identifier(struct writer *w, ph_addr str, char name[LONGEST_NAME])
{
    struct ph_str text = {0};
    struct ph_object o;
    bool ok = false;
    if (ph_object_at(w->objects, str, &o) && strcmp(o.type->name, "str") == 0) {
        /* As a literal, 'name', of which an identifier needs no escapes. */
        ph_object_summary(w->objects, &o, LONGEST_NAME, &text);
        const char *literal = ph_str_text(&text);
        size_t len = strlen(literal);
        ok = len > 2 && len - 2 < LONGEST_NAME && literal[0] == '\'' && literal[len - 1] == '\'' &&
             !isdigit((unsigned char)literal[1]);
        for (size_t i = 1; ok && i + 1 < len; i++) {
            name[i - 1] = literal[i];
            ok = isalnum((unsigned char)literal[i]) || literal[i] == '_';
        }
        if (ok)
            name[len - 2] = '\0';
    }
    ph_str_free(&text);
    return ok;
}

static bool is_keyword(const char *name)
{
    static const char *const words[] = {
        "False",  "None",    "True",     "and",  "as",     "assert", "async",  "await",
        "break",  "class",   "continue", "def",  "del",    "elif",   "else",   "except",
        "exec",   "finally", "for",      "from", "global", "if",     "import", "in",
        "is",     "lambda",  "nonlocal", "not",  "or",     "pass",   "print",  "raise",
        "return", "try",     "while",    "with", "yield",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i], name) == 0)
            return true;
    }
    return false;
}

static bool is_special(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && strncmp(name, "__", 2) == 0 && strcmp(name + len - 2, "__") == 0;
}

/* Whether the type's own way with a special method or field is that of the C type below it. */
static bool inherits_from_c(struct writer *w, const struct ph_type *type, const char *name)
{
    const struct ph_type *definer = NULL;
    return ph_type_lookup(w->objects, type, name, &definer) && !definer->is_python_class;
}

/* Whether x.name of an instance of a Python class gives what its __dict__ has: no class of it
 * defines the name, and none has a way of its own with attributes. */
static bool is_plain_attribute(struct writer *w, const struct ph_type *type, const char *name)
{
    const struct ph_type *definer;
    return type->is_python_class && !(type->flags & PH_TPFLAGS_TYPE_SUBCLASS) &&
           !is_keyword(name) && inherits_from_c(w, type, "__getattribute__") &&
           !ph_type_lookup(w->objects, type, name, &definer);
}

/* Whether Class.name gives what the class's __dict__ has: the value's type does not define __get__,
 * or it is a function (of which 2.7 makes a method), and the metaclass is `type`, whose own names
 * are special ones or mro. */
static bool is_plain_class_attribute(struct writer *w, const struct ph_type *metatype,
                                     uint32_t value, const char *name)
{
    const struct ph_type *type = ph_heap_type(w->graph->heap, value), *definer;
    return strcmp(metatype->name, "type") == 0 && !is_special(name) && !is_keyword(name) &&
           strcmp(name, "mro") != 0 &&
           ((type->family == &ph_family_function && !is_python2(w)) ||
            !ph_type_lookup(w->objects, type, "__get__", &definer));
}

/* Write the key of a dict's entry as a literal; false where it has none that is certain. */
static bool append_literal(struct writer *w, ph_addr key)
{
    static const char *const exact[] = {"str", "int", "bytes", "bool", "NoneType"};
    struct ph_object o;
    bool known = false;
    if (!ph_object_at(w->objects, key, &o))
        return false;
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        known |= strcmp(o.type->name, exact[i]) == 0;
    size_t before = w->out->len;
    if (known)
        ph_object_summary(w->objects, &o, LONGEST_KEY, w->out);
    const char *text = ph_str_text(w->out) + before;
    size_t len = strlen(text);
    return known && len > 0 && (len < 3 || strcmp(text + len - 3, "...") != 0) && text[0] != '<';
}

/* ---- steps ---- */

/* How many references of the same kind of label stand before the one to `target` in `source`. */
struct position {
    uint32_t target;
    enum ph_label_kind kind;
    uint64_t count;
    bool found;
};

static void see_position(void *ctx, uint32_t target, struct ph_label label, unsigned flags)
{
    struct position *p = ctx;
    (void)flags;
    if (p->found || label.kind != p->kind)
        return;
    p->found = target == p->target;
    p->count += !p->found;
}

static void append_nth(struct writer *w, uint32_t source, uint32_t target, enum ph_label_kind kind,
                       const char *of)
{
    struct position p = {.target = target, .kind = kind};
    ph_heap_edges(w->graph->heap, source, see_position, &p);
    struct ph_str whole = {0};
    ph_str_appendf(&whole, "list(%s%s)[%" PRIu64 "]", ph_str_text(w->out), of, p.count);
    ph_str_clear(w->out);
    ph_str_append(w->out, ph_str_text(&whole));
    ph_str_free(&whole);
}

/* An entry of a dict that is written. */
static bool append_entry(struct writer *w, uint32_t source, uint32_t target, ph_addr key)
{
    const struct ph_type *type = ph_heap_type(w->graph->heap, source);
    size_t before = w->out->len;
    if (type->flags & PH_TPFLAGS_DICT_SUBCLASS && !inherits_from_c(w, type, "__getitem__"))
        return false;
    ph_str_append(w->out, "[");
    if (append_literal(w, key)) {
        ph_str_append(w->out, "]");
        return true;
    }
    ph_str_truncate(w->out, before);
    if (strcmp(type->name, "dict") != 0 && strcmp(type->name, "collections.defaultdict") != 0)
        return false;
    append_nth(w, source, target, PH_LABEL_VALUE, ".values()");
    return true;
}

/* An entry of a dict that is pending. */
static bool append_attribute(struct writer *w, uint32_t source, uint32_t target, ph_addr key)
{
    char name[LONGEST_NAME];
    bool plain = read_identifier(w, key, name);
    switch (w->pending) {
    case PENDING_MODULE_DICT:
        plain = plain && !is_special(name) && !is_keyword(name) &&
                strcmp(w->owner->name, "module") == 0;
        break;
    case PENDING_TYPE_DICT:
        plain = plain && is_plain_class_attribute(w, w->owner, target, name);
        break;
    default:
        plain = plain && is_plain_attribute(w, w->owner, name);
        break;
    }
    enum pending was = w->pending;
    w->pending = PENDING_NOTHING;
    if (plain) {
        ph_str_appendf(w->out, ".%s", name);
        return true;
    }
    ph_str_append(w->out, ".__dict__");
    if (was != PENDING_TYPE_DICT)
        return append_entry(w, source, target, key);
    ph_str_append(w->out, "[");
    bool ok = append_literal(w, key);
    ph_str_append(w->out, "]");
    return ok;
}

static bool append_item(struct writer *w, const struct ph_type *type, uint64_t n)
{
    bool indexed = type->family == &ph_family_list || type->family == &ph_family_deque ||
                   /* Others of the family have items that no index reaches. */
                   (type->family == &ph_family_tuple &&
                    (type->is_python_class || strcmp(type->name, "tuple") == 0));
    if (!indexed || !inherits_from_c(w, type, "__getitem__"))
        return false;
    ph_str_appendf(w->out, "[%" PRIu64 "]", n);
    return true;
}

/* A member of a __slots__ class or of a C type, by the descriptor that its class has for it. */
static bool append_member(struct writer *w, const struct ph_type *type, ph_addr c_name)
{
    const struct ph_type *definer;
    struct ph_object descriptor;
    size_t len;
    const char *text = ph_target_cstring(w->objects->python->target, c_name, LONGEST_NAME, &len);
    if (!text || !len || !inherits_from_c(w, type, "__getattribute__"))
        return false;
    char name[LONGEST_NAME + 1];
    memcpy(name, text, len);
    name[len] = '\0';
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '_')
            return false;
    }
    ph_addr value = ph_type_lookup(w->objects, type, name, &definer);
    if (!value || is_keyword(name) || !ph_object_at(w->objects, value, &descriptor) ||
        strcmp(descriptor.type->name, "member_descriptor") != 0)
        return false;
    ph_str_appendf(w->out, ".%s", name);
    return true;
}

/* The attributes that give the field of their name and nothing else, by family, and up to which
 * version they do (0: to all). */
static const struct {
    const struct ph_family *family;
    const char *names;
    uint32_t below;
} known_fields[] = {
    {&ph_family_function,
     "__code__ __globals__ __builtins__ __defaults__ __kwdefaults__ __name__ "
     "__qualname__ __doc__ __module__ __dict__ __type_params__",
     0},
    {&ph_family_method, "__func__ __self__", 0},
    {&ph_family_cell, "cell_contents", 0},
    {&ph_family_property, "fget fset fdel", 0},
    {&ph_family_staticmethod, "__func__ __dict__", 0},
    {&ph_family_classmethod, "__func__ __dict__", 0},
    {&ph_family_exception, "args __traceback__ __context__ __cause__ __dict__", 0},
    {&ph_family_traceback, "tb_next tb_frame", 0},
    {&ph_family_frame, "f_back f_code f_globals f_builtins", 0},
    {&ph_family_code, "co_consts co_names co_filename co_name co_qualname co_exceptiontable", 0},
    /* From 3.11 on these are made when asked for (Objects/codeobject.c). */
    {&ph_family_code, "co_code co_varnames co_freevars co_cellvars", 0x030b0000},
    {&ph_family_type, "__base__ __bases__ __mro__", 0},
    {&ph_family_slice, "start stop step", 0},
    {&ph_family_range, "start stop step", 0},
    {&ph_family_lru_cache, "__dict__", 0},
    {&ph_family_odict, "__dict__", 0},
    {&ph_family_cfunction, "__self__", 0},
    {&ph_family_re_match, "string re", 0},
    {&ph_family_weakref, "__callback__", 0},
};

static bool is_word_of(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = strstr(words, word); at; at = strstr(at + 1, word)) {
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    }
    return false;
}

static bool is_known_field(struct writer *w, const struct ph_type *type, const char *name)
{
    uint32_t version = w->objects->python->layout.version;
    for (size_t i = 0; i < sizeof known_fields / sizeof *known_fields; i++) {
        if (known_fields[i].family == type->family && is_word_of(known_fields[i].names, name) &&
            (!known_fields[i].below || version < known_fields[i].below))
            return !type->is_python_class || strcmp(name, "__dict__") == 0 ||
                   inherits_from_c(w, type, name);
    }
    return strcmp(name, "__dict__") == 0 && type->is_python_class;
}

static bool append_class(struct writer *w)
{
    struct ph_str whole = {0};
    ph_str_appendf(&whole, "type(%s)", ph_str_text(w->out));
    ph_str_clear(w->out);
    ph_str_append(w->out, ph_str_text(&whole));
    ph_str_free(&whole);
    return true;
}

static bool append_field(struct writer *w, const struct ph_type *type, const char *name)
{
    if (strcmp(name, "__class__") == 0)
        return append_class(w);
    if (strcmp(name, "__dict__") == 0) {
        w->owner = type;
        w->pending = type->family == &ph_family_module ? PENDING_MODULE_DICT
                     : type->family == &ph_family_type ? PENDING_TYPE_DICT
                                                       : PENDING_INSTANCE_DICT;
        return w->pending != PENDING_INSTANCE_DICT ||
               (is_known_field(w, type, name) && inherits_from_c(w, type, "__getattribute__"));
    }
    if (strcmp(name, "gi_frame") == 0) {
        ph_str_append(w->out, strcmp(type->name, "coroutine") == 0         ? ".cr_frame"
                              : strcmp(type->name, "async_generator") == 0 ? ".ag_frame"
                                                                           : ".gi_frame");
        return true;
    }
    if (!is_known_field(w, type, name))
        return false;
    ph_str_appendf(w->out, ".%s", name);
    return true;
}

/* A local of a frame: of one that runs by its name, of another by f_locals. */
static bool append_local(struct writer *w, const struct ph_type *type, struct ph_label label)
{
    char name[LONGEST_NAME];
    if (!label.arg || !read_identifier(w, label.arg, name) || is_keyword(name))
        return false;
    if (!type || w->pending == PENDING_FRAME)
        ph_str_append(w->out, name);
    else if (type->family == &ph_family_generator)
        ph_str_appendf(w->out, "%s.f_locals['%s']",
                       strcmp(type->name, "coroutine") == 0         ? ".cr_frame"
                       : strcmp(type->name, "async_generator") == 0 ? ".ag_frame"
                                                                    : ".gi_frame",
                       name);
    else
        ph_str_appendf(w->out, ".f_locals['%s']", name);
    w->pending = label.kind == PH_LABEL_CELL ? PENDING_CELL : PENDING_NOTHING;
    return true;
}

static const char *field_name(struct ph_label label)
{
    bool named = label.kind == PH_LABEL_FIELD || label.kind == PH_LABEL_NOTE;
    return named ? (const char *)(uintptr_t)label.arg : "";
}

static bool append_from_pending(struct writer *w, const struct ph_type *type, uint32_t source,
                                uint32_t target, struct ph_label label)
{
    switch (w->pending) {
    case PENDING_FRAME:
        if (label.kind == PH_LABEL_LOCAL || label.kind == PH_LABEL_CELL)
            return append_local(w, type, label);
        return strcmp(field_name(label), "f_back") == 0;
    case PENDING_CELL:
        w->pending = PENDING_NOTHING;
        return strcmp(field_name(label), "cell_contents") == 0;
    default:
        if (label.kind == PH_LABEL_VALUE)
            return append_attribute(w, source, target, label.arg);
        if (label.kind != PH_LABEL_KEY)
            return false;
        w->pending = PENDING_NOTHING;
        append_nth(w, source, target, PH_LABEL_KEY, ".__dict__");
        return true;
    }
}

/* 3.11 on: attributes that an instance keeps beside no dict. */
static bool append_value(struct writer *w, const struct ph_type *type, ph_addr key)
{
    char name[LONGEST_NAME];
    if (!inherits_from_c(w, type, "__getattribute__"))
        return false;
    if (read_identifier(w, key, name) && is_plain_attribute(w, type, name)) {
        ph_str_appendf(w->out, ".%s", name);
        return true;
    }
    ph_str_append(w->out, ".__dict__[");
    bool ok = append_literal(w, key);
    ph_str_append(w->out, "]");
    return ok;
}

static bool append_step(struct writer *w, uint32_t source, uint32_t target, struct ph_label label)
{
    const struct ph_type *type = ph_heap_type(w->graph->heap, source);
    if (w->pending)
        return append_from_pending(w, type, source, target, label);
    bool is_dict = type->flags & PH_TPFLAGS_DICT_SUBCLASS;
    bool is_set = type->family == &ph_family_set;
    switch (label.kind) {
    case PH_LABEL_ATTR:
        return append_value(w, type, label.arg);
    case PH_LABEL_ITEM:
        return append_item(w, type, label.arg);
    case PH_LABEL_VALUE:
        return is_dict && append_entry(w, source, target, label.arg);
    case PH_LABEL_KEY:
    case PH_LABEL_ELEMENT:
        if (type->is_python_class || !(is_set || strcmp(type->name, "dict") == 0))
            return false;
        append_nth(w, source, target, label.kind, "");
        return true;
    case PH_LABEL_MEMBER:
        return append_member(w, type, label.arg);
    case PH_LABEL_LOCAL:
    case PH_LABEL_CELL:
        return append_local(w, type, label);
    case PH_LABEL_FIELD:
        return append_field(w, type, field_name(label));
    case PH_LABEL_NOTE:
        if (type->family != &ph_family_function || strcmp(field_name(label), "closure") != 0)
            return false;
        ph_str_append(w->out, ".__closure__");
        return true;
    case PH_LABEL_STACK:
    case PH_LABEL_WORD:
        break;
    }
    return false;
}

/* ---- the beginning and the end ---- */

static bool append_root(struct writer *w, const struct ph_root_reference *root)
{
    const bool python2 = is_python2(w);
    const struct {
        const char *name, *expression;
    } states[] = {
        {"sys.modules", "sys.modules"},
        {"sys.__dict__", "sys.__dict__"},
        {"builtins.__dict__",
         python2 ? "sys.modules['__builtin__'].__dict__" : "sys.modules['builtins'].__dict__"},
        {"gc.garbage", "__import__('gc').garbage"},
        {"gc.callbacks", "__import__('gc').callbacks"},
    };
    if (!root)
        return false;
    if (root->root.kind == PH_ROOT_DATA)
        return false;
    if (root->root.kind == PH_ROOT_FRAME)
        return (root->label.kind == PH_LABEL_LOCAL || root->label.kind == PH_LABEL_CELL) &&
               append_local(w, NULL, root->label);
    if (strcmp(root->root.name, "running frame") == 0) {
        w->pending = PENDING_FRAME;
        return true;
    }
    /* Other interpreters' modules cannot be reached by this expression. */
    for (size_t i = 0; root->root.interpreter == 0 && i < sizeof states / sizeof *states; i++) {
        if (strcmp(states[i].name, root->root.name) == 0) {
            ph_str_append(w->out, states[i].expression);
            return true;
        }
    }
    return false;
}

/* Whether the object in hand, which is the last, is written. */
static bool append_end(struct writer *w)
{
    if (w->pending == PENDING_MODULE_DICT || w->pending == PENDING_INSTANCE_DICT)
        ph_str_append(w->out, ".__dict__");
    else if (w->pending)
        return false;
    return !w->out->failed;
}

bool ph_path_expression(struct ph_graph *graph, const struct ph_path *path, struct ph_str *out)
{
    struct writer w = {.graph = graph, .objects = &graph->heap->objects, .out = out};
    bool ok = append_root(&w, path->root);
    for (uint32_t i = 1; ok && i < path->length; i++) {
        struct ph_label label;
        ok = ph_graph_label(graph, path->ids[i - 1], path->ids[i], &label) &&
             append_step(&w, path->ids[i - 1], path->ids[i], label);
    }
    return ok && append_end(&w);
}
