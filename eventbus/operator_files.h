/* What servers, auth-callout and Kubernetes are given of an operator's folder: made from what is in it, at
 * every run anew. */
#ifndef EB_CLI_OPERATOR_FILES_H
#define EB_CLI_OPERATOR_FILES_H

#include "operator_store.h"

/* Names of what `operator init` makes. */
#define EB_OPERATOR_NAME "event-bus"
#define EB_OPERATOR_SYS "SYS"
#define EB_OPERATOR_SERVICE "AUTH_SERVICE" /* callouts are asked here, and auth-callout lives here */
#define EB_OPERATOR_ACCOUNT "AUTH_ACCOUNT" /* clients are placed here */
#define EB_OPERATOR_NACK "NACK"
#define EB_OPERATOR_USER_SYS "sys"
#define EB_OPERATOR_USER_SERVICE "auth"
#define EB_OPERATOR_USER_SENTINEL "sentinel"
#define EB_OPERATOR_USER_NACK "nack"
#define EB_OPERATOR_USER_ADMIN "admin"

/* A part of a nats-server configuration: operator, resolver with every account, the default sentinel. */
void eb_operator_server_conf(struct eb_buf *to, const struct eb_store *s, bool full,
                             const char *resolver_dir);
/* The configuration of auth-callout, whose keys and creds are in this folder (NULL: auth-callout/keys). */
EB_MUSTCHECK enum eb_rc eb_operator_callout_conf(struct eb_buf *to, const struct eb_store *s,
                                                 const char *folder, struct eb_err *reterr);
/* All of it as Kubernetes Secrets. to must be secret. */
EB_MUSTCHECK enum eb_rc eb_operator_secrets(struct eb_buf *to, const struct eb_store *s,
                                            struct eb_err *reterr);

#endif
