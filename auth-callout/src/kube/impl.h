/* What the parts of one cluster's thread share. Inside kube/ only. */
#ifndef EB_KUBE_IMPL_H
#define EB_KUBE_IMPL_H

#include <pthread.h>

#include "kube/feed.h"
#include "kube/kube.h"
#include "kube/memo.h"
#include "kube/name.h"
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
    int64_t again_ns;    /* the pause before an ask that failed is sent for a second time */
    int64_t unasked_ns;  /* nothing is asked again after an ask that failed twice */
    int64_t reviewed_ns; /* the YES of a review is kept */
};
extern const struct eb_kube_times eb_kube_usual_times;

/* ServiceAccounts of a list that are left out of it; the first few by name. */
#define EB_KUBE_SKIPS_SHOWN 10
struct eb_kube_skips {
    size_t n, by_reason[EB_KUBE_SKIPS];
    struct {
        char ns[EB_KUBE_LABEL_MAX + 1], name[EB_KUBE_NAME_MAX + 1]; /* empty where unknown */
        char why[200];
    } shown[EB_KUBE_SKIPS_SHOWN];
};

/* What whoever may edit ServiceAccounts makes us write into the log: bounded, see tell.c. */
struct eb_kube_told {
    int64_t since_ns; /* the allowance is that of the time since */
    uint64_t held;    /* lines not written since the last one */
};

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
    bool spoke;                            /* this watch brought an event or a bookmark */
    bool believed;                         /* this watch is taken for one, see believe() */
    unsigned barren;                       /* watches in a row that ended too early and brought nothing */
    struct eb_kube_skips skips;            /* of the list under way */
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
    struct eb_kube_told told;
    struct eb_kube_ask *flying; /* asks under way; of the thread alone */
    size_t flying_n;
    int64_t ask_told_ns; /* when a failed ask was last said in the log */

    pthread_mutex_t mutex; /* guards what follows */
    struct eb_kube_memo *memo;
    struct eb_kube_ask *queued, **queued_last; /* asks to be sent */
    size_t queued_n, queued_bytes;
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

/* tell.c, of the thread alone. Counts and tells what was dropped of the annotations of a, which was just put
 * into the table, once a version. */
void eb_kube_note_drops(struct eb_kube *k, const struct eb_kube_account *a, enum eb_kube_change change);
/* The same, and who is left out, of the list that is about to be committed; returns how many accounts' drops
 * are new. */
size_t eb_kube_note_list(struct eb_kube *k);
/* One that the list cannot take: rc EB_E_TOO_LARGE for no room, any other for an object that cannot be read.
 * ns and name {NULL, 0} where unknown. */
void eb_kube_skips_add(struct eb_kube_skips *s, enum eb_rc rc, struct eb_str ns, struct eb_str name,
                       const char *why);
/* The same of an event: counted and told at once. */
void eb_kube_note_skip(struct eb_kube *k, enum eb_rc rc, struct eb_str ns, struct eb_str name,
                       const char *why);

/* asks.c. step: sends what waits; returns when it wants to be called again, INT64_MAX where nothing rests. */
int64_t eb_kube_asks_step(struct eb_kube *k, int64_t now_ns);
/* A transfer that is not the follow's ended. */
void eb_kube_asks_ended(struct eb_kube *k, struct eb_kube_ask *ask, CURLcode code);
/* What is being asked about this account is older than what was just heard (ns {NULL, 0}: of any account). */
void eb_kube_asks_overtaken(struct eb_kube *k, struct eb_str ns, struct eb_str name);
void eb_kube_asks_stop(struct eb_kube *k);

#endif
