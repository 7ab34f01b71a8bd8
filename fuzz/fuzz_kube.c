/* What Kubernetes sends. The first byte says what the rest is: `p` a page of a list, `w` a watch, `t` the
 * claims of a token, anything else a ServiceAccount, which must be granted nothing that is another's. */
#include <string.h>

#include "base/json.h"
#include "fuzz.h"
#include "kube/feed.h"
#include "kube/name.h"
#include "kube/table.h"
#include "kube/token.h"
#include "subject/permissions.h"
#include "subject/subject.h"

/* True where a rule of the list lets through, or denies, some of what pattern stands for. */
static bool any_overlaps(const json_t *list, const char *pattern) {
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        struct eb_str s = eb_str(json_string_value(item));
        FUZZ_MUST(eb_subject_check(s, NULL) == EB_OK);
        if (eb_subject_overlap(s, eb_str(pattern)))
            return true;
    }
    return false;
}

static void check_form(struct eb_str grants, const struct eb_kube_rules *rules, const char *own) {
    static const char *const closed[] = {"$SYS.>",   "$SRV.>", "$XL.>",   "$JSC.>",
                                         "_REPLY.>", "_R_.>",  "$JS.FC.>"},
                             *const streams[] = {"$JS.API.>", "$JS.ACK.>", "$KV.>", "$O.>"};
    eb_auto_buf struct eb_buf text = {0};
    eb_buf_ch(&text, '{');
    eb_buf_str(&text, grants);
    eb_buf_ch(&text, '}');
    json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_MUST(root && json_object_size(root) == 3 && grants.n <= EB_PERMISSIONS_MAX);
    const json_t *pub = json_object_get(root, "pub"), *sub = json_object_get(root, "sub"),
                 *may_pub = json_object_get(pub, "allow"), *may_sub = json_object_get(sub, "allow");
    FUZZ_MUST(json_array_size(may_sub) > 0);
    FUZZ_MUST(json_array_size(may_pub) > 0 || any_overlaps(json_object_get(pub, "deny"), "a"));
    FUZZ_MUST(any_overlaps(may_sub, own));
    for (size_t i = 0; !rules->allow_root_wildcards && i < EB_COUNT_OF(closed); i++)
        FUZZ_MUST(!any_overlaps(may_pub, closed[i]) && !any_overlaps(may_sub, closed[i]));
    for (size_t i = 0; !rules->allow_root_wildcards && !rules->allow_jetstream && i < EB_COUNT_OF(streams);
         i++)
        FUZZ_MUST(!any_overlaps(may_pub, streams[i]) && !any_overlaps(may_sub, streams[i]));
    if (!rules->allow_root_wildcards) {
        FUZZ_MUST(!any_overlaps(may_sub, "_INBOX_other_one.>") && !any_overlaps(may_pub, "_INBOX.>"));
        FUZZ_MUST(!any_overlaps(may_pub, own));
    }
    json_decref(root);
}

static void check_account(const json_t *object, const struct eb_kube_rules *rules) {
    struct eb_kube_account *a = NULL;
    struct eb_err err = {0};
    struct eb_str ns, name;
    if (eb_kube_account_read(object, rules, &a, &err) != EB_OK) {
        FUZZ_MUST(err.rc != EB_OK && err.text[0]);
        return;
    }
    FUZZ_MUST(eb_kube_account_key(object, &ns, &name) && eb_str_eq(ns, a->ns) && eb_str_eq(name, a->name));
    FUZZ_MUST(eb_kube_is_label(a->ns) && eb_kube_is_subdomain(a->name) && eb_kube_is_uid(a->uid));
    FUZZ_MUST(!eb_str_has(a->token, '.') && a->token.n == a->ns.n + 1 + a->name.n);
    FUZZ_MUST(!a->drops || (a->drops->total && a->drops->sample[0]));
    char own[400];
    (void)snprintf(own, sizeof own, "_INBOX_%.*s.x", EB_STR_ARG(a->token));
    if (!eb_str_eqz(a->token, "other_one")) {
        check_form(a->grants_json, rules, own);
        check_form(a->grants_mqtt_json, rules, own);
    }
    eb_kube_account_unref(a);
}

static const struct eb_kube_rules no_rules = {.allow_jetstream = false};

static enum eb_rc take_item(void *ctx, const json_t *object, struct eb_err *reterr) {
    struct eb_kube_relist *r = ctx;
    struct eb_kube_account *a = NULL;
    enum eb_kube_change change;
    enum eb_rc rc = eb_kube_account_read(object, &no_rules, &a, reterr);
    if (rc != EB_OK)
        return rc == EB_E_MALFORMED ? EB_OK : rc;
    rc = eb_kube_relist_add(r, a, &change, reterr);
    eb_kube_account_unref(a);
    return rc;
}

/* Whatever the sizes of the pieces are, what is read is the same. */
static void read_page(struct eb_str text, size_t step, size_t *ret_items, enum eb_rc *ret_rc) {
    struct eb_kube_table *t = NULL;
    struct eb_kube_relist *r = NULL;
    struct eb_kube_page *p = NULL;
    struct eb_str version, more;
    FUZZ_MUST(eb_kube_table_new(&no_rules, &t, NULL) == EB_OK && eb_kube_relist_new(t, &r, NULL) == EB_OK);
    FUZZ_MUST(eb_kube_page_new(take_item, r, &p, NULL) == EB_OK);
    enum eb_rc rc = EB_OK;
    for (size_t at = 0; at < text.n && rc == EB_OK; at += step)
        rc = eb_kube_page_feed(p, eb_str_n(text.p + at, text.n - at < step ? text.n - at : step), NULL);
    if (rc == EB_OK)
        rc = eb_kube_page_end(p, &version, &more, NULL);
    FUZZ_MUST(rc != EB_OK || (version.n && more.p));
    *ret_items = eb_kube_page_items(p);
    *ret_rc = rc;
    (void)eb_kube_relist_commit(r);
    FUZZ_MUST(eb_kube_table_count(t) <= *ret_items);
    eb_kube_page_free(p);
    eb_kube_relist_free(r);
    eb_kube_table_free(t);
}

static enum eb_rc take_event(void *ctx, const struct eb_kube_event *ev, struct eb_err *reterr) {
    (void)reterr;
    size_t *n = ctx;
    FUZZ_MUST(ev->object && (ev->type == EB_KUBE_ERROR ? !ev->version.p : ev->version.n > 0));
    (void)eb_kube_event_is_gone(ev);
    ++*n;
    return EB_OK;
}

static void read_watch(struct eb_str text, size_t step, size_t *ret_events, enum eb_rc *ret_rc) {
    struct eb_kube_watch *w = NULL;
    *ret_events = 0;
    *ret_rc = EB_OK;
    FUZZ_MUST(eb_kube_watch_new(take_event, ret_events, &w, NULL) == EB_OK);
    for (size_t at = 0; at < text.n && *ret_rc == EB_OK; at += step)
        *ret_rc = eb_kube_watch_feed(w, eb_str_n(text.p + at, text.n - at < step ? text.n - at : step), NULL);
    eb_kube_watch_free(w);
}

static void check_token(struct eb_str text) {
    struct eb_jwt t = {.claims = NULL};
    struct eb_kube_token k;
    if (eb_json_object(text, EB_JWT_MAX, &t.claims, NULL) != EB_OK)
        return;
    t.iss = eb_json_str(t.claims, "iss");
    if (eb_kube_token_read(&t, &k, NULL) == EB_OK) {
        eb_auto_buf struct eb_buf sub = {0};
        FUZZ_MUST(eb_kube_is_label(k.ns) && eb_kube_is_subdomain(k.name) && eb_kube_is_uid(k.uid));
        FUZZ_MUST(!k.pod.p == !k.pod_uid.p && !eb_kube_token_is_legacy(&t));
        eb_buf_printf(&sub, "system:serviceaccount:%.*s:%.*s", EB_STR_ARG(k.ns), EB_STR_ARG(k.name));
        FUZZ_MUST(eb_str_eq(eb_buf_get(&sub), eb_json_str(t.claims, "sub")));
    }
    json_decref(t.claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t steps[] = {1, 5, 4096};
    static const struct eb_str reserved[] = {{"sensor", 6}};
    struct eb_str rest = {(const char *)data + 1, size - 1};
    if (size == 0)
        return 0;
    size_t n[3];
    enum eb_rc rc[3];
    switch (data[0]) {
    case 'p':
    case 'w':
        for (size_t i = 0; i < EB_COUNT_OF(steps); i++)
            (data[0] == 'p' ? read_page : read_watch)(rest, steps[i], &n[i], &rc[i]);
        FUZZ_MUST(n[0] == n[1] && n[1] == n[2] && rc[0] == rc[1] && rc[1] == rc[2]);
        return 0;
    case 't': check_token(rest); return 0;
    default: break;
    }
    const struct eb_kube_rules rules = {.subject_prefix = data[0] & 4 ? EB_STR("k8s.") : EB_STR_NONE,
                                        .reserved = reserved,
                                        .reserved_n = 1,
                                        .allow_root_wildcards = (data[0] & 1) != 0,
                                        .allow_jetstream = (data[0] & 2) != 0};
    json_t *object = json_loadb(rest.p, rest.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (object)
        check_account(object, &rules);
    json_decref(object);
    return 0;
}
