/* The option table: what is generated from it loads again and says the same as the defaults. */
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"
#include "options.h"

static bool same_value(const struct eb_option *o, const struct eb_config *a, const struct eb_config *b) {
    const char *x = (const char *)a + o->at, *y = (const char *)b + o->at;
    switch (o->type) {
    case EB_OPT_TEXT:
    case EB_OPT_PATH:
    case EB_OPT_CHOICE: {
        const char *s = *(char *const *)(const void *)x, *t = *(char *const *)(const void *)y;
        return s && t ? strcmp(s, t) == 0 : s == t;
    }
    case EB_OPT_LIST:
    case EB_OPT_PATHS: {
        const struct eb_strs *s = (const void *)x, *t = (const void *)y;
        for (size_t i = 0; s->n == t->n && i < s->n; i++)
            if (strcmp(s->v[i], t->v[i]) != 0)
                return false;
        return s->n == t->n;
    }
    case EB_OPT_BOOL: return *(const bool *)x == *(const bool *)y;
    case EB_OPT_INT:
    case EB_OPT_DURATION:
    case EB_OPT_RATIO: return *(const int64_t *)(const void *)x == *(const int64_t *)(const void *)y;
    case EB_OPT_SECRET:
        return !*(struct eb_secret *const *)(const void *)x == !*(struct eb_secret *const *)(const void *)y;
    case EB_OPT_SECRETS:
        return ((const struct eb_secrets *)(const void *)x)->n ==
               ((const struct eb_secrets *)(const void *)y)->n;
    }
    return false;
}

static void generated_config_is_the_defaults(void **state) {
    (void)state;
    struct fx_dir dir = fx_dir_make();
    eb_auto_buf struct eb_buf yaml = {0};
    eb_options_yaml(&yaml);
    fx_write(&dir, "generated.yaml", yaml.p);
    char flag[300];
    (void)snprintf(flag, sizeof flag, "--config=%s", fx_path(&dir, "generated.yaml"));
    eb_auto_findings struct eb_findings f = {0};
    EB_CLEANUP(eb_config_freep)
    struct eb_config *defaults = fx_config((const char *const[]){"--nats.issuer-seed-file=/k", NULL}, &f),
                     *read = fx_config((const char *const[]){flag, "--nats.issuer-seed-file=/k", NULL}, &f);
    eb_auto_buf struct eb_buf told = {0};
    eb_findings_print(&f, &told);
    if (!read)
        fail_msg("%s", told.p);
    for (size_t i = 0; i < eb_options_n; i++)
        if (!same_value(&eb_options[i], defaults, read))
            fail_msg("%s differs", eb_options[i].key);
    fx_dir_remove(&dir);
}

static void every_option_is_in_every_text(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf yaml = {0}, markdown = {0}, help = {0};
    eb_options_yaml(&yaml);
    eb_options_markdown(&markdown);
    eb_options_help(&help);
    for (size_t i = 0; i < eb_options_n; i++) {
        const struct eb_option *o = &eb_options[i];
        eb_auto_buf struct eb_buf name = {0}, in_help = {0};
        eb_option_env(o, &name);
        assert_non_null(strstr(yaml.p, name.p));
        assert_non_null(strstr(markdown.p, o->key));
        assert_non_null(strstr(markdown.p, name.p));
        eb_buf_printf(&in_help, "--%s <", o->key);
        assert_int_equal(strstr(help.p, in_help.p) != NULL, !eb_option_secret(o)); /* no flag for a secret */
        assert_ptr_equal(eb_option_find(eb_str(o->key)), o);
        size_t n = strlen(o->doc);
        if (n < 20 || o->doc[n - 1] != '.' || eb_options[i].at >= sizeof(struct eb_config))
            fail_msg("%s: the text is no sentence, or the offset is wrong", o->key);
        for (size_t k = 0; k < i; k++)
            if (strcmp(eb_options[k].key, o->key) == 0 || eb_options[k].at == o->at)
                fail_msg("%s and %s are the same", eb_options[k].key, o->key);
    }
    assert_null(eb_option_find(EB_STR("nats")));
    assert_null(eb_option_find(EB_STR("")));
}

/* The names that other programs and charts rely on. */
static void names_of_the_contract(void **state) {
    (void)state;
    static const struct {
        const char *key, *env, *fallback;
    } rows[] = {
        {"nats.url", "NATS_URL", "nats://nats:4222"},
        {"nats.nkey-seed", "AUTH_CALLOUT_NATS_NKEY_SEED", NULL},
        {"nats.nkey-seed-file", NULL, NULL},
        {"nats.creds-file", "NATS_CREDS_FILE", NULL},
        {"nats.creds-file", "NATS_USER_CREDS_FILE", NULL},
        {"nats.issuer-seed", "AUTH_CALLOUT_NATS_ISSUER_SEED", NULL},
        {"nats.issuer-seed-file", "NATS_SIGNING_KEY_FILE", NULL},
        {"nats.xkey-seed", "AUTH_CALLOUT_NATS_XKEY_SEED", NULL},
        {"nats.tls.ca", NULL, NULL},
        {"nats.tls.cert", NULL, NULL},
        {"nats.tls.key", NULL, NULL},
        {"jwks.url", "JWKS_URL", NULL},
        {"jwks.path", "JWKS_PATH", NULL},
        {"jwks.ca", NULL, NULL},
        {"jwks.cache-file", NULL, NULL},
        {"jwks.allow-http", NULL, "false"},
        {"jwks.issuer", "AUTH_CALLOUT_JWKS_ISSUER", NULL},
        {"jwks.audience", "AUTH_CALLOUT_JWKS_AUDIENCE", NULL},
        {"jwks.signing-algorithms", "AUTH_CALLOUT_JWKS_SIGNING_ALGORITHMS", "RS256"},
        {"mtls.ca-path", "AUTH_CALLOUT_MTLS_CA_PATH", NULL},
        {"permissions.file", "AUTH_CALLOUT_PERMISSIONS_FILE", "/etc/auth-callout/permissions.json"},
        {"allowed-accounts", NULL, NULL},
        {"session.expire-with-credential", NULL, "true"},
        {"session.max-age", NULL, "0"},
        {"limits.workers", NULL, "auto"},
        {"limits.connections", NULL, "auto"},
        {"limits.queue", NULL, "8192"},
        {"host.name", NULL, NULL},
        {"host.port", "AUTH_CALLOUT_HOST_PORT", "8080"},
        {"host.port", "PORT", "8080"},
        {"observability.metrics.prometheus.name", NULL, NULL},
        {"observability.metrics.prometheus.port", NULL, "9090"},
        {"observability.logging.level", "LOG_LEVEL", "info"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        const struct eb_option *o = eb_option_find(eb_str(rows[i].key));
        if (!o)
            fail_msg("%s is gone", rows[i].key);
        eb_auto_buf struct eb_buf names = {0};
        eb_buf_printf(&names, ",%s,", o->alias ? o->alias : "");
        eb_option_env(o, &names);
        eb_buf_ch(&names, ',');
        eb_auto_buf struct eb_buf wanted = {0};
        eb_buf_printf(&wanted, ",%s,", rows[i].env ? rows[i].env : "");
        if (rows[i].env && !strstr(names.p, wanted.p))
            fail_msg("%s: %s is not among %s", rows[i].key, rows[i].env, names.p);
        if (rows[i].fallback ? !o->fallback || strcmp(o->fallback, rows[i].fallback) != 0
                             : o->fallback != NULL)
            fail_msg("%s: default %s", rows[i].key, o->fallback ? o->fallback : "none");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generated_config_is_the_defaults),
        cmocka_unit_test(every_option_is_in_every_text),
        cmocka_unit_test(names_of_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
