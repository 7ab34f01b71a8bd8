#include "options.h"

#include <ctype.h>
#include <stdio.h>

#include "base/nearest.h"

#define AT(member) offsetof(struct eb_config, member)
#define MAX_PORT 65535
#define SECTION_MAX 32 /* bytes of the longest first part of a key, and more */

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
    {"jwks.url", "JWKS_URL", EB_OPT_TEXT, NULL, NULL, 0, 0, true, AT(jwks.url),
     "Key set of the OAuth2 issuer. https, or http to loopback, or http with jwks.allow-http."},
    {"jwks.path", "JWKS_PATH", EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(jwks.path),
     "Key set in a file, instead of the URL. Read again when it changes."},
    {"jwks.allow-http", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, true, AT(jwks.allow_http),
     "Takes an http URL that is not on loopback. Whoever is on the way can then replace the keys."},
    {"jwks.ca", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(jwks.ca),
     "CA file for jwks.url, for a private CA."},
    {"jwks.cache-file", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, true, AT(jwks.cache_file),
     "Where the last good key set is kept, so that a restart without the provider still knows its keys."},
    {"jwks.refresh", NULL, EB_OPT_DURATION, "5m", NULL, 1000000000LL, 86400000000000LL, true,
     AT(jwks.refresh_ns),
     "How often the key set is fetched again. An unknown kid fetches sooner, at most once in 10 s."},
    {"jwks.issuer", NULL, EB_OPT_TEXT, NULL, NULL, 0, 0, false, AT(jwks.issuer),
     "Expected iss of tokens, compared exactly."},
    {"jwks.audience", NULL, EB_OPT_LIST, NULL, NULL, 0, 0, false, AT(jwks.audience),
     "Expected aud, one or a list. Unset: any audience is taken, with a warning at start."},
    {"jwks.signing-algorithms", NULL, EB_OPT_LIST, "RS256", NULL, 0, 0, false, AT(jwks.signing_algorithms),
     "Algorithms that are accepted: RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA."},
    {"mtls.ca-path", NULL, EB_OPT_PATH, NULL, NULL, 0, 0, false, AT(mtls_ca_path),
     "CA file of client certificates. Watched."},
    {"mtls.allow-org-identity", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, false, AT(mtls_allow_org_identity),
     "Allows O= and OU= as identities. Every certificate of that organisation then has the entry's rights."},
    {"noauth.accept-unrecognized", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, false,
     AT(noauth_accept_unrecognized),
     "Treats credentials of no known kind (a user and password, say) as none at all instead of refusing "
     "them."},
    {"permissions.file", NULL, EB_OPT_PATH, "/etc/auth-callout/permissions.json", NULL, 0, 0, false,
     AT(permissions_file), "The permissions document, JSON or YAML. Watched."},
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
     "Requests that may wait for a key of the provider; over it they are refused."},
    {"host.name", NULL, EB_OPT_TEXT, NULL, NULL, 0, 0, true, AT(host_name),
     "Address that health listens on. Unset: all."},
    {"host.port", "PORT", EB_OPT_INT, "8080", NULL, 0, MAX_PORT, true, AT(host_port),
     "Port of /livez, /readyz, /healthz and /metrics. 0: off."},
    {"observability.metrics.prometheus.name", NULL, EB_OPT_TEXT, NULL, NULL, 0, 0, true, AT(metrics_name),
     "Address that metrics listen on. Unset: all."},
    {"observability.metrics.prometheus.port", NULL, EB_OPT_INT, "9090", NULL, 0, MAX_PORT, true,
     AT(metrics_port), "Port of /metrics. 0: off."},
    {"observability.logging.level", "LOG_LEVEL", EB_OPT_CHOICE, "info", "error,warn,info,debug", 0, 0, false,
     AT(log_level), "Least level that is logged."},
    {"readiness.require", NULL, EB_OPT_LIST, NULL, NULL, 0, 0, false, AT(readiness_require),
     "Key sources that /readyz waits for: jwks."},
    {"sandbox.require", NULL, EB_OPT_BOOL, "false", NULL, 0, 0, true, AT(require_sandbox),
     "Ends the start where landlock or seccomp cannot be applied."},
    {"sandbox.landlock", NULL, EB_OPT_BOOL, "true", NULL, 0, 0, true, AT(sandbox_landlock),
     "Limits the files and TCP ports that the process can reach."},
    {"sandbox.seccomp", NULL, EB_OPT_BOOL, "true", NULL, 0, 0, true, AT(sandbox_seccomp),
     "Limits the system calls that the process can make."},
};
const size_t eb_options_n = EB_COUNT_OF(eb_options);

const struct eb_option *eb_option_find(struct eb_str key) {
    for (size_t i = 0; i < eb_options_n; i++)
        if (eb_str_eqz(key, eb_options[i].key))
            return &eb_options[i];
    return NULL;
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
        [EB_OPT_SECRETS] = "secrets",
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

/* Where a section of the dotted key differs from the one before, opens it. */
static void yaml_sections(struct eb_buf *to, const char *key, const char *before, size_t *ret_depth,
                          const char **ret_leaf) {
    size_t depth = 0;
    bool same = before != NULL;
    const char *at = key;
    for (const char *dot = strchr(at, '.'); dot; dot = strchr(at, '.')) {
        size_t n = (size_t)(dot - key) + 1;
        same = same && strncmp(key, before, n) == 0;
        if (!same)
            eb_buf_printf(to, "%*s%.*s:\n", (int)depth * 2, "", (int)(dot - at), at);
        depth++;
        at = dot + 1;
    }
    *ret_depth = depth;
    *ret_leaf = at;
}

static void yaml_value(struct eb_buf *to, const struct eb_option *o) {
    bool list = eb_option_list(o);
    if (o->fallback && list)
        eb_buf_printf(to, "[%s]", o->fallback);
    else if (o->fallback)
        eb_buf_z(to, o->fallback);
    else
        eb_buf_z(to, list ? "[]" : "");
}

static void wrapped_comment(struct eb_buf *to, int indent, const char *text) {
    enum { WIDTH = 100 };
    while (*text) {
        size_t n = strlen(text);
        if (n > WIDTH) {
            n = WIDTH;
            while (n && text[n] != ' ')
                n--;
        }
        eb_buf_printf(to, "%*s# %.*s\n", indent, "", (int)n, text);
        text += n;
        while (*text == ' ')
            text++;
    }
}

void eb_options_yaml(struct eb_buf *to) {
    eb_buf_z(to, "# Configuration of auth-callout: every option with its default. An option without a value "
                 "is unset.\n");
    const char *before = NULL;
    for (size_t i = 0; i < eb_options_n; i++) {
        const struct eb_option *o = &eb_options[i];
        size_t depth;
        const char *leaf;
        yaml_sections(to, o->key, before, &depth, &leaf);
        before = o->key;
        int indent = (int)depth * 2;
        wrapped_comment(to, indent, o->doc);
        eb_buf_printf(to, "%*s# Environment: ", indent, "");
        eb_option_env(o, to);
        struct eb_str rest = eb_str(o->alias);
        while (rest.p) {
            struct eb_str name = eb_str_cut(&rest, ',');
            eb_buf_printf(to, ", %.*s", EB_STR_ARG(name));
        }
        if (o->restart)
            eb_buf_z(to, ". Takes effect at a restart");
        eb_buf_z(to, ".\n");
        eb_buf_printf(to, "%*s%s: ", indent, "", leaf);
        yaml_value(to, o);
        while (to->n && to->p[to->n - 1] == ' ')
            to->p[--to->n] = '\0';
        eb_buf_ch(to, '\n');
    }
}

static void type_text(struct eb_buf *to, const struct eb_option *o) {
    eb_buf_z(to, eb_option_type_name(o->type));
    if (o->choices)
        eb_buf_printf(to, " %s", o->choices);
    if (o->type == EB_OPT_INT)
        eb_buf_printf(to, " %lld to %lld", (long long)o->min, (long long)o->max);
}

void eb_options_markdown(struct eb_buf *to) {
    eb_buf_z(to, "| key | environment | value | default | when | meaning |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < eb_options_n; i++) {
        const struct eb_option *o = &eb_options[i];
        eb_buf_printf(to, "| `%s` | `", o->key);
        eb_option_env(o, to);
        eb_buf_ch(to, '`');
        struct eb_str rest = eb_str(o->alias);
        while (rest.p) {
            struct eb_str name = eb_str_cut(&rest, ',');
            eb_buf_printf(to, " `%.*s`", EB_STR_ARG(name));
        }
        eb_buf_z(to, " | ");
        type_text(to, o);
        if (o->fallback)
            eb_buf_printf(to, " | `%s`", o->fallback);
        else
            eb_buf_z(to, " | -");
        eb_buf_printf(to, " | %s | %s |\n", o->restart ? "restart" : "reload", o->doc);
    }
}

void eb_options_help(struct eb_buf *to) {
    for (size_t i = 0; i < eb_options_n; i++) {
        const struct eb_option *o = &eb_options[i];
        if (eb_option_secret(o))
            continue;
        eb_buf_printf(to, "  --%s <", o->key);
        type_text(to, o);
        eb_buf_ch(to, '>');
        if (o->fallback)
            eb_buf_printf(to, " (default %s)", o->fallback);
        eb_buf_printf(to, "\n      %s\n", o->doc);
    }
}
