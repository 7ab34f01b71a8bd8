/* Writes into a tree of secrets: folders 0700, files 0600, each pair whole or not at all, never through a
 * link and never in the place of another file. */
#ifndef EB_CLI_SECRETS_WRITE_H
#define EB_CLI_SECRETS_WRITE_H

#include "base/err.h"
#include "nkey/nkey.h"
#include "secrets_tree.h"

/*
 * Makes the folder, with those above it, where it is not there, and holds it alone until the descriptor is
 * closed: another run waits. -1 after filling reterr.
 */
EB_MUSTCHECK int eb_tree_lock(const char *root, struct eb_err *reterr);
/* The folder of a site's keys, below root: made where it is not there. What a run that was killed left, in it
 * and in the folders of copies, is removed. */
EB_MUSTCHECK int eb_tree_open_nkeys(int root, const char *site, struct eb_err *reterr);
/* A folder with the files that `files` says (EB_SECRET_…); seed may be NULL where it is not among them. */
EB_MUSTCHECK enum eb_rc eb_tree_write_pair(int nkeys, const char *name, unsigned files,
                                           const struct eb_secret *seed, const char *public_key,
                                           struct eb_err *reterr);
/* The file of a copy. */
EB_MUSTCHECK enum eb_rc eb_tree_write_copy(int nkeys, const struct eb_tree_copy *copy,
                                           const struct eb_secret *seed, const char *public_key,
                                           struct eb_err *reterr);

#endif
