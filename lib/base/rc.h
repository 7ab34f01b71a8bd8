/*
 * The result codes of the whole project. A code's name is stable: it is the `reason` of log lines and the
 * label of metrics. class: DENY, the peer is refused for what it sent; UNDECIDED, we could not find out, the
 * peer is refused too; LOCAL, a fault of our own input (configuration, files, memory).
 */
#ifndef EB_BASE_RC_H
#define EB_BASE_RC_H

#include <stdbool.h>

/* X(code, name, class, hint for the operator) */
#define EB_RC_LIST(X)                                                                                        \
    /* general */                                                                                            \
    X(EB_E_NOMEM, "no_memory", UNDECIDED, "the process ran out of memory: raise its limit")                  \
    X(EB_E_INTERNAL, "internal", UNDECIDED, "a fault of this program: report it with the log line")          \
    X(EB_E_INVALID, "invalid", LOCAL, "mend the input that the text names")                                  \
    X(EB_E_IO, "io", LOCAL, "check that the file exists and that this user may read it")                     \
    X(EB_E_TOO_LARGE, "too_large", DENY, "the input exceeds a size limit; send less")                        \
    X(EB_E_MALFORMED, "malformed", DENY, "the input is not well-formed")                                     \
    X(EB_E_BAD_KEY, "bad_key", LOCAL, "the key text is damaged or of the wrong kind")                        \
    /* the request of the server */                                                                          \
    X(EB_E_REQ_MALFORMED, "request_malformed", DENY, "not a request of nats-server: see who may publish")    \
    X(EB_E_REQ_SIGNATURE, "request_signature", DENY, "forged or damaged request: see who may publish")       \
    X(EB_E_REQ_AUDIENCE, "request_audience", DENY, "not meant for auth callouts")                            \
    X(EB_E_REQ_TYPE, "request_type", DENY, "another claim type or version: check the server's version")      \
    X(EB_E_REQ_XKEY, "request_xkey", DENY, "header and signed xkey differ, or it cannot be opened")          \
    X(EB_E_REQ_ISSUER, "request_issuer", DENY, "the server's auth_callout issuer is none of our seeds")      \
    /* choosing the method */                                                                                \
    X(EB_E_UNRECOGNIZED, "unrecognized_credentials", DENY, "user and password that are no token")            \
    X(EB_E_CONFLICTING_TOKENS, "conflicting_tokens", DENY, "two different tokens in one connection")         \
    X(EB_E_NOAUTH_OFF, "noauth_off", DENY, "anonymous clients are refused: no noauth entry")                 \
    X(EB_E_METHOD_OFF, "method_off", DENY, "this kind of credential is not configured")                      \
    X(EB_E_LEAF_REFUSED, "leaf_refused", DENY, "leaf connections need an nkey entry that lists leaf")        \
    /* tokens and signatures */                                                                              \
    X(EB_E_ALG_NOT_ALLOWED, "alg_not_allowed", DENY, "add the algorithm to jwks.signing-algorithms")         \
    X(EB_E_KEY_TYPE, "key_type_mismatch", DENY, "the key of that kid is for another algorithm")              \
    X(EB_E_UNKNOWN_KID, "unknown_kid", DENY, "the provider does not publish that key")                       \
    X(EB_E_KEYS_UNAVAILABLE, "keys_unavailable", UNDECIDED, "no keys of the provider: is its URL reachable") \
    X(EB_E_BAD_SIGNATURE, "bad_signature", DENY, "the signature does not fit the key")                       \
    X(EB_E_EXPIRED, "expired", DENY, "the client must get a fresh credential")                               \
    X(EB_E_NOT_YET_VALID, "not_yet_valid", DENY, "check the clocks")                                         \
    X(EB_E_WRONG_ISSUER, "wrong_issuer", DENY, "the token is of an issuer that is not configured")           \
    X(EB_E_WRONG_AUDIENCE, "wrong_audience", DENY, "ask the provider for a token with our audience")         \
    X(EB_E_MISSING_CLAIM, "missing_claim", DENY, "the token lacks a claim that the text names")              \
    X(EB_E_MISSING_SCOPE, "missing_scope", DENY, "the entry's required_scope is not in the token")           \
    X(EB_E_ID_TOKEN, "id_token", DENY, "an ID token was sent; send the access token")                        \
    X(EB_E_TOKEN_TYPE, "token_type", DENY, "a refresh, logout or other token; send the access token")        \
    X(EB_E_LEGACY_TOKEN, "legacy_token", DENY, "a Secret's token without end; mount a projected one")        \
    X(EB_E_CRIT_HEADER, "crit_header", DENY, "the token demands an extension (crit)")                        \
    /* ServiceAccounts */                                                                                    \
    X(EB_E_SA_UNKNOWN, "serviceaccount_unknown", DENY, "the cluster has no such ServiceAccount")             \
    X(EB_E_SA_REPLACED, "serviceaccount_replaced", DENY, "deleted and made again: restart the pod")          \
    X(EB_E_TOKEN_REVIEW, "token_review", DENY, "the API server does not confirm the token")                  \
    X(EB_E_KUBE_UNAVAILABLE, "kubernetes_unavailable", UNDECIDED, "is the Kubernetes API reachable")         \
    /* certificates */                                                                                       \
    X(EB_E_CERT_UNTRUSTED, "cert_untrusted", DENY, "the chain does not end in mtls.ca-path")                 \
    X(EB_E_CERT_EXPIRED, "cert_expired", DENY, "renew the client's certificate")                             \
    X(EB_E_CERT_NOT_YET_VALID, "cert_not_yet_valid", DENY, "check the clocks")                               \
    X(EB_E_CERT_PURPOSE, "cert_purpose", DENY, "the certificate is not for client authentication")           \
    X(EB_E_CERT_MALFORMED, "cert_malformed", DENY, "the certificate cannot be read")                         \
    X(EB_E_CERT_IDENTITY, "cert_identity", DENY, "several CNs or control bytes in the subject")              \
    /* nkeys */                                                                                              \
    X(EB_E_NKEY_UNSIGNED, "nkey_unsigned", DENY, "nkey without a signature over the nonce")                  \
    X(EB_E_NKEY_SIGNATURE, "nkey_signature", DENY, "the nonce's signature does not fit the nkey")            \
    /* the entry */                                                                                          \
    X(EB_E_UNKNOWN_IDENTITY, "unknown_identity", DENY, "no entry of the permissions document fits")          \
    X(EB_E_CONNECTION_TYPE, "connection_type", DENY, "the entry's connections do not list this kind")        \
    X(EB_E_SRC, "src", DENY, "the client's address is outside the entry's src")                              \
    X(EB_E_CLIENT_ID, "mqtt_client_id", DENY, "the MQTT client id is bound to another identity")             \
    X(EB_E_ACCOUNT_NOT_ALLOWED, "account_not_allowed", DENY, "the account is not in allowed-accounts")

enum eb_rc {
    EB_OK = 0,
#define EB_RC_ENUM(code, name, class, hint) code,
    EB_RC_LIST(EB_RC_ENUM)
#undef EB_RC_ENUM
        EB_RC_MAX_
};

/* The stable name, "ok" for EB_OK; never NULL. */
const char *eb_rc_name(enum eb_rc rc);
/* What an operator does about it; never NULL. */
const char *eb_rc_hint(enum eb_rc rc);
/* True where we could not find out (overload, no keys, no memory) and the peer is not at fault. */
bool eb_rc_undecided(enum eb_rc rc);
/* True for a fault of our own input (configuration, files), which no request can have as its reason. */
bool eb_rc_local(enum eb_rc rc);

#endif
