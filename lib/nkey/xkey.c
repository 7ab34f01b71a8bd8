#include "nkey/xkey.h"

#include <sodium.h>
#include <string.h>

#include "nkey/internal.h"

#define VERSION EB_STR("xkv1")
enum { VERSION_LEN = 4, NONCE_LEN = crypto_box_NONCEBYTES, HEAD_LEN = VERSION_LEN + NONCE_LEN };
_Static_assert(HEAD_LEN + crypto_box_MACBYTES == EB_XKEY_OVERHEAD, "what sealing adds");
_Static_assert(sizeof((struct eb_xkey_shared *)0)->key == crypto_box_BEFORENMBYTES,
               "length of a shared secret");

enum eb_rc eb_xkey_shared_init(struct eb_xkey_shared *s, const struct eb_nkey *own,
                               const uint8_t peer[EB_NKEY_RAW_LEN]) {
    if (own->kind != EB_NKEY_CURVE)
        return EB_E_INVALID;
    const unsigned char *scalar = (const unsigned char *)eb_secret_get(own->secret).p;
    return crypto_box_beforenm(s->key, peer, scalar) == 0 ? EB_OK : EB_E_BAD_KEY;
}

void eb_xkey_shared_done(struct eb_xkey_shared *s) {
    sodium_memzero(s->key, sizeof s->key);
}

bool eb_xkey_is_sealed(struct eb_str bytes) {
    return eb_str_starts(bytes, VERSION);
}

enum eb_rc eb_xkey_open(const struct eb_xkey_shared *s, struct eb_str sealed, struct eb_buf *to) {
    if (!eb_xkey_is_sealed(sealed) || sealed.n < EB_XKEY_OVERHEAD)
        return EB_E_MALFORMED;
    size_t n = sealed.n - EB_XKEY_OVERHEAD;
    char *plain = eb_buf_reserve(to, n);
    if (!plain)
        return EB_E_NOMEM;
    const unsigned char *in = (const unsigned char *)sealed.p;
    /* The tag is checked before anything is written. */
    if (crypto_box_open_easy_afternm((unsigned char *)plain, in + HEAD_LEN, sealed.n - HEAD_LEN,
                                     in + VERSION_LEN, s->key) != 0)
        return EB_E_BAD_SIGNATURE;
    eb_buf_used(to, n);
    return EB_OK;
}

enum eb_rc eb_xkey_seal(const struct eb_xkey_shared *s, struct eb_str plain, struct eb_buf *to) {
    unsigned char *out = (unsigned char *)eb_buf_reserve(to, plain.n + EB_XKEY_OVERHEAD);
    if (!out)
        return EB_E_NOMEM;
    memcpy(out, VERSION.p, VERSION_LEN);
    randombytes_buf(out + VERSION_LEN, NONCE_LEN);
    if (crypto_box_easy_afternm(out + HEAD_LEN, (const unsigned char *)(plain.p ? plain.p : ""), plain.n,
                                out + VERSION_LEN, s->key) != 0)
        return EB_E_INTERNAL;
    eb_buf_used(to, plain.n + EB_XKEY_OVERHEAD);
    return EB_OK;
}
