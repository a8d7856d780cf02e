/*
 * Who holds each object, by a name that means the same at another stop and in another process: the
 * global or local that alone keeps it alive, or an attribute right below one.
 *
 *     app.CACHE   app.server.sessions   local rows in main (app.py)   <app.Job>.log   native <dict>
 *
 * The names follow the dominator tree from the root down. A module's global, a local of a frame, a
 * class, and an object that several hold (<TYPE>) begin a name; attributes lengthen it, and
 * whatever else lies below has the name of what is above. So a name depends on how the program is
 * built and not on how much there is.
 */
#ifndef PH_ANALYSIS_OWNERS_H
#define PH_ANALYSIS_OWNERS_H

#include "base/names.h"
#include "graph/graph.h"

struct ph_owners {
    struct ph_names names; /* visible text */
    uint32_t *of;          /* by object: its owner's name, or PH_NO_OBJECT */
};

/* The graph is measured. Linear in the objects, and in the references of those that names go
 * through. Freed by the caller. */
enum ph_status ph_owners_find(struct ph_graph *graph, const struct ph_host *host,
                              struct ph_owners *out, struct ph_error *err) PH_MUST_USE;
void ph_owners_free(struct ph_owners *owners); /* zeroed is fine */

#endif
