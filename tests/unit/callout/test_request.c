/* What is taken for a request at all. Anything else is dropped without an answer, counted by its reason, and
 * the core lives on. */
#include <stdio.h>

#include "base/base64url.h"
#include "fixture.h"

static struct fx_world world;
static struct fx_dir dir;

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    fx_write(&dir, FX_POLICY, "noauth: {account: CSC}\n");
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    fx_world_open(&world, &dir, NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fx_world_close(&world);
    fx_dir_remove(&dir);
    return 0;
}

static void still_works(void) {
    struct fx_answer a = fx_ask(&world, &(struct fx_request){.host = "127.0.0.1"});
    assert_int_equal(a.outcome, EB_ANSWER);
    assert_null(a.error);
    fx_answer_done(&a);
}

static void expect_drop(const char *what, struct fx_answer a, enum eb_rc reason) {
    if (a.outcome != EB_DROP || a.reason != reason || a.method != EB_METHOD_NONE)
        fail_msg("%s: outcome %d, reason %s, wanted %s", what, (int)a.outcome, eb_rc_name(a.reason),
                 eb_rc_name(reason));
    fx_answer_done(&a);
}

static void envelopes(void **state) {
    (void)state;
    const struct {
        const char *what;
        struct fx_request r;
        enum eb_rc reason;
    } rows[] = {
        {"another audience", {.aud = "nats-authorization-response"}, EB_E_REQ_AUDIENCE},
        {"no audience", {.aud = ""}, EB_E_REQ_AUDIENCE},
        {"another type", {.claim_type = "user"}, EB_E_REQ_TYPE},
        {"another version", {.version = 1}, EB_E_REQ_TYPE},
        {"a later version", {.version = 3}, EB_E_REQ_TYPE},
        {"signed by a user key", {.seed = USER_R0_SEED}, EB_E_REQ_SIGNATURE},
        {"signed by an account key", {.seed = ACCOUNT_R0_SEED}, EB_E_REQ_SIGNATURE},
        {"server_id of another server", {.server_id = SERVER_R1}, EB_E_REQ_SIGNATURE},
        {"an issuer whose seed we lack", {.issuer = ACCOUNT_R1}, EB_E_REQ_ISSUER},
        {"an issuer that is no account key", {.issuer = USER_R0}, EB_E_REQ_MALFORMED},
        {"a user nkey that is none", {.user_nkey = ACCOUNT_R0}, EB_E_REQ_MALFORMED},
        {"a user nkey with a bad checksum",
         {.user_nkey = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKQ"},
         EB_E_REQ_MALFORMED},
        {"a signed xkey, and no header", {.xkey = CURVE_R0}, EB_E_REQ_XKEY},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++)
        expect_drop(rows[i].what, fx_ask(&world, &rows[i].r), rows[i].reason);
    still_works();
}

/* An overloaded server writes exp first and iat seconds later: nothing is wrong with it, but nobody waits any
 * more. */
static void no_time_left(void **state) {
    (void)state;
    uint64_t late = eb_counter_get(EB_C_DROPPED_LATE);
    struct fx_answer a = fx_ask(&world, &(struct fx_request){.budget_s = -5});
    assert_int_equal(a.outcome, EB_DROP);
    assert_int_equal(eb_counter_get(EB_C_DROPPED_LATE), late + 1);
    fx_answer_done(&a);
    still_works();
}

static void the_servers_clock_does_not_matter(void **state) {
    (void)state;
    const int64_t skews[] = {-1000000, -3, 3, 1000000};
    for (size_t i = 0; i < EB_COUNT_OF(skews); i++) {
        struct fx_answer a = fx_ask(&world, &(struct fx_request){.skew_s = skews[i]});
        assert_int_equal(a.outcome, EB_ANSWER);
        fx_answer_done(&a);
    }
}

static void header_without_seal(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf text = {0};
    fx_request(&(struct fx_request){.xkey = CURVE_R0}, &text);
    expect_drop("plain with a header", fx_run(&world, eb_buf_get(&text), EB_STR(CURVE_R0), NULL, false),
                EB_E_REQ_XKEY);
    expect_drop("plain with another header", fx_run(&world, eb_buf_get(&text), EB_STR(CURVE_R1), NULL, false),
                EB_E_REQ_XKEY);
    expect_drop("plain with an empty header", fx_run(&world, eb_buf_get(&text), EB_STR(""), NULL, false),
                EB_E_REQ_XKEY);
    still_works();
}

static void damaged(void **state) {
    (void)state;
    static const char *const texts[] = {"",   ".",   "..",       "...",         "a.b.c", "eyJ0.eyJ0.AAAA",
                                        "{}", "xkv", "PING\r\n", "\xff\xfe\x00"};
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++)
        expect_drop(texts[i], fx_run(&world, eb_str(texts[i]), EB_STR_NONE, NULL, false), EB_E_REQ_MALFORMED);
    eb_auto_buf struct eb_buf text = {0};
    fx_request(&(struct fx_request){.user = "u", .pass = "p"}, &text);
    /* Every 7th byte turned, and every 11th length: never an answer, never a crash. */
    for (size_t i = 0; i < text.n; i += 7) {
        eb_auto_free char *copy = eb_str_dup(eb_buf_get(&text));
        copy[i] = (char)(copy[i] == 'A' ? 'B' : 'A');
        struct fx_answer a = fx_run(&world, eb_str_n(copy, text.n), EB_STR_NONE, NULL, false);
        if (a.outcome != EB_DROP)
            fail_msg("answered with byte %zu of %zu turned", i, text.n);
        fx_answer_done(&a);
    }
    for (size_t n = 0; n < text.n; n += 11) {
        eb_auto_free char *copy =
            eb_str_dup(eb_str_n(text.p, n)); /* exact size, so that a read beyond it shows */
        struct fx_answer a = fx_run(&world, eb_str_n(copy, n), EB_STR_NONE, NULL, false);
        assert_int_equal(a.outcome, EB_DROP);
        fx_answer_done(&a);
    }
    still_works();
}

static void large(void **state) {
    (void)state;
    size_t n = EB_REQUEST_MAX + 100;
    eb_auto_free char *text = malloc(n + 1);
    memset(text, 'A', n);
    memcpy(text, "eyJ0", 4);
    text[20] = text[n - 90] = '.';
    expect_drop("plain", fx_run(&world, eb_str_n(text, n), EB_STR_NONE, NULL, false), EB_E_TOO_LARGE);
    memcpy(text, "xkv1", 4);
    expect_drop("sealed", fx_run(&world, eb_str_n(text, n), EB_STR(CURVE_R0), NULL, false), EB_E_TOO_LARGE);
}

static void late(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf text = {0};
    fx_request(&(struct fx_request){.budget_s = 20}, &text);
    struct eb_wait until = {0};
    int64_t dropped = fx_metric("auth_dropped_late_total"), errors = fx_metric("auth_errors_total");
    struct eb_callout_in in = {.payload = eb_buf_get(&text), .arrived_ns = -INT64_C(20100000000)};
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    in.arrived_ns += (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    assert_int_equal(eb_callout_run(&world.callout, &in, &world.scratch, &world.reply, &until), EB_DROP);
    assert_int_equal(fx_metric("auth_dropped_late_total"), dropped + 1);
    assert_int_equal(fx_metric("auth_errors_total"), errors + 1);
    in.arrived_ns += INT64_C(10000000000);
    assert_int_equal(eb_callout_run(&world.callout, &in, &world.scratch, &world.reply, &until), EB_ANSWER);
    /* A server that waits longer is known from then on. */
    int64_t now = in.arrived_ns + INT64_C(50000000000);
    assert_true(eb_callout_hopeless(in.arrived_ns, now));
    struct fx_answer a = fx_ask(&world, &(struct fx_request){.budget_s = 60});
    fx_answer_done(&a);
    assert_false(eb_callout_hopeless(in.arrived_ns, now));
    /* A budget that is absurd is cut. */
    a = fx_ask(&world, &(struct fx_request){.budget_s = 1000000});
    fx_answer_done(&a);
    assert_true(eb_callout_hopeless(in.arrived_ns, in.arrived_ns + INT64_C(301000000000)));
}

static void odd_values_of_members(void **state) {
    (void)state;
    /* Claims by hand: mistyped members refuse, unknown ones do not. */
    static const struct {
        const char *what, *nats;
        bool ok;
    } rows[] = {
        {"usual", "\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\"},\"connect_opts\":{}", true},
        {"unknown members",
         "\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\",\"x\":1},\"connect_opts\":{\"y\":[2]},\"z\":"
         "{}",
         true},
        {"no client_info", "\"connect_opts\":{}", false},
        {"no connect_opts", "\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\"}", false},
        {"client_info a text", "\"client_info\":\"x\",\"connect_opts\":{}", false},
        {"user a number",
         "\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\"},\"connect_opts\":{\"user\":1}", false},
        {"pass null",
         "\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\"},\"connect_opts\":{\"pass\":null}", false},
        {"nkey a list",
         "\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\"},\"connect_opts\":{\"nkey\":[\"" USER_R0
         "\"]}",
         false},
        {"host a number",
         "\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\",\"host\":2130706433},\"connect_opts\":{}",
         false},
        {"id negative",
         "\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\",\"id\":-1},\"connect_opts\":{}", false},
        {"chains a flat list",
         "\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\"},\"connect_opts\":{},\"client_tls\":{"
         "\"verified_chains\":[\"x\"]}",
         false},
        {"an empty chain",
         "\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\"},\"connect_opts\":{},\"client_tls\":{"
         "\"verified_chains\":[[]]}",
         false},
        {"TLS without a certificate",
         "\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\"},\"connect_opts\":{},\"client_tls\":{"
         "\"version\":\"1.3\"}",
         true},
        {"a member twice",
         "\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\"},\"connect_opts\":{},\"connect_opts\":{}",
         false},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf claims = {0}, text = {0};
        eb_buf_printf(&claims,
                      "{\"aud\":\"nats-authorization-request\",\"iat\":1700000000,\"exp\":1700000002,\"iss\":"
                      "\"" SERVER_R0 "\",\"sub\":\"" ACCOUNT_R0
                      "\",\"nats\":{\"server_id\":{\"id\":\"" SERVER_R0
                      "\",\"name\":\"n\",\"host\":\"h\"},\"user_nkey\":\"" USER_R1
                      "\",%s,\"type\":\"authorization_request\",\"version\":2}}",
                      rows[i].nats);
        fixture_token(&text, EB_STR(USUAL_HEADER), eb_buf_get(&claims), SERVER_R0_SEED);
        struct fx_answer a = fx_run(&world, eb_buf_get(&text), EB_STR_NONE, NULL, false);
        if (rows[i].ok != (a.outcome == EB_ANSWER && !a.error) ||
            (!rows[i].ok && a.reason != EB_E_REQ_MALFORMED))
            fail_msg("%s: outcome %d, reason %s", rows[i].what, (int)a.outcome, eb_rc_name(a.reason));
        fx_answer_done(&a);
    }
}

/* Whatever the two times are, the budget is computed without overflow: between none and five minutes. */
static void extreme_times(void **state) {
    (void)state;
    static const struct {
        const char *times;
        enum eb_rc reason; /* of the drop; EB_OK: read, `late` says whether it was then dropped as late */
        bool late;
    } rows[] = {
        {"\"iat\":1,\"exp\":9223372036854775807", EB_OK, false},
        {"\"iat\":9223372036854775806,\"exp\":9223372036854775807", EB_OK, false},
        {"\"iat\":9223372036854775807,\"exp\":1", EB_OK, true},
        {"\"iat\":9223372036854775807,\"exp\":9223372036854775807", EB_OK, true},
        {"\"iat\":1,\"exp\":1", EB_OK, true},
        {"\"iat\":-9223372036854775808,\"exp\":9223372036854775807", EB_E_REQ_MALFORMED, false},
        {"\"iat\":9223372036854775807,\"exp\":-9223372036854775808", EB_E_REQ_MALFORMED, false},
        {"\"iat\":-1,\"exp\":5", EB_E_REQ_MALFORMED, false},
        {"\"iat\":0,\"exp\":5", EB_E_REQ_MALFORMED, false},
        {"\"iat\":-0,\"exp\":5", EB_E_REQ_MALFORMED, false},
        {"\"iat\":5,\"exp\":0", EB_E_REQ_MALFORMED, false},
        {"\"iat\":1,\"exp\":9223372036854775808", EB_E_REQ_MALFORMED, false},
        {"\"iat\":1e9,\"exp\":2000000000", EB_E_REQ_MALFORMED, false},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_auto_buf struct eb_buf claims = {0}, text = {0};
        eb_buf_printf(&claims,
                      "{\"aud\":\"nats-authorization-request\",%s,\"iss\":\"" SERVER_R0
                      "\",\"sub\":\"" ACCOUNT_R0 "\",\"nats\":{\"server_id\":{\"id\":\"" SERVER_R0
                      "\",\"name\":\"n\",\"host\":\"h\"},\"user_nkey\":\"" USER_R1
                      "\",\"client_info\":{\"kind\":\"Client\",\"type\":\"nats\"},\"connect_opts\":{},"
                      "\"type\":\"authorization_request\",\"version\":2}}",
                      rows[i].times);
        fixture_token(&text, EB_STR(USUAL_HEADER), eb_buf_get(&claims), SERVER_R0_SEED);
        uint64_t late = eb_counter_get(EB_C_DROPPED_LATE);
        struct fx_answer a = fx_run(&world, eb_buf_get(&text), EB_STR_NONE, NULL, false);
        bool answers = rows[i].reason == EB_OK && !rows[i].late;
        if (answers != (a.outcome == EB_ANSWER && !a.error) || a.reason != rows[i].reason ||
            rows[i].late != (eb_counter_get(EB_C_DROPPED_LATE) == late + 1))
            fail_msg("%s: outcome %d, reason %s", rows[i].times, (int)a.outcome, eb_rc_name(a.reason));
        fx_answer_done(&a);
    }
    still_works();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelopes),
        cmocka_unit_test(no_time_left),
        cmocka_unit_test(the_servers_clock_does_not_matter),
        cmocka_unit_test(header_without_seal),
        cmocka_unit_test(damaged),
        cmocka_unit_test(large),
        cmocka_unit_test(late),
        cmocka_unit_test(odd_values_of_members),
        cmocka_unit_test(extreme_times),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
