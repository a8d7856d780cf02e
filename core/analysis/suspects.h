/*
 * Where memory piles up, and who holds it: objects whose many small parts are together a large
 * share of the heap, large single objects, objects of one type that several hold, and references of
 * native code.
 */
#ifndef PH_ANALYSIS_SUSPECTS_H
#define PH_ANALYSIS_SUSPECTS_H

#include "graph/graph.h"

enum ph_suspect_kind {
    PH_SUSPECT_PILE,   /* much in small parts, right below one holder */
    PH_SUSPECT_OBJECT, /* one large object */
    PH_SUSPECT_GROUP,  /* many of one type that no single object holds */
    PH_SUSPECT_NATIVE, /* many references of native code */
};

struct ph_suspect {
    enum ph_suspect_kind kind;
    uint32_t holder;   /* id; PH_NO_OBJECT for groups and native references */
    uint64_t retained; /* by the holder, or by the objects of the group */
    uint64_t
        piled; /* of that, what makes it a suspect: not in parts that are suspects themselves */
    const struct ph_type *type; /* of the parts: of those types, the one that retains most */
    uint64_t count;             /* of the parts of that type */
    uint64_t bytes;             /* that they retain */
    uint64_t native;            /* references of native code */
    uint32_t example;           /* one of the parts */
};
struct ph_suspects PH_ARRAY_BODY(struct ph_suspect);

/* The largest first. The graph is measured. */
enum ph_status ph_suspects_find(struct ph_graph *graph, const struct ph_host *host,
                                struct ph_suspects *out, struct ph_error *err) PH_MUST_USE;
/* Append where the holder is, as Python if there is some, else as the names on the way to it. */
enum ph_status ph_suspect_path(struct ph_graph *graph, uint32_t id, const struct ph_host *host,
                               struct ph_str *out, struct ph_error *err) PH_MUST_USE;

#endif
