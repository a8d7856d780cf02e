#include "command/reftree.h"

/* One row. Nodes of a level stand together; children are linked, for the rows go depth first. */
struct node {
    struct ph_reference ref;
    uint32_t first_child, next; /* index of a node, or NONE */
    uint32_t depth;
    bool seen; /* opened at a row above or beside */
};
#define NONE UINT32_MAX

struct tree {
    struct ph_heap *heap;
    enum ph_direction direction;
    uint64_t limit, summary_chars;
    PH_ARRAY(struct node) nodes;
    PH_ARRAY(uint32_t) rows; /* nodes depth first */
    struct ph_map opened;    /* address of each object whose references were followed */
    struct ph_str label, summary;
};

/* The object at the other end of the reference, or PH_NO_OBJECT. */
static uint32_t other_end(const struct tree *t, const struct node *n)
{
    return t->direction == PH_REFERRERS ? n->ref.source : n->ref.target;
}

static void free_tree(void *ctx)
{
    struct tree *t = ctx;
    ph_array_free(&t->nodes);
    ph_array_free(&t->rows);
    ph_map_free(&t->opened);
    ph_str_free(&t->label);
    ph_str_free(&t->summary);
    free(t);
}

/* Hang those of `refs` that belong to object id under node `parent` (NONE: the top), in order, at
 * most t->limit. */
static bool hang(struct tree *t, const struct ph_references *refs, uint32_t id, uint32_t parent,
                 uint32_t depth)
{
    uint32_t last = NONE;
    uint64_t hung = 0;
    for (uint32_t i = 0; i < refs->count && (t->limit == 0 || hung < t->limit); i++) {
        const struct ph_reference *r = &refs->items[i];
        if ((t->direction == PH_REFERRERS ? r->target : r->source) != id)
            continue;
        struct node n = {.ref = *r, .first_child = NONE, .next = NONE, .depth = depth};
        uint32_t at = t->nodes.count;
        if (!ph_array_push(&t->nodes, n))
            return false;
        if (last != NONE)
            t->nodes.items[last].next = at;
        else if (parent != NONE)
            t->nodes.items[parent].first_child = at;
        last = at;
        hung++;
    }
    return true;
}

/* Mark what was opened before; collect the rest, which the next level opens. */
static bool next_level(struct tree *t, uint32_t from, uint32_t to, uint32_t *ids, uint32_t *parents,
                       uint32_t *count)
{
    *count = 0;
    for (uint32_t i = from; i < to; i++) {
        struct node *n = &t->nodes.items[i];
        uint32_t id = other_end(t, n);
        if (id == PH_NO_OBJECT || !(n->ref.flags & PH_REF_STRONG))
            continue;
        if (ph_map_find(&t->opened, ph_heap_address(t->heap, id), NULL)) {
            n->seen = true;
            continue;
        }
        if (!ph_map_insert(&t->opened, ph_heap_address(t->heap, id), id))
            return false;
        ids[*count] = id;
        parents[(*count)++] = i;
    }
    return true;
}

static enum ph_status open_level(struct tree *t, const uint32_t *ids, const uint32_t *parents,
                                 uint32_t count, uint32_t depth, const struct ph_host *host,
                                 struct ph_error *err)
{
    struct ph_references refs = {0};
    enum ph_status status = PH_OK;
    if (t->direction == PH_REFERRERS)
        status = ph_referrers_find(t->heap, ids, count, host, &refs, err);
    for (uint32_t i = 0; i < count && !status; i++) {
        if (t->direction == PH_REFERENTS) {
            ph_array_free(&refs);
            status = ph_referents_find(t->heap, ids[i], &refs, err);
        }
        if (!status && !hang(t, &refs, ids[i], parents[i], depth))
            status = ph_fail(err, PH_NO_MEMORY, "out of memory");
    }
    ph_array_free(&refs);
    return status;
}

static enum ph_status grow(struct tree *t, uint64_t depth, const struct ph_host *host,
                           struct ph_error *err)
{
    uint32_t from = 0;
    for (uint32_t level = 1; level < depth; level++) {
        uint32_t to = t->nodes.count, count;
        uint32_t *ids = ph_malloc((to - from + 1) * sizeof *ids);
        uint32_t *parents = ph_malloc((to - from + 1) * sizeof *parents);
        enum ph_status status = PH_OK;
        if (!ids || !parents || !next_level(t, from, to, ids, parents, &count))
            status = ph_fail(err, PH_NO_MEMORY, "out of memory");
        else if (count > 0)
            status = open_level(t, ids, parents, count, level, host, err);
        free(ids);
        free(parents);
        if (status || t->nodes.count == to)
            return status;
        from = to;
    }
    return PH_OK;
}

/* Depth first without recursion: a node's next sibling waits on a stack while its children are
 * listed. */
static bool order_rows(struct tree *t)
{
    PH_ARRAY(uint32_t) waiting = {0};
    bool ok = t->nodes.count == 0 || ph_array_push(&waiting, 0);
    while (ok && waiting.count > 0) {
        uint32_t at = waiting.items[--waiting.count];
        const struct node *n = &t->nodes.items[at];
        ok = ph_array_push(&t->rows, at) && (n->next == NONE || ph_array_push(&waiting, n->next)) &&
             (n->first_child == NONE || ph_array_push(&waiting, n->first_child));
    }
    ph_array_free(&waiting);
    return ok;
}

static unsigned reference_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct tree *t = ctx;
    const struct node *n = &t->nodes.items[t->rows.items[i]];
    uint32_t id = other_end(t, n);
    ph_str_clear(&t->label);
    ph_str_clear(&t->summary);
    ph_reference_label(t->heap, &n->ref, &t->label);
    if (id != PH_NO_OBJECT)
        ph_heap_summary(t->heap, id, t->summary_chars, &t->summary);
    bool strong = n->ref.flags & PH_REF_STRONG;
    if (!strong)
        ph_str_append(&t->label, " (weak)");
    if (n->seen)
        ph_str_append(&t->summary, " (seen above)");
    values[0] = ph_value_text(ph_str_text(&t->label));
    values[1] = ph_value_addr(t->direction == PH_REFERRERS ? ph_reference_address(t->heap, &n->ref)
                                                           : ph_heap_address(t->heap, id));
    values[2] = t->direction == PH_REFERRERS ? ph_value_text(ph_reference_kind(&n->ref))
                                             : (struct ph_value){0};
    values[3] = id != PH_NO_OBJECT                  ? ph_value_text(ph_heap_type(t->heap, id)->name)
                : n->ref.root.kind == PH_ROOT_FRAME ? ph_value_text("frame")
                                                    : ph_value_null();
    values[4] = ph_value_text(ph_str_text(&t->summary));
    values[5] = ph_value_bool(strong);
    if (n->seen)
        values[6] = ph_value_bool(true);
    return n->depth;
}

static const struct ph_column columns[] = {
    {"label", "REFERENCE", PH_COLUMN_TREE}, {"address", "ADDRESS", 0},
    {"kind", "", PH_COLUMN_JSON_ONLY},      {"type", "TYPE", 0},
    {"summary", "SUMMARY", PH_COLUMN_LAST}, {"strong", "", PH_COLUMN_JSON_ONLY},
    {"seen", "", PH_COLUMN_JSON_ONLY},
};

enum ph_status ph_doc_reftree(struct ph_doc *doc, struct ph_heap *heap, uint32_t id,
                              enum ph_direction direction, uint64_t depth, uint64_t limit,
                              uint64_t summary_chars, const struct ph_host *host,
                              const struct ph_references *first, const char *key,
                              struct ph_error *err)
{
    struct tree *t = ph_calloc(1, sizeof *t);
    if (!t)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    t->heap = heap;
    t->direction = direction;
    t->limit = limit;
    t->summary_chars = summary_chars;
    enum ph_status status = PH_OK;
    if (!ph_map_insert(&t->opened, ph_heap_address(heap, id), id) || !hang(t, first, id, NONE, 0))
        status = ph_fail(err, PH_NO_MEMORY, "out of memory");
    if (!status)
        status = grow(t, depth, host, err);
    if (!status && !order_rows(t))
        status = ph_fail(err, PH_NO_MEMORY, "out of memory");
    if (status) {
        free_tree(t);
        return status;
    }
    ph_doc_table(doc, &(struct ph_table){
                          .key = key,
                          .columns = columns,
                          .column_count = sizeof columns / sizeof *columns,
                          .row_count = t->rows.count,
                          .row = reference_row,
                          .ctx = t,
                          .free_ctx = free_tree,
                          .children_key = key,
                          .flags = t->rows.count ? 0 : PH_TABLE_NO_HEADER,
                      });
    return PH_OK;
}
