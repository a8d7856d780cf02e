/*
 * A document for programs: one line of compact JSON, written as it goes, so that tables of any
 * length need no memory. json-c writes the strings.
 */
#include "base/array.h"
#include "render/node.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

struct json_writer {
    FILE *out;
    bool comma; /* the next thing in this container needs one before it */
    bool failed;
};

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text == '"' || *text == '\\')
            return false;
    return true;
}

/* Most strings are plain ASCII and need no object of json-c's. */
static void put_string(struct json_writer *w, const char *text)
{
    if (is_plain(text)) {
        fprintf(w->out, "\"%s\"", text);
        return;
    }
    struct json_object *string = json_object_new_string(text);
    const char *quoted = string
                             ? json_object_to_json_string_ext(
                                   string, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
                             : NULL;
    if (quoted)
        fputs(quoted, w->out);
    else
        w->failed = true;
    json_object_put(string);
}

static void begin_element(struct json_writer *w, const char *key)
{
    if (w->comma)
        putc(',', w->out);
    w->comma = true;
    if (!key)
        return;
    put_string(w, key);
    putc(':', w->out);
}

static void open_bracket(struct json_writer *w, char bracket)
{
    putc(bracket, w->out);
    w->comma = false;
}

static void close_bracket(struct json_writer *w, char bracket)
{
    putc(bracket, w->out);
    w->comma = true;
}

static void put_counts(struct json_writer *w, const int64_t *items, size_t count)
{
    putc('[', w->out);
    for (size_t i = 0; i < count; i++)
        fprintf(w->out, "%s%" PRId64, i ? "," : "", items[i]);
    putc(']', w->out);
}

static void put_texts(struct json_writer *w, const char *const *items, size_t count)
{
    putc('[', w->out);
    for (size_t i = 0; i < count; i++) {
        if (i)
            putc(',', w->out);
        put_string(w, items[i]);
    }
    putc(']', w->out);
}

static void put_value(struct json_writer *w, const struct ph_value *value)
{
    switch (value->kind) {
    case PH_VALUE_NONE:
    case PH_VALUE_NULL:
        fputs("null", w->out);
        break;
    case PH_VALUE_TEXT:
        put_string(w, value->as.text ? value->as.text : "");
        break;
    case PH_VALUE_ADDR:
        fprintf(w->out, "\"0x%" PRIx64 "\"", value->as.addr);
        break;
    case PH_VALUE_BYTES:
        fprintf(w->out, "%" PRIu64, value->as.bytes);
        break;
    case PH_VALUE_COUNT:
    case PH_VALUE_MORE_BYTES:
    case PH_VALUE_MORE_COUNT:
        fprintf(w->out, "%" PRId64, value->as.count);
        break;
    case PH_VALUE_BOOL:
        fputs(value->as.boolean ? "true" : "false", w->out);
        break;
    case PH_VALUE_SHARE:
        fprintf(w->out, "%.4f", value->as.share);
        break;
    case PH_VALUE_COUNTS:
        put_counts(w, value->as.counts.items, value->as.counts.count);
        break;
    case PH_VALUE_TEXTS:
        put_texts(w, value->as.texts.items, value->as.texts.count);
        break;
    }
}

/* ---- tables ---- */

static void put_cells(struct json_writer *w, const struct ph_table *table,
                      const struct ph_value *values)
{
    for (size_t c = 0; c < table->column_count; c++) {
        const struct ph_column *column = &table->columns[c];
        if (column->flags & PH_COLUMN_TEXT_ONLY || !column->key || values[c].kind == PH_VALUE_NONE)
            continue;
        begin_element(w, column->key);
        put_value(w, &values[c]);
    }
}

/* Rows nest by depth: the object of a row stays open until a row that is not below it comes. */
static void put_rows(struct json_writer *w, const struct ph_table *table, struct ph_value *values)
{
    unsigned open = 0; /* objects open now */

    for (uint64_t i = 0; i < table->row_count; i++) {
        memset(values, 0, table->column_count * sizeof *values);
        unsigned depth = table->row(table->ctx, i, values);
        if (!table->children_key)
            depth = 0;
        if (depth >= open && open > 0) {
            depth = open; /* a row is at most one level below the one above it */
            begin_element(w, table->children_key);
            open_bracket(w, '[');
        }
        for (; open > depth; open--) {
            close_bracket(w, '}');
            if (open - 1 > depth)
                close_bracket(w, ']');
        }
        begin_element(w, NULL);
        open_bracket(w, '{');
        put_cells(w, table, values);
        open++;
    }
    for (; open > 0; open--) {
        close_bracket(w, '}');
        if (open > 1)
            close_bracket(w, ']');
    }
}

static void put_table(struct json_writer *w, const struct ph_table *table)
{
    struct ph_value *values = ph_calloc(table->column_count, sizeof *values);

    if (!values) {
        w->failed = true;
        return;
    }
    begin_element(w, table->key);
    open_bracket(w, '[');
    put_rows(w, table, values);
    close_bracket(w, ']');
    free(values);
}

/* ---- documents ---- */

static bool is_container(const struct ph_node *node)
{
    return node->kind == PH_NODE_OBJECT || node->kind == PH_NODE_ARRAY;
}

static bool is_in_json(const struct ph_node *node)
{
    if (is_container(node))
        return true;
    if (node->kind == PH_NODE_SCALAR && node->parent->kind == PH_NODE_ARRAY)
        return node->key || !node->label;
    return node->key;
}

static void put_node(struct json_writer *w, const struct ph_node *node)
{
    const char *key = node->parent && node->parent->kind == PH_NODE_ARRAY ? NULL : node->key;

    if (!is_in_json(node))
        return;
    if (node->kind == PH_NODE_TABLE) {
        put_table(w, &node->table);
        return;
    }
    begin_element(w, key);
    if (node->kind == PH_NODE_SCALAR)
        put_value(w, &node->value);
    else
        open_bracket(w, node->kind == PH_NODE_OBJECT ? '{' : '[');
}

/* Close the `left` containers that end with `node`. */
static void close_containers(struct json_writer *w, const struct ph_node *node, unsigned left)
{
    if (!is_container(node))
        node = node->parent;
    for (; left && node; left--, node = node->parent)
        close_bracket(w, node->kind == PH_NODE_OBJECT ? '}' : ']');
}

bool ph_doc_write_json(const struct ph_doc *doc, FILE *out)
{
    struct json_writer w = {.out = out};
    unsigned left;

    for (const struct ph_node *node = &doc->root, *next; node; node = next) {
        next = ph_node_after(node, &left);
        put_node(&w, node);
        close_containers(&w, node, left);
    }
    putc('\n', out);
    return !doc->failed && !w.failed && !ferror(out);
}
