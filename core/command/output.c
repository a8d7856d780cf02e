#include "command/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum ph_status ph_output_fail(const struct ph_output *o, struct ph_error *err)
{
    return ph_fail(err, PH_FAILED, "cannot write %.100s: %s", ph_str_text(&o->path),
                   strerror(errno));
}

/* Follow symbolic links, so that the file they lead to is replaced rather than they. */
static void follow_links(struct ph_str *path)
{
    char *real = realpath(ph_str_text(path), NULL);

    if (real) {
        ph_str_clear(path);
        ph_str_append(path, real);
    }
    free(real);
}

static bool open_temporary(struct ph_output *o)
{
    ph_str_appendf(&o->temporary, "%s.%ld.tmp", ph_str_text(&o->path), (long)getpid());
    if (o->temporary.failed) {
        errno = ENOMEM;
        return false;
    }
    int fd = open(ph_str_text(&o->temporary), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, o->mode);
    if (fd < 0) {
        ph_str_clear(&o->temporary);
        return false;
    }
    o->file = fdopen(fd, "w");
    return o->file;
}

enum ph_status ph_output_open(struct ph_output *o, const char *typed, struct ph_error *err)
{
    struct stat st;

    ph_str_append_path(&o->path, typed);
    o->mode = 0666;
    if (stat(ph_str_text(&o->path), &st) == 0) {
        if (!S_ISREG(st.st_mode)) {
            o->file = fopen(ph_str_text(&o->path), "we");
            return o->file ? PH_OK : ph_output_fail(o, err);
        }
        follow_links(&o->path);
        o->mode = st.st_mode & 0777;
    }
    return open_temporary(o) ? PH_OK : ph_output_fail(o, err);
}

enum ph_status ph_output_finish(struct ph_output *o, enum ph_status status, struct ph_error *err)
{
    const char *temporary = ph_str_text(&o->temporary);

    if (o->file && fclose(o->file) && !status)
        status = ph_output_fail(o, err);
    if (!status && *temporary && rename(temporary, ph_str_text(&o->path)))
        status = ph_output_fail(o, err);
    if (status && *temporary)
        unlink(temporary);
    ph_str_free(&o->path);
    ph_str_free(&o->temporary);
    return status;
}
