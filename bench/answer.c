#include "answer.h"

#include "kube/grants.h"
#include "natsjwt/natsjwt.h"
#include "tool.h"

enum { TOKEN_MAX = 1 << 20 };

static bool list_is(const json_t *side, const char *want) {
    eb_auto_json json_t *list = json_loads(want, 0, NULL);
    return json_object_size(side) == 1 && json_equal(json_object_get(side, "allow"), list);
}

/* The permissions of the ServiceAccount, by the code that the service has: what is compared is that they came
 * through whole. */
static bool grants_are_the_account(const json_t *nats) {
    static const char *const sides[] = {"pub", "sub", "resp"};
    const struct eb_kube_rules rules = {.reserved_n = 0};
    struct eb_kube_form form;
    struct eb_kube_drops drops;
    eb_auto_buf struct eb_buf grants = {0}, text = {0};
    need(eb_kube_grants_write(&rules, EB_STR(BENCH_SA_NAMESPACE), EB_STR(BENCH_SA_NAME), EB_STR(BENCH_SA_PUB),
                              EB_STR(BENCH_SA_SUB), &grants, &form, &drops, NULL),
         NULL, "the account's permissions");
    eb_buf_printf(&text, "{%.*s}", (int)form.nats_n, grants.p + form.nats_off);
    eb_auto_json json_t *want = json_loads(text.p, 0, NULL);
    bool same = json_object_size(want) > 0;
    for (size_t i = 0; i < EB_COUNT_OF(sides); i++) {
        const json_t *a = json_object_get(want, sides[i]), *b = json_object_get(nats, sides[i]);
        same = same && (a ? json_equal(a, b) : !b);
    }
    return same;
}

static const char *user_fault(const struct maker *m, const struct request *r, struct eb_str text) {
    EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {.claims = NULL};
    if (eb_natsjwt_read(text, TOKEN_MAX, &t, NULL) != EB_OK)
        return "the user JWT does not verify";
    if (!eb_str_eqz(t.iss, eb_nkey_public(m->site->issuer)))
        return "the user JWT has another issuer";
    if (!eb_str_eqz(t.sub, r->user_nkey))
        return "the user JWT is for another user";
    if (!eb_str_eqz(t.aud, BENCH_ACCOUNT))
        return "the user JWT names another account";
    if (!eb_str_eqz(eb_json_str(t.claims, "name"), kind_entry(r->kind)))
        return "the user JWT names another entry";
    if (!eb_str_eqz(eb_json_str(t.nats, "type"), "user") ||
        json_integer_value(json_object_get(t.nats, "version")) != 2)
        return "the user JWT is of another type or version";
    bool mqtt = r->kind == KIND_MTLS || r->kind == KIND_MTLS_AGAIN;
    if (kind_is_kube(r->kind)) {
        if (!grants_are_the_account(t.nats))
            return "the user JWT grants something else than the ServiceAccount has";
    } else if (!list_is(json_object_get(t.nats, "pub"), BENCH_PUB) ||
               !list_is(json_object_get(t.nats, "sub"), mqtt ? BENCH_SUB_MQTT : BENCH_SUB) ||
               json_object_get(t.nats, "resp")) {
        return "the user JWT grants something else";
    }
    bool expires = r->kind != KIND_NKEY && r->kind != KIND_NOAUTH;
    if ((t.exp > wall_s()) != expires)
        return "the user JWT does not end with its credential";
    return NULL;
}

const char *answer_fault(const struct maker *m, const struct request *r, struct eb_str sealed) {
    eb_auto_buf struct eb_buf text = {0};
    EB_CLEANUP(eb_natsjwt_done) struct eb_natsjwt t = {.claims = NULL};
    if (eb_xkey_open(&m->shared, sealed, &text) != EB_OK)
        return "the answer does not open";
    if (eb_natsjwt_read(eb_buf_get(&text), TOKEN_MAX, &t, NULL) != EB_OK)
        return "the answer does not verify";
    if (!eb_str_eqz(t.iss, eb_nkey_public(m->site->issuer)))
        return "the answer has another issuer";
    if (!eb_str_eqz(t.aud, eb_nkey_public(m->site->server)))
        return "the answer is for another server";
    if (!eb_str_eqz(t.sub, r->user_nkey))
        return "the answer is for another user";
    if (!eb_str_eqz(eb_json_str(t.nats, "type"), "authorization_response") ||
        json_integer_value(json_object_get(t.nats, "version")) != 2)
        return "the answer is of another type or version";
    if (json_object_get(t.nats, "error"))
        return "the client was refused";
    return user_fault(m, r, eb_json_str(t.nats, "jwt"));
}
