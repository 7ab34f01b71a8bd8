/*
 * Whether MQTT logins are answered: only while the site's four streams are there as specified.
 *
 * An MQTT login makes nats-server create those streams that are missing, with definitions of its own: without
 * the sources that carry messages between the sites, and with a first sequence that no update changes. So a
 * login that comes before `eventbus streams apply`, at the first install or after a restore without the
 * streams' data, would damage the site for good. It gets no answer then: the server ends its connection when
 * the time for authentication is over, and the client tries again. Refusals at once would make some client
 * libraries give up and others hammer.
 *
 * UNSURE: nobody could be asked yet, at the start and after a link to NATS was lost. Behind the new link may
 *   be a server with nothing stored, whatever was known before, so any lost link counts, even if another one
 *   stayed: it may be one whose end nobody has noticed. MQTT requests wait here, for at most half of their
 *   time: a check takes a millisecond where JetStream answers, and a request that was dropped instead would
 *   cost its client the whole time for authentication. Where a cluster elects a leader first, logins could
 * not get through either. OPEN: when all four were found as specified, by the rules of `eventbus streams
 * status`. CLOSED: when one is missing or EB_SPEC_WRONG, or differs before it was ever open. MQTT requests
 * are dropped.
 *
 * Once open, it stays so while streams differ in what an update mends. A source that the supervisor takes out
 * for a moment, or limits of a new document that nobody has applied yet, are no reason to keep clients out.
 * This outlasts a lost link: UNSURE turns to OPEN by that weaker rule where it was open before. From CLOSED,
 * and at the start, all must be as specified: nobody is known to have made these streams from this document.
 *
 * A question without an answer changes nothing. JetStream without a leader, or a server that does not let us
 * ask, says nothing of the streams; that a server was exchanged meanwhile shows in the link.
 */
#ifndef EB_GATE_H
#define EB_GATE_H

#include <stdatomic.h>

#include "base/buf.h"
#include "specs.h"

enum eb_gate_state { EB_GATE_UNSURE, EB_GATE_OPEN, EB_GATE_CLOSED };

/* What a stream was found to be. */
enum eb_spec_verdict {
    EB_SPEC_UNASKED, /* no usable answer */
    EB_SPEC_RIGHT,
    EB_SPEC_DIFFERS, /* an update mends it */
    EB_SPEC_WRONG,   /* no update mends it, or it keeps messages otherwise than MQTT between sites needs */
    EB_SPEC_MISSING,
};
const char *eb_spec_verdict_name(enum eb_spec_verdict v);

/*
 * Judges the answer to STREAM.INFO of eb_stream_names[i] against its definition; `why` is appended to with
 * what is not right, for people. now_ns: wall clock, nanoseconds since the epoch.
 */
enum eb_spec_verdict eb_spec_judge(size_t i, const json_t *wanted, struct eb_str answer, int64_t now_ns,
                                   struct eb_buf *why);

/*
 * True for an answer that is not the data account's. nats-server answers requests to JetStream also for the
 * account that they are sent in, where that one has none ("JetStream not enabled for account"), before or
 * after the answer that comes over the import.
 */
bool eb_spec_foreign(struct eb_str answer);

/* What one check of all four found. */
struct eb_gate_round {
    enum eb_spec_verdict verdict[EB_STREAMS_N];
    struct eb_buf why; /* "" where all are right */
};

struct eb_gate; /* any thread */
struct eb_gate *eb_gate_new(void);
void eb_gate_free(struct eb_gate *g);

/* One atomic read. NULL: no gate, EB_GATE_OPEN. */
enum eb_gate_state eb_gate_state(const struct eb_gate *g);
#define EB_GATE_TELL_NS (10 * INT64_C(1000000000))
/* A link to NATS was lost: what was known may be of a server that is no more. */
void eb_gate_lost(struct eb_gate *g);
/* Before a check: what a check that began earlier finds does not count once a link was lost. */
uint64_t eb_gate_begin(struct eb_gate *g);
/*
 * Takes what a check found into account. False where a link was lost since eb_gate_begin: ask again at once.
 * *ret_news: to be told, as the state or the reason is another than what was told last. A reason why nothing
 * can be asked changes with each server that is tried: another is news only EB_GATE_TELL_NS (of now_ns,
 * eb_mono_ns) after the last.
 */
EB_MUSTCHECK bool eb_gate_take(struct eb_gate *g, uint64_t begun, const struct eb_gate_round *round,
                               int64_t now_ns, bool *ret_news);
/* What is not right, for people; "" where all is. */
void eb_gate_why(struct eb_gate *g, struct eb_buf *to);
/* Appends the member of /readyz: `"mqtt":{…}`. */
void eb_gate_json(struct eb_gate *g, struct eb_buf *to);
/* Counts a dropped MQTT login, and says so in the log every ten seconds. */
void eb_gate_note_drop(struct eb_gate *g);

#endif
