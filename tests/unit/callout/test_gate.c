/* The gate of MQTT: what a stream is found to be, when the gate opens and closes, and what a callout does
 * meanwhile. */
#include <stdio.h>

#include "base/json.h"
#include "clock.h"
#include "fixture.h"
#include "gate.h"

#define NOW_NS INT64_C(1800000000000000000)

/* ---- one stream ---- */

static const char *const definitions[EB_STREAMS_N] = {
    "{\"name\":\"XL_RETAINED\",\"subjects\":[\"$XL.r.a\"],\"retention\":\"limits\",\"storage\":\"file\"}",
    "{\"name\":\"$MQTT_msgs\",\"subjects\":[\"$MQTT.msgs.>\"],\"retention\":\"limits\",\"storage\":\"file\","
    "\"max_bytes\":100,\"sources\":[{\"name\":\"$MQTT_msgs\",\"opt_start_seq\":1,\"external\":{\"api\":\"$XL."
    "1.api\","
    "\"deliver\":\"d\"}}]}",
    "{\"name\":\"$MQTT_rmsgs\",\"subjects\":[\"$MQTT.rmsgs.>\"],\"retention\":\"limits\",\"storage\":"
    "\"file\"}",
    "{\"name\":\"$MQTT_qos2in\",\"subjects\":[\"$MQTT.qos2.in.>\"],\"retention\":\"limits\",\"storage\":"
    "\"file\","
    "\"first_seq\":7}",
};
#define SOURCE                                                                                               \
    "\"sources\":[{\"name\":\"$MQTT_msgs\",\"opt_start_seq\":1,\"external\":{\"api\":\"$XL.1.api\","         \
    "\"deliver\":\"d\"}}]"
#define INFO(config) "{\"state\":{\"messages\":0},\"config\":{" config "}}"
#define MSGS(more) INFO("\"name\":\"$MQTT_msgs\",\"storage\":\"file\"," more)
#define LIMITS "\"retention\":\"limits\","
#define MSGS_SUBJECTS "\"subjects\":[\"$MQTT.msgs.>\"],"
#define NO_STREAM "{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}}"

static const struct {
    const char *name;
    size_t stream;
    const char *answer;
    enum eb_spec_verdict verdict;
    const char *why; /* a part of it; "" = nothing at all */
} answers[] = {
    {"as specified", 1, MSGS(LIMITS MSGS_SUBJECTS "\"max_bytes\":100," SOURCE), EB_SPEC_RIGHT, ""},
    {"with what a controller adds", 1,
     MSGS(LIMITS MSGS_SUBJECTS
          "\"max_bytes\":100,\"metadata\":{\"by\":\"nack\"},\"description\":\"x\"," SOURCE),
     EB_SPEC_RIGHT, ""},
    {"a source is out", 1, MSGS(LIMITS MSGS_SUBJECTS "\"max_bytes\":100"), EB_SPEC_DIFFERS,
     "of cpc-1 is absent instead of present: run `eventbus streams apply`"},
    {"another limit", 1, MSGS(LIMITS MSGS_SUBJECTS "\"max_bytes\":99," SOURCE), EB_SPEC_DIFFERS,
     "$MQTT_msgs: max_bytes is 99 instead of 100: run `eventbus streams apply`"},
    {"another retention", 1, MSGS("\"retention\":\"interest\"," MSGS_SUBJECTS "\"max_bytes\":100," SOURCE),
     EB_SPEC_WRONG, "retention is interest instead of limits: run `eventbus streams apply`"},
    {"wrong before different", 1, MSGS("\"retention\":\"interest\"," MSGS_SUBJECTS "\"max_bytes\":9"),
     EB_SPEC_WRONG,
     "$MQTT_msgs: retention is interest instead of limits, max_bytes is 9 instead of 100, source"},
    {"other subjects", 1, MSGS(LIMITS "\"subjects\":[\"$MQTT.msgs.a\"],\"max_bytes\":100," SOURCE),
     EB_SPEC_WRONG, "subjects is [\"$MQTT.msgs.a\"] instead of [\"$MQTT.msgs.>\"]"},
    {"other subjects of a list", 0,
     INFO("\"name\":\"XL_RETAINED\",\"storage\":\"file\"," LIMITS "\"subjects\":[\"$XL.r.a\",\"$XL.r.b\"]"),
     EB_SPEC_DIFFERS, "XL_RETAINED: subjects is"},
    {"another storage", 2,
     INFO("\"name\":\"$MQTT_rmsgs\",\"storage\":\"memory\"," LIMITS "\"subjects\":[\"$MQTT.rmsgs.>\"]"),
     EB_SPEC_WRONG, "storage is memory instead of file: no update mends this"},
    {"made by a login", 3,
     INFO("\"name\":\"$MQTT_qos2in\",\"storage\":\"file\"," LIMITS "\"subjects\":[\"$MQTT.qos2.in.>\"]"),
     EB_SPEC_WRONG, "$MQTT_qos2in: first_seq is none instead of 7: no update mends this"},
    {"sealed", 2,
     INFO("\"name\":\"$MQTT_rmsgs\",\"storage\":\"file\",\"sealed\":true," LIMITS
          "\"subjects\":[\"$MQTT.rmsgs.>\"]"),
     EB_SPEC_WRONG, "sealed is true instead of false"},
    {"missing", 1, NO_STREAM, EB_SPEC_MISSING, "$MQTT_msgs: there is no such stream"},
    {"not now", 1,
     "{\"error\":{\"code\":503,\"err_code\":10008,\"description\":\"temporarily unavailable\"}}",
     EB_SPEC_UNASKED, "JetStream says: temporarily unavailable"},
    {"an error without words", 1, "{\"error\":{}}", EB_SPEC_UNASKED, "an error without a text"},
    {"an error that is a text", 1, "{\"error\":\"x\"}", EB_SPEC_UNASKED, "an error without a text"},
    {"another stream", 1,
     INFO("\"name\":\"$MQTT_rmsgs\",\"storage\":\"file\"," LIMITS "\"subjects\":[\"$MQTT.rmsgs.>\"]"),
     EB_SPEC_UNASKED, "none to our question"},
    {"no state", 1, "{\"config\":{\"name\":\"$MQTT_msgs\"}}", EB_SPEC_UNASKED, "none to our question"},
    {"config is a text", 1, "{\"config\":\"x\",\"state\":{}}", EB_SPEC_UNASKED, "none to our question"},
    {"empty", 1, "", EB_SPEC_UNASKED, "cannot be read"},
    {"no JSON", 1, "yes", EB_SPEC_UNASKED, "cannot be read"},
    {"a list", 1, "[]", EB_SPEC_UNASKED, "cannot be read"},
};

static void verdicts(void **state) {
    (void)state;
    for (size_t i = 0; i < EB_COUNT_OF(answers); i++) {
        eb_auto_json json_t *wanted = json_loads(definitions[answers[i].stream], 0, NULL);
        eb_auto_buf struct eb_buf why = {0};
        assert_non_null(wanted);
        enum eb_spec_verdict v =
            eb_spec_judge(answers[i].stream, wanted, eb_str(answers[i].answer), NOW_NS, &why);
        if (v != answers[i].verdict ||
            (answers[i].why[0] ? !why.p || !strstr(why.p, answers[i].why) : why.n != 0))
            fail_msg("%s: %s, %s", answers[i].name, eb_spec_verdict_name(v), why.p ? why.p : "no reason");
    }
}

static void a_long_value_is_cut(void **state) {
    (void)state;
    eb_auto_json json_t *wanted = json_loads(definitions[0], 0, NULL);
    eb_auto_buf struct eb_buf answer = {0};
    eb_auto_buf struct eb_buf why = {0};
    eb_buf_z(&answer, "{\"state\":{},\"config\":{\"name\":\"XL_RETAINED\",\"storage\":\"file\"," LIMITS
                      "\"subjects\":[");
    for (int i = 0; i < 1000; i++)
        eb_buf_printf(&answer, "%s\"$XL.r.%d\"", i ? "," : "", i);
    eb_buf_z(&answer, "]}}");
    assert_int_equal(eb_spec_judge(0, wanted, eb_buf_get(&answer), NOW_NS, &why), EB_SPEC_DIFFERS);
    assert_true(why.n < 600);
    assert_non_null(strstr(why.p, "…"));
}

static void foreign(void **state) {
    (void)state;
    assert_true(eb_spec_foreign(EB_STR("{\"error\":{\"code\":503,\"err_code\":10039,\"description\":"
                                       "\"JetStream not enabled for account\"}}")));
    assert_false(eb_spec_foreign(EB_STR(NO_STREAM)));
    assert_false(eb_spec_foreign(EB_STR("")));
    assert_false(eb_spec_foreign(EB_STR("{\"config\":{}}")));
}

/* ---- the states ---- */

/* A step: a letter for each stream (r right, d differs, w wrong, m missing, u unasked), or "lost". */
static const struct {
    const char *name, *steps[6];
    const char *states; /* after each step: ? unsure, o open, c closed */
} paths[] = {
    {"it opens when all are right", {"rrrr"}, "o"},
    {"and only then", {"rrrd", "drrr", "rrrr"}, "cco"},
    {"one is missing", {"rrrm", "mmmm", "rrrr"}, "cco"},
    {"one is wrong", {"rwrr"}, "c"},
    {"nobody can be asked", {"uuuu", "uuuu", "rrrr"}, "??o"},
    {"some cannot", {"rrru", "ruuu"}, "??"},
    {"one is missing, the others cannot be asked", {"muuu"}, "c"},
    {"open, one differs", {"rrrr", "rdrr", "dddd", "rrrr"}, "oooo"},
    {"open, one is missing", {"rrrr", "rrmr", "rrrr"}, "oco"},
    {"open, one is wrong", {"rrrr", "rrrw", "rrrd"}, "occ"},
    {"open, nobody can be asked", {"rrrr", "uuuu", "uuuu"}, "ooo"},
    {"closed, nobody can be asked", {"mmmm", "uuuu"}, "cc"},
    {"closed opens only when all are right", {"rrrr", "mrrr", "drrr", "rrrr"}, "occo"},
    {"a link is lost while it is open", {"rrrr", "lost", "rrrr"}, "o?o"},
    {"and nobody can be asked", {"rrrr", "lost", "uuuu", "rrrr"}, "o??o"},
    {"and there is nothing any more", {"rrrr", "lost", "mmmm", "rrdr", "rrrr"}, "o?cco"},
    {"and one differs: it was open", {"rrrr", "lost", "rrrd"}, "o?o"},
    {"and one is wrong", {"rrrr", "lost", "rrrw"}, "o?c"},
    {"a link is lost while it is closed", {"mmmm", "lost", "rrrd", "lost", "rrrr"}, "cccco"},
    {"before the first answer", {"lost", "rrrd", "rrrr"}, "?co"},
    {"again and again", {"rrrr", "lost", "lost", "uuuu", "rrrr"}, "o???o"},
};

static enum eb_spec_verdict verdict_of(char c) {
    return c == 'r'   ? EB_SPEC_RIGHT
           : c == 'd' ? EB_SPEC_DIFFERS
           : c == 'w' ? EB_SPEC_WRONG
           : c == 'm' ? EB_SPEC_MISSING
                      : EB_SPEC_UNASKED;
}

static void round_at(struct eb_gate *g, int64_t now_ns, const char *letters, const char *why, bool *news) {
    struct eb_gate_round round = {0};
    for (size_t i = 0; i < EB_STREAMS_N; i++)
        round.verdict[i] = verdict_of(letters[i]);
    eb_buf_z(&round.why, why);
    assert_true(eb_gate_take(g, eb_gate_begin(g), &round, now_ns, news));
    eb_buf_done(&round.why);
}

static void round_of(struct eb_gate *g, const char *letters, const char *why, bool *news) {
    round_at(g, eb_mono_ns(), letters, why, news);
}

static void states(void **state) {
    (void)state;
    static const char letters[] = {[EB_GATE_UNSURE] = '?', [EB_GATE_OPEN] = 'o', [EB_GATE_CLOSED] = 'c'};
    for (size_t i = 0; i < EB_COUNT_OF(paths); i++) {
        struct eb_gate *g = eb_gate_new();
        bool news;
        assert_int_equal(eb_gate_state(g), EB_GATE_UNSURE);
        for (size_t k = 0; k < EB_COUNT_OF(paths[i].steps) && paths[i].steps[k]; k++) {
            if (strcmp(paths[i].steps[k], "lost") == 0)
                eb_gate_lost(g);
            else
                round_of(g, paths[i].steps[k], "", &news);
            if (letters[eb_gate_state(g)] != paths[i].states[k])
                fail_msg("%s: after step %zu it is %c", paths[i].name, k + 1, letters[eb_gate_state(g)]);
        }
        eb_gate_free(g);
    }
}

static void what_was_asked_before_a_loss_does_not_count(void **state) {
    (void)state;
    struct eb_gate *g = eb_gate_new();
    struct eb_gate_round right = {.verdict = {EB_SPEC_RIGHT, EB_SPEC_RIGHT, EB_SPEC_RIGHT, EB_SPEC_RIGHT}};
    uint64_t begun = eb_gate_begin(g);
    bool news = false;
    eb_gate_lost(g);
    assert_false(eb_gate_take(g, begun, &right, 1, &news));
    assert_int_equal(eb_gate_state(g), EB_GATE_UNSURE);
    assert_true(eb_gate_take(g, eb_gate_begin(g), &right, 1, &news));
    assert_int_equal(eb_gate_state(g), EB_GATE_OPEN);
    eb_gate_free(g);
}

static void news_are_told_once(void **state) {
    (void)state;
    static const struct {
        const char *letters, *why;
        bool news;
        int seconds; /* since the round before */
    } rounds[] = {
        {"mmmm", "x", true, 0},         {"mmmm", "x", false, 0},       {"mmmr", "y", true, 0},
        {"rrrr", "", true, 0},          {"rrrr", "", false, 99},       {"lost", NULL, false, 0},
        {"rrrr", "", false, 0}, /* back before it was told */
        {"lost", NULL, false, 0},       {"????", "closed", true, 0},   {"????", "timeout", false, 9},
        {"????", "closed", false, 0},   {"????", "timeout", true, 1},  {"????", "closed", false, 1},
        {"????", "timeout", false, 99}, {"rrrr", "", true, 0},         {"rrrd", "z", true, 0},
        {"rrrd", "z", false, 0},        {"????", "closed", false, 9}, /* still open */
        {"????", "closed", true, 1},    {"????", "timeout", false, 9}, {"mmmm", "x", true, 0},
        {"????", "closed", false, 0},   {"????", "closed", true, 10},  {"????", "timeout", false, 0},
        {"rrrr", "", true, 0},          {"rrrd", "z", true, 0}};
    int64_t now = 1;
    struct eb_gate *g = eb_gate_new();
    for (size_t i = 0; i < EB_COUNT_OF(rounds); i++) {
        bool news = !rounds[i].news;
        now += rounds[i].seconds * INT64_C(1000000000);
        if (!rounds[i].why) {
            eb_gate_lost(g);
            continue;
        }
        round_at(g, now, rounds[i].letters, rounds[i].why, &news);
        if (news != rounds[i].news)
            fail_msg("round %zu: %s", i, news ? "told" : "not told");
    }
    eb_auto_buf struct eb_buf json = {0};
    eb_gate_json(g, &json);
    assert_string_equal(
        json.p, "\"mqtt\":{\"gate\":\"open\",\"streams\":{\"XL_RETAINED\":\"ok\",\"$MQTT_msgs\":\"ok\","
                "\"$MQTT_rmsgs\":\"ok\",\"$MQTT_qos2in\":\"differs\"},\"trouble\":\"z\"}");
    eb_gate_free(g);
    eb_buf_reset(&json);
    eb_gate_json(NULL, &json);
    assert_string_equal(json.p, "\"mqtt\":{\"gate\":\"off\"}");
    assert_int_equal(eb_gate_state(NULL), EB_GATE_OPEN);
}

/* ---- callouts ---- */

static struct fx_answer login(struct fx_world *w, const char *type, bool waited) {
    eb_auto_buf struct eb_buf text = {0};
    fx_request(&(struct fx_request){.kind = "Client", .type = type, .host = "127.0.0.1", .budget_s = 4},
               &text);
    return fx_run(w, eb_buf_get(&text), EB_STR_NONE, NULL, waited);
}

static void callouts(void **state) {
    (void)state;
    static const struct {
        const char *letters; /* NULL: nothing known */
        const char *type;
        bool waited;
        enum eb_outcome outcome;
    } cases[] = {
        {NULL, "mqtt", false, EB_PARK},     {NULL, "mqtt", true, EB_DROP},
        {NULL, "nats", false, EB_ANSWER},   {NULL, "websocket", false, EB_ANSWER},
        {"mmmm", "mqtt", false, EB_DROP},   {"mmmm", "mqtt", true, EB_DROP},
        {"mmmm", "nats", false, EB_ANSWER}, {"mmmm", "websocket", false, EB_ANSWER},
        {"rrrr", "mqtt", false, EB_ANSWER}, {"rrrr", "nats", false, EB_ANSWER},
        {"rrrr", "mqtt", true, EB_ANSWER},
    };
    struct fx_dir d = fx_dir_make();
    struct fx_world w;
    fx_write(&d, FX_POLICY, "noauth: {account: CSC}\n");
    fx_write(&d, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    fx_world_open(&w, &d, NULL);
    for (size_t i = 0; i < EB_COUNT_OF(cases); i++) {
        bool news;
        int64_t drops = fx_metric("auth_dropped_mqtt_closed_total"), errors = fx_metric("auth_errors_total"),
                before = eb_mono_ns();
        struct eb_gate *g = w.callout.gate = eb_gate_new();
        if (cases[i].letters)
            round_of(g, cases[i].letters, "", &news);
        struct fx_answer a = login(&w, cases[i].type, cases[i].waited);
        bool drop = cases[i].outcome == EB_DROP;
        if (a.outcome != cases[i].outcome || fx_metric("auth_dropped_mqtt_closed_total") - drops != drop ||
            fx_metric("auth_errors_total") - errors != drop || a.reason != EB_OK)
            fail_msg("case %zu: outcome %d, reason %s", i, (int)a.outcome, eb_rc_name(a.reason));
        if (a.outcome == EB_PARK)
            assert_true(a.until_ns >= before + INT64_C(2000000000) &&
                        a.until_ns <= eb_mono_ns() + INT64_C(2000000000)); /* half of 4 s */
        if (a.outcome == EB_ANSWER)
            assert_string_equal(a.account, "CSC");
        fx_answer_done(&a);
        eb_gate_free(g);
    }
    w.callout.gate = NULL;
    struct fx_answer a = login(&w, "mqtt", false);
    assert_int_equal(a.outcome, EB_ANSWER);
    fx_answer_done(&a);
    fx_world_close(&w);
    fx_dir_remove(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(a_long_value_is_cut),
        cmocka_unit_test(foreign),
        cmocka_unit_test(states),
        cmocka_unit_test(news_are_told_once),
        cmocka_unit_test(what_was_asked_before_a_loss_does_not_count),
        cmocka_unit_test(callouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
