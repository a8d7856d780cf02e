#include "analysis/waste.h"
#include "command/objects.h"

#include <stdlib.h>

enum { SUMMARY_CHARS = 60, EXAMPLES = 3 };

struct answer;

/* One kind's rows in a table. */
struct section {
    struct answer *answer;
    enum ph_waste_kind kind;
    uint64_t offset;
};

/* What the tables show; lives as long as the document. */
struct answer {
    struct ph_heap *heap;
    struct ph_waste waste;
    struct section sections[PH_WASTE_KINDS]; /* most bytes first */
    unsigned section_count;                  /* of those that are asked for */
    uint64_t summary_chars;
    struct ph_str summary;
};

static void free_answer(void *ctx)
{
    struct answer *a = ctx;
    ph_waste_free(&a->waste);
    ph_str_free(&a->summary);
    free(a);
}

static const struct ph_waste_sum *sum_of(const struct section *section)
{
    return &section->answer->waste.kinds[section->kind];
}

static bool is_of_values(enum ph_waste_kind kind)
{
    return kind == PH_WASTE_STRINGS || kind == PH_WASTE_BYTES || kind == PH_WASTE_NUMBERS;
}

static int by_bytes(const void *a, const void *b)
{
    const struct section *x = a, *y = b;
    uint64_t p = sum_of(x)->bytes, q = sum_of(y)->bytes;
    if (p != q)
        return p > q ? -1 : 1;
    return (int)x->kind - (int)y->kind;
}

/* ---- the kinds ---- */

static const struct ph_column kind_columns[] = {
    {"bytes", "BYTES", 0},
    {"count", "COUNT", 0},
    {"kind", "KIND", 0},
    {"what", "WHAT COULD BE SAVED", PH_COLUMN_LAST},
};

static unsigned kind_row(void *ctx, uint64_t i, struct ph_value *values)
{
    const struct section *section = &((const struct answer *)ctx)->sections[i];
    values[0] = ph_value_bytes(sum_of(section)->bytes);
    values[1] = ph_value_count((int64_t)sum_of(section)->count);
    values[2] = ph_value_text(ph_waste_name(section->kind));
    values[3] = ph_value_text(ph_waste_what(section->kind));
    return 0;
}

static void write_kinds(struct ph_doc *doc, struct answer *a)
{
    uint64_t count = 0;
    while (count < a->section_count && sum_of(&a->sections[count])->bytes)
        count++;
    ph_doc_table(doc, &(struct ph_table){
                          .columns = kind_columns,
                          .column_count = sizeof kind_columns / sizeof *kind_columns,
                          .row_count = count,
                          .row = kind_row,
                          .ctx = a,
                          .free_ctx = free_answer,
                          .flags = count ? 0 : PH_TABLE_NO_HEADER,
                      });
}

/* ---- examples ---- */

static const struct ph_column object_columns[] = {
    {"bytes", "BYTES", PH_COLUMN_EXACT},
    {"count", "", PH_COLUMN_JSON_ONLY},
    {"address", "ADDRESS", 0},
    {"type", "TYPE", 0},
    {"summary", "SUMMARY", PH_COLUMN_LAST},
};
static const struct ph_column value_columns[] = {
    {"bytes", "BYTES", PH_COLUMN_EXACT},
    {"count", "COPIES", 0},
    {"address", "ADDRESS", 0},
    {"type", "TYPE", 0},
    {"summary", "VALUE", PH_COLUMN_LAST},
};
static const struct ph_column pool_columns[] = {
    {"bytes", "BYTES", PH_COLUMN_EXACT},    {"count", "USED BLOCKS", 0},
    {"address", "FIRST BLOCK", 0},          {"type", "", PH_COLUMN_JSON_ONLY},
    {"summary", "SUMMARY", PH_COLUMN_LAST},
};

static void summarize_pool(const struct ph_run *run, const struct ph_wasteful *item,
                           struct ph_str *out)
{
    char used[32], all[32], bytes[32];
    ph_str_appendf(out, "%s of %s blocks of %s bytes are in use",
                   ph_format_count(used, item->count), ph_format_count(all, run->block_count),
                   ph_format_count(bytes, (int64_t)run->block_bytes));
}

static unsigned example_row(void *ctx, uint64_t i, struct ph_value *values)
{
    const struct section *section = ctx;
    struct answer *a = section->answer;
    const struct ph_wasteful *item = &sum_of(section)->items.items[section->offset + i];
    ph_str_clear(&a->summary);
    values[0] = ph_value_bytes(item->bytes);
    values[1] = ph_value_count(item->count);
    if (section->kind == PH_WASTE_POOLS) {
        const struct ph_run *run = &a->heap->blocks.runs.items[item->id];
        summarize_pool(run, item, &a->summary);
        values[2] = ph_value_addr(run->start);
        values[3] = ph_value_null();
    } else {
        ph_heap_summary(a->heap, item->id, a->summary_chars, &a->summary);
        values[2] = ph_value_addr(ph_heap_address(a->heap, item->id));
        values[3] = ph_value_text(ph_heap_type(a->heap, item->id)->name);
    }
    values[4] = ph_value_text(ph_str_text(&a->summary));
    return 0;
}

static const char *things_of(enum ph_waste_kind kind)
{
    return is_of_values(kind) ? "values" : kind == PH_WASTE_POOLS ? "pools" : "objects";
}

/* Of all kinds a few each, of one kind a page. */
static void write_section(struct ph_doc *doc, const struct ph_invocation *inv,
                          struct section *section)
{
    const struct ph_waste_sum *sum = sum_of(section);
    bool alone = inv->options.kind;
    uint64_t count = sum->items.count;
    section->offset = alone ? inv->options.offset : 0;
    uint64_t left = count > section->offset ? count - section->offset : 0;
    uint64_t shown = ph_rows_shown(inv, left);
    if (!alone && !(inv->options.given & PH_TAKES(limit)) && shown > EXAMPLES)
        shown = EXAMPLES;
    if (shown) {
        ph_doc_line(doc, "%s", "");
        if (!alone)
            ph_doc_line(doc, "%s:", ph_waste_name(section->kind));
    }
    ph_doc_object_begin(doc, NULL);
    ph_doc_text(doc, "kind", NULL, ph_waste_name(section->kind));
    ph_doc_count(doc, "count", NULL, (int64_t)sum->count);
    ph_doc_bytes(doc, "bytes", NULL, sum->bytes);
    ph_doc_count(doc, "matched", NULL, (int64_t)count);
    ph_doc_table(doc, &(struct ph_table){
                          .key = "examples",
                          .columns = section->kind == PH_WASTE_POOLS ? pool_columns
                                     : is_of_values(section->kind)   ? value_columns
                                                                     : object_columns,
                          .column_count = sizeof object_columns / sizeof *object_columns,
                          .row_count = shown,
                          .row = example_row,
                          .ctx = section,
                          .flags = shown ? 0 : PH_TABLE_JSON_ONLY,
                      });
    ph_doc_object_end(doc);
    if (alone)
        ph_doc_page_footer(doc, section->offset, shown, count, things_of(section->kind));
}

/* ---- the whole ---- */

static void write_total(struct ph_doc *doc, const struct answer *a)
{
    char saved[32], all[32], free_bytes[32];
    const struct ph_waste *w = &a->waste;
    uint64_t objects = 0, pools = 0;
    for (unsigned i = 0; i < a->section_count; i++) {
        uint64_t bytes = sum_of(&a->sections[i])->bytes;
        *(a->sections[i].kind == PH_WASTE_POOLS ? &pools : &objects) += bytes;
    }
    ph_doc_object_begin(doc, "total");
    ph_doc_bytes(doc, "bytes", NULL, objects + pools);
    ph_doc_bytes(doc, "objects", NULL, objects);
    ph_doc_bytes(doc, "pools", NULL, pools);
    ph_doc_bytes(doc, "of", NULL, w->object_bytes);
    ph_doc_object_end(doc);
    ph_doc_line(doc, "%s", "");
    double share = w->object_bytes ? (double)objects * 100 / (double)w->object_bytes : 0;
    bool only_pools = a->section_count == 1 && a->sections[0].kind == PH_WASTE_POOLS;
    if (!only_pools)
        ph_doc_line(doc, "%s of the %s that objects have (%.1f %%) could be saved.",
                    ph_format_bytes(saved, objects), ph_format_bytes(all, w->object_bytes), share);
    if (pools || only_pools)
        ph_doc_line(doc, "%s lie free in half-empty pools.", ph_format_bytes(free_bytes, pools));
}

static void order_sections(struct answer *a, const struct ph_options *options)
{
    for (unsigned k = 0; k < PH_WASTE_KINDS; k++) {
        if (!options->kind || strcmp(options->kind, ph_waste_name(k)) == 0)
            a->sections[a->section_count++] = (struct section){.answer = a, .kind = k};
    }
    qsort(a->sections, a->section_count, sizeof *a->sections, by_bytes);
}

static void write_answer(struct ph_doc *doc, const struct ph_invocation *inv, struct answer *a)
{
    ph_doc_python(doc, a->heap->objects.python);
    write_kinds(doc, a);
    ph_doc_array_begin(doc, "kinds");
    for (unsigned i = 0; i < a->section_count; i++)
        write_section(doc, inv, &a->sections[i]);
    ph_doc_array_end(doc);
    write_total(doc, a);
    if (!inv->options.kind)
        ph_doc_line(doc, "--kind NAME lists one kind in full");
    ph_doc_skipped_with(doc, a->heap, "containers whose lengths make no sense", a->waste.damaged);
}

static enum ph_status run_waste(struct ph_session *s, const struct ph_invocation *inv,
                                struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    struct ph_filter filter;
    const struct ph_options *options = &inv->options;
    if ((options->given & PH_TAKES(offset)) && !options->kind)
        return ph_fail(err, PH_USAGE, "--offset needs --kind NAME");
    enum ph_status status = ph_session_heap_filtered(s, options, &filter, &heap, err);
    if (status)
        return status;
    struct answer *a = ph_calloc(1, sizeof *a);
    if (!a)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    a->heap = heap;
    a->summary_chars = options->given & PH_TAKES(length) ? options->length : SUMMARY_CHARS;
    status = ph_waste_find(heap, &filter, ph_session_host(s), &a->waste, err);
    if (status) {
        free(a);
        return status;
    }
    order_sections(a, options);
    write_answer(doc, inv, a);
    return PH_OK;
}

const struct ph_command ph_command_waste = {
    .name = "waste",
    .operands_text = "",
    .brief = "memory to be saved: copies, tables with too much room, half-empty pools",
    .help =
        "Add up what the program could do without, and show the worst of each kind. Sizes are "
        "sys.getsizeof's; an object counts under one kind only. --kind NAME lists one kind page by "
        "page, --type GLOB looks at some types only.\n\n"
        "duplicate-strings, -bytes, -numbers: objects of exactly one type (str, bytes, int, float, "
        "complex) with equal values, but for those in a program's data, which cost no memory. "
        "BYTES "
        "are those of all copies but the largest, COUNT the copies to be spared.\n\n"
        "sparse-dicts: the table's bytes less those of the smallest table that holds the items. "
        "sparse-sets: the table's bytes less those in a copy of the set.\n\n"
        "over-allocated-lists: the room behind the last item, a word for each item. "
        "over-allocated-bytearrays: the same, a byte each.\n\n"
        "empty-containers: the whole size of lists, dicts, sets, bytearrays and deques without "
        "items.\n\n"
        "unshared-dicts: instances whose __dict__ has lost key sharing while that of others of the "
        "class has not, and whose attributes would fit. BYTES is its size less that of one that "
        "shares; in 3.13 and later its whole size, for the values would lie in the instance. "
        "needless-dicts (3.11 and later): instances whose __dict__ was asked for, which "
        "made a dict for values that need none, and to which now only the instance refers. BYTES "
        "is the dict's without the values.\n\n"
        "half-empty-pools: pools (mimalloc: pages) of which less than half of the blocks are in "
        "use. BYTES are the free blocks'. Not told where --scope, --type, --gen or sizes choose "
        "objects.",
    .operands = PH_OPERANDS_NONE,
    .options = PH_TAKES(kind) | PH_TAKES(scope) | PH_TAKES(type) | PH_TAKES(gen) |
               PH_TAKES(min_bytes) | PH_TAKES(max_bytes) | PH_TAKES(offset) | PH_TAKES(length),
    .run = run_waste,
};
