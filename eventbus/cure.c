#include "watch_impl.h"

#include <sodium.h>

#include "base/json.h"

enum {
    ASK_MS = 1000,
    /* At most one cure of an entry in this time; from the fourth fruitless one on the pause doubles. */
    PAUSE_MS = 3000,
    PAUSE_MAX_MS = 30000,
    FRUITLESS = 3,
    SETTLE_MS = 300, /* what is gone may be in the middle of another's cure */
    JITTER_MS = 40,
    /* Several replicas: a new leader sets its sources up by itself, and what it took over is not all in its
       store yet. */
    LEADER_MS = 4000,
    PUT_BACK_TRIES = 5,
};

static int64_t pause_of(const struct eb_watch_entry *e) {
    int64_t pause = PAUSE_MS;
    for (unsigned i = FRUITLESS; i < e->fruitless && pause < PAUSE_MAX_MS; i++)
        pause *= 2;
    return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

bool eb_cure_may(const struct eb_watch_entry *e, int64_t now_ms) {
    return e->cured_ms == 0 || now_ms - e->cured_ms >= pause_of(e);
}

static bool leader_stands(const struct eb_watch_stream *s, int64_t now) {
    return s->leader[0] && now - s->leader_ms >= LEADER_MS;
}

static const json_t *live_sources(const json_t *info) {
    return json_object_get(json_object_get(info, "config"), "sources");
}

static json_t *without_chosen(const struct eb_watch *w, const struct eb_watch_stream *s, const json_t *info) {
    eb_auto_json json_t *keys = json_object();
    for (size_t i = 0; i < w->n; i++)
        if (w->entries[i].chosen && eb_watch_is_of(&w->entries[i], s) &&
            json_object_set_new(keys, w->entries[i].key, json_true()) != 0)
            return NULL;
    return eb_sources_without(live_sources(info), keys);
}

/* All entries of the document are in it, so that whatever two supervisors do at once, none stays out. */
static json_t *with_wanted(const struct eb_watch *w, const struct eb_watch_stream *s, const json_t *info) {
    size_t i;
    json_t *one;
    const json_t *wanted = NULL;
    json_array_foreach(w->plan.streams, i, one) {
        if (eb_str_eqz(eb_json_str(one, "name"), s->name))
            wanted = json_object_get(one, "sources");
    }
    return eb_sources_with(live_sources(info), wanted);
}

/*
 * STREAM.UPDATE with the live configuration but these sources; taken. JetStream has no compare-and-set:
 * nothing comes between reading and this, and after a new connection what was read counts no more.
 */
static enum eb_rc update(struct eb_watch *w, const struct eb_watch_stream *s, const json_t *info,
                         json_t *sources, struct eb_err *reterr) {
    eb_auto_json json_t *config = json_copy(json_object_get(info, "config"));
    eb_auto_json json_t *answer = NULL;
    eb_auto_buf struct eb_buf name = {0};
    eb_buf_printf(&name, "STREAM.UPDATE.%s", s->name);
    bool ok = json_object_set_new(config, "sources", sources) == 0 && eb_buf_ok(&name);
    if (ok && eb_js_session(w->js) != w->session)
        return EB_FAIL(reterr, EB_E_IO, "the connection to the server is another one meanwhile");
    return ok ? eb_js_ask(w->js, name.p, config, 2 * ASK_MS, &answer, NULL, reterr)
              : EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}

/* Puts back what the document has and the stream has not. */
static enum eb_rc put_back(struct eb_watch *w, struct eb_watch_stream *s, struct eb_err *reterr) {
    eb_auto_json json_t *info = eb_watch_info(w, s);
    if (!info)
        return EB_FAIL(reterr, EB_E_IO, "the stream cannot be looked at");
    return update(w, s, info, with_wanted(w, s, info), reterr);
}

static void count_cure(struct eb_watch *w, const struct eb_watch_stream *s, const char *msg, int64_t begun,
                       const char *error) {
    int64_t now = eb_mono_ms();
    for (size_t i = 0; i < w->n; i++) {
        struct eb_watch_entry *e = &w->entries[i];
        if (!e->chosen || !eb_watch_is_of(e, s))
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
static void out_and_in(struct eb_watch *w, struct eb_watch_stream *s) {
    eb_streams_sleep(randombytes_uniform(JITTER_MS));
    int64_t begun = eb_mono_ms();
    eb_auto_json json_t *info = eb_watch_info(w, s);
    EB_CLEANUP(eb_source_view_done) struct eb_source_view view = {0};
    size_t left = 0;
    if (!info || eb_source_view(info, &view) != EB_OK)
        return;
    eb_watch_note_leader(s, info, begun);
    if (s->replicated)
        return;
    for (size_t i = 0; i < w->n; i++) {
        struct eb_watch_entry *e = &w->entries[i];
        if (!e->chosen || !eb_watch_is_of(e, s))
            continue;
        struct eb_source_status st; /* somebody else may have cured it, or be at it */
        eb_source_status(e->key, &view, &st);
        e->chosen =
            eb_watch_is_silent(s, &st) || (st.state == EB_SOURCE_NEVER && e->state == EB_SOURCE_NEVER);
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

static void step_down(struct eb_watch *w, struct eb_watch_stream *s) {
    int64_t now = eb_mono_ms();
    eb_auto_json json_t *answer = NULL;
    eb_auto_buf struct eb_buf name = {0};
    struct eb_err err = {0};
    if (!leader_stands(s, now) || (s->stepped_ms && now - s->stepped_ms < LEADER_MS))
        return;
    eb_buf_printf(&name, "STREAM.LEADER.STEPDOWN.%s", s->name);
    enum eb_rc rc =
        eb_buf_ok(&name) ? eb_js_ask(w->js, name.p, NULL, ASK_MS, &answer, NULL, &err) : EB_E_NOMEM;
    s->stepped_ms = eb_mono_ms();
    s->leader[0] = '\0';
    count_cure(w, s,
               rc == EB_OK ? "stalled source: the stream's leader was told to step down"
                           : "the leader does not step down",
               now, rc == EB_OK ? NULL : eb_err_text(&err, rc));
}

/* A few times at once, then as seldom as cures: whoever finds an entry missing may be in the middle of
 * another's cure. */
static bool may_put_in(const struct eb_watch_stream *s, const struct eb_watch_entry *e, int64_t now) {
    if (e->state != EB_SOURCE_MISSING || (e->fruitless > FRUITLESS && !eb_cure_may(e, now)))
        return false;
    return s->replicated ? leader_stands(s, now) && now - e->state_ms >= LEADER_MS
                         : now - e->state_ms >= SETTLE_MS;
}

void eb_cure_missing(struct eb_watch *w, struct eb_watch_stream *s, const json_t *info, int64_t now) {
    bool any = false;
    for (size_t i = 0; i < w->n; i++) {
        struct eb_watch_entry *e = &w->entries[i];
        e->chosen = eb_watch_is_of(e, s) && may_put_in(s, e, now);
        any = any || e->chosen;
    }
    if (any && !eb_str_eqz(eb_json_str(json_object_get(info, "config"), "retention"), "limits")) {
        eb_watch_complain(s, "warn", "the stream is as an MQTT login makes it: run `eventbus streams apply`",
                          NULL);
        return;
    }
    if (!any)
        return;
    struct eb_err err = {0};
    enum eb_rc rc = put_back(w, s, &err);
    count_cure(w, s, rc == EB_OK ? "missing source put in" : "a missing source cannot be put in", now,
               rc == EB_OK ? NULL : eb_err_text(&err, rc));
}

void eb_cure_stalled(struct eb_watch *w, struct eb_watch_stream *s) {
    if (s->replicated)
        step_down(w, s);
    else
        out_and_in(w, s);
}
