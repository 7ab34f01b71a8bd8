/*
 * What the process gives up before it talks to anybody: core dumps, new privileges, files and TCP ports it
 * does not need (landlock), system calls it does not make (seccomp). Each part is applied where the kernel
 * allows, and the log says which.
 */
#ifndef EB_SANDBOX_H
#define EB_SANDBOX_H

#include "config.h"

/* Core dumps off, not dumpable, no new privileges. Call first of all, before a secret is read. */
void eb_sandbox_early(void);
/*
 * Landlock and seccomp, for this thread and those that it starts: call before any other thread exists.
 * config_path and hot_path may be NULL. EB_E_INTERNAL only where sandbox.require is set and a part could not
 * be applied.
 */
EB_MUSTCHECK enum eb_rc eb_sandbox_apply(const struct eb_config *c, const char *config_path,
                                         const char *hot_path, struct eb_err *reterr);

#endif
