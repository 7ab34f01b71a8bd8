/* One HTTP request to an identity provider: limits of time and size, no redirects, secrets only over TLS or
 * to this machine. */
#ifndef EB_CLI_HTTP_H
#define EB_CLI_HTTP_H

#include "base/buf.h"
#include "command.h"

struct eb_http_request {
    const char *url;
    struct eb_str form;          /* body of a POST, application/x-www-form-urlencoded; p NULL = GET */
    const char *user, *password; /* for HTTP Basic; user NULL = none */
    const char *ca;              /* file of CA certificates instead of the system's; NULL = the system's */
    bool allow_http;             /* http to any host, not only to this machine */
};

/* Appends the answer's body, at most 1 MiB. false after saying what went wrong; an HTTP error status is an
 * answer, not a failure. */
bool eb_http_send(const struct eb_command *c, const struct eb_http_request *r, long *ret_status,
                  struct eb_buf *body);

#endif
