#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"

static void grows(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0};
    assert_true(eb_str_eqz(eb_buf_get(&b), ""));
    for (int i = 0; i < 10000; i++)
        eb_buf_printf(&b, "%d,", i % 10);
    assert_int_equal(b.n, 20000);
    assert_int_equal(b.p[b.n], '\0');
    assert_true(eb_buf_ok(&b));
    eb_buf_reset(&b);
    assert_int_equal(b.n, 0);
    assert_string_equal(b.p, "");
    eb_buf_add(&b, "a\0b", 3);
    assert_int_equal(b.n, 3);
    assert_memory_equal(b.p, "a\0b", 4);
    eb_buf_add(&b, NULL, 0);
    eb_buf_str(&b, EB_STR_NONE);
    assert_int_equal(b.n, 3);
}

static void numbers(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0};
    const int64_t values[] = {0, 1, -1, 10, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < EB_COUNT_OF(values); i++) {
        eb_buf_i64(&b, values[i]);
        eb_buf_ch(&b, ' ');
    }
    eb_buf_u64(&b, UINT64_MAX);
    assert_string_equal(b.p, "0 1 -1 10 9223372036854775807 -9223372036854775808 18446744073709551615");
}

static void failure_latches(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_z(&b, "kept");
    assert_null(eb_buf_reserve(&b, EB_BUF_MAX + 1));
    assert_false(eb_buf_ok(&b));
    eb_buf_z(&b, "more");
    assert_int_equal(b.n, 4);
    assert_null(eb_buf_reserve(&b, SIZE_MAX)); /* no overflow of the sum */
    assert_null(eb_buf_take(&b));
    assert_int_equal(b.n, 0);
    eb_buf_z(&b, "again");
    assert_true(eb_buf_ok(&b));
    assert_null(eb_buf_reserve(&b, SIZE_MAX - 3));
    eb_buf_reset(&b);
    assert_true(eb_buf_ok(&b));
}

static void take(void **state) {
    (void)state;
    struct eb_buf b = {0};
    char *none = eb_buf_take(&b);
    assert_string_equal(none, "");
    free(none);
    eb_buf_z(&b, "text");
    char *p = eb_buf_take(&b);
    assert_string_equal(p, "text");
    assert_null(b.p);
    free(p);
}

static void secrets_are_wiped_in_place(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {.secret = true};
    eb_buf_z(&b, "the secret words");
    eb_buf_reset(&b);
    for (size_t i = 0; i < b.cap; i++)
        assert_int_equal(b.p[i], 0);
    for (int i = 0; i < 1000; i++)
        eb_buf_z(&b, "more and more ");
    assert_int_equal(b.n, 14000);
}

static void json_strings(void **state) {
    (void)state;
    static const struct {
        const char *in;
        size_t n, max;
        const char *out;
    } rows[] = {
        {"", 0, 0, "\"\""},
        {"plain", 5, 0, "\"plain\""},
        {"\"\\/\b\f\n\r\t\x01\x1f\x7f", 11, 0, "\"\\\"\\\\/\\u0008\\u000c\\n\\r\\t\\u0001\\u001f\\u007f\""},
        {"a\0b", 3, 0, "\"a\\u0000b\""},
        {"\xc3\xa4\xe2\x82\xac", 5, 0, "\"\xc3\xa4\xe2\x82\xac\""},
        {"\xff", 1, 0, "\"\xef\xbf\xbd\""},
        {"\xc3", 1, 0, "\"\xef\xbf\xbd\""},
        {"\xed\xa0\x80", 3, 0, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xc0\x80", 2, 0, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"abcdef", 6, 3, "\"abc\xe2\x80\xa6\""},
        {"abc", 3, 3, "\"abc\""},
        {"ab\xc3\xa4", 4, 3, "\"ab\xef\xbf\xbd\xe2\x80\xa6\""},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf b = {0};
        eb_buf_json_str(&b, eb_str_n(rows[i].in, rows[i].n), rows[i].max);
        assert_string_equal(b.p, rows[i].out);
    }
    /* Any two bytes give valid JSON. */
    for (int a = 0; a < 256; a++)
        for (int c = 0; c < 256; c += 3) {
            char two[2] = {(char)a, (char)c};
            eb_auto_buf struct eb_buf b = {0};
            eb_buf_json_str(&b, eb_str_n(two, 2), 0);
            json_t *v = json_loadb(b.p, b.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
            if (!v)
                fail_msg("bytes %d %d give %s", a, c, b.p);
            json_decref(v);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows),
        cmocka_unit_test(numbers),
        cmocka_unit_test(failure_latches),
        cmocka_unit_test(take),
        cmocka_unit_test(secrets_are_wiped_in_place),
        cmocka_unit_test(json_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
