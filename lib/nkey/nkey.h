/*
 * NATS nkeys: Ed25519 keys with a typed, checksummed text form, and X25519 "curve" keys (xkeys).
 * Source: nats-io/nkeys; text form and vectors are in tests/unit/test_nkey.c.
 */
#ifndef EB_NKEY_NKEY_H
#define EB_NKEY_NKEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"

enum eb_nkey_kind {
    EB_NKEY_NONE = 0,
    EB_NKEY_ACCOUNT,
    EB_NKEY_CLUSTER,
    EB_NKEY_SERVER,
    EB_NKEY_OPERATOR,
    EB_NKEY_USER,
    EB_NKEY_CURVE,
};

#define EB_NKEY_PUBLIC_LEN 56 /* characters of a public key's text */
#define EB_NKEY_SEED_LEN 58   /* characters of a seed's text */
#define EB_NKEY_RAW_LEN 32    /* bytes of a key */
#define EB_NKEY_SIG_LEN 64    /* bytes of a signature */

/* "account", "user", …; "none". And the letter of a public key's text: 'A', 'U', …. */
const char *eb_nkey_kind_name(enum eb_nkey_kind kind);
char eb_nkey_kind_letter(enum eb_nkey_kind kind);

/*
 * Decodes a public key's text. want: the kind it must be, EB_NKEY_NONE for any public kind. ret_kind may be
 * NULL. EB_E_BAD_KEY with a text that says what is wrong (length, letter outside base32, checksum, kind; a
 * seed is told as a seed and never quoted).
 */
EB_MUSTCHECK enum eb_rc eb_nkey_public_decode(struct eb_str text, enum eb_nkey_kind want,
                                              enum eb_nkey_kind *ret_kind, uint8_t ret_key[EB_NKEY_RAW_LEN],
                                              struct eb_err *reterr);
/* Writes the text of a public key and a NUL. */
void eb_nkey_public_encode(enum eb_nkey_kind kind, const uint8_t key[EB_NKEY_RAW_LEN],
                           char to[EB_NKEY_PUBLIC_LEN + 1]);

struct eb_nkey; /* a key pair, secret half in guarded memory; immutable, any thread */

/*
 * Reads a seed (its text without blanks around it). want as above. EB_E_BAD_KEY: the text says what is wrong
 * without a piece of the seed. One spelling only: non-zero spare bits are refused.
 */
EB_MUSTCHECK enum eb_rc eb_nkey_from_seed(struct eb_str text, enum eb_nkey_kind want, struct eb_nkey **ret,
                                          struct eb_err *reterr);
/*
 * The same from a file: the first line that is a seed counts (files of `eventbus key` and of NATS tools hold
 * the seed on line 1 and the public key on line 2, which must then belong to it); `#` comments are passed
 * over. Errors name the path.
 */
EB_MUSTCHECK enum eb_rc eb_nkey_from_seed_file(const char *path, enum eb_nkey_kind want, struct eb_nkey **ret,
                                               struct eb_err *reterr);
/* The same from the bytes of such a file; name stands in the error texts. */
EB_MUSTCHECK enum eb_rc eb_nkey_from_seed_text(struct eb_str lines, const char *name, enum eb_nkey_kind want,
                                               struct eb_nkey **ret, struct eb_err *reterr);
EB_MUSTCHECK enum eb_rc eb_nkey_generate(enum eb_nkey_kind kind, struct eb_nkey **ret);
void eb_nkey_free(struct eb_nkey *k);
EB_DEFINE_CLEANUP(struct eb_nkey, eb_nkey_free);

enum eb_nkey_kind eb_nkey_kind(const struct eb_nkey *k);
/* Text of the public half, NUL-terminated, lives as long as k. */
const char *eb_nkey_public(const struct eb_nkey *k);
const uint8_t *eb_nkey_public_raw(const struct eb_nkey *k);
/* The seed's text in guarded memory; NULL when out of memory. */
struct eb_secret *eb_nkey_seed(const struct eb_nkey *k);

/* Plain Ed25519 over msg. EB_E_INVALID for a curve key. */
EB_MUSTCHECK enum eb_rc eb_nkey_sign(const struct eb_nkey *k, struct eb_str msg,
                                     uint8_t ret_sig[EB_NKEY_SIG_LEN]);
/* The same, another signature each time (hedged: RFC 8032's r with noise in it); it verifies as any. */
EB_MUSTCHECK enum eb_rc eb_nkey_sign_randomized(const struct eb_nkey *k, struct eb_str msg,
                                                uint8_t ret_sig[EB_NKEY_SIG_LEN]);
/*
 * EB_OK or EB_E_BAD_SIGNATURE. Strict: scalars and points in their one canonical form, no key and no R of
 * small order (RFC 8032 s5.1.7 leaves the last open). Wycheproof's verdicts are met without exception.
 */
EB_MUSTCHECK enum eb_rc eb_nkey_verify(const uint8_t public_key[EB_NKEY_RAW_LEN], struct eb_str msg,
                                       const uint8_t sig[EB_NKEY_SIG_LEN]);

#endif
