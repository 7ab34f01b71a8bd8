#include "tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/num.h"

void die(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    (void)fputs("bench: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

void need(enum eb_rc rc, const struct eb_err *err, const char *what) {
    if (rc != EB_OK)
        die("%s: %s", what, err ? eb_err_text(err, rc) : eb_rc_name(rc));
}

void *need_memory(size_t n) {
    void *p = calloc(1, n ? n : 1);
    if (!p)
        die("out of memory");
    return p;
}

static int64_t clock_ns(clockid_t id) {
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

int64_t mono_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t wall_s(void) {
    return clock_ns(CLOCK_REALTIME) / SECOND_NS;
}

void sleep_ms(int64_t ms) {
    struct timespec t = {ms / 1000, ms % 1000 * MS_NS};
    (void)nanosleep(&t, NULL);
}

struct flags flags_of(int argc, char **argv, const char *const *names, size_t n) {
    for (int i = 1; i < argc; i += 2) {
        size_t k = 0;
        while (k < n && (strncmp(argv[i], "--", 2) != 0 || strcmp(argv[i] + 2, names[k]) != 0))
            k++;
        if (k == n)
            die("%s: unknown flag %s", argv[0], argv[i]);
        if (i + 1 == argc)
            die("%s: %s wants a value", argv[0], argv[i]);
    }
    return (struct flags){argc, argv};
}

const char *flag_text(const struct flags *f, const char *name, const char *fallback) {
    for (int i = 1; i + 1 < f->argc; i += 2)
        if (strcmp(f->argv[i] + 2, name) == 0)
            return f->argv[i + 1];
    if (!fallback)
        die("%s: --%s is needed", f->argv[0], name);
    return fallback;
}

int64_t flag_int(const struct flags *f, const char *name, int64_t fallback, int64_t min, int64_t max) {
    const char *text = flag_text(f, name, "");
    int64_t v = fallback;
    if (*text && eb_num_i64(eb_str(text), min, max, &v) != EB_OK)
        die("%s: --%s %s: not a number that fits", f->argv[0], name, text);
    return v;
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void sort_i64(int64_t *v, size_t n) {
    qsort(v, n, sizeof *v, compare);
}

int64_t quantile(const int64_t *sorted, size_t n, unsigned permille) {
    if (n == 0)
        return 0;
    size_t at = n * permille / 1000;
    return sorted[at < n ? at : n - 1];
}
