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
 * The same of a file that this program wrote or will replace: never through a symbolic link, never waiting
 * for the other end of a pipe; what is no regular file is EB_E_IO. *ret_mode is its st_mode; where nothing is
 * there, EB_OK, no bytes and 0.
 */
EB_MUSTCHECK enum eb_rc eb_file_read_own(const char *path, size_t max, struct eb_buf *b, mode_t *ret_mode,
                                         struct eb_err *reterr);
/*
 * Writes bytes to a new file beside path (path.new-<pid>-<random>), syncs and renames it, so that path holds
 * the old bytes or all of the new ones; then syncs the folder (one that may not be read is left to the
 * kernel), so that after EB_OK the new ones outlast a loss of power. mode as given, whatever the umask.
 * EB_E_IO after the rename says that the new ones are there.
 */
EB_MUSTCHECK enum eb_rc eb_file_write(const char *path, struct eb_str bytes, mode_t mode,
                                      struct eb_err *reterr);

#endif
