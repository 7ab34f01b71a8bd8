/*
 * What auth-callout holds of an operator's folder: copies of its creds, its xkey and one signing key of each
 * account, in DIR/auth-callout/keys, so that the service may be given that folder and nothing else. A file
 * there is also what remembers which signing key is the service's: it is kept as long as the account's JWT
 * lists that key, whatever other keys come and go. No user is signed by it, so it can be replaced alone.
 */
#ifndef EB_CLI_OPERATOR_HELD_H
#define EB_CLI_OPERATOR_HELD_H

#include "operator_store.h"

#define EB_OPERATOR_HELD "auth-callout/keys"
/* Not .nk and .creds: where nsc sees these outside of its own folders, it takes all for a store of old. */
#define EB_OPERATOR_HELD_CREDS "service-creds"
#define EB_OPERATOR_HELD_ISSUER "issuer.seed"
#define EB_OPERATOR_HELD_XKEY "xkey.seed"
enum { EB_OPERATOR_NAME_MAX = 128, EB_OPERATOR_HELD_NAME = EB_OPERATOR_NAME_MAX + 16 };

/* Letters, digits, - and _: what the permissions document takes as an account, and a Secret as a key. */
bool eb_operator_plain_name(const char *name);
/* The name of the system account's folder, by the operator's word; SYS where that is not there (yet). */
const char *eb_operator_sys(const struct eb_store *s);
/* Whether the callout account allows this one: by its id, or by `*`. */
bool eb_operator_lists(const struct eb_account_claims *service, struct eb_str id);
/* Whether auth-callout gets a key of it: allowed, of a plain name, and neither the system account nor the
 * callout account itself. */
bool eb_operator_takes_clients(const struct eb_store *s, const struct eb_store_account *a);

/* The file of an account's key, its name and its path. The caller frees the path. */
void eb_operator_held_name(const char *account, char to[EB_OPERATOR_HELD_NAME]);
char *eb_operator_held_path(const struct eb_store *s, const char *name);
/* The key in that file, *ret NULL where there is none, or one that is no plain signing key of the account. */
EB_MUSTCHECK enum eb_rc eb_operator_held_key(const struct eb_store *s, const struct eb_store_account *a,
                                             struct eb_nkey **ret, struct eb_err *reterr);

#endif
