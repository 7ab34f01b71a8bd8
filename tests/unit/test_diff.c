/* The difference that `render --diff` shows: read by a reader of patches of our own, it makes the one text of
 * the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../eventbus/diff.h"

static void take(struct eb_str *rest, struct eb_str line) {
    struct eb_str first = eb_str_cut(rest, '\n');
    if (!eb_str_eq(first, line))
        fail_msg("the patch has `%.*s` where the text has `%.*s`", EB_STR_ARG(line), EB_STR_ARG(first));
}

/* Applies it; counts its hunks and its lines that change. */
static void apply(struct eb_str was, struct eb_str patch, struct eb_buf *to, size_t *hunks, size_t *changes) {
    size_t line = 1;
    (void)eb_str_cut(&patch, '\n');
    (void)eb_str_cut(&patch, '\n');
    while (patch.n) {
        struct eb_str p = eb_str_cut(&patch, '\n');
        assert_true(p.n > 0);
        if (p.p[0] == '@') {
            size_t from = 0, n = 0, b = 0, b_n = 0;
            assert_int_equal(sscanf(p.p, "@@ -%zu,%zu +%zu,%zu @@", &from, &n, &b, &b_n), 4);
            for (from += n == 0; line < from; line++) {
                eb_buf_str(to, eb_str_cut(&was, '\n'));
                eb_buf_ch(to, '\n');
            }
            size_t have = 0;
            for (size_t i = 0; i < to->n; i++)
                have += to->p[i] == '\n';
            assert_int_equal(have + (b_n != 0), b);
            (*hunks)++;
            continue;
        }
        struct eb_str text = eb_str_n(p.p + 1, p.n - 1);
        *changes += p.p[0] != ' ';
        if (p.p[0] != '+') {
            take(&was, text);
            line++;
        }
        if (p.p[0] != '-') {
            eb_buf_str(to, text);
            eb_buf_ch(to, '\n');
        }
    }
    eb_buf_str(to, was);
}

static void check(const char *was, const char *is, size_t want_hunks, size_t want_changes) {
    eb_auto_buf struct eb_buf d = {0};
    eb_auto_buf struct eb_buf made = {0};
    size_t hunks = 0, changes = 0;
    eb_diff(&d, "f", eb_str(was), eb_str(is));
    assert_true(eb_buf_ok(&d));
    if (d.n)
        apply(eb_str(was), eb_buf_get(&d), &made, &hunks, &changes);
    else
        eb_buf_z(&made, was);
    if (strcmp(eb_buf_get(&made).p, is) != 0)
        fail_msg("from:\n%s\nto:\n%s\nby:\n%s\ngot:\n%s", was, is, d.p, made.p);
    if (want_hunks != SIZE_MAX) {
        assert_int_equal(hunks, want_hunks);
        assert_int_equal(changes, want_changes);
    }
}

static void small(void **state) {
    (void)state;
    check("", "", 0, 0);
    check("a\nb\n", "a\nb\n", 0, 0);
    check("", "a\nb\n", 1, 2);
    check("a\nb\n", "", 1, 2);
    check("a\n", "b\n", 1, 2);
    check("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n", 1, 2);
    check("x\n1\n2\n3\n4\n5\n6\ny\n", "X\n1\n2\n3\n4\n5\n6\nY\n", 1, 4);
    check("x\n1\n2\n3\n4\n5\n6\n7\ny\n", "X\n1\n2\n3\n4\n5\n6\n7\nY\n", 2, 4);
    check("a\nb\nc\n", "a\nc\n", 1, 1);
}

static void shown_text(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf d = {0};
    eb_diff(&d, "dir/f", EB_STR("1\n2\n3\n4\n5\n"), EB_STR("1\n2\n3\n4\nx\n"));
    assert_string_equal(d.p, "--- dir/f\n+++ dir/f\t(new)\n@@ -2,4 +2,4 @@\n 2\n 3\n 4\n-5\n+x\n");
}

static void random_texts(void **state) {
    (void)state;
    unsigned seed = 7;
    for (int round = 0; round < 3000; round++) {
        eb_auto_buf struct eb_buf a = {0};
        eb_auto_buf struct eb_buf b = {0};
        eb_buf_z(&a, "");
        eb_buf_z(&b, "");
        int n = rand_r(&seed) % 40;
        for (int i = 0; i < n; i++) {
            int letter = rand_r(&seed) % 6, what = rand_r(&seed) % 8;
            if (what != 0)
                eb_buf_printf(&a, "%c\n", 'a' + letter);
            if (what != 1)
                eb_buf_printf(&b, "%c\n", what == 2 ? 'z' : 'a' + letter);
        }
        check(a.p, b.p, SIZE_MAX, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(small), cmocka_unit_test(shown_text),
                                       cmocka_unit_test(random_texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
