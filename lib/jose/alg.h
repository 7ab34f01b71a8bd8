/* The signature algorithms that a token may name. Source: RFC 7518 s3, RFC 8037 s3.1, RFC 8725 s3.1. */
#ifndef EB_JOSE_ALG_H
#define EB_JOSE_ALG_H

#include "base/str.h"

/* Exactly these; `none` and the HS family are never accepted. */
enum eb_alg {
    EB_ALG_NONE = 0,
    EB_ALG_RS256,
    EB_ALG_RS384,
    EB_ALG_RS512,
    EB_ALG_PS256,
    EB_ALG_PS384,
    EB_ALG_PS512,
    EB_ALG_ES256,
    EB_ALG_ES384,
    EB_ALG_ES512,
    EB_ALG_EDDSA,
    EB_ALG_MAX_
};
#define EB_ALG_BIT(alg) (1U << (alg))

/* The kinds of keys that algorithms ask for; EC keys are told apart by curve, since each ES algorithm is
 * bound to one. */
enum eb_kty { EB_KTY_NONE = 0, EB_KTY_RSA, EB_KTY_P256, EB_KTY_P384, EB_KTY_P521, EB_KTY_ED25519 };

/* EB_ALG_NONE for an unknown name. Case matters. */
enum eb_alg eb_alg_parse(struct eb_str name);
/* The name, "none" for what is no algorithm of ours. */
const char *eb_alg_name(enum eb_alg alg);
/* The only kind of key the algorithm works with. */
enum eb_kty eb_alg_kty(enum eb_alg alg);
/* OpenSSL's name of the digest; NULL for EdDSA, which signs the message itself. */
const char *eb_alg_digest(enum eb_alg alg);
/* True for the PS family (RSASSA-PSS). */
bool eb_alg_is_pss(enum eb_alg alg);

#endif
