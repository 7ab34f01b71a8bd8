/* OAuth2 / OIDC access tokens (RFC 9068, RFC 8725). */
#include "methods/methods.h"

static void note_identity(struct eb_attempt *a, const struct eb_issuer *issuer, const struct eb_jwt *t) {
    struct eb_str sub = eb_json_str(t->claims, "sub"), client = EB_STR_NONE;
    enum { PART = 64 };
    /* A claim of the wrong type refuses later on: here it only is not shown. */
    if (eb_jwt_first_claim(t, issuer->client_claims, issuer->client_claims_n, &client, NULL) != EB_OK)
        client = EB_STR_NONE;
    eb_attempt_identity(a, "azp=%.*s sub=%.*s", client.n > PART ? PART : (int)client.n,
                        client.p ? client.p : "", sub.n > PART ? PART : (int)sub.n, sub.p ? sub.p : "");
}

/* Everything that needs no key: issuer, times, audience, entry, scope, and where the client comes from. */
static enum eb_rc check_local(struct eb_attempt *a, const struct eb_issuer *issuer, const struct eb_jwt *t) {
    enum eb_rc rc = eb_token_check(a, issuer, t);
    if (rc != EB_OK)
        return rc;
    struct eb_str sub = eb_json_str(t->claims, "sub"), client = EB_STR_NONE;
    rc = eb_jwt_first_claim(t, issuer->client_claims, issuer->client_claims_n, &client, &a->err);
    if (rc != EB_OK)
        return rc;
    if (!eb_policy_find_oauth2(a->view->policy, issuer->policy_name, sub, client, &a->entry))
        return EB_FAIL(&a->err, EB_E_UNKNOWN_IDENTITY, "no oauth2 entry of issuer %s has this azp or subject",
                       eb_issuer_label(issuer->config));
    if (a->entry.required_scope.n) {
        rc = eb_jwt_check_scope(t, issuer->scope_claims, issuer->scope_claims_n, a->entry.required_scope,
                                &a->err);
        if (rc != EB_OK)
            return rc;
    }
    return eb_attempt_admit(a);
}

enum eb_rc eb_method_oauth2(struct eb_attempt *a, const struct eb_issuer *issuer, struct eb_jwt *t) {
    note_identity(a, issuer, t);
    return eb_token_verify(a, issuer, t, check_local);
}
