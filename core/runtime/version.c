#include "runtime/version.h"

#include "runtime/data.h"

#include <stdio.h>

/* Release levels of PY_VERSION_HEX's low byte (Include/patchlevel.h). */
static const struct {
    unsigned level;
    const char *text;
} levels[] = {{0xa, "a"}, {0xb, "b"}, {0xc, "rc"}};

static bool parse_number(const char *text, size_t len, size_t *at, unsigned max, unsigned *out)
{
    size_t i = *at;
    unsigned value = 0;
    while (i < len && text[i] >= '0' && text[i] <= '9') {
        value = value * 10 + (unsigned)(text[i] - '0');
        if (value > max)
            return false;
        i++;
    }
    if (i == *at)
        return false;
    *at = i;
    *out = value;
    return true;
}

uint32_t ph_version_parse(const char *text, size_t len)
{
    unsigned part[3] = {0}, level = 0xf, serial = 0;
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        if (i > 0 && (at >= len || text[at++] != '.'))
            return 0;
        if (!parse_number(text, len, &at, 255, &part[i]))
            return 0;
    }
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        size_t n = strlen(levels[i].text);
        if (len - at < n || memcmp(text + at, levels[i].text, n) != 0)
            continue;
        at += n;
        if (!parse_number(text, len, &at, 15, &serial))
            return 0;
        level = levels[i].level;
        break;
    }
    return part[0] << 24 | part[1] << 16 | part[2] << 8 | level << 4 | serial;
}

const char *ph_version_format(char buf[32], uint32_t hex)
{
    int n = snprintf(buf, 32, "%u.%u.%u", hex >> 24, hex >> 16 & 255, hex >> 8 & 255);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if ((hex >> 4 & 15) == levels[i].level)
            snprintf(buf + n, 32 - (size_t)n, "%s%u", levels[i].text, hex & 15);
    }
    return buf;
}

/* The text that Py_GetVersion() leaves behind: "3.9.18 (main, Feb  1 2024, 00:00:00)
 * \n[GCC 12.2.0]". */
static uint32_t version_in_bytes(const char *bytes, size_t len)
{
    for (const char *p = bytes, *end = bytes + len; p < end;) {
        p = memmem(p, (size_t)(end - p), " (", 2);
        if (!p)
            return 0;
        const char *start = p;
        while (start > bytes && p - start < 12 && start[-1] > ' ' && start[-1] < 127)
            start--;
        bool alone = start == bytes || start[-1] == 0;
        uint32_t hex = alone && (*start == '3' || *start == '2')
                           ? ph_version_parse(start, (size_t)(p - start))
                           : 0;
        const char *compiler =
            hex ? memchr(p, '[', (size_t)(end - p) < 160 ? (size_t)(end - p) : 160) : NULL;
        if (compiler)
            return hex;
        p += 2;
    }
    return 0;
}

static uint32_t version_in_data(struct ph_target *target, ph_addr anchor)
{
    ph_addr start;
    uint64_t len;
    for (size_t i = 0; ph_data_next(target, anchor, &i, &start, &len);) {
        const char *bytes = ph_target_view(target, start, len);
        uint32_t hex = bytes ? version_in_bytes(bytes, len) : 0;
        if (hex)
            return hex;
    }
    return 0;
}

uint32_t ph_version_read(struct ph_target *target, ph_addr anchor)
{
    ph_addr symbol;
    uint64_t value;
    if (ph_target_symbol(target, "Py_Version", &symbol, NULL) == PH_OK &&
        ph_target_word(target, symbol, &value) && value >> 24 == 3)
        return (uint32_t)value;
    const char *cookie = ph_target_view(target, anchor, 16);
    if (cookie && memcmp(cookie, "xdebugpy", 8) == 0 && ph_target_u64(target, anchor + 8, &value))
        return (uint32_t)value;
    return version_in_data(target, anchor);
}
