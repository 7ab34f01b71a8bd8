#include <stdlib.h>

#include "issuer.h"
#include "log.h"

static void on_ask(void *ctx, uint64_t number) {
    struct eb_source *s = ctx;
    s->all->done(s->all->ctx, s, number);
}

static void on_keys(void *ctx) {
    on_ask(ctx, EB_SOURCE_KEYS);
}

struct eb_sources *eb_sources_new(const struct eb_config *c) {
    size_t n = 0;
    while (eb_config_issuer(c, n))
        n++;
    struct eb_sources *all = calloc(1, sizeof *all + n * sizeof all->v[0]);
    if (!all)
        return NULL;
    all->n = n;
    for (size_t i = 0; i < n; i++) {
        all->v[i].config = eb_config_issuer(c, i);
        all->v[i].all = all;
    }
    return all;
}

void eb_sources_free(struct eb_sources *all) {
    if (!all)
        return;
    eb_sources_stop(all);
    free(all);
}

enum eb_rc eb_sources_start(struct eb_sources *all, eb_source_fn done, void *ctx, struct eb_err *reterr) {
    all->done = done;
    all->ctx = ctx;
    for (size_t i = 0; i < all->n; i++) {
        struct eb_source *s = &all->v[i];
        enum eb_rc rc = eb_keysource_start(s->config, &s->stats, on_keys, s, &s->keys, reterr);
        if (rc == EB_OK && s->config->kind == EB_ISSUER_KUBERNETES)
            rc = eb_kube_start(s->config, on_ask, s, &s->kube, reterr);
        if (rc != EB_OK) {
            eb_err_prefix(reterr, "issuer %s", eb_issuer_label(s->config));
            return rc;
        }
    }
    return EB_OK;
}

void eb_sources_stop(struct eb_sources *all) {
    /* A transfer under way may take up to a second to end: all end at the same time. */
    for (size_t i = 0; all && i < all->n; i++) {
        eb_keysource_leave(all->v[i].keys);
        eb_kube_leave(all->v[i].kube);
    }
    for (size_t i = 0; all && i < all->n; i++) {
        struct eb_source *s = &all->v[i];
        eb_keysource_stop(s->keys);
        eb_kube_stop(s->kube);
        s->keys = NULL;
        s->kube = NULL;
    }
}

void eb_sources_poke(struct eb_sources *all) {
    for (size_t i = 0; i < all->n; i++) {
        if (all->v[i].keys)
            eb_keysource_poke(all->v[i].keys);
        if (all->v[i].kube)
            eb_kube_poke(all->v[i].kube);
    }
}

void eb_sources_poke_files(struct eb_sources *all) {
    for (size_t i = 0; i < all->n; i++)
        if (all->v[i].keys && all->v[i].config->path)
            eb_keysource_poke(all->v[i].keys);
}

bool eb_source_lacks(const struct eb_source *s) {
    if (atomic_load(&s->stats.keys) == 0)
        return true;
    if (!s->kube)
        return false;
    struct eb_kube_status now;
    eb_kube_status(s->kube, &now);
    return !now.listed;
}

static bool has_kube(const struct eb_sources *all) {
    for (size_t i = 0; i < all->n; i++)
        if (all->v[i].kube)
            return true;
    return false;
}

void eb_sources_json(const struct eb_sources *all, struct eb_buf *to) {
    eb_buf_z(to, "\"keys\":{");
    for (size_t i = 0; i < all->n; i++) {
        const struct eb_source *s = &all->v[i];
        struct eb_key_status now = {.age_s = -1};
        if (s->keys)
            eb_keysource_status(s->keys, &now);
        eb_buf_printf(to, "%s\"%s\":{\"status\":\"%s\",\"keys\":%zu,\"age_s\":%lld", i ? "," : "",
                      eb_issuer_label(s->config),
                      now.keys == 0 ? "unavailable"
                      : now.failing ? "stale"
                                    : "ok",
                      now.keys, (long long)now.age_s);
        if (now.failing) {
            eb_buf_printf(to, ",\"failing_s\":%lld,\"trouble\":", (long long)now.failing_s);
            eb_buf_json_str(to, eb_str(now.trouble), 0);
        }
        eb_buf_ch(to, '}');
    }
    eb_buf_ch(to, '}');
    if (!has_kube(all))
        return;
    eb_buf_z(to, ",\"kubernetes\":{");
    const char *comma = "";
    for (size_t i = 0; i < all->n; i++) {
        const struct eb_source *s = &all->v[i];
        struct eb_kube_status now;
        if (!s->kube)
            continue;
        eb_kube_status(s->kube, &now);
        eb_buf_printf(
            to,
            "%s\"%s\":{\"status\":\"%s\",\"accounts\":%zu,\"watching\":%s,\"age_s\":%lld,\"trouble\":", comma,
            eb_issuer_label(s->config),
            !now.listed    ? "unavailable"
            : now.watching ? "ok"
                           : "stale",
            now.accounts, now.watching ? "true" : "false", (long long)now.age_s);
        eb_buf_json_str(to, eb_str(now.trouble), 0);
        eb_buf_ch(to, '}');
        comma = ",";
    }
    eb_buf_ch(to, '}');
}

static void head(struct eb_buf *to, const char *name, const char *help, const char *type) {
    eb_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample(struct eb_buf *to, const char *name, const struct eb_source *s, long long v) {
    eb_buf_printf(to, "%s{issuer=\"%s\"} %lld\n", name, eb_issuer_label(s->config), v);
}

static void by_reason(struct eb_buf *to, const char *name, const struct eb_source *s, const char *reason,
                      uint64_t v) {
    eb_buf_printf(to, "%s{issuer=\"%s\",reason=\"%s\"} %llu\n", name, eb_issuer_label(s->config), reason,
                  (unsigned long long)v);
}

enum key_row { KEYS, FETCHED, FETCHES, FAILURES, FAILING };

static long long failing_s(const struct eb_source *s) {
    struct eb_key_status now;
    if (!s->keys)
        return -1;
    eb_keysource_status(s->keys, &now);
    return now.failing ? (long long)now.failing_s : -1;
}

static long long key_value(const struct eb_source *s, enum key_row row) {
    switch (row) {
    case KEYS: return (long long)atomic_load(&s->stats.keys);
    case FETCHED: return (long long)atomic_load(&s->stats.fetched);
    case FETCHES: return (long long)atomic_load(&s->stats.fetches);
    case FAILURES: return (long long)atomic_load(&s->stats.failures);
    case FAILING: return failing_s(s);
    }
    return 0;
}

enum kube_row {
    ACCOUNTS,
    ACCOUNT_BYTES,
    BY_NAME_ONLY,
    LISTED,
    WATCHING,
    AGE,
    LISTS,
    EVENTS,
    KUBE_FAILURES,
    LOOKUPS,
    REVIEWS
};

static long long kube_value(const struct eb_kube_status *k, enum kube_row row) {
    switch (row) {
    case ACCOUNTS: return (long long)k->accounts;
    case ACCOUNT_BYTES: return (long long)k->bytes;
    case BY_NAME_ONLY: return (long long)k->cut;
    case LISTED: return k->listed;
    case WATCHING: return k->watching;
    case AGE: return (long long)k->age_s;
    case LISTS: return (long long)k->lists;
    case EVENTS: return (long long)k->events;
    case KUBE_FAILURES: return (long long)k->failures;
    case LOOKUPS: return (long long)k->lookups;
    case REVIEWS: return (long long)k->reviews;
    }
    return 0;
}

static const struct {
    const char *name, *help, *type;
} key_rows[] =
    {
        [KEYS] = {"auth_issuer_keys", "Usable keys of an issuer.", "gauge"},
        [FETCHED] = {"auth_issuer_keys_last_success_timestamp_seconds",
                     "When the issuer's key set was last fetched or read; 0 for never.", "gauge"},
        [FETCHES] = {"auth_issuer_key_fetches_total", "Fetches of the issuer's key set.", "counter"},
        [FAILURES] = {"auth_issuer_key_fetch_failures_total",
                      "Fetches of the issuer's key set that failed; the old one stays in use.", "counter"},
        [FAILING] = {"auth_issuer_keys_failing_seconds",
                     "Since when every fetch of the issuer's key set failed; -1 where the last was good.",
                     "gauge"},
},
  kube_rows[] = {
      [ACCOUNTS] = {"auth_kubernetes_serviceaccounts", "ServiceAccounts known.", "gauge"},
      [ACCOUNT_BYTES] = {"auth_kubernetes_serviceaccount_bytes", "Memory that they take.", "gauge"},
      [BY_NAME_ONLY] = {"auth_kubernetes_serviceaccounts_by_name_only",
                        "Of these, without room for their annotations.", "gauge"},
      [LISTED] = {"auth_kubernetes_listed", "1 once a whole list was taken.", "gauge"},
      [WATCHING] = {"auth_kubernetes_watching", "1 while changes arrive as they happen.", "gauge"},
      [AGE] = {"auth_kubernetes_age_seconds",
               "Since the API server last said something of the ServiceAccounts; -1 for never.", "gauge"},
      [LISTS] = {"auth_kubernetes_lists_total", "Whole lists of ServiceAccounts taken.", "counter"},
      [EVENTS] = {"auth_kubernetes_events_total", "Changes that a watch brought.", "counter"},
      [KUBE_FAILURES] = {"auth_kubernetes_api_failures_total", "Requests to the API server that failed.",
                         "counter"},
      [LOOKUPS] = {"auth_kubernetes_lookups_total", "Single ServiceAccounts asked for.", "counter"},
      [REVIEWS] = {"auth_kubernetes_reviews_total", "TokenReviews asked for.", "counter"},
};

static void kube_metrics(const struct eb_sources *all, struct eb_buf *to) {
    for (size_t row = 0; row < EB_COUNT_OF(kube_rows); row++) {
        head(to, kube_rows[row].name, kube_rows[row].help, kube_rows[row].type);
        for (size_t i = 0; i < all->n; i++) {
            struct eb_kube_status now;
            if (!all->v[i].kube)
                continue;
            eb_kube_status(all->v[i].kube, &now);
            sample(to, kube_rows[row].name, &all->v[i], kube_value(&now, (enum kube_row)row));
        }
    }
    static const char drops[] = "auth_kubernetes_annotation_drops_total",
                      skips[] = "auth_kubernetes_serviceaccounts_skipped_total";
    static const char *const skip_reasons[EB_KUBE_SKIPS] = {
        [EB_KUBE_SKIP_UNREADABLE] = "unreadable", [EB_KUBE_SKIP_NO_ROOM] = "no_room"};
    head(to, drops, "Items of annotations that were dropped, by reason.", "counter");
    for (size_t i = 0; i < all->n; i++) {
        struct eb_kube_status now;
        if (!all->v[i].kube)
            continue;
        eb_kube_status(all->v[i].kube, &now);
        for (size_t d = 0; d < EB_KUBE_DROPS; d++)
            by_reason(to, drops, &all->v[i], eb_kube_drop_name((enum eb_kube_drop)d), now.drops[d]);
    }
    head(to, skips, "ServiceAccounts that were left out, once a list or event, by reason.", "counter");
    for (size_t i = 0; i < all->n; i++) {
        struct eb_kube_status now;
        if (!all->v[i].kube)
            continue;
        eb_kube_status(all->v[i].kube, &now);
        for (size_t r = 0; r < EB_KUBE_SKIPS; r++)
            by_reason(to, skips, &all->v[i], skip_reasons[r], now.skips[r]);
    }
}

void eb_sources_metrics(const struct eb_sources *all, struct eb_buf *to) {
    for (size_t row = 0; row < EB_COUNT_OF(key_rows); row++) {
        head(to, key_rows[row].name, key_rows[row].help, key_rows[row].type);
        for (size_t i = 0; i < all->n; i++)
            sample(to, key_rows[row].name, &all->v[i], key_value(&all->v[i], (enum key_row)row));
    }
    if (has_kube(all))
        kube_metrics(all, to);
}
