#include "site_table.h"

#include "subject/subject.h"

static struct eb_site *load(const char *text, struct eb_findings *f) {
    struct eb_site *site = NULL;
    struct eb_doc *doc = NULL;
    assert_int_equal(eb_doc_from(eb_str(text), "s.yaml", &doc, NULL), EB_OK);
    enum eb_rc rc = eb_site_load(doc, &site, f);
    eb_doc_free(doc);
    assert_int_equal(rc == EB_OK, site != NULL);
    assert_int_equal(rc == EB_OK, f->errors == 0);
    return site;
}

static struct eb_site *load_good(const char *text) {
    eb_auto_findings struct eb_findings f = {0};
    struct eb_site *site = load(text, &f);
    if (!site || f.n)
        fail_msg("%s: %s; %s", f.items[0].path, f.items[0].text, f.items[0].mend);
    return site;
}

static void site_case(const struct table_case *c) {
    eb_auto_findings struct eb_findings f = {0};
    EB_CLEANUP(eb_site_freep) struct eb_site *site = NULL;
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = table_doc(c, 0);
    enum eb_rc rc = eb_site_load(doc, &site, &f);
    table_check(c, &f);
    assert_int_equal(rc == EB_OK, f.errors == 0);
    assert_int_equal(site != NULL, f.errors == 0);
}

static void agree_case(const struct table_case *c) {
    eb_auto_findings struct eb_findings f = {0};
    struct eb_site *sites[TABLE_DOCUMENTS] = {0};
    for (size_t i = 0; i < c->documents_n; i++) {
        struct eb_doc *doc = table_doc(c, i);
        enum eb_rc rc = eb_site_load(doc, &sites[i], &f);
        eb_doc_free(doc);
        if (rc != EB_OK)
            fail_msg("%.*s: %s: %s", EB_STR_ARG(c->title), f.items[0].path, f.items[0].text);
    }
    eb_site_agree((const struct eb_site *const *)sites, c->documents_n, &f);
    table_check(c, &f);
    for (size_t i = 0; i < c->documents_n; i++)
        eb_site_free(sites[i]);
}

static void placement_case(const struct table_case *c) {
    eb_auto_findings struct eb_findings f = {0};
    EB_CLEANUP(eb_site_freep) struct eb_site *site = NULL;
    EB_CLEANUP(eb_placement_freep) struct eb_placement *p = NULL;
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = table_doc(c, 0), *place = table_doc(c, 1);
    if (eb_site_load(doc, &site, &f) != EB_OK)
        fail_msg("%.*s: %s: %s", EB_STR_ARG(c->title), f.items[0].path, f.items[0].text);
    enum eb_rc rc = eb_placement_load(place, site, &p, &f);
    table_check(c, &f);
    assert_int_equal(rc == EB_OK, f.errors == 0);
    assert_int_equal(p != NULL, f.errors == 0);
}

static void findings_of_a_site(void **state) {
    (void)state;
    table_each("findings.txt", site_case);
}

static void findings_of_several(void **state) {
    (void)state;
    table_each("agree.txt", agree_case);
}

static void findings_of_a_placement(void **state) {
    (void)state;
    table_each("placement.txt", placement_case);
}

#define HEAD_CSC "global: {eventBus: {clusterType: csc, "
#define HEAD_CPC                                                                                             \
    "global: {eventBus: {clusterType: cpc, clusterId: a7, cscEndpoint: \"tls://csc.example:7422\", "

static void reads_a_csc(void **state) {
    (void)state;
    EB_CLEANUP(eb_site_freep)
    struct eb_site *s =
        load_good("# values of a chart\n"
                  "nats: {anything: [goes, here]}\n"
                  "global:\n"
                  "  image: {tag: x}\n"
                  "  eventBus:\n"
                  "    clusterType: csc\n"
                  "    clusterId: \"\"\n"
                  "    cscEndpoint:\n"
                  "    cpcIds: [\"1\", 22, x9]\n"
                  "    crossLayer:\n"
                  "      cscExports: [\"broadcast.>\", \"news.*.all\"]\n"
                  "      cscPrefixedExports: [\"command.>\"]\n"
                  "      cpcExports:\n"
                  "        - \"sensor.>\"\n"
                  "    mtls: {enabled: false}\n"
                  "    extraAccounts:\n"
                  "      Zeta: {enabled: false}\n"
                  "      LaunchLayer: {enabled: true, jetstream: true}\n"
                  "      alpha:\n"
                  "    mqttStreams: {maxBytes: 1048576, replicas: 3, storage: file, maxAge: 1h30m}\n"
                  "    cscLeafServerTLS: {ca: /c, cert: /d, key: /k}\n"
                  "    cpcLeafClientTLS: {}\n"
                  "    auth: {permissions: {noauth: {account: CSC, resp: 1}, oauth2: {a: {x: [1, \"2\", 1.5, "
                  "true, null]}}}}\n"
                  "    gateway: {routes: {mqtt: true}}\n");
    assert_int_equal(s->type, EB_SITE_CSC);
    assert_string_equal(s->file.p, "s.yaml");
    assert_string_equal(s->id.p, "");
    assert_string_equal(s->name.p, "csc");
    assert_string_equal(s->account.p, "CSC");
    assert_string_equal(s->domain.p, "CSC");
    assert_null(s->csc_endpoint.s.p);
    assert_int_equal(s->cpc_ids.n, 3);
    assert_string_equal(s->cpc_ids.items[1].s.p, "22");
    assert_int_equal(s->cpc_ids.items[2].line, 9);
    assert_int_equal(s->lists[EB_SITE_CSC_EXPORTS].n, 2);
    assert_string_equal(s->lists[EB_SITE_CSC_EXPORTS].items[1].s.p, "news.*.all");
    assert_string_equal(s->lists[EB_SITE_CSC_PREFIXED].items[0].s.p, "command.>");
    assert_string_equal(s->lists[EB_SITE_CPC_EXPORTS].items[0].s.p, "sensor.>");
    assert_int_equal(s->lists[EB_SITE_CPC_EXPORTS].items[0].line, 14);
    assert_false(s->mtls);
    assert_int_equal(s->extras_n, 3);
    assert_string_equal(s->extras[0].name.s.p, "alpha");
    assert_true(s->extras[0].enabled && !s->extras[0].jetstream);
    assert_string_equal(s->extras[1].name.s.p, "LaunchLayer");
    assert_string_equal(s->extras[1].lower.p, "launchlayer");
    assert_true(s->extras[1].enabled && s->extras[1].jetstream);
    assert_false(s->extras[2].enabled);
    assert_int_equal(s->streams_max_bytes, 1048576);
    assert_int_equal(s->streams_max_age_ns, INT64_C(5400000000000));
    assert_int_equal(s->streams_replicas, 3);
    assert_false(s->streams_memory);
    assert_string_equal(s->leaf_server_tls.key.p, "/k");
    assert_null(s->leaf_client_tls.ca.p);
    char *text = json_dumps(s->permissions, JSON_COMPACT);
    assert_string_equal(
        text,
        "{\"noauth\":{\"account\":\"CSC\",\"resp\":1},\"oauth2\":{\"a\":{\"x\":[1,\"2\",1.5,true,null]}}}");
    free(text);
    assert_true(json_is_true(json_object_get(json_object_get(s->gateway, "routes"), "mqtt")));
    assert_true(eb_site_account_mqtt(s, EB_STR("CSC")));
    assert_true(eb_site_account_mqtt(s, EB_STR("LaunchLayer")));
    assert_false(eb_site_account_mqtt(s, EB_STR("alpha")));
    assert_false(eb_site_account_mqtt(s, EB_STR("Zeta")));
    assert_false(eb_site_account_mqtt(s, EB_STR("CPC")));
}

static void reads_a_cpc(void **state) {
    (void)state;
    EB_CLEANUP(eb_site_freep)
    struct eb_site *s = load_good(HEAD_CPC "extraAccounts: {L: {jetstream: true}}, cpcLeafClientTLS: "
                                           "{handshakeFirst: true}, servers: {replicas: 3}, "
                                           "mqttStreams: {replicas: 3}}}");
    assert_int_equal(s->type, EB_SITE_CPC);
    assert_string_equal(s->id.p, "a7");
    assert_string_equal(s->name.p, "cpc-a7");
    assert_string_equal(s->account.p, "CPC");
    assert_string_equal(s->domain.p, "CPC-a7");
    assert_string_equal(s->csc_endpoint.s.p, "tls://csc.example:7422");
    assert_true(s->mtls);
    assert_int_equal(s->streams_max_bytes, 67108864);
    assert_int_equal(s->streams_max_age_ns, INT64_C(10800) * 1000000000);
    assert_int_equal(s->streams_replicas, 3);
    assert_true(s->leaf_client_tls.handshake_first && !s->leaf_client_tls.ca.p);
    assert_false(s->leaf_server_tls.handshake_first);
    assert_true(json_is_object(s->permissions));
    assert_int_equal(json_object_size(s->permissions), 0);
    assert_null(s->gateway);
    assert_true(eb_site_account_mqtt(s, EB_STR("CPC")));
    assert_false(eb_site_account_mqtt(s, EB_STR("L")));
}

static void takes_json(void **state) {
    (void)state;
    EB_CLEANUP(eb_site_freep)
    struct eb_site *s =
        load_good("{\"global\": {\"eventBus\": {\"clusterType\": \"csc\", \"cpcIds\": [\"1\"],\n"
                  "\"crossLayer\": {\"cpcExports\": [\"a.>\"]}}}}");
    assert_int_equal(s->lists[EB_SITE_CPC_EXPORTS].items[0].line, 2);
}

static void numbers_of_sites(void **state) {
    (void)state;
    static const struct {
        const char *id;
        uint64_t slot; /* 0 = some slot of the others */
    } rows[] = {{"", 1},   {"1", 2},     {"2", 3},       {"999999", 1000000},
                {"0", 0},  {"01", 0},    {"1000000", 0}, {"00000000000000000000000000000001", 0},
                {"a7", 0}, {"site1", 0}, {"1e3", 0},     {"99999999999999999999999999999999", 0}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        uint64_t seq = eb_site_first_seq(eb_str(rows[i].id));
        assert_int_equal(seq % UINT64_C(1000000000000), 0);
        seq /= UINT64_C(1000000000000);
        if (rows[i].slot)
            assert_int_equal(seq, rows[i].slot);
        else
            assert_in_range(seq, 1000001, 9000000);
    }
    /* printf a7 | sha256sum, the first 8 digits: known to templates too */
    assert_int_equal(eb_site_first_seq(EB_STR("a7")),
                     (UINT64_C(1000001) + UINT64_C(0x20377cec) % 8000000) * UINT64_C(1000000000000));
}

/* Subjects of up to three tokens out of three, and two patterns: whether any fits both. */
static bool meets(const char *a, const char *b) {
    static const char *const tokens[] = {"a", "b", "c"};
    for (unsigned i = 0; i < 3 + 9 + 27; i++) {
        char subject[16];
        unsigned v = i;
        if (i < 3)
            (void)snprintf(subject, sizeof subject, "%s", tokens[v]);
        else if (i < 12)
            v -= 3, (void)snprintf(subject, sizeof subject, "%s.%s", tokens[v / 3], tokens[v % 3]);
        else
            v -= 12, (void)snprintf(subject, sizeof subject, "%s.%s.%s", tokens[v / 9], tokens[v / 3 % 3],
                                    tokens[v % 3]);
        if (eb_subject_match(eb_str(a), eb_str(subject)) && eb_subject_match(eb_str(b), eb_str(subject)))
            return true;
    }
    return false;
}

static void no_two_patterns_share_a_subject(void **state) {
    (void)state;
    static const char *const patterns[] = {"a",     "b",     "a.a",   "a.b",   "a.*",   "a.>",
                                           "b.*",   "b.>",   "a.a.a", "a.*.a", "a.*.*", "a.a.>",
                                           "a.*.>", "a.b.c", "b.a.*", "b.*.a", "b.*.b"};
    for (size_t i = 0; i < EB_COUNT_OF(patterns); i++) {
        for (size_t k = 0; k < EB_COUNT_OF(patterns); k++) {
            for (unsigned lists = 0; lists < 6; lists++) { /* both in one list, or in two */
                static const char *const shapes[] = {"cscExports: [\"%s\", \"%s\"]",
                                                     "cscPrefixedExports: [\"%s\", \"%s\"]",
                                                     "cpcExports: [\"%s\", \"%s\"]",
                                                     "cscExports: [\"%s\"], cscPrefixedExports: [\"%s\"]",
                                                     "cscExports: [\"%s\"], cpcExports: [\"%s\"]",
                                                     "cscPrefixedExports: [\"%s\"], cpcExports: [\"%s\"]"};
                eb_auto_findings struct eb_findings f = {0};
                eb_auto_buf struct eb_buf text = {0};
                eb_buf_z(&text, HEAD_CSC "crossLayer: {");
                struct eb_str rest = eb_str(shapes[lists]);
                const char *put[] = {patterns[i], patterns[k]};
                for (size_t p = 0; rest.p; p++) {
                    eb_buf_str(&text, eb_str_cut(&rest, '%'));
                    if (rest.p) {
                        eb_buf_z(&text, put[p]);
                        rest = eb_str_n(rest.p + 1, rest.n - 1);
                    }
                }
                eb_buf_z(&text, "}}}");
                struct eb_site *s = load(text.p, &f);
                if ((s == NULL) != meets(patterns[i], patterns[k]))
                    fail_msg("%s: %zu findings", text.p, f.n);
                if (!s) { /* both are named */
                    char quoted[32];
                    (void)snprintf(quoted, sizeof quoted, "`%s`", patterns[i]);
                    assert_non_null(strstr(f.items[0].text, quoted));
                    (void)snprintf(quoted, sizeof quoted, "`%s`", patterns[k]);
                    assert_non_null(strstr(f.items[0].text, quoted));
                }
                eb_site_free(s);
            }
        }
    }
}

static void limits_hold(void **state) {
    (void)state;
    static const struct {
        const char *head, *item, *tail;
        unsigned good, bad; /* how many items are taken, and how many are not */
    } rows[] = {
        {HEAD_CSC "cpcIds: [", "\"%u\"", "]}}", EB_SITE_CPCS, EB_SITE_CPCS + 1},
        {HEAD_CSC "crossLayer: {cpcExports: [", "\"t%u.>\"", "]}}}", EB_SITE_PATTERNS, EB_SITE_PATTERNS + 1},
        {HEAD_CSC "extraAccounts: {", "A%u: {}", "}}}", EB_SITE_EXTRAS, EB_SITE_EXTRAS + 1},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        for (int over = 0; over < 2; over++) {
            eb_auto_findings struct eb_findings f = {0};
            eb_auto_buf struct eb_buf text = {0};
            eb_buf_z(&text, rows[i].head);
            for (unsigned k = 1; k <= (over ? rows[i].bad : rows[i].good); k++) {
                struct eb_str rest = eb_str(rows[i].item);
                eb_buf_z(&text, k > 1 ? ", " : "");
                eb_buf_str(&text, eb_str_cut(&rest, '%'));
                eb_buf_printf(&text, "%u%s", k, rest.p + 1);
            }
            eb_buf_z(&text, rows[i].tail);
            EB_CLEANUP(eb_site_freep) struct eb_site *s = load(text.p, &f);
            assert_int_equal(s == NULL, over);
            assert_int_equal(f.n, over);
        }
    }
}

/* Findings of who judges the permissions must have the lines of the document. */
static void permissions_keep_their_lines(void **state) {
    (void)state;
    static const struct {
        const char *document, *want;
    } rows[] = {
        {"global: {eventBus: {}}", ""},
        {"global: {eventBus: {auth: {permissions: }}}", ""},
        {"a: 1\n", ""},
        {"global:\n  x: [{a: b}]\n  eventBus:\n    mtls: {}\n    auth:\n      permissions:\n        "
         "noauth:\n          account: CSC\n"
         "          src:\n            - 10.0.0.0/8\n            - \"1\"\n          # no\n          resp: "
         "{max: 1, ttl: 5s, on: true, no: ~}\n",
         "\n\n\n\n\n\n{\"noauth\":\n{\"account\":\"CSC\",\n\"src\":\n[\"10.0.0.0/"
         "8\",\n\"1\"],\n\n\"resp\":{\"max\":1,\"ttl\":\"5s\",\"on\":true,\"no\":null}}}"},
        {"{\"global\": {\"eventBus\": {\"auth\": {\"permissions\": {\n\"a\": [],\n\n\"b\": {}, \"c\": "
         "01e}}}}}",
         "{\n\"a\":[],\n\n\"b\":{},\"c\":\"01e\"}"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
        eb_auto_buf struct eb_buf text = {0};
        assert_int_equal(eb_doc_from(eb_str(rows[i].document), "s.yaml", &doc, NULL), EB_OK);
        assert_int_equal(eb_site_permissions_text(doc, &text, NULL), EB_OK);
        assert_string_equal(text.n ? text.p : "", rows[i].want);
    }
}

static void placement_defaults(void **state) {
    (void)state;
    eb_auto_findings struct eb_findings f = {0};
    EB_CLEANUP(eb_site_freep) struct eb_site *s = load_good(HEAD_CPC "}}");
    EB_CLEANUP(eb_placement_freep) struct eb_placement *p = NULL;
    assert_int_equal(eb_placement_load(NULL, s, &p, &f), EB_OK);
    assert_int_equal(f.n, 0);
    assert_int_equal(p->nodes_n, 1);
    assert_string_equal(p->nodes[0].name.p, "cpc-a7-main");
    assert_string_equal(p->nodes[0].address.p, "0.0.0.0");
    assert_string_equal(p->nodes[0].data_dir.p, "/var/lib/nats/cpc-a7-main");
    assert_int_equal(p->nats, 4222);
    assert_int_equal(p->mqtt, 1883);
    assert_int_equal(p->leaf, 7422);
    assert_int_equal(p->monitor, 8222);
    assert_int_equal(p->cluster, 6222);
    assert_string_equal(p->mtls_address.p, "0.0.0.0");
    assert_int_equal(p->mtls_mqtt, 8883);
    assert_int_equal(p->mtls_nats, 4223);
    assert_int_equal(p->mtls_monitor, 8223);
    assert_int_equal(p->mtls_main.n, 1);
    assert_string_equal(p->mtls_main.items[0].s.p, "nats://127.0.0.1:7422");
    assert_non_null(p->mtls_tls.ca.p);
    assert_int_equal(p->auth_timeout, 50);
    assert_true(p->xkey);
    assert_false(p->debug);
    assert_int_equal(p->js_max_memory, 268435456);
    assert_int_equal(p->js_max_file, 2147483648);
}

static void reads_a_placement(void **state) {
    (void)state;
    eb_auto_findings struct eb_findings f = {0};
    EB_CLEANUP(eb_site_freep)
    struct eb_site *s = load_good(HEAD_CSC "mqttStreams: {replicas: 3, maxBytes: 1048576}}}");
    EB_CLEANUP(eb_placement_freep) struct eb_placement *p = NULL;
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    static const char text[] = "servers:\n"
                               "  - {address: 127.0.0.1, dataDir: /d/1}\n"
                               "  - {address: \"[::1]\", name: b}\n"
                               "  - {address: c.example}\n"
                               "ports: {nats: 1, mqtt: 2, leaf: 3, monitor: 4, cluster: 5}\n"
                               "mtls:\n"
                               "  address: 127.9.0.1\n"
                               "  ports: {mqtt: 1, nats: 2, monitor: 3}\n"
                               "  tls: {ca: /ca, cert: /cert, key: /key}\n"
                               "authTimeout: 7\n"
                               "xkey: false\n"
                               "debug: true\n"
                               "jetstream: {maxMemory: 0, maxFile: 5592408}\n";
    assert_int_equal(eb_doc_from(eb_str(text), "p.yaml", &doc, NULL), EB_OK);
    assert_int_equal(eb_placement_load(doc, s, &p, &f), EB_OK);
    assert_int_equal(f.n, 0);
    assert_int_equal(p->nodes_n, 3);
    assert_string_equal(p->nodes[0].name.p, "csc-main-1");
    assert_string_equal(p->nodes[0].data_dir.p, "/d/1");
    assert_string_equal(p->nodes[1].name.p, "b");
    assert_string_equal(p->nodes[1].data_dir.p, "/var/lib/nats/b");
    assert_string_equal(p->nodes[2].address.p, "c.example");
    assert_int_equal(p->mtls_main.n, 3);
    assert_string_equal(p->mtls_main.items[1].s.p, "nats://[::1]:3");
    assert_string_equal(p->mtls_address.p, "127.9.0.1");
    assert_int_equal(p->mtls_monitor, 3);
    assert_string_equal(p->mtls_tls.cert.p, "/cert");
    assert_int_equal(p->auth_timeout, 7);
    assert_false(p->xkey);
    assert_true(p->debug);
    assert_int_equal(p->js_max_memory, 0);
    assert_int_equal(p->js_max_file, 5592408); /* 4/3 of four streams, in quarters */
    assert_int_equal(eb_placement_data_bytes(p, false), 3 * 4194306);
    assert_int_equal(eb_placement_data_bytes(p, true), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(findings_of_a_site),
        cmocka_unit_test(findings_of_several),
        cmocka_unit_test(findings_of_a_placement),
        cmocka_unit_test(reads_a_csc),
        cmocka_unit_test(reads_a_cpc),
        cmocka_unit_test(takes_json),
        cmocka_unit_test(numbers_of_sites),
        cmocka_unit_test(no_two_patterns_share_a_subject),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(permissions_keep_their_lines),
        cmocka_unit_test(placement_defaults),
        cmocka_unit_test(reads_a_placement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
