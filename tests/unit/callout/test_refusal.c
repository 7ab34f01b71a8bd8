/* What a server tells of a login that it refused: why, by its own words, whatever the client called itself.
 */
#include <stdio.h>
#include <unistd.h>

#include "fixture.h"
#include "log.h"
#include "refusal.h"

#define EVENT(client, reason)                                                                                \
    "{\"type\":\"io.nats.server.advisory.v1.client_disconnect\",\"id\":\"x\",\"server\":{\"name\":\"csc-"    \
    "main\","                                                                                                \
    "\"seq\":18446744},\"client\":{\"host\":\"10.0.0.7\",\"id\":7,\"acc\":\"AUTH\"" client                   \
    ",\"kind\":\"Client\",\"client_type\":\"mqtt\"},\"sent\":{\"msgs\":0,\"bytes\":0},\"reason\":\"" reason  \
    "\"}"
#define SAID "Auth callout service returned an error: "

static const struct {
    const char *event;
    enum eb_refusal why;
} rows[] = {
    {EVENT("", ""), EB_REFUSAL_TIMEOUT},
    {EVENT("", SAID "authentication failed"), EB_REFUSAL_REFUSED},
    {EVENT("", "auth callout service returned an error: x"), EB_REFUSAL_REFUSED},
    {EVENT("", "Auth callout service returned an erro"), EB_REFUSAL_OTHER},
    {EVENT("", "Authentication Failure"), EB_REFUSAL_OTHER},
    {EVENT("",
           "No valid account \\\"X\\\" for auth callout response on account \\\"AUTH\\\": account missing"),
     EB_REFUSAL_OTHER},
    {EVENT("", "x " SAID), EB_REFUSAL_OTHER},
    {EVENT(",\"user\":\"\\\",\\\"reason\\\":\\\"\"", SAID "x"), EB_REFUSAL_REFUSED},
    {EVENT(",\"user\":\"" SAID "\"", ""), EB_REFUSAL_TIMEOUT},
    {EVENT(",\"user\":\"\\u0000\",\"name\":\"\\u0000\"", ""), EB_REFUSAL_TIMEOUT},
    {EVENT(",\"reason\":\"x\"", ""), EB_REFUSAL_TIMEOUT}, /* another member of that name, deeper */
    {"{\"reason\":\"\"}", EB_REFUSAL_TIMEOUT},
    {"{\"reason\":\"\",\"client\":3,\"server\":[]}", EB_REFUSAL_TIMEOUT},
    {"{\"reason\":\"\",\"client\":{\"host\":1,\"id\":\"x\",\"kind\":{}}}", EB_REFUSAL_TIMEOUT},
    {"{\"reason\":\"\",\"reason\":\"\"}", EB_REFUSAL_OTHER},
    {"{\"reason\":null}", EB_REFUSAL_OTHER},
    {"{\"reason\":7}", EB_REFUSAL_OTHER},
    {"{}", EB_REFUSAL_OTHER},
    {"[]", EB_REFUSAL_OTHER},
    {"[\"reason\",\"\"]", EB_REFUSAL_OTHER},
    {"\"\"", EB_REFUSAL_OTHER},
    {"{\"reason\":\"\"} ", EB_REFUSAL_TIMEOUT},
    {"{\"reason\":\"\"}x", EB_REFUSAL_OTHER},
    {"{\"reason\":\"", EB_REFUSAL_OTHER},
    {"", EB_REFUSAL_OTHER},
};

static void reasons(void **state) {
    (void)state;
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++)
        if (eb_refusal_of(eb_str(rows[i].event)) != rows[i].why)
            fail_msg("%s is not %d", rows[i].event, (int)rows[i].why);
}

static void as_large_as_it_may_be(void **state) {
    (void)state;
    for (int over = 0; over < 2; over++) {
        size_t n = (1u << 20) + (size_t)over;
        eb_auto_free char *text = malloc(n);
        assert_non_null(text);
        memset(text, ' ', n);
        memcpy(text, "{\"reason\":\"\"}", 13);
        assert_int_equal(eb_refusal_of(eb_str_n(text, n)), over ? EB_REFUSAL_OTHER : EB_REFUSAL_TIMEOUT);
    }
}

/* What eb_refusal_take writes to standard error. */
static void taken(const char *event, char *to, size_t size) {
    int ends[2], old = dup(2);
    assert_int_equal(pipe(ends), 0);
    assert_true(old >= 0 && dup2(ends[1], 2) == 2);
    eb_refusal_take(eb_str(event));
    (void)dup2(old, 2);
    (void)close(old);
    (void)close(ends[1]);
    ssize_t n = read(ends[0], to, size - 1);
    (void)close(ends[0]);
    to[n > 0 ? n : 0] = '\0';
}

/* Each is one count; a line where no decision of the service told of it, without the user name. */
static void counted_and_told(void **state) {
    (void)state;
    eb_log_set_level("info");
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        char line[4096];
        uint64_t before[EB_REFUSAL_MAX_];
        for (size_t k = 0; k < EB_REFUSAL_MAX_; k++)
            before[k] = eb_refusals_get((enum eb_refusal)k);
        taken(rows[i].event, line, sizeof line);
        for (size_t k = 0; k < EB_REFUSAL_MAX_; k++)
            assert_int_equal(eb_refusals_get((enum eb_refusal)k), before[k] + (k == rows[i].why));
        assert_int_equal(line[0] != '\0', rows[i].why != EB_REFUSAL_REFUSED);
        if (!line[0])
            continue;
        EB_CLEANUP(json_decrefp) json_t *o = json_loads(line, 0, NULL);
        assert_non_null(o);
        assert_string_equal(json_string_value(json_object_get(o, "msg")),
                            rows[i].why == EB_REFUSAL_TIMEOUT ? "a login timed out at the server"
                                                              : "the server refused a login by itself");
        assert_null(json_object_get(o, "user"));
    }
    char line[4096];
    taken(EVENT(",\"client_id\":\"pump-7\",\"user\":\"SECRET\",\"jwt\":\"SECRET\"", "Authentication Failure"),
          line, sizeof line);
    assert_non_null(strstr(line, "\"error\":\"Authentication Failure\",\"host\":\"10.0.0.7\",\"client_id\":7,"
                                 "\"kind\":\"mqtt\",\"mqtt_id\":\"pump-7\",\"server\":\"csc-main\""));
    assert_null(strstr(line, "SECRET"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reasons), cmocka_unit_test(as_large_as_it_may_be),
                                       cmocka_unit_test(counted_and_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
