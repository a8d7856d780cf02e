/*
 * Results on their way to the user: a command builds one document, and it is written as text for
 * people or as one JSON document for programs. Commands say what things are (an address, bytes, a
 * count, a type name); how that looks is decided here, once.
 *
 *     ph_doc_addr(doc, "address", "Address", object);
 *     ph_doc_bytes(doc, "bytes", "Size", 72);
 *     ph_doc_table(doc, &(struct ph_table){.key = "types", .columns = columns, ...});
 *     ph_doc_line(doc, "20 of %s types; --limit 0 for all", ...);
 *
 * A scalar has a JSON key and a label for the text; a NULL key keeps it out of JSON, a NULL label
 * out of the text. In an array a scalar with neither is an element. Objects and arrays nest in
 * JSON; in the text they only group, and labels that follow each other are aligned. Strings are
 * UTF-8 that was made visible (ph_str_append_visible) before; they are copied. The document is
 * built in memory, but the rows of a table are produced while it is written, so a table may have
 * millions.
 */
#ifndef PH_RENDER_DOC_H
#define PH_RENDER_DOC_H

#include "base/error.h"

#include <stdio.h>

struct ph_doc; /* created by ph_doc_create(), freed by ph_doc_destroy() */

struct ph_doc *ph_doc_create(void);
void ph_doc_destroy(struct ph_doc *doc);      /* NULL is fine */
bool ph_doc_failed(const struct ph_doc *doc); /* memory ran out while building */

void ph_doc_object_begin(struct ph_doc *doc, const char *key); /* key NULL inside an array */
void ph_doc_object_end(struct ph_doc *doc);
void ph_doc_array_begin(struct ph_doc *doc, const char *key);
void ph_doc_array_end(struct ph_doc *doc);

void ph_doc_text(struct ph_doc *doc, const char *key, const char *label, const char *text);
void ph_doc_addr(struct ph_doc *doc, const char *key, const char *label, ph_addr address);
void ph_doc_bytes(struct ph_doc *doc, const char *key, const char *label, uint64_t bytes);
void ph_doc_count(struct ph_doc *doc, const char *key, const char *label, int64_t count);
void ph_doc_bool(struct ph_doc *doc, const char *key, const char *label, bool value);
void ph_doc_share(struct ph_doc *doc, const char *key, const char *label, double share);
void ph_doc_null(struct ph_doc *doc, const char *key, const char *label); /* text: "unknown" */
/* A line that only the text shows. An empty format gives an empty line. */
void ph_doc_line(struct ph_doc *doc, const char *format, ...) PH_PRINTF(2, 3);

enum ph_value_kind {
    PH_VALUE_NONE, /* JSON: key left out; text: blank */
    PH_VALUE_NULL, /* JSON: null; text: "-" */
    PH_VALUE_TEXT,
    PH_VALUE_ADDR,  /* "0x..." in both */
    PH_VALUE_BYTES, /* JSON: integer; text: human (12.3 MiB) or exact, as the column says */
    PH_VALUE_COUNT, /* JSON: integer; text: with thousands separators */
    PH_VALUE_BOOL,
    PH_VALUE_SHARE,      /* of a whole. JSON: 0 to 1; text: percent */
    PH_VALUE_MORE_BYTES, /* what bytes and counts changed by. JSON: integer; text: with a sign */
    PH_VALUE_MORE_COUNT,
    PH_VALUE_COUNTS, /* JSON: an array of integers; text: how many there are */
    PH_VALUE_TEXTS,  /* JSON: an array of strings; text: how many there are */
};

struct ph_value {
    enum ph_value_kind kind;
    union {
        const char *text; /* valid until the next row is asked for */
        ph_addr addr;
        uint64_t bytes;
        int64_t count;
        bool boolean;
        double share;
        struct {
            const int64_t *items; /* valid until the next row is asked for */
            size_t count;
        } counts;
        struct {
            const char *const *items; /* likewise */
            size_t count;
        } texts;
    } as;
};

static inline struct ph_value ph_value_text(const char *text)
{
    return (struct ph_value){PH_VALUE_TEXT, {.text = text}};
}
static inline struct ph_value ph_value_addr(ph_addr addr)
{
    return (struct ph_value){PH_VALUE_ADDR, {.addr = addr}};
}
static inline struct ph_value ph_value_bytes(uint64_t bytes)
{
    return (struct ph_value){PH_VALUE_BYTES, {.bytes = bytes}};
}
static inline struct ph_value ph_value_count(int64_t count)
{
    return (struct ph_value){PH_VALUE_COUNT, {.count = count}};
}
static inline struct ph_value ph_value_bool(bool boolean)
{
    return (struct ph_value){PH_VALUE_BOOL, {.boolean = boolean}};
}
static inline struct ph_value ph_value_share(double share)
{
    return (struct ph_value){PH_VALUE_SHARE, {.share = share}};
}
static inline struct ph_value ph_value_more_bytes(int64_t bytes)
{
    return (struct ph_value){PH_VALUE_MORE_BYTES, {.count = bytes}};
}
static inline struct ph_value ph_value_more_count(int64_t count)
{
    return (struct ph_value){PH_VALUE_MORE_COUNT, {.count = count}};
}
static inline struct ph_value ph_value_counts(const int64_t *items, size_t count)
{
    return (struct ph_value){PH_VALUE_COUNTS, {.counts = {items, count}}};
}
static inline struct ph_value ph_value_texts(const char *const *items, size_t count)
{
    return (struct ph_value){PH_VALUE_TEXTS, {.texts = {items, count}}};
}
static inline struct ph_value ph_value_null(void)
{
    return (struct ph_value){PH_VALUE_NULL, {.text = NULL}};
}

enum ph_column_flags {
    PH_COLUMN_JSON_ONLY = 1, /* not in the text */
    PH_COLUMN_TEXT_ONLY = 2, /* not in the JSON */
    PH_COLUMN_EXACT = 4,     /* bytes in full in the text: 1,234,567 rather than 1.2 MiB */
    PH_COLUMN_LAST = 8,      /* free text at the end of a line: not padded, cut at 200 columns */
    PH_COLUMN_TREE = 16,     /* indented by the row's depth in the text */
};

struct ph_column {
    const char *key;    /* JSON */
    const char *header; /* text; upper case by custom: "COUNT" */
    unsigned flags;     /* enum ph_column_flags */
};

struct ph_table {
    const char *key; /* JSON: the array's name; NULL: only in the text */
    const struct ph_column *columns;
    size_t column_count;
    uint64_t row_count;
    /* Produce row i: fill values[column_count] (zeroed before) and return the row's depth, 0 for a
     * flat table. In JSON a row of depth d + 1 becomes an element of the array `children_key` of
     * the row of depth d above it. Called in ascending order, twice over (text measures columns
     * first). */
    unsigned (*row)(void *ctx, uint64_t i, struct ph_value *values);
    void *ctx;
    void (*free_ctx)(void *ctx); /* called when the document is destroyed; may be NULL */
    const char *children_key;    /* may be NULL: then the depth shows in the text only */
    unsigned flags;              /* enum ph_table_flags */
};

enum ph_table_flags {
    PH_TABLE_NO_HEADER = 1, /* no header line in the text */
    PH_TABLE_JSON_ONLY = 4, /* not in the text */
    PH_TABLE_BARE = 2,      /* nothing but the first column, one a line, unpadded (for piping) */
};

void ph_doc_table(struct ph_doc *doc,
                  const struct ph_table *table); /* copied, its columns borrowed */

/* Write the document. Return false when out failed. */
bool ph_doc_write_text(const struct ph_doc *doc, FILE *out);
bool ph_doc_write_json(const struct ph_doc *doc, FILE *out);

/* "1,234,567" and "1.2 MiB" into buf, which is returned; shared with sentences that commands write.
 */
const char *ph_format_count(char buf[32], int64_t count);
/* What a word gets behind so many: "s", or "" behind one. */
const char *ph_plural(uint64_t count);
const char *ph_format_bytes(char buf[32], uint64_t bytes);
/* What they changed by, with a sign: "+1,234", "-1.2 MiB"; "0" has none. */
const char *ph_format_more_count(char buf[32], int64_t count);
const char *ph_format_more_bytes(char buf[32], int64_t bytes);

#endif
