#include "policy/impl.h"

#define SHOWN_MAX 64 /* bytes of peer text in an error */

static struct eb_str shown(struct eb_str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] >= 0x7f)
            return EB_STR("(unprintable)");
    return s.n > SHOWN_MAX ? (struct eb_str){s.p, SHOWN_MAX} : s;
}

static enum eb_rc check_src(const struct eb_policy *p, eb_ref src, struct eb_str host,
                            struct eb_err *reterr) {
    struct eb_cidr address;
    struct eb_str h = shown(host);
    if (!eb_cidr_address(host, &address))
        return EB_FAIL(reterr, EB_E_SRC, "the entry has src, and \"%.*s\" is no address", EB_STR_ARG(h));
    struct eb_str list = eb_policy_str(p, src);
    for (size_t at = 0; at + sizeof(struct eb_cidr) <= list.n; at += sizeof(struct eb_cidr)) {
        struct eb_cidr range;
        memcpy(&range, list.p + at, sizeof range);
        if (eb_cidr_has(&range, &address))
            return EB_OK;
    }
    return EB_FAIL(reterr, EB_E_SRC, "%.*s is outside of the entry's src", EB_STR_ARG(h));
}

/* An id that an entry binds is nobody else's. */
static enum eb_rc check_unbound(const struct eb_policy *p, struct eb_str id, struct eb_err *reterr) {
    struct eb_str s = shown(id);
    uint32_t owner = eb_client_id_owner(p, id);
    if (!owner)
        return EB_OK;
    struct eb_str name = eb_policy_str(p, eb_policy_rec(p, owner - 1)->name);
    return EB_FAIL(reterr, EB_E_CLIENT_ID, "client id \"%.*s\" is bound to entry \"%.*s\"", EB_STR_ARG(s),
                   EB_STR_ARG(name));
}

static enum eb_rc check_client_id(const struct eb_policy *p, const struct eb_policy_rec *r, struct eb_str id,
                                  struct eb_err *reterr) {
    struct eb_str s = shown(id);
    if (r->client_id) {
        struct eb_str pattern = eb_policy_str(p, r->client_id);
        if (eb_glob_match(pattern, id))
            return EB_OK; /* nobody else's pattern can match it: loading made sure */
        return EB_FAIL(reterr, EB_E_CLIENT_ID,
                       "client id \"%.*s\" is not of the entry's mqtt_client_id \"%.*s\"", EB_STR_ARG(s),
                       EB_STR_ARG(pattern));
    }
    return check_unbound(p, id, reterr);
}

static bool is_known(unsigned conn) {
    return conn == EB_CONN_NATS || conn == EB_CONN_MQTT || conn == EB_CONN_WEBSOCKET || conn == EB_CONN_LEAF;
}

enum eb_rc eb_policy_admit_other(const struct eb_policy *p, unsigned connections, unsigned conn,
                                 struct eb_str mqtt_id, struct eb_err *reterr) {
    if (conn == EB_CONN_LEAF)
        return EB_FAIL(reterr, EB_E_LEAF_REFUSED,
                       "a leaf connection needs an nkey entry whose connections list leaf");
    if (!is_known(conn) || !(connections & conn))
        return EB_FAIL(reterr, EB_E_CONNECTION_TYPE, "not to be used from a connection of kind %s",
                       eb_policy_conn_name(conn));
    return conn == EB_CONN_MQTT ? check_unbound(p, mqtt_id, reterr) : EB_OK;
}

enum eb_rc eb_policy_admit(const struct eb_policy *p, const struct eb_policy_entry *e, unsigned conn,
                           struct eb_str host, struct eb_str mqtt_id, struct eb_err *reterr) {
    if (e->index >= p->n)
        return EB_FAIL(reterr, EB_E_INTERNAL, "an entry of another policy");
    const struct eb_policy_rec *r = eb_policy_rec(p, e->index);
    if (conn == EB_CONN_LEAF && (r->method != EB_POLICY_NKEY || !(r->connections & EB_CONN_LEAF)))
        return EB_FAIL(reterr, EB_E_LEAF_REFUSED,
                       "a leaf connection needs an nkey entry whose connections list leaf");
    if (!is_known(conn) || !(r->connections & conn))
        return EB_FAIL(reterr, EB_E_CONNECTION_TYPE, "the entry may not be used from a connection of kind %s",
                       eb_policy_conn_name(conn));
    if (r->src) {
        enum eb_rc rc = check_src(p, r->src, host, reterr);
        if (rc != EB_OK)
            return rc;
    }
    return conn == EB_CONN_MQTT ? check_client_id(p, r, mqtt_id, reterr) : EB_OK;
}
