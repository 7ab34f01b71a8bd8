/*
 * Whether the far end of a source answers, asked on the very path that the source itself takes: a
 * CONSUMER.CREATE that is no valid request, so nothing is made. Any answer means that the link and the far
 * JetStream are up.
 */
#ifndef EB_CLI_PROBE_H
#define EB_CLI_PROBE_H

#include "jetstream.h"
#include "site/streams.h"

#define EB_PROBE_MS 700 /* an answer that took longer is none */

struct eb_probe;

/*
 * A listener for the answers of one source; its connection must outlive it. place tells it from the others of
 * this process. EB_E_IO, EB_E_NOMEM.
 */
EB_MUSTCHECK enum eb_rc eb_probe_new(struct eb_js *js, const struct eb_stream_source *s, size_t place,
                                     struct eb_probe **ret, struct eb_err *reterr);
void eb_probe_free(struct eb_probe *p);
EB_DEFINE_CLEANUP(struct eb_probe, eb_probe_free);
/* Asks; now_ms is of the monotonic clock. Several may be under way. */
void eb_probe_send(struct eb_probe *p, int64_t now_ms);
/* True where an answer to a probe that is no older than EB_PROBE_MS is there. Does not wait. Answers are used
 * up. */
bool eb_probe_answered(struct eb_probe *p, int64_t now_ms);

#endif
