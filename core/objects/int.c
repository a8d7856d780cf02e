/* int and bool (Objects/longobject.c, Include/cpython/longintrepr.h): 30-bit digits, least
 * significant first. */
#include "objects/int_value.h"

#include <inttypes.h>

enum {
    DIGIT_BYTES = 4,
    DIGIT_BITS = 30,
    MAX_SHOWN_DIGITS = 20, /* 600 bits, 181 decimal digits */
    TAG_SIGN_MASK =
        3, /* lv_tag, 3.12+: 0 positive, 1 zero, 2 negative; the count is above three bits */
    TAG_NEGATIVE = 2,
    TAG_COUNT_SHIFT = 3,
};
#define MAX_DIGITS (1ull << 40)

static uint64_t digit_count(const struct ph_objects *objects, const struct ph_object *o,
                            bool *negative)
{
    const struct ph_layout *L = &objects->python->layout;
    uint64_t count;
    if (L->traits.int_digits == PH_INT_DIGITS_TAG) {
        uint64_t tag = ph_object_ptr(objects, o, L->int_.lv_tag);
        *negative = (tag & TAG_SIGN_MASK) == TAG_NEGATIVE;
        count = tag >> TAG_COUNT_SHIFT;
    } else {
        int64_t size = ph_object_var_size(objects, o);
        *negative = size < 0;
        count = size < 0 ? 0 - (uint64_t)size : (uint64_t)size;
    }
    return count < MAX_DIGITS ? count : 0;
}

/* int___sizeof___impl: up to 3.10 the digits alone count, so that 0 has 24 bytes; from 3.11 on one
 * at least. The dict of a subclass never counts; from 3.12 on its slots do, for the size begins at
 * tp_basicsize. */
static uint64_t int_size(struct ph_objects *objects, const struct ph_object *o)
{
    const struct ph_layout *L = &objects->python->layout;
    bool negative;
    uint64_t count = digit_count(objects, o, &negative);
    if (count == 0 && L->version >= 0x030b0000)
        count = 1;
    uint64_t start =
        L->traits.int_digits == PH_INT_DIGITS_TAG ? o->type->basicsize : (uint64_t)L->int_.ob_digit;
    return start + count * DIGIT_BYTES;
}

static void int_sizing(const struct ph_layout *L, const struct ph_type *type, struct ph_sizing *out)
{
    bool tagged = L->traits.int_digits == PH_INT_DIGITS_TAG;
    out->bytes = tagged ? (uint32_t)type->basicsize : (uint32_t)L->int_.ob_digit;
    out->item_bytes = DIGIT_BYTES;
    out->count_at = (uint32_t)(tagged ? L->int_.lv_tag : L->var.ob_size);
    out->count_shift = tagged ? TAG_COUNT_SHIFT : 0;
    out->sign = tagged ? 0 : -1;
    out->least_count = L->version >= 0x030b0000;
}

/* Divide the number in place by 10^9 and return the remainder. */
static uint32_t divide_digits(uint32_t *digits, uint64_t count)
{
    uint64_t rest = 0;
    for (uint64_t i = count; i-- > 0;) {
        rest = rest << DIGIT_BITS | digits[i];
        digits[i] = (uint32_t)(rest / 1000000000);
        rest %= 1000000000;
    }
    return (uint32_t)rest;
}

static void append_decimal(const struct ph_python *python, const uint8_t *at, uint64_t count,
                           bool negative, struct ph_str *out)
{
    uint32_t digits[MAX_SHOWN_DIGITS], parts[MAX_SHOWN_DIGITS + 2];
    size_t n = 0;
    for (uint64_t i = 0; i < count; i++)
        digits[i] = ph_load_u32(python, at + i * DIGIT_BYTES) & ((1u << DIGIT_BITS) - 1);
    while (count > 0) {
        parts[n++] = divide_digits(digits, count);
        while (count > 0 && digits[count - 1] == 0)
            count--;
    }
    ph_str_appendf(out, "%s%u", negative ? "-" : "", n ? parts[n - 1] : 0);
    for (size_t i = n; i-- > 1;)
        ph_str_appendf(out, "%09u", parts[i - 1]);
}

static bool is_bool(const struct ph_object *o)
{
    return strcmp(o->type->name, "bool") == 0;
}

static void int_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                        struct ph_str *out)
{
    const struct ph_layout *L = &objects->python->layout;
    bool negative;
    uint64_t count = digit_count(objects, o, &negative);
    (void)max_chars;
    if (is_bool(o)) {
        ph_str_append(out, count ? "True" : "False");
        return;
    }
    const uint8_t *at =
        count <= MAX_SHOWN_DIGITS
            ? ph_target_view(objects->python->target, o->address + (uint64_t)L->int_.ob_digit,
                             (size_t)(count ? count : 1) * DIGIT_BYTES)
            : NULL;
    if (at)
        append_decimal(objects->python, at, count, negative, out);
    else
        ph_str_appendf(out, "<%sint of %" PRIu64 " bits>", negative ? "negative " : "",
                       count * DIGIT_BITS);
}

static bool int_content(struct ph_objects *objects, const struct ph_object *o,
                        struct ph_content *out)
{
    *out = (struct ph_content){.kind = PH_CONTENT_DIGITS, .unit_bytes = DIGIT_BYTES};
    out->count = digit_count(objects, o, &out->negative);
    return ph_content_at(objects, o->address + (uint64_t)objects->python->layout.int_.ob_digit,
                         out);
}

bool ph_int_value(struct ph_objects *objects, ph_addr address, uint64_t *value)
{
    const struct ph_layout *L = &objects->python->layout;
    struct ph_object o;
    bool negative;
    if (!ph_object_at(objects, address, &o))
        return false;
    if (ph_has(L->py2_int.ob_ival) && (o.type->flags & PH_TPFLAGS_INT_SUBCLASS)) {
        int64_t signed_value = ph_object_ssize(objects, &o, L->py2_int.ob_ival);
        *value = (uint64_t)signed_value;
        return signed_value >= 0;
    }
    if (!(o.type->flags & PH_TPFLAGS_LONG_SUBCLASS))
        return false;
    uint64_t count = digit_count(objects, &o, &negative);
    uint32_t digits[2] = {0};
    for (uint64_t i = 0; i < count && i < 2; i++)
        digits[i] =
            ph_python_u32(objects->python, address, L->int_.ob_digit + (int64_t)i * DIGIT_BYTES);
    *value = (uint64_t)digits[1] << DIGIT_BITS | digits[0];
    return !negative && count <= 2;
}

/* ---- 2.7: int is a machine word, and what is int elsewhere is long ---- */

static void py2_int_summary(struct ph_objects *objects, const struct ph_object *o,
                            uint64_t max_chars, struct ph_str *out)
{
    int64_t value = ph_object_ssize(objects, o, objects->python->layout.py2_int.ob_ival);
    (void)max_chars;
    if (is_bool(o))
        ph_str_append(out, value ? "True" : "False");
    else
        ph_str_appendf(out, "%" PRId64, value);
}

static bool py2_int_content(struct ph_objects *objects, const struct ph_object *o,
                            struct ph_content *out)
{
    *out = (struct ph_content){
        .kind = PH_CONTENT_WORD,
        .unit_bytes = ph_word_bytes(objects->python),
        .count = 1,
        .at = o->at + objects->python->layout.py2_int.ob_ival,
    };
    return true;
}

const struct ph_family ph_family_py2_int = {
    .type_names = PH_TYPE_NAMES("int", "bool"),
    .struct_size = PH_STRUCT_OF(py2_int),
    .content = py2_int_content,
    .summary = py2_int_summary,
};

static void py2_long_summary(struct ph_objects *objects, const struct ph_object *o,
                             uint64_t max_chars, struct ph_str *out)
{
    int_summary(objects, o, max_chars, out);
    ph_str_append(out, "L");
}

const struct ph_family ph_family_py2_long = {
    .type_names = PH_TYPE_NAMES("long"),
    .struct_size = PH_FIELD_OF(py2_int, ob_ival),
    .content = int_content,
    .summary = py2_long_summary,
};

/* ---- from 3.0 on ---- */

const struct ph_family ph_family_int = {
    .type_names = PH_TYPE_NAMES("int", "bool"),
    .size = int_size,
    .sizing = int_sizing,
    .content = int_content,
    .summary = int_summary,
};
