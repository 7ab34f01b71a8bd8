/* What the files of this folder share: the key pair's inside and the kinds' prefix bytes. */
#ifndef EB_NKEY_INTERNAL_H
#define EB_NKEY_INTERNAL_H

#include "nkey/nkey.h"

#define EB_NKEY_SECRET_LEN 64 /* seed and public key, as libsodium signs with them */

struct eb_nkey {
    enum eb_nkey_kind kind;
    uint8_t raw[EB_NKEY_RAW_LEN];
    char text[EB_NKEY_PUBLIC_LEN + 1];
    struct eb_secret
        *secret; /* EB_NKEY_SECRET_LEN bytes, EB_NKEY_RAW_LEN for a curve key; begins with the raw seed */
};

/* The prefix byte of a kind's public keys; 0xff for EB_NKEY_NONE. And back: EB_NKEY_NONE for any other byte.
 */
uint8_t eb_nkey_prefix(enum eb_nkey_kind kind);
enum eb_nkey_kind eb_nkey_of_prefix(uint8_t prefix);
/* Makes the pair of a raw seed; the caller wipes seed. EB_E_NOMEM; EB_E_INVALID for EB_NKEY_NONE. */
EB_MUSTCHECK enum eb_rc eb_nkey_of_raw(enum eb_nkey_kind kind, const uint8_t seed[EB_NKEY_RAW_LEN],
                                       struct eb_nkey **ret);

#endif
