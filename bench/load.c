/*
 * Plays nats-server: sends sealed and signed callout requests through a real nats-server, keeps a number of
 * them in flight, and verifies every answer. Requests are made before and answers verified after the measured
 * time, batch by batch, so that both cost the measured time nothing.
 */
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "answer.h"
#include "base/num.h"
#include "proc.h"
#include "tool.h"
#include "wire.h"

enum {
    TOKENS = 128,
    THREADS = 2,
    WARM_UP = 500,
    ANSWER_WAIT_MS = 10000,
    FAULTS_SHOWN = 5,
    POLL_MS = 5,
    HEAD_START_MS = 300,
    RELOAD_WAIT_MS = 30000
};
#define INBOX "_INBOX.bench."

struct shot {
    struct request request;
    struct eb_buf answer;
    int64_t sent_ns, got_ns;
    unsigned answers;
};

struct batch {
    struct shot *shots;
    size_t n;
};

/* One reload of a document under load. */
struct reload {
    const char *from, *to, *metrics;
    pthread_t thread;
    _Atomic bool firing; /* the load is under way */
    int64_t started_ns, done_ns;
};

struct run {
    struct maker maker;
    struct wire wire;
    enum kind kind;
    pid_t service, server;
    size_t in_flight;
    uint64_t made;
    /* summed over batches */
    int64_t *latencies, *sent;
    size_t latencies_n;
    int64_t wall_ns, service_ns, server_ns, own_ns;
    size_t wrong, missing;
    struct reload *reload; /* NULL for none */
    int64_t (*samples)[2]; /* callouts and resident KiB after each batch */
    size_t samples_n;
};

struct part {
    struct run *run;
    struct batch *batch;
    size_t first;
    uint64_t made;
    size_t wrong, missing;
};

static void *make_part(void *arg) {
    struct part *p = arg;
    for (size_t i = p->first; i < p->batch->n; i += THREADS)
        request_make(&p->run->maker, p->run->kind, p->made + i, &p->batch->shots[i].request);
    return NULL;
}

static void *verify_part(void *arg) {
    struct part *p = arg;
    for (size_t i = p->first; i < p->batch->n; i += THREADS) {
        const struct shot *s = &p->batch->shots[i];
        const char *fault = s->answers == 1
                                ? answer_fault(&p->run->maker, &s->request, eb_buf_get(&s->answer))
                            : s->answers ? "two answers to one request"
                                         : NULL;
        p->missing += s->answers == 0;
        if (fault && p->wrong++ < FAULTS_SHOWN)
            (void)fprintf(stderr, "bench: %s: %s\n", kind_name(p->run->kind), fault);
    }
    return NULL;
}

static void in_parts(struct run *r, struct batch *b, void *(*work)(void *)) {
    struct part parts[THREADS];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        parts[i] = (struct part){.run = r, .batch = b, .first = i, .made = r->made};
        if (pthread_create(&threads[i], NULL, work, &parts[i]) != 0)
            die("no thread");
    }
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        r->wrong += parts[i].wrong;
        r->missing += parts[i].missing;
    }
}

static struct batch batch_new(struct run *r, size_t n) {
    struct batch b = {need_memory(n * sizeof *b.shots), n};
    in_parts(r, &b, make_part);
    r->made += n;
    return b;
}

static void batch_done(struct batch *b) {
    for (size_t i = 0; i < b->n; i++) {
        request_done(&b->shots[i].request);
        eb_buf_done(&b->shots[i].answer);
    }
    free(b->shots);
}

static void send_one(struct run *r, size_t index, const struct shot *s) {
    char head[160], xkey[96];
    int head_n = snprintf(xkey, sizeof xkey, "NATS/1.0\r\nNats-Server-Xkey: %s\r\n\r\n",
                          eb_nkey_public(r->maker.site->server_xkey));
    struct eb_str sealed = eb_buf_get(&s->request.sealed);
    int n = snprintf(head, sizeof head, "HPUB $SYS.REQ.USER.AUTH " INBOX "%zu %d %zu\r\n", index, head_n,
                     sealed.n + (size_t)head_n);
    eb_buf_add(&r->wire.out, head, (size_t)n);
    eb_buf_add(&r->wire.out, xkey, (size_t)head_n);
    eb_buf_str(&r->wire.out, sealed);
    eb_buf_z(&r->wire.out, "\r\n");
}

/* Notes an answer; true where it is the first to its request. */
static bool take_one(struct batch *b, const struct wire_msg *msg, int64_t now) {
    int64_t index = 0;
    struct eb_str prefix = EB_STR(INBOX);
    if (!eb_str_starts(msg->subject, prefix) ||
        eb_num_i64(eb_str_n(msg->subject.p + prefix.n, msg->subject.n - prefix.n), 0, (int64_t)b->n - 1,
                   &index) != EB_OK)
        die("a message to %.*s", EB_STR_ARG(msg->subject));
    if (msg->has_headers && msg->payload.n == 0)
        die("nobody serves the callouts");
    struct shot *s = &b->shots[index];
    if (s->answers++)
        return false;
    s->got_ns = now;
    eb_buf_str(&s->answer, msg->payload);
    return true;
}

/* Sends all and waits for the answers; false where some did not come. */
static bool fire(struct run *r, struct batch *b) {
    size_t sent = 0, got = 0;
    while (got < b->n) {
        size_t from = sent;
        for (; sent < b->n && sent - got < r->in_flight; sent++)
            send_one(r, sent, &b->shots[sent]);
        int64_t now = mono_ns();
        for (; from < sent; from++)
            b->shots[from].sent_ns = now;
        wire_flush(&r->wire);
        if (!wire_fill(&r->wire, ANSWER_WAIT_MS))
            return false;
        now = mono_ns();
        struct wire_msg msg;
        while (wire_next(&r->wire, &msg))
            got += take_one(b, &msg, now);
    }
    return true;
}

static void run_batch(struct run *r, size_t n, bool counts) {
    struct batch b = batch_new(r, n);
    int64_t service = proc_cpu_ns(r->service), server = proc_cpu_ns(r->server), own = proc_cpu_ns(getpid()),
            from = mono_ns();
    if (counts && r->reload)
        r->reload->firing = true;
    bool complete = fire(r, &b);
    if (counts) {
        r->wall_ns += mono_ns() - from;
        r->service_ns += proc_cpu_ns(r->service) - service;
        r->server_ns += proc_cpu_ns(r->server) - server;
        r->own_ns += proc_cpu_ns(getpid()) - own;
    }
    in_parts(r, &b, verify_part);
    if (!complete)
        die("%s: %zu requests were not answered", kind_name(r->kind), r->missing);
    for (size_t i = 0; counts && i < n; i++) {
        r->sent[r->latencies_n] = b.shots[i].sent_ns;
        r->latencies[r->latencies_n++] = b.shots[i].got_ns - b.shots[i].sent_ns;
    }
    batch_done(&b);
    if (counts) {
        r->samples[r->samples_n][0] = (int64_t)r->latencies_n;
        r->samples[r->samples_n++][1] = proc_memory(r->service).rss_kib;
    }
}

/* auth_permissions_reloads_total of the metrics page. */
static int64_t reloads(const struct sockaddr_in *a) {
    static const char ask[] = "GET /metrics HTTP/1.0\r\n\r\n", name[] = "\nauth_permissions_reloads_total ";
    eb_auto_buf struct eb_buf page = {0};
    eb_auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)a, sizeof *a) != 0 ||
        send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL) < 0)
        die("the metrics page cannot be read");
    char bytes[16384];
    for (ssize_t got = recv(fd, bytes, sizeof bytes, 0); got > 0; got = recv(fd, bytes, sizeof bytes, 0))
        eb_buf_add(&page, bytes, (size_t)got);
    const char *at = page.p ? strstr(page.p, name) : NULL;
    if (!at)
        die("the metrics page has no auth_permissions_reloads_total");
    return strtoll(at + sizeof name - 1, NULL, 10);
}

static void *reload_main(void *arg) {
    struct reload *l = arg;
    const struct sockaddr_in a = wire_address(l->metrics);
    int64_t before = reloads(&a);
    while (!l->firing)
        sleep_ms(POLL_MS);
    sleep_ms(HEAD_START_MS);
    l->started_ns = mono_ns();
    if (rename(l->from, l->to) != 0)
        die("%s cannot be renamed", l->from);
    while (reloads(&a) == before) {
        if (mono_ns() - l->started_ns > RELOAD_WAIT_MS * MS_NS)
            die("the document was not reloaded in %d ms", RELOAD_WAIT_MS);
        sleep_ms(POLL_MS);
    }
    l->done_ns = mono_ns();
    return NULL;
}

static double us(int64_t ns, size_t n) {
    return n ? (double)ns / 1000 / (double)n : 0;
}

static void print_memory(const char *name, const struct proc_memory *m) {
    (void)printf(",\"%s\":{\"rss_kib\":%lld,\"peak_kib\":%lld,\"threads\":%lld,\"files\":%lld}", name,
                 (long long)m->rss_kib, (long long)m->peak_kib, (long long)m->threads, (long long)m->files);
}

static void print_reload(const struct run *r, const struct reload *l, bool peak_known,
                         const struct proc_memory *after) {
    int64_t *during = need_memory(r->latencies_n * sizeof *during);
    size_t n = 0;
    for (size_t i = 0; i < r->latencies_n; i++)
        if (r->sent[i] < l->done_ns && r->sent[i] + r->latencies[i] > l->started_ns)
            during[n++] = r->latencies[i];
    sort_i64(during, n);
    (void)printf(",\"reload\":{\"ms\":%.1f,\"callouts\":%zu,\"p99_us\":%.0f,\"p999_us\":%.0f,\"max_us\":%.0f,"
                 "\"peak_kib\":%lld}",
                 (double)(l->done_ns - l->started_ns) / 1e6, n, us(quantile(during, n, 990), 1),
                 us(quantile(during, n, 999), 1), us(quantile(during, n, 1000), 1),
                 peak_known ? (long long)after->peak_kib : -1LL);
    free(during);
}

static void print_run(struct run *r) {
    int64_t *sorted = need_memory(r->latencies_n * sizeof *sorted);
    memcpy(sorted, r->latencies, r->latencies_n * sizeof *sorted);
    sort_i64(sorted, r->latencies_n);
    size_t n = r->latencies_n;
    (void)printf("{\"kind\":\"%s\",\"in_flight\":%zu,\"callouts\":%zu,\"wrong\":%zu,\"missing\":%zu,"
                 "\"seconds\":%.3f,\"per_second\":%.0f",
                 kind_name(r->kind), r->in_flight, n, r->wrong, r->missing, (double)r->wall_ns / 1e9,
                 (double)n * 1e9 / (double)(r->wall_ns ? r->wall_ns : 1));
    (void)printf(",\"p50_us\":%.0f,\"p90_us\":%.0f,\"p99_us\":%.0f,\"p999_us\":%.0f,\"max_us\":%.0f",
                 us(quantile(sorted, n, 500), 1), us(quantile(sorted, n, 900), 1),
                 us(quantile(sorted, n, 990), 1), us(quantile(sorted, n, 999), 1),
                 us(quantile(sorted, n, 1000), 1));
    (void)printf(",\"service_cpu_us\":%.2f,\"server_cpu_us\":%.2f,\"generator_cpu_us\":%.2f",
                 us(r->service_ns, n), us(r->server_ns, n), us(r->own_ns, n));
    for (size_t i = 0; i < r->samples_n; i++)
        (void)printf("%s[%lld,%lld]", i ? "," : ",\"samples\":[", (long long)r->samples[i][0],
                     (long long)r->samples[i][1]);
    (void)printf("]");
    free(sorted);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"dir",         "nats",      "kind",    "count",
                                        "batch",       "in-flight", "service", "server",
                                        "reload-from", "reload-to", "metrics"};
    const struct flags f = flags_of(argc, argv, names, EB_COUNT_OF(names));
    if (sodium_init() < 0)
        die("libsodium cannot be initialised");
    struct site site;
    site_open(flag_text(&f, "dir", NULL), &site);
    struct run r = {.kind = kind_of(flag_text(&f, "kind", NULL)),
                    .service = (pid_t)flag_int(&f, "service", 0, 0, INT32_MAX),
                    .server = (pid_t)flag_int(&f, "server", 0, 0, INT32_MAX),
                    .in_flight = (size_t)flag_int(&f, "in-flight", 64, 1, 100000)};
    size_t count = (size_t)flag_int(&f, "count", 20000, 1, 100000000),
           batch = (size_t)flag_int(&f, "batch", 20000, 1, 1000000);
    r.latencies = need_memory(count * sizeof *r.latencies);
    r.sent = need_memory(count * sizeof *r.sent);
    r.samples = need_memory((count / batch + 1) * sizeof *r.samples);
    maker_open(&site, r.kind, kind_is_token(r.kind) ? TOKENS : 1, &r.maker);
    wire_open(&r.wire, flag_text(&f, "nats", NULL), "played", "played");
    eb_buf_z(&r.wire.out, "SUB " INBOX "* 1\r\n");

    run_batch(&r, WARM_UP, false);
    struct proc_memory before = proc_memory(r.service), after;
    struct reload reload = {.from = flag_text(&f, "reload-from", ""),
                            .to = flag_text(&f, "reload-to", ""),
                            .metrics = flag_text(&f, "metrics", "")};
    bool reloads_once = *reload.from, peak_known = false;
    if (reloads_once) {
        r.reload = &reload;
        peak_known = proc_reset_peak(r.service);
        if (pthread_create(&reload.thread, NULL, reload_main, &reload) != 0)
            die("no thread");
    }
    for (size_t left = count; left; left -= left < batch ? left : batch)
        run_batch(&r, left < batch ? left : batch, true);
    if (reloads_once)
        (void)pthread_join(reload.thread, NULL);
    after = proc_memory(r.service);
    print_run(&r);
    print_memory("before", &before);
    print_memory("after", &after);
    if (reloads_once)
        print_reload(&r, &reload, peak_known, &after);
    (void)printf("}\n");
    wire_close(&r.wire);
    maker_done(&r.maker);
    site_done(&site);
    free(r.latencies);
    free(r.sent);
    free(r.samples);
    return r.wrong || r.missing ? 2 : 0;
}
