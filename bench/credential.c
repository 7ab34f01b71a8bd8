#include "credential.h"

#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tool.h"

enum { HOUR_S = 3600, DAY_S = 86400, P256_BYTES = 32 };

static void must(int ok, const char *what) {
    if (ok <= 0)
        die("OpenSSL: %s failed", what);
}

static void add_extension(X509 *x, X509V3_CTX *ctx, int nid, const char *value) {
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    must(e && X509_add_ext(x, e, -1), "an extension");
    X509_EXTENSION_free(e);
}

static X509 *certificate(const char *cn, uint64_t serial, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
                         bool is_ca) {
    X509 *x = X509_new();
    must(x != NULL, "X509_new");
    must(X509_set_version(x, 2), "version");
    must(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial), "serial number");
    must(X509_gmtime_adj(X509_getm_notBefore(x), -HOUR_S) != NULL, "notBefore");
    must(X509_gmtime_adj(X509_getm_notAfter(x), 30 * DAY_S) != NULL, "notAfter");
    X509_NAME *name = X509_get_subject_name(x);
    must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0),
         "subject");
    must(X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : name), "issuer");
    must(X509_set_pubkey(x, key), "public key");
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer ? issuer : x, x, NULL, NULL, 0);
    add_extension(x, &ctx, NID_basic_constraints, is_ca ? "critical,CA:TRUE,pathlen:1" : "critical,CA:FALSE");
    add_extension(x, &ctx, NID_key_usage,
                  is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    if (!is_ca)
        add_extension(x, &ctx, NID_ext_key_usage, "clientAuth");
    add_extension(x, &ctx, NID_subject_key_identifier, "hash");
    if (issuer)
        add_extension(x, &ctx, NID_authority_key_identifier, "keyid");
    must(X509_sign(x, issuer_key, EVP_sha256()), "signing a certificate");
    return x;
}

X509 *credential_ca(EVP_PKEY *key) {
    return certificate("Event Bus bench CA", (uint64_t)mono_ns(), key, NULL, key, true);
}

void credential_leaf(const struct site *s, uint64_t serial, struct eb_buf *der, struct eb_buf *pem) {
    X509 *x = certificate(BENCH_CN, serial, s->leaf_key, s->ca, s->ca_key, false);
    if (der) {
        unsigned char *bytes = NULL;
        int n = i2d_X509(x, &bytes);
        must(n, "encoding a certificate");
        eb_buf_add(der, bytes, (size_t)n);
        OPENSSL_free(bytes);
    }
    if (pem) {
        BIO *bio = BIO_new(BIO_s_mem());
        must(bio && PEM_write_bio_X509(bio, x), "encoding a certificate");
        char *text = NULL;
        long n = BIO_get_mem_data(bio, &text);
        eb_buf_add(pem, text, (size_t)n);
        BIO_free(bio);
    }
    X509_free(x);
}

/* The signature of ES256 as tokens carry it: both numbers, 32 bytes each (RFC 7518 3.4). */
static size_t raw_of(unsigned char *sig, size_t n) {
    const unsigned char *at = sig;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)n);
    unsigned char raw[2 * P256_BYTES];
    must(pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, P256_BYTES) == P256_BYTES &&
             BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + P256_BYTES, P256_BYTES) == P256_BYTES,
         "an ECDSA signature");
    ECDSA_SIG_free(pair);
    memcpy(sig, raw, sizeof raw);
    return sizeof raw;
}

size_t credential_der(const unsigned char raw[2 * P256_BYTES], unsigned char *der) {
    ECDSA_SIG *pair = ECDSA_SIG_new();
    must(pair && ECDSA_SIG_set0(pair, BN_bin2bn(raw, P256_BYTES, NULL),
                                BN_bin2bn(raw + P256_BYTES, P256_BYTES, NULL)),
         "an ECDSA signature");
    int n = i2d_ECDSA_SIG(pair, &der);
    must(n, "an ECDSA signature");
    ECDSA_SIG_free(pair);
    return (size_t)n;
}

static void add_token(const char *header, const struct eb_buf *claims, EVP_PKEY *key, struct eb_buf *to) {
    size_t start = to->n;
    eb_buf_base64url(to, header, strlen(header));
    eb_buf_ch(to, '.');
    eb_buf_base64url(to, claims->p, claims->n);
    unsigned char sig[512];
    size_t sig_n = sizeof sig;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    must(md && EVP_DigestSignInit_ex(md, NULL, "SHA2-256", NULL, NULL, key, NULL), "signing a token");
    must(EVP_DigestSign(md, sig, &sig_n, (const unsigned char *)to->p + start, to->n - start),
         "signing a token");
    EVP_MD_CTX_free(md);
    if (EVP_PKEY_is_a(key, "EC"))
        sig_n = raw_of(sig, sig_n);
    eb_buf_ch(to, '.');
    eb_buf_base64url(to, sig, sig_n);
}

void credential_token(const struct site *s, uint64_t jti, struct eb_buf *to) {
    int64_t now = wall_s();
    eb_auto_buf struct eb_buf claims = {0};
    eb_buf_printf(&claims,
                  "{\"iss\":\"" BENCH_TOKEN_ISSUER "\",\"aud\":\"" BENCH_AUDIENCE "\",\"azp\":\"" BENCH_AZP
                  "\",\"client_id\":\"" BENCH_AZP
                  "\",\"sub\":\"6f1c7b2e-8f60-4a34-a41d-b7c2f84d9f10\",\"scope\":\"mqtt\",\"typ\":\"Bearer\","
                  "\"iat\":%lld,\"exp\":%lld,"
                  "\"jti\":\"5a7c90de-1b2f-4c3d-9e8f-%012llx\"}",
                  (long long)now, (long long)now + HOUR_S, (unsigned long long)jti);
    add_token("{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"" BENCH_KID "\"}", &claims, s->token_key, to);
}

void credential_sa_token(const struct site *s, bool es256, uint64_t jti, struct eb_buf *to) {
    int64_t now = wall_s();
    eb_auto_buf struct eb_buf claims = {0};
    eb_buf_printf(
        &claims,
        "{\"aud\":[\"" BENCH_CLUSTER_AUDIENCE "\"],\"exp\":%lld,\"iat\":%lld,\"iss\":\"" BENCH_CLUSTER_ISSUER
        "\",\"jti\":\"5a7c90de-1b2f-4c3d-9e8f-%012llx\",\"kubernetes.io\":{\"namespace\":"
        "\"" BENCH_SA_NAMESPACE
        "\",\"node\":{\"name\":\"worker-3\",\"uid\":\"77a4c1d2-7f0b-4b0e-8a6e-3a8d5a1f9c01\"},"
        "\"pod\":{\"name\":\"" BENCH_SA_NAME "-0\",\"uid\":\"2b8f2d53-93a7-4a9b-bb9d-6a8e8e9f5c77\"},"
        "\"serviceaccount\":{\"name\":\"" BENCH_SA_NAME "\",\"uid\":\"" BENCH_SA_UID
        "\"},\"warnafter\":%lld},\"nbf\":%lld,\"sub\":\"system:serviceaccount:" BENCH_SA_NAMESPACE
        ":" BENCH_SA_NAME "\"}",
        (long long)now + HOUR_S, (long long)now, (unsigned long long)jti, (long long)now + 3000,
        (long long)now);
    add_token(es256 ? "{\"alg\":\"ES256\",\"kid\":\"" BENCH_CLUSTER_KID_ES "\"}"
                    : "{\"alg\":\"RS256\",\"kid\":\"" BENCH_KID "\"}",
              &claims, es256 ? s->token_key_es : s->token_key, to);
}
