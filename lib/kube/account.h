/* A ServiceAccount as the callout needs it: identity, account, ready permissions. Source: Kubernetes API v1,
 * ServiceAccount or PartialObjectMetadata. */
#ifndef EB_KUBE_ACCOUNT_H
#define EB_KUBE_ACCOUNT_H

#include <jansson.h>

#include "kube/grants.h"

#define EB_KUBE_ANNOTATION_PUB "nats.io/allowed-pub-subjects"
#define EB_KUBE_ANNOTATION_SUB "nats.io/allowed-sub-subjects"
#define EB_KUBE_ANNOTATION_ACCOUNT "nats.io/account"
#define EB_KUBE_NATS_ACCOUNT_MAX 128 /* bytes of an account's name */

/* Immutable, shared by reference count, any thread. */
struct eb_kube_account {
    struct eb_str ns, name, uid;
    /* Annotation nats.io/account: {NULL, 0} where absent; non-NULL and empty where it is no account's name,
     * which must refuse as a name that is not allowed does. */
    struct eb_str account;
    struct eb_str token;                         /* `<ns>_<name>`, dots as `_`: fit for the user JWT's name */
    struct eb_str grants_json, grants_mqtt_json; /* see struct eb_kube_form; never empty */
    const struct eb_kube_drops *drops;           /* NULL where nothing was dropped */
    bool by_name_only; /* made by eb_kube_account_by_name: nothing of the annotations is granted */
};

/*
 * Reads an object of the API into *ret, to be released with eb_kube_account_unref. rules is needed only
 * during the call. kind may be absent (items of a list have none); where it is there it must be
 * ServiceAccount or PartialObjectMetadata. EB_E_MALFORMED: no object of that kind, names or uid missing or
 * not Kubernetes', annotations that are no texts; EB_E_NOMEM.
 */
EB_MUSTCHECK enum eb_rc eb_kube_account_read(const json_t *object, const struct eb_kube_rules *rules,
                                             struct eb_kube_account **ret, struct eb_err *reterr);
/*
 * The same ServiceAccount with what its name alone grants, in *ret: a small record for one whose annotations
 * are not kept. Its drops say so (EB_KUBE_DROP_TOO_LARGE). rules as those that a was read with. EB_E_NOMEM.
 */
EB_MUSTCHECK enum eb_rc eb_kube_account_by_name(const struct eb_kube_account *a,
                                                const struct eb_kube_rules *rules,
                                                struct eb_kube_account **ret, struct eb_err *reterr);
struct eb_kube_account *eb_kube_account_ref(struct eb_kube_account *a);
void eb_kube_account_unref(struct eb_kube_account *a);
EB_DEFINE_CLEANUP(struct eb_kube_account, eb_kube_account_unref);

/* Namespace and name of an object of the API, borrowed from it, without reading the rest: enough to remove
 * it. False where they are not there or not Kubernetes'. */
bool eb_kube_account_key(const json_t *object, struct eb_str *ret_ns, struct eb_str *ret_name);
/* True where both say the same in every field. */
bool eb_kube_account_same(const struct eb_kube_account *a, const struct eb_kube_account *b);
/* Bytes of memory that it holds. */
size_t eb_kube_account_bytes(const struct eb_kube_account *a);

#endif
