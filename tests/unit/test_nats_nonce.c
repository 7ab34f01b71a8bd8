#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base64url.h"
#include "fixture_natsjwt.h"
#include "nkey/nats_nonce.h"

#define NONCE_MAX 24

/* A nonce whose plain signature begins with byte 0. */
static void find_nonce(const struct eb_nkey *k, char nonce[NONCE_MAX]) {
    uint8_t sig[EB_NKEY_SIG_LEN] = {1};
    for (int i = 0; sig[0] != 0; i++) {
        assert_true(i < 100000);
        (void)snprintf(nonce, NONCE_MAX, "nonce-%d", i);
        assert_int_equal(eb_nkey_sign(k, eb_str(nonce), sig), EB_OK);
    }
}

static void none_begins_with_0(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(USER_R0_SEED);
    int plain = 0;
    for (int i = 0; i < 3000; i++) {
        char nonce[NONCE_MAX];
        unsigned char *sig = NULL;
        uint8_t own[EB_NKEY_SIG_LEN];
        int n = 0;
        (void)snprintf(nonce, sizeof nonce, "%d", i);
        assert_int_equal(eb_nkey_sign_nonce(NULL, &sig, &n, nonce, k), NATS_OK);
        assert_int_equal(n, EB_NKEY_SIG_LEN);
        assert_int_not_equal(sig[0], 0);
        assert_int_equal(eb_nkey_verify(eb_nkey_public_raw(k), eb_str(nonce), sig), EB_OK);
        assert_int_equal(eb_nkey_sign(k, eb_str(nonce), own), EB_OK);
        plain += memcmp(own, sig, sizeof own) == 0;
        free(sig);
    }
    assert_in_range(plain, 2900, 2999);
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *curve = fixture_key(CURVE_R0_SEED);
    unsigned char *sig = NULL;
    int n = 0;
    assert_int_equal(eb_nkey_sign_nonce(NULL, &sig, &n, "x", curve), NATS_ERR);
    assert_null(sig);
}

/* A server of one connection: INFO with the nonce, then what the client's CONNECT was. */
struct server {
    int fd;
    const char *nonce;
    char said[4096];
};

static void *serve(void *arg) {
    struct server *s = arg;
    int c = accept(s->fd, NULL, NULL);
    (void)dprintf(c,
                  "INFO {\"server_id\":\"x\",\"version\":\"2.14.3\",\"proto\":1,\"host\":\"h\",\"port\":1,"
                  "\"headers\":true,\"max_payload\":1048576,\"auth_required\":true,\"nonce\":\"%s\"}\r\n",
                  s->nonce);
    size_t n = 0;
    while (n < sizeof s->said - 1 && !strstr(s->said, "PING\r\n")) {
        ssize_t got = read(c, s->said + n, sizeof s->said - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    (void)dprintf(c, "PONG\r\n");
    char more;
    while (read(c, &more, 1) > 0) /* until the client ends it */
        continue;
    (void)close(c);
    return NULL;
}

static void nats_c_sends_it(void **state) {
    (void)state;
    EB_CLEANUP(eb_nkey_freep) struct eb_nkey *k = fixture_key(USER_R0_SEED);
    char nonce[NONCE_MAX];
    find_nonce(k, nonce);
    struct server s = {.nonce = nonce, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    assert_int_equal(bind(s.fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(s.fd, 1), 0);
    assert_int_equal(getsockname(s.fd, (struct sockaddr *)&at, &len), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);

    char url[64];
    (void)snprintf(url, sizeof url, "nats://127.0.0.1:%d", ntohs(at.sin_port));
    natsOptions *o = NULL;
    natsConnection *nc = NULL;
    assert_int_equal(natsOptions_Create(&o), NATS_OK);
    assert_int_equal(natsOptions_SetURL(o, url), NATS_OK);
    assert_int_equal(natsOptions_SetAllowReconnect(o, false), NATS_OK);
    assert_int_equal(natsOptions_SetNKey(o, eb_nkey_public(k), eb_nkey_sign_nonce, k), NATS_OK);
    assert_int_equal(natsConnection_Connect(&nc, o), NATS_OK);
    natsConnection_Destroy(nc);
    natsOptions_Destroy(o);
    (void)pthread_join(thread, NULL);
    (void)close(s.fd);
    nats_Close();

    static const char begins[] = "\"sig\":\"";
    const char *text = strstr(s.said, begins);
    assert_non_null(text);
    text += strlen(begins);
    uint8_t sig[EB_NKEY_SIG_LEN];
    size_t n = 0;
    assert_int_equal(eb_base64url_decode(sig, sizeof sig, eb_str_n(text, strcspn(text, "\"")), &n), EB_OK);
    assert_int_equal(n, sizeof sig);
    assert_int_equal(eb_nkey_verify(eb_nkey_public_raw(k), eb_str(nonce), sig), EB_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_begins_with_0),
        cmocka_unit_test(nats_c_sends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
