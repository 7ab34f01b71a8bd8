/*
 * Traces of callouts: workers leave spans in a bounded ring, a thread of its own sends them to a collector
 * (OTLP over HTTP, protobuf). Nothing here makes a callout wait: where the ring is full a span is dropped and
 * counted.
 */
#ifndef EB_TRACE_TRACER_H
#define EB_TRACE_TRACER_H

#include "config.h"
#include "trace/span.h"

struct eb_tracer; /* any thread */

/* c: borrowed until eb_tracer_free. *ret is NULL where tracing is off. Asks nothing of the collector. */
EB_MUSTCHECK enum eb_rc eb_tracer_start(const struct eb_trace_config *c, struct eb_tracer **ret,
                                        struct eb_err *reterr);
/* Begins a span of a request that came at arrived_ns (eb_mono_ns); false where it is not traced: t is NULL,
 * or sampling leaves it out. */
static inline bool eb_tracer_begin(const struct eb_tracer *t, struct eb_span *s, int64_t arrived_ns);
/* Ends it now and takes it. */
void eb_tracer_end(struct eb_tracer *t, struct eb_span *s);
/* Both at once for a request that was dropped before it was looked at. reason: a static text. */
void eb_tracer_dropped(struct eb_tracer *t, int64_t arrived_ns, const char *reason);
/* Takes no more and sends what is there, for a second at most. */
void eb_tracer_leave(struct eb_tracer *t);
/* Leaves and waits for the end; spans that are added later are dropped. */
void eb_tracer_stop(struct eb_tracer *t);
/* Stopped before. */
void eb_tracer_free(struct eb_tracer *t);

bool eb_tracer_sampled(const struct eb_tracer *t, struct eb_span *s, int64_t arrived_ns);
static inline bool eb_tracer_begin(const struct eb_tracer *t, struct eb_span *s, int64_t arrived_ns) {
    return t && eb_tracer_sampled(t, s, arrived_ns);
}

#endif
