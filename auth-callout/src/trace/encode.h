/* Spans as a collector reads them: ExportTraceServiceRequest of the OTLP 1.x protobuf schema. */
#ifndef EB_TRACE_ENCODE_H
#define EB_TRACE_ENCODE_H

#include "base/buf.h"
#include "config.h"
#include "trace/span.h"

/*
 * Appends the fields of the Resource: what the process is. Attributes of the configuration win over what is
 * found out; service-name wins over both. Of the same name the last counts.
 */
void eb_trace_resource(const struct eb_trace_config *c, struct eb_buf *to);
/* Appends the whole request. resource: of eb_trace_resource. client_address: whether spans name the client's.
 */
void eb_trace_encode(struct eb_str resource, const struct eb_span *spans, size_t n, bool client_address,
                     struct eb_buf *to);

#endif
