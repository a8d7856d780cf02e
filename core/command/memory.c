#include "analysis/memory.h"
#include "command/session.h"

#include <stdlib.h>

enum { PINS_NAMED = 3 };
#define WORTH_A_WORD (4ull << 20) /* of less memory nobody asks where it went */

/* What the tables show; lives as long as the document. */
struct answer {
    struct ph_memory memory;
    struct ph_usage usage;
    enum ph_memory_kind shown[PH_MEMORY_KINDS];
    struct ph_row_text text;
};

static void free_answer(void *ctx)
{
    struct answer *a = ctx;
    ph_memory_free(&a->memory);
    ph_usage_free(&a->usage);
    ph_row_text_free(&a->text);
    free(a);
}

static double share_of(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

/* ---- the table of kinds ---- */

static const struct ph_column kind_columns[] = {
    {"bytes", "BYTES", 0},
    {"share", "SHARE", PH_COLUMN_TEXT_ONLY},
    {"resident", "RESIDENT", 0},
    {"private", "", PH_COLUMN_JSON_ONLY},
    {"name", "WHAT", PH_COLUMN_LAST},
};

static const struct ph_column core_columns[] = {
    {"bytes", "BYTES", 0},
    {"share", "SHARE", PH_COLUMN_TEXT_ONLY},
    {"in_core", "IN CORE", 0},
    {"private", "", PH_COLUMN_JSON_ONLY},
    {"name", "WHAT", PH_COLUMN_LAST},
    {"resident", "", PH_COLUMN_JSON_ONLY},
};

static unsigned kind_row(void *ctx, uint64_t i, struct ph_value *values)
{
    const struct answer *a = ctx;
    enum ph_memory_kind kind = a->shown[i];
    uint64_t bytes = a->memory.bytes[kind];
    bool known = a->usage.kind != PH_USAGE_UNKNOWN;
    values[0] = ph_value_bytes(bytes);
    values[1] = ph_value_share(share_of(bytes, a->memory.total));
    values[2] = known ? ph_value_bytes(a->memory.resident[kind]) : ph_value_null();
    values[3] = ph_value_bool(ph_memory_is_private(kind));
    values[4] = ph_value_text(ph_memory_name(kind));
    if (a->usage.kind == PH_USAGE_IN_CORE)
        values[5] = ph_value_null();
    return 0;
}

static void write_kinds(struct ph_doc *doc, struct answer *a)
{
    uint64_t count = 0;
    for (unsigned kind = 0; kind < PH_MEMORY_KINDS; kind++) {
        if (a->memory.bytes[kind] || kind == PH_MEMORY_UNEXPLAINED)
            a->shown[count++] = kind;
    }
    bool is_core = a->usage.kind == PH_USAGE_IN_CORE;
    ph_doc_table(doc, &(struct ph_table){
                          .key = "categories",
                          .columns = is_core ? core_columns : kind_columns,
                          .column_count = is_core ? sizeof core_columns / sizeof *core_columns
                                                  : sizeof kind_columns / sizeof *kind_columns,
                          .row_count = count,
                          .row = kind_row,
                          .ctx = a,
                          .free_ctx = free_answer,
                      });
}

static void write_totals(struct ph_doc *doc, const struct answer *a)
{
    const struct ph_usage *usage = &a->usage;
    bool live = usage->kind == PH_USAGE_RESIDENT;
    ph_doc_line(doc, "%s", "");
    ph_doc_bytes(doc, "total", "Mapped", a->memory.total);
    ph_doc_bytes(doc, "private", "Private", a->memory.private_bytes);
    ph_doc_bytes(doc, "unexplained", NULL, a->memory.bytes[PH_MEMORY_UNEXPLAINED]);
    if (live) {
        ph_doc_bytes(doc, "resident", "Resident", usage->resident);
        ph_doc_bytes(doc, "pss", "Proportional", usage->pss);
        ph_doc_bytes(doc, "swap", "Swapped out", usage->swap);
    } else {
        ph_doc_null(doc, "resident", NULL);
        ph_doc_null(doc, "pss", NULL);
        ph_doc_null(doc, "swap", NULL);
    }
    if (usage->kind == PH_USAGE_IN_CORE) {
        ph_doc_bytes(doc, "in_core", "In the core", usage->resident);
        ph_doc_bytes(doc, "omitted", "Not in it", a->memory.total - usage->resident);
    }
}

/* ---- answers in words ---- */

static void say(struct ph_doc *doc, struct ph_str *sentence)
{
    ph_doc_text(doc, NULL, NULL, ph_str_text(sentence));
    ph_doc_line(doc, "%s", ph_str_text(sentence));
    ph_str_clear(sentence);
}

static uint64_t sum_of(const struct ph_memory *m, enum ph_memory_kind first,
                       enum ph_memory_kind last)
{
    uint64_t sum = 0;
    for (unsigned kind = first; kind <= last; kind++)
        sum += m->bytes[kind];
    return sum;
}

static void say_private(struct ph_doc *doc, const struct ph_memory *m, struct ph_str *out)
{
    char all[32], objects[32], unexplained[32];
    uint64_t ours = sum_of(m, PH_MEMORY_PYMALLOC_OBJECTS, PH_MEMORY_PYMALLOC_BUFFERS) +
                    sum_of(m, PH_MEMORY_MIMALLOC_OBJECTS, PH_MEMORY_MIMALLOC_BUFFERS) +
                    sum_of(m, PH_MEMORY_MALLOC_OBJECTS, PH_MEMORY_MALLOC_BUFFERS) +
                    m->bytes[PH_MEMORY_MAPPED_BUFFERS];
    uint64_t rest = m->bytes[PH_MEMORY_UNEXPLAINED];
    ph_str_appendf(out,
                   "%s of private memory: %s (%.0f %%) are Python's objects and their "
                   "buffers, and %s (%.1f %%) are unexplained.",
                   ph_format_bytes(all, m->private_bytes), ph_format_bytes(objects, ours),
                   share_of(ours, m->private_bytes) * 100, ph_format_bytes(unexplained, rest),
                   share_of(rest, m->private_bytes) * 100);
    say(doc, out);
}

static void append_pins(struct ph_str *out, const struct ph_memory *m)
{
    char number[32];
    uint32_t named = m->pins.count < PINS_NAMED ? m->pins.count : PINS_NAMED;
    for (uint32_t i = 0; i < named; i++) {
        const struct ph_pin *pin = &m->pins.items[i];
        ph_str_appendf(out, "%s%s (%s block%s)",
                       i == 0           ? ""
                       : i + 1 == named ? " and "
                                        : ", ",
                       pin->type ? pin->type->name : "no known type",
                       ph_format_count(number, (int64_t)pin->blocks), pin->blocks == 1 ? "" : "s");
    }
}

/* pymalloc gives back whole arenas and nothing less; mimalloc may give back any page. */
static void say_arenas(struct ph_doc *doc, const struct ph_heap *heap, const struct ph_memory *m,
                       struct ph_str *out)
{
    const struct ph_arena_use *use = &m->arenas;
    char bytes[32], pinned[32], count[32];
    bool is_mimalloc = heap->blocks.are_mimalloc;
    if (!use->count)
        return;
    ph_str_appendf(out, "%s of %s, %.0f %% used", ph_format_bytes(bytes, use->bytes),
                   is_mimalloc ? "mimalloc segments" : "pymalloc arenas",
                   share_of(use->used_bytes, use->bytes) * 100);
    if (use->sparse && use->sparse_free_bytes >= WORTH_A_WORD) {
        ph_str_appendf(out,
                       ": %s %s because each of %s %s still holds live blocks; the objects "
                       "that pin most are of ",
                       ph_format_bytes(pinned, use->sparse_free_bytes),
                       is_mimalloc ? "stay reserved" : "cannot be returned",
                       ph_format_count(count, (int64_t)use->sparse),
                       is_mimalloc ? "segments" : "arenas");
        append_pins(out, m);
    }
    ph_str_append(out, ".");
    say(doc, out);
}

static void say_native(struct ph_doc *doc, const struct ph_memory *m, struct ph_str *out)
{
    char bytes[32], part[32], freed[32];
    const struct ph_native_use *use = &m->native;
    uint64_t all = use->heap_bytes + use->mapped_bytes;
    if (!all)
        return;
    ph_str_appendf(out, "%s of malloc's memory: %s are no object's", ph_format_bytes(bytes, all),
                   ph_format_bytes(part, m->bytes[PH_MEMORY_MALLOC_OTHER]));
    if (use->free_bytes)
        ph_str_appendf(out, ", and %s are free", ph_format_bytes(freed, use->free_bytes));
    ph_str_append(out, ".");
    say(doc, out);
}

static void say_damaged(struct ph_doc *doc, const struct ph_memory *m, struct ph_str *out)
{
    char count[32];
    if (!m->damaged_heaps)
        return;
    ph_str_appendf(out,
                   "%s of malloc's heaps cannot be walked to the end and count as unexplained.",
                   ph_format_count(count, (int64_t)m->damaged_heaps));
    say(doc, out);
}

static void write_answers(struct ph_doc *doc, const struct ph_heap *heap, const struct ph_memory *m)
{
    struct ph_str sentence = {0};
    ph_doc_line(doc, "%s", "");
    ph_doc_array_begin(doc, "answers");
    say_private(doc, m, &sentence);
    say_arenas(doc, heap, m, &sentence);
    say_native(doc, m, &sentence);
    say_damaged(doc, m, &sentence);
    ph_doc_array_end(doc);
    ph_str_free(&sentence);
}

/* ---- arenas ---- */

static const struct ph_column class_columns[] = {
    {"size", "SIZE", PH_COLUMN_EXACT},
    {"pools", "POOLS", 0},
    {"used", "USED", 0},
    {"free", "FREE", 0},
    {"used_bytes", "USED BYTES", 0},
    {"free_bytes", "FREE BYTES", 0},
};

static unsigned class_row(void *ctx, uint64_t i, struct ph_value *values)
{
    const struct ph_size_class *c = &((const struct answer *)ctx)->memory.classes.items[i];
    values[0] = ph_value_bytes(c->block_bytes);
    values[1] = ph_value_count((int64_t)c->pools);
    values[2] = ph_value_count((int64_t)c->used);
    values[3] = ph_value_count((int64_t)c->free);
    values[4] = ph_value_bytes(c->used * c->block_bytes);
    values[5] = ph_value_bytes(c->free * c->block_bytes);
    return 0;
}

static const struct ph_column pin_columns[] = {
    {"bytes", "PINNED", 0},
    {"blocks", "BLOCKS", 0},
    {"arenas", "ARENAS", 0},
    {"type", "BLOCKS OF", PH_COLUMN_LAST},
};

static unsigned pin_row(void *ctx, uint64_t i, struct ph_value *values)
{
    const struct ph_pin *pin = &((const struct answer *)ctx)->memory.pins.items[i];
    values[0] = ph_value_bytes(pin->bytes);
    values[1] = ph_value_count((int64_t)pin->blocks);
    values[2] = ph_value_count((int64_t)pin->arenas);
    values[3] = pin->type ? ph_value_text(pin->type->name) : ph_value_null();
    return 0;
}

/* In the text, the tables are for who asks for them. */
static void write_arenas(struct ph_doc *doc, const struct ph_invocation *inv,
                         const struct ph_heap *heap, struct answer *a)
{
    const struct ph_arena_use *use = &a->memory.arenas;
    const struct ph_native_use *native = &a->memory.native;
    ph_doc_object_begin(doc, "arenas");
    ph_doc_text(doc, "allocator", NULL, ph_allocator_name(&heap->allocator));
    ph_doc_count(doc, "count", NULL, (int64_t)use->count);
    ph_doc_bytes(doc, "bytes", NULL, use->bytes);
    ph_doc_bytes(doc, "used", NULL, use->used_bytes);
    ph_doc_count(doc, "sparse", NULL, (int64_t)use->sparse);
    ph_doc_bytes(doc, "pinned", NULL, use->sparse_free_bytes);
    unsigned json_only = inv->options.by_size_class ? 0 : PH_TABLE_JSON_ONLY;
    if (!json_only)
        ph_doc_line(doc, "%s", "");
    ph_doc_table(doc, &(struct ph_table){
                          .key = "by_size_class",
                          .columns = class_columns,
                          .column_count = sizeof class_columns / sizeof *class_columns,
                          .row_count = a->memory.classes.count,
                          .row = class_row,
                          .ctx = a,
                          .flags = json_only,
                      });
    if (!json_only && a->memory.pins.count)
        ph_doc_line(doc, "%s", "");
    uint64_t shown = ph_rows_shown(inv, a->memory.pins.count);
    ph_doc_table(doc, &(struct ph_table){
                          .key = "pinned_by",
                          .columns = pin_columns,
                          .column_count = sizeof pin_columns / sizeof *pin_columns,
                          .row_count = shown,
                          .row = pin_row,
                          .ctx = a,
                          .flags = json_only || !shown ? PH_TABLE_JSON_ONLY : 0,
                      });
    ph_doc_object_end(doc);
    ph_doc_object_begin(doc, "native");
    ph_doc_bytes(doc, "heap", NULL, native->heap_bytes);
    ph_doc_bytes(doc, "used", NULL, native->used_bytes);
    ph_doc_bytes(doc, "free", NULL, native->free_bytes);
    ph_doc_count(doc, "mapped", NULL, (int64_t)native->mapped);
    ph_doc_bytes(doc, "mapped_bytes", NULL, native->mapped_bytes);
    ph_doc_object_end(doc);
}

/* ---- children ---- */

static const struct ph_column child_columns[] = {
    {"resident", "RESIDENT", 0},
    {"pid", "CHILD", 0},
    {"parent", "PARENT", 0},
    {"name", "NAME", PH_COLUMN_LAST},
};

static unsigned child_row(void *ctx, uint64_t i, struct ph_value *values)
{
    struct answer *a = ctx;
    const struct ph_child *child = &a->usage.children.items[i];
    ph_str_clear(&a->text.a);
    ph_str_append_visible(&a->text.a, child->name, strlen(child->name));
    values[0] = ph_value_bytes(child->resident);
    values[1] = ph_value_count(child->pid);
    values[2] = ph_value_count(child->parent);
    values[3] = ph_value_text(ph_str_text(&a->text.a));
    return 0;
}

static void write_children(struct ph_doc *doc, struct answer *a)
{
    uint32_t count = a->usage.children.count;
    if (count)
        ph_doc_line(doc, "%s", "");
    ph_doc_table(doc, &(struct ph_table){
                          .key = "children",
                          .columns = child_columns,
                          .column_count = sizeof child_columns / sizeof *child_columns,
                          .row_count = count,
                          .row = child_row,
                          .ctx = a,
                          .flags = count ? 0 : PH_TABLE_JSON_ONLY,
                      });
}

/* ---- the command ---- */

/* What is resident comes first: to read the heap changes it. */
static enum ph_status find_answer(struct ph_session *s, struct ph_heap **heap, struct answer *a,
                                  struct ph_error *err)
{
    struct ph_python *python;
    enum ph_status status = ph_session_python(s, &python, err);
    if (!status && !ph_usage_read(&a->usage, python->target))
        status = ph_fail(err, PH_NO_MEMORY, "out of memory");
    if (!status)
        status = ph_session_heap(s, heap, err);
    if (!status && !ph_target_info((*heap)->objects.python->target)->lists_regions)
        status = ph_fail(err, PH_UNSUPPORTED,
                         "the debugger does not list this target's memory, so it cannot be added "
                         "up; `top` tells what its objects have");
    if (!status && (*heap)->objects.python->target != a->usage.target)
        status = ph_fail(err, PH_FAILED, "the process ran meanwhile; try again");
    if (!status)
        status = ph_memory_explain(*heap, &a->usage, ph_session_host(s), &a->memory, err);
    return status;
}

static enum ph_status run_memory(struct ph_session *s, const struct ph_invocation *inv,
                                 struct ph_doc *doc, struct ph_error *err)
{
    struct ph_heap *heap;
    struct answer *a = ph_calloc(1, sizeof *a);
    if (!a)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    enum ph_status status = find_answer(s, &heap, a, err);
    if (status) {
        free_answer(a);
        return status;
    }
    ph_doc_python(doc, heap->objects.python);
    write_kinds(doc, a);
    write_totals(doc, a);
    write_answers(doc, heap, &a->memory);
    write_arenas(doc, inv, heap, a);
    write_children(doc, a);
    ph_doc_skipped(doc, heap);
    return PH_OK;
}

const struct ph_command ph_command_memory = {
    .name = "memory",
    .operands_text = "",
    .brief = "every byte of the process explained",
    .help = "Divide all that is mapped into kinds, each byte into exactly one: objects and their "
            "buffers by allocator, what pymalloc, mimalloc and malloc have free or lose, stacks, "
            "the interpreter's own data, files, and what nothing explains. Of a live process also "
            "what is resident, and its children; of a core, what it holds. In words: how full the "
            "arenas are, and the objects that keep the emptiest of them from being returned; with "
            "--by-size-class the pools by size of their blocks, and all that pins arenas.",
    .operands = PH_OPERANDS_NONE,
    .options = PH_TAKES(by_size_class),
    .run = run_memory,
};
