/* A set of public keys, as an identity provider publishes it. Source: RFC 7517 s5. */
#ifndef EB_JOSE_JWKS_H
#define EB_JOSE_JWKS_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "jose/alg.h"
#include "jose/jwk.h"

struct eb_jwks; /* an immutable key set, shared by reference count, any thread */

#define EB_JWKS_MAX ((size_t)1 << 20) /* bytes of a key set */
#define EB_JWKS_KEYS 256              /* most keys that are taken; further ones are skipped */
#define EB_JWKS_TRIES 4               /* most keys that one token is tried with */

struct eb_jwks_info {
    size_t usable, skipped; /* keys; skipped ones are of kinds or uses that we do not take (enc, oct, unknown
                               curves, RSA < 2048) */
};
/*
 * Reads a JWK set. A key that cannot be used is skipped and counted; a damaged document refuses as a whole:
 * EB_E_MALFORMED. A set without a usable key: EB_E_KEYS_UNAVAILABLE, its text says why the first one was
 * skipped. EB_E_TOO_LARGE, EB_E_NOMEM. Private members are ignored. ret_info may be NULL; it is written with
 * EB_OK and EB_E_KEYS_UNAVAILABLE.
 */
EB_MUSTCHECK enum eb_rc eb_jwks_read(struct eb_str json, struct eb_jwks **ret, struct eb_jwks_info *ret_info,
                                     struct eb_err *reterr);
struct eb_jwks *eb_jwks_ref(struct eb_jwks *set);
void eb_jwks_unref(struct eb_jwks *set);
EB_DEFINE_CLEANUP(struct eb_jwks, eb_jwks_unref);
/* Usable keys. */
size_t eb_jwks_count(const struct eb_jwks *set);
/* True where the document names a key with this kid, a skipped one included: fetching the set again would not
 * help a token that names it. */
bool eb_jwks_has_kid(const struct eb_jwks *set, struct eb_str kid);
/*
 * Verifies sig over text with the keys of that kid, or, where kid is {NULL, 0}, with all keys; of those only
 * the ones that fit alg are tried. EB_E_UNKNOWN_KID, EB_E_KEY_TYPE (none fits), EB_E_BAD_SIGNATURE,
 * EB_E_NOMEM.
 */
EB_MUSTCHECK enum eb_rc eb_jwks_verify(const struct eb_jwks *set, struct eb_str kid, enum eb_alg alg,
                                       struct eb_str text, struct eb_str sig, struct eb_err *reterr);

#endif
