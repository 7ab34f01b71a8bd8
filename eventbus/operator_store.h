/*
 * The folder of an operator: its JWTs, keys and creds files, in the layout of the NATS tool nsc
 * (`nsc --all-dirs DIR`, or its own DIR/stores and DIR/keys), so that either reads what the other made.
 *
 *   DIR/<operator>/.nsc  <operator>.jwt  accounts/<account>/<account>.jwt accounts/<account>/users/<user>.jwt
 *   DIR/keys/<letter>/<2 letters>/<public key>.nk
 *   DIR/creds/<operator>/<account>/<user>.creds
 */
#ifndef EB_CLI_OPERATOR_STORE_H
#define EB_CLI_OPERATOR_STORE_H

#include "base/findings.h"
#include "natsjwt/claims.h"

struct eb_store_user {
    char *name; /* of its file */
    char *text; /* the JWT */
    struct eb_user_jwt jwt;
    bool orphan; /* of its account, but by a key that is none of the account's: taken out since */
};
struct eb_store_account {
    char *name; /* of its folder */
    char *text;
    struct eb_account_claims claims;
    struct eb_store_user *users; /* by name */
    size_t users_n;
};
struct eb_store {
    char *root; /* DIR */
    char *name; /* the operator's */
    char *dir;  /* root/name */
    char *keys, *creds;
    char *text; /* NULL: there is none yet */
    struct eb_operator_claims op;
    struct eb_store_account *accounts; /* by name */
    size_t accounts_n;
};
void eb_store_done(struct eb_store *s);

/* The folders of operators below dir, or dir itself where it is one; NULL when out of memory. The caller
 * frees each and the list, which NULL ends. */
char **eb_store_find(const char *dir);
void eb_store_found_done(char **found);

/*
 * Reads all that is in the operator's folder; what cannot be read, or is not signed by whom it must be, is a
 * finding, and the rest is there; orphans are a warning where they are going to be mended. false only when
 * out of memory. A folder that is not there is an empty store.
 */
EB_MUSTCHECK bool eb_store_read(const char *dir, bool mending, struct eb_store *ret, struct eb_findings *f);

struct eb_store_account *eb_store_account(const struct eb_store *s, const char *name);
/* By its key. */
struct eb_store_account *eb_store_account_of(const struct eb_store *s, struct eb_str id);
struct eb_store_user *eb_store_user(const struct eb_store_account *a, const char *name);

/* Path of a key's file, of a JWT, of a creds file. The caller frees; NULL when out of memory. user NULL: the
 * account's, account NULL: the operator's. */
char *eb_store_key_path(const struct eb_store *s, struct eb_str public_key);
char *eb_store_jwt_path(const struct eb_store *s, const char *account, const char *user);
char *eb_store_creds_path(const struct eb_store *s, const char *account, const char *user);
/* The key pair of this public key from the store. EB_E_IO where it is not there. */
EB_MUSTCHECK enum eb_rc eb_store_key(const struct eb_store *s, struct eb_str public_key,
                                     enum eb_nkey_kind kind, struct eb_nkey **ret, struct eb_err *reterr);

/* Folders below root that lead to path, mode 0700, none of them a link. */
EB_MUSTCHECK enum eb_rc eb_store_folders(const struct eb_store *s, const char *path, struct eb_err *reterr);
/* Writes a file of mode 0600 with its folders, in the place of what is there. */
EB_MUSTCHECK enum eb_rc eb_store_put(const struct eb_store *s, const char *path, struct eb_str bytes,
                                     struct eb_err *reterr);
/* A new file of mode 0600 with its folders; what is there is not replaced: EB_E_IO. */
EB_MUSTCHECK enum eb_rc eb_store_add(const struct eb_store *s, const char *path, struct eb_str bytes,
                                     struct eb_err *reterr);

#endif
