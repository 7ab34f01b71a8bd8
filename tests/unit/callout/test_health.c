/* The HTTP side: paths, codes, methods; what peers send stops nothing. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "health.h"

static _Atomic bool ready, live;
static struct eb_health *health, *metrics;
static int health_port, metrics_port;
static int patience_ms = 3000;

static bool is_ready(void *ctx, struct eb_buf *body) {
    (void)ctx;
    eb_buf_printf(body, "{\"ready\":%s}\n", atomic_load(&ready) ? "true" : "false");
    return atomic_load(&ready);
}

static bool is_live(void *ctx) {
    (void)ctx;
    return atomic_load(&live);
}

static int free_port(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    MINT_MUST(bind(fd, (struct sockaddr *)&a, n) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

static int set_up(void **state) {
    (void)state;
    health_port = free_port();
    metrics_port = free_port();
    struct eb_health_options opt = {
        .host = "127.0.0.1", .port = health_port, .ready = is_ready, .live = is_live};
    struct eb_err err = {0};
    if (eb_health_start(&opt, &health, &err) != EB_OK)
        return -1;
    opt.port = metrics_port;
    opt.metrics_only = true;
    return eb_health_start(&opt, &metrics, &err) == EB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    eb_health_stop(health);
    eb_health_stop(metrics);
    eb_health_stop(NULL);
    return 0;
}

/* from: the last byte of the address in 127.0.0.0/24 that dials. */
static int dial_from(unsigned from, int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000 + from)};
    MINT_MUST(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    a.sin_port = htons((uint16_t)port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MINT_MUST(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

static int dial(int port) {
    return dial_from(1, port);
}

/* Sends bytes and reads all that comes; the status code, 0 where nothing did. */
static int exchange(int port, const char *bytes, size_t n, char *answer, size_t size) {
    eb_auto_fd int fd = dial(port);
    (void)send(fd, bytes, n, MSG_NOSIGNAL);
    size_t got = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (got < size - 1 && poll(&p, 1, patience_ms) > 0) {
        ssize_t r = read(fd, answer + got, size - 1 - got);
        if (r <= 0)
            break;
        got += (size_t)r;
    }
    answer[got] = '\0';
    int code = 0;
    (void)sscanf(answer, "HTTP/1.1 %d", &code);
    return code;
}

static int request(int port, const char *method, const char *path, char *answer, size_t size) {
    char text[300];
    int n =
        snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    return exchange(port, text, (size_t)n, answer, size);
}

static void paths(void **state) {
    (void)state;
    static char a[100000];
    static const struct {
        const char *method, *path;
        bool ready, live;
        int health, metrics;
    } rows[] = {
        {"GET", "/livez", false, true, 200, 404},    {"GET", "/healthz", false, true, 200, 404},
        {"GET", "/health", false, true, 200, 404},   {"GET", "/livez", true, false, 503, 404},
        {"GET", "/readyz", true, true, 200, 404},    {"GET", "/readyz", false, true, 503, 404},
        {"HEAD", "/readyz", true, true, 200, 404},   {"GET", "/metrics", false, true, 200, 200},
        {"HEAD", "/metrics", false, true, 200, 200}, {"GET", "/", true, true, 404, 404},
        {"GET", "/metrics/", true, true, 404, 404},  {"GET", "/../metrics", true, true, 404, 404},
        {"POST", "/metrics", true, true, 405, 405},  {"DELETE", "/livez", true, true, 405, 405},
        {"PUT", "/readyz", true, true, 405, 405},    {"GET", "/metrics?x=1", true, true, 200, 200},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        atomic_store(&ready, rows[i].ready);
        atomic_store(&live, rows[i].live);
        int got = request(health_port, rows[i].method, rows[i].path, a, sizeof a),
            got2 = request(metrics_port, rows[i].method, rows[i].path, a, sizeof a);
        if (got != rows[i].health || got2 != rows[i].metrics)
            fail_msg("%s %s: %d and %d", rows[i].method, rows[i].path, got, got2);
    }
    atomic_store(&ready, true);
    (void)request(health_port, "GET", "/readyz", a, sizeof a);
    assert_non_null(strstr(a, "{\"ready\":true}"));
    assert_non_null(strstr(a, "application/json"));
    (void)request(metrics_port, "GET", "/metrics", a, sizeof a);
    assert_non_null(strstr(a, "text/plain; version=0.0.4"));
    assert_non_null(strstr(a, "# TYPE auth_requests_total counter\n"));
    assert_non_null(strstr(a, "process_resident_memory_bytes"));
}

static void hostile_peers(void **state) {
    (void)state;
    static char a[100000], big[100000];
    memset(big, 'A', sizeof big);
    patience_ms = 100; /* some of these are never answered */
    (void)exchange(health_port, big, sizeof big, a, sizeof a);
    (void)exchange(health_port, "GET /livez HTTP/1.1\r\nX: ", 24, a, 2); /* left hanging */
    (void)exchange(health_port, "\0\0\0\r\n\r\n", 7, a, sizeof a);
    static const char post[] = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nAAAA";
    (void)exchange(health_port, post, sizeof post - 1, a, 2);
    memcpy(big, "GET /", 5);
    (void)exchange(health_port, big, sizeof big, a, sizeof a);
    patience_ms = 3000;
    int held[12]; /* connections that say nothing, fewer than one peer may have */
    for (size_t i = 0; i < EB_COUNT_OF(held); i++)
        held[i] = dial(health_port);
    atomic_store(&live, true);
    assert_int_equal(request(health_port, "GET", "/livez", a, sizeof a), 200);
    for (size_t i = 0; i < EB_COUNT_OF(held); i++)
        (void)close(held[i]);
    assert_int_equal(request(health_port, "GET", "/livez", a, sizeof a), 200);
}

/* True where the listener keeps the connection and answers on it. */
static bool serves(int fd) {
    static const char text[] = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    char a[300];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return send(fd, text, sizeof text - 1, MSG_NOSIGNAL) > 0 && poll(&p, 1, patience_ms) > 0 &&
           read(fd, a, sizeof a) > 0;
}

static bool has_room(void *ctx) {
    (void)ctx;
    eb_auto_fd int fd = dial(health_port);
    return serves(fd);
}

/* Connections that the listener ended. */
static size_t ended(struct pollfd *peers, size_t n) {
    size_t gone = 0;
    (void)poll(peers, (nfds_t)n, 0);
    for (size_t i = 0; i < n; i++)
        gone += peers[i].revents != 0; /* nothing was asked: what can be read is the end */
    return gone;
}

struct peers {
    struct pollfd *v;
    size_t n, want;
};

static bool ended_n(void *ctx) {
    const struct peers *p = ctx;
    return ended(p->v, p->n) >= p->want;
}

/* One address may hold 16 connections of the 64: another is served while it holds all of its own. */
static void one_peer_cannot_shut_others_out(void **state) {
    (void)state;
    enum { PER_PEER = 16 };
    atomic_store(&live, true);
    assert_true(fx_wait(has_room, NULL, 3000)); /* what tests before this one held is gone */
    (void)poll(NULL, 0, 100);
    struct pollfd held[PER_PEER + 8];
    for (size_t i = 0; i < EB_COUNT_OF(held); i++)
        held[i] = (struct pollfd){.fd = dial_from(7, health_port), .events = POLLIN};
    assert_true(fx_wait(ended_n, &(struct peers){held, EB_COUNT_OF(held), 8}, 3000));
    (void)poll(NULL, 0, 100);
    assert_int_equal(ended(held, EB_COUNT_OF(held)), 8); /* the others say nothing, and are kept */
    eb_auto_fd int other = dial_from(8, health_port);
    assert_true(serves(other));
    eb_auto_fd int metrics_of_the_same = dial_from(7, metrics_port); /* each listener counts its own */
    assert_true(serves(metrics_of_the_same));
    for (size_t i = 0; i < EB_COUNT_OF(held); i++)
        (void)close(held[i].fd);
    assert_true(fx_wait(has_room, NULL, 3000));
    (void)poll(NULL, 0, 100);
    eb_auto_fd int again = dial_from(7, health_port);
    assert_true(serves(again));
}

static void taken_ports_are_told(void **state) {
    (void)state;
    struct eb_health *h = (void *)&h;
    struct eb_err err = {0};
    struct eb_health_options opt = {
        .host = "127.0.0.1", .port = health_port, .ready = is_ready, .live = is_live};
    assert_int_equal(eb_health_start(&opt, &h, &err), EB_E_IO);
    char port[20];
    (void)snprintf(port, sizeof port, "%d", health_port);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_non_null(strstr(err.text, port));
    err = (struct eb_err){0};
    opt.host = "no.such.host.invalid";
    assert_int_equal(eb_health_start(&opt, &h, &err), EB_E_IO);
    opt.port = 0; /* off */
    assert_int_equal(eb_health_start(&opt, &h, &err), EB_OK);
    assert_null(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(paths), cmocka_unit_test(hostile_peers),
                                       cmocka_unit_test(one_peer_cannot_shut_others_out),
                                       cmocka_unit_test(taken_ports_are_told)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
