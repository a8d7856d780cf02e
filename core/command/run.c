#include "command/command.h"

#include "base/str.h"
#include "command/help.h"
#include "command/session.h"
#include "render/doc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the answer ---- */

static enum ph_status answer_command(struct ph_session *s, const struct ph_invocation *inv,
                                     struct ph_doc *doc, struct ph_error *err)
{
    const struct ph_operand *unresolved = ph_invocation_unresolved(inv);

    if (unresolved)
        return ph_fail(err, PH_USAGE, "'%.60s' is not an address (0x... or decimal)",
                       unresolved->text);
    if (inv->options.refresh)
        ph_session_drop(s);
    if (inv->options.layout) {
        const struct ph_decls *decls;
        enum ph_status status = ph_session_load_layout(s, inv->options.layout, &decls, err);
        if (status)
            return status;
    }
    ph_doc_text(doc, "command", NULL, inv->command->name);
    return ph_session_check_still(s, inv->command->run(s, inv, doc, err), err);
}

static enum ph_status build_answer(struct ph_session *s, const struct ph_invocation *inv,
                                   struct ph_doc *doc, struct ph_error *err)
{
    enum ph_status status = PH_OK;
    unsigned long failures = ph_alloc_failures();

    if (inv->help)
        ph_help_document(doc, inv->command);
    else
        status = answer_command(s, inv, doc, err);
    if (!status && (ph_doc_failed(doc) || ph_alloc_failures() != failures)) {
        ph_session_drop(s); /* which may miss something too */
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    }
    return status;
}

/* doc is NULL for help as text, which is no document. False: errno says why. */
static bool write_answer(const struct ph_invocation *inv, const struct ph_doc *doc,
                         const char *prefix, FILE *out)
{
    unsigned long failures = ph_alloc_failures();
    bool ok;

    if (!doc) {
        ph_command_write_help(inv->command, prefix, out);
        ok = !ferror(out);
    } else {
        ok = inv->options.json ? ph_doc_write_json(doc, out) : ph_doc_write_text(doc, out);
    }
    if (ok && ph_alloc_failures() != failures) {
        errno = ENOMEM;
        return false;
    }
    return ok;
}

/* ---- into a file ---- */

/* Where the answer goes: a file that takes the place of `path` when it is whole, or, where that is
 * no regular file (a terminal, a pipe, /dev/null), path itself. */
struct output {
    struct ph_str path, temporary; /* temporary is empty where path is written itself */
    mode_t mode;
    FILE *file;
};

static enum ph_status fail_file(const struct output *o, struct ph_error *err)
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

static bool open_temporary(struct output *o)
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

static enum ph_status open_output(struct output *o, const char *typed, struct ph_error *err)
{
    struct stat st;

    ph_str_append_path(&o->path, typed);
    o->mode = 0666;
    if (stat(ph_str_text(&o->path), &st) == 0) {
        if (!S_ISREG(st.st_mode)) {
            o->file = fopen(ph_str_text(&o->path), "we");
            return o->file ? PH_OK : fail_file(o, err);
        }
        follow_links(&o->path);
        o->mode = st.st_mode & 0777;
    }
    return open_temporary(o) ? PH_OK : fail_file(o, err);
}

/* Close, and put the file in its place if everything went well. */
static enum ph_status finish_output(struct output *o, enum ph_status status, struct ph_error *err)
{
    const char *temporary = ph_str_text(&o->temporary);

    if (o->file && fclose(o->file) && !status)
        status = fail_file(o, err);
    if (!status && *temporary && rename(temporary, ph_str_text(&o->path)))
        status = fail_file(o, err);
    if (status && *temporary)
        unlink(temporary);
    ph_str_free(&o->path);
    ph_str_free(&o->temporary);
    return status;
}

static enum ph_status write_file(const struct ph_invocation *inv, const struct ph_doc *doc,
                                 const char *prefix, FILE *out, struct ph_error *err)
{
    struct output o = {0};
    enum ph_status status = open_output(&o, inv->options.output, err);

    if (!status && !write_answer(inv, doc, prefix, o.file))
        status = fail_file(&o, err);
    status = finish_output(&o, status, err);
    if (!status)
        fprintf(out, "wrote %s\n", inv->options.output);
    return status;
}

/* ---- all of it ---- */

static enum ph_status write_somewhere(const struct ph_invocation *inv, const struct ph_doc *doc,
                                      const char *prefix, FILE *out, struct ph_error *err)
{
    if (inv->options.output)
        return write_file(inv, doc, prefix, out, err);
    if (!write_answer(inv, doc, prefix, out))
        return ph_fail(err, PH_FAILED, "cannot write the answer: %s", strerror(errno));
    return PH_OK;
}

enum ph_status ph_invocation_run(struct ph_session *s, const struct ph_invocation *inv,
                                 const char *prefix, FILE *out, struct ph_error *err)
{
    if (inv->help && !inv->options.json)
        return write_somewhere(inv, NULL, prefix, out, err);
    struct ph_doc *doc = ph_doc_create();
    if (!doc)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    enum ph_status status = build_answer(s, inv, doc, err);
    if (!status)
        status = write_somewhere(inv, doc, prefix, out, err);
    ph_doc_destroy(doc);
    return status;
}
