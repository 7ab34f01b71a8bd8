#include "options.h"

#include <ctype.h>
#include <stdio.h>

#include "base/nearest.h"

#define AT(member) offsetof(struct eb_config, member)
#define MAX_PORT 65535
#define TRACING "observability.tracing."
#define OTLP TRACING "otlp."
#define SECTION_MAX 32 /* bytes of the longest first part of a key, and more */

/*
 * The keys of an issuer, written once for the block at the top and for the element of `issuers`. P: what
 * stands before the key; AT: a member's offset; NAMES: further names in the environment, which elements have
 * none of.
 */
#define JWKS(member) AT(jwks.member)
#define KUBE(member) AT(kubernetes.member)
#define ELEMENT(member) offsetof(struct eb_issuer_config, member)
#define NAMES(names) names
#define NO_NAMES(names) NULL
#define ALGORITHMS "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA"

/* clang-format off */
#define FETCH_ROWS(P, AT)                                                                                    \
    {P "allow-http", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, true, AT(allow_http),                           \
     "Takes an http URL that is not on loopback. Whoever is on the way can then replace the keys."},         \
    {P "cache-file", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(cache_file),                              \
     "Where the last good key set is kept, so that a restart without the provider still knows its keys."},   \
    {P "refresh", NULL, EB_OPT_DURATION, "5m", NULL, 1000000000LL, 86400000000000LL, true, AT(refresh_ns),   \
     "How often the key set is fetched again. An unknown kid fetches sooner, at most once in 10 s."},

#define OAUTH2_ROWS(P, AT, NAMES)                                                                            \
    {P "url", NAMES("JWKS_URL"), EB_OPT_TEXT, NULL, NULL, 0, 0, true, AT(url),                               \
     "Key set of the OAuth2 issuer. https, or http to loopback, or http with " P "allow-http."},             \
    {P "path", NAMES("JWKS_PATH"), EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(path),                            \
     "Key set in a file, instead of the URL. Read again when it changes."},                                  \
    {P "ca", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(ca),                                              \
     "CA file for " P "url, for a private CA."},                                                             \
    FETCH_ROWS(P, AT)                                                                                        \
    {P "issuer", NULL, EB_OPT_TEXT, NULL, NULL, 0, 0, false, AT(issuer),                                     \
     "Expected iss of tokens, compared exactly."},                                                           \
    {P "audience", NULL, EB_OPT_LIST, NULL, NULL, 0, 0, false, AT(audience),                                 \
     "Expected aud, one or a list. Unset: any audience is taken, with a warning at start."},                 \
    {P "audience-none", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, false, AT(audience_none),                    \
     "For a provider whose tokens carry no aud (Amazon Cognito): a token that has one is refused."},         \
    {P "signing-algorithms", NULL, EB_OPT_LIST, "RS256", NULL, 0, 0, false, AT(signing_algorithms),          \
     "Algorithms that are accepted: " ALGORITHMS "."},                                                       \
    {P "client-claims", NULL, EB_OPT_LIST, "azp", NULL, 0, 0, false, AT(client_claims),                      \
     "Claims that name the client, which an entry's azp is compared with; the first one that is there "      \
     "counts. An empty list: none, entries then go by subject alone."},                                      \
    {P "scope-claims", NULL, EB_OPT_LIST, "scope,scp,scopes", NULL, 0, 0, false, AT(scope_claims),           \
     "Claims that hold the scopes, as text with blanks between or as a list; the first one that is there "   \
     "counts."},

#define KUBERNETES_ROWS(P, AT, NAMES)                                                                        \
    {P "in-cluster", NAMES("K8S_IN_CLUSTER"), EB_OPT_BOOL, "false", NULL, 0, 0, true, AT(kube.in_cluster),   \
     "Takes ServiceAccount tokens of the cluster that the service runs in, with the API server, CA and "     \
     "token that a pod is given."},                                                                          \
    {P "kubeconfig", NAMES("KUBECONFIG"), EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(kube.kubeconfig),          \
     "The same from outside a cluster: kubeconfig file whose current context names the API server."},        \
    {P "api-url", NULL, EB_OPT_TEXT, NULL, NULL, 0, 0, true, AT(kube.api_url),                               \
     "URL of the API server, instead of what the pod or the kubeconfig file says."},                         \
    {P "api-ca", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(kube.api_ca),                                 \
     "CA file of the API server. Read again when it changes."},                                              \
    {P "token-file", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(kube.token_file),                         \
     "File with the bearer token for the API server. Read again when it changes."},                          \
    {P "jwks-url", NULL, EB_OPT_TEXT, NULL, NULL, 0, 0, true, AT(url),                                       \
     "Key set of the tokens. Unset: /openid/v1/jwks of the API server, with its CA and our token."},         \
    {P "jwks-path", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(path),                                     \
     "Key set in a file, instead of the URL. Read again when it changes."},                                  \
    {P "jwks-ca", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(ca), "CA file for " P "jwks-url."},          \
    FETCH_ROWS(P, AT)                                                                                        \
    {P "issuer", NAMES("JWT_ISSUER"), EB_OPT_TEXT, NULL, NULL, 0, 0, false, AT(issuer),                      \
     "Expected iss of tokens, compared exactly. Unset with " P "in-cluster: "                                \
     "https://kubernetes.default.svc."},                                                                     \
    {P "audience", NAMES("JWT_AUDIENCE"), EB_OPT_LIST, "nats", NULL, 0, 0, false, AT(audience),              \
     "Expected aud, one or a list."},                                                                        \
    {P "signing-algorithms", NULL, EB_OPT_LIST, "RS256,ES256,ES384,ES512", NULL, 0, 0, false,                \
     AT(signing_algorithms), "Algorithms that are accepted: " ALGORITHMS "."},                               \
    {P "account", NAMES("NATS_ACCOUNT"), EB_OPT_TEXT, NULL, NULL, 0, 0, false, AT(kube.account),              \
     "Account that ServiceAccounts are placed into."},                                                       \
    {P "allowed-accounts", NULL, EB_OPT_LIST, NULL, NULL, 0, 0, false, AT(kube.allowed_accounts),             \
     "Further accounts, which a ServiceAccount's annotation nats.io/account may name."},                     \
    {P "subject-prefix", NULL, EB_OPT_TEXT, NULL, NULL, 0, 0, true, AT(kube.subject_prefix),                 \
     "What stands before the namespace in its subjects, as it is: k8s. gives k8s.NAMESPACE.>."},          \
    {P "reserved-namespaces", NULL, EB_OPT_LIST, "cpc", NULL, 0, 0, true, AT(kube.reserved_namespaces),      \
     "Namespaces that get no subject by their name: cpc, and the first tokens of the cross-layer lists."},   \
    {P "allow-root-wildcards", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, true, AT(kube.allow_root_wildcards),  \
     "Lets annotations grant subjects that begin with a wildcard."},                                         \
    {P "allow-jetstream", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, true, AT(kube.allow_jetstream),            \
     "Lets annotations grant $JS.API, $JS.ACK, $KV and $O subjects."},                                       \
    {P "token-review", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, false, AT(kube.token_review),                  \
     "Asks the API server about every token, so that a deleted pod's is refused."},
/* clang-format on */

#define ELEMENT_ROWS                                                                                         \
    {"name",                                                                                                 \
     NULL,                                                                                                   \
     EB_OPT_TEXT,                                                                                            \
     NULL,                                                                                                   \
     NULL,                                                                                                   \
     0,                                                                                                      \
     0,                                                                                                      \
     false,                                                                                                  \
     ELEMENT(name),                                                                                          \
     "What entries of the permissions document, metrics and the log call it: letters, digits, - and _."},    \
        {"kind", NULL, EB_OPT_CHOICE, "oauth2",           "oauth2,kubernetes",                               \
         0,      0,    true,          ELEMENT(kind_text), "What its tokens are."},

static const struct eb_option oauth2_element[] = {ELEMENT_ROWS OAUTH2_ROWS("", ELEMENT, NO_NAMES)};
static const struct eb_option kubernetes_element[] = {ELEMENT_ROWS KUBERNETES_ROWS("", ELEMENT, NO_NAMES)};
const struct eb_option_table eb_issuer_options[2] = {
    [EB_ISSUER_OAUTH2] =
        {"issuers[]",
         "Further issuers of tokens, a list; the token's iss chooses, by exact match. A file "
         "alone sets them. An item has these keys:",
         oauth2_element, EB_COUNT_OF(oauth2_element)},
    [EB_ISSUER_KUBERNETES] = {"issuers[]", "With `kind: kubernetes` an item has these keys:",
                              kubernetes_element, EB_COUNT_OF(kubernetes_element)},
};

#define ACCOUNT(member) offsetof(struct eb_account_config, member)
static const struct eb_option account_element[] = {
    {"id", NULL, EB_OPT_TEXT, NULL, NULL, 0, 0, false, ACCOUNT(id), "The account's public key (A...)."},
    {"signing-seed", NULL, EB_OPT_SECRET, NULL, NULL, 0, 0, false, ACCOUNT(signing_seed),
     "Account seed (SA...) that signs its users: the account's own, or one of its signing keys. Better given "
     "as a file."},
    {"signing-seed-file", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, false, ACCOUNT(signing_seed_file),
     "File with that seed. Watched."},
    {"scoped", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, false, ACCOUNT(scoped),
     "The signing key is a scoped one: the permissions are its own, not those of the entry."},
};
const struct eb_option_table eb_account_options = {
    "accounts.NAME",
    "Operator mode: the accounts that users are minted for, by name. A file alone sets them. Each has these "
    "keys:",
    account_element, EB_COUNT_OF(account_element)};

const struct eb_option eb_options[] = {
    {"nats.url", "NATS_URL", EB_OPT_TEXT, "nats://nats:4222", NULL, 0, 0, true, AT(nats_url),
     "One or more comma-separated URLs of NATS servers. A user and password in the URL are taken as the "
     "login."},
    {"nats.nkey-seed", NULL, EB_OPT_SECRET, NULL, NULL, 0, 0, true, AT(nats_nkey_seed),
     "User seed (SU...) that logs the service in. Better given as a file."},
    {"nats.nkey-seed-file", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(nats_nkey_seed_file),
     "File with the user seed. It is read again whenever a link is built anew."},
    {"nats.creds-file", "NATS_CREDS_FILE,NATS_USER_CREDS_FILE", EB_OPT_PATH, NULL, NULL, 0, 0, true,
     AT(nats_creds_file),
     "Credentials file (user JWT and seed) that logs the service in, instead of the nkey."},
    {"nats.token", "NATS_TOKEN", EB_OPT_SECRET, NULL, NULL, 0, 0, true, AT(nats_token),
     "Token that logs the service in, instead of the nkey."},
    {"nats.issuer-seed", NULL, EB_OPT_SECRETS, NULL, NULL, 0, 0, false, AT(issuer_seeds),
     "Account seeds (SA...) that sign what the service issues; the request names the one to answer with. "
     "Better given as files."},
    {"nats.issuer-seed-file", "NATS_SIGNING_KEY_FILE", EB_OPT_PATHS, NULL, NULL, 0, 0, false,
     AT(issuer_seed_files),
     "Files with account seeds, one or a list; a file may hold several, one a line. Watched."},
    {"nats.issuer-account", NULL, EB_OPT_TEXT, NULL, NULL, 0, 0, false, AT(nats_issuer_account),
     "Operator mode: public key (A...) of the account that callouts are asked in, where the issuer seed is a "
     "signing key of it instead of its own. The last seed answers."},
    {"nats.xkey-seed", NULL, EB_OPT_SECRETS, NULL, NULL, 0, 0, false, AT(xkey_seeds),
     "Curve seeds (SX...) that open sealed requests. Better given as files."},
    {"nats.xkey-seed-file", NULL, EB_OPT_PATHS, NULL, NULL, 0, 0, false, AT(xkey_seed_files),
     "Files with curve seeds, one or a list; a file may hold several, one a line. Watched."},
    {"nats.tls.ca", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(nats_tls_ca),
     "CA file for the service's own link; setting it demands TLS."},
    {"nats.tls.cert", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(nats_tls_cert),
     "Client certificate of the service's own link."},
    {"nats.tls.key", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(nats_tls_key),
     "Private key of nats.tls.cert."},
    OAUTH2_ROWS("jwks.", JWKS, NAMES) KUBERNETES_ROWS("kubernetes.", KUBE, NAMES){
        "mtls.ca-path", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, false, AT(mtls_ca_path),
        "CA file of client certificates. Watched."},
    {"mtls.allow-org-identity", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, false, AT(mtls_allow_org_identity),
     "Allows O= and OU= as identities. Every certificate of that organisation then has the entry's rights."},
    {"noauth.accept-unrecognized", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, false,
     AT(noauth_accept_unrecognized),
     "Treats credentials of no known kind (a user and password, say) as none at all instead of refusing "
     "them."},
    {"permissions.file", NULL, EB_OPT_PATH, EB_CONFIG_PERMISSIONS, NULL, 0, 0, false, AT(permissions_file),
     "The permissions document, JSON or YAML. Watched."},
    {"mqtt.streams-file", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(mqtt_streams_file),
     "Definitions of the site's streams (streams.json of `eventbus render`). MQTT logins are answered only "
     "while "
     "the streams are as specified there. Unset: always. Watched."},
    {"allowed-accounts", NULL, EB_OPT_LIST, NULL, NULL, 0, 0, false, AT(allowed_accounts),
     "Accounts that a client may be placed into. Unset: those that the permissions document names."},
    {"session.expire-with-credential", NULL, EB_OPT_BOOL, "true", NULL, 0, 0, false,
     AT(session_expire_with_credential), "Ends a session when its token or certificate expires."},
    {"session.max-age", NULL, EB_OPT_DURATION, "0", NULL, 0, INT64_MAX, false, AT(session_max_age_ns),
     "Longest life of a session. 0: no limit."},
    {"limits.workers", NULL, EB_OPT_INT, "auto", NULL, 0, 256, true, AT(workers),
     "Worker threads. auto: one a core."},
    {"limits.connections", NULL, EB_OPT_INT, "auto", NULL, 0, 64, true, AT(connections),
     "NATS connections of the service. auto: one a core."},
    {"limits.queue", NULL, EB_OPT_INT, "8192", NULL, 16, 1048576, true, AT(queue),
     "Requests that may wait for a worker; over it the oldest is dropped and counted."},
    {"limits.parked", NULL, EB_OPT_INT, "1024", NULL, 0, 65536, true, AT(parked),
     "Requests that may wait for a key, a ServiceAccount or a TokenReview; over it they are dropped and "
     "counted. 0: none waits, it is decided with what is known."},
    {"host.name", NULL, EB_OPT_TEXT, NULL, NULL, 0, 0, true, AT(host_name),
     "Address that health listens on. Unset: all."},
    {"host.port", "PORT", EB_OPT_INT, "8080", NULL, 0, MAX_PORT, true, AT(host_port),
     "Port of /livez, /readyz, /healthz and /metrics. 0: off."},
    {"observability.metrics.prometheus.name", NULL, EB_OPT_TEXT, NULL, NULL, 0, 0, true, AT(metrics_name),
     "Address that metrics listen on. Unset: all."},
    {"observability.metrics.prometheus.port", NULL, EB_OPT_INT, "9090", NULL, 0, MAX_PORT, true,
     AT(metrics_port), "Port of /metrics. 0: off."},
    {"observability.metrics.server-refusals", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, true,
     AT(server_refusals),
     "Counts the logins that the servers refuse, those that time out among them, as the servers tell it on "
     "$SYS.ACCOUNT.CLIENT.AUTH.ERR. The service's user must be allowed to subscribe to that, and its account "
     "must be that of the callouts or import it from there: the configuration of `eventbus render` does so."},
    {"observability.logging.level", "LOG_LEVEL", EB_OPT_CHOICE, "info", "error,warn,info,debug", 0, 0, false,
     AT(log_level), "Least level that is logged."},
    {OTLP "endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", EB_OPT_TEXT, NULL, NULL, 0, 0, true, AT(trace.endpoint),
     "URL of a collector of traces (OTLP over HTTP, port 4318 as a rule); /v1/traces is put behind it. "
     "https, or http to loopback, or http with " OTLP "allow-http. Unset: no traces."},
    {OTLP "traces-endpoint", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", EB_OPT_TEXT, NULL, NULL, 0, 0, true,
     AT(trace.traces_endpoint), "The same, taken as it is: nothing is put behind it."},
    {OTLP "protocol", "OTEL_EXPORTER_OTLP_PROTOCOL,OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", EB_OPT_TEXT,
     "http/protobuf", NULL, 0, 0, true, AT(trace.protocol),
     "The one protocol there is; an option so that a variable which asks for another is told."},
    {OTLP "headers", "OTEL_EXPORTER_OTLP_HEADERS,OTEL_EXPORTER_OTLP_TRACES_HEADERS", EB_OPT_SECRET, NULL,
     NULL, 0, 0, true, AT(trace.headers),
     "Headers for the collector, name=value with commas between; %20 is a blank and %2C a comma in a value. "
     "Better given as a file."},
    {OTLP "headers-file", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(trace.headers_file),
     "File with such headers, one a line. Read again for each request."},
    {OTLP "tls.ca", "OTEL_EXPORTER_OTLP_CERTIFICATE,OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", EB_OPT_PATH, NULL,
     NULL, 0, 0, true, AT(trace.tls_ca), "CA file of the collector, for a private CA."},
    {OTLP "tls.cert", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE,OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
     EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(trace.tls_cert),
     "Client certificate that the collector is shown."},
    {OTLP "tls.key", "OTEL_EXPORTER_OTLP_CLIENT_KEY,OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", EB_OPT_PATH, NULL,
     NULL, 0, 0, true, AT(trace.tls_key), "Private key of " OTLP "tls.cert."},
    {OTLP "allow-http", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, true, AT(trace.allow_http),
     "Takes an http URL that is not on loopback. Whoever is on the way can then read spans and headers."},
    {OTLP "timeout", NULL, EB_OPT_DURATION, "10s", NULL, 100000000LL, 60000000000LL, true,
     AT(trace.timeout_ns), "How long a request to the collector may take."},
    {TRACING "sample-ratio", NULL, EB_OPT_RATIO, "1", NULL, 0, 0, true, AT(trace.sample_ratio),
     "Part of the callouts that is traced."},
    {TRACING "client-address", NULL, EB_OPT_BOOL, "true", NULL, 0, 0, true, AT(trace.client_address),
     "Whether spans name the client's address, as the log does."},
    {TRACING "service-name", "OTEL_SERVICE_NAME", EB_OPT_TEXT, NULL, NULL, 0, 0, true, AT(trace.service_name),
     "service.name of the resource. Unset: that of resource-attributes, else auth-callout."},
    {TRACING "resource-attributes", "OTEL_RESOURCE_ATTRIBUTES", EB_OPT_LIST, NULL, NULL, 0, 0, true,
     AT(trace.attributes),
     "Further attributes of the resource, name=value, one or a list; %2C is a comma in a value."},
    {"readiness.require", NULL, EB_OPT_LIST, NULL, NULL, 0, 0, false, AT(readiness_require),
     "What /readyz waits for: jwks, kubernetes, names of issuers, and mqtt-streams (that MQTT logins are "
     "answered)."},
    {"sandbox.require", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, true, AT(require_sandbox),
     "Ends the start where landlock or seccomp cannot be applied."},
    {"sandbox.landlock", NULL, EB_OPT_BOOL, "true", NULL, 0, 0, true, AT(sandbox_landlock),
     "Limits the files and TCP ports that the process can reach."},
    {"sandbox.seccomp", NULL, EB_OPT_BOOL, "true", NULL, 0, 0, true, AT(sandbox_seccomp),
     "Limits the system calls that the process can make."},
};
const size_t eb_options_n = EB_COUNT_OF(eb_options);
_Static_assert(EB_COUNT_OF(eb_options) <= EB_OPTIONS_MAX, "places are kept for fewer options");

const struct eb_option *eb_option_find(struct eb_str key) {
    for (size_t i = 0; i < eb_options_n; i++)
        if (eb_str_eqz(key, eb_options[i].key))
            return &eb_options[i];
    return NULL;
}

const struct eb_option *eb_option_table_find(const struct eb_option_table *t, struct eb_str key) {
    for (size_t i = 0; i < t->n; i++)
        if (eb_str_eqz(key, t->v[i].key))
            return &t->v[i];
    return NULL;
}

void eb_option_table_nearest(const struct eb_option_table *t, struct eb_str key, struct eb_buf *mend) {
    const char *names[EB_COUNT_OF(eb_options)];
    size_t n = 0;
    while (n < t->n && n < EB_COUNT_OF(names)) {
        names[n] = t->v[n].key;
        n++;
    }
    const char *near = eb_nearest(key, names, n);
    if (near)
        eb_buf_printf(mend, "did you mean %s?", near);
    else
        eb_buf_printf(mend, "`auth-callout generate-config` prints the keys of %s", t->path);
}

void eb_options_nearest(struct eb_str key, struct eb_buf *mend) {
    const char *names[2 * EB_COUNT_OF(eb_options)];
    char sections[EB_COUNT_OF(eb_options)][SECTION_MAX]; /* a misspelt section is nearer to another section
                                                            than to any whole key */
    size_t n = 0;
    for (size_t i = 0; i < eb_options_n; i++) {
        const char *option = eb_options[i].key, *dot = strchr(option, '.');
        names[n++] = option;
        if (!dot)
            continue;
        (void)snprintf(sections[i], SECTION_MAX, "%.*s", (int)(dot - option), option);
        names[n++] = sections[i];
    }
    const char *near = eb_nearest(key, names, n);
    if (near)
        eb_buf_printf(mend, "did you mean %s?", near);
    else
        eb_buf_z(mend, "`auth-callout generate-config` prints every key");
}

const char *eb_option_type_name(enum eb_opt_type type) {
    static const char *const names[] = {
        [EB_OPT_TEXT] = "text",       [EB_OPT_PATH] = "file",         [EB_OPT_CHOICE] = "one of",
        [EB_OPT_LIST] = "list",       [EB_OPT_PATHS] = "files",       [EB_OPT_BOOL] = "true or false",
        [EB_OPT_INT] = "number",      [EB_OPT_DURATION] = "duration", [EB_OPT_SECRET] = "secret",
        [EB_OPT_SECRETS] = "secrets", [EB_OPT_RATIO] = "0 to 1",
    };
    return names[type];
}

bool eb_option_secret(const struct eb_option *o) {
    return o->type == EB_OPT_SECRET || o->type == EB_OPT_SECRETS;
}

bool eb_option_list(const struct eb_option *o) {
    return o->type == EB_OPT_LIST || o->type == EB_OPT_PATHS || o->type == EB_OPT_SECRETS;
}

void eb_option_env(const struct eb_option *o, struct eb_buf *to) {
    eb_buf_z(to, "AUTH_CALLOUT_");
    for (const char *c = o->key; *c; c++)
        eb_buf_ch(to, *c == '.' || *c == '-' ? '_' : (char)toupper((unsigned char)*c));
}
