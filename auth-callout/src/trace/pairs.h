/*
 * Lists of `name=value` as the variables of OpenTelemetry have them (OTEL_RESOURCE_ATTRIBUTES,
 * OTEL_EXPORTER_OTLP_HEADERS): commas or line ends between, blanks around passed over, %XX in values decoded.
 */
#ifndef EB_TRACE_PAIRS_H
#define EB_TRACE_PAIRS_H

#include "base/buf.h"
#include "base/err.h"

/*
 * Takes the first pair off *rest; *ret_name is borrowed from it, value is emptied first. False at the end,
 * and with reterr->rc set where the next is no pair. No text of an error repeats what the list holds: it may
 * be a secret.
 */
EB_MUSTCHECK bool eb_pairs_next(struct eb_str *rest, struct eb_str *ret_name, struct eb_buf *value,
                                struct eb_err *reterr);

#define EB_HEADERS_MAX ((size_t)16 << 10) /* bytes of a list of headers */
/* EB_E_INVALID where a list holds what cannot be sent as headers of HTTP; the text says which item. */
EB_MUSTCHECK enum eb_rc eb_pairs_check_headers(struct eb_str list, struct eb_err *reterr);

#endif
