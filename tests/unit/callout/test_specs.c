/* The file of stream definitions: what `eventbus render` writes is taken, and what is wrong with another is
 * told. */
#include "fixture.h"
#include "specs.h"

#define FILE_NAME "streams.json"
#define STREAM(name)                                                                                         \
    "{\"name\":\"" name "\",\"subjects\":[\"x\"],\"retention\":\"limits\",\"storage\":\"file\"}"
#define A STREAM("XL_RETAINED")
#define B STREAM("$MQTT_msgs")
#define C STREAM("$MQTT_rmsgs")
#define D STREAM("$MQTT_qos2in")

static const struct {
    const char *text;
    enum eb_rc rc;
    size_t line;
    const char *path, *finding; /* of the first finding */
} cases[] = {
    {"[" A "," B "," C "," D "]", EB_OK, 0, NULL, NULL},
    {"[" D "," B "," C "," A "]", EB_OK, 0, NULL, NULL},
    {"", EB_E_MALFORMED, 1, NULL, "not valid JSON"},
    {"[\n" A ",\n" B ",\n,", EB_E_MALFORMED, 4, NULL, "not valid JSON"},
    {"{}", EB_E_INVALID, 1, NULL, "not a list of stream configurations"},
    {"[]", EB_E_INVALID, 0, "XL_RETAINED", "not defined"},
    {"[" A "," B "," C "]", EB_E_INVALID, 0, "$MQTT_qos2in", "not defined"},
    {"[" A "," B "," C "," D "," D "]", EB_E_INVALID, 0, "$MQTT_qos2in", "defined twice"},
    {"[" A "," B "," C "," D ",{\"name\":\"other\"}]", EB_E_INVALID, 0, NULL,
     "item 5 is none of the site's streams"},
    {"[" A "," B "," C "," D ",7]", EB_E_INVALID, 0, NULL, "item 5 is none of the site's streams"},
    {"[" A "," B "," C ",{\"name\":\"$MQTT_qos2in\",\"subjects\":[\"x\"],\"retention\":\"limits\"}]",
     EB_E_INVALID, 0, "$MQTT_qos2in.storage", "missing: a text"},
    {"[" A "," B "," C
     ",{\"name\":\"$MQTT_qos2in\",\"subjects\":\"x\",\"retention\":\"limits\",\"storage\":\"file\"}]",
     EB_E_INVALID, 0, "$MQTT_qos2in.subjects", "not a list"},
    {"[" A "," B "," C
     ",{\"name\":\"$MQTT_qos2in\",\"subjects\":[1],\"retention\":\"limits\",\"storage\":\"file\"}]",
     EB_E_INVALID, 0, "$MQTT_qos2in", "a subject that is no text"},
    {"[" A "," B "," C
     ",{\"name\":\"$MQTT_qos2in\",\"subjects\":[\"x\"],\"retention\":\"limits\",\"storage\":\"file\","
     "\"first_seq\":\"7\"}]",
     EB_E_INVALID, 0, "$MQTT_qos2in.first_seq", "not a whole number"},
    {"[" A "," B "," C
     ",{\"name\":\"$MQTT_qos2in\",\"subjects\":[\"x\"],\"retention\":\"limits\",\"storage\":\"file\","
     "\"discard_new_per_subject\":1,\"sources\":[1]}]",
     EB_E_INVALID, 0, "$MQTT_qos2in.discard_new_per_subject", "not true or false"},
};

static void files(void **state) {
    (void)state;
    struct fx_dir d = fx_dir_make();
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        eb_auto_findings struct eb_findings f = {0};
        EB_CLEANUP(eb_specs_unrefp) struct eb_specs *s = NULL;
        fx_write(&d, FILE_NAME, cases[i].text);
        enum eb_rc rc = eb_specs_load(fx_path(&d, FILE_NAME), &s, &f);
        if (rc != cases[i].rc)
            fail_msg("case %zu: %s", i, eb_rc_name(rc));
        if (rc == EB_OK) {
            assert_int_equal(f.n, 0);
            for (size_t k = 0; k < EB_STREAMS_N; k++)
                assert_string_equal(json_string_value(json_object_get(eb_specs_get(s, k), "name")),
                                    eb_stream_names[k]);
            continue;
        }
        assert_null(s);
        assert_true(f.errors >= 1);
        const struct eb_finding *one = &f.items[0];
        if (one->line != cases[i].line || !strstr(one->text, cases[i].finding) ||
            !strstr(one->mend, "eventbus render") ||
            strcmp(one->path ? one->path : "", cases[i].path ? cases[i].path : "") != 0)
            fail_msg("case %zu: line %zu, %s: %s", i, one->line, one->path ? one->path : "-", one->text);
    }
    fx_dir_remove(&d);
}

static void no_file(void **state) {
    (void)state;
    struct fx_dir d = fx_dir_make();
    eb_auto_findings struct eb_findings f = {0};
    struct eb_specs *s = NULL;
    assert_int_equal(eb_specs_load(fx_path(&d, "none.json"), &s, &f), EB_E_IO);
    assert_int_equal(f.errors, 1);
    assert_string_equal(f.items[0].path, "mqtt.streams-file");
    fx_dir_remove(&d);
}

/* As long as the file in force is good, what comes later cannot do harm. */
static void reload(void **state) {
    (void)state;
    struct fx_dir d = fx_dir_make();
    struct fx_world w;
    fx_write(&d, FX_POLICY, "noauth: {account: CSC}\n");
    fx_write(&d, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    fx_write(&d, FILE_NAME, "[" A "," B "," C "," D "]");
    const char *flags[] = {"--mqtt.streams-file", fx_path(&d, FILE_NAME), NULL};
    fx_world_open(&w, &d, flags);
    EB_CLEANUP(eb_specs_unrefp) struct eb_specs *first = eb_live_specs(w.live);
    assert_non_null(first);
    int64_t failures = fx_metric("auth_mqtt_streams_reload_failures_total");
    fx_write(&d, FILE_NAME, "[]");
    eb_auto_findings struct eb_findings f = {0};
    assert_int_equal(eb_live_reload_specs(w.live, &f), EB_E_INVALID);
    assert_int_equal(f.errors, EB_STREAMS_N);
    assert_int_equal(fx_metric("auth_mqtt_streams_reload_failures_total"), failures + 1);
    EB_CLEANUP(eb_specs_unrefp) struct eb_specs *second = eb_live_specs(w.live);
    assert_ptr_equal(first, second);
    fx_write(&d, FILE_NAME, "[" A "," B "," C "," D "]\n");
    eb_auto_findings struct eb_findings g = {0};
    assert_int_equal(eb_live_reload_specs(w.live, &g), EB_OK);
    EB_CLEANUP(eb_specs_unrefp) struct eb_specs *third = eb_live_specs(w.live);
    assert_ptr_not_equal(first, third);
    fx_world_close(&w);
    fx_dir_remove(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(no_file),
        cmocka_unit_test(reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
