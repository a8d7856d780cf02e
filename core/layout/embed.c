#include "layout/embed.h"

#include <stddef.h>

/* The include path finds the tables as it finds the headers: the assembler is told of it too. */
#define PH_LAYOUT_VERSION(major, minor)                                                            \
    __asm__(".pushsection .rodata\n"                                                               \
            ".hidden ph_layout_text_" #major "_" #minor "\n"                                       \
            ".hidden ph_layout_end_" #major "_" #minor "\n"                                        \
            ".globl ph_layout_text_" #major "_" #minor "\n"                                        \
            ".globl ph_layout_end_" #major "_" #minor "\n"                                         \
            "ph_layout_text_" #major "_" #minor ":\n"                                              \
            ".incbin \"layout/cpython/" #major "." #minor ".layout\"\n"                            \
            "ph_layout_end_" #major "_" #minor ":\n"                                               \
            ".popsection\n");                                                                      \
    extern __attribute__((visibility("hidden"))) const char ph_layout_text_##major##_##minor[];    \
    extern __attribute__((visibility("hidden"))) const char ph_layout_end_##major##_##minor[];
#include "layout/versions.def"
#undef PH_LAYOUT_VERSION

#define PH_LAYOUT_VERSION(major, minor)                                                            \
    {#major "." #minor, #major "." #minor ".layout", (uint32_t)(major) << 24 | (minor) << 16,      \
     ph_layout_text_##major##_##minor, ph_layout_end_##major##_##minor},

const struct ph_layout_file ph_layout_files[] = {
#include "layout/versions.def"
    {NULL, NULL, 0, NULL, NULL},
};
