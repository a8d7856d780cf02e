/*
 * The text of cpython/NAME.layout, part of the library, one entry for each line of versions.def,
 * and that of extensions/NAME.layout.
 */
#ifndef PH_LAYOUT_EMBED_H
#define PH_LAYOUT_EMBED_H

#include "layout/layout.h"

struct ph_layout_file {
    const char *version;  /* "3.11", as `base` names it; of an overlay its name */
    const char *name;     /* "3.11.layout", for messages */
    uint32_t first, last; /* the versions that it is for: 0x030b07 is 3.11.7 */
    bool overlay;
    unsigned build; /* of an overlay: the enum ph_build that it is for; 0: any */
    const char *text, *end;
};

/* Oldest first; the entry after the newest has version NULL. */
extern const struct ph_layout_file ph_layout_files[];
/* In order of precedence, ended likewise. */
extern const struct ph_layout_file ph_layout_overlays[];

/* The files of extensions.def, which describe types of extension modules (described.h). */
extern const struct ph_layout_text ph_layout_extensions[];

#endif
