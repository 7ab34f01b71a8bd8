/* The threads that decide: every request is answered once and ended, also one that is parked in the moment in
 * which the fetch that it waits for ends, or the gate of MQTT opens. */
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>

#include "clock.h"
#include "fixture.h"
#include "workers.h"

enum { GATE_ROOM = 3 };

static struct fx_dir dir;
static struct fx_world world;
static struct eb_jobs jobs;
static struct eb_queue *queue;
static struct eb_park *park, *gate_park;
static struct eb_workers *workers;
static EVP_PKEY *key;
static _Atomic int sent;
static char last_subject[64];
static size_t last_link;

static bool on_send(void *ctx, size_t link, const char *subject, struct eb_str bytes) {
    assert_ptr_equal(ctx, &dir);
    assert_true(eb_natsjwt_is(bytes));
    last_link = link;
    (void)snprintf(last_subject, sizeof last_subject, "%s", subject);
    atomic_fetch_add(&sent, 1);
    return true;
}

static void on_resume(void *ctx, void *job) {
    (void)ctx;
    eb_workers_submit(workers, job);
}

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    key = mint_key("P-256", 0);
    fx_write(&dir, FX_POLICY, "oauth2: {app: {azp: app, account: CSC}}\nnoauth: {account: CSC}\n");
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    fx_jwks(&dir, key, "new");
    fx_world_open(&world, &dir, NULL);
    if (nats_Open(-1) != NATS_OK || !(queue = eb_queue_new(64)) ||
        eb_park_start(64, on_resume, NULL, &park) != EB_OK ||
        eb_park_start(GATE_ROOM, on_resume, NULL, &gate_park) != EB_OK ||
        !(world.callout.gate = eb_gate_new()))
        return -1;
    struct eb_workers_options opt = {.n = 1,
                                     .callout = &world.callout,
                                     .jobs = &jobs,
                                     .queue = queue,
                                     .park = park,
                                     .gate_park = gate_park,
                                     .send = on_send,
                                     .ctx = &dir};
    return eb_workers_start(&opt, &workers, NULL) == EB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    eb_park_stop(park);
    eb_park_stop(gate_park);
    eb_queue_close(queue);
    assert_true(eb_workers_join(workers, INT64_MAX));
    eb_workers_free(workers);
    eb_workers_free(NULL);
    assert_true(eb_workers_join(NULL, 0));
    eb_park_free(park);
    eb_park_free(gate_park);
    eb_gate_free(world.callout.gate);
    eb_queue_free(queue);
    fx_world_close(&world);
    fx_dir_remove(&dir);
    EVP_PKEY_free(key);
    return nats_CloseAndWait(5000) == NATS_OK ? 0 : -1;
}

static void submit(const struct fx_request *r, const char *reply, size_t link) {
    eb_auto_buf struct eb_buf text = {0};
    natsMsg *m = NULL;
    fx_request(r, &text);
    assert_int_equal(natsMsg_Create(&m, "$SYS.REQ.USER.AUTH", reply, text.p, (int)text.n), NATS_OK);
    struct eb_job *job = eb_job_take(&jobs, m, link);
    assert_non_null(job);
    eb_workers_submit(workers, job);
}

static bool sent_n(void *ctx) {
    return atomic_load(&sent) >= *(int *)ctx;
}

static bool none_held(void *ctx) {
    (void)ctx;
    return atomic_load(&jobs.bytes) == 0;
}

static void answers(void **state) {
    (void)state;
    int want = atomic_load(&sent) + 1;
    assert_int_equal(eb_workers_count(workers), 1);
    assert_true(eb_workers_live(workers));
    submit(&(struct fx_request){.host = "127.0.0.1"}, "_INBOX.one", 5);
    assert_true(fx_wait(sent_n, &want, 5000));
    assert_true(fx_wait(none_held, NULL, 5000));
    assert_string_equal(last_subject, "_INBOX.one");
    assert_int_equal(last_link, 5);
    submit(&(struct fx_request){.aud = "another"}, "_INBOX.two", 5); /* no request: ended without an answer */
    assert_true(fx_wait(none_held, NULL, 5000));
    assert_int_equal(atomic_load(&sent), want);
}

static void on_source(void *ctx, struct eb_source *s, uint64_t number) {
    (void)ctx;
    eb_park_release(park, &(struct eb_park_key){s, number});
}

/*
 * The fetch of a file takes about as long as a worker takes to find that it lacks the key: over many rounds
 * it ends before the verdict, between the verdict and the park, and after it. Nobody may wait for his date
 * (30 s).
 */
static void parked_as_the_fetch_ends(void **state) {
    (void)state;
    enum { ROUNDS = 600 };
    eb_auto_buf struct eb_buf token = {0};
    struct eb_sources *sources = eb_live_sources(world.live);
    fx_token(&token, key, "new", "app", 600, "");
    eb_sources_stop(sources);
    for (int i = 0; i < ROUNDS; i++) {
        int want = atomic_load(&sent) + 1;
        assert_int_equal(eb_sources_start(sources, on_source, NULL, NULL), EB_OK);
        int64_t before = eb_mono_ns();
        while (eb_mono_ns() - before < (i % 100) * INT64_C(4000)) {
            /* another place of the fetch each time */
        }
        submit(&(struct fx_request){.auth_token = token.p, .budget_s = 60}, "_INBOX.key", 0);
        bool answered = fx_wait(sent_n, &want, 10000);
        if (!answered)
            fail_msg("round %d: not answered in %lld ms", i, (long long)((eb_mono_ns() - before) / 1000000));
        assert_true(fx_wait(none_held, NULL, 5000));
        assert_int_equal(atomic_load(&sent), want);
        eb_sources_stop(sources);
    }
}

/* As the keeper of the gate does it. */
static void find(enum eb_spec_verdict verdict) {
    struct eb_gate_round round = {.verdict = {verdict, verdict, verdict, verdict}};
    bool news;
    assert_true(
        eb_gate_take(world.callout.gate, eb_gate_begin(world.callout.gate), &round, eb_mono_ns(), &news));
    eb_park_release(gate_park, NULL);
}

static const struct fx_request mqtt = {.kind = "Client", .type = "mqtt", .host = "127.0.0.1", .budget_s = 60};

/* The gate becomes sure before the verdict, between it and the park, and after it: nobody waits for his date.
 */
static void parked_as_the_gate_opens(void **state) {
    (void)state;
    enum { ROUNDS = 600 };
    find(EB_SPEC_RIGHT);
    for (int i = 0; i < ROUNDS; i++) {
        int want = atomic_load(&sent) + 1;
        eb_gate_lost(world.callout.gate);
        submit(&mqtt, "_INBOX.mqtt", 0);
        int64_t before = eb_mono_ns();
        while (eb_mono_ns() - before < (i % 100) * INT64_C(4000)) {
            /* another place each time */
        }
        find(EB_SPEC_RIGHT);
        if (!fx_wait(sent_n, &want, 10000))
            fail_msg("round %d: not answered", i);
        assert_true(fx_wait(none_held, NULL, 5000));
        assert_int_equal(atomic_load(&sent), want);
    }
}

static bool parked(void *ctx) {
    return fx_metric("auth_parked_total") >= *(int64_t *)ctx;
}

/* Those for whom there is no room are dropped, those who waited when it closes too, and others never wait. */
static void the_gate_closes(void **state) {
    (void)state;
    int64_t full = fx_metric("auth_dropped_queue_full_total"),
            closed = fx_metric("auth_dropped_mqtt_closed_total"),
            waits = fx_metric("auth_parked_total") + GATE_ROOM;
    int want = atomic_load(&sent) + 1;
    find(EB_SPEC_RIGHT);
    eb_gate_lost(world.callout.gate);
    for (int i = 0; i < GATE_ROOM + 2; i++)
        submit(&mqtt, "_INBOX.mqtt", 0);
    submit(&(struct fx_request){.host = "127.0.0.1"}, "_INBOX.nats", 0);
    assert_true(fx_wait(sent_n, &want, 5000));
    assert_string_equal(last_subject, "_INBOX.nats");
    assert_true(fx_wait(parked, &waits, 5000));
    assert_int_equal(fx_metric("auth_dropped_queue_full_total"), full + 2);
    assert_int_equal(fx_metric("auth_dropped_mqtt_closed_total"), closed);
    find(EB_SPEC_MISSING);
    assert_true(fx_wait(none_held, NULL, 5000));
    assert_int_equal(fx_metric("auth_dropped_mqtt_closed_total"), closed + GATE_ROOM);
    assert_int_equal(atomic_load(&sent), want);
    find(EB_SPEC_RIGHT);
}

static _Atomic int holds;
static atomic_bool let_go;

/* As nats.c does it while it connects. */
static bool hold(void *ctx, size_t link, const char *subject, struct eb_str bytes) {
    (void)ctx;
    (void)link;
    (void)subject;
    (void)bytes;
    atomic_fetch_add(&holds, 1);
    while (!atomic_load(&let_go))
        (void)poll(NULL, 0, 1);
    return false;
}

static bool hold_n(void *ctx) {
    return atomic_load(&holds) == *(int *)ctx;
}

/* Two are held, and more wait behind them: the stop goes on without them, nothing is decided or sent any
 * more, and all are counted as left. */
static void held_ones_are_left(void **state) {
    (void)state;
    enum { WORKERS = 2, JOBS = 7 };
    static struct eb_workers *pool; /* not freed: see eb_workers_join */
    static struct eb_queue *own;
    own = eb_queue_new(64);
    assert_non_null(own);
    struct eb_workers_options opt = {.n = WORKERS,
                                     .callout = &world.callout,
                                     .jobs = &jobs,
                                     .queue = own,
                                     .park = park,
                                     .gate_park = gate_park,
                                     .send = hold};
    int64_t full = fx_metric("auth_dropped_queue_full_total"),
            ended = fx_metric("auth_dropped_stopping_total"),
            decided = fx_metric("auth_noauth_attempts_total");
    assert_int_equal(eb_workers_start(&opt, &pool, NULL), EB_OK);
    struct eb_workers *usual = workers;
    workers = pool;
    for (int i = 0; i < JOBS; i++)
        submit(&(struct fx_request){.host = "127.0.0.1"}, "_INBOX.held", 0);
    assert_true(fx_wait(hold_n, &(int){WORKERS}, 5000));
    eb_queue_close(own);
    submit(&(struct fx_request){.host = "127.0.0.1"}, "_INBOX.late", 0);
    workers = usual;
    assert_int_equal(fx_metric("auth_dropped_stopping_total"), ended + 1);
    assert_false(eb_workers_join(pool, INT64_MAX)); /* who is held is not waited for */
    assert_int_equal(fx_metric("auth_dropped_stopping_total"), ended + 1 + JOBS);
    assert_false(none_held(NULL));
    atomic_store(&let_go, true);
    assert_true(fx_wait(none_held, NULL, 5000));
    assert_int_equal(atomic_load(&holds), WORKERS);
    assert_int_equal(fx_metric("auth_noauth_attempts_total"), decided + WORKERS);
    assert_int_equal(fx_metric("auth_dropped_stopping_total"), ended + 1 + JOBS);
    assert_int_equal(fx_metric("auth_dropped_queue_full_total"), full);
}

/* As one that has little time for it, and is done with each. */
static bool slowly(void *ctx, size_t link, const char *subject, struct eb_str bytes) {
    (void)ctx;
    (void)link;
    (void)subject;
    (void)bytes;
    (void)poll(NULL, 0, 100);
    return true;
}

/* Those that get on are waited for, to the end or to the date. */
static void busy_ones_are_waited_for(void **state) {
    (void)state;
    static const struct {
        int64_t until_ms;
        bool ends;
        int jobs;
    } cases[] = {{60000, true, 30}, {300, false, 60}}; /* the first for longer than one is held for */
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        static struct eb_workers *pools[EB_COUNT_OF(cases)];
        static struct eb_queue *own[EB_COUNT_OF(cases)];
        own[i] = eb_queue_new(64);
        assert_non_null(own[i]);
        struct eb_workers_options opt = {.n = 1,
                                         .callout = &world.callout,
                                         .jobs = &jobs,
                                         .queue = own[i],
                                         .park = park,
                                         .gate_park = gate_park,
                                         .send = slowly};
        int64_t ended = fx_metric("auth_dropped_stopping_total");
        assert_int_equal(eb_workers_start(&opt, &pools[i], NULL), EB_OK);
        struct eb_workers *usual = workers;
        workers = pools[i];
        for (int k = 0; k < cases[i].jobs; k++)
            submit(&(struct fx_request){.host = "127.0.0.1"}, "_INBOX.slow", 0);
        workers = usual;
        eb_queue_close(own[i]);
        bool ends = eb_workers_join(pools[i], eb_mono_ns() + cases[i].until_ms * INT64_C(1000000));
        assert_int_equal(ends, cases[i].ends);
        assert_true(fx_wait(none_held, NULL, 5000));
        int64_t left = fx_metric("auth_dropped_stopping_total") - ended;
        assert_true(ends ? left == 0 : left > 0);
        if (ends) {
            eb_workers_free(pools[i]);
            eb_queue_free(own[i]);
        }
    }
}

/* The last: nothing waits any more after it. Who waits then is no sign of overload. */
static void the_service_ends(void **state) {
    (void)state;
    int64_t full = fx_metric("auth_dropped_queue_full_total"),
            ended = fx_metric("auth_dropped_stopping_total"), errors = fx_metric("auth_errors_total"),
            waits = fx_metric("auth_parked_total") + GATE_ROOM;
    find(EB_SPEC_RIGHT);
    eb_gate_lost(world.callout.gate);
    for (int i = 0; i < GATE_ROOM; i++)
        submit(&mqtt, "_INBOX.mqtt", 0);
    assert_true(fx_wait(parked, &waits, 5000));
    assert_false(eb_park_is_stopped(gate_park));
    eb_park_stop(gate_park);
    assert_true(eb_park_is_stopped(gate_park));
    assert_true(fx_wait(none_held, NULL, 5000));
    assert_int_equal(fx_metric("auth_dropped_stopping_total"), ended + GATE_ROOM);
    assert_int_equal(fx_metric("auth_errors_total"), errors + GATE_ROOM);
    assert_int_equal(fx_metric("auth_dropped_queue_full_total"), full);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers),
                                       cmocka_unit_test(parked_as_the_fetch_ends),
                                       cmocka_unit_test(parked_as_the_gate_opens),
                                       cmocka_unit_test(the_gate_closes),
                                       cmocka_unit_test(held_ones_are_left),
                                       cmocka_unit_test(busy_ones_are_waited_for),
                                       cmocka_unit_test(the_service_ends)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
