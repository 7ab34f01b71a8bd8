#include "metrics.h"

#include <stdio.h>
#include <unistd.h>

#include "log.h"

static const struct {
    const char *name, *help;
} counter_rows[EB_C_MAX_] = {
    [EB_C_REQUESTS] = {"auth_requests_total", "Auth callout requests that arrived."},
    [EB_C_ERRORS] = {"auth_errors_total", "Requests that did not end in an admission, for whatever reason."},
    [EB_C_DROPPED_LATE] = {"auth_dropped_late_total",
                           "Requests dropped because their budget had passed; the client is gone."},
    [EB_C_DROPPED_FULL] =
        {"auth_dropped_queue_full_total",
         "Requests dropped because too many waited: for a worker (oldest first), or for an answer."},
    [EB_C_DROPPED_MQTT] =
        {"auth_dropped_mqtt_closed_total",
         "MQTT logins dropped because the site's streams were not known to be as specified."},
    [EB_C_DROPPED_STOP] =
        {"auth_dropped_stopping_total",
         "Requests dropped as the service ended: they waited, or there was no time for them."},
    [EB_C_PERM_RELOADS] = {"auth_permissions_reloads_total", "Permissions documents taken into force."},
    [EB_C_PERM_FAILURES] = {"auth_permissions_reload_failures_total",
                            "Permissions documents refused; the old one stays in force."},
    [EB_C_CONFIG_FAILURES] = {"auth_config_reload_failures_total",
                              "Configurations refused at a reload; the old one stays in force."},
    [EB_C_CA_FAILURES] = {"auth_ca_reload_failures_total", "CA files refused; the old one stays in force."},
    [EB_C_SEED_FAILURES] = {"auth_seed_reload_failures_total",
                            "Seed files refused; the old seeds stay in force."},
    [EB_C_SPECS_FAILURES] = {"auth_mqtt_streams_reload_failures_total",
                             "Files of stream definitions refused; the old ones stay in force."},
    [EB_C_JWKS_FETCHES] = {"auth_jwks_fetches_total", "Fetches of a key set."},
    [EB_C_JWKS_FAILURES] = {"auth_jwks_fetch_failures_total",
                            "Fetches of a key set that failed; the old one stays in use."},
    [EB_C_LINK_LOST] = {"auth_nats_link_lost_total", "Times that a link to NATS was lost."},
    [EB_C_LINK_REBUILT] = {"auth_nats_link_rebuilt_total",
                           "Times that a link to NATS was closed for good and built anew."},
    [EB_C_PARKED] =
        {"auth_parked_total",
         "Times that a request waited for a key, a ServiceAccount, a TokenReview or the state of the "
         "site's streams."},
    [EB_C_PUBLISH_FAILURES] = {"auth_answer_failures_total", "Answers that could not be handed to NATS."},
};

static const struct {
    const char *name, *help;
} gauge_rows[EB_G_MAX_] = {
    [EB_G_READY] = {"auth_ready", "1 while /readyz answers 200."},
    [EB_G_LINKS_UP] = {"auth_nats_links_up", "Links to NATS whose subscription the server has confirmed."},
    [EB_G_MQTT_OPEN] = {"auth_mqtt_gate_open",
                        "1 while MQTT logins are answered: always without mqtt.streams-file."},
    [EB_G_REFUSALS_HEARD] = {"auth_server_refusals_heard",
                             "1 while the servers tell us what logins they refuse: never without "
                             "observability.metrics.server-refusals."},
    [EB_G_QUEUE_DEPTH] = {"auth_queue_depth", "Requests waiting for a worker."},
    [EB_G_JWKS_KEYS] = {"auth_jwks_keys", "Usable keys of the provider."},
    [EB_G_JWKS_FETCHED] = {"auth_jwks_last_success_timestamp_seconds",
                           "When the key set was last fetched or read; 0 for never."},
    [EB_G_POLICY_ENTRIES] = {"auth_permissions_entries", "Entries of the permissions document in force."},
    [EB_G_POLICY_LOADED] = {"auth_permissions_loaded_timestamp_seconds",
                            "When the document in force was loaded."},
};

static const char *const credential_names[EB_CRED_MAX_] = {
    [EB_CRED_MTLS_CA] = "mtls_ca",
    [EB_CRED_NATS_TLS_CA] = "nats_tls_ca",
    [EB_CRED_NATS_TLS_CERT] = "nats_tls_cert",
    [EB_CRED_NATS_CREDS] = "nats_creds",
};

static const char *const method_names[EB_METHOD_MAX_] = {"none", "oauth2", "mtls",
                                                         "nkey", "noauth", "kubernetes"};

static const char *const refusal_reasons[EB_REFUSAL_MAX_] = {
    [EB_REFUSAL_TIMEOUT] = "timeout", [EB_REFUSAL_REFUSED] = "refused", [EB_REFUSAL_OTHER] = "other"};

static const char *const span_results[EB_SPANS_MAX_] = {[EB_SPANS_EXPORTED] = "exported",
                                                        [EB_SPANS_REJECTED] = "rejected",
                                                        [EB_SPANS_DROPPED] = "dropped",
                                                        [EB_SPANS_FAILED] = "failed"};

static _Atomic uint64_t counters[EB_C_MAX_];
static _Atomic int64_t gauges[EB_G_MAX_];
static _Atomic int64_t credentials[EB_CRED_MAX_];
static _Atomic uint64_t invalid[EB_RC_MAX_];
static _Atomic uint64_t refusals[EB_REFUSAL_MAX_];
static _Atomic uint64_t spans[EB_SPANS_MAX_];
static _Atomic uint64_t attempts[EB_METHOD_MAX_];
static _Atomic uint64_t failures[EB_METHOD_MAX_][EB_RC_MAX_];

/* Upper bounds of the duration histogram in microseconds. */
static const int64_t bounds_us[] = {100,   250,   500,    1000,   2500,   5000,    10000,
                                    25000, 50000, 100000, 250000, 500000, 1000000, 2500000};
static _Atomic uint64_t buckets[EB_COUNT_OF(bounds_us) + 1];
static _Atomic uint64_t duration_sum_ns;

const char *eb_method_name(enum eb_method m) {
    return m < EB_METHOD_MAX_ ? method_names[m] : "none";
}

void eb_count_n(enum eb_counter c, uint64_t n) {
    atomic_fetch_add_explicit(&counters[c], n, memory_order_relaxed);
}

void eb_count(enum eb_counter c) {
    eb_count_n(c, 1);
}

uint64_t eb_counter_get(enum eb_counter c) {
    return atomic_load_explicit(&counters[c], memory_order_relaxed);
}

void eb_gauge_set(enum eb_gauge g, int64_t v) {
    atomic_store_explicit(&gauges[g], v, memory_order_relaxed);
}

void eb_gauge_add(enum eb_gauge g, int64_t v) {
    atomic_fetch_add_explicit(&gauges[g], v, memory_order_relaxed);
}

int64_t eb_gauge_get(enum eb_gauge g) {
    return atomic_load_explicit(&gauges[g], memory_order_relaxed);
}

void eb_credential_until(enum eb_credential c, int64_t until_s) {
    atomic_store_explicit(&credentials[c], until_s > 0 ? until_s : 0, memory_order_relaxed);
}

void eb_count_invalid(enum eb_rc reason) {
    atomic_fetch_add_explicit(&invalid[reason], 1, memory_order_relaxed);
}

void eb_count_attempt(enum eb_method m, enum eb_rc reason) {
    atomic_fetch_add_explicit(&attempts[m], 1, memory_order_relaxed);
    if (reason != EB_OK)
        atomic_fetch_add_explicit(&failures[m][reason], 1, memory_order_relaxed);
}

void eb_count_refusal(enum eb_refusal why) {
    atomic_fetch_add_explicit(&refusals[why], 1, memory_order_relaxed);
}

uint64_t eb_refusals_get(enum eb_refusal why) {
    return atomic_load_explicit(&refusals[why], memory_order_relaxed);
}

void eb_count_spans(enum eb_spans what, uint64_t n) {
    atomic_fetch_add_explicit(&spans[what], n, memory_order_relaxed);
}

uint64_t eb_spans_get(enum eb_spans what) {
    return atomic_load_explicit(&spans[what], memory_order_relaxed);
}

void eb_observe_ns(int64_t ns) {
    size_t i = 0;
    while (i < EB_COUNT_OF(bounds_us) && ns > bounds_us[i] * 1000)
        i++;
    atomic_fetch_add_explicit(&buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&duration_sum_ns, ns > 0 ? (uint64_t)ns : 0, memory_order_relaxed);
}

uint64_t eb_observed_ns(void) {
    return atomic_load_explicit(&duration_sum_ns, memory_order_relaxed);
}

static void head(struct eb_buf *to, const char *name, const char *help, const char *type) {
    eb_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void render_failures(struct eb_buf *to, enum eb_method m) {
    char name[64], help[120];
    (void)snprintf(name, sizeof name, "auth_%s_attempts_total", method_names[m]);
    (void)snprintf(help, sizeof help, "Requests decided by the method %s.", method_names[m]);
    head(to, name, help, "counter");
    eb_buf_printf(to, "%s %llu\n", name, (unsigned long long)atomic_load(&attempts[m]));
    (void)snprintf(name, sizeof name, "auth_%s_failures_total", method_names[m]);
    (void)snprintf(help, sizeof help, "Requests that the method %s refused, by reason.", method_names[m]);
    head(to, name, help, "counter");
    for (enum eb_rc rc = (enum eb_rc)(EB_OK + 1); rc < EB_RC_MAX_; rc++)
        if (!eb_rc_local(rc))
            eb_buf_printf(to, "%s{reason=\"%s\"} %llu\n", name, eb_rc_name(rc),
                          (unsigned long long)atomic_load(&failures[m][rc]));
}

static void render_duration(struct eb_buf *to) {
    const char *name = "auth_request_duration_seconds";
    head(to, name, "From the arrival of a request to its answer.", "histogram");
    uint64_t sum = 0;
    for (size_t i = 0; i < EB_COUNT_OF(buckets); i++) {
        sum += atomic_load(&buckets[i]);
        if (i < EB_COUNT_OF(bounds_us))
            eb_buf_printf(to, "%s_bucket{le=\"%g\"} %llu\n", name, (double)bounds_us[i] / 1e6,
                          (unsigned long long)sum);
        else
            eb_buf_printf(to, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)sum);
    }
    eb_buf_printf(to, "%s_sum %.9f\n%s_count %llu\n", name, (double)atomic_load(&duration_sum_ns) / 1e9, name,
                  (unsigned long long)sum);
}

static void render_refusals(struct eb_buf *to) {
    const char *name = "auth_server_refusals_total";
    head(to, name,
         "Logins that a server refused, as it tells, by why; each is told to one process of the site.",
         "counter");
    for (size_t i = 0; i < EB_REFUSAL_MAX_; i++)
        eb_buf_printf(to, "%s{reason=\"%s\"} %llu\n", name, refusal_reasons[i],
                      (unsigned long long)eb_refusals_get((enum eb_refusal)i));
}

static void render_spans(struct eb_buf *to) {
    const char *name = "auth_trace_spans_total";
    head(to, name, "Spans of callouts, by what became of them; 0 while tracing is off.", "counter");
    for (size_t i = 0; i < EB_SPANS_MAX_; i++)
        eb_buf_printf(to, "%s{result=\"%s\"} %llu\n", name, span_results[i],
                      (unsigned long long)eb_spans_get((enum eb_spans)i));
}

static void render_process(struct eb_buf *to) {
    long pages_all = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%ld %ld", &pages_all, &pages) != 2)
            pages = 0;
        (void)fclose(f);
    }
    head(to, "process_resident_memory_bytes", "Resident memory size in bytes.", "gauge");
    eb_buf_printf(to, "process_resident_memory_bytes %lld\n", (long long)pages * sysconf(_SC_PAGESIZE));
    head(to, "auth_log_lines_dropped_total", "Log lines dropped because stderr was not read.", "counter");
    eb_buf_printf(to, "auth_log_lines_dropped_total %llu\n", (unsigned long long)eb_log_dropped());
}

void eb_metrics_render(struct eb_buf *to) {
    for (size_t i = 0; i < EB_C_MAX_; i++) {
        head(to, counter_rows[i].name, counter_rows[i].help, "counter");
        eb_buf_printf(to, "%s %llu\n", counter_rows[i].name,
                      (unsigned long long)eb_counter_get((enum eb_counter)i));
    }
    for (size_t i = 0; i < EB_G_MAX_; i++) {
        head(to, gauge_rows[i].name, gauge_rows[i].help, "gauge");
        eb_buf_printf(to, "%s %lld\n", gauge_rows[i].name, (long long)eb_gauge_get((enum eb_gauge)i));
    }
    head(to, "auth_credential_expires_timestamp_seconds",
         "When a certificate or JWT that is in use ends, the first of several; 0 for none or no end.",
         "gauge");
    for (size_t i = 0; i < EB_CRED_MAX_; i++)
        eb_buf_printf(to, "auth_credential_expires_timestamp_seconds{credential=\"%s\"} %lld\n",
                      credential_names[i], (long long)atomic_load(&credentials[i]));
    head(to, "auth_invalid_requests_total", "Requests refused before any method was chosen, by reason.",
         "counter");
    for (enum eb_rc rc = (enum eb_rc)(EB_OK + 1); rc < EB_RC_MAX_; rc++)
        if (!eb_rc_local(rc))
            eb_buf_printf(to, "auth_invalid_requests_total{reason=\"%s\"} %llu\n", eb_rc_name(rc),
                          (unsigned long long)atomic_load(&invalid[rc]));
    for (enum eb_method m = EB_METHOD_OAUTH2; m < EB_METHOD_MAX_; m++)
        render_failures(to, m);
    render_duration(to);
    render_refusals(to);
    render_spans(to);
    render_process(to);
}
