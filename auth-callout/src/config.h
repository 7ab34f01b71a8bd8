/* The service's configuration: one immutable value read from defaults, files, environment and flags. */
#ifndef EB_CONFIG_H
#define EB_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/findings.h"
#include "base/secret.h"
#include "base/str.h"

struct eb_strs {
    char **v;
    size_t n;
};
struct eb_secrets {
    struct eb_secret **v;
    size_t n;
};

enum eb_issuer_kind { EB_ISSUER_OAUTH2, EB_ISSUER_KUBERNETES };

/* The API server of a Kubernetes issuer, and what its ServiceAccounts get. */
struct eb_kube_config {
    bool in_cluster; /* API server, CA and token as a pod finds them */
    char *kubeconfig, *api_url, *api_ca, *token_file;
    char *account;
    struct eb_strs allowed_accounts; /* that the annotation nats.io/account may name */
    char *subject_prefix;
    struct eb_strs reserved_namespaces;
    bool allow_root_wildcards, allow_jetstream, token_review;
};

/* One token issuer: where its keys are, and what its tokens are held to. */
struct eb_issuer_config {
    char *name;      /* NULL for the `jwks` block, else unique */
    char *kind_text; /* as written; kind is made of it */
    enum eb_issuer_kind kind;
    char *url, *path, *ca, *cache_file; /* kind kubernetes without url and path: the API server's own */
    bool allow_http;
    char *issuer;
    struct eb_strs audience;
    bool audience_none; /* its tokens carry no aud */
    struct eb_strs signing_algorithms;
    int64_t refresh_ns;           /* how often a good set is fetched again */
    struct eb_strs client_claims; /* that name the client, in this order */
    struct eb_strs scope_claims;  /* that hold the scopes, in this order */
    struct eb_kube_config kube;   /* kind kubernetes only */
};

/* An account of operator mode that users are minted for. */
struct eb_account_config {
    char *name, *id;
    struct eb_secret *signing_seed;
    char *signing_seed_file;
    bool scoped;
};

/* Where spans of callouts go, and what they carry; off without an endpoint. */
struct eb_trace_config {
    char *endpoint;        /* a base, which /v1/traces is put behind */
    char *traces_endpoint; /* taken as it is, instead */
    char *protocol;
    struct eb_secret *headers;
    char *headers_file;
    char *tls_ca, *tls_cert, *tls_key;
    bool allow_http;
    int64_t timeout_ns;
    int64_t sample_ratio; /* parts of EB_RATIO_ONE */
    bool client_address;
    char *service_name;
    struct eb_strs attributes; /* of the resource, name=value */
};

#define EB_CONFIG_PERMISSIONS "/etc/auth-callout/permissions.json" /* permissions.file, unless set */

#define EB_REQUIRE_MQTT "mqtt-streams" /* in readiness.require: the gate of MQTT is open */

#define EB_OPTIONS_MAX 128 /* not less than eb_options_n */

struct eb_config {
    /* the service's own link */
    char *nats_url;
    struct eb_secret *nats_nkey_seed;
    char *nats_nkey_seed_file, *nats_creds_file;
    struct eb_secret *nats_token;
    char *nats_tls_ca, *nats_tls_cert, *nats_tls_key;
    /* signing and sealing */
    struct eb_secrets issuer_seeds, xkey_seeds;
    struct eb_strs issuer_seed_files, xkey_seed_files;
    char *nats_issuer_account; /* operator mode: the account that the issuer seeds are signing keys of */
    /* credentials */
    struct eb_issuer_config jwks;       /* off where neither url nor path is set */
    struct eb_issuer_config kubernetes; /* see eb_config_issuer */
    struct eb_issuer_config *issuers;
    size_t issuers_n;
    struct eb_account_config *accounts;
    size_t accounts_n;
    char *mtls_ca_path;
    bool mtls_allow_org_identity;
    bool noauth_accept_unrecognized;
    char *permissions_file;
    char *mqtt_streams_file; /* NULL: MQTT logins are answered whatever the streams are */
    struct eb_strs allowed_accounts;
    bool session_expire_with_credential;
    int64_t session_max_age_ns; /* 0 = none */
    /* sizes */
    int64_t workers, connections, queue;
    int64_t parked;
    /* health, metrics, log */
    char *host_name;
    int64_t host_port;
    char *metrics_name;
    int64_t metrics_port;
    bool server_refusals; /* count what logins the servers refuse */
    char *log_level;
    struct eb_strs readiness_require;
    struct eb_trace_config trace;
    /* sandbox */
    bool require_sandbox, sandbox_seccomp, sandbox_landlock;
    /* By the place among eb_options: the value is of a variable OTEL_…, which may be meant for other
     * programs.
     */
    bool inherited[EB_OPTIONS_MAX];
};

/*
 * Reads everything in its order: built-in defaults, the YAML file (--config, AUTH_CALLOUT_CONFIG), the hot
 * file (AUTH_CALLOUT_HOT_CONFIG, may be absent), environment, flags. argv holds flags only (`--key value`,
 * `--key=value`). Every fault is a finding; EB_E_INVALID where one is an error. *ret is the caller's.
 */
EB_MUSTCHECK enum eb_rc eb_config_load(int argc, char *const *argv, struct eb_config **ret,
                                       struct eb_findings *findings);
void eb_config_free(struct eb_config *c);
EB_DEFINE_CLEANUP(struct eb_config, eb_config_free);

/* The issuers that are configured, from 0 on: the jwks block, the kubernetes block, `issuers`; NULL behind
 * the last. Borrowed. */
const struct eb_issuer_config *eb_config_issuer(const struct eb_config *c, size_t i);
/* Appends where an issuer's key stands: `jwks.url`, `issuers[NAME].url`. */
void eb_config_issuer_path(const struct eb_issuer_config *i, const char *key, struct eb_buf *to);
/* The name in logs, metrics and /readyz: "jwks" for the jwks block. */
const char *eb_issuer_label(const struct eb_issuer_config *i);

/* The environment for ${NAME} in the permissions document: names that carry secrets are told as such. */
const char *eb_config_env(void *ctx, const char *name, bool *is_secret);

/* What differs between two configurations and takes effect only at a restart, as a comma-separated list; ""
 * where nothing does. */
void eb_config_needs_restart(const struct eb_config *now, const struct eb_config *next, struct eb_buf *to);

#endif
