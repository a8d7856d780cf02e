#include "command/session.h"
#include "layout/described.h"
#include "runtime/python.h"

#include <stdlib.h>
#include <string.h>

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

/* ---- a user's file ---- */

static void write_types(struct ph_doc *doc, const char *path, const struct ph_decls *decls)
{
    uint32_t count = decls->types.count;
    ph_doc_text(doc, "file", NULL, path);
    ph_doc_array_begin(doc, "types");
    for (uint32_t i = 0; i < count; i++) {
        const struct ph_described *d = decls->types.items[i];
        ph_doc_object_begin(doc, NULL);
        ph_doc_text(doc, "type", NULL, d->glob);
        ph_doc_text(doc, "struct", NULL, d->struct_name);
        ph_doc_bytes(doc, "bytes", NULL, (uint64_t)d->in->size);
        ph_doc_object_end(doc);
        ph_doc_line(doc, "%s is a %s of %d bytes", d->glob, d->struct_name, (int)d->in->size);
    }
    ph_doc_array_end(doc);
    if (count == 0)
        ph_doc_line(doc, "%s describes no types", path);
}

/* FILE of "load FILE"; NULL where the operands are something else. */
static const char *file_to_load(const struct ph_invocation *inv)
{
    static const char word[] = "load ";
    const char *text = inv->operands[0].text;
    return strncmp(text, word, strlen(word)) == 0 ? text + strlen(word) : NULL;
}

static bool spares_target(const struct ph_invocation *inv)
{
    return inv->operand_count && file_to_load(inv);
}

static enum ph_status run_load(struct ph_session *s, const struct ph_invocation *inv,
                               struct ph_doc *doc, struct ph_error *err)
{
    const struct ph_decls *decls;
    const char *path = file_to_load(inv);
    if (!path)
        return ph_fail(err, PH_USAGE, "'layout' takes nothing or load FILE, not '%.60s'",
                       inv->operands[0].text);
    enum ph_status status = ph_session_load_layout(s, path, &decls, err);
    if (status)
        return status;
    if (ph_session_known_python(s))
        ph_doc_python(doc, ph_session_known_python(s));
    write_types(doc, path, decls);
    return PH_OK;
}

static enum ph_status run_layout(struct ph_session *s, const struct ph_invocation *inv,
                                 struct ph_doc *doc, struct ph_error *err)
{
    struct ph_python *python;
    if (inv->operand_count)
        return run_load(s, inv, doc, err);
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
    .operands_text = "[load FILE]",
    .brief = "where the places of fields come from; more types",
    .help = "List each field of CPython's structs that is read, its place in this interpreter, and "
            "what told it.\n\n"
            "table: the declarations of this version. debug-offsets: the interpreter itself, from "
            "3.13 on. moved: the declarations, moved as far as what the debug offsets give before "
            "it. Names that versions give to one thing stand with a bar between them.\n\n"
            "layout load FILE reads a file that describes types of extension modules: where "
            "their buffers and references are. It is kept until the debugger ends; on the command "
            "line, and with any command, --layout FILE does the same.",
    .operands = PH_OPERANDS_TEXT_OPTIONAL,
    .options = 0,
    .spares_target = spares_target,
    .run = run_layout,
};
