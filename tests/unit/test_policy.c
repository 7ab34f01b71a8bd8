#include "policy_table.h"
#include "server_says.h"

/* No value of a variable may show in a finding; short ones are also words. */
static void check_no_values(const struct table_case *c, const struct eb_findings *f) {
    for (size_t i = 0; i < c->env_n; i++) {
        struct eb_str value = c->env[i];
        (void)eb_str_cut(&value, '=');
        char z[256];
        (void)snprintf(z, sizeof z, "%.*s", EB_STR_ARG(value));
        for (size_t k = 0; strlen(z) > 3 && k < f->n; k++)
            if (strstr(f->items[k].text, z) || strstr(f->items[k].mend, z) || strstr(f->items[k].path, z))
                fail_msg("%.*s: a finding shows %s", EB_STR_ARG(c->title), z);
    }
}

static void findings_case(struct table_case *c) {
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *p = NULL;
    eb_auto_findings struct eb_findings f = {0};
    enum eb_rc rc = table_load(c, &p, &f);
    table_check_findings(c, &f);
    check_no_values(c, &f);
    assert_int_equal(rc == EB_OK, f.errors == 0);
    assert_int_equal(p != NULL, f.errors == 0);
    if (f.errors && rc != EB_E_INVALID && rc != EB_E_MALFORMED)
        fail_msg("%.*s: %s", EB_STR_ARG(c->title), eb_rc_name(rc));
}

static void test_findings(void **state) {
    (void)state;
    table_each("findings.txt", findings_case);
}

static void grants_row(const struct table_case *c, const struct eb_policy *p, struct eb_str row) {
    struct eb_str rest = row, kind = eb_str_cut(&rest, ' '), name = eb_str_cut(&rest, ' '),
                  conn = eb_str_cut(&rest, ' ');
    struct eb_policy_entry e = table_entry(p, name);
    bool mqtt = eb_str_eqz(conn, "mqtt");
    struct eb_str got = eb_policy_grants(&e, mqtt ? EB_CONN_MQTT : EB_CONN_NATS);
    if (eb_str_eqz(kind, "=")) {
        if (!eb_str_eq(got, rest))
            fail_msg("%.*s: %.*s %.*s\ngot  %.*s\nnot  %.*s", EB_STR_ARG(c->title), EB_STR_ARG(name),
                     EB_STR_ARG(conn), EB_STR_ARG(got), EB_STR_ARG(rest));
        return;
    }
    char grants[2048], subject[200], queue[100];
    struct eb_str side = eb_str_cut(&rest, ' '), s = eb_str_cut(&rest, ' '), q = eb_str_cut(&rest, ' '),
                  want = rest;
    if (!rest.p) {
        want = q;
        q = EB_STR_NONE;
    }
    (void)snprintf(grants, sizeof grants, "%.*s", EB_STR_ARG(got));
    (void)snprintf(subject, sizeof subject, "%.*s", EB_STR_ARG(s));
    (void)snprintf(queue, sizeof queue, "%.*s", EB_STR_ARG(q));
    if (server_says(grants, eb_str_eqz(side, "sub"), mqtt, subject, q.p ? queue : NULL) !=
        eb_str_eqz(want, "yes"))
        fail_msg("%.*s: %.*s is not so: %s", EB_STR_ARG(c->title), EB_STR_ARG(row), grants);
}

static void grants_case(struct table_case *c) {
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *p = NULL;
    eb_auto_findings struct eb_findings f = {0};
    enum eb_rc rc = table_load(c, &p, &f);
    table_check_findings(c, &f);
    assert_int_equal(rc, EB_OK);
    assert_true(c->row_n > 0);
    for (size_t i = 0; i < c->row_n; i++)
        grants_row(c, p, c->row[i]);
}

static void test_grants(void **state) {
    (void)state;
    table_each("grants.txt", grants_case);
}

static enum eb_rc load_text(struct eb_str text, struct eb_policy **ret, struct eb_findings *f) {
    struct table_case c = {.document = text};
    return table_load(&c, ret, f);
}

static void test_fields(void **state) {
    (void)state;
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *p = NULL;
    eb_auto_findings struct eb_findings f = {0};
    assert_int_equal(
        load_text(
            EB_STR(
                "oauth2: {a: {azp: x, account: CSC, required_scope: mqtt, connections: [mqtt, websocket]}}\n"
                "mtls: {a: {identity: CN=a, account: CPC}}\n"
                "noauth: {account: CSC}\n"),
            &p, &f),
        EB_OK);
    assert_int_equal(eb_policy_count(p, EB_POLICY_OAUTH2), 1);
    assert_int_equal(eb_policy_count(p, EB_POLICY_MTLS), 1);
    assert_int_equal(eb_policy_count(p, EB_POLICY_NKEY), 0);
    assert_int_equal(eb_policy_count(p, EB_POLICY_NOAUTH), 1);
    struct eb_policy_entry e = {0};
    assert_true(eb_policy_find_oauth2(p, EB_STR_NONE, EB_STR_NONE, EB_STR("x"), &e));
    assert_int_equal(e.method, EB_POLICY_OAUTH2);
    assert_true(eb_str_eqz(e.name, "a") && eb_str_eqz(e.account, "CSC") &&
                eb_str_eqz(e.required_scope, "mqtt"));
    assert_int_equal(e.connections, EB_CONN_MQTT | EB_CONN_WEBSOCKET);
    assert_false(e.internal);
    assert_true(eb_policy_find_mtls(p, EB_STR("CN="), EB_STR("a"), &e));
    assert_null(e.required_scope.p);
    assert_true(eb_str_eqz(e.account, "CPC"));
    assert_int_equal(e.connections, EB_CONN_MQTT | EB_CONN_WEBSOCKET | EB_CONN_NATS);
    assert_true(eb_policy_noauth(p, &e));
    assert_int_equal(e.method, EB_POLICY_NOAUTH);
    assert_false(eb_policy_at(p, 3, &e));
    assert_true(eb_policy_bytes(p) > 100);
    assert_string_equal(eb_policy_method_name(EB_POLICY_NKEY), "nkey");
    struct eb_policy *again = eb_policy_ref(p);
    assert_ptr_equal(again, p);
    eb_policy_unref(again);
    eb_policy_unref(NULL);
}

/* Values of variables come from outside: control bytes cannot stand in a table. */
static const char *hostile_env(void *ctx, const char *name, bool *is_secret) {
    (void)name;
    (void)is_secret;
    return ctx;
}

static void test_hostile_values(void **state) {
    (void)state;
    static char values[][8] = {"a\nb",  "a\tb", "a\x7f", "\x01", "a\xc2\x85", "a\xc2\xa0z",
                               "a\xff", " ",    "*",     ">",    "a b",       "\r\n"};
    for (size_t i = 0; i < EB_COUNT_OF(values); i++) {
        eb_auto_findings struct eb_findings f = {0};
        struct eb_policy *p = NULL;
        struct eb_policy_options opt = {.env = hostile_env, .env_ctx = values[i]};
        EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
        assert_int_equal(
            eb_doc_from(EB_STR("mtls: {a: {identity: \"CN=${X}\", account: CSC}}"), NULL, &doc, NULL), EB_OK);
        assert_int_equal(eb_policy_load(doc, &opt, &p, &f), EB_E_INVALID);
        assert_int_equal(f.errors, 1);
        assert_non_null(strstr(f.items[0].text, "${X}"));
    }
}

/* No expansion known: every ${NAME} is an error. */
static void test_no_env(void **state) {
    (void)state;
    eb_auto_findings struct eb_findings f = {0};
    struct eb_policy *p = NULL;
    struct eb_policy_options opt = {0};
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    assert_int_equal(eb_doc_from(EB_STR("mtls: {a: {identity: CN=a, account: \"${A}\"}}"), NULL, &doc, NULL),
                     EB_OK);
    assert_int_equal(eb_policy_load(doc, &opt, &p, &f), EB_E_INVALID);
}

static void test_limits(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_z(
        &b,
        "mtls:\n  a:\n    identity: CN=a\n    account: CSC\n    permissions:\n      pub:\n        allow:\n");
    size_t head = b.n;
    for (int i = 0; i < 1024; i++)
        eb_buf_printf(&b, "          - t.%d\n", i);
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *p = NULL;
    eb_auto_findings struct eb_findings f = {0};
    assert_int_equal(load_text(eb_buf_get(&b), &p, &f), EB_OK);
    eb_policy_unref(EB_TAKE(p));
    eb_buf_z(&b, "          - one.more\n          - two.more\n");
    assert_int_equal(load_text(eb_buf_get(&b), &p, &f), EB_E_INVALID);
    assert_int_equal(f.errors, 1);
    assert_int_equal(f.items[0].line, 8 + 1024);
    eb_findings_done(&f);
    /* One entry's permissions must fit into an answer. */
    b.n = head;
    for (int i = 0; i < 300; i++) {
        eb_buf_printf(&b, "          - t%d.", i);
        for (int k = 0; k < 1000; k++)
            eb_buf_ch(&b, 'x');
        eb_buf_ch(&b, '\n');
    }
    assert_int_equal(load_text(eb_buf_get(&b), &p, &f), EB_E_INVALID);
    assert_int_equal(f.errors, 1);
    assert_non_null(strstr(f.items[0].text, "on the wire"));
    eb_findings_done(&f);
    b.n = head;
    for (int i = 0; i < 65; i++)
        eb_buf_printf(&b, "          - '*.t%d'\n", i);
    assert_int_equal(load_text(eb_buf_get(&b), &p, &f), EB_E_INVALID);
    assert_int_equal(f.errors, 1);
    assert_non_null(strstr(f.items[0].text, "begin with a wildcard"));
    eb_findings_done(&f);
    eb_buf_reset(&b);
    eb_buf_z(&b, "mtls: {a: {account: CSC, identity: \"CN=");
    for (int k = 0; k < 510; k++)
        eb_buf_ch(&b, 'x');
    eb_buf_z(&b, "\"}}");
    assert_int_equal(load_text(eb_buf_get(&b), &p, &f), EB_E_INVALID);
    assert_int_equal(f.errors, 1);
}

/* Many entries: every one is found again, equal texts are kept once, findings stay bounded. */
static void test_many(void **state) {
    (void)state;
    enum { N = 5000 };
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_z(&b, "{\"mtls\":{");
    for (int i = 0; i < N; i++)
        eb_buf_printf(&b,
                      "%s\"e%d\":{\"identity\":\"CN=d%d\",\"account\":\"CSC\",\"mqtt_client_id\":\"d%d-*\","
                      "\"src\":[\"10.0.0.0/8\"],\"permissions\":{\"pub\":{\"allow\":[\"a.>\"]}}}",
                      i ? "," : "", i, i, i);
    eb_buf_z(&b, "}}");
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *p = NULL;
    eb_auto_findings struct eb_findings f = {0};
    assert_int_equal(load_text(eb_buf_get(&b), &p, &f), EB_OK);
    assert_true(eb_policy_bytes(p) < (size_t)N * 180);
    struct eb_policy_entry e, first = {0};
    assert_true(eb_policy_at(p, 0, &first));
    for (int i = 0; i < N; i++) {
        char value[32], id[32];
        int n = snprintf(value, sizeof value, "d%d", i), m = snprintf(id, sizeof id, "d%d-x", i);
        assert_true(eb_policy_find_mtls(p, EB_STR("CN="), eb_str_n(value, (size_t)n), &e));
        assert_int_equal(e.index, i);
        assert_ptr_equal(e.grants_json.p, first.grants_json.p);
        assert_ptr_equal(e.account.p, first.account.p);
        assert_int_equal(
            eb_policy_admit(p, &e, EB_CONN_MQTT, EB_STR("10.0.0.1"), eb_str_n(id, (size_t)m), NULL), EB_OK);
        assert_int_equal(eb_policy_admit(p, &e, EB_CONN_MQTT, EB_STR("10.0.0.1"), EB_STR("d-x"), NULL),
                         EB_E_CLIENT_ID);
    }
    assert_false(eb_policy_find_mtls(p, EB_STR("CN="), EB_STR("d5000"), &e));
}

static void test_file(void **state) {
    (void)state;
    char path[] = "/tmp/eb-policy-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(write(fd, "mtls: {a: {identity: CN=a, account: CSC}}\n", 42) == 42);
    (void)close(fd);
    struct eb_policy_options opt = {0};
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *p = NULL;
    eb_auto_findings struct eb_findings f = {0};
    struct eb_doc *doc = NULL;
    assert_int_equal(eb_doc_open(path, EB_POLICY_MAX, &doc, NULL), EB_OK);
    assert_int_equal(eb_policy_load(doc, &opt, &p, &f), EB_OK);
    eb_doc_free(doc);
    /* Too large: the reader says so, as a finding too. */
    struct eb_policy *none = NULL;
    assert_int_equal(eb_doc_open(path, 10, &doc, NULL), EB_OK);
    assert_int_equal(eb_policy_load(doc, &opt, &none, &f), EB_E_TOO_LARGE);
    eb_doc_free(doc);
    assert_int_equal(f.errors, 1);
    assert_string_equal(f.items[0].file, path);
    assert_null(none);
    (void)unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings),       cmocka_unit_test(test_grants), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_hostile_values), cmocka_unit_test(test_no_env), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many),           cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
