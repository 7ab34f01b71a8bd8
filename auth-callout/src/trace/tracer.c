#include "trace/tracer.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>

#include "base/num.h"
#include "clock.h"
#include "log.h"
#include "trace/encode.h"
#include "trace/post.h"
#include "trace/settings.h"

#define SECOND_NS INT64_C(1000000000)
/* Spans that wait, and those of one request; a request is sent when it is full, or after GATHER_NS. */
enum { ROOM = 4096, BATCH = 512 };
#define GATHER_NS SECOND_NS
/* After a failure: 1 s, doubled up to 30 s, each with jitter. What was not taken after RETRY_FOR_NS is lost.
 */
#define PAUSE_FIRST_NS SECOND_NS
#define PAUSE_MAX_NS (30 * SECOND_NS)
#define RETRY_FOR_NS (60 * SECOND_NS)
/* What the stop may take. */
#define FLUSH_NS SECOND_NS
/* Spans that a collector rejects are told at most this often. */
#define REJECTED_TOLD_NS (60 * SECOND_NS)

struct eb_tracer {
    const struct eb_trace_config *config;
    uint64_t lots; /* a span is sampled where its lot is below */
    struct eb_post *post;
    pthread_t thread;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    bool leaving;
    size_t head, n;
    struct eb_span ring[ROOM];

    /* of the thread alone */
    struct eb_span batch[BATCH];
    struct eb_buf resource, body;
    bool failing;
    int64_t pause_ns;      /* after the last try, 0 while all is well */
    int64_t not_before_ns; /* the next try, of whatever batch */
    uint64_t lost_before;  /* when it began to fail */
    int64_t rejected_told_ns;
};

bool eb_tracer_sampled(const struct eb_tracer *t, struct eb_span *s, int64_t arrived_ns) {
    eb_span_begin(s, arrived_ns);
    return eb_span_lot(s) < t->lots;
}

/* True where the thread is to look: the first came, which begins a batch, or one is full. */
static bool add(struct eb_tracer *t, const struct eb_span *s) {
    EB_LOCKED(&t->mutex);
    if (t->n == ROOM || t->leaving) {
        eb_count_spans(EB_SPANS_DROPPED, 1);
        return false;
    }
    t->ring[(t->head + t->n) % ROOM] = *s;
    t->n++;
    return t->n == 1 || t->n == BATCH;
}

void eb_tracer_end(struct eb_tracer *t, struct eb_span *s) {
    s->end_ns = eb_wall_ns();
    s->start_ns = s->end_ns - (eb_mono_ns() - s->arrived_ns);
    if (add(t, s))
        (void)pthread_cond_signal(&t->wake);
}

void eb_tracer_dropped(struct eb_tracer *t, int64_t arrived_ns, const char *reason) {
    struct eb_span s;
    if (!eb_tracer_begin(t, &s, arrived_ns))
        return;
    s.reason = s.error = reason;
    eb_tracer_end(t, &s);
}

/* Waits for a batch and takes it; 0 once all is taken and no more comes. */
static size_t gather(struct eb_tracer *t) {
    EB_LOCKED(&t->mutex);
    while (t->n == 0 && !t->leaving)
        (void)pthread_cond_wait(&t->wake, &t->mutex);
    int64_t until = eb_mono_ns() + GATHER_NS;
    while (t->n < BATCH && !t->leaving && eb_mono_ns() < until)
        eb_cond_wait_until(&t->wake, &t->mutex, until);
    size_t n = t->n < BATCH ? t->n : BATCH;
    for (size_t i = 0; i < n; i++)
        t->batch[i] = t->ring[(t->head + i) % ROOM];
    t->head = (t->head + n) % ROOM;
    t->n -= n;
    return n;
}

static bool is_leaving(struct eb_tracer *t) {
    EB_LOCKED(&t->mutex);
    return t->leaving;
}

static void rest_until(struct eb_tracer *t, int64_t until) {
    EB_LOCKED(&t->mutex);
    while (!t->leaving && eb_mono_ns() < until)
        eb_cond_wait_until(&t->wake, &t->mutex, until);
}

static uint64_t lost(void) {
    return eb_spans_get(EB_SPANS_DROPPED) + eb_spans_get(EB_SPANS_FAILED);
}

static void tell_failure(struct eb_tracer *t, const struct eb_err *err) {
    if (t->failing)
        return;
    t->failing = true;
    t->lost_before = lost();
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_WARN, "traces cannot be exported; callouts go on without them");
    eb_log_z(&l, "collector", eb_post_where(t->post));
    eb_log_z(&l, "error", eb_err_text(err, err->rc));
    eb_log_end(&l);
}

static void tell_success(struct eb_tracer *t) {
    t->pause_ns = t->not_before_ns = 0;
    if (!t->failing)
        return;
    t->failing = false;
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_INFO, "traces are exported again");
    eb_log_z(&l, "collector", eb_post_where(t->post));
    eb_log_int(&l, "spans_lost", (int64_t)(lost() - t->lost_before));
    eb_log_end(&l);
}

static void tell_rejected(struct eb_tracer *t, const struct eb_otlp_answer *answer) {
    int64_t now = eb_mono_ns();
    if ((answer->rejected == 0 && answer->remark.n == 0) ||
        (t->rejected_told_ns && now - t->rejected_told_ns < REJECTED_TOLD_NS))
        return;
    t->rejected_told_ns = now;
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_WARN,
                 answer->rejected ? "the collector of traces rejects spans"
                                  : "the collector of traces has a remark");
    eb_log_z(&l, "collector", eb_post_where(t->post));
    eb_log_int(&l, "rejected", (int64_t)answer->rejected);
    eb_log_peer(&l, "remark", answer->remark);
    eb_log_end(&l);
}

static void count_taken(struct eb_tracer *t, size_t n, const struct eb_otlp_answer *answer) {
    uint64_t rejected = answer->rejected > n ? n : answer->rejected;
    eb_count_spans(EB_SPANS_REJECTED, rejected);
    eb_count_spans(EB_SPANS_EXPORTED, n - rejected);
    tell_success(t);
    tell_rejected(t, answer);
}

/* How long to wait now: what the collector asks for, else longer each time. */
static int64_t next_pause(struct eb_tracer *t, const struct eb_otlp_answer *answer) {
    t->pause_ns = t->pause_ns ? t->pause_ns * 2 : PAUSE_FIRST_NS;
    if (t->pause_ns > PAUSE_MAX_NS)
        t->pause_ns = PAUSE_MAX_NS;
    int64_t jittered = t->pause_ns - t->pause_ns / 4 * (int64_t)randombytes_uniform(1000) / 1000;
    int64_t asked = answer->after_s * SECOND_NS;
    return asked > jittered ? asked : jittered;
}

static void send_batch(struct eb_tracer *t, size_t n) {
    eb_buf_reset(&t->body);
    eb_trace_encode(eb_buf_get(&t->resource), t->batch, n, t->config->client_address, &t->body);
    if (!eb_buf_ok(&t->body)) {
        eb_count_spans(EB_SPANS_FAILED, n);
        return;
    }
    int64_t give_up = eb_mono_ns() + RETRY_FOR_NS;
    for (;;) {
        struct eb_otlp_answer answer;
        struct eb_err err = {0};
        rest_until(t, t->not_before_ns);
        bool last = is_leaving(t);
        eb_post_send(t->post, eb_buf_get(&t->body), &answer, &err);
        if (answer.taken) {
            count_taken(t, n, &answer);
            return;
        }
        tell_failure(t, &err);
        /* The next batch waits for this, too: a collector in trouble is left alone. */
        t->not_before_ns = eb_mono_ns() + next_pause(t, &answer);
        if (!answer.retry || last || t->not_before_ns > give_up)
            break;
    }
    eb_count_spans(EB_SPANS_FAILED, n);
}

static void *tracer_main(void *arg) {
    struct eb_tracer *t = arg;
    for (size_t n = gather(t); n; n = gather(t))
        send_batch(t, n);
    if (t->failing) {
        struct eb_log_line l;
        eb_log_begin(&l, EB_LOG_WARN, "traces were lost: the collector did not take them before the end");
        eb_log_int(&l, "spans_lost", (int64_t)(lost() - t->lost_before));
        eb_log_end(&l);
    }
    return NULL;
}

void eb_tracer_free(struct eb_tracer *t) {
    if (!t)
        return;
    eb_post_free(t->post);
    eb_buf_done(&t->resource);
    eb_buf_done(&t->body);
    (void)pthread_mutex_destroy(&t->mutex);
    (void)pthread_cond_destroy(&t->wake);
    free(t);
}
EB_DEFINE_CLEANUP(struct eb_tracer, eb_tracer_free);

enum eb_rc eb_tracer_start(const struct eb_trace_config *c, struct eb_tracer **ret, struct eb_err *reterr) {
    *ret = NULL;
    if (!eb_trace_on(c))
        return EB_OK;
    EB_CLEANUP(eb_tracer_freep) struct eb_tracer *t = calloc(1, sizeof *t);
    if (!t)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    (void)pthread_mutex_init(&t->mutex, NULL);
    eb_cond_init(&t->wake);
    t->config = c;
    t->lots = (uint64_t)((double)c->sample_ratio / (double)EB_RATIO_ONE * (double)EB_SPAN_LOT_MAX);
    eb_trace_resource(c, &t->resource);
    if (!eb_buf_ok(&t->resource))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    enum eb_rc rc = eb_post_new(c, &t->post, reterr);
    if (rc != EB_OK)
        return rc;
    if (pthread_create(&t->thread, NULL, tracer_main, t) != 0)
        return EB_FAIL(reterr, EB_E_INTERNAL, "no thread for traces: %s", strerror(errno));
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_INFO, "callouts are traced");
    eb_log_z(&l, "collector", eb_post_where(t->post));
    eb_log_end(&l);
    *ret = EB_TAKE(t);
    return EB_OK;
}

void eb_tracer_leave(struct eb_tracer *t) {
    if (!t)
        return;
    EB_LOCKED(&t->mutex);
    if (t->leaving)
        return;
    t->leaving = true;
    eb_post_end_by(t->post, eb_mono_ns() + FLUSH_NS);
    (void)pthread_cond_signal(&t->wake);
}

void eb_tracer_stop(struct eb_tracer *t) {
    if (!t)
        return;
    eb_tracer_leave(t);
    (void)pthread_join(t->thread, NULL);
}
