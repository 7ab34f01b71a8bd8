/*
 * Says yes to everybody: the least that an answer to a callout costs. It opens, takes the user's and the
 * server's key out of the request without any check, signs twice and seals. A yardstick, not a service:
 * whoever can reach it is let in.
 */
#include <nats/nats.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "answer.h"
#include "base/base64url.h"
#include "natsjwt/callout.h"
#include "nkey/nats_nonce.h"
#include "tool.h"

enum { CONNECTIONS_MAX = 16, LOGINS = 3 };

static struct keys {
    struct eb_nkey *issuer, *xkey, *service;
    pthread_mutex_t lock; /* guards what follows */
    char peer[EB_NKEY_PUBLIC_LEN + 1];
    struct eb_xkey_shared shared;
} keys = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool shared_with(const char *peer, struct eb_xkey_shared *ret) {
    uint8_t raw[EB_NKEY_RAW_LEN];
    EB_LOCKED(&keys.lock);
    if (strcmp(peer, keys.peer) != 0) {
        if (eb_nkey_public_decode(eb_str(peer), EB_NKEY_CURVE, NULL, raw, NULL) != EB_OK ||
            eb_xkey_shared_init(&keys.shared, keys.xkey, raw) != EB_OK)
            return false;
        (void)snprintf(keys.peer, sizeof keys.peer, "%s", peer);
    }
    *ret = keys.shared;
    return true;
}

/* The text behind the first `"name":"` of a payload. */
static struct eb_str member(struct eb_str json, const char *name) {
    const char *at = memmem(json.p, json.n, name, strlen(name));
    if (!at)
        return EB_STR_NONE;
    at += strlen(name);
    struct eb_str rest = eb_str_n(at, json.n - (size_t)(at - json.p));
    return eb_str_cut(&rest, '"');
}

static enum eb_rc sign_by(void *ctx, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]) {
    return eb_nkey_sign(ctx, msg, ret_sig);
}

static bool answer(struct eb_str request, struct eb_buf *to) {
    struct eb_str rest = request;
    (void)eb_str_cut(&rest, '.');
    struct eb_str chunk = eb_str_cut(&rest, '.');
    eb_auto_buf struct eb_buf payload = {0}, user_jwt = {0};
    size_t n = 0;
    char *p = eb_buf_reserve(&payload, chunk.n);
    if (!p || eb_base64url_decode(p, chunk.n, chunk, &n) != EB_OK)
        return false;
    struct eb_str json = eb_str_n(p, n), user = member(json, "\"user_nkey\":\""),
                  server = member(json, "\"iss\":\"");
    struct eb_str issuer = eb_str(eb_nkey_public(keys.issuer));
    const struct eb_user_claims u = {
        .issuer = issuer,
        .user_nkey = user,
        .account = EB_STR(BENCH_ACCOUNT),
        .name = EB_STR("yes"),
        .grants_json = EB_STR("\"pub\":{\"allow\":" BENCH_PUB "},\"sub\":{\"allow\":" BENCH_SUB "}"),
        .iat = wall_s(),
        .exp = wall_s() + 3600};
    return user.n && server.n && eb_user_jwt_write(&user_jwt, &u, sign_by, keys.issuer) == EB_OK &&
           eb_auth_response_write(to, issuer, server, user, eb_buf_get(&user_jwt), EB_STR_NONE, u.iat,
                                  sign_by, keys.issuer) == EB_OK;
}

static void on_request(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *ctx) {
    (void)sub;
    (void)ctx;
    struct eb_str data = eb_str_n(natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg));
    eb_auto_buf struct eb_buf plain = {0}, text = {0}, sealed = {0};
    struct eb_xkey_shared shared;
    const char *peer = NULL;
    bool ok;
    if (natsMsgHeader_Get(msg, "Nats-Server-Xkey", &peer) == NATS_OK && peer)
        ok = shared_with(peer, &shared) && eb_xkey_open(&shared, data, &plain) == EB_OK &&
             answer(eb_buf_get(&plain), &text) && eb_xkey_seal(&shared, eb_buf_get(&text), &sealed) == EB_OK;
    else
        ok = answer(data, &sealed);
    if (ok)
        (void)natsConnection_Publish(nc, natsMsg_GetReply(msg), sealed.p, (int)sealed.n);
    natsMsg_Destroy(msg);
}

static struct eb_nkey *open_key(const char *dir, const char *name, enum eb_nkey_kind kind) {
    struct eb_err err = {0};
    struct eb_nkey *k = NULL;
    eb_auto_free char *path = site_path(dir, name);
    need(eb_nkey_from_seed_file(path, kind, &k, &err), &err, path);
    return k;
}

/* One connection with its subscription; ends the program where it cannot. */
static void open_link(const char *url, natsConnection **nc, natsSubscription **sub) {
    natsOptions *o = NULL;
    natsStatus s = natsOptions_Create(&o);
    s = s ? s : natsOptions_SetURL(o, url);
    s = s ? s : natsOptions_SetNKey(o, eb_nkey_public(keys.service), eb_nkey_sign_nonce, keys.service);
    /* nats.c 3.4.1 leaves out a signature that begins with a zero byte: one login in 256 is refused */
    for (int left = LOGINS; s == NATS_OK && !*nc && left; left--) {
        natsStatus login = natsConnection_Connect(nc, o);
        if (login != NATS_OK)
            *nc = NULL;
        if (login != NATS_OK && left == 1)
            s = login;
    }
    s = s ? s
          : natsConnection_QueueSubscribe(sub, *nc, "$SYS.REQ.USER.AUTH", "auth-callout", on_request, NULL);
    s = s ? s : natsSubscription_SetPendingLimits(*sub, -1, -1);
    s = s ? s : natsConnection_Flush(*nc);
    if (s != NATS_OK)
        die("%s: %s", url, natsStatus_GetText(s));
    natsOptions_Destroy(o);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"seeds", "nats", "ready"};
    const struct flags f = flags_of(argc, argv, names, EB_COUNT_OF(names));
    const char *seeds = flag_text(&f, "seeds", NULL), *ready = flag_text(&f, "ready", NULL);
    char url[96];
    (void)snprintf(url, sizeof url, "nats://%s", flag_text(&f, "nats", NULL));
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (sodium_init() < 0)
        die("libsodium cannot be initialised");
    keys.issuer = open_key(seeds, "issuer.nk", EB_NKEY_ACCOUNT);
    keys.xkey = open_key(seeds, "xkey.nk", EB_NKEY_CURVE);
    keys.service = open_key(seeds, "service.nk", EB_NKEY_USER);

    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = cores < 1 ? 1 : cores > CONNECTIONS_MAX ? CONNECTIONS_MAX : (size_t)cores;
    natsConnection *nc[CONNECTIONS_MAX] = {NULL};
    natsSubscription *sub[CONNECTIONS_MAX] = {NULL};
    for (size_t i = 0; i < n; i++)
        open_link(url, &nc[i], &sub[i]);
    FILE *told = fopen(ready, "we");
    if (!told || fclose(told) != 0)
        die("%s cannot be written", ready);
    int got = 0;
    (void)sigwait(&signals, &got);
    for (size_t i = 0; i < n; i++) {
        natsSubscription_Destroy(sub[i]);
        natsConnection_Destroy(nc[i]);
    }
    nats_Close();
    return 0;
}
