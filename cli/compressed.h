/*
 * Core files as systemd-coredump keeps them: compressed by zstd, lz4 or xz.
 */
#ifndef PH_CLI_COMPRESSED_H
#define PH_CLI_COMPRESSED_H

#include "base/host.h"

/*
 * Open a core file for reading. A compressed one, told by its first bytes whatever its name, is
 * unpacked into an unnamed file in $TMPDIR, or else /var/tmp, with holes where it is zeros; *fd is
 * that file, and its space is free again when it is closed. The host is asked for interruption and
 * shown progress; it may be NULL.
 */
enum ph_status ph_compressed_open(const char *path, const struct ph_host *host, int *fd,
                                  struct ph_error *err) PH_MUST_USE;

#endif
