#include "kube/token.h"

#include "kube/name.h"

#define CLAIM "kubernetes.io"
#define LEGACY_PREFIX "kubernetes.io/serviceaccount/"
#define LEGACY_ISSUER "kubernetes/serviceaccount"
#define SUB_PREFIX "system:serviceaccount:"

bool eb_kube_token_is_legacy(const struct eb_jwt *t) {
    const char *key;
    json_t *value;
    if (eb_str_eqz(t->iss, LEGACY_ISSUER))
        return true;
    json_object_foreach(t->claims, key, value) {
        if (eb_str_starts(eb_str(key), EB_STR(LEGACY_PREFIX)))
            return true;
    }
    return false;
}

/* A member that is a JSON object. *ret is NULL where it is absent. */
static enum eb_rc get_object(const json_t *obj, const char *key, const json_t **ret, struct eb_err *reterr) {
    const json_t *v = json_object_get(obj, key);
    if (v && !json_is_object(v))
        return EB_FAIL(reterr, EB_E_MALFORMED, "%s in the token is no object", key);
    *ret = v;
    return EB_OK;
}

/* A member that must be a text which ok takes. */
static enum eb_rc get_checked(const json_t *obj, const char *what, const char *key, bool (*ok)(struct eb_str),
                              struct eb_str *ret, struct eb_err *reterr) {
    enum eb_json_have have = eb_json_get_str(obj, key, ret);
    if (have == EB_JSON_MISSING)
        return EB_FAIL(reterr, EB_E_MISSING_CLAIM, "no " CLAIM " %s%s in the token", what, key);
    if (have == EB_JSON_WRONG_TYPE || !ok(*ret))
        return EB_FAIL(reterr, EB_E_MALFORMED, CLAIM " %s%s in the token is not as Kubernetes writes it",
                       what, key);
    return EB_OK;
}

static enum eb_rc read_bindings(const json_t *claim, struct eb_kube_token *t, struct eb_err *reterr) {
    const json_t *pod = NULL, *node = NULL;
    enum eb_rc rc = get_object(claim, "pod", &pod, reterr);
    if (rc == EB_OK)
        rc = get_object(claim, "node", &node, reterr);
    if (rc == EB_OK && pod)
        rc = get_checked(pod, "pod ", "name", eb_kube_is_subdomain, &t->pod, reterr);
    if (rc == EB_OK && pod)
        rc = get_checked(pod, "pod ", "uid", eb_kube_is_uid, &t->pod_uid, reterr);
    if (rc == EB_OK && node)
        rc = get_checked(node, "node ", "name", eb_kube_is_subdomain, &t->node, reterr);
    return rc;
}

/* sub is the one claim that the API server itself reads; the others must say the same. */
static enum eb_rc check_sub(const struct eb_jwt *jwt, const struct eb_kube_token *t, struct eb_err *reterr) {
    struct eb_str sub = EB_STR_NONE, prefix = EB_STR(SUB_PREFIX);
    enum eb_json_have have = eb_json_get_str(jwt->claims, "sub", &sub);
    if (have == EB_JSON_MISSING)
        return EB_FAIL(reterr, EB_E_MISSING_CLAIM, "no sub in the token");
    if (have == EB_JSON_OK && eb_str_starts(sub, prefix)) {
        struct eb_str name = {sub.p + prefix.n, sub.n - prefix.n}, ns = eb_str_cut(&name, ':');
        if (eb_str_eq(ns, t->ns) && name.p && eb_str_eq(name, t->name))
            return EB_OK;
    }
    return EB_FAIL(reterr, EB_E_MALFORMED, "sub in the token is not the ServiceAccount of " CLAIM);
}

enum eb_rc eb_kube_token_read(const struct eb_jwt *t, struct eb_kube_token *ret, struct eb_err *reterr) {
    struct eb_kube_token k = {.ns = EB_STR_NONE};
    const json_t *claim = NULL, *account = NULL;
    if (eb_kube_token_is_legacy(t))
        return EB_FAIL(reterr, EB_E_LEGACY_TOKEN, "a token of a ServiceAccount's Secret, which never ends");
    enum eb_rc rc = get_object(t->claims, CLAIM, &claim, reterr);
    if (rc == EB_OK && !claim)
        rc = EB_FAIL(reterr, EB_E_MISSING_CLAIM, "no " CLAIM " in the token: not one of a ServiceAccount");
    if (rc == EB_OK)
        rc = get_checked(claim, "", "namespace", eb_kube_is_label, &k.ns, reterr);
    if (rc == EB_OK)
        rc = get_object(claim, "serviceaccount", &account, reterr);
    if (rc == EB_OK && !account)
        rc = EB_FAIL(reterr, EB_E_MISSING_CLAIM, "no " CLAIM " serviceaccount in the token");
    if (rc == EB_OK)
        rc = get_checked(account, "serviceaccount ", "name", eb_kube_is_subdomain, &k.name, reterr);
    if (rc == EB_OK)
        rc = get_checked(account, "serviceaccount ", "uid", eb_kube_is_uid, &k.uid, reterr);
    if (rc == EB_OK)
        rc = read_bindings(claim, &k, reterr);
    if (rc == EB_OK)
        rc = check_sub(t, &k, reterr);
    if (rc == EB_OK)
        *ret = k;
    return rc;
}
