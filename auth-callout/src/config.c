#include "config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config_check.h"
#include "config_file.h"
#include "config_list.h"
#include "config_value.h"
#include "trace/settings.h"

#define IN_CLUSTER_ISSUER "https://kubernetes.default.svc"

void eb_config_free(struct eb_config *c) {
    if (!c)
        return;
    for (size_t i = 0; i < eb_options_n; i++)
        eb_config_clear(c, &eb_options[i]);
    eb_config_clear_issuers(c);
    for (size_t i = 0; i < c->accounts_n; i++)
        eb_config_clear_account(&c->accounts[i]);
    free(c->accounts);
    free(c->kubernetes.name);
    free(c);
}

/* Without an account or an issuer, KUBECONFIG is one that other programs of this user read. */
static bool kubernetes_on(const struct eb_config *c) {
    const struct eb_kube_config *k = &c->kubernetes.kube;
    return k->in_cluster || k->api_url || (k->kubeconfig && (k->account || c->kubernetes.issuer));
}

const struct eb_issuer_config *eb_config_issuer(const struct eb_config *c, size_t i) {
    const struct eb_issuer_config *blocks[] = {c->jwks.url || c->jwks.path ? &c->jwks : NULL,
                                               kubernetes_on(c) ? &c->kubernetes : NULL};
    for (size_t b = 0; b < EB_COUNT_OF(blocks); b++)
        if (blocks[b] && i-- == 0)
            return blocks[b];
    return i < c->issuers_n ? &c->issuers[i] : NULL;
}

const char *eb_issuer_label(const struct eb_issuer_config *i) {
    return i->name ? i->name : "jwks";
}

void eb_config_issuer_path(const struct eb_issuer_config *i, const char *key, struct eb_buf *to) {
    /* An element never has the block's name. */
    if (!i->name || strcmp(i->name, EB_KUBERNETES_BLOCK) == 0)
        eb_buf_printf(to, "%s.%s", eb_issuer_label(i), key);
    else
        eb_buf_printf(to, "issuers[%s].%s", i->name, key);
}

/*
 * JWKS_URL and JWKS_PATH are also what callouts for Kubernetes alone are given: with the kubernetes block on
 * and nothing else said of the jwks block, they are meant for it.
 */
static void hand_jwks_to_kubernetes(struct eb_config *c) {
    struct eb_issuer_config *j = &c->jwks, *k = &c->kubernetes;
    if (!kubernetes_on(c) || j->issuer || k->url || k->path)
        return;
    const char *url = getenv("JWKS_URL"), *path = getenv("JWKS_PATH");
    if (j->url && url && strcmp(j->url, url) == 0)
        k->url = EB_TAKE(j->url);
    if (j->path && path && strcmp(j->path, path) == 0)
        k->path = EB_TAKE(j->path);
}

/* What in-cluster says by itself. */
static void complete_kubernetes(struct eb_issuer_config *i) {
    if (!i->kube.in_cluster)
        return;
    if (!i->issuer)
        i->issuer = eb_str_dup(EB_STR(IN_CLUSTER_ISSUER));
    /* The API server's own keys by its name inside the cluster: fetched with its CA and our token. */
    static const char *const own[] = {"https://kubernetes.default.svc/openid/v1/jwks",
                                      "https://kubernetes.default.svc.cluster.local/openid/v1/jwks"};
    for (size_t n = 0; i->url && n < EB_COUNT_OF(own); n++) {
        if (strcmp(i->url, own[n]) != 0)
            continue;
        free(i->url);
        i->url = NULL;
    }
}

static bool complete(struct eb_config *c) {
    c->kubernetes.kind = EB_ISSUER_KUBERNETES;
    c->kubernetes.name = eb_str_dup(EB_STR(EB_KUBERNETES_BLOCK));
    if (!c->kubernetes.name)
        return false;
    hand_jwks_to_kubernetes(c);
    complete_kubernetes(&c->kubernetes);
    for (size_t i = 0; i < c->issuers_n; i++)
        if (c->issuers[i].kind == EB_ISSUER_KUBERNETES)
            complete_kubernetes(&c->issuers[i]);
    return true;
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
            bool inherited = one && strncmp(one, "OTEL_", 5) == 0;
            if (!value || !*value || (inherited && eb_str_trim(eb_str(value)).n == 0))
                continue;
            /* Kubernetes sets PORT-like names to tcp://… for services; the full name is ours alone. */
            if (strcmp(one, "PORT") == 0 && !isdigit((unsigned char)*value))
                continue;
            eb_auto_buf struct eb_buf what = {0};
            eb_buf_printf(&what, "environment variable %s", one);
            struct eb_config_source src = {NULL, 0, what.p, NULL};
            eb_config_set(c, o, eb_str(value), &src, f);
            c->inherited[o - eb_options] = inherited;
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
        struct eb_config_source src = {NULL, 0, "flag", NULL};
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
        if (o)
            c->inherited[o - eb_options] = false;
    }
}

enum eb_rc eb_config_load(int argc, char *const *argv, struct eb_config **ret, struct eb_findings *findings) {
    EB_CLEANUP(eb_config_freep) struct eb_config *c = calloc(1, sizeof *c);
    if (!c)
        return EB_E_NOMEM;
    struct eb_config_source src = {NULL, 0, "default", NULL};
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
    if (!complete(c))
        return EB_E_NOMEM;
    eb_config_check(c, findings);
    eb_trace_check(c, findings);
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

static void name_for_restart(struct eb_buf *to, const struct eb_issuer_config *i, const char *key) {
    eb_buf_printf(to, "%sissuers[%s]%s%s", to->n ? ", " : "", i->name, key ? "." : "", key ? key : "");
}

static void issuers_need_restart(const struct eb_config *now, const struct eb_config *next,
                                 struct eb_buf *to) {
    for (size_t i = 0; i < next->issuers_n; i++) {
        const struct eb_issuer_config *b = &next->issuers[i], *a = NULL;
        for (size_t k = 0; k < now->issuers_n && !a; k++)
            if (strcmp(now->issuers[k].name, b->name) == 0)
                a = &now->issuers[k];
        if (!a || a->kind != b->kind) {
            name_for_restart(to, b, NULL);
            continue;
        }
        const struct eb_option_table *t = &eb_issuer_options[b->kind];
        for (size_t o = 0; o < t->n; o++)
            if (t->v[o].restart && !eb_config_same(&t->v[o], a, b))
                name_for_restart(to, b, t->v[o].key);
    }
}

void eb_config_needs_restart(const struct eb_config *now, const struct eb_config *next, struct eb_buf *to) {
    for (size_t i = 0; i < eb_options_n; i++)
        if (eb_options[i].restart && !eb_config_same(&eb_options[i], now, next))
            eb_buf_printf(to, "%s%s", to->n ? ", " : "", eb_options[i].key);
    issuers_need_restart(now, next, to);
}
