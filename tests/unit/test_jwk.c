#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "jose/jose.h"
#include "mint.h"

/* RFC 7515 A.2, A.3; RFC 8037 A.2. */
#define RSA_N                                                                                                \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-" \
    "SFd2l"                                                                                                  \
    "ZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"     \
    "UTo7WTBEM"                                                                                              \
    "a2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"                     \
    "h9iaGNj8q2ethFkMLs91kzk2P"                                                                              \
    "AcDTW9gb54h4FRWyuXpoQ"
#define RSA_KEY "\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\""
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define EC_KEY "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""
#define ED_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define ED_KEY "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\""

static void test_alg_names(void **state) {
    (void)state;
    static const char *const names[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                        "PS512", "ES256", "ES384", "ES512", "EdDSA"};
    for (size_t i = 0; i < EB_COUNT_OF(names); i++) {
        enum eb_alg alg = eb_alg_parse(eb_str(names[i]));
        assert_int_equal(alg, i + 1);
        assert_string_equal(eb_alg_name(alg), names[i]);
        assert_int_not_equal(eb_alg_kty(alg), EB_KTY_NONE);
    }
    static const char *const others[] = {
        "",       "none", "None",   "NONE",   "nOnE",  "HS256", "HS384", "HS512",   "rs256",    "RS256 ",
        " RS256", "RS25", "RS2566", "ES256K", "ES521", "eddsa", "EDDSA", "Ed25519", "RSA-OAEP", "RSA1_5"};
    for (size_t i = 0; i < EB_COUNT_OF(others); i++)
        assert_int_equal(eb_alg_parse(eb_str(others[i])), EB_ALG_NONE);
    assert_int_equal(eb_alg_parse(eb_str_n("RS256\0", 6)), EB_ALG_NONE);
    assert_int_equal(eb_alg_parse(EB_STR_NONE), EB_ALG_NONE);
}

static enum eb_rc read_key(const char *json, struct eb_jwk **ret, struct eb_err *err) {
    json_t *obj = json_loads(json, 0, NULL);
    assert_non_null(obj);
    enum eb_rc rc = eb_jwk_read(obj, ret, err);
    json_decref(obj);
    return rc;
}

static void test_good_keys(void **state) {
    (void)state;
    static const struct {
        const char *json;
        unsigned fits;
    } rows[] = {
        {"{" RSA_KEY "}", EB_ALG_BIT(EB_ALG_RS256) | EB_ALG_BIT(EB_ALG_RS384) | EB_ALG_BIT(EB_ALG_RS512) |
                              EB_ALG_BIT(EB_ALG_PS256) | EB_ALG_BIT(EB_ALG_PS384) | EB_ALG_BIT(EB_ALG_PS512)},
        {"{" RSA_KEY ",\"alg\":\"PS384\",\"use\":\"sig\"}", EB_ALG_BIT(EB_ALG_PS384)},
        {"{" RSA_KEY ",\"key_ops\":[\"sign\",\"verify\"],\"x5c\":[\"AAAA\"],\"d\":12,\"oth\":[]}", 0x7e},
        /* leading zero byte of a big integer of Java */
        {"{\"kty\":\"RSA\",\"e\":\"AAEAAQ\",\"n\":\"" RSA_N "\"}", 0x7e},
        {"{\"kty\":\"RSA\",\"e\":\"Aw\",\"n\":\"" RSA_N "\"}", 0x7e},
        {"{" EC_KEY "}", EB_ALG_BIT(EB_ALG_ES256)},
        {"{" EC_KEY ",\"alg\":\"ES256\"}", EB_ALG_BIT(EB_ALG_ES256)},
        {"{" ED_KEY "}", EB_ALG_BIT(EB_ALG_EDDSA)},
        {"{" ED_KEY ",\"alg\":\"EdDSA\",\"use\":\"sig\",\"key_ops\":[\"verify\"]}", EB_ALG_BIT(EB_ALG_EDDSA)},
        {"{" RSA_KEY ",\"alg\":\"PS384\",\"use\":\"jwt-svid\"}", EB_ALG_BIT(EB_ALG_PS384)},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(eb_jwk_freep) struct eb_jwk *k = NULL;
        struct eb_err err = {0};
        enum eb_rc rc = read_key(rows[i].json, &k, &err);
        if (rc != EB_OK)
            fail_msg("row %zu: %s", i, err.text);
        for (enum eb_alg a = EB_ALG_NONE; a < EB_ALG_MAX_; a++)
            assert_int_equal(eb_jwk_fits(k, a), (rows[i].fits & EB_ALG_BIT(a)) != 0);
        assert_null(eb_jwk_kid(k).p);
    }
}

#define RSA_E(e) "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":" e "}"
#define EC_AS(crv, x, y) "{\"kty\":\"EC\",\"crv\":\"" crv "\",\"x\":\"" x "\",\"y\":\"" y "\"}"
#define OKP_AS(crv, x) "{\"kty\":\"OKP\",\"crv\":\"" crv "\",\"x\":\"" x "\"}"
#define ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void test_bad_keys(void **state) {
    (void)state;
    static const char *const rows[] = {
        "{}",
        "{\"kty\":12}",
        "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "{\"kty\":\"rsa\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\"}",
        "{\"kty\":\"RSA\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"n\":\"" RSA_N "==\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        /* exponents: none, 0, 1, 2, 2^32 + 1, longer, a number of JSON */
        RSA_E("\"\""),
        RSA_E("\"AA\""),
        RSA_E("\"AQ\""),
        RSA_E("\"Ag\""),
        RSA_E("\"AQAAAAE\""),
        RSA_E("\"AQAAAAAAAAE\""),
        RSA_E("65537"),
        "{" RSA_KEY ",\"use\":\"enc\"}",
        "{" RSA_KEY ",\"use\":\"Sig\"}",
        "{" RSA_KEY ",\"use\":\"x509-svid\"}",
        "{" RSA_KEY ",\"use\":[\"sig\"]}",
        "{" RSA_KEY ",\"key_ops\":[\"encrypt\"]}",
        "{" RSA_KEY ",\"key_ops\":[]}",
        "{" RSA_KEY ",\"key_ops\":\"verify\"}",
        "{" RSA_KEY ",\"key_ops\":[7,null]}",
        "{" RSA_KEY ",\"alg\":\"RSA-OAEP\"}",
        "{" RSA_KEY ",\"alg\":\"ES256\"}",
        "{" RSA_KEY ",\"alg\":\"HS256\"}",
        "{" RSA_KEY ",\"alg\":\"none\"}",
        "{" RSA_KEY ",\"alg\":\"rs256\"}",
        "{" RSA_KEY ",\"alg\":5}",
        "{" RSA_KEY ",\"kid\":5}",
        /* an unknown curve, another one, a point off the curve, coordinates that are too long, too short,
           zero */
        EC_AS("secp256k1", EC_X, EC_Y),
        EC_AS("P-384", EC_X, EC_Y),
        EC_AS("P-256", EC_Y, EC_X),
        EC_AS("P-256", "AA" EC_X, EC_Y),
        EC_AS("P-256", "AA", "AA"),
        EC_AS("P-256", ZEROS "A", ZEROS "A"),
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}",
        "{" EC_KEY ",\"alg\":\"ES384\"}",
        "{" EC_KEY ",\"alg\":\"RS256\"}",
        /* other curves, points of small order, a short one */
        OKP_AS("X25519", ED_X),
        OKP_AS("Ed448", ED_X),
        OKP_AS("Ed25519", ZEROS "A"),
        OKP_AS("Ed25519", "AQ"
                          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        OKP_AS("Ed25519", "11qYAYKx"),
        "{" ED_KEY ",\"alg\":\"ES256\"}",
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        struct eb_jwk *k = NULL;
        struct eb_err err = {0};
        if (read_key(rows[i], &k, &err) != EB_E_BAD_KEY)
            fail_msg("row %zu was not refused: %.80s", i, rows[i]);
        assert_null(k);
        assert_true(err.text[0]);
    }
}

static void test_rsa_sizes(void **state) {
    (void)state;
    static const struct {
        size_t bytes;
        enum eb_rc rc;
    } rows[] = {{255, EB_E_BAD_KEY}, {256, EB_OK}, {1024, EB_OK}, {1025, EB_E_BAD_KEY}, {4000, EB_E_BAD_KEY}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        unsigned char n[4000];
        memset(n, 0xff,
               sizeof n); /* odd; whether it is a product of two primes is not asked of a public key */
        eb_auto_buf struct eb_buf b = {0};
        eb_buf_z(&b, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
        eb_buf_base64url(&b, n, rows[i].bytes);
        eb_buf_z(&b, "\"}");
        struct eb_jwk *k = NULL;
        assert_int_equal(read_key(b.p, &k, NULL), rows[i].rc);
        eb_jwk_free(k);
    }
    /* even modulus */
    char even[] = "{" RSA_KEY "}";
    *(strstr(even, "yuXpoQ") + 5) = 'A';
    struct eb_jwk *k = NULL;
    assert_int_equal(read_key(even, &k, NULL), EB_E_BAD_KEY);
}

static void test_sets(void **state) {
    (void)state;
    static const struct {
        const char *json;
        enum eb_rc rc;
        size_t usable, skipped;
    } rows[] = {
        {"{\"keys\":[{" RSA_KEY "}]}", EB_OK, 1, 0},
        {"{\"keys\":[{" RSA_KEY ",\"kid\":\"a\"},{" EC_KEY ",\"kid\":\"a\"},{" ED_KEY "}],\"more\":1}", EB_OK,
         3, 0},
        {"{\"keys\":[{" RSA_KEY ",\"use\":\"enc\"},{\"kty\":\"oct\",\"k\":\"AA\"},{" EC_KEY "},{}]}", EB_OK,
         1, 3},
        {"{\"keys\":[]}", EB_E_KEYS_UNAVAILABLE, 0, 0},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}", EB_E_KEYS_UNAVAILABLE, 0, 1},
        {"{\"keys\":[{" RSA_KEY "},5]}", EB_E_MALFORMED, 0, 0},
        {"{\"keys\":[{" RSA_KEY "},null]}", EB_E_MALFORMED, 0, 0},
        {"{\"keys\":{" RSA_KEY "}}", EB_E_MALFORMED, 0, 0},
        {"{" RSA_KEY "}", EB_E_MALFORMED, 0, 0},
        {"[{" RSA_KEY "}]", EB_E_MALFORMED, 0, 0},
        {"{\"keys\":[{" RSA_KEY "}]}x", EB_E_MALFORMED, 0, 0},
        {"{\"keys\":[{" RSA_KEY "}],\"keys\":[]}", EB_E_MALFORMED, 0, 0},
        {"{\"keys\":[{" RSA_KEY ",\"kty\":\"RSA\"}]}", EB_E_MALFORMED, 0, 0},
        {"{\"keys\":[{" RSA_KEY, EB_E_MALFORMED, 0, 0},
        {"", EB_E_MALFORMED, 0, 0},
        {"<html>", EB_E_MALFORMED, 0, 0},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(eb_jwks_unrefp) struct eb_jwks *set = NULL;
        struct eb_jwks_info info = {99, 99};
        struct eb_err err = {0};
        enum eb_rc rc = eb_jwks_read(eb_str(rows[i].json), &set, &info, &err);
        if (rc != rows[i].rc)
            fail_msg("row %zu: %s %s", i, eb_rc_name(rc), err.text);
        assert_int_equal(err.rc, rc);
        if (rc != EB_E_MALFORMED) {
            assert_int_equal(info.usable, rows[i].usable);
            assert_int_equal(info.skipped, rows[i].skipped);
        }
        if (rc == EB_OK)
            assert_int_equal(eb_jwks_count(set), rows[i].usable);
        else
            assert_null(set);
    }
}

static void test_kids(void **state) {
    (void)state;
    EB_CLEANUP(eb_jwks_unrefp) struct eb_jwks *set = NULL;
    assert_int_equal(eb_jwks_read(EB_STR("{\"keys\":[{" RSA_KEY ",\"kid\":\"a\"},{" EC_KEY
                                         "},{\"kty\":\"oct\",\"kid\":\"mac\"},"
                                         "{" ED_KEY ",\"kid\":\"\"}]}"),
                                  &set, NULL, NULL),
                     EB_OK);
    assert_true(eb_jwks_has_kid(set, EB_STR("a")));
    assert_true(
        eb_jwks_has_kid(set, EB_STR("mac"))); /* skipped, but asking the provider again would not help */
    assert_true(eb_jwks_has_kid(set, EB_STR("")));
    assert_false(eb_jwks_has_kid(set, EB_STR("A")));
    assert_false(eb_jwks_has_kid(set, EB_STR("ab")));
    assert_false(eb_jwks_has_kid(set, EB_STR_NONE));
    struct eb_jwks *again = eb_jwks_ref(set);
    assert_ptr_equal(again, set);
    eb_jwks_unref(again);
    assert_int_equal(eb_jwks_count(set), 3);
    eb_jwks_unref(NULL);
}

static void test_limits(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_z(&b, "{\"keys\":[");
    for (size_t i = 0; i < EB_JWKS_KEYS + 300; i++)
        eb_buf_printf(&b, "%s{" ED_KEY ",\"kid\":\"k%zu\"}", i ? "," : "", i);
    eb_buf_z(&b, "]}");
    EB_CLEANUP(eb_jwks_unrefp) struct eb_jwks *set = NULL;
    struct eb_jwks_info info;
    assert_int_equal(eb_jwks_read(eb_buf_get(&b), &set, &info, NULL), EB_OK);
    assert_int_equal(info.usable, EB_JWKS_KEYS);
    assert_int_equal(info.skipped, 300);
    assert_true(eb_jwks_has_kid(set, EB_STR("k255")));

    eb_buf_reset(&b);
    eb_buf_z(&b, "{\"keys\":[{" ED_KEY "}]}");
    while (b.n <= EB_JWKS_MAX)
        eb_buf_ch(&b, ' ');
    struct eb_jwks *large = NULL;
    assert_int_equal(eb_jwks_read(eb_buf_get(&b), &large, NULL, NULL), EB_E_TOO_LARGE);
    b.n = EB_JWKS_MAX;
    assert_int_equal(eb_jwks_read(eb_buf_get(&b), &large, NULL, NULL), EB_OK);
    eb_jwks_unref(large);

    /* kids of 256 and 257 bytes */
    for (size_t n = EB_KID_MAX; n <= EB_KID_MAX + 1; n++) {
        eb_buf_reset(&b);
        eb_buf_z(&b, "{" ED_KEY ",\"kid\":\"");
        for (size_t i = 0; i < n; i++)
            eb_buf_ch(&b, 'k');
        eb_buf_z(&b, "\"}");
        struct eb_jwk *k = NULL;
        assert_int_equal(read_key(b.p, &k, NULL), n == EB_KID_MAX ? EB_OK : EB_E_BAD_KEY);
        eb_jwk_free(k);
    }
}

/* Contexts are lent to several threads at once, and a bad signature leaves none behind that misbehaves. */
struct shared {
    struct eb_jwk *k;
    struct eb_str text, sig;
    unsigned wrong;
};

static void *verify_often(void *arg) {
    struct shared *s = arg;
    unsigned char bad[EB_SIG_MAX];
    unsigned wrong = 0;
    for (unsigned i = 0; i < 300; i++) {
        memcpy(bad, s->sig.p, s->sig.n);
        bad[i % s->sig.n] ^= (unsigned char)(1u << i % 8);
        wrong +=
            eb_jwk_verify(s->k, EB_ALG_PS256, s->text, eb_str_n(bad, s->sig.n), NULL) != EB_E_BAD_SIGNATURE;
        wrong += eb_jwk_verify(s->k, EB_ALG_PS256, s->text, s->sig, NULL) != EB_OK;
        wrong += eb_jwk_verify(s->k, EB_ALG_RS256, s->text, s->sig, NULL) != EB_E_BAD_SIGNATURE;
    }
    __atomic_add_fetch(&s->wrong, wrong, __ATOMIC_RELAXED);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    EVP_PKEY *key = mint_key("RSA", 2048);
    eb_auto_buf struct eb_buf jwk = {0}, token = {0};
    mint_jwk(&jwk, key, "");
    mint_token(&token, "{\"alg\":\"PS256\"}", "payload", key, EB_ALG_PS256);
    EVP_PKEY_free(key);
    struct eb_jwt t;
    assert_int_equal(eb_jws_read(eb_buf_get(&token), &t, NULL), EB_OK);
    EB_CLEANUP(eb_jwk_freep) struct eb_jwk *k = NULL;
    assert_int_equal(read_key(jwk.p, &k, NULL), EB_OK);
    struct shared s = {k, t.signing_input, eb_str_n(t.sig, t.sig_n), 0};
    pthread_t threads[4];
    for (size_t i = 0; i < EB_COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, verify_often, &s), 0);
    for (size_t i = 0; i < EB_COUNT_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(s.wrong, 0);
    eb_jwt_done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alg_names), cmocka_unit_test(test_good_keys), cmocka_unit_test(test_bad_keys),
        cmocka_unit_test(test_rsa_sizes), cmocka_unit_test(test_sets),      cmocka_unit_test(test_kids),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("jwk", tests, NULL, NULL);
}
