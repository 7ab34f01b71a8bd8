/* Keys, JWKs and tokens made in a test, so that no private key is kept in a file. */
#ifndef EB_TESTS_UNIT_MINT_H
#define EB_TESTS_UNIT_MINT_H

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "base/buf.h"
#include "jose/jose.h"

#define MINT_UNUSED __attribute__((unused))

/* A broken helper must stop the test run, also where asserts are compiled out. */
#define MINT_MUST(cond)                                                                                      \
    do {                                                                                                     \
        if (!(cond)) {                                                                                       \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                       \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* "RSA" with bits, "P-256", "P-384", "P-521", "ED25519". */
MINT_UNUSED static EVP_PKEY *mint_key(const char *kind, size_t bits) {
    EVP_PKEY *k = bits                           ? EVP_PKEY_Q_keygen(NULL, NULL, kind, bits)
                  : strcmp(kind, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, kind)
                                                 : EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
    MINT_MUST(k);
    return k;
}

static void mint_bn(struct eb_buf *b, const EVP_PKEY *k, const char *param, const char *member, int fixed_n) {
    BIGNUM *bn = NULL;
    unsigned char bytes[2048];
    MINT_MUST(EVP_PKEY_get_bn_param(k, param, &bn) == 1);
    int n = fixed_n ? fixed_n : BN_num_bytes(bn);
    MINT_MUST(BN_bn2binpad(bn, bytes, n) == n);
    eb_buf_printf(b, ",\"%s\":\"", member);
    eb_buf_base64url(b, bytes, (size_t)n);
    eb_buf_ch(b, '"');
    BN_free(bn);
}

/* Adds k as a JWK; extra is further members ("\"kid\":\"a\""), "" for none. */
MINT_UNUSED static void mint_jwk(struct eb_buf *b, const EVP_PKEY *k, const char *extra) {
    if (EVP_PKEY_is_a(k, "RSA")) {
        eb_buf_z(b, "{\"kty\":\"RSA\"");
        mint_bn(b, k, OSSL_PKEY_PARAM_RSA_N, "n", 0);
        mint_bn(b, k, OSSL_PKEY_PARAM_RSA_E, "e", 0);
    } else if (EVP_PKEY_is_a(k, "EC")) {
        int n = (EVP_PKEY_get_bits(k) + 7) / 8;
        eb_buf_printf(b, "{\"kty\":\"EC\",\"crv\":\"P-%d\"", EVP_PKEY_get_bits(k));
        mint_bn(b, k, OSSL_PKEY_PARAM_EC_PUB_X, "x", n);
        mint_bn(b, k, OSSL_PKEY_PARAM_EC_PUB_Y, "y", n);
    } else {
        unsigned char raw[32];
        size_t n = sizeof raw;
        MINT_MUST(EVP_PKEY_get_raw_public_key(k, raw, &n) == 1);
        eb_buf_z(b, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
        eb_buf_base64url(b, raw, n);
        eb_buf_ch(b, '"');
    }
    eb_buf_printf(b, "%s%s}", *extra ? "," : "", extra);
}

static void mint_ecdsa_raw(unsigned char *sig, size_t *sig_n, int coord_n) {
    const unsigned char *at = sig;
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &at, (long)*sig_n);
    MINT_MUST(s);
    unsigned char raw[132];
    MINT_MUST(BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, coord_n) == coord_n);
    MINT_MUST(BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + coord_n, coord_n) == coord_n);
    ECDSA_SIG_free(s);
    *sig_n = 2 * (size_t)coord_n;
    memcpy(sig, raw, *sig_n);
}

/* Signs header.payload by k as alg says, whatever the header says, and leaves the token in b. salt_n < 0: as
 * the RFC says. */
MINT_UNUSED static void mint_token_salt(struct eb_buf *b, const char *header, const char *payload,
                                        EVP_PKEY *k, enum eb_alg alg, int salt_n) {
    eb_buf_reset(b);
    eb_buf_base64url(b, header, strlen(header));
    eb_buf_ch(b, '.');
    eb_buf_base64url(b, payload, strlen(payload));
    unsigned char sig[2048];
    size_t sig_n = sizeof sig;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *ctx = NULL;
    MINT_MUST(EVP_DigestSignInit_ex(md, &ctx, eb_alg_digest(alg), NULL, NULL, k, NULL) == 1);
    if (eb_alg_is_pss(alg)) {
        MINT_MUST(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1);
        MINT_MUST(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt_n < 0 ? RSA_PSS_SALTLEN_DIGEST : salt_n) == 1);
    }
    MINT_MUST(EVP_DigestSign(md, sig, &sig_n, (const unsigned char *)b->p, b->n) == 1);
    EVP_MD_CTX_free(md);
    if (EVP_PKEY_is_a(k, "EC"))
        mint_ecdsa_raw(sig, &sig_n, (EVP_PKEY_get_bits(k) + 7) / 8);
    eb_buf_ch(b, '.');
    eb_buf_base64url(b, sig, sig_n);
    MINT_MUST(eb_buf_ok(b));
}

MINT_UNUSED static void mint_token(struct eb_buf *b, const char *header, const char *payload, EVP_PKEY *k,
                                   enum eb_alg alg) {
    mint_token_salt(b, header, payload, k, alg, -1);
}

/* header.payload.HMAC-SHA-256 with secret, as an attacker makes it who knows a public key. */
MINT_UNUSED static void mint_hs256(struct eb_buf *b, const char *header, const char *payload,
                                   const void *secret, size_t secret_n) {
    eb_buf_reset(b);
    eb_buf_base64url(b, header, strlen(header));
    eb_buf_ch(b, '.');
    eb_buf_base64url(b, payload, strlen(payload));
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_n = 0;
    MINT_MUST(HMAC(EVP_sha256(), secret, (int)secret_n, (const unsigned char *)b->p, b->n, mac, &mac_n));
    eb_buf_ch(b, '.');
    eb_buf_base64url(b, mac, mac_n);
}

#endif
