#include "decide.h"

#include <sodium.h>
#include <stdio.h>

/* Sessions end up to this much early, so that clients admitted together do not come back together. */
enum { JITTER_PERCENT = 5, JITTER_MAX_S = 300 };

void eb_attempt_identity(struct eb_attempt *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(a->identity, sizeof a->identity, fmt, ap);
    va_end(ap);
}

enum eb_rc eb_attempt_admit(struct eb_attempt *a) {
    return eb_policy_admit(a->view->policy, &a->entry, a->conn, a->req->host, a->req->mqtt_id, &a->err);
}

/* The one token of the connection; false with EB_E_CONFLICTING_TOKENS where there are two. {NULL, 0} where
 * there is none. */
static enum eb_rc find_token(struct eb_attempt *a, struct eb_str *ret) {
    const struct eb_auth_request *r = a->req;
    bool sentinel = r->jwt_opt.n && eb_natsjwt_is(r->jwt_opt);
    struct eb_str found = EB_STR_NONE;
    if (r->pass.n && (eb_str_eqz(r->user, "oauthtoken") ||
                      (r->type == EB_TYPE_MQTT && eb_jwt_shape(r->pass) && !eb_natsjwt_is(r->pass))))
        found = r->pass;
    struct eb_str others[] = {r->auth_token, sentinel ? EB_STR_NONE : r->jwt_opt};
    for (size_t i = 0; i < EB_COUNT_OF(others); i++) {
        if (others[i].n == 0 || !eb_jwt_shape(others[i]) || eb_natsjwt_is(others[i]))
            continue;
        if (found.p && !eb_str_eq(found, others[i]))
            return EB_FAIL(&a->err, EB_E_CONFLICTING_TOKENS, "two different tokens in one connection");
        found = others[i];
    }
    *ret = found;
    return EB_OK;
}

/* True where the client sent no credential at all (an operator-mode sentinel is none, nor is the signature
 * that goes with it). */
static bool presents_nothing(const struct eb_auth_request *r) {
    bool sentinel = r->jwt_opt.n && eb_natsjwt_is(r->jwt_opt);
    bool jwt = r->jwt_opt.n && !sentinel, sig = r->sig.n && !sentinel;
    return !r->user.n && !r->pass.n && !r->auth_token.n && !jwt && !r->nkey.n && !sig;
}

enum eb_rc eb_decide(struct eb_attempt *a) {
    const struct eb_auth_request *r = a->req;
    struct eb_str token = EB_STR_NONE;
    enum eb_rc rc = find_token(a, &token);
    if (rc != EB_OK) {
        a->method = EB_METHOD_OAUTH2;
        return rc;
    }
    if (token.p)
        return eb_method_token(a, token);
    if (json_array_size(r->verified_chains) || json_array_size(r->certs))
        return eb_method_mtls(a);
    if (r->nkey.n)
        return eb_method_nkey(a);
    if (presents_nothing(r))
        return eb_method_noauth(a);
    if (r->user.n && !eb_jwt_shape(r->user))
        eb_attempt_identity(a, "user=%.*s", r->user.n > EB_IDENTITY_MAX ? EB_IDENTITY_MAX : (int)r->user.n,
                            r->user.p);
    if (a->view->settings->config->noauth_accept_unrecognized)
        return eb_method_noauth(a);
    a->method = EB_METHOD_NOAUTH; /* the method that would take them, were it told to */
    return EB_FAIL(&a->err, EB_E_UNRECOGNIZED, "credentials of no kind that is taken here");
}

int64_t eb_decide_session_end(const struct eb_attempt *a) {
    const struct eb_config *c = a->view->settings->config;
    if (a->entry.internal || (a->entry.connections & EB_CONN_LEAF && a->conn == EB_CONN_LEAF))
        return 0;
    int64_t end = c->session_expire_with_credential ? a->expires_s : 0;
    if (c->session_max_age_ns) {
        int64_t whole = (c->session_max_age_ns + 999999999) / 1000000000;
        if (end == 0 || a->now_s + whole < end)
            end = a->now_s + whole;
    }
    if (end == 0)
        return 0;
    int64_t early = (end - a->now_s) * JITTER_PERCENT / 100;
    if (early > JITTER_MAX_S)
        early = JITTER_MAX_S;
    if (early > 0)
        end -= (int64_t)randombytes_uniform((uint32_t)early + 1);
    return end;
}
