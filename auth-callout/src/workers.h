/* The threads that decide callouts. They never wait for anything but the queue. */
#ifndef EB_WORKERS_H
#define EB_WORKERS_H

#include "callout.h"
#include "job.h"
#include "park.h"
#include "queue.h"

struct eb_workers; /* any thread */

struct eb_workers_options {
    size_t n;                         /* threads, cut to EB_WORKERS_MAX */
    const struct eb_callout *callout; /* borrowed, like all that follows */
    struct eb_jobs *jobs;
    struct eb_queue *queue;
    struct eb_park *park;
    bool no_room; /* the park has no room at all: what would wait is decided with what is known */
    struct eb_park *gate_park; /* for the gate of MQTT; NULL where there is none */
    /* Sends an answer over a link; false where none is up. On a worker's thread. */
    bool (*send)(void *ctx, size_t link, const char *subject, struct eb_str bytes);
    void *ctx;
};
#define EB_WORKERS_MAX 256

EB_MUSTCHECK enum eb_rc eb_workers_start(const struct eb_workers_options *opt, struct eb_workers **ret,
                                         struct eb_err *reterr);
size_t eb_workers_count(const struct eb_workers *w);
/* False where one of them has been busy with one request for so long that it is wedged. */
bool eb_workers_live(struct eb_workers *w);
/* Hands a job on; the queue's oldest is dropped where it is full, the job itself where it is closed. */
void eb_workers_submit(struct eb_workers *w, struct eb_job *job);
/*
 * Waits for the end of the threads, which comes when the queue is closed (before the call) and empty; until
 * then at the latest (eb_mono_ns), and not for threads that nats.c holds, as it may hold one that sends an
 * answer. False where some go on: they take no more requests and send nothing more, end by themselves, and
 * whatever they use must stay. What is left unanswered is counted (EB_C_DROPPED_STOP).
 */
EB_MUSTCHECK bool eb_workers_join(struct eb_workers *w, int64_t until_ns);
/* After a join that was true; nobody may use w any more. */
void eb_workers_free(struct eb_workers *w);

#endif
