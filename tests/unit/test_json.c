#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"

static void objects_only_and_within_limits(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t max;
        enum eb_rc rc;
        const char *says;
    } rows[] = {
        {"{}", 2, EB_OK, ""},
        {"{}", 1, EB_E_TOO_LARGE, "limit of 1"},
        {" {\"a\":1} ", 100, EB_OK, ""},
        {"", 100, EB_E_MALFORMED, "empty"},
        {"[]", 100, EB_E_MALFORMED, "no object"},
        {"1", 100, EB_E_MALFORMED, ""},
        {"{\"a\":1,\"a\":2}", 100, EB_E_MALFORMED, "line 1"},
        {"{\n\"a\":\n tru}", 100, EB_E_MALFORMED, "line 3, column 2"},
        {"{}{}", 100, EB_E_MALFORMED, "column 3"},
        {"{\"secret-text\": oops}", 100, EB_E_MALFORMED, "column 17"},
        {"{\"a\":\"\\u0000\"}", 100, EB_E_MALFORMED, ""},
        {"{\"a\":\"\xff\"}", 100, EB_E_MALFORMED, ""},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        json_t *o = NULL;
        struct eb_err err = {0};
        enum eb_rc rc = eb_json_object(eb_str(rows[i].text), rows[i].max, &o, &err);
        if (rc != rows[i].rc || !strstr(err.text, rows[i].says) || strstr(err.text, "oops") ||
            (rc != EB_OK) != !o)
            fail_msg("%s: %s, %s", rows[i].text, eb_rc_name(rc), err.text);
        json_decref(o);
    }
}

static void getters_tell_missing_from_mistyped(void **state) {
    (void)state;
    eb_auto_json json_t *o = NULL;
    assert_int_equal(
        eb_json_object(EB_STR("{\"s\":\"t\",\"e\":\"\",\"n\":null,\"i\":7,\"l\":[\"t\"]}"), 100, &o, NULL),
        EB_OK);
    struct eb_str s = EB_STR("kept");
    assert_int_equal(eb_json_get_str(o, "s", &s), EB_JSON_OK);
    assert_true(eb_str_eqz(s, "t"));
    assert_int_equal(eb_json_get_str(o, "e", &s), EB_JSON_OK);
    assert_true(s.p && s.n == 0);
    assert_int_equal(eb_json_get_str(o, "x", &s), EB_JSON_MISSING);
    static const char *const wrong[] = {"n", "i", "l"};
    for (size_t i = 0; i < EB_COUNT_OF(wrong); i++) {
        assert_int_equal(eb_json_get_str(o, wrong[i], &s), EB_JSON_WRONG_TYPE);
        assert_null(eb_json_str(o, wrong[i]).p);
    }
    assert_true(eb_str_eqz(eb_json_str(o, "s"), "t"));
    assert_null(eb_json_str(o, "x").p);
    assert_null(eb_json_str(NULL, "x").p);
}

static void epochs(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum eb_json_have have;
        int64_t s;
    } rows[] = {
        {"0", EB_JSON_OK, 0},
        {"1700000000", EB_JSON_OK, 1700000000},
        {"1700000000.999", EB_JSON_OK, 1700000000},
        {"1.7e9", EB_JSON_OK, 1700000000},
        {"9223372036854775807", EB_JSON_OK, INT64_MAX},
        {"-1", EB_JSON_WRONG_TYPE, 0},
        {"-0.5", EB_JSON_WRONG_TYPE, 0},
        {"1e300", EB_JSON_WRONG_TYPE, 0},
        {"\"1700000000\"", EB_JSON_WRONG_TYPE, 0},
        {"null", EB_JSON_WRONG_TYPE, 0},
        {"true", EB_JSON_WRONG_TYPE, 0},
        {"[]", EB_JSON_WRONG_TYPE, 0},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "{\"exp\":%s}", rows[i].text);
        eb_auto_json json_t *o = NULL;
        assert_int_equal(eb_json_object(eb_str(text), 100, &o, NULL), EB_OK);
        int64_t s = 0;
        if (eb_json_get_epoch(o, "exp", &s) != rows[i].have || s != rows[i].s)
            fail_msg("%s: %lld", text, (long long)s);
        assert_int_equal(eb_json_get_epoch(o, "nbf", &s), EB_JSON_MISSING);
    }
}

/* The block that jansson's next caller gets holds nothing of what was in it. */
static void what_is_freed_is_wiped(void **state) {
    (void)state;
    enum { N = 200, LIST = 16 }; /* the allocator keeps its own list in the first bytes */
    json_malloc_t take;
    json_free_t give;
    eb_json_wipe_freed();
    json_get_alloc_funcs(&take, &give);
    char *p = take(N);
    assert_non_null(p);
    memset(p, 's', N);
    uintptr_t was = (uintptr_t)p;
    give(p);
    give(NULL);
    volatile char *q = take(N);
    if ((uintptr_t)q == was) /* else an allocator that holds freed memory back: a sanitizer's */
        for (size_t i = LIST; i < N; i++)
            assert_int_not_equal(q[i], 's');
    give((void *)(uintptr_t)q);
    eb_auto_json json_t *o = NULL;
    assert_int_equal(eb_json_object(EB_STR("{\"pass\":\"secret\",\"pass\":1}"), 100, &o, NULL),
                     EB_E_MALFORMED);
    assert_int_equal(eb_json_object(EB_STR("{\"pass\":\"secret\"}"), 100, &o, NULL), EB_OK);
    assert_true(eb_str_eqz(eb_json_str(o, "pass"), "secret"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_only_and_within_limits),
        cmocka_unit_test(getters_tell_missing_from_mistyped),
        cmocka_unit_test(epochs),
        cmocka_unit_test(what_is_freed_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
