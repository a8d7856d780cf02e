#include "analysis/verify_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/attached.h"
#include "runtime/refcount.h"

enum {
    OBJECTS_A_PIECE = 1 << 14,
    MOST_PROBLEMS = 10000, /* kept; more are counted */
    BUSY_BYTES = 4096,     /* of the stack of a running thread: its innermost functions */
};

/* ---- problems ---- */

const char *ph_problem_kind_name(enum ph_problem_kind kind)
{
    static const char *const names[] = {
        [PH_PROBLEM_GC_LINK] = "gc-link",
        [PH_PROBLEM_GC_FLAGS] = "gc-flags",
        [PH_PROBLEM_TYPE] = "type",
        [PH_PROBLEM_REFCOUNT] = "refcount",
        [PH_PROBLEM_REFERENCE] = "reference",
        [PH_PROBLEM_POOL] = "pool",
        [PH_PROBLEM_ARENA] = "arena",
        [PH_PROBLEM_DICT] = "dict",
        [PH_PROBLEM_SET] = "set",
        [PH_PROBLEM_LIST] = "list",
        [PH_PROBLEM_TUPLE] = "tuple",
    };
    return names[kind];
}

/* No two pairs share a key: addresses of objects and pools are of 57 bits at most. */
static uint64_t report_key(ph_addr address, enum ph_problem_kind kind)
{
    return address ^ ((uint64_t)kind + 1) << 58;
}

static bool is_new(struct ph_verifier *v, ph_addr address, enum ph_problem_kind kind)
{
    bool added = false;
    if (!ph_map_at(&v->reports->keys, report_key(address, kind), &added))
        v->reports->failed = true;
    return added;
}

void ph_report(struct ph_verifier *v, ph_addr address, enum ph_problem_kind kind, bool passing,
               const char *format, ...)
{
    struct ph_reports *reports = v->reports;
    char sentence[400];
    va_list args;
    if (ph_target_is_frozen(v->python->target)) {
        ph_target_miss();
        return;
    }
    if (reports->keys.count >= 8 * MOST_PROBLEMS) {
        reports->out->problem_count++; /* no longer each once */
        return;
    }
    if (!is_new(v, address, kind))
        return;
    reports->out->problem_count++;
    if (reports->out->problems.count >= MOST_PROBLEMS)
        return;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    passing |= v->busy.count && ph_map_find(&v->busy, address, NULL);
    struct ph_problem problem = {
        .address = address,
        .kind = kind,
        .detail = ph_arena_strdup(&reports->out->text, sentence),
        .passing = passing,
    };
    reports->passing_count += passing;
    if (!problem.detail || !ph_array_push(&reports->out->problems, problem))
        reports->failed = true;
}

/* Each thread that runs may be in the middle of one change. */
static void leave_out_passing(struct ph_reports *reports)
{
    struct ph_verification *out = reports->out;
    if (reports->passing_count == 0 || reports->passing_count > out->attached_count)
        return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < out->problems.count; i++) {
        if (!out->problems.items[i].passing)
            out->problems.items[kept++] = out->problems.items[i];
        else if (!ph_array_push(&out->passing, out->problems.items[i]))
            reports->failed = true;
    }
    out->problems.count = kept;
    out->problem_count -= reports->passing_count;
}

static int by_address(const void *a, const void *b)
{
    const struct ph_problem *x = a, *y = b;
    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    return (int)x->kind - (int)y->kind;
}

bool ph_verify_clear(struct ph_verifier *v, uint64_t count)
{
    if (!ph_array_reserve(&v->marks, count / 8 + 1)) {
        v->failed = true;
        return false;
    }
    memset(v->marks.items, 0, (size_t)(count / 8 + 1));
    return true;
}

/* ---- types ---- */

/* A type is at least as large as its base, for its instances begin with one of these
 * (Objects/typeobject.c: PyType_Ready). */
static void check_types(struct ph_verifier *v)
{
    const struct ph_objects *objects = &v->heap->objects;
    for (uint32_t i = 0; i < objects->types.count; i++) {
        const struct ph_type *type = objects->types.items[i];
        if (type->base && type->basicsize < type->base->basicsize)
            ph_report(v, type->address, PH_PROBLEM_TYPE, PH_LASTING,
                      "its tp_basicsize of %" PRIu64 " is less than its base's %" PRIu64,
                      type->basicsize, type->base->basicsize);
    }
}

/* Whether an object may begin here: in a block that is in use and no buffer, behind what types may
 * demand before an object. */
static bool may_begin_here(const struct ph_verifier *v, ph_addr address)
{
    const struct ph_heap *heap = v->heap;
    const struct ph_run *run = ph_blocks_find(&heap->blocks, address);
    uint32_t gc = ph_python_gc_header_bytes(v->python), slot;
    uint64_t offset = 0;
    ph_addr start;
    if (run) {
        if (!ph_run_block(run, address, &slot, &offset) ||
            heap->blocks.slots.items[slot] != PH_SLOT_USED)
            return false;
    } else if (ph_chunks_block_at(&heap->chunks, v->python, address, &start)) {
        offset = address - start;
    } else {
        return false;
    }
    offset -= heap->allocator.prefix_bytes;
    return offset == 0 || offset == gc || offset == gc + 2 * ph_word_bytes(v->python);
}

/* What is wrong with the type of an object that is sure to be one. */
static void report_bad_type(struct ph_verifier *v, ph_addr address, ph_addr type)
{
    const struct ph_layout *L = &v->python->layout;
    if (!ph_python_is_type(v->python, type))
        ph_report(v, address, PH_PROBLEM_TYPE, PH_LASTING, "its type, 0x%" PRIx64 ", is no type",
                  type);
    else
        ph_report(v, type, PH_PROBLEM_TYPE, PH_LASTING,
                  "its tp_basicsize of %" PRId64 " and tp_itemsize of %" PRId64 " cannot be",
                  (int64_t)ph_python_word(v->python, type, L->type.tp_basicsize),
                  (int64_t)ph_python_word(v->python, type, L->type.tp_itemsize));
}

bool ph_verify_missing(struct ph_verifier *v, ph_addr address, bool surely)
{
    const struct ph_layout *L = &v->python->layout;
    const uint8_t *head = address % ph_word_bytes(v->python) == 0
                              ? ph_target_view(v->python->target, address, (size_t)L->object.size)
                              : NULL;
    if (!head || (!surely && !may_begin_here(v, address)))
        return false;
    ph_addr type_address = ph_load_ptr(v->python, head + L->object.ob_type);
    const struct ph_type *type = ph_type_at(&v->heap->objects, type_address);
    struct ph_refcount refs = ph_refcount_read(v->python, head);
    if (!type)
        report_bad_type(v, address, type_address);
    else if (!refs.immortal && refs.count <= 0)
        ph_report(v, address, PH_PROBLEM_REFCOUNT, PH_PASSING,
                  "its reference count is %" PRId64 ", and it is still referred to", refs.count);
    else
        ph_report(v, address, PH_PROBLEM_TYPE, PH_LASTING,
                  "it does not lie in its memory as its type, %s, demands", type->name);
    return true;
}

/* ---- objects ---- */

/* False where the object's references cannot be followed. */
static bool check_structure(struct ph_verifier *v, uint32_t id, const struct ph_object *o)
{
    const struct ph_type *type = o->type;
    if ((type->flags & PH_TPFLAGS_DICT_SUBCLASS) || type->family == &ph_family_dict)
        return ph_verify_dict(v, o);
    if (type->family == &ph_family_set)
        return ph_verify_set(v, o);
    if (type->family == &ph_family_list)
        return ph_verify_list(v, id, o);
    if (type->family == &ph_family_tuple)
        return ph_verify_tuple(v, id, o);
    if (type->flags & PH_TPFLAGS_TYPE_SUBCLASS)
        ph_verify_shared_keys(v, o);
    return true;
}

static void check_object(struct ph_verifier *v, uint32_t id)
{
    struct ph_object o;
    /* What nobody refers to may be what is left of an object. */
    if (!(v->heap->flags[id] & PH_OBJECT_REACHABLE) || !ph_heap_type(v->heap, id)->has_refs ||
        !ph_heap_open(v->heap, id, &o))
        return;
    if (check_structure(v, id, &o))
        ph_verify_references(v, id, &o);
}

/* ---- several workers ---- */

struct piece {
    struct ph_nodes owned;
    struct ph_unfilled_items unfilled;
    bool failed;
};

struct share {
    struct ph_verifier *v;
    void (*check)(struct ph_verifier *v, uint32_t id);
    struct piece *pieces;
};

static void check_piece(void *ctx, uint32_t first, uint32_t end)
{
    const struct share *share = ctx;
    struct piece *p = &share->pieces[first / OBJECTS_A_PIECE];
    struct ph_verifier v = *share->v;
    v.host = NULL;
    v.owned = p->owned;
    v.unfilled = p->unfilled;
    v.owned.count = v.unfilled.count = 0;
    memset(&v.marks, 0, sizeof v.marks);
    v.text = (struct ph_str){0};
    for (uint32_t id = first; id < end && !v.failed; id++)
        share->check(&v, id);
    *p = (struct piece){v.owned, v.unfilled, v.failed};
    ph_array_free(&v.marks);
    ph_str_free(&v.text);
}

static void count_piece(void *ctx, uint32_t first, uint32_t end)
{
    const struct share *share = ctx;
    struct piece *p = &share->pieces[first / OBJECTS_A_PIECE];
    (void)end;
    for (uint32_t i = 0; i < p->owned.count; i++)
        __atomic_fetch_add(&share->v->found[p->owned.items[i]], 1, __ATOMIC_RELAXED);
    ph_array_free(&p->owned);
}

static void join_piece(struct ph_verifier *v, struct piece *p)
{
    v->failed |= p->failed;
    for (uint32_t i = 0; i < p->unfilled.count; i++)
        v->failed |= !ph_array_push(&v->unfilled, p->unfilled.items[i]);
    ph_array_free(&p->owned);
    ph_array_free(&p->unfilled);
}

void ph_verify_objects(struct ph_verifier *v, const char *phase,
                       void (*check)(struct ph_verifier *v, uint32_t id))
{
    uint32_t count = v->heap->count / OBJECTS_A_PIECE + 1;
    struct share share = {v, check, ph_calloc(count, sizeof *share.pieces)};
    const struct ph_sharing sharing = {
        .piece_ids = OBJECTS_A_PIECE,
        .phase = phase,
        .work = check_piece,
        .finish = count_piece,
        .ctx = &share,
    };
    enum ph_status status = share.pieces ? ph_heap_share(v->heap, &sharing, v->host) : PH_NO_MEMORY;
    for (uint32_t i = 0; share.pieces && i < count; i++)
        join_piece(v, &share.pieces[i]);
    free(share.pieces);
    v->interrupted |= status == PH_INTERRUPTED;
    v->failed |= status == PH_NO_MEMORY;
}

/* ---- running threads ---- */

/* Objects that the innermost functions of running threads have at hand: what these change may not
 * be whole. */
static void find_busy(struct ph_verifier *v)
{
    struct ph_target *target = v->python->target;
    unsigned word = ph_word_bytes(v->python);
    size_t count;
    const struct ph_thread *threads = ph_target_threads(target, &count);
    for (size_t i = 0; i < count && !v->at_rest; i++) {
        size_t len = 0;
        const uint8_t *stack =
            threads[i].sp ? ph_target_view_some(target, threads[i].sp, BUSY_BYTES, &len) : NULL;
        for (size_t at = 0; stack && at + word <= len; at += word) {
            ph_addr address = ph_load_ptr(v->python, stack + at);
            if (ph_heap_find(v->heap, address) != PH_NO_OBJECT &&
                !ph_map_insert(&v->busy, address, 1))
                v->failed = true;
        }
    }
}

/* ---- all of it ---- */

static enum ph_status check_all(struct ph_verifier *v)
{
    v->found = ph_calloc(v->heap->count + 1u, sizeof *v->found);
    if (!v->found)
        return PH_NO_MEMORY;
    find_busy(v);
    check_types(v);
    ph_verify_gc_lists(v);
    ph_verify_pools(v);
    ph_verify_objects(v, "verifying", check_object);
    ph_verify_roots(v);
    ph_verify_unfilled(v);
    ph_verify_counts(v);
    leave_out_passing(v->reports);
    if (v->interrupted)
        return PH_INTERRUPTED;
    return v->failed || v->reports->failed ? PH_NO_MEMORY : PH_OK;
}

enum ph_status ph_verify(struct ph_heap *heap, const struct ph_host *host,
                         struct ph_verification *out, struct ph_error *err)
{
    struct ph_reports reports = {.out = out};
    struct ph_verifier v = {
        .heap = heap,
        .python = heap->objects.python,
        .host = host,
        .reports = &reports,
    };
    *out = (struct ph_verification){
        .attached_count = ph_python_attached_count(v.python),
        .object_count = heap->count,
        .pool_count = heap->blocks.runs.count,
    };
    v.at_rest = out->attached_count == 0;
    enum ph_status status = check_all(&v);
    if (out->problems.count)
        qsort(out->problems.items, out->problems.count, sizeof *out->problems.items, by_address);
    ph_map_free(&reports.keys);
    ph_map_free(&v.busy);
    ph_array_free(&v.unfilled);
    ph_array_free(&v.marks);
    ph_str_free(&v.text);
    free(v.found);
    if (!status)
        return PH_OK;
    ph_verification_free(out);
    return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
}

void ph_verification_free(struct ph_verification *verification)
{
    ph_array_free(&verification->problems);
    ph_array_free(&verification->passing);
    ph_arena_free(&verification->text);
}
