#include "render/format.h"

#include <inttypes.h>
#include <string.h>

/* "1,234,567" into buf. */
static const char *group_digits(char buf[32], uint64_t magnitude, bool negative)
{
    char *p = buf + 31;

    *p = '\0';
    for (unsigned digits = 0; digits == 0 || magnitude; digits++) {
        if (digits && digits % 3 == 0)
            *--p = ',';
        *--p = (char)('0' + magnitude % 10);
        magnitude /= 10;
    }
    if (negative)
        *--p = '-';
    return memmove(buf, p, (size_t)(buf + 32 - p));
}

static uint64_t magnitude_of(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

const char *ph_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

const char *ph_format_count(char buf[32], int64_t count)
{
    return group_digits(buf, magnitude_of(count), count < 0);
}

/* Not by %.1f: the debugger's locale would choose the decimal point. */
const char *ph_format_bytes(char buf[32], uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    double tenths = (double)bytes * 10 / 1024;
    unsigned unit = 0;

    if (bytes < 1024) {
        snprintf(buf, 32, "%" PRIu64 " B", bytes);
        return buf;
    }
    for (; tenths + 0.5 >= 10240 && units[unit + 1]; unit++)
        tenths /= 1024;
    uint64_t rounded = (uint64_t)(tenths + 0.5);
    snprintf(buf, 32, "%" PRIu64 ".%u %ciB", rounded / 10, (unsigned)(rounded % 10), units[unit]);
    return buf;
}

/* Put a sign before what stands in buf without one. */
static const char *put_sign(char buf[32], int64_t value)
{
    if (value) {
        memmove(buf + 1, buf, strlen(buf) + 1);
        buf[0] = value < 0 ? '-' : '+';
    }
    return buf;
}

const char *ph_format_more_count(char buf[32], int64_t count)
{
    group_digits(buf, magnitude_of(count), false);
    return put_sign(buf, count);
}

const char *ph_format_more_bytes(char buf[32], int64_t bytes)
{
    ph_format_bytes(buf, magnitude_of(bytes));
    return put_sign(buf, bytes);
}

static bool starts_codepoint(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

size_t ph_text_width(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += starts_codepoint(*text);
    return width;
}

size_t ph_text_prefix(const char *text, size_t width)
{
    size_t bytes = 0;

    for (; text[bytes]; bytes++)
        if (starts_codepoint(text[bytes]) && width-- == 0)
            break;
    return bytes;
}

const char *ph_format_value(char buf[32], const struct ph_value *value, bool exact)
{
    switch (value->kind) {
    case PH_VALUE_NONE:
        return "";
    case PH_VALUE_NULL:
        return "-";
    case PH_VALUE_TEXT:
        return value->as.text ? value->as.text : "";
    case PH_VALUE_ADDR:
        snprintf(buf, 32, "0x%" PRIx64, value->as.addr);
        return buf;
    case PH_VALUE_BYTES:
        return exact ? group_digits(buf, value->as.bytes, false)
                     : ph_format_bytes(buf, value->as.bytes);
    case PH_VALUE_COUNT:
        return ph_format_count(buf, value->as.count);
    case PH_VALUE_MORE_BYTES:
        return ph_format_more_bytes(buf, value->as.count);
    case PH_VALUE_MORE_COUNT:
        return ph_format_more_count(buf, value->as.count);
    case PH_VALUE_BOOL:
        return value->as.boolean ? "yes" : "no";
    case PH_VALUE_SHARE:
        snprintf(buf, 32, "%.1f %%", value->as.share * 100);
        return buf;
    case PH_VALUE_COUNTS:
        return ph_format_count(buf, (int64_t)value->as.counts.count);
    case PH_VALUE_TEXTS:
        return ph_format_count(buf, (int64_t)value->as.texts.count);
    }
    return "";
}
