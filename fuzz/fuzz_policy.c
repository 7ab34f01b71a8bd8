/* A permissions document; what it grants must then be as strict as it was written. */
#include <jansson.h>
#include <string.h>

#include "fuzz.h"
#include "policy/policy.h"
#include "subject/subject.h"

static const char *env(void *ctx, const char *name, bool *is_secret) {
    (void)ctx;
    *is_secret = name[0] == 'S';
    return name[0] == 'A' ? "CSC" : name[0] == 'W' ? "a.*" : NULL;
}

static bool any_covers(const json_t *list, const char *subject) {
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        struct eb_str queue = eb_str(json_string_value(item)), s = eb_str_cut(&queue, ' ');
        FUZZ_MUST(eb_subject_check(s, NULL) == EB_OK);
        if (!queue.p && eb_subject_covers(s, eb_str(subject)))
            return true;
    }
    return false;
}

/* True where a rule of the list names the space by its first token. */
static bool names(const json_t *list, const char *root) {
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        struct eb_str rest = eb_str(json_string_value(item));
        if (eb_str_eqz(eb_str_cut(&rest, '.'), root))
            return true;
    }
    return false;
}

static bool granted(const json_t *side, const char *subject) {
    const json_t *allow = json_object_get(side, "allow");
    return (json_array_size(allow) == 0 || any_covers(allow, subject)) &&
           !any_covers(json_object_get(side, "deny"), subject);
}

static void check_grants(const struct eb_policy_entry *e, struct eb_str grants, bool mqtt) {
    static const char *const spaces[] = {"$SYS", "$SRV", "$MQTT", "$JS", "$XL"};
    eb_auto_buf struct eb_buf text = {0};
    eb_buf_ch(&text, '{');
    eb_buf_str(&text, grants);
    eb_buf_ch(&text, '}');
    json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_MUST(root != NULL);
    const json_t *pub = json_object_get(root, "pub"), *sub = json_object_get(root, "sub");
    FUZZ_MUST(json_is_object(pub) && json_is_object(sub));
    FUZZ_MUST(json_object_size(root) == (json_object_get(root, "resp") ? 3 : 2));
    for (size_t i = 0; !e->internal && i < sizeof spaces / sizeof spaces[0]; i++) {
        char subject[32];
        (void)snprintf(subject, sizeof subject, "%s.some.subject", spaces[i]);
        bool in_sub = strcmp(spaces[i], "$MQTT") == 0 || strcmp(spaces[i], "$XL") == 0;
        FUZZ_MUST(names(json_object_get(pub, "allow"), spaces[i]) || !granted(pub, subject));
        FUZZ_MUST(mqtt || !in_sub || names(json_object_get(sub, "allow"), spaces[i]) ||
                  !granted(sub, subject));
    }
    if (mqtt && (e->connections & EB_CONN_MQTT)) {
        FUZZ_MUST(!any_covers(json_object_get(sub, "deny"), "$MQTT.sub.abc"));
        FUZZ_MUST(!any_covers(json_object_get(sub, "deny"), "$MQTT.deliver.pubrel.abc"));
    }
    json_decref(root);
}

static void check_entry(const struct eb_policy *p, const struct eb_policy_entry *e) {
    static const unsigned conns[] = {EB_CONN_NATS, EB_CONN_MQTT, EB_CONN_WEBSOCKET, EB_CONN_LEAF, 0};
    FUZZ_MUST(e->name.n > 0 && e->name.n <= 128 && e->account.n > 0);
    FUZZ_MUST(!eb_str_eqz(e->account, "AUTH"));
    FUZZ_MUST(!eb_str_eqz(e->account, "SYS") || (e->method == EB_POLICY_NKEY && e->internal));
    FUZZ_MUST(!eb_str_eqz(e->account, "AUTHX") || (e->internal && e->connections == EB_CONN_LEAF));
    FUZZ_MUST(!(e->connections & EB_CONN_LEAF) || e->method == EB_POLICY_NKEY);
    for (size_t i = 0; i < sizeof conns / sizeof conns[0]; i++) {
        bool ok = eb_policy_admit(p, e, conns[i], EB_STR("10.1.2.3"), EB_STR("bms-1"), NULL) == EB_OK;
        FUZZ_MUST(!ok || (e->connections & conns[i]));
    }
    if (e->connections & ~(unsigned)EB_CONN_MQTT)
        check_grants(e, eb_policy_grants(e, EB_CONN_NATS), false);
    check_grants(e, eb_policy_grants(e, EB_CONN_MQTT), true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct eb_str issuers[] = {{"corp", 4}}, accounts[] = {{"CSC", 3}, {"SYS", 3}, {"AUTHX", 5}};
    struct eb_policy_options opt = {.env = env, .issuers = issuers, .issuers_n = 1};
    if (size && data[0] == '#') { /* a document that begins with a comment is read with other options */
        opt.allowed_accounts = accounts;
        opt.allowed_accounts_n = 3;
        opt.allow_org_identity = true;
    }
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    if (eb_doc_from(eb_str_n(data, size), "fuzz", &doc, NULL) != EB_OK)
        return 0;
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *p = NULL;
    eb_auto_findings struct eb_findings f = {0};
    enum eb_rc rc = eb_policy_load(doc, &opt, &p, &f);
    FUZZ_MUST((rc == EB_OK) == (p != NULL) && (rc == EB_OK) == (f.errors == 0));
    for (size_t i = 0; i < f.n; i++)
        FUZZ_MUST(f.items[i].text && f.items[i].text[0] && f.items[i].path && f.items[i].mend);
    if (!p)
        return 0;
    struct eb_policy_entry e;
    size_t n = 0;
    for (; eb_policy_at(p, n, &e); n++)
        check_entry(p, &e);
    for (enum eb_policy_method m = EB_POLICY_OAUTH2; m <= EB_POLICY_NOAUTH; m++)
        n -= eb_policy_count(p, m);
    FUZZ_MUST(n == 0);
    (void)eb_policy_find_oauth2(p, EB_STR("corp"), EB_STR("a"), EB_STR("b"), &e);
    (void)eb_policy_find_mtls(p, EB_STR("CN="), EB_STR("a"), &e);
    return 0;
}
