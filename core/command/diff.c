#include "analysis/growth.h"
#include "command/output.h"
#include "command/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SUMMARY_CHARS = 60 };

/* ---- the question ---- */

/* In the order of enum ph_growth_order. */
static const char *const sort_keys[] = {"d_bytes", "d_count", "bytes", "count", NULL};

static const struct {
    const char *word;
    enum ph_growth_group group;
} group_words[] = {
    {"type", PH_GROWTH_BY_TYPE},     {"lineno", PH_GROWTH_BY_LINE}, {"filename", PH_GROWTH_BY_FILE},
    {"holder", PH_GROWTH_BY_HOLDER}, {"site", PH_GROWTH_BY_LINE},
};

/* By group: the key of the rows, and what they are called. */
static const struct {
    const char *key, *things;
} group_things[] = {
    [PH_GROWTH_BY_TYPE] = {"types", "types"},
    [PH_GROWTH_BY_LINE] = {"sites", "lines"},
    [PH_GROWTH_BY_FILE] = {"sites", "files"},
    [PH_GROWTH_BY_HOLDER] = {"holders", "holders"},
};

static struct ph_growth_question question_of(const struct ph_options *options)
{
    struct ph_growth_question q = {.type_glob = options->type, .list_new = options->new_objects};
    for (size_t i = 0; options->group_growth && i < sizeof group_words / sizeof *group_words; i++) {
        if (strcmp(options->group_growth, group_words[i].word) == 0)
            q.group = group_words[i].group;
    }
    for (size_t i = 0; options->sort && sort_keys[i]; i++) {
        if (strcmp(options->sort, sort_keys[i]) == 0)
            q.order = (enum ph_growth_order)i;
    }
    return q;
}

static bool is_by_site(enum ph_growth_group group)
{
    return group == PH_GROWTH_BY_LINE || group == PH_GROWTH_BY_FILE;
}

static enum ph_status check_options(const struct ph_options *options, struct ph_error *err)
{
    const uint64_t of_groups = PH_TAKES(group_growth) | PH_TAKES(sort);
    const uint64_t of_new = PH_TAKES(addresses) | PH_TAKES(offset) | PH_TAKES(length);
    if (options->new_objects && (options->given & of_groups))
        return ph_fail(err, PH_USAGE, "--new lists objects; --group-by and --sort are for sums");
    if (!options->new_objects && (options->given & of_new))
        return ph_fail(err, PH_USAGE, "--addresses, --offset and --length go with --new");
    return PH_OK;
}

/* ---- the two snapshots ---- */

/* The document has it until it is written. */
struct answer {
    struct ph_heap *heap; /* of what is compared with FILE now; NULL where that is FILE2 */
    struct ph_growth_question question;
    struct ph_saved before, after;
    FILE *files[2];
    struct ph_growth growth;
    PH_ARRAY(uint32_t) changed; /* rows of the growth, for the text */
    uint64_t offset, summary_chars;
    struct ph_column columns[8];
    struct ph_str text, summary;
};

static void free_answer(void *ctx)
{
    struct answer *a = ctx;
    ph_growth_free(&a->growth);
    ph_array_free(&a->changed);
    ph_saved_free(&a->before);
    ph_saved_free(&a->after);
    for (int i = 0; i < 2; i++) {
        if (a->files[i])
            fclose(a->files[i]);
    }
    ph_str_free(&a->text);
    ph_str_free(&a->summary);
    free(a);
}

static enum ph_status open_file(const char *typed, FILE **file, struct ph_saved *saved,
                                struct ph_error *err)
{
    struct ph_str path = {0};
    enum ph_status status = PH_OK;
    ph_str_append_path(&path, typed);
    *file = fopen(ph_str_text(&path), "re");
    if (!*file)
        status = ph_fail(err, PH_FAILED, "cannot read %.100s: %s", typed, strerror(errno));
    ph_str_free(&path);
    return status ? status : ph_saved_open(*file, typed, saved, err);
}

/* What is there now, as if it had been saved: in a file that has no name and lies in memory. */
static enum ph_status open_now(struct ph_session *s, struct answer *a, struct ph_error *err)
{
    struct ph_graph *graph = NULL;
    enum ph_status status = a->question.group == PH_GROWTH_BY_HOLDER
                                ? ph_session_graph(s, true, &graph, err)
                                : ph_session_heap_measured(s, &a->heap, err);
    if (status)
        return status;
    if (graph)
        a->heap = graph->heap;
    int fd = memfd_create("py-heap now", MFD_CLOEXEC);
    FILE *file = a->files[1] = fd < 0 ? NULL : fdopen(fd, "w+");
    if (!file) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        return ph_fail(err, PH_FAILED, "cannot keep what is there now: %s", strerror(error));
    }
    status = ph_snapshot_write(a->heap, graph, (int64_t)time(NULL), ph_session_host(s), file, err);
    if (!status && (fflush(file) || ferror(file) || fseek(file, 0, SEEK_SET)))
        status = ph_fail(err, PH_FAILED, "cannot keep what is there now: %s", strerror(errno));
    return status ? status : ph_saved_open(file, "the process", &a->after, err);
}

static enum ph_status open_both(struct ph_session *s, const struct ph_invocation *inv,
                                struct answer *a, struct ph_error *err)
{
    enum ph_status status = open_file(inv->operands[0].text, &a->files[0], &a->before, err);
    if (status)
        return status;
    return inv->operand_count > 1 ? open_file(inv->operands[1].text, &a->files[1], &a->after, err)
                                  : open_now(s, a, err);
}

/* ---- what both were ---- */

static void append_time(int64_t seconds, struct ph_str *out)
{
    struct tm tm;
    char text[32];
    time_t when = (time_t)seconds;
    if (gmtime_r(&when, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm))
        ph_str_append(out, text);
    else
        ph_str_append(out, "at an unknown time");
}

/* file: NULL for what is there now, whose time is no part of the answer. */
static void write_process(struct ph_doc *doc, const char *key, const char *file,
                          const struct ph_saved_process *p)
{
    static const char *const kinds[] = {"live", "core", "remote"};
    ph_doc_object_begin(doc, key);
    if (file) {
        ph_doc_text(doc, "file", NULL, file);
        ph_doc_count(doc, "saved", NULL, p->saved_at);
    } else {
        ph_doc_null(doc, "file", NULL);
    }
    ph_doc_text(doc, "kind", NULL, kinds[p->kind]);
    ph_doc_count(doc, "pid", NULL, p->pid);
    ph_doc_text(doc, "path", NULL, p->path);
    ph_doc_python_words(doc, p->version, p->build, p->untested);
    ph_doc_object_end(doc);
}

/* "before.snapshot, saved 2026-01-31 12:00:00 UTC" */
static void append_file(const char *file, const struct ph_saved_process *p, struct ph_str *out)
{
    ph_str_append_visible(out, file, strlen(file));
    ph_str_append(out, ", saved ");
    append_time(p->saved_at, out);
}

static void write_both(struct ph_doc *doc, struct answer *a, const struct ph_invocation *inv)
{
    const struct ph_saved_process *before = &a->before.process, *after = &a->after.process;
    const char *file = inv->operands[0].text, *file2 = a->heap ? NULL : inv->operands[1].text;
    bool same = ph_saved_same_process(before, after);
    write_process(doc, "before", file, before);
    write_process(doc, "after", file2, after);
    ph_doc_bool(doc, "same_process", NULL, same);
    if (inv->options.addresses)
        return;
    ph_str_clear(&a->text);
    ph_str_append(&a->text, file2 ? "From " : "Since ");
    append_file(file, before, &a->text);
    if (file2) {
        ph_str_append(&a->text, ", to ");
        append_file(file2, after, &a->text);
    }
    ph_doc_line(doc, "%s", ph_str_text(&a->text));
    if (!same)
        ph_doc_line(doc, "They are not the same process, so that no object is the same in both.");
    ph_doc_line(doc, "%s", "");
}

/* ---- sums ---- */

static int64_t grown(uint64_t before, uint64_t after)
{
    return (int64_t)(after - before);
}

static void fill_row(struct answer *a, const struct ph_growth_row *r, struct ph_value *values)
{
    bool by_line = a->question.group == PH_GROWTH_BY_LINE;
    unsigned n = 0;
    values[n++] = ph_value_count((int64_t)r->after.count);
    values[n++] = ph_value_more_count(grown(r->before.count, r->after.count));
    values[n++] = ph_value_bytes(r->after.bytes);
    values[n++] = ph_value_more_bytes(grown(r->before.bytes, r->after.bytes));
    if (is_by_site(a->question.group)) {
        ph_str_clear(&a->text);
        ph_str_append(&a->text, r->name);
        if (by_line)
            ph_str_appendf(&a->text, ":%" PRIu32, r->line);
        values[n++] = ph_value_text(r->name);
        values[n++] = by_line ? ph_value_count(r->line) : ph_value_null();
        values[n] = ph_value_text(ph_str_text(&a->text));
        return;
    }
    if (a->growth.has_objects) {
        values[n++] = ph_value_count((int64_t)r->created);
        values[n++] = ph_value_count((int64_t)r->gone);
    }
    values[n] = ph_value_text(r->name);
}

static unsigned sum_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct answer *a = ctx;
    fill_row(a, &a->growth.rows.items[i], values);
    return 0;
}

static unsigned changed_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct answer *a = ctx;
    fill_row(a, &a->growth.rows.items[a->changed.items[i]], values);
    return 0;
}

/* The columns that the group has; how many. */
static size_t choose_columns(struct answer *a)
{
    bool by_site = is_by_site(a->question.group);
    size_t n = 0;
    a->columns[n++] = (struct ph_column){"count", by_site ? "BLOCKS" : "COUNT", 0};
    a->columns[n++] = (struct ph_column){"d_count", "+/-", 0};
    a->columns[n++] = (struct ph_column){"bytes", "BYTES", 0};
    a->columns[n++] = (struct ph_column){"d_bytes", "+/-", 0};
    if (by_site) {
        a->columns[n++] = (struct ph_column){"file", "", PH_COLUMN_JSON_ONLY};
        a->columns[n++] = (struct ph_column){"line", "", PH_COLUMN_JSON_ONLY};
        a->columns[n++] =
            (struct ph_column){"site", "ALLOCATED AT", PH_COLUMN_TEXT_ONLY | PH_COLUMN_LAST};
        return n;
    }
    if (a->growth.has_objects) {
        a->columns[n++] = (struct ph_column){"new", "NEW", 0};
        a->columns[n++] = (struct ph_column){"gone", "GONE", 0};
    }
    a->columns[n++] = a->question.group == PH_GROWTH_BY_HOLDER
                          ? (struct ph_column){"holder", "HELD BY", PH_COLUMN_LAST}
                          : (struct ph_column){"type", "TYPE", PH_COLUMN_LAST};
    return n;
}

static void write_total(struct ph_doc *doc, const struct answer *a)
{
    char count[32], more_count[32], bytes[32], more_bytes[32], created[32], gone[32];
    const struct ph_growth_row *total = &a->growth.total;
    int64_t d_count = grown(total->before.count, total->after.count);
    int64_t d_bytes = grown(total->before.bytes, total->after.bytes);
    ph_doc_object_begin(doc, "total");
    ph_doc_count(doc, group_things[a->question.group].key, NULL, a->growth.rows.count);
    ph_doc_count(doc, "count", NULL, (int64_t)total->after.count);
    ph_doc_count(doc, "d_count", NULL, d_count);
    ph_doc_bytes(doc, "bytes", NULL, total->after.bytes);
    ph_doc_count(doc, "d_bytes", NULL, d_bytes);
    if (a->growth.has_objects) {
        ph_doc_count(doc, "new", NULL, (int64_t)total->created);
        ph_doc_count(doc, "gone", NULL, (int64_t)total->gone);
    }
    ph_doc_object_end(doc);
    ph_format_more_count(more_count, d_count);
    ph_format_more_bytes(more_bytes, d_bytes);
    ph_format_count(count, (int64_t)total->after.count);
    ph_format_bytes(bytes, total->after.bytes);
    const char *things = is_by_site(a->question.group) ? "blocks" : "objects";
    if (a->growth.has_objects)
        ph_doc_line(doc, "%s %s (%s), %s (%s); %s new, %s gone", count, things, more_count, bytes,
                    more_bytes, ph_format_count(created, (int64_t)total->created),
                    ph_format_count(gone, (int64_t)total->gone));
    else
        ph_doc_line(doc, "%s %s (%s), %s (%s)", count, things, more_count, bytes, more_bytes);
}

static bool find_changed(struct answer *a)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < a->growth.rows.count; i++)
        ok = !ph_growth_has_changed(&a->growth.rows.items[i]) || ph_array_push(&a->changed, i);
    return ok;
}

/* The rows: all in JSON, and in the text those that changed. */
static void write_sums(struct ph_doc *doc, struct answer *a, const struct ph_invocation *inv)
{
    uint64_t shown = ph_rows_shown(inv, a->changed.count);
    struct ph_table table = {
        .key = group_things[a->question.group].key,
        .columns = a->columns,
        .column_count = choose_columns(a),
        .row_count = ph_rows_shown(inv, a->growth.rows.count),
        .row = sum_row,
        .ctx = a,
        .flags = PH_TABLE_JSON_ONLY,
    };
    ph_doc_text(doc, "group_by", NULL, group_words[a->question.group].word);
    ph_doc_table(doc, &table);
    table.key = NULL;
    table.row_count = shown;
    table.row = changed_row;
    table.free_ctx = free_answer;
    table.flags = shown ? 0 : PH_TABLE_NO_HEADER;
    ph_doc_table(doc, &table);
    ph_doc_line(doc, "%s", shown ? "" : "Nothing changed.");
    write_total(doc, a);
    ph_doc_rows_footer(doc, shown, a->changed.count, group_things[a->question.group].things);
}

/* ---- new objects ---- */

static unsigned new_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct answer *a = ctx;
    const struct ph_growth_new *o = &a->growth.objects.items[a->offset + i];
    const struct ph_saved_site *site =
        o->site == PH_NO_PLACE ? NULL : &a->after.sites.items[o->site];
    unsigned n = 0;
    values[n++] = ph_value_addr(o->address);
    values[n++] = ph_value_bytes(o->bytes);
    values[n++] = ph_value_text(a->after.types.items[o->type].name);
    if (a->after.process.has_sites) {
        ph_str_clear(&a->text);
        if (site)
            ph_str_appendf(&a->text, "%s:%" PRIu32, site->file, site->line);
        values[n++] = site ? ph_value_text(site->file) : ph_value_null();
        values[n++] = site ? ph_value_count(site->line) : ph_value_null();
        values[n++] = ph_value_text(site ? ph_str_text(&a->text) : "-");
    }
    if (a->heap) {
        uint32_t id = ph_heap_find(a->heap, o->address);
        ph_str_clear(&a->summary);
        if (id != PH_NO_OBJECT)
            ph_heap_summary(a->heap, id, a->summary_chars, &a->summary);
        values[n] = ph_value_text(ph_str_text(&a->summary));
    }
    return 0;
}

static size_t choose_new_columns(struct answer *a)
{
    size_t n = 0;
    a->columns[n++] = (struct ph_column){"address", "ADDRESS", 0};
    a->columns[n++] = (struct ph_column){"bytes", "BYTES", PH_COLUMN_EXACT};
    a->columns[n++] = (struct ph_column){"type", "TYPE", 0};
    if (a->after.process.has_sites) {
        a->columns[n++] = (struct ph_column){"file", "", PH_COLUMN_JSON_ONLY};
        a->columns[n++] = (struct ph_column){"line", "", PH_COLUMN_JSON_ONLY};
        a->columns[n++] = (struct ph_column){"site", "ALLOCATED AT", PH_COLUMN_TEXT_ONLY};
    }
    if (a->heap)
        a->columns[n++] = (struct ph_column){"summary", "SUMMARY", PH_COLUMN_LAST};
    return n;
}

static void write_new(struct ph_doc *doc, struct answer *a, const struct ph_invocation *inv)
{
    uint64_t count = a->growth.objects.count, left = count > a->offset ? count - a->offset : 0;
    uint64_t shown = ph_rows_shown(inv, left);
    bool bare = inv->options.addresses;
    ph_doc_count(doc, "matched", NULL, (int64_t)count);
    ph_doc_table(doc, &(struct ph_table){
                          .key = "objects",
                          .columns = a->columns,
                          .column_count = choose_new_columns(a),
                          .row_count = shown,
                          .row = new_row,
                          .ctx = a,
                          .free_ctx = free_answer,
                          .flags = bare    ? PH_TABLE_BARE
                                   : count ? 0
                                           : PH_TABLE_NO_HEADER,
                      });
    if (!bare && !count)
        ph_doc_line(doc, "No object is new.");
    if (!bare)
        ph_doc_page_footer(doc, a->offset, shown, count, "objects");
}

/* ---- the command ---- */

/* Why the group cannot be told: what one of the snapshots lacks; NULL where it can. */
static const char *lacks(const struct answer *a)
{
    const struct ph_saved_process *before = &a->before.process, *after = &a->after.process;
    if (is_by_site(a->question.group) && !before->has_sites)
        return "tracemalloc was off when the first snapshot was saved, so nothing recorded where "
               "memory was allocated; start the program with -X tracemalloc";
    if (is_by_site(a->question.group) && !after->has_sites)
        return "tracemalloc was off in the second of the two, so nothing recorded where memory was "
               "allocated; start the program with -X tracemalloc";
    if (a->question.group == PH_GROWTH_BY_HOLDER && (!before->has_holders || !after->has_holders))
        return "a snapshot was saved with --no-holders; save it without";
    return NULL;
}

static enum ph_status measure(struct answer *a, const struct ph_host *host, struct ph_error *err)
{
    if (a->question.list_new && !ph_saved_same_process(&a->before.process, &a->after.process))
        return ph_fail(err, PH_FAILED,
                       "--new compares addresses, and these are not the same process; compare "
                       "them by type, site or holder");
    enum ph_status status =
        ph_growth_measure(&a->before, &a->after, &a->question, host, &a->growth, err);
    if (!status && !find_changed(a))
        status = ph_fail(err, PH_NO_MEMORY, "out of memory");
    return status;
}

/* Once the tables are in the document it has the answer; *kept says so. */
static enum ph_status answer_from(struct ph_doc *doc, struct answer *a,
                                  const struct ph_invocation *inv, const struct ph_host *host,
                                  bool *kept, struct ph_error *err)
{
    const struct ph_saved_process *after = &a->after.process;
    const char *reason = lacks(a);
    enum ph_status status = reason ? PH_OK : measure(a, host, err);
    if (status)
        return status;
    ph_doc_python_words(doc, after->version, after->build, after->untested);
    write_both(doc, a, inv);
    if (reason) {
        ph_doc_null(doc, group_things[a->question.group].key, NULL);
        ph_doc_text(doc, "reason", NULL, reason);
        ph_doc_line(doc, "No answer: %s.", reason);
        return PH_OK;
    }
    *kept = true;
    if (a->question.list_new)
        write_new(doc, a, inv);
    else
        write_sums(doc, a, inv);
    return PH_OK;
}

static enum ph_status run_diff(struct ph_session *s, const struct ph_invocation *inv,
                               struct ph_doc *doc, struct ph_error *err)
{
    bool kept = false;
    enum ph_status status = check_options(&inv->options, err);
    if (status)
        return status;
    struct answer *a = ph_calloc(1, sizeof *a);
    if (!a)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    a->question = question_of(&inv->options);
    a->offset = inv->options.offset;
    a->summary_chars = inv->options.given & PH_TAKES(length) ? inv->options.length : SUMMARY_CHARS;
    status = open_both(s, inv, a, err);
    if (!status)
        status = answer_from(doc, a, inv, ph_session_host(s), &kept, err);
    if (!status && a->heap && !inv->options.addresses)
        ph_doc_skipped(doc, a->heap);
    if (!kept)
        free_answer(a);
    return status;
}

/* Two files are compared by themselves. */
static bool spares_target(const struct ph_invocation *inv)
{
    return inv->operand_count > 1;
}

const struct ph_command ph_command_diff = {
    .name = "diff",
    .operands_text = "FILE [FILE2]",
    .brief = "what has grown since a snapshot was saved",
    .help =
        "Compare the heap now with the snapshot in FILE (see `save`), or the snapshot in FILE2 "
        "with that in FILE: the largest growth first. +/- is the change of the column before it; "
        "NEW and GONE count the objects that came and went.\n\n"
        "--group-by lineno or filename tells which lines or files of the program allocated "
        "what has grown, where tracemalloc was on (site is another word for lineno); holder "
        "tells who keeps it alive: a module's global, a local of a running function, an "
        "attribute of one, or <TYPE> where several hold an object of that type.\n\n"
        "--new lists the objects that are new since. An object is new if none was at its "
        "address, or one of another type, of another value of a str, int, float, bytes or "
        "tuple, or one that another line allocated. A list or an instance that came to lie "
        "where one of its type was freed cannot be told from it.\n\n"
        "Snapshots of two processes are compared by names alone.",
    .operands = PH_OPERANDS_FILES,
    .options = PH_TAKES(group_growth) | PH_TAKES(new_objects) | PH_TAKES(type) |
               PH_TAKES(addresses) | PH_TAKES(offset) | PH_TAKES(length),
    .sort_keys = sort_keys,
    .spares_target = spares_target,
    .run = run_diff,
};
