/* Makes what an operator's folder lacks: keys, JWTs and creds files. What is there is kept. */
#ifndef EB_CLI_OPERATOR_MAKE_H
#define EB_CLI_OPERATOR_MAKE_H

#include "command.h"
#include "operator_files.h"

/* One run, which holds the lock of the folder. */
struct eb_operator_run {
    const struct eb_command *c;
    struct eb_store store; /* what is there, and what was made so far */
    int lock;
    int64_t now;
    struct eb_nkey *op; /* the operator's key */
    struct eb_buf told; /* a line a file */
    size_t made, kept, changed;
    struct eb_err err; /* of what failed */
};
void eb_operator_run_done(struct eb_operator_run *r);

enum eb_operator_did { EB_OPERATOR_MADE, EB_OPERATOR_CHANGED, EB_OPERATOR_KEPT };
void eb_operator_tell(struct eb_operator_run *r, enum eb_operator_did did, const char *path);

/* Each makes one thing where it is not there; r->err says what is wrong with one that is. */
EB_MUSTCHECK enum eb_rc eb_operator_ensure(struct eb_operator_run *r);
EB_MUSTCHECK enum eb_rc eb_operator_ensure_account(struct eb_operator_run *r, const char *name);
/* The account that callouts are asked in; it may place clients into these accounts, which are there. Signed
 * anew where it is there and does not list one of them. */
EB_MUSTCHECK enum eb_rc eb_operator_ensure_service(struct eb_operator_run *r, const char *const *accounts,
                                                   size_t n);
enum eb_operator_user { EB_OPERATOR_ADMIN, EB_OPERATOR_CALLOUT, EB_OPERATOR_SENTINEL, EB_OPERATOR_JETSTREAM };
/* A user with its creds file. */
EB_MUSTCHECK enum eb_rc eb_operator_ensure_user(struct eb_operator_run *r, const char *account,
                                                const char *name, enum eb_operator_user kind);

#endif
