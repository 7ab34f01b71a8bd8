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
/* Tells the thread to end, for several sources to end at the same time; eb_keysource_stop waits for it. */
void eb_keysource_leave(struct eb_keysource *k);
void eb_keysource_stop(struct eb_keysource *k);

/* A reference to the set in use, NULL where there is none yet. */
struct eb_jwks *eb_keysource_get(struct eb_keysource *k);
enum eb_key_hope {
    EB_KEYS_COMING,  /* a fetch runs or was just asked for: wait for `done` */
    EB_KEYS_CHANGED, /* another set came since: look again */
    EB_KEYS_SAME,    /* one was tried within EB_KEYSOURCE_UNKNOWN_NS: refuse now */
};
/* A token names a kid that `seen` lacks; NULL where there was no set. */
EB_MUSTCHECK enum eb_key_hope eb_keysource_want(struct eb_keysource *k, const struct eb_jwks *seen);
/* True while a fetch runs or is asked for, so that `done` is still to come. */
bool eb_keysource_fetching(struct eb_keysource *k);
/* The file changed, or an operator asks: fetch now. */
void eb_keysource_poke(struct eb_keysource *k);
#define EB_KEYSOURCE_TROUBLE 200
/* For /readyz. */
struct eb_key_status {
    size_t keys;       /* usable ones of the set in use */
    int64_t age_s;     /* seconds since the last good fetch, -1: never */
    bool failing;      /* the last fetch failed; the set is that of an earlier one, or none */
    int64_t failing_s; /* for so many seconds no fetch was good */
    char trouble[EB_KEYSOURCE_TROUBLE]; /* why the last fetch failed; empty where it was good */
};
void eb_keysource_status(struct eb_keysource *k, struct eb_key_status *ret);

#endif
