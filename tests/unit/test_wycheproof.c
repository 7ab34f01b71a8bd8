/* Cases of others: Wycheproof's for JSON web signatures and for Ed25519. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/file.h"
#include "jose/jose.h"
#include "mint.h"

#define ALL_ALGS ((1U << EB_ALG_MAX_) - 2)
#define FILE_MAX ((size_t)4 << 20)

/* Called valid there, refused here on purpose. */
static const struct {
    json_int_t id;
    const char *why;
} stricter[] = {
    {346, "the key says PS256, the token PS384: a key is for the algorithm that it names (RFC 8725 s3.1)"},
    {347, "the key says ES521, which is no algorithm (RFC 7518 s3.1); the token says ES512"},
    {350, "the key says PS256, the token PS384: a key is for the algorithm that it names (RFC 8725 s3.1)"},
    {351, "the key says ES521, which is no algorithm (RFC 7518 s3.1); the token says ES512"},
};

static const char *why_stricter(json_int_t id) {
    for (size_t i = 0; i < EB_COUNT_OF(stricter); i++)
        if (stricter[i].id == id)
            return stricter[i].why;
    return NULL;
}

/* The document, NULL where the data is not there. */
static json_t *load(const char *name) {
    const char *dir = getenv("EB_SHARED");
    eb_auto_buf struct eb_buf path = {0}, bytes = {0};
    eb_buf_printf(&path, "%s/data/%s", dir ? dir : "../shared", name);
    struct eb_err err = {0};
    if (access(path.p, R_OK) != 0) {
        print_message("left out: %s is not there (EB_SHARED names the folder that has data/)\n", name);
        return NULL;
    }
    assert_int_equal(eb_file_read(path.p, FILE_MAX, &bytes, &err), EB_OK);
    json_t *doc = json_loadb(bytes.p, bytes.n, 0, NULL);
    assert_non_null(doc);
    return doc;
}

/* Reads and verifies by a set of that one key. */
static enum eb_rc verdict(const json_t *key, const char *token) {
    eb_auto_json json_t *doc = json_pack("{s:[O]}", "keys", key);
    eb_auto_free char *text = json_dumps(doc, 0);
    assert_non_null(text);
    EB_CLEANUP(eb_jwks_unrefp) struct eb_jwks *set = NULL;
    enum eb_rc rc = eb_jwks_read(eb_str(text), &set, NULL, NULL);
    if (rc != EB_OK)
        return rc;
    EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
    rc = eb_jws_read(eb_str(token), &t, NULL);
    return rc != EB_OK ? rc : eb_jwt_verify(&t, set, ALL_ALGS, NULL);
}

static void test_jws(void **state) {
    (void)state;
    eb_auto_json json_t *doc = load("wycheproof-json_web_signature_test.json");
    if (!doc)
        skip();
    const json_t *group, *test;
    size_t g, i, cases = 0, accepted = 0, refused = 0, macs = 0, wrong = 0, strict = 0;
    json_array_foreach(json_object_get(doc, "testGroups"), g, group) {
        const json_t *key = json_object_get(group, "public");
        bool mac = !key;
        if (mac)
            key = json_object_get(group, "private");
        assert_non_null(key);
        json_array_foreach(json_object_get(group, "tests"), i, test) {
            json_int_t id = json_integer_value(json_object_get(test, "tcId"));
            const char *token = json_string_value(json_object_get(test, "jws"));
            assert_non_null(token);
            const char *why = why_stricter(id);
            bool valid = eb_str_eqz(eb_json_str(test, "result"), "valid") && !mac && !why;
            enum eb_rc rc = verdict(key, token);
            cases++;
            macs += mac;
            accepted += rc == EB_OK;
            refused += rc != EB_OK;
            if ((rc == EB_OK) != valid) {
                wrong++;
                print_error("tcId %d: %s, expected %s\n", (int)id, eb_rc_name(rc),
                            valid ? "ok" : "a refusal");
            }
            if (why) {
                /* All that stands against them is the key's own alg. */
                eb_auto_json json_t *bare = json_copy((json_t *)(uintptr_t)key);
                assert_int_equal(json_object_del(bare, "alg"), 0);
                assert_int_equal(verdict(bare, token), EB_OK);
                strict++;
                print_message("tcId %d is refused on purpose: %s\n", (int)id, why);
            }
        }
    }
    print_message("%zu cases: %zu accepted, %zu refused (%zu with keys of the HS family)\n", cases, accepted,
                  refused, macs);
    assert_int_equal(cases, json_integer_value(json_object_get(doc, "numberOfTests")));
    assert_int_equal(strict, EB_COUNT_OF(stricter));
    assert_int_equal(wrong, 0);
    assert_true(accepted > 30);
}

/* A token of the HS family against a set that has usable keys too. */
static void test_macs_beside_keys(void **state) {
    (void)state;
    eb_auto_json json_t *doc = load("wycheproof-json_web_signature_test.json");
    if (!doc)
        skip();
    eb_auto_json json_t *keys = json_array();
    const json_t *group, *test;
    size_t g, i, tried = 0;
    json_array_foreach(json_object_get(doc, "testGroups"), g, group) {
        const json_t *key = json_object_get(group, "public") ? json_object_get(group, "public")
                                                             : json_object_get(group, "private");
        assert_int_equal(json_array_append(keys, (json_t *)(uintptr_t)key), 0);
    }
    eb_auto_json json_t *set_doc = json_pack("{s:O}", "keys", keys);
    eb_auto_free char *text = json_dumps(set_doc, 0);
    EB_CLEANUP(eb_jwks_unrefp) struct eb_jwks *set = NULL;
    assert_int_equal(eb_jwks_read(eb_str(text), &set, NULL, NULL), EB_OK);
    json_array_foreach(json_object_get(doc, "testGroups"), g, group) {
        if (json_object_get(group, "public"))
            continue;
        json_array_foreach(json_object_get(group, "tests"), i, test) {
            EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
            if (eb_jws_read(eb_str(json_string_value(json_object_get(test, "jws"))), &t, NULL) != EB_OK)
                continue;
            assert_int_equal(eb_jwt_verify(&t, set, ALL_ALGS, NULL), EB_E_ALG_NOT_ALLOWED);
            tried++;
        }
    }
    assert_true(tried > 10);
}

static size_t unhex(unsigned char *to, size_t cap, const char *hex) {
    size_t n = strlen(hex) / 2;
    assert_true(n <= cap);
    for (size_t i = 0; i < n; i++) {
        unsigned v = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
        to[i] = (unsigned char)v;
    }
    return n;
}

static void test_ed25519(void **state) {
    (void)state;
    eb_auto_json json_t *doc = load("wycheproof-ed25519_test.json");
    if (!doc)
        skip();
    const json_t *group, *test;
    size_t g, i, cases = 0, wrong = 0, accepted = 0;
    json_array_foreach(json_object_get(doc, "testGroups"), g, group) {
        unsigned char pk[64];
        size_t pk_n = unhex(pk, sizeof pk,
                            json_string_value(json_object_get(json_object_get(group, "publicKey"), "pk")));
        eb_auto_buf struct eb_buf jwk = {0};
        eb_buf_z(&jwk, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
        eb_buf_base64url(&jwk, pk, pk_n);
        eb_buf_z(&jwk, "\"}");
        eb_auto_json json_t *obj = json_loads(jwk.p, 0, NULL);
        EB_CLEANUP(eb_jwk_freep) struct eb_jwk *k = NULL;
        enum eb_rc read = eb_jwk_read(obj, &k, NULL);
        json_array_foreach(json_object_get(group, "tests"), i, test) {
            unsigned char sig[512];
            const char *msg_hex = json_string_value(json_object_get(test, "msg"));
            eb_auto_free unsigned char *msg = malloc(strlen(msg_hex) / 2 + 1);
            assert_non_null(msg);
            size_t msg_n = unhex(msg, strlen(msg_hex) / 2, msg_hex);
            size_t sig_n = unhex(sig, sizeof sig, json_string_value(json_object_get(test, "sig")));
            enum eb_rc rc = read != EB_OK ? read
                                          : eb_jwk_verify(k, EB_ALG_EDDSA, eb_str_n(msg, msg_n),
                                                          eb_str_n(sig, sig_n), NULL);
            cases++;
            accepted += rc == EB_OK;
            if ((rc == EB_OK) != eb_str_eqz(eb_json_str(test, "result"), "valid")) {
                wrong++;
                print_error("ed25519 tcId %d: %s\n", (int)json_integer_value(json_object_get(test, "tcId")),
                            eb_rc_name(rc));
            }
        }
    }
    print_message("%zu cases of Ed25519: %zu accepted\n", cases, accepted);
    assert_true(cases > 100 && accepted > 10);
    assert_int_equal(wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_jws), cmocka_unit_test(test_macs_beside_keys),
                                       cmocka_unit_test(test_ed25519)};
    return cmocka_run_group_tests_name("wycheproof", tests, NULL, NULL);
}
