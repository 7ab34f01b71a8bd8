/* What the parts of one cluster's thread share. Inside kube/ only. */
#ifndef EB_KUBE_IMPL_H
#define EB_KUBE_IMPL_H

#include <pthread.h>

#include "kube/feed.h"
#include "kube/kube.h"
#include "kube/memo.h"
#include "kube/request.h"
#include "kube/table.h"

#define EB_KUBE_SECOND_NS INT64_C(1000000000)

/* How long things take; tests take less. */
struct eb_kube_times {
    int64_t watch_s;        /* the API is asked to end each watch after so long */
    int64_t margin_ns;      /* a watch without a byte for longer than watch_s and this is dead */
    int64_t page_silent_s;  /* the same for a page of a list */
    int64_t retry_first_ns; /* after a failure, doubled up to the next */
    int64_t retry_max_ns;
    int64_t ask_ms;      /* a look-up or review may take */
    int64_t no_ns;       /* a NO is kept */
    int64_t unasked_ns;  /* nothing is asked again after an ask that failed */
    int64_t reviewed_ns; /* the YES of a review is kept */
};
extern const struct eb_kube_times eb_kube_usual_times;

/* The list and the watch; of the thread alone. */
struct eb_kube_follow {
    enum { EB_FOLLOW_PAUSE, EB_FOLLOW_LIST, EB_FOLLOW_WATCH } state;
    struct eb_kube_request request;
    struct eb_kube_page *page;
    struct eb_kube_relist *relist;
    struct eb_kube_watch *watch;
    char version[EB_KUBE_VERSION_MAX + 1]; /* where to go on; empty: list anew */
    struct eb_buf next_page;               /* continue token, empty on the first */
    struct eb_err err;                     /* of a callback that ended the transfer */
    bool gone;                             /* the API said that the version is too old */
    bool failing;                          /* said in the log once, until it works again */
    int64_t began_ns, heard_ns;            /* of this transfer; when the last byte came */
    int64_t next_ns, retry_ns;             /* when the next attempt is due; the pause before it, 0 = none */
    size_t told;                           /* lines about dropped subjects in this list */
};

struct eb_kube_ask; /* see asks.c */

/* The rules of grants, and the texts that they borrow. */
struct eb_kube_texts {
    struct eb_kube_rules rules;
    char *prefix;
    struct eb_str *reserved;
};

struct eb_kube {
    char *label;
    struct eb_kube_access access;
    struct eb_kube_texts texts;
    struct eb_kube_times times;
    eb_kube_fn done;
    void *ctx;
    struct eb_kube_table *table;
    CURLM *multi;
    pthread_t thread;
    struct eb_kube_follow follow;
    struct eb_kube_ask *flying; /* asks under way; of the thread alone */
    size_t flying_n;
    int64_t ask_told_ns; /* when a failed ask was last said in the log */

    pthread_mutex_t mutex; /* guards what follows */
    struct eb_kube_memo *memo;
    struct eb_kube_ask *queued, **queued_last; /* asks to be sent */
    size_t queued_n;
    struct eb_kube_status status; /* age_s is made when it is asked for */
    int64_t heard_ns;             /* when the API last said something of the set, 0 = never */
    bool poked, stopping;
};

/* kube.c: tests start it with times of their own. */
EB_MUSTCHECK enum eb_rc eb_kube_start_timed(const struct eb_issuer_config *c,
                                            const struct eb_kube_times *times, eb_kube_fn done, void *ctx,
                                            struct eb_kube **ret, struct eb_err *reterr);
int64_t eb_kube_jittered(int64_t ns);

/* follow.c. step: starts what is due and ends what is silent; returns when it wants to be called again. */
int64_t eb_kube_follow_step(struct eb_kube *k, int64_t now_ns);
/* A transfer of it ended. */
void eb_kube_follow_ended(struct eb_kube *k, CURLcode code);
void eb_kube_follow_stop(struct eb_kube *k);

/* Counts and tells what was dropped of an account's annotations, once a version. */
void eb_kube_note_drops(struct eb_kube *k, const struct eb_kube_account *a, enum eb_kube_change change);

/* asks.c. step: sends what waits; true where some ended at that already. */
bool eb_kube_asks_step(struct eb_kube *k);
/* A transfer that is not the follow's ended. */
void eb_kube_asks_ended(struct eb_kube *k, struct eb_kube_ask *ask, CURLcode code);
/* What is being asked about this account is older than what was just heard (ns {NULL, 0}: of any account). */
void eb_kube_asks_overtaken(struct eb_kube *k, struct eb_str ns, struct eb_str name);
void eb_kube_asks_stop(struct eb_kube *k);

#endif
