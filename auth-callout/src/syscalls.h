/* The system calls that the service makes; all others fail with EPERM. */
#ifndef EB_SYSCALLS_H
#define EB_SYSCALLS_H

#include "base/err.h"

EB_MUSTCHECK enum eb_rc eb_seccomp_apply(struct eb_err *reterr);

#endif
