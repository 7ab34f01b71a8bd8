/* Changed files come into force by themselves, alone and together; a broken one holds back nothing but
 * itself. */
#include <poll.h>
#include <stdio.h>

#include "fixture.h"
#include "log.h"
#include "reloader.h"

#define POLICY(allow) "noauth: {account: CSC, permissions: {pub: {allow: [" allow "]}}}\n"

static struct fx_dir dir;
static struct fx_world world;
static struct eb_reloader *reloader;
static char config_flag[300];
static struct eb_config *started;
static const char *extra; /* a line of the configuration besides */

static void write_config(void) {
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_printf(&b,
                  "permissions: {file: %s/" FX_POLICY "}\nnats: {issuer-seed-file: %s/" FX_ISSUERS "}\n%s\n",
                  dir.path, dir.path, extra ? extra : "");
    fx_write(&dir, "config.yaml", b.p);
}

static enum eb_rc reread(void *ctx, struct eb_config **ret, struct eb_findings *f) {
    assert_ptr_equal(ctx, &dir);
    char *argv[] = {config_flag};
    return eb_config_load(1, argv, ret, f);
}

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    extra = NULL;
    (void)snprintf(config_flag, sizeof config_flag, "--config=%s", fx_path(&dir, "config.yaml"));
    fx_write(&dir, FX_POLICY, POLICY("a"));
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n");
    write_config();
    int64_t since = eb_watch_now_ns();
    fx_world_open(&world, &dir, NULL);
    eb_auto_findings struct eb_findings f = {0};
    if (reread(&dir, &started, &f) != EB_OK)
        return -1;
    eb_auto_free char *path = eb_str_dup(eb_str(fx_path(&dir, "config.yaml")));
    struct eb_reloader_options opt = {.live = world.live,
                                      .started = started,
                                      .config_path = path,
                                      .since_ns = since,
                                      .reread = reread,
                                      .ctx = &dir};
    eb_log_set_level("error");
    fx_stderr_begin(); /* what is refused is logged as an error */
    return eb_reloader_start(&opt, &reloader, NULL) == EB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    eb_reloader_stop(reloader);
    free(fx_stderr_end());
    eb_config_free(started);
    fx_world_close(&world);
    fx_dir_remove(&dir);
    return 0;
}

/* The first subject that an anonymous client may publish; "?" for none. */
static void allowed(char to[32]) {
    struct fx_answer a = fx_ask(&world, &(struct fx_request){.host = "127.0.0.1"});
    const json_t *allow = a.error ? NULL : json_object_get(json_object_get(a.user.nats, "pub"), "allow");
    const char *s = json_string_value(json_array_get(allow, 0));
    (void)snprintf(to, 32, "%s", s ? s : "?");
    fx_answer_done(&a);
}

static bool is_allowed(void *ctx) {
    char now[32];
    allowed(now);
    return strcmp(now, ctx) == 0;
}

static void expect(const char *what, const char *subject) {
    char want[32];
    (void)snprintf(want, sizeof want, "%s", subject);
    if (!fx_wait(is_allowed, want, 4000)) { /* a second is the bar; more is left to a loaded machine */
        char now[32];
        allowed(now);
        fail_msg("%s: %s is in force, not %s", what, now, subject);
    }
}

static bool takes_r1(void *ctx) {
    (void)ctx;
    struct fx_answer a = fx_ask(&world, &(struct fx_request){.issuer = ACCOUNT_R1});
    bool answered = a.outcome == EB_ANSWER;
    fx_answer_done(&a);
    return answered;
}

static bool counted(void *ctx) {
    const struct {
        const char *series;
        int64_t more_than;
    } *want = ctx;
    return fx_metric(want->series) > want->more_than;
}

static void expect_counted(const char *series, int64_t before) {
    struct {
        const char *series;
        int64_t more_than;
    } want = {series, before};
    if (!fx_wait(counted, &want, 4000))
        fail_msg("%s stayed at %lld", series, (long long)before);
}

static void single_files(void **state) {
    (void)state;
    expect("at the start", "a");
    fx_write(&dir, FX_POLICY, POLICY("b"));
    expect("the document", "b");
    fx_write(&dir, FX_ISSUERS, ACCOUNT_R0_SEED "\n" ACCOUNT_R1_SEED "\n");
    assert_true(fx_wait(takes_r1, NULL, 4000));
    int64_t bad = fx_metric("auth_permissions_reload_failures_total");
    fx_write(&dir, FX_POLICY, "broken: [");
    expect_counted("auth_permissions_reload_failures_total", bad);
    expect("a broken document", "b");
    fx_write(&dir, FX_POLICY, POLICY("c"));
    expect("mended", "c");
}

static void the_configuration(void **state) {
    (void)state;
    fx_write(&dir, "other.yaml", POLICY("other"));
    eb_auto_buf struct eb_buf b = {0};
    eb_buf_printf(&b, "permissions: {file: %s/other.yaml}\nnats: {issuer-seed-file: %s/" FX_ISSUERS "}\n",
                  dir.path, dir.path);
    fx_write(&dir, "config.yaml", b.p);
    expect("another document is named", "other");
    fx_write(&dir, "other.yaml", POLICY("newer"));
    expect("and watched", "newer");
    int64_t bad = fx_metric("auth_config_reload_failures_total");
    fx_write(&dir, "config.yaml", "permisions: {file: x}\n");
    expect_counted("auth_config_reload_failures_total", bad);
    expect("a broken configuration", "newer");
    fx_write(&dir, "other.yaml", POLICY("still"));
    expect("what it named is watched still", "still");
}

static void by_hand(void **state) {
    (void)state;
    eb_reloader_run(reloader);
    expect("nothing changed", "a");
    extra = "session: {max-age: 1h}";
    write_config();
    eb_reloader_run(reloader);
    struct fx_answer a = fx_ask(&world, &(struct fx_request){.host = "127.0.0.1"});
    assert_true(a.user.exp > 0);
    fx_answer_done(&a);
}

/* All files of a ConfigMap change at once: a broken configuration among them must not keep a revocation from
 * coming into force. */
static void a_broken_configuration_holds_nothing_back(void **state) {
    (void)state;
    int64_t bad = fx_metric("auth_config_reload_failures_total");
    fx_write(&dir, "config.yaml", "permisions: {file: x}\n");
    fx_write(&dir, FX_POLICY, POLICY("b"));
    expect_counted("auth_config_reload_failures_total", bad);
    expect("the document beside it", "b");
    extra = "mtls: {ca-path: /nonexistent/ca.pem}"; /* good by itself, but not what it names */
    write_config();
    fx_write(&dir, FX_POLICY, POLICY("c"));
    expect("the document beside it", "c");
    extra = NULL;
    write_config();
    fx_write(&dir, FX_POLICY, POLICY("d"));
    expect("mended", "d");
}

static void many_changes_end_with_the_last(void **state) {
    (void)state;
    char text[100], subject[16];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(subject, sizeof subject, "s%d", i);
        (void)snprintf(text, sizeof text, "noauth: {account: CSC, permissions: {pub: {allow: [%s]}}}\n",
                       subject);
        fx_write(&dir, FX_POLICY, text);
        if (i % 7 == 3)
            write_config();
        if (i % 5 == 2)
            eb_reloader_run(reloader);
        (void)poll(NULL, 0, i % 9);
    }
    expect("the last of many", subject);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(single_files),
        TEST(the_configuration),
        TEST(by_hand),
        TEST(a_broken_configuration_holds_nothing_back),
        TEST(many_changes_end_with_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
