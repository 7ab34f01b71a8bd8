#include "queue.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"

struct eb_queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    size_t room, head, n, waiting;
    bool closed;
    void *items[];
};

struct eb_queue *eb_queue_new(size_t room) {
    struct eb_queue *q = calloc(1, sizeof *q + room * sizeof(void *));
    if (!q)
        return NULL;
    q->room = room;
    (void)pthread_mutex_init(&q->mutex, NULL);
    (void)pthread_cond_init(&q->filled, NULL);
    return q;
}

void eb_queue_free(struct eb_queue *q) {
    if (!q)
        return;
    (void)pthread_mutex_destroy(&q->mutex);
    (void)pthread_cond_destroy(&q->filled);
    free(q);
}

void *eb_queue_push(struct eb_queue *q, void *item) {
    EB_LOCKED(&q->mutex);
    if (q->closed)
        return item;
    void *oldest = NULL;
    if (q->n == q->room) {
        oldest = q->items[q->head];
        q->head = (q->head + 1) % q->room;
        q->n--;
    }
    q->items[(q->head + q->n) % q->room] = item;
    q->n++;
    if (q->waiting)
        (void)pthread_cond_signal(&q->filled);
    return oldest;
}

void *eb_queue_pop(struct eb_queue *q) {
    EB_LOCKED(&q->mutex);
    while (q->n == 0 && !q->closed) {
        q->waiting++;
        (void)pthread_cond_wait(&q->filled, &q->mutex);
        q->waiting--;
    }
    if (q->n == 0)
        return NULL;
    void *item = q->items[q->head];
    q->head = (q->head + 1) % q->room;
    q->n--;
    return item;
}

void eb_queue_close(struct eb_queue *q) {
    EB_LOCKED(&q->mutex);
    q->closed = true;
    (void)pthread_cond_broadcast(&q->filled);
}

size_t eb_queue_depth(struct eb_queue *q) {
    EB_LOCKED(&q->mutex);
    return q->n;
}
