/* A cluster's thread against an API of a few lines: list and watch, silence, look-ups that are overtaken,
 * reviews, and ending while all of it is under way. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>

#include "clock.h"
#include "fixture.h"
#include "kube/impl.h"

#define MS INT64_C(1000000)
#define UID "11111111-2222-3333-4444-555555555555"
#define UID2 "99999999-2222-3333-4444-555555555555"
#define NS EB_STR("plant")
#define NAME EB_STR("chiller")

/* What the API answers; the tests set it. */
static struct {
    struct MHD_Daemon *daemon;
    uint16_t port;
    pthread_mutex_t mutex;
    struct eb_buf list, get, review;
    _Atomic unsigned get_status, list_status, review_status;
    struct eb_buf events; /* for the next that watches */
    bool end_watch;
    _Atomic bool hold; /* GETs of single accounts and reviews wait */
    _Atomic int lists, watches, gets, reviews;
    _Atomic int bad_gets; /* so many GETs of single accounts are answered 500 first */
} api = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static _Atomic int ended;            /* times that whoever waits was told to look again */
static _Atomic uint64_t last_ended;  /* the number that was told */
static struct eb_kube_ticket ticket; /* of what was asked last */
static struct eb_kube *kube;

static ssize_t read_events(void *cls, uint64_t pos, char *to, size_t max) {
    (void)cls;
    (void)pos;
    size_t n = 0;
    bool end;
    {
        EB_LOCKED(&api.mutex);
        n = api.events.n < max ? api.events.n : max;
        if (n)
            memcpy(to, api.events.p, n);
        eb_buf_reset(&api.events);
        end = api.end_watch;
        if (n == 0)
            api.end_watch = false;
    }
    if (n)
        return (ssize_t)n;
    if (end)
        return MHD_CONTENT_READER_END_OF_STREAM;
    (void)poll(NULL, 0, 2);
    return 0;
}

static struct MHD_Response *text_of(const struct eb_buf *b) {
    EB_LOCKED(&api.mutex);
    return MHD_create_response_from_buffer(b->n, b->p ? b->p : (char *)(uintptr_t) "", MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result on_http(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
                               const char *version, const char *upload, size_t *upload_n, void **con) {
    (void)cls;
    (void)version;
    (void)upload;
    static int seen;
    if (strcmp(method, "POST") == 0 && *con != &seen) {
        *con = &seen;
        return MHD_YES;
    }
    if (*upload_n) {
        *upload_n = 0;
        return MHD_YES;
    }
    struct MHD_Response *r;
    unsigned status = 200;
    bool watch = MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND, "watch") != NULL;
    if (watch) {
        atomic_fetch_add(&api.watches, 1);
        r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_events, NULL, NULL);
    } else if (strcmp(url, "/api/v1/serviceaccounts") == 0) {
        atomic_fetch_add(&api.lists, 1);
        r = text_of(&api.list);
        status = api.list_status;
    } else {
        bool review = strstr(url, "tokenreviews") != NULL;
        atomic_fetch_add(review ? &api.reviews : &api.gets, 1);
        while (atomic_load(&api.hold))
            (void)poll(NULL, 0, 2);
        r = text_of(review ? &api.review : &api.get);
        status = review ? api.review_status : api.get_status;
        if (!review && atomic_load(&api.bad_gets) > 0) {
            atomic_fetch_sub(&api.bad_gets, 1);
            status = 500;
        }
    }
    enum MHD_Result queued = MHD_queue_response(conn, status, r);
    MHD_destroy_response(r);
    return queued;
}

static void set(struct eb_buf *to, const char *text) {
    EB_LOCKED(&api.mutex);
    eb_buf_reset(to);
    eb_buf_z(to, text);
}

static void say(const char *type, const char *object) {
    EB_LOCKED(&api.mutex);
    eb_buf_printf(&api.events, "{\"type\":\"%s\",\"object\":%s}\n", type, object);
}

/* An account as the API writes it; one of a few static texts in turn. */
static const char *account(const char *name, const char *uid, int version, const char *subject) {
    static char texts[4][600];
    static unsigned turn;
    char *to = texts[turn++ % 4];
    (void)snprintf(
        to, sizeof texts[0],
        "{\"kind\":\"ServiceAccount\",\"metadata\":{\"namespace\":\"plant\",\"name\":\"%s\",\"uid\":\"%s\","
        "\"resourceVersion\":\"%d\",\"annotations\":{\"nats.io/allowed-pub-subjects\":\"%s\"}}}",
        name, uid, version, subject);
    return to;
}

static void set_list(const char *item) {
    char text[900];
    (void)snprintf(
        text, sizeof text,
        "{\"kind\":\"ServiceAccountList\",\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[%s]}", item);
    set(&api.list, text);
}

static void on_end(void *ctx, uint64_t number) {
    (void)ctx;
    assert_true(number != 0);
    atomic_store(&last_ended, number);
    atomic_fetch_add(&ended, 1);
}

static const struct eb_kube_times short_times = {.watch_s = 1,
                                                 .margin_ns = 100 * MS,
                                                 .page_silent_s = 1,
                                                 .retry_first_ns = 10 * MS,
                                                 .retry_max_ns = 50 * MS,
                                                 .ask_ms = 3000,
                                                 .no_ns = 200 * MS,
                                                 .again_ns = 20 * MS,
                                                 .unasked_ns = 200 * MS,
                                                 .reviewed_ns = 300 * MS};

static int begin(void **state) {
    (void)state;
    api.get_status = 200;
    api.list_status = 200;
    api.review_status = 201;
    atomic_store(&api.hold, false);
    atomic_store(&api.bad_gets, 0);
    atomic_store(&api.lists, 0);
    atomic_store(&api.watches, 0);
    atomic_store(&api.gets, 0);
    atomic_store(&api.reviews, 0);
    atomic_store(&ended, 0);
    api.end_watch = false;
    eb_buf_reset(&api.events);
    set_list(account("chiller", UID, 5, "old.a"));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    api.daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0, NULL,
                                  NULL, on_http, NULL, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_END);
    MINT_MUST(api.daemon);
    api.port = MHD_get_daemon_info(api.daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", api.port);
    struct eb_issuer_config c = {.name = (char *)(uintptr_t) "test", .kind = EB_ISSUER_KUBERNETES};
    c.kube.api_url = url;
    struct eb_err err = {0};
    if (eb_kube_start_timed(&c, &short_times, on_end, NULL, &kube, &err) != EB_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int end(void **state) {
    (void)state;
    eb_kube_stop(kube);
    kube = NULL;
    atomic_store(&api.hold, false);
    {
        EB_LOCKED(&api.mutex);
        api.end_watch = true;
    }
    MHD_stop_daemon(api.daemon);
    eb_buf_done(&api.list);
    eb_buf_done(&api.get);
    eb_buf_done(&api.review);
    eb_buf_done(&api.events);
    return 0;
}

static struct eb_kube_status status(void) {
    struct eb_kube_status s;
    eb_kube_status(kube, &s);
    return s;
}

static bool is_watching(void *ctx) {
    (void)ctx;
    return status().watching;
}
static bool has_failed(void *ctx) {
    (void)ctx;
    return status().failures > 0;
}

/* True where the account is known with these grants. */
static bool grants(void *ctx) {
    EB_CLEANUP(eb_kube_account_unrefp) struct eb_kube_account *a = eb_kube_find(kube, NS, NAME);
    const char *subject = ctx;
    return a && memmem(a->grants_json.p, a->grants_json.n, subject, strlen(subject));
}
static bool is_gone(void *ctx) {
    (void)ctx;
    EB_CLEANUP(eb_kube_account_unrefp) struct eb_kube_account *a = eb_kube_find(kube, NS, NAME);
    return !a;
}
static bool at_least(void *ctx) {
    return atomic_load((_Atomic int *)ctx) >= 1;
}
static void *z(const char *text) {
    return (void *)(uintptr_t)text;
}

/* An event is counted a moment after it is in force. */
static bool three_events(void *ctx) {
    (void)ctx;
    return status().events >= 3;
}

static void lists_then_watches(void **state) {
    (void)state;
    assert_true(fx_wait(is_watching, NULL, 3000));
    assert_true(grants(z("old.a")));
    say("MODIFIED", account("chiller", UID, 11, "new.a"));
    assert_true(fx_wait(grants, z("new.a"), 1000));
    assert_false(grants(z("old.a")));
    say("DELETED", account("chiller", UID, 12, "new.a"));
    assert_true(fx_wait(is_gone, NULL, 1000));
    say("ADDED", account("chiller", UID2, 13, "again.a,>"));
    assert_true(fx_wait(grants, z("again.a"), 1000));
    assert_true(fx_wait(three_events, NULL, 1000));
    struct eb_kube_status s = status();
    assert_int_equal(s.accounts, 1);
    assert_int_equal(s.events, 3);
    assert_int_equal(s.drops[EB_KUBE_DROP_ROOT_WILDCARD], 1);
    assert_true(s.listed && s.age_s == 0 && s.lists == 1 && s.trouble[0] == '\0');
}

static void silence_is_noticed(void **state) {
    (void)state;
    assert_true(fx_wait(is_watching, NULL, 3000));
    int64_t since = eb_mono_ns();
    int watches = atomic_load(&api.watches);
    assert_true(fx_wait(has_failed, NULL, 4000));
    assert_true(eb_mono_ns() - since >= 900 * MS);
    assert_non_null(strstr(status().trouble, "nothing came"));
    assert_true(grants(z("old.a")));
    assert_true(fx_wait(is_watching, NULL, 2000));
    assert_int_equal(atomic_load(&api.watches), watches + 1);
    assert_int_equal(atomic_load(&api.lists), 1);
}

static void poke_lists_anew(void **state) {
    (void)state;
    assert_true(fx_wait(is_watching, NULL, 3000));
    set_list(account("chiller", UID, 5, "poked.a"));
    eb_kube_poke(kube);
    assert_true(fx_wait(grants, z("poked.a"), 2000));
}

static enum eb_kube_answer want(const char *uid) {
    return eb_kube_want(kube, NS, NAME, eb_str(uid), &ticket);
}
static bool is_known(void *ctx) {
    return want(ctx) != EB_KUBE_WAIT;
}

static void one_look_up_for_all(void **state) {
    (void)state;
    set_list("");
    eb_kube_poke(kube);
    assert_true(fx_wait(is_gone, NULL, 3000));
    assert_true(fx_wait(is_watching, NULL, 3000));
    set(&api.get, account("chiller", UID, 20, "looked.a"));
    atomic_store(&api.hold, true);
    for (int i = 0; i < 100; i++)
        assert_int_equal(want(UID), EB_KUBE_WAIT);
    assert_true(fx_wait(at_least, &api.gets, 2000));
    assert_int_equal(atomic_load(&ended), 0);
    atomic_store(&api.hold, false);
    assert_true(fx_wait(at_least, &ended, 2000));
    assert_true(grants(z("looked.a")));
    assert_int_equal(atomic_load(&api.gets), 1);
    assert_int_equal(status().lookups, 1);
}

static void an_answer_that_is_overtaken_changes_nothing(void **state) {
    (void)state;
    assert_true(fx_wait(is_watching, NULL, 3000));
    set(&api.get, account("chiller", UID, 5, "old.a")); /* what it was when the API was asked */
    atomic_store(&api.hold, true);
    assert_int_equal(want(UID2), EB_KUBE_WAIT);
    assert_true(fx_wait(at_least, &api.gets, 2000));
    say("MODIFIED", account("chiller", UID, 30, "newer.a"));
    assert_true(fx_wait(grants, z("newer.a"), 1000));
    atomic_store(&api.hold, false);
    assert_true(fx_wait(at_least, &ended, 2000));
    assert_true(grants(z("newer.a")));
    assert_false(grants(z("old.a")));
}

static void another_uid_and_none_are_no(void **state) {
    (void)state;
    assert_true(fx_wait(is_watching, NULL, 3000));
    set(&api.get, account("chiller", UID, 5, "old.a"));
    assert_int_equal(want(UID2), EB_KUBE_WAIT);
    assert_true(fx_wait(is_known, z(UID2), 2000));
    assert_int_equal(want(UID2), EB_KUBE_NO);
    assert_int_equal(atomic_load(&api.gets), 1);
    api.get_status = 404;
    assert_int_equal(eb_kube_want(kube, NS, EB_STR("never"), EB_STR(UID), &ticket), EB_KUBE_WAIT);
    atomic_store(&ended, 0);
    assert_true(fx_wait(at_least, &ended, 2000));
    assert_int_equal(eb_kube_want(kube, NS, EB_STR("never"), EB_STR(UID), &ticket), EB_KUBE_NO);
}

static bool asked_again(void *ctx) {
    return want(ctx) == EB_KUBE_WAIT;
}

static void failures_are_unasked_for_a_while(void **state) {
    (void)state;
    static const struct {
        unsigned status;
        const char *body;
    } faults[] = {
        {500, ""}, {403, ""}, {302, ""}, {200, ""}, {200, "[]"}, {200, "{}"}, {200, "{\"metadata\":{}}"}};
    assert_true(fx_wait(is_watching, NULL, 3000));
    for (size_t i = 0; i < EB_COUNT_OF(faults); i++) {
        api.get_status = faults[i].status;
        set(&api.get, faults[i].body);
        assert_true(fx_wait(asked_again, z(UID2), 2000));
        assert_true(fx_wait(is_known, z(UID2), 2000));
        assert_int_equal(want(UID2), EB_KUBE_UNASKED);
    }
    api.get_status = 200;
    set(&api.get, account("pump", UID2, 5, "x.a")); /* another one's */
    assert_true(fx_wait(asked_again, z(UID2), 2000));
    assert_true(fx_wait(is_known, z(UID2), 2000));
    assert_int_equal(want(UID2), EB_KUBE_UNASKED);
    assert_true(grants(z("old.a")));
}

static void one_bad_answer_is_asked_again(void **state) {
    (void)state;
    assert_true(fx_wait(is_watching, NULL, 3000));
    set(&api.get, account("chiller", UID2, 20, "looked.a"));
    atomic_store(&api.bad_gets, 1);
    assert_int_equal(want(UID2), EB_KUBE_WAIT);
    assert_true(fx_wait(grants, z("looked.a"), 2000));
    assert_int_equal(atomic_load(&api.gets), 2);
    assert_int_equal(status().lookups, 1);
    assert_int_equal(status().failures, 1);
    assert_true(fx_wait(at_least, &ended, 2000)); /* and whoever waits is told once */
    assert_int_equal(atomic_load(&ended), 1);
    atomic_store(&api.gets, 0);
    api.get_status = 403; /* which a second time does not change */
    assert_int_equal(want(UID), EB_KUBE_WAIT);
    assert_true(fx_wait(is_known, z(UID), 2000));
    assert_int_equal(want(UID), EB_KUBE_UNASKED);
    assert_int_equal(atomic_load(&api.gets), 1);
}

static void a_busy_api_is_no_refusal(void **state) {
    (void)state;
    assert_true(fx_wait(is_watching, NULL, 3000));
    api.get_status = 429;
    assert_int_equal(want(UID2), EB_KUBE_WAIT);
    assert_true(fx_wait(is_known, z(UID2), 2000));
    assert_int_equal(want(UID2), EB_KUBE_FULL);
    assert_int_equal(atomic_load(&api.gets), 2);
}

static bool is_sent(void *ctx) {
    (void)ctx;
    return want(UID2) == EB_KUBE_WAIT && ticket.sent_ns != 0;
}

/* Who waits for one ask is not woken by the end of another. */
static void each_end_tells_its_own_number(void **state) {
    (void)state;
    enum { ASKS = 30 };
    static struct eb_kube_ticket tickets[ASKS];
    assert_true(fx_wait(is_watching, NULL, 3000));
    api.get_status = 404;
    atomic_store(&api.hold, true);
    assert_int_equal(want(UID2), EB_KUBE_WAIT);
    uint64_t own = ticket.number;
    assert_true(fx_wait(is_sent, NULL, 2000));
    assert_int_equal(ticket.number, own);
    for (int i = 0; i < ASKS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "n-%d", i);
        assert_int_equal(eb_kube_want(kube, NS, eb_str(name), EB_STR(UID), &tickets[i]), EB_KUBE_WAIT);
        for (int k = 0; k < i; k++)
            assert_true(tickets[i].number != tickets[k].number && tickets[i].number != own);
        assert_true(eb_kube_asking(kube, &tickets[i]));
    }
    struct eb_kube_ticket last;
    (void)poll(NULL, 0, 50);
    assert_int_equal(eb_kube_want(kube, NS, EB_STR("n-29"), EB_STR(UID), &last), EB_KUBE_WAIT);
    assert_int_equal(last.number, tickets[ASKS - 1].number);
    assert_int_equal(last.sent_ns, 0); /* eight are under way: it queues */
    atomic_store(&api.hold, false);
    for (int i = 0; i < 2000 && atomic_load(&ended) < ASKS + 1; i++)
        (void)poll(NULL, 0, 1);
    assert_int_equal(atomic_load(&ended), ASKS + 1);
    bool is_ours = atomic_load(&last_ended) == own;
    for (int i = 0; i < ASKS; i++) {
        is_ours = is_ours || atomic_load(&last_ended) == tickets[i].number;
        assert_false(eb_kube_asking(kube, &tickets[i]));
    }
    assert_true(is_ours);
}

static void too_many_are_not_taken(void **state) {
    (void)state;
    assert_true(fx_wait(is_watching, NULL, 3000));
    atomic_store(&api.hold, true);
    size_t waiting = 0, full = 0;
    for (int i = 0; i < 5000; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "n-%d", i);
        enum eb_kube_answer answer = eb_kube_want(kube, NS, eb_str(name), EB_STR(UID), &ticket);
        waiting += answer == EB_KUBE_WAIT;
        full += answer == EB_KUBE_FULL;
    }
    assert_int_equal(waiting + full, 5000);
    assert_true(waiting >= 1800 && waiting <= 2100);
    /* end() stops it with all of this under way */
}

static enum eb_kube_answer review(const char *token) {
    static const struct eb_str audiences[] = {{"nats", 4}, {"bus", 3}};
    struct eb_kube_question q = {.token = eb_str(token),
                                 .who = {.ns = NS, .name = NAME, .uid = EB_STR(UID)},
                                 .audiences = audiences,
                                 .audiences_n = 2,
                                 .left_s = 600};
    return eb_kube_review(kube, &q, &ticket);
}
static bool is_reviewed(void *ctx) {
    return review(ctx) != EB_KUBE_WAIT;
}

static const struct {
    const char *status;
    enum eb_kube_answer answer;
} reviews[] = {
    {"{\"authenticated\":true,\"audiences\":[\"x\",\"bus\"],\"user\":{\"username\":\"system:serviceaccount:"
     "plant:chiller\","
     "\"uid\":\"" UID "\"}}",
     EB_KUBE_YES},
    {"{\"authenticated\":true,\"audiences\":[],\"user\":{\"username\":\"system:serviceaccount:plant:"
     "chiller\","
     "\"uid\":\"" UID "\"}}",
     EB_KUBE_NO},
    {"{\"authenticated\":true,\"user\":{\"username\":\"system:serviceaccount:plant:chiller\",\"uid\":\"" UID
     "\"}}",
     EB_KUBE_NO},
    {"{\"authenticated\":true,\"audiences\":[\"nats\"],\"user\":{\"username\":\"system:serviceaccount:plant:"
     "pump\","
     "\"uid\":\"" UID "\"}}",
     EB_KUBE_NO},
    {"{\"authenticated\":true,\"audiences\":[\"nats\"],\"user\":{\"username\":\"system:serviceaccount:plant:"
     "chiller\","
     "\"uid\":\"" UID2 "\"}}",
     EB_KUBE_NO},
    {"{\"authenticated\":\"true\",\"audiences\":[\"nats\"],\"user\":{\"username\":"
     "\"system:serviceaccount:plant:chiller\",\"uid\":\"" UID "\"}}",
     EB_KUBE_NO},
    {"{\"error\":\"no\"}", EB_KUBE_NO},
    {"[]", EB_KUBE_UNASKED},
    {"7", EB_KUBE_UNASKED},
};

static void reviews_say_yes_only_where_all_fits(void **state) {
    (void)state;
    for (size_t i = 0; i < EB_COUNT_OF(reviews); i++) {
        char body[600], token[32];
        (void)snprintf(body, sizeof body, "{\"kind\":\"TokenReview\",\"status\":%s}", reviews[i].status);
        (void)snprintf(token, sizeof token, "token-%zu", i);
        set(&api.review, body);
        assert_int_equal(review(token), EB_KUBE_WAIT);
        assert_true(fx_wait(is_reviewed, token, 2000));
        if (review(token) != reviews[i].answer)
            fail_msg("%s: %d", reviews[i].status, (int)review(token));
    }
    assert_int_equal(atomic_load(&api.reviews), (int)EB_COUNT_OF(reviews));
}

static bool review_asked_again(void *ctx) {
    return review(ctx) == EB_KUBE_WAIT;
}

static void a_yes_is_kept_for_a_while(void **state) {
    (void)state;
    char body[600];
    (void)snprintf(body, sizeof body, "{\"kind\":\"TokenReview\",\"status\":%s}", reviews[0].status);
    set(&api.review, body);
    assert_int_equal(review("t"), EB_KUBE_WAIT);
    assert_true(fx_wait(is_reviewed, z("t"), 2000));
    for (int i = 0; i < 10; i++)
        assert_int_equal(review("t"), EB_KUBE_YES);
    assert_int_equal(atomic_load(&api.reviews), 1);
    assert_true(fx_wait(review_asked_again, z("t"), 2000));
    api.review_status = 500;
    assert_int_equal(review("another"), EB_KUBE_WAIT);
    assert_true(fx_wait(is_reviewed, z("another"), 2000));
    assert_int_equal(review("another"), EB_KUBE_UNASKED);
}

static void ends_at_once_whatever_is_under_way(void **state) {
    (void)state;
    assert_true(fx_wait(is_watching, NULL, 3000));
    atomic_store(&api.hold, true);
    assert_int_equal(want(UID2), EB_KUBE_WAIT);
    assert_true(fx_wait(at_least, &api.gets, 2000));
    int64_t since = eb_mono_ns();
    eb_kube_stop(kube);
    kube = NULL;
    assert_true(eb_mono_ns() - since < 1000 * MS);
}

static void bad_settings_do_not_start(void **state) {
    (void)state;
    struct eb_issuer_config c = {.name = (char *)(uintptr_t) "test", .kind = EB_ISSUER_KUBERNETES};
    struct eb_kube *k = NULL;
    struct eb_err err = {0};
    assert_int_equal(eb_kube_start(&c, on_end, NULL, &k, &err), EB_E_INVALID);
    assert_non_null(strstr(err.text, "in-cluster"));
    c.kube.api_url = (char *)(uintptr_t) "http://127.0.0.1:1";
    c.kube.subject_prefix = (char *)(uintptr_t) "a.>";
    err = (struct eb_err){0};
    assert_int_equal(eb_kube_start(&c, on_end, NULL, &k, &err), EB_E_INVALID);
    assert_null(k);
}

#define WITH_API(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_API(lists_then_watches),
        WITH_API(silence_is_noticed),
        WITH_API(poke_lists_anew),
        WITH_API(one_look_up_for_all),
        WITH_API(an_answer_that_is_overtaken_changes_nothing),
        WITH_API(another_uid_and_none_are_no),
        WITH_API(failures_are_unasked_for_a_while),
        WITH_API(one_bad_answer_is_asked_again),
        WITH_API(a_busy_api_is_no_refusal),
        WITH_API(each_end_tells_its_own_number),
        WITH_API(too_many_are_not_taken),
        WITH_API(reviews_say_yes_only_where_all_fits),
        WITH_API(a_yes_is_kept_for_a_while),
        WITH_API(ends_at_once_whatever_is_under_way),
        cmocka_unit_test(bad_settings_do_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
