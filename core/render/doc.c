#include "render/doc.h"

#include "base/array.h"
#include "render/node.h"

#include <assert.h>
#include <stdlib.h>

struct ph_doc *ph_doc_create(void)
{
    struct ph_doc *doc = ph_calloc(1, sizeof *doc);
    if (!doc)
        return NULL;
    doc->root.kind = PH_NODE_OBJECT;
    doc->open = &doc->root;
    return doc;
}

static void free_table(const struct ph_node *node)
{
    if (node->kind == PH_NODE_TABLE && node->table.free_ctx)
        node->table.free_ctx(node->table.ctx);
}

void ph_doc_destroy(struct ph_doc *doc)
{
    unsigned left;

    if (!doc)
        return;
    for (const struct ph_node *node = &doc->root; node; node = ph_node_after(node, &left))
        free_table(node);
    ph_arena_free(&doc->arena);
    free(doc);
}

bool ph_doc_failed(const struct ph_doc *doc)
{
    return doc->failed;
}

const struct ph_node *ph_node_after(const struct ph_node *node, unsigned *left)
{
    *left = 0;
    if (node->first)
        return node->first;
    if (node->kind == PH_NODE_OBJECT || node->kind == PH_NODE_ARRAY)
        ++*left;
    while (node->parent && !node->next) {
        node = node->parent;
        ++*left;
    }
    return node->next;
}

/* A copy in the document's arena; NULL stays NULL. */
static const char *keep(struct ph_doc *doc, const char *text)
{
    if (!text)
        return NULL;
    const char *copy = ph_arena_strdup(&doc->arena, text);
    doc->failed |= !copy;
    return copy;
}

static struct ph_node *add(struct ph_doc *doc, enum ph_node_kind kind, const char *key,
                           const char *label)
{
    struct ph_node *node = ph_arena_alloc(&doc->arena, sizeof *node);
    if (!node) {
        doc->failed = true;
        return NULL;
    }
    *node = (struct ph_node){.kind = kind, .key = keep(doc, key), .label = keep(doc, label)};
    node->parent = doc->open;
    if (doc->open->last)
        doc->open->last->next = node;
    else
        doc->open->first = node;
    doc->open->last = node;
    return node;
}

static void open_container(struct ph_doc *doc, enum ph_node_kind kind, const char *key)
{
    assert(key || doc->open->kind == PH_NODE_ARRAY);
    struct ph_node *node = add(doc, kind, key, NULL);
    if (node)
        doc->open = node;
}

/* After a failure the nesting is no longer known; the document is lost anyway. */
static void close_container(struct ph_doc *doc)
{
    if (!doc->failed && doc->open->parent)
        doc->open = doc->open->parent;
}

void ph_doc_object_begin(struct ph_doc *doc, const char *key)
{
    open_container(doc, PH_NODE_OBJECT, key);
}

void ph_doc_object_end(struct ph_doc *doc)
{
    close_container(doc);
}

void ph_doc_array_begin(struct ph_doc *doc, const char *key)
{
    open_container(doc, PH_NODE_ARRAY, key);
}

void ph_doc_array_end(struct ph_doc *doc)
{
    close_container(doc);
}

static void add_scalar(struct ph_doc *doc, const char *key, const char *label,
                       struct ph_value value)
{
    struct ph_node *node = add(doc, PH_NODE_SCALAR, key, label);
    if (node)
        node->value = value;
}

void ph_doc_text(struct ph_doc *doc, const char *key, const char *label, const char *text)
{
    add_scalar(doc, key, label, ph_value_text(keep(doc, text ? text : "")));
}

void ph_doc_addr(struct ph_doc *doc, const char *key, const char *label, ph_addr address)
{
    add_scalar(doc, key, label, ph_value_addr(address));
}

void ph_doc_bytes(struct ph_doc *doc, const char *key, const char *label, uint64_t bytes)
{
    add_scalar(doc, key, label, ph_value_bytes(bytes));
}

void ph_doc_count(struct ph_doc *doc, const char *key, const char *label, int64_t count)
{
    add_scalar(doc, key, label, ph_value_count(count));
}

void ph_doc_bool(struct ph_doc *doc, const char *key, const char *label, bool value)
{
    add_scalar(doc, key, label, ph_value_bool(value));
}

void ph_doc_share(struct ph_doc *doc, const char *key, const char *label, double share)
{
    add_scalar(doc, key, label, ph_value_share(share));
}

void ph_doc_null(struct ph_doc *doc, const char *key, const char *label)
{
    add_scalar(doc, key, label, ph_value_null());
}

void ph_doc_line(struct ph_doc *doc, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    struct ph_node *node = add(doc, PH_NODE_LINE, NULL, NULL);
    char *text = len < 0 ? NULL : ph_arena_alloc(&doc->arena, (size_t)len + 1);
    if (!node || !text) {
        doc->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    node->value = ph_value_text(text);
}

void ph_doc_table(struct ph_doc *doc, const struct ph_table *table)
{
    struct ph_node *node = add(doc, PH_NODE_TABLE, table->key, NULL);
    if (node)
        node->table = *table;
    else if (table->free_ctx)
        table->free_ctx(table->ctx);
}
