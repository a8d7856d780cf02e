/*
 * What commands ask of a session: the interpreter, the snapshot, and the keys that every document
 * has.
 */
#ifndef PH_COMMAND_SESSION_H
#define PH_COMMAND_SESSION_H

#include "command/command.h"
#include "graph/graph.h"
#include "render/doc.h"

/* The interpreter, opened if need be; the snapshot, built if need be. Both stay the session's and
 * are valid until the target runs or ph_session_drop(). */
enum ph_status ph_session_python(struct ph_session *s, struct ph_python **python,
                                 struct ph_error *err) PH_MUST_USE;
enum ph_status ph_session_heap(struct ph_session *s, struct ph_heap **heap,
                               struct ph_error *err) PH_MUST_USE;
/* The same; a snapshot that is built notes who refers to the object at an address, for
 * ph_referrers_find() is asked next. */
enum ph_status ph_session_heap_watching(struct ph_session *s, ph_addr address,
                                        struct ph_heap **heap, struct ph_error *err) PH_MUST_USE;
/* The snapshot with all sizes, and what is allocated for each object (ph_heap_measure()). */
enum ph_status ph_session_heap_measured(struct ph_session *s, struct ph_heap **heap,
                                        struct ph_error *err) PH_MUST_USE;
/* The graph of the snapshot, built if need be; with `measured`, its dominators and retained sizes
 * too. A command that needs it asks for it first, and takes graph->heap for the snapshot: each call
 * of these functions may find that the target has run, and begin anew. */
enum ph_status ph_session_graph(struct ph_session *s, bool measured, struct ph_graph **graph,
                                struct ph_error *err) PH_MUST_USE;
/* The outcome of what was done with the target; where the target has ended or run meanwhile, that
 * is the error, whatever the outcome was. See ph_target_check_still(). */
enum ph_status ph_session_check_still(struct ph_session *s, enum ph_status status,
                                      struct ph_error *err) PH_MUST_USE;
/* Read a file that describes types of extension modules (layout/described.h) and keep it for the
 * session; the snapshot goes, unless that very text is there already. What was loaded last goes
 * first. *decls is what the file declares, valid until the next call. */
struct ph_decls;
enum ph_status ph_session_load_layout(struct ph_session *s, const char *path,
                                      const struct ph_decls **decls,
                                      struct ph_error *err) PH_MUST_USE;
/* The interpreter if it was looked for already, else NULL. */
const struct ph_python *ph_session_known_python(const struct ph_session *s);
const struct ph_host *ph_session_host(const struct ph_session *s);

/* "python": {"version", "build"}. */
void ph_doc_python(struct ph_doc *doc, const struct ph_python *python);
void ph_doc_python_words(struct ph_doc *doc, const char *version, unsigned build, bool untested);
/* "skipped": what was passed over, as JSON and as one line each; nothing where all was read. Last
 * in a document. */
void ph_doc_skipped(struct ph_doc *doc, const struct ph_heap *heap);
/* The same, with what the command itself passed over. */
void ph_doc_skipped_with(struct ph_doc *doc, const struct ph_heap *heap, const char *what,
                         uint64_t count);

/* Text that has to live as long as the document's tables: the words of one row. */
struct ph_row_text {
    struct ph_str a, b;
};
void ph_row_text_free(struct ph_row_text *text);

/* The object that operand i names; PH_NOT_FOUND with a line that says what is there instead. */
enum ph_status ph_operand_object(struct ph_heap *heap, const struct ph_invocation *inv, size_t i,
                                 uint32_t *id, struct ph_error *err) PH_MUST_USE;
/* The number of rows to show of `count`, by --limit (0: all) and a default. */
uint64_t ph_rows_shown(const struct ph_invocation *inv, uint64_t count);
/* "20 of 5,344 THINGS; --limit 0 for all", where rows were left out. */
void ph_doc_rows_footer(struct ph_doc *doc, uint64_t shown, uint64_t count, const char *things);
/* "the last 3 of 44 objects" or "20 of 44 objects; --offset 20 for the next, --limit 0 for all",
 * where the page is not all. */
void ph_doc_page_footer(struct ph_doc *doc, uint64_t offset, uint64_t shown, uint64_t count,
                        const char *things);

/* --scope, --type, --gen, --min-bytes and --max-bytes as a filter; and the snapshot too, which is
 * not built for options that are mistaken. */
struct ph_filter;
enum ph_status ph_filter_from_options(const struct ph_options *options, struct ph_filter *filter,
                                      struct ph_error *err) PH_MUST_USE;
enum ph_status ph_session_heap_filtered(struct ph_session *s, const struct ph_options *options,
                                        struct ph_filter *filter, struct ph_heap **heap,
                                        struct ph_error *err) PH_MUST_USE;

#endif
