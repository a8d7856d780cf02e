/*
 * The text of cpython/X.Y.layout, part of the library, one entry for each line of versions.def.
 */
#ifndef PH_LAYOUT_EMBED_H
#define PH_LAYOUT_EMBED_H

#include <stdint.h>

struct ph_layout_file {
    const char *version;  /* "3.11", as `base` names it */
    const char *name;     /* "3.11.layout", for messages */
    uint32_t version_hex; /* 0x030b0000 */
    const char *text, *end;
};

/* Oldest first; the entry after the newest has version NULL. */
extern const struct ph_layout_file ph_layout_files[];

#endif
