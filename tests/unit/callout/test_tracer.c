/* Spans on their way: from many threads through a ring that is too small to a collector that is too slow.
 * Each ends in exactly one of the counters. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>

#include "clock.h"
#include "fixture.h"
#include "log.h"
#include "trace/tracer.h"

/* The collector: what it answers is set by the tests. */
static struct {
    struct MHD_Daemon *daemon;
    uint16_t port;
    _Atomic unsigned status;
    _Atomic bool hang;
    _Atomic int requests;
    _Atomic size_t bytes;
} collector;

static ssize_t never(void *cls, uint64_t pos, char *to, size_t max) {
    (void)cls;
    (void)pos;
    (void)to;
    (void)max;
    (void)poll(NULL, 0, 20);
    return 0;
}

static enum MHD_Result on_http(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
                               const char *version, const char *upload, size_t *upload_n, void **con) {
    static int seen;
    (void)cls;
    (void)url;
    (void)method;
    (void)version;
    (void)upload;
    if (!*con) {
        *con = &seen;
        return MHD_YES;
    }
    if (*upload_n) {
        atomic_fetch_add(&collector.bytes, *upload_n);
        *upload_n = 0;
        return MHD_YES;
    }
    atomic_fetch_add(&collector.requests, 1);
    struct MHD_Response *r =
        atomic_load(&collector.hang)
            ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1024, never, NULL, NULL)
            : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result queued = MHD_queue_response(conn, atomic_load(&collector.status), r);
    MHD_destroy_response(r);
    return queued;
}

static int collector_up(void **state) {
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    atomic_store(&collector.status, 200);
    collector.daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0,
                                        NULL, NULL, on_http, NULL, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_END);
    MINT_MUST(collector.daemon);
    collector.port = MHD_get_daemon_info(collector.daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    return 0;
}

static int collector_down(void **state) {
    (void)state;
    MHD_stop_daemon(collector.daemon);
    return 0;
}

static struct eb_config *config;
static struct eb_tracer *tracer;
static uint64_t before[EB_SPANS_MAX_];

static void start(const char *more) {
    char url[100];
    eb_auto_findings struct eb_findings f = {0};
    (void)snprintf(url, sizeof url, "--observability.tracing.otlp.endpoint=http://127.0.0.1:%u",
                   collector.port);
    config = fx_config((const char *const[]){"--nats.issuer-seed-file=/k", url, more, NULL}, &f);
    assert_non_null(config);
    for (size_t i = 0; i < EB_SPANS_MAX_; i++)
        before[i] = eb_spans_get((enum eb_spans)i);
    assert_int_equal(eb_tracer_start(&config->trace, &tracer, NULL), EB_OK);
    assert_non_null(tracer);
}

static void stop(void) {
    eb_tracer_stop(tracer);
    eb_tracer_free(tracer);
    eb_config_free(config);
    atomic_store(&collector.status, 200);
    atomic_store(&collector.hang, false);
}

static uint64_t counted(enum eb_spans what) {
    return eb_spans_get(what) - before[what];
}

static uint64_t counted_all(void) {
    uint64_t sum = 0;
    for (size_t i = 0; i < EB_SPANS_MAX_; i++)
        sum += counted((enum eb_spans)i);
    return sum;
}

static void record(int n) {
    for (int i = 0; i < n; i++) {
        struct eb_span s;
        if (!eb_tracer_begin(tracer, &s, eb_mono_ns()))
            continue;
        s.reason = "ok";
        eb_span_set(&s.entry, EB_STR("somebody"));
        eb_tracer_end(tracer, &s);
    }
}

static void *record_many(void *arg) {
    record(*(int *)arg);
    return NULL;
}

static void off_without_an_endpoint(void **state) {
    (void)state;
    struct eb_trace_config c = {0};
    struct eb_tracer *t = NULL;
    struct eb_span s;
    assert_int_equal(eb_tracer_start(&c, &t, NULL), EB_OK);
    assert_null(t);
    assert_false(eb_tracer_begin(t, &s, 0));
    eb_tracer_dropped(t, 0, "late");
    eb_tracer_leave(t);
    eb_tracer_stop(t);
    eb_tracer_free(t);
}

static void from_many_threads(void **state) {
    (void)state;
    enum { THREADS = 4 };
    int each = 3000;
    pthread_t threads[THREADS];
    start("--observability.tracing.service-name=x");
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record_many, &each), 0);
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    eb_tracer_dropped(tracer, eb_mono_ns(), "queue_full");
    int64_t begun = eb_mono_ns();
    stop();
    assert_true(eb_mono_ns() - begun < INT64_C(2500000000));
    assert_int_equal(counted_all(), THREADS * each + 1);
    assert_true(counted(EB_SPANS_EXPORTED) > 0 && counted(EB_SPANS_REJECTED) == 0);
}

static bool has_request(void *ctx) {
    return atomic_load(&collector.requests) > *(int *)ctx;
}

/* The ring is of 4096, one request of 512 is under way: what is more is dropped at once, and nobody waits. */
static void a_collector_that_hangs(void **state) {
    (void)state;
    int requests = atomic_load(&collector.requests);
    atomic_store(&collector.hang, true);
    start("--observability.tracing.otlp.timeout=60s");
    record(512);
    assert_true(fx_wait(has_request, &requests, 5000));
    int64_t begun = eb_mono_ns();
    record(6000);
    assert_true(eb_mono_ns() - begun < INT64_C(2000000000));
    assert_int_equal(counted(EB_SPANS_DROPPED), 6000 - 4096);
    begun = eb_mono_ns();
    stop();
    assert_in_range(eb_mono_ns() - begun, 0, INT64_C(2500000000));
    assert_int_equal(counted(EB_SPANS_FAILED), 512 + 4096);
    assert_int_equal(counted_all(), 6512);
}

static bool all_counted(void *ctx) {
    return counted_all() >= *(uint64_t *)ctx;
}

/* Refused for good: given up at once, but the next request waits. */
static void a_collector_that_refuses(void **state) {
    (void)state;
    int requests = atomic_load(&collector.requests);
    uint64_t want = 512;
    atomic_store(&collector.status, 400);
    fx_stderr_begin();
    start(NULL);
    int64_t begun = eb_mono_ns();
    record(512);
    assert_true(fx_wait(all_counted, &want, 5000));
    record(2048);
    assert_true(fx_wait(has_request, &(int){requests + 1}, 5000));
    assert_true(eb_mono_ns() - begun > INT64_C(740000000)); /* 1 s less the jitter */
    stop();
    eb_auto_free char *log = fx_stderr_end();
    assert_int_equal(counted(EB_SPANS_FAILED), 2560);
    const char *first = strstr(log, "traces cannot be exported");
    assert_non_null(first);
    assert_null(strstr(first + 1, "traces cannot be exported"));
    assert_non_null(strstr(log, "the collector answers 400"));
    assert_non_null(strstr(log, "\"spans_lost\":2560"));
}

static void sampling(void **state) {
    (void)state;
    static const struct {
        const char *ratio;
        uint64_t least, most;
    } rows[] = {{"0", 0, 0}, {"1", 3000, 3000}, {"0.000000001", 0, 2}, {"0.5", 1300, 1700}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        char flag[80];
        (void)snprintf(flag, sizeof flag, "--observability.tracing.sample-ratio=%s", rows[i].ratio);
        start(flag);
        record(3000);
        stop();
        if (counted_all() < rows[i].least || counted_all() > rows[i].most)
            fail_msg("%s: %llu", rows[i].ratio, (unsigned long long)counted_all());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_without_an_endpoint), cmocka_unit_test(from_many_threads),
        cmocka_unit_test(a_collector_that_hangs), cmocka_unit_test(a_collector_that_refuses),
        cmocka_unit_test(sampling)};
    return cmocka_run_group_tests(tests, collector_up, collector_down);
}
