/* The request: every member that this program knows has the right shape, or the whole is refused. Unknown
 * members are newer servers'. */
#include <stddef.h>

#include "natsjwt/callout.h"

#define AUDIENCE EB_STR("nats-authorization-request")
#define CLAIM_TYPE EB_STR("authorization_request")
enum { CLAIM_VERSION = 2 };

void eb_auth_request_done(struct eb_auth_request *r) {
    eb_natsjwt_done(&r->jwt);
    *r = (struct eb_auth_request){0};
}

/* A member that is a text where it is there; offset says which eb_str of the request takes it. */
struct text_member {
    const char *key;
    size_t offset;
};
#define UNUSED SIZE_MAX
#define INTO(member) offsetof(struct eb_auth_request, member)

static const struct text_member server_texts[] = {
    {"name", INTO(server_name)},       {"host", INTO(server_host)}, {"id", INTO(server_id)},
    {"version", INTO(server_version)}, {"cluster", UNUSED},         {"xkey", INTO(server_xkey)},
};
static const struct text_member client_texts[] = {
    {"host", INTO(host)}, {"user", INTO(ci_user)},    {"name", INTO(ci_name)},
    {"name_tag", UNUSED}, {"mqtt_id", INTO(mqtt_id)}, {"nonce", INTO(nonce)},
};
static const struct text_member connect_texts[] = {
    {"jwt", INTO(jwt_opt)}, {"nkey", INTO(nkey)}, {"sig", INTO(sig)},   {"auth_token", INTO(auth_token)},
    {"user", INTO(user)},   {"pass", INTO(pass)}, {"name", INTO(name)}, {"lang", UNUSED},
    {"version", UNUSED},
};
static const struct text_member tls_texts[] = {{"version", UNUSED}, {"cipher", UNUSED}};

static enum eb_rc take_texts(struct eb_auth_request *r, const json_t *obj, const char *where,
                             const struct text_member *members, size_t n, struct eb_err *reterr) {
    for (size_t i = 0; i < n; i++) {
        struct eb_str s = EB_STR_NONE;
        enum eb_json_have have = eb_json_get_str(obj, members[i].key, &s);
        if (have == EB_JSON_WRONG_TYPE)
            return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "%s.%s: not a string", where, members[i].key);
        if (have == EB_JSON_OK && members[i].offset != UNUSED)
            *(struct eb_str *)(void *)((char *)r + members[i].offset) = s;
    }
    return EB_OK;
}
#define TAKE_TEXTS(r, obj, where, members, reterr)                                                           \
    take_texts((r), (obj), (where), (members), EB_COUNT_OF(members), (reterr))

/* A list of 1..max strings. */
static bool is_texts(const json_t *list, size_t max) {
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > max)
        return false;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i)))
            return false;
    return true;
}

static bool tags_ok(const json_t *obj) {
    const json_t *tags = json_object_get(obj, "tags");
    return !tags || (json_is_array(tags) && json_array_size(tags) == 0) || is_texts(tags, SIZE_MAX);
}

static enum eb_rc take_object(const json_t *nats, const char *key, bool required, const json_t **ret,
                              struct eb_err *reterr) {
    const json_t *v = json_object_get(nats, key);
    if (!v && required)
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "%s: missing", key);
    if (v && !json_is_object(v))
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "%s: not an object", key);
    if (v && !tags_ok(v))
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "%s.tags: not a list of strings", key);
    *ret = v;
    return EB_OK;
}

static enum eb_rc check_key(struct eb_str text, enum eb_nkey_kind want, const char *where, enum eb_rc rc,
                            struct eb_err *reterr) {
    uint8_t key[EB_NKEY_RAW_LEN];
    struct eb_err e = {0};
    if (eb_nkey_public_decode(text, want, NULL, key, &e) == EB_OK)
        return EB_OK;
    return EB_FAIL(reterr, rc, "%s: %s", where, e.text);
}

static enum eb_rc take_server(struct eb_auth_request *r, const json_t *nats, struct eb_err *reterr) {
    const json_t *server = NULL;
    enum eb_rc rc = take_object(nats, "server_id", true, &server, reterr);
    if (rc != EB_OK)
        return rc;
    rc = TAKE_TEXTS(r, server, "server_id", server_texts, reterr);
    if (rc != EB_OK)
        return rc;
    if (r->jwt.iss_kind != EB_NKEY_SERVER)
        return EB_FAIL(reterr, EB_E_REQ_SIGNATURE, "signed by a key of kind %s, only servers ask",
                       eb_nkey_kind_name(r->jwt.iss_kind));
    if (!eb_str_eq(r->jwt.iss, r->server_id))
        return EB_FAIL(reterr, EB_E_REQ_SIGNATURE, "server_id.id: not the key that signed");
    return EB_OK;
}

/*
 * A server that has an xkey seals and names it both in the header and signed. One without the other is a
 * request that was taken out of its seal or put into another.
 */
static enum eb_rc check_xkey(const struct eb_auth_request *r, struct eb_str header_xkey,
                             struct eb_err *reterr) {
    if (!eb_str_eq(r->server_xkey, header_xkey) || (r->server_xkey.p == NULL) != (header_xkey.p == NULL))
        return EB_FAIL(reterr, EB_E_REQ_XKEY, "the xkey of the header%s and the signed one%s differ",
                       header_xkey.p ? "" : " (none)", r->server_xkey.p ? "" : " (none)");
    if (!r->server_xkey.p)
        return EB_OK;
    return check_key(r->server_xkey, EB_NKEY_CURVE, "server_id.xkey", EB_E_REQ_XKEY, reterr);
}

static enum eb_rc take_client(struct eb_auth_request *r, const json_t *nats, struct eb_err *reterr) {
    const json_t *ci = NULL;
    enum eb_rc rc = take_object(nats, "client_info", true, &ci, reterr);
    if (rc != EB_OK)
        return rc;
    rc = TAKE_TEXTS(r, ci, "client_info", client_texts, reterr);
    if (rc != EB_OK)
        return rc;
    const json_t *id = json_object_get(ci, "id");
    if (id && (!json_is_integer(id) || json_integer_value(id) < 0))
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "client_info.id: not a whole number from 0 on");
    r->client_id = id ? (uint64_t)json_integer_value(id) : 0;
    struct eb_str kind = EB_STR_NONE, type = EB_STR_NONE;
    if (eb_json_get_str(ci, "kind", &kind) == EB_JSON_WRONG_TYPE)
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "client_info.kind: not a string");
    if (eb_json_get_str(ci, "type", &type) == EB_JSON_WRONG_TYPE)
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "client_info.type: not a string");
    r->kind = eb_str_eqz(kind, "Client")     ? EB_CLIENT_CLIENT
              : eb_str_eqz(kind, "Leafnode") ? EB_CLIENT_LEAF
                                             : EB_CLIENT_OTHER;
    r->type = eb_str_eqz(type, "nats")        ? EB_TYPE_NATS
              : eb_str_eqz(type, "mqtt")      ? EB_TYPE_MQTT
              : eb_str_eqz(type, "websocket") ? EB_TYPE_WEBSOCKET
                                              : EB_TYPE_OTHER;
    return EB_OK;
}

static enum eb_rc take_connect(struct eb_auth_request *r, const json_t *nats, struct eb_err *reterr) {
    const json_t *opts = NULL;
    enum eb_rc rc = take_object(nats, "connect_opts", true, &opts, reterr);
    if (rc != EB_OK)
        return rc;
    const json_t *protocol = json_object_get(opts, "protocol");
    if (protocol && !json_is_integer(protocol))
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "connect_opts.protocol: not a whole number");
    return TAKE_TEXTS(r, opts, "connect_opts", connect_texts, reterr);
}

static enum eb_rc take_tls(struct eb_auth_request *r, const json_t *nats, struct eb_err *reterr) {
    const json_t *tls = NULL;
    enum eb_rc rc = take_object(nats, "client_tls", false, &tls, reterr);
    if (rc != EB_OK || !tls)
        return rc;
    r->tls = true;
    r->certs = json_object_get(tls, "certs");
    if (r->certs && !is_texts(r->certs, EB_REQUEST_CERTS))
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "client_tls.certs: not a list of 1 to %d strings",
                       EB_REQUEST_CERTS);
    r->verified_chains = json_object_get(tls, "verified_chains");
    if (r->verified_chains &&
        (!json_is_array(r->verified_chains) || json_array_size(r->verified_chains) == 0))
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "client_tls.verified_chains: not a list of chains");
    for (size_t i = 0; i < json_array_size(r->verified_chains); i++)
        if (!is_texts(json_array_get(r->verified_chains, i), EB_REQUEST_CERTS))
            return EB_FAIL(reterr, EB_E_REQ_MALFORMED,
                           "client_tls.verified_chains[%zu]: not a list of 1 to %d strings", i,
                           EB_REQUEST_CERTS);
    return TAKE_TEXTS(r, tls, "client_tls", tls_texts, reterr);
}

static enum eb_rc take_kind(const struct eb_natsjwt *t, struct eb_err *reterr) {
    struct eb_str type = EB_STR_NONE;
    if (eb_json_get_str(t->nats, "type", &type) != EB_JSON_OK || !eb_str_eq(type, CLAIM_TYPE))
        return EB_FAIL(reterr, EB_E_REQ_TYPE, "nats.type is not authorization_request");
    const json_t *version = json_object_get(t->nats, "version");
    if (!json_is_integer(version) || json_integer_value(version) != CLAIM_VERSION)
        return EB_FAIL(reterr, EB_E_REQ_TYPE, "nats.version is not %d", CLAIM_VERSION);
    if (!eb_str_eq(t->aud, AUDIENCE))
        return EB_FAIL(reterr, EB_E_REQ_AUDIENCE, "aud is not nats-authorization-request");
    return EB_OK;
}

/* Members of the claims outside the objects: the user key, the callout's account key, and the times, whose
 * difference is the budget. */
static enum eb_rc take_claims(struct eb_auth_request *r, struct eb_err *reterr) {
    const struct eb_natsjwt *t = &r->jwt;
    struct eb_str nonce = EB_STR_NONE;
    if (eb_json_get_str(t->nats, "user_nkey", &r->user_nkey) != EB_JSON_OK)
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "user_nkey: missing or not a string");
    enum eb_rc rc = check_key(r->user_nkey, EB_NKEY_USER, "user_nkey", EB_E_REQ_MALFORMED, reterr);
    if (rc == EB_OK)
        rc = check_key(t->sub, EB_NKEY_ACCOUNT, "sub", EB_E_REQ_MALFORMED, reterr);
    if (rc != EB_OK)
        return rc;
    if (t->iat == 0 || t->exp == 0)
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "iat and exp: one is missing");
    if (eb_json_get_str(t->nats, "request_nonce", &nonce) == EB_JSON_WRONG_TYPE)
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "request_nonce: not a string");
    if (!tags_ok(t->nats))
        return EB_FAIL(reterr, EB_E_REQ_MALFORMED, "tags: not a list of strings");
    return EB_OK;
}

static enum eb_rc take_all(struct eb_auth_request *r, struct eb_str header_xkey, struct eb_err *reterr) {
    const json_t *nats = r->jwt.nats;
    enum eb_rc rc = take_kind(&r->jwt, reterr);
    if (rc == EB_OK)
        rc = take_server(r, nats, reterr);
    if (rc == EB_OK)
        rc = check_xkey(r, header_xkey, reterr);
    if (rc == EB_OK)
        rc = take_claims(r, reterr);
    if (rc == EB_OK)
        rc = take_client(r, nats, reterr);
    if (rc == EB_OK)
        rc = take_connect(r, nats, reterr);
    return rc == EB_OK ? take_tls(r, nats, reterr) : rc;
}

enum eb_rc eb_auth_request_read(struct eb_str text, struct eb_str header_xkey, struct eb_auth_request *ret,
                                struct eb_err *reterr) {
    EB_CLEANUP(eb_auth_request_done) struct eb_auth_request r = {0};
    struct eb_err e = {0};
    enum eb_rc rc = eb_natsjwt_read_of_clients(text, EB_REQUEST_MAX, &r.jwt, &e);
    if (rc != EB_OK) {
        if (rc != EB_E_NOMEM && rc != EB_E_TOO_LARGE)
            rc = rc == EB_E_BAD_SIGNATURE ? EB_E_REQ_SIGNATURE : EB_E_REQ_MALFORMED;
        return EB_FAIL(reterr, rc, "%s", e.text);
    }
    rc = take_all(&r, header_xkey, reterr);
    if (rc != EB_OK)
        return rc;
    *ret = r;
    r = (struct eb_auth_request){0};
    return EB_OK;
}
