/* Documents exchanged while callouts run: a bad new one never replaces a good one, failures are counted,
 * reasons told. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

#define POLICY_A "noauth: {account: CSC, permissions: {pub: {allow: [a]}}}\n"
#define POLICY_B "noauth: {account: CSC, permissions: {pub: {allow: [b]}}}\n"

static struct fx_dir dir;
static struct fx_world world;
static char *ca, *ca2, *leaf, *leaf2;

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    EVP_PKEY *k1 = mint_key("P-256", 0), *k2 = mint_key("P-256", 0), *lk = mint_key("P-256", 0);
    ca = fx_cert(&(struct fx_cert){.cn = "one", .ca = true, .from_s = -10, .until_s = 1000}, k1, NULL);
    ca2 = fx_cert(&(struct fx_cert){.cn = "two", .ca = true, .from_s = -10, .until_s = 500}, k2, NULL);
    leaf = fx_cert(&(struct fx_cert){.cn = "device", .issuer_cn = "one", .from_s = -10, .until_s = 1000}, lk,
                   k1);
    leaf2 = fx_cert(&(struct fx_cert){.cn = "device", .issuer_cn = "two", .from_s = -10, .until_s = 1000}, lk,
                    k2);
    EVP_PKEY_free(k1);
    EVP_PKEY_free(k2);
    EVP_PKEY_free(lk);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char *texts[] = {ca, ca2, leaf, leaf2};
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++)
        free(texts[i]);
    fx_dir_remove(&dir);
    return 0;
}

static int open_world(void **state) {
    (void)state;
    fx_write(&dir, FX_POLICY, POLICY_A);
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    fx_write(&dir, FX_CA, ca);
    fx_world_open(&world, &dir, NULL);
    return 0;
}

static int close_world(void **state) {
    (void)state;
    fx_world_close(&world);
    return 0;
}

/* The first subject that an anonymous client may publish. */
static void expect_allowed(struct fx_world *w, const char *want) {
    struct fx_answer a = fx_ask(w, &(struct fx_request){.host = "127.0.0.1"});
    assert_null(a.error);
    const json_t *allow = json_object_get(json_object_get(a.user.nats, "pub"), "allow");
    assert_string_equal(json_string_value(json_array_get(allow, 0)), want);
    fx_answer_done(&a);
}

static void permissions(void **state) {
    (void)state;
    expect_allowed(&world, "a");
    int64_t good = fx_metric("auth_permissions_reloads_total"),
            bad = fx_metric("auth_permissions_reload_failures_total");
    fx_write(&dir, FX_POLICY, POLICY_B);
    expect_allowed(&world, "a"); /* nothing happens by itself here */
    eb_auto_findings struct eb_findings f = {0};
    assert_int_equal(eb_live_reload_policy(world.live, &f), EB_OK);
    expect_allowed(&world, "b");
    assert_int_equal(fx_metric("auth_permissions_reloads_total"), good + 1);
    static const char *const broken[] = {
        "noauth: {account: CSC, permissions: {pub: {allow: [a..b]}}}\n",
        "noauth: {acount: CSC}\n",
        "noauth: [",
        "noauth: {account: SYS}\n",
        "- 1\n",
        "\xff\xfe",
        "nkey: {x: {public_key: UAAA, account: CSC}}\n",
    };
    for (size_t i = 0; i < EB_COUNT_OF(broken); i++) {
        eb_auto_findings struct eb_findings g = {0};
        fx_write(&dir, FX_POLICY, broken[i]);
        if (eb_live_reload_policy(world.live, &g) == EB_OK || g.errors == 0)
            fail_msg("taken: %s", broken[i]);
        expect_allowed(&world, "b");
        assert_int_equal(fx_metric("auth_permissions_reload_failures_total"), bad + (int64_t)i + 1);
    }
    eb_auto_findings struct eb_findings h = {0};
    (void)remove(fx_path(&dir, FX_POLICY)); /* gone altogether */
    assert_int_not_equal(eb_live_reload_policy(world.live, &h), EB_OK);
    assert_true(h.errors > 0);
    expect_allowed(&world, "b");
    assert_int_equal(fx_metric("auth_permissions_reloads_total"), good + 1);
    fx_write(&dir, FX_POLICY, POLICY_A);
    assert_int_equal(eb_live_reload_policy(world.live, &h), EB_OK);
    expect_allowed(&world, "a");
}

static enum eb_rc by_cert(const char *chain_leaf) {
    struct fx_answer a =
        fx_ask(&world, &(struct fx_request){.chain = (const char *const[]){chain_leaf, NULL}});
    enum eb_rc rc = a.reason;
    fx_answer_done(&a);
    return rc;
}

/* The metric says what is in force: the earliest end of the CAs, from_s seconds from now, give or take the
 * test's own time. */
static bool cas_end_in(int64_t from_s) {
    int64_t left =
        fx_metric("auth_credential_expires_timestamp_seconds{credential=\"mtls_ca\"}") - (int64_t)time(NULL);
    return left <= from_s && left > from_s - 60;
}

static void cas(void **state) {
    (void)state;
    eb_auto_findings struct eb_findings f = {0};
    assert_int_equal(by_cert(leaf),
                     EB_E_UNKNOWN_IDENTITY); /* trusted, no entry: enough to tell the two apart */
    assert_int_equal(by_cert(leaf2), EB_E_CERT_UNTRUSTED);
    assert_true(cas_end_in(1000));
    eb_auto_buf struct eb_buf both = {0};
    eb_buf_printf(&both, "%s%s", ca, ca2);
    fx_write(&dir, FX_CA, both.p);
    assert_int_equal(eb_live_reload_cas(world.live, &f), EB_OK);
    assert_int_equal(by_cert(leaf), EB_E_UNKNOWN_IDENTITY);
    assert_int_equal(by_cert(leaf2), EB_E_UNKNOWN_IDENTITY);
    assert_true(cas_end_in(500)); /* the one that ends first, wherever it stands in the file */
    fx_write(&dir, FX_CA, ca2);   /* the first is dropped: its clients too, remembered chains included */
    assert_int_equal(eb_live_reload_cas(world.live, &f), EB_OK);
    assert_int_equal(by_cert(leaf), EB_E_CERT_UNTRUSTED);
    assert_int_equal(by_cert(leaf2), EB_E_UNKNOWN_IDENTITY);
    int64_t bad = fx_metric("auth_ca_reload_failures_total");
    const char *const broken[] = {"", "no PEM",
                                  "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                                  "-----BEGIN CERTIFICATE-----\n",
                                  leaf2}; /* a client's certificate: nobody could have one of its making */
    for (size_t i = 0; i < EB_COUNT_OF(broken); i++) {
        eb_auto_findings struct eb_findings g = {0};
        fx_write(&dir, FX_CA, broken[i]);
        assert_int_not_equal(eb_live_reload_cas(world.live, &g), EB_OK);
        assert_true(g.errors == 1);
        assert_int_equal(by_cert(leaf2), EB_E_UNKNOWN_IDENTITY);
        assert_int_equal(fx_metric("auth_ca_reload_failures_total"), bad + (int64_t)i + 1);
        assert_true(cas_end_in(500));
    }
}

static enum eb_outcome by_issuer(const char *issuer) {
    struct fx_answer a = fx_ask(&world, &(struct fx_request){.issuer = issuer});
    enum eb_outcome outcome = a.outcome;
    fx_answer_done(&a);
    return outcome;
}

static void seeds(void **state) {
    (void)state;
    eb_auto_findings struct eb_findings f = {0};
    assert_int_equal(by_issuer(ACCOUNT_R0), EB_ANSWER);
    assert_int_equal(by_issuer(ACCOUNT_R1), EB_DROP);
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n" ACCOUNT_R1_SEED "\n"); /* rotation: add */
    assert_int_equal(eb_live_reload_seeds(world.live, &f), EB_OK);
    assert_int_equal(by_issuer(ACCOUNT_R0), EB_ANSWER);
    assert_int_equal(by_issuer(ACCOUNT_R1), EB_ANSWER);
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R1_SEED "\n"); /* drop the old */
    assert_int_equal(eb_live_reload_seeds(world.live, &f), EB_OK);
    assert_int_equal(by_issuer(ACCOUNT_R0), EB_DROP);
    assert_int_equal(by_issuer(ACCOUNT_R1), EB_ANSWER);
    int64_t bad = fx_metric("auth_seed_reload_failures_total");
    fx_write(&dir, FX_ISSUERS, USER_R0_SEED "\n");
    eb_auto_findings struct eb_findings g = {0};
    assert_int_equal(eb_live_reload_seeds(world.live, &g), EB_E_INVALID);
    assert_int_equal(fx_metric("auth_seed_reload_failures_total"), bad + 1);
    assert_int_equal(by_issuer(ACCOUNT_R1), EB_ANSWER);
}

/* A whole new configuration: all or nothing. */
static void reconfigure(void **state) {
    (void)state;
    eb_auto_findings struct eb_findings f = {0};
    char issuer[300], policy[300], missing[300];
    fx_write(&dir, "other.yaml", POLICY_B);
    (void)snprintf(issuer, sizeof issuer, "--nats.issuer-seed-file=%s", fx_path(&dir, FX_ISSUERS));
    (void)snprintf(policy, sizeof policy, "--permissions.file=%s", fx_path(&dir, "other.yaml"));
    (void)snprintf(missing, sizeof missing, "--mtls.ca-path=%s", fx_path(&dir, "absent.pem"));
    struct eb_config *c = fx_config((const char *const[]){issuer, policy, missing, NULL}, &f);
    assert_non_null(c);
    assert_int_not_equal(eb_live_reconfigure(world.live, c, &f), EB_OK); /* a good document, but no CA file */
    expect_allowed(&world, "a");
    eb_auto_findings struct eb_findings g = {0};
    c = fx_config((const char *const[]){issuer, policy, NULL}, &g);
    assert_int_equal(eb_live_reconfigure(world.live, c, &g), EB_OK);
    expect_allowed(&world, "b");
    assert_int_equal(by_cert(leaf2), EB_E_METHOD_OFF); /* mtls.ca-path went away with it */
}

static struct eb_config *without_document(const char *prefix) {
    char issuer[300], jwks[300], more[100];
    eb_auto_findings struct eb_findings f = {0};
    (void)snprintf(issuer, sizeof issuer, "--nats.issuer-seed-file=%s", fx_path(&dir, FX_ISSUERS));
    (void)snprintf(jwks, sizeof jwks, "--kubernetes.jwks-path=%s", fx_path(&dir, FX_ISSUERS));
    (void)snprintf(more, sizeof more, "--kubernetes.subject-prefix=%s", prefix);
    return fx_config((const char *const[]){issuer, jwks, more, "--kubernetes.api-url=http://127.0.0.1:1",
                                           "--kubernetes.issuer=https://k.example",
                                           "--kubernetes.account=CSC", NULL},
                     &f);
}

static void put_document(const char *text) {
    if (!text) {
        assert_int_equal(unlink(EB_CONFIG_PERMISSIONS), 0);
        return;
    }
    FILE *f = fopen(EB_CONFIG_PERMISSIONS, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void expect_entries(struct eb_live *l, size_t n) {
    EB_CLEANUP(eb_view_done) struct eb_view v = {0};
    eb_live_view(l, &v);
    assert_int_equal(eb_policy_count(v.policy, EB_POLICY_NOAUTH), n);
}

/* With Kubernetes the document of the default path may be absent from the start on, but not go away. */
static void a_document_that_goes_is_no_empty_one(void **state) {
    (void)state;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/etc", "tmpfs", 0, NULL) != 0 || mkdir("/etc/auth-callout", 0755) != 0) {
        print_message("left out: a /etc of its own, which takes root\n");
        skip();
    }
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    eb_auto_findings struct eb_findings f = {0}, quiet = {0}, bad = {0};
    eb_auto_buf struct eb_buf told = {0};
    struct eb_live *l = NULL;
    assert_int_equal(eb_live_new(without_document("k8s."), &l, &f), EB_OK);
    assert_int_equal(f.warnings, 1);
    eb_findings_print(&f, &told);
    assert_non_null(strstr(told.p, EB_CONFIG_PERMISSIONS));
    expect_entries(l, 0);
    assert_int_equal(eb_live_reload_policy(l, &quiet), EB_OK); /* none was ever there */
    assert_int_equal(eb_live_reconfigure(l, without_document("k8s."), &quiet), EB_OK);
    assert_int_equal(quiet.n, 0);
    put_document("{\"noauth\": {\"account\": \"CSC\"}}");
    assert_int_equal(eb_live_reload_policy(l, &quiet), EB_OK);
    expect_entries(l, 1);
    int64_t failures = fx_metric("auth_permissions_reload_failures_total");
    put_document(NULL);
    assert_int_not_equal(eb_live_reload_policy(l, &bad), EB_OK);
    assert_int_not_equal(eb_live_reconfigure(l, without_document("k8s."), &bad), EB_OK);
    assert_int_equal(bad.errors, 2);
    assert_int_equal(fx_metric("auth_permissions_reload_failures_total"), failures + 2);
    expect_entries(l, 1);
    /* What would not let it start again is refused as a reload, too. */
    put_document("{\"noauth\": {\"account\": \"CSC\"}}");
    eb_auto_findings struct eb_findings prefix = {0};
    assert_int_equal(eb_live_reconfigure(l, without_document("$JS."), &prefix), EB_E_INVALID);
    eb_buf_reset(&told);
    eb_findings_print(&prefix, &told);
    assert_non_null(strstr(told.p, "kubernetes.subject-prefix"));
    assert_int_equal(eb_live_reconfigure(l, without_document("k8s."), &quiet), EB_OK);
    eb_live_free(l);
}

static void every_fault_is_told_at_once(void **state) {
    (void)state;
    eb_auto_findings struct eb_findings f = {0};
    struct eb_live *l = NULL;
    struct eb_config *c = fx_config((const char *const[]){"--nats.issuer-seed-file=/nonexistent/a",
                                                          "--permissions.file=/nonexistent/b",
                                                          "--mtls.ca-path=/nonexistent/c", NULL},
                                    &f);
    assert_int_not_equal(eb_live_new(c, &l, &f), EB_OK);
    assert_null(l);
    eb_auto_buf struct eb_buf told = {0};
    eb_findings_print(&f, &told);
    assert_non_null(strstr(told.p, "/nonexistent/a"));
    assert_non_null(strstr(told.p, "/nonexistent/b"));
    assert_non_null(strstr(told.p, "/nonexistent/c"));
    eb_auto_findings struct eb_findings g = {0};
    c = fx_config((const char *const[]){"--nats.issuer-seed-file=/nonexistent/a",
                                        "--jwks.signing-algorithms=RS256,HS256", NULL},
                  &g);
    assert_int_equal(eb_live_new(c, &l, &g), EB_E_INVALID);
    eb_buf_reset(&told);
    eb_findings_print(&g, &told);
    assert_non_null(strstr(told.p, "HS256"));
    assert_non_null(strstr(told.p, "jwks.signing-algorithms"));
}

static _Atomic bool stop;

static void *asker(void *arg) {
    (void)arg;
    struct eb_callout_scratch scratch = {0};
    eb_auto_buf struct eb_buf reply = {0}, text = {0};
    fx_request(&(struct fx_request){.host = "127.0.0.1", .budget_s = 100}, &text);
    size_t n = 0;
    while (!atomic_load(&stop)) {
        struct timespec t;
        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        struct eb_callout_in in = {.payload = eb_buf_get(&text),
                                   .arrived_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec};
        struct eb_wait until = {0};
        MINT_MUST(eb_callout_run(&world.callout, &in, &scratch, &reply, &until) == EB_ANSWER);
        n++;
    }
    eb_callout_scratch_done(&scratch);
    return (void *)n;
}

/* Reloads under load: every callout is answered by one of the two documents. */
static void under_load(void **state) {
    (void)state;
    pthread_t threads[3];
    atomic_store(&stop, false);
    for (size_t i = 0; i < EB_COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, asker, NULL), 0);
    for (int i = 0; i < 60; i++) {
        eb_auto_findings struct eb_findings f = {0};
        fx_write(&dir, FX_POLICY, i % 3 == 0 ? POLICY_A : i % 3 == 1 ? POLICY_B : "broken: [");
        (void)!eb_live_reload_policy(world.live, &f);
        (void)!eb_live_reload_cas(world.live, &f);
        (void)!eb_live_reload_seeds(world.live, &f);
        assert_int_equal(f.errors > 0, i % 3 == 2);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < EB_COUNT_OF(threads); i++) {
        void *n;
        assert_int_equal(pthread_join(threads[i], &n), 0);
        assert_true((size_t)n > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(permissions, open_world, close_world),
        cmocka_unit_test_setup_teardown(cas, open_world, close_world),
        cmocka_unit_test_setup_teardown(seeds, open_world, close_world),
        cmocka_unit_test_setup_teardown(reconfigure, open_world, close_world),
        cmocka_unit_test(every_fault_is_told_at_once),
        cmocka_unit_test_setup_teardown(under_load, open_world, close_world),
        cmocka_unit_test(a_document_that_goes_is_no_empty_one), /* last: it hides /etc */
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
