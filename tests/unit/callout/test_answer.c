/* What an answer holds: every claim of the response and of the user JWT inside, ends of sessions, grants by
 * kind of connection. */
#include <stdio.h>

#include "clock.h"
#include "fixture.h"
#include "log.h"

#define NONCE "nonce-of-15-chs"
#define ADMIN_SEED USER_R1_SEED
#define ADMIN USER_R1

static const char policy[] =
    "oauth2:\n"
    "  app: {azp: app, account: CSC, permissions: {pub: {allow: [a.>, b.c], deny: [a.secret]}, sub: {allow: "
    "[\"d.* q\"], deny: [d.x]}, resp: {max: 3, ttl: 5s}}}\n"
    "  pub-only: {azp: pub-only, account: CSC, permissions: {pub: {allow: [a]}}}\n"
    "  sub-only: {azp: sub-only, account: CSC, permissions: {sub: {allow: [a]}}}\n"
    "  all: {azp: all, account: CSC, permissions: {pub: {allow: [\">\"]}, sub: {allow: [\">\"]}}}\n"
    "  plain: {azp: plain, account: CSC}\n"
    "mtls:\n"
    "  device: {identity: \"CN=device.csc\", account: CSC}\n"
    "nkey:\n"
    "  worker: {public_key: " USER_R0 ", account: CSC}\n"
    "  admin: {public_key: " ADMIN
    ", account: SYS, internal: true, permissions: {pub: {allow: [\">\"]}, sub: {allow: [\">\"]}}}\n"
    "noauth: {account: CSC}\n";

static struct fx_dir dir;
static EVP_PKEY *provider;
static char *sig, *admin_sig;

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    provider = mint_key("P-256", 0);
    fx_jwks(&dir, provider, "k1");
    fx_write(&dir, FX_POLICY, policy);
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n" ACCOUNT_R0 "\n# the next one\n" ACCOUNT_R1_SEED "\n");
    sig = fx_sig(USER_R0_SEED, NONCE);
    admin_sig = fx_sig(ADMIN_SEED, NONCE);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(sig);
    free(admin_sig);
    EVP_PKEY_free(provider);
    fx_dir_remove(&dir);
    return 0;
}

static bool has(const json_t *list, const char *text) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0)
            return true;
    return false;
}

static const json_t *at(const json_t *o, const char *a, const char *b) {
    const json_t *v = json_object_get(o, a);
    return b ? json_object_get(v, b) : v;
}

static struct fx_answer ask_as(struct fx_world *w, const char *azp, const char *type) {
    eb_auto_buf struct eb_buf t = {0};
    fx_token(&t, provider, "k1", azp, 600, "");
    struct fx_answer a = fx_ask(w, &(struct fx_request){.type = type, .auth_token = t.p});
    assert_int_equal(a.outcome, EB_ANSWER);
    if (a.error)
        fail_msg("%s refused: %s", azp, eb_rc_name(a.reason));
    return a;
}

static void assert_text(struct eb_str got, const char *want) {
    if (!eb_str_eqz(got, want))
        fail_msg("%.*s, wanted %s", EB_STR_ARG(got), want);
}

static void admission(void **state) {
    (void)state;
    struct fx_world w;
    fx_world_open(&w, &dir, NULL);
    int64_t before = eb_wall_s();
    struct fx_answer a = ask_as(&w, "app", "nats");
    /* the response */
    assert_text(a.response.iss, ACCOUNT_R0);
    assert_text(a.response.sub, USER_R1); /* the request's user_nkey */
    assert_text(a.response.aud, SERVER_R0);
    assert_in_range(a.response.iat, before, before + 2);
    assert_int_equal(a.response.exp, 0);
    assert_string_equal(json_string_value(at(a.response.nats, "type", NULL)), "authorization_response");
    assert_int_equal(json_integer_value(at(a.response.nats, "version", NULL)), 2);
    assert_null(at(a.response.nats, "issuer_account", NULL));
    /* the user */
    assert_text(a.user.iss, ACCOUNT_R0);
    assert_text(a.user.sub, USER_R1);
    assert_text(a.user.aud, "CSC");
    assert_string_equal(a.name, "app");
    const json_t *n = a.user.nats;
    assert_string_equal(json_string_value(at(n, "type", NULL)), "user");
    assert_int_equal(json_integer_value(at(n, "version", NULL)), 2);
    static const char *const limits[] = {"subs", "data", "payload"};
    for (size_t i = 0; i < EB_COUNT_OF(limits); i++) {
        assert_true(json_is_integer(at(n, limits[i], NULL)));
        assert_int_equal(json_integer_value(at(n, limits[i], NULL)), -1);
    }
    assert_null(at(n, "issuer_account", NULL));
    assert_null(at(n, "allowed_connection_types", NULL));
    assert_true(has(at(n, "pub", "allow"), "a.>") && has(at(n, "pub", "allow"), "b.c") &&
                has(at(n, "pub", "deny"), "a.secret"));
    assert_true(has(at(n, "sub", "allow"), "d.* q") && has(at(n, "sub", "deny"), "d.x"));
    assert_int_equal(json_integer_value(at(n, "resp", "max")), 3);
    assert_int_equal(json_integer_value(at(n, "resp", "ttl")), 5000000000);
    fx_answer_done(&a);
    fx_world_close(&w);
}

static void refusal(void **state) {
    (void)state;
    struct fx_world w;
    fx_world_open(&w, &dir, NULL);
    struct fx_answer a = fx_ask(&w, &(struct fx_request){.user = "u",
                                                         .pass = "s3cret",
                                                         .issuer = ACCOUNT_R1,
                                                         .seed = SERVER_R1_SEED,
                                                         .user_nkey = USER_R0});
    assert_int_equal(a.outcome, EB_ANSWER);
    assert_text(a.response.iss, ACCOUNT_R1); /* the issuer that this server names */
    assert_text(a.response.aud, SERVER_R1);
    assert_text(a.response.sub, USER_R0);
    assert_string_equal(a.error, "authentication failed");
    assert_int_equal(json_object_size(a.response.nats), 3); /* error, type, version: no reason leaks */
    fx_answer_done(&a);
    fx_world_close(&w);
}

static void issuers_by_the_requests_sub(void **state) {
    (void)state;
    struct fx_world w;
    fx_world_open(&w, &dir, NULL);
    static const char *const issuers[] = {ACCOUNT_R0, ACCOUNT_R1, ACCOUNT_R0};
    for (size_t i = 0; i < EB_COUNT_OF(issuers); i++) {
        struct fx_answer a = fx_ask(&w, &(struct fx_request){.issuer = issuers[i]});
        assert_null(a.error);
        assert_text(a.response.iss, issuers[i]);
        assert_text(a.user.iss, issuers[i]);
        fx_answer_done(&a);
    }
    fx_world_close(&w);
}

static void nothing_is_granted_by_silence(void **state) {
    (void)state;
    struct fx_world w;
    fx_world_open(&w, &dir, NULL);
    static const char *const types[] = {"nats", "mqtt", "websocket"};
    for (size_t i = 0; i < EB_COUNT_OF(types); i++) {
        struct fx_answer a = ask_as(&w, "pub-only", types[i]);
        const json_t *allow = at(a.user.nats, "sub", "allow"), *deny = at(a.user.nats, "sub", "deny");
        /* An MQTT client must not be denied $MQTT.sub.>: its own delivery needs it. */
        if (strcmp(types[i], "mqtt") == 0)
            assert_true(json_array_size(allow) == 1 && has(allow, "$MQTT.sub.>") && !has(deny, ">"));
        else
            assert_true(has(deny, ">"));
        assert_true(has(at(a.user.nats, "pub", "allow"), "a"));
        assert_null(at(a.user.nats, "resp", NULL));
        fx_answer_done(&a);
        a = ask_as(&w, "sub-only", types[i]);
        assert_true(has(at(a.user.nats, "pub", "deny"), ">"));
        assert_true(has(at(a.user.nats, "sub", "allow"), "a"));
        fx_answer_done(&a);
    }
    fx_world_close(&w);
}

static void protected_spaces(void **state) {
    (void)state;
    struct fx_world w;
    fx_world_open(&w, &dir, NULL);
    static const char *const entries[] = {"all", "plain"};
    static const char *const types[] = {"nats", "mqtt", "websocket"};
    static const char *const pub[] = {"$SYS.>", "$SRV.>", "$MQTT.>", "$JS.>", "$XL.>", "$JSC.>"};
    for (size_t e = 0; e < EB_COUNT_OF(entries); e++)
        for (size_t t = 0; t < EB_COUNT_OF(types); t++) {
            struct fx_answer a = ask_as(&w, entries[e], types[t]);
            const json_t *deny = at(a.user.nats, "pub", "deny");
            for (size_t i = 0; i < EB_COUNT_OF(pub); i++)
                if (!has(deny, pub[i]))
                    fail_msg("%s over %s may publish %s", entries[e], types[t], pub[i]);
            deny = at(a.user.nats, "sub", "deny");
            bool mqtt = strcmp(types[t], "mqtt") == 0;
            assert_true(has(deny, "$XL.>"));
            assert_true(has(deny, "$JSC.>"));
            assert_true(has(deny, "_R_.>"));
            assert_int_equal(has(deny, "$MQTT.>"), !mqtt);
            fx_answer_done(&a);
        }
    /* An internal entry reaches them all. */
    struct fx_answer a = fx_ask(&w, &(struct fx_request){.nkey = ADMIN, .sig = admin_sig, .nonce = NONCE});
    assert_string_equal(a.account, "SYS");
    assert_null(at(a.user.nats, "pub", "deny"));
    assert_null(at(a.user.nats, "sub", "deny"));
    fx_answer_done(&a);
    fx_world_close(&w);
}

/* The session's length as the user JWT has it; 0 for none. */
static int64_t session(struct fx_world *w, const struct fx_request *r) {
    int64_t now = eb_wall_s();
    struct fx_answer a = fx_ask(w, r);
    assert_null(a.error);
    int64_t s = a.user.exp ? a.user.exp - now : 0;
    assert_int_equal(a.user.nbf, 0);
    fx_answer_done(&a);
    return s;
}

/* Over many runs: never after the end, never more than 5 % and 300 s before it (and the time that the test
 * took), and not always the same. */
enum { SLACK_S = 10 };
static void check_jitter(struct fx_world *w, const struct fx_request *r, int64_t whole) {
    int64_t most = whole / 20 < 300 ? whole / 20 : 300, least_seen = INT64_MAX, most_seen = 0;
    for (int i = 0; i < 40; i++) {
        int64_t s = session(w, r);
        if (s > whole + 1 || s < whole - most - SLACK_S)
            fail_msg("a session of %lld s, wanted %lld to %lld", (long long)s, (long long)(whole - most),
                     (long long)whole);
        least_seen = s < least_seen ? s : least_seen;
        most_seen = s > most_seen ? s : most_seen;
    }
    if (most > 5)
        assert_true(most_seen - least_seen > most / 4);
}

static void sessions_end_with_their_credential(void **state) {
    (void)state;
    EVP_PKEY *ca_key = mint_key("P-256", 0), *leaf_key = mint_key("P-256", 0);
    eb_auto_free char *ca =
        fx_cert(&(struct fx_cert){.cn = "root", .ca = true, .from_s = -100, .until_s = 100000}, ca_key, NULL);
    eb_auto_free char *leaf =
        fx_cert(&(struct fx_cert){.cn = "device.csc", .issuer_cn = "root", .from_s = -10, .until_s = 2000},
                leaf_key, ca_key);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(leaf_key);
    fx_write(&dir, FX_CA, ca);
    eb_auto_buf struct eb_buf hour = {0}, month = {0}, moment = {0};
    fx_token(&hour, provider, "k1", "app", 3600, "");
    fx_token(&month, provider, "k1", "app", 2592000, "");
    fx_token(&moment, provider, "k1", "app", 200, "");
    struct fx_request by_hour = {.auth_token = hour.p}, by_month = {.auth_token = month.p},
                      by_moment = {.auth_token = moment.p},
                      by_cert = {.chain = (const char *const[]){leaf, ca, NULL}},
                      by_nkey = {.nkey = USER_R0, .sig = sig, .nonce = NONCE},
                      by_admin = {.nkey = ADMIN, .sig = admin_sig, .nonce = NONCE},
                      nobody = {.host = "127.0.0.1"};
    struct fx_world w;
    fx_world_open(&w, &dir, NULL);
    check_jitter(&w, &by_hour, 3600);
    check_jitter(&w, &by_month, 2592000);
    check_jitter(&w, &by_cert, 2000);
    int64_t s = session(&w, &by_moment);
    assert_true(s > 100 && s <= 200);
    assert_int_equal(session(&w, &by_nkey), 0);
    assert_int_equal(session(&w, &nobody), 0);
    assert_int_equal(session(&w, &by_admin), 0);
    fx_world_close(&w);

    fx_world_open(&w, &dir, (const char *const[]){"--session.max-age=30m", NULL});
    check_jitter(&w, &by_hour, 1800);
    check_jitter(&w, &by_month, 1800);
    check_jitter(&w, &by_cert, 1800);
    check_jitter(&w, &by_nkey, 1800);
    check_jitter(&w, &nobody, 1800);
    s = session(&w, &by_moment); /* the earlier of the two */
    assert_true(s > 100 && s <= 200);
    assert_int_equal(session(&w, &by_admin), 0); /* internal: none, whatever is set */
    fx_world_close(&w);

    fx_world_open(&w, &dir, (const char *const[]){"--session.expire-with-credential=false", NULL});
    assert_int_equal(session(&w, &by_hour), 0);
    assert_int_equal(session(&w, &by_cert), 0);
    fx_world_close(&w);

    fx_world_open(
        &w, &dir,
        (const char *const[]){"--session.expire-with-credential=false", "--session.max-age=100ms", NULL});
    s = session(&w, &by_hour);
    assert_in_range(s, 1,
                    2); /* whole seconds on the wire, rounded up: never a session that is over at once */
    fx_world_close(&w);
    (void)remove(fx_path(&dir, FX_CA));
}

static void leaves_carry_no_end(void **state) {
    (void)state;
    struct fx_dir d = fx_dir_make();
    fx_write(&d, FX_POLICY,
             "nkey: {hub: {public_key: " USER_R0 ", account: CSC, connections: [leaf, nats]}}\n");
    fx_write(&d, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    struct fx_world w;
    fx_world_open(&w, &d, (const char *const[]){"--session.max-age=1h", NULL});
    assert_int_equal(
        session(&w, &(struct fx_request){.kind = "Leafnode", .nkey = USER_R0, .sig = sig, .nonce = NONCE}),
        0);
    assert_true(session(&w, &(struct fx_request){.nkey = USER_R0, .sig = sig, .nonce = NONCE}) >
                0); /* the same entry as a client */
    fx_world_close(&w);
    fx_dir_remove(&d);
}

static void the_decision_is_logged_without_secrets(void **state) {
    (void)state;
    struct fx_world w;
    fx_world_open(&w, &dir, NULL);
    eb_log_set_level("info");
    fx_stderr_begin();
    eb_auto_buf struct eb_buf t = {0};
    fx_token(&t, provider, "k1", "app", 600, ",\"sub\":\"s\\u0001\\n\\\"\\u2028\"");
    struct fx_answer a = fx_ask(&w, &(struct fx_request){.type = "mqtt",
                                                         .mqtt_id = "dev-1",
                                                         .user = "u",
                                                         .pass = t.p,
                                                         .auth_token = t.p,
                                                         .host = "192.0.2.1"});
    struct fx_answer b = fx_ask(&w, &(struct fx_request){.user = "eve", .pass = "hunter2"});
    struct fx_answer c =
        fx_ask(&w, &(struct fx_request){.user = t.p, .pass = "hunter2"}); /* a token in the wrong field */
    struct fx_answer d = fx_ask(&w, &(struct fx_request){.aud = "x"});
    eb_auto_free char *text = fx_stderr_end();
    eb_log_set_level("error");
    assert_null(strstr(text, t.p));
    assert_null(strstr(text, "hunter2"));
    assert_null(strstr(text, "SAA"));
    const struct {
        const char *key, *value;
    } want[] = {{"msg", "admitted"}, {"method", "oauth2"},  {"reason", "ok"}, {"entry", "app"},
                {"account", "CSC"},  {"host", "192.0.2.1"}, {"kind", "mqtt"}, {"mqtt_id", "dev-1"}};
    struct eb_str rest = eb_str(text);
    size_t lines = 0;
    while (rest.p && rest.n) {
        struct eb_str line = eb_str_cut(&rest, '\n');
        EB_CLEANUP(json_decrefp) json_t *o = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(o))
            fail_msg("not a JSON object: %.*s", EB_STR_ARG(line));
        for (size_t i = 0; lines == 0 && i < EB_COUNT_OF(want); i++)
            if (!json_is_string(json_object_get(o, want[i].key)) ||
                strcmp(json_string_value(json_object_get(o, want[i].key)), want[i].value) != 0)
                fail_msg("%s is not %s in %.*s", want[i].key, want[i].value, EB_STR_ARG(line));
        static const char *const reasons[] = {"ok", "unrecognized_credentials", "unrecognized_credentials",
                                              "request_audience"};
        assert_true(lines < 4);
        assert_string_equal(json_string_value(json_object_get(o, "reason")), reasons[lines]);
        if (lines < 3)
            assert_true(json_is_integer(json_object_get(o, "duration_us")) &&
                        json_is_integer(json_object_get(o, "client_id")));
        lines++;
    }
    assert_int_equal(lines, 4);
    fx_answer_done(&a);
    fx_answer_done(&b);
    fx_answer_done(&c);
    fx_answer_done(&d);
    fx_world_close(&w);
}

/* Operator mode: the account's key signs the user, the callout account's signing key the answer. */
static void operator_mode(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *sk = NULL, *callout = NULL;
    assert_int_equal(eb_nkey_generate(EB_NKEY_ACCOUNT, &sk), EB_OK);
    assert_int_equal(eb_nkey_generate(EB_NKEY_ACCOUNT, &callout), EB_OK);
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(sk);
    struct eb_str seed_text = eb_secret_get(seed);
    struct fx_dir own = fx_dir_make();
    fx_jwks(&own, provider, "k1");
    fx_write(&own, FX_POLICY,
             "oauth2:\n  app: {azp: app, account: APP, permissions: {pub: {allow: [a.>]}}}\n");
    fx_write(&own, FX_ISSUERS, ACCOUNT_R0_SEED);
    for (size_t i = 0; i < 3; i++) { /* the account's own key, a signing key, a scoped one */
        eb_auto_buf struct eb_buf yaml = {0};
        char flag[200];
        eb_buf_printf(&yaml,
                      "nats: {issuer-account: %s}\naccounts: {APP: {id: " ACCOUNT_R1
                      ", scoped: %s, signing-seed: ",
                      eb_nkey_public(callout), i == 2 ? "true" : "false");
        eb_buf_str(&yaml, i == 0 ? EB_STR(ACCOUNT_R1_SEED) : seed_text);
        eb_buf_z(&yaml, "}}\n");
        fx_write(&own, "config.yaml", yaml.p);
        (void)snprintf(flag, sizeof flag, "--config=%s", fx_path(&own, "config.yaml"));
        struct fx_world w;
        fx_world_open(&w, &own, (const char *const[]){flag, NULL});
        eb_auto_buf struct eb_buf t = {0};
        fx_token(&t, provider, "k1", "app", 600, "");
        int64_t before = eb_wall_s();
        struct fx_answer a =
            fx_ask(&w, &(struct fx_request){.issuer = eb_nkey_public(callout), .auth_token = t.p});
        if (a.outcome != EB_ANSWER || a.error)
            fail_msg("case %zu: %s", i, eb_rc_name(a.reason));
        assert_text(a.response.iss, ACCOUNT_R0);
        assert_string_equal(json_string_value(at(a.response.nats, "issuer_account", NULL)),
                            eb_nkey_public(callout));
        assert_text(a.user.iss, i == 0 ? ACCOUNT_R1 : eb_nkey_public(sk));
        assert_null(a.user.aud.p);
        assert_true(a.user.iat >= before); /* without iat nothing can be revoked */
        assert_true(a.user.exp > before);
        const json_t *account = at(a.user.nats, "issuer_account", NULL);
        assert_true(i == 0 ? !account : strcmp(json_string_value(account), ACCOUNT_R1) == 0);
        assert_int_equal(at(a.user.nats, "pub", NULL) != NULL, i != 2);
        assert_int_equal(at(a.user.nats, "subs", NULL) != NULL, i != 2);
        fx_answer_done(&a);
        fx_world_close(&w);
    }
    fx_dir_remove(&own);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(admission),
        cmocka_unit_test(refusal),
        cmocka_unit_test(issuers_by_the_requests_sub),
        cmocka_unit_test(nothing_is_granted_by_silence),
        cmocka_unit_test(protected_spaces),
        cmocka_unit_test(sessions_end_with_their_credential),
        cmocka_unit_test(leaves_carry_no_end),
        cmocka_unit_test(the_decision_is_logged_without_secrets),
        cmocka_unit_test(operator_mode),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
