#include "layout/embed.h"

/* The include path finds the tables as it finds the headers: the assembler is told of it too. A
 * text that serves several ranges of releases is there once. */
#define EMBED(symbol, file)                                                                        \
    __asm__(".ifndef ph_layout_text_" #symbol "\n"                                                 \
            ".pushsection .rodata\n"                                                               \
            ".hidden ph_layout_text_" #symbol "\n"                                                 \
            ".hidden ph_layout_end_" #symbol "\n"                                                  \
            ".globl ph_layout_text_" #symbol "\n"                                                  \
            ".globl ph_layout_end_" #symbol "\n"                                                   \
            "ph_layout_text_" #symbol ":\n"                                                        \
            ".incbin \"layout/" file "\"\n"                                                        \
            "ph_layout_end_" #symbol ":\n"                                                         \
            ".popsection\n"                                                                        \
            ".endif\n");                                                                           \
    extern __attribute__((visibility("hidden"))) const char ph_layout_text_##symbol[];             \
    extern __attribute__((visibility("hidden"))) const char ph_layout_end_##symbol[];
#define PH_LAYOUT_VERSION(major, minor)                                                            \
    EMBED(major##_##minor, "cpython/" #major "." #minor ".layout")
#define PH_LAYOUT_OVERLAY(name, first, last, build)       EMBED(name, "cpython/" #name ".layout")
#define PH_LAYOUT_MICRO(name, first, last)                EMBED(name, "cpython/" #name ".layout")
#define PH_LAYOUT_MICRO_OVERLAY(name, first, last, build) EMBED(name, "cpython/" #name ".layout")
#include "layout/versions.def"
#undef PH_LAYOUT_VERSION
#undef PH_LAYOUT_OVERLAY
#undef PH_LAYOUT_MICRO
#undef PH_LAYOUT_MICRO_OVERLAY
#define PH_EXTENSION(name) EMBED(name, "extensions/" #name ".layout")
#include "layout/extensions.def"
#undef PH_EXTENSION

#define PH_LAYOUT_OVERLAY(name, first, last, build)
#define PH_LAYOUT_MICRO(name, first, last)
#define PH_LAYOUT_MICRO_OVERLAY(name, first, last, build)
#define PH_LAYOUT_VERSION(major, minor)                                                            \
    {.version = #major "." #minor,                                                                 \
     .name = #major "." #minor ".layout",                                                          \
     .first = (major) << 16 | (minor) << 8,                                                        \
     .last = (major) << 16 | (minor) << 8 | 0xff,                                                  \
     .text = ph_layout_text_##major##_##minor,                                                     \
     .end = ph_layout_end_##major##_##minor},

const struct ph_layout_file ph_layout_files[] = {
#include "layout/versions.def"
    {.version = NULL},
};
#undef PH_LAYOUT_VERSION
#undef PH_LAYOUT_OVERLAY
#undef PH_LAYOUT_MICRO
#undef PH_LAYOUT_MICRO_OVERLAY

#define OVERLAY(id, from, to, flag)                                                                \
    {.version = #id,                                                                               \
     .name = #id ".layout",                                                                        \
     .first = from,                                                                                \
     .last = to,                                                                                   \
     .overlay = true,                                                                              \
     .build = flag,                                                                                \
     .text = ph_layout_text_##id,                                                                  \
     .end = ph_layout_end_##id},
#define PH_LAYOUT_VERSION(major, minor)
#define PH_LAYOUT_OVERLAY(id, from, to, flag)       OVERLAY(id, (from) << 8, (to) << 8 | 0xff, flag)
#define PH_LAYOUT_MICRO(id, from, to)               OVERLAY(id, from, to, 0)
#define PH_LAYOUT_MICRO_OVERLAY(id, from, to, flag) OVERLAY(id, from, to, flag)

const struct ph_layout_file ph_layout_overlays[] = {
#include "layout/versions.def"
    {.version = NULL},
};

const struct ph_layout_text ph_layout_extensions[] = {
#define PH_EXTENSION(id) {#id ".layout", ph_layout_text_##id, ph_layout_end_##id},
#include "layout/extensions.def"
#undef PH_EXTENSION
    {.name = NULL},
};
