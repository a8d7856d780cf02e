#include "analysis/find.h"
#include "command/objects.h"

static enum ph_status make_question(const struct ph_invocation *inv, struct ph_question *q,
                                    struct ph_error *err)
{
    const struct ph_options *options = &inv->options;
    *q = (struct ph_question){
        .text = inv->operand_count ? inv->operands[0].text : NULL,
        .kind = options->regex   ? PH_PATTERN_REGEX
                : options->exact ? PH_PATTERN_WHOLE
                                 : PH_PATTERN_CONTAINED,
        .ignore_case = options->ignore_case,
        .attribute = options->attribute,
    };
    if (!q->text && !q->attribute)
        return ph_fail(err, PH_USAGE, "'find' needs TEXT, or --attribute NAME");
    if (options->regex && options->exact)
        return ph_fail(err, PH_USAGE, "--exact does not go with --regex; use ^ and $");
    return PH_OK;
}

static enum ph_status run_find(struct ph_session *s, const struct ph_invocation *inv,
                               struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    struct ph_filter filter;
    struct ph_question question;
    struct ph_found found;
    enum ph_status status = make_question(inv, &question, err);
    if (!status)
        status = ph_session_heap_filtered(s, &inv->options, &filter, &heap, err);
    if (!status)
        status = ph_find(heap, &filter, &question, ph_session_host(s), &found, err);
    if (status)
        return status;
    ph_doc_python(doc, heap->objects.python);
    status = ph_doc_objects(doc, heap, &found.matches, inv, "Nothing found.", err);
    if (!status && !inv->options.addresses)
        ph_doc_skipped_with(doc, heap, "texts that the expression takes too long for",
                            found.given_up);
    return status;
}

const struct ph_command ph_command_find = {
    .name = "find",
    .operands_text = "[TEXT]",
    .brief = "objects by their value, or by the name of an attribute",
    .help = "List the str, bytes and bytearray objects that contain TEXT; if TEXT is a number (42, "
            "-0x2a, 3.14, 1e3), also the ints and floats that equal it, as Python compares them "
            "(42 finds 42.0), but no bool. `--type int` leaves the texts out.\n\n"
            "--exact wants the whole text to be TEXT. --regex takes TEXT for a regular expression "
            "(PCRE2's, nearly those of Python's re), which may match anywhere. Text is searched by "
            "characters, bytes by TEXT's UTF-8. An expression that takes too long for a text gives "
            "up on it, and how many there were is told.\n\n"
            "--attribute NAME finds the objects that have an attribute NAME of their own (in "
            "__dict__ or __slots__; modules, functions and classes too) and the dicts with that "
            "key. With TEXT, only those whose attribute's value matches TEXT.\n\n"
            "  find session-4711\n\n"
            "  find --regex '^/home/\\w+/'\n\n"
            "  find --attribute user_id 4711 --exact",
    .operands = PH_OPERANDS_TEXT_OPTIONAL,
    .options = PH_TAKES(exact) | PH_TAKES(regex) | PH_TAKES(ignore_case) | PH_TAKES(attribute) |
               PH_TAKES(scope) | PH_TAKES(type) | PH_TAKES(gen) | PH_TAKES(min_bytes) |
               PH_TAKES(max_bytes) | PH_TAKES(addresses) | PH_TAKES(offset) | PH_TAKES(length),
    .sort_keys = ph_object_sort_keys,
    .run = run_find,
};
