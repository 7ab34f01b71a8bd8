#include "kube/account.h"

#include "base/json.h"
#include "kube_table.h"

static const struct eb_kube_rules rules = {.allow_jetstream = false};

static struct eb_kube_account *read_text(const char *text) {
    struct eb_kube_account *a = NULL;
    json_t *object = json_loads(text, JSON_ALLOW_NUL, NULL);
    assert_non_null(object);
    assert_int_equal(eb_kube_account_read(object, &rules, &a, NULL), EB_OK);
    json_decref(object); /* nothing is borrowed from it */
    return a;
}

static void account_case(const struct kube_case *c) {
    struct eb_str text = kube_get(c, "object"), want = kube_get(c, "want");
    json_t *object = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    struct eb_kube_account *a = NULL;
    struct eb_err err = {0};
    char got[900];
    if (!object)
        fail_msg("%s: no JSON", c->title);
    enum eb_rc rc = eb_kube_account_read(object, &rules, &a, &err);
    json_decref(object);
    if (rc != EB_OK) {
        struct eb_str part = want, name = eb_str_cut(&part, ' ');
        (void)snprintf(got, sizeof got, "%.*s", EB_STR_ARG(part));
        if (!eb_str_eqz(name, eb_rc_name(rc)) || !strstr(err.text, got) || !got[0])
            fail_msg("%s: %s (%s), not %.*s", c->title, eb_rc_name(rc), err.text, EB_STR_ARG(want));
        assert_null(a);
        return;
    }
    (void)snprintf(got, sizeof got, "ok %.*s %.*s %.*s %.*s %.*s %u", EB_STR_ARG(a->ns), EB_STR_ARG(a->name),
                   EB_STR_ARG(a->uid), EB_STR_ARG(a->token),
                   a->account.p && a->account.n == 0 ? 5 : (int)(a->account.p ? a->account.n : 1),
                   a->account.p ? a->account.n ? a->account.p : "EMPTY" : "-",
                   a->drops ? (unsigned)a->drops->total : 0U);
    if (!eb_str_eqz(want, got))
        fail_msg("%s: %s, not %.*s", c->title, got, EB_STR_ARG(want));
    assert_true(a->grants_json.n > 0 && a->grants_mqtt_json.n > 0);
    eb_kube_account_unref(a);
}

static void test_accounts(void **state) {
    (void)state;
    kube_each("accounts.txt", account_case);
}

static void test_references(void **state) {
    (void)state;
    struct eb_kube_account *a =
        read_text("{\"metadata\":{\"namespace\":\"plant\",\"name\":\"a.b\",\"uid\":\"u\"}}");
    struct eb_kube_account *b = eb_kube_account_ref(a);
    assert_ptr_equal(a, b);
    eb_kube_account_unref(a);
    assert_true(eb_str_eqz(b->name, "a.b"));
    assert_true(eb_kube_account_bytes(b) > b->grants_json.n + b->grants_mqtt_json.n / 2);
    assert_true(eb_kube_account_bytes(b) < 1000);
    eb_kube_account_unref(b);
    eb_kube_account_unref(NULL);
}

#define META "{\"metadata\":{\"namespace\":\"n\",\"name\":\"a\",\"uid\":\"u\""

static void test_same(void **state) {
    (void)state;
    static const char *const texts[] = {
        META "}}",
        META ",\"annotations\":{\"nats.io/account\":\"A\"}}}",
        META ",\"annotations\":{\"nats.io/account\":\"\"}}}",
        META ",\"annotations\":{\"nats.io/allowed-pub-subjects\":\"x\"}}}",
        META ",\"annotations\":{\"nats.io/allowed-sub-subjects\":\"x\"}}}",
        META ",\"annotations\":{\"nats.io/allowed-sub-subjects\":\">\"}}}",
        META ",\"annotations\":{\"nats.io/allowed-sub-subjects\":\"*\"}}}",
        "{\"metadata\":{\"namespace\":\"n\",\"name\":\"a\",\"uid\":\"v\"}}",
        "{\"metadata\":{\"namespace\":\"n\",\"name\":\"b\",\"uid\":\"u\"}}",
        "{\"metadata\":{\"namespace\":\"m\",\"name\":\"a\",\"uid\":\"u\"}}",
    };
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++)
        for (size_t k = 0; k < EB_COUNT_OF(texts); k++) {
            struct eb_kube_account *a = read_text(texts[i]), *b = read_text(texts[k]);
            if (eb_kube_account_same(a, b) != (i == k))
                fail_msg("%s and %s", texts[i], texts[k]);
            eb_kube_account_unref(a);
            eb_kube_account_unref(b);
        }
    struct eb_kube_account *a = read_text(META "}}"),
                           *b = read_text(META ",\"resourceVersion\":\"7\",\"annotations\":{\"x\":\"y\"}}}");
    assert_true(eb_kube_account_same(a, b)); /* what is not read does not count */
    eb_kube_account_unref(a);
    eb_kube_account_unref(b);
}

static void test_key(void **state) {
    (void)state;
    struct eb_str ns = EB_STR_NONE, name = EB_STR_NONE;
    json_t *object = json_loads("{\"kind\":1,\"metadata\":{\"namespace\":\"n\",\"name\":\"a.b\"}}", 0, NULL);
    assert_true(eb_kube_account_key(object, &ns, &name));
    assert_true(eb_str_eqz(ns, "n") && eb_str_eqz(name, "a.b"));
    json_decref(object);
    object = json_loads("{\"metadata\":{\"namespace\":\"n\",\"name\":\"*\"}}", 0, NULL);
    assert_false(eb_kube_account_key(object, &ns, &name));
    json_decref(object);
    assert_false(eb_kube_account_key(NULL, &ns, &name));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_accounts), cmocka_unit_test(test_references),
                                       cmocka_unit_test(test_same), cmocka_unit_test(test_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
