/*
 * Types of extension modules, described in a file: which struct their instances are, where their
 * buffers are and how large, which fields are references.
 *
 *     struct PyArrayObject {                       fields as decl.h reads them; those of CPython
 *         PyObject ob_base;                        itself are there already
 *         char *data;
 *         int nd;
 *         Py_ssize_t *dimensions;
 *         ...
 *     };
 *     type numpy.ndarray PyArrayObject {           module.qualname, or "a glob" in quotes
 *         buffer data {                            the field that points to it, or an array in the
 *                                                  struct; the first one is the type's array
 *             bytes dimensions[nd] * descr.elsize; a product: numbers, fields, the product of an
 *                                                  array's items, C types (their size)
 *             own flags & 4;                       the instance's own, where this is so
 *             counted;                             sys.getsizeof() counts it
 *             references if descr.kind == 'O';     its words are references; guesses: may be
 *         }
 *         base base;                               of a view: the object that it was made from
 *         shape dimensions[nd];                    or "shape rows, columns"
 *         dtype descr;                             an object, a C string, a character, or "text"
 *         reference base;                          a reference that owns a count, and its attribute
 *         reference descr as dtype;
 *         weak parent;                             one that does not
 *         counted descr.elsize;                    what else sys.getsizeof() counts
 *         summary "array of {shape}";              names in braces are fields, {shape} or {dtype}
 *     }
 *
 * Without `own` a buffer is the instance's own, but that of the type's array only where its base is
 * NULL. A condition is FIELD, FIELD & NUMBER or FIELD == NUMBER; pointers are true if not NULL.
 *
 * FIELD may lead through pointers: to a struct of the file, or to an object, whose own description
 * then says where the rest lies ("descr.elsize"). So what differs between versions of a module is
 * two types of the same name: the first one counts whose struct the type's tp_basicsize has room
 * for, and that of a base class where none does.
 *
 * A type of which nothing is said but `counted` otherwise stays what its base class makes it.
 *
 * What of an instance lies behind its struct is scanned for references like what nobody described.
 */
#ifndef PH_LAYOUT_DESCRIBED_H
#define PH_LAYOUT_DESCRIBED_H

#include "layout/decl.h"
#include "layout/layout.h"

/* Where a path leads from one struct on. */
enum ph_path_kind {
    PH_PATH_FIELD,  /* it ends here, at `field` */
    PH_PATH_STRUCT, /* through a pointer to a struct of the file, to `next` */
    PH_PATH_OBJECT, /* through a pointer to an object, to the field `rest` of what it is */
};

struct ph_path {
    const char *text; /* as written */
    uint32_t line;
    enum ph_path_kind kind;
    int32_t offset; /* of the field or the pointer in the struct */
    const struct ph_field *field;
    const struct ph_path *next;
    const char *rest;
};

struct ph_factor {
    struct ph_factor *next;
    uint32_t number;              /* where there is neither of those below */
    const struct ph_path *path;   /* a number, or with `length` the first item of an array */
    const struct ph_path *length; /* NULL: it is no array */
    const struct ph_scalar *size_of;
};

enum ph_condition_kind {
    PH_CONDITION_NEVER,
    PH_CONDITION_ALWAYS,
    PH_CONDITION_NO_BASE, /* the type's base is NULL */
    PH_CONDITION_TRUE,
    PH_CONDITION_MASK,
    PH_CONDITION_EQUALS,
};

struct ph_condition {
    enum ph_condition_kind kind;
    const struct ph_path *path;
    uint32_t number;
};

struct ph_described_buffer {
    struct ph_described_buffer *next;
    const struct ph_path *pointer;
    struct ph_factor *bytes;
    struct ph_condition own;
    bool own_given, counted;
    struct ph_condition references, guesses;
};

struct ph_described_reference {
    struct ph_described_reference *next;
    const struct ph_path *path;
    const char *attribute; /* NULL: no attribute shows it */
    bool weak;
};

/* A summary that no template can give; the names that `summary` takes without quotes. */
enum ph_summary_kind { PH_SUMMARY_TEMPLATE, PH_SUMMARY_NUMPY_DTYPE };

struct ph_described {
    const struct ph_decls *decls;
    const char *glob; /* of type names */
    const char *file;
    uint32_t line;
    const char *struct_name;
    const struct ph_struct *in;
    struct ph_described_buffer *buffers;
    struct ph_described_reference *references;
    struct ph_factor *shape;   /* lengths, and arrays of lengths; NULL: none */
    struct ph_factor *counted; /* a product; NULL: nothing */
    const struct ph_path *base, *dtype;
    const char *dtype_text;
    enum ph_summary_kind summary_kind;
    const char *summary; /* the template; NULL: none */
    uint32_t summary_line;
};

/* The files that describe types, the first of them before others. */
struct ph_describing {
    PH_ARRAY(struct ph_decls *) files;
};

/* Read files for a CPython as `machine` says, the shipped ones last (extensions.def). Release with
 * ph_describing_free(), on success. */
enum ph_status ph_describing_load(struct ph_describing *out, const struct ph_layout_text *texts,
                                  size_t count, const struct ph_layout_machine *machine,
                                  struct ph_error *err) PH_MUST_USE;
void ph_describing_free(struct ph_describing *describing);

/* What describes a type of that name whose instances have so many bytes; NULL where nothing does.
 */
const struct ph_described *ph_described_find(const struct ph_describing *describing,
                                             const char *type_name, uint64_t basicsize);

/* The place and the declaration of a field by its path ("a.b") without pointers; NULL where there
 * is none. */
const struct ph_field *ph_described_field(const struct ph_described *described, const char *path,
                                          int32_t *offset);

/* Private to layout/: parse a `type`, with that word in view; say where all paths lead, once all
 * structs are placed. */
struct ph_parser;
enum ph_status ph_described_parse(struct ph_parser *p) PH_MUST_USE;
enum ph_status ph_described_resolve(struct ph_decls *decls, struct ph_error *err) PH_MUST_USE;

#endif
