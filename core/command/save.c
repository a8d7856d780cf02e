#include "analysis/snapshot.h"
#include "command/output.h"
#include "command/session.h"

#include <time.h>

/* Write the snapshot in place of the file, if the process held still meanwhile. *bytes is how long
 * it became, where that can be told of what it was written to. */
static enum ph_status write_snapshot(struct ph_session *s, struct ph_heap *heap,
                                     struct ph_graph *graph, const char *path, int64_t *bytes,
                                     struct ph_error *err)
{
    struct ph_output o = {0};
    enum ph_status status = ph_output_open(&o, path, err);
    if (!status)
        status =
            ph_snapshot_write(heap, graph, (int64_t)time(NULL), ph_session_host(s), o.file, err);
    status = ph_session_check_still(s, status, err);
    if (!status && (fflush(o.file) || ferror(o.file)))
        status = ph_output_fail(&o, err);
    if (!status)
        *bytes = ftello(o.file);
    return ph_output_finish(&o, status, err);
}

static enum ph_status run_save(struct ph_session *s, const struct ph_invocation *inv,
                               struct ph_doc *doc, struct ph_error *err)
{
    struct ph_graph *graph = NULL;
    struct ph_heap *heap = NULL;
    const char *path = inv->operands[0].text;
    char count[32], size[32];
    int64_t bytes = -1;
    enum ph_status status = inv->options.no_holders ? ph_session_heap_measured(s, &heap, err)
                                                    : ph_session_graph(s, true, &graph, err);
    if (!status && graph)
        heap = graph->heap;
    if (!status)
        status = write_snapshot(s, heap, graph, path, &bytes, err);
    if (status)
        return status;
    ph_doc_python(doc, heap->objects.python);
    ph_doc_text(doc, "file", NULL, path);
    if (bytes >= 0)
        ph_doc_bytes(doc, "bytes", NULL, (uint64_t)bytes);
    else
        ph_doc_null(doc, "bytes", NULL);
    ph_doc_count(doc, "objects", NULL, heap->count);
    ph_doc_line(doc, "Saved %s objects to %s%s%s", ph_format_count(count, heap->count), path,
                bytes >= 0 ? ", " : "", bytes >= 0 ? ph_format_bytes(size, (uint64_t)bytes) : "");
    ph_doc_skipped(doc, heap);
    return PH_OK;
}

const struct ph_command ph_command_save = {
    .name = "save",
    .operands_text = "FILE",
    .brief = "keep a snapshot of the heap, for `diff`",
    .help =
        "Write what the heap holds now to FILE: each object with its type, size and holder, and "
        "where tracemalloc is on, where it was allocated. A file of that name is replaced once "
        "the new one is whole. `diff FILE` then tells what has grown since; `diff FILE FILE2` "
        "compares two such files, without any process.\n\n"
        "--no-holders saves time and memory, and leaves out what `diff --group-by holder` "
        "needs.",
    .operands = PH_OPERANDS_FILE,
    .options = PH_TAKES(no_holders),
    .run = run_save,
};
