#include "park.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "clock.h"

/* Jobs that a release takes at a time. */
enum { BATCH = 64 };

struct place {
    void *job;
    struct eb_park_key key;
    int64_t until_ns;
    uint64_t turn; /* of its adding */
};

struct eb_park {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
    eb_park_fn resume;
    void *ctx;
    bool stopping, running;
    size_t room, n;
    uint64_t turns;       /* adds so far */
    struct place *places; /* unordered: few wait, and not for long */
};

/* Removes one job whose date has come; NULL for none, *ret_soonest is then the next date. */
static void *take_one(struct eb_park *p, int64_t *ret_soonest) {
    int64_t now = eb_mono_ns();
    *ret_soonest = INT64_MAX;
    for (size_t i = 0; i < p->n; i++) {
        if (p->places[i].until_ns <= now) {
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
        void *job = take_one(p, &soonest);
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

bool eb_park_add(struct eb_park *p, void *job, const struct eb_park_key *key, int64_t until_ns) {
    EB_LOCKED(&p->mutex);
    if (p->stopping || p->n == p->room)
        return false;
    p->places[p->n++] = (struct place){job, key ? *key : (struct eb_park_key){0}, until_ns, p->turns++};
    (void)pthread_cond_signal(&p->wake);
    return true;
}

/* Up to BATCH jobs of key that were added before that turn. */
static size_t take_some(struct eb_park *p, const struct eb_park_key *key, uint64_t before, void *to[BATCH]) {
    EB_LOCKED(&p->mutex);
    size_t taken = 0;
    for (size_t i = 0; i < p->n && taken < BATCH;) {
        const struct place *at = &p->places[i];
        if ((key && (at->key.whose != key->whose || at->key.number != key->number)) || at->turn >= before) {
            i++;
            continue;
        }
        to[taken++] = at->job;
        p->places[i] = p->places[--p->n];
    }
    return taken;
}

static uint64_t turns_so_far(struct eb_park *p) {
    EB_LOCKED(&p->mutex);
    return p->turns;
}

void eb_park_release(struct eb_park *p, const struct eb_park_key *key) {
    /* A job that is handed back and comes again at once waits for the next release. */
    uint64_t before = turns_so_far(p);
    void *jobs[BATCH];
    for (size_t n = BATCH; n == BATCH;) {
        n = take_some(p, key, before, jobs);
        for (size_t i = 0; i < n; i++)
            p->resume(p->ctx, jobs[i]);
    }
}

bool eb_park_add_for(struct eb_park *p, void *job, const struct eb_park_key *key, int64_t until_ns,
                     eb_park_coming_fn coming, void *ctx) {
    if (!eb_park_add(p, job, key, until_ns))
        return false;
    if (!coming(ctx))
        eb_park_release(p, key);
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
    eb_park_release(p, NULL);
}

bool eb_park_is_stopped(struct eb_park *p) {
    EB_LOCKED(&p->mutex);
    return p->stopping;
}

void eb_park_free(struct eb_park *p) {
    if (!p)
        return;
    (void)pthread_mutex_destroy(&p->mutex);
    (void)pthread_cond_destroy(&p->wake);
    free(p->places);
    free(p);
}
