#include "jose/verifier.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "base/cleanup.h"

struct eb_verifier {
    struct eb_verifier *next;
    enum eb_alg alg;
    EVP_MD *md;
    EVP_MD_CTX *hash;
    EVP_PKEY_CTX *key;
};

static void verifier_free(struct eb_verifier *v) {
    if (!v)
        return;
    EVP_PKEY_CTX_free(v->key);
    EVP_MD_CTX_free(v->hash);
    EVP_MD_free(v->md);
    free(v);
}
EB_DEFINE_CLEANUP(struct eb_verifier, verifier_free);

void eb_verifiers_init(struct eb_verifiers *pool) {
    *pool = (struct eb_verifiers){.idle = NULL};
    (void)pthread_mutex_init(&pool->lock, NULL);
}

void eb_verifiers_done(struct eb_verifiers *pool) {
    for (struct eb_verifier *v = pool->idle, *next; v; v = next) {
        next = v->next;
        verifier_free(v);
    }
    (void)pthread_mutex_destroy(&pool->lock);
}

static struct eb_verifier *verifier_new(EVP_PKEY *key, enum eb_alg alg) {
    EB_CLEANUP(verifier_freep) struct eb_verifier *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->alg = alg;
    v->md = EVP_MD_fetch(NULL, eb_alg_digest(alg), NULL);
    v->hash = EVP_MD_CTX_new();
    v->key = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    if (!v->md || !v->hash || !v->key || EVP_PKEY_verify_init(v->key) != 1)
        return NULL;
    if (eb_alg_kty(alg) == EB_KTY_RSA &&
        EVP_PKEY_CTX_set_rsa_padding(v->key,
                                     eb_alg_is_pss(alg) ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) != 1)
        return NULL;
    if (EVP_PKEY_CTX_set_signature_md(v->key, v->md) != 1)
        return NULL;
    if (eb_alg_is_pss(alg) && (EVP_PKEY_CTX_set_rsa_mgf1_md(v->key, v->md) != 1 ||
                               EVP_PKEY_CTX_set_rsa_pss_saltlen(v->key, RSA_PSS_SALTLEN_DIGEST) != 1))
        return NULL;
    return EB_TAKE(v);
}

static struct eb_verifier *take(struct eb_verifiers *pool, enum eb_alg alg) {
    EB_LOCKED(&pool->lock);
    for (struct eb_verifier **at = &pool->idle; *at; at = &(*at)->next) {
        struct eb_verifier *v = *at;
        if (v->alg == alg) {
            *at = v->next;
            pool->idle_n--;
            return v;
        }
    }
    return NULL;
}

/* Gives *v back; leaves it to the caller where enough are kept. */
static void give_back(struct eb_verifiers *pool, struct eb_verifier **v) {
    EB_LOCKED(&pool->lock);
    if (pool->idle_n == EB_VERIFIERS_KEPT)
        return;
    (*v)->next = pool->idle;
    pool->idle = EB_TAKE(*v);
    pool->idle_n++;
}

enum eb_rc eb_verifiers_check(struct eb_verifiers *pool, EVP_PKEY *key, enum eb_alg alg, struct eb_str text,
                              struct eb_str sig, struct eb_err *reterr) {
    EB_CLEANUP(verifier_freep) struct eb_verifier *v = take(pool, alg);
    if (!v)
        v = verifier_new(key, alg);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_n = 0;
    if (!v || EVP_DigestInit_ex2(v->hash, v->md, NULL) != 1 ||
        EVP_DigestUpdate(v->hash, text.p, text.n) != 1 ||
        EVP_DigestFinal_ex(v->hash, digest, &digest_n) != 1) {
        ERR_clear_error();
        return EB_FAIL(reterr, EB_E_NOMEM, "no memory for verifying a signature");
    }
    if (EVP_PKEY_verify(v->key, (const unsigned char *)sig.p, sig.n, digest, digest_n) != 1) {
        ERR_clear_error();
        return EB_FAIL(reterr, EB_E_BAD_SIGNATURE, "the %s signature does not fit the key", eb_alg_name(alg));
    }
    give_back(pool, &v);
    return EB_OK;
}
