/*
 * A token issuer in force: what its tokens are held to, and the source of its keys. The first is part of the
 * settings and changes with them; sources are those that the process was started with.
 */
#ifndef EB_ISSUER_H
#define EB_ISSUER_H

#include <stdatomic.h>

#include "base/buf.h"
#include "config.h"
#include "jose/jose.h"
#include "keysource.h"
#include "kube/kube.h"

/* What an issuer's tokens are verified with; any thread. */
struct eb_source {
    const struct eb_issuer_config *config; /* it was started with */
    struct eb_keysource *keys;             /* NULL before eb_sources_start and after eb_sources_stop */
    struct eb_kube *kube;                  /* the same; NULL for good where kind is not kubernetes */
    struct eb_key_stats stats;
    struct eb_sources *all;
};

#define EB_SOURCE_KEYS 0 /* a fetch of keys; any other number is that of an ask (kube/kube.h) */
/* Called on a thread of the source when what has this number came to an end, good or bad. */
typedef void (*eb_source_fn)(void *ctx, struct eb_source *s, uint64_t number);

struct eb_sources {
    eb_source_fn done;
    void *ctx;
    size_t n;
    struct eb_source v[];
};

/* One for each issuer of c, which must outlive it; nothing runs yet. NULL: out of memory. */
struct eb_sources *eb_sources_new(const struct eb_config *c);
void eb_sources_free(struct eb_sources *all);
/* Starts fetching and watching. On failure the text names the issuer; eb_sources_stop ends what was begun. */
EB_MUSTCHECK enum eb_rc eb_sources_start(struct eb_sources *all, eb_source_fn done, void *ctx,
                                         struct eb_err *reterr);
void eb_sources_stop(struct eb_sources *all);
/* Fetches everything again. */
void eb_sources_poke(struct eb_sources *all);
/* Only the keys that stand in this file. */
void eb_sources_poke_files(struct eb_sources *all);
/* True where the named issuer (or any, for NULL) has no usable key, or knows no ServiceAccounts yet. */
bool eb_source_lacks(const struct eb_source *s);
/* Appends the members of /readyz: `"keys":{…}`, and `"kubernetes":{…}` where an issuer is of that kind. */
void eb_sources_json(const struct eb_sources *all, struct eb_buf *to);
/* Appends the series that have an issuer's name as label. */
void eb_sources_metrics(const struct eb_sources *all, struct eb_buf *to);

/* An issuer of the settings; immutable. */
struct eb_issuer {
    const struct eb_issuer_config *config;
    struct eb_str iss;         /* of its tokens, exactly */
    struct eb_str policy_name; /* of its entries in the permissions document, {NULL, 0} for the jwks block */
    unsigned algorithms;       /* EB_ALG_BIT mask */
    struct eb_str *audiences, *client_claims, *scope_claims;
    size_t audiences_n, client_claims_n, scope_claims_n;
    struct eb_source *source; /* NULL where only a restart can start it: its tokens are refused till then */
};

/*
 * The issuers of c, bound to their sources, in *ret (the caller's). Faults of c are findings; EB_E_INVALID.
 * An issuer is bound to the source of its name, unless both its place of keys and its iss differ from what
 * the source was started with: another issuer's keys must not vouch for it. With kind kubernetes the API must
 * be the same one, too: another cluster may use the same iss.
 */
EB_MUSTCHECK enum eb_rc eb_issuers_new(const struct eb_config *c, struct eb_sources *sources,
                                       struct eb_issuer **ret, size_t *ret_n, struct eb_findings *f);
void eb_issuers_free(struct eb_issuer *v, size_t n);
/* The one whose tokens have this iss, byte for byte; NULL. */
const struct eb_issuer *eb_issuers_find(const struct eb_issuer *v, size_t n, struct eb_str iss);

#endif
