/* OAuth2 / OIDC access tokens (RFC 9068, RFC 8725). */
#include "methods/methods.h"

static void note_identity(struct eb_attempt *a, const struct eb_jwt *t) {
    struct eb_str sub = eb_json_str(t->claims, "sub"), azp = eb_json_str(t->claims, "azp");
    enum { PART = 64 };
    eb_attempt_identity(a, "azp=%.*s sub=%.*s", azp.n > PART ? PART : (int)azp.n, azp.p ? azp.p : "",
                        sub.n > PART ? PART : (int)sub.n, sub.p ? sub.p : "");
}

/* Everything that needs no key: issuer, times, audience, entry, scope, and where the client comes from. */
static enum eb_rc check_local(struct eb_attempt *a, const struct eb_jwt *t) {
    const struct eb_settings *s = a->view->settings;
    struct eb_jwt_rules rules = {eb_str(s->config->jwks.issuer), s->audiences, s->config->jwks.audience.n};
    enum eb_rc rc = eb_jwt_check(t, &rules, a->now_s, &a->expires_s, &a->err);
    if (rc != EB_OK)
        return rc;
    struct eb_str sub = eb_json_str(t->claims, "sub"), azp = eb_json_str(t->claims, "azp");
    if (!eb_policy_find_oauth2(a->view->policy, EB_STR_NONE, sub, azp, &a->entry))
        return EB_FAIL(&a->err, EB_E_UNKNOWN_IDENTITY, "no oauth2 entry has this azp or subject");
    if (a->entry.required_scope.n && !eb_jwt_has_scope(t, a->entry.required_scope))
        return EB_FAIL(&a->err, EB_E_MISSING_SCOPE, "the entry requires the scope %.*s",
                       EB_STR_ARG(a->entry.required_scope));
    return eb_attempt_admit(a);
}

/* The reason to refuse when no key fits yet: waits where a fetch may bring it, and only for a token that is
 * good otherwise. */
static enum eb_rc without_key(struct eb_attempt *a, const struct eb_jwt *t, bool have_set) {
    enum eb_rc rc = check_local(a, t);
    if (rc != EB_OK)
        return rc;
    bool coming = eb_keysource_want(a->keys);
    a->wait_for_keys = coming && a->may_wait;
    if (!have_set)
        return EB_FAIL(&a->err, EB_E_KEYS_UNAVAILABLE, "the provider's keys could not be fetched so far");
    return EB_FAIL(&a->err, EB_E_UNKNOWN_KID, "the provider publishes no key of that kid");
}

enum eb_rc eb_method_oauth2(struct eb_attempt *a, struct eb_str token) {
    a->method = EB_METHOD_OAUTH2;
    if (!a->keys)
        return EB_FAIL(&a->err, EB_E_METHOD_OFF, "a token, and jwks.url is not set");
    EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {0};
    enum eb_rc rc = eb_jwt_read(token, &t, &a->err);
    if (rc != EB_OK)
        return rc;
    note_identity(a, &t);
    const struct eb_settings *s = a->view->settings;
    if (!eb_str_eqz(t.iss, s->config->jwks.issuer ? s->config->jwks.issuer : ""))
        return EB_FAIL(&a->err, EB_E_WRONG_ISSUER, "iss is not jwks.issuer");
    if (t.alg == EB_ALG_NONE || !(s->algorithms & EB_ALG_BIT(t.alg)))
        return EB_FAIL(&a->err, EB_E_ALG_NOT_ALLOWED, "alg %.*s is not in jwks.signing-algorithms",
                       t.alg_name.n > 16 ? 16 : (int)t.alg_name.n, t.alg_name.p ? t.alg_name.p : "");
    EB_CLEANUP(eb_jwks_unrefp) struct eb_jwks *set = eb_keysource_get(a->keys);
    if (!set)
        return without_key(a, &t, false);
    rc = eb_jwt_verify(&t, set, s->algorithms, &a->err);
    if (rc == EB_E_UNKNOWN_KID) {
        a->err = (struct eb_err){0};
        return without_key(a, &t, true);
    }
    return rc != EB_OK ? rc : check_local(a, &t);
}
