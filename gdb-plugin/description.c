#include "description.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void trim(char *text)
{
    size_t len = strlen(text);

    while (len && text[len - 1] == ' ')
        text[--len] = '\0';
}

/* "0x400000 0x41f000 0x1f000 0x0 r--p /usr/bin/python3.11": start, end, size, offset, permissions,
 * and a name or none. False: out of memory. */
static bool read_mapping(struct description *d, char *line, bool *is_mapping)
{
    unsigned long long start, end;
    char permissions[5];
    int name_at = 0;

    *is_mapping = sscanf(line, " 0x%llx 0x%llx 0x%*x 0x%*x %4s %n", &start, &end, permissions,
                         &name_at) == 3 &&
                  strlen(permissions) == 4 && name_at;
    if (!*is_mapping)
        return true;
    trim(line + name_at);
    return ph_array_push(&d->regions, ((struct ph_region){
                                          .start = start,
                                          .end = end,
                                          .flags = ph_region_permissions(permissions),
                                          .name = line + name_at,
                                      }));
}

/* "process 1234", and "3    AT_PHDR    Program headers for program    0x400040". */
static void read_other(struct description *d, const char *line)
{
    const char *last = strrchr(line, ' ');
    int pid;

    if (sscanf(line, "process %d", &pid) == 1 && pid > 0)
        d->pid = pid;
    else if (last && strstr(line, " AT_PHDR "))
        d->program = strtoull(last, NULL, 0);
}

bool description_read(struct description *d, char *text)
{
    bool ok = true, is_mapping;
    char *rest = NULL;

    *d = (struct description){0};
    for (char *line = strtok_r(text, "\n", &rest); ok && line; line = strtok_r(NULL, "\n", &rest)) {
        ok = read_mapping(d, line, &is_mapping);
        if (!is_mapping)
            read_other(d, line);
    }
    if (!d->regions.count) /* a stub that knows of no process numbers it 1 */
        d->pid = 0;
    return ok;
}

void description_free(struct description *d)
{
    ph_array_free(&d->regions);
}
