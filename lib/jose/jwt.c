#include "jose/jwt.h"

#include <stdlib.h>

#include "base/base64url.h"

static bool is_base64url(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool eb_jwt_shape(struct eb_str text) {
    if (!eb_str_starts(text, EB_STR("eyJ")))
        return false;
    size_t dots = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '.') {
            if (text.p[i - 1] == '.' || ++dots > 2)
                return false;
        } else if (!is_base64url(text.p[i])) {
            return false;
        }
    }
    return dots == 2 && text.p[text.n - 1] != '.';
}

void eb_jwt_done(struct eb_jwt *t) {
    json_decref(t->header);
    json_decref(t->claims);
    t->header = t->claims = NULL;
    t->alg_name = t->kid = t->typ = t->iss = EB_STR_NONE;
}

/* Decodes one piece and reads it as an object. */
static enum eb_rc read_object(struct eb_str piece, const char *what, json_t **ret, struct eb_err *reterr) {
    size_t cap = eb_base64url_max(piece.n), n = 0;
    eb_auto_free char *bytes = malloc(cap + 1);
    if (!bytes)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    if (eb_base64url_decode(bytes, cap, piece, &n) != EB_OK)
        return EB_FAIL(reterr, EB_E_MALFORMED, "the token's %s is no base64url", what);
    enum eb_rc rc = eb_json_object(eb_str_n(bytes, n), EB_JWT_MAX, ret, reterr);
    if (rc != EB_OK)
        eb_err_prefix(reterr, "the token's %s", what);
    return rc;
}

static enum eb_rc read_header(struct eb_str piece, struct eb_jwt *t, struct eb_err *reterr) {
    enum eb_rc rc = read_object(piece, "header", &t->header, reterr);
    if (rc != EB_OK)
        return rc;
    if (json_object_get(t->header, "crit"))
        return EB_FAIL(reterr, EB_E_CRIT_HEADER, "the token's header has crit; no extension is known here");
    if (json_object_get(t->header, "b64"))
        return EB_FAIL(reterr, EB_E_CRIT_HEADER, "the token's header has b64 (RFC 7797), which is not taken");
    if (eb_json_get_str(t->header, "alg", &t->alg_name) != EB_JSON_OK)
        return EB_FAIL(reterr, EB_E_MALFORMED, "no text alg in the token's header");
    t->alg = eb_alg_parse(t->alg_name);
    if (eb_json_get_str(t->header, "kid", &t->kid) == EB_JSON_WRONG_TYPE || t->kid.n > EB_KID_MAX)
        return EB_FAIL(reterr, EB_E_MALFORMED, "kid in the token's header is no text of at most %d bytes",
                       EB_KID_MAX);
    if (eb_json_get_str(t->header, "typ", &t->typ) == EB_JSON_WRONG_TYPE)
        return EB_FAIL(reterr, EB_E_MALFORMED, "typ in the token's header is no text");
    return EB_OK;
}

/* Fills t as far as it gets. */
static enum eb_rc read_jws(struct eb_str text, struct eb_jwt *t, struct eb_err *reterr) {
    if (text.n > EB_JWT_MAX)
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "a token of %zu bytes, over the limit of %zu", text.n,
                       EB_JWT_MAX);
    struct eb_str rest = text, header = eb_str_cut(&rest, '.');
    t->payload = eb_str_cut(&rest, '.');
    if (!rest.p || eb_str_has(rest, '.'))
        return EB_FAIL(reterr, EB_E_MALFORMED, "a token must have three pieces with a dot between them");
    t->signing_input = eb_str_n(text.p, header.n + 1 + t->payload.n);
    enum eb_rc rc = read_header(header, t, reterr);
    if (rc != EB_OK)
        return rc;
    if (rest.n == 0 || eb_base64url_decode(t->sig, sizeof t->sig, rest, &t->sig_n) != EB_OK)
        return EB_FAIL(reterr, EB_E_MALFORMED, "the token's signature is no base64url of 1 to %zu bytes",
                       sizeof t->sig);
    return EB_OK;
}

enum eb_rc eb_jws_read(struct eb_str text, struct eb_jwt *ret, struct eb_err *reterr) {
    EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
    enum eb_rc rc = read_jws(text, &t, reterr);
    if (rc != EB_OK)
        return rc;
    *ret = t;
    t.header = t.claims = NULL;
    return EB_OK;
}

enum eb_rc eb_jwt_read(struct eb_str text, struct eb_jwt *ret, struct eb_err *reterr) {
    EB_CLEANUP(eb_jwt_done) struct eb_jwt t = {.header = NULL};
    enum eb_rc rc = read_jws(text, &t, reterr);
    if (rc == EB_OK)
        rc = read_object(t.payload, "payload", &t.claims, reterr);
    if (rc != EB_OK)
        return rc;
    if (eb_json_get_str(t.claims, "iss", &t.iss) == EB_JSON_WRONG_TYPE)
        return EB_FAIL(reterr, EB_E_MALFORMED, "iss in the token is no text");
    *ret = t;
    t.header = t.claims = NULL;
    return EB_OK;
}

/* The token's own name of its algorithm as far as it can be shown in a log. */
static struct eb_str shown_alg(const struct eb_jwt *t) {
    for (size_t i = 0; i < t->alg_name.n; i++)
        if (t->alg_name.n > 16 || !is_base64url(t->alg_name.p[i]))
            return EB_STR("of an odd name");
    return t->alg_name;
}

enum eb_rc eb_jwt_verify(const struct eb_jwt *t, const struct eb_jwks *set, unsigned allowed,
                         struct eb_err *reterr) {
    if (t->alg == EB_ALG_NONE || !(allowed & EB_ALG_BIT(t->alg)))
        return EB_FAIL(reterr, EB_E_ALG_NOT_ALLOWED, "the token's algorithm %.*s is not allowed",
                       EB_STR_ARG(shown_alg(t)));
    return eb_jwks_verify(set, t->kid, t->alg, t->signing_input, eb_str_n(t->sig, t->sig_n), reterr);
}
