/* A client of the event bus with libmosquitto. What it does and what it reads: docs/integrator-quickstart.md.
 */
#include <curl/curl.h>
#include <jansson.h>
#include <mosquitto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_MAX = 10000, TOKEN_MAX = 32768, WAIT_S = 60 };

static char run[32], filter[256]; /* run tells the messages of this run from those of another */
static const char *topic;
static bool seen[COUNT_MAX + 1], connected, subscribed, lost;
static int count, seen_n, acknowledged;
static double refresh_at;

static const char *setting(const char *name, const char *otherwise) {
    const char *v = getenv(name);
    return v && *v ? v : otherwise;
}
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static double chance(void) { /* 0 to 1 */
    return (double)random() / (double)RAND_MAX;
}
_Noreturn static void fail(const char *what, const char *detail) {
    printf("%s%s\n", what, detail);
    exit(1);
}

/* ---- the token ---- */

struct answer {
    char text[TOKEN_MAX * 2];
    size_t n;
};
static size_t take(char *data, size_t size, size_t n, void *to) {
    struct answer *a = to;
    size_t len = size * n;
    if (len >= sizeof a->text - a->n)
        return 0;
    memcpy(a->text + a->n, data, len);
    a->n += len;
    return len;
}

/* Fetches an access token; gives its life in seconds, or -1. */
static double fetch(char token[TOKEN_MAX]) {
    static struct answer a;
    double life = -1;
    char form[1024];
    CURL *curl = curl_easy_init();
    char *id = curl_easy_escape(curl, setting("CLIENT_ID", ""), 0);
    char *secret = curl_easy_escape(curl, setting("CLIENT_SECRET", ""), 0);
    snprintf(form, sizeof form, "grant_type=client_credentials&scope=mqtt&client_id=%s&client_secret=%s", id,
             secret);
    memset(&a, 0, sizeof a);
    curl_easy_setopt(curl, CURLOPT_URL, setting("TOKEN_URL", ""));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
    if (curl_easy_perform(curl) == CURLE_OK) {
        json_t *body = json_loadb(a.text, a.n, 0, NULL);
        const char *text = json_string_value(json_object_get(body, "access_token"));
        if (text && strlen(text) < TOKEN_MAX) {
            memcpy(token, text, strlen(text) + 1);
            life = json_number_value(json_object_get(body, "expires_in"));
        }
        json_decref(body);
    }
    curl_free(id);
    curl_free(secret);
    curl_easy_cleanup(curl);
    return life;
}
static double read_file(char token[TOKEN_MAX]) {
    FILE *f = fopen(setting("TOKEN_FILE", ""), "r");
    bool good = f && fgets(token, TOKEN_MAX, f);
    if (f)
        fclose(f);
    if (good)
        token[strcspn(token, "\r\n")] = 0;
    return good ? 300 : -1;
}

/* Gives the client a fresh credential, and says when the next one is due. */
static bool log_in(struct mosquitto *m) {
    static char token[TOKEN_MAX];
    refresh_at = 1e18;
    if (getenv("CERT_FILE"))
        return true;
    double life = getenv("TOKEN_FILE") ? read_file(token) : fetch(token);
    if (life <= 0 || mosquitto_username_pw_set(m, "oauthtoken", token) != MOSQ_ERR_SUCCESS)
        return false;
    /* well before the end, and not at the same moment as everybody else */
    const char *fixed = getenv("REFRESH_S");
    refresh_at = now() + (fixed ? strtod(fixed, NULL) : life * (0.7 + 0.2 * chance()));
    return true;
}

/* ---- what the library tells ---- */

static void on_connect(struct mosquitto *m, void *user, int rc, int flags) {
    (void)user;
    if (rc) {
        if (!subscribed)
            fail("refused: ", mosquitto_connack_string(rc));
        printf("refused, trying again: %s\n", mosquitto_connack_string(rc));
        return;
    }
    bool resumed = flags & 1;
    printf("connected, session %s\n", resumed ? "resumed" : "new");
    connected = true;
    if (!resumed || !subscribed)
        mosquitto_subscribe(m, NULL, filter, 1);
}
static void on_disconnect(struct mosquitto *m, void *user, int rc) {
    (void)m, (void)user;
    connected = false;
    lost = rc != 0;
}
static void on_subscribe(struct mosquitto *m, void *user, int mid, int n, const int *granted) {
    (void)m, (void)user, (void)mid;
    if (n < 1 || granted[0] == 128)
        fail("subscription refused: ", filter);
    subscribed = true;
}
static void on_publish(struct mosquitto *m, void *user, int mid) {
    (void)m, (void)user, (void)mid;
    acknowledged++; /* the site has stored it */
}
static void on_message(struct mosquitto *m, void *user, const struct mosquitto_message *msg) {
    (void)m, (void)user;
    char text[64], from[32];
    int n;
    snprintf(text, sizeof text, "%.*s", msg->payloadlen, (const char *)msg->payload);
    if (sscanf(text, "%31s %d", from, &n) != 2 || strcmp(from, run) != 0 || n < 1 || n > count || seen[n])
        return; /* QoS 1: a message may come twice */
    seen[n] = true;
    seen_n++;
    printf("received %s %d\n", msg->topic, n);
}

/* ---- the connection ---- */

/* Runs the library for a while; where the connection is lost, comes back with a fresh credential, later each
 * time. */
static void turn(struct mosquitto *m, int ms) {
    static double wait = 1;
    int rc = mosquitto_loop(m, ms, 1);
    if (rc == MOSQ_ERR_SUCCESS && !lost) {
        wait = connected ? 1 : wait;
        return;
    }
    printf("connection lost: %s\n", mosquitto_strerror(rc));
    lost = connected = false;
    usleep((useconds_t)(wait * chance() * 1e6)); /* all clients of a server lose it at the same moment */
    wait = wait * 2 < 60 ? wait * 2 : 60;
    if (!log_in(m))
        printf("no fresh token\n");
    mosquitto_reconnect(m);
}
static void refresh(struct mosquitto *m) {
    mosquitto_disconnect(m); /* in good order; the session stays */
    while (mosquitto_loop(m, 100, 1) == MOSQ_ERR_SUCCESS)
        ;
    if (log_in(m) && mosquitto_reconnect(m) == MOSQ_ERR_SUCCESS)
        printf("token refreshed\n");
    else
        lost = true;
}

int main(void) {
    bool cert = getenv("CERT_FILE") != NULL;
    const char *host = setting("MQTT_HOST", "127.0.0.1");
    int port = (int)strtol(setting("MQTT_PORT", cert ? "8883" : "1883"), NULL, 10);
    count = (int)strtol(setting("COUNT", "5"), NULL, 10);
    if (count < 1 || count > COUNT_MAX)
        fail("COUNT: write 1 to 10000", "");
    topic = setting("MQTT_TOPIC", "test/example/c");
    snprintf(filter, sizeof filter, "%s/#", topic);
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    srandom((unsigned)t.tv_nsec);
    snprintf(run, sizeof run, "%llx%09lx", (unsigned long long)t.tv_sec, (unsigned long)t.tv_nsec);
    setvbuf(stdout, NULL, _IOLBF, 0);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    mosquitto_lib_init();

    /* a client id of its own, and a session that the server keeps while we are away */
    struct mosquitto *m = mosquitto_new(setting("MQTT_CLIENT_ID", "example-c"), false, NULL);
    mosquitto_connect_with_flags_callback_set(m, on_connect);
    mosquitto_disconnect_callback_set(m, on_disconnect);
    mosquitto_subscribe_callback_set(m, on_subscribe);
    mosquitto_publish_callback_set(m, on_publish);
    mosquitto_message_callback_set(m, on_message);
    if (cert && mosquitto_tls_set(m, setting("CA_FILE", ""), NULL, setting("CERT_FILE", ""),
                                  setting("KEY_FILE", ""), NULL) != MOSQ_ERR_SUCCESS)
        fail("CA_FILE, CERT_FILE or KEY_FILE cannot be read", "");
    if (!log_in(m))
        fail("no token", "");
    int rc = mosquitto_connect(m, host, port, 30);
    if (rc != MOSQ_ERR_SUCCESS)
        fail("no connection: ", mosquitto_strerror(rc));

    double next = 0, end = now() + count + WAIT_S;
    int sent = 0;
    while ((seen_n < count || acknowledged < count) && now() < end) {
        turn(m, 100);
        if (connected && now() >= refresh_at)
            refresh(m);
        if (subscribed && connected && sent < count && now() >= next) {
            char name[300], text[64];
            snprintf(name, sizeof name, "%s/%d", topic, ++sent);
            int len = snprintf(text, sizeof text, "%s %d", run, sent);
            mosquitto_publish(m, NULL, name, len, text, 1, false);
            next = now() + 1;
        }
    }
    if (seen_n < count || acknowledged < count)
        fail("not all messages came back, or were acknowledged", "");
    mosquitto_disconnect(m);
    mosquitto_loop(m, 100, 1);
    mosquitto_destroy(m);
    mosquitto_lib_cleanup();
    curl_global_cleanup();
    printf("done\n");
    return 0;
}
