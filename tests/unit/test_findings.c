#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/findings.h"

static void prints_where_what_and_mend(void **state) {
    (void)state;
    static const struct {
        enum eb_severity severity;
        const char *file;
        size_t line;
        const char *path, *mend, *want;
    } rows[] = {
        {EB_ERROR, "f.yaml", 3, "a.b", "write c", "f.yaml:3: error: a.b: text 7; write c\n"},
        {EB_WARNING, "f.yaml", 0, "a.b", NULL, "f.yaml: warning: a.b: text 7\n"},
        {EB_ERROR, NULL, 0, "a.b", "write c", "error: a.b: text 7; write c\n"},
        {EB_ERROR, NULL, 0, NULL, NULL, "error: text 7\n"},
        {EB_ERROR, "f.yaml", 1, "", "", "f.yaml:1: error: text 7\n"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_findings struct eb_findings f = {0};
        eb_auto_buf struct eb_buf b = {0};
        eb_findings_add(&f, rows[i].severity, rows[i].file, rows[i].line, rows[i].path, rows[i].mend,
                        "text %d", 7);
        eb_findings_print(&f, &b);
        assert_string_equal(b.p, rows[i].want);
    }
}

static void counts_more_than_it_keeps(void **state) {
    (void)state;
    eb_auto_findings struct eb_findings f = {0};
    for (int i = 0; i < EB_FINDINGS_MAX + 50; i++)
        eb_findings_add(&f, i % 5 ? EB_ERROR : EB_WARNING, NULL, 0, NULL, NULL, "n %d", i);
    assert_int_equal(f.n, EB_FINDINGS_MAX);
    assert_int_equal(f.errors, 200);
    assert_int_equal(f.warnings, 50);
    eb_auto_buf struct eb_buf b = {0};
    eb_findings_print(&f, &b);
    assert_non_null(strstr(b.p, "n 0\n"));
    assert_non_null(strstr(b.p, "50")); /* that many more are told of */
}

static void nothing(void **state) {
    (void)state;
    eb_auto_findings struct eb_findings f = {0};
    eb_auto_buf struct eb_buf b = {0};
    eb_findings_print(&f, &b);
    assert_int_equal(b.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(prints_where_what_and_mend),
                                       cmocka_unit_test(counts_more_than_it_keeps),
                                       cmocka_unit_test(nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
