/*
 * Hears what logins the servers refuse (refusal.h), where `observability.metrics.server-refusals` asks for
 * it: a subscription in the queue group of the callouts, so that each is counted once in the site. On a
 * thread and a connection of its own, with the service's login: nothing that a server forbids there, and no
 * flood of refusals, touches callouts.
 */
#ifndef EB_REFUSALS_H
#define EB_REFUSALS_H

#include "config.h"

struct eb_refusals; /* any thread */

/* Returns at once, and tries for ever. config is borrowed while it lives. */
EB_MUSTCHECK enum eb_rc eb_refusals_start(const struct eb_config *config, struct eb_refusals **ret,
                                          struct eb_err *reterr);
/* Says that the end is near. */
void eb_refusals_leave(struct eb_refusals *r);
/* Waits for the end of the thread and its connection, until then at the latest (eb_mono_ns). False where it
 * waits for a silent server, and nats.c cannot be called away: only the end of the process ends it then. */
EB_MUSTCHECK bool eb_refusals_stop(struct eb_refusals *r, int64_t until_ns);
/* Only when nats.c has ended, which may still tell of the connection on a thread of its own. */
void eb_refusals_free(struct eb_refusals *r);

#endif
