/* Answers to service queries ($SRV). */
#include <stdio.h>

#include "fixture.h"
#include "micro.h"

static json_t *ask(const struct eb_micro *m, const char *subject) {
    eb_auto_buf struct eb_buf b = {0};
    if (!eb_micro_answer(m, eb_str(subject), &b)) {
        assert_int_equal(b.n, 0);
        return NULL;
    }
    json_t *o = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
    assert_true(json_is_object(o));
    return o;
}

static const char *text(const json_t *o, const char *key) {
    return json_string_value(json_object_get(o, key));
}

static void answers(void **state) {
    (void)state;
    struct eb_micro m;
    assert_int_equal(eb_micro_init(&m), EB_OK);
    assert_int_equal(strlen(m.id), 22);
    static const struct {
        const char *verb, *type;
        bool endpoints, started;
    } rows[] = {{"PING", "io.nats.micro.v1.ping_response", false, false},
                {"INFO", "io.nats.micro.v1.info_response", true, false},
                {"STATS", "io.nats.micro.v1.stats_response", true, true}};
    eb_count_n(EB_C_REQUESTS, 10);
    eb_observe_ns(5000000);
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++)
        for (int form = 0; form < 3; form++) {
            char subject[100];
            (void)snprintf(subject, sizeof subject, "$SRV.%s%s%s%s", rows[i].verb,
                           form > 0 ? ".auth-callout" : "", form > 1 ? "." : "", form > 1 ? m.id : "");
            EB_CLEANUP(json_decrefp) json_t *o = ask(&m, subject);
            if (!o)
                fail_msg("no answer on %s", subject);
            assert_string_equal(text(o, "type"), rows[i].type);
            assert_string_equal(text(o, "name"), "auth-callout");
            assert_string_equal(text(o, "id"), m.id);
            int a, b, c;
            assert_int_equal(sscanf(text(o, "version"), "%d.%d.%d", &a, &b, &c),
                             3); /* tools want a semantic version */
            assert_true(json_is_object(json_object_get(o, "metadata")));
            assert_int_equal(json_object_get(o, "started") != NULL, rows[i].started);
            const json_t *e = json_array_get(json_object_get(o, "endpoints"), 0);
            assert_int_equal(e != NULL, rows[i].endpoints);
            if (!e)
                continue;
            assert_string_equal(text(e, "subject"), "$SYS.REQ.USER.AUTH");
            assert_string_equal(text(e, "queue_group"), "auth-callout");
            assert_non_null(text(e, "name"));
            if (rows[i].started) {
                assert_true(json_integer_value(json_object_get(e, "num_requests")) >= 10);
                assert_true(json_integer_value(json_object_get(e, "processing_time")) >= 5000000);
                assert_true(json_is_integer(json_object_get(e, "num_errors")) &&
                            json_is_integer(json_object_get(e, "average_processing_time")));
            }
        }
    eb_micro_done(&m);
}

static void silence(void **state) {
    (void)state;
    struct eb_micro m, other;
    assert_int_equal(eb_micro_init(&m), EB_OK);
    assert_int_equal(eb_micro_init(&other), EB_OK);
    assert_string_not_equal(m.id, other.id);
    char others[100];
    (void)snprintf(others, sizeof others, "$SRV.PING.auth-callout.%s", other.id);
    const char *const subjects[] = {"$SRV.PING.other",         "$SRV", "$SRV.PINGS", "",
                                    "$SRV.PING.auth-callout.", others, "$SRV.RESET"};
    for (size_t i = 0; i < EB_COUNT_OF(subjects); i++)
        assert_null(ask(&m, subjects[i]));
    assert_int_equal(EB_COUNT_OF(m.subjects), 9);
    for (size_t i = 0; i < EB_COUNT_OF(m.subjects); i++)
        assert_true(eb_str_starts(m.subjects[i], EB_STR("$SRV.")));
    eb_micro_done(&m);
    eb_micro_done(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers), cmocka_unit_test(silence)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
