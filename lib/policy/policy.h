/*
 * The permissions document: loaded as a stream, validated as a whole, then immutable and looked up by
 * identity. Source: design of the project (docs/authentication.md); NATS user JWT permissions.
 */
#ifndef EB_POLICY_POLICY_H
#define EB_POLICY_POLICY_H

#include <stdint.h>

#include "base/doc.h"
#include "base/err.h"
#include "base/findings.h"
#include "base/str.h"

struct eb_policy; /* immutable, shared by reference count, any thread */

#define EB_POLICY_MAX ((size_t)64 << 20) /* bytes of a document */

/* Returns the value of an environment variable, NULL where it is unset or must not be used. is_secret is set
 * for a secret's name. */
typedef const char *(*eb_policy_env_fn)(void *ctx, const char *name, bool *is_secret);

struct eb_policy_options {
    eb_policy_env_fn env; /* for ${NAME}; NULL = no expansion known: every ${NAME} is an error */
    void *env_ctx;
    const struct eb_str *issuers; /* names of the configured oauth2 issuers that `issuer:` may name */
    size_t issuers_n;
    const struct eb_str *allowed_accounts; /* none = those that the document names */
    size_t allowed_accounts_n;
    bool allow_org_identity; /* mtls.allow-org-identity */
    bool others; /* clients get in without an entry, too: a document with none is no doubtful one */
};

/*
 * Reads and validates a whole document. Where any finding is an error, EB_E_INVALID and *ret untouched.
 * EB_E_IO, EB_E_TOO_LARGE, EB_E_NOMEM, EB_E_MALFORMED (each also a finding, so that findings alone tell
 * everything).
 */
EB_MUSTCHECK enum eb_rc eb_policy_load(struct eb_doc *doc, const struct eb_policy_options *opt,
                                       struct eb_policy **ret, struct eb_findings *findings);
struct eb_policy *eb_policy_ref(struct eb_policy *p);
void eb_policy_unref(struct eb_policy *p);
EB_DEFINE_CLEANUP(struct eb_policy, eb_policy_unref);

enum eb_policy_method { EB_POLICY_OAUTH2, EB_POLICY_MTLS, EB_POLICY_NKEY, EB_POLICY_NOAUTH };
/* True where s may be the name of an account: letters, digits, `-` and `_`, at most 128. */
bool eb_policy_account_ok(struct eb_str s);
const char *eb_policy_method_name(enum eb_policy_method m);
/* "nats", "mqtt", … for one of EB_CONN_*, "unknown" for anything else. */
const char *eb_policy_conn_name(unsigned conn);

/* Kinds of connection an entry may be used from. */
enum { EB_CONN_NATS = 1, EB_CONN_MQTT = 2, EB_CONN_WEBSOCKET = 4, EB_CONN_LEAF = 8 };

/* A view of one entry, borrowed from the policy: keep a reference while it is used. */
struct eb_policy_entry {
    uint32_t index; /* of the entry in the policy */
    enum eb_policy_method method;
    struct eb_str name, account;
    struct eb_str required_scope; /* {NULL, 0} = none */
    /* Members `"sub":{…},"pub":{…}`, and `"resp":{…}` where given, in any order: go into the user JWT as they
     * are. */
    struct eb_str grants_json;
    struct eb_str grants_mqtt_json; /* the same for a connection that speaks MQTT, see eb_policy_grants */
    unsigned connections;           /* EB_CONN_* bits */
    bool internal;
};

/*
 * The grants for a connection of this kind (one EB_CONN_ bit). They differ: an MQTT client is never denied
 * subscribing `$MQTT.>`, its own delivery needs it; all others are, unless a rule names it. Never empty;
 * borrowed as the entry is.
 */
struct eb_str eb_policy_grants(const struct eb_policy_entry *e, unsigned conn);

size_t eb_policy_count(const struct eb_policy *p, enum eb_policy_method m);
/* The entry at a place from 0 on, in the order of the document; false behind the last. */
bool eb_policy_at(const struct eb_policy *p, size_t index, struct eb_policy_entry *ret);
/* Bytes of memory that the policy holds. */
size_t eb_policy_bytes(const struct eb_policy *p);

/* Look-ups: true and *ret filled, or false. */
/*
 * oauth2: entry with subject and azp both equal, then subject only, then azp only, among the issuer's
 * entries. An absent claim is {NULL, 0}; so is the issuer of the `jwks` block, which an entry without
 * `issuer:` belongs to.
 */
bool eb_policy_find_oauth2(const struct eb_policy *p, struct eb_str issuer, struct eb_str subject,
                           struct eb_str azp, struct eb_policy_entry *ret);
/* mtls: typed identity, e.g. "CN=" and "mqtt-client.csc" as kind prefix and value. */
bool eb_policy_find_mtls(const struct eb_policy *p, struct eb_str kind, struct eb_str value,
                         struct eb_policy_entry *ret);
bool eb_policy_find_nkey(const struct eb_policy *p, const uint8_t key[32], struct eb_policy_entry *ret);
bool eb_policy_noauth(const struct eb_policy *p, struct eb_policy_entry *ret);

/*
 * Checks that the entry may be used by this connection, which nats-server does not: kind of connection (leaf
 * included), source address (IPv4 or IPv6 text; an unreadable one refuses where src is given), MQTT client id
 * (the entry's own pattern; and an id that another entry binds refuses). conn: one EB_CONN_ bit, 0 for an
 * unknown kind, which refuses. EB_E_LEAF_REFUSED, EB_E_CONNECTION_TYPE, EB_E_SRC, EB_E_CLIENT_ID;
 * EB_E_INTERNAL for an entry of another policy.
 */
EB_MUSTCHECK enum eb_rc eb_policy_admit(const struct eb_policy *p, const struct eb_policy_entry *e,
                                        unsigned conn, struct eb_str host, struct eb_str mqtt_id,
                                        struct eb_err *reterr);
/*
 * The same for an identity that no entry stands for (a ServiceAccount): connections are the EB_CONN_ bits
 * that it may be used from, never EB_CONN_LEAF; an MQTT client id that an entry binds refuses.
 */
EB_MUSTCHECK enum eb_rc eb_policy_admit_other(const struct eb_policy *p, unsigned connections, unsigned conn,
                                              struct eb_str mqtt_id, struct eb_err *reterr);

#endif
