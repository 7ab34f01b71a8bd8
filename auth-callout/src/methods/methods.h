/* The kinds of credential. Each decides one attempt and leaves in it what the answer and the log need. */
#ifndef EB_METHODS_H
#define EB_METHODS_H

#include "issuer.h"
#include "live.h"
#include "metrics.h"
#include "natsjwt/callout.h"

#define EB_IDENTITY_MAX 160 /* bytes of the identity kept for the log, NUL included */

/* One request being decided. The upper half is given, the lower half is what the method finds. */
struct eb_attempt {
    const struct eb_auth_request *req;
    const struct eb_view *view;
    int64_t now_s;
    unsigned conn;     /* EB_CONN_* bit, 0 for an unknown kind */
    bool may_wait;     /* false where no time is left for it, or no_room */
    bool no_room;      /* no request ever waits here: limits.parked is 0 */
    int64_t ask_by_ns; /* an API that was asked by then and is silent when the time is over does not answer */
    struct eb_buf *grants; /* empty; kept by the worker: for grants that the method writes itself */

    enum eb_method method;
    struct eb_str token; /* the token's text, where one was presented */
    struct eb_policy_entry
        entry; /* valid where the verdict is EB_OK or the entry was found before it failed (entry.name.p) */
    int64_t expires_s;              /* end of the credential, 0 = none */
    struct eb_source *wait_for;     /* the verdict needs what this source is fetching: park the request */
    uint64_t wait_number;           /* with wait_for: EB_SOURCE_KEYS, or the ticket's */
    struct eb_kube_ticket ticket;   /* of what was asked last */
    bool overload;                  /* too much is being asked: drop the request, do not refuse it */
    char identity[EB_IDENTITY_MAX]; /* what was claimed, for the log; never a secret */
    struct eb_err err;
};

/*
 * EB_OK: admit with a->entry. Anything else: refuse with that reason, or park where a->wait_for is set. They
 * block on nothing.
 */
/* Any token: reads it and has the method of its issuer's kind decide. */
EB_MUSTCHECK enum eb_rc eb_method_token(struct eb_attempt *a, struct eb_str token);
EB_MUSTCHECK enum eb_rc eb_method_oauth2(struct eb_attempt *a, const struct eb_issuer *issuer,
                                         struct eb_jwt *t);
EB_MUSTCHECK enum eb_rc eb_method_kubernetes(struct eb_attempt *a, const struct eb_issuer *issuer,
                                             struct eb_jwt *t);
EB_MUSTCHECK enum eb_rc eb_method_mtls(struct eb_attempt *a);
EB_MUSTCHECK enum eb_rc eb_method_nkey(struct eb_attempt *a);
EB_MUSTCHECK enum eb_rc eb_method_noauth(struct eb_attempt *a);

/* Everything about a token that needs no key. */
typedef enum eb_rc (*eb_token_local_fn)(struct eb_attempt *a, const struct eb_issuer *issuer,
                                        const struct eb_jwt *t);
/*
 * Algorithm and signature, then local. Where a key is missing that a fetch may bring, the attempt waits for
 * it, but only with a token that local finds good.
 */
EB_MUSTCHECK enum eb_rc eb_token_verify(struct eb_attempt *a, const struct eb_issuer *issuer,
                                        const struct eb_jwt *t, eb_token_local_fn local);
/* iss, dates, audience and kind of token by the issuer's rules; sets a->expires_s. For local functions. */
EB_MUSTCHECK enum eb_rc eb_token_check(struct eb_attempt *a, const struct eb_issuer *issuer,
                                       const struct eb_jwt *t);
/* What was just asked of the issuer's source (EB_SOURCE_KEYS or a->ticket's number) is to come: the attempt
 * waits where it may. The method then returns the reason to refuse with where it may not. */
void eb_attempt_wait(struct eb_attempt *a, const struct eb_issuer *issuer, uint64_t number);

/* Notes the claimed identity, cut to fit. */
void eb_attempt_identity(struct eb_attempt *a, const char *fmt, ...) EB_PRINTF(2, 3);
/* What nats-server does not check: kind of connection, source address, MQTT client id (policy.h). Call it
 * once the entry is known. */
EB_MUSTCHECK enum eb_rc eb_attempt_admit(struct eb_attempt *a);

#endif
