/* Tokens of any kind: the issuer is found by `iss`, the signature verified with its keys. */
#include "methods/methods.h"

/* Sets of keys that one verdict looks at, where a new one comes each time. */
enum { LOOKS_MAX = 3 };

enum eb_rc eb_token_check(struct eb_attempt *a, const struct eb_issuer *issuer, const struct eb_jwt *t) {
    struct eb_jwt_rules rules = {.issuer = issuer->iss,
                                 .audiences = issuer->audiences,
                                 .audiences_n = issuer->audiences_n,
                                 .audience_none = issuer->config->audience_none};
    return eb_jwt_check(t, &rules, a->now_s, &a->expires_s, &a->err);
}

void eb_attempt_wait(struct eb_attempt *a, const struct eb_issuer *issuer, uint64_t number) {
    if (!a->may_wait)
        return;
    a->wait_for = issuer->source;
    a->wait_number = number;
}

/*
 * The reason to refuse when no key of the set fits: waits where a fetch may bring it, and only for a token
 * that is good otherwise. *ret_again: another set is there by now.
 */
static enum eb_rc without_key(struct eb_attempt *a, const struct eb_issuer *issuer, const struct eb_jwt *t,
                              eb_token_local_fn local, const struct eb_jwks *seen, bool *ret_again) {
    enum eb_rc rc = local(a, issuer, t);
    if (rc != EB_OK)
        return rc;
    enum eb_key_hope hope = eb_keysource_want(issuer->source->keys, seen);
    *ret_again = hope == EB_KEYS_CHANGED;
    if (hope == EB_KEYS_COMING)
        eb_attempt_wait(a, issuer, EB_SOURCE_KEYS);
    if (!seen)
        return EB_FAIL(&a->err, EB_E_KEYS_UNAVAILABLE, "the keys of issuer %s could not be fetched so far",
                       eb_issuer_label(issuer->config));
    return EB_FAIL(&a->err, EB_E_UNKNOWN_KID, "issuer %s publishes no key of that kid",
                   eb_issuer_label(issuer->config));
}

enum eb_rc eb_token_verify(struct eb_attempt *a, const struct eb_issuer *issuer, const struct eb_jwt *t,
                           eb_token_local_fn local) {
    if (t->alg == EB_ALG_NONE || !(issuer->algorithms & EB_ALG_BIT(t->alg)))
        return EB_FAIL(&a->err, EB_E_ALG_NOT_ALLOWED, "alg %.*s is not in signing-algorithms of issuer %s",
                       t->alg_name.n > 16 ? 16 : (int)t->alg_name.n, t->alg_name.p ? t->alg_name.p : "",
                       eb_issuer_label(issuer->config));
    enum eb_rc rc = EB_E_UNKNOWN_KID;
    bool again = true;
    for (int looks = 0; again && looks < LOOKS_MAX; looks++) {
        EB_CLEANUP(eb_jwks_unrefp) struct eb_jwks *set = eb_keysource_get(issuer->source->keys);
        again = false;
        a->err = (struct eb_err){0};
        if (set)
            rc = eb_jwt_verify(t, set, issuer->algorithms, &a->err);
        if (set && rc != EB_E_UNKNOWN_KID)
            return rc != EB_OK ? rc : local(a, issuer, t);
        a->err = (struct eb_err){0};
        rc = without_key(a, issuer, t, local, set, &again);
    }
    return rc;
}

static void note_stranger(struct eb_attempt *a, const struct eb_jwt *t) {
    struct eb_str sub = eb_json_str(t->claims, "sub");
    enum { PART = 64 };
    eb_attempt_identity(a, "iss=%.*s sub=%.*s", t->iss.n > PART ? PART : (int)t->iss.n,
                        t->iss.p ? t->iss.p : "", sub.n > PART ? PART : (int)sub.n, sub.p ? sub.p : "");
}

enum eb_rc eb_method_token(struct eb_attempt *a, struct eb_str token) {
    const struct eb_settings *s = a->view->settings;
    a->method = EB_METHOD_OAUTH2;
    a->token = token;
    if (s->issuers_n == 0)
        return EB_FAIL(&a->err, EB_E_METHOD_OFF, "a token, and no issuer of tokens is configured");
    EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {0};
    enum eb_rc rc = eb_jwt_read(token, &t, &a->err);
    if (rc != EB_OK)
        return rc;
    const struct eb_issuer *issuer = eb_issuers_find(s->issuers, s->issuers_n, t.iss);
    if (!issuer) {
        note_stranger(a, &t);
        if (eb_kube_token_is_legacy(&t)) {
            a->method = EB_METHOD_KUBERNETES;
            return EB_FAIL(&a->err, EB_E_LEGACY_TOKEN,
                           "a token of a ServiceAccount's Secret, which never ends: mount a projected one");
        }
        return EB_FAIL(&a->err, EB_E_WRONG_ISSUER, "%s",
                       t.iss.p ? "iss is that of no configured issuer" : "the token has no iss");
    }
    bool kubernetes = issuer->config->kind == EB_ISSUER_KUBERNETES;
    if (kubernetes)
        a->method = EB_METHOD_KUBERNETES;
    if (!issuer->source || !issuer->source->keys)
        return EB_FAIL(&a->err, EB_E_KEYS_UNAVAILABLE, "issuer %s is new or changed: restart the service",
                       eb_issuer_label(issuer->config));
    return kubernetes ? eb_method_kubernetes(a, issuer, &t) : eb_method_oauth2(a, issuer, &t);
}
