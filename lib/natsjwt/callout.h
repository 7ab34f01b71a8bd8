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
    /* configuration mode: the account's name, goes into aud. Operator mode, where the key that signs says the
     * account: {NULL, 0} */
    struct eb_str account;
    /* operator mode, and issuer is a signing key: the account whose key it is; else {NULL, 0} */
    struct eb_str issuer_account;
    struct eb_str name; /* the entry's name */
    const struct eb_str *tags;
    size_t tags_n;
    struct eb_str grants_json; /* the ready members `"pub":{…},"sub":{…}` and, where given, `,"resp":{…}` (see
                                  policy) */
    /* issuer is a scoped signing key: its template says the permissions, the server refuses a JWT that has
     * any, and grants_json is not written. Name and tags are pasted into the template's subjects unchecked.
     */
    bool scoped;
    bool bearer;      /* the JWT alone logs in */
    int64_t iat, exp; /* exp 0 = none; without iat the server could not revoke it */
};
/*
 * Appends the signed user JWT. Limits are written as -1 (none where scoped), type user, version 2.
 * EB_E_INVALID where scoped and the name or a tag must not get into a template (claims.h).
 */
EB_MUSTCHECK enum eb_rc eb_user_jwt_write(struct eb_buf *to, const struct eb_user_claims *u, eb_sign_fn sign,
                                          void *ctx);

/* Whose answer it is. */
struct eb_auth_issuer {
    struct eb_str key;     /* text of the A key that signs */
    struct eb_str account; /* where key is a signing key: the callout account; else {NULL, 0} */
};
/*
 * Appends the signed answer: exactly one of user_jwt and error is non-empty. server_id is the request's
 * (aud), user_nkey its (sub).
 */
EB_MUSTCHECK enum eb_rc eb_auth_response_by(struct eb_buf *to, const struct eb_auth_issuer *issuer,
                                            struct eb_str server_id, struct eb_str user_nkey,
                                            struct eb_str user_jwt, struct eb_str error, int64_t iat,
                                            eb_sign_fn sign, void *ctx);
/* The same by the account's own key. */
EB_MUSTCHECK enum eb_rc eb_auth_response_write(struct eb_buf *to, struct eb_str issuer,
                                               struct eb_str server_id, struct eb_str user_nkey,
                                               struct eb_str user_jwt, struct eb_str error, int64_t iat,
                                               eb_sign_fn sign, void *ctx);

#endif
