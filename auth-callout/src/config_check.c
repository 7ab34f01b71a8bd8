#include "config_check.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/num.h"
#include "kube/access.h"
#include "policy/policy.h"

static void need(struct eb_findings *f, bool ok, const char *path, const char *text, const char *mend) {
    if (!ok)
        eb_findings_add(f, EB_ERROR, NULL, 0, path, mend, "%s", text);
}

bool eb_config_is_loopback_url(const char *url) {
    if (strncmp(url, "http://", 7) != 0)
        return false;
    struct eb_str rest = eb_str_n(url + 7, strcspn(url + 7, "/?#")), host = rest, port = EB_STR_NONE;
    const char *bracket = rest.n && rest.p[0] == '[' ? memchr(rest.p, ']', rest.n) : NULL;
    const char *colon = bracket ? bracket + 1 : rest.n ? memchr(rest.p, ':', rest.n) : NULL;
    if (colon) {
        host.n = (size_t)(colon - rest.p);
        port = eb_str_n(colon, rest.n - host.n);
    }
    int64_t number;
    if (port.n &&
        (port.p[0] != ':' || eb_num_i64(eb_str_n(port.p + 1, port.n - 1), 1, 65535, &number) != EB_OK))
        return false;
    char text[INET_ADDRSTRLEN];
    struct in_addr v4;
    if (host.n >= sizeof text)
        return false;
    (void)snprintf(text, sizeof text, "%.*s", EB_STR_ARG(host));
    return strcmp(text, "localhost") == 0 || strcmp(text, "[::1]") == 0 ||
           (inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

static bool is_configured(const struct eb_config *c, const struct eb_issuer_config *wanted) {
    for (size_t i = 0; eb_config_issuer(c, i); i++)
        if (eb_config_issuer(c, i) == wanted)
            return true;
    return false;
}

/* A finding at a key of an issuer, unless ok. */
static void need_of(struct eb_findings *f, bool ok, const struct eb_issuer_config *i, const char *key,
                    const char *text, const char *mend) {
    eb_auto_buf struct eb_buf path = {0};
    if (ok)
        return;
    eb_config_issuer_path(i, key, &path);
    eb_findings_add(f, EB_ERROR, NULL, 0, path.p, mend, "%s", text);
}

static void check_kubernetes(const struct eb_config *c, const struct eb_issuer_config *i,
                             struct eb_findings *f) {
    static const char *const never[] = {"SYS", "AUTH", "AUTHX"};
    need_of(f, eb_kube_access_given(&i->kube), i, "in-cluster", "no connection to an API server",
            "set in-cluster: true inside the cluster, else kubeconfig or api-url");
    need_of(f, i->audience.n > 0, i, "audience", "empty",
            "write the audience that pods ask for in their token, `nats` for instance");
    need_of(f, i->kube.account != NULL, i, "account", "missing",
            "name the account that ServiceAccounts are placed into (environment: NATS_ACCOUNT)");
    for (size_t n = 0; n < EB_COUNT_OF(never); n++) {
        need_of(f, !i->kube.account || strcmp(i->kube.account, never[n]) != 0, i, "account",
                "no client is ever placed into this account", "name an account of data");
        for (size_t k = 0; k < i->kube.allowed_accounts.n; k++)
            need_of(f, strcmp(i->kube.allowed_accounts.v[k], never[n]) != 0, i, "allowed-accounts",
                    "no client is ever placed into this account", "name accounts of data");
    }
    static const char chars[] = "use up to 128 letters, digits, `-` and `_`";
    need_of(f, !i->kube.account || eb_policy_account_ok(eb_str(i->kube.account)), i, "account",
            "not the name of an account", chars);
    for (size_t k = 0; k < i->kube.allowed_accounts.n; k++)
        need_of(f, eb_policy_account_ok(eb_str(i->kube.allowed_accounts.v[k])), i, "allowed-accounts",
                "not the name of an account", chars);
    bool allowed = c->allowed_accounts.n == 0;
    for (size_t k = 0; i->kube.account && k < c->allowed_accounts.n; k++)
        allowed = allowed || strcmp(c->allowed_accounts.v[k], i->kube.account) == 0;
    need_of(f, allowed || !i->kube.account, i, "account", "not among allowed-accounts",
            "add it there, or name another");
}

static void check_oauth2(const struct eb_issuer_config *i, struct eb_findings *f) {
    need_of(f, i->url || i->path, i, "url", "missing", "write the URL of the key set, or path for a file");
    need_of(f, !(i->audience_none && i->audience.n), i, "audience-none", "audience is set, too",
            "remove audience if the provider's tokens carry no aud, else audience-none");
    if (i->audience.n || i->audience_none)
        return;
    eb_auto_buf struct eb_buf path = {0};
    eb_config_issuer_path(i, "audience", &path);
    eb_findings_add(f, EB_WARNING, NULL, 0, path.p,
                    "set it to the audience that the provider writes for this bus",
                    "unset: tokens for any other service of the provider are accepted too");
}

static void check_issuer(const struct eb_config *c, size_t place, struct eb_findings *f) {
    const struct eb_issuer_config *i = eb_config_issuer(c, place);
    bool kubernetes = i->kind == EB_ISSUER_KUBERNETES;
    const char *url = kubernetes ? "jwks-url" : "url";
    need_of(f, !(i->url && i->path), i, url, "url and path are both given", "keep one");
    need_of(f, i->issuer != NULL, i, "issuer", "missing", "write the exact iss of the tokens");
    need_of(f, i->signing_algorithms.n > 0, i, "signing-algorithms", "empty", "name one, RS256 for instance");
    if (i->url && strncmp(i->url, "https://", 8) != 0)
        need_of(f, strncmp(i->url, "http://", 7) == 0 && (i->allow_http || eb_config_is_loopback_url(i->url)),
                i, url, "neither https nor http to loopback",
                "use https, or set allow-http: true and accept that keys can be replaced on the way");
    if (kubernetes)
        check_kubernetes(c, i, f);
    else
        check_oauth2(i, f);
    for (size_t k = 0; i->issuer && k < place; k++) {
        const struct eb_issuer_config *other = eb_config_issuer(c, k);
        if (!other->issuer || strcmp(other->issuer, i->issuer) != 0)
            continue;
        eb_auto_buf struct eb_buf path = {0};
        eb_config_issuer_path(i, "issuer", &path);
        eb_findings_add(f, EB_ERROR, NULL, 0, path.p, "remove one of them: the iss of a token must name one",
                        "the issuer %s has the same iss", eb_issuer_label(other));
    }
}

static void check_required(const struct eb_config *c, const char *name, struct eb_findings *f) {
    /* The blocks may be asked for while they are off, so that one chart serves both. */
    bool known =
        strcmp(name, "jwks") == 0 || strcmp(name, "kubernetes") == 0 || strcmp(name, EB_REQUIRE_MQTT) == 0;
    for (size_t i = 0; i < c->issuers_n; i++)
        known = known || (c->issuers[i].name && strcmp(c->issuers[i].name, name) == 0);
    if (!known)
        eb_findings_add(f, EB_ERROR, NULL, 0, "readiness.require",
                        "write jwks, kubernetes, mqtt-streams, or the name of one of the issuers",
                        "%s is the name of no issuer", name);
}

static void check_account(const struct eb_account_config *a, struct eb_findings *f) {
    eb_auto_buf struct eb_buf path = {0};
    eb_buf_printf(&path, "accounts.%s", a->name);
    need(f, a->id != NULL, path.p ? path.p : "accounts", "without an id", "write id: A… (its public key)");
    need(f, !(a->signing_seed && a->signing_seed_file), path.p ? path.p : "accounts",
         "the seed and a seed file are both given", "keep one");
    need(f, a->signing_seed || a->signing_seed_file, path.p ? path.p : "accounts", "without a seed",
         "write signing-seed-file: the file with a seed (SA...) of the account or of its signing key");
}

void eb_config_check(const struct eb_config *c, struct eb_findings *f) {
    int logins = (c->nats_nkey_seed || c->nats_nkey_seed_file) + (c->nats_creds_file != NULL) +
                 (c->nats_token != NULL);
    need(f, logins <= 1, "nats", "more than one login is given",
         "keep one of nats.nkey-seed, nats.creds-file and nats.token");
    need(f, !(c->nats_nkey_seed && c->nats_nkey_seed_file), "nats.nkey-seed",
         "the seed and a seed file are both given", "keep one");
    need(f, c->issuer_seeds.n + c->issuer_seed_files.n > 0, "nats.issuer-seed-file",
         c->nats_creds_file
             ? "missing: the creds file holds a user key, with which the service logs in but cannot sign "
               "answers: nats-server wants them signed by an account key"
             : "missing",
         c->nats_creds_file
             ? "name in NATS_SIGNING_KEY_FILE a file with the seed (SA...) of the account that callouts are "
               "asked in, or of a signing key of it and set nats.issuer-account"
             : "name a file with the account seed (SA...) whose public key is the server's auth_callout "
               "issuer; the environment variable is NATS_SIGNING_KEY_FILE");
    if (c->nats_creds_file && c->accounts_n == 0)
        eb_findings_add(
            f, EB_WARNING, NULL, 0, "accounts",
            "write accounts: { NAME: { id: A..., signing-seed-file: ... } } for each account that "
            "clients are placed into",
            "unset with a creds file: servers in operator mode place every client into the account "
            "of the issuer seed, whatever the permissions document says");
    need(f, !c->nats_tls_cert == !c->nats_tls_key, "nats.tls", "cert and key belong together",
         "give both or none");
    if (c->jwks.issuer && !c->jwks.url && !c->jwks.path && c->jwks.issuer[0])
        eb_findings_add(f, EB_WARNING, NULL, 0, "jwks.url", "set jwks.url or jwks.path",
                        "jwks.issuer is set, but not where its keys are: its tokens are refused");
    if (c->kubernetes.kube.kubeconfig && !is_configured(c, &c->kubernetes))
        eb_findings_add(f, EB_WARNING, NULL, 0, "kubernetes.account",
                        "set kubernetes.issuer and kubernetes.account to take tokens of ServiceAccounts",
                        "a kubeconfig is named, but neither account nor issuer: Kubernetes tokens are off");
    for (size_t i = 0; eb_config_issuer(c, i); i++)
        check_issuer(c, i, f);
    for (size_t i = 0; i < c->readiness_require.n; i++)
        check_required(c, c->readiness_require.v[i], f);
    for (size_t i = 0; i < c->accounts_n; i++)
        check_account(&c->accounts[i], f);
}
