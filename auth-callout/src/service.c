#include "service.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "callout.h"
#include "clock.h"
#include "health.h"
#include "link.h"
#include "log.h"
#include "login.h"
#include "metrics.h"
#include "micro.h"
#include "natsjwt/callout.h"
#include "park.h"
#include "queue.h"

#define SECOND_NS INT64_C(1000000000)
/* A worker that holds one request longer than this is wedged: nothing it does takes a second. */
#define WEDGED_NS (30 * SECOND_NS)
enum { LEAVE_MS = 2000, WORKERS_MAX = 256 };
/* nats.c hands each destroyed message to a thread that it wakes for it: a worker destroys several together.
 */
enum { SPENT_MAX = 32 };
/* Bytes of requests that may be held at a time. */
#define HELD_MAX ((size_t)32 << 20)
/* A worker's buffer that grew beyond this is given back. */
#define SCRATCH_KEPT ((size_t)64 << 10)

struct job {
    natsMsg *msg;
    size_t link;
    int64_t arrived_ns;
    bool waited;
};

struct worker {
    struct eb_service *service;
    pthread_t thread;
    _Atomic int64_t busy_since; /* 0 = idle */
    natsMsg *spent[SPENT_MAX];  /* answered, to be destroyed */
    size_t spent_n;
};

struct eb_service {
    _Atomic size_t held;  /* bytes of requests between arrival and release */
    struct eb_view start; /* settings that need a restart are read from here */
    struct eb_callout callout;
    struct eb_queue *queue;
    struct eb_park *park;
    struct eb_links *links;
    struct eb_micro micro;
    struct eb_reloader *reloader;
    struct eb_health *health, *metrics;
    struct worker *workers;
    size_t workers_n;
};

/* Every message that was taken by on_request ends here. */
static void release(struct eb_service *s, natsMsg *msg) {
    atomic_fetch_sub(&s->held, (size_t)natsMsg_GetDataLength(msg));
    natsMsg_Destroy(msg);
}

static void job_free(struct eb_service *s, struct job *job) {
    release(s, job->msg);
    free(job);
}

static void destroy_spent(struct worker *w) {
    for (size_t i = 0; i < w->spent_n; i++)
        release(w->service, w->spent[i]);
    w->spent_n = 0;
}

static void retire(struct worker *w, struct job *job) {
    w->spent[w->spent_n++] = job->msg;
    free(job);
    if (w->spent_n == SPENT_MAX)
        destroy_spent(w);
}

static void submit(struct eb_service *s, struct job *job) {
    struct job *dropped = eb_queue_push(s->queue, job);
    if (!dropped)
        return;
    eb_callout_note_drop(EB_C_DROPPED_FULL);
    job_free(s, dropped);
}

/*
 * What a client sends as user and password comes several times over in its request, so a few connections
 * could fill the memory: requests are bounded in bytes as well as in number.
 */
static enum eb_rc take_in(struct eb_service *s, const natsMsg *msg) {
    size_t n = (size_t)natsMsg_GetDataLength(msg);
    if (!natsMsg_GetReply(msg))
        return EB_E_REQ_MALFORMED;
    if (n > EB_REQUEST_MAX)
        return EB_E_TOO_LARGE;
    if (atomic_fetch_add(&s->held, n) + n <= HELD_MAX)
        return EB_OK;
    atomic_fetch_sub(&s->held, n);
    eb_callout_note_drop(EB_C_DROPPED_FULL);
    return EB_E_NOMEM;
}

/* On a thread of nats.c: only hands on. */
static void on_request(void *ctx, natsMsg *msg, size_t link) {
    struct eb_service *s = ctx;
    eb_count(EB_C_REQUESTS);
    enum eb_rc rc = take_in(s, msg);
    if (rc != EB_OK) {
        if (rc != EB_E_NOMEM) {
            eb_count(EB_C_ERRORS);
            eb_count_invalid(rc);
            eb_log(EB_LOG_WARN, "a request without a reply subject, or too large: %s, %d bytes",
                   eb_rc_name(rc), natsMsg_GetDataLength(msg));
        }
        natsMsg_Destroy(msg);
        return;
    }
    struct job *job = malloc(sizeof *job);
    if (!job) {
        eb_count(EB_C_ERRORS);
        eb_count_invalid(EB_E_NOMEM);
        release(s, msg);
        return;
    }
    *job = (struct job){msg, link, eb_mono_ns(), false};
    submit(s, job);
}

static void on_resume(void *ctx, void *job) {
    submit(ctx, job);
}

static bool on_query(void *ctx, struct eb_str subject, struct eb_buf *to) {
    struct eb_service *s = ctx;
    return eb_micro_answer(&s->micro, subject, to);
}

static void on_keys(void *ctx) {
    struct eb_service *s = ctx;
    eb_park_release(s->park);
}

/* True where the job was taken by the park. */
static bool try_park(struct eb_service *s, struct job *job, int64_t until_ns) {
    job->waited = true;
    if (!eb_park_add(s->park, job, until_ns))
        return false;
    eb_count(EB_C_PARKED);
    /* The fetch may have ended between the verdict and the park: nobody would wake the job before its date.
     */
    if (!eb_keysource_fetching(s->callout.keys))
        eb_park_release(s->park);
    return true;
}

static void run_job(struct worker *w, struct job *job, struct eb_callout_scratch *scratch,
                    struct eb_buf *reply) {
    struct eb_service *s = w->service;
    if (eb_callout_hopeless(job->arrived_ns, eb_mono_ns())) {
        eb_callout_note_drop(EB_C_DROPPED_LATE);
        retire(w, job);
        return;
    }
    const char *xkey = NULL;
    struct eb_callout_in in = {
        .payload = eb_str_n(natsMsg_GetData(job->msg), (size_t)natsMsg_GetDataLength(job->msg)),
        .arrived_ns = job->arrived_ns,
        .waited = job->waited};
    if (natsMsgHeader_Get(job->msg, "Nats-Server-Xkey", &xkey) == NATS_OK && xkey)
        in.header_xkey = eb_str(xkey);
    int64_t until_ns = 0;
    enum eb_outcome outcome = eb_callout_run(&s->callout, &in, scratch, reply, &until_ns);
    if (outcome == EB_PARK) {
        if (try_park(s, job, until_ns))
            return;
        in.waited = true;
        outcome = eb_callout_run(&s->callout, &in, scratch, reply, &until_ns);
    }
    if (outcome == EB_ANSWER &&
        !eb_links_publish(s->links, job->link, natsMsg_GetReply(job->msg), eb_buf_get(reply))) {
        eb_count(EB_C_PUBLISH_FAILURES);
        eb_log(EB_LOG_WARN, "an answer could not be sent: no link to NATS is up");
    }
    if (scratch->plain.cap > SCRATCH_KEPT)
        eb_buf_done(&scratch->plain);
    retire(w, job);
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    EB_CLEANUP(eb_callout_scratch_done) struct eb_callout_scratch scratch = {0};
    eb_auto_buf struct eb_buf reply = {0};
    for (struct job *job = eb_queue_pop(w->service->queue); job; job = eb_queue_pop(w->service->queue)) {
        atomic_store(&w->busy_since, eb_mono_ns());
        run_job(w, job, &scratch, &reply);
        atomic_store(&w->busy_since, 0);
        if (w->spent_n && eb_queue_depth(w->service->queue) == 0)
            destroy_spent(w);
    }
    destroy_spent(w);
    nats_ReleaseThreadMemory();
    return NULL;
}

static bool is_live(void *ctx) {
    struct eb_service *s = ctx;
    int64_t now = eb_mono_ns();
    for (size_t i = 0; i < s->workers_n; i++) {
        int64_t since = atomic_load(&s->workers[i].busy_since);
        if (since && now - since > WEDGED_NS)
            return false;
    }
    return true;
}

static bool requires(const struct eb_config *c, const char *what) {
    for (size_t i = 0; i < c->readiness_require.n; i++)
        if (strcmp(c->readiness_require.v[i], what) == 0)
            return true;
    return false;
}

static bool is_ready(void *ctx, struct eb_buf *body) {
    struct eb_service *s = ctx;
    EB_CLEANUP(eb_view_done) struct eb_view view = {0};
    eb_live_view(s->callout.live, &view);
    char trouble[400];
    size_t up = eb_links_confirmed(s->links, trouble, sizeof trouble);
    size_t keys = 0;
    int64_t age_s = -1;
    if (s->callout.keys)
        eb_keysource_status(s->callout.keys, &keys, &age_s);
    bool keys_missing = s->callout.keys && keys == 0;
    bool ready = up > 0 && !(keys_missing && requires(view.settings->config, "jwks"));
    eb_gauge_set(EB_G_READY, ready);
    eb_gauge_set(EB_G_QUEUE_DEPTH, (int64_t)eb_queue_depth(s->queue));
    eb_buf_printf(
        body, "{\"ready\":%s,\"nats\":{\"links_confirmed\":%zu,\"trouble\":", ready ? "true" : "false", up);
    eb_buf_json_str(body, eb_str(trouble), 0);
    eb_buf_printf(body, "},\"permissions\":{\"entries\":%lld,\"reload_failures\":%llu},\"keys\":{",
                  (long long)eb_gauge_get(EB_G_POLICY_ENTRIES),
                  (unsigned long long)eb_counter_get(EB_C_PERM_FAILURES));
    if (s->callout.keys)
        eb_buf_printf(body, "\"jwks\":{\"status\":\"%s\",\"keys\":%zu,\"age_s\":%lld}",
                      keys_missing ? "unavailable" : "ok", keys, (long long)age_s);
    eb_buf_z(body, "}}\n");
    return ready;
}

static size_t cores(int64_t wanted) {
    if (wanted > 0)
        return (size_t)wanted;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

static enum eb_rc start_workers(struct eb_service *s, size_t n, struct eb_err *reterr) {
    if (n > WORKERS_MAX)
        n = WORKERS_MAX;
    s->workers = calloc(n, sizeof *s->workers);
    for (size_t i = 0; s->workers && i < n; i++) {
        s->workers[i].service = s;
        if (pthread_create(&s->workers[i].thread, NULL, worker_main, &s->workers[i]) != 0)
            break;
        s->workers_n++;
    }
    return s->workers_n ? EB_OK : EB_FAIL(reterr, EB_E_INTERNAL, "no thread for the workers");
}

static enum eb_rc start_health(struct eb_service *s, struct eb_err *reterr) {
    const struct eb_config *c = s->start.settings->config;
    struct eb_health_options opt = {
        .host = c->host_name, .port = (int)c->host_port, .ready = is_ready, .live = is_live, .ctx = s};
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
    eb_log_int(&l, "entries", eb_gauge_get(EB_G_POLICY_ENTRIES));
    eb_log_int(&l, "workers", (int64_t)s->workers_n);
    eb_log_end(&l);
}

static enum eb_rc start_parts(struct eb_service *s, struct eb_err *reterr) {
    const struct eb_config *c = s->start.settings->config;
    s->callout.sealing = eb_sealing_new();
    s->queue = eb_queue_new((size_t)c->queue);
    if (!s->callout.sealing || !s->queue || eb_micro_init(&s->micro) != EB_OK)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    enum eb_rc rc = eb_park_start((size_t)c->parked, on_resume, s, &s->park);
    if (rc != EB_OK)
        return EB_FAIL(reterr, rc, "no thread for waiting requests");
    if (c->jwks.url || c->jwks.path)
        rc = eb_keysource_start(&c->jwks, on_keys, s, &s->callout.keys, reterr);
    if (rc == EB_OK)
        rc = start_workers(s, cores(c->workers), reterr);
    struct eb_links_options opt = {.config = c,
                                   .n = cores(c->connections),
                                   .pending = (size_t)c->queue,
                                   .on_request = on_request,
                                   .on_query = on_query,
                                   .queries = s->micro.subjects,
                                   .queries_n = EB_MICRO_SUBJECTS,
                                   .ctx = s};
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
                                          .keys = s->callout.keys,
                                          .started = s->start.settings->config,
                                          .config_path = config_path,
                                          .hot_path = hot_path,
                                          .since_ns = since_ns,
                                          .reread = reread,
                                          .ctx = ctx};
        rc = eb_reloader_start(&opt, &s->reloader, reterr);
    }
    if (rc != EB_OK) {
        eb_service_stop(s);
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

void eb_service_stop(struct eb_service *s) {
    if (!s)
        return;
    eb_reloader_stop(s->reloader);
    if (s->links)
        eb_links_leave(s->links, LEAVE_MS);
    if (s->park)
        eb_park_stop(s->park);
    if (s->queue)
        eb_queue_close(s->queue);
    for (size_t i = 0; i < s->workers_n; i++)
        (void)pthread_join(s->workers[i].thread, NULL);
    /* /readyz and /metrics look at the keys, the links and the queue: nobody may ask any more when these go.
     */
    eb_health_stop(s->health);
    eb_health_stop(s->metrics);
    eb_keysource_stop(s->callout.keys);
    eb_links_stop(s->links);
    eb_park_free(s->park);
    eb_queue_free(s->queue);
    eb_micro_done(&s->micro);
    eb_sealing_free(s->callout.sealing);
    eb_view_done(&s->start);
    eb_live_free(s->callout.live);
    free(s->workers);
    free(s);
}
