/* What a collector's answer to an export says: taken, partly taken, try again, or not taken. */
#ifndef EB_TRACE_ANSWER_H
#define EB_TRACE_ANSWER_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define EB_OTLP_ANSWER_MAX ((size_t)64 << 10) /* bytes of an answer; the spans of a longer one are lost */

struct eb_otlp_answer {
    bool taken;           /* else text of the error says why not */
    bool retry;           /* not taken now, but the same may be sent again */
    int64_t after_s;      /* with retry: not sooner; 0 = nothing said */
    uint64_t rejected;    /* taken, but for that many spans */
    struct eb_str remark; /* the collector's words to that, borrowed; n 0 for none */
};

/*
 * status: of HTTP; type: the Content-Type, NULL for none; retry_after_s: of the header, 0 where absent. What
 * is wrong goes into reterr (EB_E_IO), unless taken. Source: opentelemetry.io/docs/specs/otlp, OTLP/HTTP
 * Response.
 */
void eb_otlp_answer_read(long status, const char *type, int64_t retry_after_s, struct eb_str body,
                         struct eb_otlp_answer *ret, struct eb_err *reterr);

#endif
