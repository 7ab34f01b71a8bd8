/* Which method a request's credentials choose, and its verdict. Source: the table in docs/authentication.md.
 */
#ifndef EB_DECIDE_H
#define EB_DECIDE_H

#include "methods/methods.h"

/*
 * Decides a->req: the first row of the table that holds chooses the method; one that was chosen and fails
 * refuses, it never falls through to another.
 */
EB_MUSTCHECK enum eb_rc eb_decide(struct eb_attempt *a);
/* When the session of an admitted attempt ends, seconds since the epoch; 0 for never. */
int64_t eb_decide_session_end(const struct eb_attempt *a);

#endif
