#include "kube/kube.h"

#include <errno.h>
#include <sodium.h>

#include "clock.h"
#include "kube/impl.h"
#include "log.h"

const struct eb_kube_times eb_kube_usual_times = {.watch_s = 60,
                                                  .margin_ns = 10 * EB_KUBE_SECOND_NS,
                                                  .page_silent_s = 15,
                                                  .retry_first_ns = EB_KUBE_SECOND_NS / 2,
                                                  .retry_max_ns = 30 * EB_KUBE_SECOND_NS,
                                                  .ask_ms = 5000,
                                                  .no_ns = 3 * EB_KUBE_SECOND_NS,
                                                  .again_ns = EB_KUBE_SECOND_NS / 5,
                                                  .unasked_ns = 2 * EB_KUBE_SECOND_NS,
                                                  .reviewed_ns = 5 * EB_KUBE_SECOND_NS};
/* The thread looks around at least this often. */
#define ROUND_MAX_MS 1000

int64_t eb_kube_jittered(int64_t ns) {
    return ns - (int64_t)((double)ns * 0.25 * (double)randombytes_uniform(1000) / 1000.0);
}

static void rules_done(struct eb_kube_texts *t) {
    for (size_t i = 0; i < t->rules.reserved_n; i++)
        free((char *)(uintptr_t)t->reserved[i].p);
    free(t->reserved);
    free(t->prefix);
}

static void kube_free(struct eb_kube *k) {
    if (k->multi)
        (void)curl_multi_cleanup(k->multi);
    eb_kube_access_done(&k->access);
    rules_done(&k->texts);
    free(k->label);
    eb_kube_table_free(k->table);
    eb_kube_memo_free(k->memo);
    (void)pthread_mutex_destroy(&k->mutex);
    free(k);
}
EB_DEFINE_CLEANUP(struct eb_kube, kube_free);

static bool is_stopping(struct eb_kube *k) {
    EB_LOCKED(&k->mutex);
    return k->stopping;
}

/* Takes the transfers that ended; false where none did. */
static bool collect(struct eb_kube *k) {
    bool any = false;
    int left;
    for (CURLMsg *m = curl_multi_info_read(k->multi, &left); m; m = curl_multi_info_read(k->multi, &left)) {
        CURL *curl = m->easy_handle;
        CURLcode code = m->data.result;
        char *whose = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        any = true;
        (void)curl_easy_getinfo(curl, CURLINFO_PRIVATE, &whose);
        (void)curl_multi_remove_handle(k->multi, curl);
        if (whose)
            eb_kube_asks_ended(k, (struct eb_kube_ask *)(void *)whose, code);
        else
            eb_kube_follow_ended(k, code);
    }
    return any;
}

static void *kube_main(void *arg) {
    struct eb_kube *k = arg;
    while (!is_stopping(k)) {
        int running = 0;
        int64_t now = eb_mono_ns();
        int64_t next = eb_kube_follow_step(k, now), next_ask = eb_kube_asks_step(k, now);
        (void)curl_multi_perform(k->multi, &running);
        bool any = collect(k);
        if (next_ask < next)
            next = next_ask;
        int64_t wait_ms = (next - eb_mono_ns()) / 1000000 + 1;
        if (!any && wait_ms > 0)
            (void)curl_multi_poll(k->multi, NULL, 0, wait_ms < ROUND_MAX_MS ? (int)wait_ms : ROUND_MAX_MS,
                                  NULL);
    }
    eb_kube_follow_stop(k);
    eb_kube_asks_stop(k);
    return NULL;
}

/* The rules with texts of their own, to be released with rules_done. */
static enum eb_rc rules_copy(struct eb_kube_texts *t, const struct eb_kube_config *c, struct eb_err *reterr) {
    size_t n = c->reserved_namespaces.n;
    t->prefix = c->subject_prefix ? eb_str_dup(eb_str(c->subject_prefix)) : NULL;
    t->reserved = calloc(n + 1, sizeof *t->reserved);
    if ((c->subject_prefix && !t->prefix) || !t->reserved)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        t->reserved[i] = eb_str(eb_str_dup(eb_str(c->reserved_namespaces.v[i])));
        if (!t->reserved[i].p)
            return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
        t->rules.reserved_n = i + 1;
    }
    t->rules.subject_prefix = eb_str(t->prefix);
    t->rules.reserved = t->reserved;
    t->rules.allow_root_wildcards = c->allow_root_wildcards;
    t->rules.allow_jetstream = c->allow_jetstream;
    return eb_kube_rules_check(&t->rules, reterr);
}

void eb_kube_check(const struct eb_issuer_config *c, bool files, struct eb_findings *f) {
    eb_auto_buf struct eb_buf api = {0}, prefix = {0};
    EB_CLEANUP(rules_done) struct eb_kube_texts texts = {0};
    struct eb_err err = {0};
    eb_config_issuer_path(c,
                          c->kube.kubeconfig ? "kubeconfig"
                          : c->kube.api_url  ? "api-url"
                                             : "in-cluster",
                          &api);
    eb_config_issuer_path(c, "subject-prefix", &prefix);
    EB_CLEANUP(eb_kube_access_done) struct eb_kube_access access = {0};
    enum eb_rc rc = EB_OK;
    if (files)
        eb_kube_access_check(&c->kube, api.p, f);
    else
        rc = eb_kube_access_load(&c->kube, &access, &err);
    /* on a reload a kubeconfig that is half written leaves what it said before in use, as at each request */
    if (rc != EB_OK && rc != EB_E_IO)
        eb_findings_add(f, files || !c->kube.kubeconfig ? EB_ERROR : EB_WARNING, NULL, 0, api.p, NULL, "%s",
                        eb_err_text(&err, rc));
    rc = rules_copy(&texts, &c->kube, &err);
    if (rc != EB_OK)
        eb_findings_add(f, EB_ERROR, NULL, 0, prefix.p, NULL, "%s", eb_err_text(&err, rc));
}

enum eb_rc eb_kube_start_timed(const struct eb_issuer_config *c, const struct eb_kube_times *times,
                               eb_kube_fn done, void *ctx, struct eb_kube **ret, struct eb_err *reterr) {
    EB_CLEANUP(kube_freep) struct eb_kube *k = calloc(1, sizeof *k);
    if (!k)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    (void)pthread_mutex_init(&k->mutex, NULL);
    k->times = *times;
    k->done = done;
    k->ctx = ctx;
    k->queued_last = &k->queued;
    k->label = eb_str_dup(eb_str(eb_issuer_label(c)));
    k->memo = eb_kube_memo_new();
    k->multi = curl_multi_init();
    if (!k->label || !k->memo || !k->multi)
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    enum eb_rc rc = eb_kube_access_load(&c->kube, &k->access, reterr);
    if (rc == EB_OK)
        rc = rules_copy(&k->texts, &c->kube, reterr);
    if (rc == EB_OK)
        rc = eb_kube_table_new(&k->texts.rules, &k->table, reterr);
    if (rc != EB_OK)
        return rc;
    (void)curl_multi_setopt(k->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    (void)curl_multi_setopt(k->multi, CURLMOPT_MAXCONNECTS, 16L);
    if (pthread_create(&k->thread, NULL, kube_main, k) != 0)
        return EB_FAIL(reterr, EB_E_INTERNAL, "no thread for the Kubernetes API: %s", strerror(errno));
    *ret = EB_TAKE(k);
    return EB_OK;
}

enum eb_rc eb_kube_start(const struct eb_issuer_config *c, eb_kube_fn done, void *ctx, struct eb_kube **ret,
                         struct eb_err *reterr) {
    return eb_kube_start_timed(c, &eb_kube_usual_times, done, ctx, ret, reterr);
}

void eb_kube_leave(struct eb_kube *k) {
    if (!k)
        return;
    {
        EB_LOCKED(&k->mutex);
        k->stopping = true;
    }
    (void)curl_multi_wakeup(k->multi);
}

void eb_kube_stop(struct eb_kube *k) {
    if (!k)
        return;
    eb_kube_leave(k);
    (void)pthread_join(k->thread, NULL);
    kube_free(k);
}

struct eb_kube_account *eb_kube_find(struct eb_kube *k, struct eb_str ns, struct eb_str name) {
    return eb_kube_table_find(k->table, ns, name);
}

void eb_kube_status(struct eb_kube *k, struct eb_kube_status *ret) {
    size_t accounts = eb_kube_table_count(k->table), bytes = eb_kube_table_bytes(k->table);
    size_t cut = eb_kube_table_cut(k->table);
    EB_LOCKED(&k->mutex);
    *ret = k->status;
    ret->accounts = accounts;
    ret->bytes = bytes;
    ret->cut = cut;
    ret->age_s = k->heard_ns ? (eb_mono_ns() - k->heard_ns) / EB_KUBE_SECOND_NS : -1;
}

void eb_kube_poke(struct eb_kube *k) {
    {
        EB_LOCKED(&k->mutex);
        k->poked = true;
    }
    (void)curl_multi_wakeup(k->multi);
}
