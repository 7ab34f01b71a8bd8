/* Single questions to the API: an account that nobody has heard of, a token that it is to judge. Each is
 * asked once for all who want to know, a few at a time. */
#include <sodium.h>
#include <stdio.h>

#include "clock.h"
#include "kube/impl.h"
#include "kube/name.h"
#include "kube/object.h"
#include "log.h"

enum { FLYING_MAX = 8, QUEUED_MAX = 2048 };
#define QUEUED_BYTES_MAX ((size_t)8 << 20) /* of the questions that queue: each holds a token */
/* An ask that failed later than this after it was put is not sent again: nobody waits for it any more. */
#define AGAIN_WITHIN_NS (2 * EB_KUBE_SECOND_NS)
#define ANSWER_MAX ((size_t)2 << 20) /* bytes of an answer: one object */
#define RETRY_AFTER_MAX_S 30
#define TOLD_EVERY_NS (10 * EB_KUBE_SECOND_NS)
#define REVIEWS "/apis/authentication.k8s.io/v1/tokenreviews"
#define ACCOUNT_TYPE "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

struct eb_kube_ask {
    struct eb_kube_ask *next;
    uint8_t key[EB_KUBE_MEMO_KEY];
    bool review;
    bool again;     /* it failed once */
    bool overtaken; /* the watch or a list brought something newer */
    int64_t put_ns; /* into the queue */
    int64_t due_ns; /* not to be sent before */
    char *ns, *name, *uid;
    char **audiences; /* of a review */
    size_t audiences_n;
    int64_t left_s;
    struct eb_buf body; /* of a review: the question, with the token */
    struct eb_buf answer;
    struct eb_kube_request request;
};

static void ask_free(struct eb_kube_ask *ask) {
    eb_kube_request_done(&ask->request);
    free(ask->ns);
    free(ask->name);
    free(ask->uid);
    for (size_t i = 0; i < ask->audiences_n; i++)
        free(ask->audiences[i]);
    free(ask->audiences);
    eb_buf_done(&ask->body);
    eb_buf_done(&ask->answer);
    free(ask);
}
EB_DEFINE_CLEANUP(struct eb_kube_ask, ask_free);

static void hash_text(crypto_generichash_state *h, struct eb_str s) {
    uint64_t n = s.n;
    (void)crypto_generichash_update(h, (const unsigned char *)&n, sizeof n);
    (void)crypto_generichash_update(h, (const unsigned char *)s.p, s.n);
}

static void hash_texts(const struct eb_str *v, size_t n, uint8_t key[EB_KUBE_MEMO_KEY]) {
    crypto_generichash_state h;
    (void)crypto_generichash_init(&h, NULL, 0, EB_KUBE_MEMO_KEY);
    for (size_t i = 0; i < n; i++)
        hash_text(&h, v[i]);
    (void)crypto_generichash_final(&h, key, EB_KUBE_MEMO_KEY);
}

static struct eb_kube_ask *ask_new(const uint8_t key[EB_KUBE_MEMO_KEY], struct eb_str ns, struct eb_str name,
                                   struct eb_str uid) {
    EB_CLEANUP(ask_freep) struct eb_kube_ask *ask = calloc(1, sizeof *ask);
    if (!ask)
        return NULL;
    memcpy(ask->key, key, EB_KUBE_MEMO_KEY);
    ask->ns = eb_str_dup(ns);
    ask->name = eb_str_dup(name);
    ask->uid = eb_str_dup(uid);
    return ask->ns && ask->name && ask->uid ? EB_TAKE(ask) : NULL;
}

/* The question of a review as JSON. */
static bool write_review(struct eb_kube_ask *ask, const struct eb_kube_question *q) {
    struct eb_buf *to = &ask->body;
    to->secret = true;
    ask->review = true;
    ask->left_s = q->left_s;
    ask->audiences = calloc(q->audiences_n + 1, sizeof *ask->audiences);
    if (!ask->audiences)
        return false;
    eb_buf_z(to,
             "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"spec\":{\"token\":");
    eb_buf_json_str(to, q->token, 0);
    eb_buf_z(to, ",\"audiences\":[");
    for (size_t i = 0; i < q->audiences_n; i++) {
        if (!(ask->audiences[i] = eb_str_dup(q->audiences[i])))
            return false;
        ask->audiences_n = i + 1;
        eb_buf_z(to, i ? "," : "");
        eb_buf_json_str(to, q->audiences[i], 0);
    }
    eb_buf_z(to, "]}}");
    return eb_buf_ok(to);
}

static uint64_t number_of(const uint8_t key[EB_KUBE_KEY]) {
    uint64_t n;
    memcpy(&n, key, sizeof n);
    return n | 1;
}

/* While it is asked, its place in the memo says since when: SENT_NOT, or the time. The caller locks. */
#define SENT_NOT INT64_MAX
static bool is_known(struct eb_kube *k, struct eb_kube_ticket *ticket, int64_t now_ns,
                     enum eb_kube_answer *ret) {
    if (!eb_kube_memo_get(k->memo, ticket->key, now_ns, ret))
        return false;
    int64_t sent_ns = *ret == EB_KUBE_WAIT ? eb_kube_memo_until(k->memo, ticket->key) : SENT_NOT;
    ticket->sent_ns = sent_ns == SENT_NOT ? 0 : sent_ns;
    return true;
}

/* At the end of the queue; the caller locks. */
static void enqueue(struct eb_kube *k, struct eb_kube_ask *ask) {
    ask->next = NULL;
    *k->queued_last = ask;
    k->queued_last = &ask->next;
    k->queued_n++;
    k->queued_bytes += ask->body.n;
}

/* What is known, or the ask put into the queue: of a question that many have at once, the first asks. */
static enum eb_kube_answer known_or_queued(struct eb_kube *k, struct eb_kube_ticket *ticket,
                                           struct eb_kube_ask **ask) {
    int64_t now = eb_mono_ns();
    enum eb_kube_answer answer;
    EB_LOCKED(&k->mutex);
    if (is_known(k, ticket, now, &answer))
        return answer;
    if (!*ask || k->stopping || k->queued_n >= QUEUED_MAX ||
        k->queued_bytes + (*ask)->body.n > QUEUED_BYTES_MAX ||
        !eb_kube_memo_put(k->memo, ticket->key, EB_KUBE_WAIT, now, SENT_NOT))
        return EB_KUBE_FULL;
    (*ask)->put_ns = now;
    enqueue(k, *ask);
    *ask = NULL;
    return EB_KUBE_WAIT;
}

static bool known_now(struct eb_kube *k, struct eb_kube_ticket *ticket, enum eb_kube_answer *ret) {
    EB_LOCKED(&k->mutex);
    ticket->number = number_of(ticket->key);
    ticket->sent_ns = 0;
    return is_known(k, ticket, eb_mono_ns(), ret);
}

bool eb_kube_asking(struct eb_kube *k, const struct eb_kube_ticket *ticket) {
    enum eb_kube_answer answer;
    EB_LOCKED(&k->mutex);
    return eb_kube_memo_get(k->memo, ticket->key, eb_mono_ns(), &answer) && answer == EB_KUBE_WAIT;
}

enum eb_kube_answer eb_kube_want(struct eb_kube *k, struct eb_str ns, struct eb_str name, struct eb_str uid,
                                 struct eb_kube_ticket *ret_ticket) {
    enum eb_kube_answer answer;
    struct eb_str texts[] = {EB_STR("account"), ns, name, uid};
    hash_texts(texts, EB_COUNT_OF(texts), ret_ticket->key);
    if (known_now(k, ret_ticket, &answer))
        return answer;
    EB_CLEANUP(ask_freep) struct eb_kube_ask *ask = ask_new(ret_ticket->key, ns, name, uid);
    answer = known_or_queued(k, ret_ticket, &ask);
    if (answer == EB_KUBE_WAIT && !ask)
        (void)curl_multi_wakeup(k->multi);
    return answer;
}

enum eb_kube_answer eb_kube_review(struct eb_kube *k, const struct eb_kube_question *q,
                                   struct eb_kube_ticket *ret_ticket) {
    uint8_t *key = ret_ticket->key;
    enum eb_kube_answer answer;
    crypto_generichash_state h;
    (void)crypto_generichash_init(&h, NULL, 0, EB_KUBE_MEMO_KEY);
    hash_text(&h, EB_STR("review"));
    hash_text(&h, q->token);
    for (size_t i = 0; i < q->audiences_n; i++)
        hash_text(&h, q->audiences[i]);
    (void)crypto_generichash_final(&h, key, EB_KUBE_MEMO_KEY);
    if (known_now(k, ret_ticket, &answer))
        return answer;
    EB_CLEANUP(ask_freep) struct eb_kube_ask *ask = ask_new(key, q->who.ns, q->who.name, q->who.uid);
    if (ask && !write_review(ask, q))
        ask_freep(&ask);
    answer = known_or_queued(k, ret_ticket, &ask);
    if (answer == EB_KUBE_WAIT && !ask)
        (void)curl_multi_wakeup(k->multi);
    return answer;
}

static size_t on_answer(char *p, size_t size, size_t n, void *ctx) {
    struct eb_buf *to = ctx;
    if (to->n + size * n > ANSWER_MAX)
        return 0;
    eb_buf_add(to, p, size * n);
    return eb_buf_ok(to) ? size * n : 0;
}

/* The answer is there: whoever asks within its time gets it. */
static void settle(struct eb_kube *k, const struct eb_kube_ask *ask, enum eb_kube_answer answer,
                   int64_t for_ns) {
    int64_t now = eb_mono_ns();
    EB_LOCKED(&k->mutex);
    if (for_ns > 0)
        (void)eb_kube_memo_put(k->memo, ask->key, answer, now, now + for_ns);
    else
        eb_kube_memo_drop(k->memo, ask->key);
}

/* It is over: whoever waits is told. */
static void end(struct eb_kube *k, struct eb_kube_ask *ask) {
    uint64_t number = number_of(ask->key);
    ask_free(ask);
    k->done(k->ctx, number);
}

/* What the API answers while it has too much to do. */
#define BUSY 429

/* True where another answer may be had a moment later, of this request to the API: not of what it refused. */
static bool may_pass(CURLcode code, long status) {
    return code != CURLE_OK || status == 401 || status == BUSY || status >= 500;
}

/*
 * Puts an ask that failed into the queue for a second time, with what the kubeconfig says now. False where it
 * was the second time, or where its time is over. So one bad moment of the API refuses nobody.
 */
static bool try_again(struct eb_kube *k, struct eb_kube_ask *ask, long status, int64_t at_least_s) {
    int64_t now = eb_mono_ns(), pause_ns = k->times.again_ns;
    if (pause_ns < at_least_s * EB_KUBE_SECOND_NS)
        pause_ns = at_least_s * EB_KUBE_SECOND_NS;
    if (ask->again || now + pause_ns - ask->put_ns > AGAIN_WITHIN_NS)
        return false;
    struct eb_err err = {0};
    enum eb_rc rc = eb_kube_access_refresh(&k->access, &err);
    if (rc != EB_OK)
        eb_log(EB_LOG_DEBUG, "the kubeconfig is not taken: %s", eb_err_text(&err, rc));
    eb_kube_request_done(&ask->request);
    eb_buf_reset(&ask->answer);
    ask->again = true;
    ask->overtaken = false;
    ask->due_ns = now + pause_ns;
    EB_LOCKED(&k->mutex);
    k->status.failures++;
    if (status == BUSY)
        (void)eb_kube_memo_put(k->memo, ask->key, EB_KUBE_WAIT, now, SENT_NOT);
    enqueue(k, ask);
    return true;
}

static void fail(struct eb_kube *k, const struct eb_kube_ask *ask, const struct eb_err *err, enum eb_rc rc,
                 bool busy, int64_t at_least_s) {
    int64_t now = eb_mono_ns(), pause_ns = k->times.unasked_ns;
    if (pause_ns < at_least_s * EB_KUBE_SECOND_NS)
        pause_ns = at_least_s * EB_KUBE_SECOND_NS;
    settle(k, ask, busy ? EB_KUBE_FULL : EB_KUBE_UNASKED, pause_ns);
    {
        EB_LOCKED(&k->mutex);
        k->status.failures++;
    }
    if (k->ask_told_ns && now - k->ask_told_ns < TOLD_EVERY_NS)
        return;
    k->ask_told_ns = now;
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_WARN,
                 ask->review ? "the Kubernetes API could not judge a token"
                             : "the Kubernetes API could not be asked for a ServiceAccount");
    eb_log_z(&l, "issuer", k->label);
    eb_log_z(&l, "namespace", ask->ns);
    eb_log_z(&l, "serviceaccount", ask->name);
    eb_log_peer(&l, "error", eb_str(eb_err_text(err, rc)));
    eb_log_end(&l);
}

static enum eb_rc open_request(struct eb_kube *k, struct eb_kube_ask *ask, struct eb_err *reterr) {
    eb_auto_buf struct eb_buf path = {0};
    if (!ask->review)
        eb_buf_printf(&path, "/api/v1/namespaces/%s/serviceaccounts/%s", ask->ns, ask->name);
    else
        eb_buf_z(&path, REVIEWS);
    if (!eb_buf_ok(&path))
        return EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
    enum eb_rc rc = eb_kube_request_open(&ask->request, &k->access, path.p,
                                         ask->review ? "application/json" : ACCOUNT_TYPE, reterr);
    if (rc == EB_OK && ask->review)
        rc = eb_kube_request_post(&ask->request, eb_buf_get(&ask->body), reterr);
    if (rc != EB_OK)
        return rc;
    CURL *curl = ask->request.curl;
    (void)curl_easy_setopt(curl, CURLOPT_PRIVATE, ask);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)k->times.ask_ms);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &ask->answer);
    return EB_OK;
}

/* The first that is due, marked as sent; NULL where there is none, *ret_next is then when one will be. */
static struct eb_kube_ask *take_queued(struct eb_kube *k, int64_t now_ns, int64_t *ret_next) {
    EB_LOCKED(&k->mutex);
    struct eb_kube_ask **at = &k->queued;
    *ret_next = INT64_MAX;
    for (; *at && (*at)->due_ns > now_ns; at = &(*at)->next)
        if ((*at)->due_ns < *ret_next)
            *ret_next = (*at)->due_ns;
    struct eb_kube_ask *ask = *at;
    if (!ask)
        return NULL;
    *at = ask->next;
    if (!ask->next)
        k->queued_last = at;
    ask->next = NULL;
    k->queued_n--;
    k->queued_bytes -= ask->body.n;
    if (eb_kube_memo_until(k->memo, ask->key) == SENT_NOT)
        (void)eb_kube_memo_put(k->memo, ask->key, EB_KUBE_WAIT, now_ns, now_ns);
    if (!ask->again && ask->review)
        k->status.reviews++;
    else if (!ask->again)
        k->status.lookups++;
    return ask;
}

int64_t eb_kube_asks_step(struct eb_kube *k, int64_t now_ns) {
    while (k->flying_n < FLYING_MAX) {
        int64_t next;
        struct eb_err err = {0};
        struct eb_kube_ask *ask = take_queued(k, now_ns, &next);
        if (!ask)
            return next;
        enum eb_rc rc = open_request(k, ask, &err);
        if (rc != EB_OK) {
            if (!try_again(k, ask, 0, 0)) {
                fail(k, ask, &err, rc, false, 0);
                end(k, ask);
            }
            continue;
        }
        (void)curl_multi_add_handle(k->multi, ask->request.curl);
        ask->next = k->flying;
        k->flying = ask;
        k->flying_n++;
    }
    return INT64_MAX; /* the next is sent when one of these has ended */
}

/* An account's answer goes into the table, unless something newer did. */
static enum eb_rc take_account(struct eb_kube *k, struct eb_kube_ask *ask, struct eb_err *reterr) {
    eb_auto_json json_t *object = NULL;
    EB_CLEANUP(eb_kube_account_unrefp) struct eb_kube_account *a = NULL;
    enum eb_kube_change change;
    enum eb_rc rc = eb_kube_object_parse(&ask->answer, &object, reterr);
    if (rc != EB_OK)
        return rc;
    struct eb_err err = {0};
    rc = eb_kube_account_read(object, &k->texts.rules, &a, &err);
    if (rc == EB_OK && (!eb_str_eqz(a->ns, ask->ns) || !eb_str_eqz(a->name, ask->name)))
        rc = EB_FAIL(&err, EB_E_MALFORMED, "the API answers with another ServiceAccount");
    else if (rc == EB_OK && !ask->overtaken)
        rc = eb_kube_table_put(k->table, a, &change, &err);
    struct eb_str ns, name;
    if (rc == EB_E_TOO_LARGE || (rc == EB_E_MALFORMED && !a && eb_kube_account_key(object, &ns, &name))) {
        /* an account, and no fault of the API */
        eb_kube_note_skip(k, rc, eb_str(ask->ns), eb_str(ask->name), eb_err_text(&err, rc));
        settle(k, ask, EB_KUBE_UNASKED, k->times.unasked_ns);
        return EB_OK;
    }
    if (rc != EB_OK)
        return EB_FAIL(reterr, rc, "%s", eb_err_text(&err, rc));
    if (!ask->overtaken)
        eb_kube_note_drops(k, a, change);
    bool fits = ask->overtaken || eb_str_eqz(a->uid, ask->uid);
    settle(k, ask, EB_KUBE_NO, fits ? 0 : k->times.no_ns);
    return EB_OK;
}

static bool has_audience(const json_t *status, const struct eb_kube_ask *ask) {
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(status, "audiences"), i, item) {
        for (size_t j = 0; j < ask->audiences_n; j++)
            if (eb_str_eqz(eb_str_n(json_string_value(item), json_string_length(item)), ask->audiences[j]))
                return true;
    }
    return false;
}

/* True where the API says of the token what the token says of itself. */
static bool is_confirmed(const json_t *status, const struct eb_kube_ask *ask, const char **ret_why) {
    const json_t *user = json_object_get(status, "user");
    char name[EB_KUBE_LABEL_MAX + EB_KUBE_NAME_MAX + 40];
    (void)snprintf(name, sizeof name, "system:serviceaccount:%s:%s", ask->ns, ask->name);
    *ret_why = "authenticated is not true";
    if (!json_is_true(json_object_get(status, "authenticated")))
        return false;
    *ret_why = "the API found none of the audiences in it";
    if (!has_audience(status, ask))
        return false;
    *ret_why = "the API says that it is another account's";
    return eb_str_eqz(eb_json_str(user, "username"), name) && eb_str_eqz(eb_json_str(user, "uid"), ask->uid);
}

static enum eb_rc take_review(struct eb_kube *k, struct eb_kube_ask *ask, struct eb_err *reterr) {
    eb_auto_json json_t *object = NULL;
    enum eb_rc rc = eb_json_object(eb_buf_get(&ask->answer), ANSWER_MAX, &object, reterr);
    if (rc != EB_OK)
        return rc;
    const json_t *status = json_object_get(object, "status");
    if (!json_is_object(status) || !eb_str_eqz(eb_json_str(object, "kind"), "TokenReview"))
        return EB_FAIL(reterr, EB_E_MALFORMED, "the answer is no TokenReview with a status");
    const char *why;
    if (is_confirmed(status, ask, &why)) {
        int64_t left_ns = ask->left_s > 3600 ? k->times.reviewed_ns : ask->left_s * EB_KUBE_SECOND_NS;
        settle(k, ask, EB_KUBE_YES, left_ns < k->times.reviewed_ns ? left_ns : k->times.reviewed_ns);
        return EB_OK;
    }
    settle(k, ask, EB_KUBE_NO, k->times.no_ns);
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_INFO, "the Kubernetes API does not confirm a token");
    eb_log_z(&l, "issuer", k->label);
    eb_log_z(&l, "namespace", ask->ns);
    eb_log_z(&l, "serviceaccount", ask->name);
    eb_log_z(&l, "why", why);
    eb_log_peer(&l, "error", eb_json_str(status, "error"));
    eb_log_end(&l);
    return EB_OK;
}

static void unlink_flying(struct eb_kube *k, struct eb_kube_ask *ask) {
    for (struct eb_kube_ask **at = &k->flying; *at; at = &(*at)->next)
        if (*at == ask) {
            *at = ask->next;
            k->flying_n--;
            return;
        }
}

void eb_kube_asks_ended(struct eb_kube *k, struct eb_kube_ask *ask, CURLcode code) {
    struct eb_err err = {0};
    long status = 0;
    curl_off_t after_s = 0;
    (void)curl_easy_getinfo(ask->request.curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(ask->request.curl, CURLINFO_RETRY_AFTER, &after_s);
    unlink_flying(k, ask);
    enum eb_rc rc = EB_OK;
    if (code == CURLE_OK && status == 404 && !ask->review)
        settle(k, ask, EB_KUBE_NO, ask->overtaken ? 0 : k->times.no_ns);
    else if ((rc = eb_kube_request_failure(&ask->request, code, &err)) == EB_OK)
        rc = ask->review ? take_review(k, ask, &err) : take_account(k, ask, &err);
    int64_t pause_s = after_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : (int64_t)after_s;
    if (rc != EB_OK && may_pass(code, status) && try_again(k, ask, status, pause_s))
        return;
    if (rc != EB_OK)
        fail(k, ask, &err, rc, code == CURLE_OK && status == BUSY, pause_s);
    end(k, ask);
}

void eb_kube_asks_overtaken(struct eb_kube *k, struct eb_str ns, struct eb_str name) {
    for (struct eb_kube_ask *ask = k->flying; ask; ask = ask->next)
        if (!ns.p || (eb_str_eqz(ns, ask->ns) && eb_str_eqz(name, ask->name)))
            ask->overtaken = true;
}

void eb_kube_asks_stop(struct eb_kube *k) {
    for (struct eb_kube_ask *ask = k->flying, *next; ask; ask = next) {
        next = ask->next;
        (void)curl_easy_setopt(ask->request.curl, CURLOPT_QUICK_EXIT, 1L);
        (void)curl_multi_remove_handle(k->multi, ask->request.curl);
        ask_free(ask);
    }
    k->flying = NULL;
    EB_LOCKED(&k->mutex);
    for (struct eb_kube_ask *ask = k->queued, *next; ask; ask = next) {
        next = ask->next;
        ask_free(ask);
    }
    k->queued = NULL;
}
