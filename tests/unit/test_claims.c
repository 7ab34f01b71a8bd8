/* The claims of operator mode: written and read back, and shapes that are refused. */
#include "fixture_natsjwt.h"
#include "natsjwt/claims.h"

#include <stdio.h>

#define LONG64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG512 LONG64 LONG64 LONG64 LONG64 LONG64 LONG64 LONG64 LONG64

static void names(void **state) {
    (void)state;
    static const struct {
        struct eb_str text;
        bool name, tag;
    } rows[] = {
        {{"probe", 5}, true, true},
        {{"Probe_1-x", 9}, true, false},
        {{"team:red", 8}, true, true},
        {{"Kühlung", 8}, true, false}, /* the tag by its K */
        {{"ns_some-name", 12}, true, true},
        {{"ns/sa", 5}, false, false},
        {{"a.b", 3}, false, false},
        {{"*", 1}, false, false},
        {{"team:*", 6}, false, false},
        {{">", 1}, false, false},
        {{"a>", 2}, false, false},
        {{"a b", 3}, false, false},
        {{"a\tb", 3}, false, false},
        {{"a\nb", 3}, false, false},
        {{"a\0b", 3}, false, false},
        {{"a\x7f", 2}, false, false},
        {{"a\xc2\xa0", 3}, false, false},     /* no-break space */
        {{"a\xe2\x80\x83", 4}, false, false}, /* em space */
        {{"a\xe2\x80\xa8", 4}, false, false}, /* line separator */
        {{"a\xe3\x80\x80", 4}, false, false}, /* ideographic space */
        {{"a\xc2\x85", 3}, false, false},     /* next line */
        {{"\xe2\x82\xac", 3}, true, true},    /* a euro sign is none */
        {{"\xff", 1}, false, false},
        {{"..", 2}, false, false},
        {{"", 0}, false, false},
        {{LONG512, 512}, true, true},
        {{LONG512 "a", 513}, false, false},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++)
        if (eb_claim_name_ok(rows[i].text) != rows[i].name || eb_claim_tag_ok(rows[i].text) != rows[i].tag)
            fail_msg("row %zu", i);
}

static void write_operator(struct eb_buf *to, const char *name) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *op = fixture_key(OPERATOR_R0_SEED);
    const struct eb_operator_new o = {.id = EB_STR(OPERATOR_R0),
                                      .name = eb_str(name),
                                      .system_account = EB_STR(ACCOUNT_R1),
                                      .iat = 1700000000};
    assert_int_equal(eb_operator_write(to, &o, fixture_sign, op), EB_OK);
}

static void operator_there_and_back(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf text = {0};
    write_operator(&text, "bus");
    eb_buf_z(&text, "\n"); /* as editors leave it */
    EB_CLEANUP(eb_operator_claims_done) struct eb_operator_claims o = {0};
    assert_int_equal(eb_operator_read(eb_buf_get(&text), &o, NULL), EB_OK);
    assert_true(eb_str_eqz(o.name, "bus") && eb_str_eqz(o.system_account, ACCOUNT_R1));
    assert_true(!o.strict && eb_operator_signs(&o, EB_STR(OPERATOR_R0)));
    assert_false(eb_operator_signs(&o, EB_STR(ACCOUNT_R0)));
    o.strict = true;
    assert_false(eb_operator_signs(&o, EB_STR(OPERATOR_R0)));
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *op = fixture_key(OPERATOR_R0_SEED);
    const struct eb_operator_new bad = {.id = EB_STR(OPERATOR_R0), .name = EB_STR("a.b"), .iat = 1};
    eb_buf_reset(&text);
    assert_int_equal(eb_operator_write(&text, &bad, fixture_sign, op), EB_E_INVALID);
    assert_int_equal(text.n, 0);
}

static void account_there_and_back(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *op = fixture_key(OPERATOR_R0_SEED);
    const struct eb_signing_key keys[] = {{.key = EB_STR(ACCOUNT_R1)},
                                          {.key = EB_STR(ACCOUNT_R0),
                                           .role = EB_STR("dev"),
                                           .template_json = EB_STR("{\"pub\":{\"allow\":[\"a\"]}}")}};
    const struct eb_str users[] = {EB_STR(USER_R0)}, allowed[] = {EB_STR(ACCOUNT_R1)};
    const struct eb_account_new a = {.issuer = EB_STR(OPERATOR_R0),
                                     .id = EB_STR(ACCOUNT_R0),
                                     .name = EB_STR("AUTH"),
                                     .signing_keys = keys,
                                     .signing_keys_n = 2,
                                     .jetstream = true,
                                     .auth_users = users,
                                     .auth_users_n = 1,
                                     .accounts = allowed,
                                     .accounts_n = 1,
                                     .xkey = EB_STR(CURVE_R0),
                                     .iat = 1700000000};
    eb_auto_buf struct eb_buf text = {0};
    assert_int_equal(eb_account_write(&text, &a, fixture_sign, op), EB_OK);
    EB_CLEANUP(eb_account_claims_done) struct eb_account_claims c = {0};
    assert_int_equal(eb_account_read(eb_buf_get(&text), &c, NULL), EB_OK);
    char *nats = json_dumps(c.jwt.nats, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(nats,
                        "{\"authorization\":{\"allowed_accounts\":[\"" ACCOUNT_R1
                        "\"],\"auth_users\":[\"" USER_R0 "\"],\"xkey\":\"" CURVE_R0
                        "\"},\"limits\":{\"conn\":-1,\"consumer\":-1,\"data\":-1,\"disk_storage\":-1,"
                        "\"exports\":-1,\"imports\":-1,\"leaf\":-1,\"mem_storage\":-1,\"payload\":-1,"
                        "\"streams\":-1,\"subs\":-1,"
                        "\"wildcards\":true},\"signing_keys\":[\"" ACCOUNT_R1 "\",{\"key\":\"" ACCOUNT_R0
                        "\",\"kind\":\"user_scope\",\"role\":\"dev\",\"template\":{\"pub\":{\"allow\":"
                        "[\"a\"]}}}],\"type\":\"account\",\"version\":2}");
    free(nats);
    assert_true(c.jetstream && eb_str_eqz(c.xkey, CURVE_R0));
    const json_t *scope = NULL;
    assert_true(eb_account_signs(&c, false, EB_STR(ACCOUNT_R0), &scope) && !scope);
    assert_true(eb_account_signs(&c, true, EB_STR(ACCOUNT_R1), &scope) && !scope);
    assert_false(eb_account_signs(&c, false, EB_STR(USER_R0), &scope));

    eb_buf_reset(&text);
    const struct eb_str more[] = {EB_STR(ACCOUNT_R0)};
    assert_int_equal(eb_account_allow(&text, &c, EB_STR(OPERATOR_R0), more, 1, 1700000001, fixture_sign, op),
                     EB_OK);
    EB_CLEANUP(eb_account_claims_done) struct eb_account_claims d = {0};
    assert_int_equal(eb_account_read(eb_buf_get(&text), &d, NULL), EB_OK);
    assert_int_equal(json_array_size(d.allowed_accounts), 2);
    assert_int_equal(d.jwt.iat, 1700000001);
    assert_true(json_equal(d.signing_keys, c.signing_keys) && eb_str_eqz(d.name, "AUTH"));

    eb_buf_reset(&text);
    assert_int_equal(
        eb_account_add_key(&text, &c, EB_STR(OPERATOR_R0), EB_STR(ACCOUNT_R0), 1700000002, fixture_sign, op),
        EB_OK);
    EB_CLEANUP(eb_account_claims_done) struct eb_account_claims e = {0};
    assert_int_equal(eb_account_read(eb_buf_get(&text), &e, NULL), EB_OK);
    assert_int_equal(json_array_size(e.signing_keys), 3);
    assert_string_equal(json_string_value(json_array_get(e.signing_keys, 2)), ACCOUNT_R0);
    assert_true(json_equal(e.allowed_accounts, c.allowed_accounts) && e.jwt.iat == 1700000002);
}

/* A claim made by hand, signed by the seed. */
static enum eb_rc read_account(const char *sub, const char *nats, const char *seed,
                               struct eb_account_claims *ret) {
    eb_auto_buf struct eb_buf payload = {0}, token = {0};
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(seed);
    eb_buf_printf(&payload, "{\"iss\":\"%s\",\"sub\":\"%s\",\"iat\":5,\"nats\":{%s}}", eb_nkey_public(k), sub,
                  nats);
    fixture_token(&token, EB_STR(USUAL_HEADER), eb_buf_get(&payload), seed);
    return eb_account_read(eb_buf_get(&token), ret, NULL);
}
#define ACCOUNT_TYPE "\"type\":\"account\",\"version\":2"

static void account_shapes(void **state) {
    (void)state;
    static const struct {
        const char *nats;
        bool good;
    } rows[] = {
        {ACCOUNT_TYPE, true},
        {ACCOUNT_TYPE ",\"signing_keys\":null,\"revocations\":null,\"newer\":{\"x\":[1]}", true},
        {ACCOUNT_TYPE ",\"signing_keys\":[{\"kind\":\"user_scope\",\"key\":\"" ACCOUNT_R1 "\"}]", true},
        {ACCOUNT_TYPE ",\"authorization\":{\"allowed_accounts\":[\"*\"]}", true},
        {ACCOUNT_TYPE ",\"authorization\":{\"xkey\":\"\"}", true},
        {"\"type\":\"user\",\"version\":2", false},
        {"\"type\":\"account\",\"version\":1", false},
        {"\"type\":\"account\",\"version\":\"2\"", false},
        {"\"type\":\"account\"", false},
        {ACCOUNT_TYPE ",\"signing_keys\":\"" ACCOUNT_R1 "\"", false},
        {ACCOUNT_TYPE ",\"signing_keys\":[\"" USER_R0 "\"]", false},
        {ACCOUNT_TYPE ",\"signing_keys\":[5]", false},
        {ACCOUNT_TYPE ",\"signing_keys\":[{\"kind\":\"user_scope\"}]", false},
        {ACCOUNT_TYPE ",\"signing_keys\":[\"*\"]", false},
        {ACCOUNT_TYPE ",\"authorization\":[]", false},
        {ACCOUNT_TYPE ",\"authorization\":{\"auth_users\":[\"*\"]}", false},
        {ACCOUNT_TYPE ",\"authorization\":{\"auth_users\":[\"" ACCOUNT_R1 "\"]}", false},
        {ACCOUNT_TYPE ",\"authorization\":{\"xkey\":\"" ACCOUNT_R1 "\"}", false},
        {ACCOUNT_TYPE ",\"authorization\":{\"xkey\":7}", false},
        {ACCOUNT_TYPE ",\"limits\":[]", false},
        {ACCOUNT_TYPE ",\"revocations\":{\"x\":5}", false},
        {ACCOUNT_TYPE ",\"revocations\":{\"*\":\"5\"}", false},
        {ACCOUNT_TYPE ",\"revocations\":[]", false},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(eb_account_claims_done) struct eb_account_claims c = {0};
        enum eb_rc rc = read_account(ACCOUNT_R0, rows[i].nats, OPERATOR_R0_SEED, &c);
        if (rc != (rows[i].good ? EB_OK : EB_E_MALFORMED))
            fail_msg("row %zu: %s", i, eb_rc_name(rc));
    }
    EB_CLEANUP(eb_account_claims_done) struct eb_account_claims c = {0};
    assert_int_equal(read_account(USER_R0, ACCOUNT_TYPE, OPERATOR_R0_SEED, &c), EB_E_MALFORMED);
    assert_int_equal(read_account(ACCOUNT_R0, ACCOUNT_TYPE, USER_R0_SEED, &c), EB_E_MALFORMED);
    assert_int_equal(read_account(ACCOUNT_R0, ACCOUNT_TYPE, ACCOUNT_R0_SEED, &c),
                     EB_OK); /* a managed store's */
}

static void revocations(void **state) {
    (void)state;
    EB_CLEANUP(eb_account_claims_done) struct eb_account_claims c = {0};
    assert_int_equal(read_account(ACCOUNT_R0, ACCOUNT_TYPE ",\"revocations\":{\"" USER_R0 "\":100,\"*\":50}",
                                  OPERATOR_R0_SEED, &c),
                     EB_OK);
    assert_true(eb_account_revoked(&c, EB_STR(USER_R0), 100));
    assert_false(eb_account_revoked(&c, EB_STR(USER_R0), 101));
    assert_true(eb_account_revoked(&c, EB_STR(USER_R1), 50));
    assert_false(eb_account_revoked(&c, EB_STR(USER_R1), 51));
}

static void users(void **state) {
    (void)state;
    static const struct {
        const char *seed, *nats, *account; /* account NULL: refused */
        bool bearer;
    } rows[] = {
        {ACCOUNT_R0_SEED, "\"type\":\"user\",\"version\":2", ACCOUNT_R0, false},
        {ACCOUNT_R0_SEED,
         "\"type\":\"user\",\"version\":2,\"issuer_account\":\"" ACCOUNT_R1 "\",\"bearer_token\":true",
         ACCOUNT_R1, true},
        {ACCOUNT_R0_SEED, "\"type\":\"user\",\"version\":2,\"issuer_account\":\"" USER_R0 "\"", NULL, false},
        {ACCOUNT_R0_SEED, "\"type\":\"user\",\"version\":2,\"bearer_token\":1", NULL, false},
        {ACCOUNT_R0_SEED, ACCOUNT_TYPE, NULL, false},
        {OPERATOR_R0_SEED, "\"type\":\"user\",\"version\":2", NULL, false},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf payload = {0}, token = {0};
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(rows[i].seed);
        EB_CLEANUP(eb_user_jwt_done) struct eb_user_jwt u = {0};
        eb_buf_printf(&payload, "{\"iss\":\"%s\",\"sub\":\"" USER_R1 "\",\"nats\":{%s}}", eb_nkey_public(k),
                      rows[i].nats);
        fixture_token(&token, EB_STR(USUAL_HEADER), eb_buf_get(&payload), rows[i].seed);
        enum eb_rc rc = eb_user_read(eb_buf_get(&token), &u, NULL);
        assert_int_equal(rc, rows[i].account ? EB_OK : EB_E_MALFORMED);
        if (rc == EB_OK)
            assert_true(eb_str_eqz(u.account, rows[i].account) && u.bearer == rows[i].bearer);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),          cmocka_unit_test(operator_there_and_back),
        cmocka_unit_test(account_shapes), cmocka_unit_test(account_there_and_back),
        cmocka_unit_test(revocations),    cmocka_unit_test(users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
