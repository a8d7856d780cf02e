#include "analysis/verify.h"
#include "command/session.h"

#include <stdlib.h>

static void fill_row(const struct ph_problem *p, struct ph_value *values)
{
    values[0] = ph_value_addr(p->address);
    values[1] = ph_value_text(ph_problem_kind_name(p->kind));
    values[2] = ph_value_text(p->detail);
}

static unsigned problem_row(void *ctx, uint64_t i, struct ph_value *values)
{
    fill_row(&((const struct ph_verification *)ctx)->problems.items[i], values);
    return 0;
}

static unsigned passing_row(void *ctx, uint64_t i, struct ph_value *values)
{
    fill_row(&((const struct ph_verification *)ctx)->passing.items[i], values);
    return 0;
}

static const struct ph_column columns[] = {
    {"address", "ADDRESS", 0},
    {"kind", "KIND", 0},
    {"detail", "DETAIL", PH_COLUMN_LAST},
};

static void free_verification(void *ctx)
{
    ph_verification_free(ctx);
    free(ctx);
}

/* "162,738 objects, 4 collector lists, 1,204 pools: sound". */
static void write_summary(struct ph_doc *doc, const struct ph_heap *heap,
                          const struct ph_verification *v)
{
    char a[32], b[32], c[32], d[32];
    struct ph_str line = {0};
    ph_str_appendf(&line, "%s object%s", ph_format_count(a, (int64_t)v->object_count),
                   ph_plural(v->object_count));
    if (v->list_count)
        ph_str_appendf(&line, ", %s collector list%s", ph_format_count(b, (int64_t)v->list_count),
                       ph_plural(v->list_count));
    if (v->pool_count)
        ph_str_appendf(&line, ", %s %s%s", ph_format_count(c, (int64_t)v->pool_count),
                       heap->blocks.are_mimalloc ? "page" : "pool", ph_plural(v->pool_count));
    if (v->problem_count)
        ph_str_appendf(&line, ": %s problem%s", ph_format_count(d, (int64_t)v->problem_count),
                       ph_plural(v->problem_count));
    else
        ph_str_append(&line, ": sound");
    ph_doc_line(doc, "%s", ph_str_text(&line));
    ph_str_free(&line);
}

/* No more than threads run. */
static void write_passing(struct ph_doc *doc, struct ph_verification *v)
{
    if (!v->passing.count)
        return;
    ph_doc_line(doc, "%s", "");
    ph_doc_line(doc, "Left out, for a thread that runs may be changing it just now:");
    ph_doc_table(doc, &(struct ph_table){
                          .key = "left_out",
                          .columns = columns,
                          .column_count = sizeof columns / sizeof *columns,
                          .row_count = v->passing.count,
                          .row = passing_row,
                          .ctx = v,
                          .flags = PH_TABLE_NO_HEADER,
                      });
}

/* The tables borrow the verification, and the first of them frees it. */
static void write_problems(struct ph_doc *doc, const struct ph_invocation *inv,
                           const struct ph_heap *heap, struct ph_verification *v)
{
    uint64_t shown = ph_rows_shown(inv, v->problems.count);
    ph_doc_count(doc, "checked", NULL, (int64_t)v->object_count);
    ph_doc_count(doc, "lists", NULL, (int64_t)v->list_count);
    ph_doc_count(doc, "pools", NULL, (int64_t)v->pool_count);
    ph_doc_count(doc, "found", NULL, (int64_t)v->problem_count);
    ph_doc_table(doc, &(struct ph_table){
                          .key = "problems",
                          .columns = columns,
                          .column_count = sizeof columns / sizeof *columns,
                          .row_count = shown,
                          .row = problem_row,
                          .ctx = v,
                          .free_ctx = free_verification,
                          .flags = v->problems.count ? 0 : PH_TABLE_NO_HEADER,
                      });
    if (v->problems.count)
        ph_doc_line(doc, "%s", "");
    ph_doc_rows_footer(doc, shown, v->problem_count, "problems");
    write_summary(doc, heap, v);
    write_passing(doc, v);
}

static enum ph_status run_verify(struct ph_session *s, const struct ph_invocation *inv,
                                 struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    enum ph_status status = ph_session_heap(s, &heap, err);
    if (status)
        return status;
    struct ph_verification *v = ph_calloc(1, sizeof *v);
    if (!v)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    status = ph_verify(heap, ph_session_host(s), v, err);
    if (status) {
        free(v);
        return status;
    }
    ph_doc_python(doc, heap->objects.python);
    write_problems(doc, inv, heap, v);
    ph_doc_skipped(doc, heap);
    return PH_OK;
}

const struct ph_command ph_command_verify = {
    .name = "verify",
    .operands_text = "",
    .brief = "is the heap sound",
    .help = "Hold against each other what CPython keeps in two places, and list what contradicts "
            "itself, with the address of the culprit and a sentence.\n\n"
            "gc-link, gc-flags: the collector's lists are linked both ways, and no header says "
            "that it is being collected unless a collection runs. type: the type of each object is "
            "one, with sizes that can be. refcount: no count is below the references found that "
            "own one. reference: none leads to a freed block, unmapped memory or what is no "
            "object. pool, arena: free lists and counts of pymalloc agree. dict, set: counts, "
            "indices and hashes of the tables agree. list, tuple: no more items than there is room "
            "for, and none is NULL.\n\n"
            "What a thread that runs may be in the middle of changing is left out, and said so. A "
            "heap with problems is still an answer: the exit status is 0.",
    .operands = PH_OPERANDS_NONE,
    .options = 0,
    .run = run_verify,
};
