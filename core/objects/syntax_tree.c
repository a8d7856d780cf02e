/* parser.st (to 3.9; Modules/parsermodule.c): a syntax tree of nodes that are no objects. A node's
 * children are one array. */
#include "objects/object.h"

#include "base/array.h"

enum {
    MAX_NODES = 1 << 22,
    MAX_TEXT = 1 << 20,
    SMALL_STEP = 4, /* Parser/node.c: XXXROUNDUP */
    LARGE = 128,
};

/* Room for children grows by fours, then by doubling. */
static uint64_t room_for(uint64_t n)
{
    if (n <= 1)
        return n;
    if (n <= LARGE)
        return (n + SMALL_STEP - 1) / SMALL_STEP * SMALL_STEP;
    uint64_t room = 2 * LARGE;
    while (room < n)
        room *= 2;
    return room;
}

struct walk {
    const struct ph_python *python;
    const struct ph_buffer_visitor *v;
    PH_ARRAY(ph_addr) pending;
    uint64_t nodes;
};

/* The text and the array of children of one node. */
static void visit_node(struct walk *w, const uint8_t *node)
{
    const struct ph_layout *L = &w->python->layout;
    uint64_t stride = (uint64_t)L->syntax_node.size;
    size_t len;
    ph_addr text = ph_load_ptr(w->python, node + L->syntax_node.n_str);
    if (text && ph_target_cstring(w->python->target, text, MAX_TEXT, &len))
        ph_visit_buffer(w->v, text, len + 1, "text");
    ph_addr children = ph_load_ptr(w->python, node + L->syntax_node.n_child);
    uint64_t n = ph_sane_count((int32_t)ph_load_u32(w->python, node + L->syntax_node.n_nchildren));
    w->nodes += n;
    if (!children || w->nodes > MAX_NODES)
        return;
    ph_visit_buffer(w->v, children, room_for(n) * stride, "nodes");
    for (uint64_t i = 0; i < n; i++) {
        if (!ph_array_push(&w->pending, children + i * stride))
            return;
    }
}

static void syntax_tree_buffers(struct ph_objects *objects, const struct ph_object *o,
                                const struct ph_buffer_visitor *v)
{
    const struct ph_layout *L = &objects->python->layout;
    size_t bytes = (size_t)L->syntax_node.size;
    struct walk w = {.python = objects->python, .v = v};
    ph_addr root = ph_object_ptr(objects, o, L->syntax_tree.st_node);
    if (!root || !ph_array_push(&w.pending, root))
        return;
    ph_visit_buffer(v, root, bytes, "root");
    while (w.pending.count > 0) {
        const uint8_t *node =
            ph_target_view(w.python->target, w.pending.items[--w.pending.count], bytes);
        if (node)
            visit_node(&w, node);
    }
    ph_array_free(&w.pending);
}

const struct ph_family ph_family_syntax_tree = {
    .type_names = PH_TYPE_NAMES("parser.st"),
    .struct_size = PH_STRUCT_OF(syntax_tree),
    .size = ph_size_with_buffers,
    .buffers = syntax_tree_buffers,
};
