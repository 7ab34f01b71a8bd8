/* Now, in the two senses that the service needs, and waiting until then. */
#ifndef EB_CLOCK_H
#define EB_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Nanoseconds of a clock that never jumps; for ages, deadlines and durations. */
static inline int64_t eb_mono_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
/* A condition whose waits count by eb_mono_ns. */
static inline void eb_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}
static inline void eb_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ns) {
    struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
    (void)pthread_cond_timedwait(cond, mutex, &until);
}
/* Nanoseconds since the epoch, UTC. */
static inline int64_t eb_wall_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
/* Seconds since the epoch, UTC; for what tokens and certificates say. */
static inline int64_t eb_wall_s(void) {
    return (int64_t)time(NULL);
}

#endif
