#include "watch_impl.h"

#include <stdio.h>

#include "base/json.h"

enum {
    ASK_MS = 1000,
    /* Entries that never connected are left alone for this long: another supervisor, or the server itself,
       may be at it. */
    SETTLE_MS = 300,
    /* A healthy source is silent for 1.1 s at most. After the first it is asked for ahead of time, after the
       second it is cured: two heartbeats are missing then, and the far end answers all the same. */
    DOUBTFUL_MS = 1400,
    SILENT_MS = 2200,
    YOUNG_MS = 10000, /* trouble that is older is looked at less often */
    AWAY_MS = 1500,   /* a far end that was silent for longer was away */
    TOLD_MS = 10000,  /* the same trouble of a stream is told again after this */
};

static void forget_probes(struct eb_watch *w) {
    for (size_t i = 0; i < w->n; i++) {
        eb_probe_free(w->entries[i].probe);
        w->entries[i].probe = NULL;
        w->entries[i].asked_ms = 0;
    }
}

bool eb_watch_plan(struct eb_watch *w, struct eb_plan *plan) {
    struct eb_watch_entry *entries = calloc(plan->sources_n + 1, sizeof *entries);
    if (!entries)
        return false;
    forget_probes(w);
    free(w->entries);
    eb_plan_done(&w->plan);
    w->plan = *plan;
    *plan = (struct eb_plan){0};
    w->entries = entries;
    w->n = w->plan.sources_n;
    const char *const names[] = {EB_STREAM_MSGS, EB_STREAM_RMSGS};
    for (size_t i = 0; i < EB_COUNT_OF(w->streams); i++)
        w->streams[i] = (struct eb_watch_stream){.name = names[i]};
    for (size_t i = 0; i < w->n; i++) {
        w->entries[i] = (struct eb_watch_entry){.source = &w->plan.sources[i],
                                                .wanted = w->plan.entries[i],
                                                .key = w->plan.keys[i],
                                                .state = EB_SOURCE_CONNECTED};
        w->streams[strcmp(w->plan.sources[i].into, EB_STREAM_RMSGS) == 0].used = true;
    }
    return true;
}

struct eb_str eb_watch_site(const struct eb_watch *w) {
    return w->plan.site->name;
}

struct eb_watch *eb_watch_new(struct eb_js *js, struct eb_plan *plan) {
    EB_CLEANUP(eb_watch_freep) struct eb_watch *w = calloc(1, sizeof *w);
    if (!w || !eb_watch_plan(w, plan))
        return NULL;
    w->js = js;
    return EB_TAKE(w);
}

void eb_watch_free(struct eb_watch *w) {
    if (!w)
        return;
    forget_probes(w);
    free(w->entries);
    eb_plan_done(&w->plan);
    free(w);
}

void eb_watch_complain(struct eb_watch_stream *s, const char *level, const char *msg, const char *error) {
    int64_t now = eb_mono_ms();
    if (s->told_ms && now - s->told_ms < TOLD_MS)
        return;
    s->told_ms = now;
    eb_watch_log(level, msg, s->name, NULL, -1, -1, error);
}

json_t *eb_watch_info(struct eb_watch *w, struct eb_watch_stream *s) {
    json_t *info = NULL;
    struct eb_err err = {0};
    w->session = eb_js_session(w->js);
    enum eb_rc rc = eb_streams_info(w->js, w->plan.site, s->name, ASK_MS, &info, &err);
    if (rc != EB_OK)
        eb_watch_complain(s, rc == EB_E_IO ? "warn" : "error", "the stream cannot be looked at",
                          eb_err_text(&err, rc));
    else if (!info)
        eb_watch_complain(s, "warn", "there is no such stream: run `eventbus streams apply`", NULL);
    return info;
}

void eb_watch_note_leader(struct eb_watch_stream *s, const json_t *info, int64_t now_ms) {
    const json_t *cluster = json_object_get(info, "cluster");
    const char *leader = json_string_value(json_object_get(cluster, "leader"));
    s->replicated = json_integer_value(json_object_get(json_object_get(info, "config"), "num_replicas")) > 1;
    if (strcmp(leader ? leader : "", s->leader) == 0)
        return;
    (void)snprintf(s->leader, sizeof s->leader, "%s", leader ? leader : "");
    s->leader_ms = now_ms;
}

bool eb_watch_is_silent(const struct eb_watch_stream *s, const struct eb_source_status *st) {
    return st->active_ns > (s->replicated ? EB_SOURCE_SILENT_NS : SILENT_MS * INT64_C(1000000));
}

static void note_state(const struct eb_watch_stream *s, struct eb_watch_entry *e,
                       const struct eb_source_view *view, int64_t now) {
    struct eb_source_status st;
    eb_source_status(e->key, view, &st);
    if (st.state != e->state)
        e->state_ms = now;
    e->state = st.state;
    e->stalled =
        eb_watch_is_silent(s, &st) || (st.state == EB_SOURCE_NEVER && now - e->state_ms >= SETTLE_MS);
    int64_t silent_ms = st.active_ns / 1000000;
    if (st.state != EB_SOURCE_CONNECTED || silent_ms > DOUBTFUL_MS) {
        if (!e->since_ms)
            e->since_ms = st.active_ns > 0 ? now - silent_ms : now;
        return;
    }
    if (e->fruitless)
        eb_watch_log("info", "source is connected again", e->source->into, e->source, now - e->since_ms, -1,
                     NULL);
    e->since_ms = e->asked_ms = e->answered_ms = 0;
    e->fruitless = 0;
}

static void ask_far_end(struct eb_watch *w, size_t place, int64_t now) {
    struct eb_watch_entry *e = &w->entries[place];
    struct eb_err err = {0};
    if (!e->probe && eb_probe_new(w->js, e->source, place, &e->probe, &err) != EB_OK) {
        eb_watch_log("error", "the far end cannot be asked", e->source->into, e->source, -1, -1,
                     eb_err_text(&err, EB_E_IO));
        return;
    }
    if (e->asked_ms == 0)
        (void)eb_probe_answered(e->probe, now); /* what is left of another time */
    else if (e->fruitless && now - (e->answered_ms ? e->answered_ms : e->since_ms) > AWAY_MS &&
             now - e->cured_ms > AWAY_MS)
        e->fruitless = 1; /* the link is away; long pauses are for far ends that answer */
    e->asked_ms = now;
    eb_probe_send(e->probe, now);
}

/* Looks at a stream; asks the far ends of what is in trouble, or about to be. */
static enum eb_watch_pace look(struct eb_watch *w, struct eb_watch_stream *s) {
    eb_auto_json json_t *info = eb_watch_info(w, s);
    int64_t now = eb_mono_ms();
    EB_CLEANUP(eb_source_view_done) struct eb_source_view view = {0};
    enum eb_watch_pace pace = EB_WATCH_CALM;
    if (!info || eb_source_view(info, &view) != EB_OK)
        return pace;
    eb_watch_note_leader(s, info, now);
    for (size_t i = 0; i < w->n; i++) {
        struct eb_watch_entry *e = &w->entries[i];
        if (!eb_watch_is_of(e, s))
            continue;
        note_state(s, e, &view, now);
        if (e->since_ms && pace != EB_WATCH_QUICK)
            pace = now - e->since_ms < YOUNG_MS ? EB_WATCH_QUICK : EB_WATCH_PATIENT;
        if (e->since_ms && e->state != EB_SOURCE_MISSING && eb_cure_may(e, now))
            ask_far_end(w, i, now);
    }
    eb_cure_missing(w, s, info, now);
    return pace;
}

enum eb_watch_pace eb_watch_round(struct eb_watch *w) {
    enum eb_watch_pace pace = EB_WATCH_CALM;
    if (w->generation != eb_js_generation(w->js)) {
        forget_probes(w);
        w->generation = eb_js_generation(w->js);
    }
    for (size_t i = 0; i < EB_COUNT_OF(w->streams); i++) {
        enum eb_watch_pace one = w->streams[i].used ? look(w, &w->streams[i]) : EB_WATCH_CALM;
        pace = one > pace ? one : pace;
    }
    return pace;
}

void eb_watch_step(struct eb_watch *w) {
    for (size_t i = 0; i < EB_COUNT_OF(w->streams); i++) {
        struct eb_watch_stream *s = &w->streams[i];
        bool any = false;
        for (size_t j = 0; j < w->n; j++) {
            struct eb_watch_entry *e = &w->entries[j];
            if (!eb_watch_is_of(e, s))
                continue;
            int64_t now = eb_mono_ms();
            if (e->asked_ms && e->probe && eb_probe_answered(e->probe, now))
                e->answered_ms = now;
            e->chosen =
                e->stalled && e->answered_ms && now - e->answered_ms <= EB_PROBE_MS && eb_cure_may(e, now);
            any = any || e->chosen;
        }
        if (any)
            eb_cure_stalled(w, s);
    }
}
