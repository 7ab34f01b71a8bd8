/* Where values come from and in which order; what is refused, and what the refusal says. */
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"
#include "options.h"

static struct fx_dir dir;
#define SEED_FLAG "--nats.issuer-seed-file=/keys/issuer.nk"

static void clean_environment(void) {
    for (size_t i = 0; i < eb_options_n; i++) {
        eb_auto_buf struct eb_buf name = {0};
        eb_option_env(&eb_options[i], &name);
        (void)unsetenv(name.p);
        struct eb_str rest = eb_str(eb_options[i].alias);
        while (rest.p) {
            eb_auto_free char *alias = eb_str_dup(eb_str_cut(&rest, ','));
            (void)unsetenv(alias);
        }
    }
    (void)unsetenv("AUTH_CALLOUT_CONFIG");
    (void)unsetenv("AUTH_CALLOUT_HOT_CONFIG");
}

static int set_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    clean_environment();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fx_dir_remove(&dir);
    return 0;
}

static int after_each(void **state) {
    (void)state;
    clean_environment();
    return 0;
}

/* Loads flags besides the seed's; *told gets the findings. */
static struct eb_config *load(const char *const *more, struct eb_buf *told) {
    const char *flags[32] = {SEED_FLAG};
    size_t n = 1;
    for (; more && *more; more++)
        flags[n++] = *more;
    eb_auto_findings struct eb_findings f = {0};
    struct eb_config *c = fx_config(flags, &f);
    eb_findings_print(&f, told);
    return c;
}
#define FLAGS(...)                                                                                           \
    (const char *const[]) {                                                                                  \
        __VA_ARGS__, NULL                                                                                    \
    }

static void expect_refused(const char *const *flags, const char *says) {
    eb_auto_buf struct eb_buf told = {0};
    EB_CLEANUP(eb_config_freep) struct eb_config *c = load(flags, &told);
    if (c)
        fail_msg("%s was taken", flags ? flags[0] : "nothing");
    if (!strstr(told.p, says))
        fail_msg("no \"%s\" in %s", says, told.p);
}

static void precedence(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf told = {0};
    char config_flag[300];
    fx_write(&dir, "config.yaml",
             "nats: {url: nats://file:1}\njwks: {issuer: file}\nmtls: {ca-path: /file}\nlimits: {queue: "
             "100}\nhost: {port: 1000}\n");
    fx_write(&dir, "hot.yaml", "jwks: {issuer: hot}\nmtls: {ca-path: /hot}\nlimits: {queue: 200}\n");
    (void)snprintf(config_flag, sizeof config_flag, "--config=%s", fx_path(&dir, "config.yaml"));
    (void)setenv("AUTH_CALLOUT_HOT_CONFIG", fx_path(&dir, "hot.yaml"), 1);
    (void)setenv("AUTH_CALLOUT_MTLS_CA_PATH", "/env", 1);
    (void)setenv("AUTH_CALLOUT_LIMITS_QUEUE", "300", 1);
    EB_CLEANUP(eb_config_freep) struct eb_config *c = load(FLAGS(config_flag, "--limits.queue=400"), &told);
    if (!c)
        fail_msg("%s", told.p);
    assert_int_equal(c->metrics_port, 9090);           /* default */
    assert_int_equal(c->host_port, 1000);              /* file */
    assert_string_equal(c->nats_url, "nats://file:1"); /* file */
    assert_string_equal(c->jwks.issuer, "hot");
    assert_string_equal(c->mtls_ca_path, "/env");
    assert_int_equal(c->queue, 400); /* flag */
    /* The same file by environment; the hot file may be absent. */
    (void)setenv("AUTH_CALLOUT_CONFIG", fx_path(&dir, "config.yaml"), 1);
    (void)setenv("AUTH_CALLOUT_HOT_CONFIG", fx_path(&dir, "absent.yaml"), 1);
    EB_CLEANUP(eb_config_freep) struct eb_config *d = load(NULL, &told);
    assert_non_null(d);
    assert_string_equal(d->jwks.issuer, "file");
    (void)setenv("AUTH_CALLOUT_CONFIG", fx_path(&dir, "absent.yaml"), 1);
    expect_refused(NULL, "absent.yaml");
    EB_CLEANUP(eb_config_freep)
    struct eb_config *e = load(FLAGS(config_flag), &told); /* the flag wins over the variable */
    assert_non_null(e);
}

static void lists_replace_and_never_add(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf told = {0};
    fx_write(&dir, "config.yaml",
             "jwks:\n  signing-algorithms: [RS256, ES256]\n  audience: one\nallowed-accounts: A, B\n");
    (void)setenv("AUTH_CALLOUT_CONFIG", fx_path(&dir, "config.yaml"), 1);
    EB_CLEANUP(eb_config_freep) struct eb_config *c = load(NULL, &told);
    if (!c)
        fail_msg("%s", told.p);
    assert_int_equal(c->jwks.signing_algorithms.n, 2);
    assert_string_equal(c->jwks.signing_algorithms.v[1], "ES256");
    assert_int_equal(c->jwks.audience.n, 1);
    assert_int_equal(c->allowed_accounts.n, 2);
    assert_string_equal(c->allowed_accounts.v[1], "B");
    (void)setenv("AUTH_CALLOUT_JWKS_SIGNING_ALGORITHMS", "PS256, EdDSA,", 1);
    EB_CLEANUP(eb_config_freep) struct eb_config *d = load(FLAGS("--allowed-accounts=C"), &told);
    assert_int_equal(d->jwks.signing_algorithms.n, 2);
    assert_string_equal(d->jwks.signing_algorithms.v[0], "PS256");
    assert_int_equal(d->allowed_accounts.n, 1);
}

static void aliases(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf told = {0};
    (void)setenv("NATS_URL", "nats://alias:1", 1);
    (void)setenv("JWKS_URL", "https://idp.example/jwks", 1);
    (void)setenv("AUTH_CALLOUT_JWKS_ISSUER", "i", 1);
    (void)setenv("PORT", "1234", 1);
    (void)setenv("LOG_LEVEL", "debug", 1);
    (void)setenv("NATS_TOKEN", "t0ken", 1);
    EB_CLEANUP(eb_config_freep) struct eb_config *c = load(NULL, &told);
    if (!c)
        fail_msg("%s", told.p);
    assert_string_equal(c->nats_url, "nats://alias:1");
    assert_string_equal(c->jwks.url, "https://idp.example/jwks");
    assert_int_equal(c->host_port, 1234);
    assert_string_equal(c->log_level, "debug");
    assert_true(eb_str_eqz(eb_secret_get(c->nats_token), "t0ken"));
    (void)setenv("AUTH_CALLOUT_NATS_URL", "nats://own:1", 1); /* the option's own name wins */
    (void)setenv("PORT", "tcp://10.0.0.1:80", 1);             /* Kubernetes injects such */
    EB_CLEANUP(eb_config_freep) struct eb_config *d = load(NULL, &told);
    assert_string_equal(d->nats_url, "nats://own:1");
    assert_int_equal(d->host_port, 8080);
    (void)setenv("AUTH_CALLOUT_HOST_PORT", "tcp://10.0.0.1:80", 1); /* but this name is ours */
    expect_refused(NULL, "AUTH_CALLOUT_HOST_PORT");
    (void)setenv("AUTH_CALLOUT_HOST_PORT", "", 1);      /* empty is unset */
    (void)setenv("AUTH_CALLOUT_NO_SUCH_THING", "x", 1); /* the environment is not searched */
    EB_CLEANUP(eb_config_freep) struct eb_config *e = load(NULL, &told);
    assert_non_null(e);
    (void)unsetenv("AUTH_CALLOUT_NO_SUCH_THING");
}

static void unknown_keys_name_the_nearest(void **state) {
    (void)state;
    expect_refused(FLAGS("--jwks.isuer=x"), "jwks.issuer");
    expect_refused(FLAGS("--mtls.ca_path=x"), "mtls.ca-path");
    expect_refused(FLAGS("--completely-different=x"), "generate-config");
    fx_write(&dir, "bad.yaml",
             "jwks:\n  issuer: x\n  audiance: y\npermisions: {file: z}\nfoo: [1, {a: b}]\nmtls: true\n");
    (void)setenv("AUTH_CALLOUT_CONFIG", fx_path(&dir, "bad.yaml"), 1);
    eb_auto_buf struct eb_buf told = {0};
    assert_null(load(NULL, &told));
    static const char *const pieces[] = {"bad.yaml:3", "jwks.audience", "bad.yaml:4", "bad.yaml:5",
                                         "bad.yaml:6"};
    for (size_t i = 0; i < EB_COUNT_OF(pieces); i++)
        if (!strstr(told.p, pieces[i]))
            fail_msg("no %s in %s", pieces[i], told.p);
}

static void secrets_never_come_as_flags(void **state) {
    (void)state;
    for (size_t i = 0; i < eb_options_n; i++) {
        if (!eb_option_secret(&eb_options[i]))
            continue;
        char flag[200];
        eb_auto_buf struct eb_buf told = {0};
        (void)snprintf(flag, sizeof flag, "--%s=hunter2", eb_options[i].key);
        assert_null(load(FLAGS(flag), &told));
        assert_non_null(strstr(told.p, "secret"));
        assert_null(strstr(told.p, "hunter2"));
    }
}

/* Every option, with a value that does not fit its type. */
static void types(void **state) {
    (void)state;
    for (size_t i = 0; i < eb_options_n; i++) {
        const struct eb_option *o = &eb_options[i];
        const char *bad[4] = {NULL};
        switch (o->type) {
        case EB_OPT_BOOL: bad[0] = "yes", bad[1] = "1", bad[2] = "TRUE"; break;
        case EB_OPT_INT:
            bad[0] = "12x", bad[1] = "-1", bad[2] = "99999999999999999999", bad[3] = "1.5";
            break;
        case EB_OPT_DURATION: bad[0] = "soon", bad[1] = "-5s", bad[2] = "5 s", bad[3] = "1y"; break;
        case EB_OPT_RATIO: bad[0] = "1.1", bad[1] = "-0.5", bad[2] = "half", bad[3] = "50%"; break;
        case EB_OPT_CHOICE: bad[0] = "loud", bad[1] = "INFO"; break;
        case EB_OPT_TEXT:
        case EB_OPT_PATH: bad[0] = "  "; break;
        case EB_OPT_LIST:
        case EB_OPT_PATHS:
        case EB_OPT_SECRET:
        case EB_OPT_SECRETS: break;
        }
        for (size_t b = 0; b < EB_COUNT_OF(bad) && bad[b]; b++) {
            char flag[200];
            (void)snprintf(flag, sizeof flag, "--%s=%s", o->key, bad[b]);
            expect_refused(FLAGS(flag), o->key);
        }
        /* A list where a value belongs, and a mapping anywhere, are told with their line. */
        eb_auto_buf struct eb_buf yaml = {0}, told = {0};
        bool list = o->type == EB_OPT_LIST || o->type == EB_OPT_PATHS || o->type == EB_OPT_SECRETS;
        eb_buf_z(&yaml, "---\n");
        struct eb_str rest = eb_str(o->key);
        int depth = 0;
        while (rest.p) {
            struct eb_str piece = eb_str_cut(&rest, '.');
            eb_buf_printf(&yaml, "%*s%.*s:%s", depth * 2, "", EB_STR_ARG(piece), rest.p ? "\n" : "");
            depth++;
        }
        eb_buf_z(&yaml, list ? " [{a: b}]\n" : " [a, b]\n");
        fx_write(&dir, "typed.yaml", yaml.p);
        (void)setenv("AUTH_CALLOUT_CONFIG", fx_path(&dir, "typed.yaml"), 1);
        if (load(NULL, &told))
            fail_msg("taken: %s", yaml.p);
        char where[40];
        (void)snprintf(where, sizeof where, "typed.yaml:%d", depth + 1);
        if (!strstr(told.p, where) || !strstr(told.p, o->key))
            fail_msg("no %s of %s in %s", where, o->key, told.p);
        (void)unsetenv("AUTH_CALLOUT_CONFIG");
    }
}

static void limits(void **state) {
    (void)state;
    expect_refused(FLAGS("--limits.queue=15"), "limits.queue");
    expect_refused(FLAGS("--limits.workers=257"), "limits.workers");
    expect_refused(FLAGS("--host.port=65536"), "host.port");
    expect_refused(FLAGS("--jwks.refresh=999ms"), "jwks.refresh");
    expect_refused(FLAGS("--jwks.refresh=25h"), "jwks.refresh");
    expect_refused(FLAGS("--limits.queue=auto"), "limits.queue");
    eb_auto_buf struct eb_buf told = {0};
    EB_CLEANUP(eb_config_freep)
    struct eb_config *c = load(FLAGS("--limits.workers=auto", "--limits.queue", "16", "--host.port=0",
                                     "--jwks.refresh=24h", "--session.max-age", "90"),
                               &told);
    if (!c)
        fail_msg("%s", told.p);
    assert_int_equal(c->workers, 0);
    assert_int_equal(c->queue, 16);
    assert_int_equal(c->session_max_age_ns, 90 * INT64_C(1000000000));
}

static void flags_that_are_none(void **state) {
    (void)state;
    expect_refused(FLAGS("limits.queue=20"), "not a flag");
    expect_refused(FLAGS("-limits.queue=20"), "not a flag");
    expect_refused(FLAGS("--limits.queue"), "missing");
    expect_refused(FLAGS("--="), "unknown key");
    expect_refused(FLAGS("--"), "unknown key");
}

static void files_that_do_not_fit(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *says;
    } rows[] = {
        {"", "no mapping"},
        {"- a\n", "no mapping"},
        {"just text\n", "no mapping"},
        {"nats: {url: a}\nnats: {url: b}\n", "twice"},
        {"nats:\n  url: a\n  url: b\n", "twice"},
        {"nats: {url: \"\"}\n", "empty"},
        {"nats: {url: \"a\\0b\"}\n", "NUL"},
        {"nats: {url: [a]}\n", "single value"},
        {"nats: &x {url: a}\n", "anchor"},
        {"nats: {url: !tag a}\n", "tag"},
        {"nats: {url: a\n", "line"},
        {"\xff\xfe\n", "doc.yaml"},
        {"nats: {url: a}\n---\nnats: {url: b}\n", "doc.yaml"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        fx_write(&dir, "doc.yaml", rows[i].yaml);
        (void)setenv("AUTH_CALLOUT_CONFIG", fx_path(&dir, "doc.yaml"), 1);
        eb_auto_buf struct eb_buf told = {0};
        if (load(NULL, &told))
            fail_msg("taken: %s", rows[i].yaml);
        if (!strstr(told.p, rows[i].says))
            fail_msg("%s: no \"%s\" in %s", rows[i].yaml, rows[i].says, told.p);
    }
    /* Empty ones are fine: every line of a template may be commented out. */
    static const char *const empty[] = {"# nothing\n", "---\n", "nats:\njwks:\n", "nats: {url: }\n",
                                        "null\n"};
    for (size_t i = 0; i < EB_COUNT_OF(empty); i++) {
        fx_write(&dir, "doc.yaml", empty[i]);
        (void)setenv("AUTH_CALLOUT_CONFIG", fx_path(&dir, "doc.yaml"), 1);
        eb_auto_buf struct eb_buf told = {0};
        EB_CLEANUP(eb_config_freep) struct eb_config *c = load(NULL, &told);
        if (!c)
            fail_msg("%s refused: %s", empty[i], told.p);
        assert_string_equal(c->nats_url, "nats://nats:4222");
    }
}

static void the_whole_must_fit(void **state) {
    (void)state;
    eb_auto_findings struct eb_findings f = {0};
    assert_null(fx_config((const char *const[]){NULL}, &f)); /* no issuer seed */
    eb_auto_buf struct eb_buf told = {0};
    eb_findings_print(&f, &told);
    assert_non_null(strstr(told.p, "nats.issuer-seed-file"));
    assert_non_null(strstr(told.p, "NATS_SIGNING_KEY_FILE"));
    expect_refused(FLAGS("--nats.nkey-seed-file=/a", "--nats.creds-file=/b"), "more than one login");
    expect_refused(FLAGS("--nats.tls.cert=/a"), "cert and key belong together");
    expect_refused(FLAGS("--jwks.url=https://a", "--jwks.path=/b", "--jwks.issuer=i"), "url and path");
    expect_refused(FLAGS("--jwks.url=https://a"), "jwks.issuer");
    expect_refused(FLAGS("--readiness.require=kubernets"), "readiness.require");
    expect_refused(FLAGS("--readiness.require=mqtt-stream"), "mqtt-streams");
    static const struct {
        const char *url;
        bool ok;
    } urls[] = {
        {"https://idp.example/jwks", true},
        {"http://127.0.0.1:8180/jwks", true},
        {"http://localhost:8180/jwks", true},
        {"http://[::1]:8180/jwks", true},
        {"http://idp.example/jwks", false},
        {"http://127.evil.example/", false},
        {"http://localhost.evil.example/", false},
        {"http://127.0.0.1@evil.example/", false},
        {"http://localhost:x@evil.example/", false},
        {"http://[::1].evil.example/", false},
        {"http://10.0.0.1/", false},
        {"http://128.0.0.1:80/", false},
        {"http://127.0.0.1.evil.example/", false},
        {"http://127.0.0.1:0/", false},
        {"http://127.0.0.1:99999/", false},
        {"http://127.0.0.2", true},
        {"http://localhost", true},
        {"http://localhost?x", true},
        {"http://[::1", false},
        {"http://", false},
        {"ftp://127.0.0.1/", false},
        {"file:///etc/passwd", false},
        {"jwks.json", false},
    };
    for (size_t i = 0; i < EB_COUNT_OF(urls); i++) {
        char flag[200];
        (void)snprintf(flag, sizeof flag, "--jwks.url=%s", urls[i].url);
        eb_auto_buf struct eb_buf text = {0};
        EB_CLEANUP(eb_config_freep)
        struct eb_config *c = load(FLAGS(flag, "--jwks.issuer=i", "--jwks.audience=a"), &text);
        if (!c != !urls[i].ok)
            fail_msg("%s: %s", urls[i].url, c ? "taken" : text.p);
    }
    eb_auto_buf struct eb_buf warned = {0};
    EB_CLEANUP(eb_config_freep)
    struct eb_config *c =
        load(FLAGS("--jwks.url=http://idp.example/", "--jwks.allow-http=true", "--jwks.issuer=i"), &warned);
    assert_non_null(c);
    assert_non_null(strstr(warned.p, "jwks.audience")); /* unset: a warning */
}

static void restarts_are_named(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf told = {0}, names = {0};
    EB_CLEANUP(eb_config_freep)
    struct eb_config *a = load(NULL, &told), *same = load(NULL, &told),
                     *b = load(FLAGS("--limits.queue=64", "--nats.url=nats://b:1", "--jwks.audience=x",
                                     "--session.max-age=1h"),
                               &told);
    eb_config_needs_restart(a, same, &names);
    assert_int_equal(names.n, 0);
    eb_config_needs_restart(a, b, &names);
    assert_string_equal(names.p, "nats.url, limits.queue");
}

static void secret_names(void **state) {
    (void)state;
    static const struct {
        const char *name;
        bool secret;
    } rows[] = {
        {"AUTH_CALLOUT_NATS_ISSUER_SEED", true},
        {"AUTH_CALLOUT_NATS_XKEY_SEED", true},
        {"NATS_TOKEN", true},
        {"DB_PASSWORD", true},
        {"my_secret_x", true},
        {"AUTH_CALLOUT_NATS_NKEY_SEED", true},
        {"CLUSTER_ID", false},
        {"HOME", false},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        bool secret = false;
        (void)eb_config_env(NULL, rows[i].name, &secret);
        if (secret != rows[i].secret)
            fail_msg("%s", rows[i].name);
    }
    bool secret = false;
    (void)setenv("EB_TEST_VALUE", "v", 1);
    assert_string_equal(eb_config_env(NULL, "EB_TEST_VALUE", &secret), "v");
    (void)unsetenv("EB_TEST_VALUE");
    assert_null(eb_config_env(NULL, "EB_TEST_VALUE", &secret));
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, after_each)
    const struct CMUnitTest tests[] = {
        TEST(precedence),
        TEST(lists_replace_and_never_add),
        TEST(aliases),
        TEST(unknown_keys_name_the_nearest),
        TEST(secrets_never_come_as_flags),
        TEST(types),
        TEST(limits),
        TEST(flags_that_are_none),
        TEST(files_that_do_not_fit),
        TEST(the_whole_must_fit),
        TEST(restarts_are_named),
        TEST(secret_names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
