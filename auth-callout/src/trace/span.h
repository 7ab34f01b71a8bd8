/* What one callout leaves for the trace: of a fixed size, so that a worker copies it and goes on. */
#ifndef EB_TRACE_SPAN_H
#define EB_TRACE_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "metrics.h"

enum { EB_TRACE_ID = 16, EB_SPAN_ID = 8, EB_SPAN_TEXT = 127 };

enum eb_verdict { EB_VERDICT_DROPPED, EB_VERDICT_ALLOWED, EB_VERDICT_DENIED };
const char *eb_verdict_name(enum eb_verdict v);

/* Reasons of requests that were dropped unanswered, beside those of rc.h. */
#define EB_DROPPED_LATE "late"
#define EB_DROPPED_FULL "queue_full"
#define EB_DROPPED_MQTT "mqtt_closed"
#define EB_DROPPED_STOP "stopping"

/* The first bytes of a text; n 0 for none. */
struct eb_span_text {
    unsigned char n;
    char p[EB_SPAN_TEXT];
};

struct eb_span {
    unsigned char trace_id[EB_TRACE_ID], span_id[EB_SPAN_ID];
    int64_t arrived_ns;       /* by eb_mono_ns */
    int64_t start_ns, end_ns; /* since the epoch; set when it is recorded */
    enum eb_method method;
    enum eb_verdict verdict;
    const char *reason; /* a static text */
    const char
        *error;    /* a static text: what kept the service from answering as it should; NULL for nothing */
    unsigned conn; /* EB_CONN_* bit, 0 for an unknown kind */
    uint64_t client_id; /* 0 before the request was read */
    int64_t wait_ns;    /* for a worker */
    bool parked;        /* it waited for a key, a ServiceAccount or a TokenReview */
    struct eb_span_text entry, account, host, server_name, server_id;
};

/* Begins a span with fresh ids, all else empty. Any thread, no system call but a thread's first. */
void eb_span_begin(struct eb_span *s, int64_t arrived_ns);
/* A number that is evenly spread over 0..EB_SPAN_LOT_MAX - 1 among spans: by it is sampled. */
#define EB_SPAN_LOT_MAX (UINT64_C(1) << 56)
uint64_t eb_span_lot(const struct eb_span *s);
void eb_span_set(struct eb_span_text *to, struct eb_str text);
/* The trace id in hexadecimal, as backends show it. */
void eb_span_hex(const struct eb_span *s, char to[2 * EB_TRACE_ID + 1]);

#endif
