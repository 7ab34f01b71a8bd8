#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum {
    QUEUE_MAX = 1 << 20, /* bytes of lines that may wait for stderr */
    STOP_MS = 1000,      /* that the last lines may take at the stop */
    STOP_STEP_MS = 2,
    GATHER_MS = 5, /* lines of this long are written together: under load a wake-up for each costs more than
                      the line */
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stopping, ended;
    bool stuck;                     /* stderr was not read at the stop: nothing is written any more */
    struct eb_buf waiting, writing; /* swapped by the writer */
    uint64_t dropped_told;
} writer = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static _Atomic int level_max = EB_LOG_INFO;
static _Atomic uint64_t dropped;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void eb_log_set_level(const char *name) {
    int found = EB_LOG_INFO;
    for (size_t i = 0; i < EB_COUNT_OF(level_names); i++)
        if (name && strcmp(name, level_names[i]) == 0)
            found = (int)i;
    atomic_store(&level_max, found);
}

bool eb_log_on(enum eb_log_level level) {
    return (int)level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

uint64_t eb_log_dropped(void) {
    return atomic_load(&dropped);
}

static void write_out(struct eb_str bytes) {
    while (bytes.n) {
        ssize_t put = write(STDERR_FILENO, bytes.p, bytes.n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN) {
            struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
            (void)poll(&fd, 1, -1);
            continue;
        }
        if (put < 0) { /* nowhere left to tell but the metric */
            for (size_t i = 0; i < bytes.n; i++)
                if (bytes.p[i] == '\n')
                    atomic_fetch_add(&dropped, 1);
            return;
        }
        bytes = eb_str_n(bytes.p + put, bytes.n - (size_t)put);
    }
}

/* Lets more lines come; with the mutex held before and after. */
static void gather(void) {
    const struct timespec pause = {0, GATHER_MS * 1000000L};
    if (writer.stopping)
        return;
    (void)pthread_mutex_unlock(&writer.mutex);
    (void)nanosleep(&pause, NULL);
    (void)pthread_mutex_lock(&writer.mutex);
}

static void *writer_main(void *arg) {
    (void)arg;
    (void)pthread_mutex_lock(&writer.mutex);
    for (;;) {
        while (writer.waiting.n == 0 && !writer.stopping)
            (void)pthread_cond_wait(&writer.wake, &writer.mutex);
        if (writer.waiting.n == 0)
            break;
        gather();
        struct eb_buf full = writer.waiting;
        writer.waiting = writer.writing;
        writer.writing = full;
        uint64_t lost = atomic_load(&dropped) - writer.dropped_told;
        writer.dropped_told += lost;
        (void)pthread_mutex_unlock(&writer.mutex);
        write_out(eb_buf_get(&writer.writing));
        if (lost) {
            char text[128];
            int n = snprintf(
                text, sizeof text,
                "{\"level\":\"warn\",\"msg\":\"log lines dropped: stderr is not read\",\"lines\":%llu}\n",
                (unsigned long long)lost);
            write_out(eb_str_n(text, n > 0 ? (size_t)n : 0));
        }
        (void)pthread_mutex_lock(&writer.mutex);
        eb_buf_reset(&writer.writing);
    }
    writer.ended = true;
    (void)pthread_mutex_unlock(&writer.mutex);
    return NULL;
}

void eb_log_start(void) {
    EB_LOCKED(&writer.mutex);
    writer.stopping = writer.ended = false;
    writer.running = pthread_create(&writer.thread, NULL, writer_main, NULL) == 0;
}

/* False where stderr is so stuck that the writer cannot end: it is left behind, with what it holds. */
static bool join_writer(void) {
    const struct timespec step = {0, STOP_STEP_MS * 1000000L};
    bool ended = false;
    for (int waited = 0; !ended && waited < STOP_MS; waited += STOP_STEP_MS) {
        (void)pthread_mutex_lock(&writer.mutex);
        ended = writer.ended;
        (void)pthread_mutex_unlock(&writer.mutex);
        if (!ended)
            (void)nanosleep(&step, NULL);
    }
    (void)(ended ? pthread_join(writer.thread, NULL) : pthread_detach(writer.thread));
    return ended;
}

void eb_log_stop(void) {
    (void)pthread_mutex_lock(&writer.mutex);
    bool was = writer.running;
    writer.stopping = true;
    (void)pthread_cond_signal(&writer.wake);
    (void)pthread_mutex_unlock(&writer.mutex);
    bool ended = !was || join_writer();
    (void)pthread_mutex_lock(&writer.mutex);
    writer.running = false;
    writer.stuck = !ended;
    if (ended) {
        eb_buf_done(&writer.waiting);
        eb_buf_done(&writer.writing);
    }
    (void)pthread_mutex_unlock(&writer.mutex);
}

static void submit(struct eb_str line) {
    (void)pthread_mutex_lock(&writer.mutex);
    bool direct = !writer.stuck && (!writer.running || writer.stopping);
    if (writer.stuck) {
        atomic_fetch_add(&dropped, 1);
    } else if (!direct) {
        if (writer.waiting.n + line.n > QUEUE_MAX) {
            atomic_fetch_add(&dropped, 1);
        } else {
            bool was_empty = writer.waiting.n == 0;
            eb_buf_str(&writer.waiting, line);
            if (!eb_buf_ok(&writer.waiting))
                atomic_fetch_add(&dropped, 1);
            if (was_empty)
                (void)pthread_cond_signal(&writer.wake);
        }
    }
    (void)pthread_mutex_unlock(&writer.mutex);
    if (direct)
        write_out(line);
}

void eb_log_begin(struct eb_log_line *l, enum eb_log_level level, const char *msg) {
    *l = (struct eb_log_line){.on = eb_log_on(level), .saved_errno = errno};
    if (!l->on)
        return;
    struct timespec now;
    struct tm utc;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    char ts[40];
    size_t n = strftime(ts, sizeof ts, "{\"ts\":\"%Y-%m-%dT%H:%M:%S", &utc);
    eb_buf_add(&l->buf, ts, n);
    eb_buf_printf(&l->buf, ".%06ldZ\",\"level\":\"%s\",\"msg\":", now.tv_nsec / 1000, level_names[level]);
    eb_buf_json_str(&l->buf, eb_str(msg), 0);
}

static void key(struct eb_log_line *l, const char *name) {
    eb_buf_ch(&l->buf, ',');
    eb_buf_json_str(&l->buf, eb_str(name), 0);
    eb_buf_ch(&l->buf, ':');
}

void eb_log_z(struct eb_log_line *l, const char *name, const char *value) {
    if (!l->on)
        return;
    key(l, name);
    eb_buf_json_str(&l->buf, eb_str(value), 0);
}

void eb_log_peer(struct eb_log_line *l, const char *name, struct eb_str value) {
    if (!l->on)
        return;
    key(l, name);
    eb_buf_json_str(&l->buf, value, EB_LOG_PEER_MAX);
}

void eb_log_int(struct eb_log_line *l, const char *name, int64_t value) {
    if (!l->on)
        return;
    key(l, name);
    eb_buf_i64(&l->buf, value);
}

void eb_log_end(struct eb_log_line *l) {
    if (l->on) {
        eb_buf_z(&l->buf, "}\n");
        if (eb_buf_ok(&l->buf))
            submit(eb_buf_get(&l->buf));
        else
            submit(EB_STR("{\"level\":\"error\",\"msg\":\"a log line was lost: out of memory\"}\n"));
    }
    eb_buf_done(&l->buf);
    errno = l->saved_errno;
}

void eb_log(enum eb_log_level level, const char *fmt, ...) {
    if (!eb_log_on(level))
        return;
    int saved = errno;
    eb_auto_buf struct eb_buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    eb_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    struct eb_log_line l;
    eb_log_begin(&l, level, text.p ? text.p : "");
    eb_log_end(&l);
    errno = saved;
}
