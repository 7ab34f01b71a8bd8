#include "fixture_natsjwt.h"

#include "natsjwt/natsjwt.h"

#define MAX ((size_t)1 << 20)
#define PAYLOAD "{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{}}"

static void writes_the_vector(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(ACCOUNT_R0_SEED);
    const struct eb_natsjwt_std std = {.aud = EB_STR("APP"),
                                       .iss = EB_STR(ACCOUNT_R0),
                                       .sub = EB_STR(USER_R0),
                                       .iat = 1700000000,
                                       .exp = 1700000600};
    const struct eb_str nats = EB_STR(
        "{\"pub\":{},\"sub\":{},\"subs\":-1,\"data\":-1,\"payload\":-1,\"type\":\"user\",\"version\":2}");
    eb_auto_buf struct eb_buf to = {0};
    eb_buf_z(&to, "kept:");
    assert_int_equal(eb_natsjwt_write(&to, &std, nats, fixture_sign, k), EB_OK);
    struct eb_str text = eb_str_n(to.p + 5, to.n - 5);
    assert_true(eb_str_starts(eb_buf_get(&to), EB_STR("kept:eyJ0")));
    assert_true(eb_str_ends(
        text,
        EB_STR(".nxQS5vjtOcHnGRM7S2RdvTirNk3OLte91mV9jffd2jEzFa9VqbozC1dGVISyovnKPancyyMWVZGxlnyR_lB6AA")));

    EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};
    assert_int_equal(eb_natsjwt_read(text, MAX, &t, NULL), EB_OK);
    assert_true(
        eb_str_eqz(eb_json_str(t.claims, "jti"), "6YHCA6HD7HAPJBWK74FJGZGFSHXRXEUVJLVGQ4KZJKTDN5HKW7AA"));
    assert_true(eb_str_eqz(t.iss, ACCOUNT_R0));
    assert_true(eb_str_eqz(t.sub, USER_R0));
    assert_true(eb_str_eqz(t.aud, "APP"));
    assert_int_equal(t.iss_kind, EB_NKEY_ACCOUNT);
    assert_memory_equal(t.iss_key, eb_nkey_public_raw(k), EB_NKEY_RAW_LEN);
    assert_int_equal(t.iat, 1700000000);
    assert_int_equal(t.exp, 1700000600);
    assert_int_equal(t.nbf, 0);
    assert_ptr_equal(t.nats, json_object_get(t.claims, "nats"));
    assert_true(eb_natsjwt_is(text));
}

static void payload_text(struct eb_str token, struct eb_buf *to) {
    EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};
    assert_int_equal(eb_natsjwt_read(token, MAX, &t, NULL), EB_OK);
    char *text = json_dumps(t.claims, JSON_COMPACT | JSON_PRESERVE_ORDER);
    eb_buf_z(to, text);
    free(text);
}

/* Every combination of present standard claims is valid JSON in the fixed order, and none leaves a stray
 * comma. */
static void order_and_commas(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(ACCOUNT_R0_SEED);
    for (unsigned bits = 0; bits < 64; bits++) {
        const struct eb_natsjwt_std std = {
            .iss = EB_STR(ACCOUNT_R0),
            .aud = bits & 1 ? EB_STR("a\"\\\n\xc3\xa4") : EB_STR_NONE,
            .exp = bits & 2 ? 2 : 0,
            .iat = bits & 4 ? 1 : 0,
            .name = bits & 8 ? EB_STR("n") : EB_STR(""),
            .nbf = bits & 16 ? 3 : 0,
            .sub = bits & 32 ? EB_STR("s") : EB_STR_NONE,
        };
        eb_auto_buf struct eb_buf to = {0};
        eb_auto_buf struct eb_buf got = {0};
        eb_auto_buf struct eb_buf want = {0};
        assert_int_equal(eb_natsjwt_write(&to, &std, EB_STR("{\"x\":1}"), fixture_sign, k), EB_OK);
        payload_text(eb_buf_get(&to), &got);
        const char *jti = strstr(got.p, "\"jti\":\"");
        assert_non_null(jti);
        eb_buf_printf(&want, "{%s%s\"jti\":\"%.52s\",%s\"iss\":\"" ACCOUNT_R0 "\",%s%s%s\"nats\":{\"x\":1}}",
                      bits & 1 ? "\"aud\":\"a\\\"\\\\\\n\xc3\xa4\"," : "", bits & 2 ? "\"exp\":2," : "",
                      jti + 7, bits & 4 ? "\"iat\":1," : "", bits & 8 ? "\"name\":\"n\"," : "",
                      bits & 16 ? "\"nbf\":3," : "", bits & 32 ? "\"sub\":\"s\"," : "");
        assert_string_equal(got.p, want.p);
    }
}

static enum eb_rc failing_sign(void *ctx, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]) {
    (void)ctx;
    (void)msg;
    (void)ret_sig;
    return EB_E_INTERNAL;
}

static void failed_signing_leaves_nothing(void **state) {
    (void)state;
    const struct eb_natsjwt_std std = {.iss = EB_STR(ACCOUNT_R0)};
    eb_auto_buf struct eb_buf to = {0};
    eb_buf_z(&to, "before");
    assert_int_equal(eb_natsjwt_write(&to, &std, EB_STR("{}"), failing_sign, NULL), EB_E_INTERNAL);
    assert_string_equal(to.p, "before");
    assert_int_equal(to.n, 6);
}

static void header_variants(void **state) {
    (void)state;
    static const struct {
        const char *header;
        enum eb_rc read;
        bool is;
    } cases[] = {
        {USUAL_HEADER, EB_OK, true},
        {"{\"alg\":\"ed25519-nkey\",\"typ\":\"JWT\"}", EB_OK, true},
        {"{\"typ\":\"jwt\",\"alg\":\"ED25519-NKEY\"}", EB_OK, true},
        {"{ \"typ\" : \"JWT\", \"alg\" : \"ed25519-nkey\", \"kid\":\"x\" }", EB_OK, true},
        {"{\"typ\":\"JWT\",\"alg\":\"ed25519\"}", EB_OK, true},
        {"{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\",\"crit\":[\"x\"]}", EB_E_MALFORMED, true},
        {"{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey2\"}", EB_E_MALFORMED, false},
        {"{\"typ\":\"JWT\",\"alg\":\"ed25519-nke\"}", EB_E_MALFORMED, false},
        {"{\"typ\":\"JWT\",\"alg\":\"EdDSA\"}", EB_E_MALFORMED, false},
        {"{\"typ\":\"JWT\",\"alg\":\"none\"}", EB_E_MALFORMED, false},
        {"{\"typ\":\"JWT\",\"alg\":\"HS256\"}", EB_E_MALFORMED, false},
        {"{\"typ\":\"JWT\",\"alg\":\"\"}", EB_E_MALFORMED, false},
        {"{\"typ\":\"JWT\",\"alg\":null}", EB_E_MALFORMED, false},
        {"{\"typ\":\"JWT\",\"alg\":[\"ed25519-nkey\"]}", EB_E_MALFORMED, false},
        {"{\"typ\":\"JWT\"}", EB_E_MALFORMED, false},
        {"{\"typ\":\"JWS\",\"alg\":\"ed25519-nkey\"}", EB_E_MALFORMED, true},
        {"{\"alg\":\"ed25519-nkey\"}", EB_E_MALFORMED, true},
        {"{\"typ\":\"JWT\",\"alg\":\"none\",\"alg\":\"ed25519-nkey\"}", EB_E_MALFORMED, false},
        {"{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}x", EB_E_MALFORMED, false},
        {"[\"ed25519-nkey\"]", EB_E_MALFORMED, false},
        {"{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey", EB_E_MALFORMED, false},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        eb_auto_buf struct eb_buf token = {0};
        fixture_token(&token, eb_str(cases[i].header), EB_STR(PAYLOAD), ACCOUNT_R0_SEED);
        EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};
        struct eb_err err = {0};
        if (eb_natsjwt_read(eb_buf_get(&token), MAX, &t, &err) != cases[i].read)
            fail_msg("%s: \"%s\"", cases[i].header, err.text);
        if (eb_natsjwt_is(eb_buf_get(&token)) != cases[i].is)
            fail_msg("%s: told wrong", cases[i].header);
    }
    eb_auto_buf struct eb_buf long_header = {0};
    eb_auto_buf struct eb_buf token = {0};
    EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};
    eb_buf_printf(&long_header, "{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\",\"x\":\"%0400d\"}", 0);
    fixture_token(&token, eb_buf_get(&long_header), EB_STR(PAYLOAD), ACCOUNT_R0_SEED);
    assert_int_equal(eb_natsjwt_read(eb_buf_get(&token), MAX, &t, NULL), EB_E_MALFORMED);
    assert_false(eb_natsjwt_is(eb_buf_get(&token)));
}

static void payload_variants(void **state) {
    (void)state;
    static const struct {
        const char *payload;
        enum eb_rc rc;
        const char *says;
    } cases[] = {
        {PAYLOAD, EB_OK, ""},
        {"{\"iss\":\"" OPERATOR_R0 "\",\"nats\":{}}", EB_OK, ""}, /* another kind, the same key bytes */
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{\"type\":\"x\",\"more\":[]},\"more\":{}}", EB_OK, ""},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{},\"exp\":0,\"iat\":9007199254740993,\"nbf\":5}", EB_OK, ""},
        {"{\"iss\":\"" ACCOUNT_R1 "\",\"nats\":{}}", EB_E_BAD_SIGNATURE, "not that of iss"},
        {"{\"iss\":\"" CURVE_R0 "\",\"nats\":{}}", EB_E_MALFORMED, "curve"},
        {"{\"nats\":{}}", EB_E_MALFORMED, "iss: empty"},
        {"{\"iss\":\"\",\"nats\":{}}", EB_E_MALFORMED, "iss: empty"},
        {"{\"iss\":null,\"nats\":{}}", EB_E_MALFORMED, "iss: not a string"},
        {"{\"iss\":\"me\",\"nats\":{}}", EB_E_MALFORMED, "iss: 2 characters"},
        {"{\"iss\":\"" USER_R0_SEED "\",\"nats\":{}}", EB_E_MALFORMED, "iss: this is a seed"},
        {"{\"iss\":\"" ACCOUNT_R0 "\"}", EB_E_MALFORMED, "nats: missing"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":[]}", EB_E_MALFORMED, "nats: not an object"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":null}", EB_E_MALFORMED, "nats: not an object"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{},\"aud\":[\"x\"]}", EB_E_MALFORMED, "aud: not a string"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{},\"sub\":5}", EB_E_MALFORMED, "sub: not a string"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{},\"jti\":{}}", EB_E_MALFORMED, "jti: not a string"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{},\"name\":false}", EB_E_MALFORMED, "name: not a string"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{},\"exp\":\"1\"}", EB_E_MALFORMED, "exp: not a whole"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{},\"exp\":1.5}", EB_E_MALFORMED, "exp: not a whole"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{},\"iat\":-1}", EB_E_MALFORMED, "iat: not a whole"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{},\"nbf\":true}", EB_E_MALFORMED, "nbf: not a whole"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{},\"nbf\":9223372036854775808}", EB_E_MALFORMED, "payload"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{},\"nats\":{}}", EB_E_MALFORMED, "payload"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{\"a\":1,\"a\":2}}", EB_E_MALFORMED, "payload"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{}} ", EB_OK, ""},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{}}{}", EB_E_MALFORMED, "payload"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{\"a\":\"\\u0000\"}}", EB_E_MALFORMED, "payload"},
        {"{\"iss\":\"" ACCOUNT_R0 "\",\"nats\":{\"a\":\"\xff\"}}", EB_E_MALFORMED, "payload"},
        {"{\"iss\":\"" ACCOUNT_R0
         "\",\"nats\":{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}}",
         EB_E_MALFORMED, "deeper"},
        {"[]", EB_E_MALFORMED, "no object"},
        {"x", EB_E_MALFORMED, "payload"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        eb_auto_buf struct eb_buf token = {0};
        fixture_token(&token, EB_STR(USUAL_HEADER), eb_str(cases[i].payload), ACCOUNT_R0_SEED);
        EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};
        struct eb_err err = {0};
        enum eb_rc rc = eb_natsjwt_read(eb_buf_get(&token), MAX, &t, &err);
        if (rc != cases[i].rc || !strstr(err.text, cases[i].says) || (rc != EB_OK && t.claims))
            fail_msg("%s: %s \"%s\"", cases[i].payload, eb_rc_name(rc), err.text);
        assert_null(strstr(err.text, "AAAAICAM"));
    }
}

static void envelope_variants(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf good = {0};
    fixture_token(&good, EB_STR(USUAL_HEADER), EB_STR(PAYLOAD), ACCOUNT_R0_SEED);
    EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};

    /* Every cut, and every changed character, is refused. */
    for (size_t n = 0; n < good.n; n++)
        assert_int_equal(eb_natsjwt_read(eb_str_n(good.p, n), MAX, &t, NULL), EB_E_MALFORMED);
    for (size_t i = 0; i < good.n; i++) {
        char was = good.p[i];
        good.p[i] = was == 'A' ? 'B' : 'A';
        assert_int_not_equal(eb_natsjwt_read(eb_buf_get(&good), MAX, &t, NULL), EB_OK);
        good.p[i] = '=';
        assert_int_equal(eb_natsjwt_read(eb_buf_get(&good), MAX, &t, NULL), EB_E_MALFORMED);
        good.p[i] = was;
    }
    static const char *const shapes[] = {"", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "....."};
    for (size_t i = 0; i < EB_COUNT_OF(shapes); i++) {
        assert_int_equal(eb_natsjwt_read(eb_str(shapes[i]), MAX, &t, NULL), EB_E_MALFORMED);
        assert_false(eb_natsjwt_is(eb_str(shapes[i])));
    }
    assert_int_equal(eb_natsjwt_read(EB_STR_NONE, MAX, &t, NULL), EB_E_MALFORMED);
    assert_false(eb_natsjwt_is(EB_STR_NONE));

    static const char *const tails[] = {".", "A", "=", "\n", " ", ".AAAA"};
    for (size_t i = 0; i < EB_COUNT_OF(tails); i++) {
        eb_auto_buf struct eb_buf more = {0};
        eb_buf_str(&more, eb_buf_get(&good));
        eb_buf_z(&more, tails[i]);
        assert_int_equal(eb_natsjwt_read(eb_buf_get(&more), MAX, &t, NULL), EB_E_MALFORMED);
        assert_int_equal(eb_natsjwt_is(eb_buf_get(&more)),
                         tails[i][0] != '.'); /* the shape is all it looks at */
    }
    assert_int_equal(eb_natsjwt_read(eb_buf_get(&good), good.n, &t, NULL), EB_OK);
    eb_natsjwt_done(&t);
    assert_int_equal(eb_natsjwt_read(eb_buf_get(&good), good.n - 1, &t, NULL), EB_E_TOO_LARGE);
    assert_null(t.claims);
}

/* Version 1 of NATS JWTs signed the payload alone. */
static void version_1_signature(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(ACCOUNT_R0_SEED);
    eb_auto_buf struct eb_buf payload = {0};
    eb_auto_buf struct eb_buf token = {0};
    uint8_t sig[EB_NKEY_SIG_LEN];
    eb_buf_base64url(&payload, PAYLOAD, sizeof PAYLOAD - 1);
    assert_int_equal(eb_nkey_sign(k, eb_buf_get(&payload), sig), EB_OK);
    eb_buf_base64url(&token, "{\"typ\":\"JWT\",\"alg\":\"ed25519\"}", 29);
    eb_buf_ch(&token, '.');
    eb_buf_str(&token, eb_buf_get(&payload));
    eb_buf_ch(&token, '.');
    eb_buf_base64url(&token, sig, sizeof sig);
    EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};
    assert_int_equal(eb_natsjwt_read(eb_buf_get(&token), MAX, &t, NULL), EB_E_BAD_SIGNATURE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_vector),
        cmocka_unit_test(order_and_commas),
        cmocka_unit_test(failed_signing_leaves_nothing),
        cmocka_unit_test(header_variants),
        cmocka_unit_test(payload_variants),
        cmocka_unit_test(envelope_variants),
        cmocka_unit_test(version_1_signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
