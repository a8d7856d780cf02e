#include "analysis/arrays.h"

#include "analysis/pandas.h"
#include "base/arena.h"
#include "command/session.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    SUMMARY_CHARS = 24,
    COLUMNS_IN_TEXT = 8,
    MOST_COLUMNS = 10000, /* of an array, in JSON */
};

/* In the order of enum ph_array_order. */
static const char *const sort_keys[] = {"bytes", "address", "type", NULL};

struct names PH_ARRAY_BODY(const char *);

/* The arrays, and the words of one row. */
struct answer {
    struct ph_heap *heap;
    struct ph_arrays arrays;
    struct ph_pandas pandas;
    uint64_t offset;
    struct ph_array array;
    struct ph_str shape, dtype, memory, summary, name;
    struct ph_arena arena; /* of the names */
    struct names columns;
};

static void free_answer(void *ctx)
{
    struct answer *a = ctx;
    ph_arrays_free(&a->arrays);
    ph_pandas_free(&a->pandas);
    ph_arena_free(&a->arena);
    ph_array_free(&a->columns);
    ph_str_free(&a->name);
    ph_str_free(&a->shape);
    ph_str_free(&a->dtype);
    ph_str_free(&a->memory);
    ph_str_free(&a->summary);
    free(a);
}

/* ---- what an array is for ---- */

static void name_columns(struct answer *a, const struct ph_pandas_use *use)
{
    uint32_t count = use->column_count < MOST_COLUMNS ? use->column_count : MOST_COLUMNS;
    ph_arena_free(&a->arena);
    a->columns.count = 0;
    for (uint32_t i = 0; i < count; i++) {
        ph_str_clear(&a->name);
        ph_pandas_column_name(a->heap, &a->pandas, use, i, &a->name);
        const char *name = ph_arena_strdup(&a->arena, ph_str_text(&a->name));
        if (!name || !ph_array_push(&a->columns, name))
            return;
    }
}

/* "columns price, volume of DataFrame 0x7f...", in place of a summary. */
static void describe_use(struct answer *a, const struct ph_pandas_use *use)
{
    uint32_t count = a->columns.count;
    ph_str_clear(&a->summary);
    if (use->index == PH_NO_OBJECT) {
        ph_str_append(&a->summary, "Series ");
        ph_pandas_column_name(a->heap, &a->pandas, use, 0, &a->summary);
        ph_str_appendf(&a->summary, " at 0x%" PRIx64, ph_heap_address(a->heap, use->frame));
        return;
    }
    ph_str_append(&a->summary, count == 1 ? "column " : "columns ");
    for (uint32_t i = 0; i < count && i < COLUMNS_IN_TEXT; i++)
        ph_str_appendf(&a->summary, "%s%s", i ? ", " : "", a->columns.items[i]);
    if (use->column_count > COLUMNS_IN_TEXT)
        ph_str_appendf(&a->summary, ", ... (%" PRIu32 ")", use->column_count);
    ph_str_appendf(&a->summary, " of DataFrame 0x%" PRIx64, ph_heap_address(a->heap, use->frame));
}

/* ---- rows ---- */

static void describe(struct answer *a, const struct ph_array_row *row)
{
    struct ph_object o;
    ph_str_clear(&a->shape);
    ph_str_clear(&a->dtype);
    ph_str_clear(&a->memory);
    ph_str_clear(&a->summary);
    a->array.shaped = false;
    if (!ph_heap_open(a->heap, row->id, &o) || !ph_object_array(&a->heap->objects, &o, &a->array))
        return;
    ph_object_dtype(&a->heap->objects, &o, &a->dtype);
    ph_object_summary(&a->heap->objects, &o, SUMMARY_CHARS, &a->summary);
    if (a->array.shaped)
        ph_shape_append(a->array.shape, a->array.dimensions, &a->shape);
    if (row->owns)
        ph_str_append(&a->memory, "own");
    else if (row->base)
        ph_str_appendf(&a->memory, "of 0x%" PRIx64, row->base);
    else
        ph_str_append(&a->memory, "not known");
}

static struct ph_value text_or_null(const struct ph_str *text)
{
    return text->len ? ph_value_text(ph_str_text(text)) : ph_value_null();
}

static unsigned array_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct answer *a = ctx;
    const struct ph_array_row *row = &a->arrays.rows.items[a->offset + i];
    const struct ph_pandas_use *use = ph_pandas_use_of(&a->pandas, row->id);
    describe(a, row);
    if (use) {
        name_columns(a, use);
        describe_use(a, use);
        values[10] = ph_value_addr(ph_heap_address(a->heap, use->frame));
    }
    if (use && use->index != PH_NO_OBJECT)
        values[11] = ph_value_texts(a->columns.items, a->columns.count);
    values[0] = ph_value_addr(ph_heap_address(a->heap, row->id));
    values[1] = ph_value_bytes(row->nbytes);
    values[2] = ph_value_text(ph_heap_type(a->heap, row->id)->name);
    values[3] = ph_value_bool(row->owns);
    values[4] = row->base ? ph_value_addr(row->base) : ph_value_null();
    values[5] =
        a->array.shaped ? ph_value_counts(a->array.shape, a->array.dimensions) : ph_value_null();
    values[6] = text_or_null(&a->shape);
    values[7] = text_or_null(&a->dtype);
    values[8] = ph_value_text(ph_str_text(&a->memory));
    values[9] = ph_value_text(ph_str_text(&a->summary));
    return 0;
}

static const struct ph_column columns[] = {
    {"address", "ADDRESS", 0},
    {"nbytes", "NBYTES", PH_COLUMN_EXACT},
    {"type", "TYPE", 0},
    {"owns", NULL, PH_COLUMN_JSON_ONLY},
    {"base", NULL, PH_COLUMN_JSON_ONLY},
    {"shape", NULL, PH_COLUMN_JSON_ONLY},
    {NULL, "SHAPE", PH_COLUMN_TEXT_ONLY},
    {"dtype", "DTYPE", 0},
    {NULL, "MEMORY", PH_COLUMN_TEXT_ONLY},
    {"summary", "SUMMARY", PH_COLUMN_LAST},
    {"frame", NULL, PH_COLUMN_JSON_ONLY},
    {"columns", NULL, PH_COLUMN_JSON_ONLY},
};

static void write_arrays(struct ph_doc *doc, struct answer *a, const struct ph_invocation *inv)
{
    char bytes[32], owners[32], views[32];
    const struct ph_arrays *arrays = &a->arrays;
    uint64_t count = arrays->rows.count, left = count > a->offset ? count - a->offset : 0;
    uint64_t shown = ph_rows_shown(inv, left);
    ph_doc_count(doc, "matched", NULL, (int64_t)count);
    ph_doc_bytes(doc, "total", NULL, arrays->bytes);
    ph_doc_count(doc, "owners", NULL, (int64_t)arrays->owners);
    ph_doc_count(doc, "views", NULL, (int64_t)arrays->views);
    ph_doc_table(doc, &(struct ph_table){
                          .key = "arrays",
                          .columns = columns,
                          .column_count = sizeof columns / sizeof *columns,
                          .row_count = shown,
                          .row = array_row,
                          .ctx = a,
                          .free_ctx = free_answer,
                          .flags = count == 0 ? PH_TABLE_NO_HEADER : 0,
                      });
    ph_doc_line(doc, "%s%s in %s %s; %s view%s", count ? "\n" : "",
                ph_format_bytes(bytes, arrays->bytes),
                ph_format_count(owners, (int64_t)arrays->owners),
                arrays->owners == 1 ? "array that owns its memory" : "arrays that own their memory",
                ph_format_count(views, (int64_t)arrays->views), ph_plural(arrays->views));
    ph_doc_page_footer(doc, a->offset, shown, count, "arrays");
}

static enum ph_array_order order_of(const char *sort)
{
    for (int i = 0; sort && sort_keys[i]; i++) {
        if (strcmp(sort, sort_keys[i]) == 0)
            return (enum ph_array_order)i;
    }
    return PH_ARRAYS_BY_BYTES;
}

static enum ph_status run_arrays(struct ph_session *s, const struct ph_invocation *inv,
                                 struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    struct ph_filter filter;
    enum ph_status status = ph_session_heap_filtered(s, &inv->options, &filter, &heap, err);
    if (status)
        return status;
    struct answer *a = ph_calloc(1, sizeof *a);
    if (!a)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    a->heap = heap;
    a->offset = inv->options.offset;
    status = ph_arrays_find(heap, &filter, order_of(inv->options.sort), ph_session_host(s),
                            &a->arrays, err);
    if (!status)
        status = ph_pandas_find(heap, ph_session_host(s), &a->pandas, err);
    if (status) {
        free_answer(a);
        return status;
    }
    ph_doc_python(doc, heap->objects.python);
    write_arrays(doc, a, inv);
    ph_doc_skipped(doc, heap);
    return PH_OK;
}

const struct ph_command ph_command_arrays = {
    .name = "arrays",
    .operands_text = "",
    .brief = "native memory behind objects: ndarrays, bytes, maps, views",
    .help = "List the objects that show a piece of memory to others, largest first: bytes, "
            "bytearray, array.array, mmap.mmap, memoryview, data and callbacks of ctypes, "
            "numpy.ndarray, and whatever a .layout file describes (see `layout`).\n\n"
            "NBYTES is what the object shows, without its header and without room that is kept "
            "for growth. MEMORY says whose memory that is: the object's own, or that of another, "
            "which is what the chain of bases of a view ends at. The total counts memory once, "
            "with its owner. Arrays of a pandas.DataFrame are named by the columns that they "
            "hold.\n\n"
            "--min-bytes and --max-bytes are of NBYTES.",
    .operands = PH_OPERANDS_NONE,
    .options = PH_TAKES(scope) | PH_TAKES(type) | PH_TAKES(min_bytes) | PH_TAKES(max_bytes) |
               PH_TAKES(offset),
    .sort_keys = sort_keys,
    .run = run_arrays,
};
