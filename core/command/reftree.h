/*
 * References as rows: a flat list, or a tree of several levels in which each object is opened once
 * ("seen above").
 */
#ifndef PH_COMMAND_REFTREE_H
#define PH_COMMAND_REFTREE_H

#include "analysis/references.h"
#include "command/session.h"

enum ph_direction { PH_REFERRERS, PH_REFERENTS };

/* Follow references from object id for `depth` levels and add them to the document as the table
 * `key`. At most `limit` of one object's references are followed and shown (0: all); *found is how
 * many object id itself has. */
enum ph_status ph_doc_reftree(struct ph_doc *doc, struct ph_heap *heap, uint32_t id,
                              enum ph_direction direction, uint64_t depth, uint64_t limit,
                              uint64_t summary_chars, const struct ph_host *host,
                              const struct ph_references *first, const char *key,
                              struct ph_error *err) PH_MUST_USE;

#endif
