/*
 * The allocator that the objects' memory comes from: pymalloc, mimalloc or malloc, with or without
 * the debug hooks (PYTHONMALLOC=debug, -X dev, every debug build), which put words before and after
 * what was asked for (Objects/obmalloc.c: _PyMem_DebugRawAlloc).
 *
 * No symbol and no setting is asked: the blocks that hold the interpreter's own dicts and modules
 * tell, in every version.
 */
#ifndef PH_HEAP_ALLOCATOR_H
#define PH_HEAP_ALLOCATOR_H

#include "heap/blocks.h"
#include "objects/object.h"

enum ph_allocator_kind {
    PH_ALLOCATOR_PYMALLOC,
    PH_ALLOCATOR_MALLOC,   /* built without pymalloc, or PYTHONMALLOC=malloc */
    PH_ALLOCATOR_MIMALLOC, /* free-threaded, or PYTHONMALLOC=mimalloc */
};

struct ph_allocator {
    enum ph_allocator_kind kind;
    uint32_t prefix_bytes; /* from the start of a block to the memory that was asked for: 0, or
                              the hooks' two words */
};

/* Look at the blocks of some objects; python->build is told of malloc. objects must have its first
 * type, blocks be scanned. */
void ph_allocator_detect(struct ph_allocator *allocator, struct ph_objects *objects,
                         const struct ph_blocks *blocks);

/* "pymalloc", "malloc_debug": the word that PYTHONMALLOC has for it. */
const char *ph_allocator_name(const struct ph_allocator *allocator);
/* "pymalloc", "malloc with debug hooks". */
const char *ph_allocator_text(const struct ph_allocator *allocator);

/* Where in its block the memory lies that was asked for and begins at `data`: as the hooks left it,
 * for memory may also come from malloc directly. */
uint32_t ph_allocator_prefix(const struct ph_allocator *allocator, const struct ph_python *python,
                             ph_addr data);

#endif
