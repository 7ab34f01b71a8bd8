#include "health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "metrics.h"

/* What one peer may cost. */
enum { CONNECTIONS_MAX = 64, CONNECTIONS_PER_PEER = 16, CONNECTION_MEMORY = 8192, IDLE_TIMEOUT_S = 10 };

struct eb_health {
    struct eb_health_options opt;
    struct MHD_Daemon *daemon;
};

static enum MHD_Result answer(struct MHD_Connection *conn, unsigned status, const char *type,
                              struct eb_buf *body) {
    if (!eb_buf_ok(body))
        return MHD_NO;
    struct eb_str bytes = eb_buf_get(body);
    struct MHD_Response *r =
        MHD_create_response_from_buffer_with_free_callback(bytes.n, body->p ? body->p : NULL, free);
    if (!r)
        return MHD_NO;
    *body = (struct eb_buf){0};
    (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result queued = MHD_queue_response(conn, status, r);
    MHD_destroy_response(r);
    return queued;
}

static bool is_one_of(const char *url, const char *const *paths, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(url, paths[i]) == 0)
            return true;
    return false;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size,
                                  void **con_cls) {
    (void)version;
    (void)upload;
    static int seen;
    const struct eb_health *h = cls;
    eb_auto_buf struct eb_buf body = {0};
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        if (*con_cls == &seen && *upload_size)
            return MHD_NO;
        *con_cls = &seen;
        eb_buf_z(&body, "only GET is served here\n");
        return answer(conn, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", &body);
    }
    if (strcmp(url, "/metrics") == 0) {
        eb_auto_buf struct eb_buf unsent = {0};
        (void)h->opt.ready(h->opt.ctx, &unsent); /* brings the gauges up to date */
        eb_metrics_render(&body);
        if (h->opt.more)
            h->opt.more(h->opt.ctx, &body);
        return answer(conn, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &body);
    }
    static const char *const live_paths[] = {"/livez", "/healthz", "/health"};
    if (!h->opt.metrics_only && is_one_of(url, live_paths, EB_COUNT_OF(live_paths))) {
        bool ok = h->opt.live(h->opt.ctx);
        eb_buf_z(&body, ok ? "{\"status\":\"ok\"}\n" : "{\"status\":\"wedged\"}\n");
        return answer(conn, ok ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, "application/json", &body);
    }
    if (!h->opt.metrics_only && strcmp(url, "/readyz") == 0) {
        bool ok = h->opt.ready(h->opt.ctx, &body);
        return answer(conn, ok ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, "application/json", &body);
    }
    eb_buf_z(&body, h->opt.metrics_only ? "try /metrics\n" : "try /livez, /readyz, /healthz or /metrics\n");
    return answer(conn, MHD_HTTP_NOT_FOUND, "text/plain", &body);
}

static enum eb_rc start_on(struct eb_health *h, const struct sockaddr *address, bool v6,
                           struct eb_err *reterr) {
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | (v6 ? MHD_USE_DUAL_STACK : 0);
    h->daemon = MHD_start_daemon(
        flags, (uint16_t)h->opt.port, NULL, NULL, on_request, h, MHD_OPTION_SOCK_ADDR, address,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_PER_PEER, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_END);
    if (h->daemon)
        return EB_OK;
    return EB_FAIL(reterr, EB_E_IO, "cannot listen on %s port %d: %s",
                   h->opt.host ? h->opt.host : "all addresses", h->opt.port,
                   errno ? strerror(errno) : "refused");
}

enum eb_rc eb_health_start(const struct eb_health_options *opt, struct eb_health **ret,
                           struct eb_err *reterr) {
    *ret = NULL;
    if (opt->port == 0)
        return EB_OK;
    eb_auto_free struct eb_health *h = calloc(1, sizeof *h);
    if (!h)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    h->opt = *opt;
    errno = 0;
    enum eb_rc rc;
    if (!opt->host) {
        struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)opt->port)};
        rc = start_on(h, (const struct sockaddr *)&any6, true, NULL);
        if (rc != EB_OK) { /* no IPv6 here, or the port is taken: the second try tells */
            struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt->port)};
            rc = start_on(h, (const struct sockaddr *)&any4, false, reterr);
        }
    } else {
        struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *found = NULL;
        char port[16];
        (void)snprintf(port, sizeof port, "%d", opt->port);
        int e = getaddrinfo(opt->host, port, &hints, &found);
        if (e != 0)
            return EB_FAIL(reterr, EB_E_IO, "%s: %s", opt->host, gai_strerror(e));
        errno = 0;
        rc = start_on(h, found->ai_addr, found->ai_family == AF_INET6, reterr);
        freeaddrinfo(found);
    }
    if (rc != EB_OK)
        return rc;
    *ret = EB_TAKE(h);
    return EB_OK;
}

void eb_health_stop(struct eb_health *h) {
    if (!h)
        return;
    MHD_stop_daemon(h->daemon);
    free(h);
}
