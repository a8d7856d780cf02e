/* Code objects: their shape as frames need it, and the line of an instruction. */
#ifndef PH_OBJECTS_CODE_H
#define PH_OBJECTS_CODE_H

#include "objects/object.h"

/* How many slots a frame of this code has, and where their names are. */
struct ph_code {
    ph_addr address;
    uint64_t locals; /* slots with names: locals, cells and free variables */
    uint64_t stack;  /* evaluation stack slots after them */
    uint64_t nlocals, ncells, nfrees;
    ph_addr
        names[3];  /* tuples: locals, cells, free (to 3.10); names[0] alone has all from 3.11 on */
    ph_addr kinds; /* bytes object, 3.11+: a kind for each slot */
};

/* False where there is no code object there, or its numbers make no sense. */
bool ph_code_open(struct ph_objects *objects, ph_addr code, struct ph_code *out);
/* The str that names slot i; *is_cell says whether it is shared with inner functions. 0 where it
 * has no name. */
ph_addr ph_code_slot_name(struct ph_objects *objects, const struct ph_code *code, uint64_t i,
                          bool *is_cell);
/* The line of the instruction at this byte offset (negative: before the first); 0 where the tables
 * do not tell. */
int64_t ph_code_line(struct ph_objects *objects, ph_addr code, int64_t byte_offset);
/* Where the bytecode of 3.11 and later begins, within the object. */
ph_addr ph_code_first_instruction(const struct ph_objects *objects, ph_addr code);

#endif
