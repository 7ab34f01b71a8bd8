/* Operator and account JWTs, written. */
#include "base/utf8.h"
#include "natsjwt/claims.h"

/* Blanks beyond ASCII, where servers and tools may differ: U+00A0, U+1680, U+2000..200F, U+2028..202F,
 * U+205F, U+3000, U+FEFF. s: one character. */
static bool is_wide_blank(struct eb_str s) {
    static const char *const blanks[] = {"\xc2\xa0", "\xe1\x9a\x80", "\xe2\x81\x9f", "\xe3\x80\x80",
                                         "\xef\xbb\xbf"};
    for (size_t i = 0; i < EB_COUNT_OF(blanks); i++)
        if (eb_str_eqz(s, blanks[i]))
            return true;
    unsigned char last = s.n == 3 ? (unsigned char)s.p[2] : 0;
    return s.n == 3 && memcmp(s.p, "\xe2\x80", 2) == 0 && (last <= 0x8f || (last >= 0xa8 && last <= 0xaf));
}

static bool clean(struct eb_str s, bool upper) {
    if (s.n == 0 || s.n > EB_CLAIM_NAME_MAX || !eb_utf8_valid(s) || eb_utf8_has_control(s))
        return false;
    for (size_t n; s.n; s.p += n, s.n -= n) {
        n = eb_utf8_char(s);
        if (strchr("*>./\\ ", *s.p) || (!upper && *s.p >= 'A' && *s.p <= 'Z') ||
            is_wide_blank(eb_str_n(s.p, n)))
            return false;
    }
    return true;
}

bool eb_claim_name_ok(struct eb_str s) {
    return clean(s, true);
}

bool eb_claim_tag_ok(struct eb_str s) {
    return clean(s, false);
}

static void texts(struct eb_buf *to, const char *key, const struct eb_str *v, size_t n) {
    eb_buf_printf(to, "\"%s\":[", key);
    for (size_t i = 0; i < n; i++) {
        if (i)
            eb_buf_ch(to, ',');
        eb_buf_json_str(to, v[i], 0);
    }
    eb_buf_z(to, "],");
}

enum eb_rc eb_operator_write(struct eb_buf *to, const struct eb_operator_new *o, eb_sign_fn sign, void *ctx) {
    eb_auto_buf struct eb_buf nats = {0};
    if (!eb_claim_name_ok(o->name))
        return EB_E_INVALID;
    eb_buf_ch(&nats, '{');
    if (o->signing_keys_n)
        texts(&nats, "signing_keys", o->signing_keys, o->signing_keys_n);
    if (o->system_account.n) {
        eb_buf_z(&nats, "\"system_account\":");
        eb_buf_json_str(&nats, o->system_account, 0);
        eb_buf_ch(&nats, ',');
    }
    eb_buf_z(&nats, "\"type\":\"operator\",\"version\":2}");
    const struct eb_natsjwt_std std = {.iss = o->id, .sub = o->id, .name = o->name, .iat = o->iat};
    return eb_buf_ok(&nats) ? eb_natsjwt_write(to, &std, eb_buf_get(&nats), sign, ctx) : EB_E_NOMEM;
}

static void signing_keys(struct eb_buf *to, const struct eb_account_new *a) {
    if (a->signing_keys_n == 0)
        return;
    eb_buf_z(to, "\"signing_keys\":[");
    for (size_t i = 0; i < a->signing_keys_n; i++) {
        const struct eb_signing_key *k = &a->signing_keys[i];
        if (i)
            eb_buf_ch(to, ',');
        if (!k->role.p) {
            eb_buf_json_str(to, k->key, 0);
            continue;
        }
        eb_buf_z(to, "{\"kind\":\"user_scope\",\"key\":");
        eb_buf_json_str(to, k->key, 0);
        eb_buf_z(to, ",\"role\":");
        eb_buf_json_str(to, k->role, 0);
        eb_buf_z(to, ",\"template\":");
        eb_buf_str(to, k->template_json.n ? k->template_json : EB_STR("{}"));
        eb_buf_ch(to, '}');
    }
    eb_buf_z(to, "],");
}

enum eb_rc eb_account_write(struct eb_buf *to, const struct eb_account_new *a, eb_sign_fn sign, void *ctx) {
    eb_auto_buf struct eb_buf nats = {0};
    if (!eb_claim_name_ok(a->name))
        return EB_E_INVALID;
    /* An absent limit is 0, which is nothing allowed; of JetStream's, 0 of both storages is off. */
    eb_buf_z(&nats, "{\"limits\":{\"subs\":-1,\"data\":-1,\"payload\":-1,\"imports\":-1,\"exports\":-1,"
                    "\"wildcards\":true,\"conn\":-1,\"leaf\":-1");
    if (a->jetstream)
        eb_buf_z(&nats, ",\"mem_storage\":-1,\"disk_storage\":-1,\"streams\":-1,\"consumer\":-1");
    eb_buf_z(&nats, "},");
    signing_keys(&nats, a);
    if (a->auth_users_n) {
        eb_buf_z(&nats, "\"authorization\":{");
        texts(&nats, "auth_users", a->auth_users, a->auth_users_n);
        texts(&nats, "allowed_accounts", a->accounts, a->accounts_n);
        if (a->xkey.n) {
            eb_buf_z(&nats, "\"xkey\":");
            eb_buf_json_str(&nats, a->xkey, 0);
        } else if (nats.n) {
            nats.n--;
        }
        eb_buf_z(&nats, "},");
    }
    eb_buf_z(&nats, "\"type\":\"account\",\"version\":2}");
    const struct eb_natsjwt_std std = {.iss = a->issuer, .sub = a->id, .name = a->name, .iat = a->iat};
    return eb_buf_ok(&nats) ? eb_natsjwt_write(to, &std, eb_buf_get(&nats), sign, ctx) : EB_E_NOMEM;
}

/* A list of texts in obj, made where it is not there. NULL when out of memory. */
static json_t *list_in(json_t *obj, const char *key) {
    json_t *list = json_object_get(obj, key);
    if (json_is_array(list))
        return list;
    list = json_array();
    return json_object_set_new(obj, key, list) < 0 ? NULL : list;
}

static bool append(json_t *list, struct eb_str text) {
    return list && json_array_append_new(list, json_stringn(text.p, text.n)) == 0;
}

static enum eb_rc write_again(struct eb_buf *to, const struct eb_natsjwt *old, struct eb_str name,
                              struct eb_str issuer, int64_t iat, const json_t *nats, eb_sign_fn sign,
                              void *ctx) {
    eb_auto_free char *text = json_dumps(nats, JSON_COMPACT);
    if (!text)
        return EB_E_NOMEM;
    const struct eb_natsjwt_std std = {.aud = old->aud,
                                       .iss = issuer,
                                       .sub = old->sub,
                                       .name = name,
                                       .iat = iat,
                                       .exp = old->exp,
                                       .nbf = old->nbf};
    return eb_natsjwt_write(to, &std, eb_str(text), sign, ctx);
}

enum eb_rc eb_account_allow(struct eb_buf *to, const struct eb_account_claims *a, struct eb_str issuer,
                            const struct eb_str *accounts, size_t accounts_n, int64_t iat, eb_sign_fn sign,
                            void *ctx) {
    eb_auto_json json_t *nats = json_deep_copy(a->jwt.nats);
    json_t *auth = json_object_get(nats, "authorization");
    if (!json_is_object(auth))
        return EB_E_INVALID;
    json_t *list = list_in(auth, "allowed_accounts");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (accounts_n && strcmp(json_string_value(json_array_get(list, i)), "*") == 0)
            return EB_E_INVALID;
    for (size_t i = 0; i < accounts_n; i++)
        if (!append(list, accounts[i]))
            return EB_E_NOMEM;
    return write_again(to, &a->jwt, a->name, issuer, iat, nats, sign, ctx);
}

enum eb_rc eb_account_add_key(struct eb_buf *to, const struct eb_account_claims *a, struct eb_str issuer,
                              struct eb_str key, int64_t iat, eb_sign_fn sign, void *ctx) {
    eb_auto_json json_t *nats = json_deep_copy(a->jwt.nats);
    if (!append(list_in(nats, "signing_keys"), key))
        return EB_E_NOMEM;
    return write_again(to, &a->jwt, a->name, issuer, iat, nats, sign, ctx);
}

enum eb_rc eb_user_sign_again(struct eb_buf *to, const struct eb_user_jwt *u, struct eb_str issuer,
                              int64_t iat, eb_sign_fn sign, void *ctx) {
    eb_auto_json json_t *nats = json_deep_copy(u->jwt.nats);
    bool own = eb_str_eq(issuer, u->account);
    if (own)
        (void)json_object_del(nats, "issuer_account");
    else if (json_object_set_new(nats, "issuer_account", json_stringn(u->account.p, u->account.n)) < 0)
        return EB_E_NOMEM;
    return write_again(to, &u->jwt, u->name, issuer, iat, nats, sign, ctx);
}
