#include "kube/name.h"

#include "kube_table.h"

static void name_case(const struct kube_case *c) {
    for (size_t i = 0; i < c->n; i++) {
        struct eb_str want = c->key[i], v = c->value[i];
        bool label = eb_str_eqz(want, "label"), subdomain = label || eb_str_eqz(want, "subdomain");
        if (!label && !subdomain && !eb_str_eqz(want, "neither"))
            fail_msg("%s: %.*s is no kind", c->title, EB_STR_ARG(want));
        if (eb_kube_is_label(v) != label || eb_kube_is_subdomain(v) != subdomain)
            fail_msg("%s: \"%.*s\" is not %.*s", c->title, EB_STR_ARG(v), EB_STR_ARG(want));
    }
}

static void test_names(void **state) {
    (void)state;
    kube_each("names.txt", name_case);
}

static void test_lengths(void **state) {
    (void)state;
    char text[EB_KUBE_NAME_MAX + 1];
    memset(text, 'a', sizeof text);
    assert_true(eb_kube_is_label(eb_str_n(text, EB_KUBE_LABEL_MAX)));
    assert_false(eb_kube_is_label(eb_str_n(text, EB_KUBE_LABEL_MAX + 1)));
    assert_true(eb_kube_is_subdomain(eb_str_n(text, EB_KUBE_NAME_MAX)));
    assert_false(eb_kube_is_subdomain(eb_str_n(text, EB_KUBE_NAME_MAX + 1)));
    assert_true(eb_kube_is_uid(eb_str_n(text, EB_KUBE_UID_MAX)));
    assert_false(eb_kube_is_uid(eb_str_n(text, EB_KUBE_UID_MAX + 1)));
}

static void test_uids(void **state) {
    (void)state;
    assert_true(eb_kube_is_uid(EB_STR("0d2c2b51-87b4-4a5c-8a1e-7c9c5a2f9d10")));
    assert_false(eb_kube_is_uid(EB_STR("")));
    assert_false(eb_kube_is_uid(EB_STR_NONE));
    assert_false(eb_kube_is_uid(EB_STR("a b")));
    assert_false(eb_kube_is_uid(EB_STR("a\0b")));
    assert_false(eb_kube_is_uid(EB_STR("ä")));
    assert_false(eb_kube_is_uid(EB_STR("a\x7f")));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_lengths),
                                       cmocka_unit_test(test_uids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
