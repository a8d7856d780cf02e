/*
 * What a document is made of, for the two writers. Private to render/.
 */
#ifndef PH_RENDER_NODE_H
#define PH_RENDER_NODE_H

#include "base/arena.h"
#include "render/doc.h"

enum ph_node_kind { PH_NODE_OBJECT, PH_NODE_ARRAY, PH_NODE_SCALAR, PH_NODE_LINE, PH_NODE_TABLE };

/* All of it lives in the document's arena. */
struct ph_node {
    enum ph_node_kind kind;
    const char *key, *label; /* as in doc.h; each may be NULL */
    struct ph_value value;   /* scalar; a line has its text here */
    struct ph_table table;
    struct ph_node *parent, *next;
    struct ph_node *first, *last; /* children of an object or an array */
};

struct ph_doc {
    struct ph_arena arena;
    struct ph_node root;  /* an object */
    struct ph_node *open; /* where the next node goes */
    bool failed;
};

/* The node after `node` in document order. *left counts the containers that end before it, the
 * root's end included when NULL is returned. */
const struct ph_node *ph_node_after(const struct ph_node *node, unsigned *left);

#endif
