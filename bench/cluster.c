/*
 * Plays the API server of a Kubernetes cluster, as far as auth-callout asks it: a list of ServiceAccounts in
 * pages, and watches in which nothing happens.
 *   bench-cluster --listen 127.0.0.1:6443 --accounts 10000
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "site.h"
#include "tool.h"
#include "wire.h"

enum { REQUEST_MAX = 16384, PAGE = 500, WATCH_S = 60 };
#define VERSION "1000"

static int64_t accounts;

static bool say(int fd, const struct eb_buf *text) {
    for (size_t at = 0; at < text->n;) {
        ssize_t n = send(fd, text->p + at, text->n - at, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return eb_buf_ok(text);
}

/* The first is the one that logs in; the others are of the size that real ones have. */
static void add_account(struct eb_buf *to, int64_t i) {
    if (i == 0)
        eb_buf_z(to, "{\"metadata\":{\"name\":\"" BENCH_SA_NAME "\",\"namespace\":\"" BENCH_SA_NAMESPACE
                     "\",\"uid\":\"" BENCH_SA_UID "\",\"resourceVersion\":\"7\",\"annotations\":{"
                     "\"nats.io/allowed-pub-subjects\":\"" BENCH_SA_PUB
                     "\",\"nats.io/allowed-sub-subjects\":\"" BENCH_SA_SUB "\"}}}");
    else
        eb_buf_printf(to,
                      "{\"metadata\":{\"name\":\"workload-%lld\",\"namespace\":\"team-%lld\",\"uid\":"
                      "\"3d1f6f0e-5c0b-4f4e-8a55-%012llx\",\"resourceVersion\":\"%lld\","
                      "\"creationTimestamp\":\"2026-01-01T00:00:00Z\",\"annotations\":{"
                      "\"nats.io/allowed-pub-subjects\":\"hall.%lld.>,alarms.>\"}}}",
                      (long long)i, (long long)i / 10, (unsigned long long)i, (long long)i, (long long)i);
}

static bool say_page(int fd, int64_t from) {
    eb_auto_buf struct eb_buf body = {0}, head = {0};
    int64_t to = from + PAGE < accounts ? from + PAGE : accounts;
    eb_buf_z(&body,
             "{\"kind\":\"ServiceAccountList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
             "\"" VERSION "\"");
    if (to < accounts)
        eb_buf_printf(&body, ",\"continue\":\"from-%lld\"", (long long)to);
    eb_buf_z(&body, "},\"items\":[");
    for (int64_t i = from; i < to; i++) {
        if (i > from)
            eb_buf_ch(&body, ',');
        add_account(&body, i);
    }
    eb_buf_z(&body, "]}\n");
    eb_buf_printf(&head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                  body.n);
    return say(fd, &head) && say(fd, &body);
}

static bool say_watch(int fd) {
    eb_auto_buf struct eb_buf head = {0};
    eb_buf_z(&head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n");
    if (say(fd, &head))
        sleep_ms(WATCH_S * INT64_C(1000));
    return false;
}

static void *serve(void *arg) {
    eb_auto_fd int fd = (int)(intptr_t)arg;
    char ask[REQUEST_MAX + 1];
    size_t n = 0;
    for (;;) {
        ssize_t got = n < REQUEST_MAX ? recv(fd, ask + n, REQUEST_MAX - n, 0) : 0;
        if (got <= 0)
            return NULL;
        n += (size_t)got;
        ask[n] = 0;
        if (!strstr(ask, "\r\n\r\n"))
            continue;
        char *line_end = strstr(ask, "\r\n"), *more;
        *line_end = 0;
        if (strncmp(ask, "GET /api/v1/serviceaccounts?", 28) != 0)
            die("the cluster was asked: %s", ask);
        more = strstr(ask, "continue=from-");
        if (strstr(ask, "watch=1") || strstr(ask, "watch=true")
                ? !say_watch(fd)
                : !say_page(fd, more ? strtoll(more + 14, NULL, 10) : 0))
            return NULL;
        n = 0;
    }
}

int main(int argc, char **argv) {
    static const char *const names[] = {"listen", "accounts"};
    const struct flags f = flags_of(argc, argv, names, EB_COUNT_OF(names));
    const struct sockaddr_in at = wire_address(flag_text(&f, "listen", NULL));
    accounts = flag_int(&f, "accounts", 1, 1, 1000000);
    int yes = 1;
    eb_auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 64) != 0)
        die("cannot listen on %s", flag_text(&f, "listen", NULL));
    for (;;) {
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        pthread_t thread;
        if (client < 0 || pthread_create(&thread, NULL, serve, (void *)(intptr_t)client) != 0)
            die("a connection cannot be served");
        (void)pthread_detach(thread);
    }
}
