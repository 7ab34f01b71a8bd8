/* Fetching a key set over HTTP from a provider that is slow, down, huge, redirecting or wrong. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fixture.h"
#include "keysource.h"
#include "log.h"

/* The provider: what it answers is set by the tests. */
static struct {
    struct MHD_Daemon *daemon;
    uint16_t port;
    pthread_mutex_t mutex;
    const char *body;
    size_t body_n;
    unsigned status;
    int redirects;    /* that many before the answer */
    const char *away; /* where to redirect instead, NULL = here */
    bool endless;     /* a body that never ends */
    bool hang;        /* never answers */
    _Atomic int requests;
    _Atomic size_t endless_n; /* bytes of it that were taken */
} idp = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static ssize_t never(void *cls, uint64_t pos, char *to, size_t max) {
    (void)cls;
    (void)pos;
    (void)to;
    (void)max;
    (void)poll(NULL, 0, 20);
    return 0;
}

static ssize_t for_ever(void *cls, uint64_t pos, char *to, size_t max) {
    (void)cls;
    (void)pos;
    memset(to, ' ', max);
    atomic_fetch_add(&idp.endless_n, max);
    return (ssize_t)max;
}

static enum MHD_Result on_http(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
                               const char *version, const char *upload, size_t *upload_n, void **con) {
    (void)cls;
    (void)method;
    (void)version;
    (void)upload;
    (void)upload_n;
    (void)con;
    (void)pthread_mutex_lock(&idp.mutex);
    atomic_fetch_add(&idp.requests, 1);
    int at = 0;
    (void)sscanf(url, "/r%d", &at);
    struct MHD_Response *r;
    unsigned status = idp.status;
    if (idp.hang || idp.endless) {
        r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 32768, idp.hang ? never : for_ever, NULL,
                                              NULL);
        status = 200;
    } else if (at < idp.redirects || (idp.away && idp.redirects)) {
        char to[200];
        r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        if (idp.away)
            (void)snprintf(to, sizeof to, "%s", idp.away);
        else
            (void)snprintf(to, sizeof to, "http://127.0.0.1:%u/r%d", idp.port, at + 1);
        (void)MHD_add_response_header(r, "Location", to);
        status = 302;
    } else {
        r = MHD_create_response_from_buffer(idp.body_n, (void *)(uintptr_t)idp.body, MHD_RESPMEM_MUST_COPY);
    }
    enum MHD_Result queued = MHD_queue_response(conn, status, r);
    MHD_destroy_response(r);
    (void)pthread_mutex_unlock(&idp.mutex);
    return queued;
}

static void idp_up(void) {
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(idp.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    idp.daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, idp.port,
                                  NULL, NULL, on_http, NULL, MHD_OPTION_SOCK_ADDR, &at,
                                  MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_END);
    MINT_MUST(idp.daemon);
    if (!idp.port)
        idp.port = MHD_get_daemon_info(idp.daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static void idp_down(void) {
    if (idp.daemon)
        MHD_stop_daemon(idp.daemon);
    idp.daemon = NULL;
}

static struct fx_dir dir;
static EVP_PKEY *key;
static struct eb_buf set_a, set_b;
static _Atomic int done;
static struct eb_keysource *source;

static void answer(unsigned status, const char *body, size_t n) {
    (void)pthread_mutex_lock(&idp.mutex);
    idp.status = status;
    idp.body = body;
    idp.body_n = n;
    (void)pthread_mutex_unlock(&idp.mutex);
}

static struct eb_keysource *_Atomic watched; /* the source once a test has it */
static _Atomic int early;                    /* calls of done in which a fetch was still said to run */

static void on_done(void *ctx) {
    (void)ctx;
    struct eb_keysource *k = atomic_load(&watched);
    if (k && eb_keysource_fetching(k))
        atomic_fetch_add(&early, 1);
    atomic_fetch_add(&done, 1);
}

static int all_up(void **state) {
    (void)state;
    dir = fx_dir_make();
    eb_log_set_level("error");
    key = mint_key("P-256", 0);
    eb_buf_z(&set_a, "{\"keys\":[");
    mint_jwk(&set_a, key, "\"kid\":\"a\"");
    eb_buf_z(&set_a, "]}");
    eb_buf_z(&set_b, "{\"keys\":[");
    mint_jwk(&set_b, key, "\"kid\":\"b\"");
    eb_buf_z(&set_b, "]}");
    idp_up();
    return 0;
}

static int all_down(void **state) {
    (void)state;
    idp_down();
    EVP_PKEY_free(key);
    eb_buf_done(&set_a);
    eb_buf_done(&set_b);
    fx_dir_remove(&dir);
    return 0;
}

static int each_up(void **state) {
    (void)state;
    answer(200, set_a.p, set_a.n);
    atomic_store(&idp.requests, 0);
    atomic_store(&done, 0);
    return 0;
}

static int each_down(void **state) {
    (void)state;
    eb_keysource_stop(source);
    source = NULL;
    atomic_store(&watched, NULL);
    idp.redirects = 0;
    idp.away = NULL;
    idp.hang = idp.endless = false;
    if (!idp.daemon)
        idp_up();
    return 0;
}

static void start(int64_t refresh_ms, const char *cache) {
    char url[100];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/jwks", idp.port);
    char *cache_copy = eb_str_dup(eb_str(cache ? cache : ""));
    struct eb_issuer_config c = {.url = url,
                                 .allow_http = true,
                                 .cache_file = cache ? cache_copy : NULL,
                                 .refresh_ns = refresh_ms * 1000000};
    assert_int_equal(eb_keysource_start(&c, NULL, on_done, NULL, &source, NULL), EB_OK);
    free(cache_copy);
}

static bool done_n(void *ctx) {
    return atomic_load(&done) >= *(int *)ctx;
}

static void wait_done(int n) {
    if (!fx_wait(done_n, &n, 8000))
        fail_msg("%d fetches done, wanted %d", atomic_load(&done), n);
}

static bool has(const char *kid) {
    struct eb_jwks *set = eb_keysource_get(source);
    bool yes = set && eb_jwks_has_kid(set, eb_str(kid));
    eb_jwks_unref(set);
    return yes;
}

static bool has_kid(void *ctx) {
    return has(ctx);
}

/* Of somebody who looked at the set in use. */
static enum eb_key_hope want_more(void) {
    struct eb_jwks *set = eb_keysource_get(source);
    enum eb_key_hope hope = eb_keysource_want(source, set);
    eb_jwks_unref(set);
    return hope;
}

static void expect_status(size_t keys, bool ever) {
    struct eb_key_status now;
    eb_keysource_status(source, &now);
    assert_int_equal(now.keys, keys);
    assert_int_equal(now.age_s >= 0, ever);
}

static void fetches_and_refreshes(void **state) {
    (void)state;
    start(100, NULL);
    wait_done(1);
    assert_true(has("a"));
    expect_status(1, true);
    answer(200, set_b.p, set_b.n);
    char b[] = "b";
    assert_true(fx_wait(has_kid, b, 3000));
    assert_false(has("a"));
}

/* http is taken from loopback because nobody is on the way: a proxy would be. */
static void loopback_needs_no_proxy(void **state) {
    (void)state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    start(3600000, NULL);
    wait_done(1);
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_true(has("a"));
}

static void unknown_kids_fetch_once_in_ten_seconds(void **state) {
    (void)state;
    start(3600000, NULL);
    wait_done(1);
    assert_int_equal(atomic_load(&idp.requests), 1);
    answer(200, set_b.p, set_b.n);
    assert_int_equal(want_more(), EB_KEYS_COMING);
    wait_done(2);
    assert_true(has("b"));
    for (int i = 0; i < 1000; i++)
        assert_int_equal(want_more(), EB_KEYS_SAME);
    (void)poll(NULL, 0, 100);
    assert_int_equal(atomic_load(&idp.requests), 2);
    assert_int_equal(EB_KEYSOURCE_UNKNOWN_NS, INT64_C(10000000000));
    eb_keysource_poke(source); /* an operator may always */
    wait_done(3);
}

/* A worker took the set just before a fetch ended: it is sent back to look, not away. */
static void who_looked_at_an_older_set_looks_again(void **state) {
    (void)state;
    start(3600000, NULL);
    assert_int_equal(eb_keysource_want(source, NULL), EB_KEYS_COMING);
    wait_done(1);
    assert_int_equal(eb_keysource_want(source, NULL), EB_KEYS_CHANGED);
    struct eb_jwks *old = eb_keysource_get(source);
    assert_int_equal(want_more(), EB_KEYS_COMING);
    wait_done(2);
    assert_int_equal(eb_keysource_want(source, old), EB_KEYS_CHANGED); /* within the ten seconds, too */
    eb_jwks_unref(old);
    assert_int_equal(want_more(), EB_KEYS_SAME);
}

static void failures_are_told_with_their_age(void **state) {
    (void)state;
    struct eb_key_status now;
    start(3600000, NULL);
    wait_done(1);
    eb_keysource_status(source, &now);
    assert_false(now.failing);
    assert_string_equal(now.trouble, "");
    answer(401, "", 0);
    eb_keysource_poke(source);
    wait_done(2);
    eb_keysource_status(source, &now);
    assert_true(now.failing && now.keys == 1 && now.age_s >= 0);
    assert_in_range(now.failing_s, 0, 5);
    assert_non_null(strstr(now.trouble, "401"));
    (void)poll(NULL, 0, 1100);
    eb_keysource_status(source, &now);
    assert_in_range(now.failing_s, 1, 10); /* of the first that failed, whatever came since */
    answer(200, set_b.p, set_b.n);
    char b[] = "b";
    eb_keysource_poke(source);
    assert_true(fx_wait(has_kid, b, 5000));
    for (int i = 0; i < 1000 && (eb_keysource_status(source, &now), now.failing); i++)
        (void)poll(NULL, 0, 1);
    assert_false(now.failing);
    assert_string_equal(now.trouble, "");
}

/*
 * The order that parking relies on: the set is in place and the fetch said to be over before `done` is
 * called. So whoever sees a fetch running after it was parked is still in time for `done`; who sees none
 * looks again.
 */
static void a_fetch_is_over_before_it_is_told(void **state) {
    (void)state;
    (void)pthread_mutex_lock(&idp.mutex);
    start(3600000, NULL);
    atomic_store(&watched, source);
    for (int i = 0; i < 20; i++) {
        assert_true(eb_keysource_fetching(source));
        (void)poll(NULL, 0, 2);
    }
    (void)pthread_mutex_unlock(&idp.mutex);
    while (eb_keysource_fetching(source))
        (void)poll(NULL, 0, 1);
    assert_true(has("a")); /* before done may have been called at all */
    for (int i = 1; i <= 20; i++) {
        wait_done(i);
        eb_keysource_poke(source);
    }
    wait_done(21);
    assert_int_equal(atomic_load(&early), 0);
    assert_false(eb_keysource_fetching(source));
    assert_int_equal(want_more(), EB_KEYS_COMING); /* asked for and not begun counts as running */
    answer(500, "", 0);
    wait_done(22);
    assert_false(eb_keysource_fetching(source)); /* a failure ends it, too */
}

static void everyone_waits_for_one_fetch(void **state) {
    (void)state;
    (void)pthread_mutex_lock(&idp.mutex); /* the provider takes its time */
    start(3600000, NULL);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(want_more(), EB_KEYS_COMING);
    (void)pthread_mutex_unlock(&idp.mutex);
    wait_done(1);
    (void)poll(NULL, 0, 100);
    assert_int_equal(atomic_load(&idp.requests), 1);
}

static void bad_answers_keep_the_old_set(void **state) {
    (void)state;
    static char big[(1 << 20) + 100];
    memset(big, ' ', sizeof big);
    memcpy(big, set_b.p, set_b.n);
    static const char json_list[] = "[]", empty_set[] = "{\"keys\":[]}", html[] = "<html>sign in</html>",
                      cut[] = "{\"keys\":[{\"kty\":\"EC\"",
                      symmetric[] = "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\",\"kid\":\"b\"}]}";
    const struct {
        const char *what, *body;
        size_t n;
        unsigned status;
    } rows[] = {
        {"404", set_b.p, set_b.n, 404},
        {"500", set_b.p, set_b.n, 500},
        {"nothing", "", 0, 200},
        {"a list", json_list, sizeof json_list - 1, 200},
        {"no keys", empty_set, sizeof empty_set - 1, 200},
        {"a page", html, sizeof html - 1, 200},
        {"cut", cut, sizeof cut - 1, 200},
        {"a symmetric key", symmetric, sizeof symmetric - 1, 200},
        {"over 1 MiB", big, sizeof big, 200},
    };
    start(3600000, NULL);
    wait_done(1);
    int64_t failures = fx_metric("auth_jwks_fetch_failures_total");
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        answer(rows[i].status, rows[i].body, rows[i].n);
        eb_keysource_poke(source);
        wait_done((int)i + 2);
        if (!has("a") || has("b"))
            fail_msg("%s replaced the set", rows[i].what);
        assert_int_equal(fx_metric("auth_jwks_fetch_failures_total"), failures + (int64_t)i + 1);
    }
    answer(200, set_b.p, set_b.n);
    eb_keysource_poke(source);
    wait_done((int)EB_COUNT_OF(rows) + 2);
    assert_true(has("b"));
}

/* No length told, and no end: it is cut off at the limit, neither when the time nor when the memory is used
 * up. */
static void an_endless_answer_is_cut_off(void **state) {
    (void)state;
    start(3600000, NULL);
    wait_done(1);
    (void)pthread_mutex_lock(&idp.mutex);
    idp.endless = true;
    (void)pthread_mutex_unlock(&idp.mutex);
    eb_keysource_poke(source);
    wait_done(2);
    assert_in_range(atomic_load(&idp.endless_n), EB_JWKS_MAX / 2,
                    32 * EB_JWKS_MAX); /* what the sockets hold comes on top */
    assert_true(has("a"));
}

static void redirects(void **state) {
    (void)state;
    idp.redirects = 3;
    start(3600000, NULL);
    wait_done(1);
    assert_true(has("a"));
    assert_int_equal(atomic_load(&idp.requests), 4);
    idp.redirects = 4; /* one more than is followed */
    answer(200, set_b.p, set_b.n);
    eb_keysource_poke(source);
    wait_done(2);
    assert_false(has("b"));
    /* To another scheme, never. */
    static const char *const away[] = {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x",
                                       "javascript:1"};
    idp.redirects = 1;
    for (size_t i = 0; i < EB_COUNT_OF(away); i++) {
        idp.away = away[i];
        eb_keysource_poke(source);
        wait_done((int)i + 3);
        assert_false(has("b"));
    }
}

static void plain_redirects_need_allow_http(void **state) {
    (void)state;
    idp.redirects = 1;
    char url[100];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/jwks", idp.port);
    struct eb_issuer_config c = {.url = url, .refresh_ns = INT64_C(3600000000000)};
    assert_int_equal(eb_keysource_start(&c, NULL, on_done, NULL, &source, NULL), EB_OK);
    wait_done(1);
    assert_false(has("a"));
}

static void down_then_up(void **state) {
    (void)state;
    idp_down();
    start(3600000, NULL);
    wait_done(1);
    assert_null(eb_keysource_get(source));
    expect_status(0, false);
    idp_up();
    char a[] = "a";
    assert_true(fx_wait(has_kid, a, 5000)); /* retried by itself, within seconds */
    expect_status(1, true);
    idp_down(); /* and down again: the set stays */
    eb_keysource_poke(source);
    wait_done(atomic_load(&done) + 1);
    assert_true(has("a"));
}

static void cache_survives_a_restart(void **state) {
    (void)state;
    const char *cache = fx_path(&dir, "cache.json");
    start(3600000, cache);
    wait_done(1);
    eb_keysource_stop(source);
    struct stat st;
    assert_int_equal(stat(cache, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    idp_down();
    atomic_store(&done, 0);
    start(3600000, cache);
    assert_true(has("a")); /* at once, before any fetch */
    wait_done(1);
    assert_true(has("a"));
    expect_status(1, false);
    eb_keysource_stop(source);
    /* A damaged cache file is passed over. */
    fx_write(&dir, "cache.json", "{\"keys\":[");
    atomic_store(&done, 0);
    start(3600000, cache);
    wait_done(1);
    assert_null(eb_keysource_get(source));
    eb_keysource_stop(source);
    /* One that cannot be written does not spoil the fetch. */
    idp_up();
    atomic_store(&done, 0);
    start(3600000, "/nonexistent/folder/cache.json");
    wait_done(1);
    assert_true(has("a"));
}

static void a_bad_answer_never_reaches_the_cache(void **state) {
    (void)state;
    const char *cache = fx_path(&dir, "cache2.json");
    start(3600000, cache);
    wait_done(1);
    answer(200, "{\"keys\":[]}", 11);
    eb_keysource_poke(source);
    wait_done(2);
    eb_keysource_stop(source);
    idp_down();
    atomic_store(&done, 0);
    start(3600000, cache);
    assert_true(has("a"));
}

static void from_a_file(void **state) {
    (void)state;
    fx_write(&dir, "set.json", set_a.p);
    char *path = eb_str_dup(eb_str(fx_path(&dir, "set.json")));
    struct eb_issuer_config c = {.path = path, .refresh_ns = INT64_C(3600000000000)};
    assert_int_equal(eb_keysource_start(&c, NULL, on_done, NULL, &source, NULL), EB_OK);
    free(path);
    wait_done(1);
    assert_true(has("a"));
    fx_write(&dir, "set.json", set_b.p);
    eb_keysource_poke(source);
    wait_done(2);
    assert_true(has("b"));
    fx_write(&dir, "set.json", "garbage");
    eb_keysource_poke(source);
    wait_done(3);
    assert_true(has("b"));
}

static void a_hanging_provider_does_not_hold_the_stop(void **state) {
    (void)state;
    idp.hang = true;
    start(3600000, NULL);
    (void)poll(NULL, 0, 200);
    assert_int_equal(want_more(), EB_KEYS_COMING); /* it is being fetched */
    int64_t before = eb_mono_ns();
    eb_keysource_stop(source);
    source = NULL;
    assert_true(eb_mono_ns() - before < INT64_C(2500000000));
    idp_down();
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, each_up, each_down)
    const struct CMUnitTest tests[] = {
        TEST(fetches_and_refreshes),
        TEST(loopback_needs_no_proxy),
        TEST(unknown_kids_fetch_once_in_ten_seconds),
        TEST(who_looked_at_an_older_set_looks_again),
        TEST(failures_are_told_with_their_age),
        TEST(a_fetch_is_over_before_it_is_told),
        TEST(everyone_waits_for_one_fetch),
        TEST(bad_answers_keep_the_old_set),
        TEST(an_endless_answer_is_cut_off),
        TEST(redirects),
        TEST(plain_redirects_need_allow_http),
        TEST(down_then_up),
        TEST(cache_survives_a_restart),
        TEST(a_bad_answer_never_reaches_the_cache),
        TEST(from_a_file),
        TEST(a_hanging_provider_does_not_hold_the_stop),
    };
    return cmocka_run_group_tests(tests, all_up, all_down);
}
