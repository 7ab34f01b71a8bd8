#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "tool.h"

enum { IN_FIRST = 1 << 20, LOGIN_TIMEOUT_MS = 5000 };

struct sockaddr_in wire_address(const char *text) {
    struct eb_str rest = eb_str(text), host = eb_str_cut(&rest, ':');
    char name[64];
    int64_t port = 0;
    struct sockaddr_in a = {.sin_family = AF_INET};
    (void)snprintf(name, sizeof name, "%.*s", EB_STR_ARG(host));
    if (eb_num_i64(rest, 1, 65535, &port) != EB_OK || inet_pton(AF_INET, name, &a.sin_addr) != 1)
        die("%s: write an address as 127.0.0.1:4222", text);
    a.sin_port = htons((uint16_t)port);
    return a;
}

void wire_flush(struct wire *w) {
    if (!eb_buf_ok(&w->out))
        die("out of memory");
    for (size_t at = 0; at < w->out.n;) {
        ssize_t put = send(w->fd, w->out.p + at, w->out.n - at, MSG_NOSIGNAL);
        if (put < 0 && errno != EINTR)
            die("nats-server: %s", strerror(errno));
        at += put > 0 ? (size_t)put : 0;
    }
    eb_buf_reset(&w->out);
}

bool wire_fill(struct wire *w, int timeout_ms) {
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    if (poll(&p, 1, timeout_ms) <= 0)
        return false;
    if (w->in_at) {
        memmove(w->in, w->in + w->in_at, w->in_n - w->in_at);
        w->in_n -= w->in_at;
        w->in_at = 0;
    }
    if (w->in_n == w->cap) {
        w->cap *= 2;
        w->in = realloc(w->in, w->cap);
        if (!w->in)
            die("out of memory");
    }
    ssize_t got = recv(w->fd, w->in + w->in_n, w->cap - w->in_n, 0);
    if (got <= 0)
        die("nats-server closed the connection: %s", got ? strerror(errno) : "end of stream");
    w->in_n += (size_t)got;
    return true;
}

/* The line at the front without its end; false where it is not there yet. */
static bool line_at(const struct wire *w, struct eb_str *ret, size_t *ret_next) {
    struct eb_str rest = eb_str_n(w->in + w->in_at, w->in_n - w->in_at);
    const char *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;
    if (!end)
        return false;
    *ret = eb_str_trim(eb_str_n(rest.p, (size_t)(end - rest.p)));
    *ret_next = w->in_at + (size_t)(end - rest.p) + 1;
    return true;
}

/* MSG subject sid [reply] size, or HMSG subject sid [reply] header-size size. */
static bool take_message(struct wire *w, struct eb_str line, size_t next, bool headers,
                         struct wire_msg *ret) {
    struct eb_str words[6], rest = line;
    size_t n = 0;
    while (rest.p && n < EB_COUNT_OF(words))
        words[n++] = eb_str_cut(&rest, ' ');
    int64_t size = 0, head = 0;
    if (n < 4 || eb_num_i64(words[n - 1], 0, INT32_MAX, &size) != EB_OK ||
        (headers && eb_num_i64(words[n - 2], 0, size, &head) != EB_OK))
        die("nats-server sent %.*s", EB_STR_ARG(line));
    if (w->in_n < next + (size_t)size + 2)
        return false;
    ret->subject = words[1];
    ret->has_headers = headers;
    ret->payload = eb_str_n(w->in + next + head, (size_t)(size - head));
    w->in_at = next + (size_t)size + 2;
    return true;
}

bool wire_next(struct wire *w, struct wire_msg *ret) {
    struct eb_str line;
    size_t next;
    while (line_at(w, &line, &next)) {
        bool headers = eb_str_starts(line, EB_STR("HMSG "));
        if (headers || eb_str_starts(line, EB_STR("MSG ")))
            return take_message(w, line, next, headers, ret);
        if (eb_str_starts(line, EB_STR("-ERR")))
            die("nats-server said %.*s", EB_STR_ARG(line));
        if (eb_str_eqz(line, "PING"))
            eb_buf_z(&w->out, "PONG\r\n");
        w->in_at = next;
    }
    return false;
}

static void wait_for(struct wire *w, struct eb_str word) {
    int64_t until = mono_ns() + LOGIN_TIMEOUT_MS * MS_NS;
    for (;;) {
        struct eb_str line;
        size_t next;
        while (line_at(w, &line, &next)) {
            w->in_at = next;
            if (eb_str_starts(line, word))
                return;
            if (eb_str_starts(line, EB_STR("-ERR")))
                die("nats-server said %.*s", EB_STR_ARG(line));
        }
        if (mono_ns() > until || !wire_fill(w, LOGIN_TIMEOUT_MS))
            die("nats-server does not answer");
    }
}

void wire_open(struct wire *w, const char *address, const char *user, const char *password) {
    const struct sockaddr_in a = wire_address(address);
    *w = (struct wire){
        .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .in = need_memory(IN_FIRST), .cap = IN_FIRST};
    if (w->fd < 0 || connect(w->fd, (const struct sockaddr *)&a, sizeof a) != 0)
        die("%s: %s", address, strerror(errno));
    int one = 1;
    (void)setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    wait_for(w, EB_STR("INFO"));
    eb_buf_printf(&w->out,
                  "CONNECT "
                  "{\"verbose\":false,\"pedantic\":false,\"user\":\"%s\",\"pass\":\"%s\",\"name\":\"bench\","
                  "\"lang\":\"c\","
                  "\"version\":\"1\",\"protocol\":1,\"headers\":true,\"no_responders\":true}\r\nPING\r\n",
                  user, password);
    wire_flush(w);
    wait_for(w, EB_STR("PONG"));
}

void wire_close(struct wire *w) {
    (void)close(w->fd);
    free(w->in);
    eb_buf_done(&w->out);
}
