/* Tokens through the whole core: each refusal of issue and design by its reason, the look-up order, and 6 KiB
 * tokens. */
#include <stdio.h>

#include "clock.h"
#include "fixture.h"

static const char policy[] = "oauth2:\n"
                             "  app: {azp: app, account: CSC}\n"
                             "  scoped: {azp: scoped, account: CSC, required_scope: mqtt}\n"
                             "  both: {azp: app2, subject: sub2, account: CSC}\n"
                             "  by-subject: {subject: sub2, account: CSC}\n"
                             "  by-azp: {azp: app2, account: CSC}\n"
                             "  fenced: {azp: fenced, account: CSC, src: [10.0.0.0/8], connections: [mqtt], "
                             "mqtt_client_id: \"bms-*\"}\n"
                             "  elsewhere: {azp: elsewhere, account: LaunchLayer}\n";

static struct fx_world world;
static struct fx_dir dir;
static EVP_PKEY *rsa, *ec, *ed, *stranger;

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    rsa = mint_key("RSA", 2048);
    stranger = mint_key("RSA", 2048);
    ec = mint_key("P-256", 0);
    ed = mint_key("ED25519", 0);
    fx_write(&dir, FX_POLICY, policy);
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_z(&b, "{\"keys\":[");
    mint_jwk(&b, rsa, "\"kid\":\"rsa\"");
    eb_buf_ch(&b, ',');
    mint_jwk(&b, ec, "\"kid\":\"ec\"");
    eb_buf_ch(&b, ',');
    mint_jwk(&b, ed, "\"kid\":\"ed\"");
    eb_buf_z(&b, "]}");
    fx_write(&dir, FX_JWKS, b.p);
    fx_world_open(&world, &dir,
                  (const char *const[]){"--jwks.signing-algorithms=RS256,PS256,ES256,EdDSA", NULL});
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fx_world_close(&world);
    fx_dir_remove(&dir);
    EVP_PKEY *keys[] = {rsa, ec, ed, stranger};
    for (size_t i = 0; i < EB_COUNT_OF(keys); i++)
        EVP_PKEY_free(keys[i]);
    return 0;
}

/* A claim set with the usual ones replaced where given; times from now. */
struct claims {
    const char *iss, *aud, *azp, *more;
    int64_t exp, nbf, iat;
    bool no_exp, no_iss;
};

static void write_claims(char *to, size_t size, const struct claims *c) {
    eb_auto_buf struct eb_buf b = {0};
    int64_t now = eb_wall_s();
    eb_buf_printf(&b, "{\"azp\":\"%s\",\"aud\":%s", c->azp ? c->azp : "app",
                  c->aud ? c->aud : "\"" FX_AUD "\"");
    if (!c->no_iss)
        eb_buf_printf(&b, ",\"iss\":%s", c->iss ? c->iss : "\"" FX_ISS "\"");
    if (!c->no_exp)
        eb_buf_printf(&b, ",\"exp\":%lld", (long long)(now + (c->exp ? c->exp : 600)));
    eb_buf_printf(&b, ",\"iat\":%lld", (long long)(now + c->iat));
    if (c->nbf)
        eb_buf_printf(&b, ",\"nbf\":%lld", (long long)(now + c->nbf));
    eb_buf_printf(&b, "%s}", c->more ? c->more : "");
    MINT_MUST(b.n < size);
    memcpy(to, b.p, b.n + 1);
}

struct row {
    const char *what;
    struct claims c;
    const char *header; /* NULL = RS256 by kid rsa */
    enum eb_rc reason;
    const char *entry;
};

static void expect(const char *what, struct fx_request r, enum eb_rc reason, const char *entry) {
    struct fx_answer a = fx_ask(&world, &r);
    if (a.outcome != EB_ANSWER || a.reason != reason || a.method != EB_METHOD_OAUTH2 || !a.error != !reason)
        fail_msg("%s: outcome %d, %s by %s, wanted %s", what, (int)a.outcome, eb_rc_name(a.reason),
                 eb_method_name(a.method), eb_rc_name(reason));
    if (entry && strcmp(a.name, entry) != 0)
        fail_msg("%s: entry %s, wanted %s", what, a.name, entry);
    fx_answer_done(&a);
}

static void claims_are_judged(void **state) {
    (void)state;
    const struct row rows[] = {
        {"good", {.exp = 0}, NULL, EB_OK, "app"},
        {"expired", {.exp = -1, .iat = -100}, NULL, EB_E_EXPIRED, NULL},
        {"expired within the leeway of nbf", {.exp = -3, .iat = -100}, NULL, EB_E_EXPIRED, NULL},
        {"no exp", {.no_exp = true}, NULL, EB_E_MISSING_CLAIM, NULL},
        {"not yet valid", {.nbf = 60}, NULL, EB_E_NOT_YET_VALID, NULL},
        {"nbf within the leeway", {.nbf = 3}, NULL, EB_OK, "app"},
        {"issued in the future", {.iat = 60}, NULL, EB_E_NOT_YET_VALID, NULL},
        {"issued within the leeway", {.iat = 3}, NULL, EB_OK, "app"},
        {"another issuer", {.iss = "\"https://issuer.example/\""}, NULL, EB_E_WRONG_ISSUER, NULL},
        {"no issuer", {.no_iss = true}, NULL, EB_E_WRONG_ISSUER, NULL},
        {"issuer of another type", {.iss = "[\"" FX_ISS "\"]"}, NULL, EB_E_MALFORMED, NULL},
        {"another audience", {.aud = "\"other\""}, NULL, EB_E_WRONG_AUDIENCE, NULL},
        {"one of several audiences", {.aud = "[\"x\",\"" FX_AUD "\"]"}, NULL, EB_OK, "app"},
        {"none of several audiences", {.aud = "[\"x\",\"y\"]"}, NULL, EB_E_WRONG_AUDIENCE, NULL},
        {"unknown azp", {.azp = "nobody"}, NULL, EB_E_UNKNOWN_IDENTITY, NULL},
        {"unknown azp and subject",
         {.azp = "nobody", .more = ",\"sub\":\"none\""},
         NULL,
         EB_E_UNKNOWN_IDENTITY,
         NULL},
        {"scope missing", {.azp = "scoped"}, NULL, EB_E_MISSING_SCOPE, NULL},
        {"other scopes",
         {.azp = "scoped", .more = ",\"scope\":\"mqttx xmqtt\""},
         NULL,
         EB_E_MISSING_SCOPE,
         NULL},
        {"scope in text", {.azp = "scoped", .more = ",\"scope\":\"read mqtt\""}, NULL, EB_OK, "scoped"},
        {"scope in a list", {.azp = "scoped", .more = ",\"scp\":[\"read\",\"mqtt\"]"}, NULL, EB_OK, "scoped"},
        {"subject and azp", {.azp = "app2", .more = ",\"sub\":\"sub2\""}, NULL, EB_OK, "both"},
        {"subject only", {.azp = "app", .more = ",\"sub\":\"sub2\""}, NULL, EB_OK, "by-subject"},
        {"azp only", {.azp = "app2", .more = ",\"sub\":\"sub3\""}, NULL, EB_OK, "by-azp"},
        {"ID token", {.more = ",\"at_hash\":\"x\""}, NULL, EB_E_ID_TOKEN, NULL},
        {"refresh token", {.more = ",\"typ\":\"Refresh\""}, NULL, EB_E_TOKEN_TYPE, NULL},
        {"duplicate claim", {.more = ",\"azp\":\"scoped\""}, NULL, EB_E_MALFORMED, NULL},
        {"unknown kid", {.exp = 0}, "{\"alg\":\"RS256\",\"kid\":\"gone\"}", EB_E_UNKNOWN_KID, NULL},
        {"kid of an EC key", {.exp = 0}, "{\"alg\":\"RS256\",\"kid\":\"ec\"}", EB_E_KEY_TYPE, NULL},
        {"no kid", {.exp = 0}, "{\"alg\":\"RS256\"}", EB_OK, "app"},
        {"alg not on the list",
         {.exp = 0},
         "{\"alg\":\"RS512\",\"kid\":\"rsa\"}",
         EB_E_ALG_NOT_ALLOWED,
         NULL},
        {"alg of other letters",
         {.exp = 0},
         "{\"alg\":\"rs256\",\"kid\":\"rsa\"}",
         EB_E_ALG_NOT_ALLOWED,
         NULL},
        {"alg none", {.exp = 0}, "{\"alg\":\"none\",\"kid\":\"rsa\"}", EB_E_ALG_NOT_ALLOWED, NULL},
        {"no alg", {.exp = 0}, "{\"kid\":\"rsa\"}", EB_E_MALFORMED, NULL},
        {"alg that the signature is not of",
         {.exp = 0},
         "{\"alg\":\"PS256\",\"kid\":\"rsa\"}",
         EB_E_BAD_SIGNATURE,
         NULL},
        {"crit",
         {.exp = 0},
         "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"x\"],\"x\":1}",
         EB_E_CRIT_HEADER,
         NULL},
        {"jwk and jku are ignored",
         {.exp = 0},
         "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jku\":\"https://evil.example\",\"jwk\":{},\"x5u\":\"x\"}",
         EB_OK,
         "app"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        char claims[1000];
        eb_auto_buf struct eb_buf t = {0};
        write_claims(claims, sizeof claims, &rows[i].c);
        mint_token(&t, rows[i].header ? rows[i].header : "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", claims, rsa,
                   EB_ALG_RS256);
        /* waited: what would be parked for an unknown kid is refused */
        eb_auto_buf struct eb_buf text = {0};
        fx_request(&(struct fx_request){.auth_token = t.p}, &text);
        struct fx_answer a = fx_run(&world, eb_buf_get(&text), EB_STR_NONE, NULL, true);
        if (a.outcome != EB_ANSWER || a.reason != rows[i].reason ||
            (rows[i].entry && strcmp(a.name ? a.name : "", rows[i].entry) != 0))
            fail_msg("%s: outcome %d, reason %s, entry %s", rows[i].what, (int)a.outcome,
                     eb_rc_name(a.reason), a.name ? a.name : "none");
        fx_answer_done(&a);
    }
}

static void signatures_are_judged(void **state) {
    (void)state;
    char claims[1000];
    eb_auto_buf struct eb_buf t = {0};
    write_claims(claims, sizeof claims, &(struct claims){.exp = 0});
    const struct {
        const char *what, *header;
        EVP_PKEY *key;
        enum eb_alg alg;
        enum eb_rc reason;
    } rows[] = {
        {"PS256", "{\"alg\":\"PS256\",\"kid\":\"rsa\"}", rsa, EB_ALG_PS256, EB_OK},
        {"ES256", "{\"alg\":\"ES256\",\"kid\":\"ec\"}", ec, EB_ALG_ES256, EB_OK},
        {"EdDSA", "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", ed, EB_ALG_EDDSA, EB_OK},
        {"ES256 with the RSA key's kid", "{\"alg\":\"ES256\",\"kid\":\"rsa\"}", ec, EB_ALG_ES256,
         EB_E_KEY_TYPE},
        {"a stranger's key under our kid", "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", stranger, EB_ALG_RS256,
         EB_E_BAD_SIGNATURE},
        {"a stranger's key without a kid", "{\"alg\":\"RS256\"}", stranger, EB_ALG_RS256, EB_E_BAD_SIGNATURE},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        mint_token(&t, rows[i].header, claims, rows[i].key, rows[i].alg);
        expect(rows[i].what, (struct fx_request){.auth_token = t.p}, rows[i].reason,
               rows[i].reason ? NULL : "app");
    }
    /* HS256 with the text of the public key as secret, as PEM and as the JWK's modulus. */
    eb_auto_buf struct eb_buf jwk = {0};
    mint_jwk(&jwk, rsa, "");
    mint_hs256(&t, "{\"alg\":\"HS256\",\"kid\":\"rsa\"}", claims, jwk.p, jwk.n);
    expect("HS256 by the public key", (struct fx_request){.auth_token = t.p}, EB_E_ALG_NOT_ALLOWED, NULL);
    /* A good token with one bit of its payload or signature turned, and one whose signature is cut off. */
    mint_token(&t, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", claims, rsa, EB_ALG_RS256);
    char *dot = strrchr(t.p, '.');
    dot[5] = (char)(dot[5] == 'A' ? 'B' : 'A');
    expect("a damaged signature", (struct fx_request){.auth_token = t.p}, EB_E_BAD_SIGNATURE, NULL);
    dot[1] = '\0';
    expect("no signature", (struct fx_request){.user = "oauthtoken", .pass = t.p}, EB_E_MALFORMED, NULL);
}

static void size_limits(void **state) {
    (void)state;
    static char big[70000];
    static char claims[80000];
    memset(big, 'x', sizeof big - 1);
    const struct {
        const char *what;
        int filler;
        enum eb_rc reason;
    } rows[] = {{"6 KiB", 4300, EB_OK}, {"64 KiB", 49152, EB_E_TOO_LARGE}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf t = {0};
        (void)snprintf(claims, sizeof claims,
                       "{\"iss\":\"" FX_ISS "\",\"aud\":\"" FX_AUD
                       "\",\"azp\":\"app\",\"exp\":%lld,\"groups\":\"%.*s\"}",
                       (long long)(eb_wall_s() + 600), rows[i].filler, big);
        mint_token(&t, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", claims, rsa, EB_ALG_RS256);
        assert_true(t.n > (rows[i].reason ? 64 : 6) * 1024 - 200);
        expect(rows[i].what, (struct fx_request){.auth_token = t.p}, rows[i].reason, NULL);
        expect(rows[i].what, (struct fx_request){.type = "mqtt", .user = "u", .pass = t.p, .auth_token = t.p},
               rows[i].reason, NULL);
    }
}

static void the_entry_fences(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf t = {0}, other = {0};
    fx_token(&t, rsa, "rsa", "fenced", 600, "");
    fx_token(&other, rsa, "rsa", "app", 600, "");
    expect("all fits",
           (struct fx_request){.type = "mqtt", .host = "10.9.8.7", .mqtt_id = "bms-1", .auth_token = t.p},
           EB_OK, "fenced");
    expect("connection", (struct fx_request){.host = "10.9.8.7", .auth_token = t.p}, EB_E_CONNECTION_TYPE,
           NULL);
    expect("address",
           (struct fx_request){.type = "mqtt", .host = "11.9.8.7", .mqtt_id = "bms-1", .auth_token = t.p},
           EB_E_SRC, NULL);
    expect("client id",
           (struct fx_request){.type = "mqtt", .host = "10.9.8.7", .mqtt_id = "x", .auth_token = t.p},
           EB_E_CLIENT_ID, NULL);
    expect("a bound client id",
           (struct fx_request){.type = "mqtt", .mqtt_id = "bms-1", .auth_token = other.p}, EB_E_CLIENT_ID,
           NULL);
}

static void accounts_are_checked_when_minted(void **state) {
    (void)state;
    /* The document was loaded when LaunchLayer was allowed; then the setting changed and the document could
     * not follow. */
    struct fx_world w;
    fx_world_open(&w, &dir, (const char *const[]){"--allowed-accounts=CSC,LaunchLayer", NULL});
    eb_auto_buf struct eb_buf t = {0};
    fx_token(&t, rsa, "rsa", "elsewhere", 600, "");
    struct fx_answer a = fx_ask(&w, &(struct fx_request){.auth_token = t.p});
    assert_null(a.error);
    assert_string_equal(a.account, "LaunchLayer");
    fx_answer_done(&a);
    EB_CLEANUP(eb_view_done) struct eb_view v = {0};
    eb_live_view(w.live, &v);
    struct eb_str csc_only[] = {EB_STR("CSC")};
    struct eb_str *before = v.settings->accounts;
    v.settings->accounts = csc_only;
    v.settings->accounts_n = 1;
    a = fx_ask(&w, &(struct fx_request){.auth_token = t.p});
    v.settings->accounts = before;
    v.settings->accounts_n = 2;
    assert_int_equal(a.reason, EB_E_ACCOUNT_NOT_ALLOWED);
    assert_non_null(a.error);
    fx_answer_done(&a);
    fx_world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_are_judged),
        cmocka_unit_test(signatures_are_judged),
        cmocka_unit_test(size_limits),
        cmocka_unit_test(the_entry_fences),
        cmocka_unit_test(accounts_are_checked_when_minted),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
