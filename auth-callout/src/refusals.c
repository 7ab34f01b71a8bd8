#include "refusals.h"

#include <errno.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "clock.h"
#include "link.h"
#include "log.h"
#include "login.h"
#include "refusal.h"

#define MS_NS INT64_C(1000000)
enum {
    LOOK_MS = 1000,    /* between two looks at the connection */
    DENIED_MS = 60000, /* before a server that does not let us listen is asked again: it logs each time */
    CONNECT_TIMEOUT_MS = 1000,
    CONFIRM_TIMEOUT_MS = 1000,
    RECONNECT_MS = 100,
    PING_MS = 15000,
    PENDING = 8192, /* refusals that nats.c may hold for us */
    PENDING_BYTES = 16 << 20,
};

struct eb_refusals {
    const struct eb_config *config;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* the next three */
    pthread_cond_t wake;
    bool stopping, ended;
    atomic_bool again; /* connected anew since the subscription was confirmed */
    /* the thread's own */
    natsConnection *nc;
    natsSubscription *sub;
    struct eb_login *login;
    bool heard; /* the server has confirmed the subscription */
    bool told;  /* that it does not */
    int64_t due_ns;
};

static void on_message(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *ctx) {
    (void)nc;
    (void)sub;
    (void)ctx;
    eb_refusal_take(eb_str_n(natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg)));
    natsMsg_Destroy(msg);
}

static void on_reconnected(natsConnection *nc, void *ctx) {
    (void)nc;
    struct eb_refusals *r = ctx;
    atomic_store(&r->again, true);
}

/* The links tell of what is wrong with NATS. Without a handler nats.c writes to standard error by itself. */
static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus status, void *ctx) {
    (void)nc;
    (void)sub;
    (void)status;
    (void)ctx;
}

static void set_heard(struct eb_refusals *r, bool heard) {
    r->heard = heard;
    eb_gauge_set(EB_G_REFUSALS_HEARD, heard);
}

static void tear_down(struct eb_refusals *r) {
    set_heard(r, false);
    natsSubscription_Destroy(r->sub);
    natsConnection_Destroy(r->nc);
    eb_login_free(r->login);
    r->sub = NULL;
    r->nc = NULL;
    r->login = NULL;
}

static void optionsp(natsOptions **o) {
    natsOptions_Destroy(*o);
}

static natsStatus set_options(natsOptions *o, struct eb_refusals *r) {
    natsStatus s = natsOptions_SetName(o, "auth-callout refusals");
    s = s ? s : natsOptions_SetTimeout(o, CONNECT_TIMEOUT_MS);
    s = s ? s : natsOptions_SetAllowReconnect(o, true);
    s = s ? s : natsOptions_SetMaxReconnect(o, -1);
    s = s ? s : natsOptions_SetReconnectWait(o, RECONNECT_MS);
    s = s ? s : natsOptions_SetReconnectJitter(o, RECONNECT_MS, RECONNECT_MS);
    s = s ? s : natsOptions_SetPingInterval(o, PING_MS);
    s = s ? s : natsOptions_SetMaxPingsOut(o, 2);
    s = s ? s : natsOptions_SetErrorHandler(o, on_error, r);
    return s ? s : natsOptions_SetReconnectedCB(o, on_reconnected, r);
}

static natsStatus connect_and_listen(struct eb_refusals *r, natsOptions *opts) {
    natsStatus s = natsConnection_Connect(&r->nc, opts);
    s = s ? s
          : natsConnection_QueueSubscribe(&r->sub, r->nc, EB_REFUSAL_SUBJECT, EB_LINK_QUEUE, on_message, r);
    return s ? s : natsSubscription_SetPendingLimits(r->sub, PENDING, PENDING_BYTES);
}

static void build(struct eb_refusals *r) {
    tear_down(r);
    EB_CLEANUP(optionsp) natsOptions *opts = NULL;
    bool ok = eb_login_load(r->config, &r->login, NULL) == EB_OK && natsOptions_Create(&opts) == NATS_OK &&
              set_options(opts, r) == NATS_OK && eb_login_apply(r->login, r->config, opts, NULL) == EB_OK &&
              connect_and_listen(r, opts) == NATS_OK;
    if (!ok)
        tear_down(r);
}

/* A PONG behind our SUB proves that the server took the subscription, unless it complained. Its words are not
 * read: a thread of nats.c may be writing them. */
static void confirm(struct eb_refusals *r) {
    const char *unread;
    atomic_store(&r->again, false);
    if (natsConnection_FlushTimeout(r->nc, CONFIRM_TIMEOUT_MS) != NATS_OK)
        return;
    if (natsConnection_GetLastError(r->nc, &unread) != NATS_NOT_PERMITTED) {
        set_heard(r, true);
        r->told = false;
        return;
    }
    tear_down(r);
    r->due_ns = eb_mono_ns() + DENIED_MS * MS_NS;
    if (!r->told)
        eb_log(EB_LOG_WARN,
               "logins that the servers refuse are not counted: the service's user must be allowed "
               "to subscribe to " EB_REFUSAL_SUBJECT ", as `eventbus render` writes it, or "
               "observability.metrics.server-refusals must be off");
    r->told = true;
}

static void look(struct eb_refusals *r) {
    if (!r->nc || natsConnection_IsClosed(r->nc)) {
        if (eb_mono_ns() >= r->due_ns)
            build(r);
        else
            tear_down(r);
    }
    if (!r->nc || natsConnection_Status(r->nc) != NATS_CONN_STATUS_CONNECTED)
        set_heard(r, false);
    else if (!r->heard || atomic_load(&r->again))
        confirm(r);
}

/* False at the end. */
static bool wait_for_turn(struct eb_refusals *r) {
    EB_LOCKED(&r->mutex);
    int64_t until = eb_mono_ns() + LOOK_MS * MS_NS;
    while (!r->stopping && eb_mono_ns() < until)
        eb_cond_wait_until(&r->wake, &r->mutex, until);
    return !r->stopping;
}

static void *refusals_main(void *arg) {
    struct eb_refusals *r = arg;
    do
        look(r);
    while (wait_for_turn(r));
    tear_down(r);
    nats_ReleaseThreadMemory();
    EB_LOCKED(&r->mutex);
    r->ended = true;
    (void)pthread_cond_signal(&r->wake);
    return NULL;
}

enum eb_rc eb_refusals_start(const struct eb_config *config, struct eb_refusals **ret,
                             struct eb_err *reterr) {
    struct eb_refusals *r = calloc(1, sizeof *r);
    if (!r)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    r->config = config;
    (void)pthread_mutex_init(&r->mutex, NULL);
    eb_cond_init(&r->wake);
    r->started = pthread_create(&r->thread, NULL, refusals_main, r) == 0;
    if (!r->started) {
        int e = errno;
        eb_refusals_free(r);
        return EB_FAIL(reterr, EB_E_INTERNAL, "no thread for the servers' refusals: %s", strerror(e));
    }
    *ret = r;
    return EB_OK;
}

void eb_refusals_leave(struct eb_refusals *r) {
    if (!r)
        return;
    EB_LOCKED(&r->mutex);
    r->stopping = true;
    (void)pthread_cond_signal(&r->wake);
}

bool eb_refusals_stop(struct eb_refusals *r, int64_t until_ns) {
    if (!r || !r->started)
        return true;
    eb_refusals_leave(r);
    bool ended;
    {
        EB_LOCKED(&r->mutex);
        while (!r->ended && eb_mono_ns() < until_ns)
            eb_cond_wait_until(&r->wake, &r->mutex, until_ns);
        ended = r->ended;
    }
    (void)(ended ? pthread_join(r->thread, NULL) : pthread_detach(r->thread));
    r->started = false;
    return ended;
}

void eb_refusals_free(struct eb_refusals *r) {
    if (!r)
        return;
    (void)pthread_cond_destroy(&r->wake);
    (void)pthread_mutex_destroy(&r->mutex);
    free(r);
}
