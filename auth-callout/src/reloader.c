#include "reloader.h"

#include <pthread.h>

#include "log.h"
#include "metrics.h"
#include "watch.h"

enum { FILES_MAX = 512 };
enum watch_tag { TAG_POLICY, TAG_CA, TAG_SEEDS, TAG_JWKS, TAG_SPECS, TAG_CONFIG };

struct eb_reloader {
    struct eb_reloader_options opt;
    char *config_path, *hot_path;
    struct eb_watch *watch;
    pthread_mutex_t mutex; /* one reload at a time */
};

void eb_log_findings(const struct eb_findings *f, const char *what) {
    for (size_t i = 0; i < f->n; i++) {
        const struct eb_finding *it = &f->items[i];
        struct eb_log_line l;
        eb_log_begin(&l, it->severity == EB_ERROR ? EB_LOG_ERROR : EB_LOG_WARN, what);
        if (it->file)
            eb_log_z(&l, "file", it->file);
        if (it->line)
            eb_log_int(&l, "line", (int64_t)it->line);
        if (it->path)
            eb_log_z(&l, "path", it->path);
        eb_log_z(&l, "finding", it->text ? it->text : "");
        if (it->mend && it->mend[0])
            eb_log_z(&l, "mend", it->mend);
        eb_log_end(&l);
    }
}

static void watch_files(struct eb_reloader *r, int64_t since_ns) {
    EB_CLEANUP(eb_view_done) struct eb_view view = {0};
    eb_live_view(r->opt.live, &view);
    const struct eb_config *c = view.settings->config;
    struct eb_watched files[FILES_MAX];
    size_t n = 0;
    files[n++] = (struct eb_watched){c->permissions_file, TAG_POLICY};
    if (c->mtls_ca_path)
        files[n++] = (struct eb_watched){c->mtls_ca_path, TAG_CA};
    if (r->opt.started->mqtt_streams_file)
        files[n++] = (struct eb_watched){r->opt.started->mqtt_streams_file, TAG_SPECS};
    if (r->config_path)
        files[n++] = (struct eb_watched){r->config_path, TAG_CONFIG};
    if (r->hot_path)
        files[n++] = (struct eb_watched){r->hot_path, TAG_CONFIG};
    const struct eb_strs *lists[] = {&c->issuer_seed_files, &c->xkey_seed_files};
    for (size_t l = 0; l < EB_COUNT_OF(lists); l++)
        for (size_t i = 0; i < lists[l]->n && n < EB_COUNT_OF(files); i++)
            files[n++] = (struct eb_watched){lists[l]->v[i], TAG_SEEDS};
    for (size_t i = 0; i < c->accounts_n && n < EB_COUNT_OF(files); i++)
        if (c->accounts[i].signing_seed_file)
            files[n++] = (struct eb_watched){c->accounts[i].signing_seed_file, TAG_SEEDS};
    const struct eb_issuer_config *issuer;
    for (size_t i = 0; n < EB_COUNT_OF(files) && (issuer = eb_config_issuer(r->opt.started, i)); i++)
        if (issuer->path)
            files[n++] = (struct eb_watched){issuer->path, TAG_JWKS};
    eb_watch_set(r->watch, files, n, since_ns);
}

static void reload_one(struct eb_reloader *r, const char *what,
                       enum eb_rc (*reload)(struct eb_live *, struct eb_findings *)) {
    eb_auto_findings struct eb_findings f = {0};
    enum eb_rc rc = reload(r->opt.live, &f);
    eb_log_findings(&f, rc == EB_OK ? "a reloaded document has a doubtful place"
                                    : "a changed file was not taken; the old stays in force");
    struct eb_log_line l;
    eb_log_begin(&l, rc == EB_OK ? EB_LOG_INFO : EB_LOG_ERROR,
                 rc == EB_OK ? "reloaded" : "reload failed; the old stays in force");
    eb_log_z(&l, "what", what);
    eb_log_end(&l);
    if (rc == EB_OK && r->opt.reloaded)
        r->opt.reloaded(r->opt.ctx_reloaded);
}

/* False where the old configuration stays in force. */
static bool reload_all(struct eb_reloader *r) {
    EB_LOCKED(&r->mutex);
    eb_auto_findings struct eb_findings f = {0};
    eb_auto_buf struct eb_buf restart = {0};
    struct eb_config *fresh = NULL;
    int64_t since_ns = eb_watch_now_ns();
    enum eb_rc rc = r->opt.reread(r->opt.ctx, &fresh, &f);
    if (rc == EB_OK) {
        eb_config_needs_restart(r->opt.started, fresh, &restart);
        rc = eb_live_reconfigure(r->opt.live, fresh, &f);
    }
    eb_log_findings(&f, rc == EB_OK ? "the configuration has a doubtful place"
                                    : "the configuration was not taken; the old stays in force");
    if (rc != EB_OK) {
        eb_count(EB_C_CONFIG_FAILURES);
        eb_log(EB_LOG_ERROR, "reload failed; the old configuration stays in force");
        return false;
    }
    if (restart.n)
        eb_log(EB_LOG_WARN, "reloaded; these take effect only at a restart: %s", restart.p);
    else
        eb_log(EB_LOG_INFO, "reloaded");
    EB_CLEANUP(eb_view_done) struct eb_view view = {0};
    eb_live_view(r->opt.live, &view);
    eb_log_set_level(view.settings->config->log_level);
    watch_files(r, since_ns);
    eb_sources_poke(eb_live_sources(r->opt.live));
    if (r->opt.reloaded)
        r->opt.reloaded(r->opt.ctx_reloaded);
    return true;
}

static void on_files(void *ctx, unsigned tags) {
    struct eb_reloader *r = ctx;
    /* Of files that came together (a ConfigMap), a broken configuration must not hold back what others say:
     * they are read by the old one. */
    if (tags & 1U << TAG_CONFIG && reload_all(r))
        return;
    EB_LOCKED(&r->mutex);
    if (tags & 1U << TAG_POLICY)
        reload_one(r, "permissions", eb_live_reload_policy);
    if (tags & 1U << TAG_CA)
        reload_one(r, "mtls.ca-path", eb_live_reload_cas);
    if (tags & 1U << TAG_SEEDS)
        reload_one(r, "seeds", eb_live_reload_seeds);
    if (tags & 1U << TAG_SPECS)
        reload_one(r, "mqtt.streams-file", eb_live_reload_specs);
    if (tags & 1U << TAG_JWKS)
        eb_sources_poke_files(eb_live_sources(r->opt.live));
}

void eb_reloader_run(struct eb_reloader *r) {
    (void)reload_all(r);
}

enum eb_rc eb_reloader_start(const struct eb_reloader_options *opt, struct eb_reloader **ret,
                             struct eb_err *reterr) {
    struct eb_reloader *r = calloc(1, sizeof *r);
    if (!r)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    r->opt = *opt;
    (void)pthread_mutex_init(&r->mutex, NULL);
    r->config_path = opt->config_path ? eb_str_dup(eb_str(opt->config_path)) : NULL;
    r->hot_path = opt->hot_path ? eb_str_dup(eb_str(opt->hot_path)) : NULL;
    enum eb_rc rc = eb_watch_start(on_files, r, &r->watch, reterr);
    if (rc != EB_OK) {
        eb_reloader_stop(r);
        return rc;
    }
    watch_files(r, opt->since_ns);
    *ret = r;
    return EB_OK;
}

void eb_reloader_stop(struct eb_reloader *r) {
    if (!r)
        return;
    eb_watch_stop(r->watch);
    (void)pthread_mutex_destroy(&r->mutex);
    free(r->config_path);
    free(r->hot_path);
    free(r);
}
