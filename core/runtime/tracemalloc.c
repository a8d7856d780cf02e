#include "runtime/tracemalloc.h"

#include "runtime/data.h"

enum {
    SAMPLES = 64,              /* entries of a table that tell what it has */
    MAX_NFRAME = UINT16_MAX,   /* of tracemalloc.start(), from 3.9 on */
    MAX_FILENAME = 64 << 10,   /* bytes */
    LIMIT_OF_NFRAME = 1 << 28, /* to 3.8: what an int may ask for */
};

/* ---- Traces and tracebacks ---- */

ph_addr ph_tracemalloc_frame(const struct ph_python *python, const struct ph_trace_place *place,
                             uint32_t i, uint32_t *line)
{
    const struct ph_layout *L = &python->layout;
    ph_addr frame = place->frames + (uint64_t)i * (uint64_t)L->trace_frame.size;
    *line = ph_python_u32(python, frame, L->trace_frame.lineno);
    return ph_python_word(python, frame, L->trace_frame.filename);
}

static bool is_filename(const struct ph_python *python, ph_addr name)
{
    size_t len;
    if (!name)
        return false;
    if (python->layout.traits.trace_filename == PH_TRACE_FILENAME_UTF8)
        return ph_target_cstring(python->target, name, MAX_FILENAME, &len);
    return ph_python_has_type_name(python, name, "str");
}

bool ph_tracemalloc_place(const struct ph_python *python, ph_addr traceback,
                          struct ph_trace_place *out)
{
    const struct ph_layout *L = &python->layout;
    bool counted = ph_has(L->trace_traceback.total_nframe);
    const uint8_t *at =
        traceback && traceback % 4 == 0
            ? ph_target_view(python->target, traceback, (size_t)L->trace_traceback.frames)
            : NULL;
    if (!at)
        return false;
    *out = (struct ph_trace_place){.frames = traceback + (uint64_t)L->trace_traceback.frames};
    if (counted) {
        out->frame_count = ph_load_u16(python, at + L->trace_traceback.nframe);
        out->total_frames = ph_load_u16(python, at + L->trace_traceback.total_nframe);
    } else {
        out->frame_count = ph_load_u32(python, at + L->trace_traceback.nframe);
    }
    uint64_t bytes = (uint64_t)out->frame_count * (uint64_t)L->trace_frame.size;
    uint32_t line;
    return out->frame_count && out->frame_count < LIMIT_OF_NFRAME &&
           (!counted || out->total_frames >= out->frame_count) &&
           ph_target_view(python->target, out->frames, bytes) &&
           is_filename(python, ph_tracemalloc_frame(python, out, 0, &line));
}

bool ph_tracemalloc_trace(const struct ph_python *python, ph_addr trace, uint64_t *bytes,
                          ph_addr *traceback)
{
    const struct ph_layout *L = &python->layout;
    const uint8_t *at = trace ? ph_target_view(python->target, trace, (size_t)L->trace.size) : NULL;
    if (!at)
        return false;
    *bytes = ph_load_ptr(python, at + L->trace.bytes);
    *traceback = ph_load_ptr(python, at + L->trace.traceback);
    return *traceback;
}

/* ---- What a table has ---- */

typedef bool (*entry_test)(const struct ph_python *python, const struct ph_hashtable *table,
                           const struct ph_hashtable_entry *entry);

static bool is_trace(const struct ph_python *python, const struct ph_hashtable *table,
                     const struct ph_hashtable_entry *entry)
{
    uint64_t bytes;
    ph_addr traceback;
    struct ph_trace_place place;
    bool holds_traces = !ph_has(python->layout.hashtable.key_size) ||
                        table->data_bytes == (uint64_t)python->layout.trace.size;
    return holds_traces && ph_tracemalloc_trace(python, entry->data, &bytes, &traceback) &&
           ph_tracemalloc_place(python, traceback, &place);
}

/* Keys without values. */
static bool is_set(const struct ph_python *python, const struct ph_hashtable *table,
                   const struct ph_hashtable_entry *entry)
{
    return ph_has(python->layout.hashtable.key_size) ? table->data_bytes == 0 : entry->data == 0;
}

static bool is_traceback(const struct ph_python *python, const struct ph_hashtable *table,
                         const struct ph_hashtable_entry *entry)
{
    struct ph_trace_place place;
    return is_set(python, table, entry) && ph_tracemalloc_place(python, entry->key, &place);
}

static bool is_name(const struct ph_python *python, const struct ph_hashtable *table,
                    const struct ph_hashtable_entry *entry)
{
    return is_set(python, table, entry) && is_filename(python, entry->key);
}

/* Whether the table has entries, and of those that are looked at one in two is of that kind, for
 * some may be damaged: many where what they share is. */
static bool holds(const struct ph_python *python, const struct ph_hashtable *table, entry_test test)
{
    struct ph_hashtable_walk walk = {0};
    struct ph_hashtable_entry entry;
    int looked = 0, right = 0;
    for (; looked < SAMPLES && ph_hashtable_next(python, table, &walk, &entry); looked++)
        right += test(python, table, &entry);
    return right && right * 2 >= looked;
}

static bool is_domain(const struct ph_python *python, const struct ph_hashtable *table,
                      const struct ph_hashtable_entry *entry)
{
    struct ph_hashtable traces;
    (void)table;
    return entry->key <= UINT32_MAX && ph_hashtable_open(python, entry->data, &traces) &&
           (traces.entry_count == 0 || holds(python, &traces, is_trace));
}

/* ---- To 3.11: static variables ---- */

static void keep_larger(struct ph_hashtable *kept, const struct ph_hashtable *table)
{
    if (!kept->address || table->entry_count > kept->entry_count)
        *kept = *table;
}

static void try_table(const struct ph_python *python, ph_addr address, struct ph_tracemalloc *out)
{
    struct ph_hashtable table;
    if (!ph_hashtable_open(python, address, &table) || !table.entry_count)
        return;
    if (holds(python, &table, is_trace))
        keep_larger(&out->traces, &table);
    else if (holds(python, &table, is_traceback))
        keep_larger(&out->tracebacks, &table);
    else if (holds(python, &table, is_name))
        keep_larger(&out->filenames, &table);
    else if (!ph_has(python->layout.hashtable.key_size) && holds(python, &table, is_domain))
        keep_larger(&out->domains, &table);
}

/* Each word of the interpreter's own data and bss. What else is writable nearby holds pointers to
 * tables of single domains. */
static void search_statics(const struct ph_python *python, struct ph_tracemalloc *out)
{
    struct ph_target *target = python->target;
    const struct ph_module *module = ph_target_module_at(target, python->anchor);
    unsigned word = ph_word_bytes(python);
    ph_addr start;
    uint64_t len, value;
    for (size_t i = 0; ph_data_next(target, python->anchor, &i, &start, &len);) {
        ph_addr end = start + len;
        if (module && (start >= module->end || end <= module->start))
            continue;
        end = module && end > module->end ? module->end : end;
        for (ph_addr at = start; at + word <= end; at += word) {
            if (ph_target_word(target, at, &value))
                try_table(python, value, out);
        }
    }
}

static void find_statics(const struct ph_python *python, struct ph_tracemalloc *out)
{
    const struct ph_layout *L = &python->layout;
    ph_addr config;
    if (ph_has(L->trace_config.tracing) &&
        ph_target_symbol_in(python->target, python->anchor, "_Py_tracemalloc_config", &config) ==
            PH_OK) {
        out->certain = true;
        out->tracing = ph_python_u32(python, config, L->trace_config.tracing);
        out->max_frames = ph_python_u32(python, config, L->trace_config.max_nframe);
        if (!out->tracing)
            return;
    }
    search_statics(python, out);
    out->tracing = out->tracing || out->traces.address || out->domains.address;
    out->incomplete = out->tracing && !out->traces.address;
}

/* ---- From 3.12 on: in _PyRuntime ---- */

static bool is_allocator(const struct ph_python *python, ph_addr allocator)
{
    ph_addr function = ph_python_word(python, allocator, python->layout.mem_allocator.malloc);
    return ph_python_is_code(python, function);
}

/* Whether tracemalloc's state is there and says that it traces; its tables are another matter. */
static bool is_tracing_state(const struct ph_python *python, ph_addr state)
{
    const struct ph_layout *L = &python->layout;
    ph_addr config = state + (uint64_t)L->tracemalloc.config;
    uint32_t max_frames = ph_python_u32(python, config, L->trace_config.max_nframe);
    return ph_python_u32(python, config, L->trace_config.tracing) == 1 && max_frames &&
           max_frames <= MAX_NFRAME &&
           is_allocator(python, state + (uint64_t)L->tracemalloc.allocator_mem) &&
           is_allocator(python, state + (uint64_t)L->tracemalloc.allocator_raw) &&
           is_allocator(python, state + (uint64_t)L->tracemalloc.allocator_obj);
}

static void open_table(const struct ph_python *python, ph_addr state, int32_t place,
                       struct ph_hashtable *out, bool *all)
{
    if (!ph_hashtable_open(python, ph_python_word(python, state, place), out))
        *all = false;
}

/* False where there is no such state. */
static bool read_state(const struct ph_python *python, ph_addr state, struct ph_tracemalloc *out)
{
    const struct ph_layout *L = &python->layout;
    if (!is_tracing_state(python, state))
        return false;
    struct ph_tracemalloc found = {.exists = true, .tracing = true, .certain = true};
    bool all = true;
    open_table(python, state, L->tracemalloc.traces, &found.traces, &all);
    open_table(python, state, L->tracemalloc.domains, &found.domains, &all);
    open_table(python, state, L->tracemalloc.tracebacks, &found.tracebacks, &all);
    open_table(python, state, L->tracemalloc.filenames, &found.filenames, &all);
    found.incomplete = !all;
    found.max_frames =
        ph_python_u32(python, state + (uint64_t)L->tracemalloc.config, L->trace_config.max_nframe);
    found.has_totals = true;
    found.traced_bytes = ph_python_word(python, state, L->tracemalloc.traced_memory);
    found.peak_bytes = ph_python_word(python, state, L->tracemalloc.peak_traced_memory);
    *out = found;
    return true;
}

/* Where the layout says; else anywhere in _PyRuntime, for micro releases move it. There all tables
 * must be right for it to be believed. */
static void find_in_runtime(const struct ph_python *python, struct ph_tracemalloc *out)
{
    const struct ph_layout *L = &python->layout;
    struct ph_tracemalloc found;
    out->certain = true;
    if (read_state(python, python->anchor + (uint64_t)L->runtime.tracemalloc, out))
        return;
    for (int64_t at = 0; at + L->tracemalloc.size <= L->runtime.size; at += L->word_bytes) {
        if (read_state(python, python->anchor + (uint64_t)at, &found) && !found.incomplete) {
            *out = found;
            return;
        }
    }
}

void ph_tracemalloc_find(const struct ph_python *python, struct ph_tracemalloc *out)
{
    const struct ph_layout *L = &python->layout;
    struct ph_tracemalloc found = {.exists = ph_has(L->trace.traceback)};
    if (found.exists && ph_has(L->runtime.tracemalloc))
        find_in_runtime(python, &found);
    else if (found.exists)
        find_statics(python, &found);
    *out = found;
}
