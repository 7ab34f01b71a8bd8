#include "cert/store.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "cert/leaf.h"
#include "cert/pem.h"

void eb_cert_store_unref(struct eb_cert_store *s) {
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    X509_STORE_free(s->x509);
    EVP_MD_free(s->sha256);
    eb_seen_free(s->seen);
    free(s->hashes);
    free(s);
}

struct eb_cert_store *eb_cert_store_ref(struct eb_cert_store *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

size_t eb_cert_store_count(const struct eb_cert_store *s) {
    return s->n;
}

int64_t eb_cert_store_until(const struct eb_cert_store *s) {
    return s->until_s;
}

X509 *eb_cert_from_der(const unsigned char *der, size_t n) {
    const unsigned char *at = der;
    EB_CLEANUP(X509_freep) X509 *x = n <= LONG_MAX ? d2i_X509(NULL, &at, (long)n) : NULL;
    /* The check fills the fields that OpenSSL derives from extensions, which several threads read later. */
    if (!x || at != der + n || X509_check_purpose(x, -1, 0) != 1) {
        ERR_clear_error();
        return NULL;
    }
    return EB_TAKE(x);
}

/* The certificate in a PEM block's text. */
static enum eb_rc read_cert(struct eb_str body, X509 **ret, unsigned char hash[EB_SEEN_HASH],
                            struct eb_err *reterr) {
    eb_auto_free unsigned char *der = NULL;
    size_t n = 0;
    enum eb_rc rc = eb_pem_bytes(body, &der, &n, reterr);
    if (rc != EB_OK)
        return rc;
    *ret = eb_cert_from_der(der, n);
    if (!*ret)
        return EB_FAIL(reterr, EB_E_MALFORMED, "no certificate that can be read");
    struct eb_str text = eb_str_n(der, n);
    eb_seen_hash(&text, 1, hash);
    return EB_OK;
}

/* Lowers *until_s to the end of x; 0 stands for nothing yet. */
static enum eb_rc note_until(const X509 *x, int64_t *until_s, struct eb_err *reterr) {
    int64_t mine = 0;
    enum eb_rc rc = eb_cert_time(X509_get0_notAfter(x), &mine, reterr);
    if (rc == EB_OK && (*until_s == 0 || mine < *until_s))
        *until_s = mine;
    return rc;
}

/* Adds the PEM block body; counts it in cas where it may sign certificates. */
static enum eb_rc add_ca(struct eb_cert_store *s, struct eb_str body, size_t *cas, struct eb_err *reterr) {
    EB_CLEANUP(X509_freep) X509 *x = NULL;
    unsigned char hash[EB_SEEN_HASH];
    enum eb_rc rc = read_cert(body, &x, hash, reterr);
    if (rc == EB_OK)
        rc = note_until(x, &s->until_s, reterr);
    if (rc != EB_OK)
        return rc;
    unsigned char(*grown)[EB_SEEN_HASH] = reallocarray(s->hashes, s->n + 1, sizeof *grown);
    if (!grown)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    s->hashes = grown;
    memcpy(s->hashes[s->n], hash, sizeof hash);
    if (X509_STORE_add_cert(s->x509, x) != 1) {
        ERR_clear_error();
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    }
    s->n++;
    *cas += X509_check_ca(x) != 0;
    return EB_OK;
}

static enum eb_rc store_new(struct eb_cert_store **ret, struct eb_err *reterr) {
    EB_CLEANUP(eb_cert_store_unrefp) struct eb_cert_store *s = calloc(1, sizeof *s);
    if (!s)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    atomic_init(&s->refs, 1);
    s->x509 = X509_STORE_new();
    s->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    s->seen = eb_seen_new();
    if (!s->x509 || !s->sha256 || !s->seen) {
        ERR_clear_error();
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    }
    *ret = EB_TAKE(s);
    return EB_OK;
}

enum eb_rc eb_cert_store_read(struct eb_str pem, struct eb_cert_store **ret, struct eb_err *reterr) {
    if (pem.n > EB_CERT_CA_MAX)
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "a CA file of %zu bytes, over the limit of %zu", pem.n,
                       EB_CERT_CA_MAX);
    EB_CLEANUP(eb_cert_store_unrefp) struct eb_cert_store *s = NULL;
    enum eb_rc rc = store_new(&s, reterr);
    size_t cas = 0;
    while (rc == EB_OK) {
        struct eb_str label = EB_STR_NONE, body = EB_STR_NONE;
        rc = eb_pem_next(&pem, &label, &body, reterr);
        if (rc != EB_OK || !label.p)
            break;
        if (!eb_str_eqz(label, "CERTIFICATE"))
            continue;
        rc = add_ca(s, body, &cas, reterr);
        if (rc != EB_OK)
            eb_err_prefix(reterr, "certificate %zu of the CA file", s->n + 1);
    }
    if (rc != EB_OK)
        return rc;
    if (s->n == 0)
        return EB_FAIL(reterr, EB_E_MALFORMED, "no PEM certificate in the CA file");
    if (cas == 0) /* it would shut every client out */
        return EB_FAIL(reterr, EB_E_MALFORMED, "no certificate in the CA file is a CA's (basic constraints)");
    *ret = EB_TAKE(s);
    return EB_OK;
}

enum eb_rc eb_cert_until(struct eb_str pem, int64_t *ret, struct eb_err *reterr) {
    if (pem.n > EB_CERT_CA_MAX)
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "a file of %zu bytes, over the limit of %zu", pem.n,
                       EB_CERT_CA_MAX);
    int64_t until_s = 0;
    for (;;) {
        struct eb_str label = EB_STR_NONE, body = EB_STR_NONE;
        enum eb_rc rc = eb_pem_next(&pem, &label, &body, reterr);
        if (rc == EB_OK && !label.p)
            break;
        if (rc == EB_OK && !eb_str_eqz(label, "CERTIFICATE"))
            continue;
        EB_CLEANUP(X509_freep) X509 *x = NULL;
        unsigned char hash[EB_SEEN_HASH];
        if (rc == EB_OK)
            rc = read_cert(body, &x, hash, reterr);
        if (rc == EB_OK)
            rc = note_until(x, &until_s, reterr);
        if (rc != EB_OK)
            return rc;
    }
    if (until_s == 0)
        return EB_FAIL(reterr, EB_E_MALFORMED, "no PEM certificate in the file");
    *ret = until_s;
    return EB_OK;
}
