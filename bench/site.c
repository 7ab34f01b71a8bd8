#include "site.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "credential.h"
#include "tool.h"

static void close_filep(FILE **f) {
    if (*f)
        (void)fclose(*f);
}

char *site_path(const char *dir, const char *name) {
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_printf(&b, "%s/%s", dir, name);
    char *path = eb_buf_take(&b);
    if (!path)
        die("out of memory");
    return path;
}

void site_write(const char *dir, const char *name, struct eb_str text) {
    struct eb_err err = {0};
    eb_auto_free char *path = site_path(dir, name);
    need(eb_file_write(path, text, 0600, &err), &err, path);
}

static struct eb_nkey *open_nkey(const char *dir, const char *name, enum eb_nkey_kind kind) {
    struct eb_err err = {0};
    struct eb_nkey *k = NULL;
    eb_auto_free char *path = site_path(dir, name);
    if (access(path, F_OK) == 0) {
        need(eb_nkey_from_seed_file(path, kind, &k, &err), &err, path);
        return k;
    }
    need(eb_nkey_generate(kind, &k), NULL, "cannot make a key");
    EB_CLEANUP(eb_secret_freep) struct eb_secret *seed = eb_nkey_seed(k);
    eb_auto_buf struct eb_buf text = {.secret = true};
    eb_buf_str(&text, eb_secret_get(seed));
    eb_buf_printf(&text, "\n%s\n", eb_nkey_public(k));
    site_write(dir, name, eb_buf_get(&text));
    return k;
}

static EVP_PKEY *open_pem(const char *dir, const char *name, bool rsa) {
    eb_auto_free char *path = site_path(dir, name);
    EVP_PKEY *key = NULL;
    EB_CLEANUP(close_filep) FILE *f = fopen(path, "re");
    if (f) {
        key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    } else {
        key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
        (void)umask(077);
        f = fopen(path, "wxe");
        if (key && (!f || PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) != 1))
            die("%s: cannot be written", path);
    }
    if (!key)
        die("%s: no key", path);
    return key;
}

static X509 *open_ca(const char *dir, EVP_PKEY *key) {
    eb_auto_free char *path = site_path(dir, "ca.pem");
    EB_CLEANUP(close_filep) FILE *f = fopen(path, "re");
    X509 *ca = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    if (ca)
        return ca;
    ca = credential_ca(key);
    (void)umask(077);
    f = fopen(path, "wxe");
    if (!f || PEM_write_X509(f, ca) != 1)
        die("%s: cannot be written", path);
    return ca;
}

enum { P256_BYTES = 32 };

/* width: bytes that it is to have, 0 for as many as it needs. */
static void add_number(struct eb_buf *to, EVP_PKEY *key, const char *name, int width) {
    BIGNUM *n = NULL;
    unsigned char bytes[512];
    if (EVP_PKEY_get_bn_param(key, name, &n) != 1)
        die("the token key has no %s", name);
    int len = width ? BN_bn2binpad(n, bytes, width) : BN_bn2bin(n, bytes);
    BN_free(n);
    eb_buf_base64url(to, bytes, (size_t)len);
}

/* The set of an issuer; ec: NULL for one with the RSA key alone. */
static void write_jwks(const char *dir, const char *name, EVP_PKEY *rsa, EVP_PKEY *ec) {
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_z(&b, "{\"keys\":[{\"kty\":\"RSA\",\"use\":\"sig\",\"alg\":\"RS256\",\"kid\":\"" BENCH_KID
                 "\",\"n\":\"");
    add_number(&b, rsa, OSSL_PKEY_PARAM_RSA_N, 0);
    eb_buf_z(&b, "\",\"e\":\"");
    add_number(&b, rsa, OSSL_PKEY_PARAM_RSA_E, 0);
    if (ec) {
        eb_buf_z(&b, "\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":"
                     "\"" BENCH_CLUSTER_KID_ES "\",\"x\":\"");
        add_number(&b, ec, OSSL_PKEY_PARAM_EC_PUB_X, P256_BYTES);
        eb_buf_z(&b, "\",\"y\":\"");
        add_number(&b, ec, OSSL_PKEY_PARAM_EC_PUB_Y, P256_BYTES);
    }
    eb_buf_z(&b, "\"}]}\n");
    site_write(dir, name, eb_buf_get(&b));
}

void site_open(const char *dir, struct site *ret) {
    *ret = (struct site){
        .issuer = open_nkey(dir, "issuer.nk", EB_NKEY_ACCOUNT),
        .xkey = open_nkey(dir, "xkey.nk", EB_NKEY_CURVE),
        .service = open_nkey(dir, "service.nk", EB_NKEY_USER),
        .server = open_nkey(dir, "server.nk", EB_NKEY_SERVER),
        .server_xkey = open_nkey(dir, "server-xkey.nk", EB_NKEY_CURVE),
        .client = open_nkey(dir, "client.nk", EB_NKEY_USER),
        .token_key = open_pem(dir, "token-key.pem", true),
        .token_key_es = open_pem(dir, "token-key-es.pem", false),
        .ca_key = open_pem(dir, "ca-key.pem", false),
        .leaf_key = open_pem(dir, "leaf-key.pem", false),
    };
    ret->ca = open_ca(dir, ret->ca_key);
    eb_auto_free char *jwks = site_path(dir, "jwks.json");
    if (access(jwks, F_OK) != 0)
        write_jwks(dir, "jwks.json", ret->token_key, NULL);
    eb_auto_free char *cluster = site_path(dir, "cluster-jwks.json");
    if (access(cluster, F_OK) != 0)
        write_jwks(dir, "cluster-jwks.json", ret->token_key, ret->token_key_es);
}

void site_done(struct site *s) {
    struct eb_nkey *keys[] = {s->issuer, s->xkey, s->service, s->server, s->server_xkey, s->client};
    for (size_t i = 0; i < EB_COUNT_OF(keys); i++)
        eb_nkey_free(keys[i]);
    EVP_PKEY_free(s->token_key);
    EVP_PKEY_free(s->token_key_es);
    EVP_PKEY_free(s->ca_key);
    EVP_PKEY_free(s->leaf_key);
    X509_free(s->ca);
    *s = (struct site){0};
}
