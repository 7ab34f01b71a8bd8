#include "policy/impl.h"

#include <sodium.h>
#include <stdlib.h>

const char *const eb_identity_prefix[EB_ID_KINDS] = {"CN=", "EMAIL=", "DNS=", "URI=", "O=", "OU="};

struct eb_policy *eb_policy_ref(struct eb_policy *p) {
    if (p)
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void eb_policy_unref(struct eb_policy *p) {
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    eb_arena_done(&p->arena);
    eb_pages_done(&p->recs);
    eb_index_done(&p->by_identity);
    eb_index_done(&p->by_client_id);
    free(p->issuers);
    free(p);
}

const char *eb_policy_method_name(enum eb_policy_method m) {
    switch (m) {
    case EB_POLICY_OAUTH2: return "oauth2";
    case EB_POLICY_MTLS: return "mtls";
    case EB_POLICY_NKEY: return "nkey";
    case EB_POLICY_NOAUTH: return "noauth";
    }
    return "unknown";
}

const char *eb_policy_conn_name(unsigned conn) {
    switch (conn) {
    case EB_CONN_NATS: return "nats";
    case EB_CONN_MQTT: return "mqtt";
    case EB_CONN_WEBSOCKET: return "websocket";
    case EB_CONN_LEAF: return "leaf";
    default: return "unknown";
    }
}

/* SipHash-2-4. */
static uint64_t hash_of(const struct eb_policy *p, const void *s, size_t n) {
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t h;
    _Static_assert(sizeof out == sizeof h && EB_POLICY_HASH_KEY == crypto_shorthash_KEYBYTES,
                   "SipHash-2-4 sizes");
    (void)crypto_shorthash(out, n ? s : (const void *)"", n, p->key);
    memcpy(&h, out, sizeof h);
    return h;
}

uint64_t eb_policy_hash(const struct eb_policy *p, enum eb_hash_tag tag, unsigned more, struct eb_str s) {
    return hash_of(p, s.p, s.n) ^ ((uint64_t)more << 8 | tag) * 0x9e3779b97f4a7c15U;
}

uint64_t eb_policy_hash_oauth2(const struct eb_policy *p, unsigned issuer, struct eb_str subject,
                               struct eb_str azp) {
    uint64_t parts[3] = {subject.n ? hash_of(p, subject.p, subject.n) : 0,
                         azp.n ? hash_of(p, azp.p, azp.n) : 0, (uint64_t)issuer << 8 | EB_HASH_OAUTH2};
    return hash_of(p, parts, sizeof parts);
}

uint32_t eb_policy_find_id(const struct eb_policy *p, uint64_t hash, const struct eb_policy_rec *like,
                           struct eb_str a, struct eb_str b) {
    uint32_t at = eb_index_start(&p->by_identity, hash), v;
    while ((v = eb_index_next(&p->by_identity, hash, &at)) != 0) {
        const struct eb_policy_rec *r = eb_policy_rec(p, v - 1);
        if (r->method == like->method && r->issuer == like->issuer && r->id_kind == like->id_kind &&
            eb_str_eq(eb_policy_str(p, r->id_a), a) && eb_str_eq(eb_policy_str(p, r->id_b), b))
            return v;
    }
    return 0;
}

bool eb_policy_at(const struct eb_policy *p, size_t index, struct eb_policy_entry *ret) {
    if (index >= p->n)
        return false;
    const struct eb_policy_rec *r = eb_policy_rec(p, (uint32_t)index);
    struct eb_str grants = eb_policy_str(p, r->grants);
    uint32_t head[2];
    memcpy(head, grants.p, sizeof head);
    grants = (struct eb_str){grants.p + sizeof head, grants.n - sizeof head};
    *ret = (struct eb_policy_entry){.index = (uint32_t)index,
                                    .method = (enum eb_policy_method)r->method,
                                    .name = eb_policy_str(p, r->name),
                                    .account = eb_policy_str(p, r->account),
                                    .required_scope = eb_policy_str(p, r->scope),
                                    .grants_json = {grants.p, head[0]},
                                    .grants_mqtt_json = {grants.p + head[1], grants.n - head[1]},
                                    .connections = r->connections,
                                    .internal = r->internal};
    return true;
}

size_t eb_policy_count(const struct eb_policy *p, enum eb_policy_method m) {
    return p->count[m];
}

size_t eb_policy_bytes(const struct eb_policy *p) {
    return eb_arena_bytes(&p->arena) + p->n * sizeof(struct eb_policy_rec) + p->by_identity.pages.bytes +
           p->by_client_id.pages.bytes;
}

static bool find_oauth2(const struct eb_policy *p, unsigned issuer, struct eb_str subject, struct eb_str azp,
                        struct eb_policy_entry *ret) {
    struct eb_policy_rec like = {.method = EB_POLICY_OAUTH2, .issuer = (uint16_t)issuer};
    uint32_t v = eb_policy_find_id(p, eb_policy_hash_oauth2(p, issuer, subject, azp), &like, subject, azp);
    return v && eb_policy_at(p, v - 1, ret);
}

bool eb_policy_find_oauth2(const struct eb_policy *p, struct eb_str issuer, struct eb_str subject,
                           struct eb_str azp, struct eb_policy_entry *ret) {
    unsigned place = 0;
    if (issuer.n) {
        while (place < p->issuers_n && !eb_str_eq(eb_policy_str(p, p->issuers[place]), issuer))
            place++;
        if (place++ == p->issuers_n)
            return false;
    }
    return (subject.n && azp.n && find_oauth2(p, place, subject, azp, ret)) ||
           (subject.n && find_oauth2(p, place, subject, EB_STR_NONE, ret)) ||
           (azp.n && find_oauth2(p, place, EB_STR_NONE, azp, ret));
}

bool eb_policy_find_mtls(const struct eb_policy *p, struct eb_str kind, struct eb_str value,
                         struct eb_policy_entry *ret) {
    for (unsigned k = 0; k < EB_ID_KINDS; k++) {
        if (!eb_str_eqz(kind, eb_identity_prefix[k]))
            continue;
        struct eb_policy_rec like = {.method = EB_POLICY_MTLS, .id_kind = (uint8_t)k};
        uint32_t v =
            eb_policy_find_id(p, eb_policy_hash(p, EB_HASH_MTLS, k, value), &like, value, EB_STR_NONE);
        return v && eb_policy_at(p, v - 1, ret);
    }
    return false;
}

bool eb_policy_find_nkey(const struct eb_policy *p, const uint8_t key[32], struct eb_policy_entry *ret) {
    struct eb_policy_rec like = {.method = EB_POLICY_NKEY};
    struct eb_str k = eb_str_n(key, 32);
    uint32_t v = eb_policy_find_id(p, eb_policy_hash(p, EB_HASH_NKEY, 0, k), &like, k, EB_STR_NONE);
    return v && eb_policy_at(p, v - 1, ret);
}

bool eb_policy_noauth(const struct eb_policy *p, struct eb_policy_entry *ret) {
    return p->noauth && eb_policy_at(p, p->noauth - 1, ret);
}

struct eb_str eb_policy_grants(const struct eb_policy_entry *e, unsigned conn) {
    return conn == EB_CONN_MQTT ? e->grants_mqtt_json : e->grants_json;
}
