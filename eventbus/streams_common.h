/* What `eventbus streams apply`, `status` and `watch` share: their options, the site document, the first
 * connection. */
#ifndef EB_CLI_STREAMS_COMMON_H
#define EB_CLI_STREAMS_COMMON_H

#include "command.h"
#include "jetstream.h"
#include "site/streams_diff.h"

/* The first options of each of the three, in this order; EB_STREAMS_OPTIONS is their number. */
enum { EB_STREAMS_SITE, EB_STREAMS_SERVER, EB_STREAMS_SEED, EB_STREAMS_CA, EB_STREAMS_OPTIONS };
#define EB_STREAMS_OPTION_ROWS                                                                               \
    {"site", "FILE", "the site document"},                                                                   \
        {"server", "URL",                                                                                    \
         "nats://host:port of the site's main server; several of a cluster with commas between them"},       \
        {"seed-file", "FILE", "the seed of the site's nkey nats-streams"}, {                                 \
        "ca", "FILE", "CA certificates that a tls:// server is verified with, instead of the system's"       \
    }

/* A site and what its streams are to be. */
struct eb_plan {
    struct eb_site *site;
    json_t *streams;                  /* eb_streams_of */
    struct eb_stream_source *sources; /* eb_stream_sources */
    json_t **entries;                 /* and each as an entry of `sources` */
    char **keys;                      /* of these entries, eb_stream_source_key */
    size_t sources_n;
};
/* Reads and validates the document. Findings go to `findings`; false where it is unusable (there is one then,
 * too). */
bool eb_plan_load(const char *path, struct eb_plan *ret, struct eb_findings *findings);
void eb_plan_done(struct eb_plan *p);
#define eb_auto_plan EB_CLEANUP(eb_plan_done)

/* What a command does with the site's plan, which it may take over, and the prepared connection; the exit
 * status. */
typedef int eb_streams_work_fn(const struct eb_command *c, const struct eb_args *args, struct eb_plan *plan,
                               struct eb_js *js);
/* Checks that the three required options are there, reads the site, prepares the connection, does the work
 * and ends the connection. The exit status, after saying why where it is not EB_EXIT_OK. */
int eb_streams_run(const struct eb_command *c, const struct eb_args *args, eb_streams_work_fn *work);
/* A duration option, `fallback_ms` where not given. false after saying why not. */
bool eb_streams_wait(const struct eb_command *c, const char *name, const char *value, int64_t fallback_ms,
                     int64_t *ret_ms);

/*
 * Waits until JetStream answers there, at most wait_ms. Then proves that the server is new enough for what
 * the document asks, that its JetStream is this site's, and a cluster where several replicas are wanted.
 * *ret_session (NULL allowed) is the connection of which all that is true: nothing may be changed over
 * another one. EB_E_IO, EB_E_INVALID.
 */
EB_MUSTCHECK enum eb_rc eb_streams_ready(struct eb_js *js, const struct eb_plan *plan, int64_t wait_ms,
                                         struct eb_hello *ret, uint64_t *ret_session, struct eb_err *reterr);
/*
 * STREAM.INFO; EB_OK with *ret NULL where there is no such stream. The answer is of the site's own JetStream:
 * a connection that came back may lead elsewhere. EB_E_IO nobody answered, EB_E_INVALID the server refuses or
 * is another site's, EB_E_MALFORMED.
 */
EB_MUSTCHECK enum eb_rc eb_streams_info(struct eb_js *js, const struct eb_site *site, const char *stream,
                                        int64_t timeout_ms, json_t **ret, struct eb_err *reterr);

int64_t eb_streams_now_ns(void); /* since the epoch */
void eb_streams_sleep(int64_t ms);

#endif
