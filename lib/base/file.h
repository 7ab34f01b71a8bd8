/* Whole files, read with a limit and written atomically. */
#ifndef EB_BASE_FILE_H
#define EB_BASE_FILE_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends the file's bytes to b. EB_E_IO names path and cause, EB_E_TOO_LARGE where it has more than max
 * bytes. */
EB_MUSTCHECK enum eb_rc eb_file_read(const char *path, size_t max, struct eb_buf *b, struct eb_err *reterr);
/*
 * Writes bytes to a new file beside path, syncs and renames it, so that path holds the old bytes or all of
 * the new ones. mode as given, whatever the umask.
 */
EB_MUSTCHECK enum eb_rc eb_file_write(const char *path, struct eb_str bytes, mode_t mode,
                                      struct eb_err *reterr);

#endif
