/* /livez, /readyz, /healthz, /health and /metrics over HTTP; GET and HEAD only, nothing a peer sends can stop
 * the service. */
#ifndef EB_HEALTH_H
#define EB_HEALTH_H

#include "base/err.h"
#include "base/buf.h"

/* Appends the JSON body of /readyz; true for 200. Called on HTTP threads. */
typedef bool (*eb_ready_fn)(void *ctx, struct eb_buf *body);
/* Appends further series to /metrics. Called on HTTP threads. */
typedef void (*eb_more_metrics_fn)(void *ctx, struct eb_buf *to);
/* True while the workers move. */
typedef bool (*eb_live_fn)(void *ctx);

struct eb_health;
struct eb_health_options {
    const char *host; /* address, NULL = all */
    int port;         /* 0 = off */
    bool metrics_only;
    eb_ready_fn ready;
    eb_live_fn live;
    eb_more_metrics_fn more; /* NULL = none */
    void *ctx;
};
/* *ret is NULL with EB_OK where the port is 0. EB_E_IO names address, port and cause. */
EB_MUSTCHECK enum eb_rc eb_health_start(const struct eb_health_options *opt, struct eb_health **ret,
                                        struct eb_err *reterr);
void eb_health_stop(struct eb_health *h);

#endif
