/* The kinds of credential. Each decides one attempt and leaves in it what the answer and the log need. */
#ifndef EB_METHODS_H
#define EB_METHODS_H

#include "keysource.h"
#include "live.h"
#include "metrics.h"
#include "natsjwt/callout.h"

#define EB_IDENTITY_MAX 160 /* bytes of the identity kept for the log, NUL included */

/* One request being decided. The upper half is given, the lower half is what the method finds. */
struct eb_attempt {
    const struct eb_auth_request *req;
    const struct eb_view *view;
    struct eb_keysource *keys; /* NULL where no issuer is configured */
    int64_t now_s;
    unsigned conn; /* EB_CONN_* bit, 0 for an unknown kind */
    bool may_wait; /* false where the request has waited already */

    enum eb_method method;
    struct eb_policy_entry
        entry; /* valid where the verdict is EB_OK or the entry was found before it failed (entry.name.p) */
    int64_t expires_s;              /* end of the credential, 0 = none */
    bool wait_for_keys;             /* the verdict needs a key that is being fetched: park the request */
    char identity[EB_IDENTITY_MAX]; /* what was claimed, for the log; never a secret */
    struct eb_err err;
};

/*
 * EB_OK: admit with a->entry. Anything else: refuse with that reason, or park where a->wait_for_keys. They
 * block on nothing.
 */
EB_MUSTCHECK enum eb_rc eb_method_oauth2(struct eb_attempt *a, struct eb_str token);
EB_MUSTCHECK enum eb_rc eb_method_mtls(struct eb_attempt *a);
EB_MUSTCHECK enum eb_rc eb_method_nkey(struct eb_attempt *a);
EB_MUSTCHECK enum eb_rc eb_method_noauth(struct eb_attempt *a);

/* Notes the claimed identity, cut to fit. */
void eb_attempt_identity(struct eb_attempt *a, const char *fmt, ...) EB_PRINTF(2, 3);
/* What nats-server does not check: kind of connection, source address, MQTT client id (policy.h). Call it
 * once the entry is known. */
EB_MUSTCHECK enum eb_rc eb_attempt_admit(struct eb_attempt *a);

#endif
