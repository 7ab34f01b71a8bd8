/* NATS creds files: a user JWT and the seed that belongs to it, each between lines of dashes. Source:
 * nats-io/jwt v2. */
#ifndef EB_NATSJWT_CREDS_H
#define EB_NATSJWT_CREDS_H

#include "natsjwt/natsjwt.h"

#define EB_CREDS_MAX ((size_t)65536) /* bytes of a file */

struct eb_creds {
    char *jwt; /* text of the user JWT, NUL-terminated; no secret: it is worth nothing without the key */
    struct eb_nkey *key; /* signs the server's nonce; the seed's text is eb_nkey_seed(key) */
    struct eb_str name;  /* of the JWT, {NULL, 0} where absent; for people */
    int64_t exp;         /* of the JWT, 0 = none */
    char *name_text;     /* what name borrows from */
};
void eb_creds_done(struct eb_creds *c);

/*
 * Reads a file: one block whose BEGIN line names a JWT and one whose BEGIN line names a seed; text outside of
 * blocks is passed over. The JWT must be a user JWT that verifies and whose sub is the seed's public key; its
 * times are not judged. Errors name the path, never a piece of the seed: EB_E_IO, EB_E_TOO_LARGE,
 * EB_E_INVALID (empty), EB_E_MALFORMED (blocks, JWT), EB_E_BAD_KEY (seed), EB_E_NOMEM.
 */
EB_MUSTCHECK enum eb_rc eb_creds_read_file(const char *path, struct eb_creds *ret, struct eb_err *reterr);

/* Appends such a file: the user JWT and the seed of its sub. to holds a secret then. */
void eb_creds_write(struct eb_buf *to, struct eb_str jwt, struct eb_str seed);

#endif
