/* The envelope, written. */
#include <openssl/evp.h>

#include "natsjwt/natsjwt.h"
#include "nkey/base32.h"

#define HEADER "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ." /* {"typ":"JWT","alg":"ed25519-nkey"} */
enum { JTI_BYTES = 32, JTI_LEN = EB_BASE32_LEN(JTI_BYTES) };

static void add_text(struct eb_buf *b, const char *key, struct eb_str s) {
    if (s.n == 0)
        return;
    eb_buf_z(b, key);
    eb_buf_json_str(b, s, 0);
    eb_buf_ch(b, ',');
}

static void add_time(struct eb_buf *b, const char *key, int64_t t) {
    if (t == 0)
        return;
    eb_buf_z(b, key);
    eb_buf_i64(b, t);
    eb_buf_ch(b, ',');
}

/* SHA-512/256 over the standard claims as JSON; each member in head and tail ends with a comma, the last one
 * falls away. */
static enum eb_rc jti(struct eb_buf *head, struct eb_buf *tail, char to[JTI_LEN]) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    size_t head_n = head->n;
    eb_buf_str(head, eb_buf_get(tail));
    if (!eb_buf_ok(head) || !eb_buf_ok(tail))
        return EB_E_NOMEM;
    char *last = head->p + head->n - 1;
    char was = *last;
    if (was == ',')
        *last = '}';
    else
        eb_buf_ch(head, '}');
    int done = eb_buf_ok(head) && EVP_Digest(head->p, head->n, digest, &n, EVP_sha512_256(), NULL);
    head->n = head_n;
    if (!done || n != JTI_BYTES)
        return EB_E_NOMEM;
    eb_base32_encode(to, digest, JTI_BYTES);
    return EB_OK;
}

/* {"aud":…,"exp":…,"jti":…,"iat":…,"iss":…,"name":…,"nbf":…,"sub":…,"nats":…} */
static enum eb_rc payload_write(struct eb_buf *b, const struct eb_natsjwt_std *std, struct eb_str nats_json) {
    eb_auto_buf struct eb_buf tail = {0};
    char id[JTI_LEN];
    eb_buf_ch(b, '{');
    add_text(b, "\"aud\":", std->aud);
    add_time(b, "\"exp\":", std->exp);
    add_time(&tail, "\"iat\":", std->iat);
    add_text(&tail, "\"iss\":", std->iss);
    add_text(&tail, "\"name\":", std->name);
    add_time(&tail, "\"nbf\":", std->nbf);
    add_text(&tail, "\"sub\":", std->sub);
    enum eb_rc rc = jti(b, &tail, id);
    if (rc != EB_OK)
        return rc;
    add_text(b, "\"jti\":", eb_str_n(id, sizeof id));
    eb_buf_str(b, eb_buf_get(&tail));
    eb_buf_z(b, "\"nats\":");
    eb_buf_str(b, nats_json);
    eb_buf_ch(b, '}');
    return eb_buf_ok(b) ? EB_OK : EB_E_NOMEM;
}

enum eb_rc eb_natsjwt_write(struct eb_buf *to, const struct eb_natsjwt_std *std, struct eb_str nats_json,
                            eb_sign_fn sign, void *ctx) {
    eb_auto_buf struct eb_buf payload = {0};
    (void)eb_buf_reserve(&payload, nats_json.n + 768); /* one allocation for the usual token */
    enum eb_rc rc = payload_write(&payload, std, nats_json);
    if (rc != EB_OK)
        return rc;
    size_t start = to->n;
    eb_buf_z(to, HEADER);
    eb_buf_base64url(to, payload.p, payload.n);
    if (!eb_buf_ok(to))
        return EB_E_NOMEM;
    uint8_t sig[EB_NKEY_SIG_LEN];
    rc = sign(ctx, eb_str_n(to->p + start, to->n - start), sig);
    if (rc != EB_OK) {
        to->n = start;
        to->p[start] = '\0';
        return rc;
    }
    eb_buf_ch(to, '.');
    eb_buf_base64url(to, sig, sizeof sig);
    return eb_buf_ok(to) ? EB_OK : EB_E_NOMEM;
}
