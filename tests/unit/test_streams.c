#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/json_parse.h"
#include "site/streams_diff.h"

#define HOUR INT64_C(3600000000000)

static struct eb_site_text one_text(const char *z) {
    return (struct eb_site_text){.s = eb_str(z), .line = 1};
}

/* The sites of the listings: lists broadcast.>, command.>, sensor.>; CPCs 1 and 2. */
static struct eb_site_text csc_exports[3], csc_prefixed[3], cpc_exports[3], ids[2];
static struct eb_site site_of(enum eb_site_type type, const char *id) {
    csc_exports[0] = one_text("broadcast.>");
    csc_prefixed[0] = one_text("command.>");
    cpc_exports[0] = one_text("sensor.>");
    ids[0] = one_text("1");
    ids[1] = one_text("2");
    struct eb_site s = {
        .type = type,
        .id = eb_str(id),
        .streams_max_bytes = 67108864,
        .streams_max_age_ns = 3 * HOUR,
        .streams_replicas = 1,
        .lists = {[EB_SITE_CSC_EXPORTS] = {csc_exports, 1},
                  [EB_SITE_CSC_PREFIXED] = {csc_prefixed, 1},
                  [EB_SITE_CPC_EXPORTS] = {cpc_exports, 1}},
    };
    if (type == EB_SITE_CSC)
        s.cpc_ids = (struct eb_site_texts){ids, 2};
    return s;
}

static json_t *parse(const char *text) {
    json_t *v = NULL;
    size_t at = 0;
    if (eb_json_parse(eb_str(text), 32, &v, &at) != EB_OK)
        fail_msg("at %zu: %s", at, text);
    return v;
}

static void same_json(const json_t *got, const char *want_text) {
    eb_auto_json json_t *want = parse(want_text);
    eb_auto_free char *a = json_dumps(got, JSON_SORT_KEYS | JSON_INDENT(1) | JSON_ENCODE_ANY);
    eb_auto_free char *b = json_dumps(want, JSON_SORT_KEYS | JSON_INDENT(1) | JSON_ENCODE_ANY);
    assert_string_equal(a, b);
}

#define COMMON "\"retention\":\"limits\",\"storage\":\"file\",\"num_replicas\":1,\"max_bytes\":67108864,"
#define SOURCE(stream, api, deliver, src, dest)                                                              \
    "{\"name\":\"" stream "\",\"opt_start_seq\":1,\"external\":{\"api\":\"" api "\",\"deliver\":\"" deliver  \
    "\"},\"subject_transforms\":[{\"src\":\"" src "\",\"dest\":\"" dest "\"}]}"
#define MSGS                                                                                                 \
    "{\"name\":\"$MQTT_msgs\",\"subjects\":[\"$MQTT.msgs.>\"]," COMMON                                       \
    "\"max_age\":10800000000000,\"discard\":\"old\",\"duplicate_window\":120000000000,\"sources\":["
#define RMSGS                                                                                                \
    "{\"name\":\"$MQTT_rmsgs\",\"subjects\":[\"$MQTT.rmsgs.>\"]," COMMON                                     \
    "\"discard\":\"old\",\"max_msgs_per_subject\":1,"                                                        \
    "\"republish\":{\"src\":\"$MQTT.rmsgs.>\",\"dest\":\"$XL.r.>\"},\"sources\":["
#define QOS2IN(first)                                                                                        \
    "{\"name\":\"$MQTT_qos2in\",\"subjects\":[\"$MQTT.qos2.in.>\"]," COMMON                                  \
    "\"discard\":\"new\",\"discard_new_per_subject\":true,\"max_msgs_per_subject\":1,\"first_seq\":" first   \
    "}"

static void streams_as_listed(void **state) {
    (void)state;
    static const struct {
        enum eb_site_type type;
        const char *id, *streams[EB_STREAMS_N];
    } rows[] = {
        {EB_SITE_CSC,
         "",
         {"{\"name\":\"XL_RETAINED\",\"subjects\":[\"$XL.r.broadcast.>\",\"$XL.r.cpc.*.command.>\"]," COMMON
          "\"discard\":\"old\",\"max_msgs_per_subject\":1}",
          MSGS SOURCE("$MQTT_msgs", "$XL.1.api", "$XL.up.1.msgs", "$MQTT.msgs.sensor.>",
                      "$MQTT.msgs.cpc.1.sensor.>") "," SOURCE("$MQTT_msgs", "$XL.2.api", "$XL.up.2.msgs",
                                                              "$MQTT.msgs.sensor.>",
                                                              "$MQTT.msgs.cpc.2.sensor.>") "]}",
          RMSGS SOURCE("XL_RETAINED", "$XL.1.api", "$XL.up.1.rmsgs", "$XL.r.sensor.>",
                       "$MQTT.rmsgs.cpc.1.sensor.>") "," SOURCE("XL_RETAINED", "$XL.2.api", "$XL.up.2.rmsgs",
                                                                "$XL.r.sensor.>",
                                                                "$MQTT.rmsgs.cpc.2.sensor.>") "]}",
          QOS2IN("1000000000000")}},
        {EB_SITE_CPC,
         "1",
         {"{\"name\":\"XL_RETAINED\",\"subjects\":[\"$XL.r.sensor.>\"]," COMMON
          "\"discard\":\"old\",\"max_msgs_per_subject\":1}",
          MSGS SOURCE("$MQTT_msgs", "$JS.CSC.API", "$XL.down.1.msgs", "$MQTT.msgs.broadcast.>",
                      "$MQTT.msgs.broadcast.>") "," SOURCE("$MQTT_msgs", "$JS.CSC.API", "$XL.down.1.msgs",
                                                           "$MQTT.msgs.cpc.1.command.>",
                                                           "$MQTT.msgs.command.>") "]}",
          RMSGS SOURCE("XL_RETAINED", "$JS.CSC.API", "$XL.down.1.rmsgs", "$XL.r.broadcast.>",
                       "$MQTT.rmsgs.broadcast.>") "," SOURCE("XL_RETAINED", "$JS.CSC.API", "$XL.down.1.rmsgs",
                                                             "$XL.r.cpc.1.command.>",
                                                             "$MQTT.rmsgs.command.>") "]}",
          QOS2IN("2000000000000")}},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        struct eb_site s = site_of(rows[i].type, rows[i].id);
        eb_auto_json json_t *all = eb_streams_of(&s);
        assert_int_equal(json_array_size(all), EB_STREAMS_N);
        for (size_t j = 0; j < EB_STREAMS_N; j++)
            same_json(json_array_get(all, j), rows[i].streams[j]);
    }
}

static void nothing_crosses(void **state) {
    (void)state;
    struct eb_site s = site_of(EB_SITE_CSC, "");
    for (int i = 0; i < EB_SITE_LISTS; i++)
        s.lists[i].n = 0;
    s.streams_memory = true;
    s.streams_replicas = 3;
    s.streams_max_age_ns = HOUR / 60; /* the duplicate window may not be longer */
    eb_auto_json json_t *all = eb_streams_of(&s);
    const json_t *retained = json_array_get(all, 0), *msgs = json_array_get(all, 1);
    same_json(json_object_get(retained, "subjects"), "[\"$XL.r\"]");
    assert_null(json_object_get(msgs, "sources"));
    assert_int_equal(json_integer_value(json_object_get(msgs, "duplicate_window")), HOUR / 60);
    assert_int_equal(json_integer_value(json_object_get(msgs, "num_replicas")), 3);
    assert_string_equal(json_string_value(json_object_get(msgs, "storage")), "memory");
}

static void wildcards_are_named(void **state) {
    (void)state;
    static const struct {
        enum eb_site_list list;
        const char *pattern, *filter, *dest;
    } rows[] = {
        {EB_SITE_CSC_EXPORTS, "a.*.b.>", "$MQTT.msgs.a.*.b.>", "$MQTT.msgs.a.{{wildcard(1)}}.b.>"},
        {EB_SITE_CSC_EXPORTS, "*.a.*", "$MQTT.msgs.*.a.*", "$MQTT.msgs.{{wildcard(1)}}.a.{{wildcard(2)}}"},
        {EB_SITE_CSC_PREFIXED, "a.*", "$MQTT.msgs.cpc.1.a.*", "$MQTT.msgs.a.{{wildcard(1)}}"},
        {EB_SITE_CSC_PREFIXED, "status", "$MQTT.msgs.cpc.1.status", "$MQTT.msgs.status"},
        {EB_SITE_CPC_EXPORTS, "a.*.b", "$MQTT.msgs.a.*.b", "$MQTT.msgs.cpc.2.a.{{wildcard(1)}}.b"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        bool up = rows[i].list == EB_SITE_CPC_EXPORTS;
        struct eb_site s = site_of(up ? EB_SITE_CSC : EB_SITE_CPC, up ? "" : "1");
        s.lists[rows[i].list].items[0] = one_text(rows[i].pattern);
        struct eb_stream_source *sources = NULL;
        size_t n = 0, found = 0;
        assert_int_equal(eb_stream_sources(&s, &sources, &n), EB_OK);
        for (size_t j = 0; j < n; j++)
            found += strcmp(sources[j].filter, rows[i].filter) == 0 &&
                     strcmp(sources[j].dest, rows[i].dest) == 0 &&
                     strcmp(sources[j].into, EB_STREAM_MSGS) == 0 &&
                     strcmp(sources[j].stream, EB_STREAM_MSGS) == 0;
        assert_int_equal(found, 1);
        eb_stream_sources_free(sources, n);
    }
}

/* What the CSC says of a CPC's sources is what that CPC's document says. */
static void both_documents_agree(void **state) {
    (void)state;
    struct eb_site csc = site_of(EB_SITE_CSC, ""), cpc = site_of(EB_SITE_CPC, "2");
    struct eb_stream_source *a = NULL, *b = NULL;
    size_t an = 0, bn = 0;
    assert_int_equal(eb_stream_sources_of_cpc(&csc, EB_STR("2"), &a, &an), EB_OK);
    assert_int_equal(eb_stream_sources(&cpc, &b, &bn), EB_OK);
    assert_int_equal(an, 4);
    assert_int_equal(an, bn);
    for (size_t i = 0; i < an; i++) {
        eb_auto_json json_t *ja = eb_stream_source_json(&a[i]), *jb = eb_stream_source_json(&b[i]);
        assert_true(json_equal(ja, jb));
        assert_string_equal(a[i].into, b[i].into);
    }
    eb_stream_sources_free(a, an);
    eb_stream_sources_free(b, bn);
}

/* --- what differs ----------------------------------------------------------------------------------------
 */

/* 2026-01-01T12:00:00Z */
#define NOW (INT64_C(1767268800) * INT64_C(1000000000))

/* A definition, and what the server tells of its stream. */
struct both {
    json_t *wanted, *info;
};

static void both_done(struct both *b) {
    json_decref(b->wanted);
    json_decref(b->info);
}

/* The definition at `index`; the live side has `patch` put over its configuration. */
static struct both both_of(enum eb_site_type type, size_t index, const char *patch, const char *state) {
    struct eb_site s = site_of(type, type == EB_SITE_CSC ? "" : "1");
    eb_auto_json json_t *all = eb_streams_of(&s);
    json_t *wanted = json_incref(json_array_get(all, index)), *config = json_deep_copy(wanted);
    eb_auto_json json_t *defaults = parse("{\"max_consumers\":-1,\"max_msgs\":-1,\"max_msg_size\":-1,"
                                          "\"compression\":\"none\",\"sealed\":false,\"deny_delete\":false,"
                                          "\"deny_purge\":false,\"allow_direct\":false,\"max_age\":0,"
                                          "\"max_msgs_per_subject\":-1,\"duplicate_window\":120000000000,"
                                          "\"metadata\":{\"_nats.ver\":\"2.15.2\"}}");
    eb_auto_json json_t *over = parse(patch);
    (void)json_object_update_missing(config, defaults);
    (void)json_object_update(config, over);
    return (struct both){wanted, json_pack("{s:o, s:o}", "config", config, "state", parse(state))};
}

#define EMPTY "{\"messages\":0,\"bytes\":0,\"num_subjects\":0,\"first_ts\":\"0001-01-01T00:00:00Z\"}"
#define FULL                                                                                                 \
    "{\"messages\":5000,\"bytes\":9000000,\"num_subjects\":7,\"first_ts\":\"2026-01-01T10:00:00.5Z\"}"

static void changes_are_judged(void **state) {
    (void)state;
    static const struct {
        size_t stream; /* of eb_streams_of */
        const char *patch, *state;
        enum eb_change_kind kind;
        const char *field, *from, *to, *why; /* why: a piece of it; field NULL = no change at all */
    } rows[] = {
        {1, "{}", FULL, 0, NULL, NULL, NULL, NULL},
        {0, "{\"subjects\":[\"$XL.r.cpc.*.command.>\",\"$XL.r.broadcast.>\"]}", FULL, 0, NULL, NULL, NULL,
         NULL},
        {1, "{\"description\":\"x\",\"compression\":\"s2\",\"no_ack\":false}", FULL, 0, NULL, NULL, NULL,
         NULL},
        {1, "{\"max_bytes\":1048576}", FULL, EB_CHANGE_PLAIN, "max_bytes", "1048576 (1 MiB)",
         "67108864 (64 MiB)", NULL},
        {1, "{\"max_bytes\":134217728}", FULL, EB_CHANGE_PLAIN, "max_bytes", "134217728 (128 MiB)",
         "67108864 (64 MiB)", NULL},
        {1, "{\"max_bytes\":-1}", "{\"messages\":70,\"bytes\":70000000}", EB_CHANGE_LOSES, "max_bytes",
         "unlimited", "67108864 (64 MiB)", "holds 70000000 bytes in 70 messages"},
        {1, "{\"max_age\":86400000000000}", FULL, EB_CHANGE_PLAIN, "max_age", "24h", "3h", NULL},
        {1, "{\"max_age\":0}", "{\"messages\":5,\"bytes\":1,\"first_ts\":\"2026-01-01T08:00:00Z\"}",
         EB_CHANGE_LOSES, "max_age", "none", "3h", "oldest of 5 messages is 4h old"},
        {1, "{\"max_age\":0}", EMPTY, EB_CHANGE_PLAIN, "max_age", "none", "3h", NULL},
        {1, "{\"storage\":\"memory\"}", FULL, EB_CHANGE_IMPOSSIBLE, "storage", "memory", "file",
         "holds 5000 messages"},
        {1, "{\"retention\":\"interest\"}", FULL, EB_CHANGE_PLAIN, "retention", "interest", "limits", NULL},
        {1, "{\"retention\":\"workqueue\"}", FULL, EB_CHANGE_IMPOSSIBLE, "retention", "workqueue", "limits",
         "somebody else"},
        {1, "{\"num_replicas\":3}", FULL, EB_CHANGE_PLAIN, "num_replicas", "3", "1", NULL},
        {1, "{\"duplicate_window\":1000000000}", FULL, EB_CHANGE_PLAIN, "duplicate_window", "1s", "2m", NULL},
        {1, "{\"max_msgs\":10}", FULL, EB_CHANGE_PLAIN, "max_msgs", "10", "unlimited", NULL},
        {1, "{\"no_ack\":true}", FULL, EB_CHANGE_PLAIN, "no_ack", "true", "false", NULL},
        {1, "{\"sealed\":true}", FULL, EB_CHANGE_IMPOSSIBLE, "sealed", "true", "false", "no update"},
        {2, "{\"max_msgs_per_subject\":-1}", FULL, EB_CHANGE_LOSES, "max_msgs_per_subject", "unlimited", "1",
         "5000 messages on 7 subjects"},
        {2, "{\"republish\":{\"src\":\"$MQTT.rmsgs.>\",\"dest\":\"$XL.r.>\",\"headers_only\":false}}", FULL,
         0, NULL, NULL, NULL, NULL},
        {2, "{\"republish\":null}", FULL, EB_CHANGE_PLAIN, "republish", NULL, NULL, NULL},
        {3, "{\"first_seq\":null}", EMPTY, EB_CHANGE_IMPOSSIBLE, "first_seq", "none", "1000000000000",
         "when a stream is made"},
        {3, "{\"first_seq\":2000000000000}", EMPTY, EB_CHANGE_IMPOSSIBLE, "first_seq", "2000000000000",
         "1000000000000", "when a stream is made"},
        {3, "{\"discard_new_per_subject\":null}", EMPTY, EB_CHANGE_PLAIN, "discard_new_per_subject", "false",
         "true", NULL},
        {1, "{\"sources\":[]}", EMPTY, EB_CHANGE_PLAIN, "source $MQTT.msgs.sensor.> of cpc-1", "absent",
         "present", NULL},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(both_done)
        struct both b = both_of(EB_SITE_CSC, rows[i].stream, rows[i].patch, rows[i].state);
        EB_CLEANUP(eb_stream_changes_done) struct eb_stream_changes c = {0};
        assert_int_equal(eb_stream_compare(b.wanted, b.info, NOW, &c), EB_OK);
        if (!rows[i].field) {
            if (c.n)
                fail_msg("row %zu: %s: %s -> %s", i, c.items[0].field, c.items[0].from, c.items[0].to);
            continue;
        }
        assert_true(c.n >= 1);
        assert_string_equal(c.items[0].field, rows[i].field);
        if (rows[i].from)
            assert_string_equal(c.items[0].from, rows[i].from);
        if (rows[i].to)
            assert_string_equal(c.items[0].to, rows[i].to);
        assert_int_equal(c.items[0].kind, rows[i].kind);
        assert_int_equal(c.items[0].why != NULL, rows[i].why != NULL);
        if (rows[i].why && !strstr(c.items[0].why, rows[i].why))
            fail_msg("row %zu: %s", i, c.items[0].why);
        /* What is then sent leaves no difference, and keeps what is not ours. */
        eb_auto_json json_t *sent = eb_stream_updated(b.wanted, b.info);
        eb_auto_json json_t *after =
            json_pack("{s:O, s:O}", "config", sent, "state", json_object_get(b.info, "state"));
        EB_CLEANUP(eb_stream_changes_done) struct eb_stream_changes none = {0};
        assert_int_equal(eb_stream_compare(b.wanted, after, NOW, &none), EB_OK);
        assert_int_equal(none.n, 0);
        assert_non_null(json_object_get(sent, "metadata"));
    }
}

/* What the document does not have goes, and the reason told is the right one. */
static void foreign_sources_go(void **state) {
    (void)state;
    static const struct {
        enum eb_site_type type;
        const char *api, *field, *why;
    } rows[] = {
        {EB_SITE_CSC, "$XL.9.api", "source gone.> of cpc-9", "nothing is pulled from this site any more"},
        {EB_SITE_CSC, "$XL.1.api", "source gone.> of cpc-1", "its lists have this pattern no more"},
        {EB_SITE_CPC, "$JS.CSC.API", "source gone.> of csc", "its lists have this pattern no more"},
        {EB_SITE_CPC, "$JS.elsewhere.API", "source gone.> of $JS.elsewhere.API", "somebody else's"},
        {EB_SITE_CSC, "", "source gone.> of this server", "somebody else's"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        EB_CLEANUP(both_done) struct both b = both_of(rows[i].type, 1, "{}", FULL);
        json_t *sources = json_object_get(json_object_get(b.info, "config"), "sources");
        json_t *gone = parse(SOURCE("$MQTT_msgs", "", "$XL.x", "gone.>", "there.>"));
        (void)json_object_set_new(json_object_get(gone, "external"), "api", json_string(rows[i].api));
        (void)json_array_append_new(sources, gone);
        EB_CLEANUP(eb_stream_changes_done) struct eb_stream_changes c = {0};
        assert_int_equal(eb_stream_compare(b.wanted, b.info, NOW, &c), EB_OK);
        assert_int_equal(c.n, 1);
        assert_string_equal(c.items[0].field, rows[i].field);
        assert_string_equal(c.items[0].to, "absent");
        assert_int_equal(c.items[0].kind, EB_CHANGE_PLAIN);
        if (!strstr(c.items[0].why, rows[i].why) || !strstr(c.items[0].why, "not in the site document"))
            fail_msg("row %zu: %s", i, c.items[0].why);
        eb_auto_json json_t *sent = eb_stream_updated(b.wanted, b.info);
        assert_true(json_equal(json_object_get(sent, "sources"), json_object_get(b.wanted, "sources")));
    }
}

static void start_of_a_source(void **state) {
    (void)state;
    EB_CLEANUP(both_done) struct both b = both_of(EB_SITE_CSC, 1, "{}", FULL);
    json_t *sources = json_object_get(json_object_get(b.info, "config"), "sources");
    (void)json_object_del(json_array_get(sources, 0), "opt_start_seq");
    EB_CLEANUP(eb_stream_changes_done) struct eb_stream_changes c = {0};
    assert_int_equal(eb_stream_compare(b.wanted, b.info, NOW, &c), EB_OK);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.items[0].field, "source $MQTT.msgs.sensor.> of cpc-1, opt_start_seq");
}

static void no_answer_of_a_server(void **state) {
    (void)state;
    eb_auto_json json_t *wanted = parse("{}");
    static const char *const rows[] = {"{}", "{\"config\":[]}", "{\"config\":{}}",
                                       "{\"config\":{},\"state\":1}"};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_json json_t *info = parse(rows[i]);
        EB_CLEANUP(eb_stream_changes_done) struct eb_stream_changes c = {0};
        assert_int_equal(eb_stream_compare(wanted, info, NOW, &c), EB_E_MALFORMED);
    }
}

/* --- sources ---------------------------------------------------------------------------------------------
 */

static void sources_have_a_state(void **state) {
    (void)state;
    static const struct {
        const char *configured, *told; /* "" = the entry is not there */
        enum eb_source_state want;
        int64_t active, lag;
        const char *error;
    } rows[] = {
        {"", "", EB_SOURCE_MISSING, -1, 0, NULL},
        {"", "\"active\":1", EB_SOURCE_MISSING, -1, 0, NULL},
        {"\"opt_start_seq\":1", "", EB_SOURCE_NEVER, -1, 0, NULL},
        {"\"opt_start_seq\":1", "\"active\":-1,\"lag\":7", EB_SOURCE_NEVER, -1, 7, NULL},
        {"\"opt_start_seq\":1", "\"active\":0,\"lag\":7", EB_SOURCE_CONNECTED, 0, 7, NULL},
        {"\"opt_start_seq\":1", "\"active\":2500000000,\"lag\":0", EB_SOURCE_CONNECTED, 2500000000, 0, NULL},
        {"\"opt_start_seq\":1", "\"active\":2500000001,\"lag\":3", EB_SOURCE_STALLED, 2500000001, 3, NULL},
        {"\"opt_start_seq\":1", "\"active\":-1,\"error\":{\"description\":\"no\"}", EB_SOURCE_NEVER, -1, 0,
         "no"},
        {"\"opt_start_seq\":1", "\"active\":\"x\"", EB_SOURCE_NEVER, -1, 0, NULL},
    };
    struct eb_site s = site_of(EB_SITE_CSC, "");
    struct eb_stream_source *sources = NULL;
    size_t n = 0;
    assert_int_equal(eb_stream_sources(&s, &sources, &n), EB_OK);
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_json json_t *wanted = eb_stream_source_json(&sources[0]);
        json_t *configured = json_array(), *told = json_array();
        /* Another entry of the same stream must not be taken for it. */
        eb_auto_json json_t *other = eb_stream_source_json(&sources[2]);
        (void)json_array_append(configured, other);
        (void)json_object_set_new(other, "active", json_integer(99));
        (void)json_array_append(told, other);
        for (int k = 0; k < 2; k++) {
            const char *members = k ? rows[i].told : rows[i].configured;
            if (!*members)
                continue;
            char text[128];
            (void)snprintf(text, sizeof text, "{%s}", members);
            json_t *entry = json_copy(wanted);
            (void)json_object_del(entry, "opt_start_seq");
            eb_auto_json json_t *more = parse(text);
            (void)json_object_update(entry, more);
            (void)json_array_append_new(k ? told : configured, entry);
        }
        eb_auto_json json_t *info =
            json_pack("{s:{s:o}, s:o}", "config", "sources", configured, "sources", told);
        struct eb_source_status got;
        EB_CLEANUP(eb_source_view_done) struct eb_source_view view = {0};
        eb_auto_free char *key = eb_stream_source_key(wanted);
        assert_int_equal(eb_source_view(info, &view), EB_OK);
        eb_source_status(key, &view, &got);
        assert_int_equal(got.state, rows[i].want);
        assert_int_equal(got.active_ns, rows[i].active);
        assert_int_equal(got.lag, rows[i].lag);
        if (rows[i].error)
            assert_string_equal(got.error, rows[i].error);
        else
            assert_null(got.error);
    }
    eb_stream_sources_free(sources, n);
}

static void sources_go_out_and_in(void **state) {
    (void)state;
    eb_auto_json json_t *a = parse(SOURCE("S", "$XL.1.api", "d.1", "a", "b"));
    eb_auto_json json_t *b = parse(SOURCE("S", "$XL.2.api", "d.2", "a", "b"));
    eb_auto_json json_t *c = parse(SOURCE("S", "$XL.1.api", "d.1", "a", "c"));
    eb_auto_json json_t *live = json_pack("[O, O, O]", a, b, c), *wanted = json_pack("[O, O]", a, c);
    eb_auto_json json_t *keys = json_object();
    eb_auto_free char *key = eb_stream_source_key(a);
    (void)json_object_set_new(keys, key, json_true());
    eb_auto_json json_t *out = eb_sources_without(live, keys);
    eb_auto_json json_t *out_want = json_pack("[O, O]", b, c);
    assert_true(json_equal(out, out_want));
    eb_auto_json json_t *in = eb_sources_with(out, wanted);
    eb_auto_json json_t *in_want = json_pack("[O, O, O]", b, c, a);
    assert_true(json_equal(in, in_want));
    eb_auto_json json_t *same = eb_sources_with(live, wanted), *first = eb_sources_with(NULL, wanted);
    assert_true(json_equal(same, live));
    assert_true(json_equal(first, wanted));
    eb_auto_json json_t *none = eb_sources_without(NULL, keys);
    assert_int_equal(json_array_size(none), 0);
    assert_non_null(none);
}

static void sites_by_api(void **state) {
    (void)state;
    static const struct {
        const char *api, *want;
    } rows[] = {{"$JS.CSC.API", "csc"},     {"$XL.1.api", "cpc-1"},
                {"$XL.ab3.api", "cpc-ab3"}, {"$JS.other.API", "$JS.other.API"},
                {"$XL.api", "$XL.api"},     {"", "this server"}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf b = {0};
        eb_stream_source_site(&b, rows[i].api);
        assert_string_equal(b.p, rows[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_as_listed),     cmocka_unit_test(nothing_crosses),
        cmocka_unit_test(wildcards_are_named),   cmocka_unit_test(both_documents_agree),
        cmocka_unit_test(changes_are_judged),    cmocka_unit_test(foreign_sources_go),
        cmocka_unit_test(start_of_a_source),     cmocka_unit_test(no_answer_of_a_server),
        cmocka_unit_test(sources_have_a_state),  cmocka_unit_test(sites_by_api),
        cmocka_unit_test(sources_go_out_and_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
