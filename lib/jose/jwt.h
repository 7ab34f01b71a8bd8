/* Tokens: read, verified, checked. Source: RFC 7515, RFC 7519, RFC 8725, RFC 9068. */
#ifndef EB_JOSE_JWT_H
#define EB_JOSE_JWT_H

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "jose/alg.h"
#include "jose/jwks.h"

/* A token taken apart; nothing of it is trusted before eb_jwt_verify. Texts are borrowed from its own memory
 * and from the token's text. */
struct eb_jwt {
    struct eb_str signing_input; /* header.payload, borrowed from the token's text */
    struct eb_str payload;   /* the payload's base64url, borrowed likewise; may be empty after eb_jws_read */
    json_t *header, *claims; /* owned; claims is NULL after eb_jws_read */
    struct eb_str alg_name, kid, typ; /* of the header; {NULL, 0} where absent */
    enum eb_alg alg;                  /* EB_ALG_NONE where we do not know it */
    struct eb_str iss;                /* {NULL, 0} where absent */
    unsigned char sig[EB_SIG_MAX];
    size_t sig_n;
};
#define EB_JWT_MAX ((size_t)32 * 1024) /* bytes of a token */

/*
 * True where text has the shape of a compact JWS whose header is a JSON object: three non-empty base64url
 * pieces starting `eyJ`, of any length (a token over EB_JWT_MAX still chooses the method that refuses it).
 * Cheap.
 */
bool eb_jwt_shape(struct eb_str text);
/*
 * Takes a token apart; to be released with eb_jwt_done. EB_E_TOO_LARGE; EB_E_MALFORMED: not three pieces of
 * base64url in its only spelling, no JSON objects, duplicate members, alg missing, alg kid typ iss of another
 * type, nothing signed; EB_E_CRIT_HEADER for a header with crit or b64. Whether the algorithm is allowed is
 * not decided here.
 */
EB_MUSTCHECK enum eb_rc eb_jwt_read(struct eb_str text, struct eb_jwt *ret, struct eb_err *reterr);
/* The same for a compact JWS of any payload, an empty one included; claims and iss stay empty, so
 * eb_jwt_check refuses it. */
EB_MUSTCHECK enum eb_rc eb_jws_read(struct eb_str text, struct eb_jwt *ret, struct eb_err *reterr);
void eb_jwt_done(struct eb_jwt *t);

/*
 * Verifies the signature with the key of the set that the header names: kid and type and algorithm must fit;
 * without a kid in the token the set's keys that fit the algorithm are tried (at most EB_JWKS_TRIES).
 * allowed: EB_ALG_BIT mask. Header fields jku, x5u, jwk, x5c are ignored. EB_E_ALG_NOT_ALLOWED,
 * EB_E_UNKNOWN_KID, EB_E_KEY_TYPE, EB_E_BAD_SIGNATURE, EB_E_NOMEM. Any thread.
 */
EB_MUSTCHECK enum eb_rc eb_jwt_verify(const struct eb_jwt *t, const struct eb_jwks *set, unsigned allowed,
                                      struct eb_err *reterr);

/* What a token's claims must satisfy. */
struct eb_jwt_rules {
    struct eb_str issuer;           /* exact; {NULL, 0} fits no token */
    const struct eb_str *audiences; /* any one of them; none = not checked */
    size_t audiences_n;
    bool audience_none; /* a token that has an aud is refused, whatever stands in it */
};
#define EB_JWT_LEEWAY_S 5 /* of nbf and iat; exp has none */
/*
 * exp required (expired when now_s >= exp), nbf, iat, iss, aud (text or list). EB_E_EXPIRED,
 * EB_E_NOT_YET_VALID, EB_E_WRONG_ISSUER, EB_E_WRONG_AUDIENCE, EB_E_MISSING_CLAIM, EB_E_MALFORMED for mistyped
 * claims. *ret_exp is exp in seconds.
 *
 * Other tokens are refused where they can be told. EB_E_ID_TOKEN: claim `typ` (Keycloak) ID, claim
 * `token_use` (Cognito) id, or a claim at_hash, c_hash or nonce; a nonce alone does not count where header
 * typ at+jwt or claim typ Bearer says access token (Keycloak before 25 puts it there too). EB_E_TOKEN_TYPE:
 * claim typ Refresh, Offline or Logout, token_use refresh, a back-channel logout event, a header typ other
 * than JWT, at+jwt or their application/ forms. Letters of types are compared without case.
 */
EB_MUSTCHECK enum eb_rc eb_jwt_check(const struct eb_jwt *t, const struct eb_jwt_rules *rules, int64_t now_s,
                                     int64_t *ret_exp, struct eb_err *reterr);
/*
 * The first of the named claims that is there, as text: which claim names a token's client differs among
 * providers. Claims that are not named are never looked at, and none behind the first that is there.
 * *ret {NULL, 0} where there is none. EB_E_MALFORMED where it is no text or an empty one.
 */
EB_MUSTCHECK enum eb_rc eb_jwt_first_claim(const struct eb_jwt *t, const struct eb_str *names, size_t n,
                                           struct eb_str *ret, struct eb_err *reterr);
/*
 * EB_OK where the first of the named claims that is there holds scope: a text with blanks between the scopes,
 * or a list of texts. EB_E_MISSING_SCOPE; EB_E_MALFORMED where that claim is of another type.
 */
EB_MUSTCHECK enum eb_rc eb_jwt_check_scope(const struct eb_jwt *t, const struct eb_str *names, size_t n,
                                           struct eb_str scope, struct eb_err *reterr);

#endif
