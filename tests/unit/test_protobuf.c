#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/protobuf.h"

/* The bytes that the specification of the encoding shows, and edges of it. */
static void numbers(void **state) {
    (void)state;
    static const struct {
        unsigned field;
        uint64_t value;
        struct eb_str want;
    } rows[] = {
        {1, 150, EB_STR("\x08\x96\x01")},
        {1, 0, {"\x08\x00", 2}},
        {1, 127, EB_STR("\x08\x7f")},
        {1, 128, EB_STR("\x08\x80\x01")},
        {15, 1, EB_STR("\x78\x01")},
        {16, 1, EB_STR("\x80\x01\x01")},
        {536870911, 1, EB_STR("\xf8\xff\xff\xff\x0f\x01")},
        {1, UINT64_MAX, EB_STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf b = {0};
        eb_pb_varint(&b, rows[i].field, rows[i].value);
        if (!eb_str_eq(eb_buf_get(&b), rows[i].want))
            fail_msg("row %zu", i);
        struct eb_str rest = eb_buf_get(&b);
        struct eb_pb_field f;
        assert_true(eb_pb_next(&rest, &f));
        assert_true(f.number == rows[i].field && !f.is_bytes && f.value == rows[i].value);
        assert_false(eb_pb_next(&rest, &f));
        assert_null(rest.p);
    }
}

static void fixed_and_bytes(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0};
    eb_pb_fixed64(&b, 7, UINT64_C(0x0102030405060708));
    eb_pb_fixed32(&b, 16, 0x01020304);
    eb_pb_bytes(&b, 2, EB_STR("testing"));
    eb_pb_bytes(&b, 3, EB_STR_NONE);
    assert_true(eb_str_eq(eb_buf_get(&b), EB_STR("\x39\x08\x07\x06\x05\x04\x03\x02\x01"
                                                 "\x85\x01\x04\x03\x02\x01"
                                                 "\x12\x07testing"
                                                 "\x1a\x00")));
    struct eb_str rest = eb_buf_get(&b);
    struct eb_pb_field f;
    assert_true(eb_pb_next(&rest, &f) && f.number == 7 && f.value == UINT64_C(0x0102030405060708));
    assert_true(eb_pb_next(&rest, &f) && f.number == 16 && f.value == 0x01020304 && !f.is_bytes);
    assert_true(eb_pb_next(&rest, &f) && f.number == 2 && f.is_bytes && eb_str_eqz(f.bytes, "testing"));
    assert_true(eb_pb_next(&rest, &f) && f.number == 3 && f.is_bytes && f.bytes.n == 0);
    assert_false(eb_pb_next(&rest, &f));
    assert_null(rest.p);
}

/* A collector refuses a whole request for one string that is no UTF-8. */
static void texts(void **state) {
    (void)state;
    static const struct {
        struct eb_str text, want;
    } rows[] = {
        {EB_STR("plain"), EB_STR("\x0a\x05plain")},
        {EB_STR("gr\xc3\xbc\xc3\x9f"), EB_STR("\x0a\x06gr\xc3\xbc\xc3\x9f")},
        {EB_STR("cut \xe2\x82"), EB_STR("\x0a\x0a"
                                        "cut \xef\xbf\xbd\xef\xbf\xbd")},
        {EB_STR("\xff"), EB_STR("\x0a\x03\xef\xbf\xbd")},
        {EB_STR_NONE, EB_STR("\x0a\x00")},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf b = {0};
        eb_pb_text(&b, 1, rows[i].text);
        if (!eb_str_eq(eb_buf_get(&b), rows[i].want))
            fail_msg("row %zu", i);
    }
}

/* Lengths of one, two and three bytes, each at every depth. */
static void messages_nest(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 118, 119, 120, 127, 128, 16370, 16383, 16384, 100000};
    for (size_t i = 0; i < EB_COUNT_OF(sizes); i++) {
        eb_auto_buf struct eb_buf content = {0}, b = {0};
        for (size_t n = 0; n < sizes[i]; n++)
            eb_buf_ch(&content, (char)('a' + n % 26));
        size_t begun[5];
        for (size_t d = 0; d < EB_COUNT_OF(begun); d++) {
            begun[d] = eb_pb_begin(&b, (unsigned)(20 * d + 1));
            eb_pb_varint(&b, 1, d);
        }
        eb_pb_bytes(&b, 2, eb_buf_get(&content));
        for (size_t d = EB_COUNT_OF(begun); d-- > 0;)
            eb_pb_end(&b, begun[d]);
        assert_true(eb_buf_ok(&b));
        struct eb_str rest = eb_buf_get(&b);
        struct eb_pb_field f;
        for (size_t d = 0; d < EB_COUNT_OF(begun); d++) {
            struct eb_str outer = rest;
            assert_true(eb_pb_next(&outer, &f) && f.number == 20 * d + 1 && f.is_bytes && outer.n == 0);
            rest = f.bytes;
            assert_true(eb_pb_next(&rest, &f) && f.number == 1 && f.value == d);
        }
        assert_true(eb_pb_next(&rest, &f) && f.number == 2 && eb_str_eq(f.bytes, eb_buf_get(&content)));
        assert_int_equal(rest.n, 0);
    }
}

static void what_is_no_field(void **state) {
    (void)state;
    static const struct {
        const char *what;
        struct eb_str text;
    } rows[] = {
        {"a tag that goes on", EB_STR("\x80")},
        {"field 0", {"\x00\x01", 2}},
        {"a field number over 29 bits", EB_STR("\x80\x80\x80\x80\x10\x01")},
        {"no value", EB_STR("\x08")},
        {"a value that goes on", EB_STR("\x08\x80")},
        {"eleven bytes", EB_STR("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")},
        {"65 bits", EB_STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")},
        {"seven of eight bytes", EB_STR("\x09\x01\x02\x03\x04\x05\x06\x07")},
        {"three of four bytes", EB_STR("\x0d\x01\x02\x03")},
        {"longer than there is", EB_STR("\x0a\x05test")},
        {"longer than anything", EB_STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x")},
        {"a group begins", EB_STR("\x0b")},
        {"a group ends", EB_STR("\x0c")},
        {"wire type 6", EB_STR("\x0e\x01")},
        {"wire type 7", EB_STR("\x0f\x01")},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        struct eb_str rest = rows[i].text;
        struct eb_pb_field f;
        if (eb_pb_next(&rest, &f) || rest.p != rows[i].text.p)
            fail_msg("%s", rows[i].what);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(fixed_and_bytes),
                                       cmocka_unit_test(texts), cmocka_unit_test(messages_nest),
                                       cmocka_unit_test(what_is_no_field)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
