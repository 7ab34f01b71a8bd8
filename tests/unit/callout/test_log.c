/* The log: valid JSON whatever peers send, levels, and a reader of stderr that stalls. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/utf8.h"
#include "clock.h"
#include "fixture.h"
#include "log.h"

/* One object a line, and no more; calls check for each. */
static size_t each_line(const char *text, void (*check)(const json_t *)) {
    size_t n = 0;
    struct eb_str rest = eb_str(text);
    while (rest.p && rest.n) {
        struct eb_str line = eb_str_cut(&rest, '\n');
        assert_true(eb_utf8_valid(line));
        EB_CLEANUP(json_decrefp)
        json_t *o = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        if (!json_is_object(o))
            fail_msg("no JSON object: %.*s", EB_STR_ARG(line));
        if (check)
            check(o);
        n++;
    }
    return n;
}

static void hostile_bytes(void **state) {
    (void)state;
    static const char *const texts[] = {
        "plain",
        "",
        "\"quoted\" \\ back",
        "line\nbreak\r\ttab",
        "\x01\x02\x1b[31m\x7f",
        "\xff\xfe\x80 not UTF-8",
        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
        "\xed\xa0\x80 surrogate",
        "\xc0\xaf overlong",
        "</script>",
        "{\"level\":\"error\"}\n{\"msg\":\"forged\"}",
        "\xe2\x80\xa8 line separator",
        "cut in a character \xe2\x82",
    };
    eb_log_set_level("debug");
    fx_stderr_begin();
    for (size_t i = 0; i < EB_COUNT_OF(texts); i++) {
        struct eb_log_line l;
        eb_log_begin(&l, EB_LOG_INFO, texts[i]);
        eb_log_z(&l, "z", texts[i]);
        eb_log_peer(&l, "peer", eb_str(texts[i]));
        eb_log_int(&l, "n", INT64_MIN);
        eb_log_end(&l);
    }
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_INFO, "nul");
    eb_log_peer(&l, "peer", eb_str_n("a\0b", 3));
    eb_log_peer(&l, "none", EB_STR_NONE);
    eb_log_end(&l);
    char every[256];
    for (size_t i = 0; i < sizeof every; i++)
        every[i] = (char)i;
    for (size_t from = 0; from < sizeof every; from += 32) {
        eb_log_begin(&l, EB_LOG_ERROR, "bytes");
        eb_log_peer(&l, "peer", eb_str_n(every + from, 32));
        eb_log_end(&l);
    }
    eb_auto_free char *text = fx_stderr_end();
    assert_int_equal(each_line(text, NULL), EB_COUNT_OF(texts) + 1 + 8);
}

static void check_shape(const json_t *o) {
    void *at = json_object_iter((json_t *)(uintptr_t)o);
    static const char *const first[] = {"ts", "level", "msg"};
    for (size_t i = 0; i < EB_COUNT_OF(first); i++) {
        assert_string_equal(json_object_iter_key(at), first[i]);
        at = json_object_iter_next((json_t *)(uintptr_t)o, at);
    }
    const char *ts = json_string_value(json_object_get(o, "ts"));
    int y, mo, d, h, mi, s, us;
    char z;
    assert_int_equal(sscanf(ts, "%4d-%2d-%2dT%2d:%2d:%2d.%6d%c", &y, &mo, &d, &h, &mi, &s, &us, &z), 8);
    assert_int_equal(z, 'Z');
}

static void levels(void **state) {
    (void)state;
    static const struct {
        const char *set;
        size_t lines;
    } rows[] = {{"error", 1}, {"warn", 2}, {"info", 3}, {"debug", 4}, {"nonsense", 3}, {NULL, 3}};
    for (size_t i = 0; i < EB_COUNT_OF(rows); i++) {
        eb_log_set_level(rows[i].set);
        fx_stderr_begin();
        errno = ENOENT;
        eb_log(EB_LOG_ERROR, "e %d", 1);
        eb_log(EB_LOG_WARN, "w %s", "x");
        eb_log(EB_LOG_INFO, "i");
        eb_log(EB_LOG_DEBUG, "d");
        assert_int_equal(errno, ENOENT); /* callers log before they look at errno */
        eb_auto_free char *text = fx_stderr_end();
        assert_int_equal(each_line(text, check_shape), rows[i].lines);
    }
}

static void check_cap(const json_t *o) {
    const char *peer = json_string_value(json_object_get(o, "peer"));
    assert_true(strlen(peer) <= EB_LOG_PEER_MAX + 3); /* and the sign that it was cut */
    assert_memory_equal(peer, "xxxxxxxx", 8);
}

static void peers_are_capped(void **state) {
    (void)state;
    eb_log_set_level("info");
    fx_stderr_begin();
    char big[5000];
    memset(big, 'x', sizeof big);
    struct eb_log_line l;
    eb_log_begin(&l, EB_LOG_INFO, "m");
    eb_log_peer(&l, "peer", eb_str_n(big, sizeof big));
    eb_log_end(&l);
    eb_auto_free char *text = fx_stderr_end();
    assert_int_equal(each_line(text, check_cap), 1);
}

static void *writer(void *arg) {
    for (int i = 0; i < 500; i++) {
        struct eb_log_line l;
        eb_log_begin(&l, EB_LOG_INFO, "line");
        eb_log_int(&l, "thread", (int64_t)(intptr_t)arg);
        eb_log_int(&l, "i", i);
        eb_log_end(&l);
    }
    return NULL;
}

static int64_t last_of[4];

static void check_order(const json_t *o) {
    json_int_t t = json_integer_value(json_object_get(o, "thread")),
               i = json_integer_value(json_object_get(o, "i"));
    assert_int_equal(i, last_of[t]++);
}

static void many_threads(void **state) {
    (void)state;
    eb_log_set_level("info");
    fx_stderr_begin();
    eb_log_start();
    pthread_t threads[4];
    for (size_t i = 0; i < EB_COUNT_OF(threads); i++)
        (void)pthread_create(&threads[i], NULL, writer, (void *)i);
    for (size_t i = 0; i < EB_COUNT_OF(threads); i++)
        (void)pthread_join(threads[i], NULL);
    eb_log_stop();
    eb_log(EB_LOG_ERROR, "after the stop"); /* written at once */
    eb_auto_free char *text = fx_stderr_end();
    char *last = strrchr(text, '{');
    assert_non_null(strstr(last, "after the stop"));
    *last = '\0';
    assert_int_equal(each_line(text, check_order), 2000);
}

/* The far end of stderr is not read: lines are dropped and counted, nobody waits; then it is read, and the
 * loss is told. */
static void a_stalled_reader(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int kept = dup(STDERR_FILENO);
    (void)dup2(ends[1], STDERR_FILENO);
    eb_log_set_level("info");
    eb_log_start();
    char big[1000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    uint64_t before = eb_log_dropped();
    int64_t began = eb_mono_ns(), slowest = 0;
    for (int i = 0; i < 5000; i++) { /* 5 MB; the queue takes 1 */
        int64_t t = eb_mono_ns();
        eb_log(EB_LOG_INFO, "%s", big);
        t = eb_mono_ns() - t;
        slowest = t > slowest ? t : slowest;
    }
    bool dropped = eb_log_dropped() > before;
    int64_t took = eb_mono_ns() - began;
    /* Read all of it from now on. */
    static char text[6000000];
    size_t n = 0;
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    for (int quiet = 0; quiet < 30 && n < sizeof text - 1;) {
        ssize_t got = read(ends[0], text + n, sizeof text - 1 - n);
        quiet = got > 0 ? 0 : quiet + 1;
        n += got > 0 ? (size_t)got : 0;
        if (got <= 0)
            (void)poll(NULL, 0, 10);
    }
    eb_log(EB_LOG_INFO, "back");
    (void)poll(NULL, 0, 100);
    ssize_t more = read(ends[0], text + n, sizeof text - 1 - n);
    n += more > 0 ? (size_t)more : 0;
    eb_log_stop();
    (void)dup2(kept, STDERR_FILENO);
    (void)close(kept);
    (void)close(ends[0]);
    (void)close(ends[1]);
    text[n] = '\0';
    assert_true(dropped);
    assert_true(took < INT64_C(3000000000));
    assert_true(slowest < INT64_C(500000000));
    assert_non_null(strstr(text, "log lines dropped"));
    assert_non_null(strstr(text, "\"back\""));
    size_t lines = each_line(text, NULL); /* dropped whole, never cut */
    assert_true(lines > 500 && lines < 5001);
}

/* The process must be able to end while nobody reads its stderr. */
static void stop_with_a_stalled_reader(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        eb_log_set_level("info");
        eb_log_start();
        char big[1000];
        memset(big, 'x', sizeof big - 1);
        big[sizeof big - 1] = '\0';
        for (int i = 0; i < 500; i++)
            eb_log(EB_LOG_INFO, "%s", big);
        (void)poll(NULL, 0, 50);
        eb_log_stop();
        eb_log(EB_LOG_INFO, "stopped");
        _exit(7);
    }
    int status = 0;
    pid_t ended = 0;
    int64_t until = eb_mono_ns() + INT64_C(4000000000);
    while (ended == 0 && eb_mono_ns() < until) {
        ended = waitpid(pid, &status, WNOHANG);
        (void)poll(NULL, 0, 10);
    }
    if (ended == 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_int_equal(ended, pid);
    assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_bytes),    cmocka_unit_test(levels),
        cmocka_unit_test(peers_are_capped), cmocka_unit_test(many_threads),
        cmocka_unit_test(a_stalled_reader), cmocka_unit_test(stop_with_a_stalled_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
