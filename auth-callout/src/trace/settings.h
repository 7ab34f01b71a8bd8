/* The block observability.tracing of the configuration: whether it is on, where to, and whether it fits
 * together. */
#ifndef EB_TRACE_SETTINGS_H
#define EB_TRACE_SETTINGS_H

#include "base/buf.h"
#include "config.h"

bool eb_trace_on(const struct eb_trace_config *c);
/* Appends the URL that spans are sent to: the traces endpoint as it is, else the endpoint and /v1/traces. */
void eb_trace_url(const struct eb_trace_config *c, struct eb_buf *to);
/*
 * Adds what is wrong or doubtful, where it is on. What a variable OTEL_… says wrong is a warning, and
 * callouts are then not traced: such variables are given to whole namespaces, and clients must get in without
 * traces.
 */
void eb_trace_check(struct eb_config *c, struct eb_findings *f);
/* Adds a warning for each file that cannot be used now; spans wait for it, callouts do not. */
void eb_trace_check_files(const struct eb_trace_config *c, struct eb_findings *f);

#endif
