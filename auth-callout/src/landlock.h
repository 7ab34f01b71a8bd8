/* Files below the given folders only, and TCP to and on the given ports only. Source: landlock(7). */
#ifndef EB_LANDLOCK_H
#define EB_LANDLOCK_H

#include <stdint.h>

#include "base/err.h"

struct eb_landlock;

/* EB_E_INTERNAL where the kernel has none; *ret_abi is its level. */
EB_MUSTCHECK enum eb_rc eb_landlock_new(struct eb_landlock **ret, int *ret_abi, struct eb_err *reterr);
/* A folder or file that may be read, with all below; write adds creating, writing and renaming there. Absent
 * paths are passed over. */
void eb_landlock_path(struct eb_landlock *l, const char *path, bool write);
/* Ports from the fourth level on; earlier ones do not limit the network. */
void eb_landlock_connect(struct eb_landlock *l, uint16_t port);
void eb_landlock_bind(struct eb_landlock *l, uint16_t port);
/* Puts it in force for this thread and those that it starts, and frees l. */
EB_MUSTCHECK enum eb_rc eb_landlock_apply(struct eb_landlock *l, struct eb_err *reterr);

#endif
