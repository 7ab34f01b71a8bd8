/* How the service proves itself: what is read, what is refused, and that no password gets into the log. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fixture.h"
#include "login.h"

static struct fx_dir dir;

/* A creds file whose JWT has these further claims. */
static void write_creds(const char *name, const char *more) {
    eb_auto_buf struct eb_buf claims = {0}, jwt = {0}, creds = {0};
    eb_buf_printf(&claims,
                  "{\"iss\":\"" ACCOUNT_R0 "\",\"sub\":\"" USER_R0
                  "\"%s,\"nats\":{\"type\":\"user\",\"version\":2}}",
                  more);
    fixture_token(&jwt, EB_STR(USUAL_HEADER), eb_buf_get(&claims), ACCOUNT_R0_SEED);
    eb_buf_printf(&creds,
                  "-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n-----BEGIN USER NKEY "
                  "SEED-----\n%s\n------END USER NKEY SEED------\n",
                  jwt.p, USER_R0_SEED);
    fx_write(&dir, name, creds.p);
}

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    fx_write(&dir, "user.nk", USER_R0_SEED "\n" USER_R0 "\n");
    fx_write(&dir, "account.nk", ACCOUNT_R0_SEED "\n");
    write_creds("user.creds", "");
    write_creds("ending.creds", ",\"exp\":4102444800");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    nats_Close();
    fx_dir_remove(&dir);
    return 0;
}

/* Loads and applies; told is the failure's text. */
static enum eb_rc login(const char *flag_name, const char *file, const char *more, char *told, size_t size) {
    char flag[300] = "--limits.queue=100";
    if (flag_name)
        (void)snprintf(flag, sizeof flag, "--%s=%s", flag_name, fx_path(&dir, file));
    const char *flags[] = {"--nats.issuer-seed-file=/k", flag, more, NULL};
    eb_auto_findings struct eb_findings f = {0};
    EB_CLEANUP(eb_config_freep) struct eb_config *c = fx_config(flags, &f);
    MINT_MUST(c);
    struct eb_err err = {0};
    EB_CLEANUP(eb_login_freep) struct eb_login *l = NULL;
    enum eb_rc rc = eb_login_load(c, &l, &err);
    natsOptions *opts = NULL;
    if (rc == EB_OK) {
        MINT_MUST(natsOptions_Create(&opts) == NATS_OK);
        rc = eb_login_apply(l, c, opts, &err);
        natsOptions_Destroy(opts);
    }
    (void)snprintf(told, size, "%s", err.text);
    return rc;
}

static void kinds(void **state) {
    (void)state;
    static const struct {
        const char *flag, *file, *more;
        enum eb_rc rc;
        const char *says;
    } rows[] = {
        {NULL, NULL, NULL, EB_OK, ""},
        {"nats.nkey-seed-file", "user.nk", NULL, EB_OK, ""},
        {"nats.creds-file", "user.creds", NULL, EB_OK, ""},
        {"nats.nkey-seed-file", "account.nk", NULL, EB_E_BAD_KEY, "nats.nkey-seed"},
        {"nats.nkey-seed-file", "absent.nk", NULL, EB_E_IO, "absent.nk"},
        {"nats.creds-file", "user.nk", NULL, EB_E_MALFORMED, "nats.creds-file"},
        {"nats.creds-file", "absent.creds", NULL, EB_E_IO, "absent.creds"},
        {NULL, NULL, "--nats.url=nats://a:4222, nats://b:4222", EB_OK, ""},
        {NULL, NULL, "--nats.url=nats://user:pw@a:4222", EB_OK, ""},
        {NULL, NULL, "--nats.url=,", EB_E_INVALID, "nats.url"},
        {NULL, NULL, "--nats.tls.ca=/nonexistent/ca.pem", EB_E_INVALID, "/nonexistent/ca.pem"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        char told[300];
        enum eb_rc rc = login(rows[i].flag, rows[i].file, rows[i].more, told, sizeof told);
        if (rc != rows[i].rc || !strstr(told, rows[i].says) || strstr(told, "SUAAA") || strstr(told, "SAAAA"))
            fail_msg("row %zu: %s, %s", i, eb_rc_name(rc), told);
    }
}

static void seeds_and_tokens_by_environment(void **state) {
    (void)state;
    char told[300];
    (void)setenv("AUTH_CALLOUT_NATS_NKEY_SEED", USER_R0_SEED, 1);
    assert_int_equal(login(NULL, NULL, NULL, told, sizeof told), EB_OK);
    (void)setenv("AUTH_CALLOUT_NATS_NKEY_SEED", ACCOUNT_R0_SEED, 1);
    assert_int_equal(login(NULL, NULL, NULL, told, sizeof told), EB_E_BAD_KEY);
    assert_null(strstr(told, "SAAAA"));
    (void)unsetenv("AUTH_CALLOUT_NATS_NKEY_SEED");
    (void)setenv("NATS_TOKEN", "s3cret", 1);
    assert_int_equal(login(NULL, NULL, NULL, told, sizeof told), EB_OK);
    (void)unsetenv("NATS_TOKEN");
}

#define NOT_SHOWN "(not shown: no list of nats://host:port)"
static void passwords_are_not_described(void **state) {
    (void)state;
    static const struct {
        const char *url, *want;
    } rows[] = {
        {"nats://a:4222", "nats://a:4222"},
        {"nats://user:hunter2@a:4222,tls://hunter2@b", "a:4222, b"},
        {"nats://user:hunter2@hunter2@a:4222", "a:4222"},
        {" nats://a:1 , nats://u:hunter2@b:2", "nats://a:1, b:2"},
        {"tls://[::1]:4222,u:p@a,", NOT_SHOWN},
        {"tls://[::1]:4222/,a", "tls://[::1]:4222, a"},
        /* a comma within the password */
        {"nats://a:1 nats://b:2,", "nats://a:1, nats://b:2"},
        {"nats://svc:hunter2,secret@h:1", NOT_SHOWN},
        {"nats://svc:4222 hunter2@h:1", NOT_SHOWN},
        {"nats://svc:hunter,2secret@h:1", NOT_SHOWN},
        {"nats://svc:4222,hunter2@h:1", NOT_SHOWN},
        {"nats://svc,hunter2@h:1", NOT_SHOWN},
        {"hunter2?", NOT_SHOWN},
        {"nats://a:hunter2", NOT_SHOWN},
        {"hunter2://a:1", NOT_SHOWN},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        char flag[200];
        (void)snprintf(flag, sizeof flag, "--nats.url=%s", rows[i].url);
        eb_auto_findings struct eb_findings f = {0};
        EB_CLEANUP(eb_config_freep)
        struct eb_config *c = fx_config((const char *const[]){"--nats.issuer-seed-file=/k", flag, NULL}, &f);
        eb_auto_buf struct eb_buf b = {0};
        eb_login_describe(c, &b);
        assert_null(strstr(b.p, "hunter"));
        assert_string_equal(b.p, rows[i].want);
    }
}

static int64_t ends(const char *credential) {
    char series[100];
    (void)snprintf(series, sizeof series, "auth_credential_expires_timestamp_seconds{credential=\"%s\"}",
                   credential);
    return fx_metric(series);
}

/* The metric says when what the link uses ends, and 0 once it uses none. */
static void when_it_ends(void **state) {
    (void)state;
    char told[300], flag[300];
    EVP_PKEY *key = mint_key("P-256", 0);
    eb_auto_free char *ca =
        fx_cert(&(struct fx_cert){.cn = "servers", .ca = true, .from_s = -10, .until_s = 1000}, key, NULL);
    EVP_PKEY_free(key);
    fx_write(&dir, "servers.pem", ca);
    (void)snprintf(flag, sizeof flag, "--nats.tls.ca=%s", fx_path(&dir, "servers.pem"));
    assert_int_equal(login("nats.creds-file", "user.creds", flag, told, sizeof told), EB_OK);
    int64_t left = ends("nats_tls_ca") - (int64_t)time(NULL);
    assert_true(left <= 1000 && left > 900);
    assert_int_equal(ends("nats_tls_cert"), 0);
    assert_int_equal(ends("nats_creds"), 0); /* a JWT without an end */
    assert_int_equal(login("nats.creds-file", "ending.creds", NULL, told, sizeof told), EB_OK);
    assert_int_equal(ends("nats_creds"), 4102444800);
    assert_int_equal(ends("nats_tls_ca"), 0);
    assert_int_equal(login("nats.nkey-seed-file", "user.nk", NULL, told, sizeof told), EB_OK);
    assert_int_equal(ends("nats_creds"), 0);
}

/* nats.c quotes the part of a URL that it cannot use, which may be a password. */
static void passwords_are_not_in_its_errors(void **state) {
    (void)state;
    static const char *const urls[] = {"nats://user:hidden", "nats://user:word@127.0.0.1:hidden",
                                       "nats://hidden:word"};
    for (size_t i = 0; i < EB_COUNT_OF(urls); i++) {
        natsConnection *nc = NULL;
        natsStatus s = natsConnection_ConnectTo(&nc, urls[i]);
        assert_int_not_equal(s, NATS_OK);
        if (strstr(eb_login_error(s), "hidden") || strstr(eb_login_error(s), "word"))
            fail_msg("%s: %s", urls[i], eb_login_error(s));
        assert_true(eb_login_error(s)[0]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(kinds), cmocka_unit_test(when_it_ends),
                                       cmocka_unit_test(seeds_and_tokens_by_environment),
                                       cmocka_unit_test(passwords_are_not_described),
                                       cmocka_unit_test(passwords_are_not_in_its_errors)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
