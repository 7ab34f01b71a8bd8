#include "jose/jwt.h"

#include <inttypes.h>
#include <strings.h>

/* Later dates are mistakes or attacks; sums with them must not overflow. */
#define EPOCH_MAX ((int64_t)1 << 53)

/* True where a is z, letters compared without case. */
static bool same_letters(struct eb_str a, const char *z) {
    return a.n == strlen(z) && strncasecmp(a.p, z, a.n) == 0;
}

static bool any_of(struct eb_str a, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (same_letters(a, list[i]))
            return true;
    return false;
}

static bool is_logout(const json_t *claims) {
    return json_object_get(json_object_get(claims, "events"),
                           "http://schemas.openid.net/event/backchannel-logout") != NULL;
}

/* Access tokens only (RFC 8725 s3.11, s3.12). */
static enum eb_rc check_kind(const struct eb_jwt *t, struct eb_err *reterr) {
    static const char *const plain[] = {"JWT", "application/jwt"}, *const access[] = {"at+jwt",
                                                                                      "application/at+jwt"};
    static const char *const others[] = {"Refresh", "Offline", "Logout"};
    bool says_access = t->typ.p && any_of(t->typ, access, EB_COUNT_OF(access));
    if (t->typ.p && !says_access && !any_of(t->typ, plain, EB_COUNT_OF(plain)))
        return EB_FAIL(reterr, EB_E_TOKEN_TYPE,
                       "typ in the header is neither JWT nor at+jwt: not an access token");
    struct eb_str kind = eb_json_str(t->claims, "typ"), use = eb_json_str(t->claims, "token_use");
    if (same_letters(kind, "ID") || same_letters(use, "id"))
        return EB_FAIL(reterr, EB_E_ID_TOKEN, "an ID token; send the access token");
    if (any_of(kind, others, EB_COUNT_OF(others)) || same_letters(use, "refresh") || is_logout(t->claims))
        return EB_FAIL(reterr, EB_E_TOKEN_TYPE, "a refresh or logout token; send the access token");
    says_access = says_access || same_letters(kind, "Bearer") || same_letters(kind, "DPoP");
    if (json_object_get(t->claims, "at_hash") || json_object_get(t->claims, "c_hash") ||
        (!says_access && json_object_get(t->claims, "nonce")))
        return EB_FAIL(reterr, EB_E_ID_TOKEN,
                       "an ID token (it has nonce, at_hash or c_hash); send the access token");
    return EB_OK;
}

/* A date of the claims. *ret_have is false where it is absent. */
static enum eb_rc date(const json_t *claims, const char *name, bool *ret_have, int64_t *ret_s,
                       struct eb_err *reterr) {
    enum eb_json_have have = eb_json_get_epoch(claims, name, ret_s);
    if (have == EB_JSON_WRONG_TYPE || (have == EB_JSON_OK && *ret_s > EPOCH_MAX))
        return EB_FAIL(reterr, EB_E_MALFORMED, "%s in the token is no number of seconds since 1970", name);
    *ret_have = have == EB_JSON_OK;
    return EB_OK;
}

static enum eb_rc check_dates(const json_t *claims, int64_t now_s, int64_t *ret_exp, struct eb_err *reterr) {
    static const char *const starts[] = {"nbf", "iat"};
    bool have = false;
    int64_t exp = 0, at = 0;
    enum eb_rc rc = date(claims, "exp", &have, &exp, reterr);
    if (rc != EB_OK)
        return rc;
    if (!have)
        return EB_FAIL(reterr, EB_E_MISSING_CLAIM, "no exp in the token");
    if (now_s >= exp)
        return EB_FAIL(reterr, EB_E_EXPIRED, "expired %" PRId64 " s ago", now_s - exp);
    for (size_t i = 0; i < EB_COUNT_OF(starts); i++) {
        rc = date(claims, starts[i], &have, &at, reterr);
        if (rc != EB_OK)
            return rc;
        if (have && at > now_s + EB_JWT_LEEWAY_S)
            return EB_FAIL(reterr, EB_E_NOT_YET_VALID, "%s is %" PRId64 " s ahead of this clock", starts[i],
                           at - now_s);
    }
    *ret_exp = exp;
    return EB_OK;
}

static bool is_wanted(struct eb_str audience, const struct eb_jwt_rules *rules) {
    for (size_t i = 0; i < rules->audiences_n; i++)
        if (eb_str_eq(audience, rules->audiences[i]))
            return true;
    return false;
}

static enum eb_rc check_audience(const json_t *claims, const struct eb_jwt_rules *rules,
                                 struct eb_err *reterr) {
    const json_t *aud = json_object_get(claims, "aud"), *item;
    bool found = false;
    size_t i;
    if (aud && rules->audience_none)
        return EB_FAIL(reterr, EB_E_WRONG_AUDIENCE, "an aud in a token of an issuer that writes none");
    if (json_is_string(aud))
        found = is_wanted(eb_json_str(claims, "aud"), rules);
    else if (aud && !json_is_array(aud))
        return EB_FAIL(reterr, EB_E_MALFORMED, "aud in the token is neither a text nor a list");
    json_array_foreach(aud, i, item) {
        if (!json_is_string(item))
            return EB_FAIL(reterr, EB_E_MALFORMED, "item %zu of aud in the token is no text", i);
        found = found || is_wanted(eb_str_n(json_string_value(item), json_string_length(item)), rules);
    }
    if (found || rules->audiences_n == 0)
        return EB_OK;
    if (!aud)
        return EB_FAIL(reterr, EB_E_MISSING_CLAIM, "no aud in the token");
    return EB_FAIL(reterr, EB_E_WRONG_AUDIENCE, "the token is for another audience");
}

enum eb_rc eb_jwt_check(const struct eb_jwt *t, const struct eb_jwt_rules *rules, int64_t now_s,
                        int64_t *ret_exp, struct eb_err *reterr) {
    if (!t->claims)
        return EB_FAIL(reterr, EB_E_MALFORMED, "the token's payload was not read as claims");
    if (!t->iss.p)
        return EB_FAIL(reterr, EB_E_MISSING_CLAIM, "no iss in the token");
    if (!rules->issuer.p || !eb_str_eq(t->iss, rules->issuer))
        return EB_FAIL(reterr, EB_E_WRONG_ISSUER, "the token is of another issuer");
    int64_t exp = 0;
    enum eb_rc rc = check_kind(t, reterr);
    if (rc == EB_OK)
        rc = check_dates(t->claims, now_s, &exp, reterr);
    if (rc == EB_OK)
        rc = check_audience(t->claims, rules, reterr);
    if (rc == EB_OK)
        *ret_exp = exp;
    return rc;
}

/* The first of these claims that the token has, NULL where it has none; *ret_name is its name. */
static const json_t *first_of(const struct eb_jwt *t, const struct eb_str *names, size_t n,
                              struct eb_str *ret_name) {
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_object_getn(t->claims, names[i].p, names[i].n);
        if (v) {
            *ret_name = names[i];
            return v;
        }
    }
    return NULL;
}

enum eb_rc eb_jwt_first_claim(const struct eb_jwt *t, const struct eb_str *names, size_t n,
                              struct eb_str *ret, struct eb_err *reterr) {
    struct eb_str name = EB_STR_NONE;
    const json_t *v = first_of(t, names, n, &name);
    if (v && json_string_length(v) == 0)
        return EB_FAIL(reterr, EB_E_MALFORMED, "%.*s in the token is no text, or an empty one",
                       EB_STR_ARG(name));
    *ret = v ? eb_str_n(json_string_value(v), json_string_length(v)) : EB_STR_NONE;
    return EB_OK;
}

enum eb_rc eb_jwt_check_scope(const struct eb_jwt *t, const struct eb_str *names, size_t n,
                              struct eb_str scope, struct eb_err *reterr) {
    struct eb_str name = EB_STR_NONE;
    const json_t *v = first_of(t, names, n, &name), *item;
    if (v && !json_is_string(v) && !json_is_array(v))
        return EB_FAIL(reterr, EB_E_MALFORMED, "%.*s in the token is neither a text nor a list",
                       EB_STR_ARG(name));
    bool found = false;
    size_t at;
    json_array_foreach(v, at, item) {
        if (!json_is_string(item))
            return EB_FAIL(reterr, EB_E_MALFORMED, "item %zu of %.*s in the token is no text", at,
                           EB_STR_ARG(name));
        found = found || eb_str_eq(eb_str_n(json_string_value(item), json_string_length(item)), scope);
    }
    struct eb_str rest =
        json_is_string(v) ? eb_str_n(json_string_value(v), json_string_length(v)) : EB_STR_NONE;
    while (rest.p && !found)
        found = eb_str_eq(eb_str_cut(&rest, ' '), scope);
    if (found && scope.n)
        return EB_OK;
    return EB_FAIL(reterr, EB_E_MISSING_SCOPE, "the entry requires the scope %.*s", EB_STR_ARG(scope));
}
