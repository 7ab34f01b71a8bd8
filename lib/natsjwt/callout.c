/* The answer: the user JWT and the authorization_response around it. */
#include "natsjwt/callout.h"

enum eb_rc eb_user_jwt_write(struct eb_buf *to, const struct eb_user_claims *u, eb_sign_fn sign, void *ctx) {
    eb_auto_buf struct eb_buf nats = {0};
    (void)eb_buf_reserve(&nats, u->grants_json.n + 96);
    eb_buf_ch(&nats, '{');
    eb_buf_str(&nats, u->grants_json);
    if (u->grants_json.n)
        eb_buf_ch(&nats, ',');
    eb_buf_z(&nats, "\"subs\":-1,\"data\":-1,\"payload\":-1,\"type\":\"user\",\"version\":2}");
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

enum eb_rc eb_auth_response_write(struct eb_buf *to, struct eb_str issuer, struct eb_str server_id,
                                  struct eb_str user_nkey, struct eb_str user_jwt, struct eb_str error,
                                  int64_t iat, eb_sign_fn sign, void *ctx) {
    if ((user_jwt.n == 0) == (error.n == 0))
        return EB_E_INTERNAL;
    eb_auto_buf struct eb_buf nats = {0};
    (void)eb_buf_reserve(&nats, user_jwt.n + error.n + 96);
    eb_buf_z(&nats, user_jwt.n ? "{\"jwt\":" : "{\"error\":");
    eb_buf_json_str(&nats, user_jwt.n ? user_jwt : error, 0);
    eb_buf_z(&nats, ",\"type\":\"authorization_response\",\"version\":2}");
    if (!eb_buf_ok(&nats))
        return EB_E_NOMEM;
    const struct eb_natsjwt_std std = {.aud = server_id, .iss = issuer, .sub = user_nkey, .iat = iat};
    return eb_natsjwt_write(to, &std, eb_buf_get(&nats), sign, ctx);
}
