#include "command/command.h"

#include "base/str.h"
#include "command/help.h"
#include "command/output.h"
#include "command/session.h"
#include "render/doc.h"

#include <errno.h>
#include <string.h>

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

static enum ph_status write_file(const struct ph_invocation *inv, const struct ph_doc *doc,
                                 const char *prefix, FILE *out, struct ph_error *err)
{
    struct ph_output o = {0};
    enum ph_status status = ph_output_open(&o, inv->options.output, err);

    if (!status && !write_answer(inv, doc, prefix, o.file))
        status = ph_output_fail(&o, err);
    status = ph_output_finish(&o, status, err);
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
