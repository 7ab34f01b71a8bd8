/*
 * The site document: one CSC or CPC, what crosses between the sites, its extra accounts, streams and
 * permissions. The same keys as the chart's `global.eventBus`. Read as a whole with findings, then immutable.
 * Source: docs/architecture.md.
 */
#ifndef EB_SITE_SITE_H
#define EB_SITE_SITE_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/doc.h"
#include "base/err.h"
#include "base/findings.h"
#include "base/str.h"

#define EB_SITE_MAX ((size_t)16 << 20) /* bytes of a document */
#define EB_SITE_ID_MAX 32              /* bytes of a cluster id */
#define EB_SITE_CPCS 999               /* ids that a CSC may list */
#define EB_SITE_PATTERNS 256           /* patterns in one list */
#define EB_SITE_PATTERN_MAX 255        /* bytes of a pattern: prefixes are put before it */
#define EB_SITE_EXTRAS 64              /* extra accounts */
#define EB_SITE_EXTRA_MAX 32           /* bytes of the name of one */

enum eb_site_type { EB_SITE_CSC, EB_SITE_CPC };
enum eb_site_list { EB_SITE_CSC_EXPORTS, EB_SITE_CSC_PREFIXED, EB_SITE_CPC_EXPORTS, EB_SITE_LISTS };

/* A text of the document and where it stands. NUL-terminated behind its end; owned by the site. */
struct eb_site_text {
    struct eb_str s;
    size_t line; /* from 1 */
};
struct eb_site_texts {
    struct eb_site_text *items;
    size_t n;
};

struct eb_site_extra {
    struct eb_site_text name; /* as written, the account's name: `LaunchLayer` */
    struct eb_str lower;      /* for names of secrets: `launchlayer` */
    bool enabled, jetstream;
};

/* Paths of PEM files on the machine of the server; {NULL, 0} where not given. */
struct eb_site_tls {
    struct eb_str ca, cert, key;
    bool handshake_first; /* TLS before the server's first line: a gateway before it ends TLS, or picks by
                             name */
};

struct eb_site {
    enum eb_site_type type;
    struct eb_str file;    /* as given, for messages */
    struct eb_str id;      /* `1`; "" for the CSC */
    struct eb_str name;    /* `csc`, `cpc-1`: the folder of its secrets, the prefix of its servers' names */
    struct eb_str account; /* the data account: `CSC`, `CPC` */
    struct eb_str domain;  /* of its JetStream: `CSC`, `CPC-1` */
    struct eb_site_text
        csc_endpoint;             /* of a CPC: nats://host:port, or tls://; of a cluster several, by commas */
    struct eb_site_texts cpc_ids; /* of the CSC */
    struct eb_site_texts lists[EB_SITE_LISTS];
    bool mtls;
    struct eb_site_extra *extras; /* enabled ones and others, in the order of their lower-case names */
    size_t extras_n;
    int64_t streams_max_bytes;                           /* bytes; 67108864 where not given */
    int64_t streams_max_age_ns;                          /* 3 h where not given */
    unsigned streams_replicas;                           /* 1, 3, 5; where not given 3 on 3 servers, else 1 */
    bool streams_memory;                                 /* storage: memory */
    struct eb_site_tls leaf_server_tls, leaf_client_tls; /* cscLeafServerTLS, cpcLeafClientTLS */
    json_t
        *permissions; /* auth.permissions: an object {oauth2,mtls,nkey,noauth}, never NULL, perhaps empty */
    json_t *gateway;  /* gateway, for the charts; NULL where not given */
};

/* The key of a list in the document: "cscExports". */
const char *eb_site_list_name(enum eb_site_list l);

/*
 * Reads and validates a whole document: every fault is a finding with path, line and mend. Where any is an
 * error, EB_E_INVALID and *ret untouched. The permissions are only read into a tree here; eb_policy_load
 * judges them.
 */
EB_MUSTCHECK enum eb_rc eb_site_load(struct eb_doc *doc, struct eb_site **ret, struct eb_findings *findings);
void eb_site_free(struct eb_site *s);
EB_DEFINE_CLEANUP(struct eb_site, eb_site_free);

/*
 * True where MQTT clients may be in that account: MQTT needs JetStream there. A CPC has none in its extra
 * accounts (it is the CSC's, and an MQTT login would hang). Entries of the permissions that name mqtt all the
 * same are refused when the document is read; those that name no connections are given the others by whoever
 * writes the permissions out.
 */
bool eb_site_account_mqtt(const struct eb_site *s, struct eb_str account);

/*
 * The subtree global.eventBus.auth.permissions of a site document as JSON text of its own, each value on the
 * line where it stands in the document, so that findings of eb_policy_load are right. Path of the findings:
 * EB_SITE_PERMISSIONS_PATH before that of the policy's. Empty text where there is none. The document must be
 * fresh.
 */
#define EB_SITE_PERMISSIONS_PATH "global.eventBus.auth.permissions"
EB_MUSTCHECK enum eb_rc eb_site_permissions_text(struct eb_doc *doc, struct eb_buf *to,
                                                 struct eb_err *reterr);

/*
 * What documents of sites that belong together must agree on: one CSC, ids listed there, the same lists, the
 * same extra accounts, distinct ids, equal stream limits. Each difference is a finding that names both files.
 */
void eb_site_agree(const struct eb_site *const *sites, size_t n, struct eb_findings *findings);

/*
 * The first sequence of a site's `$MQTT_qos2in`, a multiple of 10^12, so that no two sites count the same
 * numbers (QoS 2 messages of the other would be taken for repeats). id "" is the CSC. Ids that share one are
 * findings of eb_site_load (cpcIds) and eb_site_agree.
 */
uint64_t eb_site_first_seq(struct eb_str id);

#endif
