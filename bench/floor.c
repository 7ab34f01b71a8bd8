/*
 * The floor: the cryptography that a callout cannot avoid, on all cores at once, by the fastest calls of the
 * libraries that the service uses. One Ed25519 verification (the request), two Ed25519 signatures (user JWT
 * and answer), one opening and one sealing with the shared key at hand, and the credential's own check. On
 * bytes of the sizes that real requests and answers of the kind have.
 */
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "answer.h"
#include "base/base64url.h"
#include "credential.h"
#include "natsjwt/callout.h"
#include "tool.h"

enum { THREADS_MAX = 256, LEAVES = 64 };

/* What one round works on. */
struct work {
    enum kind kind;
    struct eb_buf request, user_jwt, answer; /* plain texts */
    unsigned char sealed[65536], seed_key[crypto_sign_SECRETKEYBYTES];
    unsigned char server_key[crypto_sign_PUBLICKEYBYTES], request_sig[crypto_sign_BYTES];
    unsigned char nonce_key[crypto_sign_PUBLICKEYBYTES], nonce_sig[crypto_sign_BYTES];
    unsigned char box_key[crypto_box_BEFORENMBYTES], box_nonce[crypto_box_NONCEBYTES];
    struct eb_buf leaves[LEAVES]; /* DER */
    struct eb_str token;          /* signing input */
    unsigned char token_sig[512];
    size_t token_sig_n;
    X509_STORE *store;
    EVP_PKEY *token_key;
};

static void must(bool ok, const char *what) {
    if (!ok)
        die("floor: %s failed", what);
}

static enum eb_rc sign_by(void *ctx, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]) {
    return eb_nkey_sign(ctx, msg, ret_sig);
}

static void prepare_credential(const struct site *s, const struct maker *m, enum kind kind, struct work *w) {
    struct eb_str rest = eb_buf_get(&m->tokens[0]);
    const char *last = memrchr(rest.p, '.', rest.n);
    w->token = eb_str_n(rest.p, (size_t)(last - rest.p));
    must(eb_base64url_decode(w->token_sig, sizeof w->token_sig, eb_str_n(last + 1, rest.n - w->token.n - 1),
                             &w->token_sig_n) == EB_OK,
         "the token");
    w->token_key = kind == KIND_KUBE_ES256 ? s->token_key_es : s->token_key;
    if (kind == KIND_KUBE_ES256) {
        unsigned char der[80];
        must(w->token_sig_n == 64, "the token");
        w->token_sig_n = credential_der(w->token_sig, der);
        memcpy(w->token_sig, der, w->token_sig_n);
    }
    for (size_t i = 0; i < LEAVES; i++)
        credential_leaf(s, i + 2, &w->leaves[i], NULL);
    w->store = X509_STORE_new();
    must(w->store && X509_STORE_add_cert(w->store, s->ca) == 1, "the CA");
    memcpy(w->nonce_key, eb_nkey_public_raw(s->client), sizeof w->nonce_key);
    must(eb_nkey_sign(s->client, EB_STR("floor-nonce-000"), w->nonce_sig) == EB_OK, "the nonce");
}

static void prepare(const struct site *s, const struct maker *m, enum kind kind, struct work *w) {
    char user[EB_NKEY_PUBLIC_LEN + 1];
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES], seed[crypto_sign_SEEDBYTES];
    *w = (struct work){.kind = kind};
    request_text(m, kind, 1, 50, user, &w->request);
    const struct eb_user_claims claims = {
        .issuer = eb_str(eb_nkey_public(s->issuer)),
        .user_nkey = eb_str(user),
        .account = EB_STR(BENCH_ACCOUNT),
        .name = eb_str(kind_entry(kind)),
        .grants_json = EB_STR("\"pub\":{\"allow\":" BENCH_PUB "},\"sub\":{\"allow\":" BENCH_SUB "}"),
        .iat = wall_s(),
        .exp = wall_s() + 3600};
    need(eb_user_jwt_write(&w->user_jwt, &claims, sign_by, s->issuer), NULL, "a user JWT");
    need(eb_auth_response_write(&w->answer, claims.issuer, eb_str(eb_nkey_public(s->server)),
                                claims.user_nkey, eb_buf_get(&w->user_jwt), EB_STR_NONE, claims.iat, sign_by,
                                s->issuer),
         NULL, "an answer");
    randombytes_buf(seed, sizeof seed);
    (void)crypto_sign_seed_keypair(public_key, w->seed_key, seed);
    memcpy(w->server_key, public_key, sizeof w->server_key);
    (void)crypto_sign_detached(w->request_sig, NULL, (const unsigned char *)w->request.p, w->request.n,
                               w->seed_key);
    randombytes_buf(w->box_key, sizeof w->box_key);
    randombytes_buf(w->box_nonce, sizeof w->box_nonce);
    must(w->request.n + crypto_box_MACBYTES <= sizeof w->sealed, "the request's size");
    (void)crypto_box_easy_afternm(w->sealed, (const unsigned char *)w->request.p, w->request.n, w->box_nonce,
                                  w->box_key);
    prepare_credential(s, m, kind, w);
}

static void done(struct work *w) {
    eb_buf_done(&w->request);
    eb_buf_done(&w->user_jwt);
    eb_buf_done(&w->answer);
    for (size_t i = 0; i < LEAVES; i++)
        eb_buf_done(&w->leaves[i]);
    X509_STORE_free(w->store);
}

/* A thread's own OpenSSL contexts. */
struct contexts {
    EVP_MD *sha256;
    EVP_MD_CTX *md;
    EVP_PKEY_CTX *token;
};

static void check_token(const struct work *w, struct contexts *c) {
    unsigned char digest[32];
    must(EVP_DigestInit_ex2(c->md, c->sha256, NULL) == 1 &&
             EVP_DigestUpdate(c->md, w->token.p, w->token.n) == 1 &&
             EVP_DigestFinal_ex(c->md, digest, NULL) == 1 &&
             EVP_PKEY_verify(c->token, w->token_sig, w->token_sig_n, digest, sizeof digest) == 1,
         "the token's signature");
}

static void check_chain(const struct work *w, size_t n) {
    const unsigned char *der = (const unsigned char *)w->leaves[n % LEAVES].p;
    X509 *leaf = d2i_X509(NULL, &der, (long)w->leaves[n % LEAVES].n);
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    must(leaf && ctx && X509_STORE_CTX_init(ctx, w->store, leaf, NULL) == 1 &&
             X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) == 1 && X509_verify_cert(ctx) == 1,
         "the chain");
    X509_STORE_CTX_free(ctx);
    X509_free(leaf);
}

static void one(const struct work *w, struct contexts *c, size_t n) {
    unsigned char plain[65536], sig[crypto_sign_BYTES];
    must(crypto_box_open_easy_afternm(plain, w->sealed, w->request.n + crypto_box_MACBYTES, w->box_nonce,
                                      w->box_key) == 0,
         "opening");
    must(crypto_sign_verify_detached(w->request_sig, plain, w->request.n, w->server_key) == 0, "Ed25519");
    switch (w->kind) {
    case KIND_OAUTH2:
    case KIND_KUBE_RS256:
    case KIND_KUBE_ES256: check_token(w, c); break;
    case KIND_MTLS: check_chain(w, n); break;
    case KIND_NKEY:
        must(crypto_sign_verify_detached(w->nonce_sig, (const unsigned char *)"floor-nonce-000", 15,
                                         w->nonce_key) == 0,
             "nonce");
        break;
    case KIND_MTLS_AGAIN:
    case KIND_NOAUTH:
    case KINDS: break;
    }
    (void)crypto_sign_detached(sig, NULL, (const unsigned char *)w->user_jwt.p, w->user_jwt.n, w->seed_key);
    (void)crypto_sign_detached(sig, NULL, (const unsigned char *)w->answer.p, w->answer.n, w->seed_key);
    (void)crypto_box_easy_afternm(plain, (const unsigned char *)w->answer.p, w->answer.n, w->box_nonce,
                                  w->box_key);
}

struct thread {
    const struct work *w;
    pthread_barrier_t *start;
    pthread_t id;
    int64_t until_ms, ops, cpu_ns;
};

static int64_t thread_cpu_ns(void) {
    struct rusage u;
    (void)getrusage(RUSAGE_THREAD, &u);
    return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * SECOND_NS +
           (int64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

static void *thread_main(void *arg) {
    struct thread *t = arg;
    struct contexts c = {EVP_MD_fetch(NULL, "SHA2-256", NULL), EVP_MD_CTX_new(),
                         EVP_PKEY_CTX_new_from_pkey(NULL, t->w->token_key, NULL)};
    must(c.sha256 && c.md && c.token && EVP_PKEY_verify_init(c.token) == 1 &&
             (EVP_PKEY_is_a(t->w->token_key, "EC") ||
              EVP_PKEY_CTX_set_rsa_padding(c.token, RSA_PKCS1_PADDING) == 1) &&
             EVP_PKEY_CTX_set_signature_md(c.token, c.sha256) == 1,
         "OpenSSL's contexts");
    one(t->w, &c, 0);
    (void)pthread_barrier_wait(t->start);
    int64_t until = mono_ns() + t->until_ms * MS_NS, from = thread_cpu_ns();
    for (; mono_ns() < until; t->ops++)
        one(t->w, &c, (size_t)t->ops);
    t->cpu_ns = thread_cpu_ns() - from;
    EVP_PKEY_CTX_free(c.token);
    EVP_MD_CTX_free(c.md);
    EVP_MD_free(c.sha256);
    return NULL;
}

static double measure(const struct work *w, size_t n, int64_t ms) {
    struct thread threads[THREADS_MAX];
    pthread_barrier_t start;
    (void)pthread_barrier_init(&start, NULL, (unsigned)n);
    for (size_t i = 0; i < n; i++) {
        threads[i] = (struct thread){.w = w, .start = &start, .until_ms = ms};
        must(pthread_create(&threads[i].id, NULL, thread_main, &threads[i]) == 0, "a thread");
    }
    int64_t ops = 0, cpu = 0;
    for (size_t i = 0; i < n; i++) {
        (void)pthread_join(threads[i].id, NULL);
        ops += threads[i].ops;
        cpu += threads[i].cpu_ns;
    }
    (void)pthread_barrier_destroy(&start);
    return (double)cpu / 1000 / (double)ops;
}

int main(int argc, char **argv) {
    static const char *const names[] = {"dir", "ms", "kind"};
    const struct flags f = flags_of(argc, argv, names, EB_COUNT_OF(names));
    struct site s;
    struct maker m;
    static struct work w;
    must(sodium_init() >= 0, "libsodium");
    site_open(flag_text(&f, "dir", NULL), &s);
    int64_t ms = flag_int(&f, "ms", 1000, 10, 60000);
    const char *only = flag_text(&f, "kind", "");
    enum kind first = *only ? kind_of(only) : 0, last = *only ? first : KINDS - 1;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (size_t)cores;
    (void)printf("{\"cores\":%zu", n);
    for (enum kind k = first; k <= last; k++) {
        maker_open(&s, k, 1, &m);
        prepare(&s, &m, k, &w);
        (void)printf(",\"%s\":%.2f", kind_name(k), measure(&w, n, ms));
        done(&w);
        maker_done(&m);
    }
    (void)printf("}\n");
    site_done(&s);
    return 0;
}
