/* The certificate that the operator brings for a site's mTLS server. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "secrets_check.h"

#define PEM_MAX ((size_t)1 << 20)      /* bytes of a file */
#define SOON ((int64_t)30 * 24 * 3600) /* seconds before its end that a certificate is warned about */

EB_DEFINE_CLEANUP(BIO, BIO_free_all);
EB_DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free);
EB_DEFINE_CLEANUP(X509_STORE, X509_STORE_free);
EB_DEFINE_CLEANUP(X509_STORE_CTX, X509_STORE_CTX_free);

static void certificates_free(STACK_OF(X509) * all) {
    sk_X509_pop_free(all, X509_free);
}
EB_DEFINE_CLEANUP(STACK_OF(X509), certificates_free);

struct files {
    char folder[4096];
    struct eb_buf ca, crt, key;
};

static void files_done(struct files *f) {
    eb_buf_done(&f->ca);
    eb_buf_done(&f->crt);
    eb_buf_done(&f->key);
}

static bool read_one(const struct files *f, const char *name, struct eb_buf *to,
                     struct eb_findings *findings) {
    eb_auto_buf struct eb_buf path = {0};
    struct eb_err err = {0};
    struct stat st;
    to->secret = true;
    eb_buf_printf(&path, "%s/%s", f->folder, name);
    if (!eb_buf_ok(&path))
        return false;
    if (stat(path.p, &st) < 0 && errno == ENOENT)
        eb_tree_say(findings, EB_ERROR, f->folder, name, "put it there; the three files make one secret",
                    "missing");
    else if (stat(path.p, &st) == 0 && !S_ISREG(st.st_mode))
        eb_tree_say(findings, EB_ERROR, f->folder, name, "put the file itself there", "not a file");
    else if (eb_file_read(path.p, PEM_MAX, to, &err) != EB_OK)
        eb_tree_say(findings, EB_ERROR, f->folder, name, "run this as the owner of the folder", "%s",
                    eb_str_starts(eb_str(err.text), eb_buf_get(&path)) ? err.text + path.n + 2 : err.text);
    else
        return true;
    return false;
}

static STACK_OF(X509) * certificates(struct eb_str pem) {
    EB_CLEANUP(certificates_freep) STACK_OF(X509) *all = sk_X509_new_null();
    EB_CLEANUP(BIO_free_allp) BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (!all || !in)
        return NULL;
    for (X509 *x; (x = PEM_read_bio_X509(in, NULL, NULL, NULL));)
        if (!sk_X509_push(all, x)) {
            X509_free(x);
            return NULL;
        }
    /* It ends for want of a further block, or at a damaged one. */
    bool whole = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return whole && sk_X509_num(all) > 0 ? EB_TAKE(all) : NULL;
}

/* Nobody is asked for the pass phrase of an encrypted key. */
static int no_phrase(char *buf, int size, int rwflag, void *u) {
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)u;
    return -1;
}

static bool key_fits(const struct files *f, X509 *leaf, struct eb_findings *findings) {
    EB_CLEANUP(BIO_free_allp) BIO *in = BIO_new_mem_buf(f->key.p, (int)f->key.n);
    EB_CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_phrase, NULL) : NULL;
    bool fits = key && X509_check_private_key(leaf, key) == 1;
    ERR_clear_error();
    if (!key)
        eb_tree_say(findings, EB_ERROR, f->folder, "tls.key", "put an unencrypted private key (PEM) there",
                    "no private key that can be read");
    else if (!fits)
        eb_tree_say(findings, EB_ERROR, f->folder, "tls.key",
                    "put the certificate and the key of one request there", "not the key of tls.crt");
    return fits;
}

static bool chain_good(const struct files *f, STACK_OF(X509) * chain, STACK_OF(X509) * cas, int64_t now_s,
                       struct eb_findings *findings) {
    EB_CLEANUP(X509_STORE_freep) X509_STORE *store = X509_STORE_new();
    EB_CLEANUP(X509_STORE_CTX_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool ready = store && ctx;
    for (int i = 0; ready && i < sk_X509_num(cas); i++)
        ready = X509_STORE_add_cert(store, sk_X509_value(cas, i)) == 1;
    if (!ready || X509_STORE_CTX_init(ctx, store, sk_X509_value(chain, 0), chain) != 1) {
        eb_tree_say(findings, EB_ERROR, f->folder, "tls.crt", NULL, "out of memory");
        return false;
    }
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
    (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    (void)X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
    bool good = X509_verify_cert(ctx) == 1;
    int error = X509_STORE_CTX_get_error(ctx);
    ERR_clear_error();
    if (good)
        return true;
    /* ca.crt is what clients' certificates are checked with. That the server's own is of the same CA is usual
     * only. */
    if (error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
        error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT || error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
        error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
        error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE) {
        eb_tree_say(findings, EB_WARNING, f->folder, "tls.crt",
                    "if ca.crt is meant to be its CA, put the right one there, or the missing intermediate "
                    "into tls.crt",
                    "its chain does not end in ca.crt");
        return true;
    }
    eb_tree_say(findings, EB_ERROR, f->folder, "tls.crt",
                "renew it for server authentication, with its intermediates behind",
                "%s (certificate %d of the chain)", X509_verify_cert_error_string(error),
                X509_STORE_CTX_get_error_depth(ctx) + 1);
    return false;
}

/* A certificate that has ended is told with its chain, unless the CA is another. */
static bool dates_good(const struct files *f, X509 *leaf, int64_t now_s, struct eb_findings *findings) {
    time_t now = (time_t)now_s, soon = (time_t)(now_s + SOON);
    if (X509_cmp_time(X509_get0_notAfter(leaf), &now) < 0) {
        eb_tree_say(findings, EB_ERROR, f->folder, "tls.crt", "renew it", "the certificate has expired");
        return false;
    }
    if (X509_cmp_time(X509_get0_notAfter(leaf), &soon) < 0)
        eb_tree_say(findings, EB_WARNING, f->folder, "tls.crt", "renew it",
                    "the certificate expires within 30 days");
    return true;
}

bool eb_tree_check_tls(const struct eb_tree_site *s, int64_t now_s, struct eb_findings *findings) {
    EB_CLEANUP(files_done) struct files f = {0};
    struct stat st;
    (void)snprintf(f.folder, sizeof f.folder, "%s/" EB_TREE_TLS, s->nkeys);
    if (lstat(f.folder, &st) < 0) {
        eb_tree_say(findings, EB_WARNING, f.folder, NULL,
                    "put ca.crt, tls.crt and tls.key of the mTLS server there, unless the site has none "
                    "(mtls.enabled: false)",
                    "missing");
        return false;
    }
    bool ca = read_one(&f, "ca.crt", &f.ca, findings), crt = read_one(&f, "tls.crt", &f.crt, findings);
    if (!read_one(&f, "tls.key", &f.key, findings) || !ca || !crt)
        return false;
    EB_CLEANUP(certificates_freep) STACK_OF(X509) *cas = certificates(eb_buf_get(&f.ca));
    EB_CLEANUP(certificates_freep) STACK_OF(X509) *chain = certificates(eb_buf_get(&f.crt));
    if (!cas)
        eb_tree_say(findings, EB_ERROR, f.folder, "ca.crt", "put the CA's certificate (PEM) there",
                    "no certificate, or a damaged one");
    if (!chain)
        eb_tree_say(findings, EB_ERROR, f.folder, "tls.crt",
                    "put the server's certificate (PEM) there, intermediates behind",
                    "no certificate, or a damaged one");
    if (!cas || !chain)
        return false;
    X509 *leaf = sk_X509_value(chain, 0);
    return key_fits(&f, leaf, findings) && dates_good(&f, leaf, now_s, findings) &&
           chain_good(&f, chain, cas, now_s, findings);
}
