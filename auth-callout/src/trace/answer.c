#include "trace/answer.h"

#include <strings.h>

#include "base/protobuf.h"

/* ExportTraceServiceResponse, ExportTracePartialSuccess */
enum { RESPONSE_PARTIAL_SUCCESS = 1, PARTIAL_REJECTED = 1, PARTIAL_MESSAGE = 2 };
/* A collector that asks for longer is asked again after this. */
enum { AFTER_MAX_S = 300 };

static bool is_type(const char *type, const char *wanted) {
    size_t n = strlen(wanted);
    return type && strncasecmp(type, wanted, n) == 0 && (!type[n] || type[n] == ';' || type[n] == ' ');
}

static bool read_partial(struct eb_str text, struct eb_otlp_answer *ret) {
    struct eb_pb_field f;
    while (eb_pb_next(&text, &f)) {
        if (f.number == PARTIAL_REJECTED && !f.is_bytes)
            ret->rejected = f.value > INT64_MAX ? 0 : f.value; /* an int64 that is negative says nothing */
        else if (f.number == PARTIAL_MESSAGE && f.is_bytes)
            ret->remark = f.bytes;
    }
    return !text.p;
}

static bool read_response(struct eb_str text, struct eb_otlp_answer *ret) {
    struct eb_pb_field f;
    while (eb_pb_next(&text, &f))
        if (f.number == RESPONSE_PARTIAL_SUCCESS && (!f.is_bytes || !read_partial(f.bytes, ret)))
            return false;
    return !text.p;
}

static const char *hint_of(long status) {
    switch (status) {
    case 400: return ": it does not take what is sent";
    case 401:
    case 403: return ": see the headers and the client certificate";
    case 404:
    case 405: return ": see the path of the URL; collectors take spans at /v1/traces";
    case 413: return ": raise its limit for the size of a request";
    case 415: return ": it does not take OTLP as protobuf";
    default: return status / 100 == 3 ? ": redirects are not followed, write the URL that they lead to" : "";
    }
}

void eb_otlp_answer_read(long status, const char *type, int64_t retry_after_s, struct eb_str body,
                         struct eb_otlp_answer *ret, struct eb_err *reterr) {
    *ret = (struct eb_otlp_answer){0};
    if (status / 100 == 2) {
        /* Some collectors say nothing, or say it in JSON; whatever else speaks is none. */
        struct eb_str text = eb_str_trim(body);
        if (is_type(type, "application/x-protobuf"))
            ret->taken = read_response(body.p ? body : EB_STR(""), ret);
        else
            ret->taken = text.n == 0 || (is_type(type, "application/json") && text.p[0] == '{');
        if (!ret->taken) {
            *ret = (struct eb_otlp_answer){0};
            (void)EB_FAIL(reterr, EB_E_IO, "the answer %ld is not that of a collector of OTLP: see the URL",
                          status);
        }
        return;
    }
    ret->retry = status == 429 || status == 502 || status == 503 || status == 504;
    if (ret->retry && retry_after_s > 0)
        ret->after_s = retry_after_s > AFTER_MAX_S ? AFTER_MAX_S : retry_after_s;
    (void)EB_FAIL(reterr, EB_E_IO, "the collector answers %ld%s", status, hint_of(status));
}
