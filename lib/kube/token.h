/* What a ServiceAccount's token says. Source: Kubernetes bound service account tokens (claim
 * `kubernetes.io`).
 */
#ifndef EB_KUBE_TOKEN_H
#define EB_KUBE_TOKEN_H

#include "jose/jwt.h"

/* Borrowed from the token. Optional ones are {NULL, 0} where absent. */
struct eb_kube_token {
    struct eb_str ns, name, uid; /* of the ServiceAccount: checked names and uid */
    struct eb_str pod, pod_uid;  /* optional, both or none */
    struct eb_str node;          /* optional */
};

/*
 * True for a token of a ServiceAccount's Secret, as clusters made them before bound tokens: flat claims
 * (`kubernetes.io/serviceaccount/…`), neither exp nor aud, issuer `kubernetes/serviceaccount`. It never ends,
 * so it is refused. Ask this before the issuer is looked up and before eb_jwt_check, which find other faults
 * in it.
 */
bool eb_kube_token_is_legacy(const struct eb_jwt *t);

/*
 * Reads the claims of a token; its signature, issuer, audience and times are eb_jwt_verify's and
 * eb_jwt_check's business, in any order. EB_E_LEGACY_TOKEN; EB_E_MISSING_CLAIM; EB_E_MALFORMED: mistyped
 * claims, names that Kubernetes would not take, or a sub that is not system:serviceaccount:NAMESPACE:NAME.
 */
EB_MUSTCHECK enum eb_rc eb_kube_token_read(const struct eb_jwt *t, struct eb_kube_token *ret,
                                           struct eb_err *reterr);

#endif
