#include "jose/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/base64url.h"
#include "jose/verifier.h"

#define RSA_E_BYTES 4   /* exponents up to 2^32 */
#define EC_COORD_MAX 66 /* P-521 */
#define EC_DER_MAX (2 * (EC_COORD_MAX + 3) + 3)
#define NUMBER_TEXT_MAX 4096u /* characters of one base64url number */

struct eb_jwk {
    enum eb_kty kty;
    enum eb_alg alg; /* the only one it is for; EB_ALG_NONE where the key does not say */
    size_t sig_n;    /* bytes of a signature by it */
    EVP_PKEY *key;   /* RSA, EC */
    unsigned char ed25519[crypto_sign_PUBLICKEYBYTES];
    struct eb_verifiers *verifiers;
    size_t kid_n;
    bool has_kid;
    char kid[EB_KID_MAX];
};

static const struct curve {
    const char *crv, *group;
    enum eb_kty kty;
    size_t coord_n;
} curves[] = {
    {"P-256", "P-256", EB_KTY_P256, 32},
    {"P-384", "P-384", EB_KTY_P384, 48},
    {"P-521", "P-521", EB_KTY_P521, EC_COORD_MAX},
};

EB_DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free);
EB_DEFINE_CLEANUP(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free);
EB_DEFINE_CLEANUP(OSSL_PARAM, OSSL_PARAM_free);
EB_DEFINE_CLEANUP(BIGNUM, BN_free);

void eb_jwk_free(struct eb_jwk *k) {
    if (!k)
        return;
    if (k->verifiers)
        eb_verifiers_done(k->verifiers);
    free(k->verifiers);
    EVP_PKEY_free(k->key);
    free(k);
}

/* Reads member name as base64url bytes. */
static enum eb_rc member_bytes(const json_t *obj, const char *name, unsigned char *to, size_t cap,
                               size_t *ret_n, struct eb_err *reterr) {
    struct eb_str text = EB_STR_NONE;
    if (eb_json_get_str(obj, name, &text) != EB_JSON_OK || text.n == 0)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "a key without a text member \"%s\"", name);
    if (text.n > NUMBER_TEXT_MAX || eb_base64url_decode(to, cap, text, ret_n) != EB_OK)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "member \"%s\" of a key is no base64url of at most %zu bytes",
                       name, cap);
    return EB_OK;
}

static enum eb_rc key_from(const char *type, OSSL_PARAM_BLD *bld, struct eb_jwk *k, struct eb_err *reterr) {
    EB_CLEANUP(OSSL_PARAM_freep) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EB_CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1) {
        ERR_clear_error();
        return EB_FAIL(reterr, EB_E_NOMEM, "no memory for a key");
    }
    if (EVP_PKEY_fromdata(ctx, &k->key, EVP_PKEY_PUBLIC_KEY, params) != 1 || !k->key) {
        ERR_clear_error();
        return EB_FAIL(reterr, EB_E_BAD_KEY, "the numbers of a key do not make a %s key", type);
    }
    return EB_OK;
}

static enum eb_rc read_rsa(const json_t *obj, struct eb_jwk *k, struct eb_err *reterr) {
    unsigned char n[EB_SIG_MAX + 1], e[RSA_E_BYTES + 1];
    size_t n_n = 0, e_n = 0;
    enum eb_rc rc = member_bytes(obj, "n", n, sizeof n, &n_n, reterr);
    if (rc == EB_OK)
        rc = member_bytes(obj, "e", e, sizeof e, &e_n, reterr);
    if (rc != EB_OK)
        return rc;
    /* A leading zero byte is against RFC 7518 s6.3.1.1, but common (big integers of Java); BN_bin2bn passes
     * over it. */
    EB_CLEANUP(BN_freep) BIGNUM *bn_n = BN_bin2bn(n, (int)n_n, NULL);
    EB_CLEANUP(BN_freep) BIGNUM *bn_e = BN_bin2bn(e, (int)e_n, NULL);
    EB_CLEANUP(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (!bn_n || !bn_e || !bld)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    int bits = BN_num_bits(bn_n);
    if (bits < EB_RSA_BITS_MIN || bits > EB_RSA_BITS_MAX || !BN_is_odd(bn_n))
        return EB_FAIL(reterr, EB_E_BAD_KEY, "an RSA key of %d bits; %d to %d are taken", bits,
                       EB_RSA_BITS_MIN, EB_RSA_BITS_MAX);
    if (BN_num_bits(bn_e) > 8 * RSA_E_BYTES || !BN_is_odd(bn_e) || BN_is_one(bn_e))
        return EB_FAIL(reterr, EB_E_BAD_KEY, "an RSA key whose exponent is even, 1, or over 2^%d",
                       8 * RSA_E_BYTES);
    if (!OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn_n) ||
        !OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, bn_e))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    k->kty = EB_KTY_RSA;
    k->sig_n = ((size_t)bits + 7) / 8;
    return key_from("RSA", bld, k, reterr);
}

static enum eb_rc read_ec(const json_t *obj, struct eb_jwk *k, struct eb_err *reterr) {
    const struct curve *curve = NULL;
    struct eb_str crv = eb_json_str(obj, "crv");
    for (size_t i = 0; i < EB_COUNT_OF(curves); i++)
        if (eb_str_eqz(crv, curves[i].crv))
            curve = &curves[i];
    if (!curve)
        return EB_FAIL(reterr, EB_E_BAD_KEY,
                       "an EC key of a curve that is not taken; P-256, P-384 and P-521 are");
    unsigned char point[1 + 2 * EC_COORD_MAX] = {4}; /* uncompressed */
    size_t x_n = 0, y_n = 0, coord_n = curve->coord_n;
    enum eb_rc rc = member_bytes(obj, "x", point + 1, coord_n, &x_n, reterr);
    if (rc == EB_OK)
        rc = member_bytes(obj, "y", point + 1 + coord_n, coord_n, &y_n, reterr);
    if (rc != EB_OK)
        return rc;
    if (x_n != coord_n || y_n != coord_n)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "coordinates of %s must have %zu bytes each", curve->crv,
                       coord_n);
    EB_CLEANUP(OSSL_PARAM_BLD_freep) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (!bld || !OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) ||
        !OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * coord_n))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    rc = key_from("EC", bld, k, reterr);
    if (rc != EB_OK)
        return rc;
    EB_CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->key, NULL);
    if (!ctx || EVP_PKEY_public_check_quick(ctx) != 1) {
        ERR_clear_error();
        return EB_FAIL(reterr, EB_E_BAD_KEY, "an EC key whose point is not on %s", curve->crv);
    }
    k->kty = curve->kty;
    k->sig_n = 2 * coord_n;
    return EB_OK;
}

static enum eb_rc read_okp(const json_t *obj, struct eb_jwk *k, struct eb_err *reterr) {
    if (!eb_str_eqz(eb_json_str(obj, "crv"), "Ed25519"))
        return EB_FAIL(reterr, EB_E_BAD_KEY, "an OKP key of a curve that is not taken; Ed25519 is");
    size_t n = 0;
    enum eb_rc rc = member_bytes(obj, "x", k->ed25519, sizeof k->ed25519, &n, reterr);
    if (rc != EB_OK)
        return rc;
    if (n != sizeof k->ed25519 || crypto_core_ed25519_is_valid_point(k->ed25519) != 1)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "an Ed25519 key that is no point of the group");
    k->kty = EB_KTY_ED25519;
    k->sig_n = crypto_sign_BYTES;
    return EB_OK;
}

/* What the key itself says that it is for: use, key_ops, alg (RFC 7517 s4.2-4.4). */
static enum eb_rc read_purpose(const json_t *obj, struct eb_jwk *k, struct eb_err *reterr) {
    struct eb_str use = EB_STR_NONE, alg = EB_STR_NONE;
    enum eb_json_have have = eb_json_get_str(obj, "use", &use);
    /* jwt-svid: keys for tokens in a SPIFFE bundle, which lists those for certificates beside them. */
    if (have == EB_JSON_WRONG_TYPE ||
        (have == EB_JSON_OK && !eb_str_eqz(use, "sig") && !eb_str_eqz(use, "jwt-svid")))
        return EB_FAIL(reterr, EB_E_BAD_KEY, "a key whose \"use\" is not \"sig\"");
    const json_t *ops = json_object_get(obj, "key_ops"), *op;
    size_t i;
    bool may_verify = !ops;
    json_array_foreach(ops, i, op) {
        if (eb_str_eqz(eb_str(json_string_value(op)), "verify"))
            may_verify = true;
    }
    if (!may_verify)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "a key whose \"key_ops\" do not list \"verify\"");
    have = eb_json_get_str(obj, "alg", &alg);
    if (have == EB_JSON_MISSING)
        return EB_OK;
    k->alg = eb_alg_parse(alg);
    if (k->alg == EB_ALG_NONE)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "a key for an \"alg\" that is not taken");
    if (eb_alg_kty(k->alg) != k->kty)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "a key whose \"alg\" %s is not for its own kind",
                       eb_alg_name(k->alg));
    return EB_OK;
}

static enum eb_rc read_kid(const json_t *obj, struct eb_jwk *k, struct eb_err *reterr) {
    struct eb_str kid = EB_STR_NONE;
    enum eb_json_have have = eb_json_get_str(obj, "kid", &kid);
    if (have == EB_JSON_WRONG_TYPE || kid.n > sizeof k->kid)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "a key whose \"kid\" is no text of at most %d bytes",
                       EB_KID_MAX);
    k->has_kid = have == EB_JSON_OK;
    if (kid.n)
        memcpy(k->kid, kid.p, kid.n);
    k->kid_n = kid.n;
    return EB_OK;
}

enum eb_rc eb_jwk_read(const json_t *obj, struct eb_jwk **ret, struct eb_err *reterr) {
    EB_CLEANUP(eb_jwk_freep) struct eb_jwk *k = calloc(1, sizeof *k);
    if (!k || !(k->verifiers = malloc(sizeof *k->verifiers)))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    eb_verifiers_init(k->verifiers);
    struct eb_str kty = eb_json_str(obj, "kty");
    enum eb_rc rc = read_kid(obj, k, reterr);
    if (rc != EB_OK)
        return rc;
    if (eb_str_eqz(kty, "RSA"))
        rc = read_rsa(obj, k, reterr);
    else if (eb_str_eqz(kty, "EC"))
        rc = read_ec(obj, k, reterr);
    else if (eb_str_eqz(kty, "OKP"))
        rc = read_okp(obj, k, reterr);
    else
        return EB_FAIL(reterr, EB_E_BAD_KEY, "a key of a \"kty\" that is not taken; RSA, EC and OKP are");
    if (rc == EB_OK)
        rc = read_purpose(obj, k, reterr);
    if (rc == EB_OK)
        *ret = EB_TAKE(k);
    return rc;
}

struct eb_str eb_jwk_kid(const struct eb_jwk *k) {
    return k->has_kid ? eb_str_n(k->kid, k->kid_n) : EB_STR_NONE;
}

bool eb_jwk_fits(const struct eb_jwk *k, enum eb_alg alg) {
    return alg != EB_ALG_NONE && eb_alg_kty(alg) == k->kty && (k->alg == EB_ALG_NONE || k->alg == alg);
}

/* One INTEGER of DER from n big-endian bytes; returns its end, NULL for zero, which no signature holds. */
static unsigned char *der_integer(unsigned char *to, const unsigned char *p, size_t n) {
    while (n && *p == 0) {
        p++;
        n--;
    }
    if (n == 0)
        return NULL;
    bool pad = *p & 0x80;
    *to++ = 2;
    *to++ = (unsigned char)(n + pad);
    if (pad)
        *to++ = 0;
    memcpy(to, p, n);
    return to + n;
}

/* RFC 7518 s3.4 writes r and s side by side in full length; OpenSSL wants a DER sequence. Returns its length,
 * 0 where r or s is zero. */
static size_t ecdsa_to_der(unsigned char to[EC_DER_MAX], struct eb_str sig) {
    const unsigned char *raw = (const unsigned char *)sig.p;
    unsigned char body[EC_DER_MAX], *end = der_integer(body, raw, sig.n / 2);
    if (end)
        end = der_integer(end, raw + sig.n / 2, sig.n / 2);
    if (!end)
        return 0;
    size_t n = (size_t)(end - body), at = 0;
    to[at++] = 0x30;
    if (n > 127)
        to[at++] = 0x81;
    to[at++] = (unsigned char)n;
    memcpy(to + at, body, n);
    return at + n;
}

enum eb_rc eb_jwk_verify(const struct eb_jwk *k, enum eb_alg alg, struct eb_str text, struct eb_str sig,
                         struct eb_err *reterr) {
    if (!eb_jwk_fits(k, alg))
        return EB_FAIL(reterr, EB_E_KEY_TYPE, "the key is not for %s", eb_alg_name(alg));
    if (sig.n != k->sig_n)
        return EB_FAIL(reterr, EB_E_BAD_SIGNATURE, "a signature of %zu bytes where the key makes %zu", sig.n,
                       k->sig_n);
    unsigned char der[EC_DER_MAX];
    switch (k->kty) {
    case EB_KTY_ED25519:
        if (crypto_sign_verify_detached((const unsigned char *)sig.p, (const unsigned char *)text.p, text.n,
                                        k->ed25519) != 0)
            return EB_FAIL(reterr, EB_E_BAD_SIGNATURE, "the EdDSA signature does not fit the key");
        return EB_OK;
    case EB_KTY_P256:
    case EB_KTY_P384:
    case EB_KTY_P521: {
        size_t n = ecdsa_to_der(der, sig);
        if (n == 0)
            return EB_FAIL(reterr, EB_E_BAD_SIGNATURE, "an ECDSA signature with a zero");
        return eb_verifiers_check(k->verifiers, k->key, alg, text, eb_str_n(der, n), reterr);
    }
    case EB_KTY_RSA: return eb_verifiers_check(k->verifiers, k->key, alg, text, sig, reterr);
    case EB_KTY_NONE: break;
    }
    return EB_FAIL(reterr, EB_E_KEY_TYPE, "the key is not for %s", eb_alg_name(alg));
}
