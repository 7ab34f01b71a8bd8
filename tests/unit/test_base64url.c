#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base64url.h"

static const struct {
    const char *plain, *text;
} vectors[] = {
    /* RFC 4648 s10, without padding, and the two letters that differ from plain base64 */
    {"", ""},
    {"f", "Zg"},
    {"fo", "Zm8"},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg"},
    {"fooba", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "-_-_"},
    {"\xff\xef\xbe", "_---"},
};

static void both_ways(void **state) {
    (void)state;
    for (size_t i = 0; i < EB_COUNT_OF(vectors); i++) {
        struct eb_str plain = eb_str(vectors[i].plain), text = eb_str(vectors[i].text);
        char encoded[32] = {0}, decoded[32];
        assert_int_equal(eb_base64url_len(plain.n), text.n);
        eb_base64url_encode(encoded, plain.p, plain.n);
        assert_string_equal(encoded, vectors[i].text);
        size_t n = 99;
        assert_int_equal(eb_base64url_decode(decoded, plain.n, text, &n), EB_OK); /* room for exactly that */
        assert_int_equal(n, plain.n);
        assert_memory_equal(decoded, plain.p, n);
        assert_true(eb_base64url_max(text.n) >= n);
        if (plain.n)
            assert_int_equal(eb_base64url_decode(decoded, plain.n - 1, text, &n), EB_E_TOO_LARGE);
    }
}

static void every_byte_and_length(void **state) {
    (void)state;
    unsigned char bytes[300], back[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        size_t len = eb_base64url_len(n), got;
        char *text = malloc(len + 1); /* exact size: a write beyond it shows */
        eb_base64url_encode(text, bytes, n);
        assert_int_equal(eb_base64url_decode(back, n, eb_str_n(text, len), &got), EB_OK);
        assert_int_equal(got, n);
        assert_memory_equal(back, bytes, n);
        free(text);
    }
}

static void one_spelling_only(void **state) {
    (void)state;
    static const char *const bad[] = {
        "Zg==", "Zg=",   "Zm8=", "Z",    "Zm9vY", "Zh",    "Zm9", /* spare bits set: only Zg and Zm8 are
                                                                     canonical */
        "Zm 8", "Zm8\n", " Zm8", "Zm+v", "Zm/v",  "Zm9v!", "Zm9v\x80", "\xc3\xa4Z",
    };
    for (size_t i = 0; i < EB_COUNT_OF(bad); i++) {
        char to[16];
        size_t n = 77;
        if (eb_base64url_decode(to, sizeof to, eb_str(bad[i]), &n) != EB_E_MALFORMED)
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(n, 77);
    }
    char to[16];
    size_t n;
    assert_int_equal(eb_base64url_decode(to, sizeof to, eb_str_n("Zm\0v", 4), &n), EB_E_MALFORMED);
    /* Exactly 64 characters are letters. */
    size_t letters = 0;
    for (int c = 0; c < 256; c++) {
        char text[4] = {(char)c, 'A', 'A', 'A'};
        letters += eb_base64url_decode(to, sizeof to, eb_str_n(text, 4), &n) == EB_OK;
    }
    assert_int_equal(letters, 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_ways), cmocka_unit_test(every_byte_and_length),
                                       cmocka_unit_test(one_spelling_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
