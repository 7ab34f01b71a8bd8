/* `issuers`, `accounts` and the kubernetes block: what is read, what is refused and with which words, and
 * what a drop-in is given by environment. */
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"
#include "options.h"

static struct fx_dir dir;

static void clean_environment(void) {
    static const char *const names[] = {"JWKS_URL",
                                        "JWKS_PATH",
                                        "K8S_IN_CLUSTER",
                                        "KUBECONFIG",
                                        "JWT_ISSUER",
                                        "JWT_AUDIENCE",
                                        "NATS_ACCOUNT",
                                        "AUTH_CALLOUT_CONFIG",
                                        "AUTH_CALLOUT_KUBERNETES_TOKEN_FILE",
                                        "AUTH_CALLOUT_KUBERNETES_API_CA",
                                        "KUBERNETES_SERVICE_HOST",
                                        "KUBERNETES_SERVICE_PORT",
                                        "AUTH_CALLOUT_HOT_CONFIG"};
    for (size_t i = 0; i < EB_COUNT_OF(names); i++)
        (void)unsetenv(names[i]);
}

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    fx_write(&dir, "token", "t0ken");
    EVP_PKEY *key = mint_key("P-256", 0);
    char *ca = fx_cert(&(struct fx_cert){.cn = "api", .ca = true, .from_s = -10, .until_s = 1000}, key, NULL);
    fx_write(&dir, "ca.crt", ca);
    free(ca);
    EVP_PKEY_free(key);
    clean_environment();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fx_dir_remove(&dir);
    return 0;
}

static int after_each(void **state) {
    (void)state;
    clean_environment();
    return 0;
}

/* The configuration of this file's text (NULL: none; @t: a token's file), NULL where it was refused; *told
 * gets the findings. */
static struct eb_config *load(const char *text, struct eb_buf *told) {
    char flag[300];
    const char *flags[3] = {"--nats.issuer-seed-file=/keys/issuer.nk"};
    if (text) {
        eb_auto_buf struct eb_buf b = {0};
        for (const char *c = text; *c; c++) {
            if (c[0] == '@' && c[1] == 't')
                eb_buf_z(&b, fx_path(&dir, "token")), c++;
            else
                eb_buf_ch(&b, *c);
        }
        fx_write(&dir, "config.yaml", b.p);
        (void)snprintf(flag, sizeof flag, "--config=%s", fx_path(&dir, "config.yaml"));
        flags[1] = flag;
    }
    eb_auto_findings struct eb_findings f = {0};
    struct eb_config *c = fx_config(flags, &f);
    eb_buf_reset(told);
    eb_findings_print(&f, told);
    return c;
}

#define KEYCLOAK                                                                                             \
    "- {name: kc, issuer: \"https://kc.example/realms/a\", url: \"https://kc.example/certs\", audience: "    \
    "bus}\n"
#define KUBE                                                                                                 \
    "- {name: east, kind: kubernetes, issuer: \"https://east.example\", api-url: "                           \
    "\"https://east.example:6443\", "                                                                        \
    "token-file: @t, account: CSC}\n"

static void lists_are_read(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf told = {0};
    EB_CLEANUP(eb_config_freep)
    struct eb_config *c = load(
        "jwks: {url: \"https://idp.example/jwks\", issuer: \"https://idp.example\", audience: a}\n"
        "issuers:\n" KEYCLOAK KUBE
        "- name: ci\n  client-claims: []\n  scope-claims: [roles]\n  issuer: https://ci.example\n"
        "  path: /keys/ci.json\n  audience-none: true\n  signing-algorithms: ES256, ES384\n  refresh: 1m\n"
        "accounts:\n"
        "  APP: {id: AAPP, signing-seed-file: /keys/app.nk, scoped: true}\n"
        "  DATA: {id: ADATA, signing-seed: SAXX}\n",
        &told);
    if (!c)
        fail_msg("%s", told.p);
    assert_int_equal(c->issuers_n, 3);
    const struct eb_issuer_config *kc = &c->issuers[0], *east = &c->issuers[1], *ci = &c->issuers[2];
    assert_string_equal(kc->name, "kc");
    assert_int_equal(kc->kind, EB_ISSUER_OAUTH2);
    assert_int_equal(kc->client_claims.n, 1);
    assert_string_equal(kc->client_claims.v[0], "azp");
    assert_int_equal(kc->scope_claims.n, 3);
    assert_string_equal(kc->signing_algorithms.v[0], "RS256");
    assert_int_equal(kc->refresh_ns, INT64_C(300000000000));
    assert_int_equal(east->kind, EB_ISSUER_KUBERNETES);
    assert_string_equal(east->audience.v[0], "nats");
    assert_int_equal(east->signing_algorithms.n, 4);
    assert_string_equal(east->kube.reserved_namespaces.v[0], "cpc");
    assert_string_equal(east->kube.api_url, "https://east.example:6443");
    assert_null(east->url);
    assert_int_equal(ci->client_claims.n, 0); /* an empty list is one */
    assert_string_equal(ci->scope_claims.v[0], "roles");
    assert_int_equal(ci->signing_algorithms.n, 2);
    assert_true(ci->audience_none);
    assert_int_equal(c->accounts_n, 2);
    assert_string_equal(c->accounts[0].id, "AAPP");
    assert_true(c->accounts[0].scoped);
    assert_true(eb_str_eqz(eb_secret_get(c->accounts[1].signing_seed), "SAXX"));
    /* In this order everywhere. */
    assert_ptr_equal(eb_config_issuer(c, 0), &c->jwks);
    assert_ptr_equal(eb_config_issuer(c, 1), kc);
    assert_ptr_equal(eb_config_issuer(c, 3), ci);
    assert_null(eb_config_issuer(c, 4));
    assert_string_equal(eb_issuer_label(&c->jwks), "jwks");
}

static void the_hot_file_adds_seeds_and_replaces_the_list(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf told = {0};
    fx_write(&dir, "hot.yaml",
             "accounts: {APP: {signing-seed: SAHOT}}\n"
             "issuers:\n- {name: only, issuer: i, path: /p, audience: a}\n");
    (void)setenv("AUTH_CALLOUT_HOT_CONFIG", fx_path(&dir, "hot.yaml"), 1);
    EB_CLEANUP(eb_config_freep)
    struct eb_config *c = load("accounts: {APP: {id: AAPP}}\nissuers:\n" KEYCLOAK KUBE, &told);
    if (!c)
        fail_msg("%s", told.p);
    assert_int_equal(c->accounts_n, 1);
    assert_string_equal(c->accounts[0].id, "AAPP");
    assert_true(eb_str_eqz(eb_secret_get(c->accounts[0].signing_seed), "SAHOT"));
    assert_int_equal(c->issuers_n, 1);
    assert_string_equal(c->issuers[0].name, "only");
}

static void what_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *says, *also;
    } rows[] = {
        {"issuers: {}\n", "issuers: not a list", "- name"},
        {"issuers: kc\n", "issuers: not a list", NULL},
        {"issuers: [kc]\n", "config.yaml:1", "not a mapping"},
        {"issuers:\n- {issuer: i, path: /p}\n", "issuers[0]", "without a name"},
        {"issuers:\n" KEYCLOAK KEYCLOAK, "config.yaml:3: error: issuers[1].name", "has this name"},
        {"issuers:\n" KEYCLOAK
         "- {name: two, issuer: \"https://kc.example/realms/a\", path: /p, audience: b}\n",
         "issuers[two].issuer", "the issuer kc has the same iss"},
        {"jwks: {path: /p, issuer: same, audience: a}\nissuers:\n- {name: two, issuer: same, path: /p, "
         "audience: b}\n",
         "issuers[two].issuer", "the issuer jwks has the same iss"},
        {"issuers:\n- {name: jwks, issuer: i, path: /p, audience: b}\n", "issuers[0].name", "reserved"},
        {"issuers:\n- {name: kubernetes, issuer: i, path: /p, audience: b}\n", "issuers[0].name", "reserved"},
        {"issuers:\n- {name: 'a b', issuer: i, path: /p, audience: b}\n", "issuers[0].name",
         "letters, digits"},
        {"issuers:\n- {name: 'a\"b', issuer: i, path: /p, audience: b}\n", "issuers[0].name",
         "letters, digits"},
        {"issuers:\n- {name: a, isuer: i, path: /p, audience: b}\n", "issuers[0].isuer",
         "did you mean issuer?"},
        {"issuers:\n- {name: a, issuer: i, issuer: j, path: /p}\n", "issuers[0].issuer", "stands twice"},
        {"issuers:\n- {name: a, issuer: i, audience: b}\n", "issuers[a].url", "missing"},
        {"issuers:\n- {name: a, path: /p, audience: b}\n", "issuers[a].issuer", "missing"},
        {"issuers:\n- {name: a, issuer: i, path: /p, url: \"https://x\", audience: b}\n", "issuers[a].url",
         "keep one"},
        {"issuers:\n- {name: a, issuer: i, url: \"http://x.example/k\", audience: b}\n", "issuers[a].url",
         "neither https nor http to loopback"},
        {"issuers:\n- {name: a, issuer: i, path: /p, audience: b, audience-none: true}\n",
         "issuers[a].audience-none", "audience is set, too"},
        {"issuers:\n- {name: a, kind: saml, issuer: i, path: /p}\n", "issuers[0].kind", "oauth2,kubernetes"},
        {"issuers:\n- {name: a, issuer: i, path: /p, signing-algorithms: []}\n",
         "issuers[a].signing-algorithms", "empty"},
        /* keys of the other kind, wherever they stand */
        {"issuers:\n- {name: a, issuer: i, path: /p, audience: b, in-cluster: true}\n",
         "issuers[0].in-cluster", "kind: kubernetes"},
        {"issuers:\n- {name: a, url: \"https://x\", issuer: i, kind: kubernetes, api-url: \"https://x\", "
         "account: A}\n",
         "issuers[0].url", "jwks-url"},
        {"issuers:\n- {name: a, issuer: i, kind: kubernetes, audience-none: true, api-url: \"https://x\", "
         "account: A}\n",
         "issuers[0].audience-none", "not a key of this kind"},
        /* an API connection, an account and an audience */
        {"issuers:\n- {name: a, issuer: i, kind: kubernetes, account: A}\n", "issuers[a].in-cluster",
         "no connection to an API server"},
        {"issuers:\n- {name: a, issuer: i, kind: kubernetes, api-url: \"https://x\"}\n", "issuers[a].account",
         "NATS_ACCOUNT"},
        {"issuers:\n- {name: a, issuer: i, kind: kubernetes, api-url: \"https://x\", account: SYS}\n",
         "issuers[a].account", "no client is ever placed"},
        {"issuers:\n- {name: a, issuer: i, kind: kubernetes, api-url: \"https://x\", account: A, "
         "allowed-accounts: "
         "[B, AUTHX]}\n",
         "issuers[a].allowed-accounts", "no client is ever placed"},
        {"issuers:\n- {name: a, issuer: i, kind: kubernetes, api-url: \"https://x\", account: A, audience: "
         "[]}\n",
         "issuers[a].audience", "empty"},
        {"allowed-accounts: [B]\nissuers:\n- {name: a, issuer: i, kind: kubernetes, api-url: \"https://x\", "
         "account: A}\n",
         "issuers[a].account", "not among allowed-accounts"},
        {"kubernetes: {in-cluster: true}\n", "kubernetes.account", "NATS_ACCOUNT"},
        {"kubernetes: {issuers: i}\n", "kubernetes.issuers", "did you mean kubernetes.issuer?"},
        {"issuers: []\nissuers: []\n", "issuers", "stands twice"},
        {"readiness: {require: [kc]}\n", "readiness.require", "kc is the name of no issuer"},
        {"accounts: []\n", "accounts: not a mapping", NULL},
        {"accounts: {APP: x}\n", "accounts.APP", "not a mapping"},
        {"accounts: {APP: {signing-seed: SA}}\n", "accounts.APP", "without an id"},
        {"accounts: {APP: {id: A}}\n", "accounts.APP", "without a seed"},
        {"accounts: {APP: {id: A, signing-seed: SA, signing-seed-file: /f}}\n", "accounts.APP", "keep one"},
        {"accounts: {APP: {id: A, signing-sede-file: /f}}\n", "accounts.APP.signing-sede-file",
         "did you mean signing-seed-file?"},
        {"accounts: {\"A.B\": {id: A}}\n", "accounts", "not a name for an account"},
        {"accounts: {}\naccounts: {}\n", "accounts", "stands twice"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf told = {0};
        EB_CLEANUP(eb_config_freep) struct eb_config *c = load(rows[i].text, &told);
        if (c || !strstr(told.p, rows[i].says) || (rows[i].also && !strstr(told.p, rows[i].also)))
            fail_msg("row %zu, %s: %s", i, c ? "taken" : "refused", told.p ? told.p : "");
        if (strstr(told.p, "SAHOT") || strstr(told.p, "SAXX"))
            fail_msg("row %zu shows a seed", i);
    }
}

static void many_issuers(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf text = {0}, told = {0};
    eb_buf_z(&text, "issuers:\n");
    for (int i = 0; i < 64; i++)
        eb_buf_printf(&text, "- {name: n%d, issuer: i%d, path: /p, audience: b}\n", i, i);
    EB_CLEANUP(eb_config_freep) struct eb_config *c = load(text.p, &told);
    assert_non_null(c);
    assert_int_equal(c->issuers_n, 64);
    eb_buf_z(&text, "- {name: more, issuer: more, path: /p, audience: b}\n");
    assert_null(load(text.p, &told));
    assert_non_null(strstr(told.p, "more than 64 issuers"));
}

/* What a Kubernetes callout of others is given by its environment, and nothing else. */
static void drop_in_by_environment(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf told = {0};
    (void)setenv("K8S_IN_CLUSTER", "true", 1);
    (void)setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    (void)setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    (void)setenv("AUTH_CALLOUT_KUBERNETES_TOKEN_FILE", fx_path(&dir, "token"), 1); /* a pod's are not here */
    (void)setenv("AUTH_CALLOUT_KUBERNETES_API_CA", fx_path(&dir, "ca.crt"), 1);
    (void)setenv("NATS_ACCOUNT", "APP", 1);
    EB_CLEANUP(eb_config_freep) struct eb_config *c = load(NULL, &told);
    if (!c)
        fail_msg("%s", told.p);
    const struct eb_issuer_config *k = eb_config_issuer(c, 0);
    assert_ptr_equal(k, &c->kubernetes);
    assert_null(eb_config_issuer(c, 1));
    assert_string_equal(eb_issuer_label(k), "kubernetes");
    assert_string_equal(k->issuer, "https://kubernetes.default.svc");
    assert_string_equal(k->audience.v[0], "nats");
    assert_string_equal(k->kube.account, "APP");
    assert_null(k->url); /* the API server's own */
    /* With a key set and an issuer of its own. */
    (void)setenv("JWKS_URL", "https://oidc.example/keys", 1);
    (void)setenv("JWT_ISSUER", "https://oidc.example", 1);
    (void)setenv("JWT_AUDIENCE", "bus,nats", 1);
    EB_CLEANUP(eb_config_freep) struct eb_config *d = load(NULL, &told);
    if (!d)
        fail_msg("%s", told.p);
    assert_string_equal(d->kubernetes.url, "https://oidc.example/keys");
    assert_string_equal(d->kubernetes.issuer, "https://oidc.example");
    assert_int_equal(d->kubernetes.audience.n, 2);
    assert_null(d->jwks.url);
    /* The API server's own key set by its name in the cluster: with our token and its CA. */
    (void)setenv("JWKS_URL", "https://kubernetes.default.svc/openid/v1/jwks", 1);
    EB_CLEANUP(eb_config_freep) struct eb_config *e = load(NULL, &told);
    if (!e)
        fail_msg("%s", told.p);
    assert_null(e->kubernetes.url);
    assert_null(e->jwks.url);
    (void)setenv("JWKS_URL", "https://kubernetes.default.svc.evil.example/openid/v1/jwks", 1);
    EB_CLEANUP(eb_config_freep) struct eb_config *g = load(NULL, &told);
    assert_string_equal(g->kubernetes.url, "https://kubernetes.default.svc.evil.example/openid/v1/jwks");
    /* With an issuer for it, JWKS_URL is the jwks block's, as ever. */
    (void)setenv("AUTH_CALLOUT_JWKS_ISSUER", "https://idp.example", 1);
    EB_CLEANUP(eb_config_freep) struct eb_config *h = load(NULL, &told);
    (void)unsetenv("AUTH_CALLOUT_JWKS_ISSUER");
    if (!h)
        fail_msg("%s", told.p);
    assert_non_null(h->jwks.url);
    assert_null(h->kubernetes.url);
    /* Without Kubernetes, its variables mean nothing. */
    (void)unsetenv("K8S_IN_CLUSTER");
    (void)unsetenv("JWKS_URL");
    EB_CLEANUP(eb_config_freep) struct eb_config *off = load(NULL, &told);
    assert_null(eb_config_issuer(off, 0));
    /* A kubeconfig of the user is no wish for it; with an account it is. */
    clean_environment();
    (void)setenv("KUBECONFIG", "/root/.kube/config", 1);
    EB_CLEANUP(eb_config_freep) struct eb_config *user = load(NULL, &told);
    assert_null(eb_config_issuer(user, 0));
    assert_non_null(strstr(told.p, "Kubernetes tokens are off"));
    (void)setenv("NATS_ACCOUNT", "APP", 1);
    assert_null(load(NULL, &told));
    assert_non_null(strstr(told.p, "kubernetes.issuer: missing"));
}

static void restarts_are_named(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf told = {0}, what = {0};
    EB_CLEANUP(eb_config_freep) struct eb_config *a = load("issuers:\n" KEYCLOAK KUBE, &told);
    assert_non_null(a);
    eb_config_needs_restart(a, a, &what);
    assert_int_equal(what.n, 0);
    EB_CLEANUP(eb_config_freep)
    struct eb_config *b = load("issuers:\n- {name: new, issuer: n, path: /p, audience: a}\n"
                               "- {name: east, kind: kubernetes, issuer: \"https://east.example\", api-url: "
                               "\"https://other:6443\", token-file: @t, account: B}\n"
                               "- {name: kc, issuer: changed, url: \"https://kc.example/certs\", audience: "
                               "[x, y], client-claims: [cid]}\n",
                               &told);
    if (!b)
        fail_msg("%s", told.p);
    eb_config_needs_restart(a, b, &what);
    assert_string_equal(what.p, "issuers[new], issuers[east].api-url");
    EB_CLEANUP(eb_config_freep) struct eb_config *none = load(NULL, &told);
    eb_buf_reset(&what);
    eb_config_needs_restart(a, none, &what);
    assert_int_equal(what.n, 0); /* what is gone is refused at once */
}

/* Both kinds of an element, and an account, as generate-config shows them. */
static void elements_are_in_every_text(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf yaml = {0}, markdown = {0};
    eb_options_yaml(&yaml);
    eb_options_markdown(&markdown);
    const struct eb_option_table *tables[] = {&eb_issuer_options[0], &eb_issuer_options[1],
                                              &eb_account_options};
    const size_t sizes[] = {sizeof(struct eb_issuer_config), sizeof(struct eb_issuer_config),
                            sizeof(struct eb_account_config)};
    for (size_t t = 0; t < EB_COUNT_OF(tables); t++) {
        for (size_t i = 0; i < tables[t]->n; i++) {
            const struct eb_option *o = &tables[t]->v[i];
            char row[100], line[100];
            (void)snprintf(row, sizeof row, "\n| `%s` | ", o->key);
            (void)snprintf(line, sizeof line, "%s:", o->key);
            size_t n = strlen(o->doc);
            if (!strstr(markdown.p, row) || !strstr(yaml.p, line) || n < 15 || o->doc[n - 1] != '.' ||
                o->at >= sizes[t] || o->alias)
                fail_msg("%s.%s", tables[t]->path, o->key);
            assert_ptr_equal(eb_option_table_find(tables[t], eb_str(o->key)), o);
            for (size_t k = 0; k < i; k++)
                if (strcmp(tables[t]->v[k].key, o->key) == 0 || tables[t]->v[k].at == o->at)
                    fail_msg("%s and %s are the same", tables[t]->v[k].key, o->key);
        }
    }
    assert_non_null(strstr(yaml.p, "\nissuers: []\n"));
    assert_non_null(strstr(yaml.p, "\naccounts: {}\n"));
}

#define TEST(name) cmocka_unit_test_teardown(name, after_each)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(lists_are_read),
        TEST(the_hot_file_adds_seeds_and_replaces_the_list),
        TEST(what_is_refused),
        TEST(many_issuers),
        TEST(drop_in_by_environment),
        TEST(restarts_are_named),
        TEST(elements_are_in_every_text),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
