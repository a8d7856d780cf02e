#include "runtime/python.h"

#include "runtime/find.h"
#include "runtime/statics.h"
#include "runtime/version.h"

#include <stdio.h>

enum {
    MAX_INTERPRETERS = 100000, /* bounds for lists that a broken target could make endless */
    MAX_THREADS = 1000000,
    MAX_STATIC_TYPES = 1000,
    METATYPE_DEPTH = 8,
    PTHREAD_BYTES = 1024,    /* of glibc's struct pthread, among which the thread's id is */
    MAX_DEBUG_OFFSETS = 128, /* words of the block */
    TPFLAGS_HEAPTYPE = 1 << 9,
    TPFLAGS_READY = 1 << 12,
};
#define TPFLAGS_TYPE_SUBCLASS (1ull << 31) /* Include/object.h, every version */

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

/* A symbol of the module that the interpreter lies in. */
static bool has_symbol(const struct ph_python *python, const char *name, ph_addr *address)
{
    return ph_target_symbol_in(python->target, python->anchor, name, address) == PH_OK;
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

/* A circular list head is right iff its neighbours point back. */
static bool is_gc_list(const struct ph_python *python, ph_addr head)
{
    const struct ph_layout *L = &python->layout;
    ph_addr next = ph_python_gc_link(python, head, L->gc_head.next);
    ph_addr prev = ph_python_gc_link(python, head, L->gc_head.prev);
    return next && prev && ph_python_gc_link(python, next, L->gc_head.prev) == head &&
           ph_python_gc_link(python, prev, L->gc_head.next) == head;
}

/* While a collection runs, only the links forward hold: those back are in use as counts, and the
 * head's own still names an object that has moved to another list. */
static bool may_be_gc_list(const struct ph_python *python, ph_addr head)
{
    const struct ph_layout *L = &python->layout;
    ph_addr next = ph_python_gc_link(python, head, L->gc_head.next);
    return next && ph_python_gc_link(python, next, L->gc_head.next);
}

/* The first object of a list; 0 where the list is empty, or head is 0. */
static ph_addr first_object(const struct ph_python *python, ph_addr head)
{
    const struct ph_layout *L = &python->layout;
    ph_addr next = head ? ph_python_gc_link(python, head, L->gc_head.next) : 0;
    return next != head ? next + (uint64_t)L->gc_head.size : 0;
}

static bool is_generation(const struct ph_python *python, const struct ph_gc *gc, ph_addr head)
{
    return is_gc_list(python, head) || (gc->collecting && may_be_gc_list(python, head));
}

/* The lists of all generations, the first at `first`. */
static bool read_generations(const struct ph_python *python, ph_addr first, struct ph_gc *gc)
{
    const struct ph_layout *L = &python->layout;
    for (int i = 0; i < PH_GENERATIONS; i++) {
        ph_addr head = first + (uint64_t)i * (uint64_t)L->gc_generation.size;
        bool lists = L->traits.gc_header != PH_GC_HEADER_NONE;
        if (lists && !is_generation(python, gc, head))
            return false;
        gc->lists[i] = (struct ph_gc_list){
            .head = lists ? head : 0,
            .threshold = ph_python_u32(python, head, L->gc_generation.threshold),
            .count = ph_python_u32(python, head, L->gc_generation.count),
        };
    }
    return true;
}

/* A collector that is only being made: no list has a head. */
static bool is_blank_gc(const struct ph_python *python, ph_addr address)
{
    const struct ph_layout *L = &python->layout;
    ph_addr first = address + (uint64_t)L->gc_state.generations;
    return !optional_word(python, address, L->gc_state.generation0) &&
           !ph_python_word(python, first, L->gc_head.next) &&
           !ph_python_word(python, first, L->gc_head.prev);
}

static bool read_gc(const struct ph_python *python, ph_addr address, struct ph_gc *gc)
{
    const struct ph_layout *L = &python->layout;
    if (L->traits.gc_state == PH_GC_STATE_STATICS) {
        gc->address = address;
        return read_generations(python, address, gc);
    }
    if (is_blank_gc(python, address))
        return true;
    gc->address = address;
    gc->collecting = ph_python_u32(python, address, L->gc_state.collecting) != 0;
    gc->garbage = ph_python_word(python, address, L->gc_state.garbage);
    /* generation0 holds the address of the youngest list; some distributions' builds place the
     * array itself a word half earlier than the declared struct says, so the pointer is believed
     * and the table is the fallback. */
    ph_addr first = optional_word(python, address, L->gc_state.generation0);
    if (first - address >= (uint64_t)L->gc_state.size || !is_generation(python, gc, first))
        first = address + (uint64_t)L->gc_state.generations;
    if (!read_generations(python, first, gc))
        return false;
    ph_addr permanent = address + (uint64_t)L->gc_state.permanent_generation;
    if (L->traits.gc_header != PH_GC_HEADER_NONE && is_gc_list(python, permanent))
        gc->lists[PH_GEN_PERMANENT].head = permanent;
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

/* CPython links the newest first; users expect the main interpreter first, then the oldest. What
 * they share of the collector stays with the first. */
static void order_interpreters(struct ph_python *python, uint32_t main)
{
    struct ph_interpreter *items = python->interpreters.items;
    uint32_t count = python->interpreters.count;
    struct ph_interpreter swap = items[main];
    bool shared = python->layout.traits.gc_state != PH_GC_STATE_INTERPRETER;
    struct ph_gc gc = items[0].gc;
    items[0].gc = shared ? (struct ph_gc){0} : gc;
    items[main] = items[count - 1];
    items[count - 1] = swap;
    for (uint32_t i = 0; i < count / 2; i++) {
        swap = items[i];
        items[i] = items[count - 1 - i];
        items[count - 1 - i] = swap;
    }
    if (shared)
        items[0].gc = gc;
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
    order_interpreters(python, main_index);
    python->interpreters.items[0].owns_gc = true;
    return true;
}

/* A thread's id as it knows it itself. */
static uint64_t own_id(const struct ph_thread *thread)
{
    return thread->own_tid ? thread->own_tid : thread->tid;
}

/* The thread whose id glibc keeps in the struct that pthread_self() points to (nptl/descr.h: struct
 * pthread): the only one of which a word near the beginning is the id. */
static const struct ph_thread *find_by_pthread(const struct ph_python *python, ph_addr ident)
{
    size_t count, len;
    const struct ph_thread *threads = ph_target_threads(python->target, &count), *found = NULL;
    const uint8_t *at = ph_target_view_some(python->target, ident, PTHREAD_BYTES, &len);
    uint64_t least = UINT64_MAX, most = 0;
    for (size_t i = 0; i < count; i++) {
        least = own_id(&threads[i]) < least ? own_id(&threads[i]) : least;
        most = own_id(&threads[i]) > most ? own_id(&threads[i]) : most;
    }
    for (size_t offset = 0; at && offset + 4 <= len; offset += 4) {
        uint32_t word = ph_load_u32(python, at + offset);
        for (size_t i = 0; word >= least && word <= most && i < count; i++) {
            if (word != own_id(&threads[i]))
                continue;
            if (found && found != &threads[i])
                return NULL;
            found = &threads[i];
        }
    }
    return found;
}

/* The kernel's thread of a Python thread; NULL where none is known. pthread_self(), which Python
 * keeps, is the thread pointer; the id that it keeps (3.11 on) is that of the thread's own PID
 * namespace, and the forking thread's in a child that C code forked. */
static const struct ph_thread *find_kernel_thread(const struct ph_python *python,
                                                  const struct ph_python_thread *thread)
{
    size_t count;
    const struct ph_thread *threads = ph_target_threads(python->target, &count);
    for (size_t i = 0; i < count; i++) {
        if (threads[i].fs_base && threads[i].fs_base == thread->ident)
            return &threads[i];
    }
    for (size_t i = 0; i < count && thread->native_id; i++) {
        if (own_id(&threads[i]) == thread->native_id)
            return &threads[i];
    }
    return thread->native_id ? NULL : find_by_pthread(python, thread->ident);
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
            const struct ph_thread *kernel = find_kernel_thread(python, &thread);
            thread.native_id = kernel ? kernel->tid : thread.native_id;
            thread.kernel = kernel;
            if (!ph_array_push(&python->threads, thread))
                return false;
            at = ph_python_word(python, at, L->tstate.next);
        }
    }
    return true;
}

/* A type whose type is itself and that is called "type". */
static bool is_type_type(const struct ph_python *python, ph_addr type)
{
    return type && ph_python_word(python, type, python->layout.object.ob_type) == type &&
           ph_python_has_type_name(python, type, "type");
}

/* The end of the chain of types that begins with an object: `type`, for any object. */
static ph_addr last_metatype(const struct ph_python *python, ph_addr object)
{
    ph_addr type = object;
    for (int depth = 0; type && depth < METATYPE_DEPTH; depth++) {
        if (is_type_type(python, type))
            return type;
        type = ph_python_word(python, type, python->layout.object.ob_type);
    }
    return 0;
}

/* By objects that an interpreter has early or keeps until late, then by the symbol, for one that
 * has none of them yet. */
static bool read_type_type(struct ph_python *python)
{
    const struct ph_layout *L = &python->layout;
    for (uint32_t i = 0; i < python->interpreters.count && !python->type_type; i++) {
        const struct ph_interpreter *interp = &python->interpreters.items[i];
        ph_addr builtins = ph_python_word(python, interp->address, L->interp.builtins);
        python->type_type = last_metatype(python, builtins);
        for (int g = PH_GENERATIONS - 1; g >= 0 && !python->type_type; g--) {
            ph_addr first = first_object(python, interp->gc.lists[g].head);
            if (first)
                python->type_type = last_metatype(python, first);
        }
    }
    ph_addr symbol;
    if (!python->type_type && has_symbol(python, "PyType_Type", &symbol) &&
        is_type_type(python, symbol))
        python->type_type = symbol;
    return python->type_type != 0;
}

static void read_state(struct ph_python *python)
{
    const struct ph_layout *L = &python->layout;
    python->state = PH_PYTHON_RUNS;
    if (!ph_has(L->runtime.finalizing))
        return;
    if (ph_python_word(python, python->anchor, L->runtime.finalizing))
        python->state = PH_PYTHON_ENDS;
    else if (ph_has(L->runtime.initialized) &&
             !ph_python_u32(python, python->anchor, L->runtime.initialized))
        python->state = PH_PYTHON_STARTS;
}

/* Whether the objects of the GC lists begin where their headers end, by the first of each. */
static bool gc_headers_fit(const struct ph_python *python)
{
    const struct ph_layout *L = &python->layout;
    for (uint32_t i = 0; i < python->interpreters.count; i++) {
        for (int g = 0; g <= PH_GEN_PERMANENT; g++) {
            ph_addr first = first_object(python, python->interpreters.items[i].gc.lists[g].head);
            if (first &&
                !ph_python_is_type(python, ph_python_word(python, first, L->object.ob_type)))
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
    if (!count && python->state != PH_PYTHON_RUNS)
        return true;
    if (!count || count > MAX_STATIC_TYPES)
        return false;
    ph_addr first = interp + (uint64_t)L->interp.static_builtins;
    ph_addr last = first + (count - 1) * (uint64_t)L->static_type_state.size;
    return ph_python_is_type(python, ph_python_word(python, first, L->static_type_state.type)) &&
           ph_python_is_type(python, ph_python_word(python, last, L->static_type_state.type));
}

/* The debug offsets of this version; false where the interpreter has none. */
static bool read_debug_offsets(const struct ph_python *python, uint32_t version_hex,
                               uint64_t words[MAX_DEBUG_OFFSETS])
{
    size_t count = ph_debug_offsets_words(version_hex);
    uint32_t said;
    const uint8_t *block =
        count && count <= MAX_DEBUG_OFFSETS &&
                ph_runtime_has_cookie(python->target, python->anchor, &said)
            ? ph_target_view(python->target, python->anchor, count * sizeof *words)
            : NULL;
    if (!block)
        return false;
    for (size_t i = 0; i < count; i++)
        words[i] = ph_load_u64(python, block + i * sizeof *words);
    return true;
}

static bool load_layout(struct ph_python *python, uint32_t table_hex, unsigned build)
{
    const struct ph_target_info *info = ph_target_info(python->target);
    return ph_layout_load(&python->layout, table_hex, build, info->word_bytes, info->big_endian,
                          NULL) == PH_OK;
}

/* Load a table and put the debug offsets over it. Their size of the collector's state tells whether
 * the collector is 3.14's incremental one. */
static bool load_with_offsets(struct ph_python *python, uint32_t table_hex, unsigned build,
                              const uint64_t *offsets)
{
    if (!load_layout(python, table_hex, build))
        return false;
    int32_t gc_bytes = python->layout.gc_state.size;
    if (ph_layout_use_debug_offsets(&python->layout, python->version_hex, offsets, NULL))
        return false;
    if (python->layout.gc_state.size == gc_bytes)
        return true;
    return load_layout(python, table_hex, build | PH_BUILD_INCREMENTAL_GC) &&
           ph_layout_use_debug_offsets(&python->layout, python->version_hex, offsets, NULL) ==
               PH_OK;
}

/* Read everything by the table of table_hex, and by the debug offsets unless they are NULL; false
 * where the target contradicts it. */
static bool read_by(struct ph_python *python, uint32_t table_hex, unsigned build,
                    const uint64_t *offsets)
{
    ph_array_free(&python->interpreters);
    ph_array_free(&python->threads);
    python->type_type = 0;
    bool loaded = offsets ? load_with_offsets(python, table_hex, build, offsets)
                          : load_layout(python, table_hex, build);
    if (!loaded)
        return false;
    read_state(python);
    return read_interpreters(python) && read_threads(python) && read_type_type(python) &&
           gc_headers_fit(python) && static_types_fit(python);
}

/* Read everything by this version's table, with the debug offsets if it has some that stand the
 * checks; false where the target contradicts it. */
static bool read_by_table(struct ph_python *python, uint32_t version_hex, unsigned build)
{
    uint64_t offsets[MAX_DEBUG_OFFSETS];
    python->version_hex = version_hex;
    return (read_debug_offsets(python, version_hex, offsets) &&
            read_by(python, version_hex, build, offsets)) ||
           read_by(python, version_hex, build, NULL);
}

/* Fields of an interpreter's state that the debug offsets do not give, and the types of what they
 * refer to, if to anything. */
#define TYPED(f, type)                                                                             \
    {                                                                                              \
        offsetof(struct ph_layout, interp.f), type                                                 \
    }
static const struct {
    size_t member;
    const char *type;
} typed_fields[] = {
    TYPED(modules, "dict"),
    TYPED(sysdict, "dict"),
    TYPED(builtins, "dict"),
    TYPED(importlib, "module"),
    TYPED(codec_search_path, "list"),
    TYPED(codec_search_cache, "dict"),
    TYPED(codec_error_registry, "dict"),
    TYPED(warnings_filters, "list"),
    TYPED(warnings_once_registry, "dict"),
    TYPED(warnings_default_action, "str"),
    TYPED(sysdict_copy, "dict"),
    TYPED(builtins_copy, "dict"),
    TYPED(dict, "dict"),
    TYPED(interned, "dict"),
};

/* Whether an interpreter that no table was made for is as the newest table says, where the debug
 * offsets are silent. */
static bool is_like_newest(const struct ph_python *python)
{
    const struct ph_layout *L = &python->layout;
    ph_addr interp = python->interpreters.items[0].address;
    for (size_t i = 0; i < sizeof typed_fields / sizeof *typed_fields; i++) {
        int32_t offset;
        memcpy(&offset, (const char *)L + typed_fields[i].member, sizeof offset);
        ph_addr object = optional_word(python, interp, offset);
        if (object && !ph_python_has_type_name(python, object, typed_fields[i].type))
            return false;
    }
    /* type inherits from object, and both are among the static types. */
    ph_addr object_type = ph_python_word(python, python->type_type, L->type.tp_base);
    ph_addr first =
        ph_python_word(python, interp, L->interp.static_builtins + L->static_type_state.type);
    return ph_python_is_type(python, object_type) &&
           !ph_python_word(python, object_type, L->type.tp_base) &&
           ph_python_is_type(python, first);
}

/* A version that is newer than all tables: by the newest one and its own debug offsets. */
static bool read_untested(struct ph_python *python, uint32_t version_hex)
{
    const char *newest = NULL, *name;
    uint64_t offsets[MAX_DEBUG_OFFSETS];
    char full[40];
    for (size_t i = 0; (name = ph_layout_version_name(i)) != NULL; i++)
        newest = name;
    snprintf(full, sizeof full, "%s.255", newest);
    uint32_t table_hex = ph_version_parse(full, strlen(full));
    python->version_hex = version_hex;
    python->untested = true;
    return version_hex > table_hex && read_debug_offsets(python, version_hex, offsets) &&
           read_by(python, table_hex, python->build, offsets) && is_like_newest(python);
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

/* Whether no interpreter of this kind was ever read: its tables are from headers alone. */
static bool is_of_unread_kind(const struct ph_python *python)
{
    return python->build & PH_BUILD_FREE_THREADED && python->version_hex >= 0x030e0000;
}

/* The library or program that the interpreter is part of, for error lines. */
static const char *module_name(const struct ph_python *python)
{
    const struct ph_module *module = ph_target_module_at(python->target, python->anchor);
    const char *slash = module ? strrchr(module->path, '/') : NULL;
    return slash ? slash + 1 : module ? module->path : "";
}

static bool has_interpreter(const struct ph_python *python)
{
    int32_t head = python->layout.runtime.interpreters_head;
    return ph_has(head) && ph_python_word(python, python->anchor, head) != 0;
}

static enum ph_status fail_without_interpreter(const struct ph_python *python, struct ph_error *err)
{
    return ph_fail_at(
        err, PH_NOT_FOUND, python->anchor,
        "Python%s%s is loaded (%.100s), but does not run: it has not been started, or "
        "has ended",
        python->version[0] ? " " : "", python->version, module_name(python));
}

/* Room for what say_missing() writes. */
enum { MISSING_BYTES = 220 };

/* Which of the process's files are missing, and what to give; false where none is. */
static bool say_missing(const struct ph_target *target, char text[MISSING_BYTES])
{
    const char *first = ph_target_missing_file(target, 0);
    size_t more = 0;
    char others[40] = "";
    while (first && ph_target_missing_file(target, more + 1))
        more++;
    if (more)
        snprintf(others, sizeof others, ", and %zu more", more);
    snprintf(text, MISSING_BYTES,
             "files of its process are missing (%.120s%s); give --sysroot, or --exe for the "
             "program alone",
             first ? first : "", others);
    return first;
}

static enum ph_status fail_at_state(const struct ph_python *python, struct ph_error *err)
{
    static const char *const reasons[] = {
        [PH_PYTHON_RUNS] = "there, but its interpreter state is not as that version's",
        [PH_PYTHON_STARTS] = "only starting: its interpreter state is not complete yet",
        [PH_PYTHON_ENDS] = "ending: its interpreter state is not complete any more",
    };
    char missing[MISSING_BYTES];
    if (say_missing(python->target, missing))
        return ph_fail_at(err, PH_BAD_DATA, python->anchor, "Python %s is there, but %s",
                          python->version, missing);
    return ph_fail_at(err, PH_BAD_DATA, python->anchor, "Python %s is %s", python->version,
                      reasons[python->state]);
}

static enum ph_status choose_table(struct ph_python *python, struct ph_error *err)
{
    const struct ph_target_info *info = ph_target_info(python->target);
    uint32_t hex = ph_version_read(python->target, python->anchor);
    if (hex) {
        ph_version_format(python->version, hex);
        enum ph_status status = ph_layout_load(&python->layout, hex, python->build,
                                               info->word_bytes, info->big_endian, err);
        if (status == PH_UNSUPPORTED && read_untested(python, hex))
            return PH_OK;
        if (status)
            return status == PH_UNSUPPORTED
                       ? ph_fail(err, status, "Python %s is not supported; %s are", python->version,
                                 ph_layout_versions_text((char[100]){0}))
                       : status;
        /* The overlay of free-threaded builds says that there are no GC headers. */
        if ((python->build & PH_BUILD_FREE_THREADED) &&
            python->layout.traits.gc_header != PH_GC_HEADER_NONE)
            return ph_fail(
                err, PH_UNSUPPORTED,
                "Python %s is free-threaded, which is not supported for this version yet",
                python->version);
        if (read_by_tables(python, hex)) {
            python->untested = is_of_unread_kind(python);
            return PH_OK;
        }
        return has_interpreter(python) ? fail_at_state(python, err)
                                       : fail_without_interpreter(python, err);
    }
    /* Nothing tells the version: an interpreter that has not made sys.version. The tables check
     * themselves. */
    const char *name;
    bool any = false;
    for (size_t i = 0; (name = ph_layout_version_name(i)) != NULL; i++) {
        char full[40];
        snprintf(full, sizeof full, "%s.0", name);
        if (read_by_tables(python, ph_version_parse(full, strlen(full)))) {
            snprintf(python->version, sizeof python->version, "%.20s", name);
            python->version_is_a_guess = true;
            return PH_OK;
        }
        any = any || has_interpreter(python);
    }
    if (!any)
        return fail_without_interpreter(python, err);
    return ph_fail_at(err, PH_UNSUPPORTED, python->anchor,
                      "a Python interpreter is there (%.100s), but it is only starting, or of no "
                      "version that is supported",
                      module_name(python));
}

static unsigned read_build(const struct ph_python *python)
{
    ph_addr symbol;
    unsigned build = 0;
    /* Exported by debug builds, and by free-threaded ones, only (Include/object.h). */
    if (has_symbol(python, "_Py_NegativeRefcount", &symbol))
        build |= PH_BUILD_DEBUG;
    if (has_symbol(python, "_Py_MergeZeroLocalRefcount", &symbol))
        build |= PH_BUILD_FREE_THREADED;
    if (ph_target_symbol(python->target, "PyUnicodeUCS4_AsUnicode", &symbol, NULL) == PH_OK)
        build |= PH_BUILD_WIDE_UNICODE;
    /* Trace-refs builds up to 3.12 put two links before ob_refcnt: the type of type is then three
     * words in. */
    ph_addr type;
    unsigned word = ph_target_info(python->target)->word_bytes;
    uint64_t here = 0, later = 0;
    if (has_symbol(python, "PyType_Type", &type) &&
        ph_target_word(python->target, type + word, &here) && here != type &&
        ph_target_word(python->target, type + 3 * word, &later) && later == type &&
        !(build & PH_BUILD_FREE_THREADED))
        build |= PH_BUILD_TRACE_REFS;
    return build;
}

static enum ph_status fail_without_runtime(struct ph_target *target, struct ph_error *err)
{
    char missing[MISSING_BYTES];
    if (say_missing(target, missing))
        return ph_fail(err, PH_NOT_FOUND, "no Python interpreter is found, but %s", missing);
    return ph_fail(err, PH_NOT_FOUND,
                   "no Python interpreter in this process (no module defines _PyRuntime or "
                   "_PyGC_generation0)");
}

/* The interpreter with this anchor. *out is created in any case, but for lack of
 * memory, and tells the version as far as it is known. */
static enum ph_status open_at(struct ph_target *target, ph_addr anchor, struct ph_python **out,
                              struct ph_error *err)
{
    struct ph_python *python = *out = ph_calloc(1, sizeof *python);
    if (!python)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    const struct ph_target_info *info = ph_target_info(target);
    python->target = target;
    python->anchor = anchor;
    python->wide = info->word_bytes == 8;
    python->swap = info->big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    python->build = read_build(python);
    return choose_table(python, err);
}

/* Take the first that runs; note the others. Where none does, the error is that of the first which
 * at least was started. */
static enum ph_status choose_runtime(struct ph_target *target, const struct ph_anchors *found,
                                     struct ph_python **out, struct ph_error *err)
{
    struct ph_python *chosen = NULL;
    struct ph_error first = {0};
    struct ph_other_pythons others = {0};
    for (uint32_t i = 0; i < found->count; i++) {
        struct ph_python *python;
        struct ph_error its = {0};
        enum ph_status status = open_at(target, found->items[i], &python, &its);
        if (!first.status || (first.status == PH_NOT_FOUND && status != PH_NOT_FOUND))
            first = its;
        if (!status && !chosen) {
            chosen = python;
            continue;
        }
        struct ph_other_python other = {.anchor = found->items[i], .runs = !status};
        if (python)
            memcpy(other.version, python->version, sizeof other.version);
        ph_python_close(python);
        if (!ph_array_push(&others, other))
            first = (struct ph_error){.status = PH_NO_MEMORY};
    }
    if (!chosen) {
        ph_array_free(&others);
        if (err)
            *err = first;
        return first.status;
    }
    chosen->others = others;
    *out = chosen;
    return PH_OK;
}

enum ph_status ph_python_open(struct ph_target *target, struct ph_python **out,
                              struct ph_error *err)
{
    struct ph_anchors found = {0};
    enum ph_status status = PH_OK;
    if (!ph_anchors_find(target, &found))
        status = ph_fail(err, PH_NO_MEMORY, "out of memory");
    else if (!found.count)
        status = fail_without_runtime(target, err);
    else
        status = choose_runtime(target, &found, out, err);
    ph_array_free(&found);
    return status;
}

void ph_python_close(struct ph_python *python)
{
    if (!python)
        return;
    ph_array_free(&python->interpreters);
    ph_array_free(&python->threads);
    ph_array_free(&python->others);
    free(python);
}
