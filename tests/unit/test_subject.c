#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include "subject/subject.h"

static char *read_table(const char *name) {
    const char *root = getenv("EB_SOURCE");
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/tests/data/subject/%s", root ? root : ".", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    struct eb_buf b = {0};
    char chunk[4096];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        eb_buf_add(&b, chunk, n);
    (void)fclose(f);
    return eb_buf_take(&b);
}

/* Cuts "a | b | c" into its trimmed parts. */
static size_t columns(struct eb_str line, struct eb_str *to, size_t max) {
    size_t n = 0;
    while (line.p && n < max)
        to[n++] = eb_str_trim(eb_str_cut(&line, '|'));
    return n;
}

typedef void (*row_fn)(struct eb_str *col, size_t n);

static void each_row(const char *table, size_t want, row_fn fn) {
    char *text = read_table(table);
    struct eb_str rest = eb_str(text);
    size_t rows = 0;
    while (rest.p) {
        struct eb_str line = eb_str_cut(&rest, '\n'), col[3];
        if (line.n == 0 || eb_str_starts(line, EB_STR("# ")))
            continue;
        if (columns(line, col, 3) != want)
            fail_msg("%s: %.*s", table, EB_STR_ARG(line));
        fn(col, want);
        rows++;
    }
    assert_true(rows > 10);
    free(text);
}

static bool has_word(struct eb_str words, const char *word) {
    while (words.p)
        if (eb_str_eqz(eb_str_cut(&words, ' '), word))
            return true;
    return false;
}

static void expect(bool got, bool want, const char *what, const struct eb_str *col) {
    if (got != want)
        fail_msg("%s of %.*s and %.*s is %d", what, EB_STR_ARG(col[0]), EB_STR_ARG(col[1]), got);
}

static void match_row(struct eb_str *col, size_t n) {
    (void)n;
    bool literal = eb_subject_check_literal(col[1], NULL) == EB_OK;
    if (literal || has_word(col[2], "match"))
        expect(eb_subject_match(col[0], col[1]), has_word(col[2], "match"), "match", col);
    expect(eb_subject_overlap(col[0], col[1]), has_word(col[2], "overlap"), "overlap", col);
    expect(eb_subject_overlap(col[1], col[0]), has_word(col[2], "overlap"), "overlap (turned)", col);
    expect(eb_subject_covers(col[0], col[1]), has_word(col[2], "covers"), "covers", col);
}

static void test_match(void **state) {
    (void)state;
    each_row("match.txt", 3, match_row);
    assert_false(eb_subject_match(EB_STR("a.>"), EB_STR("a.")));
    assert_false(eb_subject_match(EB_STR("a.>"), EB_STR("a.b..c")));
    assert_false(eb_subject_match(EB_STR("*"), EB_STR("")));
    assert_false(eb_subject_match(EB_STR("a.*"), EB_STR("a.")));
    assert_false(eb_subject_match(EB_STR_NONE, EB_STR("a")));
    assert_false(eb_subject_overlap(EB_STR_NONE, EB_STR_NONE));
    assert_false(eb_subject_covers(EB_STR(">"), EB_STR_NONE));
}

static void check_row(struct eb_str *col, size_t n) {
    (void)n;
    struct eb_err err = {0};
    bool ok = eb_subject_check(col[0], &err) == EB_OK,
         literal = eb_subject_check_literal(col[0], NULL) == EB_OK;
    bool want_literal = eb_str_eqz(col[1], "ok"), want = want_literal || eb_str_eqz(col[1], "wild");
    if (ok != want || literal != want_literal)
        fail_msg("%.*s: %d %d %s", EB_STR_ARG(col[0]), ok, literal, err.text);
    char part[100];
    (void)snprintf(part, sizeof part, "%.*s", EB_STR_ARG(col[1]));
    if (!ok && !strstr(err.text, part))
        fail_msg("%.*s: \"%s\" lacks \"%s\"", EB_STR_ARG(col[0]), err.text, part);
}

static void test_check(void **state) {
    (void)state;
    each_row("check.txt", 2, check_row);
    assert_int_equal(eb_subject_check(EB_STR_NONE, NULL), EB_E_INVALID);
    assert_int_equal(eb_subject_check(EB_STR("a\nb"), NULL), EB_E_INVALID);
    assert_int_equal(eb_subject_check(EB_STR("a\tb"), NULL), EB_E_INVALID);
    assert_int_equal(eb_subject_check(EB_STR("a\xff"), NULL), EB_E_INVALID);
    assert_int_equal(eb_subject_check(EB_STR("a\0b"), NULL), EB_E_INVALID);
    char *big = malloc(EB_SUBJECT_MAX + 2);
    assert_non_null(big);
    memset(big, 'x', EB_SUBJECT_MAX + 2);
    assert_int_equal(eb_subject_check(eb_str_n(big, EB_SUBJECT_MAX), NULL), EB_OK);
    assert_int_equal(eb_subject_check(eb_str_n(big, EB_SUBJECT_MAX + 1), NULL), EB_E_INVALID);
    /* A long pattern is quoted in part, and not cut within a character. */
    for (size_t i = 0; i + 1 < 400; i += 2)
        memcpy(big + i, "\xc3\xa4", 2);
    big[401] = ' ';
    struct eb_err err = {0};
    assert_int_equal(eb_subject_check(eb_str_n(big, 403), &err), EB_E_INVALID);
    assert_true(strlen(err.text) < 150);
    free(big);
}

static void mqtt_row(struct eb_str *col, size_t n) {
    (void)n;
    eb_auto_buf struct eb_buf to = {0};
    struct eb_err err = {0};
    enum eb_rc rc = eb_subject_from_mqtt(col[0], &to, &err);
    if (eb_str_starts(col[1], EB_STR("! "))) {
        char part[100];
        (void)snprintf(part, sizeof part, "%.*s", (int)col[1].n - 2, col[1].p + 2);
        if (rc != EB_E_INVALID || !strstr(err.text, part))
            fail_msg("%.*s: %s, not \"%s\"", EB_STR_ARG(col[0]), err.text, part);
        assert_int_equal(to.n, 0);
        return;
    }
    if (rc != EB_OK || !eb_str_eq(eb_buf_get(&to), col[1]))
        fail_msg("%.*s: %s, not %.*s (%s)", EB_STR_ARG(col[0]), to.p, EB_STR_ARG(col[1]), err.text);
    assert_int_equal(eb_subject_check(eb_buf_get(&to), NULL), EB_OK);
}

static void test_mqtt(void **state) {
    (void)state;
    each_row("mqtt.txt", 2, mqtt_row);
    eb_auto_buf struct eb_buf to = {0};
    assert_int_equal(eb_subject_from_mqtt(EB_STR(""), &to, NULL), EB_E_INVALID);
    assert_int_equal(eb_subject_from_mqtt(EB_STR("a\tb"), &to, NULL), EB_E_INVALID);
}

/* Two patterns overlap where some literal subject is matched by both, and cover as sets do: tried on all
 * short subjects of two letters. */
static void test_against_sets(void **state) {
    (void)state;
    static const char *const tokens[] = {"a", "b", "*", ">"};
    enum { LITERALS = 2 + 4 + 8 + 16, PATTERNS = 4 + 16 + 64 };
    char literal[LITERALS][16], pattern[PATTERNS][16];
    size_t n = 0, m = 0;
    for (unsigned len = 1; len <= 4; len++)
        for (unsigned bits = 0; bits < 1U << len; bits++, n++)
            for (unsigned i = 0, at = 0; i < len; i++)
                at +=
                    (unsigned)snprintf(literal[n] + at, 16 - at, "%s%s", i ? "." : "", tokens[bits >> i & 1]);
    for (unsigned len = 1; len <= 3; len++)
        for (unsigned bits = 0; bits < 1U << (2 * len); bits++) {
            for (unsigned i = 0, at = 0; i < len; i++)
                at += (unsigned)snprintf(pattern[m] + at, 16 - at, "%s%s", i ? "." : "",
                                         tokens[bits >> (2 * i) & 3]);
            m += eb_subject_check(eb_str(pattern[m]), NULL) == EB_OK;
        }
    assert_true(n == LITERALS && m > 40);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++) {
            struct eb_str a = eb_str(pattern[i]), b = eb_str(pattern[j]);
            bool overlap = false, covers = true;
            for (size_t k = 0; k < n; k++) {
                bool in_a = eb_subject_match(a, eb_str(literal[k])),
                     in_b = eb_subject_match(b, eb_str(literal[k]));
                overlap |= in_a && in_b;
                covers &= in_a || !in_b;
            }
            if (eb_subject_overlap(a, b) != overlap)
                fail_msg("overlap %s %s", pattern[i], pattern[j]);
            /* Wildcards reach beyond two letters, so what holds for these may not hold for all: only the
             * other way is certain. */
            if (eb_subject_covers(a, b) && !covers)
                fail_msg("covers %s %s", pattern[i], pattern[j]);
        }
}

/* All texts of up to six of these bytes: the quick check says yes to nothing that the whole one refuses, and
 * to all that it takes where no byte is odd. */
static void quick_check(void **state) {
    (void)state;
    static const char bytes[] = "aZ.*> $\xc3";
    char text[6];
    for (size_t n = 0; n <= sizeof text; n++) {
        size_t all = 1;
        for (size_t i = 0; i < n; i++)
            all *= sizeof bytes - 1;
        for (size_t k = 0; k < all; k++) {
            bool odd = false;
            size_t rest = k;
            for (size_t i = 0; i < n; i++, rest /= sizeof bytes - 1) {
                text[i] = bytes[rest % (sizeof bytes - 1)];
                odd |= text[i] == ' ' || text[i] == '$' || (unsigned char)text[i] >= 0x80;
            }
            struct eb_str s = {text, n};
            bool whole = eb_subject_check(s, NULL) == EB_OK, quick = eb_subject_is_plain(s);
            if (quick != (whole && !odd))
                fail_msg("%.*s", EB_STR_ARG(s));
        }
    }
    char big[EB_SUBJECT_MAX + 1];
    memset(big, 'a', sizeof big);
    assert_true(eb_subject_is_plain((struct eb_str){big, EB_SUBJECT_MAX}));
    assert_false(eb_subject_is_plain((struct eb_str){big, sizeof big}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),  cmocka_unit_test(test_check),        cmocka_unit_test(test_mqtt),
        cmocka_unit_test(quick_check), cmocka_unit_test(test_against_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
