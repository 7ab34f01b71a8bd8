/* Operator, account and user JWTs, read. */
#include "natsjwt/claims.h"

enum { CLAIM_VERSION = 2 };

void eb_operator_claims_done(struct eb_operator_claims *c) {
    eb_natsjwt_done(&c->jwt);
    *c = (struct eb_operator_claims){0};
}

void eb_account_claims_done(struct eb_account_claims *c) {
    eb_natsjwt_done(&c->jwt);
    *c = (struct eb_account_claims){0};
}

void eb_user_jwt_done(struct eb_user_jwt *u) {
    eb_natsjwt_done(&u->jwt);
    *u = (struct eb_user_jwt){0};
}

static enum eb_rc check_key(struct eb_str text, enum eb_nkey_kind want, const char *where,
                            struct eb_err *reterr) {
    uint8_t key[EB_NKEY_RAW_LEN];
    struct eb_err e = {0};
    if (eb_nkey_public_decode(text, want, NULL, key, &e) == EB_OK)
        return EB_OK;
    return EB_FAIL(reterr, EB_E_MALFORMED, "%s: %s", where, e.text);
}

/* The envelope with these type and key kinds; other: a second kind that may sign, too. */
static enum eb_rc read_as(struct eb_str text, const char *type, enum eb_nkey_kind sub,
                          enum eb_nkey_kind issuer, enum eb_nkey_kind other, struct eb_natsjwt *t,
                          struct eb_str *ret_name, struct eb_err *reterr) {
    enum eb_rc rc = eb_natsjwt_read(eb_str_trim(text), EB_CLAIMS_MAX, t, reterr);
    if (rc != EB_OK)
        return rc;
    if (!eb_str_eqz(eb_json_str(t->nats, "type"), type))
        return EB_FAIL(reterr, EB_E_MALFORMED, "nats.type is not %s", type);
    const json_t *version = json_object_get(t->nats, "version");
    if (!json_is_integer(version) || json_integer_value(version) != CLAIM_VERSION)
        return EB_FAIL(reterr, EB_E_MALFORMED, "nats.version is not %d", CLAIM_VERSION);
    if (t->iss_kind != issuer && t->iss_kind != other)
        return EB_FAIL(reterr, EB_E_MALFORMED, "iss: a key of kind %s, which signs no %s",
                       eb_nkey_kind_name(t->iss_kind), type);
    rc = check_key(t->sub, sub, "sub", reterr);
    *ret_name = eb_json_str(t->claims, "name");
    return rc;
}

static enum eb_rc take_key(const json_t *obj, const char *key, enum eb_nkey_kind kind, struct eb_str *ret,
                           struct eb_err *reterr) {
    enum eb_json_have have = eb_json_get_str(obj, key, ret);
    if (have == EB_JSON_MISSING || (have == EB_JSON_OK && ret->n == 0)) {
        *ret = EB_STR_NONE;
        return EB_OK;
    }
    if (have == EB_JSON_WRONG_TYPE)
        return EB_FAIL(reterr, EB_E_MALFORMED, "%s: not a string", key);
    return check_key(*ret, kind, key, reterr);
}

static enum eb_rc take_bool(const json_t *obj, const char *key, bool *ret, struct eb_err *reterr) {
    const json_t *v = json_object_get(obj, key);
    if (v && !json_is_boolean(v))
        return EB_FAIL(reterr, EB_E_MALFORMED, "%s: neither true nor false", key);
    *ret = json_is_true(v);
    return EB_OK;
}

static struct eb_str text_of(const json_t *v) {
    return json_is_string(v) ? eb_str_n(json_string_value(v), json_string_length(v)) : EB_STR_NONE;
}

/* A list of keys; also: a text that may stand instead of one; scopes: objects with a key may, too. */
static enum eb_rc take_keys(const json_t *obj, const char *key, enum eb_nkey_kind kind, const char *also,
                            bool scopes, const json_t **ret, struct eb_err *reterr) {
    const json_t *list = json_object_get(obj, key);
    *ret = NULL;
    if (!list || json_is_null(list)) /* the Go writer puts null for an empty list */
        return EB_OK;
    if (!json_is_array(list))
        return EB_FAIL(reterr, EB_E_MALFORMED, "%s: not a list", key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        struct eb_str text = scopes && json_is_object(v) ? eb_json_str(v, "key") : text_of(v);
        if (also && eb_str_eqz(text, also))
            continue;
        if (check_key(text, kind, key, reterr) != EB_OK)
            return EB_E_MALFORMED;
    }
    *ret = list;
    return EB_OK;
}

enum eb_rc eb_operator_read(struct eb_str text, struct eb_operator_claims *ret, struct eb_err *reterr) {
    EB_CLEANUP(eb_operator_claims_done) struct eb_operator_claims o = {0};
    enum eb_rc rc = read_as(text, "operator", EB_NKEY_OPERATOR, EB_NKEY_OPERATOR, EB_NKEY_OPERATOR, &o.jwt,
                            &o.name, reterr);
    if (rc == EB_OK)
        rc = take_keys(o.jwt.nats, "signing_keys", EB_NKEY_OPERATOR, NULL, false, &o.signing_keys, reterr);
    if (rc == EB_OK)
        rc = take_key(o.jwt.nats, "system_account", EB_NKEY_ACCOUNT, &o.system_account, reterr);
    if (rc == EB_OK)
        rc = take_bool(o.jwt.nats, "strict_signing_key_usage", &o.strict, reterr);
    if (rc != EB_OK)
        return rc;
    *ret = o;
    o = (struct eb_operator_claims){0};
    return EB_OK;
}

static enum eb_rc take_authorization(struct eb_account_claims *a, struct eb_err *reterr) {
    const json_t *auth = json_object_get(a->jwt.nats, "authorization");
    if (!auth)
        return EB_OK;
    if (!json_is_object(auth))
        return EB_FAIL(reterr, EB_E_MALFORMED, "authorization: not an object");
    enum eb_rc rc = take_keys(auth, "auth_users", EB_NKEY_USER, NULL, false, &a->auth_users, reterr);
    if (rc == EB_OK)
        rc = take_keys(auth, "allowed_accounts", EB_NKEY_ACCOUNT, "*", false, &a->allowed_accounts, reterr);
    if (rc == EB_OK)
        rc = take_key(auth, "xkey", EB_NKEY_CURVE, &a->xkey, reterr);
    if (rc != EB_OK)
        eb_err_prefix(reterr, "authorization");
    return rc;
}

static enum eb_rc take_revocations(struct eb_account_claims *a, struct eb_err *reterr) {
    const json_t *map = json_object_get(a->jwt.nats, "revocations");
    if (!map || json_is_null(map))
        return EB_OK;
    if (!json_is_object(map))
        return EB_FAIL(reterr, EB_E_MALFORMED, "revocations: not an object");
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)map, key, v) {
        if (strcmp(key, "*") != 0 && check_key(eb_str(key), EB_NKEY_USER, "revocations", reterr) != EB_OK)
            return EB_E_MALFORMED;
        if (!json_is_integer(v))
            return EB_FAIL(reterr, EB_E_MALFORMED, "revocations: not seconds");
    }
    a->revocations = map;
    return EB_OK;
}

static bool grants_storage(const json_t *limits) {
    return json_integer_value(json_object_get(limits, "mem_storage")) != 0 ||
           json_integer_value(json_object_get(limits, "disk_storage")) != 0;
}

static enum eb_rc take_limits(struct eb_account_claims *a, struct eb_err *reterr) {
    const json_t *limits = json_object_get(a->jwt.nats, "limits");
    if (limits && !json_is_object(limits))
        return EB_FAIL(reterr, EB_E_MALFORMED, "limits: not an object");
    a->jetstream = grants_storage(limits);
    const char *tier;
    json_t *v;
    json_object_foreach(json_object_get(limits, "tiered_limits"), tier, v) a->jetstream =
        a->jetstream || grants_storage(v);
    return EB_OK;
}

enum eb_rc eb_account_read(struct eb_str text, struct eb_account_claims *ret, struct eb_err *reterr) {
    EB_CLEANUP(eb_account_claims_done) struct eb_account_claims a = {0};
    enum eb_rc rc =
        read_as(text, "account", EB_NKEY_ACCOUNT, EB_NKEY_OPERATOR, EB_NKEY_ACCOUNT, &a.jwt, &a.name, reterr);
    if (rc == EB_OK)
        rc = take_keys(a.jwt.nats, "signing_keys", EB_NKEY_ACCOUNT, NULL, true, &a.signing_keys, reterr);
    if (rc == EB_OK)
        rc = take_authorization(&a, reterr);
    if (rc == EB_OK)
        rc = take_revocations(&a, reterr);
    if (rc == EB_OK)
        rc = take_limits(&a, reterr);
    if (rc != EB_OK)
        return rc;
    *ret = a;
    a = (struct eb_account_claims){0};
    return EB_OK;
}

enum eb_rc eb_user_read(struct eb_str text, struct eb_user_jwt *ret, struct eb_err *reterr) {
    EB_CLEANUP(eb_user_jwt_done) struct eb_user_jwt u = {0};
    enum eb_rc rc =
        read_as(text, "user", EB_NKEY_USER, EB_NKEY_ACCOUNT, EB_NKEY_ACCOUNT, &u.jwt, &u.name, reterr);
    if (rc == EB_OK)
        rc = take_key(u.jwt.nats, "issuer_account", EB_NKEY_ACCOUNT, &u.account, reterr);
    if (rc == EB_OK)
        rc = take_bool(u.jwt.nats, "bearer_token", &u.bearer, reterr);
    if (rc != EB_OK)
        return rc;
    if (!u.account.p)
        u.account = u.jwt.iss;
    *ret = u;
    u = (struct eb_user_jwt){0};
    return EB_OK;
}

static const json_t *find_key(const json_t *list, struct eb_str key) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        if (eb_str_eq(json_is_object(v) ? eb_json_str(v, "key") : text_of(v), key))
            return v;
    }
    return NULL;
}

bool eb_operator_signs(const struct eb_operator_claims *o, struct eb_str issuer) {
    return (!o->strict && eb_str_eq(o->jwt.sub, issuer)) || find_key(o->signing_keys, issuer);
}

bool eb_account_signs(const struct eb_account_claims *a, bool strict, struct eb_str issuer,
                      const json_t **ret_scope) {
    *ret_scope = NULL;
    if (eb_str_eq(a->jwt.sub, issuer))
        return !strict;
    const json_t *found = find_key(a->signing_keys, issuer);
    *ret_scope = json_is_object(found) ? found : NULL;
    return found != NULL;
}

bool eb_account_revoked(const struct eb_account_claims *a, struct eb_str user, int64_t iat) {
    const json_t *all = json_object_get(a->revocations, "*");
    const json_t *own = a->revocations ? json_object_getn(a->revocations, user.p, user.n) : NULL;
    return (all && json_integer_value(all) >= iat) || (own && json_integer_value(own) >= iat);
}
