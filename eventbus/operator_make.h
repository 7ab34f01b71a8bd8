/* Makes what an operator's folder lacks: keys, JWTs and creds files. What is there is kept. */
#ifndef EB_CLI_OPERATOR_MAKE_H
#define EB_CLI_OPERATOR_MAKE_H

#include "command.h"
#include "operator_files.h"
#include "operator_held.h"

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

/* Modes that were mended and files that were removed count as changed. */
enum eb_operator_did {
    EB_OPERATOR_MADE,
    EB_OPERATOR_CHANGED,
    EB_OPERATOR_KEPT,
    EB_OPERATOR_MODE,
    EB_OPERATOR_REMOVED,
};
void eb_operator_tell(struct eb_operator_run *r, enum eb_operator_did did, const char *path);

/* Each makes one thing where it is not there; r->err says what is wrong with one that is. */
EB_MUSTCHECK enum eb_rc eb_operator_ensure(struct eb_operator_run *r);
EB_MUSTCHECK enum eb_rc eb_operator_ensure_sys(struct eb_operator_run *r);
EB_MUSTCHECK enum eb_rc eb_operator_ensure_account(struct eb_operator_run *r, const char *name);
/* One that clients are placed into: auth-callout has a signing key of it. */
EB_MUSTCHECK enum eb_rc eb_operator_ensure_target(struct eb_operator_run *r, const char *name);
/* The account that callouts are asked in; it may place clients into these accounts, which are there. Signed
 * anew where it is there and does not list one of them. */
EB_MUSTCHECK enum eb_rc eb_operator_ensure_service(struct eb_operator_run *r, const char *const *accounts,
                                                   size_t n);
enum eb_operator_user { EB_OPERATOR_ADMIN, EB_OPERATOR_CALLOUT, EB_OPERATOR_SENTINEL, EB_OPERATOR_JETSTREAM };
/* A user with its creds file; signed anew where its signer is none of the account's keys any more. */
EB_MUSTCHECK enum eb_rc eb_operator_ensure_user(struct eb_operator_run *r, const char *account,
                                                const char *name, enum eb_operator_user kind);

/*
 * What auth-callout holds (operator_held.h). The key of an account: the one that it has, while the account
 * lists it; else the one signing key whose seed is here and that signs no user; else a new one. Where there
 * are several, nobody can tell which is the one to be used, and the run ends.
 */
EB_MUSTCHECK enum eb_rc eb_operator_ensure_held_key(struct eb_operator_run *r, const char *account);
/* Its creds, its xkey, and no key of an account that takes no clients any more. */
EB_MUSTCHECK enum eb_rc eb_operator_ensure_held_rest(struct eb_operator_run *r);
/* A file that must have these bytes. */
EB_MUSTCHECK enum eb_rc eb_operator_ensure_bytes(struct eb_operator_run *r, const char *path,
                                                 struct eb_str bytes);

/* For the parts of it. */
EB_MUSTCHECK enum eb_rc eb_operator_nomem(struct eb_operator_run *r);
enum eb_rc eb_operator_sign(void *key, struct eb_str msg, uint8_t ret_sig[EB_NKEY_SIG_LEN]);
/* A fresh key, whose seed is in the store before anything names it. */
EB_MUSTCHECK enum eb_rc eb_operator_make_key(struct eb_operator_run *r, enum eb_nkey_kind kind,
                                             struct eb_nkey **ret);
/* The account's JWT with this signing key, too. */
EB_MUSTCHECK enum eb_rc eb_operator_add_key(struct eb_operator_run *r, struct eb_store_account *a,
                                            struct eb_str key);

/* What a run finds of modes, links and leftovers. Links, below DIR, are findings. */
EB_MUSTCHECK bool eb_operator_check_links(const char *root, struct eb_findings *f);
/* Folders to 0700, files with secrets to 0600; what a run that was killed left is removed. */
EB_MUSTCHECK enum eb_rc eb_operator_mend_modes(struct eb_operator_run *r);

#endif
