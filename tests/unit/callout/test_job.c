/* Requests that are held: bounded in size, in number of bytes together, and whole again when they end. */
#include "fixture.h"
#include "job.h"

enum { FIT = EB_JOBS_BYTES_MAX / EB_REQUEST_MAX };

static char *largest; /* EB_REQUEST_MAX + 1 bytes */

static int set_up(void **state) {
    (void)state;
    largest = malloc(EB_REQUEST_MAX + 1);
    if (!largest || nats_Open(-1) != NATS_OK)
        return -1;
    memset(largest, 'A', EB_REQUEST_MAX + 1);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(largest);
    return nats_CloseAndWait(5000) == NATS_OK ? 0 : -1;
}

static natsMsg *message(const char *reply, size_t n) {
    natsMsg *m = NULL;
    assert_int_equal(natsMsg_Create(&m, "$SYS.REQ.USER.AUTH", reply, largest, (int)n), NATS_OK);
    return m;
}

static void one(void **state) {
    (void)state;
    struct eb_jobs all = {0};
    int64_t requests = fx_metric("auth_requests_total");
    struct eb_job *job = eb_job_take(&all, message("_INBOX.1", 100), 3);
    assert_non_null(job);
    assert_int_equal(job->link, 3);
    assert_true(job->arrived_ns > 0);
    assert_int_equal(atomic_load(&all.bytes), 100);
    eb_job_free(&all, job);
    assert_int_equal(atomic_load(&all.bytes), 0);
    assert_int_equal(fx_metric("auth_requests_total"), requests + 1);
}

static void refused(void **state) {
    (void)state;
    const struct {
        const char *reply;
        size_t n;
        const char *series;
    } rows[] = {
        {NULL, 100, "auth_invalid_requests_total{reason=\"request_malformed\"}"},
        {"_INBOX.1", EB_REQUEST_MAX + 1, "auth_invalid_requests_total{reason=\"too_large\"}"},
    };
    struct eb_jobs all = {0};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        int64_t invalid = fx_metric(rows[i].series), requests = fx_metric("auth_requests_total"),
                errors = fx_metric("auth_errors_total");
        assert_true(invalid >= 0);
        assert_null(eb_job_take(&all, message(rows[i].reply, rows[i].n), 0));
        assert_int_equal(fx_metric(rows[i].series), invalid + 1);
        assert_int_equal(fx_metric("auth_requests_total"), requests + 1);
        assert_int_equal(fx_metric("auth_errors_total"), errors + 1);
        assert_int_equal(atomic_load(&all.bytes), 0);
    }
}

/* Large requests, more than are held: the rest is dropped and counted, and when room is there the next are
 * taken again. */
static void bounded_in_bytes(void **state) {
    (void)state;
    struct eb_jobs all = {0};
    struct eb_job *jobs[FIT];
    int64_t dropped = fx_metric("auth_dropped_queue_full_total"), errors = fx_metric("auth_errors_total"),
            requests = fx_metric("auth_requests_total");
    for (size_t i = 0; i < FIT; i++)
        assert_non_null(jobs[i] = eb_job_take(&all, message("_INBOX.1", EB_REQUEST_MAX), 0));
    assert_int_equal(fx_metric("auth_dropped_queue_full_total"), dropped);
    for (size_t i = 1; i <= 10; i++) {
        assert_null(eb_job_take(&all, message("_INBOX.1", i % 2 ? EB_REQUEST_MAX : 1), 0));
        assert_int_equal(fx_metric("auth_dropped_queue_full_total"), dropped + (int64_t)i);
    }
    assert_int_equal(fx_metric("auth_errors_total"), errors + 10);
    assert_int_equal(fx_metric("auth_requests_total"), requests + FIT + 10);
    assert_int_equal(atomic_load(&all.bytes),
                     EB_JOBS_BYTES_MAX); /* what was refused is not counted as held */
    eb_job_free(&all, jobs[0]);
    assert_non_null(jobs[0] = eb_job_take(&all, message("_INBOX.1", 1000), 0));
    for (size_t i = 0; i < FIT; i++)
        eb_job_free(&all, jobs[i]);
    assert_int_equal(atomic_load(&all.bytes), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one), cmocka_unit_test(refused),
                                       cmocka_unit_test(bounded_in_bytes)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
