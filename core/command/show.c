#include "command/reftree.h"

#include <inttypes.h>

enum { SUMMARY_CHARS = 200, ROW_CHARS = 60 };

static void write_gc(struct ph_doc *doc, const struct ph_heap *heap, uint32_t id)
{
    uint8_t flags = heap->flags[id];
    bool tracked = flags & PH_OBJECT_TRACKED;
    int generation = ph_flags_generation(flags);
    ph_doc_object_begin(doc, "gc");
    ph_doc_bool(doc, "tracked", NULL, tracked);
    if (generation >= 0)
        ph_doc_count(doc, "generation", NULL, generation);
    else
        ph_doc_null(doc, "generation", NULL);
    ph_doc_object_end(doc);
    struct ph_str text = {0};
    if (!tracked)
        ph_str_append(&text, ph_heap_type(heap, id)->is_gc ? "not tracked" : "not a GC type");
    else if (generation < 0)
        ph_str_append(&text, "tracked, being collected");
    else if (generation == PH_GEN_PERMANENT)
        ph_str_append(&text, "tracked, permanent generation");
    else
        ph_str_appendf(&text, "tracked, generation %d", generation);
    ph_doc_text(doc, NULL, "GC", ph_str_text(&text));
    ph_str_free(&text);
}

static void write_object(struct ph_doc *doc, struct ph_heap *heap, uint32_t id, uint64_t chars)
{
    const struct ph_type *type = ph_heap_type(heap, id);
    struct ph_str summary = {0};
    int64_t refcount;
    bool mortal = ph_heap_refcount(heap, id, &refcount);
    ph_heap_summary(heap, id, chars, &summary);
    ph_doc_addr(doc, "address", "Address", ph_heap_address(heap, id));
    ph_doc_text(doc, "type", "Type", type->name);
    ph_doc_addr(doc, "type_address", "Type object", type->address);
    ph_doc_bytes(doc, "bytes", "Size", ph_heap_sizeof(heap, id));
    ph_doc_bytes(doc, "allocated", "Allocated", ph_heap_allocated(heap, id));
    if (mortal)
        ph_doc_count(doc, "refcount", "References", refcount);
    else
        ph_doc_null(doc, "refcount", NULL);
    ph_doc_bool(doc, "immortal", mortal ? NULL : "Immortal", !mortal);
    write_gc(doc, heap, id);
    ph_doc_text(doc, "summary", "Value", ph_str_text(&summary));
    ph_str_free(&summary);
}

static enum ph_status run_show(struct ph_session *s, const struct ph_invocation *inv,
                               struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    struct ph_references refs = {0};
    uint32_t id = 0;
    enum ph_status status = ph_session_heap(s, &heap, err);
    if (!status)
        status = ph_operand_object(heap, inv, 0, &id, err);
    if (!status)
        status = ph_referents_find(heap, id, &refs, err);
    if (status)
        return status;
    uint64_t chars = inv->options.full ? UINT64_MAX : SUMMARY_CHARS;
    if (inv->options.given & PH_TAKES(length))
        chars = inv->options.length;
    uint64_t limit = inv->options.full && !(inv->options.given & PH_TAKES(limit))
                         ? 0
                         : ph_rows_shown(inv, UINT64_MAX);
    uint64_t shown = limit == 0 || limit > refs.count ? refs.count : limit;
    ph_doc_python(doc, heap->objects.python);
    write_object(doc, heap, id, chars);
    if (refs.count)
        ph_doc_line(doc, "%s", "");
    status = ph_doc_reftree(doc, heap, id, PH_REFERENTS, 1, limit, ROW_CHARS, ph_session_host(s),
                            &refs, "references", err);
    if (!status && shown < refs.count) {
        char a[32], b[32];
        ph_doc_line(doc, "%s", "");
        ph_doc_line(doc, "%s of %s references; --full for all", ph_format_count(a, (int64_t)shown),
                    ph_format_count(b, refs.count));
    }
    ph_array_free(&refs);
    return status;
}

const struct ph_command ph_command_show = {
    .name = "show",
    .operands_text = "ADDR",
    .brief = "one object: type, size, value, references",
    .help = "Show the object at ADDR: its type, its size as sys.getsizeof says and as the "
            "allocators see it, its reference count and GC state, its value, and what it refers "
            "to by name.",
    .operands = PH_OPERANDS_ADDR,
    .options = PH_TAKES(full) | PH_TAKES(length),
    .run = run_show,
};
