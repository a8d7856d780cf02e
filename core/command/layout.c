#include "command/session.h"
#include "runtime/python.h"

#include <stdlib.h>

/* A copy of the layout, for the rows outlive the session's, and the entries that it has. */
struct placed_fields {
    struct ph_layout layout;
    uint32_t count, absent;
    uint32_t entries[PH_LAYOUT_ENTRIES];
};

static const char *source_name(enum ph_layout_source source)
{
    switch (source) {
    case PH_SOURCE_DEBUG_OFFSETS:
        return "debug-offsets";
    case PH_SOURCE_MOVED:
        return "moved";
    case PH_SOURCE_TABLE:
        break;
    }
    return "table";
}

static void collect_fields(struct placed_fields *fields)
{
    for (uint32_t i = 0; i < ph_layout_entry_count(); i++) {
        struct ph_layout_entry entry = ph_layout_entry(&fields->layout, i);
        if (!entry.field)
            continue;
        if (ph_has(entry.value))
            fields->entries[fields->count++] = i;
        else
            fields->absent++;
    }
}

static unsigned field_row(void *ctx, uint64_t i, struct ph_value *values)
{
    const struct placed_fields *fields = ctx;
    struct ph_layout_entry entry = ph_layout_entry(&fields->layout, fields->entries[i]);
    values[0] = ph_value_text(entry.ctype);
    values[1] = ph_value_text(entry.field);
    values[2] = ph_value_count(entry.value);
    values[3] = ph_value_text(source_name(entry.source));
    return 0;
}

static const struct ph_column columns[] = {
    {"struct", "STRUCT", 0},
    {"field", "FIELD", 0},
    {"offset", "OFFSET", 0},
    {"source", "SOURCE", PH_COLUMN_LAST},
};

static void write_fields(struct ph_doc *doc, const struct ph_invocation *inv,
                         struct placed_fields *fields)
{
    uint64_t shown = ph_rows_shown(inv, fields->count);
    ph_doc_count(doc, "placed", NULL, fields->count);
    ph_doc_count(doc, "absent", NULL, fields->absent);
    ph_doc_table(doc, &(struct ph_table){
                          .key = "fields",
                          .columns = columns,
                          .column_count = sizeof columns / sizeof *columns,
                          .row_count = shown,
                          .row = field_row,
                          .ctx = fields,
                          .free_ctx = free,
                      });
    ph_doc_line(doc, "%s", "");
    ph_doc_rows_footer(doc, shown, fields->count, "fields");
    ph_doc_line(doc, "%u fields of other versions are absent in this one", fields->absent);
}

static enum ph_status run_layout(struct ph_session *s, const struct ph_invocation *inv,
                                 struct ph_doc *doc, struct ph_error *err)
{
    struct ph_python *python;
    enum ph_status status = ph_session_python(s, &python, err);
    if (status)
        return status;
    struct placed_fields *fields = ph_calloc(1, sizeof *fields);
    if (!fields)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    fields->layout = python->layout;
    collect_fields(fields);
    ph_doc_python(doc, python);
    write_fields(doc, inv, fields);
    return PH_OK;
}

const struct ph_command ph_command_layout = {
    .name = "layout",
    .operands_text = "",
    .brief = "where the places of fields come from",
    .help = "List each field of CPython's structs that is read, its place in this interpreter, and "
            "what told it.\n\n"
            "table: the declarations of this version. debug-offsets: the interpreter itself, from "
            "3.13 on. moved: the declarations, moved as far as what the debug offsets give before "
            "it. Names that versions give to one thing stand with a bar between them.",
    .operands = PH_OPERANDS_NONE,
    .options = 0,
    .run = run_layout,
};
