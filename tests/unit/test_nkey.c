#include "fixture_natsjwt.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/base64url.h"
#include "base/file.h"
#include "nkey/base32.h"
#include "nkey/crc16.h"

static void crc16_check_value(void **state) {
    (void)state;
    assert_int_equal(eb_crc16((const uint8_t *)"123456789", 9), 0x31c3);
    assert_int_equal(eb_crc16(NULL, 0), 0);
}

static void base32_both_ways(void **state) {
    (void)state;
    static const struct {
        const char *plain, *text;
    } cases[] = {
        {"", ""},
        {"f", "MY"},
        {"fo", "MZXQ"},
        {"foo", "MZXW6"},
        {"foob", "MZXW6YQ"},
        {"fooba", "MZXW6YTB"},
        {"foobar", "MZXW6YTBOI"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        size_t n = strlen(cases[i].plain);
        char text[16] = {0};
        uint8_t back[16] = {0};
        eb_base32_encode(text, (const uint8_t *)cases[i].plain, n);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(eb_base32_decode(back, n, eb_str(cases[i].text), NULL), EB_OK);
        assert_string_equal((char *)back, cases[i].plain);
    }
}

static void base32_every_byte(void **state) {
    (void)state;
    const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    for (int c = 0; c < 256; c++) {
        char text[8] = {(char)c, 'A', 'A', 'A', 'A', 'A', 'A', 'A'};
        uint8_t back[5];
        size_t at = 99;
        const char *found = c ? strchr(alphabet, c) : NULL;
        enum eb_rc rc = eb_base32_decode(back, 5, eb_str_n(text, 8), &at);
        assert_int_equal(rc, found ? EB_OK : EB_E_MALFORMED);
        assert_int_equal(at, found ? 8 : 0);
        if (found)
            assert_int_equal(back[0] >> 3, found - alphabet);
    }
}

static void base32_refuses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n;
    } cases[] = {
        {"MZ", 1}, /* spare bit set */
        {"MZXR", 2}, {"MZXW7", 3 + 1}, {"my", 1},   {"MY======", 1}, {"M", 1},         {"MYA", 1},
        {"", 1},     {"MY", 0},        {"MY\n", 1}, {" MY", 1},      {"MZXW6YTB0", 5}, {"M1", 1},
    };
    uint8_t back[16];
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++)
        assert_int_equal(eb_base32_decode(back, cases[i].n, eb_str(cases[i].text), NULL), EB_E_MALFORMED);
}

static const struct {
    enum eb_nkey_kind kind;
    const char *seed, *public_key;
} vectors[] = {
    {EB_NKEY_USER, USER_R0_SEED, USER_R0},
    {EB_NKEY_USER, USER_R1_SEED, USER_R1},
    {EB_NKEY_ACCOUNT, ACCOUNT_R0_SEED, ACCOUNT_R0},
    {EB_NKEY_ACCOUNT, ACCOUNT_R1_SEED, ACCOUNT_R1},
    {EB_NKEY_SERVER, SERVER_R0_SEED, SERVER_R0},
    {EB_NKEY_SERVER, SERVER_R1_SEED, SERVER_R1},
    {EB_NKEY_OPERATOR, OPERATOR_R0_SEED, OPERATOR_R0},
    {EB_NKEY_CLUSTER, CLUSTER_R0_SEED, CLUSTER_R0},
    {EB_NKEY_CURVE, CURVE_R0_SEED, CURVE_R0},
    {EB_NKEY_CURVE, CURVE_R1_SEED, CURVE_R1},
};

static void seed_gives_public(void **state) {
    (void)state;
    for (size_t i = 0; i < EB_COUNT_OF(vectors); i++) {
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
        struct eb_err err = {0};
        assert_int_equal(eb_nkey_from_seed(eb_str(vectors[i].seed), vectors[i].kind, &k, &err), EB_OK);
        assert_string_equal(eb_nkey_public(k), vectors[i].public_key);
        assert_int_equal(eb_nkey_kind(k), vectors[i].kind);
        EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(k);
        assert_true(eb_str_eqz(eb_secret_get(seed), vectors[i].seed));

        enum eb_nkey_kind kind = EB_NKEY_NONE;
        uint8_t raw[EB_NKEY_RAW_LEN];
        assert_int_equal(eb_nkey_public_decode(eb_str(vectors[i].public_key), EB_NKEY_NONE, &kind, raw, &err),
                         EB_OK);
        assert_int_equal(kind, vectors[i].kind);
        assert_memory_equal(raw, eb_nkey_public_raw(k), sizeof raw);
        char text[EB_NKEY_PUBLIC_LEN + 1];
        eb_nkey_public_encode(kind, raw, text);
        assert_string_equal(text, vectors[i].public_key);
        assert_int_equal(text[0], eb_nkey_kind_letter(kind));
        assert_int_equal(eb_nkey_public_decode(eb_str(text), EB_NKEY_NONE, NULL, raw, NULL), EB_OK);
    }
}

/* Any one changed character, or a swap of two neighbours, is noticed. */
static void every_slip_is_noticed(void **state) {
    (void)state;
    const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint8_t raw[EB_NKEY_RAW_LEN];
    for (size_t i = 0; i < EB_NKEY_PUBLIC_LEN; i++)
        for (const char *c = alphabet; *c; c++) {
            char text[] = USER_R0;
            text[i] = *c;
            enum eb_rc want = *c == USER_R0[i] ? EB_OK : EB_E_BAD_KEY;
            assert_int_equal(eb_nkey_public_decode(eb_str(text), EB_NKEY_NONE, NULL, raw, NULL), want);
        }
    for (size_t i = 0; i < EB_NKEY_SEED_LEN; i++)
        for (const char *c = alphabet; *c; c++) {
            if (*c == USER_R0_SEED[i])
                continue;
            char text[] = USER_R0_SEED;
            text[i] = *c;
            struct eb_nkey *k = NULL;
            assert_int_equal(eb_nkey_from_seed(eb_str(text), EB_NKEY_NONE, &k, NULL), EB_E_BAD_KEY);
        }
}

/* Writes raw bytes with a right checksum, as text. */
static void encode_checked(uint8_t *bytes, size_t n, char *to) {
    uint16_t crc = eb_crc16(bytes, n - 2);
    bytes[n - 2] = (uint8_t)crc;
    bytes[n - 1] = (uint8_t)(crc >> 8);
    eb_base32_encode(to, bytes, n);
}

static void prefixes_of_no_kind(void **state) {
    (void)state;
    int accepted = 0;
    for (int prefix = 0; prefix < 256; prefix++) {
        uint8_t b[35] = {(uint8_t)prefix};
        char text[57] = {0};
        uint8_t raw[EB_NKEY_RAW_LEN];
        encode_checked(b, sizeof b, text);
        accepted += eb_nkey_public_decode(eb_str(text), EB_NKEY_NONE, NULL, raw, NULL) == EB_OK;
    }
    assert_int_equal(accepted, 6);
    accepted = 0;
    for (int two = 0; two < 65536; two++) {
        uint8_t b[36] = {(uint8_t)(two >> 8), (uint8_t)two};
        if ((b[0] & 0xf0) != 0x90)
            continue;
        char text[59] = {0};
        encode_checked(b, sizeof b, text);
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
        accepted += eb_nkey_from_seed(eb_str(text), EB_NKEY_NONE, &k, NULL) == EB_OK;
    }
    assert_int_equal(accepted, 6);
}

static void seed_spare_bits(void **state) {
    (void)state;
    /* The last character carries two spare bits: its three siblings spell the same 36 bytes. */
    const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    char text[] = USER_R0_SEED;
    size_t at = (size_t)(strchr(alphabet, text[EB_NKEY_SEED_LEN - 1]) - alphabet);
    assert_int_equal(at & 3, 0);
    for (size_t i = 1; i < 4; i++) {
        text[EB_NKEY_SEED_LEN - 1] = alphabet[at + i];
        struct eb_nkey *k = NULL;
        struct eb_err err = {0};
        assert_int_equal(eb_nkey_from_seed(eb_str(text), EB_NKEY_NONE, &k, &err), EB_E_BAD_KEY);
    }
}

static void public_refuses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum eb_nkey_kind want;
        const char *says;
    } cases[] = {
        {"", EB_NKEY_USER, "empty"},
        {USER_R0_SEED, EB_NKEY_USER, "this is a seed"},
        {"PAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK", EB_NKEY_USER, "checksum"},
        {"UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLK", EB_NKEY_USER, "55 characters"},
        {USER_R0 "A", EB_NKEY_USER, "57 characters"},
        {USER_R0 "\n", EB_NKEY_USER, "57 characters"},
        {" " USER_R0, EB_NKEY_USER, "57 characters"},
        {"uab2cb576phbbpq5odorrz2lycmwpzgwgcn2kdk7dxoimzaskuy3rlkk", EB_NKEY_USER,
         "character 1 is lower case"},
        {"UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLK1", EB_NKEY_USER, "character 56 is none"},
        {"UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLK=", EB_NKEY_USER, "character 56 is none"},
        {"UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKL", EB_NKEY_USER, "checksum"},
        {ACCOUNT_R0, EB_NKEY_USER, "kind account (A...), where one of kind user (U...)"},
        {CURVE_R0, EB_NKEY_ACCOUNT, "kind curve"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        struct eb_err err = {0};
        uint8_t raw[EB_NKEY_RAW_LEN] = {7};
        enum eb_nkey_kind kind = EB_NKEY_CLUSTER;
        assert_int_equal(eb_nkey_public_decode(eb_str(cases[i].text), cases[i].want, &kind, raw, &err),
                         EB_E_BAD_KEY);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.text, cases[i].says);
        assert_null(strstr(err.text, USER_R0_SEED));
        assert_int_equal(raw[0], 7);
        assert_int_equal(kind, EB_NKEY_CLUSTER);
    }
    uint8_t raw[EB_NKEY_RAW_LEN];
    assert_int_equal(eb_nkey_public_decode(EB_STR_NONE, EB_NKEY_NONE, NULL, raw, NULL), EB_E_BAD_KEY);
    char nul[] = USER_R0;
    nul[20] = '\0';
    assert_int_equal(eb_nkey_public_decode(eb_str_n(nul, 56), EB_NKEY_NONE, NULL, raw, NULL), EB_E_BAD_KEY);
}

static void seed_refuses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum eb_nkey_kind want;
        const char *says;
    } cases[] = {
        {"", EB_NKEY_ACCOUNT, "empty"},
        {USER_R0, EB_NKEY_USER, "this is a public key"},
        {USER_R0_SEED, EB_NKEY_ACCOUNT, "kind user (SU...), where one of kind account (SA...)"},
        {"SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776", EB_NKEY_USER, "57 characters"},
        {"suaaaaicamcakbqhbaequcymbuha6earcijrifiwc4mbsgq3dqor4h776y", EB_NKEY_USER, "character 1 is none"},
        {"SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H7760", EB_NKEY_USER, "last character"},
        {"SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HA76Y", EB_NKEY_USER, "checksum"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        struct eb_err err = {0};
        struct eb_nkey *k = NULL;
        assert_int_equal(eb_nkey_from_seed(eb_str(cases[i].text), cases[i].want, &k, &err), EB_E_BAD_KEY);
        assert_null(k);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.text, cases[i].says);
        assert_null(strstr(err.text, "AAAAICAM"));
    }
}

static void signatures(void **state) {
    (void)state;
    static const struct {
        const char *seed, *sig;
    } cases[] = {
        {USER_R0_SEED,
         "yERSR0DWaykKpwrv_6_HJ61vJ92L2QRRIy5n6YxBlej3gAYyeeYnf-pJ41anwALJkQOh4Eby56Hqzy7PZNKLCQ"},
        {USER_R1_SEED,
         "qJb8m16WVCqVt9hXYmX1OeAWqK0927063VwH43vUQntle4NtKLJ2G9cSC6QgxMYagyxFVM2xdyfMBs6qYcdCAg"},
    };
    const struct eb_str msg = EB_STR("nats-auth-callout");
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(cases[i].seed);
        uint8_t sig[EB_NKEY_SIG_LEN];
        char text[87] = {0};
        assert_int_equal(eb_nkey_sign(k, msg, sig), EB_OK);
        eb_base64url_encode(text, sig, sizeof sig);
        assert_string_equal(text, cases[i].sig);
        assert_int_equal(eb_nkey_verify(eb_nkey_public_raw(k), msg, sig), EB_OK);
        assert_int_equal(eb_nkey_verify(eb_nkey_public_raw(k), EB_STR("nats-auth-callouT"), sig),
                         EB_E_BAD_SIGNATURE);
        for (size_t b = 0; b < sizeof sig; b++) {
            sig[b] ^= 1;
            assert_int_equal(eb_nkey_verify(eb_nkey_public_raw(k), msg, sig), EB_E_BAD_SIGNATURE);
            sig[b] ^= 1;
        }
        assert_int_equal(eb_nkey_sign(k, EB_STR_NONE, sig), EB_OK);
        assert_int_equal(eb_nkey_verify(eb_nkey_public_raw(k), EB_STR_NONE, sig), EB_OK);
    }
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *curve = fixture_key(CURVE_R0_SEED);
    uint8_t sig[EB_NKEY_SIG_LEN];
    assert_int_equal(eb_nkey_sign(curve, msg, sig), EB_E_INVALID);
}

static void randomized_signatures(void **state) {
    (void)state;
    static const char *const seeds[] = {USER_R0_SEED, USER_R1_SEED, ACCOUNT_R0_SEED, SERVER_R1_SEED};
    for (size_t i = 0; i < EB_COUNT_OF(seeds); i++) {
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(seeds[i]);
        char text[300];
        memset(text, 'x', sizeof text);
        for (size_t n = 0; n <= sizeof text; n += 25) {
            const struct eb_str msg = n ? eb_str_n(text, n) : EB_STR_NONE;
            uint8_t sig[3][EB_NKEY_SIG_LEN];
            assert_int_equal(eb_nkey_sign(k, msg, sig[0]), EB_OK);
            for (int j = 1; j < 3; j++) {
                assert_int_equal(eb_nkey_sign_randomized(k, msg, sig[j]), EB_OK);
                assert_int_equal(eb_nkey_verify(eb_nkey_public_raw(k), msg, sig[j]), EB_OK);
                assert_int_equal(eb_nkey_verify(eb_nkey_public_raw(k), EB_STR("another"), sig[j]),
                                 EB_E_BAD_SIGNATURE);
                /* R and S are both others: the same R with two texts would give the key away */
                for (int other = 0; other < j; other++) {
                    assert_memory_not_equal(sig[j], sig[other], 32);
                    assert_memory_not_equal(sig[j] + 32, sig[other] + 32, 32);
                }
            }
        }
    }
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *curve = fixture_key(CURVE_R0_SEED);
    uint8_t sig[EB_NKEY_SIG_LEN];
    assert_int_equal(eb_nkey_sign_randomized(curve, EB_STR("x"), sig), EB_E_INVALID);
}

static void generated_keys(void **state) {
    (void)state;
    for (int kind = EB_NKEY_ACCOUNT; kind <= EB_NKEY_CURVE; kind++) {
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *a = NULL;
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *b = NULL;
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *again = NULL;
        assert_int_equal(eb_nkey_generate((enum eb_nkey_kind)kind, &a), EB_OK);
        assert_int_equal(eb_nkey_generate((enum eb_nkey_kind)kind, &b), EB_OK);
        assert_string_not_equal(eb_nkey_public(a), eb_nkey_public(b));
        EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(a);
        assert_int_equal(eb_secret_get(seed).n, EB_NKEY_SEED_LEN);
        assert_int_equal(eb_nkey_from_seed(eb_secret_get(seed), (enum eb_nkey_kind)kind, &again, NULL),
                         EB_OK);
        assert_string_equal(eb_nkey_public(a), eb_nkey_public(again));
    }
    struct eb_nkey *none = NULL;
    assert_int_equal(eb_nkey_generate(EB_NKEY_NONE, &none), EB_E_INVALID);
    assert_int_equal(eb_nkey_generate((enum eb_nkey_kind)99, &none), EB_E_INVALID);
    assert_string_equal(eb_nkey_kind_name((enum eb_nkey_kind)99), "none");
    eb_nkey_free(NULL);
}

static void seed_files(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum eb_nkey_kind want;
        enum eb_rc rc;
        const char *says;
    } cases[] = {
        {USER_R0_SEED "\n" USER_R0 "\n", EB_NKEY_USER, EB_OK, ""},
        {USER_R0_SEED, EB_NKEY_USER, EB_OK, ""},
        {"  " USER_R0_SEED "\r\n\r\n", EB_NKEY_NONE, EB_OK, ""},
        {"# the service's\n\n" USER_R0_SEED "\n# its public key\n" USER_R0 "\n", EB_NKEY_USER, EB_OK, ""},
        {USER_R0 "\n" USER_R0_SEED "\n", EB_NKEY_USER, EB_OK, ""},
        {USER_R0_SEED "\n" USER_R1 "\n", EB_NKEY_USER, EB_E_BAD_KEY, "of another key"},
        {USER_R0_SEED "\n" ACCOUNT_R0 "\n", EB_NKEY_USER, EB_E_BAD_KEY, "of another key"},
        {USER_R0_SEED "\n" USER_R1_SEED "\n", EB_NKEY_USER, EB_E_BAD_KEY, "line 2: a second seed"},
        {USER_R0_SEED "\n" USER_R0 "\n" USER_R0 "\n", EB_NKEY_USER, EB_E_BAD_KEY, "line 3: more than a seed"},
        {USER_R0_SEED "\nhello\n", EB_NKEY_USER, EB_E_BAD_KEY, "line 2: 5 characters"},
        {USER_R0_SEED, EB_NKEY_ACCOUNT, EB_E_BAD_KEY, "line 1: a seed of kind user"},
        {USER_R0 "\n", EB_NKEY_USER, EB_E_BAD_KEY, "only a public key"},
        {"# nothing\n", EB_NKEY_USER, EB_E_BAD_KEY, "no line with a seed"},
        {"-----BEGIN USER NKEY SEED-----\n" USER_R0_SEED "\n", EB_NKEY_USER, EB_E_BAD_KEY, "creds file"},
        {"", EB_NKEY_USER, EB_E_INVALID, "empty"},
        {"\n \n", EB_NKEY_USER, EB_E_INVALID, "empty"},
    };
    char path[] = "/tmp/test_nkey.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        assert_int_equal(eb_file_write(path, eb_str(cases[i].text), 0600, NULL), EB_OK);
        struct eb_err err = {0};
        EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = NULL;
        enum eb_rc rc = eb_nkey_from_seed_file(path, cases[i].want, &k, &err);
        if (rc != cases[i].rc || !strstr(err.text, cases[i].says))
            fail_msg("case %zu: %s \"%s\"", i, eb_rc_name(rc), err.text);
        if (rc == EB_OK)
            assert_string_equal(eb_nkey_public(k), USER_R0);
        else
            assert_non_null(strstr(err.text, path));
        assert_null(strstr(err.text, "AAAAICAM"));
    }
    (void)unlink(path);
    struct eb_err err = {0};
    struct eb_nkey *k = NULL;
    assert_int_equal(eb_nkey_from_seed_file("/nonexistent/seed", EB_NKEY_USER, &k, &err), EB_E_IO);
    assert_non_null(strstr(err.text, "/nonexistent/seed"));
}

static size_t unhex(const char *hex, uint8_t *to, size_t cap) {
    size_t n = 0;
    assert_int_equal(sodium_hex2bin(to, cap, hex, strlen(hex), NULL, &n, NULL), 0);
    return n;
}

/* All verdicts of the vectors, none excepted; a signature of another length never reaches the verifier, whose
 * type has 64 bytes. */
static void wycheproof(void **state) {
    (void)state;
    const char *shared = getenv("EB_SHARED");
    eb_auto_buf struct eb_buf path = {0};
    eb_auto_buf struct eb_buf text = {0};
    eb_buf_printf(&path, "%s/data/wycheproof-ed25519_test.json", shared ? shared : "../shared");
    if (access(path.p, R_OK) != 0) {
        (void)printf("left out: %s is not there\n", path.p);
        return;
    }
    assert_int_equal(eb_file_read(path.p, 1 << 24, &text, NULL), EB_OK);
    json_t *root = json_loadb(text.p, text.n, 0, NULL);
    size_t done = 0;
    json_t *group, *test;
    size_t g, t;
    json_array_foreach(json_object_get(root, "testGroups"), g, group) {
        uint8_t key[EB_NKEY_RAW_LEN];
        const char *hex = json_string_value(json_object_get(json_object_get(group, "publicKey"), "pk"));
        assert_int_equal(unhex(hex, key, sizeof key), sizeof key);
        json_array_foreach(json_object_get(group, "tests"), t, test) {
            uint8_t msg[4096], sig[256];
            size_t msg_n = unhex(json_string_value(json_object_get(test, "msg")), msg, sizeof msg);
            size_t sig_n = unhex(json_string_value(json_object_get(test, "sig")), sig, sizeof sig);
            bool valid = strcmp(json_string_value(json_object_get(test, "result")), "valid") == 0;
            bool got = sig_n == EB_NKEY_SIG_LEN && eb_nkey_verify(key, eb_str_n(msg, msg_n), sig) == EB_OK;
            if (got != valid)
                fail_msg("tcId %lld: %s", json_integer_value(json_object_get(test, "tcId")),
                         got ? "accepted" : "refused");
            done++;
        }
    }
    assert_int_equal(done, json_integer_value(json_object_get(root, "numberOfTests")));
    assert_true(done > 100);
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc16_check_value),   cmocka_unit_test(base32_both_ways),
        cmocka_unit_test(base32_every_byte),   cmocka_unit_test(base32_refuses),
        cmocka_unit_test(seed_gives_public),   cmocka_unit_test(every_slip_is_noticed),
        cmocka_unit_test(prefixes_of_no_kind), cmocka_unit_test(seed_spare_bits),
        cmocka_unit_test(public_refuses),      cmocka_unit_test(seed_refuses),
        cmocka_unit_test(signatures),          cmocka_unit_test(generated_keys),
        cmocka_unit_test(seed_files),          cmocka_unit_test(randomized_signatures),
        cmocka_unit_test(wycheproof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
