#include "analysis/number.h"

#include <ctype.h>
#include <math.h>

enum { DIGIT_BITS = 30, MAX_TEXT = 4700 };
#define DIGIT_MASK ((1u << DIGIT_BITS) - 1)

/* digits * factor + more, in place. */
static bool multiply_add(struct ph_number *n, uint32_t factor, uint32_t more)
{
    uint64_t carry = more;
    for (uint32_t i = 0; i < n->digit_count; i++) {
        carry += (uint64_t)n->digits[i] * factor;
        n->digits[i] = (uint32_t)carry & DIGIT_MASK;
        carry >>= DIGIT_BITS;
    }
    if (!carry)
        return true;
    if (n->digit_count == PH_NUMBER_DIGITS)
        return false;
    n->digits[n->digit_count++] = (uint32_t)carry;
    return true;
}

static bool same_digits(const struct ph_number *a, const struct ph_number *b)
{
    return a->digit_count == b->digit_count &&
           (a->digit_count == 0 || a->negative == b->negative) &&
           memcmp(a->digits, b->digits, a->digit_count * sizeof *a->digits) == 0;
}

/* The digits of a double that is a whole number. */
static bool set_digits(struct ph_number *n, double value)
{
    int exponent;
    if (!isfinite(value) || value != floor(value))
        return false;
    double fraction = frexp(fabs(value), &exponent); /* exponent <= 1024, so that all fits */
    n->negative = value < 0;
    n->digit_count = 0;
    for (; exponent > 0; exponent--) {
        fraction *= 2;
        uint32_t bit = fraction >= 1;
        fraction -= bit;
        if (!multiply_add(n, 2, bit))
            return false;
    }
    return true;
}

/* Digits of the base, with single underscores between them. */
static bool parse_digits(const char *text, uint32_t base, struct ph_number *n)
{
    bool any = false;
    for (; *text; text++) {
        if (*text == '_' && any && isxdigit((unsigned char)text[1]))
            continue;
        int c = tolower((unsigned char)*text);
        uint32_t digit = isdigit(c)   ? (uint32_t)(c - '0')
                         : isalpha(c) ? (uint32_t)(c - 'a' + 10)
                                      : 99;
        if (digit >= base || !multiply_add(n, base, digit))
            return false;
        any = true;
    }
    return any;
}

static bool parse_int(const char *text, struct ph_number *n)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    n->digit_count = 0;
    return parse_digits(hex ? text + 2 : text, hex ? 16 : 10, n);
}

/* An int as a float, where that is exact. */
static void add_real(struct ph_number *n)
{
    struct ph_number back;
    n->real = 0;
    for (uint32_t i = n->digit_count; i-- > 0;)
        n->real = ldexp(n->real, DIGIT_BITS) + n->digits[i];
    if (n->negative)
        n->real = -n->real;
    n->is_real = set_digits(&back, n->real) && same_digits(n, &back);
}

bool ph_number_parse(const char *text, struct ph_number *out)
{
    char *end;
    bool negative = *text == '-';
    const char *digits = text + (*text == '-' || *text == '+');
    *out = (struct ph_number){.negative = negative};
    if (strlen(text) > MAX_TEXT)
        return false;
    out->is_int = parse_int(digits, out);
    if (out->is_int) {
        add_real(out);
        return true;
    }
    /* Of what strtod() reads: no spaces, hexadecimal floats, nan or inf. */
    if (!isdigit((unsigned char)digits[*digits == '.']) || strpbrk(digits, "xX"))
        return false;
    out->real = strtod(text, &end);
    out->is_real = !*end && isfinite(out->real);
    out->is_int = out->is_real && set_digits(out, out->real);
    return out->is_real;
}

static bool equals_word(const struct ph_number *n, const struct ph_python *python,
                        const uint8_t *at)
{
    int64_t word = ph_load_ssize(python, at);
    uint64_t left = word < 0 ? 0 - (uint64_t)word : (uint64_t)word;
    struct ph_number other = {.negative = word < 0};
    for (; left; left >>= DIGIT_BITS)
        other.digits[other.digit_count++] = (uint32_t)left & DIGIT_MASK;
    return same_digits(n, &other);
}

static bool equals_digits(const struct ph_number *n, const struct ph_python *python,
                          const struct ph_content *content)
{
    if (content->count != n->digit_count || (n->digit_count && content->negative != n->negative))
        return false;
    for (uint32_t i = 0; i < n->digit_count; i++) {
        uint32_t digit = ph_load_u32(python, content->at + i * sizeof digit);
        if ((digit & DIGIT_MASK) != n->digits[i])
            return false;
    }
    return true;
}

bool ph_number_equals(const struct ph_number *n, const struct ph_python *python,
                      const struct ph_content *content)
{
    double real;
    uint64_t bits;
    switch (content->kind) {
    case PH_CONTENT_DIGITS:
        return n->is_int && equals_digits(n, python, content);
    case PH_CONTENT_WORD:
        return n->is_int && equals_word(n, python, content->at);
    case PH_CONTENT_REALS:
        bits = ph_load_u64(python, content->at);
        memcpy(&real, &bits, sizeof real);
        return n->is_real && content->count == 1 && real == n->real;
    case PH_CONTENT_CHARS:
    case PH_CONTENT_BYTES:
        break;
    }
    return false;
}
