/* A client in a pod, with nats.c: logs in with the pod's projected ServiceAccount token. What it does and
 * reads: docs/kubernetes-tokens.md.
 */
#include <nats/nats.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_MAX = 32768, PATIENCE_S = 60 };

static const char *setting(const char *name, const char *otherwise) {
    const char *v = getenv(name);
    return v && *v ? v : otherwise;
}

/* Called before every connection, also where the library comes back by itself: the kubelet has replaced the
 * file long before the token in it ends. */
static const char *token(void *closure) {
    static char text[TOKEN_MAX];
    const char *path = setting("TOKEN_FILE", "/var/run/secrets/nats/token");
    FILE *f = fopen(path, "r");
    (void)closure;
    text[0] = 0;
    if (!f || !fgets(text, sizeof text, f))
        fprintf(stderr, "no token in %s\n", path);
    if (f)
        fclose(f);
    text[strcspn(text, "\r\n")] = 0;
    return text;
}

static void answer(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure) {
    (void)sub, (void)closure;
    if (natsMsg_GetReply(msg))
        natsConnection_Publish(nc, natsMsg_GetReply(msg), natsMsg_GetData(msg), natsMsg_GetDataLength(msg));
    natsMsg_Destroy(msg);
}
static void on_reconnect(natsConnection *nc, void *closure) {
    (void)nc, (void)closure;
    printf("reconnected\n");
}
static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus s, void *closure) {
    (void)nc, (void)sub, (void)closure;
    const char *text = nats_GetLastError(NULL); /* in this handler: what the server said */
    printf("error: %s %s\n", natsStatus_GetText(s), text ? text : "");
}

struct client {
    natsOptions *options;
    natsConnection *nc;
    natsSubscription *sub;
};

static natsStatus client_open(struct client *c, const char *subject) {
    natsStatus s = natsConnection_Connect(&c->nc, c->options);
    return s == NATS_OK ? natsConnection_Subscribe(&c->sub, c->nc, subject, answer, NULL) : s;
}
static void client_close(struct client *c) {
    natsSubscription_Destroy(c->sub);
    natsConnection_Destroy(c->nc);
    c->sub = NULL;
    c->nc = NULL;
}
static natsStatus client_options(struct client *c) {
    const char *inbox = getenv("INBOX_PREFIX");
    natsStatus s = natsOptions_Create(&c->options);
    if (s == NATS_OK)
        s = natsOptions_SetURL(c->options, setting("NATS_URL", "nats://127.0.0.1:4222"));
    if (s == NATS_OK)
        s = natsOptions_SetTokenHandler(c->options, token, NULL);
    if (s == NATS_OK)
        s = natsOptions_SetTimeout(c->options, PATIENCE_S * 1000);
    if (s == NATS_OK)
        s = natsOptions_SetMaxReconnect(c->options, -1);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectWait(c->options, 500);
    if (s == NATS_OK)
        s = natsOptions_SetReconnectJitter(c->options, 2000, 2000); /* not all clients at the same moment */
    if (s == NATS_OK)
        s = natsOptions_SetReconnectedCB(c->options, on_reconnect, NULL);
    if (s == NATS_OK)
        s = natsOptions_SetErrorHandler(c->options, on_error, NULL);
    if (s == NATS_OK && inbox && *inbox)
        s = natsOptions_SetCustomInboxPrefix(c->options, inbox);
    return s;
}

/* Asks until an answer comes; where the library has given up (two equal refusals), with a new connection. */
static bool ask(struct client *c, const char *subject, int n) {
    int64_t end = nats_Now() + PATIENCE_S * 1000;
    char text[16];
    int len = snprintf(text, sizeof text, "%d", n);
    while (nats_Now() < end) {
        natsMsg *reply = NULL;
        if (!c->nc || natsConnection_IsClosed(c->nc)) {
            client_close(c);
            natsStatus s = client_open(c, subject);
            printf("%s\n", s == NATS_OK ? "connected again" : natsStatus_GetText(s));
        } else if (natsConnection_Request(&reply, c->nc, subject, text, len, 2000) == NATS_OK) {
            printf("answer %.*s\n", natsMsg_GetDataLength(reply), natsMsg_GetData(reply));
            natsMsg_Destroy(reply);
            return true;
        }
        nats_Sleep(200);
    }
    return false;
}

int main(void) {
    const char *subject = setting("SUBJECT", "default.example");
    long count = strtol(setting("COUNT", "5"), NULL, 10);
    struct client c = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    natsStatus s = client_options(&c);
    if (s == NATS_OK)
        s = client_open(&c, subject);
    if (s != NATS_OK) {
        printf("refused: %s\n", natsStatus_GetText(s));
        return 1;
    }
    printf("connected\n");
    for (int n = 1; n <= count; n++) {
        if (!ask(&c, subject, n)) {
            printf("no answer to %d\n", n);
            return 1;
        }
        nats_Sleep(1000);
    }
    client_close(&c);
    natsOptions_Destroy(c.options);
    nats_Close();
    printf("done\n");
    return 0;
}
