#include "keys.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/base64url.h"
#include "base/file.h"
#include "base/num.h"

#define GENERATIONS_MAX 16
#define P256_BYTES 32
#define RSA_BITS 2048
#define PEM_MAX 16384

EB_DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free);
EB_DEFINE_CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free);
EB_DEFINE_CLEANUP(ECDSA_SIG, ECDSA_SIG_free);
EB_DEFINE_CLEANUP(BIGNUM, BN_free);
EB_DEFINE_CLEANUP(BIO, BIO_free_all);
EB_DEFINE_CLEANUP(DIR, closedir);

struct key {
    EVP_PKEY *pkey;
    char kid[20];
};
struct generation {
    int64_t number; /* part of the file names, counts up */
    struct key rsa, ec;
};
struct idp_keys {
    char dir[512];
    struct generation items[GENERATIONS_MAX]; /* oldest first */
    size_t n;
};

static void generation_done(struct generation *g) {
    EVP_PKEY_free(g->rsa.pkey);
    EVP_PKEY_free(g->ec.pkey);
    memset(g, 0, sizeof *g);
}

void idp_keys_free(struct idp_keys *k) {
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++)
        generation_done(&k->items[i]);
    free(k);
}

static void key_path(const struct idp_keys *k, int64_t number, const char *kind, char *to, size_t cap) {
    (void)snprintf(to, cap, "%s/key-%04lld-%s.pem", k->dir, (long long)number, kind);
}

/* The kid is made from the public key, so that it stays the same over restarts. */
static enum eb_rc name_key(struct key *key, const char *kind, struct eb_err *reterr) {
    unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
    const int n = i2d_PUBKEY(key->pkey, &der);
    const bool ok = n > 0 && EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    if (!ok)
        return EB_FAIL(reterr, EB_E_INTERNAL, "cannot hash a public key");
    (void)snprintf(key->kid, sizeof key->kid, "%s-%02x%02x%02x%02x%02x%02x", kind, digest[0], digest[1],
                   digest[2], digest[3], digest[4], digest[5]);
    return EB_OK;
}

static enum eb_rc load_key(const struct idp_keys *k, int64_t number, const char *kind, struct key *key,
                           struct eb_err *reterr) {
    char path[600];
    key_path(k, number, kind, path, sizeof path);
    eb_auto_buf struct eb_buf pem = {.secret = true};
    const enum eb_rc rc = eb_file_read(path, PEM_MAX, &pem, reterr);
    if (rc != EB_OK)
        return rc;
    EB_CLEANUP(BIO_free_allp) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (bio)
        key->pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    if (!key->pkey)
        return EB_FAIL(reterr, EB_E_BAD_KEY,
                       "%s holds no private key; remove it and its pair to get new ones", path);
    return name_key(key, kind, reterr);
}

static enum eb_rc save_key(const struct idp_keys *k, int64_t number, const char *kind, const struct key *key,
                           struct eb_err *reterr) {
    char path[600];
    key_path(k, number, kind, path, sizeof path);
    EB_CLEANUP(BIO_free_allp) BIO *bio = BIO_new(BIO_s_secmem());
    char *pem = NULL;
    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
        return EB_FAIL(reterr, EB_E_INTERNAL, "cannot write a private key as PEM");
    const long n = BIO_get_mem_data(bio, &pem);
    return eb_file_write(path, eb_str_n(pem, (size_t)n), 0600, reterr);
}

static enum eb_rc make_generation(struct idp_keys *k, struct eb_err *reterr) {
    if (k->n == GENERATIONS_MAX)
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "%d key generations are kept already: drop the old ones",
                       GENERATIONS_MAX);
    struct generation g = {.number = k->n ? k->items[k->n - 1].number + 1 : 1};
    g.rsa.pkey = EVP_RSA_gen(RSA_BITS);
    g.ec.pkey = EVP_EC_gen("P-256");
    enum eb_rc rc = g.rsa.pkey && g.ec.pkey ? EB_OK : EB_FAIL(reterr, EB_E_INTERNAL, "cannot make keys");
    if (rc == EB_OK)
        rc = name_key(&g.rsa, "rsa", reterr);
    if (rc == EB_OK)
        rc = name_key(&g.ec, "ec", reterr);
    if (rc == EB_OK)
        rc = save_key(k, g.number, "rsa", &g.rsa, reterr);
    if (rc == EB_OK)
        rc = save_key(k, g.number, "ec", &g.ec, reterr);
    if (rc != EB_OK) {
        generation_done(&g);
        return rc;
    }
    k->items[k->n++] = g;
    return EB_OK;
}

static int compare_numbers(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The numbers of the generations in the folder, sorted, newest last. */
static enum eb_rc list_generations(const char *dir, int64_t *numbers, size_t *n, struct eb_err *reterr) {
    EB_CLEANUP(closedirp) DIR *d = opendir(dir);
    if (!d)
        return EB_FAIL(reterr, EB_E_IO, "%s: %s", dir, strerror(errno));
    *n = 0;
    for (const struct dirent *e; (e = readdir(d));) {
        struct eb_str name = eb_str(e->d_name);
        if (!eb_str_starts(name, EB_STR("key-")) || !eb_str_ends(name, EB_STR("-rsa.pem")))
            continue;
        const struct eb_str digits = {name.p + 4, name.n - 12};
        if (*n < GENERATIONS_MAX && eb_num_i64(digits, 1, INT32_MAX, &numbers[*n]) == EB_OK)
            (*n)++;
    }
    qsort(numbers, *n, sizeof *numbers, compare_numbers);
    return EB_OK;
}

enum eb_rc idp_keys_open(const char *dir, struct idp_keys **ret, struct eb_err *reterr) {
    EB_CLEANUP(idp_keys_freep) struct idp_keys *k = calloc(1, sizeof *k);
    if (!k)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    if ((size_t)snprintf(k->dir, sizeof k->dir, "%s", dir) >= sizeof k->dir)
        return EB_FAIL(reterr, EB_E_INVALID, "the name of the state folder is longer than %zu bytes",
                       sizeof k->dir - 1);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return EB_FAIL(reterr, EB_E_IO, "%s: %s", dir, strerror(errno));
    int64_t numbers[GENERATIONS_MAX];
    size_t n = 0;
    enum eb_rc rc = list_generations(dir, numbers, &n, reterr);
    for (size_t i = 0; rc == EB_OK && i < n; i++) {
        struct generation *g = &k->items[k->n++];
        g->number = numbers[i];
        rc = load_key(k, g->number, "rsa", &g->rsa, reterr);
        if (rc == EB_OK)
            rc = load_key(k, g->number, "ec", &g->ec, reterr);
    }
    if (rc == EB_OK && k->n == 0)
        rc = make_generation(k, reterr);
    if (rc == EB_OK)
        *ret = EB_TAKE(k);
    return rc;
}

enum eb_rc idp_keys_rotate(struct idp_keys *k, bool drop_old, struct eb_err *reterr) {
    struct generation *oldest = &k->items[0];
    if (k->n == GENERATIONS_MAX && !drop_old)
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "%d key generations are kept already: drop the old ones",
                       GENERATIONS_MAX);
    if (k->n == GENERATIONS_MAX) {
        generation_done(oldest);
        memmove(oldest, oldest + 1, (k->n - 1) * sizeof *oldest);
        k->n--;
    }
    const enum eb_rc rc = make_generation(k, reterr);
    if (rc != EB_OK || !drop_old)
        return rc;
    for (; k->n > 1; k->n--) {
        char path[600];
        key_path(k, oldest->number, "rsa", path, sizeof path);
        (void)unlink(path);
        key_path(k, oldest->number, "ec", path, sizeof path);
        (void)unlink(path);
        generation_done(oldest);
        memmove(oldest, oldest + 1, (k->n - 1) * sizeof *oldest);
    }
    return EB_OK;
}

/* One number of a public key as base64url; width 0: as many bytes as it has. */
static int add_number(json_t *jwk, const char *name, const EVP_PKEY *pkey, const char *param, size_t width) {
    EB_CLEANUP(BN_freep) BIGNUM *bn = NULL;
    unsigned char bytes[RSA_BITS / 8];
    char text[RSA_BITS / 8 * 4 / 3 + 4];
    if (EVP_PKEY_get_bn_param(pkey, param, &bn) != 1 || (size_t)BN_num_bytes(bn) > sizeof bytes)
        return -1;
    const size_t n = width ? width : (size_t)BN_num_bytes(bn);
    if (BN_bn2binpad(bn, bytes, (int)n) < 0)
        return -1;
    eb_base64url_encode(text, bytes, n);
    return json_object_set_new(jwk, name, json_stringn(text, eb_base64url_len(n)));
}

static json_t *public_jwk(const struct key *key, bool rsa) {
    json_t *jwk = json_pack("{s:s s:s s:s s:s}", "kty", rsa ? "RSA" : "EC", "use", "sig", "alg",
                            rsa ? "RS256" : "ES256", "kid", key->kid);
    if (!jwk)
        return NULL;
    const int bad = rsa ? add_number(jwk, "n", key->pkey, OSSL_PKEY_PARAM_RSA_N, 0) ||
                              add_number(jwk, "e", key->pkey, OSSL_PKEY_PARAM_RSA_E, 0)
                        : json_object_set_new(jwk, "crv", json_string("P-256")) ||
                              add_number(jwk, "x", key->pkey, OSSL_PKEY_PARAM_EC_PUB_X, P256_BYTES) ||
                              add_number(jwk, "y", key->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, P256_BYTES);
    if (bad) {
        json_decref(jwk);
        return NULL;
    }
    return jwk;
}

json_t *idp_keys_jwks(const struct idp_keys *k) {
    json_t *list = json_array();
    for (size_t i = k->n; list && i-- > 0;) {
        if (json_array_append_new(list, public_jwk(&k->items[i].rsa, true)) ||
            json_array_append_new(list, public_jwk(&k->items[i].ec, false))) {
            json_decref(list);
            return NULL;
        }
    }
    return list ? json_pack("{s:o}", "keys", list) : NULL;
}

static const struct key *signing_key(const struct idp_keys *k, const char *alg) {
    const struct generation *newest = &k->items[k->n - 1];
    if (strcmp(alg, "RS256") == 0)
        return &newest->rsa;
    return strcmp(alg, "ES256") == 0 ? &newest->ec : NULL;
}

const char *idp_keys_kid(const struct idp_keys *k, const char *alg) {
    const struct key *key = signing_key(k, alg);
    return key ? key->kid : NULL;
}

enum eb_rc idp_keys_sign(const struct idp_keys *k, const char *alg, const void *p, size_t n,
                         struct eb_buf *to, struct eb_err *reterr) {
    const struct key *key = signing_key(k, alg);
    if (!key)
        return EB_FAIL(reterr, EB_E_INVALID, "no key for this algorithm");
    EB_CLEANUP(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char sig[RSA_BITS / 8];
    size_t sig_n = sizeof sig;
    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->pkey) != 1 ||
        EVP_DigestSign(ctx, sig, &sig_n, p, n) != 1)
        return EB_FAIL(reterr, EB_E_INTERNAL, "cannot sign");
    if (key == &k->items[k->n - 1].rsa) {
        eb_buf_base64url(to, sig, sig_n);
        return EB_OK;
    }
    const unsigned char *der = sig;
    EB_CLEANUP(ECDSA_SIG_freep) ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)sig_n);
    unsigned char raw[2 * P256_BYTES];
    if (!pair || BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, P256_BYTES) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + P256_BYTES, P256_BYTES) < 0)
        return EB_FAIL(reterr, EB_E_INTERNAL, "cannot write an ECDSA signature");
    eb_buf_base64url(to, raw, sizeof raw);
    return EB_OK;
}
