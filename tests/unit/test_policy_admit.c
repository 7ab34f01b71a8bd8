#include "policy_table.h"

#include "nkey/nkey.h"
#include "policy/impl.h"

static struct eb_str dash(struct eb_str s) {
    return eb_str_eqz(s, "-") ? EB_STR_NONE : s;
}

static void find_row(const struct table_case *c, const struct eb_policy *p, struct eb_str row) {
    struct eb_str rest = row, method, col[4];
    (void)eb_str_cut(&rest, ' ');
    method = eb_str_cut(&rest, ' ');
    size_t n = 0;
    while (rest.p && n < 4)
        col[n++] = dash(eb_str_cut(&rest, ' '));
    assert_true(n > 0);
    struct eb_policy_entry e = {0};
    uint8_t key[EB_NKEY_RAW_LEN];
    bool found = false;
    if (eb_str_eqz(method, "oauth2") && n == 4) {
        found = eb_policy_find_oauth2(p, col[0], col[1], col[2], &e);
    } else if (eb_str_eqz(method, "mtls") && n == 3) {
        found = eb_policy_find_mtls(p, col[0], col[1], &e);
    } else if (eb_str_eqz(method, "nkey") && n == 2) {
        assert_int_equal(eb_nkey_public_decode(col[0], EB_NKEY_USER, NULL, key, NULL), EB_OK);
        found = eb_policy_find_nkey(p, key, &e);
    } else if (eb_str_eqz(method, "noauth") && n == 1) {
        found = eb_policy_noauth(p, &e);
    } else {
        fail_msg("%.*s: %.*s", EB_STR_ARG(c->title), EB_STR_ARG(row));
    }
    if (eb_str_eqz(col[n - 1], "none") ? found
                                       : !found || !eb_str_eq(e.name, col[n - 1]) ||
                                             !eb_str_eqz(method, eb_policy_method_name(e.method)))
        fail_msg("%.*s: %.*s: got %.*s", EB_STR_ARG(c->title), EB_STR_ARG(row),
                 EB_STR_ARG(found ? e.name : EB_STR("none")));
}

static unsigned conn_of(struct eb_str name) {
    static const char *const names[] = {"nats", "mqtt", "websocket", "leaf"};
    for (unsigned i = 0; i < EB_COUNT_OF(names); i++)
        if (eb_str_eqz(name, names[i]))
            return 1U << i;
    return 0;
}

static void admit_row(const struct table_case *c, const struct eb_policy *p, struct eb_str row) {
    struct eb_str rest = row;
    (void)eb_str_cut(&rest, ' ');
    struct eb_policy_entry e = table_entry(p, eb_str_cut(&rest, ' '));
    unsigned conn = conn_of(eb_str_cut(&rest, ' '));
    struct eb_str host = dash(eb_str_cut(&rest, ' ')), id = dash(eb_str_cut(&rest, ' '));
    struct eb_err err = {0};
    enum eb_rc rc = eb_policy_admit(p, &e, conn, host, id, &err);
    if (!eb_str_eqz(rest, eb_rc_name(rc)))
        fail_msg("%.*s: %.*s: got %s (%s)", EB_STR_ARG(c->title), EB_STR_ARG(row), eb_rc_name(rc), err.text);
    assert_int_equal(err.rc, rc);
}

static void decide_case(struct table_case *c) {
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *p = NULL;
    eb_auto_findings struct eb_findings f = {0};
    enum eb_rc rc = table_load(c, &p, &f);
    table_check_findings(c, &f);
    assert_int_equal(rc, EB_OK);
    assert_true(c->row_n > 0);
    for (size_t i = 0; i < c->row_n; i++)
        (eb_str_starts(c->row[i], EB_STR("admit ")) ? admit_row : find_row)(c, p, c->row[i]);
}

static void test_decide(void **state) {
    (void)state;
    table_each("decide.txt", decide_case);
}

/* The text of a refusal quotes peer text in part and printable only. */
static void test_texts(void **state) {
    (void)state;
    struct table_case c = {
        .document =
            EB_STR("mtls: {a: {identity: CN=a, account: CSC, mqtt_client_id: a-*, src: [10.0.0.0/8]}}")};
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *p = NULL;
    eb_auto_findings struct eb_findings f = {0};
    assert_int_equal(table_load(&c, &p, &f), EB_OK);
    struct eb_policy_entry e;
    assert_true(eb_policy_at(p, 0, &e));
    struct eb_err err = {0};
    assert_int_equal(eb_policy_admit(p, &e, EB_CONN_MQTT, EB_STR("10.0.0.1"), EB_STR("x\n\x1b[31m"), &err),
                     EB_E_CLIENT_ID);
    assert_null(strchr(err.text, '\n'));
    char big[5000];
    memset(big, 'y', sizeof big);
    err = (struct eb_err){0};
    assert_int_equal(
        eb_policy_admit(p, &e, EB_CONN_MQTT, EB_STR("10.0.0.1"), eb_str_n(big, sizeof big), &err),
        EB_E_CLIENT_ID);
    assert_null(
        strstr(err.text, "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"));
    err = (struct eb_err){0};
    assert_int_equal(eb_policy_admit(p, &e, EB_CONN_MQTT, eb_str_n(big, sizeof big), EB_STR("a-1"), &err),
                     EB_E_SRC);
    struct eb_policy_entry other = e;
    other.index = 7;
    assert_int_equal(eb_policy_admit(p, &other, EB_CONN_NATS, EB_STR("10.0.0.1"), EB_STR_NONE, NULL),
                     EB_E_INTERNAL);
    assert_int_equal(
        eb_policy_admit(p, &e, EB_CONN_NATS | EB_CONN_MQTT, EB_STR("10.0.0.1"), EB_STR("a-1"), NULL),
        EB_E_CONNECTION_TYPE);
}

/* Identities that no entry stands for: never a leaf, and no MQTT client id that an entry binds. */
static void test_other(void **state) {
    (void)state;
    static const struct {
        unsigned connections, conn;
        const char *id;
        enum eb_rc rc;
    } rows[] = {
        {EB_CONN_NATS | EB_CONN_MQTT, EB_CONN_NATS, "", EB_OK},
        {EB_CONN_NATS | EB_CONN_MQTT, EB_CONN_NATS, "a-1", EB_OK}, /* no MQTT client */
        {EB_CONN_NATS | EB_CONN_MQTT, EB_CONN_MQTT, "b-1", EB_OK},
        {EB_CONN_NATS | EB_CONN_MQTT, EB_CONN_MQTT, "a-1", EB_E_CLIENT_ID},
        {EB_CONN_NATS | EB_CONN_MQTT, EB_CONN_WEBSOCKET, "", EB_E_CONNECTION_TYPE},
        {EB_CONN_NATS | EB_CONN_MQTT, 0, "", EB_E_CONNECTION_TYPE},
        {EB_CONN_NATS | EB_CONN_MQTT, EB_CONN_NATS | EB_CONN_MQTT, "", EB_E_CONNECTION_TYPE},
        {EB_CONN_NATS | EB_CONN_LEAF, EB_CONN_LEAF, "", EB_E_LEAF_REFUSED},
    };
    struct table_case c = {.document =
                               EB_STR("mtls: {a: {identity: CN=a, account: CSC, mqtt_client_id: a-*}}")};
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *p = NULL;
    eb_auto_findings struct eb_findings f = {0};
    assert_int_equal(table_load(&c, &p, &f), EB_OK);
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++)
        assert_int_equal(
            eb_policy_admit_other(p, rows[i].connections, rows[i].conn, eb_str(rows[i].id), NULL),
            rows[i].rc);
}

/* Two patterns overlap where one text fits both: tried on all short texts of two letters. */
static void test_globs(void **state) {
    (void)state;
    static const char letters[] = "ab*";
    enum { PATTERNS = 3 + 9 + 27 + 81, TEXTS = 1 + 2 + 4 + 8 + 16 + 32 + 64 };
    char pattern[PATTERNS][8], text[TEXTS][8];
    size_t n = 0, m = 0;
    for (size_t len = 1, all = 3; len <= 4; len++, all *= 3)
        for (size_t k = 0; k < all; k++, n++) {
            size_t v = k;
            for (size_t i = 0; i < len; i++, v /= 3)
                pattern[n][i] = letters[v % 3];
            pattern[n][len] = '\0';
        }
    for (size_t len = 0; len <= 6; len++)
        for (size_t k = 0; k < (size_t)1 << len; k++, m++) {
            for (size_t i = 0; i < len; i++)
                text[m][i] = letters[k >> i & 1];
            text[m][len] = '\0';
        }
    assert_true(n == PATTERNS && m == TEXTS);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            bool both = false;
            for (size_t k = 0; k < m && !both; k++)
                both = eb_glob_match(eb_str(pattern[i]), eb_str(text[k])) &&
                       eb_glob_match(eb_str(pattern[j]), eb_str(text[k]));
            if (eb_glob_overlap(eb_str(pattern[i]), eb_str(pattern[j])) != both)
                fail_msg("%s and %s", pattern[i], pattern[j]);
        }
    assert_true(eb_glob_match(EB_STR("a*b*c"), EB_STR("axxbyybzzc")));
    assert_false(eb_glob_match(EB_STR("a*b*c"), EB_STR("axxbyybzz")));
    assert_true(eb_glob_match(EB_STR("*"), EB_STR("")));
    assert_false(eb_glob_match(EB_STR("a"), EB_STR("")));
}

/* Patterns that nobody could tell apart cheaply are refused. */
static void test_many_patterns(void **state) {
    (void)state;
    for (int n = 256; n <= 257; n++) {
        eb_auto_buf struct eb_buf b = {0};
        eb_buf_z(&b, "mtls:\n");
        for (int i = 0; i < n; i++)
            eb_buf_printf(&b, "  e%d: {identity: CN=%d, account: CSC, mqtt_client_id: '*-%03d'}\n", i, i, i);
        struct table_case c = {.document = eb_buf_get(&b)};
        EB_CLEANUP(eb_policy_unrefp) struct eb_policy *p = NULL;
        eb_auto_findings struct eb_findings f = {0};
        assert_int_equal(table_load(&c, &p, &f), n == 256 ? EB_OK : EB_E_INVALID);
        assert_int_equal(f.errors, n == 256 ? 0 : 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decide), cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_other), cmocka_unit_test(test_globs),
                                       cmocka_unit_test(test_many_patterns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
