/*
 * The keys of one token issuer: fetched in the background (libcurl) or read from a file, kept, refreshed
 * before they are stale and when a token names an unknown kid. A failed fetch leaves the last good set in
 * use.
 */
#ifndef EB_KEYSOURCE_H
#define EB_KEYSOURCE_H

#include <stdatomic.h>

#include "config.h"
#include "jose/jose.h"

struct eb_keysource; /* any thread */

/* What an issuer's key source did, for metrics. */
struct eb_key_stats {
    _Atomic uint64_t fetches, failures;
    _Atomic int64_t keys;    /* usable ones of the set in use */
    _Atomic int64_t fetched; /* seconds since the epoch of the last good fetch, 0 before */
};

/* Least time between two fetches for unknown kids. */
#define EB_KEYSOURCE_UNKNOWN_NS (10 * INT64_C(1000000000))

/* Called on the source's thread after every fetch, good or bad. */
typedef void (*eb_keysource_fn)(void *ctx);

/*
 * Starts the source's thread. c is copied from; with kind kubernetes and neither url nor path the keys are
 * the API server's own. stats: kept up to date, NULL = nobody wants them. The cache file, where one is set,
 * is read first. Returns at once: a provider that is down is not fatal. EB_E_INVALID, EB_E_IO for the
 * settings of an API server that cannot be used.
 */
EB_MUSTCHECK enum eb_rc eb_keysource_start(const struct eb_issuer_config *c, struct eb_key_stats *stats,
                                           eb_keysource_fn done, void *ctx, struct eb_keysource **ret,
                                           struct eb_err *reterr);
void eb_keysource_stop(struct eb_keysource *k);

/* A reference to the set in use, NULL where there is none yet. */
struct eb_jwks *eb_keysource_get(struct eb_keysource *k);
/*
 * A token names a kid that the set lacks (or there is no set). True where a fetch runs or was just asked for:
 * wait for `done`. False where one was tried within EB_KEYSOURCE_UNKNOWN_NS: refuse now.
 */
bool eb_keysource_want(struct eb_keysource *k);
/* True while a fetch runs or is asked for, so that `done` is still to come. */
bool eb_keysource_fetching(struct eb_keysource *k);
/* The file changed, or an operator asks: fetch now. */
void eb_keysource_poke(struct eb_keysource *k);
/* For /readyz: number of usable keys, and seconds since the last good fetch (-1: never). */
void eb_keysource_status(struct eb_keysource *k, size_t *ret_keys, int64_t *ret_age_s);

#endif
