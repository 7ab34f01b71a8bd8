/* The claims of auth callout: authorization_request read, user and authorization_response written. Source:
 * nats-io/jwt v2, ADR-26. */
#ifndef EB_NATSJWT_CALLOUT_H
#define EB_NATSJWT_CALLOUT_H

#include "natsjwt/natsjwt.h"

#define EB_REQUEST_MAX ((size_t)1 << 20) /* bytes of a request JWT */
#define EB_REQUEST_CERTS 16              /* most certificates of one chain, and most chains looked at */

enum eb_client_kind { EB_CLIENT_OTHER = 0, EB_CLIENT_CLIENT, EB_CLIENT_LEAF }; /* client_info.kind */
enum eb_client_type {
    EB_TYPE_OTHER = 0,
    EB_TYPE_NATS,
    EB_TYPE_MQTT,
    EB_TYPE_WEBSOCKET
}; /* client_info.type; OTHER for a leaf */

/* A verified request. All texts are borrowed from it. */
struct eb_auth_request {
    struct eb_natsjwt jwt;
    struct eb_str server_name, server_host, server_id, server_version, server_xkey;
    struct eb_str user_nkey; /* text, checked to be a U key */
    /* client_info */
    struct eb_str host, ci_user, ci_name, mqtt_id, nonce;
    uint64_t client_id;
    enum eb_client_kind kind;
    enum eb_client_type type;
    /* connect_opts; p is NULL where the member is absent, non-NULL with n == 0 where it is empty */
    struct eb_str jwt_opt, nkey, sig, auth_token, user, pass, name;
    /* client_tls */
    bool tls;
    const json_t *verified_chains; /* list of lists of PEM texts, leaf first; NULL where absent */
    const json_t *certs;           /* list of PEM texts without a verified chain; NULL where absent */
};
void eb_auth_request_done(struct eb_auth_request *r);

/*
 * Reads one request. header_xkey: text of the Nats-Server-Xkey header, {NULL, 0} for a plain one. A server
 * with an xkey names it in both places: the header and the signed server_id.xkey must be equal, or both
 * absent. Checked: signature, that iss is a server key and equal to server_id.id, aud, type, version, that
 * sub is an account key and user_nkey a user key, that iat and exp are there and above 0 (an overloaded
 * server writes exp before iat: such a request is read, its budget is none), shapes of all known members
 * (mistyped ones, null included, refuse; unknown ones are newer servers'). Does not look at the clock (the
 * caller counts the age from arrival: exp - iat is the budget), nor whether the server is one of ours. Errors
 * : EB_E_REQ_MALFORMED, EB_E_REQ_SIGNATURE (forged, no server key, or of another server than it says),
 * EB_E_REQ_TYPE, EB_E_REQ_AUDIENCE, EB_E_REQ_XKEY, EB_E_TOO_LARGE; EB_E_NOMEM. *ret is written on success
 * only.
 */
EB_MUSTCHECK enum eb_rc eb_auth_request_read(struct eb_str text, struct eb_str header_xkey,
                                             struct eb_auth_request *ret, struct eb_err *reterr);

/* A user to be admitted. */
struct eb_user_claims {
    struct eb_str issuer;    /* text of the A key that signs */
    struct eb_str user_nkey; /* the request's */
    struct eb_str account;   /* name: goes into aud (configuration mode) */
    struct eb_str name;      /* the entry's name */
    struct eb_str grants_json; /* the ready members `"pub":{…},"sub":{…}` and, where given, `,"resp":{…}` (see
                                  policy) */
    int64_t iat, exp;          /* exp 0 = none */
};
/* Appends the signed user JWT. Limits are written as -1, type user, version 2. */
EB_MUSTCHECK enum eb_rc eb_user_jwt_write(struct eb_buf *to, const struct eb_user_claims *u, eb_sign_fn sign,
                                          void *ctx);

/*
 * Appends the signed answer: exactly one of user_jwt and error is non-empty. server_id is the request's
 * (aud), user_nkey its (sub).
 */
EB_MUSTCHECK enum eb_rc eb_auth_response_write(struct eb_buf *to, struct eb_str issuer,
                                               struct eb_str server_id, struct eb_str user_nkey,
                                               struct eb_str user_jwt, struct eb_str error, int64_t iat,
                                               eb_sign_fn sign, void *ctx);

#endif
