#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONGEST_REQUEST = 1 << 24 }; /* room for a process of 65530 mappings */

#define REQUEST_NAME  "py-heap request"
#define RESPONSE_NAME "py-heap response"

static bool is_open; /* else the descriptors are somebody else's */

/* A soft limit of open files below our descriptors is raised, where the hard limit allows. */
static void allow_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > PH_RESPONSE_FD)
        return;
    limit.rlim_cur = limit.rlim_max < 1024 ? limit.rlim_max : 1024;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool open_at(const char *name, int fd)
{
    if (fcntl(fd, F_GETFD) != -1) {
        errno = EBUSY;
        return false;
    }
    int memory = memfd_create(name, MFD_CLOEXEC);
    if (memory < 0)
        return false;
    bool placed = dup3(memory, fd, O_CLOEXEC) == fd;
    int error = errno;
    close(memory);
    errno = error;
    return placed;
}

bool ph_channel_open(void)
{
    allow_descriptors();
    if (!open_at(REQUEST_NAME, PH_REQUEST_FD))
        return false;
    is_open = open_at(RESPONSE_NAME, PH_RESPONSE_FD);
    if (is_open)
        return true;
    int error = errno;
    close(PH_REQUEST_FD);
    errno = error;
    return false;
}

/* Whether a descriptor is the file in memory of that name. */
static bool is_ours(const char *name, int fd)
{
    char path[32], found[64], wanted[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    snprintf(wanted, sizeof wanted, "/memfd:%s (deleted)", name);
    ssize_t len = readlink(path, found, sizeof found);
    return len == (ssize_t)strlen(wanted) && memcmp(found, wanted, (size_t)len) == 0;
}

bool ph_channel_resume(void)
{
    is_open = is_ours(REQUEST_NAME, PH_REQUEST_FD) && is_ours(RESPONSE_NAME, PH_RESPONSE_FD);
    return is_open;
}

void ph_channel_close(void)
{
    if (!is_open)
        return;
    close(PH_REQUEST_FD);
    close(PH_RESPONSE_FD);
    is_open = false;
}

static char *read_request(size_t *len)
{
    struct stat st;

    if (!is_open || fstat(PH_REQUEST_FD, &st) || st.st_size == 0 || st.st_size > LONGEST_REQUEST)
        return NULL;
    char *bytes = calloc(1, (size_t)st.st_size + 1);
    ssize_t got = bytes ? pread(PH_REQUEST_FD, bytes, (size_t)st.st_size, 0) : -1;
    *len = got < 0 ? 0 : (size_t)got;
    return bytes;
}

/* The bytes of a request that is whole; NULL where none is. */
static char *read_whole_request(size_t *len)
{
    size_t mark_len = sizeof PH_REQUEST_END;
    char *bytes = read_request(len);

    if (bytes && *len >= mark_len &&
        memcmp(bytes + *len - mark_len, PH_REQUEST_END, mark_len) == 0) {
        *len -= mark_len;
        bytes[*len] = '\0';
        return bytes;
    }
    free(bytes);
    return NULL;
}

bool ph_channel_has_request(void)
{
    size_t len;
    char *bytes = read_whole_request(&len);

    bool found = bytes;
    free(bytes);
    return found;
}

char *ph_channel_take_request(size_t *len)
{
    char *bytes = read_whole_request(len);

    if (bytes && ftruncate(PH_REQUEST_FD, 0)) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

FILE *ph_channel_begin_response(void)
{
    if (ftruncate(PH_RESPONSE_FD, 0))
        return NULL;
    int fd = fcntl(PH_RESPONSE_FD, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    lseek(fd, 0, SEEK_SET);
    FILE *out = fdopen(fd, "w");
    if (!out)
        close(fd);
    return out;
}
