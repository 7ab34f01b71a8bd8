/* Keys of the reference vectors and hand-made tokens, for the tests of nkeys and NATS JWTs. */
#ifndef EB_TESTS_FIXTURE_NATSJWT_H
#define EB_TESTS_FIXTURE_NATSJWT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "nkey/nkey.h"

/* Raw seed R0 is 00 01 ... 1f; R1 is 255 - 3*i modulo 256. */
#define USER_R0_SEED "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"
#define USER_R0 "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
#define USER_R1_SEED "SUAP77HZ63Z7B3PK47SODXW33DK5FT6MZHDMHQF5XK33JMNOVOUKLIUSQ4"
#define USER_R1 "UAP7ISKFI6D2MMMSYCG3X5VJP3NWCWV2BOYWDCR65G42KXKGGGQF2GUM"
#define ACCOUNT_R0_SEED "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI"
#define ACCOUNT_R0 "AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV"
#define ACCOUNT_R1_SEED "SAAP77HZ63Z7B3PK47SODXW33DK5FT6MZHDMHQF5XK33JMNOVOUKLITBJM"
#define ACCOUNT_R1 "AAP7ISKFI6D2MMMSYCG3X5VJP3NWCWV2BOYWDCR65G42KXKGGGQF3CHT"
#define SERVER_R0_SEED "SNAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2D5U"
#define SERVER_R0 "NAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RSWB"
#define SERVER_R1_SEED "SNAP77HZ63Z7B3PK47SODXW33DK5FT6MZHDMHQF5XK33JMNOVOUKLIROTQ"
#define SERVER_R1 "NAP7ISKFI6D2MMMSYCG3X5VJP3NWCWV2BOYWDCR65G42KXKGGGQF27IH"
#define OPERATOR_R0_SEED "SOAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2AJA"
#define OPERATOR_R0 "OAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QZVT"
#define CLUSTER_R0_SEED "SCAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYO7Q"
#define CLUSTER_R0 "CAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3R53J"
#define CURVE_R0_SEED "SXAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H74KM"
#define CURVE_R0 "XCHUBRNNW2HSKYSK4WZBJ2TWPJXMSTMCTU6XWXQ22G5G6PRBHAUF76G7"
#define CURVE_R1_SEED "SXAP77HZ63Z7B3PK47SODXW33DK5FT6MZHDMHQF5XK33JMNOVOUKLIUREI"
#define CURVE_R1 "XAYIEE3BFLNWE655Y2UIXIFM2UPNO7WMZVAIYS4MG5WL2BL4ECZQCCXK"

#define USUAL_HEADER "{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}"

static inline struct eb_nkey *fixture_key(const char *seed) {
    struct eb_nkey *k = NULL;
    assert_int_equal(eb_nkey_from_seed(eb_str(seed), EB_NKEY_NONE, &k, NULL), EB_OK);
    return k;
}

static inline enum eb_rc fixture_sign(void *ctx, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]) {
    return eb_nkey_sign(ctx, msg, ret_sig);
}

/* A token of exactly these bytes, signed by the seed. */
static inline void fixture_token(struct eb_buf *to, struct eb_str header, struct eb_str payload,
                                 const char *seed) {
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(seed);
    uint8_t sig[EB_NKEY_SIG_LEN];
    eb_buf_reset(to);
    eb_buf_base64url(to, header.p, header.n);
    eb_buf_ch(to, '.');
    eb_buf_base64url(to, payload.p, payload.n);
    assert_int_equal(eb_nkey_sign(k, eb_buf_get(to), sig), EB_OK);
    eb_buf_ch(to, '.');
    eb_buf_base64url(to, sig, sizeof sig);
    assert_true(eb_buf_ok(to));
}

#endif
