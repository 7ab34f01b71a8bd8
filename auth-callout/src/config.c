#include "config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config_check.h"
#include "config_file.h"
#include "config_value.h"

void eb_config_free(struct eb_config *c) {
    if (!c)
        return;
    for (size_t i = 0; i < eb_options_n; i++)
        eb_config_clear(c, &eb_options[i]);
    free(c);
}

static void load_environment(struct eb_config *c, struct eb_findings *f) {
    for (size_t i = 0; i < eb_options_n; i++) {
        const struct eb_option *o = &eb_options[i];
        eb_auto_buf struct eb_buf name = {0};
        /* The option's own name comes last and wins over its aliases. */
        if (o->alias)
            eb_buf_printf(&name, "%s,", o->alias);
        eb_option_env(o, &name);
        struct eb_str rest = eb_buf_get(&name);
        while (rest.p) {
            eb_auto_free char *one = eb_str_dup(eb_str_cut(&rest, ','));
            const char *value = one ? getenv(one) : NULL;
            if (!value || !*value)
                continue;
            /* Kubernetes sets PORT-like names to tcp://… for services; the full name is ours alone. */
            if (strcmp(one, "PORT") == 0 && !isdigit((unsigned char)*value))
                continue;
            eb_auto_buf struct eb_buf what = {0};
            eb_buf_printf(&what, "environment variable %s", one);
            struct eb_config_source src = {NULL, 0, what.p};
            eb_config_set(c, o, eb_str(value), &src, f);
        }
    }
}

/* The flag's name without dashes and, in *ret_value, what follows `=` or the next word; moves *i on. */
static struct eb_str flag_at(int argc, char *const *argv, int *i, const char **ret_value) {
    struct eb_str name = eb_str(argv[*i]);
    while (name.n && name.p[0] == '-')
        name.p++, name.n--;
    const char *equals = memchr(name.p, '=', name.n);
    if (equals) {
        *ret_value = equals + 1;
        return eb_str_n(name.p, (size_t)(equals - name.p));
    }
    *ret_value = *i + 1 < argc ? argv[++*i] : NULL;
    return name;
}

static const char *flag_value(int argc, char *const *argv, const char *wanted) {
    const char *found = NULL;
    for (int i = 0; i < argc; i++) {
        const char *value;
        if (eb_str_eqz(flag_at(argc, argv, &i, &value), wanted))
            found = value;
    }
    return found;
}

static void load_flags(struct eb_config *c, int argc, char *const *argv, struct eb_findings *f) {
    for (int i = 0; i < argc; i++) {
        struct eb_config_source src = {NULL, 0, "flag"};
        const char *value;
        if (strncmp(argv[i], "--", 2) != 0) {
            eb_config_finding(f, &src, argv[i], "flags begin with --; see --help", "not a flag");
            continue;
        }
        struct eb_str name = flag_at(argc, argv, &i, &value);
        if (eb_str_eqz(name, "config"))
            continue;
        const struct eb_option *o = eb_option_find(name);
        eb_auto_free char *key = eb_str_dup(name);
        if (!o)
            eb_config_unknown(f, &src, key ? key : "");
        else if (eb_option_secret(o))
            eb_config_finding(
                f, &src, o->key,
                "give it by file or environment: arguments are visible to every user of the machine",
                "a secret cannot be given as a flag");
        else if (!value)
            eb_config_finding(f, &src, o->key, "write --key=value", "the value is missing");
        else
            eb_config_set(c, o, eb_str(value), &src, f);
    }
}

enum eb_rc eb_config_load(int argc, char *const *argv, struct eb_config **ret, struct eb_findings *findings) {
    EB_CLEANUP(eb_config_freep) struct eb_config *c = calloc(1, sizeof *c);
    if (!c)
        return EB_E_NOMEM;
    struct eb_config_source src = {NULL, 0, "default"};
    for (size_t i = 0; i < eb_options_n; i++)
        if (eb_options[i].fallback)
            eb_config_set(c, &eb_options[i], eb_str(eb_options[i].fallback), &src, findings);
    const char *path = flag_value(argc, argv, "config");
    if (!path)
        path = getenv("AUTH_CALLOUT_CONFIG");
    if (path && *path)
        eb_config_read_file(c, path, false, findings);
    const char *hot = getenv("AUTH_CALLOUT_HOT_CONFIG");
    if (hot && *hot)
        eb_config_read_file(c, hot, true, findings);
    load_environment(c, findings);
    load_flags(c, argc, argv, findings);
    eb_config_check(c, findings);
    if (findings->errors)
        return EB_E_INVALID;
    *ret = EB_TAKE(c);
    return EB_OK;
}

const char *eb_config_env(void *ctx, const char *name, bool *is_secret) {
    (void)ctx;
    for (size_t i = 0; i < eb_options_n; i++) {
        const struct eb_option *o = &eb_options[i];
        if (!eb_option_secret(o))
            continue;
        eb_auto_buf struct eb_buf own = {0};
        eb_option_env(o, &own);
        if (eb_str_eqz(eb_buf_get(&own), name) || (o->alias && eb_str_in(eb_str(name), o->alias)))
            *is_secret = true;
    }
    /* Not ours, but nobody wants these in a subject or an account either. */
    static const char *const words[] = {"SECRET", "PASSWORD", "PASSWD",    "SEED",
                                        "TOKEN",  "PRIVATE",  "CREDENTIAL"};
    for (size_t i = 0; i < EB_COUNT_OF(words); i++)
        if (strcasestr(name, words[i]))
            *is_secret = true;
    return getenv(name);
}

void eb_config_needs_restart(const struct eb_config *now, const struct eb_config *next, struct eb_buf *to) {
    for (size_t i = 0; i < eb_options_n; i++)
        if (eb_options[i].restart && !eb_config_same(&eb_options[i], now, next))
            eb_buf_printf(to, "%s%s", to->n ? ", " : "", eb_options[i].key);
}
