/*
 * Several issuers: what each provider's tokens look like and how it is configured, what is refused, that no
 * issuer's token gets anything of another's, and what a reload does to the list.
 */
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "fixture.h"

#define TID "0d5a4b1e-9f6c-4c55-8a1d-2f6f7b1c9e10"

static const char config[] =
    "issuers:\n"
    "- {name: keycloak, issuer: \"https://idp.example/realms/plant\", path: @p, audience: eventbus}\n"
    "- {name: entra-v1, issuer: \"https://sts.windows.net/" TID
    "/\", path: @p, audience: \"api://eventbus\",\n"
    "   client-claims: [appid], scope-claims: [roles]}\n"
    "- {name: entra-v2, issuer: \"https://login.microsoftonline.com/" TID "/v2.0\", path: @p,\n"
    "   audience: 6e1f2f3a-0000-4000-8000-000000000001, client-claims: [azp], scope-claims: [roles]}\n"
    "- {name: okta, issuer: \"https://plant.okta.com/oauth2/default\", path: @p, audience: "
    "\"api://default\",\n"
    "   client-claims: [cid], scope-claims: [scp]}\n"
    "- {name: auth0, issuer: \"https://plant.auth0.com/\", path: @p, audience: \"https://eventbus\",\n"
    "   client-claims: [azp, client_id]}\n"
    "- {name: cognito, issuer: \"https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab\", path: "
    "@p,\n"
    "   audience-none: true, client-claims: [client_id]}\n"
    "- {name: gitlab, issuer: \"https://gitlab.example\", path: @p, audience: \"https://eventbus\",\n"
    "   client-claims: []}\n"
    "- {name: github, issuer: \"https://token.actions.githubusercontent.com\", path: @p,\n"
    "   audience: eventbus, client-claims: [repository_id]}\n"
    "- {name: spire, issuer: \"https://spire.example\", path: @s, audience: eventbus,\n"
    "   client-claims: [], signing-algorithms: [ES256, RS256]}\n";

/* client-1 is a client of nearly every provider. */
static const char policy[] =
    "oauth2:\n"
    "  of-block: {azp: client-1, account: BLOCK}\n"
    "  of-block-sub: {subject: \"spiffe://plant/chiller\", account: BLOCK}\n"
    "  kc: {issuer: keycloak, azp: client-1, account: KC, required_scope: mqtt}\n"
    "  v1: {issuer: entra-v1, azp: client-1, account: V1, required_scope: Bus.Use}\n"
    "  v2: {issuer: entra-v2, azp: client-1, account: V2, required_scope: Bus.Use}\n"
    "  ok: {issuer: okta, azp: client-1, account: OK, required_scope: mqtt}\n"
    "  a0: {issuer: auth0, azp: client-1, account: A0, required_scope: mqtt}\n"
    "  co: {issuer: cognito, azp: client-1, account: CO, required_scope: eventbus/mqtt}\n"
    "  gl: {issuer: gitlab, subject: \"project_path:plant/hvac:ref_type:branch:ref:main\", account: GL}\n"
    "  gh: {issuer: github, azp: \"123456\", account: GH}\n"
    "  gh-prod: {issuer: github, azp: \"123456\", subject: \"repo:plant/hvac:environment:prod\", account: "
    "GP}\n"
    "  sp: {issuer: spire, subject: \"spiffe://plant/chiller\", account: SP}\n";

static struct fx_dir dir;
static struct fx_world world;
static EVP_PKEY *rsa, *ec, *block;

/* other: a further key, of a use that is not ours; NULL. */
static void write_set(const char *name, EVP_PKEY *key, const char *members, EVP_PKEY *other) {
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_z(&b, "{\"keys\":[");
    if (other) {
        mint_jwk(&b, other, "\"use\":\"x509-svid\"");
        eb_buf_ch(&b, ',');
    }
    mint_jwk(&b, key, members);
    eb_buf_z(&b, "]}");
    fx_write(&dir, name, b.p);
}

/* `@p` and `@s` stand for the files with the key sets. */
static void write_config(const char *text) {
    eb_auto_buf struct eb_buf b = {0};
    for (const char *c = text; *c; c++) {
        if (*c != '@') {
            eb_buf_ch(&b, *c);
            continue;
        }
        eb_buf_z(&b, fx_path(&dir, *++c == 'p' ? "providers.json" : "spire.json"));
    }
    fx_write(&dir, "config.yaml", b.p);
}

static bool all_have_keys(void *ctx) {
    const struct eb_sources *all = ctx;
    for (size_t i = 0; i < all->n; i++)
        if (atomic_load(&all->v[i].stats.keys) == 0)
            return false;
    return true;
}

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    rsa = mint_key("RSA", 2048);
    ec = mint_key("P-256", 0);
    block = mint_key("P-256", 0);
    /* Entra's keys carry no alg; a bundle of SPIFFE lists keys for other uses beside its own. */
    write_set("providers.json", rsa, "\"kid\":\"p\",\"use\":\"sig\"", NULL);
    write_set("spire.json", ec, "\"kid\":\"s\",\"use\":\"jwt-svid\"", block);
    fx_write(&dir, FX_POLICY, policy);
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    fx_jwks(&dir, block, "b");
    write_config(config);
    char flag[300];
    (void)snprintf(flag, sizeof flag, "--config=%s", fx_path(&dir, "config.yaml"));
    fx_world_open(&world, &dir, (const char *const[]){flag, NULL});
    return fx_wait(all_have_keys, eb_live_sources(world.live), 5000) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    fx_world_close(&world);
    fx_dir_remove(&dir);
    EVP_PKEY *keys[] = {rsa, ec, block};
    for (size_t i = 0; i < EB_COUNT_OF(keys); i++)
        EVP_PKEY_free(keys[i]);
    return 0;
}

/* exp is added. header NULL: RS256 by kid p. */
static void mint(struct eb_buf *to, const char *header, const char *members) {
    eb_auto_buf struct eb_buf claims = {0};
    eb_buf_printf(&claims, "{%s,\"iat\":%lld,\"exp\":%lld}", members, (long long)eb_wall_s(),
                  (long long)eb_wall_s() + 300);
    bool es = header && strstr(header, "ES256");
    bool by_block = header && strstr(header, "\"kid\":\"b\"");
    mint_token(to, header ? header : "{\"alg\":\"RS256\",\"kid\":\"p\"}", claims.p,
               by_block ? block
               : es     ? ec
                        : rsa,
               es ? EB_ALG_ES256 : EB_ALG_RS256);
}

struct row {
    const char *what, *header, *claims;
    enum eb_rc reason;
    const char *entry, *account;
};

static void run_rows(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        eb_auto_buf struct eb_buf t = {0}, text = {0};
        mint(&t, rows[i].header, rows[i].claims);
        fx_request(&(struct fx_request){.user = "oauthtoken", .pass = t.p}, &text);
        struct fx_answer a = fx_run(&world, eb_buf_get(&text), EB_STR_NONE, NULL, true);
        if (a.outcome != EB_ANSWER || a.reason != rows[i].reason || a.method != EB_METHOD_OAUTH2 ||
            (rows[i].entry && strcmp(a.name ? a.name : "", rows[i].entry) != 0) ||
            (rows[i].account && strcmp(a.account ? a.account : "", rows[i].account) != 0))
            fail_msg("%s: outcome %d, %s by %s, entry %s, account %s", rows[i].what, (int)a.outcome,
                     eb_rc_name(a.reason), eb_method_name(a.method), a.name ? a.name : "none",
                     a.account ? a.account : "none");
        fx_answer_done(&a);
    }
}

#define KC "\"iss\":\"https://idp.example/realms/plant\",\"sub\":\"f3a0\",\"typ\":\"Bearer\","
#define V1 "\"iss\":\"https://sts.windows.net/" TID "/\",\"sub\":\"oid\",\"oid\":\"oid\",\"ver\":\"1.0\","
#define V2 "\"iss\":\"https://login.microsoftonline.com/" TID "/v2.0\",\"sub\":\"oid\",\"ver\":\"2.0\","
#define V2_AUD "\"aud\":\"6e1f2f3a-0000-4000-8000-000000000001\","
#define OK "\"iss\":\"https://plant.okta.com/oauth2/default\",\"sub\":\"client-1\",\"ver\":1,"
#define A0 "\"iss\":\"https://plant.auth0.com/\",\"sub\":\"client-1@clients\","
#define CO "\"iss\":\"https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab\",\"sub\":\"client-1\","
#define GL "\"iss\":\"https://gitlab.example\",\"project_id\":\"22\",\"namespace_id\":\"7\","
#define GH "\"iss\":\"https://token.actions.githubusercontent.com\",\"aud\":\"eventbus\","
#define SP "\"iss\":\"https://spire.example\",\"aud\":[\"eventbus\"],"
#define ES "{\"alg\":\"ES256\",\"kid\":\"s\",\"typ\":\"JWT\"}"

static void providers(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"Keycloak", NULL,
         KC "\"aud\":[\"eventbus\",\"account\"],\"azp\":\"client-1\",\"scope\":\"profile mqtt\"", EB_OK, "kc",
         "KC"},
        {"Keycloak, no audience mapper", NULL,
         KC "\"aud\":\"account\",\"azp\":\"client-1\",\"scope\":\"mqtt\"", EB_E_WRONG_AUDIENCE, NULL, NULL},
        {"Keycloak, no audience", NULL, KC "\"azp\":\"client-1\",\"scope\":\"mqtt\"", EB_E_MISSING_CLAIM,
         NULL, NULL},
        {"Keycloak, client_id alone", NULL,
         KC "\"aud\":\"eventbus\",\"client_id\":\"client-1\",\"scope\":\"mqtt\"", EB_E_UNKNOWN_IDENTITY, NULL,
         NULL},
        {"Keycloak, without the scope", NULL,
         KC "\"aud\":\"eventbus\",\"azp\":\"client-1\",\"scope\":\"profile\"", EB_E_MISSING_SCOPE, NULL,
         NULL},
        {"Keycloak, ID token", NULL,
         "\"iss\":\"https://idp.example/realms/"
         "plant\",\"typ\":\"ID\",\"aud\":\"eventbus\",\"azp\":\"client-1\"",
         EB_E_ID_TOKEN, NULL, NULL},
        {"Keycloak, another realm", NULL,
         "\"iss\":\"https://idp.example/realms/other\",\"aud\":\"eventbus\",\"azp\":\"client-1\"",
         EB_E_WRONG_ISSUER, NULL, NULL},

        {"Entra v1", NULL,
         V1 "\"aud\":\"api://eventbus\",\"appid\":\"client-1\",\"appidacr\":\"1\",\"roles\":[\"Bus.Use\"]",
         EB_OK, "v1", "V1"},
        {"Entra v1, azp beside", NULL,
         V1 "\"aud\":\"api://eventbus\",\"appid\":\"client-2\",\"azp\":\"client-1\",\"roles\":[\"Bus.Use\"]",
         EB_E_UNKNOWN_IDENTITY, NULL, NULL},
        {"Entra v1, azp alone", NULL,
         V1 "\"aud\":\"api://eventbus\",\"azp\":\"client-1\",\"roles\":[\"Bus.Use\"]", EB_E_UNKNOWN_IDENTITY,
         NULL, NULL},
        {"Entra v1, scope for role", NULL,
         V1 "\"aud\":\"api://eventbus\",\"appid\":\"client-1\",\"scope\":\"Bus.Use\"", EB_E_MISSING_SCOPE,
         NULL, NULL},
        {"Entra v1, without the slash", NULL,
         "\"iss\":\"https://sts.windows.net/" TID "\",\"aud\":\"api://eventbus\",\"appid\":\"client-1\"",
         EB_E_WRONG_ISSUER, NULL, NULL},
        {"Entra v1, another tenant's audience", NULL,
         V1 "\"aud\":\"https://graph.microsoft.com\",\"appid\":\"client-1\",\"roles\":[\"Bus.Use\"]",
         EB_E_WRONG_AUDIENCE, NULL, NULL},

        {"Entra v2", NULL, V2 V2_AUD "\"azp\":\"client-1\",\"azpacr\":\"1\",\"roles\":[\"Bus.Use\"]", EB_OK,
         "v2", "V2"},
        {"Entra v2, role missing", NULL, V2 V2_AUD "\"azp\":\"client-1\",\"roles\":[\"Bus.Other\"]",
         EB_E_MISSING_SCOPE, NULL, NULL},
        {"Entra v2, v1's audience", NULL,
         V2 "\"aud\":\"api://eventbus\",\"azp\":\"client-1\",\"roles\":[\"Bus.Use\"]", EB_E_WRONG_AUDIENCE,
         NULL, NULL},

        {"Okta", NULL, OK "\"aud\":\"api://default\",\"cid\":\"client-1\",\"scp\":[\"mqtt\"]", EB_OK, "ok",
         "OK"},
        {"Okta, scope text beside scp", NULL,
         OK "\"aud\":\"api://default\",\"cid\":\"client-1\",\"scp\":[\"x\"],\"scope\":\"mqtt\"",
         EB_E_MISSING_SCOPE, NULL, NULL},
        {"Okta, cid of the wrong type", NULL,
         OK "\"aud\":\"api://default\",\"cid\":[\"client-1\"],\"scp\":[\"mqtt\"]", EB_E_MALFORMED, NULL,
         NULL},
        {"Okta, the org server", NULL,
         "\"iss\":\"https://plant.okta.com\",\"aud\":\"api://"
         "default\",\"cid\":\"client-1\",\"scp\":[\"mqtt\"]",
         EB_E_WRONG_ISSUER, NULL, NULL},

        {"Auth0", NULL,
         A0 "\"aud\":\"https://"
            "eventbus\",\"azp\":\"client-1\",\"gty\":\"client-credentials\",\"scope\":\"mqtt\"",
         EB_OK, "a0", "A0"},
        {"Auth0, RFC 9068", "{\"alg\":\"RS256\",\"kid\":\"p\",\"typ\":\"at+jwt\"}",
         A0 "\"aud\":[\"https://eventbus\",\"https://plant.auth0.com/userinfo\"],\"client_id\":\"client-1\","
            "\"scope\":\"openid mqtt\"",
         EB_OK, "a0", "A0"},
        {"Auth0, the first claim counts", NULL,
         A0 "\"aud\":\"https://eventbus\",\"azp\":\"client-2\",\"client_id\":\"client-1\",\"scope\":\"mqtt\"",
         EB_E_UNKNOWN_IDENTITY, NULL, NULL},
        {"Auth0, azp of the wrong type", NULL,
         A0 "\"aud\":\"https://eventbus\",\"azp\":null,\"client_id\":\"client-1\",\"scope\":\"mqtt\"",
         EB_E_MALFORMED, NULL, NULL},
        {"Auth0, userinfo alone", NULL,
         A0 "\"aud\":\"https://plant.auth0.com/userinfo\",\"azp\":\"client-1\",\"scope\":\"mqtt\"",
         EB_E_WRONG_AUDIENCE, NULL, NULL},

        {"Cognito", NULL,
         CO "\"token_use\":\"access\",\"client_id\":\"client-1\",\"scope\":\"eventbus/mqtt\"", EB_OK, "co",
         "CO"},
        {"Cognito, ID token", NULL, CO "\"token_use\":\"id\",\"aud\":\"client-1\"", EB_E_ID_TOKEN, NULL,
         NULL},
        {"Cognito, with an audience", NULL,
         CO "\"token_use\":\"access\",\"client_id\":\"client-1\",\"scope\":\"eventbus/mqtt\",\"aud\":\"x\"",
         EB_E_WRONG_AUDIENCE, NULL, NULL},
        {"Cognito, another client", NULL,
         CO "\"token_use\":\"access\",\"client_id\":\"client-9\",\"scope\":\"eventbus/mqtt\"",
         EB_E_UNKNOWN_IDENTITY, NULL, NULL},

        {"GitLab", NULL,
         GL "\"aud\":\"https://eventbus\",\"sub\":\"project_path:plant/hvac:ref_type:branch:ref:main\"",
         EB_OK, "gl", "GL"},
        {"GitLab, another branch", NULL,
         GL "\"aud\":\"https://eventbus\",\"sub\":\"project_path:plant/hvac:ref_type:branch:ref:main2\"",
         EB_E_UNKNOWN_IDENTITY, NULL, NULL},
        {"GitLab, for the instance", NULL,
         GL "\"aud\":\"https://gitlab.example\",\"sub\":\"project_path:plant/hvac:ref_type:branch:ref:main\"",
         EB_E_WRONG_AUDIENCE, NULL, NULL},
        {"GitLab, a claim that no list names", NULL,
         GL "\"aud\":\"https://eventbus\",\"sub\":\"x\",\"azp\":\"client-1\"", EB_E_UNKNOWN_IDENTITY, NULL,
         NULL},

        {"GitHub", NULL, GH "\"sub\":\"repo:plant/hvac:ref:refs/heads/main\",\"repository_id\":\"123456\"",
         EB_OK, "gh", "GH"},
        {"GitHub, the environment's own entry", NULL,
         GH "\"sub\":\"repo:plant/hvac:environment:prod\",\"repository_id\":\"123456\"", EB_OK, "gh-prod",
         "GP"},
        {"GitHub, a new repository of the old name", NULL,
         GH "\"sub\":\"repo:plant/hvac:environment:prod\",\"repository_id\":\"999\"", EB_E_UNKNOWN_IDENTITY,
         NULL, NULL},
        {"GitHub, the id as a number", NULL, GH "\"sub\":\"repo:plant/hvac:x\",\"repository_id\":123456",
         EB_E_MALFORMED, NULL, NULL},

        {"SPIFFE", ES, SP "\"sub\":\"spiffe://plant/chiller\"", EB_OK, "sp", "SP"},
        {"SPIFFE, another workload", ES, SP "\"sub\":\"spiffe://plant/chiller2\"", EB_E_UNKNOWN_IDENTITY,
         NULL, NULL},
        {"SPIFFE, without iss", ES, "\"aud\":[\"eventbus\"],\"sub\":\"spiffe://plant/chiller\"",
         EB_E_WRONG_ISSUER, NULL, NULL},
        {"SPIFFE, another audience", ES,
         "\"iss\":\"https://spire.example\",\"aud\":[\"other\"],\"sub\":\"spiffe://plant/chiller\"",
         EB_E_WRONG_AUDIENCE, NULL, NULL},
    };
    run_rows(rows, EB_COUNT_OF(rows));
}

static void no_issuer_gets_what_is_anothers(void **state) {
    (void)state;
    static const char b[] = "{\"alg\":\"ES256\",\"kid\":\"b\"}";
    static const struct row rows[] = {
        {"the block's own", b, "\"iss\":\"" FX_ISS "\",\"aud\":\"" FX_AUD "\",\"azp\":\"client-1\"", EB_OK,
         "of-block", "BLOCK"},
        {"the block's audience at another", NULL,
         KC "\"aud\":\"" FX_AUD "\",\"azp\":\"client-1\",\"scope\":\"mqtt\"", EB_E_WRONG_AUDIENCE, NULL,
         NULL},
        /* GitLab's and GitHub's tokens name nobody client-1: no entry of another issuer is looked at. */
        {"a subject that the block and SPIRE know", NULL,
         GH "\"sub\":\"spiffe://plant/chiller\",\"repository_id\":\"1\"", EB_E_UNKNOWN_IDENTITY, NULL, NULL},
        {"a client that others know", NULL, GH "\"sub\":\"x\",\"repository_id\":\"client-1\"",
         EB_E_UNKNOWN_IDENTITY, NULL, NULL},
        {"a repository at the block", b, "\"iss\":\"" FX_ISS "\",\"aud\":\"" FX_AUD "\",\"azp\":\"123456\"",
         EB_E_UNKNOWN_IDENTITY, NULL, NULL},
        /* Each issuer's tokens are verified with its own keys alone. */
        {"Keycloak's iss by SPIRE's key", ES,
         KC "\"aud\":\"eventbus\",\"azp\":\"client-1\",\"scope\":\"mqtt\"", EB_E_ALG_NOT_ALLOWED, NULL, NULL},
        {"SPIRE's iss by the others' key", NULL, SP "\"sub\":\"spiffe://plant/chiller\"", EB_E_UNKNOWN_KID,
         NULL, NULL},
        {"SPIRE's iss by the others' key, no kid", "{\"alg\":\"RS256\"}",
         SP "\"sub\":\"spiffe://plant/chiller\"", EB_E_KEY_TYPE, NULL, NULL},
        {"SPIRE's iss by the block's key", b, SP "\"sub\":\"spiffe://plant/chiller\"", EB_E_UNKNOWN_KID, NULL,
         NULL},
    };
    run_rows(rows, EB_COUNT_OF(rows));
}

/* Once none is under way any more: an earlier test may have asked for one. */
static uint64_t fetches_of_all(void) {
    const struct eb_sources *all = eb_live_sources(world.live);
    uint64_t n = 0;
    for (size_t i = 0; i < all->n; i++) {
        int64_t until = eb_mono_ns() + INT64_C(5000000000);
        while (all->v[i].keys && eb_keysource_fetching(all->v[i].keys) && eb_mono_ns() < until)
            (void)usleep(1000);
        n += atomic_load(&all->v[i].stats.fetches);
    }
    return n;
}

static void strangers_fetch_nothing(void **state) {
    (void)state;
    uint64_t before = fetches_of_all();
    static const char *const claims[] = {"\"iss\":\"https://evil.example\",\"azp\":\"client-1\"",
                                         "\"iss\":\"\",\"azp\":\"client-1\"",
                                         "\"azp\":\"client-1\"",
                                         "\"iss\":\"" FX_ISS "/\",\"azp\":\"client-1\"",
                                         "\"iss\":\"HTTPS://GITLAB.EXAMPLE\",\"azp\":\"client-1\"",
                                         "\"iss\":\"https://gitlab.example\\u0001\",\"azp\":\"client-1\""};
    for (size_t i = 0; i < EB_COUNT_OF(claims); i++) {
        eb_auto_buf struct eb_buf t = {0}, text = {0};
        mint(&t, "{\"alg\":\"RS256\",\"kid\":\"new\"}", claims[i]);
        fx_request(&(struct fx_request){.auth_token = t.p}, &text);
        struct fx_answer a = fx_run(&world, eb_buf_get(&text), EB_STR_NONE, NULL, false);
        assert_int_equal(a.outcome, EB_ANSWER); /* and none of them waits */
        assert_int_equal(a.reason, EB_E_WRONG_ISSUER);
        fx_answer_done(&a);
    }
    assert_int_equal(fetches_of_all(), before);
}

static void an_unknown_kid_asks_its_own_issuer(void **state) {
    (void)state;
    struct eb_sources *all = eb_live_sources(world.live);
    struct eb_source *okta = NULL; /* one that no test before asked for keys */
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(eb_issuer_label(all->v[i].config), "okta") == 0)
            okta = &all->v[i];
    assert_non_null(okta);
    uint64_t before = fetches_of_all(), own = atomic_load(&okta->stats.fetches);
    eb_auto_buf struct eb_buf t = {0}, text = {0};
    mint(&t, "{\"alg\":\"RS256\",\"kid\":\"next\"}",
         OK "\"aud\":\"api://default\",\"cid\":\"client-1\",\"scp\":[\"mqtt\"]");
    fx_request(&(struct fx_request){.auth_token = t.p}, &text);
    struct eb_callout_in in = {.payload = eb_buf_get(&text), .arrived_ns = eb_mono_ns()};
    struct eb_wait wait = {0};
    assert_int_equal(eb_callout_run(&world.callout, &in, &world.scratch, &world.reply, &wait), EB_PARK);
    assert_ptr_equal(wait.source, okta);
    int64_t until = eb_mono_ns() + INT64_C(5000000000);
    assert_int_equal(wait.number, EB_SOURCE_KEYS);
    while (eb_keysource_fetching(okta->keys) && eb_mono_ns() < until)
        (void)usleep(1000);
    assert_false(eb_keysource_fetching(okta->keys)); /* what the park looks at */
    assert_int_equal(atomic_load(&okta->stats.fetches), own + 1);
    assert_int_equal(fetches_of_all(), before + 1);
}

static void told_by_name(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf metrics = {0}, json = {0};
    eb_sources_metrics(eb_live_sources(world.live), &metrics);
    static const char *const series[] = {
        "auth_issuer_keys{issuer=\"jwks\"} 1\n",
        "auth_issuer_keys{issuer=\"entra-v1\"} 1\n",
        "auth_issuer_key_fetches_total{issuer=\"spire\"} ",
        "auth_issuer_key_fetch_failures_total{issuer=\"cognito\"} 0\n",
        "auth_issuer_keys_last_success_timestamp_seconds{issuer=\"okta\"} 1",
    };
    for (size_t i = 0; i < EB_COUNT_OF(series); i++)
        if (!strstr(metrics.p, series[i]))
            fail_msg("no %s in\n%s", series[i], metrics.p);
    eb_buf_ch(&json, '{');
    eb_sources_json(eb_live_sources(world.live), &json);
    eb_buf_ch(&json, '}');
    json_t *read = NULL;
    assert_int_equal(eb_json_object(eb_buf_get(&json), 100000, &read, NULL), EB_OK);
    const json_t *keys = json_object_get(read, "keys");
    assert_int_equal(json_object_size(keys), 10);
    assert_true(eb_str_eqz(eb_json_str(json_object_get(keys, "jwks"), "status"), "ok"));
    assert_true(eb_str_eqz(eb_json_str(json_object_get(keys, "github"), "status"), "ok"));
    json_decref(read);
}

/* ---- reload ---- */

static struct eb_view start;

/* restart gets what only a restart changes. */
static enum eb_rc reload(const char *text, struct eb_buf *restart) {
    write_config(text);
    char flags[4][300];
    (void)snprintf(flags[0], sizeof flags[0], "--config=%s", fx_path(&dir, "config.yaml"));
    (void)snprintf(flags[1], sizeof flags[1], "--permissions.file=%s", fx_path(&dir, FX_POLICY));
    (void)snprintf(flags[2], sizeof flags[2], "--nats.issuer-seed-file=%s", fx_path(&dir, FX_ISSUERS));
    (void)snprintf(flags[3], sizeof flags[3], "--jwks.path=%s", fx_path(&dir, FX_JWKS));
    eb_auto_findings struct eb_findings f = {0};
    struct eb_config *fresh = fx_config(
        (const char *const[]){flags[0], flags[1], flags[2], flags[3], "--jwks.issuer=" FX_ISS,
                              "--jwks.audience=" FX_AUD, "--jwks.signing-algorithms=RS256,ES256", NULL},
        &f);
    assert_non_null(fresh);
    eb_buf_reset(restart);
    eb_config_needs_restart(start.settings->config, fresh, restart);
    return eb_live_reconfigure(world.live, fresh, &f);
}

static void a_reload_changes_the_list(void **state) {
    (void)state;
    eb_live_view(world.live, &start);
    eb_auto_buf struct eb_buf restart = {0};
    static const char fewer[] =
        "issuers:\n"
        "- {name: keycloak, issuer: \"https://idp.example/realms/plant\", path: @p, audience: other}\n"
        "- {name: gitlab, issuer: \"https://gitlab.example\", path: @s, audience: \"https://eventbus\",\n"
        "   client-claims: []}\n"
        "- {name: spire, issuer: \"https://plant.auth0.com/\", path: @p, audience: eventbus}\n"
        "- {name: fresh, issuer: \"https://fresh.example\", path: @p, audience: eventbus}\n";
    /* The document names issuers that would be gone: nothing changes. */
    assert_int_equal(reload(fewer, &restart), EB_E_INVALID);
    static const struct row as_before[] = {
        {"Okta", NULL, OK "\"aud\":\"api://default\",\"cid\":\"client-1\",\"scp\":[\"mqtt\"]", EB_OK, "ok",
         "OK"},
    };
    run_rows(as_before, EB_COUNT_OF(as_before));
    fx_write(&dir, FX_POLICY,
             "oauth2:\n"
             "  kc: {issuer: keycloak, azp: client-1, account: KC}\n"
             "  gl: {issuer: gitlab, subject: s, account: GL}\n"
             "  fr: {issuer: fresh, azp: client-1, account: FR}\n"
             "  sp: {issuer: spire, azp: client-1, account: SP}\n");
    assert_int_equal(reload(fewer, &restart), EB_OK);
    assert_string_equal(restart.p, "issuers[gitlab].path, issuers[spire].path, issuers[fresh]");
    static const struct row after[] = {
        {"a new audience", NULL, KC "\"aud\":\"other\",\"azp\":\"client-1\"", EB_OK, "kc", "KC"},
        {"the old audience", NULL, KC "\"aud\":\"eventbus\",\"azp\":\"client-1\"", EB_E_WRONG_AUDIENCE, NULL,
         NULL},
        {"an issuer that is gone", NULL,
         OK "\"aud\":\"api://default\",\"cid\":\"client-1\",\"scp\":[\"mqtt\"]", EB_E_WRONG_ISSUER, NULL,
         NULL},
        {"a new place of keys: the old keys until the restart", NULL,
         GL "\"aud\":\"https://eventbus\",\"sub\":\"s\"", EB_OK, "gl", "GL"},
        {"a new issuer", NULL, "\"iss\":\"https://fresh.example\",\"aud\":\"eventbus\",\"azp\":\"client-1\"",
         EB_E_KEYS_UNAVAILABLE, NULL, NULL},
        /* SPIRE's keys must not vouch for who has its name now. */
        {"another issuer under an old name", ES, A0 "\"aud\":\"eventbus\",\"azp\":\"client-1\"",
         EB_E_KEYS_UNAVAILABLE, NULL, NULL},
    };
    run_rows(after, EB_COUNT_OF(after));
    fx_write(&dir, FX_POLICY, policy);
    assert_int_equal(reload(config, &restart), EB_OK);
    assert_int_equal(restart.n, 0);
    providers(NULL);
    eb_view_done(&start);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(providers),
        cmocka_unit_test(no_issuer_gets_what_is_anothers),
        cmocka_unit_test(strangers_fetch_nothing),
        cmocka_unit_test(an_unknown_kid_asks_its_own_issuer),
        cmocka_unit_test(told_by_name),
        cmocka_unit_test(a_reload_changes_the_list),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
