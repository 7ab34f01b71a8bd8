#include "hello.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/utf8.h"
#include "clock.h"

enum { LINE_MAX_BYTES = 64 << 10, URL_MAX = 512 };

/* True where fd is ready for it in time. */
static bool ready(int fd, short events, int64_t until_ms) {
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int64_t left = until_ms - eb_mono_ms();
        int n = poll(&p, 1, left > 0 ? (int)left : 0);
        if (n >= 0 || errno != EINTR)
            return n > 0;
    }
}

/* -1 with errno where nobody takes the connection in time. */
static int dial(const struct addrinfo *a) {
    eb_auto_fd int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
        int fault = 0;
        socklen_t size = sizeof fault;
        if (errno != EINPROGRESS)
            return -1;
        if (!ready(fd, POLLOUT, eb_mono_ms() + EB_HELLO_CONNECT_MS))
            fault = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &size) != 0)
            fault = errno;
        if (fault) {
            errno = fault;
            return -1;
        }
    }
    int taken = fd;
    fd = -1;
    return taken;
}

/* Up to the line's end; false where none comes in time. */
static bool read_line(int fd, struct eb_buf *to) {
    int64_t until = eb_mono_ms() + EB_HELLO_LINE_MS;
    while (ready(fd, POLLIN, until)) {
        char bytes[4096];
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0 || to->n + (size_t)n > LINE_MAX_BYTES)
            return false;
        eb_buf_add(to, bytes, (size_t)n);
        if (memchr(bytes, '\n', (size_t)n))
            return eb_buf_ok(to);
    }
    return false;
}

static void copy_text(char *to, size_t size, struct eb_str s) {
    s = eb_utf8_cut(s, size - 1);
    (void)snprintf(to, size, "%.*s", EB_STR_ARG(s));
}

static enum eb_rc parse(struct eb_str text, const char *name, struct eb_hello *ret, struct eb_err *reterr) {
    eb_auto_json json_t *info = NULL;
    struct eb_str line = eb_str_cut(&text, '\n');
    if (!eb_str_starts(line, EB_STR("INFO ")))
        return EB_FAIL(reterr, EB_E_IO, "%s is no NATS server", name);
    enum eb_rc rc =
        eb_json_object(eb_str_trim(eb_str_n(line.p + 5, line.n - 5)), LINE_MAX_BYTES, &info, reterr);
    if (rc != EB_OK) {
        eb_err_prefix(reterr, "%s: first line", name);
        return rc;
    }
    copy_text(ret->name, sizeof ret->name, eb_json_str(info, "server_name"));
    copy_text(ret->id, sizeof ret->id, eb_json_str(info, "server_id"));
    copy_text(ret->version, sizeof ret->version, eb_json_str(info, "version"));
    /* a single server with leaf remotes calls itself a cluster by its own name */
    struct eb_str cluster = eb_json_str(info, "cluster");
    ret->clustered = cluster.n > 0 && !eb_str_eq(cluster, eb_json_str(info, "server_name"));
    return EB_OK;
}

static enum eb_rc ask_one(const struct addrinfo *a, const char *name, struct eb_hello *ret,
                          struct eb_err *reterr) {
    eb_auto_buf struct eb_buf line = {0};
    eb_auto_fd int fd = dial(a);
    if (fd < 0)
        return EB_FAIL(reterr, EB_E_IO, "%s: %s", name, strerror(errno));
    if (!read_line(fd, &line))
        return EB_FAIL(reterr, EB_E_IO, "%s does not say which version it is", name);
    return parse(eb_buf_get(&line), name, ret, reterr);
}

enum eb_rc eb_hello_from(const struct addrinfo *list, const char *name, const char *id, struct eb_hello *ret,
                         struct eb_err *reterr) {
    struct eb_err err = {0};
    enum eb_rc rc = EB_FAIL(&err, EB_E_IO, "%s has no address", name);
    bool found = false;
    int n = 0;
    for (const struct addrinfo *a = list; a && n < EB_HELLO_ADDRESSES; a = a->ai_next, n++) {
        struct eb_hello one = {0};
        struct eb_err its = {0};
        enum eb_rc its_rc = ask_one(a, name, &one, &its);
        if (its_rc == EB_OK && (!found || strcmp(one.id, id) == 0)) {
            found = true;
            *ret = one;
        } else if (its_rc != EB_OK) {
            rc = its_rc;
            err = its;
        }
        if (found && (!*id || strcmp(ret->id, id) == 0))
            return EB_OK;
    }
    return found ? EB_OK : EB_FAIL(reterr, rc, "%s", eb_err_text(&err, rc));
}

/* Cuts host and port out of "nats://user:password@host:port"; the text is changed. */
static bool split_url(char *url, char **ret_host, char **ret_port) {
    char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    char *at = strrchr(host, '@');
    host = at ? at + 1 : host;
    char *slash = strchr(host, '/');
    if (slash)
        *slash = '\0';
    char *colon = strrchr(host, ':');
    if (!colon)
        return false;
    *colon = '\0';
    *ret_port = colon + 1;
    size_t n = strlen(host);
    if (n > 1 && host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        host++;
    }
    *ret_host = host;
    return true;
}

static void addressesp(struct addrinfo **a) {
    if (*a)
        freeaddrinfo(*a);
}

enum eb_rc eb_hello_ask(const char *url, const char *id, struct eb_hello *ret, struct eb_err *reterr) {
    EB_CLEANUP(addressesp) struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    eb_auto_buf struct eb_buf name = {0};
    char copy[URL_MAX] = "", *host = NULL, *port = NULL;
    if (strlen(url) < sizeof copy)
        memcpy(copy, url, strlen(url) + 1);
    if (!split_url(copy, &host, &port))
        return EB_FAIL(reterr, EB_E_IO, "the server's URL has no port");
    eb_buf_printf(&name, "%s:%s", host, port);
    int no = getaddrinfo(host, port, &hints, &list);
    if (no != 0)
        return EB_FAIL(reterr, EB_E_IO, "%s: %s", host, gai_strerror(no));
    return eb_buf_ok(&name) ? eb_hello_from(list, name.p, id, ret, reterr)
                            : EB_FAIL(reterr, EB_E_NOMEM, "out of memory");
}
