#include "analysis/pandas.h"

#include "objects/dict.h"
#include "objects/extension.h"
#include "objects/int_value.h"
#include "objects/str.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    OBJECTS_A_LOOK = 1 << 14,
    LONGEST_CHAIN = 100,
    MOST_BLOCKS = 1 << 20, /* of one frame */
    MOST_COLUMNS = 1 << 24,
    MOST_LEVELS = 100, /* of a MultiIndex */
    NAME_CHARS = 40,
};

struct search {
    struct ph_heap *heap;
    struct ph_pandas *out;
    bool failed; /* out of memory */
};

static bool inherits(const struct ph_heap *heap, uint32_t id, const char *name)
{
    return id != PH_NO_OBJECT && ph_type_inherits(ph_heap_type(heap, id), name);
}

static bool is_ndarray(const struct ph_heap *heap, uint32_t id)
{
    return inherits(heap, id, "numpy.ndarray");
}

static uint32_t attribute(struct ph_heap *heap, uint32_t id, const char *name)
{
    struct ph_object o;
    ph_addr value =
        ph_heap_open(heap, id, &o) ? ph_instance_attribute(&heap->objects, &o, name) : 0;
    return value ? ph_heap_find(heap, value) : PH_NO_OBJECT;
}

/* ---- what an object refers to, by kind ---- */

struct parts {
    struct ph_heap *heap;
    uint32_t tuple, list, slice, placement, dict, array;
    uint32_t arrays[4];          /* all of them, as far as there is room */
    uint32_t array_count, other; /* other: an instance of a class */
};

static void note_part(void *ctx, uint32_t target, struct ph_label label, unsigned flags)
{
    struct parts *p = ctx;
    const struct ph_type *type = ph_heap_type(p->heap, target);
    (void)label;
    if (!(flags & PH_REF_STRONG) || type->flags & PH_TPFLAGS_TYPE_SUBCLASS)
        return;
    uint32_t *part = type->family == &ph_family_slice ? &p->slice
                     : ph_type_inherits(type, "pandas._libs.internals.BlockPlacement")
                         ? &p->placement
                     : type->flags & PH_TPFLAGS_TUPLE_SUBCLASS ? &p->tuple
                     : type->flags & PH_TPFLAGS_LIST_SUBCLASS  ? &p->list
                     : type->flags & PH_TPFLAGS_DICT_SUBCLASS  ? &p->dict
                     : ph_type_inherits(type, "numpy.ndarray") ? &p->array
                     : type->is_heap                           ? &p->other
                                                               : NULL;
    if (part == &p->array && p->array_count < sizeof p->arrays / sizeof *p->arrays)
        p->arrays[p->array_count++] = target;
    if (part && *part == PH_NO_OBJECT)
        *part = target;
}

static struct parts parts_of(struct ph_heap *heap, uint32_t id)
{
    struct parts p = {.heap = heap,
                      .tuple = PH_NO_OBJECT,
                      .list = PH_NO_OBJECT,
                      .slice = PH_NO_OBJECT,
                      .placement = PH_NO_OBJECT,
                      .dict = PH_NO_OBJECT,
                      .array = PH_NO_OBJECT,
                      .other = PH_NO_OBJECT};
    if (id != PH_NO_OBJECT)
        ph_heap_edges(heap, id, note_part, &p);
    return p;
}

/* Item i of a tuple or list of so many at most. */
static uint32_t item(struct ph_heap *heap, uint32_t id, uint32_t i)
{
    const struct ph_python *python = heap->objects.python;
    const struct ph_layout *L = &python->layout;
    struct ph_object o;
    if (id == PH_NO_OBJECT || !ph_heap_open(heap, id, &o) ||
        i >= ph_sane_count(ph_object_var_size(&heap->objects, &o)))
        return PH_NO_OBJECT;
    bool is_list = o.type->flags & PH_TPFLAGS_LIST_SUBCLASS;
    ph_addr items = is_list ? ph_object_ptr(&heap->objects, &o, L->list.ob_item)
                            : o.address + (uint64_t)L->tuple.ob_item;
    return ph_heap_find(heap, ph_python_word(python, items, (int64_t)i * ph_word_bytes(python)));
}

/* ---- arrays of numbers and objects ---- */

/* Where item i of an array of one dimension lies, and how large it is. */
static ph_addr array_item(struct ph_heap *heap, uint32_t id, uint32_t i, uint64_t *bytes)
{
    const struct ph_python *python = heap->objects.python;
    struct ph_object o;
    struct ph_array array;
    int64_t strides;
    if (!ph_heap_open(heap, id, &o) || !ph_object_array(&heap->objects, &o, &array) ||
        !array.shaped || array.dimensions != 1 || i >= (uint64_t)array.shape[0] ||
        !ph_extension_number(&heap->objects, &o, "strides", &strides))
        return 0;
    *bytes = array.nbytes / (uint64_t)array.shape[0];
    int64_t stride = (int64_t)ph_python_word(python, (ph_addr)strides, 0);
    return array.start + (uint64_t)(stride * (int64_t)i);
}

/* Whether it is an array, and the name of what that holds begins so. */
static bool has_dtype(struct ph_heap *heap, uint32_t id, const char *name)
{
    struct ph_object o;
    struct ph_str dtype = {0};
    if (is_ndarray(heap, id) && ph_heap_open(heap, id, &o))
        ph_object_dtype(&heap->objects, &o, &dtype);
    bool yes = strncmp(ph_str_text(&dtype), name, strlen(name)) == 0;
    ph_str_free(&dtype);
    return yes;
}

/* ---- blocks ---- */

static bool int_field(struct ph_heap *heap, const struct ph_object *o, int32_t offset,
                      uint64_t *value)
{
    return ph_int_value(&heap->objects, ph_object_ptr(&heap->objects, o, offset), value);
}

/* False: enough. */
static bool add_column(struct search *s, uint64_t position)
{
    if (position >= MOST_COLUMNS || s->out->columns.count >= MOST_COLUMNS)
        return false;
    s->failed |= !ph_array_push(&s->out->columns, (uint32_t)position);
    return !s->failed;
}

/* The positions of a block's columns in its frame. */
static void add_columns(struct search *s, uint32_t placement)
{
    struct ph_heap *heap = s->heap;
    const struct ph_layout *L = &heap->objects.python->layout;
    struct parts p = parts_of(heap, placement);
    struct ph_object slice;
    uint64_t start, stop, step, bytes;
    ph_addr at;
    if (p.slice != PH_NO_OBJECT && ph_heap_open(heap, p.slice, &slice) &&
        int_field(heap, &slice, L->slice.start, &start) &&
        int_field(heap, &slice, L->slice.stop, &stop)) {
        if (!int_field(heap, &slice, L->slice.step, &step) || step == 0)
            step = 1;
        while (start < stop && add_column(s, start))
            start += step;
        return;
    }
    for (uint32_t i = 0; p.array != PH_NO_OBJECT; i++) {
        at = array_item(heap, p.array, i, &bytes);
        if (!at || !add_column(s, ph_python_word(heap->objects.python, at, 0)))
            break;
    }
}

/* An array and those that it is a view of. */
static void add_array(struct search *s, uint32_t array, struct ph_pandas_use use)
{
    struct ph_heap *heap = s->heap;
    struct ph_array seen;
    struct ph_object o;
    for (int i = 0; i < LONGEST_CHAIN && is_ndarray(heap, array) && !s->failed; i++) {
        use.array = array;
        s->failed = !ph_array_push(&s->out->uses, use);
        if (!ph_heap_open(heap, array, &o) || !ph_object_array(&heap->objects, &o, &seen) ||
            seen.owns)
            return;
        array = ph_heap_find(heap, seen.base);
    }
}

/* A block's values: an array, or an object that has some, in attributes or in fields. */
static void add_block(struct search *s, uint32_t block, struct ph_pandas_use use)
{
    struct parts p = parts_of(s->heap, block);
    if (use.index != PH_NO_OBJECT) {
        use.first_column = s->out->columns.count;
        add_columns(s, p.placement);
        use.column_count = s->out->columns.count - use.first_column;
    }
    for (uint32_t i = 0; i < p.array_count; i++)
        add_array(s, p.arrays[i], use);
    if (p.array_count || p.other == PH_NO_OBJECT)
        return;
    struct parts values = parts_of(s->heap, p.other);
    for (uint32_t i = 0; i < values.array_count; i++)
        add_array(s, values.arrays[i], use);
    struct parts attributes = parts_of(s->heap, values.dict);
    for (uint32_t i = 0; i < attributes.array_count; i++)
        add_array(s, attributes.arrays[i], use);
}

static void add_frame(struct search *s, uint32_t frame, bool has_columns)
{
    struct parts manager = parts_of(s->heap, attribute(s->heap, frame, "_mgr"));
    struct ph_pandas_use use = {.frame = frame, .index = PH_NO_OBJECT};
    if (has_columns)
        use.index = item(s->heap, manager.list, 0);
    for (uint32_t i = 0; i < MOST_BLOCKS && !s->failed; i++) {
        uint32_t block = item(s->heap, manager.tuple, i);
        if (block == PH_NO_OBJECT)
            break;
        add_block(s, block, use);
    }
}

static int by_array(const void *a, const void *b)
{
    const struct ph_pandas_use *x = a, *y = b;
    bool p = x->index == PH_NO_OBJECT, q = y->index == PH_NO_OBJECT;
    if (x->array != y->array)
        return x->array < y->array ? -1 : 1;
    if (p != q)
        return p ? 1 : -1;
    return (x->frame > y->frame) - (x->frame < y->frame);
}

/* By type id: 2 for DataFrames, 1 for Series, else 0. */
static uint8_t *frame_types(const struct ph_heap *heap)
{
    uint32_t count = heap->objects.types.count;
    uint8_t *kinds = ph_calloc(count + 1u, 1);
    for (uint32_t i = 0; kinds && i < count; i++) {
        const struct ph_type *type = heap->objects.types.items[i];
        kinds[i] = ph_type_inherits(type, "pandas.core.frame.DataFrame") ? 2
                   : ph_type_inherits(type, "pandas.core.series.Series") ? 1
                                                                         : 0;
    }
    return kinds;
}

enum ph_status ph_pandas_find(struct ph_heap *heap, const struct ph_host *host,
                              struct ph_pandas *out, struct ph_error *err)
{
    struct search s = {.heap = heap, .out = out};
    memset(out, 0, sizeof *out);
    uint8_t *kinds = frame_types(heap);
    enum ph_status status = kinds ? PH_OK : PH_NO_MEMORY;
    for (uint32_t id = 0; id < heap->count && !status; id++) {
        uint8_t kind = kinds[heap->type_ids[id]];
        if (id % OBJECTS_A_LOOK == 0 && ph_host_interrupted(host))
            status = PH_INTERRUPTED;
        else if (kind)
            add_frame(&s, id, kind == 2);
        if (s.failed)
            status = PH_NO_MEMORY;
    }
    free(kinds);
    if (status) {
        ph_pandas_free(out);
        return ph_fail(err, status, status == PH_INTERRUPTED ? "interrupted" : "out of memory");
    }
    if (out->uses.count)
        qsort(out->uses.items, out->uses.count, sizeof *out->uses.items, by_array);
    return PH_OK;
}

void ph_pandas_free(struct ph_pandas *pandas)
{
    ph_array_free(&pandas->uses);
    ph_array_free(&pandas->columns);
}

/* ---- questions ---- */

const struct ph_pandas_use *ph_pandas_use_of(const struct ph_pandas *pandas, uint32_t array)
{
    uint32_t at = ph_array_lower_bound(&pandas->uses, array);
    bool found = at < pandas->uses.count && pandas->uses.items[at].array == array;
    return found ? &pandas->uses.items[at] : NULL;
}

static bool append_object(struct ph_heap *heap, ph_addr address, bool quoted, struct ph_str *out)
{
    struct ph_object o;
    if (!quoted && ph_str_object_text(&heap->objects, address, NAME_CHARS, out))
        return true;
    if (!ph_object_at(&heap->objects, address, &o))
        return false;
    ph_object_summary(&heap->objects, &o, NAME_CHARS, out);
    return true;
}

/* An item of an array of integers. */
static bool integer_item(struct ph_heap *heap, uint32_t array, uint32_t position, int64_t *out)
{
    const struct ph_python *python = heap->objects.python;
    uint64_t bytes = 0, value = 0;
    bool is_unsigned = has_dtype(heap, array, "uint");
    if (!is_unsigned && !has_dtype(heap, array, "int"))
        return false;
    ph_addr at = array_item(heap, array, position, &bytes);
    const uint8_t *item =
        at && bytes <= sizeof value ? ph_target_view(python->target, at, (size_t)bytes) : NULL;
    if (!item)
        return false;
    for (uint64_t i = 0; i < bytes; i++)
        value |= (uint64_t)item[i] << 8 * (python->layout.big_endian ? bytes - 1 - i : i);
    unsigned unused = 64 - 8 * (unsigned)bytes;
    *out = is_unsigned ? (int64_t)value : (int64_t)(value << unused) >> unused;
    return !is_unsigned || value <= INT64_MAX;
}

/* The label at a position of an Index: of a range, of objects, or of integers. is_part: of a tuple,
 * where text stands in quotes. */
static bool append_simple_label(struct ph_heap *heap, uint32_t index, uint32_t position,
                                bool is_part, struct ph_str *out)
{
    const struct ph_python *python = heap->objects.python;
    uint32_t range = attribute(heap, index, "_range"), data = attribute(heap, index, "_data");
    struct ph_object o;
    uint64_t start, step, bytes;
    int64_t number;
    if (range != PH_NO_OBJECT && ph_heap_open(heap, range, &o) &&
        o.type->family == &ph_family_range &&
        int_field(heap, &o, python->layout.range.start, &start) &&
        int_field(heap, &o, python->layout.range.step, &step)) {
        ph_str_appendf(out, "%" PRId64, (int64_t)(start + step * position));
        return true;
    }
    if (has_dtype(heap, data, "object")) {
        ph_addr at = array_item(heap, data, position, &bytes);
        return at && append_object(heap, ph_python_word(python, at, 0), is_part, out);
    }
    if (!integer_item(heap, data, position, &number))
        return false;
    ph_str_appendf(out, "%" PRId64, number);
    return true;
}

/* The tuple at a position of a MultiIndex: of each level the label whose number `_codes` has there,
 * or -1, as str() gives it. */
static bool append_tuple_label(struct ph_heap *heap, uint32_t levels, uint32_t codes,
                               uint32_t position, struct ph_str *out)
{
    uint32_t i = 0;
    for (; i < MOST_LEVELS; i++) {
        uint32_t level = item(heap, levels, i);
        int64_t code;
        if (level == PH_NO_OBJECT)
            break;
        if (!integer_item(heap, item(heap, codes, i), position, &code) || code > MOST_COLUMNS)
            return false;
        ph_str_append(out, i ? ", " : "(");
        if (code < 0)
            ph_str_append(out, "nan");
        else if (!append_simple_label(heap, level, (uint32_t)code, true, out))
            return false;
    }
    ph_str_append(out, i == 1 ? ",)" : ")");
    return i > 0;
}

static bool append_label(struct ph_heap *heap, uint32_t index, uint32_t position,
                         struct ph_str *out)
{
    uint32_t levels = attribute(heap, index, "_levels"), codes = attribute(heap, index, "_codes");
    return levels == PH_NO_OBJECT ? append_simple_label(heap, index, position, false, out)
                                  : append_tuple_label(heap, levels, codes, position, out);
}

void ph_pandas_column_name(struct ph_heap *heap, const struct ph_pandas *pandas,
                           const struct ph_pandas_use *use, uint32_t i, struct ph_str *out)
{
    if (use->index == PH_NO_OBJECT) {
        uint32_t name = attribute(heap, use->frame, "_name");
        if (name != PH_NO_OBJECT)
            append_object(heap, ph_heap_address(heap, name), false, out);
        return;
    }
    uint32_t position = pandas->columns.items[use->first_column + i];
    struct ph_str label = {0};
    if (append_label(heap, use->index, position, &label))
        ph_str_append(out, ph_str_text(&label));
    else
        ph_str_appendf(out, "column %" PRIu32, position);
    ph_str_free(&label);
}
