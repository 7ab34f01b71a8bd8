/* Release on scope exit. Declared variables must be initialised; functions that use these use no goto. */
#ifndef EB_BASE_CLEANUP_H
#define EB_BASE_CLEANUP_H

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define EB_CLEANUP(fn) __attribute__((cleanup(fn)))

/* Makes free_fn##p(type **), the form that EB_CLEANUP wants. */
#define EB_DEFINE_CLEANUP(type, free_fn)                                                                     \
    __attribute__((unused)) static inline void free_fn##p(type **pp) {                                       \
        if (*pp)                                                                                             \
            free_fn(*pp);                                                                                    \
        *pp = NULL;                                                                                          \
    }                                                                                                        \
    struct eb_cleanup_semicolon

/* Hands a pointer over: yields it and leaves NULL behind. */
#define EB_TAKE(ptr)                                                                                         \
    ({                                                                                                       \
        __typeof__(ptr) eb_taken_ = (ptr);                                                                   \
        (ptr) = NULL;                                                                                        \
        eb_taken_;                                                                                           \
    })

static inline void eb_free_charp(void *pp) {
    free(*(void **)pp);
}
#define eb_auto_free EB_CLEANUP(eb_free_charp)

static inline void eb_close_fdp(int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}
#define eb_auto_fd EB_CLEANUP(eb_close_fdp)

static inline pthread_mutex_t *eb_lock_mutex(pthread_mutex_t *m) {
    (void)pthread_mutex_lock(m);
    return m;
}
static inline void eb_unlock_mutexp(pthread_mutex_t **m) {
    (void)pthread_mutex_unlock(*m);
}
/* Holds mutex m until the end of the block. */
#define EB_LOCKED(m)                                                                                         \
    EB_CLEANUP(eb_unlock_mutexp)                                                                             \
    pthread_mutex_t *eb_guard_ __attribute__((unused)) = eb_lock_mutex(m)

#endif
