#include "command/objects.h"

static enum ph_status run_list(struct ph_session *s, const struct ph_invocation *inv,
                               struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    struct ph_filter filter;
    struct ph_matches matches;
    struct ph_str none = {0};
    enum ph_status status = ph_session_heap_filtered(s, &inv->options, &filter, &heap, err);
    filter.type_glob = inv->operands[0].text;
    if (!status)
        status = ph_matches_collect(heap, &filter, NULL, ph_session_host(s), &matches, err);
    if (status)
        return status;
    ph_doc_python(doc, heap->objects.python);
    ph_str_appendf(&none, "No objects match '%s'; `top --limit 0` lists the types.",
                   filter.type_glob);
    status = ph_doc_objects(doc, heap, &matches, inv, ph_str_text(&none), err);
    ph_str_free(&none);
    if (!status && !inv->options.addresses)
        ph_doc_skipped(doc, heap);
    return status;
}

const struct ph_command ph_command_list = {
    .name = "list",
    .operands_text = "TYPE",
    .brief = "the instances of a type, largest first",
    .help = "List the objects whose type's name is TYPE or matches it as a glob: dict, "
            "collections.deque, 'app.models.*', '*'. Built-in types go by their bare name, all "
            "others by module and qualified name.\n\n"
            "REFS is the reference count; immortal objects have none.",
    .operands = PH_OPERANDS_TEXT,
    .options = PH_TAKES(scope) | PH_TAKES(gen) | PH_TAKES(min_bytes) | PH_TAKES(max_bytes) |
               PH_TAKES(addresses) | PH_TAKES(offset) | PH_TAKES(length),
    .sort_keys = ph_object_sort_keys,
    .run = run_list,
};
