/* Which method a request's credentials choose, row by row, and every refusal of the methods that need no
 * token. */
#include "fixture.h"

#define NONCE "nonce-of-15-chs"

static const char policy[] = "oauth2:\n"
                             "  app: {azp: app, account: CSC}\n"
                             "mtls:\n"
                             "  device: {identity: \"CN=device.csc\", account: CSC}\n"
                             "  by-mail: {identity: \"EMAIL=pump@example.org\", account: CSC}\n"
                             "  by-uri: {identity: \"URI=spiffe://csc/pump\", account: CSC}\n"
                             "  by-dns: {identity: \"DNS=pump.example.org\", account: CSC}\n"
                             "  bound: {identity: \"CN=bms.csc\", account: CSC, mqtt_client_id: \"bms-*\"}\n"
                             "nkey:\n"
                             "  worker: {public_key: " USER_R0 ", account: CSC}\n"
                             "  hub: {public_key: " USER_R1 ", account: CSC, connections: [leaf]}\n"
                             "noauth: {account: CSC, src: [127.0.0.0/8, \"::1/128\"]}\n";

static struct fx_world world;
static struct fx_dir dir;
static EVP_PKEY *rsa, *ca_key, *other_ca_key, *leaf_key;
static struct eb_buf token, token2, sentinel;
static char *sig, *sig_r1, *sig_other_nonce, *std_sig;
static char *ca, *inter, *leaf, *leaf_expired, *leaf_early, *leaf_server, *leaf_foreign, *leaf_unknown,
    *leaf_inter, *leaf_mail, *leaf_uri, *leaf_dns, *leaf_bound, *leaf_no_eku;

static char *standard_base64(const char *url) {
    char *s = eb_str_dup(eb_str(url));
    for (char *c = s; *c; c++)
        *c = (char)(*c == '-' ? '+' : *c == '_' ? '/' : *c);
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_printf(&b, "%s==", s);
    free(s);
    return eb_buf_take(&b);
}

static char *client_cert(const char *cn, int64_t from, int64_t until, const char *eku, const char *san,
                         EVP_PKEY *issuer) {
    struct fx_cert c = {.cn = cn,
                        .issuer_cn = issuer == other_ca_key ? "other" : "root",
                        .eku = eku,
                        .from_s = from,
                        .until_s = until,
                        .san = san};
    return fx_cert(&c, leaf_key, issuer);
}

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    rsa = mint_key("RSA", 2048);
    ca_key = mint_key("P-256", 0);
    other_ca_key = mint_key("P-256", 0);
    leaf_key = mint_key("P-256", 0);
    EVP_PKEY *inter_key = mint_key("P-256", 0);
    ca = fx_cert(&(struct fx_cert){.cn = "root", .ca = true, .from_s = -100, .until_s = 10000}, ca_key, NULL);
    inter = fx_cert(
        &(struct fx_cert){.cn = "inter", .issuer_cn = "root", .ca = true, .from_s = -100, .until_s = 10000},
        inter_key, ca_key);
    leaf_inter = fx_cert(
        &(struct fx_cert){
            .cn = "device.csc", .issuer_cn = "inter", .eku = "clientAuth", .from_s = -10, .until_s = 1000},
        leaf_key, inter_key);
    EVP_PKEY_free(inter_key);
    leaf = client_cert("device.csc", -10, 1000, "clientAuth", NULL, ca_key);
    leaf_no_eku = client_cert("device.csc", -10, 1000, NULL, NULL, ca_key);
    leaf_expired = client_cert("device.csc", -100, -10, "clientAuth", NULL, ca_key);
    leaf_early = client_cert("device.csc", 100, 1000, "clientAuth", NULL, ca_key);
    leaf_server = client_cert("device.csc", -10, 1000, "serverAuth", NULL, ca_key);
    leaf_foreign = client_cert("device.csc", -10, 1000, "clientAuth", NULL, other_ca_key);
    leaf_unknown = client_cert("stranger", -10, 1000, "clientAuth", NULL, ca_key);
    leaf_mail = client_cert("stranger", -10, 1000, "clientAuth", "email:pump@example.org", ca_key);
    leaf_uri = client_cert("stranger", -10, 1000, "clientAuth", "URI:spiffe://csc/pump", ca_key);
    leaf_dns = client_cert("stranger", -10, 1000, "clientAuth", "DNS:pump.example.org", ca_key);
    leaf_bound = client_cert("bms.csc", -10, 1000, "clientAuth", NULL, ca_key);
    fx_write(&dir, FX_POLICY, policy);
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n" ACCOUNT_R0 "\n");
    fx_write(&dir, FX_CA, ca);
    fx_jwks(&dir, rsa, "k1");
    fx_token(&token, rsa, "k1", "app", 600, "");
    fx_token(&token2, rsa, "k1", "app", 601, "");
    fixture_token(&sentinel, EB_STR(USUAL_HEADER),
                  EB_STR("{\"iss\":\"" USER_R0 "\",\"sub\":\"" USER_R0
                         "\",\"nats\":{\"type\":\"user\",\"version\":2}}"),
                  USER_R0_SEED);
    sig = fx_sig(USER_R0_SEED, NONCE);
    sig_r1 = fx_sig(USER_R1_SEED, NONCE);
    sig_other_nonce = fx_sig(USER_R0_SEED, "another-nonce-1");
    std_sig = standard_base64(sig);
    fx_world_open(&world, &dir, NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fx_world_close(&world);
    fx_dir_remove(&dir);
    EVP_PKEY *keys[] = {rsa, ca_key, other_ca_key, leaf_key};
    for (size_t i = 0; i < EB_COUNT_OF(keys); i++)
        EVP_PKEY_free(keys[i]);
    char *texts[] = {sig,        sig_r1,       sig_other_nonce, std_sig,     ca,           inter,
                     leaf,       leaf_expired, leaf_early,      leaf_server, leaf_foreign, leaf_unknown,
                     leaf_inter, leaf_mail,    leaf_uri,        leaf_dns,    leaf_bound,   leaf_no_eku};
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++)
        free(texts[i]);
    eb_buf_done(&token);
    eb_buf_done(&token2);
    eb_buf_done(&sentinel);
    return 0;
}

struct row {
    const char *what;
    struct fx_request r;
    enum eb_method method;
    enum eb_rc reason;
    const char *entry; /* where it is admitted */
};

static void run_rows(struct fx_world *w, const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct fx_answer a = fx_ask(w, &rows[i].r);
        if (a.outcome != EB_ANSWER || a.method != rows[i].method || a.reason != rows[i].reason)
            fail_msg("%s: outcome %d, method %s, reason %s; wanted %s, %s", rows[i].what, (int)a.outcome,
                     eb_method_name(a.method), eb_rc_name(a.reason), eb_method_name(rows[i].method),
                     eb_rc_name(rows[i].reason));
        if (rows[i].reason == EB_OK) {
            if (a.error || !a.name || strcmp(a.name, rows[i].entry) != 0)
                fail_msg("%s: admitted as %s, wanted %s", rows[i].what, a.name ? a.name : "nobody",
                         rows[i].entry);
        } else if (!a.error || strcmp(a.error, "authentication failed") != 0) {
            fail_msg("%s: the refusal says %s", rows[i].what, a.error ? a.error : "nothing");
        }
        fx_answer_done(&a);
    }
}

#define CHAIN(...)                                                                                           \
    (const char *const[]) {                                                                                  \
        __VA_ARGS__, NULL                                                                                    \
    }
#define OK EB_OK

static void tokens_choose_oauth2(void **state) {
    (void)state;
    const char *t = token.p, *t2 = token2.p, *s = sentinel.p;
    const struct row rows[] = {
        {"oauthtoken with a token", {.user = "oauthtoken", .pass = t}, EB_METHOD_OAUTH2, OK, "app"},
        {"oauthtoken with no token in pass",
         {.user = "oauthtoken", .pass = "secret"},
         EB_METHOD_OAUTH2,
         EB_E_MALFORMED,
         NULL},
        {"oauthtoken with a NATS JWT",
         {.user = "oauthtoken", .pass = s},
         EB_METHOD_OAUTH2,
         EB_E_WRONG_ISSUER,
         NULL},
        {"oauthtoken without a password", {.user = "oauthtoken"}, EB_METHOD_NOAUTH, EB_E_UNRECOGNIZED, NULL},
        {"OAUTHTOKEN is another user",
         {.user = "OAUTHTOKEN", .pass = t},
         EB_METHOD_NOAUTH,
         EB_E_UNRECOGNIZED,
         NULL},
        {"MQTT password",
         {.type = "mqtt", .user = "any", .pass = t, .auth_token = t},
         EB_METHOD_OAUTH2,
         OK,
         "app"},
        {"MQTT password, empty user",
         {.type = "mqtt", .user = "", .pass = t, .auth_token = t},
         EB_METHOD_OAUTH2,
         OK,
         "app"},
        {"MQTT password that is no token",
         {.type = "mqtt", .user = "any", .pass = "pw", .auth_token = "pw"},
         EB_METHOD_NOAUTH,
         EB_E_UNRECOGNIZED,
         NULL},
        {"NATS password with a token, other user",
         {.user = "any", .pass = t},
         EB_METHOD_NOAUTH,
         EB_E_UNRECOGNIZED,
         NULL},
        {"WebSocket password with a token, other user",
         {.type = "websocket", .user = "any", .pass = t},
         EB_METHOD_NOAUTH,
         EB_E_UNRECOGNIZED,
         NULL},
        {"auth_token", {.auth_token = t}, EB_METHOD_OAUTH2, OK, "app"},
        {"auth_token that is no token", {.auth_token = "s3cret"}, EB_METHOD_NOAUTH, EB_E_UNRECOGNIZED, NULL},
        {"jwt", {.jwt = t}, EB_METHOD_OAUTH2, OK, "app"},
        {"the same token twice", {.auth_token = t, .jwt = t}, EB_METHOD_OAUTH2, OK, "app"},
        {"two tokens: auth_token and jwt",
         {.auth_token = t, .jwt = t2},
         EB_METHOD_OAUTH2,
         EB_E_CONFLICTING_TOKENS,
         NULL},
        {"two tokens: MQTT pass and auth_token",
         {.type = "mqtt", .user = "u", .pass = t, .auth_token = t2},
         EB_METHOD_OAUTH2,
         EB_E_CONFLICTING_TOKENS,
         NULL},
        {"two tokens: oauthtoken and jwt",
         {.user = "oauthtoken", .pass = t, .jwt = t2},
         EB_METHOD_OAUTH2,
         EB_E_CONFLICTING_TOKENS,
         NULL},
        {"a token that fails does not fall through to nkey",
         {.auth_token = "eyJhbGciOiJub25lIn0.e30.AA", .nkey = USER_R0, .sig = sig, .nonce = NONCE},
         EB_METHOD_OAUTH2,
         EB_E_WRONG_ISSUER,
         NULL},
        {"a token beside a certificate wins",
         {.auth_token = t, .chain = CHAIN(leaf, ca)},
         EB_METHOD_OAUTH2,
         OK,
         "app"},
        {"a bad token beside a certificate refuses",
         {.auth_token = "eyJhbGciOiJub25lIn0.e30.AA", .chain = CHAIN(leaf, ca)},
         EB_METHOD_OAUTH2,
         EB_E_WRONG_ISSUER,
         NULL},
        {"a token at the leaf port",
         {.kind = "Leafnode", .auth_token = t},
         EB_METHOD_OAUTH2,
         EB_E_LEAF_REFUSED,
         NULL},
        {"a token from an unknown kind of client",
         {.kind = "Account", .auth_token = t},
         EB_METHOD_OAUTH2,
         EB_E_CONNECTION_TYPE,
         NULL},
        {"a token from a client of an unknown type",
         {.type = "carrier-pigeon", .auth_token = t},
         EB_METHOD_OAUTH2,
         EB_E_CONNECTION_TYPE,
         NULL},
        {"a token from a client without a type",
         {.type = "-", .auth_token = t},
         EB_METHOD_OAUTH2,
         EB_E_CONNECTION_TYPE,
         NULL},
    };
    run_rows(&world, rows, EB_COUNT_OF(rows));
}

static void sentinels_choose_nothing(void **state) {
    (void)state;
    const char *s = sentinel.p;
    const struct row rows[] = {
        {"alone: anonymous", {.jwt = s}, EB_METHOD_NOAUTH, OK, "noauth"},
        {"with its own signature", {.jwt = s, .sig = sig, .nonce = NONCE}, EB_METHOD_NOAUTH, OK, "noauth"},
        {"with its own signature, beside a token",
         {.jwt = s, .sig = sig, .nonce = NONCE, .auth_token = token.p},
         EB_METHOD_OAUTH2,
         OK,
         "app"},
        {"beside a token in auth_token", {.jwt = s, .auth_token = token.p}, EB_METHOD_OAUTH2, OK, "app"},
        {"beside oauthtoken", {.jwt = s, .user = "oauthtoken", .pass = token.p}, EB_METHOD_OAUTH2, OK, "app"},
        {"beside an nkey",
         {.jwt = s, .nkey = USER_R0, .sig = sig, .nonce = NONCE},
         EB_METHOD_NKEY,
         OK,
         "worker"},
        {"beside a certificate", {.jwt = s, .chain = CHAIN(leaf, ca)}, EB_METHOD_MTLS, OK, "device"},
        {"beside user and password",
         {.jwt = s, .user = "u", .pass = "p"},
         EB_METHOD_NOAUTH,
         EB_E_UNRECOGNIZED,
         NULL},
    };
    run_rows(&world, rows, EB_COUNT_OF(rows));
}

static void certificates_choose_mtls(void **state) {
    (void)state;
    const struct row rows[] = {
        {"leaf and root", {.chain = CHAIN(leaf, ca)}, EB_METHOD_MTLS, OK, "device"},
        {"leaf alone", {.chain = CHAIN(leaf)}, EB_METHOD_MTLS, OK, "device"},
        {"no extended key usage", {.chain = CHAIN(leaf_no_eku, ca)}, EB_METHOD_MTLS, OK, "device"},
        {"with an intermediate", {.chain = CHAIN(leaf_inter, inter, ca)}, EB_METHOD_MTLS, OK, "device"},
        {"without the intermediate",
         {.chain = CHAIN(leaf_inter, ca)},
         EB_METHOD_MTLS,
         EB_E_CERT_UNTRUSTED,
         NULL},
        {"by mail", {.chain = CHAIN(leaf_mail, ca)}, EB_METHOD_MTLS, OK, "by-mail"},
        {"by URI", {.chain = CHAIN(leaf_uri, ca)}, EB_METHOD_MTLS, OK, "by-uri"},
        {"by DNS name", {.chain = CHAIN(leaf_dns, ca)}, EB_METHOD_MTLS, OK, "by-dns"},
        {"user and password beside it",
         {.user = "u", .pass = "p", .chain = CHAIN(leaf, ca)},
         EB_METHOD_MTLS,
         OK,
         "device"},
        {"MQTT user and password beside it",
         {.type = "mqtt", .user = "u", .pass = "p", .auth_token = "p", .chain = CHAIN(leaf, ca)},
         EB_METHOD_MTLS,
         OK,
         "device"},
        {"an nkey beside it",
         {.nkey = USER_R0, .sig = sig, .nonce = NONCE, .chain = CHAIN(leaf, ca)},
         EB_METHOD_MTLS,
         OK,
         "device"},
        {"another CA, and an nkey that would do",
         {.nkey = USER_R0, .sig = sig, .nonce = NONCE, .chain = CHAIN(leaf_foreign)},
         EB_METHOD_MTLS,
         EB_E_CERT_UNTRUSTED,
         NULL},
        {"not verified by the server", {.certs = CHAIN(leaf, ca)}, EB_METHOD_MTLS, EB_E_CERT_UNTRUSTED, NULL},
        {"expired", {.chain = CHAIN(leaf_expired, ca)}, EB_METHOD_MTLS, EB_E_CERT_EXPIRED, NULL},
        {"not yet valid", {.chain = CHAIN(leaf_early, ca)}, EB_METHOD_MTLS, EB_E_CERT_NOT_YET_VALID, NULL},
        {"for servers only", {.chain = CHAIN(leaf_server, ca)}, EB_METHOD_MTLS, EB_E_CERT_PURPOSE, NULL},
        {"no entry", {.chain = CHAIN(leaf_unknown, ca)}, EB_METHOD_MTLS, EB_E_UNKNOWN_IDENTITY, NULL},
        {"garbage",
         {.chain = CHAIN("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")},
         EB_METHOD_MTLS,
         EB_E_CERT_MALFORMED,
         NULL},
        {"at the leaf port",
         {.kind = "Leafnode", .chain = CHAIN(leaf, ca)},
         EB_METHOD_MTLS,
         EB_E_LEAF_REFUSED,
         NULL},
        {"its own client id",
         {.type = "mqtt", .mqtt_id = "bms-7", .chain = CHAIN(leaf_bound, ca)},
         EB_METHOD_MTLS,
         OK,
         "bound"},
        {"another's client id",
         {.type = "mqtt", .mqtt_id = "bms-7", .chain = CHAIN(leaf, ca)},
         EB_METHOD_MTLS,
         EB_E_CLIENT_ID,
         NULL},
        {"outside its client ids",
         {.type = "mqtt", .mqtt_id = "pump", .chain = CHAIN(leaf_bound, ca)},
         EB_METHOD_MTLS,
         EB_E_CLIENT_ID,
         NULL},
    };
    run_rows(&world, rows, EB_COUNT_OF(rows));
    run_rows(&world, rows, EB_COUNT_OF(rows)); /* the chains are remembered now: the verdicts stay */
}

static void nkeys_are_checked(void **state) {
    (void)state;
    const struct row rows[] = {
        {"good", {.nkey = USER_R0, .sig = sig, .nonce = NONCE}, EB_METHOD_NKEY, OK, "worker"},
        {"signature in standard base64",
         {.nkey = USER_R0, .sig = std_sig, .nonce = NONCE},
         EB_METHOD_NKEY,
         OK,
         "worker"},
        {"user and password beside it",
         {.user = "u", .pass = "p", .nkey = USER_R0, .sig = sig, .nonce = NONCE},
         EB_METHOD_NKEY,
         OK,
         "worker"},
        {"no signature", {.nkey = USER_R0, .nonce = NONCE}, EB_METHOD_NKEY, EB_E_NKEY_UNSIGNED, NULL},
        {"empty signature",
         {.nkey = USER_R0, .sig = "", .nonce = NONCE},
         EB_METHOD_NKEY,
         EB_E_NKEY_UNSIGNED,
         NULL},
        {"no nonce", {.nkey = USER_R0, .sig = sig}, EB_METHOD_NKEY, EB_E_NKEY_UNSIGNED, NULL},
        {"another's signature",
         {.nkey = USER_R0, .sig = sig_r1, .nonce = NONCE},
         EB_METHOD_NKEY,
         EB_E_NKEY_SIGNATURE,
         NULL},
        {"over another nonce",
         {.nkey = USER_R0, .sig = sig_other_nonce, .nonce = NONCE},
         EB_METHOD_NKEY,
         EB_E_NKEY_SIGNATURE,
         NULL},
        {"garbage for a signature",
         {.nkey = USER_R0, .sig = "!!", .nonce = NONCE},
         EB_METHOD_NKEY,
         EB_E_NKEY_SIGNATURE,
         NULL},
        {"an account key",
         {.nkey = ACCOUNT_R0, .sig = sig, .nonce = NONCE},
         EB_METHOD_NKEY,
         EB_E_NKEY_SIGNATURE,
         NULL},
        {"a seed for a key",
         {.nkey = USER_R0_SEED, .sig = sig, .nonce = NONCE},
         EB_METHOD_NKEY,
         EB_E_NKEY_SIGNATURE,
         NULL},
        {"text for a key",
         {.nkey = "nobody", .sig = sig, .nonce = NONCE},
         EB_METHOD_NKEY,
         EB_E_NKEY_SIGNATURE,
         NULL},
        {"a signature without a key",
         {.sig = sig, .nonce = NONCE},
         EB_METHOD_NOAUTH,
         EB_E_UNRECOGNIZED,
         NULL},
        {"listed for leaf only, as a client",
         {.nkey = USER_R1, .sig = sig_r1, .nonce = NONCE},
         EB_METHOD_NKEY,
         EB_E_CONNECTION_TYPE,
         NULL},
        {"listed for leaf, as a leaf",
         {.kind = "Leafnode", .nkey = USER_R1, .sig = sig_r1, .nonce = NONCE},
         EB_METHOD_NKEY,
         OK,
         "hub"},
        {"not listed for leaf, as a leaf",
         {.kind = "Leafnode", .nkey = USER_R0, .sig = sig, .nonce = NONCE},
         EB_METHOD_NKEY,
         EB_E_LEAF_REFUSED,
         NULL},
    };
    run_rows(&world, rows, EB_COUNT_OF(rows));
}

static void unlisted_nkeys_are_refused(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
    assert_int_equal(eb_nkey_generate(EB_NKEY_USER, &k), EB_OK);
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(k);
    eb_auto_free char *text = eb_str_dup(eb_secret_get(seed)), *s = fx_sig(text, NONCE);
    const struct row rows[] = {{"unlisted",
                                {.nkey = eb_nkey_public(k), .sig = s, .nonce = NONCE},
                                EB_METHOD_NKEY,
                                EB_E_UNKNOWN_IDENTITY,
                                NULL}};
    run_rows(&world, rows, 1);
}

static void the_rest(void **state) {
    (void)state;
    const struct row rows[] = {
        {"nothing", {.host = "127.0.0.1"}, EB_METHOD_NOAUTH, OK, "noauth"},
        {"nothing, MQTT", {.type = "mqtt", .mqtt_id = "dev"}, EB_METHOD_NOAUTH, OK, "noauth"},
        {"empty texts are nothing",
         {.user = "", .pass = "", .auth_token = "", .jwt = "", .nkey = "", .sig = ""},
         EB_METHOD_NOAUTH,
         OK,
         "noauth"},
        {"IPv6", {.host = "::1"}, EB_METHOD_NOAUTH, OK, "noauth"},
        {"outside src", {.host = "192.0.2.7"}, EB_METHOD_NOAUTH, EB_E_SRC, NULL},
        {"an address that is none", {.host = "localhost"}, EB_METHOD_NOAUTH, EB_E_SRC, NULL},
        {"a bound client id", {.type = "mqtt", .mqtt_id = "bms-9"}, EB_METHOD_NOAUTH, EB_E_CLIENT_ID, NULL},
        {"at the leaf port", {.kind = "Leafnode"}, EB_METHOD_NOAUTH, EB_E_LEAF_REFUSED, NULL},
        {"a user", {.user = "u"}, EB_METHOD_NOAUTH, EB_E_UNRECOGNIZED, NULL},
        {"a password", {.pass = "p"}, EB_METHOD_NOAUTH, EB_E_UNRECOGNIZED, NULL},
        {"user and password", {.user = "u", .pass = "p"}, EB_METHOD_NOAUTH, EB_E_UNRECOGNIZED, NULL},
        {"an empty certificate list does not count",
         {.user = "u", .pass = "p"},
         EB_METHOD_NOAUTH,
         EB_E_UNRECOGNIZED,
         NULL},
    };
    run_rows(&world, rows, EB_COUNT_OF(rows));
}

static void other_settings(void **state) {
    (void)state;
    struct fx_world w;
    fx_world_open(&w, &dir, (const char *const[]){"--noauth.accept-unrecognized=true", NULL});
    const struct row taken[] = {
        {"user and password", {.user = "u", .pass = "p"}, EB_METHOD_NOAUTH, OK, "noauth"},
        {"a bad nkey still refuses",
         {.nkey = USER_R0, .nonce = NONCE},
         EB_METHOD_NKEY,
         EB_E_NKEY_UNSIGNED,
         NULL},
        {"a bad token still refuses",
         {.user = "oauthtoken", .pass = "x"},
         EB_METHOD_OAUTH2,
         EB_E_MALFORMED,
         NULL},
        {"outside src", {.user = "u", .pass = "p", .host = "192.0.2.7"}, EB_METHOD_NOAUTH, EB_E_SRC, NULL},
    };
    run_rows(&w, taken, EB_COUNT_OF(taken));
    fx_world_close(&w);

    struct fx_dir bare = fx_dir_make(); /* no noauth entry, no CA, no key source */
    fx_write(&bare, FX_POLICY, "nkey: {worker: {public_key: " USER_R0 ", account: CSC}}\n");
    fx_write(&bare, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    fx_world_open(&w, &bare, NULL);
    const struct row off[] = {
        {"noauth is off", {.host = "127.0.0.1"}, EB_METHOD_NOAUTH, EB_E_NOAUTH_OFF, NULL},
        {"mtls is off", {.chain = CHAIN(leaf, ca)}, EB_METHOD_MTLS, EB_E_METHOD_OFF, NULL},
        {"oauth2 is off", {.auth_token = token.p}, EB_METHOD_OAUTH2, EB_E_METHOD_OFF, NULL},
        {"nkey works", {.nkey = USER_R0, .sig = sig, .nonce = NONCE}, EB_METHOD_NKEY, OK, "worker"},
    };
    run_rows(&w, off, EB_COUNT_OF(off));
    fx_world_close(&w);
    fx_dir_remove(&bare);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_choose_oauth2),
        cmocka_unit_test(sentinels_choose_nothing),
        cmocka_unit_test(certificates_choose_mtls),
        cmocka_unit_test(nkeys_are_checked),
        cmocka_unit_test(unlisted_nkeys_are_refused),
        cmocka_unit_test(the_rest),
        cmocka_unit_test(other_settings),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
