/* Callouts that wait for a key: each is handed back exactly once, at its date, when the keys came, or at the
 * stop. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "clock.h"
#include "fixture.h"
#include "park.h"

#define MS INT64_C(1000000)
enum { JOBS = 64 };
static struct {
    _Atomic int times;
    _Atomic int64_t at;
} jobs[JOBS];
static _Atomic size_t resumed;

static void on_resume(void *ctx, void *job) {
    assert_ptr_equal(ctx, jobs);
    size_t i = (size_t)((char *)job - (char *)jobs) / sizeof jobs[0];
    atomic_fetch_add(&jobs[i].times, 1);
    atomic_store(&jobs[i].at, eb_mono_ns());
    atomic_fetch_add(&resumed, 1);
}

static int reset(void **state) {
    (void)state;
    for (size_t i = 0; i < JOBS; i++) {
        atomic_store(&jobs[i].times, 0);
        atomic_store(&jobs[i].at, 0);
    }
    atomic_store(&resumed, 0);
    return 0;
}

static struct eb_park *start(size_t room) {
    struct eb_park *p = NULL;
    assert_int_equal(eb_park_start(room, on_resume, jobs, &p), EB_OK);
    return p;
}

static void end(struct eb_park *p) {
    eb_park_stop(p);
    eb_park_free(p);
}

static bool all_back(void *ctx) {
    return atomic_load(&resumed) == *(size_t *)ctx;
}

static void dates(void **state) {
    (void)state;
    struct eb_park *p = start(JOBS);
    int64_t now = eb_mono_ns();
    /* Added in another order than they are due, one of them in the past. */
    static const int64_t after[] = {120, 40, 200, 80, -10};
    for (size_t i = 0; i < EB_COUNT_OF(after); i++)
        assert_true(eb_park_add(p, &jobs[i], NULL, now + after[i] * MS));
    size_t want = EB_COUNT_OF(after);
    assert_true(fx_wait(all_back, &want, 5000));
    for (size_t i = 0; i < want; i++) {
        int64_t early = now + after[i] * MS - atomic_load(&jobs[i].at);
        assert_true(early <= 0);
        if (early < -1000 * MS)
            fail_msg("job %zu came %lld ms late", i, (long long)(-early / MS));
        assert_int_equal(atomic_load(&jobs[i].times), 1);
    }
    end(p);
    assert_int_equal(atomic_load(&resumed), want);
}

static void release(void **state) {
    (void)state;
    struct eb_park *p = start(JOBS);
    for (size_t i = 0; i < 10; i++)
        assert_true(eb_park_add(p, &jobs[i], NULL, eb_mono_ns() + 60000 * MS));
    assert_int_equal(atomic_load(&resumed), 0);
    eb_park_release(p, NULL);
    assert_int_equal(atomic_load(&resumed), 10); /* on the releaser's thread, before it returns */
    eb_park_release(p, NULL);
    assert_int_equal(atomic_load(&resumed), 10);
    assert_true(eb_park_add(p, &jobs[10], NULL, eb_mono_ns() + 60000 * MS)); /* and goes on */
    end(p);
    for (size_t i = 0; i <= 10; i++)
        assert_int_equal(atomic_load(&jobs[i].times), 1);
}

/* Each key's jobs alone, many of them, and none that was added while a release ran. */
static void released_by_key(void **state) {
    (void)state;
    static const int whose;
    static const struct eb_park_key keys[] = {{&whose, 0}, {&whose, 7}};
    struct eb_park *p = start(JOBS);
    size_t of_one = JOBS / 2;
    for (size_t i = 0; i < JOBS; i++)
        assert_true(eb_park_add(p, &jobs[i], &keys[i % 2], eb_mono_ns() + 60000 * MS));
    eb_park_release(p, &(struct eb_park_key){NULL, 7});
    eb_park_release(p, &(struct eb_park_key){&whose, 8});
    assert_int_equal(atomic_load(&resumed), 0);
    eb_park_release(p, &keys[1]);
    assert_int_equal(atomic_load(&resumed), of_one);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(atomic_load(&jobs[i].times), i % 2);
    eb_park_release(p, &keys[1]);
    assert_int_equal(atomic_load(&resumed), of_one);
    eb_park_release(p, NULL);
    assert_int_equal(atomic_load(&resumed), JOBS);
    end(p);
}

static struct eb_park *again;

static void comes_again(void *ctx, void *job) {
    on_resume(ctx, job);
    if (atomic_load(&resumed) < 1000)
        assert_true(eb_park_add(again, job, NULL, eb_mono_ns() + 60000 * MS));
}

static void a_release_ends(void **state) {
    (void)state;
    assert_int_equal(eb_park_start(JOBS, comes_again, jobs, &again), EB_OK);
    for (size_t i = 0; i < JOBS; i++)
        assert_true(eb_park_add(again, &jobs[i], NULL, eb_mono_ns() + 60000 * MS));
    eb_park_release(again, NULL);
    assert_int_equal(atomic_load(&resumed), JOBS);
    eb_park_release(again, NULL);
    assert_int_equal(atomic_load(&resumed), 2 * JOBS);
    atomic_store(&resumed, 1000);
    end(again);
}

static void bounded(void **state) {
    (void)state;
    struct eb_park *p = start(2);
    assert_true(eb_park_add(p, &jobs[0], NULL, eb_mono_ns() + 60000 * MS));
    assert_true(eb_park_add(p, &jobs[1], NULL, eb_mono_ns() + 60000 * MS));
    assert_false(eb_park_add(p, &jobs[2], NULL, eb_mono_ns() + 60000 * MS));
    eb_park_release(p, NULL);
    assert_true(eb_park_add(p, &jobs[2], NULL, eb_mono_ns() + 60000 * MS));
    end(p);
    struct eb_park *none = start(0);
    assert_false(eb_park_add(none, &jobs[3], NULL, eb_mono_ns()));
    end(none);
    eb_park_free(NULL);
    assert_int_equal(atomic_load(&jobs[3].times), 0);
}

static void stopped(void **state) {
    (void)state;
    struct eb_park *p = start(JOBS);
    for (size_t i = 0; i < 5; i++)
        assert_true(eb_park_add(p, &jobs[i], NULL, eb_mono_ns() + 60000 * MS));
    int64_t before = eb_mono_ns();
    eb_park_stop(p);
    assert_true(eb_mono_ns() - before < 2000 * MS);
    assert_int_equal(atomic_load(&resumed), 5);
    assert_false(eb_park_add(p, &jobs[6], NULL, eb_mono_ns()));
    eb_park_stop(p); /* twice does no harm */
    eb_park_free(p);
}

static bool says(void *ctx) {
    return *(bool *)ctx;
}

/* What a job waits for came after the caller's look and before the add: nobody will call for it any more. */
static void what_it_waits_for_is_there(void **state) {
    (void)state;
    bool coming = true;
    struct eb_park *p = start(2);
    assert_true(eb_park_add_for(p, &jobs[0], NULL, eb_mono_ns() + 60000 * MS, says, &coming));
    (void)poll(NULL, 0, 20);
    assert_int_equal(atomic_load(&resumed), 0);
    coming = false;
    assert_true(eb_park_add_for(p, &jobs[1], NULL, eb_mono_ns() + 60000 * MS, says, &coming));
    assert_int_equal(atomic_load(&resumed), 2);
    coming = true;
    assert_true(eb_park_add_for(p, &jobs[0], NULL, eb_mono_ns() + 60000 * MS, says, &coming));
    assert_true(eb_park_add_for(p, &jobs[1], NULL, eb_mono_ns() + 60000 * MS, says, &coming));
    assert_false(eb_park_add_for(p, &jobs[2], NULL, eb_mono_ns() + 60000 * MS, says, &coming)); /* full */
    end(p);
    assert_int_equal(atomic_load(&jobs[2].times), 0);
}

static _Atomic bool stop;

static void *releaser(void *arg) {
    while (!atomic_load(&stop))
        eb_park_release(arg, NULL);
    return NULL;
}

static void races_hand_back_once(void **state) {
    (void)state;
    struct eb_park *p = start(JOBS);
    pthread_t t;
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&t, NULL, releaser, p), 0);
    size_t added = 0;
    for (size_t i = 0; i < 20000; i++)
        added += eb_park_add(p, &jobs[i % JOBS], NULL, eb_mono_ns() + (int64_t)(i % 3) * MS);
    atomic_store(&stop, true);
    (void)pthread_join(t, NULL);
    end(p);
    assert_int_equal(atomic_load(&resumed), added);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(dates, reset),
        cmocka_unit_test_setup(release, reset),
        cmocka_unit_test_setup(released_by_key, reset),
        cmocka_unit_test_setup(a_release_ends, reset),
        cmocka_unit_test_setup(bounded, reset),
        cmocka_unit_test_setup(stopped, reset),
        cmocka_unit_test_setup(what_it_waits_for_is_there, reset),
        cmocka_unit_test_setup(races_hand_back_once, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
