/*
 * The wire form of permissions: the members `"sub":{…},"pub":{…},"resp":{…}` of a user JWT, for connections
 * that speak NATS and for those that speak MQTT. Source: nats-io/jwt v2 user claims; seen with nats-server
 * 2.15.2.
 */
#ifndef EB_SUBJECT_PERMISSIONS_H
#define EB_SUBJECT_PERMISSIONS_H

#include <stdint.h>

#include "base/buf.h"

/* Bytes of one user's: the answer holds them, in base64 twice, and must fit max_payload (1 MiB). */
#define EB_PERMISSIONS_MAX ((size_t)256 << 10)
/* Rules of one list that may begin with a wildcard; the caller refuses more. */
#define EB_PERMISSIONS_ROOT_WILDCARDS_MAX 64
/* What a request's answerer gets where nothing is given, as nats-server has it. */
#define EB_PERMISSIONS_RESP_MAX 1
#define EB_PERMISSIONS_RESP_TTL_NS ((int64_t)120 * 1000000000)

enum eb_side { EB_PUB_ALLOW, EB_PUB_DENY, EB_SUB_ALLOW, EB_SUB_DENY, EB_SIDES };

/* A checked subject, or a subject, a blank and a queue group. */
struct eb_rule {
    size_t off, n;    /* in the text of all rules */
    size_t line;      /* the caller's own, as is the next */
    size_t place;     /* in the document's list, where items that are no texts count too */
    size_t subject_n; /* bytes before the blank and queue group */
};
struct eb_rules {
    struct eb_rule *v;
    size_t n, cap;
};

struct eb_permissions {
    const char *text;             /* of all rules */
    const struct eb_rules *rules; /* EB_SIDES of them */
    bool given;                   /* false: the account's own subjects, rules are empty */
    bool internal;                /* wildcards reach what is closed to all others */
    bool jetstream;               /* wildcards reach $JS too */
    bool leaf;                    /* may be a leaf link */
    bool nats, mqtt;              /* forms that are wanted, at least one */
    bool has_resp;
    int64_t resp_max, resp_ttl_ns;
    struct eb_buf *scratch;
    /* A rule that a wildcard's deny takes away; NULL = nobody wants to know. wildcard, rule: places in the
     * list of side. */
    void (*conflict)(void *ctx, enum eb_side side, size_t wildcard, size_t rule, struct eb_str deny);
    void *ctx;
};

/*
 * Appends both forms. The NATS form is the first *ret_nats_n bytes of what was appended, the MQTT form is
 * what begins at *ret_mqtt_at; they share the middle, or are the same. Where only one is wanted, both are it.
 * Failures latch in `to`.
 */
void eb_permissions_write(const struct eb_permissions *p, struct eb_buf *to, size_t *ret_nats_n,
                          size_t *ret_mqtt_at);

/* True for `>`, `*`, and what begins with `*.`: it reaches inboxes and $ subjects. */
bool eb_permissions_is_root_wildcard(struct eb_str s);

#endif
