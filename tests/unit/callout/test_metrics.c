/* The exposition: well-formed, complete from the start, and counting what it says. */
#include <ctype.h>
#include <stdio.h>

#include "fixture.h"
#include "log.h"

static bool name_ok(struct eb_str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!(isalpha((unsigned char)s.p[i]) || s.p[i] == '_' || s.p[i] == ':' ||
              (i && isdigit((unsigned char)s.p[i]))))
            return false;
    return s.n > 0;
}

/* Text format 0.0.4: HELP and TYPE before the samples of a family, each family once, samples of no other
 * family between, no sample twice. */
static void check_exposition(const char *text, size_t *ret_samples) {
    static char families[300][80];
    static char samples[2000][160];
    size_t families_n = 0, samples_n = 0;
    char current[80] = "", type[20] = "";
    struct eb_str rest = eb_str(text);
    assert_true(rest.n > 0 && rest.p[rest.n - 1] == '\n');
    while (rest.p && rest.n) {
        struct eb_str line = eb_str_cut(&rest, '\n'), whole = line;
        struct eb_str first = eb_str_cut(&line, ' ');
        if (eb_str_eqz(first, "#")) {
            struct eb_str word = eb_str_cut(&line, ' '), name = eb_str_cut(&line, ' ');
            assert_true(name_ok(name) && line.p && line.n);
            if (eb_str_eqz(word, "HELP")) {
                for (size_t i = 0; i < families_n; i++)
                    if (eb_str_eqz(name, families[i]))
                        fail_msg("family twice: %s", families[i]);
                (void)snprintf(families[families_n++], sizeof families[0], "%.*s", EB_STR_ARG(name));
                (void)snprintf(current, sizeof current, "%.*s", EB_STR_ARG(name));
            } else {
                assert_true(eb_str_eqz(word, "TYPE"));
                assert_true(eb_str_eqz(name, current));
                (void)snprintf(type, sizeof type, "%.*s", EB_STR_ARG(line));
                assert_true(!strcmp(type, "counter") || !strcmp(type, "gauge") || !strcmp(type, "histogram"));
                if (!strcmp(type, "counter") && !eb_str_ends(name, EB_STR("_total")))
                    fail_msg("a counter without _total: %s", current);
            }
            continue;
        }
        struct eb_str labels = first, name = eb_str_cut(&labels, '{');
        assert_true(name_ok(name));
        if (labels.p && (labels.n < 5 || labels.p[labels.n - 1] != '}' || labels.p[labels.n - 2] != '"'))
            fail_msg("labels of %.*s", EB_STR_ARG(whole));
        char *end = NULL;
        double v = strtod(line.p, &end);
        if (end != line.p + line.n || v < 0)
            fail_msg("value of %.*s", EB_STR_ARG(whole));
        size_t n = strlen(current);
        if (name.n < n || strncmp(name.p, current, n) != 0 || (name.n > n && strcmp(type, "histogram") != 0))
            fail_msg("%.*s stands in family %s", EB_STR_ARG(whole), current);
        for (size_t i = 0; i < samples_n; i++)
            if (eb_str_eqz(first, samples[i]))
                fail_msg("sample twice: %s", samples[i]);
        (void)snprintf(samples[samples_n++], sizeof samples[0], "%.*s", EB_STR_ARG(first));
    }
    *ret_samples = samples_n;
}

static void well_formed(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf a = {0}, b = {0};
    size_t samples, later;
    eb_metrics_render(&a);
    check_exposition(a.p, &samples);
    assert_true(samples > 100);
    eb_count_attempt(EB_METHOD_OAUTH2, EB_E_EXPIRED);
    eb_count_invalid(EB_E_REQ_SIGNATURE);
    eb_observe_ns(1234567);
    eb_count_refusal(EB_REFUSAL_OTHER);
    eb_metrics_render(&b);
    check_exposition(b.p, &later);
    assert_int_equal(samples, later); /* no series appears by being used */
}

static void everything_is_there_from_the_start(void **state) {
    (void)state;
    static const char *const names[] = {
        "auth_requests_total",
        "auth_errors_total",
        "auth_request_duration_seconds_count",
        "auth_request_duration_seconds_sum",
        "auth_request_duration_seconds_bucket{le=\"+Inf\"}",
        "auth_permissions_reload_failures_total",
        "auth_oauth2_attempts_total",
        "auth_mtls_attempts_total",
        "auth_nkey_attempts_total",
        "auth_noauth_attempts_total",
        "auth_kubernetes_attempts_total",
        "auth_oauth2_failures_total{reason=\"expired\"}",
        "auth_mtls_failures_total{reason=\"cert_untrusted\"}",
        "auth_nkey_failures_total{reason=\"nkey_unsigned\"}",
        "auth_noauth_failures_total{reason=\"noauth_off\"}",
        "auth_oauth2_failures_total{reason=\"keys_unavailable\"}",
        "auth_invalid_requests_total{reason=\"request_signature\"}",
        "auth_dropped_late_total",
        "auth_dropped_queue_full_total",
        "auth_jwks_keys",
        "auth_ready",
        "auth_server_refusals_heard",
        "auth_server_refusals_total{reason=\"timeout\"}",
        "auth_server_refusals_total{reason=\"refused\"}",
        "auth_server_refusals_total{reason=\"other\"}",
        "auth_credential_expires_timestamp_seconds{credential=\"mtls_ca\"}",
        "auth_credential_expires_timestamp_seconds{credential=\"nats_tls_ca\"}",
        "auth_credential_expires_timestamp_seconds{credential=\"nats_tls_cert\"}",
        "auth_credential_expires_timestamp_seconds{credential=\"nats_creds\"}",
    };
    for (size_t i = 0; i < EB_COUNT_OF(names); i++)
        if (fx_metric(names[i]) < 0)
            fail_msg("%s is missing", names[i]);
    for (enum eb_rc rc = (enum eb_rc)(EB_OK + 1); rc < EB_RC_MAX_; rc++) {
        char series[120];
        (void)snprintf(series, sizeof series, "auth_oauth2_failures_total{reason=\"%s\"}", eb_rc_name(rc));
        if ((fx_metric(series) < 0) != eb_rc_local(rc))
            fail_msg("%s is %s", series, eb_rc_local(rc) ? "there, and no request can have it" : "missing");
    }
}

static void counts(void **state) {
    (void)state;
    int64_t before = fx_metric("auth_mtls_attempts_total"),
            failures = fx_metric("auth_mtls_failures_total{reason=\"cert_expired\"}");
    eb_count_attempt(EB_METHOD_MTLS, EB_OK);
    eb_count_attempt(EB_METHOD_MTLS, EB_E_CERT_EXPIRED);
    assert_int_equal(fx_metric("auth_mtls_attempts_total"), before + 2);
    assert_int_equal(fx_metric("auth_mtls_failures_total{reason=\"cert_expired\"}"), failures + 1);
    before = fx_metric("auth_requests_total");
    eb_count_n(EB_C_REQUESTS, 41);
    eb_count(EB_C_REQUESTS);
    assert_int_equal(fx_metric("auth_requests_total"), before + 42);
    eb_gauge_set(EB_G_QUEUE_DEPTH, 5);
    eb_gauge_add(EB_G_QUEUE_DEPTH, -2);
    assert_int_equal(fx_metric("auth_queue_depth"), 3);
}

static void buckets(void **state) {
    (void)state;
    static const struct {
        int64_t ns;
        const char *le, *below; /* the first bucket that holds it, and the last that does not */
    } rows[] = {
        {0, "0.0001", NULL},
        {100000, "0.0001", NULL},
        {100001, "0.00025", "0.0001"},
        {1000000, "0.001", "0.0005"},
        {2000000000, "2.5", "1"},
        {2500000001, "+Inf", "2.5"},
        {INT64_C(9000000000), "+Inf", "2.5"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        char in[100], out[100];
        (void)snprintf(in, sizeof in, "auth_request_duration_seconds_bucket{le=\"%s\"}", rows[i].le);
        (void)snprintf(out, sizeof out, "auth_request_duration_seconds_bucket{le=\"%s\"}",
                       rows[i].below ? rows[i].below : "");
        int64_t a = fx_metric(in), b = fx_metric(out), n = fx_metric("auth_request_duration_seconds_count");
        assert_true(a >= 0);
        eb_observe_ns(rows[i].ns);
        assert_int_equal(fx_metric(in), a + 1);
        assert_int_equal(fx_metric("auth_request_duration_seconds_count"), n + 1);
        if (rows[i].below)
            assert_int_equal(fx_metric(out), b);
    }
    eb_observe_ns(-5); /* a clock that went astray must not take the sum down */
    assert_true(fx_metric("auth_request_duration_seconds_sum") >= 13);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed),
        cmocka_unit_test(everything_is_there_from_the_start),
        cmocka_unit_test(counts),
        cmocka_unit_test(buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
