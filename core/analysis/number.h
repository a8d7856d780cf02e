/* Numbers as users write them, to be compared with Python's ints and floats as Python compares. */
#ifndef PH_ANALYSIS_NUMBER_H
#define PH_ANALYSIS_NUMBER_H

#include "objects/object.h"

enum { PH_NUMBER_DIGITS = 512 }; /* of 30 bits: 4,623 decimals */

/* A number as an int, as a float, or as both where it is both. */
struct ph_number {
    bool is_int, is_real;
    bool negative;
    uint32_t digit_count;
    uint32_t digits[PH_NUMBER_DIGITS]; /* as an int of Python has them */
    double real;
};

/* "42", "-0x2a", "1_000", "3.14", "1e3"; false for what is no number, or an int of more digits. */
bool ph_number_parse(const char *text, struct ph_number *out);
/* Whether the value is that number; no complex is. */
bool ph_number_equals(const struct ph_number *n, const struct ph_python *python,
                      const struct ph_content *content);

#endif
