/*
 * A document for people: labels and values in two columns, tables aligned, lines as they are.
 */
#include "base/array.h"
#include "render/format.h"
#include "render/node.h"

#include <stdlib.h>
#include <string.h>

enum {
    GAP = 2,         /* spaces between columns */
    TREE_INDENT = 2, /* spaces a level */
    WIDEST_PAD = 60, /* a longer cell pushes its own row aside instead of widening all */
    LONGEST_TEXT = 200,
};

static void put_spaces(FILE *out, size_t count)
{
    while (count--)
        putc(' ', out);
}

/* ---- scalars ---- */

/* Whether the node takes part in a block of labels without ending it. */
static bool is_groupable(const struct ph_node *node)
{
    return node->kind != PH_NODE_LINE && node->kind != PH_NODE_TABLE;
}

static bool has_label(const struct ph_node *node)
{
    return node->kind == PH_NODE_SCALAR && node->label;
}

static size_t label_width(const struct ph_node *node)
{
    size_t widest = 0;
    unsigned left;

    for (; node && is_groupable(node); node = ph_node_after(node, &left)) {
        size_t width = has_label(node) ? ph_text_width(node->label) : 0;
        widest = width > widest ? width : widest;
    }
    return widest;
}

static void write_scalar(const struct ph_node *node, size_t width, FILE *out)
{
    const struct ph_value *value = &node->value;
    char human[32], exact[32];

    fputs(node->label, out);
    put_spaces(out, width - ph_text_width(node->label) + GAP);
    if (value->kind == PH_VALUE_NULL)
        fputs("unknown", out);
    else if (value->kind != PH_VALUE_BYTES)
        fputs(ph_format_value(human, value, false), out);
    else if (value->as.bytes < 1024)
        fprintf(out, "%u byte%s", (unsigned)value->as.bytes, value->as.bytes == 1 ? "" : "s");
    else
        fprintf(out, "%s (%s bytes)", ph_format_value(human, value, false),
                ph_format_value(exact, value, true));
    putc('\n', out);
}

/* Write labels and values up to the next line or table, which is returned. */
static const struct ph_node *write_block(const struct ph_node *node, FILE *out)
{
    size_t width = label_width(node);
    unsigned left;

    for (; node && is_groupable(node); node = ph_node_after(node, &left))
        if (has_label(node))
            write_scalar(node, width, out);
    return node;
}

/* ---- tables ---- */

/* What measuring finds out about a column. */
struct column_shape {
    size_t width;
    bool left; /* holds something else than numbers */
    bool shown;
};

struct table_writer {
    const struct ph_table *table;
    struct column_shape *shapes;
    struct ph_value *values;
    FILE *out;
};

static unsigned fetch_row(const struct table_writer *w, uint64_t i)
{
    memset(w->values, 0, w->table->column_count * sizeof *w->values);
    return w->table->row(w->table->ctx, i, w->values);
}

static size_t cell_indent(const struct ph_column *column, unsigned depth)
{
    return column->flags & PH_COLUMN_TREE ? (size_t)depth * TREE_INDENT : 0;
}

static const char *cell_text(const struct table_writer *w, size_t column, char buf[32])
{
    return ph_format_value(buf, &w->values[column],
                           w->table->columns[column].flags & PH_COLUMN_EXACT);
}

static bool is_number(const struct ph_value *value)
{
    return value->kind == PH_VALUE_BYTES || value->kind == PH_VALUE_COUNT ||
           value->kind == PH_VALUE_SHARE || value->kind == PH_VALUE_MORE_BYTES ||
           value->kind == PH_VALUE_MORE_COUNT;
}

static bool says_nothing(const struct ph_value *value)
{
    return value->kind == PH_VALUE_NONE || value->kind == PH_VALUE_NULL;
}

static void widen(struct column_shape *shape, size_t width)
{
    if (width > WIDEST_PAD)
        width = WIDEST_PAD;
    if (width > shape->width)
        shape->width = width;
}

static void measure_row(struct table_writer *w, uint64_t i)
{
    unsigned depth = fetch_row(w, i);
    char buf[32];

    for (size_t c = 0; c < w->table->column_count; c++) {
        struct column_shape *shape = &w->shapes[c];
        if (!shape->shown || w->table->columns[c].flags & PH_COLUMN_LAST)
            continue;
        shape->left |= !is_number(&w->values[c]) && !says_nothing(&w->values[c]);
        widen(shape,
              ph_text_width(cell_text(w, c, buf)) + cell_indent(&w->table->columns[c], depth));
    }
}

static void measure(struct table_writer *w)
{
    for (size_t c = 0; c < w->table->column_count; c++) {
        const struct ph_column *column = &w->table->columns[c];
        struct column_shape *shape = &w->shapes[c];
        shape->shown = !(column->flags & PH_COLUMN_JSON_ONLY);
        shape->left = column->flags & PH_COLUMN_LAST;
        if (!shape->shown)
            continue;
        if (column->header && !(w->table->flags & PH_TABLE_NO_HEADER))
            widen(shape, ph_text_width(column->header));
    }
    for (uint64_t i = 0; i < w->table->row_count; i++)
        measure_row(w, i);
}

/* One cell with the spaces before and after it; *pending are spaces that are due only if more
 * follows. */
static void write_cell(const struct table_writer *w, size_t c, const char *text, size_t indent,
                       size_t *pending)
{
    const struct column_shape *shape = &w->shapes[c];
    size_t width = ph_text_width(text) + indent;
    size_t padding = width < shape->width ? shape->width - width : 0;

    if (!*text) {
        *pending += shape->width + GAP;
        return;
    }
    put_spaces(w->out, *pending + indent + (shape->left ? 0 : padding));
    if (w->table->columns[c].flags & PH_COLUMN_LAST && width > LONGEST_TEXT) {
        fwrite(text, 1, ph_text_prefix(text, LONGEST_TEXT - 3), w->out);
        fputs("...", w->out);
    } else {
        fputs(text, w->out);
    }
    *pending = GAP + (shape->left ? padding : 0);
}

static void write_header(const struct table_writer *w)
{
    size_t pending = 0;

    for (size_t c = 0; c < w->table->column_count; c++) {
        const char *header = w->table->columns[c].header;
        if (w->shapes[c].shown)
            write_cell(w, c, header ? header : "", 0, &pending);
    }
    putc('\n', w->out);
}

static void write_row(const struct table_writer *w, uint64_t i)
{
    unsigned depth = fetch_row(w, i);
    size_t pending = 0;
    char buf[32];

    for (size_t c = 0; c < w->table->column_count; c++)
        if (w->shapes[c].shown)
            write_cell(w, c, cell_text(w, c, buf), cell_indent(&w->table->columns[c], depth),
                       &pending);
    putc('\n', w->out);
}

static void write_bare(const struct table_writer *w)
{
    char buf[32];

    for (uint64_t i = 0; i < w->table->row_count; i++) {
        fetch_row(w, i);
        fprintf(w->out, "%s\n", cell_text(w, 0, buf));
    }
}

static void write_aligned(struct table_writer *w)
{
    measure(w);
    if (w->table->row_count && !(w->table->flags & PH_TABLE_NO_HEADER))
        write_header(w);
    for (uint64_t i = 0; i < w->table->row_count; i++)
        write_row(w, i);
}

static bool write_table(const struct ph_table *table, FILE *out)
{
    struct table_writer w = {
        .table = table,
        .out = out,
        .shapes = ph_calloc(table->column_count, sizeof *w.shapes),
        .values = ph_calloc(table->column_count, sizeof *w.values),
    };
    bool ready = w.shapes && w.values;

    if (ready && table->flags & PH_TABLE_BARE)
        write_bare(&w);
    else if (ready)
        write_aligned(&w);
    free(w.shapes);
    free(w.values);
    return ready;
}

/* ---- documents ---- */

bool ph_doc_write_text(const struct ph_doc *doc, FILE *out)
{
    const struct ph_node *node = write_block(&doc->root, out);
    bool ok = !doc->failed;
    unsigned left;

    while (node) {
        if (node->kind == PH_NODE_LINE)
            fprintf(out, "%s\n", node->value.as.text);
        else if (!(node->table.flags & PH_TABLE_JSON_ONLY))
            ok &= write_table(&node->table, out);
        node = ph_node_after(node, &left);
        if (node)
            node = write_block(node, out);
    }
    return ok && !ferror(out);
}
