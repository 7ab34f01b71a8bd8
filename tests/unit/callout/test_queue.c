/* The queue between callbacks and workers: bounded, the oldest goes first when it is full, closed once and
 * for all. */
#include <pthread.h>
#include <stdatomic.h>

#include "fixture.h"
#include "queue.h"

static int items[64];

static void drops_the_oldest(void **state) {
    (void)state;
    struct eb_queue *q = eb_queue_new(3);
    for (size_t i = 0; i < 3; i++)
        assert_null(eb_queue_push(q, &items[i]));
    assert_int_equal(eb_queue_depth(q), 3);
    assert_ptr_equal(eb_queue_push(q, &items[3]), &items[0]);
    assert_ptr_equal(eb_queue_push(q, &items[4]), &items[1]);
    assert_int_equal(eb_queue_depth(q), 3);
    for (size_t i = 2; i < 5; i++)
        assert_ptr_equal(eb_queue_pop(q), &items[i]);
    /* Over and over, so that the ring wraps at every place. */
    for (size_t i = 0; i < 60; i++) {
        assert_null(eb_queue_push(q, &items[i]));
        assert_null(eb_queue_push(q, &items[i + 1]));
        assert_ptr_equal(eb_queue_pop(q), &items[i]);
        assert_ptr_equal(eb_queue_pop(q), &items[i + 1]);
    }
    eb_queue_close(q);
    assert_null(eb_queue_pop(q));
    eb_queue_free(q);
    eb_queue_free(NULL);
}

static void room_for_one(void **state) {
    (void)state;
    struct eb_queue *q = eb_queue_new(1);
    assert_null(eb_queue_push(q, &items[0]));
    assert_ptr_equal(eb_queue_push(q, &items[1]), &items[0]);
    assert_ptr_equal(eb_queue_pop(q), &items[1]);
    eb_queue_close(q);
    eb_queue_free(q);
}

static void closed(void **state) {
    (void)state;
    struct eb_queue *q = eb_queue_new(4);
    assert_null(eb_queue_push(q, &items[0]));
    assert_null(eb_queue_push(q, &items[1]));
    eb_queue_close(q);
    assert_ptr_equal(eb_queue_push(q, &items[2]), &items[2]); /* handed back: the caller drops it */
    assert_ptr_equal(eb_queue_pop(q), &items[0]);             /* what was inside is finished */
    assert_ptr_equal(eb_queue_pop(q), &items[1]);
    assert_null(eb_queue_pop(q));
    assert_null(eb_queue_pop(q));
    eb_queue_free(q);
}

enum { PRODUCERS = 3, CONSUMERS = 3, EACH = 20000 };
static struct eb_queue *shared;
static _Atomic size_t taken, dropped;

static void *producer(void *arg) {
    (void)arg;
    for (size_t i = 0; i < EACH; i++)
        if (eb_queue_push(shared, &items[i % 64]))
            atomic_fetch_add(&dropped, 1);
    return NULL;
}

static void *consumer(void *arg) {
    (void)arg;
    while (eb_queue_pop(shared))
        atomic_fetch_add(&taken, 1);
    return NULL;
}

static void many_threads_lose_nothing(void **state) {
    (void)state;
    shared = eb_queue_new(128);
    pthread_t p[PRODUCERS], c[CONSUMERS];
    for (size_t i = 0; i < CONSUMERS; i++)
        assert_int_equal(pthread_create(&c[i], NULL, consumer, NULL), 0);
    for (size_t i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&p[i], NULL, producer, NULL), 0);
    for (size_t i = 0; i < PRODUCERS; i++)
        (void)pthread_join(p[i], NULL);
    eb_queue_close(shared);
    for (size_t i = 0; i < CONSUMERS; i++)
        (void)pthread_join(c[i], NULL);
    assert_int_equal(taken + dropped, PRODUCERS * EACH);
    assert_int_equal(eb_queue_depth(shared), 0);
    eb_queue_free(shared);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drops_the_oldest),
        cmocka_unit_test(room_for_one),
        cmocka_unit_test(closed),
        cmocka_unit_test(many_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
