/* The answer: the user JWT and the authorization_response around it. */
#include "natsjwt/callout.h"

#include "natsjwt/claims.h"

static void add_text(struct eb_buf *to, const char *key, struct eb_str s) {
    if (s.n == 0)
        return;
    eb_buf_printf(to, "\"%s\":", key);
    eb_buf_json_str(to, s, 0);
    eb_buf_ch(to, ',');
}

static bool fits_template(const struct eb_user_claims *u) {
    bool good = u->name.n == 0 || eb_claim_name_ok(u->name);
    for (size_t i = 0; good && i < u->tags_n; i++)
        good = eb_claim_tag_ok(u->tags[i]);
    return good;
}

enum eb_rc eb_user_jwt_write(struct eb_buf *to, const struct eb_user_claims *u, eb_sign_fn sign, void *ctx) {
    eb_auto_buf struct eb_buf nats = {0};
    if (u->scoped && !fits_template(u))
        return EB_E_INVALID;
    (void)eb_buf_reserve(&nats, u->grants_json.n + 160);
    eb_buf_ch(&nats, '{');
    if (!u->scoped && u->grants_json.n) {
        eb_buf_str(&nats, u->grants_json);
        eb_buf_ch(&nats, ',');
    }
    if (!u->scoped)
        eb_buf_z(&nats, "\"subs\":-1,\"data\":-1,\"payload\":-1,");
    if (u->bearer)
        eb_buf_z(&nats, "\"bearer_token\":true,");
    add_text(&nats, "issuer_account", u->issuer_account);
    for (size_t i = 0; i < u->tags_n; i++) {
        eb_buf_z(&nats, i ? "," : "\"tags\":[");
        eb_buf_json_str(&nats, u->tags[i], 0);
    }
    eb_buf_z(&nats, u->tags_n ? "],\"type\":\"user\",\"version\":2}" : "\"type\":\"user\",\"version\":2}");
    if (!eb_buf_ok(&nats))
        return EB_E_NOMEM;
    const struct eb_natsjwt_std std = {.aud = u->account,
                                       .iss = u->issuer,
                                       .sub = u->user_nkey,
                                       .name = u->name,
                                       .iat = u->iat,
                                       .exp = u->exp};
    return eb_natsjwt_write(to, &std, eb_buf_get(&nats), sign, ctx);
}

enum eb_rc eb_auth_response_by(struct eb_buf *to, const struct eb_auth_issuer *issuer,
                               struct eb_str server_id, struct eb_str user_nkey, struct eb_str user_jwt,
                               struct eb_str error, int64_t iat, eb_sign_fn sign, void *ctx) {
    if ((user_jwt.n == 0) == (error.n == 0))
        return EB_E_INTERNAL;
    eb_auto_buf struct eb_buf nats = {0};
    (void)eb_buf_reserve(&nats, user_jwt.n + error.n + 160);
    eb_buf_z(&nats, user_jwt.n ? "{\"jwt\":" : "{\"error\":");
    eb_buf_json_str(&nats, user_jwt.n ? user_jwt : error, 0);
    eb_buf_ch(&nats, ',');
    add_text(&nats, "issuer_account", issuer->account);
    eb_buf_z(&nats, "\"type\":\"authorization_response\",\"version\":2}");
    if (!eb_buf_ok(&nats))
        return EB_E_NOMEM;
    const struct eb_natsjwt_std std = {.aud = server_id, .iss = issuer->key, .sub = user_nkey, .iat = iat};
    return eb_natsjwt_write(to, &std, eb_buf_get(&nats), sign, ctx);
}

enum eb_rc eb_auth_response_write(struct eb_buf *to, struct eb_str issuer, struct eb_str server_id,
                                  struct eb_str user_nkey, struct eb_str user_jwt, struct eb_str error,
                                  int64_t iat, eb_sign_fn sign, void *ctx) {
    const struct eb_auth_issuer own = {.key = issuer};
    return eb_auth_response_by(to, &own, server_id, user_nkey, user_jwt, error, iat, sign, ctx);
}
