#include "config_check.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/num.h"

static void need(struct eb_findings *f, bool ok, const char *path, const char *text, const char *mend) {
    if (!ok)
        eb_findings_add(f, EB_ERROR, NULL, 0, path, mend, "%s", text);
}

/* http to this very host, by a name or address that cannot be another's. */
static bool is_loopback_url(const char *url) {
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

void eb_config_check(const struct eb_config *c, struct eb_findings *f) {
    int logins = (c->nats_nkey_seed || c->nats_nkey_seed_file) + (c->nats_creds_file != NULL) +
                 (c->nats_token != NULL);
    need(f, logins <= 1, "nats", "more than one login is given",
         "keep one of nats.nkey-seed, nats.creds-file and nats.token");
    need(f, !(c->nats_nkey_seed && c->nats_nkey_seed_file), "nats.nkey-seed",
         "the seed and a seed file are both given", "keep one");
    need(f, c->issuer_seeds.n + c->issuer_seed_files.n > 0, "nats.issuer-seed-file",
         c->nats_creds_file
             ? "missing: a creds file holds a user key, and answers must be signed by an account key"
             : "missing",
         "name a file with the account seed (SA...) whose public key is the server's auth_callout issuer; "
         "the environment variable is "
         "NATS_SIGNING_KEY_FILE");
    need(f, !c->nats_tls_cert == !c->nats_tls_key, "nats.tls", "cert and key belong together",
         "give both or none");
    const struct eb_issuer_config *j = &c->jwks;
    need(f, !(j->url && j->path), "jwks", "url and path are both given", "keep one");
    need(f, !(j->url || j->path) || j->issuer, "jwks.issuer", "missing", "write the exact iss of the tokens");
    if (j->url && strncmp(j->url, "https://", 8) != 0)
        need(f, strncmp(j->url, "http://", 7) == 0 && (j->allow_http || is_loopback_url(j->url)), "jwks.url",
             "neither https nor http to loopback",
             "use https, or set jwks.allow-http: true and accept that keys can be replaced on the way");
    if ((j->url || j->path) && j->audience.n == 0)
        eb_findings_add(f, EB_WARNING, NULL, 0, "jwks.audience",
                        "set it to the audience that the provider writes for this bus",
                        "unset: tokens for any other service of the provider are accepted too");
    for (size_t i = 0; i < c->readiness_require.n; i++)
        need(f, strcmp(c->readiness_require.v[i], "jwks") == 0, "readiness.require", "unknown key source",
             "the known one is jwks");
}
