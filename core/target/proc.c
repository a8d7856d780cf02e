#include "target/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static bool read_all(int fd, struct ph_str *out)
{
    char chunk[16 * 1024];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0)
            ph_str_append_len(out, chunk, (size_t)n);
    }
    return n == 0 && !out->failed;
}

bool ph_proc_read(struct ph_str *out, const char *format, ...)
{
    char name[64];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    ph_str_clear(out);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = read_all(fd, out);
    int error = errno;
    close(fd);
    errno = error;
    return ok;
}

const char *ph_proc_status(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) == 0 && line[len] == ':')
            return line + len + 1 + strspn(line + len + 1, " \t");
        if (!*line)
            break;
    }
    return NULL;
}

bool ph_proc_link(struct ph_str *out, const char *format, ...)
{
    char name[64], target[PATH_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    ssize_t len = readlink(name, target, sizeof target);
    if (len < 0)
        return false;
    static const char deleted[] = " (deleted)";
    size_t kept = (size_t)len, tail = sizeof deleted - 1;
    if (kept > tail && memcmp(target + kept - tail, deleted, tail) == 0)
        kept -= tail;
    ph_str_clear(out);
    ph_str_append_len(out, target, kept);
    return !out->failed;
}

static int compare_tids(const void *a, const void *b)
{
    pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
    return (x > y) - (x < y);
}

bool ph_proc_tids(pid_t pid, struct ph_tids *tids)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(name);
    if (!dir)
        return false;
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(dir));) {
        if (entry->d_name[0] != '.')
            ok = ph_array_push(&tids->list, (pid_t)strtol(entry->d_name, NULL, 10));
    }
    closedir(dir);
    if (tids->list.count)
        qsort(tids->list.items, tids->list.count, sizeof *tids->list.items, compare_tids);
    return ok;
}
