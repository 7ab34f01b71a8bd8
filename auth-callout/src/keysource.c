#include "keysource.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>

#include "base/file.h"
#include "clock.h"
#include "config_check.h"
#include "kube/request.h"
#include "log.h"
#include "metrics.h"

#define SECOND_NS INT64_C(1000000000)
enum { CONNECT_TIMEOUT_MS = 3000, TOTAL_TIMEOUT_MS = 5000, REDIRECTS_MAX = 3 };
/* After a failure: 1 s, doubled up to 30 s, each with jitter. */
#define RETRY_FIRST_NS SECOND_NS
#define RETRY_MAX_NS (30 * SECOND_NS)

#define API_KEYS "/openid/v1/jwks"
#define API_KEYS_TYPE "application/jwk-set+json, application/json"

struct eb_keysource {
    char *label, *url, *path, *ca, *cache_file;
    char *cache_option;        /* the name of the option that cache_file is of */
    struct eb_kube_access api; /* where the keys come from without url and path */
    bool allow_http, is_jwks_block;
    struct eb_key_stats *stats;
    int64_t refresh_ns;
    eb_keysource_fn done;
    void *ctx;
    pthread_t thread;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    struct eb_jwks *set;
    int64_t fetched_mono; /* of the last good fetch, 0 = never */
    int64_t last_unknown; /* start of the last fetch that an unknown kid asked for, 0 = never */
    int64_t next, retry_ns;
    bool fetching, poked, stopping;
    int64_t failing_since; /* the first of the failed fetches that came last, 0 = the last one was good */
    char trouble[EB_KEYSOURCE_TROUBLE]; /* why the last fetch failed; empty where it was good */
};

static char *copy(const char *z) {
    return z ? eb_str_dup(eb_str(z)) : NULL;
}

static void source_free(struct eb_keysource *k) {
    eb_kube_access_done(&k->api);
    free(k->label);
    free(k->cache_option);
    free(k->url);
    free(k->path);
    free(k->ca);
    free(k->cache_file);
    eb_jwks_unref(k->set);
    (void)pthread_mutex_destroy(&k->mutex);
    (void)pthread_cond_destroy(&k->wake);
    free(k);
}
EB_DEFINE_CLEANUP(struct eb_keysource, source_free);

static size_t on_body(char *p, size_t size, size_t n, void *ctx) {
    struct eb_buf *body = ctx;
    if (body->n + size * n > EB_JWKS_MAX)
        return 0; /* curl then ends the transfer with CURLE_WRITE_ERROR */
    eb_buf_add(body, p, size * n);
    return eb_buf_ok(body) ? size * n : 0;
}

static int on_progress(void *ctx, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up) {
    (void)total;
    (void)now;
    (void)up_total;
    (void)up;
    struct eb_keysource *k = ctx;
    EB_LOCKED(&k->mutex);
    return k->stopping;
}

static void curl_cleanupp(CURL **curl) {
    if (*curl)
        curl_easy_cleanup(*curl);
}

/* What any transfer is bound to; the answer goes to body. */
static void limit_transfer(struct eb_keysource *k, CURL *curl, struct eb_buf *body) {
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TOTAL_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, (long)EB_JWKS_MAX);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, k);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "auth-callout");
#if LIBCURL_VERSION_NUM >= 0x075700
    (void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* a silent name server holds nobody's end up */
#endif
}

static bool too_large(CURLcode rc) {
    return rc == CURLE_WRITE_ERROR || rc == CURLE_FILESIZE_EXCEEDED;
}

static enum eb_rc fetch_url(struct eb_keysource *k, struct eb_buf *body, struct eb_err *reterr) {
    EB_CLEANUP(curl_cleanupp) CURL *curl = curl_easy_init();
    if (!curl)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    char detail[CURL_ERROR_SIZE] = "";
    bool plain = strncmp(k->url, "http://", 7) == 0;
    (void)curl_easy_setopt(curl, CURLOPT_URL, k->url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, plain ? "http,https" : "https");
    (void)curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, k->allow_http ? "http,https" : "https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    (void)curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    if (eb_config_is_loopback_url(k->url)) /* a proxy could replace the keys */
        (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    limit_transfer(k, curl, body);
    if (k->ca)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, k->ca);
    CURLcode rc = curl_easy_perform(curl);
    if (rc == CURLE_OK)
        return EB_OK;
    if (too_large(rc))
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "the answer is larger than %zu bytes", EB_JWKS_MAX);
    return EB_FAIL(reterr, EB_E_IO, "%s", detail[0] ? detail : curl_easy_strerror(rc));
}

/*
 * From the Kubernetes API server. Its CA and our token are read again for each fetch, out of a kubeconfig,
 * too: one that is missing or half written at the moment leaves what it said before in use.
 */
static enum eb_rc fetch_api(struct eb_keysource *k, struct eb_buf *body, struct eb_err *reterr) {
    EB_CLEANUP(eb_kube_request_done) struct eb_kube_request r = {0};
    struct eb_err err = {0};
    enum eb_rc rc = eb_kube_access_refresh(&k->api, &err);
    if (rc != EB_OK)
        eb_log(EB_LOG_WARN, "issuer %s: the kubeconfig is not taken, what it said before stays in use: %s",
               k->label, eb_err_text(&err, rc));
    rc = eb_kube_request_open(&r, &k->api, API_KEYS, API_KEYS_TYPE, reterr);
    if (rc != EB_OK)
        return rc;
    limit_transfer(k, r.curl, body);
    CURLcode code = curl_easy_perform(r.curl);
    if (too_large(code))
        return EB_FAIL(reterr, EB_E_TOO_LARGE, "the answer is larger than %zu bytes", EB_JWKS_MAX);
    long status = 0;
    (void)curl_easy_getinfo(r.curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status / 100 != 2)
        return eb_kube_request_failure(&r, code, reterr);
    return EB_OK;
}

static enum eb_rc fetch(struct eb_keysource *k, struct eb_jwks **ret, struct eb_err *reterr) {
    eb_auto_buf struct eb_buf body = {0};
    enum eb_rc rc = k->path  ? eb_file_read(k->path, EB_JWKS_MAX, &body, reterr)
                    : k->url ? fetch_url(k, &body, reterr)
                             : fetch_api(k, &body, reterr);
    if (rc != EB_OK)
        return rc;
    rc = eb_jwks_read(eb_buf_get(&body), ret, NULL, reterr);
    if (rc != EB_OK || !k->cache_file)
        return rc;
    struct eb_err err = {0};
    if (eb_file_write(k->cache_file, eb_buf_get(&body), 0600, &err) != EB_OK)
        eb_log(EB_LOG_WARN, "%s: %s", k->cache_option, err.text);
    return EB_OK;
}

static void log_result(const struct eb_keysource *k, bool was_failing, enum eb_rc rc,
                       const struct eb_err *err, size_t keys) {
    if (rc == EB_OK && !was_failing)
        return;
    struct eb_log_line l;
    eb_log_begin(&l, rc == EB_OK ? EB_LOG_INFO : EB_LOG_WARN,
                 rc == EB_OK ? "keys of the token issuer are there"
                             : "keys of the token issuer could not be fetched");
    eb_log_z(&l, "issuer", k->label);
    eb_log_z(&l, "source", k->path ? k->path : k->url ? k->url : k->api.url);
    if (rc == EB_OK)
        eb_log_int(&l, "keys", (int64_t)keys);
    else
        eb_log_z(&l, "error", eb_err_text(err, rc));
    eb_log_end(&l);
}

static void use_set(struct eb_keysource *k, struct eb_jwks *fresh, bool from_cache) {
    EB_LOCKED(&k->mutex);
    struct eb_jwks *old = k->set;
    k->set = fresh;
    int64_t keys = (int64_t)eb_jwks_count(fresh), now_s = eb_wall_s();
    if (!from_cache)
        k->fetched_mono = eb_mono_ns();
    if (k->stats) {
        atomic_store(&k->stats->keys, keys);
        if (!from_cache)
            atomic_store(&k->stats->fetched, now_s);
    }
    if (k->is_jwks_block) { /* the series without a label are those of the jwks block */
        eb_gauge_set(EB_G_JWKS_KEYS, keys);
        if (!from_cache)
            eb_gauge_set(EB_G_JWKS_FETCHED, now_s);
    }
    eb_jwks_unref(old);
}

static int64_t jittered(int64_t ns) {
    return ns - (int64_t)((double)ns * 0.25 * (double)randombytes_uniform(1000) / 1000.0);
}

static void count_failure(struct eb_keysource *k) {
    eb_count(EB_C_JWKS_FAILURES);
    if (k->stats)
        atomic_fetch_add(&k->stats->failures, 1);
}

static void fetch_once(struct eb_keysource *k) {
    struct eb_err err = {0};
    struct eb_jwks *fresh = NULL;
    int64_t began = eb_mono_ns();
    eb_count(EB_C_JWKS_FETCHES);
    if (k->stats)
        atomic_fetch_add(&k->stats->fetches, 1);
    enum eb_rc rc = fetch(k, &fresh, &err);
    if (rc == EB_OK)
        use_set(k, fresh, false);
    else
        count_failure(k);
    bool was_failing;
    {
        EB_LOCKED(&k->mutex);
        if (k->stopping)
            return;
        was_failing = k->failing_since != 0;
        k->failing_since = rc == EB_OK ? 0 : was_failing ? k->failing_since : began;
        (void)snprintf(k->trouble, sizeof k->trouble, "%s", rc == EB_OK ? "" : eb_err_text(&err, rc));
        k->fetching = false;
        k->retry_ns = rc == EB_OK ? 0 : k->retry_ns ? k->retry_ns * 2 : RETRY_FIRST_NS;
        if (k->retry_ns > RETRY_MAX_NS)
            k->retry_ns = RETRY_MAX_NS;
        k->next = eb_mono_ns() + jittered(k->retry_ns ? k->retry_ns : k->refresh_ns);
    }
    if (rc != EB_OK || was_failing)
        log_result(k, was_failing, rc, &err, fresh ? eb_jwks_count(fresh) : 0);
    k->done(k->ctx);
}

static void *source_main(void *arg) {
    struct eb_keysource *k = arg;
    for (;;) {
        {
            EB_LOCKED(&k->mutex);
            while (!k->stopping && !k->fetching && !k->poked && eb_mono_ns() < k->next)
                eb_cond_wait_until(&k->wake, &k->mutex, k->next);
            if (k->stopping)
                return NULL;
            k->fetching = true;
            k->poked = false;
        }
        fetch_once(k);
    }
}

static void read_cache(struct eb_keysource *k) {
    eb_auto_buf struct eb_buf body = {0};
    struct eb_err err = {0};
    struct eb_jwks *set = NULL;
    if (!k->cache_file || access(k->cache_file, F_OK) != 0)
        return;
    enum eb_rc rc = eb_file_read(k->cache_file, EB_JWKS_MAX, &body, &err);
    if (rc == EB_OK)
        rc = eb_jwks_read(eb_buf_get(&body), &set, NULL, &err);
    if (rc == EB_OK)
        use_set(k, set, true);
    else
        eb_log(EB_LOG_WARN, "%s: %s: %s", k->cache_option, k->cache_file, eb_err_text(&err, rc));
}

/* What the source needs of the settings. */
static enum eb_rc copy_settings(struct eb_keysource *k, const struct eb_issuer_config *c,
                                struct eb_err *reterr) {
    const struct {
        const char *from;
        char **to;
    } texts[] = {{eb_issuer_label(c), &k->label},
                 {c->url, &k->url},
                 {c->path, &k->path},
                 {c->ca, &k->ca},
                 {c->cache_file, &k->cache_file}};
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++) {
        *texts[i].to = copy(texts[i].from);
        if (texts[i].from && !*texts[i].to)
            return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    }
    eb_auto_buf struct eb_buf option = {0};
    eb_config_issuer_path(c, "cache-file", &option);
    k->cache_option = eb_buf_take(&option);
    if (!k->cache_option)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    k->allow_http = c->allow_http;
    k->refresh_ns = c->refresh_ns;
    k->is_jwks_block = !c->name;
    if (c->url || c->path)
        return EB_OK;
    return eb_kube_access_load(&c->kube, &k->api, reterr);
}

enum eb_rc eb_keysource_start(const struct eb_issuer_config *c, struct eb_key_stats *stats,
                              eb_keysource_fn done, void *ctx, struct eb_keysource **ret,
                              struct eb_err *reterr) {
    EB_CLEANUP(source_freep) struct eb_keysource *k = calloc(1, sizeof *k);
    if (!k)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    (void)pthread_mutex_init(&k->mutex, NULL);
    eb_cond_init(&k->wake);
    enum eb_rc rc = copy_settings(k, c, reterr);
    if (rc != EB_OK)
        return rc;
    k->stats = stats;
    k->done = done;
    k->ctx = ctx;
    k->fetching = true; /* the first fetch is under way before the first request can ask */
    read_cache(k);
    if (pthread_create(&k->thread, NULL, source_main, k) != 0)
        return EB_FAIL(reterr, EB_E_INTERNAL, "no thread for the key source: %s", strerror(errno));
    *ret = EB_TAKE(k);
    return EB_OK;
}

void eb_keysource_leave(struct eb_keysource *k) {
    if (!k)
        return;
    EB_LOCKED(&k->mutex);
    k->stopping = true;
    (void)pthread_cond_signal(&k->wake);
}

void eb_keysource_stop(struct eb_keysource *k) {
    if (!k)
        return;
    eb_keysource_leave(k);
    (void)pthread_join(k->thread, NULL);
    source_free(k);
}

struct eb_jwks *eb_keysource_get(struct eb_keysource *k) {
    EB_LOCKED(&k->mutex);
    return k->set ? eb_jwks_ref(k->set) : NULL;
}

enum eb_key_hope eb_keysource_want(struct eb_keysource *k, const struct eb_jwks *seen) {
    EB_LOCKED(&k->mutex);
    if (k->set != seen)
        return EB_KEYS_CHANGED;
    if (k->fetching)
        return EB_KEYS_COMING;
    int64_t now = eb_mono_ns();
    if (k->last_unknown && now - k->last_unknown < EB_KEYSOURCE_UNKNOWN_NS)
        return EB_KEYS_SAME;
    k->last_unknown = now;
    k->fetching = true;
    (void)pthread_cond_signal(&k->wake);
    return EB_KEYS_COMING;
}

bool eb_keysource_fetching(struct eb_keysource *k) {
    EB_LOCKED(&k->mutex);
    return k->fetching;
}

void eb_keysource_poke(struct eb_keysource *k) {
    EB_LOCKED(&k->mutex);
    k->poked = true;
    (void)pthread_cond_signal(&k->wake);
}

void eb_keysource_status(struct eb_keysource *k, struct eb_key_status *ret) {
    EB_LOCKED(&k->mutex);
    int64_t now = eb_mono_ns();
    *ret = (struct eb_key_status){.keys = k->set ? eb_jwks_count(k->set) : 0,
                                  .age_s = k->fetched_mono ? (now - k->fetched_mono) / SECOND_NS : -1,
                                  .failing = k->failing_since != 0};
    if (k->failing_since)
        ret->failing_s = (now - k->failing_since) / SECOND_NS;
    memcpy(ret->trouble, k->trouble, sizeof ret->trouble);
}
