/*
 * A login that a nats-server refused, as it tells afterwards in the account of its callouts. Who has waited
 * in vain, because no answer came in time, is told nowhere else: nats-server has no counter of it, and of a
 * request that never came the service knows nothing.
 */
#ifndef EB_REFUSAL_H
#define EB_REFUSAL_H

#include "base/str.h"
#include "metrics.h"

#define EB_REFUSAL_SUBJECT "$SYS.ACCOUNT.CLIENT.AUTH.ERR"

/*
 * Why, by the words of the server; never by what the client said of itself. An event that cannot be read is
 * EB_REFUSAL_OTHER: somebody was refused.
 */
enum eb_refusal eb_refusal_of(struct eb_str event);
/* Counts it, and logs those that no decision of ours told: without an answer, or by the server itself. */
void eb_refusal_take(struct eb_str event);

#endif
