#include "base/str.h"

#include "base/array.h"

#include <stdio.h>

/* Room for `extra` more bytes and a NUL. */
static bool reserve(struct ph_str *s, size_t extra)
{
    if (s->len + extra < s->capacity)
        return true;
    if (extra >= SIZE_MAX / 2 - s->len) {
        s->failed = true;
        return false;
    }
    size_t capacity = s->capacity ? 2 * s->capacity : 64;
    if (capacity <= s->len + extra)
        capacity = s->len + extra + 1;
    char *grown = ph_realloc(s->data, capacity);
    if (!grown) {
        s->failed = true;
        return false;
    }
    s->data = grown;
    s->capacity = capacity;
    return true;
}

void ph_str_append_len(struct ph_str *s, const char *bytes, size_t len)
{
    if (!reserve(s, len))
        return;
    if (len)
        memcpy(s->data + s->len, bytes, len);
    s->len += len;
    s->data[s->len] = '\0';
}

void ph_str_append(struct ph_str *s, const char *text)
{
    ph_str_append_len(s, text, strlen(text));
}

void ph_str_appendf(struct ph_str *s, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len < 0) {
        s->failed = true;
    } else if (reserve(s, (size_t)len)) {
        vsnprintf(s->data + s->len, (size_t)len + 1, format, again);
        s->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}

/* What Python's str.isprintable() refuses above ASCII (the Unicode categories Cc, Cf, Cs, Co, Zl,
 * Zp, and Zs, and noncharacters, but not what is merely unassigned, for that changes from year to
 * year). Ascending. */
static const struct {
    uint32_t first, last;
} unprintable[] = {
    {0x7f, 0xa0},       {0xad, 0xad},       {0x600, 0x605},     {0x61c, 0x61c},
    {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},
    {0x1680, 0x1680},   {0x180e, 0x180e},   {0x2000, 0x200f},   {0x2028, 0x202f},
    {0x205f, 0x206f},   {0x3000, 0x3000},   {0xd800, 0xf8ff},   {0xfdd0, 0xfdef},
    {0xfeff, 0xfeff},   {0xfff0, 0xfffb},   {0xfffe, 0xffff},   {0x110bd, 0x110bd},
    {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
    {0x1fffe, 0x1ffff}, {0x2fffe, 0x2ffff}, {0x3fffe, 0xe00ff}, {0xe01f0, 0xffffffff},
};

static bool is_printable(uint32_t codepoint)
{
    if (codepoint < 0x7f)
        return codepoint >= 0x20;
    size_t low = 0, high = sizeof unprintable / sizeof *unprintable;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (codepoint > unprintable[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return codepoint < unprintable[low].first;
}

static void append_escape(struct ph_str *s, uint32_t codepoint)
{
    if (codepoint == '\n')
        ph_str_append(s, "\\n");
    else if (codepoint == '\r')
        ph_str_append(s, "\\r");
    else if (codepoint == '\t')
        ph_str_append(s, "\\t");
    else if (codepoint < 0x100)
        ph_str_appendf(s, "\\x%02x", codepoint);
    else if (codepoint < 0x10000)
        ph_str_appendf(s, "\\u%04x", codepoint);
    else
        ph_str_appendf(s, "\\U%08x", codepoint);
}

void ph_str_append_utf8(struct ph_str *s, uint32_t c)
{
    char bytes[4];
    size_t len = 0;
    if (c < 0x80) {
        bytes[len++] = (char)c;
    } else if (c < 0x800) {
        bytes[len++] = (char)(0xc0 | c >> 6);
        bytes[len++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        bytes[len++] = (char)(0xe0 | c >> 12);
        bytes[len++] = (char)(0x80 | (c >> 6 & 0x3f));
        bytes[len++] = (char)(0x80 | (c & 0x3f));
    } else {
        bytes[len++] = (char)(0xf0 | c >> 18);
        bytes[len++] = (char)(0x80 | (c >> 12 & 0x3f));
        bytes[len++] = (char)(0x80 | (c >> 6 & 0x3f));
        bytes[len++] = (char)(0x80 | (c & 0x3f));
    }
    ph_str_append_len(s, bytes, len);
}

void ph_str_append_codepoint(struct ph_str *s, uint32_t codepoint)
{
    if (is_printable(codepoint))
        ph_str_append_utf8(s, codepoint);
    else
        append_escape(s, codepoint);
}

size_t ph_utf8_decode(const unsigned char *p, size_t len, uint32_t *codepoint)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t need = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (need == 0 || need > len || p[0] > 0xf4)
        return 0;
    uint32_t c = need == 1 ? p[0] : p[0] & (0xffu >> (need + 1));
    for (size_t i = 1; i < need; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < smallest[need] || c > 0x10ffff)
        return 0;
    *codepoint = c;
    return need;
}

/* How many leading bytes are printable ASCII. */
static size_t plain_prefix(const unsigned char *p, size_t len)
{
    size_t n = 0;
    while (n < len && p[n] >= 0x20 && p[n] < 0x7f)
        n++;
    return n;
}

/* Encoded surrogates become escapes like any other unprintable code point. */
void ph_str_append_visible(struct ph_str *s, const void *bytes, size_t len)
{
    const unsigned char *p = bytes, *end = p + len;
    ph_str_append_len(s, "", 0);
    while (p < end && !s->failed) {
        size_t plain = plain_prefix(p, (size_t)(end - p));
        ph_str_append_len(s, (const char *)p, plain);
        p += plain;
        if (p == end)
            break;
        uint32_t codepoint;
        size_t used = ph_utf8_decode(p, (size_t)(end - p), &codepoint);
        if (used)
            ph_str_append_codepoint(s, codepoint);
        else
            append_escape(s, *p);
        p += used ? used : 1;
    }
}

void ph_str_append_path(struct ph_str *s, const char *typed)
{
    const char *home = getenv("HOME");
    if (typed[0] == '~' && typed[1] == '/' && home) {
        ph_str_append(s, home);
        typed++;
    }
    ph_str_append(s, typed);
}

void ph_str_truncate(struct ph_str *s, size_t len)
{
    if (len >= s->len)
        return;
    s->len = len;
    s->data[len] = '\0';
}

void ph_str_clear(struct ph_str *s)
{
    s->len = 0;
    s->failed = false;
    if (s->data)
        s->data[0] = '\0';
}

void ph_str_free(struct ph_str *s)
{
    free(s->data);
    *s = (struct ph_str){0};
}

const char *ph_str_text(const struct ph_str *s)
{
    return s->data ? s->data : "";
}
