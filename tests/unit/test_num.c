#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/num.h"

#define S INT64_C(1000000000)

static void integers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t min, max, want;
        bool ok;
    } rows[] = {
        {"0", 0, 10, 0, true},
        {"10", 0, 10, 10, true},
        {"11", 0, 10, 0, false},
        {"-1", 0, 10, 0, false},
        {"-5", -5, 5, -5, true},
        {"007", 0, 10, 7, true},
        {"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX, true},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN, true},
        {"9223372036854775808", INT64_MIN, INT64_MAX, 0, false},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, 0, false},
        {"99999999999999999999999", INT64_MIN, INT64_MAX, 0, false},
        {"", 0, 10, 0, false},
        {"-", -10, 10, 0, false},
        {"+1", 0, 10, 0, false},
        {" 1", 0, 10, 0, false},
        {"1 ", 0, 10, 0, false},
        {"0x1", 0, 10, 0, false},
        {"1e1", 0, 10, 0, false},
        {"1.0", 0, 10, 0, false},
        {"--1", -10, 10, 0, false},
        {"\xd9\xa1", 0, 10, 0, false},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        int64_t v = 77;
        enum eb_rc rc = eb_num_i64(eb_str(rows[i].text), rows[i].min, rows[i].max, &v);
        if ((rc == EB_OK) != rows[i].ok || v != (rows[i].ok ? rows[i].want : 77))
            fail_msg("%s: %lld", rows[i].text, (long long)v);
    }
    int64_t v = 77;
    assert_int_equal(eb_num_i64(EB_STR_NONE, 0, 10, &v), EB_E_INVALID);
    assert_int_equal(eb_num_i64(eb_str_n("1\0", 2), 0, 10, &v), EB_E_INVALID);
}

static void ratios(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t want; /* -1 = refused */
    } rows[] = {
        {"0", 0},
        {"1", EB_RATIO_ONE},
        {"0.0", 0},
        {"1.0", EB_RATIO_ONE},
        {"0.5", EB_RATIO_ONE / 2},
        {"0.25", EB_RATIO_ONE / 4},
        {"0.000000001", 1},
        {"0.999999999", EB_RATIO_ONE - 1},
        {"1.000000000", EB_RATIO_ONE},
        {"0.0000000001", -1},
        {"1.000000001", -1},
        {"1.1", -1},
        {"2", -1},
        {"", -1},
        {".5", -1},
        {"0.", -1},
        {"00.5", -1},
        {"-0.5", -1},
        {"0,5", -1},
        {"5e-1", -1},
        {"0.5 ", -1},
        {"25%", -1},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        int64_t v = -1;
        enum eb_rc rc = eb_num_ratio(eb_str(rows[i].text), &v);
        if ((rc == EB_OK) != (rows[i].want >= 0) || v != rows[i].want)
            fail_msg("%s: %lld", rows[i].text, (long long)v);
    }
}

static void durations(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns; /* -1 = refused */
    } rows[] = {
        {"0", 0},
        {"30", 30 * S},
        {"1.5", 1500000000},
        {"1s", S},
        {"1.5s", 1500000000},
        {".5s", 500000000},
        {"1.s", S},
        {"250ms", 250000000},
        {"10us", 10000},
        {"10\xc2\xb5s", 10000},
        {"7ns", 7},
        {"0.1ns", 0},
        {"5m", 300 * S},
        {"1h30m", 5400 * S},
        {"1h1m1s1ms1us1ns", 3661 * S + 1001001},
        {"24h", 86400 * S},
        {"0.000000001s", 1},
        {"2562047h47m16.854775807s", INT64_MAX},
        {"2562047h47m16.854775808s", -1},
        {"9223372036854775807ns", INT64_MAX},
        {"9223372036854775808ns", -1},
        {"9999999999999", -1},
        {"", -1},
        {"s", -1},
        {".", -1},
        {".s", -1},
        {"-1s", -1},
        {"+1s", -1},
        {"1 s", -1},
        {" 1s", -1},
        {"1s ", -1},
        {"1d", -1},
        {"1S", -1},
        {"1h30", -1},
        {"1..5s", -1},
        {"1.5.5s", -1},
        {"1e3s", -1},
        {"5ss", -1},
        {"1hm", -1},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        int64_t ns = -1;
        enum eb_rc rc = eb_num_duration(eb_str(rows[i].text), &ns);
        if ((rc == EB_OK) != (rows[i].ns >= 0) || ns != rows[i].ns)
            fail_msg("%s: %s, %lld", rows[i].text, eb_rc_name(rc), (long long)ns);
    }
}

static void epochs(void **state) {
    (void)state;
    int64_t s = 77;
    const double bad[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, -0.1, -1, 9007199254740994.0,
                          1e300};
    for (size_t i = 0; i < EB_COUNT_OF(bad); i++)
        assert_int_equal(eb_num_epoch(bad[i], &s), EB_E_INVALID);
    assert_int_equal(s, 77);
    assert_int_equal(eb_num_epoch(1.999, &s), EB_OK);
    assert_int_equal(s, 1);
    assert_int_equal(eb_num_epoch(9007199254740992.0, &s), EB_OK);
    assert_true(s == INT64_C(9007199254740992));
    assert_int_equal(eb_num_epoch(0, &s), EB_OK);
    assert_int_equal(s, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(integers), cmocka_unit_test(durations),
                                       cmocka_unit_test(ratios), cmocka_unit_test(epochs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
