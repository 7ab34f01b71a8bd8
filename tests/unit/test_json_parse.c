#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/json_parse.h"
#include "base/json_text.h"

enum { DEPTH = 8 };

static void takes(void **state) {
    (void)state;
    static const struct {
        const char *text, *same; /* what jansson writes of it, NULL = the text itself */
    } cases[] = {
        {"{}", NULL},
        {"[]", NULL},
        {" \t\r\n[ ] \n", "[]"},
        {"{\"a\":[1,-2,{\"b\":null}],\"c\":true,\"d\":false}", NULL},
        {"[0,-0,9223372036854775807,-9223372036854775808]", "[0,0,9223372036854775807,-9223372036854775808]"},
        {"[1.5,-1.25e2,1E2,5e-324,1e-400]", "[1.5,-125.0,100.0,4.9406564584124654e-324,0.0]"},
        {"[\"\",\"plain text longer than eight bytes\",\"\xc3\xa4\xf0\x9f\x98\x80\x7f\"]", NULL},
        {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"\\\"\\\\/\\b\\f\\n\\r\\t\"]"},
        {"[\"\\u0001\\u00e4\\u20AC\\ud83d\\uDE00 tail\"]",
         "[\"\\u0001\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 tail\"]"},
        {"{\"\\u0061b\":{\"\\n\":\"\\t\"},\"\":1}", "{\"ab\":{\"\\n\":\"\\t\"},\"\":1}"},
        {"[[[[[[[[]]]]]]]]", NULL},
        {"[[],[[[[[[[]]]]]]],{}]", NULL},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        json_t *root = NULL;
        size_t at = 0;
        if (eb_json_parse(eb_str(cases[i].text), DEPTH, &root, &at) != EB_OK)
            fail_msg("%s refused at %zu", cases[i].text, at);
        char *got = json_dumps(root, JSON_COMPACT);
        assert_string_equal(got, cases[i].same ? cases[i].same : cases[i].text);
        free(got);
        json_decref(root);
    }
}

static void refuses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t at; /* of the fault, SIZE_MAX = not compared */
    } cases[] = {
        {"", 0},
        {" ", 1},
        {"1", 0},
        {"\"a\"", 0},
        {"null", 0},
        {"{", 1},
        {"[", 1},
        {"[1", 2},
        {"[1,", 3},
        {"[1,]", 3},
        {"[,]", 1},
        {"[1 2]", 3},
        {"[]]", 2},
        {"{} x", 3},
        {"{}{}", 2},
        {"{a:1}", 1},
        {"{\"a\"}", 4},
        {"{\"a\":}", 5},
        {"{\"a\":1,}", 7},
        {"{\"a\" 1}", 5},
        {"{1:1}", 1},
        {"{\"a\":1,\"a\":2}", SIZE_MAX},
        {"{\"a\":1,\"\\u0061\":2}", SIZE_MAX},
        {"[01]", 2},
        {"[-]", 2},
        {"[+1]", 1},
        {"[.5]", 1},
        {"[1.]", 3},
        {"[1e]", 3},
        {"[1e+]", 4},
        {"[0x1]", 2},
        {"[1_0]", 2},
        {"[NaN]", 1},
        {"[Infinity]", 1},
        {"[-Infinity]", 2},
        {"[1e400]", SIZE_MAX},
        {"[9223372036854775808]", SIZE_MAX},
        {"[-9223372036854775809]", SIZE_MAX},
        {"[True]", 1},
        {"[nul]", 1},
        {"[truee]", 5},
        {"['a']", 1},
        {"[\"a]", 4},
        {"[\"\\\"]", 5},
        {"[\"\\x\"]", SIZE_MAX},
        {"[\"\\", 3},
        {"[\"\n\"]", 2},
        {"[\"\x01\"]", 2},
        {"[\"\t\"]", 2},
        {"[\"\\u0000\"]", SIZE_MAX},
        {"[\"\\u12\"]", SIZE_MAX},
        {"[\"\\u12g4\"]", SIZE_MAX},
        {"[\"\\ud800\"]", SIZE_MAX},
        {"[\"\\udc00\"]", SIZE_MAX},
        {"[\"\\ud800\\u0041\"]", SIZE_MAX},
        {"[\"\\ud800x\"]", SIZE_MAX},
        {"[\"\xff\"]", SIZE_MAX},
        {"[\"\xc3\"]", SIZE_MAX},
        {"[\"\xc0\xaf\"]", SIZE_MAX},
        {"[\"\xed\xa0\x80\"]", SIZE_MAX},
        {"[\"12345678\x80\"]", SIZE_MAX},
        {"\xef\xbb\xbf[]", 0},
        {"[1]//", 3},
        {"[1]\v", 3},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        /* A copy of the exact size, so that a sanitizer sees a read behind its end. */
        size_t n = strlen(cases[i].text);
        eb_auto_free char *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, cases[i].text, n);
        json_t *root = NULL;
        size_t at = 0;
        enum eb_rc rc = eb_json_parse(eb_str_n(copy, n), DEPTH, &root, &at);
        if (rc != EB_E_MALFORMED || root || at > n || (cases[i].at != SIZE_MAX && at != cases[i].at))
            fail_msg("case %zu, %s: %s at %zu", i, cases[i].text, eb_rc_name(rc), at);
    }
    json_t *root = NULL;
    size_t at = 0;
    assert_int_equal(eb_json_parse(eb_str_n("[1\0]", 4), DEPTH, &root, &at), EB_E_MALFORMED);
    assert_int_equal(eb_json_parse(eb_str_n("{}\0", 3), DEPTH, &root, &at), EB_E_MALFORMED);
    assert_int_equal(eb_json_parse(eb_str_n("[\"a\0\"]", 6), DEPTH, &root, &at), EB_E_MALFORMED);
    eb_auto_buf struct eb_buf digits = {0};
    eb_buf_printf(&digits, "[0.%0200d]", 0);
    assert_int_equal(eb_json_parse(eb_buf_get(&digits), DEPTH, &root, &at), EB_E_MALFORMED);
}

static void depth(void **state) {
    (void)state;
    static const char *const deep[] = {"[[[[[[[[[]]]]]]]]]", "[[[[[[[[{}]]]]]]]]",
                                       "{\"a\":[[[[[[[[1]]]]]]]]}", "[[[[[[[[[[[[[[[["};
    for (size_t i = 0; i < EB_COUNT_OF(deep); i++) {
        json_t *root = NULL;
        size_t at = 0;
        assert_int_equal(eb_json_parse(eb_str(deep[i]), DEPTH, &root, &at), EB_E_TOO_LARGE);
        assert_null(root);
    }
}

static uint32_t next(uint32_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* Random damage: the verdict and the tree are jansson's. NUL bytes are left out, jansson overlooks one behind
 * a number. */
static void as_jansson_reads_it(void **state) {
    (void)state;
    static const char *const seeds[] = {
        "{\"a\":1,\"b\":[true,false,null,-1.5e3,\"x\\u00e4\\ud83d\\ude00\\n\"]}",
        "{\"c\":{\"d\":\"\xc3\xa4\",\"\\u0061b\":\"\\\\\\\"\"}}",
        "[1,2,3,0,-0,1e5,0.5,9223372036854775807,-9223372036854775808]",
        "{\"k\\n\":{\"k\":[[],{},[[[]]]]},\"aaaaaaaaaaaaaaaa\":\"bbbbbbbbbbbb\\tcccccccc\"}",
        "[\"\xed\x9f\xbf\",\"\xf4\x8f\xbf\xbf\"]",
    };
    static const char spice[] = "{}[],:\"\\0123456789eE.+-truefalsnud \x01\x7f\x80";
    uint32_t seed = 20261121;
    unsigned valid = 0;
    for (int i = 0; i < 40000; i++) {
        char b[256];
        const char *from = seeds[next(&seed) % EB_COUNT_OF(seeds)];
        size_t n = strlen(from);
        memcpy(b, from, n);
        for (uint32_t k = next(&seed) % 4; k > 0; k--) {
            size_t at = next(&seed) % n;
            char c = spice[next(&seed) % (sizeof spice - 1)];
            if (next(&seed) % 2 && n < sizeof b) {
                memmove(b + at + 1, b + at, n - at);
                n++;
            }
            b[at] = c;
        }
        json_t *want = json_loadb(b, n, JSON_REJECT_DUPLICATES, NULL), *got = NULL;
        size_t at = 0;
        enum eb_rc rc = eb_json_parse(eb_str_n(b, n), 32, &got, &at);
        if ((rc == EB_OK) != (want != NULL) || (want && !json_equal(want, got)))
            fail_msg("%.*s: %s", (int)n, b, eb_rc_name(rc));
        valid += want != NULL;
        json_decref(want);
        json_decref(got);
    }
    assert_true(valid > 8000 && valid < 35000);
}

/* Strings are passed over eight bytes at a time: every byte at every place of such a step and behind it. */
static void ends_of_strings(void **state) {
    (void)state;
    for (size_t n = 1; n < 20; n++)
        for (size_t at = 0; at < n; at++)
            for (unsigned c = 0; c < 256; c++) {
                char text[20];
                memset(text, 'a', sizeof text);
                text[at] = (char)c;
                bool escaped = false, wide = false,
                     stops = c < 0x20 || c == '"' || (c == '\\' && at + 1 == n);
                const char *end = eb_json_text_end(text, text + n, &escaped, &wide);
                if ((size_t)(end - text) != (stops ? at : n) || escaped != (c == '\\' && !stops) ||
                    wide != (c >= 0x80))
                    fail_msg("byte %u at %zu of %zu", c, at, n);
            }
    /* Bytes that the step takes for others where it borrows: only the first one counts. */
    bool escaped = false, wide = false;
    static const char borrow[] = "aa\"!#]\"\\";
    assert_int_equal(eb_json_text_end(borrow, borrow + 8, &escaped, &wide) - borrow, 2);
    static const char none[] = "!!##[[]]";
    assert_int_equal(eb_json_text_end(none, none + 8, &escaped, &wide) - none, 8);
    assert_false(escaped || wide);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes),
        cmocka_unit_test(refuses),
        cmocka_unit_test(depth),
        cmocka_unit_test(ends_of_strings),
        cmocka_unit_test(as_jansson_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
