#include "park.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "clock.h"

struct place {
    void *job;
    int64_t until_ns;
};

struct eb_park {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
    eb_park_fn resume;
    void *ctx;
    bool stopping, running;
    size_t room, n;
    struct place *places; /* unordered: few wait, and not for long */
};

/* Removes one job whose date has come (any job where all is set); NULL for none, *ret_soonest is then the
 * next date. */
static void *take_one(struct eb_park *p, bool all, int64_t *ret_soonest) {
    int64_t now = eb_mono_ns();
    *ret_soonest = INT64_MAX;
    for (size_t i = 0; i < p->n; i++) {
        if (all || p->places[i].until_ns <= now) {
            void *job = p->places[i].job;
            p->places[i] = p->places[--p->n];
            return job;
        }
        if (p->places[i].until_ns < *ret_soonest)
            *ret_soonest = p->places[i].until_ns;
    }
    return NULL;
}

static void *park_main(void *arg) {
    struct eb_park *p = arg;
    (void)pthread_mutex_lock(&p->mutex);
    while (!p->stopping) {
        int64_t soonest;
        void *job = take_one(p, false, &soonest);
        if (job) {
            (void)pthread_mutex_unlock(&p->mutex);
            p->resume(p->ctx, job);
            (void)pthread_mutex_lock(&p->mutex);
        } else if (soonest == INT64_MAX) {
            (void)pthread_cond_wait(&p->wake, &p->mutex);
        } else {
            eb_cond_wait_until(&p->wake, &p->mutex, soonest);
        }
    }
    (void)pthread_mutex_unlock(&p->mutex);
    return NULL;
}

enum eb_rc eb_park_start(size_t room, eb_park_fn resume, void *ctx, struct eb_park **ret) {
    struct eb_park *p = calloc(1, sizeof *p);
    if (!p || !(p->places = calloc(room + 1, sizeof *p->places))) {
        free(p);
        return EB_E_NOMEM;
    }
    p->room = room;
    p->resume = resume;
    p->ctx = ctx;
    (void)pthread_mutex_init(&p->mutex, NULL);
    eb_cond_init(&p->wake);
    p->running = pthread_create(&p->thread, NULL, park_main, p) == 0;
    if (!p->running) {
        eb_park_free(p);
        return EB_E_INTERNAL;
    }
    *ret = p;
    return EB_OK;
}

bool eb_park_add(struct eb_park *p, void *job, int64_t until_ns) {
    EB_LOCKED(&p->mutex);
    if (p->stopping || p->n == p->room)
        return false;
    p->places[p->n++] = (struct place){job, until_ns};
    (void)pthread_cond_signal(&p->wake);
    return true;
}

static void *take_any(struct eb_park *p) {
    EB_LOCKED(&p->mutex);
    int64_t soonest;
    return take_one(p, true, &soonest);
}

void eb_park_release(struct eb_park *p) {
    for (void *job = take_any(p); job; job = take_any(p))
        p->resume(p->ctx, job);
}

bool eb_park_add_for(struct eb_park *p, void *job, int64_t until_ns, eb_park_coming_fn coming, void *ctx) {
    if (!eb_park_add(p, job, until_ns))
        return false;
    if (!coming(ctx))
        eb_park_release(p);
    return true;
}

void eb_park_stop(struct eb_park *p) {
    {
        EB_LOCKED(&p->mutex);
        p->stopping = true;
        (void)pthread_cond_signal(&p->wake);
    }
    if (p->running)
        (void)pthread_join(p->thread, NULL);
    p->running = false;
    eb_park_release(p);
}

void eb_park_free(struct eb_park *p) {
    if (!p)
        return;
    (void)pthread_mutex_destroy(&p->mutex);
    (void)pthread_cond_destroy(&p->wake);
    free(p->places);
    free(p);
}
