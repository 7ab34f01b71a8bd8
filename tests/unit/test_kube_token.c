#include "kube/token.h"

#include "base/json.h"
#include "kube_table.h"

static const char *or_dash(struct eb_str s, char to[300]) {
    (void)snprintf(to, 300, "%.*s", s.p ? (int)s.n : 1, s.p ? s.p : "-");
    return to;
}

static void token_case(const struct kube_case *c) {
    struct eb_str want = kube_get(c, "want"), claims = kube_get(c, "claims");
    struct eb_jwt t = {.claims = NULL};
    struct eb_kube_token k = {.ns = EB_STR("untouched")};
    struct eb_err err = {0};
    char got[2000], b[6][300];
    if (eb_json_object(claims, EB_JWT_MAX, &t.claims, NULL) != EB_OK)
        fail_msg("%s: no JSON", c->title);
    t.iss = eb_json_str(t.claims, "iss");
    enum eb_rc rc = eb_kube_token_read(&t, &k, &err);
    if (rc == EB_OK) {
        (void)snprintf(got, sizeof got, "ok %s %s %s %s %s %s", or_dash(k.ns, b[0]), or_dash(k.name, b[1]),
                       or_dash(k.uid, b[2]), or_dash(k.pod, b[3]), or_dash(k.pod_uid, b[4]),
                       or_dash(k.node, b[5]));
        if (!eb_str_eqz(want, got))
            fail_msg("%s: %s, not %.*s", c->title, got, EB_STR_ARG(want));
    } else {
        struct eb_str text = want, name = eb_str_cut(&text, ' ');
        (void)snprintf(got, sizeof got, "%.*s", EB_STR_ARG(text));
        if (!eb_str_eqz(name, eb_rc_name(rc)) || err.rc != rc || !strstr(err.text, got) || !got[0])
            fail_msg("%s: %s (%s), not %.*s", c->title, eb_rc_name(rc), err.text, EB_STR_ARG(want));
        assert_true(eb_str_eqz(k.ns, "untouched"));
    }
    if (eb_kube_token_is_legacy(&t) != (rc == EB_E_LEGACY_TOKEN))
        fail_msg("%s: legacy or not", c->title);
    json_decref(t.claims);
}

static void test_tokens(void **state) {
    (void)state;
    kube_each("tokens.txt", token_case);
}

/* A token that was read without its claims. */
static void test_no_claims(void **state) {
    (void)state;
    struct eb_jwt t = {.claims = NULL};
    struct eb_kube_token k;
    assert_int_equal(eb_kube_token_read(&t, &k, NULL), EB_E_MISSING_CLAIM);
    assert_false(eb_kube_token_is_legacy(&t));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tokens), cmocka_unit_test(test_no_claims)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
