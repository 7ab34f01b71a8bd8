/* Secret bytes in guarded memory (sodium_malloc): locked where the limits allow, not dumped, wiped when
 * freed. */
#ifndef EB_BASE_SECRET_H
#define EB_BASE_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

struct eb_secret; /* immutable after creation, so any thread may read it */

/* Copies n bytes (n > 0). NULL when out of memory. The caller wipes its own copy. */
struct eb_secret *eb_secret_new(const void *p, size_t n);
void eb_secret_free(struct eb_secret *s);
/* The bytes, borrowed; not NUL-terminated. */
struct eb_str eb_secret_get(const struct eb_secret *s);
/*
 * Reads a file of at most max bytes, without the blanks and line ends around it. EB_E_IO names the path and
 * the cause; EB_E_INVALID for an empty one.
 */
EB_MUSTCHECK enum eb_rc eb_secret_read_file(const char *path, size_t max, struct eb_secret **ret,
                                            struct eb_err *reterr);

EB_DEFINE_CLEANUP(struct eb_secret, eb_secret_free);

#endif
