#include "issuer.h"

#include <stdlib.h>

void eb_issuers_free(struct eb_issuer *v, size_t n) {
    for (size_t i = 0; v && i < n; i++) {
        free(v[i].audiences);
        free(v[i].client_claims);
        free(v[i].scope_claims);
    }
    free(v);
}

const struct eb_issuer *eb_issuers_find(const struct eb_issuer *v, size_t n, struct eb_str iss) {
    if (iss.n == 0)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (eb_str_eq(v[i].iss, iss))
            return &v[i];
    return NULL;
}

static bool same(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_api(const struct eb_kube_config *a, const struct eb_kube_config *b) {
    return a->in_cluster == b->in_cluster && same(a->kubeconfig, b->kubeconfig) &&
           same(a->api_url, b->api_url);
}

/* True where the tokens of b may be judged by what the source of a learns. */
static bool fits(const struct eb_issuer_config *a, const struct eb_issuer_config *b) {
    if (a->kind != b->kind || (a->kind == EB_ISSUER_KUBERNETES && !same_api(&a->kube, &b->kube)))
        return false;
    return same(a->issuer, b->issuer) || (same(a->url, b->url) && same(a->path, b->path));
}

static struct eb_source *source_of(struct eb_sources *sources, const struct eb_issuer_config *c) {
    for (size_t i = 0; sources && i < sources->n; i++) {
        struct eb_source *s = &sources->v[i];
        if (strcmp(eb_issuer_label(s->config), eb_issuer_label(c)) == 0)
            return fits(s->config, c) ? s : NULL;
    }
    return NULL;
}

static bool slices(const struct eb_strs *from, struct eb_str **ret, size_t *ret_n) {
    *ret = calloc(from->n + 1, sizeof **ret);
    if (!*ret)
        return false;
    for (size_t i = 0; i < from->n; i++)
        (*ret)[i] = eb_str(from->v[i]);
    *ret_n = from->n;
    return true;
}

static void algorithms(const struct eb_issuer_config *c, unsigned *ret, struct eb_findings *f) {
    for (size_t i = 0; i < c->signing_algorithms.n; i++) {
        const char *name = c->signing_algorithms.v[i];
        enum eb_alg alg = eb_alg_parse(eb_str(name));
        if (alg != EB_ALG_NONE) {
            *ret |= EB_ALG_BIT(alg);
            continue;
        }
        eb_auto_buf struct eb_buf path = {0};
        eb_config_issuer_path(c, "signing-algorithms", &path);
        eb_findings_add(f, EB_ERROR, NULL, 0, path.p,
                        "write some of RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA",
                        "%s is not an algorithm for tokens", name);
    }
}

static bool is_in(const struct eb_issuer *v, size_t n, const struct eb_issuer_config *c) {
    for (size_t i = 0; i < n; i++)
        if (v[i].config == c)
            return true;
    return false;
}

enum eb_rc eb_issuers_new(const struct eb_config *c, struct eb_sources *sources, struct eb_issuer **ret,
                          size_t *ret_n, struct eb_findings *f) {
    size_t n = 0, errors = f->errors;
    while (eb_config_issuer(c, n))
        n++;
    struct eb_issuer *v = calloc(n + 1, sizeof *v);
    for (size_t i = 0; v && i < n; i++) {
        const struct eb_issuer_config *it = eb_config_issuer(c, i);
        v[i].config = it;
        v[i].iss = eb_str(it->issuer ? it->issuer : "");
        v[i].policy_name = it->name ? eb_str(it->name) : EB_STR_NONE;
        v[i].source = source_of(sources, it);
        algorithms(it, &v[i].algorithms, f);
        if (!slices(&it->audience, &v[i].audiences, &v[i].audiences_n) ||
            !slices(&it->client_claims, &v[i].client_claims, &v[i].client_claims_n) ||
            !slices(&it->scope_claims, &v[i].scope_claims, &v[i].scope_claims_n)) {
            eb_issuers_free(v, n);
            return EB_E_NOMEM;
        }
    }
    if (!v)
        return EB_E_NOMEM;
    unsigned unused = 0; /* blocks that are off are to be right, too */
    if (!is_in(v, n, &c->jwks))
        algorithms(&c->jwks, &unused, f);
    if (!is_in(v, n, &c->kubernetes))
        algorithms(&c->kubernetes, &unused, f);
    if (f->errors != errors) {
        eb_issuers_free(v, n);
        return EB_E_INVALID;
    }
    *ret = v;
    *ret_n = n;
    return EB_OK;
}
