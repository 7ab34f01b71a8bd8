/*
 * What a ServiceAccount may do: its namespace's subjects, its inboxes, and what its annotations add. Source:
 * docs/kubernetes-tokens.md.
 */
#ifndef EB_KUBE_GRANTS_H
#define EB_KUBE_GRANTS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define EB_KUBE_SUBJECTS_MAX 2048 /* subjects taken of one annotation; more are dropped */
#define EB_KUBE_ANNOTATION_MAX                                                                               \
    ((size_t)256 << 10) /* bytes read of one; Kubernetes caps all of an object's                             \
                         */

/* Configuration; borrowed texts. */
struct eb_kube_rules {
    struct eb_str subject_prefix;  /* stands before the namespace as it is: "k8s." gives k8s.<namespace>.> */
    const struct eb_str *reserved; /* namespaces that get no subjects by their name, beside `cpc` */
    size_t reserved_n;
    bool allow_root_wildcards; /* annotations may begin with `*` or be `>` */
    bool allow_jetstream;      /* annotations may name $JS.API.… $JS.ACK.… $KV.… $O.… */
};
/*
 * Checks the prefix and the reserved names. EB_E_INVALID: the prefix makes no subject, holds a wildcard, or
 * leads into `$…`, `_INBOX…`, `_REPLY…`, `_R_…`, or a reserved name's subjects.
 */
EB_MUSTCHECK enum eb_rc eb_kube_rules_check(const struct eb_kube_rules *rules, struct eb_err *reterr);

/* Why an item of an annotation is dropped: X(code, stable name, for people). */
#define EB_KUBE_DROP_LIST(X)                                                                                 \
    X(INVALID, "invalid", "no subject")                                                                      \
    X(ROOT_WILDCARD, "root_wildcard", "begins with a wildcard, which reaches inboxes and $ subjects")        \
    X(INBOX, "inbox", "an inbox")                                                                            \
    X(REPLY, "reply", "a subject of replies")                                                                \
    X(SYSTEM, "system", "a $ subject")                                                                       \
    X(TOO_MANY, "too_many", "more than are taken of one annotation")                                         \
    X(TOO_LARGE, "too_large", "more than a user's permissions may take")

enum eb_kube_drop {
#define EB_KUBE_DROP_ENUM(code, name, text) EB_KUBE_DROP_##code,
    EB_KUBE_DROP_LIST(EB_KUBE_DROP_ENUM)
#undef EB_KUBE_DROP_ENUM
        EB_KUBE_DROPS
};
/* The stable name ("invalid", …), and words for a log line; never NULL. */
const char *eb_kube_drop_name(enum eb_kube_drop d);
const char *eb_kube_drop_text(enum eb_kube_drop d);

#define EB_KUBE_SAMPLE_MAX 288

/* What was dropped of a ServiceAccount's annotations. */
struct eb_kube_drops {
    uint32_t total, by_reason[EB_KUBE_DROPS];
    /* The first few items with their reasons, for one log line: `">" (root_wildcard), "_INBOX.x" (inbox)`.
     * Quoted and escaped as JSON, each cut; NUL-terminated. */
    char sample[EB_KUBE_SAMPLE_MAX];
};

/* Where the two forms lie in what eb_kube_grants_write appended. */
struct eb_kube_form {
    size_t nats_off, nats_n; /* members `"sub":{…},"pub":{…},"resp":{…}` for connections that speak NATS */
    size_t mqtt_off, mqtt_n; /* the same for those that speak MQTT */
};

/*
 * Appends the permissions of ServiceAccount name in namespace ns, whose names must be checked. The
 * annotations are comma separated; {NULL, 0} = absent. What is bad in them is dropped and told in *ret_drops,
 * never an error. Granted: `<prefix><ns>.>` both ways unless reserved, `_INBOX.>` and the private inbox to
 * subscribe, one answer to each request. EB_E_INTERNAL for unchecked names, EB_E_NOMEM. Any thread.
 */
EB_MUSTCHECK enum eb_rc eb_kube_grants_write(const struct eb_kube_rules *rules, struct eb_str ns,
                                             struct eb_str name, struct eb_str allowed_pub,
                                             struct eb_str allowed_sub, struct eb_buf *to,
                                             struct eb_kube_form *ret_form, struct eb_kube_drops *ret_drops,
                                             struct eb_err *reterr);

/*
 * Appends `<ns>_<name>` with the dots of the name as `_`: one token, and no two ServiceAccounts' is the same.
 * (No namespace holds `_` or a dot, so the first `_` ends it; no name holds `_`, so each further one was a
 * dot.) The private inbox is `_INBOX_<that>.>`.
 */
void eb_kube_token_of(struct eb_buf *to, struct eb_str ns, struct eb_str name);

#endif
