/* What `find` and `waste` compare: hashes, numbers as users write them, texts and expressions. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/number.h"
#include "analysis/pattern.h"
#include "base/siphash.h"

static struct ph_python python = {.wide = true};

/* ---- Hashes ---- */

/* The first of the vectors that the authors of SipHash publish, the one of their paper, and the
 * last: key 0, 1, ... 15; message 0, 1, ... */
static void hashes_are_siphash(void **state)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } vectors[] = {{0, 0x726fdb47dd0e0e31}, {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5}};
    struct ph_siphash_key key;
    uint8_t bytes[64];
    (void)state;
    for (uint8_t i = 0; i < sizeof bytes; i++)
        bytes[i] = i;
    memcpy(&key, bytes, sizeof key);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        assert_true(ph_siphash(&key, bytes, vectors[i].len) == vectors[i].hash);
    struct ph_siphash_key a = ph_siphash_key_make(), b = ph_siphash_key_make();
    assert_true(ph_siphash(&a, bytes, 8) != ph_siphash(&b, bytes, 8));
}

/* ---- Numbers ---- */

static bool equals_int(const char *text, uint64_t magnitude, bool negative)
{
    struct ph_number n;
    uint32_t digits[3];
    struct ph_content c = {.kind = PH_CONTENT_DIGITS, .unit_bytes = 4, .negative = negative};
    for (; magnitude; magnitude >>= 30)
        digits[c.count++] = (uint32_t)magnitude & ((1u << 30) - 1);
    c.at = (const uint8_t *)digits;
    return ph_number_parse(text, &n) && ph_number_equals(&n, &python, &c);
}

static bool equals_real(const char *text, double real)
{
    struct ph_number n;
    struct ph_content c = {
        .kind = PH_CONTENT_REALS, .unit_bytes = 8, .count = 1, .at = (const uint8_t *)&real};
    return ph_number_parse(text, &n) && ph_number_equals(&n, &python, &c);
}

static bool equals_word(const char *text, int64_t word)
{
    struct ph_number n;
    struct ph_content c = {
        .kind = PH_CONTENT_WORD, .unit_bytes = 8, .count = 1, .at = (const uint8_t *)&word};
    return ph_number_parse(text, &n) && ph_number_equals(&n, &python, &c);
}

static void numbers_are_equal_as_in_python(void **state)
{
    (void)state;
    assert_true(equals_int("42", 42, false));
    assert_true(equals_int("+0x2A", 42, false));
    assert_true(equals_int("1_000", 1000, false));
    assert_true(equals_int("4.2e1", 42, false));
    assert_true(equals_int("-42", 42, true));
    assert_true(equals_int("-0", 0, false));
    assert_true(equals_int("18446744073709551615", UINT64_MAX, false));
    assert_false(equals_int("-42", 42, false));
    assert_false(equals_int("42", 43, false));
    assert_false(equals_int("42.5", 42, false));
    assert_true(equals_real("42", 42));
    assert_true(equals_real("0", -0.0));
    assert_true(equals_real("1e300", 1e300));
    assert_true(equals_real("9007199254740992", 9007199254740992.0));
    assert_false(equals_real("9007199254740993", 9007199254740992.0));
    assert_true(equals_real(".5", 0.5));
    assert_true(equals_word("-9223372036854775808", INT64_MIN));
    assert_true(equals_word("-1", -1));
    assert_false(equals_word("1", -1));
}

static void what_is_no_number_is_text(void **state)
{
    static const char *const texts[] = {"",      "-",     "x",     "0x", "0xg", "1__0",
                                        "_1",    "1_",    "1 ",    " 1", "nan", "inf",
                                        "1e999", "1.2.3", "0x1p3", "1e", "--1", "."};
    struct ph_number n;
    char long_text[20000];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(ph_number_parse(texts[i], &n));
    memset(long_text, '9', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    assert_false(ph_number_parse(long_text, &n));
    long_text[4600] = '\0';
    assert_true(ph_number_parse(long_text, &n) && n.is_int && !n.is_real);
}

/* ---- Texts ---- */

static enum ph_verdict match(const char *text, enum ph_pattern_kind kind, bool ignore_case,
                             const struct ph_content *content)
{
    struct ph_pattern *pattern;
    assert_int_equal(ph_pattern_create(text, kind, ignore_case, &pattern, NULL), PH_OK);
    struct ph_matcher *m = ph_matcher_create(pattern, NULL, NULL);
    enum ph_verdict verdict = ph_matcher_try(m, &python, content);
    ph_matcher_destroy(m);
    ph_pattern_destroy(pattern);
    return verdict;
}

static struct ph_content bytes_of(const char *text)
{
    return (struct ph_content){.kind = PH_CONTENT_BYTES,
                               .unit_bytes = 1,
                               .count = strlen(text),
                               .at = (const uint8_t *)text};
}

static struct ph_content chars_of(const void *units, uint32_t unit_bytes, uint64_t count)
{
    return (struct ph_content){
        .kind = PH_CONTENT_CHARS, .unit_bytes = unit_bytes, .count = count, .at = units};
}

static void texts_are_found_in_units_of_each_size(void **state)
{
    static const uint8_t narrow[] = {'c', 'a', 'f', 0xe9, '!'};
    static const uint16_t half[] = {0x20ac, 'c', 'a', 'f', 0xe9};
    static const uint32_t wide[] = {0x1f600, 'c', 'a', 'f', 0xe9};
    static const uint16_t shifted[] = {0x6100, 0x6200}; /* "a" and "b" begin at odd bytes */
    const struct ph_content all[] = {chars_of(narrow, 1, 5), chars_of(half, 2, 5),
                                     chars_of(wide, 4, 5), bytes_of("-caf\xc3\xa9-")};
    (void)state;
    for (int i = 0; i < 4; i++) {
        for (int kind = PH_PATTERN_CONTAINED; kind <= PH_PATTERN_REGEX; kind++) {
            bool whole = kind == PH_PATTERN_WHOLE;
            assert_int_equal(match("caf\xc3\xa9", kind, false, &all[i]),
                             whole ? PH_NOT_MATCHED : PH_MATCHED);
            assert_int_equal(match("CAF\xc3\xa9", kind, false, &all[i]), PH_NOT_MATCHED);
            assert_int_equal(match("CAF\xc3\xa9", kind, true, &all[i]),
                             whole ? PH_NOT_MATCHED : PH_MATCHED);
        }
    }
    struct ph_content odd = chars_of(shifted, 2, 2);
    assert_int_equal(match("ab", PH_PATTERN_CONTAINED, false, &odd), PH_NOT_MATCHED);
    assert_int_equal(match("\xf0\x9f\x98\x80", PH_PATTERN_CONTAINED, false, &all[0]),
                     PH_NOT_MATCHED);
    assert_int_equal(match("\xf0\x9f\x98\x80", PH_PATTERN_CONTAINED, false, &all[2]), PH_MATCHED);
    assert_int_equal(match("", PH_PATTERN_CONTAINED, false, &all[1]), PH_MATCHED);
    assert_int_equal(match("", PH_PATTERN_WHOLE, false, &all[1]), PH_NOT_MATCHED);
}

static void texts_are_found_in_the_other_byte_order(void **state)
{
    uint16_t half[] = {0x20ac, 'c', 'a', 'f', 0xe9};
    uint32_t wide[] = {0x1f600, 'c', 'a', 'f', 0xe9};
    (void)state;
    for (int i = 0; i < 5; i++) {
        half[i] = __builtin_bswap16(half[i]);
        wide[i] = __builtin_bswap32(wide[i]);
    }
    const struct ph_content all[] = {chars_of(half, 2, 5), chars_of(wide, 4, 5)};
    python.swap = true;
    for (int i = 0; i < 2; i++) {
        for (int kind = PH_PATTERN_CONTAINED; kind <= PH_PATTERN_REGEX; kind++) {
            bool whole = kind == PH_PATTERN_WHOLE;
            assert_int_equal(match("caf\xc3\xa9", kind, false, &all[i]),
                             whole ? PH_NOT_MATCHED : PH_MATCHED);
        }
    }
    python.swap = false;
}

static void broken_text_is_matched_as_far_as_it_goes(void **state)
{
    static const uint16_t lone[] = {'a', 0xd800, 'b', 0xdc00};
    static const uint32_t beyond[] = {'a', 0xffffffff, 'b'};
    const struct ph_content surrogates = chars_of(lone, 2, 4), impossible = chars_of(beyond, 4, 3);
    const struct ph_content broken = bytes_of("\xff\xfe needle \xc3");
    (void)state;
    assert_int_equal(match("b", PH_PATTERN_REGEX, false, &surrogates), PH_MATCHED);
    assert_int_equal(match("B", PH_PATTERN_CONTAINED, true, &impossible), PH_MATCHED);
    assert_int_equal(match("n.*e ", PH_PATTERN_REGEX, false, &broken), PH_MATCHED);
    assert_int_equal(match("\xff", PH_PATTERN_CONTAINED, false, &broken), PH_MATCHED);
    assert_int_equal(match("\xff", PH_PATTERN_CONTAINED, false, &surrogates), PH_NOT_MATCHED);
}

static void hostile_expressions_give_up(void **state)
{
    static char many[100000];
    (void)state;
    memset(many, 'a', sizeof many - 1);
    many[40] = '\0';
    struct ph_content few = bytes_of(many);
    assert_int_equal(match("(a|aa)+$(?<!a)", PH_PATTERN_REGEX, false, &few), PH_GAVE_UP);
    assert_int_equal(match("(a+)+(?<!a)$", PH_PATTERN_REGEX, false, &few), PH_GAVE_UP);
    many[40] = 'a';
    few = bytes_of(many);
    assert_int_equal(match("(a+)+(?<!a)$", PH_PATTERN_REGEX, false, &few), PH_GAVE_UP);
    assert_int_equal(match("a{5}", PH_PATTERN_REGEX, false, &few), PH_MATCHED);
    assert_int_equal(match("b", PH_PATTERN_REGEX, true, &few), PH_NOT_MATCHED);
}

static bool stop_at_once(void *ctx)
{
    ++*(int *)ctx;
    return true;
}

static void a_match_can_be_stopped(void **state)
{
    static char many[1000000];
    int asked = 0;
    struct ph_pattern *pattern;
    (void)state;
    memset(many, 'a', sizeof many - 1);
    struct ph_content c = bytes_of(many);
    assert_int_equal(ph_pattern_create("(a+)+(?<!a)$", PH_PATTERN_REGEX, false, &pattern, NULL),
                     PH_OK);
    struct ph_matcher *m = ph_matcher_create(pattern, stop_at_once, &asked);
    assert_int_equal(ph_matcher_try(m, &python, &c), PH_GAVE_UP);
    assert_int_equal(asked, 1);
    ph_matcher_destroy(m);
    ph_pattern_destroy(pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_siphash),
        cmocka_unit_test(numbers_are_equal_as_in_python),
        cmocka_unit_test(what_is_no_number_is_text),
        cmocka_unit_test(texts_are_found_in_units_of_each_size),
        cmocka_unit_test(texts_are_found_in_the_other_byte_order),
        cmocka_unit_test(broken_text_is_matched_as_far_as_it_goes),
        cmocka_unit_test(hostile_expressions_give_up),
        cmocka_unit_test(a_match_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
