/*
 * A storm: NATS clients with OAuth2 tokens that all connect at the same moment. Each is let in once the
 * server answers PONG behind its CONNECT.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "credential.h"
#include "proc.h"
#include "tool.h"
#include "wire.h"

enum { TOKENS = 256, EVENTS = 512, IN_MAX = 4096 };

enum state { CONNECTING, WAITS_INFO, WAITS_PONG, IN, REFUSED, CLOSED };

struct client {
    int fd;
    enum state state;
    size_t in_n;
    int64_t done_ns;
    char in[IN_MAX];
};

struct storm {
    struct client *clients;
    size_t n, open;
    struct eb_buf logins[TOKENS];
    int epoll;
};

static void make_logins(const struct site *s, struct storm *st) {
    for (size_t i = 0; i < TOKENS; i++) {
        eb_auto_buf struct eb_buf token = {0};
        credential_token(s, i, &token);
        eb_buf_printf(&st->logins[i],
                      "CONNECT "
                      "{\"verbose\":false,\"pedantic\":false,\"auth_token\":\"%s\",\"name\":\"storm\","
                      "\"lang\":\"c\",\"version\":\"1\","
                      "\"protocol\":1}\r\nPING\r\n",
                      token.p);
        if (!eb_buf_ok(&st->logins[i]))
            die("out of memory");
    }
}

static void finish(struct storm *st, struct client *c, enum state state) {
    c->state = state;
    c->done_ns = mono_ns();
    st->open--;
    if (state != IN) {
        (void)close(c->fd);
        c->fd = -1;
    }
}

static void open_one(struct storm *st, struct client *c, const struct sockaddr_in *a) {
    struct linger hard = {1, 0}; /* closing sends a reset, so that no port stays taken */
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket: %s; is the limit of open files (ulimit -n) over the number of clients?",
            strerror(errno));
    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    c->state = WAITS_INFO;
    st->open++;
    if ((connect(c->fd, (const struct sockaddr *)a, sizeof *a) != 0 && errno != EINPROGRESS) ||
        epoll_ctl(st->epoll, EPOLL_CTL_ADD, c->fd, &e) != 0)
        finish(st, c, CLOSED);
}

/* The login fits into an empty socket buffer. */
static void login(struct storm *st, struct client *c) {
    struct eb_str text = eb_buf_get(&st->logins[(size_t)(c - st->clients) % TOKENS]);
    if (send(c->fd, text.p, text.n, MSG_NOSIGNAL) != (ssize_t)text.n)
        finish(st, c, CLOSED);
    else
        c->state = WAITS_PONG;
}

static void on_line(struct storm *st, struct client *c, struct eb_str line) {
    if (c->state == WAITS_INFO && eb_str_starts(line, EB_STR("INFO")))
        login(st, c);
    else if (c->state == WAITS_PONG && eb_str_eqz(line, "PONG"))
        finish(st, c, IN);
    else if (c->state == WAITS_PONG && eb_str_starts(line, EB_STR("-ERR")))
        finish(st, c, REFUSED);
}

static void on_ready(struct storm *st, struct client *c) {
    if (c->state == IN) { /* let in, and closed since */
        (void)epoll_ctl(st->epoll, EPOLL_CTL_DEL, c->fd, NULL);
        return;
    }
    ssize_t got = recv(c->fd, c->in + c->in_n, sizeof c->in - c->in_n, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        finish(st, c, CLOSED);
        return;
    }
    c->in_n += (size_t)got;
    size_t at = 0;
    for (char *end; c->fd >= 0 && c->state != IN && (end = memchr(c->in + at, '\n', c->in_n - at));
         at = (size_t)(end - c->in) + 1)
        on_line(st, c, eb_str_trim(eb_str_n(c->in + at, (size_t)(end - c->in) - at)));
    if (at)
        memmove(c->in, c->in + at, c->in_n - at);
    c->in_n -= at;
    if (c->in_n == sizeof c->in)
        finish(st, c, CLOSED);
}

static void raise_file_limit(size_t n) {
    struct rlimit l;
    (void)getrlimit(RLIMIT_NOFILE, &l);
    if (l.rlim_cur < n + 64) {
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
}

static void report(const struct storm *st, int64_t from, int64_t service_ns, int64_t server_ns) {
    size_t counts[CLOSED + 1] = {0}, n = 0;
    int64_t *times = need_memory(st->n * sizeof *times);
    for (size_t i = 0; i < st->n; i++) {
        counts[st->clients[i].state]++;
        if (st->clients[i].state == IN)
            times[n++] = st->clients[i].done_ns - from;
    }
    sort_i64(times, n);
    (void)printf("{\"clients\":%zu,\"in\":%zu,\"refused\":%zu,\"closed\":%zu,\"waiting\":%zu,\"last_in_ms\":%"
                 ".0f,\"p50_ms\":%.0f,\"p99_ms\":%.0f,"
                 "\"service_cpu_ms\":%.0f,\"server_cpu_ms\":%.0f}\n",
                 st->n, counts[IN], counts[REFUSED], counts[CLOSED],
                 counts[CONNECTING] + counts[WAITS_INFO] + counts[WAITS_PONG],
                 (double)quantile(times, n, 1000) / 1e6, (double)quantile(times, n, 500) / 1e6,
                 (double)quantile(times, n, 990) / 1e6, (double)service_ns / 1e6, (double)server_ns / 1e6);
    free(times);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"dir", "nats", "clients", "seconds", "service", "server"};
    const struct flags f = flags_of(argc, argv, names, EB_COUNT_OF(names));
    static struct storm st;
    struct site site;
    if (sodium_init() < 0)
        die("libsodium cannot be initialised");
    site_open(flag_text(&f, "dir", NULL), &site);
    make_logins(&site, &st);
    const struct sockaddr_in a = wire_address(flag_text(&f, "nats", NULL));
    pid_t service = (pid_t)flag_int(&f, "service", 0, 0, INT32_MAX),
          server = (pid_t)flag_int(&f, "server", 0, 0, INT32_MAX);
    st.n = (size_t)flag_int(&f, "clients", 5000, 1, 60000);
    st.clients = need_memory(st.n * sizeof *st.clients);
    st.epoll = epoll_create1(EPOLL_CLOEXEC);
    raise_file_limit(st.n);

    int64_t limit_ns = flag_int(&f, "seconds", 60, 1, 600) * SECOND_NS;
    int64_t service_ns = proc_cpu_ns(service), server_ns = proc_cpu_ns(server), from = mono_ns();
    for (size_t i = 0; i < st.n; i++)
        open_one(&st, &st.clients[i], &a);
    while (st.open && mono_ns() - from < limit_ns) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(st.epoll, events, EVENTS, 1000);
        for (int i = 0; i < n; i++)
            on_ready(&st, events[i].data.ptr);
    }
    service_ns = proc_cpu_ns(service) - service_ns;
    server_ns = proc_cpu_ns(server) - server_ns;
    report(&st, from, service_ns, server_ns);
    for (size_t i = 0; i < st.n; i++)
        if (st.clients[i].fd >= 0)
            (void)close(st.clients[i].fd);
    free(st.clients);
    site_done(&site);
    return 0;
}
