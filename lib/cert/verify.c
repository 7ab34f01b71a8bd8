#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "cert/leaf.h"
#include "cert/pem.h"
#include "cert/store.h"

/* OpenSSL's: at least 112 bits of security, so no RSA under 2048 bits, no SHA-1, no MD5. */
#define AUTH_LEVEL 2
/* A CA of the file ends the chain, self-signed or not. */
#define VERIFY_FLAGS X509_V_FLAG_PARTIAL_CHAIN

EB_DEFINE_CLEANUP(X509_STORE_CTX, X509_STORE_CTX_free);

/* The DER of the only PEM block of text, which must be a certificate's; the caller frees it. */
static enum eb_rc only_der(struct eb_str text, unsigned char **ret, size_t *ret_n, struct eb_err *reterr) {
    struct eb_str rest = eb_str_trim(text), label = EB_STR_NONE, body = EB_STR_NONE;
    if (text.n > EB_CERT_PEM_MAX)
        return EB_FAIL(reterr, EB_E_CERT_MALFORMED, "a certificate of %zu bytes, over the limit of %zu",
                       text.n, EB_CERT_PEM_MAX);
    enum eb_rc rc = EB_E_MALFORMED;
    if (eb_str_starts(rest, EB_STR("-----BEGIN CERTIFICATE-----")) &&
        eb_pem_next(&rest, &label, &body, NULL) == EB_OK && !rest.n)
        rc = eb_pem_bytes(body, ret, ret_n, NULL);
    if (rc == EB_E_NOMEM)
        return EB_FAIL(reterr, rc, "out of memory");
    return rc == EB_OK ? rc : EB_FAIL(reterr, EB_E_CERT_MALFORMED, "not one PEM certificate");
}

static bool is_ca(const struct eb_cert_store *s, const unsigned char hash[EB_SEEN_HASH]) {
    for (size_t i = 0; i < s->n; i++)
        if (memcmp(s->hashes[i], hash, EB_SEEN_HASH) == 0)
            return true;
    return false;
}

/* The certificates behind the leaf, as far as they are none of the store's CAs, which it knows better. */
struct untrusted {
    STACK_OF(X509) * x;
    unsigned char hashes[EB_CERT_CHAIN][EB_SEEN_HASH]; /* of x's members in their order */
};

static void untrusted_done(struct untrusted *u) {
    sk_X509_pop_free(u->x, X509_free);
}

static enum eb_rc add_untrusted(struct eb_cert_store *s, struct eb_str text, struct untrusted *to,
                                struct eb_err *reterr) {
    eb_auto_free unsigned char *der = NULL;
    size_t n = 0;
    enum eb_rc rc = only_der(text, &der, &n, reterr);
    if (rc != EB_OK)
        return rc;
    unsigned char *hash = to->hashes[sk_X509_num(to->x)];
    struct eb_str bytes = eb_str_n(der, n);
    eb_seen_hash(&bytes, 1, hash);
    if (is_ca(s, hash))
        return EB_OK;
    EB_CLEANUP(X509_freep) X509 *x = eb_seen_intermediate(s->seen, hash);
    if (!x)
        x = eb_cert_from_der(der, n);
    if (!x)
        return EB_FAIL(reterr, EB_E_CERT_MALFORMED, "a certificate of the chain that cannot be read");
    if (sk_X509_push(to->x, x) <= 0)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    x = NULL;
    return EB_OK;
}

static enum eb_rc rc_of(int error, int depth) {
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return EB_E_CERT_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID: return EB_E_CERT_NOT_YET_VALID;
    /* Of an intermediate it is an extended key usage that leaves client authentication out: the leaf has no
     * right to the purpose. */
    case X509_V_ERR_INVALID_PURPOSE: return EB_E_CERT_PURPOSE;
    case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
    case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD: return EB_E_CERT_MALFORMED;
    case X509_V_ERR_INVALID_EXTENSION: return depth == 0 ? EB_E_CERT_MALFORMED : EB_E_CERT_UNTRUSTED;
    case X509_V_ERR_OUT_OF_MEM: return EB_E_NOMEM;
    default: return EB_E_CERT_UNTRUSTED;
    }
}

/* The time in which every certificate of the chain is valid. */
static enum eb_rc common_time(const STACK_OF(X509) * chain, int64_t *ret_from, int64_t *ret_until,
                              struct eb_err *reterr) {
    int64_t from = INT64_MIN, until = INT64_MAX;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t a = 0, b = 0;
        enum eb_rc rc = eb_cert_time(X509_get0_notBefore(sk_X509_value(chain, i)), &a, reterr);
        if (rc == EB_OK)
            rc = eb_cert_time(X509_get0_notAfter(sk_X509_value(chain, i)), &b, reterr);
        if (rc != EB_OK)
            return rc;
        from = a > from ? a : from;
        until = b < until ? b : until;
    }
    *ret_from = from;
    *ret_until = until;
    return EB_OK;
}

static enum eb_rc verify(struct eb_cert_store *s, X509 *leaf, STACK_OF(X509) * untrusted, int64_t now_s,
                         int64_t *ret_from, int64_t *ret_until, struct eb_err *reterr) {
    EB_CLEANUP(X509_STORE_CTX_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (!ctx || X509_STORE_CTX_init(ctx, s->x509, leaf, untrusted) != 1) {
        ERR_clear_error();
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    }
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
    X509_VERIFY_PARAM_set_depth(param, EB_CERT_CHAIN);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    if (X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT) != 1 ||
        X509_VERIFY_PARAM_set_flags(param, VERIFY_FLAGS) != 1)
        return EB_FAIL(reterr, EB_E_INTERNAL, "the rules of a certificate check cannot be set");
    if (X509_verify_cert(ctx) != 1) {
        ERR_clear_error();
        int error = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx);
        return EB_FAIL(reterr, rc_of(error, depth), "certificate %d of the chain: %s", depth,
                       X509_verify_cert_error_string(error));
    }
    return common_time(X509_STORE_CTX_get0_chain(ctx), ret_from, ret_until, reterr);
}

static enum eb_rc fingerprint(const struct eb_cert_store *s, const unsigned char *der, size_t n, char ret[65],
                              struct eb_err *reterr) {
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned got = 0;
    if (EVP_Digest(der, n, digest, &got, s->sha256, NULL) != 1 || got != 32)
        return EB_FAIL(reterr, EB_E_NOMEM, "no memory for a fingerprint");
    for (size_t i = 0; i < got; i++) {
        ret[2 * i] = hex[digest[i] >> 4];
        ret[2 * i + 1] = hex[digest[i] & 15];
    }
    ret[64] = '\0';
    return EB_OK;
}

static enum eb_rc verify_unseen(struct eb_cert_store *s, const struct eb_str *chain, size_t chain_n,
                                int64_t now_s, const unsigned char hash[EB_SEEN_HASH],
                                struct eb_cert_leaf *ret, struct eb_err *reterr) {
    eb_auto_free unsigned char *der = NULL;
    size_t n = 0;
    enum eb_rc rc = only_der(chain[0], &der, &n, reterr);
    if (rc != EB_OK)
        return rc;
    EB_CLEANUP(X509_freep) X509 *leaf = eb_cert_from_der(der, n);
    if (!leaf)
        return EB_FAIL(reterr, EB_E_CERT_MALFORMED, "a certificate that cannot be read");
    EB_CLEANUP(untrusted_done) struct untrusted others = {.x = sk_X509_new_reserve(NULL, (int)chain_n)};
    if (!others.x)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    for (size_t i = 1; i < chain_n && rc == EB_OK; i++)
        rc = add_untrusted(s, chain[i], &others, reterr);
    int64_t from = 0, until = 0;
    if (rc == EB_OK)
        rc = verify(s, leaf, others.x, now_s, &from, &until, reterr);
    EB_CLEANUP(eb_cert_leaf_done) struct eb_cert_leaf found = {.ids = NULL};
    if (rc == EB_OK)
        rc = eb_cert_leaf_read(leaf, &found, reterr);
    if (rc == EB_OK)
        rc = fingerprint(s, der, n, found.sha256, reterr);
    if (rc != EB_OK)
        return rc;
    found.not_after = until; /* the trust ends with the first certificate of the chain that does */
    eb_seen_add_chain(s->seen, hash, from, until, &found);
    for (int i = 0; i < sk_X509_num(others.x); i++)
        eb_seen_add_intermediate(s->seen, others.hashes[i], sk_X509_value(others.x, i));
    *ret = found;
    found = (struct eb_cert_leaf){.ids = NULL};
    return EB_OK;
}

enum eb_rc eb_cert_verify(struct eb_cert_store *s, const struct eb_str *chain, size_t chain_n, int64_t now_s,
                          struct eb_cert_leaf *ret, struct eb_err *reterr) {
    if (chain_n == 0 || chain_n > EB_CERT_CHAIN)
        return EB_FAIL(reterr, EB_E_CERT_MALFORMED, "a chain of %zu certificates; 1 to %d are taken", chain_n,
                       EB_CERT_CHAIN);
    unsigned char hash[EB_SEEN_HASH];
    eb_seen_hash(chain, chain_n, hash);
    if (eb_seen_chain(s->seen, hash, now_s, ret))
        return EB_OK;
    return verify_unseen(s, chain, chain_n, now_s, hash, ret, reterr);
}
