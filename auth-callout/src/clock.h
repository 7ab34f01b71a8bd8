/* Now, in the two senses that the service needs. */
#ifndef EB_CLOCK_H
#define EB_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds of a clock that never jumps; for ages, deadlines and durations. */
static inline int64_t eb_mono_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
/* Seconds since the epoch, UTC; for what tokens and certificates say. */
static inline int64_t eb_wall_s(void) {
    return (int64_t)time(NULL);
}

#endif
