/*
 * The supervisor of a site's sources: it watches what is pulled from other sites and takes a stalled entry
 * out of its stream and in again as soon as the far end answers, because nats-server alone needs 10 to 70 s
 * for that. On a stream with several replicas it has the leader step down instead: taking out and in would
 * double messages there.
 */
#ifndef EB_CLI_WATCH_H
#define EB_CLI_WATCH_H

#include "streams_common.h"

enum {
    EB_WATCH_ROUND_MS = 300,
    EB_WATCH_QUICK_MS = 100,
    EB_WATCH_STEP_MS = 20, /* between two looks for answers of probes */
};

/* What is told, one JSON object a line on standard error. */
void eb_watch_log(const char *level, const char *msg, const char *stream, const struct eb_stream_source *s,
                  int64_t waited_ms, int64_t took_ms, const char *error);

struct eb_watch; /* one thread */

/* js is lent. The plan is taken over. NULL when out of memory. */
struct eb_watch *eb_watch_new(struct eb_js *js, struct eb_plan *plan);
void eb_watch_free(struct eb_watch *w);
EB_DEFINE_CLEANUP(struct eb_watch, eb_watch_free);
/* Another document: what is known of the sources begins anew. False when out of memory; then the old one
 * stays. */
bool eb_watch_plan(struct eb_watch *w, struct eb_plan *plan);
/* The site that is watched; lent. */
struct eb_str eb_watch_site(const struct eb_watch *w);
/* How soon the next round is wanted. */
enum eb_watch_pace {
    EB_WATCH_CALM,
    EB_WATCH_PATIENT, /* something is silent, for long: steps are wanted between the rounds */
    EB_WATCH_QUICK,   /* something is silent since a moment ago: rounds and steps */
};
/* A round: looks at the streams, asks the far ends of what is silent. The connection is up. */
enum eb_watch_pace eb_watch_round(struct eb_watch *w);
/* Between rounds: cures what has been answered. */
void eb_watch_step(struct eb_watch *w);

#endif
