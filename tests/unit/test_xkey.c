#include "fixture_natsjwt.h"

#include <sodium.h>

#include "nkey/xkey.h"

#define VECTOR                                                                                               \
    "786b7631404142434445464748494a4b4c4d4e4f505152535455565756d7388eb9e44b5f6ebaa3ddbc0eef248bee5a942b2257" \
    "3a4f6f"

static void shared_of(struct eb_xkey_shared *s, const char *own_seed, const char *peer) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *own = fixture_key(own_seed);
    uint8_t raw[EB_NKEY_RAW_LEN];
    assert_int_equal(eb_nkey_public_decode(eb_str(peer), EB_NKEY_CURVE, NULL, raw, NULL), EB_OK);
    assert_int_equal(eb_xkey_shared_init(s, own, raw), EB_OK);
}

static size_t vector_bytes(uint8_t *to, size_t cap) {
    size_t n = 0;
    assert_int_equal(sodium_hex2bin(to, cap, VECTOR, strlen(VECTOR), NULL, &n, NULL), 0);
    return n;
}

static void opens_the_vector(void **state) {
    (void)state;
    uint8_t sealed[64];
    size_t n = vector_bytes(sealed, sizeof sealed);
    struct eb_xkey_shared s;
    shared_of(&s, CURVE_R1_SEED, CURVE_R0);
    eb_auto_buf struct eb_buf to = {0};
    assert_int_equal(eb_xkey_open(&s, eb_str_n(sealed, n), &to), EB_OK);
    assert_true(eb_str_eqz(eb_buf_get(&to), "hello xkey"));
    eb_xkey_shared_done(&s);
    assert_true(sodium_is_zero(s.key, sizeof s.key));
}

static void damaged_or_short(void **state) {
    (void)state;
    uint8_t sealed[64];
    size_t n = vector_bytes(sealed, sizeof sealed);
    struct eb_xkey_shared s;
    shared_of(&s, CURVE_R1_SEED, CURVE_R0);
    eb_auto_buf struct eb_buf to = {0};
    eb_buf_z(&to, "before");
    for (size_t i = 0; i < n; i++) {
        sealed[i] ^= 1;
        assert_int_equal(eb_xkey_open(&s, eb_str_n(sealed, n), &to),
                         i < 4 ? EB_E_MALFORMED : EB_E_BAD_SIGNATURE);
        sealed[i] ^= 1;
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(eb_xkey_open(&s, eb_str_n(sealed, i), &to),
                         i < EB_XKEY_OVERHEAD ? EB_E_MALFORMED : EB_E_BAD_SIGNATURE);
    assert_int_equal(eb_xkey_open(&s, EB_STR_NONE, &to), EB_E_MALFORMED);
    struct eb_xkey_shared other;
    shared_of(&other, CURVE_R0_SEED, CURVE_R0);
    assert_int_equal(eb_xkey_open(&other, eb_str_n(sealed, n), &to), EB_E_BAD_SIGNATURE);
    assert_true(eb_str_eqz(eb_buf_get(&to), "before"));
}

static void there_and_back(void **state) {
    (void)state;
    struct eb_xkey_shared us, them;
    shared_of(&us, CURVE_R0_SEED, CURVE_R1);
    shared_of(&them, CURVE_R1_SEED, CURVE_R0);
    assert_memory_equal(us.key, them.key, sizeof us.key);
    static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, 65536, 1 << 20};
    for (size_t i = 0; i < EB_COUNT_OF(sizes); i++) {
        eb_auto_free char *plain = malloc(sizes[i] + 1);
        assert_non_null(plain);
        randombytes_buf(plain, sizes[i]);
        eb_auto_buf struct eb_buf sealed = {0};
        eb_auto_buf struct eb_buf again = {0};
        eb_auto_buf struct eb_buf back = {.secret = true};
        assert_int_equal(eb_xkey_seal(&us, eb_str_n(plain, sizes[i]), &sealed), EB_OK);
        assert_int_equal(sealed.n, sizes[i] + EB_XKEY_OVERHEAD);
        assert_true(eb_xkey_is_sealed(eb_buf_get(&sealed)));
        assert_int_equal(eb_xkey_seal(&us, eb_str_n(plain, sizes[i]), &again), EB_OK);
        assert_memory_not_equal(sealed.p, again.p, 28); /* another nonce */
        assert_int_equal(eb_xkey_open(&them, eb_buf_get(&sealed), &back), EB_OK);
        assert_true(eb_str_eq(eb_buf_get(&back), eb_str_n(plain, sizes[i])));
    }
}

/* Points whose multiples are few: the shared secret would be known to everybody. */
static void small_order_peers(void **state) {
    (void)state;
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *own = fixture_key(CURVE_R0_SEED);
    for (size_t i = 0; i < EB_COUNT_OF(points); i++) {
        uint8_t peer[EB_NKEY_RAW_LEN];
        struct eb_xkey_shared s;
        assert_int_equal(sodium_hex2bin(peer, sizeof peer, points[i], 64, NULL, NULL, NULL), 0);
        assert_int_equal(eb_xkey_shared_init(&s, own, peer), EB_E_BAD_KEY);
    }
}

static void only_curve_keys(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *user = fixture_key(USER_R0_SEED);
    struct eb_xkey_shared s;
    assert_int_equal(eb_xkey_shared_init(&s, user, eb_nkey_public_raw(user)), EB_E_INVALID);
    assert_false(eb_xkey_is_sealed(EB_STR("eyJ0eXAi")));
    assert_false(eb_xkey_is_sealed(EB_STR("xkv")));
    assert_false(eb_xkey_is_sealed(EB_STR_NONE));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_the_vector), cmocka_unit_test(damaged_or_short),
        cmocka_unit_test(there_and_back),   cmocka_unit_test(small_order_peers),
        cmocka_unit_test(only_curve_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
