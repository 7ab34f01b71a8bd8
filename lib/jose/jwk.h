/* One public key of a key set. Source: RFC 7517 s4, RFC 7518 s6, RFC 8037 s2. */
#ifndef EB_JOSE_JWK_H
#define EB_JOSE_JWK_H

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "jose/alg.h"

#define EB_KID_MAX 256       /* bytes of a kid */
#define EB_RSA_BITS_MIN 2048 /* RFC 7518 s3.3 */
#define EB_RSA_BITS_MAX 8192 /* one verification stays under a millisecond */
#define EB_SIG_MAX (EB_RSA_BITS_MAX / 8)

struct eb_jwk; /* immutable, any thread */

/*
 * Reads a key. Where it cannot verify a token (other kinds or curves, use or key_ops that do not say so, an
 * alg that we do not take or that does not go with the key, numbers out of range) the failure is EB_E_BAD_KEY
 * with the reason. EB_E_NOMEM. Private members are ignored.
 */
EB_MUSTCHECK enum eb_rc eb_jwk_read(const json_t *obj, struct eb_jwk **ret, struct eb_err *reterr);
void eb_jwk_free(struct eb_jwk *k);
EB_DEFINE_CLEANUP(struct eb_jwk, eb_jwk_free);
/* The key's name, {NULL, 0} where it has none; borrowed. */
struct eb_str eb_jwk_kid(const struct eb_jwk *k);
/* True where the key's kind, and its own `alg` if it has one, are those of alg. */
bool eb_jwk_fits(const struct eb_jwk *k, enum eb_alg alg);
/*
 * Verifies sig over text. EB_E_KEY_TYPE where the key does not fit, EB_E_BAD_SIGNATURE (also for a signature
 * of another length than the key gives), EB_E_NOMEM. Any thread: prepared contexts are kept with the key and
 * lent to one caller at a time.
 */
EB_MUSTCHECK enum eb_rc eb_jwk_verify(const struct eb_jwk *k, enum eb_alg alg, struct eb_str text,
                                      struct eb_str sig, struct eb_err *reterr);

#endif
