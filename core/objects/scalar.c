/* Objects without references of their own: object itself, float, complex, None and its like; and the family of types that
 * nobody described. */
#include "objects/object.h"

#include <math.h>
#include <stdio.h>

static double load_double(const struct ph_objects *objects, const struct ph_object *o, int32_t offset)
{
    uint64_t bits = ph_load_u64(objects->python, o->at + offset);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The shortest decimal that reads back as the same double, as repr gives it. */
static void append_double(double value, bool point, struct ph_str *out)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    ph_str_append(out, text);
    if (point && isfinite(value) && !strpbrk(text, ".e"))
        ph_str_append(out, ".0");
}

static void float_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                          struct ph_str *out)
{
    (void)max_chars;
    append_double(load_double(objects, o, objects->python->layout.float_.ob_fval), true, out);
}

static void complex_summary(struct ph_objects *objects, const struct ph_object *o, uint64_t max_chars,
                            struct ph_str *out)
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
    .summary = float_summary,
};
const struct ph_family ph_family_complex = {
    .type_names = PH_TYPE_NAMES("complex"),
    .summary = complex_summary,
};
const struct ph_family ph_family_none = {
    .type_names = PH_TYPE_NAMES("NoneType", "ellipsis", "NotImplementedType"),
    .summary = none_summary,
};
/* basicsize and items, and a careful scan of its words: see scan_undescribed() in object.c. */
const struct ph_family ph_family_undescribed = {0};
