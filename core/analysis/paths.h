/*
 * Why an object is alive: the shortest ways to it from the roots, and between two objects, with
 * names and as Python expressions.
 */
#ifndef PH_ANALYSIS_PATHS_H
#define PH_ANALYSIS_PATHS_H

#include "graph/graph.h"

struct ph_path {
    uint32_t *ids; /* from the object that a root holds to the one asked about; owned */
    uint32_t length;
    /* What holds ids[0]: a named root, or (NULL) what `rooted` says: one of enum ph_rooted, or 0
     * where the path does not begin at a root. */
    const struct ph_root_reference *root;
    unsigned rooted;
};
struct ph_paths PH_ARRAY_BODY(struct ph_path);
void ph_paths_free(struct ph_paths *paths);

/* Up to `most` ways from roots to object id, the most telling first: those from locals of frames
 * and from the modules before those from the interpreter's inner state, these before those from
 * static, immortal and natively held objects, and the shorter before the longer. None begins at an
 * object that lies on one before it. Ways through an instance's class or a function's globals are
 * taken only where there is no other. */
enum ph_status ph_paths_to_roots(struct ph_graph *graph, uint32_t id, uint32_t most,
                                 const struct ph_host *host, struct ph_paths *out,
                                 struct ph_error *err) PH_MUST_USE;
/* The shortest way of references from one object to another; out is empty where there is none. */
enum ph_status ph_path_between(struct ph_graph *graph, uint32_t from, uint32_t to,
                               const struct ph_host *host, struct ph_paths *out,
                               struct ph_error *err) PH_MUST_USE;

/* The most telling of the named roots that hold an object; NULL where there is none. */
const struct ph_root_reference *ph_path_root(const struct ph_graph *graph, uint32_t id);
/* Whether a named root holds the object that users know: a local, the modules. */
bool ph_path_tells_root(const struct ph_graph *graph, uint32_t id);
/* Whether a reference tells little of why its target is alive: an instance's class, a function's
 * globals, what every frame refers to. */
bool ph_path_tells_little(const struct ph_graph *graph, uint32_t source, uint32_t target);
/* "frame", "state", "static", "immortal", "native" or "garbage"; "object" where it begins at one.
 */
const char *ph_path_root_kind(const struct ph_path *path);
/* Append "local rows in handler (app.py:12)", "sys.modules", "native code". */
void ph_path_root_label(struct ph_graph *graph, const struct ph_path *path, struct ph_str *out);
/* Append the name of step i, from the object before it: ".cache", "['key']". i > 0. */
void ph_path_label(struct ph_graph *graph, const struct ph_path *path, uint32_t i,
                   struct ph_str *out);

/* Append Python that, evaluated in the process, is the object at the path's end: it begins with
 * sys.modules or with a local of a running frame. False, and nothing of use in out, where there is
 * none that is certain to give it. */
bool ph_path_expression(struct ph_graph *graph, const struct ph_path *path,
                        struct ph_str *out) PH_MUST_USE;

#endif
