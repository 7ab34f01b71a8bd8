#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <openssl/pem.h>

#include "jose/jose.h"
#include "mint.h"

#define ALL_ALGS ((1U << EB_ALG_MAX_) - 2)
#define NOW 1700000000

static EVP_PKEY *rsa, *rsa2, *p256, *p384, *p521, *ed;
static struct eb_jwks
    *set; /* rsa "rsa", rsa2 "ps256" for PS256 only, p256 "p256", p384 "p384", p521 "p521", ed "ed" */

static int make_keys(void **state) {
    (void)state;
    rsa = mint_key("RSA", 2048);
    rsa2 = mint_key("RSA", 2056); /* a length that is no power of two */
    p256 = mint_key("P-256", 0);
    p384 = mint_key("P-384", 0);
    p521 = mint_key("P-521", 0);
    ed = mint_key("ED25519", 0);
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_z(&b, "{\"keys\":[");
    mint_jwk(&b, rsa, "\"kid\":\"rsa\",\"use\":\"sig\"");
    eb_buf_ch(&b, ',');
    mint_jwk(&b, rsa2, "\"kid\":\"ps256\",\"alg\":\"PS256\"");
    eb_buf_ch(&b, ',');
    mint_jwk(&b, p256, "\"kid\":\"p256\"");
    eb_buf_ch(&b, ',');
    mint_jwk(&b, p384, "\"kid\":\"p384\"");
    eb_buf_ch(&b, ',');
    mint_jwk(&b, p521, "\"kid\":\"p521\"");
    eb_buf_ch(&b, ',');
    mint_jwk(&b, ed, "\"kid\":\"ed\"");
    eb_buf_z(&b, "]}");
    return eb_jwks_read(eb_buf_get(&b), &set, NULL, NULL) == EB_OK ? 0 : -1;
}

static int free_keys(void **state) {
    (void)state;
    EVP_PKEY *all[] = {rsa, rsa2, p256, p384, p521, ed};
    for (size_t i = 0; i < EB_COUNT_OF(all); i++)
        EVP_PKEY_free(all[i]);
    eb_jwks_unref(set);
    return 0;
}

static enum eb_rc verify_with(struct eb_str token, const struct eb_jwks *keys, unsigned allowed) {
    EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
    struct eb_err err = {0};
    enum eb_rc rc = eb_jws_read(token, &t, &err);
    if (rc == EB_OK)
        rc = eb_jwt_verify(&t, keys, allowed, &err);
    assert_int_equal(err.rc, rc);
    assert_true(rc == EB_OK || err.text[0]);
    return rc;
}

static enum eb_rc verify(const struct eb_buf *token, unsigned allowed) {
    return verify_with(eb_buf_get(token), set, allowed);
}

/* Vectors of the RFCs: a set of one key and a token by it. */
static void test_rfc_vectors(void **state) {
    (void)state;
    static const struct {
        const char *name, *keys, *token;
    } rows[] = {
        {"RFC 7515 A.2",
         "{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
         "wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2m"
         "JPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
         "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB"
         "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
         "h9iaGNj8q2ethFkMLs91kzk2P"
         "AcDTW9gb54h4FRWyuXpoQ\"}]}",
         "eyJhbGciOiJSUzI1NiJ9."
         "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
         "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
         "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQj"
         "bKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
         "xi12jzDwusC-eOkHWEsqtFZ"
         "ESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
         "IoypGlUPQGe77Rw"},
        {"RFC 7515 A.3",
         "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
         "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}",
         "eyJhbGciOiJFUzI1NiJ9."
         "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
         "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
        {"RFC 7515 A.4",
         "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-521\","
         "\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\","
         "\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}"
         "]}",
         "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-"
         "mZZqwqT2SI-KGDKB34XO0aw_7Xdt"
         "AG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"},
        {"RFC 8037 A.4",
         "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
         "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
         "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"
         "09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5"
         "BhVsPt9g7sVvpAr_MuM0KAg"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(eb_jwks_unrefp) struct eb_jwks *keys = NULL;
        assert_int_equal(eb_jwks_read(eb_str(rows[i].keys), &keys, NULL, NULL), EB_OK);
        if (verify_with(eb_str(rows[i].token), keys, ALL_ALGS) != EB_OK)
            fail_msg("%s", rows[i].name);
        /* one bit of the payload */
        eb_auto_free char *bent = strdup(rows[i].token);
        assert_non_null(bent);
        char *at = strchr(bent, '.') + 3;
        *at = *at == 'A' ? 'B' : 'A';
        assert_int_equal(verify_with(eb_str(bent), keys, ALL_ALGS), EB_E_BAD_SIGNATURE);
        /* of another family only */
        assert_int_equal(verify_with(eb_str(rows[i].token), keys, EB_ALG_BIT(EB_ALG_PS256)),
                         EB_E_ALG_NOT_ALLOWED);
    }
}

static EVP_PKEY *key_of(enum eb_alg alg, const char **ret_kid) {
    switch (eb_alg_kty(alg)) {
    case EB_KTY_P256: *ret_kid = "p256"; return p256;
    case EB_KTY_P384: *ret_kid = "p384"; return p384;
    case EB_KTY_P521: *ret_kid = "p521"; return p521;
    case EB_KTY_ED25519: *ret_kid = "ed"; return ed;
    case EB_KTY_RSA:
    case EB_KTY_NONE: break;
    }
    *ret_kid = "rsa";
    return rsa;
}

static void header_of(char to[128], const char *alg, const char *kid) {
    (void)snprintf(to, 128, kid ? "{\"alg\":\"%s\",\"kid\":\"%s\"}" : "{\"alg\":\"%s\"}", alg, kid);
}

static void test_every_alg(void **state) {
    (void)state;
    for (enum eb_alg alg = EB_ALG_NONE + 1; alg < EB_ALG_MAX_; alg++) {
        const char *kid;
        EVP_PKEY *key = key_of(alg, &kid);
        char header[128];
        eb_auto_buf struct eb_buf token = {0};
        header_of(header, eb_alg_name(alg), kid);
        mint_token(&token, header, "{}", key, alg);
        assert_int_equal(verify(&token, ALL_ALGS), EB_OK);
        assert_int_equal(verify(&token, EB_ALG_BIT(alg)), EB_OK);
        assert_int_equal(verify(&token, ALL_ALGS & ~EB_ALG_BIT(alg)), EB_E_ALG_NOT_ALLOWED);
        assert_int_equal(verify(&token, 0), EB_E_ALG_NOT_ALLOWED);
        /* without a kid all keys that fit are tried */
        header_of(header, eb_alg_name(alg), NULL);
        mint_token(&token, header, "{}", key, alg);
        assert_int_equal(verify(&token, ALL_ALGS), EB_OK);
        header_of(header, eb_alg_name(alg), "nobody");
        mint_token(&token, header, "{}", key, alg);
        assert_int_equal(verify(&token, ALL_ALGS), EB_E_UNKNOWN_KID);
        /* the kid of every other key */
        static const char *const kids[] = {"rsa", "ps256", "p256", "p384", "p521", "ed"};
        for (size_t i = 0; i < EB_COUNT_OF(kids); i++) {
            if (strcmp(kids[i], kid) == 0)
                continue;
            header_of(header, eb_alg_name(alg), kids[i]);
            mint_token(&token, header, "{}", key, alg);
            assert_int_equal(verify(&token, ALL_ALGS),
                             alg == EB_ALG_PS256 && i == 1 ? EB_E_BAD_SIGNATURE : EB_E_KEY_TYPE);
        }
    }
}

/* The header names one algorithm, the signature is by another. */
static void test_alg_confusion(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf token = {0};
    for (enum eb_alg said = EB_ALG_RS256; said <= EB_ALG_PS512; said++)
        for (enum eb_alg used = EB_ALG_RS256; used <= EB_ALG_PS512; used++) {
            char header[128];
            header_of(header, eb_alg_name(said), "rsa");
            mint_token(&token, header, "{}", rsa, used);
            assert_int_equal(verify(&token, ALL_ALGS), said == used ? EB_OK : EB_E_BAD_SIGNATURE);
        }
    /* RS256 with the key that is for PS256 only, and the other way round in the signature */
    mint_token(&token, "{\"alg\":\"RS256\",\"kid\":\"ps256\"}", "{}", rsa2, EB_ALG_RS256);
    assert_int_equal(verify(&token, ALL_ALGS), EB_E_KEY_TYPE);
    mint_token(&token, "{\"alg\":\"PS256\",\"kid\":\"ps256\"}", "{}", rsa2, EB_ALG_PS256);
    assert_int_equal(verify(&token, ALL_ALGS), EB_OK);
    /* ES256 by a P-384 key: digest of the one, curve of the other */
    mint_token(&token, "{\"alg\":\"ES256\",\"kid\":\"p384\"}", "{}", p384, EB_ALG_ES256);
    assert_int_equal(verify(&token, ALL_ALGS), EB_E_KEY_TYPE);
    mint_token(&token, "{\"alg\":\"ES384\",\"kid\":\"p384\"}", "{}", p384, EB_ALG_ES256);
    assert_int_equal(verify(&token, ALL_ALGS), EB_E_BAD_SIGNATURE);

    /* none, in every spelling, with and without a signature */
    static const char *const nones[] = {"none", "None", "NONE", "nOnE", ""};
    for (size_t i = 0; i < EB_COUNT_OF(nones); i++) {
        char header[128];
        header_of(header, nones[i], "rsa");
        mint_token(&token, header, "{}", rsa, EB_ALG_RS256);
        assert_int_equal(verify(&token, ALL_ALGS | 1), EB_E_ALG_NOT_ALLOWED);
        *(strrchr(token.p, '.') + 1) = '\0';
        assert_int_equal(verify_with(eb_str(token.p), set, ALL_ALGS), EB_E_MALFORMED);
    }

    /* HS256 with what everybody knows of the RSA key as secret: PEM, DER, the modulus */
    unsigned char *der = NULL;
    int der_n = i2d_PUBKEY(rsa, &der);
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem = NULL;
    assert_int_equal(PEM_write_bio_PUBKEY(bio, rsa), 1);
    long pem_n = BIO_get_mem_data(bio, &pem);
    BIGNUM *n = NULL;
    unsigned char modulus[256];
    assert_int_equal(EVP_PKEY_get_bn_param(rsa, "n", &n), 1);
    assert_int_equal(BN_bn2binpad(n, modulus, sizeof modulus), sizeof modulus);
    const struct eb_str secrets[] = {eb_str_n(der, (size_t)der_n), eb_str_n(pem, (size_t)pem_n),
                                     eb_str_n(modulus, sizeof modulus), EB_STR("")};
    static const char *const headers[] = {"{\"alg\":\"HS256\",\"kid\":\"rsa\"}", "{\"alg\":\"HS256\"}",
                                          "{\"alg\":\"RS256\",\"kid\":\"rsa\"}"};
    for (size_t i = 0; i < EB_COUNT_OF(secrets); i++)
        for (size_t h = 0; h < EB_COUNT_OF(headers); h++) {
            mint_hs256(&token, headers[h], "{}", secrets[i].n ? secrets[i].p : "", secrets[i].n);
            assert_int_equal(verify(&token, ~0U), h == 2 ? EB_E_BAD_SIGNATURE : EB_E_ALG_NOT_ALLOWED);
        }
    BN_free(n);
    BIO_free(bio);
    OPENSSL_free(der);
}

static void test_pss_salt(void **state) {
    (void)state;
    static const int salts[] = {0, 20, 31, 33, 64, 222};
    eb_auto_buf struct eb_buf token = {0};
    for (size_t i = 0; i < EB_COUNT_OF(salts); i++) {
        mint_token_salt(&token, "{\"alg\":\"PS256\",\"kid\":\"rsa\"}", "{}", rsa, EB_ALG_PS256, salts[i]);
        assert_int_equal(verify(&token, ALL_ALGS), EB_E_BAD_SIGNATURE);
    }
    mint_token_salt(&token, "{\"alg\":\"PS256\",\"kid\":\"rsa\"}", "{}", rsa, EB_ALG_PS256, 32);
    assert_int_equal(verify(&token, ALL_ALGS), EB_OK);
}

/* Signatures of other lengths or forms. */
static void test_signature_forms(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf token = {0}, other = {0};
    for (enum eb_alg alg = EB_ALG_NONE + 1; alg < EB_ALG_MAX_; alg++) {
        const char *kid;
        EVP_PKEY *key = key_of(alg, &kid);
        char header[128];
        header_of(header, eb_alg_name(alg), kid);
        mint_token(&token, header, "{}", key, alg);
        EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
        assert_int_equal(eb_jws_read(eb_buf_get(&token), &t, NULL), EB_OK);
        unsigned char sig[EB_SIG_MAX];
        size_t n = t.sig_n, half = n / 2;
        const struct {
            size_t from, zeros_before, n, zeros_after;
        } forms[] = {{0, 0, n - 1, 0},       {0, 0, n, 1}, {0, 1, n, 0},
                     {1, 0, n - 1, 0},       {0, n, 0, 0}, {0, 0, half, n - half},
                     {0, half, n - half, 0}, {0, 0, 1, 0}, {0, 0, n, EB_SIG_MAX - n}};
        for (size_t i = 0; i < EB_COUNT_OF(forms); i++) {
            size_t total = forms[i].zeros_before + forms[i].n + forms[i].zeros_after;
            assert_true(total <= sizeof sig);
            memset(sig, 0, sizeof sig);
            memcpy(sig + forms[i].zeros_before, t.sig + forms[i].from, forms[i].n);
            eb_buf_reset(&other);
            eb_buf_str(&other, t.signing_input);
            eb_buf_ch(&other, '.');
            eb_buf_base64url(&other, sig, total);
            assert_int_equal(verify(&other, ALL_ALGS), EB_E_BAD_SIGNATURE);
        }
        memset(sig, 0xff, sizeof sig);
        eb_buf_reset(&other);
        eb_buf_str(&other, t.signing_input);
        eb_buf_ch(&other, '.');
        eb_buf_base64url(&other, sig, n);
        assert_int_equal(verify(&other, ALL_ALGS), EB_E_BAD_SIGNATURE);
        eb_buf_reset(&other);
        eb_buf_str(&other, t.signing_input);
        eb_buf_ch(&other, '.');
        eb_buf_base64url(&other, sig, EB_SIG_MAX);
        eb_buf_z(&other, "AAAA");
        assert_int_equal(verify(&other, ALL_ALGS), EB_E_MALFORMED);
    }
}

/* Several keys of one kid, and many keys when the token names none. */
static void test_candidates(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0}, token = {0};
    eb_buf_z(&b, "{\"keys\":[");
    mint_jwk(&b, p256, "\"kid\":\"k\"");
    eb_buf_ch(&b, ',');
    mint_jwk(&b, rsa2, "\"kid\":\"k\"");
    eb_buf_ch(&b, ',');
    mint_jwk(&b, rsa, "\"kid\":\"k\"");
    eb_buf_z(&b, ",{\"kty\":\"oct\",\"kid\":\"mac\"}]}");
    EB_CLEANUP(eb_jwks_unrefp) struct eb_jwks *two = NULL;
    assert_int_equal(eb_jwks_read(eb_buf_get(&b), &two, NULL, NULL), EB_OK);
    mint_token(&token, "{\"alg\":\"RS256\",\"kid\":\"k\"}", "{}", rsa, EB_ALG_RS256);
    assert_int_equal(verify_with(eb_buf_get(&token), two, ALL_ALGS), EB_OK);
    mint_token(&token, "{\"alg\":\"ES256\",\"kid\":\"k\"}", "{}", p256, EB_ALG_ES256);
    assert_int_equal(verify_with(eb_buf_get(&token), two, ALL_ALGS), EB_OK);
    mint_token(&token, "{\"alg\":\"EdDSA\",\"kid\":\"k\"}", "{}", ed, EB_ALG_EDDSA);
    assert_int_equal(verify_with(eb_buf_get(&token), two, ALL_ALGS), EB_E_KEY_TYPE);
    mint_token(&token, "{\"alg\":\"EdDSA\"}", "{}", ed, EB_ALG_EDDSA);
    assert_int_equal(verify_with(eb_buf_get(&token), two, ALL_ALGS), EB_E_KEY_TYPE);
    mint_token(&token, "{\"alg\":\"RS256\",\"kid\":\"mac\"}", "{}", rsa, EB_ALG_RS256);
    assert_int_equal(verify_with(eb_buf_get(&token), two, ALL_ALGS), EB_E_KEY_TYPE);
    mint_token(&token, "{\"alg\":\"RS256\",\"kid\":\"\"}", "{}", rsa, EB_ALG_RS256);
    assert_int_equal(verify_with(eb_buf_get(&token), two, ALL_ALGS), EB_E_UNKNOWN_KID);

    /* the right key stands fourth, then fifth among those that fit */
    for (size_t before = EB_JWKS_TRIES - 1; before <= EB_JWKS_TRIES; before++) {
        eb_buf_reset(&b);
        eb_buf_z(&b, "{\"keys\":[");
        for (size_t i = 0; i < before; i++) {
            EVP_PKEY *k = mint_key("P-256", 0);
            mint_jwk(&b, k, "");
            EVP_PKEY_free(k);
            eb_buf_ch(&b, ',');
        }
        mint_jwk(&b, p384, "");
        eb_buf_ch(&b, ',');
        mint_jwk(&b, p256, "\"kid\":\"it\"");
        eb_buf_z(&b, "]}");
        EB_CLEANUP(eb_jwks_unrefp) struct eb_jwks *many = NULL;
        assert_int_equal(eb_jwks_read(eb_buf_get(&b), &many, NULL, NULL), EB_OK);
        mint_token(&token, "{\"alg\":\"ES256\"}", "{}", p256, EB_ALG_ES256);
        assert_int_equal(verify_with(eb_buf_get(&token), many, ALL_ALGS),
                         before < EB_JWKS_TRIES ? EB_OK : EB_E_BAD_SIGNATURE);
        mint_token(&token, "{\"alg\":\"ES256\",\"kid\":\"it\"}", "{}", p256, EB_ALG_ES256);
        assert_int_equal(verify_with(eb_buf_get(&token), many, ALL_ALGS), EB_OK);
    }
}

/* Keys that a token brings along are not looked at. */
static void test_header_keys(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf header = {0}, token = {0};
    EVP_PKEY *evil = mint_key("RSA", 2048);
    eb_buf_z(&header, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jku\":\"https://evil.example/"
                      "jwks\",\"x5u\":\"https://evil.example/x\",\"x5c\":[\"AA\"],\"jwk\":");
    mint_jwk(&header, evil, "\"kid\":\"rsa\"");
    eb_buf_ch(&header, '}');
    mint_token(&token, header.p, "{}", evil, EB_ALG_RS256);
    assert_int_equal(verify(&token, ALL_ALGS), EB_E_BAD_SIGNATURE);
    mint_token(&token, header.p, "{}", rsa, EB_ALG_RS256);
    assert_int_equal(verify(&token, ALL_ALGS), EB_OK);
    EVP_PKEY_free(evil);
}

static void test_shape(void **state) {
    (void)state;
    static const char *const good[] = {"eyJ.a.b", "eyJhbGciOiJSUzI1NiJ9.eyJ.-_"};
    static const char *const bad[] = {"",          "eyJ",       "eyJ.a",    "eyJ..b",   "eyJ.a.",
                                      "eyJ.a.b.",  "eyJ.a.b.c", ".a.b",     "eyj.a.b",  "abc.a.b",
                                      " eyJ.a.b",  "eyJ.a.b\n", "eyJ.a+.b", "eyJ.a/.b", "eyJ.a=.b",
                                      "eyJ.a b.c", "eyJ....",   "eyJ.é.b"};
    for (size_t i = 0; i < EB_COUNT_OF(good); i++)
        assert_true(eb_jwt_shape(eb_str(good[i])));
    for (size_t i = 0; i < EB_COUNT_OF(bad); i++)
        if (eb_jwt_shape(eb_str(bad[i])))
            fail_msg("%s", bad[i]);
    assert_false(eb_jwt_shape(EB_STR_NONE));
    assert_false(eb_jwt_shape(eb_str_n("eyJ.a\0.b", 8)));
}

static void test_sizes(void **state) {
    (void)state;
    static const struct {
        size_t n;
        enum eb_rc rc;
    } rows[] = {{6 * 1024, EB_OK},
                {EB_JWT_MAX, EB_OK},
                {EB_JWT_MAX + 1, EB_E_TOO_LARGE},
                {64 * 1024, EB_E_TOO_LARGE}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf pad = {0}, token = {0};
        /* grows the claim until the token has exactly that length or one more */
        size_t fill = rows[i].n / 4 * 3 - 290; /* header and signature take about that much */
        do {
            eb_buf_reset(&pad);
            eb_buf_z(&pad, "{\"pad\":\"");
            for (size_t k = 0; k < fill; k++)
                eb_buf_ch(&pad, 'x');
            eb_buf_z(&pad, "\"}");
            mint_token(&token, "{\"alg\":\"RS256\"}", pad.p, rsa, EB_ALG_RS256);
            fill++;
        } while (token.n < rows[i].n);
        if (token.n != rows[i].n && rows[i].rc == EB_OK)
            continue; /* no payload gives this very length */
        EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
        assert_true(eb_jwt_shape(eb_buf_get(&token)));
        assert_int_equal(eb_jwt_read(eb_buf_get(&token), &t, NULL), rows[i].rc);
        if (rows[i].rc == EB_OK)
            assert_int_equal(eb_jwt_verify(&t, set, ALL_ALGS, NULL), EB_OK);
    }
}

/* header . payload . signature, all as given */
static void raw_token(struct eb_buf *b, const char *header, const char *payload) {
    eb_buf_reset(b);
    eb_buf_base64url(b, header, strlen(header));
    eb_buf_ch(b, '.');
    eb_buf_base64url(b, payload, strlen(payload));
    eb_buf_z(b, ".AAAA");
}

static void test_reading(void **state) {
    (void)state;
    static const struct {
        const char *header, *payload;
        enum eb_rc rc;
    } rows[] = {
        {"{\"alg\":\"RS256\"}", "{}", EB_OK},
        {"{\"alg\":\"RS256\",\"kid\":\"a\",\"typ\":\"JWT\",\"cty\":5,\"jku\":1}", "{\"iss\":\"x\"}", EB_OK},
        {" {\"alg\" : \"HS256\"}\n", " {}", EB_OK},
        {"{\"alg\":\"RS256\",\"alg\":\"none\"}", "{}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\",\"kid\":\"a\",\"kid\":\"a\"}", "{}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}", "{\"exp\":1,\"exp\":2}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}", "{\"a\":{\"b\":1,\"b\":1}}", EB_E_MALFORMED},
        {"{}", "{}", EB_E_MALFORMED},
        {"{\"Alg\":\"RS256\"}", "{}", EB_E_MALFORMED},
        {"{\"alg\":5}", "{}", EB_E_MALFORMED},
        {"{\"alg\":null}", "{}", EB_E_MALFORMED},
        {"{\"alg\":[\"RS256\"]}", "{}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\",\"kid\":5}", "{}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\",\"kid\":null}", "{}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\",\"typ\":[]}", "{}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\",\"crit\":[\"exp\"],\"exp\":1}", "{}", EB_E_CRIT_HEADER},
        {"{\"alg\":\"RS256\",\"crit\":[]}", "{}", EB_E_CRIT_HEADER},
        {"{\"alg\":\"RS256\",\"crit\":null}", "{}", EB_E_CRIT_HEADER},
        {"{\"alg\":\"RS256\",\"b64\":false,\"crit\":[\"b64\"]}", "{}", EB_E_CRIT_HEADER},
        {"{\"alg\":\"RS256\",\"b64\":true}", "{}", EB_E_CRIT_HEADER},
        {"[\"alg\"]", "{}", EB_E_MALFORMED},
        {"\"alg\"", "{}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"", "{}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}x", "{}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}{}", "{}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\",\"kid\":\"a\\u0000b\"}", "{}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\",\"kid\":\"\xff\"}", "{}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}", "", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}", "foo", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}", "[]", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}", "12", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}", "{\"iss\":5}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}", "{\"iss\":\"a\\u0000\"}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}", "{\"n\":123456789012345678901234567890}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}", "{\"n\":1e999}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}", "{\"n\":NaN}", EB_E_MALFORMED},
        {"{\"alg\":\"RS256\"}",
         "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", EB_E_MALFORMED},
    };
    eb_auto_buf struct eb_buf token = {0};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        raw_token(&token, rows[i].header, rows[i].payload);
        EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
        struct eb_err err = {0};
        enum eb_rc rc = eb_jwt_read(eb_buf_get(&token), &t, &err);
        if (rc != rows[i].rc || err.rc != rc)
            fail_msg("row %zu: %s %s", i, eb_rc_name(rc), err.text);
    }
    raw_token(&token, "{\"alg\":\"ES256\",\"kid\":\"a\",\"typ\":\"at+jwt\"}", "{\"iss\":\"me\"}");
    EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
    assert_int_equal(eb_jwt_read(eb_buf_get(&token), &t, NULL), EB_OK);
    assert_true(eb_str_eqz(t.kid, "a") && eb_str_eqz(t.typ, "at+jwt") && eb_str_eqz(t.iss, "me") &&
                eb_str_eqz(t.alg_name, "ES256"));
    assert_int_equal(t.alg, EB_ALG_ES256);
    assert_int_equal(t.sig_n, 3);
}

/* Spellings of base64url and of the three pieces. */
static void test_pieces(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        ".",
        "..",
        "...",
        "eyJhbGciOiJFUzI1NiJ9",
        "eyJhbGciOiJFUzI1NiJ9.e30",
        "eyJhbGciOiJFUzI1NiJ9.e30.",
        ".e30.AAAA",
        "eyJhbGciOiJFUzI1NiJ9..AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e30.AAAA.",
        "eyJhbGciOiJFUzI1NiJ9.e30.AAAA.AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e30.AAA=",
        "eyJhbGciOiJFUzI1NiJ9.e30=.AAAA",
        "eyJhbGciOiJFUzI1NiJ9=.e30.AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e30.AA A",
        "eyJhbGciOiJFUzI1NiJ9.e30.AA\nA",
        " eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e30.AAAA ",
        "eyJhbGciOiJFUzI1NiJ9.e30.AB", /* spare bits set */
        "eyJhbGciOiJFUzI1NiJ9.e31.AAAA",
        "eyJhbGciOiJFUzI1NiJ9.e30.A",
        "eyJhbGciOiJFUzI1NiJ9.e30.AA+A",
        "eyJhbGciOiJFUzI1NiJ9.e30.AA/A",
        "{\"payload\":\"e30\",\"protected\":\"eyJhbGciOiJFUzI1NiJ9\",\"signature\":\"AAAA\"}",
    };
    for (size_t i = 0; i < EB_COUNT_OF(bad); i++) {
        struct eb_jwt t;
        if (eb_jwt_read(eb_str(bad[i]), &t, NULL) != EB_E_MALFORMED)
            fail_msg("%s", bad[i]);
    }
    struct eb_jwt t;
    assert_int_equal(eb_jwt_read(EB_STR_NONE, &t, NULL), EB_E_MALFORMED);
    assert_int_equal(eb_jwt_read(eb_str_n("eyJhbGciOiJFUzI1NiJ9.e30.AA\0A", 29), &t, NULL), EB_E_MALFORMED);
    assert_int_equal(eb_jwt_read(EB_STR("eyJhbGciOiJFUzI1NiJ9.e30.AAAA"), &t, NULL), EB_OK);
    eb_jwt_done(&t);
    eb_jwt_done(&t);
}

static const struct eb_str audiences[] = {{"bus", 3}, {"other", 5}};
static const struct eb_jwt_rules rules = {{"me", 2}, audiences, 2, false};

static enum eb_rc check(const char *header, const char *claims, const struct eb_jwt_rules *r,
                        int64_t *ret_exp) {
    eb_auto_buf struct eb_buf token = {0};
    raw_token(&token, header, claims);
    EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
    struct eb_err err = {0};
    assert_int_equal(eb_jwt_read(eb_buf_get(&token), &t, &err), EB_OK);
    enum eb_rc rc = eb_jwt_check(&t, r, NOW, ret_exp, &err);
    assert_int_equal(err.rc, rc);
    return rc;
}

static void test_claims(void **state) {
    (void)state;
#define BASE "\"iss\":\"me\",\"aud\":\"bus\""
#define GOOD BASE ",\"exp\":1700000100"
    static const struct {
        const char *claims;
        enum eb_rc rc;
        int64_t exp;
    } rows[] = {
        {"{" GOOD "}", EB_OK, 1700000100},
        {"{" BASE ",\"exp\":1700000001}", EB_OK, 1700000001},
        {"{" BASE ",\"exp\":1700000001.9}", EB_OK, 1700000001},
        {"{" BASE ",\"exp\":1.7000001e9}", EB_OK, 1700000100},
        {"{" BASE ",\"exp\":9007199254740992}", EB_OK, 9007199254740992},
        {"{" BASE ",\"exp\":1700000000}", EB_E_EXPIRED, 0},
        {"{" BASE ",\"exp\":1700000000.9}", EB_E_EXPIRED, 0},
        {"{" BASE ",\"exp\":1699999999}", EB_E_EXPIRED, 0},
        {"{" BASE ",\"exp\":0}", EB_E_EXPIRED, 0},
        {"{" BASE "}", EB_E_MISSING_CLAIM, 0},
        {"{" BASE ",\"exp\":\"1700000100\"}", EB_E_MALFORMED, 0},
        {"{" BASE ",\"exp\":null}", EB_E_MALFORMED, 0},
        {"{" BASE ",\"exp\":true}", EB_E_MALFORMED, 0},
        {"{" BASE ",\"exp\":-1}", EB_E_MALFORMED, 0},
        {"{" BASE ",\"exp\":-1.5}", EB_E_MALFORMED, 0},
        {"{" BASE ",\"exp\":1e300}", EB_E_MALFORMED, 0},
        {"{" BASE ",\"exp\":1e18}", EB_E_MALFORMED, 0},
        {"{" BASE ",\"exp\":9223372036854775807}", EB_E_MALFORMED, 0},
        {"{" BASE ",\"exp\":9007199254740993}", EB_E_MALFORMED, 0},
        {"{" GOOD ",\"nbf\":1700000005}", EB_OK, 1700000100},
        {"{" GOOD ",\"nbf\":1700000006}", EB_E_NOT_YET_VALID, 0},
        {"{" GOOD ",\"iat\":1700000005}", EB_OK, 1700000100},
        {"{" GOOD ",\"iat\":1700000006}", EB_E_NOT_YET_VALID, 0},
        {"{" GOOD ",\"iat\":1699999999.5,\"nbf\":0}", EB_OK, 1700000100},
        {"{" GOOD ",\"nbf\":\"0\"}", EB_E_MALFORMED, 0},
        {"{" GOOD ",\"iat\":[]}", EB_E_MALFORMED, 0},
        {"{" GOOD ",\"nbf\":9223372036854775807}", EB_E_MALFORMED, 0},
        {"{" GOOD ",\"iat\":-1}", EB_E_MALFORMED, 0},
        {"{\"iss\":\"me\",\"exp\":1700000100,\"aud\":[\"x\",\"other\"]}", EB_OK, 1700000100},
        {"{\"iss\":\"me\",\"exp\":1700000100,\"aud\":[\"x\",\"Bus\"]}", EB_E_WRONG_AUDIENCE, 0},
        {"{\"iss\":\"me\",\"exp\":1700000100,\"aud\":\"bus \"}", EB_E_WRONG_AUDIENCE, 0},
        {"{\"iss\":\"me\",\"exp\":1700000100,\"aud\":\"\"}", EB_E_WRONG_AUDIENCE, 0},
        {"{\"iss\":\"me\",\"exp\":1700000100,\"aud\":[]}", EB_E_WRONG_AUDIENCE, 0},
        {"{\"iss\":\"me\",\"exp\":1700000100,\"aud\":[\"bus\",5]}", EB_E_MALFORMED, 0},
        {"{\"iss\":\"me\",\"exp\":1700000100,\"aud\":[null,\"bus\"]}", EB_E_MALFORMED, 0},
        {"{\"iss\":\"me\",\"exp\":1700000100,\"aud\":{\"bus\":1}}", EB_E_MALFORMED, 0},
        {"{\"iss\":\"me\",\"exp\":1700000100,\"aud\":null}", EB_E_MALFORMED, 0},
        {"{\"iss\":\"me\",\"exp\":1700000100}", EB_E_MISSING_CLAIM, 0},
        {"{\"iss\":\"me \",\"exp\":1700000100,\"aud\":\"bus\"}", EB_E_WRONG_ISSUER, 0},
        {"{\"iss\":\"Me\",\"exp\":1700000100,\"aud\":\"bus\"}", EB_E_WRONG_ISSUER, 0},
        {"{\"iss\":\"\",\"exp\":1700000100,\"aud\":\"bus\"}", EB_E_WRONG_ISSUER, 0},
        {"{\"exp\":1700000100,\"aud\":\"bus\"}", EB_E_MISSING_CLAIM, 0},
        /* ID tokens and others */
        {"{" GOOD ",\"nonce\":\"n\"}", EB_E_ID_TOKEN, 0},
        {"{" GOOD ",\"at_hash\":\"h\"}", EB_E_ID_TOKEN, 0},
        {"{" GOOD ",\"c_hash\":\"h\"}", EB_E_ID_TOKEN, 0},
        {"{" GOOD ",\"typ\":\"ID\"}", EB_E_ID_TOKEN, 0},
        {"{" GOOD ",\"token_use\":\"id\"}", EB_E_ID_TOKEN, 0},
        {"{" GOOD ",\"typ\":\"Bearer\",\"nonce\":\"n\"}", EB_OK, 1700000100},
        {"{" GOOD ",\"typ\":\"Bearer\",\"at_hash\":\"n\"}", EB_E_ID_TOKEN, 0},
        {"{" GOOD ",\"typ\":\"Refresh\"}", EB_E_TOKEN_TYPE, 0},
        {"{" GOOD ",\"typ\":\"Offline\"}", EB_E_TOKEN_TYPE, 0},
        {"{" GOOD ",\"typ\":\"Logout\"}", EB_E_TOKEN_TYPE, 0},
        {"{" GOOD ",\"token_use\":\"refresh\"}", EB_E_TOKEN_TYPE, 0},
        {"{" GOOD ",\"token_use\":\"access\",\"typ\":\"own kind\"}", EB_OK, 1700000100},
        {"{" GOOD ",\"events\":{\"http://schemas.openid.net/event/backchannel-logout\":{}}}", EB_E_TOKEN_TYPE,
         0},
        {"{" GOOD ",\"events\":[\"fire\"]}", EB_OK, 1700000100},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        int64_t exp = -7;
        enum eb_rc rc = check("{\"alg\":\"RS256\"}", rows[i].claims, &rules, &exp);
        if (rc != rows[i].rc)
            fail_msg("row %zu: %s: %s", i, eb_rc_name(rc), rows[i].claims);
        assert_int_equal(exp, rc == EB_OK ? rows[i].exp : -7);
    }
    /* audiences not asked for: still well-formed */
    const struct eb_jwt_rules open = {{"me", 2}, NULL, 0, false}, nobody = {EB_STR_NONE, NULL, 0, false},
                              empty = {{"", 0}, NULL, 0, false}, none = {{"me", 2}, NULL, 0, true};
    int64_t exp;
    assert_int_equal(check("{\"alg\":\"RS256\"}", "{\"iss\":\"me\",\"exp\":1700000100}", &open, &exp), EB_OK);
    assert_int_equal(
        check("{\"alg\":\"RS256\"}", "{\"iss\":\"me\",\"exp\":1700000100,\"aud\":7}", &open, &exp),
        EB_E_MALFORMED);
    /* a provider that writes none: one that has it is not its access token */
    assert_int_equal(check("{\"alg\":\"RS256\"}", "{\"iss\":\"me\",\"exp\":1700000100}", &none, &exp), EB_OK);
    static const char *const audiences_there[] = {"\"a\"", "[]", "null", "\"\""};
    for (size_t i = 0; i < EB_COUNT_OF(audiences_there); i++) {
        char claims[100];
        (void)snprintf(claims, sizeof claims, "{\"iss\":\"me\",\"exp\":1700000100,\"aud\":%s}",
                       audiences_there[i]);
        assert_int_equal(check("{\"alg\":\"RS256\"}", claims, &none, &exp), EB_E_WRONG_AUDIENCE);
    }
    assert_int_equal(check("{\"alg\":\"RS256\"}", "{" GOOD "}", &nobody, &exp), EB_E_WRONG_ISSUER);
    assert_int_equal(check("{\"alg\":\"RS256\"}", "{" GOOD "}", &empty, &exp), EB_E_WRONG_ISSUER);
    assert_int_equal(check("{\"alg\":\"RS256\"}", "{\"iss\":\"\",\"exp\":1700000100}", &nobody, &exp),
                     EB_E_WRONG_ISSUER);
}

static void test_header_typ(void **state) {
    (void)state;
    static const struct {
        const char *typ;
        enum eb_rc rc, with_nonce;
    } rows[] = {
        {"JWT", EB_OK, EB_E_ID_TOKEN},
        {"jwt", EB_OK, EB_E_ID_TOKEN},
        {"application/jwt", EB_OK, EB_E_ID_TOKEN},
        {"at+jwt", EB_OK, EB_OK},
        {"AT+JWT", EB_OK, EB_OK},
        {"application/at+jwt", EB_OK, EB_OK},
        {"", EB_E_TOKEN_TYPE, EB_E_TOKEN_TYPE},
        {"JOSE", EB_E_TOKEN_TYPE, EB_E_TOKEN_TYPE},
        {"dpop+jwt", EB_E_TOKEN_TYPE, EB_E_TOKEN_TYPE},
        {"logout+jwt", EB_E_TOKEN_TYPE, EB_E_TOKEN_TYPE},
        {"secevent+jwt", EB_E_TOKEN_TYPE, EB_E_TOKEN_TYPE},
        {"at+jwtx", EB_E_TOKEN_TYPE, EB_E_TOKEN_TYPE},
        {"at+jw", EB_E_TOKEN_TYPE, EB_E_TOKEN_TYPE},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        char header[128];
        int64_t exp;
        (void)snprintf(header, sizeof header, "{\"alg\":\"RS256\",\"typ\":\"%s\"}", rows[i].typ);
        assert_int_equal(check(header, "{" GOOD "}", &rules, &exp), rows[i].rc);
        assert_int_equal(check(header, "{" GOOD ",\"nonce\":\"1\"}", &rules, &exp), rows[i].with_nonce);
    }
    /* a payload that was not read as claims */
    struct eb_jwt t;
    int64_t exp;
    assert_int_equal(eb_jws_read(EB_STR("eyJhbGciOiJFUzI1NiJ9..AAAA"), &t, NULL), EB_OK);
    assert_int_equal(t.payload.n, 0);
    assert_int_equal(eb_jwt_check(&t, &rules, NOW, &exp, NULL), EB_E_MALFORMED);
    static const struct eb_str scope[] = {{"scope", 5}};
    struct eb_str client = EB_STR("before");
    assert_int_equal(eb_jwt_check_scope(&t, scope, 1, EB_STR("x"), NULL), EB_E_MISSING_SCOPE);
    assert_int_equal(eb_jwt_first_claim(&t, scope, 1, &client, NULL), EB_OK);
    assert_null(client.p);
    eb_jwt_done(&t);
}

/* Names separated by commas. */
static size_t names_of(const char *list, struct eb_str to[8]) {
    size_t n = 0;
    struct eb_str rest = eb_str(list);
    while (rest.p && n < 8 && *list)
        to[n++] = eb_str_cut(&rest, ',');
    return n;
}

static void test_scopes(void **state) {
    (void)state;
    static const struct {
        const char *names, *claims, *scope;
        enum eb_rc rc;
    } rows[] = {
        {"scope,scp,scopes", "{\"scope\":\"openid mqtt\"}", "mqtt", EB_OK},
        {"scope,scp,scopes", "{\"scope\":\"mqtt\"}", "mqtt", EB_OK},
        {"scope,scp,scopes", "{\"scope\":\"  mqtt \"}", "mqtt", EB_OK},
        {"scope,scp,scopes", "{\"scope\":\"mqtt2 xmqtt\"}", "mqtt", EB_E_MISSING_SCOPE},
        {"scope,scp,scopes", "{\"scope\":\"MQTT\"}", "mqtt", EB_E_MISSING_SCOPE},
        {"scope,scp,scopes", "{\"scope\":\"openid mqtt\"}", "openid mqtt", EB_E_MISSING_SCOPE},
        {"scope,scp,scopes", "{\"scope\":\"\"}", "", EB_E_MISSING_SCOPE},
        {"scope,scp,scopes", "{\"scope\":5}", "mqtt", EB_E_MALFORMED},
        {"scope,scp,scopes", "{\"scope\":null,\"scp\":\"mqtt\"}", "mqtt", EB_E_MALFORMED},
        {"scope,scp,scopes", "{}", "mqtt", EB_E_MISSING_SCOPE},
        {"scope,scp,scopes", "{\"scp\":\"a mqtt\"}", "mqtt", EB_OK},
        {"scope,scp,scopes", "{\"scp\":[\"a\",\"mqtt\"]}", "mqtt", EB_OK},
        {"scope,scp,scopes", "{\"scp\":[\"a mqtt\"]}", "mqtt", EB_E_MISSING_SCOPE},
        {"scope,scp,scopes", "{\"scp\":[1,null,\"mqtt\"]}", "mqtt", EB_E_MALFORMED},
        {"scope,scp,scopes", "{\"scp\":[\"mqtt\",1]}", "mqtt", EB_E_MALFORMED},
        {"scope,scp,scopes", "{\"scopes\":[\"mqtt\"]}", "mqtt", EB_OK},
        {"scope,scp,scopes", "{\"scopes\":{\"mqtt\":true}}", "mqtt", EB_E_MALFORMED},
        {"scope,scp,scopes", "{\"scopes\":[[\"mqtt\"]]}", "mqtt", EB_E_MALFORMED},
        /* the first that is there counts, and none behind it */
        {"scope,scp,scopes", "{\"scope\":\"a\",\"scp\":[\"b\"],\"scopes\":\"mqtt\"}", "mqtt",
         EB_E_MISSING_SCOPE},
        {"scopes,scope", "{\"scope\":\"a\",\"scp\":[\"b\"],\"scopes\":\"mqtt\"}", "mqtt", EB_OK},
        /* what is not named is not looked at */
        {"roles", "{\"scope\":\"mqtt\",\"roles\":[\"x\"]}", "mqtt", EB_E_MISSING_SCOPE},
        {"roles", "{\"scope\":\"mqtt\"}", "mqtt", EB_E_MISSING_SCOPE},
        {"roles", "{\"roles\":[\"x\",\"mqtt\"]}", "mqtt", EB_OK},
        {"", "{\"scope\":\"mqtt\"}", "mqtt", EB_E_MISSING_SCOPE},
    };
    eb_auto_buf struct eb_buf token = {0};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        raw_token(&token, "{\"alg\":\"RS256\"}", rows[i].claims);
        EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
        assert_int_equal(eb_jwt_read(eb_buf_get(&token), &t, NULL), EB_OK);
        struct eb_str names[8];
        size_t n = names_of(rows[i].names, names);
        enum eb_rc rc = eb_jwt_check_scope(&t, names, n, eb_str(rows[i].scope), NULL);
        if (rc != rows[i].rc)
            fail_msg("row %zu: %s", i, eb_rc_name(rc));
    }
}

static void test_first_claim(void **state) {
    (void)state;
    static const struct {
        const char *names, *claims, *wanted; /* NULL: none there */
        enum eb_rc rc;
    } rows[] = {
        {"azp", "{\"azp\":\"a\",\"client_id\":\"b\"}", "a", EB_OK},
        {"client_id", "{\"azp\":\"a\",\"client_id\":\"b\"}", "b", EB_OK},
        {"cid,azp", "{\"azp\":\"a\"}", "a", EB_OK},
        {"cid,azp", "{\"azp\":\"a\",\"cid\":\"c\"}", "c", EB_OK},
        {"azp", "{\"client_id\":\"b\"}", NULL, EB_OK},
        {"", "{\"azp\":\"a\"}", NULL, EB_OK},
        {"az", "{\"azp\":\"a\"}", NULL, EB_OK},
        {"azp,client_id", "{\"azp\":\"\",\"client_id\":\"b\"}", NULL, EB_E_MALFORMED},
        {"azp,client_id", "{\"azp\":null,\"client_id\":\"b\"}", NULL, EB_E_MALFORMED},
        {"azp,client_id", "{\"azp\":[\"a\"],\"client_id\":\"b\"}", NULL, EB_E_MALFORMED},
        {"azp", "{\"azp\":7}", NULL, EB_E_MALFORMED},
        {"client_id,azp", "{\"azp\":7,\"client_id\":\"b\"}", "b", EB_OK},
    };
    eb_auto_buf struct eb_buf token = {0};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        raw_token(&token, "{\"alg\":\"RS256\"}", rows[i].claims);
        EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
        assert_int_equal(eb_jwt_read(eb_buf_get(&token), &t, NULL), EB_OK);
        struct eb_str names[8], got = EB_STR_NONE;
        enum eb_rc rc = eb_jwt_first_claim(&t, names, names_of(rows[i].names, names), &got, NULL);
        if (rc != rows[i].rc || (rows[i].wanted ? !eb_str_eqz(got, rows[i].wanted) : got.p != NULL))
            fail_msg("row %zu: %s, %.*s", i, eb_rc_name(rc), EB_STR_ARG(got));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_vectors),     cmocka_unit_test(test_every_alg),
        cmocka_unit_test(test_alg_confusion),   cmocka_unit_test(test_pss_salt),
        cmocka_unit_test(test_signature_forms), cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_header_keys),     cmocka_unit_test(test_shape),
        cmocka_unit_test(test_sizes),           cmocka_unit_test(test_reading),
        cmocka_unit_test(test_pieces),          cmocka_unit_test(test_claims),
        cmocka_unit_test(test_header_typ),      cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_first_claim),
    };
    return cmocka_run_group_tests_name("jwt", tests, make_keys, free_keys);
}
