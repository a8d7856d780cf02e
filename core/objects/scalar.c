/* Objects without references of their own: object itself, float, complex, None and its like; and
 * the family of types that nobody described. */
#include "objects/object.h"

#include <math.h>
#include <stdio.h>

static double load_double(const struct ph_objects *objects, const struct ph_object *o,
                          int32_t offset)
{
    uint64_t bits = ph_load_u64(objects->python, o->at + offset);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* As repr gives it (Python/pystrtod.c): the shortest decimal that reads back as the same double,
 * with an exponent below 1e-4 and from 1e16 on. */
static void append_double(double value, bool point, struct ph_str *out)
{
    char text[400];
    int digits = 1;
    do
        snprintf(text, sizeof text, "%.*e", digits - 1, value);
    while (strtod(text, NULL) != value && isfinite(value) && ++digits <= 17);
    const char *exponent = strchr(text, 'e');
    int power = exponent ? atoi(exponent + 1) : 0;
    if (!isfinite(value) || power < -4 || power >= 16) {
        ph_str_append(out, text);
        return;
    }
    int decimals = digits - 1 > power ? digits - 1 - power : 0;
    snprintf(text, sizeof text, "%.*f", decimals, value);
    ph_str_append(out, text);
    if (point && decimals == 0)
        ph_str_append(out, ".0");
}

static void float_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                          struct ph_str *out)
{
    (void)max_chars;
    append_double(load_double(objects, o, objects->python->layout.float_.ob_fval), true, out);
}

static void complex_summary(struct ph_objects *objects, const struct ph_object *o,
                            uint64_t max_chars, struct ph_str *out)
{
    (void)max_chars;
    double imag = load_double(objects, o, objects->python->layout.complex_.imag);
    ph_str_append(out, "(");
    append_double(load_double(objects, o, objects->python->layout.complex_.real), false, out);
    if (!signbit(imag))
        ph_str_append(out, "+");
    append_double(imag, false, out);
    ph_str_append(out, "j)");
}

static bool reals_content(const struct ph_object *o, int32_t offset, uint64_t count,
                          struct ph_content *out)
{
    *out = (struct ph_content){
        .kind = PH_CONTENT_REALS,
        .unit_bytes = sizeof(double),
        .count = count,
        .at = o->at + offset,
    };
    return true;
}

static bool float_content(struct ph_objects *objects, const struct ph_object *o,
                          struct ph_content *out)
{
    return reals_content(o, objects->python->layout.float_.ob_fval, 1, out);
}

static bool complex_content(struct ph_objects *objects, const struct ph_object *o,
                            struct ph_content *out)
{
    return reals_content(o, objects->python->layout.complex_.real, 2, out);
}

static void none_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                         struct ph_str *out)
{
    (void)objects;
    (void)max_chars;
    ph_str_append(out, strcmp(o->type->name, "NoneType") == 0   ? "None"
                       : strcmp(o->type->name, "ellipsis") == 0 ? "Ellipsis"
                                                                : "NotImplemented");
}

const struct ph_family ph_family_object = {.type_names = PH_TYPE_NAMES("object")};
const struct ph_family ph_family_float = {
    .type_names = PH_TYPE_NAMES("float"),
    .content = float_content,
    .summary = float_summary,
};
const struct ph_family ph_family_complex = {
    .type_names = PH_TYPE_NAMES("complex"),
    .content = complex_content,
    .summary = complex_summary,
};
const struct ph_family ph_family_none = {
    .type_names = PH_TYPE_NAMES("NoneType", "ellipsis", "NotImplementedType"),
    .summary = none_summary,
};
/* basicsize and items, and a careful scan of its words: see scan_undescribed() in object.c. */
const struct ph_family ph_family_undescribed = {0};
