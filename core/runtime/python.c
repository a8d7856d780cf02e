#include "runtime/python.h"

#include "runtime/statics.h"
#include "runtime/version.h"

#include <stdio.h>

enum {
    MAX_INTERPRETERS = 100000, /* bounds for lists that a broken target could make endless */
    MAX_THREADS = 1000000,
    MAX_STATIC_TYPES = 1000,
    METATYPE_DEPTH = 8,
    TPFLAGS_HEAPTYPE = 1 << 9,
    TPFLAGS_READY = 1 << 12,
};
#define TPFLAGS_TYPE_SUBCLASS (1ull << 31) /* Include/object.h, every version */

ph_addr ph_python_word(const struct ph_python *python, ph_addr base, int64_t offset)
{
    uint64_t value = 0;
    return ph_target_word(python->target, base + (uint64_t)offset, &value) ? value : 0;
}

uint32_t ph_python_u32(const struct ph_python *python, ph_addr base, int64_t offset)
{
    uint32_t value = 0;
    return ph_target_u32(python->target, base + (uint64_t)offset, &value) ? value : 0;
}

/* The word at base + offset, for a field that the version may lack. */
static ph_addr optional_word(const struct ph_python *python, ph_addr base, int32_t offset)
{
    return ph_has(offset) ? ph_python_word(python, base, offset) : 0;
}

/* Up to 3.9 a few static types are in use that PyType_Ready() never saw, such as
 * functools.KeyWrapper: they name no base and have no mro. */
static bool is_unready_type(const struct ph_python *python, ph_addr type)
{
    const struct ph_layout *L = &python->layout;
    const uint8_t *at = type % ph_word_bytes(python) == 0
                            ? ph_target_view(python->target, type, (size_t)L->type.size)
                            : NULL;
    return at && ph_load_ptr(python, at + L->object.ob_type) == python->type_type &&
           !(ph_load_ptr(python, at + L->type.tp_flags) & (TPFLAGS_HEAPTYPE | TPFLAGS_READY)) &&
           !ph_load_ptr(python, at + L->type.tp_mro) &&
           !ph_load_ptr(python, at + L->type.tp_base) &&
           ph_load_ptr(python, at + L->type.tp_name) &&
           ph_load_ptr(python, at + L->type.tp_dealloc);
}

bool ph_python_is_type(const struct ph_python *python, ph_addr type)
{
    const struct ph_layout *L = &python->layout;
    for (int depth = 0; depth < METATYPE_DEPTH; depth++) {
        if (type == python->type_type || is_unready_type(python, type))
            return true;
        const uint8_t *at = type % ph_word_bytes(python) == 0
                                ? ph_target_view(python->target, type, (size_t)L->type.size)
                                : NULL;
        if (!at || !(ph_load_ptr(python, at + L->type.tp_flags) & TPFLAGS_READY))
            return false;
        ph_addr meta = ph_load_ptr(python, at + L->object.ob_type);
        if (!(ph_python_word(python, meta, L->type.tp_flags) & TPFLAGS_TYPE_SUBCLASS))
            return false;
        type = meta;
    }
    return false;
}

bool ph_python_has_type_name(const struct ph_python *python, ph_addr object, const char *name)
{
    ph_addr type = ph_python_word(python, object, python->layout.object.ob_type);
    size_t len;
    const char *text = ph_target_cstring(
        python->target, ph_python_word(python, type, python->layout.type.tp_name), 64, &len);
    return text && strcmp(text, name) == 0;
}

/* A circular list head is right iff its neighbours point back; the low bits of links are flags
 * (Include/internal/pycore_gc.h). */
static bool is_gc_list(const struct ph_python *python, ph_addr head)
{
    const struct ph_layout *L = &python->layout;
    ph_addr next = ph_python_word(python, head, L->gc_head.next) & ~(ph_addr)3;
    ph_addr prev = ph_python_word(python, head, L->gc_head.prev) & ~(ph_addr)3;
    return next && prev && (ph_python_word(python, next, L->gc_head.prev) & ~(ph_addr)3) == head &&
           (ph_python_word(python, prev, L->gc_head.next) & ~(ph_addr)3) == head;
}

/* The lists of all generations, the first at `first`. */
static bool read_generations(const struct ph_python *python, ph_addr first, struct ph_gc *gc)
{
    const struct ph_layout *L = &python->layout;
    for (int i = 0; i < PH_GENERATIONS; i++) {
        ph_addr head = first + (uint64_t)i * (uint64_t)L->gc_generation.size;
        bool lists = L->traits.gc_header != PH_GC_HEADER_NONE;
        /* During a collection the links of a young list may be in use for reference counts, yet the
         * heads of all generations stay linked; an interpreter that is only being made has none
         * yet. */
        if (lists && !is_gc_list(python, head))
            return false;
        gc->lists[i] = (struct ph_gc_list){
            .head = lists ? head : 0,
            .threshold = ph_python_u32(python, head, L->gc_generation.threshold),
            .count = ph_python_u32(python, head, L->gc_generation.count),
        };
    }
    return true;
}

static bool read_gc(const struct ph_python *python, ph_addr address, struct ph_gc *gc)
{
    const struct ph_layout *L = &python->layout;
    *gc = (struct ph_gc){.address = address};
    if (L->traits.gc_state == PH_GC_STATE_STATICS)
        return read_generations(python, address, gc);
    /* generation0 holds the address of the youngest list; some distributions' builds place the
     * array itself a word half earlier than the declared struct says, so the pointer is believed
     * and the table is the fallback. */
    ph_addr first = optional_word(python, address, L->gc_state.generation0);
    if (!first || !is_gc_list(python, first))
        first = address + (uint64_t)L->gc_state.generations;
    if (!read_generations(python, first, gc))
        return false;
    ph_addr permanent = address + (uint64_t)L->gc_state.permanent_generation;
    if (L->traits.gc_header != PH_GC_HEADER_NONE && is_gc_list(python, permanent))
        gc->lists[PH_GEN_PERMANENT].head = permanent;
    gc->collecting = ph_python_u32(python, address, L->gc_state.collecting) != 0;
    gc->garbage = ph_python_word(python, address, L->gc_state.garbage);
    return true;
}

/* Where the collector of the interpreter at `interp` has its state. */
static ph_addr find_gc(const struct ph_python *python, ph_addr interp)
{
    const struct ph_layout *L = &python->layout;
    switch (L->traits.gc_state) {
    case PH_GC_STATE_STATICS:
        return ph_python_word(python, python->anchor, 0);
    case PH_GC_STATE_RUNTIME:
        return python->anchor + (uint64_t)L->runtime.gc;
    case PH_GC_STATE_INTERPRETER:
        return interp + (uint64_t)L->interp.gc;
    }
    return 0;
}

static bool read_interpreter(struct ph_python *python, ph_addr address)
{
    const struct ph_layout *L = &python->layout;
    struct ph_interpreter interp = {.address = address,
                                    .owns_gc = L->traits.gc_state == PH_GC_STATE_INTERPRETER};
    uint64_t id = 0;
    if (ph_has(L->interp.id) &&
        !ph_target_u64(python->target, address + (uint64_t)L->interp.id, &id))
        return false;
    interp.id = (int64_t)id;
    bool first = python->interpreters.count == 0;
    if ((interp.owns_gc || first) && !read_gc(python, find_gc(python, address), &interp.gc))
        return false;
    return ph_array_push(&python->interpreters, interp);
}

/* Interpreters without a number get one by age, as later versions count. */
static void number_interpreters(struct ph_python *python)
{
    uint32_t count = python->interpreters.count;
    for (uint32_t i = 0; i < count && !ph_has(python->layout.interp.id); i++)
        python->interpreters.items[i].id = count - 1 - i;
}

static bool read_interpreters(struct ph_python *python)
{
    const struct ph_layout *L = &python->layout;
    bool statics = L->traits.gc_state == PH_GC_STATE_STATICS;
    ph_addr main =
        statics ? 0 : ph_python_word(python, python->anchor, L->runtime.interpreters_main);
    ph_addr at = statics ? ph_statics_interpreters(python)
                         : ph_python_word(python, python->anchor, L->runtime.interpreters_head);
    uint32_t main_index = 0;
    while (at && python->interpreters.count < MAX_INTERPRETERS) {
        /* The oldest, where nothing says which is the main one. */
        if (at == main || statics)
            main_index = python->interpreters.count;
        if (!read_interpreter(python, at))
            return false;
        at = ph_python_word(python, at, L->interp.next);
    }
    if (python->interpreters.count == 0)
        return false;
    number_interpreters(python);
    /* CPython links the newest first; users expect the main interpreter first. The shared collector
     * of 3.8 stays with whichever is first. */
    struct ph_interpreter *items = python->interpreters.items;
    struct ph_interpreter first = items[0];
    items[0] = items[main_index];
    items[main_index] = first;
    if (L->traits.gc_state != PH_GC_STATE_INTERPRETER && main_index != 0) {
        items[0].gc = items[main_index].gc;
        items[main_index].gc = (struct ph_gc){0};
    }
    items[0].owns_gc = true;
    return true;
}

static void match_kernel_thread(const struct ph_python *python, struct ph_python_thread *thread)
{
    size_t count;
    const struct ph_thread *threads = ph_target_threads(python->target, &count);
    thread->name = "";
    for (size_t i = 0; i < count; i++) {
        bool same = thread->native_id ? threads[i].tid == thread->native_id
                                      : threads[i].fs_base && threads[i].fs_base == thread->ident;
        if (same) {
            thread->native_id = threads[i].tid;
            thread->name = threads[i].name;
            return;
        }
    }
}

static bool read_threads(struct ph_python *python)
{
    const struct ph_layout *L = &python->layout;
    for (uint32_t i = 0; i < python->interpreters.count; i++) {
        ph_addr interp = python->interpreters.items[i].address;
        ph_addr at = ph_python_word(python, interp, L->interp.threads_head);
        while (at && python->threads.count < MAX_THREADS) {
            if (ph_python_word(python, at, L->tstate.interp) != interp)
                return false;
            struct ph_python_thread thread = {.address = at, .interpreter = i};
            thread.ident = ph_python_word(python, at, L->tstate.thread_id);
            thread.native_id = optional_word(python, at, L->tstate.native_thread_id);
            match_kernel_thread(python, &thread);
            if (!ph_array_push(&python->threads, thread))
                return false;
            at = ph_python_word(python, at, L->tstate.next);
        }
    }
    return true;
}

static bool read_type_type(struct ph_python *python)
{
    const struct ph_layout *L = &python->layout;
    for (uint32_t i = 0; i < python->interpreters.count; i++) {
        ph_addr interp = python->interpreters.items[i].address;
        ph_addr builtins = ph_python_word(python, interp, L->interp.builtins);
        if (!builtins || !ph_python_has_type_name(python, builtins, "dict"))
            continue;
        ph_addr dict_type = ph_python_word(python, builtins, L->object.ob_type);
        python->type_type = ph_python_word(python, dict_type, L->object.ob_type);
        if (ph_python_has_type_name(python, python->type_type, "type") &&
            ph_python_word(python, python->type_type, L->object.ob_type) == python->type_type)
            return true;
    }
    return false;
}

/* Whether the objects of the GC lists begin where their headers end, by the first of each. */
static bool gc_headers_fit(const struct ph_python *python)
{
    const struct ph_layout *L = &python->layout;
    for (uint32_t i = 0; i < python->interpreters.count; i++) {
        for (int g = 0; g <= PH_GEN_PERMANENT; g++) {
            ph_addr head = python->interpreters.items[i].gc.lists[g].head;
            ph_addr next =
                head ? ph_python_word(python, head, L->gc_head.next) & ~(ph_addr)3 : head;
            if (next != head &&
                !ph_python_is_type(python, ph_python_word(python, next + (uint64_t)L->gc_head.size,
                                                          L->object.ob_type)))
                return false;
        }
    }
    return true;
}

/* Whether the main interpreter's table of static types holds types, by its first and its last. It
 * lies far behind in the interpreter, so what a kind of build has more before it shows here. */
static bool static_types_fit(const struct ph_python *python)
{
    const struct ph_layout *L = &python->layout;
    if (L->traits.static_types == PH_STATIC_TYPES_IN_TYPE)
        return true;
    ph_addr interp = python->interpreters.items[0].address;
    uint64_t count = ph_python_word(python, interp, L->interp.static_builtins_count);
    if (!count || count > MAX_STATIC_TYPES)
        return false;
    ph_addr first = interp + (uint64_t)L->interp.static_builtins;
    ph_addr last = first + (count - 1) * (uint64_t)L->static_type_state.size;
    return ph_python_is_type(python, ph_python_word(python, first, L->static_type_state.type)) &&
           ph_python_is_type(python, ph_python_word(python, last, L->static_type_state.type));
}

/* Read everything by this version's table; false where the target contradicts it. */
static bool read_by_table(struct ph_python *python, uint32_t version_hex, unsigned build)
{
    const struct ph_target_info *info = ph_target_info(python->target);
    ph_array_free(&python->interpreters);
    ph_array_free(&python->threads);
    python->version_hex = version_hex;
    if (ph_layout_load(&python->layout, version_hex, build, info->word_bytes, info->big_endian,
                       NULL))
        return false;
    return read_interpreters(python) && read_threads(python) && read_type_type(python) &&
           gc_headers_fit(python) && static_types_fit(python);
}

/* The same for each way in which the version may have been built that no symbol tells. */
static bool read_by_tables(struct ph_python *python, uint32_t version_hex)
{
    /* A trace-refs build exports nothing that others do not from 3.13 on. */
    const unsigned untold[] = {0, PH_BUILD_SHORT_GC_HEAD, PH_BUILD_TRACE_REFS};
    for (size_t i = 0; i < sizeof untold / sizeof *untold; i++) {
        unsigned build = python->build | untold[i];
        if (!read_by_table(python, version_hex, build))
            continue;
        python->build = build;
        return true;
    }
    return false;
}

static enum ph_status choose_table(struct ph_python *python, struct ph_error *err)
{
    const struct ph_target_info *info = ph_target_info(python->target);
    uint32_t hex = ph_version_read(python->target, python->anchor);
    if (hex) {
        ph_version_format(python->version, hex);
        enum ph_status status = ph_layout_load(&python->layout, hex, python->build,
                                               info->word_bytes, info->big_endian, err);
        if (status)
            return status == PH_UNSUPPORTED
                       ? ph_fail(err, status, "Python %s is not supported; %s are", python->version,
                                 ph_layout_versions_text((char[100]){0}))
                       : status;
        if (read_by_tables(python, hex))
            return PH_OK;
        return ph_fail_at(err, PH_BAD_DATA, python->anchor,
                          "Python %s is there, but its interpreter state is not as that version's; "
                          "it is starting, ending, damaged, or built with unknown options",
                          python->version);
    }
    /* Nothing tells the version: an interpreter that has not made sys.version. The tables check
     * themselves. */
    const char *name;
    for (size_t i = 0; (name = ph_layout_version_name(i)) != NULL; i++) {
        char full[40];
        snprintf(full, sizeof full, "%s.0", name);
        if (read_by_tables(python, ph_version_parse(full, strlen(full)))) {
            snprintf(python->version, sizeof python->version, "%.20s", name);
            return PH_OK;
        }
    }
    return ph_fail_at(err, PH_UNSUPPORTED, python->anchor,
                      "a Python interpreter is there, but of no version that is supported");
}

static unsigned read_build(const struct ph_python *python)
{
    ph_addr symbol;
    unsigned build = 0;
    /* Exported by debug builds, and by free-threaded ones, only (Include/object.h). */
    if (ph_target_symbol(python->target, "_Py_NegativeRefcount", &symbol, NULL) == PH_OK)
        build |= PH_BUILD_DEBUG;
    if (ph_target_symbol(python->target, "_Py_MergeZeroLocalRefcount", &symbol, NULL) == PH_OK)
        build |= PH_BUILD_FREE_THREADED;
    /* Trace-refs builds up to 3.12 put two links before ob_refcnt: the type of type is then three
     * words in. */
    ph_addr type;
    unsigned word = ph_target_info(python->target)->word_bytes;
    uint64_t here = 0, later = 0;
    if (ph_target_symbol(python->target, "PyType_Type", &type, NULL) == PH_OK &&
        ph_target_word(python->target, type + word, &here) && here != type &&
        ph_target_word(python->target, type + 3 * word, &later) && later == type &&
        !(build & PH_BUILD_FREE_THREADED))
        build |= PH_BUILD_TRACE_REFS;
    return build;
}

static enum ph_status find_anchor(struct ph_target *target, ph_addr *anchor, struct ph_error *err)
{
    if (ph_target_symbol(target, "_PyRuntime", anchor, NULL) == PH_OK ||
        ph_target_section(target, ".PyRuntime", anchor, NULL) == PH_OK ||
        ph_target_symbol(target, "_PyGC_generation0", anchor, NULL) == PH_OK)
        return PH_OK;
    const char *missing = ph_target_missing_file(target, 0);
    if (missing)
        return ph_fail(
            err, PH_NOT_FOUND,
            "no Python interpreter found, but files of the process are missing (%.120s); "
            "give --exe or --sysroot",
            missing);
    return ph_fail(err, PH_NOT_FOUND,
                   "no Python interpreter in this process (no module defines _PyRuntime or "
                   "_PyGC_generation0)");
}

enum ph_status ph_python_open(struct ph_target *target, struct ph_python **out,
                              struct ph_error *err)
{
    struct ph_python *python = ph_calloc(1, sizeof *python);
    if (!python)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    const struct ph_target_info *info = ph_target_info(target);
    python->target = target;
    python->wide = info->word_bytes == 8;
    python->swap = info->big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    enum ph_status status = find_anchor(target, &python->anchor, err);
    if (!status) {
        python->build = read_build(python);
        status = choose_table(python, err);
    }
    if (status) {
        ph_python_close(python);
        return status;
    }
    *out = python;
    return PH_OK;
}

void ph_python_close(struct ph_python *python)
{
    if (!python)
        return;
    ph_array_free(&python->interpreters);
    ph_array_free(&python->threads);
    free(python);
}
