/*
 * A tree of secrets as it is found: its sites, their key pairs, and whether they belong together. What
 * `eventbus secrets` makes, verifies and ships is decided on this.
 */
#ifndef EB_CLI_SECRETS_TREE_H
#define EB_CLI_SECRETS_TREE_H

#include <sys/types.h>

#include "base/findings.h"
#include "site/secrets.h"

/* Further files that repeat the seed of a pair for those who want it in another place or form. */
struct eb_tree_copy {
    const char *folder; /* below nkeys, NULL = nkeys itself */
    const char *file;
    const char *of; /* the secret whose seed it is */
    enum eb_nkey_kind kind;
    bool public_too; /* the public key on a second line */
};
enum { EB_TREE_COPIES = 5 };
extern const struct eb_tree_copy eb_tree_copies[EB_TREE_COPIES];

#define EB_TREE_TLS "nats-mtls-server-tls"

enum eb_tree_state { EB_TREE_ABSENT, EB_TREE_GOOD, EB_TREE_BAD };

struct eb_tree_secret {
    struct eb_secret_def def;
    enum eb_tree_state state;
    char public_key[EB_NKEY_PUBLIC_LEN + 1]; /* where good */
    bool old;                                /* and has pubkey-old beside it */
};

struct eb_tree_site {
    char name[48];                  /* `csc`, `cpc-1` */
    struct eb_site site;            /* as much of it as eb_secrets_of wants; borrows from the tree */
    bool there;                     /* it has a folder */
    bool wanted;                    /* it has one or is to get one: its secrets are looked at */
    char *nkeys;                    /* path of its folder of keys */
    struct eb_tree_secret *secrets; /* sorted by name */
    size_t secrets_n;
    enum eb_tree_state copies[EB_TREE_COPIES];
};

/* Texts, sorted, each once. */
struct eb_tree_names {
    char **items;
    size_t n, cap;
};

struct eb_tree {
    char *root;                    /* as eb_tree_plain */
    struct eb_tree_names ids;      /* of CPCs: their folders, the CSC's keys for them, those added */
    struct eb_tree_names given;    /* those of ids that were added */
    struct eb_tree_names accounts; /* extra ones, lower case: as the keys name them, and those added */
    struct eb_tree_site *sites;    /* the CSC, then the CPCs by id */
    size_t sites_n;
    struct eb_site_text *id_texts; /* what the sites borrow */
    struct eb_site_extra *extras;
    bool failed; /* out of memory */
};

/* Finds the sites and accounts of a folder and adds them to a tree that began as {0}; a folder that is not
 * there has none. Folders that are not what they should be are findings. */
void eb_tree_find(struct eb_tree *t, const char *root, struct eb_findings *findings);
/* More of them, before eb_tree_read, also before eb_tree_find. false, after a finding, where the name is not
 * one. */
bool eb_tree_add_cpc(struct eb_tree *t, const char *id, struct eb_findings *findings);
bool eb_tree_add_account(struct eb_tree *t, const char *name, struct eb_findings *findings);
/*
 * Reads the secrets of all sites that have a folder; with `make` also of those that are to get one. A
 * half-written pair, one that does not belong together, a CSC's and a CPC's half that differ, a link or a
 * damaged file is an error; what is absent is not.
 */
void eb_tree_read(struct eb_tree *t, bool make, struct eb_findings *findings);
void eb_tree_done(struct eb_tree *t);
#define eb_auto_tree EB_CLEANUP(eb_tree_done)

struct eb_tree_site *eb_tree_site(const struct eb_tree *t, const char *name);
struct eb_tree_secret *eb_tree_secret(const struct eb_tree_site *s, const char *name);
/* Adds a finding about a path; the path is `folder` or `folder/file`. */
void eb_tree_say(struct eb_findings *findings, enum eb_severity severity, const char *folder,
                 const char *file, const char *mend, const char *fmt, ...) EB_PRINTF(6, 7);

bool eb_tree_names_has(const struct eb_tree_names *names, const char *name);
void eb_tree_names_done(struct eb_tree_names *names);
/* A path without what says nothing at its end: of `DIR/` and `DIR/.`, DIR. */
struct eb_str eb_tree_plain(const char *path);
/* What stands at a path itself: 0 for nothing, else its st_mode. */
mode_t eb_tree_kind(const char *path);
/* "a symbolic link", "a folder", "no folder". */
const char *eb_tree_what(mode_t mode);

#endif
