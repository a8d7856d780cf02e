/*
 * What grew between two snapshots: by type, by the place that allocated it, by its holder; and
 * which objects are new.
 *
 * Groups go by their names, so that snapshots of different processes can be compared. Objects go by
 * address, in snapshots of one process: one is new where the earlier snapshot has none at its
 * address, or one of another type, of another value that cannot change (identity.h), or allocated
 * at another place. One pass over both files.
 */
#ifndef PH_ANALYSIS_GROWTH_H
#define PH_ANALYSIS_GROWTH_H

#include "analysis/snapshot.h"

enum ph_growth_group {
    PH_GROWTH_BY_TYPE,
    PH_GROWTH_BY_LINE, /* that allocated, by tracemalloc: blocks and the bytes asked for */
    PH_GROWTH_BY_FILE,
    PH_GROWTH_BY_HOLDER,
};
enum ph_growth_order {
    PH_GROWTH_ORDER_D_BYTES,
    PH_GROWTH_ORDER_D_COUNT,
    PH_GROWTH_ORDER_BYTES,
    PH_GROWTH_ORDER_COUNT,
};

struct ph_growth_sum {
    uint64_t count, bytes;
};

struct ph_growth_row {
    const char *name; /* of the type, file or holder */
    uint32_t line;    /* by line */
    struct ph_growth_sum before, after;
    uint64_t created, gone; /* objects, where has_objects */
};

struct ph_growth_new {
    ph_addr address;
    uint32_t type, site; /* in the later snapshot */
    uint64_t bytes;
};

struct ph_growth {
    bool same_process;
    bool has_objects; /* objects were told apart: of one process, and not by site */
    PH_ARRAY(struct ph_growth_row) rows;    /* in order, those without any change too */
    struct ph_growth_row total;             /* name NULL */
    PH_ARRAY(struct ph_growth_new) objects; /* the new ones, the largest first; if asked for */
    struct ph_names names;                  /* of the rows */
};

struct ph_growth_question {
    enum ph_growth_group group;
    enum ph_growth_order order;
    const char *type_glob; /* NULL: all; else objects of these types, and their buffers */
    bool list_new;         /* of one process only */
};

/* Both are at their first object, and at their end afterwards. By site and by holder both have
 * these. Freed by the caller. */
enum ph_status ph_growth_measure(struct ph_saved *before, struct ph_saved *after,
                                 const struct ph_growth_question *question,
                                 const struct ph_host *host, struct ph_growth *out,
                                 struct ph_error *err) PH_MUST_USE;
/* Whether there is any difference in a row. */
bool ph_growth_has_changed(const struct ph_growth_row *row);
void ph_growth_free(struct ph_growth *growth);

#endif
