#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/nearest.h"

static const char *const names[] = {"account",     "allow",      "azp", "connections", "deny",
                                    "permissions", "public_key", "pub", "sub",         "subject"};

static void finds(void **state) {
    (void)state;
    static const struct {
        const char *name, *want; /* NULL = none */
    } rows[] = {
        {"acount", "account"},
        {"accounts", "account"},
        {"Account", "account"},
        {"permisions", "permissions"},
        {"public-key", "public_key"},
        {"publickey", "public_key"},
        {"publish", "pub"},
        {"connection", "connections"},
        {"subjekt", "subject"},
        {"alow", "allow"},
        {"azp", "azp"},
        {"completely_else", NULL},
        {"", NULL},
        {"x", NULL},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        const char *got = eb_nearest(eb_str(rows[i].name), names, EB_COUNT_OF(names));
        if (rows[i].want ? !got || strcmp(got, rows[i].want) != 0 : got != NULL)
            fail_msg("%s: %s", rows[i].name, got ? got : "none");
    }
}

static void limits(void **state) {
    (void)state;
    char big[10000];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_null(eb_nearest(eb_str(big), names, EB_COUNT_OF(names)));
    assert_null(eb_nearest(EB_STR_NONE, names, EB_COUNT_OF(names)));
    assert_null(eb_nearest(EB_STR("azp"), NULL, 0));
    const char *const bigs[] = {big};
    assert_null(eb_nearest(EB_STR("a"), bigs, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds), cmocka_unit_test(limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
