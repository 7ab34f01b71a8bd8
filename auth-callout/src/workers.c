#include "workers.h"

#include <pthread.h>

#include "clock.h"
#include "log.h"
#include "metrics.h"

/* A worker that holds one request longer than this is wedged: nothing it does takes a second. */
#define WEDGED_NS (30 * INT64_C(1000000000))
/* nats.c hands each destroyed message to a thread that it wakes for it: a worker ends several together. */
enum { SPENT_MAX = 32 };
/* At the end. Held: no worker is done with its request for so many looks in a row, which only nats.c brings
 * about; looks, and not time, so that a process that is stopped or has little CPU is not taken for it. */
enum { LOOK_MS = 50, HELD_LOOKS = 20 };
enum { ENDED = -1, LEFT = -2 };
/* A worker's buffer that grew beyond this is given back. */
#define SCRATCH_KEPT ((size_t)64 << 10)

struct worker {
    struct eb_workers *all;
    const struct eb_workers_options *opt;
    pthread_t thread;
    _Atomic int64_t busy_since;      /* 0 = idle, ENDED; LEFT: what it has in hand is counted as left */
    struct eb_job *spent[SPENT_MAX]; /* answered, to be ended */
    size_t spent_n;
};

struct eb_workers {
    struct eb_workers_options opt;
    pthread_mutex_t mutex; /* the next two */
    pthread_cond_t wake;
    size_t ended;
    atomic_bool abandoned; /* nothing is decided or sent any more */
    size_t n;
    struct worker workers[];
};

static void end_spent(struct worker *w) {
    for (size_t i = 0; i < w->spent_n; i++)
        eb_job_free(w->opt->jobs, w->spent[i]);
    w->spent_n = 0;
}

static void retire(struct worker *w, struct eb_job *job) {
    w->spent[w->spent_n++] = job;
    if (w->spent_n == SPENT_MAX)
        end_spent(w);
}

/* Left as the service ends; told once, in its last line. */
static void count_left(void) {
    eb_count(EB_C_DROPPED_STOP);
    eb_count(EB_C_ERRORS);
}

static void drop_at_the_end(const struct eb_workers_options *opt, struct eb_job *job) {
    count_left();
    eb_tracer_dropped(opt->callout->tracer, job->arrived_ns, EB_DROPPED_STOP);
    eb_job_free(opt->jobs, job);
}

void eb_workers_submit(struct eb_workers *w, struct eb_job *job) {
    const struct eb_workers_options *opt = &w->opt;
    struct eb_job *dropped = eb_queue_push(opt->queue, job);
    if (!dropped)
        return;
    if (dropped == job) { /* the queue is closed */
        drop_at_the_end(opt, job);
        return;
    }
    eb_callout_note_drop(EB_C_DROPPED_FULL);
    eb_tracer_dropped(opt->callout->tracer, dropped->arrived_ns, EB_DROPPED_FULL);
    eb_job_free(opt->jobs, dropped);
}

/* Asked again once the request is parked: what ended after it looked wakes nobody any more. */
static bool still_to_come(void *ctx) {
    const struct eb_wait *w = ctx;
    return w->number == EB_SOURCE_KEYS ? eb_keysource_fetching(w->source->keys)
                                       : eb_kube_asking(w->source->kube, &w->ticket);
}

static bool gate_unsure(void *ctx) {
    return eb_gate_state(ctx) == EB_GATE_UNSURE;
}

/* True where the job was taken by a park. */
static bool try_park(const struct eb_workers_options *opt, struct eb_job *job, struct eb_wait *wait) {
    if (!wait->source) {
        struct eb_park_key for_gate = {0};
        job->parked = true;
        if (!eb_park_add_for(opt->gate_park, job, &for_gate, wait->until_ns, gate_unsure, opt->callout->gate))
            return false;
        eb_count(EB_C_PARKED);
        return true;
    }
    struct eb_park_key key = {wait->source, wait->number};
    job->parked = true; /* once it is in, it may be another thread's at once */
    if (!eb_park_add_for(opt->park, job, &key, wait->until_ns, still_to_come, wait))
        return false;
    eb_count(EB_C_PARKED);
    return true;
}

static void drop(struct eb_span *span, enum eb_counter kind, const char *reason) {
    if (kind == EB_C_DROPPED_STOP)
        count_left();
    else
        eb_callout_note_drop(kind);
    if (span)
        span->reason = span->error = reason;
}

/* Nothing is decided or sent any more, and what it has in hand counts as left. */
static bool is_abandoned(const struct worker *w) {
    return atomic_load(&w->all->abandoned);
}

/* False where the job is not ended: the park has it. span: NULL where it is not traced. */
static bool run_job(struct worker *w, struct eb_job *job, struct eb_span *span,
                    struct eb_callout_scratch *scratch, struct eb_buf *reply) {
    const struct eb_workers_options *opt = w->opt;
    if (eb_callout_hopeless(job->arrived_ns, eb_mono_ns())) {
        drop(span, EB_C_DROPPED_LATE, EB_DROPPED_LATE);
        return true;
    }
    const char *xkey = NULL;
    struct eb_callout_in in = {
        .payload = eb_str_n(natsMsg_GetData(job->msg), (size_t)natsMsg_GetDataLength(job->msg)),
        .arrived_ns = job->arrived_ns,
        .no_room = opt->no_room,
        .span = span};
    if (natsMsgHeader_Get(job->msg, "Nats-Server-Xkey", &xkey) == NATS_OK && xkey)
        in.header_xkey = eb_str(xkey);
    struct eb_wait wait = {0};
    enum eb_outcome outcome = eb_callout_run(opt->callout, &in, scratch, reply, &wait);
    if (outcome == EB_PARK) {
        if (try_park(opt, job, &wait))
            return false;
        /* Stopped, or no room to wait: the client will try again. */
        if (eb_park_is_stopped(wait.source ? opt->park : opt->gate_park))
            drop(span, EB_C_DROPPED_STOP, EB_DROPPED_STOP);
        else
            drop(span, EB_C_DROPPED_FULL, EB_DROPPED_FULL);
    }
    if (outcome == EB_ANSWER && !is_abandoned(w) &&
        !opt->send(opt->ctx, job->link, natsMsg_GetReply(job->msg), eb_buf_get(reply)) && !is_abandoned(w)) {
        eb_count(EB_C_PUBLISH_FAILURES);
        if (span)
            span->error = "answer_not_sent";
        eb_log(EB_LOG_WARN, "an answer could not be sent: no link to NATS is up");
    }
    if (scratch->plain.cap > SCRATCH_KEPT)
        eb_buf_done(&scratch->plain);
    if (scratch->grants.cap > SCRATCH_KEPT)
        eb_buf_done(&scratch->grants);
    return true;
}

static void take_job(struct worker *w, struct eb_job *job, struct eb_callout_scratch *scratch,
                     struct eb_buf *reply) {
    const struct eb_workers_options *opt = w->opt;
    struct eb_span span;
    bool traced = eb_tracer_begin(opt->callout->tracer, &span, job->arrived_ns);
    if (traced) {
        if (!job->taken_ns)
            job->taken_ns = eb_mono_ns();
        span.wait_ns = job->taken_ns - job->arrived_ns;
        span.parked = job->parked;
    }
    if (!run_job(w, job, traced ? &span : NULL, scratch, reply))
        return;
    if (traced)
        eb_tracer_end(opt->callout->tracer, &span);
    retire(w, job);
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    EB_CLEANUP(eb_callout_scratch_done) struct eb_callout_scratch scratch = {0};
    eb_auto_buf struct eb_buf reply = {0};
    for (struct eb_job *job = eb_queue_pop(w->opt->queue); job; job = eb_queue_pop(w->opt->queue)) {
        atomic_store(&w->busy_since, eb_mono_ns());
        if (!is_abandoned(w)) {
            take_job(w, job, &scratch, &reply);
            atomic_store(&w->busy_since, 0);
        } else if (atomic_exchange(&w->busy_since, 0) == LEFT) {
            eb_job_free(w->opt->jobs, job);
        } else {
            drop_at_the_end(w->opt, job);
        }
        if (w->spent_n && eb_queue_depth(w->opt->queue) == 0)
            end_spent(w);
    }
    end_spent(w);
    nats_ReleaseThreadMemory();
    atomic_store(&w->busy_since, ENDED);
    EB_LOCKED(&w->all->mutex);
    w->all->ended++;
    (void)pthread_cond_signal(&w->all->wake);
    return NULL;
}

enum eb_rc eb_workers_start(const struct eb_workers_options *opt, struct eb_workers **ret,
                            struct eb_err *reterr) {
    size_t n = opt->n > EB_WORKERS_MAX ? EB_WORKERS_MAX : opt->n;
    struct eb_workers *all = calloc(1, sizeof *all + n * sizeof all->workers[0]);
    if (!all)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    all->opt = *opt;
    (void)pthread_mutex_init(&all->mutex, NULL);
    eb_cond_init(&all->wake);
    for (size_t i = 0; i < n; i++) {
        all->workers[i].all = all;
        all->workers[i].opt = &all->opt;
        if (pthread_create(&all->workers[i].thread, NULL, worker_main, &all->workers[i]) != 0)
            break;
        all->n++;
    }
    if (all->n == 0) {
        eb_workers_free(all);
        return EB_FAIL(reterr, EB_E_INTERNAL, "no thread for the workers");
    }
    *ret = all;
    return EB_OK;
}

size_t eb_workers_count(const struct eb_workers *w) {
    return w->n;
}

bool eb_workers_live(struct eb_workers *w) {
    int64_t now = eb_mono_ns();
    for (size_t i = 0; i < w->n; i++) {
        int64_t since = atomic_load(&w->workers[i].busy_since);
        if (since > 0 && now - since > WEDGED_NS)
            return false;
    }
    return true;
}

/* Whether all that have not ended are at the request that they were at before. */
static bool are_held(struct eb_workers *w, int64_t seen[EB_WORKERS_MAX]) {
    bool held = true;
    for (size_t i = 0; i < w->n; i++) {
        int64_t now = atomic_load(&w->workers[i].busy_since);
        held = held && (now == ENDED || (now > 0 && now == seen[i]));
        seen[i] = now;
    }
    return held;
}

static bool wait_for_end(struct eb_workers *w, int64_t until_ns) {
    int64_t seen[EB_WORKERS_MAX] = {0};
    int held = 0;
    EB_LOCKED(&w->mutex);
    int64_t look_ns = eb_mono_ns() + LOOK_MS * INT64_C(1000000);
    while (w->ended < w->n && held < HELD_LOOKS && eb_mono_ns() < until_ns) {
        eb_cond_wait_until(&w->wake, &w->mutex, look_ns < until_ns ? look_ns : until_ns);
        if (eb_mono_ns() < look_ns)
            continue; /* one has ended */
        held = are_held(w, seen) ? held + 1 : 0;
        look_ns = eb_mono_ns() + LOOK_MS * INT64_C(1000000);
    }
    return w->ended == w->n;
}

/* What those that go on have in hand counts as left; one of them may still be sent. */
static void abandon(struct eb_workers *w) {
    atomic_store(&w->abandoned, true);
    for (struct eb_job *job = eb_queue_pop(w->opt.queue); job; job = eb_queue_pop(w->opt.queue))
        drop_at_the_end(&w->opt, job);
    for (size_t i = 0; i < w->n; i++) {
        int64_t since = atomic_load(&w->workers[i].busy_since);
        if (since > 0 && atomic_compare_exchange_strong(&w->workers[i].busy_since, &since, LEFT))
            count_left();
    }
}

bool eb_workers_join(struct eb_workers *w, int64_t until_ns) {
    if (!w)
        return true;
    bool ended = wait_for_end(w, until_ns);
    if (!ended)
        abandon(w);
    for (size_t i = 0; i < w->n; i++)
        (void)(ended ? pthread_join(w->workers[i].thread, NULL) : pthread_detach(w->workers[i].thread));
    return ended;
}

void eb_workers_free(struct eb_workers *w) {
    if (!w)
        return;
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->mutex);
    free(w);
}
