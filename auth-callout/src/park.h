/* Where callouts wait for a key or a ServiceAccount: bounded, each with a date after which it goes on
 * without. */
#ifndef EB_PARK_H
#define EB_PARK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct eb_park; /* any thread */

/* Takes a job back: its date has come, or eb_park_release was called. On the park's thread or the releaser's.
 */
typedef void (*eb_park_fn)(void *ctx, void *job);

EB_MUSTCHECK enum eb_rc eb_park_start(size_t room, eb_park_fn resume, void *ctx, struct eb_park **ret);
/* What a job waits for; compared only. */
struct eb_park_key {
    const void *whose;
    uint64_t number;
};
/* key: copied; NULL is {NULL, 0}. False where the park is full or stopped: the job stays the caller's.
 */
EB_MUSTCHECK bool eb_park_add(struct eb_park *p, void *job, const struct eb_park_key *key, int64_t until_ns);
/* True while that for which a job waits is still to come (eb_park_release will be called then). */
typedef bool (*eb_park_coming_fn)(void *ctx);
/*
 * The same for a job that waits for something: where that came between the caller's look and the add, nobody
 * would wake the job before its date, so all that wait for the same are handed back at once.
 */
EB_MUSTCHECK bool eb_park_add_for(struct eb_park *p, void *job, const struct eb_park_key *key,
                                  int64_t until_ns, eb_park_coming_fn coming, void *ctx);
/* Hands every job back that waits for key (NULL: every job) and was added before the call. */
void eb_park_release(struct eb_park *p, const struct eb_park_key *key);
/* Takes no more jobs and hands all back; the thread ends. */
void eb_park_stop(struct eb_park *p);
/* True from the begin of eb_park_stop on. */
bool eb_park_is_stopped(struct eb_park *p);
void eb_park_free(struct eb_park *p);

#endif
