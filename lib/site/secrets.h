/*
 * Which secrets a site has: names, kinds of key, which files each holds. One table for all that makes,
 * checks, reads or ships them. Tree: <root>/<site>/nkeys/<secret>/<key>; <root>/<site>/nkeys/xkey.nk. Source:
 * docs/deployment.md.
 */
#ifndef EB_SITE_SECRETS_H
#define EB_SITE_SECRETS_H

#include "nkey/nkey.h"
#include "site/site.h"

/*
 * EB_SECRET_PUBKEY_OLD: there may be a file pubkey-old beside the pair, the public key that it replaces.
 * While it is there, servers let both in.
 */
enum { EB_SECRET_SEED = 1, EB_SECRET_PUBKEY = 2, EB_SECRET_PUBKEY_OLD = 4 };

struct eb_secret_def {
    char name[96]; /* `nats-auth-signing`, `nats-leaf-cpc-1`: folder, and name of the Kubernetes Secret */
    enum eb_nkey_kind kind; /* account, user or curve */
    unsigned files;         /* EB_SECRET_… bits that this site holds, or may hold */
    char peer_site[48];     /* the site that holds the other half (`cpc-1`), "" where none does */
    char peer_name[96];     /* and its name there: `nats-leaf-csc` */
};

/*
 * The key pairs of a site, sorted by name; *ret is freed by the caller with free(). Combined secrets that
 * repeat the same keys (auth-callout-keys, nats-nack-user/nack-user.nk, xkey.nk) and nats-mtls-server-tls are
 * not in it. Without site->mtls the leaf logins of the mTLS server are not either. EB_E_INVALID for an
 * account whose name is too long for the names of its secrets, EB_E_NOMEM.
 */
EB_MUSTCHECK enum eb_rc eb_secrets_of(const struct eb_site *site, struct eb_secret_def **ret, size_t *ret_n,
                                      struct eb_err *reterr);

/* What the folder of one secret holds. */
struct eb_secret_pair {
    unsigned found;                          /* EB_SECRET_… bits of the files that are there, good or not */
    struct eb_nkey *key;                     /* of the seed, where that is there and good; owned */
    char public_key[EB_NKEY_PUBLIC_LEN + 1]; /* of either file; "" where there is none that is good */
    char old_key[EB_NKEY_PUBLIC_LEN + 1];    /* of pubkey-old, where that may be; likewise */
};
/*
 * Reads def's files below `<nkeys>/<def->name>`. Files that are not there are no fault here; one that cannot
 * be read, holds something else than one key of that kind, or two that do not belong together are findings,
 * and give false.
 */
EB_MUSTCHECK bool eb_secret_pair_read(const char *nkeys, const struct eb_secret_def *def,
                                      struct eb_secret_pair *ret, struct eb_findings *findings);
void eb_secret_pair_done(struct eb_secret_pair *p);

/* Public keys by secret name, read from a tree. Borrowed texts live as long as the set. */
struct eb_pubkeys;
/*
 * Reads <root>/<site>/nkeys: every public key that the table names, derived from the seed where only that is
 * there. Each fault (missing, damaged, pair that does not belong together) is a finding; errors give
 * EB_E_INVALID.
 */
EB_MUSTCHECK enum eb_rc eb_pubkeys_read(const char *root, const struct eb_site *site, struct eb_pubkeys **ret,
                                        struct eb_findings *findings);
/* "U…"; NULL where the site has no such secret. `<secret>/pubkey-old` is the key that it replaces; NULL for
 * none. */
const char *eb_pubkeys_get(const struct eb_pubkeys *k, const char *secret);
void eb_pubkeys_free(struct eb_pubkeys *k);
EB_DEFINE_CLEANUP(struct eb_pubkeys, eb_pubkeys_free);

#endif
