#include <sodium.h>
#include <stdio.h>

#include "link_impl.h"
#include "login.h"

enum {
    CONNECT_TIMEOUT_MS = 2000,
    WRITE_DEADLINE_MS = 2000,
    PING_MS = 15000, /* a silent peer is noticed after two of these */
    /* Clients come back the moment a server listens, and wait in vain for what is asked before we are back:
       so be quick at first. */
    RECONNECT_QUICK_MS = 20,
    RECONNECT_QUICK_TRIES = 250,
    RECONNECT_SLOW_MS = 500,
    CONFIRM_TIMEOUT_MS = 2000,
    PENDING_BYTES = 16 << 20, /* of requests that nats.c may hold for us on a link */
};

/* What was wrong with a connection last; its words are left alone (login.h). */
static natsStatus status_of(natsConnection *nc) {
    const char *text;
    return natsConnection_GetLastError(nc, &text);
}

const char *eb_link_trouble(natsConnection *nc, const char *otherwise) {
    natsStatus s = status_of(nc);
    return s != NATS_OK ? natsStatus_GetText(s) : otherwise;
}

void eb_link_log(enum eb_log_level level, const struct eb_link *k, const char *msg, const char *error) {
    struct eb_log_line line;
    eb_log_begin(&line, level, msg);
    eb_log_int(&line, "link", (int64_t)k->index);
    if (error)
        eb_log_z(&line, "error", error);
    eb_log_end(&line);
}

/* A callback of a connection that was torn down, or is not in place yet (build looks itself then), must not
 * count. */
static bool is_current(struct eb_link *k, natsConnection *nc) {
    (void)pthread_rwlock_rdlock(&k->lock);
    bool current = k->nc == nc;
    (void)pthread_rwlock_unlock(&k->lock);
    return current;
}

static void on_connected(natsConnection *nc, void *ctx) {
    if (is_current(ctx, nc))
        eb_link_note(ctx, LINK_CONNECTED, NULL);
}

static void on_disconnected(natsConnection *nc, void *ctx) {
    struct eb_link *k = ctx;
    if (!is_current(k, nc))
        return;
    const char *why = eb_link_trouble(nc, "connection lost");
    eb_link_log(EB_LOG_WARN, k, "link to NATS lost; reconnecting", why);
    eb_link_note(k, LINK_DOWN, why);
}

static void on_closed(natsConnection *nc, void *ctx) {
    struct eb_link *k = ctx;
    char refusal[TROUBLE_MAX];
    {
        EB_LOCKED(&k->all->mutex);
        if (k->all->stopping)
            return;
        memcpy(refusal, k->all->refusal, sizeof refusal);
    }
    if (is_current(k, nc))
        eb_link_note(k, LINK_CLOSED, refusal[0] ? refusal : eb_link_trouble(nc, "connection closed"));
}

static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *ctx) {
    (void)nc;
    (void)sub;
    struct eb_link *k = ctx;
    const char *text = eb_login_error(status);
    eb_link_log(EB_LOG_WARN, k, "trouble on the link to NATS", text);
    if (strstr(text, "uthorization") || strstr(text, "uthentication")) {
        EB_LOCKED(&k->all->mutex);
        (void)snprintf(k->all->refusal, sizeof k->all->refusal, "%s", text);
    }
    if (status == NATS_NOT_PERMITTED) {
        EB_LOCKED(&k->all->mutex);
        (void)snprintf(k->all->violation, sizeof k->all->violation, "%s", text);
    }
    /* A refused subscription shows here, sometimes after the flush that looked for it. */
    if (strstr(text, "ermissions Violation for Subscription"))
        eb_link_note(k, LINK_CONNECTED, text);
}

/* Milliseconds until nats.c tries the servers again, with jitter. */
static int64_t on_reconnect_delay(natsConnection *nc, int attempts, void *ctx) {
    (void)nc;
    (void)ctx;
    uint32_t most = attempts <= RECONNECT_QUICK_TRIES ? RECONNECT_QUICK_MS : RECONNECT_SLOW_MS;
    return (int64_t)(most / 2 + randombytes_uniform(most / 2 + 1));
}

static void on_message(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *ctx) {
    (void)nc;
    (void)sub;
    struct eb_link *k = ctx;
    k->all->opt.on_request(k->all->opt.ctx, msg, k->index);
}

static void on_query(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *ctx) {
    (void)sub;
    struct eb_link *k = ctx;
    eb_auto_buf struct eb_buf body = {0};
    const char *reply = natsMsg_GetReply(msg);
    if (reply && k->all->opt.on_query(k->all->opt.ctx, eb_str(natsMsg_GetSubject(msg)), &body) &&
        eb_buf_ok(&body))
        (void)natsConnection_Publish(nc, reply, body.p, (int)body.n);
    natsMsg_Destroy(msg);
}

static void optionsp(natsOptions **o) {
    natsOptions_Destroy(*o);
}

static natsStatus set_options(natsOptions *o, struct eb_link *k) {
    natsStatus s = natsOptions_SetName(o, "auth-callout");
    s = s ? s : natsOptions_SetTimeout(o, CONNECT_TIMEOUT_MS);
    s = s ? s : natsOptions_SetAllowReconnect(o, true);
    s = s ? s : natsOptions_SetMaxReconnect(o, -1);
    s = s ? s : natsOptions_SetCustomReconnectDelay(o, on_reconnect_delay, k);
    s = s ? s : natsOptions_SetPingInterval(o, PING_MS);
    s = s ? s : natsOptions_SetMaxPingsOut(o, 2);
    s = s ? s : natsOptions_SetWriteDeadline(o, WRITE_DEADLINE_MS);
    s = s ? s : natsOptions_SetErrorHandler(o, on_error, k);
    s = s ? s : natsOptions_SetClosedCB(o, on_closed, k);
    s = s ? s : natsOptions_SetDisconnectedCB(o, on_disconnected, k);
    s = s ? s : natsOptions_SetReconnectedCB(o, on_connected, k);
    return s ? s : natsOptions_SetRetryOnFailedConnect(o, true, on_connected, k);
}

void eb_link_tear_down(struct eb_link *k) {
    natsConnection *nc;
    natsSubscription *sub = k->sub;
    (void)pthread_rwlock_wrlock(&k->lock);
    nc = k->nc;
    k->nc = NULL;
    k->sub = NULL;
    (void)pthread_rwlock_unlock(&k->lock);
    for (size_t i = 0; k->query_subs && i < k->all->opt.queries_n; i++) {
        natsSubscription_Destroy(k->query_subs[i]);
        k->query_subs[i] = NULL;
    }
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(nc);
    eb_login_free(k->login);
    k->login = NULL;
}

static natsStatus subscribe(struct eb_link *k, natsConnection *nc, natsSubscription **ret_sub) {
    const struct eb_links_options *opt = &k->all->opt;
    natsStatus s = natsConnection_QueueSubscribe(ret_sub, nc, EB_LINK_SUBJECT, EB_LINK_QUEUE, on_message, k);
    if (s == NATS_OK)
        s = natsSubscription_SetPendingLimits(*ret_sub, (int)opt->pending, PENDING_BYTES);
    for (size_t i = 0; s == NATS_OK && k->query_subs && i < opt->queries_n; i++) {
        eb_auto_free char *subject = eb_str_dup(opt->queries[i]);
        s = subject ? natsConnection_Subscribe(&k->query_subs[i], nc, subject, on_query, k) : NATS_NO_MEMORY;
    }
    return s;
}

static enum eb_rc fail_connect(struct eb_link *k, const char *why, struct eb_err *reterr) {
    EB_LOCKED(&k->all->mutex);
    bool refused = k->all->refusal[0] != '\0';
    return EB_FAIL(reterr, EB_E_IO, "cannot connect to NATS: %s%s%s", why,
                   refused ? "; a server said before: " : "", k->all->refusal);
}

enum eb_rc eb_link_build(struct eb_link *k, struct eb_err *reterr) {
    eb_link_tear_down(k);
    enum eb_rc rc = eb_login_load(k->all->opt.config, &k->login, reterr);
    if (rc != EB_OK)
        return rc;
    EB_CLEANUP(optionsp) natsOptions *opts = NULL;
    natsStatus s = natsOptions_Create(&opts);
    if (s == NATS_OK)
        s = set_options(opts, k);
    if (s != NATS_OK)
        return EB_FAIL(reterr, EB_E_INTERNAL, "nats.c: %s", natsStatus_GetText(s));
    rc = eb_login_apply(k->login, k->all->opt.config, opts, reterr);
    if (rc != EB_OK)
        return rc;
    natsConnection *nc = NULL;
    natsSubscription *sub = NULL;
    s = natsConnection_Connect(&nc, opts);
    if (s == NATS_OK || s == NATS_NOT_YET_CONNECTED) /* which may have taken long */
        s = eb_links_are_stopping(k->all) ? NATS_ILLEGAL_STATE : subscribe(k, nc, &sub);
    (void)pthread_rwlock_wrlock(&k->lock);
    k->nc = nc;
    k->sub = sub;
    (void)pthread_rwlock_unlock(&k->lock);
    if (s != NATS_OK) {
        rc = fail_connect(k, eb_login_error(s), reterr);
        eb_link_tear_down(k);
        return rc;
    }
    if (natsConnection_Status(nc) == NATS_CONN_STATUS_CONNECTED)
        eb_link_note(k, LINK_CONNECTED, NULL);
    else if (natsConnection_IsClosed(nc))
        eb_link_note(k, LINK_CLOSED, eb_link_trouble(nc, "connection closed"));
    return EB_OK;
}

bool eb_link_confirm(struct eb_link *k, char *trouble, size_t size) {
    natsStatus s = natsConnection_FlushTimeout(k->nc, CONFIRM_TIMEOUT_MS);
    if (status_of(k->nc) == NATS_NOT_PERMITTED) {
        EB_LOCKED(&k->all->mutex); /* the server's words come on another thread, maybe later */
        (void)snprintf(trouble, size,
                       "%s: the service's user must be allowed to subscribe to " EB_LINK_SUBJECT,
                       k->all->violation[0] ? k->all->violation : natsStatus_GetText(NATS_NOT_PERMITTED));
        return false;
    }
    (void)snprintf(trouble, size, "%s", s == NATS_OK ? "" : natsStatus_GetText(s));
    return s == NATS_OK;
}
