#include "watch.h"

#include <sodium.h>
#include <stdio.h>

#include "base/json.h"
#include "probe.h"

enum {
    ASK_MS = 1000,
    /* At most one cure of an entry in this time; from the fourth fruitless one on the pause doubles. */
    PAUSE_MS = 3000,
    PAUSE_MAX_MS = 30000,
    FRUITLESS = 3,
    /* Entries that never connected, or are gone, are left alone for this long: another supervisor, or the
       server itself, may be at it. */
    SETTLE_MS = 300,
    /* A healthy source is silent for 1.1 s at most. After the first it is asked for ahead of time, after the
       second it is cured: two heartbeats are missing then, and the far end answers all the same. */
    DOUBTFUL_MS = 1400,
    SILENT_MS = 2200,
    JITTER_MS = 40,
    /* Several replicas: a new leader sets its sources up by itself, and what it took over is not all in its
       store yet. */
    LEADER_MS = 4000,
    YOUNG_MS = 10000, /* trouble that is older is looked at less often */
    AWAY_MS = 1500,   /* a far end that was silent for longer was away */
    PUT_BACK_TRIES = 5,
    TOLD_MS = 10000, /* the same trouble of a stream is told again after this */
};

struct entry {
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

struct stream {
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
    struct entry *entries;
    size_t n;
    struct stream streams[2];
    unsigned generation; /* of the connection that the probes belong to */
};

static void forget_probes(struct eb_watch *w) {
    for (size_t i = 0; i < w->n; i++) {
        eb_probe_free(w->entries[i].probe);
        w->entries[i].probe = NULL;
        w->entries[i].asked_ms = 0;
    }
}

bool eb_watch_plan(struct eb_watch *w, struct eb_plan *plan) {
    struct entry *entries = calloc(plan->sources_n + 1, sizeof *entries);
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
        w->streams[i] = (struct stream){.name = names[i]};
    for (size_t i = 0; i < w->n; i++) {
        w->entries[i] = (struct entry){.source = &w->plan.sources[i],
                                       .wanted = w->plan.entries[i],
                                       .key = w->plan.keys[i],
                                       .state = EB_SOURCE_CONNECTED};
        w->streams[strcmp(w->plan.sources[i].into, EB_STREAM_RMSGS) == 0].used = true;
    }
    return true;
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

static bool is_of(const struct entry *e, const struct stream *s) {
    return strcmp(e->source->into, s->name) == 0;
}

/* Tells a stream's trouble, not in every round. */
static void complain(struct stream *s, const char *msg, const char *error) {
    int64_t now = eb_js_mono_ms();
    if (s->told_ms && now - s->told_ms < TOLD_MS)
        return;
    s->told_ms = now;
    eb_watch_log("warn", msg, s->name, NULL, -1, -1, error);
}

static json_t *read_info(struct eb_watch *w, struct stream *s) {
    json_t *info = NULL;
    struct eb_err err = {0};
    enum eb_rc rc = eb_streams_info(w->js, s->name, ASK_MS, &info, &err);
    if (rc != EB_OK)
        complain(s, "the stream cannot be looked at", eb_err_text(&err, rc));
    else if (!info)
        complain(s, "there is no such stream: run `eventbus streams apply`", NULL);
    return info;
}

static int64_t pause_of(const struct entry *e) {
    int64_t pause = PAUSE_MS;
    for (unsigned i = FRUITLESS; i < e->fruitless && pause < PAUSE_MAX_MS; i++)
        pause *= 2;
    return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

static bool may_cure(const struct entry *e, int64_t now) {
    return e->cured_ms == 0 || now - e->cured_ms >= pause_of(e);
}

static void note_leader(struct stream *s, const json_t *info, int64_t now) {
    const json_t *cluster = json_object_get(info, "cluster");
    const char *leader = json_string_value(json_object_get(cluster, "leader"));
    s->replicated = json_integer_value(json_object_get(json_object_get(info, "config"), "num_replicas")) > 1;
    if (strcmp(leader ? leader : "", s->leader) == 0)
        return;
    (void)snprintf(s->leader, sizeof s->leader, "%s", leader ? leader : "");
    s->leader_ms = now;
}

static bool leader_stands(const struct stream *s, int64_t now) {
    return s->leader[0] && now - s->leader_ms >= LEADER_MS;
}

static bool is_silent(const struct stream *s, const struct eb_source_status *st) {
    return st->active_ns > (s->replicated ? EB_SOURCE_SILENT_NS : SILENT_MS * INT64_C(1000000));
}

static void note_state(const struct stream *s, struct entry *e, const struct eb_source_view *view,
                       int64_t now) {
    struct eb_source_status st;
    eb_source_status(e->key, view, &st);
    if (st.state != e->state)
        e->state_ms = now;
    e->state = st.state;
    e->stalled = is_silent(s, &st) || (st.state == EB_SOURCE_NEVER && now - e->state_ms >= SETTLE_MS);
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

static const json_t *live_sources(const json_t *info) {
    return json_object_get(json_object_get(info, "config"), "sources");
}

static json_t *without_chosen(const struct eb_watch *w, const struct stream *s, const json_t *info) {
    eb_auto_json json_t *keys = json_object();
    for (size_t i = 0; i < w->n; i++)
        if (w->entries[i].chosen && is_of(&w->entries[i], s) &&
            json_object_set_new(keys, w->entries[i].key, json_true()) != 0)
            return NULL;
    return eb_sources_without(live_sources(info), keys);
}

/* All entries of the document are in it, so that whatever two supervisors do at once, none stays out. */
static json_t *with_wanted(const struct eb_watch *w, const struct stream *s, const json_t *info) {
    size_t i;
    json_t *one;
    const json_t *wanted = NULL;
    json_array_foreach(w->plan.streams, i, one) {
        if (eb_str_eqz(eb_json_str(one, "name"), s->name))
            wanted = json_object_get(one, "sources");
    }
    return eb_sources_with(live_sources(info), wanted);
}

/* STREAM.UPDATE with the live configuration but these sources; taken. */
static enum eb_rc update(struct eb_watch *w, const struct stream *s, const json_t *info, json_t *sources,
                         struct eb_err *reterr) {
    eb_auto_json json_t *config = json_copy(json_object_get(info, "config"));
    eb_auto_json json_t *answer = NULL;
    eb_auto_buf struct eb_buf name = {0};
    eb_buf_printf(&name, "STREAM.UPDATE.%s", s->name);
    bool ok = json_object_set_new(config, "sources", sources) == 0 && eb_buf_ok(&name);
    return ok ? eb_js_ask(w->js, name.p, config, 2 * ASK_MS, &answer, NULL, reterr)
              : EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}

/* Puts back what the document has and the stream has not. */
static enum eb_rc put_back(struct eb_watch *w, struct stream *s, struct eb_err *reterr) {
    eb_auto_json json_t *info = read_info(w, s);
    if (!info)
        return EB_FAIL(reterr, EB_E_IO, "the stream cannot be looked at");
    return update(w, s, info, with_wanted(w, s, info), reterr);
}

static void count_cure(struct eb_watch *w, const struct stream *s, const char *msg, int64_t begun,
                       const char *error) {
    int64_t now = eb_js_mono_ms();
    for (size_t i = 0; i < w->n; i++) {
        struct entry *e = &w->entries[i];
        if (!e->chosen || !is_of(e, s))
            continue;
        e->chosen = false;
        e->cured_ms = now;
        e->fruitless++;
        e->asked_ms = e->answered_ms = 0;
        e->stalled = false;
        e->state_ms = now;
        eb_watch_log(error ? "error" : "info", msg, s->name, e->source, now - e->since_ms, now - begun,
                     error);
    }
}

/* Out and in again, in two updates. If the second fails, the entries are missing: the next rounds put them
 * back. */
static void out_and_in(struct eb_watch *w, struct stream *s) {
    eb_streams_sleep(randombytes_uniform(JITTER_MS));
    int64_t begun = eb_js_mono_ms();
    eb_auto_json json_t *info = read_info(w, s);
    EB_CLEANUP(eb_source_view_done) struct eb_source_view view = {0};
    size_t left = 0;
    if (!info || eb_source_view(info, &view) != EB_OK)
        return;
    for (size_t i = 0; i < w->n; i++) {
        struct entry *e = &w->entries[i];
        if (!e->chosen || !is_of(e, s))
            continue;
        struct eb_source_status st; /* somebody else may have cured it, or be at it */
        eb_source_status(e->key, &view, &st);
        e->chosen = is_silent(s, &st) || (st.state == EB_SOURCE_NEVER && e->state == EB_SOURCE_NEVER);
        left += e->chosen;
    }
    if (left == 0)
        return;
    struct eb_err err = {0};
    enum eb_rc rc = update(w, s, info, without_chosen(w, s, info), &err);
    if (rc != EB_OK) {
        count_cure(w, s, "the source cannot be taken out", begun, eb_err_text(&err, rc));
        return;
    }
    for (int i = 0; i < PUT_BACK_TRIES; i++) {
        err = (struct eb_err){0};
        rc = put_back(w, s, &err);
        if (rc == EB_OK)
            break;
        eb_streams_sleep(JITTER_MS);
    }
    count_cure(w, s,
               rc == EB_OK ? "stalled source taken out and in again"
                           : "the source is out and cannot be put in",
               begun, rc == EB_OK ? NULL : eb_err_text(&err, rc));
}

static void step_down(struct eb_watch *w, struct stream *s) {
    int64_t now = eb_js_mono_ms();
    eb_auto_json json_t *answer = NULL;
    eb_auto_buf struct eb_buf name = {0};
    struct eb_err err = {0};
    if (!leader_stands(s, now) || (s->stepped_ms && now - s->stepped_ms < LEADER_MS))
        return;
    eb_buf_printf(&name, "STREAM.LEADER.STEPDOWN.%s", s->name);
    enum eb_rc rc =
        eb_buf_ok(&name) ? eb_js_ask(w->js, name.p, NULL, ASK_MS, &answer, NULL, &err) : EB_E_NOMEM;
    s->stepped_ms = eb_js_mono_ms();
    s->leader[0] = '\0';
    count_cure(w, s,
               rc == EB_OK ? "stalled source: the stream's leader was told to step down"
                           : "the leader does not step down",
               now, rc == EB_OK ? NULL : eb_err_text(&err, rc));
}

/* A few times at once, then as seldom as cures: whoever finds an entry missing may be in the middle of
 * another's cure. */
static bool may_put_in(const struct stream *s, const struct entry *e, int64_t now) {
    if (e->state != EB_SOURCE_MISSING || (e->fruitless > FRUITLESS && !may_cure(e, now)))
        return false;
    return s->replicated ? leader_stands(s, now) && now - e->state_ms >= LEADER_MS
                         : now - e->state_ms >= SETTLE_MS;
}

/* Entries that a supervisor left out when it died, or that were never applied. */
static void look_for_missing(struct eb_watch *w, struct stream *s, const json_t *info, int64_t now) {
    bool any = false;
    for (size_t i = 0; i < w->n; i++) {
        struct entry *e = &w->entries[i];
        e->chosen = is_of(e, s) && may_put_in(s, e, now);
        any = any || e->chosen;
    }
    if (any && !eb_str_eqz(eb_json_str(json_object_get(info, "config"), "retention"), "limits")) {
        complain(s, "the stream is as an MQTT login makes it: run `eventbus streams apply`", NULL);
        return;
    }
    if (!any)
        return;
    struct eb_err err = {0};
    enum eb_rc rc = put_back(w, s, &err);
    count_cure(w, s, rc == EB_OK ? "missing source put in" : "a missing source cannot be put in", now,
               rc == EB_OK ? NULL : eb_err_text(&err, rc));
}

static void ask_far_end(struct eb_watch *w, size_t place, int64_t now) {
    struct entry *e = &w->entries[place];
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
static enum eb_watch_pace look(struct eb_watch *w, struct stream *s) {
    eb_auto_json json_t *info = read_info(w, s);
    int64_t now = eb_js_mono_ms();
    EB_CLEANUP(eb_source_view_done) struct eb_source_view view = {0};
    enum eb_watch_pace pace = EB_WATCH_CALM;
    if (!info || eb_source_view(info, &view) != EB_OK)
        return pace;
    note_leader(s, info, now);
    for (size_t i = 0; i < w->n; i++) {
        struct entry *e = &w->entries[i];
        if (!is_of(e, s))
            continue;
        note_state(s, e, &view, now);
        if (e->since_ms && pace != EB_WATCH_QUICK)
            pace = now - e->since_ms < YOUNG_MS ? EB_WATCH_QUICK : EB_WATCH_PATIENT;
        if (e->since_ms && e->state != EB_SOURCE_MISSING && may_cure(e, now))
            ask_far_end(w, i, now);
    }
    look_for_missing(w, s, info, now);
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
        struct stream *s = &w->streams[i];
        bool any = false;
        for (size_t j = 0; j < w->n; j++) {
            struct entry *e = &w->entries[j];
            if (!is_of(e, s))
                continue;
            int64_t now = eb_js_mono_ms();
            if (e->asked_ms && e->probe && eb_probe_answered(e->probe, now))
                e->answered_ms = now;
            e->chosen =
                e->stalled && e->answered_ms && now - e->answered_ms <= EB_PROBE_MS && may_cure(e, now);
            any = any || e->chosen;
        }
        if (any && s->replicated)
            step_down(w, s);
        else if (any)
            out_and_in(w, s);
    }
}
