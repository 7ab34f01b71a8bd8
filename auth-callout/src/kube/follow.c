/* The set of ServiceAccounts kept up to date: listed in pages, then watched from the list's version on. */
#include <malloc.h>
#include <stdio.h>

#include "clock.h"
#include "kube/impl.h"
#include "log.h"

#define PATH "/api/v1/serviceaccounts"
#define PAGE "500"
/* Names and annotations are all that is needed; a server that cannot leave the rest out sends it. */
#define PAGE_TYPE "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
#define WATCH_TYPE "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
#define RETRY_AFTER_MAX_S 60
#define LASTED_NS (5 * EB_KUBE_SECOND_NS)
/* After so many watches in a row that brought nothing it is listed anew, and again after each further one. */
#define BARREN_MAX 3

static void set_watching(struct eb_kube *k, bool watching, const char *trouble) {
    EB_LOCKED(&k->mutex);
    k->status.watching = watching;
    if (trouble)
        (void)snprintf(k->status.trouble, sizeof k->status.trouble, "%s", trouble);
}

/* The API said something of the set. */
static void note_heard(struct eb_kube *k) {
    EB_LOCKED(&k->mutex);
    k->heard_ns = eb_mono_ns();
}

static bool is_good(const struct eb_kube_follow *f) {
    long status = 0;
    (void)curl_easy_getinfo(f->request.curl, CURLINFO_RESPONSE_CODE, &status);
    return status == 200;
}

/* Ends what is under way; what the list brought so far is given up. */
static void drop_transfer(struct eb_kube *k) {
    struct eb_kube_follow *f = &k->follow;
    if (f->state != EB_FOLLOW_PAUSE && f->request.curl)
        (void)curl_multi_remove_handle(k->multi, f->request.curl);
    eb_kube_request_done(&f->request);
    eb_kube_page_free(f->page);
    eb_kube_watch_free(f->watch);
    f->page = NULL;
    f->watch = NULL;
    f->state = EB_FOLLOW_PAUSE;
}

static void drop_list(struct eb_kube_follow *f) {
    eb_kube_relist_free(f->relist);
    f->relist = NULL;
    f->skips = (struct eb_kube_skips){.n = 0};
    eb_buf_reset(&f->next_page);
}

/* A kubeconfig holds tokens and certificates itself: what it says now is used from the next attempt on. */
static void reread_access(struct eb_kube *k) {
    struct eb_err err = {0};
    enum eb_rc rc = eb_kube_access_refresh(&k->access, &err);
    if (rc != EB_OK)
        eb_log(EB_LOG_WARN, "the kubeconfig is not taken, what it said before stays in use: %s",
               eb_err_text(&err, rc));
}

/* A watch that is open for so long is one. */
static int64_t lasting_ns(const struct eb_kube *k) {
    int64_t half_ns = k->times.watch_s * EB_KUBE_SECOND_NS / 2;
    return half_ns < LASTED_NS ? half_ns : LASTED_NS;
}

/* The pause before the next attempt: longer each time, short again once a watch has lasted. */
static int64_t next_pause(struct eb_kube *k) {
    struct eb_kube_follow *f = &k->follow;
    if (f->state == EB_FOLLOW_WATCH && f->heard_ns - f->began_ns > LASTED_NS)
        f->retry_ns = 0;
    f->retry_ns = f->retry_ns ? f->retry_ns * 2 : k->times.retry_first_ns;
    if (f->retry_ns > k->times.retry_max_ns)
        f->retry_ns = k->times.retry_max_ns;
    return eb_kube_jittered(f->retry_ns);
}

static void fail(struct eb_kube *k, const struct eb_err *err, enum eb_rc rc, int64_t at_least_s) {
    struct eb_kube_follow *f = &k->follow;
    const char *what = f->state == EB_FOLLOW_LIST ? "list" : "watch", *text = eb_err_text(err, rc);
    int64_t pause_ns = next_pause(k);
    drop_transfer(k);
    drop_list(f);
    if (pause_ns < at_least_s * EB_KUBE_SECOND_NS)
        pause_ns = at_least_s * EB_KUBE_SECOND_NS;
    f->next_ns = eb_mono_ns() + pause_ns;
    set_watching(k, false, text);
    {
        EB_LOCKED(&k->mutex);
        k->status.failures++;
    }
    if (!f->failing) {
        struct eb_log_line l;
        eb_log_begin(&l, EB_LOG_WARN,
                     "the Kubernetes API cannot be followed; the ServiceAccounts known so far stay in force");
        eb_log_z(&l, "issuer", k->label);
        eb_log_z(&l, "api", k->access.url);
        eb_log_z(&l, "request", what);
        eb_log_peer(&l, "error", eb_str(text));
        eb_log_int(&l, "accounts", (int64_t)eb_kube_table_count(k->table));
        eb_log_end(&l);
    }
    f->failing = true;
    reread_access(k);
}

/* What cannot be taken is left out: the others must not miss their rights for one that nobody can be, nor
 * for whoever fills the table. */
static enum eb_rc on_item(void *ctx, const json_t *object, struct eb_err *reterr) {
    struct eb_kube *k = ctx;
    EB_CLEANUP(eb_kube_account_unrefp) struct eb_kube_account *a = NULL;
    struct eb_str ns = EB_STR_NONE, name = EB_STR_NONE;
    struct eb_err err = {0};
    enum eb_kube_change change;
    enum eb_rc rc = eb_kube_account_read(object, &k->texts.rules, &a, &err);
    if (rc == EB_OK)
        rc = eb_kube_relist_add(k->follow.relist, a, &change, &err);
    if (rc == EB_OK)
        return EB_OK;
    if (rc != EB_E_MALFORMED && rc != EB_E_TOO_LARGE)
        return EB_FAIL(reterr, rc, "%s", eb_err_text(&err, rc));
    (void)eb_kube_account_key(object, &ns, &name);
    eb_kube_skips_add(&k->follow.skips, rc, ns, name, eb_err_text(&err, rc));
    return EB_OK;
}

static void on_skip(void *ctx, struct eb_str ns, struct eb_str name) {
    struct eb_kube *k = ctx;
    eb_kube_skips_add(&k->follow.skips, EB_E_MALFORMED, ns, name, "no well-formed JSON");
}

static void on_change(struct eb_kube *k, const struct eb_kube_event *ev) {
    EB_CLEANUP(eb_kube_account_unrefp) struct eb_kube_account *a = NULL;
    struct eb_str ns = EB_STR_NONE, name = EB_STR_NONE;
    struct eb_err err = {0};
    enum eb_kube_change change = EB_KUBE_SAME;
    enum eb_rc rc = EB_OK;
    bool known = eb_kube_account_key(ev->object, &ns, &name);
    if (ev->type != EB_KUBE_DELETED) {
        rc = eb_kube_account_read(ev->object, &k->texts.rules, &a, &err);
        if (rc == EB_OK)
            rc = eb_kube_table_put(k->table, a, &change, &err);
        if (rc != EB_OK)
            eb_kube_note_skip(k, rc, ns, name, eb_err_text(&err, rc));
    }
    if (known && (ev->type == EB_KUBE_DELETED || rc != EB_OK))
        (void)eb_kube_table_remove(k->table, ns, name);
    if (known)
        eb_kube_asks_overtaken(k, ns, name);
    if (a && rc == EB_OK)
        eb_kube_note_drops(k, a, change);
    EB_LOCKED(&k->mutex);
    k->status.events++;
}

/* The watch that is open is believed to be one: it brought something, or it lasts. After some that brought
 * nothing the head of an answer alone is no sign of that. */
static void believe(struct eb_kube *k) {
    struct eb_kube_follow *f = &k->follow;
    if (f->believed)
        return;
    f->believed = true;
    f->barren = 0;
    f->retry_ns = 0;
    note_heard(k);
    set_watching(k, true, "");
    if (f->failing)
        eb_log(EB_LOG_INFO, "the Kubernetes API of issuer %s is followed again", k->label);
    f->failing = false;
}

static enum eb_rc on_event(void *ctx, const struct eb_kube_event *ev, struct eb_err *reterr) {
    struct eb_kube *k = ctx;
    struct eb_kube_follow *f = &k->follow;
    if (ev->type == EB_KUBE_ERROR) {
        f->gone = eb_kube_event_is_gone(ev);
        f->version[0] = '\0';
        return EB_FAIL(reterr, EB_E_IO, "the watch ends with %lld %.*s", (long long)ev->code,
                       ev->reason.n > 40 ? 40 : (int)ev->reason.n, ev->reason.p ? ev->reason.p : "");
    }
    f->spoke = true;
    f->barren = 0;
    f->retry_ns = 0;
    believe(k);
    note_heard(k);
    if (ev->type != EB_KUBE_BOOKMARK)
        on_change(k, ev);
    (void)snprintf(f->version, sizeof f->version, "%.*s", EB_STR_ARG(ev->version));
    return EB_OK;
}

/* The first sign of a watch: the head of its answer. */
static size_t on_head(char *p, size_t size, size_t n, void *ctx) {
    (void)p;
    struct eb_kube *k = ctx;
    struct eb_kube_follow *f = &k->follow;
    if (!is_good(f))
        return size * n;
    f->heard_ns = eb_mono_ns();
    if (f->state == EB_FOLLOW_LIST)
        note_heard(k);
    else if (size * n <= 2 && f->barren == 0) /* the blank line behind the head */
        believe(k);
    return size * n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx) {
    struct eb_kube *k = ctx;
    struct eb_kube_follow *f = &k->follow;
    struct eb_str bytes = eb_str_n(p, size * n);
    if (!is_good(f))
        return bytes.n; /* what an error says in its body is not needed */
    f->heard_ns = eb_mono_ns();
    if (f->state == EB_FOLLOW_LIST)
        note_heard(k);
    enum eb_rc rc = f->state == EB_FOLLOW_LIST ? eb_kube_page_feed(f->page, bytes, &f->err)
                                               : eb_kube_watch_feed(f->watch, bytes, &f->err);
    return rc == EB_OK ? bytes.n : 0; /* curl then ends the transfer with CURLE_WRITE_ERROR */
}

static bool add_escaped(struct eb_buf *to, const char *name, struct eb_str value) {
    char *text = curl_easy_escape(NULL, value.p, (int)value.n);
    if (text)
        eb_buf_printf(to, "&%s=%s", name, text);
    curl_free(text);
    return text != NULL;
}

static enum eb_rc begin_list(struct eb_kube *k, struct eb_buf *path, struct eb_err *reterr) {
    struct eb_kube_follow *f = &k->follow;
    enum eb_rc rc = EB_OK;
    eb_buf_z(path, PATH "?limit=" PAGE);
    if (f->next_page.n && !add_escaped(path, "continue", eb_buf_get(&f->next_page)))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    if (!f->relist)
        rc = eb_kube_relist_new(k->table, &f->relist, reterr);
    if (rc == EB_OK)
        rc = eb_kube_page_new(on_item, k, &f->page, reterr);
    if (rc == EB_OK)
        eb_kube_page_on_skip(f->page, on_skip);
    return rc;
}

static enum eb_rc begin_watch(struct eb_kube *k, struct eb_buf *path, struct eb_err *reterr) {
    struct eb_kube_follow *f = &k->follow;
    eb_buf_printf(path, PATH "?watch=1&allowWatchBookmarks=true&timeoutSeconds=%lld",
                  (long long)k->times.watch_s);
    if (!add_escaped(path, "resourceVersion", eb_str(f->version)))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    return eb_kube_watch_new(on_event, k, &f->watch, reterr);
}

static void begin(struct eb_kube *k) {
    struct eb_kube_follow *f = &k->follow;
    bool list = f->version[0] == '\0';
    eb_auto_buf struct eb_buf path = {0};
    struct eb_err err = {0};
    f->began_ns = f->heard_ns = eb_mono_ns();
    f->gone = f->spoke = f->believed = false;
    f->err = (struct eb_err){0};
    f->state = list ? EB_FOLLOW_LIST : EB_FOLLOW_WATCH;
    enum eb_rc rc = list ? begin_list(k, &path, &err) : begin_watch(k, &path, &err);
    if (rc == EB_OK && !eb_buf_ok(&path))
        rc = EB_FAIL(&err, EB_E_NOMEM, "out of memory");
    if (rc == EB_OK)
        rc = eb_kube_request_open(&f->request, &k->access, path.p, list ? PAGE_TYPE : WATCH_TYPE, &err);
    if (rc != EB_OK) {
        fail(k, &err, rc, 0);
        return;
    }
    CURL *curl = f->request.curl;
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_head);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, k);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, k);
    (void)curl_multi_add_handle(k->multi, curl);
}

static void list_ended(struct eb_kube *k) {
    struct eb_kube_follow *f = &k->follow;
    struct eb_str version, more;
    struct eb_err err = {0};
    enum eb_rc rc = eb_kube_page_end(f->page, &version, &more, &err);
    if (rc == EB_OK && version.n == 0)
        rc = EB_FAIL(&err, EB_E_MALFORMED, "the list has no resourceVersion to watch from");
    if (rc == EB_OK) {
        eb_buf_reset(&f->next_page);
        eb_buf_str(&f->next_page, more);
        if (!eb_buf_ok(&f->next_page))
            rc = EB_FAIL(&err, EB_E_NOMEM, "out of memory");
    }
    if (rc != EB_OK) {
        fail(k, &err, rc, 0);
        return;
    }
    if (more.n == 0)
        (void)snprintf(f->version, sizeof f->version, "%.*s", EB_STR_ARG(version));
    drop_transfer(k);
    f->next_ns = 0;
    if (f->next_page.n)
        return;
    size_t told = eb_kube_note_list(k), gone = eb_kube_relist_commit(f->relist);
    size_t left_out = f->skips.n, cut = eb_kube_table_cut(k->table);
    drop_list(f);
    eb_kube_asks_overtaken(k, EB_STR_NONE, EB_STR_NONE);
    {
        EB_LOCKED(&k->mutex);
        k->status.listed = true;
        k->status.lists++;
    }
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_INFO, "ServiceAccounts are listed");
    eb_log_z(&l, "issuer", k->label);
    eb_log_z(&l, "api", k->access.url);
    eb_log_int(&l, "accounts", (int64_t)eb_kube_table_count(k->table));
    eb_log_int(&l, "gone", (int64_t)gone);
    if (told)
        eb_log_int(&l, "with_dropped_subjects", (int64_t)told);
    if (cut)
        eb_log_int(&l, "by_name_only", (int64_t)cut);
    if (left_out)
        eb_log_int(&l, "left_out", (int64_t)left_out);
    eb_log_end(&l);
    (void)malloc_trim(0);
}

/* What a watch ended with that cannot be all that it had to say. A server that is told when to end one ends
 * it then, and says something before. */
static enum eb_rc judge_end(const struct eb_kube *k, struct eb_err *reterr) {
    const struct eb_kube_follow *f = &k->follow;
    int64_t lasted_ns = eb_mono_ns() - f->began_ns;
    if (eb_kube_watch_is_cut(f->watch))
        return EB_FAIL(reterr, EB_E_MALFORMED, "the watch ended in the middle of a line");
    if (!f->spoke && lasted_ns < k->times.watch_s * EB_KUBE_SECOND_NS / 2)
        return EB_FAIL(reterr, EB_E_MALFORMED,
                       "the watch ended after %lld ms without an event: is it the API that answers there?",
                       (long long)(lasted_ns / 1000000));
    return EB_OK;
}

/* Ended in its time a watch is opened again at once; a server that ends each at once is not asked in a loop.
 */
static void watch_again(struct eb_kube *k) {
    struct eb_kube_follow *f = &k->follow;
    int64_t now = eb_mono_ns();
    f->next_ns = now - f->began_ns < EB_KUBE_SECOND_NS ? now + next_pause(k) : now;
    drop_transfer(k);
}

static void watch_ended(struct eb_kube *k) {
    struct eb_kube_follow *f = &k->follow;
    struct eb_err err = {0};
    enum eb_rc rc = judge_end(k, &err);
    if (rc == EB_OK) {
        watch_again(k);
        return;
    }
    if (++f->barren >= BARREN_MAX)
        f->version[0] = '\0'; /* nobody knows what was missed */
    fail(k, &err, rc, 0);
}

/* The version is too old for the API. Events may have been missed, so the whole list is asked for. */
static void version_gone(struct eb_kube *k) {
    struct eb_kube_follow *f = &k->follow;
    eb_log(EB_LOG_INFO,
           "the Kubernetes API of issuer %s no longer has the version that was reached: listed anew",
           k->label);
    set_watching(k, false, "");
    f->version[0] = '\0';
    drop_list(f);
    watch_again(k);
}

void eb_kube_follow_ended(struct eb_kube *k, CURLcode code) {
    struct eb_kube_follow *f = &k->follow;
    struct eb_err err = {0};
    long status = 0;
    curl_off_t after_s = 0;
    (void)curl_easy_getinfo(f->request.curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(f->request.curl, CURLINFO_RETRY_AFTER, &after_s);
    if (f->gone || status == 410) {
        version_gone(k);
        return;
    }
    if (f->err.rc != EB_OK) {
        f->version[0] = '\0'; /* nobody knows what was missed */
        fail(k, &f->err, f->err.rc, 0);
        return;
    }
    enum eb_rc rc = eb_kube_request_failure(&f->request, code, &err);
    if (rc == EB_OK && status != 200)
        rc = EB_FAIL(&err, EB_E_IO, "the API answers %ld", status);
    if (rc != EB_OK)
        fail(k, &err, rc, after_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : (int64_t)after_s);
    else if (f->state == EB_FOLLOW_LIST)
        list_ended(k);
    else
        watch_ended(k);
}

int64_t eb_kube_follow_step(struct eb_kube *k, int64_t now_ns) {
    struct eb_kube_follow *f = &k->follow;
    bool poked;
    {
        EB_LOCKED(&k->mutex);
        poked = k->poked;
        k->poked = false;
    }
    if (poked && f->state != EB_FOLLOW_LIST) {
        drop_transfer(k);
        reread_access(k);
        f->version[0] = '\0';
        f->next_ns = 0;
    }
    if (f->state == EB_FOLLOW_PAUSE) {
        if (now_ns < f->next_ns)
            return f->next_ns;
        begin(k);
        if (f->state == EB_FOLLOW_PAUSE)
            return f->next_ns;
    }
    int64_t silent_ns = f->state == EB_FOLLOW_LIST
                            ? k->times.page_silent_s * EB_KUBE_SECOND_NS
                            : k->times.watch_s * EB_KUBE_SECOND_NS + k->times.margin_ns;
    if (now_ns - f->heard_ns > silent_ns) {
        struct eb_err err = {0};
        enum eb_rc rc = EB_FAIL(&err, EB_E_IO, "nothing came for %lld s: the connection is given up",
                                (long long)(silent_ns / EB_KUBE_SECOND_NS));
        fail(k, &err, rc, 0);
        return f->next_ns;
    }
    int64_t next_ns = f->heard_ns + silent_ns, believe_ns = f->began_ns + lasting_ns(k);
    if (f->state != EB_FOLLOW_WATCH || f->believed || !is_good(f))
        return next_ns;
    if (now_ns >= believe_ns)
        believe(k);
    else if (believe_ns < next_ns)
        next_ns = believe_ns;
    return next_ns;
}

void eb_kube_follow_stop(struct eb_kube *k) {
    if (k->follow.request.curl)
        (void)curl_easy_setopt(k->follow.request.curl, CURLOPT_QUICK_EXIT, 1L);
    drop_transfer(k);
    drop_list(&k->follow);
    eb_buf_done(&k->follow.next_page);
}
