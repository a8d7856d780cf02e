/*
 * Declarations of C structs as text, and the places of their fields on a given machine.
 *
 *     // comments of both kinds
 *     version 3.11                     what the file describes
 *     base 3.10                        what it does not declare, that version's file does
 *     overlay trace_refs               in place of both: declarations that go before a version's
 *     trait int_digits size            a named fact, for who loads the file to understand
 *     without _PyCFrame                a struct that the base has and this version does not
 *
 *     struct PyVarObject {
 *         PyObject ob_base;            a struct by value
 *         Py_ssize_t ob_size;          a scalar
 *     };
 *     struct PyTupleObject {
 *         PyVarObject ob_base;
 *         PyObject *ob_item[1];        what a pointer points to need not be declared
 *     };
 *     union PyGC_Head {                fields that all begin at 0
 *         gc_links gc;
 *         double dummy;
 *     };
 *     struct _PyRuntimeState @1464 {   a sparse struct: its size, and in it the fields that matter
 *         @32 struct pyinterpreters interpreters;    with their places, as in 64-bit builds
 *     };
 *     shift PyInterpreterState dict 8  what a kind of build has more before that field of a sparse
 *                                      struct: it and all behind it lie so many bytes further on
 *
 * The words const, volatile, struct and union before a type mean nothing; function pointers are
 * written void *; a last field may be an array without a length. Structs may be declared in any
 * order.
 *
 * Files are parsed from the newest to the oldest of a chain of bases, and a name's first
 * declaration counts. Then ph_decls_place() lets libffi place the fields by the rules of the
 * target's ABI.
 *
 * Files of users, for types of extension modules, have structs, unions and `type`s (described.h).
 *
 * The text may be a user's: every error names the file, the line and what was expected, sizes are
 * checked, and nothing recurses.
 */
#ifndef PH_LAYOUT_DECL_H
#define PH_LAYOUT_DECL_H

#include "base/arena.h"
#include "base/array.h"
#include "base/error.h"

/* What of a machine decides where fields lie. */
struct ph_abi {
    unsigned word_bytes;  /* of a pointer, a long, a Py_ssize_t: 4 or 8 */
    unsigned int64_align; /* of int64_t and double: 8, but 4 on i386 */
};

struct ph_scalar;

struct ph_field {
    const char *name;
    const char *type; /* as written, without const, volatile, struct, union; "*" for pointers */
    const char *points_to;          /* of a pointer with one star: the type, as above; else NULL */
    const struct ph_scalar *scalar; /* NULL: the type is a struct */
    uint32_t struct_id;             /* which, once placed */
    uint32_t count; /* of elements: 1, or an array's length; 0 for an array without one */
    int32_t offset; /* sparse: as given; else once placed */
    uint32_t line;
};

struct ph_struct {
    const char *name;
    const char *file;
    uint32_t line, first_field, field_count;
    bool sparse; /* size and offsets were given */
    bool is_union;
    bool dropped; /* declared by `without` */
    bool placed;
    int32_t size, align;
};

struct ph_named_trait {
    const char *name, *value, *file;
    uint32_t line;
};

struct ph_shift {
    const char *struct_name, *field, *file;
    uint32_t bytes, line;
};

struct ph_described; /* described.h */

/* Everything declared so far. Zero-initialised is empty. */
struct ph_decls {
    struct ph_arena arena;
    PH_ARRAY(struct ph_struct) structs;
    PH_ARRAY(struct ph_field) fields;
    PH_ARRAY(struct ph_named_trait) traits;
    PH_ARRAY(struct ph_shift) shifts;
    PH_ARRAY(struct ph_described *) types; /* in the arena */
    struct ph_abi abi;                     /* what they were placed for */
    const char *version; /* of the file parsed last, or its overlay's name; "" where it says none */
    const char *base;
};

/* Add a file's declarations to those of newer files. The text may go afterwards. PH_FAILED for
 * what is wrong in it; decls is then good for ph_decls_free() only. */
enum ph_status ph_decls_parse(struct ph_decls *decls, const char *file, const char *text,
                              size_t len, struct ph_error *err) PH_MUST_USE;

/* The same for a user's file, which comes before those of a version. */
enum ph_status ph_decls_parse_types(struct ph_decls *decls, const char *file, const char *text,
                                    size_t len, struct ph_error *err) PH_MUST_USE;

/* Place every field of every struct, once all is parsed. O(fields * depth of structs by value). */
enum ph_status ph_decls_place(struct ph_decls *decls, const struct ph_abi *abi,
                              struct ph_error *err) PH_MUST_USE;

/* A struct by its name, or by the first of several that is declared ("new|old"); NULL where there
 * is none. */
const struct ph_struct *ph_decls_struct(const struct ph_decls *decls, const char *names);

/* The place of a field in a placed struct, by its path ("view.buf") or the first of several that
 * is declared ("threads.head|tstate_head"); false where there is none. */
bool ph_decls_offset(const struct ph_decls *decls, const struct ph_struct *in, const char *paths,
                     int32_t *offset);

/* The field of this name, or NULL. */
const struct ph_field *ph_decls_field(const struct ph_decls *decls, const struct ph_struct *in,
                                      const char *name);

/* NULL where no file has it. */
const struct ph_named_trait *ph_decls_trait(const struct ph_decls *decls, const char *name);

void ph_decls_free(struct ph_decls *decls);

/* The scalar type of this name, or NULL. */
const struct ph_scalar *ph_scalar_find(const char *type);
enum ph_scalar_kind { PH_SCALAR_SIGNED, PH_SCALAR_UNSIGNED, PH_SCALAR_REAL, PH_SCALAR_POINTER };
enum ph_scalar_kind ph_scalar_kind(const struct ph_scalar *scalar);
unsigned ph_scalar_bytes(const struct ph_scalar *scalar, const struct ph_abi *abi);

#endif
