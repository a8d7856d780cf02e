/*
 * Errors, and the few types that everything shares.
 *
 * A function that can fail returns an enum ph_status, which must be used, and fills a struct
 * ph_error that its caller owns. Nothing is allocated on the way. The message is one line that says
 * what to do; it may quote target data only after ph_str_append_visible() or a bound like %.60s of
 * checked ASCII.
 */
#ifndef PH_BASE_ERROR_H
#define PH_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An address in the target; never a host pointer. 0 stands for "none". */
typedef uint64_t ph_addr;

#define PH_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define PH_MUST_USE     __attribute__((warn_unused_result))

enum ph_status {
    PH_OK = 0,
    PH_UNREADABLE,  /* target memory that could not be read; error.address says where */
    PH_NOT_FOUND,   /* what was asked for is not there */
    PH_UNSUPPORTED, /* a version, build or machine that we do not know */
    PH_BAD_DATA,    /* target data that contradicts itself */
    PH_USAGE,       /* the user's words are wrong */
    PH_NO_MEMORY,   /* ours, not the target's */
    PH_INTERRUPTED, /* the user pressed Ctrl-C */
    PH_FAILED,      /* anything else, such as a file that cannot be opened */
};

struct ph_error {
    enum ph_status status;
    ph_addr address; /* 0 where no address is concerned */
    char message[256];
};

/* Fill err (which may be NULL) and return status, so that callers can write `return ph_fail(...)`.
 */
enum ph_status ph_fail(struct ph_error *err, enum ph_status status, const char *format, ...)
    PH_PRINTF(3, 4);
/* The same for a fault at a target address. */
enum ph_status ph_fail_at(struct ph_error *err, enum ph_status status, ph_addr address,
                          const char *format, ...) PH_PRINTF(4, 5);

#endif
