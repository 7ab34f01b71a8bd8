#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"

static void compares(void **state) {
    (void)state;
    assert_true(eb_str_eq(EB_STR_NONE, EB_STR("")));
    assert_true(eb_str_eqz(EB_STR("ab"), "ab"));
    assert_false(eb_str_eqz(EB_STR("ab"), "abc"));
    assert_false(eb_str_eqz(eb_str_n("a\0b", 3), "a"));
    assert_true(eb_str_starts(EB_STR("abc"), EB_STR("ab")) && eb_str_starts(EB_STR("a"), EB_STR("")) &&
                !eb_str_starts(EB_STR("a"), EB_STR("ab")));
    assert_true(eb_str_ends(EB_STR("abc"), EB_STR("bc")) && eb_str_ends(EB_STR(""), EB_STR("")) &&
                !eb_str_ends(EB_STR("c"), EB_STR("bc")));
    assert_true(eb_str_starts(EB_STR_NONE, EB_STR_NONE) && eb_str_ends(EB_STR_NONE, EB_STR_NONE));
    assert_true(eb_str_has(EB_STR("abc"), 'c') && !eb_str_has(EB_STR("abc"), 'd') &&
                !eb_str_has(EB_STR_NONE, 'a'));
    assert_null(eb_str(NULL).p);
}

static void trims(void **state) {
    (void)state;
    static const char *const rows[][2] = {{"", ""},     {" ", ""},     {"a", "a"}, {" \t\r\na b\n \r", "a b"},
                                          {"\n\n", ""}, {"\va", "\va"}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++)
        if (!eb_str_eqz(eb_str_trim(eb_str(rows[i][0])), rows[i][1]))
            fail_msg("row %zu", i);
    assert_int_equal(eb_str_trim(EB_STR_NONE).n, 0);
}

static void cuts(void **state) {
    (void)state;
    static const struct {
        const char *text, *pieces[5];
    } rows[] = {{"a,b,c", {"a", "b", "c"}},
                {"a", {"a"}},
                {"", {""}},
                {",", {"", ""}},
                {"a,", {"a", ""}},
                {",a", {"", "a"}},
                {"a,,b", {"a", "", "b"}}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        struct eb_str rest = eb_str(rows[i].text);
        size_t n = 0;
        while (rest.p) {
            struct eb_str piece = eb_str_cut(&rest, ',');
            assert_true(n < 5 && rows[i].pieces[n] && eb_str_eqz(piece, rows[i].pieces[n]));
            n++;
        }
        assert_true(n == 5 || !rows[i].pieces[n]);
    }
}

static void copies(void **state) {
    (void)state;
    char *z = eb_str_dup(eb_str_n("abc", 2)), *none = eb_str_dup(EB_STR_NONE);
    assert_string_equal(z, "ab");
    assert_string_equal(none, "");
    free(z);
    free(none);
}

static void utf8(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool valid, control;
    } rows[] = {
        {"", true, false},
        {"plain ~", true, false},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf", true, false},
        {"\x80", false, false},
        {"\xc0\x80", false, false},
        {"\xc1\xbf", false, false},
        {"\xe0\x9f\xbf", false, false},
        {"\xed\xa0\x80", false, false},
        {"\xf0\x8f\xbf\xbf", false, false},
        {"\xf4\x90\x80\x80", false, false},
        {"\xf5\x80\x80\x80", false, false},
        {"\xc3", false, false},
        {"\xe2\x82", false, false},
        {"\xff", false, false},
        {"\n", true, true},
        {"a\x1f", true, true},
        {"\x7f", true, true},
        {"\xc2\x80", true, true},
        {"\xc2\x9f", true, true},
        {"\xc2\xa0", true, false},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        if (eb_utf8_valid(eb_str(rows[i].text)) != rows[i].valid)
            fail_msg("row %zu: valid", i);
        if (rows[i].valid && eb_utf8_has_control(eb_str(rows[i].text)) != rows[i].control)
            fail_msg("row %zu: control", i);
    }
    assert_true(eb_utf8_has_control(eb_str_n("a\0", 2)));
    assert_int_equal(eb_utf8_char(EB_STR("\xe2\x82\xac"
                                         "x")),
                     3);
    assert_int_equal(eb_utf8_char(EB_STR("")), 0);
}

static void errors(void **state) {
    (void)state;
    struct eb_err e = {0};
    assert_int_equal(EB_FAIL(&e, EB_E_IO, "first %d", 1), EB_E_IO);
    assert_int_equal(EB_FAIL(&e, EB_E_INVALID, "second"),
                     EB_E_INVALID); /* the first one wins the text, the caller's code is returned */
    assert_int_equal(e.rc, EB_E_IO);
    eb_err_prefix(&e, "at %s", "x");
    assert_string_equal(e.text, "at x: first 1");
    assert_int_equal(EB_FAIL(NULL, EB_E_IO, "nowhere"), EB_E_IO);
    eb_err_prefix(NULL, "nowhere");
    struct eb_err none = {0};
    assert_string_equal(eb_err_text(&none, EB_E_IO), "io");
    assert_string_equal(eb_err_text(NULL, EB_E_EXPIRED), "expired");
    char big[1000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    struct eb_err long_one = {0};
    (void)EB_FAIL(&long_one, EB_E_IO, "%s", big);
    eb_err_prefix(&long_one, "%s", big);
    assert_true(strlen(long_one.text) < sizeof long_one.text);
}

static void codes(void **state) {
    (void)state;
    assert_string_equal(eb_rc_name(EB_OK), "ok");
    for (enum eb_rc a = (enum eb_rc)(EB_OK + 1); a < EB_RC_MAX_; a++) {
        const char *name = eb_rc_name(a);
        for (const char *c = name; *c; c++)
            if (!((*c >= 'a' && *c <= 'z') || *c == '_'))
                fail_msg("%s", name);
        assert_true(strlen(eb_rc_hint(a)) > 10);
        for (enum eb_rc b = EB_OK; b < a; b++)
            assert_string_not_equal(name, eb_rc_name(b));
    }
    assert_true(eb_rc_undecided(EB_E_KEYS_UNAVAILABLE) && eb_rc_undecided(EB_E_NOMEM) &&
                !eb_rc_undecided(EB_E_EXPIRED) && !eb_rc_undecided(EB_OK));
    assert_non_null(eb_rc_name(EB_RC_MAX_));
    assert_non_null(eb_rc_hint(EB_RC_MAX_));
}

/* Texts are passed over eight bytes at a time: every byte at every place of such a step and behind it. */
static void every_byte_at_every_place(void **state) {
    (void)state;
    for (size_t n = 1; n < 20; n++)
        for (size_t at = 0; at < n; at++)
            for (unsigned c = 0; c < 256; c++) {
                char text[20];
                memset(text, 'a', sizeof text);
                text[at] = (char)c;
                struct eb_str s = {text, n};
                if (eb_utf8_valid(s) != (c < 0x80) || eb_utf8_has_control(s) != (c < 0x20 || c == 0x7f))
                    fail_msg("byte %u at %zu of %zu", c, at, n);
            }
    char two[17] = "aaaaaaa\xc3\xa4"
                   "aaaaaaa"; /* a character over the edge of a step */
    assert_true(eb_utf8_valid((struct eb_str){two, 16}));
    two[8] = '\x85';
    two[7] = '\xc2';
    assert_true(eb_utf8_has_control((struct eb_str){two, 16}));
    two[8] = 'a';
    assert_false(eb_utf8_valid((struct eb_str){two, 16}));
}

static void cut_between_characters(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t max, want;
    } rows[] = {
        {"abc", 3, 3},
        {"abc", 2, 2},
        {"abc", 0, 0},
        {"a\xc3\xa4", 3, 3},
        {"a\xc3\xa4", 2, 1},
        {"a\xc3\xa4", 1, 1},
        {"\xe2\x82\xac", 2, 0},
        {"\xe2\x82\xacx", 3, 3},
        {"\xf0\x9f\x98\x80x", 4, 4},
        {"x\xf0\x9f\x98\x80", 4, 1},
        {"x\xf0\x9f\x98\x80", 3, 1},
        {"x\xf0\x9f\x98\x80", 2, 1},
        {"\xa4\xa4\xa4\xa4\xa4", 4, 4}, /* no UTF-8 anyway */
        {"a\xffz", 2, 2},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++)
        if (eb_utf8_cut(eb_str(rows[i].text), rows[i].max).n != rows[i].want)
            fail_msg("row %zu", i);
    assert_int_equal(eb_utf8_cut(EB_STR_NONE, 3).n, 0);
}

/* What does not fit into an error's text is cut between characters, too. */
static void errors_are_cut_between_characters(void **state) {
    (void)state;
    char text[600];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa4", 3);
    for (size_t shift = 0; shift < 2; shift++) {
        struct eb_err err = {0};
        (void)EB_FAIL(&err, EB_E_IO, "%s%s", shift ? "x" : "", text);
        assert_true(eb_utf8_valid(eb_str(err.text)));
        assert_true(strlen(err.text) >= sizeof err.text - 2);
        eb_err_prefix(&err, "y");
        assert_true(eb_utf8_valid(eb_str(err.text)));
        assert_true(strlen(err.text) >= sizeof err.text - 2);
    }
}

static void lists(void **state) {
    (void)state;
    assert_true(eb_str_in(EB_STR("b"), "a,b,c") && eb_str_in(EB_STR("a"), "a") &&
                eb_str_in(EB_STR("c"), "a,c"));
    assert_false(eb_str_in(EB_STR("a,b"), "a,b") || eb_str_in(EB_STR("a"), "ab,ba") ||
                 eb_str_in(EB_STR("a"), NULL) || eb_str_in(EB_STR(""), "a,b"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(trims),
        cmocka_unit_test(cuts),
        cmocka_unit_test(copies),
        cmocka_unit_test(utf8),
        cmocka_unit_test(errors),
        cmocka_unit_test(codes),
        cmocka_unit_test(every_byte_at_every_place),
        cmocka_unit_test(lists),
        cmocka_unit_test(cut_between_characters),
        cmocka_unit_test(errors_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
