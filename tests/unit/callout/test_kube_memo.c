/* What was asked of an API lately: kept for its time, in bounded memory, and what is being asked is never
 * lost. */
#include "fixture.h"
#include "kube/memo.h"

static struct eb_kube_memo *memo;

static int set_up(void **state) {
    (void)state;
    memo = eb_kube_memo_new();
    return memo ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    eb_kube_memo_free(memo);
    return 0;
}

struct key {
    uint8_t v[EB_KUBE_MEMO_KEY];
};
/* Keys of one set: they differ behind what the place is made of. */
static struct key key_of(unsigned n) {
    struct key k = {{7, 3, 0, (uint8_t)n, (uint8_t)(n >> 8)}};
    return k;
}

static int get(unsigned n, int64_t now) {
    enum eb_kube_answer answer;
    struct key k = key_of(n);
    return eb_kube_memo_get(memo, k.v, now, &answer) ? (int)answer : -1;
}

static bool put(unsigned n, enum eb_kube_answer answer, int64_t now, int64_t until) {
    struct key k = key_of(n);
    return eb_kube_memo_put(memo, k.v, answer, now, until);
}

static void answers_end_in_their_time(void **state) {
    (void)state;
    assert_int_equal(get(1, 0), -1);
    assert_true(put(1, EB_KUBE_NO, 10, 20));
    assert_int_equal(get(1, 19), EB_KUBE_NO);
    assert_int_equal(get(1, 20), -1);
    assert_int_equal(get(2, 19), -1);
    assert_true(put(1, EB_KUBE_WAIT, 20, 21));
    assert_int_equal(get(1, 1000), EB_KUBE_WAIT);
    assert_true(put(1, EB_KUBE_YES, 1000, 1010));
    assert_int_equal(get(1, 1001), EB_KUBE_YES);
    struct key k = key_of(1);
    eb_kube_memo_drop(memo, k.v);
    assert_int_equal(get(1, 1001), -1);
}

static void what_is_asked_stays_and_the_soonest_answer_goes(void **state) {
    (void)state;
    for (unsigned n = 0; n < 7; n++)
        assert_true(put(n, EB_KUBE_WAIT, 0, INT64_MAX));
    assert_true(put(100, EB_KUBE_NO, 0, 50));
    assert_true(put(101, EB_KUBE_NO, 0, 60)); /* in the place of 100 */
    assert_int_equal(get(100, 1), -1);
    assert_int_equal(get(101, 1), EB_KUBE_NO);
    assert_true(put(7, EB_KUBE_WAIT, 1, INT64_MAX));
    for (unsigned n = 0; n < 8; n++)
        assert_int_equal(get(n, 2), EB_KUBE_WAIT);
    assert_false(put(8, EB_KUBE_WAIT, 2, INT64_MAX));
    assert_true(put(3, EB_KUBE_UNASKED, 2, 10)); /* one of them is answered: its own place */
    assert_int_equal(get(3, 3), EB_KUBE_UNASKED);
    assert_true(put(8, EB_KUBE_WAIT, 11, INT64_MAX));
    assert_int_equal(get(3, 11), -1);
    assert_int_equal(get(8, 11), EB_KUBE_WAIT);
}

static void many_keys_are_bounded(void **state) {
    (void)state;
    for (unsigned n = 0; n < 20000; n++) {
        struct key k = {{(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16)}};
        assert_true(eb_kube_memo_put(memo, k.v, EB_KUBE_NO, 0, 1000 + n));
    }
    size_t kept = 0;
    for (unsigned n = 0; n < 20000; n++) {
        struct key k = {{(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16)}};
        enum eb_kube_answer answer;
        kept += eb_kube_memo_get(memo, k.v, 1, &answer);
    }
    assert_true(kept >= EB_KUBE_MEMO_PLACES / 2 && kept <= EB_KUBE_MEMO_PLACES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_end_in_their_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_asked_stays_and_the_soonest_answer_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_keys_are_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
