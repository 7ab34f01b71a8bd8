/* A request between its arrival and its end, and the bound on what all of them hold together. */
#ifndef EB_JOB_H
#define EB_JOB_H

#include <nats/nats.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "trace/tracer.h"

/*
 * Bytes of requests that may be held at a time. What a client sends as user and password comes several times
 * over in its request, so a few connections could fill the memory: requests are bounded in bytes as well as
 * in number.
 */
#define EB_JOBS_BYTES_MAX ((size_t)32 << 20)

struct eb_job {
    natsMsg *msg;
    size_t link; /* that brought it */
    int64_t arrived_ns;
    int64_t taken_ns; /* when a worker first took it, 0 before */
    bool parked;      /* it has waited in the park */
};

/* All that are held; any thread. Begins as {0}. */
struct eb_jobs {
    _Atomic size_t bytes;
    struct eb_tracer *tracer; /* of requests that end here; NULL for none */
};

/*
 * Takes a message in, on a thread of nats.c: counted, and bounded in size and sum. NULL where it is refused
 * (told and counted by its reason, or as dropped where the bound is reached): msg is destroyed then.
 */
EB_MUSTCHECK struct eb_job *eb_job_take(struct eb_jobs *all, natsMsg *msg, size_t link);
/* Ends the job. */
void eb_job_free(struct eb_jobs *all, struct eb_job *job);

#endif
