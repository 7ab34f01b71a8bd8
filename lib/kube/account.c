#include "kube/account.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/json.h"
#include "kube/name.h"

/* One block holds all of it: 10,000 of them are kept. */
struct record {
    struct eb_kube_account a; /* first: a pointer to it is one to the record */
    atomic_uint refs;
    size_t bytes;
    struct eb_kube_drops drops[]; /* one or none, then the texts */
};

static bool is_account_name(struct eb_str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_'))
            return false;
    }
    return s.n > 0 && s.n <= EB_KUBE_NATS_ACCOUNT_MAX;
}

struct fields {
    struct eb_str ns, name, uid, account, pub, sub;
};

static enum eb_rc get_annotation(const json_t *annotations, const char *key, struct eb_str *ret,
                                 struct eb_err *reterr) {
    if (eb_json_get_str(annotations, key, ret) == EB_JSON_WRONG_TYPE)
        return EB_FAIL(reterr, EB_E_MALFORMED, "annotation %s is no text", key);
    return EB_OK;
}

static enum eb_rc read_fields(const json_t *object, struct fields *f, struct eb_err *reterr) {
    struct eb_str kind = EB_STR_NONE;
    enum eb_json_have have = eb_json_get_str(object, "kind", &kind);
    if (!json_is_object(object) || have == EB_JSON_WRONG_TYPE ||
        (have == EB_JSON_OK && !eb_str_eqz(kind, "ServiceAccount") &&
         !eb_str_eqz(kind, "PartialObjectMetadata")))
        return EB_FAIL(reterr, EB_E_MALFORMED, "an object of the API that is no ServiceAccount");
    if (!eb_kube_account_key(object, &f->ns, &f->name))
        return EB_FAIL(reterr, EB_E_MALFORMED, "a ServiceAccount without a namespace and name of Kubernetes");
    const json_t *meta = json_object_get(object, "metadata"),
                 *annotations = json_object_get(meta, "annotations");
    f->uid = eb_json_str(meta, "uid");
    if (!eb_kube_is_uid(f->uid))
        return EB_FAIL(reterr, EB_E_MALFORMED, "a ServiceAccount without a uid of Kubernetes");
    if (annotations && !json_is_object(annotations) && !json_is_null(annotations))
        return EB_FAIL(reterr, EB_E_MALFORMED, "the annotations of a ServiceAccount are no object");
    enum eb_rc rc = get_annotation(annotations, EB_KUBE_ANNOTATION_PUB, &f->pub, reterr);
    if (rc == EB_OK)
        rc = get_annotation(annotations, EB_KUBE_ANNOTATION_SUB, &f->sub, reterr);
    if (rc == EB_OK)
        rc = get_annotation(annotations, EB_KUBE_ANNOTATION_ACCOUNT, &f->account, reterr);
    if (rc == EB_OK && f->account.p && !is_account_name(f->account))
        f->account = EB_STR("");
    return rc;
}

bool eb_kube_account_key(const json_t *object, struct eb_str *ret_ns, struct eb_str *ret_name) {
    const json_t *meta = json_object_get(object, "metadata");
    struct eb_str ns = eb_json_str(meta, "namespace"), name = eb_json_str(meta, "name");
    if (!eb_kube_is_label(ns) || !eb_kube_is_subdomain(name))
        return false;
    *ret_ns = ns;
    *ret_name = name;
    return true;
}

/* Copies s behind *at. */
static struct eb_str put(char **at, struct eb_str s) {
    struct eb_str copy = {*at, s.n};
    if (!s.p)
        return EB_STR_NONE;
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static struct record *make(const struct fields *f, struct eb_str token, struct eb_str grants,
                           const struct eb_kube_form *form, const struct eb_kube_drops *drops) {
    size_t have = drops->total ? 1 : 0;
    size_t bytes = sizeof(struct record) + have * sizeof *drops + f->ns.n + f->name.n + f->uid.n +
                   f->account.n + token.n + grants.n;
    struct record *r = malloc(bytes);
    if (!r)
        return NULL;
    *r = (struct record){.bytes = bytes};
    atomic_init(&r->refs, 1);
    if (have) {
        r->drops[0] = *drops;
        r->a.drops = r->drops;
    }
    char *at = (char *)(r->drops + have);
    r->a.ns = put(&at, f->ns);
    r->a.name = put(&at, f->name);
    r->a.uid = put(&at, f->uid);
    r->a.account = put(&at, f->account);
    r->a.token = put(&at, token);
    struct eb_str all = put(&at, grants);
    r->a.grants_json = (struct eb_str){all.p + form->nats_off, form->nats_n};
    r->a.grants_mqtt_json = (struct eb_str){all.p + form->mqtt_off, form->mqtt_n};
    return r;
}

static enum eb_rc build(const struct fields *f, const struct eb_kube_rules *rules, bool by_name_only,
                        struct eb_kube_account **ret, struct eb_err *reterr) {
    eb_auto_buf struct eb_buf grants = {0}, token = {0};
    struct eb_kube_form form = {0};
    struct eb_kube_drops drops = {0};
    enum eb_rc rc =
        eb_kube_grants_write(rules, f->ns, f->name, f->pub, f->sub, &grants, &form, &drops, reterr);
    if (rc != EB_OK)
        return rc;
    if (by_name_only) {
        drops = (struct eb_kube_drops){.total = 1, .sample = "all of them (too_large)"};
        drops.by_reason[EB_KUBE_DROP_TOO_LARGE] = 1;
    }
    eb_kube_token_of(&token, f->ns, f->name);
    struct record *r =
        eb_buf_ok(&token) ? make(f, eb_buf_get(&token), eb_buf_get(&grants), &form, &drops) : NULL;
    if (!r)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    r->a.by_name_only = by_name_only;
    *ret = &r->a;
    return EB_OK;
}

enum eb_rc eb_kube_account_read(const json_t *object, const struct eb_kube_rules *rules,
                                struct eb_kube_account **ret, struct eb_err *reterr) {
    struct fields f = {.ns = EB_STR_NONE};
    enum eb_rc rc = read_fields(object, &f, reterr);
    return rc == EB_OK ? build(&f, rules, false, ret, reterr) : rc;
}

enum eb_rc eb_kube_account_by_name(const struct eb_kube_account *a, const struct eb_kube_rules *rules,
                                   struct eb_kube_account **ret, struct eb_err *reterr) {
    const struct fields f = {.ns = a->ns, .name = a->name, .uid = a->uid, .account = a->account};
    return build(&f, rules, true, ret, reterr);
}

struct eb_kube_account *eb_kube_account_ref(struct eb_kube_account *a) {
    struct record *r = (struct record *)a;
    (void)atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return a;
}

void eb_kube_account_unref(struct eb_kube_account *a) {
    struct record *r = (struct record *)a;
    if (r && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1)
        free(r);
}

bool eb_kube_account_same(const struct eb_kube_account *a, const struct eb_kube_account *b) {
    bool drops = (a->drops == NULL) == (b->drops == NULL) &&
                 (!a->drops || memcmp(a->drops, b->drops, sizeof *a->drops) == 0);
    return drops && a->by_name_only == b->by_name_only && eb_str_eq(a->ns, b->ns) &&
           eb_str_eq(a->name, b->name) && eb_str_eq(a->uid, b->uid) &&
           (a->account.p == NULL) == (b->account.p == NULL) && eb_str_eq(a->account, b->account) &&
           eb_str_eq(a->grants_json, b->grants_json) && eb_str_eq(a->grants_mqtt_json, b->grants_mqtt_json);
}

size_t eb_kube_account_bytes(const struct eb_kube_account *a) {
    return ((const struct record *)a)->bytes;
}
