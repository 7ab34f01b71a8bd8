#include "service.h"

#include <stdio.h>

#include "callout.h"
#include "clock.h"
#include "gatekeeper.h"
#include "health.h"
#include "link.h"
#include "log.h"
#include "login.h"
#include "metrics.h"
#include "micro.h"
#include "park.h"
#include "queue.h"
#include "refusals.h"
#include "trace/tracer.h"
#include "workers.h"

enum {
    /* Of the stop, which has 5 s in all, from its begin: */
    ASKERS_END_MS = 500,
    LEAVE_MS = 2000,
    DRAIN_MS = 3000,
    WORKERS_END_MS = 3500,
    LINKS_END_MS = 4500,
    LIBRARY_END_MS = 4800,
    /* each for itself: */
    SOON_MS = 100,      /* what had all the time before may be about to end */
    CLOSE_MS = 1000,    /* of the links */
    TRANSFER_MS = 1000, /* until a transfer has noticed that it is to end */
    LIBRARY_MS = 1000,  /* the threads of nats.c */
    GATE_ROOM =
        2048, /* MQTT logins that may wait for the gate to be sure; of their own, so that no other waits */
};

struct eb_service {
    struct eb_jobs jobs;
    struct eb_view start; /* settings that need a restart are read from here */
    struct eb_callout callout;
    struct eb_queue *queue;
    struct eb_park *park, *gate_park;
    struct eb_gatekeeper *gatekeeper;
    struct eb_refusals *refusals;
    struct eb_links *links;
    struct eb_micro micro;
    struct eb_reloader *reloader;
    struct eb_health *health, *metrics;
    struct eb_workers *workers;
};

/* On a thread of nats.c: only hands on. */
static void on_request(void *ctx, natsMsg *msg, size_t link) {
    struct eb_service *s = ctx;
    struct eb_job *job = eb_job_take(&s->jobs, msg, link);
    if (job)
        eb_workers_submit(s->workers, job);
}

static void on_resume(void *ctx, void *job) {
    struct eb_service *s = ctx;
    eb_workers_submit(s->workers, job);
}

static bool on_answer(void *ctx, size_t link, const char *subject, struct eb_str bytes) {
    struct eb_service *s = ctx;
    return eb_links_publish(s->links, link, subject, bytes);
}

static bool on_query(void *ctx, struct eb_str subject, struct eb_buf *to) {
    struct eb_service *s = ctx;
    return eb_micro_answer(&s->micro, subject, to);
}

static void on_source(void *ctx, struct eb_source *source, uint64_t number) {
    struct eb_service *s = ctx;
    eb_park_release(s->park, &(struct eb_park_key){source, number});
}

static void on_link(void *ctx, bool up) {
    struct eb_service *s = ctx;
    if (!s->gatekeeper)
        return;
    if (!up)
        eb_gate_lost(s->callout.gate);
    eb_gatekeeper_poke(s->gatekeeper);
}

static void on_reloaded(void *ctx) {
    struct eb_service *s = ctx;
    if (s->gatekeeper)
        eb_gatekeeper_poke(s->gatekeeper);
}

static void on_gate(void *ctx) {
    struct eb_service *s = ctx;
    eb_park_release(s->gate_park, NULL);
}

static void more_metrics(void *ctx, struct eb_buf *to) {
    struct eb_service *s = ctx;
    eb_sources_metrics(eb_live_sources(s->callout.live), to);
}

static bool is_live(void *ctx) {
    struct eb_service *s = ctx;
    return eb_workers_live(s->workers);
}

/* True where nothing that readiness.require names is missing. */
static bool has_required(const struct eb_config *c, const struct eb_sources *all,
                         const struct eb_gate *gate) {
    for (size_t k = 0; k < c->readiness_require.n; k++)
        if (strcmp(c->readiness_require.v[k], EB_REQUIRE_MQTT) == 0 && eb_gate_state(gate) != EB_GATE_OPEN)
            return false;
    for (size_t i = 0; i < all->n; i++)
        for (size_t k = 0; k < c->readiness_require.n; k++)
            if (strcmp(c->readiness_require.v[k], eb_issuer_label(all->v[i].config)) == 0 &&
                eb_source_lacks(&all->v[i]))
                return false;
    return true;
}

static bool is_ready(void *ctx, struct eb_buf *body) {
    struct eb_service *s = ctx;
    EB_CLEANUP(eb_view_done) struct eb_view view = {0};
    eb_live_view(s->callout.live, &view);
    const struct eb_sources *sources = eb_live_sources(s->callout.live);
    char trouble[400];
    size_t up = eb_links_confirmed(s->links, trouble, sizeof trouble);
    bool ready = up > 0 && has_required(view.settings->config, sources, s->callout.gate);
    eb_gauge_set(EB_G_READY, ready);
    eb_gauge_set(EB_G_MQTT_OPEN, eb_gate_state(s->callout.gate) == EB_GATE_OPEN);
    eb_gauge_set(EB_G_QUEUE_DEPTH, (int64_t)eb_queue_depth(s->queue));
    eb_buf_printf(
        body, "{\"ready\":%s,\"nats\":{\"links_confirmed\":%zu,\"trouble\":", ready ? "true" : "false", up);
    eb_buf_json_str(body, eb_str(trouble), 0);
    eb_buf_printf(body, "},\"permissions\":{\"entries\":%lld,\"reload_failures\":%llu},",
                  (long long)eb_gauge_get(EB_G_POLICY_ENTRIES),
                  (unsigned long long)eb_counter_get(EB_C_PERM_FAILURES));
    eb_gate_json(s->callout.gate, body);
    eb_buf_ch(body, ',');
    eb_sources_json(sources, body);
    eb_buf_z(body, "}\n");
    return ready;
}

static size_t cores(int64_t wanted) {
    if (wanted > 0)
        return (size_t)wanted;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

static enum eb_rc start_health(struct eb_service *s, struct eb_err *reterr) {
    const struct eb_config *c = s->start.settings->config;
    struct eb_health_options opt = {.host = c->host_name,
                                    .port = (int)c->host_port,
                                    .ready = is_ready,
                                    .live = is_live,
                                    .more = more_metrics,
                                    .ctx = s};
    enum eb_rc rc = eb_health_start(&opt, &s->health, reterr);
    if (rc != EB_OK) {
        eb_err_prefix(reterr, "host.port");
        return rc;
    }
    opt.host = c->metrics_name;
    opt.port = (int)c->metrics_port;
    opt.metrics_only = true;
    rc = eb_health_start(&opt, &s->metrics, reterr);
    if (rc != EB_OK)
        eb_err_prefix(reterr, "observability.metrics.prometheus.port");
    return rc;
}

static void log_start(const struct eb_service *s) {
    const struct eb_config *c = s->start.settings->config;
    eb_auto_buf struct eb_buf urls = {0}, keys = {0};
    eb_login_describe(c, &urls);
    eb_signer_describe(s->start.signer, &keys);
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_INFO, "started");
    eb_log_z(&l, "nats", urls.p ? urls.p : "");
    eb_log_z(&l, "keys", keys.p ? keys.p : "");
    eb_log_z(&l, "permissions", c->permissions_file);
    if (c->mqtt_streams_file)
        eb_log_z(&l, "mqtt_streams", c->mqtt_streams_file);
    eb_log_int(&l, "entries", eb_gauge_get(EB_G_POLICY_ENTRIES));
    eb_log_int(&l, "workers", (int64_t)eb_workers_count(s->workers));
    eb_log_end(&l);
}

/* What the gate needs before the first request; nothing where mqtt.streams-file is unset. */
static enum eb_rc start_gate(struct eb_service *s, struct eb_err *reterr) {
    const struct eb_config *c = s->start.settings->config;
    if (!c->mqtt_streams_file)
        return EB_OK;
    s->callout.gate = eb_gate_new();
    if (!s->callout.gate)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    enum eb_rc rc = eb_park_start(GATE_ROOM, on_resume, s, &s->gate_park);
    return rc == EB_OK ? EB_OK : EB_FAIL(reterr, rc, "no thread for waiting MQTT logins");
}

static enum eb_rc start_gatekeeper(struct eb_service *s, struct eb_err *reterr) {
    struct eb_gatekeeper_options opt = {.config = s->start.settings->config,
                                        .live = s->callout.live,
                                        .gate = s->callout.gate,
                                        .settled = on_gate,
                                        .ctx = s};
    return s->callout.gate ? eb_gatekeeper_start(&opt, &s->gatekeeper, reterr) : EB_OK;
}

static enum eb_rc start_parts(struct eb_service *s, struct eb_err *reterr) {
    const struct eb_config *c = s->start.settings->config;
    enum eb_rc rc = eb_tracer_start(&c->trace, &s->callout.tracer, reterr);
    if (rc != EB_OK)
        return rc;
    s->jobs.tracer = s->callout.tracer;
    s->callout.sealing = eb_sealing_new();
    s->queue = eb_queue_new((size_t)c->queue);
    if (!s->callout.sealing || !s->queue || eb_micro_init(&s->micro) != EB_OK)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    rc = eb_park_start((size_t)c->parked, on_resume, s, &s->park);
    if (rc != EB_OK)
        return EB_FAIL(reterr, rc, "no thread for waiting requests");
    rc = start_gate(s, reterr);
    if (rc != EB_OK)
        return rc;
    rc = eb_sources_start(eb_live_sources(s->callout.live), on_source, s, reterr);
    struct eb_workers_options deciding = {.n = cores(c->workers),
                                          .callout = &s->callout,
                                          .jobs = &s->jobs,
                                          .queue = s->queue,
                                          .park = s->park,
                                          .no_room = c->parked == 0,
                                          .gate_park = s->gate_park,
                                          .send = on_answer,
                                          .ctx = s};
    if (rc == EB_OK)
        rc = eb_workers_start(&deciding, &s->workers, reterr);
    struct eb_links_options opt = {.config = c,
                                   .n = cores(c->connections),
                                   .pending = (size_t)c->queue,
                                   .on_request = on_request,
                                   .on_query = on_query,
                                   .queries = s->micro.subjects,
                                   .queries_n = EB_MICRO_SUBJECTS,
                                   .on_change = on_link,
                                   .ctx = s};
    /* Before several threads use it. */
    if (rc == EB_OK && nats_Open(-1) != NATS_OK)
        rc = EB_FAIL(reterr, EB_E_NOMEM, "nats.c cannot be set up");
    if (rc == EB_OK)
        rc = start_gatekeeper(s, reterr);
    if (rc == EB_OK && c->server_refusals)
        rc = eb_refusals_start(c, &s->refusals, reterr);
    if (rc == EB_OK)
        rc = eb_links_start(&opt, &s->links, reterr);
    return rc == EB_OK ? start_health(s, reterr) : rc;
}

/* Only settings are read from the start's view later; the rest of it would stay in memory beside what
 * replaces it. */
static void keep_settings(struct eb_view *v) {
    struct eb_view rest = *v;
    rest.settings = NULL;
    *v = (struct eb_view){.settings = v->settings};
    eb_view_done(&rest);
}

enum eb_rc eb_service_start(struct eb_config *config, const char *config_path, const char *hot_path,
                            eb_reread_fn reread, void *ctx, struct eb_service **ret,
                            struct eb_findings *findings, struct eb_err *reterr) {
    struct eb_service *s = calloc(1, sizeof *s);
    if (!s) {
        eb_config_free(config);
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    }
    int64_t since_ns = eb_watch_now_ns();
    enum eb_rc rc = eb_live_new(config, &s->callout.live, findings);
    if (rc == EB_OK) {
        eb_live_view(s->callout.live, &s->start);
        rc = start_parts(s, reterr);
    }
    if (rc == EB_OK) {
        struct eb_reloader_options opt = {.live = s->callout.live,
                                          .started = s->start.settings->config,
                                          .config_path = config_path,
                                          .hot_path = hot_path,
                                          .since_ns = since_ns,
                                          .reread = reread,
                                          .ctx = ctx,
                                          .reloaded = on_reloaded,
                                          .ctx_reloaded = s};
        rc = eb_reloader_start(&opt, &s->reloader, reterr);
    }
    if (rc != EB_OK) {
        (void)eb_service_stop(s);
        return rc;
    }
    eb_log_findings(findings, "the configuration has a doubtful place");
    log_start(s);
    keep_settings(&s->start);
    *ret = s;
    return EB_OK;
}

void eb_service_reload(struct eb_service *s) {
    eb_reloader_run(s->reloader);
}

/* A time after the begin; where it has passed, soon. */
static int64_t no_later(int64_t began_ns, int64_t ms) {
    int64_t until = began_ns + ms * INT64_C(1000000), soon = eb_mono_ns() + SOON_MS * INT64_C(1000000);
    return until > soon ? until : soon;
}

/* The same, but no more than so long from now. */
static int64_t within(int64_t ms, int64_t began_ns, int64_t end_ms) {
    int64_t until = eb_mono_ns() + ms * INT64_C(1000000), end = no_later(began_ns, end_ms);
    return until < end ? until : end;
}

/* True while so much of the time up to then is left. */
static bool has_time(int64_t began_ns, int64_t ms, int64_t needed_ms) {
    return eb_mono_ns() + needed_ms * INT64_C(1000000) <= began_ns + ms * INT64_C(1000000);
}

/* Nobody uses nats.c any more; true when its threads, which tell of closed connections, have ended. */
static bool end_library(int64_t began_ns) {
    int64_t left_ms = (within(LIBRARY_MS, began_ns, LIBRARY_END_MS) - eb_mono_ns()) / INT64_C(1000000);
    natsStatus s = nats_CloseAndWait(left_ms > 0 ? left_ms : 1); /* 0: for ever */
    return s == NATS_OK || s == NATS_NOT_INITIALIZED;
}

bool eb_service_stop(struct eb_service *s) {
    if (!s)
        return true;
    const int64_t began = eb_mono_ns();
    eb_reloader_stop(s->reloader);
    eb_gatekeeper_leave(s->gatekeeper);
    eb_refusals_leave(s->refusals);
    if (s->links)
        eb_links_leave(s->links, no_later(began, LEAVE_MS), no_later(began, DRAIN_MS));
    bool ended = eb_gatekeeper_stop(s->gatekeeper, no_later(began, ASKERS_END_MS));
    ended = eb_refusals_stop(s->refusals, no_later(began, ASKERS_END_MS)) && ended;
    if (s->park)
        eb_park_stop(s->park);
    if (s->gate_park)
        eb_park_stop(s->gate_park);
    if (s->queue)
        eb_queue_close(s->queue);
    bool decided = eb_workers_join(s->workers, no_later(began, WORKERS_END_MS));
    eb_tracer_leave(s->callout.tracer); /* what it sends meanwhile takes up to a second */
    /* /readyz and /metrics look at the keys, the links and the queue: nobody may ask any more when these go.
     */
    eb_health_stop(s->health);
    eb_health_stop(s->metrics);
    ended = ended && decided && has_time(began, LINKS_END_MS, TRANSFER_MS);
    if (ended && s->callout.live)
        eb_sources_stop(eb_live_sources(s->callout.live)); /* workers that go on use them */
    ended = eb_links_stop(s->links, within(CLOSE_MS, began, LINKS_END_MS)) && ended;
    if (has_time(began, LIBRARY_END_MS, TRANSFER_MS))
        eb_tracer_stop(s->callout.tracer);
    else
        ended = false;
    if (!ended || !end_library(began))
        return false; /* what is left behind may still use the rest */
    eb_links_free(s->links);
    eb_gatekeeper_free(s->gatekeeper);
    eb_refusals_free(s->refusals);
    eb_tracer_free(s->callout.tracer);
    eb_workers_free(s->workers);
    eb_park_free(s->park);
    eb_park_free(s->gate_park);
    eb_gate_free(s->callout.gate);
    eb_queue_free(s->queue);
    eb_micro_done(&s->micro);
    eb_sealing_free(s->callout.sealing);
    eb_view_done(&s->start);
    eb_live_free(s->callout.live);
    free(s);
    return true;
}
