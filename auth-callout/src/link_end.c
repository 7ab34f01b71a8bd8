/*
 * The end of the links. Whatever is asked of a connection of nats.c waits while it connects, since that holds
 * the connection's lock: up to CONNECT_TIMEOUT_MS for each server that takes connections and says nothing. So
 * every link is ended on a thread of its own, which the stop waits for only as long as it has time.
 */
#include "clock.h"
#include "link_impl.h"
#include "log.h"

enum { FLUSH_MS = 500 };

/* The supervisor may be building this link; behind that it does no more. */
static void await_supervisor(struct eb_links *l) {
    EB_LOCKED(&l->mutex);
    while (!l->supervisor_ended && eb_mono_ns() < l->supervisor_until_ns)
        eb_cond_wait_until(&l->wake, &l->mutex, l->supervisor_until_ns);
}

static bool is_connected(const struct eb_link *k) {
    return k->nc && natsConnection_Status(k->nc) == NATS_CONN_STATUS_CONNECTED;
}

static void set_draining(struct eb_link *k, bool draining) {
    EB_LOCKED(&k->all->mutex);
    k->draining = draining;
}

/* What comes in until the server has taken the subscription back is handed on. nats.c goes on with that also
 * behind the wait, for as long as the link is there. */
static void drain(struct eb_link *k) {
    int64_t left_ms = (k->all->drain_until_ns - eb_mono_ns()) / MS_NS;
    if (left_ms <= 0 || !k->sub || !is_connected(k) || natsSubscription_Drain(k->sub) != NATS_OK)
        return;
    set_draining(k, true);
    natsStatus s = natsSubscription_WaitForDrainCompletion(k->sub, left_ms);
    set_draining(k, false);
    if (s == NATS_TIMEOUT)
        eb_log(EB_LOG_WARN,
               "link %zu: not all requests that were under way could be read; the clients of the others wait",
               k->index);
}

static void leave(struct eb_link *k) {
    (void)pthread_rwlock_rdlock(&k->lock);
    drain(k);
    (void)pthread_rwlock_unlock(&k->lock);
}

/* False where the supervisor is not done with it, for all the time that there was. */
static bool close_link(struct eb_link *k) {
    {
        EB_LOCKED(&k->all->mutex);
        if (!k->all->supervisor_ended)
            return false;
    }
    if (is_connected(k))
        (void)natsConnection_FlushTimeout(k->nc, FLUSH_MS);
    eb_link_tear_down(k);
    return true;
}

static void *ender_main(void *arg) {
    struct eb_link *k = arg;
    struct eb_links *l = k->all;
    await_supervisor(l);
    leave(k);
    {
        EB_LOCKED(&l->mutex);
        k->left = true;
        (void)pthread_cond_broadcast(&l->wake);
        while (!l->closing)
            (void)pthread_cond_wait(&l->wake, &l->mutex);
        while (!l->supervisor_ended && eb_mono_ns() < l->close_until_ns)
            eb_cond_wait_until(&l->wake, &l->mutex, l->close_until_ns);
    }
    bool closed = close_link(k);
    nats_ReleaseThreadMemory();
    EB_LOCKED(&l->mutex);
    k->ended = closed;
    (void)pthread_cond_broadcast(&l->wake);
    return NULL;
}

static bool have_left(const struct eb_links *l) {
    for (size_t i = 0; i < l->n; i++)
        if (!l->links[i].left)
            return false;
    return true;
}

static bool have_ended(const struct eb_links *l) {
    for (size_t i = 0; i < l->n; i++)
        if (!l->links[i].ended)
            return false;
    return l->supervisor_ended;
}

/* A link that is connected gets on, and has longer than one that waits for a silent server. */
static int64_t leave_until(const struct eb_links *l) {
    for (size_t i = 0; i < l->n; i++)
        if (l->links[i].draining)
            return l->drain_until_ns;
    return l->leave_until_ns;
}

void eb_links_leave(struct eb_links *l, int64_t until_ns, int64_t drained_ns) {
    EB_LOCKED(&l->mutex);
    l->stopping = true;
    int64_t now = eb_mono_ns();
    l->leave_until_ns = until_ns;
    l->drain_until_ns = drained_ns;
    l->supervisor_until_ns = now + (until_ns - now) / 2;
    (void)pthread_cond_broadcast(&l->wake);
    for (size_t i = 0; i < l->n; i++) {
        struct eb_link *k = &l->links[i];
        k->has_ender = pthread_create(&k->ender, NULL, ender_main, k) == 0;
        k->left = !k->has_ender;
    }
    for (int64_t until = leave_until(l); !have_left(l) && eb_mono_ns() < until; until = leave_until(l))
        eb_cond_wait_until(&l->wake, &l->mutex, until);
}

static void give_back(pthread_t thread, bool ended) {
    (void)(ended ? pthread_join(thread, NULL) : pthread_detach(thread));
}

bool eb_links_stop(struct eb_links *l, int64_t until_ns) {
    if (!l)
        return true;
    bool ended;
    {
        EB_LOCKED(&l->mutex);
        l->close_until_ns = until_ns;
        l->closing = true;
        (void)pthread_cond_broadcast(&l->wake);
        while (!have_ended(l) && eb_mono_ns() < l->close_until_ns)
            eb_cond_wait_until(&l->wake, &l->mutex, l->close_until_ns);
        ended = have_ended(l);
    }
    for (size_t i = 0; i < l->n; i++)
        if (l->links[i].has_ender)
            give_back(l->links[i].ender, ended);
    give_back(l->supervisor, ended);
    return ended;
}
