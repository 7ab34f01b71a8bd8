/* How the service proves itself to NATS: nkey, creds file, token, or a user and password in the URL; and the
 * TLS of the link. */
#ifndef EB_LOGIN_H
#define EB_LOGIN_H

#include <nats/nats.h>

#include "config.h"

struct eb_login; /* holds what the callbacks of nats.c need; outlives the connection */

/* Reads the seed or creds file, so a rotated one counts at the next call. EB_E_IO, EB_E_BAD_KEY, EB_E_INVALID
 * with the mend. */
EB_MUSTCHECK enum eb_rc eb_login_load(const struct eb_config *c, struct eb_login **ret,
                                      struct eb_err *reterr);
void eb_login_free(struct eb_login *l);
EB_DEFINE_CLEANUP(struct eb_login, eb_login_free);
/* Sets URLs, login and TLS. */
EB_MUSTCHECK enum eb_rc eb_login_apply(struct eb_login *l, const struct eb_config *c, natsOptions *opts,
                                       struct eb_err *reterr);
/* The next URL of nats.url, commas or blanks apart; false behind the last. */
EB_MUSTCHECK bool eb_login_next_url(struct eb_str *rest, struct eb_str *ret);
/* The URLs without user and password, for the log. */
void eb_login_describe(const struct eb_config *c, struct eb_buf *to);
/* What went wrong in this thread last, in nats.c's words: the server's own in an error handler and behind a
 * call that failed. Valid until this thread's next call of nats.c. The words that a connection keeps
 * (natsConnection_GetLastError) are not to be read: a thread of nats.c may be writing them. */
const char *eb_login_error(natsStatus s);

#endif
