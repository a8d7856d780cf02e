#include "analysis/merged.h"
#include "analysis/paths.h"
#include "command/session.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SUMMARY_CHARS = 60, MOST_PATHS = 1000 };

/* ---- paths of one object ---- */

/* The steps of a path; in the text, below what holds the first of them. */
struct steps {
    struct ph_graph *graph;
    struct ph_path path;
    struct ph_str label, summary;
};

static void free_steps(void *ctx)
{
    struct steps *s = ctx;
    free(s->path.ids);
    ph_str_free(&s->label);
    ph_str_free(&s->summary);
    free(s);
}

static unsigned step_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct steps *s = ctx;
    struct ph_heap *heap = s->graph->heap;
    uint32_t id = s->path.ids[i];
    ph_str_clear(&s->label);
    ph_str_clear(&s->summary);
    if (i)
        ph_path_label(s->graph, &s->path, (uint32_t)i, &s->label);
    else
        ph_path_root_label(s->graph, &s->path, &s->label);
    ph_heap_summary(heap, id, SUMMARY_CHARS, &s->summary);
    values[0] = ph_value_text(ph_str_text(&s->label));
    values[1] = ph_value_addr(ph_heap_address(heap, id));
    values[2] = ph_value_text(ph_heap_type(heap, id)->name);
    values[3] = ph_value_text(ph_str_text(&s->summary));
    return (unsigned)i;
}

static const struct ph_column step_columns[] = {
    {"label", "REFERENCE", PH_COLUMN_TREE},
    {"address", "ADDRESS", 0},
    {"type", "TYPE", 0},
    {"summary", "SUMMARY", PH_COLUMN_LAST},
};

static void write_root(struct ph_doc *doc, struct ph_graph *graph, const struct ph_path *path)
{
    struct ph_str label = {0};
    ph_path_root_label(graph, path, &label);
    ph_doc_object_begin(doc, "root");
    ph_doc_text(doc, "kind", NULL, ph_path_root_kind(path));
    ph_doc_text(doc, "label", NULL, ph_str_text(&label));
    ph_doc_object_end(doc);
    ph_str_free(&label);
}

static void write_expression(struct ph_doc *doc, struct ph_graph *graph, const struct ph_path *path)
{
    struct ph_str expression = {0};
    if (ph_path_expression(graph, path, &expression)) {
        ph_doc_text(doc, "expression", NULL, ph_str_text(&expression));
        ph_doc_line(doc, "%s", ph_str_text(&expression));
    } else {
        ph_doc_null(doc, "expression", NULL);
    }
    ph_str_free(&expression);
}

/* The path goes over to the document. */
static bool write_path(struct ph_doc *doc, struct ph_graph *graph, struct ph_path *path)
{
    struct steps *steps = ph_calloc(1, sizeof *steps);
    if (!steps)
        return false;
    write_root(doc, graph, path);
    write_expression(doc, graph, path);
    steps->graph = graph;
    steps->path = *path;
    path->ids = NULL;
    ph_doc_table(doc, &(struct ph_table){
                          .key = "steps",
                          .columns = step_columns,
                          .column_count = sizeof step_columns / sizeof *step_columns,
                          .row_count = steps->path.length,
                          .row = step_row,
                          .ctx = steps,
                          .free_ctx = free_steps,
                      });
    return true;
}

static void write_head(struct ph_doc *doc, struct ph_heap *heap, uint32_t id)
{
    struct ph_str summary = {0};
    ph_heap_summary(heap, id, SUMMARY_CHARS, &summary);
    ph_doc_addr(doc, "address", NULL, ph_heap_address(heap, id));
    ph_doc_text(doc, "type", NULL, ph_heap_type(heap, id)->name);
    ph_doc_line(doc, "0x%" PRIx64 "  %s  %s", ph_heap_address(heap, id),
                ph_heap_type(heap, id)->name, ph_str_text(&summary));
    ph_doc_line(doc, "%s", "");
    ph_str_free(&summary);
}

static enum ph_status write_paths(struct ph_doc *doc, struct ph_graph *graph, uint32_t id,
                                  struct ph_paths *paths)
{
    bool ok = true;
    write_head(doc, graph->heap, id);
    ph_doc_array_begin(doc, "paths");
    for (uint32_t i = 0; ok && i < paths->count; i++) {
        if (i)
            ph_doc_line(doc, "%s", "");
        ph_doc_object_begin(doc, NULL);
        ok = write_path(doc, graph, &paths->items[i]);
        ph_doc_object_end(doc);
    }
    ph_doc_array_end(doc);
    ph_paths_free(paths);
    return ok ? PH_OK : PH_NO_MEMORY;
}

static enum ph_status why_object(struct ph_session *s, const struct ph_invocation *inv,
                                 struct ph_doc *doc, struct ph_graph *graph, struct ph_error *err)
{
    struct ph_paths paths;
    uint32_t id;
    uint64_t most = inv->options.given & PH_TAKES(paths) ? inv->options.paths : 1;
    enum ph_status status = ph_operand_object(graph->heap, inv, 0, &id, err);
    if (!status)
        status = ph_paths_to_roots(graph, id,
                                   (uint32_t)(most == 0 || most > MOST_PATHS ? MOST_PATHS : most),
                                   ph_session_host(s), &paths, err);
    if (status)
        return status;
    bool any = paths.count;
    status = write_paths(doc, graph, id, &paths);
    if (status)
        return ph_fail(err, status, "out of memory");
    if (!any)
        ph_doc_line(doc, "Nothing that was found keeps it alive.");
    return PH_OK;
}

/* ---- from one object to another ---- */

static enum ph_status why_between(struct ph_session *s, const struct ph_invocation *inv,
                                  struct ph_doc *doc, struct ph_graph *graph, struct ph_error *err)
{
    struct ph_paths paths;
    uint32_t id, to = ph_heap_find(graph->heap, inv->options.to);
    enum ph_status status = ph_operand_object(graph->heap, inv, 0, &id, err);
    if (!status && to == PH_NO_OBJECT)
        status = ph_fail_at(err, PH_NOT_FOUND, inv->options.to,
                            "no Python object begins at 0x%" PRIx64 "; try: whatis 0x%" PRIx64,
                            inv->options.to, inv->options.to);
    if (!status)
        status = ph_path_between(graph, id, to, ph_session_host(s), &paths, err);
    bool forward = !status && paths.count;
    if (!status && !forward)
        status = ph_path_between(graph, to, id, ph_session_host(s), &paths, err);
    if (status)
        return status;
    bool any = paths.count;
    status = write_paths(doc, graph, id, &paths);
    if (status)
        return ph_fail(err, status, "out of memory");
    if (!any)
        ph_doc_line(doc, "Neither of the two leads to the other.");
    else if (!forward)
        ph_doc_line(doc, "It does not lead to 0x%" PRIx64 ", which leads to it, as above.",
                    inv->options.to);
    return PH_OK;
}

/* ---- all instances of a type ---- */

struct branches {
    struct ph_graph *graph;
    struct ph_merged merged;
    struct ph_str label, summary;
};

static void free_branches(void *ctx)
{
    struct branches *b = ctx;
    ph_merged_free(&b->merged);
    ph_str_free(&b->label);
    ph_str_free(&b->summary);
    free(b);
}

static void branch_label(struct branches *b, const struct ph_branch *branch)
{
    if (branch->alike > 1) {
        char count[32];
        ph_str_appendf(&b->label, "%s objects", ph_format_count(count, branch->alike));
        return;
    }
    uint32_t ids[] = {branch->above, branch->id};
    if (branch->above != PH_NO_OBJECT) {
        ph_path_label(b->graph, &(struct ph_path){.ids = ids, .length = 2}, 1, &b->label);
        return;
    }
    const struct ph_path path = {
        .ids = ids + 1,
        .length = 1,
        .root = ph_path_root(b->graph, branch->id),
        .rooted = ph_graph_rooted(b->graph, branch->id),
    };
    ph_path_root_label(b->graph, &path, &b->label);
}

static unsigned branch_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct branches *b = ctx;
    const struct ph_branch *branch = &b->merged.branches.items[i];
    struct ph_heap *heap = b->graph->heap;
    bool is_one = branch->alike == 1;
    ph_str_clear(&b->label);
    ph_str_clear(&b->summary);
    branch_label(b, branch);
    if (is_one)
        ph_heap_summary(heap, branch->id, SUMMARY_CHARS, &b->summary);
    values[0] = ph_value_count(branch->count);
    values[1] = ph_value_bytes(branch->bytes);
    values[2] = ph_value_text(ph_str_text(&b->label));
    values[3] = is_one ? ph_value_addr(ph_heap_address(heap, branch->id)) : ph_value_null();
    values[4] = ph_value_text(ph_heap_type(heap, branch->id)->name);
    values[5] = ph_value_text(ph_str_text(&b->summary));
    return branch->depth;
}

static const struct ph_column branch_columns[] = {
    {"count", "COUNT", 0},     {"bytes", "BYTES", 0}, {"label", "REFERENCE", PH_COLUMN_TREE},
    {"address", "ADDRESS", 0}, {"type", "TYPE", 0},   {"summary", "SUMMARY", PH_COLUMN_LAST},
};

static enum ph_status why_type(struct ph_session *s, const struct ph_invocation *inv,
                               struct ph_doc *doc, struct ph_graph *graph, struct ph_error *err)
{
    char count[32], bytes[32];
    struct ph_filter filter = PH_FILTER_ALL;
    struct branches *b = ph_calloc(1, sizeof *b);
    filter.type_glob = inv->options.type;
    if (!b)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    uint64_t limit = ph_rows_shown(inv, UINT64_MAX);
    enum ph_status status = ph_merged_paths(graph, &filter, limit == UINT64_MAX ? 0 : limit,
                                            ph_session_host(s), &b->merged, err);
    if (status) {
        free(b);
        return status;
    }
    b->graph = graph;
    ph_doc_text(doc, "type", NULL, filter.type_glob);
    ph_doc_count(doc, "count", NULL, b->merged.count);
    ph_doc_bytes(doc, "bytes", NULL, b->merged.bytes);
    bool any = b->merged.count;
    if (any)
        ph_doc_line(doc, "%s object%s of %s, %s, and the shortest ways to %s:",
                    ph_format_count(count, b->merged.count), ph_plural(b->merged.count),
                    filter.type_glob, ph_format_bytes(bytes, b->merged.bytes),
                    b->merged.count == 1 ? "it" : "them");
    else
        ph_doc_line(doc, "No objects match '%s'; `top --limit 0` lists the types.",
                    filter.type_glob);
    ph_doc_line(doc, "%s", "");
    ph_doc_table(doc, &(struct ph_table){
                          .key = "paths",
                          .columns = branch_columns,
                          .column_count = sizeof branch_columns / sizeof *branch_columns,
                          .row_count = b->merged.branches.count,
                          .row = branch_row,
                          .ctx = b,
                          .free_ctx = free_branches,
                          .children_key = "paths",
                          .flags = any ? 0 : PH_TABLE_NO_HEADER,
                      });
    if (b->merged.hidden) {
        ph_doc_line(doc, "%s", "");
        ph_doc_line(doc, "%s more with fewer objects; --limit 0 for all",
                    ph_format_count(count, b->merged.hidden));
    }
    return PH_OK;
}

/* ---- the command ---- */

static enum ph_status run_why(struct ph_session *s, const struct ph_invocation *inv,
                              struct ph_doc *doc, struct ph_error *err)
{
    struct ph_graph *graph;
    bool by_type = inv->options.type;
    if (by_type == (inv->operand_count > 0))
        return ph_fail(err, PH_USAGE, "'why' needs an address, or --type GLOB");
    if (by_type && inv->options.given & (PH_TAKES(to) | PH_TAKES(paths)))
        return ph_fail(err, PH_USAGE, "--type GLOB goes without --to and --paths");
    enum ph_status status = ph_session_graph(s, false, &graph, err);
    if (status)
        return status;
    ph_doc_python(doc, graph->heap->objects.python);
    status = by_type                             ? why_type(s, inv, doc, graph, err)
             : inv->options.given & PH_TAKES(to) ? why_between(s, inv, doc, graph, err)
                                                 : why_object(s, inv, doc, graph, err);
    if (!status)
        ph_doc_skipped(doc, graph->heap);
    return status;
}

const struct ph_command ph_command_why = {
    .name = "why",
    .operands_text = "[ADDR]",
    .brief = "what keeps an object alive: paths from the roots",
    .help = "Show the shortest path of references that keeps the object at ADDR alive: from a "
            "local of a running function, from sys.modules, or from another root, object by "
            "object. Where there is Python that reaches it on this path, that stands above the "
            "path. Weak references keep nothing alive and are left out.\n\n"
            "--paths N shows up to N paths, no two from the same root. --to ADDR2 shows how the "
            "object leads to another one, or that one to it.\n\n"
            "--type GLOB instead merges the shortest paths to all instances of a type into one "
            "tree, with how many of them lie on each branch.",
    .operands = PH_OPERANDS_ADDR_OPTIONAL,
    .options = PH_TAKES(paths) | PH_TAKES(to) | PH_TAKES(type),
    .run = run_why,
};
