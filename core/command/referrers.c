#include "command/reftree.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SUMMARY_CHARS = 60 };

struct type_count {
    const char *name;
    uint64_t count;
};

struct type_counts {
    struct type_count *items;
    uint32_t count, capacity;
};

static int by_count(const void *a, const void *b)
{
    const struct type_count *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void free_counts(void *ctx)
{
    struct type_counts *c = ctx;
    free(c->items);
    free(c);
}

static unsigned count_row(void *ctx, uint64_t i, struct ph_value *values)
{
    const struct type_counts *c = ctx;
    values[0] = ph_value_count((int64_t)c->items[i].count);
    values[1] = ph_value_text(c->items[i].name);
    return 0;
}

static bool count_one(struct type_counts *c, const char *name)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (strcmp(c->items[i].name, name) == 0) {
            c->items[i].count++;
            return true;
        }
    }
    return ph_array_push(c, ((struct type_count){name, 1}));
}

static const struct ph_column count_columns[] = {
    {"count", "COUNT", 0},
    {"type", "TYPE", PH_COLUMN_LAST},
};

/* --by-type: how many references come from each type of holder. */
static enum ph_status write_by_type(struct ph_doc *doc, struct ph_heap *heap,
                                    const struct ph_references *refs, struct ph_error *err)
{
    struct type_counts *c = ph_calloc(1, sizeof *c);
    bool ok = c;
    for (uint32_t i = 0; ok && i < refs->count; i++) {
        const struct ph_reference *r = &refs->items[i];
        ok = count_one(c, r->source != PH_NO_OBJECT ? ph_heap_type(heap, r->source)->name
                                                    : ph_reference_kind(r));
    }
    if (!ok) {
        if (c)
            free_counts(c);
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    }
    if (c->count)
        qsort(c->items, c->count, sizeof *c->items, by_count);
    ph_doc_table(doc, &(struct ph_table){
                          .key = "types",
                          .columns = count_columns,
                          .column_count = sizeof count_columns / sizeof *count_columns,
                          .row_count = c->count,
                          .row = count_row,
                          .ctx = c,
                          .free_ctx = free_counts,
                      });
    return PH_OK;
}

static void write_head(struct ph_doc *doc, struct ph_heap *heap, uint32_t id)
{
    struct ph_str summary = {0};
    int64_t refcount;
    bool mortal = ph_heap_refcount(heap, id, &refcount);
    ph_heap_summary(heap, id, SUMMARY_CHARS, &summary);
    ph_doc_python(doc, heap->objects.python);
    ph_doc_addr(doc, "address", NULL, ph_heap_address(heap, id));
    ph_doc_text(doc, "type", NULL, ph_heap_type(heap, id)->name);
    if (mortal)
        ph_doc_count(doc, "refcount", NULL, refcount);
    else
        ph_doc_null(doc, "refcount", NULL);
    ph_doc_line(doc, "0x%" PRIx64 "  %s  %s", ph_heap_address(heap, id),
                ph_heap_type(heap, id)->name, ph_str_text(&summary));
    ph_doc_line(doc, "%s", "");
    ph_str_free(&summary);
}

/* "found" and "native": the references that were found, and those that the count shows beyond them.
 */
static void write_count(struct ph_doc *doc, struct ph_heap *heap, uint32_t id,
                        const struct ph_references *refs)
{
    char a[32], b[32], c[32];
    int64_t refcount;
    uint64_t found = ph_references_strong(refs, id);
    bool mortal = ph_heap_refcount(heap, id, &refcount);
    ph_doc_count(doc, "found", NULL, (int64_t)found);
    ph_format_count(a, (int64_t)found);
    if (!mortal) {
        ph_doc_null(doc, "native", NULL);
        ph_doc_line(doc, "%s reference%s found; the object is immortal and counts none", a,
                    ph_plural(found));
        return;
    }
    int64_t native = refcount > (int64_t)found ? refcount - (int64_t)found : 0;
    ph_doc_count(doc, "native", NULL, native);
    ph_doc_line(doc, "%s of %s references found%s%s", a, ph_format_count(b, refcount),
                native ? "; native code holds " : "", native ? ph_format_count(c, native) : "");
}

static enum ph_status write_references(struct ph_doc *doc, struct ph_session *s,
                                       const struct ph_invocation *inv, struct ph_heap *heap,
                                       uint32_t id, enum ph_direction direction,
                                       const struct ph_references *refs, struct ph_error *err)
{
    const char *key = direction == PH_REFERRERS ? "referrers" : "referents";
    if (inv->options.by_type)
        return write_by_type(doc, heap, refs, err);
    uint64_t shown = ph_rows_shown(inv, refs->count);
    uint64_t limit = ph_rows_shown(inv, UINT64_MAX); /* of each object's references in a tree */
    uint64_t depth = inv->options.given & PH_TAKES(depth) ? inv->options.depth : 1;
    enum ph_status status = ph_doc_reftree(doc, heap, id, direction, depth, limit, SUMMARY_CHARS,
                                           ph_session_host(s), refs, key, err);
    if (status)
        return status;
    if (refs->count == 0)
        ph_doc_line(doc, direction == PH_REFERRERS ? "Nothing that was found refers to it."
                                                   : "It refers to nothing.");
    ph_doc_line(doc, "%s", "");
    ph_doc_rows_footer(doc, shown, refs->count, "references");
    return PH_OK;
}

static enum ph_status run(struct ph_session *s, const struct ph_invocation *inv, struct ph_doc *doc,
                          enum ph_direction direction, struct ph_error *err)
{
    struct ph_heap *heap;
    struct ph_references refs = {0};
    uint32_t id = 0;
    enum ph_status status = ph_session_heap_watching(s, inv->operands[0].address, &heap, err);
    if (!status)
        status = ph_operand_object(heap, inv, 0, &id, err);
    if (!status)
        status = direction == PH_REFERRERS
                     ? ph_referrers_find(heap, &id, 1, ph_session_host(s), &refs, err)
                     : ph_referents_find(heap, id, &refs, err);
    if (status)
        return status;
    write_head(doc, heap, id);
    status = write_references(doc, s, inv, heap, id, direction, &refs, err);
    if (!status && direction == PH_REFERRERS)
        write_count(doc, heap, id, &refs);
    ph_array_free(&refs);
    if (!status)
        ph_doc_skipped(doc, heap);
    return status;
}

static enum ph_status run_referrers(struct ph_session *s, const struct ph_invocation *inv,
                                    struct ph_doc *doc, struct ph_error *err)
{
    return run(s, inv, doc, PH_REFERRERS, err);
}

static enum ph_status run_referents(struct ph_session *s, const struct ph_invocation *inv,
                                    struct ph_doc *doc, struct ph_error *err)
{
    return run(s, inv, doc, PH_REFERENTS, err);
}

const struct ph_command ph_command_referrers = {
    .name = "referrers",
    .operands_text = "ADDR",
    .brief = "who refers to an object, by name",
    .help = "List what refers to the object at ADDR: objects with the name under which they hold "
            "it, locals of running and suspended frames, and fields of the interpreter's own "
            "state. Weak references are shown as weak.\n\n"
            "The last line compares with the reference count: what it shows beyond the references "
            "found is held by native code, such as an extension module or a C stack.\n\n"
            "With --depth N, each referrer's own referrers follow, N levels deep; an object that "
            "was opened already says \"seen above\".",
    .operands = PH_OPERANDS_ADDR,
    .options = PH_TAKES(depth) | PH_TAKES(by_type),
    .run = run_referrers,
};

const struct ph_command ph_command_referents = {
    .name = "referents",
    .operands_text = "ADDR",
    .brief = "what an object refers to, by name",
    .help = "List what the object at ADDR refers to, with the name under which it holds it.",
    .operands = PH_OPERANDS_ADDR,
    .options = PH_TAKES(depth),
    .run = run_referents,
};
