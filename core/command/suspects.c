#include "analysis/suspects.h"
#include "command/session.h"

#include <inttypes.h>
#include <stdlib.h>

static double share_of(const struct ph_graph *graph, uint64_t bytes)
{
    uint64_t all = ph_graph_retained(graph, PH_ROOT_PLACE);
    return all ? (double)bytes / (double)all : 0;
}

/* "list", "lists"; "Node objects" of types whose plural would be no word. */
static void append_things(struct ph_str *out, uint64_t count, const char *type)
{
    char number[32];
    ph_str_appendf(out, "%s %s object%s", ph_format_count(number, (int64_t)count), type,
                   count == 1 ? "" : "s");
}

static void append_sentence(struct ph_str *out, const struct ph_graph *graph,
                            const struct ph_suspect *suspect, const char *path)
{
    char bytes[32], number[32];
    const char *type = suspect->type->name;
    ph_str_appendf(out, "%s (%.0f %%) ", ph_format_bytes(bytes, suspect->piled),
                   share_of(graph, suspect->piled) * 100);
    switch (suspect->kind) {
    case PH_SUSPECT_PILE:
        ph_str_appendf(out, "are held by the %s %s, in ",
                       ph_heap_type(graph->heap, suspect->holder)->name, path);
        append_things(out, suspect->count, type);
        break;
    case PH_SUSPECT_OBJECT:
        ph_str_appendf(out, "are one object, the %s %s", type, path);
        break;
    case PH_SUSPECT_GROUP:
        ph_str_append(out, "are ");
        append_things(out, suspect->count, type);
        ph_str_append(out, " that no single object holds");
        break;
    case PH_SUSPECT_NATIVE:
        ph_str_appendf(out, "are kept by %s reference%s of native code to ",
                       ph_format_count(number, (int64_t)suspect->native),
                       suspect->native == 1 ? "" : "s");
        append_things(out, suspect->count, type);
        break;
    }
}

static void write_next(struct ph_doc *doc, const struct ph_graph *graph,
                       const struct ph_suspect *suspect)
{
    uint32_t id = suspect->holder != PH_NO_OBJECT ? suspect->holder : suspect->example;
    const char *command = suspect->kind == PH_SUSPECT_PILE     ? "dominators"
                          : suspect->kind == PH_SUSPECT_OBJECT ? "why"
                                                               : "referrers";
    ph_doc_line(doc, "   try: %s 0x%" PRIx64, command, ph_heap_address(graph->heap, id));
}

static void write_holder(struct ph_doc *doc, const struct ph_graph *graph,
                         const struct ph_suspect *suspect, const char *path)
{
    bool is_object = suspect->holder != PH_NO_OBJECT;
    ph_doc_object_begin(doc, "holder");
    if (is_object) {
        ph_doc_addr(doc, "address", NULL, ph_heap_address(graph->heap, suspect->holder));
        ph_doc_text(doc, "type", NULL, ph_heap_type(graph->heap, suspect->holder)->name);
    } else {
        ph_doc_null(doc, "address", NULL);
        ph_doc_null(doc, "type", NULL);
    }
    if (is_object || suspect->kind == PH_SUSPECT_NATIVE)
        ph_doc_text(doc, "path", NULL, is_object ? path : "native code");
    else
        ph_doc_null(doc, "path", NULL);
    ph_doc_object_end(doc);
}

static enum ph_status write_suspect(struct ph_session *s, struct ph_doc *doc,
                                    struct ph_graph *graph, uint32_t number,
                                    const struct ph_suspect *suspect, struct ph_error *err)
{
    static const char *const kinds[] = {"pile", "object", "group", "native"};
    struct ph_str path = {0}, sentence = {0};
    enum ph_status status = PH_OK;
    if (suspect->holder != PH_NO_OBJECT)
        status = ph_suspect_path(graph, suspect->holder, ph_session_host(s), &path, err);
    if (!status) {
        append_sentence(&sentence, graph, suspect, ph_str_text(&path));
        ph_doc_object_begin(doc, NULL);
        ph_doc_text(doc, "kind", NULL, kinds[suspect->kind]);
        ph_doc_bytes(doc, "retained", NULL, suspect->retained);
        ph_doc_share(doc, "share", NULL, share_of(graph, suspect->retained));
        ph_doc_bytes(doc, "piled", NULL, suspect->piled);
        write_holder(doc, graph, suspect, ph_str_text(&path));
        ph_doc_object_begin(doc, "accumulated");
        ph_doc_text(doc, "type", NULL, suspect->type->name);
        ph_doc_count(doc, "count", NULL, (int64_t)suspect->count);
        ph_doc_bytes(doc, "bytes", NULL, suspect->bytes);
        ph_doc_object_end(doc);
        if (suspect->kind == PH_SUSPECT_NATIVE)
            ph_doc_count(doc, "native", NULL, (int64_t)suspect->native);
        ph_doc_addr(doc, "example", NULL, ph_heap_address(graph->heap, suspect->example));
        ph_doc_text(doc, "sentence", NULL, ph_str_text(&sentence));
        ph_doc_object_end(doc);
        ph_doc_line(doc, "%u. %s", number, ph_str_text(&sentence));
        write_next(doc, graph, suspect);
    }
    ph_str_free(&path);
    ph_str_free(&sentence);
    return status;
}

static enum ph_status run_suspects(struct ph_session *s, const struct ph_invocation *inv,
                                   struct ph_doc *doc, struct ph_error *err)
{
    char bytes[32], count[32];
    struct ph_graph *graph;
    struct ph_suspects suspects;
    enum ph_status status = ph_session_graph(s, true, &graph, err);
    if (!status)
        status = ph_suspects_find(graph, ph_session_host(s), &suspects, err);
    if (status)
        return status;
    uint64_t shown = ph_rows_shown(inv, suspects.count);
    ph_doc_python(doc, graph->heap->objects.python);
    ph_doc_array_begin(doc, "suspects");
    for (uint32_t i = 0; i < shown && !status; i++)
        status = write_suspect(s, doc, graph, i + 1, &suspects.items[i], err);
    ph_doc_array_end(doc);
    uint64_t total = suspects.count;
    ph_array_free(&suspects);
    if (status)
        return status;
    if (!total)
        ph_doc_line(doc, "Nothing stands out.");
    ph_doc_line(doc, "%s", "");
    ph_doc_line(doc, "%s in %s objects",
                ph_format_bytes(bytes, ph_graph_retained(graph, PH_ROOT_PLACE)),
                ph_format_count(count, graph->root));
    ph_doc_rows_footer(doc, shown, total, "suspects");
    ph_doc_skipped(doc, graph->heap);
    return PH_OK;
}

const struct ph_command ph_command_suspects = {
    .name = "suspects",
    .operands_text = "",
    .brief = "where memory piles up, and who holds it",
    .help = "Say in plain sentences where memory piles up: objects that alone keep alive a large "
            "share of the heap in many small parts, large single objects, objects of one type that "
            "several hold, and references of native code, which a leaking extension module leaves. "
            "The largest first, each with the command that looks closer.",
    .operands = PH_OPERANDS_NONE,
    .options = 0,
    .run = run_suspects,
};
