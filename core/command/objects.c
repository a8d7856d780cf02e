#include "command/objects.h"

#include <stdlib.h>

enum { SUMMARY_CHARS = 60 };

/* What the table shows; lives as long as the document. */
struct page {
    struct ph_heap *heap;
    struct ph_matches matches;
    uint64_t offset;
    uint64_t summary_chars;
    struct ph_str summary;
};

enum key { KEY_BYTES, KEY_ADDRESS, KEY_REFCOUNT };
const char *const ph_object_sort_keys[] = {"bytes", "address", "refcount", NULL};

/* Ids ascend with the address, so that they break ties. */
static int by_bytes(const void *a, const void *b)
{
    const struct ph_match *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_refcount(const void *a, const void *b, void *ctx)
{
    const struct ph_match *x = a, *y = b;
    int64_t m, n;
    bool p = ph_heap_refcount(ctx, x->id, &m), q = ph_heap_refcount(ctx, y->id, &n);
    if (p != q)
        return p ? 1 : -1; /* immortal ones first */
    return m != n && p ? (m > n ? -1 : 1) : by_bytes(a, b);
}

static void sort_matches(struct page *p, const char *sort)
{
    struct ph_matches *m = &p->matches;
    if (sort && strcmp(sort, ph_object_sort_keys[KEY_ADDRESS]) == 0)
        return; /* found in that order */
    if (sort && strcmp(sort, ph_object_sort_keys[KEY_REFCOUNT]) == 0)
        qsort_r(m->items, m->count, sizeof *m->items, by_refcount, p->heap);
    else if (m->count)
        qsort(m->items, m->count, sizeof *m->items, by_bytes);
}

static void free_page(void *ctx)
{
    struct page *p = ctx;
    ph_array_free(&p->matches);
    ph_str_free(&p->summary);
    free(p);
}

static unsigned object_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct page *p = ctx;
    const struct ph_match *match = &p->matches.items[p->offset + i];
    int64_t refcount;
    bool mortal = ph_heap_refcount(p->heap, match->id, &refcount);
    ph_str_clear(&p->summary);
    ph_heap_summary(p->heap, match->id, p->summary_chars, &p->summary);
    values[0] = ph_value_addr(ph_heap_address(p->heap, match->id));
    values[1] = ph_value_bytes(match->bytes);
    values[2] = mortal ? ph_value_count(refcount) : ph_value_null();
    values[3] = ph_value_text(ph_heap_type(p->heap, match->id)->name);
    values[4] = ph_value_text(ph_str_text(&p->summary));
    return 0;
}

static const struct ph_column object_columns[] = {
    {"address", "ADDRESS", 0}, {"bytes", "BYTES", PH_COLUMN_EXACT},    {"refcount", "REFS", 0},
    {"type", "TYPE", 0},       {"summary", "SUMMARY", PH_COLUMN_LAST},
};

static void write_page(struct ph_doc *doc, struct page *p, const struct ph_invocation *inv,
                       const char *none)
{
    uint64_t count = p->matches.count, offset = p->offset;
    uint64_t shown = ph_rows_shown(inv, count > offset ? count - offset : 0);
    bool bare = inv->options.addresses;
    if (count == 0 && !bare)
        ph_doc_line(doc, "%s", none);
    ph_doc_count(doc, "matched", NULL, (int64_t)count);
    ph_doc_table(doc, &(struct ph_table){
                          .key = "objects",
                          .columns = object_columns,
                          .column_count = sizeof object_columns / sizeof *object_columns,
                          .row_count = shown,
                          .row = object_row,
                          .ctx = p,
                          .free_ctx = free_page,
                          .flags = bare         ? PH_TABLE_BARE
                                   : count == 0 ? PH_TABLE_NO_HEADER
                                                : 0,
                      });
    if (!bare)
        ph_doc_page_footer(doc, offset, shown, count, "objects");
}

enum ph_status ph_doc_objects(struct ph_doc *doc, struct ph_heap *heap, struct ph_matches *matches,
                              const struct ph_invocation *inv, const char *none,
                              struct ph_error *err)
{
    struct page *p = ph_calloc(1, sizeof *p);
    if (!p) {
        ph_array_free(matches);
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    }
    p->heap = heap;
    p->matches = *matches;
    *matches = (struct ph_matches){0};
    p->offset = inv->options.offset;
    p->summary_chars = inv->options.given & PH_TAKES(length) ? inv->options.length : SUMMARY_CHARS;
    sort_matches(p, inv->options.sort);
    write_page(doc, p, inv, none);
    return PH_OK;
}
