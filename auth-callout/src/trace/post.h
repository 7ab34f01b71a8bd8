/*
 * The way to the collector: one request at a time, over a connection that stays (libcurl). The headers' file
 * is read for each request, so that a token in it may be renewed. Redirects are not followed: they would show
 * the headers to somebody else.
 */
#ifndef EB_TRACE_POST_H
#define EB_TRACE_POST_H

#include "config.h"
#include "trace/answer.h"

struct eb_post; /* one thread, but for eb_post_end_by */

/* c: borrowed. EB_E_NOMEM. */
EB_MUSTCHECK enum eb_rc eb_post_new(const struct eb_trace_config *c, struct eb_post **ret,
                                    struct eb_err *reterr);
void eb_post_free(struct eb_post *p);
/* The URL without what stands behind `?`, for people; borrowed. */
const char *eb_post_where(const struct eb_post *p);
/*
 * Sends a request and waits for the answer. *ret's remark is borrowed until the next request, and empty where
 * it repeats what a header holds. What is wrong goes into reterr, unless it was taken.
 */
void eb_post_send(struct eb_post *p, struct eb_str body, struct eb_otlp_answer *ret, struct eb_err *reterr);
/* Any thread: what is under way, and what is sent later, is broken off at that time (eb_mono_ns). */
void eb_post_end_by(struct eb_post *p, int64_t ns);

#endif
