#include "compressed.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MOST_MAGIC_BYTES = 6,
    READ_BYTES = 1 << 20,
    HOLE_BYTES = 4096, /* what is zeros for this long is not written */
};
#define MOST_UNPACKED_BYTES (1ull << 44) /* 16 TiB: the address space of no process that can be */

static const struct {
    const char *bytes;
    size_t len;
} magics[] = {
    {"\x28\xb5\x2f\xfd", 4}, /* zstd */
    {"\x04\x22\x4d\x18", 4}, /* lz4 frames */
    {"\xfd\x37zXZ\0", 6},    /* xz */
    {"\x1f\x8b", 2},         /* gzip, as other handlers of cores write it */
};

static bool is_compressed(int fd)
{
    char first[MOST_MAGIC_BYTES];
    ssize_t got = pread(fd, first, sizeof first, 0);

    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        if (got >= (ssize_t)magics[i].len && !memcmp(first, magics[i].bytes, magics[i].len))
            return true;
    }
    return false;
}

/* ---- the unnamed file ---- */

static const char *temporary_folder(void)
{
    const char *named = getenv("TMPDIR");

    return named && *named ? named : "/var/tmp";
}

static int open_unnamed(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char *name = NULL;

    /* Not every file system has files without names. */
    if (fd < 0 && asprintf(&name, "%s/py-heap-XXXXXX", folder) >= 0) {
        fd = mkostemp(name, O_CLOEXEC);
        if (fd >= 0)
            unlink(name);
        free(name);
    }
    return fd;
}

static bool is_zeros(const char *bytes, size_t len)
{
    return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

static bool write_all(int fd, const char *bytes, size_t len, uint64_t at)
{
    while (len) {
        ssize_t n = pwrite(fd, bytes, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

/* Write a block but for its zeros. */
static bool write_block(int fd, const char *bytes, size_t len, uint64_t at)
{
    while (len) {
        size_t part = len < HOLE_BYTES ? len : HOLE_BYTES;
        if (!is_zeros(bytes, part) && !write_all(fd, bytes, part, at))
            return false;
        bytes += part;
        at += part;
        len -= part;
    }
    return true;
}

/* ---- unpacking ---- */

struct unpacking {
    struct archive *archive;
    const struct ph_host *host;
    const char *path;
    uint64_t packed_bytes;
    int out;
};

static void show_progress(const struct unpacking *u)
{
    int64_t taken = archive_filter_bytes(u->archive, -1);

    if (u->host && u->host->progress && u->packed_bytes && taken > 0)
        u->host->progress(u->host->ctx, "unpacking the core",
                          (unsigned)((uint64_t)taken * 100 / u->packed_bytes));
}

static enum ph_status fail_archive(const struct unpacking *u, struct ph_error *err)
{
    const char *why = archive_error_string(u->archive);

    return ph_fail(err, PH_BAD_DATA, "%.150s cannot be unpacked: %.100s", u->path,
                   why ? why : "it is damaged");
}

static enum ph_status fail_write(struct ph_error *err)
{
    return ph_fail(err, PH_FAILED,
                   "cannot unpack the core into %.150s: %s; set TMPDIR to a folder "
                   "with more room",
                   temporary_folder(), strerror(errno));
}

static enum ph_status copy_blocks(const struct unpacking *u, struct ph_error *err)
{
    const void *bytes;
    size_t len;
    la_int64_t at;
    uint64_t end = 0;
    int got;

    while ((got = archive_read_data_block(u->archive, &bytes, &len, &at)) == ARCHIVE_OK) {
        if (ph_host_interrupted(u->host))
            return ph_fail(err, PH_INTERRUPTED, "interrupted");
        end = (uint64_t)at + len;
        if (at < 0 || end > MOST_UNPACKED_BYTES)
            return ph_fail(err, PH_BAD_DATA, "%.150s unpacks to more than a core can be", u->path);
        if (!write_block(u->out, bytes, len, (uint64_t)at))
            return fail_write(err);
        show_progress(u);
    }
    if (got != ARCHIVE_EOF)
        return fail_archive(u, err);
    return ftruncate(u->out, (off_t)end) ? fail_write(err) : PH_OK;
}

static enum ph_status unpack(struct unpacking *u, int in, struct ph_error *err)
{
    struct archive_entry *entry;

    if (archive_read_support_filter_all(u->archive) < ARCHIVE_WARN ||
        archive_read_support_format_raw(u->archive) != ARCHIVE_OK ||
        archive_read_open_fd(u->archive, in, READ_BYTES) != ARCHIVE_OK ||
        archive_read_next_header(u->archive, &entry) != ARCHIVE_OK)
        return fail_archive(u, err);
    enum ph_status status = copy_blocks(u, err);
    if (u->host && u->host->progress)
        u->host->progress(u->host->ctx, NULL, 0);
    return status;
}

/* Yields the descriptor of what was unpacked, or -1. */
static int unpack_file(const char *path, int in, uint64_t packed_bytes, const struct ph_host *host,
                       enum ph_status *status, struct ph_error *err)
{
    struct unpacking u = {.archive = archive_read_new(),
                          .host = host,
                          .path = path,
                          .packed_bytes = packed_bytes,
                          .out = open_unnamed(temporary_folder())};

    if (!u.archive)
        *status = ph_fail(err, PH_NO_MEMORY, "out of memory");
    else if (u.out < 0)
        *status = fail_write(err);
    else
        *status = unpack(&u, in, err);
    archive_read_free(u.archive);
    if (*status && u.out >= 0) {
        close(u.out);
        u.out = -1;
    }
    return u.out;
}

enum ph_status ph_compressed_open(const char *path, const struct ph_host *host, int *fd,
                                  struct ph_error *err)
{
    int in = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    enum ph_status status = PH_OK;
    struct stat info;

    if (in < 0 || fstat(in, &info)) {
        status = ph_fail(err, errno == ENOENT ? PH_NOT_FOUND : PH_FAILED, "cannot open %.150s: %s",
                         path, strerror(errno));
        if (in >= 0)
            close(in);
        return status;
    }
    *fd = in;
    if (S_ISREG(info.st_mode) && is_compressed(in)) {
        *fd = unpack_file(path, in, (uint64_t)info.st_size, host, &status, err);
        close(in);
    }
    return status;
}
