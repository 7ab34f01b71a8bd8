/*
 * One MQTT publisher and one subscriber, at the same server or at servers of two sites, and what is between
 * them: latency at a pace, or throughput of a burst. Both are clients of one thread and one clock.
 *   bench-crossing --publish HOST:PORT --topic T --subscribe HOST:PORT --filter F [--qos 0] [--count 300]
 *                  [--rate 100] [--bytes 256] [--window 100]
 * A level of its own is put behind topic and filter, so that runs do not see each other. Rate 0 is the burst:
 * as fast as the server takes it, of QoS 1 and 2 at most `window` messages without their acknowledgement.
 * Prints a JSON line; status 1 where a message was lost or came twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <mosquitto.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "tool.h"

enum {
    BYTES_MAX = 65536,
    COUNT_MAX = 1000000,
    CHUNK = 64,     /* messages that a burst publishes between two looks at the sockets */
    READS = 16,     /* packets read between two looks */
    WARM_MIN = 20,  /* messages before the measurement */
    WARM_MS = 10,   /* time between them */
    LOGIN_S = 20,   /* a login, a subscription, the first message through a link */
    QUIET_MS = 500, /* how long a message that comes twice is waited for */
    STALLED_S = 15, /* what has not come after so long without any other is lost */
    KEEPALIVE_S = 60,
};
#define WARM UINT32_MAX

/* The beginning of every payload; the rest is zero. */
struct note {
    uint64_t run;
    uint32_t number;
    int64_t sent_ns;
};

struct crossing {
    struct mosquitto *publisher, *subscriber;
    bool in[2], subscribed;
    const char *topic, *filter;
    int qos;
    uint64_t run;
    size_t count, bytes;
    char *payload;
    size_t sent, acknowledged; /* with the warm ones */
    size_t warm_sent, warm_arrived, arrived, doubled, disordered;
    uint32_t last;
    bool *seen;
    int64_t *latency_ns;
    int64_t first_sent_ns, last_acknowledged_ns, last_arrived_ns;
};

static void must(int rc, const char *what) {
    if (rc != MOSQ_ERR_SUCCESS)
        die("%s: %s", what, rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
}

static void on_connect(struct mosquitto *m, void *arg, int rc) {
    struct crossing *c = arg;
    if (rc != 0)
        die("%s", mosquitto_connack_string(rc));
    c->in[m == c->subscriber] = true;
}

static void on_subscribe(struct mosquitto *m, void *arg, int id, int n, const int *granted) {
    struct crossing *c = arg;
    (void)m, (void)id;
    if (n != 1 || granted[0] != c->qos)
        die("subscription to %s is refused", c->filter);
    c->subscribed = true;
}

/* QoS 0: written; 1: PUBACK is there; 2: PUBCOMP. */
static void on_publish(struct mosquitto *m, void *arg, int id) {
    struct crossing *c = arg;
    (void)m, (void)id;
    c->acknowledged++;
    c->last_acknowledged_ns = mono_ns();
}

static void on_message(struct mosquitto *m, void *arg, const struct mosquitto_message *message) {
    struct crossing *c = arg;
    struct note note;
    int64_t now = mono_ns();
    (void)m;
    if (message->payloadlen < 0 || (size_t)message->payloadlen != c->bytes)
        die("a message of %d bytes", message->payloadlen);
    memcpy(&note, message->payload, sizeof note);
    if (note.run != c->run)
        die("a message of another run");
    if (note.number == WARM) {
        c->warm_arrived++;
        return;
    }
    if (note.number >= c->count)
        die("message %" PRIu32 " was never sent", note.number);
    if (c->seen[note.number]) {
        c->doubled++;
        return;
    }
    c->seen[note.number] = true;
    c->disordered += c->arrived > 0 && note.number < c->last;
    c->last = note.number;
    c->latency_ns[c->arrived++] = now - note.sent_ns;
    c->last_arrived_ns = now;
}

/* A client of MQTT 3.1.1 that is not anybody: the site has to let in anonymous clients. */
static struct mosquitto *client(struct crossing *c, const char *what, const char *address, int window) {
    char id[64], host[64];
    const char *colon = strrchr(address, ':');
    if (!colon || (size_t)(colon - address) >= sizeof host)
        die("%s: write HOST:PORT", address);
    (void)snprintf(id, sizeof id, "crossing-%s-%d", what, (int)getpid());
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    struct mosquitto *m = mosquitto_new(id, true, c);
    if (!m)
        die("out of memory");
    mosquitto_connect_callback_set(m, on_connect);
    mosquitto_subscribe_callback_set(m, on_subscribe);
    mosquitto_publish_callback_set(m, on_publish);
    mosquitto_message_callback_set(m, on_message);
    must(mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1), "TCP_NODELAY");
    must(mosquitto_int_option(m, MOSQ_OPT_SEND_MAXIMUM, window), "window");
    must(mosquitto_connect(m, host, (int)strtol(colon + 1, NULL, 10), KEEPALIVE_S), address);
    return m;
}

/* Waits for the sockets of both clients, at most so long, and does what there is to do. */
static void turn(struct crossing *c, int64_t wait_ns) {
    struct mosquitto *const both[2] = {c->publisher, c->subscriber};
    struct pollfd p[2];
    for (int i = 0; i < 2; i++)
        p[i] = (struct pollfd){mosquitto_socket(both[i]), POLLIN, 0};
    for (int i = 0; i < 2; i++)
        if (mosquitto_want_write(both[i]))
            p[i].events |= POLLOUT;
    wait_ns = wait_ns < 0 ? 0 : wait_ns;
    const struct timespec t = {wait_ns / SECOND_NS, wait_ns % SECOND_NS};
    if (ppoll(p, 2, &t, NULL) < 0 && errno != EINTR)
        die("poll: %s", strerror(errno));
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < READS && p[i].revents & (POLLIN | POLLHUP | POLLERR); k++)
            must(mosquitto_loop_read(both[i], 1), "read");
        if (p[i].revents & POLLOUT)
            must(mosquitto_loop_write(both[i], 1), "write");
        must(mosquitto_loop_misc(both[i]), "keepalive");
    }
}

static void publish(struct crossing *c, uint32_t number) {
    const struct note note = {.run = c->run, .number = number, .sent_ns = mono_ns()};
    memcpy(c->payload, &note, sizeof note);
    must(mosquitto_publish(c->publisher, NULL, c->topic, (int)c->bytes, c->payload, c->qos, false),
         "publish");
    c->sent++;
}

static void stay_quiet(struct crossing *c) {
    for (int64_t end = mono_ns() + QUIET_MS * MS_NS; mono_ns() < end;)
        turn(c, 20 * MS_NS);
}

/* Logs both in, subscribes, and sends until the way through is open: interest in a topic takes a moment to
 * come to the other site, and a message of QoS 0 before it is nobody's. */
static void open_way(struct crossing *c) {
    int64_t end = mono_ns() + LOGIN_S * SECOND_NS;
    while (!c->in[0] || !c->in[1]) {
        turn(c, MS_NS);
        if (mono_ns() > end)
            die("no login in %d s", LOGIN_S);
    }
    must(mosquitto_subscribe(c->subscriber, NULL, c->filter, c->qos), "subscribe");
    while (!c->subscribed && mono_ns() < end)
        turn(c, MS_NS);
    for (int64_t next = 0; c->warm_sent < WARM_MIN || c->warm_arrived == 0;) {
        int64_t now = mono_ns();
        if (now > end)
            die("nothing that was published to %s came to %s in %d s", c->topic, c->filter, LOGIN_S);
        if (now >= next) {
            publish(c, WARM);
            c->warm_sent++;
            next = now + WARM_MS * MS_NS;
        }
        turn(c, next - now);
    }
    stay_quiet(c);
}

static void send_paced(struct crossing *c, int64_t rate) {
    for (uint32_t i = 0; i < c->count; i++) {
        int64_t due = c->first_sent_ns + (int64_t)i * SECOND_NS / rate;
        for (int64_t now = mono_ns(); now < due; now = mono_ns())
            turn(c, due - now);
        publish(c, i);
    }
}

static void send_burst(struct crossing *c, size_t window) {
    for (uint32_t i = 0; i < c->count;) {
        size_t open = c->sent - c->acknowledged;
        if (mosquitto_want_write(c->publisher) || (c->qos > 0 && open >= window)) {
            turn(c, SECOND_NS);
            continue;
        }
        for (size_t n = 0; n < CHUNK && i < c->count && (c->qos == 0 || open + n < window); n++)
            publish(c, i++);
        turn(c, 0);
    }
}

static void wait_for_all(struct crossing *c) {
    size_t had = 0;
    int64_t end = 0;
    while (c->arrived < c->count || c->acknowledged < c->sent) {
        int64_t now = mono_ns();
        if (end == 0 || c->arrived + c->acknowledged > had) {
            had = c->arrived + c->acknowledged;
            end = now + STALLED_S * SECOND_NS;
        }
        if (now > end)
            break;
        turn(c, SECOND_NS);
    }
}

static int64_t own_cpu_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

static void report(struct crossing *c, int64_t rate, int64_t cpu_ns) {
    double seconds = (double)(c->last_arrived_ns - c->first_sent_ns) / 1e9;
    sort_i64(c->latency_ns, c->arrived);
    (void)printf(
        "{\"qos\":%d,\"rate\":%" PRId64
        ",\"bytes\":%zu,\"count\":%zu,\"arrived\":%zu,\"lost\":%zu,\"doubled\":%zu,\"disordered\":%zu,"
        "\"unacknowledged\":%zu,\"p50_us\":%.0f,\"p99_us\":%.0f,\"max_us\":%.0f,\"seconds\":%.3f,"
        "\"per_second\":%.0f,\"acknowledged_s\":%.3f,\"generator_cpu_us\":%.2f}\n",
        c->qos, rate, c->bytes, c->count, c->arrived, c->count - c->arrived, c->doubled, c->disordered,
        c->sent - c->acknowledged, (double)quantile(c->latency_ns, c->arrived, 500) / 1e3,
        (double)quantile(c->latency_ns, c->arrived, 990) / 1e3,
        (double)quantile(c->latency_ns, c->arrived, 1000) / 1e3, c->arrived ? seconds : 0,
        c->arrived && seconds > 0 ? (double)c->arrived / seconds : 0,
        (double)(c->last_acknowledged_ns - c->first_sent_ns) / 1e9, (double)cpu_ns / 1e3 / (double)c->count);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"publish", "topic", "subscribe", "filter", "qos",
                                        "count",   "rate",  "bytes",     "window"};
    const struct flags f = flags_of(argc, argv, names, EB_COUNT_OF(names));
    char topic[256], filter[256];
    struct crossing c = {.topic = topic, .filter = filter, .run = (uint64_t)mono_ns()};
    c.qos = (int)flag_int(&f, "qos", 0, 0, 2);
    c.count = (size_t)flag_int(&f, "count", 300, 1, COUNT_MAX);
    c.bytes = (size_t)flag_int(&f, "bytes", 256, sizeof(struct note), BYTES_MAX);
    int64_t rate = flag_int(&f, "rate", 100, 0, 100000), window = flag_int(&f, "window", 100, 1, 65535);
    (void)snprintf(topic, sizeof topic, "%s/%" PRIx64, flag_text(&f, "topic", NULL), c.run);
    (void)snprintf(filter, sizeof filter, "%s/%" PRIx64, flag_text(&f, "filter", NULL), c.run);
    c.payload = need_memory(c.bytes);
    c.seen = need_memory(c.count * sizeof *c.seen);
    c.latency_ns = need_memory(c.count * sizeof *c.latency_ns);

    must(mosquitto_lib_init(), "libmosquitto");
    c.publisher = client(&c, "from", flag_text(&f, "publish", NULL), (int)window);
    c.subscriber = client(&c, "to", flag_text(&f, "subscribe", NULL), (int)window);
    open_way(&c);

    int64_t cpu_ns = own_cpu_ns();
    c.first_sent_ns = mono_ns();
    if (rate > 0)
        send_paced(&c, rate);
    else
        send_burst(&c, (size_t)window);
    wait_for_all(&c);
    cpu_ns = own_cpu_ns() - cpu_ns;
    stay_quiet(&c);
    report(&c, rate, cpu_ns);

    (void)mosquitto_disconnect(c.publisher);
    (void)mosquitto_disconnect(c.subscriber);
    mosquitto_destroy(c.publisher);
    mosquitto_destroy(c.subscriber);
    (void)mosquitto_lib_cleanup();
    free(c.payload);
    free(c.seen);
    free(c.latency_ns);
    return c.arrived == c.count && c.doubled == 0 && c.acknowledged == c.sent ? 0 : 1;
}
