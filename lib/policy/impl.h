/* Inside lib/policy only: how a policy lies in memory, and what its files share while one is loaded. */
#ifndef EB_POLICY_IMPL_H
#define EB_POLICY_IMPL_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "policy/arena.h"
#include "policy/cidr.h"
#include "policy/index.h"
#include "policy/policy.h"
#include "subject/permissions.h"

#define EB_POLICY_NAME_MAX 128
#define EB_POLICY_CLIENT_ID_MAX 128
#define EB_POLICY_HASH_KEY 16 /* crypto_shorthash_KEYBYTES */

enum eb_identity_kind { EB_ID_CN, EB_ID_EMAIL, EB_ID_DNS, EB_ID_URI, EB_ID_O, EB_ID_OU, EB_ID_KINDS };
extern const char *const eb_identity_prefix[EB_ID_KINDS]; /* "CN=", … */

/* An entry as it is kept. */
struct eb_policy_rec {
    eb_ref name, account, scope;
    eb_ref grants; /* see eb_grants_write */
    eb_ref src;    /* struct eb_cidr, one behind another */
    eb_ref client_id;
    eb_ref id_a; /* oauth2: subject; mtls: identity behind its prefix; nkey: 32 bytes */
    eb_ref id_b; /* oauth2: azp */
    uint32_t line;
    uint16_t issuer; /* 0 = the jwks block's, else 1 + place in issuers */
    uint8_t method, connections, id_kind;
    bool internal;
};

struct eb_policy {
    atomic_uint refs;
    uint8_t
        key[EB_POLICY_HASH_KEY]; /* of all its hashes: nobody outside can choose identities that collide */
    struct eb_arena arena;
    struct eb_pages recs;
    uint32_t n;
    uint32_t count[4]; /* by method */
    uint32_t noauth;   /* 1 + place of the noauth entry, 0 = none */
    eb_ref *issuers;
    size_t issuers_n;
    struct eb_index by_identity; /* 1 + place of an entry */
    struct eb_index
        by_client_id; /* the same: literal ids by themselves, patterns by the text before their first `*` */
    uint64_t
        prefix_lens[EB_POLICY_CLIENT_ID_MAX / 64 + 1]; /* bit n: a pattern has n bytes before its first `*` */
};

static inline struct eb_policy_rec *eb_policy_rec(const struct eb_policy *p, uint32_t place) {
    return (struct eb_policy_rec *)p->recs.p + place;
}
static inline struct eb_str eb_policy_str(const struct eb_policy *p, eb_ref ref) {
    return eb_arena_get(&p->arena, ref);
}

/* Keyed hashes. The tag parts the kinds of key that share an index. */
enum eb_hash_tag {
    EB_HASH_OAUTH2 = 1,
    EB_HASH_MTLS,
    EB_HASH_NKEY,
    EB_HASH_CLIENT_ID,
    EB_HASH_CLIENT_PREFIX,
    EB_HASH_NAME,
    EB_HASH_TEXT
};
uint64_t eb_policy_hash(const struct eb_policy *p, enum eb_hash_tag tag, unsigned more, struct eb_str s);
uint64_t eb_policy_hash_oauth2(const struct eb_policy *p, unsigned issuer, struct eb_str subject,
                               struct eb_str azp);
/* 1 + place of the entry with this identity, 0 = none. */
uint32_t eb_policy_find_id(const struct eb_policy *p, uint64_t hash, const struct eb_policy_rec *like,
                           struct eb_str a, struct eb_str b);

/* client_id.c */
bool eb_glob_match(struct eb_str pattern, struct eb_str text);
bool eb_glob_overlap(struct eb_str a, struct eb_str b);
/* 1 + place of an entry that binds this id, 0 = none. */
uint32_t eb_client_id_owner(const struct eb_policy *p, struct eb_str id);

/* The texts of an entry that is being read, in the order of their names in draft.c. */
enum eb_field {
    EB_F_AZP,
    EB_F_SUBJECT,
    EB_F_ISSUER,
    EB_F_SCOPE,
    EB_F_IDENTITY,
    EB_F_PUBLIC_KEY,
    EB_F_ACCOUNT,
    EB_F_CLIENT_ID,
    EB_F_TEXTS, /* the ones before are texts */
    EB_F_INTERNAL = EB_F_TEXTS,
    EB_F_PERMISSIONS,
    EB_F_CONNECTIONS,
    EB_F_SRC,
    EB_F_COUNT
};
extern const char *const eb_field_name[EB_F_COUNT];

extern const char *const eb_side_path[EB_SIDES]; /* "permissions.pub.allow", … */

/* One entry between reading and checking; its memory is used again for the next. */
struct eb_draft {
    enum eb_policy_method method;
    struct eb_buf name;
    struct eb_buf text;                                        /* all texts as they were written */
    struct eb_buf expanded[EB_F_TEXTS];                        /* with ${NAME} replaced */
    size_t off[EB_F_COUNT], len[EB_F_COUNT], line[EB_F_COUNT]; /* line: 0 = not given */
    size_t entry_line;
    struct eb_rules rules[EB_SIDES];
    struct eb_buf src; /* struct eb_cidr, one behind another */
    bool bad;          /* something of it was already reported: no follow-up findings */
    bool no_mapping;   /* there is nothing to check */
    bool internal, has_resp;
    unsigned connections;
    int64_t resp_max, resp_ttl_ns;
    struct eb_buf grants, scratch;
};

struct eb_load {
    struct eb_doc *doc;
    const struct eb_policy_options *opt;
    struct eb_findings *findings;
    struct eb_policy *policy;
    enum eb_rc rc;            /* not EB_OK: the document cannot be read on */
    struct eb_err err;        /* of the last call that failed: large, so there is one for all calls */
    struct eb_index names;    /* 1 + place */
    struct eb_index interned; /* eb_ref */
    const char *section;
    char entry[EB_POLICY_NAME_MAX * 3 + 8]; /* the entry's name fit for a path, "" outside of one */
    struct eb_draft draft;
};

/*
 * Reports at section.entry.where (where NULL or "" = the entry itself). The functions that read return false
 * where loading cannot go on.
 */
void eb_load_report(struct eb_load *l, enum eb_severity severity, size_t line, const char *where,
                    const char *mend, const char *fmt, ...) EB_PRINTF(6, 7);
bool eb_load_next(struct eb_load *l, struct eb_doc_event *ev);
bool eb_load_skip(struct eb_load *l, const struct eb_doc_event *ev);
bool eb_load_nomem(struct eb_load *l); /* always false */
/* One copy of equal texts. */
EB_MUSTCHECK bool eb_load_intern(struct eb_load *l, struct eb_str s, eb_ref *ret);

/* draft.c: reads the value of an entry that ev begins. */
bool eb_draft_read(struct eb_load *l, const struct eb_doc_event *ev);
/* Reads permissions; subjects.c. */
bool eb_draft_permissions(struct eb_load *l, const struct eb_doc_event *ev);
/* Calls item for each member of the list that ev begins; null is an empty list. */
typedef bool (*eb_draft_item_fn)(struct eb_load *l, const struct eb_doc_event *ev, size_t i, unsigned arg);
bool eb_draft_list(struct eb_load *l, const struct eb_doc_event *ev, const char *where, size_t max,
                   eb_draft_item_fn item, unsigned arg);
void eb_draft_reset(struct eb_draft *d, enum eb_policy_method method);
void eb_draft_done(struct eb_draft *d);
struct eb_str eb_draft_raw(const struct eb_draft *d, enum eb_field f);
static inline struct eb_str eb_draft_rule(const struct eb_draft *d, const struct eb_rule *r) {
    return (struct eb_str){d->text.p + r->off, r->subject_n};
}

/* check.c: checks the draft and puts it into the policy. */
bool eb_draft_commit(struct eb_load *l);
/* subjects.c: checks the rules of the draft. */
void eb_draft_check_rules(struct eb_load *l);
/* client_id.c: no two entries may bind one id. */
bool eb_client_ids_check(struct eb_load *l);
/* expand.c: replaces ${NAME}; false and reported where that fails. */
bool eb_expand(struct eb_load *l, enum eb_field f, struct eb_str raw, struct eb_buf *to);
/* nearest.c: "write `x`" or the list of the known names, for an unknown one. */
void eb_nearest_mend(struct eb_str unknown, const char *const *known, size_t known_n, struct eb_buf *to);

/*
 * grants.c: the wire form of the draft's permissions into d->grants: two uint32_t, the length of what NATS
 * clients get and the offset of what MQTT clients get, and the text of both; the middle is shared.
 */
void eb_grants_write(struct eb_load *l);

/* A text of a document in a finding: quoted, capped, without control bytes. */
const char *eb_quote(char to[100], struct eb_str s);
/* The same without quotes, for a path. */
const char *eb_key_path(char to[100], struct eb_str key);

#endif
