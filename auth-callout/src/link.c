#include "link.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>

#include "clock.h"
#include "log.h"
#include "login.h"
#include "metrics.h"

#define MS_NS INT64_C(1000000)
enum {
    CONNECT_TIMEOUT_MS = 2000,
    WRITE_DEADLINE_MS = 2000,
    PING_MS = 15000, /* a silent peer is noticed after two of these */
    /* Clients come back the moment a server listens, and wait in vain for what is asked before we are back:
       so be quick at first. */
    RECONNECT_QUICK_MS = 20,
    RECONNECT_QUICK_TRIES = 250,
    RECONNECT_SLOW_MS = 500,
    REBUILD_FIRST_MS = 250,
    REBUILD_MAX_MS = 5000,
    CONFIRM_TIMEOUT_MS = 2000,
    CONFIRM_RETRY_MS = 1000,
    PENDING_BYTES = 16 << 20, /* of requests that nats.c may hold for us on a link */
    LIBRARY_END_MS = 1000,    /* for the threads of nats.c to end at the stop */
    DOWN_TOLD_MS = 2000,      /* a link that is down this long is told in the log and by /readyz */
    TROUBLE_MAX = 400,
};

enum link_state { LINK_DOWN, LINK_CONNECTED, LINK_CONFIRMED, LINK_CLOSED };

struct link {
    struct eb_links *all;
    size_t index;
    pthread_rwlock_t lock; /* nc: read to publish, write to replace */
    natsConnection *nc;
    natsSubscription *sub;
    natsSubscription **query_subs;
    struct eb_login *login;
    /* under all->mutex */
    enum link_state state;
    int64_t due_ns; /* when the supervisor looks again, 0 = no date */
    int64_t pause_ms;
    bool told; /* the current trouble is in the log */
};

struct eb_links {
    struct eb_links_options opt;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t supervisor;
    bool stopping, supervised;
    char trouble[TROUBLE_MAX];
    char refusal[TROUBLE_MAX]; /* what a server last said to our login; nats.c forgets it when it gives up */
    size_t n;
    struct link links[];
};

/* Before a link is built anew: doubled each time, with jitter, until the server confirms again. */
static int64_t next_pause_ms(struct link *k) {
    k->pause_ms = k->pause_ms ? k->pause_ms * 2 : REBUILD_FIRST_MS;
    if (k->pause_ms > REBUILD_MAX_MS)
        k->pause_ms = REBUILD_MAX_MS;
    return k->pause_ms / 2 + (int64_t)randombytes_uniform((uint32_t)(k->pause_ms / 2) + 1);
}

/* Called on nats.c's threads as well: notes a change of state and wakes the supervisor. */
static void note(struct link *k, enum link_state state, const char *trouble) {
    struct eb_links *l = k->all;
    EB_LOCKED(&l->mutex);
    if (state == LINK_CONFIRMED && k->state != LINK_CONNECTED)
        return; /* lost again while the server's word was under way */
    if (k->state == LINK_CONFIRMED && state != LINK_CONFIRMED)
        eb_count(EB_C_LINK_LOST);
    k->state = state;
    k->due_ns = state == LINK_CLOSED ? eb_mono_ns() + next_pause_ms(k) * MS_NS
                : state == LINK_DOWN ? eb_mono_ns() + DOWN_TOLD_MS * MS_NS
                                     : 0;
    if (trouble)
        (void)snprintf(l->trouble, sizeof l->trouble, "%s", trouble);
    size_t up = 0;
    for (size_t i = 0; i < l->n; i++)
        up += l->links[i].state == LINK_CONFIRMED;
    eb_gauge_set(EB_G_LINKS_UP, (int64_t)up);
    (void)pthread_cond_signal(&l->wake);
}

static const char *last_error(natsConnection *nc, const char *otherwise) {
    const char *text = NULL;
    natsStatus s = natsConnection_GetLastError(nc, &text);
    return text && *text ? text : s != NATS_OK ? natsStatus_GetText(s) : otherwise;
}

static void log_link(enum eb_log_level level, const struct link *k, const char *msg, const char *error) {
    struct eb_log_line line;
    eb_log_begin(&line, level, msg);
    eb_log_int(&line, "link", (int64_t)k->index);
    if (error)
        eb_log_z(&line, "error", error);
    eb_log_end(&line);
}

/* A callback of a connection that was torn down, or is not in place yet (build looks itself then), must not
 * count. */
static bool is_current(struct link *k, natsConnection *nc) {
    (void)pthread_rwlock_rdlock(&k->lock);
    bool current = k->nc == nc;
    (void)pthread_rwlock_unlock(&k->lock);
    return current;
}

static void on_connected(natsConnection *nc, void *ctx) {
    if (is_current(ctx, nc))
        note(ctx, LINK_CONNECTED, NULL);
}

static void on_disconnected(natsConnection *nc, void *ctx) {
    struct link *k = ctx;
    if (!is_current(k, nc))
        return;
    const char *why = last_error(nc, "connection lost");
    log_link(EB_LOG_WARN, k, "link to NATS lost; reconnecting", why);
    note(k, LINK_DOWN, why);
}

static void on_closed(natsConnection *nc, void *ctx) {
    struct link *k = ctx;
    char refusal[TROUBLE_MAX];
    {
        EB_LOCKED(&k->all->mutex);
        if (k->all->stopping)
            return;
        memcpy(refusal, k->all->refusal, sizeof refusal);
    }
    if (is_current(k, nc))
        note(k, LINK_CLOSED, refusal[0] ? refusal : last_error(nc, "connection closed"));
}

static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *ctx) {
    (void)sub;
    struct link *k = ctx;
    const char *text = last_error(nc, natsStatus_GetText(status));
    log_link(EB_LOG_WARN, k, "trouble on the link to NATS", text);
    if (strstr(text, "uthorization") || strstr(text, "uthentication")) {
        EB_LOCKED(&k->all->mutex);
        (void)snprintf(k->all->refusal, sizeof k->all->refusal, "%s", text);
    }
    /* A refused subscription shows here, sometimes after the flush that looked for it. */
    if (strstr(text, "ermissions Violation for Subscription"))
        note(k, LINK_CONNECTED, text);
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
    struct link *k = ctx;
    k->all->opt.on_request(k->all->opt.ctx, msg, k->index);
}

static void on_query(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *ctx) {
    (void)sub;
    struct link *k = ctx;
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

static natsStatus set_options(natsOptions *o, struct link *k) {
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

/* Takes the connection down; nobody publishes on it any more. */
static void tear_down(struct link *k) {
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

static natsStatus subscribe(struct link *k, natsConnection *nc, natsSubscription **ret_sub) {
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

static enum eb_rc fail_connect(struct link *k, const char *why, struct eb_err *reterr) {
    EB_LOCKED(&k->all->mutex);
    bool refused = k->all->refusal[0] != '\0';
    return EB_FAIL(reterr, EB_E_IO, "cannot connect to NATS: %s%s%s", why,
                   refused ? "; a server said before: " : "", k->all->refusal);
}

/* Builds the connection anew. It may still be connecting in the background when this returns. */
static enum eb_rc build(struct link *k, struct eb_err *reterr) {
    tear_down(k);
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
    if (s == NATS_OK || s == NATS_NOT_YET_CONNECTED)
        s = subscribe(k, nc, &sub);
    (void)pthread_rwlock_wrlock(&k->lock);
    k->nc = nc;
    k->sub = sub;
    (void)pthread_rwlock_unlock(&k->lock);
    if (s != NATS_OK) {
        rc = fail_connect(k, nc ? last_error(nc, natsStatus_GetText(s)) : natsStatus_GetText(s), reterr);
        tear_down(k);
        return rc;
    }
    if (natsConnection_Status(nc) == NATS_CONN_STATUS_CONNECTED)
        note(k, LINK_CONNECTED, NULL);
    else if (natsConnection_IsClosed(nc))
        note(k, LINK_CLOSED, last_error(nc, "connection closed"));
    return EB_OK;
}

/* A PONG behind our SUB proves that the server took the subscription, unless it complained. */
static bool confirm(struct link *k, char *trouble, size_t size) {
    natsStatus s = natsConnection_FlushTimeout(k->nc, CONFIRM_TIMEOUT_MS);
    const char *text = last_error(k->nc, "");
    if (strstr(text, "ermissions Violation")) {
        (void)snprintf(trouble, size,
                       "%s: the service's user must be allowed to subscribe to " EB_LINK_SUBJECT, text);
        return false;
    }
    (void)snprintf(trouble, size, "%s", s == NATS_OK ? "" : natsStatus_GetText(s));
    return s == NATS_OK;
}

static void rebuild(struct link *k, bool first) {
    struct eb_err err = {0};
    if (!first)
        eb_count(EB_C_LINK_REBUILT);
    note(k, LINK_DOWN, NULL);
    enum eb_rc rc = build(k, &err);
    if (rc == EB_OK)
        return;
    note(k, LINK_CLOSED, eb_err_text(&err, rc));
    if (!k->told)
        log_link(EB_LOG_ERROR, k, "the link to NATS cannot be built; trying for ever", eb_err_text(&err, rc));
    k->told = true;
}

static void check(struct link *k) {
    char trouble[TROUBLE_MAX];
    if (confirm(k, trouble, sizeof trouble)) {
        {
            EB_LOCKED(&k->all->mutex);
            k->pause_ms = 0;
            k->all->trouble[0] = '\0';
            k->all->refusal[0] = '\0';
        }
        note(k, LINK_CONFIRMED, NULL);
        k->told = false;
        char url[256] = "";
        (void)natsConnection_GetConnectedUrl(k->nc, url, sizeof url);
        const char *at = strrchr(url, '@'); /* never a password in the log */
        struct eb_log_line line;
        eb_log_begin(&line, EB_LOG_INFO, "link to NATS is up, subscription confirmed");
        eb_log_int(&line, "link", (int64_t)k->index);
        eb_log_z(&line, "server", at ? at + 1 : url);
        eb_log_end(&line);
        return;
    }
    {
        EB_LOCKED(&k->all->mutex);
        (void)snprintf(k->all->trouble, sizeof k->all->trouble, "%s", trouble);
        if (k->state == LINK_CONNECTED)
            k->due_ns = eb_mono_ns() + CONFIRM_RETRY_MS * MS_NS;
    }
    if (!k->told)
        log_link(EB_LOG_ERROR, k, "the server did not confirm the subscription", trouble);
    k->told = true;
}

/* nats.c is still trying in the background; whoever looks must see why. */
static void tell_down(struct link *k) {
    eb_auto_buf struct eb_buf why = {0};
    const char *error = k->nc ? last_error(k->nc, NULL) : NULL;
    eb_buf_z(&why, error ? error : "no server answers");
    eb_buf_z(&why, " at ");
    eb_login_describe(k->all->opt.config, &why);
    eb_buf_z(&why,
             " (if a server listens there: does auth_users of its auth_callout list the service's user?)");
    {
        EB_LOCKED(&k->all->mutex);
        if (k->state != LINK_DOWN)
            return;
        k->due_ns = eb_mono_ns() + DOWN_TOLD_MS * MS_NS;
        if (why.p)
            (void)snprintf(k->all->trouble, sizeof k->all->trouble, "%s", why.p);
    }
    if (!k->told)
        log_link(EB_LOG_ERROR, k, "no link to NATS; trying for ever", why.p);
    k->told = true;
}

/* The next link that needs the supervisor, with its state; NULL at stop. Waits until there is one. */
static struct link *next_due(struct eb_links *l, enum link_state *ret_state) {
    EB_LOCKED(&l->mutex);
    for (;;) {
        if (l->stopping)
            return NULL;
        int64_t now = eb_mono_ns(), soonest = now + 1000 * MS_NS;
        for (size_t i = 0; i < l->n; i++) {
            struct link *k = &l->links[i];
            if (k->state == LINK_CONFIRMED)
                continue;
            if (k->due_ns <= now) {
                *ret_state = k->state;
                return k;
            }
            if (k->due_ns < soonest)
                soonest = k->due_ns;
        }
        struct timespec until = {soonest / (1000 * MS_NS), soonest % (1000 * MS_NS)};
        (void)pthread_cond_timedwait(&l->wake, &l->mutex, &until);
    }
}

static void *supervisor_main(void *arg) {
    struct eb_links *l = arg;
    enum link_state state;
    for (size_t i = 0; i < l->n; i++)
        rebuild(&l->links[i], true);
    for (struct link *k = next_due(l, &state); k; k = next_due(l, &state)) {
        if (state == LINK_CLOSED)
            rebuild(k, false);
        else if (state == LINK_DOWN)
            tell_down(k);
        else
            check(k);
    }
    nats_ReleaseThreadMemory();
    return NULL;
}

enum eb_rc eb_links_start(const struct eb_links_options *opt, struct eb_links **ret, struct eb_err *reterr) {
    /* A login that can never work is told now, not retried. */
    EB_CLEANUP(eb_login_freep) struct eb_login *probe = NULL;
    enum eb_rc rc = eb_login_load(opt->config, &probe, reterr);
    if (rc != EB_OK)
        return rc;
    struct eb_links *l = calloc(1, sizeof *l + opt->n * sizeof l->links[0]);
    if (!l)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    l->opt = *opt;
    l->n = opt->n;
    (void)pthread_mutex_init(&l->mutex, NULL);
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    for (size_t i = 0; i < l->n; i++) {
        l->links[i] = (struct link){.all = l, .index = i};
        (void)pthread_rwlock_init(&l->links[i].lock, NULL);
    }
    /* One link answers service queries, so that a process shows once. */
    l->links[0].query_subs = calloc(opt->queries_n + 1, sizeof(natsSubscription *));
    *ret = l; /* before any request can come */
    l->supervised = l->links[0].query_subs && pthread_create(&l->supervisor, NULL, supervisor_main, l) == 0;
    if (!l->supervised) {
        *ret = NULL;
        eb_links_stop(l);
        return EB_FAIL(reterr, EB_E_INTERNAL, "no thread for the links: %s", strerror(errno));
    }
    return EB_OK;
}

size_t eb_links_confirmed(struct eb_links *l, char *trouble, size_t trouble_size) {
    EB_LOCKED(&l->mutex);
    size_t up = 0;
    for (size_t i = 0; i < l->n; i++)
        up += l->links[i].state == LINK_CONFIRMED;
    if (trouble_size)
        (void)snprintf(trouble, trouble_size, "%s", l->trouble);
    return up;
}

static bool publish_on(struct link *k, const char *subject, struct eb_str bytes) {
    (void)pthread_rwlock_rdlock(&k->lock);
    bool ok = k->nc && natsConnection_Status(k->nc) == NATS_CONN_STATUS_CONNECTED &&
              natsConnection_Publish(k->nc, subject, bytes.p, (int)bytes.n) == NATS_OK;
    (void)pthread_rwlock_unlock(&k->lock);
    return ok;
}

bool eb_links_publish(struct eb_links *l, size_t link, const char *subject, struct eb_str bytes) {
    for (size_t i = 0; i < l->n; i++)
        if (publish_on(&l->links[(link + i) % l->n], subject, bytes))
            return true;
    return false;
}

void eb_links_leave(struct eb_links *l, int64_t wait_ms) {
    {
        EB_LOCKED(&l->mutex);
        l->stopping = true;
        (void)pthread_cond_signal(&l->wake);
    }
    (void)pthread_join(l->supervisor, NULL);
    l->supervised = false;
    int64_t until = eb_mono_ns() + wait_ms * MS_NS;
    for (size_t i = 0; i < l->n; i++)
        if (l->links[i].sub)
            (void)natsSubscription_DrainTimeout(l->links[i].sub, wait_ms);
    for (size_t i = 0; i < l->n; i++) {
        int64_t left = (until - eb_mono_ns()) / MS_NS;
        if (l->links[i].sub && left > 0)
            (void)natsSubscription_WaitForDrainCompletion(l->links[i].sub, left);
    }
}

void eb_links_stop(struct eb_links *l) {
    if (!l)
        return;
    if (l->supervised)
        eb_links_leave(l, 0);
    for (size_t i = 0; i < l->n; i++) {
        struct link *k = &l->links[i];
        if (k->nc)
            (void)natsConnection_FlushTimeout(k->nc, 500);
        tear_down(k);
    }
    /* nats.c tells of a closed connection on a thread of its own, later: only when its threads have ended is
     * l nobody's. */
    natsStatus ended = nats_CloseAndWait(LIBRARY_END_MS);
    if (ended != NATS_OK && ended != NATS_NOT_INITIALIZED)
        return;
    for (size_t i = 0; i < l->n; i++)
        (void)pthread_rwlock_destroy(&l->links[i].lock);
    free(l->links[0].query_subs);
    (void)pthread_mutex_destroy(&l->mutex);
    (void)pthread_cond_destroy(&l->wake);
    free(l);
}
