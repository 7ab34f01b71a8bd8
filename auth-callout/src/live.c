#include "live.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "clock.h"
#include "metrics.h"

struct eb_live {
    pthread_mutex_t mutex; /* guards view's pointers */
    struct eb_view view;
    bool has_document; /* one was in force: from then on a missing one is a failure, not an empty one */
    struct eb_settings *started; /* what the sources were made of */
    struct eb_sources *sources;
    struct eb_specs *specs; /* under mutex; NULL = mqtt.streams-file was unset at the start */
};

static struct eb_settings *settings_ref(struct eb_settings *s) {
    atomic_fetch_add(&s->refs, 1);
    return s;
}

static void settings_unref(struct eb_settings *s) {
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    eb_config_free(s->config);
    eb_issuers_free(s->issuers, s->issuers_n);
    free(s->accounts);
    free(s);
}
EB_DEFINE_CLEANUP(struct eb_settings, settings_unref);

void eb_view_done(struct eb_view *v) {
    settings_unref(v->settings);
    eb_signer_unref(v->signer);
    eb_policy_unref(v->policy);
    eb_cert_store_unref(v->cas);
    *v = (struct eb_view){0};
}

static struct eb_str *slices(const struct eb_strs *from) {
    struct eb_str *to = calloc(from->n + 1, sizeof *to);
    for (size_t i = 0; to && i < from->n; i++)
        to[i] = eb_str(from->v[i]);
    return to;
}

/* Unset in operator mode: those that there is a key for, so that an entry of another is found when loading.
 */
static struct eb_str *allowed_accounts(const struct eb_config *c, size_t *ret_n) {
    *ret_n = c->allowed_accounts.n ? c->allowed_accounts.n : c->accounts_n;
    if (c->allowed_accounts.n || !c->accounts_n)
        return slices(&c->allowed_accounts);
    struct eb_str *to = calloc(c->accounts_n, sizeof *to);
    for (size_t i = 0; to && i < c->accounts_n; i++)
        to[i] = eb_str(c->accounts[i].name);
    return to;
}

/* sources: NULL = those of the config itself, made by the caller when it is found good. */
static enum eb_rc settings_new(struct eb_config *config, struct eb_sources *sources, struct eb_settings **ret,
                               struct eb_findings *f) {
    EB_CLEANUP(settings_unrefp) struct eb_settings *s = calloc(1, sizeof *s);
    if (!s) {
        eb_config_free(config);
        return EB_E_NOMEM;
    }
    atomic_init(&s->refs, 1);
    s->config = config;
    s->accounts = allowed_accounts(config, &s->accounts_n);
    if (!s->accounts)
        return EB_E_NOMEM;
    enum eb_rc rc = eb_issuers_new(config, sources, &s->issuers, &s->issuers_n, f);
    if (rc != EB_OK)
        return rc;
    *ret = EB_TAKE(s);
    return EB_OK;
}

static bool takes_kubernetes(const struct eb_settings *s) {
    for (size_t i = 0; i < s->issuers_n; i++)
        if (s->issuers[i].config->kind == EB_ISSUER_KUBERNETES)
            return true;
    return false;
}

/* ServiceAccounts need no document: where none was named, and the default's is not there, there is none. At
 * the start only, and for as long as none was there: later it went by mistake. */
static bool does_without(const struct eb_settings *s) {
    const char *path = s->config->permissions_file;
    return takes_kubernetes(s) && strcmp(path, EB_CONFIG_PERMISSIONS) == 0 && access(path, F_OK) != 0 &&
           errno == ENOENT;
}

/* *lacks: whether there may be no document; then whether there is none. */
static enum eb_rc load_policy(const struct eb_settings *s, bool *lacks, struct eb_policy **ret,
                              struct eb_findings *f) {
    const struct eb_config *c = s->config;
    eb_auto_free struct eb_str *names = calloc(s->issuers_n + 1, sizeof *names);
    size_t names_n = 0;
    for (size_t i = 0; names && i < s->issuers_n; i++)
        if (s->issuers[i].config->kind == EB_ISSUER_OAUTH2 && s->issuers[i].policy_name.n)
            names[names_n++] = s->issuers[i].policy_name;
    if (!names)
        return EB_E_NOMEM;
    struct eb_policy_options opt = {.env = eb_config_env,
                                    .issuers = names,
                                    .issuers_n = names_n,
                                    .allowed_accounts = s->accounts,
                                    .allowed_accounts_n = s->accounts_n,
                                    .allow_org_identity = c->mtls_allow_org_identity,
                                    .others = takes_kubernetes(s)};
    struct eb_err err = {0};
    EB_CLEANUP(eb_doc_freep) struct eb_doc *doc = NULL;
    *lacks = *lacks && does_without(s);
    enum eb_rc rc = *lacks ? eb_doc_from(EB_STR("{}"), c->permissions_file, &doc, &err)
                           : eb_doc_open(c->permissions_file, EB_POLICY_MAX, &doc, &err);
    if (rc != EB_OK) {
        eb_findings_add(f, EB_ERROR, NULL, 0, "permissions.file",
                        "the document must be readable by this user; in a folder that no option named at the "
                        "start, the sandbox allows it only after a restart",
                        "%s", eb_err_text(&err, rc));
        return rc;
    }
    return eb_policy_load(doc, &opt, ret, f);
}

static enum eb_rc load_cas(const struct eb_config *c, struct eb_cert_store **ret, struct eb_findings *f) {
    *ret = NULL;
    if (!c->mtls_ca_path)
        return EB_OK;
    struct eb_err err = {0};
    eb_auto_buf struct eb_buf pem = {0};
    enum eb_rc rc = eb_file_read(c->mtls_ca_path, EB_CERT_CA_MAX, &pem, &err);
    if (rc == EB_OK)
        rc = eb_cert_store_read(eb_buf_get(&pem), ret, &err);
    if (rc != EB_OK)
        eb_findings_add(f, EB_ERROR, err.text[0] == '/' ? NULL : c->mtls_ca_path, 0, "mtls.ca-path",
                        "the file must hold the PEM certificates of the CAs of your clients; in a folder "
                        "that no option named at the start, the sandbox allows it only after a restart",
                        "%s", eb_err_text(&err, rc));
    return rc;
}

/* Of the file that was named at the start: another takes effect at a restart. */
static enum eb_rc load_specs(const char *path, struct eb_specs **ret, struct eb_findings *f) {
    *ret = NULL;
    enum eb_rc rc = path ? eb_specs_load(path, ret, f) : EB_OK;
    if (rc != EB_OK)
        eb_count(EB_C_SPECS_FAILURES);
    return rc;
}

static void note_policy(const struct eb_policy *p) {
    size_t n = 0;
    for (enum eb_policy_method m = EB_POLICY_OAUTH2; m <= EB_POLICY_NOAUTH; m++)
        n += eb_policy_count(p, m);
    eb_gauge_set(EB_G_POLICY_ENTRIES, (int64_t)n);
    eb_gauge_set(EB_G_POLICY_LOADED, eb_wall_s());
    eb_count(EB_C_PERM_RELOADS);
}

static bool takes_oauth2(const struct eb_settings *s) {
    for (size_t i = 0; i < s->issuers_n; i++)
        if (s->issuers[i].config->kind == EB_ISSUER_OAUTH2)
            return true;
    return false;
}

/* Loads all of a configuration into a view; every fault is told, not only the first. */
static enum eb_rc load_view(struct eb_config *config, struct eb_sources *sources, bool *lacks,
                            struct eb_view *ret, struct eb_findings *f) {
    EB_CLEANUP(eb_view_done) struct eb_view v = {0};
    enum eb_rc rc = settings_new(config, sources, &v.settings, f);
    if (rc != EB_OK)
        return rc;
    enum eb_rc seeds = eb_signer_load(v.settings->config, &v.signer, f);
    enum eb_rc policy = load_policy(v.settings, lacks, &v.policy, f);
    enum eb_rc cas = load_cas(v.settings->config, &v.cas, f);
    if (v.policy && !v.cas && cas == EB_OK && eb_policy_count(v.policy, EB_POLICY_MTLS))
        eb_findings_add(f, EB_WARNING, NULL, 0, "mtls.ca-path",
                        "set it to the CA file of the clients' certificates",
                        "unset, but the permissions document has mtls entries: every certificate is refused");
    if (v.policy && !takes_oauth2(v.settings) && eb_policy_count(v.policy, EB_POLICY_OAUTH2))
        eb_findings_add(f, EB_WARNING, NULL, 0, "jwks.url", "set it to the key set of the provider",
                        "unset, but the permissions document has oauth2 entries: every token is refused");
    if (seeds != EB_OK)
        eb_count(EB_C_SEED_FAILURES);
    if (policy != EB_OK)
        eb_count(EB_C_PERM_FAILURES);
    if (cas != EB_OK)
        eb_count(EB_C_CA_FAILURES);
    rc = seeds != EB_OK ? seeds : policy != EB_OK ? policy : cas;
    if (rc != EB_OK)
        return rc;
    *ret = v;
    v = (struct eb_view){0};
    return EB_OK;
}

/* The sources of the first settings, each issuer bound to its own. */
static enum eb_rc make_sources(struct eb_live *l) {
    struct eb_settings *s = l->view.settings;
    l->sources = eb_sources_new(s->config);
    if (!l->sources)
        return EB_E_NOMEM;
    l->started = settings_ref(s);
    for (size_t i = 0; i < s->issuers_n; i++) /* both in the order of eb_config_issuer */
        s->issuers[i].source = &l->sources->v[i];
    return EB_OK;
}

/* What the API servers of Kubernetes issuers are reached with. A reload does not use it, but the restart that
 * it asks for must not fail. */
static enum eb_rc check_apis(const struct eb_config *c, bool files, struct eb_findings *f) {
    size_t errors = f->errors;
    for (size_t i = 0; eb_config_issuer(c, i); i++)
        if (eb_config_issuer(c, i)->kind == EB_ISSUER_KUBERNETES)
            eb_kube_check(eb_config_issuer(c, i), files, f);
    return f->errors == errors ? EB_OK : EB_E_INVALID;
}

enum eb_rc eb_live_new(struct eb_config *config, struct eb_live **ret, struct eb_findings *findings) {
    EB_CLEANUP(eb_specs_unrefp) struct eb_specs *specs = NULL;
    enum eb_rc specs_rc = load_specs(config->mqtt_streams_file, &specs, findings);
    struct eb_view v;
    bool lacks = true;
    enum eb_rc rc = load_view(config, NULL, &lacks, &v, findings);
    if (rc == EB_OK && specs_rc != EB_OK)
        eb_view_done(&v);
    if (rc != EB_OK || specs_rc != EB_OK)
        return rc != EB_OK ? rc : specs_rc;
    if (lacks)
        eb_findings_add(findings, EB_WARNING, NULL, 0, "permissions.file",
                        "write one there, of `{}` for instance, or name another",
                        "no document at " EB_CONFIG_PERMISSIONS ": only ServiceAccounts get in");
    struct eb_live *l = NULL;
    rc = check_apis(v.settings->config, true, findings);
    if (rc == EB_OK && !(l = calloc(1, sizeof *l)))
        rc = EB_E_NOMEM;
    if (rc != EB_OK) {
        eb_view_done(&v);
        return rc;
    }
    (void)pthread_mutex_init(&l->mutex, NULL);
    l->view = v;
    l->has_document = !lacks;
    l->specs = EB_TAKE(specs);
    if (make_sources(l) != EB_OK) {
        eb_live_free(l);
        return EB_E_NOMEM;
    }
    note_policy(l->view.policy);
    *ret = l;
    return EB_OK;
}

void eb_live_free(struct eb_live *l) {
    if (!l)
        return;
    eb_view_done(&l->view);
    eb_sources_free(l->sources);
    eb_specs_unref(l->specs);
    settings_unref(l->started);
    (void)pthread_mutex_destroy(&l->mutex);
    free(l);
}

struct eb_sources *eb_live_sources(struct eb_live *l) {
    return l->sources;
}

struct eb_specs *eb_live_specs(struct eb_live *l) {
    EB_LOCKED(&l->mutex);
    return eb_specs_ref(l->specs);
}

void eb_live_view(struct eb_live *l, struct eb_view *ret) {
    EB_LOCKED(&l->mutex);
    ret->settings = settings_ref(l->view.settings);
    ret->signer = eb_signer_ref(l->view.signer);
    ret->policy = l->view.policy ? eb_policy_ref(l->view.policy) : NULL;
    ret->cas = l->view.cas ? eb_cert_store_ref(l->view.cas) : NULL;
}

/* Exchanges one pointer under the lock; the old one is then released outside it. */
#define SWAP(l, member, fresh)                                                                               \
    do {                                                                                                     \
        EB_LOCKED(&(l)->mutex);                                                                              \
        __typeof__(fresh) swap_old_ = (l)->view.member;                                                      \
        (l)->view.member = (fresh);                                                                          \
        (fresh) = swap_old_;                                                                                 \
    } while (0)

static bool may_lack(struct eb_live *l) {
    EB_LOCKED(&l->mutex);
    return !l->has_document;
}

static void note_document(struct eb_live *l, bool lacks) {
    EB_LOCKED(&l->mutex);
    l->has_document = l->has_document || !lacks;
}

enum eb_rc eb_live_reload_policy(struct eb_live *l, struct eb_findings *findings) {
    EB_CLEANUP(eb_view_done) struct eb_view v = {0};
    eb_live_view(l, &v);
    EB_CLEANUP(eb_policy_unrefp) struct eb_policy *fresh = NULL;
    bool lacks = may_lack(l);
    enum eb_rc rc = load_policy(v.settings, &lacks, &fresh, findings);
    if (rc != EB_OK) {
        eb_count(EB_C_PERM_FAILURES);
        return rc;
    }
    note_document(l, lacks);
    note_policy(fresh);
    SWAP(l, policy, fresh);
    (void)malloc_trim(0);
    return EB_OK;
}

enum eb_rc eb_live_reload_cas(struct eb_live *l, struct eb_findings *findings) {
    EB_CLEANUP(eb_view_done) struct eb_view v = {0};
    eb_live_view(l, &v);
    EB_CLEANUP(eb_cert_store_unrefp) struct eb_cert_store *fresh = NULL;
    enum eb_rc rc = load_cas(v.settings->config, &fresh, findings);
    if (rc != EB_OK) {
        eb_count(EB_C_CA_FAILURES);
        return rc;
    }
    SWAP(l, cas, fresh);
    return EB_OK;
}

enum eb_rc eb_live_reload_seeds(struct eb_live *l, struct eb_findings *findings) {
    EB_CLEANUP(eb_view_done) struct eb_view v = {0};
    eb_live_view(l, &v);
    EB_CLEANUP(eb_signer_unrefp) struct eb_signer *fresh = NULL;
    enum eb_rc rc = eb_signer_load(v.settings->config, &fresh, findings);
    if (rc != EB_OK) {
        eb_count(EB_C_SEED_FAILURES);
        return rc;
    }
    SWAP(l, signer, fresh);
    return EB_OK;
}

static void swap_specs(struct eb_live *l, struct eb_specs **fresh) {
    EB_LOCKED(&l->mutex);
    struct eb_specs *old = l->specs;
    l->specs = *fresh;
    *fresh = old;
}

enum eb_rc eb_live_reload_specs(struct eb_live *l, struct eb_findings *findings) {
    EB_CLEANUP(eb_specs_unrefp) struct eb_specs *fresh = NULL;
    enum eb_rc rc = load_specs(l->started->config->mqtt_streams_file, &fresh, findings);
    if (rc == EB_OK)
        swap_specs(l, &fresh);
    return rc;
}

enum eb_rc eb_live_reconfigure(struct eb_live *l, struct eb_config *config, struct eb_findings *findings) {
    EB_CLEANUP(eb_view_done) struct eb_view fresh = {0};
    EB_CLEANUP(eb_specs_unrefp) struct eb_specs *specs = NULL;
    bool lacks = may_lack(l);
    enum eb_rc specs_rc = load_specs(l->started->config->mqtt_streams_file, &specs, findings);
    enum eb_rc rc = load_view(config, l->sources, &lacks, &fresh, findings);
    rc = rc == EB_OK ? specs_rc : rc;
    if (rc == EB_OK)
        rc = check_apis(fresh.settings->config, false, findings);
    if (rc != EB_OK)
        return rc;
    note_document(l, lacks);
    note_policy(fresh.policy);
    swap_specs(l, &specs);
    {
        EB_LOCKED(&l->mutex);
        struct eb_view old = l->view;
        l->view = fresh;
        fresh = old;
    }
    (void)malloc_trim(0);
    return EB_OK;
}
