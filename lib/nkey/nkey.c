#include "nkey/nkey.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "nkey/base32.h"
#include "nkey/crc16.h"
#include "nkey/internal.h"

enum { PUBLIC_BYTES = 1 + EB_NKEY_RAW_LEN + 2, PRIVATE_LEN = 108 };
_Static_assert(EB_BASE32_LEN(PUBLIC_BYTES) == EB_NKEY_PUBLIC_LEN, "length of a public key's text");
_Static_assert(EB_NKEY_SIG_LEN == crypto_sign_BYTES, "length of a signature");

static const struct {
    const char *name;
    uint8_t prefix;
    char letter;
} kinds[] = {
    [EB_NKEY_NONE] = {"none", 0xff, '?'},
    [EB_NKEY_ACCOUNT] = {"account", 0 << 3, 'A'},
    [EB_NKEY_CLUSTER] = {"cluster", 2 << 3, 'C'},
    [EB_NKEY_SERVER] = {"server", 13 << 3, 'N'},
    [EB_NKEY_OPERATOR] = {"operator", 14 << 3, 'O'},
    [EB_NKEY_USER] = {"user", 20 << 3, 'U'},
    [EB_NKEY_CURVE] = {"curve", 23 << 3, 'X'},
};

static enum eb_nkey_kind known(enum eb_nkey_kind kind) {
    return kind < EB_COUNT_OF(kinds) ? kind : EB_NKEY_NONE;
}

const char *eb_nkey_kind_name(enum eb_nkey_kind kind) {
    return kinds[known(kind)].name;
}

char eb_nkey_kind_letter(enum eb_nkey_kind kind) {
    return kinds[known(kind)].letter;
}

uint8_t eb_nkey_prefix(enum eb_nkey_kind kind) {
    return kinds[known(kind)].prefix;
}

enum eb_nkey_kind eb_nkey_of_prefix(uint8_t prefix) {
    for (size_t i = EB_NKEY_NONE + 1; i < EB_COUNT_OF(kinds); i++)
        if (kinds[i].prefix == prefix)
            return (enum eb_nkey_kind)i;
    return EB_NKEY_NONE;
}

/* The text is quoted nowhere: somebody may have pasted a secret in its place. */
static enum eb_rc refuse_shape(struct eb_str text, size_t bad, struct eb_err *reterr) {
    if (text.n == 0)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "empty where a public key is expected");
    if (text.n == EB_NKEY_SEED_LEN && text.p[0] == 'S')
        return EB_FAIL(reterr, EB_E_BAD_KEY, "this is a seed, which is secret: write its public key instead");
    if (text.n == PRIVATE_LEN && text.p[0] == 'P')
        return EB_FAIL(reterr, EB_E_BAD_KEY,
                       "this is a private key, which is secret: write its public key instead");
    if (text.n != EB_NKEY_PUBLIC_LEN)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "%zu characters long, a public key has %d", text.n,
                       EB_NKEY_PUBLIC_LEN);
    if (text.p[bad] >= 'a' && text.p[bad] <= 'z')
        return EB_FAIL(reterr, EB_E_BAD_KEY, "character %zu is lower case, keys are upper case", bad + 1);
    return EB_FAIL(reterr, EB_E_BAD_KEY, "character %zu is none of A-Z and 2-7", bad + 1);
}

enum eb_rc eb_nkey_public_decode(struct eb_str text, enum eb_nkey_kind want, enum eb_nkey_kind *ret_kind,
                                 uint8_t ret_key[EB_NKEY_RAW_LEN], struct eb_err *reterr) {
    uint8_t b[PUBLIC_BYTES];
    size_t bad;
    if (eb_base32_decode(b, sizeof b, text, &bad) != EB_OK)
        return refuse_shape(text, bad, reterr);
    if (eb_crc16(b, sizeof b - 2) != (b[PUBLIC_BYTES - 2] | b[PUBLIC_BYTES - 1] << 8))
        return EB_FAIL(reterr, EB_E_BAD_KEY, "the checksum does not fit: a character is wrong");
    enum eb_nkey_kind kind = eb_nkey_of_prefix(b[0]);
    if (kind == EB_NKEY_NONE)
        return EB_FAIL(reterr, EB_E_BAD_KEY, "well-formed, but of no known kind of public key");
    if (want != EB_NKEY_NONE && kind != want)
        return EB_FAIL(reterr, EB_E_BAD_KEY,
                       "a key of kind %s (%c...), where one of kind %s (%c...) is needed",
                       eb_nkey_kind_name(kind), eb_nkey_kind_letter(kind), eb_nkey_kind_name(want),
                       eb_nkey_kind_letter(want));
    if (ret_kind)
        *ret_kind = kind;
    memcpy(ret_key, b + 1, EB_NKEY_RAW_LEN);
    return EB_OK;
}

void eb_nkey_public_encode(enum eb_nkey_kind kind, const uint8_t key[EB_NKEY_RAW_LEN],
                           char to[EB_NKEY_PUBLIC_LEN + 1]) {
    uint8_t b[PUBLIC_BYTES];
    b[0] = eb_nkey_prefix(kind);
    memcpy(b + 1, key, EB_NKEY_RAW_LEN);
    uint16_t crc = eb_crc16(b, sizeof b - 2);
    b[PUBLIC_BYTES - 2] = (uint8_t)crc;
    b[PUBLIC_BYTES - 1] = (uint8_t)(crc >> 8);
    eb_base32_encode(to, b, sizeof b);
    to[EB_NKEY_PUBLIC_LEN] = '\0';
}

enum eb_rc eb_nkey_of_raw(enum eb_nkey_kind kind, const uint8_t seed[EB_NKEY_RAW_LEN], struct eb_nkey **ret) {
    if (known(kind) == EB_NKEY_NONE)
        return EB_E_INVALID;
    if (sodium_init() < 0)
        return EB_E_INTERNAL;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = calloc(1, sizeof *k);
    if (!k)
        return EB_E_NOMEM;
    k->kind = kind;
    uint8_t secret[EB_NKEY_SECRET_LEN];
    int failed;
    if (kind == EB_NKEY_CURVE) {
        memcpy(secret, seed, EB_NKEY_RAW_LEN);
        failed = crypto_scalarmult_base(k->raw, secret);
    } else {
        failed = crypto_sign_seed_keypair(k->raw, secret, seed);
    }
    if (!failed)
        k->secret = eb_secret_new(secret, kind == EB_NKEY_CURVE ? EB_NKEY_RAW_LEN : EB_NKEY_SECRET_LEN);
    sodium_memzero(secret, sizeof secret);
    if (failed)
        return EB_E_INTERNAL;
    if (!k->secret)
        return EB_E_NOMEM;
    eb_nkey_public_encode(kind, k->raw, k->text);
    *ret = EB_TAKE(k);
    return EB_OK;
}

enum eb_rc eb_nkey_generate(enum eb_nkey_kind kind, struct eb_nkey **ret) {
    if (sodium_init() < 0)
        return EB_E_INTERNAL;
    uint8_t seed[EB_NKEY_RAW_LEN];
    randombytes_buf(seed, sizeof seed);
    enum eb_rc rc = eb_nkey_of_raw(kind, seed, ret);
    sodium_memzero(seed, sizeof seed);
    return rc;
}

void eb_nkey_free(struct eb_nkey *k) {
    if (!k)
        return;
    eb_secret_free(k->secret);
    free(k);
}

enum eb_nkey_kind eb_nkey_kind(const struct eb_nkey *k) {
    return k->kind;
}

const char *eb_nkey_public(const struct eb_nkey *k) {
    return k->text;
}

const uint8_t *eb_nkey_public_raw(const struct eb_nkey *k) {
    return k->raw;
}

/*
 * libsodium signs and verifies; OpenSSL was measured beside it with prepared keys and contexts and took more
 * than twice the time for either, besides keeping its copy of the seed in ordinary memory.
 */
enum eb_rc eb_nkey_sign(const struct eb_nkey *k, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]) {
    if (k->kind == EB_NKEY_CURVE)
        return EB_E_INVALID;
    const unsigned char *secret = (const unsigned char *)eb_secret_get(k->secret).p;
    int failed =
        crypto_sign_detached(ret_sig, NULL, (const unsigned char *)(msg.p ? msg.p : ""), msg.n, secret);
    return failed ? EB_E_INTERNAL : EB_OK;
}

/* What a signature is made from, wiped together. */
struct randomized {
    unsigned char expanded[crypto_hash_sha512_BYTES]; /* the scalar's bytes, and the prefix */
    unsigned char wide[crypto_core_ed25519_NONREDUCEDSCALARBYTES];
    unsigned char noise[64];
    unsigned char a[crypto_core_ed25519_SCALARBYTES], r[crypto_core_ed25519_SCALARBYTES];
    crypto_hash_sha512_state hash;
};

/* RFC 8032 5.1.6, but with noise in front of what r is hashed from: whoever knows the noise (a poor source of
 * randomness) is where he was with the RFC's own r. */
static enum eb_rc sign_randomized(struct randomized *w, const unsigned char secret[64], struct eb_str msg,
                                  uint8_t sig[EB_NKEY_SIG_LEN]) {
    const unsigned char *text = (const unsigned char *)(msg.p ? msg.p : "");
    (void)crypto_hash_sha512(w->expanded, secret, crypto_sign_SEEDBYTES);
    memcpy(w->wide, w->expanded, crypto_core_ed25519_SCALARBYTES); /* the rest is 0 */
    w->wide[0] &= 248;
    w->wide[31] = (unsigned char)((w->wide[31] & 63) | 64);
    crypto_core_ed25519_scalar_reduce(w->a, w->wide);

    randombytes_buf(w->noise, sizeof w->noise);
    (void)crypto_hash_sha512_init(&w->hash);
    (void)crypto_hash_sha512_update(&w->hash, w->noise, sizeof w->noise);
    (void)crypto_hash_sha512_update(&w->hash, w->expanded + 32, 32);
    (void)crypto_hash_sha512_update(&w->hash, text, msg.n);
    (void)crypto_hash_sha512_final(&w->hash, w->wide);
    crypto_core_ed25519_scalar_reduce(w->r, w->wide);
    if (crypto_scalarmult_ed25519_base_noclamp(sig, w->r) != 0)
        return EB_E_INTERNAL;

    unsigned char *s = sig + crypto_core_ed25519_BYTES;
    (void)crypto_hash_sha512_init(&w->hash);
    (void)crypto_hash_sha512_update(&w->hash, sig, crypto_core_ed25519_BYTES);
    (void)crypto_hash_sha512_update(&w->hash, secret + crypto_sign_SEEDBYTES, crypto_sign_PUBLICKEYBYTES);
    (void)crypto_hash_sha512_update(&w->hash, text, msg.n);
    (void)crypto_hash_sha512_final(&w->hash, w->wide);
    crypto_core_ed25519_scalar_reduce(s, w->wide);
    crypto_core_ed25519_scalar_mul(s, s, w->a);
    crypto_core_ed25519_scalar_add(s, s, w->r);
    return EB_OK;
}

enum eb_rc eb_nkey_sign_randomized(const struct eb_nkey *k, struct eb_str msg,
                                   uint8_t ret_sig[EB_NKEY_SIG_LEN]) {
    if (k->kind == EB_NKEY_CURVE)
        return EB_E_INVALID;
    struct randomized w = {0};
    enum eb_rc rc = sign_randomized(&w, (const unsigned char *)eb_secret_get(k->secret).p, msg, ret_sig);
    sodium_memzero(&w, sizeof w);
    return rc;
}

enum eb_rc eb_nkey_verify(const uint8_t public_key[EB_NKEY_RAW_LEN], struct eb_str msg,
                          const uint8_t sig[EB_NKEY_SIG_LEN]) {
    int failed =
        crypto_sign_verify_detached(sig, (const unsigned char *)(msg.p ? msg.p : ""), msg.n, public_key);
    return failed ? EB_E_BAD_SIGNATURE : EB_OK;
}
