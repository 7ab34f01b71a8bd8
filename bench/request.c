#include "request.h"

#include <sodium.h>

#include "credential.h"
#include "natsjwt/callout.h"
#include "tool.h"

enum { BUDGET_S = 50, NONCE_LEN = 11 }; /* a nonce of 11 bytes has 15 characters */

static const struct {
    const char *name, *entry;
} kinds[KINDS] = {
    [KIND_OAUTH2] = {"oauth2", "bench-oauth2"},
    [KIND_MTLS] = {"mtls", "bench-mtls"},
    [KIND_MTLS_AGAIN] = {"mtls-again", "bench-mtls"},
    [KIND_NKEY] = {"nkey", "bench-nkey"},
    [KIND_NOAUTH] = {"noauth", "noauth"},
    [KIND_KUBE_RS256] = {"kubernetes-rs256", BENCH_SA_NAMESPACE "_" BENCH_SA_NAME},
    [KIND_KUBE_ES256] = {"kubernetes-es256", BENCH_SA_NAMESPACE "_" BENCH_SA_NAME},
};

const char *kind_name(enum kind k) {
    return kinds[k].name;
}

const char *kind_entry(enum kind k) {
    return kinds[k].entry;
}

bool kind_is_kube(enum kind k) {
    return k == KIND_KUBE_RS256 || k == KIND_KUBE_ES256;
}

bool kind_is_token(enum kind k) {
    return k == KIND_OAUTH2 || kind_is_kube(k);
}

enum kind kind_of(const char *name) {
    for (enum kind k = 0; k < KINDS; k++)
        if (strcmp(name, kinds[k].name) == 0)
            return k;
    die("unknown kind %s", name);
}

static void pem_of(X509 *x, struct eb_buf *to) {
    unsigned char *der = NULL;
    int n = i2d_X509(x, &der);
    if (n <= 0)
        die("the CA certificate cannot be encoded");
    char line[96];
    eb_buf_z(to, "-----BEGIN CERTIFICATE-----\n");
    for (int at = 0; at < n; at += 48) {
        (void)sodium_bin2base64(line, sizeof line, der + at, (size_t)(n - at < 48 ? n - at : 48),
                                sodium_base64_VARIANT_ORIGINAL);
        eb_buf_printf(to, "%s\n", line);
    }
    eb_buf_z(to, "-----END CERTIFICATE-----\n");
    OPENSSL_free(der);
}

void maker_open(const struct site *s, enum kind kind, size_t tokens, struct maker *ret) {
    *ret = (struct maker){.site = s, .tokens = need_memory(tokens * sizeof *ret->tokens), .tokens_n = tokens};
    need(eb_xkey_shared_init(&ret->shared, s->server_xkey, eb_nkey_public_raw(s->xkey)), NULL, "xkey");
    for (size_t i = 0; i < tokens; i++)
        if (kind_is_kube(kind))
            credential_sa_token(s, kind == KIND_KUBE_ES256, i, &ret->tokens[i]);
        else
            credential_token(s, i, &ret->tokens[i]);
    credential_leaf(s, 1, NULL, &ret->again_pem);
    pem_of(s->ca, &ret->ca_pem);
}

void maker_done(struct maker *m) {
    for (size_t i = 0; i < m->tokens_n; i++)
        eb_buf_done(&m->tokens[i]);
    free(m->tokens);
    eb_buf_done(&m->again_pem);
    eb_buf_done(&m->ca_pem);
}

static enum eb_rc sign_by(void *ctx, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]) {
    return eb_nkey_sign(ctx, msg, ret_sig);
}

/* Public keys of users stand for themselves here: nobody checks that a secret belongs to one. */
static void fresh_user(char to[EB_NKEY_PUBLIC_LEN + 1]) {
    uint8_t raw[EB_NKEY_RAW_LEN];
    randombytes_buf(raw, sizeof raw);
    eb_nkey_public_encode(EB_NKEY_USER, raw, to);
}

static void add_nkey_login(const struct site *s, const char *nonce, struct eb_buf *to) {
    uint8_t sig[EB_NKEY_SIG_LEN];
    need(eb_nkey_sign(s->client, eb_str(nonce), sig), NULL, "signing a nonce");
    eb_buf_printf(to, "\"nkey\":\"%s\",\"sig\":\"", eb_nkey_public(s->client));
    eb_buf_base64url(to, sig, sizeof sig);
    eb_buf_z(to, "\",");
}

static void add_tls(const struct maker *m, enum kind kind, uint64_t n, struct eb_buf *to) {
    eb_auto_buf struct eb_buf fresh = {0};
    if (kind == KIND_MTLS)
        credential_leaf(m->site, n + 2, NULL, &fresh);
    eb_buf_z(
        to,
        ",\"client_tls\":{\"version\":\"1.3\",\"cipher\":\"TLS_AES_128_GCM_SHA256\",\"verified_chains\":[[");
    eb_buf_json_str(to, eb_buf_get(kind == KIND_MTLS ? &fresh : &m->again_pem), 0);
    eb_buf_ch(to, ',');
    eb_buf_json_str(to, eb_buf_get(&m->ca_pem), 0);
    eb_buf_z(to, "]]}");
}

void request_text(const struct maker *m, enum kind kind, uint64_t n, int64_t budget_s,
                  char ret_user[EB_NKEY_PUBLIC_LEN + 1], struct eb_buf *to) {
    const struct site *s = m->site;
    bool mtls = kind == KIND_MTLS || kind == KIND_MTLS_AGAIN;
    uint8_t noise[NONCE_LEN];
    char nonce[32];
    randombytes_buf(noise, sizeof noise);
    (void)sodium_bin2base64(nonce, sizeof nonce, noise, sizeof noise,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    fresh_user(ret_user);

    eb_auto_buf struct eb_buf b = {0};
    eb_buf_printf(&b,
                  "{\"server_id\":{\"name\":\"csc-main\",\"host\":\"127.0.0.1\",\"id\":\"%s\",\"version\":"
                  "\"2.15.1\",\"xkey\":\"%s\"},"
                  "\"user_nkey\":\"%s\",\"client_info\":{\"host\":\"127.0.0.1\",\"id\":%llu,",
                  eb_nkey_public(s->server), eb_nkey_public(s->server_xkey), ret_user,
                  (unsigned long long)n + 7);
    if (kind == KIND_NKEY)
        eb_buf_printf(&b, "\"user\":\"%s\",\"nonce\":\"%s\",", eb_nkey_public(s->client), nonce);
    else if (kind_is_token(kind))
        eb_buf_z(&b, "\"user\":\"[REDACTED]\",");
    if (mtls)
        eb_buf_printf(&b,
                      "\"kind\":\"Client\",\"type\":\"mqtt\",\"mqtt_id\":\"device-%llu\"},\"connect_opts\":{",
                      (unsigned long long)n);
    else
        eb_buf_z(&b, "\"kind\":\"Client\",\"type\":\"nats\"},\"connect_opts\":{");
    if (kind_is_token(kind))
        eb_buf_printf(&b, "\"auth_token\":\"%s\",", m->tokens[n % m->tokens_n].p);
    if (kind == KIND_NKEY)
        add_nkey_login(s, nonce, &b);
    eb_buf_z(&b, mtls ? "\"protocol\":0}"
                      : "\"name\":\"bench\",\"lang\":\"c\",\"version\":\"3.11.0\",\"protocol\":1}");
    if (mtls)
        add_tls(m, kind, n, &b);
    eb_buf_z(&b, ",\"type\":\"authorization_request\",\"version\":2}");
    if (!eb_buf_ok(&b))
        die("out of memory");
    int64_t now = wall_s();
    const struct eb_natsjwt_std std = {.aud = EB_STR("nats-authorization-request"),
                                       .iss = eb_str(eb_nkey_public(s->server)),
                                       .sub = eb_str(eb_nkey_public(s->issuer)),
                                       .iat = now,
                                       .exp = now + budget_s};
    need(eb_natsjwt_write(to, &std, eb_buf_get(&b), sign_by, s->server), NULL, "writing a request");
}

void request_make(const struct maker *m, enum kind kind, uint64_t n, struct request *ret) {
    *ret = (struct request){.kind = kind};
    eb_auto_buf struct eb_buf text = {0};
    request_text(m, kind, n, BUDGET_S, ret->user_nkey, &text);
    need(eb_xkey_seal(&m->shared, eb_buf_get(&text), &ret->sealed), NULL, "sealing a request");
}

void request_done(struct request *r) {
    eb_buf_done(&r->sealed);
}
