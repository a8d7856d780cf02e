/*
 * Prints every place that the tables of each version give, and those of each kind of build that an
 * overlay describes, for test_offsets.py to compare with real interpreters:
 *
 *     3.11 PyListObject ob_item 24
 *     3.11 PyListObject sizeof 40
 *     3.11 PyCMethodObject|... field absent
 *     3.12-trace_refs PyObject ob_refcnt 16
 */
#include <stdio.h>
#include <stdlib.h>

#include "layout/embed.h"
#include "layout/layout.h"

static void print_entry(const char *title, const struct ph_layout_entry *entry)
{
    printf("%s %s %s ", title, entry->ctype, entry->field ? entry->field : "sizeof");
    if (ph_has(entry->value))
        printf("%d\n", entry->value);
    else
        printf("absent\n");
}

static int dump(const struct ph_layout_file *version, const struct ph_layout_file *overlay)
{
    char title[80];
    struct ph_layout layout;
    struct ph_error error;
    unsigned build = overlay ? overlay->build : 0;
    snprintf(title, sizeof title, "%s%s%s", version->version, overlay ? "-" : "",
             overlay ? overlay->version : "");
    if (ph_layout_load(&layout, version->first << 16, build, 8, false, &error)) {
        fprintf(stderr, "%s: %s\n", title, error.message);
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < ph_layout_entry_count(); i++) {
        struct ph_layout_entry entry = ph_layout_entry(&layout, i);
        print_entry(title, &entry);
    }
    return EXIT_SUCCESS;
}

int main(void)
{
    int status = EXIT_SUCCESS;
    for (const struct ph_layout_file *version = ph_layout_files; version->version; version++) {
        status |= dump(version, NULL);
        for (const struct ph_layout_file *o = ph_layout_overlays; o->version; o++) {
            bool applies = version->first >= o->first && version->first <= o->last;
            if (applies && !(o->build & PH_BUILD_32_BIT))
                status |= dump(version, o);
        }
    }
    return status;
}
