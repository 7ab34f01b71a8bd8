#include "job.h"

#include <stdlib.h>

#include "callout.h"
#include "clock.h"
#include "log.h"
#include "metrics.h"
#include "natsjwt/callout.h"

static size_t size_of(const natsMsg *msg) {
    int n = natsMsg_GetDataLength(msg);
    return n > 0 ? (size_t)n : 0;
}

static struct eb_job *refuse(struct eb_jobs *all, natsMsg *msg, enum eb_rc rc) {
    eb_tracer_dropped(all->tracer, eb_mono_ns(), eb_rc_name(rc));
    eb_count(EB_C_ERRORS);
    eb_count_invalid(rc);
    if (rc != EB_E_NOMEM)
        eb_log(EB_LOG_WARN, "a request without a reply subject, or too large: %s, %zu bytes", eb_rc_name(rc),
               size_of(msg));
    natsMsg_Destroy(msg);
    return NULL;
}

struct eb_job *eb_job_take(struct eb_jobs *all, natsMsg *msg, size_t link) {
    size_t n = size_of(msg);
    eb_count(EB_C_REQUESTS);
    if (!natsMsg_GetReply(msg))
        return refuse(all, msg, EB_E_REQ_MALFORMED);
    if (n > EB_REQUEST_MAX)
        return refuse(all, msg, EB_E_TOO_LARGE);
    if (atomic_fetch_add(&all->bytes, n) + n > EB_JOBS_BYTES_MAX) {
        atomic_fetch_sub(&all->bytes, n);
        eb_callout_note_drop(EB_C_DROPPED_FULL);
        eb_tracer_dropped(all->tracer, eb_mono_ns(), EB_DROPPED_FULL);
        natsMsg_Destroy(msg);
        return NULL;
    }
    struct eb_job *job = malloc(sizeof *job);
    if (!job) {
        atomic_fetch_sub(&all->bytes, n);
        return refuse(all, msg, EB_E_NOMEM);
    }
    *job = (struct eb_job){.msg = msg, .link = link, .arrived_ns = eb_mono_ns()};
    return job;
}

void eb_job_free(struct eb_jobs *all, struct eb_job *job) {
    atomic_fetch_sub(&all->bytes, size_of(job->msg));
    natsMsg_Destroy(job->msg);
    free(job);
}
