/* Between watch.c, which looks at the sources, and cure.c, which changes the streams. */
#ifndef EB_CLI_WATCH_IMPL_H
#define EB_CLI_WATCH_IMPL_H

#include "probe.h"
#include "watch.h"

/* A source of the document, and how it does. */
struct eb_watch_entry {
    const struct eb_stream_source *source; /* of the plan, as are these */
    json_t *wanted;
    const char *key;
    struct eb_probe *probe;
    int64_t asked_ms;    /* the last probe, 0 = none is awaited */
    int64_t answered_ms; /* when an answer came, 0 = none since the trouble began */
    int64_t since_ms;    /* when the trouble began, 0 = healthy */
    int64_t cured_ms;    /* the last cure, 0 = none */
    unsigned fruitless;  /* cures since it was healthy, or its far end was away */
    enum eb_source_state state;
    int64_t state_ms; /* when it was first seen in it */
    bool stalled;
    bool chosen; /* for the cure that is being made */
};

struct eb_watch_stream {
    const char *name;
    bool used;       /* it has sources */
    bool replicated; /* several replicas, as the server says */
    char leader[128];
    int64_t leader_ms; /* when this leader was first seen */
    int64_t stepped_ms;
    int64_t told_ms;
};

struct eb_watch {
    struct eb_js *js;
    struct eb_plan plan;
    struct eb_watch_entry *entries;
    size_t n;
    struct eb_watch_stream streams[2];
    unsigned generation; /* of the connection that the probes belong to */
    uint64_t session;    /* of the connection that the last stream was read over */
};

static inline bool eb_watch_is_of(const struct eb_watch_entry *e, const struct eb_watch_stream *s) {
    return strcmp(e->source->into, s->name) == 0;
}

/* The answer to STREAM.INFO, of this site; NULL after telling why there is none. The caller decrefs. */
json_t *eb_watch_info(struct eb_watch *w, struct eb_watch_stream *s);
/* Tells a stream's trouble, not in every round. */
void eb_watch_complain(struct eb_watch_stream *s, const char *level, const char *msg, const char *error);
/* What the server says of the stream's replicas and their leader. */
void eb_watch_note_leader(struct eb_watch_stream *s, const json_t *info, int64_t now_ms);
/* True where two heartbeats are missing. */
bool eb_watch_is_silent(const struct eb_watch_stream *s, const struct eb_source_status *st);

/* False where it was cured a moment ago. */
bool eb_cure_may(const struct eb_watch_entry *e, int64_t now_ms);
/* Puts in what a supervisor left out when it died, or what was never applied. info: the stream, just read. */
void eb_cure_missing(struct eb_watch *w, struct eb_watch_stream *s, const json_t *info, int64_t now_ms);
/* Sets the chosen entries of the stream up anew: out and in again; with several replicas the leader steps
 * down. */
void eb_cure_stalled(struct eb_watch *w, struct eb_watch_stream *s);

#endif
