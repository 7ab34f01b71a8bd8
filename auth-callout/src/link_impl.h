/* Inside the links only: one of them (link_connect.c builds it), all with their supervisor (link.c), and
 * their end (link_end.c). */
#ifndef EB_LINK_IMPL_H
#define EB_LINK_IMPL_H

#include <pthread.h>

#include "link.h"
#include "log.h"

#define MS_NS INT64_C(1000000)
enum { TROUBLE_MAX = 400 };

enum eb_link_state { LINK_DOWN, LINK_CONNECTED, LINK_CONFIRMED, LINK_CLOSED };

struct eb_link {
    struct eb_links *all;
    size_t index;
    pthread_rwlock_t lock; /* nc: read to publish, write to replace */
    natsConnection *nc;
    natsSubscription *sub;
    natsSubscription **query_subs;
    struct eb_login *login;
    /* under all->mutex */
    enum eb_link_state state;
    int64_t due_ns; /* when the supervisor looks again, 0 = no date */
    int64_t pause_ms;
    bool told;                  /* the current trouble is in the log */
    bool draining, left, ended; /* at the stop */
    /* the stopping thread's own */
    pthread_t ender;
    bool has_ender;
};

struct eb_links {
    struct eb_links_options opt;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t supervisor;
    bool stopping, supervisor_ended, closing;
    /* when the stop waits no longer */
    int64_t leave_until_ns, drain_until_ns, supervisor_until_ns, close_until_ns;
    char trouble[TROUBLE_MAX];
    char refusal[TROUBLE_MAX]; /* what a server last said to our login; nats.c forgets it when it gives up */
    char violation[TROUBLE_MAX]; /* what a server last said against what we publish or subscribe */
    size_t n;
    struct eb_link links[];
};

/* Notes a change of state and wakes the supervisor; trouble NULL leaves the last one. Any thread. */
void eb_link_note(struct eb_link *k, enum eb_link_state state, const char *trouble);
bool eb_links_are_stopping(struct eb_links *l);
void eb_link_log(enum eb_log_level level, const struct eb_link *k, const char *msg, const char *error);
/* What is wrong with a connection, in a few words of nats.c; otherwise where nothing is. */
const char *eb_link_trouble(natsConnection *nc, const char *otherwise);

/* Builds the connection anew. It may still be connecting in the background when this returns. */
EB_MUSTCHECK enum eb_rc eb_link_build(struct eb_link *k, struct eb_err *reterr);
/* Takes the connection down; nobody publishes on it any more. */
void eb_link_tear_down(struct eb_link *k);
/* A PONG behind our SUB proves that the server took the subscription, unless it complained. */
EB_MUSTCHECK bool eb_link_confirm(struct eb_link *k, char *trouble, size_t size);

#endif
