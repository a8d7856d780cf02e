#include "base/error.h"

#include <stdio.h>

static void fill(struct ph_error *err, enum ph_status status, ph_addr address, const char *format,
                 va_list args)
{
    if (!err)
        return;
    err->status = status;
    err->address = address;
    vsnprintf(err->message, sizeof err->message, format, args);
}

enum ph_status ph_fail(struct ph_error *err, enum ph_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, status, 0, format, args);
    va_end(args);
    return status;
}

enum ph_status ph_fail_at(struct ph_error *err, enum ph_status status, ph_addr address,
                          const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, status, address, format, args);
    va_end(args);
    return status;
}
