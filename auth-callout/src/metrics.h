/* Counters of the process, updated without locks and rendered in the Prometheus text format. Every series
 * exists from the start. */
#ifndef EB_METRICS_H
#define EB_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rc.h"

/* What a request was decided by. */
enum eb_method {
    EB_METHOD_NONE,
    EB_METHOD_OAUTH2,
    EB_METHOD_MTLS,
    EB_METHOD_NKEY,
    EB_METHOD_NOAUTH,
    EB_METHOD_KUBERNETES,
    EB_METHOD_MAX_
};
const char *eb_method_name(enum eb_method m);

enum eb_counter {
    EB_C_REQUESTS,         /* requests that arrived */
    EB_C_ERRORS,           /* requests that did not end in an admission */
    EB_C_DROPPED_LATE,     /* dropped: older than their budget when a worker took them */
    EB_C_DROPPED_FULL,     /* dropped: the queue was full */
    EB_C_DROPPED_MQTT,     /* dropped: MQTT logins while the site's streams are not as specified */
    EB_C_DROPPED_STOP,     /* dropped: left as the service ended */
    EB_C_PERM_RELOADS,     /* permissions documents taken into force */
    EB_C_PERM_FAILURES,    /* permissions documents refused */
    EB_C_CONFIG_FAILURES,  /* configurations refused as a whole */
    EB_C_CA_FAILURES,      /* CA files refused */
    EB_C_SEED_FAILURES,    /* seed files refused */
    EB_C_SPECS_FAILURES,   /* definitions of the streams refused */
    EB_C_JWKS_FETCHES,     /* fetches of a key set */
    EB_C_JWKS_FAILURES,    /* fetches that failed */
    EB_C_LINK_LOST,        /* times that a link to NATS was lost */
    EB_C_LINK_REBUILT,     /* times that a link was built anew */
    EB_C_PARKED,           /* requests that waited for something */
    EB_C_PUBLISH_FAILURES, /* answers that could not be handed to the link */
    EB_C_MAX_,
};

enum eb_gauge {
    EB_G_READY,
    EB_G_LINKS_UP,
    EB_G_MQTT_OPEN,      /* 1 while MQTT logins are answered */
    EB_G_REFUSALS_HEARD, /* 1 while the servers tell us what logins they refuse */
    EB_G_QUEUE_DEPTH,
    EB_G_JWKS_KEYS,
    EB_G_JWKS_FETCHED, /* seconds since the epoch of the last good fetch, 0 before */
    EB_G_POLICY_ENTRIES,
    EB_G_POLICY_LOADED, /* seconds since the epoch */
    EB_G_MAX_,
};

/* What ends by itself and must be renewed before. */
enum eb_credential {
    EB_CRED_MTLS_CA,       /* CAs of the clients' certificates */
    EB_CRED_NATS_TLS_CA,   /* CAs that the service's own link trusts */
    EB_CRED_NATS_TLS_CERT, /* the service's certificate on that link */
    EB_CRED_NATS_CREDS,    /* the user JWT of its creds file */
    EB_CRED_MAX_
};

void eb_count(enum eb_counter c);
void eb_count_n(enum eb_counter c, uint64_t n);
uint64_t eb_counter_get(enum eb_counter c);
void eb_gauge_set(enum eb_gauge g, int64_t v);
void eb_gauge_add(enum eb_gauge g, int64_t v);
int64_t eb_gauge_get(enum eb_gauge g);

/* When the one in use ends, in seconds since the epoch: the earliest of several; 0 where there is none, or it
 * has no end. */
void eb_credential_until(enum eb_credential c, int64_t until_s);

/* A request that could not be taken for one, by reason. */
void eb_count_invalid(enum eb_rc reason);
/* An attempt by method; reason EB_OK for an admission. */
void eb_count_attempt(enum eb_method m, enum eb_rc reason);
/* Why a server refused a login, as it tells itself. */
enum eb_refusal {
    EB_REFUSAL_TIMEOUT, /* no answer came in time */
    EB_REFUSAL_REFUSED, /* the answer said so */
    EB_REFUSAL_OTHER,   /* by itself: a wrong key of a user of its own, an answer that it cannot follow */
    EB_REFUSAL_MAX_,
};
void eb_count_refusal(enum eb_refusal why);
uint64_t eb_refusals_get(enum eb_refusal why);
/* What became of spans, where callouts are traced. */
enum eb_spans {
    EB_SPANS_EXPORTED,
    EB_SPANS_REJECTED, /* by a collector that took the rest of a request */
    EB_SPANS_DROPPED,  /* too many waited for the collector */
    EB_SPANS_FAILED,   /* sent in vain */
    EB_SPANS_MAX_,
};
void eb_count_spans(enum eb_spans what, uint64_t n);
uint64_t eb_spans_get(enum eb_spans what);
/* From arrival to answer. */
void eb_observe_ns(int64_t ns);
/* Sum of all that was observed. */
uint64_t eb_observed_ns(void);

/* Appends the whole exposition. */
void eb_metrics_render(struct eb_buf *to);

#endif
