/* Sealing with curve nkeys: "xkv1" | nonce(24) | NaCl box (X25519, XSalsa20-Poly1305). Source: nats-io/nkeys
 * xkeys. */
#ifndef EB_NKEY_XKEY_H
#define EB_NKEY_XKEY_H

#include "base/buf.h"
#include "nkey/nkey.h"

#define EB_XKEY_OVERHEAD 44 /* bytes that sealing adds */

/* The shared secret of our curve key and a peer's; computing it is the dear part, so callers cache it per
 * peer. */
struct eb_xkey_shared {
    uint8_t key[32];
};

/* EB_E_INVALID where own is no curve key, EB_E_BAD_KEY for a peer key of small order. The caller wipes it
 * with eb_xkey_shared_done. */
EB_MUSTCHECK enum eb_rc eb_xkey_shared_init(struct eb_xkey_shared *s, const struct eb_nkey *own,
                                            const uint8_t peer[EB_NKEY_RAW_LEN]);
void eb_xkey_shared_done(struct eb_xkey_shared *s);
/* True where bytes begin with the version word, so they are sealed and no plain JWT. */
bool eb_xkey_is_sealed(struct eb_str bytes);
/* Appends the plain bytes to `to`. EB_E_MALFORMED (too short, other version), EB_E_BAD_SIGNATURE (does not
 * open). */
EB_MUSTCHECK enum eb_rc eb_xkey_open(const struct eb_xkey_shared *s, struct eb_str sealed, struct eb_buf *to);
/* Appends the sealed bytes to `to`, with a random nonce. */
EB_MUSTCHECK enum eb_rc eb_xkey_seal(const struct eb_xkey_shared *s, struct eb_str plain, struct eb_buf *to);

#endif
