/*
 * One request to a Kubernetes API: a curl handle that has the URL, trusts the right CA and shows what the
 * access says. Every file is read when the request is opened, so that what rotated is used from the next one
 * on; curl keeps a connection only among requests that trust and show the same. Redirects and proxies are not
 * followed.
 */
#ifndef EB_KUBE_REQUEST_H
#define EB_KUBE_REQUEST_H

#include <curl/curl.h>

#include "base/buf.h"
#include "kube/access.h"

/* Must not move while it is open: curl points into it. Begins as {0}. */
struct eb_kube_request {
    CURL *curl; /* set what is to be done with the body, and time limits; perform it, or add it to a multi */
    struct curl_slist *headers, *connect_to;
    struct eb_buf ca, cert, key;
    char detail[CURL_ERROR_SIZE]; /* curl's words after a failure */
};

/*
 * path: from `/` on, with the query; accept: the media type wanted. EB_E_IO and EB_E_INVALID for a file of
 * the access (the text names it), EB_E_NOMEM. After any outcome eb_kube_request_done.
 */
EB_MUSTCHECK enum eb_rc eb_kube_request_open(struct eb_kube_request *r, const struct eb_kube_access *a,
                                             const char *path, const char *accept, struct eb_err *reterr);
/* Makes it a POST of JSON; body is borrowed until done. */
EB_MUSTCHECK enum eb_rc eb_kube_request_post(struct eb_kube_request *r, struct eb_str body,
                                             struct eb_err *reterr);
/* What went wrong, for people: curl's result, or the HTTP status where it is none of 2xx (EB_E_IO). */
EB_MUSTCHECK enum eb_rc eb_kube_request_failure(const struct eb_kube_request *r, CURLcode code,
                                                struct eb_err *reterr);
/* Closes it and wipes what it showed. */
void eb_kube_request_done(struct eb_kube_request *r);

#endif
