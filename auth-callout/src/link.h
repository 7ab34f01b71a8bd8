/*
 * The service's own connections to NATS (nats.c). They never give up: nats.c reconnects for ever, and where
 * it closes a connection for good (two equal authorization errors in a row), a supervisor builds it anew with
 * growing, jittered pauses.
 */
#ifndef EB_LINK_H
#define EB_LINK_H

#include <nats/nats.h>

#include "config.h"

struct eb_links; /* any thread */

/* A request that came. Called on a thread of nats.c: must only hand it on. The callee owns msg. */
typedef void (*eb_link_request_fn)(void *ctx, natsMsg *msg, size_t link);
/* Answers a service query ($SRV): appends the JSON to `to`; false = say nothing. On a thread of nats.c. */
typedef bool (*eb_link_query_fn)(void *ctx, struct eb_str subject, struct eb_buf *to);

struct eb_links_options {
    const struct eb_config *config; /* borrowed while the links live */
    size_t n;                       /* connections */
    size_t pending;                 /* messages that nats.c may hold for us */
    eb_link_request_fn on_request;
    eb_link_query_fn on_query;
    const struct eb_str *queries; /* subjects of service queries */
    size_t queries_n;
    /* A link was lost (up = false), or is there again; NULL = nobody wants to know. On any thread: must only
     * hand it on. */
    void (*on_change)(void *ctx, bool up);
    void *ctx;
};

#define EB_LINK_SUBJECT "$SYS.REQ.USER.AUTH"
#define EB_LINK_QUEUE "auth-callout"

/* Returns at once; the servers may be down. A bad login (seed file of the wrong kind) is EB_E_INVALID with
 * its mend. */
EB_MUSTCHECK enum eb_rc eb_links_start(const struct eb_links_options *opt, struct eb_links **ret,
                                       struct eb_err *reterr);
/* Number of links whose subscription the server has confirmed, and the last trouble for people ("" for none),
 * NUL-terminated. */
size_t eb_links_confirmed(struct eb_links *l, char *trouble, size_t trouble_size);
/* Sends an answer, over the link that brought the request if it is up. False where no link takes it. */
EB_MUSTCHECK bool eb_links_publish(struct eb_links *l, size_t link, const char *subject, struct eb_str bytes);
/*
 * Leaves the queue group: when it returns, no more requests come. At until_ns of eb_mono_ns at the latest; at
 * drained_ns, which is later, where requests are still being read. The log tells where not all were.
 */
void eb_links_leave(struct eb_links *l, int64_t until_ns, int64_t drained_ns);
/* After eb_links_leave: sends what is buffered and closes, until then at the latest. No other thread may use
 * the links any more, but one that is held in eb_links_publish. False where a thread waits for a silent
 * server, which can take long: only the end of the process ends it then. */
EB_MUSTCHECK bool eb_links_stop(struct eb_links *l, int64_t until_ns);
/* Only when nats.c has ended, which tells of a closed connection on a thread of its own, later. */
void eb_links_free(struct eb_links *l);

#endif
