/*
 * One JSON object a line on stderr. Lines go through a bounded memory queue to a writer thread, so that a
 * stalled reader of stderr never holds a worker; lines dropped for that are counted and told.
 */
#ifndef EB_LOG_H
#define EB_LOG_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum eb_log_level { EB_LOG_ERROR, EB_LOG_WARN, EB_LOG_INFO, EB_LOG_DEBUG };

/* Most bytes of a peer's text in a line. */
#define EB_LOG_PEER_MAX 128

/* Starts the writer thread; before that, and after eb_log_stop, lines are written at once. */
void eb_log_start(void);
/* Writes what is queued and ends the thread; where stderr is not read, gives up after a second: later lines
 * are dropped. */
void eb_log_stop(void);
/* "error", "warn", "info", "debug"; anything else is info. */
void eb_log_set_level(const char *name);
bool eb_log_on(enum eb_log_level level);
/* Lines dropped since the start because stderr was not read. */
uint64_t eb_log_dropped(void);

/*
 * A line under construction. Fields come in the order they are added; errno is kept.
 *   struct eb_log_line l; eb_log_begin(&l, EB_LOG_INFO, "…"); eb_log_str(&l, "key", v); eb_log_end(&l);
 */
struct eb_log_line {
    struct eb_buf buf;
    bool on;
    int saved_errno;
};
void eb_log_begin(struct eb_log_line *l, enum eb_log_level level, const char *msg);
void eb_log_z(struct eb_log_line *l, const char *key, const char *value);
/* Peer text: capped at EB_LOG_PEER_MAX and escaped. */
void eb_log_peer(struct eb_log_line *l, const char *key, struct eb_str value);
void eb_log_int(struct eb_log_line *l, const char *key, int64_t value);
void eb_log_end(struct eb_log_line *l);

/* A line of level and message only; the message is formatted. */
void eb_log(enum eb_log_level level, const char *fmt, ...) EB_PRINTF(2, 3);

#endif
