/* What all programs of the bench share: flags, time, order statistics, giving up. */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#include "base/attr.h"
#include "base/err.h"

#define MS_NS INT64_C(1000000)
#define SECOND_NS INT64_C(1000000000)

/* Prints a line and ends the program with status 1: a bench that cannot measure says so. */
noreturn void die(const char *fmt, ...) EB_PRINTF(1, 2);
/* The same where rc is not EB_OK. */
void need(enum eb_rc rc, const struct eb_err *err, const char *what);
void *need_memory(size_t n);

int64_t mono_ns(void);
int64_t wall_s(void);
void sleep_ms(int64_t ms);

/* Flags are pairs `--name value`; unknown ones end the program. The value, or fallback; NULL as fallback:
 * required. */
struct flags {
    int argc;
    char **argv;
};
struct flags flags_of(int argc, char **argv, const char *const *names, size_t n);
const char *flag_text(const struct flags *f, const char *name, const char *fallback);
int64_t flag_int(const struct flags *f, const char *name, int64_t fallback, int64_t min, int64_t max);

/* Sorts v. */
void sort_i64(int64_t *v, size_t n);
/* The value below which permille of a sorted v lie; 0 where n is 0. */
int64_t quantile(const int64_t *sorted, size_t n, unsigned permille);

#endif
