/*
 * One cluster's ServiceAccounts: listed and watched over the Kubernetes API by a thread of its own, which
 * also looks up single accounts and asks for TokenReviews. While the API is unreachable the last known set
 * stays in force. Nothing here blocks its caller. Source: Kubernetes API concepts; docs/kubernetes-tokens.md.
 */
#ifndef EB_KUBE_KUBE_H
#define EB_KUBE_KUBE_H

#include "config.h"
#include "kube/account.h"
#include "kube/token.h"

struct eb_kube; /* any thread */

/* Called on the cluster's thread when the ask of this number ended: whoever waits for it looks again. */
typedef void (*eb_kube_fn)(void *ctx, uint64_t number);

/*
 * The faults of an issuer of kind kubernetes as findings: of its connection (kube/access.h), with `files` of
 * the files that this names, and of what stands before its subjects. For the start and check-config; without
 * `files` for a reload, where the sandbox hides files of folders that no option named at the start.
 */
void eb_kube_check(const struct eb_issuer_config *c, bool files, struct eb_findings *f);
/*
 * Starts the thread of an issuer of kind kubernetes. c is copied from. EB_E_INVALID or EB_E_IO where the
 * connection's settings cannot be used, with the mend in the text (see kube/access.h). An API that is down is
 * not fatal: it is tried again.
 */
EB_MUSTCHECK enum eb_rc eb_kube_start(const struct eb_issuer_config *c, eb_kube_fn done, void *ctx,
                                      struct eb_kube **ret, struct eb_err *reterr);
/* Tells the thread to end, for several to end at the same time; eb_kube_stop waits for it. */
void eb_kube_leave(struct eb_kube *k);
/* Ends the thread within a second; whoever was waiting is not told. */
void eb_kube_stop(struct eb_kube *k);

/* The account as it is known, a new reference; NULL where none is known. */
struct eb_kube_account *eb_kube_find(struct eb_kube *k, struct eb_str ns, struct eb_str name);

enum eb_kube_answer {
    EB_KUBE_YES,     /* it is so */
    EB_KUBE_NO,      /* it is not, as the API said within the last seconds */
    EB_KUBE_WAIT,    /* it is being asked: `done` is called with the ticket's number then */
    EB_KUBE_UNASKED, /* the API could not be asked, twice: refuse */
    EB_KUBE_FULL,    /* too much is being asked: drop */
};
#define EB_KUBE_KEY 32 /* bytes of an ask's key, a hash: nobody chooses it */
/* What an ask is known by to those who wait for it. Written with every answer. */
struct eb_kube_ticket {
    uint8_t key[EB_KUBE_KEY];
    uint64_t number; /* not 0; of another ask so rarely that somebody then merely looks again too early */
    int64_t sent_ns; /* with EB_KUBE_WAIT: when the API was asked first, 0 = it queues */
};
/*
 * An account that eb_kube_find does not know, or knows with another uid: asks the API for it, once for all
 * who want it. EB_KUBE_YES: it has come meanwhile, find it again.
 */
enum eb_kube_answer eb_kube_want(struct eb_kube *k, struct eb_str ns, struct eb_str name, struct eb_str uid,
                                 struct eb_kube_ticket *ret_ticket);
/* A token that the API itself is to judge (TokenReview): it knows deleted pods. Borrowed texts. */
struct eb_kube_question {
    struct eb_str token;
    struct eb_kube_token who;       /* what it says, its signature verified */
    const struct eb_str *audiences; /* one of which the API must find in it */
    size_t audiences_n;
    int64_t left_s; /* that the token is still valid: a YES is kept no longer, and for seconds only */
};
enum eb_kube_answer eb_kube_review(struct eb_kube *k, const struct eb_kube_question *q,
                                   struct eb_kube_ticket *ret_ticket);
/* True while it is being asked, so that `done` is still to come. */
bool eb_kube_asking(struct eb_kube *k, const struct eb_kube_ticket *ticket);

/* Why a ServiceAccount is left out and gets nothing: no object that can be read; no room for it. */
enum eb_kube_skip { EB_KUBE_SKIP_UNREADABLE, EB_KUBE_SKIP_NO_ROOM, EB_KUBE_SKIPS };

struct eb_kube_status {
    size_t accounts;               /* known now */
    size_t cut;                    /* of these: kept by name only, without room for their annotations */
    size_t bytes;                  /* of memory that they take */
    bool listed;                   /* a whole list was taken into force since the start */
    bool watching;                 /* a watch is open: changes arrive as they happen */
    int64_t age_s;                 /* seconds since the API last said something of the set, -1: never */
    uint64_t lists;                /* whole lists taken */
    uint64_t events;               /* changes that a watch brought */
    uint64_t failures;             /* requests to the API that failed, of whatever kind */
    uint64_t lookups;              /* single accounts asked for */
    uint64_t reviews;              /* TokenReviews asked for */
    uint64_t drops[EB_KUBE_DROPS]; /* annotation items dropped, counted once an account and version */
    uint64_t skips[EB_KUBE_SKIPS]; /* left out, counted once a whole list and once an event */
    char trouble[200];             /* why the last list or watch failed; "" where all is well */
};
void eb_kube_status(struct eb_kube *k, struct eb_kube_status *ret);
/* Has it list anew at once (a reload was asked for). */
void eb_kube_poke(struct eb_kube *k);

#endif
