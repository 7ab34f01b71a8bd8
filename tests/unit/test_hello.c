#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "clock.h"
#include "hello.h"
#include "clock.h"

/* A place where somebody listens, or nobody does. */
struct place {
    int fd, held;    /* held: a connection that fills the queue of one that never takes any */
    const char *say; /* to each who connects; NULL = nothing */
    struct sockaddr_in at;
    struct addrinfo info;
    pthread_t thread;
    bool runs;
};

static void *serve(void *arg) {
    struct place *p = arg;
    for (;;) {
        eb_auto_fd int fd = accept(p->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        if (p->say)
            (void)!send(fd, p->say, strlen(p->say), MSG_NOSIGNAL);
    }
}

enum kind { SAYS, CLOSED, HANGS };

static void place(struct place *p, enum kind kind, const char *say) {
    *p = (struct place){.fd = socket(AF_INET, SOCK_STREAM, 0), .held = -1, .say = say};
    p->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    p->info = (struct addrinfo){
        .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&p->at, .ai_addrlen = sizeof p->at};
    socklen_t n = sizeof p->at;
    assert_int_equal(bind(p->fd, p->info.ai_addr, sizeof p->at), 0);
    assert_int_equal(getsockname(p->fd, p->info.ai_addr, &n), 0);
    if (kind == CLOSED)
        return;
    assert_int_equal(listen(p->fd, kind == HANGS ? 0 : 8), 0);
    if (kind == HANGS) {
        p->held = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(p->held, p->info.ai_addr, sizeof p->at), 0);
        return;
    }
    p->runs = true;
    assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

static void place_done(struct place *p) {
    (void)shutdown(p->fd, SHUT_RDWR);
    if (p->runs)
        (void)pthread_join(p->thread, NULL);
    (void)close(p->fd);
    if (p->held >= 0)
        (void)close(p->held);
}

#define INFO(id)                                                                                             \
    "INFO {\"server_id\":\"" id "\",\"server_name\":\"name of " id "\",\"version\":\"2.15.2\"} \r\nPING\r\n"

static void every_address_is_tried(void **state) {
    (void)state;
    static const struct {
        enum kind kinds[3];
        const char *say[3], *id, *want, *error; /* want: the server found; NULL with the error's text */
    } rows[] = {
        {{SAYS}, {INFO("A")}, "A", "A", NULL},
        {{CLOSED, SAYS}, {NULL, INFO("A")}, "A", "A", NULL},
        {{HANGS, CLOSED, SAYS}, {NULL, NULL, INFO("A")}, "A", "A", NULL},
        {{SAYS, SAYS}, {"SSH-2.0-x\r\n", INFO("A")}, "A", "A", NULL},
        {{SAYS, SAYS}, {"", INFO("A")}, "A", "A", NULL},
        /* another server of the same name is not the one that we are connected to */
        {{SAYS, SAYS, SAYS}, {INFO("B"), INFO("A"), INFO("C")}, "A", "A", NULL},
        /* behind one address there may be several */
        {{SAYS, CLOSED, SAYS}, {INFO("B"), NULL, INFO("C")}, "A", "B", NULL},
        {{SAYS, SAYS}, {INFO("B"), INFO("A")}, "", "B", NULL},
        {{CLOSED, CLOSED}, {NULL, NULL}, "A", NULL, "refused"},
        {{CLOSED, SAYS}, {NULL, "HTTP/1.1 400 Bad Request\r\n"}, "A", NULL, "is no NATS server"},
        {{SAYS}, {"INFO {\n"}, "A", NULL, "first line"},
    };
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        struct place places[3];
        size_t n = 0;
        for (; n < 3 && (n == 0 || rows[i].kinds[n] != SAYS || rows[i].say[n]); n++)
            place(&places[n], rows[i].kinds[n], rows[i].say[n]);
        for (size_t k = 1; k < n; k++)
            places[k - 1].info.ai_next = &places[k].info;
        struct eb_hello found = {0};
        struct eb_err err = {0};
        int64_t begun = eb_mono_ms();
        enum eb_rc rc = eb_hello_from(&places[0].info, "there", rows[i].id, &found, &err);
        int64_t took = eb_mono_ms() - begun;
        for (size_t k = 0; k < n; k++)
            place_done(&places[k]);
        if (rows[i].want ? rc != EB_OK || strcmp(found.id, rows[i].want) != 0
                         : rc == EB_OK || !strstr(err.text, rows[i].error))
            fail_msg("row %zu: %s, \"%s\", %s", i, eb_rc_name(rc), found.id, err.text);
        if (took > 3 * EB_HELLO_CONNECT_MS)
            fail_msg("row %zu took %lld ms", i, (long long)took);
    }
}

static void texts_end_between_characters(void **state) {
    (void)state;
    eb_auto_buf struct eb_buf line = {0};
    eb_buf_z(&line, "INFO {\"server_name\":\"x");
    for (int i = 0; i < 100; i++)
        eb_buf_z(&line, "\xc3\xa4");
    eb_buf_z(&line, "\",\"server_id\":\"A\"}\r\n");
    struct place p;
    place(&p, SAYS, line.p);
    struct eb_hello found = {0};
    enum eb_rc rc = eb_hello_from(&p.info, "there", "A", &found, NULL);
    place_done(&p);
    assert_int_equal(rc, EB_OK);
    assert_true(eb_utf8_valid(eb_str(found.name)));
    assert_int_equal(strlen(found.name), sizeof found.name - 1);
}

static void urls(void **state) {
    (void)state;
    struct place p;
    place(&p, SAYS, INFO("A"));
    static const struct {
        const char *before, *after;
        bool ok;
    } rows[] = {{"nats://127.0.0.1:", "", true},   {"127.0.0.1:", "", true},
                {"tls://127.0.0.1:", "/", true},   {"nats://user:pass@127.0.0.1:", "", true},
                {"nats://[127.0.0.1]:", "", true}, {"nats://127.0.0.1:1", "000000", false}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        char url[128];
        struct eb_hello found = {0};
        (void)snprintf(url, sizeof url, "%s%u%s", rows[i].before, (unsigned)ntohs(p.at.sin_port),
                       rows[i].after);
        if ((eb_hello_ask(url, "A", &found, NULL) == EB_OK) != rows[i].ok)
            fail_msg("%s", url);
    }
    place_done(&p);
    struct eb_hello found = {0};
    assert_int_equal(eb_hello_ask("nats://nowhere", "A", &found, NULL), EB_E_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_address_is_tried),
        cmocka_unit_test(texts_end_between_characters),
        cmocka_unit_test(urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
