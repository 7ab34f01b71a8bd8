/*
 * The signing keys of the demo identity provider: generations of one RSA 2048 and one EC P-256 key each, kept
 * as PEM files in the state folder. The newest generation signs; all that are kept are published. One thread
 * at a time: the caller locks.
 */
#ifndef IDP_KEYS_H
#define IDP_KEYS_H

#include <stdbool.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

struct idp_keys;

/* Loads the keys of folder dir, which is made (0700) if absent; makes the first generation where there is
 * none. */
EB_MUSTCHECK enum eb_rc idp_keys_open(const char *dir, struct idp_keys **ret, struct eb_err *reterr);
void idp_keys_free(struct idp_keys *k);
EB_DEFINE_CLEANUP(struct idp_keys, idp_keys_free);

/* Makes a new generation; drop_old removes all older ones, from the disk too. */
EB_MUSTCHECK enum eb_rc idp_keys_rotate(struct idp_keys *k, bool drop_old, struct eb_err *reterr);

/* The JWK set (RFC 7517), a new reference. NULL when out of memory. */
json_t *idp_keys_jwks(const struct idp_keys *k);

/* The name of the key that signs with alg ("RS256", "ES256"); NULL for another alg. */
const char *idp_keys_kid(const struct idp_keys *k, const char *alg);

/* Appends the signature of n bytes at p, as base64url; ES256 as r||s (RFC 7518 section 3.4). */
EB_MUSTCHECK enum eb_rc idp_keys_sign(const struct idp_keys *k, const char *alg, const void *p, size_t n,
                                      struct eb_buf *to, struct eb_err *reterr);

#endif
