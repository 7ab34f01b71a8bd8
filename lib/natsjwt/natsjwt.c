/* The envelope, read: three chunks, header, payload, signature by the payload's own `iss`. */
#include "natsjwt/natsjwt.h"

#include <strings.h>

#include "base/base64url.h"

#define HEADER_MAX 512 /* characters of a header chunk; the Go writer's has 40 */
/* {"typ":"JWT","alg":"ed25519-nkey"}, as nearly every writer spells it */
#define HEADER_USUAL EB_STR("eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ")

void eb_natsjwt_done(struct eb_natsjwt *t) {
    json_decref(t->claims);
    *t = (struct eb_natsjwt){0};
}

struct chunks {
    struct eb_str header, payload, signature, signed_part;
};

static bool split(struct eb_str text, struct chunks *ret) {
    struct eb_str rest = text;
    if (text.n == 0)
        return false;
    ret->header = eb_str_cut(&rest, '.');
    if (!rest.p)
        return false;
    ret->payload = eb_str_cut(&rest, '.');
    if (!rest.p || eb_str_has(rest, '.'))
        return false;
    ret->signature = rest;
    ret->signed_part = eb_str_n(text.p, (size_t)(rest.p - text.p) - 1);
    return ret->header.n && ret->payload.n && ret->signature.n;
}

static bool same_word(struct eb_str s, const char *word) {
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

/* Readers of NATS JWTs compare without case and know an older name of the algorithm. */
static bool is_nkey_alg(struct eb_str alg) {
    return same_word(alg, "ed25519-nkey") || same_word(alg, "ed25519");
}

/* The header as JSON; NULL where it is none or too long. The caller releases it. */
static json_t *header_parse(struct eb_str chunk) {
    unsigned char text[HEADER_MAX / 4 * 3 + 3];
    size_t n;
    json_t *header = NULL;
    if (chunk.n > HEADER_MAX || eb_base64url_decode(text, sizeof text, chunk, &n) != EB_OK)
        return NULL;
    return eb_json_object(eb_str_n(text, n), sizeof text, &header, NULL) == EB_OK ? header : NULL;
}

static enum eb_rc header_check(struct eb_str chunk, struct eb_err *reterr) {
    if (eb_str_eq(chunk, HEADER_USUAL))
        return EB_OK;
    eb_auto_json json_t *header = header_parse(chunk);
    if (!header)
        return EB_FAIL(reterr, EB_E_MALFORMED, "the header is no base64url of a short JSON object");
    if (!same_word(eb_json_str(header, "typ"), "JWT"))
        return EB_FAIL(reterr, EB_E_MALFORMED, "header: typ is not JWT");
    if (!is_nkey_alg(eb_json_str(header, "alg")))
        return EB_FAIL(reterr, EB_E_MALFORMED, "header: alg is not ed25519-nkey");
    if (json_object_get(header, "crit"))
        return EB_FAIL(reterr, EB_E_MALFORMED, "header: crit demands an extension");
    return EB_OK;
}

static enum eb_rc take_text(const json_t *claims, const char *key, struct eb_str *ret,
                            struct eb_err *reterr) {
    if (eb_json_get_str(claims, key, ret) == EB_JSON_WRONG_TYPE)
        return EB_FAIL(reterr, EB_E_MALFORMED, "%s: not a string", key);
    return EB_OK;
}

/* Whole seconds, as NATS writes them; a real number is refused, unlike in OAuth2 tokens. */
static enum eb_rc take_time(const json_t *claims, const char *key, int64_t *ret, struct eb_err *reterr) {
    const json_t *v = json_object_get(claims, key);
    if (!v)
        return EB_OK;
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return EB_FAIL(reterr, EB_E_MALFORMED, "%s: not a whole number of seconds from 0 on", key);
    *ret = (int64_t)json_integer_value(v);
    return EB_OK;
}

static enum eb_rc take_claims(struct eb_natsjwt *t, struct eb_err *reterr) {
    struct eb_str ignored;
    const struct {
        const char *key;
        struct eb_str *to;
    } texts[] = {{"iss", &t->iss}, {"sub", &t->sub}, {"aud", &t->aud}, {"jti", &ignored}, {"name", &ignored}};
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++)
        if (take_text(t->claims, texts[i].key, texts[i].to, reterr) != EB_OK)
            return EB_E_MALFORMED;
    if (take_time(t->claims, "iat", &t->iat, reterr) != EB_OK ||
        take_time(t->claims, "exp", &t->exp, reterr) != EB_OK ||
        take_time(t->claims, "nbf", &t->nbf, reterr) != EB_OK)
        return EB_E_MALFORMED;
    t->nats = json_object_get(t->claims, "nats");
    if (!json_is_object(t->nats))
        return EB_FAIL(reterr, EB_E_MALFORMED, "nats: %s", t->nats ? "not an object" : "missing");
    struct eb_err key_err = {0};
    if (eb_nkey_public_decode(t->iss, EB_NKEY_NONE, &t->iss_kind, t->iss_key, &key_err) != EB_OK)
        return EB_FAIL(reterr, EB_E_MALFORMED, "iss: %s", key_err.text);
    if (t->iss_kind == EB_NKEY_CURVE)
        return EB_FAIL(reterr, EB_E_MALFORMED, "iss: a curve key, which cannot sign");
    return EB_OK;
}

typedef enum eb_rc object_fn(struct eb_str text, size_t max, json_t **ret_root, struct eb_err *reterr);

static enum eb_rc parse(object_fn *object, struct eb_str chunk, size_t max, json_t **ret,
                        struct eb_err *reterr) {
    eb_auto_buf struct eb_buf payload = {.secret = true}; /* passwords and tokens of clients may be in it */
    size_t cap = eb_base64url_max(chunk.n), n;
    char *to = eb_buf_reserve(&payload, cap);
    if (!to)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    if (eb_base64url_decode(to, cap, chunk, &n) != EB_OK)
        return EB_FAIL(reterr, EB_E_MALFORMED, "the payload is no base64url");
    eb_buf_used(&payload, n);
    enum eb_rc rc = object(eb_buf_get(&payload), max, ret, reterr);
    if (rc != EB_OK)
        eb_err_prefix(reterr, "payload");
    return rc;
}

static enum eb_rc read_by(object_fn *object, struct eb_str text, size_t max, struct eb_natsjwt *ret,
                          struct eb_err *reterr) {
    if (text.n > max)
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "a token of %zu bytes, over the limit of %zu", text.n, max);
    struct chunks c;
    if (!split(text, &c))
        return EB_FAIL(reterr, EB_E_MALFORMED, "not three chunks joined by dots");
    enum eb_rc rc = header_check(c.header, reterr);
    if (rc != EB_OK)
        return rc;
    uint8_t sig[EB_NKEY_SIG_LEN];
    size_t sig_n;
    if (eb_base64url_decode(sig, sizeof sig, c.signature, &sig_n) != EB_OK || sig_n != sizeof sig)
        return EB_FAIL(reterr, EB_E_MALFORMED, "the signature is no base64url of %zu bytes", sizeof sig);
    EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {0};
    rc = parse(object, c.payload, max, &t.claims, reterr);
    if (rc == EB_OK)
        rc = take_claims(&t, reterr);
    if (rc != EB_OK)
        return rc;
    if (eb_nkey_verify(t.iss_key, c.signed_part, sig) != EB_OK)
        return EB_FAIL(reterr, EB_E_BAD_SIGNATURE, "the signature is not that of iss");
    *ret = t;
    t = (struct eb_natsjwt){0};
    return EB_OK;
}

enum eb_rc eb_natsjwt_read(struct eb_str text, size_t max, struct eb_natsjwt *ret, struct eb_err *reterr) {
    return read_by(eb_json_object, text, max, ret, reterr);
}

enum eb_rc eb_natsjwt_read_of_clients(struct eb_str text, size_t max, struct eb_natsjwt *ret,
                                      struct eb_err *reterr) {
    return read_by(eb_json_object_of_peers, text, max, ret, reterr);
}

bool eb_natsjwt_is(struct eb_str text) {
    struct chunks c;
    if (!split(text, &c))
        return false;
    if (eb_str_eq(c.header, HEADER_USUAL))
        return true;
    eb_auto_json json_t *header = header_parse(c.header);
    return header && is_nkey_alg(eb_json_str(header, "alg"));
}
