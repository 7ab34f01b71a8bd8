/*
 * NATS JWT v2 (alg ed25519-nkey): the envelope, read and written.
 * Source: nats-io/jwt v2; ADR-26 for the claims of auth callout where the code agrees with it.
 */
#ifndef EB_NATSJWT_NATSJWT_H
#define EB_NATSJWT_NATSJWT_H

#include "base/buf.h"
#include "base/json.h"
#include "nkey/nkey.h"

/* A decoded token whose signature by its own `iss` was verified. That proves who wrote it, never that the
 * writer is trusted. */
struct eb_natsjwt {
    json_t *claims;              /* the whole payload; owned */
    struct eb_str iss, sub, aud; /* borrowed from claims, {NULL, 0} where absent */
    enum eb_nkey_kind iss_kind;
    uint8_t iss_key[EB_NKEY_RAW_LEN];
    int64_t iat, exp, nbf; /* seconds since the epoch, 0 where absent */
    const json_t *nats;    /* the `nats` object, borrowed */
};
void eb_natsjwt_done(struct eb_natsjwt *t);

/*
 * Reads and verifies text of at most max bytes. EB_E_TOO_LARGE, EB_E_MALFORMED (chunks, base64url, JSON,
 * header, missing nats object), EB_E_BAD_SIGNATURE. Does not look at times, audience or type.
 */
EB_MUSTCHECK enum eb_rc eb_natsjwt_read(struct eb_str text, size_t max, struct eb_natsjwt *ret,
                                        struct eb_err *reterr);
/* The same, of a token in which a server writes down what a client says (eb_json_object_of_peers). */
EB_MUSTCHECK enum eb_rc eb_natsjwt_read_of_clients(struct eb_str text, size_t max, struct eb_natsjwt *ret,
                                                   struct eb_err *reterr);
/* True where text has the shape of a JWT whose header says alg ed25519-nkey (or ed25519): a NATS JWT, no
 * OAuth2 token. */
bool eb_natsjwt_is(struct eb_str text);

/* Signs bytes with an account key; see auth-callout's signer. EB_OK or a failure that ends the writing. */
typedef enum eb_rc (*eb_sign_fn)(void *ctx, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]);

/* Standard claims of a token to be written. Texts are borrowed; absent ones {NULL, 0}, times 0. */
struct eb_natsjwt_std {
    struct eb_str aud, iss, sub, name;
    int64_t iat, exp, nbf;
};
/*
 * Appends a signed token: std with its computed jti, and the `nats` object given as ready JSON text (must be
 * valid JSON). Compact, the key order of the Go writer. EB_E_NOMEM or what sign returned.
 */
EB_MUSTCHECK enum eb_rc eb_natsjwt_write(struct eb_buf *to, const struct eb_natsjwt_std *std,
                                         struct eb_str nats_json, eb_sign_fn sign, void *ctx);

#endif
