#include "link.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>

#include "clock.h"
#include "link_impl.h"
#include "login.h"
#include "metrics.h"

enum {
    REBUILD_FIRST_MS = 250,
    REBUILD_MAX_MS = 5000,
    CONFIRM_RETRY_MS = 1000,
    DOWN_TOLD_MS = 2000, /* a link that is down this long is told in the log and by /readyz */
};

/* Before a link is built anew: doubled each time, with jitter, until the server confirms again. */
static int64_t next_pause_ms(struct eb_link *k) {
    k->pause_ms = k->pause_ms ? k->pause_ms * 2 : REBUILD_FIRST_MS;
    if (k->pause_ms > REBUILD_MAX_MS)
        k->pause_ms = REBUILD_MAX_MS;
    return k->pause_ms / 2 + (int64_t)randombytes_uniform((uint32_t)(k->pause_ms / 2) + 1);
}

void eb_link_note(struct eb_link *k, enum eb_link_state state, const char *trouble) {
    struct eb_links *l = k->all;
    EB_LOCKED(&l->mutex);
    if (state == LINK_CONFIRMED && k->state != LINK_CONNECTED)
        return; /* lost again while the server's word was under way */
    bool was_up = k->state == LINK_CONNECTED || k->state == LINK_CONFIRMED;
    bool is_up = state == LINK_CONNECTED || state == LINK_CONFIRMED;
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
    /* A link that is refused each time it is built was not lost each time. */
    if (l->opt.on_change && (is_up || was_up))
        l->opt.on_change(l->opt.ctx, is_up);
    (void)pthread_cond_broadcast(&l->wake);
}

static void rebuild(struct eb_link *k, bool first) {
    struct eb_err err = {0};
    if (!first)
        eb_count(EB_C_LINK_REBUILT);
    eb_link_note(k, LINK_DOWN, NULL);
    enum eb_rc rc = eb_link_build(k, &err);
    if (rc == EB_OK || eb_links_are_stopping(k->all))
        return;
    eb_link_note(k, LINK_CLOSED, eb_err_text(&err, rc));
    if (!k->told)
        eb_link_log(EB_LOG_ERROR, k, "the link to NATS cannot be built; trying for ever",
                    eb_err_text(&err, rc));
    k->told = true;
}

static void check(struct eb_link *k) {
    char trouble[TROUBLE_MAX];
    if (eb_link_confirm(k, trouble, sizeof trouble)) {
        {
            EB_LOCKED(&k->all->mutex);
            k->pause_ms = 0;
            k->all->trouble[0] = '\0';
            k->all->refusal[0] = '\0';
        }
        eb_link_note(k, LINK_CONFIRMED, NULL);
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
        eb_link_log(EB_LOG_ERROR, k, "the server did not confirm the subscription", trouble);
    k->told = true;
}

/* nats.c is still trying in the background; whoever looks must see why. */
static void tell_down(struct eb_link *k) {
    eb_auto_buf struct eb_buf why = {0};
    const char *error = k->nc ? eb_link_trouble(k->nc, NULL) : NULL;
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
        eb_link_log(EB_LOG_ERROR, k, "no link to NATS; trying for ever", why.p);
    k->told = true;
}

/* As far as is known: nats.c tells of it a moment later. */
static bool is_up(struct eb_link *k) {
    EB_LOCKED(&k->all->mutex);
    return k->state == LINK_CONNECTED || k->state == LINK_CONFIRMED;
}

/* The next link that needs the supervisor, with its state; NULL at stop. Waits until there is one. */
static struct eb_link *next_due(struct eb_links *l, enum eb_link_state *ret_state) {
    EB_LOCKED(&l->mutex);
    for (;;) {
        if (l->stopping)
            return NULL;
        int64_t now = eb_mono_ns(), soonest = now + 1000 * MS_NS;
        for (size_t i = 0; i < l->n; i++) {
            struct eb_link *k = &l->links[i];
            if (k->state == LINK_CONFIRMED)
                continue;
            if (k->due_ns <= now) {
                *ret_state = k->state;
                return k;
            }
            if (k->due_ns < soonest)
                soonest = k->due_ns;
        }
        eb_cond_wait_until(&l->wake, &l->mutex, soonest);
    }
}

static void *supervisor_main(void *arg) {
    struct eb_links *l = arg;
    enum eb_link_state state;
    for (size_t i = 0; i < l->n && !eb_links_are_stopping(l); i++) {
        struct eb_link *k = &l->links[i];
        rebuild(k, true);
        if (is_up(k)) /* at once: the next may wait long for servers that say nothing */
            check(k);
    }
    for (struct eb_link *k = next_due(l, &state); k; k = next_due(l, &state)) {
        if (state == LINK_CLOSED)
            rebuild(k, false);
        else if (state == LINK_DOWN)
            tell_down(k);
        else
            check(k);
    }
    nats_ReleaseThreadMemory();
    EB_LOCKED(&l->mutex);
    l->supervisor_ended = true;
    (void)pthread_cond_broadcast(&l->wake);
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
    eb_cond_init(&l->wake);
    for (size_t i = 0; i < l->n; i++) {
        l->links[i] = (struct eb_link){.all = l, .index = i};
        (void)pthread_rwlock_init(&l->links[i].lock, NULL);
    }
    /* One link answers service queries, so that a process shows once. */
    l->links[0].query_subs = calloc(opt->queries_n + 1, sizeof(natsSubscription *));
    *ret = l; /* before any request can come */
    if (!l->links[0].query_subs || pthread_create(&l->supervisor, NULL, supervisor_main, l) != 0) {
        *ret = NULL;
        eb_links_free(l);
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

static bool publish_on(struct eb_link *k, const char *subject, struct eb_str bytes) {
    (void)pthread_rwlock_rdlock(&k->lock);
    bool ok = k->nc && natsConnection_Status(k->nc) == NATS_CONN_STATUS_CONNECTED &&
              natsConnection_Publish(k->nc, subject, bytes.p, (int)bytes.n) == NATS_OK;
    (void)pthread_rwlock_unlock(&k->lock);
    return ok;
}

/* Links that are known to be up come first: nats.c locks a connection while it connects, so that a silent
 * server would hold the publishing thread, too. The stop has no time for that. */
bool eb_links_publish(struct eb_links *l, size_t link, const char *subject, struct eb_str bytes) {
    for (size_t i = 0; i < 2 * l->n; i++) {
        struct eb_link *k = &l->links[(link + i) % l->n];
        if (i >= l->n && eb_links_are_stopping(l))
            return false;
        if (is_up(k) == (i < l->n) && publish_on(k, subject, bytes))
            return true;
    }
    return false;
}

bool eb_links_are_stopping(struct eb_links *l) {
    EB_LOCKED(&l->mutex);
    return l->stopping;
}

void eb_links_free(struct eb_links *l) {
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        (void)pthread_rwlock_destroy(&l->links[i].lock);
    free(l->links[0].query_subs);
    (void)pthread_mutex_destroy(&l->mutex);
    (void)pthread_cond_destroy(&l->wake);
    free(l);
}
