/*
 * Prints every place that the tables of the versions named give (3.13.18), or of all, for
 * test_offsets.py to compare with real interpreters:
 *
 *     3.11 PyListObject ob_item 24
 *     3.11 PyListObject sizeof 40
 *     3.11 PyCMethodObject|... field absent
 *
 * With a version and kinds of builds ("3.13.15 debug trace-refs"): the places of that build alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/layout.h"

static void print_entry(const char *version, const struct ph_layout_entry *entry)
{
    printf("%s %s %s ", version, entry->ctype, entry->field ? entry->field : "sizeof");
    if (ph_has(entry->value))
        printf("%d\n", entry->value);
    else
        printf("absent\n");
}

static int dump_version(const char *version, unsigned build)
{
    unsigned major, minor, micro = 0;
    struct ph_layout layout;
    struct ph_error error;
    if (sscanf(version, "%u.%u.%u", &major, &minor, &micro) < 2)
        return EXIT_FAILURE;
    if (ph_layout_load(&layout, major << 24 | minor << 16 | micro << 8, build, 8, false, &error)) {
        fprintf(stderr, "%s: %s\n", version, error.message);
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < ph_layout_entry_count(); i++) {
        struct ph_layout_entry entry = ph_layout_entry(&layout, i);
        print_entry(version, &entry);
    }
    return EXIT_SUCCESS;
}

static unsigned build_of(const char *word)
{
    return strcmp(word, "debug") == 0           ? PH_BUILD_DEBUG
           : strcmp(word, "trace-refs") == 0    ? PH_BUILD_TRACE_REFS
           : strcmp(word, "free-threaded") == 0 ? PH_BUILD_FREE_THREADED
                                                : 0;
}

int main(int argc, char **argv)
{
    unsigned build = 0;
    for (int i = 2; i < argc; i++)
        build |= build_of(argv[i]);
    if (argc > 1)
        return dump_version(argv[1], build);
    const char *version;
    int status = EXIT_SUCCESS;
    for (size_t i = 0; (version = ph_layout_version_name(i)) != NULL; i++) {
        if (dump_version(version, 0) != EXIT_SUCCESS)
            status = EXIT_FAILURE;
    }
    return status;
}
