/* What `eventbus render` writes, by its properties: nats-server's own judgement is in
 * tests/integration/test_render.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "policy/policy.h"
#include "site/render.h"
#include "site/render_mapped.h"
#include "site/render_text.h"
#include "site/streams.h"

#define LISTS                                                                                                \
    "    crossLayer:\n"                                                                                      \
    "      cscExports: [broadcast.>, \"a.*.b.>\"]\n"                                                         \
    "      cscPrefixedExports: [command.>]\n"                                                                \
    "      cpcExports: [sensor.>, 's.\"q\\.*.x']\n"                                                          \
    "    mqttStreams: {maxBytes: 67108864, maxAge: 3h, storage: file, replicas: 1}\n"                        \
    "    extraAccounts: {LaunchLayer: {enabled: true, jetstream: true}, Plain: {enabled: true}, "            \
    "Off: {enabled: false}}\n"
#define PERMISSIONS(account)                                                                                 \
    "    auth:\n      permissions:\n"                                                                        \
    "        oauth2:\n"                                                                                      \
    "          app: {azp: app, account: " account ", required_scope: mqtt, connections: [mqtt],\n"           \
    "            src: [10.0.0.0/8], permissions: {pub: {allow: [test.>, \"q\\\"uote\"]}, sub: {allow: "      \
    "[\"a.> workers\", \"yes\"], deny: [a.b]},\n"                                                            \
    "            resp: {max: 3, ttl: 5s}}}\n"                                                                \
    "          \"yes\": {subject: \"no\", account: " account ", permissions: {}}\n"                          \
    "          ll: {azp: ll, account: LaunchLayer, permissions: {pub: {allow: [$KV.b.>, $JS.API.INFO, "      \
    "$JS.CSC.API.INFO],\n"                                                                                   \
    "            deny: [$JS.API.STREAM.DELETE.>]}, sub: {allow: [_INBOX.>]}}}\n"                             \
    "          llm: {azp: llm, account: LaunchLayer, connections: [nats]}\n"                                 \
    "          plain: {azp: plain, account: Plain}\n"                                                        \
    "        mtls:\n"                                                                                        \
    "          device: {identity: \"CN=dévice é\", account: " account "}\n"                                  \
    "        noauth: {account: " account ", permissions: {sub: {allow: [public.>]}}}\n"

static const char csc_text[] =
    "global:\n  eventBus:\n    clusterType: csc\n    cpcIds: [\"1\", west]\n" LISTS PERMISSIONS("CSC");
static const char cpc_text[] = "global:\n  eventBus:\n    clusterType: cpc\n    clusterId: west\n"
                               "    cscEndpoint: nats://a:7422,tls://b:7422\n" LISTS PERMISSIONS("CPC");
static const char alone_text[] = "global:\n  eventBus:\n    clusterType: csc\n    mtls: {enabled: false}\n";

/* A site read from its text, with keys in a folder of its own. */
struct world {
    char root[64];
    struct eb_site *site;
    struct eb_placement *place;
    struct eb_pubkeys *keys;
    struct eb_render r;
};

static void put(const char *dir, const char *name, struct eb_str text) {
    char path[256];
    assert_true(snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path);
    assert_int_equal(eb_file_write(path, text, 0600, NULL), EB_OK);
}

static void make_keys(const char *root, const struct eb_site *site) {
    struct eb_secret_def *defs = NULL;
    size_t n = 0;
    char dir[200];
    (void)snprintf(dir, sizeof dir, "%s/%s", root, site->name.p);
    assert_int_equal(mkdir(dir, 0700), 0);
    (void)snprintf(dir, sizeof dir, "%s/%s/nkeys", root, site->name.p);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(eb_secrets_of(site, &defs, &n, NULL), EB_OK);
    for (size_t i = 0; i < n; i++) {
        struct eb_nkey *k = NULL;
        assert_int_equal(eb_nkey_generate(defs[i].kind, &k), EB_OK);
        struct eb_secret *seed = eb_nkey_seed(k);
        (void)snprintf(dir, sizeof dir, "%s/%s/nkeys/%s", root, site->name.p, defs[i].name);
        assert_int_equal(mkdir(dir, 0700), 0);
        if (defs[i].files & EB_SECRET_SEED)
            put(dir, "seed", eb_secret_get(seed));
        if (defs[i].files & EB_SECRET_PUBKEY)
            put(dir, "pubkey", eb_str(eb_nkey_public(k)));
        eb_secret_free(seed);
        eb_nkey_free(k);
    }
    free(defs);
}

static void none(const struct eb_findings *f) {
    for (size_t i = 0; i < f->n; i++)
        print_error("%s: %s (%s)\n", f->items[i].path, f->items[i].text, f->items[i].mend);
    assert_int_equal(f->errors, 0);
}

static void open_world(struct world *w, const char *text, const char *placement) {
    eb_auto_findings struct eb_findings f = {0};
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL, *where = NULL;
    *w = (struct world){.root = "/tmp/eb-render-XXXXXX"};
    assert_non_null(mkdtemp(w->root));
    assert_int_equal(eb_doc_from(eb_str(text), "site.yaml", &doc, NULL), EB_OK);
    (void)!eb_site_load(doc, &w->site, &f);
    none(&f);
    if (placement)
        assert_int_equal(eb_doc_from(eb_str(placement), "placement.yaml", &where, NULL), EB_OK);
    (void)!eb_placement_load(where, w->site, &w->place, &f);
    none(&f);
    make_keys(w->root, w->site);
    (void)!eb_pubkeys_read(w->root, w->site, &w->keys, &f);
    none(&f);
    w->r = (struct eb_render){.site = w->site, .place = w->place, .keys = w->keys};
}

static void close_world(struct world *w) {
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", w->root);
    assert_int_equal(system(command), 0);
    eb_pubkeys_free(w->keys);
    eb_placement_free(w->place);
    eb_site_free(w->site);
}

static char *text_of(void (*render)(struct eb_buf *, const struct eb_render *), const struct eb_render *r) {
    struct eb_buf b = {0};
    render(&b, r);
    assert_true(eb_buf_ok(&b));
    return eb_buf_take(&b);
}
static void main_conf(struct eb_buf *to, const struct eb_render *r) {
    eb_render_main(to, r, 0);
}

static void has(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("missing: %s\nin:\n%s", part, text);
}
static void lacks(const char *text, const char *part) {
    if (strstr(text, part))
        fail_msg("not wanted: %s\nin:\n%s", part, text);
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

/* ---- the servers ---- */

static void same_every_time(void **state) {
    (void)state;
    static const char *const texts[] = {csc_text, cpc_text, alone_text};
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++) {
        struct world w;
        open_world(&w, texts[i], NULL);
        void (*const all[])(struct eb_buf *, const struct eb_render *) = {main_conf, eb_render_mtls,
                                                                          eb_render_permissions};
        for (size_t k = 0; k < EB_COUNT_OF(all); k++) {
            if (!w.site->mtls && k == 1)
                continue;
            eb_auto_free char *a = text_of(all[k], &w.r), *b = text_of(all[k], &w.r);
            assert_string_equal(a, b);
        }
        close_world(&w);
    }
}

/* Every login of the configuration stays in without the callout, and has an entry with the same key. */
static void logins_bypass_and_have_entries(void **state) {
    (void)state;
    static const char *const texts[] = {csc_text, cpc_text, alone_text};
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++) {
        struct world w;
        open_world(&w, texts[i], NULL);
        eb_auto_free char *conf = text_of(main_conf, &w.r), *doc = text_of(eb_render_permissions, &w.r);
        const char *exempt = strstr(conf, "auth_users: [");
        assert_non_null(exempt);
        size_t n = 0;
        for (const char *at = conf; (at = strstr(at, "{ nkey: U")) != NULL; n++) {
            char key[EB_NKEY_PUBLIC_LEN + 1];
            at += strlen("{ nkey: ");
            (void)snprintf(key, sizeof key, "%s", at);
            has(exempt, key);
            bool is_auth = strcmp(key, eb_pubkeys_get(w.keys, "nats-auth-watch")) == 0 ||
                           strcmp(key, eb_pubkeys_get(w.keys, "nats-authx-user")) == 0;
            assert_int_equal(strstr(doc, key) == NULL, is_auth);
        }
        assert_int_equal(n, count(exempt, "      U"));
        assert_true(n >= 6);
        close_world(&w);
    }
}

/* While it is rotated, the login of auth-callout is there by both keys, with the same rights, and in no
 * entry. */
static void the_login_of_auth_callout_by_both_keys(void **state) {
    (void)state;
    static const char old[] = "UAP7ISKFI6D2MMMSYCG3X5VJP3NWCWV2BOYWDCR65G42KXKGGGQF2GUM";
    eb_auto_findings struct eb_findings f = {0};
    struct world w;
    char dir[200], nkey[100];
    open_world(&w, csc_text, NULL);
    eb_auto_free char *before = text_of(main_conf, &w.r);
    assert_null(strstr(before, "that is being replaced"));
    (void)snprintf(dir, sizeof dir, "%s/%s/nkeys/nats-authx-user", w.root, w.site->name.p);
    put(dir, "pubkey-old", eb_str(old));
    eb_pubkeys_free(w.keys);
    assert_int_equal(eb_pubkeys_read(w.root, w.site, &w.keys, &f), EB_OK);
    w.r.keys = w.keys;
    eb_auto_free char *conf = text_of(main_conf, &w.r), *doc = text_of(eb_render_permissions, &w.r);
    assert_int_equal(count(conf, old), 2);
    (void)snprintf(nkey, sizeof nkey, "{ nkey: %s, ", eb_pubkeys_get(w.keys, "nats-authx-user"));
    const char *by_new = strstr(conf, nkey), *by_old = strstr(conf, "{ nkey: UAP7ISKFI6D2MMMSYCG3X5VJP3NWC");
    assert_non_null(by_new);
    assert_non_null(by_old);
    size_t rights = (size_t)(strstr(by_new, "} }\n") - by_new) - strlen(nkey);
    assert_memory_equal(by_new + strlen(nkey), by_old + strlen(nkey), rights);
    has(strstr(conf, "auth_users: ["), old);
    assert_null(strstr(doc, old));
    close_world(&w);
}

static void seeds_are_elsewhere(void **state) {
    (void)state;
    struct world w;
    open_world(&w, cpc_text, NULL);
    eb_auto_free char *conf = text_of(main_conf, &w.r), *mtls = text_of(eb_render_mtls, &w.r),
                      *doc = text_of(eb_render_permissions, &w.r);
    const char *all[] = {conf, mtls, doc};
    char variable[96], secret[96], path[256], use[120];
    size_t n = 0;
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; eb_render_seed(w.site, side == 1, i, variable, secret); i++, n++) {
            eb_auto_buf struct eb_buf seed = {0};
            (void)snprintf(path, sizeof path, "%s/cpc-west/nkeys/%s/seed", w.root, secret);
            assert_int_equal(eb_file_read(path, 200, &seed, NULL), EB_OK);
            for (size_t k = 0; k < EB_COUNT_OF(all); k++)
                lacks(all[k], seed.p);
            (void)snprintf(use, sizeof use, "nkey: $%s\n", variable);
            assert_int_equal(count(side ? mtls : conf, use), 1);
        }
    assert_int_equal(n, 6); /* CSC, LaunchLayer, Plain; data, AUTHX, SYS */
    assert_int_equal(count(conf, "nkey: $"), 3);
    has(conf, "nkey: $LEAF_LAUNCHLAYER_CSC");
    has(conf, "include \"main-seeds.conf\"");
    close_world(&w);
}

static const char west_leaf[] =
    "          publish: { allow: [\n"
    "            \"cpc.west.sensor.>\",\n"
    "            \"cpc.west.s.\\\"q\\\\.*.x\",\n"
    "            \"$JS.CSC.API.CONSUMER.CREATE.$MQTT_msgs.*.$MQTT.msgs.broadcast.>\",\n"
    "            \"$JS.CSC.API.CONSUMER.CREATE.$MQTT_msgs.*.$MQTT.msgs.a.*.b.>\",\n"
    "            \"$JS.CSC.API.CONSUMER.CREATE.XL_RETAINED.*.$XL.r.broadcast.>\",\n"
    "            \"$JS.CSC.API.CONSUMER.CREATE.XL_RETAINED.*.$XL.r.a.*.b.>\",\n"
    "            \"$JS.CSC.API.CONSUMER.CREATE.$MQTT_msgs.*.$MQTT.msgs.cpc.west.command.>\",\n"
    "            \"$JS.CSC.API.CONSUMER.CREATE.XL_RETAINED.*.$XL.r.cpc.west.command.>\",\n"
    "            \"$JS.FC.CSC.>\",\n"
    "            \"$XL.up.west.>\",\n"
    "            \"$JSC.R.west.>\"\n"
    "          ], deny: [\"$MQTT.>\"] }\n"
    "          subscribe: { allow: [\n"
    "            \"broadcast.>\",\n"
    "            \"a.*.b.>\",\n"
    "            \"cpc.west.command.>\",\n"
    "            \"$XL.down.west.>\",\n"
    "            \"_R_.>\",\n"
    "            \"$XL.west.api.CONSUMER.CREATE.>\",\n"
    "            \"$JS.FC.CPC-west.>\"\n"
    "          ], deny: [\"$MQTT.>\"] }\n";

static void links_are_pinned(void **state) {
    (void)state;
    struct world csc, cpc;
    open_world(&csc, csc_text, NULL);
    open_world(&cpc, cpc_text, NULL);
    eb_auto_free char *hub = text_of(main_conf, &csc.r), *spoke = text_of(main_conf, &cpc.r);
    has(hub, west_leaf);
    /* What the CPC's own document asks for is what its login at the CSC may ask for. */
    struct eb_stream_source *s = NULL;
    size_t n = 0;
    assert_int_equal(eb_stream_sources(cpc.site, &s, &n), EB_OK);
    assert_int_equal(n, 6);
    for (size_t i = 0; i < n; i++) {
        char subject[300];
        (void)snprintf(subject, sizeof subject, "\"%s.CONSUMER.CREATE.%s.*.%s\"", s[i].api, s[i].stream,
                       s[i].filter);
        has(west_leaf, subject);
    }
    eb_stream_sources_free(s, n);
    /* And the CSC finds exactly its own sources' streams at the CPC. */
    assert_int_equal(eb_stream_sources(csc.site, &s, &n), EB_OK);
    for (size_t i = 0; i < n; i++) {
        char subject[400];
        (void)snprintf(subject, sizeof subject, "to: \"%s.CONSUMER.CREATE.%s.*.", s[i].api, s[i].stream);
        assert_int_equal(strstr(spoke, subject) != NULL, strstr(s[i].api, "west") != NULL);
    }
    eb_stream_sources_free(s, n);
    lacks(spoke, "$JS.API.CONSUMER.CREATE.>");
    has(spoke, "{ stream: { account: CPC, subject: \"sensor.>\" }, to: \"cpc.west.sensor.>\" }");
    has(spoke, "{ stream: { account: CSC, subject: \"cpc.west.command.>\" }, to: \"command.>\" }");
    has(spoke, "urls: [\"nats://a:7422\", \"tls://b:7422\"]");
    /* what the one exports the other imports */
    assert_int_equal(count(spoke, "accounts: [CSC] }") + count(spoke, "accounts: [AUTHX] }"),
                     count(spoke, "{ account: CPC, subject:") + count(spoke, "{ account: AUTH, subject:"));
    assert_int_equal(count(spoke, "accounts: [CPC] }"), count(spoke, "{ account: CSC, subject:"));
    close_world(&csc);
    close_world(&cpc);
}

static const char service[] =
    "          publish: { allow: [\n"
    "            \"$JS.API.STREAM.INFO.XL_RETAINED\",\n"
    "            \"$JS.API.STREAM.INFO.$MQTT_msgs\",\n"
    "            \"$JS.API.STREAM.INFO.$MQTT_rmsgs\",\n"
    "            \"$JS.API.STREAM.INFO.$MQTT_qos2in\"\n"
    "          ] }\n"
    "          subscribe: { allow: [\"$SYS.REQ.USER.AUTH\", \"$SYS.ACCOUNT.CLIENT.AUTH.ERR\", \"$SRV.>\", "
    "\"_INBOX.>\"] }\n"
    "          allow_responses: { max: 1, ";

/* auth-callout asks for these four, and the data account hands them to nobody else. */
static void the_service_asks_for_the_streams(void **state) {
    (void)state;
    static const struct {
        const char *text, *account;
    } sites[] = {{csc_text, "CSC"}, {cpc_text, "CPC"}, {alone_text, "CSC"}};
    for (size_t i = 0; i < EB_COUNT_OF(sites); i++) {
        struct world w;
        open_world(&w, sites[i].text, NULL);
        eb_auto_free char *conf = text_of(main_conf, &w.r);
        assert_int_equal(count(conf, service), 1);
        for (size_t k = 0; k < EB_STREAMS_N; k++) {
            char out[160], in[160];
            (void)snprintf(out, sizeof out,
                           "      { service: \"$JS.API.STREAM.INFO.%s\", accounts: [AUTHX] }\n",
                           eb_stream_names[k]);
            (void)snprintf(in, sizeof in,
                           "      { service: { account: %s, subject: \"$JS.API.STREAM.INFO.%s\" } }\n",
                           sites[i].account, eb_stream_names[k]);
            assert_int_equal(count(conf, out), 1);
            assert_int_equal(count(conf, in), 1);
        }
        /* and hears of refused logins: those of its own server from AUTH, those of the mTLS server by the
         * leaf */
        assert_int_equal(count(conf, "{ stream: \"$SYS.ACCOUNT.CLIENT.AUTH.ERR\", accounts: [AUTHX] }"), 1);
        assert_int_equal(
            count(conf, "{ stream: { account: AUTH, subject: \"$SYS.ACCOUNT.CLIENT.AUTH.ERR\" } }"), 1);
        assert_int_equal(count(conf, "publish: { allow: [\"$SYS.REQ.USER.AUTH\", "
                                     "\"$SYS.ACCOUNT.CLIENT.AUTH.ERR\"] }"),
                         w.site->mtls);
        assert_int_equal(count(conf, "accounts: [AUTHX]"), EB_STREAMS_N + 1);
        close_world(&w);
    }
}

static void a_site_alone(void **state) {
    (void)state;
    struct world w;
    open_world(&w, alone_text, NULL);
    eb_auto_free char *conf = text_of(main_conf, &w.r), *doc = text_of(eb_render_permissions, &w.r);
    lacks(conf, "feature_flags"); /* so that it runs on older servers */
    lacks(conf, "cluster {");
    lacks(conf, "remotes");
    lacks(conf, "mtls");
    lacks(doc, "mtls");
    lacks(doc, "noauth");
    char variable[96], secret[96];
    assert_false(eb_render_seed(w.site, false, 0, variable, secret));
    assert_false(eb_render_seed(w.site, true, 0, variable, secret));
    close_world(&w);
}

static void as_placed(void **state) {
    (void)state;
    struct world w;
    open_world(&w, csc_text,
               "servers:\n- {address: 10.0.0.1, dataDir: \"/data/a b\"}\n- {address: \"[fd00::2]\"}\n- "
               "{address: c.example}\n"
               "ports: {nats: 14222, cluster: 16222}\nmtls: {address: 10.0.0.9}\nxkey: false\ndebug: "
               "true\nauthTimeout: 58\n"
               "jetstream: {maxMemory: 0, maxFile: 1000000000}\n");
    eb_auto_buf struct eb_buf second = {0};
    eb_render_main(&second, &w.r, 1);
    assert_true(eb_buf_ok(&second));
    eb_auto_free char *first = text_of(main_conf, &w.r), *mtls = text_of(eb_render_mtls, &w.r);
    has(first, "server_name: \"csc-main-1\"");
    has(first, "listen: \"10.0.0.1:14222\"");
    has(first, "store_dir: \"/data/a b\"");
    has(first, "debug: true");
    lacks(first, "xkey:");
    has(first, "timeout: 58");
    has(first, "authorization { timeout: 60 }");
    has(first, "max_file_store: 1000000000");
    has(first, "    \"nats-route://[fd00::2]:16222\"\n    \"nats-route://c.example:16222\"\n  ]");
    has(second.p, "listen: \"[fd00::2]:14222\"");
    has(second.p, "    \"nats-route://10.0.0.1:16222\"\n    \"nats-route://c.example:16222\"\n  ]");
    has(mtls, "urls: [\"nats://10.0.0.1:7422\", \"nats://[fd00::2]:7422\", \"nats://c.example:7422\"]");
    assert_int_equal(count(mtls, "urls:"), 3);
    close_world(&w);
}

/* ---- the permissions document ---- */

static struct eb_policy *load(struct eb_str text) {
    static const struct eb_policy_options opt = {0};
    eb_auto_findings struct eb_findings f = {0};
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    struct eb_policy *p = NULL;
    assert_int_equal(eb_doc_from(text, "permissions", &doc, NULL), EB_OK);
    (void)!eb_policy_load(doc, &opt, &p, &f);
    none(&f);
    assert_non_null(p);
    return p;
}

static bool find(const struct eb_policy *p, enum eb_policy_method m, const char *name,
                 struct eb_policy_entry *ret) {
    for (size_t i = 0; eb_policy_at(p, i, ret); i++)
        if (ret->method == m && eb_str_eqz(ret->name, name))
            return true;
    return false;
}

/* The site's own entries mean the same in YAML as they did in the document. */
static void own_entries_are_kept(void **state) {
    (void)state;
    static const char *const texts[] = {csc_text, cpc_text};
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++) {
        struct world w;
        open_world(&w, texts[i], NULL);
        eb_auto_free char *doc = text_of(eb_render_permissions, &w.r),
                          *json = json_dumps(w.site->permissions, JSON_COMPACT);
        struct eb_policy *got = load(eb_str(doc)), *want = load(eb_str(json));
        struct eb_policy_entry a, b;
        size_t n = 0;
        for (size_t k = 0; eb_policy_at(want, k, &a); k++) {
            char name[128];
            (void)snprintf(name, sizeof name, "%.*s", EB_STR_ARG(a.name));
            assert_true(find(got, a.method, name, &b));
            assert_true(eb_str_eq(a.account, b.account));
            assert_true(eb_str_eq(a.required_scope, b.required_scope));
            if (!eb_str_eq(a.account, w.site->account))
                continue;
            assert_int_equal(a.connections, b.connections);
            assert_true(eb_str_eq(a.grants_json, b.grants_json));
            assert_true(eb_str_eq(a.grants_mqtt_json, b.grants_mqtt_json));
            n++;
        }
        assert_int_equal(n, 4);
        eb_policy_unref(got);
        eb_policy_unref(want);
        close_world(&w);
    }
}

static void extra_accounts(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum eb_policy_method method;
        bool csc_mqtt, cpc_mqtt;
    } rows[] = {{"ll", EB_POLICY_OAUTH2, true, false},
                {"llm", EB_POLICY_OAUTH2, false, false},
                {"plain", EB_POLICY_OAUTH2, false, false},
                {"app", EB_POLICY_OAUTH2, true, true}};
    for (int cpc = 0; cpc < 2; cpc++) {
        struct world w;
        open_world(&w, cpc ? cpc_text : csc_text, NULL);
        eb_auto_free char *doc = text_of(eb_render_permissions, &w.r), *conf = text_of(main_conf, &w.r);
        struct eb_policy *p = load(eb_str(doc));
        struct eb_policy_entry e;
        for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
            assert_true(find(p, rows[i].method, rows[i].name, &e));
            if (((e.connections & EB_CONN_MQTT) != 0) != (cpc ? rows[i].cpc_mqtt : rows[i].csc_mqtt))
                fail_msg("%s at the %s", rows[i].name, cpc ? "CPC" : "CSC");
        }
        /* both names at both sites, each once */
        has(doc, "allow: [\"$KV.b.>\", \"$JS.API.INFO\", \"$JS.CSC.API.INFO\", \"$JS.CSC.API.$KV.b.>\"]");
        has(doc, "deny: [\"$JS.API.STREAM.DELETE.>\", \"$JS.CSC.API.STREAM.DELETE.>\"]");
        assert_int_equal(count(conf, "mappings: {"), cpc ? 1 : 0);
        assert_int_equal(find(p, EB_POLICY_NKEY, "nats-leaf-launchlayer-cpc-west", &e), !cpc);
        assert_int_equal(count(conf, "\"Off\""), 0);
        eb_policy_unref(p);
        close_world(&w);
    }
}

static void mapped_names(void **state) {
    (void)state;
    static const struct {
        const char *rule;
        bool deny;
        const char *want; /* comma separated, "" for nothing */
    } rows[] = {
        /* a wildcard for requests of the API reaches no bucket and no object store */
        {"$JS.API.>", false,
         "$JS.CSC.API.INFO,$JS.CSC.API.STREAM.>,$JS.CSC.API.CONSUMER.>,$JS.CSC.API.DIRECT.>,"
         "$JS.CSC.API.META.>,$JS.CSC.API.SERVER.>,$JS.CSC.API.ACCOUNT.>"},
        {"$JS.API.*", false, "$JS.CSC.API.INFO"},
        {"$JS.API.*.INFO.s", false,
         "$JS.CSC.API.STREAM.INFO.s,$JS.CSC.API.CONSUMER.INFO.s,$JS.CSC.API.DIRECT.INFO.s,"
         "$JS.CSC.API.META.INFO.s,$JS.CSC.API.SERVER.INFO.s,$JS.CSC.API.ACCOUNT.INFO.s"},
        {"$JS.API.STREAM.>", false, "$JS.CSC.API.STREAM.>"},
        {"$JS.API.STREAM.INFO.KV_b", false, "$JS.CSC.API.STREAM.INFO.KV_b"},
        {"$JS.*.INFO", false, "$JS.CSC.API.INFO"},
        {"$JS.>", false, ""},
        {"$JS.API", false, ""},
        {"$JS.ACK.>", false, ""},
        {"$JS.FC.>", false, ""},
        {"$JS.CSC.API.INFO", false, ""},
        {"$KV.b.>", false, "$JS.CSC.API.$KV.b.>"},
        {"$KV.>", false, "$JS.CSC.API.$KV.>"},
        {"$KV", false, ""},
        {"$KVX.a", false, ""},
        {"$OBJ.o.>", false, "$JS.CSC.API.$OBJ.o.>"},
        {"$O.o.>", false, ""},
        {"$KV.b.> workers", false, "$JS.CSC.API.$KV.b.> workers"},
        {">", false, ""},
        {">", true, ""},
        {"*.b.>", false, ""},
        {"*.b.>", true, "$JS.CSC.API.$KV.b.>,$JS.CSC.API.$OBJ.b.>"},
        {"*.*.secret", true, "$JS.CSC.API.secret,$JS.CSC.API.$KV.*.secret,$JS.CSC.API.$OBJ.*.secret"},
        {"*.API.STREAM.>", true,
         "$JS.CSC.API.STREAM.>,$JS.CSC.API.$KV.API.STREAM.>,$JS.CSC.API.$OBJ.API.STREAM.>"},
        {"launchlayer.>", true, ""},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        json_t *list = json_array();
        eb_auto_buf struct eb_buf is = {0};
        assert_true(eb_render_mapped(eb_str(rows[i].rule), rows[i].deny, list));
        assert_true(eb_render_mapped(eb_str(rows[i].rule), rows[i].deny, list)); /* nothing comes twice */
        for (size_t k = 0; k < json_array_size(list); k++)
            eb_buf_printf(&is, "%s%s", k ? "," : "", json_string_value(json_array_get(list, k)));
        if (strcmp(is.n ? is.p : "", rows[i].want) != 0)
            fail_msg("%s: %s, not %s", rows[i].rule, is.n ? is.p : "nothing", rows[i].want);
        json_decref(list);
    }
}

static void mapped_entries(void **state) {
    (void)state;
    static const struct {
        const char *pub, *want;
    } rows[] = {
        /* $JS.> covers what $KV and $OBJ are mapped to: closed, unless the document opens them */
        {"{\"allow\": [\"$JS.>\"]}",
         "{\"allow\":[\"$JS.>\"],\"deny\":[\"$JS.CSC.API.$KV.>\",\"$JS.CSC.API.$OBJ.>\"]}"},
        {"{\"allow\": [\"$JS.>\", \"$KV.b.>\"], \"deny\": [\"x\"]}",
         "{\"allow\":[\"$JS.>\",\"$KV.b.>\",\"$JS.CSC.API.$KV.b.>\"],\"deny\":[\"x\",\"$JS.CSC.API.$OBJ.>\"]"
         "}"},
        {"{\"allow\": [\"$JS.>\", \">\"]}", "{\"allow\":[\"$JS.>\",\">\"]}"},
        {"{\"allow\": [\"$JS.API.INFO\"]}", "{\"allow\":[\"$JS.API.INFO\",\"$JS.CSC.API.INFO\"]}"},
        {"{}", "{}"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        json_t *entry = json_pack("{s:{s:o}}", "permissions", "pub", json_loads(rows[i].pub, 0, NULL));
        assert_non_null(entry);
        assert_true(eb_render_map_entry(entry));
        char *is = json_dumps(json_object_get(json_object_get(entry, "permissions"), "pub"),
                              JSON_COMPACT | JSON_PRESERVE_ORDER);
        assert_string_equal(is, rows[i].want);
        free(is);
        json_decref(entry);
    }
}

static void quoting(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf b = {0};
    eb_render_quote(&b, EB_STR("a\"b\\c\n$X # é"));
    assert_string_equal(b.p, "\"a\\\"b\\\\c\\x0a$X # é\"");
    eb_buf_reset(&b);
    eb_render_bytes(&b, (int64_t)256 << 20);
    eb_buf_ch(&b, ' ');
    eb_render_bytes(&b, 1000);
    eb_buf_ch(&b, ' ');
    eb_render_bytes(&b, 0);
    assert_string_equal(b.p, "256MB 1000 0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_every_time),
        cmocka_unit_test(logins_bypass_and_have_entries),
        cmocka_unit_test(the_login_of_auth_callout_by_both_keys),
        cmocka_unit_test(seeds_are_elsewhere),
        cmocka_unit_test(links_are_pinned),
        cmocka_unit_test(the_service_asks_for_the_streams),
        cmocka_unit_test(a_site_alone),
        cmocka_unit_test(as_placed),
        cmocka_unit_test(own_entries_are_kept),
        cmocka_unit_test(extra_accounts),
        cmocka_unit_test(mapped_names),
        cmocka_unit_test(mapped_entries),
        cmocka_unit_test(quoting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
