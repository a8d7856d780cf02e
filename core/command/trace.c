#include "analysis/trace.h"
#include "command/session.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SUMMARY_CHARS = 60, TYPES_SHOWN = 4, FRAMES_SHOWN = 50 };

#define HOW_TO_TURN_ON                                                                             \
    "start the program with -X tracemalloc=25 or PYTHONTRACEMALLOC=25, or call "                   \
    "tracemalloc.start(25)"

/* ---- words ---- */

static void append_content(const struct ph_traces *t, enum ph_trace_content content, uint32_t type,
                           struct ph_str *out)
{
    if (content == PH_TRACE_RAW)
        ph_str_append(out, "(raw memory)");
    else
        ph_str_appendf(out, content == PH_TRACE_BUFFER ? "(buffer of %s)" : "%s",
                       t->heap->objects.types.items[type]->name);
}

static void append_frame(const struct ph_traces *t, const struct ph_trace_frame *frame,
                         struct ph_str *out)
{
    ph_str_appendf(out, "%s:%" PRIu32, t->files.items[frame->file], frame->line);
}

/* ---- JSON ---- */

static void write_frame(struct ph_doc *doc, const struct ph_traces *t,
                        const struct ph_trace_frame *frame)
{
    ph_doc_text(doc, "file", NULL, t->files.items[frame->file]);
    ph_doc_count(doc, "line", NULL, frame->line);
}

/* The innermost last, as Python shows it. */
static void write_traceback(struct ph_doc *doc, const struct ph_traces *t, uint32_t index,
                            uint32_t count)
{
    const struct ph_trace_traceback *traceback = &t->tracebacks.items[index];
    ph_doc_array_begin(doc, "traceback");
    while (count-- > 0) {
        ph_doc_object_begin(doc, NULL);
        write_frame(doc, t, &t->frames.items[traceback->first_frame + count]);
        ph_doc_object_end(doc);
    }
    ph_doc_array_end(doc);
}

static void write_total_frames(struct ph_doc *doc, const struct ph_trace_traceback *traceback)
{
    if (traceback->total_frames)
        ph_doc_count(doc, "total_frames", NULL, traceback->total_frames);
    else
        ph_doc_null(doc, "total_frames", NULL);
}

/* False: out of memory. */
static bool write_sums(struct ph_doc *doc, const struct ph_traces *t,
                       const struct ph_trace_sum *sums, uint32_t count)
{
    struct ph_str name = {0};
    ph_doc_array_begin(doc, "types");
    for (uint32_t i = 0; i < count; i++) {
        ph_str_clear(&name);
        append_content(t, sums[i].content, sums[i].type, &name);
        ph_doc_object_begin(doc, NULL);
        ph_doc_text(doc, "type", NULL, ph_str_text(&name));
        ph_doc_count(doc, "count", NULL, (int64_t)sums[i].count);
        ph_doc_bytes(doc, "bytes", NULL, sums[i].bytes);
        ph_doc_object_end(doc);
    }
    ph_doc_array_end(doc);
    bool ok = !name.failed;
    ph_str_free(&name);
    return ok;
}

static bool write_site(struct ph_doc *doc, const struct ph_traces *t,
                       const struct ph_trace_sites *sites, const struct ph_trace_site *site,
                       enum ph_trace_group group)
{
    const struct ph_trace_frame *frame = ph_trace_innermost(t, site->traceback);
    ph_doc_object_begin(doc, NULL);
    ph_doc_text(doc, "file", NULL, t->files.items[frame->file]);
    if (group == PH_TRACE_BY_FILE)
        ph_doc_null(doc, "line", NULL);
    else
        ph_doc_count(doc, "line", NULL, frame->line);
    ph_doc_bytes(doc, "bytes", NULL, site->bytes);
    ph_doc_count(doc, "count", NULL, (int64_t)site->count);
    if (group == PH_TRACE_BY_FILE)
        ph_doc_null(doc, "traceback", NULL);
    else
        write_traceback(
            doc, t, site->traceback,
            group == PH_TRACE_BY_TRACEBACK ? t->tracebacks.items[site->traceback].frame_count : 1);
    bool ok = write_sums(doc, t, &sites->sums.items[site->first_sum], site->sum_count);
    ph_doc_object_end(doc);
    return ok;
}

/* ---- the text of the sites ---- */

/* One line: a site, one of its callers, one of its types, or that there are more of these. */
enum row_kind { ROW_SITE, ROW_CALLER, ROW_SUM, ROW_MORE };
struct row {
    enum row_kind kind;
    uint32_t site, index; /* of the frame in its traceback, of the sum, or how many more */
};

struct rows {
    struct ph_traces traces;
    struct ph_trace_cost cost;
    struct ph_trace_sites sites;
    enum ph_trace_group group;
    PH_ARRAY(struct row) items;
    struct ph_str text;
};

static void free_rows(void *ctx)
{
    struct rows *r = ctx;
    ph_trace_sites_free(&r->sites);
    ph_traces_free(&r->traces);
    ph_array_free(&r->items);
    ph_str_free(&r->text);
    free(r);
}

static bool push_row(struct rows *r, enum row_kind kind, uint32_t site, uint32_t index)
{
    return ph_array_push(&r->items, ((struct row){kind, site, index}));
}

static bool push_site(struct rows *r, uint32_t at)
{
    const struct ph_trace_site *site = &r->sites.items.items[at];
    uint32_t frames = r->traces.tracebacks.items[site->traceback].frame_count;
    uint32_t types = site->sum_count > TYPES_SHOWN ? TYPES_SHOWN - 1u : site->sum_count;
    uint32_t callers = r->group == PH_TRACE_BY_TRACEBACK ? frames : 1;
    bool ok = push_row(r, ROW_SITE, at, 0);
    for (uint32_t i = 1; ok && i < callers && i < FRAMES_SHOWN; i++)
        ok = push_row(r, ROW_CALLER, at, i);
    for (uint32_t i = 0; ok && i < types; i++)
        ok = push_row(r, ROW_SUM, at, site->first_sum + i);
    return ok && (types == site->sum_count || push_row(r, ROW_MORE, at, site->sum_count - types));
}

static void append_site(struct rows *r, const struct ph_trace_site *site)
{
    const struct ph_trace_frame *frame = ph_trace_innermost(&r->traces, site->traceback);
    if (r->group == PH_TRACE_BY_FILE)
        ph_str_append(&r->text, r->traces.files.items[frame->file]);
    else
        append_frame(&r->traces, frame, &r->text);
}

static void append_sum(struct rows *r, const struct ph_trace_sum *sum)
{
    char bytes[32], count[32];
    ph_str_appendf(&r->text, "%9s %8s  ", ph_format_bytes(bytes, sum->bytes),
                   ph_format_count(count, (int64_t)sum->count));
    append_content(&r->traces, sum->content, sum->type, &r->text);
}

static unsigned text_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct rows *r = ctx;
    const struct row *row = &r->items.items[i];
    const struct ph_trace_site *site = &r->sites.items.items[row->site];
    ph_str_clear(&r->text);
    switch (row->kind) {
    case ROW_SITE:
        values[0] = ph_value_bytes(site->bytes);
        values[1] = ph_value_count((int64_t)site->count);
        append_site(r, site);
        break;
    case ROW_CALLER:
        ph_str_append(&r->text, "from ");
        append_frame(&r->traces, ph_trace_innermost(&r->traces, site->traceback) + row->index,
                     &r->text);
        break;
    case ROW_SUM:
        append_sum(r, &r->sites.sums.items[row->index]);
        break;
    case ROW_MORE:
        ph_str_appendf(&r->text, "and %" PRIu32 " more types", row->index);
        break;
    }
    values[2] = ph_value_text(ph_str_text(&r->text));
    return row->kind != ROW_SITE;
}

static const struct ph_column columns[] = {
    {"bytes", "BYTES", 0},
    {"count", "BLOCKS", 0},
    {"site", "ALLOCATED AT", PH_COLUMN_TREE | PH_COLUMN_LAST},
};

/* ---- what all answers have ---- */

static void write_state(struct ph_doc *doc, const struct ph_tracemalloc *source)
{
    ph_doc_bool(doc, "tracing", NULL, source->tracing);
    if (source->max_frames)
        ph_doc_count(doc, "max_frames", NULL, source->max_frames);
    else
        ph_doc_null(doc, "max_frames", NULL);
}

static void write_no_sites(struct ph_doc *doc, const char *reason)
{
    ph_doc_null(doc, "sites", NULL);
    ph_doc_text(doc, "reason", NULL, reason);
    ph_doc_line(doc, "%s", reason);
}

static void write_off(struct ph_doc *doc, const struct ph_tracemalloc *source)
{
    if (!source->exists)
        write_no_sites(doc, "This version of Python has no tracemalloc.");
    else if (source->certain)
        write_no_sites(doc, "tracemalloc is off in this process, so nothing recorded where memory "
                            "was allocated; next time, " HOW_TO_TURN_ON ".");
    else
        write_no_sites(doc, "Nothing traced by tracemalloc was found in this process; if it is "
                            "off, next time " HOW_TO_TURN_ON ".");
}

static void write_incomplete(struct ph_doc *doc, const struct ph_tracemalloc *source)
{
    ph_doc_bool(doc, "incomplete", NULL, true);
    ph_doc_line(doc, "tracemalloc is on, but %s.",
                source->has_totals ? "some of its tables are damaged or just being changed"
                                   : "no table of traces was found: it is empty, damaged, "
                                     "or just being changed");
}

/* ---- top sites ---- */

static void write_domains(struct ph_doc *doc, const struct ph_trace_sites *sites)
{
    char count[32], bytes[32];
    ph_doc_array_begin(doc, "domains");
    for (uint32_t i = 0; i < sites->domains.count; i++) {
        const struct ph_trace_domain *d = &sites->domains.items[i];
        ph_doc_object_begin(doc, NULL);
        ph_doc_count(doc, "domain", NULL, d->domain);
        ph_doc_count(doc, "count", NULL, (int64_t)d->count);
        ph_doc_bytes(doc, "bytes", NULL, d->bytes);
        ph_doc_object_end(doc);
        if (sites->domains.count > 1)
            ph_doc_line(doc, "Domain %" PRIu32 ": %s in %s blocks", d->domain,
                        ph_format_bytes(bytes, d->bytes),
                        ph_format_count(count, (int64_t)d->count));
    }
    ph_doc_array_end(doc);
}

static void write_traced(struct ph_doc *doc, const struct rows *r)
{
    char bytes[32];
    const struct ph_tracemalloc *source = &r->traces.source;
    ph_doc_object_begin(doc, "traced");
    if (source->has_totals) {
        ph_doc_bytes(doc, "current", NULL, source->traced_bytes);
        ph_doc_bytes(doc, "peak", NULL, source->peak_bytes);
    } else {
        ph_doc_null(doc, "current", NULL);
        ph_doc_null(doc, "peak", NULL);
    }
    ph_doc_object_end(doc);
    ph_doc_object_begin(doc, "tracemalloc");
    ph_doc_bytes(doc, "reported", NULL, r->cost.reported);
    ph_doc_bytes(doc, "allocated", NULL, r->cost.allocated);
    ph_doc_count(doc, "blocks", NULL, (int64_t)r->cost.blocks);
    ph_doc_object_end(doc);
    if (source->has_totals)
        ph_doc_line(doc, "At the peak %s were traced", ph_format_bytes(bytes, source->peak_bytes));
    ph_doc_line(doc, "tracemalloc itself takes %s", ph_format_bytes(bytes, r->cost.allocated));
}

static enum ph_trace_group group_of(const struct ph_options *options)
{
    const char *word = options->group_sites;
    if (word && strcmp(word, "filename") == 0)
        return PH_TRACE_BY_FILE;
    return word && strcmp(word, "traceback") == 0 ? PH_TRACE_BY_TRACEBACK : PH_TRACE_BY_LINE;
}

static void write_total(struct ph_doc *doc, const struct ph_trace_sites *sites, uint64_t shown)
{
    char count[32], bytes[32];
    ph_doc_object_begin(doc, "total");
    ph_doc_count(doc, "sites", NULL, sites->items.count);
    ph_doc_count(doc, "count", NULL, (int64_t)sites->count);
    ph_doc_bytes(doc, "bytes", NULL, sites->bytes);
    ph_doc_object_end(doc);
    ph_doc_line(doc, "%s", "");
    ph_doc_line(doc, "%s in %s block%s", ph_format_bytes(bytes, sites->bytes),
                ph_format_count(count, (int64_t)sites->count), ph_plural(sites->count));
    ph_doc_rows_footer(doc, shown, sites->items.count, "sites");
}

/* In the order of enum ph_trace_order. */
static const char *const sort_keys[] = {"bytes", "count", "site", NULL};

static enum ph_trace_order order_of(const struct ph_options *options)
{
    unsigned key = 0;
    while (options->sort && sort_keys[key] && strcmp(options->sort, sort_keys[key]) != 0)
        key++;
    return sort_keys[key] ? (enum ph_trace_order)key : PH_TRACE_ORDER_BYTES;
}

static enum ph_status make_sites(struct rows *r, const struct ph_options *options,
                                 const struct ph_host *host, struct ph_error *err)
{
    const struct ph_trace_filter filter = {
        .one_domain = options->given & PH_TAKES(domain),
        .domain = (uint32_t)options->domain,
        .type_glob = options->type,
    };
    r->group = group_of(options);
    enum ph_status status =
        ph_trace_cost_measure(r->traces.heap, &r->traces.source, host, &r->cost, err);
    return status ? status
                  : ph_trace_sites_make(&r->traces, r->group, order_of(options), &filter, &r->sites,
                                        err);
}

/* The sites as JSON, and the rows that show them as text. False: out of memory. */
static bool write_sites(struct ph_doc *doc, struct rows *r, uint64_t shown)
{
    static const char *const words[] = {"lineno", "filename", "traceback"};
    bool ok = true;
    ph_doc_text(doc, "group_by", NULL, words[r->group]);
    ph_doc_array_begin(doc, "sites");
    for (uint32_t i = 0; ok && i < shown; i++) {
        ok = write_site(doc, &r->traces, &r->sites, &r->sites.items.items[i], r->group) &&
             push_site(r, i);
    }
    ph_doc_array_end(doc);
    return ok;
}

static void write_rows(struct ph_doc *doc, struct rows *r)
{
    ph_doc_table(doc, &(struct ph_table){
                          .columns = columns,
                          .column_count = sizeof columns / sizeof *columns,
                          .row_count = r->items.count,
                          .row = text_row,
                          .ctx = r,
                          .free_ctx = free_rows,
                          .flags = r->items.count ? 0 : PH_TABLE_NO_HEADER,
                      });
}

/* Once it succeeds the document has the rows. */
static enum ph_status answer_top(struct ph_doc *doc, struct rows *r,
                                 const struct ph_invocation *inv, const struct ph_host *host,
                                 struct ph_error *err)
{
    enum ph_status status = make_sites(r, &inv->options, host, err);
    if (status)
        return status;
    uint64_t shown = ph_rows_shown(inv, r->sites.items.count);
    if (!write_sites(doc, r, shown))
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    write_rows(doc, r);
    write_total(doc, &r->sites, shown);
    write_domains(doc, &r->sites);
    write_traced(doc, r);
    return PH_OK;
}

/* ---- one address ---- */

static void write_block(struct ph_doc *doc, const struct ph_traces *t,
                        const struct ph_trace_block *block)
{
    const struct ph_trace_traceback *traceback = &t->tracebacks.items[block->traceback];
    write_frame(doc, t, ph_trace_innermost(t, block->traceback));
    ph_doc_bytes(doc, "bytes", NULL, block->bytes);
    ph_doc_count(doc, "count", NULL, 1);
    write_traceback(doc, t, block->traceback, traceback->frame_count);
    write_total_frames(doc, traceback);
    ph_doc_addr(doc, "block", NULL, block->address);
    ph_doc_count(doc, "domain", NULL, block->domain);
}

static void write_frames_text(struct ph_doc *doc, const struct ph_traces *t, uint32_t index)
{
    const struct ph_trace_traceback *traceback = &t->tracebacks.items[index];
    for (uint32_t i = traceback->frame_count; i-- > 0;) {
        const struct ph_trace_frame *frame = &t->frames.items[traceback->first_frame + i];
        ph_doc_line(doc, "  %s:%" PRIu32, t->files.items[frame->file], frame->line);
    }
    if (traceback->total_frames > traceback->frame_count ||
        (!traceback->total_frames && traceback->frame_count == t->source.max_frames))
        ph_doc_line(doc, "tracemalloc kept the innermost %" PRIu32 " frames%s",
                    traceback->frame_count,
                    traceback->frame_count < 25 ? "; -X tracemalloc=25 keeps more" : "");
}

/* The block of which an answer is about: what its only site is. */
static bool write_only_site(struct ph_doc *doc, const struct ph_traces *t,
                            const struct ph_trace_block *block)
{
    char bytes[32];
    struct ph_trace_sum sum = {0, block->content, block->type, 1, block->bytes};
    ph_doc_array_begin(doc, "sites");
    ph_doc_object_begin(doc, NULL);
    write_block(doc, t, block);
    bool ok = write_sums(doc, t, &sum, 1);
    ph_doc_object_end(doc);
    ph_doc_array_end(doc);
    ph_doc_line(doc, "was allocated with %s at (most recent call last)",
                ph_format_bytes(bytes, block->bytes));
    write_frames_text(doc, t, block->traceback);
    return ok;
}

struct buffer_writer {
    struct ph_doc *doc;
    const struct ph_traces *traces;
};

static void write_buffer(void *ctx, ph_addr start, uint64_t size, const char *what)
{
    char bytes[32];
    const struct buffer_writer *w = ctx;
    const struct ph_trace_block *block = ph_traces_find(w->traces, start);
    (void)size;
    if (!block)
        return;
    ph_doc_object_begin(w->doc, NULL);
    ph_doc_text(w->doc, "what", NULL, what);
    write_block(w->doc, w->traces, block);
    ph_doc_object_end(w->doc);
    ph_doc_line(w->doc, "Its %s: %s, at (most recent call last)", what,
                ph_format_bytes(bytes, block->bytes));
    write_frames_text(w->doc, w->traces, block->traceback);
}

static bool write_object(struct ph_doc *doc, struct ph_traces *t, uint32_t id)
{
    struct ph_heap *heap = t->heap;
    struct ph_object o;
    struct ph_str summary = {0};
    struct buffer_writer w = {doc, t};
    const struct ph_type *type = ph_heap_type(heap, id);
    ph_addr address = ph_heap_address(heap, id), start = address - type->header_bytes;
    const struct ph_trace_block *block = ph_traces_find(t, start);
    ph_heap_summary(heap, id, SUMMARY_CHARS, &summary);
    ph_doc_addr(doc, "address", NULL, address);
    ph_doc_text(doc, "type", NULL, type->name);
    ph_doc_line(doc, "0x%" PRIx64 "  %s  %s", address, type->name, ph_str_text(&summary));
    ph_str_free(&summary);
    bool ok = true;
    if (block && block->address == start)
        ok = write_only_site(doc, t, block);
    else
        write_no_sites(doc, ph_heap_is_static(heap, address)
                                ? "It is part of the program, and was never allocated."
                                : "It was allocated while tracemalloc was not on.");
    ph_doc_array_begin(doc, "buffers");
    if (ph_heap_open(heap, id, &o))
        ph_object_buffers(&heap->objects, &o, &(struct ph_buffer_visitor){write_buffer, &w});
    ph_doc_array_end(doc);
    return ok;
}

/* An address inside a traced block that is no object's. */
static bool write_inside(struct ph_doc *doc, const struct ph_traces *t,
                         const struct ph_trace_block *block, ph_addr address)
{
    struct ph_str content = {0};
    append_content(t, block->content, block->type, &content);
    ph_doc_addr(doc, "address", NULL, address);
    ph_doc_null(doc, "type", NULL);
    ph_doc_line(doc, "0x%" PRIx64 "  offset %" PRIu64 " of a block at 0x%" PRIx64 "  %s", address,
                address - block->address, block->address, ph_str_text(&content));
    ph_str_free(&content);
    return write_only_site(doc, t, block);
}

static enum ph_status answer_address(struct ph_doc *doc, struct ph_traces *t,
                                     const struct ph_invocation *inv, struct ph_error *err)
{
    uint32_t id = ph_heap_find(t->heap, inv->operands[0].address);
    const struct ph_trace_block *block = ph_traces_find(t, inv->operands[0].address);
    if (id == PH_NO_OBJECT && !block)
        return ph_operand_object(t->heap, inv, 0, &id, err);
    bool ok = id != PH_NO_OBJECT ? write_object(doc, t, id)
                                 : write_inside(doc, t, block, inv->operands[0].address);
    return ok ? PH_OK : ph_fail(err, PH_NO_MEMORY, "out of memory");
}

/* ---- the command ---- */

static enum ph_status run_trace(struct ph_session *s, const struct ph_invocation *inv,
                                struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    const struct ph_host *host = ph_session_host(s);
    if (inv->operand_count &&
        inv->options.given & (PH_TAKES(group_sites) | PH_TAKES(domain) | PH_TAKES(type)))
        return ph_fail(err, PH_USAGE, "--group-by, --domain and --type are not for one address");
    if (inv->options.domain > UINT32_MAX)
        return ph_fail(err, PH_USAGE, "a domain is a number below 2^32");
    enum ph_status status = ph_session_heap(s, &heap, err);
    if (status)
        return status;
    struct rows *r = ph_calloc(1, sizeof *r);
    if (!r)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    status = ph_traces_read(heap, host, &r->traces, err);
    if (status) {
        free(r);
        return status;
    }
    ph_doc_python(doc, heap->objects.python);
    write_state(doc, &r->traces.source);
    bool whole = r->traces.source.tracing && !inv->operand_count;
    if (!r->traces.source.tracing)
        write_off(doc, &r->traces.source);
    else if (whole)
        status = answer_top(doc, r, inv, host, err);
    else
        status = answer_address(doc, &r->traces, inv, err);
    if (!status && r->traces.source.incomplete)
        write_incomplete(doc, &r->traces.source);
    if (!status)
        ph_doc_skipped_with(doc, heap, "traces of tracemalloc that could not be read",
                            r->traces.damaged);
    if (!whole || status)
        free_rows(r);
    return status;
}

const struct ph_command ph_command_trace = {
    .name = "trace",
    .operands_text = "[ADDR]",
    .brief = "where memory was allocated, by tracemalloc",
    .help = "Read tracemalloc's own tables out of the process: list the lines of the program that "
            "allocated the most memory that is still in use, and what it is used for. The sums are "
            "those of tracemalloc.take_snapshot(). --group-by filename adds up by file, and "
            "traceback keeps apart what was called from different places. --type counts objects of "
            "matching types only, with their buffers.\n\n"
            "With ADDR, show the traceback of the allocation of that object and of its buffers, or "
            "of the block that ADDR is inside of.\n\n"
            "Where tracemalloc is off there is nothing to read: " HOW_TO_TURN_ON ".",
    .operands = PH_OPERANDS_ADDR_OPTIONAL,
    .options = PH_TAKES(group_sites) | PH_TAKES(domain) | PH_TAKES(type),
    .sort_keys = sort_keys,
    .run = run_trace,
};
