#include "analysis/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    UNIT_SIZES = 3, /* of 1, 2 and 4 bytes */
    /* What an expression has for a text: so many steps, and so many for each byte of it, for what
     * is more than in proportion to the text is too long for a heap of them. */
    STEPS_A_TEXT = 1 << 14,
    STEPS_A_BYTE = 64,
    STEPS_A_LOOK = 1 << 14,    /* between two questions whether to stop */
    HEAP_KIB = 64 << 10,       /* what one match may take of our memory */
    SEARCHED_AT_ONCE = 1 << 24 /* bytes between two such questions of a plain search */
};
#define MAX_CONVERTED (1ull << 30) /* characters; beyond, a text has to be searched as it lies */

struct ph_pattern {
    enum ph_pattern_kind kind;
    /* Plain: the text in units of each size, in our byte order; `possible` where it has such a
     * form. */
    struct ph_str units[UNIT_SIZES];
    bool possible[UNIT_SIZES];
    struct ph_str bytes;
    /* Else: compiled for characters (NULL where the text is no UTF-8) and for bytes. */
    pcre2_code *of_chars, *of_bytes;
};

struct ph_matcher {
    const struct ph_pattern *pattern;
    pcre2_match_data *data;
    pcre2_match_context *context;
    struct ph_str converted;
    bool (*stop)(void *ctx);
    void *ctx;
    uint64_t steps, most_steps;
};

static bool is_compiled(const struct ph_pattern *p)
{
    return p->of_chars || p->of_bytes;
}

/* ---- making one ---- */

static void append_unit(struct ph_str *units, uint32_t unit, size_t size)
{
    uint16_t half = (uint16_t)unit;
    uint8_t byte = (uint8_t)unit;
    ph_str_append_len(units,
                      size == 1   ? (const char *)&byte
                      : size == 2 ? (const char *)&half
                                  : (const char *)&unit,
                      size);
}

/* Of two bytes, a character above U+FFFF takes two units (2.7), which no str of 3 has. */
static void append_units(struct ph_pattern *p, uint32_t c)
{
    p->possible[0] = p->possible[0] && c <= 0xff;
    append_unit(&p->units[0], c, 1);
    if (c > 0xffff) {
        append_unit(&p->units[1], 0xd800 + ((c - 0x10000) >> 10), 2);
        append_unit(&p->units[1], 0xdc00 + (c & 0x3ff), 2);
    } else {
        append_unit(&p->units[1], c, 2);
    }
    append_unit(&p->units[2], c, 4);
}

static bool make_plain(struct ph_pattern *p, const char *text)
{
    size_t len = strlen(text), at = 0;
    bool is_utf8 = true, failed;
    ph_str_append_len(&p->bytes, text, len);
    for (int i = 0; i < UNIT_SIZES; i++)
        p->possible[i] = true;
    while (at < len && is_utf8) {
        uint32_t c;
        size_t used = ph_utf8_decode((const unsigned char *)text + at, len - at, &c);
        is_utf8 = used > 0;
        if (is_utf8)
            append_units(p, c);
        at += used;
    }
    failed = p->bytes.failed;
    for (int i = 0; i < UNIT_SIZES; i++) {
        p->possible[i] = p->possible[i] && is_utf8;
        failed = failed || p->units[i].failed;
    }
    return !failed;
}

/* Callouts before each item of the expression are what counts its steps. */
static pcre2_code *compile(const char *text, const struct ph_pattern *p, bool ignore_case,
                           uint32_t options, int *error, size_t *where)
{
    options |= PCRE2_AUTO_CALLOUT;
    if (ignore_case)
        options |= PCRE2_CASELESS;
    if (p->kind == PH_PATTERN_REGEX)
        options |= PCRE2_NEVER_BACKSLASH_C;
    else
        options = (options & ~(uint32_t)(PCRE2_UCP | PCRE2_NEVER_UTF)) | PCRE2_LITERAL;
    if (p->kind == PH_PATTERN_WHOLE)
        options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    return pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, error, where, NULL);
}

static enum ph_status fail_compile(int error, size_t where, struct ph_error *err)
{
    char reason[128];
    if (error == PCRE2_ERROR_NOMEMORY || error == PCRE2_ERROR_HEAP_FAILED)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof reason);
    return ph_fail(err, PH_USAGE, "no regular expression: %s, at character %zu", reason, where + 1);
}

static enum ph_status make_compiled(struct ph_pattern *p, const char *text, bool ignore_case,
                                    struct ph_error *err)
{
    int error;
    size_t where;
    p->of_bytes = compile(text, p, ignore_case, PCRE2_NEVER_UTF, &error, &where);
    int of_chars_error;
    size_t of_chars_where;
    p->of_chars = compile(text, p, ignore_case, PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF,
                          &of_chars_error, &of_chars_where);
    if (is_compiled(p))
        return PH_OK;
    return fail_compile(of_chars_error, of_chars_where, err);
}

enum ph_status ph_pattern_create(const char *text, enum ph_pattern_kind kind, bool ignore_case,
                                 struct ph_pattern **out, struct ph_error *err)
{
    struct ph_pattern *p = ph_calloc(1, sizeof *p);
    if (!p)
        return ph_fail(err, PH_NO_MEMORY, "out of memory");
    p->kind = kind;
    enum ph_status status;
    if (kind == PH_PATTERN_REGEX || ignore_case)
        status = make_compiled(p, text, ignore_case, err);
    else
        status = make_plain(p, text) ? PH_OK : ph_fail(err, PH_NO_MEMORY, "out of memory");
    if (!status) {
        *out = p;
        return PH_OK;
    }
    ph_pattern_destroy(p);
    return status;
}

void ph_pattern_destroy(struct ph_pattern *p)
{
    if (!p)
        return;
    for (int i = 0; i < UNIT_SIZES; i++)
        ph_str_free(&p->units[i]);
    ph_str_free(&p->bytes);
    pcre2_code_free(p->of_chars);
    pcre2_code_free(p->of_bytes);
    free(p);
}

/* ---- matching ---- */

static bool wants_stop(const struct ph_matcher *m)
{
    return m->stop && m->stop(m->ctx);
}

/* Called by PCRE2 before each item: 0 goes on, a negative number ends the match with it. */
static int count_step(pcre2_callout_block *block, void *ctx)
{
    struct ph_matcher *m = ctx;
    (void)block;
    m->steps++;
    bool too_many = m->steps > m->most_steps;
    return too_many || (m->steps % STEPS_A_LOOK == 0 && wants_stop(m)) ? PCRE2_ERROR_CALLOUT : 0;
}

struct ph_matcher *ph_matcher_create(const struct ph_pattern *pattern, bool (*stop)(void *ctx),
                                     void *ctx)
{
    struct ph_matcher *m = ph_calloc(1, sizeof *m);
    if (!m)
        return NULL;
    *m = (struct ph_matcher){.pattern = pattern, .stop = stop, .ctx = ctx};
    if (!is_compiled(pattern))
        return m;
    m->data = pcre2_match_data_create(1, NULL);
    m->context = pcre2_match_context_create(NULL);
    if (!m->data || !m->context) {
        ph_matcher_destroy(m);
        return NULL;
    }
    pcre2_set_callout(m->context, count_step, m);
    pcre2_set_heap_limit(m->context, HEAP_KIB);
    return m;
}

void ph_matcher_destroy(struct ph_matcher *m)
{
    if (!m)
        return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    ph_str_free(&m->converted);
    free(m);
}

static enum ph_verdict match_compiled(struct ph_matcher *m, const pcre2_code *code,
                                      const uint8_t *bytes, size_t len)
{
    if (!code)
        return PH_NOT_MATCHED;
    m->steps = 0;
    m->most_steps = STEPS_A_TEXT + (uint64_t)len * STEPS_A_BYTE;
    int found = pcre2_match(code, bytes, len, 0, 0, m->data, m->context);
    if (found >= 0)
        return PH_MATCHED;
    return found == PCRE2_ERROR_NOMATCH ? PH_NOT_MATCHED : PH_GAVE_UP;
}

static bool is_ascii(const uint8_t *bytes, uint64_t len)
{
    uint64_t i = 0, word;
    for (; i + sizeof word <= len; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        if (word & 0x8080808080808080)
            return false;
    }
    for (; i < len; i++) {
        if (bytes[i] & 0x80)
            return false;
    }
    return true;
}

static uint32_t load_unit(const struct ph_python *python, const struct ph_content *c, uint64_t i)
{
    const uint8_t *at = c->at + i * c->unit_bytes;
    return c->unit_bytes == 1   ? *at
           : c->unit_bytes == 2 ? ph_load_u16(python, at)
                                : ph_load_u32(python, at);
}

/* 2.7 may write a character above U+FFFF as two units. */
static uint32_t load_char(const struct ph_python *python, const struct ph_content *c, uint64_t *i)
{
    uint32_t high = load_unit(python, c, (*i)++);
    if (c->unit_bytes != 2 || high < 0xd800 || high > 0xdbff || *i >= c->count)
        return high;
    uint32_t low = load_unit(python, c, *i);
    if (low < 0xdc00 || low > 0xdfff)
        return high;
    (*i)++;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static enum ph_verdict match_chars(struct ph_matcher *m, const struct ph_python *python,
                                   const struct ph_content *c)
{
    const pcre2_code *code = m->pattern->of_chars;
    if (c->unit_bytes == 1 && is_ascii(c->at, c->count))
        return match_compiled(m, code, c->at, c->count);
    if (c->count > MAX_CONVERTED)
        return PH_GAVE_UP;
    ph_str_clear(&m->converted);
    for (uint64_t i = 0; i < c->count && !m->converted.failed;)
        ph_str_append_utf8(&m->converted, load_char(python, c, &i));
    if (m->converted.failed)
        return PH_GAVE_UP;
    return match_compiled(m, code, (const uint8_t *)ph_str_text(&m->converted), m->converted.len);
}

/* Our units in the target's byte order. */
static void order_units(const struct ph_python *python, const struct ph_str *units, size_t size,
                        struct ph_str *out)
{
    ph_str_clear(out);
    for (size_t i = 0; i < units->len; i += size) {
        if (size == 2) {
            uint16_t unit = ph_load_u16(python, units->data + i);
            ph_str_append_len(out, (const char *)&unit, size);
        } else {
            uint32_t unit = ph_load_u32(python, units->data + i);
            ph_str_append_len(out, (const char *)&unit, size);
        }
    }
}

/* Whether `needle` is at a multiple of `unit` bytes, a power of two; looked for piece by piece,
 * each of which overlaps the next by what may be cut. */
static enum ph_verdict search(struct ph_matcher *m, const uint8_t *bytes, uint64_t len,
                              const struct ph_str *needle, uint64_t unit)
{
    uint64_t at = 0;
    while (len - at >= needle->len) {
        uint64_t left = len - at, piece = SEARCHED_AT_ONCE + needle->len;
        if (piece > left)
            piece = left;
        const uint8_t *hit = memmem(bytes + at, piece, ph_str_text(needle), needle->len);
        if (hit && ((uint64_t)(hit - bytes) & (unit - 1)) == 0)
            return PH_MATCHED;
        if (hit)
            at = (uint64_t)(hit - bytes) + 1;
        else if (piece == left)
            break;
        else
            at += piece - needle->len + 1;
        if (!hit && wants_stop(m))
            return PH_GAVE_UP;
    }
    return PH_NOT_MATCHED;
}

static enum ph_verdict match_plain(struct ph_matcher *m, const struct ph_python *python,
                                   const struct ph_content *c)
{
    const struct ph_pattern *p = m->pattern;
    int size = c->unit_bytes == 1 ? 0 : c->unit_bytes == 2 ? 1 : 2;
    const struct ph_str *needle = c->kind == PH_CONTENT_BYTES ? &p->bytes : &p->units[size];
    if (c->kind == PH_CONTENT_CHARS && !p->possible[size])
        return PH_NOT_MATCHED;
    if (c->unit_bytes > 1 && python->swap) {
        order_units(python, needle, c->unit_bytes, &m->converted);
        needle = &m->converted;
    }
    uint64_t len = c->count * c->unit_bytes;
    if (p->kind == PH_PATTERN_CONTAINED)
        return search(m, c->at, len, needle, c->unit_bytes);
    bool same = len == needle->len && memcmp(c->at, ph_str_text(needle), len) == 0;
    return same ? PH_MATCHED : PH_NOT_MATCHED;
}

enum ph_verdict ph_matcher_try(struct ph_matcher *m, const struct ph_python *python,
                               const struct ph_content *content)
{
    if (content->kind != PH_CONTENT_CHARS && content->kind != PH_CONTENT_BYTES)
        return PH_NOT_MATCHED;
    if (!is_compiled(m->pattern))
        return match_plain(m, python, content);
    if (content->kind == PH_CONTENT_BYTES)
        return match_compiled(m, m->pattern->of_bytes, content->at, content->count);
    return match_chars(m, python, content);
}
