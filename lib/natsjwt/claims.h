/*
 * The claims of operator mode: operator, account and user JWTs, read and written.
 * Source: nats-io/jwt v2; what nats-server 2.15 makes of them was seen live (docs/operator-mode.md).
 */
#ifndef EB_NATSJWT_CLAIMS_H
#define EB_NATSJWT_CLAIMS_H

#include "natsjwt/natsjwt.h"

#define EB_CLAIMS_MAX ((size_t)1 << 20) /* bytes of a JWT */
#define EB_CLAIM_NAME_MAX 512           /* bytes of a name or tag that we write */

/*
 * Whether text may be a name, or a tag, in what we write. The server pastes both unchecked into the templates
 * of scoped signing keys and into subjects, and tools make file names of names: so no `*`, `>`, `.`, `/`,
 * blank or control character, valid UTF-8, 1 to EB_CLAIM_NAME_MAX bytes. A tag has no upper-case letter
 * either: templates do not find it.
 */
bool eb_claim_name_ok(struct eb_str s);
bool eb_claim_tag_ok(struct eb_str s);

/* What was read. Texts and lists are borrowed from jwt; names are as their writer chose them, so that they
 * must be escaped for people. Reading does not judge times or whether the issuer is trusted. */
struct eb_operator_claims {
    struct eb_natsjwt jwt; /* iss is sub */
    struct eb_str name, system_account;
    const json_t *signing_keys; /* texts of O keys; NULL where there are none */
    bool strict;                /* only signing keys may sign */
};
struct eb_account_claims {
    struct eb_natsjwt jwt;
    struct eb_str name;
    const json_t *signing_keys; /* texts of A keys, or scope objects; NULL where there are none */
    /* authorization: callouts are asked where auth_users is not empty */
    const json_t *auth_users, *allowed_accounts; /* texts; NULL where absent */
    struct eb_str xkey;
    const json_t *revocations; /* key or `*` -> seconds; NULL where absent */
    bool jetstream;            /* some storage is granted */
};
struct eb_user_jwt {
    struct eb_natsjwt jwt;
    struct eb_str name;
    struct eb_str account; /* issuer_account, or else iss: the account it belongs to */
    bool bearer;
};
void eb_operator_claims_done(struct eb_operator_claims *c);
void eb_account_claims_done(struct eb_account_claims *c);
void eb_user_jwt_done(struct eb_user_jwt *u);

/*
 * Reads and verifies one; blanks around it are passed over. Every member that is used here has its right
 * shape and every key in it its checksum, or the whole is refused; unknown members are newer writers'.
 * EB_E_TOO_LARGE, EB_E_MALFORMED, EB_E_BAD_SIGNATURE, EB_E_NOMEM. *ret is written on success only.
 */
EB_MUSTCHECK enum eb_rc eb_operator_read(struct eb_str text, struct eb_operator_claims *ret,
                                         struct eb_err *reterr);
EB_MUSTCHECK enum eb_rc eb_account_read(struct eb_str text, struct eb_account_claims *ret,
                                        struct eb_err *reterr);
EB_MUSTCHECK enum eb_rc eb_user_read(struct eb_str text, struct eb_user_jwt *ret, struct eb_err *reterr);

/* Whether the operator's key or one of its signing keys is issuer, as its strictness wants. */
bool eb_operator_signs(const struct eb_operator_claims *o, struct eb_str issuer);
/* The same of an account (strict: the operator's). *ret_scope: the scope object of the key, NULL for a plain
 * one. */
bool eb_account_signs(const struct eb_account_claims *a, bool strict, struct eb_str issuer,
                      const json_t **ret_scope);
/* Whether a user JWT issued at iat to this key is revoked. */
bool eb_account_revoked(const struct eb_account_claims *a, struct eb_str user, int64_t iat);

/* An operator to be written; signs itself. */
struct eb_operator_new {
    struct eb_str id, name, system_account;
    const struct eb_str *signing_keys;
    size_t signing_keys_n;
    int64_t iat;
};
/* EB_E_INVALID for a name that must not be written. */
EB_MUSTCHECK enum eb_rc eb_operator_write(struct eb_buf *to, const struct eb_operator_new *o, eb_sign_fn sign,
                                          void *ctx);

/* A signing key; with a role it is scoped, and users that it signs get the template. */
struct eb_signing_key {
    struct eb_str key, role;
    struct eb_str template_json; /* a whole object; {NULL, 0} = {} */
};
/* An account to be written. All its limits are -1: nothing is limited but by the server. */
struct eb_account_new {
    struct eb_str issuer, id, name; /* issuer: the operator's key that signs */
    const struct eb_signing_key *signing_keys;
    size_t signing_keys_n;
    bool jetstream;                             /* else none */
    const struct eb_str *auth_users, *accounts; /* authorization; auth_users_n 0 = no callouts */
    size_t auth_users_n, accounts_n;
    struct eb_str xkey;
    int64_t iat;
};
EB_MUSTCHECK enum eb_rc eb_account_write(struct eb_buf *to, const struct eb_account_new *a, eb_sign_fn sign,
                                         void *ctx);
/* What was read, with the accounts added to its allowed ones and a new iat, all else as it was, members
 * unknown here too. EB_E_INVALID where it has no authorization, or allows `*`, beside which nothing may
 * stand. */
EB_MUSTCHECK enum eb_rc eb_account_allow(struct eb_buf *to, const struct eb_account_claims *a,
                                         struct eb_str issuer, const struct eb_str *accounts,
                                         size_t accounts_n, int64_t iat, eb_sign_fn sign, void *ctx);
/* The same with a plain signing key added. */
EB_MUSTCHECK enum eb_rc eb_account_add_key(struct eb_buf *to, const struct eb_account_claims *a,
                                           struct eb_str issuer, struct eb_str key, int64_t iat,
                                           eb_sign_fn sign, void *ctx);
/* A user's JWT with another issuer, a key of its account, and a new iat, all else as it was. */
EB_MUSTCHECK enum eb_rc eb_user_sign_again(struct eb_buf *to, const struct eb_user_jwt *u,
                                           struct eb_str issuer, int64_t iat, eb_sign_fn sign, void *ctx);

#endif
