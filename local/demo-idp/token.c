#include "token.h"

#include <stdio.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/json.h"
#include "base/num.h"

#define PAD_MAX (1 << 20)

const char *idp_form_get(const struct idp_form *form, const char *name) {
    for (size_t i = 0; i < form->n; i++)
        if (strcmp(form->items[i].name, name) == 0)
            return form->items[i].value;
    return NULL;
}

void idp_form_done(struct idp_form *form) {
    for (size_t i = 0; i < form->n; i++) {
        free(form->items[i].name);
        free(form->items[i].value);
    }
    form->n = 0;
}

json_t *idp_demo_clients(void) {
    static const char *const ids[] = {"mqtt-client", "mqtt-publisher", "mqtt-subscriber",
                                      "launchlayer-client", "bms-reader"};
    json_t *all = json_object();
    for (size_t i = 0; all && i < EB_COUNT_OF(ids); i++) {
        char secret[64];
        (void)snprintf(secret, sizeof secret, "%s-secret", ids[i]);
        if (json_object_set_new(all, ids[i], json_pack("{s:s}", "secret", secret)) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

static struct idp_answer refusal(unsigned status, const char *error, const char *text) {
    return (struct idp_answer){status, json_pack("{s:s s:s}", "error", error, "error_description", text)};
}

/* Compares digests, so that neither content nor length shows in the time it takes. */
static bool secret_equal(const char *a, const char *b) {
    unsigned char da[EVP_MAX_MD_SIZE], db[EVP_MAX_MD_SIZE];
    return EVP_Digest(a, strlen(a), da, NULL, EVP_sha256(), NULL) == 1 &&
           EVP_Digest(b, strlen(b), db, NULL, EVP_sha256(), NULL) == 1 && CRYPTO_memcmp(da, db, 32) == 0;
}

static void format_uuid(const unsigned char *b, char *to, size_t cap) {
    (void)snprintf(to, cap, "%02x%02x%02x%02x-%02x%02x-4%01x%02x-a%01x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6] & 15u, b[7], b[8] & 15u, b[9], b[10], b[11], b[12],
                   b[13], b[14], b[15]);
}

/* The subject of a client, the same at every start: providers use an identifier that is not the client's
 * name. */
static void subject_of(const char *id, char *to, size_t cap) {
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    (void)EVP_Digest(id, strlen(id), digest, NULL, EVP_sha256(), NULL);
    format_uuid(digest, to, cap);
}

/* Is every word of asked one of the words granted? */
static bool scope_within(const char *asked, const char *granted) {
    struct eb_str rest = eb_str(asked);
    while (rest.n) {
        const struct eb_str word = eb_str_cut(&rest, ' ');
        struct eb_str left = eb_str(granted);
        bool found = word.n == 0;
        while (!found && left.n)
            found = eb_str_eq(eb_str_cut(&left, ' '), word);
        if (!found)
            return false;
    }
    return true;
}

/* A test's value of a claim: `now`, `now-10`, `now+10` (a form turns a bare + into a blank), JSON, or else
 * text. */
static json_t *override_value(const char *text, int64_t now_s) {
    const struct eb_str s = eb_str(text);
    if (eb_str_eqz(s, "now"))
        return json_integer(now_s);
    int64_t seconds = 0;
    if (s.n > 4 && eb_str_starts(s, EB_STR("now")) && strchr("+- ", s.p[3]) &&
        eb_num_i64((struct eb_str){s.p + 4, s.n - 4}, 0, INT32_MAX, &seconds) == EB_OK)
        return json_integer(now_s + (s.p[3] == '-' ? -seconds : seconds));
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    return value ? value : json_string(text);
}

static bool apply_override(json_t *header, json_t *claims, const struct idp_param *p, int64_t now_s) {
    const char *name = p->name + 2;
    if (strcmp(name, "header") == 0) {
        eb_auto_json json_t *more = json_loads(p->value, 0, NULL);
        return json_is_object(more) && json_object_update(header, more) == 0;
    }
    if (strcmp(name, "pad") == 0) {
        int64_t n = 0;
        if (eb_num_i64(eb_str(p->value), 0, PAD_MAX, &n) != EB_OK)
            return false;
        eb_auto_free char *pad = malloc((size_t)n + 1);
        if (!pad)
            return false;
        memset(pad, 'x', (size_t)n);
        return json_object_set_new(claims, "pad", json_stringn(pad, (size_t)n)) == 0;
    }
    if (!*p->value) {
        (void)json_object_del(claims, name);
        return true;
    }
    return json_object_set_new(claims, name, override_value(p->value, now_s)) == 0;
}

static void add_json_base64url(struct eb_buf *to, const json_t *v) {
    eb_auto_free char *text = json_dumps(v, JSON_COMPACT);
    if (text)
        eb_buf_base64url(to, text, strlen(text));
    else
        to->failed = true;
}

static json_t *make_claims(const struct idp_token_settings *set, const char *id, const json_t *client,
                           const char *scope, int64_t now_s) {
    char subject[40], jti[40];
    unsigned char noise[16];
    if (RAND_bytes(noise, sizeof noise) != 1)
        return NULL;
    format_uuid(noise, jti, sizeof jti);
    const char *sub = json_string_value(json_object_get(client, "sub"));
    if (!sub) {
        subject_of(id, subject, sizeof subject);
        sub = subject;
    }
    return json_pack("{s:s s:s s:s s:s s:s s:s s:I s:I s:s}", "iss", set->issuer, "aud", set->audience, "azp",
                     id, "client_id", id, "sub", sub, "scope", scope, "iat", (json_int_t)now_s, "exp",
                     (json_int_t)(now_s + set->lifetime_s), "jti", jti);
}

static struct idp_answer signed_token(const struct idp_keys *keys, const char *alg, const json_t *header,
                                      const json_t *claims, const char *scope, int64_t lifetime_s) {
    eb_auto_buf struct eb_buf jwt = {0};
    add_json_base64url(&jwt, header);
    eb_buf_ch(&jwt, '.');
    add_json_base64url(&jwt, claims);
    eb_auto_buf struct eb_buf sig = {0};
    if (!eb_buf_ok(&jwt) || idp_keys_sign(keys, alg, jwt.p, jwt.n, &sig, NULL) != EB_OK || !eb_buf_ok(&sig))
        return refusal(500, "server_error", "the token could not be signed");
    eb_buf_ch(&jwt, '.');
    eb_buf_str(&jwt, eb_buf_get(&sig));
    if (!eb_buf_ok(&jwt))
        return refusal(500, "server_error", "out of memory");
    return (struct idp_answer){200,
                               json_pack("{s:s% s:s s:I s:s}", "access_token", jwt.p, jwt.n, "token_type",
                                         "Bearer", "expires_in", (json_int_t)lifetime_s, "scope", scope)};
}

struct idp_answer idp_token_answer(const struct idp_token_settings *set, const struct idp_keys *keys,
                                   const struct idp_form *form, const char *basic_id,
                                   const char *basic_secret, int64_t now_s) {
    const char *grant = idp_form_get(form, "grant_type");
    if (!grant)
        return refusal(400, "invalid_request", "grant_type is missing");
    if (strcmp(grant, "client_credentials") != 0)
        return refusal(400, "unsupported_grant_type", "only client_credentials is served");
    const char *id = basic_id ? basic_id : idp_form_get(form, "client_id");
    const char *secret = basic_id ? basic_secret : idp_form_get(form, "client_secret");
    const json_t *client = id ? json_object_get(set->clients, id) : NULL;
    const char *want = json_string_value(json_object_get(client, "secret"));
    /* an unknown client is compared too, so that it takes as long as a wrong secret */
    const bool same = secret_equal(secret ? secret : "", want ? want : "no such client");
    if (!secret || !want || !same)
        return refusal(401, "invalid_client", "unknown client or wrong secret");

    const char *scope = idp_form_get(form, "scope");
    if (!scope || !*scope)
        scope = set->scope;
    if (!scope_within(scope, set->scope))
        return refusal(400, "invalid_scope", "a scope was asked for that is not granted");
    const char *alg = idp_form_get(form, "alg");
    if (!alg)
        alg = json_string_value(json_object_get(client, "alg"));
    if (!alg)
        alg = "RS256";
    const char *kid = idp_keys_kid(keys, alg);
    if (!kid)
        return refusal(400, "invalid_request", "alg is RS256 or ES256");

    eb_auto_json json_t *header = json_pack("{s:s s:s s:s}", "alg", alg, "typ", "JWT", "kid", kid);
    eb_auto_json json_t *claims = make_claims(set, id, client, scope, now_s);
    if (!header || !claims)
        return refusal(500, "server_error", "out of memory");
    for (size_t i = 0; set->test_api && i < form->n; i++)
        if (strncmp(form->items[i].name, "x_", 2) == 0 &&
            !apply_override(header, claims, &form->items[i], now_s))
            return refusal(400, "invalid_request", form->items[i].name);
    return signed_token(keys, alg, header, claims, scope, set->lifetime_s);
}
