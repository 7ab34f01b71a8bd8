/* One auth callout, from the bytes of the request to the bytes of the answer. Knows nothing of NATS
 * connections and threads. */
#ifndef EB_CALLOUT_H
#define EB_CALLOUT_H

#include "gate.h"
#include "live.h"
#include "metrics.h"
#include "sealing.h"

enum eb_outcome {
    EB_DROP,   /* say nothing: no request, or too late, or too much is being asked */
    EB_ANSWER, /* `reply` holds the answer */
    EB_PARK,   /* run again when what it waits for has come, at the latest when until_ns has */
};

/* What a parked request waits for. */
struct eb_wait {
    int64_t until_ns;
    struct eb_source *source;     /* NULL: for the gate of MQTT to be sure */
    uint64_t number;              /* EB_SOURCE_KEYS, or the ticket's */
    struct eb_kube_ticket ticket; /* of an ask */
};

/* What callouts share; borrowed, any thread. */
struct eb_callout {
    struct eb_live *live;
    struct eb_sealing *sealing;
    struct eb_gate *gate; /* of MQTT; NULL: none */
};

struct eb_callout_in {
    struct eb_str payload;
    struct eb_str header_xkey; /* {NULL, 0} where the header is absent */
    int64_t arrived_ns;        /* eb_mono_ns() when it came */
    bool no_wait;              /* decide with what is known now, as when the time to wait is over */
};

/* Buffers that a worker keeps from one callout to the next. */
struct eb_callout_scratch {
    struct eb_buf plain, user_jwt, answer, grants;
};
void eb_callout_scratch_done(struct eb_callout_scratch *s);

/* Decides and logs. reply is emptied first. *ret_wait is set for EB_PARK. */
enum eb_outcome eb_callout_run(const struct eb_callout *c, const struct eb_callout_in *in,
                               struct eb_callout_scratch *scratch, struct eb_buf *reply,
                               struct eb_wait *ret_wait);
/* Counts a dropped request (EB_C_DROPPED_LATE or EB_C_DROPPED_FULL) and says so in the log, at most once a
 * second. */
void eb_callout_note_drop(enum eb_counter kind);
/* True where a request of this age cannot be in time any more, whatever it says: no server seen so far waits
 * that long. */
bool eb_callout_hopeless(int64_t arrived_ns, int64_t now_ns);

#endif
