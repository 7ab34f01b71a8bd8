/*
 * Asks JetStream for the site's streams and tells the gate (gate.h): every second while it is closed, every
 * five while it is open, five times a second while it is unsure, and at once when a link to NATS came or went
 * or a new definition is in force. On a thread and a connection of its own, with the service's login: nothing
 * that a server forbids or delays there touches callouts.
 */
#ifndef EB_GATEKEEPER_H
#define EB_GATEKEEPER_H

#include "gate.h"
#include "live.h"

struct eb_gatekeeper; /* any thread */

struct eb_gatekeeper_options {
    const struct eb_config *config; /* borrowed while it lives */
    struct eb_live *live;           /* whose definitions count */
    struct eb_gate *gate;
    void (*settled)(void *ctx); /* the gate is not unsure any more; on the keeper's thread */
    void *ctx;
};

EB_MUSTCHECK enum eb_rc eb_gatekeeper_start(const struct eb_gatekeeper_options *opt,
                                            struct eb_gatekeeper **ret, struct eb_err *reterr);
/* Checks again at once. */
void eb_gatekeeper_poke(struct eb_gatekeeper *k);
/* Says that the end is near: what waits for an answer stops waiting. */
void eb_gatekeeper_leave(struct eb_gatekeeper *k);
/* Waits for the end of the thread and its connection, until then at the latest (eb_mono_ns). False where it
 * waits for a silent server, and nats.c cannot be called away: only the end of the process ends it then. */
EB_MUSTCHECK bool eb_gatekeeper_stop(struct eb_gatekeeper *k, int64_t until_ns);
/* Only when nats.c has ended, which may still tell of the connection on a thread of its own. */
void eb_gatekeeper_free(struct eb_gatekeeper *k);

#endif
